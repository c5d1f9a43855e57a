"""The audio of a piece: headers, and the excerpt that is wanted of its stems and solos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mnmf.errors import LOUDEST, AudioFileError, SessionError
from mnmf.files import check_header, check_regular, hushed, no_audio

Audio = NDArray[np.float64]

HOP = 0.1  # seconds between the levels by which passages are chosen
SHORTEST_SOLO = 1.0  # seconds; a shorter passage says too little about an instrument


@dataclass(frozen=True)
class Cut:
    """Which part of a piece is wanted; see `mnmf.datasets.pieces`."""

    seconds: float | None
    offset: float | None
    solo_seconds: float | None
    borrow_solos: bool


def header_of(path: Path, problems: list[str]) -> Any:
    """Return the header of a file, or None; what is wrong with the file is added to `problems`."""
    try:
        check_regular(path)
        with hushed(path):
            info = soundfile.info(path)
        check_header(path, info, AudioFileError)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read ({no_audio(path, error)})")
        return None
    if info.frames == 0:
        problems.append(f"{path.name} is empty")
    return info


@lru_cache(maxsize=4)  # stems and solos are asked for one after the other; a whole dataset would fill the memory
def read_excerpt(
    folder: Path, stems: tuple[Path, ...], solos: tuple[Path, ...], cut: Cut
) -> tuple[Audio, Audio | None]:
    """Return the excerpt (L, N) and the solos (L', N) or None, read-only; stems end with the shortest one."""
    rate = int(soundfile.info(stems[0]).samplerate)
    length = min(soundfile.info(path).frames for path in stems)
    count = length if cut.seconds is None else min(length, round(cut.seconds * rate))
    borrow = cut.borrow_solos and not solos
    if cut.offset is None or borrow:
        power_TN = np.stack([_power(folder, path, rate, length) for path in stems], axis=1)
    if cut.offset is None:
        start = _busiest(power_TN, rate, count, 0, length)
    else:
        start = min(round(cut.offset * rate), length - count)
    stems_LN = _stack(folder, stems, [start] * len(stems), count)
    if solos:
        alone = min(soundfile.info(path).frames for path in solos)
        alone = alone if cut.solo_seconds is None else min(alone, round(cut.solo_seconds * rate))
        return stems_LN, _stack(folder, solos, [0] * len(solos), alone)
    if not borrow:
        return stems_LN, None
    first, last = max((0, start), (start + count, length), key=lambda side: side[1] - side[0])
    alone = last - first if cut.solo_seconds is None else min(last - first, round(cut.solo_seconds * rate))
    if alone < SHORTEST_SOLO * rate:
        raise SessionError(
            f"{folder}: an excerpt of {count / rate:.1f} s leaves less than {SHORTEST_SOLO:g} s of the "
            f"{length / rate:.1f} s for solos; ask for a shorter one"
        )
    starts = [_busiest(power_T[:, None], rate, alone, first, last) for power_T in power_TN.T]
    return stems_LN, _stack(folder, stems, starts, alone)


def _power(folder: Path, path: Path, rate: int, length: int) -> Audio:
    """Return the mean power of every HOP seconds of a stem."""
    try:
        blocks = soundfile.blocks(path, _hop(rate), frames=length, always_2d=True)
        return np.array([np.mean(block**2) for block in blocks])
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(f"{folder}: {path.name} cannot be read ({error}); get it anew") from error


def _busiest(power_TN: Audio, rate: int, count: int, first: int, last: int) -> int:
    """Return where, between two samples, the `count` samples start in which all play most.

    The power of each stem is taken relative to its own loudest passage of that length, and the weakest stem decides.
    """
    hop = _hop(rate)
    starts = np.arange(-(-first // hop), max((last - count) // hop, -(-first // hop)) + 1)
    summed_TN = np.concatenate([np.zeros((1, power_TN.shape[1])), np.cumsum(power_TN, axis=0)])
    width = max(count // hop, 1)
    stops = np.minimum(starts + width, len(power_TN))
    power_SN = summed_TN[stops] - summed_TN[starts]
    best_N = np.maximum(power_SN.max(axis=0), np.finfo(float).tiny)
    weakest_S = (power_SN / best_N).min(axis=1)
    return int(np.clip(starts[np.argmax(weakest_S)] * hop, first, last - count))


def _hop(rate: int) -> int:
    return max(round(HOP * rate), 1)


def _stack(folder: Path, paths: Sequence[Path], starts: Sequence[int], count: int) -> Audio:
    mono = [_mono(folder, path, start, start + count) for path, start in zip(paths, starts)]
    x_LN = np.stack(mono, axis=1)
    x_LN.flags.writeable = False  # because the cache returns it again
    return x_LN


def _mono(folder: Path, path: Path, start: int, stop: int) -> Audio:
    try:
        x_LM, _ = soundfile.read(path, start=start, stop=stop, always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(f"{folder}: {path.name} cannot be read ({error}); get it anew") from error
    if len(x_LM) < stop - start or not np.all(np.abs(x_LM) <= LOUDEST):  # nor NaN
        raise AudioFileError(f"{folder}: {path.name} is damaged; get it anew")
    mono_L: Audio = x_LM.mean(axis=1)
    return mono_L
