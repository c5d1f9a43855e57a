"""Where a benchmark ran: written into every result, so that figures can be compared."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import mnmf


def environment() -> dict:
    """Versions, processor, threads and date."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "scipy", "numba")},
        "mnmf": mnmf.__version__,
        "cpu": cpu_model(),
        "logical_cores": os.cpu_count(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
