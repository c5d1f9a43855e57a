"""Whether a folder of stems is still what a run left there, and sums to the take: files in, findings out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnmf import manifest
from mnmf.audio import Recording
from mnmf.errors import ArgumentError, AudioFileError, SessionError
from mnmf.files import regular

__all__ = ["Finding", "check_stems"]

BLOCK = 1 << 20  # samples of all channels compared at a time


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
        Of every stem, residual and input whether it is as it was, then of every source that has a residual whether the
        two sum to the take, sample for sample.

    Raises
    ------
    SessionError
        There is no manifest, or it is none of ``mnmf separate``.
    """
    folder = Path(folder)
    record, stems = manifest.read(folder), manifest.read_stems(folder)
    found = []
    for stem in stems:
        for file, digest in ((stem.file, stem.sha256), (stem.residual, stem.residual_sha256)):
            if file is not None:
                found.append(_compared(folder / file, file, digest))
    inputs, take = record.get("sha256"), record.get("take")
    if not (isinstance(take, list) and isinstance(inputs, dict) and _texts([*take, *inputs, *inputs.values()])):
        raise SessionError(f"{folder / manifest.MANIFEST}: does not say what was read; separate the take anew")
    found += [_compared(folder / name, name, digest) for name, digest in inputs.items()]
    summed = [stem for stem in stems if stem.residual is not None]
    if summed:
        found += _sums(folder, summed, [folder / name for name in take], _part(record))
    return found


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


def _sums(
    folder: Path, stems: list[manifest.Stem], take: list[Path], part: tuple[int, int] | None
) -> Iterator[Finding]:
    """Yield whether each stem and its residual sum to the take, or to a part of it."""
    try:
        recording = Recording.open(take)
        if part is not None:
            recording = recording.part(part[0], sum(part))
    except (AudioFileError, ArgumentError) as error:
        yield Finding("take", False, str(error))
        return
    for stem in stems:
        try:
            yield _sum(folder, stem, recording)
        except AudioFileError as error:
            yield Finding(stem.name, False, str(error))


def _sum(folder: Path, stem: manifest.Stem, take: Recording) -> Finding:
    parts = Recording.open([folder / file for file in stem.files])
    mic = stem.mics[0] - 1
    if mic >= take.n_mics or (parts.n_mics, parts.n_samples) != (2, take.n_samples):
        return Finding(stem.name, False, "stem and residual are not as long as the take, or have other channels")
    floats = take.mics[mic].subtype in ("FLOAT", "DOUBLE")
    dtype = np.float32 if take.mics[mic].subtype == "FLOAT" else np.float64
    heard, channel = Recording.open([take.mics[mic].path]), take.mics[mic].channel
    heard = heard.part(take.first, take.first + take.n_samples)
    step = max(1, BLOCK // heard.n_mics)
    for start in range(0, take.n_samples, step):
        stop = min(start + step, take.n_samples)
        x_L = heard.read(start, stop, np.float64)[:, channel]
        y_LI = parts.read(start, stop, np.float64)
        bound_L = np.spacing(np.abs([x_L, *y_LI.T]).max(axis=0).astype(dtype)) if floats else 0.0
        off_L = np.abs(y_LI.sum(axis=1) - x_L)
        if np.any(off_L > bound_L):
            where = (start + int(np.argmax(off_L > bound_L))) / take.sample_rate
            return Finding(stem.name, False, f"stem and residual do not sum to the take, first at {where:.3f} s")
    exact = "as far as floats can" if floats else "sample for sample"
    return Finding(stem.name, True, f"stem and residual sum to the take, {exact}")
