"""Stems: files that differ from a microphone's own in their samples only, and what is left of it without them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnmf.audio._formats import BITS, FLOATS, check_finite, dtype_of
from mnmf.audio._recording import Recording
from mnmf.audio._writing import write_like
from mnmf.errors import ArgumentError, check_choice
from mnmf.files import check_path
from mnmf.rows import Rows, blocks, column

__all__ = ["Portion", "beyond_full_scale", "rest_of", "write_stem"]

AnyPath = str | os.PathLike[str]

FADE = 0.01  # seconds in which a stem passes from the original to what was separated


class Portion(NamedTuple):
    """What one microphone heard of something, in a file of several channels or one that begins sooner.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf import audio
    >>> audio.Portion(Path("piano.wav"), channel=1).start
    0
    """

    path: AnyPath
    channel: int = 0
    start: int = 0  # the sample of the file at which the stem of the microphone begins


def write_stem(
    path: AnyPath,
    x_L: ArrayLike,
    like: Recording,
    mic: int | Sequence[int],
    *,
    take_L: ArrayLike | None = None,
    residual: AnyPath | None = None,
    beyond: Literal["own", "nothing"] = "own",
) -> int:
    """Write one microphone's stem as a mono file that differs from the original in nothing but its samples.

    That of several microphones is one file with a channel for each.  If they are the channels of one file, it differs
    from that in its samples only; else it is like the file of the first whose format holds the samples of all.

    Rate, container, sample format, byte order and every chunk that does not describe the sound are those of the
    original; in a stem of a `part` of it, time stamps and markers are those of the part.  Samples are rounded to the
    nearest integer, halves to even, and clipped to the integer range, so what `Recording.read` returned is written back
    bit for bit (32-bit and double files: as float64).
    The file appears under its name only when it is complete.

    Where the file of the microphone begins sooner or ends later than the take, so does the stem, which so lies under
    its original sample for sample; `beyond` says what it has there.

    Parameters
    ----------
    path : path
        Where to write; give it the extension `like.mics[like.pattern(mic)].suffix`.
    x_L : array of shape (L,), or (L, S) for S microphones, real floats, or `mnmf.rows.Rows`
        As long as the take, or as the stem; read in blocks, so it need not be in memory.
    like : Recording
        The take.
    mic : int, or sequence of S int
        Index of the microphone, from 0 on, or of several.
    take_L : the same, optional
        What the microphone heard, as `Recording.read` gave it: then samples are also clipped so far that what is left
        of it is within the integer range.
    residual : path, optional
        Where to write what is left, ``take_L`` less the stem as it is written, as another file like the original.  In
        integer formats the two sum to the take sample for sample; in float formats to a unit in the last place of the
        larger one.
    beyond : 'own' or 'nothing'
        Where only this microphone has sound, the stem has its own, bleed and all, or silence; it passes from one to the
        other in the first or last 10 ms of the take.

    Returns
    -------
    int
        Number of samples that had to be clipped; always 0 for float formats.

    Raises
    ------
    ArgumentError
        `x_L` has the wrong shape or type or holds NaN or infinite values, or there is no such microphone.
    OutputError
        The file cannot be written, or is one of the take's own.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clipped = audio.write(Path(folder, "viola.wav"), np.full(8000, 0.5), 8000, "PCM_16")
    ...     take = audio.Recording.open(Path(folder, "viola.wav"))
    ...     path = Path(folder, "viola-stem.wav")
    ...     clipped = audio.write_stem(path, 0.25 * take.read()[:, 0], take, mic=0)
    ...     stem = audio.Recording.open(path)
    ...     print(stem.mics[0].subtype, stem.sample_rate, stem.read().max())
    PCM_16 8000 0.125
    """
    mics = _checked_mics(mic, like)
    check_choice("beyond", beyond, ("own", "nothing"))
    samples = _checked("x_L", x_L, like, mic)
    if residual is not None and take_L is None:
        raise ArgumentError("a residual needs take_L, what the microphone heard")
    if take_L is None:
        return write_like(check_path(path), _whole(samples, like, mics, beyond), like, mics)
    heard = _checked("take_L", take_L, like, mic)
    if heard.shape != samples.shape:
        raise ArgumentError(f"take_L must be as long as x_L, which has {len(samples)} samples, got {len(heard)}")
    subtype, clipped = like.mics[like.pattern(mics)].subtype, 0
    parted = _Parted(_whole(samples, like, mics, beyond), _whole(heard, like, mics, "own", fade=False), subtype)
    shape: tuple[int, ...] = parted.x_L.shape

    def stem(start: int, stop: int, *columns: Any) -> NDArray[Any]:
        nonlocal clipped
        stem_L, _, count = parted(start, stop)
        clipped += count
        return stem_L

    write_like(check_path(path), Rows(shape, dtype_of(subtype), stem), like, mics)
    if residual is not None:
        rest = Rows(shape, dtype_of(subtype), lambda start, stop, *columns: parted(start, stop)[1])
        write_like(check_path(residual), rest, like, mics)
    return clipped


def _checked_mics(mic: int | Sequence[int], like: Recording) -> tuple[int, ...]:
    """Return microphones that are there, each once."""
    mics = (mic,) if isinstance(mic, int | np.integer) else tuple(mic)
    for m in mics:
        if not 0 <= m < like.n_mics:
            raise ArgumentError(f"mic must be between 0 and {like.n_mics - 1}, got {m}")
    if not mics or len(set(mics)) < len(mics):
        raise ArgumentError(f"mic must be one microphone or several, each once, got {mic}")
    return tuple(int(m) for m in mics)


def _checked(name: str, x_L: Any, like: Recording, mic: int | Sequence[int]) -> NDArray[Any] | Rows:
    """Return an array as long as the take, or as the stem, with a column for each of several microphones."""
    array = x_L if isinstance(x_L, Rows) else np.asanyarray(x_L)
    columns: tuple[int, ...] = () if isinstance(mic, int | np.integer) else (len(mic),)
    if array.shape not in ((like.n_samples, *columns), (like.covered(mic).n_samples, *columns)):
        wanted = "(samples, mics)" if columns else "(samples,)"
        shape = (like.n_samples, *columns)
        raise ArgumentError(f"{name} must have shape {wanted} = {shape} as the take, got {array.shape}")
    return array


def _whole(
    x_L: NDArray[Any] | Rows, like: Recording, mics: Sequence[int], beyond: str, *, fade: bool = True
) -> NDArray[Any] | Rows:
    """Return what is as long as the take as long as the stem of some microphones, float64 then.

    Beyond the take comes the own sound of each or nothing, and fades where the take has begun or will end.
    """
    length = like.covered(mics).n_samples
    if len(x_L) == length:
        return x_L
    if x_L.ndim == 1:
        (mic,) = mics
        return _one_whole(x_L, like, mic, mics, beyond, fade)
    parts = [_one_whole(column(x_L, i), like, m, mics, beyond, fade) for i, m in enumerate(mics)]

    def make(start: int, stop: int, columns: Sequence[int]) -> NDArray[Any]:
        return np.stack([parts[i][start:stop] for i in columns], axis=1)

    return Rows((length, len(mics)), np.float64, make)


def _one_whole(
    x_L: NDArray[Any] | Rows, like: Recording, mic: int, mics: Sequence[int], beyond: str, fade: bool
) -> Rows:
    """Return what a microphone heard of something in the take, as long as the stem of some of which it is one."""
    length, lead = like.covered(mics).n_samples, like.lead(mics)
    end = lead + len(x_L)
    begun = lead - like.lead(mic)  # where its own sound begins
    over = min(round(FADE * like.sample_rate), len(x_L) // 2) if fade else 0
    left, right = over if lead > begun else 0, over if end < begun + like.covered(mic).n_samples else 0

    def own(start: int, stop: int) -> NDArray[Any]:
        return like.own(mic, start, stop, mics) if beyond == "own" else np.zeros(stop - start)

    def make(start: int, stop: int) -> NDArray[Any]:
        y_L = np.zeros(stop - start)
        inside = slice(*(min(max(place, lead), end) for place in (start, stop)))
        if inside.start < inside.stop:
            y_L[inside.start - start : inside.stop - start] = x_L[inside.start - lead : inside.stop - lead]
        for first, last in ((start, min(stop, lead + left)), (max(start, end - right), stop)):
            if first < last:
                into_L = np.minimum(np.arange(first, last) - lead + 1, end - np.arange(first, last)) / (over + 1)
                part = y_L[first - start : last - start]
                part += (1.0 - np.clip(into_L, 0.0, 1.0)) * (own(first, last) - part)
        return y_L

    return Rows((length,), np.float64, make)


def rest_of(take_L: NDArray[Any] | Rows, parts: Sequence[AnyPath | Portion], like: Recording, mic: int) -> Rows:
    """Return what a microphone heard less what some files hold, as `Rows` of float64; it may exceed full scale.

    These are stems of that microphone, mono if nothing else is said, and it is as long.  In integer formats it is
    exact.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mnmf import audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, level in (("viola", 0.5), ("stem", 0.2)):
    ...         _ = audio.write(f"{folder}/{name}.wav", np.full(8, level), 8000, "PCM_16")
    ...     take = audio.Recording.open(f"{folder}/viola.wav")
    ...     float(audio.rest_of(take.read()[:, 0], [f"{folder}/stem.wav"], take, 0)[:1][0] * 2**15)
    9830.0
    """
    portions = [part if isinstance(part, Portion) else Portion(part) for part in parts]
    opened = [(Recording.open(part.path), part) for part in portions]
    floats = like.mics[mic].subtype in FLOATS
    heard = _whole(take_L, like, (mic,), "own", fade=False)

    def rest(start: int, stop: int) -> NDArray[Any]:
        rest_L = np.array(heard[start:stop], np.float64)
        for file, part in opened:
            if start < stop:
                rest_L -= file.read(start + part.start, stop + part.start, np.float64, [part.channel])[:, 0]
        return rest_L.astype(dtype_of(like.mics[mic].subtype)) if floats else rest_L

    return Rows(heard.shape, np.float64, rest)


def beyond_full_scale(x_L: Rows, like: Recording, mic: int) -> Rows | None:
    """Return by how much samples exceed what the format of a microphone holds, as `Rows`; None if none do.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mnmf import audio
    >>> from mnmf.rows import Rows, blocks, column
    >>> loud_L = np.array([0.5, 1.5])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = audio.write(f"{folder}/viola.wav", np.zeros(2), 8000, "PCM_16")
    ...     take = audio.Recording.open(f"{folder}/viola.wav")
    ...     audio.beyond_full_scale(Rows((2,), float, lambda start, stop: loud_L[start:stop]), take, 0)[:].round(2)
    array([0. , 0.5])
    """
    subtype = like.mics[mic].subtype
    if subtype in FLOATS:
        return None
    full = 2.0 ** (BITS[subtype] - 1)

    def beyond(start: int, stop: int) -> NDArray[Any]:
        block = np.rint(x_L[start:stop] * full)
        return np.asarray((block - np.clip(block, -full, full - 1)) / full)

    found = Rows(x_L.shape, np.float64, beyond)
    return found if any(np.any(block) for _, block in blocks(found)) else None


@dataclass(frozen=True)
class _Parted:
    """A stem as its file will hold it, what is left of the take then, and how many samples were clipped."""

    x_L: NDArray[Any] | Rows
    take_L: NDArray[Any] | Rows
    subtype: str

    def __call__(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        kind = dtype_of(self.subtype)
        block, heard = (np.asarray(each_L[start:stop], np.float64) for each_L in (self.x_L, self.take_L))
        check_finite(block)
        if self.subtype in FLOATS:
            stem = block.astype(kind)
            return stem, (heard - stem).astype(kind), 0
        full = 2.0 ** (BITS[self.subtype] - 1)
        rounded, whole = np.rint(block * full), np.rint(heard * full)
        fitting = np.clip(rounded, np.maximum(-full, whole - (full - 1)), np.minimum(full - 1, whole + full))
        clipped = int(np.count_nonzero(rounded != fitting))
        return (fitting / full).astype(kind), ((whole - fitting) / full).astype(kind), clipped
