"""Sparse matrices as models use them: who has what, scores as plain arrays, and the arrays that an artefact keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from caser.arrays.types import Scores
from caser.errors import ArtefactError
from caser.models.base import Arrays

_PARTS = ("data", "indices", "indptr")


def membership(
    rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]
) -> sparse.csr_array[np.float32]:
    """Say who has what: 1 at every (row, column) that is given, however often.

    >>> membership(np.array([0, 0, 1]), np.array([1, 1, 2]), (2, 3)).toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    ones = np.ones(len(rows), dtype=np.float32)
    found = sparse.coo_array((ones, (rows, columns)), shape=shape).tocsr()
    found.data[:] = 1
    return found


def dense(matrix: sparse.csr_array) -> Scores:
    """Return a sparse block of scores as a plain array."""
    values: Scores = matrix.toarray()
    return values


def to_arrays(matrix: sparse.csr_array) -> dict[str, NDArray[Any]]:
    """The three arrays of a compressed sparse matrix, `indices` and `indptr` as int64."""
    return {
        "data": matrix.data,
        "indices": matrix.indices.astype(np.int64),
        "indptr": matrix.indptr.astype(np.int64),
    }


def from_arrays(arrays: Arrays, shape: tuple[int, int]) -> sparse.csr_array:
    """Rebuild what `to_arrays` gave; ArtefactError if the arrays do not make a matrix of this shape."""
    if set(arrays) != set(_PARTS):
        raise ArtefactError(
            f"counts need the arrays {', '.join(_PARTS)}; got {', '.join(sorted(arrays))}. Train again."
        )
    try:
        matrix = sparse.csr_array(tuple(arrays[part] for part in _PARTS), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise ArtefactError(
            f"counts must be a sparse matrix of {shape[0]} x {shape[1]}; got {error}. Train again."
        ) from None
    return matrix
