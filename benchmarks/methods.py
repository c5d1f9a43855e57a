"""Every method as `mnmf separate` runs it, with whatever it can be told.

    python benchmarks/methods.py [--data DIR] [--quick] [--methods A,B]

A method is told solos, or three claps a player, or nothing; and, if it takes its bases from elsewhere and claps are all
there is, the embedded dictionary of notes.  DIR holds cases as in solo_priors.py.  Prints gains over the raw spots and
the seconds of work, and writes benchmarks/results/methods.json; `--methods` measures only those again.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _cases import Case, folder_cases, quartet_cases
from _environment import environment
from _measure import scorer

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of cases")
    parser.add_argument("--quick", action="store_true", help="one room")
    parser.add_argument("--methods", metavar="A,B", help="only these; the others' figures stay")
    arguments = parser.parse_args()
    chosen = arguments.methods.split(",") if arguments.methods else list(METHODS)

    path = Path(__file__).parent / "results" / "methods.json"
    cases = list(quartet_cases(arguments.quick))
    if arguments.data:
        cases += folder_cases(arguments.data)
    earlier = json.loads(path.read_text("utf-8"))["cases"] if arguments.methods and path.exists() else {}
    result = {"environment": environment(), "cases": {}}
    dictionary = NoteDictionary.embedded()
    print("mean over sources, dB")
    print(f"{'case':18} {'method':18} {'told':18} {'ΔSDR':>6} {'ΔSIR':>6} {'SAR':>6} {'ΔSNR':>6} {'s':>6}")
    for case in cases:
        gains = scorer(case)
        figures = {name: row for name, row in earlier.get(case.name, {}).items() if name not in chosen}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_case(case, folder)
            level = np.abs(audio.Recording.open(folder / "take.wav").read()).max() / np.abs(case.mixture_LM).max()
            for method in chosen:
                figures[method] = {}
                for what, kind, notes in told(method, list(case.solos)):
                    done = separate(session(case, folder, kind), method, dictionary=dictionary if notes else None)
                    gained = gains(done.stems_LN.astype(float) / level)
                    row = {key: np.round(values, 3).tolist() for key, values in gained.items()}
                    figures[method][what] = row | {"seconds": round(sum(done.seconds.values()), 2)}
                    means = " ".join(f"{np.mean(values):6.2f}" for values in gained.values())
                    seconds = figures[method][what]["seconds"]
                    print(f"{case.name:18} {method:18} {what:18} {means} {seconds:6.1f}", flush=True)
        result["cases"][case.name] = {method: figures[method] for method in METHODS if method in figures}
    path.write_text(json.dumps(result) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
