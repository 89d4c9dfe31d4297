"""One rule for `~` on the command line: in every path, a leading `~` is the home folder.

A shell expands `--out ~/run`, and leaves `--out=~/run` as it is. Therefore every value of the type Path is expanded
here, before a command sees it; LOG, which may also be a name or a pattern, is expanded where it is read
(`data/sources.py`), and a store of events, which may be a URL, where it is opened. A folder whose name is `~` is
written `./~`. No other text is changed: an id may begin with `~`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import cyclopts
from cyclopts import ArgumentCollection


def expand_home(_: cyclopts.App, __: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Replace a leading `~` in every path that was typed. cyclopts calls this after it has read the words.

    arguments  the parameters of a command with the words that were typed for each
    """
    for argument in arguments:
        if Path in (argument.hint, *get_args(argument.hint)):
            # Where there is no home folder, `~` stays as it is; Path.expanduser would raise RuntimeError.
            words = [(token, os.path.expanduser(token.value)) for token in argument.tokens]  # noqa: PTH111
            argument.tokens[:] = [token.evolve(value=value) for token, value in words]
