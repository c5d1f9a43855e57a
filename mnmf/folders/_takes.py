"""Which files make a take, by their names and lengths, and how to say which of several takes is meant."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from mnmf.errors import SessionError
from mnmf.folders._names import APART, FIELD, natural

__all__ = [
    "MAGIC",
    "SEPARATE",
    "SeveralTakes",
    "Sound",
    "TakeFiles",
    "check_whole",
    "choice",
    "clock",
    "quoted",
    "takes",
]

SEPARATE = "mnmf separate {}"  # what is proposed if there are several takes
MOST_TAKES = 64  # in a folder, that are told apart by more than one of their files
SHOWN = 8  # takes that a message spells out
# Samples of all channels from which a file may have been split for its size: two gigabytes, less a little, of 32 bits.
LARGE = 470_000_000

MAGIC = re.compile(r"[*?\[]")
_PART = re.compile(r"(.*?)([_-])(\d{2,4})")
_TAKE = re.compile(r"(?<![^\W\d_])(?:take|tk|t)[ _.-]?(\d{1,4})(?![^\W_])", re.IGNORECASE)


class SeveralTakes(SessionError):
    """A folder holds several takes, and nobody has said which of them is meant."""


@dataclass(frozen=True)
class Sound:
    """An audio file, as its name and its header tell.

    Attributes
    ----------
    path : Path
        The file.
    n_samples, sample_rate, n_channels : int
        Its length in samples, samples a second, and channels.
    start : int or None
        The sample of a common clock at which it begins, if it says so.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound
    >>> Sound(Path("T03.WAV"), 480000, 48000, n_channels=12).n_channels
    12
    """

    path: Path
    n_samples: int
    sample_rate: int
    n_channels: int = 1
    start: int | None = None


@dataclass(frozen=True)
class TakeFiles:
    """The files of one take.

    Attributes
    ----------
    name : str
        What tells it from the others, as it stands in their names.
    sounds : tuple of Sound
        In the order of the microphones.
    pattern : str
        What matches the names of its files, and no other; empty if there is nothing so simple.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound, TakeFiles
    >>> take = TakeFiles("T03", (Sound(Path("T03_Vln.WAV"), 480000, 48000),), "T03_*")
    >>> take.paths[0].name, take.seconds
    ('T03_Vln.WAV', 10.0)
    """

    name: str
    sounds: tuple[Sound, ...]
    pattern: str = ""

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [sound.path for sound in self.sounds]

    @property
    def seconds(self) -> float:
        """How long it lasts, by most of its files."""
        lengths = Counter(sound.n_samples / sound.sample_rate for sound in self.sounds)
        return lengths.most_common(1)[0][0]


def takes(sounds: Sequence[Sound], others: Collection[str] = ()) -> list[TakeFiles]:
    """Group the files of a folder into takes, by their names and lengths.

    Names that all hold the number of a take (T03, take 3) decide, if lengths differ, or if every take has files of the
    same names otherwise; else files of one length are a take.  A file that is shorter than the others makes none of
    its own unless it has several channels.

    Parameters
    ----------
    sounds : sequence of Sound
        In the order of the microphones.
    others : names, optional
        What else lies there, which no pattern should match if that can be helped.

    Returns
    -------
    list of TakeFiles
        In the order of their names.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound, takes
    >>> lengths = {"T01_Vln.WAV": 9, "T01_Vc.WAV": 9, "T03_Vln.WAV": 90, "T03_Vc.WAV": 90}
    >>> [(take.name, take.pattern) for take in takes([Sound(Path(name), n, 1) for name, n in lengths.items()])]
    [('T01', 'T01_*'), ('T03', 'T03_*')]
    """
    groups = list((_by_take(sounds) or _by_length(sounds)).values())
    if len(groups) < 2:
        return [TakeFiles(_whole([s.path.stem for s in sounds]), tuple(sounds), "*")] if sounds else []
    names = [[sound.path.name for sound in group] for group in groups]
    found = []
    for group, own in zip(groups, names):
        label, pattern = _whole([Path(name).stem for name in own]), ""
        if len(groups) <= MOST_TAKES:
            rest = [name for other in names if other is not own for name in other]
            label, pattern = _told_by(own, rest, others)
        found.append(TakeFiles(label, tuple(group), pattern))
    return sorted(found, key=lambda take: natural(take.name))


def _by_take(sounds: Sequence[Sound]) -> dict[Any, list[Sound]] | None:
    """Return files by the number of their take, if names hold one and it divides them."""
    found = [_TAKE.search(sound.path.stem) for sound in sounds]
    numbers = [None if each is None else int(each[1]) for each in found]
    if None in numbers or len(set(numbers)) < 2:
        return None
    groups: dict[Any, list[Sound]] = {}
    parts: dict[Any, list[str]] = {}
    for sound, number, each in zip(sounds, numbers, found):
        groups.setdefault(number, []).append(sound)
        stem = sound.path.stem
        parts.setdefault(number, []).append("" if each is None else stem[: each.start()] + "\0" + stem[each.end() :])
    alike = len({tuple(sorted(part)) for part in parts.values()}) == 1
    several = all(sum(sound.n_channels for sound in group) > 1 for group in groups.values())
    differ = len({(sound.n_samples, sound.sample_rate) for sound in sounds}) > 1
    return groups if differ or (alike and several) else None


def _by_length(sounds: Sequence[Sound]) -> dict[Any, list[Sound]]:
    """Return files by length, all of them as one take if there are not several microphones of several lengths."""
    groups: dict[Any, list[Sound]] = {}
    for sound in sounds:
        groups.setdefault((sound.n_samples, sound.sample_rate), []).append(sound)
    several = {key: group for key, group in groups.items() if sum(sound.n_channels for sound in group) > 1}
    return several if len(several) > 1 else {None: list(sounds)}


def check_whole(sounds: Sequence[Sound]) -> None:
    """Refuse files that are the parts of one recording, as recorders split what is too large for a file.

    They are called ``T`` and ``T-01``, or ``T_0001`` and ``T_0002``, and so on.  Each begins where the one before ends,
    or, where they do not say when they begin, all are large and as long as the first one but for the last.

    Raises
    ------
    SessionError
        There are some; the message says how to join them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound, check_whole
    >>> parts = [Sound(Path("T.WAV"), 900, 10, start=0), Sound(Path("T-01.WAV"), 50, 10, start=900)]
    >>> check_whole(parts)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mnmf.errors.SessionError: T.WAV goes on in T-01.WAV, as recorders split what is too large for a file; join ...
    """
    by_name = {(sound.path.parent, sound.path.name): sound for sound in sounds}
    numbered: dict[tuple[Path, str, str, str], dict[int, Sound]] = {}
    for sound in sounds:
        if found := _PART.fullmatch(sound.path.stem):
            key = (sound.path.parent, found[1], found[2], sound.path.suffix)
            numbered.setdefault(key, {})[int(found[3])] = sound
    for (folder, base, _, suffix), parts in numbered.items():
        first = min(parts)
        row = [parts[first + n] for n in range(len(parts)) if first + n in parts]
        whole = by_name.get((folder, base + suffix))
        row = [whole, *row] if whole is not None and first == 1 else row
        if len(row) > 1 and len(row) == len(parts) + (row[0] is whole) and _go_on(row):
            names = [sound.path.name for sound in row]
            raise SessionError(
                f"{row[0].path} goes on in {names[1]}, as recorders split what is too large for a file; join the parts "
                f"of each file first, in a workstation or by {shlex.join(['sox', *names, 'joined.w64'])}"
            )


def _go_on(parts: Sequence[Sound]) -> bool:
    """Return whether each of some files seems to begin where the one before ends."""
    if len({(part.sample_rate, part.n_channels) for part in parts}) > 1:
        return False
    starts = [part.start for part in parts]
    if None not in starts and len(set(starts)) > 1:
        ends = [(part.start or 0) + part.n_samples for part in parts[:-1]]
        return all(abs((part.start or 0) - end) <= part.sample_rate // 10 for part, end in zip(parts[1:], ends))
    large = parts[0].n_samples * parts[0].n_channels >= LARGE
    return large and all(part.n_samples == parts[0].n_samples > parts[-1].n_samples for part in parts[:-1])


def _told_by(names: Sequence[str], rest: Sequence[str], others: Collection[str]) -> tuple[str, str]:
    """Return what tells some files from the rest, and a pattern that matches no other."""
    stems, patterns = [Path(name).stem for name in names], []
    label = stems[0] if len(stems) == 1 else ""
    if label:
        patterns.append(escape(names[0]))
    for begin in _beginnings(stems):
        pattern = escape(stems[0][: begin[1]]) + "*"
        patterns.append(pattern)
        label = label or (begin[0] if not any(map(_matcher(pattern), rest)) else "")
    for end in _endings(stems):
        pattern = "*" + escape(end[1]) + ".*"
        patterns.append(pattern)
        label = label or (end[0].strip(APART) if not any(map(_matcher(pattern), rest)) else "")
    suffixes = {Path(name).suffix for name in names}
    if len(suffixes) == 1:
        suffix = escape(suffixes.pop())
        patterns += [(pattern.removesuffix(".*")) + suffix for pattern in patterns if pattern.endswith("*")]
    clean = (pattern for pattern in patterns if not any(map(_matcher(pattern), (*rest, *others))))
    return label or _whole(stems), next(clean, "")


def _matcher(pattern: str) -> Callable[[str], bool]:
    return lambda name: fnmatchcase(name, pattern)


def _beginnings(stems: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the beginnings that all have in common, field by field, and where the next field begins."""
    fields = list(FIELD.finditer(stems[0]))
    for one, following in pairwise(fields):
        if not all(stem.startswith(stems[0][: following.start()]) for stem in stems):
            return
        yield stems[0][: one.end()], following.start()


def _endings(stems: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the endings that all have in common, field by field, and the same with what separates them."""
    fields = list(FIELD.finditer(stems[0]))[::-1]
    for one, before in pairwise(fields):
        if not all(stem.endswith(stems[0][before.end() :]) for stem in stems):
            return
        yield stems[0][one.start() :], stems[0][before.end() :]


def _whole(stems: Sequence[str]) -> str:
    return stems[0] if len(stems) == 1 else f"{stems[0]} and {len(stems) - 1} more"


def choice(found: Sequence[TakeFiles], place: Path, proposed: str = SEPARATE) -> SeveralTakes:
    """Return what asks which of several takes is meant, with a `proposed` way to say it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound, choice, takes
    >>> sounds = [Sound(Path(f"{take}_{name}.WAV"), n, 1) for take, n in (("T01", 42), ("T03", 730)) for name in "ab"]
    >>> print(choice(takes(sounds), Path("live")))
    live: takes here: T01 (0:42), T03 (12:10); say which: mnmf separate live/T03_*
    """
    told = ", ".join(f"{take.name} ({clock(take.seconds)})" for take in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    longest = max(found, key=lambda take: take.seconds)
    if not longest.pattern:
        return SeveralTakes(f"{place}: takes here: {told}{more}; give the files of one of them only")
    shown = quoted(place, longest.pattern, always=proposed.startswith("-"))
    alike = len({take.seconds for take in found}) == 1
    all_of_them = f", or {place / '*'} if all are one take" if alike and place != Path() else ""
    return SeveralTakes(f"{place}: takes here: {told}{more}; say which: {proposed.format(shown)}{all_of_them}")


def quoted(place: Path, pattern: str, always: bool = False) -> str:
    """Return a pattern within a folder as it is typed in a shell, `always` so that the shell does not expand it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.folders import quoted
    >>> print(quoted(Path("live"), "T03_*"), quoted(Path("live"), "T03_*", always=True))
    live/T03_* 'live/T03_*'
    >>> print(quoted(Path("our gig"), "T03_*"))
    "our gig/T03_*"
    """
    text = str((Path(escape(str(place))) if MAGIC.search(str(place)) else place) / pattern)
    if re.search(r"[\s'&();]", text) and not re.search(r'["$`]', text):
        return f'"{text}"'  # which all shells understand
    return shlex.quote(text) if always or re.search(r"[\s\"'&();$`]", text) else text


def clock(seconds: float) -> str:
    """Return a length of time in hours, minutes and seconds.

    Examples
    --------
    >>> from mnmf.folders import clock
    >>> clock(42.3), clock(730), clock(3725)
    ('0:42', '12:10', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
