"""What each choice in fixH is worth: one thing changed at a time, gains over the raw spots.

    python benchmarks/fixh_ablation.py [--data DIR] [--quick] [--jobs N]

DIR holds cases as for solo_priors.py.  Writes benchmarks/results/fixh_ablation.json.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from _cases import case_named, named_cases
from _measure import as_recorded, scorer, separate, with_prior
from _runner import Cell, Result, arguments, grouped, run

from mnmf import METHODS, Method, Prior, priors
from mnmf.methods import Evidence

SEEDS = 2
FIXH = METHODS["mnmf-fixh"]


def with_base_updates(n_iterations: int) -> Method:
    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        solo = *evidence.solo, evidence.spots
        bases = priors.solo_bases(*solo, n_components, n_iterations=n_iterations, rng=rng)
        return (priors.solo_covariances(*solo) | bases).hold("R", "W")

    return replace(FIXH, prior=prior)


def levels_only(prior: Prior, evidence: Evidence) -> Prior:
    return prior | Prior(R=prior.R * np.eye(evidence.X_FTM.shape[2])).hold("R")


UNBALANCED = "mics not brought to equal loudness"
IDEAS = {
    "as it is": FIXH,
    "bases: 30 updates instead of 100": with_base_updates(30),
    "bases: 300 updates": with_base_updates(300),
    "32 bases a source instead of 64": replace(FIXH, components=32),
    "128 bases a source": replace(FIXH, components=128),
    "25 updates of H instead of 50": replace(FIXH, iterations=25),
    "200 updates of H": replace(FIXH, iterations=200),
    "covariances: levels only (diagonal R)": with_prior(FIXH, levels_only),
    UNBALANCED: FIXH,
    "window 4096 instead of 2048": replace(FIXH, window=4096 / 44100),
    "window 8192": replace(FIXH, window=8192 / 44100),
    "window 8192, hop a quarter": replace(FIXH, window=8192 / 44100, hops_per_window=4),
}


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    case, recipe = case_named(cell["case"], data, quick), IDEAS[cell["idea"]]
    if cell["idea"] == UNBALANCED:
        recipe = as_recorded(recipe, case.take())
    return {"delta_sdr": np.round(scorer(case)(separate(case, recipe, "solo", cell["seed"]))["delta_sdr"], 3)}


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
