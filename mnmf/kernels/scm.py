"""Spatial covariances weighted over time, and their counterpart: quadratic forms of a spatial covariance.

Neither ever holds an M×M matrix per time-frequency point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import part
from mnmf.kernels._compile import kernel
from mnmf.kernels._threads import share_out

__all__ = ["quadratic_forms", "weighted_covariances"]

Array = NDArray[Any]

FREQUENCIES, PARTS = 16, 32  # threads share parts of at least so many frequencies, and at most so many parts


@kernel
def _quadratic_forms(X_FTM, R_FMM, first, last, B_FT):  # type: ignore[no-untyped-def]
    """Do the work of `quadratic_forms` for some of the frequencies."""
    _, n_frames, n_mics = X_FTM.shape
    for f in range(first, last):
        X_TM = X_FTM[f]
        R_MM = R_FMM[f]
        B_T = B_FT[f]
        for t in range(n_frames):
            total = 0.0
            for i in range(n_mics):
                a = X_TM[t, i].real
                b = X_TM[t, i].imag
                total += R_MM[i, i].real * (a * a + b * b)
                for j in range(i):
                    c = X_TM[t, j].real
                    d = X_TM[t, j].imag
                    # 2 Re(conj(x_i) R_ij x_j)
                    total += 2.0 * (R_MM[i, j].real * (a * c + b * d) - R_MM[i, j].imag * (a * d - b * c))
            B_T[t] = max(total, 0.0)


def quadratic_forms(X_FTM: Array, R_FMM: Array) -> Array:
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
    B_FT = np.empty(X_FTM.shape[:2])
    _share(_quadratic_forms, X_FTM, R_FMM, B_FT)
    return B_FT


@kernel
def _weighted_covariances(X_FTM, P_FT, first, last, R_FMM):  # type: ignore[no-untyped-def]
    """Do the work of `weighted_covariances` for some of the frequencies."""
    _, n_frames, n_mics = X_FTM.shape
    for f in range(first, last):
        X_TM = X_FTM[f]
        P_T = P_FT[f]
        R_MM = R_FMM[f]
        for i in range(n_mics):
            for j in range(i + 1):
                real = 0.0
                imag = 0.0
                for t in range(n_frames):
                    a = np.float64(X_TM[t, i].real)
                    b = np.float64(X_TM[t, i].imag)
                    c = np.float64(X_TM[t, j].real)
                    d = np.float64(X_TM[t, j].imag)
                    real += P_T[t] * (a * c + b * d)
                    imag += P_T[t] * (b * c - a * d)
                R_MM[i, j] = complex(real, imag)
                R_MM[j, i] = complex(real, -imag)
            R_MM[i, i] = R_MM[i, i].real


def weighted_covariances(X_FTM: Array, P_FT: Array) -> Array:
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
    F, _, M = X_FTM.shape
    R_FMM = np.empty((F, M, M), np.complex128)
    _share(_weighted_covariances, X_FTM, P_FT, R_FMM)
    return R_FMM


def _share(work: Any, X_FTM: Array, other: Array, out: Array) -> None:
    """Run a kernel on parts of the frequencies."""
    F = len(X_FTM)
    n_parts = min(-(-F // FREQUENCIES), PARTS)
    share_out(lambda index: work(X_FTM, other, *part(index, n_parts, F), out), n_parts)
