"""Seconds of one iteration of log-determinant full-rank MNMF: ours beside plain numpy, and ssspy's if it is installed.

All in one process and in turn, so that whatever else the machine does slows all of them; minima over the repetitions.
Each updates W, H and R once.  On one thread, and all in double precision.
"""

import os
from collections.abc import Callable

import numpy as np
from _iterations import mixture, seconds_of
from numba import get_num_threads, set_num_threads
from threadpoolctl import threadpool_limits

from mnmf.kernels import logdet

SIZES = [(1025, 650, 4, 8)]  # F, T, M = N, K
BLOCK = 128  # frequencies that plain numpy takes at once; more of them would be no quicker and need gigabytes


def starting_values(
    X_FTM: np.ndarray, K: int, rng: np.random.Generator, n_sources: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W, H and R, the latter near the identity and (F, N, M, M)."""
    F, T, M = X_FTM.shape
    N = n_sources or M
    W = rng.uniform(0.5, 1.5, (N, F, K))
    H = rng.uniform(0.5, 1.5, (N, K, T)) / K
    root = rng.standard_normal((F, N, M, M)) + 1j * rng.standard_normal((F, N, M, M))
    return W, H, np.eye(M) + root @ root.conj().swapaxes(-1, -2) / M


def our_iteration(X_FTM: np.ndarray, W: np.ndarray, H: np.ndarray, R: np.ndarray) -> Callable[[], None]:
    """Return a function that updates all in place."""
    floor_F = np.full(len(X_FTM), 1e-7)

    def iteration() -> None:
        _, over, under = logdet.sweep(X_FTM, W, H, R, floor_F, True, True, True)
        H[:] *= np.sqrt(over / under)

    return iteration


def plain_iteration(X_FTM: np.ndarray, W: np.ndarray, H: np.ndarray, R: np.ndarray) -> Callable[[], None]:
    """Return a function that does the same in einsum and numpy's linear algebra, block by block."""
    F, _, M = X_FTM.shape
    floor = 1e-7 * np.eye(M)

    def solved(part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        P_NFT = np.matmul(W[:, part], H)
        model = np.einsum("nft,fnij->ftij", P_NFT, R[part], optimize=True) + floor
        Z_FTMM = np.linalg.inv(model)
        return P_NFT, Z_FTMM, np.einsum("ftij,ftj->fti", Z_FTMM, X_FTM[part], optimize=True)

    def ratios(part: slice) -> tuple[np.ndarray, np.ndarray]:
        _, Z_FTMM, y_FTM = solved(part)
        over = np.einsum("fti,fnij,ftj->nft", y_FTM.conj(), R[part], y_FTM, optimize=True).real
        return over, np.einsum("ftij,fnji->nft", Z_FTMM, R[part], optimize=True).real

    def iteration() -> None:
        over_H, under_H = np.zeros_like(H), np.zeros_like(H)
        for first in range(0, F, BLOCK):
            part = slice(first, min(first + BLOCK, F))
            P_NFT, Z_FTMM, y_FTM = solved(part)
            A = np.einsum("nft,ftij->fnij", P_NFT, Z_FTMM, optimize=True)
            B = np.einsum("nft,fti,ftj->fnij", P_NFT, y_FTM, y_FTM.conj(), optimize=True)
            root = np.linalg.cholesky(A)
            half = R[part] @ root
            values, vectors = np.linalg.eigh(half.conj().swapaxes(-1, -2) @ B @ half)
            back = np.linalg.solve(root.conj().swapaxes(-1, -2), vectors)
            new = (back * np.sqrt(np.maximum(values, 0))[..., None, :]) @ back.conj().swapaxes(-1, -2)
            R[part] = new
            over, under = ratios(part)
            H_NTK = H.swapaxes(1, 2)
            W[:, part] *= np.sqrt((over @ H_NTK) / (under @ H_NTK))
            over, under = ratios(part)
            W_NKF = W[:, part].swapaxes(1, 2)
            over_H += W_NKF @ over
            under_H += W_NKF @ under
        H[:] *= np.sqrt(over_H / under_H)

    return iteration


def their_seconds(X_FTM: np.ndarray, K: int) -> float | None:
    """Return the seconds of one iteration of ssspy's GaussMNMF: two runs' difference; None if it is not installed."""
    try:
        from ssspy.bss.mnmf import GaussMNMF
    except ImportError:
        return None
    X_MFT = np.ascontiguousarray(X_FTM.transpose(2, 0, 1))

    def run(n_iterations: int) -> None:
        GaussMNMF(n_basis=K, record_loss=False, rng=np.random.default_rng(0))(X_MFT, n_iter=n_iterations)

    return seconds_of(lambda: run(1)) - seconds_of(lambda: run(0))


def log_det_side_by_side(repetitions: int, sizes: list[tuple[int, int, int, int]] = SIZES) -> list[dict]:
    """Measure all at these sizes on one thread; what plain numpy and we make of the same start is compared too."""
    rng = np.random.default_rng(0)
    available = get_num_threads()
    records = []
    set_num_threads(1)
    with threadpool_limits(1):
        for F, T, M, K in sizes:
            X_FTM = mixture(F, T, M, np.complex128, rng)
            start = starting_values(X_FTM, K, rng)
            mine, plain = [a.copy() for a in start], [a.copy() for a in start]
            iteration, plainly = our_iteration(X_FTM, *mine), plain_iteration(X_FTM, *plain)
            iteration()  # compiles
            plainly()
            difference = max(np.abs(a / b - 1).max() for a, b in zip(mine[:2], plain[:2]))
            ours, numpys, theirs = [], [], []
            for _ in range(repetitions):
                ours += [seconds_of(iteration) for _ in range(5)]
                numpys.append(seconds_of(plainly))
                theirs.append(their_seconds(X_FTM, K))
            record = {"F": F, "T": T, "M": M, "K": K, "dtype": "complex128", "threads": 1}
            record |= {"mnmf_ms": round(1e3 * min(ours), 1), "numpy_ms": round(1e3 * min(numpys), 1)}
            record["times_faster_than_numpy"] = round(min(numpys) / min(ours), 1)
            known = [seconds for seconds in theirs if seconds is not None]
            if known:
                record["ssspy_ms"] = round(1e3 * min(known), 1)
                record["times_faster_than_ssspy"] = round(min(known) / min(ours), 1)
            record["largest_difference_from_numpy"] = float(f"{difference:.1e}")
            record["load_average"] = round(os.getloadavg()[0], 2)
            records.append(record)
            print(", ".join(f"{key} {value}" for key, value in record.items()), flush=True)
    set_num_threads(available)
    return records


if __name__ == "__main__":
    log_det_side_by_side(1)
