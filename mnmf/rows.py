"""Arrays whose rows are made when they are asked for, such as a take of hours that lies on a disk.

What only walks through an array from front to back takes them in the place of one: see `blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "blocks", "column"]

Array = NDArray[Any]

BLOCK = 1 << 18  # rows at a time


class Rows:
    """A float array of shape (L, M) or (L,) that is never in memory as a whole, unless `numpy.asarray` asks for it.

    Parameters
    ----------
    shape : tuple of int
    dtype : float type
    make : callable
        Returns rows from `start` to `stop` (exclusive), for ``make(start, stop, columns)``: those columns of them, in
        that order, or for an array of one axis, which has no columns, ``make(start, stop)``.

    Examples
    --------
    >>> def powers(start, stop, columns):
    ...     return np.arange(start, stop)[:, None] ** (1.0 + np.array(columns))
    >>> squares = Rows((1000, 2), np.float64, powers)
    >>> squares[3:5]
    array([[ 3.,  9.],
           [ 4., 16.]])
    >>> squares[3:5, 1], squares.column(1)[-1:]
    (array([ 9., 16.]), array([998001.]))
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, make: Callable[..., Array]) -> None:
        self.shape = tuple(int(length) for length in shape)
        self.dtype = np.dtype(dtype)
        self._make = make

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Return rows of a slice without a step, and of these one column or a list of columns if given."""
        rows, *rest = key if isinstance(key, tuple) else (key,)
        start, stop, step = rows.indices(len(self))
        if step != 1 or len(rest) >= self.ndim:
            raise IndexError(f"rows of an array of shape {self.shape} are had as [start:stop] or [start:stop, columns]")
        stop = max(start, stop)
        if self.ndim == 1:
            return np.asarray(self._make(start, stop))
        columns: Any = np.arange(self.shape[1])[rest[0] if rest else slice(None)]
        made = self._make(start, stop, np.atleast_1d(columns).tolist())
        return np.asarray(made[:, 0] if np.ndim(columns) == 0 else made)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)

    def column(self, m: int) -> Rows:
        """Return one column, shape (L,), not in memory either."""
        return Rows(self.shape[:1], self.dtype, lambda start, stop: self[start:stop, m])

    def of_columns(self, columns: list[int]) -> Rows:
        """Return some columns, not in memory either."""

        def some(start: int, stop: int, wanted: list[int]) -> Array:
            return self[start:stop, [columns[i] for i in wanted]]

        return Rows((self.shape[0], len(columns)), self.dtype, some)


def blocks(x: Array | Rows, length: int = BLOCK) -> Iterator[tuple[int, Array]]:
    """Yield the rows of an array a block at a time, each with the number of its first row.

    Examples
    --------
    >>> [(start, len(block)) for start, block in blocks(np.zeros((10, 2)), 4)]
    [(0, 4), (4, 4), (8, 2)]
    """
    for start in range(0, len(x), length):
        yield start, np.asarray(x[start : start + length])


def column(x: Array | Rows, m: int) -> Any:
    """Return one column of an array, without a copy of it.

    Examples
    --------
    >>> column(np.eye(2), 1)
    array([0., 1.])
    """
    return x.column(m) if isinstance(x, Rows) else x[:, m]
