"""Folders as recorders leave them: which files a pattern means, which of them make a take, and what their names say.

Most of it are functions of names and lengths.  Only `chosen` and what it calls look at a disk, and they open no audio:
who calls says how to measure a file.  `mnmf.session` opens what is chosen here.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from mnmf.errors import MnmfError, SessionError
from mnmf.files import check_path, read_json

__all__ = [
    "SeveralTakes",
    "Sound",
    "TakeFiles",
    "audio_in",
    "choice",
    "chosen",
    "clock",
    "distinct",
    "is_pattern",
    "is_room",
    "matches",
    "name_mics",
    "natural",
    "quoted",
    "takes",
    "texts_in",
    "tracked",
]

AnyPath = str | os.PathLike[str]

SESSION = "session.toml"
SUFFIXES = (".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".aif", ".aiff", ".aifc", ".caf", ".au")
TEXTS = (".txt", ".csv", ".tsv", ".rpp")  # of files that may hold markers
# Of what lies beside audio under the same name, and so is given with it by a shell that expands a pattern.
BESIDE = (*TEXTS, ".pdf", ".jpg", ".jpeg", ".png", ".xml", ".json", ".md", ".reapeaks", ".asd", ".pkf", ".pek", ".sfk")
SEPARATE = "mnmf separate {}"  # what is proposed if there are several takes
MOST_ENTRIES = 100_000  # of folders, that are looked at for one pattern
MOST_FILES = 4096
MOST_TAKES = 64  # in a folder, that are told apart by more than one of their files
MOST_TEXTS, TEXT_BYTES = 20, 1_000_000  # that are worth a look, for a line that is only a hint
MOST_LOOKED = 100  # of what is in a folder without audio, that are looked into
SHOWN = 8  # takes that a message spells out
LONGEST_TRACK = 100  # characters of a track's name

_MAGIC = re.compile(r"[*?\[]")
_FIELD = re.compile(r"[^\W_]+")  # what stands between spaces, hyphens and the like
_APART = " \t_-.,;#"
_TAKE = re.compile(r"(?<![^\W\d_])(?:take|tk|t)[ _.-]?(\d{1,4})(?![^\W_])", re.IGNORECASE)
# What a recorder calls a track of which it knows nothing.
_PLAIN = re.compile(r"(?:tr|trk|track|ch|chan|channel|in|input|mic|audio)?[ _.-]?\d*", re.IGNORECASE)
_SIDES = frozenset("lrcms")  # of a pair: no names by themselves
_WORD = re.compile(r"[A-Z]+(?![a-z])|[^\W\d_][a-z]*|[^\W\d_]+")

# Words in the names of mics that are nobody's spot, and words that may stand beside them.
_ROOMS = frozenset(
    re.findall(
        r"\w+",
        """main mains room rooms hall amb ambi ambience ambient ambiance audience crowd ortf decca tree outrigger
        outriggers surround surrounds raum saal haupt hauptmikrofon publikum spare unused empty mix slate talkback""",
    )
)
_BESIDE = _ROOMS | frozenset(
    re.findall(
        r"\w+",
        """l r c m s ls rs left right centre center mid side front rear back near far high low wide ab xy ms pair
        mic mics stereo array""",
    )
)


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


# Names


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
    fields = [list(_FIELD.finditer(name)) for name in names]
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
    name = name.lstrip(_APART + ")]") if front else name
    return name.rstrip(_APART + "([") if back else name


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
    words = [word.casefold() for word in _WORD.findall(name)]
    return any(word in _ROOMS for word in words) and all(word in _BESIDE for word in words)


# Takes


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
        label = label or (end[0].strip(_APART) if not any(map(_matcher(pattern), rest)) else "")
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
    fields = list(_FIELD.finditer(stems[0]))
    for one, following in pairwise(fields):
        if not all(stem.startswith(stems[0][: following.start()]) for stem in stems):
            return
        yield stems[0][: one.end()], following.start()


def _endings(stems: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the endings that all have in common, field by field, and the same with what separates them."""
    fields = list(_FIELD.finditer(stems[0]))[::-1]
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
    text = str((Path(escape(str(place))) if _MAGIC.search(str(place)) else place) / pattern)
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


# Disks


def chosen(
    given: Sequence[AnyPath],
    measure: Callable[[Path], Sound],
    leaving: Collection[Path] = (),
    proposed: str = SEPARATE,
) -> list[Path]:
    """Return the files that are meant by names of files, patterns and folders.

    What is no audio by its name is left out, unless nothing else is given.

    Parameters
    ----------
    given : sequence of paths
        Files stay in their order; those of a pattern or a folder are in that of their names, with 2 before 10.
    measure : callable
        Returns what the header of a file says.
    leaving : files, optional
        What belongs to another take, and in a folder is left out.
    proposed : str
        How to say which of several takes is meant, with ``{}`` for its files.

    Raises
    ------
    SessionError
        A pattern matches nothing, or a folder holds no audio, or several takes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import Sound, chosen
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("T03_Vln.WAV", "T03_Vc.WAV", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in chosen([folder], lambda path: Sound(path, 10, 1))]
    ['T03_Vc.WAV', 'T03_Vln.WAV']
    """
    paths: list[Path] = []
    for each in given:
        path = check_path(each, "an audio file")
        if os.path.isdir(path):
            paths += _only_take(path, measure, leaving, proposed)
        elif is_pattern(path):
            paths += _audible(path, matches(path))
        else:
            paths.append(path)
    return [path for path in paths if path.suffix.lower() not in BESIDE] or paths


def _only_take(folder: Path, measure: Callable[[Path], Sound], leaving: Collection[Path], proposed: str) -> list[Path]:
    listed = audio_in(folder)
    others = {path.absolute() for path in leaving}
    mine = [path for path in listed if path.absolute() not in others]
    if not mine:
        stems, inner = _stems_in(folder) & names_in(folder), _with_audio(folder)
        kept = "only the solo take" if listed else "only stems of an earlier run" if stems else "no audio"
        within = f", but its folders do: {', '.join(inner)}" if inner else ""
        raise SessionError(
            f"{folder}: holds {kept}{within}; give a folder with WAV, FLAC, AIFF, CAF, W64 or RF64 files"
        )
    if len(mine) == 1:
        return mine
    found = takes([measure(path) for path in mine], names_in(folder) - {path.name for path in mine})
    if len(found) > 1:
        raise choice(found, folder, proposed)
    return found[0].paths


def _with_audio(folder: Path) -> list[str]:
    """Return the first folders in a folder that hold audio."""
    found = []
    with suppress(SessionError):
        for name in sorted(names_in(folder), key=natural)[:MOST_LOOKED]:
            if os.path.isdir(folder / name) and audio_in(folder / name):
                found.append(name)
    return found[:SHOWN]


def _audible(pattern: Path, paths: Sequence[Path]) -> list[Path]:
    kept = [path for path in paths if path.suffix.lower() in SUFFIXES and not os.path.isdir(path)]
    if not kept:
        raise SessionError(f"{pattern}: matches {'no audio' if paths else 'nothing'}; check the path")
    return kept


def audio_in(folder: Path) -> list[Path]:
    """Return the audio files in a folder by their names, with 2 before 10.

    Hidden files are left out, as macOS puts one beside every file of other disks, and so are stems of ours.

    Raises
    ------
    SessionError
        The folder cannot be read, or has more than 4,096 of them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import audio_in
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("mic10.wav", "mic2.wav", "._mic2.wav", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in audio_in(Path(folder))]
    ['mic2.wav', 'mic10.wav']
    """
    stems = _stems_in(folder)
    found = [folder / name for name in names_in(folder) if Path(name).suffix.lower() in SUFFIXES and name not in stems]
    found = [path for path in found if os.path.isfile(path)]
    if len(found) > MOST_FILES:
        raise SessionError(f"{folder}: has more than {MOST_FILES} audio files; give those of the take")
    return sorted(found, key=lambda path: natural(path.name))


def texts_in(folder: Path) -> list[Path]:
    """Return the text files in a folder that may hold markers, by their names; at most 20, and none that is large.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import texts_in
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("T02.txt", "T02.WAV"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in texts_in(Path(folder))]
    ['T02.txt']
    """
    with suppress(SessionError):
        named = sorted((n for n in names_in(folder) if Path(n).suffix.lower() in TEXTS), key=natural)
        small = (folder / name for name in named if _size(folder / name) <= TEXT_BYTES)
        return [path for _, path in zip(range(MOST_TEXTS), small)]
    return []


def names_in(folder: Path) -> set[str]:
    """Return what is in a folder and not hidden.

    Raises
    ------
    SessionError
        It cannot be read, or holds more than 100,000 files.
    """
    found: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    found.add(entry.name)
                if len(found) > MOST_ENTRIES:
                    raise SessionError(f"{folder}: holds more than {MOST_ENTRIES} files; give those of the take")
    except (OSError, ValueError) as error:
        if isinstance(error, MnmfError):
            raise
        why = getattr(error, "strerror", None) or str(error)
        raise SessionError(f"{folder}: cannot be read: {why}; check the path") from error
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if os.path.isfile(path) else TEXT_BYTES + 1
    except OSError:
        return TEXT_BYTES + 1


def _stems_in(folder: Path) -> set[str]:
    """Return the files that a manifest in a folder names as results."""
    found: set[str] = set()
    manifest = folder / "manifest.json"
    if not os.path.isfile(manifest):
        return found
    with suppress(MnmfError):
        waiting = [read_json(manifest, SessionError, "")]
        while waiting:
            each = waiting.pop()
            inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            waiting += [value for value in inner if isinstance(value, dict | list)]
            if isinstance(each, dict):
                found |= {name for key in ("file", "residual") if isinstance(name := each.get(key), str)}
    return found


def is_pattern(path: AnyPath) -> bool:
    """Return whether a path is no file but may match some: it holds ``*``, ``?`` or ``[``.

    Examples
    --------
    >>> from mnmf.folders import is_pattern
    >>> is_pattern("take/T03_*.WAV"), is_pattern("take/T03_Vln1.WAV")
    (True, False)
    """
    return bool(_MAGIC.search(os.fspath(path))) and not os.path.lexists(path)


def matches(pattern: Path) -> list[Path]:
    """Return what a pattern matches, sorted with 2 before 10; capitals matter only if something matches with them.

    ``*``, ``?`` and ``[…]`` stand for letters within one name, as in a shell; hidden files are matched by a dot only.

    Raises
    ------
    SessionError
        A folder on the way cannot be read, or the pattern is so wide that more than 100,000 names have to be looked at.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf.folders import matches
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("T03_10.WAV", "T03_2.WAV", "T02_2.WAV", "._T03_2.WAV"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in matches(Path(folder, "t03_*"))]
    ['T03_2.WAV', 'T03_10.WAV']
    """
    found = _matching(pattern, str) or _matching(pattern, str.casefold)
    return sorted(found, key=lambda path: [natural(part) for part in path.parts])


def _matching(pattern: Path, fold: Callable[[str], str]) -> list[Path]:
    parts = list(pattern.parts)
    places = [Path(parts.pop(0))] if pattern.anchor else [Path()]
    seen = 0
    for part in parts:
        following: list[Path] = []
        for place in places:
            if not _MAGIC.search(part) or os.path.lexists(place / part):
                following.append(place / part)
                continue
            if not os.path.isdir(place):
                continue
            names = names_in(place)
            seen += len(names)
            if seen > MOST_ENTRIES:
                raise SessionError(f"{pattern}: would match among more than {MOST_ENTRIES} files; be more precise")
            following += [place / name for name in names if fnmatchcase(fold(name), fold(part))]
        places = following
    return [place for place in places if os.path.lexists(place)]
