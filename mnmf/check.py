"""Whether a folder of stems is still what a run left there, and sums to the take: files in, findings out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnmf import manifest
from mnmf.audio import Recording
from mnmf.errors import ArgumentError, AudioFileError, SessionError
from mnmf.files import regular

__all__ = ["Finding", "check_stems"]

Array = NDArray[Any]

BLOCK = 1 << 20  # samples of all channels compared at a time
FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Finding:
    """What was found about a file, or about a stem and its residual.

    Attributes
    ----------
    about : str
        A file, or a source.
    good : bool
    said : str
        In words.
    """

    about: str
    good: bool
    said: str


def check_stems(folder: str | Path) -> list[Finding]:
    """Compare what lies in a folder with its manifest, and each stem and residual with the take.

    Parameters
    ----------
    folder : path
        A folder that ``mnmf separate`` wrote.

    Returns
    -------
    list of Finding
        Of every stem, residual and input whether it is as it was; then of every source that has a residual whether the
        two sum to the take, sample for sample, at each of its spots, and of every microphone whether all sources and
        what is left do, if that was written.

    Raises
    ------
    SessionError
        There is no manifest, or it is none of ``mnmf separate``.
    """
    folder = Path(folder)
    record, stems = manifest.read(folder), manifest.read_stems(folder)
    found = []
    nobody = manifest.read_nobody(folder)
    for stem in stems:
        spot = [(stem.file, stem.sha256), (stem.residual, stem.residual_sha256)]
        for file, digest in (*spot, *((each.file, each.sha256) for each in stem.bleed)):
            if file is not None:
                found.append(_compared(folder / file, file, digest))
    found += [_compared(folder / each.file, each.file, each.sha256) for each in nobody]
    inputs, take = record.get("sha256"), record.get("take")
    if not (isinstance(take, list) and isinstance(inputs, dict) and _texts([*take, *inputs, *inputs.values()])):
        raise SessionError(f"{folder / manifest.MANIFEST}: does not say what was read; separate the take anew")
    found += [_compared(folder / name, name, digest) for name, digest in inputs.items()]
    sums = [*_spot_sums(stems), *_mic_sums(stems, nobody)]
    return found + list(_checked_sums(folder, sums, [folder / name for name in take], record))


class _Held(NamedTuple):
    """What a microphone heard of something: a channel of a file, which holds that of all of some, counted from 0."""

    file: str
    mics: tuple[int, ...]
    channel: int = 0


class _Sum(NamedTuple):
    """What should sum to what a microphone, counted from 0, heard; in words, what they are."""

    about: str
    parts: list[_Held]
    mic: int
    what: str


def _channel(file: str, stem: manifest.Stem, channel: int) -> _Held:
    return _Held(file, tuple(m - 1 for m in stem.heard_at), channel)


def _spot_sums(stems: list[manifest.Stem]) -> Iterator[_Sum]:
    for stem in stems:
        for i, mic in enumerate(stem.heard_at):
            if stem.residual is not None:
                about = stem.name if stem.channels == 1 else f"{stem.name} at mic {mic}"
                parts = [_channel(file, stem, i) for file in (stem.file, stem.residual)]
                yield _Sum(about, parts, mic - 1, "stem and residual")


def _mic_sums(stems: list[manifest.Stem], nobody: tuple[manifest.Bleed, ...]) -> Iterator[_Sum]:
    for rest in nobody:
        parts = [
            _channel(stem.file, stem, stem.heard_at.index(rest.mic)) for stem in stems if rest.mic in stem.heard_at
        ]
        files = [each.file for stem in stems for each in stem.bleed if each.mic == rest.mic]
        parts += [_Held(file, (rest.mic - 1,)) for file in (*files, rest.file)]
        yield _Sum(f"mic {rest.mic}", parts, rest.mic - 1, "all sources and the rest")


def _part(record: dict[str, Any]) -> tuple[int, int] | None:
    """Return the first sample of the take that was separated, and their number; None where that is not said."""
    first, count = record.get("first_sample", 0), record.get("samples")
    if isinstance(first, int) and isinstance(count, int) and not isinstance(first, bool):
        return first, count
    return None


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _compared(path: Path, name: str, digest: str | None) -> Finding:
    """Return whether a file has the bytes that the manifest knows."""
    try:
        with regular(path, SessionError, "put it back") as (file, _):
            found = hashlib.sha256()
            while block := file.read(BLOCK):
                found.update(block)
    except SessionError as error:
        return Finding(name, False, str(error))
    actual = found.hexdigest()
    if digest is None:
        return Finding(name, False, "the manifest has no digest of it")
    return Finding(name, actual == digest, "as it was" if actual == digest else "has changed since")


def _checked_sums(folder: Path, sums: list[_Sum], take: list[Path], record: dict[str, Any]) -> Iterator[Finding]:
    """Yield whether files sum to the take, or to a part of it."""
    if not sums:
        return
    try:
        recording = Recording.open(take, starts=manifest.read_starts(record, len(take)))
        if (part := _part(record)) is not None:
            recording = recording.part(part[0], sum(part))
    except (AudioFileError, ArgumentError) as error:
        yield Finding("take", False, str(error))
        return
    for each in sums:
        yield _sum(folder, *each, recording)


def _sum(folder: Path, about: str, parts: list[_Held], mic: int, what: str, take: Recording) -> Finding:
    """Return whether channels of some files sum to what a microphone heard."""
    try:
        n_mics = max(m for part in parts for m in part.mics) + 1
        opened = [Recording.open(folder / part.file) for part in parts]
        if n_mics > take.n_mics or not all(_fits(file, part, take) for file, part in zip(opened, parts)):
            return Finding(about, False, f"{what} are not as long as the take, or have other channels")
        subtypes = {take.mics[mic].subtype, *(file.mics[0].subtype for file in opened)}
        subtype = next((each for each in FLOATS if each in subtypes), take.mics[mic].subtype)
        before = [take.lead(part.mics) - take.lead(mic) for part in parts]
        n_samples = take.covered(mic).n_samples
        step = max(1, BLOCK // max(len(parts), *(file.n_mics for file in (*opened, take))))
        for start in range(0, n_samples, step):
            stop = min(start + step, n_samples)
            x_L = take.own(mic, start, stop)
            y_LI = np.column_stack(
                [
                    file.read(start + first, stop + first, np.float64, [part.channel])[:, 0]
                    for file, part, first in zip(opened, parts, before)
                ]
            )
            off_L = np.abs(y_LI.sum(axis=1) - x_L) > _bound(x_L, y_LI, subtype)
            if np.any(off_L):
                where = (start + int(np.argmax(off_L))) / take.sample_rate
                return Finding(about, False, f"{what} do not sum to the take, first at {where:.3f} s")
    except AudioFileError as error:
        return Finding(about, False, str(error))
    exact = "as far as floats can" if subtype in FLOATS else "sample for sample"
    return Finding(about, True, f"{what} sum to the take, {exact}")


def _fits(file: Recording, part: _Held, take: Recording) -> bool:
    """Return whether a file has the channels, the length and the rate that it should have."""
    wanted = len(part.mics), take.covered(part.mics).n_samples, take.sample_rate
    return (file.n_mics, file.n_samples, file.sample_rate) == wanted


def _bound(x_L: Array, y_LI: Array, subtype: str) -> Array | float:
    """Return by how much a sum may differ from the take: a unit in the last place of the largest sum for each part."""
    if subtype not in FLOATS:
        return 0.0
    dtype = np.float32 if subtype == "FLOAT" else np.float64
    sums_LI = np.column_stack([x_L, y_LI, np.cumsum(y_LI, axis=1)])
    largest_L = np.abs(sums_LI).max(axis=1).astype(dtype)
    return np.asarray(max(y_LI.shape[1] - 1, 1) * np.spacing(largest_L), np.float64)
