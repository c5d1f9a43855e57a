"""The whole story, from a session to its stems.  No equations, no printing: this is where everything else meets."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import audio
from mnmf._version import __version__
from mnmf.errors import ArgumentError, SessionError, check_choice, check_count, check_number
from mnmf.methods import DEFAULT_METHOD, METHODS, Evidence, Method
from mnmf.models import assign_spots
from mnmf.notes import NoteDictionary
from mnmf.output import OutputFolder
from mnmf.priors import Estimator, Prior, estimate
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

TRUST = 1.0  # in estimates of the sources, beside what the spots hear
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
    stft : STFT or None
        The analysis it was fitted to; None if it was the waveform.
    method : str
    parameters : dict
        Everything that, with the input, decides the result.
    seconds : dict
        How long each stage took.
    silent_mics : tuple of int
        Microphones of the take that heard practically nothing, counted from 0.
    not_estimated : tuple of str
        Sources of which the estimator, if there was one, said nothing.
    """

    stems_LN: Array
    model: Any
    stft: STFT | None
    method: str
    parameters: dict[str, Any]
    seconds: dict[str, float]
    silent_mics: tuple[int, ...]
    not_estimated: tuple[str, ...] = ()


def separate(
    session: Session,
    method: str = DEFAULT_METHOD,
    *,
    seed: int = 0,
    window: float | None = None,
    iterations: int | None = None,
    components: int | None = None,
    dictionary: NoteDictionary | None = None,
    estimator: Estimator | None = None,
    trust: float = TRUST,
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
    dictionary : NoteDictionary, optional
        Takes the place of bases learned from the solos, if the method tells its bases; its notes are the components.
    estimator : priors.Estimator, optional
        Guesses the sources; the method starts from what of each spot is its own player's by that.
    trust : float
        How far the guesses count beside what the spots themselves hear: 0, not at all, to 1, as far as they seem the
        better ones (`priors.estimate_trust`).
    progress : callable, optional
        Called with the name of a stage and the part of it that is done, 0 to 1.

    Raises
    ------
    ArgumentError
        An unknown method, or a number out of range; or what the estimator returns is no guess of the sources.
    SessionError
        The method needs what the session lacks; or there are estimates, and two sources share a mic.
    AudioFileError
        A file cannot be read, or holds NaN.
    """
    recipe = METHODS[check_choice("method", method, tuple(METHODS))]
    check_count("seed", seed, 0)
    if dictionary is not None:
        if not recipe.takes_notes:
            takers = ", ".join(name for name, other in METHODS.items() if other.takes_notes)
            raise ArgumentError(f"{method} has no use for a dictionary; methods that have: {takers}")
        if components is not None:
            raise ArgumentError("the notes of a dictionary are the components; give one of the two, not both")
        recipe = recipe.with_notes or recipe
    if estimator is not None and not recipe.estimates:
        if METHODS[method].estimates:
            raise ArgumentError(f"with a dictionary {method} has no use for estimates of the sources; leave one out")
        takers = ", ".join(name for name, other in METHODS.items() if other.estimates)
        raise ArgumentError(f"{method} has no use for estimates of the sources; methods that have: {takers}")
    check_number("trust", trust, 0.0, 1.0)
    if estimator is not None and len({spot.mics[0] for spot in session.spots}) < len(session.spots):
        raise SessionError("two sources share a mic, where estimates cannot tell them apart yet; leave them out")
    n_components = recipe.components if components is None else check_count("components", components)
    n_iterations = check_count("iterations", recipe.iterations if iterations is None else iterations)
    if components is not None and not recipe.components:
        raise ArgumentError(f"{method} has no components; leave them out")
    if window is not None and recipe.waveform:
        raise ArgumentError(f"{method} works on waveforms and has no window; leave it out")
    if session.without_solo() and (recipe.needs_solos or (recipe.bases and dictionary is None)):
        instead = "" if recipe.needs_solos else ", or a --dictionary of their notes"
        raise SessionError(
            f"{method} needs a solo of every source{instead}; {session.without_solo()[0]!r} has none: "
            "label one with --solos"
        )
    instruments = [] if dictionary is None else [dictionary.find(name) for name in session.instruments]

    clock = _Clock(progress)
    clock.start("read")
    x_LM = session.take.read(dtype=session.take.exact_dtype)
    # A constant offset is no sound; it would draw the model's attention, so it waits aside and returns with the spot.
    offset_M = x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)
    x_LM -= offset_M
    gains_M, silent_mics = calibration(x_LM)
    rng = np.random.default_rng(seed)
    guessed = None if estimator is None else _Guess(*_estimated(session, estimator, x_LM, clock), trust)
    task = _Task(session, recipe, gains_M, dictionary, instruments, guessed, n_components, n_iterations, rng, clock)
    parameters: dict[str, Any] = {"seed": seed}
    stft = None
    if recipe.waveform:
        model, stems_LN = task.unmix(x_LM)
    else:
        stft = STFT(*_window_and_hop(recipe, window, session.take.sample_rate))
        model, stems_LN = task.demix(x_LM, stft)
        parameters |= {"window_samples": stft.window_length, "hop_samples": stft.hop}
    for n, spot in enumerate(session.spots):
        stems_LN[:, n] /= gains_M[spot.mics[0]]
        stems_LN[:, n] += offset_M[spot.mics[0]]
    clock.stop()

    if recipe.components:
        parameters["components"] = n_components
    parameters["iterations"] = n_iterations
    if dictionary is not None:
        parameters |= {"components": model.W_.shape[2], "dictionary": dictionary.name, "instruments": instruments}
    missing: tuple[str, ...] = ()
    if guessed is not None:
        parameters["trust"] = trust
        missing = guessed.missing
    return Separation(stems_LN, model, stft, method, parameters, clock.seconds, silent_mics, missing)


def _window_and_hop(recipe: Method, seconds: float | None, sample_rate: int) -> tuple[int, int]:
    length = window_samples(recipe.window if seconds is None else seconds, sample_rate)
    return length, length // recipe.hops_per_window


@dataclass(frozen=True)
class _Guess:
    """What an estimator makes of the take: a waveform a source, at the level of the take, and how far it counts."""

    y_LN: Array
    missing: tuple[str, ...]
    trust: float


def _estimated(session: Session, estimator: Estimator, x_LM: Array, clock: _Clock) -> tuple[Array, tuple[str, ...]]:
    clock.start("estimate")
    return estimate(estimator, x_LM, session.take.sample_rate, session.sources, [spot.mics for spot in session.spots])


@dataclass
class _Task:
    """The way from a calibrated take to a fitted model and its stems, for one method and its numbers."""

    session: Session
    recipe: Method
    gains_M: Array
    dictionary: NoteDictionary | None
    instruments: list[str]
    guess: _Guess | None
    n_components: int
    n_iterations: int
    rng: np.random.Generator
    clock: _Clock

    @property
    def spots(self) -> list[tuple[int, ...]]:
        return [spot.mics for spot in self.session.spots]

    def demix(self, x_LM: Array, stft: STFT) -> tuple[Any, Array]:
        """Return the model of the take's spectrogram, and the stems (L, N) at equal loudness."""
        X_FTM = stft.analyse(x_LM * self.gains_M)
        # Rumble that no player makes would have the model trade it between the stems: each spot keeps its own.
        rate = self.session.take.sample_rate
        first = min(int(np.ceil(self.recipe.lowest * stft.window_length / rate)), stft.n_frequencies - 1)
        rumble_FTM, X_FTM = X_FTM[:first], X_FTM[first:]

        self.clock.start("prepare")
        solo = None
        if self.session.passages and (self.recipe.bases or not self.recipe.assigned):
            solo_FTM, passages = solo_spectrogram(self.session, stft, self.gains_M)
            solo = solo_FTM[first:], passages

        def notes(exponent: float) -> Prior:
            assert self.dictionary is not None
            return self.dictionary.prior(self.instruments, stft.window_length, rate, self.spots, exponent, first)

        evidence = Evidence(X_FTM, self.spots, solo, notes if self.dictionary else None)
        if self.guess is not None:
            gains_N = self.gains_M[[mics[0] for mics in self.spots]]
            E_FTN = stft.analyse(self.guess.y_LN.astype(x_LM.dtype) * gains_N)[first:]
            evidence = replace(evidence, estimates=E_FTN, trust=self.guess.trust)
        prior = self._prior(evidence)
        del solo, evidence
        model = self._fitted(X_FTM, prior)

        self.clock.start("reconstruct")
        if self.recipe.assigned:
            model = assign_spots(model, X_FTM, self.spots)
        stems_LN = np.empty((len(x_LM), len(self.spots)), x_LM.dtype)
        for n, (own, *_) in enumerate(self.spots):  # one at a time, for memory
            image_FTM = np.concatenate([rumble_FTM[..., [own]], model.images(X_FTM, n, [own])])
            stems_LN[:, n] = stft.synthesise(image_FTM, len(x_LM))[:, 0]
            self.clock.tell((n + 1) / len(self.spots))
        return model, stems_LN

    def unmix(self, x_LM: Array) -> tuple[Any, Array]:
        """Return the model of the take's waveforms, and the stems (L, N) at equal loudness."""
        self.clock.start("prepare")
        x_LM = x_LM * self.gains_M
        solo = solo_waveform(self.session, self.gains_M) if self.session.passages else None
        model = self._fitted(x_LM, self._prior(Evidence(_as_spectrogram(x_LM), self.spots, solo)))
        self.clock.start("reconstruct")
        return model, model.separate(x_LM)

    def _prior(self, evidence: Evidence) -> Prior:
        return self.recipe.prior(evidence, self.n_components, self.rng)

    def _fitted(self, data: Array, prior: Prior) -> Any:
        self.clock.start("fit")
        model = self.recipe.model(self.n_components, self.n_iterations)
        return model.fit(data, prior, rng=self.rng, callback=lambda done, _: self.clock.tell(done / self.n_iterations))


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


def solo_spectrogram(session: Session, stft: STFT, gains_M: Array) -> tuple[Array, list[list[slice]]]:
    """Return the solo passages of all sources one after another, (F, T, M), and the frames of each source."""

    def analysed(x_LM: Array) -> Array:
        # Only frames wholly within the passage: those at its ends would see the cut.
        return stft.analyse(x_LM)[:, stft.frames(0, len(x_LM), len(x_LM))]

    return _solos(session, gains_M, analysed)


def solo_waveform(session: Session, gains_M: Array) -> tuple[Array, list[list[slice]]]:
    """Return the same of one frequency and a frame a sample, (1, L, M)."""
    return _solos(session, gains_M, _as_spectrogram)


def _solos(session: Session, gains_M: Array, analysed: Callable[[Array], Array]) -> tuple[Array, list[list[slice]]]:
    pieces: list[Array] = []
    passages: list[list[slice]] = []
    first = 0
    for source in session.sources:
        passages.append([])
        for x_LM in session.solos(source):
            x_LM = x_LM - x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)
            pieces.append(analysed(x_LM * gains_M))
            passages[-1].append(slice(first, first + pieces[-1].shape[1]))
            first += pieces[-1].shape[1]
    return np.concatenate(pieces, axis=1), passages


def _as_spectrogram(x_LM: Array) -> Array:
    return x_LM[None].astype(np.result_type(x_LM.dtype, np.complex64))


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


def manifest(
    session: Session, separation: Separation, clipped: dict[str, int], folder: Path, dictionaries: Iterable[Path] = ()
) -> dict[str, Any]:
    """Return what ``manifest.json`` records: all that is needed to tell, and to repeat, how the stems were made.

    Paths in it are relative to `folder`, where the stems are; `dictionaries` are files of notes that were used.
    """

    def shown(path: Path) -> str:
        try:
            return Path(os.path.relpath(path, folder)).as_posix()
        except ValueError:  # another drive
            return str(path.resolve())

    files = {*session.take.sha256().items(), *session.solo_take.sha256().items()}
    for path in (*dictionaries, *([session.markers] if session.markers is not None else [])):
        files.add((path, hashlib.sha256(path.read_bytes()).hexdigest()))
    names = session.take.mic_names
    return {
        "mnmf": __version__,
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
