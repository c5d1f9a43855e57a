"""CSV without a heading: of LosslessCut (start, stop, name) and Sonic Visualiser (start, duration, name)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from mnmf.errors import MarkerError
from mnmf.markers._labels import Format, Label, Lines, body
from mnmf.markers._table import cells
from mnmf.markers._times import TIME, looks_like_time, seconds, why_no_time

__all__ = ["LOSSLESSCUT", "SONIC_VISUALISER"]

_NANOSECONDS = re.compile(r"-?[0-9]{1,15}\.[0-9]{9}")  # all times of Sonic Visualiser, and nobody else's


def _delimiter(line: str) -> str:
    """Return what separates two times at the beginning of a line, of which one may be missing; "" if there are none."""
    for delimiter in ";,":  # a comma may be the decimal sign between semicolons
        found = cells(line, delimiter)[:3]
        times = [cell for cell in found[:2] if cell.strip()]
        if len(found) == 3 and times and all(map(looks_like_time, times)):
            return delimiter
    return ""


def _is_losslesscut(line: str) -> bool:
    return bool(_delimiter(line))


def _read_losslesscut(lines: Lines) -> Iterator[Label]:
    """Read start, stop and name.

    Without a start a segment begins with the take.  Without a stop it lasts to its end, unless another one starts
    later: it is a point then.
    """
    rows: list[Label] = []
    for number, line in body(lines, _is_losslesscut):
        place = f"line {number}"
        delimiter = _delimiter(line)
        start, stop, name = [*cells(line, delimiter or ","), "", "", ""][:3]
        if not delimiter and not name:
            raise MarkerError(f"{place}: cannot read {line[:40]!a}; expected start,stop,name")
        begin = seconds(start) if start.strip() else 0.0
        end = seconds(stop) if stop.strip() else math.inf
        if begin is None or end is None:
            wrong = why_no_time(start if begin is None else stop)
            rows.append(Label.unusable(name, place, f"{wrong}; export the segments as CSV in {TIME}"))
        else:
            rows.append(Label(name, begin, end, place))
    last = max((row.start for row in rows if not row.flaw), default=0.0)
    for row in rows:
        yield Label(row.name, row.start, row.start, row.place) if math.isinf(row.stop) and row.start < last else row


LOSSLESSCUT = Format(
    "LosslessCut CSV (start,stop,name)",
    lambda lines: any(_is_losslesscut(line) for _, line in lines),
    _read_losslesscut,
)


def _row(line: str) -> list[str]:
    """Return the cells of a line of Sonic Visualiser; none if it begins with no time of nine decimals."""
    for delimiter in ",\t":
        found = cells(line, delimiter)
        if len(found) > 1 and _NANOSECONDS.fullmatch(found[0].strip()):
            return [cell.strip() for cell in found]
    return []


def _is_sonic_visualiser(lines: Lines) -> bool:
    """Return whether times have nine decimals; between tabs, as in Audacity labels, one must also be a duration."""
    rows = [(line, _row(line)) for _, line in lines if looks_like_time(re.split("[,\t]", line, maxsplit=1)[0])]
    if not rows or not all(row for _, row in rows):
        return False
    return any("\t" not in line or _has_duration(row) for line, row in rows)


def _has_duration(row: list[str]) -> bool:
    """Return whether a second or third time in a row cannot be where a label that begins at the first one stops."""
    if _NANOSECONDS.fullmatch(row[1]):
        return float(row[1]) < float(row[0])
    return len(row) > 2 and _NANOSECONDS.fullmatch(row[2]) is not None


def _read_sonic_visualiser(lines: Lines) -> Iterator[Label]:
    """Read time, duration and label of regions, or time, value, duration, perhaps level, and label."""
    for number, line in body(lines, lambda line: bool(_row(line))):
        row = _row(line)
        if not row:
            raise MarkerError(
                f"line {number}: cannot read {line[:40]!a} as a region of Sonic Visualiser; export the layer again"
            )
        at = next((column for column in (1, 2) if column < len(row) and _NANOSECONDS.fullmatch(row[column])), 0)
        start, length = float(row[0]), float(row[at]) if at else 0.0
        yield Label(row[-1] if len(row) > at + 1 else "", start, start + length, f"line {number}")


SONIC_VISUALISER = Format("Sonic Visualiser CSV", _is_sonic_visualiser, _read_sonic_visualiser)
