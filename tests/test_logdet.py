"""FullRankMNMF under the log-determinant divergence, and its kernels."""

from functools import partial

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from mnmf import FastMNMF2, FullRankMNMF, Prior
from mnmf.errors import ArgumentError
from mnmf.kernels import logdet
from mnmf.kernels._blocks import zeros
from mnmf.kernels._lanes import LANES, lanes_of, update_covariances
from mnmf.kernels.hermitian import solve_riccati
from mnmf.kernels.logdet_joint import sweep_jointly
from mnmf.models.fullrank import _bands_of
from tests.reference import fullrank as naive

LogDet = partial(FullRankMNMF, divergence="log-det")
FLOOR = 1e-7
HOLDS = [(), ("W",), ("R",), ("W", "R"), ("H",), ("W", "H"), ("R", "H"), ("W", "H", "R")]


def fit(X_FTM, prior=None, n_iterations=3, **options):
    return LogDet(4, n_iterations).fit(X_FTM, prior, **options)


def swept(X_FTM, prior, floor_F, update_w=False, update_r=False, gather_h=False):
    """Return what one sweep makes of a prior: W, H's ratio and R, and the cost before."""
    W, H = prior.W.copy(), prior.H.copy()
    R = prior.R.swapaxes(0, 1).copy()
    cost, over, under = logdet.sweep(X_FTM, W, H, R, floor_F, update_w, update_r, gather_h)
    return W, over, under, R.swapaxes(0, 1), cost


def random_covariances(rng, *shape, rank=None):
    root = rng.standard_normal((2, *shape, shape[-1]))[..., :rank]
    root = root[0] + 1j * root[1]
    return root @ root.conj().swapaxes(-1, -2)


def a_start(rng, F, T, M, N, K):
    X = rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))
    W, H = rng.uniform(0.1, 1, (N, F, K)), rng.uniform(0.1, 1, (N, K, T))
    return X, Prior(W=W, H=H, R=random_covariances(rng, N, F, M), spots=[n % M for n in range(N)])


def planes_of(A_GNMM):
    """Return the M² numbers of Hermitian matrices, (G, Q, N)."""
    M = A_GNMM.shape[-1]
    numbers = [A_GNMM[..., i, i].real for i in range(M)]
    for i in range(M):
        for j in range(i):
            numbers += [A_GNMM[..., i, j].real, A_GNMM[..., i, j].imag]
    return np.stack(numbers, axis=1)


def solved(A_GNMM, B_GNMM, R_GNMM, anchor_GNMM=None, weight_GN=None):
    """Return R with ``R A R = R' B R'`` for the R' given, and the numbers of R and of ``R' R⁻¹ R'``."""
    G, N, M, _ = R_GNMM.shape
    new, seen, trace = R_GNMM.copy(), np.zeros((G, N, M * M)), np.zeros((G, N, M * M))
    anchor, weight = (R_GNMM, np.zeros((G, N))) if anchor_GNMM is None else (anchor_GNMM, weight_GN)
    sums = -planes_of(A_GNMM), planes_of(B_GNMM)
    update_covariances(*sums, 0, G, new, anchor, weight, seen, trace, *zeros(lanes_of(M), float))
    return new, trace, seen


def doubled(A_GNMM):
    """Return the numbers of matrices, those off the diagonal twice, (G, N, Q)."""
    M = A_GNMM.shape[-1]
    twice_Q = np.where(np.arange(M * M) < M, 1.0, 2.0)
    return planes_of(A_GNMM).swapaxes(1, 2) * twice_Q


SIZES = [(3, 5, 3, 2, 4), (2, 3, 1, 2, 1), (2, 4, 2, 3, 2), (1, 2, 9, 1, 2), (18, 2, 2, 2, 1), (1, 140, 2, 2, 2)]


@pytest.mark.kernel
@pytest.mark.parametrize("size", SIZES)
def test_sweep_is_the_updates_of_the_paper(rng, size):
    X, prior = a_start(rng, *size)
    floor_F = rng.uniform(1e-3, 1e-1, size[0])
    now = X, prior.W, prior.H, prior.R, floor_F
    W, over, under, R, cost = swept(X, prior, floor_F, gather_h=True)
    assert cost == pytest.approx(naive.log_det_cost(*now), rel=1e-9)
    np.testing.assert_allclose(prior.H * np.sqrt(over / under), naive.log_det_update_h(*now), rtol=1e-9)
    np.testing.assert_array_equal(W, prior.W)
    np.testing.assert_array_equal(R, prior.R)
    W, _, _, R, cost = swept(X, prior, floor_F, update_w=True)
    assert cost == pytest.approx(naive.log_det_cost(*now), rel=1e-9)
    np.testing.assert_allclose(W, naive.log_det_update_w(*now), rtol=1e-9)
    np.testing.assert_array_equal(R, prior.R)
    _, _, _, R, cost = swept(X, prior, floor_F, update_r=True)
    assert cost == pytest.approx(naive.log_det_cost(*now), rel=1e-9)
    np.testing.assert_allclose(R, naive.log_det_update_r(*now), rtol=1e-5, atol=1e-4)  # the loops lose digits


@pytest.mark.kernel
def test_a_sweep_takes_the_blocks_in_turn(rng):
    X, prior = a_start(rng, 3, 4, 2, 2, 2)
    floor_F = np.full(3, 1e-3)
    R = naive.log_det_update_r(X, prior.W, prior.H, prior.R, floor_F)
    W = naive.log_det_update_w(X, prior.W, prior.H, R, floor_F)
    H = naive.log_det_update_h(X, W, prior.H, R, floor_F)
    new_W, over, under, new_R, _ = swept(X, prior, floor_F, True, True, True)
    np.testing.assert_allclose(new_R, R, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(new_W, W, rtol=1e-6)
    np.testing.assert_allclose(prior.H * np.sqrt(over / under), H, rtol=1e-6)


@pytest.mark.kernel
@pytest.mark.parametrize("size", [(3, 9, 2, 2, 2), (18, 5, 3, 3, 1), (1, 140, 2, 2, 2)])
def test_a_joint_sweep_lowers_one_auxiliary_function(rng, size):
    X, prior = a_start(rng, *size)
    floor_F = rng.uniform(1e-3, 1e-1, size[0])
    W, H, R = naive.log_det_joint_update(X, prior.W, prior.H, prior.R, floor_F)
    got_W, got_R = prior.W.copy(), prior.R.swapaxes(0, 1).copy()
    cost, over, under = sweep_jointly(X, got_W, prior.H, got_R, floor_F, True, True, True)
    assert cost == pytest.approx(naive.log_det_cost(X, prior.W, prior.H, prior.R, floor_F), rel=1e-9)
    np.testing.assert_allclose(got_R.swapaxes(0, 1), R, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got_W, W, rtol=1e-5)
    np.testing.assert_allclose(prior.H * np.sqrt(over / under), H, rtol=1e-5)


@pytest.mark.kernel
@pytest.mark.parametrize("block", "WHR")
def test_a_joint_sweep_of_one_block_is_that_of_the_paper(rng, block):
    """With one block free there is nothing to share: the same as in turn, also with gaps and anchors."""
    X, prior = a_start(rng, 5, 12, 3, 2, 2)
    missing_TM, anchor = rng.random((12, 3)) < 0.2, random_covariances(rng, 5, 2, 3)
    weight = rng.choice([0.0, 3.0, np.inf], (5, 2))
    free = [name == block for name in "WRH"]
    made = []
    for kernel in (logdet.sweep, sweep_jointly):
        W, R = prior.W.copy(), prior.R.swapaxes(0, 1).copy()
        got = kernel(X, W, prior.H, R, np.full(5, 1e-3), *free, missing_TM, anchor, weight)
        made.append((W, R, *got))
    for one, other in zip(*made):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rank", [None, 1])
@pytest.mark.parametrize("held", [(), ("R",), ("W",), ("H",)])
def test_joint_updates_never_raise_the_cost(rng, held, rank):
    X, prior = a_start(rng, 6, 12, 3, 3, 2)
    prior = Prior(W=prior.W, H=prior.H, R=random_covariances(rng, 3, 6, 3, rank=rank), spots=(0, 1, 2)).hold(*held)
    model = fit(X, prior, 30), LogDet(4, 30, jointly=True).fit(X, prior)
    assert np.all(np.diff(model[1].cost_) <= 1e-6 * X.size)
    assert model[1].cost_[-1] - model[0].cost_[-1] < 0.1 * (model[0].cost_[0] - model[0].cost_[-1])


def test_joint_updates_of_ill_conditioned_covariances_never_raise_the_cost(rng):
    """A quiet direction, and a microphone that is missing throughout, of which nothing is known."""
    X = rng.standard_normal((4, 40, 3)) + 1j * rng.standard_normal((4, 40, 3))
    quiet = (X * [1, 1e-3, 1e-3]) @ np.linalg.qr(rng.standard_normal((3, 3)))[0] * rng.gamma(0.5, size=(4, 40, 1))
    missing_TM = np.zeros((40, 3), bool)
    missing_TM[:, 1] = True
    for data, missing in ((quiet, None), (X, missing_TM)):
        for N in (1, 3):
            model = LogDet(2, 60, n_sources=N, jointly=True).fit(data, missing_TM=missing)
            assert np.all(np.diff(model.cost_) <= 1e-9 * X.size)


@pytest.mark.kernel
@pytest.mark.parametrize("rank", [None, 1])
def test_riccati_tells_how_the_old_covariance_is_seen_from_the_new(rng, rank):
    """For more matrices than are handled at once, and none of them minds the others."""
    A, B = random_covariances(rng, 9, 2, 3), random_covariances(rng, 9, 2, 3)
    old = random_covariances(rng, 9, 2, 3, rank=rank)
    assert LANES < 18
    R, trace, seen = solved(A, B, old)
    inverse = np.linalg.pinv(R, rcond=1e-6, hermitian=True)
    np.testing.assert_allclose(seen, doubled(old @ inverse @ old), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(trace, doubled(R))
    np.testing.assert_array_equal(solved(A[4:6], B[4:6], old[4:6])[0], R[4:6])


def test_joint_updates_need_the_log_determinant(X_FTM):
    with pytest.raises(ArgumentError, match="jointly needs"):
        FullRankMNMF(2, 1, jointly=True).fit(X_FTM)


@pytest.mark.parametrize("jointly", [False, True])
def test_bands_with_bases_of_their_own_are_fitted_as_one_model(rng, jointly):
    """What is multiplied only where bases are not zero is what all products give."""
    X, prior = a_start(rng, 10, 12, 2, 2, 4)
    W = prior.W.copy()
    W[:, :6, 2:] = 0.0
    W[:, 6:, :2] = 0.0
    prior = Prior(W=W, H=prior.H, R=prior.R, spots=(0, 1))
    assert _bands_of(W) == [(slice(0, 6), slice(0, 2)), (slice(6, 10), slice(2, 4))]
    model = LogDet(4, 4, jointly=jointly).fit(X, prior)
    # A basis of one more source that is nothing but a trace of itself lies in every band, so that there are none.
    everywhere = np.concatenate([W, np.full((2, 10, 1), 1e-300)], axis=2)
    more_H = np.concatenate([prior.H, np.ones((2, 1, 12))], axis=1)
    whole = LogDet(5, 4, jointly=jointly).fit(X, Prior(W=everywhere, H=more_H, R=prior.R, spots=(0, 1)))
    np.testing.assert_allclose(model.cost_, whole.cost_, rtol=1e-12)
    np.testing.assert_allclose(model.W_ @ model.H_, (whole.W_ @ whole.H_), rtol=1e-9)
    assert np.all(model.W_[:, :6, 2:] == 0)


def test_bases_that_are_widened_between_updates_count_where_they_are(rng):
    X, prior = a_start(rng, 10, 12, 2, 2, 4)
    W = prior.W.copy()
    W[:, :6, 2:] = 0.0
    W[:, 6:, :2] = 0.0
    steps = LogDet(4, 3).iterate(X, Prior(W=W, H=prior.H, R=prior.R, spots=(0, 1)))
    model = next(steps)
    model.W_[:, :6, 3] = model.W_[:, :6].max()
    begun = Prior(W=model.W_.copy(), H=model.H_.copy(), R=model.R_.copy(), spots=(0, 1))
    next(steps)
    np.testing.assert_allclose(model.W_ @ model.H_, (again := LogDet(4, 1).fit(X, begun)).W_ @ again.H_, rtol=1e-6)


@pytest.mark.kernel
@pytest.mark.parametrize("M", [1, 2, 4, 9])
@pytest.mark.parametrize("rank", [None, 1])
def test_riccati(rng, M, rank):
    """R solves its equation, also where the data or the old R are of rank 1."""
    A = random_covariances(rng, M)
    B, old = random_covariances(rng, M, rank=rank), random_covariances(rng, M, rank=rank)
    R = old.copy()
    solve_riccati(A.copy(), B, R)
    np.testing.assert_allclose(R @ A @ R, old @ B @ old, atol=1e-9 * np.abs(old @ B @ old).max())
    np.testing.assert_array_equal(R, R.conj().T)
    assert np.linalg.eigvalsh(R).min() > -1e-12 * np.abs(R).max()


@pytest.mark.kernel
def test_riccati_without_data_leaves_r(rng):
    old = random_covariances(rng, 3)
    R = old.copy()
    solve_riccati(np.zeros((3, 3), complex), np.zeros((3, 3), complex), R)
    np.testing.assert_array_equal(R, old)


@pytest.mark.kernel
@pytest.mark.parametrize("M", [1, 2, 4, 9])
@pytest.mark.parametrize("rank", [None, 1])
def test_riccati_in_lanes(rng, M, rank):
    """R solves its equation, also where the data or the old R are of rank 1."""
    A = random_covariances(rng, 1, 1, M)
    B, old = (random_covariances(rng, 1, 1, M, rank=rank) for _ in range(2))
    R = solved(A, B, old)[0]
    np.testing.assert_allclose(R @ A @ R, old @ B @ old, atol=1e-9 * np.abs(old @ B @ old).max())
    np.testing.assert_array_equal(R, R.conj().swapaxes(-1, -2))
    assert np.linalg.eigvalsh(R).min() > -1e-12 * np.abs(R).max()


@pytest.mark.kernel
def test_riccati_in_lanes_draws_covariances_to_their_anchors(rng):
    """As frames of the source alone would, unless it is to stay or to be left to the data."""
    A, B, old, anchor = (random_covariances(rng, 1, 3, 2) for _ in range(4))
    R, _, _ = solved(A, B, old, anchor, np.array([[0.0, 7.0, np.inf]]))
    np.testing.assert_array_equal(R[:, 2], old[:, 2])
    inverse = np.linalg.inv(old + 1e-6 * np.einsum("gnii->gn", old)[..., None, None] * np.eye(2))
    A[:, 1] += 7 * inverse[:, 1]
    B[:, 1] += 7 * (inverse @ anchor @ inverse)[:, 1]
    np.testing.assert_allclose(R[:, :2], solved(A, B, old)[0][:, :2], rtol=1e-9)


@pytest.mark.kernel
def test_riccati_in_lanes_without_data_leaves_r(rng):
    old, A = random_covariances(rng, 1, 2, 3), random_covariances(rng, 1, 2, 3)
    A[:, 0] = 0
    R, _, seen = solved(A, A, old)
    np.testing.assert_array_equal(R[:, 0], old[:, 0])
    np.testing.assert_array_equal(seen[:, 0], 0)  # what is there stays
    assert np.all(R[:, 1] != old[:, 1])


@pytest.mark.parametrize("block", "WHR")
@pytest.mark.parametrize("rank", [None, 1])
def test_every_update_alone_lowers_the_cost(rng, block, rank):
    X, prior = a_start(rng, 4, 6, 3, 2, 2)
    prior = Prior(W=prior.W, H=prior.H, R=random_covariances(rng, 2, 4, 3, rank=rank), spots=(0, 1))
    model = fit(X, prior.hold(*set("WHR") - {block}), 8)
    assert np.all(np.diff(model.cost_) <= 1e-9 * np.abs(model.cost_[0]))
    assert model.cost_[-1] < model.cost_[0]


def test_cost_never_rises_with_all_free(rng):
    X, _ = a_start(rng, 6, 12, 3, 3, 1)
    model = fit(X, None, 50)
    assert model.cost_.shape == (50,)
    assert np.all(np.diff(model.cost_) <= 1e-12 * X.size)


@pytest.mark.parametrize("held", HOLDS)
def test_cost_is_the_cost_and_held_blocks_stay(X_FTM, start, held):
    X = 3 * X_FTM
    model = fit(X, start.hold(*held), 3)
    power = np.mean(np.abs(X) ** 2, axis=(1, 2))
    floor = FLOOR * power + 1e-12 * power.mean()
    cost = naive.log_det_cost(X, model.W_, model.H_, model.R_, floor) - X.size * np.log(power.mean())
    assert model.cost_[-1] == pytest.approx(cost, rel=1e-9)
    assert np.all(np.diff(model.cost_) <= 1e-12 * X.size)
    for name in "WHR":
        assert np.array_equal(getattr(model, f"{name}_"), getattr(start, name)) == (name in held)


@pytest.mark.parametrize("held", ["", "W", "R", "H"])
def test_normalisation_changes_scales_only(X_FTM, start, held):
    model = fit(X_FTM, start.hold(*held), 1)
    power = np.mean(np.abs(X_FTM) ** 2, axis=(1, 2))
    floor_F = FLOOR * power + 1e-12 * power.mean()
    W, H, R = start.W, start.H, start.R
    if held != "R":
        R = naive.log_det_update_r(X_FTM, W, H, R, floor_F)
    if held != "W":
        W = naive.log_det_update_w(X_FTM, W, H, R, floor_F)
    if held != "H":
        H = naive.log_det_update_h(X_FTM, W, H, R, floor_F)
    expected = np.einsum("nfk,nkt,nfij->nftij", W, H, R)
    modelled = np.einsum("nfk,nkt,nfij->nftij", model.W_, model.H_, model.R_)
    np.testing.assert_allclose(modelled, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    if held not in ("W", "R"):
        np.testing.assert_allclose(np.einsum("nfmm->nf", model.R_).real, 3)
    if held not in ("W", "H"):
        np.testing.assert_allclose(model.W_.sum(axis=1), 1)


def test_inputs_are_untouched(X_FTM, start):
    copies = [a.copy() for a in (X_FTM, start.W, start.H, start.R)]
    fit(X_FTM, start).separate(X_FTM)
    for before, after in zip(copies, (X_FTM, start.W, start.H, start.R)):
        assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("jointly", [False, True])
def test_one_and_two_threads_give_the_same_bytes(rng, jointly):
    X = rng.standard_normal((40, 30, 2)) + 1j * rng.standard_normal((40, 30, 2))

    def result():
        model = LogDet(4, 3, jointly=jointly).fit(X)
        return model.separate(X).tobytes() + model.R_.tobytes()

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = result()
    finally:
        set_num_threads(threads)
    assert result() == one


@pytest.mark.kernel
def test_images_are_those_of_the_multichannel_wiener_filter(X_FTM, start):
    model = fit(X_FTM, start)
    level = np.einsum("nfk,nkt,nfmm->ft", model.W_, model.H_, model.R_).real.mean(axis=1) / 3
    floor = FLOOR * level + 1e-12 * level.mean()
    images = [model.images(X_FTM, n) for n in range(2)]
    for n in range(2):
        wanted = naive.log_det_image(X_FTM, model.W_, model.H_, model.R_, floor, n)
        np.testing.assert_allclose(images[n], wanted, atol=1e-9)
    np.testing.assert_allclose(sum(images), X_FTM, atol=1e-9)
    np.testing.assert_array_equal(model.images(X_FTM, 1, [2, 0]), images[1][..., [2, 0]])
    S_FTN = model.separate(X_FTM)
    np.testing.assert_array_equal(S_FTN, np.stack([images[0][..., 0], images[1][..., 2]], axis=-1))


def test_one_mic_is_itakura_saito_nmf(rng):
    X, prior = a_start(rng, 9, 12, 1, 1, 4)
    model = fit(X, Prior(W=prior.W, H=prior.H, R=np.ones((1, 9, 1, 1))).hold("R"), 2)
    W, H = prior.W[0], prior.H[0]
    for _ in range(2):
        W, H = naive.itakura_saito_update(np.abs(X[..., 0]) ** 2, W, H)
    np.testing.assert_allclose(model.W_[0] @ model.H_[0], W @ H, rtol=1e-5)


def test_diagonal_covariances_of_all_frequencies_are_fastmnmf2_that_demixes_nothing(rng):
    X, prior = a_start(rng, 5, 8, 3, 2, 4)
    G = rng.uniform(0.2, 1, (2, 3))
    G /= G.sum(axis=1, keepdims=True)
    common = Prior(W=prior.W, H=prior.H, spots=(0, 1))
    R = np.tile(np.eye(3), (2, 5, 1, 1)) * G[:, None, :, None]
    full = fit(X, (common | Prior(R=R)).hold("R"), 4)
    fast = FastMNMF2(4, 4).fit(X, (common | Prior(G=G, Q=np.tile(np.eye(3), (5, 1, 1)))).hold("G", "Q"))
    np.testing.assert_allclose(full.cost_, fast.cost_, rtol=1e-6)
    power = np.mean(np.abs(X) ** 2)  # in units of which FastMNMF2 keeps H
    np.testing.assert_allclose(power * full.W_, fast.W_, rtol=1e-4)
    np.testing.assert_allclose(full.H_, power * fast.H_, rtol=1e-4)
    np.testing.assert_allclose(full.separate(X), fast.separate(X), atol=1e-5)


def test_fit_commutes_with_permutations_rotations_and_scale(rng):
    X, prior = a_start(rng, 5, 8, 3, 2, 2)
    there = fit(X, prior, 5)
    U = np.linalg.qr(rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3)))[0]
    for turn in (np.eye(3)[[2, 0, 1]], U):
        R = turn @ prior.R @ turn.conj().T
        here = fit(X @ turn.T, Prior(W=prior.W, H=prior.H, R=R, spots=(0, 1)), 5)
        np.testing.assert_allclose(here.cost_, there.cost_, rtol=1e-9)
        np.testing.assert_allclose(here.W_, there.W_, rtol=1e-6)
        np.testing.assert_allclose(here.R_, turn @ there.R_ @ turn.conj().T, atol=1e-6)
        np.testing.assert_allclose(here.images(X @ turn.T, 1), there.images(X, 1) @ turn.T, atol=1e-7)
    louder = fit(32768 * X, Prior(W=prior.W * 32768**2, H=prior.H, R=prior.R, spots=(0, 1)), 5)
    np.testing.assert_allclose(louder.cost_, there.cost_, rtol=1e-9)
    np.testing.assert_allclose(louder.separate(32768 * X), 32768 * there.separate(X), rtol=1e-6)


def test_random_start_has_the_power_of_the_mixture(X_FTM):
    np.testing.assert_allclose(fit(1e6 * X_FTM).separate(1e6 * X_FTM), 1e6 * fit(X_FTM).separate(X_FTM), rtol=1e-6)


def test_silence_in_silence_out():
    X = np.zeros((4, 6, 2), complex)
    model = fit(X)
    assert not model.separate(X).any()
    assert np.isfinite(model.cost_).all()


def degenerate(X_FTM, kind):
    X = X_FTM.copy()
    if kind == "silent mic":
        X[..., 0] = 0
    elif kind == "copied mic":
        X[..., 0] = X[..., 2]
    elif kind == "silent frames":
        X[:, 4:] = 0
    elif kind == "silent frequency":
        X[3] = 0
    return X


@pytest.mark.parametrize("kind", ["silent mic", "copied mic", "silent frames", "silent frequency"])
@pytest.mark.parametrize("rank", [None, 1])
def test_degenerate_data_give_finite_results_at_falling_cost(rng, X_FTM, kind, rank):
    X = degenerate(X_FTM, kind)
    R = random_covariances(rng, 2, 7, 3, rank=rank)
    model = fit(X, Prior(R=R, spots=(0, 2)), 15)
    assert np.isfinite(model.R_).all()
    if kind == "silent mic":
        assert not model.images(X, 1, [0]).any()
    total = model.images(X, 0) + model.images(X, 1)
    np.testing.assert_allclose(total, X, atol=1e-6)
    assert np.all(np.diff(model.cost_) <= 1e-7 * np.abs(model.cost_[0]))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (1, 5, 2)])
def test_tiny_shapes(rng, shape):
    X = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    assert np.isfinite(fit(X).separate(X)).all()


def test_more_sources_than_mics(rng, X_FTM):
    model = fit(X_FTM, Prior(W=rng.uniform(0.1, 1, (5, 7, 2)), spots=(0, 1, 2, 0, 1)).hold("W"))
    np.testing.assert_allclose(sum(model.images(X_FTM, n) for n in range(5)), X_FTM, atol=1e-9)


def test_complex64_is_close_to_complex128(X_FTM, start):
    single = fit(X_FTM.astype(np.complex64), start)
    S = single.separate(X_FTM.astype(np.complex64))
    assert S.dtype == np.complex64
    np.testing.assert_allclose(S, fit(X_FTM, start).separate(X_FTM), atol=2e-5)


def test_save_and_load(tmp_path, X_FTM, start):
    model = fit(X_FTM, start)
    model.save(tmp_path / "model.npz")
    loaded = FullRankMNMF.load(tmp_path / "model.npz")
    assert loaded.divergence == "log-det"
    assert loaded.separate(X_FTM).tobytes() == model.separate(X_FTM).tobytes()


def test_callback_can_stop(X_FTM):
    model = LogDet(2, 10).fit(X_FTM, callback=lambda done, cost: done == 3)
    assert model.cost_.shape == (3,)


def test_unknown_divergence_is_refused(X_FTM):
    with pytest.raises(ArgumentError, match="divergence must be one of euclidean, log-det"):
        FullRankMNMF(2, divergence="kl").fit(X_FTM)


@pytest.mark.kernel
def test_no_pivot_is_less_than_the_floor():
    """Rounding makes a covariance indefinite; its logarithm and its inverse must still be numbers."""
    R = np.array([[1.0, 1.0 + 1e-9], [1.0 + 1e-9, 1.0]], complex)[None, None]
    X = np.ones((1, 3, 2), complex)
    W, H, floor_F = np.full((1, 1, 1), 1e9), np.ones((1, 1, 3)), np.array([1e-3])
    cost, over, under = logdet.sweep(X, W, H, R.copy(), floor_F, False, False, True)
    assert np.isfinite(cost)
    assert np.isfinite(over).all()
    assert np.isfinite(under).all()
    # The first pivot is λ + ε, the second one the floor.
    inverse = np.linalg.inv([[1e9 + 1e-3, 1e9 + 1], [1e9 + 1, (1e9 + 1) ** 2 / (1e9 + 1e-3) + 1e-3]])
    form = np.ones(2) @ inverse @ np.ones(2)
    assert cost == pytest.approx(3 * (np.log(1e9) + np.log(1e-3) + form), rel=1e-3)


@pytest.mark.kernel
def test_the_riccati_equation_has_a_semidefinite_solution_whatever_rounding_makes_of_it():
    R = np.eye(2, dtype=complex)
    solve_riccati(np.eye(2, dtype=complex), np.diag([4.0, -1e-9]).astype(complex), R)
    np.testing.assert_allclose(R, np.diag([2.0, 0.0]), atol=1e-12)
    one = np.eye(2, dtype=complex)[None, None]
    R, _, _ = solved(one, np.diag([4.0, -1e-9])[None, None] * one, one)
    np.testing.assert_allclose(R[0, 0], np.diag([2.0, 0.0]), atol=1e-12)


@pytest.mark.kernel
@pytest.mark.parametrize("M", [8, 9, 20])
def test_determinants_of_many_mics_do_not_overflow(M):
    """Pivots are multiplied before the logarithm is taken, eight of them: that is what a double holds of 10³⁸."""
    X = np.zeros((1, 2, M), complex)
    W, H, floor_F = np.full((1, 1, 1), 1e18), np.ones((1, 1, 2)), np.array([1e-20])
    cost, _, _ = logdet.sweep(X, W, H, np.eye(M, dtype=complex)[None, None], floor_F, False, False, False)
    assert cost == pytest.approx(2 * M * np.log(1e18), rel=1e-12)
