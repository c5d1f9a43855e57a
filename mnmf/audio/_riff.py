"""WAV, and what came of it: RIFF and RIFX, RF64 and BW64, whose sizes have 64 bits, and Wave64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from mnmf.audio._layout import ByteOrder, Framed, Kept, Layout
from mnmf.audio._walk import Grammar, Walk
from mnmf.errors import OutputError

__all__ = ["LARGEST", "framed", "framed_w64", "mended", "of_description", "plain_name", "read", "read_w64"]

LARGEST = 0xFFFFFFFF  # bytes that a size of RIFF can state
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
LONG = ("RF64", "BW64")
DS64 = 28  # bytes of the chunk of long sizes, without its table
_LITTLE = Grammar(b"data", b"fmt ", "little")
_BIG = Grammar(b"data", b"fmt ", "big")

_OF_WAVE = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # ends most names of Wave64, after four letters
_W64 = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
_W64_LIST = b"list" + bytes.fromhex("2f91cf11a5d628db04c10000")
_W64_WAVE = b"wave" + _OF_WAVE
_WIDE = Grammar(b"data" + _OF_WAVE, b"fmt " + _OF_WAVE, "little", name=16, size=8, align=8, whole=True)


def plain_name(name: bytes) -> bytes:
    """Return the four letters that name a chunk, also one of Wave64; nothing if it has none."""
    if len(name) == 16:
        return b"LIST" if name == _W64_LIST else name[:4] if name[4:] == _OF_WAVE else b""
    return name


def read(file: BinaryIO, base: int, length: int) -> Layout | None:
    """Return what lies where in a WAV file that begins at `base`, or None if there is no uncompressed sound in it."""
    file.seek(base)
    magic = file.read(12)
    kind = magic[:4].decode("latin-1")
    if magic[8:] != b"WAVE" or kind not in ("RIFF", "RIFX", *LONG):
        return None
    grammar = _BIG if kind == "RIFX" else _LITTLE
    walk = Walk(file, base + 12, length, grammar, b"ds64" if kind in LONG else b"")
    return Layout.of(kind, grammar.order, walk, _stored(walk.described, grammar.order))


def read_w64(file: BinaryIO, base: int, length: int) -> Layout | None:
    """Return what lies where in a Wave64 file, or None if there is no uncompressed sound in it."""
    file.seek(base)
    head = file.read(40)
    if head[:16] != _W64 or head[24:] != _W64_WAVE:
        return None
    walk = Walk(file, base + 40, length, _WIDE)
    return Layout.of("W64", "little", walk, _stored(walk.described, "little"))


def _stored(fmt: bytes, order: ByteOrder) -> tuple[int, int, int]:
    """Return channels, rate, and bytes of a sample of all channels; zeros if samples are not stored plainly."""

    def number(at: int, size: int = 2) -> int:
        return int.from_bytes(fmt[at : at + size], order)

    tag = number(24) if number(0) == EXTENSIBLE and len(fmt) >= 26 else number(0)
    channels, block, bits = number(2), number(12), number(14)
    if len(fmt) < 16 or tag not in (PCM, FLOAT) or not channels or not 1 <= bits <= 64:
        return 0, 0, 0
    least = channels * -(-bits // 8)
    return channels, number(4, 4), block if block % channels == 0 and least <= block <= 8 * channels else least


def of_description(fmt: bytes) -> Layout | None:
    """Return the layout of a WAV file of which nothing is known but how its samples are stored."""
    stored = _stored(fmt, "little")
    return Layout("RIFF", "little", fmt, *stored, 0, 0, None, False) if stored[2] else None


def mended(fmt: bytes, layout: Layout, channels: int, same: bool) -> bytes:
    """Return the description of as many channels as there are now; nobody says where they speak if they are others."""
    if same:
        return fmt
    new, order, block = bytearray(fmt), layout.order, layout.width * channels
    new[2:4] = channels.to_bytes(2, order)
    new[8:14] = (layout.sample_rate * block % (1 << 32)).to_bytes(4, order) + block.to_bytes(2, order)
    if int.from_bytes(fmt[:2], order) == EXTENSIBLE and len(fmt) >= 24:
        new[20:24] = bytes(4)
    return bytes(new)


def framed(layout: Layout, kept: Sequence[Kept], n_samples: int, channels: int) -> Framed:
    """Return what goes before and after samples in a WAV file, among it the chunks that are kept.

    BW64 becomes RF64, which is the same under the name that more programs know, and RIFF does above 4 GB.
    """
    kind, grammar = "RF64" if layout.kind in LONG else layout.kind, _BIG if layout.order == "big" else _LITTLE
    size = n_samples * layout.width * channels
    before = b"".join(grammar.chunk(each.name, each.content) for each in kept if each.before)
    after = b"".join(grammar.chunk(each.name, each.content) for each in kept if not each.before)
    after = grammar.padding(size) + after
    total = 4 + len(before) + grammar.head + size + len(after)
    if kind not in LONG and total > LARGEST:
        if grammar is _BIG:
            raise OutputError("files of kind RIFX hold at most 4 GB; convert the take to RF64 first")
        kind = "RF64"
    if kind not in LONG:
        head = grammar.begun(kind.encode(), total) + b"WAVE" + before + grammar.begun(b"data", size)
        return Framed(head, after)
    sizes = (total + grammar.head + DS64, size, n_samples)
    ds64 = grammar.chunk(b"ds64", b"".join(each.to_bytes(8, "little") for each in sizes) + bytes(4))
    unknown = b"\xff\xff\xff\xff"
    return Framed(kind.encode() + unknown + b"WAVE" + ds64 + before + b"data" + unknown, after)


def framed_w64(layout: Layout, kept: Sequence[Kept], n_samples: int, channels: int) -> Framed:
    """Return what goes before and after samples in a Wave64 file, among it the chunks that are kept.

    libsndfile, and what is built on it, takes bytes that pad the sound for samples; where it needs some, it is last.
    """
    size = n_samples * layout.width * channels
    last = bool(_WIDE.padding(size))
    before = b"".join(_WIDE.chunk(each.name, each.content) for each in kept if each.before or last)
    after = b"".join(_WIDE.chunk(each.name, each.content) for each in kept if not (each.before or last))
    total = len(_W64_WAVE) + len(before) + _WIDE.head + size + len(after)
    return Framed(_WIDE.begun(_W64, total) + _W64_WAVE + before + _WIDE.begun(_WIDE.sound, size), after)
