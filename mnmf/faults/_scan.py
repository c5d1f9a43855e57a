"""What each microphone is by itself, from one walk through the whole take: levels, clipping, and where it is muted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.rows import BLOCK, Rows
from mnmf.take import Still, Stretches, muted, shortest_mute

__all__ = ["FRAME", "Clipped", "Scan", "scan"]

Array = NDArray[Any]

FRAME = 0.05  # seconds, of which levels are kept
AT_A_TIME = 1 << 23  # values that are read at a time, at most, where there are many microphones
PART = 1 << 14  # samples that are looked at at a time
FLAT = 3  # samples of a flat top, at least
ALIKE = 1e-6  # of the level: samples of a flat top differ by no more
STEP = 1e-3  # of the level: a top that is cut off is left by a larger step, and a round one by a smaller
STEPS = 4  # and in steps of the sample format
SOME = 10  # samples in flat tops, or
RUNS = 3  # flat tops: fewer are nothing to speak of


@dataclass(frozen=True)
class Clipped:
    """Flat tops of a microphone: at which level, how many, of how many samples together, and where the first one is."""

    level: float
    runs: int
    samples: int
    first: int


@dataclass(frozen=True, eq=False)
class Scan:
    """What one walk through a take tells.

    Attributes
    ----------
    n_samples, sample_rate : int
    offset_M, rms_M, peak_M : float, shape (M,)
        The mean, the RMS about it and the largest absolute sample; mean and RMS where a microphone is not muted.
    clipped : tuple of Clipped or None
        For each microphone.
    muted : tuple of tuples of (start, stop)
        As `Take.muted`.
    energy_TM : float32, shape (T, M)
        The mean square of differences of neighbouring samples, in frames of `FRAME`; differences keep hum and offset
        out of it.
    """

    n_samples: int
    sample_rate: int
    offset_M: Array
    rms_M: Array
    peak_M: Array
    clipped: tuple[Clipped | None, ...]
    muted: Stretches
    energy_TM: Array

    @property
    def frame(self) -> int:
        """Samples of a frame of `energy_TM`."""
        return frame_of(self.sample_rate)


def frame_of(sample_rate: float) -> int:
    """Return the samples of a frame."""
    return max(round(FRAME * sample_rate), 2)


def scan(x_LM: Array | Rows, sample_rate: int, progress: Callable[[float], Any] | None = None) -> Scan:
    """Walk through a take once; tell `progress` which part of it is done."""
    L, M = x_LM.shape
    frame = frame_of(sample_rate)
    length = max(min(BLOCK, AT_A_TIME // M) // frame, 1) * frame
    still, tops = Still(M, shortest_mute(sample_rate)), [_Tops() for _ in range(M)]
    pivot_M1: Any = None
    sums, squares, energies = [], [], []
    last_M1: Any = None
    for first, block_MB in _parts(x_LM, length, max(PART // frame, 1) * frame):
        if progress is not None and first % length == 0:
            progress(first / L)
        if pivot_M1 is None:  # near the mean, so that nothing is lost where an offset is large
            pivot_M1 = block_MB.mean(axis=1, keepdims=True, dtype=np.float64).astype(block_MB.dtype)
            last_M1 = block_MB[:, :1]
        still.see(block_MB)
        for top, x_B in zip(tops, block_MB):
            top.see(x_B)
        steps_MB = np.empty_like(block_MB)
        np.subtract(block_MB[:, :1], last_M1, out=steps_MB[:, :1])
        np.subtract(block_MB[:, 1:], block_MB[:, :-1], out=steps_MB[:, 1:])
        energies.append(_in_frames(steps_MB, frame, square=True))
        last_M1 = block_MB[:, -1:].copy()
        block_MB -= pivot_M1
        sums.append(_in_frames(block_MB, frame))
        squares.append(_in_frames(block_MB, frame, square=True))
    silences = muted(still.stretches(), L)
    counts_T = np.full(-(-L // frame), frame)
    counts_T[-1] = L - frame * (len(counts_T) - 1)
    heard_MT = np.ones((M, len(counts_T)), bool)
    for m, spans in enumerate(silences):
        for start, stop in spans:
            heard_MT[m, start // frame : -(-stop // frame)] = False
        if not heard_MT[m].any():
            heard_MT[m] = True
    count_M = heard_MT @ counts_T
    mean_M, square_M = (
        np.einsum("mt,mt->m", np.concatenate(each, axis=1, dtype=np.float64), heard_MT) / count_M
        for each in (sums, squares)
    )
    return Scan(
        L,
        sample_rate,
        mean_M + pivot_M1[:, 0].astype(np.float64),
        np.sqrt(np.maximum(square_M - mean_M**2, 0.0)),
        np.array([top.peak for top in tops]),
        tuple(top.clipped() for top in tops),
        silences,
        np.asarray((np.concatenate(energies, axis=1) / counts_T).T, np.float32),
    )


def _parts(x_LM: Array | Rows, length: int, part: int) -> Iterator[tuple[int, Array]]:
    """Yield a take in parts that a processor's cache holds, (M, B), of larger blocks that are read at a time.

    Each with the number of its first sample.
    """
    for first in range(0, len(x_LM), length):
        block = np.asarray(x_LM[first : first + length])
        for start in range(0, len(block), part):
            yield first + start, np.array(block[start : start + part].T, order="C")


def _in_frames(x_MB: Array, frame: int, square: bool = False) -> Array:
    """Return the sum over samples, or over their squares, of every frame of a block, (M, T)."""
    M, B = x_MB.shape
    if B % frame:
        x_MB = np.pad(x_MB, ((0, 0), (0, frame - B % frame)))
    x_MTB = x_MB.reshape(M, -1, frame)
    with np.errstate(under="ignore"):
        return np.asarray(np.einsum("mtb,mtb->mt", x_MTB, x_MTB) if square else x_MTB.sum(axis=2))


class _Tops:
    """Looks for flat tops on both sides of a microphone's sound: runs of equal samples at its extremes."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._sides = (_Side(), _Side())
        self._seen = 0

    def see(self, x_B: Array) -> None:
        high, low = float(x_B.max()), float(x_B.min())
        self.peak = max(self.peak, high, -low)
        for side, extreme, x in ((self._sides[0], high, x_B), (self._sides[1], -low, None)):
            if extreme > 0 and extreme >= side.level * (1 - ALIKE):
                side.see(-x_B if x is None else x, extreme, self._seen)
        self._seen += len(x_B)

    def clipped(self) -> Clipped | None:
        sides = [side for side in self._sides if side.runs and side.level > 0.5 * self.peak]
        runs, samples = sum(side.runs for side in sides), sum(side.samples for side in sides)
        if runs < RUNS and samples < SOME:
            return None
        return Clipped(max(side.level for side in sides), runs, samples, min(side.first for side in sides))


class _Side:
    """The flat tops at the highest level so far."""

    def __init__(self) -> None:
        self.level = 0.0
        self.runs = self.samples = self.first = 0

    def see(self, x_B: Array, high: float, seen: int) -> None:
        if high > self.level * (1 + ALIKE):
            self.level, self.runs, self.samples = high, 0, 0
        at = np.flatnonzero(x_B >= self.level * (1 - ALIKE))
        if len(at) < FLAT:
            return
        cuts = np.flatnonzero(np.diff(at) > 1) + 1
        starts, stops = at[np.concatenate([[0], cuts])], at[np.concatenate([cuts - 1, [len(at) - 1]])] + 1
        inside = (stops - starts >= FLAT) & (starts > 0) & (stops < len(x_B))
        starts, stops = starts[inside], stops[inside]
        if not len(starts):
            return
        step = np.maximum(self.level - x_B[starts - 1], self.level - x_B[stops])
        flat = step >= max(STEP * self.level, STEPS * _quantum(x_B, int(starts[0])))
        if flat.any():
            self.first = self.first if self.runs else seen + int(starts[flat][0])
            self.runs += int(flat.sum())
            self.samples += int((stops - starts)[flat].sum())


def _quantum(x_B: Array, around: int) -> float:
    """Return the smallest step between samples, near one of them."""
    steps = np.abs(np.diff(x_B[max(around - 2048, 0) : around + 2048]))
    return float(np.min(steps[steps > 0], initial=np.inf)) if np.any(steps > 0) else 0.0
