"""Data that comes with the library: a string quartet to try things on.

`quartet/README.md` says where the audio comes from and under what terms.  The embedded dictionary of notes lies beside
it and is opened by `mnmf.NoteDictionary.embedded`; datasets on your own disk are read by `mnmf.datasets`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Quartet", "quartet"]

_NAMES = ("violin1", "violin2", "viola", "cello")


@dataclass(frozen=True)
class Quartet:
    """Four dry stems that play together, and a scale by each player alone; `quartet` reads it.

    Parameters
    ----------
    names : tuple of str
        The players: violin1, violin2, viola, cello.
    stems_LN : ndarray of float64, shape (samples, players)
        13.7 s of music, aligned; about equally loud.
    solos_LN : ndarray of float64, shape (samples, players)
        6.5 s of a chromatic scale over the notes that the player has in the music.
    sample_rate : int
        In Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import data
    >>> silent = np.zeros((8000, 4))
    >>> data.Quartet(("violin1", "violin2", "viola", "cello"), silent, silent, 8000).sample_rate
    8000
    """

    names: tuple[str, ...]
    stems_LN: NDArray[np.float64]
    solos_LN: NDArray[np.float64]
    sample_rate: int


def quartet() -> Quartet:
    """Return the embedded quartet: an excerpt of W. A. Mozart's string quartet K. 458, third movement.

    Returns
    -------
    Quartet
        New arrays at each call.

    Examples
    --------
    >>> from mnmf import data
    >>> quartet = data.quartet()
    >>> quartet.names
    ('violin1', 'violin2', 'viola', 'cello')
    >>> quartet.stems_LN.shape, quartet.sample_rate
    ((603288, 4), 44100)
    """
    stems, sample_rate = _read([f"{name}.flac" for name in _NAMES])
    solos, _ = _read([f"{name}_solo.flac" for name in _NAMES])
    return Quartet(_NAMES, stems, solos, sample_rate)


def _read(files: list[str]) -> tuple[NDArray[np.float64], int]:
    from importlib.resources import files as resources

    import soundfile

    channels = []
    for name in files:
        with (resources(__name__) / "quartet" / name).open("rb") as file:
            samples, sample_rate = soundfile.read(file, dtype="float64")
        channels.append(samples)
    return np.stack(channels, axis=1), int(sample_rate)
