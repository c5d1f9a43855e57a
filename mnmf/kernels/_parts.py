"""The code of functions that are only ever parts of kernels, as numba 0.68 keeps it; `_compile` says why.

Everything here leans on what numba does not document, so it is imported where that release is there and nowhere else.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NopythonTypeInference

__all__ = ["Compiler"]


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


class Compiler(CompilerBase):
    """What compiles inner functions."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_IntoCallers, NopythonTypeInference)
        passes.finalize()
        return [passes]
