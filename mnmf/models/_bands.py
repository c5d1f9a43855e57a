"""Bands of frequencies that the ear hears as about equally wide, for what a model cannot learn per frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bands"]


def bands(n_frequencies: int, per_octave: int, narrowest: int) -> NDArray[Any]:
    """Return the first frequency of each band, and after the last one `n_frequencies`.

    Bands grow by the `per_octave`-th root of 2 once that is more than `narrowest` frequencies.
    """
    edges = [0]
    while True:
        last = edges[-1]
        following = max(last + narrowest, int(np.ceil(last * 2 ** (1 / per_octave))))
        if following + narrowest > n_frequencies:
            return np.array([*edges, n_frequencies])
        edges.append(following)
