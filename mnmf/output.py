"""Folders of results: all files appear or none, nothing is overwritten unless asked for, and names are safe as files.

What is in the files does not live here.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from mnmf.errors import ArgumentError, MnmfError, OutputError, SessionError
from mnmf.files import PARTIAL, reason

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "LOCKS",
    "OutputFolder",
    "abandon",
    "as_file_name",
    "check_file_name",
    "check_file_names",
    "is_abandoned",
    "lock_folder",
    "same_file",
    "take_over",
]

AnyPath = str | os.PathLike[str]

LOCKS = fcntl is not None  # whether there are any here
_LOCK = "lock"  # a file in each staging folder, locked by its owner as long as that lives
_NEW = "new"  # in a staging folder, the files that are to be placed
_SCRATCH = "scratch"  # in a staging folder, what is needed only meanwhile
_FORMER = "old"  # in a staging folder, the files that are being replaced
_ABANDONED = 7 * 86400.0  # seconds after which a staging folder that is not locked has no owner
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)  # errors that name no file
LONGEST_NAME = 200  # bytes
FORBIDDEN = frozenset('/\\:*?"<>|')  # in names of files, on some systems
_RESERVED = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}


class OutputFolder:
    """A folder of results that appear all together or not at all.

    Files are written to a hidden staging folder and moved to their places by `publish`.  If the ``with`` block ends
    without it, for whatever reason, the staging folder and every folder made here are removed; if the program is
    killed, so that nothing can be removed, the next one that enters the same folder does it, and puts back what was
    being replaced.

    The last file vouches for the others, so while those are being replaced there is none: a program that is killed then
    leaves no old one beside new files.

    Parameters
    ----------
    directory : path
        Where the results go; made if missing.
    filenames : sequence of str
        Every file that will be written, in the order of publication: last the one whose presence means that the others
        are complete.  They may be in sub-folders, as in 'stems/violin.flac'.
    inputs : sequence of paths
        Files that must not be replaced, under any name or through any link.
    overwrite : bool
        Replace existing files; they stay untouched until `publish`.

    Raises
    ------
    OutputError
        On entering: a file exists, is an input, or the folder cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     with OutputFolder(Path(parent) / "stems", ["violin.wav", "manifest.json"]) as folder:
    ...         _ = folder.path("violin.wav").write_text("sound")
    ...         _ = folder.path("manifest.json").write_text("{}")
    ...         folder.publish()
    ...     sorted(path.name for path in (Path(parent) / "stems").iterdir())
    ['manifest.json', 'violin.wav']
    """

    def __init__(
        self,
        directory: AnyPath,
        filenames: Sequence[str],
        inputs: Iterable[AnyPath] = (),
        overwrite: bool = False,
    ) -> None:
        self.directory = Path(directory)
        self.filenames = tuple(filenames)
        self.overwrite = overwrite
        self._inputs = tuple(Path(path) for path in inputs)
        self._created: list[Path] = []
        # What is replaced: target, where its former file is kept, whether there was one, and what comes in its place.
        self._moved: list[tuple[Path, Path, bool, Path]] = []
        self._staging: Path | None = None
        self._lock: int | None = None
        self._published = False
        for name in self.filenames:
            parts = Path(name).parts
            if not parts or Path(name).is_absolute() or ".." in parts:
                raise ArgumentError(f"filenames: {name!r} must be a file inside the folder")
        if clash := _first_alike(self.filenames):
            raise ArgumentError(f"filenames: {clash[0]!r} and {clash[1]!r} would be one file; rename one")

    def __enter__(self) -> Self:
        try:
            _recover(self.directory)
            self._check_targets()
            _OPEN.add(self)
            self._make(self.directory)
            # Known before it is there, so that an interrupt at any line leaves none behind.
            self._staging = self.directory / f"{PARTIAL}{secrets.token_hex(8)}"
            self._staging.mkdir(0o700)
            self._lock = lock_folder(self._staging)
            for name in self.filenames:
                self.path(name).parent.mkdir(parents=True, exist_ok=True)
            return self
        except BaseException as error:
            self._clean()
            if isinstance(error, OSError) and not isinstance(error, OutputError):
                message = f"{self.directory} cannot be written: {reason(error)}; choose another --out"
                raise OutputError(message) from error
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        staged = str(self._staging / _NEW) if self._staging is not None else "\0"
        self._clean()
        # Named by the place where the user expects the file, instead of the one where it was being written.
        if isinstance(error, OutputError) and staged in str(error):
            raise OutputError(str(error).replace(staged, str(self.directory))) from error
        if isinstance(error, OSError) and not isinstance(error, MnmfError):
            place = str(error.filename or "")
            if place.startswith(staged) or (not place and error.errno in _OF_DISKS):
                place = place.replace(staged, str(self.directory)) or str(self.directory)
                message = f"{place} cannot be written: {reason(error)}; free space or choose another --out"
                raise OutputError(message) from error

    def path(self, name: str) -> Path:
        """Return where to write the declared file `name` until it is published."""
        if name not in self.filenames:
            raise ArgumentError(f"{name!r} was not declared; add it to filenames of OutputFolder")
        return self._entered() / _NEW / name

    def scratch(self) -> Path:
        """Return a folder for what is needed only while this one is open; it goes with whatever is in it."""
        place = self._entered() / _SCRATCH
        place.mkdir(exist_ok=True)
        return place

    @property
    def published(self) -> bool:
        """Whether every file is in its place."""
        return self._published

    def publish(self) -> None:
        """Move every file to its place, in the order declared; if one cannot be moved, none is.

        Raises
        ------
        OutputError
            A declared file was not written, or cannot be moved.
        """
        staged = {name: self.path(name) for name in self.filenames}
        for name, path in staged.items():
            if not self._entered().is_dir():
                raise OutputError(f"{self.directory} has been removed meanwhile; nothing was published, start again")
            if not path.is_file():
                raise OutputError(f"{self.directory / name} was declared but not written; nothing was published")
        target = self.directory
        try:
            target = self.directory / self.filenames[-1]
            self._set_aside(self.filenames[-1])
            for name, path in staged.items():
                target = self.directory / name
                self._make(target.parent)
                if name != self.filenames[-1]:
                    self._set_aside(name)
                elif os.path.lexists(target):
                    raise FileExistsError("it has appeared meanwhile")
                os.replace(path, target)
            self._published = True
        except BaseException as error:
            outcome = self._undo()
            if isinstance(error, OSError):
                raise OutputError(f"{target} cannot be put in place: {reason(error)}; {outcome}") from error
            raise
        PUBLISHED.append(self.directory)

    def _set_aside(self, name: str) -> None:
        """Make room for a file, if one is there that may be replaced."""
        target, backup = self.directory / name, self._entered() / _FORMER / name
        existed = os.path.lexists(target)
        if existed and not self.overwrite:
            raise FileExistsError("it has appeared meanwhile")
        backup.parent.mkdir(parents=True, exist_ok=True)
        # Recorded before anything is moved, so that an interrupt at any line can be undone.
        self._moved.append((target, backup, existed, self.path(name)))
        if existed:
            os.replace(target, backup)

    def _undo(self) -> str:
        """Put the former files back, and return how that went, as the end of a message."""
        kept = None
        for target, backup, existed, new in reversed(self._moved):
            try:
                if os.path.lexists(backup):
                    os.replace(backup, target)
                elif not existed and not os.path.lexists(new):  # else what is there is not ours
                    target.unlink(missing_ok=True)
            except OSError:
                if os.path.lexists(backup):
                    kept, self._staging = self._staging or kept, None  # it has the only copy, so it must not go
        self._moved.clear()
        return f"the former files are in {kept}" if kept else "nothing was changed, choose another --out"

    def _entered(self) -> Path:
        if self._staging is None:
            raise ArgumentError("OutputFolder must be entered with a with statement before it is used")
        return self._staging

    def _check_targets(self) -> None:
        for name in self.filenames:
            target = self.directory / name
            if clash := same_file(target, self._inputs):
                raise OutputError(f"{target} is the input {clash}; choose another --out")
            if target.is_dir():
                raise OutputError(f"{target} is a folder; remove it or choose another --out")
            if os.path.lexists(target) and not self.overwrite:
                raise OutputError(f"{target} exists already; add --overwrite or choose another --out")
        if self.directory.exists() and not self.directory.is_dir():
            raise OutputError(f"{self.directory} is a file, not a folder; choose another --out")

    def _make(self, folder: Path) -> None:
        """Make `folder` and its parents, and record which of them did not exist."""
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            self._created.append(folder)  # before it is made, so that an interrupt between the two leaves nothing
            try:
                folder.mkdir()
            except OSError:
                self._created.pop()  # somebody else has made it, or nobody
                raise

    def _clean(self) -> None:
        """Leave nothing but what was published; if this is interrupted, it can be called again."""
        if not self._published:
            self._undo()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)
        deadline = time.monotonic() + 1.0
        while self._staging is not None and self._staging.exists():
            shutil.rmtree(self._staging, ignore_errors=True)
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)  # a thread may still be writing its last block there
        self._staging = None
        if not self._published:
            for folder in reversed(self._created):
                with suppress(OSError):
                    folder.rmdir()
        _OPEN.discard(self)


def lock_folder(staging: Path) -> int:
    """Return the lock of a folder, which the system releases when this program ends, however it does.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = lock_folder(Path(folder))
    ...     print(is_abandoned(Path(folder)))
    ...     os.close(lock)
    False
    """
    lock = os.open(staging / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if _lock(lock):
        os.write(lock, b"locked\n")  # others try an empty file not at all: its owner may be about to lock it
    return lock


def _lock(file: int) -> bool:
    """Return whether an open file could be locked: not if somebody else has it, nor where there are no locks."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _recover(directory: Path) -> None:
    """Put back what those who were killed were replacing, the last file last, and remove what they had begun.

    One that was killed after all its files were in place is only cleared away.
    """
    for staging in directory.glob(f"{PARTIAL}*"):
        with suppress(OSError):
            if staging.is_dir() and not staging.is_symlink() and is_abandoned(staging):
                former = staging / _FORMER
                kept = _files(former) if _files(staging / _NEW) else []  # with nothing left to place, it had published
                for path in sorted(kept, key=lambda path: path.stat(follow_symlinks=False).st_ctime_ns, reverse=True):
                    os.replace(path, directory / path.relative_to(former))  # what vouches for the rest went first
                shutil.rmtree(staging, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]


def take_over(folder: Path) -> int | None:
    """Return the lock of a folder that nobody has any more, now ours; None if somebody has it.

    Where there are no locks nobody can tell, and nobody has it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = lock_folder(Path(folder))
    ...     print(take_over(Path(folder)))
    ...     os.close(first)
    ...     os.close(take_over(Path(folder)))
    None
    """
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        return lock_folder(folder) if is_abandoned(folder) else None
    if not LOCKS or (os.fstat(lock).st_size > 0 and _lock(lock)):
        return lock
    os.close(lock)
    return None


def is_abandoned(staging: Path) -> bool:
    """Return whether nobody has the lock of a folder any more.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     is_abandoned(Path(folder))  # somebody may be about to lock it
    False
    """
    try:
        lock = os.open(staging / _LOCK, os.O_RDWR)
    except OSError:
        lock = -1
    try:
        if lock >= 0 and os.fstat(lock).st_size > 0:
            return _lock(lock)
        # Its owner may be about to lock it, or there are no locks here.
        return time.time() - staging.stat().st_mtime > _ABANDONED
    finally:
        if lock >= 0:
            os.close(lock)


_OPEN: set[OutputFolder] = set()
PUBLISHED: list[Path] = []  # the folders whose results are in place


def abandon() -> None:
    """Clear away every `OutputFolder` that is open; a program that is about to end calls this.

    Examples
    --------
    >>> abandon()  # none is open
    """
    for folder in tuple(_OPEN):
        with suppress(OSError):
            folder._clean()


def as_file_name(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name as it can be a file on every system, the same if it can.

    Examples
    --------
    >>> as_file_name("Violin 1"), as_file_name("viola/cello"), as_file_name("Aux"), as_file_name("Vln. ")
    ('Violin 1', 'viola-cello', 'Aux-', 'Vln')
    """
    fit = "".join(
        "-" if letter in FORBIDDEN or unicodedata.category(letter).startswith("C") else letter for letter in name
    )
    fit = fit.strip().lstrip(".").rstrip(". ")
    first, dot, rest = fit.partition(".")
    if first.strip().casefold() in _RESERVED:
        fit = f"{first.strip()}-{dot}{rest}"
    return fit.encode()[:longest].decode(errors="ignore").rstrip(". ").strip() or "mic"


def check_file_name(name: str, longest: int = LONGEST_NAME) -> str:
    """Return `name` if a source of that name can be a file on every system.

    Raises
    ------
    SessionError
        It cannot; the message says why.

    Examples
    --------
    >>> check_file_name("Violin 1")
    'Violin 1'
    >>> check_file_name("viola/cello")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mnmf.errors.SessionError: source name 'viola/cello' cannot be a file name: it contains /; rename it ...
    """
    stem = name.split(".")[0].strip().casefold()
    problem = ""
    if not name or not name.strip():
        problem = "is empty"
    elif name.startswith("."):
        problem = "begins with a dot"
    elif bad := next((letter for letter in name if letter in FORBIDDEN), ""):
        problem = f"contains {bad}"
    elif any(unicodedata.category(letter).startswith("C") for letter in name):
        problem = "contains a control character or one that is invisible or undefined"
    elif name != name.strip() or name.endswith("."):
        problem = "begins or ends with a space, or ends with a dot"
    elif stem in _RESERVED:
        problem = "is reserved by Windows"
    elif len(name.encode()) > longest:
        problem = f"is too long ({len(name.encode())} bytes, at most {longest})"
    if problem:
        raise SessionError(
            f"source name {name!a} cannot be a file name: it {problem}; rename it in the markers, in --sources, "
            "or by --spot NAME=MIC"
        )
    return name


def check_file_names(names: Iterable[str], longest: int = LONGEST_NAME) -> tuple[str, ...]:
    """Return `names` if each can be a file name and no two would be the same file.

    Names that differ only in case or in Unicode composition are the same file on some systems.

    Raises
    ------
    SessionError
        A name cannot be a file name, or two would be the same file.

    Examples
    --------
    >>> check_file_names(["violin", "cello"])
    ('violin', 'cello')
    """
    checked = tuple(check_file_name(name, longest) for name in names)
    if clash := _first_alike(checked):
        raise SessionError(
            f"source names {clash[0]!r} and {clash[1]!r} would be one file; rename one in the markers, in "
            "--sources, or by --spot NAME=MIC"
        )
    return checked


def _first_alike(names: Sequence[str]) -> tuple[str, str] | None:
    seen: dict[str, str] = {}
    for position, name in enumerate(names):
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if key in seen:
            return seen[key], names[position]
        seen[key] = name
    return None


def same_file(target: Path, others: Iterable[Path]) -> Path | None:
    """Return the first of `others` that is the same file as `target`, also through links; None if there is none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     take = Path(folder) / "take.wav"
    ...     take.touch()
    ...     same_file(take, [Path(folder) / "other.wav", Path(folder, "..", Path(folder).name, "take.wav")]).name
    'take.wav'
    """
    for other in others:
        with suppress(OSError):  # it does not exist, or writing it will fail with a better message
            if os.path.samefile(target, other):
                return other
    return None
