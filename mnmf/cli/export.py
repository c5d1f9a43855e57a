"""``mnmf export``: projects of workstations from a folder of stems."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from mnmf.cli._options import projects_of, projects_option, reductions_of
from mnmf.cli._terminal import interruptible, say, warn
from mnmf.errors import ArgumentError, OutputError

__all__ = ["command"]


@click.command("export")
@click.argument("stems_dir")
@projects_option
@click.option("--embed", is_flag=True, help="Put all audio into the .dawproject instead of referring to it.")
@click.option(
    "--reduction",
    multiple=True,
    metavar="[NAME=]DB",
    help="Turn bleed down by so many dB by the gains of the project, in every stem or in that of a source; repeatable. "
    "As `mnmf separate` was told if not given.",
)
@click.option("--overwrite", is_flag=True, help="Replace a project that is there.")
def command(stems_dir: str, **options: Any) -> None:
    """Lay stems under their originals in a project of a workstation.

    STEMS_DIR is a folder that `mnmf separate` wrote; the project is put beside the stems.
    """
    interruptible(lambda: _export(Path(stems_dir), **options))


def _export(folder: Path, reduction: tuple[str, ...], embed: bool, overwrite: bool, **options: Any) -> None:
    from mnmf.daw import FORMATS, read_project, write_project
    from mnmf.files import whole
    from mnmf.manifest import read_stems
    from mnmf.output import same_file

    formats = projects_of(options)
    if not formats:
        raise ArgumentError("give --reaper or --dawproject, or both")
    if embed and "dawproject" not in formats:
        raise ArgumentError("--embed puts audio into a .dawproject; give --dawproject, too")
    dials: Any = reductions_of(reduction, [stem.name for stem in read_stems(folder)])
    made = {name: read_project(folder, dials, channels=name != "dawproject") for name in formats}
    for name, project in made.items():
        target = folder / FORMATS[name]
        if clash := same_file(target, [track.item.path for track in project.tracks]):
            raise OutputError(f"{target} is the input {clash}; rename that")
        if os.path.lexists(target) and not overwrite:
            raise OutputError(f"{target} exists already; add --overwrite, or save it under another name first")
    with ExitStack() as stack:  # all are written before the first one is put in its place
        for name, project in made.items():
            place = stack.enter_context(whole(folder / FORMATS[name]))
            write_project(place, project, name, embed=embed and name == "dawproject")
    for name, project in made.items():
        say(f"{folder / FORMATS[name]}: {len(project.tracks)} tracks")
        for remark in project.remarks:
            warn(remark)
