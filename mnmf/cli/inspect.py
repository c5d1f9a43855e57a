"""``mnmf inspect``: what is wrong with a take, before it is separated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.table import Table

from mnmf.cli._options import file_target
from mnmf.cli._terminal import add_row, interruptible, progress, say, say_json, show
from mnmf.errors import SessionError

if TYPE_CHECKING:
    from mnmf.audio import Recording
    from mnmf.faults import Inspection

__all__ = ["command"]

MOST_SHOWN = 16  # microphones whose bleed fits on a page


@click.command("inspect", short_help="Say what is wrong with a take, and who hears whom.")
@click.argument("take", nargs=-1, required=True, metavar="TAKE...")
@click.option("--propose", metavar="FILE", help="Write where players seem to play alone, as Audacity labels (.txt).")
@click.option("--overwrite", is_flag=True, help="Replace an earlier file of labels.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(take: tuple[str, ...], propose: str | None, overwrite: bool, as_json: bool) -> None:
    """Look for what is wrong with a take: dead mics, clipping, copies, delays, clocks that drift, polarity.

    TAKE is given as to `mnmf separate`, which looks for the same before every run.  Nothing is changed.
    """
    from mnmf.inspected import inspect_files
    from mnmf.session import Session

    target = None if propose is None else _label_file(propose, overwrite)
    files: Any = take[0] if len(take) == 1 else take
    recording = Session.outline(files)[0]
    with progress("inspect") as tell:
        found = interruptible(lambda: inspect_files(recording, lambda part: tell("inspect", part)))
    if as_json:
        say_json(found.as_dict())
    else:
        _show(recording, found)
    if target is not None:
        _propose(target, recording, found, quiet=as_json)


def _label_file(name: str, overwrite: bool) -> Path:
    target = file_target(name, (".txt",), "--propose")
    if target.exists() and not overwrite:
        raise SessionError(f"{target} exists already; name another file, or add --overwrite")
    return target


def _propose(target: Path, recording: Recording, found: Inspection, quiet: bool) -> None:
    from mnmf import markers

    passages = [markers.Passage(found.mic_names[m], start, stop) for m, start, stop in found.solos]
    markers.write_audacity(target, markers.resolve(passages, recording.duration))
    if not quiet:
        say(f"{len(passages)} passages in {target}: listen to each, correct it and name its player")


def _show(recording: Recording, found: Inspection) -> None:
    """Print what each microphone is, what is wrong, and who hears whom."""
    for remark in recording.remarks:
        say(remark)
    say(f"{recording.duration:.1f} s of {recording.n_mics} mics at {recording.sample_rate} Hz")
    table = Table(box=None, pad_edge=False)
    for title in ("mic", "level", "peak", "late", "drift"):
        table.add_column(title, justify="left" if title == "mic" else "right")
    drifting = {each.mic: each.values["ppm"] for each in found.of("drift")}
    for m, each in enumerate(found.as_dict()["mics"]):
        name = "" if each["name"] == str(each["mic"]) else f" {each['name']}"
        late = each["late_ms"]
        sounds = found.scan.peak_M[m] > 0
        add_row(
            table,
            f"{each['mic']}{name}",
            f"{each['level_db']:.1f} dB" if sounds else "",
            f"{each['peak_db']:.1f} dB" if sounds else "",
            "" if late is None or not found.clocks.tells else f"{round(late, 1) + 0.0:.1f} ms",
            f"{drifting[m]:+.1f} ppm" if m in drifting else "",
        )
    show(table)
    _show_findings(found)
    _show_bleed(found)
    if found.solos:
        say("")
        say("somebody seems to play alone:")
    for m, start, stop in found.solos:
        say(f"  {found.mic_names[m]} from {start:.1f} to {stop:.1f} s")


def _show_findings(found: Inspection) -> None:
    say("")
    for each in found.findings:
        say(f"{each.text}; {each.remedy}")
    if not found.findings:
        say("nothing is wrong, as far as can be told")
    if not found.clocks.tells and len(found.live) > 1 and not found.of("late"):
        say("too little is heard to tell who is late or flipped")


def _show_bleed(found: Inspection) -> None:
    """Print in whose microphone who is heard how loudly."""
    known = [m for m in range(len(found.mic_names)) if not np.isnan(found.bleed_MM[m]).all()]
    if not 1 < len(known) <= MOST_SHOWN:
        return
    say("")
    say("bleed: in the mic of each row the player of each column, in dB of the row's own player")
    table = Table(box=None, pad_edge=False)
    for title in ("", *_short(found, known)):
        table.add_column(title, justify="right" if title else "left")
    for row, name in zip(known, _short(found, known)):
        add_row(table, name, *("" if row == m else f"{found.bleed_MM[row, m]:.0f}" for m in known))
    show(table)


def _short(found: Inspection, mics: Sequence[int]) -> list[str]:
    from mnmf.cli._terminal import printable

    return [printable(found.mic_names[m])[:12] for m in mics]
