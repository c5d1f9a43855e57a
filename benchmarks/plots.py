"""Draw what `mnmf.plot` draws: the pictures of docs/plots.md.

    python benchmarks/plots.py [--quick]

Six seconds of the embedded quartet in the demo's room, separated with FastMNMF2, and for the costs with full-rank MNMF.
Writes docs/images/plot_*.png; --quick draws them roughly, and not into docs.
"""

import tempfile
from pathlib import Path

import numpy as np
from _figures import IMAGES
from _runner import arguments

from mnmf import NoteDictionary, Take, data, plot, separate, simulate

SECONDS = 6


def main() -> None:
    options = arguments(__doc__, data="not used: it is the embedded quartet; neither are --jobs")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rough = {"window": 0.1, "iterations": 2} if options.quick else {}
    plt.rcParams.update({"font.size": 9, "font.family": "DejaVu Sans"})
    take = quartet()
    fast = separate(take, method="fastmnmf2", **rough)
    held, updated = (separate(take, method=f"mnmf-{name}", iterations=2 if options.quick else 30) for name in VARIANTS)
    pictures = {
        "spectrograms": plot.spectrogram_pair(fast, source="viola")[0],
        "bases": plot.bases(fast, "viola"),
        "dictionary": plot.bases(NoteDictionary.embedded(), "viola"),
        "activations": plot.activations(fast, "viola"),
        "bleed": plot.bleed(fast),
        "weights": plot.spatial_weights(held),
        "cost": plot.cost({"fixH": held, "updtH": updated}),
    }
    folder = Path(tempfile.mkdtemp()) if options.quick else IMAGES
    for name, axes in pictures.items():
        path = folder / f"plot_{name}.png"
        axes.figure.savefig(path, dpi=80, metadata={"Software": None})
        print(f"wrote {path}")


VARIANTS = ("fixh", "updth")


def quartet() -> Take:
    """Return the quartet's take, with solos."""
    embedded = data.quartet()
    scene = simulate.chamber_scene(embedded.names)
    x_LN = embedded.stems_LN[: SECONDS * embedded.sample_rate]
    x_LM = simulate.render(scene, x_LN, embedded.sample_rate).sum(axis=2)
    solo_LM, passages = simulate.solo_take(scene, list(embedded.solos_LN.T), embedded.sample_rate)
    return Take.of(
        x_LM.astype(np.float32),
        embedded.sample_rate,
        solos={each.source: (each.start, each.stop) for each in passages},
        solo_LM=solo_LM.astype(np.float32),
        mic_names=["vl1", "vl2", "va", "vc"],
    )


if __name__ == "__main__":
    main()
