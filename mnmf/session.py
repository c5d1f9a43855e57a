"""Sessions: who played, which microphone is whose spot, and where each player was alone.

A `Session` is complete and checked when it exists; every refusal names the file, microphone or source at fault.  It
knows files and names only.  Reading audio is `mnmf.audio`'s affair, marker files are `mnmf.markers`'.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import markers
from mnmf.audio import Recording
from mnmf.errors import SessionError
from mnmf.markers import Passage
from mnmf.output import check_file_names

__all__ = ["Session", "Spot", "match_spots"]

Array = NDArray[Any]
PathLike = str | os.PathLike[str]

NEAR_TIE_DB = 1.0  # a solo heard this evenly at two mics does not tell whose spot is whose
ABOVE_FLOOR = (
    1.6  # times the energy of what a mic hears anyway: steady noise stays below this, music with pauses does not
)
FLOOR_FRAME = 0.05  # seconds over which that is looked for
FLOOR_PERCENTILE = 1


@dataclass(frozen=True)
class Spot:
    """The microphone(s) of one source, counted from 0, the reference first.

    `margin_db` is how much louder the source's solo is there than at the next microphone, levels balanced; None if the
    spot was given or follows the order.
    """

    mics: tuple[int, ...]
    margin_db: float | None = None


@dataclass(frozen=True)
class Session:
    """One take, its sources and what is known about them.  Make one with `open` or `from_toml`.

    Attributes
    ----------
    take : Recording
        The microphones together.
    sources : tuple of str
        Names, in the order of every result.
    spots : tuple of Spot
        Whose microphone is whose, in the order of `sources`.
    ambient : tuple of int
        Microphones that are nobody's spot, counted from 0.
    passages : tuple of Passage
        Where each source plays alone, in seconds of `solo_take`.
    solo_take : Recording
        The recording the passages refer to; the take itself if there is no other.
    markers : Path or None
        The file the passages come from.
    ignored : tuple of str
        Labels of the marker file that are not among the sources asked for.
    instruments : tuple of str
        What each source plays, in words for a dictionary of notes; its name if it was not told.
    queries : tuple of str
        What a network that is asked in words is to be asked for; what each source plays if it was not told.
    """

    take: Recording
    sources: tuple[str, ...]
    spots: tuple[Spot, ...]
    ambient: tuple[int, ...]
    passages: tuple[Passage, ...]
    solo_take: Recording
    markers: Path | None = None
    ignored: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()

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
            Those that are nobody's spot.
        instruments : names in the order of the sources, or mapping of source to instrument, optional
            What they play, for methods that look notes up in a dictionary; a source's name if it is not told.
        queries : mapping of source to text, optional
            What to ask for of a network that is asked in words; what the source plays if it is not told.

        Raises
        ------
        AudioFileError, MarkerError, SessionError
            One line naming the file, microphone or source, and what to do.
        """
        recording = Recording.open(take)
        solo_recording = _open_solo_take(solo_take, recording)
        ambient_mics = tuple(dict.fromkeys(find_mic(recording, mic) for mic in ambient))
        free = [m for m in range(recording.n_mics) if m not in ambient_mics]

        passages: tuple[Passage, ...] = ()
        if solos is not None:
            passages = markers.read(solos, duration=solo_recording.n_samples / solo_recording.sample_rate)
        labels = list(dict.fromkeys(passage.source for passage in passages))
        names = list(sources) if sources is not None else labels or [recording.mic_names[m] for m in free]
        if not names:
            raise SessionError("there are no sources; take a mic off --ambient, or name some with --sources")
        check_file_names(names)
        played = _instruments(names, instruments)
        given = {name: _find_mics(recording, mics, ambient_mics) for name, mics in (spots or {}).items()}
        for name in given:
            if name not in names:
                raise SessionError(f"--spot names {name!r}, which is not among the sources: {', '.join(names)}")
        passages_kept = tuple(passage for passage in passages if passage.source in names)
        if passages_kept:
            found = _spots_by_solos(recording, solo_recording, names, passages_kept, given, free)
        else:
            found = _spots_by_order(recording, names, given, free)
        _refuse_left_over(recording, [m for m in free if not any(m in spot.mics for spot in found)])
        return cls(
            take=recording,
            sources=tuple(names),
            spots=tuple(found),
            ambient=ambient_mics,
            passages=passages_kept,
            solo_take=solo_recording,
            markers=None if solos is None else Path(solos),
            ignored=tuple(label for label in labels if label not in names),
            instruments=played,
            queries=_told(names, played, "queries", queries or {}),
        )

    @classmethod
    def from_toml(cls, path: PathLike, **overrides: Any) -> Session:
        """Open the session a ``session.toml`` describes; its paths are relative to it.

        Its keys are `take`, `solos`, `solo-take`, `sources`, `ambient` and the tables `spots`, `instruments` and
        `queries`, with the meaning they have in `open`; `overrides` go before them.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SessionError(f"{path}: cannot be read ({error}); give an existing session file") from error
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SessionError(f"{path}: not valid TOML: {error}") from error
        return cls.open(**{**_session_keys(path, table), **overrides})

    def solos(self, source: str) -> Iterator[Array]:
        """Yield the audio (samples, mics) of each passage in which `source` plays alone."""
        for passage in self.passages:
            if passage.source == source:
                yield _read(self.solo_take, passage)

    def without_solo(self) -> tuple[str, ...]:
        """Return the sources that have no solo passage."""
        heard = {passage.source for passage in self.passages}
        return tuple(name for name in self.sources if name not in heard)

    def describe_mic(self, mic: int) -> str:
        """Return a microphone's channel, counted from 1, and its name if it has another."""
        return _describe(self.take, mic)

    def describe_spot(self, source: int) -> str:
        """Return a line that says where a source's own sound is taken from, and why."""
        spot = self.spots[source]
        mics = " and ".join(_describe(self.take, m) for m in spot.mics)
        if spot.margin_db is None:
            return mics
        return f"{mics}, where its solo is {spot.margin_db:.1f} dB louder than at any other"


def match_spots(energy_NM: Array) -> tuple[Array, Array]:
    """Find each source's spot from how loudly the microphones hear its solo.

    Neither a loud player nor a hot preamplifier may decide.  So rows and columns are scaled in turn until every source
    gives the same total and every microphone receives the same total (Sinkhorn's balancing); what remains is how
    sound spreads in the room, and a source's spot is the microphone that gets most of it.

    Parameters
    ----------
    energy_NM : float, shape (N, M)
        Energy of each source's solo at each microphone.

    Returns
    -------
    order_NM : int, shape (N, M)
        The microphones of each source, the loudest first.
    margins_N : float, shape (N,)
        The lead of the first over the second in dB; infinite if there is none.
    """
    balanced = np.asarray(energy_NM, float)
    N, M = balanced.shape
    # One solo alone says nothing about gains: balancing its microphones would make them all alike.
    for _ in range(100 if N > 1 else 0):
        balanced = balanced / np.maximum(balanced.sum(axis=1, keepdims=True), 1e-300)
        balanced = balanced * (N / M / np.maximum(balanced.sum(axis=0), 1e-300))
    order_NM = np.argsort(-balanced, axis=1, kind="stable")
    if M < 2:
        return order_NM, np.full(N, np.inf)
    first, second = (np.take_along_axis(balanced, order_NM[:, i : i + 1], axis=1)[:, 0] for i in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return order_NM, np.where(second > 0, 10 * np.log10(first / second), np.inf)


def find_mic(recording: Recording, mic: str | int) -> int:
    """Return the microphone, counted from 0, that a name or a channel counted from 1 (``3``, ``"3"``, ``"#3"``) means.

    Raises
    ------
    SessionError
        There is none, or the text is the channel of one and the name of another.
    """
    text = str(mic).strip()
    digits = text.removeprefix("#")
    channel = int(digits) - 1 if digits.isascii() and digits.isdigit() else None
    if channel is not None and not 0 <= channel < recording.n_mics:
        channel = None
    named = recording.mic_names.index(text) if isinstance(mic, str) and text in recording.mic_names else None
    if channel is not None and named is not None and channel != named:
        raise SessionError(
            f"mic {text!r} is channel {text} and also the name of another; write #{text} for the channel"
        )
    found = named if named is not None else channel
    if found is None:
        known = ", ".join(recording.mic_names)
        raise SessionError(f"there is no mic {mic!r}; channels go from 1 to {recording.n_mics}, names are: {known}")
    return found


def _find_mics(recording: Recording, mics: Any, ambient: Sequence[int]) -> tuple[int, ...]:
    several = [mics] if isinstance(mics, str | int) else list(mics)
    found = tuple(dict.fromkeys(find_mic(recording, mic) for mic in several))
    for m in found:
        if m in ambient:
            raise SessionError(
                f"{_describe(recording, m)} is marked --ambient and somebody's --spot; it can be only one"
            )
    return found


def _instruments(names: Sequence[str], instruments: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    if isinstance(instruments, Mapping):
        return _told(names, names, "instruments", instruments)
    if instruments and len(instruments) != len(names):
        raise SessionError(
            f"--instruments names {len(instruments)}, but there are {len(names)} sources: {', '.join(names)}; "
            "name one for each, in this order"
        )
    return tuple(instruments) or tuple(names)


def _told(names: Sequence[str], untold: Sequence[str], what: str, told: Mapping[str, str]) -> tuple[str, ...]:
    """Return for each source what is told of it, or what stands in `untold`."""
    for name in told:
        if name not in names:
            raise SessionError(f"{what} name {name!r}, which is not among the sources: {', '.join(names)}")
    return tuple(told.get(name, other) for name, other in zip(names, untold))


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


def _refuse_left_over(take: Recording, mics: Sequence[int]) -> None:
    if mics:
        raise SessionError(
            f"nobody's spot: {', '.join(_describe(take, m) for m in mics)}; "
            "add the missing solo or --spot NAME=MIC, or mark it with --ambient MIC"
        )


def _spots_by_solos(
    take: Recording,
    solo_take: Recording,
    names: Sequence[str],
    passages: Iterable[Passage],
    given: Mapping[str, tuple[int, ...]],
    free: Sequence[int],
) -> list[Spot]:
    heard = [name for name in names if any(passage.source == name for passage in passages)]
    for name in names:
        if name not in heard and name not in given:
            raise SessionError(f"source {name!r} has no solo passage; label one, or say --spot {name}=MIC")
    spots = {name: Spot(mics) for name, mics in given.items()}
    if any(name not in given for name in names) and not free:
        raise SessionError("every mic is marked --ambient, so nobody has a spot; take one off")
    energy_NM, above_NM = _solo_levels(solo_take, heard, passages)
    waiting = [n for n, name in enumerate(heard) if name not in given]
    unclaimed = [m for m in free if not any(m in mics for mics in given.values())]
    if len(unclaimed) > len(waiting):
        # Who is missing shows in the take, where the mics left over are loud although no solo is.
        level_NM = energy_NM / np.maximum(np.var(take.read(), axis=0, dtype=np.float64), 1e-30)
        chosen = [unclaimed[int(np.argmax(level_NM[n, unclaimed]))] for n in waiting]
        _refuse_left_over(take, [m for m in unclaimed if m not in chosen])
    # Further mics of a source that is told have no place in the balance: one spot a source.
    candidates = [m for m in free if not any(m in mics[1:] for mics in given.values())]
    for n, name in enumerate(heard):
        if name in given and not energy_NM[n, given[name][0]] > 0:
            where = _describe(take, given[name][0])
            raise SessionError(f"the solo of {name!r} is silent at {where}; correct its marker or --spot")
        if name not in given and not above_NM[n, candidates].any():
            raise SessionError(
                f"the solo of {name!r} is silent, or no louder than what its mics hear anyway; "
                f"correct its marker, or say --spot {name}=MIC"
            )
    if waiting:
        order_NM, margins_N = match_spots(above_NM[:, candidates])
    for n in waiting:
        name = heard[n]
        spots[name] = Spot((candidates[int(order_NM[n, 0])],), float(margins_N[n]))
        if margins_N[n] < NEAR_TIE_DB:
            rivals = " and ".join(_describe(take, candidates[m]) for m in order_NM[n, :2])
            raise SessionError(
                f"the solo of {name!r} is as loud at {rivals} ({margins_N[n]:.1f} dB apart, levels balanced); "
                f"say --spot {name}=MIC"
            )
    for i, name in enumerate(names):
        for other in names[:i]:
            shared = set(spots[name].mics) & set(spots[other].mics)
            if not shared or (name in given and other in given):
                continue
            mic = _describe(take, shared.pop())
            if name not in given and other not in given:
                problem = f"{mic} hears the solos of both {other!r} and {name!r} loudest"
            else:
                told, found = (name, other) if name in given else (other, name)
                problem = f"{mic} was given to {told!r}, but hears the solo of {found!r} loudest"
            raise SessionError(f"{problem}; say --spot {other}=MIC and --spot {name}=MIC")
    return [spots[name] for name in names]


def _solo_levels(solo_take: Recording, heard: Sequence[str], passages: Iterable[Passage]) -> tuple[Array, Array]:
    """Return the energy of each source's solo at each mic, and that above what the mic hears anyway, both (N, M).

    What it hears anyway is its quietest moments in all passages together; an energy that does not stand out from them
    counts nothing.  Without this a gain, which scales a mic's noise too, would decide where nobody plays.
    """
    frame = max(round(FLOOR_FRAME * solo_take.sample_rate), 1)
    frames: dict[str, list[Array]] = {name: [] for name in heard}
    for passage in passages:
        x_LM = _read(solo_take, passage).astype(np.float64)
        # Differences weigh out hum and offsets, which say nothing about who is near.
        squares_LM = np.diff(x_LM, axis=0, prepend=x_LM[:1]) ** 2
        starts = np.arange(0, max(len(squares_LM) - frame, 0) + 1, frame)
        sizes = np.diff(starts, append=len(squares_LM))
        frames[passage.source].append(np.add.reduceat(squares_LM, starts, axis=0) / sizes[:, None])
    energy_NM = np.stack([np.concatenate(frames[name]).mean(axis=0) for name in heard])
    everything = np.concatenate([piece for pieces in frames.values() for piece in pieces])
    floor_M = np.percentile(everything, FLOOR_PERCENTILE, axis=0) if len(heard) > 1 else np.zeros(energy_NM.shape[1])
    return energy_NM, np.where(energy_NM >= ABOVE_FLOOR * floor_M, energy_NM - floor_M, 0.0)


def _spots_by_order(
    take: Recording, names: Sequence[str], given: Mapping[str, tuple[int, ...]], free: Sequence[int]
) -> list[Spot]:
    taken = {m for mics in given.values() for m in mics}
    remaining = [m for m in free if m not in taken]
    waiting = [name for name in names if name not in given]
    if len(waiting) > len(remaining):
        raise SessionError(
            f"{len(waiting)} sources without a spot, {len(remaining)} mics left: {', '.join(waiting)}; "
            "give --spot NAME=MIC or fewer --sources"
        )
    in_order = dict(zip(waiting, remaining))
    return [Spot(given[name]) if name in given else Spot((in_order[name],)) for name in names]


def _read(recording: Recording, passage: Passage) -> Array:
    start = round(passage.start * recording.sample_rate)
    stop = min(round(passage.stop * recording.sample_rate), recording.n_samples)
    return recording.read(start, stop)


def _describe(recording: Recording, mic: int) -> str:
    name = recording.mic_names[mic]
    return f"mic {mic + 1}" if name == str(mic + 1) else f"mic {mic + 1} ({name})"


def _session_keys(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Session.open` that a session file gives, paths resolved."""

    def resolved(value: Any, key: str) -> Any:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise SessionError(f"{path}: {key!r} must be a file name or a list of them, got {value!r}")
        files = [path.parent / v for v in values]
        return files[0] if isinstance(value, str) else files

    def listed(value: Any, key: str, kinds: Any = str | int) -> list[Any]:
        if not isinstance(value, list) or not all(isinstance(v, kinds) for v in value):
            wanted = "names" if kinds is str else "names or channels"
            raise SessionError(f"{path}: {key!r} must be a list of {wanted}, got {value!r}")
        return value

    known = {"take", "solos", "solo-take", "sources", "ambient", "spots", "instruments", "queries"}
    unknown = sorted(set(table) - known)
    if unknown:
        raise SessionError(f"{path}: unknown key {unknown[0]!r}; a session has {', '.join(sorted(known))}")
    if "take" not in table:
        raise SessionError(f"{path}: 'take' is missing; name the recording's file or files")
    arguments: dict[str, Any] = {"take": resolved(table["take"], "take")}
    for key in ("solos", "solo-take"):
        if key in table:
            arguments[key.replace("-", "_")] = resolved(table[key], key)
    if "sources" in table:
        arguments["sources"] = listed(table["sources"], "sources", str)
    if "ambient" in table:
        arguments["ambient"] = listed(table["ambient"], "ambient")
    if "spots" in table:
        spots = table["spots"]
        if not isinstance(spots, dict):
            raise SessionError(f"{path}: 'spots' must be a table of source = mic, got {spots!r}")
        arguments["spots"] = {
            name: mic if isinstance(mic, str | int) else listed(mic, f"spots.{name}") for name, mic in spots.items()
        }
    for key, word in (("instruments", "instrument"), ("queries", "text")):
        if key in table:
            told = table[key]
            if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
                raise SessionError(f"{path}: {key!r} must be a table of source = {word}, got {told!r}")
            arguments[key] = told
    if isinstance(arguments.get("solos"), list):
        raise SessionError(f"{path}: 'solos' must be one marker file, got {table['solos']!r}")
    return arguments
