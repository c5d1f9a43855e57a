"""Markers of iZotope RX: name, start and stop, below two lines of heading."""

from __future__ import annotations

from collections.abc import Iterator

from mnmf.errors import MarkerError
from mnmf.markers._labels import Format, Label, Lines
from mnmf.markers._times import seconds, why_no_time

__all__ = ["RX"]

_REMEDY = "export them again with times as hh:mm:ss.mmm"


def _read_rx(lines: Lines) -> Iterator[Label]:
    """Read name, start and stop, or name and time of a point."""
    for number, line in lines:
        place = f"line {number}"
        if line.startswith("Marker file version"):
            continue
        if line.startswith("Time format"):
            unit = line.partition(":")[2].strip()
            if unit.casefold() != "time":
                raise MarkerError(f"{place}: iZotope RX markers in {unit[:40]!a}; {_REMEDY}")
            continue
        name, *times = line.split("\t", 3)[:3]
        times = [time for time in times if time.strip()]
        if not times:
            raise MarkerError(f"{place}: cannot read {line[:40]!a} as an iZotope RX marker; {_REMEDY}")
        found = [seconds(time) for time in times]
        if None in found:
            yield Label.unusable(name, place, f"{why_no_time(times[found.index(None)])}; {_REMEDY}")
        else:
            yield Label(name, float(found[0] or 0), float(found[-1] or 0), place)


RX = Format("iZotope RX markers", lambda lines: lines[0][1].startswith("Marker file version"), _read_rx)
