"""The sounds that the pages play: the embedded quartet in a simulated hall, separated when the site is made.

The directive ``sounds`` shows all of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

FOLDER = "sounds"
SECONDS = 12.0
PEAK = 0.7
NAMES = ("violin1", "violin2", "viola", "cello")
KINDS = {"spot": "microphone", "no-solos": "without solos", "stem": "with solos", "alone": "alone"}


def make(app: Sphinx) -> None:
    """Write them once, next to what Sphinx writes."""
    folder = Path(app.outdir) / FOLDER
    if (folder / "done").exists() or app.builder.format != "html":
        return
    import numpy as np
    import soundfile

    import mnmf
    from mnmf import data, simulate

    log.info("the quartet plays")
    folder.mkdir(parents=True, exist_ok=True)
    quartet = data.quartet()
    rate, names = quartet.sample_rate, quartet.names
    scene = simulate.hall_scene(names)
    images_LMN = simulate.render(scene, quartet.stems_LN, rate)
    solo_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), rate)
    take_LM = images_LMN.sum(axis=2)
    seats = {"sources": names, "spots": dict(zip(names, scene.spots))}
    solos = {passage.source: (passage.start, passage.stop) for passage in passages}
    results = {
        "stem": mnmf.separate(take_LM, rate, solos=solos, solo_LM=solo_LM, **seats),
        "no-solos": mnmf.separate(take_LM, rate, **seats),
    }
    for n, (name, spot) in enumerate(zip(names, scene.spots)):
        loudest = np.abs(take_LM[:, spot]).max()  # one gain for all of a player, or louder would seem better
        heard = {"spot": take_LM[:, spot], "alone": images_LMN[:, spot, n]}
        heard |= {key: result.stems_LN[:, n] for key, result in results.items()}
        for key, x_L in heard.items():
            cut_L = np.clip(PEAK * x_L / loudest, -1, 1)[: round(SECONDS * rate)]
            soundfile.write(folder / f"{name}.{key}.flac", cut_L, rate, "PCM_16")
    (folder / "done").touch()


class Sounds(SphinxDirective):
    """A player after another, with what can be heard of each."""

    def run(self) -> list[nodes.Node]:
        """Return them as HTML."""
        html = "".join(f'<h2>{name}</h2><dl class="sounds">{"".join(_rows(name))}</dl>' for name in NAMES)
        return [nodes.raw("", html, format="html")]


def _rows(name: str) -> Iterator[str]:
    for kind, words in KINDS.items():
        source = f"{FOLDER}/{name}.{kind}.flac"
        player = f'<audio controls preload="none" aria-label="{name}, {words}" src="{source}"></audio>'
        yield f"<dt>{words}</dt><dd>{player}</dd>"


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("sounds", Sounds)
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True}
