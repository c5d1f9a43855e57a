"""Tables: cells of CSV, and tables whose heading says which column holds what, as of REAPER and Adobe Audition."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mnmf.errors import MarkerError
from mnmf.markers._labels import Format, Label, Lines, is_comment
from mnmf.markers._times import looks_like_time, seconds, why_no_time

__all__ = ["AUDITION", "REAPER_CSV", "TABLE", "cells"]

_DELIMITERS = "\t;,"  # a comma last, as it may be the decimal sign where others delimit
_HEADING_WITHIN = 20  # lines; comments may stand above it
_LONGEST_HEADING = 2000  # characters
# What heads the columns that count, in lower case, without what is in brackets.
_HEADINGS = {
    "name": ("name", "label", "marker name", "title", "source", "region"),
    "start": ("start", "start time", "begin", "in", "time", "onset", "position", "from", "location"),
    "stop": ("end", "stop", "end time", "stop time", "out", "offset", "to"),
    "length": ("length", "duration"),
}
_WHOLE = re.compile(r"[0-9]+")


def cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line, their quotation marks taken off; none if it is no line of CSV.

    Examples
    --------
    >>> cells('1.0,2.0,"violin, first"', ",")
    ['1.0', '2.0', 'violin, first']
    """
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell of more than 128 kB
        return []


@dataclass(frozen=True)
class _Heading:
    """The heading of a table: its line, what separates cells, all columns, and those that count by what they hold."""

    number: int
    line: str
    delimiter: str
    columns: Mapping[str, int]
    places: Mapping[str, int]


def _heading(lines: Lines) -> _Heading | None:
    for number, line in lines[:_HEADING_WITHIN]:
        for delimiter in _DELIMITERS if len(line) <= _LONGEST_HEADING else "":
            words = [re.sub(r"[(\[].*", "", cell).strip().casefold() for cell in cells(line, delimiter)]
            columns = {word: column for column, word in reversed(list(enumerate(words)))}
            places = {
                what: next(columns[word] for word in known if word in columns)
                for what, known in _HEADINGS.items()
                if any(word in columns for word in known)
            }
            if "name" in places and "start" in places and not any(map(looks_like_time, words)):
                return _Heading(number, line, delimiter, columns, places)
    return None


def _rows(lines: Lines, what: str, remedy: str) -> Iterator[Label]:
    """Yield a label for each row below the heading; one without a stop and a length is a point."""
    heading = _heading(lines)
    if heading is None:
        return
    for number, line in lines:
        if number <= heading.number:
            continue
        row, place = cells(line, heading.delimiter), f"line {number}"
        if not any(map(str.strip, row)) or (len(row) == 1 and is_comment(line)):
            continue
        found = {word: row[column].strip() for word, column in heading.places.items() if column < len(row)}
        if "start" not in found or "name" not in found:
            raise MarkerError(f"{place}: cannot read {line[:40]!a} as a row of {what}; {remedy}")
        # A stop goes before a length; where neither is given, the label is a point.
        last = next((word for word in ("stop", "length") if found.get(word)), "")
        start, other = seconds(found["start"]), seconds(found[last]) if last else 0.0
        if start is None or other is None:
            wrong = why_no_time(found["start"] if start is None else found[last])
            yield Label.unusable(found["name"], place, f"{what}: {wrong}; {remedy}")
        else:
            yield Label(found["name"], start, other if last == "stop" else start + other, place)


def _is_reaper(lines: Lines) -> bool:
    heading = _heading(lines)
    return heading is not None and heading.columns.get("#") == 0


def _read_reaper(lines: Lines) -> Iterator[Label]:
    """Read regions (R1, R2, …) and markers (M1, …, which are points) in the time unit of REAPER's ruler."""
    heading = _heading(lines)
    remedy = "set View > Time unit for ruler to minutes:seconds in REAPER and export them again"
    if heading is not None:
        rows = [(number, cells(line, heading.delimiter)) for number, line in lines if number > heading.number]
        columns = [column for word, column in heading.places.items() if word != "name"]
        times = [(number, row[column].strip()) for number, row in rows for column in columns if column < len(row)]
        times = [(number, time) for number, time in times if time]
        if times and all(_WHOLE.fullmatch(time) for _, time in times):  # its seconds have decimals
            number, time = times[0]
            raise MarkerError(f"line {number}: REAPER CSV: {time[:40]!a} counts samples or frames; {remedy}")
    yield from _rows(lines, "REAPER CSV", remedy)


REAPER_CSV = Format("REAPER CSV", _is_reaper, _read_reaper)


def _is_audition(lines: Lines) -> bool:
    heading = _heading(lines)
    return heading is not None and "time format" in heading.columns


def _read_audition(lines: Lines) -> Iterator[Label]:
    """Read cues whose times are decimal: m:ss.mmm."""
    yield from _rows(
        lines, "Audition CSV", "set View > Display Time Format to Decimal in Audition and export the markers again"
    )


AUDITION = Format("Audition CSV", _is_audition, _read_audition)


def _read_table(lines: Lines) -> Iterator[Label]:
    """Read a table whose heading names start, end or duration, and name."""
    heading = _heading(lines)
    if heading is not None and not {"stop", "length"} & set(heading.places):
        raise MarkerError(
            f"line {heading.number}: {heading.line[:40]!a} heads a table in no known marker format: it has no "
            "ends and no durations; export regions instead of points"
        )
    yield from _rows(lines, "a table", "export it in seconds, m:ss.mmm or h:mm:ss.mmm")


TABLE = Format(
    "tables with a heading (start, end or duration, name)", lambda lines: _heading(lines) is not None, _read_table
)
