"""Results of a part of the microphones, or of aligned ones, as those of the take that was recorded.

A model sees neither microphones that are set aside nor by how much others are late.  What it finds is brought back here
to all microphones, each on its own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.align import Alignment
from mnmf.priors import Estimator
from mnmf.rows import Rows, column
from mnmf.separation._result import Separation, Stems
from mnmf.take import Levels, Take

__all__ = ["as_recorded", "of_all_mics", "seeing_all_mics"]

Array = NDArray[Any]

FADE = 0.02  # seconds from what is separated to what is not


def seeing_all_mics(estimator: Estimator, take: Take) -> Any:
    """Return an estimator that is given all microphones where a model sees some; silence from those set aside."""

    def of_all(x_LI: Array, sample_rate: int) -> Any:
        x_LM = np.zeros((len(x_LI), len(take.mic_names)), x_LI.dtype)
        x_LM[:, list(take.seen)] = x_LI
        return estimator(x_LM, sample_rate)

    return of_all if take.aside else estimator


def of_all_mics(done: Stems, take: Take, bleed: Sequence[tuple[int, int]] = ()) -> Any:
    """Return a result of `Take.of_seen` as one of the take; nobody is heard at microphones that are set aside.

    `bleed` are the pairs of source and microphone of the take that were asked for.
    """
    if not take.aside:
        return done
    seen = list(take.seen)
    known: dict[str, Any] = {"take": take, "levels": _of_all(done.levels, take), "bleed": tuple(bleed)}
    if take.deaf:
        known["stems_LN"] = _silenced(done.stems_LN, take.deaf)
    if isinstance(done, Separation):
        return replace(done, within=(done, take.seen), **known)
    if bleed:
        own = take.spots.references

        def heard(start: int, stop: int, columns: list[int]) -> Array:
            heard_LI = np.zeros((stop - start, len(columns)), take.x_LM.dtype)
            for i, (n, m) in enumerate(bleed[k] for k in columns):
                if m in seen and m != own[n]:
                    heard_LI[:, i] = done.heard(n, seen.index(m))[start:stop]
            return heard_LI

        known["bleed_LI"] = Rows((take.n_samples, len(bleed)), take.x_LM.dtype, heard)
    return replace(done, **known)


def _silenced(stems_LN: Any, deaf: Sequence[int]) -> Any:
    """Return stems with silence for those whose own microphones are set aside; they were heard at another one."""

    def stems(start: int, stop: int, columns: list[int]) -> Array:
        part_LI = np.array(stems_LN[start:stop])[:, columns]
        part_LI[:, [i for i, n in enumerate(columns) if n in deaf]] = 0
        return part_LI

    if isinstance(stems_LN, Rows):
        return Rows(stems_LN.shape, stems_LN.dtype, stems)
    return stems(0, len(stems_LN), list(range(stems_LN.shape[1])))


def _of_all(levels: Levels, take: Take) -> Levels:
    """Return levels of the microphones that a model sees as those of all; the others keep their own."""
    M, seen = len(take.mic_names), list(take.seen)
    offset_M = np.zeros(M, levels.offset_M.dtype)
    gains_M, owner_M = np.ones(M, levels.gains_M.dtype), np.full(M, -1)
    offset_M[seen], gains_M[seen], owner_M[seen] = levels.offset_M, levels.gains_M, levels.owner_M
    silent = tuple(seen[m] for m in levels.silent_mics)
    muted = [levels.muted[seen.index(m)] if m in seen else () for m in range(M)]
    return replace(levels, offset_M=offset_M, gains_M=gains_M, silent_mics=silent, owner_M=owner_M, muted=tuple(muted))


def as_recorded(done: Stems, take: Take, alignment: Alignment) -> Stems:
    """Return the stems of an aligned take as those of the take as it was recorded.

    Each lies under its spot again: as late, as flipped, and on its clock.  Where the other microphones had not begun
    yet, or had ended, nothing was separated: there the stem is what its spot heard.

    Parameters
    ----------
    done : Stems
        Of the aligned take.
    take : Take
        As it was recorded.
    alignment : Alignment
        What was undone in it.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take, separate
    >>> from mnmf.align import Alignment
    >>> from mnmf.separation import as_recorded
    >>> take = Take(np.random.default_rng(0).standard_normal((4000, 2)), 8000)
    >>> alignment = Alignment((0, 100), (0.0, 0.0), (1, -1))
    >>> aligned = Take(alignment.applied(take.x_LM)[:], 8000)
    >>> done = as_recorded(separate(aligned, method="kamir", iterations=2), take, alignment)
    >>> done.stems_LN.shape, bool(np.all(done.stems_LN[:100, 1] == take.x_LM[:100, 1]))
    ((4000, 2), True)
    """
    L, kind, own = take.n_samples, take.x_LM.dtype, take.spots.references
    fade = max(round(FADE * take.sample_rate), 1)
    heard = {(n, m): done.heard(n, m) for n, m in done.bleed if m != own[n]}

    def at_spot(stem_L: Any, m: int, start: int, stop: int) -> Array:
        at = np.arange(start, stop)
        first, last = alignment.known(m, L)
        part = np.ones(len(at))
        if first > 0:
            part = np.minimum(part, np.clip((at - first + 1) / fade, 0, 1))
        if last < L:
            part = np.minimum(part, np.clip((last - at) / fade, 0, 1))
        undone_L = alignment.undone(stem_L, m)[start:stop]
        return np.asarray(part * undone_L + (1 - part) * np.asarray(take.x_LM[start:stop, m]))

    def stems(start: int, stop: int, columns: list[int]) -> Array:
        stems_LN = np.empty((max(stop - start, 0), len(columns)), kind)
        for i, n in enumerate(columns):
            stems_LN[:, i] = at_spot(column(done.stems_LN, n), own[n], start, stop)
        return stems_LN

    def bleed(start: int, stop: int, columns: list[int]) -> Array:
        bleed_LI = np.empty((max(stop - start, 0), len(columns)), kind)
        for i, (n, m) in enumerate(done.bleed[k] for k in columns):
            if m in take.spots[n]:
                bleed_LI[:, i] = at_spot(heard[n, m], m, start, stop)
            else:
                bleed_LI[:, i] = alignment.undone(heard[n, m], m)[start:stop]
        return bleed_LI

    return Stems(
        take=take,
        stems_LN=Rows((L, len(own)), kind, stems),
        method=done.method,
        levels=done.levels,
        parameters=done.parameters,
        seconds=done.seconds,
        not_estimated=done.not_estimated,
        remarks=done.remarks,
        bleed=done.bleed,
        bleed_LI=Rows((L, len(done.bleed)), kind, bleed) if done.bleed else None,
        costs=done.costs,
        solo_seconds=done.solo_seconds,
    )
