"""Threads for kernels that take long: each call does a part of the work without Python's lock.

numba's own parallel loops compile what they call once more, inlined, which doubles the time of a first run; and they
assign the parts to threads beforehand, so that all wait for the thread whose core another program uses.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

__all__ = ["by_rows", "in_blocks", "share_out"]

BLOCK = 2**18  # bytes that a step of numpy takes at a time: what lies between its parts stays in a core's cache


def share_out(work: Callable[[int], None], n_parts: int) -> None:
    """Call ``work(0)`` to ``work(n_parts - 1)`` on as many threads as numba would use, in no particular order.

    The first exception that `work` raises is raised here.

    Examples
    --------
    >>> done = []
    >>> share_out(done.append, 3)
    >>> sorted(done)
    [0, 1, 2]
    """
    n_threads = min(get_num_threads(), n_parts)
    if n_threads <= 1:
        for part in range(n_parts):
            work(part)
        return
    left, lock = iter(range(n_parts)), Lock()

    def take_parts() -> None:
        # One task for each part would cost more than many a part does.
        try:
            while True:
                with lock:
                    part = next(left, None)
                if part is None:
                    return
                work(part)
        except BaseException:
            drain()
            raise

    def drain() -> None:
        with lock:
            for _ in left:
                pass

    pool = ThreadPoolExecutor(n_threads)
    try:
        for task in [pool.submit(take_parts) for _ in range(n_threads)]:
            task.result()  # raises what the work raised
    finally:
        # An interrupt or an error must not wait for the parts under way, which may take long or be still compiling.
        drain()
        pool.shutdown(wait=False, cancel_futures=True)


def in_blocks(work: Callable[[slice], Any], array: NDArray[Any]) -> list[Any]:
    """Call `work` with slices that cover the first axis of an array, on threads; return what it returns, in order.

    For steps of numpy, which lets go of Python's lock meanwhile.  A slice has about a quarter of a megabyte
    of the array, on any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> x_FT = np.ones((1000, 400))
    >>> [(each.start, each.stop) for each in in_blocks(lambda block: block, x_FT[:405])]
    [(0, 81), (81, 162), (162, 243), (243, 324), (324, 405)]
    """
    length = len(array)
    size = max(BLOCK * length // max(array.nbytes, 1), 1)
    results: list[Any] = [None] * -(-length // size)

    def work_on(block: int) -> None:
        results[block] = work(slice(block * size, min((block + 1) * size, length)))

    share_out(work_on, len(results))
    return results


def by_rows(of: Callable[[NDArray[Any]], Any], array: NDArray[Any]) -> NDArray[Any]:
    """Return ``of(array)``, found `in_blocks`, where every row of it depends on that row of the array alone.

    Examples
    --------
    >>> import numpy as np
    >>> by_rows(np.linalg.inv, np.full((3, 1, 1), 4.0)).ravel()
    array([0.25, 0.25, 0.25])
    """
    return np.concatenate(in_blocks(lambda block: of(array[block]), array))
