"""What a method makes of a case, and what is gained over the raw spots.

Methods run by `mnmf.separate`; how it does that is not repeated here.  A variant of a method is another `Method`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _cases import Case

import mnmf
from mnmf import Method, Prior, Separation, Take, audio, metrics
from mnmf.methods import Evidence
from mnmf.take import Levels

QUICK_ITERATIONS = 4


def separate(case: Case, recipe: Method, kind: str | None, seed: int = 0, **options: Any) -> np.ndarray:
    """Return the stems (L, N) at the level of the case, given its passages of one `kind` unless that is None."""
    return stems_of(case, mnmf.separate(case.take(kind), method=recipe, seed=seed, **options))


def run_separate(folder: Path, take_LM: np.ndarray, rate: int, *options: str) -> tuple[float, dict[str, Any]]:
    """Run `mnmf separate` on a take, in that folder; return its seconds and its manifest."""
    audio.write(folder / "take.wav", take_LM, rate)
    words = [sys.executable, "-m", "mnmf", "separate", str(folder / "take.wav"), "--out", str(folder / "stems")]
    start = time.perf_counter()
    subprocess.run([*words, "--overwrite", *options], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return seconds, json.loads((folder / "stems" / "manifest.json").read_text("utf-8"))


def stems_of(case: Case, done: Separation) -> np.ndarray:
    """Return the stems of a separated `case.take()` at the level of the case."""
    return done.stems_LN.astype(float) * case.peak


def hurried(recipe: Method, quick: bool) -> Method:
    """Return a method with fewer iterations for a quick run."""
    return replace(recipe, iterations=min(recipe.iterations, QUICK_ITERATIONS)) if quick else recipe


def with_prior(recipe: Method, change: Callable[[Prior, Evidence], Prior]) -> Method:
    """Return a method that starts from a changed prior."""

    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        return change(recipe.prior(evidence, n_components, rng), evidence)

    return replace(recipe, prior=prior)


class AsRecorded:
    """A model that sees the microphones as loud as they were recorded, not brought to equal loudness by `gains_M`."""

    def __init__(self, model: Any, gains_M: np.ndarray) -> None:
        self.model, self.gains_M = model, gains_M

    def fit(self, X_FTM: np.ndarray, prior: Prior, **options: Any) -> "AsRecorded":
        self.model.fit(X_FTM / self.gains_M, prior, **options)
        return self

    def images(self, X_FTM: np.ndarray, source: int, mics: Sequence[int]) -> np.ndarray:
        return self.model.images(X_FTM / self.gains_M, source, mics) * self.gains_M[list(mics)]


def as_recorded(recipe: Method, take: Take) -> Method:
    """Return a method that does not bring the microphones of this take to equal loudness."""
    gains_M = Levels.of(take).gains_M

    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        solo = evidence.solo and (evidence.solo[0] / gains_M, evidence.solo[1])
        return recipe.prior(replace(evidence, X_FTM=evidence.X_FTM / gains_M, solo=solo), n_components, rng)

    return replace(recipe, prior=prior, model=lambda *sizes: AsRecorded(recipe.model(*sizes), gains_M))


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
