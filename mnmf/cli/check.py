"""``mnmf check``: whether stems are still what a run wrote, and sum to the take."""

from __future__ import annotations

import click
from rich.table import Table

from mnmf.cli._terminal import add_row, interruptible, show
from mnmf.errors import SessionError

__all__ = ["command"]


@click.command("check", short_help="Prove that stems and inputs are unchanged, and their sums.")
@click.argument("stems_dir")
def command(stems_dir: str) -> None:
    """Check that stems and inputs are unchanged, and that what was written sums to the take.

    STEMS_DIR is a folder that `mnmf separate` wrote: with --residual each stem and its residual have to sum to the
    take, with --all-mics all sources and what is left at each mic.
    """
    from mnmf.check import check_stems

    found = interruptible(lambda: check_stems(stems_dir))
    table = Table(box=None, pad_edge=False, show_header=False)
    for each in found:
        add_row(table, "ok" if each.good else "BAD", each.about, each.said)
    show(table)
    wrong = [each.about for each in found if not each.good]
    if wrong:
        raise SessionError(f"{stems_dir}: {len(wrong)} of {len(found)} checks failed ({', '.join(wrong)}); see above")
