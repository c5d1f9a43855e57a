"""How loud each player is in every other player's microphone, and in their stems.

Nobody knows the others' sound at a microphone but by what can be predicted from their stems.  In each frequency a
linear filter of a stem j explains ``|S_aj|² / S_jj`` of the power of another signal a, with S the cross spectra over
the frames of the take.  Over a finite number of frames anything explains something, so the same with the frames of j
moved by some seconds is subtracted; by how much it varies is what cannot be told from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["Bleed", "bleed_of", "pieces_of"]

Array = NDArray[Any]

WINDOW = 0.19  # seconds: long enough for most of a room's answer, short enough for many frames
PIECE, MOST_PIECES = 10.0, 18  # seconds of the take that are looked at in one go, and how many of them
LOWEST, HIGHEST = 60.0, 8000.0  # Hz
SHIFTS = 6  # by which frames are moved
DEVIATIONS = 2.0  # of what they explain: less cannot be told from nothing
MEMORY = 1 << 26  # bytes of cross spectra
FEWEST = 4  # frames of a piece
QUIET = 1e-10  # of the power of the loudest stem: silence


@dataclass(frozen=True, eq=False)
class Bleed:
    """Levels of players j in signals of players i, (N, N), in dB below player i's own sound there; NaN if unknown.

    Attributes
    ----------
    before_NN, after_NN : float
        In their microphones, and in their stems.
    least_before_NN, least_after_NN : float
        The least level that could have been told from nothing; where a level is not above it, it is that or less.
    before_N, after_N, least_after_N : float, shape (N,)
        The same of all others together.
    lost_N : float, shape (N,)
        How much of each player is in what was taken out of their own microphone, in dB below their stem; minus infinity
        for nothing that can be told.
    """

    before_NN: Array
    after_NN: Array
    least_before_NN: Array
    least_after_NN: Array
    before_N: Array
    after_N: Array
    least_after_N: Array
    lost_N: Array


def pieces_of(n_samples: int, sample_rate: int) -> list[tuple[int, int]]:
    """Return the stretches of a take, in samples, that are looked at: all of it, or some spread evenly.

    Examples
    --------
    >>> pieces_of(200, 10)
    [(0, 100), (100, 200)]
    >>> len(pieces_of(1_000_000, 10))
    18
    """
    length = max(round(PIECE * sample_rate), 1)
    count = max(n_samples // length, 1)
    if count <= MOST_PIECES:
        edges = np.linspace(0, n_samples, count + 1).astype(int)
        return list(zip(edges[:-1].tolist(), edges[1:].tolist()))
    starts = np.linspace(0, n_samples - length, MOST_PIECES).astype(int).tolist()
    return [(start, start + length) for start in starts]


def bleed_of(pieces: Iterable[tuple[Array, Array]], n_sources: int, sample_rate: int) -> Bleed:
    """Return the levels from pieces of what the spots heard and of the stems, (samples, N) each.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> stems_LN = rng.standard_normal((80000, 2))
    >>> spots_LN = stems_LN @ [[1.0, 0.0], [0.1, 1.0]]
    >>> found = bleed_of([(spots_LN, stems_LN)], 2, 8000)
    >>> float(found.before_NN.round(-1)[0, 1]), bool(found.after_NN[0, 1] < -30)
    (-20.0, True)
    """
    length = 1 << max(round(np.log2(WINDOW * sample_rate)), 4)
    total = _Sums.zero(n_sources, length, sample_rate)
    for spots_LN, stems_LN in pieces:
        if len(spots_LN) >= FEWEST * length:
            total.add(spots_LN, stems_LN)
    return total.levels()


@dataclass(eq=False)
class _Sums:
    """Sums over frames: cross spectra of all signals with the stems, as they are and moved, and powers of the stems."""

    length: int
    bins: Array
    cross_KFAN: Array
    power_FN: Array

    @classmethod
    def zero(cls, n: int, length: int, sample_rate: int) -> _Sums:
        frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
        inside = np.flatnonzero((frequencies >= LOWEST) & (frequencies <= HIGHEST))
        most = max(MEMORY // ((SHIFTS + 1) * 2 * n * n * 8), 1)
        bins = inside[:: max(-(-len(inside) // most), 1)]
        zero = np.zeros((SHIFTS + 1, len(bins), 2 * n, n), np.complex64)
        return cls(length, bins, zero, np.zeros((len(bins), n)))

    def add(self, spots_LN: Array, stems_LN: Array) -> None:
        both_FAT = np.concatenate([self._spectra(spots_LN), self._spectra(stems_LN)], axis=1)
        stems_FTN = both_FAT[:, spots_LN.shape[1] :].conj().swapaxes(1, 2)
        T = both_FAT.shape[2]
        self.power_FN += np.square(np.abs(stems_FTN), dtype=np.float64).sum(axis=1)
        for k in range(SHIFTS + 1):
            self.cross_KFAN[k] += both_FAT @ np.roll(stems_FTN, k * T // (SHIFTS + 1), axis=1)

    def _spectra(self, x_LN: Array) -> Array:
        """Return the frames of signals at the bins that are looked at, (F, N, T)."""
        frames_TLN = np.lib.stride_tricks.sliding_window_view(x_LN, self.length, axis=0)[:: self.length // 2]
        window = np.hanning(self.length).astype(np.float32)
        spectra = [
            scipy.fft.rfft(np.asarray(frames_TLN[:, n], np.float32) * window)[:, self.bins].T
            for n in range(x_LN.shape[1])
        ]
        return np.stack(spectra, axis=1)

    def levels(self) -> Bleed:
        N = self.power_FN.shape[1]
        own_N = self.power_FN.sum(axis=0)
        sounds_N = own_N > QUIET * own_N.max(initial=0.0)
        powers_FN = np.where(self.power_FN > 0, self.power_FN, np.inf)
        explained_KAN = np.einsum("kfan,fn->kan", np.square(np.abs(self.cross_KFAN)), 1 / powers_FN)
        own = np.arange(N)
        rest_KFN = self.cross_KFAN[:, :, own, own] - self.cross_KFAN[:, :, N + own, own]
        lost_KN = np.einsum("kfn,fn->kn", np.square(np.abs(rest_KFN)), 1 / powers_FN)
        explained_KAN[:, np.arange(2 * N), np.tile(own, 2)] = 0.0
        explained_KAN[:, :, ~sounds_N] = 0.0
        level_AN, least_AN = _told(explained_KAN, np.tile(own_N, 2)[:, None])
        for each_AN in (level_AN, least_AN):
            each_AN[np.arange(2 * N), np.tile(own, 2)] = np.nan
            each_AN[:, ~sounds_N] = np.nan
            each_AN[~np.tile(sounds_N, 2)] = np.nan
        all_A, least_A = _told(explained_KAN.sum(axis=2), np.tile(own_N, 2))
        lost_N, least_lost_N = _told(lost_KN, own_N)
        lost_N = np.where(sounds_N & (lost_N > least_lost_N), lost_N, -np.inf)
        pairs = level_AN[:N], level_AN[N:], least_AN[:N], least_AN[N:]
        return Bleed(*pairs, all_A[:N], all_A[N:], least_A[N:], lost_N)


def _told(explained_K: Array, own: Array) -> tuple[Array, Array]:
    """Return the level of what is explained beyond chance, and of the least that can be told from it, in dB."""
    chance, spread = explained_K[1:].mean(axis=0), explained_K[1:].std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found, least = (
            10 * np.log10(np.maximum(each, 0) / own) for each in (explained_K[0] - chance, DEVIATIONS * spread)
        )
    return found, least
