"""Frames in which microphones are missing: which frames a model may learn from, and how the others are filled in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import check_array

__all__ = ["check_missing", "spread", "whole_frames"]

Array = NDArray[Any]

FEWEST = 8  # frames to learn from
SHARE = 0.25  # of all frames: where fewer are whole, those that miss least are taken as well


def whole_frames(muted_TM: Array) -> NDArray[np.int64] | None:
    """Return the frames that space may be learned from, in order; None if all of them are whole.

    They are those in which no microphone is missing.  Where these are fewer than eight or than a quarter of all
    frames, those that miss least are taken as well, up to that number.

    Parameters
    ----------
    muted_TM : bool or float, shape (T, M)
        Whether a microphone is missing in a frame, or how much of it.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.models._missing import whole_frames
    >>> muted_TM = np.zeros((12, 2), bool)
    >>> muted_TM[4:6, 1] = True
    >>> whole_frames(muted_TM).tolist()
    [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    """
    lacking_T = np.asarray(muted_TM, np.float64).sum(axis=1)
    if not lacking_T.any():
        return None
    T = len(lacking_T)
    n_frames = max(int(np.sum(lacking_T == 0)), min(max(FEWEST, int(np.ceil(SHARE * T))), T))
    return np.sort(np.argsort(lacking_T, kind="stable")[:n_frames])


def spread(H_NKU: Array, frames: NDArray[np.int64], n_frames: int) -> Array:
    """Return activations of all frames, given those of some: at the others they are the mean of these.

    Parameters
    ----------
    H_NKU : float, shape (N, K, U)
    frames : int, shape (U,)
    n_frames : int
        T, of all frames.

    Returns
    -------
    H_NKT : as `H_NKU`, shape (N, K, T)
    """
    H_NKT = np.repeat(H_NKU.mean(axis=2, keepdims=True), n_frames, axis=2)
    H_NKT[:, :, frames] = H_NKU
    return np.asarray(H_NKT)


def check_missing(missing_TM: Any, n_frames: int, n_mics: int) -> Array | None:
    """Return which microphones are missing, bool (T, M), None if none is."""
    if missing_TM is None:
        return None
    missing = check_array("missing_TM", missing_TM, (n_frames, n_mics), "(T, M)").astype(bool)
    return missing if missing.any() else None
