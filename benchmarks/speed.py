"""Seconds and memory of whole separations at 44.1 kHz: 15 s from four microphones, a minute from four and from eight.

    python benchmarks/speed.py [--quick] [--iterations]

Each method runs as its users run it, `mnmf separate`: once with all kernels to compile, then several times without;
medians are reported.  The minutes are separated by the default method.
Then one iteration of FastMNMF2 beside pyroomacoustics' (`_iterations.py`), of the log-determinant model beside numpy's
and ssspy's if that is installed (`_logdet_iterations.py`), and of NTF and NMF beside numpy's (`_ntf_iterations.py`);
`--iterations` measures these alone.
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
from _logdet_iterations import log_det_side_by_side
from _ntf_iterations import side_by_side as ntf_side_by_side

from mnmf import METHODS, audio, data, markers, simulate

SECONDS = 15


def write_session(folder: Path, seconds: int, doubled: bool = False) -> list[str]:
    """Write a take and its solos, of the embedded quartet or of two of it; return the arguments of `mnmf separate`."""
    quartet = data.quartet()
    rate = quartet.sample_rate
    stems_LN = np.resize(quartet.stems_LN, (seconds * rate, len(quartet.names)))
    solos = list(quartet.solos_LN.T)
    scene = simulate.chamber_scene(quartet.names)
    if doubled:
        stems_LN = np.concatenate([stems_LN, np.roll(stems_LN, 5 * rate, axis=0)], axis=1)
        solos, scene = 2 * solos, simulate.hall_scene(2 * len(quartet.names))
    take_LM = simulate.render(scene, stems_LN, rate).sum(axis=2)
    solos_LM, passages = simulate.solo_take(scene, solos, rate)
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
    result["iterations"] = {"environment": environment(), **side_by_side(runs)}
    result["iterations"] |= {"log_det": log_det_side_by_side(1), "ntf": ntf_side_by_side(min(runs, 3))}
    result["iterations"]["growth"] = growth(runs)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")
    draw(result["iterations"]["growth"], Path(__file__).parent.parent / "docs" / "images" / "speed.png")


def commands(runs: int) -> dict:
    """Run whole separations; return what they took, and what importing takes."""
    result: dict = {"methods": {}}
    with tempfile.TemporaryDirectory() as folder:
        arguments = write_session(Path(folder) / "short", SECONDS)
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

        result["minutes"] = {mics: minute(Path(folder), mics, runs) for mics in (4, 8)}

    imports = [seconds_of("-c", "import mnmf") - seconds_of("-c", "pass") for _ in range(max(runs, 3))]
    result["import_seconds"] = round(statistics.median(imports), 3)
    print(f"import mnmf: {result['import_seconds']} s")
    return result


def minute(folder: Path, mics: int, runs: int) -> dict:
    """Return what the default method takes for a minute of so many microphones, by the whole command."""
    arguments = write_session(folder / f"minute{mics}", 60, doubled=mics == 8)
    out = folder / f"minute{mics}" / "stems"
    command = ["-m", "mnmf", "separate", *arguments, "--out", str(out), "--overwrite"]
    seconds_of(*command)
    seconds = statistics.median(seconds_of(*command) for _ in range(runs))
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    figures = {"command_seconds": round(seconds, 2), "peak_memory_mb": manifest["peak_memory_mb"]}
    print(f"a minute of {mics} mics: {figures}", flush=True)
    return figures


if __name__ == "__main__":
    main()
