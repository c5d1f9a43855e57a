"""Microphones brought to one clock and one polarity before they are separated, and stems brought back afterwards.

An `Alignment` says by how much each microphone is late, and how that grows.  Whole samples and signs are exact both
ways.  A drift is undone by interpolation: twice the rate by a polyphase filter, then a spline between those samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter1d
from scipy.signal import firwin, resample_poly

from mnmf.rows import Rows

__all__ = ["Alignment"]

Array = NDArray[Any]

ORDER = 5  # of the spline
MARGIN = 64  # samples around a stretch that its interpolation depends on
AT_A_TIME = 1 << 18  # samples
TAPS = firwin(2 * MARGIN + 1, 0.5, window=("kaiser", 10.0))  # for twice the rate: flat up to 0.9 of the band


@dataclass(frozen=True)
class Alignment:
    """By how much each microphone is late, and whose polarity is flipped.

    Attributes
    ----------
    late_M : tuple of int
        Samples at the beginning of the files; earlier if negative.
    drift_M : tuple of float
        By how many samples a sample it gets later.
    sign_M : tuple of int
        -1 where the polarity is flipped, else 1.

    Examples
    --------
    >>> import numpy as np
    >>> alignment = Alignment((0, 2), (0.0, 0.0), (1, -1))
    >>> x_LM = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, -1.0], [4.0, -2.0]])
    >>> alignment.applied(x_LM)[:].tolist()  # what comes after the end of a file is not known
    [[1.0, 1.0], [2.0, 2.0], [3.0, 0.0], [4.0, 0.0]]
    >>> alignment.undone(np.array([10.0, 20.0, 0.0, 0.0]), 1)[:].tolist()
    [0.0, 0.0, -10.0, -20.0]
    """

    late_M: tuple[int, ...]
    drift_M: tuple[float, ...]
    sign_M: tuple[int, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to correct."""
        return any(self.late_M) or any(self.drift_M) or any(sign < 0 for sign in self.sign_M)

    def applied(self, x_LM: Array | Rows) -> Rows:
        """Return a take with all microphones as if they were on time; zeros where a file does not reach.

        Parameters
        ----------
        x_LM : float, shape (samples, mics), or Rows

        Returns
        -------
        Rows
            Of the same shape, made when they are asked for.
        """
        L = len(x_LM)

        def rows(start: int, stop: int, columns: list[int]) -> Array:
            moved = [self._at(x_LM, m, start, stop, self._forth(m)) for m in columns]
            return np.stack(moved, axis=1) if moved else np.empty((stop - start, 0), x_LM.dtype)

        return Rows((L, len(self.late_M)), x_LM.dtype, rows)

    def undone(self, y_L: Array | Rows, mic: int) -> Rows:
        """Return the sound of an aligned microphone as late as the microphone is, zeros where nothing is known."""

        def rows(start: int, stop: int) -> Array:
            return self._at(y_L, None, start, stop, self._back(mic))

        return Rows((len(y_L),), y_L.dtype, rows)

    def known(self, mic: int, n_samples: int) -> tuple[int, int]:
        """Return the samples of a microphone's file, from start to stop (exclusive), that the aligned take holds."""
        late, drift = self.late_M[mic], self.drift_M[mic]
        start, stop = late, (n_samples - 1) * (1 + drift) + late  # of aligned samples in the file
        return min(max(int(np.ceil(start)), 0), n_samples), min(max(int(np.floor(stop)) + 1, 0), n_samples)

    def _forth(self, mic: int) -> tuple[float, float, int]:
        """Return offset, slope and sign: aligned sample n is sample ``offset + slope n`` of the file."""
        return float(self.late_M[mic]), 1.0 + self.drift_M[mic], self.sign_M[mic]

    def _back(self, mic: int) -> tuple[float, float, int]:
        slope = 1.0 + self.drift_M[mic]
        return -self.late_M[mic] / slope, 1.0 / slope, self.sign_M[mic]

    @staticmethod
    def _at(x: Array | Rows, column: int | None, start: int, stop: int, line: tuple[float, float, int]) -> Array:
        """Return samples of an array at ``offset + slope n`` for n from start to stop, with a sign; else zeros."""
        offset, slope, sign = line
        made = np.zeros(max(stop - start, 0), x.dtype)

        def read(first: int, last: int) -> Array:
            """Return samples of which some may lie outside."""
            inside = np.zeros(last - first, x.dtype)
            low, high = max(first, 0), min(last, len(x))
            if low < high:
                inside[low - first : high - first] = x[low:high] if column is None else x[low:high, column]
            return inside

        if slope == 1.0:
            first = round(offset) + start
            made[:] = read(first, first + len(made))
        for at in range(0, len(made), AT_A_TIME) if slope != 1.0 else ():
            places = offset + slope * np.arange(start + at, start + min(at + AT_A_TIME, len(made)))
            first, last = int(np.floor(places[0])) - MARGIN, int(np.ceil(places[-1])) + MARGIN
            if last < 0 or first > len(x):
                continue
            double = resample_poly(read(first, last).astype(np.float64), 2, 1, window=TAPS)
            spline = spline_filter1d(double, ORDER)
            between = map_coordinates(spline, [2 * (places - first)], order=ORDER, prefilter=False, mode="nearest")
            between[(places < 0) | (places > len(x) - 1)] = 0.0
            made[at : at + len(places)] = between
        return made if sign > 0 else np.asarray(0 - made)  # no negative zeros
