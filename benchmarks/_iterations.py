"""Seconds of one iteration of FastMNMF2, and memory of a fit: ours beside pyroomacoustics' and ssspy's if installed.

Also against the machine's peak.  Seconds are taken in one process and in turn, so that whatever else the machine does
slows all of them, and are minima over the repetitions; memory in a process of its own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pyroomacoustics
from numba import get_num_threads, set_num_threads
from threadpoolctl import threadpool_limits

from mnmf import FastMNMF2
from mnmf.kernels import fastmnmf2 as kernels
from mnmf.kernels import one_blas_thread

SIZES = [(1025, 650, 4, 16), (1025, 2584, 4, 16), (1025, 1292, 8, 16)]  # F, T, M = N, K
SETTINGS = [(np.complex128, 1), (np.complex64, 2)]
PATIENCE = 10.0  # seconds after which a peer is not measured once more
MOST_MB = 8000  # that a library may take: what a laptop can give
SOME = 3  # iterations of a peer, so that one of them is more than the noise of its start


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def flops(F: int, T: int, M: int, K: int) -> int:
    """Return the additions and multiplications that the model asks of one iteration, M = N, as we order it.

    Per time-frequency point, a product and its sum counted as two: λ = WH is needed three times (2NK each), for Q and
    W, for H, and for G, and so is y = Gᵀλ (2NM); x̃ = |Qx|² once (8M² and 3M); the covariances of Q once (3M² for the
    products of signals, which are Hermitian, and 2M·M² for the sums).  W and H each spread two ratios over the sources
    (2·2NM) and sum them with the other factor (2·2NK); G sums them with λ (2·2NM).  Divisions, logarithms, what
    is computed again rather than kept, and everything per frequency only are not counted.
    """
    N = M
    model = 3 * (2 * N * K + 2 * N * M)
    signals = 8 * M**2 + 3 * M + 3 * M**2 + 2 * M**3
    updates = 2 * (4 * N * M + 4 * N * K) + 4 * N * M
    return F * T * (model + signals + updates)


def peak_flops(dtype: type, threads: int, repetitions: int) -> float:
    """Return the flops per second of large matrix products, the most this machine was seen to do."""
    size = 2048
    A = np.ones((size, size), np.float32 if dtype == np.complex64 else np.float64)
    with threadpool_limits(threads):
        return 2 * size**3 / min(seconds_of(lambda: A @ A) for _ in range(repetitions + 2))


def our_iteration(
    X_FTM: np.ndarray, K: int, rng: np.random.Generator, n_sources: int | None = None
) -> Callable[[], None]:
    """Return a function that does what an iteration does with the data."""
    F, T, M = X_FTM.shape
    N = n_sources or M
    kind = X_FTM.real.dtype.type
    W = rng.uniform(0.5, 1.5, (N, F, K)).astype(kind)
    H = (rng.uniform(0.5, 1.5, (N, K, T)) / K).astype(kind)
    G = (np.eye(N, M) + 0.05).astype(kind)
    Q = np.tile(np.eye(M, dtype=np.complex128), (F, 1, 1))
    floor = kind(1e-10)

    def iteration() -> None:
        with one_blas_thread():
            _, over, under = kernels.frequency_pass(X_FTM, kind(1), W, H, G, Q, floor, True, True, True)
            H[:] *= np.sqrt(over / under)
            over, under = kernels.weight_pass(X_FTM, kind(1), W, H, G, Q, floor)
            G[:] *= np.sqrt(over / under)

    return iteration


def by_mnmf(X_FTM: np.ndarray, K: int, n_iterations: int) -> None:
    FastMNMF2(K, n_iterations).fit(X_FTM).separate(X_FTM)


def by_pyroomacoustics(X_FTM: np.ndarray, K: int, n_iterations: int) -> None:
    pyroomacoustics.bss.fastmnmf2(
        np.ascontiguousarray(X_FTM.transpose(1, 0, 2)), n_iter=n_iterations, n_components=K, mic_index=0
    )


def by_ssspy(X_FTM: np.ndarray, K: int, n_iterations: int) -> None:
    from ssspy.bss.mnmf import FastGaussMNMF

    model = FastGaussMNMF(n_basis=K, record_loss=False, rng=np.random.default_rng(0))
    model(np.ascontiguousarray(X_FTM.transpose(2, 0, 1)), n_iter=n_iterations)


LIBRARIES = {"mnmf": by_mnmf, "pyroomacoustics": by_pyroomacoustics, "ssspy": by_ssspy}
PEERS = ("pyroomacoustics", *(("ssspy",) if find_spec("ssspy") else ()))


def their_iteration(library: str, X_FTM: np.ndarray, K: int, threads: int, repetitions: int) -> float:
    """Return the seconds of one iteration of a peer: with some less without, so without start and separation."""
    runs: dict[int, list[float]] = {0: [], SOME: []}
    start = time.perf_counter()
    with threadpool_limits(threads):
        LIBRARIES[library](X_FTM[:8, :16].copy(), 2, 1)  # imports
        LIBRARIES[library](X_FTM, K, 0)  # the first time, memory is slow
        for _ in range(repetitions):
            for n_iterations, seconds in runs.items():
                seconds.append(seconds_of(lambda n=n_iterations: LIBRARIES[library](X_FTM, K, n)))
            if time.perf_counter() - start > PATIENCE:
                break
    return (min(runs[SOME]) - min(runs[0])) / SOME


def grown(library: str, F: int, T: int, M: int, K: int, dtype: type) -> float | None:
    """Return by how many megabytes a process grows at most, when it fits by one iteration and separates.

    None if it would take more than `MOST_MB`.
    """
    sizes = [str(size) for size in (F, T, M, K)]
    command = [sys.executable, __file__, library, *sizes, np.dtype(dtype).name]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode and "MemoryError" in ended.stderr:
        return None
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return round(float(ended.stdout.split()[-1]), 1)


def growth_here(library: str, F: int, T: int, M: int, K: int, dtype: type) -> float:
    import resource

    from memory import reset_peak, status

    X_FTM = mixture(F, T, M, dtype, np.random.default_rng(0))
    LIBRARIES[library](X_FTM[:8, :16].copy(), 2, 1)  # imports and compiles
    resource.setrlimit(resource.RLIMIT_DATA, (10**6 * MOST_MB, resource.RLIM_INFINITY))
    before = reset_peak()
    LIBRARIES[library](X_FTM, K, 1)
    return status("VmHWM") - before


def mixture(F: int, T: int, M: int, dtype: type, rng: np.random.Generator) -> np.ndarray:
    return (rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))).astype(dtype)


def side_by_side(repetitions: int, sizes: list[tuple[int, int, int, int]] = SIZES) -> dict:
    """Measure all at these sizes and `SETTINGS`."""
    rng = np.random.default_rng(0)
    records = []
    available = get_num_threads()
    for F, T, M, K in sizes:
        for dtype, threads in SETTINGS:
            if threads > available:
                continue
            X_FTM = mixture(F, T, M, dtype, rng)
            set_num_threads(threads)
            iteration = our_iteration(X_FTM, K, rng)
            iteration()  # compiles
            ours, peak = [], 0.0
            for _ in range(repetitions):
                ours += [seconds_of(iteration) for _ in range(3)]
                peak = max(peak, peak_flops(dtype, threads, 1))
            megabytes = {library: grown(library, F, T, M, K, dtype) for library in ("mnmf", *PEERS)}
            theirs = {
                library: their_iteration(library, X_FTM, K, threads, repetitions)
                for library in PEERS
                if megabytes[library] is not None
            }
            ours += [seconds_of(iteration) for _ in range(3)]
            record = {
                "F": F,
                "T": T,
                "M": M,
                "K": K,
                "dtype": np.dtype(dtype).name,
                "threads": threads,
                "mnmf_ms": round(1e3 * min(ours), 1),
                **{f"{library}_ms": round(1e3 * seconds, 1) for library, seconds in theirs.items()},
                "gflops_per_iteration": round(flops(F, T, M, K) / 1e9, 3),
                "peak_gflops_per_second": round(peak / 1e9, 1),
                "fraction_of_peak": round(flops(F, T, M, K) / min(ours) / peak, 3),
                **{f"{library}_mb": figure for library, figure in megabytes.items()},
            }
            records.append(record)
            print(", ".join(f"{key} {value}" for key, value in record.items()), flush=True)
    set_num_threads(available)
    return {"load_average": os.getloadavg()[0], "most_mb": MOST_MB, "side_by_side": records}


if __name__ == "__main__":  # a process of its own, see `grown`
    library, *numbers, dtype = sys.argv[1:]
    print(growth_here(library, *(int(number) for number in numbers), np.dtype(dtype).type))
