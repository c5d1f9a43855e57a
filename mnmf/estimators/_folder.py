"""Stems in a folder: which file is whose, and at which rate."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, AudioFileError

Array = NDArray[Any]

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")


class StemFolder:
    """Stems that any tool left in a folder: one audio file a source, called as the source is.

    Parameters
    ----------
    folder : path
    sources : sequence of str
        Names to look for, in any case of letters, in the folder or below it; other files do not matter, nor do those
        that end in anything but .wav, .flac, .aif, .aiff, .ogg or .mp3.

    Raises
    ------
    ArgumentError
        No such folder, none of the sources is in it, or one of them twice.
    """

    def __init__(self, folder: str | os.PathLike[str], sources: Sequence[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ArgumentError(f"{self.folder}: no such folder; the prior's stems should be in it")
        self.files = stems_in(self.folder, sources)
        if not self.files:
            names = sorted(path.name for path in audio_files(self.folder))
            raise ArgumentError(
                f"{self.folder}: no stem is called {' or '.join(sources)}; found {', '.join(names[:8]) or 'no audio'}"
            )

    @property
    def identity(self) -> str:
        """What its result depends on, for `cached`: the files."""
        return json.dumps(["folder", {source: stamp(path) for source, path in self.files.items()}])

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Return the stems that were found, at this rate."""
        return {source: read_stem(path, sample_rate) for source, path in self.files.items()}


def read_stem(path: Path, sample_rate: int) -> Array:
    """Return an audio file at another rate, (L, channels).

    Raises
    ------
    AudioFileError
        The file cannot be read.
    """
    try:
        x_LM, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(f"{path}: cannot be read ({error})") from error
    return resampled(x_LM, rate, sample_rate)


def resampled(x_LM: Array, rate: int, wanted: int) -> Array:
    """Return audio at another sample rate, of the same kind of floats."""
    if rate == wanted or len(x_LM) == 0:
        return x_LM
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return np.asarray(resample_poly(x_LM, wanted // common, rate // common, axis=0).astype(x_LM.dtype))


def audio_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def stems_in(folder: Path, sources: Sequence[str]) -> dict[str, Path]:
    """Find the file of each source: in the folder itself before folders below, its own letters before others."""
    files = [(path, _composed(path.stem)) for path in audio_files(folder)]
    found = {}
    for source in sources:
        own = _composed(source)
        alike = [path for path, name in files if name == own]
        alike = alike or [path for path, name in files if _composed(name.casefold()) == _composed(own.casefold())]
        if not alike:
            continue
        depth = min(len(path.parts) for path in alike)
        alike = [path for path in alike if len(path.parts) == depth]
        if len(alike) > 1:
            raise ArgumentError(
                f"{folder}: {alike[0].relative_to(folder)} and {alike[1].relative_to(folder)} could both be "
                f"{source!r}; keep one of them"
            )
        found[source] = alike[0]
    return found


def _composed(name: str) -> str:
    """Bring a name to one spelling: some systems keep ö as o and two dots."""
    return unicodedata.normalize("NFC", name)


def stamp(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Return what tells a file from itself after a change: its path, its size and when it was written."""
    status = os.stat(path)
    return os.fspath(path), status.st_size, status.st_mtime_ns
