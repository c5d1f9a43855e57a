"""Estimates in a folder of audio files: which file belongs to which source, read at the rate of the take.

Running what writes such files, and reading takes themselves, does not live here.
"""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import LOUDEST, ArgumentError, AudioFileError
from mnmf.files import files_below, sound

Array = NDArray[Any]

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
RATES = (1000, 400_000)  # Hz of an estimate: at the rate of the take it may be as many times longer


class EstimateFolder:
    """Estimates that any tool left in a folder: one audio file for each source, with the name of the source.

    Parameters
    ----------
    folder : path
        May have sub-folders.
    sources : sequence of str
        Names to look for, in upper or lower case, in the folder and below it.  Other files are ignored, and so are
        names that end in anything but .wav, .flac, .aif, .aiff, .ogg or .mp3.

    Attributes
    ----------
    folder : Path
    files : dict of str to Path
        The file of each source that has one.

    Raises
    ------
    ArgumentError
        There is no such folder, it has none of the sources, or it has two files for one of them, or 50,000 others.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder) / "Violin.wav", np.zeros(100), 8000)
    ...     estimator = EstimateFolder(folder, ["violin", "cello"])
    ...     estimates = estimator(np.zeros((200, 2)), 16000)  # the take, at its own sample rate
    >>> {source: y_LC.shape for source, y_LC in estimates.items()}
    {'violin': (200, 1)}
    """

    def __init__(self, folder: str | os.PathLike[str], sources: Sequence[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ArgumentError(f"{self.folder}: no such folder; give the folder that holds the estimates")
        self.files = files_of(self.folder, sources)
        if not self.files:
            names = sorted(path.name for path in audio_files(self.folder))
            raise ArgumentError(
                f"{self.folder}: no file is called {' or '.join(sources)}; found {', '.join(names[:8]) or 'no audio'}"
            )

    @property
    def identity(self) -> str:
        """What the result depends on, for `cached`: the files."""
        return json.dumps(["folder", {source: stamp(path) for source, path in self.files.items()}])

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Return the estimates that were found, (L, channels), at this sample rate."""
        return {source: read_at(path, sample_rate) for source, path in self.files.items()}


def read_at(path: Path, sample_rate: int) -> Array:
    """Return an audio file at a given sample rate, float32 (L, channels).

    Raises
    ------
    AudioFileError
        The file cannot be read.
    """
    with sound(path, AudioFileError) as file:
        rate = int(file.samplerate)
        if not RATES[0] <= rate <= RATES[1]:
            raise AudioFileError(f"{path}: has a sample rate of {rate} Hz; export it at that of the take")
        x_LM = file.read(dtype="float32", always_2d=True)
    if not np.all(np.abs(x_LM) <= LOUDEST):  # nor NaN
        raise AudioFileError(f"{path}: holds NaN, infinite or enormous values; export it again")
    return resampled(x_LM, rate, sample_rate)


def resampled(x_LM: Array, rate: int, wanted: int) -> Array:
    """Return audio at another sample rate, in the same precision."""
    if rate == wanted or len(x_LM) == 0:
        return x_LM
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return np.asarray(resample_poly(x_LM, wanted // common, rate // common, axis=0).astype(x_LM.dtype))


def audio_files(folder: Path) -> list[Path]:
    """Return all audio files in a folder and below it, sorted; `ArgumentError` if it is as large as a whole disk."""
    found = files_below(folder, SUFFIXES, ArgumentError, "give the folder that holds the estimates alone")
    return [path for path in found if path.is_file()]


def files_of(folder: Path, sources: Sequence[str]) -> dict[str, Path]:
    """Find the file of each source: the exact name rather than one in another case, and the folder itself first."""
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
    """Return a name with each letter in one piece: some systems store ö as o and two dots."""
    return unicodedata.normalize("NFC", name)


def stamp(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Return what changes with a file: its path, its size and when it was written."""
    status = os.stat(path)
    return os.fspath(path), status.st_size, status.st_mtime_ns
