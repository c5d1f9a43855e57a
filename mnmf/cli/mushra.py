"""``mnmf mushra``: a listening test of stems, for webMUSHRA."""

from __future__ import annotations

from typing import Any

import click

from mnmf.cli._options import listed, stretch_of
from mnmf.cli._terminal import interruptible, progress, say, warn

__all__ = ["command"]


@click.command("mushra", short_help="Prepare a listening test of several methods.")
@click.argument("stems_dir", nargs=-1, required=True)
@click.option(
    "--reference",
    multiple=True,
    required=True,
    metavar="DIR|FILE",
    help="The true sources: a folder of files called as they are, or channels in the manifest's order, or repeated.",
)
@click.option("--mixture", multiple=True, metavar="FILE", help="The take, to hear the unprocessed spots as well.")
@click.option("--out", default="listening", show_default=True, metavar="DIR", help="A new folder for the test.")
@click.option(
    "--excerpt",
    multiple=True,
    metavar="FROM-TO",
    help="Hear this stretch, as in 1:20-1:28, of every source; repeatable. Where each player is loudest if not given.",
)
@click.option("--length", type=float, default=8.0, show_default=True, metavar="SECONDS", help="Of chosen excerpts.")
@click.option("--count", type=int, default=1, show_default=True, metavar="N", help="Excerpts chosen for each source.")
@click.option("--only", metavar="A,B", help="Hear these sources only.")
@click.option("--rate", type=int, metavar="HZ", help="44100 or 48000; that of the take if it is one, else 48000.")
@click.option("--bits", type=int, default=24, show_default=True, metavar="16|24", help="Of the WAV files.")
@click.option("--loudness", type=float, default=-23.0, show_default=True, metavar="LUFS", help="Of every sound.")
@click.option("--name", default="mnmf", show_default=True, metavar="NAME", help="Of the test and its files.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Decides the names of the sounds.")
def command(stems_dir: tuple[str, ...], reference: tuple[str, ...], mixture: tuple[str, ...], **options: Any) -> None:
    """Prepare a MUSHRA listening test (ITU-R BS.1534-3) of the stems of one method or several.

    Each STEMS_DIR is a folder that `mnmf separate` wrote. Listeners compare every stem with the true source, a hidden
    copy of it, and two anchors: the true source through linear-phase low-pass filters at 3.5 and 7 kHz. All sounds are
    equally loud (ITU-R BS.1770). webMUSHRA, a program of the International Audio Laboratories Erlangen, plays the test.
    """
    from mnmf.listening import Options, prepare

    spans = [stretch_of(text, "--excerpt") for text in options["excerpt"]]
    wanted = Options(
        excerpts=[span for span in spans if span is not None],
        length=options["length"],
        count=options["count"],
        only=listed(options["only"]) or (),
        sample_rate=options["rate"],
        bits=options["bits"],
        loudness=options["loudness"],
        name=options["name"],
        seed=options["seed"],
    )
    with progress("read") as tell:
        test = interruptible(
            lambda: prepare(
                stems_dir,
                reference,
                options["out"],
                wanted,
                mixture=mixture,
                progress=lambda part: tell("read" if part <= 0.5 else "write", part),
            )
        )
    for remark in test.remarks:
        warn(remark)
    for condition in test.conditions:
        say(f"{condition.key}: {condition.method}" + (f", {condition.folder}" if condition.folder else ""))
    if test.common_gain:
        say(f"all sounds are {-test.common_gain:.1f} dB softer than {wanted.loudness:g} LUFS, so that none clips")
    trials = "1 trial" if len(test.trials) == 1 else f"{len(test.trials)} trials"
    say(f"{trials} of {len(test.conditions) + 3} sounds, {test.configuration}")
    say(f"Copy {test.configuration.parent} into webMUSHRA and open ?config={test.configuration.name}; keep key.json")
