"""Compiled kernels must not outlive their sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mnmf.kernels

pytestmark = pytest.mark.slow

CALLEE = """
from mnmf.kernels._compile import inner

@inner
def callee(x):
    return x + {}
"""
CALLER = """
from mnmf.kernels._compile import kernel
from mnmf.kernels.callee import callee

@kernel
def caller(x):
    return callee(x)
"""
SHOW = "from mnmf.kernels.caller import caller; print(caller(1), sum(caller.stats.cache_hits.values()))"


def run(folder):
    """Call the kernel in a process of its own; return the result and how many functions came from the cache."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=os.environ | {"PYTHONPATH": ".", "NUMBA_CACHE_DIR": "cache", "NUMBA_DISABLE_JIT": "0"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(map(int, done.stdout.split()))


def test_a_kernel_is_compiled_anew_when_a_callee_in_another_file_has_changed(tmp_path):
    kernels = tmp_path / "mnmf" / "kernels"
    kernels.mkdir(parents=True)
    (tmp_path / "mnmf" / "__init__.py").touch()
    for name in ("__init__.py", "_cache.py", "_compile.py", "_parts.py"):
        shutil.copy(Path(mnmf.kernels.__file__).parent / name, kernels)
    (kernels / "caller.py").write_text(CALLER)
    (kernels / "callee.py").write_text(CALLEE.format(1))
    assert run(tmp_path) == (2, 0)
    assert run(tmp_path) == (2, 1)
    (kernels / "callee.py").write_text(CALLEE.format(2))
    assert run(tmp_path) == (3, 0)
