"""``mnmf plan``: what separating a take will need, from its headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.table import Table

from mnmf.cli._options import (
    Grouped,
    check_tuning,
    dictionary_option,
    instruments_option,
    memory_option,
    session_keys,
    session_options,
    tuning_options,
)
from mnmf.cli._run import within_memory
from mnmf.cli._terminal import add_row, say, show, warn
from mnmf.errors import ArgumentError, SessionError

if TYPE_CHECKING:
    from mnmf.audio import Recording

__all__ = ["command"]


@click.command("plan", short_help="Foresee memory, time and disk of a separation.", cls=Grouped)
@session_options
@instruments_option
@click.option("--all-mics", is_flag=True, help="Plan for what every mic heard of every source, too.")
@memory_option
@tuning_options
@dictionary_option
def command(take: tuple[str, ...], **options: Any) -> None:
    """Foresee the memory, the time and the disk that separating a take will need.

    TAKE is given as to `mnmf separate`, and so are the options that count for this; no sound is read.
    """
    from mnmf.methods import DEFAULT_METHOD, find_method
    from mnmf.plan import Size, foreseen_seconds, plan
    from mnmf.session import Session

    check_tuning(options)
    files: Any = take[0] if len(take) == 1 else take
    recording, n_sources, solos = Session.outline(files, **session_keys(options))
    method = find_method(options["method"] or DEFAULT_METHOD, dictionary=bool(options["dictionary"]))
    if n_sources < 1:
        raise SessionError("there are no sources; take a mic off --ambient, or name some with --sources")
    n_iterations = method.sizes(options["components"], options["iterations"])[1]
    double = recording.exact_dtype is np.float64
    size = Size(recording.n_samples, recording.sample_rate, recording.n_mics, n_sources, solos, double)
    further = _further_spots(recording, n_sources, session_keys(options).get("spots", {}))
    size = replace(size, n_bleed=n_sources * (recording.n_mics - 1) if options["all_mics"] else further)
    for remark in recording.remarks:
        warn(remark)
    say(f"{recording.duration / 60:.1f} minutes of {recording.n_mics} mics at {recording.sample_rate} Hz")
    say(f"{n_sources} sources, {'with' if solos else 'without'} a solo of each")
    if options["memory"] is not None:
        within_memory(size, method, options, options)
    known = {name: options[name] for name in ("segment", "window", "components")}
    planned = plan(method, size, **known)
    if planned is None:
        say(f"{method.name}: fits a take in one piece; what that needs is not known")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    add_row(table, "segments", str(len(planned.spans)))
    add_row(table, "memory", f"{planned.memory / 1e9:.1f} GB")
    add_row(table, "disk, until it is done", f"{planned.disk / 1e9:.1f} GB")
    minutes = foreseen_seconds(planned, n_iterations) / 60
    add_row(table, "time, roughly", _roughly(minutes))
    show(table)
    if options["memory"] is None:  # what `separate` would say of what is free now; the plan holds all the same
        try:
            within_memory(size, method, options, options)
        except ArgumentError as error:
            warn(str(error))


def _roughly(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:.0f} minute{'' if round(minutes) == 1 else 's'}"


def _further_spots(recording: Recording, n_sources: int, spots: Mapping[str, Any]) -> int:
    """Return how many mics are likely further spots of a source: the second ones of stereo files, and those given."""
    from mnmf.folders import is_room
    from mnmf.session import Seats

    second = [own for own in Seats.of(recording).pairs if not is_room(recording.mic_names[own[0]])]
    given = sum(len(mics) - 1 for mics in spots.values() if isinstance(mics, list | tuple))
    return min(len(second) + given, recording.n_mics - n_sources)
