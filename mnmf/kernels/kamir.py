"""Updates of kernel additive modelling for interference reduction.

A floor is added to the power of every microphone and to its model, as if it heard a faint noise, so that a silent point
is no division by zero and the updates of the gains still lower the distance.

In all functions V_MFT (M, F, T) are the powers of the microphones, P_NFT (N, F, T) those of the sources and G_NFM
(N, F, M) the gains from sources to microphones, float32 or float64.  The model is ``v̂_mft = Σ_n g_nfm p_nft + floor``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._compile import kernel
from mnmf.kernels._threads import share_out

__all__ = ["distances", "median", "powers", "project", "source_powers", "update_gains"]

Array = NDArray[Any]

FREQUENCIES = 32  # that one thread handles at a time


@kernel
def _powers(X_FTM, exponent, first, last, V_MFT):  # type: ignore[no-untyped-def]
    for f in range(first, last):
        for t in range(X_FTM.shape[1]):
            for m in range(X_FTM.shape[2]):
                power = np.float64(X_FTM[f, t, m].real) ** 2 + np.float64(X_FTM[f, t, m].imag) ** 2
                V_MFT[m, f, t] = power if exponent == 2.0 else power ** (0.5 * exponent)


@kernel
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
                        if exponent == 1.5:  # the usual value; a power would take twenty times as long
                            kept = share * np.sqrt(share)
                        else:
                            kept = share * share if exponent == 2.0 else share**exponent
                        new_NFT[n, f, t] += own_NM[n, m] * kept * V_MFT[m, f, t] / G_NFM[n, f, m]


@kernel
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


@kernel
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


@kernel
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


@kernel
def _project(A_AFT, group_T, first, last, out_AFQ):  # type: ignore[no-untyped-def]
    for a in range(len(A_AFT)):
        for f in range(first, last):
            for t in range(len(group_T)):
                out_AFQ[a, f, group_T[t]] += A_AFT[a, f, t]


def _in_blocks(kernel: Any, n_frequencies: int, *before: Any, out: Any = None) -> None:
    """Run ``kernel(*before, first, last, out)`` on blocks of frequencies."""

    def work(block: int) -> None:
        first = block * FREQUENCIES
        after = () if out is None else (out,)
        kernel(*before, first, min(first + FREQUENCIES, n_frequencies), *after)

    share_out(work, -(-n_frequencies // FREQUENCIES))


def powers(X_FTM: Array, exponent: float) -> Array:
    """Return ``|x|^exponent``.

    Parameters
    ----------
    X_FTM : complex64 or complex128, shape (F, T, M)
    exponent : float

    Returns
    -------
    V_MFT : float32 or float64, shape (M, F, T)
        In the precision of the spectrogram.

    Examples
    --------
    >>> import numpy as np
    >>> powers(np.array([[[3.0 + 4.0j]]]), 2.0)
    array([[[25.]]])
    """
    F, T, M = X_FTM.shape
    V_MFT = np.empty((M, F, T), X_FTM.real.dtype)
    _in_blocks(_powers, F, X_FTM, exponent, out=V_MFT)
    return V_MFT


def source_powers(V_MFT: Array, P_NFT: Array, G_NFM: Array, own_NM: Array, exponent: float, floor: float) -> Array:
    """Return what each source plays according to its masks, ``Σ_m o_nm |ŷ_nm|^exponent / g_nfm``, (N, F, T).

    ŷ_nm is microphone m times the mask ``g_nfm p_nft / v̂_mft``.

    Parameters
    ----------
    V_MFT, P_NFT, G_NFM
        Powers of the microphones, powers of the sources as they were, and gains.
    own_NM : float64, shape (N, M)
        The weights o: one over the number of the source's own spots at each of these, 0 at other microphones.
    exponent, floor : float

    Examples
    --------
    >>> import numpy as np
    >>> V_MFT, P_NFT, G_NFM = np.full((1, 1, 1), 3.0), np.ones((2, 1, 1)), np.ones((2, 1, 1))
    >>> source_powers(V_MFT, P_NFT, G_NFM, np.ones((2, 1)), 2.0, 1.0)[:, 0, 0]  # (1/3)² of 3
    array([0.33333333, 0.33333333])
    """
    new_NFT = np.empty_like(P_NFT)
    _in_blocks(_source_powers, V_MFT.shape[1], V_MFT, P_NFT, G_NFM, own_NM, exponent, floor, out=new_NFT)
    return new_NFT


def median(P_NFT: Array, bins: NDArray[np.int64], frames: NDArray[np.int64]) -> Array:
    """Return the median over neighbours of each point.

    Parameters
    ----------
    P_NFT : float32 or float64, shape (N, F, T)
    bins, frames : int64, shape (I,)
        Where the neighbours are, as differences of frequency and of time; their number is odd.  Beyond an edge the
        value at the edge counts.

    Examples
    --------
    >>> import numpy as np
    >>> median(np.array([[[1.0, 9.0, 2.0]]]), np.array([0, 0, 0]), np.array([-1, 0, 1]))
    array([[[1., 2., 2.]]])
    """
    new_NFT = np.empty_like(P_NFT)
    _in_blocks(_median, P_NFT.shape[1], P_NFT, bins, frames, out=new_NFT)
    return new_NFT


def update_gains(V_MFT: Array, P_NFT: Array, G_NFM: Array, free_NM: Array, floor: float, least: float) -> Array:
    """Return the gains ``g √(Σ_t p v / v̂² / Σ_t p / v̂)``, which cannot raise the distance.

    With the square root each update minimises an upper bound of the distance that touches it at the old gains.  The
    bound is a sum of ``a/g + b g``, one for each gain, with a single minimum; so a gain that is stopped at `least` on
    its way there lowers it as well.

    Parameters
    ----------
    V_MFT, P_NFT, G_NFM
        Powers of the microphones, powers of the sources, and gains.
    free_NM : bool, shape (N, M)
        Which gains to update; the others stay.
    floor, least : float
        `least` is the lower limit of the updated gains.

    Returns
    -------
    G_NFM : float64, shape (N, F, M)

    Examples
    --------
    >>> import numpy as np
    >>> V_MFT, P_NFT, G_NFM = np.full((1, 1, 1), 3.0), np.ones((2, 1, 1)), np.ones((2, 1, 1))
    >>> new_NFM = update_gains(V_MFT, P_NFT, G_NFM, np.array([[True], [False]]), 1.0, 0.01)
    >>> new_NFM[:, 0, 0].round(4)  # √((3 + 1) / 3) and 1
    array([1.1547, 1.    ])
    """
    new_NFM = G_NFM.copy()
    _in_blocks(_update_gains, V_MFT.shape[1], V_MFT, P_NFT, new_NFM, free_NM, floor, least)
    return new_NFM


def distances(V_MFT: Array, P_NFT: Array, G_NFM: Array, floor: float) -> Array:
    """Return the Itakura-Saito distance of the powers from the model at each frequency, float64 (F,).

    Examples
    --------
    >>> import numpy as np
    >>> V_MFT, P_NFT, G_NFM = np.full((1, 1, 1), 3.0), np.ones((2, 1, 1)), np.ones((2, 1, 1))
    >>> distances(V_MFT, P_NFT, G_NFM, 1.0).round(4)  # 4/3 − log 4/3 − 1
    array([0.0457])
    """
    distance_F = np.empty(V_MFT.shape[1])
    _in_blocks(_distances, V_MFT.shape[1], V_MFT, P_NFT, G_NFM, floor, out=distance_F)
    return distance_F


def project(A_AFT: Array, group_T: NDArray[np.int64], n_groups: int) -> Array:
    """Return sums over groups of frames.

    Parameters
    ----------
    A_AFT : float32 or float64, shape (A, F, T)
        Powers of A sources or microphones.
    group_T : int64, shape (T,)
        The group of each frame, from 0 to ``n_groups - 1``.
    n_groups : int

    Returns
    -------
    out_AFQ : of the same type, shape (A, F, n_groups)

    Examples
    --------
    >>> import numpy as np
    >>> project(np.array([[[1.0, 2.0, 4.0]]]), np.array([0, 1, 0]), 2)
    array([[[5., 2.]]])
    """
    out_AFQ = np.zeros((*A_AFT.shape[:2], n_groups), A_AFT.dtype)
    _in_blocks(_project, A_AFT.shape[1], A_AFT, group_T, out=out_AFQ)
    return out_AFQ
