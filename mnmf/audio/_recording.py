"""A take: its files as one recording of several microphones, read as one array from any sample to any other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mnmf.audio._formats import BITS, dtype_of, finest
from mnmf.audio._moved import Part
from mnmf.audio._sound import ERRORS, Sound
from mnmf.audio._together import check_alike, together
from mnmf.errors import LOUDEST, ArgumentError, AudioFileError
from mnmf.files import check_path, reason
from mnmf.folders import name_mics, tracked
from mnmf.rows import Rows

__all__ = ["Mic", "Recording"]

AnyPath = str | os.PathLike[str]

BLOCK = 1 << 20  # samples handled at a time: small enough that Ctrl-C is honoured at once
_CONTAINERS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "CAF", "AU"})
_MOST_MICS = 1024  # of a take
_NO_NUMBER = "a NaN or infinite sample"


@dataclass(frozen=True)
class Mic:
    """One microphone of a take, and how its file stores samples; `Recording.open` makes them.

    Attributes
    ----------
    name : str
        No two microphones of a take have the same.
    path : Path
        The file.
    channel : int
        Its channel in the file, from 0 on.
    format, subtype, endian : str
        Container, sample format and byte order, as soundfile names them.
    time_reference : int or None
        The sample since midnight, or since the beginning of a session, at which its file begins, by the Broadcast Wave
        chunk of the file, else by its iXML; None if it has neither.
    track : str or None
        What the recorder called it, by the iXML of the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf import audio
    >>> audio.Mic("viola", Path("take", "viola.wav"), 0, "WAV", "PCM_24", "FILE").suffix
    '.wav'
    """

    name: str
    path: Path
    channel: int
    format: str
    subtype: str
    endian: str
    time_reference: int | None = None
    track: str | None = None

    @property
    def suffix(self) -> str:
        """The extension of the file, which its stem shares."""
        return self.path.suffix


@dataclass(frozen=True)
class Recording:
    """One take: one polyphonic file, or several files of one or more channels; `open` makes one.

    Attributes
    ----------
    paths : tuple of Path
        The files, in the order given.
    mics : tuple of Mic
        The microphones: the channels of all files, one after another.  The mic of a mono file is called as its track
        in iXML, else as what tells its name from those of the others, so that 'T03_05_Vln1.WAV' is 'Vln1'
        (`mnmf.folders.distinct`); the mics of a single polyphonic file are '1', '2', …; among several files those of a
        polyphonic one are 'file:1', 'file:2', ….  Where two mics would have the same name, extensions and then folders
        are kept.
    sample_rate : int
        In hertz.
    n_samples : int
        Length L of the take, in samples: what all files have, which may be less than each has.
    first : int
        The sample of the take at which it begins: 0, but for a `part`.
    starts : tuple of int
        The sample of a common clock at which each file begins; 0 for the first one that does.
    remarks : tuple of str
        What a user should know of the files, a line each: that one is cut short, or begins later than the others.
    sounds : tuple
        How each file is read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [Path(folder, name) for name in ("violin.wav", "viola.wav")]
    ...     for path in paths:
    ...         clipped = audio.write(path, rng.uniform(-0.5, 0.5, 8000), 8000)
    ...     recording = audio.Recording.open(paths)
    ...     x_LM = recording.read(start=4000)
    >>> recording.mic_names, recording.duration
    (('violin', 'viola'), 1.0)
    >>> x_LM.shape, x_LM.dtype
    ((4000, 2), dtype('float32'))
    """

    paths: tuple[Path, ...]
    mics: tuple[Mic, ...]
    sample_rate: int
    n_samples: int
    first: int = 0
    starts: tuple[int, ...] = ()
    remarks: tuple[str, ...] = field(default=(), compare=False)
    sounds: tuple[Sound, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def open(
        cls, paths: AnyPath | Sequence[AnyPath], *, lossless: bool = True, starts: Sequence[int] | None = None
    ) -> Recording:
        """Read the headers of the files and check that they make one take.

        Parameters
        ----------
        paths : path or sequence of paths
            The files, in the order of the microphones.
        lossless : bool
            Refuse formats in which a stem cannot be written exactly (MP3, Vorbis, ADPCM, …).  True sources to compare
            with may be opened with False, as no stems of them are written.
        starts : sequence of int, optional
            At which sample of a common clock each file begins.  If not given, as the time stamps of the files say, if
            all have some; else all begin at once.

        Returns
        -------
        Recording
            Nothing but its headers has been read.  Its sample 0 is the first one that all files have.

        Raises
        ------
        AudioFileError
            A file is missing, unreadable, empty, lossy or given twice, or differs from the others in rate, or
            in length for no reason.
        """
        listed = list(paths) if isinstance(paths, Iterable) and not isinstance(paths, str) else [paths]
        if not listed:
            raise AudioFileError("a take needs at least one audio file; none was given")
        if len(listed) > _MOST_MICS:
            raise AudioFileError(f"a take has at most {_MOST_MICS} mics, and {len(listed)} files were given")
        files = tuple(check_path(path, "an audio file") for path in listed)
        sounds = tuple(Sound.look(path) for path in files)
        for sound in sounds if lossless else ():
            _check_lossless(sound)
        _check_once(files)
        check_alike(
            files,
            [sound.samplerate for sound in sounds],
            lambda rate: f"{rate} Hz",
            "convert it so that all files of a take share one rate",
        )
        channels = [sound.channels for sound in sounds]
        if sum(channels) > _MOST_MICS:
            raise AudioFileError(
                f"{files[0]}: the files of this take have {sum(channels)} channels, more than {_MOST_MICS}"
            )
        stamps = [sound.stamp() for sound in sounds]
        clock = together(sounds, [stamp.time_reference for stamp in stamps], starts)
        tracks = [stamp.tracks[channel] for sound, stamp in zip(sounds, stamps) for channel in range(sound.channels)]
        names = iter(tracked(name_mics(files, channels), tracks))
        mics = tuple(
            Mic(
                *(next(names), sound.path, channel, sound.format, sound.subtype, sound.endian),
                stamp.time_reference,
                stamp.tracks[channel],
            )
            for sound, stamp in zip(sounds, stamps)
            for channel in range(sound.channels)
        )
        remarks = [remark for sound in sounds for remark in sound.remarks()]
        remarks += [] if clock.remark is None else [clock.remark]
        if any(sound.layout is not None and sound.layout.kind == "BW64" for sound in sounds):
            remarks.append("stems of BW64 files are RF64, which is the same under the name that more programs read")
        ends = [start + sound.frames for start, sound in zip(clock.starts, sounds)]
        n_samples = min(ends) - max(clock.starts)
        return cls(files, mics, sounds[0].samplerate, n_samples, 0, clock.starts, tuple(remarks), sounds)

    @property
    def n_mics(self) -> int:
        """Number of microphones M."""
        return len(self.mics)

    @property
    def mic_names(self) -> tuple[str, ...]:
        """The name of each microphone; no two are the same."""
        return tuple(mic.name for mic in self.mics)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate

    @property
    def exact_dtype(self) -> type[np.floating[Any]]:
        """The smallest float type that holds every sample: float64 for 32-bit and double files, else float32."""
        wide = any(dtype_of(mic.subtype) is np.float64 for mic in self.mics)
        return np.float64 if wide else np.float32

    def read(
        self,
        start: int = 0,
        stop: int | None = None,
        dtype: DTypeLike = np.float32,
        mics: Sequence[int] | None = None,
    ) -> NDArray[Any]:
        """Read samples `start` to `stop` (exclusive) of all microphones, or of some.

        Integer formats of b bits are scaled by 2^-(b-1), which is exact in float32 up to 24 bits and in float64 always.

        Parameters
        ----------
        start, stop : int
            In samples; if `stop` is None, to the end.
        dtype : float32 or float64
            Type of the result.
        mics : sequence of int, optional
            Of these microphones, in this order; only their files are opened.

        Returns
        -------
        x_LM : array of shape (stop - start, M)
            Full scale is 1.

        Raises
        ------
        ArgumentError
            The range lies outside the take, or `dtype` is not a float type.
        AudioFileError
            A file ends early, cannot be decoded, or holds samples that are NaN, infinite or enormous.
        """
        kind = np.dtype(dtype)
        if kind not in (np.float32, np.float64):
            raise ArgumentError(f"dtype must be float32 or float64, got {kind}")
        stop = self.n_samples if stop is None else stop
        if not 0 <= start < stop <= self.n_samples:
            raise ArgumentError(f"samples {start} to {stop} lie outside the take, which has {self.n_samples} samples")
        wanted = list(range(self.n_mics)) if mics is None else list(mics)
        x_LM = np.empty((stop - start, len(wanted)), kind)
        first = 0
        for sound, at in zip(self.sounds, self._at):
            n_channels = sound.channels
            places = [i for i, mic in enumerate(wanted) if first <= mic < first + n_channels]
            if places and wanted[places[0] : places[-1] + 1] == [*range(first, first + n_channels)]:
                self._read_file(sound, x_LM[:, places[0] : places[-1] + 1], at + start)
            elif places:
                channels_LC = np.empty((stop - start, n_channels), kind)
                self._read_file(sound, channels_LC, at + start)
                x_LM[:, places] = channels_LC[:, [wanted[i] - first for i in places]]
            first += n_channels
        return x_LM

    def part(self, start: int, stop: int) -> Recording:
        """Return samples `start` to `stop` (exclusive) as a recording of its own, in the same files.

        Raises
        ------
        ArgumentError
            They lie outside the recording.
        """
        if not 0 <= start < stop <= self.n_samples:
            raise ArgumentError(f"samples {start} to {stop} lie outside the take, which has {self.n_samples} samples")
        return replace(self, n_samples=stop - start, first=self.first + start)

    @property
    def _at(self) -> list[int]:
        """The sample of each file at which the recording begins."""
        return [max(self.starts) - start + self.first for start in self.starts]

    def sound(self, mic: int) -> Sound:
        """Return how the file of a microphone is read."""
        return self.sounds[self._file_of(mic)]

    def _file_of(self, mic: int) -> int:
        """Return the number of the file of a microphone."""
        return next(n for n, sound in enumerate(self.sounds) if sound.path == self.mics[mic].path)

    def pattern(self, mics: int | Sequence[int]) -> int:
        """Return the microphone whose file the stem of some is like: the first one whose format holds all of them."""
        several = _several(mics)
        return several[finest([self.mics[m].subtype for m in several])]

    def is_whole_file(self, mics: int | Sequence[int]) -> bool:
        """Return whether microphones are all channels of one file, in its order."""
        several = _several(mics)
        path = self.mics[several[0]].path
        return several == tuple(m for m, mic in enumerate(self.mics) if mic.path == path)

    def covered(self, mics: int | Sequence[int]) -> Part:
        """Return the samples of a microphone's file that a stem of it has: all, but of a `part` those that it has.

        A file of a take may begin sooner than the take, and end later.  A stem of several microphones has what any of
        them has; it is told in samples of the file of their `pattern`, and may begin before that does.
        """
        parts = [self._on_clock(m) for m in _several(mics)]
        first, last = min(part.start for part in parts), max(sum(part) for part in parts)
        return Part(first - self.starts[self._file_of(self.pattern(mics))], last - first)

    def lead(self, mics: int | Sequence[int]) -> int:
        """Return how many samples of the stem of some microphones come before the recording begins."""
        return max(self.starts) + self.first - self._start(mics)

    def own(self, mic: int, start: int, stop: int, mics: int | Sequence[int] | None = None) -> NDArray[Any]:
        """Return samples of a microphone, from `start` to `stop` of its stem, or of that of several, as float64.

        They are 0 where others of them begin sooner or end later.
        """
        n, sound = self._file_of(mic), self.sound(mic)
        shift = self._start(mic if mics is None else mics) - self.starts[n]
        covered, x_L = self.covered(mic), np.zeros(stop - start)
        first, last = (min(max(shift + at, covered.start), sum(covered)) for at in (start, stop))
        if first < last:
            channels_LC = np.empty((last - first, sound.channels))
            self._read_file(sound, channels_LC, first)
            x_L[first - shift - start : last - shift - start] = channels_LC[:, self.mics[mic].channel]
        return x_L

    def _start(self, mics: int | Sequence[int]) -> int:
        """Return the sample of the common clock at which the stem of some microphones begins."""
        return min(self._on_clock(m).start for m in _several(mics))

    def _on_clock(self, mic: int) -> Part:
        """Return the samples of the common clock that a stem of a microphone has."""
        n, ends = self._file_of(mic), [start + sound.frames for start, sound in zip(self.starts, self.sounds)]
        if self.first == 0 and self.n_samples == min(ends) - max(self.starts):
            return Part(self.starts[n], self.sounds[n].frames)
        return Part(self.starts[n] + self._at[n], self.n_samples)

    def rows(self) -> Rows:
        """Return all samples of all microphones, (L, M), read when they are asked for; they are of `exact_dtype`."""
        kind = self.exact_dtype

        def read(start: int, stop: int, mics: Sequence[int]) -> NDArray[Any]:
            return self.read(start, stop, kind, mics) if start < stop else np.empty((0, len(mics)), kind)

        return Rows((self.n_samples, self.n_mics), kind, read)

    def _read_file(self, sound: Sound, x_LC: NDArray[Any], start: int) -> None:
        """Fill `x_LC` from sample `start` of one file."""
        n_samples, path, integer = len(x_LC), sound.path, sound.subtype in BITS
        step = max(1, BLOCK // sound.channels)
        try:
            with sound.opened() as file:
                if not sound.is_like(file):
                    raise AudioFileError(f"{path} has changed since it was opened; start again")
                file.seek(start)
                for at in range(0, n_samples, step):
                    wanted = min(step, n_samples - at)
                    block = file.read(wanted, dtype="int32" if integer else x_LC.dtype.name, always_2d=True)
                    if len(block) < wanted:
                        seconds = (start + at + len(block)) / self.sample_rate
                        raise AudioFileError(f"{path} breaks off at {seconds:.3f} s; it is damaged, export it again")
                    x_LC[at : at + wanted] = block
                    if integer:  # libsndfile justifies every depth to the left of an int32
                        x_LC[at : at + wanted] *= x_LC.dtype.type(2.0**-31)
                    else:
                        self._check_sound(path, block, start + at)
        except AudioFileError:
            raise
        except ERRORS as error:
            raise AudioFileError(f"{path} cannot be read: {reason(error)}; export it again") from error

    def _check_sound(self, path: Path, block: NDArray[Any], start: int) -> None:
        """Refuse samples that are NaN, infinite or enormous."""
        level = np.abs(block)
        if np.all(level <= LOUDEST):  # nor NaN
            return
        sample, channel = np.argwhere(~(level <= LOUDEST))[0]
        value = float(block[sample, channel])
        what = f"a sample of {value:.3g}, which is no sound," if np.isfinite(value) else _NO_NUMBER
        name = next(mic.name for mic in self.mics if (mic.path, mic.channel) == (path, channel))
        raise AudioFileError(
            f"{path}: mic {name} holds {what} at {(start + sample) / self.sample_rate:.6f} s; repair or export it again"
        )

    def sha256(self) -> dict[Path, str]:
        """Return the SHA-256 digest of each file, in hexadecimal; `AudioFileError` if one cannot be read."""
        digests = {}
        for path in self.paths:
            try:
                with path.open("rb") as file:
                    digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise AudioFileError(f"{path} cannot be read: {reason(error)}") from error
        return digests


def _several(mics: int | Sequence[int]) -> tuple[int, ...]:
    return (int(mics),) if isinstance(mics, int | np.integer) else tuple(mics)


def _check_once(files: Sequence[Path]) -> None:
    """Refuse a file that is given twice, by whatever names."""
    seen: dict[tuple[int, int], Path] = {}
    for path in files:
        status = path.stat()
        first = seen.setdefault((status.st_dev, status.st_ino), path)
        if first is not path:
            same = "is given twice" if path == first else f"is the same file as {first}"
            raise AudioFileError(f"{path} {same}; give each file once")


def _check_lossless(sound: Sound) -> None:
    """Refuse formats in which a stem would differ from what it should be."""
    if sound.format not in _CONTAINERS or sound.subtype not in (*BITS, "FLOAT", "DOUBLE"):
        raise AudioFileError(
            f"{sound.path} is {sound.format} {sound.subtype}, which cannot hold a stem exactly; "
            "convert it to WAV or FLAC first"
        )
