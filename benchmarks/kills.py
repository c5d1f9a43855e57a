"""Whether a run that is killed goes on to the same bytes: `mnmf separate`, killed at random moments and resumed.

    python benchmarks/kills.py [--quick] [--jobs N]

The take is the embedded quartet, played in the chamber, in segments of some seconds, with residuals.  A run that nobody
stops comes first; each of the others is killed (SIGKILL, which no program can catch) after a random part of the time
that it took, and then given again with `--resume`, or without where it had kept nothing yet or was done already.
Writes benchmarks/results/kills.json.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import over_and_over
from _runner import Cell, Result, arguments, run

from mnmf import audio
from mnmf.unfinished import UNFINISHED

KILLS, QUICK_KILLS = 10, 1
MINUTES, QUICK_MINUTES = 0.5, 0.1
OPTIONS = "--residual", "--window", "0.1", "--segment", "4", "--components", "6", "--iterations", "4"


def grid(quick: bool) -> list[Cell]:
    return [{"kill": kill, "seed": kill} for kill in range(QUICK_KILLS if quick else KILLS)]


@lru_cache(1)
def uninterrupted(folder: Path, quick: bool) -> tuple[Path, float, dict[str, str]]:
    """Return the take, the seconds that it takes to separate, and the hashes of what is written."""
    take_LM, rate = over_and_over(QUICK_MINUTES if quick else MINUTES, 4)
    audio.write(folder / "take.wav", 0.5 * take_LM, rate)
    for name in ("compiled", "whole"):
        start = time.perf_counter()
        subprocess.run(command(folder / "take.wav", folder / name), check=True, stdout=subprocess.DEVNULL)
    return folder / "take.wav", time.perf_counter() - start, hashes(folder / "whole")


def command(take: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "mnmf", "separate", str(take), "--out", str(out), *OPTIONS, *more]


def hashes(out: Path) -> dict[str, str]:
    """Return the hash of every sound file, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.wav"))}


def measure(cell: Cell, folder: Path, quick: bool = False) -> Result:
    """Return when the run was killed, what it had kept, and whether the one after it wrote the same bytes."""
    take, seconds, wanted = uninterrupted(folder, quick)
    part = float(np.random.default_rng(cell["seed"]).uniform(0.0, 1.0))
    out = folder / f"killed {cell['kill']}"
    process = subprocess.Popen(command(take, out), stdout=subprocess.DEVNULL)
    try:
        process.wait(part * seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    status = process.wait()
    kept = len(list(out.glob(f"{UNFINISHED}*/*.npy")))
    done = (out / "manifest.json").is_file()
    again = () if done and not kept else ("--resume",) if kept else ("--overwrite",)
    if again:
        subprocess.run(command(take, out, *again), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {
        "killed": status != 0,
        "part": round(part, 2),
        "arrays_kept": kept,
        "same_bytes": hashes(out) == wanted,
        "left_behind": sorted(path.name for path in out.glob(".*")),
    }


# --- tables of the pages


def sentence(document: dict[str, Any]) -> str:
    """How many runs were killed, and how many then ended in the same bytes."""
    found = [each["result"] for each in document["cells"]]
    caught = [each for each in found if each["killed"]]  # others were done before their moment came
    kept = sum(bool(each["arrays_kept"]) for each in caught)
    same = sum(each["same_bytes"] and not each["left_behind"] for each in caught)
    return (
        f"`benchmarks/kills.py` killed {len(caught)} runs at random moments, of which {kept} had kept something to go "
        f"on from; given again, {same} of {len(caught)} ended in the bytes of a run that nobody stopped and left "
        "nothing else behind."
    )


def main() -> None:
    options = arguments(__doc__, data="not used")
    with tempfile.TemporaryDirectory() as folder:
        document = run(
            "kills",
            grid(options.quick),
            partial(measure, folder=Path(folder), quick=options.quick),
            jobs=1,
            quick=options.quick,
        )
    print(sentence(document))


if __name__ == "__main__":
    main()
