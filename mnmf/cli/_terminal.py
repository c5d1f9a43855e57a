"""The terminal: lines that are safe to print, a progress bar, and work that Ctrl-C can stop.

Everything that a command prints goes through here and is cleaned here: names of files, labels and manifests come from
others, and may hold what steers a terminal or turns the direction of a line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

__all__ = [
    "FAILED",
    "REFUSED",
    "add_row",
    "fail",
    "interruptible",
    "printable",
    "progress",
    "say",
    "say_json",
    "show",
    "stop",
    "unforeseen",
    "warn",
]

Result = TypeVar("Result")

REFUSED = 2  # exit status after a line that says what to change
FAILED = 70  # after an error that nobody has foreseen, as of EX_SOFTWARE
LONGEST = 2000  # characters of a line on stderr
TRACEBACK = "MNMF_TRACEBACK"  # the environment variable that shows where an error came from


def say(text: str) -> None:
    """Print one line on stdout."""
    click.echo(printable(text))


def warn(text: str) -> None:
    """Print one line on stderr, as this program's."""
    line = printable(" ".join(text.split("\n")))
    click.echo("mnmf: " + (line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"), err=True)


def fail(text: str) -> int:
    """Print why nothing was done, and return the exit status."""
    warn(text)
    return REFUSED


def unforeseen(error: Exception) -> int:
    """Print an error that is a fault of this program, or all that is known about it, and return the exit status."""
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        for line in "".join(traceback.format_exception(error)).splitlines():
            click.echo(printable(line), err=True)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    warn(
        f"this is a fault of mnmf: {text[:300]}; run it again with {TRACEBACK}=1 in the environment, and report what "
        "that prints with the command"
    )
    return FAILED


def show(table: Table) -> None:
    """Print a table on stdout, whose rows were added by `add_row`."""
    Console(highlight=False).print(table)


def add_row(table: Table, *cells: str, style: str | None = None) -> None:
    """Add a row to a table, its cells cleaned."""
    table.add_row(*(Text(printable(cell)) for cell in cells), style=style)


def say_json(value: Any) -> None:
    """Print JSON on stdout, in which nothing steers the terminal and every letter still has its meaning."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def printable(text: str) -> str:
    """Return text that cannot steer the terminal: control and bidirectional characters are spelled out."""
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


def stop() -> None:
    """End what a thread has started elsewhere, and remove what it has not finished."""
    if (estimators := sys.modules.get("mnmf.estimators")) is not None:
        estimators.stop_commands()
    for name in ("mnmf.files", "mnmf.output"):
        if (module := sys.modules.get(name)) is not None:
            module.abandon()
