"""Does `mnmf inspect` find what is wrong with a take, and nothing where nothing is; and what does aligning save?

    python benchmarks/inspect_faults.py [--data DIR] [--quick] [--jobs N]

The embedded quartet is played over and over for a minute in a chamber, and close-miked in a large room (room R6,
layout L5), each time with the players shifted against each other.  Every fault of `FAULTS` is planted in one
microphone, which a seed draws, or adds one: a copy, or a mix of all.  It counts as found if the finding names the
microphone and the kind, and the delay to half a millisecond or the drift to half a ppm.  Any further finding that is
more than a note is a false alarm, and so is any on takes without a fault: both rooms, players still and swaying by
3 cm; with `--data DIR` also the takes and pieces there, the latter in both rooms.

Aligning: half a minute with one microphone 50 ms late, or on a clock that is 20 ppm off, separated by quick methods
with solos that were recorded without the fault: as it is, and aligned by what was found, stems brought back under their
originals.  The cost is the gain of the take without the fault less that.

A clock is made to run off by `scipy.signal.resample`, and late is what was heard before.  Writes
benchmarks/results/inspect_faults.json.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import QUARTET_SCENES, Case, folder_cases, responses, simulated
from _datasets import pieces, take_folders
from _measure import scorer
from _runner import Cell, Result, arguments, run
from scipy.signal import resample

from mnmf import METHODS, data, faults, separate, simulate
from mnmf.datasets import Piece
from mnmf.separation import as_recorded

ROOMS = ("quartet, chamber", "quartet, R6/L5")
SEEDS = range(4)
SECONDS, ALIGNED_SECONDS, MARGIN_S = 60.0, 30.0, 1.0
QUICK_SECONDS = 25.0
HUM_DB, NOISE_DB = -30.0, -75.0  # of what a dead microphone picks up, dB of full scale
CLIPPED = 0.995  # quantile of a microphone at which it is cut off
COPY_DB = -12.0
LATE_S, DRIFT_PPM = 5e-4, 0.5  # by which a finding may be off
FAULTS: dict[str, tuple[str, float]] = {  # kind of the finding, and milliseconds or ppm
    "dead": ("silent", 0),
    "hum only": ("hum only", 0),
    "clipped": ("clipped", 0),
    "copy at -12 dB": ("copy", 0),
    "mix of all": ("mix", 0),
    "flipped": ("polarity", 0),
    "3 ms late": ("late", 3),
    "50 ms late": ("late", 50),
    "500 ms late": ("late", 500),
    "5 ppm off": ("drift", 5),
    "20 ppm off": ("drift", 20),
    "muted for a quarter": ("muted", 0),
}
QUICK_FAULTS = ("hum only", "copy at -12 dB", "3 ms late", "20 ppm off")
STILL, SWAYING = "still", "swaying"
ALIGNED = {"50 ms late": "50 ms late", "20 ppm off": "20 ppm off"}
AS_IS, CORRECTED, FLAWLESS = "as it is", "aligned", "no fault"
METHODS_ALIGNED = ("linear", "fastmnmf2")


def grid(quick: bool, folder: Path | None) -> list[Cell]:
    """Return the cells, those of one take after another."""
    seconds = QUICK_SECONDS if quick else SECONDS
    cells: list[Cell] = []
    for room in ROOMS[:1] if quick else ROOMS:
        for fault in QUICK_FAULTS if quick else FAULTS:
            seeds = SEEDS[:1] if quick else SEEDS
            cells += [{"what": "fault", "room": room, "fault": fault, "seed": n, "seconds": seconds} for n in seeds]
        for players in (STILL,) if quick else (STILL, SWAYING):
            cells.append({"what": "clean", "take": f"{room}: {players}", "seconds": seconds})
    for take in clean_takes(folder) if folder else ():
        cells.append({"what": "clean", "take": take, "seconds": seconds})
    for room in ROOMS[:1] if quick else ROOMS:
        for method in METHODS_ALIGNED[:1] if quick else METHODS_ALIGNED:
            how = [(FLAWLESS, AS_IS), *((fault, how) for fault in ALIGNED for how in (AS_IS, CORRECTED))]
            for fault, taken in how[:3] if quick else how:
                length = 14.0 if quick else ALIGNED_SECONDS
                about = {"room": room, "fault": fault, "how": taken, "method": method, "seconds": length}
                cells.append({"what": "align", **about})
    return cells


# --- takes


def over_and_over(stems_LN: np.ndarray, n_samples: int) -> np.ndarray:
    """Return stems played again and again, each time shifted against each other."""
    rng, parts = np.random.default_rng(0), [stems_LN]
    while sum(map(len, parts)) < n_samples:
        shifts = rng.integers(0, len(stems_LN), stems_LN.shape[1])
        parts.append(np.stack([np.roll(x_L, k) for x_L, k in zip(stems_LN.T, shifts)], axis=1))
    return np.concatenate(parts)[:n_samples]


@lru_cache(2)
def images(room: str, players: str, seconds: float) -> tuple[np.ndarray, int]:
    """Return each player at each microphone, (L, M, N), with `MARGIN_S` before and after; the loudest sample is 0.9."""
    quartet = data.quartet()
    rate = quartet.sample_rate
    stems_LN = over_and_over(quartet.stems_LN, round((seconds + 2 * MARGIN_S) * rate))
    scene = QUARTET_SCENES[room](quartet.names)
    motions = simulate.sway(scene, seconds, rng=1) if players == SWAYING else None
    found_LMN = simulate.render(scene, stems_LN, rate, h_LMN=responses(scene, rate), motions=motions)
    return found_LMN * (0.9 / np.abs(found_LMN.sum(axis=2)).max()), rate


def clean_takes(folder: Path) -> list[str]:
    """Return the names of takes of a folder, and of pieces in each room."""
    names = [case.name for case in folder_cases(folder)] if take_folders(folder) else []
    return names + [f"{piece.name} in {room}" for piece in found_pieces(folder) for room in ROOMS]


@lru_cache(1)
def found_pieces(folder: Path) -> list[Piece]:
    return pieces(folder, players=2)


def clean(name: str, seconds: float, folder: Path | None) -> tuple[np.ndarray, int]:
    """Return a take without a fault."""
    room, _, players = name.partition(": ")
    if room in ROOMS:
        images_LMN, rate = images(room, players, seconds)
        return images_LMN.sum(axis=2), rate
    assert folder is not None
    piece, _, room = name.rpartition(" in ")
    if room not in ROOMS:
        case = next(case for case in folder_cases(folder) if case.name == name)
        return case.mixture_LM, case.sample_rate
    played = next(each for each in found_pieces(folder) if each.name == piece)
    scene = QUARTET_SCENES[room](played.names)
    x_LM = simulate.render(scene, played.stems_LN, played.sample_rate).sum(axis=2)
    return x_LM / np.abs(x_LM).max(), played.sample_rate


# --- faults


def late(x_L: np.ndarray, first: int, last: int, samples: int) -> np.ndarray:
    """Return samples of a microphone, late by what was heard before."""
    return x_L[first - samples : last - samples]


def drifting(x_L: np.ndarray, first: int, last: int, ppm: float) -> tuple[np.ndarray, float]:
    """Return samples of a microphone whose clock runs fast by about so many ppm, and by how many exactly."""
    more = round(len(x_L) * ppm * 1e-6)
    return resample(x_L, len(x_L) + more)[first:last], more / len(x_L) * 1e6


def planted(fault: str, images_LMN: np.ndarray, rate: int, seed: int) -> tuple[np.ndarray, int, float]:
    """Return a take with a fault, the microphone that has it, and its delay in seconds or drift in ppm."""
    rng = np.random.default_rng((seed, list(FAULTS).index(fault)))
    whole_LM = images_LMN.sum(axis=2)
    first, last = round(MARGIN_S * rate), len(whole_LM) - round(MARGIN_S * rate)
    x_LM = whole_LM[first:last].copy()
    L, M = x_LM.shape
    m = int(rng.integers(M))
    kind, size = FAULTS[fault]
    if kind == "silent":
        x_LM[:, m] = 0.0
    elif kind == "hum only":
        x_LM[:, m] = hum(L, rate, rng)
    elif kind == "clipped":
        level = np.quantile(np.abs(x_LM[:, m]), CLIPPED)
        x_LM[:, m] = np.clip(x_LM[:, m], -level, level) * rng.uniform(0.5, 1.0)
    elif kind == "copy":
        return np.column_stack([x_LM, in_24_bits(x_LM[:, m] * 10 ** (COPY_DB / 20))]), M, 0.0
    elif kind == "mix":
        return np.column_stack([x_LM, in_24_bits(x_LM @ rng.uniform(0.1, 0.4, M))]), M, 0.0
    elif kind == "polarity":
        x_LM[:, m] *= -1
    elif kind == "late":
        samples = round(size / 1000 * rate)
        x_LM[:, m] = late(whole_LM[:, m], first, last, samples)
        return x_LM, m, samples / rate
    elif kind == "drift":
        x_LM[:, m], ppm = drifting(whole_LM[:, m], first, last, size * rng.choice([-1, 1]))
        return x_LM, m, ppm
    elif kind == "muted":
        start = int(rng.integers(L // 10, L // 2))
        x_LM[start : start + L // 4, m] = 0.0
    return x_LM, m, 0.0


def hum(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return what a dead microphone picks up: the mains with harmonics, and noise."""
    mains = rng.choice([50.0, 60.0]) * (1 + 4e-4 * rng.uniform(-1, 1))
    seconds_L = np.arange(n_samples) / rate
    lines = sum(np.sin(2 * np.pi * k * mains * seconds_L + rng.uniform(0, 6)) / k for k in (1, 2, 3, 4, 5, 7, 9))
    return 10 ** (HUM_DB / 20) * lines + 10 ** (NOISE_DB / 20) * rng.standard_normal(n_samples)


def in_24_bits(x_L: np.ndarray) -> np.ndarray:
    return np.round(x_L * 2**23) / 2**23


# --- figures


def measure(cell: Cell, folder: Path | None = None) -> Result:
    """Return what was found in a take, or what separating it gains."""
    if cell["what"] == "align":
        return aligned(cell)
    if cell["what"] == "clean":
        x_LM, rate = clean(cell["take"], cell["seconds"], folder)
        return {"false_alarms": [each.text for each in faults.inspect(x_LM, rate).findings if each.grade != "note"]}
    images_LMN, rate = images(cell["room"], STILL, cell["seconds"])
    x_LM, m, size = planted(cell["fault"], images_LMN, rate, cell["seed"])
    findings = [each for each in faults.inspect(x_LM, rate).findings if each.grade != "note"]
    kind = FAULTS[cell["fault"]][0]
    right = [each for each in findings if (each.kind, each.mic) == (kind, m)]
    off = None
    if right and kind in ("late", "drift"):
        off = right[0].values["ppm" if kind == "drift" else "start_s"] - size
    close = off is None or abs(off) <= (DRIFT_PPM if kind == "drift" else LATE_S)
    rest = [each.text for each in findings if each not in right]
    return {"found": bool(right) and close, "off": off, "false_alarms": rest}


def aligned(cell: Cell) -> Result:
    """Return the gains over the raw spots of a quick method, one a player."""
    case = faulty(cell["room"], cell["fault"], cell["seconds"])
    take = case.take("solo")
    options: dict[str, Any] = {"method": METHODS[cell["method"]]}
    if cell["how"] == CORRECTED:
        alignment = faults.inspect(take.x_LM, take.sample_rate).alignment()
        corrected = replace(take, x_LM=alignment.applied(take.x_LM)[:])
        done = as_recorded(separate(corrected, **options), take, alignment)
    else:
        done = separate(take, **options)
    gains = scorer(case)(np.asarray(done.stems_LN[:], float) * case.peak)
    return {key: np.round(values, 3) for key, values in gains.items()}


@lru_cache(2)
def faulty(room: str, fault: str, seconds: float) -> Case:
    """Return the quartet with a fault in the second microphone, and what is true of it then."""
    quartet = data.quartet()
    rate = quartet.sample_rate
    first, last = round(MARGIN_S * rate), round((MARGIN_S + seconds) * rate)
    stems_LN = over_and_over(quartet.stems_LN, last + first)
    scene = QUARTET_SCENES[room](quartet.names)
    case = simulated(room, scene, stems_LN, list(quartet.solos_LN.T), rate, kinds=("solo",))
    mixture_LM, truth_LN = case.mixture_LM[first:last].copy(), case.truth_LN[first:last].copy()
    for x_LM, whole_LM in ((mixture_LM, case.mixture_LM), (truth_LN, case.truth_LN)):
        if fault == "50 ms late":
            x_LM[:, 1] = late(whole_LM[:, 1], first, last, round(0.05 * rate))
        elif fault == "20 ppm off":
            x_LM[:, 1] = drifting(whole_LM[:, 1], first, last, 20.0)[0]
    return replace(case, mixture_LM=mixture_LM, truth_LN=truth_LN)


def summarise(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many of each fault were found, how many false alarms there were, and what faults cost."""
    found: dict[str, dict[str, Any]] = {}
    alarms: dict[str, list[str]] = {"with a fault": [], "without": []}
    takes = {"with a fault": 0, "without": 0}
    gains: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for each in cells:
        cell, result = each["cell"], each["result"]
        if cell["what"] == "align":
            of = gains.setdefault((cell["method"], cell["room"]), {})
            of[cell["fault"], cell["how"]] = float(np.mean(result["delta_sdr"]))
            continue
        which = "without" if cell["what"] == "clean" else "with a fault"
        takes[which] += 1
        alarms[which] += result["false_alarms"]
        if cell["what"] == "fault":
            row = found.setdefault(cell["fault"], {"found": 0, "of": 0, "off": 0.0})
            row["found"] += result["found"]
            row["of"] += 1
            row["off"] = max(row["off"], abs(result["off"] or 0.0))
    costs = [
        {"method": method, "room": room, "fault": fault, "how": how, "cost": round(of[FLAWLESS, AS_IS] - gain, 3)}
        for (method, room), of in gains.items()
        for (fault, how), gain in of.items()
        if fault != FLAWLESS
    ]
    return {"found": found, "takes": takes, "false_alarms": alarms, "costs": costs}


def table(document: dict[str, Any]) -> str:
    """How many of each fault were found, and how far off they were named."""
    lines = ["| planted | found | off by at most |", "|---|---|---|"]
    for fault, row in document["summary"]["found"].items():
        kind = FAULTS[fault][0]
        off = {"late": f"{1000 * row['off']:.2f} ms", "drift": f"{row['off']:.2f} ppm"}.get(kind, "")
        lines.append(f"| {fault} | {row['found']} of {row['of']} | {off} |")
    return "\n".join(lines)


def alarms(document: dict[str, Any]) -> str:
    """Say how many false alarms there were."""
    summary = document["summary"]
    counts = {which: len(said) for which, said in summary["false_alarms"].items()}
    return (
        f"False alarms: {counts['without']} on {summary['takes']['without']} takes without a fault, and "
        f"{counts['with a fault']} beside the planted fault on {summary['takes']['with a fault']} takes with one."
    )


def costs_table(document: dict[str, Any]) -> str:
    """What a fault costs as it is, and when it is aligned."""
    costs = document["summary"]["costs"]
    lines = ["| method | room | fault | as it is, dB | aligned, dB |", "|---|---|---|---|---|"]
    known = {tuple(row[key] for key in ("method", "room", "fault", "how")): row["cost"] for row in costs}
    for method, room, fault in dict.fromkeys(key[:3] for key in known):
        shown = " | ".join(f"{known[method, room, fault, how]:.2f}" for how in (AS_IS, CORRECTED))
        lines.append(f"| `{method}` | {room} | {fault} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__, data="folder of takes and pieces without a fault")
    document = run(
        "inspect_faults",
        grid(options.quick, options.data),
        partial(measure, folder=options.data),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    for part in (table, alarms, costs_table):
        print(f"\n{part(document)}")
    for which, said in document["summary"]["false_alarms"].items():
        for text in said:
            print(f"{which}: {text}")


if __name__ == "__main__":
    main()
