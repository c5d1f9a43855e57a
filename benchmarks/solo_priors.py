"""The default method, and the three variants of Cabañas-Molero et al. 2023 (fixH, updtH, blind).

    python benchmarks/solo_priors.py [--data DIR] [--quick] [--seeds N]

DIR holds one folder a case with mix.flac, reference.flac, solo.flac and solo.txt, and clap.flac and clap.txt where
there are claps.  The embedded quartet is always measured as well.  Bases are learned from the solos in every variant;
"claps" says that the covariances come from hand claps.  Prints gains over the raw spots and writes
benchmarks/results/solo_priors.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from _cases import Case, folder_cases, quartet_cases
from _environment import environment
from _measure import centred, median_snr, scorer, separate, solo_spectrogram

from mnmf import STFT, FullRankMNMF, Prior, metrics, priors
from mnmf.separate import DEFAULT_METHOD, METHODS, calibration

VARIANTS = ("default", "default, claps", "default, no solos", "fixH", "fixH, claps", "updtH", "blind")
SEEDS_OF_DEFAULT = 2  # it hardly depends on the seed and takes longer


def measure_default(case: Case, seeds: int) -> dict[str, dict[str, list]]:
    """Return the gains of the default method with solos, with claps and with neither."""
    evidence = {"default, no solos": None, "default": "solo"} | (
        {"default, claps": "clap"} if "clap" in case.solos else {}
    )
    gains = scorer(case)
    results: dict[str, dict[str, list]] = {}
    for name, kind in evidence.items():
        for seed in range(seeds):
            record(results.setdefault(name, {}), gains(separate(case, METHODS[DEFAULT_METHOD], kind, seed)))
    return results


def record(results: dict[str, list], gains: dict[str, np.ndarray]) -> None:
    """Append the gains of one seed."""
    for key, values in gains.items():
        results.setdefault(key, []).append(np.round(values, 3).tolist())


def measure(case: Case, seeds: int) -> dict[str, dict[str, list]]:
    """Return each variant's gains, a list over seeds of lists over sources."""
    stft = STFT(2048)
    x_LM = centred(case.mixture_LM)
    gains_M, _ = calibration(x_LM)
    X_FTM = stft.analyse(x_LM * gains_M)

    solo = solo_spectrogram(case, "solo", stft, gains_M)
    covariances = {
        kind: priors.solo_covariances(*solo_spectrogram(case, kind, stft, gains_M), case.spots) for kind in case.solos
    }
    spots_LN = case.mixture_LM[:, list(case.spots)]
    before, before_snr = metrics.bss_eval(case.truth_LN, spots_LN).sdr, median_snr(case, spots_LN)
    gains = scorer(case)
    results = {"input": {"sdr": before.tolist(), "snr": before_snr.tolist()}}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        bases = priors.solo_bases(*solo, case.spots, 64, rng=rng)
        start = rng.integers(2**31)
        variants: dict[str, Prior] = {
            "fixH": (covariances["solo"] | bases).hold("R", "W"),
            "updtH": (covariances["solo"] | bases).hold("W"),
            "blind": bases.hold("W"),
        }
        if "clap" in covariances:
            variants["fixH, claps"] = (covariances["clap"] | bases).hold("R", "W")
        for name, prior in variants.items():
            model = FullRankMNMF(n_iterations=50).fit(X_FTM, prior, rng=start)
            y_LN = stft.synthesise(model.separate(X_FTM), len(x_LM)) / gains_M[list(case.spots)]
            record(results.setdefault(name, {}), gains(y_LN))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of cases")
    parser.add_argument("--quick", action="store_true", help="one room, one seed")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    seeds = 1 if arguments.quick else arguments.seeds

    cases = list(quartet_cases(arguments.quick))
    if arguments.data:
        cases += folder_cases(arguments.data)
    result = {"environment": environment(), "seeds": seeds, "cases": {}}
    print(f"mean over sources and {seeds} seeds, dB")
    print(f"{'case':18} {'variant':17} {'ΔSDR':>6} {'ΔSIR':>6} {'SAR':>6} {'ΔSNR':>6}")
    for case in cases:
        figures = measure_default(case, min(seeds, SEEDS_OF_DEFAULT)) | measure(case, seeds)
        result["cases"][case.name] = figures
        for variant in VARIANTS:
            if variant in figures:
                row = [np.mean(figures[variant][key]) for key in ("delta_sdr", "delta_sir", "sar", "delta_snr")]
                print(f"{case.name:18} {variant:17} " + " ".join(f"{value:6.2f}" for value in row), flush=True)

    path = Path(__file__).parent / "results" / "solo_priors.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
