"""Samples to files, which appear when they are complete.

libsndfile encodes what is packed, and what has no original.  A stem in any other container begins and ends with the
bytes of its original, and only the numbers that count samples and channels are new.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike, NDArray

from mnmf.audio import _flac, _recording, _riff
from mnmf.audio._formats import BITS, FLOATS, encoded, packed
from mnmf.audio._kept import framed, kept_chunks, layout_of, plain
from mnmf.audio._layout import Framed, Kept, Layout
from mnmf.audio._moved import Part
from mnmf.audio._recording import Recording
from mnmf.audio._sound import Sound
from mnmf.errors import MOST_RATE, ArgumentError, OutputError, check_count
from mnmf.files import PARTIAL, check_path, reason
from mnmf.output import same_file
from mnmf.rows import Rows

__all__ = ["MOST_OF_FLAC", "write", "write_like"]

AnyPath = str | os.PathLike[str]

MOST_OF_FLAC = 8  # channels
_SUFFIXES = {"WAV": ".wav", "FLAC": ".flac", "AIFF": ".aiff .aif .aifc", "CAF": ".caf", "W64": ".w64", "RF64": ".rf64"}
_HEADER = 4096  # bytes, more than libsndfile puts before and after samples
_LARGEST_BLOCK = (1 << 24) - 1  # bytes of a block of FLAC


def write(path: AnyPath, x_LM: ArrayLike, sample_rate: int, subtype: str = "PCM_24") -> int:
    """Write audio of any number of channels; the extension of `path` chooses the container.

    Parameters
    ----------
    path : path
        Ends in .wav, .flac, .aiff, .caf, .w64 or .rf64; appears only when it is complete.
    x_LM : array of shape (L, M) or (L,), real floats
        Full scale is 1.
    sample_rate : int
        In hertz.
    subtype : str
        Sample format: PCM_16, PCM_24, PCM_32, FLOAT, DOUBLE, ….

    Returns
    -------
    int
        Number of samples that had to be clipped.

    Raises
    ------
    ArgumentError
        The array, the extension or the subtype cannot be written.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     audio.write(Path(folder, "loud.flac"), [0.0, 0.5, 1.5, -1.5], 44100, "PCM_16")
    2
    """
    target = check_path(path)
    check_count(f"{target}: the sample rate", sample_rate, 1, MOST_RATE)
    container = next((name for name, ends in _SUFFIXES.items() if target.suffix.lower() in ends.split()), None)
    if container is None:
        raise ArgumentError(f"{target}: the extension must be one of {' '.join(_SUFFIXES.values())}")
    if not (subtype in BITS or subtype in FLOATS) or not sf.check_format(container, subtype):
        raise ArgumentError(f"subtype {subtype!r} cannot be written to a {container} file; try PCM_24")
    x = np.asanyarray(x_LM)
    if container == "WAV" and x.size * _bytes_of(subtype) > _riff.LARGEST - _HEADER:
        container = "RF64"
    _check_floats(x)
    channels = 1 if x.ndim == 1 else x.shape[1]
    if container == "FLAC" and channels > MOST_OF_FLAC:
        raise ArgumentError(f"{target}: FLAC holds at most {MOST_OF_FLAC} channels, not {channels}; write a WAV file")
    with _finished(target, x.size * _bytes_of(subtype)) as partial:
        clipped = _by_libsndfile(partial, x, sample_rate, channels, subtype, container, "FILE")
        _check_arrived(partial, len(x))
    return clipped


def _bytes_of(subtype: str) -> int:
    return BITS.get(subtype, 64 if subtype == "DOUBLE" else 32) // 8


def _check_floats(x: NDArray[Any] | Rows) -> None:
    if x.ndim not in (1, 2) or 0 in x.shape or not np.issubdtype(x.dtype, np.floating):
        raise ArgumentError(f"audio to write must be floats of shape (samples, mics), got {x.dtype} {x.shape}")


def write_like(target: Path, samples: NDArray[Any] | Rows, like: Recording, mics: Sequence[int]) -> int:
    """Write the samples of some microphones as a file like their own, and return how many had to be clipped.

    Raises
    ------
    ArgumentError
        The samples are not floats, or not finite.
    OutputError
        The file cannot be written, or is one of the take's own.
    """
    if clash := same_file(target, like.paths):
        raise OutputError(f"{target} is the input {clash}; choose another --out")
    _check_floats(samples)
    sound, part = like.sound(like.pattern(mics)), like.covered(mics)
    channels, same = len(mics), like.is_whole_file(mics)
    layout = _layout_for(sound, channels, same)
    with _finished(target, samples.size * _bytes_of(sound.subtype)) as partial:
        whole = part == Part(0, sound.frames)
        kept = [] if layout is None else kept_chunks(sound.path, layout, part, whole, channels, same)
        if layout is None or layout.kind == "FLAC":
            how = (sound.samplerate, channels, sound.subtype, sound.format, sound.endian)
            clipped = _by_libsndfile(partial, samples, *how)
            _put_blocks(partial, kept)
        else:
            clipped = _framed(partial, samples, sound, framed(layout, kept, len(samples), channels))
        _check_arrived(partial, len(samples), sound)
    return clipped


def _layout_for(sound: Sound, channels: int, same: bool) -> Layout | None:
    """Return the layout of a stem: that of its original, if libsndfile takes the same description for its channels.

    If it does not, samples are described as libsndfile describes them; None if that is of no use either.
    """
    layout = sound.layout
    if layout is None or layout.kind == "FLAC" or _is_understood(layout, sound, channels, same):
        return layout
    how = (sound.samplerate, sound.subtype, sound.endian, sound.format)
    with suppress(sf.SoundFileError, TypeError, ValueError):
        sf.write(sample := io.BytesIO(), np.zeros((1, channels)), *how)
        anew = layout_of(sample)
        if anew is not None and anew.kind == layout.kind:
            known = {name: getattr(anew, name) for name in ("described", "channels", "block", "order")}
            return again if _is_understood(again := replace(layout, **known), sound, channels, same=True) else None
    return None


def _is_understood(layout: Layout, sound: Sound, channels: int, same: bool) -> bool:
    """Return whether a stem of one sample is what it should be."""
    if layout.width != _bytes_of(sound.subtype):
        return False
    head, tail = framed(layout, plain(layout, 1, channels, same), 1, channels)
    one = io.BytesIO(head + bytes(layout.width * channels) + tail)
    with suppress(sf.SoundFileError, TypeError, ValueError), sf.SoundFile(one) as file:
        as_wanted = (file.channels, file.frames, file.subtype) == (channels, 1, sound.subtype)
        return bool(as_wanted) and _is_big(file) == _is_big(sound)
    return False


def _is_big(file: Any) -> bool:
    """Return whether bytes of a sample stand with the most significant one first."""
    if file.endian != "FILE":
        return bool(file.endian == "BIG")
    return file.format in ("AIFF", "CAF", "AU")


def _framed(partial: Path, samples: NDArray[Any] | Rows, sound: Sound, around: Framed) -> int:
    """Write the bytes of the original around samples, and return how many had to be clipped."""
    clipped, big = 0, _is_big(sound)
    step = max(1, _recording.BLOCK // max(1, samples.size // len(samples)))
    with partial.open("wb") as file:
        file.write(around.head)
        for at in range(0, len(samples), step):
            block, over = encoded(samples[at : at + step], sound.subtype)
            clipped += over
            file.write(packed(block, sound.subtype, big))
        file.write(around.tail)
        file.flush()
        os.fsync(file.fileno())
    return clipped


def _by_libsndfile(
    partial: Path,
    x_LM: NDArray[Any] | Rows,
    sample_rate: int,
    channels: int,
    subtype: str,
    container: str,
    endian: str,
) -> int:
    """Write samples as libsndfile does, but for the time of day; return how many had to be clipped."""
    step, clipped = max(1, _recording.BLOCK // channels), 0
    partial.touch(exist_ok=False)  # its error says why a file cannot be made; libsndfile's does not
    with sf.SoundFile(partial, "w", sample_rate, channels, subtype, endian, container) as file:
        for at in range(0, len(x_LM), step):
            block, over = encoded(x_LM[at : at + step], subtype)
            clipped += over
            file.write(block)
    with partial.open("r+b") as plain_file:
        layout = layout_of(plain_file)
        for chunk in () if layout is None else layout.chunks:
            if chunk.name == b"PEAK":  # its second word is the time of day, which would make every run differ
                plain_file.seek(chunk.at + 4)
                plain_file.write(bytes(4))
        plain_file.flush()
        os.fsync(plain_file.fileno())
    return clipped


def _put_blocks(partial: Path, kept: list[Kept]) -> None:
    """Put blocks of metadata into a FLAC file, in the place of those that libsndfile made."""
    left = [each for each in kept if len(each.content) <= _LARGEST_BLOCK]
    if not left:
        return
    frames = partial.with_name(f"{partial.name}-frames")
    try:
        os.replace(partial, frames)
        with frames.open("rb") as old, partial.open("wb") as new:
            layout = layout_of(old)
            if layout is None:
                raise OSError("not all samples arrived")
            new.write(_flac.head(layout, left))
            old.seek(layout.sound_at)
            shutil.copyfileobj(old, new, _recording.BLOCK)
            new.flush()
            os.fsync(new.fileno())
    finally:
        with suppress(OSError):
            frames.unlink(missing_ok=True)


def _check_arrived(path: Path, n_samples: int, like: Sound | None = None) -> None:
    """Raise OSError if a file does not hold what was written."""
    found = Sound.look(path)
    with found.opened() as file:
        if file.frames != n_samples or not file.seek(n_samples - 1) == n_samples - 1 or len(file.read(1)) != 1:
            raise OSError("not all samples arrived")
    if like is not None and (found.subtype, found.samplerate) != (like.subtype, like.samplerate):
        raise OSError("another format arrived")


@contextmanager
def _finished(target: Path, needed: int) -> Iterator[Path]:
    """Give a place beside `target`, which takes its name at the end, or goes if anything fails."""
    partial = target.parent / f"{PARTIAL}{secrets.token_hex(8)}"
    try:
        yield partial
        os.replace(partial, target)
    except OutputError as error:
        raise OutputError(f"{target} cannot be written: {error}") from error
    except (sf.SoundFileError, OSError, AssertionError, UnicodeError) as error:
        # libsndfile calls every failure a system error, so ask the disk whether it is full.
        why = "not all samples were taken" if isinstance(error, AssertionError) else reason(error)
        with suppress(OSError):
            if shutil.disk_usage(target.parent).free < needed:
                why = "the disk is full"
        message = f"{target} cannot be written: {why}; free space or choose another --out"
        raise OutputError(message) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
