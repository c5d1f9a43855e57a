"""AIFF and AIFF-C, Core Audio Format, and Sun's AU."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from mnmf.audio._layout import ByteOrder, Chunk, Framed, Kept, Layout
from mnmf.audio._walk import Extent, Grammar, Walk
from mnmf.errors import OutputError

__all__ = ["framed_aiff", "framed_au", "framed_caf", "mended_aiff", "mended_caf", "read_aiff", "read_au", "read_caf"]

LARGEST = 0xFFFFFFFF  # bytes that a size of AIFF can state
_AIFF = Grammar(b"SSND", b"COMM", "big", lead=8)
_CAF = Grammar(b"data", b"desc", "big", size=8, align=1, lead=4)
_CAF_MAGIC = b"caff\0\1\0\0"
_AU_HEADER = 24
_AU_WIDTHS = {2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8}  # bytes of a sample, by encoding
# The compression types of AIFF-C that are none, and the bytes of a sample where COMM may say otherwise.
_AIFC_WIDTHS = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8, b"in24": 3, b"in32": 4, b"42ni": 3, b"23ni": 4}
_AIFC_PLAIN = frozenset({b"NONE", b"none", b"twos", b"sowt", b"raw ", *_AIFC_WIDTHS})


def read_aiff(file: BinaryIO, base: int, length: int) -> Layout | None:
    """Return what lies where in an AIFF or AIFF-C file, or None if there is no uncompressed sound in it."""
    file.seek(base)
    magic = file.read(12)
    if magic[:4] != b"FORM" or magic[8:] not in (b"AIFF", b"AIFC"):
        return None
    walk = Walk(file, base + 12, length, _AIFF)
    stored, sound = _of_comm(walk.described, magic[8:]), walk.sound
    if sound is None:
        return None
    file.seek(sound.at - _AIFF.lead)
    if 0 < (offset := int.from_bytes(file.read(4), "big")) <= sound.there:
        stated = None if sound.stated is None else sound.stated - offset
        sound = Extent(sound.at + offset, sound.there - offset, stated, sound.unfinished)
    counted = int.from_bytes(walk.described[2:6], "big") * stored[2]
    if 0 < counted == sound.there - 1:  # a byte that makes the size even is no sample
        sound = replace(sound, there=counted, stated=counted)
    walk.sound = sound
    return Layout.of(magic[8:].decode(), "big", walk, stored)


def _of_comm(comm: bytes, form: bytes) -> tuple[int, int, int]:
    """Return channels, rate, and bytes of a sample of all channels; zeros if samples are not stored plainly."""
    channels, bits = int.from_bytes(comm[:2], "big"), int.from_bytes(comm[6:8], "big")
    packing = comm[18:22] if form == b"AIFC" else b"NONE"
    if len(comm) < 18 or packing not in _AIFC_PLAIN or not channels or not 1 <= bits <= 64:
        return 0, 0, 0
    exponent = int.from_bytes(comm[8:10], "big") - 16383 - 63  # of a float of 80 bits
    mantissa = int.from_bytes(comm[10:18], "big")
    rate = mantissa >> -exponent if -64 < exponent <= 0 else 0
    return channels, rate, channels * _AIFC_WIDTHS.get(packing, -(-bits // 8))


def mended_aiff(comm: bytes, n_samples: int, channels: int) -> bytes:
    """Return the description of so many samples and channels."""
    return channels.to_bytes(2, "big") + n_samples.to_bytes(4, "big") + comm[6:]


def framed_aiff(layout: Layout, kept: Sequence[Kept], n_samples: int, channels: int) -> Framed:
    """Return what goes before and after samples in an AIFF file, among it the chunks that are kept."""
    size = _AIFF.lead + n_samples * layout.width * channels
    before = b"".join(_AIFF.chunk(each.name, each.content) for each in kept if each.before)
    after = b"".join(_AIFF.chunk(each.name, each.content) for each in kept if not each.before)
    after = _AIFF.padding(size) + after
    total = 4 + len(before) + _AIFF.head + size + len(after)
    if total > LARGEST:
        raise OutputError("AIFF files hold at most 4 GB; convert the take to RF64, W64 or CAF first")
    form = _AIFF.begun(b"FORM", total) + layout.kind.encode()
    return Framed(form + before + _AIFF.begun(_AIFF.sound, size) + bytes(_AIFF.lead), after)


def read_caf(file: BinaryIO, base: int, length: int) -> Layout | None:
    """Return what lies where in a file in Core Audio Format, or None if there is no uncompressed sound in it."""
    file.seek(base)
    if file.read(6) != _CAF_MAGIC[:6]:
        return None
    walk = Walk(file, base + len(_CAF_MAGIC), length, _CAF)
    return Layout.of("CAF", "big", walk, _of_desc(walk.described))


def _of_desc(desc: bytes) -> tuple[int, int, int]:
    """Return channels, rate, and bytes of a sample of all channels; zeros if samples are not stored plainly."""
    if len(desc) < 32 or desc[8:12] != b"lpcm":
        return 0, 0, 0
    rate, _, _, block, at_once, channels, _ = struct.unpack(">d4sIIIII", desc[:32])
    if at_once != 1 or not channels or block % channels or not 0 < block <= 8 * channels or not 0 < rate < 1e9:
        return 0, 0, 0
    return channels, int(rate), block


def mended_caf(desc: bytes, layout: Layout, channels: int) -> bytes:
    """Return the description of so many channels."""
    block = layout.width * channels
    return desc[:16] + block.to_bytes(4, "big") + desc[20:24] + channels.to_bytes(4, "big") + desc[28:]


def framed_caf(layout: Layout, kept: Sequence[Kept], n_samples: int, channels: int) -> Framed:
    """Return what goes before and after samples in Core Audio Format, among it the chunks that are kept."""
    size = _CAF.lead + n_samples * layout.width * channels
    before = b"".join(_CAF.chunk(each.name, each.content) for each in kept if each.before)
    after = b"".join(_CAF.chunk(each.name, each.content) for each in kept if not each.before)
    return Framed(_CAF_MAGIC + before + _CAF.begun(_CAF.sound, size) + bytes(_CAF.lead), after)


def read_au(file: BinaryIO, base: int, length: int) -> Layout | None:
    """Return what lies where in an AU file, or None if there is no uncompressed sound in it."""
    file.seek(base)
    head = file.read(_AU_HEADER)
    if head[:4] not in (b".snd", b"dns.") or len(head) < _AU_HEADER:
        return None
    order: ByteOrder = "big" if head[:4] == b".snd" else "little"
    offset, size, encoding, rate, channels = (int.from_bytes(head[at : at + 4], order) for at in range(4, 24, 4))
    rest = length - base - offset
    if encoding not in _AU_WIDTHS or not 0 < channels <= 0xFFFF or offset < _AU_HEADER or rest < 0:
        return None
    stated = None if size == LARGEST or size == 0 < rest else size
    there = rest if stated is None else min(stated, rest)
    note = (Chunk(b"", base + _AU_HEADER, offset - _AU_HEADER, True),) if offset > _AU_HEADER else ()
    block = _AU_WIDTHS[encoding] * channels
    where = (base + offset, there, stated, size == 0 < rest)
    return Layout("AU", order, head, channels, rate, block, *where, rest - there, note)


def framed_au(layout: Layout, kept: Sequence[Kept], n_samples: int, channels: int) -> Framed:
    """Return what goes before samples in an AU file, among it the note that is kept."""
    note = b"".join(each.content for each in kept)
    sizes = _AU_HEADER + len(note), min(n_samples * layout.width * channels, LARGEST)
    numbers = b"".join(number.to_bytes(4, layout.order) for number in sizes)
    head = layout.described[:4] + numbers + layout.described[12:20] + channels.to_bytes(4, layout.order)
    return Framed(head + note, b"")
