"""Sparse matrices of models: membership matrices, conversion to dense scores, and the arrays that an artefact keeps."""

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
    """Make a sparse matrix with 1 at every given place, also where a place is given more than once.

    rows, columns  (n,) integers, the places
    shape          the shape of the matrix

    Returns float32.

    >>> membership(np.array([0, 0, 1]), np.array([1, 1, 2]), (2, 3)).toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    ones = np.ones(len(rows), dtype=np.float32)
    matrix = sparse.coo_array((ones, (rows, columns)), shape=shape).tocsr()
    matrix.data[:] = 1
    return matrix


def dense(matrix: sparse.csr_array) -> Scores:
    """Convert sparse scores (B, I) to a NumPy array of the same shape and dtype.

    matrix  the scores
    """
    values: Scores = matrix.toarray()
    return values


def product(left: sparse.csr_array, right: sparse.csr_array) -> Scores:
    """Multiply the two matrices of a `SparseScorer`, and convert the scores to a NumPy array (B, I).

    left, right  sparse matrices (B, M) and (M, I)
    """
    return dense(left @ right)


def to_arrays(matrix: sparse.csr_array) -> dict[str, NDArray[Any]]:
    """Return the three arrays of a compressed sparse matrix (R, I).

    matrix  the matrix, with n entries

    Returns `data` (n,) in the dtype of the matrix, `indices` (n,) int64 and `indptr` (R + 1,) int64.
    """
    return {
        "data": matrix.data,
        "indices": matrix.indices.astype(np.int64),
        "indptr": matrix.indptr.astype(np.int64),
    }


def from_arrays(arrays: Arrays, shape: tuple[int, int]) -> sparse.csr_array:
    """Make the matrix from the arrays that `to_arrays` returned.

    arrays  `data`, `indices` and `indptr`
    shape   the shape that the matrix must have

    Raises ArtefactError if the arrays do not make a matrix of this shape.
    """
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
