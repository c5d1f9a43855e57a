"""What the figures of the docs have in common; matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent.parent / "docs" / "images"
# Told apart by the colour-blind, and in grey by their lightness (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")


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


def curve(axis: Any, x: Sequence[float], means: Sequence[float], margins: Sequence[float], label: str) -> None:
    """Draw means with their confidence intervals as a band."""
    (line,) = axis.plot(x, means, marker="o", markersize=4, label=label)
    low, high = zip(*((mean - margin, mean + margin) for mean, margin in zip(means, margins)))
    axis.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def save(figure: Any, name: str) -> Path:
    """Write docs/images/NAME.png, byte for byte the same for the same figures."""
    path = IMAGES / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    print(f"wrote {path}")
    return path
