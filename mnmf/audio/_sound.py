"""One audio file as libsndfile reads it, its header mended where libsndfile would not take it or would miss sound."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import soundfile as sf

from mnmf.audio import _flac
from mnmf.audio._kept import framed, layout_of, left_out, plain
from mnmf.audio._layout import MOST_CHUNKS, Layout
from mnmf.audio._riff import plain_name
from mnmf.audio._stamps import Stamp, stamp_of
from mnmf.errors import AudioFileError, MnmfError, OutputError
from mnmf.files import check_header, hushed, no_audio, reason

__all__ = ["ERRORS", "Sound"]

ERRORS = (sf.SoundFileError, OSError, TypeError, ValueError, AssertionError)  # what soundfile raises of a bad file


class _Mended(io.RawIOBase):
    """A file that begins with another header and goes on with a stretch of a real one."""

    def __init__(self, file: BinaryIO, head: bytes, start: int, size: int) -> None:
        self._file, self._head, self._start, self._size = file, head, start, size
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._head) + self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; an error is an end, as nobody hears of it behind libsndfile."""
        wanted, begin = memoryview(buffer).cast("B"), self._at
        part = self._head[self._at : self._at + len(wanted)]
        wanted[: len(part)] = part
        self._at += len(part)
        at = self._at - len(self._head)
        more = min(len(wanted) - len(part), self._size - at)
        if at >= 0 and more > 0:
            with suppress(OSError):
                self._file.seek(self._start + at)
                content = self._file.read(more)
                wanted[len(part) : len(part) + len(content)] = content
                self._at += len(content)
        return self._at - begin


@dataclass(frozen=True)
class Sound:
    """One audio file: how it stores samples, as soundfile names it, and what lies where in it.

    Attributes
    ----------
    path : Path
    format, subtype, endian : str
    channels, samplerate, frames : int
    layout : Layout or None
        None if its sound is packed, or its kind is another one.
    mended : tuple of (header, start, size), or None
        The header that libsndfile is given, and which bytes of the file come after it; None if it reads the file as it
        is.
    """

    path: Path
    format: str
    subtype: str
    endian: str
    channels: int
    samplerate: int
    frames: int
    layout: Layout | None = None
    mended: tuple[bytes, int, int] | None = None

    @classmethod
    def look(cls, path: Path) -> Sound:
        """Read the header of a file.

        Raises
        ------
        AudioFileError
            The file is missing or no audio, or states what cannot be.
        """
        try:
            if path.exists() and not path.is_file():
                raise AudioFileError(f"{path} is not a file; name the audio files themselves")
            with path.open("rb") as file:  # libsndfile does not say why it cannot open a file
                if not os.fstat(file.fileno()).st_size:  # reading what the system makes up may never end
                    raise AudioFileError(f"{path} is empty; export it again")
                layout = layout_of(file)
                found = _best(path, file, layout)
        except MnmfError:
            raise
        except (sf.SoundFileError, TypeError, ValueError) as error:
            said = no_audio(path, error)
            raise AudioFileError(f"{path} cannot be read as audio: {said}; convert it to WAV or FLAC") from error
        except OSError as error:
            raise AudioFileError(f"{path} cannot be opened: {reason(error)}; check the path") from error
        if found.frames < 1:
            raise AudioFileError(f"{path} holds no samples; export it again")
        if found.frames >= 1 << 48:
            raise AudioFileError(f"{path} does not say how long it is; convert it to WAV or FLAC")
        check_header(path, found, AudioFileError)
        return found

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Open the file as `soundfile.SoundFile`."""
        if self.mended is None:
            with hushed(self.path), sf.SoundFile(self.path) as file:
                yield file
        else:
            with self.path.open("rb") as raw, sf.SoundFile(_Mended(raw, *self.mended)) as file:
                yield file

    def is_like(self, file: Any) -> bool:
        """Return whether an open file still has the header that was read."""
        return (file.channels, file.frames, file.samplerate) == (self.channels, self.frames, self.samplerate)

    def stamp(self) -> Stamp:
        """Return when it begins, and what its tracks are called."""
        try:
            return stamp_of(self.path, self.layout, self.channels)
        except OSError as error:
            raise AudioFileError(f"{self.path} cannot be read: {reason(error)}; check the path") from error

    @property
    def is_short(self) -> bool:
        """Whether the end is missing, or may be."""
        layout = self.layout
        return layout is not None and (layout.unfinished or (self._stated or 0) > self.frames)

    @property
    def _stated(self) -> int | None:
        """How many samples the header states."""
        layout = self.layout
        if layout is None or layout.kind == "FLAC":
            return None if layout is None else _flac.stated_samples(layout) or None
        return None if layout.stated_bytes is None else layout.stated_bytes // layout.block

    def remarks(self) -> list[str]:
        """Return what a user should know of the file, a line each."""
        layout, said = self.layout, []
        if layout is None:
            return []
        there = self.frames / self.samplerate
        if layout.unfinished:
            said.append(f"{self.path} does not state how long it is, as if power was lost: {there:.3f} s are there")
        elif self.is_short:
            stated = (self._stated or 0) / self.samplerate
            said.append(f"{self.path} is cut short: {there:.3f} s of {stated:.3f} s are there")
        if layout.block and layout.beyond >= layout.block * self.samplerate:
            seconds = layout.beyond / (layout.block * self.samplerate)
            said.append(f"{self.path} states {there:.3f} s, and what could be {seconds:.3f} s more is left out")
        for chunk in left_out(layout):
            name = plain_name(chunk.name).decode("latin-1").strip()
            said.append(f"{self.path}: its chunk {name!r} of {chunk.size / 1e6:.0f} MB is too large for the stems")
        if len(layout.chunks) >= MOST_CHUNKS - 1:
            said.append(f"{self.path} has more than {MOST_CHUNKS} chunks; the stems have the first of them")
        if layout.cut:
            said.append(f"{self.path}: its last chunk, {layout.cut.decode('latin-1')!r}, is cut off, and is left out")
        return said


def _plainly(path: Path, file: Any) -> Sound:
    return Sound(path, file.format, file.subtype, file.endian, file.channels, file.samplerate, file.frames)


def _best(path: Path, file: BinaryIO, layout: Layout | None) -> Sound:
    """Return what libsndfile makes of a file, or of the same sound behind a header of ours if that is more true."""
    refused: Exception | None = None
    found = Sound(path, "", "", "", 0, 0, 0)
    try:
        with hushed(path), sf.SoundFile(path) as opened:
            found = replace(_plainly(path, opened), layout=layout)
    except ERRORS as error:
        refused = error
    mended = None if layout is None else _mended(file, layout, found)
    if mended is not None:
        return mended
    if refused is not None:
        raise refused
    return found


def _mended(file: BinaryIO, layout: Layout, plainly: Sound) -> Sound | None:
    """Return the sound behind a header of ours; None if that is not needed, or of no use."""
    path, n_found = plainly.path, plainly.frames
    if layout.kind == "FLAC":
        n_samples, end = _whole_frames(file, layout, path, n_found)
        head, size = _flac.mended(layout, n_samples), end - layout.sound_at
    else:
        n_samples, size = layout.n_samples, layout.n_samples * layout.block
        try:
            head = framed(layout, plain(layout, n_samples, layout.channels), n_samples, layout.channels).head
        except OutputError:  # no such file can be so long
            return None
    swapped = layout.kind == "RIFX" and plainly.endian != "BIG"  # as libsndfile has it once it has seen cues
    if n_samples == 0 or (n_samples == n_found and not swapped):
        return None
    found = Sound(path, "", "", "", 0, 0, 0, layout, (head, layout.sound_at, size))
    with suppress(*ERRORS), found.opened() as opened:
        if opened.frames == n_samples:
            return replace(_plainly(path, opened), layout=layout, mended=found.mended)
    return None


def _whole_frames(file: BinaryIO, layout: Layout, path: Path, n_found: int) -> tuple[int, int]:
    """Return how many samples a FLAC file holds, and where they end; as many as were found if nothing is amiss."""
    held = _flac.whole_frames(file, layout)
    nothing = n_found, layout.sound_at + layout.sound_bytes
    if held is None or held[0] == n_found:
        return nothing
    with suppress(*ERRORS), sf.SoundFile(path) as opened:  # something may follow that is no frame
        if opened.frames < 1 << 48 and opened.seek(n_found - 1) == n_found - 1 and len(opened.read(1)) == 1:
            return nothing
    return held
