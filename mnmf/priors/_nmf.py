"""Single-channel NMF, with which priors learn the bases of one source; the models themselves do not use it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels import one_blas_thread
from mnmf.kernels.beta import floor_of, update_columns, update_rows

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
    W_FK, H_KT : float32 if `V_FT` is, else float64
        Columns of `W_FK` sum to 1, or to 0 where the spectrogram has nothing for them.
    """
    kind: Any = np.float32 if V_FT.dtype == np.float32 else np.float64
    mean = float(np.mean(V_FT, dtype=np.float64))
    mean = mean if mean > np.finfo(kind).tiny else 1.0  # what is fainter than numbers can be told apart is silence
    V_FT = np.ascontiguousarray(V_FT, kind) / kind(mean)  # near 1, where single precision neither over- nor underflows
    F, T = V_FT.shape
    W_FK: Any = rng.uniform(0.5, 1.5, (F, n_components)).astype(kind)
    H_TK: Any = (rng.uniform(0.5, 1.5, (T, n_components)) / mean).astype(kind)
    with one_blas_thread():
        for _ in range(n_iterations):
            H_TK = update_columns(V_FT, W_FK, H_TK, beta)
            W_FK = update_rows(V_FT, W_FK, H_TK, beta)
            scale_K = W_FK.sum(axis=0)
            W_FK /= np.maximum(scale_K, floor_of(kind))
            H_TK *= scale_K
    return W_FK, np.ascontiguousarray(H_TK.T) * kind(mean)
