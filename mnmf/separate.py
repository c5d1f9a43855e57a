"""The whole story, from a session to its stems.  No equations, no printing: this is where everything else meets."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mnmf
from mnmf import audio, priors
from mnmf.errors import SessionError, check_choice, check_count
from mnmf.models import FastMNMF2, FullRankMNMF, NTFPanning, assign_spots, match_gains
from mnmf.models._model import Model
from mnmf.output import OutputFolder
from mnmf.priors import Prior
from mnmf.session import Session
from mnmf.stft import STFT, window_samples

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Evidence",
    "Method",
    "Separation",
    "calibration",
    "manifest",
    "separate",
    "stem_name",
    "write_stems",
]

Array = NDArray[Any]
Progress = Callable[[str, float], Any]

CABANAS_2023 = "Cabañas-Molero et al. 2023, Pre-trained spatial priors on multichannel NMF"
CARABIAS_2013 = "Carabias-Orti et al. 2013, Nonnegative signal factorization with learnt instrument models"
SEKIGUCHI_2020 = "Sekiguchi et al. 2020, Fast multichannel NMF with directivity-aware covariances"


@dataclass(frozen=True)
class Evidence:
    """What the priors may learn from: the take, whose spot is whose, and the solos if every source has one."""

    X_FTM: Array
    spots: list[tuple[int, ...]]
    solo: tuple[Array, list[slice]] | None


@dataclass(frozen=True)
class Method:
    """A separation method by its name: its citation, what it needs, its defaults, and the prior that makes it.

    `window` is in seconds.  `prior` makes of the evidence, the number of components and a generator what the model
    starts from; `model` makes the model itself of the numbers of components and iterations.  Below `lowest`, in Hz,
    nothing is separated.  A method that is `assigned` starts without regard to spots, and to solos unless it needs
    them; which of the fitted sources belongs to which spot is found by their energy there.
    """

    summary: str
    citation: str
    model: Callable[[int, int], Model]
    prior: Callable[[Evidence, int, np.random.Generator], Prior]
    needs_solos: bool
    window: float
    hops_per_window: int
    components: int
    iterations: int
    assigned: bool = False
    lowest: float = 0.0

    @property
    def needs(self) -> str:
        """What a session must have, in words."""
        if self.needs_solos:
            return "a solo of every source"
        return "a spot for every source" + ("" if self.assigned else "; solos of all of them help")


def _spot_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what each spot hears best, demixed as the solos teach; bases from solos where a spot is shared."""
    references = [mics[0] for mics in evidence.spots]
    if len(set(references)) == len(references):
        Q = None
        if evidence.solo is not None:
            Q = match_gains(evidence.X_FTM, priors.solo(*evidence.solo, evidence.spots)).Q
        return priors.spot(evidence.X_FTM, evidence.spots, Q, n_components, rng=rng)
    if evidence.solo is None:
        raise SessionError("two sources share a mic; only a solo of every source can tell them apart: give --solos")
    return priors.solo_bases(*evidence.solo, evidence.spots, n_components, exponent=2.0, rng=rng).hold("W")


def _circular_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start as published; refuse what leaves the sources with no order afterwards."""
    if len({mics[0] for mics in evidence.spots}) < len(evidence.spots):
        raise SessionError("two sources share a mic, which a blind start cannot tell apart; take another method")
    return priors.circular(evidence.X_FTM, len(evidence.spots), n_components, rng=rng)


def _solo_prior(*held: str, covariances: bool = True) -> Callable[[Evidence, int, np.random.Generator], Prior]:
    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        if evidence.solo is None:
            raise SessionError("this method needs a solo of every source; label them with --solos")
        bases = priors.solo_bases(*evidence.solo, evidence.spots, n_components, rng=rng)
        if not covariances:
            return bases.hold(*held)
        return (priors.solo_covariances(*evidence.solo, evidence.spots) | bases).hold(*held)

    return prior


def _panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the panning of the solos; start from what each spot hears best, or from bases where a spot is shared."""
    if evidence.solo is None:
        raise SessionError("this method needs a solo of every source; label them with --solos")
    panning = priors.solo_panning(*evidence.solo, evidence.spots).hold("G")
    if len({mics[0] for mics in evidence.spots}) < len(evidence.spots):
        return panning | priors.solo_bases(*evidence.solo, evidence.spots, n_components, rng=rng).hold("W")
    return panning | priors.spot(evidence.X_FTM, evidence.spots, None, n_components, exponent=1.0, beta=1.0, rng=rng)


def _blind_panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the bases of the solos; refuse what leaves sources of like bases with no order afterwards."""
    if len({mics[0] for mics in evidence.spots}) < len(evidence.spots):
        raise SessionError("two sources share a mic, which a blind start cannot tell apart; take another method")
    return _solo_prior("W", covariances=False)(evidence, n_components, rng)


def _fullrank(summary: str, prior: Callable[[Evidence, int, np.random.Generator], Prior]) -> Method:
    return Method(summary, CABANAS_2023, FullRankMNMF, prior, True, 2048 / 44100, 2, 64, 50)


METHODS = {
    "fastmnmf2": Method(
        "FastMNMF2 from what each spot hears best, and the solos if there are any",
        SEKIGUCHI_2020,
        FastMNMF2,
        _spot_prior,
        needs_solos=False,
        window=32768 / 44100,
        hops_per_window=4,
        components=24,
        iterations=30,
        lowest=20.0,
    ),
    "fastmnmf2-blind": Method(
        "FastMNMF2 as published, from a circular start, its outputs given to the spots by energy; ignores solos",
        SEKIGUCHI_2020,
        FastMNMF2,
        _circular_prior,
        needs_solos=False,
        window=4096 / 44100,
        hops_per_window=4,
        components=16,
        iterations=100,
        assigned=True,
    ),
    "mnmf-fixh": _fullrank("full-rank MNMF, covariances from the solos, held", _solo_prior("R", "W")),
    "mnmf-updth": _fullrank("full-rank MNMF, covariances from the solos, updated", _solo_prior("W")),
    "mnmf-blind": _fullrank(
        "full-rank MNMF, covariances from a random start, bases from the solos", _solo_prior("W", covariances=False)
    ),
    "ntf-panning": Method(
        "NTF of magnitudes, panning from the solos, held; bases from what each spot hears best",
        CARABIAS_2013,
        lambda n_components, n_iterations: NTFPanning(n_components, n_iterations, beta=1.0),
        _panning_prior,
        needs_solos=True,
        window=16384 / 44100,
        hops_per_window=4,
        components=24,
        iterations=5,
    ),
    "ntf-panning-blind": Method(
        "NTF of magnitudes, panning from a random start, bases from the solos, outputs given to the spots by energy",
        CARABIAS_2013,
        NTFPanning,
        _blind_panning_prior,
        needs_solos=True,
        window=2048 / 44100,
        hops_per_window=2,
        components=64,
        iterations=50,
        assigned=True,
    ),
}
DEFAULT_METHOD = "fastmnmf2"

SILENT = 1e-3  # of the median microphone's RMS


@dataclass(frozen=True)
class Separation:
    """What `separate` returns.

    Attributes
    ----------
    stems_LN : float32, or float64 for 32-bit and double takes; shape (samples, sources)
        Each source at its own spot, at the level of the take.
    model : one of `mnmf.models`
        The fitted model, of the frequencies of `stft` from the method's `lowest` on.
    stft : STFT
        The analysis it was fitted to.
    method : str
    parameters : dict
        Everything that, with the input, decides the result.
    seconds : dict
        How long each stage took.
    silent_mics : tuple of int
        Microphones of the take that heard practically nothing, counted from 0.
    """

    stems_LN: Array
    model: Model
    stft: STFT
    method: str
    parameters: dict[str, Any]
    seconds: dict[str, float]
    silent_mics: tuple[int, ...]


def separate(
    session: Session,
    method: str = DEFAULT_METHOD,
    *,
    seed: int = 0,
    window: float | None = None,
    iterations: int | None = None,
    components: int | None = None,
    progress: Progress | None = None,
) -> Separation:
    """Recover each player's own sound at its own spot.

    Parameters
    ----------
    session : Session
        Who played, where, and alone when.
    method : str
        One of `METHODS`.
    seed : int
        Decides every random start; the same seed gives the same stems, byte for byte.
    window : float, optional
        Analysis window in seconds, rounded to a length that transforms fast.
    iterations, components : int, optional
        Updates of the model, and bases per source; the method's defaults if not given.
    progress : callable, optional
        Called with the name of a stage and the part of it that is done, 0 to 1.

    Raises
    ------
    ArgumentError
        An unknown method, or a number out of range.
    SessionError
        The method needs what the session lacks.
    AudioFileError
        A file cannot be read, or holds NaN.
    """
    recipe = METHODS[check_choice("method", method, tuple(METHODS))]
    check_count("seed", seed, 0)
    n_components = check_count("components", recipe.components if components is None else components)
    n_iterations = check_count("iterations", recipe.iterations if iterations is None else iterations)
    if recipe.needs_solos and session.without_solo():
        raise SessionError(
            f"{method} needs {recipe.needs}; {session.without_solo()[0]!r} has none: label one with --solos"
        )
    window_length = window_samples(recipe.window if window is None else window, session.take.sample_rate)
    stft = STFT(window_length, window_length // recipe.hops_per_window)
    spots = [spot.mics for spot in session.spots]
    rng = np.random.default_rng(seed)
    clock = _Clock(progress)

    clock.start("read")
    x_LM = session.take.read(dtype=session.take.exact_dtype)
    # A constant offset is no sound; it would draw the model's attention, so it waits aside and returns with the spot.
    offset_M = x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)
    x_LM -= offset_M
    gains_M, silent_mics = calibration(x_LM)
    X_FTM = stft.analyse(x_LM * gains_M)
    # Rumble that no player makes would have the model trade it between the stems: each spot keeps its own.
    first = min(int(np.ceil(recipe.lowest * window_length / session.take.sample_rate)), stft.n_frequencies - 1)
    rumble_FTM, X_FTM = X_FTM[:first], X_FTM[first:]

    clock.start("prepare")
    solo = None
    if not session.without_solo() and (recipe.needs_solos or not recipe.assigned):
        solo_FTM, passages = solo_spectrogram(session, stft, gains_M)
        solo = solo_FTM[first:], passages
    prior = recipe.prior(Evidence(X_FTM, spots, solo), n_components, rng)
    del solo

    clock.start("fit")
    model = recipe.model(n_components, n_iterations)
    model.fit(X_FTM, prior, rng=rng, callback=lambda done, cost: clock.tell(done / n_iterations))

    clock.start("reconstruct")
    if recipe.assigned:
        model = assign_spots(model, X_FTM, spots)
    stems_LN = np.empty((len(x_LM), len(spots)), x_LM.dtype)
    for n, (own, *_) in enumerate(spots):  # one at a time, for memory
        image_FTM = np.concatenate([rumble_FTM[..., [own]], model.images(X_FTM, n, [own])])
        stems_LN[:, n] = stft.synthesise(image_FTM, len(x_LM))[:, 0] / gains_M[own] + offset_M[own]
        clock.tell((n + 1) / len(spots))
    clock.stop()

    parameters = {
        "seed": seed,
        "window_samples": stft.window_length,
        "hop_samples": stft.hop,
        "components": n_components,
        "iterations": n_iterations,
    }
    return Separation(stems_LN, model, stft, method, parameters, clock.seconds, silent_mics)


def calibration(x_LM: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the gains, float32 (M,), that bring every microphone of a take to the same loudness, and the silent mics.

    A preamplifier's setting is no property of the room.  Loudness is the RMS about the mean.  A microphone more than
    60 dB below the median one is silent: it keeps its level, or its noise would be brought to the level of music.
    """
    rms_M = np.std(x_LM, axis=0, dtype=np.float64)
    loud = rms_M > SILENT * np.median(rms_M)
    if not loud.any():
        loud = rms_M > 0
    silent_mics = tuple(int(m) for m in np.flatnonzero(~loud))
    target = np.exp(np.mean(np.log(rms_M[loud]))) if loud.any() else 1.0
    return np.where(loud, target / np.where(loud, rms_M, 1.0), 1.0).astype(np.float32), silent_mics


def solo_spectrogram(session: Session, stft: STFT, gains_M: Array) -> tuple[Array, list[slice]]:
    """Return the solo passages of all sources one after another, (F, T, M), and the frames of each source."""
    pieces, passages, first = [], [], 0
    for source in session.sources:
        start = first
        for x_LM in session.solos(source):
            # Only frames wholly within the passage: those at its ends would see the cut.
            inside = stft.frames(0, len(x_LM), len(x_LM))
            x_LM = x_LM - x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)
            pieces.append(stft.analyse(x_LM * gains_M)[:, inside])
            first += pieces[-1].shape[1]
        passages.append(slice(start, first))
    return np.concatenate(pieces, axis=1), passages


def write_stems(session: Session, separation: Separation, folder: OutputFolder, inside: str = "") -> dict[str, int]:
    """Write the stems in the format of their spots, and return how many samples had to be clipped, by source.

    `inside` names a sub-folder of `folder`, as in ``"stems/"``.
    """
    clipped = {}
    for n, source in enumerate(session.sources):
        mic = session.spots[n].mics[0]
        stem_L = separation.stems_LN[:, n]
        clipped[source] = audio.write_stem(folder.path(inside + stem_name(session, n)), stem_L, session.take, mic)
    return {source: count for source, count in clipped.items() if count}


def stem_name(session: Session, source: int) -> str:
    """Return the file name of a source's stem: its name, with the extension of its own spot's file."""
    return session.sources[source] + session.take.mics[session.spots[source].mics[0]].suffix


def manifest(session: Session, separation: Separation, clipped: dict[str, int], folder: Path) -> dict[str, Any]:
    """Return what ``manifest.json`` records: all that is needed to tell, and to repeat, how the stems were made.

    Paths in it are relative to `folder`, where the stems are.
    """

    def shown(path: Path) -> str:
        try:
            return Path(os.path.relpath(path, folder)).as_posix()
        except ValueError:  # another drive
            return str(path.resolve())

    files = {*session.take.sha256().items(), *session.solo_take.sha256().items()}
    if session.markers is not None:
        files.add((session.markers, hashlib.sha256(session.markers.read_bytes()).hexdigest()))
    names = session.take.mic_names
    return {
        "mnmf": mnmf.__version__,
        "versions": _versions(),
        "method": separation.method,
        "citation": METHODS[separation.method].citation,
        "parameters": separation.parameters,
        "sources": [
            {
                "name": source,
                "file": stem_name(session, n),
                "mics": [m + 1 for m in spot.mics],
                "mic_names": [names[m] for m in spot.mics],
                "margin_db": None if spot.margin_db is None or np.isinf(spot.margin_db) else round(spot.margin_db, 2),
                "solos": [[p.start, p.stop] for p in session.passages if p.source == source],
                "clipped_samples": clipped.get(source, 0),
            }
            for n, (source, spot) in enumerate(zip(session.sources, session.spots))
        ],
        "ambient_mics": [m + 1 for m in session.ambient],
        "silent_mics": [m + 1 for m in separation.silent_mics],
        "take": [shown(path) for path in session.take.paths],
        "solo_take": [shown(path) for path in session.solo_take.paths] if session.passages else None,
        "sha256": {shown(path): digest for path, digest in sorted(files)},
        "sample_rate": session.take.sample_rate,
        "samples": session.take.n_samples,
        "seconds": {stage: round(seconds, 3) for stage, seconds in separation.seconds.items()},
        "peak_memory_mb": peak_memory_mb(),
    }


def peak_memory_mb() -> float | None:
    """Return the largest memory this process has held so far, in units of 10⁶ bytes; None where unknown (Windows)."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux's getrusage would count what the parent held when it started us.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _versions() -> dict[str, str]:
    import numba
    import scipy
    import soundfile

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "soundfile": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
    }


class _Clock:
    """Times the stages and passes on how far each has come."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage = ""
        self._since = 0.0

    def start(self, stage: str) -> None:
        self.stop()
        self._stage, self._since = stage, time.perf_counter()
        self.tell(0.0)

    def tell(self, done: float) -> None:
        if self._progress is not None and self._stage:
            self._progress(self._stage, done)

    def stop(self) -> None:
        if self._stage:
            self.tell(1.0)
            self.seconds[self._stage] = time.perf_counter() - self._since
        self._stage = ""
