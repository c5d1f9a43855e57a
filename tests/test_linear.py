"""Linear unmixing: the pseudo-inverse of what the solos show."""

from dataclasses import replace

import numpy as np
import pytest

from mnmf import METHODS, Linear, Prior, Take, separate
from mnmf.errors import ArgumentError, SessionError
from mnmf.methods import Evidence
from mnmf.models import assign_spots

F, T, RATE = 7, 11, 8000


def noise(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def mixing(rng, n_mics, own):
    """Return A (F, M, N), 1 at the own spots, and the rank-1 covariances that show it."""
    A_FMN = 0.3 * noise(rng, F, n_mics, len(own))
    A_FMN[:, own, range(len(own))] = 1.0
    return A_FMN, np.einsum("fmn,fkn->nfmk", A_FMN, A_FMN.conj())


@pytest.mark.parametrize("spots", [(0, 1, 2), (2, 0, 1), (1, 3)])
def test_a_mixture_of_known_transfer_functions_is_unmixed(rng, spots):
    n_mics = max(spots) + 1
    A_FMN, R_NFMM = mixing(rng, n_mics, spots)
    S_FTN = noise(rng, F, T, len(spots))
    true_FTMN = np.einsum("fmn,ftn->ftmn", A_FMN, S_FTN)
    loudness = rng.uniform(0.1, 10, (len(spots), F, 1, 1))  # of the solos: it says nothing of A
    model = Linear(ridge=1e-12).fit(true_FTMN.sum(axis=-1), Prior(R=loudness * R_NFMM, spots=spots))
    np.testing.assert_allclose(model.A_, A_FMN, atol=1e-9)
    np.testing.assert_allclose(model.images(true_FTMN.sum(axis=-1)), true_FTMN, atol=1e-8)
    np.testing.assert_allclose(model.separate(true_FTMN.sum(axis=-1)), S_FTN, atol=1e-8)
    assert model.cost_.tolist() == [0.0]


def test_a_stem_is_the_spot_less_the_bleed_that_is_predicted(rng, X_FTM):
    """Two sources on three microphones, the pseudo-inverse computed frequency by frequency."""
    A_FMN, R_NFMM = mixing(rng, 3, (0, 2))
    images = Linear(ridge=1e-12).fit(X_FTM, Prior(R=R_NFMM, spots=(0, 2))).images(X_FTM)
    for f in range(F):
        S_NT = np.linalg.pinv(A_FMN[f]) @ X_FTM[f].T
        over_MT = X_FTM[f].T - A_FMN[f] @ S_NT
        assert np.abs(over_MT).max() > 0.1
        np.testing.assert_allclose(images[f, :, 0, 0], X_FTM[f, :, 0] - A_FMN[f, 0, 1] * S_NT[1], atol=1e-9)
        np.testing.assert_allclose(images[f, :, 2, 1], X_FTM[f, :, 2] - A_FMN[f, 2, 0] * S_NT[0], atol=1e-9)
        np.testing.assert_allclose(images[f, :, 0, 1], A_FMN[f, 0, 1] * S_NT[1], atol=1e-9)
        for n in range(2):  # nobody's microphone
            np.testing.assert_allclose(images[f, :, 1, n], A_FMN[f, 1, n] * S_NT[n] + over_MT[1] / 2, atol=1e-9)


@pytest.mark.parametrize(
    ("spots", "shares"),
    [
        (((0, 1), (2,)), [[1, 1, 0], [0, 0, 1]]),  # a further spot is its source's
        (((0, 2), (2,)), [[1, 0.5, 0], [0, 0.5, 1]]),  # but a reference spot counts more
        (((0, 1), (2, 1)), [[1, 0.5, 0], [0, 0.5, 1]]),
    ],
)
def test_what_is_unexplained_stays_with_those_whose_spot_it_is(rng, X_FTM, spots, shares):
    A_FMN, R_NFMM = mixing(rng, 3, (0, 2))
    model = Linear().fit(X_FTM, Prior(R=R_NFMM, spots=spots))
    gram_FNN = A_FMN.conj().swapaxes(1, 2) @ A_FMN
    gram_FNN += 1e-3 * gram_FNN * np.eye(2)
    S_FTN = X_FTM @ np.linalg.solve(gram_FNN, A_FMN.conj().swapaxes(1, 2)).swapaxes(1, 2)
    explained_FTMN = np.einsum("fmn,ftn->ftmn", A_FMN, S_FTN)
    over_FTM = X_FTM - explained_FTMN.sum(axis=-1)
    wanted = explained_FTMN + over_FTM[..., None] * np.array(shares).T
    np.testing.assert_allclose(model.images(X_FTM), wanted, atol=1e-9)


def test_players_who_are_heard_alike_are_kept_within_bounds_by_the_ridge(rng, X_FTM):
    alike = np.ones((2, F, 3, 3)) + 1e-6 * np.eye(3)
    level = {}
    for ridge in (1e-9, 1e-3, 0.1):
        model = Linear(ridge=ridge).fit(X_FTM, Prior(R=alike, spots=(0, 2)))
        images = model.images(X_FTM)
        np.testing.assert_allclose(images.sum(axis=-1), X_FTM, atol=1e-9)
        level[ridge] = np.abs(images[:, :, 0, 1]).max()
    assert level[0.1] < level[1e-3] <= np.abs(X_FTM).max()
    assert np.isfinite(level[1e-9])


def test_a_solo_that_its_own_spot_does_not_hear_is_not_used(rng, X_FTM):
    _, R_NFMM = mixing(rng, 3, (0, 2))
    R_NFMM[1] = np.diag([0.0, 1.0, 1e-9])  # somebody else, at microphone 1
    R_NFMM[0, 3] = 0.0  # silence
    model = Linear().fit(X_FTM, Prior(R=R_NFMM, spots=(0, 2)))
    np.testing.assert_array_equal(model.A_[:, :, 1], np.tile([0, 0, 1], (F, 1)))
    np.testing.assert_array_equal(model.A_[3, :, 0], [1, 0, 0])


def test_a_change_of_gain_scales_its_own_images_only(rng, X_FTM):
    _, R_NFMM = mixing(rng, 3, (0, 1, 2))
    gains_M = np.array([1.0, 5.0, 1.0])
    plain = Linear(ridge=1e-12).fit(X_FTM, Prior(R=R_NFMM)).images(X_FTM)
    louder = Prior(R=R_NFMM * gains_M[:, None] * gains_M)
    scaled = Linear(ridge=1e-12).fit(X_FTM * gains_M, louder).images(X_FTM * gains_M)
    np.testing.assert_allclose(scaled, plain * gains_M[:, None], atol=1e-8)


def test_other_frames_and_single_precision(rng, X_FTM):
    model = Linear().fit(X_FTM, Prior(R=mixing(rng, 3, (0, 2))[1], spots=(0, 2)))
    images = model.images(X_FTM)
    np.testing.assert_allclose(model.images(X_FTM[:, 3:5]), images[:, 3:5], atol=1e-12)
    single = model.images(X_FTM.astype(np.complex64))
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, images, atol=1e-5)
    with pytest.raises(ArgumentError, match="Linear has no activations"):
        model.activations(X_FTM)


def test_what_the_caller_changes_is_what_the_next_update_keeps(rng, X_FTM):
    A_FMN, _ = mixing(rng, 3, (0, 2))
    for model in Linear(3).iterate(X_FTM, Prior(R=mixing(rng, 3, (0, 2))[1], spots=(0, 2))):
        model.A_ = A_FMN
    np.testing.assert_array_equal(model.A_, A_FMN)
    assert len(model.cost_) == 3


def test_sources_in_another_order(rng, X_FTM):
    model = Linear().fit(X_FTM, Prior(R=mixing(rng, 3, (1, 2, 0))[1], spots=(1, 2, 0)))
    before = model.images(X_FTM)
    after = assign_spots(model, X_FTM, (0, 1, 2)).images(X_FTM)
    for m in range(3):
        assert any(np.allclose(after[..., m], before[..., n]) for n in range(3))


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"R": None}, {}, "give a prior with R, such as priors.solo_covariances"),
        ({"spots": (1, 1)}, {}, "two sources share a microphone"),
        ({"R": np.triu(np.ones((2, F, 3, 3)))}, {}, "prior.R must be Hermitian"),
        ({"R": np.ones((4, F, 3, 3)), "spots": None}, {}, "4 sources on 3 microphones cannot be unmixed"),
        ({"held": {"W"}}, {}, "this model has no W to hold"),
        ({}, {"ridge": 0.0}, "ridge must be a number"),
        ({}, {"n_sources": 3}, "3 sources need 3 spots"),
    ],
)
def test_what_a_fit_refuses(X_FTM, given, options, message):
    prior = Prior(**({"R": np.tile(np.eye(3), (2, F, 1, 1)), "spots": (0, 2)} | given))
    with pytest.raises(ArgumentError, match=message):
        Linear(**options).fit(X_FTM, prior)


# The methods that learn nothing from the take


@pytest.fixture
def take(rng):
    """Two players on three microphones, in a mixture without room; the solos last 2 s and 2.5 s."""
    A_MN = np.array([[1.0, 0.3], [0.4, 1.0], [0.5, 0.5]])
    played_LN = rng.laplace(size=(3 * RATE, 2))
    alone = [[rng.laplace(size=(length, 1)) * A_MN[:, n]] for n, length in enumerate((2 * RATE, 5 * RATE // 2))]
    return Take(played_LN @ A_MN.T, RATE, (0, 1), ("violin", "cello"), solos=alone), played_LN


@pytest.mark.parametrize(("method", "least_db"), [("linear", 20), ("pairwise", 1)])
def test_the_methods_unmix(take, method, least_db):
    take, played_LN = take
    result = separate(take, method=method)
    error = np.sum((result.stems_LN - played_LN) ** 2) / np.sum((take.x_LM[:, :2] - played_LN) ** 2)
    assert -10 * np.log10(error) > least_db
    assert set(result.parameters) == {"seed", "window_samples", "hop_samples"}
    np.testing.assert_allclose(result.image("violin") + result.image("cello") + result.residual_LM, take.x_LM)


@pytest.mark.parametrize("method", ["linear", "pairwise"])
def test_they_have_neither_iterations_nor_components(take, method):
    with pytest.raises(ArgumentError, match=f"{method} has no iterations; leave them out"):
        separate(take[0], method=method, iterations=3)
    with pytest.raises(ArgumentError, match=f"{method} has no components"):
        separate(take[0], method=method, components=3)
    with pytest.raises(SessionError, match="needs a solo of every source; 'violin' has none"):
        separate(replace(take[0], solos=()), method=method)
    with pytest.raises(SessionError, match="needs a solo of every source"):
        METHODS[method].prior(Evidence(np.ones((5, 8, 2), complex), (0, 1)), 0, np.random.default_rng(0))


def test_solos_that_never_fill_a_window_are_refused_where_they_are_needed(take):
    take = take[0]
    message = r"violin: the longest solo lasts 2.00 s, less than the window of 2.\d* s; give a shorter window or a long"
    for method in ("linear", "pairwise", "ntf-panning"):
        with pytest.raises(SessionError, match=message):
            separate(take, method=method, window=2.25)
    again = replace(take, solos=[[take.solos[0][0][:100], *take.solos[0], *take.solos[0]], take.solos[1]])
    separate(again, method="linear", window=2.0)
    separate(take, method="kamir", window=2.25, iterations=1)  # solos are of use to it, not needed


@pytest.mark.parametrize("seconds", [0.743, 1.486, 2.972])
def test_windows_up_to_three_seconds(seconds):
    for rate, wanted in ((44100, round(seconds * 44100)), (48000, round(seconds * 48000))):
        assert METHODS["linear"].analysis(rate, seconds).window_length == pytest.approx(wanted, rel=0.02)


def test_the_prior_is_the_covariance_of_the_solo(rng):
    solo_FTM = noise(rng, F, T, 3)
    solo_FTM[4] = 0
    evidence = Evidence(noise(rng, F, T, 3), (2, 0), (solo_FTM, [[slice(0, 3), slice(5, 7)], [slice(7, 11)]]))
    R_NFMM = METHODS["linear"].prior(evidence, 0, rng).R
    for f in (0, 6):
        frames = [0, 1, 2, 5, 6]
        wanted = sum(np.outer(solo_FTM[f, t], solo_FTM[f, t].conj()) for t in frames)
        np.testing.assert_allclose(R_NFMM[0, f], wanted / wanted[2, 2], atol=1e-12)
    np.testing.assert_array_equal(R_NFMM[:, 4], [np.diag([0, 0, 1]), np.diag([1, 0, 0])])
