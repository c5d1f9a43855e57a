"""Tracks and items as values, and how they follow from a manifest: which file plays when, how loud, and if at all."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mnmf import manifest
from mnmf.audio import Mic, Recording
from mnmf.errors import MOST, ArgumentError, SessionError
from mnmf.files import check_path
from mnmf.manifest import Stem

__all__ = ["Item", "Project", "Track", "dial", "read_project"]


@dataclass(frozen=True)
class Item:
    """A stretch of a file on the timeline.

    Attributes
    ----------
    name : str
        What is shown.
    file : str
        The file as the project names it: with forward slashes, relative to the folder of the project where it can be.
    path : Path
        Where the file lies now.
    position : int
        When it begins on the timeline, in samples.
    offset : int
        The sample of the file with which it begins.
    n_samples : int
        How many samples it plays.
    n_in_file : int
        How many the file has.
    gain : float
        1 leaves the level as it is; at least 0.
    muted : bool
    format : str
        The container, as soundfile names it.
    channel : int or None
        The one channel of the file that it plays, from 0 on; None for all of them.
    n_channels : int
        Of the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.daw import Item
    >>> Item("violin", "violin.wav", Path("stems/violin.wav"), 0, 0, 48000, 48000).muted
    False
    """

    name: str
    file: str
    path: Path
    position: int
    offset: int
    n_samples: int
    n_in_file: int
    gain: float = 1.0
    muted: bool = False
    format: str = "WAV"
    channel: int | None = None
    n_channels: int = 1


@dataclass(frozen=True)
class Track:
    """One item under a name.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.daw import Item, Track
    >>> Track("violin", Item("violin", "violin.wav", Path("stems/violin.wav"), 0, 0, 48000, 48000)).name
    'violin'
    """

    name: str
    item: Item


@dataclass(frozen=True)
class Project:
    """Tracks from top to bottom.

    Attributes
    ----------
    title : str
    sample_rate : int
        In hertz, of all files; positions and lengths are in its samples.
    tracks : tuple of Track
    remarks : tuple of str
        What could not be laid out as it was asked for, a line each.

    Examples
    --------
    >>> from mnmf.daw import Project
    >>> Project("stems", 48000, ()).remarks
    ()
    """

    title: str
    sample_rate: int
    tracks: tuple[Track, ...]
    remarks: tuple[str, ...] = ()


def dial(reduction: float, written: float | None = None) -> float:
    """Return how much of what a stem lacks is added to it again, so that bleed is turned down by so much.

    With x the spot, s the stem as its file is, and a the result, s + a (x − s) is the spot with its bleed `reduction`
    decibels lower: the stem at 1 and the residual, which is x − s, at a; or the stem at 1 − a and the spot at a.  For a
    stem without bleed a is 10^(−reduction/20).

    Parameters
    ----------
    reduction : float
        In dB, of at least 0; infinity for the stem as it is.
    written : float, optional
        By how many dB bleed is turned down in the stem's file; removed if not given.

    Raises
    ------
    ArgumentError
        `reduction` is more than the file has.

    Examples
    --------
    >>> from mnmf.daw import dial
    >>> round(dial(20.0), 6)
    0.1
    >>> dial(10.0, written=10.0), dial(0.0, written=10.0)
    (0.0, 1.0)
    """
    left, held = (0.0 if value is None else 10.0 ** (-value / 20) for value in (reduction, written))
    if reduction == float("inf") or left == held:
        return 0.0
    if left < held:
        raise ArgumentError(
            f"bleed is {written:g} dB down in the file of this stem, so that {reduction:g} dB cannot be set; "
            "separate without --reduction for more"
        )
    return (left - held) / (1.0 - held)


def read_project(
    folder: str | os.PathLike[str],
    reduction: Mapping[str, float] | None = None,
    *,
    channels: bool = True,
    near: str | os.PathLike[str] | None = None,
    take: Recording | None = None,
) -> Project:
    """Lay out what ``mnmf separate`` wrote: originals that play, and under each its stems, muted.

    A stem of two channels lies under its stereo original.  Where its microphones are in other files, or among more
    channels, each channel lies under its own or, where only whole files can be played, the stem under the last of them.

    Where a reduction is known there is a third track, muted as well: the residual or, where that was not written, the
    spot once more.  With the original muted and those two not, the bleed is that much lower.  Where none is known, a
    residual stands at full level.

    Parameters
    ----------
    folder : path
        With the stems and their manifest.
    reduction : mapping of source to dB, optional
        By how much bleed is turned down, in place of what the manifest says; infinity for not to know.
    channels : bool
        Whether the workstation can play one channel of a file.  If not, a file of several is one track.
    near : path, optional
        Where the folder will be, if not there; paths of the take are relative to it.
    take : Recording, optional
        The whole take, if it is open; else it is found by the manifest.

    Raises
    ------
    SessionError
        There is no manifest, or it does not fit the take.
    AudioFileError
        A file is missing or is another one.
    ArgumentError
        A reduction cannot be set, or is of a source that is not there.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from mnmf import audio
    >>> from mnmf.daw import read_project
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("take.wav", "violin.wav"):
    ...         _ = audio.write(Path(folder, name), [0.5, 0.25], 8000)
    ...     sources = [{"name": "violin", "file": "violin.wav", "mics": [1]}]
    ...     facts = {"sources": sources, "take": ["take.wav"], "sample_rate": 8000, "samples": 2}
    ...     _ = Path(folder, "manifest.json").write_text(json.dumps(facts))
    ...     project = read_project(folder, {"violin": 20.0})
    >>> for track in project.tracks:
    ...     print(track.name, track.item.file, round(track.item.gain, 3), "muted" if track.item.muted else "plays")
    violin take.wav 1.0 plays
    violin stem violin.wav 0.9 muted
    violin spot take.wav 0.1 muted
    """
    folder = check_path(folder, "folder")
    home = folder if near is None else check_path(near, "near")
    facts, stems = _Facts.of(folder), manifest.read_stems(folder)
    dials = _dials(stems, reduction or {})
    if take is None:
        take = Recording.open([home / name for name in facts.take], starts=facts.starts)
    end = facts.first + facts.n_samples
    if take.sample_rate != facts.sample_rate or end > take.n_samples or _last_mic(stems) > take.n_mics:
        raise SessionError(f"{take.paths[0]} is not the take that {folder / manifest.MANIFEST} is of; separate it anew")
    layout = _Layout(take, dict(zip(take.paths, take.starts)), home, facts, folder, channels)
    remarks: list[str] = []
    tracks = tuple(layout.tracks(stems, dials, remarks))
    title = home.name or home.absolute().name or "stems"
    return Project(title, take.sample_rate, tracks, tuple(remarks))


@dataclass(frozen=True)
class _Facts:
    """What a manifest says of the take, and of the part of it that the stems are of."""

    take: list[str]
    sample_rate: int
    first: int
    n_samples: int
    starts: list[int] | None

    @classmethod
    def of(cls, folder: Path) -> _Facts:
        record = manifest.read(folder)
        take, first = record.get("take"), record.get("first_sample", 0)
        numbers = [record.get("sample_rate"), first, record.get("samples")]
        texts = isinstance(take, list) and take and all(isinstance(name, str) and name for name in take)
        counts = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MOST for n in numbers)
        if not (texts and counts and numbers[0] and numbers[2]):
            raise SessionError(
                f"{folder / manifest.MANIFEST}: does not say where in which take its stems belong; "
                "separate the take anew"
            )
        starts = manifest.read_starts(record, len(record["take"]))
        return cls(list(record["take"]), record["sample_rate"], first, record["samples"], starts)


@dataclass(frozen=True)
class _Laid:
    """A stem that lies under an original, or one channel of it, and what it is called there."""

    stem: Stem
    label: str
    channel: int | None = None


@dataclass(frozen=True)
class _Layout:
    """What all tracks are made from."""

    take: Recording
    positions: dict[Path, int]
    home: Path
    facts: _Facts
    folder: Path
    channels: bool

    def tracks(self, stems: list[Stem], dials: Mapping[str, float | None], remarks: list[str]) -> Iterator[Track]:
        """Yield an original, its stems and what belongs to them, and so on; then the other microphones."""
        places = self._places(stems)
        groups: dict[Hashable, list[_Laid]] = {}
        names: dict[Hashable, list[str]] = {}
        mics: dict[Hashable, int] = {}
        for stem in stems:
            mine = dict.fromkeys(places[m - 1] for m in stem.heard_at)
            for i, m in enumerate(stem.heard_at):
                place = places[m - 1]
                mics.setdefault(place, m - 1)
                label = f"{stem.name} {i + 1}" if len(mine) > 1 else stem.name
                if label not in names.setdefault(place, []):
                    names[place].append(label)
                if self.channels and len(mine) > 1:
                    groups.setdefault(place, []).append(_Laid(stem, label, i))
            if not (self.channels and len(mine) > 1):
                groups.setdefault(list(mine)[-1], []).append(_Laid(stem, stem.name))
        for m, place in enumerate(places):
            mics.setdefault(place, m)
        for place, m in mics.items():
            first, whole = self.take.mics[m], isinstance(place, Path)
            its = ", ".join(names.get(place, [])) or (f"mic {first.name}" if first.name.isdigit() else first.name)
            yield Track(first.path.stem if whole and not self.channels else its, self._original(first, whole))
            for laid in groups.get(place, []):
                yield from self._under(laid, places, dials[laid.stem.name], remarks)

    def _places(self, stems: list[Stem]) -> list[Hashable]:
        """Return for every microphone what its original is: its file if that is played as a whole, else itself."""
        pairs = [[m - 1 for m in stem.heard_at] for stem in stems if stem.channels == 2]
        whole = {self.take.mics[own[0]].path for own in pairs if self.take.is_whole_file(own)}
        return [mic.path if mic.path in whole or not self._single(mic) else m for m, mic in enumerate(self.take.mics)]

    def _under(self, laid: _Laid, places: list[Hashable], left: float | None, remarks: list[str]) -> Iterator[Track]:
        stem, name = laid.stem, laid.label
        own = [m - 1 for m in stem.heard_at] if laid.channel is None else [stem.heard_at[laid.channel] - 1]
        item, mic = self._written(stem.file, laid), self.take.mics[own[0]]
        whole = isinstance(places[own[0]], Path)
        if stem.residual is not None:
            yield Track(f"{name} stem", item)
            gain = 1.0 if left is None else left
            yield Track(f"{name} residual", replace(self._written(stem.residual, laid), gain=gain))
        elif not left:
            yield Track(f"{name} stem", item)
        elif (whole or len(own) > 1) and not self.take.is_whole_file(own):
            yield Track(f"{name} stem", item)
            paths = {self.take.mics[m].path for m in own}
            channel = f"no single channel of {mic.path.name} can be played"
            why = channel if len(paths) == 1 else "its mics are not in one file"
            remarks.append(
                f"{name}: {why}, so that bleed can be turned down beside a residual only; separate with --residual"
            )
        else:
            yield Track(f"{name} stem", replace(item, gain=1.0 - left))
            offset, n_samples = self._part(own)
            again = replace(self._original(mic, whole), offset=offset, n_samples=n_samples)
            again = replace(again, position=self.positions[mic.path] + offset, gain=left, muted=True)
            yield Track(f"{name} spot", again)

    def _single(self, mic: Mic) -> bool:
        """Return whether the workstation can play this microphone by itself."""
        return self.channels or self._n_channels(mic) == 1

    def _n_channels(self, mic: Mic) -> int:
        return sum(other.path == mic.path for other in self.take.mics)

    def _part(self, mics: list[int]) -> tuple[int, int]:
        """Return the first sample of the file of some microphones that their stem has, and how many it has."""
        part = self.take.part(self.facts.first, self.facts.first + self.facts.n_samples)
        return part.covered(mics)

    def _original(self, mic: Mic, whole: bool) -> Item:
        count, n_in_file = self._n_channels(mic), self.take.sound(self.take.mics.index(mic)).frames
        return Item(
            name=mic.path.name,
            file=_shown(mic.path, self.home),
            path=mic.path,
            position=self.positions[mic.path],
            offset=0,
            n_samples=n_in_file,
            n_in_file=n_in_file,
            format=mic.format,
            channel=mic.channel if count > 1 and not whole else None,
            n_channels=count,
        )

    def _written(self, file: str, laid: _Laid) -> Item:
        """Return the item of a stem or a residual, which begins where its part of the take does."""
        path, mics = self.folder / file, [m - 1 for m in laid.stem.heard_at]
        found, (first, n_samples) = Recording.open(path), self._part(mics)
        if (found.n_mics, found.n_samples, found.sample_rate) != (len(mics), n_samples, self.facts.sample_rate):
            raise SessionError(f"{path} is not what its manifest is of; separate the take anew")
        return Item(
            name=file,
            file=file,
            path=path,
            position=self.positions[self.take.mics[self.take.pattern(mics)].path] + first,
            offset=0,
            n_samples=n_samples,
            n_in_file=n_samples,
            muted=True,
            format=found.mics[0].format,
            channel=laid.channel,
            n_channels=len(mics),
        )


def _last_mic(stems: list[Stem]) -> int:
    return max(max(stem.heard_at) for stem in stems)


def _dials(stems: list[Stem], asked: Mapping[str, float]) -> dict[str, float | None]:
    """Return how much of what each stem lacks is added to it again, or None where nothing is said."""
    found: dict[str, float | None] = {}
    known = {stem.name for stem in stems}
    if strangers := [name for name in asked if name not in known]:
        raise ArgumentError(f"reduction of {strangers[0]!r}: there is no such stem, only {', '.join(sorted(known))}")
    for stem in stems:
        reduction: Any = asked.get(stem.name, stem.dial)
        if reduction is None or reduction == float("inf"):
            found[stem.name] = None
        elif isinstance(stem.reduction, Mapping):
            raise ArgumentError(
                f"{stem.name}: bleed is turned down in its file by whose it is, so that one reduction cannot be set"
            )
        else:
            try:
                found[stem.name] = dial(reduction, stem.reduction)
            except ArgumentError as error:
                raise ArgumentError(f"{stem.name}: {error}") from error
    return found


def _shown(path: Path, home: Path) -> str:
    """Return the path of a file as a project in `home` names it: relative if that leads to it, else absolute."""
    try:
        relative = Path(os.path.relpath(path, home)).as_posix()
        if os.path.samefile(home / relative, path):
            return relative
    except (OSError, ValueError):  # another drive, or a folder that is not there
        pass
    return path.absolute().as_posix()
