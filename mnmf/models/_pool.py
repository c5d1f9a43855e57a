"""What several parts of a recording teach of one room: the mean of the covariances that were fitted to each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.models.fullrank import FullRankMNMF

__all__ = ["PooledCovariances"]

Array = NDArray[Any]

LEAST = 1e-200


class PooledCovariances:
    """The mean of the spatial covariances of models that were fitted to several parts of one recording.

    Each source counts at each frequency by the sum over frames of its amplitude in that part, so that little is learned
    of it where it rests.  Models are not kept.

    Parameters
    ----------
    total_NFMM : complex128, shape (N, F, M, M), optional
        What the attribute of that name was, to go on from there; nothing yet if not given.

    Examples
    --------
    >>> from mnmf import FullRankMNMF, Prior
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 40, 2)) + 1j * rng.standard_normal((5, 40, 2))
    >>> pooled = PooledCovariances()
    >>> for part_FTM in (X_FTM[:, :20], X_FTM[:, 20:]):
    ...     pooled.add(FullRankMNMF(2, 3, divergence="log-det").fit(part_FTM, Prior(spots=(0, 1))))
    >>> pooled.mean().shape
    (2, 5, 2, 2)
    """

    def __init__(self, total_NFMM: Any = 0.0) -> None:
        self.total_NFMM: Any = total_NFMM

    def add(self, model: FullRankMNMF, weight: float = 1.0) -> None:
        """Take in the covariances of a fitted model, of the same sources, frequencies and microphones as before.

        Parameters
        ----------
        model : FullRankMNMF
        weight : float
            By which it counts besides, such as the part of its frames in which every microphone hears something.
        """
        level_NF = np.einsum("nfmm->nf", model.R_).real / model.R_.shape[2]
        weight_NF = np.stack([np.sqrt(W_FK @ H_KT).sum(axis=1) for W_FK, H_KT in zip(model.W_, model.H_)])
        weight_NF = np.maximum(weight * weight_NF, LEAST)  # who rests throughout counts alike in every part
        scale_NF = weight_NF / np.sqrt(np.where(level_NF > 0, level_NF, 1.0))
        self.total_NFMM = self.total_NFMM + scale_NF[..., None, None] * model.R_

    def mean(self) -> Array:
        """Return it, complex128 (N, F, M, M), of trace M."""
        level_NF = np.einsum("nfmm->nf", self.total_NFMM).real / self.total_NFMM.shape[2]
        return np.asarray(self.total_NFMM / np.where(level_NF > 0, level_NF, 1.0)[..., None, None])
