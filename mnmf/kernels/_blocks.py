"""Blocks of frequencies and chunks of frames: how data are cut up, and the sums that all models take over the parts.

The time-frequency plane is too large for the processor's caches, so a kernel works on one rectangle of it at a time: a
*block* of neighbouring frequencies by a *chunk* of neighbouring frames.  All rectangles of a call have the same shape,
(B, S); where the data end earlier they are padded with zeros, so that the loops need no remainders.  Blocks belong to
one of eight *groups*.  A group is the unit of work of a thread, and sums over all frequencies are taken group by group
in a fixed order: no number of threads changes a bit of a result.

How large blocks and chunks are, and what is computed within one, is up to each kernel; nothing here knows a model
beyond ``λ = W H``.

Axes: G groups, C chunks, B frequencies of a block, S frames of a chunk.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._compile import inner
from mnmf.kernels._threads import share_out

__all__ = [
    "FAST",
    "GROUPS",
    "Rooms",
    "add",
    "add_product",
    "blocks_of",
    "chunks_of",
    "clear",
    "load_bases",
    "packed",
    "part",
    "product",
    "sum_over_groups",
    "update_bases",
    "write_variances",
    "zeros",
]

Array = NDArray[Any]

GROUPS = 8

# What the compiler may do to loops over flat arrays: "contract" joins a product and a sum into one instruction,
# "reassoc" and "nsz" let sums run in vector lanes.  Full fastmath would also assume that there is no NaN, and so remove
# the very tests that catch one.  numba lets a function that does not set `fastmath` inherit it from whichever function
# it is first compiled for, so a function that such a loop calls must set it.
FAST = {"contract", "reassoc", "nsz"}


def chunks_of(n_frames: int, most: int, lanes: int) -> tuple[int, int]:
    """Return how many chunks cover `n_frames`, and the frames of each: at most `most`, a multiple of `lanes`."""
    n_chunks = -(-n_frames // most)
    size = -(-n_frames // (n_chunks * lanes)) * lanes
    return -(-n_frames // size), size


def blocks_of(n_frequencies: int, most: int) -> tuple[int, int]:
    """Return how many blocks of at most `most` frequencies are needed, and the frequencies of the largest."""
    n_blocks = -(-n_frequencies // most)
    return n_blocks, -(-n_frequencies // n_blocks)


@inner
def part(index, n_parts, length):  # type: ignore[no-untyped-def]
    """Return where part `index` of an axis begins and ends, when `length` is cut into nearly equal parts."""
    return index * length // n_parts, (index + 1) * length // n_parts


LINE = 64  # bytes of a line of the processor's caches


def zeros(shapes: Sequence[tuple[int, ...]], kind: Any) -> list[Array]:
    """Return arrays of zeros, each of which begins with a line of the caches: vector instructions then cross none."""
    kind = np.dtype(kind)
    sizes = [-(-math.prod(shape) * kind.itemsize // LINE) * LINE for shape in shapes]
    memory = np.zeros(sum(sizes) + LINE, np.uint8)
    at, arrays = -memory.ctypes.data % LINE, []
    for shape, size in zip(shapes, sizes):
        arrays.append(np.ndarray(shape, kind, memory, at))
        at += size
    return arrays


class Rooms:
    """Arrays to work in, as many as threads are at work: making them anew for each part of it takes longer.

    Parameters
    ----------
    make : function
        Returns a tuple of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> rooms = Rooms(lambda: (np.zeros(2),))
    >>> with rooms.one() as room:
    ...     first = room
    >>> with rooms.one() as room:
    ...     room is first
    True
    """

    def __init__(self, make: Callable[[], tuple[Array, ...]]) -> None:
        self._make = make
        self._free: deque[tuple[Array, ...]] = deque()

    @contextmanager
    def one(self) -> Iterator[tuple[Array, ...]]:
        """Give a room that nobody else is in; what was left in it is still there."""
        try:
            room = self._free.pop()
        except IndexError:
            room = self._make()
        yield room
        self._free.append(room)


def packed(H_NKT: Array, C: int, S: int) -> Array:
    """Return the activations chunk by chunk, (C, N, K, S), zero beyond the last frame."""
    N, K, T = H_NKT.shape
    H_NKCS = np.zeros((N, K, C * S), H_NKT.dtype)
    H_NKCS[:, :, :T] = H_NKT
    return np.ascontiguousarray(H_NKCS.reshape(N, K, C, S).transpose(2, 0, 1, 3))


def _joined(sums_GCNKS: Array, T: int) -> Array:
    """Return the total over the groups in the layout of the activations, (N, K, T); overwrites its argument."""
    sums_CNKS = sums_GCNKS[0]
    for part_CNKS in sums_GCNKS[1:]:
        sums_CNKS += part_CNKS
    C, N, K, S = sums_CNKS.shape
    return np.ascontiguousarray(sums_CNKS.transpose(1, 2, 0, 3).reshape(N, K, C * S)[:, :, :T])


def sum_over_groups(
    work: Callable[[int, Array, Array], float], H_CNKS: Array, T: int, gather: bool
) -> tuple[float, Array, Array]:
    """Run ``work(group, over_CNKS, under_CNKS)`` for all groups on threads.

    Returns the sum of what `work` returns and the sums of what it adds to its two arrays, as (N, K, T).  Without
    `gather` the arrays it is given are empty and the sums are zeros.
    """
    C, N, K, S = H_CNKS.shape
    cost_G = np.zeros(GROUPS)
    over_GCNKS = np.zeros((GROUPS, C if gather else 0, N, K, S), H_CNKS.dtype)
    under_GCNKS = np.zeros_like(over_GCNKS)

    def work_on(group: int) -> None:
        cost_G[group] = work(group, over_GCNKS[group], under_GCNKS[group])

    share_out(work_on, GROUPS)
    cost = float(cost_G.sum())
    if not gather:
        return cost, np.zeros((N, K, T), H_CNKS.dtype), np.zeros((N, K, T), H_CNKS.dtype)
    return cost, _joined(over_GCNKS, T), _joined(under_GCNKS, T)


@inner
def product(A, B, out):  # type: ignore[no-untyped-def]
    """Write ``A B``.

    Every kernel multiplies through this function: compiling a call of ``np.dot`` takes a good part of a second, and
    here that is spent once for each combination of array types.
    """
    np.dot(A, B, out)


@inner
def clear(values):  # type: ignore[no-untyped-def]
    """Write zeros to a flat array: less to compile than an assignment to a slice."""
    for i in range(len(values)):
        values[i] = 0


@inner(fastmath=FAST)
def add(values, total):  # type: ignore[no-untyped-def]
    """Add one flat array to another."""
    for i in range(len(values)):
        total[i] += values[i]


@inner
def add_product(A, B, room, total):  # type: ignore[no-untyped-def]
    """Add ``A B`` to `total`, which may be more precise than the product, written to `room` first.

    Both are C-contiguous: what is added to a copy would be lost.
    """
    product(A, B, room)
    add(room.ravel(), total.ravel())


@inner
def load_bases(W_NFK, f0, n_f, W_NBK):  # type: ignore[no-untyped-def]
    """Copy the bases of the block of `n_f` frequencies from `f0` on; zeros behind them leave the padding silent."""
    N, B, K = W_NBK.shape
    for n in range(N):
        for b in range(B):
            for k in range(K):
                W_NBK[n, b, k] = W_NFK[n, f0 + b, k] if b < n_f else 0


@inner
def write_variances(W_NBK, H_NKS, P_NBS):  # type: ignore[no-untyped-def]
    """Write ``λ_n = W_n H_n`` of one block and chunk."""
    for n in range(len(W_NBK)):
        product(W_NBK[n], H_NKS[n], P_NBS[n])


@inner
def update_bases(over_NBK, under_NBK, W_NFK, f0, n_f):  # type: ignore[no-untyped-def]
    """Multiply a block's bases by ``√(over / under)``; a base without data stays."""
    N, _, K = W_NFK.shape
    for n in range(N):
        for b in range(n_f):
            for k in range(K):
                if under_NBK[n, b, k] > 0:
                    # Where there is little data, rounding may leave a sum of positive numbers below zero.
                    W_NFK[n, f0 + b, k] *= np.sqrt(max(over_NBK[n, b, k], 0.0) / under_NBK[n, b, k])
