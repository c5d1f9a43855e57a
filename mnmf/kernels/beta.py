"""Multiplicative updates of single-channel NMF under the β-divergence (Févotte and Idier 2011).

The spectrogram is modelled as ``V ≈ A Bᵀ``.  Threads share tiles of the rows of the factor that is updated.  The model
of a tile and the weights made from it stay in the processor's caches until both sums of an update are taken, so no
array of the size of the spectrogram is made, nor a transposed copy of it.

Axes: I rows and J columns of the spectrogram, K bases; T rows of a factor in a tile, S places of the axis summed over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import add_product, clear, part, product
from mnmf.kernels._compile import inner, kernel
from mnmf.kernels._threads import share_out

__all__ = ["SINGLE_TINY", "TINY", "beta_divergence", "floor_of", "update_columns", "update_rows", "weigh"]

Array = NDArray[Any]

TINY = 1e-30  # floor of the model in double precision: far below the square of the smallest 32-bit sample
SINGLE_TINY = 1e-16  # the same in single precision: v / y² and sums of it must not overflow for data of mean about 1
TILE = 64  # rows of a factor that are updated at a time
DEPTH = 128  # places of the axis summed over that are handled at a time
PRODUCTS = 2**22  # multiplications that a call does at least in each of its three matrix products


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


@inner
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


@inner
def _weigh(V_IJ, i0, j0, beta, floor, model_ST, ratio_ST, power_ST):  # type: ignore[no-untyped-def]
    """Raise a tile of the model, which begins at (i0, j0) of `V_IJ`, to the floor, and write its weights."""
    for s in range(model_ST.shape[0]):
        y_T = model_ST[s]
        for t in range(len(y_T)):
            y_T[t] = y_T[t] if y_T[t] > floor else floor
        weigh(V_IJ[i0 + s, j0 : j0 + len(y_T)], y_T, beta, ratio_ST[s], power_ST[s])


@inner
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


@kernel
def _tiles(  # type: ignore[no-untyped-def]
    V_IJ, old_RK, other_SK, beta, floor, first, last, turned, new_RK, over_TK, under_TK, part_TK, full_3TS, last_3TS
):
    """Do the work of `update_rows`, or `turned` that of `update_columns`, for the rows from `first` to `last`.

    They are whole tiles of as many rows as `over_TK` has.  `full_3TS` and `last_3TS` are room for the model and its
    weights at `DEPTH` places and at those that are left.
    """
    for t in range(first, last, len(over_TK)):
        old_TK = old_RK[t : t + len(over_TK)]
        clear(over_TK.ravel())
        clear(under_TK.ravel())
        for s in range(0, len(other_SK), DEPTH):
            part_SK = other_SK[s : s + DEPTH]
            room_3TS = full_3TS if len(part_SK) == DEPTH else last_3TS
            y = room_3TS[0]
            ratio = room_3TS[1]
            power = room_3TS[2]
            left_K = part_SK if turned else old_TK
            right_K = old_TK if turned else part_SK
            product(left_K, right_K.T, y)
            _weigh(V_IJ, s if turned else t, t if turned else s, beta, floor, y, ratio, power)
            if turned:
                add_product(ratio.T, part_SK, part_TK, over_TK)
                add_product(power.T, part_SK, part_TK, under_TK)
            else:
                add_product(ratio, part_SK, part_TK, over_TK)
                add_product(power, part_SK, part_TK, under_TK)
        _rescale(old_TK, over_TK, under_TK, beta, floor, new_RK[t : t + len(over_TK)])


def _updated(V_IJ: Array, old_RK: Array, other_SK: Array, beta: float, turned: bool) -> Array:
    """Update a factor tile by tile and return the new one."""
    (R, K), S, kind = old_RK.shape, len(other_SK), old_RK.dtype
    new_RK, floor = np.empty_like(old_RK), V_IJ.dtype.type(floor_of(V_IJ.dtype))
    whole, rest = divmod(R, TILE)
    # Several tiles a call: between calls threads wait for Python's lock.
    n_parts = min(whole, max(R * S * K // PRODUCTS, 1))

    def work(index: int) -> None:
        first, last = (tile * TILE for tile in part(index, n_parts, whole)) if index < n_parts else (R - rest, R)
        rows = min(last - first, TILE)
        shapes = ((3, depth, rows) if turned else (3, rows, depth) for depth in (DEPTH, S % DEPTH))
        sums = np.empty((rows, K)), np.empty((rows, K)), np.empty((rows, K), kind)
        room = (np.empty(shape, kind) for shape in shapes)
        _tiles(V_IJ, old_RK, other_SK, float(beta), floor, first, last, turned, new_RK, *sums, *room)

    share_out(work, n_parts + (rest > 0))
    return new_RK


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
    return _updated(V_IJ, A_IK, B_JK, beta, False)


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
    return _updated(V_IJ, B_JK, A_IK, beta, True)


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
