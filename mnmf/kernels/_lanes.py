"""The update of the spatial covariances of the log-determinant model, of several sources and frequencies at once.

R follows from ``R A R = R' B R'``, a Riccati equation (Sawada et al. 2013, section III-D) for each source and
frequency: much work for one small matrix after the other.  So `LANES` of them are handled together, as unlike frames
they are few: entry (i, j) of all matrices is one run of numbers, first the real parts and then the imaginary ones, and
every step is a loop over lanes that becomes vector instructions.  No lane looks at another, so what a matrix becomes
does not depend on those beside it.

Axes: X the numbers of as many matrices as there are lanes, M² entries row by row of 2 `LANES` numbers each; G
frequencies, and Q the numbers of a Hermitian matrix in the order of planes.
"""

from __future__ import annotations

import numpy as np

from mnmf.kernels._blocks import FAST, clear
from mnmf.kernels._compile import inner

__all__ = ["LANES", "lanes_of", "update_covariances"]

LANES = 16  # matrices at once; four sources at four frequencies, say
SPAN = 2 * LANES  # numbers of an entry

SINGULAR = 1e-6  # of the trace, added to the diagonal before a covariance is inverted
NOTHING = 1e-24  # of the largest eigenvalue: less is the rounding of a zero
SWEEPS = 30  # most rounds of rotations over all pairs of rows; about five suffice


def lanes_of(M: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of what `update_covariances` works in."""
    X = M * M * SPAN
    return (
        (5, X),  # A, B, R, R' R⁻¹ R' and the anchor
        (5 * LANES,),  # numbers of the matrices; the last of them are weights
        ((2 * M + 1) * LANES,),  # roots of eigenvalues, or a rotation
        (5, X),
    )


@inner
def _entry(A, i, j, M):  # type: ignore[no-untyped-def]
    at = (i * M + j) * SPAN
    return A[at : at + SPAN]


@inner
def _put(A, i, j, lane, M, value):  # type: ignore[no-untyped-def]
    """Write entry (i, j) of the matrix in a lane."""
    at = (i * M + j) * SPAN + lane
    A[at] = value.real
    A[at + LANES] = value.imag


@inner
def _get(A, i, j, lane, M):  # type: ignore[no-untyped-def]
    """Return entry (i, j) of the matrix in a lane."""
    at = (i * M + j) * SPAN + lane
    return complex(A[at], A[at + LANES])


@inner
def _put_one(A, M):  # type: ignore[no-untyped-def]
    """Write the identity in all lanes."""
    clear(A)
    for i in range(M):
        _entry(A, i, i, M)[:LANES] = 1.0


@inner(fastmath=FAST)
def _add(a, sign_a, b, sign_b, sign, out):  # type: ignore[no-untyped-def]
    """Add `sign` times the product of two entries, either of them conjugated for a sign of −1."""
    for t in range(LANES):
        re = sign * a[t]
        im = sign * sign_a * a[LANES + t]
        other = sign_b * b[LANES + t]
        out[t] += re * b[t] - im * other
        out[LANES + t] += re * other + im * b[t]


@inner(fastmath=FAST)
def _scale(a, by, out):  # type: ignore[no-untyped-def]
    """Write an entry times real numbers."""
    for t in range(LANES):
        out[t] = a[t] * by[t]
        out[LANES + t] = a[LANES + t] * by[t]


@inner
def _multiply(A, adjoint_a, B, adjoint_b, M, out):  # type: ignore[no-untyped-def]
    """Write ``A B``, either of them as its adjoint if asked."""
    clear(out)
    for i in range(M):
        for k in range(M):
            a = _entry(A, k, i, M) if adjoint_a else _entry(A, i, k, M)
            for j in range(M):
                b = _entry(B, j, k, M) if adjoint_b else _entry(B, k, j, M)
                _add(a, -1.0 if adjoint_a else 1.0, b, -1.0 if adjoint_b else 1.0, 1.0, _entry(out, i, j, M))


@inner(fastmath=FAST)
def _root(pivot, first, least, inverse):  # type: ignore[no-untyped-def]
    """Replace a pivot by its root, no less than rounding leaves of what it was at first; write one over that."""
    for t in range(LANES):
        value = np.sqrt(max(pivot[t], 1e-15 * first[t], least[t]))
        pivot[t] = value
        inverse[t] = 1.0 / value


@inner(fastmath=FAST)
def _trace(A, M, total):  # type: ignore[no-untyped-def]
    """Write the traces."""
    total[:LANES] = 0.0
    for i in range(M):
        a = _entry(A, i, i, M)
        for t in range(LANES):
            total[t] += a[t]


@inner
def _cholesky(A, M, numbers):  # type: ignore[no-untyped-def]
    """Replace A by its Cholesky factor, in the lower triangle; what is above it stays."""
    least = numbers[:LANES]
    first = numbers[LANES : 2 * LANES]
    inverse = numbers[2 * LANES : 3 * LANES]
    _trace(A, M, least)
    for t in range(LANES):
        least[t] = max(1e-30 * least[t], 1e-300)
    for j in range(M):
        pivot = _entry(A, j, j, M)
        for t in range(LANES):
            first[t] = pivot[t]
            pivot[LANES + t] = 0.0
        for k in range(j):
            a = _entry(A, j, k, M)
            _add(a, 1.0, a, -1.0, -1.0, pivot)
        _root(pivot, first, least, inverse)
        for i in range(j + 1, M):
            total = _entry(A, i, j, M)
            for k in range(j):
                _add(_entry(A, i, k, M), 1.0, _entry(A, j, k, M), -1.0, -1.0, total)
            _scale(total, inverse, total)


@inner(fastmath=FAST)
def _divide(a, sign, b, out):  # type: ignore[no-untyped-def]
    """Write `sign` times an entry over the real part of another."""
    for t in range(LANES):
        by = sign / b[t]
        out[t] = a[t] * by
        out[LANES + t] = a[LANES + t] * by


@inner
def _inverse_adjoint(L, M, out):  # type: ignore[no-untyped-def]
    """Write ``L⁻ᴴ`` of a factor in the lower triangle."""
    _put_one(out, M)
    for j in range(M):
        own = _entry(out, j, j, M)
        _divide(own, 1.0, _entry(L, j, j, M), own)
        for i in range(j - 1, -1, -1):
            total = _entry(out, i, j, M)
            for k in range(i + 1, j + 1):
                _add(_entry(L, k, i, M), -1.0, _entry(out, k, j, M), 1.0, 1.0, total)
            _divide(total, -1.0, _entry(L, i, i, M), total)


@inner(fastmath=FAST)
def _weigh(a, weight, out):  # type: ignore[no-untyped-def]
    """Add an entry times a weight that is not 0; infinite ones do not count either."""
    for t in range(LANES):
        w = weight[t]
        counts = w > 0.0 and w < np.inf
        out[t] += w * a[t] if counts else 0.0
        out[LANES + t] += w * a[LANES + t] if counts else 0.0


@inner
def _add_anchors(A, B, R, anchor, weight, M, numbers, room):  # type: ignore[no-untyped-def]
    """Add what frames of a source with covariance `anchor` would, seen alone: ``w R⁻¹`` and ``w R⁻¹ S R⁻¹``."""
    L = room[0]
    half = room[1]
    inverse = room[2]
    trace = numbers[:LANES]
    L[:] = R
    _trace(R, M, trace)
    for i in range(M):  # a covariance of low rank has no inverse
        a = _entry(L, i, i, M)
        for t in range(LANES):
            a[t] += SINGULAR * trace[t]
    _cholesky(L, M, numbers)
    _inverse_adjoint(L, M, half)
    _multiply(half, False, half, True, M, inverse)
    _multiply(inverse, False, anchor, False, M, half)
    _multiply(half, False, inverse, False, M, L)
    for q in range(M * M):
        at = q * SPAN
        _weigh(inverse[at : at + SPAN], weight, A[at : at + SPAN])
        _weigh(L[at : at + SPAN], weight, B[at : at + SPAN])


@inner(fastmath=FAST)
def _unfinished(E, M, active, inside):  # type: ignore[no-untyped-def]
    """Write 1 for matrices that are not diagonal yet, else 0; return whether there are any."""
    for t in range(LANES):
        active[t] = 0.0
        inside[t] = 0.0
    for i in range(M):
        a = _entry(E, i, i, M)
        for t in range(LANES):
            inside[t] += a[t] * a[t]
        for j in range(i):
            a = _entry(E, i, j, M)
            for t in range(LANES):
                active[t] += a[t] * a[t] + a[LANES + t] * a[LANES + t]
    total = 0.0
    for t in range(LANES):
        active[t] = 1.0 if active[t] > 1e-30 * inside[t] else 0.0
        total += active[t]
    return total > 0.0


@inner(fastmath=FAST)
def _angle(own, other, both, mirrored, active, turn):  # type: ignore[no-untyped-def]
    """Write the rotation (c, s, Re and Im of a phase) that makes an entry zero, and what it leaves of its 2×2 matrix.

    Matrices that are done are turned by nothing.
    """
    for t in range(LANES):
        re = both[t]
        im = both[LANES + t]
        size = np.sqrt(re * re + im * im)
        there = size * active[t]
        safe = size if there > 0.0 else 1.0
        slope = (other[t] - own[t]) / (2.0 * safe)
        tangent = 1.0 / (abs(slope) + np.sqrt(1.0 + slope * slope))
        tangent = -tangent if slope < 0.0 else tangent
        tangent = tangent if there > 0.0 else 0.0
        c = 1.0 / np.sqrt(1.0 + tangent * tangent)
        turn[t] = c
        turn[LANES + t] = tangent * c
        turn[2 * LANES + t] = re / safe if there > 0.0 else 1.0
        turn[3 * LANES + t] = -im / safe if there > 0.0 else 0.0
        own[t] -= tangent * size
        other[t] += tangent * size
        re = 0.0 if there > 0.0 else re
        im = 0.0 if there > 0.0 else im
        both[t] = re
        both[LANES + t] = im
        mirrored[t] = re
        mirrored[LANES + t] = -im


@inner(fastmath=FAST)
def _turn(a, b, turn):  # type: ignore[no-untyped-def]
    """Rotate two entries of a row."""
    for t in range(LANES):
        c = turn[t]
        s = turn[LANES + t]
        phase_re = turn[2 * LANES + t]
        phase_im = turn[3 * LANES + t]
        re = b[t] * phase_re - b[LANES + t] * phase_im
        im = b[t] * phase_im + b[LANES + t] * phase_re
        first_re = a[t]
        first_im = a[LANES + t]
        a[t] = c * first_re - s * re
        a[LANES + t] = c * first_im - s * im
        b[t] = s * first_re + c * re
        b[LANES + t] = s * first_im + c * im


@inner(fastmath=FAST)
def _mirror(a, out):  # type: ignore[no-untyped-def]
    """Write the conjugate of an entry."""
    for t in range(LANES):
        out[t] = a[t]
        out[LANES + t] = -a[LANES + t]


@inner
def _rotate(E, U, M, numbers, turn):  # type: ignore[no-untyped-def]
    """Make Hermitian matrices diagonal by Jacobi's rotations, in place, and write their eigenvectors to `U`."""
    active = numbers[:LANES]
    _put_one(U, M)
    for _ in range(SWEEPS):
        if not _unfinished(E, M, active, numbers[LANES : 2 * LANES]):
            break
        for p in range(M):
            for q in range(p + 1, M):
                both = _entry(E, p, q, M)
                _angle(_entry(E, p, p, M), _entry(E, q, q, M), both, _entry(E, q, p, M), active, turn)
                for i in range(M):
                    _turn(_entry(U, i, p, M), _entry(U, i, q, M), turn)
                    if i != p and i != q:
                        a = _entry(E, i, p, M)
                        b = _entry(E, i, q, M)
                        _turn(a, b, turn)
                        _mirror(a, _entry(E, p, i, M))
                        _mirror(b, _entry(E, q, i, M))


@inner(fastmath=FAST)
def _roots(E, M, roots):  # type: ignore[no-untyped-def]
    """Write the roots of the eigenvalues and one over them, 0 for what is no more than rounding; (2 M LANES)."""
    largest = roots[2 * M * LANES : (2 * M + 1) * LANES]
    largest[:] = 0.0
    for k in range(M):
        e = _entry(E, k, k, M)
        for t in range(LANES):
            largest[t] = max(largest[t], e[t])
    for k in range(M):
        e = _entry(E, k, k, M)
        root = roots[k * LANES : (k + 1) * LANES]
        inverse = roots[(M + k) * LANES : (M + k + 1) * LANES]
        for t in range(LANES):
            value = np.sqrt(max(e[t], 0.0))
            root[t] = value
            counts = e[t] > NOTHING * largest[t]
            inverse[t] = 1.0 / value if counts else 0.0


@inner
def _recompose(X, roots, first, M, scaled, out):  # type: ignore[no-untyped-def]
    """Write ``X diag Xᴴ``, with the diagonal from `first` on in `roots`."""
    for i in range(M):
        for k in range(M):
            at = (first + k) * LANES
            _scale(_entry(X, i, k, M), roots[at : at + LANES], _entry(scaled, i, k, M))
    _multiply(scaled, False, X, True, M, out)


@inner
def _solve_riccatis(A, B, R, seen, wanted, M, numbers, roots, room):  # type: ignore[no-untyped-def]
    """Replace each R' by the positive semidefinite R with ``R A R = R' B R'``, and write ``R' R⁻¹ R'`` if `wanted`.

    R is the geometric mean of A⁻¹ and R'BR': with ``A = L Lᴴ`` it is ``L⁻ᴴ (Lᴴ R'BR' L)^(1/2) L⁻¹``, and ``R' R⁻¹ R'``,
    by the pseudo-inverse, ``R'L (Lᴴ R'BR' L)^(-1/2) (R'L)ᴴ``.  `A` and `B` are destroyed.
    """
    inverse = room[0]
    V = room[1]  # R' L
    E = room[2]
    U = room[3]
    X = room[4]
    _cholesky(A, M, numbers)
    for i in range(M):
        for j in range(i + 1, M):
            clear(_entry(A, i, j, M))
    _inverse_adjoint(A, M, inverse)
    _multiply(R, False, A, False, M, V)
    _multiply(B, False, V, False, M, X)
    _multiply(V, True, X, False, M, E)
    _rotate(E, U, M, numbers, roots)
    _roots(E, M, roots)
    _multiply(inverse, False, U, False, M, X)
    _recompose(X, roots, 0, M, A, R)
    if wanted:
        _multiply(V, False, U, False, M, X)
        _recompose(X, roots, M, M, A, seen)


@inner
def _put_numbers(numbers_QN, n, sign, lane, M, out):  # type: ignore[no-untyped-def]
    """Write `sign` times the Hermitian matrix whose M² numbers, in the order of the planes, are column `n`."""
    q = M
    for i in range(M):
        _put(out, i, i, lane, M, complex(sign * numbers_QN[i, n], 0.0))
        for j in range(i):
            value = sign * complex(numbers_QN[q, n], numbers_QN[q + 1, n])
            _put(out, i, j, lane, M, value)
            _put(out, j, i, lane, M, np.conj(value))
            q += 2


@inner
def _put_matrix(R_MM, lane, out):  # type: ignore[no-untyped-def]
    """Write a matrix to a lane."""
    M = len(R_MM)
    for i in range(M):
        for j in range(M):
            _put(out, i, j, lane, M, R_MM[i, j])


@inner
def _get_numbers(A, lane, M, trace_Q):  # type: ignore[no-untyped-def]
    """Write the numbers of the matrix in a lane, those off the diagonal twice."""
    q = M
    for i in range(M):
        trace_Q[i] = _get(A, i, i, lane, M).real
        for j in range(i):
            value = _get(A, i, j, lane, M)
            trace_Q[q] = 2.0 * value.real
            trace_Q[q + 1] = 2.0 * value.imag
            q += 2


@inner
def _get_matrix(A, lane, R_MM):  # type: ignore[no-untyped-def]
    """Write the Hermitian matrix whose lower triangle is that in a lane."""
    M = len(R_MM)
    for i in range(M):
        R_MM[i, i] = _get(A, i, i, lane, M).real
        for j in range(i):
            R_MM[i, j] = _get(A, i, j, lane, M)
            R_MM[j, i] = np.conj(R_MM[i, j])


@inner
def update_covariances(  # type: ignore[no-untyped-def]
    A_GQN, B_GQN, f0, n_g, R_FNMM, anchor_FNMM, weight_FN, seen_GNQ, trace_GNQ, given_5X, numbers, roots, room_5X
):
    """Update R of `n_g` frequencies from `f0` on, where it is not held, given ``−Σ_t λ Z`` and ``Σ_t λ y yᴴ``.

    Where these have no positive trace R stays, as there are no data.  Of R and of ``R' R⁻¹ R'``, with R' the old one,
    the numbers are written, those off the diagonal twice, unless `seen_GNQ` is empty.
    The last four arguments are to work in (`lanes_of`).
    """
    N, M = R_FNMM.shape[1:3]
    A = given_5X[0]
    B = given_5X[1]
    R = given_5X[2]
    seen = given_5X[3]
    anchor = given_5X[4]
    weight = numbers[4 * LANES :]
    for first in range(0, n_g * N, LANES):
        size = min(n_g * N - first, LANES)
        for each in range(len(given_5X)):
            _put_one(given_5X[each], M)
        clear(weight)
        drawn = False
        for lane in range(size):
            g = (first + lane) // N
            n = (first + lane) % N
            _put_numbers(A_GQN[g], n, -1.0, lane, M, A)
            _put_numbers(B_GQN[g], n, 1.0, lane, M, B)
            _put_matrix(R_FNMM[f0 + g, n], lane, R)
            weight[lane] = weight_FN[f0 + g, n]
            if 0.0 < weight[lane] < np.inf:
                _put_matrix(anchor_FNMM[f0 + g, n], lane, anchor)
                drawn = True
        if drawn:
            _add_anchors(A, B, R, anchor, weight, M, numbers, room_5X)
        for lane in range(size):
            trace = 0.0
            for i in range(M):
                trace += _get(A, i, i, lane, M).real
            if not (trace > 0.0 and trace < np.inf):
                weight[lane] = np.inf
        _solve_riccatis(A, B, R, seen, len(seen_GNQ) > 0, M, numbers, roots, room_5X)
        for lane in range(size):
            g = (first + lane) // N
            n = (first + lane) % N
            if weight[lane] == np.inf:
                continue
            _get_matrix(R, lane, R_FNMM[f0 + g, n])
            if len(seen_GNQ) > 0:
                _get_numbers(seen, lane, M, seen_GNQ[g, n])
                _get_numbers(R, lane, M, trace_GNQ[g, n])
