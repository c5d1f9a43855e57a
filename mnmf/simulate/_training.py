"""Endless simulated mixtures with their targets, for training neural networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnmf.errors import ArgumentError, check_array, check_count, check_rng
from mnmf.simulate._rendering import convolve, impulse_responses
from mnmf.simulate._scene import Scene

SCATTER_BIN_S, SCATTER_SEGMENT_S, SCATTER_CHANCE = 2.0, 3.0, 0.8  # "CLASS-net + FastMNMF2", section 3.3.2


def training_pairs(
    stems: Mapping[str, Sequence[ArrayLike]],
    sample_rate: int,
    scenes: Sequence[Scene],
    *,
    seconds: float = 10.0,
    scatter: bool = True,
    permute: bool = True,
    rng: int | np.random.Generator = 0,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield mixtures in rooms without end, and what each microphone would hear of its own player alone.

    For each mixture a scene is drawn, an instrument for every seat, no two the same while there are enough, and a
    recording of each.  Microphones and targets are then put in the same random order, so that a network cannot learn
    what the order means (Pandey et al. 2026).  Scattering is that of section 3.3.2 of "CLASS-net + FastMNMF2": in each
    bin of 2 s a player enters with a probability of 80 %, somewhere in the bin, with an excerpt of at most 3 s from
    anywhere in their recordings, from which the rests have been cut out.

    Parameters
    ----------
    stems : mapping of str to sequence of array_like, each of shape (samples,)
        Dry recordings by instrument, real numbers.
    sample_rate : int
        In Hz.
    scenes : sequence of Scene
        Their impulse responses are computed when first drawn, and kept.
    seconds : float
        Length of each mixture.
    scatter : bool
        Whether to scatter; otherwise each player plays one continuous excerpt, including its rests.
    permute : bool
        Whether to shuffle the microphones.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from; the same seed gives the same examples.

    Yields
    ------
    mixture_LM : ndarray of float32, shape (samples, mics)
        With its peak at 0.5; now and then silence, when scattering leaves nobody to play.
    target_LM : ndarray of float32, shape (samples, mics)
        At the same gain; silence for a microphone that is nobody's spot.

    Raises
    ------
    ArgumentError
        No stems or no scenes, a recording without sound, or a number out of range; or see `impulse_responses`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import simulate
    >>> players = simulate.Player("seat 1", (2.0, 1.5, 1.2)), simulate.Player("seat 2", (4.0, 1.5, 1.2))
    >>> room = simulate.Room((6.0, 5.0, 3.0), 0.2)
    >>> scene = simulate.Scene(room, players, simulate.close_spots(players), spots=(0, 1))
    >>> noise = np.random.default_rng(0).standard_normal((3, 8000))
    >>> stems = {"flute": [noise[0], noise[1]], "harp": [noise[2]]}
    >>> pairs = simulate.training_pairs(stems, 8000, [scene], seconds=0.5)
    >>> mixture_LM, target_LM = next(pairs)
    >>> mixture_LM.shape, target_LM.shape
    ((4000, 2), (4000, 2))
    """
    sample_rate = check_count("sample_rate", sample_rate, 1000)
    if not 0.1 <= seconds < math.inf:
        raise ArgumentError(f"seconds must be at least 0.1, got {seconds!r}")
    if not stems or not scenes:
        raise ArgumentError("training pairs need recordings of at least one instrument, and a scene")
    recordings = {
        name: [
            _sounding(check_array(f"stems[{name!r}][{i}]", x_L, (None,), "(samples,)"), sample_rate, scatter)
            for i, x_L in enumerate(takes)
        ]
        for name, takes in stems.items()
    }
    for name, takes in recordings.items():
        if not takes or min(map(len, takes)) == 0:
            raise ArgumentError(f"stems[{name!r}] has no recording, or one without sound; leave it out")
    return _pairs(recordings, sample_rate, list(scenes), seconds, scatter, permute, check_rng(rng))


def _pairs(
    recordings: Mapping[str, Sequence[NDArray[np.float64]]],
    sample_rate: int,
    scenes: Sequence[Scene],
    seconds: float,
    scatter: bool,
    permute: bool,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    responses: dict[int, NDArray[np.float64]] = {}
    length = round(seconds * sample_rate)
    names = list(recordings)
    while True:
        which = int(rng.integers(len(scenes)))
        scene = scenes[which]
        if which not in responses:
            responses[which] = impulse_responses(scene, sample_rate)
        n_players, n_mics = len(scene.players), len(scene.microphones)
        mixture_LM, target_LM = np.zeros((length, n_mics)), np.zeros((length, n_mics))
        for n, name in enumerate(rng.choice(len(names), n_players, replace=n_players > len(names))):
            takes = recordings[names[int(name)]]
            take_L = takes[int(rng.integers(len(takes)))]
            dry_L = (_scattered if scatter else _excerpt)(take_L, length, sample_rate, rng)
            image_LM = convolve(dry_L, responses[which][:, :, n])[:length]
            mixture_LM += image_LM
            target_LM[:, scene.spots[n]] += image_LM[:, scene.spots[n]]
        gain = 0.5 / (np.abs(mixture_LM).max() or 1.0)
        order = rng.permutation(n_mics) if permute else np.arange(n_mics)
        mixture, target = (np.ascontiguousarray(x_LM[:, order] * gain, np.float32) for x_LM in (mixture_LM, target_LM))
        yield mixture, target


def _sounding(x_L: NDArray[Any], sample_rate: int, cut: bool) -> NDArray[np.float64]:
    """Return a recording at RMS 1 where it sounds, without its rests if they are to be `cut`."""
    x_L = x_L.astype(np.float64)
    width = max(1, round(0.05 * sample_rate))
    envelope_L = np.convolve(np.abs(x_L), np.full(width, 1 / width), "same") if len(x_L) else x_L
    active_L = envelope_L > 0.02 * envelope_L.max(initial=0.0)
    if not active_L.any():
        return x_L[:0]
    x_L /= math.sqrt(np.mean(x_L[active_L] ** 2))
    return x_L[active_L] if cut else x_L


def _excerpt(take_L: NDArray[np.float64], length: int, _: int, rng: np.random.Generator) -> NDArray[np.float64]:
    start = int(rng.integers(max(len(take_L) - length, 0) + 1))
    return np.pad(take_L[start : start + length], (0, max(0, length - len(take_L))))


def _scattered(
    take_L: NDArray[np.float64], length: int, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    dry_L = np.zeros(length)
    end = 0  # of the last segment, before which the next one must not begin
    for start in range(0, length, round(SCATTER_BIN_S * sample_rate)):
        stop = min(start + round(SCATTER_BIN_S * sample_rate), length)
        if rng.random() >= SCATTER_CHANCE or max(start, end) >= stop:
            continue
        first = int(rng.integers(max(start, end), stop))
        count = min(int(rng.integers(1, round(SCATTER_SEGMENT_S * sample_rate) + 1)), len(take_L), length - first)
        begin = int(rng.integers(len(take_L) - count + 1))
        dry_L[first : first + count] = take_L[begin : begin + count]
        end = first + count
    return dry_L
