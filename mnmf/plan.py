"""What a separation will need, from nothing but the headers of a take: memory, disk and time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from time import perf_counter
from typing import NamedTuple

import numpy as np

from mnmf.errors import ArgumentError, check_count, check_number
from mnmf.methods import METHODS, Method
from mnmf.methods._trusting import LOW_BASES, NOTES
from mnmf.models import FastMNMF2
from mnmf.segments import LEARNED, SEGMENT, SHARED, segments_of, teaching
from mnmf.stft import window_samples

__all__ = ["Plan", "Size", "foreseen_seconds", "memory_of", "plan", "plan_within"]

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
QUICK = "fastmnmf2"  # what needs less memory
SHORTEST = 15.0  # seconds of the segments that a limit of memory may lead to: shorter ones are separated worse
STEP = 5.0  # seconds by which segments are shortened until they fit
LONGER_WINDOWS = 2  # times `Method.longer_window`, at most, is the window where solos hold

# How many bytes are there at the peak, fitted to runs with 2 to 16 microphones and windows of 0.4 to 3 s, rounded up;
# benchmarks/long_memory.py prints what they foresee beside what it measured.
PROGRAM = 290e6  # the program and its libraries
KEPT_ROOMS = 3  # of what describes the room on the disk at a time, one of them half written


class _Needs(NamedTuple):
    """What a method holds at its peak."""

    of_a_sample: float  # bytes, of a segment, whatever the number of microphones: spectrograms of one source
    of_a_mic: float  # bytes, for each sample of a segment at a microphone: spectrograms of the mixture, some muted
    spatial: float  # complex numbers, of 16 bytes, for each frequency and pair of microphones
    each: bool  # and for each source
    bases: float  # numbers of 8 bytes for each source, frequency and component


FULL_RANK = _Needs(of_a_sample=103.0, of_a_mic=46.0, spatial=2.9, each=True, bases=7.3)
DEMIXING = _Needs(of_a_sample=0.0, of_a_mic=50.0, spatial=4.0, each=False, bases=2.0)

# How long a segment of a minute of 4 mics at 44.1 kHz takes, on two cores that need YARDSTICK for `_yardstick`.
YARDSTICK = 0.011
START, LEARNING, FITTING = 8.0, 2.1, 1.0  # seconds to look at it; for an update with covariances, and without
TEACHING = 0.5  # of that for a segment that teaches the room, of which few frames are looked at in short windows
FEW_FRAMES = 1.0  # seconds of a window, up to which few frames are looked at
DEMIXED = 0.25  # of that for an update of demixing matrices
EXPONENT = 2.2  # of the number of microphones; to look at it grows with that of sources


@dataclass(frozen=True)
class Size:
    """The size of a take, as headers tell it.

    Attributes
    ----------
    n_samples, sample_rate, n_mics, n_sources : int
    solos : bool
        Whether every source has a solo: then windows may be longer.
    double : bool
        Whether samples have double precision, as those of files of 32 bits have.
    shared : bool
        Whether two sources share a spot: then a take is fitted in one piece.
    estimated : bool
        Whether there are estimates of the sources, which are in memory as a whole, and the take with them.
    learned : bool
        Whether a room is given, so that neither method nor window can be chosen.
    n_bleed : int
        How many images of sources at further microphones are kept until the run is done.

    Examples
    --------
    >>> Size(7200 * 48000, 48000, n_mics=24, n_sources=22).n_mics
    24
    """

    n_samples: int
    sample_rate: int
    n_mics: int
    n_sources: int
    solos: bool = False
    double: bool = False
    shared: bool = False
    estimated: bool = False
    learned: bool = False
    n_bleed: int = 0


@dataclass(frozen=True)
class Plan:
    """What a separation will need.

    Attributes
    ----------
    size : Size
    segment : float
        Seconds of a segment; infinite for one piece.
    spans : sequence of (start, stop)
        The segments, in samples.
    window : float
        The longest analysis window that the method may take, in seconds.
    memory : float
        Bytes that the process will hold at its peak.
    of_covariances : float
        Those of them that what describes the room takes; spatial covariances grow with the cube of the number of mics.
    disk : float
        Bytes that are kept beside the results until all segments are finished.
    demixing : bool
        Whether the method learns demixing matrices instead of covariances.

    Examples
    --------
    >>> from mnmf import METHODS
    >>> plan(METHODS["mnmf"], Size(30 * 44100, 44100, 4, 4)).spans
    ((0, 1323000),)
    """

    size: Size
    segment: float
    spans: tuple[tuple[int, int], ...]
    window: float
    memory: float
    of_covariances: float
    disk: float
    demixing: bool = False


def plan(
    method: Method,
    size: Size,
    *,
    segment: float | None = None,
    window: float | None = None,
    components: int | None = None,
) -> Plan | None:
    """Return what a separation will need, or None where that is not known.

    Parameters
    ----------
    method : Method
    size : Size
    segment, window, components
        As of `mnmf.separate`; the method's own if not given.

    Examples
    --------
    >>> from mnmf import METHODS
    >>> long = plan(METHODS["mnmf"], Size(600 * 44100, 44100, 4, 4))
    >>> len(long.spans), long.memory < 2e9, long.disk < 1e9
    (10, True, True)
    >>> plan(METHODS["kamir"], Size(600 * 44100, 44100, 4, 4)) is None
    True
    """
    if not method.segments:
        return None
    segment = np.inf if size.shared else SEGMENT if segment is None else segment
    longest = window if window is not None else _longest_window(method, size, segment)
    needs = DEMIXING if isinstance(method.model(1, 1), FastMNMF2) else FULL_RANK
    length = window_samples(longest, size.sample_rate)
    components = method.components if components is None else check_count("components", components)
    spans = [(0, size.n_samples)]
    if segment != np.inf:
        check_number("segment", segment, 1.0, np.inf, " s")
        whole = round(min(segment, size.n_samples / size.sample_rate) * size.sample_rate)
        spans = segments_of(size.n_samples, max(whole, SHARED * length), length)
    n_samples = max(stop - start for start, stop in spans) + length  # frames reach beyond both ends
    bins = length // 2 + 1
    spatial = 16 * bins * size.n_mics**2 * (size.n_sources if needs.each else 1)
    of_covariances = needs.spatial * spatial
    kinds = 2 if size.double else 1
    samples = kinds * n_samples * (needs.of_a_sample + needs.of_a_mic * size.n_mics)
    if size.estimated:
        samples += 4.0 * kinds * size.n_samples * (2 * size.n_mics + 2 * size.n_sources)
    if size.shared and needs.each:
        components *= NOTES
    bases = 8 * needs.bases * size.n_sources * bins * components
    if len(spans) == 1 and needs.each:
        bases *= (LOW_BASES + 2) / 2  # three bands instead of two
        of_covariances += spatial  # the covariances that R is drawn to
    disk = 0.0
    if len(spans) > 1 or size.n_bleed:
        kept = sum(stop - start for start, stop in spans)
        disk = 4.0 * kinds * kept * (size.n_sources + size.n_bleed)
    if len(spans) > 1:
        disk += KEPT_ROOMS * spatial
    memory = PROGRAM + samples + of_covariances + bases
    return Plan(size, segment, tuple(spans), longest, memory, of_covariances, disk, needs is DEMIXING)


def _longest_window(method: Method, size: Size, segment: float) -> float:
    """Return the longest window in seconds that a method may choose."""
    if size.solos and method.longer_window:
        return LONGER_WINDOWS * method.longer_window
    return method.learning_window(teaching(size.n_samples / size.sample_rate, segment), size.n_mics)


def plan_within(
    method: Method, size: Size, most: float, why: str = "--memory", **given: float | int | None
) -> Plan | None:
    """Return a plan that needs no more than `most` bytes, with the method's own window and shorter segments if need be.

    Neither is changed where it is given, nor the window where every source has a solo, since it depends on those.

    `why` says in a message what the limit is.

    Raises
    ------
    ArgumentError
        There is none; the message says what would do.

    Examples
    --------
    >>> from mnmf import METHODS
    >>> plan_within(METHODS["mnmf"], Size(600 * 44100, 44100, 4, 4), 700e6).segment < 60.0
    True
    """
    first = plan(method, size, **given)  # type: ignore[arg-type]
    if first is None or first.memory <= most:
        return first
    tried = [first]
    if given.get("window") is None and not size.solos and first.window > method.window:
        given = given | {"window": method.window}
        again = plan(method, size, **given)  # type: ignore[arg-type]
        assert again is not None
        if again.memory <= most:
            return again
        tried.append(again)
    if given.get("segment") is None:
        shorter = takewhile(lambda seconds: seconds >= SHORTEST, (SEGMENT - STEP * k for k in range(1, 100)))
        for seconds in shorter:
            again = plan(method, size, **(given | {"segment": seconds}))  # type: ignore[arg-type]
            assert again is not None
            if again.memory <= most:
                return again
            tried.append(again)
    least = min(tried, key=lambda each: each.memory)
    raise ArgumentError(
        f"{why}: {method.name} needs about {_shown(least.memory)} for {size.n_mics} mics"
        f"{_of_which(least)}, more than {_shown(most)}; {_remedy(method, size, most, given)}"
    )


def foreseen_seconds(plan: Plan, iterations: int) -> float:
    """Return roughly how long a separation will take on this machine.

    Examples
    --------
    >>> from mnmf import METHODS
    >>> short, long = (plan(METHODS["mnmf"], Size(60 * k * 44100, 44100, 4, 4)) for k in (1, 60))
    >>> foreseen_seconds(short, 10) < foreseen_seconds(long, 10)
    True
    """
    size, count = plan.size, len(plan.spans)
    minutes = sum(stop - start for start, stop in plan.spans) / (60 * 44100)
    learned = min(count, LEARNED) / count if count > 1 else 0.0
    held = count > 1 or size.solos
    start = START * size.n_sources / 4
    update = (DEMIXED if plan.demixing else 1.0) * (size.n_mics / 4) ** EXPONENT
    of_a_minute = start + iterations * update * (FITTING if held else LEARNING)
    few = TEACHING if plan.window <= FEW_FRAMES else 1.0
    whole = of_a_minute + few * learned * (start + iterations * update * LEARNING)
    return float(minutes * whole * _yardstick() / YARDSTICK)


def _yardstick() -> float:
    """Return the seconds of a transform, of the best of some."""
    x = np.ones(1 << 19)
    taken = []
    for _ in range(5):
        start = perf_counter()
        np.fft.rfft(x)
        taken.append(perf_counter() - start)
    return min(taken)


def _of_which(plan: Plan) -> str:
    if plan.of_covariances < plan.memory / 3:
        return ""
    return f" ({_shown(plan.of_covariances)} of it for spatial covariances)"


def _remedy(method: Method, size: Size, most: float, given: dict[str, float | int | None]) -> str:
    """Return what would need less memory, as the end of a message."""
    if size.learned:
        return "take a model with a shorter window, or of a method that needs less"
    for window in (method.window, method.window / 2, method.window / 4):
        if window != method.window and method.name != QUICK:
            segment = given.get("segment") or SHORTEST
            quick = plan(METHODS[QUICK], size, **(given | {"segment": segment}))  # type: ignore[arg-type]
            if quick is not None and quick.memory <= most:
                return f"--method {QUICK} would do"
        shorter = plan(method, size, **(given | {"window": window, "segment": SHORTEST}))  # type: ignore[arg-type]
        if window and shorter is not None and shorter.memory <= most:
            return f"--window {window:.2f} --segment {SHORTEST:.0f} would do"
    least = plan(method, size, **(given | {"window": method.window / 4, "segment": SHORTEST}))  # type: ignore[arg-type]
    assert least is not None
    if least.of_covariances < least.memory / 3:
        return f"give at least --memory {_shown(np.ceil(least.memory / 1e8) * 1e8)}"
    return "separate fewer mics at a time"


def _shown(size: float) -> str:
    return f"{size / 1e9:.1f}G" if size >= 1e9 else f"{size / 1e6:.0f}M"


def memory_of(text: str) -> int:
    """Return the bytes that '4G' or '800M' means, in powers of 1000.

    Raises
    ------
    ArgumentError
        It means none.

    Examples
    --------
    >>> memory_of("4G"), memory_of("1.5 GB"), memory_of("800m")
    (4000000000, 1500000000, 800000000)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if found is None or len(found[1]) > 20 or float(found[1]) <= 0:
        raise ArgumentError(f"memory must be like 4G or 800M, got {text!r}")
    return round(float(found[1]) * UNITS[found[2].upper()])
