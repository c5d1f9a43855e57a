"""Fewer microphones than players: what solos gain where two players share a microphone, or all share one or two.

    python benchmarks/few_mics.py [--quick] [--jobs N]

The embedded quartet in a chamber and in a hall, given solos.  Microphones are taken away one after the other; whoever
has none any more is separated as the microphone of a neighbour hears it.  Writes benchmarks/results/few_mics.json.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from _cases import QUARTET_SCENES, Case, responses, simulated
from _measure import hurried, scorer, separate
from _runner import Cell, Result, arguments, run

from mnmf import METHODS, data, simulate

ROOMS = ("quartet, chamber", "quartet, hall")
CONTENDERS = ("mnmf", "fastmnmf2", "mnmf-is", "mnmf-fixh", "ntf-panning")
# Which microphones are left, and the one among them that hears each player best.
SHARED = {4: ((0, 1, 2, 3), (0, 1, 2, 3)), 3: ((0, 2, 3), (0, 0, 1, 2)), 2: ((0, 3), (0, 0, 1, 1)), 1: ((0,), (0,) * 4)}
QUICK_SECONDS = 3.0


def grid(quick: bool) -> list[Cell]:
    rooms, counts = (ROOMS[:1], (2,)) if quick else (ROOMS, tuple(SHARED))
    methods = CONTENDERS[:1] if quick else CONTENDERS
    return [{"room": r, "mics": m, "method": how, "seed": 0} for r in rooms for m in counts for how in methods]


@lru_cache(1)  # the cells of a take follow one another
def case_of(room: str, mics: int, quick: bool) -> Case:
    quartet = data.quartet()
    length = round(QUICK_SECONDS * quartet.sample_rate) if quick else None
    scene, dry_LN = QUARTET_SCENES[room](quartet.names), quartet.stems_LN[:length]
    solos = [x_L[:length] for x_L in quartet.solos_LN.T]
    whole = simulated(room, scene, dry_LN, solos, quartet.sample_rate, kinds=("solo",))
    left, spots = SHARED[mics]
    h_LMN = responses(scene, quartet.sample_rate)
    images_LMN = simulate.render(scene, dry_LN, quartet.sample_rate, h_LMN=h_LMN)[:, list(left)]
    solo_LM, seconds = whole.solos["solo"]
    return replace(
        whole,
        mixture_LM=whole.mixture_LM[:, list(left)],
        truth_LN=images_LMN[:, list(spots), range(len(spots))],
        spots=spots,
        solos={"solo": (solo_LM[:, list(left)], seconds)},
    )


def measure(cell: Cell, quick: bool = False) -> Result:
    """Return the gain of each player over the microphone that it is taken from."""
    case = case_of(cell["room"], cell["mics"], quick)
    gains = scorer(case)(separate(case, hurried(METHODS[cell["method"]], quick), "solo", cell["seed"]))
    return {key: np.round(values, 3) for key, values in gains.items()}


def table(document: dict[str, Any]) -> str:
    """Gain in SDR, mean of the players and in brackets the worst one."""
    found = {tuple(c["cell"][key] for key in ("room", "mics", "method")): c["result"] for c in document["cells"]}
    keys = list(dict.fromkeys((room, mics) for room, mics, _ in found))
    lines = ["| | mics | " + " | ".join(f"`{how}`" for how in CONTENDERS) + " |", "|---" * (2 + len(CONTENDERS)) + "|"]
    for room, mics in keys:
        gains = [found[room, mics, how]["delta_sdr"] for how in CONTENDERS]
        lines.append(f"| {room} | {mics} | " + " | ".join(f"{np.mean(g):+.1f} ({min(g):+.1f})" for g in gains) + " |")
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__)
    document = run(
        "few_mics",
        grid(options.quick),
        partial(measure, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
    )
    if not options.quick:
        print(table(document))


if __name__ == "__main__":
    main()
