"""Draw what one spot heard before and after: the picture of the README.

    python benchmarks/figure.py [--quick]

The embedded quartet's viola in the demo's room, separated with the default method.  Writes docs/images/viola.png;
--quick draws it roughly, and not into docs.
"""

import tempfile
from pathlib import Path

import numpy as np
from _runner import arguments
from mnmf.separate import separate

from mnmf import STFT, Session, audio, data, markers, simulate

PLAYER = 2
SHOWN = slice(1.0, 7.0)  # seconds
TOP_HZ = 4000
FLOOR_DB = -70


def main() -> None:
    options = arguments(__doc__, data="not used: it is the embedded quartet; neither are --jobs")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    quartet = data.quartet()
    rate = quartet.sample_rate
    scene = simulate.chamber_scene(quartet.names)
    images_LMN = simulate.render(scene, quartet.stems_LN, rate)
    solos_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), rate)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("take.flac", "solos.flac", "solos.txt")]
        audio.write(files[0], images_LMN.sum(axis=2), rate)
        audio.write(files[1], solos_LM, rate)
        markers.write_audacity(files[2], passages)
        session = Session.open(files[0], solos=files[2], solo_take=files[1])
        stems_LN = separate(session, iterations=4 if options.quick else None).stems_LN

    own = images_LMN[:, scene.spots[PLAYER]]
    panels = {
        "what the viola's microphone heard": own.sum(axis=1),
        "what mnmf makes of it": stems_LN[:, PLAYER],
        "the viola alone": own[:, PLAYER],
    }
    stft = STFT(4096, 512)
    plt.rcParams.update({"font.size": 9, "font.family": "DejaVu Sans"})
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 2.9), sharey=True, layout="constrained")
    span = slice(round(SHOWN.start * rate), round(SHOWN.stop * rate))
    loudest = None
    for axis, (title, x_L) in zip(axes, panels.items()):
        level = 20 * np.log10(np.abs(stft.analyse(np.asarray(x_L, float)[span, None])[..., 0]) + 1e-9)
        loudest = level.max() if loudest is None else loudest
        bins = round(TOP_HZ / rate * stft.window_length)
        picture = axis.imshow(
            level[:bins] - loudest,
            origin="lower",
            aspect="auto",
            extent=(SHOWN.start, SHOWN.stop, 0, TOP_HZ / 1000),
            vmin=FLOOR_DB,
            vmax=0,
            cmap="magma",
        )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("seconds")
    axes[0].set_ylabel("kHz")
    figure.colorbar(picture, ax=axes, label="dB", pad=0.01)
    path = Path(__file__).parent.parent / "docs" / "images" / "viola.png"
    if options.quick:
        path = Path(tempfile.mkdtemp()) / "viola.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
