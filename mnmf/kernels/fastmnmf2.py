"""Updates of FastMNMF2 (Sekiguchi et al. 2020): multiplicative rules for W, H and G, iterative projection for Q.

With ``x̃_ftm = |q_fmᴴ x_ft|²`` and ``y_ftm = Σ_n λ_nft g_nm + floor`` the cost is
``Σ_ftm (x̃/y + log y) − T Σ_f log |det Q_f|²``.  The floor is a constant of the model, so every rule still descends.

One sweep over the data serves several blocks of parameters: `frequency_pass` updates Q_f and W_f, which concern one
frequency only, and gathers what H needs from all of them; `weight_pass` gathers what G needs.  Both work on a few
frequencies and frames at a time, small enough to stay in the cache, and no array of all sources at all times and
frequencies is ever made.  Inside, signals are split into real and imaginary planes whose innermost axis is time, which
compilers turn into vector instructions.  Sums over frequencies are taken per group of frequencies and then group by
group, so the number of threads changes no bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["GROUPS", "frequency_pass", "project_rows", "weight_pass"]

GROUPS = 8  # parts of the frequency axis that are summed apart, and shared out over the threads
FREQUENCIES = 8  # handled together: rows of the products with H
FRAMES = 512  # handled together


@njit(cache=True)
def _planes(X_FTM, f, first, last, scale, re_MB, im_MB):  # type: ignore[no-untyped-def]
    """Copy frames `first` to `last` of one frequency, times `scale`, into planes (M, frames)."""
    n_mics = X_FTM.shape[2]
    for t in range(first, last):
        for m in range(n_mics):
            re_MB[m, t - first] = X_FTM[f, t, m].real * scale
            im_MB[m, t - first] = X_FTM[f, t, m].imag * scale


@njit(cache=True)
def _demix(Q_MM, re_MB, im_MB, size, zr_B, zi_B, x_MB, at):  # type: ignore[no-untyped-def]
    """Write ``|Q x|²`` of `size` frames to columns `at` and following of `x_MB`."""
    n_mics = Q_MM.shape[0]
    for m in range(n_mics):
        for t in range(size):
            zr_B[t] = 0
            zi_B[t] = 0
        for j in range(n_mics):
            a = re_MB.dtype.type(Q_MM[m, j].real)
            b = re_MB.dtype.type(Q_MM[m, j].imag)
            xr_B = re_MB[j]
            xi_B = im_MB[j]
            for t in range(size):
                zr_B[t] += a * xr_B[t] - b * xi_B[t]
                zi_B[t] += a * xi_B[t] + b * xr_B[t]
        row = x_MB[m]
        for t in range(size):
            row[at + t] = zr_B[t] * zr_B[t] + zi_B[t] * zi_B[t]


@njit(cache=True)
def _variances(P_NB, G_NM, floor, size, y_MB):  # type: ignore[no-untyped-def]
    """Write ``y_m = Σ_n λ_n g_nm + floor``."""
    for m in range(y_MB.shape[0]):
        y_B = y_MB[m]
        for t in range(size):
            y_B[t] = floor
        for n in range(P_NB.shape[0]):
            g = G_NM[n, m]
            P_B = P_NB[n]
            for t in range(size):
                y_B[t] += g * P_B[t]


@njit(cache=True)
def _cost(x_MB, y_MB, at, size):  # type: ignore[no-untyped-def]
    """Return ``Σ x̃/y + log y`` of `size` columns from `at` on; logarithms of products of four cannot overflow."""
    total = 0.0
    for m in range(y_MB.shape[0]):
        for first in range(at, at + size, 4):
            product = 1.0
            for t in range(first, min(first + 4, at + size)):
                y = np.float64(y_MB[m, t])
                product *= y
                total += x_MB[m, t] / y
            total += np.log(product)
    return total


@njit(cache=True)
def _ratios(x_MB, y_MB, size):  # type: ignore[no-untyped-def]
    """Turn `x_MB` into ``x̃/y²`` and `y_MB` into ``1/y``."""
    for m in range(y_MB.shape[0]):
        x_B = x_MB[m]
        y_B = y_MB[m]
        for t in range(size):
            inverse = 1 / y_B[t]
            y_B[t] = inverse
            x_B[t] *= inverse * inverse


@njit(cache=True)
def _spread(G_NM, n, r_MB, size, out_B):  # type: ignore[no-untyped-def]
    """Write ``Σ_m g_nm r_m``."""
    for t in range(size):
        out_B[t] = 0
    for m in range(r_MB.shape[0]):
        g = G_NM[n, m]
        r_B = r_MB[m]
        for t in range(size):
            out_B[t] += g * r_B[t]


@njit(cache=True)
def _products(re_MB, im_MB, size, out_PB):  # type: ignore[no-untyped-def]
    """Write the M² real numbers of ``x xᴴ``, row by row: Re and Im of x_i conj(x_j) for j < i, then |x_i|²."""
    p = 0
    for i in range(re_MB.shape[0]):
        a = re_MB[i]
        b = im_MB[i]
        for j in range(i + 1):
            c = re_MB[j]
            d = im_MB[j]
            out = out_PB[p]
            for t in range(size):
                out[t] = a[t] * c[t] + b[t] * d[t]
            p += 1
            if j < i:
                out = out_PB[p]
                for t in range(size):
                    out[t] = b[t] * c[t] - a[t] * d[t]
                p += 1


@njit(cache=True)
def _model(W_NFK, H_NKT, f0, n_f, first, last, P_NB):  # type: ignore[no-untyped-def]
    """Write ``λ = W H`` of `n_f` frequencies and the frames `first` to `last`."""
    size = last - first
    for n in range(len(W_NFK)):
        H_KB = np.ascontiguousarray(H_NKT[n, :, first:last])
        np.dot(W_NFK[n, f0 : f0 + n_f], H_KB, P_NB[n, : n_f * size].reshape(n_f, size))


@njit(cache=True)
def _demixed(X_FTM, scale, Q_FMM, f0, n_f, first, last, planes, x_MB):  # type: ignore[no-untyped-def]
    """Write ``x̃`` of `n_f` frequencies and the frames `first` to `last`."""
    for b in range(n_f):
        _planes(X_FTM, f0 + b, first, last, scale, planes[0], planes[1])
        _demix(Q_FMM[f0 + b], planes[0], planes[1], last - first, planes[2, 0], planes[2, 1], x_MB, b * (last - first))


@njit(cache=True)
def _add_covariances(X_FTM, scale, f0, n_f, first, last, planes, pairs_PB, y_MB, V_FMP):  # type: ignore[no-untyped-def]
    """Add ``Σ_t x xᴴ / y_m`` of each frequency, as the numbers of `_products`; `y_MB` holds 1/y."""
    size = last - first
    for b in range(n_f):
        _planes(X_FTM, f0 + b, first, last, scale, planes[0], planes[1])
        _products(planes[0], planes[1], size, pairs_PB)
        weights = np.ascontiguousarray(y_MB[:, b * size : (b + 1) * size])
        V_FMP[b] += np.dot(weights, np.ascontiguousarray(pairs_PB[:, :size]).T)


@njit(cache=True)
def _unpack(V_MP, n_frames, V_MMM):  # type: ignore[no-untyped-def]
    """Write the Hermitian matrices whose numbers, in the order of `_products`, are ``V_MP / n_frames``."""
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


@njit(cache=True)
def _add_products(A_BC, B_CK, out_BK):  # type: ignore[no-untyped-def]
    """Add ``A B`` to `out_BK`."""
    C_BK = np.dot(A_BC, B_CK)
    for i in range(C_BK.shape[0]):
        for k in range(C_BK.shape[1]):
            out_BK[i, k] += C_BK[i, k]


@njit(cache=True)
def _rescale_w(W_NFK, over_NFK, under_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    for n in range(len(W_NFK)):
        for b in range(n_f):
            for k in range(W_NFK.shape[2]):
                if under_NFK[n, b, k] > 0:
                    W_NFK[n, f0 + b, k] *= np.sqrt(over_NFK[n, b, k] / under_NFK[n, b, k])


@njit(cache=True)
def _solve_unit(A_MM, m, q_M):  # type: ignore[no-untyped-def]
    """Write the solution of ``A q = e_m`` to `q_M`, destroying `A_MM`; return whether there is one.

    Gaussian elimination with partial pivoting: the matrices are tiny, and LAPACK's refusal of a singular one would be
    an exception, which cannot leave a parallel loop.
    """
    size = len(q_M)
    for i in range(size):
        q_M[i] = 0.0
    q_M[m] = 1.0
    for i in range(size):
        pivot = i
        for row in range(i + 1, size):
            if abs(A_MM[row, i]) > abs(A_MM[pivot, i]):
                pivot = row
        if not abs(A_MM[pivot, i]) > 0.0:
            return False
        if pivot != i:
            for j in range(size):
                A_MM[i, j], A_MM[pivot, j] = A_MM[pivot, j], A_MM[i, j]
            q_M[i], q_M[pivot] = q_M[pivot], q_M[i]
        for row in range(i + 1, size):
            factor = A_MM[row, i] / A_MM[i, i]
            for j in range(i + 1, size):
                A_MM[row, j] -= factor * A_MM[i, j]
            q_M[row] -= factor * q_M[i]
    for i in range(size - 1, -1, -1):
        for j in range(i + 1, size):
            q_M[i] -= A_MM[i, j] * q_M[j]
        q_M[i] /= A_MM[i, i]
    return True


@njit(cache=True)
def project_rows(Q_MM, V_MMM):  # type: ignore[no-untyped-def]
    """Update the rows of one Q in turn by iterative projection; `V_MMM[m]` is the weighted covariance of row m.

    ``q ← (Q V)⁻¹ e_m``, ``q ← q / sqrt(qᴴ V q)``; row m of Q is qᴴ.  A row whose equations are singular stays.
    """
    n_mics = Q_MM.shape[0]
    A = np.empty((n_mics, n_mics), np.complex128)
    q = np.empty(n_mics, np.complex128)
    for m in range(n_mics):
        V_MM = V_MMM[m]
        trace = 0.0
        for i in range(n_mics):
            trace += V_MM[i, i].real
        if not trace > 0.0:
            continue
        for i in range(n_mics):
            V_MM[i, i] += 1e-10 * trace / n_mics
        for i in range(n_mics):
            for j in range(n_mics):
                total = 0j
                for k in range(n_mics):
                    total += Q_MM[i, k] * V_MM[k, j]
                A[i, j] = total
        if not _solve_unit(A, m, q):
            continue
        power = 0.0
        for i in range(n_mics):
            for j in range(n_mics):
                power += (np.conj(q[i]) * V_MM[i, j] * q[j]).real
        if not (power > 0.0 and np.isfinite(power)):
            continue
        for i in range(n_mics):
            Q_MM[m, i] = np.conj(q[i]) / np.sqrt(power)


@njit(cache=True)
def _frequency_group(  # type: ignore[no-untyped-def]
    X_FTM, scale, W_NFK, H_NKT, G_NM, Q_FMM, floor, update_w, update_q, gather_h, group, cost_F, over_GNKT, under_GNKT
):
    """Do the work of `frequency_pass` for one group of frequencies."""
    n_frequencies, n_frames, n_mics = X_FTM.shape
    n_sources, _, n_components = W_NFK.shape
    kind = H_NKT.dtype
    width = FREQUENCIES * FRAMES
    planes = np.empty((3, max(n_mics, 2), FRAMES), kind)
    pairs_PB = np.empty((n_mics * n_mics, FRAMES), kind)
    x_MB = np.empty((n_mics, width), kind)
    y_MB = np.empty((n_mics, width), kind)
    P_NB = np.empty((n_sources, width), kind)
    a_B = np.empty(width, kind)
    V_FMP = np.empty((FREQUENCIES, n_mics, n_mics * n_mics))
    V_MMM = np.empty((n_mics, n_mics, n_mics), np.complex128)
    over_NFK = np.empty((n_sources, FREQUENCIES, n_components))
    under_NFK = np.empty((n_sources, FREQUENCIES, n_components))
    n_blocks = (n_frequencies + FREQUENCIES - 1) // FREQUENCIES
    for block in range(group * n_blocks // GROUPS, (group + 1) * n_blocks // GROUPS):
        f0 = block * FREQUENCIES
        n_f = min(FREQUENCIES, n_frequencies - f0)
        V_FMP[:] = 0
        over_NFK[:] = 0
        under_NFK[:] = 0
        for first in range(0, n_frames, FRAMES):
            last = min(first + FRAMES, n_frames)
            size = last - first
            total = n_f * size
            _model(W_NFK, H_NKT, f0, n_f, first, last, P_NB)
            _variances(P_NB, G_NM, floor, total, y_MB)
            _demixed(X_FTM, scale, Q_FMM, f0, n_f, first, last, planes, x_MB)
            for b in range(n_f):
                cost_F[f0 + b] += _cost(x_MB, y_MB, b * size, size)
            _ratios(x_MB, y_MB, total)
            if update_q:
                _add_covariances(X_FTM, scale, f0, n_f, first, last, planes, pairs_PB, y_MB, V_FMP)
            if update_w:
                for n in range(n_sources):
                    H_BK = np.ascontiguousarray(H_NKT[n, :, first:last].T)
                    _spread(G_NM, n, x_MB, total, a_B)
                    _add_products(a_B[:total].reshape(n_f, size), H_BK, over_NFK[n])
                    _spread(G_NM, n, y_MB, total, a_B)
                    _add_products(a_B[:total].reshape(n_f, size), H_BK, under_NFK[n])
        if update_q:
            for b in range(n_f):
                _unpack(V_FMP[b], n_frames, V_MMM)
                project_rows(Q_FMM[f0 + b], V_MMM)
        if update_w:
            _rescale_w(W_NFK, over_NFK, under_NFK, f0, n_f)
        if gather_h:
            for first in range(0, n_frames, FRAMES):
                last = min(first + FRAMES, n_frames)
                size = last - first
                total = n_f * size
                _model(W_NFK, H_NKT, f0, n_f, first, last, P_NB)
                _variances(P_NB, G_NM, floor, total, y_MB)
                _demixed(X_FTM, scale, Q_FMM, f0, n_f, first, last, planes, x_MB)
                _ratios(x_MB, y_MB, total)
                for n in range(n_sources):
                    W_KF = np.ascontiguousarray(W_NFK[n, f0 : f0 + n_f].T)
                    _spread(G_NM, n, x_MB, total, a_B)
                    _add_products(W_KF, a_B[:total].reshape(n_f, size), over_GNKT[group, n, :, first:last])
                    _spread(G_NM, n, y_MB, total, a_B)
                    _add_products(W_KF, a_B[:total].reshape(n_f, size), under_GNKT[group, n, :, first:last])


@njit(parallel=True, cache=True)
def frequency_pass(X_FTM, scale, W_NFK, H_NKT, G_NM, Q_FMM, floor, update_w, update_q, gather_h):  # type: ignore[no-untyped-def]
    """Update Q and W in place, and return the cost before that and the numerators and denominators of H.

    The data are `X_FTM` times `scale`; `H_NKT` and W, G, `floor` have the real type that the work is done in.

    Returns cost (F,) without the determinants, and two arrays (GROUPS, N, K, T) to be summed over their first axis;
    they hold zeros unless `gather_h`.
    """
    n_frequencies, n_frames, _ = X_FTM.shape
    n_sources, _, n_components = W_NFK.shape
    kind = H_NKT.dtype
    cost_F = np.zeros(n_frequencies)
    over_GNKT = np.zeros((GROUPS, n_sources, n_components, n_frames if gather_h else 0), kind)
    under_GNKT = np.zeros_like(over_GNKT)
    for group in prange(GROUPS):
        _frequency_group(
            X_FTM,
            scale,
            W_NFK,
            H_NKT,
            G_NM,
            Q_FMM,
            floor,
            update_w,
            update_q,
            gather_h,
            group,
            cost_F,
            over_GNKT,
            under_GNKT,
        )
    return cost_F, over_GNKT, under_GNKT


@njit(cache=True)
def _weight_group(X_FTM, scale, W_NFK, H_NKT, G_NM, Q_FMM, floor, group, over_GNM, under_GNM):  # type: ignore[no-untyped-def]
    """Do the work of `weight_pass` for one group of frequencies."""
    n_frequencies, n_frames, n_mics = X_FTM.shape
    kind = H_NKT.dtype
    width = FREQUENCIES * FRAMES
    planes = np.empty((3, max(n_mics, 2), FRAMES), kind)
    x_MB = np.empty((n_mics, width), kind)
    y_MB = np.empty((n_mics, width), kind)
    P_NB = np.empty((len(W_NFK), width), kind)
    n_blocks = (n_frequencies + FREQUENCIES - 1) // FREQUENCIES
    for block in range(group * n_blocks // GROUPS, (group + 1) * n_blocks // GROUPS):
        f0 = block * FREQUENCIES
        n_f = min(FREQUENCIES, n_frequencies - f0)
        for first in range(0, n_frames, FRAMES):
            last = min(first + FRAMES, n_frames)
            total = n_f * (last - first)
            _model(W_NFK, H_NKT, f0, n_f, first, last, P_NB)
            _variances(P_NB, G_NM, floor, total, y_MB)
            _demixed(X_FTM, scale, Q_FMM, f0, n_f, first, last, planes, x_MB)
            _ratios(x_MB, y_MB, total)
            P_NC = np.ascontiguousarray(P_NB[:, :total])
            _add_products(P_NC, np.ascontiguousarray(x_MB[:, :total].T), over_GNM[group])
            _add_products(P_NC, np.ascontiguousarray(y_MB[:, :total].T), under_GNM[group])


@njit(parallel=True, cache=True)
def weight_pass(X_FTM, scale, W_NFK, H_NKT, G_NM, Q_FMM, floor):  # type: ignore[no-untyped-def]
    """Return the numerators and denominators of G, each (GROUPS, N, M), to be summed over their first axis."""
    n_sources, n_mics = G_NM.shape
    over_GNM = np.zeros((GROUPS, n_sources, n_mics))
    under_GNM = np.zeros((GROUPS, n_sources, n_mics))
    for group in prange(GROUPS):
        _weight_group(X_FTM, scale, W_NFK, H_NKT, G_NM, Q_FMM, floor, group, over_GNM, under_GNM)
    return over_GNM, under_GNM
