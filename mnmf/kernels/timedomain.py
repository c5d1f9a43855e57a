"""Steps of the time-domain optimisation, each in closed form.

X (M, L) are the microphones, m (L,) the main mix, S (N, L) the sources, A (M, N) the mixing matrix Λ and b (N,) the
weights of the sources in the mix; all are float64.  The steps depend on the samples only through products over time, so
any X and m with the same products give the same result: `compressed` finds the shortest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compressed", "cost", "project", "update_mix", "update_mixing", "update_sources"]

Array = NDArray[Any]

BLOCK = 65536  # samples handled at a time
SINGULAR = 1e-10  # times the largest eigenvalue: smaller ones mean sources that no microphone can tell apart


def compressed(X_LM: Array, m_L: Array | None) -> tuple[Array, Array]:
    """Return the shortest X and m with the same inner products as a recording and its mix.

    They are the triangular factor of a QR decomposition, updated block by block.

    Parameters
    ----------
    X_LM : float, shape (L, M)
        Samples of the microphones.
    m_L : float, shape (L,), optional
        The mix; the sum of the microphones if None.

    Returns
    -------
    X : float64, shape (M, M + 1)
    m : float64, shape (M + 1,)

    Examples
    --------
    >>> import numpy as np
    >>> X_LM = np.random.default_rng(0).standard_normal((100, 2))
    >>> X, m = compressed(X_LM, None)
    >>> np.allclose(X @ X.T, X_LM.T @ X_LM), np.allclose(X @ m, X_LM.T @ X_LM.sum(axis=1))
    (True, True)
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
    """Return ``‖X − ΛS‖² + ‖m − bᵀS‖²``.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(2)
    >>> cost(one, np.ones(2), one, one, np.zeros(2))
    2.0
    """
    return float(np.sum((X - A @ S) ** 2) + np.sum((m - b @ S) ** 2))


def update_mixing(X: Array, S: Array, ridge: float) -> Array:
    """Return ``(XSᵀ)(SSᵀ + ηI)⁻¹``, the Λ that minimises ``‖X − ΛS‖² + η‖Λ‖²``; η is `ridge`.

    Examples
    --------
    >>> import numpy as np
    >>> update_mixing(np.array([[2.0]]), np.array([[1.0]]), 1.0).round(6)
    array([[1.]])
    """
    return np.asarray((X @ S.T) @ _inverse(S @ S.T + ridge * np.eye(len(S))))


def update_sources(X: Array, m: Array, A: Array, b: Array) -> Array:
    """Return ``(ΛᵀΛ + bbᵀ)⁻¹(bm + ΛᵀX)``, the S that minimises the cost.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> update_sources(4 * one, np.array([2.0]), one, np.array([1.0])).round(6)
    array([[3.]])
    """
    return np.asarray(_inverse(A.T @ A + np.outer(b, b)) @ (np.outer(b, m) + A.T @ X))


def update_mix(m: Array, S: Array, ridge: float) -> Array:
    """Return ``(SSᵀ + ηI)⁻¹ Smᵀ``, the b that minimises ``‖m − bᵀS‖² + η‖b‖²``; η is `ridge`.

    Examples
    --------
    >>> import numpy as np
    >>> update_mix(np.array([2.0]), np.array([[1.0]]), 1.0).round(6)
    array([1.])
    """
    return np.asarray(_inverse(S @ S.T + ridge * np.eye(len(S))) @ (S @ m))


def project(A: Array, own: NDArray[np.int64], low: float, high: float) -> Array:
    """Return Λ within its bounds.

    At a reference spot the gains of other players are kept from `low` to `high`, and that of its own player is at least
    the largest of them.  All gains of a microphone that is nobody's reference spot are at least 0.

    Parameters
    ----------
    A : float64, shape (M, N)
        Λ.
    own : int64, shape (N,)
        The reference spot of each source.
    low, high : float

    Examples
    --------
    >>> import numpy as np
    >>> project(np.array([[1.0, -1.0], [0.9, 0.2]]), np.array([0, 1]), 0.0, 0.5)
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    M, N = A.shape
    foreign = np.zeros((M, N), np.bool_)
    foreign[own] = True
    foreign[own, range(N)] = False
    new = np.where(foreign, np.clip(A, low, high), np.maximum(A, 0.0))
    loudest = np.where(foreign, new, 0.0).max(axis=1)[own]
    new[own, range(N)] = np.maximum(new[own, range(N)], loudest)
    # Without any gain at its reference spot a source would have no level.
    new[own, range(N)] = np.where(new[own, range(N)] > 0, new[own, range(N)], 1.0)
    return new


def _inverse(symmetric: Array) -> Array:
    return np.asarray(np.linalg.pinv(symmetric, rcond=SINGULAR, hermitian=True))
