"""Priors from the mixture alone: what each spot hears best is, as a rule, its own player.

Here are also the pieces that other priors and models share with these: the part of each channel that belongs to its
source, and the starts of Q and G that demix nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import (
    MOST_COMPONENTS,
    check_array,
    check_count,
    check_number,
    check_numeric,
    check_rng,
    check_spectrogram,
)
from mnmf.kernels._threads import by_rows, in_blocks
from mnmf.priors._nmf import nmf
from mnmf.priors._prior import Prior
from mnmf.spots import Spots

__all__ = [
    "checked_start",
    "demixing_start",
    "dominated",
    "power",
    "relative_to_spot",
    "spot",
    "spot_panning",
    "weight_start",
]

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
    sharpness: float = 1.0,
    shares_NFT: Array | None = None,
    trust: float | Array = 0.9,
    rng: np.random.Generator | int = 0,
) -> Prior:
    """Start FastMNMF2, or a model of magnitudes, from what each spot hears best.

    With ``z = Qx``, ``D_n = |z_n|⁴ / Σ_r |z_r|²`` is close to the power of source n where n dominates its own channel,
    and close to zero where another source does.  NMF of ``D_n^(exponent/2)`` gives W and H.  G is `leak` everywhere
    and 1 more at a source's own rows of Q; its rows sum to 1.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture, microphones about equally loud.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    Q : complex, shape (F, M, M), optional
        Demixing matrices, row n for source n; if not given, the row of each source picks its own spot.
    n_components : int
        Bases per source, K.
    n_iterations : int
        Updates of the factorisations.
    leak : float
        G outside a source's own rows, relative to 1 at them.
    exponent : float
        W are bases of magnitudes to this power: 2 for FastMNMF2, 1 for NTF panning.
    beta : float
        Divergence of the factorisations: 2 is Euclidean, 1 Kullback-Leibler, 0 Itakura-Saito.
    sharpness : float
        p in ``D_n = |z_n|² |z_n|^2p / Σ_r |z_r|^2p``.  Where spots hear much of each other more than 1 is better
        (`bleed_sharpness`).
    shares_NFT : float, shape (N, F, T), 0 to 1, optional
        Which part of ``|z_n|²`` belongs to source n according to other knowledge, such as `estimate_shares`.
    trust : float, or array of shape (N,)
        How far `shares_NFT` count, 0 to 1: ``D_n = |z_n|² (trust · share + (1 − trust) · |z_n|² / Σ_r |z_r|²)``.  With
        1, a source cannot recover where its share is zero by mistake.
    rng : numpy.random.Generator or int
        Draws the start of the factorisations.

    Returns
    -------
    Prior
        With `W`, float64 (N, F, K), `H`, float64 (N, K, T), and `spots`; with an exponent of 2 also `G`, float64
        (N, M), and `Q`, which is pulled.

    Raises
    ------
    ArgumentError
        A microphone does not exist, two sources share one, an array has the wrong shape, or a number is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 8, 3)) + 1j * rng.standard_normal((5, 8, 3))
    >>> prior = spot(X_FTM, spots=[0, 2], n_components=4)
    >>> prior.W.shape, prior.H.shape, prior.Q.shape
    ((2, 5, 4), (2, 4, 8), (5, 3, 3))
    >>> prior.G.round(2).tolist()  # rows of Q: the spots of the sources, then microphone 1
    [[0.96, 0.02, 0.02], [0.02, 0.96, 0.02]]
    """
    X_FTM = check_spectrogram(X_FTM)
    check_count("n_components", n_components, 1, MOST_COMPONENTS)
    check_count("n_iterations", n_iterations)
    check_number("exponent", exponent, 0.25, 4.0)
    check_number("beta", beta, 0.0, 4.0)
    check_number("leak", leak, 0.0, 1.0)
    check_number("sharpness", sharpness, 0.0, 100.0)
    generator = check_rng(rng)
    F, T, M = X_FTM.shape
    all_spots, Q, trust_N = checked_start(X_FTM, spots, Q, shares_NFT, trust, apart=NONE_DOMINATES)
    N = len(all_spots)
    W_NFK, H_NKT = np.empty((N, F, n_components)), np.empty((N, n_components, T))
    for n, V_FT in enumerate(dominated(X_FTM, Q, exponent, shares_NFT, trust_N, sharpness=sharpness)):
        W_NFK[n], H_NKT[n] = nmf(V_FT, n_components, beta=beta, n_iterations=n_iterations, rng=generator)
    prior = Prior(W=W_NFK, H=H_NKT, spots=all_spots)
    if exponent != 2:
        return prior
    return prior | Prior(G=weight_start(all_spots.rows(M), M, leak), Q=Q).pull("Q")


def spot_panning(X_FTM: Array, spots: Sequence[int | Sequence[int]], *, sharpness: float = 8.0) -> Prior:
    """Find roughly how loud each source is at each microphone, from where it dominates its own spot.

    ``G_nm = sqrt(Σ_ft w |x_m|² / Σ_ft w |x_s|²)``, with s the reference spot of n.  The weight w is its share
    ``|x_s|² / Σ_r |x_r|²`` of all reference spots to the power `sharpness`, so that what counts is what a microphone
    hears while one source plays almost alone.  Where there are solo passages, `solo_panning` is exact.

    Parameters
    ----------
    X_FTM, spots
        As for `spot`.
    sharpness : float
        The greater, the fewer points count, and the more clearly one source dominates there.

    Returns
    -------
    Prior
        With `G`, float64 (N, M), 1 at a source's reference spot, and `spots`.  A silent spot gives 1 there and 0
        elsewhere.

    Raises
    ------
    ArgumentError
        A microphone does not exist, or two sources share one.

    Examples
    --------
    Two sources that take turns, each heard at half its level by the other's microphone:

    >>> turns_FTN = np.array([[[1.0, 0.0], [0.0, 1.0]]]) + 0j
    >>> spot_panning(turns_FTN @ [[1.0, 0.5], [0.5, 1.0]], spots=[0, 1]).G.round(2).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    X_FTM = check_spectrogram(X_FTM)
    check_number("sharpness", sharpness, 0.0, 1000.0)
    all_spots = Spots(spots).check(X_FTM.shape[2], apart=NONE_DOMINATES)
    own = all_spots.references

    def weighted(X_BTM: Array) -> Array:
        V_BTM = np.square(X_BTM.real, dtype=np.float64) + np.square(X_BTM.imag, dtype=np.float64)
        own_BNT = np.stack([V_BTM[..., m] for m in own], axis=1)
        total_BT = np.maximum(own_BNT.sum(axis=1), np.finfo(np.float64).tiny)
        return np.asarray((own_BNT / total_BT[:, None]) ** sharpness @ V_BTM)

    weighted_NM = np.add.accumulate(by_rows(weighted, X_FTM))[-1]  # one by one, as a sum need not be
    return Prior(G=np.sqrt(relative_to_spot(weighted_NM, all_spots)), spots=all_spots)


def checked_start(
    X_FTM: Array,
    spots: Sequence[int | Sequence[int]],
    Q: Array | None,
    shares_NFT: Array | None,
    trust: float | Array,
    *,
    apart: str,
) -> tuple[Spots, Array, Array]:
    """Check the arguments that `spot` and `spot_activations` share; return the spots, Q and the trust (N,)."""
    F, T, M = X_FTM.shape
    all_spots = Spots(spots).check(M, apart=apart)
    N = len(all_spots)
    if check_numeric("trust", trust).ndim == 0:
        trust_N = np.full(N, check_number("trust", trust, 0.0, 1.0))
    else:
        trust_N = check_array("trust", trust, (N,), "(N,)", nonnegative=True)
        check_number("trust", float(trust_N.max()), 0.0, 1.0)
    if shares_NFT is not None:
        check_array("shares_NFT", shares_NFT, (N, F, T), "(N, F, T)", nonnegative=True)
    Q = demixing_start(all_spots, F, M) if Q is None else check_array("Q", Q, (F, M, M), "(F, M, M)")
    return all_spots, Q, trust_N


def power(z_FT: Array) -> Array:
    """Return |z|², in the precision of `z_FT`."""
    return np.asarray(z_FT.real**2 + z_FT.imag**2)


def dominated(
    X_FTM: Array,
    Q: Array,
    exponent: float,
    shares_NFT: Array | None,
    trust_N: Array,
    power: Callable[[Array], Array] = power,
    sharpness: float = 1.0,
) -> Iterator[Array]:
    """Yield ``D_n^(exponent/2)`` of `spot`, (F, T), for one source after another.

    `power` gives |z_n|², and with it the precision of everything that follows.
    """
    N, kind = len(trust_N), power(X_FTM[:0, :, 0]).dtype.type
    tiny = np.finfo(kind).tiny
    total_FT = np.empty(X_FTM.shape[:2], kind)
    peak_FT = None if sharpness == 1 else np.empty_like(total_FT)

    def channel(n: int, block: slice) -> Array:
        return power(_channel(X_FTM[block], Q[block], n))

    def sharpened(P_BT: Array, block: slice) -> Array:
        # Of a part of the loudest channel: powers of what is small would vanish.
        return P_BT if peak_FT is None else (P_BT / peak_FT[block]) ** kind(sharpness)

    def add_up(block: slice) -> None:
        P_NBT = [channel(n, block) for n in range(N)]
        if peak_FT is not None:
            peak_FT[block] = np.maximum(reduce(np.maximum, P_NBT), tiny)
        total_FT[block] = np.maximum(reduce(np.add, (sharpened(P_BT, block) for P_BT in P_NBT)), tiny)

    def dominated_by(n: int) -> Array:
        D_FT = np.empty_like(total_FT)

        def work(block: slice) -> None:
            P_BT = channel(n, block)  # computed twice, because keeping it for all sources takes more memory
            share_BT = sharpened(P_BT, block) / total_FT[block]
            if shares_NFT is not None:
                given_BT = np.asarray(shares_NFT[n][block]).astype(kind)
                share_BT = kind(trust_N[n]) * given_BT + kind(1 - trust_N[n]) * share_BT
            D_BT = P_BT * share_BT
            D_FT[block] = D_BT if exponent == 2 else D_BT ** kind(exponent / 2)

        in_blocks(work, X_FTM)
        return D_FT

    in_blocks(add_up, X_FTM)
    for n in range(N):
        yield dominated_by(n)


def _channel(X_FTM: Array, Q: Array, row: int) -> Array:
    """Return z of one row of Q, (F, T), in the precision of `X_FTM`."""
    return np.asarray(np.matmul(X_FTM, Q[:, row].astype(X_FTM.dtype)[:, :, None])[..., 0])


def relative_to_spot(level_NM: Array, spots: Spots) -> Array:
    """Return levels as multiples of that at each source's reference spot; a silent spot gives 1 there, 0 elsewhere."""
    relative_NM = np.zeros_like(level_NM)
    for n, m in enumerate(spots.references):
        if level_NM[n, m] > 0:
            relative_NM[n] = level_NM[n] / level_NM[n, m]
        relative_NM[n, m] = 1.0
    return relative_NM


def demixing_start(spots: Spots, n_frequencies: int, n_mics: int) -> Array:
    """Return Q, complex128 (F, M, M), that demixes nothing: its rows are the microphones in the order of the spots."""
    return np.tile(np.eye(n_mics, dtype=np.complex128)[spots.order(n_mics)], (n_frequencies, 1, 1))


def weight_start(rows: Sequence[Sequence[int]], n_mics: int, leak: float = 0.02) -> Array:
    """Return G (N, M): `leak` everywhere and 1 more at each source's own `rows` of Q; its rows sum to 1."""
    G_NM = np.full((len(rows), n_mics), float(leak))
    for n, own in enumerate(rows):
        G_NM[n, list(own)] += 1.0
    return np.asarray(G_NM / G_NM.sum(axis=1, keepdims=True))
