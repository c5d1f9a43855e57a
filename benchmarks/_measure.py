"""One case through one method as `mnmf.separate` takes it there, and what is gained over the raw spots."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _cases import Case
from mnmf.separate import Evidence, Method, calibration

from mnmf import STFT, NoteDictionary, Prior, metrics
from mnmf.models import assign_spots
from mnmf.stft import window_samples

QUICK_ITERATIONS = 4


@dataclass(frozen=True)
class Analysis:
    """A take as a method sees it; `evidence` has its frequencies from the lowest that is separated on."""

    case: Case
    recipe: Method
    stft: STFT
    gains_M: np.ndarray
    X_FTM: np.ndarray
    evidence: Evidence

    @property
    def own(self) -> list[int]:
        return list(self.case.spots)

    def stems(self, model: Any) -> np.ndarray:
        """Return what a fitted model makes of the take, (L, N); what it does not separate is passed through."""
        wanted_FTM = self.evidence.X_FTM
        if self.recipe.assigned:
            model = assign_spots(model, wanted_FTM, self.case.spots)
        S_FTN = self.X_FTM[..., self.own]
        S_FTN[len(S_FTN) - len(wanted_FTM) :] = model.separate(wanted_FTM)
        y_LN = self.stft.synthesise(S_FTN, len(self.case.mixture_LM))
        return y_LN / self.gains_M[self.own] + self.case.mixture_LM.mean(axis=0)[self.own]


def analyse(case: Case, recipe: Method, kind: str | None, dictionary: NoteDictionary | None = None) -> Analysis:
    """Analyse a take, and its passages of one `kind`, solos or claps, unless that is None or the method is blind."""
    window = window_samples(recipe.window, case.sample_rate)
    stft = STFT(window, window // recipe.hops_per_window)
    x_LM = centred(case.mixture_LM)
    gains_M, _ = calibration(x_LM)
    X_FTM = stft.analyse(x_LM * gains_M)
    first = int(np.ceil(recipe.lowest * window / case.sample_rate))
    solo = None
    if kind is not None and (recipe.bases or not recipe.assigned):
        solo_FTM, passages = solo_spectrogram(case, kind, stft, gains_M)
        solo = solo_FTM[first:], passages
    spots = [(m,) for m in case.spots]

    def notes(exponent: float) -> Prior:
        assert dictionary is not None
        return dictionary.prior(case.names, window, case.sample_rate, spots, exponent=exponent, first_bin=first)

    evidence = Evidence(X_FTM[first:], spots, solo, notes if dictionary else None)
    return Analysis(case, recipe, stft, gains_M, X_FTM, evidence)


def separate(case: Case, recipe: Method, kind: str | None, seed: int = 0) -> np.ndarray:
    """Return the stems (L, N)."""
    take = analyse(case, recipe, kind)
    rng = np.random.default_rng(seed)
    return take.stems(fitted(take, recipe.prior(take.evidence, recipe.components, rng), rng))


def hurried(recipe: Method, quick: bool) -> Method:
    """Return a method with fewer iterations for a quick run."""
    return replace(recipe, iterations=min(recipe.iterations, QUICK_ITERATIONS)) if quick else recipe


def fitted(take: Analysis, prior: Prior, rng: np.random.Generator) -> Any:
    model = take.recipe.model(take.recipe.components, take.recipe.iterations)
    return model.fit(take.evidence.X_FTM, prior, rng=rng)


def solo_spectrogram(case: Case, kind: str, stft: STFT, gains_M: np.ndarray) -> tuple[np.ndarray, list[slice]]:
    """Return the passages of one kind one after another, (F, T, M), and the frames of each source."""
    solo_LM, seconds = case.solos[kind]
    pieces, passages, first = [], [], 0
    for start, stop in seconds:
        x_LM = centred(solo_LM[round(start * case.sample_rate) : round(stop * case.sample_rate)])
        pieces.append(stft.analyse(x_LM * gains_M)[:, stft.frames(0, len(x_LM), len(x_LM))])
        passages.append(slice(first, first + pieces[-1].shape[1]))
        first = passages[-1].stop
    return np.concatenate(pieces, axis=1), passages


def centred(x_LM: np.ndarray) -> np.ndarray:
    """Return a recording without its constant offset, in single precision as most files are."""
    return (x_LM - x_LM.mean(axis=0)).astype(np.float32)


def scorer(case: Case) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return a function that gives the gains of an estimate over the raw spots, one number a source."""
    spots_LN = case.mixture_LM[:, list(case.spots)]
    before, before_snr = metrics.bss_eval(case.truth_LN, spots_LN), median_snr(case, spots_LN)

    def gains(y_LN: np.ndarray) -> dict[str, np.ndarray]:
        after = metrics.bss_eval(case.truth_LN, y_LN)
        return {
            "delta_sdr": after.sdr - before.sdr,
            "delta_sir": after.sir - before.sir,
            "sar": after.sar,
            "delta_snr": median_snr(case, y_LN) - before_snr,
        }

    return gains


def median_snr(case: Case, y_LN: np.ndarray) -> np.ndarray:
    return metrics.framewise(case.truth_LN, y_LN, case.sample_rate).median
