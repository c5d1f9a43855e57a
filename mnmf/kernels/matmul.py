"""Matrix products on several threads that give the same bits on any number of them."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["matmul"]

ROWS = 64  # rows of one block: large enough for BLAS to be efficient, small enough to share out


@njit(parallel=True, cache=True)
def matmul(A, B):  # type: ignore[no-untyped-def]
    """Return ``A @ B`` for C-contiguous `A` (I, J) and `B` (J, K) of one dtype."""
    n_rows = A.shape[0]
    C = np.empty((n_rows, B.shape[1]), A.dtype)
    for block in prange((n_rows + ROWS - 1) // ROWS):
        first = block * ROWS
        last = min(first + ROWS, n_rows)
        np.dot(A[first:last], B, C[first:last])
    return C
