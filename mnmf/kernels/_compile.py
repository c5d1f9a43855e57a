"""How kernels are compiled: whoever runs `mnmf` for the first time waits for it.

What Python calls is a `kernel`: it is kept on disk and lets go of Python's lock.  What only kernels call is `inner`: it
becomes part of each kernel that calls it and is optimised there, so it is neither assembled by itself, nor kept, nor
given an entry for Python.  Both divide by zero as numpy does, without a test for each division.

The rest is up to whoever writes a kernel.  What takes time is the number of functions and, in each, how many arrays are
passed, sliced or reshaped: an array is seven numbers or more to the compiler, and a tuple of arrays is all of theirs
each time that it is passed.  So kernels are given their arrays one by one, also those they work in, which Python makes
(numba would compile a function for each number of axes), and functions are given those that they use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
from numba.core.registry import CPUDispatcher

__all__ = ["inner", "kernel"]

njit: Any = numba.njit  # not all of its options are among its types

# `_parts` knows how numba keeps code, which is not documented and has changed between releases.  Those on which it was
# not tried compile every function by itself as well, which is slower and nothing else.
KNOWN = numba.__version__.split(".")[:2] == ["0", "68"]


class _Inner(CPUDispatcher):
    """A compiled function without an entry for Python: numba would jump to address 0, so Python runs its source."""

    def __call__(self, *arguments: Any) -> Any:
        return self.py_func(*arguments)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function for Python to call, without Python's lock, and keep it.

    Examples
    --------
    >>> @kernel
    ... def twice(x):
    ...     return 2 * x
    >>> twice(3)
    6
    """
    return njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)


def inner(function: Callable[..., Any] | None = None, *, fastmath: Any = False) -> Any:
    """Compile a function for kernels to call; if Python calls it, it is not compiled.

    Parameters
    ----------
    function : function
    fastmath : bool or set of str
        What the compiler may do to floating-point arithmetic, as for `numba.njit`.

    Examples
    --------
    >>> @inner(fastmath={"contract"})
    ... def twice(x):
    ...     return 2 * x
    >>> @kernel
    ... def thrice(x):
    ...     return twice(x) + x
    >>> thrice(3)
    9
    """
    if function is None:
        return partial(inner, fastmath=fastmath)
    how = {}
    if KNOWN:
        from mnmf.kernels._parts import Compiler

        how = {"pipeline_class": Compiler}
    options = {"error_model": "numpy", "fastmath": fastmath, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = njit(**options, **how)(function)
    if isinstance(compiled, CPUDispatcher):  # else the JIT is off
        compiled.__class__ = _Inner
    return compiled
