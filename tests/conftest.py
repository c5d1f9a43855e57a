"""Fixtures shared by the tests, and a kernel cache of their own.

numba does not see an edit to a function that a cached kernel calls from another file, so the cache is named after what
all kernels say.  This must happen before numba is imported.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

KERNELS = Path(__file__).parent.parent / "mnmf" / "kernels"
_digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(KERNELS.glob("*.py")))).hexdigest()[:16]
os.environ.setdefault("NUMBA_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"mnmf-kernels-{_digest}"))

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from mnmf.priors import Prior  # noqa: E402
from tests import browsers  # noqa: E402
from tests.processes import end_all  # noqa: E402


@pytest.fixture
def rng():
    return np.random.default_rng(20261121)


@pytest.fixture(autouse=True)
def _no_line_of_progress(monkeypatch):
    """A first run, which compiles, may take so long that a line is due, and many tests look at every line."""
    monkeypatch.setattr("mnmf.cli._terminal.PLAIN", float("inf"))


@pytest.fixture(autouse=True)
def _no_process_is_left():
    yield
    end_all()


@pytest.fixture(scope="module")
def browser():
    yield from browsers.running()


@pytest.fixture
def X_FTM(rng):
    """A small mixture: 7 frequencies, 11 frames, 3 microphones."""
    return rng.standard_normal((7, 11, 3)) + 1j * rng.standard_normal((7, 11, 3))


@pytest.fixture
def start(rng, X_FTM):
    """A complete start for two sources with 4 bases each."""
    F, T, M = X_FTM.shape
    root = rng.standard_normal((2, F, M, M)) + 1j * rng.standard_normal((2, F, M, M))
    return Prior(
        W=rng.uniform(0.1, 1.0, (2, F, 4)),
        H=rng.uniform(0.1, 1.0, (2, 4, T)),
        R=root @ root.conj().swapaxes(-1, -2) / M,
        spots=(0, 2),
    )


def pytest_collection_modifyitems(config, items):
    """Leave out what takes minutes, or needs a browser, unless it is asked for."""
    for marker in ("fuzz", "notebook", "pages", "browser"):
        if marker not in config.option.markexpr:
            left_out = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker(marker)]


_status = 0


def pytest_sessionfinish(session, exitstatus):
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Leave without taking LLVM down, which now and then aborts after all tests have passed."""
    if "numba" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)
