"""A cache that is bounded by the bytes of its values, not by their number. The least recently used is dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """Values by key, with at most so many bytes together.

    max_bytes  the limit; a value that alone is larger is not kept        num_bytes_of  returns the size of a value

    >>> cache = ByteCache[str, bytes](5, len)
    >>> cache["ann"], cache["bob"], cache["eve"] = b"123", b"12", b"1"
    >>> list(cache), cache.num_bytes, cache.get("ann")
    (['bob', 'eve'], 3, None)
    """

    def __init__(self, max_bytes: int, num_bytes_of: Callable[[Value], int]) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        """The bytes of all values."""
        self._num_bytes_of = num_bytes_of
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return the value of `key`, or None, and note that it was used."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def __setitem__(self, key: Key, value: Value) -> None:
        """Keep a value. Others are dropped until all of them fit."""
        self.discard(key)
        size = self._num_bytes_of(value)
        if size > self.max_bytes:
            return
        self._values[key] = value, size
        self.num_bytes += size
        while self.num_bytes > self.max_bytes:
            _, (_, dropped) = self._values.popitem(last=False)
            self.num_bytes -= dropped

    def discard(self, key: Key) -> None:
        """Drop the value of `key`, if there is one."""
        _, size = self._values.pop(key, (None, 0))
        self.num_bytes -= size

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)
