"""The models are one where they meet: diagonal covariances, no demixing, powers, Itakura and Saito's divergence."""

import numpy as np
import pytest

from mnmf import FastMNMF2, FullRankMNMF, NTFPanning, Prior

F, T, M, N, K = 6, 9, 3, 2, 2


@pytest.fixture
def start(rng):
    """A mixture, and starting values of everything at which the models meet."""
    X_FTM = rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))
    shapes = {"W": (N, F, K), "H": (N, K, T), "G": (N, M)}
    values = {name: rng.uniform(0.2, 1.0, shape) for name, shape in shapes.items()}
    values["G"] /= values["G"].sum(axis=1, keepdims=True)
    return X_FTM, values


def fits(X_FTM, values, held, n_iterations):
    """Return the three models, fitted from there with the blocks `held`, and G besides where it may not move alike."""
    identity_FMM = np.tile(np.eye(M, dtype=complex), (F, 1, 1))
    diagonal_NFMM = np.tile((values["G"][:, :, None] * np.eye(M))[:, None], (1, F, 1, 1)) + 0j
    bases = {name: values[name] for name in "WH"}
    spots = (0, 1)
    priors = {
        "fastmnmf2": Prior(**values, Q=identity_FMM, spots=spots).hold("Q", "G", *held),
        "ntf": Prior(**values, spots=spots).hold("G", *held),
        "log-det": Prior(**bases, R=diagonal_NFMM, spots=spots).hold("R", *held),
    }
    models = {
        "fastmnmf2": FastMNMF2(K, n_iterations),
        "ntf": NTFPanning(K, n_iterations, beta=0.0, exponent=2.0),
        "log-det": FullRankMNMF(K, n_iterations, divergence="log-det"),
    }
    return {name: model.fit(X_FTM, priors[name]) for name, model in models.items()}


def powers(model):
    return model.W_ @ model.H_


@pytest.mark.parametrize("held", ["W", "H"])
def test_one_block_is_updated_alike(start, held):
    """With one of W and H held there is no order of updates to differ in."""
    X_FTM, values = start
    models = fits(X_FTM, values, held, 20)
    for name in ("ntf", "log-det"):
        np.testing.assert_allclose(powers(models[name]), powers(models["fastmnmf2"]), rtol=1e-5)
    assert not np.allclose(powers(models["ntf"]), values["W"] @ values["H"], rtol=0.1)


def test_their_costs_are_one_function(start):
    """The divergence of NTF leaves out what the likelihoods keep, Σ log x̃, and they what it keeps: T F M."""
    X_FTM, values = start
    costs = {name: np.diff(model.cost_) for name, model in fits(X_FTM, values, "W", 6).items()}
    np.testing.assert_allclose(costs["ntf"], costs["fastmnmf2"], rtol=1e-4)
    np.testing.assert_allclose(costs["log-det"], costs["fastmnmf2"], rtol=1e-4)


def test_their_images_are_one_where_spots_are_all_there_is(start):
    X_FTM, values = start
    models = fits(X_FTM, values, "W", 6)
    for n in range(N):
        wanted = models["fastmnmf2"].images(X_FTM, n)
        np.testing.assert_allclose(models["ntf"].images(X_FTM, n), wanted, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(models["log-det"].images(X_FTM, n), wanted, rtol=1e-4, atol=1e-6)


def test_fastmnmf2_is_a_full_rank_model(rng):
    X_FTM = rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))
    fast = FastMNMF2(K, 5).fit(X_FTM, Prior(Q=rng.standard_normal((F, M, M)) + 0j, spots=(1, (0, 2))))
    prior = fast.as_full_rank()
    own = np.stack([prior.R[0, :, 1, 1], prior.R[1, :, 0, 0]])
    np.testing.assert_allclose(own, 1, rtol=1e-12)
    full = FullRankMNMF(K, 1, divergence="log-det").fit(X_FTM, prior.hold("W", "H", "R"))
    assert full.spots_ == fast.spots_
    assert full.cost_[0] == pytest.approx(fast.cost_[-1], rel=1e-6)
    for n in range(N):
        np.testing.assert_allclose(full.images(X_FTM, n), fast.images(X_FTM, n), atol=1e-5 * np.abs(X_FTM).max())
