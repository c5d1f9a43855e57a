"""Seconds of one iteration of FastMNMF2: ours beside pyroomacoustics', against the machine's peak, and how they grow.

All in one process and in turn, so that whatever else the machine does slows all of them; minima over the repetitions.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyroomacoustics
from numba import get_num_threads, set_num_threads
from threadpoolctl import threadpool_limits

from mnmf.kernels import fastmnmf2 as kernels
from mnmf.kernels import one_blas_thread

SIZES = [(1025, 650, 4, 16), (1025, 2584, 4, 16), (1025, 1292, 8, 16)]  # F, T, M = N, K
SETTINGS = [(np.complex128, 1), (np.complex64, 2)]


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


def our_iteration(X_FTM: np.ndarray, K: int, rng: np.random.Generator) -> Callable[[], None]:
    """Return a function that does what an iteration does with the data."""
    F, T, M = X_FTM.shape
    kind = X_FTM.real.dtype.type
    W = rng.uniform(0.5, 1.5, (M, F, K)).astype(kind)
    H = (rng.uniform(0.5, 1.5, (M, K, T)) / K).astype(kind)
    G = (np.eye(M) + 0.05).astype(kind)
    Q = np.tile(np.eye(M, dtype=np.complex128), (F, 1, 1))
    floor = kind(1e-10)

    def iteration() -> None:
        with one_blas_thread():
            _, over, under = kernels.frequency_pass(X_FTM, kind(1), W, H, G, Q, floor, True, True, True)
            H[:] *= np.sqrt(over / under)
            over, under = kernels.weight_pass(X_FTM, kind(1), W, H, G, Q, floor)
            G[:] *= np.sqrt(over / under)

    return iteration


def their_iteration(X_FTM: np.ndarray, K: int, threads: int) -> float:
    """Return the seconds of one iteration of pyroomacoustics: two runs' difference, without start and separation."""
    X_TFM = np.ascontiguousarray(X_FTM.transpose(1, 0, 2))

    def run(n_iterations: int) -> None:
        pyroomacoustics.bss.fastmnmf2(X_TFM, n_iter=n_iterations, n_components=K)

    with threadpool_limits(threads):
        return (seconds_of(lambda: run(3)) - seconds_of(lambda: run(1))) / 2


def mixture(F: int, T: int, M: int, dtype: type, rng: np.random.Generator) -> np.ndarray:
    return (rng.standard_normal((F, T, M)) + 1j * rng.standard_normal((F, T, M))).astype(dtype)


def side_by_side(repetitions: int) -> dict:
    """Measure both at `SIZES` and `SETTINGS`."""
    rng = np.random.default_rng(0)
    records = []
    available = get_num_threads()
    for F, T, M, K in SIZES:
        for dtype, threads in SETTINGS:
            if threads > available:
                continue
            X_FTM = mixture(F, T, M, dtype, rng)
            set_num_threads(threads)
            iteration = our_iteration(X_FTM, K, rng)
            iteration()  # compiles
            ours, theirs, peak = [], [], 0.0
            for _ in range(repetitions):
                ours += [seconds_of(iteration) for _ in range(3)]
                theirs.append(their_iteration(X_FTM, K, threads))
                peak = max(peak, peak_flops(dtype, threads, 1))
            record = {
                "F": F,
                "T": T,
                "M": M,
                "K": K,
                "dtype": np.dtype(dtype).name,
                "threads": threads,
                "mnmf_ms": round(1e3 * min(ours), 1),
                "pyroomacoustics_ms": round(1e3 * min(theirs), 1),
                "times_faster": round(min(theirs) / min(ours), 1),
                "gflops_per_iteration": round(flops(F, T, M, K) / 1e9, 3),
                "peak_gflops_per_second": round(peak / 1e9, 1),
                "fraction_of_peak": round(flops(F, T, M, K) / min(ours) / peak, 3),
            }
            records.append(record)
            print(", ".join(f"{key} {value}" for key, value in record.items()), flush=True)
    set_num_threads(available)
    return {"load_average": os.getloadavg()[0], "side_by_side": records}


def growth(repetitions: int) -> list[dict]:
    """Return the milliseconds of our iteration as F and T grow, complex64 on all threads, M = 4 and K = 32."""
    rng = np.random.default_rng(0)
    M, K = 4, 32
    records = []
    for F, T in [(1025, 330), (2049, 330), (4097, 330), (8193, 330), (1025, 660), (1025, 1320), (1025, 2640)]:
        iteration = our_iteration(mixture(F, T, M, np.complex64, rng), K, rng)
        milliseconds = 1e3 * min(seconds_of(iteration) for _ in range(3 * repetitions + 1))
        records.append({"F": F, "T": T, "ms": round(milliseconds, 1)})
        print(f"F {F}, T {T}: {milliseconds:.1f} ms, {1e6 * milliseconds / F / T:.1f} ns a point", flush=True)
    return records


def draw(records: list[dict], path: Path) -> None:
    """Draw what `growth` measured."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
    fewest = min(record["F"] for record in records), min(record["T"] for record in records)
    for name, other, least in (("frequencies", "T", fewest[1]), ("frames", "F", fewest[0])):
        line = sorted((r["F"] * r["T"] / 1e6, r["ms"]) for r in records if r[other] == least)
        axis.plot(*zip(*line), "o-", label=f"more {name}, {other} = {least}")
    axis.set(xlabel="time-frequency points (millions)", ylabel="one iteration (ms)", xlim=(0, None), ylim=(0, None))
    axis.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    side_by_side(1)
