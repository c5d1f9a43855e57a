"""Sessions: who played, which files hold what, which microphone is whose spot, and where each player was alone.

A `Session` is complete and checked when it exists; every refusal names the file, microphone or source at fault.  It
knows files and names: `mnmf.audio` reads audio, `mnmf.markers` marker files, and `mnmf.whose` finds spots from solos.
`Session.take` brings everything into memory as a `mnmf.take.Take`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import folders, markers, whose
from mnmf.align import Alignment
from mnmf.audio import Recording
from mnmf.errors import ArgumentError, AudioFileError, SessionError, nearest
from mnmf.files import check_path, read_toml
from mnmf.inspected import Inspected
from mnmf.markers import Passage
from mnmf.output import as_file_name, check_file_names
from mnmf.rows import Rows
from mnmf.spots import Spots
from mnmf.take import Take, faintness

__all__ = ["Seats", "Session", "measured", "recordings", "session_keys"]

Array = NDArray[Any]
Mics = tuple[int, ...]
Reduction = float | Mapping[str, float]
PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Session:
    """The files of one take, its sources and what is known about them.  Make one with `open` or `from_toml`.

    Attributes
    ----------
    recording : Recording
        The microphones of the take together.
    sources : tuple of str
        Names, in the order of every result.
    spots : Spots
        Whose microphone is whose, in the order of `sources`.
    margins_db : tuple of float or None
        By how much each source's solo is louder at its spot than at the next microphone, levels balanced; None if the
        spot was given or follows the order.
    ambient : tuple of int
        Microphones that are nobody's spot, counted from 0.
    by_name : tuple of int
        Those of them of which only their names say so.
    passages : tuple of Passage
        Where each source plays alone, in seconds of `solo_recording`.
    solo_recording : Recording
        What the passages refer to; the take itself if there is no other.
    markers : Path or None
        The file the passages come from.
    ignored : tuple of str
        Labels of the marker file that are no solos: of nobody among the sources asked for, points, or not in the take.
    instruments : tuple of str
        What each source plays, in words for a dictionary of notes; its name if that was not given.
    queries : tuple of str
        What a network that takes words is asked for; what each source plays if that was not given.
    reduction : mapping of source to dB, or to a mapping of source to dB
        By how much bleed is turned down in the stem of a source when ``mnmf separate`` writes it: all of it, or that of
        some of the others, each by its own; bleed of whom it does not name is removed.
    inspected : Inspected or None
        What was found to be wrong with the files, if that was looked for.
    aside : tuple of int
        Microphones that no model is to see, for what was found: dead ones, copies and mixes.
    aligned : bool
        Whether microphones that are late, drift or are flipped are corrected in what `take` and `solos` return.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from mnmf import Session, audio
    >>> folder = tempfile.TemporaryDirectory()
    >>> x_LM = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2))
    >>> _ = audio.write(folder.name + "/take.wav", x_LM, 8000)
    >>> session = Session.open(folder.name + "/take.wav", sources=["violin", "cello"])
    >>> session.take()
    Take(1.000 s of 2 mics at 8000 Hz: violin at mic 1, cello at mic 2)
    >>> folder.cleanup()
    """

    recording: Recording
    sources: tuple[str, ...]
    spots: Spots
    margins_db: tuple[float | None, ...]
    ambient: tuple[int, ...]
    passages: tuple[Passage, ...]
    solo_recording: Recording
    markers: Path | None = None
    ignored: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    reduction: Mapping[str, Reduction] = field(default_factory=dict)
    by_name: tuple[int, ...] = ()
    inspected: Inspected | None = None
    aside: tuple[int, ...] = ()
    aligned: bool = False

    @classmethod
    def open(
        cls,
        take: PathLike | Sequence[PathLike],
        *,
        solos: PathLike | None = None,
        solo_take: PathLike | Sequence[PathLike] = (),
        sources: Sequence[str] | None = None,
        spots: Mapping[str, Any] | None = None,
        ambient: Sequence[str | int] | None = None,
        instruments: Sequence[str] | Mapping[str, str] = (),
        queries: Mapping[str, str] | None = None,
        reduction: Mapping[str, Reduction] | None = None,
        inspect: bool | Inspected = False,
        align: bool = False,
        progress: Callable[[float], Any] | None = None,
    ) -> Session:
        """Open the files of a session and find out whose spot is whose.

        Parameters
        ----------
        take : path or paths
            One polyphonic file, or one file a microphone; a pattern such as ``"T03_*.WAV"``, or a folder that holds
            one take.
        solos : path, optional
            Marker file naming each source's solo passage.
        solo_take : path or paths, optional
            What the markers refer to, given in the same ways, with the microphones in the same order or of the same
            names; the take if not given.
        sources : names, optional
            Which sources, and their order; by default the markers' labels, else the microphones' names.
        spots : mapping of name to microphone(s), optional
            Microphones as `mnmf.whose.find_mics` takes them: channels counted from 1, names, endings of names, or
            patterns.  Sources not named here are found by their solos: a source's spot is the microphone that hears its
            solo loudest, levels balanced.  Without solos, sources and remaining microphones pair up in order.
        ambient : microphones, optional
            Those that are nobody's spot, in the same ways; if not given, those that are called main, room or the like
            (`mnmf.folders.is_room`), where that leaves one microphone, or one stereo file, for every source.
        instruments : names in the order of the sources, or mapping of source to instrument, optional
            What they play, for methods that look notes up in a dictionary; a source's name if not given.
        queries : mapping of source to text, optional
            What to ask for of a network that takes words; what the source plays if not given.
        reduction : mapping of source to dB, or to a mapping of source to dB, optional
            By how much bleed is turned down, as in the attribute of that name; it is removed if not given.
        inspect : bool or Inspected
            Look for what is wrong with the files first (`mnmf.faults`), or take what was found in them before: who
            hears nothing, or the same as others, is nobody's spot unless `spots` says so, and is set aside.
        align : bool
            Also correct who is late, drifts or is flipped.
        progress : callable, optional
            Called with the part of the inspection that is done, 0 to 1.

        Raises
        ------
        ArgumentError, AudioFileError, MarkerError, SessionError
            One line naming the argument, file, microphone or source, and what to do.
        """
        named = {"sources": sources, "spots": spots, "ambient": ambient, "instruments": instruments, "queries": queries}
        _check_given(**named, reduction=reduction, inspect=inspect, align=align)
        recording, solo_recording = recordings(take, solo_take)
        inspected = inspect if isinstance(inspect, Inspected) else None
        if inspected is None and (inspect or align):
            inspected = Inspected.of(recording, solo_recording, progress)
        seats = Seats.of(recording)
        sources = None if sources is None else _composed(list(sources))
        spots, ambient, instruments, queries, reduction = map(
            _composed, (spots, ambient, instruments, queries, reduction)
        )
        marked = markers.Marked(())
        if solos is not None:
            marked = markers.read_all(solos, solo_recording.duration, sources)
        labels = list(dict.fromkeys(passage.source for passage in marked.passages))
        names = list(sources) if sources is not None else labels
        ambient_mics, by_name = seats.aside(ambient, spots or {}, names)
        given = {name: seats.mics(mics, ambient_mics) for name, mics in (spots or {}).items()}
        faulty = ((), ()) if inspected is None else inspected.faulty([m for own in given.values() for m in own])
        if not names:
            given = seats.by_name((*ambient_mics, *faulty[0]), given)
            names = list(given)
        if not names:
            raise SessionError("there are no sources; take a mic off --ambient, or name some with --sources")
        check_file_names(names)
        _refuse_strangers("--spot names", given, names)
        found = _find_spots(recording, solo_recording, names, marked.passages, given, ambient_mics, seats.pairs, faulty)
        played = _instruments(names, instruments or ())
        return cls(
            recording=recording,
            sources=tuple(names),
            spots=found.spots,
            margins_db=found.margins_db,
            ambient=ambient_mics,
            passages=marked.passages,
            solo_recording=solo_recording,
            markers=None if solos is None else Path(solos),
            ignored=marked.ignored,
            instruments=played,
            queries=_each("queries", names, played, queries or {}),
            reduction=_reductions(names, reduction or {}),
            by_name=by_name,
            inspected=inspected,
            aside=tuple(m for m in faulty[0] if not any(m in own for own in found.spots)),
            aligned=align,
        )

    @classmethod
    def from_toml(cls, path: PathLike, **overrides: Any) -> Session:
        """Open the session a ``session.toml`` describes; its paths are relative to it.

        Its keys are `take`, `solos`, `solo-take`, `sources`, `ambient` and the tables `spots`, `instruments`, `queries`
        and `reduction`, with the meaning they have in `open`; `overrides` go before them.
        """
        path = check_path(path)
        table = read_toml(path, SessionError, "correct it, or give another session file")
        return cls.open(**{**session_keys(path, table), **overrides})

    @classmethod
    def outline(
        cls,
        take: PathLike | Sequence[PathLike],
        *,
        solos: PathLike | None = None,
        solo_take: PathLike | Sequence[PathLike] = (),
        sources: Sequence[str] | None = None,
        spots: Mapping[str, Any] | None = None,
        ambient: Sequence[str | int] | None = None,
        **_: Any,
    ) -> tuple[Recording, int, bool]:
        """Return the take, how many sources it has, and whether all have a solo; no sound is read for this.

        Parameters
        ----------
        take, solos, solo_take, sources, spots, ambient
            As of `open`, or for `take` a session file.

        Raises
        ------
        AudioFileError, MarkerError, SessionError
            One line naming the file, and what to do.
        """
        if isinstance(take, str | os.PathLike) and str(take).lower().endswith(".toml"):
            path = check_path(take)
            said = {"solos": solos, "solo_take": solo_take, "sources": sources, "spots": spots, "ambient": ambient}
            keys = session_keys(path, read_toml(path, SessionError, "correct it, or give another session file"))
            return cls.outline(**{**keys, **{name: value for name, value in said.items() if value}})
        _check_given(sources=sources, spots=spots, ambient=ambient)
        recording, solo_recording = recordings(take, solo_take)
        seats = Seats.of(recording)
        sources = None if sources is None else _composed(list(sources))
        spots, ambient = map(_composed, (spots, ambient))
        passages = () if solos is None else markers.read(solos, solo_recording.duration, sources)
        labels = {passage.source for passage in passages}
        names = set(sources) if sources is not None else labels
        aside, _by_name = seats.aside(ambient, spots or {}, sorted(names))
        given = {name: seats.mics(mics, aside) for name, mics in (spots or {}).items()}
        count = len(names or seats.by_name(aside, given))
        return recording, count, bool(labels) and names <= labels

    def take(self, whole: bool = True) -> Take:
        """Read the take and its solo passages into memory.

        Samples are float32, or float64 for files of 32 bits and double precision; solos are float32.

        Parameters
        ----------
        whole : bool
            If False, samples are read when they are asked for, each time anew (`mnmf.rows.Rows`): for a take that is
            too long for the memory.

        Raises
        ------
        AudioFileError
            A file cannot be read, holds NaN, or nothing but samples too faint to be sound.
        """
        alignment = self.alignment()
        if alignment is not None:
            rows = alignment.applied(self.recording.rows())
            x_LM: Any = rows[:] if whole else rows
        else:
            x_LM = self.recording.read(dtype=self.recording.exact_dtype) if whole else self.recording.rows()
        if loudest := faintness(x_LM):
            raise AudioFileError(
                f"{self.recording.paths[0]}: no mic of the take exceeds {loudest:.1g} of full scale, no sound; "
                "export it at its own level"
            )
        return Take(
            x_LM,
            self.recording.sample_rate,
            self.spots,
            self.sources,
            self.mic_names,
            [list(self.solos(source)) for source in self.sources],
            self.instruments,
            self.aside,
        )

    def part(self, start: float, stop: float) -> Session:
        """Return the session of a part of the take, from `start` to `stop` in seconds, with the same solos.

        Raises
        ------
        SessionError
            It is not within the take.
        """
        if self.alignment() is not None:
            raise SessionError("microphones are aligned over the whole take, so a part of it is not separated alone")
        rate, n_samples = self.sample_rate, self.recording.n_samples
        inside = 0 <= start < stop and stop * rate <= n_samples + 0.5
        first, last = (round(start * rate), min(round(stop * rate), n_samples)) if inside else (0, 0)
        if first == last:
            raise SessionError(f"{start:g} to {stop:g} s is no part of the take, which lasts {self.duration:.1f} s")
        return replace(self, recording=self.recording.part(first, last))

    def solos(self, source: str) -> Iterator[Array]:
        """Yield the audio (samples, mics) of each passage in which `source` plays alone."""
        alignment = self.alignment(of_solos=True)
        rows = None if alignment is None else alignment.applied(self.solo_recording.rows())
        return _alone(self.solo_recording, self.passages, source, rows)

    def alignment(self, of_solos: bool = False) -> Alignment | None:
        """Return what is corrected in the take, or in the recording of the solos; None if nothing is."""
        if not self.aligned or self.inspected is None:
            return None
        return self.inspected.alignment(of_solos) or None

    @property
    def sample_rate(self) -> int:
        """Of the take, in hertz."""
        return self.recording.sample_rate

    @property
    def duration(self) -> float:
        """Of the take, in seconds."""
        return self.recording.duration

    @property
    def mic_names(self) -> tuple[str, ...]:
        """Names of the microphones."""
        return self.recording.mic_names

    @property
    def seen(self) -> tuple[int, ...]:
        """The microphones that a model sees: all that are not set aside."""
        return tuple(m for m in range(self.recording.n_mics) if m not in self.aside)

    def without_solo(self) -> tuple[str, ...]:
        """Return the sources that have no solo passage."""
        heard = {passage.source for passage in self.passages}
        return tuple(name for name in self.sources if name not in heard)

    def describe_mic(self, mic: int) -> str:
        """Return a microphone's channel, counted from 1, and its name if it has another."""
        return whose.describe(mic, self.mic_names)

    def describe_spot(self, source: int) -> str:
        """Return a line that says where a source's own sound is taken from, and why."""
        mics, margin_db = " and ".join(map(self.describe_mic, self.spots[source])), self.margins_db[source]
        if margin_db is None or np.isinf(margin_db):
            return mics
        return f"{mics}, where its solo is {margin_db:.1f} dB louder than at any other"


def _check_given(**given: Any) -> None:
    """Refuse arguments of a session that are of the wrong kind; paths are looked at where they are opened."""
    for name, value in given.items():
        words, fits = _GIVEN[name]
        if value is not None and not fits(value):
            raise ArgumentError(f"{name} must be {words}, got {value!r:.60}")


def _listed(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(fits, value))


def _tabled(value: Any, fits: Callable[[Any], bool]) -> bool:
    return (
        isinstance(value, Mapping) and all(isinstance(name, str) for name in value) and all(map(fits, value.values()))
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _is_mic(value: Any) -> bool:
    return _is(value, str | int | np.integer)


_GIVEN: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "sources": ("a list of names", lambda value: _listed(value, _is_name)),
    "spots": (
        "a table of names and microphones",
        lambda value: _tabled(value, lambda own: _is_mic(own) or _listed(own, _is_mic)),
    ),
    "ambient": ("a list of microphones", lambda value: _listed(value, _is_mic)),
    "instruments": (
        "a list of names, or a table of names and instruments",
        lambda value: _listed(value, _is_name) or _tabled(value, _is_name),
    ),
    "queries": ("a table of names and texts", lambda value: _tabled(value, _is_name)),
    "reduction": ("a table of names and dB", lambda value: _tabled(value, lambda _: True)),
    "inspect": ("True, False or what was found before", lambda value: isinstance(value, bool | Inspected)),
    "align": ("True or False", lambda value: isinstance(value, bool)),
}


def _composed(value: Any) -> Any:
    """Return names in NFC, also in lists and tables: some systems write letters with accents as two characters."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {_composed(name): _composed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_composed, value))
    return value


def _find_spots(
    recording: Recording,
    solo_recording: Recording,
    names: Sequence[str],
    passages: Sequence[Passage],
    given: Mapping[str, Mics],
    ambient: Sequence[int],
    pairs: Sequence[Mics],
    faulty: tuple[Sequence[int], Sequence[int]],
) -> whose.Found:
    heard = dict.fromkeys(passage.source for passage in passages)
    aside, dead = faulty
    free = [m for m in range(recording.n_mics) if m not in (*ambient, *(m for own in given.values() for m in own))]
    if not heard and len(names) - len(given) > len([m for m in free if m not in aside]):
        aside = ()  # each microphone that is there was given a source, by order
    try:
        return whose.find_spots(
            names,
            recording.mic_names,
            solos={name: _alone(solo_recording, passages, name) for name in heard},
            sample_rate=solo_recording.sample_rate,
            take=recording.read,
            given=given,
            ambient=[*ambient, *(m for m in aside if m not in dead)],
            pairs=pairs,
            dead=dead,
        )
    except SessionError as error:
        if not aside:
            raise
        mics = ", ".join(whose.describe(m, recording.mic_names) for m in aside)
        raise SessionError(f"{error} ({mics} set aside, as `mnmf inspect` says why)") from error


def _reductions(names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Reduction]:
    """Return by how much bleed is turned down, if every number can be one and every source is there."""
    _refuse_strangers("reduction names", given, names)
    found: dict[str, Reduction] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            _refuse_strangers(f"reduction of {name} names", value, names)
            if name in value:
                raise SessionError(f"reduction of {name}: {name} is no bleed in its own stem; leave it out")
            found[name] = {other: _decibels(f"reduction of {other} in {name}", each) for other, each in value.items()}
        else:
            found[name] = _decibels(f"reduction of {name}", value)
    return found


def _decibels(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
        raise SessionError(f"{name} must be dB of 0 or more; leave it out to remove the bleed; got {value!r}")
    return float(value)


def _refuse_strangers(verb: str, named: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in named:
        if name not in names:
            near = nearest(name, names)
            raise SessionError(f"{verb} {name!r}, which is not among the sources: {', '.join(names)}{near}")


def _instruments(names: Sequence[str], instruments: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    if isinstance(instruments, Mapping):
        return _each("instruments", names, names, instruments)
    if instruments and len(instruments) != len(names):
        raise SessionError(
            f"--instruments names {len(instruments)}, but there are {len(names)} sources: {', '.join(names)}; "
            "name one for each, in this order"
        )
    return tuple(instruments) or tuple(names)


def _each(what: str, names: Sequence[str], otherwise: Sequence[str], given: Mapping[str, str]) -> tuple[str, ...]:
    """Return for each source what is given for it, or what stands in `otherwise`."""
    _refuse_strangers(f"{what} name", given, names)
    return tuple(given.get(name, other) for name, other in zip(names, otherwise))


@dataclass(frozen=True)
class Seats:
    """The microphones of a recording: how they may be called, and which of them stand in pairs.

    Attributes
    ----------
    mic_names : tuple of str
        In their order.
    files : mapping of name to microphones
        By names of files, with and without extension, of which there are no two.
    pairs : tuple of microphones
        Those of stereo files among others; where all are stereo, a recorder may have paired what is no pair.
    """

    mic_names: tuple[str, ...]
    files: Mapping[str, Mics]
    pairs: tuple[Mics, ...]

    @classmethod
    def of(cls, recording: Recording) -> Seats:
        """Return those of a recording."""
        mics: dict[Path, Mics] = {}
        for m, mic in enumerate(recording.mics):
            mics[mic.path] = (*mics.get(mic.path, ()), m)
        files: dict[str, Mics] = {}
        for path, own in mics.items():
            for name in _composed([*{path.name, path.stem}]):
                files[name] = () if name in files else own
        pairs = tuple(own for own in mics.values() if len(own) == 2)
        files = {name: own for name, own in files.items() if own}
        return cls(_composed(recording.mic_names), files, pairs if len(pairs) < len(mics) else ())

    def mics(self, mics: Any, ambient: Sequence[int] = ()) -> Mics:
        """Return the microphones that are meant; none is `ambient`."""
        return whose.find_mics(mics, self.mic_names, ambient, self.files)

    def aside(
        self, ambient: Sequence[str | int] | None, spots: Mapping[str, Any], names: Sequence[str]
    ) -> tuple[Mics, Mics]:
        """Return the microphones that are nobody's spot, and those of them of which only their names say so.

        Names decide where nothing is given, if that leaves something, and for `names` a microphone for each.
        """
        if ambient is not None:
            return self.mics(ambient), ()
        given = {name: self.mics(mics) for name, mics in spots.items()}
        taken = {m for mics in given.values() for m in mics}
        free = [m for m in range(len(self.mic_names)) if m not in taken]
        rooms = tuple(m for m in free if folders.is_room(self.mic_names[m]))
        left = [m for m in free if m not in rooms]
        waiting = [name for name in names if name not in given]
        fits = len(waiting) in (len(left), len(whose.units(left, self.pairs))) if names else bool(left or given)
        return (rooms, rooms) if fits else ((), ())

    def by_name(self, ambient: Sequence[int], given: Mapping[str, Mics]) -> dict[str, Mics]:
        """Return the spots of sources that are called as is given, else as their microphones are."""
        found: dict[str, Mics] = {}
        free = [m for m in range(len(self.mic_names)) if m not in ambient]
        for mics in whose.units(free, self.pairs):
            owners = {name: own for name, own in given.items() if any(m in own for m in mics)}
            found |= owners or {self._called(mics, (*found, *given)): mics}
        return found

    def _called(self, mics: Mics, others: Sequence[str]) -> str:
        """Return what microphones are called together, as the name of a file, which holds no colon."""
        first, last = (self.mic_names[m] for m in (mics[0], mics[-1]))
        length = next((i for i, (a, b) in enumerate(zip(first, last)) if a != b), len(first))
        name = first[:length].rstrip(" _-.:") if len(mics) > 1 else ""
        name = first.replace(":", ".") if not name or name in others else name
        fit = as_file_name(name)
        return name if fit in others else fit


def recordings(
    take: PathLike | Sequence[PathLike], solo_take: PathLike | Sequence[PathLike] = ()
) -> tuple[Recording, Recording]:
    """Open a take, and what its solos are in, which is the take itself if nothing else is given.

    Parameters
    ----------
    take, solo_take : path or paths
        Files, patterns such as ``"T03_*.WAV"``, or folders that hold one take beside the other.

    Returns
    -------
    tuple of Recording
        With the same microphones, in the same order.

    Raises
    ------
    AudioFileError, SessionError
        A file cannot be read, files are not of one take, or the two have other microphones.
    """
    missing = solo_take is None or (isinstance(solo_take, list | tuple) and not solo_take)
    solo_files = [] if missing else _files_of(solo_take, (), "--solo-take {}")
    recording = _one_take(_files_of(take, solo_files), bool(solo_files))
    if not solo_files:
        return recording, recording
    return recording, _like(_one_take(solo_files), recording)


def _files_of(
    given: PathLike | Sequence[PathLike], leaving: Sequence[Path], proposed: str = folders.SEPARATE
) -> list[Path]:
    paths = [given] if isinstance(given, str | os.PathLike) else given
    if not isinstance(paths, list | tuple) or not all(isinstance(path, str | os.PathLike) for path in paths):
        raise ArgumentError(f"take and solo_take must be paths, or lists of them, got {given!r:.60}")
    if session := next((str(path) for path in paths if str(path).lower().endswith(".toml")), ""):
        raise SessionError(f"{session}: a session file names the take itself, so nothing can be given beside it")
    return folders.chosen(paths, measured, leaving, proposed)


def measured(path: Path) -> folders.Sound:
    """Return what the header of an audio file says; `AudioFileError` if it cannot be read."""
    recording = Recording.open(path)
    return _sounds(recording)[0]


def _sounds(recording: Recording) -> list[folders.Sound]:
    stamps = {mic.path: mic.time_reference for mic in recording.mics}
    return [
        folders.Sound(sound.path, sound.frames, sound.samplerate, sound.channels, stamps[sound.path])
        for sound in recording.sounds
    ]


def _one_take(paths: Sequence[Path], beside: bool = False) -> Recording:
    """Open files, or say which takes they are of if they are of several; `beside` a solo take that was given."""
    try:
        recording = Recording.open(paths)
        folders.check_whole(_sounds(recording))
        return recording
    except AudioFileError as error:
        if len(paths) > folders.MOST_FILES:
            raise
        found = []
        with suppress(AudioFileError):  # the first error says more
            sounds = [measured(path) for path in paths]
            folders.check_whole(sounds)
            found = folders.takes(sounds)
        if len(found) < 2:
            raise
        hint = "; a pattern after --solo-take has to be in quotes" if beside else ""
        parents = {path.parent for path in paths}
        message = f"{folders.choice(found, parents.pop() if len(parents) == 1 else Path())}{hint}"
        raise folders.SeveralTakes(message) from error


def _like(solo: Recording, take: Recording) -> Recording:
    """Return the recording of the solos, its files in the order in which the take has microphones of their names."""
    if solo.n_mics != take.n_mics:
        shared = set(solo.mic_names) & set(take.mic_names)
        missing = [name for name in take.mic_names if name not in shared] if shared and len(take.paths) > 1 else []
        lacks = f" (no {', '.join(missing[:4])})" if missing else ""
        raise SessionError(
            f"{solo.paths[0]}: the solo take has {solo.n_mics} mics{lacks}, the take has {take.n_mics}; "
            "give the same mics in the same order"
        )
    if solo.sample_rate != take.sample_rate:
        raise SessionError(
            f"{solo.paths[0]}: the solo take runs at {solo.sample_rate} Hz, "
            f"the take at {take.sample_rate} Hz; convert one of them"
        )
    if solo.mic_names == take.mic_names or len(solo.paths) < 2:
        return solo
    if set(solo.mic_names) == set(take.mic_names):
        path_of = {mic.name: mic.path for mic in solo.mics}
        sorted_solo = Recording.open(list(dict.fromkeys(path_of[name] for name in take.mic_names)))
        if sorted_solo.mic_names == take.mic_names:
            return sorted_solo
    for m, name in enumerate(take.mic_names):
        if name in solo.mic_names and solo.mic_names[m] != name:
            raise SessionError(
                f"{solo.paths[0]}: {name} is mic {solo.mic_names.index(name) + 1} of the solo take and mic {m + 1} of "
                "the take; give the same mics in the same order"
            )
    return solo


def _alone(recording: Recording, passages: Sequence[Passage], source: str, rows: Rows | None = None) -> Iterator[Array]:
    """Yield the audio of each passage of a source, from `rows` if they are another version of the recording."""
    for passage in passages:
        if passage.source == source:
            start = round(passage.start * recording.sample_rate)
            stop = min(round(passage.stop * recording.sample_rate), recording.n_samples)
            yield recording.read(start, stop) if rows is None else np.asarray(rows[start:stop], np.float32)


KEYS = ("ambient", "instruments", "queries", "reduction", "solo-take", "solos", "sources", "spots", "take")


def session_keys(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Session.open` that a session file gives, paths resolved."""
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        near = nearest(unknown[0], KEYS)
        raise SessionError(f"{path}: unknown key {unknown[0]!r}{near}; a session has {', '.join(KEYS)}")
    if "take" not in table:
        raise SessionError(f"{path}: 'take' is missing; name the recording's file or files")
    arguments: dict[str, Any] = {}
    for key in ("take", "solos", "solo-take"):
        if key in table:
            arguments[key.replace("-", "_")] = _files(path, key, table[key])
    if isinstance(arguments.get("solos"), list):
        raise SessionError(f"{path}: 'solos' must be one marker file, got {table['solos']!r}")
    if "sources" in table:
        arguments["sources"] = _list(path, "sources", table["sources"], str)
    if "ambient" in table:
        arguments["ambient"] = _list(path, "ambient", table["ambient"])
    if "spots" in table:
        spots = _table(path, "spots", table["spots"], "mic", object)
        arguments["spots"] = {
            name: mic if _is(mic, str | int) else _list(path, f"spots.{name}", mic) for name, mic in spots.items()
        }
    for key, word in (("instruments", "instrument"), ("queries", "text")):
        if key in table:
            arguments[key] = _table(path, key, table[key], word, str)
    if "reduction" in table:
        arguments["reduction"] = _table(path, "reduction", table["reduction"], "dB", int | float | dict)
    return arguments


def _is(value: Any, kinds: Any) -> bool:
    """Return whether a value is of some kind; true and false, numbers to Python, are of none."""
    return isinstance(value, kinds) and not isinstance(value, bool)


def _files(path: Path, key: str, value: Any) -> Path | list[Path]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise SessionError(f"{path}: {key!r} must be a file name or a list of them, got {value!r}")
    files = [path.parent / v for v in values]
    return files[0] if isinstance(value, str) else files


def _list(path: Path, key: str, value: Any, kinds: Any = str | int) -> list[Any]:
    if not isinstance(value, list) or not all(_is(v, kinds) for v in value):
        wanted = "names" if kinds is str else "names or channels"
        raise SessionError(f"{path}: {key!r} must be a list of {wanted}, got {value!r}")
    return value


def _table(path: Path, key: str, value: Any, word: str, kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(_is(v, kind) for v in value.values()):
        raise SessionError(f"{path}: {key!r} must be a table of source = {word}, got {value!r}")
    return value
