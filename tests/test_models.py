"""What every model can do: parameters, the loop around its updates, images of any frames, saving."""

import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mnmf import (
    KAMIR,
    FastMNMF2,
    FullRankMNMF,
    Linear,
    NTFPanning,
    Pairwise,
    Prior,
    TimeDomain,
    models,
    priors,
)
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.models import Model, Updates
from mnmf.models._bands import bands
from mnmf.spots import Spots

PUBLIC = [getattr(models, name) for name in models.__all__]
CLASSES = [kind for kind in PUBLIC if isinstance(kind, type) and issubclass(kind, Model) and kind is not Model]


@pytest.fixture
def values(rng):
    """Starting values of everything, for two sources of four bases."""
    root = rng.standard_normal((2, 7, 3, 3)) + 1j * rng.standard_normal((2, 7, 3, 3))
    return {
        "W": rng.uniform(0.1, 1, (2, 7, 4)),
        "H": rng.uniform(0.1, 1, (2, 4, 11)),
        "G": rng.uniform(0.1, 1, (2, 3)),
        "Q": np.eye(3) + 0.3 * root[0],
        "R": root @ root.conj().swapaxes(-1, -2) / 3,
    }


CASES = {
    "fastmnmf2": (FastMNMF2(4, 4), "WHGQ", "", ""),
    "fastmnmf2 held": (FastMNMF2(4, 4), "WHGQ", "W", ""),
    "fastmnmf2 pulled": (FastMNMF2(4, 6), "WHGQ", "", "Q"),
    "euclidean": (FullRankMNMF(4, 4), "WHR", "", ""),
    "euclidean held": (FullRankMNMF(4, 4), "WHR", "WR", ""),
    "log-det": (FullRankMNMF(4, 4, divergence="log-det"), "WHR", "", ""),
    "ntf": (NTFPanning(4, 4), "WHG", "", ""),
    "ntf held": (NTFPanning(4, 4, beta=0.0, exponent=2.0), "WHG", "WH", ""),
    "ntf bands": (NTFPanning(4, 4, bands_per_octave=2), "HG", "", ""),
    "kamir": (KAMIR(4), "R", "", ""),
    "kamir held": (KAMIR(4, n_projections=5), "G", "G", ""),
    "linear": (Linear(2), "R", "", ""),
    "pairwise": (Pairwise(2), "R", "R", ""),
}
WITHOUT_UPDATES = ("linear", "pairwise")


def case(name, values):
    """Return a model and the prior it starts from."""
    model, given, held, pulled = CASES[name]
    prior = Prior(**{letter: values[letter] for letter in given}, spots=(0, (2, 1)))
    return type(model)(**model.get_params()), prior.hold(*held).pull(*pulled)


def learned(model):
    names = [name for name in (*model.learns, *model.also) if hasattr(model, f"{name}_")]
    return {name: np.asarray(getattr(model, f"{name}_")).tobytes() for name in names}


# Parameters


def test_a_model_shows_what_is_not_usual():
    assert repr(FastMNMF2()) == "FastMNMF2()"
    assert repr(FastMNMF2(n_components=16)) == "FastMNMF2(n_components=16)"
    assert repr(FullRankMNMF(64, 9, divergence="log-det")) == "FullRankMNMF(n_iterations=9, divergence='log-det')"
    assert repr(KAMIR(kernel="none", n_projections=3)) == "KAMIR(kernel='none', n_projections=3)"


@pytest.mark.parametrize("kind", CLASSES)
def test_parameters_are_those_of_the_constructor_and_stay_what_they_are(kind):
    strange = [object() for _ in kind().get_params()]
    model = kind(**dict(zip(kind().get_params(), strange)))
    assert all(a is b for a, b in zip(model.get_params(deep=False).values(), strange))
    again = kind().set_params(**model.get_params())
    assert again.get_params() == model.get_params()
    with pytest.raises(ArgumentError, match=rf"{kind.__name__} has no parameter 'n_iteration'; it has n_"):
        again.set_params(n_iteration=3)
    assert again.set_params(n_iterations=3) is again
    assert again.n_iterations == 3


@pytest.mark.parametrize("kind", CLASSES)
def test_scikit_learn_can_clone(kind):
    base = pytest.importorskip("sklearn.base")
    model = kind(n_iterations=3)
    copy = base.clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()


# The loop


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_every_state_of_the_loop_is_that_of_a_fit_as_long(X_FTM, values, name, dtype):
    X = X_FTM.astype(dtype)
    model, prior = case(name, values)
    for done, state in enumerate(model.iterate(X, prior), 1):
        assert state is model
        fitted = case(name, values)[0].set_params(n_iterations=done).fit(X, prior)
        assert learned(model) == learned(fitted)
        assert model.cost_.tobytes() == fitted.cost_.tobytes()
        assert model.spots_ == fitted.spots_
    assert done == model.n_iterations


def test_the_loop_shows_a_q_that_is_mended_like_that_of_a_fit(monkeypatch, X_FTM):
    """Rows that cannot be told apart are replaced in what is shown, not in what is updated."""
    monkeypatch.setattr("mnmf.models.fastmnmf2.SINGULAR", 20.0)
    X = X_FTM.copy()
    X[..., 1] = X[..., 0]
    model, mended = FastMNMF2(3, 8), 0
    for done, _ in enumerate(model.iterate(X), 1):
        assert np.linalg.cond(model.Q_).max() <= 20
        mended += np.any(np.all(np.eye(3) == model.Q_, axis=(1, 2)))
        assert learned(model) == learned(FastMNMF2(3, done).fit(X))
    assert mended


def test_the_time_domain_loop(rng):
    x = rng.laplace(size=(1, 400, 3)) @ [[1, 0.2, 0.1], [0.3, 1, 0.1], [0.2, 0.2, 1]]
    m_L = x[0].sum(axis=1) + rng.standard_normal(400)
    model = TimeDomain(6)
    for done, _ in enumerate(model.iterate(x, m_L=m_L), 1):
        assert learned(model) == learned(TimeDomain(done).fit(x, m_L=m_L))
    assert done == 6
    for name in "Ab":
        for _ in model.iterate(x, m_L=m_L):
            setattr(model, f"{name}_", getattr(model, f"{name}_") * 1.1)
        assert learned(model)["A"] != learned(TimeDomain(6).fit(x, m_L=m_L))["A"]
    assert len(list(TimeDomain(6, epsilon=1.0).iterate(x))) == 1  # it stops by itself
    held = TimeDomain(3)
    for _ in held.iterate(x, Prior(G=np.ones((3, 3)) + np.eye(3), spots=(0, 0, 1)).hold("G")):
        held.spots_ = (1, 2, 0)
    np.testing.assert_allclose(held.A_[[1, 2, 0], range(3)], 1)


@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT_UPDATES])
@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_changed_between_updates_is_what_the_next_one_starts_from(X_FTM, values, name, in_place):
    """Set everything to the start after the first update, and the second one is the first once more."""
    model, prior = case(name, values)
    if name.startswith("ntf bands"):
        prior = prior | Prior(W=values["W"][:, : len(bands(7, 2, 1)) - 1])
    again = type(model)(**model.get_params()).set_params(n_iterations=1).fit(X_FTM, prior)
    steps = model.set_params(n_iterations=2).iterate(X_FTM, prior)
    next(steps)
    start = {letter: getattr(prior, letter) for letter in model.learns if letter != "P"}
    if isinstance(model, KAMIR):
        start = {
            "P": np.abs(X_FTM[..., [0, 2]].transpose(2, 0, 1)) ** 1.5,
            "G": KAMIR(1)._start(prior, prior.spots, (2, 7, 3)),
        }
    for letter, value in start.items():
        if in_place:
            getattr(model, f"{letter}_")[:] = value
        else:
            setattr(model, f"{letter}_", value)
    next(steps)
    if not prior.pulled:  # a pull remembers where the rows were
        for letter in model.learns:
            np.testing.assert_allclose(getattr(model, f"{letter}_"), getattr(again, f"{letter}_"), rtol=1e-6, atol=1e-9)
        assert model.cost_[-1] == pytest.approx(again.cost_[-1], rel=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_each_change_changes_the_fit(X_FTM, values, name):
    model, prior = case(name, values)
    plain = learned(model.fit(X_FTM, prior))
    for letter in model.learns:
        for _ in model.iterate(X_FTM, prior):
            value = getattr(model, f"{letter}_")
            value *= 0.5 + np.arange(1, len(value) + 1).reshape(-1, *[1] * (value.ndim - 1)) / 10
        assert learned(model) != plain, letter
    assert learned(type(model)(**model.get_params()).fit(X_FTM, prior)) == plain


def test_what_is_held_can_be_changed_by_the_caller(X_FTM, values):
    for model in (FastMNMF2(4, 3), NTFPanning(4, 3)):
        prior = Prior(W=values["W"], spots=(0, 2)).hold("W")
        for _ in model.iterate(X_FTM, prior):
            model.W_ = 2 * values["W"]
        np.testing.assert_array_equal(model.W_, 2 * values["W"])
        assert learned(model)["H"] != learned(type(model)(4, 3).fit(X_FTM, prior))["H"]


def test_spots_can_be_changed_and_are_checked(tmp_path, X_FTM):
    model = KAMIR(3)
    for _ in model.iterate(X_FTM, Prior(spots=(0, 1, 2))):
        model.spots_ = (1, 2, 0)
    assert np.all(model.G_[range(3), :, [1, 2, 0]] == 1)
    assert learned(model) != learned(KAMIR(3).fit(X_FTM, Prior(spots=(0, 1, 2))))
    np.testing.assert_array_equal(model.separate(X_FTM)[..., 0], model.images(X_FTM, 0, [1])[..., 0])
    model.save(tmp_path / "model.npz")
    assert KAMIR.load(tmp_path / "model.npz").spots_ == ((1,), (2,), (0,))
    for spots, message in (
        ((0, 0, 1), "share a microphone"),
        ((0, 1), "3 sources need 3 spots"),
        ((0, 1, 7), "only 3"),
    ):
        steps = KAMIR(3).iterate(X_FTM)
        next(steps).spots_ = spots
        with pytest.raises(ArgumentError, match=message):
            next(steps)
    steps = KAMIR(3).iterate(X_FTM)
    next(steps).G_[0, :, 0] = 0
    with pytest.raises(ArgumentError, match="G_ must be positive at every source's own spot"):
        next(steps)


@pytest.mark.parametrize(
    ("letter", "value", "message"),
    [
        ("G", np.ones((3, 2)), r"G_ must have shape \(N, M\) = \(2, 3\).*np.transpose\(G_, \(1, 0\)\)"),
        ("G", -np.ones((2, 3)), "G_ must not be negative"),
        ("H", np.full((2, 4, 11), np.nan), "H_ holds NaN"),
        ("Q", np.zeros((7, 3, 3)), "Q_ must be invertible"),
        ("R", np.triu(np.ones((2, 7, 3, 3))), "R_ must be Hermitian"),
    ],
)
def test_changes_that_do_not_fit_are_refused(X_FTM, values, letter, value, message):
    for name in ("euclidean", "log-det") if letter == "R" else ("fastmnmf2",):
        model, prior = case(name, values)
        steps = model.iterate(X_FTM, prior)
        setattr(next(steps), f"{letter}_", value)
        with pytest.raises(ArgumentError, match=message):
            next(steps)


def test_the_loop_can_be_left_and_starts_afresh(X_FTM, values):
    model, prior = case("fastmnmf2", values)
    for _ in model.iterate(X_FTM, prior):
        if len(model.cost_) == 2:
            model.G_[:] = 1 / 3
            break
    np.testing.assert_array_equal(model.G_, 1 / 3)
    np.testing.assert_allclose(model.images(X_FTM).sum(axis=-1), X_FTM, atol=1e-9)
    model.fit(X_FTM, prior)
    assert learned(model) == learned(case("fastmnmf2", values)[0].fit(X_FTM, prior))


def test_the_loop_refuses_at_once_and_leaves_its_inputs(X_FTM, values):
    with pytest.raises(ArgumentError, match="must be a spectrogram"):
        FastMNMF2().iterate(X_FTM[0])
    with pytest.raises(ArgumentError, match="n_iterations"):
        FastMNMF2(2, 0).iterate(X_FTM)
    model, prior = case("fastmnmf2", values)
    copies = {name: value.tobytes() for name, value in values.items()}
    for _ in model.iterate(X_FTM, prior):
        model.W_ *= 2
    assert {name: value.tobytes() for name, value in values.items()} == copies


class Counting(Model):
    """Gives everything to everyone, and notes how many threads BLAS may use."""

    learns = {"P": "NFT"}  # noqa: RUF012

    def __init__(self, n_iterations=2, size=(1, 2)):
        self.n_iterations = n_iterations
        self.size = size

    def _begin(self, X_FTM, prior, rng):
        self.seen = []
        return CountingUpdates(self, X_FTM)

    def _images(self, X_FTM, sources, mics, H):
        self.seen.append(blas_threads())
        return X_FTM[..., list(mics)] * 0.5


class CountingUpdates(Updates):
    def __init__(self, model, X_FTM):
        self.model, self.spots = model, Spots((0, 1))
        self.P = np.ones((2, *X_FTM.shape[:2]))

    def step(self):
        self.model.seen.append(blas_threads())
        return 0.0

    def state(self):
        return None, {"P": self.P}


def blas_threads():
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def test_blas_is_held_to_one_thread_only_while_a_model_works(X_FTM):
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() < 2:
            pytest.skip("this BLAS has no threads")
        model, outside = Counting(), []
        for _ in model.iterate(X_FTM):
            outside.append(blas_threads())
        assert (model.seen, outside) == ([1, 1], [2, 2])
        model.fit(X_FTM, callback=lambda done, cost: outside.append(blas_threads()))
        assert (model.seen, outside) == ([1, 1], [2] * 4)
        model.images(X_FTM)
        assert model.seen[-1] == 1
        assert blas_threads() == 2


def test_a_model_of_ones_own(tmp_path, X_FTM):
    model = Counting()
    with pytest.raises(NotFittedError, match="this Counting is not fitted"):
        model.images(X_FTM)
    model.fit(X_FTM)
    assert model.separate(X_FTM).shape == (7, 11, 2)
    assert repr(Counting(3)) == "Counting(n_iterations=3)"
    with pytest.raises(ArgumentError, match=r"size must be a number or text to be saved, got \(1, 2\)"):
        model.save(tmp_path / "model.npz")
    model.set_params(size=5).save(tmp_path / "model.npz")
    assert Counting.load(tmp_path / "model.npz").get_params() == {"n_iterations": 2, "size": 5}


# Images


@pytest.mark.parametrize("name", CASES)
def test_images_of_all_sources_are_those_of_each(X_FTM, values, name):
    model, prior = case(name, values)
    model.fit(X_FTM, prior)
    images = model.images(X_FTM)
    assert images.shape == (7, 11, 3, 2)
    np.testing.assert_allclose(images.sum(axis=-1), X_FTM, atol=1e-9)
    for n in range(2):
        np.testing.assert_array_equal(model.images(X_FTM, n), images[..., n])
        np.testing.assert_array_equal(model.images(X_FTM, n, [2, 0]), images[..., [2, 0], n])
    np.testing.assert_array_equal(model.images(X_FTM, mics=[1, 1]), images[:, :, [1, 1]])
    np.testing.assert_array_equal(model.separate(X_FTM), np.stack([images[:, :, 0, 0], images[:, :, 2, 1]], axis=-1))
    assert model.images(X_FTM, 0, []).shape == (7, 11, 0)
    for source in (-1, 2):
        with pytest.raises(ArgumentError, match="source must be from 0 to 1"):
            model.images(X_FTM, source)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("ntf bands", *WITHOUT_UPDATES)])
def test_images_of_any_number_of_frames(rng, name):
    """Two sources that share no frequency: what was fitted to one part of the music serves another part."""
    s_NFT = np.zeros((2, 7, 60), complex)
    for n, some in enumerate((slice(0, 3), slice(3, 7))):
        size = s_NFT[n, some].shape
        s_NFT[n, some] = rng.gamma(1.0, size=60) * (rng.standard_normal(size) + 1j * rng.standard_normal(size))
    A_MN = np.array([[1.0, 0.4], [0.8, 0.6], [0.3, 1.0]])
    true = np.einsum("mn,nft->ftmn", A_MN, s_NFT)
    X = true.sum(axis=-1) + 1e-3 * rng.standard_normal((7, 60, 3))
    model = type(CASES[name][0])(**CASES[name][0].get_params()).set_params(n_iterations=30)
    start = priors.spot(X[:, :40], (0, 2), n_components=4, exponent=1.0 if isinstance(model, NTFPanning) else 2.0)
    if isinstance(model, FullRankMNMF):
        R = np.einsum("mn,kn->nmk", A_MN, A_MN)[:, None] * np.ones((7, 1, 1)) + 0.01 * np.eye(3)
        start = Prior(R=R, W=start.W, spots=start.spots).hold("R")
    elif isinstance(model, KAMIR):
        model.set_params(kernel="none")
        start = Prior(G=A_MN.T, spots=start.spots)
    model.fit(X[:, :40], start)
    before = learned(model)
    for part in (X[:, 40:], X[:, :1], X):
        H = model.activations(part)
        moving = getattr(model, "P_" if isinstance(model, KAMIR) else "H_")
        assert H.shape == (*moving.shape[:-1], part.shape[1])
        images = model.images(part)
        np.testing.assert_allclose(images.sum(axis=-1), part, atol=1e-9)
        np.testing.assert_array_equal(model.images(part, H=H), images)
        np.testing.assert_array_equal(model.separate(part, H), model.separate(part))
        np.testing.assert_array_equal(model.separate(part)[..., 1], images[:, :, 2, 1])
    assert learned(model) == before
    error = np.sum(np.abs(model.images(X[:, 40:]) - true[:, 40:]) ** 2) / np.sum(np.abs(true[:, 40:]) ** 2)
    assert error < 0.1
    assert model.activations(X[:, 40:], 1).tobytes() != model.activations(X[:, 40:]).tobytes()


def test_activations_of_bands_and_of_single_precision(rng):
    X = rng.standard_normal((60, 9, 2)) + 1j * rng.standard_normal((60, 9, 2))
    model = NTFPanning(4, 4, bands_per_octave=12).fit(X)
    np.testing.assert_allclose(model.images(X[:, :4]).sum(axis=-1), X[:, :4], atol=1e-12)
    with pytest.raises(ArgumentError, match=r"frequencies of the \d+ bands fitted, got 50"):
        model.images(X[:50])
    single = FastMNMF2(3, 2).fit(X.astype(np.complex64))
    assert single.images(X[:, :4]).dtype == np.complex128
    assert single.images(X[:, :4].astype(np.complex64)).dtype == np.complex64


@pytest.mark.parametrize(
    ("H", "message"),
    [
        (np.ones((2, 4, 9)), r"H must have shape \(N, K, T\) = \(2, 4, 5\)"),
        (np.ones((4, 2, 5)), r"np.transpose\(H, \(1, 0, 2\)\)"),
        (-np.ones((2, 4, 5)), "H must not be negative"),
    ],
)
def test_activations_that_do_not_fit_are_refused(X_FTM, values, H, message):
    model, prior = case("fastmnmf2", values)
    model.fit(X_FTM, prior)
    with pytest.raises(ArgumentError, match=message):
        model.images(X_FTM[:, :5], H=H)
    with pytest.raises(ArgumentError, match="n_iterations"):
        model.activations(X_FTM, 0)


@pytest.mark.parametrize("name", ["fastmnmf2", "euclidean", "log-det", "ntf", "kamir"])
def test_images_need_little_more_than_their_own_memory(rng, name):
    X = rng.standard_normal((40, 600, 3)) + 1j * rng.standard_normal((40, 600, 3))
    model = type(CASES[name][0])(**CASES[name][0].get_params()).set_params(n_iterations=1).fit(X)
    model.images(X[:, :20], 0, [0], H=getattr(model, "P_" if name == "kamir" else "H_")[..., :20])  # compiles
    size = X[..., 0].nbytes
    for source, mics, values in ((None, None, 9), (0, [1], 1)):
        tracemalloc.start()
        try:
            model.images(X, source, mics)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < (values + 3.5) * size  # the images, and a block of frames of each source


# Files


@pytest.mark.parametrize("name", CASES)
def test_what_is_loaded_is_what_was_saved(tmp_path, X_FTM, values, name):
    model, prior = case(name, values)
    model.fit(X_FTM, prior).save(tmp_path / "model.npz")
    loaded = type(model).load(tmp_path / "model.npz")
    assert vars(loaded).keys() == vars(model).keys()
    assert learned(loaded) == learned(model)
    assert loaded.get_params() == model.get_params()
    assert loaded.spots_ == model.spots_
    assert loaded.cost_.tobytes() == model.cost_.tobytes()


def test_files_without_gains_load_as_well(tmp_path, X_FTM, values):
    model, prior = case("fastmnmf2", values)
    model.fit(X_FTM, prior)
    np.savez_compressed(
        tmp_path / "old.npz",
        model="FastMNMF2",
        n_components=4,
        n_iterations=4,
        n_sources=-1,
        cost=model.cost_,
        spots=np.array([0, 2, 1]),
        spots_per_source=np.array([1, 2]),
        **{name: getattr(model, f"{name}_") for name in "WHGQ"},
    )
    loaded = FastMNMF2.load(tmp_path / "old.npz")
    assert (loaded.n_sources, loaded.spots_) == (None, ((0,), (2, 1)))
    assert loaded.separate(X_FTM).tobytes() == model.separate(X_FTM).tobytes()


def test_parameters_that_a_file_does_not_know_are_at_their_defaults(tmp_path, X_FTM):
    model = FullRankMNMF(2, 1, divergence="log-det", jointly=True).fit(X_FTM)
    model.save(tmp_path / "new.npz")
    assert FullRankMNMF.load(tmp_path / "new.npz").jointly
    with np.load(tmp_path / "new.npz") as saved:
        known = {name: saved[name] for name in saved.files if name != "jointly"}
    np.savez_compressed(tmp_path / "old.npz", **known)
    loaded = FullRankMNMF.load(tmp_path / "old.npz")
    assert loaded.get_params() == model.get_params() | {"jointly": False}
    np.savez_compressed(tmp_path / "less.npz", **{name: value for name, value in known.items() if name != "divergence"})
    with pytest.raises(ArgumentError, match="does not hold a FullRankMNMF"):
        FullRankMNMF.load(tmp_path / "less.npz")
    np.savez_compressed(tmp_path / "damaged.npz", **known | {"jointly": 3})
    with pytest.raises(ArgumentError, match="damaged FullRankMNMF"):
        FullRankMNMF.load(tmp_path / "damaged.npz")


# Axes the wrong way round


@pytest.mark.parametrize("letter", "WQR")
def test_spectrograms_the_wrong_way_round_are_refused_where_the_prior_knows(rng, letter):
    F, T, M = 33, 12, 3
    X = rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))
    value = {
        "W": rng.uniform(0.1, 1, (3, F, 2)),
        "Q": np.tile(np.eye(M), (F, 1, 1)),
        "R": np.tile(np.eye(M), (3, F, 1, 1)),
    }[letter]
    model = FullRankMNMF(2, 1) if letter == "R" else FastMNMF2(2, 1)
    prior = Prior(**{letter: value})
    with pytest.raises(ArgumentError, match=r"X_FTM must have shape .* = \(33, any, .*transpose\(X_FTM, \(1, 0, 2\)\)"):
        model.fit(X.transpose(1, 0, 2), prior)
    with pytest.raises(ArgumentError, match=r"np.transpose\(X_FTM, \(1, 2, 0\)\)"):
        model.fit(X.transpose(2, 0, 1), prior)
    model.fit(X, prior)
    with pytest.raises(ArgumentError, match=r"np.transpose\(X_FTM, \(1, 0, 2\)\)"):
        model.separate(X.transpose(1, 0, 2))
    with pytest.raises(ArgumentError, match=r"np.transpose\(X_FTM, \(1, 2, 0\)\)"):
        model.images(X.transpose(2, 0, 1))


def test_priors_the_wrong_way_round_are_refused(X_FTM, values):
    with pytest.raises(ArgumentError, match=r"prior.R must .*np.transpose\(prior.R, \(1, 0, 2, 3\)\)"):
        FullRankMNMF(4, 1).fit(X_FTM, Prior(R=values["R"].swapaxes(0, 1), W=values["W"], spots=(0, 2)))
    with pytest.raises(ArgumentError, match=r"prior.W must .*np.transpose\(prior.W, \(1, 0, 2\)\)"):
        FastMNMF2(4, 1, n_sources=2).fit(X_FTM, Prior(W=values["W"].swapaxes(0, 1)))
    with pytest.raises(ArgumentError, match=r"prior.G must .*np.transpose\(prior.G, \(1, 0\)\)"):
        NTFPanning(4, 1, n_sources=2).fit(X_FTM, Prior(G=values["G"].T))
    with pytest.raises(ArgumentError, match=r"np.transpose\(X_FTM, \(1, 2, 0\)\)"):
        NTFPanning(4, 1).fit(X_FTM.transpose(2, 0, 1), Prior(G=values["G"]))
