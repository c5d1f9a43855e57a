"""Marker files of audio workstations to passages: which source plays alone, from when to when, in seconds.

There is one small reader for each format and one table of them (`FORMATS`); to add a format, write its reader, which
gives each `Label` as it stands in the file, and add a row.  Which labels are solos is decided in one place for all,
`_passages`.  `mnmf.session` checks that the sources named here exist, and uses their solos.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mnmf.errors import MarkerError
from mnmf.files import check_path, read_text
from mnmf.markers._audacity import AUDACITY, write_audacity
from mnmf.markers._csv import LOSSLESSCUT, SONIC_VISUALISER
from mnmf.markers._foreign import what_else
from mnmf.markers._labels import MOST, Format, Label, Lines
from mnmf.markers._marks import MARKS
from mnmf.markers._passages import Marked, Passage, check, resolve, sort_out
from mnmf.markers._protools import PRO_TOOLS
from mnmf.markers._reaper import RPP
from mnmf.markers._rx import RX
from mnmf.markers._table import AUDITION, REAPER_CSV, TABLE
from mnmf.markers._wave import is_wave, read_wave

__all__ = [
    "FORMATS",
    "Format",
    "Label",
    "Marked",
    "Passage",
    "check",
    "in_audio",
    "read",
    "read_all",
    "resolve",
    "write_audacity",
]

# The first that fits decides: those with a heading of their own, then those known by the look of their lines.
FORMATS: tuple[Format, ...] = (
    RPP,
    PRO_TOOLS,
    RX,
    AUDITION,
    REAPER_CSV,
    TABLE,
    SONIC_VISUALISER,
    AUDACITY,
    LOSSLESSCUT,
    MARKS,
)
IN_WAVE = "WAV with cue points"

_NUMBERED = re.compile(r"(?:cue|mark|marker|point|region|locator)?[ _.#-]*[0-9]*", re.IGNORECASE)
_LOOKED_AT = 1000  # lines, to tell the format
_MOST_LINES = 500_000  # a project has more of them than labels


def read(
    path: str | os.PathLike[str], duration: float | None = None, sources: Iterable[str] | None = None
) -> tuple[Passage, ...]:
    """Read the passages of a marker file; its content tells which format it has.

    Parameters
    ----------
    path : path
        A file in one of `FORMATS` (UTF-8, UTF-16 with a byte order mark, or Latin-1), or a WAV file with cue points.
    duration : float, optional
        Length of the take in seconds.  Without it nothing is compared with the end of the take, and the `stop` of a
        last open mark stays infinite until `check` or `resolve`.
    sources : names, optional
        Who plays; labels of others are ignored.  By default every label with a length names a source.

    Returns
    -------
    tuple of Passage
        In order of time, checked by `check`; names are in NFC.

    Raises
    ------
    MarkerError
        The file cannot be read, a label that counts cannot be understood, or the passages contradict each other or the
        take.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf import markers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "marks.txt")
    ...     written = path.write_text("0:00:02:0\\tVIOLA\\n0:00:05:500\\tCELLO\\n")
    ...     passages = markers.read(path, duration=9.0)
    >>> for passage in passages:
    ...     print(passage)
    Passage(source='VIOLA', start=2.0, stop=5.5)
    Passage(source='CELLO', start=5.5, stop=9.0)
    """
    return read_all(path, duration, sources).passages


def read_all(
    path: str | os.PathLike[str], duration: float | None = None, sources: Iterable[str] | None = None
) -> Marked:
    """Read the passages of a marker file as `read` does, and also return what was ignored.

    Labels of nobody in `sources` are ignored.  So are points, and labels that are very short or not within the take,
    as long as their source has another solo.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf import markers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.txt")
    ...     written = path.write_text("0.0\\t0.0\\ttake 3\\n1.0\\t4.0\\tviola\\n5.0\\t6.0\\tcough\\n")
    ...     markers.read_all(path, sources=["viola"]).ignored
    ('take 3', 'cough')
    """
    place = check_path(path)
    return sort_out(_all_labels(place), duration, str(place), sources)


def in_audio(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a WAV file with markers that can be read and whose names say something.

    Recorders number their markers, which says nothing of who plays.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf import markers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.txt")
    ...     written = path.write_text("1.0\\t4.0\\tviola\\n")
    ...     markers.in_audio(path)
    False
    """
    place = check_path(path)
    with suppress(MarkerError):
        names = {passage.source for passage in read(place)} if is_wave(place) else set()
        return bool(names) and not any(map(_NUMBERED.fullmatch, names))
    return False


def _all_labels(place: Path) -> list[Label]:
    """Return the labels of a file in any format."""
    labels = read_wave(place) if is_wave(place) else _text_labels(place)
    if len(labels) > MOST:
        raise MarkerError(f"{place} holds more than {MOST} markers; export those of the solos only")
    return labels


def _text_labels(place: Path) -> list[Label]:
    lines = [(number, line) for number, line in enumerate(_read_lines(place), 1) if line.strip()]
    if not lines:
        raise MarkerError(f"{place} holds no markers; export them again")
    known = _format_of(place, lines[:_LOOKED_AT])
    try:
        return list(islice(known.read(lines), MOST + 1))
    except MarkerError as error:
        raise MarkerError(f"{place}, {error}") from error


def _format_of(place: Path, lines: Lines) -> Format:
    for form in FORMATS:
        if form.fits(lines):
            return form
    if what := what_else(lines):
        raise MarkerError(f"{place}, {what}")
    number, line = lines[0]
    names = ", ".join([*(form.name for form in FORMATS), IN_WAVE])
    raise MarkerError(f"{place}, line {number}: {line[:40]!a} is in no known marker format; known are {names}")


def _read_lines(path: Path) -> list[str]:
    what = "is no marker file"
    text = read_text(path, MarkerError, "is it audio? export the markers as text", what=what, any_encoding=True)
    lines = re.split(r"\r\n|\r|\n", text, maxsplit=_MOST_LINES)
    if len(lines) > _MOST_LINES:
        raise MarkerError(f"{path} has more than {_MOST_LINES} lines; export the markers of the solos only")
    return lines
