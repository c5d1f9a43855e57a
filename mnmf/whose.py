"""Whose microphone is whose: from how loudly each one hears the solos, or else by order.  Arrays in, spots out.

Files live elsewhere (`mnmf.session`).  Microphones have names here only so that a refusal can say which one it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import SessionError, nearest
from mnmf.spots import Spots

__all__ = ["Found", "describe", "find_mics", "find_spots", "match_spots", "spans", "spare_mics", "units"]

Array = NDArray[Any]
Mics = tuple[int, ...]

NEAR_TIE_DB = 1.0  # a solo heard this evenly at two mics does not show whose spot is whose
# A mic counts only where a solo brings this many times the energy it hears anyway: steady noise stays below, music with
# pauses does not.
ABOVE_FLOOR = 1.6
FLOOR_FRAME = 0.05  # seconds over which the energy that a mic hears anyway is looked for
FLOOR_PERCENTILE = 1

_SPAN = re.compile(r"#?([0-9]{1,9})\s*[-–]\s*#?([0-9]{1,9})")
_MAGIC = re.compile(r"[*?\[]")
_WORDS = re.compile(r"(?<![^\W_])[^\W_]+")


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
    pairs: Sequence[Mics] = (),
    dead: Sequence[int] = (),
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
    pairs : sequence of microphones
        Two each that may be one source's stereo spot: where both hear its solo alike, or one would be left over.
    dead : sequence of int
        Microphones that hear nothing in the take: nobody's spot, unless a solo is loudest there.

    Raises
    ------
    SessionError
        A source finds no spot, or none that is clearly its own; or a microphone is left over.
    """
    free = [m for m in range(len(mic_names)) if m not in ambient]
    if not solos:
        found = _by_order(names, given, free, pairs)
    else:
        frame = max(round(FLOOR_FRAME * sample_rate), 1)
        energies = _solo_energies(names, solos, frame)
        _refuse_unfit(names, mic_names, energies, given, free)
        waiting = sum(name not in given for name in energies.names)
        needed = [m for m in free if m not in dead]
        if waiting < len(units(_unclaimed(needed, given), pairs)):
            _refuse_missing(mic_names, energies, _frame_energies(take(), frame).mean(axis=0), given, needed, pairs)
        found = _by_solos(names, mic_names, energies, given, free, pairs)
    found = _completed(found, free, pairs)
    left_over = [m for m in _unclaimed(free, dict(enumerate(found.spots))) if m not in dead]
    if left_over:
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


def find_mics(
    mics: Any, mic_names: Sequence[str], ambient: Sequence[int] = (), files: Mapping[str, Mics] | None = None
) -> Mics:
    """Return the microphones, counted from 0, that a text or a number means, or several of them.

    Parameters
    ----------
    mics : str, int, or several
        A name; a channel counted from 1 (``3``, ``"3"``, ``"#3"``); channels from one to another (``"7-10"``); the name
        of a file, which stands for all its channels (``"Main"`` for 'Main:1' and 'Main:2'); a pattern of names
        (``"Main*"``); or how a single name ends (``"Vln1"`` for 'T03_05_Vln1').
    mic_names : sequence of str
        One for each microphone.
    ambient : sequence of int
        What none of them may be.
    files : mapping of name to microphones, optional
        Further names.

    Raises
    ------
    SessionError
        There is none, or one of `ambient`; the text is the channel of one and the name of another; or several names
        end so.

    Examples
    --------
    >>> from mnmf.whose import find_mics
    >>> names = ("Vln1", "Vln2", "Main:1", "Main:2")
    >>> find_mics("1-2", names), find_mics("Main", names), find_mics(["vln2", "M*:1"], names)
    ((0, 1), (2, 3), (1, 2))
    """
    several = [mics] if isinstance(mics, str | int) else list(mics)
    found = tuple(dict.fromkeys(m for mic in several for m in _meant(mic, mic_names, files or {})))
    for m in found:
        if m in ambient:
            raise SessionError(
                f"{describe(m, mic_names)} is marked --ambient and somebody's --spot; it can be only one"
            )
    return found


def _meant(mic: str | int, mic_names: Sequence[str], files: Mapping[str, Mics]) -> Mics:
    """Return the microphones that one text or number means."""
    if not isinstance(mic, str) and abs(mic) > len(mic_names):
        raise SessionError(f"there is no mic of that number; channels go from 1 to {len(mic_names)}")
    text = str(mic).strip()
    digits = text.removeprefix("#")
    number = digits.isascii() and digits.isdigit()
    channel = int(digits) - 1 if number and len(digits) < 10 else None
    if channel is not None and not 0 <= channel < len(mic_names):
        channel = None
    named = list(mic_names).index(text) if isinstance(mic, str) and text in mic_names else None
    if channel is not None and named is not None and channel != named:
        raise SessionError(
            f"mic {text!r} is channel {text} and also the name of another; write #{text} for the channel"
        )
    found = named if named is not None else channel
    if found is not None:
        return (found,)
    known = {**files, **_of_files(mic_names), **{name: (m,) for m, name in enumerate(mic_names)}}
    if isinstance(mic, str) and text and not number:
        if text in known:
            return known[text]
        if span := _SPAN.fullmatch(text):
            return _from_to(int(span[1]), int(span[2]), text, len(mic_names))
        for fold in (str, str.casefold):
            if several := _matching(text, known, fold):
                return several
    raise SessionError(
        f"there is no mic {mic!r}{nearest(text, known)}; channels go from 1 to {len(mic_names)}, names are: "
        f"{', '.join(mic_names)}"
    )


def _of_files(mic_names: Sequence[str]) -> dict[str, Mics]:
    """Return the microphones of polyphonic files, 'Main:1' and 'Main:2', by the names of these."""
    found: dict[str, Mics] = {}
    for m, name in enumerate(mic_names):
        file, colon, channel = name.rpartition(":")
        if file and colon and channel.isdigit():
            found[file] = (*found.get(file, ()), m)
    return found


def _from_to(first: int, last: int, text: str, n_mics: int) -> Mics:
    if not 1 <= first <= last <= n_mics:
        raise SessionError(f"there are no mics {text}; channels go from 1 to {n_mics}, the lower one first")
    return tuple(range(first - 1, last))


def _matching(text: str, known: Mapping[str, Mics], fold: Callable[[str], str]) -> Mics:
    """Return the microphones whose names a pattern matches, or whose name ends as a text says.

    An ending begins where a word does; there may be none.  A pattern that no whole name matches is held against them.
    """
    wanted = fold(text)
    if _MAGIC.search(wanted):
        whole = {m for name, mics in known.items() if fnmatchcase(fold(name), wanted) for m in mics}
        return tuple(sorted(whole or {m for name, mics in known.items() if _ends(fold(name), wanted) for m in mics}))
    ends: dict[Mics, str] = {}
    for name, mics in known.items():
        before, ending, rest = fold(name).rpartition(wanted)
        if ending and not rest and not (before[-1:].isalnum() and wanted[0].isalnum()):
            ends[mics] = name
    if len(ends) > 1:
        raise SessionError(f"mic {text!r} could be {' or '.join(sorted(ends.values()))}; give more of the name")
    return next(iter(ends), ())


def _ends(name: str, pattern: str) -> bool:
    """Return whether a pattern matches a name from one of its words on."""
    return any(fnmatchcase(name[word.start() :], pattern) for word in _WORDS.finditer(name, 1))


def units(mics: Sequence[int], pairs: Sequence[Mics]) -> list[Mics]:
    """Return microphones one by one, but those together that are a pair and both there.

    Examples
    --------
    >>> from mnmf.whose import units
    >>> units([0, 2, 3, 4], pairs=[(2, 3), (4, 5)])
    [(0,), (2, 3), (4,)]
    """
    whole = {pair[0]: pair for pair in pairs if set(pair) <= set(mics)}
    second = {m for pair in whole.values() for m in pair[1:]}
    return [whole.get(m, (m,)) for m in mics if m not in second]


def spans(mics: Sequence[int]) -> str:
    """Return microphones, counted from 0, as channels counted from 1, those in a row as a span.

    Examples
    --------
    >>> from mnmf.whose import spans
    >>> spans([3, 6, 7, 8])
    '4, 7-9'
    """
    rows: list[list[int]] = []
    for m in sorted(mics):
        if rows and m == rows[-1][1] + 1:
            rows[-1][1] = m
        else:
            rows.append([m, m])
    return ", ".join(f"{first + 1}" if first == last else f"{first + 1}-{last + 1}" for first, last in rows)


def describe(mic: int, mic_names: Sequence[str]) -> str:
    """Return a microphone's channel, counted from 1, and its name if it has another."""
    name = mic_names[mic]
    return f"mic {mic + 1}" if name == str(mic + 1) else f"mic {mic + 1} ({name})"


def _completed(found: Found, free: Sequence[int], pairs: Sequence[Mics]) -> Found:
    """Give the microphone of a pair that would be left to whom the other one belongs, if that is a single source."""
    spots = [list(mics) for mics in found.spots]
    for pair in pairs:
        left = [m for m in pair if m in free and not any(m in mics for mics in spots)]
        owners = [mics for mics in spots if any(m in mics for m in pair)]
        if len(left) == 1 and len(owners) == 1:
            owners[0].append(left[0])
    return Found(Spots(tuple(mics) for mics in spots), found.margins_db)


def _by_order(
    names: Sequence[str], given: Mapping[str, Mics], free: Sequence[int], pairs: Sequence[Mics] = ()
) -> Found:
    remaining = _unclaimed(free, given)
    waiting = [name for name in names if name not in given]
    halves = {m for pair in pairs if not set(pair) <= set(remaining) for m in pair}  # the other one is given
    for whole in (units(remaining, pairs), units([m for m in remaining if m not in halves], pairs)):
        if len(waiting) == len(whole):
            paired = dict(zip(waiting, whole))
            return Found(Spots(given.get(name) or paired[name] for name in names), (None,) * len(names))
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
    pairs: Sequence[Mics] = (),
) -> Found:
    # Further mics of a source whose spot is given have no place in the balance: one spot a source.
    candidates = [m for m in free if not any(m in mics[1:] for mics in given.values())]
    _refuse_silent_solos(energies, mic_names, given, candidates)
    found: dict[str, tuple[Mics, float | None]] = {name: (mics, None) for name, mics in given.items()}
    waiting = [n for n, name in enumerate(energies.names) if name not in given]
    if waiting:
        order_NM, margins_N = match_spots(energies.above_NM[:, candidates])
        # The two of a stereo spot hear its source alike.
        mates = {}
        for n in waiting:
            first, second = (candidates[int(i)] for i in order_NM[n, [0, min(1, len(candidates) - 1)]])
            if margins_N[n] < NEAR_TIE_DB and tuple(sorted((first, second))) in pairs:
                mates[first] = second
        if mates:
            candidates = [m for m in candidates if m not in mates.values()]
            order_NM, margins_N = match_spots(energies.above_NM[:, candidates])
        for n in waiting:
            order, margin = [candidates[int(i)] for i in order_NM[n]], float(margins_N[n])
            _refuse_near_tie(energies.names[n], [describe(m, mic_names) for m in order[:2]], margin)
            mate = [mates[order[0]]] if order[0] in mates else []
            found[energies.names[n]] = tuple(sorted([order[0], *mate])), margin
    _refuse_shared(names, mic_names, {name: mics for name, (mics, _) in found.items()}, given)
    return Found(Spots(found[name][0] for name in names), tuple(found[name][1] for name in names))


def _unclaimed(free: Sequence[int], given: Mapping[Any, Mics]) -> list[int]:
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
    pairs: Sequence[Mics],
) -> NoReturn:
    """Refuse more microphones than sources, naming those that are loud in the take although no solo is."""
    unclaimed = _unclaimed(free, given)
    waiting = [n for n, name in enumerate(energies.names) if name not in given]
    chosen = set(_loudest(energies.energy_NM[waiting], take_M, unclaimed))
    raise _left_over(mic_names, [m for mics in units(unclaimed, pairs) if not chosen & set(mics) for m in mics])


def _loudest(energy_NM: Array, take_M: Array, mics: Sequence[int]) -> list[int]:
    """Return for each source which of some microphones its solo is loudest at, compared with the take there.

    Unlike `match_spots` this holds where there are microphones without a solo.
    """
    level_NM = energy_NM / np.maximum(take_M, 1e-30)
    return [mics[int(np.argmax(level_M[mics]))] for level_M in level_NM]


def spare_mics(
    solos: Mapping[str, Iterable[Array]],
    sample_rate: float,
    take_LM: Array,
    ambient: Sequence[int] = (),
    pairs: Sequence[Mics] = (),
) -> list[int]:
    """Return the microphones at which no solo is loudest, which are perhaps nobody's.

    Parameters
    ----------
    solos, sample_rate, ambient, pairs
        As of `find_spots`.
    take_LM : array (L, M)
        What the microphones hear of all.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.whose import spare_mics
    >>> sound_LN = np.random.default_rng(0).standard_normal((8000, 2))
    >>> mixing_MN = np.array([[1.0, 0.2], [0.3, 0.3], [0.2, 1.0]])
    >>> solos = {name: [sound_LN[:, [n]] * mixing_MN[:, n]] for n, name in enumerate(("violin", "cello"))}
    >>> spare_mics(solos, 8000, sound_LN @ mixing_MN.T)
    [1]
    """
    frame = max(round(FLOOR_FRAME * sample_rate), 1)
    energies = _solo_energies(list(solos), solos, frame)
    free = [m for m in range(take_LM.shape[1]) if m not in ambient]
    chosen = set(_loudest(energies.above_NM, _frame_energies(take_LM, frame).mean(axis=0), free)) if free else set()
    return [m for mics in units(free, pairs) if not chosen & set(mics) for m in mics]


def _left_over(mic_names: Sequence[str], mics: Sequence[int]) -> SessionError:
    marked = " ".join(f"--ambient {span}" for span in spans(mics).split(", "))
    return SessionError(
        f"nobody's spot: {', '.join(describe(m, mic_names) for m in mics)}; "
        f"add the missing solo or --spot NAME=MIC, or mark it with {marked}"
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
