"""FastMNMF2 (Sekiguchi et al. 2020) straight from its equations, in plain einsum and loops."""

import numpy as np


def powers(X_FTM, Q_FMM):
    """x̃_ftm = |q_fmᴴ x_ft|²; row m of Q is q_mᴴ."""
    return np.abs(np.einsum("fmj,ftj->ftm", Q_FMM, X_FTM)) ** 2


def variances(W_NFK, H_NKT, G_NM, floor):
    """y_ftm = Σ_n λ_nft g_nm + floor."""
    return np.einsum("nfk,nkt,nm->ftm", W_NFK, H_NKT, G_NM) + floor


def cost(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, floor):
    """Negative log-likelihood, without its constants."""
    x, y = powers(X_FTM, Q_FMM), variances(W_NFK, H_NKT, G_NM, floor)
    determinants = np.log(np.abs(np.linalg.det(Q_FMM)) ** 2)
    return np.sum(x / y + np.log(y)) - X_FTM.shape[1] * np.sum(determinants)


def update_w(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, floor):
    """Eq. 13, with the square root."""
    x, y = powers(X_FTM, Q_FMM), variances(W_NFK, H_NKT, G_NM, floor)
    over = np.einsum("nkt,nm,ftm->nfk", H_NKT, G_NM, x / y**2)
    return W_NFK * np.sqrt(over / np.einsum("nkt,nm,ftm->nfk", H_NKT, G_NM, 1 / y))


def update_h(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, floor):
    """Eq. 14, with the square root."""
    x, y = powers(X_FTM, Q_FMM), variances(W_NFK, H_NKT, G_NM, floor)
    over = np.einsum("nfk,nm,ftm->nkt", W_NFK, G_NM, x / y**2)
    return H_NKT * np.sqrt(over / np.einsum("nfk,nm,ftm->nkt", W_NFK, G_NM, 1 / y))


def update_g(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, floor):
    """Eq. 15, with the square root."""
    x, y = powers(X_FTM, Q_FMM), variances(W_NFK, H_NKT, G_NM, floor)
    over = np.einsum("nfk,nkt,ftm->nm", W_NFK, H_NKT, x / y**2)
    return G_NM * np.sqrt(over / np.einsum("nfk,nkt,ftm->nm", W_NFK, H_NKT, 1 / y))


def update_q(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, floor):
    """Eq. 16, row by row."""
    F, T, M = X_FTM.shape
    y = variances(W_NFK, H_NKT, G_NM, floor)
    Q_FMM = Q_FMM.copy()
    for f in range(F):
        for m in range(M):
            V = sum(np.outer(X_FTM[f, t], X_FTM[f, t].conj()) / y[f, t, m] for t in range(T)) / T
            q = np.linalg.solve(Q_FMM[f] @ V, np.eye(M)[m])
            Q_FMM[f, m] = (q / np.sqrt((q.conj() @ V @ q).real)).conj()
    return Q_FMM


def pull_rows(Q_MM, V_MMM, base_MM, precision_MM, n_frames):
    """Minimise `pulled_cost` over each row of Q in turn; return Q, the deviations of its rows and their variances.

    With a_j column j of the inverse of the base, u_mj = q_mᴴ a_j, so the penalty is a quadratic form in q_m.
    """
    A_MM = np.linalg.inv(base_MM)
    Q_MM = Q_MM.copy()
    M = len(Q_MM)
    deviation_MM, variance_MM = np.empty((M, M), complex), np.empty((M, M))
    for m in range(M):
        own = np.abs(Q_MM[m] @ A_MM[:, m]) ** 2
        V = V_MMM[m] + sum(
            precision_MM[m, j] / own / n_frames * np.outer(A_MM[:, j], A_MM[:, j].conj()) for j in range(M) if j != m
        )
        q = np.linalg.solve(Q_MM @ V, np.eye(M)[m])
        Q_MM[m] = (q / np.sqrt((q.conj() @ V @ q).real)).conj()
        own = np.abs(Q_MM[m] @ A_MM[:, m]) ** 2
        for j in range(M):
            deviation_MM[m, j] = (Q_MM[m] @ A_MM[:, j]) / (Q_MM[m] @ A_MM[:, m])
            heard = (base_MM[j] @ V_MMM[m] @ base_MM[j].conj()).real
            variance_MM[m, j] = 1 / (n_frames * own * heard + precision_MM[m, j])
    return Q_MM, deviation_MM, variance_MM


def pulled_cost(Q_MM, V_MMM, base_MM, precision_MM, n_frames, own_M):
    """n (Σ_m q_mᴴ V_m q_m − log |det Q|²) + Σ_m Σ_{j≠m} p_mj |u_mj|² / own_m, with U = Q base⁻¹."""
    U_MM = Q_MM @ np.linalg.inv(base_MM)
    total = -n_frames * np.log(np.abs(np.linalg.det(Q_MM)) ** 2)
    for m in range(len(Q_MM)):
        total += n_frames * (Q_MM[m] @ V_MMM[m] @ Q_MM[m].conj()).real
        total += sum(precision_MM[m, j] * np.abs(U_MM[m, j]) ** 2 / own_M[m] for j in range(len(Q_MM)) if j != m)
    return total


def image(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, source, mic):
    """Row `mic` of Q⁻¹ diag(λ_n g_n / y) Q x."""
    F, T, _ = X_FTM.shape
    y = variances(W_NFK, H_NKT, G_NM, 0.0)
    S_FT = np.zeros((F, T), complex)
    for f in range(F):
        for t in range(T):
            share = np.dot(W_NFK[source, f], H_NKT[source, :, t]) * G_NM[source] / y[f, t]
            S_FT[f, t] = (np.linalg.inv(Q_FMM[f]) @ np.diag(share) @ Q_FMM[f] @ X_FTM[f, t])[mic]
    return S_FT


def full_rank_model(W_NFK, H_NKT, R_NFMM, f, t):
    """The covariance of a mixture of Gaussian sources, Σ_n λ_nft R_nf (eq. 8)."""
    return sum(np.dot(W_NFK[n, f], H_NKT[n, :, t]) * R_NFMM[n, f] for n in range(len(W_NFK)))


def full_rank_cost(X_FTM, W_NFK, H_NKT, R_NFMM):
    """Negative log-likelihood of such a mixture, without its constants: Σ xᴴ X̂⁻¹ x + log det X̂."""
    total = 0.0
    for f, t in np.ndindex(X_FTM.shape[:2]):
        model = full_rank_model(W_NFK, H_NKT, R_NFMM, f, t)
        x = X_FTM[f, t]
        total += (x.conj() @ np.linalg.solve(model, x)).real + np.linalg.slogdet(model)[1]
    return total


def full_rank_image(X_FTM, W_NFK, H_NKT, R_NFMM, source):
    """Multichannel Wiener filter: λ_n R_n X̂⁻¹ x."""
    image = np.zeros_like(X_FTM)
    for f, t in np.ndindex(X_FTM.shape[:2]):
        model = full_rank_model(W_NFK, H_NKT, R_NFMM, f, t)
        own = np.dot(W_NFK[source, f], H_NKT[source, :, t]) * R_NFMM[source, f]
        image[f, t] = own @ np.linalg.solve(model, X_FTM[f, t])
    return image
