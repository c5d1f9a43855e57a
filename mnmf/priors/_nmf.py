"""Single-channel NMF, by which bases are learned from passages of one source."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels import one_blas_thread
from mnmf.kernels.beta import TINY, update_rows

__all__ = ["nmf"]

Array = NDArray[Any]


def nmf(
    V_FT: Array, n_components: int, *, beta: float, n_iterations: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Factorise a spectrogram, ``V ≈ W H``, under the β-divergence (Févotte and Idier 2011).

    Parameters
    ----------
    V_FT : float, shape (F, T), non-negative
    n_components : int
        Number of bases K.
    beta : float
        2: Euclidean, 1: Kullback-Leibler, 0: Itakura-Saito.
    n_iterations : int
        Updates of H and of W.
    rng : numpy.random.Generator
        Draws the start, uniform between 0.5 and 1.5.

    Returns
    -------
    W_FK, H_KT : float64
        Columns of `W_FK` sum to 1, or to 0 where the spectrogram has nothing for them.
    """
    V_FT = np.ascontiguousarray(V_FT, np.float64)
    V_TF = np.ascontiguousarray(V_FT.T)
    F, T = V_FT.shape
    W_FK = rng.uniform(0.5, 1.5, (F, n_components))
    H_TK = rng.uniform(0.5, 1.5, (T, n_components))
    with one_blas_thread():
        for _ in range(n_iterations):
            H_TK = update_rows(V_TF, H_TK, np.ascontiguousarray(W_FK.T), W_FK, beta)
            W_FK = update_rows(V_FT, W_FK, np.ascontiguousarray(H_TK.T), H_TK, beta)
            scale_K = W_FK.sum(axis=0)
            W_FK = W_FK / np.maximum(scale_K, TINY)
            H_TK = H_TK * scale_K
    return W_FK, np.ascontiguousarray(H_TK.T)
