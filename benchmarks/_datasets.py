"""Pieces to simulate with: the stems of multitrack datasets in the folders that their archives unpack to.

`pieces` recognises them by what it finds, up to two folders down, so it takes the dataset's folder or the one above.

| dataset | one piece | names of the players |
|---|---|---|
| URMP (Li et al. 2019) | ``01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav`` | the codes' instruments |
| Bach10 v1.1 (Duan and Pardo 2011) | ``01-AchGottundHerr/01-AchGottundHerr-violin.wav`` | as in the files |
| EnsembleSet (Sarkar et al. 2022) | ``MiseroPargoletto/Close/Violin_1.flac``, one folder a mic | as in the files |
| MUSDB18-HQ (Rafii et al. 2019) | ``train/A Classic Education - NightOwl/vocals.wav`` | the four stems |
| one's own | ``piece/stems/1_violin.flac``, and maybe ``solos/1_violin.flac`` and ``meta.json`` | as in the files |

Wherever a file is .wav there, .flac will do, and the other way round.  Takes that are ready mixtures with known truth
are read by `_cases.folder_cases`.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
import soundfile

from mnmf import data
from mnmf.errors import check_number

DEPTH = 2  # a piece lies at most so many folders below the one given
SHOWN = 5  # names or problems spelled out in a message
EMBEDDED, EMBEDDED_WORK = "quartet", "q2_mozart_k458_iii"  # the embedded quartet is an excerpt of that piece
HOP = 0.1  # seconds of the levels by which passages are chosen
SHORTEST_SOLO = 1.0  # seconds; a shorter borrowed one says too little of an instrument

TAKE = "take/mix.flac, reference.flac, solo.flac, solo.txt"

Found = TypeVar("Found")

URMP = {
    "vn": "violin",
    "va": "viola",
    "vc": "cello",
    "db": "double bass",
    "fl": "flute",
    "ob": "oboe",
    "cl": "clarinet",
    "sax": "saxophone",
    "bn": "bassoon",
    "tpt": "trumpet",
    "hn": "horn",
    "tbn": "trombone",
    "tba": "tuba",
}
BACH10 = {"violin": "violin", "clarinet": "clarinet", "saxphone": "saxophone", "bassoon": "bassoon"}  # spelled so
MUSDB = ("bass", "drums", "other", "vocals")
# EnsembleSet's microphones: the first that is there is read, the close one if possible; these four hold all players.
COMPLETE_MICS = ("Close", "Tree", "Mix_1", "Mix_2")
MICS = (*COMPLETE_MICS, "Mono", "Mids", "Sides", "Out", "Outr", "Amb", "Balcony", "Floor", "AtmosF", "AtmosR")


@dataclass(frozen=True)
class Piece:
    """Stems that play together and, where there are any, a solo of each player; read when first asked for.

    All players are mono: of stereo files, the mean of both channels.  `names` are unique ("violin1", "violin2").
    `seconds` is the length of the stems, where that matters.
    """

    name: str
    dataset: str
    sample_rate: int
    names: tuple[str, ...]
    read: Callable[[], tuple[np.ndarray, np.ndarray | None]] = field(repr=False)
    seconds: float = np.inf
    has_solos: bool = True

    @property
    def stems_LN(self) -> np.ndarray:
        return self.read()[0]

    @property
    def solos_LN(self) -> np.ndarray | None:
        return self.read()[1]


@dataclass(frozen=True)
class Parts:
    """What a folder holds of a piece: instrument and file of each stem, files of the solos, what is wrong with it."""

    stems: tuple[tuple[str, Path], ...]
    solos: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """Which part of a piece is wanted; see `pieces`."""

    seconds: float | None
    offset: float | None
    solo_seconds: float | None
    borrow_solos: bool


def quartet() -> Piece:
    """The embedded quartet, all of it."""
    embedded = data.quartet()
    audio = embedded.stems_LN, embedded.solos_LN
    return Piece(EMBEDDED, "embedded", embedded.sample_rate, tuple(embedded.names), lambda: audio)


def work(name: str) -> str:
    """Return which piece an excerpt, "NAME at 5 s", is of: margins are over pieces, for two of one tell less."""
    name = name.partition(" at ")[0]
    return EMBEDDED_WORK if name == EMBEDDED else name


def pieces(
    folder: Path | str,
    *,
    seconds: float | None = None,
    offset: float | None = 0.0,
    solo_seconds: float | None = None,
    borrow_solos: bool = False,
) -> list[Piece]:
    """Find the pieces in a folder; only the headers of their files are read at once.

    Parameters
    ----------
    folder : path
        Of a dataset in the table above, or of several.
    seconds : float, optional
        Length of the excerpt; what is there of a shorter piece, all if not given.
    offset : float or None
        Where the excerpt begins, in seconds; earlier where the piece would end within it.  None: where all
        play most, that is where the weakest stem, beside its own loudest stretch of that length, is strongest.
    solo_seconds : float, optional
        Length of the solos.
    borrow_solos : bool
        Where there are no solos, take the loudest stretch of each stem outside the excerpt for one.

    Raises
    ------
    SystemExit
        The folder holds no dataset, or a piece is incomplete or unreadable; the message says what was expected and
        what was found, and names the pieces.
    """
    root = Path(folder).expanduser()
    if seconds is not None:
        check_number("seconds", seconds, HOP, np.inf, " s")
    if solo_seconds is not None:
        check_number("solo_seconds", solo_seconds, HOP, np.inf, " s")
    if offset is not None:
        check_number("offset", offset, 0, np.inf, " s")
    check_folder(root)
    found = [(path, *recognised) for path, recognised in walk(root, _recognise)]
    if not found:
        nothing_found(root)
    cut = Cut(seconds, offset, solo_seconds, borrow_solos)
    alike = Counter(path.name for path, _, _ in found)
    opened, problems = [], []
    for path, dataset, parts in found:
        name = _name(path) if alike[path.name] == 1 else path.relative_to(root).as_posix()
        wrong = list(parts.problems)
        stems = tuple(stem for _, stem in parts.stems)
        headers = {file: _header(file, wrong) for file in (*stems, *parts.solos)}
        rates = {header.samplerate for header in headers.values() if header}
        if len(rates) > 1:
            wrong.append(f"its files have different sample rates: {', '.join(f'{rate} Hz' for rate in sorted(rates))}")
        if wrong:
            problems.append(f"{dataset} piece {name}: {'; '.join(wrong)}")
        else:
            names = numbered([instrument for instrument, _ in parts.stems])
            length = min(headers[stem].duration for stem in stems)
            length = length if seconds is None else min(length, seconds)
            read = partial(_read, path, stems, parts.solos, cut)
            has_solos = borrow_solos or bool(parts.solos)
            opened.append(Piece(name, dataset, rates.pop(), names, read, length, has_solos))
    if problems:
        complain(f"{root}: {len(problems)} of {len(found)} pieces cannot be used; complete or move them", problems)
    return opened


def fitting(folder: Path, found: Sequence[Piece], players: int, seconds: float = 0.0) -> list[Piece]:
    """Return the pieces with that many players or more; there must be one, and none may be too short."""
    enough = [piece for piece in found if len(piece.names) >= players]
    if not enough:
        most = max(len(piece.names) for piece in found)
        raise SystemExit(f"{folder}: none of {len(found)} pieces has {players} players; the most are {most}")
    short = [f"{piece.name}: {piece.seconds:.1f} s" for piece in enough if piece.seconds < seconds]
    if short:
        wanted = f"shorter than the excerpt of {seconds:g} s"
        complain(f"{folder}: {len(short)} of {len(enough)} pieces are {wanted}; move them", short)
    return enough


def free(folder: Path, names: Iterable[str], embedded: Iterable[str]) -> None:
    """Refuse names that what is embedded has, too: one would replace the other."""
    twice = sorted(set(names) & set(embedded))
    if twice:
        raise SystemExit(f"{folder}: {listed(twice)} is the name of what is embedded; rename the folder")


def numbered(instruments: Sequence[str]) -> tuple[str, ...]:
    """Tell players of the same instrument apart: violin1, violin2."""
    count, seen = Counter(instruments), Counter()
    names = []
    for instrument in instruments:
        seen[instrument] += 1
        names.append(f"{instrument}{seen[instrument]}" if count[instrument] > 1 else instrument)
    return tuple(names)


# --- layouts: what a folder holds if it is a piece of that dataset, else None


def _urmp(folder: Path) -> Parts | None:
    files = _audio_files(folder)
    found = {int(m[1]): (m[2], files[m[0]]) for m in _matches(r"AuSep_(\d+)_([a-z]+)_\d+_.+", files)}
    words = _name(folder).split("_")
    n_codes = next((k for k, word in enumerate(reversed(words)) if word not in URMP), 0)
    codes, title = words[len(words) - n_codes :], "_".join(words[: len(words) - n_codes])
    if not found and not (codes and _matches(r"AuMix_\d+_.+", files)):
        return None
    missing = [
        f"AuSep_{k}_{codes[k - 1]}_{title}.wav" if k <= len(codes) else f"AuSep_{k}_*.wav"
        for k in range(1, max(len(codes), *found, 0) + 1)
        if k not in found
    ]
    stems = [(URMP.get(code, code), path) for _, (code, path) in sorted(found.items())]
    return Parts(tuple(stems), problems=_lacks(missing))


def _bach10(folder: Path) -> Parts | None:
    files = _audio_files(folder)
    parts = _matches(r"(\d\d-.+)-(violin|clarinet|saxphone|saxophone|bassoon)", files)
    titles = {m[1] for m in parts} or {name for name in files if name == _name(folder) and re.match(r"\d\d-", name)}
    if len(titles) != 1:
        return None
    title = titles.pop()
    found = {BACH10.get(m[2], m[2]): files[m[0]] for m in parts}
    stems = [(instrument, found[instrument]) for instrument in BACH10.values() if instrument in found]
    missing = [f"{title}-{spelled}.wav" for spelled, instrument in BACH10.items() if instrument not in found]
    return Parts(tuple(stems), problems=_lacks(missing))


def _ensembleset(folder: Path) -> Parts | None:
    stems = {}
    for mic in MICS:
        files = _audio_files(folder / mic)
        stems[mic] = {name: path for name, path in files.items() if not name.lower().startswith("mix")}
    mic = next((mic for mic in MICS if stems[mic]), None)
    if mic is None:
        return None
    players = {name: None for other in (mic, *COMPLETE_MICS) for name in stems[other]}
    missing = [f"{mic}/{name}.flac" for name in players if name not in stems[mic]]
    instruments = {name: re.sub(r"[_\s\d]+", " ", name).strip().lower() for name in stems[mic]}
    named = [
        ("double bass" if instruments[name] == "bass" else instruments[name], path) for name, path in stems[mic].items()
    ]
    return Parts(tuple(named), problems=_lacks(missing))


def _musdb(folder: Path) -> Parts | None:
    files = _audio_files(folder)
    if len(files.keys() & {*MUSDB, "mixture"}) < 2:
        return None
    stems = tuple((name, files[name]) for name in MUSDB if name in files)
    return Parts(stems, problems=_lacks(f"{name}.wav" for name in MUSDB if name not in files))


def _own(folder: Path) -> Parts | None:
    if not os.path.isdir(folder / "stems"):
        return None
    stems, solos = _audio_files(folder / "stems"), _audio_files(folder / "solos")
    problems, missing = [], [] if stems else ["stems/*.flac"]
    if solos:
        missing += [f"solos/{path.name}" for name, path in stems.items() if name not in solos]
    if (folder / "meta.json").exists():
        try:
            parts = json.loads((folder / "meta.json").read_text("utf-8")).get("parts", [])
            promised = [part[kind] for part in parts for kind in ("stem", "solo") if kind in part]
            missing += [name for name in promised if not (folder / name).exists()]
        except (OSError, ValueError, TypeError, AttributeError) as error:
            problems.append(f"meta.json cannot be read ({error})")
    named = tuple((re.sub(r"^\d+[_\s-]+", "", name).replace("_", " "), path) for name, path in stems.items())
    beside = tuple(solos[name] for name in stems if name in solos)
    return Parts(named, beside, (*_lacks(missing), *problems))


LAYOUTS: dict[str, tuple[str, Callable[[Path], Parts | None]]] = {
    "URMP": ("Dataset/01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav, AuSep_2_vc_01_Jupiter.wav …", _urmp),
    "Bach10": ("Bach10_v1.1/01-AchGottundHerr/01-AchGottundHerr-violin.wav, …-clarinet.wav …", _bach10),
    "EnsembleSet": ("BBCSO_Ensembles/MiseroPargoletto/Close/Violin_1.flac, Cello.flac …", _ensembleset),
    "MUSDB18-HQ": ("train/A Classic Education - NightOwl/bass.wav, drums.wav, other.wav, vocals.wav", _musdb),
    "own": ("piece/stems/1_violin.flac, 2_cello.flac …, and maybe piece/solos with the same names", _own),
}


def _recognise(folder: Path) -> tuple[str, Parts] | None:
    for dataset, (_, parts_of) in LAYOUTS.items():
        parts = parts_of(folder)
        if parts is not None:
            return dataset, parts
    return None


def _lacks(missing: Iterable[str]) -> tuple[str, ...]:
    names = list(dict.fromkeys(missing))
    return (f"lacks {listed(names)}",) if names else ()


def _matches(pattern: str, names: Iterable[str]) -> list[re.Match[str]]:
    return [match for name in names if (match := re.fullmatch(pattern, name))]


# --- folders and messages


def walk(root: Path, look: Callable[[Path], Found | None]) -> Iterator[tuple[Path, Found]]:
    """Look into a folder and those below it, in order, but not below one that was found to be something."""
    level = [root]
    for _ in range(DEPTH + 1):
        below = []
        for folder in level:
            found = look(folder)
            if found is None:
                below += [path for path in _entries(folder) if os.path.isdir(path)]
            else:
                yield folder, found
        level = below


def has_pieces(folder: Path) -> bool:
    """Say whether there is any piece, be it complete or not."""
    return any(True for _ in walk(folder, _recognise))


def is_case(folder: Path) -> bool | None:
    """Say whether a folder is a take with known truth (None: not, for `walk`)."""
    return os.path.exists(folder / "mix.flac") or None


def check_folder(folder: Path) -> None:
    if folder.is_file():
        raise SystemExit(f"{folder}: expected a folder, found a file; unpack it if it is an archive")
    if not folder.is_dir():
        raise SystemExit(f"{folder}: no such folder")


def listed(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def contents(folder: Path) -> str:
    """Say what is in a folder, for a message."""
    entries = _entries(folder)
    folders = [f"{path.name}/" for path in entries if os.path.isdir(path)]
    files = [path.name for path in entries if not os.path.isdir(path)]
    return "; ".join(listed(names) for names in (folders, files) if names) or "nothing"


def complain(message: str, lines: Sequence[str]) -> NoReturn:
    rest = len(lines) - SHOWN
    raise SystemExit("\n  ".join([message, *lines[:SHOWN], *([f"and {rest} more"] if rest > 0 else [])]))


def nothing_found(root: Path, takes: bool = False) -> NoReturn:
    """Say what was expected and what is there; `takes`: they would have done, too."""
    expected = "".join(f"\n    {dataset}: {example}" for dataset, (example, _) in LAYOUTS.items())
    expected += f"\n    ready takes: {TAKE}" if takes else ""
    names = [path.name for folder in (root, *_entries(root)) for path in _entries(folder)]
    hint = ""
    if any(True for _ in walk(root, is_case)):
        hint = "; mix.flac and reference.flac are ready takes, which benchmarks/methods.py reads"
    elif any(name.endswith(".stem.mp4") for name in names):
        hint = "; .stem.mp4 is MUSDB18, of which only the HQ version (.wav) can be read"
    elif any(name.endswith((".zip", ".tar", ".gz", ".7z", ".rar")) for name in names):
        hint = "; unpack the archives first"
    what = "neither pieces nor takes" if takes else "no pieces"
    message = f"{root}: {what} in it or up to {DEPTH} folders below\n  expected one of"
    raise SystemExit(f"{message}{expected}\n  found {contents(root)}{hint}")


def _name(folder: Path) -> str:
    return folder.name or folder.resolve().name  # "." has none


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, hidden entries left out, numbers in counting order."""
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # no such folder, or not ours to see
        return []
    return sorted(entries, key=lambda path: [int(s) if s.isdecimal() else s for s in re.split(r"(\d+)", path.name)])


def _audio_files(folder: Path) -> dict[str, Path]:
    """Audio files by their names without extension."""
    return {path.stem: path for path in _entries(folder) if path.suffix.lower() in (".wav", ".flac")}


# --- audio


def _header(path: Path, problems: list[str]) -> Any:
    """Return what soundfile tells of a file, or say what is wrong."""
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        problems.append(f"{path.name} cannot be read ({error})")
        return None
    if info.frames == 0:
        problems.append(f"{path.name} is empty")
    return info


@lru_cache(maxsize=4)  # enough for a take of several pieces, little enough for a large dataset
def _read(
    folder: Path, stems: tuple[Path, ...], solos: tuple[Path, ...], cut: Cut
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the excerpt (L, N) and the solos (L', N) or None, read-only; stems end with the shortest one."""
    rate = soundfile.info(stems[0]).samplerate
    length = min(soundfile.info(path).frames for path in stems)
    count = length if cut.seconds is None else min(length, round(cut.seconds * rate))
    choose = cut.offset is None or (cut.borrow_solos and not solos)
    power_TN = np.stack([_power(folder, path, rate, length) for path in stems], axis=1) if choose else None
    if cut.offset is None:
        start = _busiest(power_TN, rate, count, 0, length)
    else:
        start = min(round(cut.offset * rate), length - count)
    stems_LN = _stack(folder, stems, [start] * len(stems), count)
    if solos:
        alone = min(soundfile.info(path).frames for path in solos)
        alone = alone if cut.solo_seconds is None else min(alone, round(cut.solo_seconds * rate))
        return stems_LN, _stack(folder, solos, [0] * len(solos), alone)
    if not cut.borrow_solos:
        return stems_LN, None
    first, last = max((0, start), (start + count, length), key=lambda side: side[1] - side[0])
    alone = last - first if cut.solo_seconds is None else min(last - first, round(cut.solo_seconds * rate))
    if alone < SHORTEST_SOLO * rate:
        raise SystemExit(
            f"{folder}: {length / rate:.1f} s leave no {SHORTEST_SOLO:g} s for solos beside an excerpt of "
            f"{count / rate:.1f} s; ask for a shorter one"
        )
    starts = [_busiest(power_T[:, None], rate, alone, first, last) for power_T in power_TN.T]
    return stems_LN, _stack(folder, stems, starts, alone)


def _power(folder: Path, path: Path, rate: int, length: int) -> np.ndarray:
    """Mean power of every HOP seconds of a stem."""
    hop = _hop(rate)
    try:
        blocks = [np.mean(block**2) for block in soundfile.blocks(path, hop, frames=length, always_2d=True)]
    except (soundfile.LibsndfileError, OSError) as error:
        raise SystemExit(f"{folder}: {path.name} cannot be read ({error})") from error
    return np.array(blocks)


def _busiest(power_TN: np.ndarray, rate: int, count: int, first: int, last: int) -> int:
    """Return the start of the `count` samples between two in which the weakest is strongest, all beside their best."""
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


def _stack(folder: Path, paths: Sequence[Path], starts: Sequence[int], count: int) -> np.ndarray:
    mono = [_mono(folder, path, start, start + count) for path, start in zip(paths, starts)]
    x_LN = np.stack(mono, axis=1)
    x_LN.flags.writeable = False  # the cache hands it out again
    return x_LN


def _mono(folder: Path, path: Path, start: int, stop: int) -> np.ndarray:
    try:
        x_LM, _ = soundfile.read(path, start=start, stop=stop, always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise SystemExit(f"{folder}: {path.name} cannot be read ({error})") from error
    if len(x_LM) < stop - start or not np.isfinite(x_LM).all():
        raise SystemExit(f"{folder}: {path.name} is damaged; get it anew")
    return x_LM.mean(axis=1)
