"""What all pictures have in common: axes to draw on, names that are safe to draw, heat maps with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "DASHES", "heat_map", "hertz", "label", "names_of", "new_axes", "scale"]

Array = NDArray[Any]

# Okabe and Ito's colours, which people with any kind of colour vision tell apart; dashes serve in grey as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
SPECTRA = "magma"  # these two maps grow evenly in lightness
NUMBERS = "cividis"
SIZE = (6.4, 4.2)  # inches
MOST_NUMBERS = 24  # rows or columns of a heat map whose cells have numbers
FLOORS = (-40.0, -10.0)  # dB: the lowest levels that have colours of their own, in the strongest and the faintest map
STEP = 5.0  # dB
LONGEST = 24  # characters of a name


def new_axes(ax: Any, size: tuple[float, float] = SIZE, columns: int = 1) -> list[Axes]:
    """Return the given axes, or those of a new figure."""
    if ax is not None:
        given = [ax] if columns == 1 else list(np.ravel(ax))
        if len(given) != columns or not all(hasattr(each, "pcolormesh") for each in given):
            wanted = "Axes" if columns == 1 else f"{columns} Axes"
            raise ArgumentError(
                f"ax must be {wanted} of matplotlib, as plt.subplots(1, {columns})[1] are; got {ax!r:.80}"
            )
        return given
    try:
        pyplot: Any = import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ArgumentError("plots need matplotlib, which is not installed; pip install 'mnmf[plot]'") from error
    _, axes = pyplot.subplots(1, columns, figsize=size, layout="constrained", sharey=True, squeeze=False)
    return list(axes[0])


def label(text: str) -> str:
    """Return a name as it is drawn: printable, and not longer than there is room."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in str(text))
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def names_of(given: Sequence[str] | None, count: int, what: str) -> list[str]:
    """Return the names of sources or mics, numbered from 1 if there are none."""
    if given is None:
        return [f"{what} {number}" for number in range(1, count + 1)]
    if len(given) != count:
        raise ArgumentError(f"there are {count} {what}s, got {len(given)} names")
    return [f"{what} {name}" if str(name).isdecimal() else label(name) for name in given]


def title(axes: Axes, text: str) -> None:
    """Set the title, in which no name is taken for a formula."""
    axes.set_title(text, fontsize="medium", parse_math=False)


def hertz(axes: Axes, low: float, high: float) -> None:
    """Make the y axis one of frequencies, in logarithmic steps."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    ticks = [tick for tick in (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick // 1000} k" if tick >= 1000 else str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_ylabel("frequency in Hz")


def scale(axes: Sequence[Axes], drawn: Any, text: str) -> None:
    """Put a scale beside axes."""
    axes[0].figure.colorbar(drawn, ax=list(axes), label=text)


def heat_map(axes: Axes, level_NM: Array, rows: Sequence[str], columns: Sequence[str], text: str) -> None:
    """Draw levels in dB as a heat map with a number in each cell; colours reach down to the lowest, but not far."""
    lowest = level_NM[np.isfinite(level_NM)].min(initial=0.0)
    floor = float(np.clip(STEP * np.floor(lowest / STEP), *FLOORS))
    finite_NM = np.where(np.isfinite(level_NM), np.maximum(level_NM, floor), floor)
    top = max(float(finite_NM.max()), floor + 1.0)
    drawn = axes.imshow(finite_NM, cmap=NUMBERS, vmin=floor, vmax=top, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=30 if max(map(len, columns)) > 6 else 0, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.tick_params(length=0)
    if max(level_NM.shape) <= MOST_NUMBERS:
        for n, m in np.ndindex(*level_NM.shape):
            dark = finite_NM[n, m] < (floor + top) / 2
            axes.text(
                m, n, _number(float(level_NM[n, m])), ha="center", va="center", color="white" if dark else "black"
            )
    scale([axes], drawn, text)


def _number(level: float) -> str:
    if not np.isfinite(level):
        return "–"
    return f"{round(level, 1) + 0.0:.1f}".replace("-", "−")
