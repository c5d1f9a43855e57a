"""ILRMA straight from its paper: D. Kitamura, N. Ono, H. Sawada, H. Kameoka and H. Saruwatari, "Determined blind source
separation unifying independent vector analysis and nonnegative matrix factorization", IEEE/ACM TASLP 24(9), 2016.

One demixing filter a source, whose output's power is a product of bases and activations.  Sources have bases of their
own, as in the paper's ILRMA without the partitioning function.
"""

import numpy as np

__all__ = ["back_projected", "cost", "iteration"]


def cost(X_FTM, W_NFK, H_NKT, Q_FMM):
    """The negative log-likelihood without constants: ``Σ (|y|²/r + log r) − 2 T Σ log |det Q|``."""
    total = 0.0
    for f in range(len(X_FTM)):
        for t in range(X_FTM.shape[1]):
            y = Q_FMM[f] @ X_FTM[f, t]
            for n in range(len(W_NFK)):
                r = W_NFK[n, f] @ H_NKT[n, :, t]
                total += abs(y[n]) ** 2 / r + np.log(r)
        total -= 2 * X_FTM.shape[1] * np.log(abs(np.linalg.det(Q_FMM[f])))
    return total


def iteration(X_FTM, W_NFK, H_NKT, Q_FMM):
    """Return W, H and Q after iterative projection of every row, and one update of the bases and of the activations."""
    F, T, M = X_FTM.shape
    W, H, Q = W_NFK.copy(), H_NKT.copy(), Q_FMM.copy()
    for f in range(F):
        for n in range(M):
            V = np.zeros((M, M), complex)
            for t in range(T):
                V += np.outer(X_FTM[f, t], X_FTM[f, t].conj()) / (T * (W[n, f] @ H[n, :, t]))
            q = np.linalg.solve(Q[f] @ V, np.eye(M)[n])
            Q[f, n] = q.conj() / np.sqrt((q.conj() @ V @ q).real)
    power_NFT = np.abs(np.einsum("fnm,ftm->nft", Q, X_FTM)) ** 2
    for n in range(M):
        r = W[n] @ H[n]
        W[n] *= np.sqrt(((power_NFT[n] / r**2) @ H[n].T) / ((1 / r) @ H[n].T))
        r = W[n] @ H[n]
        H[n] *= np.sqrt((W[n].T @ (power_NFT[n] / r**2)) / (W[n].T @ (1 / r)))
    return W, H, Q


def back_projected(X_FTM, Q_FMM):
    """Return the image of each source at each microphone, (F, T, M, N): its output times its column of Q⁻¹."""
    return np.einsum("fmn,fnk,ftk->ftmn", np.linalg.inv(Q_FMM), Q_FMM, X_FTM)
