"""Updates of full-rank multichannel NMF under the log-determinant divergence (Sawada et al. 2013, section III-D).

With ``X̂_ft = Σ_n λ_nft R_nf + ε_f I`` the cost is ``Σ_ft (xᴴ X̂⁻¹ x + log det X̂)``.  The floor ε_f is a constant of the
model, as if of a source that never changes, so every update still lowers the cost.  It also bounds what is divided by:
no pivot of X̂ can be less.

With ``Z = X̂⁻¹`` and ``y = Zx`` the updates of W and H need only ``tr(Z R_n)`` and ``yᴴ R_n y``, that of R only
``Σ_t λ_n Z`` and ``Σ_t λ_n y yᴴ``.  W and R concern one frequency only, so a single pass over the data updates R_f and
then W_f and adds up what the update of H needs from all frequencies.

A microphone that is missing in a frame is as one with infinite noise: the cost is that of the others, Z and y are
those of the others with zeros in its row and column.  The updates stay what they are.  Those of W and H are sums over
what was observed; for R the auxiliary function holds because ``uᴴ R⁻¹ u`` of an image u that is known at some
microphones only is least for ``u = λ R y``, the expected one.

The matrices Z and y yᴴ exist for one frequency and one chunk of frames at a time, as planes of real numbers (see
`_planes`), so that sums over sources, bases, frames or the numbers of a matrix become matrix products.

Axes: C chunks of frames, S frames of a chunk, B frequencies of a block, Q the M² real numbers of a Hermitian matrix,
P pairs of a frame and a microphone that is missing there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._blocks import (
    FAST,
    GROUPS,
    add_product,
    blocks_of,
    chunks_of,
    packed,
    part,
    update_bases,
    write_variances,
)
from mnmf.kernels._logdet import (
    FREQUENCIES,
    LANES,
    add_anchor,
    add_products,
    evaluate,
    gaps_of,
    load,
    pack_covariances,
    pack_powers,
    sweep_over_groups,
    workspace,
    write_traces,
)
from mnmf.kernels._planes import FRAMES, offset, pairs, unpack
from mnmf.kernels._threads import share_out
from mnmf.kernels.hermitian import solve_riccati

__all__ = ["images", "sweep"]

Array = NDArray[Any]

UPDATE_R, UPDATE_W, GATHER_H = range(3)  # the stages of a sweep; each starts from an X̂ of its own


@njit(cache=True, nogil=True, error_model="numpy")
def _group(X_FTM, gaps, parameters, anchors, floor_F, stages, blocks, group, over_CNKS, under_CNKS):  # type: ignore[no-untyped-def]
    """Do the work of `sweep` for one group of frequencies."""
    gaps_P2, gap_C = gaps
    W_NFK, H_CNKS, H_CNSK, R_FNMM = parameters
    anchor_FNMM, weight_FN = anchors
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    w = workspace(N, K, M, B, S)
    part_BK = np.empty((B, K))
    part_KS = np.empty((K, S))
    over_NBK = np.empty((N, B, K))
    under_NBK = np.empty((N, B, K))
    A_BQN = np.empty((B, M * M, N))
    B_BQN = np.empty((B, M * M, N))
    A_MM = np.empty((M, M), np.complex128)
    B_MM = np.empty((M, M), np.complex128)
    cost = 0.0
    first, last = part(group, GROUPS, n_blocks)
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        for b in range(n_f):
            cost += (T * M - len(gaps_P2)) * np.log(floor_F[f0 + b])
        for i in range(len(stages)):
            stage = stages[i]
            load(w, W_NFK, f0, n_f)
            over_NBK[:] = 0.0
            under_NBK[:] = 0.0
            A_BQN[:] = 0.0
            B_BQN[:] = 0.0
            for c in range(C):
                write_variances(w.W_NBK, H_CNKS[c], w.P_NBS)
                missing = gaps_P2, gap_C[c], gap_C[c + 1]
                for b in range(n_f):
                    pack_powers(w, w.P_NBS, b)
                    pack_covariances(w, R_FNMM[f0 + b])
                    cost += evaluate(w, w.planes_QS, X_FTM[f0 + b], c * S, missing, floor_F[f0 + b], i == 0)
                    pairs(w.planes_QS, M, S, w.pairs_QS)
                    if stage == UPDATE_R:
                        add_product(w.planes_QS[: M * M], w.P_SN, w.part_QN, A_BQN[b])
                        add_product(w.pairs_QS, w.P_SN, w.part_QN, B_BQN[b])
                    else:
                        write_traces(w, w.trace_NQ, w.pairs_QS, 1.0, b, w.over_NBS)
                        write_traces(w, w.trace_NQ, w.planes_QS[: M * M], -1.0, b, w.under_NBS)
                if stage == UPDATE_W:
                    add_products(w.over_NBS, H_CNSK[c], part_BK, over_NBK)
                    add_products(w.under_NBS, H_CNSK[c], part_BK, under_NBK)
                elif stage == GATHER_H:
                    # Bases in the padding are zero, and what an earlier block left in `over_NBS` there is finite.
                    add_products(w.W_NKB, w.over_NBS, part_KS, over_CNKS[c])
                    add_products(w.W_NKB, w.under_NBS, part_KS, under_CNKS[c])
            if stage == UPDATE_W:
                update_bases(over_NBK, under_NBK, W_NFK, f0, n_f)
            elif stage == UPDATE_R:
                for b in range(n_f):
                    for n in range(N):
                        weight = weight_FN[f0 + b, n]
                        if weight == np.inf:
                            continue
                        unpack(A_BQN[b], n, -1.0, A_MM)
                        unpack(B_BQN[b], n, 1.0, B_MM)
                        if weight > 0.0:
                            add_anchor(A_MM, B_MM, R_FNMM[f0 + b, n], anchor_FNMM[f0 + b, n], weight)
                        solve_riccati(A_MM, B_MM, R_FNMM[f0 + b, n])
    return cost


def sweep(
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    R_FNMM: Array,
    floor_F: Array,
    update_w: bool,
    update_r: bool,
    gather_h: bool,
    missing_TM: Array | None = None,
    anchor_FNMM: Array | None = None,
    weight_FN: Array | None = None,
) -> tuple[float, Array, Array]:
    """Update R and then W in place, and add up what the update of H needs (Sawada et al. 2013, section III-D).

    Parameters
    ----------
    X_FTM : complex64 or complex128, shape (F, T, M)
    W_NFK, H_NKT : float64, shapes (N, F, K), (N, K, T)
        Bases and activations.
    R_FNMM : complex128, shape (F, N, M, M)
        Spatial covariances, frequency first.
    floor_F : float64, shape (F,)
        ε_f.
    update_w, update_r, gather_h : bool
        Which of the three to do.
    missing_TM : bool, shape (T, M), optional
        Microphones that are missing in a frame.
    anchor_FNMM : complex128, shape (F, N, M, M), optional
        Covariances that R is drawn towards.
    weight_FN : float64, shape (F, N), optional
        How many frames each of them counts as: 0 leaves R to the data, infinity leaves it as it is.

    All arrays are C-contiguous.

    Returns
    -------
    cost : float
        The cost before the updates.
    over_NKT, under_NKT : float64, shape (N, K, T)
        Numerator and denominator of the update of H; zeros unless `gather_h`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 6, 2)) + 1j * rng.standard_normal((5, 6, 2))
    >>> W_NFK, H_NKT = rng.random((2, 5, 4)), rng.random((2, 4, 6))
    >>> R_FNMM = np.tile(np.eye(2, dtype=complex), (5, 2, 1, 1))
    >>> state = X_FTM, W_NFK, H_NKT, R_FNMM, np.full(5, 1e-6)
    >>> first, over_NKT, under_NKT = sweep(*state, True, True, True)
    >>> H_NKT *= np.sqrt(over_NKT / under_NKT)
    >>> second, _, _ = sweep(*state, False, False, False)
    >>> second < first
    True
    """
    # Without any update the last stage is run all the same, for the cost.
    wanted = ((UPDATE_R, update_r), (UPDATE_W, update_w), (GATHER_H, gather_h or not (update_r or update_w)))
    stages = np.array([stage for stage, wish in wanted if wish])
    data = X_FTM, W_NFK, H_NKT, R_FNMM, floor_F
    gather = GATHER_H in stages
    found = sweep_over_groups(_group, stages, gather, *data, missing_TM, anchor_FNMM, weight_FN)
    cost, over_NKT, under_NKT = found
    if not gather_h:
        return cost, np.zeros_like(H_NKT), np.zeros_like(H_NKT)
    return cost, over_NKT, under_NKT


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _add_image(r, P_S, y, out):  # type: ignore[no-untyped-def]
    """Add ``λ r y``; the planes hold conj(y)."""
    a = r.real
    b = r.imag
    for t in range(len(P_S)):
        out[t] += P_S[t] * (a * y[t] + b * y[FRAMES + t])
        out[FRAMES + t] += P_S[t] * (b * y[t] - a * y[FRAMES + t])


@njit(cache=True, nogil=True, error_model="numpy")
def _image_block(X_FTM, gaps, parameters, floor_F, sources, mics, blocks, block, S_FTI):  # type: ignore[no-untyped-def]
    """Do the work of `images` for one block of frequencies."""
    gaps_P2, gap_C = gaps
    W_NFK, H_CNKS, R_FNMM = parameters
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    w = workspace(N, K, M, B, S)
    planes = w.planes_QS.reshape(w.planes_QS.size)
    ones_S = np.ones(S)
    image = np.empty(2 * FRAMES)
    f0, f1 = part(block, n_blocks, F)
    n_f = f1 - f0
    load(w, W_NFK, f0, n_f)
    for c in range(C):
        write_variances(w.W_NBK, H_CNKS[c], w.P_NBS)
        first = c * S
        missing = gaps_P2, gap_C[c], gap_C[c + 1]
        for b in range(n_f):
            f = f0 + b
            pack_powers(w, w.P_NBS, b)
            pack_covariances(w, R_FNMM[f])
            unused = first < 0  # a boolean, so that nothing is compiled twice
            evaluate(w, w.planes_QS, X_FTM[f], first, missing, floor_F[f], unused)
            for i in range(len(sources)):
                n = sources[i]
                image[:] = 0.0
                for j in range(M):
                    at = offset(M, j, M)
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
    missing_TM: Array | None = None,
) -> Array:
    """Return the multichannel Wiener estimate of sources at microphones (Sawada et al. 2013, section III-D).

    The image of source n is ``(λ_n R_n + ε/N I) X̂⁻¹ x``.  The sources share the floor, so that all images sum to the
    mixture; at a microphone that is missing they are what it would have heard, as far as the others tell.

    Parameters
    ----------
    X_FTM, W_NFK, H_NKT, R_FNMM, floor_F
        As for `sweep`.
    sources, mics : int64, shape (I,)
        Image i is that of ``sources[i]`` at ``mics[i]``.
    missing_TM : bool, shape (T, M), optional
        As for `sweep`.

    Returns
    -------
    S_FTI : of the type of `X_FTM`, shape (F, T, I)

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 6, 2)) + 1j * rng.standard_normal((5, 6, 2))
    >>> W_NFK, H_NKT = rng.random((2, 5, 4)), rng.random((2, 4, 6))
    >>> R_FNMM = np.tile(np.eye(2, dtype=complex), (5, 2, 1, 1))
    >>> S_FTI = images(X_FTM, W_NFK, H_NKT, R_FNMM, np.full(5, 1e-6), np.array([0, 1]), np.array([0, 0]))
    >>> np.allclose(S_FTI.sum(axis=2), X_FTM[..., 0])
    True
    """
    S_FTI = np.empty((*X_FTM.shape[:2], len(sources)), X_FTM.dtype)
    F, T, _ = X_FTM.shape
    H_CNKS = packed(H_NKT, *chunks_of(T, FRAMES, LANES))
    parameters, blocks, gaps = (W_NFK, H_CNKS, R_FNMM), blocks_of(F, FREQUENCIES), gaps_of(missing_TM, H_CNKS)

    def work(block: int) -> None:
        _image_block(X_FTM, gaps, parameters, floor_F, sources, mics, blocks, block, S_FTI)

    share_out(work, blocks[0])
    return S_FTI
