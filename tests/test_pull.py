"""Q pulled towards its prior: bands, what is learned of the spread, and what a pulled fit does."""

from dataclasses import replace

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from mnmf import FastMNMF2, FullRankMNMF, Prior, priors
from mnmf.errors import ArgumentError
from mnmf.kernels import fastmnmf2 as kernels
from mnmf.models import _pull, match_gains
from mnmf.models._bands import bands
from mnmf.models._pull import Pull
from tests.reference import fastmnmf2 as naive


def complex_noise(rng, *shape):
    """Complex Gaussian numbers of power 1."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def room(rng, n_frames=24, n_mics=3, n_frequencies=40):
    """Players who bleed into all mics at about -8 dB by a filter; return their images and solos, twelve frames each."""
    A_FMN = 10 ** (-8 / 20) * complex_noise(rng, n_frequencies, n_mics, n_mics)
    A_FMN[:, range(n_mics), range(n_mics)] = 1
    power = rng.gamma(0.2, size=(n_mics, n_frequencies, 4)) @ rng.gamma(0.3, size=(n_mics, 4, n_frames))
    s_NFT = np.sqrt(power) * complex_noise(rng, *power.shape)
    images = np.einsum("fmn,nft->nftm", A_FMN, s_NFT)
    solos = np.einsum("fmn,nft->nftm", A_FMN, complex_noise(rng, n_mics, n_frequencies, 12))
    return images, np.concatenate(list(solos), axis=1)


SPOTS = ((0,), (1,), (2,))
ALONE = [slice(0, 12), slice(12, 24), slice(24, 36)]


def taught(X, solos):
    """The prior of as many players as mics, who play alone for twelve frames each."""
    spots = range(X.shape[2])
    Q = priors.solo(solos, [slice(12 * n, 12 * (n + 1)) for n in spots], spots).Q
    return priors.spot(X, spots, Q, n_components=4)


def snr(S_FTN, images):
    """Mean over the sources in dB."""
    errors = [S_FTN[..., n] - image[..., n] for n, image in enumerate(images)]
    ratios = [np.sum(np.abs(images[n, ..., n]) ** 2) / np.sum(np.abs(e) ** 2) for n, e in enumerate(errors)]
    return 10 * np.mean(np.log10(ratios))


def spy(monkeypatch):
    """Return the list to which every `Pull` that a fit makes is added."""
    made = []

    class Seen(Pull):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr("mnmf.models.fastmnmf2.Pull", Seen)
    return made


# Bands


@pytest.mark.parametrize("size", [1, 2, 23, 24, 25, 47, 48, 100, 1000, 1025, 16385])
def test_bands_cover_all_frequencies_and_grow_with_them(size):
    edges = bands(size, 3, 24)
    assert (edges[0], edges[-1]) == (0, size)
    widths = np.diff(edges)
    assert widths.min() >= min(24, size)
    # Of frequency f the next third of an octave, but for the last one, which takes what is left.
    wanted = np.maximum(24, np.ceil(edges[:-1] * 2 ** (1 / 3)) - edges[:-1])
    np.testing.assert_array_equal(widths[:-1], wanted[:-1])
    assert widths[-1] < wanted[-1] + 24 or len(widths) == 1
    assert len(edges) == 2 if size < 48 else len(edges) > 2


def test_options_of_bands():
    np.testing.assert_array_equal(bands(100, 1, 1), [0, 1, 2, 4, 8, 16, 32, 64, 100])
    np.testing.assert_array_equal(bands(100, 1, 10), [0, 10, 20, 40, 80, 100])
    assert len(bands(1000, 12, 1)) > 2.5 * len(bands(1000, 3, 1))


# What is learned of the spread


def spread_of(pull):
    """Return the spread that each u_mj is told, (F, M, M)."""
    nu = _pull.DEGREES
    square_FMM = np.abs(pull.arrays.deviation_FMM) ** 2 + pull.arrays.variance_FMM
    return ((nu + 1) / pull.arrays.precision_FMM - square_FMM) / nu


def strayed(rng, spread, shape):
    """Draw deviations: complex Gaussian of a precision that is Gamma distributed, hence Student-t."""
    precision = rng.gamma(_pull.DEGREES, 1 / (_pull.DEGREES * spread), shape)
    return complex_noise(rng, *shape) / np.sqrt(precision)


def pulled_to(n_frequencies, n_mics=2):
    return Pull(np.tile(np.eye(n_mics, dtype=complex), (n_frequencies, 1, 1)), np.arange(n_mics), 100)


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 0.1), (0.01, 0.3)])
def test_the_spread_is_that_of_the_deviations_per_pair_and_band(rng, noise, tolerance):
    """With noise each u_mj is known but to a variance; a posterior that is factorised makes the spread a bit large."""
    F = 12000
    pull = pulled_to(F)
    edges = bands(F, _pull.BANDS_PER_OCTAVE, _pull.NARROWEST)
    true_F = np.where(np.arange(F) < edges[-2], 0.2, 0.02)
    true_FMM = np.stack([true_F, 3 * true_F, 0.5 * true_F, true_F], axis=-1).reshape(F, 2, 2)
    u_FMM = strayed(rng, true_FMM, (F, 2, 2))
    seen_FMM = u_FMM + np.sqrt(noise) * complex_noise(rng, F, 2, 2)
    for _ in range(80):
        sure = 1.0 if noise == 0 else 1 / (1 + noise * pull.arrays.precision_FMM)
        pull.arrays.deviation_FMM[:] = sure * seen_FMM
        pull.arrays.variance_FMM[:] = noise * sure
        pull.learn()
    spread_FMM = spread_of(pull)
    for first, stop in zip(edges[-4:-1], edges[-3:]):  # the widest bands
        np.testing.assert_allclose(spread_FMM[first:stop], spread_FMM[first:stop][:1].repeat(stop - first, 0))
        for m, j in [(0, 1), (1, 0)]:
            assert spread_FMM[first, m, j] == pytest.approx(true_FMM[first, m, j], rel=tolerance)


def test_a_few_that_stray_far_move_the_spread_little_and_are_let_go(rng):
    there, here = pulled_to(3000), pulled_to(3000)
    deviation_FMM = strayed(rng, 0.05, (3000, 2, 2))
    outliers = rng.permutation(3000)[:60]
    for pull in (there, here):
        pull.arrays.deviation_FMM[:] = deviation_FMM
    here.arrays.deviation_FMM[outliers] = 1e3
    for _ in range(60):
        there.learn()
        here.learn()
    assert spread_of(here)[-1, 0, 1] < 1.4 * spread_of(there)[-1, 0, 1]
    others = np.setdiff1d(np.arange(3000), outliers)
    assert here.arrays.precision_FMM[outliers].max() < 1e-4 * here.arrays.precision_FMM[others].min()


def test_nothing_is_learned_of_the_first_iterations_nor_that_all_is_certain():
    pull = pulled_to(30)
    before = pull.arrays.precision_FMM.copy()
    np.testing.assert_allclose(before, 1 / _pull.SPREAD)
    for _ in range(_pull.BEFORE_LEARNING - 1):
        pull.learn()
        np.testing.assert_array_equal(pull.arrays.precision_FMM, before)
    pull.learn()
    assert np.all(pull.arrays.precision_FMM > before)
    for _ in range(30):
        pull.learn()
    np.testing.assert_allclose(spread_of(pull), _pull.LEAST_SPREAD)


def test_rows_are_rescaled_to_1_at_their_own_mic_whatever_the_scale_of_the_prior(rng):
    Q = np.eye(3) + 0.3 * complex_noise(rng, 5, 3, 3)
    own = np.array([2, 0, 1])
    there = Pull(Q, own, 10).arrays
    np.testing.assert_allclose(there.mixing_FMM[:, own, [0, 1, 2]], 1)
    np.testing.assert_allclose(there.base_FMM @ there.mixing_FMM, np.tile(np.eye(3), (5, 1, 1)), atol=1e-12)
    here = Pull(complex_noise(rng, 5, 3, 1) * Q, own, 10).arrays
    np.testing.assert_allclose(here.base_FMM, there.base_FMM)
    deaf = np.tile(np.array([[0, 1], [1, 0]], complex), (5, 1, 1))  # no row's own mic hears its source
    np.testing.assert_array_equal(Pull(deaf, np.array([0, 1]), 10).arrays.base_FMM, deaf)


# The fit


def test_one_iteration_pulls_each_frequency_as_its_equations_say(rng):
    images, solos = room(rng, n_frequencies=5)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    model = FastMNMF2(n_iterations=1).fit(X, prior.hold("W", "H", "G"))
    power = np.mean(np.abs(X) ** 2)
    y = naive.variances(prior.W / power, prior.H, prior.G, 1e-10)
    mixing = np.linalg.inv(prior.Q)
    base = prior.Q * np.einsum("fmm->fm", mixing)[:, :, None]
    for f in range(5):
        V = np.einsum("tm,ti,tj->mij", 1 / y[f], X[f], X[f].conj()) / power / X.shape[1]
        precision, n_frames = np.full((3, 3), 1 / _pull.SPREAD), X.shape[1] / _pull.OVERLAP
        expected = naive.pull_rows(prior.Q[f], V, base[f], precision, n_frames)[0]
        np.testing.assert_allclose(model.Q_[f], expected, rtol=1e-6, atol=1e-8)


def test_with_few_frames_and_good_solos_a_pull_separates_far_better_than_a_free_q(rng):
    images, solos = room(rng)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    assert prior.pulled == {"Q"}
    pulled, free = (snr(FastMNMF2().fit(X, p).separate(X), images) for p in (prior, prior.release("Q")))
    assert free > snr(X, images) + 5
    assert pulled > free + 8


def test_where_a_player_has_moved_a_pull_separates_far_better_than_a_held_q(rng):
    images, solos = room(rng, n_frames=200)
    solos[:, 24:] = room(rng)[1][:, 24:]  # the third player alone, elsewhere
    X = images.sum(axis=0)
    prior = taught(X, solos)
    pulled, held = (snr(FastMNMF2().fit(X, p).separate(X), images) for p in (prior, prior.hold("Q")))
    assert held > snr(X, images)
    assert pulled > held + 8


def test_the_spread_is_learned_per_row_from_the_take(rng, monkeypatch):
    made = spy(monkeypatch)
    images, solos = room(rng, n_frames=200)
    solos[:, 24:] = room(rng)[1][:, 24:]
    X = images.sum(axis=0)
    FastMNMF2().fit(X, taught(X, solos))
    spread_MM = spread_of(made[0])[0]
    # Rows 0 and 1, which keep the third player out, do so no longer: what they take in is in column 2.
    assert spread_MM[:2, 2].min() > 10 * max(spread_MM[0, 1], spread_MM[1, 0])


def test_gains_changed_after_the_solos_are_found_and_undone(rng):
    images, solos = room(rng, n_frames=200)
    X = images.sum(axis=0)
    gains = np.array([1.4, 0.7, 1.0])
    changed = taught(X, solos / gains)
    found = FastMNMF2().fit(X, changed).gains_
    np.testing.assert_allclose(found / found[2], gains, rtol=0.02)
    np.testing.assert_allclose(FastMNMF2().fit(X, taught(X, solos)).gains_, 1, atol=0.02)
    # What the solos taught is then the same, up to what no demixing shows: the scale of its rows.
    there, here = (
        match_gains(X, priors.solo(solos, ALONE, SPOTS)),
        match_gains(X, priors.solo(solos / gains, ALONE, SPOTS)),
    )
    before = [priors.solo(x, ALONE, SPOTS).Q for x in (solos, solos / gains)]
    assert np.abs(before[1] - before[0]).max() > 0.1
    np.testing.assert_allclose(here.Q, there.Q, atol=0.05)
    assert (here.spots, here.pulled) == (there.spots, there.pulled)


def test_where_gains_move_the_base_it_stays_what_it_is(rng, monkeypatch):
    made = spy(monkeypatch)
    images, solos = room(rng, n_frames=200)
    model = FastMNMF2().fit(images.sum(axis=0), taught(images.sum(axis=0), solos / [1.4, 0.7, 1.0]))
    assert np.prod(model.gains_) == pytest.approx(1)
    base_FMM, mixing_FMM = made[0].arrays.base_FMM, made[0].arrays.mixing_FMM
    np.testing.assert_allclose(base_FMM @ mixing_FMM, np.tile(np.eye(3), (len(base_FMM), 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.einsum("fmm->fm", mixing_FMM), 1)  # each source at its own spot


def test_without_a_pull_there_are_no_gains_to_learn(rng):
    images, solos = room(rng)
    X = images.sum(axis=0)
    np.testing.assert_array_equal(FastMNMF2(n_iterations=5).fit(X, taught(X, solos).release("Q")).gains_, 1)
    np.testing.assert_array_equal(FastMNMF2(n_iterations=5).fit(X, priors.spot(X, SPOTS)).gains_, 1)


@pytest.mark.parametrize("lacks", ["Q", "spots"])
def test_gains_are_matched_to_a_prior_with_q_and_spots(rng, lacks):
    images, solos = room(rng)
    prior = priors.solo(solos, ALONE, SPOTS).release("Q")
    with pytest.raises(ArgumentError, match="Q and spots"):
        match_gains(images.sum(axis=0), replace(prior, **{lacks: None}))


def test_pulled_stays_nearer_than_released_and_held_nearest(rng):
    images, solos = room(rng)
    X = images.sum(axis=0)
    prior = taught(X, solos)

    def gone(p):
        U = FastMNMF2(n_iterations=8).fit(X, p).Q_ @ np.linalg.inv(prior.Q)
        U /= np.einsum("fmm->fm", U)[:, :, None]
        return np.mean(np.abs(U - np.eye(3)) ** 2)

    assert gone(prior.hold("Q")) < 1e-20 < gone(prior) < 0.3 * gone(prior.release("Q"))


def test_the_scale_of_the_mixture_scales_the_images(rng):
    images, solos = room(rng)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    louder = Prior(W=1e6 * prior.W, H=prior.H, G=prior.G, Q=prior.Q, spots=prior.spots).pull("Q")
    there, here = FastMNMF2(4, 8).fit(X, prior), FastMNMF2(4, 8).fit(1000 * X, louder)
    np.testing.assert_allclose(here.separate(1000 * X), 1000 * there.separate(X), rtol=1e-5, atol=1e-6)


def test_the_order_of_mics_does_not_matter(rng):
    images, solos = room(rng, n_frequencies=50)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    order = [2, 0, 1]
    moved = Prior(W=prior.W, H=prior.H, G=prior.G, Q=prior.Q[:, :, order], spots=(1, 2, 0)).pull("Q")
    there, here = FastMNMF2(4, 8).fit(X, prior), FastMNMF2(4, 8).fit(X[..., order], moved)
    np.testing.assert_allclose(here.separate(X[..., order]), there.separate(X), rtol=1e-5, atol=1e-6)


def test_what_a_pull_means_depends_on_how_loud_the_mics_are(rng):
    """A deviation is in units of the sound at the own mics, which is why `separate` makes them equally loud."""
    images, solos = room(rng)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    gains = np.array([1.0, 1.0, 5.0])
    scaled = Prior(W=prior.W, H=prior.H, G=prior.G, Q=prior.Q / gains, spots=prior.spots)

    def difference(p, q):
        there, here = FastMNMF2(4, 4).fit(X, p), FastMNMF2(4, 4).fit(X * gains, q)
        return np.abs(here.separate(X * gains) / gains - there.separate(X)).max()

    assert difference(prior.release("Q"), scaled) < 1e-4
    assert difference(prior, scaled.pull("Q")) > 0.05


def test_runs_and_threads_give_the_same_bytes_and_the_inputs_stay(rng):
    images, solos = room(rng, n_frames=70, n_frequencies=200)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    given = X, prior.W, prior.H, prior.G, prior.Q
    copies = [value.tobytes() for value in given]

    def result():
        model = FastMNMF2(n_iterations=6).fit(X, prior)
        return [value.tobytes() for value in (model.separate(X), model.Q_, model.W_, model.G_, model.cost_)]

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = result()
    finally:
        set_num_threads(threads)
    assert result() == one
    assert result() == one
    assert [value.tobytes() for value in given] == copies


def test_a_pull_is_compiled_for_no_second_time(rng):
    images, solos = room(rng)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    FastMNMF2(n_iterations=1).fit(X, prior.release("Q"))
    compiled = len(kernels._group.signatures)
    FastMNMF2(n_iterations=1).fit(X, prior)
    assert len(kernels._group.signatures) == compiled


@pytest.mark.parametrize("held", [(), ("W",), ("W", "H", "G")])
def test_silence_in_silence_out(held):
    X = np.zeros((4, 6, 2), complex)
    model = FastMNMF2(3, 100).fit(X, priors.spot(X, (0, 1), n_components=3).hold(*held))
    assert not model.separate(X).any()
    assert np.isfinite(model.cost_).all()
    np.testing.assert_allclose(model.Q_, np.tile(np.eye(2), (4, 1, 1)))


@pytest.mark.parametrize("held", [(), ("W",)])
def test_silent_frequencies_stay_where_they_are_and_have_no_say_in_the_spread(rng, monkeypatch, held):
    made = spy(monkeypatch)
    X = room(rng, n_frames=100)[0].sum(axis=0)
    prior = priors.spot(X, (0, 1, 2), n_components=4).hold(*held)
    FastMNMF2().fit(X, prior)
    X[20:] = 0
    model = FastMNMF2().fit(X, prior)
    assert not model.separate(X)[20:].any()
    np.testing.assert_allclose(model.Q_[20:], np.tile(np.eye(3), (20, 1, 1)), atol=1e-9)
    there, here = (spread_of(pull)[0][~np.eye(3, dtype=bool)] for pull in made)
    assert np.all(np.abs(np.log(here / there)) < np.log(2))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("dead", [0, 1])
@pytest.mark.parametrize("held", [(), ("W",)])
def test_a_silent_mic_or_a_copied_one_gives_no_nan(rng, dead, dtype, held):
    X = room(rng)[0].sum(axis=0).astype(dtype)
    X[..., dead] = 0 if dead else X[..., 2]
    model = FastMNMF2(n_iterations=20).fit(X, priors.spot(X, (0, 1, 2), n_components=3).hold(*held))
    for value in (model.separate(X), model.Q_, model.W_, model.G_, model.cost_):
        assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("shape", "spots"),
    [
        ((12, 20, 4), (0, 1)),
        ((12, 20, 4), (1, (0, 3))),
        ((12, 20, 3), (2,)),
        ((1, 20, 3), (0, 1, 2)),
        ((12, 1, 3), (0, 1, 2)),
        ((12, 20, 1), (0,)),
        ((1, 1, 1), (0,)),
        ((60, 3, 2), (1, 0)),
    ],
)
def test_any_shape(rng, shape, spots):
    X = complex_noise(rng, *shape)
    model = FastMNMF2(n_iterations=10).fit(X, priors.spot(X, spots, n_components=2))
    np.testing.assert_allclose(sum(model.images(X, n) for n in range(len(spots))), X, atol=1e-9)
    for value in (model.Q_, model.W_, model.cost_):
        assert np.isfinite(value).all()
    assert model.Q_.shape == (shape[0], shape[2], shape[2])


def test_identical_mics_of_two_sources_leave_nothing_to_demix(rng):
    """No filter tells such sources apart; the rows that try would let through nothing but magnified rounding."""
    F, T, N = 400, 30, 3
    mixing_FMN = 0.3 * complex_noise(rng, F, N, N)
    mixing_FMN[:, range(N), range(N)] = 1
    mixing_FMN[rng.random(F) < 0.1] *= [1, 1, 1e-4]
    s_NFT = complex_noise(rng, N, F, 4 * T) * rng.gamma(0.3, size=(N, F, 1)) * rng.gamma(0.3, size=(N, 1, 4 * T))
    alone = [slice(n * T, (n + 1) * T) for n in range(N)]
    for n in range(N):
        s_NFT[:, :, alone[n]][np.arange(N) != n] = 0
    X = np.einsum("fmn,nft->ftm", mixing_FMN, s_NFT).astype(np.complex64)
    X[..., 1] = X[..., 0]
    take = np.ascontiguousarray(X[:, N * T :])
    prior = priors.spot(take, range(N), priors.solo(X, alone, range(N)).Q, 4)
    model = FastMNMF2(n_iterations=20).fit(take, prior)
    assert np.linalg.cond(model.Q_).max() < 1e7
    assert np.isfinite(model.cost_).all()
    own = np.abs(take).max()
    assert np.abs(model.separate(take)).max() < 1.01 * own


def test_more_sources_than_mics_can_have_a_pulled_q(rng):
    X = complex_noise(rng, 7, 20, 2)
    prior = Prior(W=rng.uniform(0.1, 1, (3, 7, 2)), Q=np.tile(np.eye(2), (7, 1, 1)), spots=(0, 1, 0))
    model = FastMNMF2(n_iterations=4).fit(X, prior.hold("W").pull("Q"))
    assert model.separate(X).shape == (7, 20, 3)
    free = FastMNMF2(n_iterations=4).fit(X, prior.hold("W"))
    assert not np.allclose(free.separate(X), model.separate(X))


def test_complex64_is_close_to_complex128(rng):
    images, solos = room(rng)
    X = images.sum(axis=0)
    prior = taught(X, solos)
    single = FastMNMF2(n_iterations=5).fit(X.astype(np.complex64), prior)
    assert single.W_.dtype == np.float32
    double = FastMNMF2(n_iterations=5).fit(X, prior)
    atol = 1e-3 * np.abs(X).max()
    np.testing.assert_allclose(single.separate(X.astype(np.complex64)), double.separate(X), atol=atol)
    np.testing.assert_allclose(single.Q_, double.Q_, atol=1e-3)


@pytest.mark.parametrize(
    ("model", "prior", "message"),
    [
        (FastMNMF2(2), Prior(W=np.ones((3, 7, 2))).pull("W"), "this model cannot pull W"),
        (FastMNMF2(2), Prior(G=np.ones((3, 3))).pull("G"), "this model cannot pull G"),
        (FastMNMF2(2), Prior(R=np.ones(1)).pull("R"), "this model has no R to pull"),
        (FullRankMNMF(2), Prior(Q=np.tile(np.eye(3), (7, 1, 1))).pull("Q"), "this model has no Q to pull"),
        (FullRankMNMF(2), Prior(W=np.ones((3, 7, 2))).pull("W"), "this model cannot pull W"),
        (FastMNMF2(2), Prior().pull("Q"), "the prior pulls Q but gives none"),
        (FastMNMF2(2), Prior(Q=np.zeros((7, 3, 3))).pull("Q"), "prior.Q must be invertible"),
    ],
)
def test_what_cannot_be_pulled_is_refused(X_FTM, model, prior, message):
    with pytest.raises(ArgumentError, match=message):
        model.fit(X_FTM, prior)
