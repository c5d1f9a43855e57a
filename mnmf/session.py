"""Sessions: who played, which files hold what, which microphone is whose spot, and where each player was alone.

A `Session` is complete and checked when it exists; every refusal names the file, microphone or source at fault.  It
knows files and names: `mnmf.audio` reads audio, `mnmf.markers` marker files, and `mnmf.whose` finds spots from solos.
`Session.take` brings everything into memory as a `mnmf.take.Take`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import markers, whose
from mnmf.audio import Recording
from mnmf.errors import AudioFileError, SessionError
from mnmf.files import check_path, read_toml
from mnmf.markers import Passage
from mnmf.output import check_file_names
from mnmf.spots import Spots
from mnmf.take import Take, faintness

__all__ = ["Session"]

Array = NDArray[Any]
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

    @classmethod
    def open(
        cls,
        take: PathLike | Sequence[PathLike],
        *,
        solos: PathLike | None = None,
        solo_take: PathLike | Sequence[PathLike] = (),
        sources: Sequence[str] | None = None,
        spots: Mapping[str, Any] | None = None,
        ambient: Sequence[str | int] = (),
        instruments: Sequence[str] | Mapping[str, str] = (),
        queries: Mapping[str, str] | None = None,
        reduction: Mapping[str, Reduction] | None = None,
    ) -> Session:
        """Open the files of a session and find out whose spot is whose.

        Parameters
        ----------
        take : path or paths
            One polyphonic file, or one file a microphone.
        solos : path, optional
            Marker file naming each source's solo passage.
        solo_take : path or paths, optional
            What the markers refer to, with the microphones in the same order; the take if not given.
        sources : names, optional
            Which sources, and their order; by default the markers' labels, else the microphones' names.
        spots : mapping of name to microphone(s), optional
            A microphone is its channel counted from 1, or its name.  Sources not named here are found by their solos:
            a source's spot is the microphone that hears its solo loudest, levels balanced.  Without solos, sources and
            remaining microphones pair up in order.
        ambient : microphones, optional
            Those that are nobody's spot, counted from 1 as well, as in a session file and on the command line.
        instruments : names in the order of the sources, or mapping of source to instrument, optional
            What they play, for methods that look notes up in a dictionary; a source's name if not given.
        queries : mapping of source to text, optional
            What to ask for of a network that takes words; what the source plays if not given.
        reduction : mapping of source to dB, or to a mapping of source to dB, optional
            By how much bleed is turned down, as in the attribute of that name; it is removed if not given.

        Raises
        ------
        AudioFileError, MarkerError, SessionError
            One line naming the file, microphone or source, and what to do.
        """
        recording = Recording.open(take)
        solo_recording = _open_solo_take(solo_take, recording)
        mic_names = _composed(recording.mic_names)
        sources = None if sources is None else _composed(list(sources))
        spots, ambient, instruments, queries, reduction = map(
            _composed, (spots, ambient, instruments, queries, reduction)
        )
        ambient_mics = tuple(dict.fromkeys(whose.find_mic(mic, mic_names) for mic in ambient))
        marked = markers.Marked(())
        if solos is not None:
            marked = markers.read_all(solos, solo_recording.duration, sources)
        labels = list(dict.fromkeys(passage.source for passage in marked.passages))
        names = list(sources) if sources is not None else labels
        names = names or [mic_names[m] for m in range(recording.n_mics) if m not in ambient_mics]
        if not names:
            raise SessionError("there are no sources; take a mic off --ambient, or name some with --sources")
        check_file_names(names)
        given = {name: whose.find_mics(mics, mic_names, ambient_mics) for name, mics in (spots or {}).items()}
        _refuse_strangers("--spot names", given, names)
        found = _find_spots(recording, solo_recording, names, marked.passages, given, ambient_mics)
        played = _instruments(names, instruments)
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
        )

    @classmethod
    def from_toml(cls, path: PathLike, **overrides: Any) -> Session:
        """Open the session a ``session.toml`` describes; its paths are relative to it.

        Its keys are `take`, `solos`, `solo-take`, `sources`, `ambient` and the tables `spots`, `instruments`, `queries`
        and `reduction`, with the meaning they have in `open`; `overrides` go before them.
        """
        path = check_path(path)
        table = read_toml(path, SessionError, "give an existing session file")
        return cls.open(**{**_session_keys(path, table), **overrides})

    @classmethod
    def outline(
        cls,
        take: PathLike | Sequence[PathLike],
        *,
        solos: PathLike | None = None,
        solo_take: PathLike | Sequence[PathLike] = (),
        sources: Sequence[str] | None = None,
        ambient: Sequence[str | int] = (),
        **_: Any,
    ) -> tuple[Recording, int, bool]:
        """Return the take, how many sources it has, and whether all have a solo; no sound is read for this.

        Parameters
        ----------
        take, solos, solo_take, sources, ambient
            As of `open`, or for `take` a session file.

        Raises
        ------
        AudioFileError, MarkerError, SessionError
            One line naming the file, and what to do.
        """
        if isinstance(take, str | os.PathLike) and str(take).lower().endswith(".toml"):
            path = check_path(take)
            given = {"solos": solos, "solo_take": solo_take, "sources": sources, "ambient": ambient}
            keys = _session_keys(path, read_toml(path, SessionError, "give an existing session file"))
            return cls.outline(**{**keys, **{name: value for name, value in given.items() if value}})
        recording = Recording.open(take)
        solo_recording = _open_solo_take(solo_take, recording)
        sources = None if sources is None else _composed(list(sources))
        passages = () if solos is None else markers.read(solos, solo_recording.duration, sources)
        labels = {passage.source for passage in passages}
        aside = {whose.find_mic(mic, recording.mic_names) for mic in ambient}
        names = set(sources) if sources is not None else labels
        count = len(names) or recording.n_mics - len(aside)
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
        )

    def part(self, start: float, stop: float) -> Session:
        """Return the session of a part of the take, from `start` to `stop` in seconds, with the same solos.

        Raises
        ------
        SessionError
            It is not within the take.
        """
        rate, n_samples = self.sample_rate, self.recording.n_samples
        inside = 0 <= start < stop and stop * rate <= n_samples + 0.5
        first, last = (round(start * rate), min(round(stop * rate), n_samples)) if inside else (0, 0)
        if first == last:
            raise SessionError(f"{start:g} to {stop:g} s is no part of the take, which lasts {self.duration:.1f} s")
        return replace(self, recording=self.recording.part(first, last))

    def solos(self, source: str) -> Iterator[Array]:
        """Yield the audio (samples, mics) of each passage in which `source` plays alone."""
        return _alone(self.solo_recording, self.passages, source)

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
    given: Mapping[str, tuple[int, ...]],
    ambient: Sequence[int],
) -> whose.Found:
    heard = dict.fromkeys(passage.source for passage in passages)
    return whose.find_spots(
        names,
        recording.mic_names,
        solos={name: _alone(solo_recording, passages, name) for name in heard},
        sample_rate=solo_recording.sample_rate,
        take=recording.read,
        given=given,
        ambient=ambient,
    )


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
            raise SessionError(f"{verb} {name!r}, which is not among the sources: {', '.join(names)}")


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


def _open_solo_take(solo_take: PathLike | Sequence[PathLike], take: Recording) -> Recording:
    paths = [solo_take] if isinstance(solo_take, str | os.PathLike) else list(solo_take)
    if not paths:
        return take
    recording = Recording.open(paths)
    if recording.n_mics != take.n_mics:
        raise SessionError(
            f"{recording.paths[0]}: the solo take has {recording.n_mics} mics, the take has {take.n_mics}; "
            "give the same mics in the same order"
        )
    if recording.sample_rate != take.sample_rate:
        raise SessionError(
            f"{recording.paths[0]}: the solo take runs at {recording.sample_rate} Hz, "
            f"the take at {take.sample_rate} Hz; convert one of them"
        )
    return recording


def _alone(recording: Recording, passages: Sequence[Passage], source: str) -> Iterator[Array]:
    """Yield the audio of each passage of a source."""
    for passage in passages:
        if passage.source == source:
            start = round(passage.start * recording.sample_rate)
            stop = min(round(passage.stop * recording.sample_rate), recording.n_samples)
            yield recording.read(start, stop)


KEYS = ("ambient", "instruments", "queries", "reduction", "solo-take", "solos", "sources", "spots", "take")


def _session_keys(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Session.open` that a session file gives, paths resolved."""
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise SessionError(f"{path}: unknown key {unknown[0]!r}; a session has {', '.join(KEYS)}")
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
            name: mic if isinstance(mic, str | int) else _list(path, f"spots.{name}", mic)
            for name, mic in spots.items()
        }
    for key, word in (("instruments", "instrument"), ("queries", "text")):
        if key in table:
            arguments[key] = _table(path, key, table[key], word, str)
    if "reduction" in table:
        arguments["reduction"] = _table(path, "reduction", table["reduction"], "dB", int | float | dict)
    return arguments


def _files(path: Path, key: str, value: Any) -> Path | list[Path]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise SessionError(f"{path}: {key!r} must be a file name or a list of them, got {value!r}")
    files = [path.parent / v for v in values]
    return files[0] if isinstance(value, str) else files


def _list(path: Path, key: str, value: Any, kinds: Any = str | int) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(v, kinds) for v in value):
        wanted = "names" if kinds is str else "names or channels"
        raise SessionError(f"{path}: {key!r} must be a list of {wanted}, got {value!r}")
    return value


def _table(path: Path, key: str, value: Any, word: str, kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(v, kind) for v in value.values()):
        raise SessionError(f"{path}: {key!r} must be a table of source = {word}, got {value!r}")
    return value
