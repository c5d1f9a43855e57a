"""Updates of FastMNMF2 (Sekiguchi et al. 2020): multiplicative rules for W, H and G, iterative projection for Q.

With ``x̃_ftm = |q_fmᴴ x_ft|²`` and ``y_ftm = Σ_n λ_nft g_nm + floor`` the cost is
``Σ_ftm (x̃/y + log y) − T Σ_f log |det Q_f|²``.  The floor is a constant of the model, so every update still lowers the
cost.

Each update needs y as the updates before it left it, so an iteration evaluates the model three times, in two passes
over the data: `frequency_pass` updates Q_f and then W_f, which concern one frequency only, and adds up what the update
of H needs from all of them; `weight_pass` adds up what the update of G needs.

Both take the data in blocks of frequencies, whose x̃ and 1/y stay in the processor's caches from one update to the
next, and within a block in chunks of frames, so that no array of all sources at all times and frequencies is ever made
(see `_blocks`).  Signals are split into planes of real and of imaginary parts whose last axis is time: loops over it
become vector instructions, and sums over sources, bases, microphones or frames become products of real matrices.

Axes: C chunks of frames, S frames of a chunk, B frequencies of a block, P the 2M planes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._blocks import (
    FAST,
    GROUPS,
    add_product,
    blocks_of,
    chunks_of,
    load_bases,
    packed,
    part,
    product,
    sum_over_groups,
    update_bases,
    write_variances,
)
from mnmf.kernels._rows import NO_PULL, PullArrays, pairs, power, project_rows, pull_rows, unpack
from mnmf.kernels._threads import share_out

__all__ = ["GROUPS", "PullArrays", "frequency_pass", "project_rows", "pull_rows", "weight_pass"]

Array = NDArray[Any]

FREQUENCIES = 16  # most frequencies of a block
FRAMES = 384  # most frames of a chunk
BLOCK_VALUES = 2**17  # about how many values of x̃ fit the caches together with what is computed from them
LANES = 16  # chunks are a multiple of this: the widest vector registers hold 16 single-precision numbers


class Workspace(NamedTuple):
    """Arrays that one group of frequencies works in, used again for each of its blocks."""

    W_NBK: Any  # bases, zero beyond the last frequency
    planes_CBPS: Any  # signals: M planes of real parts, then M of imaginary parts
    x_CMBS: Any  # x̃
    inverse_CMBS: Any  # 1/y, zero beyond the last frame and frequency
    P_NBS: Any  # λ of one chunk
    y_MBS: Any  # y of one chunk, 1 beyond the last frame and frequency
    ratio_MBS: Any  # x̃/y² of one chunk
    a_NBS: Any  # Σ_m g_nm x̃/y², or Σ_m g_nm 1/y
    z_PS: Any  # Qx of one frequency
    pairs_QS: Any  # the M² real numbers of x xᴴ
    weights_MS: Any  # 1/y of one frequency


def _chunks(n_frames: int) -> tuple[int, int]:
    """Return the number of chunks and the frames of each."""
    return chunks_of(n_frames, FRAMES, LANES)


def _blocks(n_frequencies: int, n_frames: int, n_mics: int) -> tuple[int, int]:
    """Return the number of blocks and the frequencies of the largest."""
    return blocks_of(n_frequencies, min(max(BLOCK_VALUES // (n_frames * n_mics), FREQUENCIES // 4), FREQUENCIES))


@njit(cache=True)
def _workspace(N, K, M, C, B, S, kind):  # type: ignore[no-untyped-def]
    """Return arrays of zeros: padding is multiplied by zero weights, so what it holds must be finite."""
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


@njit(cache=True, error_model="numpy")
def _load(w, X_FTM, scale, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Copy a block's bases, and the planes of its signals times `scale`, into the workspace."""
    load_bases(W_NFK, f0, n_f, w.W_NBK)
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


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _invert(y, floor, inverse):  # type: ignore[no-untyped-def]
    """Add the floor to y and write 1/y, of flat arrays."""
    for i in range(len(y)):
        value = y[i] + floor
        y[i] = value
        inverse[i] = 1 / value


@njit(cache=True, error_model="numpy")
def _mask(y_MBS, inverse_MBS, n_f, size):  # type: ignore[no-untyped-def]
    """Write 1 to y and 0 to 1/y in the padding, so that it adds nothing to the cost and to any sum."""
    M, B, S = y_MBS.shape
    for m in range(M):
        for b in range(B):
            for t in range(size if b < n_f else 0, S):
                y_MBS[m, b, t] = 1
                inverse_MBS[m, b, t] = 0


@njit(cache=True, error_model="numpy")
def _model(w, H_NKS, G_MN, floor, n_f, size, inverse_MBS):  # type: ignore[no-untyped-def]
    """Write λ, y and 1/y of one chunk, of which `size` frames are data."""
    N, B, S = w.P_NBS.shape
    M = len(G_MN)
    write_variances(w.W_NBK, H_NKS, w.P_NBS)
    product(G_MN, w.P_NBS.reshape((N, B * S)), w.y_MBS.reshape((M, B * S)))
    _invert(w.y_MBS.reshape(M * B * S), floor, inverse_MBS.reshape(M * B * S))
    if size < S or n_f < B:
        _mask(w.y_MBS, inverse_MBS, n_f, size)


@njit(cache=True, error_model="numpy")
def _log_sum(y):  # type: ignore[no-untyped-def]
    """Return Σ log y of a flat array whose length is a multiple of eight, with one logarithm for every eight values."""
    eighth = len(y) // 8
    total = 0.0
    for t in range(eighth):
        eight = 1.0
        for i in range(8):
            eight *= np.float64(y[i * eighth + t])
        total += np.log(eight)
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
    """Write x̃ = |Qx|² of one chunk, with Q as the real matrix [[Re, −Im], [Im, Re]]."""
    M = Q_FMM.shape[1]
    for b in range(n_f):
        for i in range(M):
            for j in range(M):
                value = Q_FMM[f0 + b, i, j]
                Q_PP[i, j] = value.real
                Q_PP[i, M + j] = -value.imag
                Q_PP[M + i, j] = value.imag
                Q_PP[M + i, M + j] = value.real
        product(Q_PP, w.planes_CBPS[c, b], w.z_PS)
        for m in range(M):
            _squares(w.z_PS[m], w.z_PS[M + m], w.x_CMBS[c, m, b])


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _ratio(x, inverse, out):  # type: ignore[no-untyped-def]
    """Write x̃/y² of flat arrays."""
    for i in range(len(x)):
        out[i] = x[i] * inverse[i] * inverse[i]


@njit(cache=True, error_model="numpy")
def _add_covariances(w, n_f, c, part_MQ, V_BMQ):  # type: ignore[no-untyped-def]
    """Add ``Σ_t x xᴴ / y_m`` of one chunk, as the numbers of `pairs`."""
    M, S = w.weights_MS.shape
    for b in range(n_f):
        pairs(w.planes_CBPS[c, b], w.pairs_QS)
        for m in range(M):
            for t in range(S):
                w.weights_MS[m, t] = w.inverse_CMBS[c, m, b, t]
        add_product(w.weights_MS, w.pairs_QS.T, part_MQ, V_BMQ[b])


@njit(cache=True, error_model="numpy")
def _add_w(w, G_NM, ratio_MBS, H_NKS, part_BK, total_NBK):  # type: ignore[no-untyped-def]
    """Add ``Σ_t h_nkt Σ_m g_nm r_ftm`` of one chunk."""
    N, B, S = w.a_NBS.shape
    product(G_NM, ratio_MBS.reshape((len(ratio_MBS), B * S)), w.a_NBS.reshape((N, B * S)))
    for n in range(N):
        add_product(w.a_NBS[n], H_NKS[n].T, part_BK, total_NBK[n])


@njit(cache=True, error_model="numpy")
def _add_h(w, G_NM, ratio_MBS, part_KS, total_NKS):  # type: ignore[no-untyped-def]
    """Add ``Σ_f w_nfk Σ_m g_nm r_ftm`` of one block and chunk."""
    N, B, S = w.a_NBS.shape
    product(G_NM, ratio_MBS.reshape((len(ratio_MBS), B * S)), w.a_NBS.reshape((N, B * S)))
    for n in range(N):
        add_product(w.W_NBK[n].T, w.a_NBS[n], part_KS, total_NKS[n])


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
    first, last = part(group, GROUPS, n_blocks)
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        _load(w, X_FTM, scale, W_NFK, f0, n_f)
        V_BMQ[:] = 0
        for c in range(C):
            _model(w, H_CNKS[c], G_MN, floor, n_f, min(S, T - c * S), w.inverse_CMBS[c])
            cost += _log_sum(w.y_MBS.reshape(w.y_MBS.size))
            if update_q:
                _add_covariances(w, n_f, c, part_MQ, V_BMQ)
        if update_q:
            for b in range(n_f):
                unpack(V_BMQ[b], T, V_MMM)
                cost += T * power(Q_FMM[f0 + b], V_MMM)
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
            update_bases(over_NBK, under_NBK, W_NFK, f0, n_f)
            load_bases(W_NFK, f0, n_f, w.W_NBK)
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
    """Update Q and then W in place (Sekiguchi et al. 2020, eq. 16 and 13), and add up what H needs (eq. 14).

    Parameters
    ----------
    X_FTM : complex64 or complex128, shape (F, T, M)
        The data are `X_FTM` times `scale`.
    scale : float of the type of W
    W_NFK, H_NKT, G_NM : float32 or float64, shapes (N, F, K), (N, K, T), (N, M)
        Bases, activations and weights, all of one type, which the work is done in, and C-contiguous.
    Q_FMM : complex128, shape (F, M, M)
        Row m is q_mᴴ.
    floor : float of the type of W
        Added to y.
    update_w, update_q, gather_h : bool
        Which of the three to do.
    pull : PullArrays, optional
        A prior of the rows of Q; with it they are updated by `pull_rows`, else by `project_rows`.

    Returns
    -------
    cost : float
        The cost before the updates, without the determinants.
    over_NKT, under_NKT : shape (N, K, T)
        Numerator and denominator of the update of H; zeros unless `gather_h`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 6, 2)) + 1j * rng.standard_normal((5, 6, 2))
    >>> W_NFK, H_NKT, G_NM = rng.random((3, 5, 4)), rng.random((3, 4, 6)), rng.random((3, 2))
    >>> Q_FMM = np.tile(np.eye(2, dtype=complex), (5, 1, 1))
    >>> state = X_FTM, 1.0, W_NFK, H_NKT, G_NM, Q_FMM, 1e-6
    >>> first, over_NKT, under_NKT = frequency_pass(*state, True, False, True)
    >>> H_NKT *= np.sqrt(over_NKT / under_NKT)
    >>> second, _, _ = frequency_pass(*state, False, False, False)
    >>> second < first
    True
    """
    F, T, M = X_FTM.shape
    H_CNKS = packed(H_NKT, *_chunks(T))
    arrays = NO_PULL if pull is None else pull
    data, parameters = (X_FTM, scale), (W_NFK, H_CNKS, G_NM, Q_FMM)
    updates, blocks = (update_w, update_q, gather_h, pull is not None), _blocks(F, T, M)

    def work(group: int, over_CNKS: Array, under_CNKS: Array) -> float:
        cost: float = _frequency_group(data, parameters, floor, updates, arrays, blocks, group, over_CNKS, under_CNKS)
        return cost

    return sum_over_groups(work, H_CNKS, T, gather_h)


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
    first, last = part(group, GROUPS, n_blocks)
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        _load(w, X_FTM, scale, W_NFK, f0, n_f)
        for c in range(C):
            x_MBS = w.x_CMBS[c]
            inverse_MBS = w.inverse_CMBS[c]
            _model(w, H_CNKS[c], G_MN, floor, n_f, min(S, T - c * S), inverse_MBS)
            _demix(w, Q_FMM, f0, n_f, c, Q_PP)
            _ratio(x_MBS.reshape(x_MBS.size), inverse_MBS.reshape(x_MBS.size), w.ratio_MBS.reshape(x_MBS.size))
            add_product(P_NS, ratio_MS.T, part_NM, over_NM)
            add_product(P_NS, inverse_MBS.reshape((M, B * S)).T, part_NM, under_NM)


def weight_pass(
    X_FTM: Array, scale: Any, W_NFK: Array, H_NKT: Array, G_NM: Array, Q_FMM: Array, floor: Any
) -> tuple[Array, Array]:
    """Return the numerator and denominator of the update of G (Sekiguchi et al. 2020, eq. 15), (N, M) each.

    Parameters
    ----------
    X_FTM, scale, W_NFK, H_NKT, G_NM, Q_FMM, floor
        As for `frequency_pass`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 6, 2)) + 1j * rng.standard_normal((5, 6, 2))
    >>> W_NFK, H_NKT, G_NM = rng.random((3, 5, 4)), rng.random((3, 4, 6)), rng.random((3, 2))
    >>> Q_FMM = np.tile(np.eye(2, dtype=complex), (5, 1, 1))
    >>> over_NM, under_NM = weight_pass(X_FTM, 1.0, W_NFK, H_NKT, G_NM, Q_FMM, 1e-6)
    >>> (G_NM * np.sqrt(over_NM / under_NM)).shape
    (3, 2)
    """
    F, T, M = X_FTM.shape
    data, parameters = (X_FTM, scale), (W_NFK, packed(H_NKT, *_chunks(T)), G_NM, Q_FMM)
    blocks = _blocks(F, T, M)
    over_GNM = np.zeros((GROUPS, *G_NM.shape))
    under_GNM = np.zeros_like(over_GNM)

    def work(group: int) -> None:
        _weight_group(data, parameters, floor, blocks, group, over_GNM[group], under_GNM[group])

    share_out(work, GROUPS)
    return over_GNM.sum(axis=0), under_GNM.sum(axis=0)
