"""Time bss_eval against mir_eval and museval on four sources of 15 s, and compare their scores.

    python benchmarks/metrics_speed.py [--data DIR] [--quick]

DIR holds cases as in solo_priors.py, of which the first is taken; by default signals are made up.  The runs are
interleaved, so that all meet the same load; a library that is not installed is left out.  Writes
benchmarks/results/metrics_speed.json.
"""

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from _cases import folder_cases
from _environment import environment
from _runner import arguments, result_path
from scipy.signal import butter, fftconvolve, sosfilt

from mnmf.metrics import bss_eval

try:
    from mir_eval.separation import bss_eval_sources
except ImportError:
    bss_eval_sources = None
museval: Any = None
try:
    import museval
except Exception:  # whatever it lacks: it looks for ffmpeg when it is imported
    museval = None

RATE = 44100
T = TypeVar("T")


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


def ours(reference_LN: np.ndarray, estimate_LN: np.ndarray, permute: bool) -> np.ndarray:
    """Return SDR, SIR and SAR, (3, N)."""
    scores = bss_eval(reference_LN, estimate_LN, permute=permute)
    return np.array([scores.sdr, scores.sir, scores.sar])


def by_mir_eval(reference_LN: np.ndarray, estimate_LN: np.ndarray, permute: bool) -> np.ndarray:
    assert bss_eval_sources is not None
    return np.array(bss_eval_sources(reference_LN.T, estimate_LN.T, compute_permutation=permute)[:3])


def by_museval(reference_LN: np.ndarray, estimate_LN: np.ndarray, permute: bool) -> np.ndarray:
    assert museval is not None
    sdr, _, sir, sar, _ = museval.metrics.bss_eval(
        reference_LN.T[..., None],
        estimate_LN.T[..., None],
        window=np.inf,
        hop=np.inf,
        compute_permutation=permute,
        framewise_filters=False,
        bsseval_sources_version=True,
    )
    return np.array([sdr[:, 0], sir[:, 0], sar[:, 0]])


RIVALS = {"mir_eval": by_mir_eval, "museval": by_museval}
INSTALLED = {"mir_eval": bss_eval_sources is not None, "museval": museval is not None}


def signals(folder: Path | None, seconds: float) -> tuple[str, np.ndarray, np.ndarray]:
    """Return what the signals are, references and estimates: of the first take in a folder, or made up."""
    if folder is None:
        return "synthetic", *synthetic(seconds)
    taken = next(folder_cases(folder))
    length = round(seconds * taken.sample_rate)
    return taken.name, taken.truth_LN[:length], taken.mixture_LM[:length, list(taken.spots)]


def timed(work: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    start = time.perf_counter()
    done = work(*arguments)
    return time.perf_counter() - start, done


def main() -> None:
    warnings.simplefilter("ignore", FutureWarning)  # mir_eval.separation is deprecated
    options = arguments(__doc__, data="folder of cases, of which the first is taken")
    seconds, repeats = (1, 1) if options.quick else (15, 3)
    name, reference_LN, estimate_LN = signals(options.data, seconds)
    result: dict = {
        "environment": environment(),
        "seeds": [] if options.data else [0],
        "signals": name,
        "samples": len(reference_LN),
        "sources": reference_LN.shape[1],
    }
    bss_eval(reference_LN[:RATE], estimate_LN[:RATE])  # imports and plans
    for permute in (False, True):
        times: dict[str, list[float]] = {}
        difference: dict[str, float] = {}
        for _ in range(repeats):
            took, scores = timed(ours, reference_LN, estimate_LN, permute)
            times.setdefault("mnmf", []).append(took)
            for rival, score in RIVALS.items():
                if INSTALLED[rival]:
                    took, expected = timed(score, reference_LN, estimate_LN, permute)
                    times.setdefault(rival, []).append(took)
                    difference[rival] = float(np.abs(expected - scores).max())
        medians = {rival: float(np.median(took)) for rival, took in times.items()}
        figures: dict = {f"{rival}_seconds": round(took, 4) for rival, took in medians.items()}
        if "mir_eval" in medians:
            figures["times_faster"] = round(medians["mir_eval"] / medians["mnmf"], 1)
        if "museval" in medians:
            figures["times_faster_than_museval"] = round(medians["museval"] / medians["mnmf"], 1)
        figures["max_difference_db"] = max(difference.values(), default=None)
        result["with_permutation" if permute else "without_permutation"] = figures
        print(f"permute={permute}: " + ", ".join(f"{key} {value}" for key, value in figures.items()), flush=True)

    path = result_path("metrics_speed", options.quick)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")


def table(document: dict) -> str:
    """Seconds of BSS_eval beside the other libraries'."""
    lines = ["| | as they are | best permutation |", "|---|---|---|"]
    both = document["without_permutation"], document["with_permutation"]
    for library in ("mnmf", *RIVALS):
        lacking = "not installed, or without ffmpeg" if library == "museval" else "not installed"
        cells = [f"{found[f'{library}_seconds']:.2f} s" if f"{library}_seconds" in found else None for found in both]
        lines.append(f"| {library} | " + " | ".join(cell or lacking for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
