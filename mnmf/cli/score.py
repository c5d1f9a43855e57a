"""``mnmf score``: how good stems are, against the true images of their sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table

from mnmf.cli._terminal import add_row, interruptible, printable, say, say_json, show, warn

__all__ = ["command", "score_table", "show_scores"]


@click.command("score", short_help="Score stems against the true images.")
@click.argument("stems_dir")
@click.option(
    "--reference",
    multiple=True,
    required=True,
    metavar="FILE",
    help="The true images in the manifest's order of sources: channels, or repeated.",
)
@click.option("--mixture", multiple=True, metavar="FILE", help="The take, to print the gain over it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(stems_dir: str, reference: tuple[str, ...], mixture: tuple[str, ...], as_json: bool) -> None:
    """Score stems against the true images of the sources at their spots.

    SDR, SIR and SAR are BSS_eval v3 with 512 taps; SNR allows no filter and is the median over frames of a second. They
    are compared above 20 Hz if that is where they were separated.
    """
    from mnmf.score import score_stems

    result = interruptible(lambda: score_stems(stems_dir, reference, mixture))
    for stem, likely in result.pop("mistaken"):
        warn(f"the stem {stem!r} is more like the reference of {likely!r}; check their order")
    if result["silent"]:
        warn(f"{', '.join(result['silent'])}: the stem is silent, which has no SDR, so the mean is that of the others")
    if as_json:
        say_json(_without_nan(result))
    else:
        show_scores(result)


def show_scores(result: Mapping[str, Any]) -> None:
    """Print the scores as a table, and above which frequency the stems were compared."""
    show(score_table(result))
    if result["above_hz"]:
        say(f"compared above {result['above_hz']:g} Hz, where they were separated")


def score_table(result: Mapping[str, Any]) -> Table:
    """Return the scores as a table: before and after where there is a mixture, and the gain."""
    with_input = "input" in result["mean"]
    scored, n_sources = result.get("scored", len(result["sources"])), len(result["sources"])
    mean = "mean" if scored == n_sources else f"mean of {scored} of {n_sources}"
    rows = [*result["sources"], {"name": mean, **result["mean"]}]
    table = Table(box=None, pad_edge=False)
    table.add_column("dB", no_wrap=True, min_width=max(len(printable(row["name"])) for row in rows))
    for name in ("SDR", "SIR", "SAR", "SNR"):
        table.add_column(name, justify="right", no_wrap=True)
        if with_input and name != "SAR":
            table.add_column(f"Δ{name}", justify="right", no_wrap=True)
    for row in rows:
        cells = []
        for name in ("sdr", "sir", "sar", "snr"):
            after = _decibels(row["output"][name])
            cells.append(f"{_decibels(row['input'][name])} → {after}" if with_input else after)
            if with_input and name != "sar":
                cells.append(_decibels(row["delta"][name], sign="+"))
        add_row(table, row["name"], *cells, style="bold" if row is rows[-1] else None)
    return table


def _decibels(value: float, sign: str = "-") -> str:
    return f"{value:{sign}.1f}" if math.isfinite(value) else "–" if math.isnan(value) else "∞"


def _without_nan(value: Any) -> Any:
    """Replace what JSON has no word for by null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
