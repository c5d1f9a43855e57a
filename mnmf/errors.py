"""Every error this library raises on purpose, and the checks of arrays used at public functions.

Each error is a `MnmfError` as well as the builtin it refines, so both ``except MnmfError`` and ``except ValueError``
work.  A message is one line that names the file, microphone or argument and says what to do about it.  Checks of
files live where files are opened (`mnmf.audio`, `mnmf.markers`, `mnmf.session`); kernels check nothing.

An array whose axes are in another order is the most frequent mistake, so the checks of shapes look for it and say how
to transpose it.  They refuse an order only where it is certain to be wrong: short audio and small spectrograms pass.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FAINTEST",
    "LOUDEST",
    "MOST",
    "MOST_COMPONENTS",
    "MOST_RATE",
    "ArgumentError",
    "AudioFileError",
    "EstimatorError",
    "MarkerError",
    "MnmfError",
    "NotFittedError",
    "OutputError",
    "SessionError",
    "check_array",
    "check_audio",
    "check_choice",
    "check_count",
    "check_number",
    "check_numeric",
    "check_rng",
    "check_shape",
    "check_spectrogram",
    "nearest",
    "peak",
]

# An axis of more than so many microphones, and so many times longer than another one, is an axis of samples or frames.
MOST_MICS = 64
LONGER = 16
# What no recording and no model exceeds.  Powers of samples must still be numbers, and bases fit into a memory.
LOUDEST = 1e10
FAINTEST = 1e-12  # of a take: below it powers are lost in rounding
MOST_RATE = 1_000_000  # Hz
MOST_SEEDS = 64  # numbers of one seed
MOST_COMPONENTS = 10_000
MOST = 1 << 40
LONGEST_NAME = 100  # characters of a name that are compared with others
AT_A_TIME = 2**16  # numbers that are looked at


class MnmfError(Exception):
    """Base of every error raised by mnmf.

    Examples
    --------
    >>> from mnmf.errors import ArgumentError, MnmfError
    >>> issubclass(ArgumentError, MnmfError), issubclass(ArgumentError, ValueError)
    (True, True)
    """


class ArgumentError(MnmfError, ValueError):
    """An argument or an array has a value that cannot be used; the message is one line, whatever it shows."""

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(message.split("\n")))


class AudioFileError(MnmfError, OSError):
    """An audio file cannot be read, or holds something that cannot be separated."""


class MarkerError(MnmfError, ValueError):
    """A marker file cannot be read, or its markers contradict each other or the take."""


class SessionError(MnmfError, ValueError):
    """Takes, microphones, sources and solo passages do not fit together."""


class EstimatorError(MnmfError, RuntimeError):
    """What should estimate the sources failed, or is not installed."""


class OutputError(MnmfError, OSError):
    """A result cannot be written, or writing it would overwrite something."""


class NotFittedError(MnmfError, ValueError, AttributeError):
    """A model was asked for results before `fit`."""


def check_numeric(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as an array of numbers, without a copy if it is one.

    Raises
    ------
    ArgumentError
        It holds something else, or its rows are not equally long.

    Examples
    --------
    >>> from mnmf.errors import check_numeric
    >>> check_numeric("x_LM", [[0.0, 1.0], [0.5]])
    Traceback (most recent call last):
    mnmf.errors.ArgumentError: x_LM must be an array of numbers, its rows equally long, got [[0.0, 1.0], [0.5]]
    """
    if isinstance(value, range):  # it may stand for more numbers than fit into a memory
        raise ArgumentError(f"{name} must be an array of numbers, got {_shown(value)}")
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and all(each is not None for each in array.flat):
            array = array.astype(np.complex128 if any(map(np.iscomplexobj, array.flat)) else np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(
            f"{name} must be an array of numbers, its rows equally long, got {_shown(value)}"
        ) from error
    if array.dtype.kind not in "biufc":
        raise ArgumentError(f"{name} must be an array of numbers, got {_described(array)}")
    return array


def check_spectrogram(X_FTM: Any, name: str = "X_FTM") -> NDArray[Any]:
    """Return `X_FTM` if it is a finite complex array of shape (F, T, M), none of them zero.

    Raises
    ------
    ArgumentError
        Wrong type or rank, an empty axis, axes that must be (M, F, T), or NaN or infinite values.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.errors import ArgumentError, check_spectrogram
    >>> try:
    ...     check_spectrogram(np.zeros((4, 1025, 300), complex))
    ... except ArgumentError as error:
    ...     print(str(error).split("; ")[1])
    if it is (mics, frequencies, frames), transpose it: np.transpose(X_FTM, (1, 2, 0))
    """
    array = check_numeric(name, X_FTM)
    if array.ndim != 3 or 0 in array.shape:
        raise ArgumentError(
            f"{name} must be a spectrogram of shape (frequencies, frames, mics), got {_described(array)}; "
            "STFT.analyse makes one"
        )
    if not np.iscomplexobj(array):
        raise ArgumentError(f"{name} must be complex, got {array.dtype}; pass the STFT itself, not its magnitude")
    # A single frequency, as the time-domain model takes it, may have more microphones than that.
    first, middle, last = array.shape
    by_mics = _mics_come_first(first, last) or (first <= MOST_MICS < middle and 4 * first < last)
    if first > 1 and by_mics:
        raise ArgumentError(
            f"{name} must be a spectrogram of shape (frequencies, frames, mics), got {_described(array)}; "
            f"if it is (mics, frequencies, frames), transpose it: np.transpose({name}, (1, 2, 0))"
        )
    if not _finite(array):
        raise ArgumentError(f"{name} holds NaN or infinite values; clean the recording first")
    return array


def check_audio(x_LM: Any, name: str = "x_LM", loudest: float = LOUDEST) -> NDArray[Any]:
    """Return `x_LM` if it is a real array of shape (L, M), finite and nowhere beyond `loudest`, as floats.

    Raises
    ------
    ArgumentError
        Wrong rank, no samples, axes that must be (M, L), complex, or NaN, infinite or enormous values.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.errors import check_audio
    >>> check_audio(np.zeros((44100, 4), np.int16)).dtype
    dtype('float64')
    """
    array = check_numeric(name, x_LM)
    if array.ndim != 2 or 0 in array.shape:
        raise ArgumentError(f"{name} must be audio of shape (samples, mics), got {_described(array)}")
    if _mics_come_first(*array.shape):
        raise ArgumentError(f"{name} must be audio of shape (samples, mics), got {array.shape}; transpose it: {name}.T")
    if np.iscomplexobj(array):
        raise ArgumentError(f"{name} must be real audio, got {array.dtype}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if not _finite(array):
        raise ArgumentError(f"{name} holds NaN or infinite values; clean the recording first")
    if peak(array) > loudest:
        raise ArgumentError(f"{name} holds values beyond {loudest:g}, which is no sound; scale it to a full scale of 1")
    return array


def peak(x: NDArray[Any]) -> float:
    """Return the largest absolute value of a real array that is not empty, without a copy of it.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.errors import peak
    >>> peak(np.array([0.5, -0.75]))
    0.75
    """
    return max(float(np.max(x)), -float(np.min(x)))


def check_shape(name: str, value: Any, shape: Sequence[int | None], axes: str) -> NDArray[Any]:
    """Return `value` as an array if it has `shape`, where None is any length.

    `axes` spells the shape for the message, as in ``"(N, F, K)"``.  If another order of the axes would do, the message
    says which.

    Raises
    ------
    ArgumentError
        The shape differs.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.errors import ArgumentError, check_shape
    >>> try:
    ...     check_shape("W", np.ones((7, 2, 4)), (2, 7, None), "(N, F, K)")
    ... except ArgumentError as error:
    ...     print(error)
    W must have shape (N, F, K) = (2, 7, any), got float64 of shape (7, 2, 4); transpose it: np.transpose(W, (1, 0, 2))
    """
    array = check_numeric(name, value)
    if not _fits(array.shape, shape):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        if len(shape) == 1:
            wanted += ","
        raise ArgumentError(
            f"{name} must have shape {axes} = ({wanted}), got {_described(array)}{_remedy(name, array.shape, shape)}"
        )
    return array


def check_array(
    name: str,
    value: Any,
    shape: Sequence[int | None],
    axes: str,
    *,
    nonnegative: bool = False,
) -> NDArray[Any]:
    """Return `value` as an array of `shape` (None: any length), finite and, if asked, without negative entries.

    `axes` spells the shape for the message, as in ``"(N, F, K)"``.

    Raises
    ------
    ArgumentError
        The shape differs, or a value is not finite, or negative where it must not be.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.errors import check_array
    >>> check_array("G", [[1, 0], [0, 1]], (2, 2), "(N, M)", nonnegative=True).shape
    (2, 2)
    """
    array = check_shape(name, value, shape, axes)
    if not _finite(array):
        raise ArgumentError(f"{name} holds NaN or infinite values")
    if nonnegative and np.iscomplexobj(array):
        raise ArgumentError(f"{name} must be real, got {array.dtype}")
    if nonnegative and np.any(array < 0):
        raise ArgumentError(f"{name} must not be negative; its smallest value is {array.min():g}")
    return array


def check_count(name: str, value: Any, at_least: int = 1, at_most: int = MOST) -> int:
    """Return `value` as an int from `at_least` to `at_most`, else raise `ArgumentError`.

    Examples
    --------
    >>> from mnmf.errors import check_count
    >>> check_count("n_sources", 3)
    3
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < at_least:
        raise ArgumentError(f"{name} must be a whole number of at least {at_least}, got {_shown(value)}")
    if value > at_most:
        raise ArgumentError(f"{name} must be at most {at_most}, got {_shown(value)}")
    return int(value)


def check_number(name: str, value: Any, low: float, high: float, unit: str = "") -> float:
    """Return `value` as a float if it is a number from `low` to `high` and finite, else raise `ArgumentError`.

    Examples
    --------
    >>> from mnmf.errors import check_number
    >>> check_number("leak", 1, 0.0, 1.0)
    1.0
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    try:
        number = float(value) if real else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high:
        span = f"of at least {low:g}{unit}" if np.isinf(high) else f"from {low:g} to {high:g}{unit}"
        raise ArgumentError(f"{name} must be a number {span}, got {_shown(value)}")
    return number


def check_rng(rng: Any) -> np.random.Generator:
    """Return the generator `rng` is or seeds (None: seed 0), else raise `ArgumentError`.

    Examples
    --------
    >>> from mnmf.errors import check_rng
    >>> bool(check_rng(5).integers(10) == check_rng(5).integers(10))
    True
    """
    try:
        if isinstance(rng, Sequence) and len(rng) > MOST_SEEDS:
            raise TypeError("too long")
        return np.random.default_rng(0 if rng is None else rng)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(
            f"rng must be a numpy.random.Generator or a seed of at least 0, got {_shown(rng)}"
        ) from error


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`, else raise `ArgumentError` listing them.

    Examples
    --------
    >>> from mnmf.errors import check_choice
    >>> check_choice("kernel", "time", ("time", "frequency"))
    'time'
    """
    if not isinstance(value, str) or value not in choices:
        near = nearest(value, choices) if isinstance(value, str) else ""
        raise ArgumentError(f"{name} must be one of {', '.join(choices)}; got {_shown(value)}{near}")
    return str(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'NAME'?)"`` with the nearest of the known names, or nothing if none is near.

    Examples
    --------
    >>> from mnmf.errors import nearest
    >>> nearest("solo_take", ["solos", "solo-take", "spots"])
    " (did you mean 'solo-take'?)"
    """
    folded = {each.casefold()[:LONGEST_NAME]: each for each in known}
    found = difflib.get_close_matches(name.casefold()[:LONGEST_NAME], list(folded), 1)
    return f" (did you mean {folded[found[0]]!r}?)" if found else ""


def _shown(value: Any) -> str:
    """Return a value as a message shows it, in one line of a bounded length."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"  # which Python may refuse to spell
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:79] + "…"


def _described(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _finite(array: NDArray[Any]) -> bool:
    """Return whether every value is finite, looking at so much at a time as stays in the processor's caches."""
    if not array.flags.c_contiguous:
        return bool(np.all(np.isfinite(array)))
    flat = array.reshape(-1).view(array.real.dtype)  # parts of complex numbers are tested in a quarter of the time
    return all(np.isfinite(flat[first : first + AT_A_TIME]).all() for first in range(0, flat.size, AT_A_TIME))


def _mics_come_first(first: int, last: int) -> bool:
    """Return whether what should be the many comes last and what should be the microphones first."""
    return first <= MOST_MICS < last and LONGER * first <= last


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(want is None or want == got for want, got in zip(wanted, shape))


def _remedy(name: str, shape: Sequence[int], wanted: Sequence[int | None]) -> str:
    """Return how to transpose an array into the shape that is wanted, moving as few axes as possible, or nothing."""
    if len(shape) != len(wanted):
        return ""
    orders = [axes for axes in permutations(range(len(shape))) if _fits([shape[a] for a in axes], wanted)]
    if not orders:
        return ""
    order = min(orders, key=lambda axes: sum(a != place for place, a in enumerate(axes)))
    return f"; transpose it: np.transpose({name}, {order})"
