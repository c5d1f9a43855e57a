"""How far a demixing matrix may go from where its prior put it: a robust empirical-Bayes prior on Q.

A few seconds of music are hardly enough to learn a filter at every frequency, and the filter of greatest likelihood
explains the mixture rather than separates the players.  So each row m of ``U = Q Q₀⁻¹``, scaled to 1 at its own place,
has Student-t distributed deviations u_mj from the identity.  Their variance is not chosen but learned, per pair of rows
and per band of frequencies, from how far the rows went (expectation-maximisation with the posterior variance of u):
where the solos predict the take Q stays with them, where a player has moved it follows the take.  A gain that was
changed after the solos is no movement: the gains that leave the smallest deviations are learned as well.

The update of a row lives in `mnmf.kernels.fastmnmf2`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._threads import by_rows, in_blocks, share_out
from mnmf.kernels.fastmnmf2 import PullArrays
from mnmf.models._bands import bands

__all__ = ["Pull"]

Array = NDArray[Any]

SPREAD = 0.1  # variance of a deviation to begin with: bleed about 10 dB below the own sound
LEAST_SPREAD = 1e-6
DEGREES = 4.0  # of freedom of the t distribution: few, so that single frequencies may go far
OVERLAP = 2.0  # frames that count as one observation, because neighbouring frames share samples
BEFORE_LEARNING = 3  # the first iteration after which the variance is learned
BANDS_PER_OCTAVE = 3
NARROWEST = 24  # frequencies in a band
ENOUGH = 1024  # frequencies from which changes of gain are learned, at most
MOST_EFFECTS = 2**20  # limit on the size of the Jacobian of the deviations by gain, (F, M, M, M)


class Pull:
    """The prior of the rows of Q around `Q_FMM`, and its variance, which is learned.

    Parameters
    ----------
    Q_FMM : complex128, shape (F, M, M)
        Where the rows are pulled to.
    own : int (M,)
        For each row the microphone at which its source keeps its level: rows are rescaled to that.
    n_frames : int
        Frames of the mixture T.

    Attributes
    ----------
    arrays : PullArrays
        What `frequency_pass` needs and writes.
    gains_M : float64, shape (M,)
        By which factor each microphone's gain has changed since `Q_FMM` was learned, up to one factor for all.
    """

    def __init__(self, Q_FMM: Array, own: Array, n_frames: int) -> None:
        mixing_FMM = by_rows(np.linalg.inv, Q_FMM)
        scale_FM = mixing_FMM[:, own, np.arange(len(own))]
        # A row that its own microphone does not hear keeps its scale.
        scale_FM = np.where(np.abs(scale_FM) > 1e-6, scale_FM, 1.0)
        F, M = scale_FM.shape
        self._own = np.asarray(own)
        self.gains_M = np.ones(M)
        self._edges = bands(F, BANDS_PER_OCTAVE, NARROWEST)
        self._spread_BMM = np.full((len(self._edges) - 1, M, M), SPREAD)
        self._iterations = 0
        self.arrays = PullArrays(
            Q_FMM * scale_FM[:, :, None],
            mixing_FMM / scale_FM[:, None, :],
            np.full((F, M, M), 1 / SPREAD),
            np.zeros((F, M, M), np.complex128),
            np.zeros((F, M, M)),
            n_frames / OVERLAP,
        )

    def learn(self) -> None:
        """Learn the variances, and changes of gain, from where the last iteration put the rows."""
        self._iterations += 1
        if self._iterations < BEFORE_LEARNING:
            return
        share_out(self._learn_band, len(self._spread_BMM))
        self._learn_gains()

    def _learn_band(self, b: int) -> None:
        """Learn the variance of a band."""
        band = slice(self._edges[b], self._edges[b + 1])
        deviation_FMM = self.arrays.deviation_FMM[band]
        square_FMM = deviation_FMM.real**2 + deviation_FMM.imag**2 + self.arrays.variance_FMM[band]
        weighted_FMM = square_FMM * (DEGREES + 1) / (DEGREES + square_FMM / self._spread_BMM[b])
        sum_MM = np.add.reduceat(weighted_FMM, [0], axis=0)[0]
        self._spread_BMM[b] = np.maximum(sum_MM / len(square_FMM), LEAST_SPREAD)
        self.arrays.precision_FMM[band] = (DEGREES + 1) / (DEGREES * self._spread_BMM[b] + square_FMM)

    def _learn_gains(self) -> None:
        """Move Q₀ to the gains at which the deviations would have been smallest.

        Microphones whose gains changed by factors 1 + ε_k since Q₀ was learned make ``u_mj = − Σ_k ε_k q_mk a_kj``, to
        first order, with q and a of Q₀ and its inverse: a weighted least-squares problem in as many unknowns as there
        are microphones, for which a part of the frequencies is enough.
        """
        F, M, _ = self.arrays.base_FMM.shape
        some = slice(None, None, -(-F // max(min(ENOUGH, MOST_EFFECTS // M**3), 1)))
        base, mixing = self.arrays.base_FMM[some], self.arrays.mixing_FMM[some]
        weight = self.arrays.precision_FMM[some] * (1 - np.eye(M))
        effect = base[:, :, None, :] * np.swapaxes(mixing, 1, 2)[:, None, :, :]  # (F, M, M, M): of gain k on u_mj
        normal = np.einsum("fmjk,fmj,fmjl->kl", effect.conj(), weight, effect, optimize=True).real
        target = -np.einsum(
            "fmjk,fmj,fmj->k", effect.conj(), weight, self.arrays.deviation_FMM[some], optimize=True
        ).real
        # A factor common to all gains has no effect, and where Q₀ demixes nothing no gain has one.
        ridge = 1e-3 * np.trace(normal) / M + self.arrays.n_frames
        change = np.linalg.solve(normal + ridge * np.eye(M), target)
        gains = np.exp(np.clip(change - change.mean(), -0.5, 0.5))
        self.gains_M *= gains

        def move(block: slice) -> None:
            base, mixing = self.arrays.base_FMM[block], self.arrays.mixing_FMM[block]
            base /= gains
            mixing *= gains[:, None]
            base *= gains[self._own][:, None]
            mixing /= gains[self._own]

        in_blocks(move, self.arrays.base_FMM)
