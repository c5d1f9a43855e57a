"""Non-negative least squares of many right-hand sides at once, to optimality (active set; Lawson and Hanson 1974)."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["solve"]

GRADIENT = 1e-10  # of the largest right-hand side: a base that pulls no harder than this stays out
DEPENDENT = 1e-12  # a base is in the span of those in use if less of its square is left over
COLUMNS = 16  # handled by one thread in turn


@njit(cache=True)
def _append(A_KK, L_KK, chosen_K, size, j):  # type: ignore[no-untyped-def]
    """Extend the Cholesky factor of the chosen rows and columns by base `j`; return whether it is independent."""
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


@njit(cache=True)
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


@njit(cache=True)
def _solve_one(A_KK, b_K, x_K, z_K, state_K, chosen_K, L_KK):  # type: ignore[no-untyped-def]
    """Write the solution of one problem to `x_K`; the other arrays are room to work in.

    `state_K` is 1 for a base in use, 2 for one that was of no use in the present round, else 0.
    """
    n = len(b_K)
    tolerance = 0.0
    for k in range(n):
        x_K[k] = 0.0
        state_K[k] = 0
        tolerance = max(tolerance, b_K[k])
    tolerance *= GRADIENT
    size = 0
    for _ in range(5 * n + 5):  # each round lowers the cost; the limit only guards against rounding
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
        if not z_K[size] > 0.0:  # only rounding can say so
            state_K[j] = 2
            continue
        state_K[j] = 1
        size += 1
        while True:
            # Go towards the unconstrained solution until the first base reaches zero; that one leaves.
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
            kept = -1  # rows of the factor before the first base that leaves stay as they are
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


@njit(parallel=True, cache=True)
def solve(A_KK, B_TK):  # type: ignore[no-untyped-def]
    """Return ``X_TK ≥ 0`` whose rows minimise ``xᵀAx/2 − bᵀx``: with ``A = WᵀW``, ``b = Wᵀv`` that is ‖v − Wx‖².

    Bases in use leave a gradient of zero, all others one that is not negative (the conditions of Karush, Kuhn and
    Tucker), within rounding.  Of bases that depend on each other the first suffices.  `A_KK` is symmetric and positive
    semidefinite; columns of W should be about equally long.  float64, C-contiguous.  Rows are solved apart, so the
    number of threads changes no bit.
    """
    n_frames, n_bases = B_TK.shape
    X_TK = np.empty((n_frames, n_bases))
    for block in prange((n_frames + COLUMNS - 1) // COLUMNS):
        z_K = np.empty(n_bases)
        state_K = np.empty(n_bases, np.int64)
        chosen_K = np.empty(n_bases, np.int64)
        L_KK = np.empty((n_bases, n_bases))
        for t in range(block * COLUMNS, min((block + 1) * COLUMNS, n_frames)):
            _solve_one(A_KK, B_TK[t], X_TK[t], z_K, state_K, chosen_K, L_KK)
    return X_TK
