"""Audacity labels: start, stop and label, separated by tabs; read and written."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence

from mnmf.errors import MarkerError
from mnmf.files import whole
from mnmf.markers._labels import Format, Label, Lines, body
from mnmf.markers._passages import Passage
from mnmf.markers._times import ascii_digits, looks_like_time, seconds, why_no_time

__all__ = ["AUDACITY", "write_audacity"]


def _is_audacity(line: str) -> bool:
    """Return whether a line begins with two times, each followed by a tab or the end."""
    cells = line.split("\t", 2)
    if len(cells) < 2 or not (looks_like_time(cells[0]) and looks_like_time(cells[1])):
        return False
    start, stop = (ascii_digits(cell.strip()) for cell in cells[:2])
    return ":" not in start or ":" in stop  # a mark may name its source by a number, which is no second time


def _read_audacity(lines: Lines) -> Iterator[Label]:
    """Read start, stop and label; each label is a passage.  Frequencies of spectral selections are left out."""
    for number, line in body(lines, _is_audacity):
        if line.startswith("\\"):  # they belong to the label above
            continue
        place, wanted = f"line {number}", "Audacity labels are start<TAB>stop<TAB>label, in seconds"
        start, stop, name = [*line.split("\t", 2), "", ""][:3]
        if not stop and not name:
            raise MarkerError(f"{place}: cannot read {line[:40]!a}; {wanted}")
        begin, end = seconds(start), seconds(stop)
        if begin is None or end is None:
            wrong = why_no_time(start if begin is None else stop)
            yield Label.unusable(name, place, f"{wrong}; {wanted}, export them so")
        else:
            yield Label(name, begin, end, place)


AUDACITY = Format(
    "Audacity labels (start<TAB>stop<TAB>label)",
    lambda lines: any(_is_audacity(line) for _, line in lines),
    _read_audacity,
)


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
