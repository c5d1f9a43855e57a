"""Kernel additive modelling for interference reduction, straight from Prätzlich et al. 2015: plain loops."""

import numpy as np

# G_NFM is λ of the paper, P_NFT the powers of the sources; `floor` is a faint noise at every microphone.


def expected(P_NFT, G_NFM, f, t, m):
    return sum(G_NFM[n, f, m] * P_NFT[n, f, t] for n in range(len(G_NFM)))


def source_powers(X_FTM, P_NFT, G_NFM, spots, exponent, floor):
    """The mean over each source's own spots of |ŷ|^exponent / λ, with ŷ the masked microphone."""
    new = np.zeros_like(P_NFT)
    N, F, T = P_NFT.shape
    for n in range(N):
        for f in range(F):
            for t in range(T):
                found = []
                for m in spots[n]:
                    mask = G_NFM[n, f, m] * P_NFT[n, f, t] / (expected(P_NFT, G_NFM, f, t, m) + floor)
                    found.append(abs(mask * X_FTM[f, t, m]) ** exponent / G_NFM[n, f, m])
                new[n, f, t] = np.mean(found)
    return new


def median(P_NFT, kernel, size):
    """The median over the neighbours of each point; beyond an edge the value at the edge counts."""
    N, F, T = P_NFT.shape
    new = np.zeros_like(P_NFT)
    for n in range(N):
        for f in range(F):
            for t in range(T):
                found = [P_NFT[n, f, t]]
                for d in range(1, size // 2 + 1):
                    if kernel in ("time", "cross"):
                        found += [P_NFT[n, f, max(t - d, 0)], P_NFT[n, f, min(t + d, T - 1)]]
                    if kernel in ("frequency", "cross"):
                        found += [P_NFT[n, max(f - d, 0), t], P_NFT[n, min(f + d, F - 1), t]]
                new[n, f, t] = np.median(found)
    return new


def update_gains(V_FTM, P_NFT, G_NFM, spots, floor, least):
    """Multiplicative update under the Itakura-Saito divergence, square root; a reference spot keeps its gain."""
    new = G_NFM.copy()
    N, F, M = G_NFM.shape
    for n in range(N):
        for f in range(F):
            for m in range(M):
                if m == spots[n][0]:
                    continue
                over, under = 0.0, 0.0
                for t in range(V_FTM.shape[1]):
                    model = expected(P_NFT, G_NFM, f, t, m) + floor
                    over += P_NFT[n, f, t] * (V_FTM[f, t, m] + floor) / model**2
                    under += P_NFT[n, f, t] / model
                new[n, f, m] = max(G_NFM[n, f, m] * np.sqrt(over / under), least)
    return new


def cost(V_FTM, P_NFT, G_NFM, floor):
    total = 0.0
    for (f, t, m), value in np.ndenumerate(V_FTM):
        ratio = (value + floor) / (expected(P_NFT, G_NFM, f, t, m) + floor)
        total += ratio - np.log(ratio) - 1
    return total


def image(X_FTM, P_NFT, G_NFM, source, mic):
    F, T, _ = X_FTM.shape
    y = np.zeros((F, T), complex)
    for f in range(F):
        for t in range(T):
            y[f, t] = G_NFM[source, f, mic] * P_NFT[source, f, t] / expected(P_NFT, G_NFM, f, t, mic) * X_FTM[f, t, mic]
    return y
