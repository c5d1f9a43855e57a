"""``mnmf methods``: the methods, what they need, and where they were published."""

from __future__ import annotations

import click
from rich.table import Table

from mnmf.cli._terminal import add_row, show


@click.command("methods")
def command() -> None:
    """List the methods with their citation and what they need."""
    from mnmf.methods import DEFAULT_METHOD, METHODS

    table = Table(box=None, pad_edge=False)
    for heading in ("method", "what it is", "needs", "citation"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "method")
    for name, method in METHODS.items():
        shown = f"{name} (default)" if name == DEFAULT_METHOD else name
        add_row(table, shown, method.summary, method.needs, method.citation)
    show(table)
