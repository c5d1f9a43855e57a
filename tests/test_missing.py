"""Microphones that are missing in some frames: what is muted, and how models do without."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mnmf import METHODS, STFT, FastMNMF2, FullRankMNMF, Prior, Take, priors, separate
from mnmf.errors import ArgumentError
from mnmf.kernels import logdet
from mnmf.methods import Evidence, fill_in, missing_of, predicted
from mnmf.models._missing import spread, whole_frames
from mnmf.separation._result import sound_of
from mnmf.stft import Waveform
from mnmf.take import Levels

RATE = 8000


def gaps(rng, T, M):
    """Return what is missing, (T, M): a frame that is whole, one that has a single microphone, one that has none."""
    missing_TM = rng.random((T, M)) < 0.3
    missing_TM[0] = False
    missing_TM[1] = np.arange(M) > 0
    missing_TM[-1] = True
    return missing_TM


def a_start(rng, F, T, M, N, K):
    X = rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))
    root = rng.standard_normal((N, F, M, M)) + 1j * rng.standard_normal((N, F, M, M))
    W, H = rng.uniform(0.1, 1, (N, F, K)), rng.uniform(0.1, 1, (N, K, T))
    return X, W, H, root @ root.conj().swapaxes(-1, -2) / M, rng.uniform(1e-3, 1e-1, F)


def around(X, W, H, R, floor_F, missing_TM):
    """Return the cost, and Z and y padded with zeros, (F, T, M, M) and (F, T, M), of the microphones that are there."""
    F, T, M = X.shape
    Z, y, cost = np.zeros((F, T, M, M), complex), np.zeros((F, T, M), complex), 0.0
    for f, t in np.ndindex(F, T):
        here = np.flatnonzero(~missing_TM[t])
        model = np.einsum("nk,nk,nij->ij", W[:, f], H[:, :, t], R[:, f]) + floor_F[f] * np.eye(M)
        part = np.linalg.inv(model[np.ix_(here, here)])
        Z[f, t][np.ix_(here, here)] = part
        y[f, t, here] = part @ X[f, t, here]
        cost += np.vdot(X[f, t, here], y[f, t, here]).real - np.linalg.slogdet(part)[1]
    return cost, Z, y


@pytest.mark.kernel
@pytest.mark.parametrize("size", [(3, 9, 3, 2, 4), (18, 4, 2, 2, 1), (1, 150, 2, 2, 2), (2, 5, 1, 2, 1)])
def test_a_sweep_sees_the_microphones_that_are_there(rng, size):
    X, W, H, R, floor_F = a_start(rng, *size)
    missing_TM = gaps(rng, *X.shape[1:])
    cost, Z, y = around(X, W, H, R, floor_F, missing_TM)
    over = np.einsum("ftj,nfij,fti->nft", y, R, y.conj()).real
    under = np.einsum("ftij,nfji->nft", Z, R).real
    R_FNMM = np.ascontiguousarray(R.swapaxes(0, 1))
    X[:, missing_TM] = 1e3  # what is there makes no difference
    got, over_NKT, under_NKT = logdet.sweep(X, W.copy(), H, R_FNMM, floor_F, False, False, True, missing_TM)
    assert got == pytest.approx(cost, rel=1e-9)
    np.testing.assert_allclose(over_NKT, np.einsum("nft,nfk->nkt", over, W), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(under_NKT, np.einsum("nft,nfk->nkt", under, W), rtol=1e-8, atol=1e-12)
    new_W = W.copy()
    logdet.sweep(X, new_W, H, R_FNMM, floor_F, True, False, False, missing_TM)
    ratio = np.einsum("nft,nkt->nfk", over, H) / np.einsum("nft,nkt->nfk", under, H)
    np.testing.assert_allclose(new_W, W * np.sqrt(ratio), rtol=1e-8)
    new_R = R_FNMM.copy()
    logdet.sweep(X, W, H, new_R, floor_F, False, True, False, missing_TM)
    power_NFT = np.einsum("nfk,nkt->nft", W, H)
    A = np.einsum("nft,ftij->fnij", power_NFT, Z)
    B = R_FNMM @ np.einsum("nft,fti,ftj->fnij", power_NFT, y, y.conj()) @ R_FNMM
    np.testing.assert_allclose(new_R @ A @ new_R, B, atol=1e-8 * np.abs(B).max())


@pytest.mark.kernel
def test_images_come_from_the_microphones_that_are_there(rng):
    X, W, H, R, floor_F = a_start(rng, 3, 9, 3, 2, 4)
    missing_TM = gaps(rng, 9, 3)
    _, _, y = around(X, W, H, R, floor_F, missing_TM)
    wanted = np.einsum("fk,kt,fij,ftj->fti", W[1], H[1], R[1], y) + floor_F[:, None, None] / 2 * y
    X[:, missing_TM] = np.nan_to_num(np.inf)
    R_FNMM = np.ascontiguousarray(R.swapaxes(0, 1))
    got = logdet.images(X, W, H, R_FNMM, floor_F, np.array([1, 1, 1]), np.array([0, 1, 2]), missing_TM)
    np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("block", ["W", "H", "R", "WHR"])
def test_every_update_lowers_the_cost_around_gaps(rng, block):
    X, W, H, R, _ = a_start(rng, 4, 12, 3, 2, 2)
    prior = Prior(W=W, H=H, R=R, spots=(0, 1)).hold(*set("WHR") - set(block))
    model = FullRankMNMF(2, 15, divergence="log-det").fit(X, prior, missing_TM=gaps(rng, 12, 3))
    assert np.all(np.diff(model.cost_) <= 1e-9 * np.abs(model.cost_[0]))
    assert model.cost_[-1] < model.cost_[0]


def test_nothing_missing_is_no_change(X_FTM, start):
    none_TM = np.zeros(X_FTM.shape[1:], bool)
    fast = FastMNMF2(4, 3).fit(X_FTM, priors.spot(X_FTM, (0, 2), n_components=4))
    same = FastMNMF2(4, 3).fit(X_FTM, priors.spot(X_FTM, (0, 2), n_components=4), missing_TM=none_TM)
    assert fast.images(X_FTM).tobytes() == same.images(X_FTM, missing_TM=none_TM).tobytes()
    full = FullRankMNMF(4, 3, divergence="log-det").fit(X_FTM, start)
    same = FullRankMNMF(4, 3, divergence="log-det").fit(X_FTM, start, missing_TM=none_TM)
    assert full.images(X_FTM).tobytes() == same.images(X_FTM, missing_TM=none_TM).tobytes()


def test_frames_in_which_nobody_is_heard_are_those_of_silence(X_FTM):
    none_TM = np.zeros(X_FTM.shape[1:], bool)
    none_TM[4:6] = True
    prior = priors.spot(X_FTM, (0, 2), n_components=4)
    model = FastMNMF2(4, 3).fit(X_FTM, prior, missing_TM=none_TM)  # numpy does not warn of a mean of nothing
    left = [t for t in range(X_FTM.shape[1]) if t not in (4, 5)]
    np.testing.assert_allclose(model.H_[:, :, 4], model.H_[:, :, left].mean(axis=2))
    alone = FastMNMF2(4, 3).fit(X_FTM[:, left], prior | Prior(H=prior.H[:, :, left]))
    np.testing.assert_array_equal(model.H_[:, :, left], alone.H_)
    assert np.isfinite(model.images(X_FTM, missing_TM=none_TM)).all()


def test_the_euclidean_model_refuses_gaps(X_FTM, start):
    missing_TM = np.zeros(X_FTM.shape[1:], bool)
    missing_TM[2, 1] = True
    with pytest.raises(ArgumentError, match="missing_TM needs divergence"):
        FullRankMNMF(4, 3).fit(X_FTM, start, missing_TM=missing_TM)
    with pytest.raises(ArgumentError, match="missing_TM must have shape"):
        FullRankMNMF(4, 3, divergence="log-det").fit(X_FTM, start, missing_TM=missing_TM.T)


def test_whole_frames():
    assert whole_frames(np.zeros((9, 2))) is None
    part_TM = np.zeros((40, 2))
    part_TM[3:5, 0] = 0.01
    assert whole_frames(part_TM).tolist() == [t for t in range(40) if t not in (3, 4)]
    part_TM[:38, 1] = np.arange(38) / 10 + 0.1  # only two are whole; those that miss least join them
    assert whole_frames(part_TM).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 38, 39]
    H_NKT = spread(np.arange(4.0).reshape(1, 2, 2), np.array([1, 3]), 5)
    np.testing.assert_array_equal(H_NKT[0], [[0.5, 0, 0.5, 1, 0.5], [2.5, 2, 2.5, 3, 2.5]])


def noise(rng, seconds=2):
    return rng.standard_normal((seconds * RATE, 3)).astype(np.float32)


def test_muted_stretches_are_found(rng):
    x_LM = noise(rng)
    x_LM[1000:3000, 0] = 0.0
    x_LM[9000:9399, 0] = 0.0  # 50 ms less a sample
    x_LM[5000:7000, 1] = 0.25
    x_LM[15000:, 1] = 0.0
    assert Take(x_LM, RATE).muted == (((1000, 3000),), ((5000, 7000), (15000, 16000)), ())
    x_LM[2000:6000] = 0.0  # a rest of all
    assert Take(x_LM, RATE).muted == (((1000, 2000),), ((6000, 7000), (15000, 16000)), ())
    x_LM[:, 2] = 0.0  # silent throughout: not muted, and no reason to call the others' rests muted
    assert Take(x_LM, RATE).muted == (((1000, 2000),), ((6000, 7000), (15000, 16000)), ())
    assert Take(x_LM[:, :1], RATE, sources=["a"]).muted == ((),)


def test_levels_are_measured_where_mics_are_open(rng):
    x_LM = noise(rng) * np.float32([1.0, 0.3, 2.0]) + np.float32([0.1, 0.2, 0.3])
    muted_LM = x_LM.copy()
    muted_LM[4000:12000, 1] = 0.0
    levels = Levels.of(Take(muted_LM, RATE))
    open_LM = np.concatenate([x_LM[:4000], x_LM[12000:]])
    np.testing.assert_allclose(levels.offset_M[1], open_LM[:, 1].mean(), rtol=1e-4)
    loud_M = np.std(x_LM, axis=0) * levels.gains_M
    np.testing.assert_allclose(loud_M[0], np.std(open_LM[:, 1]) * levels.gains_M[1], rtol=1e-4)
    assert not levels.centred(muted_LM)[4000:12000, 1].any()
    assert Levels.of(Take(x_LM, RATE)).muted_part(STFT(512, 128), len(x_LM)) is None


@pytest.mark.parametrize("hop", [128, 256])
def test_how_much_of_a_frame_is_muted(rng, hop):
    stft = STFT(512, hop)
    x_L = np.zeros(3000)
    x_L[700:1900] = 1.0
    window = np.sin(np.pi * (np.arange(512) + 0.5) / 512)
    part_T = stft.covered(700, 1900, 3000)
    assert part_T.shape == (stft.n_frames(3000),)
    starts_T = [round(s * RATE) - 256 for s in stft.times(RATE, 3000)]
    for start, got in zip(starts_T, part_T):
        inside = [i for i in range(512) if 0 <= start + i < 3000]
        energy = window[inside] ** 2
        assert got == pytest.approx(np.sum(energy * x_L[[start + i for i in inside]]) / energy.sum())
    np.testing.assert_array_equal(np.flatnonzero(Waveform().covered(3, 5, 9)), [3, 4])


def a_duet(rng, seconds=6):
    """Return the images (L, N) of two players of notes at their spots, and the take (L, M), convolved."""
    time_L = np.arange(seconds * RATE) / RATE
    played = []
    for pitches in ((220, 275, 330, 247), (165, 196, 147, 208)):
        beat = (time_L * 2).astype(int)
        pitch_L = np.array(pitches)[(beat * 7 + beat // 4) % 4]
        phase_L = 2 * np.pi * np.cumsum(pitch_L) / RATE
        tone_L = sum(np.sin(k * phase_L) / k for k in range(1, 7)) * np.exp(-3 * (time_L * 2 % 1))
        played.append(tone_L + 0.01 * rng.standard_normal(len(time_L)))
    images_LMN = np.zeros((len(time_L), 2, 2))
    for n, s_L in enumerate(played):
        for m in range(2):
            room = rng.standard_normal(200) * np.exp(-np.arange(200) / 40) * 0.1
            room[3 if m == n else 11] += 1.0
            images_LMN[:, m, n] = np.convolve(s_L, room)[: len(time_L)] * (1.0 if m == n else 0.5)
    return images_LMN[:, [0, 1], [0, 1]], images_LMN.sum(axis=2)


def sdr(truth_L, y_L):
    return 10 * np.log10(np.sum(truth_L**2) / np.sum((y_L - truth_L) ** 2))


@pytest.mark.parametrize("method", ["fastmnmf2", "mnmf-is"])
def test_a_muted_microphone_harms_nobody(rng, method):
    truth_LN, x_LM = a_duet(rng)
    muted_LM = x_LM.copy()
    muted = slice(2 * RATE, 3 * RATE + RATE // 2)
    muted_LM[muted, 1] = 0.0
    options = {"method": method, "window": 0.25, "components": 6, "iterations": 10}
    whole, parted = separate(x_LM, RATE, **options), separate(muted_LM, RATE, **options)
    assert not parted.stems_LN[muted, 1].any()
    assert not parted.image(0, 1)[muted].any()
    images_LM = parted.image(0) + parted.image(1) + parted.residual_LM
    np.testing.assert_allclose(images_LM, muted_LM, atol=1e-6)
    is_open = np.delete(np.arange(len(x_LM)), np.arange(len(x_LM))[muted])
    np.testing.assert_allclose(parted.residual_LM[is_open], 0.0, atol=1e-6)  # also next to the mute
    np.testing.assert_allclose(parted.image(0, 0), parted.stems_LN[:, 0], atol=1e-6)
    assert sdr(truth_LN[:, 0], parted.stems_LN[:, 0]) > sdr(truth_LN[:, 0], whole.stems_LN[:, 0]) - 1.5
    truth_L, before_L, after_L = truth_LN[is_open, 1], whole.stems_LN[is_open, 1], parted.stems_LN[is_open, 1]
    assert sdr(truth_L, after_L) > sdr(truth_L, before_L) - 1.5


@pytest.mark.parametrize("method", ["kamir", "time-domain", "fastmnmf2-blind"])
def test_any_method_is_silent_where_the_spot_is(rng, method):
    x_LM = noise(rng)[:, :2] @ np.array([[1.0, 0.4], [0.3, 1.0]])
    x_LM[4000:9000, 0] = 0.0
    result = separate(x_LM, RATE, method=method, iterations=2)
    assert np.flatnonzero(result.stems_LN[:, 0] == 0).tolist() == list(range(4000, 9000))
    assert result.stems_LN[4000:9000, 1].all()
    images_LM = result.image(0) + result.image(1) + result.residual_LM
    np.testing.assert_allclose(images_LM, x_LM, atol=1e-6)


class Telling:
    """A model whose images tell whether something was said to be missing."""

    skips_missing = True

    def __init__(self):
        self.asked = []

    def images(self, X_FTM, source, mics, missing_TM=None):
        self.asked.append(missing_TM)
        return X_FTM[..., mics] * (1.0 if missing_TM is None else 3.0)


def test_a_microphone_is_left_out_only_while_it_is_muted(rng):
    """However far windows reach."""
    x_LM = noise(rng)
    x_LM[6000:9000, 1] = 0.0
    take, stft, model = Take(x_LM, RATE), STFT(2048, 512), Telling()
    levels = Levels.of(take)
    seen = levels.into(x_LM, stft)[::-1]
    y_LI = sound_of(model, *seen, 0, [0, 1], levels, stft, len(x_LM))
    part_L = np.interp(np.arange(16000), [5999, 6159, 8840, 9000], [0.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(levels.closed(len(x_LM)), part_L, atol=1e-6)
    heard_L = x_LM[:, 0] + 2 * part_L * (x_LM[:, 0] - levels.offset_M[0])
    np.testing.assert_allclose(y_LI[:, 0], heard_L, atol=1e-4)
    np.testing.assert_allclose(y_LI[:, 1], levels.centred(x_LM)[:, 1], atol=1e-4)  # silent while it is muted
    assert [lost is None for lost in model.asked] == [True, False]
    np.testing.assert_array_equal(model.asked[1], levels.lost(stft, len(x_LM)))
    short = replace(levels, muted=((), ((6000, 6500),), ()))  # less than half of any window
    y_LI = sound_of(model, *seen, 0, [0], short, stft, len(x_LM))
    np.testing.assert_allclose(y_LI[:, 0], x_LM[:, 0], atol=1e-4)
    assert len(model.asked) == 3


def test_where_solos_are_held_what_is_missing_teaches_nothing(rng, monkeypatch):
    told = []

    def fit(self, X_FTM, prior, missing_TM=None, rng=None):
        told.append(missing_TM)
        self.W_, self.H_ = prior.W, prior.H
        return self

    monkeypatch.setattr(FullRankMNMF, "fit", fit)
    X_FTM = rng.standard_normal((3, 30, 2)) + 1j * rng.standard_normal((3, 30, 2))
    missing_TM = np.arange(60).reshape(30, 2) % 7 == 0
    solo = X_FTM, [[slice(0, 15)], [slice(15, 30)]]
    evidence = Evidence(X_FTM, (0, 1), solo, solos_hold=True, missing_TM=missing_TM)
    METHODS["mnmf"].prior(evidence.at(np.arange(3, 30)), 2, rng)
    np.testing.assert_array_equal(told, [missing_TM[3:]])


def test_what_was_not_muted_is_not_filled_in(rng):
    X_FTM = rng.standard_normal((6, 40, 2)) + 1j * rng.standard_normal((6, 40, 2))
    part_TM = np.zeros((40, 2))
    part_TM[9:12, 0] = 0.4, 1.0, 0.3
    filled_FTM = fill_in(Evidence(X_FTM, (0, 1)), part_TM, np.random.default_rng(0))
    changed = np.argwhere((filled_FTM != X_FTM).any(axis=0))
    assert changed.tolist() == [[9, 0], [10, 0], [11, 0]]
    assert fill_in(Evidence(X_FTM, (0, 0)), part_TM, np.random.default_rng(0)) is None


@pytest.mark.parametrize(("muted", "fits"), [(slice(2250, 3250), 3), (slice(2250, 2351), 1), (slice(0), 1)])
def test_the_model_fills_in_what_the_first_one_has(rng, muted, fits):
    """More than once if a microphone is missing in any frame: less than a twentieth of a window is no gap."""
    x_LM = a_duet(rng)[1][::4]
    x_LM[muted, 1] = 0.0
    starts, left_out = [], []

    def prior(evidence, n_components, rng):
        starts.append(evidence.X_FTM.copy())
        left_out.append(0 if evidence.missing_TM is None else np.count_nonzero(evidence.missing_TM))
        return METHODS["mnmf"].prior(evidence, n_components, rng)

    recipe = replace(METHODS["mnmf"], prior=prior, window=2.5, components=6, iterations=5)
    separate(x_LM, RATE // 4, method=recipe)
    assert len(starts) == fits
    # What the model itself has filled in counts where it is less than half of a window.
    assert fits == 1 or left_out[0] > left_out[1] == left_out[2] == 0
    for before, after in pairwise(starts):  # and every time something else is filled in
        assert np.flatnonzero((before != after).any(axis=(0, 1))).tolist() == [1]


def test_longer_windows_are_filled_in_by_the_methods_own(rng):
    """A mute covers fewer of them."""
    x_LM = a_duet(rng)[1][::4]
    x_LM[2250:3250, 1] = 0.0
    starts = []

    def prior(evidence, n_components, rng):
        starts.append((evidence.X_FTM, evidence.missing_TM))
        return METHODS["mnmf"].prior(evidence, n_components, rng)

    recipe = replace(METHODS["mnmf"], prior=prior, window=0.5, components=6, iterations=5)
    separate(x_LM, RATE // 4, method=recipe, window=1.0)
    sizes = [len(X_FTM) for X_FTM, _ in starts]
    assert len(sizes) == 3
    assert sizes[0] == sizes[1] < sizes[2] / 1.9
    last_FTM, missing_TM = starts[-1]
    assert missing_TM.any()  # its stretches are filled in, and yet left out while most of a window is muted
    assert np.abs(last_FTM[:, missing_TM[:, 1], 1]).min(axis=0).all()


def test_gates_leave_something_to_go_by():
    """Where most microphones are muted for a part of a frame, those are missing that are muted for most of it."""
    part_TM = np.array([[0.0, 0.2, 0.0], [0.1, 0.2, 0.0], [0.1, 0.2, 0.9], [0.6, 0.7, 0.8]])
    assert missing_of(part_TM).astype(int).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]]


def test_a_gated_microphone_is_predicted_from_others_that_are_gated_too(rng):
    power_T = np.where(np.arange(40) % 2, 4.0, 1.0)
    s_FT = (rng.standard_normal((5, 40)) + 1j * rng.standard_normal((5, 40))) * np.sqrt(power_T / 2)
    gains_M = np.array([1.0, 0.5])
    model = FullRankMNMF(1, divergence="log-det")
    model.fit(s_FT[..., None] * gains_M, Prior(W=np.ones((1, 5, 1)), H=power_T[None, None], spots=(0,)).hold("W", "H"))
    part_TM = np.zeros((40, 2))
    part_TM[10] = 0.3, 0.2
    X_FTM = s_FT[..., None] * gains_M
    X_FTM[:, 10, 0] *= 0.1
    heard_FTM = predicted(model, X_FTM.copy(), part_TM)
    np.testing.assert_allclose(heard_FTM[:, 10, 0], s_FT[:, 10], rtol=0.1)
    assert np.flatnonzero((heard_FTM != X_FTM).any(axis=(0, 2))).tolist() == [10]
