"""What is gained in each octave: ΔSDR of a whole recording hardly sees what lies above a few kilohertz.

    python benchmarks/octaves.py [--data DIR] [--quick] [--jobs N]

The embedded quartet in its three rooms and the cases of DIR, as in methods.py: all were used in development.  In every
octave band from 125 Hz on, as far as the rate allows, the gain of a source is by how many decibels the error of the
stem, its difference from the source's own image, lies below that of the raw spot.  Sources that have next to nothing in
a band, 60 dB less than in their loudest one, do not count there.  Three seeds of the default method, one of others.
Writes benchmarks/results/octaves.json.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import case_named, named_cases
from _measure import hurried, separate
from _runner import Cell, Result, arguments, run
from floor import BAND_DB, BANDS
from scipy.signal import butter, sosfiltfilt

from mnmf import METHODS

SEEDS = range(3)
CONTENDERS: dict[str, tuple[str, str | None, float | None]] = {
    "mnmf, solos": ("mnmf", "solo", None),
    "mnmf": ("mnmf", None, None),
    "fastmnmf2": ("fastmnmf2", None, None),
    "linear, 1.49 s, solos": ("linear", "solo", 65536 / 44100),
}
QUICK_WINDOW = 0.2  # seconds
ORDER = 4  # of the filters, which run forwards and backwards


def grid(folder: Path | None, quick: bool) -> list[Cell]:
    return [
        {"take": take, "method": name, "seed": seed}
        for take in named_cases(folder, quick)
        for name, (method, _, _) in CONTENDERS.items()
        for seed in (SEEDS if method == "mnmf" and not quick else SEEDS[:1])
    ]


def measure(cell: Cell, folder: Path | None = None, quick: bool = False) -> Result:
    """Return the gain of each source in each octave, None where it has next to nothing, or no bleed."""
    case = case_named(cell["take"], folder, quick)
    name, kind, window = CONTENDERS[cell["method"]]
    window = QUICK_WINDOW if quick else window
    stems_LN = separate(case, hurried(METHODS[name], quick), kind, cell["seed"], window=window)
    spots_LN = case.mixture_LM[:, list(case.spots)]
    return {"gain": gains(case.truth_LN, stems_LN, spots_LN, case.sample_rate)}


def gains(truth_LN: np.ndarray, stems_LN: np.ndarray, spots_LN: np.ndarray, rate: int) -> list[list[float | None]]:
    """Return the gains by source and octave; the bands that a recording cannot hold are left out."""
    bands = [band for band in BANDS if band * np.sqrt(2) < rate / 2]
    power_BN, after_BN, before_BN = (
        np.array([np.mean(np.square(octave(x_LN, band, rate)), axis=0) for band in bands])
        for x_LN in (truth_LN, stems_LN - truth_LN, spots_LN - truth_LN)
    )
    holds_BN = power_BN >= power_BN.max(axis=0) * 10 ** (-BAND_DB / 10)
    holds_BN &= np.minimum(before_BN, after_BN) > 0  # without any bleed there is nothing to gain
    gain_BN = 10 * np.log10(np.where(holds_BN, before_BN, 1.0) / np.where(holds_BN, after_BN, 1.0))
    return [
        [round(float(gain), 2) if holds else None for gain, holds in zip(gain_B, holds_B)]
        for gain_B, holds_B in zip(gain_BN.T, holds_BN.T)
    ]


def octave(x_LN: np.ndarray, centre: float, rate: int) -> np.ndarray:
    """Return what of a sound lies in an octave, without a delay."""
    edges = [centre / np.sqrt(2), centre * np.sqrt(2)]
    return np.asarray(sosfiltfilt(butter(ORDER, edges, "bandpass", fs=rate, output="sos"), x_LN, axis=0))


# --- tables of the pages


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean over seeds and sources of each take, method and octave, and that of the worst source."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for each in cells:
        rows.setdefault((each["cell"]["take"], each["cell"]["method"]), []).append(each["result"]["gain"])
    found = []
    for (take, method), gain_SNB in rows.items():
        gain_NB = np.ma.masked_invalid(np.array(gain_SNB, float)).mean(axis=0)
        values = {"mean": gain_NB.mean(axis=0), "worst": gain_NB.min(axis=0)}  # masked where nobody has anything
        found.append({"take": take, "method": method} | {key: each.round(2).tolist() for key, each in values.items()})
    return found


def table(document: dict[str, Any]) -> str:
    """Gain in every octave, mean over the sources and that of the worst one."""
    count = max(len(row["mean"]) for row in document["summary"])
    names = [f"{band:.0f} Hz" if band < 1000 else f"{band / 1000:.0f} kHz" for band in BANDS[:count]]
    lines = ["| take | method | " + " | ".join(names) + " |", "|---" * (count + 2) + "|"]
    for row in document["summary"]:
        pairs = zip(row["mean"], row["worst"])
        gains = ["" if mean is None else f"{mean:+.1f} / {worst:+.1f}" for mean, worst in pairs]
        gains += [""] * (count - len(gains))  # of a take at a lower rate
        lines.append(f"| {row['take']} | {row['method']} | " + " | ".join(gains) + " |")
    return "\n".join(lines)


def main() -> None:
    options = arguments(__doc__)
    document = run(
        "octaves",
        grid(options.data, options.quick),
        partial(measure, folder=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summary,
    )
    print(table(document))


if __name__ == "__main__":
    main()
