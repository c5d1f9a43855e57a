"""The commands.  The only module that prints, and the only one that knows about terminals and exit statuses."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import mnmf
from mnmf.errors import ArgumentError, MnmfError, OutputError, SessionError
from mnmf.output import OutputFolder

# What needs numba or pyroomacoustics is imported by the command that uses it, so that --help and mistakes are quick.

__all__ = ["run"]

Result = TypeVar("Result")
STAGES = ("read", "learn solos", "fit", "reconstruct")


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
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message.replace("\n", " "))
    click.echo(f"mnmf: {line}", err=True)
    return 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mnmf.__version__, prog_name="mnmf")
def cli() -> None:
    """Separate musicians who played together in one room, from their close microphones."""


def _tuning_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--components", type=int, help="Bases per source."),
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
@click.option("--solo-take", multiple=True, metavar="FILE", help="What the markers refer to, if not the take.")
@click.option("--sources", metavar="A,B,C", help="Names, in the order of the results.")
@click.option("--spot", multiple=True, metavar="NAME=MIC", help="Whose mic: its channel from 1 on, or its name.")
@click.option("--ambient", multiple=True, metavar="MIC", help="A mic that is nobody's spot.")
@_tuning_options
def separate_command(
    take: tuple[str, ...],
    out: str,
    solos: str | None,
    solo_take: tuple[str, ...],
    sources: str | None,
    spot: tuple[str, ...],
    ambient: tuple[str, ...],
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
        "sources": None if sources is None else [name.strip() for name in sources.split(",")],
        "spots": _spots(spot),
        "ambient": ambient,
    }
    given = {name: value for name, value in given.items() if value}
    if len(take) == 1 and take[0].lower().endswith(".toml"):
        session = Session.from_toml(take[0], **given)
    else:
        session = Session.open(take, **given)
    _separate(session, Path(out), overwrite, tuning)


def _separate(session: Any, out: Path, overwrite: bool, tuning: Mapping[str, Any]) -> None:
    """Separate `session` into `out`: all stems and the manifest, or nothing."""
    from mnmf.separate import DEFAULT_METHOD, manifest, separate, stem_name, write_stems

    method = tuning["method"] or DEFAULT_METHOD
    options = {name: tuning[name] for name in ("seed", "window", "iterations", "components")}
    console = Console(highlight=False, soft_wrap=True)
    for n, source in enumerate(session.sources):
        console.print(f"{source}: {session.describe_spot(n)}", markup=False)
    if session.ambient:
        console.print("ambient: mic " + ", ".join(str(m + 1) for m in session.ambient), markup=False)
    if session.ignored:
        console.print(f"ignored labels: {', '.join(session.ignored)}", markup=False)

    names = [stem_name(session, n) for n in range(len(session.sources))]
    inputs = [*session.take.paths, *session.solo_take.paths]
    inputs += [session.markers] if session.markers is not None else []
    with OutputFolder(out, [*names, "manifest.json"], inputs=inputs, overwrite=overwrite) as folder:
        with _progress() as tell:

            def work() -> tuple[Any, dict[str, int]]:
                separation = separate(session, method, progress=tell, **options)
                clipped = write_stems(session, separation, folder)
                record = manifest(session, separation, clipped)
                folder.path("manifest.json").write_text(
                    json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8"
                )
                return separation, clipped

            separation, clipped = interruptible(work)
        folder.publish()
    for source, count in clipped.items():
        click.echo(f"mnmf: {source}: {count} samples clipped at full scale", err=True)
    total = sum(separation.seconds.values())
    console.print(f"{len(names)} stems in {out} ({method}, {total:.1f} s)", markup=False)


@cli.command()
@click.argument("stems_dir")
@click.option(
    "--reference", multiple=True, required=True, metavar="FILE", help="The true images: channels, or repeated."
)
@click.option("--mixture", multiple=True, metavar="FILE", help="The take, to print the gain over it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def score(stems_dir: str, reference: tuple[str, ...], mixture: tuple[str, ...], as_json: bool) -> None:
    """Score stems against the true images of the sources at their spots.

    SDR, SIR and SAR are BSS_eval v3 with 512 taps; SNR allows no filter and is the median over frames of a second.
    """
    result = interruptible(lambda: score_stems(Path(stems_dir), reference, mixture))
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

    folder_path = Path(out)
    take, reference, solo_take = "mixture.flac", "reference.flac", "solos.flac"
    labels = "solos.txt"
    stems = folder_path / "stems"
    _refuse_existing(stems / "manifest.json", overwrite)

    console = Console(highlight=False, soft_wrap=True)
    with OutputFolder(folder_path, [take, reference, solo_take, labels], overwrite=overwrite) as folder:
        with console.status("a string quartet takes its seats"):

            def play() -> None:
                quartet = data.quartet()
                scene = simulate.chamber_scene(quartet.names)
                images_LMN = simulate.render(scene, quartet.stems_LN, quartet.sample_rate)
                solos_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), quartet.sample_rate)
                own_LN = images_LMN[:, list(scene.spots), range(len(scene.spots))]
                mixture_LM = images_LMN.sum(axis=2)
                peak = max(abs(mixture_LM).max(), abs(solos_LM).max(), abs(own_LN).max())
                for name, x_LM in ((take, mixture_LM), (reference, own_LN), (solo_take, solos_LM)):
                    audio.write(folder.path(name), x_LM * (0.9 / peak), quartet.sample_rate)
                markers.write_audacity(folder.path(labels), passages)

            interruptible(play)
        folder.publish()

    from mnmf.session import Session

    session = Session.open(folder_path / take, solos=folder_path / labels, solo_take=folder_path / solo_take)
    _separate(session, stems, overwrite, tuning)
    result = interruptible(lambda: score_stems(stems, [str(folder_path / reference)], [str(folder_path / take)]))
    console.print(score_table(result))
    console.print(
        f"The same by hand: mnmf separate {folder_path / take} --solos {folder_path / labels} "
        f"--solo-take {folder_path / solo_take} --out stems",
        markup=False,
    )


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
    mean: dict[str, Any] = {}
    for part in [part for part in ("input", "output", "delta") if part in rows[0]]:
        mean[part] = {}
        for name in rows[0][part]:
            values = [row[part][name] for row in rows if math.isfinite(row[part][name])]
            mean[part][name] = sum(values) / len(values) if values else math.nan
    return {"sources": rows, "mean": mean}


def score_table(result: Mapping[str, Any]) -> Table:
    """Return the scores as a table: before and after where there is a mixture, and the gain."""
    with_input = "input" in result["mean"]
    table = Table(box=None, pad_edge=False)
    table.add_column("dB")
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
                cells.append(f"{row['delta'][name]:+.1f}")
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
    while thread.is_alive():
        thread.join(0.2)
    if failure:
        raise failure[0]
    return outcome[0]


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """Show one bar for the stages of a separation, on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(STAGES[0], total=1.0)
        yield lambda stage, done: bar.update(task, description=stage, completed=done)


def _spots(options: Sequence[str]) -> dict[str, list[str]]:
    spots: dict[str, list[str]] = {}
    for option in options:
        name, equals, mic = option.rpartition("=")
        if not (name.strip() and equals and mic.strip()):
            raise ArgumentError(f"--spot wants NAME=MIC, as in --spot violin=2; got {option!r}")
        spots.setdefault(name.strip(), []).append(mic.strip())
    return spots


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another --out or say --overwrite")


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


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "–" if math.isnan(value) else "∞"


def _without_nan(value: Any) -> Any:
    """Replace what JSON has no word for by null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
