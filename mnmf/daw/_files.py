"""The formats of projects: what their files are called, whether they can hold a take, and writing one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mnmf.audio import Recording
from mnmf.daw import _dawproject, _reaper
from mnmf.daw._project import Project
from mnmf.errors import ArgumentError, MnmfError, OutputError, check_choice
from mnmf.files import check_path, reason

__all__ = ["FORMATS", "check_project", "write_project"]

FORMATS = {"reaper": "stems.RPP", "dawproject": "stems.dawproject"}  # and the file that each has beside the stems
_WRITERS = {"reaper": _reaper, "dawproject": _dawproject}


def check_project(format: str, take: Recording, files: Iterable[str], near: str | os.PathLike[str]) -> None:
    """Refuse a take that a project could not name, before any work is done for it.

    Parameters
    ----------
    format : str
        One of `FORMATS`.
    take : Recording
    files : names of files
        The stems that will be in `near`.
    near : path
        Where the project will be.

    Raises
    ------
    ArgumentError
        There is no such format, or it has no way to spell the name of a file or to choose a channel of it.

    Examples
    --------
    >>> import tempfile
    >>> from mnmf import audio
    >>> from mnmf.daw import check_project
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = audio.write(f"{folder}/take.wav", [0.0, 0.5], 8000)
    ...     check_project("reaper", audio.Recording.open(f"{folder}/take.wav"), ["violin.wav"], folder)
    """
    writer = _WRITERS[check_choice("format", format, tuple(FORMATS))]
    home = Path(near)
    paths = [str(home.absolute() / name) for name in files]
    for path in take.paths:
        paths.append(str(path.absolute()))
        try:
            paths.append(os.path.relpath(path, home))
        except ValueError:  # another drive
            continue
    for shown in paths:
        if problem := writer.unfit(shown):
            raise ArgumentError(f"{shown}: {problem}; rename it or leave --{format} out")
    for mic in take.mics:
        if mic.channel >= writer.CHANNELS:
            raise ArgumentError(
                f"{mic.path} has more than {writer.CHANNELS} channels, of which a project cannot choose one; "
                f"export one file a mic or leave --{format} out"
            )


def write_project(path: str | os.PathLike[str], project: Project, format: str, *, embed: bool = False) -> None:
    """Write a project.

    Parameters
    ----------
    path : path
        Where to write; what is there is replaced.
    project : Project
    format : str
        One of `FORMATS`; for 'dawproject' lay it out without `channels`.
    embed : bool
        Put the files themselves into the project, which 'dawproject' can do.

    Raises
    ------
    ArgumentError
        There is no such format, it cannot embed, or has no way to spell the name of a file or to play one channel.
    AudioFileError
        A file that is to be embedded cannot be read.
    OutputError
        The project cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.daw import Item, Project, Track, write_project
    >>> item = Item("violin", "violin.wav", Path("stems/violin.wav"), 0, 0, 96000, 96000, muted=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_project(Path(folder, "stems.RPP"), Project("stems", 48000, (Track("violin stem", item),)), "reaper")
    ...     lines = Path(folder, "stems.RPP").read_text().splitlines()
    >>> [line.strip() for line in lines if "LENGTH" in line or "MUTE " in line]
    ['LENGTH 2', 'MUTE 1 0']
    """
    target, writer = check_path(path), _WRITERS[check_choice("format", format, tuple(FORMATS))]
    if embed and writer is not _dawproject:
        raise ArgumentError(f"a project of {format} refers to its files and cannot hold them; leave --embed out")
    for track in project.tracks:
        if problem := writer.unfit(track.item.file):
            raise ArgumentError(f"{track.item.file}: {problem}; rename it or leave --{format} out")
        if track.item.channel is not None and writer is _dawproject:
            raise ArgumentError(f"a {format} plays whole files; read the project with channels=False")
    try:
        if writer is _reaper:
            target.write_text(_reaper.text(project), encoding="utf-8", newline="\n")
        else:
            _dawproject.write(target, project, embed)
    except OSError as error:
        if isinstance(error, MnmfError):
            raise
        raise OutputError(f"{target} cannot be written: {reason(error)}; free space or choose another place") from error
