"""Matrix products on several threads that give the same bits on any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import part, product
from mnmf.kernels._compile import kernel
from mnmf.kernels._threads import share_out

__all__ = ["matmul"]

Array = NDArray[Any]

ROWS = 64  # rows that are multiplied at a time, on any number of threads
PRODUCTS = 2**23  # least products of two numbers for each part: a thread is not worth starting for less


@kernel
def _rows(A_IJ, B_JK, first, last, C_IK):  # type: ignore[no-untyped-def]
    """Do the work of `matmul` for the blocks of rows from `first` to `last`."""
    for block in range(first, last):
        i = block * ROWS
        product(A_IJ[i : i + ROWS], B_JK, C_IK[i : i + ROWS])


def matmul(A_IJ: Array, B_JK: Array) -> Array:
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
    (I, J), K = A_IJ.shape, B_JK.shape[1]
    C_IK = np.empty((I, K), A_IJ.dtype)
    n_blocks = -(-I // ROWS)
    n_parts = min(n_blocks, max(I * J * K // PRODUCTS, 1))
    share_out(lambda index: _rows(A_IJ, B_JK, *part(index, n_parts, n_blocks), C_IK), n_parts)
    return C_IK
