"""Updates of log-determinant full-rank MNMF that evaluate the model once: joint majorisation-minimisation.

The updates of `logdet` each start from an X̂ of their own, as the update before left it.  They all minimise the same
auxiliary function, though, which touches the cost at the current W, H and R (marked ˜)::

    Σ_ftnk (w̃h̃)²/(wh) ỹᴴ R̃ R⁻¹ R̃ ỹ + wh tr(Z̃ R),   with Z̃ = X̂⁻¹ and ỹ = Z̃x,

and may be minimised over R, then W, then H without another X̂.  R follows as in `logdet`; then, with
``a = ỹᴴ R̃ R⁻¹ R̃ ỹ`` and ``b = tr(Z̃ R)`` for the new R, ``w = w̃ √(Σ_t h̃ a / Σ_t h̃ b)`` and
``h = h̃ √(Σ_f (w̃²/w) a / Σ_f w b)``.  Every step lowers the auxiliary function and so the cost.  An update is quicker
than one that takes the blocks in turn, and lowers the cost by a little less.  Z̃ and ỹ of one frequency are kept until
its R is known.

For NMF of one channel this is what A. Marmin, J. H. de M. Goulart and C. Févotte do in "Joint majorization-minimization
for nonnegative matrix factorization with the β-divergence", Signal Processing 209, 2023.

Axes: as in `logdet`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._blocks import (
    GROUPS,
    add_product,
    part,
    update_bases,
    write_variances,
)
from mnmf.kernels._logdet import (
    add_anchor,
    add_products,
    evaluate,
    load,
    numbers,
    pack_covariances,
    pack_powers,
    sweep_over_groups,
    workspace,
    write_traces,
)
from mnmf.kernels._planes import FRAMES, pairs, unpack
from mnmf.kernels.hermitian import solve_riccati

__all__ = ["sweep_jointly"]

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def _new_bases(w, W_NFK, f0, n_f, over_NKB):  # type: ignore[no-untyped-def]
    """Write the new bases of a block, and ``w̃²/w`` to `over_NKB`, both with frequencies last."""
    N, B, K = w.W_NBK.shape
    for n in range(N):
        for k in range(K):
            for b in range(B):
                old = w.W_NBK[n, b, k]
                new = W_NFK[n, f0 + b, k] if b < n_f else 0.0
                w.W_NKB[n, k, b] = new
                over_NKB[n, k, b] = old * (old / new) if new > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _group(X_FTM, gaps, parameters, anchors, floor_F, updates, blocks, group, over_CNKS, under_CNKS):  # type: ignore[no-untyped-def]
    """Do the work of `sweep_jointly` for one group of frequencies."""
    gaps_P2, gap_C = gaps
    W_NFK, H_CNKS, H_CNSK, R_FNMM = parameters
    anchor_FNMM, weight_FN = anchors
    update_w, update_r, gather_h = updates
    n_blocks, B = blocks
    F, T, M = X_FTM.shape
    C, N, K, S = H_CNKS.shape
    w = workspace(N, K, M, B, S)
    P_CNBS = np.zeros((C, N, B, S))
    over_CNBS = np.zeros((C, N, B, S))  # a
    under_CNBS = np.zeros((C, N, B, S))  # b
    planes_CQS = np.zeros((C, (M + 1) * (M + 1), FRAMES))
    pairs_CQS = np.zeros((C, M * M, FRAMES))
    seen_NQ = np.zeros((N, M * M))  # the numbers of R̃ R⁻¹ R̃
    over_NKB = np.zeros((N, K, B))
    part_BK = np.empty((B, K))
    part_KS = np.empty((K, S))
    over_NBK = np.empty((N, B, K))
    under_NBK = np.empty((N, B, K))
    A_QN = np.empty((M * M, N))
    B_QN = np.empty((M * M, N))
    A_MM = np.empty((M, M), np.complex128)
    B_MM = np.empty((M, M), np.complex128)
    seen_MM = np.empty((M, M), np.complex128)
    cost = 0.0
    first, last = part(group, GROUPS, n_blocks)
    for block in range(first, last):
        f0, f1 = part(block, n_blocks, F)
        n_f = f1 - f0
        load(w, W_NFK, f0, n_f)
        for c in range(C):
            write_variances(w.W_NBK, H_CNKS[c], P_CNBS[c])
        for b in range(n_f):
            R_NMM = R_FNMM[f0 + b]
            floor = floor_F[f0 + b]
            cost += (T * M - len(gaps_P2)) * np.log(floor)
            pack_covariances(w, R_NMM)
            A_QN[:] = 0.0
            B_QN[:] = 0.0
            for c in range(C):
                pack_powers(w, P_CNBS[c], b)
                missing = gaps_P2, gap_C[c], gap_C[c + 1]
                cost += evaluate(w, planes_CQS[c], X_FTM[f0 + b], c * S, missing, floor, True)
                pairs(planes_CQS[c], M, S, pairs_CQS[c])
                if update_r:
                    add_product(planes_CQS[c, : M * M], w.P_SN, w.part_QN, A_QN)
                    add_product(pairs_CQS[c], w.P_SN, w.part_QN, B_QN)
            seen_NQ[:] = w.trace_NQ
            for n in range(N):
                weight = weight_FN[f0 + b, n]
                if not update_r or weight == np.inf:
                    continue
                unpack(A_QN, n, -1.0, A_MM)
                unpack(B_QN, n, 1.0, B_MM)
                if weight > 0.0:
                    add_anchor(A_MM, B_MM, R_NMM[n], anchor_FNMM[f0 + b, n], weight)
                solve_riccati(A_MM, B_MM, R_NMM[n], seen_MM)
                numbers(seen_MM, n, w.model_QN, seen_NQ)
                numbers(R_NMM[n], n, w.model_QN, w.trace_NQ)
            for c in range(C):
                write_traces(w, seen_NQ, pairs_CQS[c], 1.0, b, over_CNBS[c])
                write_traces(w, w.trace_NQ, planes_CQS[c, : M * M], -1.0, b, under_CNBS[c])
        if update_w:
            over_NBK[:] = 0.0
            under_NBK[:] = 0.0
            for c in range(C):
                add_products(over_CNBS[c], H_CNSK[c], part_BK, over_NBK)
                add_products(under_CNBS[c], H_CNSK[c], part_BK, under_NBK)
            update_bases(over_NBK, under_NBK, W_NFK, f0, n_f)
        if gather_h:
            # Bases in the padding are zero, and what an earlier block left in `over_CNBS` there is finite.
            _new_bases(w, W_NFK, f0, n_f, over_NKB)
            for c in range(C):
                add_products(over_NKB, over_CNBS[c], part_KS, over_CNKS[c])
                add_products(w.W_NKB, under_CNBS[c], part_KS, under_CNKS[c])
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
    data, updates = (X_FTM, W_NFK, H_NKT, R_FNMM, floor_F), (update_w, update_r, gather_h)
    return sweep_over_groups(_group, updates, gather_h, *data, missing_TM, anchor_FNMM, weight_FN)
