"""Matrix products on several threads that give the same bits on any number of them."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["matmul"]

ROWS = 64  # rows of one part: enough for BLAS to be efficient, few enough for threads to share


@njit(parallel=True, cache=True)
def matmul(A_IJ, B_JK):  # type: ignore[no-untyped-def]
    """Return ``A @ B``.

    Parameters
    ----------
    A_IJ, B_JK : float32, float64, complex64 or complex128, shapes (I, J) and (J, K)
        C-contiguous and of one type.

    Returns
    -------
    C_IK : of the same type, shape (I, K)

    Examples
    --------
    >>> import numpy as np
    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    n_rows = A_IJ.shape[0]
    C_IK = np.empty((n_rows, B_JK.shape[1]), A_IJ.dtype)
    for block in prange((n_rows + ROWS - 1) // ROWS):
        first = block * ROWS
        last = min(first + ROWS, n_rows)
        np.dot(A_IJ[first:last], B_JK, C_IK[first:last])
    return C_IK
