"""A prior from estimates of the sources, wherever they come from: a neural network, another tool, an earlier run.

An estimator is anything that can be called with the take and gives a guess of each source (`Estimator`); `estimate`
brings whatever it returns to one waveform a source, as its own spot heard it.  `stem_shares` tells from those which
part of what each spot heard belongs to its player, `stem_trust` how far they are to be believed, and `priors.spot` and
`priors.spot_activations` start from that.  Nothing else is taken from the estimates: their levels and whatever they
add do not matter, nor is anything held to them.  Why the guided starts of "CLASS-net + FastMNMF2" did not help, and
these do, is told in docs/neural.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_audio, check_count, check_number, check_spectrogram
from mnmf.kernels.fullrank import rooted
from mnmf.kernels.scm import weighted_covariances
from mnmf.priors._prior import Prior, Spots, as_spots
from mnmf.stft import STFT

__all__ = ["Estimator", "Mask", "estimate", "stem_covariances", "stem_shares", "stem_trust"]

Array = NDArray[Any]

LENGTHS_ALIKE = 0.05  # of the take: by how much an estimate may be longer or shorter
TINY = float(np.finfo(np.float32).tiny)
BAND = 32  # frequencies whose power is summed to compare levels
LEVEL_UPDATES = 100
LATEST = 0.1  # seconds
CLEARLY = 1.1
SILENT = 1e-12  # of the strongest frequency: below this an estimate says nothing about a frequency


@dataclass(frozen=True, eq=False)
class Mask:
    """Which part of what its spot heard is a source, for networks that give masks.

    Parameters
    ----------
    values_FT : float, shape (F, T), 0 to 1
        One value for each frequency and frame of ``STFT(window_length, hop)``.
    window_length, hop : int
        In samples at the rate that the estimator was given.
    """

    values_FT: Array
    window_length: int
    hop: int


class Estimator(Protocol):
    """What can guess the sources of a take."""

    def __call__(self, audio_LM: Array, sample_rate: int) -> Mapping[str, Array | Mask] | Array:
        """Return a guess of each source.

        Parameters
        ----------
        audio_LM : float32, shape (L, M)
            What the microphones recorded.
        sample_rate : int
            In Hz.

        Returns
        -------
        mapping of str to (L,), (L, M) or Mask; or array of shape (L, M) or (M, N)
            By the names of the sources: the sound of each at its own spot, or at every microphone, or a `Mask` of its
            own spot.  Or what each microphone would hear of its own player alone, (L, M).  Or an interference matrix
            Λ, how loud each source is at each microphone, (M, N), the sources in the session's order.
        """


def estimate(
    estimator: Estimator,
    x_LM: Array,
    sample_rate: int,
    sources: Sequence[str],
    spots: Sequence[int | Sequence[int]],
) -> tuple[Array, tuple[str, ...]]:
    """Call an estimator, and return its guesses as each source's own spot would hear them.

    Parameters
    ----------
    estimator : Estimator
    x_LM : float, shape (L, M)
        The take.
    sample_rate : int
        In Hz.
    sources : sequence of str
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.

    Returns
    -------
    y_LN : float32, shape (L, N)
        A guess that is a little shorter than the take ends with silence; one that comes early or late by up to a tenth
        of a second is brought into time.
    missing : tuple of str
        Sources of which the estimator says nothing; for these the spot itself is their guess.

    Raises
    ------
    ArgumentError
        What the estimator returned is nothing of the above, or it names none of the sources.
    """
    x_LM = check_audio(x_LM)
    check_count("sample_rate", sample_rate)
    all_spots = as_spots(spots)
    own = [mics[0] for mics in all_spots]
    if len(own) != len(sources) or max(own) >= x_LM.shape[1]:
        raise ArgumentError(f"spots must name one of {x_LM.shape[1]} mics for each of {len(sources)} sources")
    found = estimator(x_LM.astype(np.float32), sample_rate)
    if not isinstance(found, Mapping) and np.ndim(found) == 2 and len(found) > x_LM.shape[1]:
        found = dict.fromkeys(sources, found)
    if isinstance(found, Mapping):
        y_LN, missing = _from_mapping(found, x_LM, sources, own)
        return _in_time(y_LN, x_LM, own, sample_rate), missing
    gains_MN = check_array(
        "the interference matrix", found, (x_LM.shape[1], len(own)), "(mics, sources)", nonnegative=True
    )
    return _unmixed(gains_MN, x_LM, own), ()


def stem_shares(
    X_FTM: Array, E_FTN: Array, spots: Sequence[int | Sequence[int]], *, sharpness: float = 2.0
) -> NDArray[np.float32]:
    """Return which part of what each spot heard is its own player, judging by estimates of the players.

    ``s_n = P_n^p / Σ_r P_r^p`` with p the `sharpness` and ``P_n = c_nn |E_n|²``.  The levels c bring each estimate to
    the loudness its source has at its own spot: ``Σ_r c_nr |E_r|²``, c ≥ 0, comes nearest to what spot n heard
    (Kullback-Leibler).  So it does not matter whether a tool keeps levels, normalises its stems or changes a polarity.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture.
    E_FTN : complex or real, shape (F, T, N)
        Spectrograms of the estimates, each source at its own spot; or their magnitudes.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    sharpness : float
        1 gives a Wiener gain; the greater, the more the strongest takes all.

    Returns
    -------
    float32, shape (N, F, T)
        From 0 to 1; their sum over the sources is 1, or 0 where all estimates are silent.

    Raises
    ------
    ArgumentError
        Shapes that do not fit together, or a spot that is not among the microphones.
    """
    X_FTM, P_NFT, own = _checked(X_FTM, E_FTN, spots)
    check_number("sharpness", sharpness, 0.1, 100.0)
    for n, level in enumerate(_levels(X_FTM, P_NFT, own)):
        P_NFT[n] *= np.float32(level)
    largest_FT = np.maximum(P_NFT.max(axis=0), TINY)
    P_NFT /= largest_FT  # so that no power overflows or vanishes
    P_NFT **= np.float32(sharpness)
    P_NFT /= np.maximum(P_NFT.sum(axis=0), TINY)
    return P_NFT


def stem_trust(X_FTM: Array, E_FTN: Array, spots: Sequence[int | Sequence[int]]) -> NDArray[np.float64]:
    """Return how far estimates are to be believed beside what the spots themselves hear.

    ``b / (b + e)``, with b the power of the bleed in a spot and e that of the errors of the estimate: the weight of the
    estimate in the best mean of the two, if their errors have nothing in common.  b is what the spot does not dominate,
    ``Σ |x|² (1 - |x|² / Σ_r |x_r|²)``, and e what is left of ``Σ |x - cE|²`` above b, with the best c.  So an estimate
    that is worse than a clean spot hardly counts, and the same estimate does beside a spot full of bleed.

    Parameters
    ----------
    X_FTM, spots
        As for `stem_shares`.
    E_FTN : complex, shape (F, T, N)
        Spectrograms of the estimates, each source at its own spot.

    Returns
    -------
    float64, shape (N,)
        From 0 to 1; 0 for a silent estimate.

    Raises
    ------
    ArgumentError
        As `stem_shares`.
    """
    X_FTM, _, own = _checked(X_FTM, E_FTN, spots)
    total_FT = np.maximum(sum(_power(X_FTM[..., m]) for m in own), TINY)
    trust_N = np.zeros(len(own))
    for n, m in enumerate(own):
        x_FT, e_FT = X_FTM[..., m], E_FTN[..., n]
        power_FT = _power(x_FT)
        bleed = float(np.sum(power_FT * (1 - power_FT / total_FT), dtype=np.float64))
        energy, guess = float(np.sum(power_FT, dtype=np.float64)), float(np.sum(_power(e_FT), dtype=np.float64))
        if guess > 0 and bleed > 0:
            left = energy - abs(np.sum(x_FT * np.conj(e_FT), dtype=np.complex128)) ** 2 / guess
            trust_N[n] = bleed / max(left, bleed)
    return trust_N


def stem_covariances(
    X_FTM: Array,
    E_FTN: Array,
    spots: Sequence[int | Sequence[int]],
    *,
    sharpness: float = 2.0,
    exponent: float = 2.0,
) -> Prior:
    """Learn the spatial covariance of each source from the mixture where an estimate says that it sounds alone.

    As `solo_covariances`, with the share of `stem_shares` to the fourth power for a weight: only where next to nothing
    else sounds does the mixture show how one source reaches the microphones.

    Parameters
    ----------
    X_FTM, E_FTN, spots, sharpness
        As for `stem_shares`.
    exponent : float
        As for `solo_covariances`.

    Returns
    -------
    Prior
        With `R`, complex128 (N, F, M, M), 1 at the own spot, and `spots`.

    Raises
    ------
    ArgumentError
        As `stem_shares`, or the exponent is neither 1 nor 2.
    """
    if exponent not in (1, 2):
        raise ArgumentError(f"exponent must be 1 or 2, got {exponent!r}")
    share_NFT = stem_shares(X_FTM, E_FTN, spots, sharpness=sharpness)
    all_spots = as_spots(spots)
    X_FTM = np.ascontiguousarray(X_FTM)
    data_FTM = rooted(X_FTM) if exponent == 1 else X_FTM
    R_NFMM = np.empty((len(all_spots), len(X_FTM), X_FTM.shape[2], X_FTM.shape[2]), np.complex128)
    for n, (own, *_) in enumerate(all_spots):
        a_FT = np.abs(X_FTM[..., own]).astype(np.float64) ** exponent
        weight_FT = a_FT * share_NFT[n] ** 4
        energy_F = np.sum(a_FT * weight_FT, axis=1)
        floor = SILENT * energy_F.max() + TINY
        R_NFMM[n] = weighted_covariances(data_FTM, weight_FT)
        R_NFMM[n, :, own, own] += floor
        R_NFMM[n] /= (energy_F + floor)[:, None, None]
    return Prior(R=R_NFMM, spots=all_spots)


def _checked(
    X_FTM: Array, E_FTN: Array, spots: Sequence[int | Sequence[int]]
) -> tuple[Array, NDArray[np.float32], list[int]]:
    X_FTM = check_spectrogram(X_FTM)
    F, T, M = X_FTM.shape
    all_spots: Spots = as_spots(spots)
    own = [mics[0] for mics in all_spots]
    if max(own) >= M:
        raise ArgumentError(f"spots name microphone {max(own)}, but there are only {M}, from 0 on")
    E_FTN = check_array("E_FTN", E_FTN, (F, T, len(own)), "(F, T, N)")
    P_NFT = np.empty((len(own), F, T), np.float32)
    for n in range(len(own)):
        magnitude_FT = np.abs(E_FTN[..., n])
        # Powers of single precision: scaled first, for the estimate may have any level.
        P_NFT[n] = np.square(magnitude_FT / (magnitude_FT.max() or 1.0))
    return X_FTM, P_NFT, own


def _power(x_FT: Array) -> Array:
    return np.asarray(x_FT.real**2 + x_FT.imag**2)


def _levels(X_FTM: Array, P_NFT: Array, own: Sequence[int]) -> list[float]:
    """Return for each source the level of its estimate at its own spot, beside the others' levels there."""
    edges = np.arange(0, len(X_FTM), BAND)
    U_NP = np.stack([np.add.reduceat(P_FT, edges, axis=0).ravel() for P_FT in P_NFT]).astype(np.float64)
    audible = U_NP.sum(axis=1) > 0
    levels = []
    for n, m in enumerate(own):
        V_P = np.add.reduceat(_power(X_FTM[..., m]), edges, axis=0).ravel().astype(np.float64)
        if not audible[n] or not V_P.any():
            levels.append(0.0)
            continue
        sums_N = np.where(audible, U_NP.sum(axis=1), 1.0)
        c_N = np.where(audible, V_P.sum() / (len(own) * sums_N), 0.0)
        for _ in range(LEVEL_UPDATES):
            c_N *= (U_NP @ (V_P / np.maximum(c_N @ U_NP, TINY))) / sums_N
        levels.append(float(c_N[n]))
    return levels


def _from_mapping(
    found: Mapping[str, Array | Mask], x_LM: Array, sources: Sequence[str], own: Sequence[int]
) -> tuple[Array, tuple[str, ...]]:
    missing = tuple(source for source in sources if source not in found)
    if len(missing) == len(sources):
        raise ArgumentError(
            f"the estimates are of {', '.join(map(str, found)) or 'nothing'}; none of them is one of the sources, "
            f"{', '.join(sources)}"
        )
    y_LN = np.empty((len(x_LM), len(sources)), np.float32)
    for n, source in enumerate(sources):
        spot_L = x_LM[:, own[n]]
        given = found.get(source)
        if given is None:
            y_LN[:, n] = spot_L
        elif isinstance(given, Mask):
            y_LN[:, n] = _masked(given, spot_L, source)
        else:
            y_LN[:, n] = _waveform(given, x_LM, own[n], source)
    return y_LN, missing


def _waveform(given: Array, x_LM: Array, own: int, source: str) -> Array:
    y = check_audio(given if np.ndim(given) == 2 else np.reshape(given, (-1, 1)), f"the estimate of {source!r}")
    if np.ndim(given) > 2:
        raise ArgumentError(f"the estimate of {source!r} must have shape (L,) or (L, M), got {np.shape(given)}")
    # A channel for each microphone has the own spot among them; any other number is a tool's own, stereo as a rule.
    y_L = y[:, own] if y.shape[1] == x_LM.shape[1] else y.mean(axis=1)
    if abs(len(y_L) - len(x_LM)) > LENGTHS_ALIKE * len(x_LM):
        raise ArgumentError(
            f"the estimate of {source!r} has {len(y_L)} samples, the take {len(x_LM)}; they must be of one length"
        )
    return np.pad(y_L, (0, max(0, len(x_LM) - len(y_L))))[: len(x_LM)]


def _in_time(y_LN: Array, x_LM: Array, own: Sequence[int], sample_rate: int) -> Array:
    """Move each guess to where it is most like its spot: networks and codecs tend to come late."""
    from scipy.signal import correlate, correlation_lags

    furthest = int(LATEST * sample_rate)
    for n, m in enumerate(own):
        likeness = np.abs(correlate(x_LM[:, m].astype(np.float32), y_LN[:, n], method="fft"))
        lags = correlation_lags(len(x_LM), len(y_LN))
        likeness[np.abs(lags) > furthest] = -1.0
        lag = int(lags[np.argmax(likeness)])
        # Only if it is clearly more alike there: a tone is as like itself a period later.
        if likeness.max() > CLEARLY * likeness[lags == 0][0]:
            y_LN[:, n] = np.roll(y_LN[:, n], lag)
            y_LN[slice(lag) if lag > 0 else slice(lag, None), n] = 0.0
    return y_LN


def _masked(mask: Mask, spot_L: Array, source: str) -> Array:
    stft = STFT(mask.window_length, mask.hop)
    S_FTM = stft.analyse(spot_L[:, None])
    values_FT = check_array(f"the mask of {source!r}", mask.values_FT, S_FTM.shape[:2], "(F, T)", nonnegative=True)
    return stft.synthesise(S_FTM * values_FT[..., None], len(spot_L))[:, 0]


def _unmixed(gains_MN: Array, x_LM: Array, own: Sequence[int]) -> Array:
    """Return what each spot would hear of its own source by levels: the powers that explain all mics make masks."""
    stft = STFT(2048)
    X_FTM = stft.analyse(x_LM)
    power_MN = np.square(gains_MN, dtype=np.float64)
    if np.linalg.matrix_rank(power_MN) < len(own):
        raise ArgumentError("the interference matrix does not tell its sources apart; its columns must be independent")
    V_FTM = np.square(np.abs(X_FTM), dtype=np.float64)
    P_FTN = np.maximum(V_FTM @ np.linalg.pinv(power_MN).T, 0.0)
    S_FTN = np.empty((*X_FTM.shape[:2], len(own)), X_FTM.dtype)
    for n, m in enumerate(own):
        heard_FT = np.maximum(P_FTN @ power_MN[m], TINY)
        S_FTN[..., n] = X_FTM[..., m] * np.minimum(P_FTN[..., n] * power_MN[m, n] / heard_FT, 1.0)
    return stft.synthesise(S_FTN, len(x_LM)).astype(np.float32)
