"""What a stem has from its original besides the way samples are stored: every chunk that does not describe the sound.

They are carried over byte for byte and in their order, whether their meaning is known or not.  Left out is what would
be wrong of another sound: sizes, peaks, levels, checksums, tables to seek by, and which channel of several it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from mnmf.audio import _flac, _others, _riff
from mnmf.audio._layout import Chunk, Framed, Kept, Layout, content_of, too_large
from mnmf.audio._moved import Part, moved_aiff, moved_caf, moved_riff
from mnmf.audio._riff import plain_name
from mnmf.audio._walk import Grammar

__all__ = ["foreign", "framed", "kept_chunks", "layout_of", "left_out", "plain"]

_WAV = ("RIFF", "RIFX", "RF64", "BW64", "W64")
_DESCRIPTION = {**dict.fromkeys(_WAV, b"fmt "), "AIFF": b"COMM", "AIFC": b"COMM", "CAF": b"desc"}
_OF_THE_SOUND = {
    **dict.fromkeys(_WAV, frozenset({b"data", b"ds64", b"PEAK", b"levl", b"md5 ", b"MD5 "})),
    **dict.fromkeys(("AIFF", "AIFC"), frozenset({b"SSND", b"PEAK"})),
    "CAF": frozenset({b"data", b"peak", b"pakt", b"kuki", b"ovvw"}),
    "AU": frozenset(),
    "FLAC": frozenset({_flac.SEEK_TABLE}),
}
_OF_CHANNELS = frozenset({b"chan", b"CHAN"})  # who speaks where, in Core Audio Format and in AIFF
_RIFF = Grammar(b"data", b"fmt ", "little")


def layout_of(file: BinaryIO) -> Layout | None:
    """Return what lies where in a file, or None if it is of another kind or its sound is packed."""
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(10)
    base = 0
    if head[:3] == b"ID3" and len(head) == 10:  # a tag before the file proper; its size has seven bits a byte
        base = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
    file.seek(base)
    read = {
        b"RIFF": _riff.read,
        b"RIFX": _riff.read,
        b"RF64": _riff.read,
        b"BW64": _riff.read,
        b"riff": _riff.read_w64,
        b"FORM": _others.read_aiff,
        b"caff": _others.read_caf,
        b".snd": _others.read_au,
        b"dns.": _others.read_au,
        b"fLaC": _flac.read,
    }.get(file.read(4))
    return None if read is None else read(file, base, length)


def framed(layout: Layout, kept: list[Kept], n_samples: int, channels: int) -> Framed:
    """Return what goes before and after samples in a container of the same kind; `OutputError` if that is too small."""
    if layout.kind == "W64":
        return _riff.framed_w64(layout, kept, n_samples, channels)
    if layout.kind in _WAV:
        return _riff.framed(layout, kept, n_samples, channels)
    if layout.kind in ("AIFF", "AIFC"):
        return _others.framed_aiff(layout, kept, n_samples, channels)
    frame = _others.framed_caf if layout.kind == "CAF" else _others.framed_au
    return frame(layout, kept, n_samples, channels)


def plain(layout: Layout, n_samples: int, channels: int, same: bool | None = None) -> list[Kept]:
    """Return only the chunk that says how samples are stored, of so many samples and channels.

    `same` says whether these are the channels of the original; they are if not given, and as many.
    """
    same = channels == layout.channels if same is None else same
    if layout.kind in ("AU", "FLAC"):
        return []
    wanted = _DESCRIPTION[layout.kind]
    name = next(chunk.name for chunk in layout.chunks if plain_name(chunk.name) == wanted)
    if wanted == b"COMM":
        return [Kept(name, _others.mended_aiff(layout.described, n_samples, channels), True)]
    if wanted == b"desc":
        return [Kept(name, _others.mended_caf(layout.described, layout, channels), True)]
    return [Kept(name, _riff.mended(layout.described, layout, channels, same), True)]


def _is_kept(layout: Layout, chunk: Chunk) -> bool:
    """Return whether a chunk has a place in stems, however large it is."""
    name = plain_name(chunk.name) or chunk.name
    return name not in _OF_THE_SOUND[layout.kind] and name != _DESCRIPTION.get(layout.kind)


def left_out(layout: Layout) -> list[Chunk]:
    """Return the chunks that stems do without because they are too large."""
    return too_large([chunk for chunk in layout.chunks if _is_kept(layout, chunk)])


def kept_chunks(path: Path, layout: Layout, part: Part, whole: bool, channels: int, same: bool) -> list[Kept]:
    """Return the chunks of a stem, in their order, with that which says how samples are stored.

    Parameters
    ----------
    path : Path
        The original.
    layout : Layout
        Of the original.
    part : Part
        Which samples of the original the stem is of.
    whole : bool
        It is of all of them; then chunks stay as they are.
    channels : int
        Of the stem.
    same : bool
        They are those of the original, in its order.
    """
    large, described = set(left_out(layout)), plain(layout, part.n_samples, channels, same)
    found: list[Kept] = []
    with path.open("rb") as file:
        for chunk in layout.chunks:
            if described and chunk.name == described[0].name:
                found, described = found + described, []
            elif _is_kept(layout, chunk) and chunk not in large:
                content = content_of(file, chunk)
                if not _is_wrong(chunk, content, same):
                    found.append(Kept(chunk.name, content, chunk.before))
    if layout.kind in _WAV:
        found = [_counted(each, layout, part.n_samples) for each in found]
        return found if whole else moved_riff(found, layout.order, part)
    if layout.kind == "FLAC":
        return _of_flac(found, layout, part, whole, channels, same)
    if whole or layout.kind == "AU":
        return found
    return moved_caf(found, part) if layout.kind == "CAF" else moved_aiff(found, part)


def _is_wrong(chunk: Chunk, content: bytes, same: bool) -> bool:
    """Return whether what is in a chunk is true of the original only, whose channels a stem may have."""
    return (chunk.name == b"LIST" and content[:4] == b"wavl") or (not same and chunk.name in _OF_CHANNELS)


def _counted(kept: Kept, layout: Layout, n_samples: int) -> Kept:
    """Return a chunk, that which counts the samples with so many."""
    if plain_name(kept.name) != b"fact" or len(kept.content) < 4:
        return kept
    count = min(n_samples, 0xFFFFFFFF).to_bytes(4, layout.order)
    return kept._replace(content=count + kept.content[4:])


def _of_flac(kept: list[Kept], layout: Layout, part: Part, whole: bool, channels: int, same: bool) -> list[Kept]:
    """Return the blocks of a FLAC file for a stem, those that hold the chunks of another container among them."""
    wav = foreign(kept)
    found: list[Kept] = []
    for each in kept:
        if each.name == _flac.APPLICATION and each.content[:4] in (b"riff", b"w64 ", b"aiff"):
            if wav:
                found, wav = found + _foreign_blocks(wav, layout, part, whole, channels, same), []
            elif each.content[:4] != b"riff" and whole and same:
                found.append(each)
        elif whole or each.name != _flac.CUES:
            found.append(each)
    return found


def foreign(kept: list[Kept]) -> list[Kept]:
    """Return the chunks of a WAV file that blocks of FLAC hold; none if they are not a whole one's.

    Its 'data' has no content, and stands where the sound does.
    """
    blocks = [each.content[4:] for each in kept if each.name == _flac.APPLICATION and each.content[:4] == b"riff"]
    if not blocks or blocks[0][:4] != b"RIFF" or blocks[0][8:] != b"WAVE":
        return []
    chunks, before = [], True
    for block in blocks[1:]:
        name, size = block[:4], int.from_bytes(block[4:8], "little")
        if name == b"data":
            before = False
            chunks.append(Kept(name, b"", before))
        elif len(block) == 8 + size + size % 2:
            chunks.append(Kept(name, block[8 : 8 + size], before))
        else:
            return []
    return chunks if not before and any(each.name == b"fmt " for each in chunks) else []


def _foreign_blocks(wav: list[Kept], layout: Layout, part: Part, whole: bool, channels: int, same: bool) -> list[Kept]:
    """Return the blocks that hold the chunks of a WAV file for a stem; none if no such file could be as large."""
    described = next(each.content for each in wav if each.name == b"fmt ")
    original = _riff.of_description(described)
    if original is None or original.channels != layout.channels:
        return []
    left = [each for each in wav if each.name not in _OF_THE_SOUND["RIFF"] - {b"data"}]
    left = [_counted(each, original, part.n_samples) for each in left]
    left = left if whole else moved_riff(left, "little", part)
    size = part.n_samples * original.width * channels
    blocks = []
    for each in left:
        if each.name == b"data":
            blocks.append(_RIFF.begun(b"data", size))
        else:
            content = _riff.mended(each.content, original, channels, same) if each.name == b"fmt " else each.content
            blocks.append(_RIFF.chunk(each.name, content))
    total = 4 + sum(map(len, blocks)) + size + size % 2
    if total > _riff.LARGEST:
        return []
    head = _RIFF.begun(b"RIFF", total) + b"WAVE"
    return [Kept(_flac.APPLICATION, b"riff" + block, True) for block in (head, *blocks)]
