"""Memory of `mnmf separate` on takes of one to forty minutes, and by microphones, beside what was planned.

    python benchmarks/long_memory.py [--quick] [--jobs N]

The take is the embedded quartet over and over, played in the chamber; for more than four microphones it is there
several times, a second apart.  With a single update, as it is the arrays that count.  Twenty-four microphones are
separated by `fastmnmf2` within `--memory 4G`, as the default method needs more.  The peak is that of the process, as
its manifest says.
Writes benchmarks/results/long_memory.json.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from _cases import over_and_over
from _measure import run_separate
from _runner import Cell, Result, arguments, run

from mnmf import METHODS
from mnmf.plan import Size, memory_of, plan_within

TAKES = ((1, 4), (3, 4), (10, 4), (40, 4), (0.5, 2), (0.5, 8), (2, 24))  # minutes, microphones
QUICK_TAKES = ((0.1, 2),)
MANY, MEMORY = 24, "4G"  # microphones, for which it is limited
QUICK_SIZE = ["--window", "0.1", "--components", "4", "--segment", "2"]


def grid(quick: bool) -> list[Cell]:
    takes = QUICK_TAKES if quick else TAKES
    methods = {MANY: "fastmnmf2"}
    return [
        {"method": methods.get(n_mics, "mnmf"), "minutes": minutes, "mics": n_mics, "seed": 0}
        for minutes, n_mics in takes
    ]


def measure(cell: Cell, quick: bool = False) -> Result:
    """Return the peak memory of `mnmf separate`, in megabytes, and what was planned."""
    n_mics = cell["mics"]
    take_LM, rate = over_and_over(cell["minutes"], n_mics)
    with tempfile.TemporaryDirectory() as folder:
        size = QUICK_SIZE if quick else ["--memory", MEMORY] if n_mics == MANY else []
        _, facts = run_separate(Path(folder), take_LM, rate, "--method", cell["method"], "--iterations", "1", *size)
    method, wanted = METHODS[cell["method"]], Size(len(take_LM), rate, n_mics, n_mics)
    planned = plan_within(method, wanted, memory_of(MEMORY))
    return {
        "peak_memory_mb": facts["peak_memory_mb"],
        "planned_mb": round(planned.memory / 1e6, 1),
        "take_mb": take_LM.size * 4 // 10**6,
    }


# --- tables of the pages


def table(document: dict[str, Any]) -> str:
    """Peak memory of the command, by the length of the take and its microphones."""
    lines = ["| method | minutes | mics | peak memory, MB | planned, MB | the take alone, MB |", "|---" * 6 + "|"]
    for each in document["cells"]:
        cell, found = each["cell"], each["result"]
        shown = [f"{found[name]:.0f}" for name in ("peak_memory_mb", "planned_mb", "take_mb")]
        lines.append(
            f"| `{cell.get('method', 'mnmf')}` | {cell['minutes']} | {cell['mics']} | " + " | ".join(shown) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__, data="not used")
    document = run(
        "long_memory",
        grid(options.quick),
        partial(measure, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
    )
    print(table(document))


if __name__ == "__main__":
    main()
