"""Steps of numpy that threads take in blocks: the same bytes as in one piece, on any number of threads."""

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from mnmf import priors
from mnmf.errors import ArgumentError, check_spectrogram
from mnmf.kernels import _threads
from mnmf.models import _held_out, _start, fastmnmf2, fullrank, presence
from mnmf.models._pull import Pull
from mnmf.priors._spot import dominated
from mnmf.stft import STFT

F, T, M, N, K = 60, 30, 3, 2, 4


def complexes(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def covariances(rng):
    root = complexes(rng, N, F, M, M)
    return root @ root.conj().swapaxes(2, 3)


def panning(rng):
    return (priors.spot_panning(complexes(rng, F, T, M), [2, 0]).G,)


def channels(rng):
    X_FTM, Q = complexes(rng, F, T, M).astype(np.complex64), complexes(rng, F, M, M)
    shares = rng.uniform(size=(N, F, T))
    plain = dominated(X_FTM, Q, 2.0, None, np.ones(N))
    sharp = dominated(X_FTM, Q, 1.0, shares, np.array([0.3, 0.8]), sharpness=2.5)
    return *plain, *sharp


def power_sums(rng):
    X_FTM = complexes(rng, F, T, M)
    return _start.power_sums(X_FTM), _start.power_sums(X_FTM, rng.uniform(size=(T, M)) < 0.7)


def full_rank(rng):
    W, H, R = rng.uniform(size=(N, F, K)), rng.uniform(size=(N, K, T)), covariances(rng).swapaxes(0, 1).copy()
    R[3] = W[0, :, 1] = 0
    fullrank._normalise(W, H, R, frozenset())
    np.testing.assert_allclose(np.einsum("fnii->fn", R).real[4:], M)
    np.testing.assert_allclose(W.sum(axis=1)[1], 1)
    return W, H, R


def fast(rng):
    W, H, G, Q = (
        rng.uniform(size=(N, F, K)),
        rng.uniform(size=(N, K, T)),
        rng.uniform(size=(N, M)),
        complexes(rng, F, M, M),
    )
    fastmnmf2._normalise(W, H, G, Q, frozenset())
    np.testing.assert_allclose(np.sum(np.abs(Q) ** 2, axis=(1, 2)), M)
    np.testing.assert_allclose([*W.sum(axis=1).ravel(), *G.sum(axis=1)], 1)
    return W, H, G, Q


def pull(rng):
    pulled = Pull(complexes(rng, F, M, M), np.arange(M), T)
    for _ in range(4):
        pulled.arrays.deviation_FMM[:] = complexes(rng, F, M, M)
        pulled.learn()
    return pulled.gains_M, pulled.arrays.base_FMM, pulled.arrays.mixing_FMM, pulled.arrays.precision_FMM


def likelihoods(rng):
    X_FTM, P_NFT, floor_F = complexes(rng, F, T, M), rng.gamma(0.5, size=(N, F, T)), rng.uniform(size=F)
    R_FNMM = covariances(rng).swapaxes(0, 1)
    total_F = _held_out._log_likelihood(X_FTM, P_NFT, R_FNMM, floor_F)
    R_NMM = R_FNMM[7] + 0.01 * np.einsum("nmm->n", R_FNMM[7]).real[:, None, None] / M * np.eye(M)
    model_TMM = np.einsum("nt,nij->tij", P_NFT[:, 7], R_NMM) + floor_F[7] * np.eye(M)
    fit_T = [(x_M.conj() @ np.linalg.inv(model_MM) @ x_M).real for x_M, model_MM in zip(X_FTM[7], model_TMM)]
    np.testing.assert_allclose(total_F[7], -np.sum(fit_T) - np.sum(np.linalg.slogdet(model_TMM)[1]))
    return (total_F,)


def solos(rng):
    X_FTM = complexes(rng, F, T, M)
    known = X_FTM, [slice(0, 12), slice(12, T)], [0, 2]
    return priors.solo(*known).Q, priors.likely_covariances(*known).R


def present(rng):
    W, H, R = rng.uniform(size=(N, F, K)), rng.gamma(0.05, size=(N, K, T)), covariances(rng)
    return (presence(W, H, R, [0, 2], np.array([0, 9, 10, F])),)


def waveforms(rng):
    stft = STFT(16, 4)
    X_FTM = stft.analyse(rng.standard_normal((500, M)))
    return X_FTM, stft.synthesise(X_FTM, 500), stft.synthesise(X_FTM[..., 1], 500)


STEPS = panning, channels, power_sums, full_rank, fast, pull, likelihoods, solos, present, waveforms


@pytest.mark.parametrize("step", STEPS)
def test_blocks_and_threads_change_no_bit(monkeypatch, step):
    def results():
        return [array.tobytes() for array in step(np.random.default_rng(0))]

    whole = results()
    monkeypatch.setattr("mnmf.kernels._threads.BLOCK", 3000)
    monkeypatch.setattr("mnmf.stft.AT_A_TIME", 1000)
    monkeypatch.setattr("mnmf.stft.BLOCK", 7)
    assert results() == whole
    threads = get_num_threads()
    try:
        set_num_threads(1)
        assert results() == whole
    finally:
        set_num_threads(threads)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (7, 0), (1000, 40), (3, 200000)])
def test_blocks_cover_an_axis_in_order(shape):
    blocks = _threads.in_blocks(lambda block: block, np.zeros(shape))
    assert [i for block in blocks for i in range(block.start, block.stop)] == list(range(shape[0]))


def test_one_bad_matrix_or_number_of_many_is_seen(rng, monkeypatch):
    monkeypatch.setattr("mnmf.kernels._threads.BLOCK", 3000)
    monkeypatch.setattr("mnmf.errors.AT_A_TIME", 50)
    good = covariances(rng)
    assert _start.check_covariances("R", good, (N, F, M)) is good
    skew, negative, X_FTM = good.copy(), good.copy(), complexes(rng, F, T, M)
    skew[1, 33, 0, 1] += 1
    negative[1, 33] *= -1
    for bad, why in ((skew, "Hermitian"), (negative, "semidefinite")):
        with pytest.raises(ArgumentError, match=why):
            _start.check_covariances("R", bad, (N, F, M))
    assert check_spectrogram(X_FTM) is X_FTM
    for array in (X_FTM, X_FTM.transpose(1, 0, 2)):  # of which one is contiguous
        for at in ((3, 5, 1), (-1, -1, -1)):
            array[at] = complex(0, np.inf)
            with pytest.raises(ArgumentError, match="infinite"):
                check_spectrogram(array)
            array[at] = 0
