"""A prior from what each spot obviously hears best: where a source dominates its own channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_count, check_number, check_rng, check_spectrogram
from mnmf.priors._nmf import nmf
from mnmf.priors._prior import Prior, Spots, as_spots

__all__ = ["demixing_start", "own_rows", "spot", "spot_order", "weight_start"]

Array = NDArray[Any]


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
    all_spots = as_spots(spots)
    F, T, M = X_FTM.shape
    N = len(all_spots)
    if max(max(mics) for mics in all_spots) >= M:
        raise ArgumentError(f"spots name microphone {max(map(max, all_spots))}, but there are only {M}, from 0 on")
    if len({mics[0] for mics in all_spots}) < N:
        raise ArgumentError("spots: two sources share a microphone, so none dominates it; tell them apart by W, held")
    rows = own_rows(all_spots, M)
    Q = demixing_start(all_spots, F, M) if Q is None else check_array("Q", Q, (F, M, M), "(F, M, M)")

    total_FT = _power(X_FTM, Q[:, 0])
    for n in range(1, N):
        total_FT += _power(X_FTM, Q[:, n])
    total_FT = np.maximum(total_FT, np.finfo(total_FT.dtype).tiny)
    W_NFK, H_NKT = np.empty((N, F, n_components)), np.empty((N, n_components, T))
    for n in range(N):
        P_FT = _power(X_FTM, Q[:, n])  # computed twice rather than kept for all sources
        D_FT = P_FT * (P_FT / total_FT)
        V_FT = D_FT if exponent == 2 else D_FT ** D_FT.dtype.type(exponent / 2)
        W_NFK[n], H_NKT[n] = nmf(V_FT, n_components, beta=beta, n_iterations=n_iterations, rng=generator)
    if exponent != 2:
        return Prior(W=W_NFK, H=H_NKT, spots=all_spots)
    return Prior(W=W_NFK, H=H_NKT, G=weight_start(rows, M, leak), Q=Q, spots=all_spots, pulled=frozenset("Q"))


def demixing_start(spots: Spots, n_frequencies: int, n_mics: int) -> Array:
    """Return Q, complex128 (F, M, M), that demixes nothing: its rows are the microphones in `spot_order`."""
    return np.tile(np.eye(n_mics, dtype=np.complex128)[spot_order(spots, n_mics)], (n_frequencies, 1, 1))


def weight_start(rows: Sequence[Sequence[int]], n_mics: int, leak: float = 0.02) -> Array:
    """Return G (N, M): `leak` everywhere and 1 more at each source's own `rows` of Q, summing to 1."""
    G_NM = np.full((len(rows), n_mics), leak)
    for n, own in enumerate(rows):
        G_NM[n, list(own)] += 1.0
    return np.asarray(G_NM / G_NM.sum(axis=1, keepdims=True))


def spot_order(spots: Spots, n_mics: int) -> list[int]:
    """Return the microphone of each row of Q where rows are spots: the sources' reference spots, then the others."""
    first = list(dict.fromkeys(mics[0] for mics in spots))
    return first + [m for m in range(n_mics) if m not in first]


def own_rows(spots: Spots, n_mics: int) -> list[list[int]]:
    """Return the rows of Q, ordered by `spot_order`, that are a source's own spots."""
    order = spot_order(spots, n_mics)
    return [[order.index(m) for m in mics] for mics in spots]


def _power(X_FTM: Array, q_FM: Array) -> Array:
    """Return |qᴴx|² where `q_FM` is that row of Q."""
    z_FT = np.matmul(X_FTM, q_FM.astype(X_FTM.dtype)[:, :, None])[..., 0]
    return np.asarray(z_FT.real**2 + z_FT.imag**2)
