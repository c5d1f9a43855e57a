"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mnmf.cli._terminal import say
from mnmf.errors import ArgumentError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mnmf.notes import NoteDictionary
    from mnmf.session import Reduction, Session

__all__ = [
    "EMBEDDED",
    "Grouped",
    "Renamed",
    "check_tuning",
    "complete_files",
    "dictionary_option",
    "file_target",
    "given_words",
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


# What the help shows under which heading, in this order.
GROUPS = {
    "The take": ("solos", "solo_take", "preview", "align", "unchecked"),
    "Who is where": ("sources", "spot", "ambient", "instruments"),
    "Method": (
        *("method", "seed", "window", "segment", "iterations", "components", "dictionary", "model", "memory"),
        "resume",
    ),
    "Estimates": ("estimates", "estimate_command", "estimate_timeout", "trust"),
    "Output": (
        "out",
        "overwrite",
        "only",
        "reduction",
        "residual",
        "all_mics",
        "reaper",
        "dawproject",
        "report",
        "quiet",
        "events",
    ),
}


class Grouped(click.Command):
    """A command whose help shows its options by what they are about, and examples.

    Parameters
    ----------
    examples : sequence of str
        Commands and what they do, separated by two spaces.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, by groups."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    command, _, does = example.partition("  ")
                    formatter.write(f"{'':{formatter.current_indent}}{command}\n")
                    formatter.indent()
                    formatter.write_text(does)
                    formatter.dedent()
        waiting = {param.name: param for param in self.get_params(ctx) if isinstance(param, click.Option)}
        groups = {
            heading: [waiting.pop(name) for name in names if name in waiting] for heading, names in GROUPS.items()
        }
        groups["Other"] = list(waiting.values())
        for heading, params in groups.items():
            records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Renamed(click.Option):
    """An option that also answers to its former name, which the help leaves out."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what the help says, under the first name only."""
        names, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows files better."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _complete_methods(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from mnmf.methods import METHODS

    return [name for name in METHODS if name.startswith(incomplete)]


def session_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the take, and the options that say who plays in it."""
    for option in (
        click.option(
            "--ambient",
            multiple=True,
            metavar="MIC",
            help="A mic that is nobody's spot, such as one of a main pair; also several: 7-10, 'Main*'; repeatable. "
            "Those called main, room or the like if not given.",
        ),
        click.option(
            "--spot",
            multiple=True,
            metavar="NAME=MIC",
            help="Whose mic: its channel from 1 on, or its name, or how that ends; repeatable. By the solos if not "
            "given, else in order.",
        ),
        click.option(
            "--sources",
            metavar="A,B,C",
            help="Names, in the order of the results; those of the markers if not given, else of the mics.",
        ),
        click.option(
            "--solo-take",
            multiple=True,
            metavar="FILE",
            shell_complete=complete_files,
            help="What the markers refer to, if not the take: a file, repeated for one file a mic, or a folder, or a "
            "pattern in quotes, such as 'T02_*'.",
        ),
        click.option(
            "--solos",
            metavar="MARKERS",
            shell_complete=complete_files,
            help="Marker file naming each source's solo passage: Audacity, REAPER, Pro Tools, Audition, … markers, or "
            "a WAV file with cue points.",
        ),
        click.argument("take", nargs=-1, required=True, metavar="TAKE...", shell_complete=complete_files),
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


def opened(take: Sequence[str], options: Mapping[str, Any], **more: Any) -> Session:
    """Return the session that TAKE and the options of `session_options` give, and `more` for `Session.open`."""
    from mnmf.session import Session

    given = session_keys(options) | more
    if len(take) == 1 and take[0].lower().endswith(".toml"):
        return Session.from_toml(take[0], **given)
    session = Session.open(take, **given)
    for line in _beside(session):
        say(line)
    return session


def _beside(session: Session) -> Iterator[str]:
    """Yield what lies in the folder of a take and may help."""
    from mnmf import folders
    from mnmf.draft import marker_files

    parents = {path.parent for path in session.recording.paths}
    if len(parents) > 1:
        return
    folder = parents.pop()
    if (folder / folders.SESSION).is_file():
        yield f"{folder / folders.SESSION} is not used; give it in place of the files if it should be"
    elif session.markers is None and (found := list(marker_files(folder))):
        rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        markers, others = found[0]
        own = set(session.recording.paths)
        # Markers that are called after another take are of that.
        other = next((take for take in others if not own & set(take.paths)), None) if len(others) == 1 else None
        solo = f" --solo-take {folders.quoted(folder, other.pattern, always=True)}" if other and other.pattern else ""
        yield f"markers lie there: --solos {markers}{rest}{solo} would make use of them"


def check_tuning(options: Mapping[str, Any]) -> None:
    """Refuse a method that is not there, and numbers that are out of range, before anything is read."""
    from mnmf.methods import DEFAULT_METHOD, find_method
    from mnmf.plan import memory_of
    from mnmf.separation import check_asked

    notes = bool(options.get("dictionary") or options.get("instruments"))
    recipe = find_method(options["method"] or DEFAULT_METHOD, dictionary=notes)
    asked = {name: options[name] for name in ("seed", "window", "segment", "iterations", "components")}
    check_asked(recipe, **asked, dictionary=notes)
    if options.get("memory") is not None:
        memory_of(options["memory"])
    for option in options.get("reduction", ()):
        _reduction_of(option)


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
        help="Need no more than this, such as 4G, if need be by shorter windows and segments, or refuse; half of what "
        "is free if not given.",
    )(command)


def tuning_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that decide how a take is separated."""
    for option in (
        click.option(
            "--components", type=int, metavar="NUMBER", help="Bases per source; the method's own if not given."
        ),
        click.option(
            "--iterations", type=int, metavar="NUMBER", help="Updates of the model; the method's own if not given."
        ),
        click.option(
            "--segment",
            type=float,
            metavar="SECONDS",
            help="A take that is more than half as long again is fitted a segment at a time, which needs less memory; "
            "60 if not given, inf for one piece.",
        ),
        click.option(
            "--window",
            type=float,
            metavar="SECONDS",
            help="Length of the analysis window; the method's own if not given.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, metavar="NUMBER", help="Decides every random start."
        ),
        click.option(
            "--method",
            metavar="NAME",
            shell_complete=_complete_methods,
            help="See `mnmf methods`; mnmf if not given, fastmnmf2 is quicker.",
        ),
    ):
        command = option(command)
    return command


def stretch_of(text: str | None, option: str = "--preview") -> tuple[float, float] | None:
    """Return the seconds that '1:20-1:50' means, from and to."""
    if text is None:
        return None
    found = re.fullmatch(rf"\s*{CLOCK}\s*-\s*{CLOCK}\s*", text)
    if found is None:
        raise ArgumentError(f"{option} wants FROM-TO, as in {option} 1:20-1:50 or 80-110; got {text!r}")
    parts = [float(part or 0) for part in found.groups()]
    start, stop = (3600 * h + 60 * m + s for h, m, s in (parts[:3], parts[3:]))
    if not start < stop:
        raise ArgumentError(f"{option} wants a stretch that ends after it begins, got {text!r}")
    return start, stop


def listed(text: str | None) -> list[str] | None:
    """Return the names in 'a,b,c'."""
    return None if text is None else [name.strip() for name in unicodedata.normalize("NFC", text).split(",")]


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
    everyone: dict[str, Reduction] = {}
    single: dict[str, float] = {}
    for option in options:
        name, decibels = _reduction_of(option)
        if name is not None and name not in sources:
            raise ArgumentError(f"--reduction names {name!r}, which is not among the sources: {', '.join(sources)}")
        if name is not None:
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


def _reduction_of(option: str) -> tuple[str | None, float]:
    """Return the source, or None for all, and the number of DB or NAME=DB."""
    from mnmf.separation import check_reduction

    name, equals, text = (part.strip() for part in unicodedata.normalize("NFC", option).rpartition("="))
    try:
        return name if equals else None, check_reduction("--reduction", float(text))
    except ValueError as error:  # `ArgumentError` is one
        message = f"--reduction wants dB of 0 or more, or inf, as in --reduction violin=10; got {option!r}"
        raise ArgumentError(message) from error


def given_words(context: click.Context, without: Sequence[str] = ()) -> list[str]:
    """Return the words of a command as it was given, but for some parameters."""
    arguments: list[str] = []
    words: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in without or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        values = list(value) if isinstance(value, tuple) else [value]
        if isinstance(parameter, click.Argument):
            arguments += map(str, values)
        elif getattr(parameter, "is_flag", False):
            words.append(max(parameter.opts, key=len))
        else:
            words += [word for each in values for word in (parameter.opts[0], str(each))]
    return [*context.command_path.split(), *arguments, *words]


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


def file_target(out: str, suffixes: Sequence[str], option: str = "--out") -> Path:
    """Return the file that an option names, if its name ends as it must."""
    target = Path(out)
    if not out or not target.name or out.endswith(("/", "\\")):
        raise ArgumentError(f"{option} {out!r} names no file")
    if target.suffix.lower() not in suffixes:
        raise ArgumentError(f"{option} {out!r} must end in {' or '.join(suffixes)}")
    return target
