"""Numerical kernels: self-free functions, arrays in and arrays out.

Why they stand apart: a model reads like its paper only if the loops that make it fast are elsewhere, and a loop can be
compared with a naive reference only if it is a function of arrays.  So nothing in this package validates, draws random
numbers, keeps state or knows about files; callers hand over checked, contiguous arrays.

Two rules give the same bytes on any number of threads.  Work is split along an axis without reduction, into blocks
whose size never depends on the thread count; and BLAS, which splits its own sums as it likes, runs on one thread while
our blocks run in parallel (`one_blas_thread`).
"""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]

# Threads that wait for each other by spinning slow everything down tenfold as soon as another program wants a core.
# OpenMP reads this once, when numba first loads it; a choice of the user's stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _cache_somewhere() -> None:
    """Let numba keep compiled kernels in the temporary folder where neither the package nor the home can be written."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    home = os.path.expanduser("~")
    places = [os.path.dirname(__file__), home, os.environ.get("XDG_CACHE_HOME", home)]
    if not any(os.access(place, os.W_OK) for place in places):
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
        os.environ["NUMBA_CACHE_DIR"] = os.path.join(tempfile.gettempdir(), f"mnmf-kernels-{user}")


_cache_somewhere()


@cache
def _controller() -> ThreadpoolController:
    # numba calls scipy's BLAS, numpy its own; both must be loaded before we look for them.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context manager inside which every BLAS runs on one thread."""
    limiter: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limiter
