"""Multiplicative updates of NTF panning under the β-divergence (Carabias-Orti et al. 2013; Févotte and Idier 2011).

The data are modelled as ``y_mft = Σ_n g_nm λ_nft + floor`` with ``λ_n = W_n H_n``.  The floor is a constant of the
model, so every rule still descends.

Each update is shared out over tiles of what it updates: frequencies for W, frames for H; for G, whose sums run over
both, tiles of frequencies whose sums are then added in order.  Within a tile the model and its weights ``v y^(β−2)``
and ``y^(β−1)`` stay in the cache, so nothing of the size of the spectrogram is made; all sums are matrix products, and
what lies between them are loops over flat arrays, which become vector instructions.  H has time before bases, `H_NTK`,
that its tiles are contiguous.

Axes: B frequencies and S frames of a tile, X of both; P tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._threads import share_out
from mnmf.kernels.beta import weigh

__all__ = ["constant_of", "cost", "exponent_of", "update_g", "update_h", "update_w"]

Array = NDArray[Any]

TINY = 1e-30  # below it single precision loses its speed
FREQUENCIES = 64  # of a tile, when H is updated the number that is summed at a time
FRAMES = 128  # the same for frames

FAST = {"contract", "reassoc", "nsz"}  # no assumption that there is no NaN


@njit(cache=True)
def _product(A, B, out):  # type: ignore[no-untyped-def]
    np.dot(A, B, out)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i] * b[i])
    return total


@njit(cache=True, error_model="numpy")
def _log_sum(y):  # type: ignore[no-untyped-def]
    """Return Σ log y of a flat array; the logarithm of a product spares seven."""
    eighth = len(y) // 8
    total = 0.0
    for i in range(eighth):
        product = 1.0
        for part in range(8):
            product *= np.float64(y[part * eighth + i])
        total += np.log(product)
    for i in range(8 * eighth, len(y)):
        total += np.log(np.float64(y[i]))
    return total


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _cost(v, y, over, under, beta):  # type: ignore[no-untyped-def]
    """Return the part of the divergence of flat arrays that the model decides."""
    total = 0.0
    if beta == 0.0:
        return _log_sum(y) + _dot(v, under)
    if beta == 1.0:
        for i in range(len(v)):
            total += np.float64(y[i]) - np.float64(v[i]) * np.log(np.float64(y[i]))
        return total
    return _dot(y, under) / beta - _dot(y, over) / (beta - 1.0)


@njit(cache=True, error_model="numpy")
def _space(N, M, B, S, kind):  # type: ignore[no-untyped-def]
    """Return room for λ and two weights of the sources, and for data, model and two weights at the microphones."""
    return np.empty((3, N * B * S), kind), np.empty((4, M * B * S), kind)


@njit(cache=True, error_model="numpy")
def _weights(V_MFT, W_NFK, H_NTK, G_NM, beta, floor, f0, t0, B, S, with_cost, space):  # type: ignore[no-untyped-def]
    """Return λ (N, BS) and the weights (M, BS) of a tile, and the tile's cost if wanted."""
    N, M = G_NM.shape
    X = B * S
    P_NX = space[0][0, : N * X].reshape((N, X))
    v_MX = space[1][0, : M * X].reshape((M, B, S))
    y_MX = space[1][1, : M * X].reshape((M, X))
    over_MX = space[1][2, : M * X].reshape((M, X))
    under_MX = space[1][3, : M * X].reshape((M, X))
    for n in range(N):
        _product(W_NFK[n, f0 : f0 + B], H_NTK[n, t0 : t0 + S].T, P_NX[n].reshape((B, S)))
    _product(G_NM.T, P_NX, y_MX)
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


@njit(cache=True, error_model="numpy")
def _exponent(beta):  # type: ignore[no-untyped-def]
    if beta < 1.0:
        return 1.0 / (2.0 - beta)
    return 1.0 / (beta - 1.0) if beta > 2.0 else 1.0


@njit(cache=True, error_model="numpy")
def _rescale(old_IK, over_IK, under_IK, gamma, new_IK):  # type: ignore[no-untyped-def]
    """Write ``old · (over / under)^γ``; what the data say nothing of stays."""
    for i in range(old_IK.shape[0]):
        for k in range(old_IK.shape[1]):
            step = over_IK[i, k] / under_IK[i, k] if under_IK[i, k] > 0.0 else 1.0
            if gamma == 0.5:
                step = np.sqrt(step)
            elif gamma != 1.0:
                step = step**gamma
            value = old_IK[i, k] * step
            new_IK[i, k] = value if value > TINY else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
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
            _product(G_NM, weight_MX, weight_NX)
            for n in range(N):
                _product(weight_NX[n].reshape((B, S)), H_NTK[n, t0 : t0 + S], part_BK)
                sum_NBK[n] += part_BK
    for n in range(N):
        _rescale(W_NFK[n, f0 : f0 + B], over_NBK[n], under_NBK[n], _exponent(beta), new_NFK[n, f0 : f0 + B])
    cost_P[f0 // FREQUENCIES] = total


@njit(cache=True, nogil=True, error_model="numpy")
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
            _product(G_NM, weight_MX, weight_NX)
            for n in range(N):
                _product(weight_NX[n].reshape((B, S)).T, W_NFK[n, f0 : f0 + B], part_SK)
                sum_NSK[n] += part_SK
    for n in range(N):
        _rescale(H_NTK[n, t0 : t0 + S], over_NSK[n], under_NSK[n], _exponent(beta), new_NTK[n, t0 : t0 + S])
    cost_P[t0 // FRAMES] = total


@njit(cache=True, nogil=True, error_model="numpy")
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
            _product(P_NX, weight_MX.T, part_NM)
            sum_PNM[tile] += part_NM
    cost_P[tile] = total


def exponent_of(beta: float) -> float:
    """Return the power of each step that makes a rule descend for sure: 1 for β from 1 to 2, 1/2 for β = 0."""
    return float(_exponent(float(beta)))


def constant_of(V_MFT: Array, beta: float, floor: float) -> float:
    """Return the part of the divergence that the model does not change; for β = 0 of data not below the floor."""
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
    V_MFT, W_NFK, H_NTK, G_NM, beta, floor = data
    n_tiles = -(-length // size)
    cost_P = np.zeros(n_tiles)
    data = V_MFT, W_NFK, H_NTK, G_NM, float(beta), W_NFK.dtype.type(floor)
    share_out(lambda tile: kernel(*data, tile * size, *out, cost_P), n_tiles)
    return float(np.sum(cost_P))


def update_w(
    V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float, with_cost: bool = True
) -> tuple[Array, float]:
    """Return the update of W that cannot raise the divergence, and what `cost` was before it, or 0 if not wanted.

    ``w_nfk ← w_nfk (Σ_mt g_nm h_nkt v_mft y_mft^(β−2) / Σ_mt g_nm h_nkt y_mft^(β−1))^γ``.  All arrays C-contiguous and
    of one real type.
    """
    new = np.empty_like(W_NFK)
    data = V_MFT, W_NFK, H_NTK, G_NM, beta, floor
    return new, _share(_w_tile, data, FREQUENCIES, W_NFK.shape[1], new, with_cost)


def update_h(
    V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float, with_cost: bool = True
) -> tuple[Array, float]:
    """Return the update of H, and the cost before it; as `update_w`, with sums over m and f and the weights g and w."""
    new = np.empty_like(H_NTK)
    data = V_MFT, W_NFK, H_NTK, G_NM, beta, floor
    return new, _share(_h_tile, data, FRAMES, H_NTK.shape[1], new, with_cost)


def update_g(
    V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float, with_cost: bool = True
) -> tuple[Array, float]:
    """Return the update of G, and the cost before it; as `update_w`, with sums over f and t and the weights λ."""
    data = V_MFT, W_NFK, H_NTK, G_NM, beta, floor
    over_PNM = np.zeros((-(-W_NFK.shape[1] // FREQUENCIES), *G_NM.shape))
    under_PNM = np.zeros_like(over_PNM)
    total = _share(_g_tile, data, FREQUENCIES, W_NFK.shape[1], over_PNM, under_PNM, with_cost)
    new = np.empty_like(G_NM)
    _rescale(G_NM, over_PNM.sum(axis=0), under_PNM.sum(axis=0), exponent_of(beta), new)
    return new, total


def cost(V_MFT: Array, W_NFK: Array, H_NTK: Array, G_NM: Array, beta: float, floor: float) -> float:
    """Return the β-divergence of the data from the model, less `constant_of`."""
    return update_g(V_MFT, W_NFK, H_NTK, G_NM, beta, floor)[1]
