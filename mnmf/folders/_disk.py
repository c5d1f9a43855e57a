"""Which files a pattern or a folder means, by what lies on a disk.  Who calls says how to measure audio."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from mnmf.errors import MnmfError, SessionError
from mnmf.files import check_path, read_json
from mnmf.folders._names import natural
from mnmf.folders._takes import MAGIC, SEPARATE, Sound, check_whole, choice, takes

__all__ = ["MOST_FILES", "SESSION", "audio_in", "chosen", "is_pattern", "matches", "texts_in"]

AnyPath = str | os.PathLike[str]

SESSION = "session.toml"
SUFFIXES = (".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".aif", ".aiff", ".aifc", ".caf", ".au")
TEXTS = (".txt", ".csv", ".tsv", ".rpp")  # of files that may hold markers
# Of what lies beside audio under the same name, and so is given with it by a shell that expands a pattern.
BESIDE = (*TEXTS, ".pdf", ".jpg", ".jpeg", ".png", ".xml", ".json", ".md", ".reapeaks", ".asd", ".pkf", ".pek", ".sfk")
MOST_ENTRIES = 100_000  # of folders, that are looked at for one pattern
MOST_FILES = 4096
MOST_TEXTS, TEXT_BYTES = 20, 1_000_000  # that are worth a look, for a line that is only a hint
MOST_LOOKED = 100  # of what is in a folder without audio, that are looked into
FEW = 8  # folders that a message names

# What a run of ours calls what is left of a spot, of a microphone, and what a microphone heard of a source.
_RESIDUAL = re.compile(r"(.+)\.residual(\.[^.]+)")
_NOBODY = re.compile(r"nobody\.mic[0-9]+\.[^.]+")
_AT_MIC = re.compile(r".+\.mic[0-9]+\.[^.]+")


def chosen(
    given: Sequence[AnyPath],
    measure: Callable[[Path], Sound],
    leaving: Collection[Path] = (),
    proposed: str = SEPARATE,
) -> list[Path]:
    """Return the files that are meant by names of files, patterns and folders.

    What is no audio by its name is left out, unless nothing else is given; so are stems of ours among what they are of.

    Parameters
    ----------
    given : sequence of paths
        Files stay in their order; those of a pattern or a folder are in that of their names, with 2 before 10.
    measure : callable
        Returns what the header of a file says.
    leaving : files, optional
        What belongs to another take, and in a folder is left out.
    proposed : str
        How to say which of several takes is meant, with ``{}`` for its files.

    Raises
    ------
    SessionError
        A pattern matches nothing, or a folder holds no audio, or several takes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound, chosen
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("T03_Vln.WAV", "T03_Vc.WAV", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in chosen([folder], lambda path: Sound(path, 10, 1))]
    ['T03_Vc.WAV', 'T03_Vln.WAV']
    """
    paths: list[Path] = []
    for each in given:
        path = check_path(each, "an audio file")
        if os.path.isdir(path):
            paths += _only_take(path, measure, leaving, proposed)
        elif is_pattern(path):
            paths += _audible(path, matches(path))
        else:
            paths.append(path)
    written = _written_among(paths)
    audible = [path for path in paths if path.suffix.lower() not in BESIDE and path.absolute() not in written]
    return audible or paths


def _only_take(folder: Path, measure: Callable[[Path], Sound], leaving: Collection[Path], proposed: str) -> list[Path]:
    listed = audio_in(folder)
    others = {path.absolute() for path in leaving}
    mine = [path for path in listed if path.absolute() not in others]
    if not mine:
        names, inner = names_in(folder), _with_audio(folder)
        stems = _stems_in(folder, names) & names
        kept = "only the solo take" if listed else "only stems of an earlier run" if stems else "no audio"
        within = f", but its folders do: {', '.join(inner)}" if inner else ""
        raise SessionError(
            f"{folder}: holds {kept}{within}; give a folder with WAV, FLAC, AIFF, CAF, W64 or RF64 files"
        )
    if len(mine) == 1:
        return mine
    sounds = [measure(path) for path in mine]
    check_whole(sounds)
    found = takes(sounds, names_in(folder) - {path.name for path in mine})
    if len(found) > 1:
        raise choice(found, folder, proposed)
    return found[0].paths


def _with_audio(folder: Path) -> list[str]:
    """Return the first folders in a folder that hold audio."""
    found = []
    with suppress(SessionError):
        for name in sorted(names_in(folder), key=natural)[:MOST_LOOKED]:
            if os.path.isdir(folder / name) and audio_in(folder / name):
                found.append(name)
    return found[:FEW]


def _audible(pattern: Path, paths: Sequence[Path]) -> list[Path]:
    kept = [path for path in paths if path.suffix.lower() in SUFFIXES and not os.path.isdir(path)]
    if not kept:
        raise SessionError(f"{pattern}: matches {'no audio' if paths else 'nothing'}; check the path")
    return kept


def audio_in(folder: Path) -> list[Path]:
    """Return the audio files in a folder by their names, with 2 before 10.

    Hidden files are left out, as macOS puts one beside every file of other disks, and so are stems of ours.

    Raises
    ------
    SessionError
        The folder cannot be read, or has more than 4,096 of them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import audio_in
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("mic10.wav", "mic2.wav", "._mic2.wav", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in audio_in(Path(folder))]
    ['mic2.wav', 'mic10.wav']
    """
    names = names_in(folder)
    stems = _stems_in(folder, names)
    found = [folder / name for name in names if Path(name).suffix.lower() in SUFFIXES and name not in stems]
    found = [path for path in found if os.path.isfile(path)]
    if len(found) > MOST_FILES:
        raise SessionError(f"{folder}: has more than {MOST_FILES} audio files; give those of the take")
    return sorted(found, key=lambda path: natural(path.name))


def texts_in(folder: Path) -> list[Path]:
    """Return the text files in a folder that may hold markers, by their names; at most 20, and none that is large.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import texts_in
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("T02.txt", "T02.WAV"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in texts_in(Path(folder))]
    ['T02.txt']
    """
    with suppress(SessionError):
        named = sorted((n for n in names_in(folder) if Path(n).suffix.lower() in TEXTS), key=natural)
        small = (folder / name for name in named if _size(folder / name) <= TEXT_BYTES)
        return [path for _, path in zip(range(MOST_TEXTS), small)]
    return []


def names_in(folder: Path) -> set[str]:
    """Return what is in a folder and not hidden.

    Raises
    ------
    SessionError
        It cannot be read, or holds more than 100,000 files.
    """
    found: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    found.add(entry.name)
                if len(found) > MOST_ENTRIES:
                    raise SessionError(f"{folder}: holds more than {MOST_ENTRIES} files; give those of the take")
    except (OSError, ValueError) as error:
        if isinstance(error, MnmfError):
            raise
        why = getattr(error, "strerror", None) or str(error)
        raise SessionError(f"{folder}: cannot be read: {why}; check the path") from error
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if os.path.isfile(path) else TEXT_BYTES + 1
    except OSError:
        return TEXT_BYTES + 1


def _stems_in(folder: Path, names: Collection[str]) -> set[str]:
    """Return the files in a folder that a run of ours wrote, as its manifest says, or their names."""
    return _of_manifest(folder)[0] | _by_their_names(names)


def _by_their_names(names: Collection[str]) -> set[str]:
    """Return residuals and what belongs to nobody by their names, and the stems that these are of."""
    found: set[str] = set()
    residuals = [each for each in map(_RESIDUAL.fullmatch, names) if each]
    for each in residuals:
        found |= {each[0], each[1] + each[2]}
    if any(map(_NOBODY.fullmatch, names)):
        found |= {name for name in names if _AT_MIC.fullmatch(name)}
    return found & set(names)


def _of_manifest(folder: Path) -> tuple[set[str], set[Path]]:
    """Return the files that a manifest in a folder names as results, and those that it names as read."""
    found: set[str] = set()
    read: set[Path] = set()
    manifest = folder / "manifest.json"
    if not os.path.isfile(manifest):
        return found, read
    with suppress(MnmfError):
        waiting = [read_json(manifest, SessionError, "")]
        take = waiting[0].get("take") if isinstance(waiting[0], dict) else None
        with suppress(ValueError):  # no path at all
            named = take if isinstance(take, list) else []
            read = {_absolute(folder / name) for name in named if isinstance(name, str)}
        while waiting:
            each = waiting.pop()
            inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            waiting += [value for value in inner if isinstance(value, dict | list)]
            if isinstance(each, dict):
                found |= {name for key in ("file", "residual") if isinstance(name := each.get(key), str)}
    return found, read


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _written_among(paths: Sequence[Path]) -> set[Path]:
    """Return which of some files a run of ours wrote, where what it read is among them, or a residual of theirs is."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    given, found = {_absolute(path) for path in paths}, set()
    for folder, here in names.items():
        stems, read = _of_manifest(folder)
        written = _by_their_names(here) | (stems & here if read & given else set())
        found |= {(folder / name).absolute() for name in written if _absolute(folder / name) not in read}
    return found


def is_pattern(path: AnyPath) -> bool:
    """Return whether a path is no file but may match some: it holds ``*``, ``?`` or ``[``.

    Examples
    --------
    >>> from mnmf.folders import is_pattern
    >>> is_pattern("take/T03_*.WAV"), is_pattern("take/T03_Vln1.WAV")
    (True, False)
    """
    return bool(MAGIC.search(os.fspath(path))) and not os.path.lexists(path)


def matches(pattern: Path) -> list[Path]:
    """Return what a pattern matches, sorted with 2 before 10; capitals matter only if something matches with them.

    ``*``, ``?`` and ``[…]`` stand for letters within one name, as in a shell; hidden files are matched by a dot only.

    Raises
    ------
    SessionError
        A folder on the way cannot be read, or the pattern is so wide that more than 100,000 names have to be looked at.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import matches
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("T03_10.WAV", "T03_2.WAV", "T02_2.WAV", "._T03_2.WAV"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in matches(Path(folder, "t03_*"))]
    ['T03_2.WAV', 'T03_10.WAV']
    """
    found = _matching(pattern, str) or _matching(pattern, str.casefold)
    return sorted(found, key=lambda path: [natural(part) for part in path.parts])


def _matching(pattern: Path, fold: Callable[[str], str]) -> list[Path]:
    parts = list(pattern.parts)
    places = [Path(parts.pop(0))] if pattern.anchor else [Path()]
    seen = 0
    for part in parts:
        following: list[Path] = []
        for place in places:
            if not MAGIC.search(part) or os.path.lexists(place / part):
                following.append(place / part)
                continue
            if not os.path.isdir(place):
                continue
            names = names_in(place)
            seen += len(names)
            if seen > MOST_ENTRIES:
                raise SessionError(f"{pattern}: would match among more than {MOST_ENTRIES} files; be more precise")
            following += [place / name for name in names if fnmatchcase(fold(name), fold(part))]
        places = following
    return [place for place in places if os.path.lexists(place)]
