"""At a glance: what the command gains, how long it takes, and how much memory.

    python benchmarks/glance.py [--quick] [--jobs N]

The embedded quartet in a hall, whose players sway as in `default_method.py` or sit still, and the same over and over
for takes of some length, by the whole command `mnmf separate`, files read and written, its kernels compiled before.
Nothing else should run meanwhile.
Writes benchmarks/results/glance.json.
"""

import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import default_method
import numpy as np
import soundfile
from _cases import Case, duet_case, over_and_over
from _measure import run_separate, scorer
from _runner import Cell, Result, arguments, run

from mnmf import audio, markers

SHORT = ["--window", "0.1", "--components", "4", "--iterations", "2"]
GAINS = (
    ("swaying", "mnmf", "solo"),
    ("still", "mnmf", "solo"),
    ("still", "mnmf", None),
    ("still", "fastmnmf2", None),
)
ROOM = "quartet, hall"
MOTIONS = {"swaying": "sway a little", "still": "sit still"}
WORK = [(how, seconds, mics) for how in ("mnmf", "fastmnmf2") for seconds, mics in ((15, 4), (60, 4), (60, 8))]


def grid(quick: bool) -> list[Cell]:
    gains: list[Cell] = [
        {"players": players, "method": how, "given": given, "seed": 0} for players, how, given in GAINS
    ]
    work: list[Cell] = [{"method": how, "seconds": s, "mics": mics, "seed": 0} for how, s, mics in WORK]
    return [gains[1], work[0] | {"seconds": 2}] if quick else gains + work


@lru_cache(1)  # the cells of a take follow one another
def case_of(players: str, quick: bool) -> Case:
    return duet_case() if quick else default_method.case_of(players, ROOM, 0, None, None, False)


def measure(cell: Cell, quick: bool = False) -> Result:
    """Return the seconds and the peak memory of the whole command, and the gains where the truth is known."""
    options = ["--method", cell["method"], *(SHORT if quick else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "players" not in cell:
            take_LM, rate = over_and_over(cell["seconds"] / 60, cell["mics"])
            return timed(folder, take_LM, rate, options)[0]
        case = case_of(cell["players"], quick)
        options += ["--sources", ",".join(case.names)]
        if cell["given"]:
            solo_LM, spans = case.solos[cell["given"]]
            audio.write(folder / "solos.wav", solo_LM / case.peak, case.sample_rate)
            passages = [markers.Passage(source, *span) for source, span in zip(case.names, spans)]
            markers.write_audacity(folder / "solos.txt", passages)
            options += ["--solos", str(folder / "solos.txt"), "--solo-take", str(folder / "solos.wav")]
        found, stems = timed(folder, case.mixture_LM / case.peak, case.sample_rate, options)
        y_LN = np.column_stack([soundfile.read(stems / f"{source}.wav")[0] for source in case.names])
        gains = scorer(case)(y_LN.astype(float) * case.peak)
        return found | {key: np.round(values, 3) for key, values in gains.items()}


def timed(folder: Path, take_LM: np.ndarray, rate: int, options: list[str]) -> tuple[Result, Path]:
    """Return seconds and memory of a run, the second one where kernels had to be compiled, and where its stems are."""
    run_separate(folder, take_LM[: 4 * rate], rate, *options, *SHORT)
    seconds, facts = run_separate(folder, take_LM, rate, *options)
    return {"seconds": round(seconds, 1), "peak_memory_mb": facts["peak_memory_mb"]}, folder / "stems"


# --- tables of the pages


def table(document: dict[str, Any]) -> str:
    """What is gained, in how many seconds and how much memory: take, what is given, method."""
    heads = "14 s of a string quartet in a hall, four mics", "method", "gain, dB", "seconds", "memory, MB"
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for each in document["cells"]:
        cell, found = each["cell"], each["result"]
        if "players" in cell:
            who = f"players {MOTIONS[cell['players']]}, {'with' if cell['given'] else 'no'} solos"
            row = who, f"`{cell['method']}`", f"{np.mean(found['delta_sdr']):+.1f}"
            lines.append(f"| {' | '.join(row)} | {found['seconds']:.0f} | {found['peak_memory_mb']:.0f} |")
    machine = document["environment"]
    return "\n".join([*lines, "", f"On {machine['logical_cores']} cores of one {machine['cpu']}."])


def work_table(document: dict[str, Any]) -> str:
    """How long the command takes, and how much memory, without solos."""
    machine = document["environment"]
    lines = [f"On {machine['logical_cores']} cores of one {machine['cpu']}, no solos:", ""]
    lines += ["| take | method | seconds | peak memory, MB |", "|---|---|---|---|"]
    for each in document["cells"]:
        cell, found = each["cell"], each["result"]
        if "players" not in cell:
            lines.append(
                f"| {cell['seconds']} s of {cell['mics']} mics | `{cell['method']}` | {found['seconds']:.0f} | "
                f"{found['peak_memory_mb']:.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__, data="not used")
    document = run(
        "glance",
        grid(options.quick),
        partial(measure, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
    )
    if not options.quick:
        print(table(document))
        print(work_table(document))


if __name__ == "__main__":
    main()
