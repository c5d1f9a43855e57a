"""What several parts of a recording teach of one room: the mean of what was fitted to each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._threads import by_rows
from mnmf.models.fastmnmf2 import SINGULAR, FastMNMF2
from mnmf.models.fullrank import FullRankMNMF
from mnmf.priors._spot import demixing_start
from mnmf.spots import Spots

__all__ = ["PooledCovariances", "PooledDemixing", "pool_for"]

Array = NDArray[Any]

LEAST = 1e-200


class PooledCovariances:
    """The mean of the spatial covariances of models that were fitted to several parts of one recording.

    Each source counts at each frequency by the sum over frames of its amplitude in that part, so that little is learned
    of it where it rests.  Models are not kept.

    Parameters
    ----------
    total : complex128, shape (N, F, M, M), optional
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

    teaches = "R"

    def __init__(self, total: Any = 0.0) -> None:
        self.total: Any = total

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
        self.total = self.total + scale_NF[..., None, None] * model.R_

    def mean(self) -> Array:
        """Return it, complex128 (N, F, M, M), of trace M."""
        level_NF = np.einsum("nfmm->nf", self.total).real / self.total.shape[2]
        return np.asarray(self.total / np.where(level_NF > 0, level_NF, 1.0)[..., None, None])


class PooledDemixing:
    """The demixing matrices to the mean of the mixing matrices of models that were fitted to parts of one recording.

    Column m of a mixing matrix ``Q⁻¹``, 1 at the spot of row m, says how what the row lets through reaches the
    microphones.  It counts by the sum over frames of the amplitude that it has there, as `PooledCovariances` do.

    Parameters
    ----------
    total : complex128, shape (F, M, M), optional
        What the attribute of that name was, to go on from there; nothing yet if not given.

    Examples
    --------
    >>> from mnmf import FastMNMF2, Prior
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 40, 2)) + 1j * rng.standard_normal((5, 40, 2))
    >>> pooled = PooledDemixing(spots=(0, 1))
    >>> for part_FTM in (X_FTM[:, :20], X_FTM[:, 20:]):
    ...     pooled.add(FastMNMF2(2, 3).fit(part_FTM, Prior(spots=(0, 1))))
    >>> pooled.mean().shape
    (5, 2, 2)
    """

    teaches = "Q"

    def __init__(self, spots: Sequence[int | Sequence[int]], total: Any = 0.0) -> None:
        self.spots = Spots(spots)
        self.total: Any = total

    def add(self, model: FastMNMF2, weight: float = 1.0) -> None:
        """Take in a fitted model, as `PooledCovariances.add`."""
        mixing_FMM = by_rows(np.linalg.inv, model.Q_)
        M = mixing_FMM.shape[1]
        at_spot_FM = mixing_FMM[:, self.spots.order(M), range(M)]
        weight_FM = np.empty(at_spot_FM.shape)
        for f, level_M in enumerate(np.abs(at_spot_FM)):  # one at a time, for memory
            power_MT = model.G_.T @ np.stack([W_K @ H_KT for W_K, H_KT in zip(model.W_[:, f], model.H_)])
            weight_FM[f] = np.sqrt(power_MT).sum(axis=1) * level_M
        scale_FM = np.maximum(weight * weight_FM, LEAST) / np.where(at_spot_FM == 0, 1.0, at_spot_FM)
        self.total = self.total + mixing_FMM * scale_FM[:, None, :]

    def mean(self) -> Array:
        """Return them, complex128 (F, M, M); where the mean cannot be inverted, Q demixes nothing."""
        M = self.total.shape[1]
        weight_FM = self.total[:, self.spots.order(M), range(M)]
        mixing_FMM = self.total / np.where(weight_FM == 0, 1.0, weight_FM)[:, None, :]
        singular_F = by_rows(np.linalg.cond, mixing_FMM) > SINGULAR
        mixing_FMM[singular_F] = np.eye(M)
        Q_FMM = by_rows(np.linalg.inv, mixing_FMM)
        Q_FMM[singular_F] = demixing_start(self.spots, *Q_FMM.shape[:2])[singular_F]
        return np.asarray(Q_FMM)


def pool_for(model: Any, spots: Spots, total: Any = 0.0) -> PooledCovariances | PooledDemixing:
    """Return what takes in models of the kind of `model`, with what it has taken in so far.

    Examples
    --------
    >>> from mnmf import FastMNMF2
    >>> pool_for(FastMNMF2(), Spots((0, 1))).teaches
    'Q'
    """
    return PooledDemixing(spots, total) if isinstance(model, FastMNMF2) else PooledCovariances(total)
