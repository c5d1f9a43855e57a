"""Where a long take is cut into segments, and how what comes out of them is joined.

Neighbours share a stretch of two windows and are faded across in the middle of it, so that no window that ends at a cut
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_faded", "chosen", "segments_of"]

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
    first, last = start, stop
    if k > 0:
        first = spans[k - 1][1]
        rise_S = _rise(first - start)[:, None].astype(x_SI.dtype)
        total_LI[start:first] += rise_S * x_SI[: first - start]
    if k + 1 < len(spans):
        last = spans[k + 1][0]
        rise_S = _rise(stop - last)[:, None].astype(x_SI.dtype)
        total_LI[last:stop] += (1 - rise_S) * x_SI[last - start :]
    total_LI[first:last] += x_SI[first - start : last - start]


def _rise(length: int) -> Array:
    """Return the weights of the later one of two neighbours over what they share: they rise in its middle half."""
    return np.clip(2 * (np.arange(length) + 0.5) / length - 0.5, 0.0, 1.0)
