"""Activations of given bases: starts that are in balance."""

import numpy as np
import pytest

from mnmf import FastMNMF2, FullRankMNMF, Prior, priors
from mnmf.errors import ArgumentError


def noisy(rng):
    """Bases, and spectra around their products."""
    W = rng.uniform(0, 1, (40, 9))
    return W, (W @ rng.uniform(0, 1, (9, 50)) ** 6) * rng.exponential(1, (40, 50))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_true_bases_give_back_the_powers(rng, scale):
    """Of a start in powers W @ H is the power itself, whatever the level and the units of the bases."""
    W = rng.uniform(0, 1, (2, 30, 5)) ** 3 * 10.0 ** rng.integers(-3, 4, (2, 1, 5))
    V = scale * (W @ (rng.uniform(0, 1, (2, 5, 40)) ** 3))
    prior = priors.activations(V, W, floor=0.0)
    np.testing.assert_allclose(prior.W @ prior.H, V, rtol=1e-6)
    assert prior.W is W
    floored = priors.activations(V, W)
    np.testing.assert_allclose((floored.W @ floored.H).sum(), V.sum(), rtol=1e-2)


def test_magnitudes_go_with_magnitudes(rng):
    """Taken for powers, magnitudes would be out by their square, which W @ H against V shows."""
    W, H = rng.uniform(0, 1, (1, 30, 5)), rng.uniform(0, 1, (1, 5, 40))
    magnitudes = 0.01 * (W @ H)
    prior = priors.activations(magnitudes, W, floor=0.0)
    np.testing.assert_allclose(prior.W @ prior.H, magnitudes, rtol=1e-6)
    squared = priors.activations(magnitudes**2, W, floor=0.0)
    assert (squared.W @ squared.H).mean() == pytest.approx(np.mean(magnitudes**2), rel=0.1)


def test_nothing_stays_at_zero_but_empty_bases(rng):
    W, V = noisy(rng)
    W = np.stack([W, W])
    W[1, :, 3] = 0
    prior = priors.activations(np.stack([V, 0 * V]), W)
    assert prior.H[0].min() > 0
    assert np.any(priors.activations(np.stack([V, V]), W, floor=0.0).H[0] == 0)
    share = V.sum(axis=0).mean() / (W.shape[2] * W[0].sum(axis=0))
    assert np.all(prior.H[0] >= 1e-2 * share[:, None] * (1 - 1e-12))
    assert not prior.H[1].any()  # silence
    assert not priors.activations(np.stack([V, V]), W).H[1, 3].any()  # a note the instrument lacks


def test_single_precision_is_close(rng):
    W, V = noisy(rng)
    single = priors.activations(V[None].astype(np.float32), W[None].astype(np.float32)).H
    np.testing.assert_allclose(single, priors.activations(V[None], W[None]).H, atol=1e-4)


@pytest.fixture
def quartet(rng):
    """Two sources whose bases are known, each at its own mic and 20 dB fainter at the other, and a faint third mic."""
    W = rng.uniform(0, 1, (2, 40, 4)) ** 6
    H = rng.uniform(0, 1, (2, 4, 60)) ** 6
    phase = rng.standard_normal((2, 40, 60)) + 1j * rng.standard_normal((2, 40, 60))
    X = np.einsum("mn,nft->ftm", [[1, 0.1], [0.1, 1], [0.1, 0.1]], np.sqrt(W @ H / 2) * phase)
    return W, H, X + 1e-3 * (rng.standard_normal(X.shape) + 1j * rng.standard_normal(X.shape))


def test_a_start_by_spots_is_in_balance(quartet):
    W, H, X = quartet
    prior = priors.spot_activations(X, (0, 1), W)
    np.testing.assert_allclose(np.sum(prior.W @ prior.H, axis=(1, 2)), np.sum(W @ H, axis=(1, 2)), rtol=0.2)
    assert all(np.corrcoef(prior.H[n].ravel(), H[n].ravel())[0, 1] > 0.8 for n in range(2))
    # The likelihood agrees: any other scale of H is worse.
    costs = [
        FastMNMF2(n_iterations=1).fit(X, (prior | Prior(H=scale * prior.H)).hold("W", "H", "G", "Q")).cost_[0]
        for scale in (0.1, 1.0, 10.0)
    ]
    assert costs[1] < min(costs[0], costs[2])


def test_held_bases_and_the_rest_updated(quartet):
    W, _, X = quartet
    prior = priors.spot_activations(X, (0, 1), W).hold("W")
    model = FastMNMF2(n_iterations=10).fit(X, prior)
    assert np.array_equal(model.W_, W)
    assert np.all(np.diff(model.cost_) < 0)
    drawn = FastMNMF2(n_iterations=10).fit(X, Prior(W=W).hold("W") | Prior(G=prior.G, Q=prior.Q, spots=prior.spots))
    assert model.cost_[0] < drawn.cost_[0]


def test_bases_of_magnitudes_for_the_full_rank_model(quartet):
    W, _, X = quartet
    prior = priors.spot_activations(X, (0, 1), np.sqrt(W), exponent=1.0)
    assert prior.G is None
    assert prior.Q is None
    np.testing.assert_allclose((prior.W @ prior.H)[0].mean(), np.abs(X[..., 0]).mean(), rtol=0.3)
    assert np.isfinite(FullRankMNMF(n_iterations=2).fit(X, prior).cost_).all()


def test_inputs_are_untouched_also_at_integer_scale(quartet):
    W, _, X = quartet
    X, Q = 32768 * X, np.tile(np.eye(3) + 0.1j, (40, 1, 1))
    V = np.abs(X[..., :2].transpose(2, 0, 1)) ** 2
    copies = [a.copy() for a in (W, X, Q, V)]
    priors.spot_activations(X, (0, 1), W, Q)
    priors.activations(V, W)
    priors.circular(X, 2)
    priors.random(X, 2)
    for before, after in zip(copies, (W, X, Q, V)):
        assert before.tobytes() == after.tobytes()


def test_options_and_demixing_matter(quartet):
    W, _, X = quartet
    base = priors.spot_activations(X, (0, 1), W)
    demixing = np.tile(np.linalg.inv([[1, 0.1, 0], [0.1, 1, 0], [0.5, 0.5, 1]]).astype(complex), (40, 1, 1))
    assert not np.allclose(priors.spot_activations(X, (0, 1), W, demixing).H, base.H)
    assert not np.allclose(priors.spot_activations(X, (1, 0), W).H, base.H)
    assert not np.allclose(priors.spot_activations(X, (0, 1), W, floor=0.1).H, base.H)
    assert not np.allclose(priors.spot_activations(X, (0, 1), W, exponent=1.5).H, base.H)
    assert not np.allclose(priors.spot_activations(X, (0, 1), W, leak=0.1).G, base.G)
    silent = priors.spot_activations(0 * X, (0, 1), W)
    assert not silent.H.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, W: priors.activations(np.ones((2, 40)), W), "V_NFT must have shape"),
        (
            lambda X, W: priors.activations(np.ones((3, 40, 5)), W),
            r"W_NFK must have shape \(N, F, K\) = \(3, 40, any\)",
        ),
        (lambda X, W: priors.activations(-np.ones((2, 40, 5)), W), "V_NFT must not be negative"),
        (lambda X, W: priors.activations(X[..., 0][None].repeat(2, 0), W), "V_NFT must be real"),
        (lambda X, W: priors.activations(np.ones((2, 40, 5)), W[..., :0]), "W_NFK must not be empty"),
        (lambda X, W: priors.activations(np.ones((2, 40, 5)), W, floor=-1), "floor must be a number from 0 to 1"),
        (lambda X, W: priors.spot_activations(X, (0, 1), -W), "W_NFK must not be negative"),
        (lambda X, W: priors.spot_activations(X, (0, 1, 2), W), r"W_NFK must have shape .* = \(3, 40, any\)"),
        (lambda X, W: priors.spot_activations(X, (0, 3), W), "spots name microphone 3, but there are only 3"),
        (lambda X, W: priors.spot_activations(X, (1, 1), W), "two sources share a microphone"),
        (lambda X, W: priors.spot_activations(X, (0, 1), W, np.eye(3)), "Q must have shape"),
        (lambda X, W: priors.spot_activations(np.abs(X), (0, 1), W), "X_FTM must be complex"),
        (lambda X, W: priors.spot_activations(X, (0, 1), W, exponent=0), "exponent must be a number"),
        (lambda X, W: priors.spot_activations(X, (0, 1), W, leak=2), "leak must be a number from 0 to 1"),
    ],
)
def test_what_they_refuse(quartet, call, message):
    with pytest.raises(ArgumentError, match=message):
        call(quartet[2], quartet[0])
