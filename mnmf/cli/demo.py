"""``mnmf demo``: a string quartet in a simulated room, separated again and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mnmf.cli._options import check_tuning, dictionary_option, given_words, joined_dictionary, tuning_options
from mnmf.cli._run import Helpers, introduce, separate_into
from mnmf.cli._terminal import interruptible, say
from mnmf.cli.report import REPORT, check_page, report_beside
from mnmf.cli.score import show_scores
from mnmf.output import OutputFolder

TAKE, REFERENCE, SOLO_TAKE, LABELS = "mixture.flac", "reference.flac", "solos.flac", "solos.txt"


@click.command("demo", short_help="Separate the quartet that comes with it, and print scores.")
@click.option("--out", default="demo", show_default=True, metavar="DIR", help="Where everything goes.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run wrote.")
@click.option("--report", is_flag=True, help="Also make report.html, a page to look at and listen to.")
@tuning_options
@dictionary_option
def command(out: str, overwrite: bool, report: bool, **tuning: Any) -> None:
    """Play a string quartet in a simulated room, separate it again and print the score.

    DIR gets the take as its four spots heard it, the solo passages with their markers, the true images, and the stems.
    """
    from mnmf import data
    from mnmf.manifest import MANIFEST
    from mnmf.score import score_stems
    from mnmf.session import Session

    check_tuning(tuning)
    quartet = data.quartet()
    stems = [f"stems/{name}.flac" for name in quartet.names]
    files = [TAKE, REFERENCE, SOLO_TAKE, LABELS, *stems, f"stems/{MANIFEST}"]
    helpers = Helpers(*joined_dictionary(tuning["dictionary"])[:1])
    page = Path(out) / REPORT
    if report:
        check_page(page, overwrite)
    paths = [Path(out) / name for name in (TAKE, LABELS, SOLO_TAKE)]
    words = ["mnmf", "separate", paths[0], "--solos", paths[1], "--solo-take", paths[2]]
    words += given_words(click.get_current_context(), ("out", "overwrite", "report"))[2:]
    with OutputFolder(out, files, overwrite=overwrite) as folder:
        with Console(stderr=True).status("a string quartet takes its seats"):
            interruptible(lambda: _play(folder))
        session = Session.open(folder.path(TAKE), solos=folder.path(LABELS), solo_take=folder.path(SOLO_TAKE))
        introduce(session)
        # The manifest's paths are relative, so they hold before and after the folder is in its place.
        stems_dir = folder.path(f"stems/{MANIFEST}").parent
        said = [*map(str, words), "--out", str(Path(out) / "stems")]  # what a report repeats must replace these stems
        separate_into(folder, session, stems_dir, tuning, helpers, "stems/", command=said)
        result = interruptible(lambda: score_stems(stems_dir, [folder.path(REFERENCE)], [folder.path(TAKE)]))
        folder.publish()
    show_scores(result)
    say(f"The same by hand: {' '.join(map(str, words))} --out stems")
    if report:
        report_beside(Path(out) / "stems", page, [Path(out) / REFERENCE])


def _play(folder: OutputFolder) -> None:
    """Write what the spots hear of the quartet and of each player alone, and the truth."""
    from mnmf import audio, data, markers, simulate

    quartet = data.quartet()
    scene = simulate.chamber_scene(quartet.names)
    images_LMN = simulate.render(scene, quartet.stems_LN, quartet.sample_rate)
    solos_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), quartet.sample_rate)
    own_LN = images_LMN[:, list(scene.spots), range(len(scene.spots))]
    mixture_LM = images_LMN.sum(axis=2)
    peak = max(abs(mixture_LM).max(), abs(solos_LM).max(), abs(own_LN).max())
    for name, x_LM in ((TAKE, mixture_LM), (REFERENCE, own_LN), (SOLO_TAKE, solos_LM)):
        audio.write(folder.path(name), x_LM * (0.9 / peak), quartet.sample_rate)
    markers.write_audacity(folder.path(LABELS), passages)
