"""Short-time Fourier analysis and synthesis with perfect reconstruction, for any window, hop and length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from mnmf.errors import MOST_RATE, ArgumentError, check_audio, check_choice, check_count, check_number

__all__ = ["STFT", "WINDOWS", "Analysis", "Waveform", "window_samples"]

Array = NDArray[Any]

WINDOWS: dict[str, Callable[[Array], Array]] = {
    # of the relative position 0..1 in the window; neither reaches zero, so every sample can be recovered
    "half-sine": lambda u: np.sin(np.pi * u),
    "hann": lambda u: np.sin(np.pi * u) ** 2,
}

SHORTEST = 1e-3  # seconds of a window: less resolves no music
LONGEST = 60.0  # seconds of a window: beyond it nothing is gained and memory runs out
BLOCK = 256  # frames that are made before they are added up: bounds memory
AT_A_TIME = 2**21  # bytes of frames that a thread transforms at a time, on any number of threads


@dataclass(frozen=True)
class STFT:
    """Analysis and synthesis with one window and hop.

    Parameters
    ----------
    window_length : int
        Samples in a window, an even number; there are ``window_length // 2 + 1`` frequencies.
    hop : int, optional
        Samples from one frame to the next, at most `window_length`; half a window if not given.
    window : {"half-sine", "hann"}
        The analysis window.  Synthesis uses its canonical dual, so that ``synthesise(analyse(x))`` is ``x``.

    Raises
    ------
    ArgumentError
        The window is odd or shorter than 2, the hop is not within it, or the window is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import STFT
    >>> x_LM = np.random.default_rng(0).standard_normal((1000, 2))
    >>> stft = STFT(window_length=64, hop=16)
    >>> X_FTM = stft.analyse(x_LM)
    >>> X_FTM.shape
    (33, 66, 2)
    >>> np.allclose(stft.synthesise(X_FTM, len(x_LM)), x_LM)
    True
    """

    window_length: int = 2048
    hop: int = 0
    window: str = "half-sine"

    def __post_init__(self) -> None:
        check_count("window_length", self.window_length, 2, int(LONGEST) * MOST_RATE)
        if self.window_length % 2:
            raise ArgumentError(f"window_length must be even, got {self.window_length}")
        if self.hop == 0:
            object.__setattr__(self, "hop", self.window_length // 2)
        check_count("hop", self.hop)
        if self.hop > self.window_length:
            raise ArgumentError(f"hop must be at most window_length = {self.window_length}, got {self.hop}")
        check_choice("window", self.window, tuple(WINDOWS))

    @property
    def n_frequencies(self) -> int:
        """Number of frequency bins F."""
        return self.window_length // 2 + 1

    def frequencies(self, sample_rate: float) -> Array:
        """Return the centre of each bin in hertz, float64 (F,)."""
        check_number("sample_rate", sample_rate, 0.0, MOST_RATE, " Hz")
        return np.arange(self.n_frequencies) * sample_rate / self.window_length

    def times(self, sample_rate: float, n_samples: int) -> Array:
        """Return the middle of each frame of a signal of `n_samples` in seconds, float64 (T,).

        Frames at both ends reach beyond the signal, so the first and the last middles may lie outside it.
        """
        check_number("sample_rate", sample_rate, 0.0, MOST_RATE, " Hz")
        starts_T = np.arange(self.n_frames(n_samples)) * self.hop - self._lead
        return (starts_T + self.window_length / 2) / sample_rate

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames T of a signal of `n_samples`."""
        return -(-(n_samples + self._lead) // self.hop)

    def analyse(self, x_LM: Array) -> Array:
        """Return the spectrogram of a recording.

        Parameters
        ----------
        x_LM : float32 or float64, shape (samples, mics)

        Returns
        -------
        X_FTM : complex64 or complex128 (as the input), shape (frequencies, frames, mics), C-contiguous.
            Frame t starts at sample ``t·hop − lead``, where lead is the whole number of hops next below a window:
            so the first and last samples are covered by as many frames as any other.
        """
        x_LM = check_audio(x_LM)
        if x_LM.dtype != np.float32:
            x_LM = x_LM.astype(np.float64, copy=False)
        n_samples, n_mics = x_LM.shape
        n_frames = self.n_frames(n_samples)
        window = self._windows()[0].astype(x_LM.dtype)
        X_FTM = np.empty((self.n_frequencies, n_frames, n_mics), np.result_type(x_LM.dtype, np.complex64))

        def work(frames: slice) -> None:
            span_ML = self._span(x_LM, frames.start, frames.stop)
            waves_MTL = np.lib.stride_tricks.sliding_window_view(span_ML, self.window_length, axis=1)[:, :: self.hop]
            X_FTM[:, frames] = scipy.fft.rfft(waves_MTL * window, axis=-1).T

        _on_threads(work, n_frames, n_mics * self.window_length * window.itemsize)
        return X_FTM

    def synthesise(self, X_FTM: Array, n_samples: int) -> Array:
        """Return the signal of `n_samples` samples whose spectrogram is nearest to `X_FTM`.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M) or (F, T)
        n_samples : int
            Length of the recording that was analysed.

        Returns
        -------
        x_LM : float32 or float64 (as the input), shape (samples, mics) or (samples,)

        Raises
        ------
        ArgumentError
            `X_FTM` was not made by this analysis from `n_samples` samples.
        """
        check_count("n_samples", n_samples)
        wanted = (self.n_frequencies, self.n_frames(n_samples))
        if X_FTM.ndim not in (2, 3) or X_FTM.shape[:2] != wanted:
            raise ArgumentError(
                f"X_FTM must have {wanted[0]} frequencies and {wanted[1]} frames to give {n_samples} samples, "
                f"got shape {X_FTM.shape}"
            )
        real = np.finfo(X_FTM.dtype).dtype
        window = self._windows()[1].astype(real)
        x = np.zeros((*X_FTM.shape[2:], n_samples), real)
        for first in range(0, X_FTM.shape[1], BLOCK):
            for t, frame in enumerate(np.moveaxis(self._waves(X_FTM[:, first : first + BLOCK], window), -2, 0), first):
                start = t * self.hop - self._lead
                begin, end = max(start, 0), min(start + self.window_length, n_samples)
                x[..., begin:end] += frame[..., begin - start : end - start]
        return np.ascontiguousarray(x.T)

    def frames(self, start: float, stop: float, n_samples: int) -> slice:
        """Return the frames that lie wholly within the samples `start` to `stop` of a signal of `n_samples`.

        A span shorter than a window has none; then the frames centred in it are given, or the one nearest to it.
        """
        first = int(np.ceil((start + self._lead) / self.hop))
        last = int(np.floor((stop + self._lead - self.window_length) / self.hop)) + 1
        if last <= first:
            centre = self._lead - self.window_length / 2
            first = int(np.ceil((start + centre) / self.hop))
            last = int(np.ceil((stop + centre) / self.hop))
        if last <= first:
            first = round(((start + stop) / 2 + self._lead - self.window_length / 2) / self.hop)
            last = first + 1
        n_frames = self.n_frames(n_samples)
        first = min(max(first, 0), n_frames - 1)
        return slice(first, min(max(last, first + 1), n_frames))

    def span(self, frame: int) -> tuple[int, int]:
        """Return the samples, from start to stop (exclusive), under the window of a frame; they may lie outside."""
        start = frame * self.hop - self._lead
        return start, start + self.window_length

    def covered(self, start: int, stop: int, n_samples: int) -> Array:
        """Return which part of the energy of each frame's window lies in samples `start` to `stop`, float64 (T,).

        Of the window as far as it lies in the signal of `n_samples`.
        """
        sums = np.concatenate([[0.0], np.cumsum(self._windows()[0] ** 2)])
        starts_T = np.arange(self.n_frames(n_samples)) * self.hop - self._lead

        def inside(first: int, last: int) -> Array:
            first_T, last_T = (np.clip(sample - starts_T, 0, self.window_length) for sample in (first, last))
            return np.asarray(sums[last_T] - sums[first_T])

        return inside(start, stop) / inside(0, n_samples)

    @property
    def _lead(self) -> int:
        """Zeros before the first sample."""
        return (-(-self.window_length // self.hop) - 1) * self.hop

    def _span(self, x_LM: Array, first: int, last: int) -> Array:
        """Return the samples under frames `first` to `last`, (M, samples), with zeros beyond both ends."""
        start = first * self.hop - self._lead
        stop = (last - 1) * self.hop - self._lead + self.window_length
        span_ML = np.zeros((x_LM.shape[1], stop - start), x_LM.dtype)
        begin, end = max(start, 0), min(stop, len(x_LM))
        span_ML[:, begin - start : end - start] = x_LM[begin:end].T
        return span_ML

    def _waves(self, X_FTM: Array, window: Array) -> Array:
        """Return the waves of some frames, windowed, (M, T, window), or (T, window) of one microphone."""
        waves = np.empty((*X_FTM.shape[:0:-1], self.window_length), window.dtype)

        def work(frames: slice) -> None:
            part = scipy.fft.irfft(X_FTM[:, frames].T, self.window_length, axis=-1)
            np.multiply(part, window, out=waves[..., frames, :])

        _on_threads(work, X_FTM.shape[1], waves[..., 0, :].nbytes)
        return waves

    def _windows(self) -> tuple[Array, Array]:
        return _window_pair(self.window_length, self.hop, self.window)


@dataclass(frozen=True)
class Waveform:
    """The analysis of a method that works on waveforms: one "frequency", and a frame a sample.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.stft import Waveform
    >>> Waveform().analyse(np.ones((5, 2), np.float32)).shape
    (1, 5, 2)
    """

    n_frequencies: int = 1

    def analyse(self, x_LM: Array) -> Array:
        """Return a recording (L, M) as a complex array (1, L, M)."""
        x_LM = check_audio(x_LM)
        return x_LM[None].astype(np.result_type(x_LM.dtype, np.complex64))

    def synthesise(self, X_FTM: Array, n_samples: int) -> Array:
        """Return the recording (L, M), or (L,), that `analyse` made (1, L, M), or (1, L), of."""
        if X_FTM.shape[:2] != (1, n_samples):
            raise ArgumentError(f"X_FTM must have 1 frequency and {n_samples} frames, got shape {X_FTM.shape}")
        return np.array(X_FTM[0].real)

    def frequencies(self, sample_rate: float) -> Array:
        """Return the frequency of the only bin: all of them, so none."""
        return np.zeros(1)

    def frames(self, start: float, stop: float, n_samples: int) -> slice:
        """Return the samples from `start` to `stop`."""
        return slice(round(start), min(round(stop), n_samples))

    def covered(self, start: int, stop: int, n_samples: int) -> Array:
        """Return 1 for the samples `start` to `stop`, 0 for the others, float64 (L,)."""
        sample_L = np.arange(n_samples)
        return ((sample_L >= start) & (sample_L < stop)).astype(np.float64)


class Analysis(Protocol):
    """What turns a recording into what a model sees, and back: an `STFT`, or the `Waveform` itself."""

    @property
    def n_frequencies(self) -> int:
        """Number of frequencies F."""

    def analyse(self, x_LM: Array) -> Array:
        """Return the spectrogram (F, T, M) of a recording (L, M)."""

    def synthesise(self, X_FTM: Array, n_samples: int) -> Array:
        """Return the recording of a spectrogram."""

    def frequencies(self, sample_rate: float) -> Array:
        """Return the frequency of each bin in hertz."""

    def frames(self, start: float, stop: float, n_samples: int) -> slice:
        """Return the frames that lie wholly within the samples `start` to `stop`."""

    def covered(self, start: int, stop: int, n_samples: int) -> Array:
        """Return which part of each frame lies in the samples `start` to `stop`, 0 to 1."""


@cache
def _window_pair(length: int, hop: int, name: str) -> tuple[Array, Array]:
    """Return the analysis window and its dual, by which overlapped and added frames sum to the signal."""
    window = WINDOWS[name]((np.arange(length) + 0.5) / length)
    overlapped = np.zeros(hop)
    for start in range(0, length, hop):
        part = window[start : start + hop] ** 2
        overlapped[: len(part)] += part
    return window, window / overlapped[np.arange(length) % hop]


def _on_threads(work: Callable[[slice], None], n_frames: int, size: int) -> None:
    """Call `work` with slices of the frames, of which each takes `size` bytes."""
    from mnmf.kernels._threads import share_out  # loads numba, which takes longer than all else that is imported here

    step = max(AT_A_TIME // size, 1)
    share_out(lambda part: work(slice(part * step, min((part + 1) * step, n_frames))), -(-n_frames // step))


def window_samples(seconds: float, sample_rate: float) -> int:
    """Return the window length next to `seconds` that transforms fast: a multiple of 4 without factors above 5.

    So the time resolution is the same at any rate, and a half or quarter of a window is a whole number of samples.

    Examples
    --------
    >>> from mnmf.stft import window_samples
    >>> window_samples(0.743, 44100), window_samples(0.743, 48000)
    (32768, 36000)
    """
    seconds = check_number("the window", seconds, SHORTEST, LONGEST, " s")
    check_number("sample_rate", sample_rate, 0.0, MOST_RATE, " Hz")
    wanted = max(seconds * sample_rate / 4, 1.0)
    above = scipy.fft.next_fast_len(int(np.ceil(wanted)), real=True)
    below = scipy.fft.prev_fast_len(max(int(wanted), 1), real=True)
    return 4 * int(above if above - wanted < wanted - below else below)
