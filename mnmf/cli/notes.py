"""``mnmf notes``: make and look at dictionaries of notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from mnmf.cli._options import EMBEDDED, file_target, named_dictionary
from mnmf.cli._terminal import add_row, interruptible, progress, say, show
from mnmf.output import OutputFolder

if TYPE_CHECKING:
    from mnmf.notes import NoteDictionary

__all__ = ["command", "notes_table"]


@click.group("notes", short_help="Make and look at dictionaries of notes.")
def command() -> None:
    """Make and look at note dictionaries: the spectrum of every note that an instrument plays."""


@command.command("build")
@click.argument("folder")
@click.option("--out", required=True, metavar="FILE", help="The dictionary, an .npz file.")
@click.option("--instrument", metavar="NAME", help="What all files are of, if their names do not say.")
@click.option("--lowest", metavar="PITCH", help="First note in files of successive notes, as in G3; or a MIDI number.")
@click.option("--index", metavar="CSV", help="Table of the notes: file, instrument, pitch, and start, stop, …")
@click.option("--style", multiple=True, metavar="NAME", help="Take only this playing style, as in NO; repeatable.")
@click.option("--dynamics", multiple=True, metavar="NAME", help="Take only these dynamics, as in mf; repeatable.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier dictionary.")
def build(
    folder: str,
    out: str,
    instrument: str | None,
    lowest: str | None,
    index: str | None,
    style: tuple[str, ...],
    dynamics: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Learn a dictionary from FOLDER and its sub-folders.

    A file is one note, with the pitch in its name (violin_A4.wav, Violin/ff-C#4.flac, violin_069.wav), or has notes a
    semitone apart with silence between them (151VNNOF.wav and the like of RWC).  If names do not tell, --index does.
    """
    from mnmf.notes import NoteDictionary
    from mnmf.notes._instruments import parse_pitch
    from mnmf.notes._library import recordings

    target = file_target(out, (".npz",))
    given: dict[str, Any] = {
        "instrument": instrument,
        "lowest": None if lowest is None else parse_pitch(lowest),
        "index": index,
        "styles": style,
        "dynamics": dynamics,
    }
    inputs = recordings(folder, index)
    with OutputFolder(target.parent, [target.name], inputs=inputs, overwrite=overwrite) as place:
        with progress("notes") as tell:

            def work() -> NoteDictionary:
                options = {name: value for name, value in given.items() if value not in (None, ())}
                dictionary = NoteDictionary.build(folder, progress=lambda done: tell("notes", done), **options)
                dictionary.save(place.path(target.name))
                return dictionary

            dictionary = interruptible(work)
        place.publish()
    show(notes_table(dictionary))
    say(f"dictionary in {out}")


@command.command("list")
@click.argument("dictionary", default=EMBEDDED, metavar="[NAME|FILE]")
def list_instruments(dictionary: str) -> None:
    """List the instruments of a dictionary: of a file, or of orchestra, which is embedded, if none is given."""
    show(notes_table(named_dictionary(dictionary, bare_files=True)[0]))


@command.command("show")
@click.argument("instrument")
@click.option(
    "--dictionary",
    default=EMBEDDED,
    show_default=True,
    metavar="NAME|FILE",
    help="The dictionary: a file, or orchestra, which is embedded.",
)
@click.option("--out", required=True, metavar="PICTURE", help="A .png, .pdf or .svg file.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier picture.")
def draw_instrument(instrument: str, dictionary: str, out: str, overwrite: bool) -> None:
    """Draw the notes of an instrument: frequency over pitch."""
    from mnmf.notes._drawing import SUFFIXES, draw

    target = file_target(out, SUFFIXES)
    source, inputs = named_dictionary(dictionary, bare_files=True)
    own = source.find(instrument)
    with OutputFolder(target.parent, [target.name], inputs=inputs, overwrite=overwrite) as place:
        interruptible(lambda: draw(source, own, place.path(target.name)))
        place.publish()
    say(f"{own} in {out}")


def notes_table(dictionary: NoteDictionary) -> Table:
    """Return the instruments of a dictionary as a table: how many notes, from where to where, learned on what."""
    from mnmf.notes._instruments import pitch_name

    table = Table(box=None, pad_edge=False)
    table.add_column("instrument", no_wrap=True)
    table.add_column("notes", justify="right", no_wrap=True)
    table.add_column("range", no_wrap=True)
    table.add_column("learned on", overflow="fold")
    for own in dictionary.instruments:
        pitches = dictionary.pitches(own)
        span = f"{pitch_name(pitches[0]):<3} – {pitch_name(pitches[-1])}"
        add_row(table, own, str(len(pitches)), span, dictionary.source(own))
    return table
