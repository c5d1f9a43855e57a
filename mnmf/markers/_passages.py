"""Labels to solo passages: which of them count, and what they must be like together and within the take."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mnmf.errors import MarkerError
from mnmf.markers._labels import Label

__all__ = ["Marked", "Passage", "check", "resolve", "sort_out"]

_TOLERANCE = 1e-3  # seconds; markers drawn by hand or rounded on export are no closer
_EARLY = 0.5  # seconds before the take at which a label that was drawn from its beginning may start
_SHORTEST = 0.1  # seconds; a shorter passage says nothing about a source, and is a slip of the mouse
_LONGEST = 1000  # characters of a label; the rest of what can be wrong with names is told in `mnmf.output`
_INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"  # what copying from other programs leaves at either end
_SHOWN = 40  # characters of a label in a message


@dataclass(frozen=True)
class Passage:
    """A passage in which one source plays alone.

    Parameters
    ----------
    source : str
        Who plays.
    start, stop : float
        In seconds from the beginning of the take; an infinite `stop` means the end of the take.

    Examples
    --------
    >>> from mnmf.markers import Passage
    >>> Passage("viola", 2.0, 5.5)
    Passage(source='viola', start=2.0, stop=5.5)
    """

    source: str
    start: float
    stop: float


@dataclass(frozen=True)
class Marked:
    """What a marker file says.

    Parameters
    ----------
    passages : tuple of Passage
        The solos, in order of time.
    ignored : tuple of str
        Labels that count for nothing, in the order of the file, each once: the name, and unless it is that of no
        source, why.

    Examples
    --------
    >>> from mnmf.markers import Marked, Passage
    >>> Marked((Passage("viola", 2.0, 5.5),), ("cough",)).ignored
    ('cough',)
    """

    passages: tuple[Passage, ...]
    ignored: tuple[str, ...] = ()


def resolve(passages: Sequence[Passage], duration: float) -> tuple[Passage, ...]:
    """Replace the `stop` of passages that last to the end of the take.

    Parameters
    ----------
    passages : sequence of Passage
        Some of them with an infinite `stop`.
    duration : float
        Length of the take in seconds.

    Returns
    -------
    tuple of Passage
        In the same order.

    Examples
    --------
    >>> from mnmf import markers
    >>> markers.resolve([markers.Passage("cello", 5.5, float("inf"))], duration=9.0)
    (Passage(source='cello', start=5.5, stop=9.0),)
    """
    return tuple(replace(passage, stop=duration) if math.isinf(passage.stop) else passage for passage in passages)


def check(passages: Sequence[Passage], duration: float | None, name: str) -> tuple[Passage, ...]:
    """Check passages against the take and each other; differences up to a millisecond are accepted.

    Parameters
    ----------
    passages : sequence of Passage
        In any order.
    duration : float or None
        Length of the take in seconds; None if unknown.
    name : str
        What messages call their origin.

    Returns
    -------
    tuple of Passage
        In order of time, cut at the end of the take, overlapping ones of the same source joined.

    Raises
    ------
    MarkerError
        A passage lies past the end of the take or lasts less than 0.1 s, or passages of two sources overlap.

    Examples
    --------
    >>> from mnmf import markers
    >>> passages = [markers.Passage("viola", 4.0, 8.0), markers.Passage("viola", 2.0, 5.0)]
    >>> markers.check(passages, duration=9.0, name="labels.txt")
    (Passage(source='viola', start=2.0, stop=8.0),)
    """
    if duration is not None:
        for passage in passages:
            if flaw := _past_the_end(passage, duration):
                raise MarkerError(f"{name}: {flaw}")
        passages = [replace(p, stop=min(p.stop, duration)) for p in resolve(passages, duration)]
    joined = _joined(passages)
    for passage in joined:
        if _is_short(passage):
            raise MarkerError(f"{name}: {_too_short(passage)}")
    for before, passage in pairwise(joined):
        if passage.start < before.stop - _TOLERANCE:
            raise MarkerError(
                f"{name}: solos {_show(before)} and {_show(passage)} overlap; shorten one, or if one of them is no "
                "player, name those who are with --sources"
            )
    return tuple(joined)


def sort_out(
    labels: Iterable[Label], duration: float | None, file: str, sources: Iterable[str] | None = None
) -> Marked:
    """Return the passages among labels, checked by `check`, and what was ignored.

    A label of nobody in `sources` is ignored, whatever is wrong with it; so are points, and labels that are very short
    or not within the take, as long as their source has another solo.  If no `sources` are given, each label with a
    length names one.

    Raises
    ------
    MarkerError
        A label that counts cannot be used, a source would have no solo although it has labels, or `check` refuses.
    """
    labels = list(labels)
    asked = None if sources is None else {composed(name) for name in sources}
    if labels and all(label.flaw for label in labels):
        raise MarkerError(f"{file}, {labels[0].place}: {labels[0].flaw}")
    spelled = _speller(labels, asked)
    passages: list[Passage] = []
    ignored: dict[str, None] = {}
    excuses: dict[str, str] = {}  # by source: why a label of it is ignored
    points = ""
    for label in labels:
        name = spelled(composed(label.name))
        if asked is not None and name not in asked:
            ignored[_short(name)] = None
            continue
        if flaw := _flaw(label, name):
            raise MarkerError(f"{file}, {label.place}: {flaw}")
        passage = Passage(name, 0.0 if -_EARLY <= label.start < 0 < label.stop else label.start, label.stop)
        if excuse := _excuse(passage, duration):
            ignored[f"{_short(name)} ({excuse[0]})"] = None
            message = f"{file}, {label.place}: {excuse[1]}"
            if label.is_point and asked is None:
                points = points or message
            else:
                excuses.setdefault(name, message)
        else:
            passages.append(passage)
    kept = []
    for passage in _joined(passages):
        if _is_short(passage):
            ignored[f"{_short(passage.source)} ({passage.stop - passage.start:.3f} s long)"] = None
            excuses.setdefault(passage.source, f"{file}: {_too_short(passage)}")
        else:
            kept.append(passage)
    playing = {passage.source for passage in kept}
    for name, message in excuses.items():
        if name not in playing:
            raise MarkerError(message)
    if not kept and points:
        raise MarkerError(points)
    if not labels:
        raise MarkerError(f"{file} names no passage; label the solos with their sources")
    return Marked(check(kept, duration, file), tuple(ignored))


def _speller(labels: Sequence[Label], asked: set[str] | None) -> Callable[[str], str]:
    """Return what spells a name as it was asked for, if it differs from one of those only in capitals.

    Nothing is changed where a label has the very name, or two that were asked for would be meant.
    """
    if asked is None:
        return str
    there = {composed(label.name) for label in labels}
    folded: dict[str, list[str]] = {}
    for name in asked:
        folded.setdefault(name.casefold(), []).append(name)
    meant = {key: names[0] for key, names in folded.items() if len(names) == 1 and names[0] not in there}
    return lambda name: name if name in asked or len(name) > _LONGEST else meant.get(name.casefold(), name)


def composed(name: str) -> str:
    """Return a name without what is invisible around it, and in NFC, so that names can be compared.

    Examples
    --------
    >>> composed(" Flo\\u0308te") == "Fl\\u00f6te"
    True
    """
    name = name.strip().strip(_INVISIBLE).strip()
    return unicodedata.normalize("NFC", name) if len(name) <= _LONGEST else name  # its time grows with the square


def _flaw(label: Label, name: str) -> str:
    """Return what is wrong with a label that counts, whatever else its source has; "" if nothing is."""
    if label.flaw:
        return label.flaw
    if len(name) > _LONGEST:
        return f"the label has more than {_LONGEST} characters; give the source a shorter name"
    if label.stop < label.start:
        return (
            f"label {_quoted(name)} stops ({label.stop:.3f} s) before it starts ({label.start:.3f} s); swap the times, "
            "or drag the label anew"
        )
    if not name and not label.is_point:
        return "the label is empty; name the source that plays alone"
    return ""


def _excuse(passage: Passage, duration: float | None) -> tuple[str, str] | None:
    """Return why a passage may be left out if its source has another one, in few words and as a message."""
    who = _quoted(passage.source)
    if passage.stop == passage.start:
        at = f"a point at {passage.start:.3f} s"
        return at, f"label {who} is {at}, and there is no other solo of that name; drag it to a region"
    if passage.start < 0:
        where = "before the beginning of the take"
        return (
            f"{passage.start:.3f} s, {where}",
            f"label {who} starts at {passage.start:.3f} s, {where}; move it, or give the recording it belongs to with "
            "--solo-take",
        )
    if duration is not None and (flaw := _past_the_end(passage, duration)):
        return f"{_late(passage):.3f} s, past the end of the take", flaw
    return None


def _late(passage: Passage) -> float:
    return passage.start if math.isinf(passage.stop) else passage.stop


def _past_the_end(passage: Passage, duration: float) -> str:
    if _late(passage) <= duration + _TOLERANCE and passage.start < duration:
        return ""
    return (
        f"{_quoted(passage.source)} at {_late(passage):.3f} s lies past the end of the take, "
        f"which is {duration:.3f} s long; move it, or give the recording these markers belong to "
        "with --solo-take; if it is no player, name "
        "those who are with --sources"
    )


def _joined(passages: Iterable[Passage]) -> list[Passage]:
    """Return passages in order of time, overlapping ones of the same source as one."""
    joined: list[Passage] = []
    for passage in sorted(passages, key=lambda p: (p.source, p.start)):
        if joined and joined[-1].source == passage.source and passage.start < joined[-1].stop:
            passage = replace(max(joined[-1], passage, key=lambda p: p.stop), start=joined.pop().start)
        joined.append(passage)
    joined.sort(key=lambda p: p.start)
    return joined


def _is_short(passage: Passage) -> bool:
    return passage.stop - passage.start < _SHORTEST - _TOLERANCE


def _too_short(passage: Passage) -> str:
    return f"solo {_show(passage)} lasts less than {_SHORTEST} s; drag it over all that is played alone"


def _short(name: str) -> str:
    return (name if len(name) <= _SHOWN else name[: _SHOWN - 1] + "…") or "no name"


def _quoted(name: str) -> str:
    return repr(_short(name) if name else "")


def _show(passage: Passage) -> str:
    stop = "the end" if math.isinf(passage.stop) else f"{passage.stop:.3f} s"
    return f"{_quoted(passage.source)} ({passage.start:.3f} s to {stop})"
