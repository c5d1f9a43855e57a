"""Folders: what is in them, and how to say so in a message."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from mnmf.errors import SessionError

DEPTH = 2  # a piece lies at most so many folders below the given one
SHOWN = 5  # names or problems that a message spells out

Found = TypeVar("Found")


def check_folder(folder: Path) -> None:
    """Raise `SessionError` unless there is such a folder."""
    if folder.is_file():
        raise SessionError(f"{folder}: expected a folder, found a file; unpack it if it is an archive")
    if not folder.is_dir():
        raise SessionError(f"{folder}: no such folder; check the path")


def walk(root: Path, look: Callable[[Path], Found | None]) -> Iterator[tuple[Path, Found]]:
    """Yield `root` and the folders below it in which `look` finds something; it looks no further below those."""
    level = [root]
    for _ in range(DEPTH + 1):
        below = []
        for folder in level:
            found = look(folder)
            if found is None:
                below += [path for path in entries(folder) if os.path.isdir(path)]
            else:
                yield folder, found
        level = below


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder except hidden entries, with 2 before 10; nothing if it cannot be read."""
    try:
        visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
    return sorted(visible, key=lambda path: [int(s) if s.isdecimal() else s for s in re.split(r"(\d+)", path.name)])


def audio_files(folder: Path) -> dict[str, Path]:
    """Return the audio files in a folder by their names without extension."""
    return {path.stem: path for path in entries(folder) if path.suffix.lower() in (".wav", ".flac")}


def name_of(folder: Path) -> str:
    """Return the name of a folder, also of the current one."""
    return folder.name or folder.resolve().name


def contents(folder: Path) -> str:
    """Say what is in a folder."""
    found = entries(folder)
    folders = [f"{path.name}/" for path in found if os.path.isdir(path)]
    files = [path.name for path in found if not os.path.isdir(path)]
    return "; ".join(listed(names) for names in (folders, files) if names) or "nothing"


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Join the first few texts, and count the rest."""
    rest = len(texts) - SHOWN
    return separator.join(texts[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
