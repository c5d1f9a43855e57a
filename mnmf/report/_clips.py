"""Excerpts as audio that a page can hold, and how loud they are.

A clip has two channels: what the microphone heard and the stem.  Their difference is what was taken out, so the page
can play all three, and every mixture, by two gains.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

__all__ = ["Clip", "clip", "plan_clips"]

Array = NDArray[Any]

BUDGET = 7_500_000  # bytes of all clips
BYTES = 2.6  # a sample of both channels, as FLAC of 16 bits
LONGEST, FEWER, SHORTEST = 18.0, 8.0, 4.0  # seconds; below the second the rate is halved
MOST = 24  # clips of a page
RATES = 8000, 48000  # between these a clip is as it was
PEAK = 0.98
WEIGHTED = 8000  # Hz of sample rate, below which levels are plain powers


@dataclass(frozen=True)
class Clip:
    """Audio for a page, and powers as an ear weighs them.

    Attributes
    ----------
    data : str
        FLAC of two channels, in base64.
    seconds : float
    scale : float
        By which both channels were multiplied.
    microphone, stem, both : float
        Mean squares, after the weighting of ITU-R BS.1770, of the microphone and of the stem; and of both the mean
        product.
    peak : float
        Of what was taken out, multiplied alike.
    """

    data: str
    seconds: float
    scale: float
    microphone: float
    stem: float
    both: float
    peak: float


def plan_clips(n_sources: int, sample_rate: int, budget: float = BUDGET) -> tuple[float, int]:
    """Return how many seconds clips may last, and by how much the sample rate is divided.

    Examples
    --------
    >>> plan_clips(4, 44100)
    (16.4, 1)
    >>> plan_clips(24, 48000)
    (5.0, 2)
    """
    count = max(min(n_sources, MOST), 1)
    by = -(-sample_rate // RATES[1])
    rate = sample_rate / by
    seconds = budget / (count * rate * BYTES)
    if seconds < FEWER and rate >= 2 * RATES[0]:
        by, seconds = 2 * by, 2 * seconds
    return round(min(max(seconds, SHORTEST), LONGEST), 1), by


def clip(spot_L: Array, stem_L: Array, sample_rate: int, by: int) -> Clip:
    """Return a clip of what a microphone heard and of the stem, its sample rate divided by `by`.

    Examples
    --------
    >>> x_L = np.sin(np.arange(8000))
    >>> made = clip(x_L, 0.5 * x_L, 8000, 1)
    >>> made.seconds, round(made.scale, 2), round(made.both / made.microphone, 3)
    (1.0, 0.98, 0.5)
    """
    import soundfile

    x_LC = np.stack([spot_L, stem_L], axis=1).astype(np.float64)
    up = -(-RATES[0] // sample_rate)
    rate = max(round(sample_rate * up / by), 1)
    if (up, by) != (1, 1):
        x_LC = scipy.signal.resample_poly(x_LC, up, by, axis=0)
    scale = PEAK / max(float(np.abs(x_LC).max()), 1e-9)
    x_LC *= scale
    target = io.BytesIO()
    soundfile.write(target, x_LC, rate, format="FLAC", subtype="PCM_16")
    y_LC = _weighted(x_LC, rate)
    xx, ss, xs = (float(np.mean(y_LC[:, a] * y_LC[:, b])) for a, b in ((0, 0), (1, 1), (0, 1)))
    data = base64.b64encode(target.getvalue()).decode("ascii")
    return Clip(data, len(x_LC) / rate, scale, xx, ss, xs, float(np.abs(x_LC[:, 0] - x_LC[:, 1]).max()))


def _weighted(x_LC: Array, rate: int) -> Array:
    """Return sound as the head and the ear weigh it, after ITU-R BS.1770: a high shelf, then a high-pass."""
    if rate < WEIGHTED:
        return x_LC
    high = 10 ** (3.999843853973347 / 20)
    k, q = np.tan(np.pi * 1681.974450955533 / rate), 0.7071752369554196
    middle = high**0.4996667741545416
    shelf = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    shelf += [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    passed = [1.0, -2.0, 1.0, 1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    sections = np.array([shelf, passed])
    return np.asarray(scipy.signal.sosfilt(sections / sections[:, 3:4], x_LC, axis=0))
