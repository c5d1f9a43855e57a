"""``mnmf methods``: the methods, what they need, and where they were published."""

from __future__ import annotations

import click
from rich.table import Table

from mnmf.cli._terminal import add_row, show

SOLOS = {"needed": "needed", "useful": "help", "unused": "unused"}


@click.command("methods")
@click.option("--citations", is_flag=True, help="What each needs in full, and where it was published.")
def command(citations: bool) -> None:
    """List the methods, and what solos are to them."""
    from mnmf.methods import DEFAULT_METHOD, METHODS

    table = Table(box=None, pad_edge=False)
    for heading in ("method", "needs", "citation") if citations else ("method", "what it is", "solos"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "citation")
    for name, method in METHODS.items():
        shown = f"{name} (default)" if name == DEFAULT_METHOD else name
        solos = "or notes" if method.bases and method.solos == "unused" else SOLOS[method.solos]
        add_row(table, shown, *((method.needs, method.citation) if citations else (method.summary, solos)))
    show(table)
