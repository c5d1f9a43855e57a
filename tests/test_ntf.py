"""NTFPanning and its kernels."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile as sf
from numba import get_num_threads, set_num_threads

from mnmf import FastMNMF2, NTFPanning, Prior, Session, Take, metrics, priors
from mnmf.errors import ArgumentError, NotFittedError, SessionError
from mnmf.kernels import ntf as kernels
from mnmf.methods import METHODS, Evidence
from mnmf.models import assign_spots
from mnmf.models._bands import bands
from mnmf.priors._nmf import nmf
from mnmf.separation import separate
from tests.reference import ntf as naive
from tests.test_cli import RATE, ensemble

BETAS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
FLOOR = 1e-6
HOLDS = [(), ("G",), ("W",), ("W", "G"), ("H",), ("H", "G"), ("W", "H"), ("W", "H", "G")]


def problem(rng, F=70, T=130, M=3, N=2, K=4):
    """More than one tile of frequencies and of frames, with remainders."""
    V = rng.uniform(0.01, 2, (F, T, M)) ** 2
    return V, rng.uniform(0.1, 1, (N, F, K)), rng.uniform(0.1, 1, (N, K, T)), rng.uniform(0.05, 1, (N, M))


def update(block, V_FTM, W, H, G, beta):
    """Call a kernel in the layout of the reference; return what it updated, and the cost before."""
    V_MFT = np.ascontiguousarray(np.moveaxis(V_FTM, 2, 0))
    H_NTK = np.ascontiguousarray(H.swapaxes(1, 2))
    kernel = {"W": kernels.update_w, "H": kernels.update_h, "G": kernels.update_g}[block]
    new, cost = kernel(V_MFT, W, H_NTK, G, beta, FLOOR)
    return new.swapaxes(1, 2) if block == "H" else new, cost + kernels.constant_of(V_MFT, beta, FLOOR)


@pytest.mark.kernel
@pytest.mark.parametrize("beta", [*BETAS, 0.7, 1.2, 2.5])
@pytest.mark.parametrize("block", ["W", "H", "G"])
def test_each_update_is_the_papers_and_lowers_the_cost(rng, block, beta):
    V, W, H, G = problem(rng)
    values = {"W": W, "H": H, "G": G}
    before = naive.divergence(V, naive.model(*values.values(), FLOOR), beta)
    for _ in range(3):
        expected = {"W": naive.update_w, "H": naive.update_h, "G": naive.update_g}[block](
            V, *values.values(), beta, FLOOR
        )
        values[block], cost = update(block, V, *values.values(), beta)
        np.testing.assert_allclose(values[block], expected, rtol=1e-9)
        assert cost == pytest.approx(before, rel=1e-9)
        after = naive.divergence(V, naive.model(*values.values(), FLOOR), beta)
        assert after < before
        before = after


@pytest.mark.kernel
def test_what_no_microphone_hears_stays(rng):
    V, W, H, G = problem(rng, F=3, T=5)
    G[1] = 0.0
    for block, before in (("W", W), ("H", H)):
        np.testing.assert_array_equal(update(block, V, W, H, G, 1.5)[0][1], before[1])


def start(rng, X_FTM, N=2, K=4):
    F, T, M = X_FTM.shape
    return Prior(
        W=rng.uniform(0.1, 1, (N, F, K)),
        H=rng.uniform(0.1, 1, (N, K, T)),
        G=rng.uniform(0.1, 1, (N, M)),
        spots=(0, 2)[:N],
    )


@pytest.mark.parametrize("held", HOLDS)
@pytest.mark.parametrize("beta", BETAS)
def test_cost_falls_and_held_blocks_stay_to_the_bit(rng, X_FTM, held, beta):
    prior = start(rng, X_FTM).hold(*held)
    model = NTFPanning(4, 8, beta=beta).fit(X_FTM, prior)
    assert model.cost_.shape == (8,)
    assert np.all(np.diff(model.cost_) <= 1e-12 * np.abs(model.cost_[0]))
    for name in "WHG":
        same = getattr(model, f"{name}_").tobytes() == getattr(prior, name).tobytes()
        assert same == (name in held)
    assert not held or model.cost_[-1] < model.cost_[0] or held == ("W", "H", "G")


@pytest.mark.parametrize("exponent", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("beta", [0.0, 1.0, 1.5])
def test_cost_is_that_of_the_scaled_data(rng, X_FTM, beta, exponent):
    model = NTFPanning(4, 3, beta=beta, exponent=exponent).fit(X_FTM, start(rng, X_FTM))
    level = np.mean(np.abs(X_FTM) ** 2) ** (exponent / 2)
    Y = naive.model(model.W_ / level, model.H_, model.G_, 1e-10 ** (exponent / 2))
    V = np.abs(X_FTM) ** exponent / level
    assert model.cost_[-1] == pytest.approx(naive.divergence(V, Y, beta), rel=1e-9)


def test_normalising_leaves_sums_of_one(rng, X_FTM):
    model = NTFPanning(4, 3).fit(X_FTM, start(rng, X_FTM))
    level = np.sqrt(np.mean(np.abs(X_FTM) ** 2))
    np.testing.assert_allclose(model.G_.sum(axis=1), 1)
    np.testing.assert_allclose(model.W_.sum(axis=1), level)


def test_powers_under_itakura_saito_are_fastmnmf2_with_q_held(rng, X_FTM):
    prior = start(rng, X_FTM)
    F, _, M = X_FTM.shape
    fast = prior | Prior(Q=np.tile(np.eye(M, dtype=complex), (F, 1, 1)))
    other = FastMNMF2(4, 6).fit(X_FTM, fast.hold("Q"))
    model = NTFPanning(4, 6, beta=0.0, exponent=2.0).fit(X_FTM, prior)
    for name in "WHG":
        np.testing.assert_allclose(getattr(model, f"{name}_"), getattr(other, f"{name}_"), rtol=1e-9)
    V = np.abs(X_FTM) ** 2 / np.mean(np.abs(X_FTM) ** 2)
    np.testing.assert_allclose(model.cost_ + np.sum(np.log(V) + 1), other.cost_, rtol=1e-9)
    for n in range(2):
        np.testing.assert_allclose(model.images(X_FTM, n), other.images(X_FTM, n), rtol=1e-7)


@pytest.mark.parametrize(("beta", "exponent"), [(1.5, 1.0), (0.0, 2.0), (1.0, 1.0)])
def test_a_louder_mixture_gives_louder_images(rng, X_FTM, beta, exponent):
    prior = start(rng, X_FTM)
    model = NTFPanning(4, 5, beta=beta, exponent=exponent)
    quiet = model.fit(X_FTM, prior).separate(X_FTM)
    louder = Prior(W=prior.W * 1000**exponent, H=prior.H, G=prior.G, spots=prior.spots)
    loud = model.fit(1000 * X_FTM, louder).separate(1000 * X_FTM)
    np.testing.assert_allclose(loud, 1000 * quiet, rtol=1e-6)
    # a random start has no scale
    quiet, loud = (model.fit(scale * X_FTM).separate(scale * X_FTM) for scale in (1, 1000))
    np.testing.assert_allclose(loud, 1000 * quiet, rtol=1e-6)


def test_sources_and_mics_may_come_in_any_order(rng, X_FTM):
    prior = start(rng, X_FTM)
    there = NTFPanning(4, 5).fit(X_FTM, prior)
    order = [2, 0, 1]
    moved = Prior(W=prior.W[::-1], H=prior.H[::-1], G=prior.G[::-1][:, order], spots=(0, 1))
    here = NTFPanning(4, 5).fit(X_FTM[..., order], moved)
    np.testing.assert_allclose(here.H_, there.H_[::-1], rtol=1e-9)
    np.testing.assert_allclose(here.G_, there.G_[::-1][:, order], rtol=1e-9)
    np.testing.assert_allclose(here.separate(X_FTM[..., order]), there.separate(X_FTM)[..., ::-1], rtol=1e-7)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 1.4])
def test_images_are_squared_shares_and_sum_to_the_mixture(rng, exponent):
    X = rng.standard_normal((5, 300, 3)) + 1j * rng.standard_normal((5, 300, 3))
    model = NTFPanning(4, 3, exponent=exponent).fit(X, start(rng, X))
    images = [model.images(X, n) for n in range(2)]
    np.testing.assert_allclose(sum(images), X, atol=1e-12)
    for n in range(2):
        for m in range(3):
            mask = naive.mask(model.W_, model.H_, model.G_, exponent, n, m)
            np.testing.assert_allclose(images[n][..., m], mask * X[..., m], rtol=1e-9)
    S_FTN = model.separate(X)
    np.testing.assert_array_equal(S_FTN[..., 1], images[1][..., 2])
    np.testing.assert_array_equal(model.images(X, 1, [2])[..., 0], images[1][..., 2])


def test_bands_pool_data_and_bases_and_masks_are_those_of_the_band(rng):
    X = rng.standard_normal((60, 9, 2)) + 1j * rng.standard_normal((60, 9, 2))
    edges = bands(60, 12, 1)
    assert 20 < len(edges) - 1 < 40
    prior = start(rng, X, N=2)
    model = NTFPanning(4, 4, bands_per_octave=12).fit(X, Prior(W=prior.W, H=prior.H, G=prior.G))
    pooled = np.stack([naive.pooled(X[..., m], edges) for m in range(2)], axis=2)
    W = np.stack([naive.pooled(W_FK, edges) for W_FK in prior.W])
    other = NTFPanning(4, 4).fit(pooled + 0j, Prior(W=W, H=prior.H, G=prior.G))
    for name in "WHG":
        np.testing.assert_allclose(getattr(model, f"{name}_"), getattr(other, f"{name}_"), rtol=1e-9)
    np.testing.assert_allclose(model.cost_, other.cost_, rtol=1e-9)
    image = model.images(X, 1)
    for band, (first, last) in enumerate(pairwise(edges)):
        mask = naive.mask(model.W_, model.H_, model.G_, 1, 1, 0)[band]
        np.testing.assert_allclose(image[first:last, :, 0], mask * X[first:last, :, 0], rtol=1e-9)
    np.testing.assert_allclose(image + model.images(X, 0), X, atol=1e-12)
    again = NTFPanning(4, 4, bands_per_octave=12).fit(X, Prior(W=W, H=prior.H, G=prior.G).hold("W"))
    np.testing.assert_array_equal(again.W_, W)  # bases of bands are taken as they are


def test_panning_and_sources_are_found_again(rng):
    """Two sources that never share a frequency, panned: with the panning of their solos each is recovered."""
    S = rng.standard_normal((2, 8, 40)) + 1j * rng.standard_normal((2, 8, 40))
    S[0, :4], S[1, 4:] = 0, 0
    gains = np.array([[1.0, 0.4], [0.3, 1.0]])
    solos = np.concatenate([s[..., None] * g for s, g in zip(S, gains)], axis=1)
    panning = priors.solo_panning(solos, [slice(0, 40), slice(40, 80)], [0, 1])
    np.testing.assert_allclose(panning.G, gains)
    X = np.einsum("nft,nm->ftm", S, gains)
    model = NTFPanning(8, 200).fit(X, panning.hold("G"))
    np.testing.assert_allclose(model.images(X, 0)[..., 1], 0.4 * S[0], atol=0.05)
    blind = assign_spots(NTFPanning(8, 200).fit(X, rng=1), X, [0, 1])
    np.testing.assert_allclose(blind.G_, gains / gains.sum(axis=1, keepdims=True), atol=0.05)
    np.testing.assert_array_equal(blind.separate(X)[..., 1], blind.images(X, 1, [1])[..., 0])


def test_one_and_two_threads_and_two_runs_give_the_same_bytes(rng):
    X = rng.standard_normal((140, 270, 3)) + 1j * rng.standard_normal((140, 270, 3))

    def result():
        model = NTFPanning(5, 3).fit(X)
        return model.separate(X).tobytes() + model.G_.tobytes() + model.cost_.tobytes()

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = result()
    finally:
        set_num_threads(threads)
    assert result() == one


def test_seed_decides_the_start_and_inputs_are_untouched(rng, X_FTM):
    a, b, c = (NTFPanning(4, 2).fit(X_FTM, rng=seed) for seed in (1, 1, 2))
    for name in "WHG":
        assert getattr(a, f"{name}_").tobytes() == getattr(b, f"{name}_").tobytes()
        assert getattr(a, f"{name}_").tobytes() != getattr(c, f"{name}_").tobytes()
    X, prior = X_FTM * 32768, start(rng, X_FTM)
    copies = [value.copy() for value in (X, prior.W, prior.H, prior.G)]
    NTFPanning(4, 2).fit(X, prior).separate(X)
    for before, after in zip(copies, (X, prior.W, prior.H, prior.G)):
        assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.5, 3.0])
def test_complex64_is_close_to_complex128(rng, X_FTM, beta):
    prior = start(rng, X_FTM)
    single = NTFPanning(4, 5, beta=beta).fit(X_FTM.astype(np.complex64), prior)
    S = single.separate(X_FTM.astype(np.complex64))
    assert S.dtype == np.complex64
    assert single.W_.dtype == single.H_.dtype == single.G_.dtype == np.float32
    np.testing.assert_allclose(S, NTFPanning(4, 5, beta=beta).fit(X_FTM, prior).separate(X_FTM), atol=5e-5)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("shape", [(4, 6, 2), (1, 1, 1), (3, 1, 2), (1, 5, 2), (6, 7, 1)])
def test_silence_silent_mics_and_tiny_shapes(rng, shape, beta, dtype):
    silent = NTFPanning(3, 3, beta=beta).fit(np.zeros(shape, dtype))
    assert not silent.separate(np.zeros(shape, dtype)).any()
    assert np.isfinite(silent.cost_).all()
    X = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    X[..., -1] = 0
    for bands_per_octave in (None, 3):
        model = NTFPanning(3, 30, beta=beta, bands_per_octave=bands_per_octave).fit(X)
        assert np.isfinite(model.cost_).all()
        assert np.isfinite(model.W_).all()
        assert np.isfinite(model.separate(X)).all()
        assert not model.separate(X)[..., -1].any()


def test_more_sources_than_mics_need_held_bases(rng, X_FTM):
    with pytest.raises(ArgumentError, match="4 sources on 3 microphones need bases"):
        NTFPanning(n_sources=4).fit(X_FTM)
    prior = Prior(W=rng.uniform(0.1, 1, (4, 7, 2)), spots=(0, 1, 2, 0)).hold("W")
    model = NTFPanning(n_iterations=2).fit(X_FTM, prior)
    np.testing.assert_allclose(sum(model.images(X_FTM, n) for n in range(4)), X_FTM, atol=1e-12)


def test_every_hyper_parameter_changes_something(X_FTM):
    plain = NTFPanning(4, 3).fit(X_FTM).separate(X_FTM)
    for options in ({"beta": 1.0}, {"exponent": 2.0}, {"bands_per_octave": 3}):
        assert NTFPanning(4, 3, **options).fit(X_FTM).separate(X_FTM).tobytes() != plain.tobytes()
    assert NTFPanning(4, 2, n_sources=2).fit(X_FTM).W_.shape == (2, 7, 4)


def test_callback_sees_the_cost_and_can_stop(X_FTM):
    seen = []
    model = NTFPanning(2, 10).fit(X_FTM, callback=lambda done, cost: seen.append((done, cost)) or done == 4)
    assert [done for done, _ in seen] == [1, 2, 3, 4]
    np.testing.assert_array_equal([cost for _, cost in seen[1:]], model.cost_[:-1])


@pytest.mark.parametrize("bands_per_octave", [None, 3])
def test_save_and_load(tmp_path, rng, X_FTM, bands_per_octave):
    model = NTFPanning(4, 2, beta=0.5, exponent=1.5, bands_per_octave=bands_per_octave)
    model.fit(X_FTM, start(rng, X_FTM)).save(tmp_path / "model.npz")
    loaded = NTFPanning.load(tmp_path / "model.npz")
    assert vars(loaded).keys() == vars(model).keys()
    assert (loaded.beta, loaded.exponent, loaded.bands_per_octave) == (0.5, 1.5, bands_per_octave)
    assert loaded.separate(X_FTM).tobytes() == model.separate(X_FTM).tobytes()
    with pytest.raises(ArgumentError, match="does not hold a FastMNMF2"):
        FastMNMF2.load(tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(W=np.ones((3, 6, 2))), r"prior.W must have shape \(N, F, K\)"),
        (Prior(G=np.ones((3, 2))), "prior.G must have shape"),
        (Prior(G=-np.ones((3, 3))), "prior.G must not be negative"),
        (Prior().hold("G"), "the prior holds G but gives none"),
        (Prior().hold("R"), "this model has no R to hold; it has W, H, G"),
    ],
)
def test_priors_that_do_not_fit_are_refused(X_FTM, prior, message):
    with pytest.raises(ArgumentError, match=message):
        NTFPanning(2).fit(X_FTM, prior)


def test_bad_options_and_results_before_fit_are_refused(X_FTM):
    for options in ({"beta": -0.1}, {"exponent": 0.0}, {"bands_per_octave": 0}, {"n_iterations": 0}):
        with pytest.raises(ArgumentError, match=next(iter(options))):
            NTFPanning(**options).fit(X_FTM)
    for call in (lambda: NTFPanning().separate(X_FTM), lambda: NTFPanning().save("never.npz")):
        with pytest.raises(NotFittedError, match="call fit first"):
            call()
    model = NTFPanning(2, 1).fit(X_FTM)
    with pytest.raises(ArgumentError, match=r"X_FTM must have shape \(F, T, M\) = \(7, any, 3\)"):
        model.separate(X_FTM[:5])
    with pytest.raises(ArgumentError, match="mics must be from 0 to 2"):
        model.images(X_FTM, 0, [3])


def test_start_from_what_each_spot_hears_best_may_be_of_magnitudes(X_FTM):
    prior = priors.spot(X_FTM, (2, 0), n_components=3, n_iterations=4, exponent=1.0, beta=1.0, rng=5)
    P = np.abs(X_FTM) ** 2
    dominance = np.abs(X_FTM[..., 2]) * np.sqrt(P[..., 2] / (P[..., 2] + P[..., 0]))
    W, H = nmf(dominance, 3, beta=1.0, n_iterations=4, rng=np.random.default_rng(5))
    np.testing.assert_allclose(prior.W[0], W, rtol=1e-6)
    np.testing.assert_allclose(prior.H[0], H, rtol=1e-6)
    assert prior.G is prior.Q is None
    assert not prior.pulled
    powers = priors.spot(X_FTM, (2, 0), n_components=3, n_iterations=4, rng=5)
    assert powers.pulled == {"Q"}
    assert powers.W.tobytes() != prior.W.tobytes()
    assert priors.spot(X_FTM, (2, 0), n_components=3, n_iterations=4, beta=1.0, rng=5).W.tobytes() != powers.W.tobytes()
    for options in ({"exponent": 0.0}, {"beta": -1.0}):
        with pytest.raises(ArgumentError, match=next(iter(options))):
            priors.spot(X_FTM, (2, 0), n_components=3, **options)


@pytest.fixture
def evidence(rng, X_FTM):
    solos = rng.standard_normal((7, 12, 3)) + 1j * rng.standard_normal((7, 12, 3))
    return Evidence(X_FTM, [(0,), (1,), (2,)], (solos, [slice(0, 4), slice(4, 8), slice(8, 12)]))


def test_the_methods_start_as_they_say(evidence):
    panned = METHODS["ntf-panning"].prior(evidence, 3, np.random.default_rng(0))
    assert panned.held == {"G"}
    np.testing.assert_array_equal(panned.G, priors.solo_panning(*evidence.solo, evidence.spots).G)
    spot = priors.spot(evidence.X_FTM, evidence.spots, None, 3, exponent=1.0, beta=1.0, rng=0)
    np.testing.assert_array_equal(panned.W, spot.W)
    np.testing.assert_array_equal(panned.H, spot.H)
    shared = Evidence(evidence.X_FTM, [(0,), (0,), (2,)], evidence.solo)
    assert METHODS["ntf-panning"].prior(shared, 3, np.random.default_rng(0)).held == {"G", "W"}
    blind = METHODS["ntf-panning-blind"].prior(evidence, 3, np.random.default_rng(0))
    assert blind.held == {"W"}
    assert blind.G is blind.H is None
    assert METHODS["ntf-panning"].needs == "a solo or claps of every source; takes a dictionary"
    assert METHODS["ntf-panning-blind"].needs == "a solo of every source, or a dictionary"
    take = Take(np.ones((9, 3)), RATE, (0, 0, 2), "abc", solos=[[np.ones((9, 3))]] * 3)
    METHODS["ntf-panning"].check(take)
    with pytest.raises(SessionError, match="two sources share a mic, but ntf-panning-blind needs one for each"):
        METHODS["ntf-panning-blind"].check(take)
    for name in ("ntf-panning", "ntf-panning-blind"):
        with pytest.raises(SessionError, match="needs a solo of every source"):
            METHODS[name].prior(Evidence(evidence.X_FTM, evidence.spots, None), 3, np.random.default_rng(0))


def test_blind_panning_hears_the_solos_and_finds_the_spots(tmp_path):
    """Bases that belong to other players' spots come back in the order of the spots."""
    take, solos, _ = ensemble(seconds=2)
    sf.write(tmp_path / "take.wav", take, RATE, "FLOAT")
    sf.write(tmp_path / "solos.wav", solos, RATE, "FLOAT")
    (tmp_path / "solos.txt").write_text("".join(f"{2 * n}\t{2 * n + 2}\t{name}\n" for n, name in enumerate("abc")))
    session = Session.open(tmp_path / "take.wav", solos=tmp_path / "solos.txt", solo_take=tmp_path / "solos.wav")
    seen = []

    def prior(evidence, n_components, rng):
        seen.append(METHODS["ntf-panning-blind"].prior(evidence, n_components, rng))
        return Prior(W=seen[0].W[[1, 2, 0]], spots=seen[0].spots).hold("W")

    misled = replace(METHODS["ntf-panning-blind"], prior=prior)
    result = separate(session, method=misled, components=12)
    np.testing.assert_array_equal(result.model.W_.argmax(axis=1), seen[0].W.astype(np.float32).argmax(axis=1))


def test_the_methods_separate_a_small_take(tmp_path):
    take, solos, truth = ensemble(seconds=2)
    sf.write(tmp_path / "take.wav", take, RATE, "FLOAT")
    sf.write(tmp_path / "solos.wav", solos, RATE, "FLOAT")
    (tmp_path / "solos.txt").write_text("".join(f"{2 * n}\t{2 * n + 2}\t{name}\n" for n, name in enumerate("abc")))
    session = Session.open(tmp_path / "take.wav", solos=tmp_path / "solos.txt", solo_take=tmp_path / "solos.wav")
    before = metrics.bss_eval(truth, take[:, :3]).sdr.mean()
    gains = {
        name: metrics.bss_eval(truth, separate(session, method=name, components=12).stems_LN).sdr.mean() - before
        for name in ("ntf-panning", "ntf-panning-blind")
    }
    assert gains["ntf-panning"] > 5
    assert gains["ntf-panning"] > gains["ntf-panning-blind"]
