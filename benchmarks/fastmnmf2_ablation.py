"""What each choice in the default method is worth: one thing changed at a time, gains over the raw spots.

    python benchmarks/fastmnmf2_ablation.py [--data DIR] [--quick] [--jobs N]

DIR holds cases as for solo_priors.py.  Every figure is a gain on one take with one seed.  All ideas are measured with
solos, some also without.  Writes benchmarks/results/fastmnmf2_ablation.json.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from _cases import case_named, named_cases
from _measure import Analysis, analyse, fitted, hurried, scorer
from _runner import Cell, Result, arguments, run
from mnmf.separate import DEFAULT_METHOD, METHODS, Evidence

from mnmf import Prior
from mnmf.models import _pull
from mnmf.priors._nmf import nmf
from mnmf.priors._spot import weight_start
from mnmf.spots import Spots

SEED = 0
KINDS = {"with solos": "solo", "without solos": None}


def small_leak(prior: Prior, evidence: Evidence) -> Prior:
    """Start G with less of the other rows."""
    n_mics = evidence.X_FTM.shape[2]
    return prior | Prior(G=weight_start(Spots(evidence.spots).rows(n_mics), n_mics, leak=0.005))


def squared_dominance(prior: Prior, evidence: Evidence) -> Prior:
    """Start W and H from |z_n|² (|z_n|² / Σ_r |z_r|²)²."""
    N, _, K = prior.W.shape
    z_FTN = evidence.X_FTM @ prior.Q[:, :N].astype(evidence.X_FTM.dtype).swapaxes(1, 2)
    power_NFT = np.moveaxis(z_FTN.real**2 + z_FTN.imag**2, 2, 0)
    share_NFT = power_NFT / np.maximum(power_NFT.sum(axis=0), np.finfo(power_NFT.dtype).tiny)
    rng = np.random.default_rng(SEED)
    starts = [nmf(D_FT, K, beta=0.5, n_iterations=60, rng=rng) for D_FT in power_NFT * share_NFT**2]
    W_NFK, H_NKT = (np.stack(parts) for parts in zip(*starts))
    return prior | Prior(W=W_NFK, H=H_NKT)


@dataclass(frozen=True)
class Idea:
    """What differs from the default method: in its recipe, in the prior it makes, in the constants of the pull."""

    recipe: dict = field(default_factory=dict)
    prior: Callable[[Prior, Evidence], Prior] = lambda prior, evidence: prior
    pull: dict = field(default_factory=dict)
    without_solos: bool = False


IDEAS = {
    "as it is": Idea(without_solos=True),
    "Q free after its start (maximum likelihood)": Idea(prior=lambda p, _: p.release("Q"), without_solos=True),
    "Q held": Idea(prior=lambda p, _: p.hold("Q"), without_solos=True),
    "deviations Gaussian instead of Student's t": Idea(pull={"DEGREES": 1e9}, without_solos=True),
    "every frame counts in full (`OVERLAP` 1)": Idea(pull={"OVERLAP": 1.0}),
    "four frames count as one (`OVERLAP` 4)": Idea(pull={"OVERLAP": 4.0}),
    "one spread for all frequencies": Idea(pull={"NARROWEST": 10**9}, without_solos=True),
    "leak of 0.005 in G instead of 0.02": Idea(prior=small_leak),
    "start from the square of the dominance": Idea(prior=squared_dominance, without_solos=True),
    "15 iterations instead of 30": Idea({"iterations": 15}),
    "60 iterations": Idea({"iterations": 60}),
    "everything separated, down to 0 Hz": Idea({"lowest": 0.0}, without_solos=True),
    "16 bases a source instead of 24": Idea({"components": 16}),
    "32 bases a source": Idea({"components": 32}),
    "64 bases a source": Idea({"components": 64}),
    "window 8192 instead of 32768": Idea({"window": 8192 / 44100}, without_solos=True),
    "window 16384": Idea({"window": 16384 / 44100}, without_solos=True),
    "window 65536": Idea({"window": 65536 / 44100}, without_solos=True),
    "hop a half instead of a quarter": Idea({"hops_per_window": 2}),
}


@contextmanager
def constants(values: dict) -> Iterator[None]:
    """Change constants of the pull for a while."""
    before = {name: getattr(_pull, name) for name in values}
    try:
        for name, value in values.items():
            setattr(_pull, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(_pull, name, value)


@lru_cache(1)  # ideas that share a start follow one another
def start(
    case: str, kind: str | None, changes: tuple[tuple[str, float], ...], data: Path | None, quick: bool
) -> tuple[Analysis, Prior]:
    take = analyse(case_named(case, data, quick), replace(METHODS[DEFAULT_METHOD], **dict(changes)), kind)
    rng = np.random.default_rng(SEED)
    return take, take.recipe.prior(take.evidence, take.recipe.components, rng)


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains in SDR and SNR, one number a source."""
    idea = IDEAS[cell["idea"]]
    of_start = tuple((key, value) for key, value in idea.recipe.items() if key != "iterations")
    take, prior = start(cell["case"], KINDS[cell["told"]], of_start, data, quick)
    take = replace(take, recipe=hurried(replace(take.recipe, **idea.recipe), quick))
    with constants(idea.pull):
        y_LN = take.stems(fitted(take, idea.prior(prior, take.evidence), np.random.default_rng(SEED)))
    found = scorer(take.case)(y_LN)
    return {key: np.round(found[key], 3) for key in ("delta_sdr", "delta_snr")}


def show(cells: list[dict]) -> None:
    for each in cells:
        means = " ".join(f"{np.mean(values):6.2f}" for values in each["result"].values())
        print(f"{each['cell']['case']:18} {each['cell']['told']:14} {each['cell']['idea']:45} {means}")


def main() -> None:
    options = arguments(__doc__)
    measured = run(
        "fastmnmf2_ablation",
        [
            {"case": case, "told": told, "idea": name, "seed": SEED}
            for case in named_cases(options.data, options.quick)
            for told, kind in KINDS.items()
            for name, idea in IDEAS.items()
            if kind or idea.without_solos
        ],
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    show(measured["cells"])


if __name__ == "__main__":
    main()
