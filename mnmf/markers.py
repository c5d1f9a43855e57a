"""Marker files of audio workstations to passages: which source plays alone, from when to when, in seconds.

One small reader per format and one table of them (`FORMATS`); to add a format, write its reader and add a row.  Whether
the sources named here exist, and what is done with their solos, is `mnmf.session`'s affair.
"""

from __future__ import annotations

import codecs
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from mnmf.errors import MarkerError, OutputError

__all__ = ["FORMATS", "Format", "Passage", "check", "read", "resolve", "write_audacity"]

_TOLERANCE = 1e-3  # seconds; markers drawn by hand or rounded on export are no closer
_SHORTEST = 0.1  # seconds; less than this teaches nothing, and is a slip of the mouse
_MAX_BYTES = 10_000_000
_NUMBER = r"\s*([+-]?\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?)\s*"
_AUDACITY = re.compile(rf"{_NUMBER}\t{_NUMBER}(?:\t(.*))?")
_MARK = re.compile(r"\s*(\d+):([0-5]?\d):([0-5]?\d):(\d{1,3})\s*\t(.*)")

Lines = Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Passage:
    """From `start` to `stop`, in seconds, `source` plays alone; an infinite `stop` means the end of the take."""

    source: str
    start: float
    stop: float


@dataclass(frozen=True)
class Format:
    """One kind of marker file: what it is called, how a line of it looks, and its reader."""

    name: str
    line: re.Pattern[str]
    read: Callable[[Lines, str], Iterator[Passage]]


def _read_audacity(lines: Lines, file: str) -> Iterator[Passage]:
    """Audacity labels: start, stop and label, with decimal point or comma; a label is a passage."""
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
    """Marks ``hh:mm:ss:ms<TAB>CODE``: each opens a passage that lasts until the next one, SILENCE only closes.

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
    """Read the passages of a marker file, whose format shows in its content.

    Parameters
    ----------
    path : path
        A file in one of `FORMATS`; UTF-8, UTF-16 with a byte order mark, or Latin-1.
    duration : float, optional
        Length of the take in seconds.  Without it nothing is held against the end of the take, and the `stop` of a
        last open mark stays infinite until `check` or `resolve`.

    Returns
    -------
    tuple of Passage
        In order of time, checked by `check`.

    Raises
    ------
    MarkerError
        The file cannot be read, a line of it cannot be understood, or the passages contradict each other or the take.
    """
    file = os.fspath(path)
    lines = [(number, line) for number, line in enumerate(_read_lines(Path(path)), 1) if line.strip()]
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
    """Return the passages with `duration` as the `stop` of those that last to the end of the take."""
    return tuple(replace(passage, stop=duration) if math.isinf(passage.stop) else passage for passage in passages)


def check(passages: Sequence[Passage], duration: float | None, name: str) -> tuple[Passage, ...]:
    """Check passages against the take and each other; differences up to a millisecond are forgiven.

    Parameters
    ----------
    passages : sequence of Passage
    duration : float or None
        Length of the take in seconds; None if unknown.
    name : str
        What to call their origin in messages.

    Returns
    -------
    tuple of Passage
        In order of time, cut at the end of the take, overlapping ones of the same source joined.

    Raises
    ------
    MarkerError
        A passage lies past the end of the take, or passages of two sources overlap.
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

    Raises
    ------
    MarkerError
        A passage lasts to an end that `resolve` has not filled in, or its source cannot be a label.
    OutputError
        The file cannot be written.
    """
    lines = []
    for passage in passages:
        if math.isinf(passage.stop):
            raise MarkerError(f"{path}: passage of {passage.source!r} has no stop; resolve it with the take's length")
        if not passage.source.strip() or re.search(r"[\t\r\n]", passage.source):
            raise MarkerError(f"{path}: source {passage.source!r} cannot be a label; rename it")
        lines.append(f"{passage.start:.6f}\t{passage.stop:.6f}\t{passage.source}\n")
    partial = Path(path).parent / f".mnmf-partial-{secrets.token_hex(8)}"
    try:
        partial.write_bytes("".join(lines).encode())
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; free space or choose another place") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _match(pattern: re.Pattern[str], line: str, where: str, wanted: str) -> list[str]:
    """Return the fields of a line, the last one, the label, stripped and not empty."""
    found = pattern.fullmatch(line)
    if found is None:
        raise MarkerError(f"{where}: cannot read {line[:40]!a}; expected {wanted}")
    *fields, label = found.groups(default="")
    if not label.strip():
        raise MarkerError(f"{where}: the label is empty; name the source that plays alone")
    return [*fields, label.strip()]


def _read_lines(path: Path) -> list[str]:
    try:
        size = path.stat().st_size if path.is_file() else 0
        data = path.read_bytes() if size <= _MAX_BYTES else b""
    except OSError as error:
        raise MarkerError(f"{path} cannot be read: {error.strerror}; check the path") from error
    if size > _MAX_BYTES:
        raise MarkerError(f"{path} is no marker file: it has {size / 1e6:.0f} MB; is it audio?")
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
        else:
            text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise MarkerError(f"{path} is no marker file: it is binary; export the markers as text")
    return re.split(r"\r\n|\r|\n", text)


def _show(passage: Passage) -> str:
    stop = "the end" if math.isinf(passage.stop) else f"{passage.stop:.3f} s"
    return f"{passage.source!r} ({passage.start:.3f} s to {stop})"
