"""The whole story, from a take to its stems: where everything else meets.  No equations, no files, no printing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Unpack

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_COMPONENTS, ArgumentError, SessionError, check_count, check_number
from mnmf.kernels import one_blas_thread
from mnmf.methods import DEFAULT_METHOD, Evidence, Known, Method, fill_in, find_method
from mnmf.models import FullRankMNMF, Model, PooledCovariances, silent_sources
from mnmf.notes import NoteDictionary
from mnmf.priors import Estimator, Prior, estimate
from mnmf.segments import SEGMENT, SHARED, add_faded, chosen, segments_of
from mnmf.stft import STFT, Analysis
from mnmf.survey import Survey, survey
from mnmf.take import Levels, Take, TakeOptions

__all__ = ["Separation", "separate"]

Array = NDArray[Any]
Progress = Callable[[str, float], Any]

SHORTEST = 1.0  # seconds of a segment
HEARD = 1e-3  # of the power of a spot in its loudest segment: with less, a segment does not tell who never plays
TRUST = 1.0  # in estimates of the sources, compared with what the spots hear


Seed = int | tuple[int, int]  # of a take, of one of its segments
Span = tuple[int, int]  # samples, from start to stop (exclusive)


class Holder(Known, Protocol):
    """What can be asked for its take once it is known to be fit for the method, such as a `Session` of files."""

    @property
    def sample_rate(self) -> int:
        """In hertz."""

    @property
    def instruments(self) -> Sequence[str]:
        """What each source plays."""

    def take(self) -> Take:
        """Return the take in memory."""


@dataclass(frozen=True, eq=False)
class Part:
    """A segment of a take, its samples `start` to `stop` (exclusive), with the model fitted to it.

    Attributes
    ----------
    start, stop : int
    model : one of `mnmf.models`
    levels : Levels
    """

    start: int
    stop: int
    model: Any
    levels: Levels


class _Seen(NamedTuple):
    """What a model sees of a take, what it does not, and what it starts from."""

    low_FTM: Array
    X_FTM: Array
    muted_TM: Array | None
    prior: Prior


@dataclass(frozen=True, eq=False)
class Separation:
    """What `separate` returns: the stems, and every source at every microphone on demand.

    Attributes
    ----------
    take : Take
        What was separated.
    stems_LN : float32 or float64 as the take, shape (samples, sources)
        Each source at its own spot, at the level of the take.
    method : Method
        The recipe.
    model : one of `mnmf.models`
        The fitted model, of the frequencies of `analysis` from the method's lowest on; of a take that was fitted in
        segments, that of the first one.
    analysis : STFT or Waveform
        The analysis it was fitted to.
    levels : Levels
        What was taken off the take before.
    parameters : dict
        Everything that, with the take, decides the result.
    seconds : dict
        How long each stage took.
    not_estimated : tuple of str
        Sources of which the estimator, if there was one, gave no estimate.
    remarks : tuple of str
        What was found about the solos, left out, undone or ignored, each in one line.
    parts : tuple of Part
        Of a take that was fitted in segments, these; of any other, none.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import separate
    >>> x_LM = np.random.default_rng(0).standard_normal((4000, 2))
    >>> separation = separate(x_LM, 8000, sources=["violin", "cello"], method="kamir", iterations=2)
    >>> separation.image("cello").shape  # at both microphones
    (4000, 2)
    >>> at_violin_L = separation.image("violin", 0) + separation.image("cello", 0) + separation.residual_LM[:, 0]
    >>> np.allclose(at_violin_L, x_LM[:, 0])
    True
    """

    take: Take
    stems_LN: Array
    method: Method
    model: Model
    analysis: Analysis
    levels: Levels
    parameters: dict[str, Any]
    seconds: dict[str, float]
    not_estimated: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def image(self, source: int | str, mics: int | str | Sequence[int | str] | None = None) -> Array:
        """Return one source as some microphones heard it, at the level of the take.

        At its own spot this is its stem.  At every microphone the images of all sources and `residual_LM` sum to the
        take.  The take is analysed anew at each call, so that no spectrogram is kept: ask for all microphones at once.

        Parameters
        ----------
        source : int or str
            Its number from 0, or its name.
        mics : int, str or a sequence of them, optional
            Microphones by number from 0 or by name; all of them if not given.

        Returns
        -------
        float, shape (samples, mics), or (samples,) for a single microphone that is not in a sequence
        """
        single = isinstance(mics, int | str | np.integer)
        several: Any = range(len(self.take.mic_names)) if mics is None else [mics] if single else mics
        chosen = [self.take.mic(m) for m in several]
        image_LI = self._images(self.take.source(source), chosen)
        return image_LI[:, 0] if single else image_LI

    def reduced(self, source: int | str, reduction: float) -> Array:
        """Return the spot of a source with its bleed turned down, at the level of the take.

        Parameters
        ----------
        source : int or str
            Its number from 0, or its name.
        reduction : float
            In dB: 0 is what the spot heard, infinity the stem.

        Returns
        -------
        float, shape (samples,)

        Raises
        ------
        ArgumentError
            There is no such source, or the reduction is negative or no number.
        """
        n, reduction = self.take.source(source), check_reduction("reduction", reduction)
        stem_L = self.stems_LN[:, n]
        spot_L = self.take.x_LM[:, self.take.spots.references[n]]
        if reduction in (0.0, np.inf):
            return np.array(stem_L if reduction else spot_L)
        return np.asarray(stem_L + stem_L.dtype.type(10 ** (-reduction / 20)) * (spot_L - stem_L))

    @cached_property
    def residual_LM(self) -> Array:
        """What belongs to nobody, (samples, mics): the take less the images of all sources.

        Offset and rumble of microphones that are nobody's spot, and what the model does not explain.
        """
        mics = range(len(self.take.mic_names))
        residual_LM = self.take.x_LM.astype(np.float64)
        for n in range(len(self.take.sources)):  # one at a time, for memory
            residual_LM -= self._images(n, mics)
        return residual_LM.astype(self.take.x_LM.dtype)

    def _images(self, source: int, mics: Sequence[int]) -> Array:
        if not self.parts:
            return self._part_images(Part(0, self.take.n_samples, self.model, self.levels), source, mics)
        image_LI = np.zeros((self.take.n_samples, len(mics)), self.take.x_LM.dtype)
        spans = [(part.start, part.stop) for part in self.parts]
        for k, part in enumerate(self.parts):
            add_faded(image_LI, self._part_images(part, source, mics), spans, k)
        return image_LI

    def _part_images(self, part: Part, source: int, mics: Sequence[int]) -> Array:
        levels, n_samples = part.levels, part.stop - part.start
        low_FTM, X_FTM = levels.into(self.take.x_LM[part.start : part.stop], self.analysis)
        image_FTI = _images(part.model, X_FTM, source, mics, levels.lost(self.analysis, n_samples))
        return levels.back(image_FTI, low_FTM, source, mics, self.analysis, n_samples)

    def __repr__(self) -> str:
        return f"Separation({', '.join(self.take.sources)} by {self.method.name} in {sum(self.seconds.values()):.1f} s)"


def separate(
    take: Take | Holder | Array,
    sample_rate: int | None = None,
    *,
    method: str | Method = DEFAULT_METHOD,
    seed: int = 0,
    window: float | None = None,
    iterations: int | None = None,
    components: int | None = None,
    dictionary: NoteDictionary | None = None,
    estimator: Estimator | None = None,
    trust: float = TRUST,
    segment: float | None = None,
    progress: Progress | None = None,
    **known: Unpack[TakeOptions],
) -> Separation:
    """Recover each player's own sound at its own spot.

    Parameters
    ----------
    take : Take, Session, or float array of shape (samples, mics)
        What was recorded.
    sample_rate : int
        In hertz, with an array.
    method : str or Method
        One of `METHODS`, or a recipe of one's own.
    seed : int
        Decides every random start; the same seed gives the same stems, byte for byte.
    window : float, optional
        Analysis window in seconds, rounded to a length that transforms fast.
    iterations, components : int, optional
        Updates of the model, and bases per source; the method's own if not given.
    dictionary : NoteDictionary, optional
        Takes the place of bases from solos, in methods whose bases are given; its notes are the components.
    estimator : priors.Estimator, optional
        Estimates the sources; the method starts from the part of each spot that those ascribe to its player.
    trust : float
        How far estimates count compared with what the spots themselves hear: 0, not at all, to 1, as far as they seem
        the better ones (`priors.estimate_trust`).
    segment : float, optional
        Seconds of a segment: a take that is more than half as long again is fitted a segment at a time, by
        covariances that several of them teach, which needs less memory.  60 if not given, where the method can
        (`Method.segments`), and no shorter than two windows; infinity for one piece.
    progress : callable, optional
        Called with the name of a stage and the part of it that is done, 0 to 1.
    **known
        With an array, what `Take.of` takes: solos, solo_LM, sources, spots, ambient, mic_names, instruments.

    Returns
    -------
    Separation

    Raises
    ------
    ArgumentError
        An unknown method, a number out of range, or an estimate that does not fit the take.
    SessionError
        The method needs what the take lacks, or solos as long as a window.
    AudioFileError
        A file of a session cannot be read, or holds NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import separate
    >>> x_LM = np.random.default_rng(0).standard_normal((4000, 2))
    >>> separate(x_LM, 8000, sources=["violin", "cello"], iterations=2, components=2).stems_LN.shape
    (4000, 2)
    """
    recipe = find_method(method, dictionary=dictionary is not None)
    check_count("seed", seed, 0, (1 << 128) - 1)
    check_number("trust", trust, 0.0, 1.0)
    if components is not None:
        check_count("components", components, 1, MOST_COMPONENTS)
    given = _given(take, sample_rate, known)
    recipe.check(given, dictionary=dictionary is not None, estimates=estimator is not None)
    sizes = recipe.sizes(components, iterations, dictionary=dictionary is not None)
    if segment is not None:
        if not recipe.segments:
            raise ArgumentError(f"{recipe.name} fits a take in one piece; leave segment out")
        if segment != np.inf:
            check_number("segment", segment, SHORTEST, np.inf, " s")
    _check_kind(recipe, sizes)
    instruments = [] if dictionary is None else [dictionary.find(name) for name in given.instruments]
    analysis = recipe.analysis(given.sample_rate, window)
    if estimator is not None and not callable(estimator):
        raise ArgumentError(f"estimator must be a function of audio and sample rate, got {estimator!r}")
    clock = _Clock(progress)
    clock.start("read")
    heard = given if isinstance(given, Take) else given.take()
    levels = Levels.of(heard, recipe.lowest)
    silent, found = [], None
    if recipe.longer_window or recipe.floor:
        clock.start("survey")
    if recipe.floor:
        own = recipe.analysis(given.sample_rate)
        silent = _silent(heard, levels, own, _spans(heard, recipe, segment, own))
    if recipe.longer_window:
        found = survey(heard, levels, silent)
        shortest = min(found.shortest, heard.duration, SEGMENT if segment is None else segment)
        fitting = recipe.fitting_window(found.long_windows, shortest)
        analysis = recipe.analysis(given.sample_rate, window or fitting)
    notes = None if dictionary is None else (dictionary, instruments)
    story = _Story(heard, recipe, levels, analysis, sizes, notes, clock, silent, found, trust)
    if estimator is not None:
        story.estimate(estimator)
    with one_blas_thread():  # or the last bits would depend on the number of threads, with some versions of OpenBLAS
        return story.run(seed, _spans(heard, recipe, segment, analysis))


def check_reduction(name: str, value: Any) -> float:
    """Return by how many dB bleed is turned down, from 0 to infinity, or raise `ArgumentError`."""
    return np.inf if value == np.inf else check_number(name, value, 0.0, np.inf, " dB")


def _given(take: Any, sample_rate: int | None, known: TakeOptions) -> Any:
    """Return the take or session that was given, or the take that an array makes."""
    if hasattr(take, "without_solo"):  # arrays have a `take`, too
        if sample_rate is not None or known:
            extra = "sample_rate" if sample_rate is not None else next(iter(known))
            raise ArgumentError(f"{extra} is for arrays; a Take or Session has its own, so leave it out")
        return take
    if isinstance(take, str | os.PathLike):
        raise ArgumentError(f"{os.fspath(take)!r} is a file: open it with Session.open, and separate that")
    if isinstance(sample_rate, str) or sample_rate is None:
        raise ArgumentError("an array needs its sample rate in hertz: separate(x_LM, sample_rate, method=…)")
    return Take.of(take, sample_rate, **known)


def _check_kind(recipe: Method, sizes: tuple[int, int]) -> None:
    """Refuse a floor and segments under any model but the one that has them."""
    if not (recipe.floor or recipe.segments):
        return
    model = recipe.model(*sizes)
    if not isinstance(model, FullRankMNMF) or model.divergence != "log-det" or not recipe.window:
        what = "floor is" if recipe.floor else "segments are"
        raise ArgumentError(f"{recipe.name}: {what} for FullRankMNMF with divergence='log-det'; leave it out")


def _silent(take: Take, levels: Levels, analysis: Analysis, spans: Sequence[Span]) -> list[int]:
    """Return the sources that never play, as frames without muted mics tell; none of them where spots are shared.

    A segment does not count where it is too short to tell, nor for spots that hear next to nothing in it.
    """
    if take.spots.shared or not isinstance(analysis, STFT):
        return []
    frequencies = analysis.frequencies(take.sample_rate)[levels.first(analysis) :]
    power_KN = _spot_powers(take, levels, spans)
    told_KN = power_KN >= HEARD * power_KN.max(axis=0)
    silent_KN = np.zeros_like(told_KN)
    for k, (start, stop) in enumerate(spans):
        part = levels.part(start, stop)
        _, X_FTM = part.into(take.x_LM[start:stop], analysis)
        muted_TM = part.muted_part(analysis, stop - start)
        if muted_TM is not None:
            X_FTM = X_FTM[:, ~muted_TM.any(axis=1)]
        silent = silent_sources(X_FTM, take.spots, 1 / levels.gains_M, frequencies)
        told_KN[k] &= silent is not None
        silent_KN[k, silent or []] = True
        if not np.all((silent_KN | ~told_KN)[: k + 1], axis=0).any():
            return []  # all play
    return np.flatnonzero(told_KN.any(axis=0) & np.all(silent_KN | ~told_KN, axis=0)).tolist()


def _spot_powers(take: Take, levels: Levels, spans: Sequence[Span]) -> Array:
    """Return the power of every source's own spot in every segment, (K, N), at equal loudness."""
    own = take.spots.references
    spots_KN = [np.var(take.x_LM[slice(*span), own], axis=0, dtype=np.float64) for span in spans]
    return np.asarray(np.array(spots_KN) * np.square(levels.gains_M[own], dtype=np.float64))


def _spans(take: Take, recipe: Method, segment: float | None, analysis: Analysis) -> list[Span]:
    """Return the segments in which a take is fitted, one where it is short or the method has none."""
    if not recipe.segments or take.spots.shared or not isinstance(analysis, STFT) or segment == np.inf:
        return [(0, take.n_samples)]
    length = round(min(SEGMENT if segment is None else segment, take.duration) * take.sample_rate)
    return segments_of(take.n_samples, max(length, SHARED * analysis.window_length), analysis.window_length)


def _images(model: Any, X_FTM: Array, source: int, mics: Sequence[int], lost_TM: Array | None) -> Array:
    """Return a source at some microphones, (F, T, I), from those that are not missing if the model can."""
    missing = {"missing_TM": lost_TM} if lost_TM is not None and getattr(model, "skips_missing", False) else {}
    return np.asarray(model.images(X_FTM, source, list(mics), **missing))


@dataclass
class _Story:
    """The way from a take to a fitted model and its stems, for one method and its numbers."""

    take: Take
    recipe: Method
    levels: Levels
    analysis: Analysis
    sizes: tuple[int, int]  # components and iterations
    notes: tuple[NoteDictionary, list[str]] | None  # and which of its instruments each source is
    clock: _Clock
    silent: list[int]  # the sources that never play
    found: Survey | None  # about the solos of the others
    trust: float  # in estimates
    estimates_LN: Array | None = None
    not_estimated: tuple[str, ...] = ()
    room_NFMM: Array | None = None  # covariances that several segments taught

    @cached_property
    def playing(self) -> Take:
        """The take without the sources that never play."""
        return self.take.without(self.silent)

    @property
    def _frequencies(self) -> Array:
        """Those that the model sees, in hertz."""
        return self.analysis.frequencies(self.take.sample_rate)[self.levels.first(self.analysis) :]

    def estimate(self, estimator: Estimator) -> None:
        """Find an estimate of each source at its own spot, (L, N), and the sources that have none."""
        self.clock.start("estimate")
        x_LM = self.levels.centred(self.take.x_LM)
        known = x_LM, self.take.sample_rate, self.take.sources, self.take.spots
        self.estimates_LN, self.not_estimated = estimate(estimator, *known)

    def run(self, seed: int, spans: Sequence[Span]) -> Separation:
        """Learn the prior, fit the model, and take each source's image at its own spot; in `spans` of samples."""
        parts: tuple[Part, ...] = ()
        if len(spans) == 1:
            model, stems_LN = self._in_one_piece(seed)
        else:
            parts, stems_LN = self._in_segments(spans, seed)
            model = parts[0].model
        self.clock.stop()
        parameters = self._parameters(seed, model)
        if parts:
            parameters["segments"] = len(parts)
        seconds = self.clock.seconds
        remarks = () if self.found is None else self.found.remarks
        remarks += tuple(
            f"{self.take.sources[n]}: never plays, as its spot hears only what the other spots predict; its stem is "
            "silent"
            for n in self.silent
        )
        how = self.recipe, model, self.analysis, self.levels, parameters, seconds
        return Separation(self.take, stems_LN, *how, self.not_estimated, remarks, parts)

    def _in_one_piece(self, seed: Seed) -> tuple[Any, Array]:
        """Return the model and the stems."""
        rng = np.random.default_rng(seed)
        seen = self._see(rng, seed)
        if self.room_NFMM is not None and "R" not in seen.prior.held:
            raise ArgumentError(f"{self.recipe.name}: with segments its prior must hold Evidence.room_NFMM")
        model = self._all_sources(self._fit(seen, rng))
        self.clock.start("reconstruct")
        take, spots = self.take, self.take.spots
        lost_TM = self.levels.lost(self.analysis, take.n_samples)
        stems_LN = np.empty((take.n_samples, len(spots)), take.x_LM.dtype)
        for n, own in enumerate(spots.references):  # one at a time, for memory
            image_FTI = _images(model, seen.X_FTM, n, [own], lost_TM)
            stems_LN[:, n] = self.levels.back(image_FTI, seen.low_FTM, n, [own], self.analysis, take.n_samples)[:, 0]
            self.clock.tell((n + 1) / len(spots))
        return model, stems_LN

    def _in_segments(self, spans: Sequence[Span], seed: int) -> tuple[tuple[Part, ...], Array]:
        """Return a model for each segment, and the stems.

        What describes the room is learned from several segments, what describes the music is learned in each.
        """
        self.clock.start("learn")
        self.room_NFMM = self._learn_room(spans, seed)
        self.clock.start("fit")
        stems_LN = np.zeros((self.take.n_samples, len(self.take.spots)), self.take.x_LM.dtype)
        parts: list[Part] = []
        for k, span in enumerate(spans):
            story = self._segment(span)
            model, stems_SN = story._in_one_piece((seed, k))
            if parts and np.array_equal(parts[0].model.R_, model.R_):
                model.R_ = parts[0].model.R_  # one for all, for memory
            parts.append(Part(*span, model, story.levels))
            add_faded(stems_LN, stems_SN, spans, k)
            self.clock.tell((k + 1) / len(spans))
        return tuple(parts), stems_LN

    def _learn_room(self, spans: Sequence[Span], seed: int) -> Array:
        """Return the covariances of those who play: of solos that are held, else what several segments teach."""
        pooled, some = PooledCovariances(), chosen(_spot_powers(self.playing, self.levels, spans))
        for done, k in enumerate(some):
            story, rng = self._segment(spans[k]), np.random.default_rng((seed, k))
            seen = story._see(rng, (seed, k))
            if "R" in seen.prior.held:
                return np.asarray(seen.prior.R)
            whole = 1.0 if seen.muted_TM is None else float(np.mean(~seen.muted_TM.any(axis=1)))
            pooled.add(story._fit(seen, rng), whole)
            del seen, story  # for memory
            self.clock.tell((done + 1) / len(some))
        return pooled.mean()

    def _segment(self, span: Span) -> _Story:
        """Return the story of a part of the take."""
        return replace(
            self,
            take=self.take.part(*span),
            levels=self.levels.part(*span),
            clock=_Clock(None),
            estimates_LN=None if self.estimates_LN is None else self.estimates_LN[slice(*span)],
        )

    def _see(self, rng: np.random.Generator, seed: Seed) -> _Seen:
        """Return what a model sees, and what it starts from."""
        low_FTM, X_FTM = self.levels.into(self.take.x_LM, self.analysis)
        muted_TM = self.levels.muted_part(self.analysis, self.take.n_samples)
        self.clock.start("prepare")
        evidence = self._evidence(X_FTM)
        if muted_TM is not None and isinstance(self.analysis, STFT):
            X_FTM = self._fill(low_FTM, evidence, muted_TM, seed)
            evidence = replace(evidence, X_FTM=X_FTM)
        return _Seen(low_FTM, X_FTM, muted_TM, self.recipe.prior(evidence, self.sizes[0], rng))

    def _fit(self, seen: _Seen, rng: np.random.Generator) -> Any:
        """Return the model of those who play."""
        self.clock.start("fit")

        def fitted(done: int, _: float) -> None:
            self.clock.tell(done / max(self.sizes[1], 1))

        known = seen.X_FTM, self.playing.spots, seen.prior, self.sizes
        return self.recipe.fit(*known, rng=rng, callback=fitted, muted_TM=seen.muted_TM)

    def _all_sources(self, model: Any) -> Any:
        """Return the model of those who play with those who never do, and with the floor of the method."""
        if self.recipe.floor and not self.take.spots.shared:
            model = model.with_silent(self.silent, self.take.spots).leave_alone(self._frequencies)
        return model

    def _fill(self, low_FTM: Array, evidence: Evidence, muted_TM: Array, seed: Seed) -> Array:
        """Let `levels` fill in what muted microphones would have heard; return what a model sees then.

        FastMNMF2 fills them in at first; then, from what this makes of the take, the method's own model does, if it
        can.  Windows that a mute covers in part see what was filled in, and the longer they are the more of them do.
        """
        X_FTM = self._filled(low_FTM, fill_in(evidence, muted_TM, np.random.default_rng(seed)))
        missing_TM = muted_TM > 0
        if not missing_TM.any() or not getattr(self.recipe.model(*self.sizes), "skips_missing", False):
            return X_FTM
        rng = np.random.default_rng(seed)
        prior = self.recipe.prior(replace(evidence, X_FTM=X_FTM), self.sizes[0], rng)
        model = self.recipe.fit(X_FTM, self.playing.spots, prior, self.sizes, rng=rng, muted_TM=muted_TM)
        del prior
        for m in np.flatnonzero(missing_TM.any(axis=0)).tolist():  # one at a time, for memory
            rest = np.flatnonzero(missing_TM[:, m])
            H_NKR = np.ascontiguousarray(model.H_[:, :, rest])
            images_FRIN = model.images(X_FTM[:, rest], mics=[m], H=H_NKR, missing_TM=missing_TM[rest])
            X_FTM[:, rest, m] = images_FRIN.sum(axis=-1)[..., 0]
        return self._filled(low_FTM, X_FTM)

    def _filled(self, low_FTM: Array, heard_FTM: Array | None) -> Array:
        if heard_FTM is not None:
            self.levels = self.levels.filled(np.concatenate([low_FTM, heard_FTM]), self.analysis, self.take.n_samples)
        return self.levels.into(self.take.x_LM, self.analysis)[1]

    def _evidence(self, X_FTM: Array) -> Evidence:
        take, levels, analysis = self.playing, self.levels, self.analysis

        def notes(exponent: float) -> Prior:
            assert self.notes is not None
            assert isinstance(analysis, STFT)
            dictionary, named = self.notes
            instruments = [name for n, name in enumerate(named) if n not in self.silent]
            first = levels.first(analysis)
            return dictionary.prior(instruments, analysis.window_length, take.sample_rate, take.spots, exponent, first)

        self._check_solos()
        known = take
        if self.found is not None and isinstance(analysis, STFT):
            known = self.found.lasting(analysis.window_length)
        useful = self.recipe.hears_solos and (self.room_NFMM is None or any(levels.muted))
        solo = levels.solos(known, analysis) if useful else None
        E_FTN = None
        if self.estimates_LN is not None:
            E_FTN = levels.estimates(take, np.delete(self.estimates_LN, self.silent, axis=1), analysis)
        heard = X_FTM, take.spots, solo, notes if self.notes else None, E_FTN, self.trust
        evidence = Evidence(*heard, room_NFMM=self.room_NFMM)
        if self.found is None or not isinstance(analysis, STFT):
            return evidence
        frequencies = self._frequencies
        worth_NF = self.found.seconds(frequencies) * take.sample_rate / analysis.hop
        return replace(evidence, solo_frames=worth_NF, solos_hold=self.found.holds, frequencies=frequencies)

    def _check_solos(self) -> None:
        """Refuse solos that never fill a window, where the method stands and falls with them."""
        if self.recipe.solos != "needed" or not isinstance(self.analysis, STFT):
            return
        length, rate = self.analysis.window_length, self.take.sample_rate
        for source, passages in zip(self.take.sources, self.take.solos):
            longest = max(map(len, passages), default=length)
            if longest < length:
                raise SessionError(
                    f"{source}: the longest solo lasts {longest / rate:.2f} s, less than the window of "
                    f"{length / rate:.2f} s; give a shorter window or a longer solo"
                )

    def _parameters(self, seed: int, model: Any) -> dict[str, Any]:
        parameters: dict[str, Any] = {"seed": seed}
        if isinstance(self.analysis, STFT):
            parameters |= {"window_samples": self.analysis.window_length, "hop_samples": self.analysis.hop}
        if self.recipe.components:
            parameters["components"] = self.sizes[0]
        if self.recipe.iterations:
            parameters["iterations"] = self.sizes[1]
        if self.notes is not None:
            dictionary, instruments = self.notes
            parameters |= {"components": model.W_.shape[2], "dictionary": dictionary.name, "instruments": instruments}
        if self.estimates_LN is not None:
            parameters["trust"] = self.trust
        return parameters


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
