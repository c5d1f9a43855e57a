"""Multiplicative updates of single-channel NMF under the β-divergence (Févotte and Idier 2011)."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["TINY", "beta_divergence", "update_rows"]

TINY = 1e-30  # floor of a model value: far below the square of the smallest 32-bit sample
ROWS = 64


@njit(parallel=True, cache=True)
def update_rows(V_IJ, A_IK, B_KJ, B_JK, beta):  # type: ignore[no-untyped-def]
    """Return the update of `A_IK` in ``V ≈ A B`` that cannot raise the β-divergence.

    ``A ← A ∘ (((AB)^(β−2) ∘ V) Bᵀ / (AB)^(β−1) Bᵀ)^γ``, γ = 1/(2−β) below β = 1, 1 up to 2, 1/(β−1) above.
    One function serves both factors: for the other one pass everything transposed.  All arrays float64 and
    C-contiguous; `B_JK` is `B_KJ` transposed.
    """
    n_rows, n_columns = V_IJ.shape
    n_components = A_IK.shape[1]
    if beta < 1.0:
        gamma = 1.0 / (2.0 - beta)
    elif beta <= 2.0:
        gamma = 1.0
    else:
        gamma = 1.0 / (beta - 1.0)

    column_sums = np.zeros(n_components)  # the denominator of β = 1 is the same in every row
    for j in range(n_columns):
        for k in range(n_components):
            column_sums[k] += B_JK[j, k]

    new_IK = np.empty_like(A_IK)
    for block in prange((n_rows + ROWS - 1) // ROWS):
        first = block * ROWS
        last = min(first + ROWS, n_rows)
        model = np.dot(A_IK[first:last], B_KJ)
        ratio = np.empty_like(model)
        if beta == 1.0:
            for i in range(last - first):
                for j in range(n_columns):
                    ratio[i, j] = V_IJ[first + i, j] / max(model[i, j], TINY)
            numerator = np.dot(ratio, B_JK)
            for i in range(last - first):
                for k in range(n_components):
                    new_IK[first + i, k] = A_IK[first + i, k] * numerator[i, k] / max(column_sums[k], TINY)
        else:
            for i in range(last - first):
                for j in range(n_columns):
                    y = max(model[i, j], TINY)
                    if beta == 0.5:  # a square root is many times faster than a power
                        model[i, j] = 1.0 / np.sqrt(y)
                    elif beta == 1.5:
                        model[i, j] = np.sqrt(y)
                    else:
                        model[i, j] = y ** (beta - 1.0)
                    ratio[i, j] = V_IJ[first + i, j] * model[i, j] / y
            numerator = np.dot(ratio, B_JK)
            denominator = np.dot(model, B_JK)
            for i in range(last - first):
                for k in range(n_components):
                    step = numerator[i, k] / max(denominator[i, k], TINY)
                    new_IK[first + i, k] = A_IK[first + i, k] * step**gamma
    return new_IK


def beta_divergence(V, Y, beta):  # type: ignore[no-untyped-def]
    """Return the β-divergence of non-negative `V` from its model `Y`, summed over all entries."""
    Y = np.maximum(Y, TINY)
    if beta == 1.0:
        positive = np.maximum(V, TINY)
        return float(np.sum(V * np.log(positive / Y) - V + Y))
    if beta == 0.0:
        ratio = np.maximum(V, TINY) / Y
        return float(np.sum(ratio - np.log(ratio) - 1.0))
    return float(np.sum(V**beta + (beta - 1.0) * Y**beta - beta * V * Y ** (beta - 1.0)) / (beta * (beta - 1.0)))
