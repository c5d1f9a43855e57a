"""Covariances that are drawn towards others, and what is learned of solos by maximum likelihood."""

from dataclasses import replace

import numpy as np
import pytest

from mnmf import FastMNMF2, FullRankMNMF, Prior, priors
from mnmf.errors import ArgumentError
from mnmf.methods import METHODS, Evidence
from mnmf.methods._trusting import (
    LOW_ROOM_FRAMES,
    ROOM_FRAMES,
    STARTS,
    _as_rooms_do,
    _dominance,
    _joined,
    _mean,
    _part_of_solos,
)
from mnmf.priors import Anchor

F, T, M, N, K = 5, 40, 3, 2, 4


def hermitian(rng, *shape):
    root = rng.standard_normal((*shape, M, M)) + 1j * rng.standard_normal((*shape, M, M))
    return root @ np.conj(np.swapaxes(root, -1, -2)) + 0.1 * np.eye(M)


@pytest.fixture
def X_FTM(rng):
    return rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))


@pytest.fixture
def start(rng):
    return Prior(W=rng.random((N, F, K)), H=rng.random((N, K, T)), R=hermitian(rng, N, F), spots=(0, 2))


def of_trace_m(R_NFMM):
    return R_NFMM * (M / np.einsum("nfmm->nf", R_NFMM).real)[..., None, None]


def fitted(X_FTM, prior, iterations=6):
    return FullRankMNMF(K, iterations, divergence="log-det").fit(X_FTM, prior)


def test_no_weight_is_no_anchor(rng, X_FTM, start):
    free = fitted(X_FTM, start)
    drawn = fitted(X_FTM, start | Prior(anchor=Anchor(hermitian(rng, N, F), np.zeros((N, F)))))
    np.testing.assert_allclose(drawn.R_, free.R_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(drawn.W_ @ drawn.H_, free.W_ @ free.H_, rtol=1e-6)


@pytest.mark.parametrize("weight", [10.0, np.inf])
def test_an_anchor_of_nothing_is_none(rng, X_FTM, start, weight):
    anchor_NFMM, weight_NF = hermitian(rng, N, F), np.full((N, F), weight)
    anchor_NFMM[1, 2] = 0.0
    drawn = fitted(X_FTM, start | Prior(anchor=Anchor(anchor_NFMM, weight_NF)))
    weight_NF[1, 2] = 0.0
    np.testing.assert_array_equal(drawn.R_, fitted(X_FTM, start | Prior(anchor=Anchor(anchor_NFMM, weight_NF))).R_)
    assert drawn.R_[1, 2].any()


def test_an_infinite_weight_holds_some_sources_and_bands_only(rng, X_FTM, start):
    anchor_NFMM, weight_NF = hermitian(rng, N, F), np.zeros((N, F))
    weight_NF[0] = np.inf
    weight_NF[1, 2] = np.inf
    model = fitted(X_FTM, start | Prior(anchor=Anchor(anchor_NFMM, weight_NF)))
    held = np.isinf(weight_NF)
    np.testing.assert_allclose(model.R_[held], of_trace_m(anchor_NFMM)[held], atol=1e-12)
    assert np.abs(model.R_[~held] - of_trace_m(start.R)[~held]).max() > 0.1


def test_all_held_is_as_holding_r(rng, X_FTM, start):
    anchor_NFMM = of_trace_m(hermitian(rng, N, F))
    drawn = fitted(X_FTM, start | Prior(R=anchor_NFMM, anchor=Anchor(anchor_NFMM, np.full((N, F), np.inf))))
    held = fitted(X_FTM, (start | Prior(R=anchor_NFMM)).hold("R"))
    np.testing.assert_allclose(drawn.W_ @ drawn.H_, held.W_ @ held.H_, rtol=1e-9)


def test_the_heavier_the_nearer(rng, X_FTM, start):
    anchor_NFMM = of_trace_m(hermitian(rng, N, F))
    apart = []
    for weight in (0.0, 10.0, 100.0, 1e4):
        prior = start | Prior(anchor=Anchor(anchor_NFMM, np.full((N, F), weight)))
        apart.append(np.abs(of_trace_m(fitted(X_FTM, prior, 20).R_) - anchor_NFMM).mean())
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 0.05 * apart[0]


def test_the_update_lowers_the_posterior_cost(rng, X_FTM, start):
    """One sweep of R alone, W and H held: likelihood and prior together must not rise."""
    anchor_NFMM = of_trace_m(hermitian(rng, N, F))
    anchor = Anchor(anchor_NFMM, np.full((N, F), 7.0))

    def cost(R_NFMM):
        P_NFT = start.W @ start.H
        model_FTMM = np.einsum("nft,nfij->ftij", P_NFT, R_NFMM)
        solved = np.linalg.solve(model_FTMM, X_FTM[..., None])[..., 0]
        likelihood = np.sum(np.linalg.slogdet(model_FTMM)[1]) + np.sum(X_FTM.conj() * solved).real
        inverse = np.linalg.inv(R_NFMM)
        prior = np.linalg.slogdet(R_NFMM)[1] + np.einsum("nfij,nfji->nf", inverse, anchor_NFMM).real
        return likelihood + np.sum(7.0 * prior)

    held = Prior(W=start.W, H=start.H, R=of_trace_m(start.R), anchor=anchor, spots=start.spots).hold("W", "H")
    costs = [
        cost(held.R),
        *(cost(model.R_.copy()) for model in FullRankMNMF(K, 5, divergence="log-det").iterate(X_FTM, held)),
    ]
    assert np.all(np.diff(costs) < 1e-3)
    assert costs[-1] < costs[0] - 10


@pytest.mark.parametrize("model", [FastMNMF2(K, 1), FullRankMNMF(K, 1)])
def test_models_that_cannot_refuse(rng, X_FTM, model):
    with pytest.raises(ArgumentError, match="cannot be drawn towards an anchor"):
        model.fit(X_FTM, Prior(anchor=Anchor(hermitian(rng, M, F), np.ones((M, F)))))


@pytest.mark.parametrize(
    ("weight", "said"),
    [(np.ones((N, F + 1)), "prior.anchor.weight"), (-np.ones((N, F)), "0 or more"), (np.full((N, F), np.nan), "0 or")],
)
def test_weights_that_make_no_sense(rng, X_FTM, start, weight, said):
    with pytest.raises(ArgumentError, match=said):
        fitted(X_FTM, start | Prior(anchor=Anchor(hermitian(rng, N, F), weight)))


def test_an_anchor_says_how_many_sources_there_are(rng, X_FTM):
    prior = Prior(anchor=Anchor(hermitian(rng, N, F), np.ones((N, F))))
    assert prior.n_sources == N
    assert fitted(X_FTM, prior, 1).R_.shape == (N, F, M, M)


def test_likely_covariances_do_not_depend_on_loudness(rng):
    R_MM = hermitian(rng)
    root_MM = np.linalg.cholesky(R_MM)
    noise = rng.standard_normal((2, 3000, M)) + 1j * rng.standard_normal((2, 3000, M))
    loud_T = rng.gamma(0.2, size=3000) + 1e-3
    X_FTM = (noise @ root_MM.T) * loud_T[:, None]
    found = priors.likely_covariances(X_FTM, [slice(0, 3000)], [1]).R[0]
    expected = R_MM / R_MM[1, 1].real
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    apart = np.abs(priors.solo_covariances(X_FTM, [slice(0, 3000)], [1], exponent=2).R[0] - expected).max()
    assert np.abs(found - expected).max() < 0.5 * apart  # which only the loudest frames decide


def test_likely_covariances_of_silence_and_of_nobody(X_FTM):
    X_FTM[2] = 0
    R_NFMM = priors.likely_covariances(X_FTM, [slice(0, T), []], [0, 2]).R
    assert R_NFMM[0, 2].real.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert np.all(R_NFMM[1] == np.diag([0, 0, 1]))
    np.testing.assert_allclose(R_NFMM[0, :, 0, 0], 1)


def test_unmixing_is_what_solo_learns(rng):
    a_FN2 = rng.standard_normal((F, 2, M)) + 1j * rng.standard_normal((F, 2, M))
    solos = [rng.standard_normal((F, T, 1)) * a_FN2[:, [n]] for n in range(2)]
    X_FTM, passages = np.concatenate(solos, axis=1), [slice(0, T), slice(T, 2 * T)]
    learned = priors.solo_covariances(X_FTM, passages, [0, 1], exponent=2)
    ours, theirs = priors.unmixing(learned).Q, priors.solo(X_FTM, passages, [0, 1]).Q
    np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_unmixing_needs_covariances(rng):
    with pytest.raises(ArgumentError, match="needs R and spots"):
        priors.unmixing(Prior(spots=(0, 1)))
    many = Prior(R=hermitian(rng, M + 1, F), spots=(0, 1, 2, 2))
    with pytest.raises(ArgumentError, match="4 sources on 3 microphones"):
        priors.unmixing(many)


def test_sharpness_gives_a_point_to_the_loudest(X_FTM):
    spots = (0, 1, 2)
    plain = priors.spot(X_FTM, spots, n_components=K, n_iterations=2)
    same = priors.spot(X_FTM, spots, n_components=K, n_iterations=2, sharpness=1.0)
    assert np.array_equal(plain.W, same.W)
    sharp = priors.spot(X_FTM, spots, n_components=T, n_iterations=300, sharpness=50.0)
    powers_NFT = np.moveaxis(np.abs(X_FTM) ** 2, 2, 0)
    alone_NFT = np.where(powers_NFT == powers_NFT.max(axis=0), powers_NFT, 0)
    blurred_NFT = powers_NFT**2 / powers_NFT.sum(axis=0)
    found_NFT = sharp.W @ sharp.H
    assert np.abs(found_NFT - alone_NFT).sum() < 0.5 * np.abs(found_NFT - blurred_NFT).sum()


def test_bands_keep_bases_of_their_own(rng, start):
    low, high = (Prior(W=start.W + b, H=start.H, R=start.R, spots=start.spots) for b in (0, 1))
    joined = _joined([low, high])
    assert joined.W.shape == (N, 2 * F, 2 * K)
    np.testing.assert_allclose((joined.W @ joined.H)[:, :F], low.W @ low.H)
    np.testing.assert_allclose((joined.W @ joined.H)[:, F:], high.W @ high.H)
    assert _joined([low]) is low


def test_bands_may_have_other_numbers_of_bases_and_frequencies(rng, start):
    low = replace(start, W=start.W[:, :2, :3], H=start.H[:, :3], R=start.R[:, :2])
    joined = _joined([low, start])
    assert joined.W.shape == (N, 2 + F, 3 + K)
    np.testing.assert_allclose((joined.W @ joined.H)[:, :2], low.W @ low.H)
    np.testing.assert_allclose((joined.W @ joined.H)[:, 2:], start.W @ start.H)


def test_the_mean_of_fits_expects_the_mean_of_what_they_expect(rng, start):
    other = replace(start, W=rng.random((N, F, 3)), H=rng.random((N, 3, T)), R=hermitian(rng, N, F))
    mean = _mean([start, other])
    assert mean.W.shape == (N, F, K + 3)
    np.testing.assert_allclose(of_trace_m(mean.R), of_trace_m(of_trace_m(start.R) + of_trace_m(other.R)))

    def power(prior):
        return (prior.W @ prior.H) * np.einsum("nfmm->nf", prior.R).real[..., None]

    np.testing.assert_allclose(power(mean), (power(start) + power(other)) / 2)
    assert _mean([start]) is start


def test_the_default_draws_as_far_as_the_solos_hold(rng):
    """A weight of its own for each source reaches the model; without any, the anchor leaves R free."""
    X_FTM = (rng.standard_normal((12, T, M)) + 1j * rng.standard_normal((12, T, M))).astype(np.complex64)
    solo = X_FTM[:, : T // 2], [[slice(0, 10)], [slice(10, 20)]]
    frames_NF = np.array([[5.0] * 12, [0.0] * 12])
    evidence = Evidence(X_FTM, (0, 1), solo=solo, solo_frames=frames_NF)
    prior = METHODS["mnmf"].prior(evidence, K, rng)
    assert np.array_equal(prior.anchor.weight, frames_NF)
    assert "R" not in prior.held
    held = METHODS["mnmf"].prior(Evidence(**(vars(evidence) | {"solos_hold": True})), K, rng)
    assert "R" in held.held
    assert held.anchor is None


def test_low_frequencies_start_several_times_where_no_other_segment_teaches_the_room(rng):
    X_FTM = (rng.standard_normal((12, T, M)) + 1j * rng.standard_normal((12, T, M))).astype(np.complex64)
    evidence = Evidence(X_FTM, (0, 1), frequencies=np.arange(12) * 1000.0)
    prior = METHODS["mnmf"].prior(evidence, 6, rng)
    low = slice(0, STARTS * 4)
    assert prior.W.shape == (2, 12, STARTS * 4 + 6 + 6)
    assert np.all(prior.W[:, 2:8, STARTS * 4 : STARTS * 4 + 6] > 0)
    assert not prior.W[:, 8:, : STARTS * 4 + 6].any()
    assert np.all(prior.W[:, :2, low] > 0)
    assert not prior.W[:, 2:, low].any()
    assert not np.allclose(prior.W[:, :2, :4], prior.W[:, :2, 4:8])
    segment = METHODS["mnmf"].prior(replace(evidence, of_many=True), 6, rng)
    assert segment.W.shape == (2, 12, 6 + 6)
    assert np.all(segment.W[:, :6, :6] > 0)
    assert METHODS["mnmf"].prior(evidence, 1, rng).W.shape == (2, 12, STARTS + 1 + 1)


def test_covariances_start_as_rooms_do_and_are_drawn_to_that(rng):
    """High ones by as many frames each, low ones the more the less the own spot is the loudest; those of solos less."""
    X_FTM = (rng.standard_normal((40, T, M)) + 1j * rng.standard_normal((40, T, M))).astype(np.complex64)
    X_FTM[5, :, 1] *= 1e-3  # where the second player never is
    evidence = Evidence(X_FTM, (0, 1), frequencies=2000.0 + 2.0 * np.arange(-20, 20))
    prior = METHODS["mnmf"].prior(evidence, 3, rng)
    known_NF = _dominance(X_FTM, [0, 1])
    assert known_NF[1, 5] < 1e-3 < 0.2 < known_NF[1, 6]
    assert known_NF[0, 5] > 0.99
    assert np.array_equal(prior.anchor.weight[:, 20:], np.full((2, 20), ROOM_FRAMES))
    np.testing.assert_allclose(prior.anchor.weight[:, :20], LOW_ROOM_FRAMES * (1 - known_NF[:, :20]))
    assert prior.anchor.R is prior.R  # for memory
    solo = X_FTM[:, : T // 2], [[slice(0, 10)], [slice(10, 20)]]
    frames_NF = np.repeat([[3.0], [0.0]], 40, axis=1)
    both = METHODS["mnmf"].prior(replace(evidence, solo=solo, solo_frames=frames_NF), 3, rng)
    left_NF = _part_of_solos(frames_NF, T)
    assert np.all(left_NF[1] == 0)
    assert np.all((left_NF[0] > 0.6) & (left_NF[0] < 0.9))
    np.testing.assert_allclose(both.anchor.weight, frames_NF + (1 - left_NF) * prior.anchor.weight)
    assert METHODS["mnmf"].prior(replace(evidence, of_many=True), 3, rng).anchor is None
    assert METHODS["mnmf"].prior(replace(evidence, frequencies=None), 3, rng).anchor is None


def test_dominance_is_the_cube_of_the_share_in_squared_powers():
    powers_TN = np.array([[4.0, 1.0], [1.0, 1.0]])
    X_FTM = np.sqrt(powers_TN)[None] * np.ones((130, 1, 1))
    expected = [(4 * (16 / 17) ** 3 + 1 / 8) / 5, ((1 / 17) ** 3 + 1 / 8) / 2]
    np.testing.assert_allclose(_dominance(X_FTM, [0, 1]), np.repeat(np.array(expected)[:, None], 130, axis=1))


def test_rooms_and_solos_both_draw(rng, start):
    """Each by its own frames; the more those of a solo are, the less the room is asked."""
    solos_NFMM, weight_NF = hermitian(rng, N, F), np.full((N, F), 0.3)
    weight_NF[1] = np.inf
    X_FTM = rng.standard_normal((F, T, M)) + 0j
    evidence = Evidence(X_FTM, (0, 2), frequencies=3000.0 + 3.0 * np.arange(F))
    drawn = _as_rooms_do(replace(start, anchor=Anchor(solos_NFMM, weight_NF)), evidence)
    room_NFMM = priors.room_covariances(start.R, (0, 2), evidence.frequencies, _dominance(X_FTM, [0, 2])).R
    part = 0.3 / (0.3 + 0.03 * T)
    np.testing.assert_allclose(drawn.R[0], part * start.R[0] + (1 - part) * room_NFMM[0])
    np.testing.assert_allclose(drawn.R[1], start.R[1])
    got_NFMM = of_trace_m(drawn.anchor.R)
    weight = (1 - part) * ROOM_FRAMES
    np.testing.assert_allclose(
        got_NFMM[0], (weight * of_trace_m(drawn.R)[0] + 0.3 * of_trace_m(solos_NFMM)[0]) / (weight + 0.3)
    )
    np.testing.assert_allclose(got_NFMM[1], of_trace_m(solos_NFMM)[1])
    np.testing.assert_allclose(drawn.anchor.weight, weight_NF + np.repeat([[weight], [0.0]], F, axis=1))


def test_bands_that_are_drawn_to_nothing_stay_free(rng, start):
    anchor_NFMM = hermitian(rng, N, F)
    drawn = replace(start, anchor=Anchor(anchor_NFMM, np.full((N, F), 3.0)))
    joined = _joined([drawn, start])
    assert np.array_equal(joined.anchor.R, np.concatenate([anchor_NFMM, start.R], axis=1))
    assert np.array_equal(joined.anchor.weight, [[3.0] * F + [0.0] * F] * N)
    assert _joined([start, start]).anchor is None
