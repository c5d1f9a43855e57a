"""Non-negative least squares of many right-hand sides at once, to optimality (active set; Lawson and Hanson 1974)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._compile import inner, kernel
from mnmf.kernels._threads import share_out

__all__ = ["solve"]

Array = NDArray[Any]

GRADIENT = 1e-10  # times the largest entry of b: a base stays out of use unless the cost falls faster than this
DEPENDENT = 1e-12  # a base depends on those in use if less than this part of its squared length is outside their span
ROWS = 16  # problems that one thread handles at a time


@inner
def _append(A_KK, L_KK, chosen_K, size, j):  # type: ignore[no-untyped-def]
    """Extend the Cholesky factor of the chosen rows and columns by base `j`; return False if it depends on them."""
    left = A_KK[j, j]
    for i in range(size):
        value = A_KK[j, chosen_K[i]]
        for r in range(i):
            value -= L_KK[i, r] * L_KK[size, r]
        value /= L_KK[i, i]
        L_KK[size, i] = value
        left -= value * value
    if not left > DEPENDENT * A_KK[j, j]:
        return False
    L_KK[size, size] = np.sqrt(left)
    chosen_K[size] = j
    return True


@inner
def _least_squares(L_KK, b_K, chosen_K, size, z_K):  # type: ignore[no-untyped-def]
    """Write the unconstrained solution of the chosen bases to the first `size` entries of `z_K`."""
    for i in range(size):
        value = b_K[chosen_K[i]]
        for r in range(i):
            value -= L_KK[i, r] * z_K[r]
        z_K[i] = value / L_KK[i, i]
    for i in range(size - 1, -1, -1):
        value = z_K[i]
        for r in range(i + 1, size):
            value -= L_KK[r, i] * z_K[r]
        z_K[i] = value / L_KK[i, i]


@inner
def _solve_one(A_KK, b_K, x_K, z_K, state_K, chosen_K, L_KK):  # type: ignore[no-untyped-def]
    """Write the solution of one problem to `x_K`; the arrays after it are room to work in.

    `state_K` is 1 for a base in use, 2 for one that was tried in vain since the solution last changed, else 0.
    """
    n = len(b_K)
    tolerance = 0.0
    for k in range(n):
        x_K[k] = 0.0
        state_K[k] = 0
        tolerance = max(tolerance, b_K[k])
    tolerance *= GRADIENT
    size = 0
    for _ in range(5 * n + 5):  # each round lowers the cost, but rounding could make them go on for ever
        best, j = tolerance, -1
        for k in range(n):
            if state_K[k] == 0:
                value = b_K[k]
                for i in range(size):
                    value -= A_KK[k, chosen_K[i]] * x_K[chosen_K[i]]
                if value > best:
                    best, j = value, k
        if j < 0:
            return
        if not _append(A_KK, L_KK, chosen_K, size, j):
            state_K[j] = 2
            continue
        _least_squares(L_KK, b_K, chosen_K, size + 1, z_K)
        if not z_K[size] > 0.0:  # the cost falls towards this base, so only rounding can make its solution negative
            state_K[j] = 2
            continue
        state_K[j] = 1
        size += 1
        while True:
            # Go towards the unconstrained solution until a base reaches zero, and take that one out of use.
            step, leaves = 1.0, -1
            for i in range(size):
                if z_K[i] <= 0.0:
                    x = x_K[chosen_K[i]]
                    if x / (x - z_K[i]) < step or leaves < 0:
                        step, leaves = x / (x - z_K[i]), i
            if leaves < 0:
                break
            for i in range(size):
                x_K[chosen_K[i]] += step * (z_K[i] - x_K[chosen_K[i]])
            x_K[chosen_K[leaves]] = 0.0
            kept = -1  # rows of the factor before the first base taken out stay valid
            for i in range(size):
                k = chosen_K[i]
                stays = i != leaves and (x_K[k] > 0.0 or k == j)
                if stays and kept < 0:
                    continue
                if kept < 0:
                    kept = i
                if not (stays and _append(A_KK, L_KK, chosen_K, kept, k)):
                    x_K[k] = 0.0
                    state_K[k] = 0
                    continue
                kept += 1
            size = kept
            _least_squares(L_KK, b_K, chosen_K, size, z_K)
        for i in range(size):
            x_K[chosen_K[i]] = z_K[i]
        for k in range(n):
            if state_K[k] == 2:
                state_K[k] = 0


@kernel
def _solve(A_KK, B_TK, first, last, X_TK):  # type: ignore[no-untyped-def]
    """Do the work of `solve` for some of the problems."""
    n_bases = len(A_KK)
    z_K = np.empty(n_bases)
    state_K = np.empty(n_bases, np.int64)
    chosen_K = np.empty(n_bases, np.int64)
    L_KK = np.empty((n_bases, n_bases))
    for t in range(first, last):
        _solve_one(A_KK, B_TK[t], X_TK[t], z_K, state_K, chosen_K, L_KK)


def solve(A_KK: Array, B_TK: Array) -> Array:
    """Return the non-negative rows x_t that minimise ``xᵀAx/2 − b_tᵀx``.

    With ``A = WᵀW`` and ``b = Wᵀv`` that is the non-negative least-squares fit of ``Wx`` to v.

    Parameters
    ----------
    A_KK : float64, shape (K, K)
        Symmetric and positive semidefinite, C-contiguous.  The columns of W should be of about the same length.
    B_TK : float64, shape (T, K)
        One problem a row, C-contiguous.

    Returns
    -------
    X_TK : float64, shape (T, K)
        Within rounding, the gradient of the cost is zero for a base in use and not negative for any other (the
        conditions of Karush, Kuhn and Tucker).  Of bases that depend on each other the first are used.

    Examples
    --------
    >>> import numpy as np
    >>> solve(np.eye(2), np.array([[1.0, -1.0]]))
    array([[1., 0.]])
    """
    n_frames = len(B_TK)
    X_TK = np.empty(B_TK.shape)

    def work(block: int) -> None:
        _solve(A_KK, B_TK, block * ROWS, min((block + 1) * ROWS, n_frames), X_TK)

    share_out(work, -(-n_frames // ROWS))
    return X_TK
