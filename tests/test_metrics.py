"""Scores against mir_eval, against their definitions, and under silence."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, fftconvolve, sosfilt

from mnmf.errors import ArgumentError, MnmfError
from mnmf.metrics import bss_eval, framewise, si_eval, snr
from tests.reference import metrics as naive

RATE = 44100
CLOSE = {"rtol": 0, "atol": 1e-6}  # dB


def noise(rng, n_sources, length=RATE):
    return rng.standard_normal((length, n_sources))


def music(rng, n_sources, length=RATE, bits=16):
    """Decaying notes under a low-pass of 5 to 9 kHz in a short reverberation: Gram matrices of condition 1e9."""
    time = np.arange(length) / RATE
    x_LN = np.zeros((length, n_sources))
    for n in range(n_sources):
        for onset in rng.uniform(0, 0.8 * time[-1], 8):
            since = np.clip(time - onset, 0, None)
            pitch = 110 * 2 ** (rng.integers(30) / 12)
            for k in range(1, 12):
                x_LN[:, n] += np.sin(2 * np.pi * k * pitch * since) * np.exp(-k * since) * (since > 0) / k
        x_LN[:, n] += 0.01 * rng.standard_normal(length)  # bow, breath
        x_LN[:, n] = sosfilt(butter(4, rng.uniform(5e3, 9e3), fs=RATE, output="sos"), x_LN[:, n])
        room = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
        x_LN[:, n] = fftconvolve(x_LN[:, n], room)[:length]
    x_LN *= 0.3 / np.abs(x_LN).max()
    return np.round(x_LN * 2 ** (bits - 1)) / 2 ** (bits - 1)


def bleed(rng, reference_LN, spill=0.1, artefact=0.02):
    """Each source through a filter of its own, with spill of the others and artefacts of the same spectrum."""
    n_sources = reference_LN.shape[1]
    estimate_LN = np.empty_like(reference_LN)
    for n in range(n_sources):
        gains = spill * rng.uniform(0.3, 1, n_sources)
        gains[n] = 1
        filters = rng.standard_normal((900, n_sources)) * np.exp(-np.arange(900) / 60)[:, None]
        filters[0] = 3
        estimate_LN[:, n] = (fftconvolve(reference_LN, filters, axes=0)[: len(reference_LN)]) @ gains
    strange_LN = np.roll(reference_LN[::-1], 1, axis=1)
    return estimate_LN + artefact * strange_LN * np.abs(estimate_LN).max() / np.abs(strange_LN).max()


def rival(reference_LN, estimate_LN, permute):
    from mir_eval import separation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated there, which is why we have our own
        return separation.bss_eval_sources(reference_LN.T, estimate_LN.T, compute_permutation=permute)


def assert_scores(scores, expected, **tolerance):
    sdr, sir, sar, permutation = expected
    assert_array_equal(scores.permutation, permutation)
    assert_allclose(scores.sdr, sdr, **(tolerance or CLOSE))
    assert_allclose(scores.sir, sir, **(tolerance or CLOSE))
    assert_allclose(scores.sar, sar, **(tolerance or CLOSE))


@pytest.mark.slow
@pytest.mark.parametrize("signals", [noise, music])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("permute", [False, True])
def test_bss_eval_equals_mir_eval(signals, seed, permute):
    rng = np.random.default_rng(seed)
    reference_LN = signals(rng, 2 + seed % 2)
    estimate_LN = bleed(rng, reference_LN)[:, ::-1] if permute else bleed(rng, reference_LN)
    scores = bss_eval(reference_LN, estimate_LN, permute=permute)
    assert_scores(scores, rival(reference_LN, estimate_LN, permute))
    assert np.all(scores.sdr < 40)


def test_bss_eval_equals_mir_eval_as_far_as_rounding_lets_it():
    # 24 bits: condition 1e14, where mir_eval moves by some 1e-6 dB itself when its inputs are rescaled
    rng = np.random.default_rng(2)
    reference_LN = music(rng, 2, bits=24)
    estimate_LN = bleed(rng, reference_LN)
    assert_scores(bss_eval(reference_LN, estimate_LN), rival(reference_LN, estimate_LN, permute=False), atol=2e-5)


@pytest.mark.parametrize("signals", [noise, music])
@pytest.mark.parametrize("level", [1e-3, 1e-4])
def test_bss_eval_equals_mir_eval_on_nearly_perfect_estimates(signals, level):
    rng = np.random.default_rng(3)
    reference_LN = signals(rng, 2)
    estimate_LN = reference_LN + level * bleed(rng, reference_LN, artefact=0.3)
    scores = bss_eval(reference_LN, estimate_LN)
    assert_scores(scores, rival(reference_LN, estimate_LN, permute=False))
    assert np.all(scores.sar > 50)


@pytest.mark.parametrize(("length", "taps"), [(400, 1), (400, 7), (50, 20), (33000, 4)])
@pytest.mark.parametrize("permute", [False, True])
def test_bss_eval_equals_its_definition(length, taps, permute):
    rng = np.random.default_rng(4)
    reference_LN = noise(rng, 3, length)
    mixing = np.eye(3)[[1, 2, 0]] + 0.2 * rng.standard_normal((3, 3))
    estimate_LN = reference_LN @ mixing + 0.1 * noise(rng, 3, length)
    sdr, sir, sar = naive.bss_eval(reference_LN, estimate_LN, taps)
    pairs = np.arange(3), np.array(naive.best_permutation(sir)) if permute else np.arange(3)
    scores = bss_eval(reference_LN, estimate_LN, taps=taps, permute=permute)
    assert_scores(scores, (sdr[pairs], sir[pairs], sar[pairs], pairs[1]))
    if taps == 1:
        assert_scores(
            si_eval(reference_LN, estimate_LN, permute=permute), (sdr[pairs], sir[pairs], sar[pairs], pairs[1])
        )


def test_permutation_is_found():
    rng = np.random.default_rng(5)
    reference_LN = noise(rng, 5, 4000)
    order = np.array([3, 0, 4, 1, 2])
    estimate_LN = np.empty_like(reference_LN)
    estimate_LN[:, order] = reference_LN + 0.1 * noise(rng, 5, 4000)
    assert_array_equal(bss_eval(reference_LN, estimate_LN, taps=16, permute=True).permutation, order)
    assert_array_equal(bss_eval(reference_LN, estimate_LN, taps=16).permutation, np.arange(5))
    assert_array_equal(
        bss_eval(reference_LN, reference_LN[:, order], taps=1, permute=True).permutation[order], range(5)
    )


def test_gain_changes_nothing():
    rng = np.random.default_rng(6)
    reference_LN = music(rng, 2, 20000)
    estimate_LN = bleed(rng, reference_LN)
    for score in (bss_eval, si_eval):
        plain = score(reference_LN, estimate_LN)
        scaled = score(reference_LN * [1e-3, 7], estimate_LN * [-30, 1e-4])
        assert_scores(scaled, (plain.sdr, plain.sir, plain.sar, [0, 1]))


def test_filter_within_taps_is_forgiven_and_beyond_is_not():
    rng = np.random.default_rng(7)
    reference_LN = np.concatenate([noise(rng, 2, 8000), np.zeros((31, 2))])
    filter_D = rng.standard_normal(32)
    estimate_LN = fftconvolve(reference_LN, filter_D[:, None], axes=0)[:8031]
    assert np.all(bss_eval(reference_LN, estimate_LN, taps=32).sdr > 200)
    assert np.all(bss_eval(reference_LN, estimate_LN, taps=31).sdr < 40)
    assert np.all(si_eval(reference_LN, estimate_LN).sdr < 10)
    error_LN = 0.1 * noise(rng, 2, 8031)
    delay = slice(None, -5)  # later, and short enough: the same score but for chance correlations
    early, late = reference_LN + error_LN, np.pad((reference_LN + error_LN)[delay], ((5, 0), (0, 0)))
    assert_allclose(bss_eval(reference_LN, early, taps=32).sdr, bss_eval(reference_LN, late, taps=32).sdr, atol=0.1)


def test_more_taps_never_lower_sdr():
    rng = np.random.default_rng(8)
    reference_LN = music(rng, 2, 20000)
    estimate_LN = bleed(rng, reference_LN)
    sdr = np.array([bss_eval(reference_LN, estimate_LN, taps=taps).sdr for taps in (1, 4, 32, 256)])
    assert np.all(np.diff(sdr, axis=0) > 0)


@pytest.mark.parametrize("score", [bss_eval, si_eval, snr, lambda s, e: framewise(s, e, RATE, metric="sdr", taps=8)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_inputs_stay_as_they_are(score, dtype):
    rng = np.random.default_rng(9)
    reference_LN, estimate_LN = ((1000 * noise(rng, 2, 3000)).astype(dtype) for _ in range(2))
    before = reference_LN.tobytes(), estimate_LN.tobytes()
    reference_LN.flags.writeable = estimate_LN.flags.writeable = False
    score(reference_LN, estimate_LN)
    assert (reference_LN.tobytes(), estimate_LN.tobytes()) == before


def test_float32_is_computed_in_float64():
    rng = np.random.default_rng(10)
    reference_LN = noise(rng, 2, 3000).astype(np.float32)
    estimate_LN = reference_LN + np.float32(0.1) * noise(rng, 2, 3000).astype(np.float32)
    for score in (bss_eval, si_eval):
        single = score(reference_LN, estimate_LN)
        double = score(reference_LN.astype(np.float64), estimate_LN.astype(np.float64))
        assert single.sdr.dtype == np.float64
        assert_scores(single, (double.sdr, double.sir, double.sar, [0, 1]), rtol=1e-13)
    assert_allclose(snr(reference_LN, estimate_LN), snr(reference_LN.astype(float), estimate_LN.astype(float)))


@pytest.mark.parametrize("score", [bss_eval, si_eval])
def test_silent_reference_is_nan_and_disturbs_nobody(score):
    rng = np.random.default_rng(11)
    reference_LN, error_LN = noise(rng, 3, 3000), noise(rng, 3, 3000)
    estimate_LN = reference_LN + 0.1 * error_LN
    others = score(reference_LN[:, [0, 2]], estimate_LN[:, [0, 2]])
    reference_LN[:, 1] = 0
    scores = score(reference_LN, estimate_LN)
    assert_array_equal(np.isnan([scores.sdr, scores.sir, scores.sar]), [[False, True, False]] * 3)
    assert_scores(score(reference_LN, estimate_LN, permute=True), (scores.sdr, scores.sir, scores.sar, [0, 1, 2]))
    assert_allclose(scores.sdr[[0, 2]], others.sdr, rtol=1e-12)
    assert_allclose(scores.sir[[0, 2]], others.sir, rtol=1e-12)


@pytest.mark.parametrize("score", [bss_eval, si_eval])
def test_silent_estimate_is_nan_and_disturbs_nobody(score):
    rng = np.random.default_rng(12)
    reference_LN = noise(rng, 3, 3000)
    estimate_LN = reference_LN + 0.1 * noise(rng, 3, 3000)
    whole = score(reference_LN, estimate_LN)
    estimate_LN[:, 0] = 0
    for order in (slice(None), [1, 2, 0]):
        scores = score(reference_LN, estimate_LN[:, order], permute=True)
        assert np.isnan(scores.sdr[0])
        assert_allclose(scores.sdr[1:], whole.sdr[1:], rtol=1e-12)
    reference_LN[:, 1] = 0
    estimate_LN[:, 1] = reference_LN[:, 2] + 0.3 * noise(rng, 1, 3000)[:, 0]
    # silence goes to silence, though what remains for reference 0 is nothing but interference
    assert_array_equal(score(reference_LN, estimate_LN, permute=True).permutation, [1, 0, 2])


def test_all_silent():
    silence_LN = np.zeros((100, 2))
    for scores in (bss_eval(silence_LN, silence_LN, permute=True), si_eval(silence_LN, silence_LN)):
        assert np.all(np.isnan([scores.sdr, scores.sir, scores.sar]))
        assert_array_equal(scores.permutation, [0, 1])


def test_energies_beyond_range_are_nan_not_errors():
    rng = np.random.default_rng(13)
    reference_LN = noise(rng, 2, 100) * [1e153, 1e-153]
    assert np.all(np.isnan(bss_eval(reference_LN, reference_LN).sdr))


def test_one_source_has_infinite_sir():
    rng = np.random.default_rng(14)
    reference_LN = noise(rng, 1, 2000)
    scores = bss_eval(reference_LN, reference_LN + 0.1 * noise(rng, 1, 2000), permute=True)
    assert scores.sir == np.inf
    assert_allclose(scores.sdr, scores.sar)
    assert_array_equal(scores.permutation, [0])


def test_alike_references_are_solved_by_least_squares():
    rng = np.random.default_rng(15)
    reference_LN = noise(rng, 3, 2000)
    reference_LN[:, 1] = reference_LN[:, 0]
    reference_LN[3:, 2] = reference_LN[:-3, 0]  # all but its edges within reach of the others' delays
    estimate_LN = reference_LN + 0.1 * noise(rng, 3, 2000)
    sdr, sir, sar = (np.diag(score) for score in naive.bss_eval(reference_LN, estimate_LN, 8))
    assert_scores(bss_eval(reference_LN, estimate_LN, taps=8), (sdr, sir, sar, [0, 1, 2]))


def test_singular_band_limited_references():
    # nothing but rounding above 3 kHz: filters are not unique, mir_eval's SIR is noise, the SDR is well defined
    rng = np.random.default_rng(16)
    reference_LN = sosfilt(butter(8, 3e3, fs=RATE, output="sos"), noise(rng, 2, 20000), axis=0)
    estimate_LN = bleed(rng, reference_LN)
    scores = bss_eval(reference_LN, estimate_LN)
    assert_allclose(scores.sdr, rival(reference_LN, estimate_LN, permute=False)[0], **CLOSE)
    assert np.all(scores.sir > scores.sdr)
    assert np.all(scores.sar > scores.sdr)


def test_snr():
    rng = np.random.default_rng(17)
    reference_LN = noise(rng, 4, 1000)
    reference_LN[:, 2] = 0
    estimate_LN = reference_LN * [1, 1.1, 1, 0] + [0, 0, 1, 0]
    assert_allclose(snr(reference_LN, estimate_LN), [np.inf, 20, np.nan, 0], atol=1e-10)
    noisy_LN = reference_LN[:, :2] + 0.3 * noise(rng, 2, 1000)
    assert_allclose(snr(reference_LN[:, :2], noisy_LN), naive.snr(reference_LN[:, :2], noisy_LN))


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["snr", "sdr"])
def test_framewise_is_the_median_of_whole_frames(metric):
    rng = np.random.default_rng(18)
    reference_LN = noise(rng, 2, 5700)
    estimate_LN = reference_LN + np.linspace(0.01, 1, 5700)[:, None] * noise(rng, 2, 5700)
    scores = framewise(reference_LN, estimate_LN, 1000, metric=metric, taps=8)
    frames = [slice(t, t + 1000) for t in range(0, 5000, 1000)]
    expected = (
        [naive.snr(reference_LN[t], estimate_LN[t]) for t in frames]
        if metric == "snr"
        else [np.diag(naive.bss_eval(reference_LN[t], estimate_LN[t], 8)[0]) for t in frames]
    )
    assert_allclose(scores.frames, np.transpose(expected), **CLOSE)
    assert_allclose(scores.median, np.median(expected, axis=0), **CLOSE)
    assert_array_equal(scores.n_silent, [0, 0])
    assert framewise(reference_LN, estimate_LN, 1000, metric=metric, seconds=0.5).frames.shape == (2, 11)
    assert_allclose(framewise(reference_LN, estimate_LN, 8000).median, snr(reference_LN, estimate_LN))  # one frame


@pytest.mark.parametrize("metric", ["snr", "sdr"])
def test_framewise_leaves_out_and_counts_silent_frames(metric):
    rng = np.random.default_rng(19)
    reference_LN = noise(rng, 3, 6000)
    reference_LN[1000:3000, 0] = 0
    reference_LN[4000:5000, 0] *= 1e-5  # 100 dB down
    reference_LN[:, 1] = 0
    estimate_LN = reference_LN + 0.1 * noise(rng, 3, 6000)
    scores = framewise(reference_LN, estimate_LN, 1000, metric=metric, taps=4)
    assert_array_equal(scores.n_silent, [3, 6, 0])
    assert_array_equal(np.isnan(scores.frames[0]), [False, True, True, False, True, False])
    assert_array_equal(np.isnan(scores.median), [False, True, False])
    assert_allclose(scores.median[[0, 2]], 20, atol=1.5)
    assert_array_equal(framewise(reference_LN, estimate_LN, 1000, silence_db=-110).n_silent, [2, 6, 0])


def test_framewise_with_a_silent_estimate():
    rng = np.random.default_rng(20)
    reference_LN = noise(rng, 2, 3000)
    estimate_LN = reference_LN + 0.1 * noise(rng, 2, 3000)
    estimate_LN[:1000, 0] = 0
    assert framewise(reference_LN, estimate_LN, 1000).frames[0, 0] == 0
    scores = framewise(reference_LN, estimate_LN, 1000, metric="sdr", taps=4)
    assert_array_equal(np.isnan(scores.frames), [[True, False, False], [False] * 3])
    assert_array_equal(scores.n_silent, [0, 0])


@pytest.mark.parametrize("score", [bss_eval, si_eval, snr, lambda s, e: framewise(s, e, RATE)])
def test_arrays_are_checked(score):
    x_LN = np.ones((100, 2))
    with pytest.raises(ArgumentError, match=r"same shape .*\(100, 2\) and \(90, 2\).*same length"):
        score(x_LN, x_LN[:90])
    with pytest.raises(ValueError, match=r"\(100, 2\) and \(100, 1\)"):
        score(x_LN, x_LN[:, :1])
    with pytest.raises(MnmfError, match=r"got \(2, 100\); transpose"):
        score(x_LN.T, x_LN.T)
    with pytest.raises(ArgumentError, match="reference_LN"):
        score(x_LN[:, 0], x_LN)
    with pytest.raises(ArgumentError, match="estimate_LN holds NaN"):
        score(x_LN, x_LN * np.nan)
    with pytest.raises(ArgumentError, match="estimate_LN must be real"):
        score(x_LN, x_LN * 1j)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "sar"}, "metric must be one of snr, sdr"),
        ({"seconds": 0}, "seconds must give frames of 2 samples or more"),
        ({"seconds": float("nan")}, "seconds must give frames"),
        ({"silence_db": 80}, "silence_db must be negative, got 80"),
        ({"sample_rate": 0}, "sample_rate must be a whole number"),
        ({"metric": "sdr", "taps": 0}, "taps must be a whole number"),
    ],
)
def test_framewise_options_are_checked(options, message):
    x_LN = np.ones((100, 2))
    with pytest.raises(ArgumentError, match=message):
        framewise(x_LN, x_LN, **{"sample_rate": 50} | options)


@pytest.mark.parametrize("taps", [0, 2.5, True])
def test_taps_are_checked(taps):
    with pytest.raises(ArgumentError, match="taps must be a whole number of at least 1"):
        bss_eval(np.ones((10, 1)), np.ones((10, 1)), taps=taps)
