"""Where compiled kernels are kept between runs, and when they are thrown away.

numba compiles a function anew when its own file has changed, but not when a function that it calls from another file
has.  The kernels call each other across files, so an upgraded package could run the old code of a callee for ever.
Hence the folder of compiled kernels also holds a digest of the sources they were compiled from, and is emptied when
that differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

__all__ = ["is_empty", "prepare"]

SOURCES = Path(__file__).parent
RECORD = "mnmf-kernels.sha256"


def prepare() -> None:
    """Find a place for compiled kernels and remove those of other sources; to be called before numba is imported."""
    _choose_folder()
    folder = _folder()
    if folder is not None:
        # Where nothing may be removed or written numba keeps nothing either; an import need not fail for that.
        with contextlib.suppress(OSError):
            _forget_other_sources(folder)


def is_empty() -> bool:
    """Return whether no kernel has been compiled yet, so that the first run will compile them."""
    folder = _folder()
    return folder is not None and not any(folder.glob("*.nbc"))


def _choose_folder() -> None:
    """Let numba use the temporary folder if neither the package nor the home can be written: without any it refuses."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    home = os.path.expanduser("~")
    places = [str(SOURCES), home, os.environ.get("XDG_CACHE_HOME", home)]
    if not any(os.access(place, os.W_OK) for place in places):
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
        folder = os.path.join(tempfile.gettempdir(), f"mnmf-kernels-{user}")
        os.environ["NUMBA_CACHE_DIR"] = folder if _private(folder) else tempfile.mkdtemp(prefix="mnmf-kernels-")


def _private(folder: str) -> bool:
    """Make a folder that only we can write, and return whether it is one: what is found there will be run."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode):
            return False
        if not hasattr(os, "geteuid"):
            return True
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return False
        os.chmod(folder, 0o700)
    except OSError:
        return False
    return True


def _probe() -> None:
    """Stand for all functions of this package: numba keeps what is compiled from one folder of sources in one place."""


def _folder() -> Path | None:
    """Return where numba keeps the kernels; None if the JIT is off."""
    from numba import njit

    stats = getattr(njit(cache=True)(_probe), "stats", None)
    return None if stats is None else Path(stats.cache_path)


def _forget_other_sources(folder: Path) -> None:
    sources = (path.name.encode() + path.read_bytes() for path in sorted(SOURCES.glob("*.py")))
    digest = hashlib.sha256(b"".join(sources)).hexdigest()
    record = folder / RECORD
    if record.exists() and record.read_text() == digest:
        return
    for pattern in ("*.nbi", "*.nbc"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    # Last, and at once: a process that is stopped before this leaves the work to the next.
    part = folder / f"{RECORD}.{os.getpid()}"
    part.write_text(digest)
    part.replace(record)
