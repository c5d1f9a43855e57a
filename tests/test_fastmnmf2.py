"""FastMNMF2: kernels against plain loops, and what holds for any data."""

import tracemalloc

import numpy as np
import pyroomacoustics
import pytest
from numba import get_num_threads, set_num_threads

from mnmf import FastMNMF2, Prior, priors
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.kernels import fastmnmf2 as kernels
from mnmf.kernels import wiener
from mnmf.models import assign_spots
from mnmf.models.fastmnmf2 import _normalise
from tests.reference import fastmnmf2 as naive

HOLDS = [(), ("W",), ("H",), ("G",), ("Q",), ("W", "H"), ("W", "Q"), ("W", "H", "G"), ("W", "H", "G", "Q")]
BLOCKS = {"W": naive.update_w, "H": naive.update_h, "G": naive.update_g, "Q": naive.update_q}
FLOOR = 1e-10


@pytest.fixture
def start(rng, X_FTM):
    """A complete start for two sources with 4 bases each."""
    F, T, M = X_FTM.shape
    noise = rng.standard_normal((F, M, M)) + 1j * rng.standard_normal((F, M, M))
    return Prior(
        W=rng.uniform(0.1, 1.0, (2, F, 4)),
        H=rng.uniform(0.1, 1.0, (2, 4, T)),
        G=rng.uniform(0.1, 1.0, (2, M)),
        Q=np.eye(M) + 0.3 * noise,
        spots=(0, 2),
    )


def parts(prior):
    return prior.W, prior.H, prior.G, prior.Q


def run_pass(X_FTM, prior, **updates):
    """One frequency pass on copies; returns cost, over, under, W, Q."""
    W, Q = prior.W.copy(), prior.Q.copy()
    flags = {"update_w": False, "update_q": False, "gather_h": False, **updates}
    cost, over, under = kernels.frequency_pass(X_FTM / 4, 4.0, W, prior.H, prior.G, Q, FLOOR, *flags.values())
    return cost, over, under, W, Q


def wide(rng, n_frequencies=19, n_frames=2 * kernels.FRAMES + 3):
    """More frequencies and frames than a block holds, neither a multiple of it."""
    X = rng.standard_normal((n_frequencies, n_frames, 3)) + 1j * rng.standard_normal((n_frequencies, n_frames, 3))
    W, H = rng.uniform(0.1, 1, (2, n_frequencies, 3)), rng.uniform(0.1, 1, (2, 3, n_frames))
    Q = np.tile(np.eye(3) + 0.1j, (n_frequencies, 1, 1))
    return X, Prior(W=W, H=H, G=rng.uniform(0.1, 1, (2, 3)), Q=Q)


@pytest.mark.kernel
@pytest.mark.parametrize("size", ["small", "wide"])
def test_every_update_is_its_equation(rng, X_FTM, start, size):
    if size == "wide":
        X_FTM, start = wide(rng)
    cost, *_, W, _ = run_pass(X_FTM, start, update_w=True)
    determinants = np.sum(np.log(np.abs(np.linalg.det(start.Q)) ** 2))
    expected = naive.cost(X_FTM, *parts(start), FLOOR) + X_FTM.shape[1] * determinants
    assert cost == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(W, naive.update_w(X_FTM, *parts(start), FLOOR), rtol=1e-9)
    *_, Q = run_pass(X_FTM, start, update_q=True)
    np.testing.assert_allclose(Q, naive.update_q(X_FTM, *parts(start), FLOOR), rtol=1e-6, atol=1e-8)
    _, over, under, _, _ = run_pass(X_FTM, start, gather_h=True)
    H = start.H * np.sqrt(over / under)
    np.testing.assert_allclose(H, naive.update_h(X_FTM, *parts(start), FLOOR), rtol=1e-9)
    over, under = kernels.weight_pass(X_FTM / 4, 4.0, *parts(start), FLOOR)
    np.testing.assert_allclose(start.G * np.sqrt(over / under), naive.update_g(X_FTM, *parts(start), FLOOR), rtol=1e-9)


@pytest.mark.kernel
def test_one_pass_updates_q_then_w_then_h_each_from_the_state_before_it(X_FTM, start):
    cost, over, under, W, Q = run_pass(X_FTM, start, update_w=True, update_q=True, gather_h=True)
    assert cost == pytest.approx(run_pass(X_FTM, start)[0], rel=1e-12)
    np.testing.assert_allclose(Q, naive.update_q(X_FTM, *parts(start), FLOOR), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(W, naive.update_w(X_FTM, start.W, start.H, start.G, Q, FLOOR), rtol=1e-9)
    H = naive.update_h(X_FTM, W, start.H, start.G, Q, FLOOR)
    np.testing.assert_allclose(start.H * np.sqrt(over / under), H, rtol=1e-9)


@pytest.mark.kernel
def test_images_share_what_no_source_explains(X_FTM, start):
    W = start.W.copy()
    W[:, 3] = 0.0
    sources, mics = np.array([0, 1, 0]), np.array([2, 2, 1])
    inverse = np.linalg.inv(start.Q)
    S_FTI = wiener.diagonal_images(X_FTM, W, start.H, start.G, start.Q + 0j, inverse + 0j, sources, mics)
    np.testing.assert_allclose(S_FTI[..., 0] + S_FTI[..., 1], X_FTM[..., 2], rtol=1e-9)
    np.testing.assert_allclose(S_FTI[3], X_FTM[3][:, mics] / 2, rtol=1e-9)


def test_the_kernels_in_its_order_equal_pyroomacoustics(rng, monkeypatch):
    """Its W and H share one set of statistics, then come G and Q; it normalises every tenth time, from the first on.

    Bases without activations leave y as it is, so what H needs of the new W is gathered beside what the old W does.
    """
    F, T, M, K = 9, 40, 3, 4
    X = rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))
    H, W = rng.random((M, K, T)), rng.random((M, F, K))
    draws = iter([H.copy(), W.copy()])
    monkeypatch.setattr(np.random, "rand", lambda *shape: next(draws))
    theirs = pyroomacoustics.bss.fastmnmf2(X.transpose(1, 0, 2), n_iter=5, n_components=K)

    G, Q = np.where(np.eye(M) > 0, 1.0, 0.05), np.tile(np.eye(M, dtype=complex), (F, 1, 1))
    for iteration in range(5):
        *_, new_W, _ = run_pass(X, Prior(W=W, H=H, G=G, Q=Q), update_w=True)
        both = Prior(W=np.concatenate([W, new_W], axis=2), H=np.concatenate([H, 0 * H], axis=1), G=G, Q=Q)
        _, over, under, _, _ = run_pass(X, both, gather_h=True)
        W, H = new_W, H * np.sqrt(over / under)[:, K:]
        over, under = kernels.weight_pass(X, 1.0, W, H, G, Q, FLOOR)
        G = G * np.sqrt(over / under)
        *_, Q = run_pass(X, Prior(W=W, H=H, G=G, Q=Q), update_q=True)
        if iteration == 0:
            _normalise(W, H, G, Q, frozenset())
    for n in range(M):
        image = naive.image(X, W, H, G, Q, n, 0)
        np.testing.assert_allclose(image, theirs[..., n].T, rtol=0, atol=1e-6 * np.abs(image).max())


@pytest.mark.parametrize("held", [("H", "G", "Q"), ("W", "G", "Q"), ("W", "H", "Q"), ("W", "H", "G")])
def test_every_update_alone_lowers_the_cost(X_FTM, start, held):
    model = FastMNMF2(n_iterations=6).fit(X_FTM, start.hold(*held))
    assert np.all(np.diff(model.cost_) < 0)


@pytest.mark.parametrize("held", HOLDS)
def test_cost_falls_and_is_the_cost(X_FTM, start, held):
    model = FastMNMF2(n_iterations=8).fit(X_FTM, start.hold(*held))
    assert model.cost_.shape == (8,)
    assert np.all(np.diff(model.cost_) <= 1e-9 * np.abs(model.cost_[0]))
    power = np.mean(np.abs(X_FTM) ** 2)
    final = naive.cost(X_FTM / np.sqrt(power), model.W_ / power, model.H_, model.G_, model.Q_, FLOOR)
    assert model.cost_[-1] == pytest.approx(final, rel=1e-7)


@pytest.mark.parametrize("held", HOLDS)
def test_held_blocks_stay_and_others_move(X_FTM, start, held):
    model = FastMNMF2(n_iterations=2).fit(X_FTM, start.hold(*held))
    for name in "WHGQ":
        assert np.array_equal(getattr(model, f"{name}_"), getattr(start, name)) == (name in held)


def test_normalisation(X_FTM, start):
    model = FastMNMF2(n_iterations=3).fit(X_FTM, start)
    np.testing.assert_allclose(model.G_.sum(axis=1), 1)
    np.testing.assert_allclose(np.einsum("fij,fij->f", model.Q_, model.Q_.conj()).real, X_FTM.shape[2])
    free = FastMNMF2(n_iterations=3).fit(X_FTM, start.hold("W"))
    assert not np.allclose(np.einsum("fij,fij->f", free.Q_, free.Q_.conj()).real, X_FTM.shape[2])


@pytest.mark.kernel
def test_images(X_FTM, start):
    model = FastMNMF2(n_iterations=3).fit(X_FTM, start)
    learned = (model.W_, model.H_, model.G_, model.Q_)
    for n, mic in enumerate((0, 2)):
        expected = naive.image(X_FTM, *learned, n, mic)
        np.testing.assert_allclose(model.separate(X_FTM)[..., n], expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(model.images(X_FTM, n, [mic])[..., 0], model.separate(X_FTM)[..., n])
    np.testing.assert_allclose(sum(model.images(X_FTM, n) for n in range(2)), X_FTM, atol=1e-9)


def test_inputs_are_untouched_also_at_integer_scale(X_FTM, start):
    X = X_FTM * 32768
    copies = [a.copy() for a in (X, *parts(start))]
    model = FastMNMF2(n_iterations=3).fit(X, start)
    model.separate(X)
    for before, after in zip(copies, (X, *parts(start))):
        assert before.tobytes() == after.tobytes()
    assert np.isfinite(model.cost_).all()


def test_scale_of_the_mixture_scales_the_images(X_FTM):
    there = FastMNMF2(3, 5).fit(X_FTM)
    here = FastMNMF2(3, 5).fit(1000 * X_FTM)
    np.testing.assert_allclose(here.separate(1000 * X_FTM), 1000 * there.separate(X_FTM), rtol=1e-6)


def test_one_update_of_w_h_and_g_commutes_with_a_permutation_of_mics(X_FTM, start):
    order = [2, 0, 1]
    moved = Prior(W=start.W, H=start.H, G=start.G[:, order], Q=start.Q[:, order][:, :, order], spots=(1, 0))
    there = FastMNMF2(n_iterations=1).fit(X_FTM, start.hold("Q"))
    here = FastMNMF2(n_iterations=1).fit(X_FTM[..., order], moved.hold("Q"))
    np.testing.assert_allclose(here.H_, there.H_, rtol=1e-9)
    np.testing.assert_allclose(here.W_, there.W_, rtol=1e-9)
    np.testing.assert_allclose(here.G_, there.G_[:, order], rtol=1e-9)


def test_a_gain_on_one_mic_scales_only_its_images(X_FTM, start):
    gains = np.array([1.0, 5.0, 1.0])
    there = FastMNMF2(n_iterations=4).fit(X_FTM, start.hold("W"))
    scaled = Prior(W=start.W, H=start.H, G=start.G, Q=start.Q / gains, spots=start.spots).hold("W")
    here = FastMNMF2(n_iterations=4).fit(X_FTM * gains, scaled)
    np.testing.assert_allclose(here.images(X_FTM * gains, 1), gains * there.images(X_FTM, 1), rtol=1e-5, atol=1e-7)


def test_one_and_two_threads_give_the_same_bytes(rng):
    X = rng.standard_normal((200, 70, 3)) + 1j * rng.standard_normal((200, 70, 3))

    def result():
        model = FastMNMF2(8, 3).fit(X)
        return model.separate(X).tobytes() + model.Q_.tobytes() + model.G_.tobytes()

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = result()
    finally:
        set_num_threads(threads)
    assert result() == one


def test_a_fit_needs_less_than_half_of_the_mixture_beside_it(rng):
    X = (rng.standard_normal((300, 400, 4)) + 1j).astype(np.complex64)
    FastMNMF2(2, 1).fit(X[:2])  # compiles
    tracemalloc.start()
    try:
        FastMNMF2(2, 2).fit(X)
        assert tracemalloc.get_traced_memory()[1] < X.nbytes / 2
    finally:
        tracemalloc.stop()


def test_a_mixture_of_another_layout_compiles_nothing_and_fits_the_same(X_FTM):
    there = FastMNMF2(3, 2).fit(X_FTM)
    there.separate(X_FTM)
    functions = kernels._group, wiener._block
    compiled = [len(function.signatures) for function in functions]
    here = FastMNMF2(3, 2).fit(np.asfortranarray(X_FTM))
    assign_spots(here, X_FTM, (2, 0, 1)).separate(X_FTM)  # whose sources are in another order
    assert [len(function.signatures) for function in functions] == compiled
    assert here.separate(np.asfortranarray(X_FTM)).tobytes() == there.separate(X_FTM).tobytes()


def test_seed_decides_the_start(X_FTM):
    a, b, c = (FastMNMF2(3, 2).fit(X_FTM, rng=seed) for seed in (1, 1, 2))
    assert a.W_.tobytes() == b.W_.tobytes()
    assert a.W_.tobytes() != c.W_.tobytes()


def test_silence_in_silence_out():
    X = np.zeros((4, 6, 2), complex)
    model = FastMNMF2(3, 3).fit(X)
    assert not model.separate(X).any()
    assert np.isfinite(model.cost_).all()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("dead", [0, 1])
def test_a_silent_mic_or_a_copied_one_gives_no_nan(X_FTM, dead, dtype):
    X = X_FTM.astype(dtype)
    X[..., dead] = 0 if dead else X[..., 2]
    model = FastMNMF2(3, 10).fit(X)
    assert np.isfinite(model.separate(X)).all()
    assert np.isfinite(model.Q_).all()


def test_complex64_is_close_to_complex128(X_FTM, start):
    single = FastMNMF2(n_iterations=5).fit(X_FTM.astype(np.complex64), start)
    double = FastMNMF2(n_iterations=5).fit(X_FTM, start)
    S = single.separate(X_FTM.astype(np.complex64))
    assert (S.dtype, single.W_.dtype) == (np.complex64, np.float32)
    np.testing.assert_allclose(S, double.separate(X_FTM), atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (1, 5, 2)])
def test_tiny_shapes(rng, shape):
    X = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    assert np.isfinite(FastMNMF2(2, 3).fit(X).separate(X)).all()


def test_rows_follow_the_spots(X_FTM):
    prior = priors.spot(X_FTM, (2, (0, 1)), n_components=3)
    np.testing.assert_array_equal(prior.Q[0], np.eye(3)[[2, 0, 1]])
    assert list(np.argmax(prior.G, axis=1)) == [0, 1]
    np.testing.assert_allclose(prior.G[1, 1], prior.G[1, 2])  # both spots of source 1
    model = FastMNMF2(3, 2).fit(X_FTM, prior)
    assert model.spots_ == ((2,), (0, 1))


def test_dominance_hears_the_louder_spot(rng):
    """Two sources, each playing where the other rests: their starts are apart."""
    power = np.zeros((2, 6, 20))
    power[0, :, :10] = power[1, :, 10:] = 1
    phase = np.exp(2j * np.pi * rng.uniform(size=(2, 6, 20)))
    X = np.einsum("mn,nft->ftm", [[1, 0.3], [0.3, 1]], np.sqrt(power) * phase)
    prior = priors.spot(X, (0, 1), n_components=2, rng=0)
    P = prior.W @ prior.H
    assert P[0, :, :10].mean() > 50 * P[0, :, 10:].mean()
    assert P[1, :, 10:].mean() > 50 * P[1, :, :10].mean()


def test_solo_demixing_undoes_the_mixing(rng):
    A = rng.standard_normal((5, 3, 2)) + 1j * rng.standard_normal((5, 3, 2))
    A /= np.stack([A[:, 0, 0], A[:, 1, 1]], axis=-1)[:, None]
    s = rng.standard_normal((2, 5, 30)) + 1j * rng.standard_normal((2, 5, 30))
    X = np.concatenate([np.einsum("fm,ft->ftm", A[:, :, n], s[n]) for n in range(2)], axis=1)
    Q = priors.solo(X, [slice(0, 30), slice(30, 60)], (0, 1), ridge=1e-9).Q
    np.testing.assert_allclose(Q @ A, np.tile(np.eye(3)[:, :2], (5, 1, 1)), atol=1e-6)
    assert np.linalg.cond(Q).max() < 100


def test_more_sources_than_mics_need_held_bases(rng, X_FTM):
    W = rng.uniform(0.1, 1, (5, 7, 2))
    with pytest.raises(ArgumentError, match="5 sources on 3 microphones need bases"):
        FastMNMF2(n_sources=5).fit(X_FTM)
    model = FastMNMF2(n_iterations=3).fit(X_FTM, Prior(W=W, spots=(0, 1, 2, 0, 1)).hold("W"))
    assert model.separate(X_FTM).shape == (7, 11, 5)


def test_more_mics_than_sources(X_FTM):
    model = FastMNMF2(3, 5).fit(X_FTM, priors.spot(X_FTM, (1,), n_components=3))
    np.testing.assert_allclose(model.images(X_FTM, 0), X_FTM, atol=1e-9)


def test_save_and_load(tmp_path, X_FTM, start):
    model = FastMNMF2(n_iterations=2).fit(X_FTM, start)
    model.save(tmp_path / "model.npz")
    loaded = FastMNMF2.load(tmp_path / "model.npz")
    assert loaded.separate(X_FTM).tobytes() == model.separate(X_FTM).tobytes()
    with pytest.raises(NotFittedError):
        FastMNMF2().save(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(Q=np.zeros((7, 3, 3))), "prior.Q must be invertible"),
        (Prior(Q=np.ones((7, 2, 2))), "prior.Q must have shape"),
        (Prior(G=np.ones((2, 3))), "prior.G must have shape"),
        (Prior(W=-np.ones((3, 7, 2))), "prior.W must not be negative"),
        (Prior().hold("Q"), "the prior holds Q but gives none"),
        (Prior(spots=(0, 1, 3)), "spots name microphone 3"),
    ],
)
def test_priors_that_do_not_fit_are_refused(X_FTM, prior, message):
    if prior.G is not None:
        prior = prior | Prior(W=np.ones((3, 7, 2)))
    with pytest.raises(ArgumentError, match=message):
        FastMNMF2(2).fit(X_FTM, prior)


def test_spots_that_tell_nothing_are_refused(X_FTM):
    with pytest.raises(ArgumentError, match="two sources share a microphone"):
        priors.spot(X_FTM, (1, 1))
    with pytest.raises(ArgumentError, match="spots name microphone 3"):
        priors.spot(X_FTM, (1, 3))


def test_the_cost_is_the_likelihood_of_the_full_rank_model(X_FTM, start):
    """With R_n = Q⁻¹ diag(g_n) Q⁻ᴴ, of Q = I diagonal, both models say the same about the mixture."""
    unit = Prior(W=start.W, H=start.H, G=start.G, Q=np.tile(np.eye(3), (7, 1, 1)), spots=(0, 2))
    for prior in (unit, start):
        model = FastMNMF2(n_iterations=1).fit(X_FTM, prior.hold("W", "H", "G", "Q"))
        A = np.linalg.inv(np.asarray(prior.Q, complex))
        R = np.einsum("fim,nm,fjm->nfij", A, prior.G, A.conj())
        power = np.mean(np.abs(X_FTM) ** 2)
        expected = naive.full_rank_cost(X_FTM / np.sqrt(power), prior.W / power, prior.H, R)
        assert model.cost_[0] == pytest.approx(expected, rel=1e-7)
        image = naive.full_rank_image(X_FTM, prior.W, prior.H, R, 1)
        np.testing.assert_allclose(model.images(X_FTM, 1), image, rtol=1e-6, atol=1e-9)
        if prior is unit:
            assert np.all(R * np.eye(3) == R)


@pytest.mark.parametrize("held", HOLDS)
def test_normalisation_changes_no_cost_and_touches_nothing_held(X_FTM, start, held):
    blocks = [np.array(block, order="C") for block in parts(start)]
    _normalise(*blocks, frozenset(held))
    cost = naive.cost(X_FTM, *blocks, 0.0)
    assert cost == pytest.approx(naive.cost(X_FTM, *parts(start), 0.0), rel=1e-10)
    for name, block, before in zip("WHGQ", blocks, parts(start)):
        assert name not in held or block.tobytes() == before.tobytes()
    if not held:
        assert not np.allclose(blocks[0], start.W)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("scale", [1.0, 32768.0])
@pytest.mark.parametrize("held", HOLDS)
def test_held_blocks_come_out_bit_for_bit(X_FTM, start, held, scale, dtype):
    real = np.float32 if dtype == np.complex64 else np.float64
    given = Prior(W=start.W.astype(real), H=start.H.astype(real), G=start.G.astype(real), Q=start.Q, spots=(0, 2))
    model = FastMNMF2(n_iterations=4).fit((scale * X_FTM).astype(dtype), given.hold(*held))
    for name in held:
        assert getattr(model, f"{name}_").tobytes() == getattr(given, name).tobytes()


def test_a_gain_on_one_mic_scales_only_its_images_when_everything_moves(X_FTM, start):
    gains = np.array([1.0, 1.0, 0.2])
    scaled = Prior(W=start.W, H=start.H, G=start.G, Q=start.Q / gains, spots=start.spots)
    there = FastMNMF2(n_iterations=4).fit(X_FTM, start)
    here = FastMNMF2(n_iterations=4).fit(X_FTM * gains, scaled)
    for n in range(2):
        np.testing.assert_allclose(here.images(X_FTM * gains, n), gains * there.images(X_FTM, n), rtol=1e-5, atol=1e-7)


def ensemble(rng, n_mics):
    """Two sources that take turns, loudest at mics 0 and 1, with a little hiss."""
    power = np.full((2, 12, 40), 1e-3)
    power[0, :6, ::2] = power[1, 6:, 1::2] = 1
    noise = rng.standard_normal((2, 12, 40)) + 1j * rng.standard_normal((2, 12, 40))
    mixing = np.full((n_mics, 2), 0.3)
    mixing[0, 0] = mixing[1, 1] = 1.0
    hiss = 0.01 * (rng.standard_normal((12, 40, n_mics)) + 1j * rng.standard_normal((12, 40, n_mics)))
    images = np.einsum("mn,nft->nftm", mixing, np.sqrt(power) * noise)
    return images, images.sum(axis=0) + hiss


@pytest.mark.parametrize("taught", ["nothing", "solos", "circular"])
def test_two_sources_on_four_mics(rng, taught):
    images, X = ensemble(rng, 4)
    prior = priors.spot(X, (0, 1), n_components=3)
    if taught == "solos":
        solos = np.concatenate(list(images), axis=1)
        Q = priors.solo(solos, [slice(0, 40), slice(40, 80)], (0, 1)).Q
        prior = priors.spot(X, (0, 1), Q, n_components=3)
    if taught == "circular":
        prior = priors.circular(X, 2, 3)
    free = FastMNMF2(n_iterations=20).fit(X, prior.release("Q"))
    assert np.all(np.diff(free.cost_) <= 1e-9 * np.abs(free.cost_[0]))
    model = FastMNMF2(n_iterations=20).fit(X, prior)
    assert (model.G_.shape, model.Q_.shape) == ((2, 4), (12, 4, 4))
    np.testing.assert_allclose(model.images(X, 0) + model.images(X, 1), X, atol=1e-9)
    if taught != "circular":
        S = model.separate(X)
        for n in range(2):
            error = np.sum(np.abs(S[..., n] - images[n, ..., n]) ** 2)
            assert error < 0.3 * np.sum(np.abs(X[..., n] - images[n, ..., n]) ** 2)


@pytest.mark.parametrize("taught", [False, True])
def test_a_source_has_ones_in_g_at_all_its_spots(rng, taught):
    images, X = ensemble(rng, 4)
    spots = (1, (0, 3))
    Q = None
    if taught:
        solos = np.concatenate([images[1], images[0]], axis=1)
        Q = priors.solo(solos, [slice(0, 40), slice(40, 80)], spots).Q
        # Row 2 is mic 2 and row 3 mic 3, without the direct sound of both players.
        assert np.all(np.argmax(np.abs(Q[:, 2:]), axis=2) == [2, 3])
        np.testing.assert_allclose(np.einsum("fij,nftj->nfti", Q[:, 2:], images), 0, atol=1e-6)
    prior = priors.spot(X, spots, Q, n_components=3)
    ones = prior.G / prior.G.max(axis=1, keepdims=True) > 0.5
    assert ones.tolist() == [[True, False, False, False], [False, True, False, True]]
    model = FastMNMF2(n_iterations=3).fit(X, prior)
    reference = model.separate(X)[..., 1]
    np.testing.assert_array_equal(reference, model.images(X, 1, [0])[..., 0])
    # A prior without G starts alike.
    bare = FastMNMF2(3, 3).fit(X, Prior(W=prior.W, H=prior.H, Q=prior.Q, spots=spots).pull("Q"))
    np.testing.assert_allclose(bare.G_, model.G_, rtol=1e-9)


@pytest.mark.parametrize("shape", [(5, 9, 1), (5, 1, 3), (1, 9, 3), (1, 1, 1)])
def test_one_source_one_mic_one_frame(rng, shape):
    X = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    model = FastMNMF2(2, 3).fit(X, priors.spot(X, (0,), n_components=2))
    np.testing.assert_allclose(model.images(X, 0), X, atol=1e-9)  # one source is the mixture
    assert np.isfinite(model.cost_).all()


def test_silent_frames_and_a_silent_source_stay_silent(rng):
    _, X = ensemble(rng, 3)
    X[:, 10:20] = 0
    X[..., 2] = 0
    model = FastMNMF2(n_iterations=5).fit(X, priors.spot(X, (0, 1, 2), n_components=3))
    S = model.separate(X)
    assert np.isfinite(S).all()
    assert not S[:, 10:20].any()
    assert not S[..., 2].any()


@pytest.mark.parametrize("start_of", [priors.circular, priors.random, priors.spot])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_mic_that_is_there_twice_harms_no_start(rng, start_of, dtype):
    _, X = ensemble(rng, 3)
    X[..., 2] = X[..., 0]
    X = X.astype(dtype)
    sources = (0, 1, 2) if start_of is priors.spot else 3
    model = FastMNMF2(n_iterations=10).fit(X, start_of(X, sources, n_components=3))
    for block in (model.W_, model.H_, model.G_, model.Q_, model.separate(X), model.cost_):
        assert np.isfinite(block).all()


@pytest.mark.parametrize("change", [{"n_components": 5}, {"n_iterations": 7}, {"n_sources": 2}])
def test_every_option_changes_the_fit(X_FTM, change):
    there = FastMNMF2(**{"n_components": 3, "n_iterations": 4}).fit(X_FTM).separate(X_FTM)
    here = FastMNMF2(**{"n_components": 3, "n_iterations": 4, **change}).fit(X_FTM).separate(X_FTM)
    assert here.shape != there.shape or not np.allclose(here, there)


@pytest.mark.parametrize("name", "WHGQ")
def test_one_iteration_of_the_fit_is_the_equation_of_what_is_free(X_FTM, start, name):
    """With everything else held; the cost tells scales apart, the images all else."""
    power = np.mean(np.abs(X_FTM) ** 2)
    data = X_FTM / np.sqrt(power)
    blocks = {"W": start.W / power, "H": start.H, "G": start.G, "Q": start.Q}
    updated = {**blocks, name: BLOCKS[name](data, *blocks.values(), FLOOR)}
    model = FastMNMF2(n_iterations=1).fit(X_FTM, start.hold(*set("WHGQ") - {name}))
    assert model.cost_[0] == pytest.approx(naive.cost(data, *updated.values(), FLOOR), rel=1e-7)
    updated["W"] = updated["W"] * power
    image = naive.image(X_FTM, *updated.values(), 1, 2)
    np.testing.assert_allclose(model.images(X_FTM, 1, [2])[..., 0], image, rtol=1e-6, atol=1e-9)
