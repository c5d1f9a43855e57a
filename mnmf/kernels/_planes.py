"""Hermitian matrices of many frames at once, inverted by the sweep operator.

There is one M×M matrix at each frame.  Their entries are kept as *planes*, arrays of real numbers whose last axis is
time: the M planes of the diagonal, then Re and Im of the entries below it, row by row; M² in all.  So every step of the
elimination is a loop over frames that becomes vector instructions.

To solve with a right-hand side x at the same time, the matrix X̂ is *bordered*: xᴴ is kept as one more row, M, with a
zero in the corner.  Sweeping it on all M pivots (Gauss-Jordan elimination that keeps it Hermitian) turns X̂ into −Z with
Z = X̂⁻¹, the border into yᴴ with y = Zx, and the corner into −xᴴZx.

Axes: S frames in use, Q planes, each of `FRAMES` places.
"""

from __future__ import annotations

import numpy as np

from mnmf.kernels._blocks import FAST
from mnmf.kernels._compile import inner

__all__ = ["FRAMES", "border", "leave_out", "offset", "pairs", "set_diagonal", "sweep_out", "unpack"]

# The distance from plane to plane.  It is a constant so that the compiler sees that planes do not overlap, and no power
# of two so that the same frame of different planes does not compete for the same lines of the cache.
FRAMES = 136

# How many pivots are multiplied before the logarithm of the product is taken.  Each is first divided by the floor, the
# least it can be; a product of eight ratios stays below the largest double for ratios up to 10³⁸.
PIVOTS = 8


@inner
def offset(i, j, M):  # type: ignore[no-untyped-def]
    """Return where the two planes of entry (i, j), j < i, begin in the flat array of planes; row M is the border."""
    return (M + i * (i - 1) + 2 * j) * FRAMES


@inner
def border(X_TM, first, S, floor, planes_QS):  # type: ignore[no-untyped-def]
    """Complete X̂: add the floor to the diagonal, and the row xᴴ of the frames from `first` on.

    That row is zero beyond the data, and so is the corner.
    """
    T, M = X_TM.shape
    size = min(S, T - first)
    for i in range(M):
        for t in range(S):
            planes_QS[i, t] += floor
    for j in range(M):
        re_S = planes_QS[M * M + 2 * j]
        im_S = planes_QS[M * M + 2 * j + 1]
        for t in range(size):
            re_S[t] = X_TM[first + t, j].real
            im_S[t] = -X_TM[first + t, j].imag
        for t in range(size, len(re_S)):
            re_S[t] = 0.0
            im_S[t] = 0.0
    planes_QS[-1] = 0.0


@inner
def set_diagonal(gaps_P2, begin, end, first, value, planes_QS):  # type: ignore[no-untyped-def]
    """Write `value` on the diagonal at the frames, counted from `first`, and rows in ``gaps_P2[begin:end]``."""
    for p in range(begin, end):
        planes_QS[gaps_P2[p, 1], gaps_P2[p, 0] - first] = value


@inner
def leave_out(gaps_P2, begin, end, first, M, floor, planes_QS):  # type: ignore[no-untyped-def]
    """Put zeros into the rows and columns listed in ``gaps_P2[begin:end]``, and into the border, at their frames.

    The floor is left on the diagonal.  A row that is zero but for its diagonal is coupled to no other, so the sweep
    inverts what is left as if the row were not there.
    """
    planes = planes_QS.reshape(planes_QS.size)
    for p in range(begin, end):
        t = gaps_P2[p, 0] - first
        m = gaps_P2[p, 1]
        for i in range(M + 1):
            if i != m:
                at = offset(max(i, m), min(i, m), M) + t
                planes[at] = 0.0
                planes[at + FRAMES] = 0.0
        planes[m * FRAMES + t] = floor


@inner(fastmath=FAST)
def _invert(pivot_S, floor, det_S):  # type: ignore[no-untyped-def]
    """Replace a pivot by minus its inverse, and multiply the determinant by it."""
    scale = 1.0 / floor
    for t in range(len(det_S)):
        pivot = max(pivot_S[t], floor)
        det_S[t] *= pivot * scale
        pivot_S[t] = -1.0 / pivot


@inner(fastmath=FAST)
def _divide(z, sign, pivot_S, size, out):  # type: ignore[no-untyped-def]
    """Write an entry of the pivot's column, or its conjugate for a `sign` of −1, divided by the pivot."""
    for t in range(size):
        out[t] = -pivot_S[t] * z[t]
        out[FRAMES + t] = -sign * pivot_S[t] * z[FRAMES + t]


@inner(fastmath=FAST)
def _copy(z, sign, size, out):  # type: ignore[no-untyped-def]
    """Copy an entry, or its conjugate for a `sign` of −1."""
    for t in range(size):
        out[t] = z[t]
        out[FRAMES + t] = sign * z[FRAMES + t]


@inner(fastmath=FAST)
def _eliminate(a, sign, b, size, out):  # type: ignore[no-untyped-def]
    """Subtract ``a conj(b)``; for a `sign` of −1 the planes hold the conjugate of a."""
    for t in range(size):
        im = sign * a[FRAMES + t]
        out[t] -= a[t] * b[t] + im * b[FRAMES + t]
        out[FRAMES + t] -= im * b[t] - a[t] * b[FRAMES + t]


@inner(fastmath=FAST)
def _eliminate_real(a, sign, b, size, out):  # type: ignore[no-untyped-def]
    """Subtract ``a conj(b)`` from an entry of the diagonal, where it is real."""
    for t in range(size):
        out[t] -= a[t] * b[t] + sign * a[FRAMES + t] * b[FRAMES + t]


@inner
def _log_sum(det_S):  # type: ignore[no-untyped-def]
    """Return ``Σ log`` of the products of pivots so far, and reset them to 1."""
    total = 0.0
    for t in range(len(det_S)):
        total += np.log(det_S[t])
        det_S[t] = 1.0
    return total


@inner
def sweep_out(planes_QS, M, floor, need_cost, scaled, det_S):  # type: ignore[no-untyped-def]
    """Turn the bordered X̂ into −Z, yᴴ and −xᴴZx; return ``Σ_t (log det X̂ − M log floor)`` if `need_cost`.

    `scaled` (2 (M + 1) FRAMES) is room for the pivot's column divided by the pivot, `det_S` for products of pivots; its
    length is the number of frames in use.
    """
    S = len(det_S)
    D = M + 1
    span = 2 * FRAMES
    planes = planes_QS.reshape(D * D * FRAMES)
    total = 0.0
    det_S[:] = 1.0
    for k in range(M):
        pivot_S = planes[k * FRAMES : (k + 1) * FRAMES]
        _invert(pivot_S, floor, det_S)
        if (k + 1) % PIVOTS == 0 or k == M - 1:
            if need_cost:
                total += _log_sum(det_S)
            else:
                det_S[:] = 1.0
        for i in range(D):
            if i != k:
                at = offset(i, k, M) if i > k else offset(k, i, M)
                _divide(planes[at : at + span], 1.0 if i > k else -1.0, pivot_S, S, scaled[i * span : (i + 1) * span])
        for i in range(D):
            if i == k:
                continue
            sign = 1.0 if i > k else -1.0
            at = offset(i, k, M) if i > k else offset(k, i, M)
            z = planes[at : at + span]
            for j in range(i):
                if j != k:
                    at = offset(i, j, M)
                    _eliminate(z, sign, scaled[j * span : (j + 1) * span], S, planes[at : at + span])
            at = i * FRAMES if i < M else (D * D - 1) * FRAMES
            column = scaled[i * span : (i + 1) * span]
            _eliminate_real(z, sign, column, S, planes[at : at + FRAMES])
            _copy(column, sign, S, z)
    return total


@inner(fastmath=FAST)
def _pair(y, v, size, out):  # type: ignore[no-untyped-def]
    """Write ``conj(y) v``."""
    for t in range(size):
        out[t] = y[t] * v[t] + y[FRAMES + t] * v[FRAMES + t]
        out[FRAMES + t] = y[t] * v[FRAMES + t] - y[FRAMES + t] * v[t]


@inner(fastmath=FAST)
def _square(y, size, out):  # type: ignore[no-untyped-def]
    """Write ``|y|²``."""
    for t in range(size):
        out[t] = y[t] * y[t] + y[FRAMES + t] * y[FRAMES + t]


@inner
def pairs(planes_QS, M, S, pairs_QS):  # type: ignore[no-untyped-def]
    """Write the planes of ``y yᴴ``, given the border yᴴ."""
    span = 2 * FRAMES
    planes = planes_QS.reshape(planes_QS.size)
    flat = pairs_QS.reshape(pairs_QS.size)
    for i in range(M):
        at = offset(M, i, M)
        y = planes[at : at + span]
        _square(y, S, flat[i * FRAMES : (i + 1) * FRAMES])
        for j in range(i):
            at = offset(M, j, M)
            out = offset(i, j, M)
            _pair(y, planes[at : at + span], S, flat[out : out + span])


@inner
def unpack(numbers_QN, n, sign, R_MM):  # type: ignore[no-untyped-def]
    """Write `sign` times the Hermitian matrix whose M² numbers, in the order of the planes, are column `n`."""
    M = len(R_MM)
    q = M
    for i in range(M):
        R_MM[i, i] = sign * numbers_QN[i, n]
        for j in range(i):
            R_MM[i, j] = sign * complex(numbers_QN[q, n], numbers_QN[q + 1, n])
            R_MM[j, i] = np.conj(R_MM[i, j])
            q += 2
