"""The default method beside its predecessor and two baselines: players who sit still, sway or move, and faults.

    python benchmarks/default_method.py [--data DIR] [--unseen DIR] [--quick] [--jobs N]

The embedded quartet in its three rooms and the cases of DIR, as in methods.py, are the takes on which the method was
developed.  The quartet again, in the same rooms, with players who sway by 3 cm in solo and take, and with two who shift
their chairs by 22 cm in the middle of the take; microphones have noise at -60 dB.  Faults: the quartet in a chamber, in
whose solos or take one thing is wrong, as in robustness.py.  The pieces of `--unseen DIR`, on which nothing
was chosen, in a room and layout of another benchmark and in the hall with other spots.

`linear` runs at three windows.  Three seeds where players sit still, else one.
Writes benchmarks/results/default_method.json.
"""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import robustness
from _cases import QUARTET_SCENES, Case, case_named, duet_case, named_cases, responses, simulated
from _datasets import pieces
from _measure import hurried, scorer, separate
from _runner import Cell, Result, grouped, parser, run

from mnmf import METHODS, data, simulate

SEEDS = range(3)
SWAY_M, SHIFT_M, NOISE_DB = 0.03, (0.2, 0.1, 0.0), -60.0
CONTENDERS: dict[str, tuple[str, str | None, float | None]] = {
    "mnmf, solos": ("mnmf", "solo", None),
    "mnmf, claps": ("mnmf", "clap", None),
    "mnmf": ("mnmf", None, None),
    "fastmnmf2, solos": ("fastmnmf2", "solo", None),
    "fastmnmf2": ("fastmnmf2", None, None),
    "linear, 0.74 s": ("linear", "solo", 32768 / 44100),
    "linear, 1.49 s": ("linear", "solo", 65536 / 44100),
    "linear, 2.97 s": ("linear", "solo", 131072 / 44100),
    "pairwise": ("pairwise", "solo", None),
}
ONE_SEED = (
    "linear, 0.74 s",
    "linear, 1.49 s",
    "linear, 2.97 s",
    "pairwise",
    "fastmnmf2, solos",
    "fastmnmf2",
    "mnmf, claps",
)
MOVING = ("mnmf, solos", "mnmf", "linear, 1.49 s")
FAULTS: dict[str, tuple[str, Any]] = {
    "none": (robustness.FLAWLESS, 0),
    "markers 1 s off": ("markers", 1),
    "markers 2 s off": ("markers", 2),
    "two solos exchanged": ("markers", "swap"),
    "a mic 20 ms late": ("delay", 20),
    "gain of a mic changed by 12 dB": ("gain", 12),
    "polarity of a mic flipped": ("polarity", "take"),
    "solos of 1 s": ("length", 1),
    "moved by 2 cm": ("moved", 2),
    "moved by 5 cm": ("moved", 5),
    "moved by 20 cm": ("moved", 20),
    "noise at -40 dB": ("noise", -40),
}
IN_THE_TAKE = ("none", "a mic 20 ms late", "noise at -40 dB")  # where the method without solos may suffer, too
UNSEEN_SCENES = {
    "R4/L2": lambda names: simulate.orchestral_scene("R4", "L2", names),
    "hall with cardioids": lambda names: simulate.hall_scene(names, 0.35, "cardioid"),
}
SEPARATOR = " : "
UNSEEN_SECONDS, UNSEEN_SOLO_SECONDS = 15.0, 10.0


def grid(folder: Path | None, unseen: Path | None, quick: bool) -> list[Cell]:
    cells: list[Cell] = []

    def add(part: str, take: str, names: tuple[str, ...], seeds: Any = SEEDS) -> None:
        for seed in [0] if quick else seeds:
            cells.extend(
                {"part": part, "take": take, "seed": seed, "method": name}
                for name in names
                if seed == 0 or part != "still" or name not in ONE_SEED
            )

    for take in named_cases(folder, quick):
        add("still", take, tuple(name for name in CONTENDERS if not (quick and name.startswith("linear"))))
    if quick:
        return cells
    for room in QUARTET_SCENES:
        add("swaying", room, MOVING, [0])
    add("moved", "quartet, hall", MOVING, [0])
    for fault in FAULTS:
        without = ("mnmf",) if fault in IN_THE_TAKE else ()
        add("faults", fault, ("mnmf, solos", *without, "linear, 0.74 s"), [0])
    for name in [piece.name for piece in pieces(unseen)] if unseen else ():
        for room in UNSEEN_SCENES:
            for condition in ("still", "swaying"):
                names = ("mnmf, solos", "mnmf", "linear, 1.49 s")
                add("unseen", SEPARATOR.join((name, room, condition)), names, [0])
    return cells


def moving(
    name: str, scene: simulate.Scene, stems_LN: np.ndarray, solos: list[np.ndarray], rate: int, seed: int
) -> Case:
    """Render players who sway, in take and solos, each time another way, and microphones that have noise."""
    seconds = [len(stems_LN) / rate, 2 * sum(map(len, solos)) / rate]
    swaying = [simulate.sway(scene, each, SWAY_M, (seed, i)) for i, each in enumerate(seconds)]
    return rendered(name, scene, stems_LN, solos, rate, seed, *swaying)


def rendered(
    name: str, scene: simulate.Scene, stems_LN: np.ndarray, solos: list, rate: int, seed: int, motions: Any, before: Any
) -> Case:
    h_LMN = responses(scene, rate)
    images_LMN = simulate.render(scene, stems_LN, rate, h_LMN=h_LMN, motions=motions)
    solo_LM, passages = simulate.solo_take(scene, solos, rate, h_LMN=h_LMN, motions=before)
    rng = np.random.default_rng(seed)
    mixture_LM, solo_LM = (simulate.add_noise(x, NOISE_DB, rng) for x in (images_LMN.sum(axis=2), solo_LM))
    truth_LN = images_LMN[:, scene.spots, range(len(scene.spots))]
    spans = [(p.start, p.stop) for p in passages]
    return Case(name, rate, mixture_LM, truth_LN, scene.spots, scene.names, {"solo": (solo_LM, spans)})


@lru_cache(1)  # the cells of a take follow one another
def case_of(part: str, take: str, seed: int, folder: Path | None, unseen: Path | None, quick: bool) -> Case:
    if quick:
        return duet_case()
    if part == "still":
        return case_named(take, folder)
    if part == "faults":
        axis, value = FAULTS[take]
        size = robustness.SIZE
        solo_seconds = value if axis == "length" else robustness.LONGEST_EMBEDDED
        before = (axis, value) if axis in robustness.BEFORE_RECORDING else (robustness.FLAWLESS, 0)
        found = robustness.taken(None, *before, seed, size["seconds"], size["players"], solo_seconds)
        return robustness.changed(found, axis, value, seed)
    if part == "unseen":
        name, room, condition = take.split(SEPARATOR)
        piece = next(piece for piece in pieces(unseen) if piece.name == name)
        rate = piece.sample_rate
        stems_LN = piece.stems_LN[: round(UNSEEN_SECONDS * rate)]
        solos = list(piece.solos_LN[: round(UNSEEN_SOLO_SECONDS * rate)].T)
        scene = UNSEEN_SCENES[room](len(piece.names))
        if condition == "swaying":
            return moving(name, scene, stems_LN, solos, rate, seed)
        return simulated(name, scene, stems_LN, solos, rate, kinds=("solo",))
    quartet = data.quartet()
    scene = QUARTET_SCENES[take](quartet.names)
    given = quartet.stems_LN, list(quartet.solos_LN.T), quartet.sample_rate
    if part == "swaying":
        return moving(take, scene, *given, seed)
    middle = len(quartet.stems_LN) / quartet.sample_rate / 2
    motions = simulate.shift(scene, scene.names[0], middle, SHIFT_M)
    motions = simulate.shift(scene, scene.names[2], middle / 1.5, SHIFT_M, motions=motions)
    return rendered(take, scene, *given, seed, motions, None)


def measure(cell: Cell, folder: Path | None = None, unseen: Path | None = None, quick: bool = False) -> Result:
    """Return the gains of one method over the raw spots, one a source."""
    drawn = cell["seed"] if cell["part"] in ("swaying", "faults") else 0
    case = case_of(cell["part"], cell["take"], drawn, folder, unseen, quick)
    name, kind, window = CONTENDERS[cell["method"]]
    recipe = METHODS[name] if window is None else replace(METHODS[name], window=window)
    gains = scorer(case)(separate(case, hurried(recipe, quick), kind, cell["seed"]))
    return {key: np.round(values, 3) for key, values in gains.items()}


def summarise(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean gain in SDR and in SNR, and that of the worst source, of each method on each take."""
    rows = []
    for (part, take, method), found in grouped(cells, "part", "take", "method").items():
        gains_SN = np.array([each["delta_sdr"] for each in found])
        snr_SN = np.array([each["delta_snr"] for each in found])
        rows.append(
            {
                "part": part,
                "take": take,
                "method": method,
                "delta_sdr": round(float(gains_SN.mean()), 3),
                "worst": round(float(gains_SN.mean(axis=0).min()), 3),
                "delta_snr": round(float(snr_SN.mean()), 3),
                "seeds": len(found),
            }
        )
    return rows


# --- tables of the pages


def takes_table(document: dict[str, Any]) -> str:
    """Gain, and that of the worst source, of every method on the takes of development."""
    return _table(document, "still", "method", "take")


def motion_table(document: dict[str, Any]) -> str:
    """Gain with players who sway, and with two who shift their chairs, beside still ones."""
    names = {"still": "still", "swaying": "swaying", "moved": "two chairs shifted"}
    rows = [row for row in document["summary"] if row["part"] in names and row["method"] in MOVING]
    lines = ["| quartet | players | " + " | ".join(MOVING) + " |", "|---" * (len(MOVING) + 2) + "|"]
    for room in QUARTET_SCENES:
        for part, name in names.items():
            found = {row["method"]: row for row in rows if row["part"] == part and row["take"] == room}
            if found:
                place = room.removeprefix("quartet, ")
                lines.append(f"| {place} | {name} | " + " | ".join(_cell(found.get(each)) for each in MOVING) + " |")
    return "\n".join(lines)


def faults_table(document: dict[str, Any]) -> str:
    """Gain where one thing is wrong; without solos that of the take without a fault, where solos alone have one."""
    methods = ("mnmf, solos", "mnmf", "linear, 0.74 s")
    found = {(row["take"], row["method"]): row for row in document["summary"] if row["part"] == "faults"}
    lines = ["| fault | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for fault in FAULTS:
        rows = [found.get((fault, method)) for method in methods]
        rows[1] = rows[1] or found.get(("none", "mnmf"))
        lines.append(f"| {fault} | " + " | ".join(map(_cell, rows)) + " |")
    return "\n".join(lines)


def unseen_table(document: dict[str, Any]) -> str:
    """Gain on the takes on which nothing was chosen."""
    return _table(document, "unseen", "take", "method")


def _table(document: dict[str, Any], part: str, row_name: str, column_name: str) -> str:
    found = {(row[row_name], row[column_name]): row for row in document["summary"] if row["part"] == part}
    rows, columns = (list(dict.fromkeys(key[axis] for key in found)) for axis in (0, 1))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(_cell(found.get((row, column))) for column in columns) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None) -> str:
    return "" if row is None else f"{row['delta_sdr']:+.1f} ({row['worst']:+.1f})"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--unseen", type=Path, metavar="DIR", help="folder of pieces on which nothing was chosen")
    options = made.parse_args()
    document = run(
        "default_method",
        grid(options.data, options.unseen, options.quick),
        partial(measure, folder=options.data, unseen=options.unseen, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[folder for folder in (options.data, options.unseen) if folder],
        summarise=summarise,
    )
    for row in document["summary"]:
        place = f"{row['part']:8} {row['take']:44} {row['method']:18}"
        print(f"{place} {row['delta_sdr']:+6.2f} (worst {row['worst']:+.2f})")


if __name__ == "__main__":
    main()
