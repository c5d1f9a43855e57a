"""Drafts of session files: what a folder seems to hold, in words that its owner can correct.

Names are guesses, and every guess says so in a comment; what the solos show, and what is wrong with the files, is
measured.  How a session file is read is told by `mnmf.session`.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mnmf import folders, markers, whose
from mnmf.audio import Recording
from mnmf.errors import AudioFileError, MnmfError, SessionError
from mnmf.inspected import Inspected
from mnmf.markers import Passage
from mnmf.notes._instruments import known_instrument
from mnmf.session import Seats, Session, measured, recordings, session_keys

__all__ = ["Draft", "draft", "folder_of", "marker_files"]

PathLike = str | os.PathLike[str]
Mics = tuple[int, ...]

MOST_AUDIO = 100  # files of a folder that are looked at for cue points
ENOUGH = 60  # seconds from the middle of a take, that show how loud everybody is in it

HEAD = """\
# A session for mnmf, as `mnmf init` found it: correct what it guessed wrong, then run mnmf separate on this file.
# Paths are relative to it.  A mic is named by its number, its name, or how that ends.
"""


@dataclass(frozen=True)
class Draft:
    """A session file that is not written yet.

    Attributes
    ----------
    text : str
        What it says, in TOML.
    session : Session or None
        What it opens as.
    problem : str
        Why it does not open as it is; empty if it does.
    inspected : Inspected or None
        What was found to be wrong with the files, if that was looked for.
    """

    text: str
    session: Session | None
    problem: str = ""
    inspected: Inspected | None = None


@dataclass(frozen=True)
class _Guess:
    """What a folder seems to hold: who plays, and at which microphones.

    Attributes
    ----------
    take, solo : Recording
        The same if the markers refer to the take.
    markers : Path or None
        Where the solos are.
    sources : tuple of str
        Names; empty where those of the markers are all.
    spots : mapping of name to microphones
        Of those that no solo shows.
    likely : mapping of name to microphones
        Of those that a solo shows, as their names suggest.
    rooms, left, faulty : microphones
        Nobody's spots, by their names, as no solo is heard there, and since they hear nothing or the same as others.
    inspected : Inspected or None
        What was found to be wrong with the files.
    """

    take: Recording
    solo: Recording
    markers: Path | None
    sources: tuple[str, ...]
    spots: Mapping[str, Mics]
    likely: Mapping[str, Mics]
    rooms: Mics
    left: Mics = ()
    faulty: Mics = ()
    inspected: Inspected | None = None


def draft(
    take: PathLike | Sequence[PathLike],
    target: Path,
    *,
    solos: PathLike | None = None,
    solo_take: PathLike | Sequence[PathLike] = (),
    inspect: bool = False,
    progress: Callable[[float], Any] | None = None,
) -> Draft:
    """Return a session file for a take, with spots guessed by names and the solos of a marker file beside it.

    Parameters
    ----------
    take, solos, solo_take
        As of `Session.open`; what is not given is looked for in the folder of the take.
    target : Path
        Where the file will be: its paths are relative to that.
    inspect : bool
        Look for what is wrong with the files: who hears nothing, or the same as others, is nobody's spot.
    progress : callable, optional
        Called with the part of that which is done, 0 to 1.

    Raises
    ------
    MnmfError
        Files cannot be read, or there are several takes.
    """
    recording, solo, marked = _found(take, solos, solo_take)
    passages = () if marked is None else markers.read(marked, duration=solo.duration)
    inspected = Inspected.of(recording, solo, progress) if inspect else None
    guess = replace(_guess(recording, solo, marked, passages, inspected), inspected=inspected)
    tried = [_tried(guess, target)]
    if tried[0].problem and guess.likely:  # the solos do not tell, so let the names
        every = tuple(dict.fromkeys((*guess.sources, *guess.likely)))
        told = replace(guess, sources=every, spots={**guess.likely, **guess.spots}, likely={})
        tried.append(_tried(told, target))
    return next((each for each in tried if not each.problem), tried[0])


def folder_of(take: PathLike | Sequence[PathLike]) -> Path:
    """Return the folder that a take is in: the one that is given, or that of its first file."""
    first = Path(take if isinstance(take, str | os.PathLike) else next(iter(take)))
    return first if os.path.isdir(first) else first.parent


def marker_files(folder: Path) -> Iterator[tuple[Path, list[folders.TakeFiles]]]:
    """Yield the files in a folder that hold markers, each with the takes there that it is of if there are several.

    First text files, which are of the takes that they are called after, then of every take the first file with cue
    points.
    """
    beside: list[folders.TakeFiles] | None = None
    for path in folders.texts_in(folder):
        try:
            markers.read(path)
        except MnmfError:
            continue
        beside = _takes_in(folder) if beside is None else beside
        called = [other for other in beside if path.stem.casefold().startswith(other.name.casefold())]
        yield path, called if len(beside) > 1 else []
    cued: set[Path] = set()
    with suppress(SessionError):
        cued = {path for path in folders.audio_in(folder)[:MOST_AUDIO] if markers.in_audio(path)}
    if cued and beside is None:
        beside = _takes_in(folder)
    for other in beside or ():
        first = next((path for path in other.paths if path in cued), None)
        if first is not None:
            yield first, [other] if len(beside or ()) > 1 else []


def _takes_in(folder: Path) -> list[folders.TakeFiles]:
    with suppress(SessionError, AudioFileError):  # of files that are perhaps not asked for
        return folders.takes([measured(path) for path in folders.audio_in(folder)])
    return []


def _found(
    take: PathLike | Sequence[PathLike], solos: PathLike | None, solo_take: PathLike | Sequence[PathLike]
) -> tuple[Recording, Recording, Path | None]:
    """Open the take and what its markers refer to, and return these and the marker file if there is one."""
    if solos is not None or solo_take:
        return *recordings(take, solo_take), None if solos is None else Path(solos)
    for marked, others in marker_files(folder_of(take)):
        for solo_files in [*(other.paths for other in others), []]:
            try:
                recording, solo = recordings(take, solo_files)
                labels = [passage.source for passage in markers.read(marked, duration=solo.duration)]
            except folders.SeveralTakes:
                raise
            except MnmfError:
                continue  # these markers are of something else
            own, heard = ({path.absolute() for path in each.paths} for each in (recording, solo))
            if markers.in_audio(marked) and not _are_solos(marked.absolute(), labels, recording, heard):
                continue
            if not solo_files or not own & heard:
                return recording, solo, marked
    return *recordings(take), None


def _are_solos(marked: Path, labels: Sequence[str], recording: Recording, heard: set[Path]) -> bool:
    """Return whether cue points of an audio file seem to say who plays alone.

    They are of that file, and those of a take itself may be anything unless they are called as microphones.
    """
    if marked not in heard:
        return False
    if marked not in {path.absolute() for path in recording.paths}:
        return True
    return bool(_likely(list(dict.fromkeys(labels)), Seats.of(recording).by_name((), {})))


def _guess(
    recording: Recording,
    solo: Recording,
    marked: Path | None,
    passages: Sequence[Passage],
    inspected: Inspected | None,
) -> _Guess:
    seats = Seats.of(recording)
    rooms, _ = seats.aside(None, {}, ())
    labels = list(dict.fromkeys(passage.source for passage in passages))
    faulty, dead = ((), ()) if inspected is None else inspected.faulty(())
    # Who is dead in the take only has a player all the same, if a solo says so.
    faulty = tuple(m for m in faulty if m not in rooms and not (labels and m in dead))
    everything = seats.by_name((*rooms, *faulty), {})
    if not labels:
        return _Guess(recording, solo, marked, (), everything, {}, rooms, faulty=faulty)
    likely = _likely(labels, everything)
    claimed = set(likely.values())
    others = {name: mics for name, mics in everything.items() if mics not in claimed and name not in labels}
    if len(likely) == len(labels):
        named = (*labels, *others) if others else ()
        return _Guess(recording, solo, marked, named, others, likely, rooms, faulty=faulty)
    left: Mics = ()
    if len(everything) != len(labels):
        solos = {name: _alone(solo, passages, name) for name in labels}
        start = max(recording.n_samples - ENOUGH * recording.sample_rate, 0) // 2
        take_LM = recording.read(start, recording.n_samples - start)
        left = tuple(whose.spare_mics(solos, solo.sample_rate, take_LM, (*rooms, *faulty), seats.pairs))
    return _Guess(recording, solo, marked, (), {}, likely, rooms, left, faulty)


def _likely(labels: Sequence[str], mics: Mapping[str, Mics]) -> dict[str, Mics]:
    """Return the microphones whose names say the same as labels, if one says the same as one."""
    found: dict[str, Mics] = {}
    for same in (str.casefold, _played):
        left = {name: own for name, own in mics.items() if own not in found.values()}
        waiting = [label for label in labels if label not in found]
        for label in waiting:
            alike = [own for name, own in left.items() if same(name) == same(label)]
            rivals = [other for other in waiting if same(other) == same(label)]
            if same(label) and len(alike) == len(rivals) == 1:
                found[label] = alike[0]
    return found


def _played(name: str) -> str:
    """Return the instrument that a name means, with its number; nothing if it means none."""
    instrument = known_instrument(name)
    return f"{instrument} {' '.join(str(int(n)) for n in re.findall('[0-9]{1,4}', name))}" if instrument else ""


def _alone(recording: Recording, passages: Sequence[Passage], source: str) -> Iterator[NDArray[Any]]:
    for passage in passages:
        if passage.source == source:
            start = round(passage.start * recording.sample_rate)
            yield recording.read(start, min(round(passage.stop * recording.sample_rate), recording.n_samples))


def _tried(guess: _Guess, target: Path) -> Draft:
    text, inspected = _text(guess, target), guess.inspected
    try:
        return Draft(
            text, Session.open(**session_keys(target, tomllib.loads(text)), inspect=inspected or False), "", inspected
        )
    except SessionError as error:
        return Draft(text, None, str(error), inspected)


def _text(guess: _Guess, target: Path) -> str:
    """Return a session file."""
    recording = guess.take
    many = "1 mic" if recording.n_mics == 1 else f"{recording.n_mics} mics"
    lines = [HEAD, f"# {many} at {recording.sample_rate} Hz, {folders.clock(recording.duration)}."]
    lines += [*_findings(guess), *_files("take", recording, target), ""]
    if guess.markers is None:
        lines += ['# solos = "labels.txt"  # where each player is alone; helps much', *_proposed(guess), ""]
    else:
        lines += ["# Where each player is alone.", f"solos = {_quoted(_relative(guess.markers, target))}"]
        if guess.solo is not guess.take:
            lines += ["# What the times of the solos refer to.", *_files("solo-take", guess.solo, target)]
        lines.append("")
    if guess.sources:
        lines += [
            "# Who plays, in the order of the results.",
            f"sources = [{', '.join(map(_quoted, guess.sources))}]",
            "",
        ]
    seats = Seats.of(recording)
    if aside := sorted((*guess.rooms, *guess.left, *guess.faulty)):
        why = ["by their names"] if guess.rooms else []
        why += ["since none of the solos is loudest there"] if guess.left else []
        why += ["for what was found in them"] if guess.faulty else []
        lines.append(f"# Nobody's spots, {' and '.join(why)}.")
        lines += [f"ambient = [{', '.join(_meant(mics, seats) for mics in whose.units(aside, seats.pairs))}]", ""]
    else:
        lines += ["ambient = []  # nobody's spots: main pair, room", ""]
    lines += _spots(guess, seats)
    players = dict.fromkeys((*guess.sources, *guess.likely, *guess.spots))
    played = {name: known for name in players if (known := known_instrument(name)) and known != name}
    if played:
        lines += ["", "# What they play, for methods that take notes from a dictionary.", "# [instruments]"]
        lines += [f"# {_key(name)} = {_quoted(known)}" for name, known in played.items()]
    return "\n".join(lines) + "\n"


def _findings(guess: _Guess) -> list[str]:
    """Return what is wrong with the files, a comment each."""
    if guess.inspected is None:
        return []
    lines = [f"# {_plain(str(each))}" for each in guess.inspected.take.findings]
    if guess.solo is not guess.take:
        lines += [f"# In the recording of the solos {_plain(str(each))}" for each in guess.inspected.solos.findings]
    return ["# What mnmf inspect found:", *lines, ""] if lines else []


def _proposed(guess: _Guess) -> list[str]:
    """Return where the take itself seems to hold solos, a comment each."""
    if guess.inspected is None or not guess.inspected.take.solos:
        return []
    names = guess.take.mic_names
    lines = [f"# {_plain(names[m])} from {start:.1f} to {stop:.1f} s" for m, start, stop in guess.inspected.take.solos]
    return ["# Somebody seems to play alone here; mnmf inspect --propose labels.txt writes it as labels:", *lines]


def _spots(guess: _Guess, seats: Seats) -> list[str]:
    """Return the table of whose microphones are whose."""
    lines = ["[spots]"]
    if guess.likely:
        lines += ["# The solos tell; by the names of the mics it would be:"]
        lines += [f"# {_key(name)} = {_meant(mics, seats)}" for name, mics in guess.likely.items()]
    elif guess.markers is not None and not guess.spots:
        lines += ["# The solos tell.  To say it yourself: name = mic"]
    if guess.spots:
        lines += ["# A name of your choice = its mic."]
        lines += [f"{_key(name)} = {_meant(mics, seats)}" for name, mics in guess.spots.items()]
    return lines


def _files(key: str, recording: Recording, target: Path) -> list[str]:
    """Return the files of a recording, one a line, with the numbers and names of their microphones."""
    lines = [f"{key} = ["]
    first = 0
    for path in recording.paths:
        own = [m for m, mic in enumerate(recording.mics) if mic.path == path] if len(recording.paths) < 2 else []
        count = len(own) or sum(mic.path == path for mic in recording.mics[first : first + 1024])
        names = ", ".join(recording.mic_names[first : first + count])
        told = f"  # {whose.spans(range(first, first + count))}: {_plain(names)}"
        lines.append(f"    {_quoted(_relative(path, target))},{told}")
        first += count
    return [*lines, "]"]


def _meant(mics: Mics, seats: Seats) -> str:
    """Return in TOML the shortest that means microphones."""
    names = [seats.mic_names[m] for m in mics]
    shared = names[0].rpartition(":")[0]
    for single in (shared, names[0]):
        with suppress(SessionError):
            if single and not single.isdigit() and seats.mics(single) == mics:
                return _quoted(single)
    several = [str(m + 1) if name.isdigit() else _quoted(name) for m, name in zip(mics, names)]
    return several[0] if len(several) == 1 else f"[{', '.join(several)}]"


def _relative(path: Path, target: Path) -> str:
    try:
        return Path(os.path.relpath(path, target.parent)).as_posix()
    except ValueError:  # another drive
        return str(path.absolute())


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _plain(text: str) -> str:
    """Return a text for a comment, which holds no controls."""
    return _quoted(text)[1:-1]


def _quoted(text: str) -> str:
    """Return a text in TOML, which has the escapes of JSON."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SessionError(f"{text!a} cannot be written to a session file; rename it") from error
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in json.dumps(text, ensure_ascii=False))
