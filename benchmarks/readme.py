"""Write the measured figures into README and docs, from benchmarks/results.

    python benchmarks/readme.py

Between ``<!-- figures: NAME -->`` and ``<!-- end -->`` stands what the function NAME below makes of the results;
nothing there is typed by hand, and a test compares the two.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/experiments.md", "docs/methods/fullrank.md")
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def results(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def mean(values: list) -> float:
    """Mean of a list of lists, one a seed, of one number a source."""
    flat = [value for row in values for value in row]
    return sum(flat) / len(flat)


def variants() -> str:
    """Gains of the three variants in every case."""
    measured = results("solo_priors")
    columns = ("default", "default, claps", "default, no solos", "fixH", "fixH, claps", "updtH", "blind")
    lines = [f"| take | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for case, figures in measured["cases"].items():
        cells = []
        for variant in columns:
            found = figures.get(variant)
            cells.append(f"{mean(found['delta_sdr']):+.1f} ({mean(found['delta_snr']):+.1f})" if found else "")
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def speed() -> str:
    """What the whole command costs, and the metrics against mir_eval."""
    measured, scores = results("speed"), results("metrics_speed")
    lines = ["| | seconds of work | first time, compiling | peak memory |", "|---|---|---|---|"]
    for method, figures in measured["methods"].items():
        lines.append(
            f"| `{method}`, {measured['take_seconds']} s of 4 mics at 44.1 kHz | {figures['work_seconds']:.1f} | "
            f"{figures['first_command_seconds']:.0f} | {figures['peak_memory_mb']:.0f} MB |"
        )
    for mics, figures in measured["minutes"].items():
        lines.append(
            f"| `fastmnmf2`, a minute of {mics} mics, the whole command | {figures['command_seconds']:.0f} | | "
            f"{figures['peak_memory_mb']:.0f} MB |"
        )
    without, permuted = scores["without_permutation"], scores["with_permutation"]
    lines += [
        "",
        f"BSS_eval of 4 sources × 15 s takes {without['mnmf_seconds']:.2f} s, {without['times_faster']:.0f} times less "
        f"than mir_eval ({permuted['times_faster']:.0f} times with permutations), with the same scores to "
        f"{max(without['max_difference_db'], permuted['max_difference_db']):.0e} dB. `import mnmf` takes "
        f"{1000 * measured['import_seconds']:.0f} ms.",
    ]
    return "\n".join(lines)


def ablation() -> str:
    """What each choice in fixH is worth."""
    measured = results("fixh_ablation")
    lines = [f"| idea | {' | '.join(measured['cases'])} |", "|---" * (len(measured["cases"]) + 1) + "|"]
    base = measured["delta_sdr"]["as it is"]
    for idea, row in measured["delta_sdr"].items():
        cells = [f"{value:.2f}" if row is base else f"{value - was:+.2f}" for value, was in zip(row, base)]
        lines.append(f"| {idea} | {' | '.join(cells)} |")
    return "\n".join(lines)


def fill(page: str) -> str:
    """Return the text of a page with every block of figures made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{globals()[found[2]]()}\n{found[3]}", page)


def main() -> None:
    for name in PAGES:
        path = ROOT / name
        path.write_text(fill(path.read_text("utf-8")), "utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
