"""Excerpts of a take at a low rate: enough to tell what happens between microphones, and little to be quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import firwin, resample_poly

from mnmf.rows import Rows

__all__ = ["Excerpts", "excerpts_of", "windows"]

Array = NDArray[Any]

RATE = 11025.0  # hertz, at least, and less than twice that
PARTS = 8  # excerpts of a long take, from its start to its end
SECONDS = 1440.0  # of all microphones together, but of each
SHORTEST, LONGEST = 48.0, 120.0  # at least, and at most
SHORT = 6  # taps on each side, in samples of the low rate


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Parts of a take at a low rate.

    Attributes
    ----------
    parts : tuple of float32 arrays, shape (L', M)
    starts : tuple of float
        Where each begins, in seconds.
    rate : float
        In hertz.
    duration : float
        Of the take, in seconds.
    """

    parts: tuple[Array, ...]
    starts: tuple[float, ...]
    rate: float
    duration: float

    @property
    def seconds(self) -> float:
        """Of all parts together."""
        return sum(map(len, self.parts)) / self.rate

    @property
    def n_mics(self) -> int:
        """Number of microphones."""
        return int(self.parts[0].shape[1])

    def of(self, mics: list[int]) -> Excerpts:
        """Return the same of some microphones."""
        return Excerpts(tuple(part[:, mics] for part in self.parts), self.starts, self.rate, self.duration)


def excerpts_of(x_LM: Array | Rows, sample_rate: int) -> Excerpts:
    """Return a take that is short as a whole, and of a long one some parts."""
    L, M = x_LM.shape
    factor = max(int(sample_rate // RATE), 1)
    most = round(min(max(SECONDS / M, SHORTEST), LONGEST) * sample_rate)
    length, starts = L, [0]
    if most < L:
        length = most // PARTS
        starts = [round(k * (L - length) / (PARTS - 1)) for k in range(PARTS)]
    taps = firwin(2 * SHORT * factor + 1, 0.9 / factor) if factor > 1 else None
    parts = []
    for start in starts:
        columns = []
        x_SM = np.asarray(x_LM[start : start + length])  # read once, for files of many mics
        for m in range(M):
            x_L = np.asarray(x_SM[:, m], np.float32)
            x_L = x_L - x_L.mean(dtype=np.float64).astype(np.float32)
            columns.append(x_L if taps is None else resample_poly(x_L, 1, factor, window=taps))
        parts.append(np.stack(columns, axis=1).astype(np.float32))
    rate = sample_rate / factor
    return Excerpts(tuple(parts), tuple(start / sample_rate for start in starts), rate, L / sample_rate)


def windows(x_LM: Array, length: int, hop: int, bins: Array) -> Array:
    """Return some bins of Hann windows, complex64 (T, F, M); none where the sound is shorter than a window."""
    taper = np.hanning(length + 1)[:-1].astype(np.float32)
    starts = range(0, len(x_LM) - length + 1, hop)
    X_TFM = np.empty((len(starts), len(bins), x_LM.shape[1]), np.complex64)
    for t, start in enumerate(starts):
        X_TFM[t] = rfft(x_LM[start : start + length] * taper[:, None], axis=0)[bins]
    return X_TFM
