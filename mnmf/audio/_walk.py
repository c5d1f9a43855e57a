"""From chunk to chunk through a file that somebody else wrote: what is where, and where the sound ends.

RIFF, Wave64, AIFF and Core Audio Format are the same idea, a name, a size and a content over and over, spelled in four
ways.  Recorders lose power, streams never learn their size, and programs leave out bytes; what can be read is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from mnmf.audio._layout import MOST_CHUNKS, ByteOrder, Chunk

__all__ = ["Extent", "Grammar", "Walk"]

WRAP = 1 << 32  # by which too large a size is too small
_AHEAD = 4  # chunks that tell whether there is padding
_ID3 = 128  # bytes of a tag that is put after files of any kind
_ENDLESS = 1 << 62  # a size of 64 bits beyond which it is none


@dataclass(frozen=True)
class Grammar:
    """How a family of containers spells its chunks.

    Attributes
    ----------
    sound, described : bytes
        Names of the chunk of the sound and of that which says how samples are stored.
    order : 'little' or 'big'
    name, size : int
        Bytes of a name, and of a size.
    align : int
        Chunks begin at multiples of so many bytes.
    whole : bool
        A size counts name and size, too.
    lead : int
        Bytes in the chunk of the sound before the sound.
    """

    sound: bytes
    described: bytes
    order: ByteOrder
    name: int = 4
    size: int = 4
    align: int = 2
    whole: bool = False
    lead: int = 0

    @property
    def head(self) -> int:
        """Bytes before the content of a chunk."""
        return self.name + self.size

    def chunk(self, name: bytes, content: bytes) -> bytes:
        """Return a chunk as it stands in a file."""
        return self.begun(name, len(content)) + content + self.padding(len(content))

    def begun(self, name: bytes, size: int) -> bytes:
        """Return what stands before a content of so many bytes."""
        return name + (size + self.head * self.whole).to_bytes(self.size, self.order)

    def padding(self, size: int) -> bytes:
        """Return what stands after a content of so many bytes."""
        return bytes(-size % self.align)


@dataclass(frozen=True)
class Extent:
    """Where the sound is, how much there is and how much is stated, in bytes; and whether no size was ever written."""

    at: int
    there: int
    stated: int | None
    unfinished: bool = False


class Walk:
    """All chunks of a file; those before the sound, the sound, and those after it.

    Parameters
    ----------
    file : binary file
    at : int
        Where the first chunk begins.
    length : int
        Of the file, in bytes.
    grammar : Grammar
    long : bytes, optional
        The name of a chunk of which bytes 8 to 16 are the size of the sound, where it has no room in its own chunk.

    Attributes
    ----------
    chunks : list of Chunk
        All but those of the sound and of long sizes.
    sound : Extent or None
    described : bytes
        How samples are stored: the first 4096 bytes of that chunk.
    cut : bytes
        The name of a chunk that the end of the file cuts off.
    beyond : int
        Bytes after the last chunk that belong to none.
    """

    def __init__(self, file: BinaryIO, at: int, length: int, grammar: Grammar, long: bytes = b"") -> None:
        self._file, self._length, self._grammar, self._long = file, length, grammar, long
        self._long_size = 0
        self.chunks: list[Chunk] = []
        self.sound: Extent | None = None
        self.described = self.cut = b""
        end = self._walk(at)
        self.beyond = 0 if self.cut else max(0, length - end)

    def _walk(self, at: int) -> int:
        """Find what there is, and return where it ends."""
        grammar = self._grammar
        for number in range(MOST_CHUNKS):
            name, size = self._head(at)
            content = at + grammar.head
            is_sound = name == grammar.sound and self.sound is None
            if content > self._length or not self._is_name(name) or (size < 0 and not is_sound):
                break
            if is_sound:
                self.sound = self._measured(content + grammar.lead, size - grammar.lead)
                size = self.sound.there + grammar.lead
            elif content + size > self._length:
                is_tag = name[:3] == b"TAG" and self._length - at == _ID3
                self.cut = b"" if is_tag else name
                break
            elif self._long and name == self._long and number == 0:
                self._long_size = int.from_bytes(self._read(content + 8, 8), grammar.order)
            elif name != grammar.sound:
                self.chunks.append(Chunk(name, content, size, self.sound is None))
                if name == grammar.described and not self.described:
                    self.described = self._read(content, min(size, 4096))
            at = self._next(content, size)
        else:
            return self._length
        return at

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _head(self, at: int) -> tuple[bytes, int]:
        """Return the name of a chunk, and the size of its content."""
        grammar = self._grammar
        head = self._read(at, grammar.head)
        size = int.from_bytes(head[grammar.name :], grammar.order)
        return head[: grammar.name], size - grammar.head * grammar.whole

    def _is_name(self, name: bytes) -> bool:
        """Return whether bytes can name a chunk, and are not sound, or where a wrong size leads to."""
        return any(name) if self._grammar.name > 4 else all(0x20 <= letter < 0x7F for letter in name)

    def _begins(self, at: int) -> bool:
        """Return whether a whole chunk can begin here."""
        content = at + self._grammar.head
        name, size = self._head(at) if content <= self._length else (b"\0", -1)
        return self._is_name(name) and 0 <= size <= self._length - content

    def _next(self, content: int, size: int) -> int:
        """Return where the chunk after a content begins: some programs leave out what pads it.

        What follows decides, as the middle of a chunk can look like the beginning of one.
        """
        end, padded = content + size, content + size + len(self._grammar.padding(size))
        return end if padded > end and self._in_a_row(end) > self._in_a_row(padded) else padded

    def _in_a_row(self, at: int) -> int:
        """Return how many whole chunks follow one another from here, up to as many as are looked at."""
        for number in range(_AHEAD):
            if at == self._length:
                return _AHEAD
            if not self._begins(at):
                return number
            size = self._head(at)[1]
            at = min(at + self._grammar.head + size + len(self._grammar.padding(size)), self._length)
        return _AHEAD

    def _are_chunks(self, at: int) -> bool:
        """Return whether there is nothing but whole chunks from here to the end."""
        for _ in range(MOST_CHUNKS):
            if at >= self._length or not self._begins(at):
                break
            at = self._next(at + self._grammar.head, self._head(at)[1])
        return at >= self._length

    def _measured(self, at: int, size: int) -> Extent:
        """Return where the sound is, if its chunk is said to hold so many bytes of it."""
        rest = max(0, self._length - at)
        short = self._grammar.size == 4
        unknown = short and size + self._grammar.lead == WRAP - 1
        if self._long and (unknown or size == 0):
            size, unknown, short = self._long_size, False, False
        size = max(size, 0)
        if size == 0 and rest and not self._are_chunks(at):
            return Extent(at, rest, None, unfinished=True)
        if unknown or size >= _ENDLESS or (size > rest and _stands_for_nothing(size)):
            return Extent(at, rest, None)
        if short and rest - size >= WRAP:
            end = at + size + (rest - size) // WRAP * WRAP
            if self._are_chunks(end) or self._are_chunks(end + size % 2):
                size = end - at
        return Extent(at, min(size, rest), size)


def _stands_for_nothing(size: int) -> bool:
    """Return whether a size stands for one that is not known: about 2 GB or 4 GB less what comes before the sound."""
    return 0x7FFF0000 <= size < 0x80010000 or WRAP - 0x10000 <= size < WRAP
