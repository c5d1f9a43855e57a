"""The blind starts of the literature, and finding whose is whose afterwards."""

import numpy as np
import pytest

from mnmf import KAMIR, FastMNMF2, FullRankMNMF, NTFPanning, Prior, TimeDomain, priors
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.models import assign_spots


@pytest.mark.parametrize(("N", "M"), [(3, 3), (2, 5), (1, 3), (1, 1)])
def test_circular_start_as_published(rng, N, M):
    X = rng.standard_normal((4, 9, M)) + 1j * rng.standard_normal((4, 9, M))
    prior = priors.circular(X, N, 6)
    np.testing.assert_array_equal(prior.Q, np.tile(np.eye(M), (4, 1, 1)))
    for n in range(N):
        for m in range(M):
            own = m % N == n
            assert prior.G[n, m] / prior.G[n, n] == pytest.approx(1.0 if own else 0.01)
    np.testing.assert_allclose(prior.G.sum(axis=1), 1)
    assert (prior.W.shape, prior.H.shape, prior.spots) == ((N, 4, 6), (N, 6, 9), None)


@pytest.mark.parametrize("start", [priors.circular, priors.random])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 32768.0])
def test_random_powers_are_those_of_the_mixture(rng, start, scale):
    X = scale * (rng.standard_normal((30, 90, 3)) + 1j * rng.standard_normal((30, 90, 3)))
    prior = start(X, 2, 8)
    expected = np.einsum("nfk,nkt,nm->", prior.W, prior.H, prior.G)
    assert expected == pytest.approx(np.sum(np.abs(X) ** 2), rel=0.1)
    assert min(prior.W.min(), prior.H.min(), prior.G.min()) > 0


def test_every_option_changes_the_start(X_FTM):
    base = priors.circular(X_FTM, 2)
    assert np.array_equal(priors.circular(X_FTM, 2).W, base.W)
    assert not np.array_equal(priors.circular(X_FTM, 2, rng=1).W, base.W)
    assert not np.array_equal(priors.circular(X_FTM, 2, leak=0.1).G, base.G)
    assert priors.circular(X_FTM, 2, 5).H.shape == (2, 5, 11)
    assert priors.circular(X_FTM, 3).W.shape[0] == 3
    drawn = priors.random(X_FTM, 2)
    np.testing.assert_allclose(drawn.G.sum(axis=1), 1)
    assert not np.array_equal(priors.random(X_FTM, 2, rng=1).G, drawn.G)
    assert np.ptp(drawn.G) > 0.01
    assert np.isfinite(priors.circular(np.zeros_like(X_FTM), 2).W).all()


def test_starts_join_other_priors(X_FTM, rng):
    W = rng.uniform(0.1, 1, (2, 7, 16))
    joined = priors.circular(X_FTM, 2) | Prior(W=W, spots=(2, 0)).hold("W")
    model = FastMNMF2(n_iterations=2).fit(X_FTM, joined)
    np.testing.assert_array_equal(model.W_, W)
    assert model.spots_ == ((2,), (0,))
    with pytest.raises(ArgumentError, match="5 sources on 3 microphones need bases"):
        FastMNMF2().fit(X_FTM, priors.circular(X_FTM, 5) | Prior(spots=(0, 1, 2, 0, 1)))
    many = priors.circular(X_FTM, 5, leak=0.0) | Prior(W=rng.uniform(0.1, 1, (5, 7, 16)), spots=(0, 1, 2, 0, 1)).hold(
        "W"
    )
    assert np.isfinite(FastMNMF2(n_iterations=2).fit(X_FTM, many).separate(X_FTM)).all()


@pytest.mark.parametrize("start", [priors.circular, priors.random])
def test_three_sources_on_two_mics(tmp_path, rng, start):
    """The textbook case: no spots, but an image of each source at each microphone."""
    X = rng.standard_normal((24, 90, 2)) + 1j * rng.standard_normal((24, 90, 2))
    prior = start(X, 3, 4)
    model = FastMNMF2(4, 20).fit(X, prior)
    assert model.spots_ is None
    assert np.all(np.diff(model.cost_) <= 1e-9 * np.abs(model.cost_[0]))
    found = model.images(X)
    np.testing.assert_allclose(found.sum(axis=-1), X, atol=1e-9)
    assert np.all(np.sum(np.abs(found) ** 2, axis=(0, 1, 2)) > 1e-3 * np.sum(np.abs(X) ** 2))
    with pytest.raises(ArgumentError, match=r"without spots, .* take images\(X_FTM\)"):
        model.separate(X)
    with pytest.raises(ArgumentError, match="3 sources on 2 microphones cannot each have a spot"):
        assign_spots(model, X, (0, 1, 0))
    model.save(tmp_path / "model.npz")
    loaded = FastMNMF2.load(tmp_path / "model.npz")
    assert loaded.spots_ is None
    assert loaded.images(X).tobytes() == found.tobytes()
    full = FullRankMNMF(4, 2, divergence="log-det").fit(X, model.as_full_rank())
    assert full.spots_ is None
    np.testing.assert_allclose(full.images(X).sum(axis=-1), X, atol=1e-9)
    assert model.images(X[:, :40]).shape == (24, 40, 2, 3)


@pytest.mark.parametrize("model", [NTFPanning(2, 2), FullRankMNMF(2, 2), KAMIR(2)])
def test_more_sources_than_mics_without_spots_in_other_models(rng, X_FTM, model):
    G = rng.uniform(0.1, 1, (4, 3))
    R = G[:, None, :, None] * np.eye(3) * np.ones((7, 1, 1))
    start = Prior(R=R) if isinstance(model, FullRankMNMF) else Prior(G=G)
    if isinstance(model, KAMIR):
        with pytest.raises(ArgumentError, match="4 sources on 3 microphones cannot be unmixed"):
            model.fit(X_FTM, start)
        return
    assert model.fit(X_FTM, start).spots_ is None
    np.testing.assert_allclose(model.images(X_FTM).sum(axis=-1), X_FTM, atol=1e-9)
    with pytest.raises(ArgumentError, match="4 sources on 3 microphones need bases"):
        model.fit(X_FTM, Prior(H=np.ones((4, 2, 11))))


def test_every_model_is_assigned_with_all_it_learned(rng):
    X, _ = mixture(rng)
    for model in (FastMNMF2(3, 2), FullRankMNMF(3, 2), NTFPanning(3, 2), KAMIR(2)):
        model.fit(X, Prior(spots=(1, 2, 0)))
        before = model.images(X)
        assigned = assign_spots(model, X, (0, 1, 2))
        after = assigned.images(X)
        order = [next(n for n in range(3) if np.allclose(after[..., n], before[..., r])) for r in range(3)]
        assert sorted(order) == [0, 1, 2]
        assert assigned.spots_ == ((0,), (1,), (2,))
    x = X.real.reshape(1, -1, 4)
    model = TimeDomain(5).fit(x, Prior(spots=(1, 2, 0)))
    assigned = assign_spots(model, x, (0, 1, 2))
    np.testing.assert_allclose(assigned.images(x)[..., [1, 2, 0]], model.images(x), atol=1e-12)


def mixture(rng):
    """Three sources that take turns, each loudest at its own mic; and a fourth mic."""
    power = np.full((3, 20, 60), 1e-3)
    for n in range(3):
        power[n, 6 * n : 6 * n + 8, n::3] += 1
    noise = rng.standard_normal((3, 20, 60)) + 1j * rng.standard_normal((3, 20, 60))
    mixing = np.full((4, 3), 0.3)
    mixing[range(3), range(3)] = 1.0
    hiss = 0.01 * (rng.standard_normal((20, 60, 4)) + 1j * rng.standard_normal((20, 60, 4)))
    return np.einsum("mn,nft->ftm", mixing, np.sqrt(power) * noise) + hiss, np.sqrt(power) * noise


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_sources_are_given_to_the_spots_they_are_loudest_at(rng, order):
    """A start whose sources are at other mics than the spots say: afterwards source i is who plays at spot i."""
    X, dry = mixture(rng)
    model = FastMNMF2(n_iterations=30).fit(X, priors.spot(X, order, n_components=3))
    assigned = assign_spots(model, X, (0, 1, 2))
    assert assigned.spots_ == ((0,), (1,), (2,))
    S = assigned.separate(X)
    for n in range(3):
        overlap = [
            abs(np.vdot(S[..., n], dry[r])) / np.linalg.norm(S[..., n]) / np.linalg.norm(dry[r]) for r in range(3)
        ]
        assert np.argmax(overlap) == n
        np.testing.assert_allclose(assigned.images(X, n), model.images(X, order.index(n)), atol=1e-9)
    # Row n of Q still belongs to source n, and the model was copied.
    assert list(np.argmax(assigned.G_[:, :3], axis=1)) == [0, 1, 2]
    assert model.spots_ == tuple((m,) for m in order)
    np.testing.assert_allclose(sum(assigned.images(X, n) for n in range(3)), X, atol=1e-9)


def test_the_best_of_all_pairings_not_the_best_of_each(rng):
    """Both spots hear source 0 best, but the second hears it only a little better than source 1."""
    F, T = 3, 400
    dry = rng.standard_normal((2, F, T)) + 1j * rng.standard_normal((2, F, T))
    half = np.zeros((2, F, T))
    half[0, :, : T // 2] = half[1, :, T // 2 :] = 1
    X = np.einsum("mn,nft->ftm", [[1.0, 0.1], [1.0, 0.9]], half * dry)
    H = np.stack([half[n, :1] for n in range(2)])
    prior = Prior(W=np.ones((2, F, 1)), H=H + 1e-9, G=np.ones((2, 2)) / 2, Q=np.tile(np.eye(2), (F, 1, 1)))
    model = FastMNMF2(n_iterations=1).fit(X, prior.hold("W", "H", "G", "Q"))
    shares = [np.sum(np.abs(model.images(X, n)) ** 2, axis=(0, 1)) for n in range(2)]
    assert np.argmax(shares, axis=0).tolist() == [0, 0]
    assigned = assign_spots(model, X, (0, 1))
    np.testing.assert_array_equal(assigned.H_, model.H_)
    np.testing.assert_array_equal(assign_spots(model, X, (1, 0)).H_, model.H_[::-1])
    np.testing.assert_array_equal(assign_spots(model, X, (1, 0)).Q_, model.Q_[:, ::-1])


@pytest.mark.parametrize("gains_M", [[1, 1], [10, 1]])
def test_a_hot_microphone_does_not_decide_the_assignment(rng, gains_M):
    """Both hear the first source most, but the second one gets more of its energy at the first microphone."""
    X = (rng.standard_normal((5, 60, 2)) + 1j * rng.standard_normal((5, 60, 2))) * gains_M
    W = np.tile(np.eye(2)[:, None], (1, 5, 1))
    prior = Prior(W=W, H=np.ones((2, 2, 60)), G=np.array([[3, 9], [1, 1]]), Q=np.tile(np.eye(2), (5, 1, 1)))
    model = FastMNMF2(n_iterations=1).fit(X, prior.hold("W", "H", "G", "Q"))
    np.testing.assert_array_equal(assign_spots(model, X, (0, 1)).W_, model.W_[::-1])


def test_assignment_of_silence_and_of_the_full_rank_model(X_FTM, start):
    silent = assign_spots(FastMNMF2(2, 2).fit(0 * X_FTM), 0 * X_FTM, (2, 0, 1))
    assert not silent.separate(0 * X_FTM).any()
    model = FullRankMNMF(n_iterations=2).fit(X_FTM, start)
    swapped = assign_spots(model, X_FTM, (2, 0))
    order = [0, 1] if np.array_equal(swapped.W_, model.W_) else [1, 0]
    np.testing.assert_array_equal(swapped.R_, model.R_[order])
    np.testing.assert_array_equal(swapped.H_, model.H_[order])


@pytest.mark.parametrize(
    ("spots", "message"),
    [
        ((0, 1), "3 sources need 3 spots, got 2"),
        ((0, 1, 1), "two sources share a microphone"),
        ((0, 1, 3), "spots name microphone 3"),
    ],
)
def test_spots_that_cannot_be_assigned(X_FTM, spots, message):
    model = FastMNMF2(2, 1).fit(X_FTM)
    with pytest.raises(ArgumentError, match=message):
        assign_spots(model, X_FTM, spots)
    with pytest.raises(NotFittedError):
        assign_spots(FastMNMF2(), X_FTM, spots)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_sources": 0}, "n_sources must be a whole number of at least 1"),
        ({"n_sources": 2, "n_components": 0}, "n_components must be a whole number of at least 1"),
        ({"n_sources": 2, "rng": "x"}, "rng must be"),
        ({"n_sources": 2, "leak": -0.1}, "leak must be a number from 0 to 1"),
    ],
)
def test_what_blind_starts_refuse(X_FTM, arguments, message):
    for start in (priors.circular,) if "leak" in arguments else (priors.circular, priors.random):
        with pytest.raises(ArgumentError, match=message):
            start(X_FTM, **arguments)
        with pytest.raises(ArgumentError, match="X_FTM must be"):
            start(np.abs(X_FTM), 2)
