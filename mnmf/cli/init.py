"""``mnmf init``: a session file for a folder, to be looked at and corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnmf.cli._options import complete_files, file_target
from mnmf.cli._run import introduce
from mnmf.cli._terminal import interruptible, progress, say, warn
from mnmf.errors import OutputError

__all__ = ["command"]


@click.command("init", short_help="Write a session.toml for a folder of files.")
@click.argument("take", nargs=-1, required=True, metavar="TAKE...", shell_complete=complete_files)
@click.option(
    "--solos",
    metavar="MARKERS",
    shell_complete=complete_files,
    help="Marker file naming each source's solo passage; looked for beside the take if not given.",
)
@click.option(
    "--solo-take",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_files,
    help="What the markers refer to, if not the take; as for `mnmf separate`.",
)
@click.option("--unchecked", is_flag=True, help="Do not look for faults, as `mnmf inspect` does.")
@click.option("--out", metavar="FILE", help="The session file; session.toml in the folder of the take if not given.")
def command(
    take: tuple[str, ...], solos: str | None, solo_take: tuple[str, ...], unchecked: bool, out: str | None
) -> None:
    """Write a session.toml for a folder: its mics, whose they seem to be, and what is wrong with them.

    TAKE is a folder, or the files of a take, as for `mnmf separate`, which then takes the session.toml in their place.
    Mics that hear nothing, copies and mixes are nobody's spot in it.  Nothing is ever overwritten.
    """
    from mnmf.draft import draft, folder_of
    from mnmf.folders import SESSION
    from mnmf.output import OutputFolder

    target = folder_of(take) / SESSION if out is None else file_target(out, (".toml",))
    if target.exists():
        raise OutputError(f"{target} is there already; correct that one, or name another with --out")
    asked: Any = {"solos": solos, "solo_take": solo_take, "inspect": not unchecked}
    with progress("inspect") as tell:
        made = interruptible(lambda: draft(take, target, **asked, progress=lambda part: tell("inspect", part)))
    with OutputFolder(target.parent, [target.name]) as folder:
        folder.path(target.name).write_text(made.text, "utf-8")
        folder.publish()
    if made.session is not None:
        introduce(made.session)
    if made.inspected is not None:
        for found in made.inspected.take.findings:
            if found.grade != "note":
                warn(str(found))
    say(f"{target} is written; look at it, then: mnmf separate {_shown(target)}")
    if made.problem:
        warn(f"it has to be corrected first: {made.problem}")


def _shown(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
