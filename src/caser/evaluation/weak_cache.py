"""A cache for facts about large objects that never change: it keeps a result for as long as its object lives."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

Subject = TypeVar("Subject")
Result = TypeVar("Result")
Options = TypeVarTuple("Options")


def cached_while_alive(function: Callable[[Subject, *Options], Result]) -> Callable[[Subject, *Options], Result]:
    """Wrap a function so that it computes each result once per subject and options.

    function  takes the subject, an object that never changes and is compared by identity, and hashable options

    Neither standard cache fits: `functools.cache` would keep every log alive that was ever split, and
    `functools.cached_property` needs a method of the subject's class, in a lower room that knows nothing of evaluation.

    >>> class Log:
    ...     events = [1, 2, 3]
    >>> calls = []
    >>> @cached_while_alive
    ... def total(log: Log) -> int:
    ...     calls.append(log)
    ...     return sum(log.events)
    >>> log = Log()
    >>> total(log), total(log), len(calls)
    (6, 6, 1)
    """
    results: WeakKeyDictionary[Subject, dict[tuple[*Options], Result]] = WeakKeyDictionary()

    @wraps(function)
    def cached(subject: Subject, *options: *Options) -> Result:
        known = results.setdefault(subject, {})
        if options not in known:
            known[options] = function(subject, *options)
        return known[options]

    return cached
