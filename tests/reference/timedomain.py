"""Algorithm 1 of Rajesh R 2023 on whole waveforms, line by line."""

import numpy as np


def project(A, low, high):
    """Keep the gain of player j at spot i within bounds, then that of player i at least as large; spot i is mic i."""
    new = np.maximum(A, 0.0)
    N = A.shape[1]
    for i in range(N):
        for j in range(N):
            if i != j:
                new[i, j] = min(max(A[i, j], low), high)
    for i in range(N):
        new[i, i] = max([new[i, i]] + [new[i, j] for j in range(N) if j != i])
    return new


def cost(X, m, A, S, b):
    total = 0.0
    for i in range(len(X)):
        total += np.sum((X[i] - sum(A[i, j] * S[j] for j in range(len(S)))) ** 2)
    return total + np.sum((m - sum(b[j] * S[j] for j in range(len(S)))) ** 2)


def run(X, m, n_sources, low, high, eta, n_iterations):
    """Return Λ, S, b and the relative cost after each iteration; η is a part of the mean energy of the sources."""
    A = np.eye(len(X))[:, :n_sources]
    S = X[:n_sources].copy()
    b = np.ones(n_sources)
    one = np.eye(n_sources)
    costs = []
    for _ in range(n_iterations):
        ridge = eta * np.mean(np.sum(S**2, axis=1))
        A = project((X @ S.T) @ np.linalg.inv(S @ S.T + ridge * one), low, high)
        S = np.linalg.inv(A.T @ A + np.outer(b, b)) @ (np.outer(b, m) + A.T @ X)
        ridge = eta * np.mean(np.sum(S**2, axis=1))
        b = np.linalg.inv(S @ S.T + ridge * one) @ (S @ m)
        costs.append(cost(X, m, A, S, b) / (np.sum(X**2) + np.sum(m**2)))
    own = np.diag(A[:n_sources]).copy()
    return A / own, S * own[:, None], b / own, costs
