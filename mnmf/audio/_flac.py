"""FLAC: its blocks of metadata, and how much sound there really is.

The header of a stream states no length, and that of a file that was cut short states too much.  The last frames know
better: each says at which sample it begins, and carries checksums that tell a frame from bytes that look like one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from mnmf.audio._layout import Chunk, Kept, Layout

__all__ = [
    "APPLICATION",
    "CUES",
    "SEEK_TABLE",
    "head",
    "mended",
    "read",
    "stated_samples",
    "whole_frames",
]

APPLICATION, SEEK_TABLE, CUES = bytes([2]), bytes([3]), bytes([5])  # kinds of blocks
_MAGIC = b"fLaC"
_STREAMINFO = 34  # bytes
_LAST = 0x80  # of the type of a block, if no other one follows
_TAIL = 1 << 19  # bytes at the end of a file in which its last frames are looked for
_TRIES = 8  # frames whose checksums are compared
_SYNC = re.compile(rb"\xff[\xf8\xf9](?=.{3})", re.DOTALL)
_BLOCK_SIZES = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}, **{n: 256 << (n - 8) for n in range(8, 16)}}


def read(file: BinaryIO, base: int, length: int) -> Layout | None:
    """Return the blocks of metadata of a FLAC file, or None if it is none."""
    file.seek(base)
    if file.read(4) != _MAGIC:
        return None
    chunks: list[Chunk] = []
    described, at, last = b"", base + 4, False
    while not last:
        file.seek(at)
        head = file.read(4)
        size = int.from_bytes(head[1:], "big")
        if len(head) < 4 or at + 4 + size > length or len(chunks) > 1000:
            return None
        name, last = bytes([head[0] & ~_LAST]), bool(head[0] & _LAST)
        if name == b"\0" and not described:
            described = file.read(size)
        else:
            chunks.append(Chunk(name, at + 4, size, True))
        at += 4 + size
    if len(described) != _STREAMINFO:
        return None
    packed = int.from_bytes(described[10:18], "big")
    channels, rate = (packed >> 41 & 7) + 1, packed >> 44
    return Layout("FLAC", "big", described, channels, rate, 0, at, length - at, None, False, 0, tuple(chunks))


def stated_samples(layout: Layout) -> int:
    """Return how many samples of each channel the header states; 0 if it does not say."""
    return int.from_bytes(layout.described[10:18], "big") & ((1 << 36) - 1)


def mended(layout: Layout, n_samples: int) -> bytes:
    """Return the header of a file that states so many samples, and nothing else."""
    info = layout.described
    packed = int.from_bytes(info[10:18], "big") >> 36 << 36 | n_samples
    return _MAGIC + _block(b"\0", info[:10] + packed.to_bytes(8, "big") + info[18:], last=True)


def head(layout: Layout, kept: Sequence[Kept]) -> bytes:
    """Return the header of a stem, whose sound `layout` describes, with some blocks of metadata."""
    blocks = [_block(each.name, each.content, last=each is kept[-1]) for each in kept]
    return _MAGIC + _block(b"\0", layout.described, last=not kept) + b"".join(blocks)


def _block(name: bytes, content: bytes, last: bool) -> bytes:
    return bytes([name[0] | _LAST * last]) + len(content).to_bytes(3, "big") + content


class _Frame(NamedTuple):
    at: int  # in the tail
    first: int  # sample
    size: int  # samples


def whole_frames(file: BinaryIO, layout: Layout) -> tuple[int, int] | None:
    """Return how many samples the whole frames of a file hold, and where the last of them ends; None if unclear."""
    length = layout.sound_at + layout.sound_bytes
    start = max(layout.sound_at, length - _TAIL)
    file.seek(start)
    tail = file.read(length - start)
    frames = [frame for found in _SYNC.finditer(tail) if (frame := _frame(tail, found.start(), layout))]
    for tried, frame in enumerate(reversed(frames)):
        if tried == _TRIES:
            break
        after = frame.first + frame.size
        nexts = [other.at for other in frames if other.at > frame.at and other.first == after]
        for end in (len(tail), *nexts[:1]):
            if not _crc(tail[frame.at : end], 16):
                return after, start + end
    return None


def _frame(tail: bytes, at: int, layout: Layout) -> _Frame | None:
    """Return the frame that begins here, if the checksum of its header says that one does."""
    head = tail[at : at + 16]
    sizing, rating, channels, depth = head[2] >> 4, head[2] & 15, head[3] >> 4, head[3]
    ones = next((n for n in range(8) if not head[4] & (0x80 >> n)), 8)  # as in UTF-8
    count = max(ones, 1)
    if sizing == 0 or rating == 15 or depth & 1 or channels > 10 or ones in (1, 8):
        return None
    if (channels + 1 if channels < 8 else 2) != layout.channels:
        return None
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 4 + count]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 63
    at_size = 4 + count
    wide = {6: 1, 7: 2}.get(sizing, 0)
    end = at_size + wide + {12: 1, 13: 2, 14: 2}.get(rating, 0)
    if len(head) <= end or _crc(head[: end + 1], 8):
        return None
    size = int.from_bytes(head[at_size : at_size + wide], "big") + 1 if wide else _BLOCK_SIZES[sizing]
    fixed = int.from_bytes(layout.described[2:4], "big")
    return _Frame(at, number if head[1] & 1 else number * fixed, size)


def _table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return table


_TABLES = {8: _table(8, 0x07), 16: _table(16, 0x8005)}


def _crc(data: bytes, bits: int) -> int:
    """Return the checksum of data, which is 0 if its own checksum is at its end."""
    table, value, top, mask = _TABLES[bits], 0, bits - 8, (1 << bits) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> top ^ byte]
    return value
