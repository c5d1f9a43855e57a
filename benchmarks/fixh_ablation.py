"""What each choice in fixH is worth: one thing changed at a time, gains over the raw spots.

    python benchmarks/fixh_ablation.py [--data DIR] [--quick]

DIR holds cases as for solo_priors.py.  Writes benchmarks/results/fixh_ablation.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from _cases import Case, folder_cases, quartet_cases
from _environment import environment

from mnmf import STFT, FullRankMNMF, Prior, metrics, priors
from mnmf.separate import calibration

IDEAS: dict[str, dict] = {
    "as it is": {},
    "bases: 30 updates instead of 100": {"base_updates": 30},
    "bases: 300 updates": {"base_updates": 300},
    "32 bases a source instead of 64": {"components": 32},
    "128 bases a source": {"components": 128},
    "25 updates of H instead of 50": {"iterations": 25},
    "200 updates of H": {"iterations": 200},
    "covariances: levels only (diagonal R)": {"diagonal": True},
    "mics not brought to equal loudness": {"calibrate": False},
    "window 4096 instead of 2048": {"window": 4096},
    "window 8192": {"window": 8192},
    "window 8192, hop a quarter": {"window": 8192, "hop": 2048},
}


def gain(
    case: Case,
    seed: int,
    base_updates: int = 100,
    components: int = 64,
    iterations: int = 50,
    diagonal: bool = False,
    calibrate: bool = True,
    window: int = 2048,
    hop: int = 0,
) -> float:
    """Return the mean gain in SDR."""
    stft = STFT(window, hop)
    x_LM = case.mixture_LM.astype(np.float32)
    gains_M = calibration(x_LM)[0] if calibrate else np.ones(x_LM.shape[1], np.float32)
    solo_LM, seconds = case.solos["solo"]
    rate = case.sample_rate
    passages = [stft.frames(start * rate, stop * rate, len(solo_LM)) for start, stop in seconds]
    solo = stft.analyse(solo_LM.astype(np.float32) * gains_M), passages, case.spots
    covariances = priors.solo_covariances(*solo)
    if diagonal:
        covariances = covariances | Prior(R=covariances.R * np.eye(x_LM.shape[1]))
    bases = priors.solo_bases(*solo, components, n_iterations=base_updates, rng=seed)
    X_FTM = stft.analyse(x_LM * gains_M)
    model = FullRankMNMF(n_iterations=iterations).fit(X_FTM, (covariances | bases).hold("R", "W"), rng=seed)
    y_LN = stft.synthesise(model.separate(X_FTM), len(x_LM)) / gains_M[list(case.spots)]
    before = metrics.bss_eval(case.truth_LN, case.mixture_LM[:, list(case.spots)])
    return float(np.mean(metrics.bss_eval(case.truth_LN, y_LN).sdr - before.sdr))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of cases")
    parser.add_argument("--quick", action="store_true", help="one room, one seed")
    arguments = parser.parse_args()
    seeds = 1 if arguments.quick else 2
    cases = list(quartet_cases(arguments.quick))
    if arguments.data:
        cases += folder_cases(arguments.data)
    result = {"environment": environment(), "seeds": seeds, "cases": [case.name for case in cases], "delta_sdr": {}}
    for idea, options in IDEAS.items():
        row = [np.mean([gain(case, seed, **options) for seed in range(seeds)]) for case in cases]
        result["delta_sdr"][idea] = np.round(row, 2).tolist()
        print(f"{idea:40} " + " ".join(f"{value:6.2f}" for value in row), flush=True)
    path = Path(__file__).parent / "results" / "fixh_ablation.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
