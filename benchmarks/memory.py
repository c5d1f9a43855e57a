"""Memory of FastMNMF2 on a take of 60 s from four microphones at 44.1 kHz: what its arrays need, and what it took.

    python benchmarks/memory.py [--quick] [--seconds 60]

A fresh process makes the spectrogram, fits a tiny one, so that all kernels are compiled, and then the large one; what
counts is how far the process grows in that fit, and in one image after it, at its peak, as Linux counts it (VmHWM).
Writes benchmarks/results/memory.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from _environment import environment
from _runner import parser, result_path

RATE, WINDOW, HOP = 44100, 32768, 8192
M = N = 4
K = 24
MEGABYTE = 1e6


def sizes(seconds: float) -> tuple[int, int]:
    """Return the frequencies and frames of the spectrogram."""
    return WINDOW // 2 + 1, int(seconds * RATE) // HOP + 1


def arrays(F: int, T: int) -> dict[str, float]:
    """Return the megabytes of what must exist: the mixture, the model, and one source's share of it."""
    return {
        "X": 8 * F * T * M / MEGABYTE,
        "W": 4 * N * F * K / MEGABYTE,
        "H": 4 * N * K * T / MEGABYTE,
        "Q": 16 * F * M * M / MEGABYTE,
        "lambda": 4 * F * T / MEGABYTE,
    }


def predicted(F: int, T: int) -> dict[str, float]:
    """Return the growth of the process: by the larger of a fit's start and its iterations, and by an image."""
    from mnmf.kernels.fastmnmf2 import GROUPS, _blocks, _chunks

    existing = arrays(F, T)
    C, S = _chunks(T)
    B = _blocks(F, T, M)[1]
    check = F * T * M / MEGABYTE  # one truth value per number of X
    statistics = (2 * GROUPS + 4) * 4 * N * K * C * S / MEGABYTE  # of H, in groups, and their sums
    workspace = 2 * 4 * B * S * (C * 4 * M + 2 * (M + N)) / MEGABYTE  # of two threads
    model = existing["W"] + existing["H"] + existing["Q"]
    start = 2 * existing["W"]  # drawn in double precision
    held = 2 * existing["W"] + existing["Q"]  # what normalisation and determinants copy
    pull = (3 * 16 + 2 * 8) * F * M * M / MEGABYTE  # Q as given and inverted, deviations, their precision and variance
    learning = 4 * 8 * F * M * M / MEGABYTE
    iteration = model + statistics + workspace + pull + max(held, learning)
    image = check + F * T * 8 / MEGABYTE  # malloc keeps the freed check
    return {"fit": max(check, model + start, iteration), "image": image}


def measure(seconds: float) -> dict[str, float]:
    """Fit in this process; return by how many megabytes it grew at the peaks of the fit and of one image."""
    import numpy as np

    from mnmf import FastMNMF2, Prior

    F, T = sizes(seconds)
    rng = np.random.default_rng(0)
    X_FTM = np.empty((F, T, M), np.complex64)
    for X_TM in X_FTM:
        X_TM[:] = rng.standard_normal((T, M)) + 1j * rng.standard_normal((T, M))
    tiny = Prior(Q=np.tile(np.eye(M, dtype=complex), (64, 1, 1)), spots=tuple((m,) for m in range(M)), pulled={"Q"})
    FastMNMF2(K, 4).fit(X_FTM[:64, :64].copy(), tiny).images(X_FTM[:64, :64].copy(), 0, [0])

    before = reset_peak()
    prior = Prior(Q=np.tile(np.eye(M, dtype=complex), (F, 1, 1)), spots=tuple((m,) for m in range(M)), pulled={"Q"})
    model = FastMNMF2(K, 4).fit(X_FTM, prior)
    fit = status("VmHWM") - before
    before = reset_peak()
    image = model.images(X_FTM, 0, [0])
    return {"fit": fit, "image": status("VmHWM") - before, "image_itself": image.nbytes / MEGABYTE}


def status(name: str) -> float:
    """Return a figure of /proc/self/status in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise RuntimeError(f"no {name} in /proc/self/status")


def reset_peak() -> float:
    """Let the peak be what the process takes now, and return that."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def table(document: dict) -> str:
    """What a fit and an image take beside the mixture, foreseen and measured."""
    foreseen, grown = document["predicted_growth_mb"], document["measured_growth_mb"]
    lines = ["| | foreseen | measured |", "|---|---|---|"]
    lines += [f"| {name} | {foreseen[name]:.0f} MB | {grown[name]:.0f} MB |" for name in foreseen]
    shape = ", ".join(f"{name} = {size}" for name, size in document["shape"].items() if name != "dtype")
    held = ", ".join(f"{name} {size:.0f} MB" for name, size in document["arrays_mb"].items())
    return "\n".join([*lines, "", f"{shape}, single precision. The arrays: {held}."])


def main() -> None:
    made = parser(__doc__, data="not used: the take is noise; neither are --jobs")
    made.add_argument("--seconds", type=float, help="of the take; 60, or 5 if --quick")
    made.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = made.parse_args()
    seconds = options.seconds or (5.0 if options.quick else 60.0)
    if options.measure:
        print(json.dumps(measure(seconds)))
        return
    F, T = sizes(seconds)
    command = [sys.executable, __file__, "--measure", "--seconds", str(seconds)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    existing = arrays(F, T)
    result = {
        "environment": environment(),
        "seeds": [0],
        "shape": {"F": F, "T": T, "M": M, "N": N, "K": K, "dtype": "complex64"},
        "arrays_mb": {name: round(size, 1) for name, size in existing.items()},
        "predicted_growth_mb": {name: round(size, 1) for name, size in predicted(F, T).items()},
        "measured_growth_mb": {name: round(size, 1) for name, size in measured.items()},
        "peak_over_arrays": round((existing["X"] + measured["fit"]) / sum(existing.values()), 2),
    }
    for name in ("arrays_mb", "predicted_growth_mb", "measured_growth_mb", "peak_over_arrays"):
        print(f"{name:20} {result[name]}")
    path = result_path("memory", options.quick)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
