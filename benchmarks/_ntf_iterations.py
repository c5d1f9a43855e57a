"""Milliseconds of one iteration of NTF panning, and of single-channel NMF, beside numpy's for the same updates.

Three rivals: einsum as the equations stand; einsum that may choose the order of contraction; and matrix products
arranged by hand, which is the best that numpy without compiled loops can do.  Single and double precision, one thread
and all; the rivals run on as many BLAS threads as ours, of which plain einsum uses one.  All in one process and in
turn; minima over the repetitions.
"""

import time
from collections.abc import Callable

import numpy as np
from numba import get_num_threads, set_num_threads
from threadpoolctl import threadpool_limits

from mnmf.kernels import beta as nmf_kernels
from mnmf.kernels import ntf as kernels
from mnmf.kernels import one_blas_thread

SIZES = [(1025, 650, 4, 32)]  # F, T, M = N, K
BETAS = [0.5, 1.0, 1.5]
FLOOR = 1e-10


def ours(V_MFT, W_NFK, H_NTK, G_NM, beta):
    with one_blas_thread():
        W_NFK, _ = kernels.update_w(V_MFT, W_NFK, H_NTK, G_NM, beta, FLOOR)
        H_NTK, _ = kernels.update_h(V_MFT, W_NFK, H_NTK, G_NM, beta, FLOOR, False)
        return W_NFK, H_NTK, kernels.update_g(V_MFT, W_NFK, H_NTK, G_NM, beta, FLOOR, False)[0]


def _step(old, over, under, beta):
    return old * (over / under) ** kernels.exponent_of(beta)


def by_einsum(V_MFT, W_NFK, H_NTK, G_NM, beta, optimize=False):
    def weights():
        Y = np.einsum("nfk,ntk,nm->mft", W_NFK, H_NTK, G_NM, optimize=optimize) + FLOOR
        return V_MFT * Y ** (beta - 2), Y ** (beta - 1)

    def ratio(subscripts, a, b):
        over, under = (np.einsum(subscripts, a, b, weight, optimize=optimize) for weight in weights())
        return over, under

    W_NFK = _step(W_NFK, *ratio("ntk,nm,mft->nfk", H_NTK, G_NM), beta)
    H_NTK = _step(H_NTK, *ratio("nfk,nm,mft->ntk", W_NFK, G_NM), beta)
    return W_NFK, H_NTK, _step(G_NM, *ratio("nfk,ntk,mft->nm", W_NFK, H_NTK), beta)


def by_optimised_einsum(*arrays):
    return by_einsum(*arrays, optimize=True)


def by_products(V_MFT, W_NFK, H_NTK, G_NM, beta):
    M, F, T = V_MFT.shape
    N = len(G_NM)

    def weights():
        P = np.matmul(W_NFK, H_NTK.swapaxes(1, 2)).reshape(N, -1)
        Y = (G_NM.T @ P).reshape(M, F, T) + FLOOR
        return P, (V_MFT * Y ** (beta - 2)).reshape(M, -1), (Y ** (beta - 1)).reshape(M, -1)

    _, *both = weights()
    W_NFK = _step(W_NFK, *(np.matmul((G_NM @ weight).reshape(N, F, T), H_NTK) for weight in both), beta)
    _, *both = weights()
    H_NTK = _step(H_NTK, *(np.matmul((G_NM @ weight).reshape(N, F, T).swapaxes(1, 2), W_NFK) for weight in both), beta)
    P, *both = weights()
    return W_NFK, H_NTK, _step(G_NM, *(P @ weight.T for weight in both), beta)


def our_nmf(V_FT, W_FK, H_TK, beta):
    with one_blas_thread():
        H_TK = nmf_kernels.update_columns(V_FT, W_FK, H_TK, beta)
        return nmf_kernels.update_rows(V_FT, W_FK, H_TK, beta), H_TK


def nmf_by_einsum(V_FT, W_FK, H_TK, beta):
    def weights():
        Y = np.maximum(np.einsum("fk,tk->ft", W_FK, H_TK), 1e-30)
        return V_FT * Y ** (beta - 2), Y ** (beta - 1)

    H_TK = _step(H_TK, *(np.einsum("fk,ft->tk", W_FK, weight) for weight in weights()), beta)
    return _step(W_FK, *(np.einsum("tk,ft->fk", H_TK, weight) for weight in weights()), beta), H_TK


def nmf_by_products(V_FT, W_FK, H_TK, beta):
    def weights():
        Y = np.maximum(W_FK @ H_TK.T, 1e-30)
        return V_FT * Y ** (beta - 2), Y ** (beta - 1)

    H_TK = _step(H_TK, *(weight.T @ W_FK for weight in weights()), beta)
    return _step(W_FK, *(weight @ H_TK for weight in weights()), beta), H_TK


def side_by_side(repetitions: int = 3, sizes: list[tuple[int, int, int, int]] = SIZES) -> list[dict]:
    """Measure NTF panning and NMF at these sizes and `BETAS`; return one record a setting."""
    rng = np.random.default_rng(0)
    available = get_num_threads()
    records = []
    for F, T, M, K in sizes:
        for kind in (np.float64, np.float32):
            V, W, H, G = (
                rng.uniform(0.1, 1, shape).astype(kind) for shape in [(M, F, T), (M, F, K), (M, T, K), (M, M)]
            )
            ntf, nmf = (V, W, H, G), (V[0], W[0], H[0])
            for beta in BETAS:
                # These take seconds, and one thread only: once for all.
                plain = {"ntf": _ms(by_einsum, ntf, beta), "nmf": _ms(nmf_by_einsum, nmf, beta)}
                for threads in sorted({1, available}):
                    set_num_threads(threads)
                    with threadpool_limits(threads, "blas"):
                        rivals = {"optimised einsum": by_optimised_einsum, "products": by_products}
                        contests = [("ntf", ntf, ours, rivals), ("nmf", nmf, our_nmf, {"products": nmf_by_products})]
                        for name, arrays, work, others in contests:
                            record = {"update": name, "F": F, "T": T, "M": M, "K": K, "dtype": np.dtype(kind).name}
                            record |= {"threads": threads, "beta": beta}
                            work(*arrays, beta)  # compiles
                            mine = min(_ms(work, arrays, beta) for _ in range(10 * repetitions))
                            times = {"einsum": plain[name]}
                            for other, rival in others.items():
                                times[other] = min(_ms(rival, arrays, beta) for _ in range(repetitions))
                            record["mnmf_ms"] = round(mine, 1)
                            record["times_faster"] = {other: round(ms / mine, 1) for other, ms in times.items()}
                            records.append(record)
                            print(", ".join(f"{key} {value}" for key, value in record.items()), flush=True)
    set_num_threads(available)
    return records


def _ms(work: Callable[..., object], arrays: tuple, beta: float) -> float:
    start = time.perf_counter()
    work(*arrays, beta)
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    side_by_side()
