"""Bases from isolated notes: a dictionary with the spectrum of every note that an instrument plays.

P. Cabañas-Molero, J. Carabias-Orti, A. J. Muñoz-Montoro and P. Vera-Candeas, "Pre-trained spatial priors on
multichannel NMF for music source separation", Forum Acusticum 2023, section 3.2.  Their dictionary was learned on the
RWC Musical Instrument Sound Database, which must not be passed on.  With that database, or any other library of notes,
one's own dictionary can be built here.  The embedded one was learned on the notes of a soundfont
(`mnmf/data/notes/README.md`).

A dictionary does not depend on a window or a sample rate.  Each note is kept as its power density over frequency, as
seen through a window that is longer than most, and `NoteDictionary.bases` computes its spectrum through another one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_count, check_number
from mnmf.files import read_arrays, whole
from mnmf.notes._instruments import find_instrument, name_problem, pitch_name
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["NoteDictionary"]

Array = NDArray[Any]
AnyPath = str | os.PathLike[str]

BETA, ITERATIONS = 1.5, 50  # of the factorisation of a note, as published
LONG = 32768 / 44100  # seconds: the window through which notes are learned
CENTS = 2.0  # width of the cells at frequencies where this is wider than a bin of the long window
HIGHEST = 24000.0  # Hz: the end of the highest cell
STEP_DB = 0.5  # between two levels; the strongest cell of a note has the level 255, and a cell without energy has 0
LEVELS = 255
FLOOR = 1e-10  # of the strongest bin of a base: its power where the note has none
REACH = 32.0  # how far a window's response is computed to each side, in widths 1/T: beyond it is below FLOOR
BRIGHTNESS = (-6.0, 0.0)  # dB per octave: every note is there with both slopes
JOINT = " + "  # between the instruments of a group, as in "alto saxophone + tenor saxophone"
FORMAT = "mnmf notes 1"
LONGEST = 1000  # characters of the name of a dictionary, and of the source of its notes
_ENTRY = re.compile(r"format|name|instruments|sources|(pitches|levels)_\d{1,4}")


@dataclass(frozen=True, eq=False)
class Spectra:
    """The notes of one instrument: ascending MIDI numbers, the levels of their cells, and where the notes come from."""

    pitches: tuple[int, ...]
    level_KB: Array
    source: str


class NoteDictionary:
    """One basis for every note of every instrument, for any window and sample rate.

    Make one with `embedded`, `load` or `build`.  ``a | b`` joins two; where both have an instrument, the notes of b are
    taken.

    Attributes
    ----------
    name : str
        "orchestra" for the embedded one.
    instruments : tuple of str
        Names of the instruments.  A method that takes an instrument takes any word that `find` understands.

    Examples
    --------
    >>> orchestra = NoteDictionary.embedded()
    >>> orchestra.find("2nd Violins")
    'violin'
    >>> len(orchestra.pitches("viola"))
    44
    >>> prior = orchestra.prior(["viola", "sax"], window_length=2048, sample_rate=44100, spots=[0, 1]).hold("W")
    >>> prior.W.shape[:2], prior.spots
    ((2, 1025), Spots((0,), (1,)))
    """

    def __init__(self, name: str, notes: Mapping[str, Spectra]) -> None:
        self.name = name
        self._notes = dict(notes)

    def __repr__(self) -> str:
        return f"<NoteDictionary {self.name}: {', '.join(self.instruments)}>"

    def __or__(self, other: NoteDictionary) -> NoteDictionary:
        if not isinstance(other, NoteDictionary):
            return NotImplemented
        return NoteDictionary(f"{self.name}{JOINT}{other.name}", self._notes | other._notes)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the instruments, in the order they were learned."""
        return tuple(self._notes)

    @classmethod
    def embedded(cls) -> NoteDictionary:
        """Return the dictionary that comes with mnmf; ``mnmf/data/notes/README.md`` describes it."""
        return _embedded()

    @classmethod
    def build(
        cls,
        folder: AnyPath,
        *,
        name: str | None = None,
        source: str | None = None,
        instrument: str | None = None,
        lowest: int | None = None,
        index: AnyPath | None = None,
        styles: Collection[str] | None = None,
        dynamics: Collection[str] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> NoteDictionary:
        """Learn a dictionary from a folder of isolated notes and its sub-folders.

        The magnitude spectrogram of each note is factorised with a single component (β = 1.5, 50 iterations).  Several
        recordings of a note, in other dynamics, by other players or in other styles, have equal weight at any level.

        A file is either one note, with the pitch in its name (``violin_A4.wav``, ``Violin/ff-C#4.flac``,
        ``violin_069.wav``), or notes one after another, a semitone apart, with silence between them
        (``151VNNOF.wav`` and other files of RWC, ``Flute.mf.B3B4.aiff``, or any file without a pitch).  A table can
        describe files whose names do not.

        Parameters
        ----------
        folder : path
            Audio at any sample rate; of several channels the loudest is taken.
        name : str, optional
            Name of the dictionary; that of the folder if not given.
        source : str, optional
            Where the notes come from, in a few words; the name if not given.
        instrument : str, optional
            Instrument of all files; if not given, their names and folders say it.
        lowest : int, optional
            MIDI number of the first note in files of successive notes whose name does not say it.  If not given, it is
            the lowest note of the instrument, unless only one note sounds in the file.
        index : path, optional
            A CSV table with a line of headings: file (relative to `folder`), instrument, pitch (``A4`` or 69), and
            optionally start and stop in seconds, dynamics, style.  Then only the files of the table are read.
        styles, dynamics : collection of str, optional
            Take only these, such as ``{"NO"}`` and ``{"F", "M"}`` of RWC, and files that do not say theirs; all if not
            given.
        progress : callable, optional
            Called with the fraction that is done, 0 to 1.

        Returns
        -------
        NoteDictionary

        Raises
        ------
        ArgumentError
            There are no notes, or the instrument or pitch of a file is unknown; the message names the file.  Or
            `lowest` is given and there are no files of successive notes; or the dictionary or an instrument cannot have
            its name, because it is too long, say, or has control characters.
        AudioFileError
            A file cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import soundfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tone_L = 0.1 * np.sin(2 * np.pi * 440 / 8000 * np.arange(4000))
        ...     soundfile.write(Path(folder) / "violin_A4.wav", tone_L, 8000)
        ...     dictionary = NoteDictionary.build(folder, name="mine")
        >>> dictionary
        <NoteDictionary mine: violin>
        >>> dictionary.pitches("violin")
        (69,)
        """
        from mnmf.notes._library import Note, find_notes

        own_name = os.path.basename(os.path.abspath(folder))
        title = _text("name", "".join(c if c.isprintable() else "?" for c in own_name) if name is None else name)
        origin = title if source is None else _text("source", source)
        found: dict[str, dict[int, list[Note]]] = {}
        for done, notes in find_notes(
            folder, instrument=instrument, lowest=lowest, index=index, styles=styles, dynamics=dynamics
        ):
            for note in notes:
                found.setdefault(note.instrument, {}).setdefault(note.pitch, []).append(note)
            if progress is not None:
                progress(0.2 * done)
        if not found:
            raise ArgumentError(f"{folder}: holds no notes of the dynamics and styles asked for")
        order = [(own, pitch) for own, pitches in found.items() for pitch in sorted(pitches)]
        rows = _learn_all([found[own][pitch] for own, pitch in order], progress)
        learned = {}
        for own, pitches in found.items():
            level_KB = np.stack([row for row, (other, _) in zip(rows, order) if other == own])
            learned[own] = Spectra(tuple(sorted(pitches)), level_KB, origin)
        return cls(title, learned)

    def save(self, path: AnyPath) -> None:
        """Write the dictionary to an ``.npz`` file; the same dictionary gives the same bytes.

        Raises
        ------
        ArgumentError
            The name of the dictionary has control characters or is too long.
        OutputError
            The file cannot be written.
        """
        _text("name", self.name)
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "name": np.array(self.name),
            "instruments": np.array(self.instruments, dtype=np.str_),
            "sources": np.array([spectra.source for spectra in self._notes.values()], dtype=np.str_),
        }
        for number, spectra in enumerate(self._notes.values()):
            arrays[f"pitches_{number}"] = np.array(spectra.pitches, np.uint8)
            arrays[f"levels_{number}"] = spectra.level_KB
        with whole(path) as place, place.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: AnyPath) -> NoteDictionary:
        """Return the dictionary that `save` wrote.

        Raises
        ------
        ArgumentError
            The file cannot be read, is damaged, or holds something else.
        """
        remedy, what = "mnmf notes build writes one", "is no note dictionary"
        saved = read_arrays(path, ArgumentError, remedy, what=what, wanted=_ENTRY.fullmatch)
        if str(saved.get("format")) != FORMAT:
            raise ArgumentError(f"{path}: is no note dictionary of this version; mnmf notes build writes one")
        try:
            instruments, sources = saved["instruments"].tolist(), saved["sources"].tolist()
            notes = {
                own: _checked(own, saved[f"pitches_{number}"], saved[f"levels_{number}"], _text("source", source))
                for number, (own, source) in enumerate(zip(instruments, sources, strict=True))
            }
            if not notes or len(notes) != len(instruments):
                raise ValueError("no instruments, or one twice")
            return cls(_text("name", saved["name"].item()), notes)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArgumentError(f"{path}: is a damaged note dictionary; build it again") from error

    def find(self, name: str) -> str:
        """Return the instrument of this dictionary that a user's word means.

        Case, numbers, spaces, hyphens and other words in the name do not matter: "Violin 1", "vln-2", "1st violins",
        "Bb clarinet".  A word for several instruments, such as "saxophone" or "voice", gives all of them that the
        dictionary has, as in "alto saxophone + tenor saxophone", which every method takes for an instrument with the
        notes of both.

        Raises
        ------
        ArgumentError
            The word means none of the instruments, or could mean several; the message lists them.

        Examples
        --------
        >>> NoteDictionary.embedded().find("Saxophones")
        'alto saxophone + tenor saxophone'
        """
        parts = [own for part in re.split(r"\s\+\s", str(name)) for own in find_instrument(part, self.instruments)]
        return JOINT.join(dict.fromkeys(parts))

    def pitches(self, instrument: str) -> tuple[int, ...]:
        """Return the MIDI numbers of an instrument's notes, one for each column of its bases."""
        return tuple(pitch for spectra in self._spectra(instrument) for pitch in spectra.pitches)

    def source(self, instrument: str) -> str:
        """Return where the notes of an instrument come from, in a few words."""
        return "; ".join(dict.fromkeys(spectra.source for spectra in self._spectra(instrument)))

    def bases(
        self,
        instrument: str,
        window_length: int,
        sample_rate: float,
        exponent: float = 1.0,
        tuning: float = 440.0,
        brightness: Sequence[float] = (0.0,),
    ) -> Array:
        """Return the notes of an instrument as bases of spectrograms.

        The power of a note through a window of length T is its power density smoothed by the response |Win(ν)|² of the
        window; for a stationary sound this is exact on average.  The long window through which the note was learned has
        smoothed it once already.  So the response of a somewhat longer window than T is taken, such that both together
        smooth as much as a window of length T does.

        Parameters
        ----------
        instrument : str
            Any word that `find` understands.
        window_length : int
            Samples of the half-sine window of `STFT`.
        sample_rate : float
            In Hz.
        exponent : float
            W are bases of magnitudes to this power: 1 for the Euclidean full-rank model, 2 for FastMNMF2.
        tuning : float
            Frequency of A4 in Hz; all notes move with it.
        brightness : sequence of float
            Tilts of the spectra in dB per octave.  The result has all notes with the first tilt, then all with the
            next.

        Returns
        -------
        W_FK : float64, shape (window_length // 2 + 1, notes · tilts)
            Columns sum to 1, and the notes are those of `pitches`.  The power of a column is at least 10⁻¹⁰ of that of
            its strongest bin; this is also its power above the highest frequency of the recordings.

        Raises
        ------
        ArgumentError
            The instrument is unknown, or a number is out of range.

        Examples
        --------
        >>> W_FK = NoteDictionary.embedded().bases("violin", window_length=4096, sample_rate=44100)
        >>> a4 = NoteDictionary.embedded().pitches("violin").index(69)
        >>> W_FK.shape[0], round(W_FK[:, a4].argmax() * 44100 / 4096)  # the bin nearest to 440 Hz
        (2049, 441)
        """
        check_count("window_length", window_length, 2)
        check_number("sample_rate", sample_rate, 100.0, 1e7, " Hz")
        check_number("exponent", exponent, 0.1, 4.0)
        check_number("tuning", tuning, 220.0, 880.0, " Hz")
        slopes = [check_number("brightness", slope, -24.0, 24.0, " dB per octave") for slope in brightness]
        if not slopes:
            raise ArgumentError("brightness is empty; (0,) leaves the notes as they were learned")
        level_KB = np.concatenate([spectra.level_KB for spectra in self._spectra(instrument)])
        density_KB = np.where(level_KB > 0, 10 ** ((level_KB.astype(np.float64) - LEVELS) * (STEP_DB / 10)), 0.0)
        response = _response(int(window_length), float(sample_rate), float(tuning))
        P_FK: Any = np.ascontiguousarray(response @ density_KB.T)
        octave_F = np.log2(np.maximum(np.arange(len(P_FK)), 0.5))[:, None]
        P_FK = np.concatenate([P_FK * 10 ** (slope / 10 * octave_F) for slope in slopes], axis=1)
        peak_K = P_FK.max(axis=0)
        W_FK: Any = np.maximum(P_FK, FLOOR * peak_K) ** (exponent / 2)
        return np.asarray(W_FK / np.where(peak_K > 0, W_FK.sum(axis=0), 1.0))

    def prior(
        self,
        instruments: Sequence[str],
        window_length: int,
        sample_rate: float,
        spots: Sequence[int | Sequence[int]],
        exponent: float = 1.0,
        first_bin: int = 0,
        tuning: float = 440.0,
        brightness: Sequence[float] = BRIGHTNESS,
    ) -> Prior:
        """Return the bases of the instruments of a take as a prior; with ``.hold("W")`` a model does not change them.

        Parameters
        ----------
        instruments : sequence of str
            One of `instruments`, or a word that `find` understands, for each source.
        window_length, sample_rate, exponent, tuning
            As for `bases`.
        spots : sequence of int, or of sequences of int
            For each source its own microphone(s), counted from 0, the reference spot first.
        first_bin : int
            Number of the lowest frequency bin that is kept.
        brightness : sequence of float
            As for `bases`.  By default each note is there twice, as it was learned and 6 dB per octave darker, and a
            model can mix the two.  How bright a note is depends on how loudly it is played and on the player, the room
            and the microphone, which are not those that the dictionary was learned from.  ``(0,)`` gives one base for
            each note, as published.

        Returns
        -------
        Prior
            With `W`, float64 (N, F, K), and `spots`.  K is the largest number of columns of `bases`; instruments with
            fewer have columns of zeros at the end.

        Raises
        ------
        ArgumentError
            As `bases`, or the numbers of spots and instruments differ.
        """
        all_spots = Spots(spots)
        if isinstance(instruments, str) or len(instruments) != len(all_spots):
            raise ArgumentError(f"instruments and spots must name the same sources, got {instruments!r} and {spots!r}")
        check_count("first_bin", first_bin, 0)
        n_bins = int(window_length) // 2 + 1
        if first_bin >= n_bins:
            raise ArgumentError(f"first_bin must be below the number of frequencies, {n_bins}, got {first_bin}")
        how = (window_length, sample_rate, exponent, tuning, brightness)
        bases = [self.bases(own, *how)[first_bin:] for own in instruments]
        W_NFK = np.zeros((len(bases), n_bins - first_bin, max((len(W_FK.T) for W_FK in bases), default=0)))
        for n, W_FK in enumerate(bases):
            W_NFK[n, :, : W_FK.shape[1]] = W_FK
        return Prior(W=W_NFK, spots=all_spots)

    def _spectra(self, instrument: str) -> list[Spectra]:
        return [self._notes[own] for own in self.find(instrument).split(JOINT)]


def _text(what: str, text: str) -> str:
    """Return `text` if it can be shown in one line of a terminal, else raise `ArgumentError`."""
    if not isinstance(text, str) or len(text) > LONGEST or not text.isprintable():
        raise ArgumentError(f"{what} must have at most {LONGEST} printable characters, got {str(text)[:40]!r}")
    return text


def _checked(instrument: str, pitches: Array, level_KB: Array, source: str) -> Spectra:
    """Return the notes of an instrument if they are as `NoteDictionary.save` writes them, else raise ValueError."""
    if problem := name_problem(instrument):
        raise ValueError(f"name {problem}")
    numbers = pitches.tolist() if pitches.ndim == 1 and pitches.dtype.kind in "iu" else []
    if not numbers or numbers != sorted(set(numbers)) or not 0 <= numbers[0] <= numbers[-1] <= 127:
        raise ValueError("pitches are no ascending MIDI numbers")
    if level_KB.shape != (len(numbers), len(_edges()) - 1) or level_KB.dtype != np.uint8:
        raise ValueError("other cells")
    return Spectra(tuple(numbers), level_KB, source)


@cache
def _embedded() -> NoteDictionary:
    from importlib.resources import as_file, files

    with as_file(files("mnmf.data") / "notes" / "orchestra.npz") as path:
        return NoteDictionary.load(path)


@cache
def _edges() -> Array:
    """Return the boundaries of the cells in Hz: bins of the long window, and at higher frequencies `CENTS` wide."""
    width = 1 / LONG
    ratio = 2 ** (CENTS / 1200)
    n_bins = int(1 / (ratio - 1))
    linear = (np.arange(n_bins + 1) + 0.5) * width
    n_above = int(np.log(HIGHEST / linear[-1]) / np.log(ratio))
    return np.concatenate([[0.0], linear, linear[-1] * ratio ** np.arange(1, n_above + 1)])


def _learn_all(groups: Sequence[Sequence[Any]], progress: Callable[[float], None] | None) -> list[Array]:
    """Return the result of `_learn` for each group, on as many threads as numba would use."""
    from numba import set_num_threads

    from mnmf.kernels import one_blas_thread
    from mnmf.kernels._threads import share_out

    rows: list[Any] = [None] * len(groups)
    n_done = count(1)

    def work(number: int) -> None:
        set_num_threads(1)  # applies to this thread only; one note is too small for several
        rows[number] = _learn(groups[number])
        if progress is not None:
            progress(0.2 + 0.8 * next(n_done) / len(groups))

    # Around all threads, because several threads must not enter this context at once.
    with one_blas_thread():
        share_out(work, len(groups))
    return rows


def _learn(notes: Sequence[Any]) -> Array:
    """Return the levels (B,) of one note, from all recordings of it."""
    from mnmf.notes._library import read_note
    from mnmf.priors._nmf import nmf
    from mnmf.stft import STFT, window_samples

    pieces = []
    edges = _edges()
    for note in notes:
        x_L, rate = read_note(note)
        length = window_samples(LONG, rate)
        power_FT = np.abs(STFT(length, length // 4).analyse(x_L[:, None])[..., 0]) ** 2
        # A bin counts as a box around its frequency, and cells above the last bin have no power.
        ends = (np.arange(len(power_FT) + 1) - 0.5) * (rate / length)
        below_FT = np.concatenate([np.zeros((1, power_FT.shape[1])), np.cumsum(power_FT, axis=0)]) * (rate / length)
        below_BT = _interpolated(edges, ends, below_FT)
        density_BT = np.maximum(np.diff(below_BT, axis=0), 0.0) / np.diff(edges)[:, None]
        mean = density_BT.mean()
        if mean > 0:
            pieces.append(np.sqrt(density_BT / mean))
    if not pieces:
        note = notes[0]
        raise ArgumentError(f"{note.path}: is silent at {note.start:g} s, where {pitch_name(note.pitch)} should be")
    V_BT = np.concatenate(pieces, axis=1).astype(np.float32)
    W_BK, _ = nmf(V_BT, 1, beta=BETA, n_iterations=ITERATIONS, rng=np.random.default_rng(0))
    density_B = W_BK[:, 0].astype(np.float64) ** 2
    with np.errstate(divide="ignore"):
        level_B = LEVELS + np.round(10 / STEP_DB * np.log10(density_B / density_B.max()))
    return np.asarray(np.maximum(level_B, 0), np.uint8)


def _interpolated(x: Array, xp: Array, yp_PT: Array) -> Array:
    """Return the linear interpolation of every column, as `numpy.interp` does it for one."""
    position = np.clip(np.searchsorted(xp, x), 1, len(xp) - 1)
    part = np.clip((x - xp[position - 1]) / (xp[position] - xp[position - 1]), 0.0, 1.0)[:, None]
    return np.asarray(yp_PT[position - 1] * (1 - part) + yp_PT[position] * part)


@lru_cache(maxsize=4)
def _response(window_length: int, sample_rate: float, tuning: float) -> Any:
    """Return the sparse matrix (F, B) that turns the density in every cell into the power in every bin of a window."""
    from scipy.sparse import csr_array

    edges = _edges()
    # Another tuning stretches the frequency axis; on the stretched axis the window is shorter or longer.
    seconds = window_length / sample_rate * (tuning / 440.0)
    frequency_F = np.arange(window_length // 2 + 1) / seconds
    # Variances of responses add up: 1/(4T²) for a half-sine window, and 1/(12T²) for a box as wide as one of its bins.
    sharpness = 1 / seconds**2 - (1 + 1 / 3) / LONG**2
    width = max(np.sqrt(max(sharpness, 0.0)), 0.5 / LONG)
    reach = REACH * width
    first_F = np.maximum(np.searchsorted(edges, frequency_F - reach, side="right") - 1, 0)
    last_F = np.minimum(np.searchsorted(edges, frequency_F + reach), len(edges) - 1)
    count_F = np.maximum(last_F - first_F, 0)
    start_F = np.concatenate([[0], np.cumsum(count_F)])
    row = np.repeat(np.arange(len(frequency_F)), count_F)
    cell = np.arange(start_F[-1]) - start_F[row] + first_F[row]
    low = _below((edges[cell] - frequency_F[row]) / width)
    high = _below((edges[cell + 1] - frequency_F[row]) / width)
    return csr_array((high - low, cell, start_F), shape=(len(frequency_F), len(edges) - 1))


def _below(x: Array) -> Array:
    """Return the part of a half-sine window's energy below the frequency `x`, in units of 1/T."""
    grid, total = _energy_below()
    return np.asarray(np.interp(x, grid, total))


@cache
def _energy_below() -> tuple[Array, Array]:
    grid = np.linspace(-REACH, REACH, 1 + 2 * int(REACH) * 64)
    distance = 1 - 4 * grid**2
    with np.errstate(divide="ignore", invalid="ignore"):
        response = np.where(np.abs(distance) < 1e-9, (np.pi / 4) ** 2, (np.cos(np.pi * grid) / distance) ** 2)
    total = np.concatenate([[0.0], np.cumsum(response[1:] + response[:-1])])
    return grid, total / total[-1]
