"""Folders of isolated notes: which file, and which part of it, is which note of which instrument.

Three layouts are read, and may be mixed: one file for each note, with the pitch in its name; long files of successive
notes with silence between them, as in the RWC Musical Instrument Sound Database; and a table of either.  What is
learned from the notes does not live here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import LOUDEST, ArgumentError, AudioFileError
from mnmf.files import files_below, read_table, sound
from mnmf.notes._instruments import (
    LOWEST,
    PITCH,
    RWC_CODES,
    known_instrument,
    name_problem,
    parse_pitch,
    pitch_name,
    words_of,
)

__all__ = ["Note", "find_notes", "read_note", "recordings"]

Array = NDArray[Any]
AnyPath = str | os.PathLike[str]

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".caf", ".w64")
RWC = re.compile(r"(\d\d)(\d)([A-Z]{2})([A-Z0-9]{2})([A-Z])", re.IGNORECASE)
DYNAMICS = re.compile(r"p{1,4}|mp|mf|f{1,4}|fp|sfz", re.IGNORECASE)
RANGE = re.compile(rf"(?<![A-Za-z0-9])({PITCH.pattern})({PITCH.pattern})(?![A-Za-z0-9])")
NAMED = re.compile(rf"(?<![A-Za-z0-9])({PITCH.pattern})(?![A-Za-z0-9])")
NUMBERED = re.compile(r"(?<![A-Za-z0-9])(\d{2,3})(?![A-Za-z0-9])")
LOWEST_NUMBER = 21  # the lowest MIDI number in a file name that is a pitch: smaller numbers count files

FRAME = 0.01  # seconds over which loudness is measured
SILENT_DB = -50.0  # relative to the loudest frame of the file: what is fainter is silence
SHORTEST = 0.1  # seconds: a shorter sound is not a note
GAP = 0.15  # seconds: a shorter silence does not end a note


@dataclass(frozen=True)
class Note:
    """One isolated note: the seconds from `start` to `stop`, or to the end for None, of a file."""

    path: Path
    instrument: str
    pitch: int
    start: float = 0.0
    stop: float | None = None


def find_notes(
    folder: AnyPath,
    *,
    instrument: str | None = None,
    lowest: int | None = None,
    index: AnyPath | None = None,
    styles: Collection[str] | None = None,
    dynamics: Collection[str] | None = None,
) -> Iterator[tuple[float, list[Note]]]:
    """Yield the notes of a library, file by file, each time with the fraction of the files that was read, 0 to 1."""
    root = Path(folder)
    if not root.is_dir():
        raise ArgumentError(f"{root}: is no folder; give the folder of the notes")
    if instrument is not None:
        instrument = _named(instrument, "instrument")
    if index is not None:
        if lowest is not None:
            raise ArgumentError("the table has the pitch of every note; leave out --lowest or --index")
        yield 1.0, list(_from_table(root, Path(index), instrument, styles, dynamics))
        return
    paths = _audio_in(root)
    if not paths:
        raise ArgumentError(f"{root}: holds no audio files ({', '.join(SUFFIXES)})")
    found = successive = False
    for number, path in enumerate(paths):
        notes = _from_name(root, path, instrument, lowest, styles, dynamics)
        found |= bool(notes)
        successive |= any(note.stop is not None for note in notes)
        yield (number + 1) / len(paths), notes
    if lowest is not None and found and not successive:
        raise ArgumentError(f"{root}: the name of every file has a pitch, so --lowest says nothing; leave it out")


def recordings(folder: AnyPath, index: AnyPath | None = None) -> list[Path]:
    """Return all files that may be read to learn from `folder`, the table among them."""
    paths = _audio_in(Path(folder))
    if index is not None:
        named = {Path(folder) / row.get("file", "") for _, row in _rows(Path(index))}
        paths += [Path(index), *sorted(path for path in named if os.path.isfile(path))]
    return paths


def _audio_in(root: Path) -> list[Path]:
    found = files_below(root, SUFFIXES, ArgumentError, "give the folder that holds the notes alone")
    return [path for path in found if not path.name.startswith(".")]


def read_note(note: Note) -> tuple[Array, int]:
    """Return the loudest channel of a note, float64, and the sample rate."""
    with sound(note.path, AudioFileError, "repair it or leave it out") as file:
        rate = int(file.samplerate)
        first = round(min(note.start * rate, file.frames))
        last = file.frames if note.stop is None else round(min(note.stop * rate, file.frames))
        if not 0 <= first < last:
            raise ArgumentError(
                f"{note.path}: {pitch_name(note.pitch)} is said to start at {note.start:g} s, but the file has "
                f"{file.frames / rate:g} s"
            )
        file.seek(first)
        x_LM = file.read(last - first, dtype="float64", always_2d=True)
    if not np.all(np.abs(x_LM) <= LOUDEST):  # nor NaN
        raise AudioFileError(f"{note.path}: holds NaN, infinite or enormous values; repair it or leave it out")
    x_LM -= x_LM.mean(axis=0)
    return x_LM[:, np.argmax(np.sum(x_LM**2, axis=0))], rate


def _from_name(
    root: Path,
    path: Path,
    instrument: str | None,
    lowest: int | None,
    styles: Collection[str] | None,
    dynamics: Collection[str] | None,
) -> list[Note]:
    stem = path.stem
    if match := RWC.fullmatch(stem):
        number, _, code, style, loudness = match.groups()
        if not (_wanted(style, styles) and _wanted(loudness, dynamics)):
            return []
        name = instrument or RWC_CODES.get(code.upper(), code.lower())
        if code.upper() == "BS" and int(number) >= 46 and instrument is None:
            name = "bass voice"
        return _successive(path, name, lowest)
    loudness = next((word for word in re.split(r"[^A-Za-z]+", stem) if DYNAMICS.fullmatch(word)), "")
    if loudness and not _wanted(loudness, dynamics):
        return []
    name = instrument or _instrument_in(root, path)
    try:
        pitch = _pitch_in(stem)
        if lowest is None and (span := RANGE.search(stem)):
            lowest = parse_pitch(span.group(1))
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from error
    if pitch is not None:
        return [Note(path, name, pitch)]
    notes = _successive(path, name, lowest)
    if lowest is None and len(notes) == 1:
        raise ArgumentError(
            f"{path}: its name has no pitch, and only one note sounds in it; name it like violin_A4{path.suffix}, or "
            "say which note that is with --lowest"
        )
    return notes


def _pitch_in(stem: str) -> int | None:
    """Return the last pitch in a file name, None if it has none."""
    if named := NAMED.findall(stem):
        return parse_pitch(named[-1][0])
    numbers = [int(word) for word in NUMBERED.findall(stem)]
    numbers = [number for number in numbers if LOWEST_NUMBER <= number <= 127]
    return numbers[-1] if numbers else None


def _instrument_in(root: Path, path: Path) -> str:
    """Return the instrument in the name of a file or, if there is none, in those of its folders."""
    stem = NAMED.sub(" ", path.stem)
    folders = [parent.name for parent in path.parents if parent == root or root in parent.parents]
    for text in (stem, *folders):
        if known := known_instrument(text):
            return known
    for text in (stem, *folders):
        words = [word for word in words_of(text) if not DYNAMICS.fullmatch(word)]
        if words:
            return _named(" ".join(words), f"{path}: instrument")
    raise ArgumentError(f"{path}: neither its name nor its folder says which instrument this is; give --instrument")


def _named(name: str, what: str) -> str:
    """Return the name that a dictionary uses for an instrument; `what` begins the message if it cannot have one."""
    if problem := name_problem(" ".join(name.split())):
        raise ArgumentError(f"{what} {name[:40]!r} {problem}; give it a name like alto flute")
    return known_instrument(name) or " ".join(name.casefold().split())


def _wanted(value: str, chosen: Collection[str] | None) -> bool:
    return not chosen or value.casefold() in {word.casefold() for word in chosen}


def _successive(path: Path, instrument: str, lowest: int | None) -> list[Note]:
    """Return the notes of a file that has them one after another, going up in semitones from `lowest`."""
    if lowest is None:
        lowest = LOWEST.get(instrument)
    if lowest is None:
        raise ArgumentError(
            f"{path}: its name has no pitch, so it should hold the notes of the {instrument} one after another; "
            "say which is the first with --lowest"
        )
    spans = sounding(path)
    if not spans:
        raise ArgumentError(f"{path}: no note sounds in it")
    if lowest + len(spans) - 1 > 127:
        raise ArgumentError(
            f"{path}: {len(spans)} notes from {pitch_name(lowest)} on would go beyond MIDI's highest; "
            "give the right --lowest, or a table of the notes with --index"
        )
    return [Note(path, instrument, lowest + i, start, stop) for i, (start, stop) in enumerate(spans)]


def sounding(path: Path) -> list[tuple[float, float]]:
    """Return start and stop in seconds of each note in a file, where silence separates them."""
    levels = []
    with sound(path, AudioFileError, "repair it or leave it out") as file:
        frame = max(round(FRAME * file.samplerate), 1)
        seconds = frame / file.samplerate
        for block_LM in file.blocks(blocksize=frame * 1000, dtype="float64", always_2d=True):
            if not np.all(np.abs(block_LM) <= LOUDEST):  # nor NaN
                raise AudioFileError(f"{path}: holds NaN, infinite or enormous values; repair it or leave it out")
            whole = len(block_LM) // frame * frame
            if whole:
                levels.append(np.mean(block_LM[:whole].reshape(-1, frame * block_LM.shape[1]) ** 2, axis=1))
    power_T = np.concatenate(levels) if levels else np.zeros(0)
    if not power_T.size or power_T.max() <= 0:
        return []
    loud_T = power_T > power_T.max() * 10 ** (SILENT_DB / 10)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud_T.astype(np.int8), [0]])))
    spans: list[tuple[float, float]] = []
    for start, stop in (edges.reshape(-1, 2) * seconds).tolist():
        if spans and start - spans[-1][1] < GAP:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
    return [(start, stop) for start, stop in spans if stop - start >= SHORTEST]


def _from_table(
    root: Path,
    table: Path,
    instrument: str | None,
    styles: Collection[str] | None,
    dynamics: Collection[str] | None,
) -> Iterator[Note]:
    for line, row in _rows(table):
        missing = [key for key in ("file", "pitch") if not row.get(key)]
        if not (row.get("instrument") or instrument):
            missing.append("instrument")
        if missing:
            raise ArgumentError(f"{table}: line {line} gives no {missing[0]}; the columns are file, instrument, pitch")
        if row.get("style") and not _wanted(row["style"], styles):
            continue
        if row.get("dynamics") and not _wanted(row["dynamics"], dynamics):
            continue
        try:
            pitch = parse_pitch(row["pitch"])
            start = float(row.get("start") or 0.0)
            stop = float(row["stop"]) if row.get("stop") else None
        except ValueError as error:
            reason = str(error) if isinstance(error, ArgumentError) else "start and stop must be numbers of seconds"
            raise ArgumentError(f"{table}: line {line}: {reason}") from error
        if not (0 <= start < np.inf and (stop is None or start < stop < np.inf)):
            raise ArgumentError(
                f"{table}: line {line}: stop must come after start, neither before 0, and both be finite"
            )
        path = root / row["file"]
        if not os.path.isfile(path):
            raise ArgumentError(f"{table}: line {line}: there is no file {path}")
        own = instrument or _named(row["instrument"], f"{table}: line {line}: instrument")
        yield Note(path, own, pitch, start, stop)


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table with the numbers of their lines; headings become lower case."""
    needs = "it needs file, instrument, pitch"
    rows = read_table(table, ArgumentError, needs)
    if not rows:
        raise ArgumentError(f"{table}: has no rows under a line of headings; {needs}")
    yield from enumerate(rows, start=2)
