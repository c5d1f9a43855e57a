"""Microphones that are none: those with nothing but hum or noise, copies of another one, and mixes of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mnmf.faults._excerpts import Excerpts, windows

__all__ = ["Hum", "Mix", "copies", "hums", "mixes", "unrelated"]

Array = NDArray[Any]

WINDOW = 2.0  # seconds: lines of hum are told from notes beside them
FEWEST = 4  # windows
MAINS = (50.0, 60.0)  # hertz
HARMONICS = 10
OFF = 0.0015  # by which part the mains may be off
NEAR, FAR = 3.0, 10.0  # hertz beside a line, where it is compared with what else there is
STANDS_OUT = 15.0  # times that, in all but the quietest quarter of the windows
LINES = 3  # that stand out make a hum
ONLY = 0.05  # of the power: with less beside the hum there is nothing but hum
STEADY_DB = 3.0  # between quiet and loud windows: what changes less is noise
RELATED = 0.01  # mean coherence beyond that of noise: with less, a microphone does not hear what others hear
LOWEST, HIGHEST = 100.0, 4000.0  # hertz, of coherence
BINS = 1500  # at which it is looked
BLOCK = 0.05  # seconds, by which copies and mixes are compared
SAME = 1e-3  # of the power, in most blocks: what is left when a copy is taken off
PART = 0.01  # of the power of a mix: what contributes less is no part of it


@dataclass(frozen=True)
class Hum:
    """A hum: of which mains in hertz, its level as an RMS, and whether there is nothing else."""

    mains: float
    level: float
    only: bool


@dataclass(frozen=True)
class Mix:
    """Which microphones are mixed, and by which gains."""

    mics: tuple[int, ...]
    gains: tuple[float, ...]


def _frequencies(excerpts: Excerpts) -> Array:
    """Return those of long windows."""
    length = round(WINDOW * excerpts.rate)
    return np.asarray(np.arange(length // 2 + 1) * excerpts.rate / length)


def _spectra(excerpts: Excerpts, bins: Array) -> Array:
    """Return some bins of long windows, (T, F, M)."""
    length = round(WINDOW * excerpts.rate)
    return np.concatenate([windows(part, length, length // 2, bins) for part in excerpts.parts])


def hums(excerpts: Excerpts) -> list[Hum | None]:
    """Return the hum of each microphone that has one: lines at multiples of the mains that are there all the time."""
    found: list[Hum | None] = []
    f = _frequencies(excerpts)
    for m in range(excerpts.n_mics):  # one at a time, for memory
        X_TF = _spectra(excerpts.of([m]), np.arange(len(f)))[..., 0]
        each = [_hum(np.square(np.abs(X_TF), dtype=np.float64), f, mains) for mains in MAINS] if len(X_TF) else []
        heard = [hum for hum in each if hum is not None]
        found.append(max(heard, key=lambda hum: hum.level) if len(X_TF) >= FEWEST and heard else None)
    return found


def _hum(P_TF: Array, f: Array, mains: float) -> Hum | None:
    step, lines, level = f[1], 0, 0.0
    around_F = np.zeros(len(f), bool)
    for harmonic in range(1, HARMONICS + 1):
        at = harmonic * mains
        reach = OFF * at + step
        distance_F = np.abs(f - at)
        line_F, beside_F = distance_F <= reach, (distance_F >= NEAR) & (distance_F <= FAR)
        if not line_F.any() or not beside_F.any():
            break
        line_T, beside_T = P_TF[:, line_F].max(axis=1), np.median(P_TF[:, beside_F], axis=1)
        if np.quantile(line_T / np.maximum(beside_T, 1e-300), 0.25) > STANDS_OUT:
            lines += 1
            level += float(np.quantile(line_T, 0.25))
    if lines < LINES:
        return None
    for at in np.arange(mains, f[-1], mains):
        around_F |= np.abs(f - at) <= OFF * at + 2 * step
    sounds_F = f > mains / 2
    rest_T, all_T = P_TF[:, sounds_F & ~around_F].sum(axis=1), P_TF[:, sounds_F].sum(axis=1)
    only = bool(np.median(rest_T / np.maximum(all_T, 1e-300)) < ONLY)
    window = 2 * (len(f) - 1)
    # A line of amplitude a has a power of (a/2)² (window/2)² at its peak, and a mean square of a²/2.
    return Hum(mains, float(np.sqrt(2 * level) / (window / 2)), only)


def unrelated(excerpts: Excerpts, hum: Sequence[Hum | None]) -> list[int]:
    """Return the microphones with steady noise, and maybe hum, in which nothing is heard of what the others hear."""
    M, f = excerpts.n_mics, _frequencies(excerpts)
    some_F = (f >= LOWEST) & (f <= HIGHEST)
    for mains in {each.mains for each in hum if each is not None}:
        some_F &= np.abs(f - mains * np.round(f / mains)) > OFF * f + 2 * f[1]
    chosen = np.flatnonzero(some_F)
    X_TFM = _spectra(excerpts, chosen[:: max(len(chosen) // BINS, 1)])
    T = len(X_TFM)
    if T < FEWEST or M < 2:
        return []
    level_TM = 10 * np.log10(np.maximum(np.square(np.abs(X_TFM)).sum(axis=1), 1e-30))
    steady_M = np.subtract(*np.quantile(level_TM, (0.9, 0.1), axis=0)) < STEADY_DB
    if not steady_M.any():
        return []
    X_FTM = X_TFM.transpose(1, 0, 2)
    C_FMM = np.abs(np.matmul(X_FTM.conj().transpose(0, 2, 1), X_FTM)) ** 2
    power_FM = np.sqrt(np.einsum("fmm->fm", C_FMM))
    coherence_MM = np.mean(C_FMM / np.maximum(power_FM[:, :, None] * power_FM[:, None, :], 1e-300), axis=0) - 1 / T
    np.fill_diagonal(coherence_MM, 0.0)
    return [int(m) for m in np.flatnonzero(steady_M & (coherence_MM.max(axis=1) < RELATED))]


def _grams(excerpts: Excerpts) -> Array:
    """Return the products of all microphones in short blocks, (B, M, M), each as the loudest is at full scale."""
    length = max(round(BLOCK * excerpts.rate), 1)
    scale_M = np.maximum(np.max([np.abs(part).max(axis=0) for part in excerpts.parts], axis=0), 1e-30)
    grams = []
    for part in excerpts.parts:
        n_blocks = len(part) // length
        y_BLM = (part[: n_blocks * length] / scale_M).reshape(n_blocks, length, len(scale_M))
        grams.append(np.matmul(y_BLM.transpose(0, 2, 1), y_BLM, dtype=np.float32))
    return np.asarray(np.concatenate(grams) * scale_M[:, None] * scale_M)


def _left(G_BMM: Array, mic: int, gains_M: Array) -> float:
    """Return which part of a microphone's power is left, in most of the louder blocks, without others at some gains."""
    rest_M = -gains_M
    rest_M[mic] += 1.0
    power_B, rest_B = G_BMM[:, mic, mic], np.einsum("i,bij,j->b", rest_M, G_BMM, rest_M)
    loud_B = power_B >= np.median(power_B)
    return float(np.median(rest_B[loud_B] / np.maximum(power_B[loud_B], 1e-300)))


def copies(excerpts: Excerpts) -> dict[tuple[int, int], float]:
    """Return pairs of microphones of which the second is the first at a constant gain, with that gain."""
    G_BMM = _grams(excerpts)
    if len(G_BMM) == 0:
        return {}
    G_MM, M = G_BMM.sum(axis=0), excerpts.n_mics
    power_M = np.maximum(np.diagonal(G_MM), 1e-300)
    found = {}
    for a in range(M):
        for b in range(a + 1, M):
            # Where one of them is clipped, it is so for a few blocks only.
            if G_MM[a, b] ** 2 < 0.9 * power_M[a] * power_M[b]:
                continue
            ratio_B = G_BMM[:, a, b] / np.maximum(G_BMM[:, a, a], 1e-300)
            loud_B = G_BMM[:, a, a] >= np.median(G_BMM[:, a, a])
            gains_M = np.zeros(M)
            gains_M[a] = np.median(ratio_B[loud_B])
            if _left(G_BMM, b, gains_M) < SAME:
                found[a, b] = float(gains_M[a])
    return found


def mixes(excerpts: Excerpts) -> dict[int, Mix]:
    """Return the microphones that are sums of others, at gains that are not negative.

    If a mix is known, each of its parts is the mix less the others, but with negative gains.
    """
    G_BMM = _grams(excerpts)
    found: dict[int, Mix] = {}
    M = excerpts.n_mics
    if len(G_BMM) == 0 or M < 3:
        return found
    G_MM = G_BMM.sum(axis=0)
    scale_M = np.sqrt(np.maximum(np.diagonal(G_MM), 1e-300))
    G_MM = G_MM / scale_M / scale_M[:, None]
    for m in range(M):
        others = [k for k in range(M) if k != m and k not in found]
        values, vectors = np.linalg.eigh(G_MM[np.ix_(others, others)])
        root = _root(values)[:, None] * vectors.T  # of the Gram matrix
        wanted = (vectors.T @ G_MM[others, m]) / _root(values)
        gains_O, _ = nnls(root, wanted)
        parts = [i for i, gain in enumerate(gains_O) if gain**2 > PART]
        gains_M = np.zeros(M)
        gains_M[others] = gains_O * scale_M[m] / scale_M[others]
        if len(parts) > 1 and _left(G_BMM, m, gains_M.copy()) < SAME:
            found[m] = Mix(tuple(others[i] for i in parts), tuple(float(gains_M[others[i]]) for i in parts))
    return found


def _root(values: Array) -> Array:
    """Return the square roots of eigenvalues, none of them zero."""
    return np.sqrt(np.maximum(values, 1e-9))
