"""What the sweeps of the log-determinant model share: X̂ and its inverse at the frames of one frequency and chunk, sums
over them, and how the groups of frequencies are run.

Axes: as in `logdet`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import add_product, blocks_of, chunks_of, load_bases, packed, product, zeros
from mnmf.kernels._compile import inner
from mnmf.kernels._planes import FRAMES, border, leave_out, set_diagonal, sweep_out
from mnmf.kernels._rows import multiply

__all__ = [
    "FREQUENCIES",
    "LANES",
    "add_anchor",
    "add_products",
    "evaluate",
    "gaps_of",
    "load",
    "pack_covariances",
    "pack_powers",
    "prepared",
    "workspace",
    "write_traces",
]

Array = NDArray[Any]

FREQUENCIES = 16  # most frequencies of a block
LANES = 8  # chunks are a multiple of this: the widest vector registers hold 8 double-precision numbers

SINGULAR = 1e-6  # of the trace, added to the diagonal before a covariance is inverted


def workspace(N: int, K: int, M: int, B: int, S: int, *first: tuple[int, ...]) -> tuple[Array, ...]:
    """Return what a kernel works in, in the order of its arguments: zeros of the `first` shapes, and what all need.

    All are zeros: padding is multiplied by zero weights, so what it holds must be finite.
    """
    shapes = (
        (N, B, K),  # W_NBK: bases, zero beyond the last frequency
        (N, K, B),  # W_NKB
        (N, FRAMES),  # P_NS: λ of one chunk and frequency, zero beyond the last frame
        (FRAMES, N),  # P_SN
        (M * M, N),  # model_QN: the numbers of R_n of one frequency, in the order of planes
        (N, M * M),  # trace_NQ: those off the diagonal twice: the inner product with planes is then a trace
        (N, FRAMES),  # inner_NS: such inner products
        (M * M, N),  # part_QN: sums over the frames of one chunk
        (B, K),  # part_BK
        (K, S),  # part_KS
        ((M + 1) * 2 * FRAMES,),  # scaled: room for `sweep_out`
        (S,),  # det_S: room for `sweep_out`
        (N, B, K),  # over_NBK: numerator and denominator of W
        (N, B, K),  # under_NBK
    )
    # Σ_t λ Z and Σ_t λ y yᴴ of one source and frequency
    return (*zeros((*first, *shapes), np.float64), *np.zeros((2, M, M), np.complex128))


@inner
def load(W_NFK, f0, n_f, W_NBK, W_NKB):  # type: ignore[no-untyped-def]
    """Copy a block's bases, and their transpose, into the workspace."""
    load_bases(W_NFK, f0, n_f, W_NBK)
    N, B, K = W_NBK.shape
    for n in range(N):
        for b in range(B):
            for k in range(K):
                W_NKB[n, k, b] = W_NBK[n, b, k]


@inner
def pack_powers(P_NBS, b, P_NS, P_SN):  # type: ignore[no-untyped-def]
    """Write λ of one frequency."""
    for n in range(len(P_NBS)):
        P_S = P_NBS[n, b]
        for t in range(len(P_S)):
            P_NS[n, t] = P_S[t]
            P_SN[t, n] = P_S[t]


@inner
def pack_covariances(R_NMM, model_QN, trace_NQ):  # type: ignore[no-untyped-def]
    """Write the numbers of the covariances of one frequency, and the same with those off the diagonal twice."""
    M = R_NMM.shape[1]
    for n in range(len(R_NMM)):
        q = M
        for i in range(M):
            model_QN[i, n] = trace_NQ[n, i] = R_NMM[n, i, i].real
            for j in range(i):
                model_QN[q, n] = R_NMM[n, i, j].real
                model_QN[q + 1, n] = R_NMM[n, i, j].imag
                trace_NQ[n, q] = 2.0 * model_QN[q, n]
                trace_NQ[n, q + 1] = 2.0 * model_QN[q + 1, n]
                q += 2


@inner
def evaluate(model_QN, P_NS, X_TM, first, gaps_P2, begin, end, floor, need_cost, scaled, det_S, planes_QS):  # type: ignore[no-untyped-def]
    """Write −Z and yᴴ of one frequency and chunk to `planes_QS`; return their cost if `need_cost`.

    What X̂ is made of is what `pack_powers` and `pack_covariances` wrote last.  ``gaps_P2[begin:end]`` lists what is
    missing in the chunk.
    """
    M = X_TM.shape[1]
    product(model_QN, P_NS, planes_QS[: M * M])
    border(X_TM, first, len(det_S), floor, planes_QS)
    leave_out(gaps_P2, begin, end, first, M, floor, planes_QS)
    cost = sweep_out(planes_QS, M, floor, need_cost, scaled, det_S)
    set_diagonal(gaps_P2, begin, end, first, 0.0, planes_QS)
    if need_cost:
        for t in range(len(det_S)):
            cost -= planes_QS[-1, t]
    return cost


@inner
def write_traces(trace_NQ, planes_QS, sign, b, inner_NS, out_NBS):  # type: ignore[no-untyped-def]
    """Write ``sign tr(A R_n)`` at frequency `b`, for R in `trace_NQ` and the Hermitian matrices A in `planes_QS`."""
    product(trace_NQ, planes_QS, inner_NS)
    N, _, S = out_NBS.shape
    for n in range(N):
        for t in range(S):
            out_NBS[n, b, t] = sign * inner_NS[n, t]


@inner
def add_products(A_NIJ, B_NJK, part_IK, total_NIK):  # type: ignore[no-untyped-def]
    """Add ``A_n B_n`` for each source."""
    for n in range(len(A_NIJ)):
        add_product(A_NIJ[n], B_NJK[n], part_IK, total_NIK[n])


@inner
def add_anchor(A_MM, B_MM, R_MM, anchor_MM, weight):  # type: ignore[no-untyped-def]
    """Add what frames of a source with covariance `anchor_MM` would, seen alone: ``w R⁻¹`` and ``w R⁻¹ S R⁻¹``."""
    M = len(R_MM)
    inverse_MM = np.empty((M, M), np.complex128)
    trace = 0.0
    for i in range(M):
        trace += R_MM[i, i].real
        for j in range(M):
            inverse_MM[i, j] = R_MM[i, j]
    for i in range(M):  # a covariance of low rank has no inverse
        inverse_MM[i, i] += SINGULAR * trace
    inverted_MM = np.linalg.inv(inverse_MM)
    for i in range(M):
        for j in range(M):  # in the layout of the others, so that nothing is compiled once more for that of LAPACK
            inverse_MM[i, j] = inverted_MM[i, j]
    half_MM = np.empty((M, M), np.complex128)
    whole_MM = np.empty((M, M), np.complex128)
    multiply(inverse_MM, anchor_MM, False, half_MM)
    multiply(half_MM, inverse_MM, False, whole_MM)
    for i in range(M):
        for j in range(M):
            A_MM[i, j] += weight * inverse_MM[i, j]
            B_MM[i, j] += weight * whole_MM[i, j]


def prepared(
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    R_FNMM: Array,
    floor_F: Array,
    missing_TM: Array | None = None,
    anchor_FNMM: Array | None = None,
    weight_FN: Array | None = None,
) -> tuple[Any, ...]:
    """Return the first arguments of the kernels: what they are given and what is made of it, and the blocks."""
    F, T, _ = X_FTM.shape
    H_CNKS = packed(H_NKT, *chunks_of(T, FRAMES, LANES))
    H_CNSK = np.ascontiguousarray(H_CNKS.swapaxes(2, 3))
    anchor_FNMM = R_FNMM if anchor_FNMM is None else anchor_FNMM
    weight_FN = np.zeros(R_FNMM.shape[:2]) if weight_FN is None else weight_FN
    gaps_P2, gap_C = gaps_of(missing_TM, H_CNKS)
    given = X_FTM, gaps_P2, gap_C, W_NFK, H_CNKS, H_CNSK, R_FNMM, anchor_FNMM, weight_FN, floor_F
    return *given, *blocks_of(F, FREQUENCIES)


def gaps_of(missing_TM: Array | None, H_CNKS: Array) -> tuple[Array, Array]:
    """Return the frame and microphone of all that is missing, (P, 2), and where in that list each chunk begins.

    The second array has one entry more than there are chunks, the length of the list.
    """
    C, _, _, S = H_CNKS.shape
    if missing_TM is None:
        return np.zeros((0, 2), np.int64), np.zeros(C + 1, np.int64)
    gaps_P2 = np.ascontiguousarray(np.argwhere(missing_TM), np.int64)
    return gaps_P2, np.searchsorted(gaps_P2[:, 0], S * np.arange(C + 1))
