"""How long `mnmf separate` takes for ten minutes of four microphones, by the methods that have segments.

    python benchmarks/long_speed.py [--quick] [--jobs N]

The take is the embedded quartet over and over, played in the chamber, no solos.  The command is as a user gives it,
with `--memory 2G`; its kernels were compiled before.  Nothing else should run meanwhile.
Writes benchmarks/results/long_speed.json.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from _cases import over_and_over
from _measure import run_separate
from _runner import Cell, Result, arguments, run

from mnmf import METHODS

MINUTES, QUICK_MINUTES, MEMORY = 10.0, 0.1, "2G"
QUICK_SIZE = ["--window", "0.1", "--components", "4", "--segment", "2", "--iterations", "1"]


def grid(quick: bool) -> list[Cell]:
    names = [name for name, method in METHODS.items() if method.segments]
    return [{"method": name, "minutes": QUICK_MINUTES if quick else MINUTES, "mics": 4, "seed": 0} for name in names]


def measure(cell: Cell, quick: bool = False) -> Result:
    """Return the seconds of the whole command and of its stages, how many times faster than the take that is, and the
    peak memory.
    """
    take_LM, rate = over_and_over(cell["minutes"], cell["mics"])
    options = ["--method", cell["method"], *(QUICK_SIZE if quick else ["--memory", MEMORY])]
    with tempfile.TemporaryDirectory() as folder:
        # A few seconds in segments, so that every kernel has been compiled.
        run_separate(Path(folder), take_LM[: 8 * rate], rate, *options, *QUICK_SIZE)
        seconds, facts = run_separate(Path(folder), take_LM, rate, *options)
    return {
        "seconds": round(seconds, 1),
        "times_real_time": round(60 * cell["minutes"] / seconds, 2),
        "stages": {stage: round(each, 1) for stage, each in facts["seconds"].items()},
        "peak_memory_mb": facts["peak_memory_mb"],
    }


# --- tables of the pages


def table(document: dict[str, Any]) -> str:
    """How long the command takes, how much of that the room does, and on what."""
    machine = document["environment"]
    lines = [f"On {machine['logical_cores']} cores of one {machine['cpu']}:", ""]
    lines += [
        "| method | minutes | mics | seconds | times real time | room, seconds | peak memory, MB |",
        "|---" * 7 + "|",
    ]
    for each in document["cells"]:
        cell, found = each["cell"], each["result"]
        room = found["stages"].get("learn", 0.0)
        lines.append(
            f"| `{cell['method']}` | {cell['minutes']:.0f} | {cell['mics']} | {found['seconds']:.0f} | "
            f"{found['times_real_time']:.1f} | {room:.0f} | {found['peak_memory_mb']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__, data="not used")
    document = run(
        "long_speed",
        grid(options.quick),
        partial(measure, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
    )
    print(table(document))


if __name__ == "__main__":
    main()
