"""``mnmf report``: a page to look at and listen to, from a folder of stems."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from mnmf.cli._options import file_target, listed
from mnmf.cli._terminal import interruptible, say, warn
from mnmf.errors import MnmfError, OutputError

__all__ = ["REPORT", "check_page", "command", "report_beside"]

REPORT = "report.html"
ENDINGS = (".html", ".htm")


@click.command("report")
@click.argument("stems_dir")
@click.option("--out", metavar="FILE", help="The page; report.html beside the stems if not given.")
@click.option(
    "--reference",
    multiple=True,
    metavar="FILE",
    help="The true images in the manifest's order of sources, for a table of scores: channels, or repeated.",
)
@click.option("--only", metavar="A,B", help="Make it of these sources only.")
@click.option("--overwrite", is_flag=True, help="Replace a page that is there.")
def command(stems_dir: str, out: str | None, reference: tuple[str, ...], only: str | None, overwrite: bool) -> None:
    """Make a page on which you see and hear what was separated.

    STEMS_DIR is a folder that `mnmf separate` wrote. The page is one HTML file that needs nothing else: it switches
    between original, stem and residual while they play, and has a dial for the bleed of each source.
    """
    from mnmf.report import write_report

    target = Path(stems_dir) / REPORT if out is None else file_target(out, ENDINGS)
    check_page(target, overwrite)
    page = interruptible(lambda: write_report(stems_dir, target, reference=reference, only=listed(only) or ()))
    say(f"open {page} in a browser")


def check_page(target: Path, overwrite: bool) -> None:
    """Refuse to replace a page unless that is wanted."""
    if os.path.lexists(target) and not overwrite:
        raise OutputError(f"{target} exists already; add --overwrite, or choose another --out")


def report_beside(stems: Path, target: Path, reference: Sequence[Path] = ()) -> None:
    """Write the page of stems that are in their place; if that fails they stay, and it is said how to try again."""
    from mnmf.report import write_report

    try:
        page = interruptible(lambda: write_report(stems, target, reference=reference))
    except MnmfError:
        warn(f"the stems in {stems} are complete; only their report failed, which `mnmf report {stems}` tries again")
        raise
    say(f"open {page} in a browser")
