"""One small reader for each dataset: which files a folder holds if it is one of its pieces.

A reader looks at names only and returns None if the folder is no piece of its dataset.  To add a dataset, write its
reader and add a row to `READERS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mnmf.datasets._folders import audio_files, listed, name_of
from mnmf.errors import SessionError
from mnmf.files import read_json

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
# Bach10 spells the saxophone without its second o.
BACH10 = {"violin": "violin", "clarinet": "clarinet", "saxphone": "saxophone", "bassoon": "bassoon"}
MUSDB = ("bass", "drums", "other", "vocals")
# EnsembleSet's microphones: the first of them that is there is read.  The complete ones hold all players.
COMPLETE_MICS = ("Close", "Tree", "Mix_1", "Mix_2")
MICS = (*COMPLETE_MICS, "Mono", "Mids", "Sides", "Out", "Outr", "Amb", "Balcony", "Floor", "AtmosF", "AtmosR")


@dataclass(frozen=True)
class Parts:
    """What a folder holds of a piece: instrument and file of each stem, files of the solos, what is wrong with it."""

    stems: tuple[tuple[str, Path], ...]
    solos: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def read_urmp(folder: Path) -> Parts | None:
    """Read URMP: ``AuSep_<number>_<code>_<piece>.wav`` for each code in the name of the folder."""
    files = audio_files(folder)
    found = {int(m[1]): (m[2], files[m[0]]) for m in _matches(r"AuSep_(\d+)_([a-z]+)_\d+_.+", files)}
    words = name_of(folder).split("_")
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


def read_bach10(folder: Path) -> Parts | None:
    """Read Bach10: ``<piece>-<instrument>.wav`` for each of the four instruments, one piece in a folder."""
    files = audio_files(folder)
    parts = _matches(r"(\d\d-.+)-(violin|clarinet|saxphone|saxophone|bassoon)", files)
    titles = {m[1] for m in parts} or {name for name in files if name == name_of(folder) and re.match(r"\d\d-", name)}
    if len(titles) != 1:
        return None
    title = titles.pop()
    found = {BACH10.get(m[2], m[2]): files[m[0]] for m in parts}
    stems = [(instrument, found[instrument]) for instrument in BACH10.values() if instrument in found]
    missing = [f"{title}-{spelled}.wav" for spelled, instrument in BACH10.items() if instrument not in found]
    return Parts(tuple(stems), problems=_lacks(missing))


def read_ensembleset(folder: Path) -> Parts | None:
    """Read EnsembleSet: one folder for each microphone with a file for each player; the first of `MICS` is read."""
    stems = {}
    for mic in MICS:
        files = audio_files(folder / mic)
        stems[mic] = {name: path for name, path in files.items() if not name.lower().startswith("mix")}
    mic = next((mic for mic in MICS if stems[mic]), "")
    if not mic:
        return None
    players = {name: None for other in (mic, *COMPLETE_MICS) for name in stems[other]}
    missing = [f"{mic}/{name}.flac" for name in players if name not in stems[mic]]
    instruments = {name: re.sub(r"[_\s\d]+", " ", name).strip().lower() for name in stems[mic]}
    named = [
        ("double bass" if instruments[name] == "bass" else instruments[name], path) for name, path in stems[mic].items()
    ]
    return Parts(tuple(named), problems=_lacks(missing))


def read_musdb(folder: Path) -> Parts | None:
    """Read MUSDB18-HQ: ``bass.wav``, ``drums.wav``, ``other.wav`` and ``vocals.wav``."""
    files = audio_files(folder)
    if len(files.keys() & {*MUSDB, "mixture"}) < 2:
        return None
    stems = tuple((name, files[name]) for name in MUSDB if name in files)
    return Parts(stems, problems=_lacks(f"{name}.wav" for name in MUSDB if name not in files))


def read_own(folder: Path) -> Parts | None:
    """Read one's own piece: ``stems/<number>_<instrument>.flac``, and perhaps ``solos`` with the same names.

    A ``meta.json`` whose ``parts`` name files (``{"parts": [{"stem": "stems/1_violin.flac"}]}``) says which files there
    must be.
    """
    if not os.path.isdir(folder / "stems"):
        return None
    stems, solos = audio_files(folder / "stems"), audio_files(folder / "solos")
    problems, missing = [], [] if stems else ["stems/*.flac"]
    if solos:
        missing += [f"solos/{path.name}" for name, path in stems.items() if name not in solos]
    if (folder / "meta.json").exists():
        try:
            parts = read_json(folder / "meta.json", SessionError, "repair it").get("parts", [])
            promised = [part[kind] for part in parts for kind in ("stem", "solo") if kind in part]
            missing += [name for name in promised if not (folder / name).exists()]
        except (OSError, ValueError, TypeError, AttributeError) as error:  # a SessionError is a ValueError
            problems.append(f"meta.json cannot be read ({error})")
    named = tuple((re.sub(r"^\d+[_\s-]+", "", name).replace("_", " "), path) for name, path in stems.items())
    matching = tuple(solos[name] for name in stems if name in solos)
    return Parts(named, matching, (*_lacks(missing), *problems))


READERS: dict[str, Callable[[Path], Parts | None]] = {
    "URMP": read_urmp,
    "Bach10": read_bach10,
    "EnsembleSet": read_ensembleset,
    "MUSDB18-HQ": read_musdb,
    "own": read_own,
}

DATASETS: dict[str, str] = {
    "URMP": "01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav",
    "Bach10": "01-AchGottundHerr/01-AchGottundHerr-violin.wav",
    "EnsembleSet": "MiseroPargoletto/Close/Violin_1.flac",
    "MUSDB18-HQ": "train/A Classic Education - NightOwl/vocals.wav",
    "own": "piece/stems/1_violin.flac",
}
"""The datasets that can be read, and where a file of each lies."""


def parts_of(folder: Path) -> tuple[str, Parts] | None:
    """Return the dataset that a folder holds a piece of, and its parts; None if it holds none."""
    for dataset, read in READERS.items():
        parts = read(folder)
        if parts is not None:
            return dataset, parts
    return None


def _lacks(missing: Iterable[str]) -> tuple[str, ...]:
    names = list(dict.fromkeys(missing))
    return (f"lacks {listed(names)}",) if names else ()


def _matches(pattern: str, names: Iterable[str]) -> list[re.Match[str]]:
    return [match for name in names if (match := re.fullmatch(pattern, name))]
