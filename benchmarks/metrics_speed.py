"""Time bss_eval against mir_eval on four sources of 15 s, and compare their scores.

    python benchmarks/metrics_speed.py [--data DIR] [--quick]

DIR holds mix.flac and reference.flac with one channel a source; by default both are made up.  The runs of the two are
interleaved, so that both meet the same load.  Writes benchmarks/results/metrics_speed.json.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import soundfile
from _environment import environment
from mir_eval.separation import bss_eval_sources
from scipy.signal import butter, fftconvolve, sosfilt

from mnmf.metrics import bss_eval

RATE = 44100


def synthetic(seconds: float, n_sources: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Decaying notes, low-passed, in a reverberant room (16 bits), and what the spot microphones hear of them."""
    rng = np.random.default_rng(0)
    time_L = np.arange(round(seconds * RATE)) / RATE
    reference_LN = 0.01 * rng.standard_normal((len(time_L), n_sources))
    for n in range(n_sources):
        for onset in np.arange(0, seconds, 0.5):
            since_L = np.clip(time_L - onset, 0, None)
            pitch = 110 * 2 ** (rng.integers(30) / 12)
            for k in range(1, 8):
                reference_LN[:, n] += np.sin(2 * np.pi * k * pitch * since_L) * np.exp(-k * since_L) / k
    reference_LN = sosfilt(butter(4, 8e3, fs=RATE, output="sos"), reference_LN, axis=0)
    room_DN = rng.standard_normal((8000, n_sources)) * np.exp(-np.arange(8000) / 1500)[:, None]
    spill_LN = fftconvolve(reference_LN, room_DN, axes=0)[: len(time_L)]
    mix_LN = reference_LN + 0.01 * spill_LN @ (1 - np.eye(n_sources)) + 0.002 * spill_LN
    return tuple(np.round(x_LN / np.abs(mix_LN).max() * 2**14) / 2**15 for x_LN in (reference_LN, mix_LN))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder holding mix.flac and reference.flac")
    parser.add_argument("--quick", action="store_true", help="one run of 3 s instead of three of 15 s")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # mir_eval.separation is deprecated

    seconds, repeats = (3, 1) if arguments.quick else (15, 3)
    if arguments.data:
        signals = [soundfile.read(arguments.data / f"{name}.flac")[0] for name in ("reference", "mix")]
        reference_LN, estimate_LN = (signal[: seconds * RATE] for signal in signals)
    else:
        reference_LN, estimate_LN = synthetic(seconds)
    result = {
        "environment": environment(),
        "signals": arguments.data.name if arguments.data else "synthetic",
        "samples": len(reference_LN),
        "sources": reference_LN.shape[1],
    }
    bss_eval(reference_LN[:RATE], estimate_LN[:RATE])  # imports and plans
    for permute in (False, True):
        ours, theirs = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            scores = bss_eval(reference_LN, estimate_LN, permute=permute)
            middle = time.perf_counter()
            expected = bss_eval_sources(reference_LN.T, estimate_LN.T, compute_permutation=permute)
            ours.append(middle - start)
            theirs.append(time.perf_counter() - middle)
        difference = np.abs(np.array(expected[:3]) - [scores.sdr, scores.sir, scores.sar]).max()
        figures = {
            "mnmf_seconds": round(float(np.median(ours)), 4),
            "mir_eval_seconds": round(float(np.median(theirs)), 4),
            "times_faster": round(float(np.median(theirs) / np.median(ours)), 1),
            "max_difference_db": float(difference),
            "same_permutation": bool(np.array_equal(expected[3], scores.permutation)),
        }
        result["with_permutation" if permute else "without_permutation"] = figures
        print(f"permute={permute}: " + ", ".join(f"{key} {value}" for key, value in figures.items()), flush=True)

    path = Path(__file__).parent / "results" / "metrics_speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
