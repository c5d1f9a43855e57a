"""Updates of full-rank multichannel NMF under the log-determinant divergence (Sawada et al. 2013, section III-D).

With ``X̂_ft = Σ_n λ_nft R_nf + ε_f I`` the cost is ``Σ_ft (xᴴ X̂⁻¹ x + log det X̂)``.  The floor ε_f is a constant of the
model, as if of a source that never changes, so every rule still descends.  It also bounds what is divided by: no pivot
of X̂ can be less.

The rules need, with ``Z = X̂⁻¹`` and ``y = Zx``, only ``tr(Z R_n)`` and ``yᴴ R_n y`` for W and H, and ``Σ_t λ_n Z``
and ``Σ_t λ_n y yᴴ`` for R.  W and R concern one frequency only, so a single sweep over the data updates R_f and then
W_f and gathers what H needs from all frequencies.

An M×M matrix a point exists for one frequency and at most `FRAMES` frames at a time, as planes of real numbers whose
innermost axis is time: all loops over it become vector instructions, all sums over sources, bases, frames or the
numbers of a matrix become matrix products.  A Hermitian matrix is M² such planes: the
diagonal, then Re and Im of the lower triangle row by row.  Behind them x is kept as one more row, and a place for
``−xᴴZx``: sweeping the matrix so bordered (Gauss-Jordan elimination that keeps it Hermitian) leaves −Z, yᴴ and the
quadratic form at once.  Sums over frequencies are taken per group of frequencies and then group by group, so the number
of threads changes no bit.

Axes: C chunks of frames, S frames of a chunk, B frequencies of a block, Q the M² real numbers of a Hermitian matrix.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._threads import share_out
from mnmf.kernels.hermitian import solve_riccati

__all__ = ["images", "sweep"]

Array = NDArray[Any]

GROUPS = 8  # parts of the frequency axis that are summed apart, and shared out over the threads
FREQUENCIES = 16  # at most so many share a matrix product
# From plane to plane; known when compiled, so that the compiler sees that planes do not overlap, and no power of two,
# so that they do not compete for the same places of the cache.
FRAMES = 136
LANES = 8  # a chunk is a multiple of so many frames: double-precision numbers in the widest vector registers
PIVOTS = 8  # whose product, each over the floor, is within the range of numbers

# "contract" lets a product and a sum become one instruction, "reassoc" and "nsz" let sums run in vector lanes; none of
# them makes the compiler assume that there is no NaN.
FAST = {"contract", "reassoc", "nsz"}

UPDATE_R, UPDATE_W, GATHER_H = range(3)  # the stages of a sweep, for each of which X̂ is solved anew


class Workspace(NamedTuple):
    """Arrays of one group of frequencies, used again for each of its blocks."""

    W_NBK: Any  # bases, zero beyond the last frequency
    W_NKB: Any
    P_NBS: Any  # λ of one chunk
    P_NS: Any  # λ of one chunk and frequency, zero beyond the last frame
    P_SN: Any
    over_NBS: Any  # yᴴ R_n y
    under_NBS: Any  # tr(Z R_n)
    model_QN: Any  # R_n of one frequency as numbers that planes are made of
    trace_NQ: Any  # the same, weighted for inner products with planes
    inner_NS: Any  # such inner products
    planes_QS: Any  # X̂, bordered, and then −Z, yᴴ and −xᴴZx
    pairs_QS: Any  # y yᴴ
    part_QN: Any  # sums over the frames of one chunk
    scaled: Any  # the column of the pivot over the pivot
    det_S: Any  # det X̂ over that of the floor


def _chunks(n_frames: int) -> tuple[int, int]:
    """Return the number of chunks and the frames of one, a multiple of `LANES`, that cover `n_frames`."""
    n_chunks = -(-n_frames // FRAMES)
    size = -(-n_frames // (n_chunks * LANES)) * LANES
    return -(-n_frames // size), size


def _packed(H_NKT: Array) -> Array:
    """Return H chunk by chunk, (C, N, K, S), padded with zeros."""
    N, K, T = H_NKT.shape
    C, S = _chunks(T)
    H_NKCS = np.zeros((N, K, C * S))
    H_NKCS[:, :, :T] = H_NKT
    return np.ascontiguousarray(H_NKCS.reshape(N, K, C, S).transpose(2, 0, 1, 3))


@njit(cache=True)
def _workspace(N, K, M, B, S):  # type: ignore[no-untyped-def]
    """Return zeros, for what lies beyond the last frame or frequency must be finite."""
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


@njit(cache=True)
def _product(A, B, out):  # type: ignore[no-untyped-def]
    """Write ``A B``: in one place, all in C order, as each product a compiler sees costs it a good part of a second."""
    np.dot(A, B, out)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _add(part, total):  # type: ignore[no-untyped-def]
    """Add one flat array to another."""
    for i in range(len(part)):
        total[i] += part[i]


@njit(cache=True, error_model="numpy")
def _load(w, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Copy a block's bases into the workspace."""
    N, B, K = w.W_NBK.shape
    for n in range(N):
        for b in range(B):
            for k in range(K):
                value = W_NFK[n, f0 + b, k] if b < n_f else 0.0
                w.W_NBK[n, b, k] = value
                w.W_NKB[n, k, b] = value


@njit(cache=True, error_model="numpy")
def _pack(w, b, R_NMM):  # type: ignore[no-untyped-def]
    """Write λ of one frequency, and the numbers of its covariances."""
    N, M, _ = R_NMM.shape
    for n in range(N):
        P_S = w.P_NBS[n, b]
        for t in range(len(P_S)):
            w.P_NS[n, t] = P_S[t]
            w.P_SN[t, n] = P_S[t]
        q = M
        for i in range(M):
            w.model_QN[i, n] = w.trace_NQ[n, i] = R_NMM[n, i, i].real
            for j in range(i):
                w.model_QN[q, n] = R_NMM[n, i, j].real
                w.model_QN[q + 1, n] = R_NMM[n, i, j].imag
                w.trace_NQ[n, q] = 2.0 * w.model_QN[q, n]
                w.trace_NQ[n, q + 1] = 2.0 * w.model_QN[q + 1, n]
                q += 2


@njit(cache=True, error_model="numpy")
def _offset(i, j, M):  # type: ignore[no-untyped-def]
    """Return where the planes of entry (i, j), j < i, begin; row M is x."""
    return (M + i * (i - 1) + 2 * j) * FRAMES


@njit(cache=True, error_model="numpy")
def _model(w, M, floor):  # type: ignore[no-untyped-def]
    """Write X̂ of one frequency and chunk as planes."""
    S = len(w.det_S)
    _product(w.model_QN, w.P_NS, w.planes_QS[: M * M])
    for i in range(M):
        for t in range(S):
            w.planes_QS[i, t] += floor


@njit(cache=True, error_model="numpy")
def _border(w, X_TM, first):  # type: ignore[no-untyped-def]
    """Write xᴴ of one chunk as the last row of the planes, and zeros into the corner."""
    T, M = X_TM.shape
    size = min(len(w.det_S), T - first)
    for j in range(M):
        re_S = w.planes_QS[M * M + 2 * j]
        im_S = w.planes_QS[M * M + 2 * j + 1]
        for t in range(size):
            re_S[t] = X_TM[first + t, j].real
            im_S[t] = -X_TM[first + t, j].imag
        for t in range(size, len(re_S)):
            re_S[t] = 0.0
            im_S[t] = 0.0
    w.planes_QS[-1] = 0.0


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _invert(pivot_S, floor, det_S):  # type: ignore[no-untyped-def]
    """Replace a pivot by minus its inverse."""
    scale = 1.0 / floor
    for t in range(len(det_S)):
        pivot = max(pivot_S[t], floor)
        det_S[t] *= pivot * scale
        pivot_S[t] = -1.0 / pivot


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _divide(z, sign, pivot_S, size, out):  # type: ignore[no-untyped-def]
    """Write an entry of the pivot's column, or its conjugate for a `sign` of −1, over the pivot."""
    for t in range(size):
        out[t] = -pivot_S[t] * z[t]
        out[FRAMES + t] = -sign * pivot_S[t] * z[FRAMES + t]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _copy(z, sign, size, out):  # type: ignore[no-untyped-def]
    """Copy an entry, or its conjugate for a `sign` of −1."""
    for t in range(size):
        out[t] = z[t]
        out[FRAMES + t] = sign * z[FRAMES + t]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _eliminate(a, sign, b, size, out):  # type: ignore[no-untyped-def]
    """Subtract ``a conj(b)``; `a` holds its conjugate for a `sign` of −1."""
    for t in range(size):
        im = sign * a[FRAMES + t]
        out[t] -= a[t] * b[t] + im * b[FRAMES + t]
        out[FRAMES + t] -= im * b[t] - a[t] * b[FRAMES + t]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _eliminate_real(a, sign, b, size, out):  # type: ignore[no-untyped-def]
    """Subtract ``a conj(b)`` where that is real."""
    for t in range(size):
        out[t] -= a[t] * b[t] + sign * a[FRAMES + t] * b[FRAMES + t]


@njit(cache=True, error_model="numpy")
def _log_sum(det_S):  # type: ignore[no-untyped-def]
    """Return ``Σ log`` of what was gathered of the determinant, and begin anew."""
    total = 0.0
    for t in range(len(det_S)):
        total += np.log(det_S[t])
        det_S[t] = 1.0
    return total


@njit(cache=True, error_model="numpy")
def _solve(w, M, floor, need_cost):  # type: ignore[no-untyped-def]
    """Turn the bordered X̂ into −Z, yᴴ and −xᴴZx; return ``Σ_t log det X̂ − M log floor``, if that is needed."""
    S = len(w.det_S)
    D = M + 1
    span = 2 * FRAMES
    planes = w.planes_QS.reshape(D * D * FRAMES)
    total = 0.0
    w.det_S[:] = 1.0
    for k in range(M):
        pivot_S = planes[k * FRAMES : (k + 1) * FRAMES]
        _invert(pivot_S, floor, w.det_S)
        if (k + 1) % PIVOTS == 0 or k == M - 1:
            if need_cost:
                total += _log_sum(w.det_S)
            else:
                w.det_S[:] = 1.0
        for i in range(D):
            if i != k:
                at = _offset(i, k, M) if i > k else _offset(k, i, M)
                _divide(planes[at : at + span], 1.0 if i > k else -1.0, pivot_S, S, w.scaled[i * span : (i + 1) * span])
        for i in range(D):
            if i == k:
                continue
            sign = 1.0 if i > k else -1.0
            at = _offset(i, k, M) if i > k else _offset(k, i, M)
            z = planes[at : at + span]
            for j in range(i):
                if j != k:
                    at = _offset(i, j, M)
                    _eliminate(z, sign, w.scaled[j * span : (j + 1) * span], S, planes[at : at + span])
            at = i * FRAMES if i < M else (D * D - 1) * FRAMES
            scaled = w.scaled[i * span : (i + 1) * span]
            _eliminate_real(z, sign, scaled, S, planes[at : at + FRAMES])
            _copy(scaled, sign, S, z)
    return total


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _pair(y, v, size, out):  # type: ignore[no-untyped-def]
    """Write ``conj(y) v``, of entries of yᴴ."""
    for t in range(size):
        out[t] = y[t] * v[t] + y[FRAMES + t] * v[FRAMES + t]
        out[FRAMES + t] = y[t] * v[FRAMES + t] - y[FRAMES + t] * v[t]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _square(y, size, out):  # type: ignore[no-untyped-def]
    """Write ``|y|²``."""
    for t in range(size):
        out[t] = y[t] * y[t] + y[FRAMES + t] * y[FRAMES + t]


@njit(cache=True, error_model="numpy")
def _pairs(w, M):  # type: ignore[no-untyped-def]
    """Write the planes of y yᴴ."""
    S = len(w.det_S)
    span = 2 * FRAMES
    planes = w.planes_QS.reshape(w.planes_QS.size)
    pairs = w.pairs_QS.reshape(w.pairs_QS.size)
    for i in range(M):
        at = _offset(M, i, M)
        y = planes[at : at + span]
        _square(y, S, pairs[i * FRAMES : (i + 1) * FRAMES])
        for j in range(i):
            at = _offset(M, j, M)
            out = _offset(i, j, M)
            _pair(y, planes[at : at + span], S, pairs[out : out + span])


@njit(cache=True, error_model="numpy")
def _unpack(numbers_QN, n, sign, R_MM):  # type: ignore[no-untyped-def]
    """Write the Hermitian matrix of the numbers of planes."""
    M = len(R_MM)
    q = M
    for i in range(M):
        R_MM[i, i] = sign * numbers_QN[i, n]
        for j in range(i):
            R_MM[i, j] = sign * complex(numbers_QN[q, n], numbers_QN[q + 1, n])
            R_MM[j, i] = np.conj(R_MM[i, j])
            q += 2


@njit(cache=True, error_model="numpy")
def _evaluate(w, X_TM, first, floor, need_cost):  # type: ignore[no-untyped-def]
    """Solve one frequency and chunk, which is packed; return its cost, if that is needed."""
    M = X_TM.shape[1]
    _model(w, M, floor)
    _border(w, X_TM, first)
    cost = _solve(w, M, floor, need_cost)
    if need_cost:
        for t in range(len(w.det_S)):
            cost -= w.planes_QS[-1, t]
    return cost


@njit(cache=True, error_model="numpy")
def _add_covariances(w, planes_QS, total_QN):  # type: ignore[no-untyped-def]
    """Add ``Σ_t λ_n`` times planes of one chunk."""
    _product(planes_QS, w.P_SN, w.part_QN)
    _add(w.part_QN.reshape(w.part_QN.size), total_QN.reshape(w.part_QN.size))


@njit(cache=True, error_model="numpy")
def _weigh(w, planes_QS, sign, b, out_NBS):  # type: ignore[no-untyped-def]
    """Write ``tr(Z R_n)`` of the Hermitian matrices that planes hold."""
    _product(w.trace_NQ, planes_QS, w.inner_NS)
    N, _, S = out_NBS.shape
    for n in range(N):
        for t in range(S):
            out_NBS[n, b, t] = sign * w.inner_NS[n, t]


@njit(cache=True, error_model="numpy")
def _add_w(ratio_NBS, H_NSK, part_BK, total_NBK):  # type: ignore[no-untyped-def]
    """Add ``Σ_t h_nkt r_nft`` of one chunk."""
    for n in range(len(H_NSK)):
        _product(ratio_NBS[n], H_NSK[n], part_BK)
        _add(part_BK.reshape(part_BK.size), total_NBK[n].reshape(part_BK.size))


@njit(cache=True, error_model="numpy")
def _add_h(W_NKB, ratio_NBS, part_KS, total_NKS):  # type: ignore[no-untyped-def]
    """Add ``Σ_f w_nfk r_nft`` of one block and chunk."""
    for n in range(len(W_NKB)):
        _product(W_NKB[n], ratio_NBS[n], part_KS)
        _add(part_KS.reshape(part_KS.size), total_NKS[n].reshape(part_KS.size))


@njit(cache=True, error_model="numpy")
def _update_w(over_NBK, under_NBK, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Multiply a block's bases by the root of the ratio of their statistics."""
    N, _, K = W_NFK.shape
    for n in range(N):
        for b in range(n_f):
            for k in range(K):
                if under_NBK[n, b, k] > 0.0:
                    W_NFK[n, f0 + b, k] *= np.sqrt(max(over_NBK[n, b, k], 0.0) / under_NBK[n, b, k])


@njit(cache=True, nogil=True, error_model="numpy")
def _group(X_FTM, parameters, floor_F, stages, blocks, group, over_CNKS, under_CNKS):  # type: ignore[no-untyped-def]
    """Do the work of `sweep` for one group of frequencies."""
    W_NFK, H_CNKS, H_CNSK, R_FNMM = parameters
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    w = _workspace(N, K, M, B, S)
    part_BK = np.empty((B, K))
    part_KS = np.empty((K, S))
    over_NBK = np.empty((N, B, K))
    under_NBK = np.empty((N, B, K))
    A_BQN = np.empty((B, M * M, N))
    B_BQN = np.empty((B, M * M, N))
    A_MM = np.empty((M, M), np.complex128)
    B_MM = np.empty((M, M), np.complex128)
    cost = 0.0
    for block in range(group * n_blocks // GROUPS, (group + 1) * n_blocks // GROUPS):
        f0 = block * F // n_blocks
        n_f = (block + 1) * F // n_blocks - f0
        for b in range(n_f):
            cost += T * M * np.log(floor_F[f0 + b])
        for i in range(len(stages)):
            stage = stages[i]
            _load(w, W_NFK, f0, n_f)
            over_NBK[:] = 0.0
            under_NBK[:] = 0.0
            A_BQN[:] = 0.0
            B_BQN[:] = 0.0
            for c in range(C):
                for n in range(N):
                    _product(w.W_NBK[n], H_CNKS[c, n], w.P_NBS[n])
                for b in range(n_f):
                    _pack(w, b, R_FNMM[f0 + b])
                    cost += _evaluate(w, X_FTM[f0 + b], c * S, floor_F[f0 + b], i == 0)
                    _pairs(w, M)
                    if stage == UPDATE_R:
                        _add_covariances(w, w.planes_QS[: M * M], A_BQN[b])
                        _add_covariances(w, w.pairs_QS, B_BQN[b])
                    else:
                        _weigh(w, w.pairs_QS, 1.0, b, w.over_NBS)
                        _weigh(w, w.planes_QS[: M * M], -1.0, b, w.under_NBS)
                if stage == UPDATE_W:
                    _add_w(w.over_NBS, H_CNSK[c], part_BK, over_NBK)
                    _add_w(w.under_NBS, H_CNSK[c], part_BK, under_NBK)
                elif stage == GATHER_H:
                    # Bases beyond the last frequency are zero, and what was left there by another block is finite.
                    _add_h(w.W_NKB, w.over_NBS, part_KS, over_CNKS[c])
                    _add_h(w.W_NKB, w.under_NBS, part_KS, under_CNKS[c])
            if stage == UPDATE_W:
                _update_w(over_NBK, under_NBK, W_NFK, f0, n_f)
            elif stage == UPDATE_R:
                for b in range(n_f):
                    for n in range(N):
                        _unpack(A_BQN[b], n, -1.0, A_MM)
                        _unpack(B_BQN[b], n, 1.0, B_MM)
                        solve_riccati(A_MM, B_MM, R_FNMM[f0 + b, n])
    return cost


def _blocks(n_frequencies: int) -> tuple[int, int]:
    """Return the number of blocks and the frequencies of the largest."""
    n_blocks = -(-n_frequencies // FREQUENCIES)
    return n_blocks, -(-n_frequencies // n_blocks)


def _unpacked(stats_GCNKS: Array, T: int) -> Array:
    """Return the sum over the groups, as (N, K, T)."""
    stats_CNKS = stats_GCNKS[0]
    for part_CNKS in stats_GCNKS[1:]:
        stats_CNKS += part_CNKS
    C, N, K, S = stats_CNKS.shape
    return np.ascontiguousarray(stats_CNKS.transpose(1, 2, 0, 3).reshape(N, K, C * S)[:, :, :T])


def sweep(
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    R_FNMM: Array,
    floor_F: Array,
    update_w: bool,
    update_r: bool,
    gather_h: bool,
) -> tuple[float, Array, Array]:
    """Update R and then W in place, and return the cost before that and the numerator and denominator of H.

    All real arrays are float64, `R_FNMM` is complex128 with the frequency first; all are C-contiguous.  The two arrays
    returned are (N, K, T) and hold zeros unless `gather_h`.
    """
    F, T, _ = X_FTM.shape
    H_CNKS = _packed(H_NKT)
    C, N, K, S = H_CNKS.shape
    wanted = ((UPDATE_R, update_r), (UPDATE_W, update_w), (GATHER_H, gather_h or not (update_r or update_w)))
    stages = np.array([stage for stage, wish in wanted if wish])
    blocks = _blocks(F)
    cost_G = np.zeros(GROUPS)
    over_GCNKS = np.zeros((GROUPS, C if GATHER_H in stages else 0, N, K, S))
    under_GCNKS = np.zeros_like(over_GCNKS)
    parameters = W_NFK, H_CNKS, np.ascontiguousarray(H_CNKS.swapaxes(2, 3)), R_FNMM

    def work(group: int) -> None:
        cost_G[group] = _group(X_FTM, parameters, floor_F, stages, blocks, group, over_GCNKS[group], under_GCNKS[group])

    share_out(work, GROUPS)
    if not gather_h:
        return float(cost_G.sum()), np.zeros_like(H_NKT), np.zeros_like(H_NKT)
    return float(cost_G.sum()), _unpacked(over_GCNKS, T), _unpacked(under_GCNKS, T)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _add_image(r, P_S, y, out):  # type: ignore[no-untyped-def]
    """Add ``λ r y``, where `y` holds conj(y)."""
    a = r.real
    b = r.imag
    for t in range(len(P_S)):
        out[t] += P_S[t] * (a * y[t] + b * y[FRAMES + t])
        out[FRAMES + t] += P_S[t] * (b * y[t] - a * y[FRAMES + t])


@njit(cache=True, nogil=True, error_model="numpy")
def _image_block(X_FTM, parameters, floor_F, sources, mics, blocks, block, S_FTI):  # type: ignore[no-untyped-def]
    """Do the work of `images` for one block of frequencies."""
    W_NFK, H_CNKS, R_FNMM = parameters
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    w = _workspace(N, K, M, B, S)
    planes = w.planes_QS.reshape(w.planes_QS.size)
    ones_S = np.ones(S)
    image = np.empty(2 * FRAMES)
    f0 = block * F // n_blocks
    n_f = (block + 1) * F // n_blocks - f0
    _load(w, W_NFK, f0, n_f)
    for c in range(C):
        for n in range(N):
            _product(w.W_NBK[n], H_CNKS[c, n], w.P_NBS[n])
        first = c * S
        for b in range(n_f):
            f = f0 + b
            _pack(w, b, R_FNMM[f])
            _evaluate(w, X_FTM[f], first, floor_F[f], first < 0)
            for i in range(len(sources)):
                n = sources[i]
                image[:] = 0.0
                for j in range(M):
                    at = _offset(M, j, M)
                    y = planes[at : at + 2 * FRAMES]
                    _add_image(R_FNMM[f, n, mics[i], j], w.P_NBS[n, b], y, image)
                    if j == mics[i]:
                        _add_image(complex(floor_F[f] / N, 0.0), ones_S, y, image)
                for t in range(min(S, T - first)):
                    S_FTI[f, first + t, i] = complex(image[t], image[FRAMES + t])


def images(
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    R_FNMM: Array,
    floor_F: Array,
    sources: NDArray[np.int64],
    mics: NDArray[np.int64],
) -> Array:
    """Return the image of ``sources[i]`` at ``mics[i]``, (F, T, I): row of ``(λ_n R_n + ε/N I) X̂⁻¹ x``.

    The sources share the floor, so that all images sum to the mixture.
    """
    S_FTI = np.empty((*X_FTM.shape[:2], len(sources)), X_FTM.dtype)
    parameters, blocks = (W_NFK, _packed(H_NKT), R_FNMM), _blocks(len(X_FTM))

    def work(block: int) -> None:
        _image_block(X_FTM, parameters, floor_F, sources, mics, blocks, block, S_FTI)

    share_out(work, blocks[0])
    return S_FTI
