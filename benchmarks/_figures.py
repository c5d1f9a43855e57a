"""What the figures of the docs have in common; matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import Any

IMAGES = Path(__file__).parent.parent / "docs" / "images"
# Told apart by the colour-blind, and in grey by their lightness (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
WITH_SOLOS, WITHOUT, NEITHER = COLOURS[0], COLOURS[1], "#666666"
WIDTH = 7.0  # inches of a figure that fills the column of text
FINE = 150  # dots an inch, for such a figure


def subplots(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> tuple[Any, Any]:
    """Return a figure of `size` inches and its axes, as `matplotlib.pyplot.subplots` does."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 9,
            "font.family": "DejaVu Sans",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "axes.axisbelow": True,
            "axes.prop_cycle": plt.cycler(color=COLOURS),
            "legend.frameon": False,
        }
    )
    return plt.subplots(rows, columns, figsize=size, layout="constrained", **options)


def headline(figure: Any, sentence: str) -> None:
    """Write above all panels what the figure says."""
    inches, _ = figure.get_size_inches()
    figure.suptitle(fill(sentence, round(12 * inches)), x=0.01, horizontalalignment="left", fontsize=11)


def markdown(sentence: str, name: str) -> str:
    """Return the figure as the docs show it; who cannot see it reads its headline."""
    return f"![{sentence}](images/{name}.png)"


def points(axis: Any, x: Sequence[float], means: Sequence[float], margins: Sequence[float], **options: Any) -> Any:
    """Draw means with their confidence intervals as thin lines, and return the container."""
    options = {"fmt": "o-", "markersize": 4, "linewidth": 1.5, "elinewidth": 0.8} | options
    return axis.errorbar(x, means, yerr=margins, **options)


def note(figure: Any, text: str) -> None:
    """Write below all panels how to read them."""
    figure.supxlabel(text, x=0.01, horizontalalignment="left", fontsize=8)


def label(axis: Any, text: str, at: tuple[float, float], by: tuple[float, float] = (6, 0), **options: Any) -> None:
    """Write beside a point, `by` points of a printer away from it; on the side away from the point."""
    horizontal = "left" if by[0] > 0 else "right" if by[0] < 0 else "center"
    vertical = "center" if by[0] else "bottom" if by[1] > 0 else "top"
    options = {"ha": horizontal, "va": vertical, "fontsize": 8, "annotation_clip": False} | options
    axis.annotate(text, at, xytext=by, textcoords="offset points", **options)


def apart(values: Sequence[float], gap: float) -> list[float]:
    """Return the values, moved upwards where one is less than `gap` above the next lower one: places of labels."""
    placed = [float(value) for value in values]
    order = sorted(range(len(placed)), key=placed.__getitem__)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    return placed


def save(figure: Any, name: str, *, dpi: int = 110) -> Path:
    """Write docs/images/NAME.png, byte for byte the same for the same figures."""
    path = IMAGES / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, metadata={"Software": None})
    print(f"wrote {path}")
    return path
