"""Euclidean full-rank MNMF straight from Cabañas-Molero et al. 2023: plain loops, an M×M matrix a point."""

import numpy as np


def observed(x_M):
    """Eq. 3: magnitudes on the diagonal, cross terms with the phase difference."""
    M = len(x_M)
    X_MM = np.zeros((M, M), complex)
    for i in range(M):
        for j in range(M):
            size = np.sqrt(abs(x_M[i]) * abs(x_M[j]))
            X_MM[i, j] = size * np.exp(1j * (np.angle(x_M[i]) - np.angle(x_M[j])))
    return X_MM


def model(W_NFK, H_NKT, R_NFMM, f, t):
    """Eq. 4."""
    total = np.zeros_like(R_NFMM[0, f])
    for n in range(len(W_NFK)):
        for k in range(W_NFK.shape[2]):
            total = total + R_NFMM[n, f] * W_NFK[n, f, k] * H_NKT[n, k, t]
    return total


def cost(X_FTM, W_NFK, H_NKT, R_NFMM):
    """Squared Frobenius distance of the observed covariances from the model."""
    F, T, _ = X_FTM.shape
    return sum(
        np.sum(np.abs(observed(X_FTM[f, t]) - model(W_NFK, H_NKT, R_NFMM, f, t)) ** 2)
        for f in range(F)
        for t in range(T)
    )


def trace(A, B):
    return np.trace(A @ B).real


def update_h(X_FTM, W_NFK, H_NKT, R_NFMM):
    """Eq. 5."""
    F, T, _ = X_FTM.shape
    N, K, _ = H_NKT.shape
    new = np.zeros_like(H_NKT)
    for n in range(N):
        for k in range(K):
            for t in range(T):
                over = sum(W_NFK[n, f, k] * trace(observed(X_FTM[f, t]), R_NFMM[n, f]) for f in range(F))
                under = sum(W_NFK[n, f, k] * trace(model(W_NFK, H_NKT, R_NFMM, f, t), R_NFMM[n, f]) for f in range(F))
                new[n, k, t] = H_NKT[n, k, t] * over / under
    return new


def update_w(X_FTM, W_NFK, H_NKT, R_NFMM):
    """Eq. 5 with time and frequency exchanged."""
    F, T, _ = X_FTM.shape
    N, K, _ = H_NKT.shape
    new = np.zeros_like(W_NFK)
    for n in range(N):
        for k in range(K):
            for f in range(F):
                over = sum(H_NKT[n, k, t] * trace(observed(X_FTM[f, t]), R_NFMM[n, f]) for t in range(T))
                under = sum(H_NKT[n, k, t] * trace(model(W_NFK, H_NKT, R_NFMM, f, t), R_NFMM[n, f]) for t in range(T))
                new[n, f, k] = W_NFK[n, f, k] * over / under
    return new


def r_candidate(X_FTM, W_NFK, H_NKT, R_NFMM):
    """Eq. 6, then the nearest Hermitian positive semidefinite matrix."""
    F, T, M = X_FTM.shape
    new = np.zeros_like(R_NFMM)
    for n in range(len(W_NFK)):
        for f in range(F):
            under, over = np.zeros((M, M), complex), np.zeros((M, M), complex)
            for t in range(T):
                power = np.dot(W_NFK[n, f], H_NKT[n, :, t])
                under += power * model(W_NFK, H_NKT, R_NFMM, f, t)
                over += power * observed(X_FTM[f, t])
            R = R_NFMM[n, f] @ np.linalg.inv(under) @ over
            values, vectors = np.linalg.eigh((R + R.conj().T) / 2)
            new[n, f] = vectors @ np.diag(np.maximum(values, 0)) @ vectors.conj().T
    return new


def solo_covariance(x_TM, spot, n_iterations=50):
    """Eq. 8 iterated at one frequency, from the identity."""
    M = x_TM.shape[1]
    R = np.eye(M, dtype=complex)
    for _ in range(n_iterations):
        under = sum(abs(x_M[spot]) * R * abs(x_M[spot]) for x_M in x_TM)
        over = sum(abs(x_M[spot]) * observed(x_M) for x_M in x_TM)
        R = R @ np.linalg.inv(under) @ over
    return R


def spot_mask(W_NFK, H_NKT, R_NFMM, source, mic):
    """Eq. 9."""
    N, F, _ = W_NFK.shape
    T = H_NKT.shape[2]
    mask = np.zeros((F, T))
    for f in range(F):
        for t in range(T):
            shares = [R_NFMM[n, f, mic, mic].real * np.dot(W_NFK[n, f], H_NKT[n, :, t]) for n in range(N)]
            mask[f, t] = shares[source] / sum(shares)
    return mask
