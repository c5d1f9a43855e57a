"""From a take and what is asked for to its stems: `separate` in memory, `separate_to` a segment at a time."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_COMPONENTS, ArgumentError, check_count, check_number
from mnmf.kernels import one_blas_thread
from mnmf.methods import DEFAULT_METHOD, Known, Method, find_method
from mnmf.models import FastMNMF2, FullRankMNMF
from mnmf.notes import NoteDictionary
from mnmf.priors import Estimator
from mnmf.segments import SEGMENT, is_long
from mnmf.separation._result import Separation, Stems
from mnmf.separation._story import Clock, Progress, Span, Story, never_playing, spans_of
from mnmf.survey import survey
from mnmf.take import Levels, Take, TakeOptions

__all__ = ["Holder", "Options", "separate", "separate_to"]

Array = NDArray[Any]

SHORTEST = 1.0  # seconds of a segment
TRUST = 1.0  # in estimates of the sources, compared with what the spots hear


class Holder(Known, Protocol):
    """What can be asked for its take once it is known to be fit for the method, such as a `Session` of files."""

    @property
    def sample_rate(self) -> int:
        """In hertz."""

    @property
    def instruments(self) -> Sequence[str]:
        """What each source plays."""

    @property
    def duration(self) -> float:
        """In seconds."""

    def take(self, whole: bool = True) -> Take:
        """Return the take, in memory or read when it is asked for."""


class Options(TypedDict, total=False):
    """What decides how a take is separated, as `separate` explains it."""

    method: str | Method
    seed: int
    window: float | None
    iterations: int | None
    components: int | None
    dictionary: NoteDictionary | None
    estimator: Estimator | None
    trust: float
    segment: float | None
    progress: Progress | None


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
    options: Options = {
        "method": method,
        "seed": seed,
        "window": window,
        "iterations": iterations,
        "components": components,
        "dictionary": dictionary,
        "estimator": estimator,
        "trust": trust,
        "segment": segment,
        "progress": progress,
    }
    story, spans = _prepared(_given(take, sample_rate, known), True, **options)
    with one_blas_thread():  # or the last bits would depend on the number of threads, with some versions of OpenBLAS
        return story.run(seed, spans)


def separate_to(store: MutableMapping[str, Array], take: Take | Holder, **options: Unpack[Options]) -> Stems:
    """Separate a long take so that neither it nor its stems are ever in memory as a whole.

    Parameters
    ----------
    store : mutable mapping of name to array
        Keeps what is done, such as a folder of files.  With one in which an earlier run of the same take and options
        has left something, this run goes on from there, to the same bytes.
    take : Take or Session
    **options
        As of `separate`.

    Returns
    -------
    Stems
        Those of a take that is separated in segments read what `store` holds; of any other they are a `Separation`.

    Raises
    ------
    ArgumentError, SessionError, AudioFileError
        As `separate`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take, separate
    >>> from mnmf.separation import separate_to
    >>> take, store = Take(np.random.default_rng(0).standard_normal((8000, 2)), 1000), {}
    >>> how = {"segment": 2.0, "window": 0.1, "components": 2, "iterations": 2}
    >>> stems = separate_to(store, take, **how)
    >>> sorted(store)
    ['room', 'segment 1', 'segment 2', 'segment 3', 'segment 4']
    >>> bool(np.all(stems.stems_LN[:] == separate(take, **how).stems_LN))
    True
    """
    story, spans = _prepared(take, False, **options)
    with one_blas_thread():
        seed = options.get("seed", 0)
        return story.run(seed, spans) if len(spans) == 1 else story.run_to(store, seed, spans)


def _prepared(
    given: Any,
    whole: bool,
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
) -> tuple[Story, list[Span]]:
    """Check everything, look at the take, and return what is to be done, and the segments it is done in."""
    recipe = find_method(method, dictionary=dictionary is not None)
    sizes = _checked(recipe, given, seed, iterations, components, dictionary, estimator, trust, segment)
    instruments = [] if dictionary is None else [dictionary.find(name) for name in given.instruments]
    analysis = recipe.analysis(given.sample_rate, window)
    clock = Clock(progress)
    clock.start("read")
    heard = given
    if not isinstance(given, Take):
        in_segments = recipe.segments and is_long(given.duration, SEGMENT if segment is None else segment)
        heard = given.take(whole or given.spots.shared or not in_segments)
    levels = Levels.of(heard, recipe.lowest)
    silent, found = [], None
    if recipe.longer_window or recipe.floor:
        clock.start("survey")
    if recipe.floor:
        own = recipe.analysis(given.sample_rate)
        silent = never_playing(heard, levels, own, spans_of(heard, recipe, segment, own))
    if recipe.longer_window:
        found = survey(heard, levels, silent)
        shortest = min(found.shortest, heard.duration, SEGMENT if segment is None else segment)
        fitting = recipe.fitting_window(found.long_windows, shortest)
        analysis = recipe.analysis(given.sample_rate, window or fitting)
    spans = spans_of(heard, recipe, segment, analysis)
    if len(spans) == 1 and not isinstance(heard.x_LM, np.ndarray):
        heard = replace(heard, x_LM=np.asarray(heard.x_LM))
    notes = None if dictionary is None else (dictionary, instruments)
    in_room = iterations or recipe.iterations_in_room or sizes[1]
    story = Story(heard, recipe, levels, analysis, sizes, in_room, notes, clock, silent, found, trust)
    if estimator is not None:
        story.estimate(estimator)
    return story, spans


def _checked(
    recipe: Method,
    given: Any,
    seed: int,
    iterations: int | None,
    components: int | None,
    dictionary: NoteDictionary | None,
    estimator: Estimator | None,
    trust: float,
    segment: float | None,
) -> tuple[int, int]:
    """Return the numbers of components and of iterations if everything that is asked for can be done."""
    check_count("seed", seed, 0, (1 << 128) - 1)
    check_number("trust", trust, 0.0, 1.0)
    if components is not None:
        check_count("components", components, 1, MOST_COMPONENTS)
    recipe.check(given, dictionary=dictionary is not None, estimates=estimator is not None)
    sizes = recipe.sizes(components, iterations, dictionary=dictionary is not None)
    if segment is not None:
        if not recipe.segments:
            raise ArgumentError(f"{recipe.name} fits a take in one piece; leave segment out")
        if segment != np.inf:
            check_number("segment", segment, SHORTEST, np.inf, " s")
    _check_kind(recipe, sizes)
    if estimator is not None and not callable(estimator):
        raise ArgumentError(f"estimator must be a function of audio and sample rate, got {estimator!r}")
    return sizes


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
    full_rank = isinstance(model, FullRankMNMF) and model.divergence == "log-det" and bool(recipe.window)
    if recipe.floor and not full_rank:
        raise ArgumentError(f"{recipe.name}: floor is for FullRankMNMF with divergence='log-det'; leave it out")
    if recipe.segments and not (full_rank or (isinstance(model, FastMNMF2) and recipe.window)):
        models = "FastMNMF2 and FullRankMNMF with divergence='log-det'"
        raise ArgumentError(f"{recipe.name}: segments are for {models}; leave it out")
