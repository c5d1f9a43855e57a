"""Where a benchmark ran: written into every result, so that figures can be compared."""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mnmf

LIBRARIES = ("numpy", "scipy", "numba", "pyroomacoustics", "soundfile", "scikit-learn", "ssspy", "mir_eval")


def environment(threads: int | None = None) -> dict:
    """Versions, processor, date and threads, those of this process if not given."""
    from numba import config

    return {
        "python": platform.python_version(),
        **versions(),
        "mnmf": mnmf.__version__,
        "cpu": cpu_model(),
        "logical_cores": os.cpu_count(),
        "threads": config.NUMBA_NUM_THREADS if threads is None else threads,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Versions of what figures may depend on, as far as it is installed."""
    found = {}
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
