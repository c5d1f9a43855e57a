"""Algebra of one frequency's M×M matrices, and the updates of the rows of a demixing matrix that are made of it.

M is the number of microphones.  Matrices as small as that are handled faster by plain loops than by LAPACK, and a
singular one must leave its row as it is: LAPACK would raise an exception and so end the whole pass over the data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mnmf.kernels._blocks import FAST
from mnmf.kernels._compile import inner

__all__ = ["NO_PULL", "PullArrays", "multiply", "pairs", "power", "project_rows", "pull_rows", "solve", "unpack"]


class PullArrays(NamedTuple):
    """A prior that pulls the rows of Q towards Q₀: it says that ``U = Q Q₀⁻¹`` is close to a diagonal matrix.

    Parameters
    ----------
    base_FMM : complex128, shape (F, M, M)
        Q₀.
    mixing_FMM : complex128, shape (F, M, M)
        The inverse of Q₀.
    precision_FMM : float64, shape (F, M, M)
        One over the variance that the prior gives to u_mj / u_mm.
    deviation_FMM : complex128, shape (F, M, M)
        Written by each update: u_mj / u_mm.
    variance_FMM : float64, shape (F, M, M)
        Written by each update: the posterior variance of u_mj / u_mm, given the prior and the data.
    n_frames : float
        How many independent frames the data count as.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(2, dtype=complex)[None]
    >>> pull = PullArrays(one, one, np.full((1, 2, 2), 100.0), np.zeros_like(one), np.zeros((1, 2, 2)), 30.0)
    >>> pull.base_FMM.shape
    (1, 2, 2)
    """

    base_FMM: Any
    mixing_FMM: Any
    precision_FMM: Any
    deviation_FMM: Any
    variance_FMM: Any
    n_frames: float


# What a kernel is given in place of a pull when there is none: of the same types, so that it is not compiled twice.
_NO_MATRICES, _NO_NUMBERS = np.empty((0, 1, 1), np.complex128), np.empty((0, 1, 1))
NO_PULL = PullArrays(_NO_MATRICES, _NO_MATRICES, _NO_NUMBERS, _NO_MATRICES, _NO_NUMBERS, 1.0)


@inner
def multiply(A_MM, B_MM, adjoint, out_MM):  # type: ignore[no-untyped-def]
    """Write ``A B``, or ``A Bᴴ`` if `adjoint`."""
    M = len(A_MM)
    for i in range(M):
        for j in range(M):
            total = 0j
            for k in range(M):
                total += A_MM[i, k] * (np.conj(B_MM[j, k]) if adjoint else B_MM[k, j])
            out_MM[i, j] = total


@inner
def _size(z):  # type: ignore[no-untyped-def]
    """Return |Re z| + |Im z|: as good as the modulus to choose a pivot by, and it needs no root."""
    return abs(z.real) + abs(z.imag)


@inner
def solve(A_MM, q_M):  # type: ignore[no-untyped-def]
    """Replace `q_M` by the solution of ``A x = q``; return False if `A_MM` is singular.  Destroys `A_MM`.

    Gaussian elimination with partial pivoting.
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


@inner(fastmath=FAST)
def pairs(planes_PS, pairs_QS):  # type: ignore[no-untyped-def]
    """Write the M² real numbers of ``x xᴴ``, row by row: Re and Im of x_i conj(x_j) for each j < i, then |x_i|²."""
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


@inner
def unpack(V_MQ, n_frames, V_MMM):  # type: ignore[no-untyped-def]
    """Write the Hermitian matrices whose numbers, in the order of `pairs`, are ``V_MQ / n_frames``."""
    for m in range(len(V_MMM)):
        q = 0
        for i in range(len(V_MMM)):
            for j in range(i):
                value = complex(V_MQ[m, q], V_MQ[m, q + 1]) / n_frames
                V_MMM[m, i, j] = value
                V_MMM[m, j, i] = np.conj(value)
                q += 2
            V_MMM[m, i, i] = V_MQ[m, q] / n_frames
            q += 1


@inner
def power(Q_MM, V_MMM):  # type: ignore[no-untyped-def]
    """Return ``Σ_m q_mᴴ V_m q_m``: the mean over the frames of x̃/y, summed over the rows."""
    total = 0.0
    for m in range(len(Q_MM)):
        for i in range(len(Q_MM)):
            for j in range(len(Q_MM)):
                total += (Q_MM[m, i] * V_MMM[m, i, j] * np.conj(Q_MM[m, j])).real
    return total


@inner
def project_rows(Q_MM, V_MMM):  # type: ignore[no-untyped-def]
    """Update the rows of one Q in turn by iterative projection (Sekiguchi et al. 2020, eq. 16).

    ``q_m ← (Q V_m)⁻¹ e_m`` and then ``q_m ← q_m / √(q_mᴴ V_m q_m)``; row m of Q is q_mᴴ.  A row whose equations are
    singular stays as it is.

    Parameters
    ----------
    Q_MM : complex128, shape (M, M)
        Demixing matrix of one frequency, updated in place.
    V_MMM : complex128, shape (M, M, M)
        ``V_m = Σ_t x xᴴ / y_m / T`` for each row m.  Destroyed.

    Examples
    --------
    >>> import numpy as np
    >>> Q_MM = np.eye(2, dtype=complex)
    >>> project_rows(Q_MM, np.stack([4 * np.eye(2, dtype=complex)] * 2))
    >>> np.round(Q_MM.real, 3)
    array([[0.5, 0. ],
           [0. , 0.5]])
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
        # In two steps, w = Q⁻¹ e_m and V q = w, because w gives the norm at once: qᴴVq = qᴴw.
        if not solve(A, q):
            continue
        for i in range(M):
            w[i] = q[i]
        if not solve(V_MM, q):
            continue
        squared = 0.0
        for i in range(M):
            squared += (np.conj(q[i]) * w[i]).real
        if not (squared > 0.0 and np.isfinite(squared)):
            continue
        for i in range(M):
            Q_MM[m, i] = np.conj(q[i]) / np.sqrt(squared)


@inner
def pull_rows(Q_MM, V_MMM, pull, f):  # type: ignore[no-untyped-def]
    """Update the rows of one Q in turn, as `project_rows` does, under a prior that pulls them towards Q₀.

    In ``U = Q Q₀⁻¹`` an entry u_mj off the diagonal, with precision p, adds ``p |u_mj / u_mm|²`` to the negative
    log-likelihood of the frames.  With the old value of u_mm in that term it only adds to the diagonal of
    ``Q₀ V_m Q₀ᴴ``, so iterative projection applies as it stands.  A row without any power stays as it is: the
    likelihood alone would let it grow for ever.

    Parameters
    ----------
    Q_MM : complex128, shape (M, M)
        Demixing matrix of frequency `f`, updated in place.
    V_MMM : complex128, shape (M, M, M)
        As for `project_rows`.  Destroyed.
    pull : PullArrays
        The prior of all frequencies.  ``deviation_FMM[f]`` and ``variance_FMM[f]`` are written; the variance is that
        of a posterior whose entries are independent.
    f : int
        Index of the frequency.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(2, dtype=complex)
    >>> strong = np.full((1, 2, 2), 1e9)
    >>> pull = PullArrays(one[None], one[None], strong, np.zeros((1, 2, 2), complex), np.zeros((1, 2, 2)), 30.0)
    >>> Q_MM = np.array([[1, 0.5], [0.5, 1]], dtype=complex)
    >>> pull_rows(Q_MM, np.stack([4 * one] * 2), pull, 0)
    >>> np.round(np.abs(Q_MM), 3)  # the identity, up to the scales of the rows
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    M = len(Q_MM)
    base_MM = pull.base_FMM[f]
    deviation_MM = pull.deviation_FMM[f]
    variance_MM = pull.variance_FMM[f]
    U_MM = np.empty((M, M), np.complex128)
    A_MM = np.empty((M, M), np.complex128)
    multiply(Q_MM, pull.mixing_FMM[f], False, U_MM)
    for m in range(M):
        multiply(base_MM, V_MMM[m], False, A_MM)
        multiply(A_MM, base_MM, True, V_MMM[m])
        own = max(abs(U_MM[m, m]) ** 2, 1e-30)
        total = 0.0
        for j in range(M):
            variance_MM[m, j] = V_MMM[m, j, j].real
            total += variance_MM[m, j]
        for j in range(M):
            if j != m and total > 0.0:
                V_MMM[m, j, j] += pull.precision_FMM[f, m, j] / (pull.n_frames * own)
    project_rows(U_MM, V_MMM)
    for m in range(M):
        own = max(abs(U_MM[m, m]) ** 2, 1e-30)
        for j in range(M):
            deviation_MM[m, j] = U_MM[m, j] / U_MM[m, m] if own > 1e-30 else 0j
            variance_MM[m, j] = 1.0 / (pull.precision_FMM[f, m, j] + pull.n_frames * own * variance_MM[m, j])
    multiply(U_MM, base_MM, False, Q_MM)
