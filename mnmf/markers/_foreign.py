"""Files that are known, but hold no markers that can be used: what they are, and what to export instead."""

from __future__ import annotations

import re
from collections.abc import Callable

from mnmf.markers._labels import Lines
from mnmf.markers._times import looks_like_time

__all__ = ["what_else"]

_WITHIN = 20  # lines
_AS_LABELS = "export the markers as Audacity labels, REAPER CSV or another known format"


def _spaced(line: str) -> bool:
    """Return whether a line is a label whose columns are separated by spaces."""
    words = [] if "\t" in line else line.split(None, 2)
    if len(words) < 2 or not all(map(looks_like_time, words[:2])):
        return False
    return ":" not in words[0] or ":" in words[1]  # else it is a mark with a number for a name


def _starts(*beginnings: str) -> Callable[[str], bool]:
    return lambda line: line.lstrip().startswith(beginnings)


_FOREIGN: tuple[tuple[Callable[[str], bool], str, str], ...] = (
    (lambda line: " --> " in line or line.startswith("WEBVTT"), "subtitles (SubRip or WebVTT)", _AS_LABELS),
    (_starts("{\\rtf"), "rich text (RTF)", "save it as plain text"),
    (_starts("<?xml", "<!DOCTYPE", "<html", "<project"), "a project or page in XML", _AS_LABELS),
    (_starts("{", "["), "a project in JSON", _AS_LABELS),
    (
        lambda line: re.match(r"\s*INDEX [0-9]{2} [0-9]+:[0-9]+:[0-9]+", line) is not None,
        "a cue sheet, which has no ends",
        _AS_LABELS,
    ),
    (
        _spaced,
        "labels whose columns are separated by spaces",
        "separate start, stop and label by tabs, as Audacity exports them",
    ),
)


def what_else(lines: Lines) -> str:
    """Return what a file is that no format fits, and what to do; "" if it is nothing that is known.

    Examples
    --------
    >>> what_else([(1, "1.0 3.0 violin")])  # doctest: +ELLIPSIS
    "line 1: '1.0 3.0 violin' is in no known marker format: it looks like labels whose columns are ..."
    """
    for number, line in lines[:_WITHIN]:
        for fits, what, remedy in _FOREIGN:
            if fits(line):
                return f"line {number}: {line[:40]!a} is in no known marker format: it looks like {what}; {remedy}"
    return ""
