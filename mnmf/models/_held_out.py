"""How well covariances from elsewhere predict frames that they were not fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import check_count
from mnmf.kernels import logdet
from mnmf.kernels._threads import in_blocks
from mnmf.models.fullrank import log_det_floors
from mnmf.priors import Prior

__all__ = ["held_out_misfit"]

Array = NDArray[Any]

UPDATES = 6  # of the covariances; they have settled by then
LOADING = 1e-2  # of the mean eigenvalue, added to each covariance: what is 20 dB below the source tells nothing of it


def held_out_misfit(X_FTM: Array, prior: Prior, R_NFMM: Array, block: int = 6) -> Array:
    """Return by how much given covariances predict a take worse than those that the take itself teaches.

    The covariances are fitted to every other block of frames under the log-determinant divergence, with W and H held.
    Then, source by source, the given one takes the place of the fitted one, at its level, and the log-likelihoods of
    the other frames are compared; both ways round.  On the frames they were fitted to, the fitted ones always win.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the take.
    prior : Prior
        With W, H and R as a fit of the take gives them (`FastMNMF2.as_full_rank`).
    R_NFMM : complex, shape (N, F, M, M)
        The given covariances.
    block : int
        Frames of a block.

    Returns
    -------
    misfit_NF : float64, shape (N, F)
        Nats a frame; negative where the given covariance predicts better.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Prior
    >>> from mnmf.models import held_out_misfit
    >>> rng = np.random.default_rng(0)
    >>> noise_FTN = rng.standard_normal((4, 80, 2)) + 1j * rng.standard_normal((4, 80, 2))
    >>> s_FTN = noise_FTN * np.sqrt(rng.gamma(0.3, size=(1, 80, 2)))
    >>> A_MN = np.array([[1, 0.3], [0.3, 1]])
    >>> true_NMM = np.array([np.outer(a, a) + 0.01 * np.eye(2) for a in A_MN.T])
    >>> true_NFMM = np.tile(true_NMM[:, None] + 0j, (1, 4, 1, 1))
    >>> known = Prior(W=np.ones((2, 4, 1)), H=np.mean(np.abs(s_FTN) ** 2, axis=0).T[:, None], R=true_NFMM)
    >>> X_FTM = s_FTN @ A_MN.T + 0.1 * rng.standard_normal((4, 80, 2)) * np.abs(s_FTN).sum(axis=2, keepdims=True)
    >>> bool(held_out_misfit(X_FTM, known, true_NFMM).max() < held_out_misfit(X_FTM, known, true_NFMM[::-1]).min())
    True
    """
    check_count("block", block)
    W_NFK, H_NKT = (np.array(value, np.float64, order="C") for value in (prior.W, prior.H))
    fitted_FNMM = np.ascontiguousarray(np.swapaxes(np.asarray(prior.R, np.complex128), 0, 1))
    F, T, _ = X_FTM.shape
    misfit_NF = np.zeros((len(W_NFK), F))
    power_F = np.mean(np.square(np.abs(X_FTM), dtype=np.float64), axis=(1, 2))
    floor_F = log_det_floors(power_F)
    odd_T = (np.arange(T) // block) % 2 == 1
    for fit_T in (odd_T, ~odd_T):
        if fit_T.all() or not fit_T.any():
            continue
        R_FNMM = fitted_FNMM.copy()
        seen_FTM, seen_NKT = np.ascontiguousarray(X_FTM[:, fit_T]), np.ascontiguousarray(H_NKT[:, :, fit_T])
        for _ in range(UPDATES):
            logdet.sweep(seen_FTM, W_NFK, seen_NKT, R_FNMM, floor_F, False, True, False)
        unseen_FTM = X_FTM[:, ~fit_T]
        P_NFT = W_NFK @ H_NKT[:, :, ~fit_T]
        base_F = _log_likelihood(unseen_FTM, P_NFT, R_FNMM, floor_F)
        for n in range(len(W_NFK)):
            level_F = np.einsum("fmm->f", R_FNMM[:, n]).real / np.einsum("fmm->f", R_NFMM[n]).real
            other_FNMM = R_FNMM.copy()
            other_FNMM[:, n] = R_NFMM[n] * level_F[:, None, None]
            misfit_NF[n] += base_F - _log_likelihood(unseen_FTM, P_NFT, other_FNMM, floor_F)
    return np.asarray(misfit_NF / T)


def _log_likelihood(X_FTM: Array, P_NFT: Array, R_FNMM: Array, floor_F: Array) -> Array:
    """Return that of each frequency, (F,), up to a constant, every covariance loaded with a part of the identity."""
    F, T, M = X_FTM.shape
    level_FN = np.einsum("fnmm->fn", R_FNMM).real / M
    R_FNMM = R_FNMM + LOADING * level_FN[..., None, None] * np.eye(M)

    def total(block: slice) -> Array:
        model_FTMM = np.einsum("nft,fnij->ftij", P_NFT[:, block], R_FNMM[block])
        model_FTMM += floor_F[block, None, None, None] * np.eye(M)
        X_BTM = X_FTM[block]
        fit_FTM = np.linalg.solve(model_FTMM, X_BTM.astype(np.complex128)[..., None])[..., 0]
        fit_FP = np.ascontiguousarray(X_BTM.conj() * fit_FTM).reshape(len(X_BTM), -1)
        return np.asarray(-np.sum(np.linalg.slogdet(model_FTMM)[1], axis=1) - np.sum(fit_FP, axis=1).real)

    as_large = np.broadcast_to(X_FTM[..., None], (F, T, M, M))  # as what is made of a block
    return np.concatenate(in_blocks(total, as_large))
