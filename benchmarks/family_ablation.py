"""What choices in the other methods are worth, and whether a dictionary of notes helps the default one.

    python benchmarks/family_ablation.py [--data DIR] [--quick] [--jobs N]

DIR holds cases as for solo_priors.py.  Every figure is a gain on one take with one seed.  The first idea of each method
is the method as it is.  Writes benchmarks/results/family_ablation.json.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import case_named, named_cases
from _measure import Analysis, analyse, fitted, hurried, scorer
from _runner import Cell, Result, arguments, run

from mnmf import KAMIR, METHODS, FullRankMNMF, NoteDictionary, NTFPanning, Prior, priors
from mnmf.kernels import beta as nmf_kernels
from mnmf.kernels import one_blas_thread

SEED = 0
KEPT = 24  # notes a source, those with most energy


def ntf(n_components: int, n_iterations: int, **options: Any) -> NTFPanning:
    return NTFPanning(n_components, n_iterations, **options)


def kamir(_: int, n_iterations: int, **options: Any) -> KAMIR:
    return KAMIR(n_iterations, **options)


def from_solo_bases(take: Analysis, prior: Prior) -> Prior:
    """Hold bases that were learned on the solos instead of starting from the take."""
    rng = np.random.default_rng(SEED)
    bases = priors.solo_bases(*take.evidence.solo, take.evidence.spots, take.recipe.components, rng=rng)
    return Prior(G=prior.G, held=frozenset("G")) | bases.hold("W")


def whole_covariances(take: Analysis, prior: Prior) -> Prior:
    """Keep all eigenvalues of the solos' covariances."""
    return prior | priors.solo_covariances(*take.evidence.solo, take.evidence.spots, exponent=2.0).hold("R")


def one_base_a_note(take: Analysis, prior: Prior) -> Prior:
    return with_brightness(take, prior, (0.0,))


def three_bases_a_note(take: Analysis, prior: Prior) -> Prior:
    return with_brightness(take, prior, (-9.0, -3.0, 3.0))


def with_brightness(take: Analysis, prior: Prior, brightness: tuple[float, ...]) -> Prior:
    dictionary, case = NoteDictionary.embedded(), take.case
    length = take.stft.window_length
    bases = dictionary.prior(case.names, length, case.sample_rate, take.evidence.spots, brightness=brightness)
    return prior | bases.hold("W")


def from_notes(take: Analysis, prior: Prior) -> Prior:
    """Start W and H of the default method from the notes that explain best what each spot hears best."""
    dictionary, case, X_FTM = NoteDictionary.embedded(), take.case, take.evidence.X_FTM
    N = len(case.names)
    z_FTN = X_FTM @ prior.Q[:, :N].astype(X_FTM.dtype).swapaxes(1, 2)
    power_FTN = z_FTN.real**2 + z_FTN.imag**2
    total_FT = np.maximum(power_FTN.sum(axis=2), np.finfo(power_FTN.dtype).tiny)
    W_NFK, H_NKT = [], []
    for n, name in enumerate(case.names):
        D_FT = np.ascontiguousarray(power_FTN[..., n] ** 2 / total_FT, np.float32)
        mean = D_FT.mean()
        D_FT /= mean
        W = dictionary.bases(name, take.stft.window_length, case.sample_rate, exponent=2.0)[-len(D_FT) :]
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
    """What differs from a method: its recipe, its prior; and what it is told."""

    method: str
    kind: str | None = "solo"
    recipe: dict = field(default_factory=dict)
    prior: Callable[[Analysis, Prior], Prior] = lambda take, prior: prior
    dictionary: bool = False


IS_FIXH = partial(Idea, "mnmf-is-fixh")
PANNING = partial(Idea, "ntf-panning")
GAINS = partial(Idea, "kamir")
IDEAS = {
    "fastmnmf2, no solos": {
        "as it is": Idea("fastmnmf2", None),
        "bases start from the embedded dictionary": Idea("fastmnmf2", None, prior=from_notes),
    },
    "fastmnmf2": {
        "as it is": Idea("fastmnmf2"),
        "bases start from the embedded dictionary": Idea("fastmnmf2", prior=from_notes),
    },
    "mnmf-fixh, claps and dictionary": {
        "as it is: every note in two brightnesses": Idea("mnmf-fixh", "clap", dictionary=True),
        "every note once, as published": Idea("mnmf-fixh", "clap", prior=one_base_a_note, dictionary=True),
        "three brightnesses": Idea("mnmf-fixh", "clap", prior=three_bases_a_note, dictionary=True),
    },
    "mnmf-is-fixh": {
        "as it is": IS_FIXH(),
        "all eigenvalues of the solos' covariances in full": IS_FIXH(prior=whole_covariances),
        "50 iterations instead of 25": IS_FIXH(recipe={"iterations": 50}),
        "window 2048, hop a half, instead of 8192 and a quarter": IS_FIXH(
            recipe={"window": 2048 / 44100, "hops_per_window": 2}
        ),
        "Euclidean (mnmf-fixh) at this window": Idea(
            "mnmf-fixh", recipe={"window": 8192 / 44100, "hops_per_window": 4, "model": FullRankMNMF}
        ),
    },
    "ntf-panning": {
        "as it is": PANNING(),
        "bases of the solos, held; window 2048, 50 iterations, β 1.5": PANNING(
            recipe={"window": 2048 / 44100, "hops_per_window": 2, "components": 64, "iterations": 50, "model": ntf},
            prior=from_solo_bases,
        ),
        "window 4096 instead of 16384": PANNING(recipe={"window": 4096 / 44100}),
        "window 8192": PANNING(recipe={"window": 8192 / 44100}),
        "window 32768": PANNING(recipe={"window": 32768 / 44100}),
        "20 iterations instead of 5": PANNING(recipe={"iterations": 20}),
        "β 0.5 instead of 1": PANNING(recipe={"model": partial(ntf, beta=0.5)}),
        "β 1.5": PANNING(recipe={"model": partial(ntf, beta=1.5)}),
        "panning updated": PANNING(prior=lambda take, prior: prior.release("G")),
        "bands of a quarter semitone": PANNING(recipe={"model": partial(ntf, beta=1.0, bands_per_octave=48)}),
    },
    "kamir": {
        "as it is": GAINS(),
        "window 8192 instead of 32768": GAINS(recipe={"window": 8192 / 44100}),
        "window 65536": GAINS(recipe={"window": 65536 / 44100}),
        "exponent 2 instead of 1.5": GAINS(recipe={"model": partial(kamir, exponent=2.0)}),
        "exponent 1": GAINS(recipe={"model": partial(kamir, exponent=1.0)}),
        "no kernel": GAINS(recipe={"model": partial(kamir, kernel="none")}),
        "median over frequency": GAINS(recipe={"model": partial(kamir, kernel="frequency")}),
        "median over a cross": GAINS(recipe={"model": partial(kamir, kernel="cross")}),
        "gains updated from those of the solos": GAINS(prior=lambda take, prior: prior.release("R")),
        "gains not from solos, 50 random projections": GAINS(None, recipe={"model": partial(kamir, n_projections=50)}),
    },
}


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains in SDR and SNR, one number a source."""
    case, idea = case_named(cell["case"], data, quick), IDEAS[cell["heading"]][cell["idea"]]
    recipe = hurried(replace(METHODS[idea.method], **idea.recipe), quick)
    take = analyse(case, recipe, idea.kind, NoteDictionary.embedded() if idea.dictionary else None)
    rng = np.random.default_rng(SEED)
    prior = idea.prior(take, recipe.prior(take.evidence, recipe.components, rng))
    found = scorer(case)(take.stems(fitted(take, prior, rng)))
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
