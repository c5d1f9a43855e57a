"""What the sweeps of the log-determinant model share: X̂ and its inverse at the frames of one frequency and chunk, sums
over them, and how the groups of frequencies are run.

Axes: as in `logdet`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._blocks import add_product, blocks_of, chunks_of, load_bases, packed, product, sum_over_groups
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
    "numbers",
    "pack_covariances",
    "pack_powers",
    "sweep_over_groups",
    "workspace",
    "write_traces",
]

Array = NDArray[Any]

FREQUENCIES = 16  # most frequencies of a block
LANES = 8  # chunks are a multiple of this: the widest vector registers hold 8 double-precision numbers

SINGULAR = 1e-6  # of the trace, added to the diagonal before a covariance is inverted


class Workspace(NamedTuple):
    """Arrays that one group of frequencies works in, used again for each of its blocks."""

    W_NBK: Any  # bases, zero beyond the last frequency
    W_NKB: Any
    P_NBS: Any  # λ of one chunk
    P_NS: Any  # λ of one chunk and frequency, zero beyond the last frame
    P_SN: Any
    over_NBS: Any  # yᴴ R_n y
    under_NBS: Any  # tr(Z R_n)
    model_QN: Any  # the numbers of R_n of one frequency, in the order of planes
    trace_NQ: Any  # the same, those off the diagonal twice: the inner product with planes is then a trace
    inner_NS: Any  # such inner products
    planes_QS: Any  # X̂ with its border, and then −Z, yᴴ and −xᴴZx
    pairs_QS: Any  # y yᴴ
    part_QN: Any  # sums over the frames of one chunk
    scaled: Any  # room for `sweep_out`
    det_S: Any  # room for `sweep_out`


@njit(cache=True)
def workspace(N, K, M, B, S):  # type: ignore[no-untyped-def]
    """Return arrays of zeros: padding is multiplied by zero weights, so what it holds must be finite."""
    planes = (M + 1) * (M + 1)
    return Workspace(
        np.zeros((N, B, K)),
        np.zeros((N, K, B)),
        np.zeros((N, B, S)),
        np.zeros((N, FRAMES)),
        np.zeros((FRAMES, N)),
        np.zeros((N, B, S)),
        np.zeros((N, B, S)),
        np.zeros((M * M, N)),
        np.zeros((N, M * M)),
        np.zeros((N, FRAMES)),
        np.zeros((planes, FRAMES)),
        np.zeros((M * M, FRAMES)),
        np.zeros((M * M, N)),
        np.zeros((M + 1) * 2 * FRAMES),
        np.zeros(S),
    )


@njit(cache=True, error_model="numpy")
def load(w, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Copy a block's bases, and their transpose, into the workspace."""
    load_bases(W_NFK, f0, n_f, w.W_NBK)
    N, B, K = w.W_NBK.shape
    for n in range(N):
        for b in range(B):
            for k in range(K):
                w.W_NKB[n, k, b] = w.W_NBK[n, b, k]


@njit(cache=True, error_model="numpy")
def pack_powers(w, P_NBS, b):  # type: ignore[no-untyped-def]
    """Write λ of one frequency."""
    for n in range(len(P_NBS)):
        P_S = P_NBS[n, b]
        for t in range(len(P_S)):
            w.P_NS[n, t] = P_S[t]
            w.P_SN[t, n] = P_S[t]


@njit(cache=True, error_model="numpy")
def numbers(R_MM, n, model_QN, trace_NQ):  # type: ignore[no-untyped-def]
    """Write the numbers of a covariance, and the same with those off the diagonal twice, as those of source `n`."""
    M = len(R_MM)
    q = M
    for i in range(M):
        model_QN[i, n] = trace_NQ[n, i] = R_MM[i, i].real
        for j in range(i):
            model_QN[q, n] = R_MM[i, j].real
            model_QN[q + 1, n] = R_MM[i, j].imag
            trace_NQ[n, q] = 2.0 * model_QN[q, n]
            trace_NQ[n, q + 1] = 2.0 * model_QN[q + 1, n]
            q += 2


@njit(cache=True, error_model="numpy")
def pack_covariances(w, R_NMM):  # type: ignore[no-untyped-def]
    """Write the numbers of the covariances of one frequency."""
    for n in range(len(R_NMM)):
        numbers(R_NMM[n], n, w.model_QN, w.trace_NQ)


@njit(cache=True, error_model="numpy")
def _model(w, M, floor, planes_QS):  # type: ignore[no-untyped-def]
    """Write X̂ of one frequency and chunk as planes."""
    S = len(w.det_S)
    product(w.model_QN, w.P_NS, planes_QS[: M * M])
    for i in range(M):
        for t in range(S):
            planes_QS[i, t] += floor


@njit(cache=True, error_model="numpy")
def evaluate(w, planes_QS, X_TM, first, gaps, floor, need_cost):  # type: ignore[no-untyped-def]
    """Write −Z and yᴴ of one frequency and chunk to `planes_QS`; return their cost if `need_cost`.

    What X̂ is made of is what `pack_powers` and `pack_covariances` wrote last.  `gaps` lists what is missing, and where
    in that list the chunk begins and ends.
    """
    gaps_P2, begin, end = gaps
    M = X_TM.shape[1]
    _model(w, M, floor, planes_QS)
    border(X_TM, first, len(w.det_S), planes_QS)
    leave_out(gaps_P2, begin, end, first, M, planes_QS)
    set_diagonal(gaps_P2, begin, end, first, floor, planes_QS)
    cost = sweep_out(planes_QS, M, floor, need_cost, w.scaled, w.det_S)
    set_diagonal(gaps_P2, begin, end, first, 0.0, planes_QS)
    if need_cost:
        for t in range(len(w.det_S)):
            cost -= planes_QS[-1, t]
    return cost


@njit(cache=True, error_model="numpy")
def write_traces(w, trace_NQ, planes_QS, sign, b, out_NBS):  # type: ignore[no-untyped-def]
    """Write ``sign tr(A R_n)`` at frequency `b`, for R in `trace_NQ` and the Hermitian matrices A in `planes_QS`."""
    product(trace_NQ, planes_QS, w.inner_NS)
    N, _, S = out_NBS.shape
    for n in range(N):
        for t in range(S):
            out_NBS[n, b, t] = sign * w.inner_NS[n, t]


@njit(cache=True, error_model="numpy")
def add_products(A_NIJ, B_NJK, part_IK, total_NIK):  # type: ignore[no-untyped-def]
    """Add ``A_n B_n`` for each source."""
    for n in range(len(A_NIJ)):
        add_product(A_NIJ[n], B_NJK[n], part_IK, total_NIK[n])


@njit(cache=True, error_model="numpy")
def add_anchor(A_MM, B_MM, R_MM, anchor_MM, weight):  # type: ignore[no-untyped-def]
    """Add what frames of a source with covariance `anchor_MM` would, seen alone: ``w R⁻¹`` and ``w R⁻¹ S R⁻¹``."""
    M = len(R_MM)
    inverse_MM = R_MM.copy()
    trace = 0.0
    for i in range(M):
        trace += R_MM[i, i].real
    for i in range(M):  # a covariance of low rank has no inverse
        inverse_MM[i, i] += SINGULAR * trace
    inverse_MM = np.linalg.inv(inverse_MM)
    half_MM = np.empty((M, M), np.complex128)
    whole_MM = np.empty((M, M), np.complex128)
    multiply(inverse_MM, anchor_MM, False, half_MM)
    multiply(half_MM, inverse_MM, False, whole_MM)
    for i in range(M):
        for j in range(M):
            A_MM[i, j] += weight * inverse_MM[i, j]
            B_MM[i, j] += weight * whole_MM[i, j]


def sweep_over_groups(
    kernel: Callable[..., float],
    updates: Any,
    gather: bool,
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    R_FNMM: Array,
    floor_F: Array,
    missing_TM: Array | None,
    anchor_FNMM: Array | None,
    weight_FN: Array | None,
) -> tuple[float, Array, Array]:
    """Run a kernel, told which `updates` to do, for all groups of frequencies; return the cost and the sums for H."""
    F, T, _ = X_FTM.shape
    H_CNKS = packed(H_NKT, *chunks_of(T, FRAMES, LANES))
    parameters = W_NFK, H_CNKS, np.ascontiguousarray(H_CNKS.swapaxes(2, 3)), R_FNMM
    anchors = (
        R_FNMM if anchor_FNMM is None else anchor_FNMM,
        np.zeros(R_FNMM.shape[:2]) if weight_FN is None else weight_FN,
    )
    blocks, gaps = blocks_of(F, FREQUENCIES), gaps_of(missing_TM, H_CNKS)

    def work(group: int, over_CNKS: Array, under_CNKS: Array) -> float:
        given = parameters, anchors, floor_F, updates, blocks, group
        return kernel(X_FTM, gaps, *given, over_CNKS, under_CNKS)

    return sum_over_groups(work, H_CNKS, T, gather)


def gaps_of(missing_TM: Array | None, H_CNKS: Array) -> tuple[Array, Array]:
    """Return the frame and microphone of all that is missing, (P, 2), and where in that list each chunk begins.

    The second array has one entry more than there are chunks, the length of the list.
    """
    C, _, _, S = H_CNKS.shape
    if missing_TM is None:
        return np.zeros((0, 2), np.int64), np.zeros(C + 1, np.int64)
    gaps_P2 = np.ascontiguousarray(np.argwhere(missing_TM), np.int64)
    return gaps_P2, np.searchsorted(gaps_P2[:, 0], S * np.arange(C + 1))
