"""``mnmf separate``: from a take to one stem a source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnmf.cli._options import (
    EMBEDDED,
    Grouped,
    Renamed,
    check_tuning,
    dictionary_option,
    given_words,
    instruments_option,
    joined_dictionary,
    memory_option,
    only_these,
    projects_of,
    projects_option,
    reductions_of,
    session_options,
    stretch_of,
    tuning_options,
)
from mnmf.cli._run import (
    Helpers,
    declared_files,
    input_files,
    inspected,
    introduce,
    report_faults,
    separate_into,
    stale_stems,
)
from mnmf.cli._terminal import say, talking, warn
from mnmf.cli.report import REPORT, check_page, report_beside
from mnmf.errors import ArgumentError, check_number
from mnmf.output import OutputFolder
from mnmf.unfinished import Unfinished

if TYPE_CHECKING:
    from mnmf.session import Reduction, Session

NOT_AGAIN = ("overwrite", "reduction", "report", "resume", "quiet", "events")  # of a command that is to be repeated


@click.command(
    "separate",
    cls=Grouped,
    examples=(
        "mnmf separate live/T03_*.WAV  a take of one file a mic: a stem of every mic that is not called main or room",
        "mnmf separate live/T03_*.WAV --solo-take 'live/T02_*' --solos live/T02.txt  the players are called as the "
        "labels in T02.txt, and found by where T02 has them alone",
    ),
)
@session_options
@instruments_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is wrong.")
@click.option("--json", "events", is_flag=True, help="Say everything on stdout as events, a line of JSON each.")
@click.option("--out", default="stems", show_default=True, metavar="DIR", help="Where the stems go.")
@click.option("--overwrite", is_flag=True, help="Replace stems of an earlier run.")
@click.option(
    "--estimates",
    "--prior-stems",
    "estimates",
    cls=Renamed,
    metavar="DIR",
    help="Estimates of the sources to start from: one file a source, made by any tool.",
)
@click.option(
    "--estimate-command",
    "--prior-command",
    "estimate_command",
    cls=Renamed,
    metavar="'PROGRAM … {in} … {out}'",
    help="A program that makes them: it reads the file {in} and writes one file a source to the folder {out}; with "
    "--source {source} or --text {query} it runs once a source, from its spot to the file {out}. There is no shell.",
)
@click.option(
    "--estimate-timeout",
    "--prior-timeout",
    "estimate_timeout",
    cls=Renamed,
    type=float,
    metavar="SECONDS",
    help="Stop the program after so long; an hour if not given.",
)
@click.option(
    "--trust",
    "--prior-weight",
    "trust",
    cls=Renamed,
    type=float,
    metavar="0..1",
    help="How far the estimates count: 0, not at all, to 1, as far as they seem better than what the spots hear; 1 if "
    "not given.",
)
@click.option(
    "--reduction",
    multiple=True,
    metavar="[NAME=]DB",
    help="Turn bleed down by so many dB instead of removing it, in every stem or in that of a source; repeatable. With "
    "--reaper or --dawproject by the gains of the project, and the stems are whole.",
)
@click.option(
    "--residual",
    is_flag=True,
    help="Also write what is left of each spot, as NAME.residual; stem and residual sum to the take sample for sample.",
)
@click.option("--model", metavar="FILE", help="The room as `mnmf learn` found it; solos are not listened to then.")
@click.option(
    "--preview",
    metavar="FROM-TO",
    help="Separate this stretch only, such as 1:20-1:50, by what the whole take teaches of the room, or by --model; "
    "with mnmf and fastmnmf2.",
)
@click.option(
    "--all-mics",
    is_flag=True,
    help="Also write how every mic heard every source and, unless --only leaves some out, what is left there: they sum "
    "to the take.",
)
@click.option("--only", metavar="A,B", help="Write the stems of these sources only.")
@projects_option
@click.option("--report", is_flag=True, help="Also make report.html, a page to look at and listen to (`mnmf report`).")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with a run of a long take that was stopped, by the same command, where it left off.",
)
@click.option(
    "--align",
    is_flag=True,
    help="Correct mics that are late, drift or are flipped; the stems lie under their originals all the same.",
)
@click.option("--unchecked", is_flag=True, help="Do not look for faults first, as `mnmf inspect` does.")
@memory_option
@tuning_options
@dictionary_option
def command(take: tuple[str, ...], quiet: bool, events: bool, **options: Any) -> None:
    """Separate a take into one stem a source.

    TAKE is one polyphonic file, or one file a mic (their order is the order of the mics), a folder that holds one take,
    or a session.toml, which `mnmf init` writes.
    """
    words = given_words(click.get_current_context(), NOT_AGAIN)
    with talking(quiet=quiet, events=events):
        _separate(take, words=words, **options)


def _separate(
    take: tuple[str, ...], out: str, overwrite: bool, report: bool, words: Sequence[str], **options: Any
) -> None:
    if not out:
        raise ArgumentError("--out is empty; name the folder the stems go to")
    stretch = stretch_of(options["preview"])
    if options["instruments"] and not options["dictionary"]:
        options["dictionary"] = (EMBEDDED,)
    check_tuning(options)
    _check_together(options)
    if report:
        check_page(Path(out) / REPORT, overwrite)
    session = inspected(take, options)
    if stretch is not None:
        session.part(*stretch)  # refuses what is not there
    projects = projects_of(options)
    reduction, dial = _reductions(options["reduction"], session, by_gains=bool(projects))
    asked: Any = {
        "reduction": reduction,
        "dial": dial,
        "projects": projects,
        "all_mics": options["all_mics"],
        "residual": options["residual"],
        "only": only_these(options["only"], session.sources),
        "stretch": stretch,
    }
    if asked["all_mics"] and asked["reduction"]:
        raise ArgumentError(
            "--all-mics writes parts that sum to the take; leave --reduction out, and from session.toml"
        )
    introduce(session)
    report_faults(session)
    if dial:
        say("reductions are gains of the project; in the stems bleed is removed")
    from mnmf.daw import FORMATS, check_project  # only now, so that mistakes are quick

    chosen = {name: asked[name] for name in ("residual", "only", "all_mics", "projects")}
    declared = declared_files(session, **chosen)
    for name in projects:
        check_project(name, session.recording, declared, out)
    stale = stale_stems(Path(out), [*declared, REPORT] if report else declared)
    helpers = _helpers(session, options)
    inputs = input_files(session, helpers)
    with (
        OutputFolder(out, declared, inputs=inputs, overwrite=overwrite) as folder,
        Unfinished(out if stretch is None else folder.scratch(), options["resume"]) as kept,
    ):
        try:
            separate_into(folder, session, Path(out), options, helpers, **asked, unfinished=kept, command=words)
            folder.publish()
            kept.done()
        except BaseException:
            if folder.published:
                kept.done()
            elif kept and stretch is None:
                warn(f"what was finished is kept in {out}: the same command with --resume goes on from there")
            raise
    say(f"stems in {out}" + (f", and {' and '.join(FORMATS[name] for name in projects)}" if projects else ""))
    if stale:
        warn(f"still there from an earlier run: {', '.join(stale)}")
    if report:
        report_beside(Path(out), Path(out) / REPORT)


def _check_together(options: dict[str, Any]) -> None:
    """Refuse options that need or exclude one another."""
    folder, program = options["estimates"], options["estimate_command"]
    if options["preview"] is not None:
        for name in ("resume", "align", "estimates", "estimate_command"):
            if options[name]:
                raise ArgumentError(f"--{name.replace('_', '-')} is for a whole take; leave --preview out")
    if options["resume"] and program:
        raise ArgumentError("--resume cannot tell whether a program estimates the same again; leave one of them out")
    if folder is not None and program is not None:
        raise ArgumentError("--estimates and --estimate-command both give estimates of the sources; give one of them")
    if options["estimate_timeout"] is not None and program is None:
        raise ArgumentError("--estimate-timeout limits --estimate-command; give one")
    if options["trust"] is not None:
        if folder is None and program is None:
            raise ArgumentError("--trust weighs --estimates or --estimate-command; give one of them")
        check_number("--trust", options["trust"], 0.0, 1.0)
    if folder == "":
        raise ArgumentError("--estimates needs the folder that holds them")


def _reductions(
    options: Sequence[str], session: Session, by_gains: bool
) -> tuple[dict[str, Reduction], dict[str, float]]:
    """Return by how many dB bleed is turned down in the stems, and by the gains of a project.

    A project can turn down all the bleed in a stem, but not some of it.
    """
    said = reductions_of(options, session.sources, session.reduction)
    known = {name: value for name, value in said.items() if value != math.inf}
    dial = {name: value for name, value in known.items() if by_gains and not isinstance(value, Mapping)}
    return {name: value for name, value in known.items() if name not in dial}, dial


def _helpers(session: Session, options: dict[str, Any]) -> Helpers:
    """Return the dictionary and the estimator that the options name."""
    dictionary, files = joined_dictionary(options["dictionary"])
    room = None
    if options["model"] is not None:
        from mnmf.room import Room

        room = Room.load(options["model"])
        files = [*files, Path(options["model"])]
    folder, program = options["estimates"], options["estimate_command"]
    timeout, trust = options["estimate_timeout"], options["trust"]
    trust = 1.0 if trust is None else trust
    if folder is not None:
        from mnmf.estimators import EstimateFolder

        found = EstimateFolder(folder, session.sources)
        return Helpers(dictionary, found, trust, [*files, *found.files.values()], f"files in {folder}", room)
    if program is not None:
        from mnmf.estimators import TIMEOUT, Command, cached

        limit = TIMEOUT if timeout is None else timeout
        run = Command(program, session.sources, session.spots.references, session.queries, timeout=limit)
        return Helpers(dictionary, cached(run), trust, files, program, room)
    return Helpers(dictionary, files=files, room=room)
