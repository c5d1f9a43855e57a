"""What is good is left alone: whoever rests harms nobody, and who plays alone keeps what the spot heard."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, fftconvolve, sosfilt

from mnmf import METHODS, FullRankMNMF, Prior, Take, separate
from mnmf.errors import ArgumentError
from mnmf.models import silent_sources

RATE = 8000
SECONDS = 12
QUICK = replace(METHODS["mnmf"], window=2048 / RATE, longer_window=4096 / RATE, components=6, iterations=5)


def spoken(rng, seconds):
    """Noise with formants and a rhythm, and no rumble, which spots keep."""
    x_L = sosfilt(butter(4, 80, "highpass", fs=RATE, output="sos"), rng.standard_normal(round(seconds * RATE)))
    x_L = fftconvolve(x_L, np.exp(-np.arange(40) / 6) * np.cos(np.arange(40) * rng.uniform(0.3, 0.9)), mode="same")
    envelope_L = np.repeat(rng.gamma(1.0, size=len(x_L) // 800 + 1), 800)[: len(x_L)]
    return 0.03 * sosfilt(butter(4, 80, "highpass", fs=RATE, output="sos"), x_L * envelope_L)


def images_of(dry_LN, seed=0, bleed=0.15):
    """Images (L, M, N) in a small room: the direct sound, an echo or two, and a short tail."""
    rng = np.random.default_rng(seed)
    L, N = dry_LN.shape
    images_LMN = np.zeros((L, N, N))
    for m in range(N):
        for n in range(N):
            h_L = 0.02 * rng.standard_normal(400) * np.exp(-np.arange(400) / 80)
            h_L[2 if m == n else int(rng.integers(20, 40))] += 1.0
            images_LMN[:, m, n] = (1.0 if m == n else bleed) * fftconvolve(dry_LN[:, n], h_L)[:L]
    return images_LMN


@pytest.fixture(scope="module")
def turns():
    """Two who speak in turns of 3 s, and one who listens: images (L, M, N)."""
    rng = np.random.default_rng(1)
    dry_LN = np.zeros((SECONDS * RATE, 3))
    for i in range(4):
        span = slice(3 * i * RATE, 3 * (i + 1) * RATE)
        dry_LN[span, i % 2] = spoken(rng, 3)
    return images_of(dry_LN)


def taken(images_LMN):
    rng = np.random.default_rng(0)
    x_LM = images_LMN.sum(axis=2)
    return Take(x_LM + 1e-6 * rng.standard_normal(x_LM.shape), RATE, (0, 1, 2), ("host", "guest", "listener"))


@pytest.fixture(scope="module")
def talk(turns):
    return separate(taken(turns), method=QUICK)


def energy(x_L):
    return float(np.sum(np.square(x_L, dtype=np.float64)))


def test_who_speaks_alone_keeps_what_the_spot_heard(turns, talk):
    before = separate(taken(turns), method=replace(QUICK, floor=False))
    for i in range(4):
        n, inside = i % 2, slice(round((3 * i + 1) * RATE), round((3 * i + 2) * RATE))
        own_L = turns[inside, n, n]
        error, without = (energy(s.stems_LN[inside, n] - own_L) / energy(own_L) for s in (talk, before))
        assert error < 1e-5  # -50 dB
        assert error < 0.1 * without


def test_who_never_plays_is_named_and_silent(talk):
    assert any(remark.startswith("listener: never plays") for remark in talk.remarks)
    assert energy(talk.stems_LN[:, 2]) < 1e-5 * energy(talk.take.x_LM[:, 2])
    assert talk.model.W_.shape[0] == 3
    assert talk.model.spots_ == ((0,), (1,), (2,))


def test_images_still_sum_to_the_take(talk):
    total_LM = sum(talk.image(n) for n in range(3)) + talk.residual_LM
    np.testing.assert_allclose(total_LM, talk.take.x_LM, atol=1e-9)
    assert energy(talk.residual_LM) < 1e-4 * energy(talk.take.x_LM)


def test_who_speaks_once_is_not_silenced(turns):
    images_LMN = turns.copy()
    rng = np.random.default_rng(5)
    dry_LN = np.zeros((SECONDS * RATE, 3))
    dry_LN[4 * RATE : 5 * RATE, 2] = spoken(rng, 1)  # a second, and somebody else speaks meanwhile
    images_LMN += images_of(dry_LN)
    found = separate(taken(images_LMN), method=QUICK)
    assert found.remarks == ()
    inside = slice(4 * RATE, 5 * RATE)
    own_L, stem_L, spot_L = images_LMN[inside, 2, 2], found.stems_LN[inside, 2], found.take.x_LM[inside, 2]
    assert energy(stem_L - own_L) < energy(spot_L - own_L)


def test_a_soft_player_is_not_silenced_by_much_bleed():
    rng = np.random.default_rng(2)
    dry_LN = np.stack([spoken(rng, SECONDS) for _ in range(3)], axis=1)
    dry_LN[:, 2] *= 0.3
    images_LMN = images_of(dry_LN, bleed=0.4)
    take = taken(images_LMN)
    assert separate(take, method=QUICK).remarks == ()


def test_the_quieter_of_two_that_predict_each_other_is_silent():
    rng = np.random.default_rng(3)
    X_FTM = (rng.standard_normal((40, 60, 1)) + 1j * rng.standard_normal((40, 60, 1))) * [1.0, 0.5j, 0.1]
    assert silent_sources(X_FTM, [0, 1, 2], np.array([1.0, 0.5, 0.1]), np.arange(40) * 100.0) == [1, 2]
    assert silent_sources(X_FTM, [0, 1, 2], np.array([0.1, 0.5, 1.0]), np.arange(40) * 100.0) == [0, 1]
    assert silent_sources(X_FTM[:, :20], [0, 1, 2], np.ones(3), np.arange(40) * 100.0) is None  # too short to tell


def fitted(rng, n_frames=30):
    X_FTM = rng.standard_normal((12, n_frames, 2)) + 1j * rng.standard_normal((12, n_frames, 2))
    return X_FTM, FullRankMNMF(3, 3, divergence="log-det").fit(X_FTM, Prior(spots=(0, 1)))


def test_presence_is_saved_and_forgotten_by_the_next_fit(tmp_path):
    X_FTM, model = fitted(np.random.default_rng(4))
    model.H_[1, :, :10] *= 1e-5
    plain_FTN = model.separate(X_FTM)
    model.leave_alone(np.arange(12) * 50.0)
    assert model.presence_.shape == (2, len(model.edges_) - 1, 30)
    assert not model.presence_[1, :, :10].any()
    gated_FTN = model.separate(X_FTM)
    np.testing.assert_allclose(gated_FTN[:, :10, 0], X_FTM[:, :10, 0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(plain_FTN, gated_FTN)
    np.testing.assert_allclose(model.images(X_FTM).sum(axis=-1), X_FTM, atol=1e-9)
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(FullRankMNMF.load(tmp_path / "model.npz").separate(X_FTM), gated_FTN)
    assert not hasattr(model.fit(X_FTM, Prior(spots=(0, 1))), "presence_")


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.pop("edges"),
        lambda saved: saved.update(edges=saved["edges"][:-1]),
        lambda saved: saved.update(edges=saved["edges"] * 1.0),
        lambda saved: saved.update(presence=saved["presence"] + 1.0),
        lambda saved: saved.update(presence=saved["presence"][:, :1]),
    ],
)
def test_presence_that_does_not_fit_is_refused(tmp_path, change):
    _, model = fitted(np.random.default_rng(4))
    model.leave_alone(np.arange(12) * 50.0).save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        saved = dict(file)
    change(saved)
    np.savez(tmp_path / "odd.npz", **saved)
    with pytest.raises(ArgumentError, match="presence does not fit"):
        FullRankMNMF.load(tmp_path / "odd.npz")


def test_what_cannot_be_left_alone_is_refused():
    X_FTM, model = fitted(np.random.default_rng(4))
    with pytest.raises(ArgumentError, match="frequencies"):
        model.leave_alone(np.arange(11) * 50.0)
    with pytest.raises(ArgumentError, match="log-det"):
        FullRankMNMF(3, 2).fit(X_FTM, Prior(spots=(0, 1))).leave_alone(np.arange(12) * 50.0)


def test_a_recipe_without_the_model_for_it_has_no_floor():
    x_LM = np.random.default_rng(0).standard_normal((8000, 2))
    recipe = replace(METHODS["fastmnmf2"], floor=True)
    with pytest.raises(ArgumentError, match="floor is for FullRankMNMF"):
        separate(x_LM, 8000, method=recipe, components=2, iterations=1)


def test_who_plays_in_a_dry_room_is_not_silent():
    """Where two at a time play, with bleed that does not reverberate, any spot can be predicted from the others."""
    rng = np.random.default_rng(0)
    mixing_MN = np.where(np.eye(3, dtype=bool), 1.0, 0.3 * np.exp(2j * np.pi * rng.random((3, 3))))
    S_FTN = rng.standard_normal((60, 50, 3)) + 1j * rng.standard_normal((60, 50, 3))
    S_FTN[np.arange(60), :, np.arange(60) % 3] *= 0.03
    frequencies = np.arange(60) * 50.0
    X_FTM = S_FTN @ mixing_MN.T
    assert silent_sources(X_FTM, [0, 1, 2], np.ones(3), frequencies) == []
    S_FTN[..., 1] *= 0.01
    assert silent_sources(S_FTN @ mixing_MN.T, [0, 1, 2], np.array([1.0, 0.5, 1.0]), frequencies) == [1]
