"""What a run leaves behind: stems in the format of their spots, and the manifest that says how they were made.

Writer and reader of ``manifest.json`` live here together.  `mnmf.output` makes folders that appear whole or not at all,
`mnmf.audio` knows sample formats.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mnmf import audio
from mnmf._version import __version__
from mnmf.errors import OutputError, SessionError
from mnmf.files import read_json, reason
from mnmf.output import OutputFolder, check_file_names
from mnmf.separation import Separation
from mnmf.session import Session

__all__ = ["MANIFEST", "Stem", "manifest", "peak_memory_mb", "read_stems", "stem_files", "write", "write_stems"]

MANIFEST = "manifest.json"
MOST_MICS = 1024


@dataclass(frozen=True)
class Stem:
    """One entry of a manifest: a source, the file of its stem, and its microphones counted from 1."""

    name: str
    file: str
    mics: tuple[int, ...]


def stem_files(session: Session) -> list[str]:
    """Return the file name of each source's stem: its name, with the extension of its own spot's file."""
    mics = session.recording.mics
    return [name + mics[m].suffix for name, m in zip(session.sources, session.spots.references)]


def write_stems(session: Session, separation: Separation, folder: OutputFolder, inside: str = "") -> dict[str, int]:
    """Write the stems in the format of their spots, and return how many samples had to be clipped, by source.

    `inside` names a sub-folder of `folder`, as in ``"stems/"``.
    """
    clipped = {}
    for n, (name, mic) in enumerate(zip(stem_files(session), session.spots.references)):
        path = folder.path(inside + name)
        clipped[session.sources[n]] = audio.write_stem(path, separation.stems_LN[:, n], session.recording, mic)
    return {source: count for source, count in clipped.items() if count}


def manifest(
    session: Session,
    separation: Separation,
    clipped: Mapping[str, int],
    folder: Path,
    inputs: Iterable[Path] = (),
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what ``manifest.json`` records: how the stems were made, and all that is needed to make them again.

    Parameters
    ----------
    session, separation
        What was separated, and how that went.
    clipped : mapping of source to int
        What `write_stems` returned.
    folder : Path
        Where the stems are; paths in the manifest are relative to it.
    inputs : paths
        Further files that were read, such as dictionaries of notes and estimates.
    parameters : mapping, optional
        Further parameters of the run.
    """

    def shown(path: Path) -> str:
        try:
            return Path(os.path.relpath(path, folder)).as_posix()
        except ValueError:  # another drive
            return str(path.resolve())
        except OSError:  # the current folder is gone
            return str(path)

    return {
        "mnmf": __version__,
        "versions": _versions(),
        "method": separation.method.name,
        "citation": separation.method.citation,
        "parameters": {**separation.parameters, **(parameters or {})},
        "sources": _sources(session, clipped),
        "ambient_mics": [m + 1 for m in session.ambient],
        "silent_mics": [m + 1 for m in separation.levels.silent_mics],
        "take": [shown(path) for path in session.recording.paths],
        "solo_take": [shown(path) for path in session.solo_recording.paths] if session.passages else None,
        "sha256": {shown(path): digest for path, digest in sorted(_digests(session, inputs))},
        "sample_rate": session.recording.sample_rate,
        "samples": session.recording.n_samples,
        "seconds": {stage: round(seconds, 3) for stage, seconds in separation.seconds.items()},
        "peak_memory_mb": peak_memory_mb(),
    }


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a manifest as JSON."""
    try:
        path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}; free space or choose another --out") from error


def read_stems(folder: Path) -> list[Stem]:
    """Return the stems of the manifest in a folder, in its order.

    Raises
    ------
    SessionError
        There is no manifest, or it is none of ``mnmf separate``.
    """
    path, remedy = folder / MANIFEST, "give a folder that mnmf separate wrote"
    what = "not a manifest of mnmf separate"
    record = read_json(path, SessionError, remedy, what)
    sources = record.get("sources") if isinstance(record, dict) else None
    if not isinstance(sources, list):
        raise SessionError(f"{path}: {what}; {remedy}")
    if not sources:
        raise SessionError(f"{path}: names no sources; {remedy}")
    try:
        stems = [_stem(source) for source in sources]
        check_file_names(stem.name for stem in stems)
        check_file_names(stem.file for stem in stems)
    except (ValueError, KeyError, TypeError) as error:
        raise SessionError(f"{path}: {what}: {reason(error)}; {remedy}") from error
    return stems


def _stem(source: Any) -> Stem:
    """Return one entry of a manifest if every value is as `manifest` writes it."""
    name, file, mics = (source[key] for key in ("name", "file", "mics"))
    if not (isinstance(name, str) and isinstance(file, str) and isinstance(mics, list) and mics):
        raise TypeError("a source needs a name, a file and mics")
    if not all(isinstance(m, int) and not isinstance(m, bool) and 1 <= m <= MOST_MICS for m in mics):
        raise ValueError(f"the mics of {name[:80]!r} are not from 1 to {MOST_MICS}")
    return Stem(name, file, tuple(mics))


def peak_memory_mb() -> float | None:
    """Return the largest memory this process has held so far, in units of 10⁶ bytes; None where unknown (Windows)."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux's getrusage would count what the parent held when it started us.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _sources(session: Session, clipped: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": source,
            "file": file,
            "mics": [m + 1 for m in mics],
            "mic_names": [session.mic_names[m] for m in mics],
            "margin_db": None if margin_db is None or np.isinf(margin_db) else round(margin_db, 2),
            "solos": [[p.start, p.stop] for p in session.passages if p.source == source],
            "clipped_samples": clipped.get(source, 0),
        }
        for source, file, mics, margin_db in zip(
            session.sources, stem_files(session), session.spots, session.margins_db
        )
    ]


def _digests(session: Session, inputs: Iterable[Path]) -> set[tuple[Path, str]]:
    digests = {*session.recording.sha256().items(), *session.solo_recording.sha256().items()}
    for path in (*inputs, *([session.markers] if session.markers is not None else [])):
        with path.open("rb") as file:
            digests.add((path, hashlib.file_digest(file, "sha256").hexdigest()))
    return digests


def _versions() -> dict[str, str]:
    import soundfile

    packages = {name: version(name) for name in ("numpy", "scipy", "numba", "soundfile")}
    return {"python": platform.python_version(), **packages, "libsndfile": soundfile.__libsndfile_version__}
