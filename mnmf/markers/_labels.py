"""What readers give: labels as they stand in the file, with the place that a message names.

Whether a label is a solo, and of whom, is decided in `mnmf.markers._passages`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mnmf.errors import MarkerError
from mnmf.markers._times import looks_like_time

__all__ = ["MOST", "Format", "Label", "Lines", "body", "is_comment", "until_next"]

Lines = Sequence[tuple[int, str]]  # of a file without the blank ones: number, from 1 on, and text

MOST = 100_000  # labels of a file
_SILENCE = "silence"
_COMMENT = re.compile(r"\s*(?:[#;%]|//)")
_NUMBER = re.compile(r"\d|nan|inf", re.IGNORECASE)
_FIRST = 40  # characters of a cell or line in which a time is looked for


@dataclass(frozen=True)
class Label:
    """One label or marker of a file.

    Parameters
    ----------
    name : str
        What it says; may be empty.
    start, stop : float
        In seconds; equal for a point.  An infinite `stop` is the end of the take.
    place : str
        Where it stands in the file, as in 'line 3'.
    flaw : str
        Why its times cannot be used, and what to do; empty if they can.

    Examples
    --------
    >>> from mnmf.markers import Label
    >>> Label("viola", 2.0, 2.0, "line 3").is_point
    True
    """

    name: str
    start: float
    stop: float
    place: str
    flaw: str = ""

    @property
    def is_point(self) -> bool:
        """Whether it has no length."""
        return self.stop == self.start

    @classmethod
    def unusable(cls, name: str, place: str, flaw: str) -> Label:
        """Return a label whose times cannot be used; it stops nobody who does not ask for it."""
        return cls(name, math.nan, math.nan, place, flaw)


@dataclass(frozen=True)
class Format:
    """One kind of marker file.

    Parameters
    ----------
    name : str
        What messages and the documentation call it.
    fits : callable
        Takes the first lines of a file, and says whether it is of this kind.
    read : callable
        Takes all lines, with their numbers, and yields a `Label` for each; raises `MarkerError`, whose message begins
        with the place, if it cannot.

    Examples
    --------
    >>> from mnmf.markers import FORMATS
    >>> audacity = next(form for form in FORMATS if form.name.startswith("Audacity"))
    >>> list(audacity.read([(1, "2.0\\t5.5\\tviola")]))
    [Label(name='viola', start=2.0, stop=5.5, place='line 1', flaw='')]
    """

    name: str
    fits: Callable[[Lines], bool]
    read: Callable[[Lines], Iterator[Label]]


def until_next(marks: Iterable[Label]) -> Iterator[Label]:
    """Yield marks, in order of time, as labels that last until the next one; SILENCE only ends one."""
    marks = list(marks)
    yield from (mark for mark in marks if mark.flaw)
    usable = sorted((mark for mark in marks if not mark.flaw), key=lambda mark: mark.start)
    for mark, after in zip(usable, [*usable[1:], None]):
        if mark.name.strip().casefold() != _SILENCE:
            yield Label(mark.name, mark.start, after.start if after else math.inf, mark.place)


def body(lines: Lines, is_label: Callable[[str], bool]) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, and without titles and headings above the first label: words instead of times."""
    given = 0
    for number, line in lines:
        if not is_comment(line) and (given or is_label(line) or _meant(line)):
            given += 1
            if given > MOST:
                raise MarkerError(f"line {number}: it holds more than {MOST} labels; export those of the solos only")
            yield number, line


def is_comment(line: str) -> bool:
    """Return whether a line is a remark, as in most programs.

    Examples
    --------
    >>> is_comment("# solos of take 3")
    True
    """
    return _COMMENT.match(line) is not None


def _meant(line: str) -> bool:
    """Return whether a line that is no label may be meant as one."""
    if "\t" in line:
        return any(_NUMBER.search(cell[:_FIRST]) for cell in line.split("\t", 2)[:2])
    return looks_like_time(line.lstrip()[:_FIRST].split()[0])
