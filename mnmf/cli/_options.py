"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnmf.errors import ArgumentError

if TYPE_CHECKING:
    from mnmf.notes import NoteDictionary
    from mnmf.session import Reduction, Session

__all__ = [
    "EMBEDDED",
    "Renamed",
    "dictionary_option",
    "file_target",
    "instruments_option",
    "joined_dictionary",
    "listed",
    "memory_option",
    "named_dictionary",
    "only_these",
    "opened",
    "projects_of",
    "projects_option",
    "reductions_of",
    "session_keys",
    "session_options",
    "spots_by_name",
    "stretch_of",
    "tuning_options",
]

CLOCK = r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6}(?:\.\d{1,9})?)"  # hours, minutes and seconds
EMBEDDED = "orchestra"  # the dictionary of notes that comes with mnmf


class Renamed(click.Option):
    """An option that also answers to its former name, which the help leaves out."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what the help says, under the first name only."""
        names, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names


def session_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the take, and the options that say who plays in it."""
    for option in (
        click.option("--ambient", multiple=True, metavar="MIC", help="A mic that is nobody's spot; repeatable."),
        click.option(
            "--spot",
            multiple=True,
            metavar="NAME=MIC",
            help="Whose mic: its channel from 1 on, or its name; repeatable.",
        ),
        click.option("--sources", metavar="A,B,C", help="Names, in the order of the results."),
        click.option(
            "--solo-take",
            multiple=True,
            metavar="FILE",
            help="What the markers refer to, if not the take; repeat it for one file a mic.",
        ),
        click.option("--solos", metavar="MARKERS", help="Marker file naming each source's solo passage."),
        click.argument("take", nargs=-1, required=True, metavar="TAKE..."),
    ):
        command = option(command)
    return command


def session_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `session_options` gave, as `Session.open` takes it."""
    given: dict[str, Any] = {
        "solos": options["solos"],
        "solo_take": options["solo_take"],
        "sources": listed(options["sources"]),
        "spots": spots_by_name(options["spot"]),
        "ambient": options["ambient"],
        "instruments": listed(options.get("instruments")),
    }
    return {name: value for name, value in given.items() if value}


def opened(take: Sequence[str], options: Mapping[str, Any]) -> Session:
    """Return the session that TAKE and the options of `session_options` give."""
    from mnmf.session import Session

    given = session_keys(options)
    if len(take) == 1 and take[0].lower().endswith(".toml"):
        return Session.from_toml(take[0], **given)
    return Session.open(take, **given)


def instruments_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says what the sources play."""
    return click.option(
        "--instruments",
        metavar="A,B,C",
        help="What the sources play, in their order, to be looked up in the dictionary, the embedded one if none is "
        "given; their names if not given.",
    )(command)


def dictionary_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that names dictionaries of notes."""
    return click.option(
        "--dictionary",
        multiple=True,
        metavar="NAME[=FILE]",
        help="Notes to take bases from: orchestra, which is embedded, or a name for a file of `mnmf notes build`; "
        "repeatable, the last one that has an instrument counts.",
    )(command)


def memory_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that limits memory."""
    return click.option(
        "--memory",
        metavar="SIZE",
        help="Need no more than this, such as 4G, if need be by shorter segments, or refuse; half of what is free if "
        "not given.",
    )(command)


def tuning_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that decide how a take is separated."""
    for option in (
        click.option("--components", type=int, help="Bases per source."),
        click.option("--iterations", type=int, help="Updates of the model."),
        click.option(
            "--segment",
            type=float,
            metavar="SECONDS",
            help="A take that is more than half as long again is fitted a segment at a time, which needs less memory; "
            "60 if not given, inf for one piece.",
        ),
        click.option("--window", type=float, metavar="SECONDS", help="Length of the analysis window."),
        click.option("--seed", type=int, default=0, show_default=True, help="Decides every random start."),
        click.option("--method", metavar="NAME", help="See `mnmf methods`."),
    ):
        command = option(command)
    return command


def stretch_of(text: str | None) -> tuple[float, float] | None:
    """Return the seconds that '1:20-1:50' means, from and to."""
    if text is None:
        return None
    found = re.fullmatch(rf"\s*{CLOCK}\s*-\s*{CLOCK}\s*", text)
    if found is None:
        raise ArgumentError(f"--preview wants FROM-TO, as in --preview 1:20-1:50 or 80-110; got {text!r}")
    parts = [float(part or 0) for part in found.groups()]
    start, stop = (3600 * h + 60 * m + s for h, m, s in (parts[:3], parts[3:]))
    if not start < stop:
        raise ArgumentError(f"--preview wants a stretch that ends after it begins, got {text!r}")
    return start, stop


def listed(text: str | None) -> list[str] | None:
    """Return the names in 'a,b,c'."""
    return None if text is None else [name.strip() for name in text.split(",")]


def spots_by_name(options: Sequence[str]) -> dict[str, list[str]]:
    """Return the microphones of each source from repeated NAME=MIC."""
    spots: dict[str, list[str]] = {}
    for option in options:
        name, equals, mic = option.rpartition("=")
        if not (name.strip() and equals and mic.strip()):
            raise ArgumentError(f"--spot wants NAME=MIC, as in --spot violin=2; got {option!r}")
        spots.setdefault(name.strip(), []).append(mic.strip())
    return spots


def only_these(text: str | None, sources: Sequence[str]) -> tuple[str, ...]:
    """Return the sources that --only names; none of them for all."""
    names = tuple(dict.fromkeys(listed(text) or ()))
    for name in names:
        if name not in sources:
            raise ArgumentError(f"--only names {name!r}, which is not among the sources: {', '.join(sources)}")
    return names


def reductions_of(
    options: Sequence[str], sources: Sequence[str], before: Mapping[str, Reduction] | None = None
) -> dict[str, Reduction]:
    """Return by how many dB bleed is turned down, by source, from repeated DB or NAME=DB, else as it was said `before`.

    Infinity removes it.
    """
    from mnmf.separation import check_reduction

    everyone: dict[str, Reduction] = {}
    single: dict[str, float] = {}
    for option in options:
        name, equals, text = (part.strip() for part in option.rpartition("="))
        try:
            decibels = check_reduction("--reduction", float(text))
        except ValueError as error:  # `ArgumentError` is one
            message = f"--reduction wants dB of 0 or more, or inf, as in --reduction violin=10; got {option!r}"
            raise ArgumentError(message) from error
        if equals and name not in sources:
            raise ArgumentError(f"--reduction names {name!r}, which is not among the sources: {', '.join(sources)}")
        if equals:
            single[name] = decibels
        else:
            everyone = dict.fromkeys(sources, decibels)
    return {**(before or {}), **everyone, **single}


def projects_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ask for projects of workstations."""
    for option in (
        click.option(
            "--dawproject", is_flag=True, help="The same for Bitwig, Studio One, Cubase and others: stems.dawproject."
        ),
        click.option(
            "--reaper",
            is_flag=True,
            help="Write stems.RPP, a project of REAPER with each stem muted under its original, in place.",
        ),
    ):
        command = option(command)
    return command


def projects_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the formats of the projects that are asked for."""
    return tuple(name for name in ("reaper", "dawproject") if options[name])


def joined_dictionary(options: Sequence[str]) -> tuple[NoteDictionary | None, list[Path]]:
    """Return the dictionaries that are named, joined into one, and the files they came from."""
    joined: NoteDictionary | None = None
    files: list[Path] = []
    for option in options:
        notes, more = named_dictionary(option)
        joined = notes if joined is None else joined | notes
        files += more
    return joined, files


def named_dictionary(option: str, bare_files: bool = False) -> tuple[NoteDictionary, list[Path]]:
    """Return the dictionary that NAME or NAME=FILE means, or FILE with `bare_files`, and the file it came from."""
    from mnmf.notes import NoteDictionary

    name, equals, path = (part.strip() for part in option.partition("="))
    if not equals and name == EMBEDDED:
        return NoteDictionary.embedded(), []
    # The name of a file may have an equals sign of its own.
    if bare_files and (not (name and path) or Path(option).exists()):
        return NoteDictionary.load(option), [Path(option)]
    if equals and not (name and path):
        raise ArgumentError(f"--dictionary wants NAME or NAME=FILE, as in --dictionary rwc=rwc.npz; got {option!r}")
    if not equals:
        raise ArgumentError(f"there is no embedded dictionary {name!r}, only {EMBEDDED}; for a file say NAME=FILE")
    notes = NoteDictionary.load(path)
    notes.name = name
    return notes, [Path(path)]


def file_target(out: str, suffixes: Sequence[str]) -> Path:
    """Return the file that --out names, if its name ends as it must."""
    target = Path(out)
    if not out or not target.name or out.endswith(("/", "\\")):
        raise ArgumentError(f"--out {out!r} names no file")
    if target.suffix.lower() not in suffixes:
        raise ArgumentError(f"--out {out!r} must end in {' or '.join(suffixes)}")
    return target
