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
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NopythonTypeInference

__all__ = ["inner", "kernel"]

njit: Any = numba.njit  # not all of its options are among its types

# `_Part` knows how numba keeps code, which is not documented and has changed between releases: 0.60 keeps it otherwise.
# Releases on which it was not tried compile every function by itself as well, which is slower and nothing else.
KNOWN = numba.__version__.split(".")[:2] == ["0", "68"]


class _Part(JITCodeLibrary):
    """The code of a function that is only ever a part of others: linked into theirs, but not optimised or assembled."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> _Part:
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: there is no machine code that could refer to it."""


@register_pass(mutates_CFG=False, analysis_only=True)
class _IntoCallers(FunctionPass):
    """Have the code of a function kept as a `_Part`."""

    _name = "into_callers"

    def __init__(self) -> None:  # abstract in numba
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return False


class _Compiler(CompilerBase):
    """What compiles inner functions."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_IntoCallers, NopythonTypeInference)
        passes.finalize()
        return [passes]


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
    how = {"pipeline_class": _Compiler} if KNOWN else {}
    options = {"error_model": "numpy", "fastmath": fastmath, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = njit(**options, **how)(function)
    if isinstance(compiled, CPUDispatcher):  # else the JIT is off
        compiled.__class__ = _Inner
    return compiled
