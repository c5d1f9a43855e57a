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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import audio
from mnmf._version import __version__
from mnmf.audio import Recording
from mnmf.errors import OutputError, SessionError
from mnmf.files import read_json, reason
from mnmf.output import LONGEST_NAME, OutputFolder, check_file_names
from mnmf.rows import Rows, column
from mnmf.separation import Stems
from mnmf.session import Reduction, Session

__all__ = [
    "MANIFEST",
    "NOBODY",
    "Bleed",
    "Stem",
    "Written",
    "bleed_files",
    "digests_of",
    "manifest",
    "peak_memory_mb",
    "read",
    "read_bleed",
    "read_lowest",
    "read_nobody",
    "read_starts",
    "read_stems",
    "residual_files",
    "stem_files",
    "versions",
    "wanted_bleed",
    "write",
    "write_bleed",
    "write_stems",
]

MANIFEST = "manifest.json"
NOBODY = "nobody"  # in names of files: what is left of a microphone without all sources
MOST_MICS = 1024
MOST_LOWEST = 1000.0  # Hz
LONGEST_ENDING = ".residual.flac"
WHAT, REMEDY = "not a manifest of mnmf separate", "give a folder that mnmf separate wrote"


@dataclass(frozen=True)
class Bleed:
    """The file of what a microphone, counted from 1, heard of a source, or of nobody; with its digest."""

    mic: int
    file: str
    sha256: str | None = None


@dataclass(frozen=True)
class Stem:
    """One entry of a manifest: a source, the file of its stem, its microphones counted from 1, and its residual's file.

    With the digests of the two files, if the manifest has them, and the files of how further microphones heard it.
    Stem and residual have `channels`, which are what the first of its microphones heard.  `reduction` is by how many dB
    bleed is turned down in the stem, None where it is removed; `dial` by how many dB a project of a workstation turns
    it down.
    """

    name: str
    file: str
    mics: tuple[int, ...]
    residual: str | None = None
    sha256: str | None = None
    residual_sha256: str | None = None
    bleed: tuple[Bleed, ...] = ()
    reduction: Reduction | None = None
    dial: float | None = None
    channels: int = 1

    @property
    def heard_at(self) -> tuple[int, ...]:
        """The microphone of each channel of stem and residual, counted from 1."""
        return self.mics[: self.channels]

    @property
    def files(self) -> tuple[str, ...]:
        """The files of this source."""
        spot = (self.file,) if self.residual is None else (self.file, self.residual)
        return spot + tuple(each.file for each in self.bleed)


@dataclass(frozen=True)
class Written:
    """What is asked of the stems of a run, and what became of them, by source.

    Attributes
    ----------
    reduction : mapping of source to dB, or to a mapping of source to dB
        By how much bleed is turned down (`Session.reduction`); it is removed where none is given.
    residual : bool
        Whether what is left of each spot is written as well.
    only : sequence of str
        The sources whose stems are written; all if it is empty.
    all_mics : bool
        Whether it is written how every microphone heard every source, and what it heard of nobody.
    clipped : dict of source to int
        How many samples had to be clipped.
    sha256 : dict of file name to str
        What was written.
    dial : mapping of source to dB
        By how much a project of a workstation turns bleed down; the stems know nothing of it.
    """

    reduction: Mapping[str, Reduction] = field(default_factory=dict)
    residual: bool = False
    only: Sequence[str] = ()
    all_mics: bool = False
    clipped: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    dial: Mapping[str, float] = field(default_factory=dict)


def stem_files(session: Session) -> dict[str, str]:
    """Return the file name of each source's stem: its name, with the extension of the file that the stem is like.

    Raises
    ------
    SessionError
        A stem would have more channels than such a file can have.
    """
    return {name: name + suffix for name, suffix in zip(session.sources, _suffixes(session))}


def residual_files(session: Session) -> dict[str, str]:
    """Return the file name of what is left of each source's spot."""
    return {name: f"{name}.residual{suffix}" for name, suffix in zip(session.sources, _suffixes(session))}


def _suffixes(session: Session) -> Iterator[str]:
    for name, own in zip(session.sources, session.spots):
        mic = session.recording.mics[session.recording.pattern(own)]
        if mic.format == "FLAC" and len(own) > audio.MOST_OF_FLAC:
            raise SessionError(
                f"{name} has {len(own)} mics, and so its stem as many channels, but FLAC holds at most "
                f"{audio.MOST_OF_FLAC}; give it fewer, or convert {mic.path.name} to WAV"
            )
        yield mic.suffix


def bleed_files(session: Session, only: Sequence[str] = ()) -> dict[str, dict[int, str]]:
    """Return, by source, the file of what each microphone but its own spots heard of it; under NOBODY what is left."""
    if NOBODY in session.sources:
        raise SessionError(f"a source called {NOBODY!r} would have files like nobody.mic1.wav; give it another name")
    mics = session.recording.mics
    found: dict[str, dict[int, str]] = {}
    for name, own in zip(session.sources, session.spots):
        if not only or name in only:
            found[name] = {m: f"{name}.mic{m + 1}{mic.suffix}" for m, mic in enumerate(mics) if m not in own}
    if not only:
        found[NOBODY] = {m: f"{NOBODY}.mic{m + 1}{mic.suffix}" for m, mic in enumerate(mics)}
    check_file_names((file for files in found.values() for file in files.values()), LONGEST_NAME + len(LONGEST_ENDING))
    return found


def wanted_bleed(session: Session, written: Written) -> list[tuple[int, int]]:
    """Return what else the stems are written from, as `mnmf.separation.separate_to` takes it.

    That is each source at its further spots, and the bleed that is asked for.
    """
    sources, spots = session.sources, session.spots
    mine = [(n, own) for n, own in enumerate(spots) if not written.only or sources[n] in written.only]
    wanted = [(n, m) for n, own in mine for m in own[1:]]
    if written.all_mics:
        files = bleed_files(session, written.only)
        wanted += [(n, m) for n, name in enumerate(sources) for m in files.get(name, ())]
    for n, own in mine:
        value = written.reduction.get(sources[n])
        if isinstance(value, Mapping):
            others = [sources.index(other) for other in value]
            wanted += [(k, m) for k in others for m in own if m != spots.references[k]]
    return list(dict.fromkeys(wanted))


def write_bleed(session: Session, separation: Stems, folder: OutputFolder, written: Written, inside: str = "") -> None:
    """Write how every microphone heard every source but at its own spots, and what is left there of nobody.

    What is left may be louder than full scale; then the parts take on what its file cannot hold.
    """
    recording, files, stems = session.recording, bleed_files(session, written.only), stem_files(session)
    for m in range(recording.n_mics):
        here = {name: folder.path(inside + mics[m]) for name, mics in files.items() if m in mics}
        rest = here.pop(NOBODY, None)
        for name, path in here.items():
            clipped = audio.write_stem(path, separation.heard(name, m), recording, m, beyond="nothing")
            written.clipped[name] = written.clipped.get(name, 0) + clipped
        if rest is not None:
            spots = [
                audio.Portion(folder.path(inside + stems[name]), own.index(m), recording.lead(own) - recording.lead(m))
                for name, own in zip(session.sources, session.spots)
                if m in own
            ]
            take_L = column(separation.take.x_LM, m)
            parts: list[Path | audio.Portion] = [*spots, *here.values()]
            rest_L = audio.rest_of(take_L, parts, recording, m)
            for path in here.values():
                too_much = audio.beyond_full_scale(rest_L, recording, m)
                if too_much is None:
                    break
                _add(path, too_much, recording, m)
                rest_L = audio.rest_of(take_L, parts, recording, m)
            written.clipped[NOBODY] = written.clipped.get(NOBODY, 0) + audio.write_stem(rest, rest_L, recording, m)
        for path in [*here.values(), *([] if rest is None else [rest])]:
            written.sha256[path.name] = _sha256(path)


def _add(path: Path, x_L: Rows, like: Recording, mic: int) -> None:
    """Add sound to a file of a part, as far as it can hold it."""
    held, louder = Recording.open(path), path.with_name(f"louder.{path.name}")  # the sound may depend on the file

    def sum_of(start: int, stop: int) -> NDArray[Any]:
        return np.asarray(held.read(start, stop, np.float64)[:, 0] + x_L[start:stop])

    audio.write_stem(louder, Rows(x_L.shape, np.float64, sum_of), like, mic)
    louder.replace(path)


def write_stems(session: Session, separation: Stems, folder: OutputFolder, written: Written, inside: str = "") -> None:
    """Write the stems in the format of their spots, and note in `written` what became of them.

    `inside` names a sub-folder of `folder`, as in ``"stems/"``.
    """
    stems, rests = stem_files(session), residual_files(session)
    for source, mics in zip(session.sources, session.spots):
        if written.only and source not in written.only:
            continue
        stem, rest = stems[source], rests[source]
        reduction = written.reduction.get(source, np.inf)
        x_LS = _beside_one_another([separation.reduced(source, reduction, m) for m in mics])
        names = [stem, rest] if written.residual else [stem]
        paths = [folder.path(inside + name) for name in names]
        residual = paths[1] if written.residual else None
        exact = written.residual or written.all_mics  # then what is left has to fit, too
        take_LS = _beside_one_another([column(separation.take.x_LM, m) for m in mics]) if exact else None
        written.clipped[source] = audio.write_stem(
            paths[0], x_LS, session.recording, mics, take_L=take_LS, residual=residual
        )
        written.sha256.update({name: _sha256(path) for name, path in zip(names, paths)})
    if written.all_mics:
        write_bleed(session, separation, folder, written, inside)


def _beside_one_another(columns: Sequence[Any]) -> Rows:
    """Return columns as one array of rows, none of which is copied before it is asked for."""

    def make(start: int, stop: int, which: Sequence[int]) -> NDArray[Any]:
        return np.stack([columns[i][start:stop] for i in which], axis=1)

    return Rows((len(columns[0]), len(columns)), columns[0].dtype, make)


def manifest(
    session: Session,
    separation: Stems,
    written: Written,
    folder: Path,
    digests: Mapping[Path, str],
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what ``manifest.json`` records: how the stems were made, and all that is needed to make them again.

    Parameters
    ----------
    session, separation
        What was separated, and how that went.
    written : Written
        What was asked of the stems, and what `write_stems` made of them.
    folder : Path
        Where the stems are; paths in the manifest are relative to it.
    digests : mapping of path to str
        Those of the files that were read (`digests_of`).
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
        "versions": versions(),
        "method": separation.method.name,
        "citation": separation.method.citation,
        "parameters": {**separation.parameters, **(parameters or {})},
        "lowest_hz": separation.levels.lowest,
        "sources": _sources(session, written),
        "nobody": _bleed(session, written).get(NOBODY, []),
        "ambient_mics": [m + 1 for m in session.ambient],
        "silent_mics": [m + 1 for m in separation.levels.silent_mics],
        "mics_set_aside": [m + 1 for m in separation.take.aside],
        "alignment": None if (alignment := session.alignment()) is None else asdict(alignment),
        "take": [shown(path) for path in session.recording.paths],
        "solo_take": [shown(path) for path in session.solo_recording.paths] if session.passages else None,
        "sha256": {shown(path): digest for path, digest in sorted(digests.items())},
        "sample_rate": session.recording.sample_rate,
        "starts": list(session.recording.starts),
        "first_sample": session.recording.first,
        "samples": session.recording.n_samples,
        "seconds": {stage: round(seconds, 3) for stage, seconds in separation.seconds.items()},
        "peak_memory_mb": peak_memory_mb(),
    }


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a manifest as JSON."""
    try:
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        # Names of files in no known encoding hold what UTF-8 has no bytes for; spelled out it is read back as it was.
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}; free space or choose another --out") from error


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest in a folder.

    Raises
    ------
    SessionError
        There is none, or it is none of ``mnmf separate``.
    """
    record = read_json(folder / MANIFEST, SessionError, REMEDY, WHAT)
    if not isinstance(record, dict) or not isinstance(record.get("sources"), list):
        raise SessionError(f"{folder / MANIFEST}: {WHAT}; {REMEDY}")
    return record


def read_stems(folder: Path) -> list[Stem]:
    """Return the stems of the manifest in a folder, in its order.

    Raises
    ------
    SessionError
        There is no manifest, or it is none of ``mnmf separate``.
    """
    path, sources = folder / MANIFEST, read(folder)["sources"]
    if not sources:
        raise SessionError(f"{path}: names no sources; {REMEDY}")
    try:
        stems = [_stem(source) for source in sources]
        check_file_names(stem.name for stem in stems)
        check_file_names((file for stem in stems for file in stem.files), LONGEST_NAME + len(LONGEST_ENDING))
    except (ValueError, KeyError, TypeError) as error:
        raise SessionError(f"{path}: {WHAT}: {reason(error)}; {REMEDY}") from error
    return stems


def read_lowest(folder: Path) -> float:
    """Return the frequency in hertz above which the stems in a folder were separated; 0 if its manifest does not say.

    Raises
    ------
    SessionError
        There is no manifest, or it is none of ``mnmf separate``.
    """
    lowest = read(folder).get("lowest_hz", 0.0)
    if isinstance(lowest, bool) or not isinstance(lowest, int | float) or not 0 <= lowest <= MOST_LOWEST:
        raise SessionError(f"{folder / MANIFEST}: {WHAT}: lowest_hz is {lowest!r:.40}; {REMEDY}")
    return float(lowest)


def read_nobody(folder: Path) -> tuple[Bleed, ...]:
    """Return the files of what is left of each microphone without all sources, if they were written.

    Raises
    ------
    SessionError
        There is no manifest, or it is none of ``mnmf separate``.
    """
    try:
        return read_bleed(read(folder).get("nobody", []))
    except (ValueError, KeyError, TypeError) as error:
        raise SessionError(f"{folder / MANIFEST}: {WHAT}: {reason(error)}; {REMEDY}") from error


def _stem(source: Any) -> Stem:
    """Return one entry of a manifest if every value is as `manifest` writes it."""
    name, file, mics = (source[key] for key in ("name", "file", "mics"))
    if not (isinstance(name, str) and isinstance(file, str) and isinstance(mics, list) and mics):
        raise TypeError("a source needs a name, a file and mics")
    if not all(isinstance(m, int) and not isinstance(m, bool) and 1 <= m <= MOST_MICS for m in mics):
        raise ValueError(f"the mics of {name[:80]!r} are not from 1 to {MOST_MICS}")
    residual, sha256, residual_sha256 = (source.get(key) for key in ("residual", "sha256", "residual_sha256"))
    if not all(text is None or isinstance(text, str) for text in (residual, sha256, residual_sha256)):
        raise TypeError("a residual is named, and digests are text")
    channels = source.get("channels", 1)  # stems had but one, of the first microphone
    if isinstance(channels, bool) or not isinstance(channels, int) or not 1 <= channels <= len(mics):
        raise ValueError(f"the channels of {name[:80]!r} are not from 1 to the number of its mics")
    bleed = read_bleed(source.get("bleed", []))
    reduction, dial = source.get("reduction_db"), source.get("dial_db")
    for value in (dial, *(reduction.values() if isinstance(reduction, dict) else (reduction,))):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise ValueError(f"the reductions of {name[:80]!r} are not numbers of at least 0")
    return Stem(name, file, tuple(mics), residual, sha256, residual_sha256, bleed, reduction, dial, channels)


def read_bleed(entries: Any) -> tuple[Bleed, ...]:
    """Return the files of bleed that a manifest names, if every value is as `manifest` writes it.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is not.
    """
    if not isinstance(entries, list):
        raise TypeError("bleed is a list")
    found = [Bleed(each["mic"], each["file"], each.get("sha256")) for each in entries]
    for each in found:
        if not (isinstance(each.file, str) and (each.sha256 is None or isinstance(each.sha256, str))):
            raise TypeError("files and digests are text")
        if isinstance(each.mic, bool) or not isinstance(each.mic, int) or not 1 <= each.mic <= MOST_MICS:
            raise ValueError(f"the mic of {each.file[:80]!r} is not from 1 to {MOST_MICS}")
    check_file_names((each.file for each in found), LONGEST_NAME + len(LONGEST_ENDING))
    return tuple(found)


def read_starts(record: dict[str, Any], count: int) -> list[int] | None:
    """Return at which sample of a common clock each file of the take begins; None where that is not said."""
    starts = record.get("starts")
    if not isinstance(starts, list) or len(starts) != count:
        return None
    return starts if all(isinstance(start, int) and 0 <= start < 1 << 48 for start in starts) else None


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


def _sources(session: Session, written: Written) -> list[dict[str, Any]]:
    """Return what is known of each source; JSON has no infinity, so a reduction without end is null."""
    stems, rests = stem_files(session), residual_files(session)
    known = []
    for source, mics, margin_db in zip(session.sources, session.spots, session.margins_db):
        if written.only and source not in written.only:
            continue
        reduction = written.reduction.get(source, np.inf)
        rest = rests[source] if written.residual else None
        known.append(
            {
                "name": source,
                "file": stems[source],
                "sha256": written.sha256[stems[source]],
                "residual": rest,
                "residual_sha256": None if rest is None else written.sha256[rest],
                "bleed": _bleed(session, written).get(source, []),
                "reduction_db": None if reduction == np.inf else reduction,
                "dial_db": written.dial.get(source),
                "mics": [m + 1 for m in mics],
                "channels": len(mics),
                "mic_names": [session.mic_names[m] for m in mics],
                "margin_db": None if margin_db is None or np.isinf(margin_db) else round(margin_db, 2),
                "solos": [[p.start, p.stop] for p in session.passages if p.source == source],
                "clipped_samples": written.clipped.get(source, 0),
            }
        )
    return known


def _bleed(session: Session, written: Written) -> dict[str, list[dict[str, Any]]]:
    """Return what is known of the files of bleed, by source."""
    if not written.all_mics:
        return {}
    return {
        name: [{"mic": m + 1, "file": file, "sha256": written.sha256[file]} for m, file in mics.items()]
        for name, mics in bleed_files(session, written.only).items()
    }


def digests_of(session: Session, inputs: Iterable[Path] = ()) -> dict[Path, str]:
    """Return the SHA-256 of the files of a session, and of further ones such as dictionaries of notes and estimates."""
    more = [*inputs, *([session.markers] if session.markers is not None else [])]
    digests = session.recording.sha256()
    if session.solo_recording is not session.recording:
        digests |= session.solo_recording.sha256()
    return digests | {path: _sha256(path) for path in more}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what the samples may depend on."""
    import soundfile

    packages = {name: version(name) for name in ("numpy", "scipy", "numba", "soundfile")}
    return {"python": platform.python_version(), **packages, "libsndfile": soundfile.__libsndfile_version__}
