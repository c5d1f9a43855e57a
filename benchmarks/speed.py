"""Seconds and memory of whole separations at 44.1 kHz: 15 s from four microphones, a minute from four and from eight.

    python benchmarks/speed.py [--quick] [--iterations]

Each method runs as its users run it, `mnmf separate`: once with all kernels to compile, then up to three times
without; medians are reported.  The minutes are separated by the default method.
What the default method costs compared with `mnmf-is`, as CPU time of the same commands, one right after the other: 15
and 60 s of four microphones, with solos and without.
Then one iteration and the memory of FastMNMF2 beside pyroomacoustics' and ssspy's if that is installed
(`_iterations.py`), one iteration of the log-determinant model beside numpy's and ssspy's (`_logdet_iterations.py`), of
NTF and NMF beside numpy's (`_ntf_iterations.py`), and how iterations grow with sizes and threads (`_growth.py`);
`--iterations` measures these alone.
Also the time of `import mnmf` over that of an empty program.  Nothing runs at the same time, whatever --jobs says.
Writes benchmarks/results/speed.json and docs/images/speed.png.
"""

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from _environment import environment
from _growth import AXES, BASES, draw, growth, line
from _iterations import side_by_side
from _logdet_iterations import log_det_side_by_side
from _ntf_iterations import side_by_side as ntf_side_by_side
from _runner import parser, result_path

from mnmf import METHODS, audio, data, markers, simulate
from mnmf.methods import DEFAULT_METHOD

SECONDS, QUICK_SECONDS = 15, 3
RUNS = 3
PATIENCE = 10.0  # seconds of a command after which it is not run once more
QUICK_SIZE = ["--window", "0.1", "--components", "4"]  # where the default method would take long in a quick run
QUICK_METHODS = ("kamir",)
COMPARED = (DEFAULT_METHOD, "mnmf-is")
QUICK_SIZES = [(65, 64, 2, 4)]


@lru_cache
def played(seconds: int, doubled: bool) -> tuple[Any, Any, Any]:
    """Return a take of the embedded quartet or of two of it, a take of its solos, and when they are."""
    quartet = data.quartet()
    rate = quartet.sample_rate
    stems_LN = np.resize(quartet.stems_LN, (seconds * rate, len(quartet.names)))
    solos = list(quartet.solos_LN.T)
    scene = simulate.chamber_scene(quartet.names)
    if doubled:
        stems_LN = np.concatenate([stems_LN, np.roll(stems_LN, 5 * rate, axis=0)], axis=1)
        solos, scene = 2 * solos, simulate.hall_scene(2 * len(quartet.names))
    return simulate.render(scene, stems_LN, rate).sum(axis=2), *simulate.solo_take(scene, solos, rate)


def write_session(folder: Path, seconds: int, doubled: bool = False) -> list[str]:
    """Write a take and its solos, of the embedded quartet or of two of it; return the arguments of `mnmf separate`."""
    rate = data.quartet().sample_rate
    take_LM, solos_LM, passages = played(seconds, doubled)
    folder.mkdir()
    audio.write(folder / "take.flac", take_LM / max(1.0, np.abs(take_LM).max()), rate)
    audio.write(folder / "solos.flac", solos_LM / max(1.0, np.abs(solos_LM).max()), rate)
    markers.write_audacity(folder / "solos.txt", passages)
    return [str(folder / "take.flac"), "--solos", str(folder / "solos.txt"), "--solo-take", str(folder / "solos.flac")]


def seconds_of(*command: str, **environment: str) -> float:
    start = time.perf_counter()
    variables = {**os.environ, **environment}
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=variables)
    return time.perf_counter() - start


def main() -> None:
    made = parser(__doc__, data="not used: the takes are of the embedded quartet")
    made.add_argument("--iterations", action="store_true", help="only the single iterations; the rest stays")
    options = made.parse_args()
    quick, runs = options.quick, 1 if options.quick else RUNS
    path = result_path("speed", quick)
    if options.iterations:
        # In a clean checkout there is nothing of the rest yet.
        result = json.loads(path.read_text("utf-8")) if path.exists() else {}
    else:
        seconds = QUICK_SECONDS if quick else SECONDS
        result = {
            "environment": environment(),
            "seeds": [0],
            "take_seconds": seconds,
            "runs": runs,
            **commands(runs, quick),
        }
        path.write_text(json.dumps(result, indent=2) + "\n")
    sizes = {"sizes": QUICK_SIZES} if quick else {}
    result["iterations"] = {"environment": environment(), **side_by_side(runs, **sizes)}
    result["iterations"] |= {"log_det": log_det_side_by_side(1, **sizes), "ntf": ntf_side_by_side(1, **sizes)}
    result["iterations"]["growth"] = growth(runs, quick)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")
    if not quick:
        draw(result["iterations"]["growth"])


def commands(runs: int, quick: bool) -> dict:
    """Run whole separations; return what they took, and what importing takes."""
    result: dict = {"methods": {}}
    with tempfile.TemporaryDirectory() as folder:
        arguments = write_session(Path(folder) / "short", QUICK_SECONDS if quick else SECONDS)
        for method in QUICK_METHODS if quick else METHODS:
            out = Path(folder) / method
            command = ["-m", "mnmf", "separate", *arguments, "--method", method, "--out", str(out), "--overwrite"]
            # What it compiles it finds again afterwards; a quick run finds what is there.
            kernels = {} if quick else {"NUMBA_CACHE_DIR": str(Path(folder) / f"{method}-kernels")}
            first = seconds_of(*command, **kernels)
            records: list[dict] = []
            while len(records) < runs and sum(record["command"] for record in records) < PATIENCE:
                seconds = seconds_of(*command, **kernels)
                records.append({"command": seconds, **json.loads((out / "manifest.json").read_text("utf-8"))})
            figures = {
                "first_command_seconds": first,
                "command_seconds": statistics.median(record["command"] for record in records),
                "work_seconds": statistics.median(sum(record["seconds"].values()) for record in records),
                "peak_memory_mb": statistics.median(record["peak_memory_mb"] for record in records),
            }
            result["methods"][method] = {key: round(value, 2) for key, value in figures.items()}
            print(f"{method:12} " + ", ".join(f"{k} {v}" for k, v in result["methods"][method].items()), flush=True)

        # As strings, which is what JSON makes of them.
        result["minutes"] = {str(mics): minute(Path(folder), mics, quick) for mics in ((4,) if quick else (4, 8))}

        result["cost"] = cost(Path(folder), runs, quick)

    imports = [seconds_of("-c", "import mnmf") - seconds_of("-c", "pass") for _ in range(3)]
    result["import_seconds"] = round(statistics.median(imports), 3)
    print(f"import mnmf: {result['import_seconds']} s")
    return result


def cost(folder: Path, runs: int, quick: bool) -> list[dict]:
    """Return the CPU seconds of the default method and of `mnmf-is`, for short and long takes, with and without solos.

    The least of a few runs counts, for what else runs on a machine only adds to it.
    """
    rows = []
    for seconds in (QUICK_SECONDS,) if quick else (SECONDS, 60):
        arguments = write_session(folder / f"cost{seconds}", seconds)
        sources = ["--sources", ",".join(data.quartet().names)]
        given = [(True, arguments), (False, [arguments[0], *sources])]
        for solos, told in given[1:] if quick else given:
            spent: dict[str, list[float]] = {method: [] for method in COMPARED}
            # The first round compiles what is not there yet, and does not count, but in a quick run.
            for _ in range(1 if quick else 2 if seconds > SECONDS else 1 + runs):
                for method, found in spent.items():
                    out = folder / f"cost{seconds}" / "stems"
                    command = ["-m", "mnmf", "separate", *told, "--method", method, "--out", str(out), "--overwrite"]
                    found.append(cpu_seconds_of(*command, *(QUICK_SIZE if quick else [])))
            least = {method: min(found[1:] or found) for method, found in spent.items()}
            ratio = least[COMPARED[0]] / least[COMPARED[1]]
            rows.append(
                {
                    "seconds": seconds,
                    "solos": solos,
                    "cpu_seconds": {method: round(value, 2) for method, value in least.items()},
                    "ratio": round(ratio, 3),
                }
            )
            print(f"cost: {rows[-1]}", flush=True)
    return rows


def cpu_seconds_of(*command: str) -> float:
    """Return the CPU time of a program, of all its threads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds_of(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def minute(folder: Path, mics: int, quick: bool) -> dict:
    """Return what the default method takes for a minute of so many microphones, by the whole command."""
    arguments = write_session(folder / f"minute{mics}", QUICK_SECONDS if quick else 60, doubled=mics == 8)
    out = folder / f"minute{mics}" / "stems"
    command = ["-m", "mnmf", "separate", *arguments, "--out", str(out), "--overwrite", *(QUICK_SIZE if quick else [])]
    seconds = seconds_of(*command)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    figures = {
        "method": DEFAULT_METHOD,
        "command_seconds": round(seconds, 2),
        "peak_memory_mb": manifest["peak_memory_mb"],
    }
    print(f"a minute of {mics} mics: {figures}", flush=True)
    return figures


def side_by_side_table(document: dict) -> str:
    """One iteration, and the memory of a fit, beside the other libraries'."""
    rows = document["iterations"]["side_by_side"]
    most = document["iterations"]["most_mb"]
    libraries = [name for name in ("mnmf", "pyroomacoustics", "ssspy") if f"{name}_ms" in rows[0]]
    heads = [f"{name}, ms (MB)" for name in libraries]
    lines = [f"| F × T, M = N, K | precision, threads | {' | '.join(heads)} | of the peak |"]
    lines.append("|---" * (len(heads) + 3) + "|")
    for row in rows:
        precision = "double" if row["dtype"] == "complex128" else "single"
        cells = [
            f"{row[f'{name}_ms']:.0f} ({row[f'{name}_mb']:.0f})" if f"{name}_ms" in row else f"(over {most})"
            for name in libraries
        ]
        lines.append(
            f"| {row['F']} × {row['T']}, {row['M']}, {row['K']} | {precision}, {row['threads']} | "
            f"{' | '.join(cells)} | {100 * row['fraction_of_peak']:.0f} % |"
        )
    for name in libraries[1:]:
        both = [row for row in rows if f"{name}_ms" in row]
        faster = sorted(row[f"{name}_ms"] / row["mnmf_ms"] for row in both)
        smaller = sorted(row[f"{name}_mb"] / max(row["mnmf_mb"], 1) for row in both)
        lines += ["", f"Against {name}: time divided by {span(faster)}, memory by {span(smaller)}."]
        if len(both) < len(rows):
            lines[-1] += f" What takes more than {most} MB was not timed."
    if "ssspy" not in libraries:
        lines += ["", "ssspy was not installed."]
    return "\n".join(lines)


def span(values: list[float]) -> str:
    """The least and largest of a sorted list."""
    shown = [f"{value:.0f}" if value >= 10 else f"{value:.2g}" for value in (values[0], values[-1])]
    return " to ".join(shown[: len(values)])


def growth_table(document: dict) -> str:
    """Milliseconds of an iteration as one thing grows, and with which power of it they do."""
    records = document["iterations"]["growth"]
    lines = ["| what grows | " + " | ".join(f"`{model}`, ms | power" for model in BASES) + " |"]
    lines.append("|---" * (2 * len(BASES) + 1) + "|")
    for axis, label in AXES.items():
        cells = []
        for model in BASES:
            values, milliseconds = line(records, model, axis)
            pairs = ", ".join(f"{value}: {ms:.3g}" for value, ms in zip(values, milliseconds))
            if len(values) > 1:
                power = math.log(milliseconds[-1] / milliseconds[0]) / math.log(values[-1] / values[0])
                cells += [pairs, f"{power:.2f}"]
            else:
                cells += [pairs, ""]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    bases = {record["model"]: record for record in records if record["axis"] == "threads"}
    sizes = "; ".join(
        f"`{model}`: " + ", ".join(f"{name} = {base[name]}" for name in "FTMNK") for model, base in bases.items()
    )
    precisions = "single precision for `fastmnmf2`, double for `mnmf-is`"
    return "\n".join([*lines, "", f"All else stays at {sizes}; {precisions}."])


if __name__ == "__main__":
    main()
