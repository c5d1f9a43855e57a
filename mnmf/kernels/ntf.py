"""Multiplicative updates of NTF panning under the β-divergence (Carabias-Orti et al. 2013; Févotte and Idier 2011).

The data are modelled as ``y_mft = Σ_n g_nm λ_nft + floor`` with ``λ_n = W_n H_n``.  The floor is a constant of the
model, so every update still lowers the divergence.

Each update is divided into tiles of what it updates, and threads share the tiles: frequencies for W, frames for H.  The
sums of G run over both, so they are taken for tiles of frequencies and then added in a fixed order.  The model of a
tile and its weights ``v y^(β−2)`` and ``y^(β−1)`` stay in the processor's caches until all sums are taken, so no array
of the size of the spectrogram is made.  Sums are matrix products, and what lies between them are loops over flat
arrays, which become vector instructions.  H has time before bases, `H_NTK`, so that its tiles are contiguous.

Axes: B frequencies and S frames of a tile, X = B S points; P tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import FAST, product
from mnmf.kernels._compile import inner, kernel
from mnmf.kernels._threads import share_out
from mnmf.kernels.beta import weigh

__all__ = ["constant_of", "cost", "exponent_of", "update_g", "update_h", "update_w"]

Array = NDArray[Any]

TINY = 1e-30  # smaller results become zero: sums of denormal single-precision numbers would be many times slower
FREQUENCIES = 64  # frequencies of a tile of W or G; the update of H sums over as many at a time
FRAMES = 128  # frames of a tile of H; the updates of W and G sum over as many at a time


@inner(fastmath=FAST)
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i] * b[i])
    return total


@inner(fastmath=FAST)
def _log_sum(y):  # type: ignore[no-untyped-def]
    """Return Σ log y of a flat array, with one logarithm for every eight values."""
    eighth = len(y) // 8
    total = 0.0
    for i in range(eighth):
        eight = 1.0
        for part in range(8):
            eight *= np.float64(y[part * eighth + i])
        total += np.log(eight)
    for i in range(8 * eighth, len(y)):
        total += np.log(np.float64(y[i]))
    return total


@inner(fastmath=FAST)
def _cost(v, y, over, under, beta):  # type: ignore[no-untyped-def]
    """Return the part of the divergence of flat arrays that depends on the model."""
    total = 0.0
    if beta == 0.0:
        return _log_sum(y) + _dot(v, under)
    if beta == 1.0:
        for i in range(len(v)):
            total += np.float64(y[i]) - np.float64(v[i]) * np.log(np.float64(y[i]))
        return total
    return _dot(y, under) / beta - _dot(y, over) / (beta - 1.0)


@inner
def _space(N, M, B, S, kind):  # type: ignore[no-untyped-def]
    """Return room for λ and two weights of the sources, and for data, model and two weights at the microphones."""
    return np.empty((3, N * B * S), kind), np.empty((4, M * B * S), kind)


@inner
def _weights(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, t0, B, S, with_cost, space):  # type: ignore[no-untyped-def]
    """Return λ (N, BS) and the weights (M, BS) of a tile, and the tile's cost, or zero without `with_cost`."""
    N, M = G_NM.shape
    X = B * S
    P_NX = space[0][0, : N * X].reshape((N, X))
    v_MX = space[1][0, : M * X].reshape((M, B, S))
    y_MX = space[1][1, : M * X].reshape((M, X))
    over_MX = space[1][2, : M * X].reshape((M, X))
    under_MX = space[1][3, : M * X].reshape((M, X))
    for n in range(N):
        product(W_NFK[n, f0 : f0 + B], H_NTK[n, t0 : t0 + S].T, P_NX[n].reshape((B, S)))
    product(G_NM.T, P_NX, y_MX)
    for m in range(M):
        for b in range(B):
            for t in range(S):
                v_MX[m, b, t] = V_MFT[m, f0 + b, t0 + t]
    v, y = v_MX.reshape(M * X), y_MX.reshape(M * X)
    for i in range(M * X):
        y[i] += floor
    over, under = over_MX.reshape(M * X), under_MX.reshape(M * X)
    weigh(v, y, beta, over, under)
    total = _cost(v, y, over, under, beta) if with_cost else 0.0
    return P_NX, over_MX, under_MX, total


@kernel
def _exponent(beta):  # type: ignore[no-untyped-def]
    if beta < 1.0:
        return 1.0 / (2.0 - beta)
    return 1.0 / (beta - 1.0) if beta > 2.0 else 1.0


@kernel
def _rescale(old_IK, over_IK, under_IK, gamma, new_IK):  # type: ignore[no-untyped-def]
    """Write ``old · (over / under)^γ``; where there are no data, the old value."""
    for i in range(old_IK.shape[0]):
        for k in range(old_IK.shape[1]):
            step = over_IK[i, k] / under_IK[i, k] if under_IK[i, k] > 0.0 else 1.0
            if gamma == 0.5:
                step = np.sqrt(step)
            elif gamma != 1.0:
                step = step**gamma
            value = old_IK[i, k] * step
            new_IK[i, k] = value if value > TINY else 0.0


@kernel
def _w_tile(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, new_NFK, with_cost, cost_P):  # type: ignore[no-untyped-def]
    """Do the work of `update_w` for one tile of frequencies."""
    N, F, K = W_NFK.shape
    M, _, T = V_MFT.shape
    B = min(FREQUENCIES, F - f0)
    space = _space(N, M, B, min(FRAMES, T), W_NFK.dtype)
    over_NBK, under_NBK = np.zeros((N, B, K)), np.zeros((N, B, K))
    part_BK = np.empty((B, K), W_NFK.dtype)
    total = 0.0
    for t0 in range(0, T, FRAMES):
        S = min(FRAMES, T - t0)
        _, over_MX, under_MX, cost = _weights(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, t0, B, S, with_cost, space)
        total += cost
        for weight_MX, sum_NBK in ((over_MX, over_NBK), (under_MX, under_NBK)):
            weight_NX = space[0][1, : N * B * S].reshape((N, B * S))
            product(G_NM, weight_MX, weight_NX)
            for n in range(N):
                product(weight_NX[n].reshape((B, S)), H_NTK[n, t0 : t0 + S], part_BK)
                sum_NBK[n] += part_BK
    for n in range(N):
        _rescale(W_NFK[n, f0 : f0 + B], over_NBK[n], under_NBK[n], _exponent(beta), new_NFK[n, f0 : f0 + B])
    cost_P[f0 // FREQUENCIES] = total


@kernel
def _h_tile(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, t0, new_NTK, with_cost, cost_P):  # type: ignore[no-untyped-def]
    """Do the work of `update_h` for one tile of frames."""
    N, F, K = W_NFK.shape
    M, _, T = V_MFT.shape
    S = min(FRAMES, T - t0)
    space = _space(N, M, min(FREQUENCIES, F), S, W_NFK.dtype)
    over_NSK, under_NSK = np.zeros((N, S, K)), np.zeros((N, S, K))
    part_SK = np.empty((S, K), W_NFK.dtype)
    total = 0.0
    for f0 in range(0, F, FREQUENCIES):
        B = min(FREQUENCIES, F - f0)
        _, over_MX, under_MX, cost = _weights(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, t0, B, S, with_cost, space)
        total += cost
        for weight_MX, sum_NSK in ((over_MX, over_NSK), (under_MX, under_NSK)):
            weight_NX = space[0][1, : N * B * S].reshape((N, B * S))
            product(G_NM, weight_MX, weight_NX)
            for n in range(N):
                product(weight_NX[n].reshape((B, S)).T, W_NFK[n, f0 : f0 + B], part_SK)
                sum_NSK[n] += part_SK
    for n in range(N):
        _rescale(H_NTK[n, t0 : t0 + S], over_NSK[n], under_NSK[n], _exponent(beta), new_NTK[n, t0 : t0 + S])
    cost_P[t0 // FRAMES] = total


@kernel
def _g_tile(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, over_PNM, under_PNM, with_cost, cost_P):  # type: ignore[no-untyped-def]
    """Do the work of `update_g` for one tile of frequencies."""
    N, M = G_NM.shape
    F, T = V_MFT.shape[1:]
    B = min(FREQUENCIES, F - f0)
    tile = f0 // FREQUENCIES
    space = _space(N, M, B, min(FRAMES, T), W_NFK.dtype)
    part_NM = np.empty((N, M), W_NFK.dtype)
    total = 0.0
    for t0 in range(0, T, FRAMES):
        S = min(FRAMES, T - t0)
        P_NX, over_MX, under_MX, cost = _weights(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, t0, B, S, with_cost, space)
        total += cost
        for weight_MX, sum_PNM in ((over_MX, over_PNM), (under_MX, under_PNM)):
            product(P_NX, weight_MX.T, part_NM)
            sum_PNM[tile] += part_NM
    cost_P[tile] = total


def exponent_of(beta: float) -> float:
    """Return γ, the power of each step with which an update is proved never to raise the β-divergence.

    1/(2−β) below β = 1, 1 from 1 to 2, 1/(β−1) above (Févotte and Idier 2011).

    Examples
    --------
    >>> exponent_of(0), exponent_of(1), exponent_of(3)
    (0.5, 1.0, 0.5)
    """
    return float(_exponent(float(beta)))


def constant_of(V_MFT: Array, beta: float, floor: float) -> float:
    """Return the part of the divergence that does not depend on the model.

    Parameters
    ----------
    V_MFT : float32 or float64, shape (M, F, T)
        The data; for β = 0 values below the floor count as the floor.
    beta, floor : float

    Examples
    --------
    >>> import numpy as np
    >>> constant_of(np.full((1, 1, 1), 4.0), 2.0, 1e-6)
    8.0
    """
    total = 0.0
    for V_FT in V_MFT:
        V = np.asarray(V_FT, np.float64)
        if beta == 0.0:
            total -= float(np.sum(np.log(np.maximum(V, floor)) + 1.0))
        elif beta == 1.0:
            total += float(np.sum(V * np.log(np.maximum(V, TINY)) - V))
        else:
            total += float(np.sum(V**beta) / (beta * (beta - 1.0)))
    return total


def _share(kernel: Callable[..., None], data: tuple[Any, ...], size: int, length: int, *out: Any) -> float:
    """Run a kernel on all tiles and return the sum of their costs."""
    V_MFT, W_NFK, H_NTK, G_NM, beta, floor = data
    n_tiles = -(-length // size)
    cost_P = np.zeros(n_tiles)
    data = V_MFT, W_NFK, H_NTK, G_NM, float(beta), W_NFK.dtype.type(floor)
    share_out(lambda tile: kernel(*data, tile * size, *out, cost_P), n_tiles)
    return float(np.sum(cost_P))


def update_w(
    V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float, with_cost: bool = True
) -> tuple[Array, float]:
    """Return the update of W, which cannot raise the divergence.

    ``w_nfk ← w_nfk (Σ_mt g_nm h_nkt v_mft y_mft^(β−2) / Σ_mt g_nm h_nkt y_mft^(β−1))^γ`` with γ of `exponent_of`.

    Parameters
    ----------
    V_MFT, W_NFK, H_NTK, G_NM : float32 or float64, shapes (M, F, T), (N, F, K), (N, T, K), (N, M)
        Data, bases, activations and panning; C-contiguous and of one type.
    beta : float
        Which β-divergence.
    floor : float
        Added to the model.
    with_cost : bool
        Whether the cost is needed.

    Returns
    -------
    W_NFK : of the type of the data
    cost : float
        What `cost` was before the update; zero without `with_cost`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> V_MFT, W_NFK, H_NTK, G_NM = (rng.random(shape) for shape in [(2, 5, 6), (3, 5, 4), (3, 6, 4), (3, 2)])
    >>> new_NFK, before = update_w(V_MFT, W_NFK, H_NTK, G_NM, 1.5, 1e-6)
    >>> cost(V_MFT, new_NFK, H_NTK, G_NM, 1.5, 1e-6) < before
    True
    """
    new = np.empty_like(W_NFK)
    data = V_MFT, W_NFK, H_NTK, G_NM, beta, floor
    return new, _share(_w_tile, data, FREQUENCIES, W_NFK.shape[1], new, with_cost)


def update_h(
    V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float, with_cost: bool = True
) -> tuple[Array, float]:
    """Return the update of H, which cannot raise the divergence, and the cost before it.

    As `update_w`, with sums over m and f of g_nm w_nfk.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> V_MFT, W_NFK, H_NTK, G_NM = (rng.random(shape) for shape in [(2, 5, 6), (3, 5, 4), (3, 6, 4), (3, 2)])
    >>> new_NTK, before = update_h(V_MFT, W_NFK, H_NTK, G_NM, 1.5, 1e-6)
    >>> cost(V_MFT, W_NFK, new_NTK, G_NM, 1.5, 1e-6) < before
    True
    """
    new = np.empty_like(H_NTK)
    data = V_MFT, W_NFK, H_NTK, G_NM, beta, floor
    return new, _share(_h_tile, data, FRAMES, H_NTK.shape[1], new, with_cost)


def update_g(
    V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float, with_cost: bool = True
) -> tuple[Array, float]:
    """Return the update of G, which cannot raise the divergence, and the cost before it.

    As `update_w`, with sums over f and t of λ_nft.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> V_MFT, W_NFK, H_NTK, G_NM = (rng.random(shape) for shape in [(2, 5, 6), (3, 5, 4), (3, 6, 4), (3, 2)])
    >>> new_NM, before = update_g(V_MFT, W_NFK, H_NTK, G_NM, 1.5, 1e-6)
    >>> cost(V_MFT, W_NFK, H_NTK, new_NM, 1.5, 1e-6) < before
    True
    """
    data = V_MFT, W_NFK, H_NTK, G_NM, beta, floor
    over_PNM = np.zeros((-(-W_NFK.shape[1] // FREQUENCIES), *G_NM.shape))
    under_PNM = np.zeros_like(over_PNM)
    total = _share(_g_tile, data, FREQUENCIES, W_NFK.shape[1], over_PNM, under_PNM, with_cost)
    new = np.empty_like(G_NM)
    _rescale(G_NM, over_PNM.sum(axis=0), under_PNM.sum(axis=0), exponent_of(beta), new)
    return new, total


def cost(V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float) -> float:
    """Return the β-divergence of the data from the model, less `constant_of`; the arguments are those of `update_w`.

    Examples
    --------
    >>> import numpy as np
    >>> V_MFT = np.full((1, 1, 1), 4.0)
    >>> one = np.ones((1, 1, 1))
    >>> round(cost(V_MFT, one, one, np.ones((1, 1)), 2.0, 0.0) + constant_of(V_MFT, 2.0, 0.0), 6)  # (4 − 1)² / 2
    4.5
    """
    return update_g(V_MFT, W_NFK, H_NTK, G_NM, beta, floor)[1]
