"""FullRankMNMF: what holds for any data."""

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from mnmf import FullRankMNMF, MnmfError, Prior
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.kernels import beta as beta_kernels
from tests.reference import fullrank as naive

HOLDS = [(), ("W",), ("R",), ("W", "R"), ("H",), ("W", "H"), ("W", "H", "R")]


def fit(X_FTM, prior, n_iterations=5, **options):
    return FullRankMNMF(4, n_iterations).fit(X_FTM, prior, **options)


@pytest.mark.parametrize("held", HOLDS)
def test_cost_falls_and_is_the_cost(X_FTM, start, held):
    model = fit(X_FTM, start.hold(*held), 6)
    assert np.all(np.diff(model.cost_) <= 1e-12 * model.cost_[0])
    assert model.cost_.shape == (6,)
    assert model.cost_[-1] == pytest.approx(naive.cost(X_FTM, model.W_, model.H_, model.R_), rel=1e-9)


@pytest.mark.parametrize("held", HOLDS)
def test_held_blocks_stay_and_others_move(X_FTM, start, held):
    model = fit(X_FTM, start.hold(*held), 2)
    for name in "WHR":
        same = np.array_equal(getattr(model, f"{name}_"), getattr(start, name))
        assert same == (name in held)


def test_inputs_are_untouched_also_at_integer_scale(X_FTM, start):
    X = X_FTM * 32768
    copies = [a.copy() for a in (X, start.W, start.H, start.R)]
    model = fit(X, start)
    model.separate(X)
    for before, after in zip(copies, (X, start.W, start.H, start.R)):
        assert before.tobytes() == after.tobytes()
    assert np.isfinite(model.cost_).all()


def test_refit_starts_afresh(X_FTM, start):
    model = fit(X_FTM, start)
    first = model.W_.tobytes()
    assert model.fit(X_FTM, start).W_.tobytes() == first


def test_seed_decides_the_start(X_FTM):
    a, b, c = (fit(X_FTM, None, rng=seed) for seed in (1, 1, 2))
    assert a.R_.tobytes() == b.R_.tobytes()
    assert a.H_.tobytes() == b.H_.tobytes()
    assert a.R_.tobytes() != c.R_.tobytes()
    assert a.H_.tobytes() != c.H_.tobytes()


def test_one_and_two_threads_give_the_same_bytes(rng):
    X = rng.standard_normal((200, 70, 3)) + 1j * rng.standard_normal((200, 70, 3))

    def result():
        model = FullRankMNMF(20, 3).fit(X)
        return model.separate(X).tobytes() + model.R_.tobytes()

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = result()
    finally:
        set_num_threads(threads)
    assert result() == one


def test_images_sum_to_the_mixture_at_every_mic(X_FTM, start):
    model = fit(X_FTM, start)
    total = sum(model.images(X_FTM, n) for n in range(2))
    np.testing.assert_allclose(total, X_FTM, atol=1e-12)


def test_images_sum_to_the_mixture_where_the_model_is_empty(X_FTM, start):
    W = start.W.copy()
    W[:, 3] = 0
    model = fit(X_FTM, Prior(W=W, R=start.R, spots=start.spots).hold("W", "R"))
    total = sum(model.images(X_FTM, n) for n in range(2))
    np.testing.assert_allclose(total, X_FTM, atol=1e-12)


def test_separate_is_the_spot_mask_of_eq_9(X_FTM, start):
    model = fit(X_FTM, start)
    S_FTN = model.separate(X_FTM)
    for n, mic in enumerate((0, 2)):
        mask = naive.spot_mask(model.W_, model.H_, model.R_, n, mic)
        np.testing.assert_allclose(S_FTN[..., n], mask * X_FTM[..., mic], rtol=1e-9)
        np.testing.assert_array_equal(S_FTN[..., n], model.images(X_FTM, n, [mic])[..., 0])


def test_many_frames_are_reconstructed_like_few(rng):
    X = rng.standard_normal((5, 600, 2)) + 1j * rng.standard_normal((5, 600, 2))
    model = FullRankMNMF(3, 2).fit(X)
    mask = naive.spot_mask(model.W_, model.H_, model.R_, 1, 1)
    np.testing.assert_allclose(model.separate(X)[..., 1], mask * X[..., 1], rtol=1e-9)


def test_h_update_commutes_with_a_permutation_of_mics(X_FTM, start):
    order = [2, 0, 1]
    there = fit(X_FTM, start.hold("R"), 3)
    moved = Prior(W=start.W, H=start.H, R=start.R[:, :, order][..., order], spots=(1, 0)).hold("R")
    here = fit(X_FTM[..., order], moved, 3)
    np.testing.assert_allclose(here.H_, there.H_, rtol=1e-9)
    np.testing.assert_allclose(here.W_, there.W_, rtol=1e-9)


def test_one_mic_is_euclidean_nmf_of_magnitudes(rng):
    X = rng.standard_normal((9, 12, 1)) + 1j * rng.standard_normal((9, 12, 1))
    W, H = rng.uniform(0.1, 1, (9, 4)), rng.uniform(0.1, 1, (4, 12))
    prior = Prior(W=W[None], H=H[None], R=np.ones((1, 9, 1, 1))).hold("R")
    model = FullRankMNMF(4, 1).fit(X, prior)
    V = np.abs(X[..., 0])
    Ht = beta_kernels.update_columns(V, W, H.T.copy(), 2.0)
    Wn = beta_kernels.update_rows(V, W, Ht, 2.0)
    np.testing.assert_allclose(model.H_[0], Ht.T, rtol=1e-9)
    np.testing.assert_allclose(model.W_[0], Wn, rtol=1e-9)


def test_silence_in_silence_out():
    X = np.zeros((4, 6, 2), complex)
    model = FullRankMNMF(3, 3).fit(X)
    assert not model.separate(X).any()
    assert np.isfinite(model.cost_).all()


@pytest.mark.parametrize("dead", [0, 1])
def test_a_silent_mic_or_a_copied_one_gives_no_nan(X_FTM, dead):
    X = X_FTM.copy()
    X[..., dead] = 0 if dead else X[..., 2]
    model = FullRankMNMF(3, 10).fit(X)
    assert np.isfinite(model.separate(X)).all()
    assert np.isfinite(model.R_).all()


def test_complex64_is_close_to_complex128(X_FTM, start):
    single = fit(X_FTM.astype(np.complex64), start)
    S = single.separate(X_FTM.astype(np.complex64))
    assert S.dtype == np.complex64
    assert single.W_.dtype == np.float64
    np.testing.assert_allclose(S, fit(X_FTM, start).separate(X_FTM), atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (1, 5, 2)])
def test_tiny_shapes(rng, shape):
    X = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    model = FullRankMNMF(2, 3).fit(X)
    assert np.isfinite(model.separate(X)).all()


def test_every_hyper_parameter_changes_something(X_FTM, start):
    assert FullRankMNMF(4, 3).fit(X_FTM).cost_.shape == (3,)
    assert FullRankMNMF(2).fit(X_FTM).W_.shape == (3, 7, 2)
    assert FullRankMNMF(2, 1, n_sources=2).fit(X_FTM).W_.shape == (2, 7, 2)
    assert FullRankMNMF(2, 1).fit(X_FTM, Prior(spots=(1, 2))).spots_ == ((1,), (2,))


def test_callback_sees_every_iteration_and_can_stop(X_FTM):
    seen = []

    def callback(done, cost):
        seen.append((done, cost))
        return done == 3

    model = FullRankMNMF(2, 10).fit(X_FTM, callback=callback)
    assert seen == list(zip((1, 2, 3), model.cost_))


def test_save_and_load(tmp_path, X_FTM, start):
    model = fit(X_FTM, Prior(W=start.W, H=start.H, R=start.R, spots=((0, 1), (2,))))
    model.save(tmp_path / "model.npz")
    loaded = FullRankMNMF.load(tmp_path / "model.npz")
    assert loaded.separate(X_FTM).tobytes() == model.separate(X_FTM).tobytes()
    assert (loaded.n_components, loaded.n_iterations, loaded.n_sources) == (4, 5, None)
    assert loaded.spots_ == ((0, 1), (2,))
    np.testing.assert_array_equal(loaded.cost_, model.cost_)
    whole = (tmp_path / "model.npz").read_bytes()
    for content in (b"no", b"", whole[: len(whole) // 2]):
        (tmp_path / "other.npz").write_bytes(content)
        with pytest.raises(ArgumentError, match="cannot be read as a saved model"):
            FullRankMNMF.load(tmp_path / "other.npz")
    np.savez(tmp_path / "other.npz", model="FullRankMNMF")
    with pytest.raises(ArgumentError, match="does not hold a FullRankMNMF"):
        FullRankMNMF.load(tmp_path / "other.npz")


def test_more_sources_than_mics_need_held_bases(rng, X_FTM):
    W = rng.uniform(0.1, 1, (5, 7, 2))
    with pytest.raises(ArgumentError, match="5 sources on 3 microphones need bases"):
        FullRankMNMF(n_sources=5).fit(X_FTM)
    with pytest.raises(ArgumentError, match="5 sources need 5 spots"):
        FullRankMNMF().fit(X_FTM, Prior(W=W).hold("W"))
    model = FullRankMNMF().fit(X_FTM, Prior(W=W, spots=(0, 1, 2, 0, 1)).hold("W"))
    assert model.separate(X_FTM).shape == (7, 11, 5)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(W=np.ones((3, 6, 2))), r"prior.W must have shape \(N, F, K\) = \(3, 7, any\)"),
        (Prior(W=-np.ones((3, 7, 2))), "prior.W must not be negative"),
        (Prior(H=np.ones((3, 2, 9))), "prior.H must have shape"),
        (Prior(R=np.ones((3, 7, 2, 2))), "prior.R must have shape"),
        (Prior(R=-np.tile(np.eye(3), (3, 7, 1, 1))), "prior.R must be positive semidefinite"),
        (Prior(W=np.ones((3, 7, 2)) * 1j), "prior.W must be real"),
        (Prior().hold("R"), "the prior holds R but gives none"),
        (Prior().hold("Q"), "this model has no Q to hold; it has W, H, R"),
        (Prior(R=np.triu(np.ones((3, 7, 3, 3)))), "prior.R must be Hermitian"),
        (Prior(W=np.full((3, 7, 2), np.nan)), "prior.W holds NaN"),
        (Prior(spots=(0, 1, 3)), "spots name microphone 3, but there are only 3"),
    ],
)
def test_priors_that_do_not_fit_are_refused(X_FTM, prior, message):
    with pytest.raises(ArgumentError, match=message):
        FullRankMNMF(2).fit(X_FTM, prior)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 4)), "must be a spectrogram"),
        (np.zeros((3, 4, 2)), "must be complex"),
        (np.full((3, 4, 2), np.nan + 0j), "NaN or infinite"),
        (np.zeros((3, 0, 2), complex), "must be a spectrogram"),
    ],
)
def test_bad_spectrograms_are_refused(X, message):
    with pytest.raises(ArgumentError, match=message):
        FullRankMNMF().fit(X)


def test_bad_hyper_parameters_are_refused(X_FTM):
    for options in ({"n_components": 0}, {"n_iterations": 0}, {"n_sources": 0}, {"n_components": 2.5}):
        with pytest.raises(ArgumentError, match=next(iter(options))):
            FullRankMNMF(**options).fit(X_FTM)


def test_results_before_fit_are_refused(X_FTM):
    with pytest.raises(NotFittedError, match="call fit first"):
        FullRankMNMF().separate(X_FTM)
    model = FullRankMNMF(2, 1).fit(X_FTM)
    with pytest.raises(ArgumentError, match=r"X_FTM must have shape \(F, T, M\) = \(7, any, 3\)"):
        model.separate(X_FTM[:5])
    for mics in ([3], [-1]):
        with pytest.raises(ArgumentError, match="mics must be from 0 to 2"):
            model.images(X_FTM, 0, mics)
    with pytest.raises(ArgumentError, match="rng must be"):
        model.fit(X_FTM, rng=-1)
    assert issubclass(NotFittedError, MnmfError)
