"""ILRMA, a recipe of a few lines: FastMNMF2 with G held at the identity is what its paper describes."""

import numpy as np
import pytest

from mnmf import METHODS, FastMNMF2, Prior, priors, separate
from mnmf.methods import Evidence
from tests.reference import ilrma

RATE = 8000


def test_fastmnmf2_with_g_held_at_the_identity_is_ilrma(X_FTM):
    power = np.mean(np.abs(X_FTM) ** 2)
    start = priors.circular(X_FTM, 3, 4, rng=1) | Prior(G=np.eye(3)).hold("G")
    W, H, Q = start.W, start.H, start.Q
    model = FastMNMF2(n_iterations=5)
    for _ in model.iterate(X_FTM, start):
        W, H, Q = ilrma.iteration(X_FTM, W, H, Q)
        images = np.stack([model.images(X_FTM, n) for n in range(3)], axis=3)
        np.testing.assert_allclose(images, ilrma.back_projected(X_FTM, Q), atol=1e-6)
    assert len(model.cost_) == 5
    np.testing.assert_array_equal(model.G_, np.eye(3))
    # The model's cost is that of the mixture at mean power 1.
    wanted = ilrma.cost(X_FTM / np.sqrt(power), W / power, H, Q)
    assert model.cost_[-1] == pytest.approx(wanted, rel=1e-7)


def test_the_recipe_holds_g_and_gives_the_outputs_to_the_spots(X_FTM):
    recipe = METHODS["ilrma"]
    prior = recipe.prior(Evidence(X_FTM, (2, 0, 1)), 4, np.random.default_rng(0))
    assert prior.held == {"G"}
    np.testing.assert_array_equal(prior.G, np.eye(3))
    assert recipe.needs == "as many mics as sources"


def test_two_instruments_on_two_mics(rng):
    """An instantaneous mixture in which each is the other's loudest neighbour: what ILRMA was made for."""
    time_L = np.arange(3 * RATE) / RATE
    notes = (
        np.sin(2 * np.pi * 220 * time_L) * (time_L % 0.5 < 0.3),
        np.sin(2 * np.pi * 350 * time_L) * (time_L % 0.7 < 0.4),
    )
    truth_LN = np.stack(notes, axis=1) + 1e-3 * rng.standard_normal((len(time_L), 2))
    mixing_MN = np.array([[1.0, 0.5], [0.6, 1.0]])
    separation = separate(truth_LN @ mixing_MN.T, RATE, method="ilrma")
    wanted_LN = truth_LN * np.diag(mixing_MN)
    error_N = np.sum((separation.stems_LN - wanted_LN) ** 2, axis=0) / np.sum(wanted_LN**2, axis=0)
    assert error_N.max() < 0.02  # the bleed was 0.25 and 0.36
