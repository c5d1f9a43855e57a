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

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import (
    FAST,
    GROUPS,
    Rooms,
    add_product,
    blocks_of,
    chunks_of,
    clear,
    load_bases,
    packed,
    part,
    product,
    sum_over_groups,
    update_bases,
    write_variances,
    zeros,
)
from mnmf.kernels._compile import inner, kernel
from mnmf.kernels._rows import NO_PULL, PullArrays, pairs, power, project_rows, pull_rows, unpack
from mnmf.kernels._threads import share_out

__all__ = ["GROUPS", "PullArrays", "frequency_pass", "project_rows", "pull_rows", "weight_pass"]

Array = NDArray[Any]

FREQUENCIES = 16  # most frequencies of a block
FRAMES = 384  # most frames of a chunk
BLOCK_VALUES = 2**17  # about how many values of x̃ fit the caches together with what is computed from them
MODEL, DEMIX, GATHER = range(3)  # the stages of a pass over a block
LANES = 16  # chunks are a multiple of this: the widest vector registers hold 16 single-precision numbers


def _chunks(n_frames: int) -> tuple[int, int]:
    """Return the number of chunks and the frames of each."""
    return chunks_of(n_frames, FRAMES, LANES)


def _blocks(n_frequencies: int, n_frames: int, n_mics: int) -> tuple[int, int]:
    """Return the number of blocks and the frequencies of the largest."""
    return blocks_of(n_frequencies, min(max(BLOCK_VALUES // (n_frames * n_mics), FREQUENCIES // 4), FREQUENCIES))


def _workspace(N: int, K: int, M: int, C: int, B: int, S: int, kind: Any) -> tuple[Array, ...]:
    """Return what the kernel works in, in the order of its arguments.

    All are zeros: padding is multiplied by zero weights, so what it holds must be finite.
    """
    in_kind = (
        (N, B, K),  # bases, zero beyond the last frequency
        (C, B, 2 * M, S),  # signals: M planes of real parts, then M of imaginary parts
        (C, M, B * S),  # x̃
        (C, M, B * S),  # 1/y, zero beyond the last frame and frequency
        (N, B * S),  # λ of one chunk
        (M, B * S),  # y of one chunk, 1 beyond the last frame and frequency
        (M, B * S),  # x̃/y² of one chunk
        (N, B * S),  # Σ_m g_nm x̃/y², or Σ_m g_nm 1/y
        (2 * M, 2 * M),  # Q of one frequency, as a real matrix
        (2 * M, S),  # Qx of one frequency
        (M * M, S),  # the M² real numbers of x xᴴ
        (M, S),  # 1/y of one frequency
        (M, M * M),  # sums over the frames of one chunk
        (B, K),
        (K, S),
        (N, M),
    )
    in_double = (
        (B, M, M * M),  # sums over all frames: the numbers of the covariances
        (N, B, K),  # numerator and denominator of W
        (N, B, K),
    )
    arrays = zeros(in_kind, kind)
    # λ and what comes of it are seen in two ways.
    seen_so = arrays[4].reshape((N, B, S)), arrays[7].reshape((N, B, S))
    return (*arrays, *seen_so, *zeros(in_double, np.float64), np.zeros((M, M, M), np.complex128))


@inner
def _load(X_FTM, scale, f0, n_f, planes_CBPS):  # type: ignore[no-untyped-def]
    """Copy the planes of a block's signals, times `scale`, into the workspace."""
    T, M = X_FTM.shape[1:]
    C, _, _, S = planes_CBPS.shape
    for b in range(n_f):
        X_TM = X_FTM[f0 + b]
        for c in range(C):
            planes_PS = planes_CBPS[c, b]
            first = c * S
            for m in range(M):
                for t in range(min(S, T - first)):
                    planes_PS[m, t] = X_TM[first + t, m].real * scale
                    planes_PS[M + m, t] = X_TM[first + t, m].imag * scale


@inner(fastmath=FAST)
def _invert(y, floor, inverse):  # type: ignore[no-untyped-def]
    """Add the floor to y and write 1/y, of flat arrays."""
    for i in range(len(y)):
        value = y[i] + floor
        y[i] = value
        inverse[i] = 1 / value


@inner
def _mask(y_MX, inverse_MX, B, S, n_f, size):  # type: ignore[no-untyped-def]
    """Write 1 to y and 0 to 1/y in the padding, so that it adds nothing to the cost and to any sum."""
    for m in range(len(y_MX)):
        for b in range(B):
            for t in range(size if b < n_f else 0, S):
                y_MX[m, b * S + t] = 1
                inverse_MX[m, b * S + t] = 0


@inner
def _model(W_NBK, H_NKS, G_MN, floor, n_f, size, P_NX, P_NBS, y_MX, inverse_MX):  # type: ignore[no-untyped-def]
    """Write λ, y and 1/y of one chunk, of which `size` frames are data."""
    _, B, S = P_NBS.shape
    write_variances(W_NBK, H_NKS, P_NBS)
    product(G_MN, P_NX, y_MX)
    _invert(y_MX.ravel(), floor, inverse_MX.ravel())
    if size < S or n_f < B:
        _mask(y_MX, inverse_MX, B, S, n_f, size)


@inner
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


@inner(fastmath=FAST)
def _weighted_sum(x, weights):  # type: ignore[no-untyped-def]
    """Return ``Σ x · weights`` of flat arrays."""
    total = 0.0
    for i in range(len(x)):
        total += np.float64(x[i] * weights[i])
    return total


@inner(fastmath=FAST)
def _squares(re_S, im_S, out_S):  # type: ignore[no-untyped-def]
    """Write |z|²."""
    for t in range(len(out_S)):
        out_S[t] = re_S[t] * re_S[t] + im_S[t] * im_S[t]


@inner
def _demix(Q_FMM, planes_BPS, f0, n_f, Q_PP, z_PS, x_MX):  # type: ignore[no-untyped-def]
    """Write x̃ = |Qx|² of one chunk, with Q as the real matrix [[Re, −Im], [Im, Re]]."""
    M, S = len(x_MX), z_PS.shape[1]
    for b in range(n_f):
        for i in range(M):
            for j in range(M):
                value = Q_FMM[f0 + b, i, j]
                Q_PP[i, j] = value.real
                Q_PP[i, M + j] = -value.imag
                Q_PP[M + i, j] = value.imag
                Q_PP[M + i, M + j] = value.real
        product(Q_PP, planes_BPS[b], z_PS)
        for m in range(M):
            _squares(z_PS[m], z_PS[M + m], x_MX[m, b * S : (b + 1) * S])


@inner(fastmath=FAST)
def _ratio(x, inverse, out):  # type: ignore[no-untyped-def]
    """Write x̃/y² of flat arrays."""
    for i in range(len(x)):
        out[i] = x[i] * inverse[i] * inverse[i]


@inner
def _add_covariances(planes_BPS, inverse_MX, n_f, pairs_QS, weights_MS, part_MQ, V_BMQ):  # type: ignore[no-untyped-def]
    """Add ``Σ_t x xᴴ / y_m`` of one chunk, as the numbers of `pairs`."""
    M, S = weights_MS.shape
    for b in range(n_f):
        pairs(planes_BPS[b], pairs_QS)
        for m in range(M):
            for t in range(S):
                weights_MS[m, t] = inverse_MX[m, b * S + t]
        add_product(weights_MS, pairs_QS.T, part_MQ, V_BMQ[b])


@inner
def _add_w(G_NM, r_MX, H_NKS, a_NX, a_NBS, part_BK, total_NBK):  # type: ignore[no-untyped-def]
    """Add ``Σ_t h_nkt Σ_m g_nm r_ftm`` of one chunk."""
    product(G_NM, r_MX, a_NX)
    for n in range(len(a_NBS)):
        add_product(a_NBS[n], H_NKS[n].T, part_BK, total_NBK[n])


@inner
def _add_h(G_NM, r_MX, W_NBK, a_NX, a_NBS, part_KS, total_NKS):  # type: ignore[no-untyped-def]
    """Add ``Σ_f w_nfk Σ_m g_nm r_ftm`` of one block and chunk."""
    product(G_NM, r_MX, a_NX)
    for n in range(len(a_NBS)):
        add_product(W_NBK[n].T, a_NBS[n], part_KS, total_NKS[n])


@kernel
def _group(  # type: ignore[no-untyped-def]
    X_FTM, scale, W_NFK, H_CNKS, G_NM, G_MN, Q_FMM, floor, update_w, update_q, gather_h, gather_g, pulled, pull,
    n_blocks, B, group, over_CNKS, under_CNKS, over_NM, under_NM,
    W_NBK, planes_CBPS, x_CMX, inverse_CMX, P_NX, y_MX, ratio_MX, a_NX, Q_PP, z_PS, pairs_QS, weights_MS,
    part_MQ, part_BK, part_KS, part_NM, P_NBS, a_NBS, V_BMQ, over_NBK, under_NBK, V_MMM,
):  # fmt: skip
    """Do the work of `frequency_pass`, or of `weight_pass` with `gather_g`, for one group of frequencies."""
    F, T, _ = X_FTM.shape
    C, _, _, S = H_CNKS.shape
    cost = 0.0
    first, last = part(group, GROUPS, n_blocks)
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        load_bases(W_NFK, f0, n_f, W_NBK)
        _load(X_FTM, scale, f0, n_f, planes_CBPS)
        clear(V_BMQ.ravel())
        clear(over_NBK.ravel())
        clear(under_NBK.ravel())
        for stage in range(DEMIX if gather_g else MODEL, (GATHER if gather_h else DEMIX) + 1):
            for c in range(C):
                inverse_MX = inverse_CMX[c]
                x_MX = x_CMX[c]
                planes_BPS = planes_CBPS[c]
                H_NKS = H_CNKS[c]
                if stage == MODEL or (stage == DEMIX and gather_g) or (stage == GATHER and update_w):
                    _model(W_NBK, H_NKS, G_MN, floor, n_f, min(S, T - c * S), P_NX, P_NBS, y_MX, inverse_MX)
                if stage == MODEL:
                    cost += _log_sum(y_MX.ravel())
                    if update_q:
                        _add_covariances(planes_BPS, inverse_MX, n_f, pairs_QS, weights_MS, part_MQ, V_BMQ)
                    continue
                if stage == DEMIX:
                    _demix(Q_FMM, planes_BPS, f0, n_f, Q_PP, z_PS, x_MX)
                    if not update_q:
                        cost += _weighted_sum(x_MX.ravel(), inverse_MX.ravel())
                if stage == GATHER or update_w or gather_g:
                    _ratio(x_MX.ravel(), inverse_MX.ravel(), ratio_MX.ravel())
                if stage == GATHER:
                    _add_h(G_NM, ratio_MX, W_NBK, a_NX, a_NBS, part_KS, over_CNKS[c])
                    _add_h(G_NM, inverse_MX, W_NBK, a_NX, a_NBS, part_KS, under_CNKS[c])
                elif update_w:
                    _add_w(G_NM, ratio_MX, H_NKS, a_NX, a_NBS, part_BK, over_NBK)
                    _add_w(G_NM, inverse_MX, H_NKS, a_NX, a_NBS, part_BK, under_NBK)
                elif gather_g:
                    add_product(P_NX, ratio_MX.T, part_NM, over_NM)
                    add_product(P_NX, inverse_MX.T, part_NM, under_NM)
            if stage == MODEL and update_q:
                for b in range(n_f):
                    unpack(V_BMQ[b], T, V_MMM)
                    cost += T * power(Q_FMM[f0 + b], V_MMM)
                    if pulled:
                        pull_rows(Q_FMM[f0 + b], V_MMM, pull, f0 + b)
                    else:
                        project_rows(Q_FMM[f0 + b], V_MMM)
            if stage == DEMIX and update_w:
                update_bases(over_NBK, under_NBK, W_NFK, f0, n_f)
                load_bases(W_NFK, f0, n_f, W_NBK)
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
    H_CNKS = packed(H_NKT, *_chunks(X_FTM.shape[1]))
    tasks = update_w, update_q, gather_h, False, pull is not None, NO_PULL if pull is None else pull
    run = _runner(X_FTM, scale, W_NFK, H_CNKS, G_NM, Q_FMM, floor, *tasks)
    nothing = np.zeros(G_NM.shape)
    return sum_over_groups(lambda *sums: run(*sums, nothing, nothing), H_CNKS, X_FTM.shape[1], gather_h)


def _runner(X_FTM: Array, scale: Any, W_NFK: Array, H_CNKS: Array, G_NM: Array, *others: Any) -> Callable[..., float]:
    """Return what runs the kernel for a group."""
    (F, T, M), (C, N, K, S), G_MN = X_FTM.shape, H_CNKS.shape, np.ascontiguousarray(G_NM.T)
    n_blocks, B = _blocks(F, T, M)
    rooms = Rooms(lambda: _workspace(N, K, M, C, B, S, W_NFK.dtype))

    def run(group: int, *sums: Array) -> float:
        with rooms.one() as room:
            cost: float = _group(X_FTM, scale, W_NFK, H_CNKS, G_NM, G_MN, *others, n_blocks, B, group, *sums, *room)
        return cost

    return run


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
    H_CNKS = packed(H_NKT, *_chunks(X_FTM.shape[1]))
    run = _runner(X_FTM, scale, W_NFK, H_CNKS, G_NM, Q_FMM, floor, False, False, False, True, False, NO_PULL)
    over_GNM = np.zeros((GROUPS, *G_NM.shape))
    under_GNM = np.zeros_like(over_GNM)
    nothing = H_CNKS[:0]

    def work(group: int) -> None:
        run(group, nothing, nothing, over_GNM[group], under_GNM[group])

    share_out(work, GROUPS)
    return over_GNM.sum(axis=0), under_GNM.sum(axis=0)
