"""From a take and what is asked for to its stems: `separate` in memory, `separate_to` a segment at a time."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_COMPONENTS, ArgumentError, SessionError, check_count, check_number
from mnmf.kernels import one_blas_thread
from mnmf.methods import DEFAULT_METHOD, METHODS, Known, Method, find_method
from mnmf.models import FastMNMF2, FullRankMNMF
from mnmf.notes import NoteDictionary
from mnmf.priors import Estimator
from mnmf.room import Fit, Room, compare
from mnmf.segments import SEGMENT, is_long, teaching
from mnmf.separation._result import Separation, Stems
from mnmf.separation._story import Clock, Progress, Span, Story, never_playing, spans_of
from mnmf.separation._whole import of_all_mics, seeing_all_mics
from mnmf.stft import STFT, Analysis
from mnmf.survey import TURNS, Survey, play_together, survey
from mnmf.take import Levels, Take, TakeOptions
from mnmf.whose import describe

__all__ = ["Holder", "Options", "learn", "separate", "separate_to"]

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
    room: Room | None
    progress: Progress | None


DEFAULTS: Options = {
    "method": DEFAULT_METHOD,
    "seed": 0,
    "window": None,
    "iterations": None,
    "components": None,
    "dictionary": None,
    "estimator": None,
    "trust": TRUST,
    "segment": None,
    "room": None,
    "progress": None,
}


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
    room: Room | None = None,
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
    room : Room, optional
        How each player reaches each microphone, as `learn` found it in another recording with the same seats and
        microphones.  Solos are not listened to then, and the window is the room's.  Gains that were changed since are
        undone, and where somebody has moved the room counts less; both are among the remarks.
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
        "room": room,
        "progress": progress,
    }
    story, spans, whole = _prepared(_given(take, sample_rate, known), True, options)
    with one_blas_thread():  # or the last bits would depend on the number of threads, with some versions of OpenBLAS
        separation: Separation = of_all_mics(story.run(seed, spans), whole)
    return separation


def separate_to(
    store: MutableMapping[str, Array],
    take: Take | Holder,
    *,
    bleed: Sequence[tuple[int | str, int | str]] = (),
    **options: Unpack[Options],
) -> Stems:
    """Separate a long take so that neither it nor its stems are ever in memory as a whole.

    Parameters
    ----------
    store : mutable mapping of name to array
        Keeps what is done, such as a folder of files.  With one in which an earlier run of the same take and options
        has left something, this run goes on from there, to the same bytes.
    take : Take or Session
    bleed : pairs of source and microphone
        By number or name: how that microphone heard that source is kept as well (`Stems.heard`).
    **options
        As of `separate`.

    Returns
    -------
    Stems
        Those of a take that is separated in segments, or with `bleed`, read what `store` holds; of any other they are a
        `Separation`.

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
    story, spans, whole = _prepared(take, False, options)
    wanted = [(whole.source(n), whole.mic(m)) for n, m in bleed]
    story.bleed = tuple((n, whole.seen.index(m)) for n, m in wanted if m not in whole.aside)
    with one_blas_thread():
        seed = options.get("seed", 0)
        in_memory = len(spans) == 1 and not story.bleed
        done = story.run(seed, spans) if in_memory else story.run_to(store, seed, spans)
    stems: Stems = of_all_mics(done, whole, wanted)
    return stems


def learn(
    take: Take | Holder | Array,
    sample_rate: int | None = None,
    *,
    method: str | Method = DEFAULT_METHOD,
    seed: int = 0,
    window: float | None = None,
    iterations: int | None = None,
    components: int | None = None,
    segment: float | None = None,
    progress: Progress | None = None,
    **known: Unpack[TakeOptions],
) -> Room:
    """Learn how each player reaches each microphone, from a sound check or a concert, for takes in the same seats.

    Parameters
    ----------
    take, sample_rate, method, seed, window, iterations, components, segment, progress, **known
        As of `separate`.  Everybody should play in the take, in whatever company; solos help as they do there.

    Returns
    -------
    Room

    Raises
    ------
    ArgumentError, SessionError, AudioFileError
        As `separate`; or the method cannot use a room.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import learn
    >>> x_LM = np.random.default_rng(0).standard_normal((4000, 2))
    >>> learn(x_LM, 8000, sources=["violin", "cello"], iterations=2, components=2).sources
    ('violin', 'cello')
    """
    recipe = find_method(method)
    given = _given(take, sample_rate, known)
    if not recipe.segments:
        raise ArgumentError(f"{recipe.name} cannot use what a room teaches; methods that can: {_with_rooms()}")
    if given.spots.shared:
        raise SessionError("two sources share a mic, where a room cannot tell them apart; give each its own")
    options: Options = {
        "method": recipe,
        "seed": seed,
        "window": window,
        "iterations": iterations,
        "components": components,
        "segment": segment,
        "progress": progress,
    }
    story, spans, _ = _prepared(given, False, options, learning=True)
    if not story.recipe.segments:
        raise ArgumentError(f"{recipe.name}: with this model nothing is learned of a room; leave the model as it is")
    with one_blas_thread():
        learned = story.learn_room(spans, seed, {})
    story.clock.stop()
    assert isinstance(story.analysis, STFT)
    return Room.of(learned, story.playing, story.levels, story.analysis, recipe.name)


def _prepared(given: Any, whole: bool, options: Options, learning: bool = False) -> tuple[Story, list[Span], Take]:
    """Check everything, look at the take, and return what is to be done, the segments it is done in, and the take.

    What is done is done with the microphones that are not set aside.
    """
    if strange := sorted(options.keys() - DEFAULTS.keys()):
        raise TypeError(f"separate_to() got an unexpected keyword argument {strange[0]!r}")
    asked: Any = DEFAULTS | options
    dictionary, estimator, room, segment = (asked[name] for name in ("dictionary", "estimator", "room", "segment"))
    window, iterations = asked["window"], asked["iterations"]
    recipe = find_method(asked["method"], dictionary=dictionary is not None)
    recipe, sizes = _checked(recipe, given, asked)
    instruments = [] if dictionary is None else [dictionary.find(name) for name in given.instruments]
    given = given if room is None else _with_mics_of(room, given)
    analysis = recipe.analysis(given.sample_rate, window) if room is None else _fitting(room, recipe, given, window)
    clock = Clock(asked["progress"])
    clock.start("read")
    heard = given
    if not isinstance(given, Take):
        in_segments = recipe.segments and is_long(given.duration, SEGMENT if segment is None else segment)
        heard = given.take(whole or given.spots.shared or not in_segments)
    levels = Levels.of(heard.of_seen(), recipe.lowest)
    shares = _may_share(heard, recipe, spans_of(heard, recipe, segment, analysis)) and not learning
    taken, remarks = (heard, ()) if room is not None else _without_dead(heard, levels, shares)
    if remarks:
        levels = Levels.of(taken.of_seen(), recipe.lowest)
    heard = taken.of_seen()
    silent, found, fit = [], None, None
    if recipe.longer_window or recipe.floor or room is not None:
        clock.start("survey")
    if recipe.floor:
        own = recipe.analysis(given.sample_rate)
        silent = never_playing(heard, levels, own, spans_of(heard, recipe, segment, own))
    if room is not None:
        silent = sorted({*silent, *room.absent(heard)})
        fit = _fit_of(room, heard.without(silent), levels, analysis)
    elif recipe.longer_window:
        found = survey(heard, levels, silent)
        analysis = analysis if window is not None else _lengthened(recipe, found, levels, heard, segment)
    spans = spans_of(heard, recipe, segment, analysis)
    if len(spans) == 1 and not isinstance(heard.x_LM, np.ndarray):
        heard = replace(heard, x_LM=np.asarray(heard.x_LM))
    notes = None if dictionary is None else (dictionary, instruments)
    in_room = iterations or recipe.iterations_in_room or sizes[1]
    story = Story(heard, recipe, levels, analysis, sizes, in_room, notes, clock, silent, found, asked["trust"])
    story.remarks = remarks
    if fit is not None:
        story = replace(story, room=fit.prior, room_frames=fit.frames, remarks=fit.remarks)
    if estimator is not None:
        story.estimate(seeing_all_mics(estimator, taken))
    return story, spans, taken


def _may_share(take: Take, recipe: Method, spans: Sequence[Span]) -> bool:
    """Return whether a player whose mic is dead can be told from the others by the solos: all of them have one."""
    alone = bool(recipe.longer_window) and any(take.solos) and not take.without_solo()
    return alone and len(spans) == 1 and not take.spots.shared


def _without_dead(take: Take, levels: Levels, shares: bool) -> tuple[Take, tuple[str, ...]]:
    """Return a take with those mics set aside that hear nothing, and a line about each.

    `levels` are those of the mics that are seen.  How loud a dead mic is means nothing, but would count where levels of
    take and solos are compared.  One that is somebody's spot is set aside where that player then `shares` another.
    """
    own = {m for mics in take.spots for m in mics}
    dead = [m for m in (take.seen[k] for k in levels.silent_mics) if shares or m not in own]
    if not dead or len(dead) == len(take.seen):
        return take, ()
    taken = take.setting_aside(dead)
    others = {m for n in taken.deaf for m in take.spots[n]}
    remarks = [f"{describe(m, take.mic_names)} is practically silent in the take; set aside" for m in dead]
    for k, m in enumerate(dead):
        if m in others:
            remarks[k] += ", and its player told from the others by the solos"
    return taken, tuple(remarks)


def _with_mics_of(room: Room, given: Any) -> Any:
    """Return a take with those mics set aside, too, that are nobody's spot and were not there or dead in the room."""
    if not isinstance(room, Room) or not set(room.mic_names) < set(given.mic_names):
        return given
    own = {m for mics in given.spots for m in mics}
    unknown = [m for m, name in enumerate(given.mic_names) if name not in room.mic_names and m not in own]
    return replace(given, aside=tuple(dict.fromkeys((*given.aside, *unknown)))) if unknown else given


def _lengthened(recipe: Method, found: Survey, levels: Levels, heard: Take, segment: float | None) -> Analysis:
    """Return the analysis by the longest window that solos allow or, where none is left, a long take without turns."""
    segment = SEGMENT if segment is None else segment
    shortest = min(found.shortest, heard.duration, segment)
    window = recipe.fitting_window(found.long_windows, shortest)
    learns = recipe.segments and not heard.spots.shared and not any(found.take.solos)
    seconds = teaching(heard.duration, segment) if learns else 0.0
    learning = recipe.learning_window(seconds, len(heard.mic_names))
    if learning > window:
        together = play_together(found.take, levels) if np.isnan(found.together) else found.together
        window = learning if together >= TURNS else window
    return recipe.analysis(heard.sample_rate, window)


def _fitting(room: Room, recipe: Method, given: Any, window: float | None) -> STFT:
    """Return the analysis of a room if it can be used for a take."""
    if not isinstance(room, Room):
        raise ArgumentError(f"room must be what mnmf.learn returns or Room.load reads, got {room!r}")
    if not recipe.segments:
        raise ArgumentError(f"{recipe.name} cannot use what a room teaches; methods that can: {_with_rooms()}")
    if given.spots.shared:
        raise SessionError("two sources share a mic, where a room cannot tell them apart; give each its own")
    if window is not None:
        raise ArgumentError("a room has its own window; leave window out")
    room.check(recipe.name, given.sample_rate, tuple(given.mic_names[m] for m in given.seen))
    return room.analysis


def _fit_of(room: Room, take: Take, levels: Levels, analysis: Analysis) -> Fit:
    assert isinstance(analysis, STFT)
    return compare(room.prior(take, levels), take, levels, analysis)


def _with_rooms() -> str:
    return ", ".join(name for name, method in METHODS.items() if method.segments)


def check_asked(
    recipe: Method,
    *,
    seed: int = 0,
    trust: float = 1.0,
    window: float | None = None,
    iterations: int | None = None,
    components: int | None = None,
    segment: float | None = None,
    dictionary: bool = False,
) -> tuple[int, int]:
    """Return the numbers of components and of iterations, if what is asked for can be done with some take."""
    check_count("seed", seed, 0, (1 << 128) - 1)
    check_number("trust", trust, 0.0, 1.0)
    if components is not None:
        check_count("components", components, 1, MOST_COMPONENTS)
    sizes = recipe.sizes(components, iterations, dictionary=dictionary)
    recipe.analysis(48000, window)
    if segment is not None:
        if not _able(recipe, sizes).segments:
            raise ArgumentError(f"{recipe.name} fits a take in one piece; leave segment out")
        if segment != np.inf:
            check_number("segment", segment, SHORTEST, np.inf, " s")
    return sizes


def _checked(recipe: Method, given: Any, asked: dict[str, Any]) -> tuple[Method, tuple[int, int]]:
    """Return the recipe, and the numbers of components and of iterations, if everything asked for can be done."""
    notes, estimator = asked["dictionary"] is not None, asked["estimator"]
    numbers = {name: asked[name] for name in ("seed", "trust", "window", "iterations", "components", "segment")}
    recipe.check(given, dictionary=notes, estimates=estimator is not None)
    sizes = check_asked(recipe, **numbers, dictionary=notes)
    if estimator is not None and not callable(estimator):
        raise ArgumentError(f"estimator must be a function of audio and sample rate, got {estimator!r}")
    return _able(recipe, sizes), sizes


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


def _able(recipe: Method, sizes: tuple[int, int]) -> Method:
    """Return a recipe that asks of its model only what it can: segments, and no floor but where there is one."""
    model = recipe.model(*sizes)
    full_rank = isinstance(model, FullRankMNMF) and model.divergence == "log-det" and bool(recipe.window)
    if recipe.floor and not full_rank:
        raise ArgumentError(f"{recipe.name}: floor is for FullRankMNMF with divergence='log-det'; leave it out")
    able = full_rank or (isinstance(model, FastMNMF2) and bool(recipe.window))
    return recipe if able else replace(recipe, segments=False)
