"""Levels and outlines of the whole take and its stems, in one walk through them, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "measure"]

Array = NDArray[Any]

HOP = 0.1  # seconds, in which powers are measured
COLUMNS = 600  # of an outline
AT_ONCE = 1 << 22  # samples of all sources read at a time
QUIET = 1e-12  # power of full scale: silence


@dataclass(frozen=True, eq=False)
class Levels:
    """Powers and outlines of what the spots heard and of the stems.

    Attributes
    ----------
    hop : float
        Seconds for which a power stands.
    spots_TN, stems_TN, rests_TN : float32
        Mean squares of the spots, of the stems, and of what was taken out.
    spot_edges_NC, stem_edges_NC : float32, shape (N, columns, 2)
        The least and the largest sample in each part of the take.
    """

    hop: float
    spots_TN: Array
    stems_TN: Array
    rests_TN: Array
    spot_edges_NC: Array
    stem_edges_NC: Array


def measure(
    read: Callable[[int, int], tuple[Array, Array]], n_samples: int, n_sources: int, sample_rate: int
) -> Levels:
    """Return the levels of what `read` gives: spots and stems, (samples, N) each, from one sample to another.

    Examples
    --------
    >>> x_LN = np.ones((100, 1), np.float32)
    >>> found = measure(lambda start, stop: (x_LN[start:stop], 0.5 * x_LN[start:stop]), 100, 1, 100)
    >>> found.rests_TN[:2, 0].tolist(), found.stem_edges_NC.shape
    ([0.25, 0.25], (1, 100, 2))
    """
    hop = max(round(HOP * sample_rate), 1)
    T, C = -(-n_samples // hop), min(COLUMNS, n_samples)
    powers = [np.empty((T, n_sources), np.float32) for _ in range(3)]
    edges = [np.zeros((n_sources, C, 2), np.float32) for _ in range(2)]
    block = max(AT_ONCE // n_sources // hop, 1) * hop
    for start in range(0, n_samples, block):
        stop = min(start + block, n_samples)
        spots_LN, stems_LN = read(start, stop)
        at = np.arange(0, stop - start, hop)
        lengths = np.diff(np.append(at, stop - start))[:, None]
        for power_TN, x_LN in zip(powers, (spots_LN, stems_LN, spots_LN - stems_LN)):
            power_TN[start // hop : start // hop + len(at)] = np.add.reduceat(np.square(x_LN), at, axis=0) / lengths
        for edges_NC, x_LN in zip(edges, (spots_LN, stems_LN)):
            _outline(edges_NC, x_LN, start, n_samples)
    return Levels(hop / sample_rate, *powers, *edges)


def _outline(edges_NC: Array, x_LN: Array, start: int, n_samples: int) -> None:
    """Put the extremes of a block into the columns it falls in, in place."""
    C = edges_NC.shape[1]
    first, last = start * C // n_samples, (start + len(x_LN) - 1) * C // n_samples
    begins = -(-np.arange(first, last + 1) * n_samples // C) - start  # the first sample of each column
    begins = np.maximum(begins, 0)
    low_CN, high_CN = (kind.reduceat(x_LN, begins, axis=0) for kind in (np.minimum, np.maximum))
    edges_NC[:, first : last + 1, 0] = np.minimum(edges_NC[:, first : last + 1, 0], low_CN.T)
    edges_NC[:, first : last + 1, 1] = np.maximum(edges_NC[:, first : last + 1, 1], high_CN.T)
