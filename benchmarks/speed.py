"""Seconds and memory of whole separations on a take of 15 s from four microphones at 44.1 kHz.

    python benchmarks/speed.py [--quick] [--iterations]

Each method runs as its users run it, `mnmf separate`: once with all kernels to compile, then several times without;
medians are reported.
Then one iteration of FastMNMF2 beside pyroomacoustics' (`_iterations.py`); `--iterations` measures this alone.
Also the time of `import mnmf` over that of an empty program.  Writes benchmarks/results/speed.json and
docs/images/speed.png.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _environment import environment
from _iterations import draw, growth, side_by_side

from mnmf import METHODS, audio, data, markers, simulate

SECONDS = 15


def write_session(folder: Path) -> list[str]:
    """Write the take and its solos; return the arguments of `mnmf separate` for them."""
    quartet = data.quartet()
    scene = simulate.chamber_scene(quartet.names)
    stems_LN = np.resize(quartet.stems_LN, (SECONDS * quartet.sample_rate, len(quartet.names)))
    take_LM = simulate.render(scene, stems_LN, quartet.sample_rate).sum(axis=2)
    solos_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), quartet.sample_rate)
    audio.write(folder / "take.flac", take_LM, quartet.sample_rate)
    audio.write(folder / "solos.flac", solos_LM, quartet.sample_rate)
    markers.write_audacity(folder / "solos.txt", passages)
    return [str(folder / "take.flac"), "--solos", str(folder / "solos.txt"), "--solo-take", str(folder / "solos.flac")]


def seconds_of(*command: str, **environment: str) -> float:
    start = time.perf_counter()
    variables = {**os.environ, **environment}
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=variables)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run each")
    parser.add_argument("--iterations", action="store_true", help="only the single iterations; the rest stays")
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else 5
    path = Path(__file__).parent / "results" / "speed.json"
    if arguments.iterations:
        result = json.loads(path.read_text())
    else:
        result = {"environment": environment(), "take_seconds": SECONDS, "runs": runs, **commands(runs)}
    result["iterations"] = {"environment": environment(), **side_by_side(runs), "growth": growth(runs)}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")
    draw(result["iterations"]["growth"], Path(__file__).parent.parent / "docs" / "images" / "speed.png")


def commands(runs: int) -> dict:
    """Run whole separations; return what they took, and what importing takes."""
    result: dict = {"methods": {}}
    with tempfile.TemporaryDirectory() as folder:
        arguments = write_session(Path(folder))
        for method in METHODS:
            out = Path(folder) / method
            command = ["-m", "mnmf", "separate", *arguments, "--method", method, "--out", str(out), "--overwrite"]
            first = seconds_of(*command, NUMBA_CACHE_DIR=str(Path(folder) / f"{method}-kernels"))
            seconds_of(*command)
            records = []
            for _ in range(runs):
                seconds = seconds_of(*command)
                records.append({"command": seconds, **json.loads((out / "manifest.json").read_text("utf-8"))})
            figures = {
                "first_command_seconds": first,
                "command_seconds": statistics.median(record["command"] for record in records),
                "work_seconds": statistics.median(sum(record["seconds"].values()) for record in records),
                "peak_memory_mb": statistics.median(record["peak_memory_mb"] for record in records),
            }
            result["methods"][method] = {key: round(value, 2) for key, value in figures.items()}
            print(f"{method:12} " + ", ".join(f"{k} {v}" for k, v in result["methods"][method].items()), flush=True)

    imports = [seconds_of("-c", "import mnmf") - seconds_of("-c", "pass") for _ in range(max(runs, 3))]
    result["import_seconds"] = round(statistics.median(imports), 3)
    print(f"import mnmf: {result['import_seconds']} s")
    return result


if __name__ == "__main__":
    main()
