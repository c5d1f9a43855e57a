"""Where a long take is cut into segments, and how what comes out of them is joined.

Neighbours share a stretch of two windows and are faded across in the middle of it, so that no window that ends at a cut
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_faded", "chosen", "faded_rows", "is_long", "segments_of", "teaching"]

Array = NDArray[Any]
Span = tuple[int, int]

SEGMENT = 60.0  # seconds
LONGER = 1.5  # times a segment: a take up to this long is fitted in one piece
LEARNED = 8  # segments, at most, of which the covariances are learned
SHARED = 2  # windows that neighbours share


def segments_of(n_samples: int, length: int, window: int) -> list[Span]:
    """Return the segments of a take, as samples from start to stop (exclusive).

    Parameters
    ----------
    n_samples : int
        Of the take.
    length : int
        Of a segment, without what it shares with its neighbours, nearly: all are of one length.
    window : int
        Samples of an analysis window.

    Examples
    --------
    >>> segments_of(1000, 300, 40)
    [(0, 373), (293, 707), (627, 1000)]
    >>> segments_of(450, 300, 40)
    [(0, 450)]
    """
    if n_samples <= LONGER * length:
        return [(0, n_samples)]
    edges = np.linspace(0, n_samples, round(n_samples / length) + 1).round().astype(int).tolist()
    half = min(SHARED * window, min(np.diff(edges))) // 2
    return [(max(a - half, 0), min(b + half, n_samples)) for a, b in pairwise(edges)]


def chosen(power_KN: Array, most: int = LEARNED) -> list[int]:
    """Return which segments to learn from, in order: of every source the one in which its spot stands out most.

    The rest of them are spread evenly.

    Parameters
    ----------
    power_KN : float, shape (segments, sources)
        Of the sources' own spots.
    most : int
        How many; more if more sources than that have another segment each.

    Examples
    --------
    >>> chosen(np.ones((3, 2))), chosen(np.ones((20, 1)), most=4)
    ([0, 1, 2], [0, 3, 10, 16])
    >>> power_KN = np.ones((20, 2))
    >>> power_KN[17, 1] = 5.0
    >>> chosen(power_KN, most=4)
    [0, 5, 15, 17]
    """
    count = len(power_KN)
    if count <= most:
        return list(range(count))
    share_KN = power_KN / np.maximum(power_KN.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    found = sorted(set(np.argmax(power_KN * share_KN, axis=0).tolist()))
    spread = most - len(found)
    evenly = [int((2 * i + 1) * count / (2 * spread)) for i in range(spread)]
    return sorted({*found, *evenly})


def add_faded(total_LI: Array, x_SI: Array, spans: Sequence[Span], k: int) -> None:
    """Add segment `k` to the whole, in place, faded in and out where its neighbours are.

    Examples
    --------
    >>> total_LI, spans = np.zeros((1000, 1)), segments_of(1000, 300, 40)
    >>> for k, (start, stop) in enumerate(spans):
    ...     add_faded(total_LI, np.ones((stop - start, 1)), spans, k)
    >>> bool(np.all(total_LI == 1))
    True
    """
    start, stop = spans[k]
    total_LI[start:stop] += _weights(spans, k, start, stop)[:, None].astype(x_SI.dtype) * x_SI


def faded_rows(
    segment: Callable[[int], Array], spans: Sequence[Span], start: int, stop: int, columns: Sequence[int]
) -> Array:
    """Return samples `start` to `stop` of all segments added up, (stop - start, columns), as `add_faded` does it.

    Parameters
    ----------
    segment : callable
        Returns segment `k`, of shape (I, samples).
    spans, start, stop
    columns : sequence of int
        Which of the I.

    Examples
    --------
    >>> spans = segments_of(1000, 300, 40)
    >>> faded_rows(lambda k: np.full((2, spans[k][1] - spans[k][0]), k), spans, 331, 335, [0]).ravel().tolist()
    [0.4625, 0.4875, 0.5125, 0.5375]
    """
    total_LI: Any = None
    for k, (first, last) in enumerate(spans):
        begin, end = max(first, start), min(last, stop)
        if begin < end:
            x_IS = segment(k)
            x_SI = np.stack([x_IS[i, begin - first : end - first] for i in columns], axis=1)
            if total_LI is None:
                total_LI = np.zeros((stop - start, len(columns)), x_SI.dtype)
            weights_SI = _weights(spans, k, begin, end)[:, None].astype(x_SI.dtype)
            total_LI[begin - start : end - start] += weights_SI * x_SI
    return np.zeros((0, len(columns)), np.float32) if total_LI is None else np.asarray(total_LI)


def is_long(duration: float, segment: float) -> bool:
    """Return whether a take is so much longer than a segment, both in seconds, that it may be cut.

    Examples
    --------
    >>> is_long(90.0, 60.0), is_long(91.0, 60.0)
    (False, True)
    """
    return duration > LONGER * segment


def teaching(duration: float, segment: float) -> float:
    """Return how many seconds of a take teach what describes the room, of segments in seconds; 0 if it is one piece.

    Examples
    --------
    >>> teaching(80.0, 60.0), teaching(180.0, 60.0), teaching(7200.0, 60.0)
    (0.0, 180.0, 480.0)
    """
    return min(duration, LEARNED * segment) if is_long(duration, segment) else 0.0


def _weights(spans: Sequence[Span], k: int, start: int, stop: int) -> Array:
    """Return how much segment `k` counts at its samples `start` to `stop`, between 0 and 1.

    Over what two neighbours share, the later one rises in its middle half.
    """
    weight_S = np.ones(stop - start)
    at_S = np.arange(start, stop) + 0.5
    if k > 0 and start < (end := spans[k - 1][1]):
        begin = spans[k][0]
        weight_S = np.clip(2 * (at_S - begin) / (end - begin) - 0.5, 0.0, 1.0)
    if k + 1 < len(spans) and stop > (begin := spans[k + 1][0]):
        end = spans[k][1]
        weight_S = weight_S - np.clip(2 * (at_S - begin) / (end - begin) - 0.5, 0.0, 1.0)
    return weight_S
