"""Which stretches of a take are listened to: where a player is loudest."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from mnmf.loudness import k_weighting
from mnmf.rows import Rows, blocks

__all__ = ["loudest"]

Array = NDArray[Any]

STEP = 0.1  # seconds between the places where an excerpt may begin
FAINT = 1e-6  # of the loudest excerpt: nothing is heard in another one


def loudest(x_LC: Array | Rows, sample_rate: int, length: float, count: int = 1) -> list[tuple[int, int]]:
    """Return the stretches of a sound that are loudest, which do not overlap, in the order of time.

    Loudness is K-weighted power.  The sound is read once, block by block.

    Parameters
    ----------
    x_LC : float, shape (samples, channels), or Rows
    sample_rate : int
        In hertz.
    length : float
        Of each stretch, in seconds; all of a sound that is shorter.
    count : int
        How many stretches, if there is room for so many and something is heard in them.

    Returns
    -------
    list of (int, int)
        First sample, and the one after the last.  Empty if the sound is silent.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.listening import loudest
    >>> x_LC = np.zeros((80000, 1))
    >>> x_LC[32000:40000] = 0.1 * np.random.default_rng(0).standard_normal((8000, 1))
    >>> (start, stop), = loudest(x_LC, 8000, 1.0)
    >>> start, stop
    (32000, 40000)
    """
    step, n_samples = max(1, round(STEP * sample_rate)), len(x_LC)
    n_wanted = min(round(length * sample_rate), n_samples)
    power_S = _powers(x_LC, sample_rate, step)
    width = max(1, min(-(-n_wanted // step), len(power_S)))
    power_W = np.convolve(power_S, np.ones(width), "valid")
    places = np.minimum(np.arange(len(power_W)) * step, n_samples - n_wanted)
    found: list[tuple[int, int]] = []
    least = FAINT * power_W.max()
    while len(found) < count and power_W.max() > least:
        start = int(places[power_W.argmax()])
        found.append((start, start + n_wanted))
        power_W[np.abs(places - start) < n_wanted] = 0.0
    return sorted(found)


def _powers(x_LC: Array | Rows, sample_rate: int, step: int) -> Array:
    """Return the K-weighted energy of each step, all channels together; the last one may be shorter."""
    sos, channels = k_weighting(sample_rate), x_LC.shape[1]
    state = np.zeros((len(sos), 2, channels))
    energy_S = np.zeros(-(-len(x_LC) // step))
    for start, block_LC in blocks(x_LC):
        weighted_LC, state = scipy.signal.sosfilt(sos, block_LC.astype(np.float64), axis=0, zi=state)
        place_L = np.arange(start, start + len(block_LC)) // step
        energy_S += np.bincount(place_L, np.square(weighted_LC).sum(axis=1), len(energy_S))
    return energy_S
