"""Files of others, read within bounds: regular files only, no larger than they may be, in time proportional to it.

All that reads what somebody else wrote comes through here: text (markers, TOML, JSON, tables), arrays (``.npz``) and
headers of audio.  A size is compared with the file before anything of that size is made.  What the content means lives
with those who need it; they pass the error to raise, `kind`, and the remedy that ends its one line.

`whole` is the other direction: a file that is there when it is complete.
"""

from __future__ import annotations

import codecs
import csv
import json
import math
import os
import re
import secrets
import stat
import threading
import tomllib
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_RATE, ArgumentError, MnmfError, OutputError, SessionError

__all__ = [
    "PARTIAL",
    "abandon",
    "check_header",
    "check_path",
    "check_regular",
    "files_below",
    "hushed",
    "no_audio",
    "read_arrays",
    "read_json",
    "read_table",
    "read_text",
    "read_toml",
    "reason",
    "regular",
    "sound",
    "unchanged",
    "whole",
]

Array = NDArray[Any]
AnyPath = str | os.PathLike[str]
Kind = type[MnmfError]

PARTIAL = ".mnmf-partial-"  # begins the names of files and folders that are not finished
TEXT_BYTES = 10_000_000
TOML_BYTES = 200_000
DOTS = 8  # in a dotted key of TOML: time and memory of the parser grow with their square
DEEPEST = 32  # lists and tables in one another
LONGEST = 1000  # characters of a name, a path or any other text in TOML and JSON
COLUMNS = 100
ROOM = 1 << 28  # bytes that arrays may unpack to, however small their file
UNPACKED = 20  # times the size of their file that arrays may unpack to beyond that
ENTRIES = 2000
MOST_CHANNELS = 1024
MOST_OTHERS = 50_000  # files and folders that are passed in a search for files
SAMPLES_A_BYTE = 8192  # more than any format packs into a byte, silence included

# Of a TOML file what is no key: strings and comments.  No two of them begin alike, so the search is linear.
_TEXTS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*+"|\'[^\'\n]*+\'|#[^\n]*', re.DOTALL
)


class _Unfit(ValueError):
    """Something in a file is not as it may be; the message says what."""


def check_path(path: Any, name: str = "path") -> Path:
    """Return `path` if it is a str or a path of one; to Python the number 1, or True, would be its own output.

    Raises
    ------
    ArgumentError
        It is something else.

    Examples
    --------
    >>> from mnmf.files import check_path
    >>> check_path("take.wav").suffix
    '.wav'
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ArgumentError(f"{name} must be the path of a file, got {path!r:.80}")
    return Path(text)


def reason(error: BaseException) -> str:
    """Return in one line what went wrong, without the path, which is elsewhere in the message.

    Examples
    --------
    >>> reason(FileNotFoundError(2, "No such file or directory", "take.wav"))
    'No such file or directory'
    """
    text = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")[:300] or type(error).__name__


def check_regular(path: Path) -> int:
    """Return the size of a file in bytes; OSError or ValueError if it is a folder, a pipe or a device, or not there."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise _Unfit("it is a directory, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise _Unfit("it is a pipe or a device, not a file")
    return status.st_size


def files_below(folder: Path, suffixes: Collection[str], kind: Kind, remedy: str) -> list[Path]:
    """Return what is in a folder and below it, is no folder, and whose name ends so, sorted.

    Links to folders are not followed, and folders that cannot be read are passed over.

    Raises
    ------
    kind
        More than 50,000 other files and folders lie there, as on a whole disk.

    Examples
    --------
    >>> import tempfile
    >>> from mnmf.errors import ArgumentError
    >>> from mnmf.files import files_below
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("A4.WAV", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in files_below(Path(folder), [".wav"], ArgumentError, "give another")]
    ['A4.WAV']
    """
    found: list[Path] = []
    waiting, others = [str(folder)], 0
    while waiting:
        with suppress(OSError, ValueError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                inner = entry.is_dir(follow_symlinks=False)
                if not inner and os.path.splitext(entry.name)[1].lower() in suffixes:
                    found.append(Path(entry.path))
                    continue
                waiting += [entry.path] if inner else []
                others += 1
                if others > MOST_OTHERS:
                    break
        if others > MOST_OTHERS:
            raise kind(f"{folder}: more than {MOST_OTHERS} other files and folders lie there; {remedy}")
    return sorted(path for path in found if not path.is_dir())


@contextmanager
def regular(path: AnyPath, kind: Kind, remedy: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file, and give it and its size in bytes; raise `kind` if there is none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.errors import MarkerError
    >>> from mnmf.files import regular
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "labels.txt").write_text("0 1 viola")
    ...     with regular(Path(folder, "labels.txt"), MarkerError, "check the path") as (file, size):
    ...         file.read(3), size
    (b'0 1', 9)
    """
    try:
        check_regular(Path(path))
        file = open(path, "rb", opener=_open)  # noqa: SIM115
    except (OSError, ValueError) as error:
        raise kind(f"{path}: cannot be read: {reason(error)}; {remedy}") from error
    with file:
        yield file, os.fstat(file.fileno()).st_size


def _open(path: str, flags: int) -> int:
    """Open what was a regular file a moment ago; should it be a pipe by now, do not wait for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(
    path: AnyPath,
    kind: Kind,
    remedy: str = "check the path",
    *,
    what: str = "is no text",
    largest: int = TEXT_BYTES,
    any_encoding: bool = False,
) -> str:
    """Return the text of a file in UTF-8 or, with `any_encoding`, also in UTF-16 or Latin-1.

    Raises
    ------
    kind
        The file cannot be read; or, beginning with `what`, it has more bytes than `largest`, or is binary.

    Examples
    --------
    >>> import tempfile
    >>> from mnmf.errors import MarkerError
    >>> from mnmf.files import read_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_text(folder, MarkerError)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mnmf.errors.MarkerError: ...: cannot be read: it is a directory, not a file; check the path
    """
    with regular(path, kind, remedy) as (file, size):
        try:
            data = (file.read(largest + 1) if size <= largest else None) or b""  # nothing where a read would wait
        except OSError as error:
            raise kind(f"{path}: cannot be read: {reason(error)}; {remedy}") from error
    if max(size, len(data)) > largest:
        raise kind(f"{path}: {what}: it has {_megabytes(max(size, len(data)))}; {remedy}")
    wide = any_encoding and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if not any_encoding:
            raise kind(f"{path}: {what}: it is not in UTF-8 (byte {error.start}); {remedy}") from error
        text = data.decode("latin-1")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise kind(f"{path}: {what}: it is binary; {remedy}")
    return text


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= TEXT_BYTES else f"{size / 1e6:.1f} MB"


def read_json(path: AnyPath, kind: Kind, remedy: str, what: str = "not valid JSON") -> Any:
    """Return what a JSON file holds: finite numbers of at most 64 bits, no deeper than `DEEPEST`.

    Raises
    ------
    kind
        The file cannot be read; or, beginning with `what`, it holds something else.
    """
    text = read_text(path, kind, remedy, what=what)
    return _parsed(path, lambda: json.loads(text), kind, remedy, what)


def read_toml(path: AnyPath, kind: Kind, remedy: str) -> dict[str, Any]:
    """Return what a TOML file holds, within the bounds of `read_json`, and with at most `DOTS` dots in a key.

    Raises
    ------
    kind
        The file cannot be read, or is not valid TOML.
    """
    what = "not valid TOML"
    text = read_text(path, kind, remedy, what=what, largest=TOML_BYTES)

    def parsed() -> Any:
        bare = _TEXTS.sub("x", text.replace("\r\n", "\n"))
        if any(part.count(".") > DOTS for part in re.split(r"[=\[\]{},\n]", bare)):
            raise _Unfit(f"a key has more than {DOTS} dots")
        return tomllib.loads(text)

    return dict(_parsed(path, parsed, kind, remedy, what))


def _parsed(path: AnyPath, parse: Callable[[], Any], kind: Kind, remedy: str, what: str) -> Any:
    try:
        value = parse()
        _check_plain(value)
    except RecursionError as error:
        raise kind(f"{path}: {what}: it is nested too deeply; {remedy}") from error
    except (ValueError, OverflowError) as error:
        raise kind(f"{path}: {what}: {reason(error)}; {remedy}") from error
    return value


def _check_plain(value: Any, depth: int = 0) -> None:
    """Refuse numbers that no sample, second or channel can be, and what is too deep or too long."""
    if depth > DEEPEST:
        raise _Unfit(f"lists and tables are nested more than {DEEPEST} deep")
    if isinstance(value, str) and len(value) > LONGEST:
        raise _Unfit(f"a text has more than {LONGEST} characters")
    if isinstance(value, int) and value.bit_length() > 63:
        raise _Unfit("a number is too large")
    if isinstance(value, float) and not math.isfinite(value):
        raise _Unfit("a number is not finite")
    for inner in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_plain(inner, depth + 1)


def read_table(path: AnyPath, kind: Kind, remedy: str) -> list[dict[str, str]]:
    """Return the rows of a CSV table by its headings, which become lower case; spaces around either go.

    Raises
    ------
    kind
        The file cannot be read, or is no table.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.errors import ArgumentError
    >>> from mnmf.files import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "notes.csv").write_text("File, Pitch\\na.wav, A4\\n")
    ...     read_table(Path(folder, "notes.csv"), ArgumentError, "export it again")
    [{'file': 'a.wav', 'pitch': 'A4'}]
    """
    what = "cannot be read as a table"
    text = read_text(path, kind, remedy, what=what)
    try:
        rows = (row for row in csv.reader(text.splitlines()) if row)
        headings = [heading.strip().casefold() for heading in next(rows, [])]
        if len(headings) > COLUMNS:
            raise kind(f"{path}: {what}: it has more than {COLUMNS} columns; {remedy}")
        empty = dict.fromkeys(headings, "")
        return [{**empty, **dict(zip(headings, map(str.strip, row)))} for row in rows]
    except csv.Error as error:
        raise kind(f"{path}: {what}: {reason(error)}; {remedy}") from error


def read_arrays(
    path: AnyPath, kind: Kind, remedy: str, *, what: str, wanted: Callable[[str], Any] = lambda name: True
) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` file whose names are `wanted`.

    How large they will be is read from the directory of the archive and the header of each array, which must agree,
    before anything is unpacked: together at most 256 MB, or twenty times the size of the file.

    Raises
    ------
    kind
        The file cannot be read; or, beginning with `what`, it is no such archive, or one that would be too large.
    """
    with regular(check_path(path), kind, remedy) as (file, size):
        try:
            with zipfile.ZipFile(file) as archive:
                entries = _entries(archive, max(ROOM, UNPACKED * size))
                for name, entry in entries.items():
                    _check_entry(archive, name, entry)
                return {name: _unpacked(archive, entry) for name, entry in entries.items() if wanted(name)}
        except MemoryError:
            raise
        except Exception as error:  # zipfile, zlib, tokenize and numpy each have their own
            raise kind(f"{path}: {what}: {reason(error)}; {remedy}") from error


def _entries(archive: zipfile.ZipFile, most: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive by the names of their arrays, if all of them may be unpacked."""
    found = archive.infolist()
    if len(found) > ENTRIES:
        raise _Unfit(f"it has more than {ENTRIES} arrays")
    if sum(entry.file_size for entry in found) > most:
        raise _Unfit(f"it would unpack to more than {most / 1e6:.0f} MB")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in found):
        raise _Unfit("it is packed in an unusual way")
    entries = {entry.filename.removesuffix(".npy"): entry for entry in found}
    if len(entries) < len(found):
        raise _Unfit("two of its arrays have the same name")
    return entries


def _check_entry(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> None:
    """Refuse an array whose header promises another size than the archive has room for, or objects."""
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if version not in ((1, 0), (2, 0)):
            raise _Unfit(f"{name!a:.40} is of an unknown version")
        shape, _, dtype = read(file)
        if dtype.hasobject or dtype.kind not in "biufcUS":
            raise _Unfit(f"{name!a:.40} holds no numbers")
        if math.prod(shape) * dtype.itemsize != entry.file_size - file.tell():
            raise _Unfit(f"{name!a:.40} does not have the size that it states")


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # also compares the checksum
            raise _Unfit("an array is longer than it states")
    return np.asarray(array)


def no_audio(path: Path, error: BaseException) -> str:
    """Return in one line why a file is no audio; libsndfile says of some texts in UTF-16 that there is no file.

    Examples
    --------
    >>> import tempfile
    >>> from mnmf.files import no_audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "labels.txt").write_text("0 1 viola", "utf-16")
    ...     no_audio(Path(folder, "labels.txt"), ValueError("Format not recognised"))
    'it is text in UTF-16'
    """
    said = reason(error)
    with suppress(OSError, ValueError), open(path, "rb", opener=_open) as file:
        if (file.read(2) or b"") in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "it is text in UTF-16"
        return "Format not recognised" if said.startswith("File does not exist") else said
    return said


class _Hush:
    """What is 2 to the system, nowhere for as long as anybody, in any thread, wants it to be."""

    def __init__(self) -> None:
        self.lock, self.wanted, self.kept = threading.Lock(), 0, -1

    def begin(self) -> None:
        with self.lock:
            self.wanted += 1
            if self.wanted == 1:
                with suppress(OSError):  # there may be none
                    self.kept = os.dup(2)
                    with open(os.devnull, "wb") as nowhere:
                        os.dup2(nowhere.fileno(), 2)

    def end(self) -> None:
        with self.lock:
            self.wanted -= 1
            if self.wanted == 0 and self.kept >= 0:
                os.dup2(self.kept, 2)
                os.close(self.kept)
                self.kept = -1


_hush = _Hush()


@contextmanager
def hushed(path: Path) -> Iterator[None]:
    """Keep off the terminal what libmpg123 prints of MP3 files with one frame, as which texts in UTF-16 may pass.

    It writes past Python to what is 2 to the system, which is nowhere for so long.
    """
    with open(path, "rb", opener=_open) as file:
        head = file.read(3) or b""
    if not (head[:2] >= b"\xff\xe0" or head == b"ID3"):
        yield
        return
    _hush.begin()
    try:
        yield
    finally:
        _hush.end()


@contextmanager
def sound(path: Path, kind: Kind, remedy: str = "export it again") -> Iterator[Any]:
    """Open an audio file as soundfile does, its header checked; whatever fails before it is closed raises `kind`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.errors import AudioFileError
    >>> from mnmf.files import sound
    >>> with sound(Path("none.wav"), AudioFileError):
    ...     pass
    Traceback (most recent call last):
    mnmf.errors.AudioFileError: none.wav: cannot be read as audio: No such file or directory; export it again
    """
    import soundfile

    try:
        check_regular(path)
        with hushed(path), soundfile.SoundFile(path) as file:
            check_header(path, file, kind)
            yield file
    except MnmfError:
        raise
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        raise kind(f"{path}: cannot be read as audio: {no_audio(path, error)}; {remedy}") from error


def check_header(path: Path, header: Any, kind: Kind) -> None:
    """Refuse what the header of an audio file says if no recording can be like that, or the file has no room for it.

    Raises
    ------
    kind
        The rate, the channels or the length cannot be true.
    """
    size = check_regular(path)
    if not 1 <= header.samplerate <= MOST_RATE:
        raise kind(
            f"{path}: states a sample rate of {header.samplerate} Hz, which must be from 1 to {MOST_RATE} Hz; "
            "export it again"
        )
    if not 1 <= header.channels <= MOST_CHANNELS:
        raise kind(f"{path}: states {header.channels} channels, more than {MOST_CHANNELS}; export it again")
    if header.frames > SAMPLES_A_BYTE * size:
        raise kind(f"{path}: states {header.frames} samples, but has only {size} bytes; export it again")


_PARTS: set[Path] = set()  # what `whole` has not finished


def abandon() -> None:
    """Remove what `whole` has not finished, in whatever thread; a program that is about to end calls this.

    Examples
    --------
    >>> from mnmf.files import abandon
    >>> abandon()  # nothing is unfinished
    """
    for part in tuple(_PARTS):
        with suppress(OSError, ValueError):
            part.unlink(missing_ok=True)


@contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[None]:
    """Refuse what was made of files that somebody wrote to meanwhile.

    Raises
    ------
    SessionError
        A file has another size or time than at the beginning, or is another one, or has come or gone.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +ELLIPSIS
    ...     with unchanged([Path(folder, "take.wav")]):
    ...         Path(folder, "take.wav").touch()
    Traceback (most recent call last):
    mnmf.errors.SessionError: ...take.wav has changed while it was read; do it again once nobody writes to it
    """
    before = {path: _stamp(path) for path in paths}
    yield
    for path, stamp in before.items():
        if _stamp(path) != stamp:
            raise SessionError(f"{path} has changed while it was read; do it again once nobody writes to it")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _is_special(path: Path) -> bool:
    """Return whether something is there that is no file; as root one would replace even a device by a file."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def whole(path: Any) -> Iterator[Path]:
    """Give a hidden place beside `path` to write to; it becomes `path` at the end, or goes if anything fails.

    Raises
    ------
    ArgumentError
        `path` is no path.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.files import whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder, "labels.txt")) as place:
    ...         _ = place.write_text("0 1 viola")
    ...     [path.name for path in Path(folder).iterdir()]
    ['labels.txt']
    """
    target = check_path(path)
    if _is_special(target):
        raise OutputError(f"{target} cannot be written: it is a folder, a pipe or a device; choose another place")
    partial = target.parent / f"{PARTIAL}{secrets.token_hex(8)}"
    _PARTS.add(partial)
    try:
        yield partial
        os.replace(partial, target)
    except MnmfError:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(f"{target} cannot be written: {reason(error)}; free space or choose another place") from error
    finally:
        with suppress(OSError, ValueError):
            partial.unlink(missing_ok=True)
        _PARTS.discard(partial)
