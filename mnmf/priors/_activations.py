"""Priors from given bases: how strongly each one sounds, by non-negative least squares.

Bases come from a dictionary of notes, from solos (`priors.solo_bases`) or from an earlier fit.  What they are fitted to
is an estimate of each source alone: that of a neural network (`activations`), or what each spot hears best
(`spot_activations`).  Equation numbers are those of "CLASS-net + FastMNMF2".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_number, check_spectrogram
from mnmf.kernels import nnls, one_blas_thread
from mnmf.kernels.matmul import matmul
from mnmf.priors._prior import Prior
from mnmf.priors._spot import blended, check_trust, demixing_start, weight_start
from mnmf.spots import Spots

__all__ = ["activations", "spot_activations"]

Array = NDArray[Any]


def activations(V_NFT: Array, W_NFK: Array, *, floor: float = 1e-2) -> Prior:
    """Fit given bases to an estimate of each source alone (eq. 11).

    For each source and frame ``h = argmin ‖v − W h‖²`` over ``h ≥ 0``, solved to optimality.  `V_NFT` and `W_NFK` must
    be of one kind: powers for FastMNMF2, magnitudes for the Euclidean full-rank model.  A network that estimates
    magnitudes must be squared for FastMNMF2, and bases learned from magnitudes are none of powers: mixed up, a start
    is out of balance by the square of every level.

    Parameters
    ----------
    V_NFT : float, shape (N, F, T), non-negative
        What each source alone would be.
    W_NFK : float, shape (N, F, K), non-negative
        Bases of the sources; a column of zeros, such as a note that an instrument lacks, stays silent.
    floor : float
        Least squares leaves most activations at zero, where multiplicative updates could never revive them.  So each
        base gets at least this part of its share of the source's mean level; 0 for the exact solution.

    Returns
    -------
    Prior
        With `W`, as given, and `H`, float64 (N, K, T), in whatever units make ``W @ H`` an estimate of `V_NFT`.

    Raises
    ------
    ArgumentError
        Shapes that do not fit together, negative or infinite values.
    """
    V_NFT = check_array("V_NFT", V_NFT, (None, None, None), "(N, F, T)", nonnegative=True)
    wanted = (*V_NFT.shape[:2], None)
    W_NFK = check_array("W_NFK", W_NFK, wanted, "(N, F, K)", nonnegative=True)
    _refuse_empty(V_NFT=V_NFT, W_NFK=W_NFK)
    check_number("floor", floor, 0.0, 1.0)
    H_NKT = np.empty((len(V_NFT), W_NFK.shape[2], V_NFT.shape[2]))
    for n in range(len(V_NFT)):
        H_NKT[n] = _solve(V_NFT[n], W_NFK[n], floor)
    return Prior(W=W_NFK, H=H_NKT)


def spot_activations(
    X_FTM: Array,
    spots: Sequence[int | Sequence[int]],
    W_NFK: Array,
    Q: Array | None = None,
    *,
    exponent: float = 2.0,
    floor: float = 1e-2,
    leak: float = 0.02,
    shares_NFT: Array | None = None,
    trust: float | Array = 0.9,
) -> Prior:
    """Start from given bases and what each spot hears best.

    As `priors.spot`, with the bases known: ``D_n = |z_n|⁴ / Σ_r |z_r|²``, z = Qx, is about the power of source n where
    it dominates its own channel, and `activations` fits the bases to it.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture, microphones about equally loud.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    W_NFK : float, shape (N, F, K), non-negative
        Bases of the sources.
    Q : complex, shape (F, M, M), optional
        Demixing matrices, row n for source n; without it each source's row is its own spot.
    exponent : float
        What the bases are bases of: 2 for powers (FastMNMF2), 1 for magnitudes (the Euclidean full-rank model), as in
        `solo_bases`.
    floor : float
        As for `activations`.
    leak : float
        G outside the own rows, relative to 1 at them.
    shares_NFT, trust
        As for `spot`.

    Returns
    -------
    Prior
        With `W`, `H` and `spots`, and for powers also `G` and `Q`.

    Raises
    ------
    ArgumentError
        A spot is not among the microphones, two sources share one, or a shape does not fit.
    """
    X_FTM = check_spectrogram(X_FTM)
    F, T, M = X_FTM.shape
    all_spots = Spots(spots).check(M, apart="none dominates it, so hold W and leave H open")
    N = len(all_spots)
    W_NFK = check_array("W_NFK", W_NFK, (N, F, None), "(N, F, K)", nonnegative=True)
    _refuse_empty(W_NFK=W_NFK)
    check_number("exponent", exponent, 0.5, 4.0)
    check_number("floor", floor, 0.0, 1.0)
    check_number("leak", leak, 0.0, 1.0)
    trust_N = check_trust(trust, N)
    if shares_NFT is not None:
        shares_NFT = check_array("shares_NFT", shares_NFT, (N, F, T), "(N, F, T)", nonnegative=True)
    Q = demixing_start(all_spots, F, M) if Q is None else check_array("Q", Q, (F, M, M), "(F, M, M)")
    P_NFT = np.empty((N, F, T))
    for n in range(N):
        z_FT = np.matmul(X_FTM, Q[:, n].astype(X_FTM.dtype)[:, :, None])[..., 0]
        P_NFT[n] = np.abs(z_FT) ** 2
    total_FT = np.maximum(P_NFT.sum(axis=0), np.finfo(P_NFT.dtype).tiny)
    H_NKT = np.empty((N, W_NFK.shape[2], T))
    for n in range(N):
        D_FT = P_NFT[n] * blended(P_NFT[n] / total_FT, shares_NFT, n, trust_N)
        H_NKT[n] = _solve(D_FT ** (exponent / 2), W_NFK[n], floor)
    prior = Prior(W=W_NFK, H=H_NKT, spots=all_spots)
    if exponent != 2.0:
        return prior
    return prior | Prior(G=weight_start(all_spots.rows(M), M, leak), Q=Q)


def _solve(V_FT: Array, W_FK: Array, floor: float) -> Array:
    """Return H (K, T) of one source, by columns of W of length 1: so tolerances mean the same for every base."""
    V_TF = np.ascontiguousarray(V_FT.T, np.float64)
    length_K = np.sqrt(np.sum(np.square(W_FK, dtype=np.float64), axis=0))
    used_K = length_K > 0
    length_K[~used_K] = 1.0
    unit_FK = np.ascontiguousarray(W_FK / length_K)
    with one_blas_thread():
        gram_KK = matmul(np.ascontiguousarray(unit_FK.T), unit_FK)
        H_TK = nnls.solve(gram_KK, matmul(V_TF, unit_FK)) / length_K
    share_K = np.zeros(len(length_K))
    share_K[used_K] = V_TF.sum(axis=1).mean() / (used_K.sum() * W_FK.sum(axis=0, dtype=np.float64)[used_K])
    return np.ascontiguousarray(np.maximum(H_TK, floor * share_K).T)


def _refuse_empty(**arrays: Array) -> None:
    for name, array in arrays.items():
        if 0 in array.shape:
            raise ArgumentError(f"{name} must not be empty, got shape {array.shape}")
