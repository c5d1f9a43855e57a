"""When a file begins, and what its recorder calls its tracks: the time reference of Broadcast Wave, and iXML."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import NamedTuple

from mnmf.audio import _flac
from mnmf.audio._kept import foreign
from mnmf.audio._layout import LARGEST_CHUNK, Kept, Layout, content_of
from mnmf.audio._moved import TIME
from mnmf.audio._riff import plain_name

__all__ = ["Stamp", "stamp_of"]

LARGEST_XML = 1 << 20  # bytes
LONGEST_NAME = 200  # characters of a track's name
MOST_TRACKS = 1024
_HIGH, _LOW = "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI", "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"


class Stamp(NamedTuple):
    """When a file begins, in samples since midnight, and the names of its channels; None where it does not say."""

    time_reference: int | None
    tracks: tuple[str | None, ...]


def stamp_of(path: Path, layout: Layout | None, channels: int) -> Stamp:
    """Return what a file says of its beginning and its tracks."""
    if layout is None:
        return Stamp(None, (None,) * channels)
    chunks = _named(path, layout, (b"bext", b"iXML"))
    bext, xml = chunks.get(b"bext", b""), _text(chunks.get(b"iXML", b""))
    time: int | None = None
    if len(bext) >= TIME.stop:
        time = int.from_bytes(bext[TIME], "little")
    else:
        words = _number(xml, _HIGH), _number(xml, _LOW)
        if words[0] is not None and words[1] is not None:
            time = (words[0] << 32) + words[1]
    return Stamp(time if time is not None and time < 1 << 62 else None, _tracks(xml, channels))


def _named(path: Path, layout: Layout, names: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """Return the content of the first chunk of each name, if it is not too large."""
    found: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        if layout.kind == "FLAC":
            blocks = [chunk for chunk in layout.chunks if chunk.name == _flac.APPLICATION]
            if sum(chunk.size for chunk in blocks) > LARGEST_CHUNK:
                return {}
            kept = foreign([Kept(chunk.name, content_of(file, chunk), True) for chunk in blocks])
            return {each.name: each.content for each in reversed(kept) if each.name in names}
        for chunk in layout.chunks:
            name = plain_name(chunk.name)
            if name in names and name not in found and chunk.size <= LARGEST_XML:
                found[name] = content_of(file, chunk)
    return found


def _text(xml: bytes) -> str:
    wide = xml.startswith((b"\xff\xfe", b"\xfe\xff"))
    return xml.decode("utf-16" if wide else "utf-8", "replace") if len(xml) <= LARGEST_XML else ""


def _inside(xml: str, tag: str) -> str | None:
    """Return what is between the first opening and the next closing tag; recorders write XML that no parser takes."""
    _, opened, rest = xml.partition(f"<{tag}>")
    content, closed, _ = rest.partition(f"</{tag}>")
    return content.strip() if opened and closed else None


def _number(xml: str, tag: str) -> int | None:
    text = _inside(xml, tag) or ""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None


def _tracks(xml: str, channels: int) -> tuple[str | None, ...]:
    """Return the name of the track of each channel."""
    tracks = [each.partition("</TRACK>")[0] for each in xml.split("<TRACK>")[1 : MOST_TRACKS + 1]]
    names = [" ".join(html.unescape(_inside(track, "NAME") or "").split())[:LONGEST_NAME] or None for track in tracks]
    if channels == 1 and tracks:  # of several the others were in a file that this one was taken from
        return (names[0] if len(tracks) == 1 else None,)
    places = [_number(track, "INTERLEAVE_INDEX") for track in tracks]
    if not any(place is not None for place in places):
        places = [_number(track, "CHANNEL_INDEX") for track in tracks]
    by_place = dict(reversed(list(zip(places, names))))
    return tuple(by_place.get(channel + 1) for channel in range(channels))
