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
        two sum to the take, sample for sample, and of every microphone whether all sources and what is left do, if that
        was written.

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


class _Sum(NamedTuple):
    """Mono files that should sum to what a microphone, counted from 0, heard; in words, what they are."""

    about: str
    files: list[str]
    mic: int
    what: str


def _spot_sums(stems: list[manifest.Stem]) -> Iterator[_Sum]:
    for stem in stems:
        if stem.residual is not None:
            yield _Sum(stem.name, [stem.file, stem.residual], stem.mics[0] - 1, "stem and residual")


def _mic_sums(stems: list[manifest.Stem], nobody: tuple[manifest.Bleed, ...]) -> Iterator[_Sum]:
    for rest in nobody:
        files = [stem.file for stem in stems if stem.mics[0] == rest.mic]
        files += [each.file for stem in stems for each in stem.bleed if each.mic == rest.mic]
        yield _Sum(f"mic {rest.mic}", [*files, rest.file], rest.mic - 1, "all sources and the rest")


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


def _sum(folder: Path, about: str, files: list[str], mic: int, what: str, take: Recording) -> Finding:
    """Return whether some mono files sum to what a microphone heard."""
    try:
        parts = Recording.open([folder / file for file in files])
        covered = take.covered(mic) if mic < take.n_mics else None
        if covered is None or (parts.n_mics, parts.n_samples) != (len(files), covered.n_samples):
            return Finding(about, False, f"{what} are not as long as the take, or have other channels")
        subtype, channel = take.mics[mic].subtype, take.mics[mic].channel
        heard = Recording.open([take.mics[mic].path]).part(covered.start, sum(covered))
        step = max(1, BLOCK // max(heard.n_mics, parts.n_mics))
        for start in range(0, covered.n_samples, step):
            stop = min(start + step, covered.n_samples)
            x_L = heard.read(start, stop, np.float64)[:, channel]
            y_LI = parts.read(start, stop, np.float64)
            off_L = np.abs(y_LI.sum(axis=1) - x_L) > _bound(x_L, y_LI, subtype)
            if np.any(off_L):
                where = (start + int(np.argmax(off_L))) / take.sample_rate
                return Finding(about, False, f"{what} do not sum to the take, first at {where:.3f} s")
    except AudioFileError as error:
        return Finding(about, False, str(error))
    exact = "as far as floats can" if subtype in FLOATS else "sample for sample"
    return Finding(about, True, f"{what} sum to the take, {exact}")


def _bound(x_L: Array, y_LI: Array, subtype: str) -> Array | float:
    """Return by how much a sum may differ from the take: a unit in the last place of the largest sum for each part."""
    if subtype not in FLOATS:
        return 0.0
    dtype = np.float32 if subtype == "FLOAT" else np.float64
    sums_LI = np.column_stack([x_L, y_LI, np.cumsum(y_LI, axis=1)])
    largest_L = np.abs(sums_LI).max(axis=1).astype(dtype)
    return np.asarray(max(y_LI.shape[1] - 1, 1) * np.spacing(largest_L), np.float64)
