"""Which files a source is heard in: its true sound, the stem of every method, and its spot in the take."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import manifest
from mnmf.audio import Recording
from mnmf.errors import SessionError, nearest
from mnmf.files import reason
from mnmf.rows import Rows

__all__ = ["MOST_CONDITIONS", "SPOT", "Condition", "Heard", "conditions_of", "gathered"]

Array = NDArray[Any]
AnyPath = str | Path

SPOT = "unprocessed spot"
MOST_CONDITIONS = 12  # of a trial without its hidden reference, as webMUSHRA counts them
LONGEST_METHOD = 100  # characters
SUFFIXES = frozenset({".wav", ".flac", ".aiff", ".aif", ".caf", ".w64", ".rf64", ".ogg", ".mp3"})


@dataclass(frozen=True)
class Condition:
    """What is compared with the reference: the stems of one method, or what the spots heard.

    Attributes
    ----------
    key : str
        As the test calls it, which says nothing to listeners: C1, C2, ….
    method : str
        Of which method the stems are, by their manifest; or 'unprocessed spot'.
    folder : str
        Where they are.

    Examples
    --------
    >>> from mnmf.listening import Condition
    >>> Condition("C1", "ilrma", "stems").method
    'ilrma'
    """

    key: str
    method: str
    folder: str


@dataclass(frozen=True)
class Heard:
    """Some channels of a recording."""

    recording: Recording
    mics: tuple[int, ...]

    def read(self, start: int, stop: int) -> Array:
        """Return samples from `start` to `stop`, float64 (L, C)."""
        return self.recording.read(start, stop, np.float64, self.mics)

    def rows(self) -> Rows:
        """Return all samples, (L, C), read when they are asked for."""
        recording = self.recording

        def read(start: int, stop: int, columns: Sequence[int]) -> Array:
            return recording.read(start, stop, np.float64, [self.mics[column] for column in columns])

        return Rows((recording.n_samples, len(self.mics)), np.float64, read)

    @property
    def path(self) -> Path:
        """The file, for messages."""
        return self.recording.mics[self.mics[0]].path

    @property
    def like(self) -> tuple[int, int, int]:
        """What all conditions of a source must share: rate, samples and channels."""
        return self.recording.sample_rate, self.recording.n_samples, len(self.mics)


def conditions_of(folders: Sequence[Path], with_spot: bool) -> list[Condition]:
    """Return the conditions in the order of the folders, the unprocessed spots last.

    Raises
    ------
    SessionError
        A folder is given twice, holds no stems of ``mnmf separate``, or there are too many.
    """
    seen: set[str] = set()
    methods = []
    for folder in folders:
        place = os.path.realpath(folder)  # where `resolve` fails for a link to itself
        if place in seen:
            raise SessionError(f"{folder}: is given twice; give each folder of stems once")
        seen.add(place)
        method = manifest.read(folder).get("method")
        if not isinstance(method, str) or not 0 < len(method) <= LONGEST_METHOD:
            raise SessionError(f"{folder / manifest.MANIFEST}: names no method; {manifest.REMEDY}")
        methods.append((method, str(folder)))
    if with_spot:
        methods.append((SPOT, ""))
    if len(methods) + 2 > MOST_CONDITIONS:
        raise SessionError(
            f"{len(methods)} conditions and two anchors are more than the {MOST_CONDITIONS} of a MUSHRA test; "
            "give fewer folders of stems"
        )
    return [Condition(f"C{number}", *each) for number, each in enumerate(methods, 1)]


def gathered(
    folders: Sequence[Path], reference: Sequence[AnyPath], mixture: Sequence[AnyPath], only: Sequence[str]
) -> dict[str, tuple[Heard, list[Heard]]]:
    """Return by source its reference, and where it is heard under each condition, in the order of `conditions_of`.

    Raises
    ------
    MnmfError
        A source has no stem in a folder, no reference, or files that do not fit together.
    """
    stems = [{stem.name: stem for stem in manifest.read_stems(folder)} for folder in folders]
    chosen = _chosen(stems, folders, only)
    own = {name: [_whole(folder / each[name].file) for folder, each in zip(folders, stems)] for name in chosen}
    if len(reference) == 1 and Path(reference[0]).is_dir():
        true = {name: _whole(_named(Path(reference[0]), name)) for name in chosen}
    else:
        all_of = {
            name: own[name][0] if name in own else _whole(folders[0] / stem.file) for name, stem in stems[0].items()
        }
        true = _channels(reference, {name: len(heard.mics) for name, heard in all_of.items()})
    found: dict[str, tuple[Heard, list[Heard]]] = {}
    take = Recording.open(list(mixture), lossless=False) if mixture else None
    for name in chosen:
        heard = list(own[name])
        if take is not None:
            heard.append(_spot(take, stems[0][name], len(heard[0].mics)))
        for each in heard:
            _check_like(each, true[name], name)
        found[name] = true[name], heard
    return found


def _chosen(stems: Sequence[Mapping[str, Any]], folders: Sequence[Path], only: Sequence[str]) -> list[str]:
    names = list(stems[0])
    for name in only:
        if name not in names:
            raise SessionError(f"{folders[0]}: has no source {name!r}{nearest(name, names)}; it has {', '.join(names)}")
    chosen = [name for name in names if not only or name in only]
    for folder, each in zip(folders, stems):
        if missing := [name for name in chosen if name not in each]:
            raise SessionError(f"{folder}: has no stem of {missing[0]}; leave it out with --only, or separate it there")
    return chosen


def _whole(path: Path) -> Heard:
    recording = Recording.open([path], lossless=False)
    return Heard(recording, tuple(range(recording.n_mics)))


def _spot(take: Recording, stem: manifest.Stem, channels: int) -> Heard:
    mics = tuple(mic - 1 for mic in stem.mics[:channels])
    if len(mics) < channels or max(mics) >= take.n_mics:
        raise SessionError(
            f"{take.paths[0]}: has {take.n_mics} mics, and the stem of {stem.name} is of mic {max(stem.mics)}; give "
            "the take that the stems were made from"
        )
    return Heard(take, mics)


def _channels(given: Sequence[AnyPath], channels: Mapping[str, int]) -> dict[str, Heard]:
    """Return the true sound of every source: so many channels each, in the order of the sources."""
    recording = Recording.open(list(given), lossless=False)
    if recording.n_mics != sum(channels.values()):
        raise SessionError(
            f"{recording.paths[0]}: has {recording.n_mics} channels, the stems need {sum(channels.values())}; give a "
            "folder of files that are called as the sources, or channels in the manifest's order of sources"
        )
    found, first = {}, 0
    for name, width in channels.items():
        found[name] = Heard(recording, tuple(range(first, first + width)))
        first += width
    return found


def _named(folder: Path, name: str) -> Path:
    """Return the audio file in a folder that is called as a source."""
    files = list(_audio(folder))
    matching = [path for path in files if unicodedata.normalize("NFC", path.stem) == unicodedata.normalize("NFC", name)]
    if len(matching) != 1:
        what = "two files are called" if matching else "no audio file is called"
        raise SessionError(f"{folder}: {what} {name}; the true sound of every source must be a file with its name")
    return matching[0]


def _audio(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in sorted(folder.iterdir()) if path.suffix.casefold() in SUFFIXES)
    except OSError as error:
        raise SessionError(f"{folder}: cannot be read: {reason(error)}; give another --reference") from error


def _check_like(heard: Heard, true: Heard, name: str) -> None:
    if heard.like != true.like:
        has, wanted = (
            f"{samples} samples of {channels} channel{'s' * (channels > 1)} at {rate} Hz"
            for rate, samples, channels in (heard.like, true.like)
        )
        raise SessionError(
            f"{heard.path}: has {has}, but the reference of {name} has {wanted}; give stems and references of one take"
        )
