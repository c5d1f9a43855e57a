"""A prior from what each spot obviously hears best: where a source dominates its own channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import check_array, check_count, check_number, check_rng, check_spectrogram
from mnmf.priors._nmf import nmf
from mnmf.priors._prior import Prior
from mnmf.spots import Spots

__all__ = ["demixing_start", "spot", "spot_panning", "weight_start"]

Array = NDArray[Any]

NONE_DOMINATES = "none dominates it, so hold a W that tells them apart"


def spot(
    X_FTM: Array,
    spots: Sequence[int | Sequence[int]],
    Q: Array | None = None,
    n_components: int = 24,
    *,
    n_iterations: int = 20,
    leak: float = 0.02,
    exponent: float = 2.0,
    beta: float = 0.5,
    shares_NFT: Array | None = None,
    trust: float | Array = 0.9,
    rng: np.random.Generator | int = 0,
) -> Prior:
    """Start FastMNMF2, or a model of magnitudes, from what each spot hears best.

    With z = Qx, ``D_n = |z_n|⁴ / Σ_r |z_r|²`` is about the power of source n where it dominates its own channel, and
    next to nothing where another one does.  NMF of ``D_n^(exponent/2)`` gives W and H; G is `leak` everywhere and 1
    more at the own row, rows summing to 1.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture, microphones about equally loud.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    Q : complex, shape (F, M, M), optional
        Demixing matrices, row n for source n; without it each source's row is its own spot.
    n_components : int
        Bases per source, K.
    n_iterations : int
        Updates of the factorisations.
    leak : float
        G outside the own row, relative to 1 at it.
    exponent : float
        Bases are those of magnitudes to this power: 2 for FastMNMF2, 1 for NTF panning.
    beta : float
        Divergence of the factorisations: 2 is Euclidean, 1 Kullback-Leibler, 0 Itakura-Saito.
    shares_NFT : float, shape (N, F, T), 0 to 1, optional
        Which part of ``|z_n|²`` is source n by other knowledge, such as `estimate_shares`.
    trust : float, or array of shape (N,)
        Where there are `shares_NFT`, ``D_n = |z_n|² (trust · share + (1 - trust) · |z_n|² / Σ_r |z_r|²)``.  With 1 a
        source whose share is nothing by mistake could never come back.
    rng : numpy.random.Generator or int
        Draws the start of the factorisations.

    Returns
    -------
    Prior
        With `W`, `H` and `spots`, and for powers also `G` and `Q`, which is pulled.

    Raises
    ------
    ArgumentError
        A spot is not among the microphones, two sources share one, or a number is out of range.
    """
    X_FTM = check_spectrogram(X_FTM)
    check_count("n_components", n_components)
    check_count("n_iterations", n_iterations)
    check_number("exponent", exponent, 0.25, 4.0)
    check_number("beta", beta, 0.0, 4.0)
    generator = check_rng(rng)
    F, T, M = X_FTM.shape
    all_spots = Spots(spots).check(M, apart=NONE_DOMINATES)
    N = len(all_spots)
    trust_N = check_trust(trust, N)
    rows = all_spots.rows(M)
    Q = demixing_start(all_spots, F, M) if Q is None else check_array("Q", Q, (F, M, M), "(F, M, M)")

    if shares_NFT is not None:
        shares_NFT = check_array("shares_NFT", shares_NFT, (N, F, T), "(N, F, T)", nonnegative=True)

    total_FT = _power(X_FTM, Q[:, 0])
    for n in range(1, N):
        total_FT += _power(X_FTM, Q[:, n])
    total_FT = np.maximum(total_FT, np.finfo(total_FT.dtype).tiny)
    W_NFK, H_NKT = np.empty((N, F, n_components)), np.empty((N, n_components, T))
    for n in range(N):
        P_FT = _power(X_FTM, Q[:, n])  # computed twice rather than kept for all sources
        D_FT = P_FT * blended(P_FT / total_FT, shares_NFT, n, trust_N)
        V_FT = D_FT if exponent == 2 else D_FT ** D_FT.dtype.type(exponent / 2)
        W_NFK[n], H_NKT[n] = nmf(V_FT, n_components, beta=beta, n_iterations=n_iterations, rng=generator)
    if exponent != 2:
        return Prior(W=W_NFK, H=H_NKT, spots=all_spots)
    return Prior(W=W_NFK, H=H_NKT, G=weight_start(rows, M, leak), Q=Q, spots=all_spots, pulled=frozenset("Q"))


def check_trust(trust: float | Array, n_sources: int) -> Array:
    """Return `trust` as one number a source, from 0 to 1."""
    if np.ndim(trust) == 0:
        return np.full(n_sources, check_number("trust", trust, 0.0, 1.0))
    trust_N = check_array("trust", trust, (n_sources,), "(N,)", nonnegative=True)
    check_number("trust", float(trust_N.max()), 0.0, 1.0)
    return trust_N


def blended(share_FT: Array, shares_NFT: Array | None, source: int, trust_N: Array) -> Array:
    """Return the share of a source in its own channel: its dominance there, and other knowledge if there is any."""
    if shares_NFT is None:
        return share_FT
    kind = share_FT.dtype.type
    return np.asarray(kind(trust_N[source]) * shares_NFT[source].astype(kind) + kind(1 - trust_N[source]) * share_FT)


def spot_panning(X_FTM: Array, spots: Sequence[int | Sequence[int]], *, sharpness: float = 8.0) -> Prior:
    """Guess how loud each source is at each microphone from where it dominates its own spot.

    ``G_nm = sqrt(Σ_ft w |x_m|² / Σ_ft w |x_s|²)``, with s the reference spot of n and the weight w its share
    ``|x_s|² / Σ_r |x_r|²`` of all reference spots to the power `sharpness`: what a microphone hears while one source
    plays almost alone.  A guess to start from: `solo_panning` knows.

    Parameters
    ----------
    X_FTM, spots
        As for `spot`.
    sharpness : float
        The greater, the fewer points count, and the clearer ones.

    Returns
    -------
    Prior
        With `G`, float64 (N, M), 1 at the own spot, and `spots`.  A silent spot gives 1 there and 0 elsewhere.

    Raises
    ------
    ArgumentError
        A spot is not among the microphones, or two sources share one.
    """
    X_FTM = check_spectrogram(X_FTM)
    check_number("sharpness", sharpness, 0.0, 1000.0)
    all_spots = Spots(spots).check(X_FTM.shape[2], apart=NONE_DOMINATES)
    own = all_spots.references
    weighted_NM = np.zeros((len(own), X_FTM.shape[2]))
    for X_TM in X_FTM:
        V_TM = np.square(X_TM.real, dtype=np.float64) + np.square(X_TM.imag, dtype=np.float64)
        total_T = np.maximum(V_TM[:, own].sum(axis=1), np.finfo(np.float64).tiny)
        weighted_NM += ((V_TM[:, own] / total_T[:, None]) ** sharpness).T @ V_TM
    G_NM = np.zeros_like(weighted_NM)
    for n, m in enumerate(own):
        if weighted_NM[n, m] > 0:
            G_NM[n] = np.sqrt(weighted_NM[n] / weighted_NM[n, m])
        G_NM[n, m] = 1.0
    return Prior(G=G_NM, spots=all_spots)


def demixing_start(spots: Spots, n_frequencies: int, n_mics: int) -> Array:
    """Return Q, complex128 (F, M, M), that demixes nothing: its rows are the microphones in the order of the spots."""
    return np.tile(np.eye(n_mics, dtype=np.complex128)[spots.order(n_mics)], (n_frequencies, 1, 1))


def weight_start(rows: Sequence[Sequence[int]], n_mics: int, leak: float = 0.02) -> Array:
    """Return G (N, M): `leak` everywhere and 1 more at each source's own `rows` of Q, summing to 1."""
    G_NM = np.full((len(rows), n_mics), leak)
    for n, own in enumerate(rows):
        G_NM[n, list(own)] += 1.0
    return np.asarray(G_NM / G_NM.sum(axis=1, keepdims=True))


def _power(X_FTM: Array, q_FM: Array) -> Array:
    """Return |qᴴx|² where `q_FM` is that row of Q."""
    z_FT = np.matmul(X_FTM, q_FM.astype(X_FTM.dtype)[:, :, None])[..., 0]
    return np.asarray(z_FT.real**2 + z_FT.imag**2)
