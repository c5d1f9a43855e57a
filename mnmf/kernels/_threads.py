"""Threads for kernels that take long: each call does a part of the work without Python's lock.

numba's own parallel loops compile what they call once more, inlined, which doubles the time of a first run; and they
deal the parts out beforehand, so that all wait for the thread whose core another program wants.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from numba import get_num_threads

__all__ = ["share_out"]


def share_out(work: Callable[[int], None], n_parts: int) -> None:
    """Call ``work(0)`` to ``work(n_parts - 1)`` on as many threads as numba would use, in no order."""
    n_threads = min(get_num_threads(), n_parts)
    if n_threads == 1:
        for part in range(n_parts):
            work(part)
        return
    pool = ThreadPoolExecutor(n_threads)
    try:
        for _ in pool.map(work, range(n_parts)):
            pass  # raises what the work raised
    finally:
        # Whoever interrupts is not kept waiting for a part that is under way, or being compiled for.
        pool.shutdown(wait=False, cancel_futures=True)
