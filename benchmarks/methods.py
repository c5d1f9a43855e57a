"""Every method as `mnmf.separate` runs it, with whatever it can be given.

    python benchmarks/methods.py [--data DIR] [--quick] [--jobs N]

A method is given solos, or three claps a player, or nothing; and, if it takes its bases from elsewhere and there are
only claps, the embedded dictionary of notes.  DIR holds cases as in solo_priors.py.  Prints gains over the raw spots
and the seconds of work, which are comparable only if it ran with --jobs 1; writes benchmarks/results/methods.json.
"""

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from _cases import case_named, named_cases
from _measure import hurried, scorer, stems_of
from _runner import Cell, Result, arguments, run

from mnmf import METHODS, Method, MnmfError, NoteDictionary, Take, separate
from mnmf.methods import find_method

# Names for what a method can be given: the kind of solos, and whether there is a dictionary; the most first.
GIVEN = {
    "solos": ("solo", False),
    "claps": ("clap", False),
    "claps, dictionary": ("clap", True),
    "dictionary": (None, True),
    "nothing": (None, False),
}


def ways(method: str, takes: dict[str | None, Take]) -> Iterator[tuple[str, Method, Take, bool]]:
    """Yield all that a method can be given of a case: a name for it, the method, the take, and whether a dictionary."""
    for name, (kind, notes) in GIVEN.items():
        recipe = find_method(method, dictionary=notes)
        if kind in takes and fits(recipe, takes[kind], notes) and (kind is None or hears(recipe, kind, notes)):
            yield name, recipe, takes[kind], notes


def fits(recipe: Method, take: Take, notes: bool) -> bool:
    try:
        recipe.check(take, dictionary=notes)
    except MnmfError:
        return False
    return True


def hears(recipe: Method, kind: str, notes: bool) -> bool:
    """Return whether solos or claps make a difference; claps say nothing of what an instrument sounds like."""
    if recipe.bases and not notes:
        return kind == "solo"
    return recipe.solos != "unused"


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains of one method over the raw spots, one a source, and its seconds, for all it can be given."""
    case = case_named(cell["case"], data, quick)
    gains = scorer(case)
    figures: Result = {}
    takes = {kind: case.take(kind) for kind in (None, *case.solos)}
    for what, recipe, take, notes in ways(cell["method"], takes):
        done = separate(
            take, method=hurried(recipe, quick), seed=cell["seed"], dictionary=dictionary() if notes else None
        )
        row = {key: np.round(values, 3) for key, values in gains(stems_of(case, done)).items()}
        figures[what] = row | {"seconds": round(sum(done.seconds.values()), 2)}
    return figures


@cache
def dictionary() -> NoteDictionary:
    return NoteDictionary.embedded()


def show(cells: list[dict]) -> None:
    print("mean over sources, dB")
    print(f"{'case':18} {'method':18} {'given':18} {'ΔSDR':>6} {'ΔSIR':>6} {'SAR':>6} {'ΔSNR':>6} {'s':>6}")
    for each in cells:
        for what, row in each["result"].items():
            means = " ".join(f"{np.mean(row[key]):6.2f}" for key in ("delta_sdr", "delta_sir", "sar", "delta_snr"))
            print(f"{each['cell']['case']:18} {each['cell']['method']:18} {what:18} {means} {row['seconds']:6.1f}")


def main() -> None:
    options = arguments(__doc__)
    cells = [
        {"case": case, "method": method, "seed": 0}
        for case in named_cases(options.data, options.quick)
        for method in METHODS
    ]
    measured = run(
        "methods",
        cells,
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    show(measured["cells"])


if __name__ == "__main__":
    main()
