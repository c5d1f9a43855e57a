"""Where to listen: the stretch in which most players play, and the places where the model has to guess."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.report._measures import QUIET, Levels

__all__ = ["Place", "buried", "excerpts", "muted"]

Array = NDArray[Any]

PLAYS = 1e-3  # of the power that a stem exceeds in a twentieth of the take: less is a rest
SPEAKS = 1e-2  # the same, where it would be heard that the model guesses
BURIED = 12.0  # dB by which the others are louder at a player's own microphone
SHORTEST = 0.8  # seconds
GAP = 0.6  # seconds between two places that are one
MOST = 3  # places of a player
ENOUGH = 0.25  # of an excerpt, in which a player should play


@dataclass(frozen=True)
class Place:
    """A stretch of the take, in seconds, and a number that goes with it."""

    start: float
    stop: float
    value: float


def excerpts(levels: Levels, seconds: float, duration: float) -> list[tuple[float, float]]:
    """Return for each source the stretch to listen to, in seconds: where most play, or where it plays at all.

    Examples
    --------
    >>> stems_TN = np.zeros((100, 2), np.float32)
    >>> stems_TN[40:60, 0] = stems_TN[50:70, 1] = 1
    >>> none = np.zeros((2, 1, 2), np.float32)
    >>> excerpts(Levels(0.1, stems_TN, stems_TN, stems_TN, none, none), 2.0, 10.0)
    [(4.5, 6.5), (4.5, 6.5)]
    """
    if duration <= seconds:
        return [(0.0, duration)] * levels.stems_TN.shape[1]
    length = max(round(seconds / levels.hop), 1)
    plays_TN = levels.stems_TN > np.maximum(PLAYS * _loud(levels.stems_TN), QUIET)
    sums_TN = np.pad(np.cumsum(plays_TN, axis=0, dtype=np.int64), ((1, 0), (0, 0)))
    starts = np.arange(max(len(plays_TN) - length, 0) + 1)
    part_SN = (sums_TN[np.minimum(starts + length, len(plays_TN))] - sums_TN[starts]) / length
    common = _first_best(np.minimum(part_SN, 2 * ENOUGH).sum(axis=1))
    chosen = []
    for n in range(part_SN.shape[1]):
        own = common if part_SN[common, n] >= ENOUGH else _first_best(part_SN[:, n])
        start = min(own * levels.hop, duration - seconds)
        chosen.append((round(start, 3), round(start + seconds, 3)))
    return chosen


def _first_best(score: Array) -> int:
    """Return the middle of the first run of best places."""
    best = np.flatnonzero(score >= score.max() - 1e-9)
    run = best[: np.argmax(np.append(np.diff(best) > 1, True)) + 1]
    return int(run[len(run) // 2])


def buried(levels: Levels, source: int) -> list[Place]:
    """Return where the others are far louder than a player who plays, worst first, and by how many dB on average.

    Examples
    --------
    >>> stems_TN = np.ones((100, 1), np.float32)
    >>> rests_TN = np.ones((100, 1), np.float32)
    >>> rests_TN[40:60] = 100
    >>> none = np.zeros((1, 1, 2), np.float32)
    >>> buried(Levels(0.1, stems_TN, stems_TN, rests_TN, none, none), 0)
    [Place(start=4.0, stop=6.0, value=20.0)]
    """
    stem_T, rest_T = levels.stems_TN[:, source], levels.rests_TN[:, source]
    speaks_T = stem_T > max(SPEAKS * float(_loud(levels.stems_TN)[source]), QUIET)
    ratio_T = 10 * np.log10(np.maximum(rest_T, QUIET) / np.maximum(stem_T, QUIET))
    found = [
        Place(round(first * levels.hop, 3), round(last * levels.hop, 3), round(float(ratio_T[first:last].mean()), 1))
        for first, last in _runs(speaks_T & (ratio_T >= BURIED), levels.hop)
    ]
    return sorted(found, key=lambda place: (place.start - place.stop) * place.value)[:MOST]


def muted(levels: Levels, source: int) -> list[Place]:
    """Return where a microphone is silent that is not all the time, longest first, with how long."""
    quiet_T = levels.spots_TN[:, source] <= QUIET
    if quiet_T.all():
        return []
    found = [
        Place(round(first * levels.hop, 3), round(last * levels.hop, 3), (last - first) * levels.hop)
        for first, last in _runs(quiet_T, levels.hop)
    ]
    return sorted(found, key=lambda place: -place.value)[:MOST]


def _loud(power_TN: Array) -> Array:
    return np.asarray(np.quantile(power_TN, 0.95, axis=0))


def _runs(true_T: Array, hop: float) -> Iterator[tuple[int, int]]:
    """Yield where something is true for long enough, short gaps left aside."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true_T, [False]]).astype(np.int8)))
    firsts, lasts = edges[::2], edges[1::2]
    if not len(firsts):
        return
    whole = np.flatnonzero((firsts[1:] - lasts[:-1]) * hop >= GAP)
    for first, last in zip(firsts[np.append(0, whole + 1)], lasts[np.append(whole, -1)]):
        if (last - first) * hop >= SHORTEST:
            yield int(first), int(last)
