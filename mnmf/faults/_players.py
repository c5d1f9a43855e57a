"""Who is heard how loudly in whose microphone, and where somebody seems to play alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.faults._clocks import Heard
from mnmf.faults._scan import FRAME, Scan

__all__ = ["bleed_of", "solos_of"]

Array = NDArray[Any]

QUANTILE = 0.45  # of what a microphone hears beside a player: somewhat less than the middle, as others play at times
POINTS = 8  # that tell the bleed at a frequency, at least
QUIET_DB = -25.0  # of the loud frames of a microphone: with less its player rests
LOUD = 0.9  # quantile of frames that are loud
FLOOR = 0.02  # quantile of frames in which a microphone hears what it hears anyway
ABOVE_DB = 6.0  # by which bleed may be louder than it is as a rule
SHORTEST = 2.0  # seconds
GAP = 0.3  # seconds by which a passage may be interrupted
PLAYING = 0.5  # of a passage: the rest are rests
RINGING = 0.5  # seconds at its start, in which others may ring on
MOST = 6  # passages of a player, the longest ones


def bleed_of(heard: Heard) -> tuple[Array, Array]:
    """Return how loud each player is at every microphone.

    Returns
    -------
    ratio_IFJ : float, shape (M, F, M)
        The power of the player of i at j over that at i; NaN where nothing tells.
    bleed_MM : float, shape (M, M)
        In row j and column i, how loud the player of i is at j, in dB of that of j; NaN if one of them is unknown.
    """
    P_FTM = heard.X_FTM.real**2 + heard.X_FTM.imag**2
    F, _, M = P_FTM.shape
    ratio_IFJ = np.full((M, F, M), np.nan)
    bleed_MM = np.full((M, M), np.nan)
    own = np.flatnonzero(heard.player_M).tolist()
    power_FM = P_FTM.mean(axis=1, dtype=np.float64)
    there_MM = np.zeros((M, M))  # the power at j of the player of i, per that at i
    for i in own:
        alone_FT = heard.own_FT == i
        for f in np.flatnonzero(alone_FT.sum(axis=1) >= POINTS).tolist():
            P_TJ = P_FTM[f, alone_FT[f]]
            ratio_TJ, middle = P_TJ / np.maximum(P_TJ[:, [i]], 1e-30), int(QUANTILE * len(P_TJ))
            ratio_IFJ[i, f] = np.partition(ratio_TJ, middle, axis=0)[middle]
        told_F = ~np.isnan(ratio_IFJ[i, :, i])
        played_F = power_FM[told_F, i]
        if told_F.any():
            there_MM[:, i] = np.sum(ratio_IFJ[i, told_F] * played_F[:, None], axis=0) / max(
                float(played_F.sum()), 1e-30
            )
    power_M = power_FM.sum(axis=0)
    if own:  # what each microphone hears is its own player and the bleed of the others
        of_own = np.linalg.lstsq(there_MM[np.ix_(own, own)] + 1e-9 * np.eye(len(own)), power_M[own], rcond=None)[0]
        power_M[own] = np.clip(of_own, 0.1 * power_M[own], power_M[own])
        level_MM = there_MM * power_M / np.maximum(power_M[:, None], 1e-30)
        bleed_MM[np.ix_(own, own)] = 10 * np.log10(np.maximum(level_MM[np.ix_(own, own)], 1e-10))
    bleed_MM[own, own] = 0.0
    return ratio_IFJ, bleed_MM


def solos_of(scan: Scan, heard: Heard, ratio_IFJ: Array, mics: list[int]) -> list[tuple[int, float, float]]:
    """Return where the player of a microphone seems to play alone: (microphone, start, stop), in seconds.

    There every other microphone hears no more than the bleed of this player, or than it hears anyway.  `mics` are those
    of the take that `heard` is of.
    """
    energy_TM = 10 * np.log10(np.maximum(scan.energy_TM[:, mics], 1e-30))
    loud_M = np.quantile(energy_TM, LOUD, axis=0)
    # Where nobody ever rests, the quietest moments are music, too.
    floor_M = np.minimum(np.quantile(energy_TM, FLOOR, axis=0) + ABOVE_DB, loud_M + QUIET_DB)
    power_FM = np.square(np.abs(heard.X_FTM)).mean(axis=1) * heard.frequencies[:, None] ** 2  # of differences
    own = np.flatnonzero(heard.player_M).tolist()
    found = []
    quiet_TM = energy_TM <= loud_M + QUIET_DB
    for i in own if len(own) > 1 else ():
        told_F = ~np.isnan(ratio_IFJ[i, :, i])
        alone_T = np.full(len(energy_TM), bool(told_F.any()))
        for j in own:
            if j != i and told_F.any():
                bleed = np.sum(ratio_IFJ[i, told_F, j] * power_FM[told_F, i]) / np.sum(power_FM[told_F, i])
                heard_T = energy_TM[:, i] + 10 * np.log10(max(float(bleed), 1e-30)) + ABOVE_DB
                alone_T &= energy_TM[:, j] <= np.maximum(heard_T, floor_M[j])
        plays_T = alone_T & ~quiet_TM[:, i]
        spans = _passages(plays_T, quiet_TM[:, own].all(axis=1))
        spans = sorted(spans, key=lambda span: span[0] - span[1])[:MOST]
        found += [(mics[i], start * FRAME, stop * FRAME) for start, stop in spans]
    return sorted(found, key=lambda passage: passage[1:])


def _passages(plays_T: Array, rests_T: Array) -> list[tuple[int, int]]:
    """Return frames, from start to stop (exclusive), of somebody who plays alone, but for rests of all and gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], plays_T | rests_T, [False]]).astype(int)))
    joined: list[list[int]] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        if joined and start - joined[-1][1] <= GAP / FRAME:
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
    shortest, ringing = round(SHORTEST / FRAME), round(RINGING / FRAME)
    found = []
    for start, stop in joined:
        played = start + np.flatnonzero(plays_T[start:stop])
        if not len(played):
            continue
        begin, end = int(played[0]), int(played[-1]) + 1
        begin += ringing if begin else 0
        if end - begin >= shortest and plays_T[begin:end].mean() > PLAYING:
            found.append((begin, end))
    return found
