"""Spatial covariances as rooms make them.

The sound of a player reaches the own spot first and mostly directly, and every other microphone later and with more of
the room.  So the relative transfer function from the spot to another microphone, taken to the time domain, begins no
earlier than zero and dies away; what a fit has before zero is mostly from others, who reach that microphone first.
What a microphone hears of a player that is not coherent with the spot is hardly more than what rings on from one window
into the next.  A model that is fitted to a take knows neither of these.  At high frequencies, where each has little
power, its covariances mostly consist of these two errors, and at low ones they do wherever a player has no note.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array
from mnmf.kernels._threads import share_out
from mnmf.priors._prior import Prior
from mnmf.spots import Spots

__all__ = ["room_covariances"]

Array = NDArray[Any]

OCTAVES = 175.0 * 2.0 ** np.arange(8)  # hertz: the middles of bands, each of which fades into its neighbours
AT_ONCE = 2e-3  # seconds around zero that are always kept
BLUR = 0.25  # of a lag: powers at lag τ are averaged over ±(`AT_ONCE` + |τ| / 4)
OF_OTHERS = 0.7  # of the power at the opposite lag that counts as power of others, which lies on both sides
INCOHERENT = 1.5  # times what follows from the lags, which are known to half a window only; chosen on development takes
THIRD = 2 ** (1 / 6)  # from the middle of a third of an octave to its upper end
OWN = 0.01  # incoherent power of a source at its own spot, so that covariances are well conditioned
ROUNDS = 5  # of filling in
AT_A_TIME = 2048  # frequencies, for memory
SILENT = 1e-12  # of the mean power of a source at the microphones: less at the own spot tells nothing


def room_covariances(
    R_NFMM: Array, spots: Any, frequencies: Array, known_NF: Array | None = None, *, diagonal_above: float = 2000.0
) -> Prior:
    """Return covariances without what no room would make of a source.

    Relative transfer functions ``r_m = R_mi / R_ii`` from the spot i to the microphones m are taken to the time domain,
    band by band.  There each lag keeps ``1 − 0.7 P(−τ) / P(τ)`` of its amplitude, not below 0, with P the powers
    averaged around it, and those within 2 ms all.  What is known in part only is filled in from the frequencies around,
    by some rounds of this.  Of the rest of R, ``R / R_ii − r rᴴ``, the part `known_NF` is kept, above `diagonal_above`
    nothing; in its place comes ``κ |r_m|²`` on the diagonal, with ``|r_m|²`` averaged over a third of an octave, and
    0.01 at the own spot.  κ follows from the lags: what arrives τ later was in part played before the window began, and
    how much of it is coherent with the spot falls with the autocorrelation ρ(τ) of the half-sine window, so
    ``κ = 1.5 (Σ (x² / ρ²) / Σ x² − 1)`` of the lags x of r.  What comes later than half a window counts as coming
    before zero.

    Parameters
    ----------
    R_NFMM : complex, shape (N, F, M, M)
        Hermitian, positive semidefinite.
    spots : sequence of int or of sequences of int
        For each source its own microphone(s), the reference spot first, counted from 0.
    frequencies : float, shape (F,)
        In hertz, two or more, in steps of the reciprocal of the length of the window.
    known_NF : float, shape (N, F), optional
        From 0 to 1: how far each covariance can be relied on.  All can if not given.
    diagonal_above : float
        In hertz.

    Returns
    -------
    Prior
        With `R`, complex128 (N, F, M, M), at its own spot as before to a hundredth, and with `spots`.

    Raises
    ------
    ArgumentError
        Frequencies are not as above, `known_NF` is not between 0 and 1, or shapes do not match.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import priors
    >>> frequencies = np.arange(1, 801) * 10.0  # windows of a tenth of a second
    >>> later, sooner = (np.exp(-2j * np.pi * frequencies * lag) for lag in (0.01, -0.01))
    >>> r_FM = np.stack([np.ones(800), 0.3 * later + 0.1 * sooner], axis=1)
    >>> R_NFMM = (r_FM[:, :, None] * r_FM[:, None].conj())[None]
    >>> made_FMM = priors.room_covariances(R_NFMM, [0], frequencies).R[0]
    >>> left_F = made_FMM[:, 1, 0] / made_FMM[:, 0, 0] - 0.3 * later
    >>> bool(abs(left_F[50:-50]).max() < 0.03)
    True
    """
    R_NFMM = check_array("R_NFMM", R_NFMM, (None, None, None, None), "(N, F, M, M)")
    N, F, M, _ = R_NFMM.shape
    R_NFMM = check_array("R_NFMM", R_NFMM, (N, F, M, M), "(N, F, M, M)").astype(np.complex128, copy=False)
    frequencies = check_array("frequencies", frequencies, (F,), "(F,)", nonnegative=True)
    if known_NF is None:
        known_NF = np.ones((N, F))
    known_NF = check_array("known_NF", known_NF, (N, F), "(N, F)", nonnegative=True)
    spots = Spots(spots).check(M, N)
    steps = np.diff(frequencies)
    if F < 2 or not np.allclose(steps, steps[0], rtol=0.01, atol=0) or steps[0] <= 0:
        raise ArgumentError("frequencies must be two or more, in ascending order and as far from each other")
    if known_NF.max() > 1:
        raise ArgumentError("known_NF must lie between 0 and 1")
    made_NFMM, mics = np.empty(R_NFMM.shape, np.complex128), np.arange(M)
    in_time = _InTime(frequencies)

    def make(n: int) -> None:
        own, known_F = spots.references[n], known_NF[n]
        mean_F = np.einsum("fmm->f", R_NFMM[n]).real / M
        level_F = np.maximum(R_NFMM[n, :, own, own].real, np.maximum(SILENT * mean_F, np.finfo(float).tiny))
        fitted_FM = R_NFMM[n, :, :, own] / level_F[:, None]
        transfer_FM, incoherent_FM = in_time.like_a_room(fitted_FM, known_F, own)
        kept_F = np.where(frequencies < diagonal_above, known_F, 0.0)
        incoherent_FM *= 1 - kept_F[:, None]
        for f in range(0, F, AT_A_TIME):  # for memory
            part = slice(f, f + AT_A_TIME)
            rest_FMM = R_NFMM[n, part] / level_F[part, None, None] - _outer(fitted_FM[part])
            made_FMM = _outer(transfer_FM[part]) + kept_F[part, None, None] * rest_FMM
            made_FMM[:, mics, mics] += incoherent_FM[part]
            made_NFMM[n, part] = level_F[part, None, None] * made_FMM

    share_out(make, N)
    return Prior(R=made_NFMM, spots=spots)


class _InTime:
    """What is the same for all sources."""

    def __init__(self, frequencies: Array) -> None:
        spacing = frequencies[1] - frequencies[0]
        self.frequencies = frequencies
        self.bands_BF = _bands(frequencies)
        self.bins = slice(round(frequencies[0] / spacing), round(frequencies[0] / spacing) + len(frequencies))
        self.L = 2 * scipy.fft.next_fast_len(self.bins.stop, real=True)
        lags_L = scipy.fft.fftfreq(self.L, spacing)  # seconds
        self.at_once_L = np.abs(lags_L) < AT_ONCE
        self.coherence_L = _coherence(lags_L * spacing)
        half_L = np.maximum((AT_ONCE + BLUR * np.abs(lags_L)) / lags_L[1], 1).astype(int)
        half_L = scipy.fft.fftshift(half_L)
        self.first_L = np.maximum(np.arange(self.L) - half_L, 0)
        self.last_L = np.minimum(np.arange(self.L) + half_L + 1, self.L)

    def like_a_room(self, fitted_FM: Array, known_F: Array, own: int) -> tuple[Array, Array]:
        """Return relative transfer functions, and the power of what is incoherent with the spot, both (F, M)."""
        transfer_FM, ratio_F = self._without_others(fitted_FM, own)
        for _ in range(ROUNDS if known_F.min() < 1 else 0):
            filled_FM = known_F[:, None] * fitted_FM + (1 - known_F[:, None]) * transfer_FM
            transfer_FM, ratio_F = self._without_others(filled_FM, own)
        incoherent_FM = ratio_F[:, None] * _means_of_thirds(np.abs(transfer_FM) ** 2, self.frequencies)
        incoherent_FM[:, own] = OWN
        return transfer_FM, incoherent_FM

    def _without_others(self, transfer_FM: Array, own: int) -> tuple[Array, Array]:
        """Return relative transfer functions without what is not of the source, and κ at each frequency."""
        left_FM, ratio_F = np.zeros_like(transfer_FM), np.zeros(len(transfer_FM))
        for band_F in self.bands_BF:
            spectrum_KM = np.zeros((self.L // 2 + 1, transfer_FM.shape[1]), complex)
            spectrum_KM[self.bins] = transfer_FM * band_F[:, None]
            x_LM = scipy.fft.irfft(spectrum_KM, self.L, axis=0)
            x_LM *= self._kept(x_LM**2)
            left_FM += scipy.fft.rfft(x_LM, axis=0)[self.bins]
            energy_L = np.sum(np.delete(x_LM, own, axis=1) ** 2, axis=1)
            energy = max(float(energy_L.sum()), np.finfo(float).tiny)
            ratio_F += band_F * INCOHERENT * max(float(np.sum(energy_L / self.coherence_L)) / energy - 1, 0)
        left_FM[:, own] = 1
        return left_FM, ratio_F

    def _kept(self, power_LM: Array) -> Array:
        """Return what to multiply amplitudes at each lag by: powers of others are alike at opposite lags."""
        sums = np.zeros((self.L + 1, power_LM.shape[1]))
        np.cumsum(scipy.fft.fftshift(power_LM, axes=0), axis=0, out=sums[1:])
        blurred_LM = (sums[self.last_L] - sums[self.first_L]) / (self.last_L - self.first_L)[:, None]
        blurred_LM = scipy.fft.ifftshift(blurred_LM, axes=0)
        opposite_LM = np.roll(blurred_LM[::-1], 1, axis=0)
        kept_LM = np.clip(1 - OF_OTHERS * opposite_LM / np.maximum(blurred_LM, np.finfo(float).tiny), 0, 1)
        kept_LM[self.at_once_L] = 1
        return np.asarray(kept_LM)


def _bands(frequencies: Array) -> Array:
    """Return the weights of the bands at each frequency, (B, F), of sum 1."""
    position_F = np.log2(np.maximum(frequencies, OCTAVES[0]) / OCTAVES[0])
    position_F = np.minimum(position_F, len(OCTAVES) - 1)
    weight_BF = np.maximum(1 - np.abs(position_F - np.arange(len(OCTAVES))[:, None]), 0)
    return np.asarray(weight_BF[weight_BF.any(axis=1)])


def _coherence(part: Array) -> Array:
    """Return the coherence, squared, of white noise seen by half-sine windows shifted by that part of their length."""
    part = np.abs(part)
    return np.asarray(((1 - part) * np.cos(np.pi * part) + np.sin(np.pi * part) / np.pi) ** 2)


def _means_of_thirds(power_FM: Array, frequencies: Array) -> Array:
    """Return the mean over a third of an octave around each frequency."""
    sums = np.zeros((len(power_FM) + 1, power_FM.shape[1]))
    np.cumsum(power_FM, axis=0, out=sums[1:])
    last = np.searchsorted(frequencies, frequencies * THIRD, side="right")
    first = np.searchsorted(frequencies, frequencies / THIRD)
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None])


def _outer(vectors_FM: Array) -> Array:
    return np.asarray(vectors_FM[:, :, None] * vectors_FM[:, None].conj())
