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
from numpy.typing import NDArray

from mnmf.kernels._blocks import (
    FAST,
    GROUPS,
    Rooms,
    add_product,
    clear,
    part,
    sum_over_groups,
    update_bases,
    write_variances,
)
from mnmf.kernels._compile import inner, kernel
from mnmf.kernels._logdet import (
    add_anchor,
    add_products,
    evaluate,
    load,
    pack_covariances,
    pack_powers,
    prepared,
    workspace,
    write_traces,
)
from mnmf.kernels._planes import FRAMES, offset, pairs, unpack
from mnmf.kernels._threads import share_out
from mnmf.kernels.hermitian import solve_riccati

__all__ = ["images", "sweep"]

Array = NDArray[Any]

PARTS = 32  # of the blocks of `images` that threads share
UPDATE_R, UPDATE_W, GATHER_H, IMAGES = range(4)  # the stages of a sweep; each starts from an X̂ of its own


def _workspace(N: int, K: int, M: int, B: int, S: int) -> tuple[Array, ...]:
    """Return what the kernel works in, in the order of its arguments."""
    shapes = (
        (N, B, S),  # λ of one chunk
        (N, B, S),  # yᴴ R_n y
        (N, B, S),  # tr(Z R_n)
        ((M + 1) * (M + 1), FRAMES),  # X̂ with its border, and then −Z, yᴴ and −xᴴZx
        (M * M, FRAMES),  # y yᴴ
        (B, M * M, N),  # Σ_t λ Z
        (B, M * M, N),  # Σ_t λ y yᴴ
        (2 * FRAMES,),  # an image
        (S,),  # ones
    )
    room = workspace(N, K, M, B, S, *shapes)
    room[8][:] = 1.0
    return room


@inner(fastmath=FAST)
def _add_image(r, P_S, y, out):  # type: ignore[no-untyped-def]
    """Add ``λ r y``; the planes hold conj(y)."""
    a = r.real
    b = r.imag
    for t in range(len(P_S)):
        out[t] += P_S[t] * (a * y[t] + b * y[FRAMES + t])
        out[FRAMES + t] += P_S[t] * (b * y[t] - a * y[FRAMES + t])


@inner
def _write_images(planes_QS, R_NMM, P_NBS, b, floor, sources, mics, first, ones_S, image, S_TI):  # type: ignore[no-untyped-def]
    """Write the images of one frequency and chunk."""
    planes = planes_QS.ravel()
    N, M, _ = R_NMM.shape
    for i in range(len(sources)):
        n = sources[i]
        clear(image)
        for j in range(M):
            at = offset(M, j, M)
            y = planes[at : at + 2 * FRAMES]
            _add_image(R_NMM[n, mics[i], j], P_NBS[n, b], y, image)
            if j == mics[i]:
                _add_image(complex(floor / N, 0.0), ones_S, y, image)
        for t in range(min(len(ones_S), len(S_TI) - first)):
            S_TI[first + t, i] = complex(image[t], image[FRAMES + t])


@kernel
def _blocks(  # type: ignore[no-untyped-def]
    X_FTM, gaps_P2, gap_C, W_NFK, H_CNKS, H_CNSK, R_FNMM, anchor_FNMM, weight_FN, floor_F, n_blocks, B,
    first, last, stages, over_CNKS, under_CNKS, sources, mics, S_FTI,
    P_NBS, over_NBS, under_NBS, planes_QS, pairs_QS, A_BQN, B_BQN, image, ones_S,
    W_NBK, W_NKB, P_NS, P_SN, model_QN, trace_NQ, inner_NS, part_QN, part_BK, part_KS, scaled, det_S,
    over_NBK, under_NBK, A_MM, B_MM,
):  # fmt: skip
    """Do the work of `sweep` and `images` for the blocks of frequencies from `first` to `last`."""
    F, T, M = X_FTM.shape
    C, N, _, S = H_CNKS.shape
    cost = 0.0
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        for b in range(n_f):
            cost += (T * M - len(gaps_P2)) * np.log(floor_F[f0 + b])
        for i in range(len(stages)):
            stage = stages[i]
            load(W_NFK, f0, n_f, W_NBK, W_NKB)
            clear(over_NBK.ravel())
            clear(under_NBK.ravel())
            clear(A_BQN.ravel())
            clear(B_BQN.ravel())
            for c in range(C):
                write_variances(W_NBK, H_CNKS[c], P_NBS)
                for b in range(n_f):
                    R_NMM = R_FNMM[f0 + b]
                    floor = floor_F[f0 + b]
                    pack_powers(P_NBS, b, P_NS, P_SN)
                    pack_covariances(R_NMM, model_QN, trace_NQ)
                    cost += evaluate(
                        model_QN, P_NS, X_FTM[f0 + b], c * S, gaps_P2, gap_C[c], gap_C[c + 1], floor, i == 0,
                        scaled, det_S, planes_QS,
                    )  # fmt: skip
                    if stage == IMAGES:
                        _write_images(
                            planes_QS, R_NMM, P_NBS, b, floor, sources, mics, c * S, ones_S, image, S_FTI[f0 + b]
                        )
                        continue
                    pairs(planes_QS, M, S, pairs_QS)
                    if stage == UPDATE_R:
                        add_product(planes_QS[: M * M], P_SN, part_QN, A_BQN[b])
                        add_product(pairs_QS, P_SN, part_QN, B_BQN[b])
                    else:
                        write_traces(trace_NQ, pairs_QS, 1.0, b, inner_NS, over_NBS)
                        write_traces(trace_NQ, planes_QS[: M * M], -1.0, b, inner_NS, under_NBS)
                if stage == UPDATE_W:
                    add_products(over_NBS, H_CNSK[c], part_BK, over_NBK)
                    add_products(under_NBS, H_CNSK[c], part_BK, under_NBK)
                elif stage == GATHER_H:
                    # Bases in the padding are zero, and what an earlier block left in `over_NBS` there is finite.
                    add_products(W_NKB, over_NBS, part_KS, over_CNKS[c])
                    add_products(W_NKB, under_NBS, part_KS, under_CNKS[c])
            if stage == UPDATE_W:
                update_bases(over_NBK, under_NBK, W_NFK, f0, n_f)
            elif stage == UPDATE_R:
                for b in range(n_f):
                    for n in range(N):
                        weight = weight_FN[f0 + b, n]
                        if weight == np.inf:
                            continue
                        R_MM = R_FNMM[f0 + b, n]
                        unpack(A_BQN[b], n, -1.0, A_MM)
                        unpack(B_BQN[b], n, 1.0, B_MM)
                        if weight > 0.0:
                            add_anchor(A_MM, B_MM, R_MM, anchor_FNMM[f0 + b, n], weight)
                        solve_riccati(A_MM, B_MM, R_MM)
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
    given = prepared(X_FTM, W_NFK, H_NKT, R_FNMM, floor_F, missing_TM, anchor_FNMM, weight_FN)
    T, M = X_FTM.shape[1:]
    H_CNKS, (n_blocks, B) = given[4], given[-2:]
    N, K, S = H_CNKS.shape[1:]
    rooms = Rooms(lambda: _workspace(N, K, M, B, S))
    nobody, no_image = np.zeros(0, np.int64), X_FTM[:0]

    def work(group: int, over_CNKS: Array, under_CNKS: Array) -> float:
        blocks, sums = part(group, GROUPS, n_blocks), (over_CNKS, under_CNKS)
        with rooms.one() as room:
            return float(_blocks(*given, *blocks, stages, *sums, nobody, nobody, no_image, *room))

    cost, over_NKT, under_NKT = sum_over_groups(work, H_CNKS, T, GATHER_H in stages)
    if not gather_h:
        return cost, np.zeros_like(H_NKT), np.zeros_like(H_NKT)
    return cost, over_NKT, under_NKT


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
    given = prepared(X_FTM, W_NFK, H_NKT, R_FNMM, floor_F, missing_TM)
    H_CNKS, (n_blocks, B) = given[4], given[-2:]
    N, K, S = H_CNKS.shape[1:]
    stages, nothing = np.array([IMAGES]), H_CNKS[:0]

    n_parts = min(n_blocks, PARTS)
    rooms = Rooms(lambda: _workspace(N, K, X_FTM.shape[2], B, S))

    def work(index: int) -> None:
        with rooms.one() as room:
            _blocks(*given, *part(index, n_parts, n_blocks), stages, nothing, nothing, sources, mics, S_FTI, *room)

    share_out(work, n_parts)
    return S_FTI
