"""NTF panning (Carabias-Orti et al. 2013) under the β-divergence, straight from its equations, in plain einsum."""

from itertools import pairwise

import numpy as np


def model(W_NFK, H_NKT, G_NM, floor):
    """y_ftm = Σ_n g_nm Σ_k w_nfk h_nkt + floor."""
    return np.einsum("nfk,nkt,nm->ftm", W_NFK, H_NKT, G_NM) + floor


def divergence(V, Y, beta):
    """Σ d_β(v | y) of positive arrays."""
    if beta == 0:
        return np.sum(V / Y - np.log(V / Y) - 1)
    if beta == 1:
        return np.sum(V * np.log(V / Y) - V + Y)
    return np.sum(V**beta + (beta - 1) * Y**beta - beta * V * Y ** (beta - 1)) / (beta * (beta - 1))


def power(beta):
    """The exponent with which a step is proved never to raise the divergence (Févotte and Idier 2011)."""
    if beta < 1:
        return 1 / (2 - beta)
    return 1 / (beta - 1) if beta > 2 else 1.0


def update_w(V_FTM, W_NFK, H_NKT, G_NM, beta, floor):
    Y = model(W_NFK, H_NKT, G_NM, floor)
    over = np.einsum("nkt,nm,ftm->nfk", H_NKT, G_NM, V_FTM * Y ** (beta - 2))
    return W_NFK * (over / np.einsum("nkt,nm,ftm->nfk", H_NKT, G_NM, Y ** (beta - 1))) ** power(beta)


def update_h(V_FTM, W_NFK, H_NKT, G_NM, beta, floor):
    Y = model(W_NFK, H_NKT, G_NM, floor)
    over = np.einsum("nfk,nm,ftm->nkt", W_NFK, G_NM, V_FTM * Y ** (beta - 2))
    return H_NKT * (over / np.einsum("nfk,nm,ftm->nkt", W_NFK, G_NM, Y ** (beta - 1))) ** power(beta)


def update_g(V_FTM, W_NFK, H_NKT, G_NM, beta, floor):
    Y = model(W_NFK, H_NKT, G_NM, floor)
    over = np.einsum("nfk,nkt,ftm->nm", W_NFK, H_NKT, V_FTM * Y ** (beta - 2))
    return G_NM * (over / np.einsum("nfk,nkt,ftm->nm", W_NFK, H_NKT, Y ** (beta - 1))) ** power(beta)


def mask(W_NFK, H_NKT, G_NM, exponent, source, mic):
    """The source's share of the modelled power at a microphone."""
    N = len(W_NFK)
    powers = [(G_NM[n, mic] * (W_NFK[n] @ H_NKT[n])) ** (2 / exponent) for n in range(N)]
    return powers[source] / sum(powers)


def pooled(X_FT, edges):
    """The square root of the power in each band, given where bands begin and end."""
    return np.array([np.sqrt(np.sum(np.abs(X_FT[a:b]) ** 2, axis=0)) for a, b in pairwise(edges)])
