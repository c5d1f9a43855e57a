"""Whose microphone is whose: from how loudly each one hears the solos, or else by order.  Arrays in, spots out.

Files live elsewhere (`mnmf.session`).  Microphones have names here only so that a refusal can say which one it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import SessionError
from mnmf.spots import Spots

__all__ = ["Found", "describe", "find_mic", "find_mics", "find_spots", "match_spots"]

Array = NDArray[Any]
Mics = tuple[int, ...]

NEAR_TIE_DB = 1.0  # a solo heard this evenly at two mics does not show whose spot is whose
# A mic counts only where a solo brings this many times the energy it hears anyway: steady noise stays below, music with
# pauses does not.
ABOVE_FLOOR = 1.6
FLOOR_FRAME = 0.05  # seconds over which the energy that a mic hears anyway is looked for
FLOOR_PERCENTILE = 1


@dataclass(frozen=True)
class Found:
    """Whose microphone is whose, and how clearly.

    Attributes
    ----------
    spots : Spots
        In the order of the sources.
    margins_db : tuple of float or None
        By how much each source's solo is louder at its spot than at the next microphone, levels balanced; None where
        the spot was given or follows the order.
    """

    spots: Spots
    margins_db: tuple[float | None, ...]


@dataclass(frozen=True)
class _SoloEnergies:
    """The energy of the solos of the sources called `names` at the microphones, both (N, M)."""

    names: list[str]
    energy_NM: Array
    above_NM: Array  # what exceeds the energy that a mic hears anyway


def find_spots(
    names: Sequence[str],
    mic_names: Sequence[str],
    *,
    solos: Mapping[str, Iterable[Array]],
    sample_rate: float,
    take: Callable[[], Array],
    given: Mapping[str, Mics],
    ambient: Sequence[int] = (),
) -> Found:
    """Find the spot of every source.

    Parameters
    ----------
    names : sequence of str
        The sources, in the order of the result.
    mic_names : sequence of str
        One for each microphone.
    solos : mapping of name to arrays (L, M)
        What the microphones heard while a source played alone.  With none at all, sources and microphones that are
        left pair up in order.
    sample_rate : float
        Of the solos, in hertz.
    take : callable
        Returns the take, (L, M); called only to name microphones that are left over.
    given : mapping of name to microphones
        Spots that are known, counted from 0, the reference first.
    ambient : sequence of int
        Microphones that are nobody's spot.

    Raises
    ------
    SessionError
        A source finds no spot, or none that is clearly its own; or a microphone is left over.
    """
    free = [m for m in range(len(mic_names)) if m not in ambient]
    if not solos:
        found = _by_order(names, given, free)
    else:
        frame = max(round(FLOOR_FRAME * sample_rate), 1)
        energies = _solo_energies(names, solos, frame)
        _refuse_unfit(names, mic_names, energies, given, free)
        if sum(name not in given for name in energies.names) < len(_unclaimed(free, given)):
            _refuse_missing(mic_names, energies, _frame_energies(take(), frame).mean(axis=0), given, free)
        found = _by_solos(names, mic_names, energies, given, free)
    if left_over := [m for m in free if not any(m in mics for mics in found.spots)]:
        raise _left_over(mic_names, left_over)
    return found


def match_spots(energy_NM: Array) -> tuple[Array, Array]:
    """Order the microphones of each source by how much of its solo they get.

    Neither a loud player nor a hot preamplifier may decide.  So rows and columns are scaled in turn until every source
    gives the same total and every microphone receives the same total (Sinkhorn's balancing); what remains is how
    sound spreads in the room, and a source's spot is the microphone that gets most of it.

    Parameters
    ----------
    energy_NM : float, shape (N, M)
        Energy of each source's solo at each microphone.

    Returns
    -------
    order_NM : int, shape (N, M)
        The microphones of each source, the loudest first.
    margins_N : float, shape (N,)
        The lead of the first over the second in dB; infinite if there is none.

    Examples
    --------
    >>> order_NM, margins_N = match_spots([[1.0, 0.2], [10.0, 40.0]])  # the second player is the louder one
    >>> order_NM[:, 0]
    array([0, 1])
    """
    balanced = np.asarray(energy_NM, float)
    N, M = balanced.shape
    # One solo alone says nothing about gains: balancing its microphones would make them all alike.
    for _ in range(100 if N > 1 else 0):
        balanced = balanced / np.maximum(balanced.sum(axis=1, keepdims=True), 1e-300)
        balanced = balanced * (N / M / np.maximum(balanced.sum(axis=0), 1e-300))
    order_NM = np.argsort(-balanced, axis=1, kind="stable")
    if M < 2:
        return order_NM, np.full(N, np.inf)
    first, second = (np.take_along_axis(balanced, order_NM[:, i : i + 1], axis=1)[:, 0] for i in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return order_NM, np.where(second > 0, 10 * np.log10(first / second), np.inf)


def find_mic(mic: str | int, mic_names: Sequence[str]) -> int:
    """Return the microphone, counted from 0, that a name or a channel counted from 1 (``3``, ``"3"``, ``"#3"``) means.

    Raises
    ------
    SessionError
        There is none, or the text is the channel of one and the name of another.
    """
    if not isinstance(mic, str) and abs(mic) > len(mic_names):
        raise SessionError(f"there is no mic of that number; channels go from 1 to {len(mic_names)}")
    text = str(mic).strip()
    digits = text.removeprefix("#")
    channel = int(digits) - 1 if digits.isascii() and digits.isdigit() and len(digits) < 10 else None
    if channel is not None and not 0 <= channel < len(mic_names):
        channel = None
    named = list(mic_names).index(text) if isinstance(mic, str) and text in mic_names else None
    if channel is not None and named is not None and channel != named:
        raise SessionError(
            f"mic {text!r} is channel {text} and also the name of another; write #{text} for the channel"
        )
    found = named if named is not None else channel
    if found is None:
        known = ", ".join(mic_names)
        raise SessionError(f"there is no mic {mic!r}; channels go from 1 to {len(mic_names)}, names are: {known}")
    return found


def find_mics(mics: Any, mic_names: Sequence[str], ambient: Sequence[int] = ()) -> Mics:
    """Return the microphones, counted from 0, that one name or channel or several of them mean; none is `ambient`."""
    several = [mics] if isinstance(mics, str | int) else list(mics)
    found = tuple(dict.fromkeys(find_mic(mic, mic_names) for mic in several))
    for m in found:
        if m in ambient:
            raise SessionError(
                f"{describe(m, mic_names)} is marked --ambient and somebody's --spot; it can be only one"
            )
    return found


def describe(mic: int, mic_names: Sequence[str]) -> str:
    """Return a microphone's channel, counted from 1, and its name if it has another."""
    name = mic_names[mic]
    return f"mic {mic + 1}" if name == str(mic + 1) else f"mic {mic + 1} ({name})"


def _by_order(names: Sequence[str], given: Mapping[str, Mics], free: Sequence[int]) -> Found:
    taken = {m for mics in given.values() for m in mics}
    remaining = [m for m in free if m not in taken]
    waiting = [name for name in names if name not in given]
    if len(waiting) > len(remaining):
        raise SessionError(
            f"{len(waiting)} sources without a spot, {len(remaining)} mics left: {', '.join(waiting)}; "
            "give --spot NAME=MIC or fewer --sources"
        )
    in_order = dict(zip(waiting, remaining))
    spots = Spots(given[name] if name in given else (in_order[name],) for name in names)
    return Found(spots, (None,) * len(names))


def _by_solos(
    names: Sequence[str],
    mic_names: Sequence[str],
    energies: _SoloEnergies,
    given: Mapping[str, Mics],
    free: Sequence[int],
) -> Found:
    # Further mics of a source whose spot is given have no place in the balance: one spot a source.
    candidates = [m for m in free if not any(m in mics[1:] for mics in given.values())]
    _refuse_silent_solos(energies, mic_names, given, candidates)
    found: dict[str, tuple[Mics, float | None]] = {name: (mics, None) for name, mics in given.items()}
    waiting = [n for n, name in enumerate(energies.names) if name not in given]
    if waiting:
        order_NM, margins_N = match_spots(energies.above_NM[:, candidates])
        for n in waiting:
            order, margin = [candidates[int(i)] for i in order_NM[n]], float(margins_N[n])
            _refuse_near_tie(energies.names[n], [describe(m, mic_names) for m in order[:2]], margin)
            found[energies.names[n]] = (order[0],), margin
    _refuse_shared(names, mic_names, {name: mics for name, (mics, _) in found.items()}, given)
    return Found(Spots(found[name][0] for name in names), tuple(found[name][1] for name in names))


def _unclaimed(free: Sequence[int], given: Mapping[str, Mics]) -> list[int]:
    return [m for m in free if not any(m in mics for mics in given.values())]


def _refuse_unfit(
    names: Sequence[str],
    mic_names: Sequence[str],
    energies: _SoloEnergies,
    given: Mapping[str, Mics],
    free: Sequence[int],
) -> None:
    for name in names:
        if name not in energies.names and name not in given:
            raise SessionError(f"source {name!r} has no solo passage; label one, or say --spot {name}=MIC")
    if any(name not in given for name in names) and not free:
        raise SessionError("every mic is marked --ambient, so nobody has a spot; take one off")


def _refuse_missing(
    mic_names: Sequence[str],
    energies: _SoloEnergies,
    take_M: Array,
    given: Mapping[str, Mics],
    free: Sequence[int],
) -> NoReturn:
    """Refuse more microphones than sources, naming those that are loud in the take although no solo is."""
    unclaimed = _unclaimed(free, given)
    level_NM = energies.energy_NM / np.maximum(take_M, 1e-30)
    waiting = [n for n, name in enumerate(energies.names) if name not in given]
    chosen = [unclaimed[int(np.argmax(level_NM[n, unclaimed]))] for n in waiting]
    raise _left_over(mic_names, [m for m in unclaimed if m not in chosen])


def _left_over(mic_names: Sequence[str], mics: Sequence[int]) -> SessionError:
    return SessionError(
        f"nobody's spot: {', '.join(describe(m, mic_names) for m in mics)}; "
        "add the missing solo or --spot NAME=MIC, or mark it with --ambient MIC"
    )


def _refuse_silent_solos(
    energies: _SoloEnergies, mic_names: Sequence[str], given: Mapping[str, Mics], candidates: Sequence[int]
) -> None:
    for n, name in enumerate(energies.names):
        if name in given and not energies.energy_NM[n, given[name][0]] > 0:
            where = describe(given[name][0], mic_names)
            raise SessionError(f"the solo of {name!r} is silent at {where}; correct its marker or --spot")
        if name not in given and not energies.above_NM[n, candidates].any():
            raise SessionError(
                f"the solo of {name!r} is silent, or no louder than what its mics hear anyway; "
                f"correct its marker, or say --spot {name}=MIC"
            )


def _refuse_near_tie(name: str, rivals: Sequence[str], margin_db: float) -> None:
    if margin_db < NEAR_TIE_DB:
        raise SessionError(
            f"the solo of {name!r} is as loud at {' and '.join(rivals)} ({margin_db:.1f} dB apart, levels balanced); "
            f"say --spot {name}=MIC"
        )


def _refuse_shared(
    names: Sequence[str], mic_names: Sequence[str], spots: Mapping[str, Mics], given: Mapping[str, Mics]
) -> None:
    """Refuse two sources on one mic, unless both were given there."""
    for other, name in combinations(names, 2):
        shared = set(spots[name]) & set(spots[other])
        if not shared or (name in given and other in given):
            continue
        mic = describe(shared.pop(), mic_names)
        if name not in given and other not in given:
            problem = f"{mic} hears the solos of both {other!r} and {name!r} loudest"
        else:
            owner, rival = (name, other) if name in given else (other, name)
            problem = f"{mic} was given to {owner!r}, but hears the solo of {rival!r} loudest"
        raise SessionError(f"{problem}; say --spot {other}=MIC and --spot {name}=MIC")


def _solo_energies(names: Sequence[str], solos: Mapping[str, Iterable[Array]], frame: int) -> _SoloEnergies:
    """Return the energy of each source's solo at each mic, and that above what the mic hears anyway.

    What it hears anyway is its quietest moments in all passages together; an energy that does not stand out from them
    counts nothing.  Without this a gain, which scales a mic's noise too, would decide where nobody plays.
    """
    heard = [name for name in names if name in solos]
    frames_TM = [np.concatenate([_frame_energies(x_LM, frame) for x_LM in solos[name]]) for name in heard]
    energy_NM = np.stack([source_TM.mean(axis=0) for source_TM in frames_TM])
    floor_M = np.zeros(energy_NM.shape[1])
    if len(heard) > 1:
        floor_M = np.percentile(np.concatenate(frames_TM), FLOOR_PERCENTILE, axis=0)
    return _SoloEnergies(heard, energy_NM, np.where(energy_NM >= ABOVE_FLOOR * floor_M, energy_NM - floor_M, 0.0))


def _frame_energies(x_LM: Array, frame: int) -> Array:
    """Return the mean square of each mic's differences in frames of so many samples, (T, M).

    Differences suppress hum and offsets, which do not show who is near.
    """
    x_LM = np.asarray(x_LM, np.float64)
    squares_LM = np.diff(x_LM, axis=0, prepend=x_LM[:1]) ** 2
    starts = np.arange(0, max(len(squares_LM) - frame, 0) + 1, frame)
    sizes = np.diff(starts, append=len(squares_LM))
    return np.asarray(np.add.reduceat(squares_LM, starts, axis=0) / sizes[:, None])
