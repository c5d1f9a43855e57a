"""Spatial covariances weighted over time, and their counterpart: quadratic forms of a spatial covariance.

Neither ever holds an M×M matrix per time-frequency point.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["quadratic_forms", "weighted_covariances"]


@njit(parallel=True, cache=True)
def quadratic_forms(X_FTM, R_FMM):  # type: ignore[no-untyped-def]
    """Return ``x_ftᴴ R_f x_ft``: the power that signals have in the direction of a covariance.

    Parameters
    ----------
    X_FTM : complex64 or complex128, shape (F, T, M)
    R_FMM : complex128, shape (F, M, M)
        Hermitian, positive semidefinite; only the lower triangle is read.

    Returns
    -------
    B_FT : float64, shape (F, T)
        Never negative: what rounding leaves below zero becomes zero.

    Examples
    --------
    >>> import numpy as np
    >>> X_FTM = np.array([[[3.0, 4.0j]]])
    >>> quadratic_forms(X_FTM, np.eye(2, dtype=complex)[None])
    array([[25.]])
    """
    n_frequencies, n_frames, n_mics = X_FTM.shape
    B_FT = np.empty((n_frequencies, n_frames))
    for f in prange(n_frequencies):
        for t in range(n_frames):
            total = 0.0
            for i in range(n_mics):
                a = X_FTM[f, t, i].real
                b = X_FTM[f, t, i].imag
                total += R_FMM[f, i, i].real * (a * a + b * b)
                for j in range(i):
                    c = X_FTM[f, t, j].real
                    d = X_FTM[f, t, j].imag
                    # 2 Re(conj(x_i) R_ij x_j)
                    total += 2.0 * (R_FMM[f, i, j].real * (a * c + b * d) - R_FMM[f, i, j].imag * (a * d - b * c))
            B_FT[f, t] = max(total, 0.0)
    return B_FT


@njit(parallel=True, cache=True)
def weighted_covariances(X_FTM, P_FT):  # type: ignore[no-untyped-def]
    """Return ``Σ_t p_ft x_ft x_ftᴴ``.

    Parameters
    ----------
    X_FTM : complex64 or complex128, shape (F, T, M)
    P_FT : float64, shape (F, T)
        Weights.

    Returns
    -------
    R_FMM : complex128, shape (F, M, M)
        Exactly Hermitian.

    Examples
    --------
    >>> import numpy as np
    >>> X_FTM = np.array([[[1.0, 1.0j]]])
    >>> weighted_covariances(X_FTM, np.array([[2.0]]))[0, 1]
    array([0.+2.j, 2.+0.j])
    """
    n_frequencies, n_frames, n_mics = X_FTM.shape
    R_FMM = np.empty((n_frequencies, n_mics, n_mics), np.complex128)
    for f in prange(n_frequencies):
        for i in range(n_mics):
            for j in range(i + 1):
                real = 0.0
                imag = 0.0
                for t in range(n_frames):
                    a = np.float64(X_FTM[f, t, i].real)
                    b = np.float64(X_FTM[f, t, i].imag)
                    c = np.float64(X_FTM[f, t, j].real)
                    d = np.float64(X_FTM[f, t, j].imag)
                    real += P_FT[f, t] * (a * c + b * d)
                    imag += P_FT[f, t] * (b * c - a * d)
                R_FMM[f, i, j] = complex(real, imag)
                R_FMM[f, j, i] = complex(real, -imag)
            R_FMM[f, i, i] = R_FMM[f, i, i].real
    return R_FMM
