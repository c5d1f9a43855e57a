"""Anchors of a MUSHRA test: the reference through a low-pass filter of linear phase."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_number

__all__ = ["ANCHORS", "anchor", "low_pass"]

Array = NDArray[Any]

ANCHORS = {"anchor35": 3500.0, "anchor70": 7000.0}  # Hz, by the names that webMUSHRA gives them
REJECTION = 60.0  # dB from the stop band on; also less than ±0.01 dB of ripple below the cut-off
STOP = 8 / 7  # of the cut-off frequency: where the stop band begins, 4 kHz for 3.5 kHz


def low_pass(cutoff: float, sample_rate: float) -> Array:
    """Return a low-pass filter as ITU-R BS.1534-3 wants it of the anchor at 3.5 kHz.

    That is a ripple of at most ±0.1 dB up to the cut-off, and an attenuation of at least 25 dB at 4 kHz and 50 dB at
    4.5 kHz; other cut-offs are treated in proportion.  It is an FIR filter by the Kaiser window, of odd length and
    linear phase, and attenuates 60 dB from 8/7 of the cut-off on.

    Parameters
    ----------
    cutoff : float
        In hertz.
    sample_rate : float
        In hertz, more than 16/7 of the cut-off.

    Returns
    -------
    h_L : float64

    Raises
    ------
    ArgumentError
        The rate leaves no room for the stop band.

    Examples
    --------
    >>> from mnmf.listening import low_pass
    >>> h_L = low_pass(3500, 48000)
    >>> len(h_L) % 2, bool(abs(h_L.sum() - 1) < 1e-3)
    (1, True)
    """
    check_number("cutoff", cutoff, 1.0, np.inf, " Hz")
    if 2 * STOP * cutoff >= sample_rate:
        raise ArgumentError(
            f"a low-pass at {cutoff:g} Hz needs more than {2 * STOP * cutoff:g} Hz, got {sample_rate:g}"
        )
    taps, beta = scipy.signal.kaiserord(REJECTION, (STOP - 1) * cutoff / (sample_rate / 2))
    middle = (1 + STOP) / 2 * cutoff
    return np.asarray(scipy.signal.firwin(taps | 1, middle, window=("kaiser", beta), fs=sample_rate))


def anchor(x_LC: Array, cutoff: float, sample_rate: float) -> Array:
    """Return sound through `low_pass`, not delayed and as long as before.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.listening import anchor
    >>> tone_LC = np.sin(2 * np.pi * 5000 * np.arange(4800) / 48000)[:, None]
    >>> bool(abs(anchor(tone_LC, 3500, 48000)[500:-500]).max() < 0.001)
    True
    """
    h_L = low_pass(cutoff, sample_rate)
    return np.asarray(scipy.signal.fftconvolve(x_LC, h_L[:, None], mode="full", axes=0))[len(h_L) // 2 :][: len(x_LC)]
