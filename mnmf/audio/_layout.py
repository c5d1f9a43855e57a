"""What lies where in a file: the sound, what describes it, and all other chunks.

libsndfile decodes the sound; a `Layout` is what it does not say.  Two things are made from one: a header that
libsndfile takes, where that of the file is damaged, and the header of a stem, which differs from its original in its
sound alone.  Each kind of container has two functions, to read and to frame; every number in a file is held against the
file's size before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from mnmf.audio._walk import Walk

__all__ = [
    "LARGEST_CHUNK",
    "LARGEST_CHUNKS",
    "MOST_CHUNKS",
    "Chunk",
    "Framed",
    "Kept",
    "Layout",
    "content_of",
    "too_large",
]

ByteOrder = Literal["little", "big"]

MOST_CHUNKS = 10_000
LARGEST_CHUNK = 1 << 24  # bytes of a chunk that a stem carries on; 16 MB
LARGEST_CHUNKS = 1 << 26  # bytes of all of them


class Chunk(NamedTuple):
    """Where a chunk is: its name as in the file, where its content begins, its size, and whether the sound follows."""

    name: bytes
    at: int
    size: int
    before: bool


class Kept(NamedTuple):
    """A chunk as a stem carries it on."""

    name: bytes
    content: bytes
    before: bool


class Framed(NamedTuple):
    """What goes before the samples in a file, and what after them."""

    head: bytes
    tail: bytes


@dataclass(frozen=True)
class Layout:
    """What lies where in a file.

    Attributes
    ----------
    kind : str
        RIFF, RIFX, RF64, BW64, W64, AIFF, AIFC, CAF, AU or FLAC.
    order : 'little' or 'big'
        Of the numbers in the header.
    described : bytes
        The content of the chunk that says how samples are stored.
    channels, sample_rate : int
    block : int
        Bytes of one sample of all channels; 0 where they are packed.
    sound_at, sound_bytes : int
        Where the sound begins, and how much of it there is.
    stated_bytes : int or None
        How much the header states; None where it does not, as streams do.
    unfinished : bool
        The header was never filled in, as when a recorder loses power.
    beyond : int
        Bytes after the sound and the last chunk that belong to nothing.
    chunks : tuple of Chunk
        All others, in the order of the file, with those that describe the sound.
    cut : bytes
        The name of a chunk that the end of the file cuts off, if there is one.
    """

    kind: str
    order: ByteOrder
    described: bytes
    channels: int
    sample_rate: int
    block: int
    sound_at: int
    sound_bytes: int
    stated_bytes: int | None
    unfinished: bool
    beyond: int = 0
    chunks: tuple[Chunk, ...] = ()
    cut: bytes = b""

    @classmethod
    def of(cls, kind: str, order: ByteOrder, walk: Walk, stored: tuple[int, int, int]) -> Self | None:
        """Return what was found on the way from chunk to chunk, or None if that is no sound.

        `stored` are channels, rate and bytes of a sample of all channels; zeros if samples are not stored plainly.
        """
        sound = walk.sound
        if sound is None or not stored[2]:
            return None
        known = cls(kind, order, walk.described, *stored, sound.at, sound.there, sound.stated, sound.unfinished)
        return replace(known, beyond=walk.beyond, chunks=tuple(walk.chunks), cut=walk.cut)

    @property
    def n_samples(self) -> int:
        """How many whole samples there are of each channel."""
        return self.sound_bytes // self.block if self.block else 0

    @property
    def width(self) -> int:
        """Bytes of one sample of one channel."""
        return self.block // self.channels


def content_of(file: BinaryIO, chunk: Chunk) -> bytes:
    """Return what is in a chunk, or nothing if the file has become shorter."""
    file.seek(chunk.at)
    content = file.read(chunk.size)
    return content if len(content) == chunk.size else b""


def too_large(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Return the chunks that no stem carries on."""
    found, together = [], 0
    for chunk in chunks:
        if chunk.size > LARGEST_CHUNK or together + chunk.size > LARGEST_CHUNKS:
            found.append(chunk)
        else:
            together += chunk.size
    return found
