"""Steps of the time-domain optimisation, each in closed form.

X (M, L) are the microphones, m (L,) the main mix, S (N, L) the sources, A (M, N) the mixing matrix Λ and b (N,) the
weights of the sources in the mix.  They see the samples only through products over time, so any X and m with the same
products do as well: `compressed` gives the shortest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compressed", "cost", "project", "update_mix", "update_mixing", "update_sources"]

Array = NDArray[Any]

BLOCK = 65536  # samples taken at once
SINGULAR = 1e-10  # of the largest eigenvalue: below this sources reach all microphones alike, and share what they hear


def compressed(X_LM: Array, m_L: Array | None) -> tuple[Array, Array]:
    """Return X (M, M+1) and m (M+1,) with the same inner products as a recording and its mix (None: the sum of mics).

    They are the triangular factor of the recording, found block by block.
    """
    M = X_LM.shape[1]
    factor = np.zeros((0, M + 1))
    for first in range(0, len(X_LM), BLOCK):
        block_LM = X_LM[first : first + BLOCK].astype(np.float64)
        mix_L = block_LM.sum(axis=1) if m_L is None else m_L[first : first + BLOCK].astype(np.float64)
        factor = np.asarray(np.linalg.qr(np.concatenate([factor, np.column_stack([block_LM, mix_L])]), mode="r"))
    square = np.zeros((M + 1, M + 1))
    square[: len(factor)] = factor
    return np.ascontiguousarray(square.T[:M]), np.ascontiguousarray(square.T[M])


def cost(X: Array, m: Array, A: Array, S: Array, b: Array) -> float:
    """Return ``‖X − ΛS‖² + ‖m − bᵀS‖²``."""
    return float(np.sum((X - A @ S) ** 2) + np.sum((m - b @ S) ** 2))


def update_mixing(X: Array, S: Array, ridge: float) -> Array:
    """Return ``(XSᵀ)(SSᵀ + ηI)⁻¹``, the minimum of ``‖X − ΛS‖² + η‖Λ‖²``."""
    return np.asarray((X @ S.T) @ _inverse(S @ S.T + ridge * np.eye(len(S))))


def update_sources(X: Array, m: Array, A: Array, b: Array) -> Array:
    """Return ``(ΛᵀΛ + bbᵀ)⁻¹(bm + ΛᵀX)``, the minimum of the cost over S."""
    return np.asarray(_inverse(A.T @ A + np.outer(b, b)) @ (np.outer(b, m) + A.T @ X))


def update_mix(m: Array, S: Array, ridge: float) -> Array:
    """Return ``(SSᵀ + ηI)⁻¹ Smᵀ``, the minimum of ``‖m − bᵀS‖² + η‖b‖²``."""
    return np.asarray(_inverse(S @ S.T + ridge * np.eye(len(S))) @ (S @ m))


def project(A: Array, own: NDArray[np.int64], low: float, high: float) -> Array:
    """Return Λ with what every spot hears of the others within `low` to `high`, and of its own player no less.

    `own` is the reference spot of each source.  What is nobody's reference spot hears no less than nothing.
    """
    M, N = A.shape
    foreign = np.zeros((M, N), np.bool_)
    foreign[own] = True
    foreign[own, range(N)] = False
    new = np.where(foreign, np.clip(A, low, high), np.maximum(A, 0.0))
    loudest = np.where(foreign, new, 0.0).max(axis=1)[own]
    new[own, range(N)] = np.maximum(new[own, range(N)], loudest)
    # A spot that hears nobody at all would leave its player without a level.
    new[own, range(N)] = np.where(new[own, range(N)] > 0, new[own, range(N)], 1.0)
    return new


def _inverse(symmetric: Array) -> Array:
    return np.asarray(np.linalg.pinv(symmetric, rcond=SINGULAR, hermitian=True))
