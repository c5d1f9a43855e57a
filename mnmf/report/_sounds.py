"""What a folder of stems holds: facts of its manifest, and the take beside the stems, read in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import manifest
from mnmf.audio import Recording
from mnmf.diagnostics import Diagnostics
from mnmf.errors import MOST, MOST_RATE, ArgumentError, AudioFileError, SessionError
from mnmf.manifest import Stem

__all__ = ["REPORT", "Sounds", "Voice"]

Array = NDArray[Any]

REPORT = "report.html"
MOST_LEFT = 0.9  # of the bleed that is left in a file: with more the stem cannot be told from it
REMEDY = "separate the take anew"


@dataclass(frozen=True)
class Voice:
    """A source: its stem, how its file is read, and what the manifest says of it.

    Attributes
    ----------
    stem : Stem
    file : Recording
        The file of the stem.
    lead : int
        How many samples of the file come before the take begins.
    left : float
        How much of the bleed is left in the file, from 0 to 1.
    parted : bool
        Whether the stem without bleed can be told from what the file holds.
    facts : dict
        The entry of the manifest.
    """

    stem: Stem
    file: Recording
    lead: int
    left: float
    parted: bool
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.stem.name


@dataclass(frozen=True)
class Sounds:
    """The take at every source's own microphone, and the stems.

    Attributes
    ----------
    folder : Path
    voices : tuple of Voice
    take : Recording or None
        None where it is gone, and residuals are there.
    residuals : tuple of Recording
        Those that stand in for it.
    sample_rate, n_samples, first : int
        Of the stretch of the take that was separated, and where in the take it begins.
    record : dict
        The manifest.
    diagnostics : Diagnostics
    """

    folder: Path
    voices: tuple[Voice, ...]
    take: Recording | None
    residuals: tuple[Recording, ...]
    sample_rate: int
    n_samples: int
    first: int
    record: dict[str, Any]
    diagnostics: Diagnostics

    @classmethod
    def open(cls, folder: Path) -> Sounds:
        """Read the manifest, and the headers of the files it names.

        Raises
        ------
        SessionError
            There is no manifest, or the files are not those that it is of.
        AudioFileError
            A file is missing; the take may be, if every stem has its residual.
        """
        record, stems = manifest.read(folder), manifest.read_stems(folder)
        where = folder / manifest.MANIFEST
        try:
            diagnostics = Diagnostics.of(record)
        except ArgumentError as error:
            raise SessionError(f"{where}: {manifest.WHAT}: {error}; {manifest.REMEDY}") from error
        rate, n_samples = (record.get(name) for name in ("sample_rate", "samples"))
        first, names = record.get("first_sample", 0), record.get("take")
        counts = all(
            isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MOST for n in (rate, n_samples, first)
        )
        texts = isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)
        if not (counts and texts and n_samples and 1 <= int(rate or 0) <= MOST_RATE):
            raise SessionError(f"{where}: does not say of which take its stems are; {REMEDY}")
        assert isinstance(rate, int)
        assert isinstance(n_samples, int)
        assert isinstance(names, list)
        take = _take(folder, record, names, stems, rate, (first, n_samples))
        facts = {entry["name"]: entry for entry in record["sources"]}
        voices = tuple(_voice(folder, stem, take, rate, n_samples, facts[stem.name]) for stem in stems)
        residuals = () if take is not None else tuple(Recording.open(folder / str(stem.residual)) for stem in stems)
        for voice, rest in zip(voices, residuals):
            if (rest.n_mics, rest.n_samples) != (voice.file.n_mics, voice.file.n_samples):
                raise SessionError(f"{rest.paths[0]} is not what its manifest is of; {REMEDY}")
        return cls(folder, voices, take, residuals, rate, n_samples, first, record, diagnostics)

    def only(self, chosen: Sequence[int]) -> Sounds:
        """Return the same of some sources, by number."""
        voices = tuple(self.voices[n] for n in chosen)
        return replace(self, voices=voices, residuals=tuple(self.residuals[n] for n in chosen if self.residuals))

    def read(self, start: int, stop: int, only: int | None = None) -> tuple[Array, Array]:
        """Return what the own microphone of each source heard, and its stem without bleed, float32 (samples, N) each.

        Of one source, by number, if `only` one is wanted.  Where bleed was left in a file and can be told from the
        stem, it is taken out of it; where it cannot, the stem is as the file has it.
        """
        chosen = range(len(self.voices)) if only is None else [only]
        stems_LN = np.empty((stop - start, len(chosen)), np.float32)
        spots_LN = np.empty_like(stems_LN)
        if self.take is not None:
            mics = [self.voices[n].stem.mics[0] - 1 for n in chosen]
            spots_LN[:] = self.take.read(start, stop, mics=mics)
        for i, n in enumerate(chosen):
            voice = self.voices[n]
            places = voice.lead + start, voice.lead + stop
            stems_LN[:, i] = voice.file.read(*places)[:, 0]
            if self.take is None:
                spots_LN[:, i] = stems_LN[:, i] + self.residuals[n].read(*places)[:, 0]
            if voice.left and voice.parted:
                stems_LN[:, i] = (stems_LN[:, i] - voice.left * spots_LN[:, i]) / (1 - voice.left)
        return spots_LN, stems_LN


def _take(
    folder: Path, record: dict[str, Any], names: list[str], stems: list[Stem], rate: int, part: tuple[int, int]
) -> Recording | None:
    """Return the stretch of the take that the stems are of, or None if it is gone and not needed."""
    first, n_samples = part
    try:
        take = Recording.open([folder / name for name in names], starts=manifest.read_starts(record, len(names)))
    except AudioFileError as error:
        if all(stem.residual is not None for stem in stems):
            return None
        raise AudioFileError(f"{error} (a report also needs the take, if there are no residuals)") from error
    last = max(stem.mics[0] for stem in stems)
    if take.sample_rate != rate or first + n_samples > take.n_samples or last > take.n_mics:
        raise SessionError(f"{take.paths[0]} is not the take that {folder / manifest.MANIFEST} is of; {REMEDY}")
    return take.part(first, first + n_samples) if first or n_samples < take.n_samples else take


def _voice(folder: Path, stem: Stem, take: Recording | None, rate: int, n_samples: int, facts: dict[str, Any]) -> Voice:
    file, mic = Recording.open(folder / stem.file), stem.mics[0] - 1
    lead, length = (0, n_samples) if take is None else (take.lead(mic), take.covered(mic).n_samples)
    if (file.n_samples, file.sample_rate) != (length, rate):
        raise SessionError(f"{file.paths[0]} is not what its manifest is of; {REMEDY}")
    single = not isinstance(stem.reduction, Mapping)
    left = 10 ** (-stem.reduction / 20) if isinstance(stem.reduction, int | float) else 0.0
    return Voice(stem, file, lead, left, single and left <= MOST_LEFT, facts)
