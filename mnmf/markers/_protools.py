"""Markers of Pro Tools: what File > Export > Session Info as Text writes."""

from __future__ import annotations

from collections.abc import Iterator

from mnmf.errors import MOST_RATE, MarkerError
from mnmf.markers._labels import Format, Label, Lines, until_next
from mnmf.markers._times import seconds

__all__ = ["PRO_TOOLS"]

_LISTING = "M A R K E R S  L I S T I N G"
_WANTED = ("LOCATION", "TIME REFERENCE", "UNITS", "NAME")
_FIRST = ("SESSION NAME:", "SAMPLE RATE:", _LISTING)  # what a session begins with, or the rest of one
_EXPORT = "tick Include Markers in File > Export > Session Info as Text and export it again"


def _read_protools(lines: Lines) -> Iterator[Label]:
    """Read the listing of markers, which each last until the next; times count from the start of the session."""
    rate = _rate(lines)
    at = next((at for at, (_, line) in enumerate(lines) if line.strip() == _LISTING), None)
    if at is None:
        raise MarkerError(f"line {lines[0][0]}: Pro Tools session text without its markers; {_EXPORT}")
    headed = [cell.strip() for cell in lines[at + 1][1].split("\t", 20)] if at + 1 < len(lines) else []
    if not set(_WANTED) <= set(headed):
        raise MarkerError(f"line {lines[at][0]}: Pro Tools session text whose markers have no columns; {_EXPORT}")
    columns = [headed.index(word) for word in _WANTED]
    marks = []
    for number, line in lines[at + 2 :]:
        cells = [cell.strip() for cell in line.split("\t", 20)]
        # A comment of several lines goes on in the next one, which has no number.
        if len(cells) > max(columns) and cells[0].isdecimal():
            location, reference, units, name = (cells[column] for column in columns)
            marks.append(_mark(location, reference, units, name, rate, f"line {number}"))
    yield from until_next(marks)


def _rate(lines: Lines) -> float | None:
    for _, line in lines:
        if line.startswith("SAMPLE RATE:"):
            rate = seconds(line.partition(":")[2])
            return rate if rate and 1 <= rate <= MOST_RATE else None
        if line.strip() == _LISTING:
            break
    return None


def _mark(location: str, reference: str, units: str, name: str, rate: float | None, place: str) -> Label:
    """Return a marker at its samples, or, if it is tied to bars, where its location is in minutes and seconds."""
    samples = seconds(reference)
    if units.casefold() == "samples" and samples is not None:
        if rate is None:
            return Label.unusable(name, place, f"Pro Tools session text without a SAMPLE RATE; {_EXPORT}")
        return Label(name, samples / rate, samples / rate, place)
    at = seconds(location) if ":" in location and "." in location else None
    if at is None:
        return Label.unusable(
            name,
            place,
            f"Pro Tools marker tied to bars and beats ({units[:40]!a}); make its reference Absolute in the memory "
            "location, or export the session text with the time format Min:Secs",
        )
    return Label(name, at, at, place)


PRO_TOOLS = Format(
    "Pro Tools session text",
    lambda lines: lines[0][1].startswith(_FIRST) or any(line.strip() == _LISTING for _, line in lines),
    _read_protools,
)
