"""Scores of stems in a folder, against the true images of their sources: files in, numbers out.

The measures themselves are in `mnmf.metrics`; tables and JSON are made by the command.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import manifest, metrics
from mnmf.audio import Recording
from mnmf.errors import SessionError

__all__ = ["score_stems"]

Array = NDArray[Any]
PathLike = str | Path


def score_stems(stems_dir: PathLike, reference: Sequence[PathLike], mixture: Sequence[PathLike] = ()) -> dict[str, Any]:
    """Return the scores of the stems in a folder, for each source and on average.

    SDR, SIR and SAR are BSS_eval v3 with 512 taps; SNR allows no filter and is the median over frames of a second.

    Parameters
    ----------
    stems_dir : path
        A folder that ``mnmf separate`` wrote.
    reference : paths
        The true images, in the manifest's order of sources: channels of one file, or several files.
    mixture : paths, optional
        The take, for scores of the unprocessed spots and the gain over them.

    Returns
    -------
    dict
        'sources', a list of dicts with 'name', 'output' and, given the mixture, 'input' and 'delta', each a dict of
        'sdr', 'sir', 'sar' and 'snr' in dB; 'mean', the same over the sources that have a finite score; and
        'mistaken', pairs of a stem and the source whose reference it is more like.

    Raises
    ------
    MnmfError
        The folder has no manifest, or the files do not fit together.
    """
    sources = manifest.read_stems(Path(stems_dir))
    names = [source.name for source in sources]
    stems = Recording.open([Path(stems_dir) / source.file for source in sources])
    truth = Recording.open(list(reference), lossless=False)
    _check_like(truth, stems, len(sources), "channel per source of the manifest")
    estimate_LN = stems.read(dtype=np.float64)
    reference_LN = truth.read(dtype=np.float64)
    order = metrics.bss_eval(reference_LN, estimate_LN, permute=True).permutation
    mistaken = [(names[stem], names[likely]) for likely, stem in enumerate(order) if stem != likely]

    outputs = _scores(reference_LN, estimate_LN, stems.sample_rate)
    rows: list[dict[str, Any]] = [{"name": name, "output": output} for name, output in zip(names, outputs)]
    if mixture:
        take = Recording.open(list(mixture), lossless=False)
        _check_like(take, stems, max(source.mics[0] for source in sources), "mic of the take", at_least=True)
        spots_LN = take.read(dtype=np.float64)[:, [source.mics[0] - 1 for source in sources]]
        for row, before in zip(rows, _scores(reference_LN, spots_LN, stems.sample_rate)):
            row["input"] = before
            row["delta"] = {name: row["output"][name] - before[name] for name in before}
    return {"sources": rows, "mean": _mean(rows), "mistaken": mistaken}


def _scores(reference_LN: Array, x_LN: Array, sample_rate: int) -> list[dict[str, float]]:
    bss = metrics.bss_eval(reference_LN, x_LN)
    snr = metrics.framewise(reference_LN, x_LN, sample_rate)
    columns = {"sdr": bss.sdr, "sir": bss.sir, "sar": bss.sar, "snr": snr.median}
    return [{name: float(values[n]) for name, values in columns.items()} for n in range(reference_LN.shape[1])]


def _mean(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    parts = [part for part in ("input", "output", "delta") if part in rows[0]]
    mean: dict[str, dict[str, float]] = {part: {} for part in parts}
    for name in rows[0]["output"]:
        # A source that was silent somewhere counts nowhere, so that before, after and gain speak of the same sources.
        counted = [row for row in rows if all(math.isfinite(row[part][name]) for part in parts)]
        for part in parts:
            values = [row[part][name] for row in counted]
            mean[part][name] = sum(values) / len(values) if values else math.nan
    return mean


def _check_like(recording: Recording, stems: Recording, channels: int, what: str, at_least: bool = False) -> None:
    path = recording.paths[0]
    enough = recording.n_mics >= channels if at_least else recording.n_mics == channels
    if not enough:
        raise SessionError(f"{path}: has {recording.n_mics} channels, the stems need {channels}: one {what}")
    if (recording.sample_rate, recording.n_samples) != (stems.sample_rate, stems.n_samples):
        raise SessionError(
            f"{path}: {recording.n_samples} samples at {recording.sample_rate} Hz, but the stems have "
            f"{stems.n_samples} at {stems.sample_rate} Hz; give the recording the stems were made from"
        )
