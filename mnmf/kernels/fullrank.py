"""Updates of Euclidean full-rank multichannel NMF (Cabañas-Molero et al. 2023, eq. 3 to 6; Sawada et al. 2013).

With X = x̃x̃ᴴ the cost ``Σ_ft ‖X_ft − Σ_n λ_nft R_nf‖²`` is quadratic in each of W, H and R.  Two facts keep it cheap.
``tr(X_ft R_nf) = x̃ᴴRx̃`` is one number per time-frequency point, and ``tr(R_nf R_rf)`` one per frequency; so for H (and
W) the problem is a non-negative least squares whose Gram matrix is small: K·N by K·N for all frames together.  And for
R only ``Σ_t λ_n X`` and ``Σ_t λ_n λ_r`` are needed, a matrix and a few numbers per frequency.

Every update returns its result and the cost after it, without the constant ``Σ_ft ‖X_ft‖²``.  R is Hermitian
throughout.  In all functions:

=========  ==============  =======================  ============================
X_FTM      (F, T, M)       complex64 or complex128  the mixture after `rooted`
W_NFK      (N, F, K)       float64                  bases
H_NKT      (N, K, T)       float64                  activations
R_NFMM     (N, F, M, M)    complex128               spatial covariances
=========  ==============  =======================  ============================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels.hermitian import nearest_psd
from mnmf.kernels.matmul import matmul
from mnmf.kernels.scm import quadratic_forms, weighted_covariances

__all__ = ["TINY", "activation_problem", "rooted", "update_h", "update_r", "update_w"]

Array = NDArray[Any]

TINY = 1e-30
HALVINGS = 6  # how often the step towards the R of eq. 6 is halved before a frequency keeps its old R


def rooted(X_FTM: Array) -> Array:
    """Return x̃ = x·|x|^(−1/2), whose outer product is the observed covariance of eq. 3.

    Examples
    --------
    >>> import numpy as np
    >>> rooted(np.array([[[4.0 + 0j, 9j]]]))
    array([[[2.+0.j, 0.+3.j]]])
    """
    magnitude = np.abs(X_FTM)
    return np.asarray(X_FTM / np.sqrt(np.maximum(magnitude, np.finfo(magnitude.dtype).tiny)))


def activation_problem(X_FTM: Array, W_NFK: Array, R_NFMM: Array) -> tuple[Array, Array]:
    """Return the numerators of eq. 5, (N·K, T), and the Gram matrix of its denominators, (N·K, N·K).

    Both stay the same as long as W and R do, so several updates of H may use them.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rooted(rng.standard_normal((3, 4, 2)) + 1j * rng.standard_normal((3, 4, 2)))
    >>> W_NFK, H_NKT = rng.random((2, 3, 2)), rng.random((2, 2, 4))
    >>> R_NFMM = np.tile(np.eye(2, dtype=complex), (2, 3, 1, 1))
    >>> numerators, gram = activation_problem(X_FTM, W_NFK, R_NFMM)
    >>> numerators.shape, gram.shape
    ((4, 4), (4, 4))
    """
    N, _, K = W_NFK.shape
    numerators = np.empty((N * K, X_FTM.shape[1]))
    for n in range(N):
        W_KF = np.ascontiguousarray(W_NFK[n].T)
        numerators[n * K : (n + 1) * K] = matmul(W_KF, quadratic_forms(X_FTM, R_NFMM[n]))

    overlaps_NNF = _overlaps(R_NFMM)
    gram = np.empty((N, K, N, K))
    for n in range(N):
        for r in range(n + 1):
            weighted_KF = np.ascontiguousarray((W_NFK[n] * overlaps_NNF[n, r][:, None]).T)
            gram[n, :, r, :] = matmul(weighted_KF, W_NFK[r])
            gram[r, :, n, :] = gram[n, :, r, :].T
    return numerators, gram.reshape(N * K, N * K)


def update_h(H_NKT: Array, numerators: Array, gram: Array) -> tuple[Array, float]:
    """Return H after the multiplicative update of eq. 5, and the cost.

    `numerators` and `gram` are those of `activation_problem`, through which W and R enter.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rooted(rng.standard_normal((3, 4, 2)) + 1j * rng.standard_normal((3, 4, 2)))
    >>> W_NFK, H_NKT = rng.random((2, 3, 2)), rng.random((2, 2, 4))
    >>> R_NFMM = np.tile(np.eye(2, dtype=complex), (2, 3, 1, 1))
    >>> problem = activation_problem(X_FTM, W_NFK, R_NFMM)
    >>> new_NKT, cost = update_h(H_NKT, *problem)
    >>> cost < activation_cost(H_NKT, *problem)
    True
    """
    H = H_NKT.reshape(numerators.shape)
    H = H * (numerators / np.maximum(matmul(gram, H), TINY))
    return H.reshape(H_NKT.shape), activation_cost(H, numerators, gram)


def activation_cost(H: Array, numerators: Array, gram: Array) -> float:
    """Return the cost of activations of shape (N·K, T) or (N, K, T).

    `numerators` and `gram` are those of `activation_problem`.

    Examples
    --------
    >>> import numpy as np
    >>> activation_cost(np.full((1, 1), 3.0), np.full((1, 1), 2.0), np.eye(1))  # 3 (3 − 2 · 2)
    -3.0
    """
    H = H.reshape(numerators.shape)
    return float(np.sum(H * (matmul(gram, H) - 2.0 * numerators)))


def update_w(X_FTM: Array, W_NFK: Array, H_NKT: Array, R_NFMM: Array) -> tuple[Array, float]:
    """Return W after its multiplicative update (eq. 5 with the roles of f and t exchanged), and the cost.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rooted(rng.standard_normal((3, 4, 2)) + 1j * rng.standard_normal((3, 4, 2)))
    >>> W_NFK, H_NKT = rng.random((2, 3, 2)), rng.random((2, 2, 4))
    >>> R_NFMM = np.tile(np.eye(2, dtype=complex), (2, 3, 1, 1))
    >>> before = activation_cost(H_NKT, *activation_problem(X_FTM, W_NFK, R_NFMM))
    >>> new_NFK, cost = update_w(X_FTM, W_NFK, H_NKT, R_NFMM)
    >>> cost < before
    True
    """
    N = len(W_NFK)
    overlaps_NNF = _overlaps(R_NFMM)
    H_TK = [np.ascontiguousarray(H_NKT[n].T) for n in range(N)]
    numerators = np.stack([matmul(quadratic_forms(X_FTM, R_NFMM[n]), H_TK[n]) for n in range(N)])
    gram = [[matmul(H_NKT[r], H_TK[n]) for r in range(N)] for n in range(N)]

    def denominators(W_NFK: Array) -> Array:
        result = np.zeros_like(W_NFK)
        for n in range(N):
            for r in range(N):
                result[n] += overlaps_NNF[n, r][:, None] * matmul(W_NFK[r], gram[n][r])
        return result

    W_NFK = W_NFK * (numerators / np.maximum(denominators(W_NFK), TINY))
    return W_NFK, float(np.sum(W_NFK * (denominators(W_NFK) - 2.0 * numerators)))


def update_r(X_FTM: Array, W_NFK: Array, H_NKT: Array, R_NFMM: Array) -> tuple[Array, float]:
    """Return R after eq. 6, made positive semidefinite, and the cost.

    Eq. 6 followed by the clipping of negative eigenvalues may raise the cost.  So each frequency takes the longest of
    these steps from its old R towards the new one that does not: all the way, a half, a quarter, ..., none.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rooted(rng.standard_normal((3, 4, 2)) + 1j * rng.standard_normal((3, 4, 2)))
    >>> W_NFK, H_NKT = rng.random((2, 3, 2)), rng.random((2, 2, 4))
    >>> R_NFMM = np.tile(np.eye(2, dtype=complex), (2, 3, 1, 1))
    >>> before = activation_cost(H_NKT, *activation_problem(X_FTM, W_NFK, R_NFMM))
    >>> new_NFMM, cost = update_r(X_FTM, W_NFK, H_NKT, R_NFMM)
    >>> cost < before
    True
    """
    N = len(W_NFK)
    H_TK = [np.ascontiguousarray(H_NKT[n].T) for n in range(N)]
    observed = np.stack([weighted_covariances(X_FTM, matmul(W_NFK[n], H_NKT[n])) for n in range(N)])
    products_NNF = np.empty((N, N, W_NFK.shape[1]))  # Σ_t λ_nft λ_rft, through K×K matrices
    for n in range(N):
        for r in range(n + 1):
            gram_KK = matmul(H_NKT[n], H_TK[r])
            products_NNF[n, r] = products_NNF[r, n] = np.sum(matmul(W_NFK[n], gram_KK) * W_NFK[r], axis=1)

    def cost_F(R_NFMM: Array) -> Array:
        linear = np.einsum("nfij,nfji->f", R_NFMM, observed).real
        return np.asarray(np.einsum("nrf,nrf->f", products_NNF, _overlaps(R_NFMM)) - 2.0 * linear)

    modelled = np.einsum("nrf,rfij->nfij", products_NNF, R_NFMM)
    # Where sources are silent the model is singular; a floor relative to its trace keeps the solution finite.
    trace = np.einsum("nfii->nf", modelled).real
    floor = (1e-9 * trace + TINY)[..., None, None] * np.eye(R_NFMM.shape[-1])
    target = nearest_psd(R_NFMM @ np.linalg.solve(modelled + floor, observed))

    old_cost, new, new_cost = cost_F(R_NFMM), target.copy(), cost_F(target)
    step = 1.0
    for _ in range(HALVINGS):
        worse = new_cost > old_cost
        if not worse.any():
            break
        step /= 2.0
        new[:, worse] = R_NFMM[:, worse] + step * (target[:, worse] - R_NFMM[:, worse])
        new_cost = cost_F(new)
    worse = new_cost > old_cost
    new[:, worse] = R_NFMM[:, worse]
    return new, float(np.sum(np.where(worse, old_cost, new_cost)))


def _overlaps(R_NFMM: Array) -> Array:
    """Return tr(R_nf R_rf), which is real and non-negative, as (N, N, F)."""
    N, F, M, _ = R_NFMM.shape
    flat = R_NFMM.reshape(N, F, M * M)
    # For Hermitian matrices tr(R_n R_r) is the inner product of their entries.
    overlaps = np.einsum("nfi,rfi->nrf", flat, flat.conj(), optimize=False).real
    return np.asarray(np.maximum(overlaps, 0.0))
