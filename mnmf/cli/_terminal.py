"""The terminal: lines that are safe to print, a progress bar, and work that Ctrl-C can stop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["REFUSED", "fail", "interruptible", "printable", "progress", "say", "show", "warn"]

Result = TypeVar("Result")

REFUSED = 2  # exit status after a line that says what to change


def say(text: str) -> None:
    """Print one line on stdout."""
    click.echo(printable(text))


def warn(text: str) -> None:
    """Print one line on stderr, as this program's."""
    click.echo("mnmf: " + printable(text.replace("\n", " ")), err=True)


def fail(text: str) -> int:
    """Print why nothing was done, and return the exit status."""
    warn(text)
    return REFUSED


def show(table: Table) -> None:
    """Print a table on stdout."""
    Console(highlight=False).print(table)


def printable(text: str) -> str:
    """Return text that cannot steer the terminal: names of files and sources may hold control characters."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@contextmanager
def progress(first: str) -> Iterator[Callable[[str, float], None]]:
    """Show one bar for the stages of the work, beginning with `first`; on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=1.0)
        yield lambda stage, done: bar.update(task, description=stage, completed=done)


def interruptible(work: Callable[[], Result]) -> Result:
    """Return ``work()``, run in a thread, so that Ctrl-C is heard at once even while compiled code runs."""
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
    except KeyboardInterrupt:
        if (estimators := sys.modules.get("mnmf.estimators")) is not None:
            estimators.stop_commands()
        raise
    if failure:
        raise failure[0]
    return outcome[0]
