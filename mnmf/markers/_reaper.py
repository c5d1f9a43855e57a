"""REAPER projects: the regions of an ``.RPP`` file, whose lines are a tree: ``<`` opens an element, ``>`` ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mnmf.markers._labels import Format, Label, Lines
from mnmf.markers._times import seconds, why_no_time

__all__ = ["RPP", "tokens"]

_TOKEN = re.compile(r"""\s*(?:"([^"]*)"?|'([^']*)'?|`([^`]*)`?|(\S+))""")
_COUNT = 5  # tokens of a line that count: MARKER, number, seconds, name, flags
_LONGEST = 5000  # characters of such a line
_REGION = 1  # the flag of regions


def tokens(line: str, count: int = _COUNT) -> list[str]:
    """Return the first words of a line; those with spaces in them stand between quotation marks of any kind.

    Examples
    --------
    >>> tokens('MARKER 1 2.5 "first violin" 1 0')
    ['MARKER', '1', '2.5', 'first violin', '1']
    """
    found: list[str] = []
    at = 0
    while len(found) < count and (word := _TOKEN.match(line, at)):
        found.append(next(text for text in word.groups() if text is not None))
        at = word.end()
    return found


def _read_rpp(lines: Lines) -> Iterator[Label]:
    """Read regions, each of which is two lines MARKER of the same number, and markers, which are points."""
    depth = 0
    begun: dict[str, Label] = {}
    for number, line in lines:
        text = line.strip()
        if text.startswith("<"):
            depth += 1
        elif text == ">":
            depth -= 1
        elif depth == 1 and text.startswith("MARKER "):
            place, (_, identity, time, name, flags) = f"line {number}", [*tokens(text[:_LONGEST]), *[""] * 4][:_COUNT]
            at = seconds(time)
            if at is None:
                flaw = f"REAPER project: {why_no_time(time)}; save the project again"
                yield Label.unusable(name, place, flaw)
            elif not (flags.isdecimal() and int(flags[:9]) & _REGION):
                yield Label(name, at, at, place)
            elif identity in begun:
                region = begun.pop(identity)
                yield Label(region.name, region.start, at, region.place)
            else:
                begun[identity] = Label(name, at, at, place)
    yield from begun.values()


RPP = Format("REAPER project (.RPP)", lambda lines: lines[0][1].lstrip().startswith("<REAPER_PROJECT"), _read_rpp)
