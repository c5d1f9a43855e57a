"""Every method as `mnmf separate` runs it, with whatever it can be given.

    python benchmarks/methods.py [--data DIR] [--quick] [--jobs N]

A method is given solos, or three claps a player, or nothing; and, if it takes its bases from elsewhere and there are
only claps, the embedded dictionary of notes.  DIR holds cases as in solo_priors.py.  Prints gains over the raw spots
and the seconds of work, which are comparable only if it ran with --jobs 1; writes benchmarks/results/methods.json.
"""

import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from _cases import Case, case_named, named_cases
from _measure import hurried, scorer
from _runner import Cell, Result, arguments, run

from mnmf import METHODS, NoteDictionary, Session, audio, markers
from mnmf.markers import Passage
from mnmf.separate import separate


def told(method: str, kinds: list[str]) -> Iterator[tuple[str, str | None, bool]]:
    """Yield what a method can be told of a take: a name for it, the kind of its solos, and whether a dictionary."""
    recipe = METHODS[method]
    if recipe.bases or not recipe.assigned:
        if "solo" in kinds:
            yield "solos", "solo", False
        if "clap" in kinds and not recipe.bases:
            yield "claps", "clap", False
        if "clap" in kinds and recipe.needs_solos and recipe.takes_notes:
            yield "claps, dictionary", "clap", True
    if not recipe.needs_solos:
        yield ("dictionary", None, True) if recipe.bases else ("nothing", None, False)


def write_case(case: Case, folder: Path) -> None:
    """Write the take and its solos, at the level they have together, and markers of each kind."""
    peak = max(np.abs(case.mixture_LM).max(), *(np.abs(x_LM).max() for x_LM, _ in case.solos.values()))
    audio.write(folder / "take.wav", case.mixture_LM / peak, case.sample_rate, "FLOAT")
    for kind, (x_LM, seconds) in case.solos.items():
        audio.write(folder / f"{kind}.wav", x_LM / peak, case.sample_rate, "FLOAT")
        passages = [Passage(name, start, stop) for name, (start, stop) in zip(case.names, seconds)]
        markers.write_audacity(folder / f"{kind}.txt", passages)


def session(case: Case, folder: Path, kind: str | None) -> Session:
    spots = {name: m + 1 for name, m in zip(case.names, case.spots)}
    solos = {"solos": folder / f"{kind}.txt", "solo_take": folder / f"{kind}.wav"} if kind else {}
    return Session.open(folder / "take.wav", sources=case.names, spots=spots, **solos)


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains of one method over the raw spots, one number a source, and its seconds, for all it is told."""
    case = case_named(cell["case"], data, quick)
    gains = scorer(case)
    figures: Result = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_case(case, folder)
        level = np.abs(audio.Recording.open(folder / "take.wav").read()).max() / np.abs(case.mixture_LM).max()
        for what, kind, notes in told(cell["method"], list(case.solos)):
            done = separate(
                session(case, folder, kind),
                cell["method"],
                seed=cell["seed"],
                # Not given, as the dictionary may come with a number of its own.
                iterations=hurried(METHODS[cell["method"]], quick).iterations if quick else None,
                dictionary=dictionary() if notes else None,
            )
            gained = gains(done.stems_LN.astype(float) / level)
            row = {key: np.round(values, 3) for key, values in gained.items()}
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
