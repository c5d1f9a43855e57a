"""Small Hermitian matrices: one per frequency, handled in stacks of shape (..., M, M) or one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._compile import inner
from mnmf.kernels._rows import multiply

__all__ = ["nearest_psd", "solve_riccati"]

SWEEPS = 30  # most rounds of rotations over all pairs of rows; about five suffice


def nearest_psd(R: NDArray[Any]) -> NDArray[Any]:
    """Return the positive semidefinite Hermitian matrix nearest to each of `R` in the Frobenius norm.

    That is the Hermitian part with its negative eigenvalues set to zero (Sawada et al. 2013, section III-C).

    Parameters
    ----------
    R : complex128, shape (..., M, M)

    Returns
    -------
    complex128, shape (..., M, M)
        Exactly Hermitian.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_psd(np.diag([2.0, -1.0]))
    array([[2., 0.],
           [0., 0.]])
    """
    values, vectors = np.linalg.eigh((R + np.conj(np.swapaxes(R, -1, -2))) / 2)
    clipped = (vectors * np.maximum(values, 0.0)[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2))
    # Rounding leaves the product not quite Hermitian, and later sums of |R|² rely on it being exactly so.
    return np.asarray((clipped + np.conj(np.swapaxes(clipped, -1, -2))) / 2)


@inner
def _turn(U_LM, p, q, c, s, phase):  # type: ignore[no-untyped-def]
    """Rotate two columns."""
    for i in range(len(U_LM)):
        a = U_LM[i, p]
        b = U_LM[i, q] * phase
        U_LM[i, p] = c * a - s * b
        U_LM[i, q] = s * a + c * b


@inner
def _rotate(E_MM, U_LM):  # type: ignore[no-untyped-def]
    """Make a Hermitian matrix diagonal by Jacobi's rotations, in place, and apply them to the columns of `U_LM`.

    For matrices this small that is quicker than LAPACK, and small eigenvalues come out more precise.
    """
    M = len(E_MM)
    for _ in range(SWEEPS):
        outside = 0.0
        inside = 0.0
        for i in range(M):
            inside += E_MM[i, i].real ** 2
            for j in range(i):
                outside += E_MM[i, j].real ** 2 + E_MM[i, j].imag ** 2
        if not outside > 1e-30 * inside:
            break
        for p in range(M):
            for q in range(p + 1, M):
                size = abs(E_MM[p, q])
                if not size > 0.0:
                    continue
                phase = np.conj(E_MM[p, q]) / size
                slope = (E_MM[q, q].real - E_MM[p, p].real) / (2.0 * size)
                tangent = 1.0 / (abs(slope) + np.sqrt(1.0 + slope * slope))
                if slope < 0.0:
                    tangent = -tangent
                c = 1.0 / np.sqrt(1.0 + tangent * tangent)
                s = tangent * c
                _turn(E_MM, p, q, c, s, phase)
                _turn(U_LM, p, q, c, s, phase)
                for i in range(M):
                    a = E_MM[p, i]
                    b = E_MM[q, i] * np.conj(phase)
                    E_MM[p, i] = c * a - s * b
                    E_MM[q, i] = s * a + c * b


@inner
def solve_riccati(A_MM, B_MM, R_MM):  # type: ignore[no-untyped-def]
    """Replace R' by the positive semidefinite R with ``R A R = R' B R'`` (Sawada et al. 2013, section III-D).

    R is the geometric mean of A⁻¹ and R'BR': with ``A = L Lᴴ`` it is ``L⁻ᴴ (Lᴴ R'BR' L)^(1/2) L⁻¹``.

    Parameters
    ----------
    A_MM, B_MM : complex128, shape (M, M)
        Hermitian, positive semidefinite.  `A_MM` is destroyed.
    R_MM : complex128, shape (M, M)
        R', replaced by R; left as it is if A has no positive trace.

    Examples
    --------
    >>> import numpy as np
    >>> R_MM = np.eye(2, dtype=complex)
    >>> solve_riccati(4 * np.eye(2, dtype=complex), np.eye(2, dtype=complex), R_MM)
    >>> np.round(R_MM.real, 6)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    M = len(A_MM)
    trace = 0.0
    for i in range(M):
        trace += A_MM[i, i].real
    if not (trace > 0.0 and np.isfinite(trace)):
        return
    for j in range(M):  # Cholesky, in the lower triangle
        pivot = A_MM[j, j].real
        for k in range(j):
            pivot -= A_MM[j, k].real ** 2 + A_MM[j, k].imag ** 2
        pivot = np.sqrt(max(pivot, 1e-15 * A_MM[j, j].real, 1e-30 * trace))
        A_MM[j, j] = pivot
        for i in range(j + 1, M):
            total = A_MM[i, j]
            for k in range(j):
                total -= A_MM[i, k] * np.conj(A_MM[j, k])
            A_MM[i, j] = total / pivot
    V_MM = np.empty((M, M), np.complex128)  # R' L
    for i in range(M):
        for j in range(M):
            total = 0j
            for k in range(j, M):
                total += R_MM[i, k] * A_MM[k, j]
            V_MM[i, j] = total
    BV_MM = np.empty((M, M), np.complex128)
    multiply(B_MM, V_MM, False, BV_MM)
    E_MM = np.empty((M, M), np.complex128)
    for i in range(M):
        for j in range(i + 1):
            total = 0j
            for k in range(M):
                total += np.conj(V_MM[k, i]) * BV_MM[k, j]
            E_MM[i, j] = total
            E_MM[j, i] = np.conj(total)
        E_MM[i, i] = E_MM[i, i].real
    # Let V be L⁻ᴴ, so that the rotations turn its columns into L⁻ᴴ times the eigenvectors.
    for j in range(M):
        for i in range(j + 1, M):
            V_MM[i, j] = 0.0
        V_MM[j, j] = 1.0 / A_MM[j, j].real
        for i in range(j - 1, -1, -1):
            total = 0j
            for k in range(i + 1, j + 1):
                total += np.conj(A_MM[k, i]) * V_MM[k, j]
            V_MM[i, j] = -total / A_MM[i, i].real
    _rotate(E_MM, V_MM)
    for i in range(M):
        for j in range(i + 1):
            total = 0j
            for k in range(M):
                total += V_MM[i, k] * np.conj(V_MM[j, k]) * np.sqrt(max(E_MM[k, k].real, 0.0))
            R_MM[i, j] = total
            R_MM[j, i] = np.conj(total)
        R_MM[i, i] = R_MM[i, i].real
