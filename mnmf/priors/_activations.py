"""Priors from given bases: how strongly each of them sounds, by non-negative least squares.

The bases come from a dictionary of notes, from solos (`priors.solo_bases`) or from an earlier fit.  They are fitted to
the spectrum of each source alone: a network's estimate of it (`activations`), or what each spot hears best
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
from mnmf.priors._spot import checked_start, dominated, weight_start

__all__ = ["activations", "spot_activations"]

Array = NDArray[Any]


def activations(V_NFT: Array, W_NFK: Array, *, floor: float = 1e-2) -> Prior:
    """Fit given bases to the spectrum of each source alone (eq. 11).

    For each source and frame ``h = argmin ‖v − W h‖²`` over ``h ≥ 0``, solved to optimality.  `V_NFT` and `W_NFK` must
    be of the same kind: powers for FastMNMF2, magnitudes for the Euclidean full-rank model.  So the magnitudes that a
    network estimates must be squared for FastMNMF2, and bases learned from magnitudes do not fit powers: if the two are
    mixed up, every level of the start is wrong by its own square.

    Parameters
    ----------
    V_NFT : float, shape (N, F, T), non-negative
        Spectrum of each source alone, as far as it is known.
    W_NFK : float, shape (N, F, K), non-negative
        Bases of the sources.  A column of zeros, such as a note that an instrument does not have, stays silent.
    floor : float
        Least squares leaves most activations at zero, and multiplicative updates could never raise them again.  So each
        activation is at least this fraction of what its base would have if all bases were equally loud at the mean
        level of the source; 0 gives the exact solution.

    Returns
    -------
    Prior
        With `W`, as given, and `H`, float64 (N, K, T), scaled so that ``W @ H`` approximates `V_NFT`.

    Raises
    ------
    ArgumentError
        Shapes that do not fit together, or values that are negative or not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> W_NFK, H_NKT = rng.uniform(size=(1, 6, 2)), rng.uniform(size=(1, 2, 5))
    >>> prior = activations(W_NFK @ H_NKT, W_NFK, floor=0.0)
    >>> bool(np.allclose(prior.H, H_NKT))
    True
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

    As `priors.spot`, but with known bases: ``D_n = |z_n|⁴ / Σ_r |z_r|²``, with ``z = Qx``, is close to the power of
    source n where it dominates its own channel, and the bases are fitted to it as by `activations`.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture, microphones about equally loud.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    W_NFK : float, shape (N, F, K), non-negative
        Bases of the sources.
    Q : complex, shape (F, M, M), optional
        Demixing matrices, row n for source n; if not given, the row of each source picks its own spot.
    exponent : float
        W are bases of magnitudes to this power: 2 for FastMNMF2, 1 for the Euclidean full-rank model, as in
        `solo_bases`.
    floor : float
        As for `activations`.
    leak : float
        G outside a source's own rows, relative to 1 at them.
    shares_NFT, trust
        As for `spot`.

    Returns
    -------
    Prior
        With `W`, as given, `H`, float64 (N, K, T), and `spots`; with an exponent of 2 also `G` and `Q`.

    Raises
    ------
    ArgumentError
        A microphone does not exist, two sources share one, an array has the wrong shape, or a number is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 8, 3)) + 1j * rng.standard_normal((5, 8, 3))
    >>> prior = spot_activations(X_FTM, [0, 2], rng.uniform(size=(2, 5, 4))).hold("W")
    >>> prior.H.shape, prior.Q.shape, sorted(prior.held)
    ((2, 4, 8), (5, 3, 3), ['W'])
    """
    X_FTM = check_spectrogram(X_FTM)
    F, T, M = X_FTM.shape
    all_spots, Q, trust_N = checked_start(
        X_FTM, spots, Q, shares_NFT, trust, apart="none dominates it, so hold W and leave H open"
    )
    N = len(all_spots)
    W_NFK = check_array("W_NFK", W_NFK, (N, F, None), "(N, F, K)", nonnegative=True)
    _refuse_empty(W_NFK=W_NFK)
    check_number("exponent", exponent, 0.5, 4.0)
    check_number("floor", floor, 0.0, 1.0)
    check_number("leak", leak, 0.0, 1.0)
    H_NKT = np.empty((N, W_NFK.shape[2], T))
    for n, V_FT in enumerate(dominated(X_FTM, Q, exponent, shares_NFT, trust_N, _double_power)):
        H_NKT[n] = _solve(V_FT, W_NFK[n], floor)
    prior = Prior(W=W_NFK, H=H_NKT, spots=all_spots)
    if exponent != 2.0:
        return prior
    return prior | Prior(G=weight_start(all_spots.rows(M), M, leak), Q=Q)


def _double_power(z_FT: Array) -> Array:
    return (np.abs(z_FT) ** 2).astype(np.float64)  # the precision of the least squares


def _solve(V_FT: Array, W_FK: Array, floor: float) -> Array:
    """Return H (K, T) of one source.

    The columns of W are scaled to length 1 first, so that the solver's tolerances mean the same for every base.
    """
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
