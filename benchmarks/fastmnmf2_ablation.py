"""What each choice in `fastmnmf2` is worth: one thing changed at a time, gains over the raw spots.

    python benchmarks/fastmnmf2_ablation.py [--data DIR] [--quick] [--jobs N]

DIR holds cases as for solo_priors.py.  Every figure is a gain on one take with one seed.  All ideas are measured with
solos, some also without.  Four rows of the stored result, on the spread of Q around its prior, were measured with other
constants in the package.  Writes benchmarks/results/fastmnmf2_ablation.json.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from _cases import case_named, named_cases
from _measure import hurried, scorer, separate, with_prior
from _runner import Cell, Result, arguments, run

from mnmf import METHODS, Method, Prior
from mnmf.methods import Evidence
from mnmf.priors._nmf import nmf
from mnmf.priors._spot import weight_start
from mnmf.spots import Spots

SEED = 0
KINDS = {"with solos": "solo", "without solos": None}
AS_IT_IS = METHODS["fastmnmf2"]


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
    """A variant of it, and whether it is measured without solos, too."""

    recipe: Method
    without_solos: bool = False


setting = partial(replace, AS_IT_IS)
prior = partial(with_prior, AS_IT_IS)
IDEAS = {
    "as it is": Idea(AS_IT_IS, True),
    "Q free after its start (maximum likelihood)": Idea(prior(lambda p, _: p.release("Q")), True),
    "Q held": Idea(prior(lambda p, _: p.hold("Q")), True),
    "leak of 0.005 in G instead of 0.02": Idea(prior(small_leak)),
    "start from the square of the dominance": Idea(prior(squared_dominance), True),
    "15 iterations instead of 30": Idea(setting(iterations=15)),
    "60 iterations": Idea(setting(iterations=60)),
    "everything separated, down to 0 Hz": Idea(setting(lowest=0.0), True),
    "16 bases a source instead of 24": Idea(setting(components=16)),
    "32 bases a source": Idea(setting(components=32)),
    "64 bases a source": Idea(setting(components=64)),
    "window 8192 instead of 32768": Idea(setting(window=8192 / 44100), True),
    "window 16384": Idea(setting(window=16384 / 44100), True),
    "window 65536": Idea(setting(window=65536 / 44100), True),
    "hop a half instead of a quarter": Idea(setting(hops_per_window=2)),
}


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains in SDR and SNR, one number a source."""
    case, recipe = case_named(cell["case"], data, quick), hurried(IDEAS[cell["idea"]].recipe, quick)
    found = scorer(case)(separate(case, recipe, KINDS[cell["told"]], SEED))
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
