"""Marker files of audio workstations to passages: which source plays alone, from when to when, in seconds.

There is one small reader for each format and one table of them (`FORMATS`); to add a format, write its reader and add a
row.  `mnmf.session` checks that the sources named here exist, and uses their solos.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from mnmf.errors import MarkerError
from mnmf.files import check_path, read_text, whole

__all__ = ["FORMATS", "Format", "Passage", "check", "read", "resolve", "write_audacity"]

_TOLERANCE = 1e-3  # seconds; markers drawn by hand or rounded on export are no closer
_SHORTEST = 0.1  # seconds; a shorter passage says nothing about a source, and is a slip of the mouse
_LONGEST = 1000  # characters of a label; the rest of what can be wrong with names is told in `mnmf.output`
# Each piece of a line ends where the next one begins, and digits are counted, so that a line is read in linear time.
_SPACE = r"[^\S\t]*"
_NUMBER = rf"{_SPACE}([+-]?[0-9]{{1,15}}(?:[.,][0-9]{{0,30}})?(?:[eE][+-]?[0-9]{{1,3}})?){_SPACE}"
_AUDACITY = re.compile(rf"{_NUMBER}\t{_NUMBER}(?:\t(.*))?")
_MARK = re.compile(rf"{_SPACE}([0-9]{{1,6}}):([0-5]?[0-9]):([0-5]?[0-9]):([0-9]{{1,3}}){_SPACE}\t(.*)")

Lines = Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Passage:
    """A passage in which one source plays alone.

    Parameters
    ----------
    source : str
        Who plays.
    start, stop : float
        In seconds from the beginning of the take; an infinite `stop` means the end of the take.

    Examples
    --------
    >>> from mnmf.markers import Passage
    >>> Passage("viola", 2.0, 5.5)
    Passage(source='viola', start=2.0, stop=5.5)
    """

    source: str
    start: float
    stop: float


@dataclass(frozen=True)
class Format:
    """One kind of marker file.

    Parameters
    ----------
    name : str
        What messages call it.
    line : re.Pattern
        How a line of it looks; the first line that matches one of `FORMATS` decides the format of a file.
    read : callable
        Takes pairs of line number and line and the name of the file, and yields a `Passage` for each solo.

    Examples
    --------
    >>> from mnmf.markers import FORMATS
    >>> audacity = FORMATS[0]
    >>> list(audacity.read([(1, "2.0\\t5.5\\tviola")], "labels.txt"))
    [Passage(source='viola', start=2.0, stop=5.5)]
    """

    name: str
    line: re.Pattern[str]
    read: Callable[[Lines, str], Iterator[Passage]]


def _read_audacity(lines: Lines, file: str) -> Iterator[Passage]:
    """Read Audacity labels: start, stop and label, with decimal point or comma; each label is a passage."""
    for number, line in lines:
        where = f"{file}, line {number}"
        if line.startswith("\\"):  # the frequencies of a spectral selection belong to the label above
            continue
        start, stop, source = _match(_AUDACITY, line, where, "start<TAB>stop<TAB>label")
        begin, end = (float(text.replace(",", ".")) for text in (start, stop))
        if not (math.isfinite(begin) and math.isfinite(end)) or begin < 0:
            raise MarkerError(f"{where}: {start.strip()} is not a time in the take; move the label")
        if end == begin:
            raise MarkerError(f"{where}: label {source!r} is a point at {begin:.3f} s; drag it to a region")
        if end < begin:
            raise MarkerError(
                f"{where}: label {source!r} stops ({end:.3f} s) before it starts ({begin:.3f} s); swap them"
            )
        yield Passage(source, begin, end)


def _read_marks(lines: Lines, file: str) -> Iterator[Passage]:
    """Read marks ``hh:mm:ss:ms<TAB>CODE``: each starts a passage that lasts until the next mark; SILENCE only ends one.

    The last field counts milliseconds and is not a decimal fraction: ``0:00:01:5`` is 1.005 s.
    """
    source, begin = "", -1.0
    for number, line in lines:
        where = f"{file}, line {number}"
        *clock, code = _match(_MARK, line, where, "hh:mm:ss:ms<TAB>CODE")
        hours, minutes, seconds, milliseconds = map(int, clock)
        at = (hours * 3600 + minutes * 60 + seconds) + milliseconds / 1000
        if at <= begin:
            raise MarkerError(f"{where}: mark at {at:.3f} s does not come after {begin:.3f} s; sort the marks by time")
        if source:
            yield Passage(source, begin, at)
        source, begin = ("" if code.upper() == "SILENCE" else code), at
    if source:
        yield Passage(source, begin, math.inf)


FORMATS: tuple[Format, ...] = (
    Format("Audacity labels (start<TAB>stop<TAB>label)", _AUDACITY, _read_audacity),
    Format("marks (hh:mm:ss:ms<TAB>CODE)", _MARK, _read_marks),
)


def read(path: str | os.PathLike[str], duration: float | None = None) -> tuple[Passage, ...]:
    """Read the passages of a marker file; its content tells which format it has.

    Parameters
    ----------
    path : path
        A file in one of `FORMATS`; UTF-8, UTF-16 with a byte order mark, or Latin-1.
    duration : float, optional
        Length of the take in seconds.  Without it nothing is compared with the end of the take, and the `stop` of a
        last open mark stays infinite until `check` or `resolve`.

    Returns
    -------
    tuple of Passage
        In order of time, checked by `check`.

    Raises
    ------
    MarkerError
        The file cannot be read, a line of it cannot be understood, or the passages contradict each other or the take.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf import markers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "marks.txt")
    ...     written = path.write_text("0:00:02:0\\tVIOLA\\n0:00:05:500\\tCELLO\\n")
    ...     passages = markers.read(path, duration=9.0)
    >>> for passage in passages:
    ...     print(passage)
    Passage(source='VIOLA', start=2.0, stop=5.5)
    Passage(source='CELLO', start=5.5, stop=9.0)
    """
    place = check_path(path)
    file = str(place)
    lines = [(number, line) for number, line in enumerate(_read_lines(place), 1) if line.strip()]
    if not lines:
        raise MarkerError(f"{file} holds no markers; export them again")
    known = next((form for form in FORMATS if any(form.line.fullmatch(line) for _, line in lines)), None)
    if known is None:
        number, line = lines[0]
        names = " and ".join(form.name for form in FORMATS)
        raise MarkerError(f"{file}, line {number}: {line[:40]!a} is in no known marker format; known are {names}")
    passages = tuple(known.read(lines, file))
    if not passages:
        raise MarkerError(f"{file} names no passage; label the solos with their sources")
    return check(passages, duration, file)


def resolve(passages: Sequence[Passage], duration: float) -> tuple[Passage, ...]:
    """Replace the `stop` of passages that last to the end of the take.

    Parameters
    ----------
    passages : sequence of Passage
        Some of them with an infinite `stop`.
    duration : float
        Length of the take in seconds.

    Returns
    -------
    tuple of Passage
        In the same order.

    Examples
    --------
    >>> from mnmf import markers
    >>> markers.resolve([markers.Passage("cello", 5.5, float("inf"))], duration=9.0)
    (Passage(source='cello', start=5.5, stop=9.0),)
    """
    return tuple(replace(passage, stop=duration) if math.isinf(passage.stop) else passage for passage in passages)


def check(passages: Sequence[Passage], duration: float | None, name: str) -> tuple[Passage, ...]:
    """Check passages against the take and each other; differences up to a millisecond are accepted.

    Parameters
    ----------
    passages : sequence of Passage
        In any order.
    duration : float or None
        Length of the take in seconds; None if unknown.
    name : str
        What messages call their origin.

    Returns
    -------
    tuple of Passage
        In order of time, cut at the end of the take, overlapping ones of the same source joined.

    Raises
    ------
    MarkerError
        A passage lies past the end of the take or lasts less than 0.1 s, or passages of two sources overlap.

    Examples
    --------
    >>> from mnmf import markers
    >>> passages = [markers.Passage("viola", 4.0, 8.0), markers.Passage("viola", 2.0, 5.0)]
    >>> markers.check(passages, duration=9.0, name="labels.txt")
    (Passage(source='viola', start=2.0, stop=8.0),)
    """
    if duration is not None:
        for passage in passages:
            late = passage.start if math.isinf(passage.stop) else passage.stop
            if late > duration + _TOLERANCE or passage.start >= duration:
                raise MarkerError(
                    f"{name}: {passage.source!r} at {late:.3f} s lies past the end of the take, "
                    f"which is {duration:.3f} s long; move it, or give the take these markers belong to"
                )
        passages = [replace(p, stop=min(p.stop, duration)) for p in resolve(passages, duration)]
    joined: list[Passage] = []
    for passage in sorted(passages, key=lambda p: (p.source, p.start)):
        if joined and joined[-1].source == passage.source and passage.start < joined[-1].stop:
            passage = replace(max(joined[-1], passage, key=lambda p: p.stop), start=joined.pop().start)
        joined.append(passage)
    joined.sort(key=lambda p: p.start)
    for passage in joined:
        if passage.stop - passage.start < _SHORTEST - _TOLERANCE:
            raise MarkerError(
                f"{name}: solo {_show(passage)} lasts less than {_SHORTEST} s; drag it over all that is played alone"
            )
    for before, passage in pairwise(joined):
        if passage.start < before.stop - _TOLERANCE:
            raise MarkerError(f"{name}: solos {_show(before)} and {_show(passage)} overlap; shorten one")
    return tuple(joined)


def write_audacity(path: str | os.PathLike[str], passages: Sequence[Passage]) -> None:
    """Write passages as Audacity labels, to the microsecond; the file appears only when it is complete.

    Parameters
    ----------
    path : path
        Where to write.
    passages : sequence of Passage
        All with a finite `stop`.

    Raises
    ------
    MarkerError
        A passage lasts to an end that `resolve` has not filled in, or its source cannot be a label.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf import markers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.txt")
    ...     markers.write_audacity(path, [markers.Passage("viola", 2.0, 5.5)])
    ...     print(path.read_text().split())
    ['2.000000', '5.500000', 'viola']
    """
    lines = []
    for passage in passages:
        if math.isinf(passage.stop):
            raise MarkerError(f"{path}: passage of {passage.source!r} has no stop; resolve it with the take's length")
        if not passage.source.strip() or re.search(r"[\t\r\n]", passage.source):
            raise MarkerError(f"{path}: source {passage.source!r} cannot be a label; rename it")
        lines.append(f"{passage.start:.6f}\t{passage.stop:.6f}\t{passage.source}\n")
    with whole(path) as place:
        place.write_bytes("".join(lines).encode())


def _match(pattern: re.Pattern[str], line: str, where: str, wanted: str) -> list[str]:
    """Return the fields of a line, the last one, the label, stripped and not empty."""
    found = pattern.fullmatch(line)
    if found is None:
        raise MarkerError(f"{where}: cannot read {line[:40]!a}; expected {wanted}")
    *fields, label = found.groups(default="")
    if not label.strip():
        raise MarkerError(f"{where}: the label is empty; name the source that plays alone")
    if len(label) > _LONGEST:
        raise MarkerError(f"{where}: the label has more than {_LONGEST} characters; give the source a shorter name")
    return [*fields, label.strip()]


def _read_lines(path: Path) -> list[str]:
    what = "is no marker file"
    text = read_text(path, MarkerError, "is it audio? export the markers as text", what=what, any_encoding=True)
    return re.split(r"\r\n|\r|\n", text)


def _show(passage: Passage) -> str:
    stop = "the end" if math.isinf(passage.stop) else f"{passage.stop:.3f} s"
    return f"{passage.source!r} ({passage.start:.3f} s to {stop})"
