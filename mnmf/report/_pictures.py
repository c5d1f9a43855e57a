"""Spectrograms as PNG, curves as paths of SVG, and the colours of a heat map: numbers in, text out."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

__all__ = ["LOWEST", "RANGE", "heat", "line", "outline", "png", "rows_of", "scale_of_colours", "spectrogram", "ticks"]

Array = NDArray[Any]

LOWEST, HIGHEST = 50.0, 16000.0  # Hz
RANGE = 70.0  # dB
WINDOW = 0.07  # seconds
# From silence to the loudest: lightness rises evenly.
COLOURS = np.array([[8, 8, 24], [52, 22, 94], [128, 30, 110], [204, 62, 74], [245, 137, 54], [252, 246, 190]])
# Of heat maps, from faint to loud.
HEAT = np.array([[232, 240, 247], [168, 204, 229], [250, 214, 122], [231, 125, 60], [160, 28, 40]])


def spectrogram(x_L: Array, sample_rate: int, loudest: float | None, rows: int, columns: int) -> tuple[Array, float]:
    """Return levels in dB below the loudest, (rows, columns), and the loudest power, which is that given or its own.

    The highest frequency comes first; rows are even in the logarithm of frequency.

    Examples
    --------
    >>> x_L = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> levels_RC, _ = spectrogram(x_L, 16000, None, 64, 50)
    >>> levels_RC.shape, int(levels_RC.mean(axis=1).argmax()), [round(f) for f in rows_of(16000, 64)[26:28]]
    ((64, 50), 26, [1018, 940])
    """
    length = 1 << max(round(np.log2(WINDOW * sample_rate)), 3)
    padded = np.pad(np.asarray(x_L, np.float64), length // 2)
    step = max((len(padded) - length) / max(columns - 1, 1), 1.0)
    hop = max(int(min(step, length / 4)), 1)
    _, _, X_FT = scipy.signal.stft(padded, nperseg=length, noverlap=length - hop, boundary=None, padded=False)
    power_FT = np.square(np.abs(X_FT))
    T = power_FT.shape[1]
    edges = np.unique(np.linspace(0, T, columns + 1).astype(int)[:-1])
    counts = np.diff(np.append(edges, T))
    power_FC = np.add.reduceat(power_FT, edges, axis=1) / counts
    power_FC = power_FC[:, np.linspace(0, power_FC.shape[1] - 1, columns).round().astype(int)]
    bounds = np.append(rows_of(sample_rate, rows), LOWEST)[::-1] * length / sample_rate  # in bins, rising
    power_RC = np.empty((rows, columns))
    for r, (low, high) in enumerate(pairwise(bounds)):
        first, last = int(np.ceil(low)), int(np.floor(high))
        if last > first:
            power_RC[r] = power_FC[first : last + 1].max(axis=0)
        else:  # between two bins
            middle = min((low + high) / 2, len(power_FC) - 1.001)
            part = middle - int(middle)
            power_RC[r] = (1 - part) * power_FC[int(middle)] + part * power_FC[int(middle) + 1]
    most = float(power_RC.max()) if loudest is None else loudest
    return 10 * np.log10(np.maximum(power_RC[::-1] / max(most, 1e-30), 1e-12)), most


def rows_of(sample_rate: float, rows: int) -> Array:
    """Return the upper frequencies in hertz of the rows of a spectrogram, falling."""
    return np.asarray(np.geomspace(min(HIGHEST, 0.5 * sample_rate), LOWEST, rows, endpoint=False))


def ticks(sample_rate: float) -> list[tuple[str, float]]:
    """Return frequencies to write beside a spectrogram, and where: 0 at its foot, 1 at its head."""
    highest = min(HIGHEST, 0.5 * sample_rate)
    wanted = [(f"{f:g} Hz" if f < 1000 else f"{f / 1000:g} kHz", f) for f in (100, 300, 1000, 3000, 10000)]
    return [(text, float(np.log(f / LOWEST) / np.log(highest / LOWEST))) for text, f in wanted if f < 0.95 * highest]


def png(levels_RC: Array) -> str:
    """Return a picture of levels, 0 dB and `RANGE` below it, as PNG in base64.

    Examples
    --------
    >>> base64.b64decode(png(np.zeros((2, 3))))[1:4]
    b'PNG'
    """
    grey = np.rint(255 * np.clip(1 + levels_RC / RANGE, 0, 1)).astype(np.uint8)
    rows, columns = grey.shape
    place = np.linspace(0, len(COLOURS) - 1, 256)
    palette = np.stack([np.interp(place, range(len(COLOURS)), COLOURS[:, c]) for c in range(3)], axis=1)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), grey], axis=1)  # each begins with the filter it has: none
    chunks = (
        (b"IHDR", struct.pack(">2I5B", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", np.rint(palette).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    parts = [b"\x89PNG\r\n\x1a\n"]
    parts += [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return base64.b64encode(b"".join(parts)).decode("ascii")


def scale_of_colours() -> str:
    """Return the colours of a spectrogram as a gradient of CSS, from faint to loud."""
    return ", ".join(f"rgb({r} {g} {b})" for r, g, b in COLOURS.tolist())


def outline(edges_C: Array, peak: float) -> str:
    """Return the path of a waveform in a box as wide as it has columns, from -50 to 50, `peak` being full height.

    Examples
    --------
    >>> outline(np.array([[-1.0, 0.5], [0.0, 1.0]]), 1.0)
    'M0 -25L1 -50L1 0L0 50Z'
    """
    scale = 50 / max(peak, 1e-9)
    upper = [(c, -scale * float(high)) for c, (_, high) in enumerate(edges_C)]
    lower = [(c, -scale * float(low)) for c, (low, _) in enumerate(edges_C)]
    return "M" + "L".join(f"{c} {_short(y)}" for c, y in upper + lower[::-1]) + "Z"


def line(values: Sequence[float], width: float, height: float) -> str:
    """Return the path of a curve of values from 0 to 1 in a box, 0 at its foot.

    Examples
    --------
    >>> line([1.0, 0.0], 100, 50)
    'M0 0L100 50'
    """
    step = width / max(len(values) - 1, 1)
    return "M" + "L".join(f"{_short(i * step)} {_short((1 - v) * height)}" for i, v in enumerate(values))


def _short(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def heat(level: float, faintest: float = -40.0) -> tuple[str, str]:
    """Return the colours of a cell and of its text for a level from `faintest` to 0 dB.

    Examples
    --------
    >>> heat(0.0), heat(-100.0)
    (('#a01c28', '#fff'), ('#e8f0f7', '#000'))
    """
    place = float(np.clip(1 - level / faintest, 0, 1)) * (len(HEAT) - 1)
    red, green, blue = (round(float(np.interp(place, range(len(HEAT)), HEAT[:, c]))) for c in range(3))
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return f"#{red:02x}{green:02x}{blue:02x}", "#fff" if luminance < 0.18 else "#000"
