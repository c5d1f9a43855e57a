"""Does `mnmf separate` write the same bytes again, by other numbers of threads, and with other routines for matrices?

    python benchmarks/determinism.py [--quick] [--jobs N]

The embedded quartet in a hall, four mics at 44.1 kHz, by the default method without solos; files of float.  The other
routines are those that OpenBLAS has for processors without AVX-512; where it takes no others they are the same.
Writes benchmarks/results/determinism.json.
"""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _cases import case_named, duet_case
from _measure import run_separate
from _runner import Cell, Result, arguments, run

SHORT = ["--window", "0.1", "--components", "4", "--iterations", "2"]
RUNS = {
    "first": {"NUMBA_NUM_THREADS": "2"},
    "again": {"NUMBA_NUM_THREADS": "2"},
    "one thread": {"NUMBA_NUM_THREADS": "1"},
    "other routines": {"NUMBA_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
}


def stems(take_LM: np.ndarray, rate: int, environment: dict[str, str], options: list[str]) -> np.ndarray:
    """Return what the command writes, in an environment."""
    kept = dict(os.environ)
    os.environ.update(environment)
    try:
        with tempfile.TemporaryDirectory() as name:
            _, facts = run_separate(Path(name), take_LM, rate, *options)
            files = [Path(name) / "stems" / source["file"] for source in facts["sources"]]
            return np.column_stack([soundfile.read(file, dtype="float32")[0] for file in files])
    finally:
        os.environ.clear()
        os.environ.update(kept)


def measure(cell: Cell, quick: bool = False) -> Result:
    """Return which runs wrote the bytes of the first one, and by how many dB differences lie below the stems."""
    case = duet_case() if quick else case_named("quartet, hall", None)
    take_LM = case.mixture_LM / case.peak
    found = {name: stems(take_LM, case.sample_rate, given, SHORT if quick else []) for name, given in RUNS.items()}
    first_LN = found.pop("first")
    result: Result = {}
    for name, stems_LN in found.items():
        apart = np.sum((stems_LN.astype(float) - first_LN) ** 2, axis=0)
        below = 10 * np.log10(np.sum(first_LN.astype(float) ** 2, axis=0) / apart) if apart.all() else None
        same = stems_LN.tobytes() == first_LN.tobytes()
        result[name] = {"same": same, "below_db": None if below is None else round(float(below.min()), 1)}
    return result


WORDS = {"again": "a second run", "one thread": "a run with one thread instead of two"}


def sentence(document: dict[str, Any]) -> str:
    """What is the same and what is not."""
    ((found),) = (each["result"] for each in document["cells"])
    same = [WORDS.get(name, name) for name, each in found.items() if each["same"]]
    apart = [
        f"with {name} it is {each['below_db']:.0f} dB below them" for name, each in found.items() if not each["same"]
    ]
    said = f"`benchmarks/determinism.py`: {' and '.join(same) or 'no other run'} gave the same bytes."
    return f"{said} The difference of stems: {', '.join(apart)}." if apart else said


def main() -> None:
    options = arguments(__doc__, data="not used")
    document = run(
        "determinism",
        [{"take": "quartet, hall", "seed": 0}],
        partial(measure, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
    )
    if not options.quick:
        print(sentence(document))


if __name__ == "__main__":
    main()
