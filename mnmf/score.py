"""Scores of stems in a folder, against the true images of their sources: files in, numbers out.

The measures themselves are in `mnmf.metrics`; tables and JSON are made by the command.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from mnmf import manifest, metrics
from mnmf.audio import Recording
from mnmf.errors import SessionError
from mnmf.manifest import Stem

__all__ = ["score_stems"]

Array = NDArray[Any]
PathLike = str | Path

ORDER = 4  # of the high-pass, which is run forwards and backwards
PADDING = 3  # periods of its lowest frequency, before the sound and after it


def score_stems(stems_dir: PathLike, reference: Sequence[PathLike], mixture: Sequence[PathLike] = ()) -> dict[str, Any]:
    """Return the scores of the stems in a folder, for each source and on average.

    SDR, SIR and SAR are BSS_eval v3 with 512 taps; SNR allows no filter and is the median over frames of a second.
    What lies below the lowest frequency that was separated is left out of all of them: there a stem has what its spot
    heard.  A silent stem has an SNR of 0 dB and no other score.  A source with several spots is compared at each of
    them if there are references for that, and has the mean of the scores in dB.

    Parameters
    ----------
    stems_dir : path
        A folder that ``mnmf separate`` wrote.
    reference : paths
        The true images, in the manifest's order of sources: channels of one file, or several files.  One for each
        source, at its first spot, or one for each channel of its stem.
    mixture : paths, optional
        The take, for scores of the unprocessed spots and the gain over them.

    Returns
    -------
    dict
        'sources', a list of dicts with 'name', 'output' and, given the mixture, 'input' and 'delta', each a dict of
        'sdr', 'sir', 'sar' and 'snr' in dB; 'mean', the same over the sources that have an SDR, of finite scores, NaN
        if there is none; 'scored', how many sources have an SDR; 'silent', the names of stems that are silent although
        their references are not; 'above_hz', the frequency above which they were compared, 0 for
        all; and 'mistaken', pairs of a stem and the source whose reference it is more like.

    Raises
    ------
    MnmfError
        The folder has no manifest, or the files do not fit together.
    """
    sources, lowest = manifest.read_stems(Path(stems_dir)), manifest.read_lowest(Path(stems_dir))
    names = [source.name for source in sources]
    stems = Recording.open([Path(stems_dir) / source.file for source in sources])
    truth = Recording.open(list(reference), lossless=False)
    places = _places(Path(stems_dir), sources, stems, truth)
    lowest = lowest if 2 * lowest < stems.sample_rate else 0.0
    estimate_LC = _above(lowest, stems.read(dtype=np.float64, mics=places.of_stems), stems.sample_rate)
    reference_LC = _above(lowest, truth.read(dtype=np.float64), stems.sample_rate)
    first = [own[0] for own in places.of_sources]
    silent = [
        name
        for name, own in zip(names, places.of_sources)
        if any(reference_LC[:, c].any() and not estimate_LC[:, c].any() for c in own)
    ]
    order = metrics.bss_eval(reference_LC[:, first], estimate_LC[:, first], permute=True).permutation
    mistaken = [(names[stem], names[likely]) for likely, stem in enumerate(order) if stem != likely]

    outputs = _scores(reference_LC, estimate_LC, places.of_sources, stems.sample_rate)
    rows: list[dict[str, Any]] = [{"name": name, "output": output} for name, output in zip(names, outputs)]
    if mixture:
        take = Recording.open(list(mixture), lossless=False)
        _check_like(take, stems, [max(max(source.heard_at) for source in sources)], "mic of the take", at_least=True)
        spots_LC = take.read(dtype=np.float64, mics=places.of_mics)
        spots_LC = _above(lowest, spots_LC, stems.sample_rate)
        for row, before in zip(rows, _scores(reference_LC, spots_LC, places.of_sources, stems.sample_rate)):
            row["input"] = before
            row["delta"] = {name: row["output"][name] - before[name] for name in before}
    # A silent stem has an SNR of 0 dB, which is more than that of many a spot: it must not better the mean.
    scored = [
        row for row in rows if not any(math.isnan(row[part]["sdr"]) for part in ("output", "input") if part in row)
    ]
    return {
        "sources": rows,
        "mean": _mean(rows, scored),
        "scored": len(scored),
        "silent": silent,
        "above_hz": lowest,
        "mistaken": mistaken,
    }


def _above(lowest: float, x_LN: Array, sample_rate: int) -> Array:
    """Return sound without what lies below a frequency in hertz, its phases as they are."""
    if not lowest:
        return x_LN
    high_pass = scipy.signal.butter(ORDER, lowest, "highpass", fs=sample_rate, output="sos")
    padding = min(round(PADDING / lowest * sample_rate), len(x_LN) - 1)
    filtered_LN = scipy.signal.sosfiltfilt(high_pass, x_LN, axis=0, padlen=padding)
    return np.where(x_LN.any(axis=0), filtered_LN, 0.0)


class _Places(NamedTuple):
    """Of the channels that are compared: where each is in the stems and in the take, and which are each source's."""

    of_stems: list[int]
    of_mics: list[int]
    of_sources: list[list[int]]


def _places(folder: Path, sources: Sequence[Stem], stems: Recording, truth: Recording) -> _Places:
    """Return which channels are compared: the first of every stem, or all, as there are references."""
    total = sum(source.channels for source in sources)
    if stems.n_mics != total:
        raise SessionError(f"{folder}: the stems have {stems.n_mics} channels, {total} by the manifest; separate anew")
    _check_like(truth, stems, [len(sources), total], "channel per source of the manifest, or per channel of the stems")
    found, at = _Places([], [], []), 0
    for source in sources:
        count = source.channels if truth.n_mics == total else 1
        found.of_sources.append(list(range(len(found.of_stems), len(found.of_stems) + count)))
        found.of_stems.extend(range(at, at + count))
        found.of_mics.extend(mic - 1 for mic in source.heard_at[:count])
        at += source.channels
    return found


def _scores(reference_LC: Array, x_LC: Array, of_sources: list[list[int]], sample_rate: int) -> list[dict[str, float]]:
    """Return the scores of every source, the mean of those of its channels.

    What is compared at a further spot of one source is compared with the others at their first.
    """
    channels: dict[int, dict[str, float]] = {}
    for turn in range(max(map(len, of_sources))):
        chosen = [own[turn] if turn < len(own) else own[0] for own in of_sources]
        bss = metrics.bss_eval(reference_LC[:, chosen], x_LC[:, chosen])
        snr = metrics.framewise(reference_LC[:, chosen], x_LC[:, chosen], sample_rate)
        columns = {"sdr": bss.sdr, "sir": bss.sir, "sar": bss.sar, "snr": snr.median}
        for n, c in enumerate(chosen):
            channels.setdefault(c, {name: float(values[n]) for name, values in columns.items()})
    return [{name: _mean_of([channels[c][name] for c in own]) for name in channels[own[0]]} for own in of_sources]


def _mean_of(values: Sequence[float]) -> float:
    return values[0] if len(values) == 1 else sum(values) / len(values)


def _mean(rows: Sequence[dict[str, Any]], scored: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    parts = [part for part in ("input", "output", "delta") if part in rows[0]]
    mean: dict[str, dict[str, float]] = {part: {} for part in parts}
    for name in rows[0]["output"]:
        # A source without this score counts nowhere, so that before, after and gain speak of the same sources.
        counted = [row for row in scored if all(math.isfinite(row[part][name]) for part in parts)]
        for part in parts:
            values = [row[part][name] for row in counted]
            mean[part][name] = sum(values) / len(values) if values else math.nan
    return mean


def _check_like(
    recording: Recording, stems: Recording, channels: Sequence[int], what: str, at_least: bool = False
) -> None:
    path = recording.paths[0]
    enough = recording.n_mics >= channels[0] if at_least else recording.n_mics in channels
    if not enough:
        wanted = " or ".join(map(str, dict.fromkeys(channels)))
        what = what if len(set(channels)) > 1 else what.partition(",")[0]
        raise SessionError(f"{path}: has {recording.n_mics} channels, the stems need {wanted}: one {what}")
    if (recording.sample_rate, recording.n_samples) != (stems.sample_rate, stems.n_samples):
        raise SessionError(
            f"{path}: {recording.n_samples} samples at {recording.sample_rate} Hz, but the stems have "
            f"{stems.n_samples} at {stems.sample_rate} Hz; give the recording the stems were made from"
        )
