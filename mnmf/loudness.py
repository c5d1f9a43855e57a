"""How loud sound is: integrated loudness and true peak as Recommendation ITU-R BS.1770 has them.

Arrays in, numbers out.  Channels count alike, which is right for one channel and for stereo; surround channels, which
the recommendation weights more, are not known here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from mnmf.errors import MOST_RATE, ArgumentError, check_number, check_numeric

__all__ = ["BLOCK", "integrated", "k_weighting", "true_peak"]

Array = NDArray[Any]

BLOCK = 0.4  # seconds whose power is compared with the gates
STEPS = 4  # blocks that begin within one
ABSOLUTE = -70.0  # LUFS: quieter blocks are silence
RELATIVE = -10.0  # LU below the mean of the others: quieter blocks are pauses
OFFSET = -0.691  # dB, so that a sine of 997 Hz at full scale has -3.01 LUFS
TABLED = 48000.0  # Hz: the rate of the tables
# The high shelf of a head, and the high-pass that follows it: numerators and denominators of the tables.
SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
SLOWEST = 8000  # Hz: at lower rates the shelf has no room
OVERSAMPLED = 192000  # Hz at least, for true peaks


def k_weighting(sample_rate: float) -> Array:
    """Return the K-weighting filter.

    The recommendation gives it for 48 kHz.  At other rates it is the same analogue filter through the bilinear
    transform, whose two directions together are a change of variable in each polynomial.

    Parameters
    ----------
    sample_rate : float
        In hertz, at least 8000.

    Returns
    -------
    sos : float64, shape (2, 6)
        Second-order sections, as `scipy.signal.sosfilt` takes them.

    Raises
    ------
    ArgumentError
        The rate is out of range.

    Examples
    --------
    >>> from mnmf import loudness
    >>> loudness.k_weighting(48000)[1, :3]  # as in the table
    array([ 1., -2.,  1.])
    """
    check_number("sample_rate", sample_rate, SLOWEST, MOST_RATE, " Hz")
    ratio = sample_rate / TABLED
    sections = []
    for numerator, denominator in (SHELF, HIGH_PASS):
        b, a = _moved(numerator, ratio), _moved(denominator, ratio)
        sections.append(np.concatenate([b, a]) / a[0])
    return np.array(sections)


def _moved(polynomial: tuple[float, ...], ratio: float) -> Array:
    """Return a polynomial in 1/z at a rate that is `ratio` times as high."""
    p, q, r = polynomial
    constant, linear, square = p + q + r, 2 * ratio * (p - r), ratio**2 * (p - q + r)
    return np.array([constant + linear + square, 2 * (constant - square), constant - linear + square]) / 4


def integrated(x_LC: Array, sample_rate: int) -> float:
    """Return the integrated loudness of a sound, in LUFS.

    The mean power of K-weighted blocks of 0.4 s, three quarters of which overlap, without those below -70 LUFS, and
    then without those 10 LU below the mean of the rest.

    Parameters
    ----------
    x_LC : float, shape (samples, channels) or (samples,)
        Full scale is 1.  At least 0.4 s.
    sample_rate : int
        In hertz.

    Returns
    -------
    float
        -inf if every block is below -70 LUFS.

    Raises
    ------
    ArgumentError
        The sound is shorter than a block, or not finite, or the rate is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import loudness
    >>> sine_L = np.sin(2 * np.pi * 997 * np.arange(48000) / 48000)
    >>> round(loudness.integrated(sine_L, 48000), 2)
    -3.01
    """
    x_LC = _channels(x_LC)
    step = round(BLOCK / STEPS * sample_rate)
    if len(x_LC) < STEPS * step:
        raise ArgumentError(f"loudness needs at least {BLOCK} s of sound, got {len(x_LC) / sample_rate:.3f} s")
    weighted_LC = scipy.signal.sosfilt(k_weighting(sample_rate), x_LC, axis=0)
    power_S = np.square(weighted_LC[: len(x_LC) // step * step]).sum(axis=1).reshape(-1, step).mean(axis=1)
    power_B = np.convolve(power_S, np.full(STEPS, 1 / STEPS), "valid")
    loud_B = power_B[power_B > _power(ABSOLUTE)]
    if not loud_B.size:
        return -np.inf
    loud_B = loud_B[loud_B > _power(RELATIVE - OFFSET) * loud_B.mean()]
    return float(OFFSET + 10 * np.log10(loud_B.mean()))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET) / 10))


def true_peak(x_LC: Array, sample_rate: int) -> float:
    """Return the highest value of the curve through the samples, at full scale 1.

    Estimated from at least 192 kHz, four times the sample rate of 48 kHz; it is never below the highest sample.

    Parameters
    ----------
    x_LC : float, shape (samples, channels) or (samples,)
    sample_rate : int
        In hertz.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import loudness
    >>> sine_L = np.sin(2 * np.pi * 12000 * (np.arange(4800) + 0.5) / 48000)  # its samples are beside its peaks
    >>> bool(abs(sine_L).max() < 0.72), bool(loudness.true_peak(sine_L[1000:-1000], 48000) > 0.99)
    (True, True)
    """
    x_LC = _channels(x_LC)
    check_number("sample_rate", sample_rate, 1, MOST_RATE, " Hz")
    times = max(1, -(-OVERSAMPLED // int(sample_rate)))
    between_LC = scipy.signal.resample_poly(x_LC, times, 1, axis=0)
    return float(max(abs(x_LC).max(), abs(between_LC).max()))


def _channels(x_LC: Array) -> Array:
    x_LC = check_numeric("x_LC", x_LC)
    if x_LC.ndim not in (1, 2) or 0 in x_LC.shape or np.iscomplexobj(x_LC) or not np.isfinite(x_LC).all():
        raise ArgumentError(f"x_LC must be finite real sound of shape (samples, channels), got shape {x_LC.shape}")
    return x_LC.reshape(len(x_LC), -1).astype(np.float64)
