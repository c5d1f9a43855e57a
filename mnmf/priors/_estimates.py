"""Priors from estimates of the sources, wherever they come from: a neural network, another tool, an earlier run.

An estimator is anything that can be called with a take and returns an estimate of each source (`Estimator`); `estimate`
converts whatever it returns to one waveform for each source, as its own spot would hear it.  From those,
`estimate_shares` finds which part of what each spot heard belongs to its player, and `estimate_trust` how reliable they
are; `priors.spot` and `priors.spot_activations` start from both.  The levels of the estimates do not matter, whatever
they contain that the spots did not hear is left out, and nothing is held to them.  docs/neural.md explains why the
guided starts of "CLASS-net + FastMNMF2" did not help, and why these do.

The estimators themselves, folders of files, commands and networks, are in `mnmf.estimators`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import (
    ArgumentError,
    check_array,
    check_audio,
    check_count,
    check_number,
    check_numeric,
    check_spectrogram,
)
from mnmf.kernels.fullrank import rooted
from mnmf.kernels.scm import weighted_covariances
from mnmf.priors._prior import Prior
from mnmf.priors._spot import NONE_DOMINATES, power, spot_panning
from mnmf.spots import Spots
from mnmf.stft import STFT

__all__ = ["Estimator", "Mask", "estimate", "estimate_covariances", "estimate_shares", "estimate_trust"]

Array = NDArray[Any]

LENGTHS_ALIKE = 0.05  # of the take: by how much an estimate may be longer or shorter
SILENT_END = 0.01  # of the peak of an estimate: what it has after the end of the take counts as silence below this
ROUNDING = 1e-3  # by which a mask may exceed 1
TINY = float(np.finfo(np.float32).tiny)
BAND = 32  # frequencies whose power is summed before levels are compared
LEVEL_UPDATES = 100
LATEST = 0.1  # seconds by which an estimate may be early or late
CLEARLY = 1.1  # how much more alike an estimate and its spot must be at another delay for it to be moved there
CLEAN, GOOD = 0.05, 0.1  # the largest b₀ of `estimate_trust`, and the error at which it is half of that
SHARPEST = 4.0  # power of the shares where there is much bleed
MUCH = 0.1  # part of bleed at which the default sharpness of shares is half-way between 1 and 2
BLOCK = 2**18  # samples compared at once
SILENT = 1e-12  # of the strongest frequency: with less energy than this nothing is learned about a frequency


@dataclass(frozen=True, eq=False)
class Mask:
    """An estimate of a source as a mask: which part of what its own spot heard belongs to it.

    Parameters
    ----------
    values_FT : float, shape (F, T), 0 to 1
        One value for each frequency and frame of ``STFT(window_length, hop)``; or of an analysis whose frame t is
        centred at sample ``t·hop``, as in torch and librosa, which has ``L // hop + 1`` frames for L samples.
    window_length, hop : int
        In samples at the rate of the audio that the estimator was given.

    Examples
    --------
    >>> x_LM = np.random.default_rng(0).standard_normal((64, 2))
    >>> def silence(audio_LM, sample_rate):
    ...     return {"violin": Mask(np.zeros((9, 64 // 8 + 1)), window_length=16, hop=8)}
    >>> y_LN, missing = estimate(silence, x_LM, 8000, ["violin", "cello"], [0, 1])
    >>> float(abs(y_LN[:, 0]).max()), missing  # the spot itself stands in for the cello
    (0.0, ('cello',))
    """

    values_FT: Array
    window_length: int
    hop: int


class Estimator(Protocol):
    """What can estimate the sources of a take: any callable with these arguments and one of these results.

    Examples
    --------
    >>> def quieter(audio_LM, sample_rate):
    ...     return 0.5 * audio_LM  # one source at each microphone
    >>> estimator: Estimator = quieter
    """

    def __call__(self, audio_LM: Array, sample_rate: int) -> Mapping[str, Array | Mask] | Array:
        """Return an estimate of each source.

        Parameters
        ----------
        audio_LM : float32, shape (L, M)
            What the microphones recorded.
        sample_rate : int
            In Hz.

        Returns
        -------
        mapping of str to (L,), (L, M) or Mask; or array of shape (L, M) or (M, N)
            A mapping from the names of the sources to the sound of each at its own spot, or at every microphone, or to
            a `Mask` of its own spot.  Or an array, (L, M), of what each microphone would hear of its own player alone.
            Or an interference matrix Λ, (M, N): how loud each source, in the order of the session, is at each
            microphone.
        """


def estimate(
    estimator: Estimator,
    x_LM: Array,
    sample_rate: int,
    sources: Sequence[str],
    spots: Sequence[int | Sequence[int]],
) -> tuple[Array, tuple[str, ...]]:
    """Call an estimator, and return its estimates as the own spot of each source would hear them.

    Parameters
    ----------
    estimator : Estimator
        Called once, with `x_LM` as float32 and the sample rate.
    x_LM : float, shape (L, M)
        The take.
    sample_rate : int
        In Hz.
    sources : sequence of str
        Names of the sources.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.

    Returns
    -------
    y_LN : float32, shape (L, N)
        The estimates.  One that is up to 5 % shorter than the take ends with silence, and one that is longer is cut.
        One that is early or late by up to a tenth of a second is moved into time.
    missing : tuple of str
        Sources without an estimate; in `y_LN` the signal of the spot stands in for them.

    Raises
    ------
    ArgumentError
        What the estimator returned is none of the results of `Estimator`, or names none of the sources; or the spots do
        not fit the sources and microphones.

    Examples
    --------
    >>> x_LM = np.random.default_rng(0).standard_normal((64, 2))
    >>> def network(audio_LM, sample_rate):
    ...     return {"cello": 0.9 * audio_LM[:, 1]}
    >>> y_LN, missing = estimate(network, x_LM, 8000, ["violin", "cello"], [0, 1])
    >>> y_LN.shape, y_LN.dtype, missing
    ((64, 2), dtype('float32'), ('violin',))
    """
    x_LM = check_audio(x_LM)
    M = x_LM.shape[1]
    check_count("sample_rate", sample_rate)
    if not (isinstance(sources, Sequence) and all(isinstance(source, str) for source in sources)):
        raise ArgumentError(f"sources must be a list of names, got {sources!r:.80}")
    if not callable(estimator):
        raise ArgumentError(f"estimator must be a function of audio and sample rate, got {estimator!r:.80}")
    own = Spots(spots).check(M, len(sources)).references
    found = estimator(x_LM.astype(np.float32), sample_rate)
    if not isinstance(found, Mapping):
        found = check_numeric("what the estimator returns", found)
    if not isinstance(found, Mapping) and np.ndim(found) == 2 and len(found) > M:
        if np.shape(found)[1] != M:
            raise ArgumentError(
                f"an array of the estimator must have one channel for each of {M} mics, got {np.shape(found)}; return "
                "a dict of the sources instead"
            )
        found = dict.fromkeys(sources, found)
    if isinstance(found, Mapping):
        y_LN, missing = _from_mapping(found, x_LM, sources, own)
        return _in_time(y_LN, x_LM, own, sample_rate), missing
    gains_MN = check_array("the interference matrix", found, (M, len(own)), "(mics, sources)", nonnegative=True)
    return _unmixed(gains_MN, x_LM, own), ()


def estimate_shares(
    X_FTM: Array, E_FTN: Array, spots: Sequence[int | Sequence[int]], *, sharpness: float | None = None
) -> NDArray[np.float32]:
    """Return which part of what each spot heard belongs to its own player, according to estimates of the players.

    ``s_n = P_n^p / Σ_r P_r^p`` with p the `sharpness` and ``P_n = c_nn |E_n|²``.  The levels c make each estimate as
    loud as its source is at its own spot: they are the ``c ≥ 0`` for which ``Σ_r c_nr |E_r|²`` is nearest to what spot
    n heard (Kullback-Leibler).  So it does not matter whether a tool keeps levels, normalises what it returns or
    inverts a polarity.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture.
    E_FTN : complex or real, shape (F, T, N)
        Spectrograms of the estimates, each source at its own spot; or their magnitudes.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    sharpness : float, optional
        1 gives the gain of a Wiener filter; the greater it is, the more of each point goes to the strongest source.  By
        default between 1, for spots with hardly any bleed, and 2, for spots with much bleed: the values that gave the
        best separation in experiments.

    Returns
    -------
    float32, shape (N, F, T)
        From 0 to 1; their sum over the sources is 1, or 0 where all estimates, or all spots, are silent.

    Raises
    ------
    ArgumentError
        Shapes that do not fit together, or a microphone that does not exist or is the spot of two sources.

    Examples
    --------
    Where two sources are equally loud at their own spots, each has half, however loud its estimate is:

    >>> X_FTM = np.ones((1, 4, 2), complex)
    >>> estimate_shares(X_FTM, X_FTM * [1.0, 1000.0], spots=[0, 1])[:, 0, 0].round(2).tolist()
    [0.5, 0.5]
    """
    X_FTM, P_NFT, own = _checked(X_FTM, E_FTN, spots)
    if sharpness is None:
        sharpness = 1.0 + float(np.mean(_from_0_to_1(_bleed(X_FTM, own), MUCH)))
    check_number("sharpness", sharpness, 0.1, 100.0)
    for n, level in enumerate(_levels(X_FTM, P_NFT, own)):
        P_NFT[n] *= np.float32(level)
    largest_FT = np.maximum(P_NFT.max(axis=0), TINY)
    P_NFT /= largest_FT  # so that no power overflows or vanishes
    P_NFT **= np.float32(sharpness)
    P_NFT /= np.maximum(P_NFT.sum(axis=0), TINY)
    return P_NFT


def estimate_trust(X_FTM: Array, E_FTN: Array, spots: Sequence[int | Sequence[int]]) -> NDArray[np.float64]:
    """Return how far to believe estimates, compared with what the spots themselves hear.

    ``b⁶ / (b⁶ + b₀⁶ (1 + e²))``, with b the part of the power of a spot that is bleed, found by `spot_panning`, and e
    the power of the errors of the estimate relative to that of the source.  A start from a spot full of bleed is worse
    than a start from even poor estimates, and a start from a nearly clean spot is better than one from fairly good
    estimates.  Between the two lies ``b₀ = 0.05 e / (e + 0.1)``, found by experiment.

    e follows from what estimate and spot have in common: bleed and errors are what they have not, so
    ``min_c Σ |x − cE|² / Σ |x|² = 1 − (1 − b) / (1 + e)``.

    The trust in an estimate that has more than half of its power in common with that of another source is reduced, down
    to 0 if the two are the same sound.

    Parameters
    ----------
    X_FTM, spots
        As for `estimate_shares`.
    E_FTN : complex, shape (F, T, N)
        Spectrograms of the estimates, each source at its own spot.

    Returns
    -------
    float64, shape (N,)
        From 0 to 1; 0 for a silent estimate or spot, and where there is no bleed.

    Raises
    ------
    ArgumentError
        As `estimate_shares`.

    Examples
    --------
    Correct estimates of two sources that take turns, and estimates that are both the sum of the microphones:

    >>> E_FTN = np.array([[[1.0, 0.0], [0.0, 1.0]]]) + 0j
    >>> X_FTM = E_FTN @ [[1.0, 0.5], [0.5, 1.0]]
    >>> estimate_trust(X_FTM, E_FTN, spots=[0, 1]).round(2).tolist()
    [1.0, 1.0]
    >>> alike_FTN = np.repeat(X_FTM.sum(axis=2, keepdims=True), 2, axis=2)
    >>> estimate_trust(X_FTM, alike_FTN, spots=[0, 1]).round(2).tolist()
    [0.0, 0.0]
    """
    X_FTM, _, own = _checked(X_FTM, E_FTN, spots)
    bleed_N = _bleed(X_FTM, own)
    E_FTN = _at_unit_level(E_FTN)
    trust_N = np.zeros(len(own))
    for n, m in enumerate(own):
        x_FT, e_FT = X_FTM[..., m], E_FTN[..., n]
        energy, estimated = (float(np.sum(power(z_FT), dtype=np.float64)) for z_FT in (x_FT, e_FT))
        if energy > 0 and estimated > 0 and bleed_N[n] > 0:
            common = abs(np.sum(x_FT * np.conj(e_FT), dtype=np.complex128)) ** 2 / (energy * estimated)
            error = max((1 - bleed_N[n]) / max(common, TINY) - 1, 0.0)
            between = CLEAN * error / (error + GOOD)
            trust_N[n] = _from_0_to_1(bleed_N[n], between * (1 + error**2) ** (1 / 6))
    return trust_N * np.minimum(2 * (1 - _alike(E_FTN)), 1.0)


def _at_unit_level(E_FTN: Array) -> Array:
    """Return estimates scaled so that no power overflows or vanishes, by powers of two, which round nothing."""
    largest_N = np.abs(E_FTN).max(axis=(0, 1)).astype(np.float64)
    levels_N = np.ldexp(1.0, -np.frexp(np.where(largest_N > 0, largest_N, 1.0))[1])
    return np.asarray(E_FTN * levels_N.astype(E_FTN.real.dtype))


def _alike(E_FTN: Array) -> NDArray[np.float64]:
    """Return which part of its power each estimate has in common with the most similar other one."""
    flat = E_FTN.reshape(-1, E_FTN.shape[2])
    gram_NN = np.square(np.abs(flat.conj().T @ flat).astype(np.float64))
    power_N = np.sqrt(np.diag(gram_NN))
    alike_NN = gram_NN / np.maximum(np.outer(power_N, power_N), TINY)
    np.fill_diagonal(alike_NN, 0.0)
    return np.asarray(np.minimum(alike_NN.max(axis=1), 1.0))


def bleed_sharpness(X_FTM: Array, spots: Sequence[int | Sequence[int]]) -> float:
    """Return how sharply `spot` should tell sources apart, from 1 for spots with hardly any bleed to 4 for much.

    A channel is a source's own where it is the loudest of all; the more it hears of the others, the less the shares of
    the powers tell, and the more their fourth powers do.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture, microphones about equally loud.
    spots
        As for `spot`.

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        A microphone does not exist, or two sources share one.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.priors import bleed_sharpness
    >>> rng = np.random.default_rng(0)
    >>> s_FTN = rng.standard_normal((9, 50, 2)) * rng.gamma(0.2, size=(9, 50, 2)) + 0j
    >>> [round(bleed_sharpness(s_FTN @ [[1, a], [a, 1]], (0, 1)), 1) for a in (0.01, 0.7)]
    [1.0, 4.0]
    """
    X_FTM = check_spectrogram(X_FTM)
    own = Spots(spots).check(X_FTM.shape[2], apart=NONE_DOMINATES).references
    return 1.0 + (SHARPEST - 1.0) * float(np.mean(_from_0_to_1(_bleed(X_FTM, own), MUCH)))


def _from_0_to_1(bleed: Any, between: float) -> Any:
    """Return a number close to 0 for much less bleed than `between`, and close to 1 for much more."""
    return bleed**6 / np.maximum(bleed**6 + between**6, TINY)


def _bleed(X_FTM: Array, own: Sequence[int]) -> NDArray[np.float64]:
    """Return which part of the power of each spot comes from the sources of the other spots."""
    power_N = np.array([np.sum(power(X_FTM[..., m]), dtype=np.float64) for m in own])
    gains_NN = np.square(np.asarray(spot_panning(X_FTM, own).G)[:, own])
    heard_N = power_N @ gains_NN - power_N * np.diag(gains_NN)
    return np.asarray(np.minimum(heard_N / np.maximum(power_N, TINY), 1.0))


def estimate_covariances(
    X_FTM: Array,
    E_FTN: Array,
    spots: Sequence[int | Sequence[int]],
    *,
    sharpness: float = 2.0,
    exponent: float = 2.0,
) -> Prior:
    """Learn the spatial covariance of each source from where, according to the estimates, it sounds alone.

    As `solo_covariances`, but over the whole mixture, weighted by the share of `estimate_shares` to the fourth power:
    the mixture shows how a source reaches the microphones only where hardly anything else sounds.

    Parameters
    ----------
    X_FTM, E_FTN, spots
        As for `estimate_shares`.
    sharpness : float
        As for `estimate_shares`, but with a default that does not depend on the bleed.
    exponent : float
        As for `solo_covariances`.

    Returns
    -------
    Prior
        With `R`, complex128 (N, F, M, M), 1 at a source's own spot, and `spots`.

    Raises
    ------
    ArgumentError
        As `estimate_shares`, or the exponent is neither 1 nor 2.

    Examples
    --------
    Two sources that take turns, each heard at half its level by the other's microphone:

    >>> E_FTN = np.array([[[1.0, 0.0], [0.0, 1.0]]]) + 0j
    >>> X_FTM = E_FTN @ [[1.0, 0.5], [0.5, 1.0]]
    >>> estimate_covariances(X_FTM, E_FTN, spots=[0, 1]).R[0, 0].real.round(2).tolist()
    [[1.0, 0.5], [0.5, 0.25]]
    """
    if check_number("exponent", exponent, 1.0, 2.0) not in (1.0, 2.0):
        raise ArgumentError(f"exponent must be 1 or 2, got {exponent!r}")
    share_NFT = estimate_shares(X_FTM, E_FTN, spots, sharpness=sharpness)
    all_spots = Spots(spots)
    X_FTM = np.ascontiguousarray(X_FTM)
    data_FTM = rooted(X_FTM) if exponent == 1 else X_FTM
    R_NFMM = np.empty((len(all_spots), len(X_FTM), X_FTM.shape[2], X_FTM.shape[2]), np.complex128)
    for n, own in enumerate(all_spots.references):
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
    own = Spots(spots).check(M).references
    E_FTN = check_array("E_FTN", E_FTN, (F, T, len(own)), "(F, T, N)")
    P_NFT = np.empty((len(own), F, T), np.float32)
    for n in range(len(own)):
        magnitude_FT = np.abs(E_FTN[..., n])
        # Scaled first, because in single precision the square of a very loud or faint estimate is out of range.
        P_NFT[n] = np.square(magnitude_FT / (magnitude_FT.max() or 1.0))
    return X_FTM, P_NFT, own


def _levels(X_FTM: Array, P_NFT: Array, own: Sequence[int]) -> list[float]:
    """Return c_nn of `estimate_shares`: the level of each estimate at its own spot, fitted together with the others."""
    edges = np.arange(0, len(X_FTM), BAND)
    U_NP = np.stack([np.add.reduceat(P_FT, edges, axis=0).ravel() for P_FT in P_NFT]).astype(np.float64)
    audible = U_NP.sum(axis=1) > 0
    levels = []
    for n, m in enumerate(own):
        V_P = np.add.reduceat(power(X_FTM[..., m]), edges, axis=0).ravel().astype(np.float64)
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
    missing = tuple(source for source in sources if found.get(source) is None)
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
    given = check_numeric(f"the estimate of {source!r}", given)
    y = check_audio(given if given.ndim == 2 else given.reshape(-1, 1), f"the estimate of {source!r}")
    if given.ndim > 2:
        raise ArgumentError(f"the estimate of {source!r} must have shape (L,) or (L, M), got {np.shape(given)}")
    # With one channel for each microphone, one of them is the spot; otherwise the channels are mostly stereo.
    y_L = y[:, own] if y.shape[1] == x_LM.shape[1] else y.mean(axis=1)
    # Networks pad their last block with silence, so only sound after the end of the take is a reason to refuse.
    after = np.max(np.abs(y_L[len(x_LM) :]), initial=0.0)
    longest = (1 + LENGTHS_ALIKE) * len(x_LM) if after > SILENT_END * np.max(np.abs(y_L)) else np.inf
    if not (1 - LENGTHS_ALIKE) * len(x_LM) <= len(y_L) <= longest:
        masks = "; a mask goes into priors.Mask" if np.ndim(given) == 2 else ""
        raise ArgumentError(
            f"the estimate of {source!r} has {len(y_L)} samples, the take {len(x_LM)}: is it of another take, or of "
            f"another sample rate?{masks}"
        )
    return np.pad(y_L, (0, max(0, len(x_LM) - len(y_L))))[: len(x_LM)]


def _in_time(y_LN: Array, x_LM: Array, own: Sequence[int], sample_rate: int) -> Array:
    """Move each estimate to the time at which it is most similar to its spot: networks and codecs tend to delay it."""
    furthest = min(int(LATEST * sample_rate), len(x_LM) - 1)
    for n, m in enumerate(own):
        likeness = _likeness(x_LM[:, m].astype(np.float32), y_LN[:, n], furthest)
        lag = int(np.argmax(likeness)) - furthest
        # A tone is just as similar to itself a period later, so the similarity must be clearly greater.
        if likeness.max() > CLEARLY * likeness[furthest]:
            y_LN[:, n] = np.roll(y_LN[:, n], lag)
            y_LN[slice(lag) if lag > 0 else slice(lag, None), n] = 0.0
    return y_LN


def _likeness(x_L: Array, y_L: Array, furthest: int) -> Array:
    """Return |Σ x y| for y moved by -`furthest` to `furthest` samples; block by block, to bound memory."""
    from scipy.signal import correlate

    padded = np.pad(y_L, furthest)
    total = np.zeros(2 * furthest + 1)
    for start in range(0, len(x_L), BLOCK):
        stop = min(start + BLOCK, len(x_L))
        total += correlate(padded[start : stop + 2 * furthest], x_L[start:stop], mode="valid", method="fft")
    return np.abs(total[::-1])


def _masked(mask: Mask, spot_L: Array, source: str) -> Array:
    stft = STFT(mask.window_length, mask.hop)
    S_FTM = stft.analyse(spot_L[:, None])
    name, (F, T) = f"the mask of {source!r}", S_FTM.shape[:2]
    values_FT = mask.values_FT
    centred = len(spot_L) // mask.hop + 1
    if np.shape(values_FT) == (F, centred) != (F, T):
        lead = -(-mask.window_length // mask.hop) - 1  # frames that `STFT` begins before the first sample
        shift = round(mask.window_length / (2 * mask.hop)) - lead
        values_FT = np.asarray(values_FT)[:, np.clip(np.arange(T) + shift, 0, centred - 1)]
    elif np.shape(values_FT) != (F, T):
        raise ArgumentError(f"{name} must have shape {(F, T)}, or {(F, centred)} centred, got {np.shape(values_FT)}")
    values_FT = check_array(name, values_FT, (F, T), "(F, T)", nonnegative=True)
    if values_FT.max() > 1 + ROUNDING:
        raise ArgumentError(f"{name} must be from 0 to 1, got up to {values_FT.max():g}")
    return stft.synthesise(S_FTM * np.minimum(values_FT, 1)[..., None], len(spot_L))[:, 0]


def _unmixed(gains_MN: Array, x_LM: Array, own: Sequence[int]) -> Array:
    """Return each source at its own spot, masked by the powers that, mixed by these gains, explain all microphones."""
    stft = STFT(2048)
    X_FTM = stft.analyse(x_LM)
    power_MN = np.square(gains_MN, dtype=np.float64)
    if np.linalg.matrix_rank(power_MN) < len(own):
        raise ArgumentError(
            "the columns of the interference matrix must be independent, or it does not tell the sources apart"
        )
    V_FTM = np.square(np.abs(X_FTM), dtype=np.float64)
    P_FTN = np.maximum(V_FTM @ np.linalg.pinv(power_MN).T, 0.0)
    S_FTN = np.empty((*X_FTM.shape[:2], len(own)), X_FTM.dtype)
    for n, m in enumerate(own):
        heard_FT = np.maximum(P_FTN @ power_MN[m], TINY)
        S_FTN[..., n] = X_FTM[..., m] * np.minimum(P_FTN[..., n] * power_MN[m, n] / heard_FT, 1.0)
    return stft.synthesise(S_FTN, len(x_LM)).astype(np.float32)
