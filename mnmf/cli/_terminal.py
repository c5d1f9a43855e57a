"""The terminal: lines that are safe to print, a progress bar, and work that Ctrl-C can stop.

Everything that a command prints goes through here and is cleaned here: names of files, labels and manifests come from
others, and may hold what steers a terminal or turns the direction of a line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

__all__ = [
    "FAILED",
    "REFUSED",
    "add_row",
    "fail",
    "interruptible",
    "learning",
    "printable",
    "progress",
    "say",
    "say_json",
    "separating",
    "show",
    "stop",
    "talking",
    "unforeseen",
    "warn",
]

Result = TypeVar("Result")

REFUSED = 2  # exit status after a line that says what to change
FAILED = 70  # after an error that nobody has foreseen, as of EX_SOFTWARE
LONGEST = 2000  # characters of a line on stderr
WIDEST = 100_000  # columns of a table
TRACEBACK = "MNMF_TRACEBACK"  # the environment variable that shows where an error came from


@dataclass
class _Manner:
    """How this program talks."""

    quiet: bool = False
    events: bool = False


_MANNER = _Manner()


def learning(tell: Callable[[str, float], Any], stage: str) -> Callable[[str, float], Any]:
    """Return what passes on how far learning a room is, as the part of one stage of a command."""
    whole = Whole(LEARNING)
    return lambda name, part: tell(stage, whole.done(name, part))


def separating(tell: Callable[[str, float], Any], stage: str) -> Callable[[str, float], Any]:
    """Return what passes on how far a separation in one piece is, as the part of one stage of a command."""
    whole = Whole()
    return lambda name, part: tell(stage, whole.done(name, part))


@contextmanager
def talking(*, quiet: bool = False, events: bool = False) -> Iterator[None]:
    """Say nothing but what is wrong, or give events to other programs: a line of JSON each, on stdout."""
    before = _MANNER.quiet, _MANNER.events
    _MANNER.quiet, _MANNER.events = quiet, events
    try:
        yield
    except Exception as error:
        _event("error", text=printable(str(error)))
        raise
    finally:
        _MANNER.quiet, _MANNER.events = before


def _event(kind: str, **facts: Any) -> None:
    if _MANNER.events:
        click.echo(json.dumps({"event": kind, **facts}))  # in ASCII, which steers no terminal


def say(text: str) -> None:
    """Print one line on stdout, unless this program is to be quiet."""
    _event("said", text=text)
    if not (_MANNER.quiet or _MANNER.events):
        click.echo(printable(text))


def warn(text: str) -> None:
    """Print one line on stderr, as this program's."""
    line = printable(" ".join(text.split("\n")))
    _event("warning", text=line)
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
    """Print a table on stdout, whose rows were added by `add_row`.

    It is as wide as it needs to be where there is no terminal, and no terminal is so narrow that a number is cut.
    """
    console = Console(highlight=False)
    for column in table.columns:
        if column.no_wrap:  # else it would be cut
            column.min_width = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), table)
    console.width = max(console.width, needed.minimum) if console.is_terminal else needed.maximum
    console.print(table)


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


# Rough percentages of the time that stages take: of a take that is fitted in segments, and of any other.
IN_SEGMENTS = {"read": 2, "survey": 3, "estimate": 0, "learn": 45, "fit": 46, "write": 4}
LEARNING = {"read": 4, "survey": 6, "learn": 90}
IN_ONE_PIECE = {"read": 2, "survey": 5, "estimate": 0, "prepare": 45, "fit": 38, "reconstruct": 6, "write": 4}
WORDS = {
    "inspect": "looking for faults",
    "read": "reading",
    "survey": "looking at the take",
    "estimate": "waiting for estimates",
    "learn": "learning the room",
    "prepare": "preparing",
    "fit": "fitting",
    "reconstruct": "reconstructing",
    "write": "writing",
}
PLAIN = 30.0  # seconds between lines where there is no terminal
SOON = 0.5  # seconds between events of a stage
TELLING = 0.15  # of the whole: with less done nobody can tell how long the rest will take


class Whole:
    """How much of all the work is done, from how much of one stage after another is.

    Examples
    --------
    >>> whole = Whole()
    >>> [round(whole.done(*told), 2) for told in (("read", 0.5), ("learn", 0.2), ("fit", 0.5), ("fit", 0.4))]
    [0.01, 0.14, 0.73, 0.73]
    >>> Whole().done("notes", 0.25)  # the only stage
    0.25
    """

    def __init__(self, shares: Mapping[str, float] = IN_ONE_PIECE) -> None:
        self._shares = shares
        self._most = 0.0

    def done(self, stage: str, part: float) -> float:
        """Return the part of the whole, 0 to 1; it never goes back."""
        if stage == "learn" and stage not in self._shares:
            self._shares = IN_SEGMENTS
        if stage not in self._shares:
            return part
        names = list(self._shares)
        before = sum(self._shares[name] for name in names[: names.index(stage)])
        self._most = max(self._most, (before + part * self._shares[stage]) / sum(self._shares.values()))
        return self._most


@contextmanager
def progress(first: str, note: str = "", events: bool = True) -> Iterator[Callable[[str, float], None]]:
    """Show one bar for all stages of the work, beginning with `first`, and a `note` beside it.

    Where there is no terminal it is a line on stderr now and then, for work that takes its time.  Without `events`
    other programs are not told: they count the stages of a run, and not what comes before.
    """
    console = Console(stderr=True)
    silent = _MANNER.quiet or _MANNER.events
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    whole, begun = Whole(), time.monotonic()
    last, last_stage = begun, ""
    with Progress(*columns, console=console, transient=True, disable=silent or not console.is_terminal) as bar:
        task = bar.add_task(WORDS.get(first, first) + note, total=1.0)

        def tell(stage: str, part: float) -> None:
            nonlocal last, last_stage
            done, now = whole.done(stage, part), time.monotonic()
            words = WORDS.get(stage, stage)
            bar.update(task, description=words + note, completed=done)
            if events and _MANNER.events and (stage != last_stage or now - last >= SOON):
                last, last_stage = now, stage
                _event(
                    "progress", stage=stage, part=round(part, 4), whole=round(done, 4), seconds=round(now - begun, 1)
                )
            elif not silent and not console.is_terminal and now - last >= PLAIN:
                last = now
                left = f", about {_lasting((now - begun) * (1 - done) / done)} left" if done > TELLING else ""
                warn(f"{words}{note}: {done:.0%} done{left}")

        yield tell


def _lasting(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{seconds:.0f} seconds"


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
