"""What the names of files and of tracks say: how microphones are called, and which are nobody's spot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["APART", "FIELD", "distinct", "is_room", "name_mics", "natural", "tracked"]

LONGEST_TRACK = 100  # characters of a track's name

FIELD = re.compile(r"[^\W_]+")  # what stands between spaces, hyphens and the like
APART = " \t_-.,;#"
# What a recorder calls a track of which it knows nothing.
_PLAIN = re.compile(r"(?:tr|trk|track|ch|chan|channel|in|input|mic|audio)?[ _.-]?\d*", re.IGNORECASE)
_SIDES = frozenset("lrcms")  # of a pair: no names by themselves
_ZOOM = re.compile(r"(?<![^\W_])tr_?lr?(?![^\W_])|(?<![^\W_])tr_?r(?![^\W_])", re.IGNORECASE)  # its main pair
_WORD = re.compile(r"[A-Z]+(?![a-z])|[^\W\d_][a-z]*|[^\W\d_]+")

# Words in the names of mics that are nobody's spot, and words that may stand beside them.
_ROOMS = frozenset(
    re.findall(
        r"\w+",
        """main mains room rooms hall amb ambi ambience ambient ambiance audience crowd ortf decca tree outrigger
        outriggers surround surrounds raum saal haupt hauptmikrofon publikum spare unused empty mix slate talkback lr
        trl trr trlr""",
    )
)
_BESIDE = _ROOMS | frozenset(
    re.findall(
        r"\w+",
        """l r c m s ls rs left right centre center mid side front rear back near far high low wide ab xy ms pair
        mic mics stereo array""",
    )
)


def natural(name: str) -> list[Any]:
    """Return a key that sorts names with 2 before 10, and no matter whether letters are capitals.

    Examples
    --------
    >>> from mnmf.folders import natural
    >>> sorted(["mic10.wav", "Mic2.wav", "mic1.wav"], key=natural)
    ['mic1.wav', 'Mic2.wav', 'mic10.wav']
    """
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def distinct(names: Sequence[str]) -> list[str]:
    """Return of names what tells them apart: without fields that all have in common at an end, and track numbers.

    Nothing is taken off where a number or a side (L, R) would be left of a name, or of all of them what a recorder
    calls tracks without a name (Tr1, Tr2), or where two names would be the same.

    Parameters
    ----------
    names : sequence of str
        Of files, without their extensions.

    Returns
    -------
    list of str
        In the same order.

    Examples
    --------
    >>> from mnmf.folders import distinct
    >>> distinct(["T03_05_Vln1", "T03_06_Vln2", "T03_11_Main L"])
    ['Vln1', 'Vln2', 'Main L']
    >>> distinct(["Vln 1_02", "Vln 2_02"])
    ['Vln 1', 'Vln 2']
    >>> distinct(["spot1", "spot2"])
    ['spot1', 'spot2']
    """
    if len(names) < 2:
        return list(names)
    fields = [list(FIELD.finditer(name)) for name in names]
    words = [[field.group().casefold() for field in own] for own in fields]
    shortest = min(map(len, words))
    before, after = 0, 0  # fields that are taken off
    kept = list(names)

    def without(first: int, last: int) -> list[str] | None:
        """Return the names without so many fields, if they still tell."""
        found = []
        for name, own in zip(names, fields):
            start = own[first - 1].end() if first else 0
            stop = own[len(own) - last].start() if last else len(name)
            found.append(_bare(name[start:stop], first > 0, last > 0))
        return found if _tell(found) else None

    while True:
        left = shortest - before - after - 1  # one stays
        common = [_shared(words, -after - 1, -1, left), _shared(words, before, 1, left)]
        tracks = int(left > 0 and all(_PLAIN.fullmatch(own[before]) for own in words))
        cuts = [(before, after + n) for n in range(common[0], 0, -1)]
        cuts += [(before + n, after) for n in range(max(common[1], tracks), 0, -1)]
        for cut in cuts:
            found = without(*cut)
            if found is not None:
                (before, after), kept = cut, found
                break
        else:
            return kept


def _shared(words: Sequence[Sequence[str]], first: int, step: int, most: int) -> int:
    """Return how many words in a row are the same in all, from one on."""
    for n in range(most):
        if len({own[first + n * step] for own in words}) > 1:
            return n
    return max(most, 0)


def _bare(name: str, front: bool, back: bool) -> str:
    """Return a name without what separated it from the fields that are taken off."""
    name = name.lstrip(APART + ")]") if front else name
    return name.rstrip(APART + "([") if back else name


def _tell(names: Sequence[str]) -> bool:
    """Return whether names tell microphones apart: none is only a number or a side, nor all only tracks."""
    folded = [name.casefold() for name in names]
    bare = any(name in _SIDES or not re.search(r"[^\W\d_]", name) for name in folded)
    return len(set(folded)) == len(folded) and not bare and not all(map(_PLAIN.fullmatch, folded))


def name_mics(paths: Sequence[Path], channels: Sequence[int]) -> list[str]:
    """Return a name for each microphone; no two are the same.

    Parameters
    ----------
    paths : sequence of Path
        The files of a take.
    channels : sequence of int
        How many each of them has.

    Returns
    -------
    list of str
        '1', '2', … for a single polyphonic file.  Else what differs in the names of the files (`distinct`), with ':1',
        ':2', … for the channels of a polyphonic one; where those are the same, with extensions, or with the folder
        that each file is in.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import name_mics
    >>> name_mics([Path("T03_05_Vln1.WAV"), Path("T03_11_Main.WAV")], [1, 2])
    ['Vln1', 'Main:1', 'Main:2']
    """
    numbers = [str(number) for number in range(1, sum(channels) + 1)]
    if len(paths) == 1 and channels[0] > 1:
        return numbers
    inside = [f"{path.absolute().parent.name} {path.stem}".strip() for path in paths]
    for labels in (
        distinct([path.stem for path in paths]),
        [path.name for path in paths],
        inside,
        list(map(str, paths)),
    ):
        names = []
        for label, count in zip(labels, channels):
            names += [label] if count == 1 else [f"{label}:{channel}" for channel in range(1, count + 1)]
        if len(set(names)) == len(names):
            return names
    return numbers


def tracked(names: Sequence[str], tracks: Sequence[str | None]) -> list[str]:
    """Return the names of microphones, those of their tracks where the files hold them and they say something.

    Parameters
    ----------
    names : sequence of str
        What they are called otherwise.
    tracks : sequence of str or None
        What the recorder called their tracks.

    Returns
    -------
    list of str
        No two are the same: where a track's name is another's too, its microphone is called as it is otherwise.

    Examples
    --------
    >>> from mnmf.folders import tracked
    >>> tracked(["1", "2", "3"], ["Vln 1", "Tr2", None])
    ['Vln 1', '2', '3']
    >>> tracked(["1", "2", "3"], ["Anna", "Anna", "Ben"])
    ['1', '2', 'Ben']
    """
    said = [name if _says_nothing(track) else str(track).strip() for name, track in zip(names, tracks)]
    taken = Counter(name.casefold() for name in (*said, *names))
    found = [own if taken[name.casefold()] > (name == own) + 1 else name for name, own in zip(said, names)]
    return found if len({name.casefold() for name in found}) == len(found) else list(names)


def _says_nothing(track: str | None) -> bool:
    text = (track or "").strip()
    odd = not text.isprintable() or len(text) > LONGEST_TRACK or re.search(r'[/\\:*?"<>|]', text)
    return bool(_PLAIN.fullmatch(text) or odd)


def is_room(name: str) -> bool:
    """Return whether a microphone of that name is nobody's spot: every word says room, main pair, side or nothing used.

    Examples
    --------
    >>> from mnmf.folders import is_room
    >>> [is_room(name) for name in ("Main L", "HallR", "Room:2", "ORTF", "Main Vocal", "Vln 1")]
    [True, True, True, True, False, False]
    """
    words = [word.casefold() for word in _WORD.findall(_ZOOM.sub(lambda pair: pair[0].replace("_", "").lower(), name))]
    return any(word in _ROOMS for word in words) and all(word in _BESIDE for word in words)
