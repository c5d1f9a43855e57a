"""Full-rank MNMF straight from Cabañas-Molero et al. 2023 and Sawada et al. 2013: loops over all points and sources."""

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
    """Eq. 8 at one frequency, iterated from the identity."""
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


# Log-determinant divergence (Sawada et al. 2013, section III-D) with a constant floor ε_f I in the model.


def log_det_model(W_NFK, H_NKT, R_NFMM, floor_F, f, t):
    return model(W_NFK, H_NKT, R_NFMM, f, t) + floor_F[f] * np.eye(R_NFMM.shape[2])


def log_det_cost(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F):
    """Σ tr(X X̂⁻¹) + log det X̂ over all points."""
    total = 0.0
    for f, t in np.ndindex(X_FTM.shape[:2]):
        expected = log_det_model(W_NFK, H_NKT, R_NFMM, floor_F, f, t)
        total += trace(np.outer(X_FTM[f, t], X_FTM[f, t].conj()), np.linalg.inv(expected))
        total += np.linalg.slogdet(expected)[1]
    return total


def log_det_ratios(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F):
    """tr(X̂⁻¹ X X̂⁻¹ R_n) and tr(X̂⁻¹ R_n), (N, F, T) each."""
    N, (F, T, _) = len(W_NFK), X_FTM.shape
    over_NFT, under_NFT = np.zeros((N, F, T)), np.zeros((N, F, T))
    for f, t in np.ndindex(F, T):
        inverse = np.linalg.inv(log_det_model(W_NFK, H_NKT, R_NFMM, floor_F, f, t))
        x = np.outer(X_FTM[f, t], X_FTM[f, t].conj())
        for n in range(N):
            over_NFT[n, f, t] = trace(inverse @ x @ inverse, R_NFMM[n, f])
            under_NFT[n, f, t] = trace(inverse, R_NFMM[n, f])
    return over_NFT, under_NFT


def log_det_update_w(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F):
    over, under = log_det_ratios(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F)
    return W_NFK * np.sqrt(np.einsum("nft,nkt->nfk", over, H_NKT) / np.einsum("nft,nkt->nfk", under, H_NKT))


def log_det_update_h(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F):
    over, under = log_det_ratios(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F)
    return H_NKT * np.sqrt(np.einsum("nft,nfk->nkt", over, W_NFK) / np.einsum("nft,nfk->nkt", under, W_NFK))


def log_det_update_r(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F):
    """R A R = R' B R', solved through the stable subspace of a matrix twice the size."""
    F, T, M = X_FTM.shape
    new = np.zeros_like(R_NFMM)
    for n in range(len(W_NFK)):
        for f in range(F):
            A, B = np.zeros((M, M), complex), np.zeros((M, M), complex)
            for t in range(T):
                power = np.dot(W_NFK[n, f], H_NKT[n, :, t])
                inverse = np.linalg.inv(log_det_model(W_NFK, H_NKT, R_NFMM, floor_F, f, t))
                A += power * inverse
                B += power * inverse @ np.outer(X_FTM[f, t], X_FTM[f, t].conj()) @ inverse
            C = R_NFMM[n, f] @ B @ R_NFMM[n, f]
            values, vectors = np.linalg.eig(np.block([[np.zeros((M, M)), -A], [-C, np.zeros((M, M))]]))
            stable = vectors[:, np.argsort(values.real)[:M]]
            new[n, f] = stable[M:] @ np.linalg.inv(stable[:M])
    return new


def log_det_joint_update(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F):
    """R, W and H that lower one auxiliary function in turn, without another model in between; each by its own sum."""
    new_R = log_det_update_r(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F)
    (N, F, _), T = W_NFK.shape, X_FTM.shape[1]
    over_NFT, under_NFT = np.zeros((N, F, T)), np.zeros((N, F, T))
    for f, t in np.ndindex(F, T):
        inverse = np.linalg.inv(log_det_model(W_NFK, H_NKT, R_NFMM, floor_F, f, t))
        y = inverse @ X_FTM[f, t]
        for n in range(N):
            image = R_NFMM[n, f] @ y
            over_NFT[n, f, t] = np.vdot(image, np.linalg.solve(new_R[n, f], image)).real
            under_NFT[n, f, t] = trace(inverse, new_R[n, f])
    over_NFK, under_NFK = (np.einsum("nft,nkt->nfk", a, H_NKT) for a in (over_NFT, under_NFT))
    new_W = W_NFK * np.sqrt(over_NFK / under_NFK)
    over_NKT = np.einsum("nft,nfk->nkt", over_NFT, W_NFK**2 / new_W)
    under_NKT = np.einsum("nft,nfk->nkt", under_NFT, new_W)
    return new_W, H_NKT * np.sqrt(over_NKT / under_NKT), new_R


def log_det_image(X_FTM, W_NFK, H_NKT, R_NFMM, floor_F, source):
    """Multichannel Wiener filter; each source has an equal part of the floor."""
    image = np.zeros_like(X_FTM)
    for f, t in np.ndindex(X_FTM.shape[:2]):
        own = np.dot(W_NFK[source, f], H_NKT[source, :, t]) * R_NFMM[source, f]
        own = own + floor_F[f] / len(W_NFK) * np.eye(X_FTM.shape[2])
        image[f, t] = own @ np.linalg.inv(log_det_model(W_NFK, H_NKT, R_NFMM, floor_F, f, t)) @ X_FTM[f, t]
    return image


def itakura_saito_update(V_FT, W_FK, H_KT):
    """One update of W and then of H of single-channel Itakura–Saito NMF, with the square root."""
    Y = W_FK @ H_KT
    W_FK = W_FK * np.sqrt((V_FT / Y**2) @ H_KT.T / ((1 / Y) @ H_KT.T))
    Y = W_FK @ H_KT
    return W_FK, H_KT * np.sqrt(W_FK.T @ (V_FT / Y**2) / (W_FK.T @ (1 / Y)))
