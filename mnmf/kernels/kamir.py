"""Updates of kernel additive modelling for interference reduction.

Every mic has a floor added to its power and to what the model expects of it, as if it heard a faint noise: so a silent
point is no division by zero, and the updates of the gains still descend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._threads import share_out

__all__ = ["distances", "median", "powers", "project", "source_powers", "update_gains"]

Array = NDArray[Any]

FREQUENCIES = 32  # a block that one thread works on


@njit(cache=True, nogil=True, error_model="numpy")
def _powers(X_FTM, exponent, first, last, V_MFT):  # type: ignore[no-untyped-def]
    for f in range(first, last):
        for t in range(X_FTM.shape[1]):
            for m in range(X_FTM.shape[2]):
                power = np.float64(X_FTM[f, t, m].real) ** 2 + np.float64(X_FTM[f, t, m].imag) ** 2
                V_MFT[m, f, t] = power if exponent == 2.0 else power ** (0.5 * exponent)


@njit(cache=True, nogil=True, error_model="numpy")
def _source_powers(V_MFT, P_NFT, G_NFM, own_NM, exponent, floor, first, last, new_NFT):  # type: ignore[no-untyped-def]
    N = len(G_NFM)
    M, _, T = V_MFT.shape
    for f in range(first, last):
        for t in range(T):
            for n in range(N):
                new_NFT[n, f, t] = 0.0
            for m in range(M):
                expected = floor
                for n in range(N):
                    expected += G_NFM[n, f, m] * P_NFT[n, f, t]
                for n in range(N):
                    if own_NM[n, m] > 0.0 and G_NFM[n, f, m] > 0.0:
                        share = G_NFM[n, f, m] * P_NFT[n, f, t] / expected
                        if exponent == 1.5:  # a power takes twenty times as long
                            kept = share * np.sqrt(share)
                        else:
                            kept = share * share if exponent == 2.0 else share**exponent
                        new_NFT[n, f, t] += own_NM[n, m] * kept * V_MFT[m, f, t] / G_NFM[n, f, m]


@njit(cache=True, nogil=True, error_model="numpy")
def _median(P_NFT, bins, frames, first, last, new_NFT):  # type: ignore[no-untyped-def]
    N, F, T = P_NFT.shape
    size = len(bins)
    sorted_values = np.empty(size)
    for f in range(first, last):
        for n in range(N):
            for t in range(T):
                for i in range(size):
                    value = P_NFT[n, min(max(f + bins[i], 0), F - 1), min(max(t + frames[i], 0), T - 1)]
                    j = i
                    while j > 0 and sorted_values[j - 1] > value:
                        sorted_values[j] = sorted_values[j - 1]
                        j -= 1
                    sorted_values[j] = value
                new_NFT[n, f, t] = sorted_values[size // 2]


@njit(cache=True, nogil=True, error_model="numpy")
def _update_gains(V_MFT, P_NFT, G_NFM, free_NM, floor, least, first, last):  # type: ignore[no-untyped-def]
    N = len(G_NFM)
    M, _, T = V_MFT.shape
    over_N = np.empty(N)
    under_N = np.empty(N)
    for f in range(first, last):
        for m in range(M):
            over_N[:] = 0.0
            under_N[:] = 0.0
            for t in range(T):
                expected = floor
                for n in range(N):
                    expected += G_NFM[n, f, m] * P_NFT[n, f, t]
                inverse = 1.0 / expected
                ratio = (V_MFT[m, f, t] + floor) * inverse * inverse
                for n in range(N):
                    over_N[n] += P_NFT[n, f, t] * ratio
                    under_N[n] += P_NFT[n, f, t] * inverse
            for n in range(N):
                if free_NM[n, m] and under_N[n] > 0.0:
                    G_NFM[n, f, m] = max(G_NFM[n, f, m] * np.sqrt(over_N[n] / under_N[n]), least)


@njit(cache=True, nogil=True, error_model="numpy")
def _distances(V_MFT, P_NFT, G_NFM, floor, first, last, distance_F):  # type: ignore[no-untyped-def]
    N = len(G_NFM)
    M, _, T = V_MFT.shape
    for f in range(first, last):
        total = 0.0
        for t in range(T):
            for m in range(M):
                expected = floor
                for n in range(N):
                    expected += G_NFM[n, f, m] * P_NFT[n, f, t]
                ratio = (V_MFT[m, f, t] + floor) / expected
                total += ratio - np.log(ratio) - 1.0
        distance_F[f] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _project(A_AFT, group_T, first, last, out_AFQ):  # type: ignore[no-untyped-def]
    for a in range(len(A_AFT)):
        for f in range(first, last):
            for t in range(len(group_T)):
                out_AFQ[a, f, group_T[t]] += A_AFT[a, f, t]


def _in_blocks(kernel: Any, n_frequencies: int, *before: Any, out: Any = None) -> None:
    """Run ``kernel(*before, first, last, out)`` over blocks of frequencies."""

    def work(block: int) -> None:
        first = block * FREQUENCIES
        after = () if out is None else (out,)
        kernel(*before, first, min(first + FREQUENCIES, n_frequencies), *after)

    share_out(work, -(-n_frequencies // FREQUENCIES))


def powers(X_FTM: Array, exponent: float) -> Array:
    """Return ``|x|^exponent``, (M, F, T), in the precision of the spectrogram."""
    F, T, M = X_FTM.shape
    V_MFT = np.empty((M, F, T), X_FTM.real.dtype)
    _in_blocks(_powers, F, X_FTM, exponent, out=V_MFT)
    return V_MFT


def source_powers(V_MFT: Array, P_NFT: Array, G_NFM: Array, own_NM: Array, exponent: float, floor: float) -> Array:
    """Return ``Σ_m o_nm |ŷ_nm|^exponent / g_nfm``, (N, F, T): what each source plays, as its masks see it.

    `own_NM` are the weights o, one over the number of its own spots at these and 0 elsewhere.
    """
    new_NFT = np.empty_like(P_NFT)
    _in_blocks(_source_powers, V_MFT.shape[1], V_MFT, P_NFT, G_NFM, own_NM, exponent, floor, out=new_NFT)
    return new_NFT


def median(P_NFT: Array, bins: NDArray[np.int64], frames: NDArray[np.int64]) -> Array:
    """Return the median over an odd number of neighbours, `bins` and `frames` away; beyond an edge is the edge."""
    new_NFT = np.empty_like(P_NFT)
    _in_blocks(_median, P_NFT.shape[1], P_NFT, bins, frames, out=new_NFT)
    return new_NFT


def update_gains(V_MFT: Array, P_NFT: Array, G_NFM: Array, free_NM: Array, floor: float, least: float) -> Array:
    """Return ``g √(Σ_t p v / v̂² / Σ_t p / v̂)`` where `free_NM` and at least `least`, and g elsewhere.

    The square root makes each update descend (majorisation): the bound it minimises is a sum of ``a/g + b g``, one for
    each gain, which has no other minimum, so that a gain stopped at `least` descends as well.
    """
    new_NFM = G_NFM.copy()
    _in_blocks(_update_gains, V_MFT.shape[1], V_MFT, P_NFT, new_NFM, free_NM, floor, least)
    return new_NFM


def distances(V_MFT: Array, P_NFT: Array, G_NFM: Array, floor: float) -> Array:
    """Return the Itakura-Saito distance of the powers from the model at each frequency."""
    distance_F = np.empty(V_MFT.shape[1])
    _in_blocks(_distances, V_MFT.shape[1], V_MFT, P_NFT, G_NFM, floor, out=distance_F)
    return distance_F


def project(A_AFT: Array, group_T: NDArray[np.int64], n_groups: int) -> Array:
    """Return the sums over the frames of each group, (A, F, Q); A are sources or mics."""
    out_AFQ = np.zeros((*A_AFT.shape[:2], n_groups), A_AFT.dtype)
    _in_blocks(_project, A_AFT.shape[1], A_AFT, group_T, out=out_AFQ)
    return out_AFQ
