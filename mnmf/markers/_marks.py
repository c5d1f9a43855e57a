"""Marks, as people type them: a time and a name a line; each lasts until the next."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mnmf.errors import MarkerError
from mnmf.markers._labels import Format, Label, Lines, body, until_next
from mnmf.markers._times import ascii_digits, looks_like_time, seconds

__all__ = ["MARKS"]

_CLOCK = re.compile(r"([0-9]{1,6}):([0-5]?[0-9])(?::([0-5]?[0-9]))?:([0-9]{1,3})")
_MARK = re.compile(r"[0-9]{1,6}(?::[0-9]{1,4}){1,3}(?:[.,][0-9]{0,30})?")
_LONGEST = 40  # characters of a clock


def _mark(line: str) -> tuple[str, str] | None:
    """Return the time and the name of a mark as they are written."""
    clock, _, name = line.strip().partition("\t")
    if len(clock.split(None, 1)) > 1:  # separated by spaces
        clock, name = line.strip().split(None, 1)
    clock = ascii_digits(clock.strip()[: _LONGEST + 1])
    if ":" not in clock or _MARK.fullmatch(clock) is None or name.startswith("-->"):  # as in subtitles
        return None
    words = name.split(None, 2)[:2]
    if words and not any(map(str.isalnum, words[0])):  # a dash
        del words[0]
    return None if words and ":" in words[0] and looks_like_time(words[0]) else (clock, name)  # a label has two times


def _read_marks(lines: Lines) -> Iterator[Label]:
    """Read times and names: each mark starts a passage that lasts until the next; SILENCE only ends one.

    The last of four fields counts milliseconds and is not a decimal fraction: ``0:00:01:5`` is 1.005 s.
    """
    marks = [(number, line, _mark(line)) for number, line in body(lines, lambda line: _mark(line) is not None)]
    short = [found for _, _, mark in marks if mark and (found := _CLOCK.fullmatch(mark[0])) and found[3] is None]
    minutes = any(len(found[4]) == 3 for found in short)  # else the last of three fields may be seconds
    labels: list[Label] = []
    last = -1.0
    for number, line, mark in marks:
        place = f"line {number}"
        if mark is None:
            raise MarkerError(f"{place}: cannot read {line[:40]!a}; expected hh:mm:ss:ms<TAB>NAME")
        clock, name = mark
        at = _at(clock, minutes, place)
        if at <= last:
            raise MarkerError(f"{place}: mark at {at:.3f} s does not come after {last:.3f} s; sort the marks by time")
        labels.append(Label(name, at, at, place))
        last = at
    yield from until_next(labels)


def _at(clock: str, minutes: bool, place: str) -> float:
    """Return the seconds of a mark, whose three fields are minutes, seconds and milliseconds if `minutes`."""
    found = _CLOCK.fullmatch(clock)
    if found is None:
        at = seconds(clock)
        if at is None:
            raise MarkerError(f"{place}: {clock!a} is no time; expected hh:mm:ss:ms<TAB>NAME")
        return at
    first, second, third, last = found.groups()
    if third is None and not minutes:
        raise MarkerError(
            f"{place}: {clock!a} may be hours, minutes and seconds, or milliseconds at the end; write hh:mm:ss:ms"
        )
    hours, minute, whole = (0, first, second) if third is None else (first, second, third)
    return int(hours) * 3600 + int(minute) * 60 + int(whole) + int(last) / 1000


MARKS = Format(
    "marks (hh:mm:ss:ms<TAB>NAME)",
    lambda lines: any(mark is not None and mark[1].strip() for mark in (_mark(line) for _, line in lines)),
    _read_marks,
)
