"""``mnmf learn``: from a sound check or a concert to what it teaches of the room."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mnmf.cli._options import Grouped, check_tuning, file_target, memory_option, opened, session_options, tuning_options
from mnmf.cli._run import Helpers, input_files, introduce, size_of, within_memory
from mnmf.cli._terminal import interruptible, learning, progress, say, talking, warn
from mnmf.output import OutputFolder

if TYPE_CHECKING:
    from mnmf.room import Room

__all__ = ["command"]


@click.command("learn", short_help="Learn from a take how each player reaches each mic.", cls=Grouped)
@session_options
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is wrong.")
@click.option("--json", "events", is_flag=True, help="Say everything on stdout as events, a line of JSON each.")
@click.option("--out", required=True, metavar="FILE", help="The model, an .npz file.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier one.")
@memory_option
@tuning_options
def command(take: tuple[str, ...], quiet: bool, events: bool, **options: Any) -> None:
    """Learn from a take how each player reaches each mic, for `mnmf separate --model` of other takes.

    TAKE is a sound check or a concert in the same seats with the same mics, given as for `mnmf separate`.  Everybody
    should play in it, in whatever company; solos help.
    """
    with talking(quiet=quiet, events=events):
        _learn(take, **options)


def _learn(take: tuple[str, ...], out: str, overwrite: bool, **options: Any) -> None:
    from mnmf import manifest
    from mnmf.files import unchanged
    from mnmf.methods import DEFAULT_METHOD, find_method
    from mnmf.separation import learn

    target = file_target(out, (".npz",))
    check_tuning(options)
    session = opened(take, options)
    introduce(session)
    recipe = find_method(options["method"] or DEFAULT_METHOD)
    how = {name: options[name] for name in ("seed", "window", "segment", "iterations", "components")}
    within_memory(size_of(session), recipe, options, how)
    inputs = input_files(session, Helpers())
    with OutputFolder(target.parent, [target.name], inputs=inputs, overwrite=overwrite) as place:
        with progress("learning") as tell:

            def work() -> Room:
                with unchanged(inputs):
                    digests = manifest.digests_of(session)
                    room = learn(session, method=recipe, progress=learning(tell, "learning"), **how)
                replace(room, sha256={path.as_posix(): digest for path, digest in digests.items()}).save(
                    place.path(target.name)
                )
                return room

            room = interruptible(work)
        place.publish()
    for name in session.sources:
        if name not in room.sources:
            warn(f"{name}: never plays here, so a take in which {name} does cannot be separated by this model")
    say(f"{len(room.sources)} sources at {len(room.mic_names)} mics, in {out}")
