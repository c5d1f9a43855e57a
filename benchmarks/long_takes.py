"""What the length of a take is worth: the default method on a long take in segments, in one piece, and cut up.

    python benchmarks/long_takes.py [--data DIR] [--quick] [--jobs N]

DIR holds pieces of some minutes; without it the embedded quartet is the only one, too short for more than a segment.
They are played in the 22 × 16 × 5 m hall with omnis half a metre from the players; once a player shifts by 10 cm in the
middle of the take.  Solos last 10 s at most.  A take is separated a segment at a time, as the method does by itself; in
one piece; and in pieces of 15 s as if each were all that there is.
Writes benchmarks/results/long_takes.json.
"""

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
from mnmf import METHODS, Take, simulate
from mnmf.datasets import Piece

SECONDS, SOLO_SECONDS = 180.0, 10.0
SHIFT_M = (0.06, 0.08, 0.0)
SEGMENT, CUT = 60.0, 15.0
QUICK_SEGMENT, QUICK_SECONDS, QUICK_WINDOW = 3.0, 6.0, 0.1
WAYS = ("segments", "one piece", "cut up")


def grid(folder: Path | None, quick: bool) -> list[Cell]:
    cells: list[Cell] = []
    for name in [piece.name for piece in found(folder)]:
        for solos in (True, False):
            for way in WAYS:
                cells.append({"piece": name, "seats": "kept", "solos": solos, "way": way, "seed": 0})
            cells.append({"piece": name, "seats": "shifted", "solos": solos, "way": WAYS[0], "seed": 0})
    return cells[4:7] if quick else cells


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
    """Return the gains over the raw spots, of the whole take and of its halves."""
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


if __name__ == "__main__":
    main()
