"""Chunks that name places in the sound, for a stem of a part of a file: moved by where the part begins.

A place outside the part is dropped, with what is said about it.  What is not as its format says stays as it is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mnmf.audio._layout import ByteOrder, Kept
from mnmf.audio._riff import plain_name

__all__ = ["Part", "moved_aiff", "moved_caf", "moved_riff"]

TIME = slice(338, 346)  # of bext: the first sample since midnight, least byte first
_W64_MARKER = bytes.fromhex("5662f7ab2d39d21186c700c04f8edb8a")
_NOT_IN_PARTS = (b"r64m",)
_LABELS = (b"labl", b"note", b"ltxt", b"file")
_IN_XML = (
    (b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI", b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"),
    (b"BWF_TIME_REFERENCE_HIGH", b"BWF_TIME_REFERENCE_LOW"),
)


class Part(NamedTuple):
    """Samples of a file: the first one, and how many."""

    start: int
    n_samples: int

    def place(self, sample: int) -> int | None:
        """Return where a sample of the file is in the part, or None if it is outside."""
        return sample - self.start if 0 <= sample - self.start < self.n_samples else None


class _Odd(ValueError):
    """A chunk is not as its format says."""


def _or_as_it_is(change: Callable[[bytes], bytes], content: bytes) -> bytes:
    try:
        return change(content)
    except (_Odd, struct.error):
        return content


def _changed(kept: Sequence[Kept], changes: dict[bytes, Callable[[bytes], bytes]]) -> list[Kept]:
    """Return chunks as they are after what has to be done to those of some names; those left empty are gone."""
    found = []
    for each in kept:
        change = changes.get(plain_name(each.name))
        content = each.content if change is None else _or_as_it_is(change, each.content)
        if content or not each.content:
            found.append(each._replace(content=content))
    return found


# WAV and Wave64


def moved_riff(kept: Iterable[Kept], order: ByteOrder, part: Part) -> list[Kept]:
    """Return the chunks of a WAV file or of Wave64 for a part of it."""
    left = [each for each in kept if each.name not in (_W64_MARKER, *_NOT_IN_PARTS)]
    sign = ">" if order == "big" else "<"
    places: dict[int, int | None] = {}
    for each in left:
        if plain_name(each.name) == b"cue ":
            places |= {cue[0]: part.place(cue[5]) for cue in _cues(each.content, sign)}
    return _changed(
        left,
        {
            b"bext": lambda content: moved_bext(content, part.start),
            b"iXML": lambda content: _moved_xml(content, part.start),
            b"cue ": lambda content: _moved_cues(content, sign, part),
            b"LIST": lambda content: _moved_list(content, sign, places, part),
            b"smpl": lambda content: _moved_loops(content, sign, part),
            b"plst": lambda content: _moved_playlist(content, sign, places),
        },
    )


def moved_bext(bext: bytes, n_samples: int) -> bytes:
    """Return a Broadcast Wave chunk with its time reference so many samples later."""
    if len(bext) < TIME.stop:
        return bext
    reference = max(int.from_bytes(bext[TIME], "little") + n_samples, 0) % (1 << 64)
    return bext[: TIME.start] + reference.to_bytes(8, "little") + bext[TIME.stop :]


def _moved_xml(xml: bytes, n_samples: int) -> bytes:
    for names in _IN_XML:
        found = [re.search(rb"<%s>\s{0,9}(\d{1,10})\s{0,9}</%s>" % (name, name), xml) for name in names]
        high, low = found
        if high is None or low is None:
            continue
        reference = max((int(high[1]) << 32) + int(low[1]) + n_samples, 0) % (1 << 64)
        words = {high.span(1): reference >> 32, low.span(1): reference & 0xFFFFFFFF}
        for (start, stop), word in sorted(words.items(), reverse=True):
            xml = xml[:start] + b"%d" % word + xml[stop:]
    return xml


def _records(content: bytes, at: int, count: int, layout: str) -> list[tuple[int, ...]]:
    """Return so many records of the same layout."""
    size = struct.calcsize(layout)
    if count * size > len(content) - at:
        raise _Odd
    return list(struct.iter_unpack(layout, content[at : at + count * size]))


def _cues(content: bytes, sign: str) -> list[tuple[int, ...]]:
    """Return the cues of a chunk, none if it is odd: number, position, four letters, two starts, sample."""
    try:
        (count,) = struct.unpack_from(sign + "I", content)
        return _records(content, 4, count, sign + "II4sIII")
    except (_Odd, struct.error):
        return []


def _moved_cues(content: bytes, sign: str, part: Part) -> bytes:
    (count,) = struct.unpack_from(sign + "I", content)
    layout = sign + "II4sIII"
    left = []
    for number, position, letters, chunk, block, sample in _records(content, 4, count, layout):
        place = part.place(sample)
        if place is not None:
            left.append(struct.pack(layout, number, max(position - part.start, 0), letters, chunk, block, place))
    if not left:
        return b""
    return struct.pack(sign + "I", len(left)) + b"".join(left) + content[4 + count * struct.calcsize(layout) :]


def _moved_list(content: bytes, sign: str, places: dict[int, int | None], part: Part) -> bytes:
    """Return a list without the labels of cues that are gone."""
    if content[:4] != b"adtl":
        return content
    left, at = [content[:4]], 4
    while at < len(content):
        name, size = struct.unpack_from(sign + "4sI", content, at)
        end = at + 8 + size
        if end > len(content):
            raise _Odd
        inner = content[at + 8 : end]
        if name in _LABELS and len(inner) >= 4:
            (number,) = struct.unpack_from(sign + "I", inner)
            place = places.get(number, 0)
            if name == b"ltxt" and len(inner) >= 8 and place is not None:
                (length,) = struct.unpack_from(sign + "I", inner, 4)
                inner = inner[:4] + struct.pack(sign + "I", min(length, part.n_samples - place)) + inner[8:]
            if place is None:
                inner = b""
        if inner or not size:
            left.append(content[at : at + 8] + inner + content[end : end + size % 2])
        at = end + size % 2
    return b"".join(left) if len(left) > 1 else b""


def _moved_loops(content: bytes, sign: str, part: Part) -> bytes:
    """Return the settings of a sampler without the loops that are not within the part."""
    (count,) = struct.unpack_from(sign + "I", content, 28)
    layout = sign + "6I"
    left = []
    for number, kind, start, end, fraction, plays in _records(content, 36, count, layout):
        places = part.place(start), part.place(end)
        if places[0] is not None and places[1] is not None:
            left.append(struct.pack(layout, number, kind, *places, fraction, plays))
    rest = content[36 + count * struct.calcsize(layout) :]
    return content[:28] + struct.pack(sign + "I", len(left)) + content[32:36] + b"".join(left) + rest


def _moved_playlist(content: bytes, sign: str, places: dict[int, int | None]) -> bytes:
    (count,) = struct.unpack_from(sign + "I", content)
    left = [each for each in _records(content, 4, count, sign + "3I") if places.get(each[0], 0) is not None]
    if not left:
        return b""
    packed = b"".join(struct.pack(sign + "3I", *each) for each in left)
    return struct.pack(sign + "I", len(left)) + packed + content[4 + 12 * count :]


# AIFF


def moved_aiff(kept: Iterable[Kept], part: Part) -> list[Kept]:
    """Return the chunks of an AIFF file for a part of it."""
    left = list(kept)
    gone: set[int] = set()
    for each in left:
        if each.name == b"MARK":
            try:
                gone |= {number for number, sample, _ in _marks(each.content) if part.place(sample) is None}
            except (_Odd, struct.error):
                continue
    return _changed(
        left,
        {
            b"MARK": lambda content: _moved_marks(content, part),
            b"COMT": lambda content: _moved_comments(content, gone),
            b"INST": lambda content: _moved_instrument(content, gone),
        },
    )


def _marks(content: bytes) -> list[tuple[int, int, bytes]]:
    """Return number, sample and name of each mark of a chunk."""
    (count,) = struct.unpack_from(">H", content)
    found, at = [], 2
    for _ in range(count):
        number, sample, length = struct.unpack_from(">hIB", content, at)
        end = at + 7 + length + (length + 1) % 2
        if at + 7 + length > len(content):
            raise _Odd
        found.append((number, sample, content[at + 6 : end]))
        at = end
    return found


def _moved_marks(content: bytes, part: Part) -> bytes:
    places = [(number, part.place(sample), name) for number, sample, name in _marks(content)]
    left = [struct.pack(">hI", number, place) + name for number, place, name in places if place is not None]
    return struct.pack(">H", len(left)) + b"".join(left) if left else b""


def _moved_comments(content: bytes, gone: set[int]) -> bytes:
    """Return comments, which are no longer about marks that are gone."""
    (count,) = struct.unpack_from(">H", content)
    new, at = bytearray(content), 2
    for _ in range(count):
        _, mark, length = struct.unpack_from(">IhH", content, at)
        if mark in gone:
            new[at + 4 : at + 6] = bytes(2)
        at += 8 + length + length % 2
    return bytes(new)


def _moved_instrument(content: bytes, gone: set[int]) -> bytes:
    """Return the settings of a sampler without the loops whose marks are gone."""
    new = bytearray(content)
    for at in (8, 14):
        _, begin, end = struct.unpack_from(">hhh", content, at)
        if begin in gone or end in gone:
            new[at : at + 6] = bytes(6)
    return bytes(new)


# Core Audio Format

_MARK = ">Id16s"  # type, sample, then number, time of day and channel
_MARK_BYTES = struct.calcsize(_MARK)


def moved_caf(kept: Iterable[Kept], part: Part) -> list[Kept]:
    """Return the chunks of a file in Core Audio Format for a part of it."""
    return _changed(
        list(kept),
        {
            b"mark": lambda content: _moved_caf_marks(content, part),
            b"regn": lambda content: _moved_regions(content, part),
        },
    )


def _moved_mark(mark: bytes, part: Part) -> bytes | None:
    kind, sample, rest = struct.unpack(_MARK, mark)
    inside = part.start <= sample < part.start + part.n_samples
    return struct.pack(_MARK, kind, sample - part.start, rest) if inside else None


def _moved_caf_marks(content: bytes, part: Part) -> bytes:
    (count,) = struct.unpack_from(">I", content, 4)
    end = 8 + count * _MARK_BYTES
    if end > len(content):
        raise _Odd
    marks = [_moved_mark(content[at : at + _MARK_BYTES], part) for at in range(8, end, _MARK_BYTES)]
    left = [mark for mark in marks if mark is not None]
    return content[:4] + struct.pack(">I", len(left)) + b"".join(left) + content[end:] if left else b""


def _moved_regions(content: bytes, part: Part) -> bytes:
    """Return the regions all of whose marks are within the part."""
    (count,) = struct.unpack_from(">I", content, 4)
    left, at = [], 8
    for _ in range(count):
        (marks,) = struct.unpack_from(">I", content, at + 8)
        begin, at = at, at + 12 + marks * _MARK_BYTES
        if at > len(content):
            raise _Odd
        places = [_moved_mark(content[m : m + _MARK_BYTES], part) for m in range(begin + 12, at, _MARK_BYTES)]
        found = [place for place in places if place is not None]
        if len(found) == len(places):
            left.append(content[begin : begin + 12] + b"".join(found))
    return content[:4] + struct.pack(">I", len(left)) + b"".join(left) + content[at:] if left else b""
