"""What each choice in fixH is worth: one thing changed at a time, gains over the raw spots.

    python benchmarks/fixh_ablation.py [--data DIR] [--quick] [--jobs N]

DIR holds cases as for solo_priors.py.  Writes benchmarks/results/fixh_ablation.json.
"""

from functools import partial
from pathlib import Path

import numpy as np
from _cases import Case, case_named, named_cases
from _runner import Cell, Result, arguments, grouped, run
from mnmf.separate import calibration

from mnmf import STFT, FullRankMNMF, Prior, metrics, priors

SEEDS = 2
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
) -> np.ndarray:
    """Return the gain in SDR of every source."""
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
    return metrics.bss_eval(case.truth_LN, y_LN).sdr - before.sdr


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    case = case_named(cell["case"], data, quick)
    return {"delta_sdr": np.round(gain(case, cell["seed"], **IDEAS[cell["idea"]]), 3)}


def summarise(cells: list[dict]) -> dict:
    """Return the cases, and the mean gain of every idea in each of them."""
    rows: dict[str, list[float]] = {}
    for (idea, _), results in grouped(cells, "idea", "case").items():
        rows.setdefault(idea, []).append(round(float(np.mean([result["delta_sdr"] for result in results])), 2))
    return {"cases": list(dict.fromkeys(each["cell"]["case"] for each in cells)), "delta_sdr": rows}


def main() -> None:
    options = arguments(__doc__)
    measured = run(
        "fixh_ablation",
        [
            {"case": case, "idea": idea, "seed": seed}
            for case in named_cases(options.data, options.quick)
            for idea in IDEAS
            for seed in range(1 if options.quick else SEEDS)
        ],
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    for idea, row in measured["summary"]["delta_sdr"].items():
        print(f"{idea:40} " + " ".join(f"{value:6.2f}" for value in row))


if __name__ == "__main__":
    main()
