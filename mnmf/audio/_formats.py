"""Sample formats: how many bits, which floats hold them exactly, and how samples become bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError

__all__ = ["BITS", "FLOATS", "check_finite", "dtype_of", "encoded", "finest", "packed"]

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FLOATS = frozenset({"FLOAT", "DOUBLE"})
_FINER = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")  # from coarse to fine


def finest(subtypes: Sequence[str]) -> int:
    """Return which of some formats holds the samples of all others, the first of several.

    Examples
    --------
    >>> finest(["PCM_16", "FLOAT", "PCM_24", "FLOAT"])
    1
    """
    return max(range(len(subtypes)), key=lambda i: (_FINER.index(subtypes[i]), -i))


def dtype_of(subtype: str) -> type[np.floating[Any]]:
    """Return the smallest type that holds samples of a format exactly."""
    return np.float64 if subtype in ("DOUBLE", "PCM_32") else np.float32


def check_finite(x: NDArray[Any]) -> None:
    """Refuse what no file should hold."""
    if not np.isfinite(x).all():
        raise ArgumentError("audio to write holds NaN or infinite values; this is a fault of what made it")


def encoded(block: NDArray[Any], subtype: str) -> tuple[NDArray[Any], int]:
    """Return samples that libsndfile only has to shift or copy, and how many were clipped.

    Integers of every depth are justified to the left of an int32.
    """
    with np.errstate(over="ignore"):
        floats: NDArray[Any] = block.astype(np.float32 if subtype == "FLOAT" else np.float64, order="C")
    check_finite(floats)
    if subtype in FLOATS:
        return floats, 0
    bits = BITS[subtype]
    full = 2.0 ** (bits - 1)
    rounded = np.rint(floats * full)
    fitting = np.clip(rounded, -full, full - 1)
    return (fitting * 2.0 ** (32 - bits)).astype(np.int32), int(np.count_nonzero(rounded != fitting))


def packed(samples: NDArray[Any], subtype: str, big: bool) -> bytes:
    """Return what `encoded` gave as it stands in a file.

    Examples
    --------
    >>> packed(np.array([1 << 8, -(1 << 31)], np.int32), "PCM_24", big=False).hex(" ")
    '01 00 00 00 00 80'
    """
    sign = ">" if big else "<"
    if subtype in FLOATS:
        return samples.astype(sign + ("f4" if subtype == "FLOAT" else "f8")).tobytes()
    width = BITS[subtype] // 8
    of_four = samples.astype(sign + "i4").reshape(-1, 1).view(np.uint8)
    kept = of_four[:, :width] if big else of_four[:, 4 - width :]
    return (kept ^ 0x80 if subtype == "PCM_U8" else kept).tobytes()
