"""Estimates of the sources: what priors take from them, and how little their levels, timing and shapes matter."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from mnmf import STFT, FastMNMF2, NoteDictionary, Session, priors
from mnmf.errors import ArgumentError
from mnmf.methods import Evidence
from mnmf.priors import Mask, estimate, estimate_covariances, estimate_shares, estimate_trust
from mnmf.separation import separate

RATE = 8000
STFT_ = STFT(512)
NAMES = ("flute", "cello")


@pytest.fixture(scope="module")
def take():
    """Two players who mostly alternate, each 12 dB louder at its own spot: images (L, M, N)."""
    rng = np.random.default_rng(3)
    length = 2 * RATE
    t = np.arange(length) / RATE
    dry = []
    for pitch, rate in ((440.0, 1.5), (130.0, 1.1)):
        tone = sum(np.sin(2 * np.pi * k * pitch * t + rng.uniform(0, 6)) / k for k in range(1, 6))
        dry.append(tone * (1.1 + np.sin(2 * np.pi * rate * t)) + 0.01 * rng.standard_normal(length))
    mixing = np.array([[1.0, 0.25], [0.25, 1.0]])
    return np.stack(dry, axis=1)[:, None, :] * mixing[None]


@pytest.fixture(scope="module")
def truth(take):
    return np.stack([take[:, 0, 0], take[:, 1, 1]], axis=1)


def spectra(take, estimates):
    return STFT_.analyse(take.sum(axis=2)), STFT_.analyse(estimates)


def test_shares_are_the_true_ones_for_true_estimates(take, truth):
    X, E = spectra(take, truth)
    found = estimate_shares(X, E, (0, 1), sharpness=1.0)
    images = np.moveaxis(np.abs(STFT_.analyse(truth)) ** 2, -1, 0)
    wanted = images / images.sum(axis=0)
    weight = np.abs(X[..., 0]) ** 2
    assert np.sum(weight * np.abs(found[0] - wanted[0])) < 0.1 * np.sum(weight)


@pytest.mark.parametrize("sharpness", [1.0, 2.0, 5.0])
def test_shares_sum_to_one_and_sharpen(take, truth, sharpness):
    X, E = spectra(take, truth)
    found = estimate_shares(X, E, (0, 1), sharpness=sharpness)
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    duller = estimate_shares(X, E, (0, 1), sharpness=sharpness / 2)
    assert np.mean(found.max(axis=0)) > np.mean(duller.max(axis=0))


@pytest.mark.parametrize("scales", [(1e-9, 1.0), (1.0, 1e9), (-3.0, 0.1)])
def test_the_level_and_polarity_of_an_estimate_do_not_matter(take, truth, scales):
    X, E = spectra(take, truth)
    _, scaled = spectra(take, truth * np.array(scales))
    np.testing.assert_allclose(estimate_shares(X, scaled, (0, 1)), estimate_shares(X, E, (0, 1)), atol=2e-3)
    np.testing.assert_allclose(estimate_trust(X, scaled, (0, 1)), estimate_trust(X, E, (0, 1)), rtol=1e-5)


def test_worse_estimates_are_trusted_less(take, truth):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(truth.shape) * np.std(truth, axis=0)
    trusts = [estimate_trust(*spectra(take, truth + 10 ** (-sdr / 20) * noise), (0, 1)) for sdr in (-20, 0, 12, 40)]
    assert np.all(np.diff(trusts, axis=0) > 0)
    assert np.all(trusts[0] < 0.2)
    assert np.all(trusts[-1] <= 1)


def test_the_same_estimate_is_trusted_less_when_its_spot_is_cleaner(take, truth):
    rng = np.random.default_rng(0)
    poor = truth + 0.3 * rng.standard_normal(truth.shape) * np.std(truth, axis=0)
    clean = take.copy()
    clean[:, 0, 1] *= 0.1
    clean[:, 1, 0] *= 0.1
    assert np.all(estimate_trust(*spectra(clean, poor), (0, 1)) < estimate_trust(*spectra(take, poor), (0, 1)))


def test_with_much_bleed_an_estimate_with_errors_as_loud_as_the_source_is_believed(take, truth):
    """And one that is all errors is not, nor is a fairly good one where the spot has hardly any bleed."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(truth.shape) * np.std(truth, axis=0)
    loud = take * np.where(np.eye(2), 1, 2)[None]
    assert np.all(estimate_trust(*spectra(loud, truth + noise), (0, 1)) > 0.9)
    assert np.all(estimate_trust(*spectra(loud, truth + 100 * noise), (0, 1)) < 0.1)
    clean = take * np.where(np.eye(2), 1, 0.3)[None]
    assert np.all(estimate_trust(*spectra(clean, truth + 0.3 * noise), (0, 1)) < 0.1)
    assert np.all(estimate_trust(*spectra(clean, truth + 0.01 * noise), (0, 1)) > 0.9)


def test_a_network_that_does_nothing_is_not_believed(take, truth):
    loud = take * np.where(np.eye(2), 1, 2)[None]
    mono = np.repeat(loud.sum(axis=2).mean(axis=1, keepdims=True), 2, axis=1)
    assert np.all(estimate_trust(*spectra(loud, mono), (0, 1)) < 1e-6)
    assert np.all(estimate_trust(*spectra(loud, truth + 0.2 * mono), (0, 1)) > 0.9)


@pytest.mark.parametrize("level", [1e-30, 1e20])
def test_trust_is_that_of_any_level(take, truth, level):
    X, E = spectra(take.astype(np.float32), truth.astype(np.float32))
    np.testing.assert_allclose(
        estimate_trust(X, E * np.float32(level), (0, 1)), estimate_trust(X, E, (0, 1)), rtol=1e-5
    )


def test_silence(take, truth):
    silent = truth * np.array([1.0, 0.0])
    X, E = spectra(take, silent)
    assert estimate_trust(X, E, (0, 1))[1] == 0
    assert np.all(np.isfinite(estimate_shares(X, E, (0, 1))))
    assert not estimate_shares(X, 0 * E, (0, 1)).any()
    assert np.all(estimate_trust(0 * X, E, (0, 1)) == 0)
    assert np.all(np.isfinite(estimate_shares(0 * X, E, (0, 1))))


@pytest.mark.parametrize("exponent", [1, 2])
def test_covariances_are_those_of_the_mixing(take, truth, exponent):
    X, E = spectra(take, truth)
    found = estimate_covariances(X, E, (0, 1), exponent=exponent).R
    np.testing.assert_allclose(found[:, :, [0, 1], [0, 1]][0, :, 0], 1, atol=1e-6)
    np.testing.assert_allclose(found, np.conj(np.swapaxes(found, 2, 3)), atol=1e-12)
    harmonic = round(440 / RATE * 512)
    level = np.abs(found[0, harmonic, 1, 1]) ** (1 if exponent == 1 else 0.5)
    assert level == pytest.approx(0.25, abs=0.06)


def test_a_good_estimate_makes_a_better_start(take, truth):
    loud = take * np.where(np.eye(2), 1, 3.2)[None]  # bleed 2 dB below the player of the spot
    X, E = spectra(loud, truth)
    wanted = np.abs(STFT_.analyse(truth))

    def error(**options):
        model = FastMNMF2(n_iterations=10).fit(X, priors.spot(X, (0, 1), None, 6, **options))
        return np.sum((np.abs(model.separate(X)) - wanted) ** 2)

    assert error(shares_NFT=estimate_shares(X, E, (0, 1))) < 0.8 * error()


def test_trust_goes_from_the_spots_to_the_estimates(take, truth):
    X, E = spectra(take, truth)
    shares = estimate_shares(X, E, (0, 1))
    alone = priors.spot(X, (0, 1), None, 4)
    none = priors.spot(X, (0, 1), None, 4, shares_NFT=shares, trust=0.0)
    np.testing.assert_allclose(none.W, alone.W, rtol=1e-5)
    one = priors.spot(X, (0, 1), None, 4, shares_NFT=shares, trust=np.array([1.0, 0.0]))
    np.testing.assert_allclose(one.H[1], none.H[1], rtol=1e-5)
    assert not np.allclose(one.H[0], none.H[0], rtol=1e-2)
    W = alone.W
    base = priors.spot_activations(X, (0, 1), W).H
    assert not np.allclose(priors.spot_activations(X, (0, 1), W, shares_NFT=shares).H, base)
    np.testing.assert_allclose(priors.spot_activations(X, (0, 1), W, shares_NFT=shares, trust=0.0).H, base, rtol=1e-5)


def test_estimates_that_do_not_count_leave_bases_as_they_are(take, truth):
    X, E = spectra(take, truth)
    bases = priors.Prior(W=priors.spot(X, (0, 1), None, 4).W)
    evidence = Evidence(X, [(0,), (1,)], None, estimates=E)
    assert evidence.with_activations(bases, 2.0).H is not None
    assert replace(evidence, trust=0.0).with_activations(bases, 2.0).H is None


def test_a_dictionary_and_estimates_where_only_one_can_be(tmp_path, take):
    soundfile.write(tmp_path / "take.wav", take.sum(axis=2), RATE)
    notes = NoteDictionary.embedded()
    with pytest.raises(ArgumentError, match="with a dictionary ntf-panning has no use for estimates"):
        separate(
            Session.open(tmp_path / "take.wav", sources=NAMES),
            method="ntf-panning",
            dictionary=notes,
            estimator=lambda audio, rate: audio,
        )


# --- what an estimator may return


def estimated(returned, take, spots=(0, 1)):
    calls = []

    def estimator(audio, rate):
        calls.append((audio.shape, audio.dtype, rate))
        return returned

    result = estimate(estimator, take.sum(axis=2), RATE, NAMES, spots)
    assert calls == [((len(take), 2), np.float32, RATE)]
    return result


def test_waveforms_of_any_number_of_channels(take, truth):
    flute, cello = truth.T
    expected = truth.astype(np.float32)
    by_name = {"cello": cello, "flute": flute, "piano": cello}
    stereo = {"flute": np.stack([flute, flute, flute], axis=1), "cello": cello[:, None]}
    at_every_mic = {name: take[:, :, n] for n, name in enumerate(NAMES)}
    for returned in (by_name, stereo, at_every_mic, truth):
        y, missing = estimated(returned, take)
        np.testing.assert_allclose(y, expected, atol=1e-6)
        assert missing == ()
    y, _ = estimated(truth, take, spots=(1, 0))
    np.testing.assert_allclose(y, expected[:, ::-1], atol=1e-6)


def test_masks(take):
    frames = STFT_.analyse(take.sum(axis=2)).shape[:2]
    mask = Mask(np.full(frames, 0.5), 512, STFT_.hop)
    y, _ = estimated({"flute": mask, "cello": mask}, take)
    np.testing.assert_allclose(y, 0.5 * take.sum(axis=2), atol=1e-5)
    with pytest.raises(ArgumentError, match="mask of 'flute'"):
        estimated({"flute": Mask(np.ones((3, 3)), 512, 256)}, take)
    with pytest.raises(ArgumentError, match=r"mask of 'flute' must be from 0 to 1, got up to 2"):
        estimated({"flute": Mask(np.full(frames, 2.0), 512, STFT_.hop)}, take)
    with pytest.raises(ArgumentError, match=r"priors\.Mask"):
        estimated({"flute": np.ones(frames)}, take)


@pytest.mark.parametrize(("window", "hop"), [(512, 256), (512, 128), (1024, 256)])
def test_masks_of_centred_frames(take, window, hop):
    """A mask that lets the second half through does so at the same time under both ways to count frames."""
    x_LM = take.sum(axis=2)
    centres = np.arange(len(x_LM) // hop + 1) * hop
    values = np.tile(centres >= len(x_LM) / 2, (window // 2 + 1, 1)).astype(float)
    y, _ = estimated({"flute": Mask(values, window, hop)}, take)
    middle = len(x_LM) // 2
    np.testing.assert_allclose(y[: middle - window, 0], 0, atol=1e-6)
    np.testing.assert_allclose(y[middle + window :, 0], x_LM[middle + window :, 0], atol=1e-5)
    extra = np.sum(y[:, 0] ** 2) - np.sum(x_LM[middle:, 0] ** 2)
    assert abs(extra) < 0.6 * hop * np.mean(x_LM[middle - hop : middle + hop, 0] ** 2)


def test_an_array_with_other_channels_than_the_mics_is_refused(take, truth):
    with pytest.raises(ArgumentError, match="one channel for each of 2 mics"):
        estimated(np.concatenate([truth, truth[:, :1]], axis=1), take)


def test_an_estimate_is_cut_where_the_take_ends(take, truth):
    blocks = np.pad(truth, ((0, RATE), (0, 0)))
    y, _ = estimated({name: blocks[:, n] for n, name in enumerate(NAMES)}, take)
    np.testing.assert_allclose(y, truth, atol=1e-6)
    with pytest.raises(ArgumentError, match="another sample rate"):
        estimated({name: np.resize(truth[:, n], len(blocks)) for n, name in enumerate(NAMES)}, take)


def test_interference_matrix(take, truth):
    y, _ = estimated(np.array([[1.0, 0.25], [0.25, 1.0]]), take)
    before = np.sum((take.sum(axis=2) - truth) ** 2)
    assert np.sum((y - truth) ** 2) < 0.2 * before
    with pytest.raises(ArgumentError, match="does not tell"):
        estimated(np.ones((2, 2)), take)
    with pytest.raises(ArgumentError, match="interference matrix"):
        estimated(np.ones((2, 3)), take)


@pytest.mark.parametrize("lag", [-300, 37, 500])
def test_late_and_early_estimates_are_brought_into_time(take, truth, lag):
    rng = np.random.default_rng(1)
    breath = 0.5 * rng.standard_normal(truth.shape)  # tones alone would be alike at many lags
    heard = take + breath[:, :, None] * np.eye(2)
    y, _ = estimated(np.roll(truth + breath, lag, axis=0), heard)
    inner = slice(600, -600)
    np.testing.assert_allclose(y[inner], (truth + breath)[inner], atol=1e-4)


def test_lengths(take, truth):
    flute, cello = truth.T
    y, _ = estimated({"flute": flute[:-50], "cello": np.append(cello, [1.0, 2.0])}, take)
    np.testing.assert_allclose(y[:-50], truth[:-50], atol=1e-6)
    assert not y[-50:, 0].any()
    with pytest.raises(ArgumentError, match="'flute' has 800 samples"):
        estimated({"flute": flute[:800]}, take)


def test_missing_and_wrong_estimates(take, truth):
    y, missing = estimated({"flute": truth[:, 0]}, take)
    assert missing == ("cello",)
    np.testing.assert_allclose(y[:, 1], take.sum(axis=2)[:, 1], atol=1e-6)
    with pytest.raises(ArgumentError, match=r"are of vocals; none .* flute, cello"):
        estimated({"vocals": truth[:, 0]}, take)
    with pytest.raises(ArgumentError, match="'flute' holds NaN"):
        estimated({"flute": np.full(len(take), np.nan)}, take)
    with pytest.raises(ArgumentError, match=r"must have shape \(L,\) or \(L, M\)"):
        estimated({"flute": np.zeros((2, 3, 4))}, take)
    with pytest.raises(ArgumentError, match="spots name microphone 2, but there are only 2"):
        estimate(lambda x, rate: truth, take.sum(axis=2), RATE, NAMES, (0, 2))
    with pytest.raises(ArgumentError, match="2 sources need 2 spots, got 1"):
        estimate(lambda x, rate: truth, take.sum(axis=2), RATE, NAMES, (0,))


def test_shapes_that_do_not_fit(take, truth):
    X, E = spectra(take, truth)
    with pytest.raises(ArgumentError, match="microphone 2"):
        estimate_shares(X, E, (0, 2))
    with pytest.raises(ArgumentError, match="E_FTN"):
        estimate_shares(X, E[..., :1], (0, 1))
    with pytest.raises(ArgumentError, match="exponent"):
        estimate_covariances(X, E, (0, 1), exponent=3)
    with pytest.raises(ArgumentError, match="trust"):
        priors.spot(X, (0, 1), shares_NFT=estimate_shares(X, E, (0, 1)), trust=np.array([0.5, 1.5]))
