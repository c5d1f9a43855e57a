"""Updates of log-determinant full-rank MNMF that evaluate the model once: joint majorisation-minimisation.

The updates of `logdet` each start from an X̂ of their own, as the update before left it.  They all minimise the same
auxiliary function, though, which touches the cost at the current W, H and R (marked ˜)::

    Σ_ftnk (w̃h̃)²/(wh) ỹᴴ R̃ R⁻¹ R̃ ỹ + wh tr(Z̃ R),   with Z̃ = X̂⁻¹ and ỹ = Z̃x,

and may be minimised over R, then W, then H without another X̂.  R follows as in `logdet`, at several frequencies at once
(`_lanes`); then, with
``a = ỹᴴ R̃ R⁻¹ R̃ ỹ`` and ``b = tr(Z̃ R)`` for the new R, ``w = w̃ √(Σ_t h̃ a / Σ_t h̃ b)`` and
``h = h̃ √(Σ_f (w̃²/w) a / Σ_f w b)``.  Every step lowers the auxiliary function and so the cost.  An update is quicker
than one that takes the blocks in turn, and lowers the cost by a little less.  Z̃ and ỹ of a few frequencies are kept
until their R are known.

For NMF of one channel this is what A. Marmin, J. H. de M. Goulart and C. Févotte do in "Joint majorization-minimization
for nonnegative matrix factorization with the β-divergence", Signal Processing 209, 2023.

Axes: as in `logdet`; G frequencies whose R are updated at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import (
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
from mnmf.kernels._lanes import LANES, lanes_of, update_covariances
from mnmf.kernels._logdet import (
    add_products,
    evaluate,
    load,
    pack_covariances,
    pack_powers,
    prepared,
    workspace,
    write_traces,
)
from mnmf.kernels._planes import FRAMES, pairs

__all__ = ["sweep_jointly"]

Array = NDArray[Any]


def _workspace(N: int, K: int, M: int, C: int, B: int, S: int) -> tuple[Array, ...]:
    """Return what the kernel works in, in the order of its arguments."""
    G = max(LANES // N, 1)
    shapes = (
        (C, N, B, S),  # λ
        (C, N, B, S),  # a
        (C, N, B, S),  # b
        (G, C, (M + 1) * (M + 1), FRAMES),  # X̂ with its border, and then −Z̃, ỹᴴ and −xᴴZ̃x
        (G, C, M * M, FRAMES),  # ỹ ỹᴴ
        (G, N, M * M),  # the numbers of R̃ R⁻¹ R̃
        (G, N, M * M),  # those of R, off the diagonal twice
        (N, K, B),  # w̃²/w
        (G, M * M, N),  # Σ_t λ Z̃
        (G, M * M, N),  # Σ_t λ ỹ ỹᴴ
        *lanes_of(M),
    )
    return workspace(N, K, M, B, S, *shapes)[:-2]  # the rest is for one matrix at a time


@inner
def _new_bases(W_NBK, W_NFK, f0, n_f, W_NKB, over_NKB):  # type: ignore[no-untyped-def]
    """Write the new bases of a block, and ``w̃²/w`` to `over_NKB`, both with frequencies last."""
    N, B, K = W_NBK.shape
    for n in range(N):
        for k in range(K):
            for b in range(B):
                old = W_NBK[n, b, k]
                new = W_NFK[n, f0 + b, k] if b < n_f else 0.0
                W_NKB[n, k, b] = new
                over_NKB[n, k, b] = old * (old / new) if new > 0.0 else 0.0


@kernel
def _blocks(  # type: ignore[no-untyped-def]
    X_FTM, gaps_P2, gap_C, W_NFK, H_CNKS, H_CNSK, R_FNMM, anchor_FNMM, weight_FN, floor_F, n_blocks, B,
    first, last, update_w, update_r, gather_h, over_CNKS, under_CNKS,
    P_CNBS, over_CNBS, under_CNBS, planes_GCQS, pairs_GCQS, seen_GNQ, trace_GNQ, over_NKB, A_GQN, B_GQN,
    given_5X, numbers, roots, room_5X,
    W_NBK, W_NKB, P_NS, P_SN, model_QN, trace_NQ, inner_NS, part_QN, part_BK, part_KS, scaled, det_S,
    over_NBK, under_NBK,
):  # fmt: skip
    """Do the work of `sweep_jointly` for the blocks of frequencies from `first` to `last`."""
    F, T, M = X_FTM.shape
    C, _, _, S = H_CNKS.shape
    cost = 0.0
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        load(W_NFK, f0, n_f, W_NBK, W_NKB)
        for c in range(C):
            write_variances(W_NBK, H_CNKS[c], P_CNBS[c])
        for b0 in range(0, n_f, len(planes_GCQS)):
            n_g = min(n_f - b0, len(planes_GCQS))
            clear(A_GQN.ravel())
            clear(B_GQN.ravel())
            for g in range(n_g):
                b = b0 + g
                floor = floor_F[f0 + b]
                cost += (T * M - len(gaps_P2)) * np.log(floor)
                pack_covariances(R_FNMM[f0 + b], model_QN, trace_NQ)
                trace_GNQ[g] = trace_NQ
                seen_GNQ[g] = trace_NQ
                for c in range(C):
                    planes_QS = planes_GCQS[g, c]
                    pack_powers(P_CNBS[c], b, P_NS, P_SN)
                    cost += evaluate(
                        model_QN, P_NS, X_FTM[f0 + b], c * S, gaps_P2, gap_C[c], gap_C[c + 1], floor, True,
                        scaled, det_S, planes_QS,
                    )  # fmt: skip
                    pairs(planes_QS, M, S, pairs_GCQS[g, c])
                    if update_r:
                        add_product(planes_QS[: M * M], P_SN, part_QN, A_GQN[g])
                        add_product(pairs_GCQS[g, c], P_SN, part_QN, B_GQN[g])
            if update_r:
                update_covariances(
                    A_GQN, B_GQN, f0 + b0, n_g, R_FNMM, anchor_FNMM, weight_FN, seen_GNQ, trace_GNQ,
                    given_5X, numbers, roots, room_5X,
                )  # fmt: skip
            for g in range(n_g):
                for c in range(C):
                    write_traces(seen_GNQ[g], pairs_GCQS[g, c], 1.0, b0 + g, inner_NS, over_CNBS[c])
                    write_traces(trace_GNQ[g], planes_GCQS[g, c, : M * M], -1.0, b0 + g, inner_NS, under_CNBS[c])
        if update_w:
            clear(over_NBK.ravel())
            clear(under_NBK.ravel())
            for c in range(C):
                add_products(over_CNBS[c], H_CNSK[c], part_BK, over_NBK)
                add_products(under_CNBS[c], H_CNSK[c], part_BK, under_NBK)
            update_bases(over_NBK, under_NBK, W_NFK, f0, n_f)
        if gather_h:
            # Bases in the padding are zero, and what an earlier block left in `over_CNBS` there is finite.
            _new_bases(W_NBK, W_NFK, f0, n_f, W_NKB, over_NKB)
            for c in range(C):
                add_products(over_NKB, over_CNBS[c], part_KS, over_CNKS[c])
                add_products(W_NKB, under_CNBS[c], part_KS, under_CNKS[c])
    return cost


def sweep_jointly(
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
    """Update R and W in place, and add up what the update of H needs, all from one evaluation of the model.

    Parameters
    ----------
    X_FTM, W_NFK, H_NKT, R_FNMM, floor_F, update_w, update_r, gather_h, missing_TM, anchor_FNMM, weight_FN
        As for `mnmf.kernels.logdet.sweep`.

    Returns
    -------
    cost, over_NKT, under_NKT
        As there.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 6, 2)) + 1j * rng.standard_normal((5, 6, 2))
    >>> W_NFK, H_NKT = rng.random((2, 5, 4)), rng.random((2, 4, 6))
    >>> R_FNMM = np.tile(np.eye(2, dtype=complex), (5, 2, 1, 1))
    >>> state = X_FTM, W_NFK, H_NKT, R_FNMM, np.full(5, 1e-6)
    >>> first, over_NKT, under_NKT = sweep_jointly(*state, True, True, True)
    >>> H_NKT *= np.sqrt(over_NKT / under_NKT)
    >>> second, _, _ = sweep_jointly(*state, False, False, False)
    >>> second < first
    True
    """
    given = prepared(X_FTM, W_NFK, H_NKT, R_FNMM, floor_F, missing_TM, anchor_FNMM, weight_FN)
    H_CNKS, (n_blocks, B) = given[4], given[-2:]
    C, N, K, S = H_CNKS.shape
    T, M = X_FTM.shape[1:]
    updates = update_w, update_r, gather_h
    rooms = Rooms(lambda: _workspace(N, K, M, C, B, S))

    def work(group: int, over_CNKS: Array, under_CNKS: Array) -> float:
        with rooms.one() as room:
            return float(_blocks(*given, *part(group, GROUPS, n_blocks), *updates, over_CNKS, under_CNKS, *room))

    return sum_over_groups(work, H_CNKS, T, gather_h)
