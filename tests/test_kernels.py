"""Each kernel compared with plain loops; also run with the JIT off."""

import threading
import time

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads
from scipy.optimize import nnls as scipy_nnls

from mnmf.kernels import beta as beta_kernels
from mnmf.kernels import fastmnmf2, fullrank, nnls, one_blas_thread
from mnmf.kernels._rows import solve
from mnmf.kernels._threads import share_out
from mnmf.kernels.hermitian import nearest_psd
from mnmf.kernels.matmul import matmul
from mnmf.kernels.scm import quadratic_forms, weighted_covariances
from tests.reference import fastmnmf2 as naive_fast
from tests.reference import fullrank as naive
from tests.reference import nmf as naive_nmf

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 3, 5), (65, 7, 2), (200, 10, 30)])
def test_matmul(rng, shape):
    rows, inner, columns = shape
    A, B = rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns))
    np.testing.assert_allclose(matmul(A, B), A @ B, rtol=1e-12, atol=1e-12)


def test_quadratic_forms(X_FTM, start):
    expected = np.einsum("ftm,fmn,ftn->ft", X_FTM.conj(), start.R[0], X_FTM).real
    np.testing.assert_allclose(quadratic_forms(X_FTM, start.R[0]), expected, rtol=1e-12)


def test_quadratic_forms_are_never_negative(X_FTM):
    v = np.linalg.qr(X_FTM[0, :3, :].T)[0][:, 0]
    R = np.tile(np.outer(v, v.conj()), (len(X_FTM), 1, 1))
    orthogonal = X_FTM - (X_FTM @ v.conj())[..., None] * v
    assert quadratic_forms(orthogonal, R).min() >= 0


def test_weighted_covariances(rng, X_FTM):
    weights = rng.uniform(0, 1, X_FTM.shape[:2])
    result = weighted_covariances(X_FTM, weights)
    expected = np.einsum("ft,fti,ftj->fij", weights, X_FTM, X_FTM.conj())
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(result, result.conj().swapaxes(-1, -2))


def test_nearest_psd(rng):
    A = rng.standard_normal((20, 4, 4)) + 1j * rng.standard_normal((20, 4, 4))
    P = nearest_psd(A)
    np.testing.assert_array_equal(P, P.conj().swapaxes(-1, -2))
    assert np.linalg.eigvalsh(P).min() > -1e-12
    np.testing.assert_allclose(nearest_psd(P), P, atol=1e-12)  # a projection
    hermitian = (A + A.conj().swapaxes(-1, -2)) / 2
    # what is cut off is negative semidefinite and orthogonal to what stays
    assert np.linalg.eigvalsh(hermitian - P).max() < 1e-12
    np.testing.assert_allclose(np.einsum("nij,nji->n", P, hermitian - P), 0, atol=1e-10)


def test_rooted_outer_product_is_the_observed_covariance(X_FTM):
    rooted = fullrank.rooted(X_FTM)
    for f, t in [(0, 0), (6, 10)]:
        outer = np.outer(rooted[f, t], rooted[f, t].conj())
        np.testing.assert_allclose(outer, naive.observed(X_FTM[f, t]), rtol=1e-12)
    assert not fullrank.rooted(np.zeros((1, 1, 2), complex)).any()


def test_update_h_is_eq_5(X_FTM, start):
    rooted = fullrank.rooted(X_FTM)
    problem = fullrank.activation_problem(rooted, start.W, start.R)
    H, cost = fullrank.update_h(start.H, *problem)
    np.testing.assert_allclose(H, naive.update_h(X_FTM, start.W, start.H, start.R), rtol=1e-9)
    assert cost + constant(X_FTM) == pytest.approx(naive.cost(X_FTM, start.W, H, start.R), rel=1e-10)


def test_update_w_is_eq_5_transposed(X_FTM, start):
    W, cost = fullrank.update_w(fullrank.rooted(X_FTM), start.W, start.H, start.R)
    np.testing.assert_allclose(W, naive.update_w(X_FTM, start.W, start.H, start.R), rtol=1e-9)
    assert cost + constant(X_FTM) == pytest.approx(naive.cost(X_FTM, W, start.H, start.R), rel=1e-10)


def test_update_r_is_eq_6_or_a_step_towards_it(X_FTM, start):
    R, cost = fullrank.update_r(fullrank.rooted(X_FTM), start.W, start.H, start.R)
    target = naive.r_candidate(X_FTM, start.W, start.H, start.R)
    assert cost + constant(X_FTM) == pytest.approx(naive.cost(X_FTM, start.W, start.H, R), rel=1e-9)
    steps = []
    for f in range(len(X_FTM)):
        way, gone = target[:, f] - start.R[:, f], R[:, f] - start.R[:, f]
        step = np.vdot(way, gone).real / np.vdot(way, way).real
        np.testing.assert_allclose(gone, step * way, atol=1e-6 * np.abs(way).max())
        steps.append(round(step, 6))
    assert 1.0 in steps  # where eq. 6 lowers the cost it is taken as it stands
    assert set(steps) <= {0.0} | {2.0**-i for i in range(fullrank.HALVINGS + 1)}


@pytest.mark.parametrize("halvings", [None, 0])
def test_update_r_goes_less_far_where_eq_6_would_raise_the_cost(rng, X_FTM, start, monkeypatch, halvings):
    """And nowhere, if no part of the way may be tried."""
    if halvings is not None:
        monkeypatch.setattr(fullrank, "HALVINGS", halvings)
    X = X_FTM[:1]
    moved = []
    for _ in range(12):
        W, H = rng.uniform(0, 1, (2, 1, 4)) ** 4, rng.uniform(0, 1, start.H.shape) ** 4
        R = start.R[:, :1]
        for _ in range(6):
            before = naive.cost(X, W, H, R)
            raised = naive.cost(X, W, H, naive.r_candidate(X, W, H, R)) > before * (1 + 1e-9)
            new, cost = fullrank.update_r(fullrank.rooted(X), W, H, R)
            assert cost + constant(X) <= before * (1 + 1e-12)
            assert cost + constant(X) == pytest.approx(naive.cost(X, W, H, new), rel=1e-9)
            moved += [not np.array_equal(new, R)] if raised else []
            R = new
    assert moved, "no case in which eq. 6 alone raises the cost: the test shows nothing"
    assert any(moved) == (halvings is None)


@pytest.mark.parametrize("block", ["h", "w", "r"])
def test_every_update_alone_lowers_the_cost(X_FTM, start, block):
    rooted = fullrank.rooted(X_FTM)
    W, H, R = start.W, start.H, start.R
    costs = [naive.cost(X_FTM, W, H, R)]
    for _ in range(4):
        if block == "h":
            H, cost = fullrank.update_h(H, *fullrank.activation_problem(rooted, W, R))
        elif block == "w":
            W, cost = fullrank.update_w(rooted, W, H, R)
        else:
            R, cost = fullrank.update_r(rooted, W, H, R)
        costs.append(cost + constant(X_FTM))
    assert np.all(np.diff(costs) <= 1e-12 * costs[0])
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_beta_nmf_update(rng, beta):
    V, W, H = rng.uniform(0.1, 1, (70, 9)), rng.uniform(0.1, 1, (70, 3)), rng.uniform(0.1, 1, (3, 9))
    Ht = np.ascontiguousarray(H.T)
    new = beta_kernels.update_columns(V, W, Ht, beta).T
    np.testing.assert_allclose(new, naive_nmf.update_h(V, W, H, beta), rtol=1e-9)
    # the other factor is the same function of the transposed problem
    new_w = beta_kernels.update_rows(V, W, Ht, beta)
    np.testing.assert_allclose(new_w, naive_nmf.update_h(V.T, H.T, W.T, beta).T, rtol=1e-9)
    before = sum(naive_nmf.divergence(v, y, beta) for v, y in zip(V.flat, (W @ H).flat))
    after = sum(naive_nmf.divergence(v, y, beta) for v, y in zip(V.flat, (W @ new).flat))
    assert after < before
    assert beta_kernels.beta_divergence(V, W @ H, beta) == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_part_is_done_once_and_errors_get_out(threads):
    done = []
    before = get_num_threads()
    try:
        set_num_threads(min(threads, before))
        share_out(done.append, 5)
        with pytest.raises(ZeroDivisionError):
            share_out(lambda part: 1 // part, 3)
    finally:
        set_num_threads(before)
    assert sorted(done) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [(1, 1), (beta_kernels.DEPTH + 3, beta_kernels.TILE + 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_beta_nmf_of_any_size_and_type(rng, size, dtype):
    V = rng.uniform(0.1, 1, size).astype(dtype)
    A, B = rng.uniform(0.1, 1, (size[0], 3)).astype(dtype), rng.uniform(0.1, 1, (size[1], 3)).astype(dtype)
    Y = A.astype(float) @ B.T
    expected = A * ((V * Y**-1.5 @ B) / (Y**-0.5 @ B)) ** (2 / 3)
    new = beta_kernels.update_rows(V, A, B, 0.5)
    assert new.dtype == dtype
    np.testing.assert_allclose(new, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
    same = beta_kernels.update_columns(np.ascontiguousarray(V.T), B, A, 0.5)
    np.testing.assert_allclose(same, new, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.skipif(get_num_threads() < 2, reason="one thread does one part at a time")
def test_an_error_does_not_wait_for_the_parts_under_way():
    release = threading.Event()

    def work(part):
        if part == 0:
            raise ZeroDivisionError
        release.wait(20)

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        share_out(work, 4)
    waited = time.monotonic() - start
    release.set()
    assert waited < 10


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_tiles_of_nmf_are_updated_alike_in_one_call_and_in_many(rng, monkeypatch, kind):
    V, W, Ht = (rng.random(shape).astype(kind) for shape in ((300, 230), (300, 4), (230, 4)))
    for update in (beta_kernels.update_rows, beta_kernels.update_columns):
        in_one = update(V, W, Ht, 0.5)
        with monkeypatch.context() as context:
            context.setattr(beta_kernels, "PRODUCTS", 1)
            assert np.array_equal(update(V, W, Ht, 0.5), in_one)


def test_thread_count_changes_no_bit(rng, X_FTM, start):
    X = fullrank.rooted(np.tile(X_FTM, (20, 30, 1)))
    W = rng.uniform(0, 1, (140, 8))
    H = rng.uniform(0, 1, (8, 330))
    Ht = np.ascontiguousarray(H.T)
    V = np.abs(X[..., 0])

    def everything():
        with one_blas_thread():
            P = matmul(W, H)
            return [
                P,
                weighted_covariances(X, P),
                quadratic_forms(X, np.tile(start.R[0], (20, 1, 1))),
                beta_kernels.update_rows(V, W, Ht, 1.0),
                beta_kernels.update_columns(V, W, Ht, 0.5),
            ]

    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = everything()
    finally:
        set_num_threads(threads)
    for a, b in zip(one, everything()):
        assert a.tobytes() == b.tobytes()


def constant(X_FTM):
    return sum(np.sum(np.abs(naive.observed(x_M)) ** 2) for x_M in X_FTM.reshape(-1, X_FTM.shape[2]))


def note_bases(n_frequencies, n_bases):
    """Harmonic bases, neighbours a quarter-tone apart: condition numbers of some 10⁴."""
    f = np.arange(n_frequencies)[:, None]
    pitch = 6 * 2 ** (np.arange(n_bases) / 24)
    return sum(np.exp(-((f - h * pitch) ** 2) / 8) / h**2 for h in range(1, 8))


def least_squares_problem(rng, kind):
    """Bases and spectra: noise, harmonic notes, more bases than frequencies, or bases that come twice or are empty."""
    F, K, T = {"noise": (40, 9, 50), "notes": (200, 40, 40), "wide": (12, 30, 50), "twins": (20, 8, 30)}[kind]
    W = note_bases(F, K) if kind == "notes" else rng.uniform(0, 1, (F, K))
    if kind == "twins":
        W[:, 5], W[:, 2], W[:, 7] = W[:, 1], 0.0, W[:, 0] + W[:, 3]
    V = (W @ rng.uniform(0, 1, (K, T)) ** 6) * rng.exponential(1, (F, T))
    return W, V


@pytest.mark.parametrize("kind", ["noise", "notes", "wide", "twins"])
def test_least_squares_are_as_small_as_scipys_and_meet_their_conditions(rng, kind):
    W, V = least_squares_problem(rng, kind)
    A, B = W.T @ W, np.ascontiguousarray(V.T @ W)
    X = nnls.solve(A, B)
    expected = np.stack([scipy_nnls(W, v)[0] for v in V.T])
    np.testing.assert_allclose(
        np.linalg.norm(V - W @ X.T, axis=0), np.linalg.norm(V - W @ expected.T, axis=0), rtol=1e-9
    )
    if kind in ("noise", "notes"):  # where the solution is unique
        np.testing.assert_allclose(X, expected, rtol=1e-7, atol=1e-7)
    assert X.min() >= 0
    gradient = (X @ A - B) / B.max(axis=1, keepdims=True)
    assert gradient.min() > -1e-9
    assert np.abs(gradient[X > 0]).max() < 1e-9
    assert np.any(X == 0)


def test_degenerate_least_squares():
    A = np.array([[2.0, 1.0], [1.0, 2.0]])
    X = nnls.solve(A, np.array([[0.0, 0.0], [-1.0, -2.0], [2.0, 1.0], [1.0, -5.0]]))
    np.testing.assert_allclose(X, [[0, 0], [0, 0], [1, 0], [0.5, 0]], atol=1e-12)
    assert not nnls.solve(np.zeros((3, 3)), np.zeros((2, 3))).any()
    assert nnls.solve(np.eye(2), np.zeros((0, 2))).shape == (0, 2)


def test_least_squares_on_one_and_two_threads_give_the_same_bytes(rng):
    W, V = least_squares_problem(rng, "notes")
    A, B = W.T @ W, np.ascontiguousarray(np.tile(V.T, (10, 1)) @ W)
    threads = get_num_threads()
    try:
        set_num_threads(1)
        one = nnls.solve(A, B).tobytes()
    finally:
        set_num_threads(threads)
    assert nnls.solve(A, B).tobytes() == one


def complex_noise(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def pull_problem(rng, M):
    """Return Q, covariances, where Q is pulled to, and precisions, of one frequency of 30 frames' worth."""
    x_TM = complex_noise(rng, 40, M)
    weights_TM = rng.uniform(0.1, 3, (40, M))
    V_MMM = np.einsum("tm,ti,tj->mij", weights_TM, x_TM, x_TM.conj()) / 40
    base_MM = np.eye(M) + 0.4 * complex_noise(rng, M, M)
    return base_MM + 0.3 * complex_noise(rng, M, M), V_MMM, base_MM, rng.uniform(1, 100, (M, M))


def pull(Q_MM, V_MMM, base_MM, precision_MM, n_frames=30.0):
    """Run `pull_rows` on copies, at the second of three frequencies; return Q, deviations and variances."""
    M = len(Q_MM)
    arrays = fastmnmf2.PullArrays(
        np.stack([0 * base_MM, base_MM, 0 * base_MM]),
        np.stack([0 * base_MM, np.linalg.inv(base_MM), 0 * base_MM]),
        np.stack([0 * precision_MM, precision_MM, 0 * precision_MM]),
        np.full((3, M, M), 7.0 + 0j),
        np.full((3, M, M), 7.0),
        n_frames,
    )
    Q_MM = Q_MM.astype(complex)
    fastmnmf2.pull_rows(Q_MM, V_MMM.astype(complex), arrays, 1)
    for written_FMM in (arrays.deviation_FMM, arrays.variance_FMM):
        assert np.all(written_FMM[[0, 2]] == 7)  # another frequency's
    return Q_MM, arrays.deviation_FMM[1], arrays.variance_FMM[1]


@pytest.mark.parametrize("M", [1, 2, 3, 4])
def test_pulled_rows_are_the_minima_of_their_cost(rng, M):
    Q, V, base, precision = pull_problem(rng, M)
    expected = naive_fast.pull_rows(Q, V, base, precision, 30.0)
    for result, wanted in zip(pull(Q, V, base, precision), expected):
        np.testing.assert_allclose(result, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("M", [3, 4])
def test_a_pull_lowers_the_pulled_cost_to_where_no_row_alone_can_lower_it(rng, M):
    Q, V, base, precision = pull_problem(rng, M)
    own_M = np.abs(np.diag(Q @ np.linalg.inv(base))) ** 2

    def cost(Q_MM):
        return naive_fast.pulled_cost(Q_MM, V, base, precision, 30.0, own_M)

    new, _, _ = pull(Q, V, base, precision)
    assert cost(new) < cost(Q) - 1
    for _ in range(20):
        nudged = new.copy()
        nudged[M - 1] += 1e-3 * complex_noise(rng, M)  # the last row that was updated
        assert cost(nudged) > cost(new)


@pytest.mark.parametrize("M", [3, 4])
def test_a_pull_without_precision_is_none_and_one_of_any_keeps_the_rows(rng, M):
    Q, V, base, precision = pull_problem(rng, M)
    free = Q.copy()
    fastmnmf2.project_rows(free, V.copy())
    np.testing.assert_allclose(pull(Q, V, base, 0 * precision)[0], free, rtol=1e-6, atol=1e-9)
    stiff, deviation, variance = pull(Q, V, base, 1e9 * precision)
    scale_M = stiff[:, 0] / base[:, 0]
    np.testing.assert_allclose(stiff, scale_M[:, None] * base, atol=1e-6)
    np.testing.assert_allclose(deviation, np.eye(M), atol=1e-6)
    np.testing.assert_allclose(variance, 1e-9 / precision, rtol=1e-3)
    # Between the two: nearer to the base than without a pull.
    between, nothing = (np.abs(pull(Q, V, base, c * precision)[1]) ** 2 - np.eye(M) for c in (1, 0))
    assert 1e-9 < np.sum(between) < np.sum(nothing)


def test_equations_whose_diagonal_has_zeros_are_solved(rng):
    A_MM, q_M = complex_noise(rng, 4, 4), complex_noise(rng, 4)
    A_MM[range(4), range(4)] = 0.0
    x_M = q_M.copy()
    assert solve(A_MM.copy(), x_M)
    np.testing.assert_allclose(A_MM @ x_M, q_M, rtol=1e-9)
    A_MM[:, 2] = 0.0
    assert not solve(A_MM, x_M)


def test_rows_that_hear_nothing_stay_and_tell_nothing_of_the_spread(rng):
    Q, V, base, precision = pull_problem(rng, 3)
    for _ in range(3):  # the rows would grow each time
        new, _, variance = pull(Q, 0 * V, base, precision)
        np.testing.assert_allclose(new, Q, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(variance, 1 / precision, rtol=1e-12)
        Q = new
