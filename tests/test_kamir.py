"""KAMIR: what holds for any data."""

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from mnmf import KAMIR, Prior, priors
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.kernels import kamir as kernels
from mnmf.methods import METHODS, Evidence
from mnmf.models.kamir import FLOOR, KERNELS
from tests.reference import kamir as naive

SPOTS = ((0, 1), (2,))


def floor_of(X_FTM, exponent):
    return FLOOR * np.mean(np.abs(X_FTM) ** exponent) + np.finfo(float).tiny


@pytest.fixture
def R_NFMM(rng):
    level = rng.uniform(0.05, 0.5, (2, 7, 3))
    level[0, :, 0] = level[1, :, 2] = 1
    return level[..., None] * np.eye(3)


@pytest.mark.kernel
@pytest.mark.parametrize("exponent", [2.0, 1.5, 1.0, 0.7])
@pytest.mark.parametrize("kernel", KERNELS)
def test_iterations_are_those_of_the_paper(X_FTM, R_NFMM, exponent, kernel):
    model = KAMIR(2, exponent=exponent, kernel=kernel).fit(X_FTM, Prior(R=R_NFMM, spots=SPOTS))
    floor = floor_of(X_FTM, exponent)
    V = np.abs(X_FTM) ** exponent
    G = np.diagonal(R_NFMM, axis1=2, axis2=3) ** exponent
    P = np.stack([V[..., 0], V[..., 2]])
    for done in range(2):
        P = naive.median(naive.source_powers(X_FTM, P, G, SPOTS, exponent, floor), kernel, 3)
        G = naive.update_gains(V, P, G, SPOTS, floor, 1e-4)
        assert model.cost_[done] == pytest.approx(naive.cost(V, P, G, floor), rel=1e-9)
    np.testing.assert_allclose(model.P_, P, rtol=1e-9)
    np.testing.assert_allclose(model.G_, G, rtol=1e-9)
    for n in range(2):
        for m in range(3):
            np.testing.assert_allclose(
                model.images(X_FTM, n, [m])[..., 0], naive.image(X_FTM, P, G, n, m), rtol=1e-9, atol=1e-12
            )


@pytest.mark.kernel
@pytest.mark.parametrize("kernel", KERNELS[1:])
@pytest.mark.parametrize("size", [1, 5, 9])
def test_median_is_that_of_loops(rng, kernel, size):
    P = rng.uniform(size=(2, 70, 6))  # more frequencies than a block
    model = KAMIR(kernel=kernel, kernel_size=size)
    np.testing.assert_array_equal(kernels.median(P, *model._checked_kernel()), naive.median(P, kernel, size))


@pytest.mark.parametrize("least", [1e-12, 0.3])
def test_every_update_of_the_gains_descends(rng, least):
    for _ in range(20):
        V, P = rng.gamma(0.3, size=(4, 5, 9)), rng.gamma(0.3, size=(3, 5, 9))
        G = np.maximum(rng.gamma(0.3, size=(3, 5, 4)), least)
        free = rng.uniform(size=(3, 4)) < 0.8
        before = kernels.distances(V, P, G, 1e-9)
        for _ in range(10):
            G = kernels.update_gains(V, P, G, free, 1e-9, least)
            after = kernels.distances(V, P, G, 1e-9)
            assert np.all(after <= before * (1 + 1e-12))
            before = after


def test_update_of_the_powers_need_not_descend_but_stays_within_the_spots(X_FTM):
    model = KAMIR(8, exponent=2.0).fit(X_FTM)
    assert np.any(np.diff(model.cost_) > 0)  # the docs say so
    free = KAMIR(8, exponent=2.0, kernel="none").fit(X_FTM)
    heard = np.moveaxis(np.abs(X_FTM) ** 2, 2, 0)
    assert np.all(heard * (1 + 1e-9) >= free.P_)


@pytest.mark.parametrize("name", ["R", "G"])
def test_held_gains_stay_and_others_move(X_FTM, R_NFMM, name):
    G_NM = np.array([[2.0, 1.0, 0.5], [0.1, 0.0, 1.0]])
    prior = Prior(R=R_NFMM, spots=SPOTS) if name == "R" else Prior(G=G_NM, spots=SPOTS)
    if name == "R":
        start = np.diagonal(R_NFMM, axis1=2, axis2=3) ** 1.5
    else:
        start = np.tile(np.maximum((G_NM / [[2.0], [1.0]]) ** 1.5, 1e-4)[:, None], (1, 7, 1))
    held = KAMIR(3).fit(X_FTM, prior.hold(name))
    np.testing.assert_allclose(held.G_, start, rtol=1e-12)
    moved = KAMIR(3).fit(X_FTM, prior)
    assert np.abs(moved.G_ / start - 1).max() > 0.1
    for n, mics in enumerate(SPOTS):
        assert np.all(moved.G_[n, :, mics[0]] == 1)


def test_images_sum_to_the_mixture_at_every_mic(X_FTM, R_NFMM):
    X = X_FTM.copy()
    X[3] = 0
    model = KAMIR().fit(X, Prior(R=R_NFMM, spots=SPOTS))
    np.testing.assert_allclose(sum(model.images(X, n) for n in range(2)), X, atol=1e-12)
    S_FTN = model.separate(X)
    for n, mic in enumerate((0, 2)):
        np.testing.assert_array_equal(S_FTN[..., n], model.images(X, n, [mic])[..., 0])


def test_bleed_of_known_gains_is_taken_out(rng):
    played = rng.gamma(0.2, size=(3, 40, 60)) * np.exp(2j * np.pi * rng.uniform(size=(3, 40, 60)))
    A_MN = np.full((3, 3), 0.3)
    np.fill_diagonal(A_MN, 1.0)
    X = np.einsum("nft,mn->ftm", played, A_MN)
    truth = np.moveaxis(played, 0, 2)

    def error(model):
        return np.sum(np.abs(model.separate(X) - truth) ** 2) / np.sum(np.abs(X - truth) ** 2)

    held = KAMIR(kernel="none").fit(X, Prior(G=A_MN.T).hold("G"))
    assert error(held) < 0.2
    learned = KAMIR(kernel="none").fit(X, priors.spot_panning(X, (0, 1, 2)))
    assert error(learned) < 0.2


def test_random_projections_find_about_the_same_gains(rng):
    P = rng.gamma(0.3, size=(2, 30, 2000))
    G = np.array([[1.0, 0.2], [0.1, 1.0]])
    V = np.einsum("nft,nm->ftm", P, G)
    X = np.sqrt(V * rng.exponential(size=V.shape))
    X = X * np.exp(2j * np.pi * rng.uniform(size=V.shape))
    options = {"exponent": 2.0, "kernel": "none"}
    whole = KAMIR(5, **options).fit(X)
    few = KAMIR(5, **options, n_projections=200).fit(X, rng=1)
    again = KAMIR(5, **options, n_projections=200).fit(X, rng=1)
    other = KAMIR(5, **options, n_projections=200).fit(X, rng=2)
    assert few.G_.tobytes() == again.G_.tobytes() != other.G_.tobytes()
    assert np.abs(10 * np.log10(few.G_.mean(axis=1) / whole.G_.mean(axis=1))).max() < 3
    every = KAMIR(5, **options, n_projections=2000).fit(X)
    assert every.G_.tobytes() == whole.G_.tobytes()


def test_projections_sum_frames(rng):
    V = rng.uniform(size=(2, 40, 9))
    group = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0])
    wanted = np.stack([V[..., group == q].sum(axis=-1) for q in range(3)], axis=-1)
    np.testing.assert_allclose(kernels.project(V, group, 3), wanted, rtol=1e-12)


def test_scaling_the_recording_scales_nothing_but_the_powers(X_FTM):
    loud, soft = KAMIR().fit(X_FTM * 32768), KAMIR().fit(X_FTM)
    np.testing.assert_allclose(loud.G_, soft.G_, rtol=1e-6)
    np.testing.assert_allclose(loud.cost_, soft.cost_, rtol=1e-6)
    np.testing.assert_allclose(loud.separate(X_FTM), soft.separate(X_FTM), rtol=1e-6, atol=1e-12)


def test_inputs_are_untouched_and_a_refit_starts_afresh(X_FTM, R_NFMM):
    copies = X_FTM.copy(), R_NFMM.copy()
    model = KAMIR(3).fit(X_FTM, Prior(R=R_NFMM, spots=SPOTS))
    first = model.P_.tobytes()
    model.separate(X_FTM)
    assert (X_FTM.tobytes(), R_NFMM.tobytes()) == tuple(a.tobytes() for a in copies)
    assert model.fit(X_FTM, Prior(R=R_NFMM, spots=SPOTS)).P_.tobytes() == first


def test_one_and_two_threads_give_the_same_bytes(rng):
    X = rng.standard_normal((100, 30, 3)) + 1j * rng.standard_normal((100, 30, 3))

    def result():
        model = KAMIR(3, n_projections=10).fit(X)
        return model.separate(X).tobytes() + model.cost_.tobytes()

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = result()
    finally:
        set_num_threads(threads)
    assert result() == one


def test_complex64_is_close_to_complex128(X_FTM):
    single = KAMIR().fit(X_FTM.astype(np.complex64))
    S = single.separate(X_FTM.astype(np.complex64))
    assert S.dtype == np.complex64
    assert single.P_.dtype == np.float32
    np.testing.assert_allclose(S, KAMIR().fit(X_FTM).separate(X_FTM), atol=1e-4)


def test_silence_in_silence_out():
    X = np.zeros((4, 6, 2), complex)
    model = KAMIR(3).fit(X)
    assert not model.separate(X).any()
    assert np.isfinite(model.cost_).all()
    assert np.isfinite(model.G_).all()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("dead", [0, 1])
def test_a_silent_mic_or_a_copied_one_gives_no_nan(X_FTM, dead, dtype):
    X = X_FTM.astype(dtype)
    X[..., dead] = 0 if dead else X[..., 2]
    model = KAMIR().fit(X)
    assert np.isfinite(model.separate(X)).all()
    assert np.isfinite(model.G_).all()
    if dead:
        assert not model.separate(X)[..., dead].any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (1, 5, 2)])
def test_tiny_shapes(rng, shape):
    X = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    for kernel in KERNELS:
        assert np.isfinite(KAMIR(3, kernel=kernel, kernel_size=5).fit(X).separate(X)).all()
    alone = KAMIR(3).fit(X[..., :1]).separate(X[..., :1])
    np.testing.assert_allclose(alone, X[..., :1], rtol=1e-12)


def test_every_hyper_parameter_changes_something(X_FTM):
    usual = KAMIR(3).fit(X_FTM)
    changes = {"exponent": 2.0, "kernel": "cross", "kernel_size": 5, "bleed": 0.4, "least": 0.5, "n_projections": 4}
    assert set(changes) | {"n_iterations", "n_sources"} == KAMIR().get_params().keys()
    for name, value in changes.items():
        assert KAMIR(3, **{name: value}).fit(X_FTM).P_.tobytes() != usual.P_.tobytes(), name
    assert KAMIR(4).fit(X_FTM).cost_.shape == (4,)
    assert KAMIR(1, 2).fit(X_FTM).P_.shape == (2, 7, 11)
    assert KAMIR(3, least=0.5).fit(X_FTM).G_.min() >= 0.5


def test_callback_sees_every_iteration_and_can_stop(X_FTM):
    seen = []

    def callback(done, cost):
        seen.append((done, cost))
        return done == 3

    assert seen == list(zip((1, 2, 3), KAMIR().fit(X_FTM, callback=callback).cost_))


def test_save_and_load(tmp_path, X_FTM, R_NFMM):
    options = {"exponent": 1.2, "kernel": "cross", "kernel_size": 5, "bleed": 0.2, "least": 1e-3, "n_projections": None}
    model = KAMIR(3, 2, **options).fit(X_FTM, Prior(R=R_NFMM, spots=SPOTS))
    model.save(tmp_path / "model.npz")
    loaded = KAMIR.load(tmp_path / "model.npz")
    assert loaded.separate(X_FTM).tobytes() == model.separate(X_FTM).tobytes()
    assert loaded.get_params() == {"n_iterations": 3, "n_sources": 2, **options}
    assert loaded.spots_ == SPOTS
    np.testing.assert_array_equal(loaded.cost_, model.cost_)
    np.savez(tmp_path / "other.npz", model="FullRankMNMF")
    with pytest.raises(ArgumentError, match="does not hold a KAMIR"):
        KAMIR.load(tmp_path / "other.npz")
    with pytest.raises(NotFittedError):
        KAMIR().save(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(R=np.ones((3, 6, 3, 3))), "prior.R must have shape"),
        (Prior(R=-np.tile(np.eye(3), (3, 7, 1, 1))), "prior.R must be positive semidefinite"),
        (Prior(R=np.zeros((3, 7, 3, 3))), "prior.R must be positive at every source's own spot"),
        (Prior(G=np.ones((3, 2))), "prior.G must have shape"),
        (Prior(G=-np.ones((3, 3))), "prior.G must not be negative"),
        (Prior(G=np.zeros((3, 3))), "prior.G must be positive at every source's own spot"),
        (Prior().hold("G"), "the prior holds G but gives none"),
        (Prior(W=np.ones((3, 7, 2))).hold("W"), "this model has no W to hold; it has G, R"),
        (Prior(spots=(0, 0)), "two sources share a microphone"),
        (Prior(spots=(0, 1, 3)), "spots name microphone 3"),
    ],
)
def test_priors_that_do_not_fit_are_refused(X_FTM, prior, message):
    with pytest.raises(ArgumentError, match=message):
        KAMIR().fit(X_FTM, prior)


def test_bad_hyper_parameters_are_refused(X_FTM):
    bad = {
        "n_iterations": 0,
        "n_sources": 0,
        "exponent": 3.0,
        "kernel": "round",
        "kernel_size": 4,
        "bleed": -1,
        "least": 0,
        "n_projections": 0,
    }
    for name, value in bad.items():
        with pytest.raises(ArgumentError, match=name):
            KAMIR(**{name: value}).fit(X_FTM)
    with pytest.raises(ArgumentError, match="4 sources on 3 microphones"):
        KAMIR(n_sources=4).fit(X_FTM)


def test_results_before_fit_are_refused(X_FTM):
    with pytest.raises(NotFittedError, match="call fit first"):
        KAMIR().separate(X_FTM)
    model = KAMIR(1).fit(X_FTM)
    with pytest.raises(ArgumentError, match=r"X_FTM must have shape \(F, T, M\) = \(7, any, 3\)"):
        model.separate(X_FTM[:5])
    with pytest.raises(ArgumentError, match="mics must be from 0 to 2"):
        model.images(X_FTM, 0, [3])


def test_spot_panning_is_exact_where_players_alternate(rng):
    played = rng.standard_normal((6, 30, 2)) + 1j * rng.standard_normal((6, 30, 2))
    played[:, :15, 0] = played[:, 15:, 1] = 0
    A_MN = np.array([[1.0, 0.2], [0.3, 1.0], [0.5, 0.7]])
    X = played @ A_MN.T
    prior = priors.spot_panning(X, (0, 1), sharpness=30)
    np.testing.assert_allclose(prior.G, A_MN.T, rtol=1e-6)
    assert prior.spots == ((0,), (1,))
    silent = priors.spot_panning(np.zeros((3, 4, 2), complex), (1, 0))
    np.testing.assert_array_equal(silent.G, [[0, 1], [1, 0]])
    with pytest.raises(ArgumentError, match="two sources share a microphone"):
        priors.spot_panning(X, (1, 1))
    with pytest.raises(ArgumentError, match="sharpness must be a number"):
        priors.spot_panning(X, (0, 1), sharpness=-1)


def test_a_source_without_a_solo_still_bleeds(rng):
    """Its gains are guessed from the take, not taken for zero; those of the others are what their solos show."""
    X_FTM = rng.standard_normal((7, 30, 3)) + 1j * rng.standard_normal((7, 30, 3))
    solos_FTM = rng.standard_normal((7, 12, 3)) + 1j * rng.standard_normal((7, 12, 3))
    spots = [(0,), (1,), (2,)]
    some = Evidence(X_FTM, spots, (solos_FTM, [[slice(0, 6)], [], [slice(6, 12)]]))
    prior = METHODS["kamir"].prior(some, 0, rng)
    assert prior.held == {"R"}
    level_NFM = np.einsum("nfmm->nfm", prior.R).real
    np.testing.assert_allclose(level_NFM[1], np.tile(priors.spot_panning(X_FTM, spots).G[1], (7, 1)))
    every = priors.solo_covariances(solos_FTM, [slice(0, 6), slice(0, 6), slice(6, 12)], spots)
    np.testing.assert_array_equal(prior.R[[0, 2]], every.R[[0, 2]])
