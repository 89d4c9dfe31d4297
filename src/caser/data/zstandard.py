"""The blocks of a zstandard file: how many bytes it unpacks to, at most, before polars unpacks it as a whole."""

from __future__ import annotations

MAGIC = b"\x28\xb5\x2f\xfd"

MOST_BLOCK_BYTES = 1 << 17

_RAW, _RUN = 0, 1
_SIZES_OF_DICTIONARY_ID, _SIZES_OF_CONTENT_SIZE = (0, 1, 2, 4), (0, 2, 4, 8)


def most_unpacked(data: bytes) -> int:
    """Return how many bytes a zstandard file unpacks to, at most: a block that is not raw counts as a full one.

    data  the bytes of the file

    What comes after a frame that is cut off counts as nothing.
    """
    at, total = 0, 0
    while at + 8 <= len(data):
        if data[at : at + 4] != MAGIC:  # a frame of metadata, with its length
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        flags = data[at + 4]
        is_single = flags >> 5 & 1
        content = _SIZES_OF_CONTENT_SIZE[flags >> 6] or is_single
        at += 5 + (1 - is_single) + _SIZES_OF_DICTIONARY_ID[flags & 3] + content
        is_last = False
        while not is_last and at + 3 <= len(data):
            head = int.from_bytes(data[at : at + 3], "little")
            is_last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
            total += size if kind in (_RAW, _RUN) else MOST_BLOCK_BYTES
            at += 3 + (1 if kind == _RUN else size)
        at += 4 * (flags >> 2 & 1)  # the checksum of the content
    return total
