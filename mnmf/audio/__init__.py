"""Files to arrays and back: takes are opened and read here, and stems written.

A stem drops into a session under its original, so it keeps that microphone's rate, container, sample format, text tags
and Broadcast Wave time stamp, and the same samples give the same bytes on every run.  `mnmf.session` knows which
microphone belongs to whom, `mnmf.output` makes folders of results.  Nothing here scales or resamples the sound.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mnmf.errors import LOUDEST, MOST_RATE, ArgumentError, AudioFileError, OutputError, check_count
from mnmf.files import PARTIAL, check_header, check_path, reason
from mnmf.output import same_file
from mnmf.rows import Rows, blocks

__all__ = ["Mic", "Recording", "write", "write_stem"]

AnyPath = str | os.PathLike[str]

_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_CONTAINERS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "CAF", "AU"})
_SUFFIXES = {"WAV": ".wav", "FLAC": ".flac", "AIFF": ".aiff .aif .aifc", "CAF": ".caf", "W64": ".w64", "RF64": ".rf64"}
_ByteOrder = Literal["little", "big"]
_BLOCK = 1 << 20  # samples handled at a time: small enough that Ctrl-C is honoured at once
_MAX_BEXT = 1 << 20  # bytes; a real one has a few kilobytes, more means a damaged header
_TIME = slice(338, 346)  # in the Broadcast Wave chunk: the first sample since midnight
_MOST_CHUNKS = 10_000
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
        The microphones: the channels of all files, one after another.  The mic of a mono file has the name of the file
        without its extension; the mics of a single polyphonic file are '1', '2', …; among several files those of a
        polyphonic one are 'file:1', 'file:2', ….  Where two mics would have the same name, extensions and then folders
        are kept.
    sample_rate : int
        In hertz.
    n_samples : int
        Length L of each microphone, in samples.
    first : int
        The sample of the files at which it begins: 0, but for a `part`.
    n_in_files : int or None
        Samples of the files, if those are more.

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
    n_in_files: int | None = None

    @classmethod
    def open(cls, paths: AnyPath | Sequence[AnyPath], *, lossless: bool = True) -> Recording:
        """Read the headers of the files and check that they make one take.

        Parameters
        ----------
        paths : path or sequence of paths
            The files, in the order of the microphones.
        lossless : bool
            Refuse formats in which a stem cannot be written exactly (MP3, Vorbis, ADPCM, …).  True sources to compare
            with may be opened with False, as no stems of them are written.

        Returns
        -------
        Recording
            Nothing but its headers has been read.

        Raises
        ------
        AudioFileError
            A file is missing, unreadable, empty, lossy or given twice, or differs from the others in rate or length.
        """
        listed = list(paths) if isinstance(paths, Iterable) and not isinstance(paths, str) else [paths]
        if not listed:
            raise AudioFileError("a take needs at least one audio file; none was given")
        if len(listed) > _MOST_MICS:
            raise AudioFileError(f"a take has at most {_MOST_MICS} mics, and {len(listed)} files were given")
        files = tuple(check_path(path, "an audio file") for path in listed)
        headers = [_read_header(path, lossless) for path in files]
        seen: dict[tuple[int, int], Path] = {}
        for path in files:
            status = path.stat()
            first = seen.setdefault((status.st_dev, status.st_ino), path)
            if first is not path:
                same = "is given twice" if path == first else f"is the same file as {first}"
                raise AudioFileError(f"{path} {same}; give each file once")
        _check_alike(
            files,
            [header.samplerate for header in headers],
            lambda rate: f"{rate} Hz",
            "convert it so that all files of a take share one rate",
        )
        rate = int(headers[0].samplerate)
        if (count := sum(header.channels for header in headers)) > _MOST_MICS:
            raise AudioFileError(f"{files[0]}: the files of this take have {count} channels, more than {_MOST_MICS}")
        _check_alike(
            files,
            [header.frames for header in headers],
            lambda frames: f"{frames} samples ({frames / rate:.3f} s)",
            "export all files of a take with the same start and end",
        )
        names = iter(_name_mics(files, [header.channels for header in headers]))
        mics = tuple(
            Mic(next(names), path, channel, header.format, header.subtype, header.endian)
            for path, header in zip(files, headers)
            for channel in range(header.channels)
        )
        return cls(files, mics, rate, int(headers[0].frames))

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
        wide = any(mic.subtype in ("PCM_32", "DOUBLE") for mic in self.mics)
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
        for path in self.paths:
            n_channels = sum(mic.path == path for mic in self.mics)
            places = [i for i, mic in enumerate(wanted) if first <= mic < first + n_channels]
            if places and wanted[places[0] : places[-1] + 1] == [*range(first, first + n_channels)]:
                self._read_file(path, first, x_LM[:, places[0] : places[-1] + 1], start)
            elif places:
                channels_LC = np.empty((stop - start, n_channels), kind)
                self._read_file(path, first, channels_LC, start)
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
        n_in_files = self.n_samples if self.n_in_files is None else self.n_in_files
        return replace(self, n_samples=stop - start, first=self.first + start, n_in_files=n_in_files)

    def rows(self) -> Rows:
        """Return all samples of all microphones, (L, M), read when they are asked for; they are of `exact_dtype`."""
        kind = self.exact_dtype

        def read(start: int, stop: int, mics: Sequence[int]) -> NDArray[Any]:
            return self.read(start, stop, kind, mics) if start < stop else np.empty((0, len(mics)), kind)

        return Rows((self.n_samples, self.n_mics), kind, read)

    def _read_file(self, path: Path, first: int, x_LM: NDArray[Any], start: int) -> None:
        """Fill `x_LM` from sample `start` of one file, whose first channel is microphone `first`."""
        n_samples, n_channels = x_LM.shape
        start, n_in_file = start + self.first, self.n_samples if self.n_in_files is None else self.n_in_files
        integer = self.mics[first].subtype in _PCM_BITS
        step = max(1, _BLOCK // n_channels)
        try:
            with sf.SoundFile(path) as file:
                if (file.channels, file.frames, file.samplerate) != (n_channels, n_in_file, self.sample_rate):
                    raise AudioFileError(f"{path} has changed since it was opened; start again")
                file.seek(start)
                for at in range(0, n_samples, step):
                    wanted = min(step, n_samples - at)
                    block = file.read(wanted, dtype="int32" if integer else x_LM.dtype.name, always_2d=True)
                    if len(block) < wanted:
                        seconds = (start + at + len(block)) / self.sample_rate
                        raise AudioFileError(f"{path} breaks off at {seconds:.3f} s; it is damaged, export it again")
                    x_LM[at : at + wanted] = block
                    if integer:  # libsndfile justifies every depth to the left of an int32
                        x_LM[at : at + wanted] *= x_LM.dtype.type(2.0**-31)
                        continue
                    level = np.abs(block)
                    if not np.all(level <= LOUDEST):  # nor NaN
                        sample, channel = np.argwhere(~(level <= LOUDEST))[0]
                        value = float(block[sample, channel])
                        what = f"a sample of {value:.3g}, which is no sound," if np.isfinite(value) else _NO_NUMBER
                        raise AudioFileError(
                            f"{path}: mic {self.mics[first + channel].name} holds {what} at "
                            f"{(start + at + sample) / self.sample_rate:.6f} s; repair or export it again"
                        )
        except AudioFileError:
            raise
        except (sf.SoundFileError, OSError, TypeError, AssertionError) as error:
            raise AudioFileError(f"{path} cannot be read: {reason(error)}; export it again") from error

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


def write_stem(
    path: AnyPath,
    x_L: ArrayLike,
    like: Recording,
    mic: int,
    *,
    take_L: ArrayLike | None = None,
    residual: AnyPath | None = None,
) -> int:
    """Write one microphone's stem as a mono file that differs from the original in nothing but its samples.

    Rate, container, sample format, byte order, text tags and, in WAV and RF64 files, the Broadcast Wave chunk are
    those of the original.  Samples are rounded to the nearest integer, halves to even, and clipped to the integer
    range, so what `Recording.read` returned is written back bit for bit (32-bit and double files: as float64).
    The file appears under its name only when it is complete.

    Parameters
    ----------
    path : path
        Where to write; give it the extension `like.mics[mic].suffix`.
    x_L : array of shape (L,), real floats, or `mnmf.rows.Rows`
        As long as the take; read in blocks, so it need not be in memory.
    like : Recording
        The take.
    mic : int
        Index of the microphone, from 0 on.
    take_L : the same, optional
        What the microphone heard, as `Recording.read` gave it: then samples are also clipped so far that what is left
        of it is within the integer range.
    residual : path, optional
        Where to write what is left, ``take_L`` less the stem as it is written, as another file like the original.  In
        integer formats the two sum to the take sample for sample; in float formats to a unit in the last place of the
        larger one.

    Returns
    -------
    int
        Number of samples that had to be clipped; always 0 for float formats.

    Raises
    ------
    ArgumentError
        `x_L` has the wrong shape or type or holds NaN or infinite values, or there is no such microphone.
    OutputError
        The file cannot be written, or is one of the take's own.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clipped = audio.write(Path(folder, "viola.wav"), np.full(8000, 0.5), 8000, "PCM_16")
    ...     take = audio.Recording.open(Path(folder, "viola.wav"))
    ...     path = Path(folder, "viola-stem.wav")
    ...     clipped = audio.write_stem(path, 0.25 * take.read()[:, 0], take, mic=0)
    ...     stem = audio.Recording.open(path)
    ...     print(stem.mics[0].subtype, stem.sample_rate, stem.read().max())
    PCM_16 8000 0.125
    """
    if not 0 <= mic < like.n_mics:
        raise ArgumentError(f"mic must be between 0 and {like.n_mics - 1}, got {mic}")
    samples = x_L if isinstance(x_L, Rows) else np.asanyarray(x_L)
    if samples.shape != (like.n_samples,):
        raise ArgumentError(f"x_L must have shape (samples,) = ({like.n_samples},) as the take, got {samples.shape}")
    if residual is not None and take_L is None:
        raise ArgumentError("a residual needs take_L, what the microphone heard")
    if take_L is None:
        return _write_like(check_path(path), samples, like, mic)
    heard = take_L if isinstance(take_L, Rows) else np.asanyarray(take_L)
    if heard.shape != samples.shape:
        raise ArgumentError(f"take_L must have shape (samples,) = ({like.n_samples},) as the take, got {heard.shape}")
    subtype, clipped = like.mics[mic].subtype, 0
    parted = _Parted(samples, heard, subtype)

    def stem(start: int, stop: int) -> NDArray[Any]:
        nonlocal clipped
        stem_L, _, count = parted(start, stop)
        clipped += count
        return stem_L

    _write_like(check_path(path), Rows(samples.shape, _dtype(subtype), stem), like, mic)
    if residual is not None:
        rest = Rows(samples.shape, _dtype(subtype), lambda start, stop: parted(start, stop)[1])
        _write_like(check_path(residual), rest, like, mic)
    return clipped


def rest_of(take_L: NDArray[Any] | Rows, parts: Sequence[AnyPath], like: Recording, mic: int) -> Rows:
    """Return what a microphone heard less what some mono files hold, as `Rows` of float64; it may exceed full scale.

    In integer formats it is exact.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mnmf import audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, level in (("viola", 0.5), ("stem", 0.2)):
    ...         _ = audio.write(f"{folder}/{name}.wav", np.full(8, level), 8000, "PCM_16")
    ...     take = audio.Recording.open(f"{folder}/viola.wav")
    ...     float(audio.rest_of(take.read()[:, 0], [f"{folder}/stem.wav"], take, 0)[:1][0] * 2**15)
    9830.0
    """
    opened = [Recording.open(path) for path in parts]
    floats = like.mics[mic].subtype in _FLOATS

    def rest(start: int, stop: int) -> NDArray[Any]:
        rest_L = np.array(take_L[start:stop], np.float64)
        for part in opened:
            if start < stop:
                rest_L -= part.read(start, stop, np.float64)[:, 0]
        return rest_L.astype(_dtype(like.mics[mic].subtype)) if floats else rest_L

    return Rows((like.n_samples,), np.float64, rest)


def beyond_full_scale(x_L: Rows, like: Recording, mic: int) -> Rows | None:
    """Return by how much samples exceed what the format of a microphone holds, as `Rows`; None if none do.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mnmf import audio
    >>> from mnmf.rows import Rows, blocks
    >>> loud_L = np.array([0.5, 1.5])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = audio.write(f"{folder}/viola.wav", np.zeros(2), 8000, "PCM_16")
    ...     take = audio.Recording.open(f"{folder}/viola.wav")
    ...     audio.beyond_full_scale(Rows((2,), float, lambda start, stop: loud_L[start:stop]), take, 0)[:].round(2)
    array([0. , 0.5])
    """
    subtype = like.mics[mic].subtype
    if subtype in _FLOATS:
        return None
    full = 2.0 ** (_PCM_BITS[subtype] - 1)

    def beyond(start: int, stop: int) -> NDArray[Any]:
        block = np.rint(x_L[start:stop] * full)
        return np.asarray((block - np.clip(block, -full, full - 1)) / full)

    found = Rows(x_L.shape, np.float64, beyond)
    return found if any(np.any(block) for _, block in blocks(found)) else None


@dataclass(frozen=True)
class _Parted:
    """A stem as its file will hold it, what is left of the take then, and how many samples were clipped."""

    x_L: NDArray[Any] | Rows
    take_L: NDArray[Any] | Rows
    subtype: str

    def __call__(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        kind = _dtype(self.subtype)
        block, heard = (np.asarray(each_L[start:stop], np.float64) for each_L in (self.x_L, self.take_L))
        _check_finite(block)
        if self.subtype in _FLOATS:
            stem = block.astype(kind)
            return stem, (heard - stem).astype(kind), 0
        full = 2.0 ** (_PCM_BITS[self.subtype] - 1)
        rounded, whole = np.rint(block * full), np.rint(heard * full)
        fitting = np.clip(rounded, np.maximum(-full, whole - (full - 1)), np.minimum(full - 1, whole + full))
        clipped = int(np.count_nonzero(rounded != fitting))
        return (fitting / full).astype(kind), ((whole - fitting) / full).astype(kind), clipped


def _dtype(subtype: str) -> type[np.floating[Any]]:
    """Return the smallest type that holds samples of a format exactly."""
    return np.float64 if subtype in ("DOUBLE", "PCM_32") else np.float32


def _write_like(target: Path, samples: NDArray[Any] | Rows, like: Recording, mic: int) -> int:
    original = like.mics[mic]
    if clash := same_file(target, like.paths):
        raise OutputError(f"{target} is the input {clash}; choose another --out")
    tags: Mapping[str, str] = {}
    with suppress(sf.SoundFileError, OSError), sf.SoundFile(original.path) as file:
        tags = {key: value for key, value in file.copy_metadata().items() if key != "software"}
    return _write(
        target,
        samples,
        like.sample_rate,
        original.subtype,
        original.format,
        original.endian,
        tags,
        _later(_read_bext(original.path), like.first),
    )


def write(path: AnyPath, x_LM: ArrayLike, sample_rate: int, subtype: str = "PCM_24") -> int:
    """Write audio of any number of channels; the extension of `path` chooses the container.

    Parameters
    ----------
    path : path
        Ends in .wav, .flac, .aiff, .caf, .w64 or .rf64; appears only when it is complete.
    x_LM : array of shape (L, M) or (L,), real floats
        Full scale is 1.
    sample_rate : int
        In hertz.
    subtype : str
        Sample format: PCM_16, PCM_24, PCM_32, FLOAT, DOUBLE, ….

    Returns
    -------
    int
        Number of samples that had to be clipped.

    Raises
    ------
    ArgumentError
        The array, the extension or the subtype cannot be written.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     audio.write(Path(folder, "loud.flac"), [0.0, 0.5, 1.5, -1.5], 44100, "PCM_16")
    2
    """
    target = check_path(path)
    check_count(f"{target}: the sample rate", sample_rate, 1, MOST_RATE)
    container = next((name for name, ends in _SUFFIXES.items() if target.suffix.lower() in ends.split()), None)
    if container is None:
        raise ArgumentError(f"{target}: the extension must be one of {' '.join(_SUFFIXES.values())}")
    if not (subtype in _PCM_BITS or subtype in _FLOATS) or not sf.check_format(container, subtype):
        raise ArgumentError(f"subtype {subtype!r} cannot be written to a {container} file; try PCM_24")
    return _write(target, np.asanyarray(x_LM), sample_rate, subtype, container, "FILE", {}, b"")


def _read_header(path: Path, lossless: bool) -> Any:
    """Open one file, check it by itself, and return it closed, with its header in its attributes."""
    try:
        if path.exists() and not path.is_file():
            raise AudioFileError(f"{path} is not a file; name the audio files themselves")
        with path.open("rb") as plain:  # libsndfile does not say why it cannot open a file
            if not plain.read(1):
                raise AudioFileError(f"{path} is empty; export it again")
        with sf.SoundFile(path) as file:
            header = file
    except AudioFileError:
        raise
    except OSError as error:
        raise AudioFileError(f"{path} cannot be opened: {reason(error)}; check the path") from error
    except (sf.SoundFileError, TypeError, ValueError) as error:
        raise AudioFileError(f"{path} cannot be read as audio: {reason(error)}; convert it to WAV or FLAC") from error
    if header.frames < 1:
        raise AudioFileError(f"{path} holds no samples; export it again")
    if header.frames >= 1 << 48:
        raise AudioFileError(f"{path} does not say how long it is; convert it to WAV or FLAC")
    check_header(path, header, AudioFileError)
    exact = header.format in _CONTAINERS and (header.subtype in _PCM_BITS or header.subtype in _FLOATS)
    if header.format == "AIFF" and _PCM_BITS.get(header.subtype) == 8:
        exact = False  # libsndfile counts the pad byte of an odd length as one more sample
    if lossless and not exact:
        raise AudioFileError(
            f"{path} is {header.format} {header.subtype}, which cannot hold a stem exactly; "
            "convert it to WAV or FLAC first"
        )
    return header


def _check_alike(paths: Sequence[Path], values: Sequence[int], show: Callable[[int], str], remedy: str) -> None:
    """Refuse values that differ, naming the first file that differs from the majority."""
    usual = Counter(values).most_common(1)[0][0]
    for path, value in zip(paths, values):
        if value != usual:
            other = paths[values.index(usual)]
            raise AudioFileError(f"{path} has {show(value)}, but {other} has {show(usual)}; {remedy}")


def _name_mics(paths: Sequence[Path], channels: Sequence[int]) -> list[str]:
    numbers = [str(number) for number in range(1, sum(channels) + 1)]
    if len(paths) == 1 and channels[0] > 1:
        return numbers
    shorter: tuple[Callable[[Path], str], ...] = (lambda path: path.stem, lambda path: path.name, str)
    for shorten in shorter:
        names = []
        for path, count in zip(paths, channels):
            label = shorten(path)
            names += [label] if count == 1 else [f"{label}:{channel}" for channel in range(1, count + 1)]
        if len(set(names)) == len(names):
            return names
    return numbers


def _write(
    target: Path,
    x_LM: NDArray[Any] | Rows,
    sample_rate: int,
    subtype: str,
    container: str,
    endian: str,
    tags: Mapping[str, str],
    bext: bytes,
) -> int:
    """Write next to `target`, check the result and rename it; return the number of clipped samples."""
    if x_LM.ndim not in (1, 2) or 0 in x_LM.shape or not np.issubdtype(x_LM.dtype, np.floating):
        raise ArgumentError(f"audio to write must be floats of shape (samples, mics), got {x_LM.dtype} {x_LM.shape}")
    n_samples, n_channels = len(x_LM), 1 if x_LM.ndim == 1 else x_LM.shape[1]
    step = max(1, _BLOCK // n_channels)
    partial = target.parent / f"{PARTIAL}{secrets.token_hex(8)}"
    clipped = 0
    try:
        partial.touch(exist_ok=False)  # its error says why a file cannot be made; libsndfile's does not
        with sf.SoundFile(partial, "w", sample_rate, n_channels, subtype, endian, container) as file:
            for key, value in tags.items():
                with suppress(sf.SoundFileError):  # some containers hold no text
                    setattr(file, key, value)
            for at in range(0, n_samples, step):
                block, over = _encode(x_LM[at : at + step], subtype)
                clipped += over
                file.write(block)
        _finish(partial, bext)
        with sf.SoundFile(partial) as file:
            if file.frames != n_samples or not file.seek(n_samples - 1) == n_samples - 1 or len(file.read(1)) != 1:
                raise OSError("not all samples arrived")
        os.replace(partial, target)
    except (sf.SoundFileError, OSError, AssertionError, UnicodeError) as error:
        needed = x_LM.size * (_PCM_BITS.get(subtype, 64 if subtype == "DOUBLE" else 32) // 8)
        # libsndfile calls every failure a system error, so ask the disk whether it is full.
        why = "not all samples were taken" if isinstance(error, AssertionError) else reason(error)
        with suppress(OSError):
            if shutil.disk_usage(target.parent).free < needed:
                why = "the disk is full"
        message = f"{target} cannot be written: {why}; free space or choose another --out"
        raise OutputError(message) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return clipped


def _check_finite(x_L: NDArray[Any]) -> None:
    if not np.isfinite(x_L).all():
        raise ArgumentError("audio to write holds NaN or infinite values; this is a fault of what made it")


def _encode(block: NDArray[Any], subtype: str) -> tuple[NDArray[Any], int]:
    """Return samples that libsndfile only has to shift or copy, and how many were clipped."""
    with np.errstate(over="ignore"):
        floats: NDArray[Any] = block.astype(np.float32 if subtype == "FLOAT" else np.float64, order="C")
    _check_finite(floats)
    if subtype in _FLOATS:
        return floats, 0
    bits = _PCM_BITS[subtype]
    full = 2.0 ** (bits - 1)
    rounded = np.rint(floats * full)
    fitting = np.clip(rounded, -full, full - 1)
    return (fitting * 2.0 ** (32 - bits)).astype(np.int32), int(np.count_nonzero(rounded != fitting))


def _finish(path: Path, bext: bytes) -> None:
    """Remove the time of day from the header, add the Broadcast Wave chunk, and force everything to the disk."""
    with path.open("r+b") as file:
        for name, at, _ in _chunks(file)[2]:
            if name == b"PEAK":  # its second word is the time of day, which would make every run differ
                file.seek(at + 4)
                file.write(bytes(4))
        if bext:
            _insert_bext(file, bext)
        file.flush()
        os.fsync(file.fileno())


def _chunks(file: BinaryIO) -> tuple[bytes, _ByteOrder, list[tuple[bytes, int, int]]]:
    """Return the kind of a RIFF or AIFF file, its byte order, and name, position and size of each chunk's content."""
    file.seek(0)
    magic = file.read(12)[:4]
    order: _ByteOrder = "big" if magic in (b"RIFX", b"FORM") else "little"
    chunks: list[tuple[bytes, int, int]] = []
    long_size = 0
    at = 12 if magic in (b"RIFF", b"RIFX", b"RF64", b"FORM") else None
    while at is not None and len(chunks) < _MOST_CHUNKS:
        file.seek(at)
        head = file.read(8)
        name, size = head[:4], int.from_bytes(head[4:], order)
        if len(head) < 8 or not name.decode("latin-1").isprintable():  # the end, or a wrong size led to no chunk
            break
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], order)
        elif name == b"data" and size == 0xFFFFFFFF:
            size = long_size
        chunks.append((name, at + 8, size))
        at += 8 + size + size % 2
    return magic, order, chunks


def _read_bext(path: Path) -> bytes:
    """Return the Broadcast Wave chunk of a file, or nothing."""
    with suppress(OSError), path.open("rb") as file:
        magic, _, chunks = _chunks(file)
        for name, at, size in chunks if magic != b"FORM" else ():
            if name == b"bext" and size <= _MAX_BEXT:
                file.seek(at)
                content = file.read(size)
                return content if len(content) == size else b""
    return b""


def _later(bext: bytes, n_samples: int) -> bytes:
    """Return a Broadcast Wave chunk with its time reference so many samples later."""
    if not n_samples or len(bext) < _TIME.stop:
        return bext
    reference = (int.from_bytes(bext[_TIME], "little") + n_samples) % (1 << 64)
    return bext[: _TIME.start] + reference.to_bytes(8, "little") + bext[_TIME.stop :]


def _insert_bext(file: BinaryIO, bext: bytes) -> None:
    """Put the chunk first, where every program looks for it, and move the rest of the file behind it."""
    magic, order, chunks = _chunks(file)
    first, size_at, width = 12, 4, 4
    if magic == b"RF64":  # its chunk of long sizes must stay first
        first, size_at, width = chunks[0][1] + chunks[0][2], chunks[0][1], 8
    chunk = b"bext" + len(bext).to_bytes(4, order) + bext + bytes(len(bext) % 2)
    file.seek(size_at)
    total = int.from_bytes(file.read(width), order) + len(chunk)
    if magic not in (b"RIFF", b"RIFX", b"RF64") or total >= 1 << (8 * width):
        return
    end = file.seek(0, os.SEEK_END)
    while end > first:
        start = max(first, end - _BLOCK)
        file.seek(start)
        moving = file.read(end - start)
        file.seek(start + len(chunk))
        file.write(moving)
        end = start
    file.seek(first)
    file.write(chunk)
    file.seek(size_at)
    file.write(total.to_bytes(width, order))
