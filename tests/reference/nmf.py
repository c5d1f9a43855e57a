"""Single-channel NMF under the β-divergence: the multiplicative updates of Févotte and Idier 2011 as plain loops."""

import numpy as np


def update_h(V, W, H, beta):
    gamma = 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1
    Y = W @ H
    new = np.zeros_like(H)
    for k in range(H.shape[0]):
        for t in range(H.shape[1]):
            over = sum(W[f, k] * V[f, t] * Y[f, t] ** (beta - 2) for f in range(len(V)))
            under = sum(W[f, k] * Y[f, t] ** (beta - 1) for f in range(len(V)))
            new[k, t] = H[k, t] * (over / under) ** gamma
    return new


def divergence(v, y, beta):
    """d_β(v | y) of two positive numbers."""
    if beta == 0:
        return v / y - np.log(v / y) - 1
    if beta == 1:
        return v * np.log(v / y) - v + y
    return (v**beta + (beta - 1) * y**beta - beta * v * y ** (beta - 1)) / (beta * (beta - 1))
