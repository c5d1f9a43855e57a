"""How close separated sources come to the true ones: BSS_eval, its scale-invariant form, SNR, and framewise medians.

Arrays are (samples, sources), as soundfile reads them, and scores are in decibels; files are read and tables printed
elsewhere.  Each estimate is split into orthogonal parts, where the noise of the paper counts as artefact:
``estimate = target + interference + artefact`` (eq. 1).  The target is what filtering the true source can explain;
target and interference together are what filtering all true sources can explain (eq. 3).  Filters have `taps`
coefficients: 512 in BSS_eval, one in the scale-invariant scores.  One Gram matrix of all delayed references is factored
once for all estimates, and energies are computed as inner products; only faint artefacts are synthesised.

Axes: L samples, N references, E estimates, D delays (taps), Q = N·D all delayed references, T frames.

References
----------
E. Vincent, R. Gribonval, C. Févotte, "Performance measurement in blind audio source separation", IEEE TASLP 14(4),
2006.  J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR — half-baked or well done?", ICASSP 2019.
F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
Equation numbers are those of the paper "CLASS-net + FastMNMF2".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from mnmf.errors import ArgumentError, check_audio, check_choice, check_count

__all__ = ["FramewiseScores", "Scores", "bss_eval", "framewise", "si_eval", "snr"]

FloatArray = NDArray[np.float64]

# Artefacts fainter than this share of the estimate (SAR above 40 dB) are synthesised and measured, which doubles the
# time.  The difference of energies is in error by up to 1e-12 on music: 1e-7 dB at 40 dB, but 1e-3 dB at 80 dB.
_FAINT = 1e-4

# Energies outside this range could overflow or underflow in a spectrum; those of sound in any unit are far inside.
_AUDIBLE = 1e-290, 1e290


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of separated sources, one for each reference; `bss_eval` and `si_eval` return them.

    Attributes
    ----------
    sdr, sir, sar : (N,) float64
        Target to all else (eq. 6), target to interference (eq. 5; inf with a single reference), target and
        interference to artefacts (eq. 4), in dB.
    permutation : (N,) int
        Estimate ``permutation[j]`` was scored against reference ``j``.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import metrics
    >>> reference_LN, noise_LN = np.random.default_rng(0).standard_normal((2, 10000, 2))
    >>> estimate_LN = reference_LN + 0.1 * reference_LN[:, ::-1] + 0.1 * noise_LN
    >>> scores = metrics.si_eval(reference_LN, estimate_LN)
    >>> print(scores.sir.round(), scores.sar.round(), scores.sdr.round())
    [20. 20.] [20. 20.] [17. 17.]
    >>> scores.permutation.tolist()
    [0, 1]
    """

    sdr: FloatArray
    sir: FloatArray
    sar: FloatArray
    permutation: NDArray[np.int_]


@dataclass(frozen=True, eq=False)
class FramewiseScores:
    """Scores of separated sources frame by frame; `framewise` returns them.

    Attributes
    ----------
    median : (N,) float64
        Median over the frames that were not left out, dB; NaN where all were.
    frames : (N, T) float64
        Score of each frame, dB; NaN where left out.
    n_silent : (N,) int
        Frames left out because the reference is silent there.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import metrics
    >>> reference_LN = np.ones((4, 1))
    >>> reference_LN[2:] = 0.0
    >>> scores = metrics.framewise(reference_LN, 0.9 * reference_LN, sample_rate=2)
    >>> print(scores.frames.round(1), scores.n_silent)
    [[20. nan]] [1]
    """

    median: FloatArray
    frames: FloatArray
    n_silent: NDArray[np.int_]


def bss_eval(reference_LN: ArrayLike, estimate_LN: ArrayLike, *, taps: int = 512, permute: bool = False) -> Scores:
    """Score separated sources by BSS_eval v3, for which one fixed filter of each reference is no distortion.

    Parameters
    ----------
    reference_LN, estimate_LN : (L, N) real
        True and separated sources.  Scores are computed in float64 whatever their type; the arrays are not changed.
    taps : int
        Length of the allowed filters, in samples.
    permute : bool
        Match estimates to references so that the mean SIR is greatest, instead of taking them in their order.

    Returns
    -------
    Scores
        Of the N references.  NaN where a reference or its estimate is silent; the others are scored without it.

    Raises
    ------
    ArgumentError
        Shapes differ, values are not finite, or there are more sources than samples.

    Notes
    -----
    The scores equal those of ``mir_eval.separation.bss_eval_sources`` to 1e-6 dB, unless the references are so narrow
    in bandwidth or so similar that their Gram matrix is singular in double precision.  SIR and SAR are then ill-posed
    (those of mir_eval change when inputs are rescaled); here they are those of least-squares filters with a ridge at
    rounding level.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import metrics
    >>> reference_LN, noise_LN = np.random.default_rng(0).standard_normal((2, 10000, 2))
    >>> estimate_LN = reference_LN + 0.1 * reference_LN[:, ::-1] + 0.1 * noise_LN  # the other source 20 dB below
    >>> scores = metrics.bss_eval(reference_LN, estimate_LN, taps=4)
    >>> print(scores.sir.round(), scores.sar.round())
    [20. 20.] [20. 20.]
    """
    reference_LN, estimate_LN = _check_pair(reference_LN, estimate_LN)
    taps = check_count("taps", taps)
    n_sources = reference_LN.shape[1]
    heard_N, heard_E = _audible(reference_LN), _audible(estimate_LN)
    sdr_NE, sir_NE, sar_NE = np.full((3, n_sources, n_sources), np.nan)
    if heard_N.any() and heard_E.any():
        target_NE, interference_NE, artefact_E = _energies(reference_LN[:, heard_N], estimate_LN[:, heard_E], taps)
        heard_NE = np.ix_(heard_N, heard_E)
        sar_NE[heard_NE] = _decibels(target_NE + interference_NE, artefact_E)  # eq. 4
        sir_NE[heard_NE] = _decibels(target_NE, interference_NE)  # eq. 5
        sdr_NE[heard_NE] = _decibels(target_NE, interference_NE + artefact_E)  # eq. 6, and eq. 7 for one tap

    permutation_N = _match(sir_NE, heard_N, heard_E) if permute else np.arange(n_sources)
    pairs = np.arange(n_sources), permutation_N
    return Scores(sdr_NE[pairs], sir_NE[pairs], sar_NE[pairs], permutation_N)


def si_eval(reference_LN: ArrayLike, estimate_LN: ArrayLike, *, permute: bool = False) -> Scores:
    """Score separated sources by SI-SDR, SI-SIR and SI-SAR: only the gain of each reference is free (eq. 4-7).

    This is `bss_eval` with one tap.  The numerator of SI-SAR is target plus interference, as in BSS_eval; Le Roux et
    al. have the target alone.

    Parameters
    ----------
    reference_LN, estimate_LN : (L, N) real
        True and separated sources.
    permute : bool
        As for `bss_eval`.

    Returns
    -------
    Scores
        Of the N references.  NaN where a reference or its estimate is silent.

    Raises
    ------
    ArgumentError
        As for `bss_eval`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import metrics
    >>> reference_LN, noise_LN = np.random.default_rng(0).standard_normal((2, 10000, 2))
    >>> estimate_LN = 0.5 * (reference_LN + 0.1 * noise_LN)  # half as loud, which does not matter
    >>> print(metrics.si_eval(reference_LN, estimate_LN).sdr.round())
    [20. 20.]
    """
    return bss_eval(reference_LN, estimate_LN, taps=1, permute=permute)


def snr(reference_LN: ArrayLike, estimate_LN: ArrayLike) -> FloatArray:
    """Return ``10 log10(|s|² / |s - e|²)`` of each source s and its estimate e: a wrong gain counts as an error, too.

    Parameters
    ----------
    reference_LN, estimate_LN : (L, N) real
        True and separated sources.

    Returns
    -------
    (N,) float64
        In dB.  NaN where the reference is silent, inf where the estimate is exact.

    Raises
    ------
    ArgumentError
        As for `bss_eval`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import metrics
    >>> reference_LN = np.random.default_rng(0).standard_normal((4000, 2))
    >>> print(metrics.snr(reference_LN, 0.9 * reference_LN).round(3))
    [20. 20.]
    """
    reference_LN, estimate_LN = _check_pair(reference_LN, estimate_LN)
    error_N = _energy(np.subtract(reference_LN, estimate_LN, dtype=np.float64))
    return np.where(_audible(reference_LN), _decibels(_energy(reference_LN), error_N), np.nan)


def framewise(
    reference_LN: ArrayLike,
    estimate_LN: ArrayLike,
    sample_rate: int,
    *,
    metric: str = "snr",
    seconds: float = 1.0,
    silence_db: float = -80.0,
    taps: int = 512,
) -> FramewiseScores:
    """Score separated sources in frames and take the median, as in SiSEC 2018.

    Frames do not overlap, and an incomplete last one is dropped; a signal shorter than a frame is one frame.

    Parameters
    ----------
    reference_LN, estimate_LN : (L, N) real
        True and separated sources.
    sample_rate : int
        In Hz.
    metric : {"snr", "sdr"}
        `snr`, or the SDR of `bss_eval` with filters of `taps` coefficients fitted to each frame by itself.
    seconds : float
        Length of a frame.
    silence_db : float
        A source is not scored in frames in which its reference is this far or farther below its own loudest frame, nor
        in those of digital silence.
    taps : int
        As for `bss_eval`; used with "sdr" only.

    Returns
    -------
    FramewiseScores
        With "sdr", frames in which only the estimate is silent are NaN and outside the median, but not counted.

    Raises
    ------
    ArgumentError
        As for `bss_eval`, or an unknown metric, frames too short, or `silence_db` not below zero.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import metrics
    >>> reference_LN = np.random.default_rng(0).standard_normal((4000, 2))
    >>> estimate_LN = reference_LN.copy()
    >>> estimate_LN[2000:] *= 0.9
    >>> estimate_LN[:2000] *= 0.99
    >>> scores = metrics.framewise(reference_LN, estimate_LN, sample_rate=1000)
    >>> print(scores.frames.round())
    [[40. 40. 20. 20.]
     [40. 40. 20. 20.]]
    >>> print(scores.median.round())
    [30. 30.]
    """
    reference_LN, estimate_LN = _check_pair(reference_LN, estimate_LN)
    check_choice("metric", metric, ("snr", "sdr"))
    if not silence_db < 0:
        raise ArgumentError(f"silence_db must be negative, got {silence_db!r}; -80 keeps all but the quietest frames")
    length, n_sources = reference_LN.shape
    samples = seconds * check_count("sample_rate", sample_rate)
    if not n_sources <= samples < np.inf:
        raise ArgumentError(f"seconds must give frames of {n_sources} samples or more, got {seconds!r}; 1.0 is usual")
    hop = min(length, round(samples))
    shape = (length // hop, hop, n_sources)
    reference_TLN, estimate_TLN = (x_LN[: shape[0] * hop].reshape(shape) for x_LN in (reference_LN, estimate_LN))

    energy_NT = np.array([_energy(frame_LN) for frame_LN in reference_TLN]).T
    silent_NT = energy_NT <= energy_NT.max(axis=1, keepdims=True) * 10 ** (silence_db / 10)
    frames_NT = np.full(silent_NT.shape, np.nan)
    for t in np.flatnonzero(~silent_NT.all(axis=0)):
        pair = reference_TLN[t], estimate_TLN[t]
        frames_NT[:, t] = snr(*pair) if metric == "snr" else bss_eval(*pair, taps=taps).sdr
    frames_NT[silent_NT] = np.nan

    # np.nanmedian warns of rows without any number
    numbers = [frames_T[~np.isnan(frames_T)] for frames_T in frames_NT]
    median_N = np.array([np.median(scores) if scores.size else np.nan for scores in numbers])
    return FramewiseScores(median_N, frames_NT, silent_NT.sum(axis=1))


def _energies(
    reference_LN: NDArray[Any], estimate_LE: NDArray[Any], taps: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the energies of target and interference (N, E), for every pair, and of artefacts (E,).

    All are relative to the energy of the estimate.

    Let d be the inner products of an estimate with the delayed references, and G = C Cᵀ their Gram matrix: the
    projection of the estimate has the energy dᵀ G⁻¹ d = |C⁻¹ d|².  The interference is the projection on all references
    less that on reference j.  It may be much fainter than either, so it is computed not as their difference but as the
    projection of what reference j does not explain.
    """
    n_sources, n_estimates = reference_LN.shape[1], estimate_LE.shape[1]
    norm_N, norm_E = np.sqrt(_energy(reference_LN)), np.sqrt(_energy(estimate_LE))
    correlation_NSD = _correlate(reference_LN, estimate_LE, taps)
    correlation_NSD /= norm_N[:, None, None] * np.concatenate([norm_N, norm_E])[:, None]
    later_NND = correlation_NSD[:, :n_sources]
    lags_NNK = np.concatenate([later_NND.transpose(1, 0, 2)[..., :0:-1], later_NND], axis=2)
    inner_NDE = correlation_NSD[:, n_sources:].transpose(0, 2, 1)

    target_NE = np.empty((n_sources, n_estimates))
    left_NDNE = np.empty((n_sources, taps, n_sources, n_estimates))
    for j in range(n_sources):
        factor_DD = _factor(lags_NNK[j : j + 1, j : j + 1])
        white_DE = _solve(factor_DD, inner_NDE[j])
        target_NE[j] = _energy(white_DE)
        explained_QE = _toeplitz(lags_NNK[:, j : j + 1]) @ _solve(factor_DD, white_DE, transposed=True)
        left_NDNE[:, :, j] = inner_NDE - explained_QE.reshape(inner_NDE.shape)
        left_NDNE[j, :, j] = 0.0  # what reference j does not explain is orthogonal to it

    factor_QQ = _factor(lags_NNK)
    white_QE = _solve(factor_QQ, inner_NDE.reshape(n_sources * taps, -1))
    artefact_E = 1.0 - _energy(white_QE)
    interference_NE = _energy(_solve(factor_QQ, left_NDNE.reshape(n_sources * taps, -1))).reshape(target_NE.shape)
    for e in np.flatnonzero(artefact_E < _FAINT):
        filter_ND = _solve(factor_QQ, white_QE[:, e], transposed=True).reshape(n_sources, taps)
        filter_ND *= norm_E[e] / norm_N[:, None]
        artefact_E[e] = _artefact_energy(reference_LN, estimate_LE[:, e], filter_ND) / norm_E[e] ** 2
    return target_NE, interference_NE, artefact_E


def _correlate(reference_LN: NDArray[Any], estimate_LE: NDArray[Any], taps: int) -> FloatArray:
    """Return inner products of references with references and estimates 0 … taps - 1 samples later, (N, N + E, taps).

    Signals are long and lags are few, so spectra of short blocks are summed and transformed back once.
    """
    length, n_sources = reference_LN.shape
    n_fft = scipy.fft.next_fast_len(min(length + taps - 1, max(2**14, 8 * taps)), real=True)
    hop = n_fft - taps + 1
    cross_NSF: Any = 0.0
    for start in range(0, length, hop):
        block_LS = np.hstack([x_LN[start : start + n_fft] for x_LN in (reference_LN, estimate_LE)])
        block_SL = block_LS.T.astype(np.float64)
        head_NF = scipy.fft.rfft(block_SL[:n_sources, :hop], n_fft)
        cross_NSF = cross_NSF + head_NF.conj()[:, None] * scipy.fft.rfft(block_SL, n_fft)
    correlation_NSD: FloatArray = scipy.fft.irfft(cross_NSF, n_fft)[..., :taps]
    return correlation_NSD


def _toeplitz(lags_NMK: FloatArray) -> FloatArray:
    """Return the block Toeplitz matrix (N·D, M·D) whose entry (n, a; m, b) is the correlation of n and m at lag a - b.

    The number of lags K is 2 D - 1.
    """
    n_rows, n_columns, n_lags = lags_NMK.shape
    taps = (n_lags + 1) // 2
    matrix_NMDD = sliding_window_view(lags_NMK[..., ::-1], taps, axis=2)[:, :, ::-1]
    return matrix_NMDD.transpose(0, 2, 1, 3).copy().reshape(n_rows * taps, n_columns * taps)


def _factor(lags_NNK: FloatArray) -> FloatArray:
    """Return the lower Cholesky factor of the Gram matrix, with the least ridge that makes it positive definite.

    References without energy in some band, or delayed copies of each other, lead to eigenvalues that rounding makes
    negative.  The ridge takes away their influence, as a pseudo-inverse would that drops them, at a tenth of the cost.
    """
    ridge = 0.0
    while True:
        gram_QQ = _toeplitz(lags_NNK)
        gram_QQ.flat[:: len(gram_QQ) + 1] += ridge
        try:
            # symmetric, so its transpose is the same matrix in the order that LAPACK can overwrite
            factor_QQ: FloatArray = scipy.linalg.cholesky(gram_QQ.T, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            ridge = max(1e-15, 10.0 * ridge)
        else:
            return factor_QQ


def _solve(factor_QQ: FloatArray, right_QE: FloatArray, *, transposed: bool = False) -> FloatArray:
    solution_QE: FloatArray = scipy.linalg.solve_triangular(
        factor_QQ, right_QE, lower=True, trans="T" if transposed else "N", check_finite=False
    )
    return solution_QE


def _artefact_energy(reference_LN: NDArray[Any], estimate_L: NDArray[Any], filter_ND: FloatArray) -> float:
    from scipy.signal import oaconvolve  # slow to import, seldom needed

    artefact_L = np.pad(estimate_L.astype(np.float64), (0, filter_ND.shape[1] - 1))
    for reference_L, filter_D in zip(reference_LN.T, filter_ND):
        artefact_L -= oaconvolve(reference_L.astype(np.float64), filter_D)
    return float(artefact_L @ artefact_L)


def _match(sir_NE: FloatArray, heard_N: NDArray[np.bool_], heard_E: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Return the estimate of each reference for the greatest mean SIR; silent estimates go to silent references."""
    from scipy.optimize import linear_sum_assignment  # slow to import, seldom needed

    # finite stand-ins beyond any score: sums with infinities could not be compared
    gain_NE = np.nan_to_num(sir_NE, nan=0.0, posinf=1e6, neginf=-1e6)
    gain_NE[np.ix_(heard_N, ~heard_E)] = -1e9
    permutation_N: NDArray[np.int_] = linear_sum_assignment(gain_NE, maximize=True)[1]
    return permutation_N


def _audible(x_LN: NDArray[Any]) -> NDArray[np.bool_]:
    energy_N = _energy(x_LN)
    return (_AUDIBLE[0] < energy_N) & (energy_N < _AUDIBLE[1])


def _energy(x_LN: NDArray[Any]) -> FloatArray:
    energy_N: FloatArray = np.einsum("ln,ln->n", x_LN, x_LN, dtype=np.float64)
    return energy_N


def _decibels(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = 10.0 * np.log10(numerator / denominator)
    return ratio


def _check_pair(reference_LN: ArrayLike, estimate_LN: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    reference = check_audio(reference_LN, "reference_LN", np.inf)
    estimate = check_audio(estimate_LN, "estimate_LN", np.inf)
    if reference.shape != estimate.shape:
        raise ArgumentError(
            f"reference_LN and estimate_LN must have the same shape (samples, sources), got {reference.shape} and "
            f"{estimate.shape}; give one estimate for each reference, cut to the same length"
        )
    if reference.shape[1] > reference.shape[0]:
        raise ArgumentError(
            f"reference_LN and estimate_LN must be (samples, sources), got {reference.shape}; transpose them"
        )
    return reference, estimate
