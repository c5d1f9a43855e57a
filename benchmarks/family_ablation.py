"""What choices in the other methods are worth, and whether a dictionary of notes helps `fastmnmf2`.

    python benchmarks/family_ablation.py [--data DIR] [--quick] [--jobs N]

DIR holds cases as for solo_priors.py.  Every figure is a gain on one take with one seed.  The first idea of each method
is the method as it is.  Writes benchmarks/results/family_ablation.json.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from _cases import case_named, named_cases
from _measure import hurried, scorer, separate, with_prior
from _runner import Cell, Result, arguments, run

from mnmf import KAMIR, METHODS, Method, NoteDictionary, NTFPanning, Prior, priors
from mnmf.kernels import beta as nmf_kernels
from mnmf.kernels import one_blas_thread
from mnmf.methods import Evidence

SEED = 0
KEPT = 24  # notes a source, those with most energy


def ntf(**options: Any) -> Method:
    return replace(METHODS["ntf-panning"], model=lambda *sizes: NTFPanning(*sizes, **options))


def kamir(**options: Any) -> Method:
    return replace(METHODS["kamir"], model=lambda _, n_iterations: KAMIR(n_iterations, **options))


def whole_covariances(prior: Prior, evidence: Evidence) -> Prior:
    """Keep all eigenvalues of the solos' covariances."""
    return prior | priors.solo_covariances(*evidence.solo, evidence.spots, exponent=2.0).hold("R")


def tilted(*brightness: float) -> Any:
    """Return the embedded dictionary with every note in these brightnesses."""
    notes = NoteDictionary.embedded()
    return SimpleNamespace(name=notes.name, find=notes.find, prior=partial(notes.prior, brightness=brightness))


def from_notes(prior: Prior, evidence: Evidence) -> Prior:
    """Start W and H of `fastmnmf2` from the notes that explain best what each spot hears best."""
    X_FTM, notes_NFK = evidence.X_FTM, evidence.notes(2.0).W
    z_FTN = X_FTM @ prior.Q[:, : len(notes_NFK)].astype(X_FTM.dtype).swapaxes(1, 2)
    power_FTN = z_FTN.real**2 + z_FTN.imag**2
    total_FT = np.maximum(power_FTN.sum(axis=2), np.finfo(power_FTN.dtype).tiny)
    W_NFK, H_NKT = [], []
    for n, W in enumerate(notes_NFK):
        D_FT = np.ascontiguousarray(power_FTN[..., n] ** 2 / total_FT, np.float32)
        mean = D_FT.mean()
        D_FT /= mean
        W = W[:, W.any(axis=0)]  # an instrument with fewer notes has columns of zeros
        W = np.ascontiguousarray(np.maximum(W, 1e-9 * W.max(axis=0)) * len(W), np.float32)
        H = np.full((D_FT.shape[1], W.shape[1]), 1 / W.shape[1], np.float32)
        with one_blas_thread():
            for _ in range(20):
                H = nmf_kernels.update_columns(D_FT, W, H, 0.5)
            most = np.sort(np.argsort(W.sum(axis=0) * H.sum(axis=0))[-KEPT:])
            W, H = np.ascontiguousarray(W[:, most]), np.ascontiguousarray(H[:, most])
            for _ in range(5):
                W = nmf_kernels.update_rows(D_FT, W, H, 0.5)
                H = nmf_kernels.update_columns(D_FT, W, H, 0.5)
        missing = KEPT - W.shape[1]
        W_NFK.append(np.pad(W / W.sum(axis=0), ((0, 0), (0, missing))).astype(float))
        H_NKT.append(np.pad((H * W.sum(axis=0)).T * mean, ((0, missing), (0, 0))).astype(float))
    return prior | Prior(W=np.stack(W_NFK), H=np.stack(H_NKT))


@dataclass(frozen=True)
class Idea:
    """A variant of a method, and what it is given."""

    recipe: Method
    kind: str | None = "solo"
    dictionary: Callable[[], Any] | None = None


DEFAULT, FIXH, IS_FIXH, GAINS, PANNING = (
    METHODS[name] for name in ("fastmnmf2", "mnmf-fixh", "mnmf-is-fixh", "kamir", "ntf-panning")
)
NOTES = with_prior(replace(DEFAULT, bases=True), from_notes)  # for a dictionary to be taken
once = partial(tilted, 0.0)
IDEAS = {
    "fastmnmf2, no solos": {
        "as it is": Idea(DEFAULT, None),
        "bases start from the embedded dictionary": Idea(NOTES, None, once),
    },
    "fastmnmf2": {
        "as it is": Idea(DEFAULT),
        "bases start from the embedded dictionary": Idea(NOTES, "solo", once),
    },
    "mnmf-fixh, claps and dictionary": {
        "as it is: every note in two brightnesses": Idea(FIXH, "clap", NoteDictionary.embedded),
        "every note once, as published": Idea(FIXH, "clap", once),
        "three brightnesses": Idea(FIXH, "clap", partial(tilted, -9.0, -3.0, 3.0)),
    },
    "mnmf-is-fixh": {
        "as it is": Idea(IS_FIXH),
        "all eigenvalues of the solos' covariances in full": Idea(with_prior(IS_FIXH, whole_covariances)),
        "50 iterations instead of 25": Idea(replace(IS_FIXH, iterations=50)),
        "window 2048, hop a half, instead of 8192 and a quarter": Idea(
            replace(IS_FIXH, window=2048 / 44100, hops_per_window=2)
        ),
        "Euclidean (mnmf-fixh) at this window": Idea(replace(FIXH, window=8192 / 44100, hops_per_window=4)),
    },
    "ntf-panning": {
        "as it is": Idea(PANNING),
        "bases of the solos, held; window 2048, 50 iterations, β 1.5": Idea(
            replace(METHODS["ntf-panning-notes"], window=2048 / 44100, hops_per_window=2)
        ),
        "window 4096 instead of 16384": Idea(replace(PANNING, window=4096 / 44100)),
        "window 8192": Idea(replace(PANNING, window=8192 / 44100)),
        "window 32768": Idea(replace(PANNING, window=32768 / 44100)),
        "20 iterations instead of 5": Idea(replace(PANNING, iterations=20)),
        "β 0.5 instead of 1": Idea(ntf(beta=0.5)),
        "β 1.5": Idea(ntf(beta=1.5)),
        "panning updated": Idea(with_prior(PANNING, lambda prior, _: prior.release("G"))),
        "bands of a quarter semitone": Idea(ntf(beta=1.0, bands_per_octave=48)),
    },
    "kamir": {
        "as it is": Idea(GAINS),
        "window 8192 instead of 32768": Idea(replace(GAINS, window=8192 / 44100)),
        "window 65536": Idea(replace(GAINS, window=65536 / 44100)),
        "exponent 2 instead of 1.5": Idea(kamir(exponent=2.0)),
        "exponent 1": Idea(kamir(exponent=1.0)),
        "no kernel": Idea(kamir(kernel="none")),
        "median over frequency": Idea(kamir(kernel="frequency")),
        "median over a cross": Idea(kamir(kernel="cross")),
        "gains updated from those of the solos": Idea(with_prior(GAINS, lambda prior, _: prior.release("R"))),
        "gains not from solos, 50 random projections": Idea(kamir(n_projections=50), None),
    },
}


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains in SDR and SNR, one number a source."""
    case, idea = case_named(cell["case"], data, quick), IDEAS[cell["heading"]][cell["idea"]]
    dictionary = idea.dictionary() if idea.dictionary else None
    y_LN = separate(case, hurried(idea.recipe, quick), idea.kind, SEED, dictionary=dictionary)
    found = scorer(case)(y_LN)
    return {key: np.round(found[key], 3) for key in ("delta_sdr", "delta_snr")}


def show(cells: list[dict]) -> None:
    for each in cells:
        means = " ".join(f"{np.mean(values):6.2f}" for values in each["result"].values())
        print(f"{each['cell']['case']:18} {each['cell']['heading']:32} {each['cell']['idea']:60} {means}")


def main() -> None:
    options = arguments(__doc__)
    measured = run(
        "family_ablation",
        [
            {"case": case, "heading": heading, "idea": idea, "seed": SEED}
            for case in named_cases(options.data, options.quick)
            for heading, ideas in IDEAS.items()
            for idea in ideas
        ],
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    show(measured["cells"])


if __name__ == "__main__":
    main()
