"""Multiplicative updates of single-channel NMF under the β-divergence (Févotte and Idier 2011).

The spectrogram is modelled as ``V ≈ A Bᵀ``.  Threads share tiles of the rows of the factor that is updated.  The model
of a tile and the weights made from it stay in the processor's caches until both sums of an update are taken, so no
array of the size of the spectrogram is made, nor a transposed copy of it.

Axes: I rows and J columns of the spectrogram, K bases; T rows of a factor in a tile, S places of the axis summed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mnmf.kernels._blocks import product
from mnmf.kernels._threads import share_out

__all__ = ["SINGLE_TINY", "TINY", "beta_divergence", "floor_of", "update_columns", "update_rows", "weigh"]

Array = NDArray[Any]

TINY = 1e-30  # floor of the model in double precision: far below the square of the smallest 32-bit sample
SINGLE_TINY = 1e-16  # the same in single precision: v / y² and sums of it must not overflow for data of mean about 1
TILE = 64  # rows of a factor that one thread updates at a time
DEPTH = 128  # places of the axis summed over that are handled at a time


def floor_of(dtype: Any) -> float:
    """Return the least value that a model is taken to have, `TINY` or `SINGLE_TINY`.

    Single precision expects data of mean about 1.

    Examples
    --------
    >>> import numpy as np
    >>> floor_of(np.float64)
    1e-30
    """
    return SINGLE_TINY if dtype == np.float32 else TINY


@njit(cache=True, error_model="numpy")
def weigh(v_T, y_T, beta, over_T, under_T):  # type: ignore[no-untyped-def]
    """Write ``v y^(β−2)`` and ``y^(β−1)`` of flat arrays.

    The common values of β have loops of their own: roots are many times faster than powers, and vector instructions
    exist for them.

    Parameters
    ----------
    v_T, y_T : float32 or float64, shape (T,)
        Data and model; the model is positive.
    beta : float
    over_T, under_T : of the type of the model, shape (T,)
        Written; no two of the four arrays may overlap.

    Examples
    --------
    >>> import numpy as np
    >>> over_T, under_T = np.empty(1), np.empty(1)
    >>> weigh(np.array([8.0]), np.array([4.0]), 0.5, over_T, under_T)
    >>> over_T, under_T
    (array([1.]), array([0.5]))
    """
    one = y_T.dtype.type(1)
    if beta == 0.0:
        for t in range(len(y_T)):
            inverse = one / y_T[t]
            over_T[t] = v_T[t] * inverse * inverse
            under_T[t] = inverse
    elif beta == 0.5:
        for t in range(len(y_T)):
            root = one / np.sqrt(y_T[t])
            over_T[t] = v_T[t] * root * root * root
            under_T[t] = root
    elif beta == 1.0:
        for t in range(len(y_T)):
            over_T[t] = v_T[t] / y_T[t]
            under_T[t] = one
    elif beta == 1.5:
        for t in range(len(y_T)):
            root = np.sqrt(y_T[t])
            over_T[t] = v_T[t] / root
            under_T[t] = root
    elif beta == 2.0:
        for t in range(len(y_T)):
            over_T[t] = v_T[t]
            under_T[t] = y_T[t]
    else:
        for t in range(len(y_T)):
            y = y_T[t]
            power = y ** y_T.dtype.type(beta - 1.0)
            over_T[t] = v_T[t] * power / y
            under_T[t] = power


@njit(cache=True, error_model="numpy")
def _weigh(V_IJ, i0, j0, beta, floor, model_ST, ratio_ST, power_ST):  # type: ignore[no-untyped-def]
    """Raise a tile of the model, which begins at (i0, j0) of `V_IJ`, to the floor, and write its weights."""
    for s in range(model_ST.shape[0]):
        y_T = model_ST[s]
        for t in range(len(y_T)):
            y_T[t] = y_T[t] if y_T[t] > floor else floor
        weigh(V_IJ[i0 + s, j0 : j0 + len(y_T)], y_T, beta, ratio_ST[s], power_ST[s])


@njit(cache=True, error_model="numpy")
def _rescale(old_TK, over_TK, under_TK, beta, floor, new_TK):  # type: ignore[no-untyped-def]
    """Write ``old · (over / under)^γ``: γ = 1/(2−β) below β = 1, 1 up to 2, 1/(β−1) above."""
    gamma = 1.0
    if beta < 1.0:
        gamma = 1.0 / (2.0 - beta)
    elif beta > 2.0:
        gamma = 1.0 / (beta - 1.0)
    kind = type(floor)  # a power takes a third of the time in single precision
    for t in range(old_TK.shape[0]):
        for k in range(old_TK.shape[1]):
            step = over_TK[t, k] / max(under_TK[t, k], TINY)
            value = old_TK[t, k] * (kind(step) if gamma == 1.0 else kind(step) ** kind(gamma))
            new_TK[t, k] = value if value > TINY else 0.0  # denormal numbers would be many times slower


@njit(cache=True, nogil=True, error_model="numpy")
def _rows(V_IJ, A_IK, B_JK, beta, floor, first, new_IK):  # type: ignore[no-untyped-def]
    """Do the work of `update_rows` for one tile of rows."""
    n_rows = min(TILE, len(A_IK) - first)
    n_columns, K = B_JK.shape
    old_TK = A_IK[first : first + n_rows]
    over_TK = np.zeros((n_rows, K))
    under_TK = np.zeros((n_rows, K))
    part_TK = np.empty((n_rows, K), A_IK.dtype)
    flat_y = np.empty(n_rows * DEPTH, A_IK.dtype)
    flat_ratio = np.empty(n_rows * DEPTH, A_IK.dtype)
    flat_power = np.empty(n_rows * DEPTH, A_IK.dtype)
    for j in range(0, n_columns, DEPTH):
        size = min(DEPTH, n_columns - j)
        y_TS = flat_y[: n_rows * size].reshape((n_rows, size))
        ratio_TS = flat_ratio[: n_rows * size].reshape((n_rows, size))
        power_TS = flat_power[: n_rows * size].reshape((n_rows, size))
        B_SK = B_JK[j : j + size]
        product(old_TK, B_SK.T, y_TS)
        _weigh(V_IJ, first, j, beta, floor, y_TS, ratio_TS, power_TS)
        product(ratio_TS, B_SK, part_TK)
        over_TK += part_TK
        product(power_TS, B_SK, part_TK)
        under_TK += part_TK
    _rescale(old_TK, over_TK, under_TK, beta, floor, new_IK[first : first + n_rows])


@njit(cache=True, nogil=True, error_model="numpy")
def _columns(V_IJ, A_IK, B_JK, beta, floor, first, new_JK):  # type: ignore[no-untyped-def]
    """Do the work of `update_columns` for one tile of columns."""
    n_columns = min(TILE, len(B_JK) - first)
    n_rows, K = A_IK.shape
    old_TK = B_JK[first : first + n_columns]
    over_TK = np.zeros((n_columns, K))
    under_TK = np.zeros((n_columns, K))
    part_TK = np.empty((n_columns, K), A_IK.dtype)
    flat_y = np.empty(n_columns * DEPTH, A_IK.dtype)
    flat_ratio = np.empty(n_columns * DEPTH, A_IK.dtype)
    flat_power = np.empty(n_columns * DEPTH, A_IK.dtype)
    for i in range(0, n_rows, DEPTH):
        size = min(DEPTH, n_rows - i)
        y_ST = flat_y[: n_columns * size].reshape((size, n_columns))
        ratio_ST = flat_ratio[: n_columns * size].reshape((size, n_columns))
        power_ST = flat_power[: n_columns * size].reshape((size, n_columns))
        A_SK = A_IK[i : i + size]
        product(A_SK, old_TK.T, y_ST)
        _weigh(V_IJ, i, first, beta, floor, y_ST, ratio_ST, power_ST)
        product(ratio_ST.T, A_SK, part_TK)
        over_TK += part_TK
        product(power_ST.T, A_SK, part_TK)
        under_TK += part_TK
    _rescale(old_TK, over_TK, under_TK, beta, floor, new_JK[first : first + n_columns])


def _tiles(kernel: Callable[..., None], V_IJ: Array, A_IK: Array, B_JK: Array, beta: float, old: Array) -> Array:
    """Run a kernel on all tiles of the factor `old` and return the new one."""
    new = np.empty_like(old)
    floor = V_IJ.dtype.type(floor_of(V_IJ.dtype))

    def work(tile: int) -> None:
        kernel(V_IJ, A_IK, B_JK, float(beta), floor, tile * TILE, new)

    share_out(work, -(-len(old) // TILE))
    return new


def update_rows(V_IJ: Array, A_IK: Array, B_JK: Array, beta: float) -> Array:
    """Return the update of A in ``V ≈ A Bᵀ``, which cannot raise the β-divergence (Févotte and Idier 2011).

    ``A ← A ∘ (((A Bᵀ)^(β−2) ∘ V) B / (A Bᵀ)^(β−1) B)^γ`` with γ = 1/(2−β) below β = 1, 1 up to 2, 1/(β−1) above.

    Parameters
    ----------
    V_IJ, A_IK, B_JK : float32 or float64, shapes (I, J), (I, K), (J, K)
        Non-negative, C-contiguous and of one type.
    beta : float

    Returns
    -------
    A_IK : of the type of the data

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> V_IJ, A_IK, B_JK = rng.random((5, 6)), rng.random((5, 2)), rng.random((6, 2))
    >>> new_IK = update_rows(V_IJ, A_IK, B_JK, 1.0)
    >>> beta_divergence(V_IJ, new_IK @ B_JK.T, 1.0) < beta_divergence(V_IJ, A_IK @ B_JK.T, 1.0)
    True
    """
    return _tiles(_rows, V_IJ, A_IK, B_JK, beta, A_IK)


def update_columns(V_IJ: Array, A_IK: Array, B_JK: Array, beta: float) -> Array:
    """Return the update of B in ``V ≈ A Bᵀ``, as `update_rows` does for A; same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> V_IJ, A_IK, B_JK = rng.random((5, 6)), rng.random((5, 2)), rng.random((6, 2))
    >>> same_JK = update_rows(np.ascontiguousarray(V_IJ.T), B_JK, A_IK, 1.0)
    >>> np.allclose(update_columns(V_IJ, A_IK, B_JK, 1.0), same_JK)
    True
    """
    return _tiles(_columns, V_IJ, A_IK, B_JK, beta, B_JK)


def beta_divergence(V, Y, beta):  # type: ignore[no-untyped-def]
    """Return the β-divergence of non-negative data `V` from a model `Y` of the same shape, summed over all entries.

    Examples
    --------
    >>> import numpy as np
    >>> beta_divergence(np.array([4.0]), np.array([1.0]), 2.0)
    4.5
    """
    Y = np.maximum(Y, TINY)
    if beta == 1.0:
        positive = np.maximum(V, TINY)
        return float(np.sum(V * np.log(positive / Y) - V + Y))
    if beta == 0.0:
        ratio = np.maximum(V, TINY) / Y
        return float(np.sum(ratio - np.log(ratio) - 1.0))
    return float(np.sum(V**beta + (beta - 1.0) * Y**beta - beta * V * Y ** (beta - 1.0)) / (beta * (beta - 1.0)))
