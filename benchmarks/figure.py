"""Draw what one spot heard before and after: the picture of the README.

    python benchmarks/figure.py [--quick]

The embedded quartet's viola in the demo's room, separated with the default method.  Writes docs/images/viola.png;
--quick draws it roughly, and not into docs.
"""

import tempfile
from pathlib import Path

import numpy as np
from _cases import case_named
from _measure import hurried, separate
from _runner import arguments

from mnmf import METHODS, STFT
from mnmf.methods import DEFAULT_METHOD

PLAYER = 2
SHOWN = slice(1.0, 7.0)  # seconds
TOP_HZ = 4000
FLOOR_DB = -70


def main() -> None:
    options = arguments(__doc__, data="not used: it is the embedded quartet; neither are --jobs")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    case = case_named("quartet, chamber", None)
    window = 0.1 if options.quick else None
    stems_LN = separate(case, hurried(METHODS[DEFAULT_METHOD], options.quick), "solo", window=window)
    rate = case.sample_rate
    panels = {
        "what the viola's microphone heard": case.mixture_LM[:, case.spots[PLAYER]],
        "what mnmf makes of it": stems_LN[:, PLAYER],
        "the viola alone": case.truth_LN[:, PLAYER],
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
