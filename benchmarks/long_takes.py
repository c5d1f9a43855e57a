"""What the length of a take is worth: the default method on a long take in segments, in one piece, and cut up.

    python benchmarks/long_takes.py [--data DIR] [--quick] [--jobs N]

DIR holds pieces of some minutes; without it the embedded quartet is the only one, too short for more than a segment.
They are played in the 22 × 16 × 5 m hall with omnis half a metre from the players; once a player shifts by 10 cm in the
middle of the take.  Solos last 10 s at most.  A take is separated a segment at a time, as the method does by itself; in
one piece; and in pieces of 15 s as if each were all that there is.

Then `mnmf separate` on 1, 3 and 10 minutes of four microphones, the embedded quartet over and over: seconds, comparable
only with --jobs 1, and peak memory beside what `mnmf plan` foresees.  The same for half a minute of two and of eight
microphones, with a single update: it is the arrays that count.
Writes benchmarks/results/long_takes.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _cases import Case, simulated
from _datasets import pieces, quartet
from _measure import hurried, scorer, stems_of
from _runner import Cell, Result, arguments, run

import mnmf
from mnmf import METHODS, Take, audio, data, simulate
from mnmf.datasets import Piece
from mnmf.plan import Size, plan

SECONDS, SOLO_SECONDS = 180.0, 10.0
SHIFT_M = (0.06, 0.08, 0.0)
SEGMENT, CUT = 60.0, 15.0
QUICK_SEGMENT, QUICK_SECONDS, QUICK_WINDOW = 3.0, 6.0, 0.1
WAYS = ("segments", "one piece", "cut up")
MINUTES, QUICK_MINUTES = ((1, 4), (3, 4), (10, 4), (0.5, 2), (0.5, 8)), ((0.1, 2),)  # and microphones
QUICK_SIZE = ["--window", "0.1", "--components", "4", "--iterations", "2", "--segment", "2"]


def grid(folder: Path | None, quick: bool) -> list[Cell]:
    cells: list[Cell] = []
    for name in [piece.name for piece in found(folder)]:
        for solos in (True, False):
            for way in WAYS:
                cells.append({"piece": name, "seats": "kept", "solos": solos, "way": way, "seed": 0})
            cells.append({"piece": name, "seats": "shifted", "solos": solos, "way": WAYS[0], "seed": 0})
    cells = cells[4:7] if quick else cells
    takes = QUICK_MINUTES if quick else MINUTES
    return cells + [{"minutes": minutes, "mics": n_mics, "seed": 0} for minutes, n_mics in takes]


def found(folder: Path | None) -> list[Piece]:
    return [quartet()] if folder is None else pieces(folder)


@lru_cache(1)  # the cells of a take follow one another
def case_of(name: str, seats: str, folder: Path | None, quick: bool) -> Case:
    piece = next(each for each in found(folder) if each.name == name)
    rate = piece.sample_rate
    stems_LN = piece.stems_LN[: round((QUICK_SECONDS if quick else SECONDS) * rate)]
    solos = list(piece.solos_LN[: round(SOLO_SECONDS * rate)].T)
    scene = simulate.hall_scene(piece.names)
    case = simulated(name, scene, stems_LN, solos, rate, kinds=("solo",))
    if seats == "kept":
        return case
    motions = simulate.shift(scene, scene.names[0], len(stems_LN) / rate / 2, SHIFT_M)
    images_LMN = simulate.render(scene, stems_LN, rate, motions=motions)
    truth_LN = images_LMN[:, scene.spots, range(len(scene.spots))]
    return Case(name, rate, images_LMN.sum(axis=2), truth_LN, scene.spots, scene.names, case.solos)


def measure(cell: Cell, folder: Path | None = None, quick: bool = False) -> Result:
    """Return the gains over the raw spots, of the whole take and of its halves, or what a command takes."""
    if "minutes" in cell:
        return command(cell["minutes"], cell["mics"], quick)
    case = case_of(cell["piece"], cell["seats"], folder, quick)
    take = case.take("solo" if cell["solos"] else None)
    start = time.perf_counter()
    y_LN = separated(take, cell["way"], cell["seed"], quick, case)
    seconds = time.perf_counter() - start
    middle = len(y_LN) // 2
    halves = [scorer(cut(case, part))(y_LN[part])["delta_sdr"] for part in (slice(0, middle), slice(middle, len(y_LN)))]
    gains = {key: np.round(values, 3) for key, values in scorer(case)(y_LN).items()}
    return gains | {"halves": np.round(halves, 3).tolist(), "seconds": round(seconds, 1)}


def separated(take: Take, way: str, seed: int, quick: bool, case: Case) -> np.ndarray:
    recipe, window = hurried(METHODS["mnmf"], quick), QUICK_WINDOW if quick else None
    if way != "cut up":
        segment = np.inf if way == "one piece" else QUICK_SEGMENT if quick else SEGMENT
        return stems_of(case, mnmf.separate(take, method=recipe, seed=seed, segment=segment, window=window))
    length = QUICK_SEGMENT if quick else CUT
    edges = np.linspace(0, take.n_samples, max(1, round(take.duration / length)) + 1).astype(int).tolist()
    parts = [take.part(start, stop) for start, stop in pairwise(edges)]
    return np.concatenate(
        [stems_of(case, mnmf.separate(part, method=recipe, seed=seed, window=window)) for part in parts]
    )


def cut(case: Case, part: slice) -> Case:
    return Case(case.name, case.sample_rate, case.mixture_LM[part], case.truth_LN[part], case.spots, case.names, {})


def command(minutes: float, n_mics: int, quick: bool) -> Result:
    """Return the seconds and the peak memory of `mnmf separate` on a take of so many minutes and microphones."""
    embedded = data.quartet()
    rate = embedded.sample_rate
    played_LM = simulate.render(simulate.chamber_scene(embedded.names), embedded.stems_LN, rate).sum(axis=2)
    played_LM = np.hstack([np.roll(played_LM, shift * rate, axis=0) for shift in range(2)])[:, :n_mics]
    take_LM = np.resize(played_LM / np.abs(played_LM).max(), (round(60 * minutes * rate), n_mics))
    more = QUICK_SIZE if quick else [] if n_mics == 4 else ["--iterations", "1"]
    with tempfile.TemporaryDirectory() as folder:
        audio.write(Path(folder) / "take.flac", take_LM, rate)
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "mnmf", "separate", f"{folder}/take.flac", "--out", f"{folder}/stems", *more],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - start
        facts = json.loads((Path(folder) / "stems" / "manifest.json").read_text("utf-8"))
    planned = plan(METHODS["mnmf"], Size(len(take_LM), rate, n_mics, n_mics))
    return {
        "seconds": round(seconds, 1),
        "peak_memory_mb": facts["peak_memory_mb"],
        "planned_mb": round(planned.memory / 1e6, 1),
        "take_mb": take_LM.size * 4 // 10**6,
    }


# --- tables of the pages


def gains_table(document: dict[str, Any]) -> str:
    """Gain of each way, with solos and without."""
    lines = ["| piece, seats | solos | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 2) + "|"]
    rows: dict[tuple[str, str, bool], dict[str, str]] = {}
    for each in document["cells"]:
        cell = each["cell"]
        if "way" in cell:
            gains = each["result"]["delta_sdr"]
            row = rows.setdefault((cell["piece"], cell["seats"], cell["solos"]), {})
            first, second = (f"{np.mean(half):+.1f}" for half in each["result"]["halves"])
            told = f" (halves {first}, {second})" if cell["way"] == WAYS[0] else ""
            row[cell["way"]] = f"{np.mean(gains):+.1f} / {min(gains):+.1f}{told}"
    for (piece, seats, solos), row in rows.items():
        shown = " | ".join(row.get(way, "") for way in WAYS)
        lines.append(f"| {piece}, {seats} | {'yes' if solos else 'no'} | {shown} |")
    return "\n".join(lines)


def memory_table(document: dict[str, Any]) -> str:
    """Peak memory of the command, by the length of the take and its microphones."""
    lines = ["| minutes | mics | peak memory, MB | planned, MB | the take alone, MB |", "|---|---|---|---|---|"]
    for each in document["cells"]:
        if "minutes" in each["cell"]:
            found = each["result"]
            shown = [found[name] for name in ("peak_memory_mb", "planned_mb", "take_mb")]
            shown = [each["cell"]["minutes"], each["cell"]["mics"], *(f"{value:.0f}" for value in shown)]
            lines.append("| " + " | ".join(map(str, shown)) + " |")
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__, data="folder of pieces of some minutes")
    document = run(
        "long_takes",
        grid(options.data, options.quick),
        partial(measure, folder=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    print(gains_table(document))
    print(memory_table(document))


if __name__ == "__main__":
    main()
