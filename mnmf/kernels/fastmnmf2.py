"""Updates of FastMNMF2 (Sekiguchi et al. 2020): multiplicative rules for W, H and G, iterative projection for Q.

With ``x̃_ftm = |q_fmᴴ x_ft|²`` and ``y_ftm = Σ_n λ_nft g_nm + floor`` the cost is
``Σ_ftm (x̃/y + log y) − T Σ_f log |det Q_f|²``.  The floor is a constant of the model, so every rule still descends.

Each rule needs y as the rules before it left it, so an iteration evaluates the model three times, in two sweeps over
the data: `frequency_pass` updates Q_f and then W_f, which concern one frequency only, and gathers what H needs from all
of them; `weight_pass` gathers what G needs.

Both work on a block of frequencies at a time, whose x̃ and 1/y stay in the cache between the rules, and within it on a
chunk of frames, so that no array of all sources at all times and frequencies is ever made.  Signals are split into real
and imaginary planes whose innermost axis is time: all loops over it become vector instructions and all sums over
sources, bases, microphones or frames become matrix products.  To have no remainders, chunks and blocks are of one size,
padded with zeros.  Sums over frequencies are taken per group of frequencies and then group by group, so the number of
threads changes no bit.

Axes: C chunks of frames, S frames of a chunk, B frequencies of a block, P the 2M planes, R the two ratios x̃/y² and 1/y.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._threads import share_out

__all__ = ["GROUPS", "PullArrays", "frequency_pass", "project_rows", "pull_rows", "weight_pass"]

Array = NDArray[Any]

GROUPS = 8  # parts of the frequency axis that are summed apart, and shared out over the threads
FREQUENCIES = 16  # at most so many are handled together
FRAMES = 384  # of a chunk, at most
BLOCK_VALUES = 2**17  # of x̃ in one block, about, that its caches fit the processor's
LANES = 16  # a chunk is a multiple of so many frames: single-precision numbers in the widest vector registers

# "contract" lets a product and a sum become one instruction, "reassoc" and "nsz" let sums run in vector lanes; none of
# them makes the compiler assume that there is no NaN.
FAST = {"contract", "reassoc", "nsz"}


class PullArrays(NamedTuple):
    """A prior of the rows of Q: those of ``U = Q Q₀⁻¹``, 1 at their own place, stray little from the identity."""

    base_FMM: Any  # Q₀
    mixing_FMM: Any  # its inverse
    precision_FMM: Any  # of u_mj: one over its variance
    deviation_FMM: Any  # u_mj / u_mm, complex, written by each pass
    variance_FMM: Any  # how uncertain the data leave u_mj, written by each pass
    n_frames: float  # that many independent frames


# Of the same types as any other, that nothing is compiled twice.
_NO_MATRICES, _NO_NUMBERS = np.empty((0, 1, 1), np.complex128), np.empty((0, 1, 1))
_NO_PULL = PullArrays(_NO_MATRICES, _NO_MATRICES, _NO_NUMBERS, _NO_MATRICES, _NO_NUMBERS, 1.0)


class Workspace(NamedTuple):
    """Arrays of one group of frequencies, used again for each of its blocks."""

    W_NBK: Any  # bases, zero beyond the last frequency
    planes_CBPS: Any  # signals: M real planes, then M imaginary ones
    x_CMBS: Any  # x̃
    inverse_CMBS: Any  # 1/y, zero beyond the last frame and frequency
    P_NBS: Any  # λ of one chunk
    y_MBS: Any  # of one chunk, one beyond the last frame and frequency
    ratio_MBS: Any  # x̃/y² of one chunk
    a_NBS: Any  # Σ_m g_nm x̃/y², or Σ_m g_nm 1/y
    z_PS: Any  # Qx of one frequency
    pairs_QS: Any  # the M² real numbers of x xᴴ
    weights_MS: Any  # 1/y of one frequency


def _chunks(n_frames: int) -> tuple[int, int]:
    """Return the number of chunks and the frames of one, a multiple of `LANES`, that cover `n_frames`."""
    n_chunks = -(-n_frames // FRAMES)
    size = -(-n_frames // (n_chunks * LANES)) * LANES
    return -(-n_frames // size), size


def _blocks(n_frequencies: int, n_frames: int, n_mics: int) -> tuple[int, int]:
    """Return the number of blocks and the frequencies of the largest."""
    most = min(max(BLOCK_VALUES // (n_frames * n_mics), FREQUENCIES // 4), FREQUENCIES)
    n_blocks = -(-n_frequencies // most)
    return n_blocks, -(-n_frequencies // n_blocks)


@njit(cache=True)
def _workspace(N, K, M, C, B, S, kind):  # type: ignore[no-untyped-def]
    """Return zeros, for what lies beyond the last frame or frequency must be finite."""
    return Workspace(
        np.zeros((N, B, K), kind),
        np.zeros((C, B, 2 * M, S), kind),
        np.zeros((C, M, B, S), kind),
        np.zeros((C, M, B, S), kind),
        np.zeros((N, B, S), kind),
        np.zeros((M, B, S), kind),
        np.zeros((M, B, S), kind),
        np.zeros((N, B, S), kind),
        np.zeros((2 * M, S), kind),
        np.zeros((M * M, S), kind),
        np.zeros((M, S), kind),
    )


def _packed(H_NKT: Array, C: int, S: int) -> Array:
    """Return H chunk by chunk, (C, N, K, S), padded with zeros."""
    N, K, T = H_NKT.shape
    H_NKCS = np.zeros((N, K, C * S), H_NKT.dtype)
    H_NKCS[:, :, :T] = H_NKT
    return np.ascontiguousarray(H_NKCS.reshape(N, K, C, S).transpose(2, 0, 1, 3))


@njit(cache=True, error_model="numpy")
def _load(w, X_FTM, scale, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Copy a block's bases, and its signals times `scale` as planes, into the workspace."""
    N, B, K = w.W_NBK.shape
    for n in range(N):
        for b in range(B):
            for k in range(K):
                w.W_NBK[n, b, k] = W_NFK[n, f0 + b, k] if b < n_f else 0
    T, M = X_FTM.shape[1:]
    C, _, _, S = w.planes_CBPS.shape
    for b in range(n_f):
        X_TM = X_FTM[f0 + b]
        for c in range(C):
            planes_PS = w.planes_CBPS[c, b]
            first = c * S
            for m in range(M):
                for t in range(min(S, T - first)):
                    planes_PS[m, t] = X_TM[first + t, m].real * scale
                    planes_PS[M + m, t] = X_TM[first + t, m].imag * scale


@njit(cache=True)
def _product(A, B, out):  # type: ignore[no-untyped-def]
    """Write ``A B``: in one place, as each product that a compiler sees costs it a good part of a second."""
    np.dot(A, B, out)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _add(part, total):  # type: ignore[no-untyped-def]
    """Add one flat array to another."""
    for i in range(len(part)):
        total[i] += part[i]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _invert(y, floor, inverse):  # type: ignore[no-untyped-def]
    """Add the floor to y and write 1/y, of flat arrays."""
    for i in range(len(y)):
        value = y[i] + floor
        y[i] = value
        inverse[i] = 1 / value


@njit(cache=True, error_model="numpy")
def _mask(y_MBS, inverse_MBS, n_f, size):  # type: ignore[no-untyped-def]
    """Let what lies beyond the last frequency and frame weigh nothing."""
    M, B, S = y_MBS.shape
    for m in range(M):
        for b in range(B):
            for t in range(size if b < n_f else 0, S):
                y_MBS[m, b, t] = 1
                inverse_MBS[m, b, t] = 0


@njit(cache=True, error_model="numpy")
def _model(w, H_NKS, G_MN, floor, n_f, size, inverse_MBS):  # type: ignore[no-untyped-def]
    """Write λ = W H, y and 1/y of one chunk, of which `size` frames are data."""
    N, B, S = w.P_NBS.shape
    M = len(G_MN)
    for n in range(N):
        _product(w.W_NBK[n], H_NKS[n], w.P_NBS[n])
    _product(G_MN, w.P_NBS.reshape((N, B * S)), w.y_MBS.reshape((M, B * S)))
    _invert(w.y_MBS.reshape(M * B * S), floor, inverse_MBS.reshape(M * B * S))
    if size < S or n_f < B:
        _mask(w.y_MBS, inverse_MBS, n_f, size)


@njit(cache=True, error_model="numpy")
def _log_sum(y):  # type: ignore[no-untyped-def]
    """Return Σ log y of a flat array of a multiple of eight; the logarithm of a product spares seven."""
    eighth = len(y) // 8
    total = 0.0
    for t in range(eighth):
        product = 1.0
        for i in range(8):
            product *= np.float64(y[i * eighth + t])
        total += np.log(product)
    return total


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _weighted_sum(x, weights):  # type: ignore[no-untyped-def]
    """Return ``Σ x · weights`` of flat arrays."""
    total = 0.0
    for i in range(len(x)):
        total += np.float64(x[i] * weights[i])
    return total


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _squares(re_S, im_S, out_S):  # type: ignore[no-untyped-def]
    """Write |z|²."""
    for t in range(len(out_S)):
        out_S[t] = re_S[t] * re_S[t] + im_S[t] * im_S[t]


@njit(cache=True, error_model="numpy")
def _demix(w, Q_FMM, f0, n_f, c, Q_PP):  # type: ignore[no-untyped-def]
    """Write x̃ = |Qx|² of one chunk; in real numbers Q is [[Re, −Im], [Im, Re]]."""
    M = Q_FMM.shape[1]
    for b in range(n_f):
        for i in range(M):
            for j in range(M):
                value = Q_FMM[f0 + b, i, j]
                Q_PP[i, j] = value.real
                Q_PP[i, M + j] = -value.imag
                Q_PP[M + i, j] = value.imag
                Q_PP[M + i, M + j] = value.real
        _product(Q_PP, w.planes_CBPS[c, b], w.z_PS)
        for m in range(M):
            _squares(w.z_PS[m], w.z_PS[M + m], w.x_CMBS[c, m, b])


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _ratio(x, inverse, out):  # type: ignore[no-untyped-def]
    """Write x̃/y² of flat arrays."""
    for i in range(len(x)):
        out[i] = x[i] * inverse[i] * inverse[i]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _pairs(planes_PS, pairs_QS):  # type: ignore[no-untyped-def]
    """Write the M² real numbers of ``x xᴴ``, row by row: Re and Im of x_i conj(x_j) for j < i, then |x_i|²."""
    M = len(planes_PS) // 2
    q = 0
    for i in range(M):
        a = planes_PS[i]
        b = planes_PS[M + i]
        for j in range(i + 1):
            c = planes_PS[j]
            d = planes_PS[M + j]
            out_S = pairs_QS[q]
            for t in range(len(out_S)):
                out_S[t] = a[t] * c[t] + b[t] * d[t]
            q += 1
            if j < i:
                out_S = pairs_QS[q]
                for t in range(len(out_S)):
                    out_S[t] = b[t] * c[t] - a[t] * d[t]
                q += 1


@njit(cache=True, error_model="numpy")
def _add_covariances(w, n_f, c, part_MQ, V_BMQ):  # type: ignore[no-untyped-def]
    """Add ``Σ_t x xᴴ / y_m`` of one chunk, as the numbers of `_pairs`."""
    M, S = w.weights_MS.shape
    for b in range(n_f):
        _pairs(w.planes_CBPS[c, b], w.pairs_QS)
        for m in range(M):
            for t in range(S):
                w.weights_MS[m, t] = w.inverse_CMBS[c, m, b, t]
        _product(w.weights_MS, w.pairs_QS.T, part_MQ)
        _add(part_MQ.reshape(part_MQ.size), V_BMQ[b].reshape(part_MQ.size))


@njit(cache=True, error_model="numpy")
def _power(Q_MM, V_MMM):  # type: ignore[no-untyped-def]
    """Return ``Σ_m q_mᴴ V_m q_m``, which is the mean of x̃/y over the frames, summed over the rows."""
    total = 0.0
    for m in range(len(Q_MM)):
        for i in range(len(Q_MM)):
            for j in range(len(Q_MM)):
                total += (Q_MM[m, i] * V_MMM[m, i, j] * np.conj(Q_MM[m, j])).real
    return total


@njit(cache=True)
def _unpack(V_MP, n_frames, V_MMM):  # type: ignore[no-untyped-def]
    """Write the Hermitian matrices whose numbers, in the order of `_pairs`, are ``V_MP / n_frames``."""
    for m in range(len(V_MMM)):
        p = 0
        for i in range(len(V_MMM)):
            for j in range(i):
                value = complex(V_MP[m, p], V_MP[m, p + 1]) / n_frames
                V_MMM[m, i, j] = value
                V_MMM[m, j, i] = np.conj(value)
                p += 2
            V_MMM[m, i, i] = V_MP[m, p] / n_frames
            p += 1


@njit(cache=True, error_model="numpy")
def _update_w(w, over_NBK, under_NBK, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Multiply a block's bases by the root of the ratio of their statistics."""
    N, _, K = W_NFK.shape
    for n in range(N):
        for b in range(n_f):
            for k in range(K):
                if under_NBK[n, b, k] > 0:
                    W_NFK[n, f0 + b, k] *= np.sqrt(over_NBK[n, b, k] / under_NBK[n, b, k])
                w.W_NBK[n, b, k] = W_NFK[n, f0 + b, k]


@njit(cache=True, error_model="numpy")
def _add_w(w, G_NM, ratio_MBS, H_NKS, part_BK, total_NBK):  # type: ignore[no-untyped-def]
    """Add ``Σ_t h_nkt Σ_m g_nm r_ftm`` of one chunk."""
    N, B, S = w.a_NBS.shape
    _product(G_NM, ratio_MBS.reshape((len(ratio_MBS), B * S)), w.a_NBS.reshape((N, B * S)))
    for n in range(N):
        _product(w.a_NBS[n], H_NKS[n].T, part_BK)
        _add(part_BK.reshape(part_BK.size), total_NBK[n].reshape(part_BK.size))


@njit(cache=True, error_model="numpy")
def _add_h(w, G_NM, ratio_MBS, part_KS, total_NKS):  # type: ignore[no-untyped-def]
    """Add ``Σ_f w_nfk Σ_m g_nm r_ftm`` of one block and chunk."""
    N, B, S = w.a_NBS.shape
    _product(G_NM, ratio_MBS.reshape((len(ratio_MBS), B * S)), w.a_NBS.reshape((N, B * S)))
    for n in range(N):
        _product(w.W_NBK[n].T, w.a_NBS[n], part_KS)
        _add(part_KS.reshape(part_KS.size), total_NKS[n].reshape(part_KS.size))


@njit(cache=True, error_model="numpy")
def _size(z):  # type: ignore[no-untyped-def]
    """Return |Re z| + |Im z|, which finds a pivot as well as the modulus does, and a root sooner."""
    return abs(z.real) + abs(z.imag)


@njit(cache=True, error_model="numpy")
def _solve(A_MM, q_M):  # type: ignore[no-untyped-def]
    """Replace `q_M` by the solution of ``A x = q``, destroying `A_MM`; return whether there is one.

    Gaussian elimination with partial pivoting: the matrices are tiny, and LAPACK's refusal of a singular one would be
    an exception, with which a whole pass would end.
    """
    size = len(q_M)
    for i in range(size):
        pivot = i
        for row in range(i + 1, size):
            if _size(A_MM[row, i]) > _size(A_MM[pivot, i]):
                pivot = row
        if not _size(A_MM[pivot, i]) > 0.0:
            return False
        if pivot != i:
            for j in range(i, size):
                A_MM[i, j], A_MM[pivot, j] = A_MM[pivot, j], A_MM[i, j]
            q_M[i], q_M[pivot] = q_M[pivot], q_M[i]
        inverse = 1.0 / A_MM[i, i]
        A_MM[i, i] = inverse
        for row in range(i + 1, size):
            factor = A_MM[row, i] * inverse
            for j in range(i + 1, size):
                A_MM[row, j] -= factor * A_MM[i, j]
            q_M[row] -= factor * q_M[i]
    for i in range(size - 1, -1, -1):
        total = q_M[i]
        for j in range(i + 1, size):
            total -= A_MM[i, j] * q_M[j]
        q_M[i] = total * A_MM[i, i]
    return True


@njit(cache=True, error_model="numpy")
def project_rows(Q_MM, V_MMM):  # type: ignore[no-untyped-def]
    """Update the rows of one Q in turn by iterative projection; `V_MMM[m]`, destroyed, belongs to row m.

    ``q ← (Q V)⁻¹ e_m``, by way of ``w = Q⁻¹ e_m`` and ``V q = w``; then ``q ← q / sqrt(qᴴ V q)``; row m of Q is qᴴ.
    A row whose equations are singular stays.
    """
    M = len(Q_MM)
    A = np.empty((M, M), np.complex128)
    q = np.empty(M, np.complex128)
    w = np.empty(M, np.complex128)
    for m in range(M):
        V_MM = V_MMM[m]
        trace = 0.0
        for i in range(M):
            trace += V_MM[i, i].real
        if not trace > 0.0:
            continue
        for i in range(M):
            V_MM[i, i] += 1e-10 * trace / M
            q[i] = 1.0 if i == m else 0.0
            for j in range(M):
                A[i, j] = Q_MM[i, j]
        if not _solve(A, q):
            continue
        for i in range(M):
            w[i] = q[i]
        if not _solve(V_MM, q):
            continue
        power = 0.0
        for i in range(M):
            power += (np.conj(q[i]) * w[i]).real
        if not (power > 0.0 and np.isfinite(power)):
            continue
        for i in range(M):
            Q_MM[m, i] = np.conj(q[i]) / np.sqrt(power)


@njit(cache=True, error_model="numpy")
def _multiply(A_MM, B_MM, adjoint, out_MM):  # type: ignore[no-untyped-def]
    """Write ``A B``, or ``A Bᴴ``, of tiny complex matrices."""
    M = len(A_MM)
    for i in range(M):
        for j in range(M):
            total = 0j
            for k in range(M):
                total += A_MM[i, k] * (np.conj(B_MM[j, k]) if adjoint else B_MM[k, j])
            out_MM[i, j] = total


@njit(cache=True, error_model="numpy")
def pull_rows(Q_MM, V_MMM, pull, f):  # type: ignore[no-untyped-def]
    """Update the rows of ``Q_MM``, that of frequency `f`, as `project_rows` does, pulled to ``Q₀`` by a prior.

    In ``U = Q Q₀⁻¹`` a deviation u_mj with precision p adds ``p |u_mj / u_mm|²`` to the negative log-likelihood of
    ``n_frames`` frames.  With u_mm as it is, that adds to the diagonal of V_m and leaves iterative projection as it
    is.  Writes ``u_mj / u_mm`` and its variance under a factorised posterior.  A row that hears nothing stays: the
    likelihood would let it grow for ever.
    """
    M = len(Q_MM)
    base_MM = pull.base_FMM[f]
    deviation_MM = pull.deviation_FMM[f]
    variance_MM = pull.variance_FMM[f]
    U_MM = np.empty((M, M), np.complex128)
    A_MM = np.empty((M, M), np.complex128)
    _multiply(Q_MM, pull.mixing_FMM[f], False, U_MM)
    for m in range(M):
        _multiply(base_MM, V_MMM[m], False, A_MM)
        _multiply(A_MM, base_MM, True, V_MMM[m])
        own = max(abs(U_MM[m, m]) ** 2, 1e-30)
        power = 0.0
        for j in range(M):
            variance_MM[m, j] = V_MMM[m, j, j].real
            power += variance_MM[m, j]
        for j in range(M):
            if j != m and power > 0.0:
                V_MMM[m, j, j] += pull.precision_FMM[f, m, j] / (pull.n_frames * own)
    project_rows(U_MM, V_MMM)
    for m in range(M):
        own = max(abs(U_MM[m, m]) ** 2, 1e-30)
        for j in range(M):
            deviation_MM[m, j] = U_MM[m, j] / U_MM[m, m] if own > 1e-30 else 0j
            variance_MM[m, j] = 1.0 / (pull.precision_FMM[f, m, j] + pull.n_frames * own * variance_MM[m, j])
    _multiply(U_MM, base_MM, False, Q_MM)


@njit(cache=True, nogil=True, error_model="numpy")
def _frequency_group(  # type: ignore[no-untyped-def]
    data, parameters, floor, updates, pull, blocks, group, over_CNKS, under_CNKS
):
    """Do the work of `frequency_pass` for one group of frequencies."""
    X_FTM, scale = data
    W_NFK, H_CNKS, G_NM, Q_FMM = parameters
    update_w, update_q, gather_h, pulled = updates
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    kind = W_NFK.dtype
    w = _workspace(N, K, M, C, B, S, kind)
    G_MN = G_NM.T.copy()
    Q_PP = np.empty((2 * M, 2 * M), kind)
    part_MQ = np.empty((M, M * M), kind)
    part_BK = np.empty((B, K), kind)
    part_KS = np.empty((K, S), kind)
    V_BMQ = np.empty((B, M, M * M))
    V_MMM = np.empty((M, M, M), np.complex128)
    over_NBK = np.empty((N, B, K))
    under_NBK = np.empty((N, B, K))
    cost = 0.0
    for block in range(group * n_blocks // GROUPS, (group + 1) * n_blocks // GROUPS):
        f0 = block * F // n_blocks
        n_f = (block + 1) * F // n_blocks - f0
        _load(w, X_FTM, scale, W_NFK, f0, n_f)
        V_BMQ[:] = 0
        for c in range(C):
            _model(w, H_CNKS[c], G_MN, floor, n_f, min(S, T - c * S), w.inverse_CMBS[c])
            cost += _log_sum(w.y_MBS.reshape(w.y_MBS.size))
            if update_q:
                _add_covariances(w, n_f, c, part_MQ, V_BMQ)
        if update_q:
            for b in range(n_f):
                _unpack(V_BMQ[b], T, V_MMM)
                cost += T * _power(Q_FMM[f0 + b], V_MMM)
                if pulled:
                    pull_rows(Q_FMM[f0 + b], V_MMM, pull, f0 + b)
                else:
                    project_rows(Q_FMM[f0 + b], V_MMM)
        over_NBK[:] = 0
        under_NBK[:] = 0
        for c in range(C):
            x_MBS = w.x_CMBS[c]
            inverse_MBS = w.inverse_CMBS[c]
            _demix(w, Q_FMM, f0, n_f, c, Q_PP)
            if not update_q:
                cost += _weighted_sum(x_MBS.reshape(x_MBS.size), inverse_MBS.reshape(x_MBS.size))
            if update_w:
                _ratio(x_MBS.reshape(x_MBS.size), inverse_MBS.reshape(x_MBS.size), w.ratio_MBS.reshape(x_MBS.size))
                _add_w(w, G_NM, w.ratio_MBS, H_CNKS[c], part_BK, over_NBK)
                _add_w(w, G_NM, inverse_MBS, H_CNKS[c], part_BK, under_NBK)
        if update_w:
            _update_w(w, over_NBK, under_NBK, W_NFK, f0, n_f)
        if gather_h:
            for c in range(C):
                x_MBS = w.x_CMBS[c]
                inverse_MBS = w.inverse_CMBS[c]
                if update_w:
                    _model(w, H_CNKS[c], G_MN, floor, n_f, min(S, T - c * S), inverse_MBS)
                _ratio(x_MBS.reshape(x_MBS.size), inverse_MBS.reshape(x_MBS.size), w.ratio_MBS.reshape(x_MBS.size))
                _add_h(w, G_NM, w.ratio_MBS, part_KS, over_CNKS[c])
                _add_h(w, G_NM, inverse_MBS, part_KS, under_CNKS[c])
    return cost


def _unpacked(stats_GCNKS: Array, T: int) -> Array:
    """Return the sum over the groups, as (N, K, T)."""
    stats_CNKS = stats_GCNKS[0]
    for part_CNKS in stats_GCNKS[1:]:
        stats_CNKS += part_CNKS
    C, N, K, S = stats_CNKS.shape
    return np.ascontiguousarray(stats_CNKS.transpose(1, 2, 0, 3).reshape(N, K, C * S)[:, :, :T])


def frequency_pass(
    X_FTM: Array,
    scale: Any,
    W_NFK: Array,
    H_NKT: Array,
    G_NM: Array,
    Q_FMM: Array,
    floor: Any,
    update_w: bool,
    update_q: bool,
    gather_h: bool,
    pull: PullArrays | None = None,
) -> tuple[float, Array, Array]:
    """Update Q and then W in place, and return the cost before that and the numerator and denominator of H.

    The data are `X_FTM` times `scale`; `H_NKT` and W, G, `floor` have the real type that the work is done in.  The rows
    of Q are updated by `pull_rows` if there is a `pull`, else by `project_rows`.

    Returns the cost without the determinants, and two arrays (N, K, T), which hold zeros unless `gather_h`.
    """
    F, T, M = X_FTM.shape
    N, _, K = W_NFK.shape
    C, S = _chunks(T)
    H_CNKS = _packed(H_NKT, C, S)
    cost_G = np.zeros(GROUPS)
    over_GCNKS = np.zeros((GROUPS, C if gather_h else 0, N, K, S), H_NKT.dtype)
    under_GCNKS = np.zeros_like(over_GCNKS)
    arrays = _NO_PULL if pull is None else pull
    data, parameters = (X_FTM, scale), (W_NFK, H_CNKS, G_NM, Q_FMM)
    updates = update_w, update_q, gather_h, pull is not None

    def work(group: int) -> None:
        cost_G[group] = _frequency_group(
            data, parameters, floor, updates, arrays, _blocks(F, T, M), group, over_GCNKS[group], under_GCNKS[group]
        )

    share_out(work, GROUPS)
    if not gather_h:
        return float(cost_G.sum()), np.zeros_like(H_NKT), np.zeros_like(H_NKT)
    return float(cost_G.sum()), _unpacked(over_GCNKS, T), _unpacked(under_GCNKS, T)


@njit(cache=True, nogil=True, error_model="numpy")
def _weight_group(data, parameters, floor, blocks, group, over_NM, under_NM):  # type: ignore[no-untyped-def]
    """Do the work of `weight_pass` for one group of frequencies."""
    X_FTM, scale = data
    W_NFK, H_CNKS, G_NM, Q_FMM = parameters
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    kind = W_NFK.dtype
    w = _workspace(N, K, M, C, B, S, kind)
    G_MN = G_NM.T.copy()
    Q_PP = np.empty((2 * M, 2 * M), kind)
    part_NM = np.empty((N, M), kind)
    P_NS = w.P_NBS.reshape((N, B * S))
    ratio_MS = w.ratio_MBS.reshape((M, B * S))
    for block in range(group * n_blocks // GROUPS, (group + 1) * n_blocks // GROUPS):
        f0 = block * F // n_blocks
        n_f = (block + 1) * F // n_blocks - f0
        _load(w, X_FTM, scale, W_NFK, f0, n_f)
        for c in range(C):
            x_MBS = w.x_CMBS[c]
            inverse_MBS = w.inverse_CMBS[c]
            _model(w, H_CNKS[c], G_MN, floor, n_f, min(S, T - c * S), inverse_MBS)
            _demix(w, Q_FMM, f0, n_f, c, Q_PP)
            _ratio(x_MBS.reshape(x_MBS.size), inverse_MBS.reshape(x_MBS.size), w.ratio_MBS.reshape(x_MBS.size))
            _product(P_NS, ratio_MS.T, part_NM)
            _add(part_NM.reshape(N * M), over_NM.reshape(N * M))
            _product(P_NS, inverse_MBS.reshape((M, B * S)).T, part_NM)
            _add(part_NM.reshape(N * M), under_NM.reshape(N * M))


def weight_pass(
    X_FTM: Array, scale: Any, W_NFK: Array, H_NKT: Array, G_NM: Array, Q_FMM: Array, floor: Any
) -> tuple[Array, Array]:
    """Return the numerator and denominator of G, each (N, M)."""
    F, T, M = X_FTM.shape
    parameters = W_NFK, _packed(H_NKT, *_chunks(T)), G_NM, Q_FMM
    over_GNM = np.zeros((GROUPS, *G_NM.shape))
    under_GNM = np.zeros_like(over_GNM)

    def work(group: int) -> None:
        _weight_group((X_FTM, scale), parameters, floor, _blocks(F, T, M), group, over_GNM[group], under_GNM[group])

    share_out(work, GROUPS)
    return over_GNM.sum(axis=0), under_GNM.sum(axis=0)
