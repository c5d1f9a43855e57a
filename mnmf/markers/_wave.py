"""Markers in a WAV file itself: its chunks ``cue``, ``labl``, ``ltxt`` and ``smpl``, as workstations write them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mnmf.errors import MOST_RATE, MarkerError
from mnmf.files import reason, regular
from mnmf.markers._labels import Label, until_next

__all__ = ["is_wave", "read_wave"]

_KINDS = (b"RIFF", b"RF64", b"BW64")
_MOST_CHUNKS = 10_000
_MOST_BYTES = 10_000_000  # of all chunks with markers
_CUE, _LOOP = 24, 24  # bytes of one
_UNKNOWN = 0xFFFFFFFF  # the size of the sound in a file of more than 4 GB, or one that was not finished
_REMEDY = "export the markers as text, or the audio with its markers"


def is_wave(path: Path) -> bool:
    """Return whether a file begins as a WAV file does."""
    with regular(path, MarkerError, "check the path") as (file, _):
        try:
            head = file.read(12) or b""  # nothing where a read would wait
        except OSError as error:
            raise MarkerError(f"{path}: cannot be read: {reason(error)}; check the path") from error
    return head[:4] in _KINDS and head[8:] == b"WAVE"


def read_wave(path: Path) -> list[Label]:
    """Read regions, and points; if there are points only, each is a mark that lasts until the next.

    Raises
    ------
    MarkerError
        The file cannot be read, or holds no markers.
    """
    with regular(path, MarkerError, _REMEDY) as (file, size):
        try:
            chunks = list(_chunks(file, size))
        except OSError as error:
            raise MarkerError(f"{path}: cannot be read: {reason(error)}; {_REMEDY}") from error
    contents = {name: content for name, content in reversed(chunks) if name != b"LIST"}
    header = contents.get(b"fmt ", b"")
    rate = int.from_bytes(header[4:8], "little")
    starts = {
        identity: offset or position
        for identity, position, _, _, _, offset in _records("<II4sIII", contents.get(b"cue ", b"")[4:], _CUE)
    }
    if not starts or not 1 <= rate <= MOST_RATE:
        raise MarkerError(f"{path}: is no marker file: it is binary, audio without markers in it; {_REMEDY}")
    names: dict[int, str] = {}
    lengths: dict[int, int] = {}
    for identity, _, first, last, _, _ in _records("<IIIIII", contents.get(b"smpl", b"")[36:], _LOOP):
        if starts.get(identity) == first:
            lengths[identity] = last + 1 - first
    for name, content in chunks:
        if name == b"LIST" and content[:4] == b"adtl":
            _read_list(content[4:], names, lengths)
    labels = [
        Label(names.get(identity, ""), at / rate, (at + max(lengths.get(identity, 0), 0)) / rate, f"cue {identity}")
        for identity, at in starts.items()
    ]
    return list(until_next(labels)) if all(label.is_point for label in labels) else labels


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks that count."""
    at, long_size, left = 12, 0, _MOST_BYTES
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data" and length == _UNKNOWN:
            length = long_size or size
        elif name in (b"fmt ", b"cue ", b"smpl", b"LIST") and length <= left:
            left -= length
            yield name, file.read(length)
        at += 8 + length + length % 2


def _records(form: str, content: bytes, length: int) -> Iterator[tuple[int, ...]]:
    """Yield the records of a fixed length that a content holds, whatever number of them its header states."""
    yield from struct.iter_unpack(form, content[: len(content) // length * length])


def _read_list(content: bytes, names: dict[int, str], lengths: dict[int, int]) -> None:
    """Take names and lengths of cue points from a list of associated data."""
    at = 0
    while at + 12 <= len(content):
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        inner = content[at + 8 : at + 8 + length]
        identity = int.from_bytes(inner[:4], "little")
        if name == b"labl":
            names[identity] = _text(inner[4:])
        elif name == b"ltxt" and len(inner) >= 8:
            lengths[identity] = int.from_bytes(inner[4:8], "little")
            names.setdefault(identity, _text(inner[20:]))
        at += 8 + length + length % 2


def _text(content: bytes) -> str:
    content = content.split(b"\0", 1)[0]
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
