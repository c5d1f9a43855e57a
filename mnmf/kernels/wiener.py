"""Multichannel Wiener reconstruction for jointly diagonalised models."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["diagonal_images"]

TINY = 1e-30


@njit(parallel=True, cache=True)
def diagonal_images(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, P_FMM, sources, mics):  # type: ignore[no-untyped-def]
    """Return the image of ``sources[i]`` at ``mics[i]``, (F, T, I): row of ``Q⁻¹ diag(λ_n g_n / Σ_r λ_r g_r) Q x``.

    `P_FMM` is the inverse of `Q_FMM`.  Where the model expects nothing of anyone, each source gets the same share.
    """
    n_frequencies, n_frames, n_mics = X_FTM.shape
    n_sources = W_NFK.shape[0]
    n_images = len(sources)
    S_FTI = np.empty((n_frequencies, n_frames, n_images), X_FTM.dtype)
    for f in prange(n_frequencies):
        P_NT = np.empty((n_sources, n_frames), H_NKT.dtype)
        for n in range(n_sources):
            np.dot(W_NFK[n, f], H_NKT[n], P_NT[n])
        z_M = np.empty(n_mics, np.complex128)
        y_M = np.empty(n_mics)
        for t in range(n_frames):
            for m in range(n_mics):
                z = 0j
                for j in range(n_mics):
                    z += Q_FMM[f, m, j] * X_FTM[f, t, j]
                y = TINY
                for n in range(n_sources):
                    y += P_NT[n, t] * G_NM[n, m]
                z_M[m] = z
                y_M[m] = y
            for i in range(n_images):
                n = sources[i]
                image = 0j
                for m in range(n_mics):
                    share = (P_NT[n, t] * G_NM[n, m] + TINY / n_sources) / y_M[m]
                    image += P_FMM[f, mics[i], m] * share * z_M[m]
                S_FTI[f, t, i] = image
    return S_FTI
