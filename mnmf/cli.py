"""The commands.  The only module that prints, and the only one that knows about terminals and exit statuses."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import mnmf
from mnmf.errors import ArgumentError, MnmfError, SessionError, check_number
from mnmf.output import OutputFolder

if TYPE_CHECKING:
    from mnmf.notes import NoteDictionary
    from mnmf.priors import Estimator
    from mnmf.session import Session

# What needs numba or pyroomacoustics is imported by the command that uses it, so that --help and mistakes are quick.

__all__ = ["run"]

Result = TypeVar("Result")
EMBEDDED = "orchestra"  # the dictionary of notes that comes with mnmf
SHORT_SOLO = 3.0  # seconds; a few notes show a few frequencies
STAGES = ("read", "estimate", "prepare", "fit", "reconstruct")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or 2 after one line on stderr that says what to change."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # Not cli.main, which prints on its own when interrupted.
        with cli.make_context("mnmf", words) as context:
            cli.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except click.ClickException as error:
        return _fail(f"{error.format_message().rstrip('.')} (see mnmf --help)")
    except click.exceptions.Exit as request:
        return request.exit_code
    except (MnmfError, OSError) as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory for this take; cut it into shorter ones or use fewer --components")
    return 0


def _fail(message: str) -> int:
    # A hostile name could carry control characters or line ends into the terminal.
    click.echo("mnmf: " + _printable(message.replace("\n", " ")), err=True)
    return 2


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mnmf.__version__, prog_name="mnmf")
def cli() -> None:
    """Separate musicians who played together in one room, from their close microphones."""


def _tuning_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--components", type=int, help="Bases per source."),
        click.option(
            "--dictionary",
            multiple=True,
            metavar="NAME[=FILE]",
            help="Notes to take bases from: orchestra, which is embedded, or a name for a file of `mnmf notes build`; "
            "repeatable, the last one to know an instrument counts.",
        ),
        click.option("--iterations", type=int, help="Updates of the model."),
        click.option("--window", type=float, metavar="SECONDS", help="Length of the analysis window."),
        click.option("--seed", type=int, default=0, show_default=True, help="Decides every random start."),
        click.option("--method", metavar="NAME", help="See `mnmf methods`."),
        click.option("--overwrite", is_flag=True, help="Replace stems of an earlier run."),
    ):
        command = option(command)
    return command


@cli.command("separate")
@click.argument("take", nargs=-1, required=True, metavar="TAKE...")
@click.option("--out", required=True, metavar="DIR", help="Where the stems go.")
@click.option("--solos", metavar="MARKERS", help="Marker file naming each source's solo passage.")
@click.option(
    "--solo-take",
    multiple=True,
    metavar="FILE",
    help="What the markers refer to, if not the take; repeat it for one file a mic.",
)
@click.option("--sources", metavar="A,B,C", help="Names, in the order of the results.")
@click.option(
    "--spot", multiple=True, metavar="NAME=MIC", help="Whose mic: its channel from 1 on, or its name; repeatable."
)
@click.option("--ambient", multiple=True, metavar="MIC", help="A mic that is nobody's spot; repeatable.")
@click.option(
    "--instruments",
    metavar="A,B,C",
    help="What the sources play, in their order, to be looked up in the dictionary; their names if not given.",
)
@click.option("--prior-stems", metavar="DIR", help="Estimates to start from: a stem a source, by any tool.")
@click.option(
    "--prior-command",
    metavar="'PROGRAM … {in} … {out}'",
    help="A program that makes them: it reads the file {in} and writes stems to the folder {out}; with {source} or "
    "{query} it runs once a source, from its spot to the file {out}. There is no shell.",
)
@click.option(
    "--prior-timeout", type=float, metavar="SECONDS", help="Stop the program after so long; an hour if not given."
)
@click.option(
    "--prior-weight",
    type=float,
    metavar="0..1",
    help="How far the estimates count: 0, not at all, to 1, as far as they seem better than what the spots hear; 1 if "
    "not given.",
)
@_tuning_options
def separate_command(
    take: tuple[str, ...],
    out: str,
    solos: str | None,
    solo_take: tuple[str, ...],
    sources: str | None,
    spot: tuple[str, ...],
    ambient: tuple[str, ...],
    instruments: str | None,
    prior_stems: str | None,
    prior_command: str | None,
    prior_timeout: float | None,
    prior_weight: float | None,
    overwrite: bool,
    **tuning: Any,
) -> None:
    """Separate a take into one stem a source.

    TAKE is one polyphonic file, or one file a mic (their order is the order of the mics), or a session.toml.
    """
    from mnmf.session import Session

    given: dict[str, Any] = {
        "solos": solos,
        "solo_take": solo_take,
        "sources": _listed(sources),
        "spots": _spots(spot),
        "ambient": ambient,
        "instruments": _listed(instruments),
    }
    given = {name: value for name, value in given.items() if value}
    if len(take) == 1 and take[0].lower().endswith(".toml"):
        session = Session.from_toml(take[0], **given)
    else:
        session = Session.open(take, **given)
    if instruments and not tuning["dictionary"]:
        tuning["dictionary"] = (EMBEDDED,)
    if not out:
        raise ArgumentError("--out is empty; name the folder the stems go to")
    _introduce(session)
    stale = _stale_stems(Path(out), session)
    inputs = [*session.take.paths, *session.solo_take.paths]
    inputs += [session.markers] if session.markers is not None else []
    notes = _joined_dictionary(tuning["dictionary"])
    inputs += notes[1]
    prior = _estimator(session, prior_stems, prior_command, prior_timeout, prior_weight)
    inputs += prior.files if prior is not None else []
    with OutputFolder(out, _stem_files(session), inputs=inputs, overwrite=overwrite) as folder:
        _fill(folder, "", session, Path(out), tuning, notes, prior)
        folder.publish()
    click.echo(f"stems in {out}")
    if stale:
        click.echo(f"mnmf: still there from an earlier run: {', '.join(stale)}", err=True)


@dataclass
class _Estimates:
    """Where estimates of the sources come from: for the work, for the manifest, and what must not be overwritten."""

    estimator: Estimator
    described: str
    files: list[Path]
    weight: dict[str, float]


def _estimator(
    session: Session, stems: str | None, command: str | None, timeout: float | None, trust: float | None
) -> _Estimates | None:
    if stems is not None and command is not None:
        raise ArgumentError("--prior-stems and --prior-command are two ways to the same; give one")
    if timeout is not None and command is None:
        raise ArgumentError("--prior-timeout limits --prior-command; give one")
    if trust is not None and stems is None and command is None:
        raise ArgumentError("--prior-weight weighs --prior-stems or --prior-command; give one of them")
    if stems == "":
        raise ArgumentError("--prior-stems needs the folder that holds the stems")
    weight = {} if trust is None else {"trust": check_number("--prior-weight", trust, 0.0, 1.0)}
    if stems is not None:
        from mnmf.estimators import StemFolder

        found = StemFolder(stems, session.sources)
        return _Estimates(found, f"stems in {stems}", list(found.files.values()), weight)
    if command is not None:
        from mnmf.estimators import TIMEOUT, Command, cached

        own = [spot.mics[0] for spot in session.spots]
        limit = TIMEOUT if timeout is None else timeout
        run = Command(command, session.sources, own, session.queries, timeout=limit)
        return _Estimates(cached(run), command, [], weight)
    return None


def _introduce(session: Session) -> None:
    """Say whose microphone is whose, before any work is done."""
    for n, source in enumerate(session.sources):
        click.echo(f"{source}: {session.describe_spot(n)}")
    if session.ambient:
        click.echo("ambient: " + ", ".join(session.describe_mic(m) for m in session.ambient))
    if session.ignored:
        click.echo(f"ignored labels: {', '.join(session.ignored)}")


def _stem_files(session: Session, inside: str = "") -> list[str]:
    """Return the files of a separation; the manifest last, because it vouches for the others."""
    from mnmf.separate import stem_name

    names = [stem_name(session, n) for n in range(len(session.sources))]
    return [inside + name for name in (*names, "manifest.json")]


def _stale_stems(out: Path, session: Session) -> list[str]:
    """Return the stems of an earlier run in `out` that this one will not replace."""
    with suppress(MnmfError):
        earlier = [source["file"] for source in _manifest_sources(out)]
        return [name for name in earlier if name not in _stem_files(session) and (out / name).is_file()]
    return []


def _fill(
    folder: OutputFolder,
    inside: str,
    session: Session,
    near: Path,
    tuning: Mapping[str, Any],
    notes: tuple[NoteDictionary | None, list[Path]],
    prior: _Estimates | None = None,
) -> None:
    """Separate `session` and write stems and manifest to `folder`; paths in the manifest are relative to `near`."""
    from mnmf.separate import DEFAULT_METHOD, METHODS, Separation, manifest, separate, write_stems

    method = tuning["method"] or DEFAULT_METHOD
    missing = session.without_solo()
    if session.passages and missing and method in METHODS and METHODS[method].solos_help:
        click.echo(f"mnmf: no solo of {', '.join(missing)}: one of every source would help more", err=True)
    options = {name: tuning[name] for name in ("seed", "window", "iterations", "components")}
    dictionary, files = notes
    if prior is not None:
        options |= {"estimator": prior.estimator, **prior.weight}
        files = [*files, *prior.files]
    with _progress() as tell:

        def work() -> tuple[Separation, dict[str, int]]:
            separation = separate(session, method, dictionary=dictionary, progress=tell, **options)
            clipped = write_stems(session, separation, folder, inside)
            facts = manifest(session, separation, clipped, near, files)
            if prior is not None:
                facts["parameters"]["prior"] = prior.described
            record = json.dumps(facts, indent=2, ensure_ascii=False)
            folder.path(f"{inside}manifest.json").write_text(record + "\n", encoding="utf-8")
            return separation, clipped

        separation, clipped = interruptible(work)
    lasting = {name: sum(p.stop - p.start for p in session.passages if p.source == name) for name in session.sources}
    short = [f"{name} {seconds:.1f} s" for name, seconds in lasting.items() if 0 < seconds < SHORT_SOLO]
    if short:
        click.echo(
            f"mnmf: short solos ({', '.join(short)}): under {SHORT_SOLO:.0f} s of playing shows few frequencies and "
            "can do more harm than good; label more (claps may be as short)",
            err=True,
        )
    if separation.not_estimated:
        names = ", ".join(separation.not_estimated)
        click.echo(f"mnmf: no estimate of {names}: what the spot hears stands in for it", err=True)
    for m in separation.silent_mics:
        click.echo(f"mnmf: mic {m + 1} is practically silent in the take", err=True)
    for source, count in clipped.items():
        click.echo(f"mnmf: {source}: {count} samples clipped at full scale", err=True)
    click.echo(f"{len(session.sources)} sources by {method} in {sum(separation.seconds.values()):.1f} s")


@cli.command()
@click.argument("stems_dir")
@click.option(
    "--reference",
    multiple=True,
    required=True,
    metavar="FILE",
    help="The true images in the manifest's order of sources: channels, or repeated.",
)
@click.option("--mixture", multiple=True, metavar="FILE", help="The take, to print the gain over it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def score(stems_dir: str, reference: tuple[str, ...], mixture: tuple[str, ...], as_json: bool) -> None:
    """Score stems against the true images of the sources at their spots.

    SDR, SIR and SAR are BSS_eval v3 with 512 taps; SNR allows no filter and is the median over frames of a second.
    """
    result = interruptible(lambda: score_stems(Path(stems_dir), reference, mixture))
    for stem, likely in result.pop("mistaken"):
        click.echo(f"mnmf: the stem {stem!r} is more like the reference of {likely!r}; check their order", err=True)
    if as_json:
        click.echo(json.dumps(_without_nan(result), indent=2, ensure_ascii=False))
    else:
        Console(highlight=False).print(score_table(result))


@cli.command()
@click.option("--out", default="demo", show_default=True, metavar="DIR", help="Where everything goes.")
@_tuning_options
def demo(out: str, overwrite: bool, **tuning: Any) -> None:
    """Play a string quartet in a simulated room, separate it again and print the score.

    DIR gets the take as its four spots heard it, the solo passages with their markers, the true images, and the stems.
    """
    from mnmf import audio, data, markers, simulate
    from mnmf.session import Session

    take, reference, solo_take, labels = "mixture.flac", "reference.flac", "solos.flac", "solos.txt"
    quartet = data.quartet()
    stems = [f"stems/{name}.flac" for name in quartet.names]
    files = [take, reference, solo_take, labels, *stems, "stems/manifest.json"]

    def play(folder: OutputFolder) -> None:
        scene = simulate.chamber_scene(quartet.names)
        images_LMN = simulate.render(scene, quartet.stems_LN, quartet.sample_rate)
        solos_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), quartet.sample_rate)
        own_LN = images_LMN[:, list(scene.spots), range(len(scene.spots))]
        mixture_LM = images_LMN.sum(axis=2)
        peak = max(abs(mixture_LM).max(), abs(solos_LM).max(), abs(own_LN).max())
        for name, x_LM in ((take, mixture_LM), (reference, own_LN), (solo_take, solos_LM)):
            audio.write(folder.path(name), x_LM * (0.9 / peak), quartet.sample_rate)
        markers.write_audacity(folder.path(labels), passages)

    with OutputFolder(out, files, overwrite=overwrite) as folder:
        with Console(stderr=True).status("a string quartet takes its seats"):
            interruptible(lambda: play(folder))
        session = Session.open(folder.path(take), solos=folder.path(labels), solo_take=folder.path(solo_take))
        _introduce(session)
        # The manifest's paths are relative, so they hold before and after the folder is in its place.
        stems_dir = folder.path("stems/manifest.json").parent
        _fill(folder, "stems/", session, stems_dir, tuning, _joined_dictionary(tuning["dictionary"]))
        truth, mixture = [str(folder.path(reference))], [str(folder.path(take))]
        result = interruptible(lambda: score_stems(stems_dir, truth, mixture))
        folder.publish()
    Console(highlight=False).print(score_table(result))
    paths = [Path(out) / name for name in (take, labels, solo_take)]
    click.echo("The same by hand: mnmf separate {} --solos {} --solo-take {} --out stems".format(*paths))


@cli.command()
def methods() -> None:
    """List the methods with their citation and what they need."""
    from mnmf.separate import DEFAULT_METHOD, METHODS

    table = Table(box=None, pad_edge=False)
    for heading in ("method", "what it is", "needs", "citation"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "method")
    for name, method in METHODS.items():
        shown = f"{name} (default)" if name == DEFAULT_METHOD else name
        table.add_row(shown, method.summary, method.needs, method.citation)
    Console(highlight=False).print(table)


@cli.group()
def notes() -> None:
    """Make and look at note dictionaries: the spectrum of every note that an instrument plays."""


@notes.command("build")
@click.argument("folder")
@click.option("--out", required=True, metavar="FILE", help="The dictionary, an .npz file.")
@click.option("--instrument", metavar="NAME", help="What all files are of, if their names do not say.")
@click.option("--lowest", metavar="PITCH", help="First note in files of successive notes, as in G3; or a MIDI number.")
@click.option("--index", metavar="CSV", help="Table of the notes: file, instrument, pitch, and start, stop, …")
@click.option("--style", multiple=True, metavar="NAME", help="Take only this playing style, as in NO; repeatable.")
@click.option("--dynamics", multiple=True, metavar="NAME", help="Take only these dynamics, as in mf; repeatable.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier dictionary.")
def notes_build(
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

    target = _file_target(out, (".npz",))
    given: dict[str, Any] = {
        "instrument": instrument,
        "lowest": None if lowest is None else parse_pitch(lowest),
        "index": index,
        "styles": style,
        "dynamics": dynamics,
    }
    inputs = recordings(folder, index)
    with OutputFolder(target.parent, [target.name], inputs=inputs, overwrite=overwrite) as place:
        with _progress("notes") as tell:

            def work() -> NoteDictionary:
                told = {name: value for name, value in given.items() if value not in (None, ())}
                dictionary = NoteDictionary.build(folder, progress=lambda done: tell("notes", done), **told)
                dictionary.save(place.path(target.name))
                return dictionary

            dictionary = interruptible(work)
        place.publish()
    Console(highlight=False).print(notes_table(dictionary))
    click.echo(f"dictionary in {out}")


@notes.command("list")
@click.argument("dictionary", default=EMBEDDED, metavar="[NAME|FILE]")
def notes_list(dictionary: str) -> None:
    """List the instruments of a dictionary: of a file, or of orchestra, which is embedded, if none is given."""
    Console(highlight=False).print(notes_table(_dictionary(dictionary, bare_files=True)[0]))


@notes.command("show")
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
def notes_show(instrument: str, dictionary: str, out: str, overwrite: bool) -> None:
    """Draw the notes of an instrument: frequency over pitch."""
    from mnmf.notes._drawing import SUFFIXES, draw

    target = _file_target(out, SUFFIXES)
    source, inputs = _dictionary(dictionary, bare_files=True)
    own = source.find(instrument)
    with OutputFolder(target.parent, [target.name], inputs=inputs, overwrite=overwrite) as place:
        interruptible(lambda: draw(source, own, place.path(target.name)))
        place.publish()
    click.echo(f"{own} in {out}")


def _file_target(out: str, suffixes: Sequence[str]) -> Path:
    target = Path(out)
    if not out or not target.name or out.endswith(("/", "\\")):
        raise ArgumentError(f"--out {out!r} names no file")
    if target.suffix.lower() not in suffixes:
        raise ArgumentError(f"--out {out!r} must end in {' or '.join(suffixes)}")
    return target


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
        source = Text(_printable(dictionary.source(own)))
        table.add_row(Text(_printable(own)), str(len(pitches)), span, source)
    return table


def score_stems(stems_dir: Path, reference: Sequence[str], mixture: Sequence[str]) -> dict[str, Any]:
    """Return the scores of the stems in a folder, for each source and on average.

    Raises
    ------
    MnmfError
        The folder has no manifest, or the files do not fit together.
    """
    import numpy as np

    from mnmf import metrics
    from mnmf.audio import Recording

    sources = _manifest_sources(stems_dir)
    stems = Recording.open([stems_dir / source["file"] for source in sources])
    truth = Recording.open(list(reference), lossless=False)
    _same_shape(truth, stems, len(sources), "channel per source of the manifest")
    estimate_LN = stems.read(dtype=np.float64)
    reference_LN = truth.read(dtype=np.float64)

    order = metrics.bss_eval(reference_LN, estimate_LN, permute=True).permutation
    names = [source["name"] for source in sources]
    mistaken = [(names[stem], names[likely]) for likely, stem in enumerate(order) if stem != likely]

    def scores(x_LN: Any) -> list[dict[str, float]]:
        bss = metrics.bss_eval(reference_LN, x_LN)
        snr = metrics.framewise(reference_LN, x_LN, stems.sample_rate)
        columns = {"sdr": bss.sdr, "sir": bss.sir, "sar": bss.sar, "snr": snr.median}
        return [{name: float(values[n]) for name, values in columns.items()} for n in range(len(sources))]

    rows = [{"name": source["name"], "output": row} for source, row in zip(sources, scores(estimate_LN))]
    if mixture:
        take = Recording.open(list(mixture), lossless=False)
        _same_shape(take, stems, max(source["mics"][0] for source in sources), "mic of the take", at_least=True)
        spots_LN = take.read(dtype=np.float64)[:, [source["mics"][0] - 1 for source in sources]]
        for row, before in zip(rows, scores(spots_LN)):
            row["input"] = before
            row["delta"] = {name: row["output"][name] - before[name] for name in before}
    parts = [part for part in ("input", "output", "delta") if part in rows[0]]
    mean: dict[str, Any] = {part: {} for part in parts}
    for name in rows[0]["output"]:
        # A source that was silent somewhere counts nowhere, so that before, after and gain speak of the same sources.
        counted = [row for row in rows if all(math.isfinite(row[part][name]) for part in parts)]
        for part in parts:
            values = [row[part][name] for row in counted]
            mean[part][name] = sum(values) / len(values) if values else math.nan
    return {"sources": rows, "mean": mean, "mistaken": mistaken}


def score_table(result: Mapping[str, Any]) -> Table:
    """Return the scores as a table: before and after where there is a mixture, and the gain."""
    with_input = "input" in result["mean"]
    table = Table(box=None, pad_edge=False)
    table.add_column(
        "dB", no_wrap=True, min_width=max(len(row["name"]) for row in (*result["sources"], {"name": "mean"}))
    )
    for name in ("SDR", "SIR", "SAR", "SNR"):
        table.add_column(name, justify="right", no_wrap=True)
        if with_input and name != "SAR":
            table.add_column(f"Δ{name}", justify="right", no_wrap=True)
    for row in [*result["sources"], {"name": "mean", **result["mean"]}]:
        cells = []
        for name in ("sdr", "sir", "sar", "snr"):
            after = _decibels(row["output"][name])
            cells.append(f"{_decibels(row['input'][name])} → {after}" if with_input else after)
            if with_input and name != "sar":
                cells.append(_decibels(row["delta"][name], sign="+"))
        table.add_row(Text(row["name"]), *cells, style="bold" if row["name"] == "mean" else None)
    return table


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


@contextmanager
def _progress(first: str = STAGES[0]) -> Iterator[Callable[[str, float], None]]:
    """Show one bar for the stages of the work, on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=1.0)
        yield lambda stage, done: bar.update(task, description=stage, completed=done)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _joined_dictionary(options: Sequence[str]) -> tuple[NoteDictionary | None, list[Path]]:
    """Return the dictionaries that are named, joined into one, and the files they came from."""
    joined: NoteDictionary | None = None
    files = []
    for option in options:
        notes, more = _dictionary(option)
        joined = notes if joined is None else joined | notes
        files += more
    return joined, files


def _dictionary(option: str, bare_files: bool = False) -> tuple[NoteDictionary, list[Path]]:
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


def _spots(options: Sequence[str]) -> dict[str, list[str]]:
    spots: dict[str, list[str]] = {}
    for option in options:
        name, equals, mic = option.rpartition("=")
        if not (name.strip() and equals and mic.strip()):
            raise ArgumentError(f"--spot wants NAME=MIC, as in --spot violin=2; got {option!r}")
        spots.setdefault(name.strip(), []).append(mic.strip())
    return spots


def _manifest_sources(stems_dir: Path) -> list[dict[str, Any]]:
    path = stems_dir / "manifest.json"
    try:
        sources = json.loads(path.read_text("utf-8"))["sources"]
        wanted = [
            {"name": str(s["name"]), "file": str(s["file"]), "mics": [int(m) for m in s["mics"]]} for s in sources
        ]
    except OSError as error:
        raise SessionError(f"{path}: cannot be read; give a folder that mnmf separate wrote") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SessionError(f"{path}: not a manifest of mnmf separate; give a folder that it wrote") from error
    if not wanted:
        raise SessionError(f"{path}: names no sources; give a folder that mnmf separate wrote")
    return wanted


def _same_shape(recording: Any, stems: Any, channels: int, what: str, at_least: bool = False) -> None:
    path = recording.paths[0]
    enough = recording.n_mics >= channels if at_least else recording.n_mics == channels
    if not enough:
        raise SessionError(f"{path}: has {recording.n_mics} channels, the stems need {channels}: one {what}")
    if (recording.sample_rate, recording.n_samples) != (stems.sample_rate, stems.n_samples):
        raise SessionError(
            f"{path}: {recording.n_samples} samples at {recording.sample_rate} Hz, but the stems have "
            f"{stems.n_samples} at {stems.sample_rate} Hz; give the recording the stems were made from"
        )


def _decibels(value: float, sign: str = "-") -> str:
    return f"{value:{sign}.1f}" if math.isfinite(value) else "–" if math.isnan(value) else "∞"


def _without_nan(value: Any) -> Any:
    """Replace what JSON has no word for by null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
