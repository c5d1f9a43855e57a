"""Players who do not sit still: how they move about their seats, and by which responses a moving player is rendered.

A path is cut into straight stretches, and on each stretch responses are taken at stations at most `SPACING_M` apart.
The response at any instant is a cubic spline through those of the stretch.  Because a spline is a weighted sum of its
stations, the image is the sum over the stations of the dry signal, weighted over time, convolved with the response
there: a filter chosen when the sound leaves the player, as in nature, so that delays glide and pitch bends with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnmf.errors import ArgumentError, check_array, check_choice, check_number, check_rng
from mnmf.simulate._scene import FARTHEST_M, NEAREST_M, Scene, check_point, metres

SPACING_M = 0.01  # half a wavelength at 17 kHz; the docstring of `render` says how good the spline is below
STRAIGHT_M = 0.001  # what a stretch may deviate from its line
FADE_S = 0.01  # from one stretch to the next
LONGEST_S = 1e6
POINTS_HZ = 20.0  # of the ready-made motions; straight lines between them are then within 0.1 mm of a curve
SWAY_HZ = (0.05, 0.5)
SWAY_WAVES = 12
SWAY_TILT_DEG = 15.0  # at most, from the horizontal
SWAY_PERIOD_S = 10.0  # a shorter sway is a part of one that reaches its extent within this time


@dataclass(frozen=True, eq=False)
class Motion:
    """How one player moves: straight from point to point; before the first and after the last the player rests there.

    Parameters
    ----------
    times_s : array_like, shape (points,)
        Seconds from the beginning of the take, increasing.
    offsets_m : array_like, shape (points, 3)
        Where the player is then, in metres from the seat.

    Raises
    ------
    ArgumentError
        The times do not increase, or the shapes do not match.

    Examples
    --------
    A player leans 10 cm forward between the first and the second second:

    >>> from mnmf import simulate
    >>> motion = simulate.Motion([1.0, 2.0], [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    >>> motion
    Motion(2 points, 1 to 2 s, up to 0.1 m from the seat)
    >>> motion.at([0.5, 1.5, 9.0])[:, 0]
    array([0.  , 0.05, 0.1 ])
    """

    times_s: NDArray[np.float64]
    offsets_m: NDArray[np.float64]

    def __post_init__(self) -> None:
        times = np.array(check_array("times_s", self.times_s, (None,), "(points,)"), np.float64)
        offsets = np.array(check_array("offsets_m", self.offsets_m, (len(times), 3), "(points, 3)"), np.float64)
        if len(times) == 0 or np.any(np.diff(times) <= 0):
            raise ArgumentError("times_s must be one or more times that increase")
        for name, value in (("times_s", times), ("offsets_m", offsets)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        far = np.linalg.norm(self.offsets_m, axis=1).max()
        span = f"{self.times_s[0]:g} to {self.times_s[-1]:g} s"
        return f"Motion({len(self.times_s)} points, {span}, up to {far:.3g} m from the seat)"

    def at(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Return where the player is at some times, in metres from the seat.

        Parameters
        ----------
        times_s : array_like, shape (times,)
            In seconds from the beginning of the take.

        Returns
        -------
        ndarray of float64, shape (times, 3)
            Offsets in metres.

        Examples
        --------
        >>> from mnmf import simulate
        >>> simulate.Motion([0.0, 1.0], [[0.0, 0.0, 0.0], [0.0, 0.2, 0.0]]).at([0.25])
        array([[0.  , 0.05, 0.  ]])
        """
        times = np.asarray(times_s, np.float64)
        return np.stack([np.interp(times, self.times_s, axis) for axis in self.offsets_m.T], axis=-1)


def sway(
    scene: Scene, seconds: float, extent_m: float = 0.03, rng: int | np.random.Generator = 0
) -> tuple[Motion, ...]:
    """Return motions of players who sway slowly about their seats, each along a line and on a clock of their own.

    The line has a random azimuth and is tilted by at most 15 degrees from the horizontal; along it the player moves
    with a sum of twelve sinusoids of random phases and of random frequencies between 0.05 and 0.5 Hz.

    Parameters
    ----------
    scene : Scene
        Whose players sway.
    seconds : float
        How long; afterwards they rest where they are.
    extent_m : float
        The largest distance from the seat, in metres, reached at least once within `seconds` or, if that is longer,
        within 10 s.  The RMS distance is 30 to 50 % of it.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.

    Returns
    -------
    tuple of Motion
        One for each player, for the argument `motions` of `render`, `solo_take` and `clap_take`.

    Raises
    ------
    ArgumentError
        A number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import simulate
    >>> motions = simulate.sway(simulate.chamber_scene(3), 20.0, extent_m=0.03)
    >>> [round(float(np.linalg.norm(motion.offsets_m, axis=1).max()), 3) for motion in motions]
    [0.03, 0.03, 0.03]
    """
    if not isinstance(scene, Scene):
        raise ArgumentError(f"scene must be a Scene, got {scene!r:.80}")
    seconds = check_number("seconds", seconds, 1 / POINTS_HZ, LONGEST_S, " s")
    extent_m = check_number("extent_m", extent_m, 0.0, FARTHEST_M, " m")
    generator = check_rng(rng)
    times_s = np.arange(math.ceil(max(seconds, SWAY_PERIOD_S) * POINTS_HZ) + 1) / POINTS_HZ
    count = math.ceil(seconds * POINTS_HZ) + 1
    motions = []
    for _ in scene.players:
        azimuth, tilt = generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(-SWAY_TILT_DEG, SWAY_TILT_DEG))
        line = np.array([np.cos(tilt) * np.cos(azimuth), np.cos(tilt) * np.sin(azimuth), np.sin(tilt)])
        frequencies, phases = generator.uniform(*SWAY_HZ, SWAY_WAVES), generator.uniform(0, 2 * np.pi, SWAY_WAVES)
        along = np.cos(2 * np.pi * times_s[:, None] * frequencies + phases).sum(axis=1)
        along -= along.mean()
        along *= extent_m / np.abs(along).max()
        motions.append(Motion(times_s[:count], np.outer(along[:count], line)))
    return tuple(motions)


def shift(
    scene: Scene,
    player: str,
    at_s: float,
    by_m: Sequence[float],
    *,
    lasts_s: float = 1.0,
    motions: Sequence[Motion | None] | None = None,
) -> tuple[Motion | None, ...]:
    """Return motions in which one player shifts the chair once, and stays there.

    Parameters
    ----------
    scene : Scene
        Where the player sits.
    player : str
        The player's name.
    at_s : float
        When the shift begins, in seconds from the beginning of the take.
    by_m : sequence of 3 floats
        By how much, in metres along x, y and z.
    lasts_s : float
        Duration of the shift in seconds; it starts and stops smoothly.
    motions : sequence of Motion or None, optional
        What the players do besides, for instance what `sway` returns; the shift is added to it.  By default all the
        others sit still.

    Returns
    -------
    tuple of Motion or None
        One for each player; None sits still.

    Raises
    ------
    ArgumentError
        There is no such player, a number is out of range, or a player would leave the room or run into a microphone.

    Examples
    --------
    >>> from mnmf import simulate
    >>> scene = simulate.chamber_scene(["flute", "harp"])
    >>> simulate.shift(scene, "harp", 7.5, (0.2, 0.1, 0.0))
    (None, Motion(21 points, 7.5 to 8.5 s, up to 0.224 m from the seat))

    The same while both sway:

    >>> motions = simulate.shift(scene, "harp", 7.5, (0.2, 0.1, 0.0), motions=simulate.sway(scene, 15.0))
    >>> motions[0]
    Motion(301 points, 0 to 15 s, up to 0.03 m from the seat)
    """
    if not isinstance(scene, Scene):
        raise ArgumentError(f"scene must be a Scene, got {scene!r:.80}")
    n = scene.names.index(check_choice("player", player, scene.names))
    at_s = check_number("at_s", at_s, 0.0, math.inf, " s")
    lasts_s = check_number("lasts_s", lasts_s, 0.01, math.inf, " s")
    by = np.array(check_point("by_m", by_m))
    changed = list(check_motions(scene, motions))
    step = np.linspace(0, 1, max(math.ceil(lasts_s * POINTS_HZ), 4) + 1)
    moved = Motion(at_s + lasts_s * step, np.outer(0.5 - 0.5 * np.cos(np.pi * step), by))
    before = changed[n]
    if before is not None:
        times_s = np.union1d(before.times_s, moved.times_s)
        moved = Motion(times_s, before.at(times_s) + moved.at(times_s))
    changed[n] = moved
    return check_motions(scene, changed)


def check_motions(scene: Scene, motions: Sequence[Motion | None] | None) -> tuple[Motion | None, ...]:
    """Return one motion or None for each player, after a check that they stay in the room and off the microphones."""
    if motions is None:
        return (None,) * len(scene.players)
    if isinstance(motions, Motion) or len(motions) != len(scene.players):
        got = "a single Motion" if isinstance(motions, Motion) else f"{len(motions)} motions"
        raise ArgumentError(
            f"motions must be one a player, or None for who sits still: {len(scene.players)} players, got {got}"
        )
    for n, (player, motion) in enumerate(zip(scene.players, motions)):
        if motion is None:
            continue
        if not isinstance(motion, Motion):
            raise ArgumentError(f"motions[{n}] must be a Motion or None, got {type(motion).__name__}")
        path_P3 = np.add(player.position_m, motion.offsets_m)
        outside_P = np.any((path_P3 <= 0) | (path_P3 >= scene.room.size_m), axis=1)
        if outside_P.any():
            i = int(np.argmax(outside_P))
            raise ArgumentError(
                f"motions[{n}]: player {player.name!r} is outside the room of {metres(scene.room.size_m)} "
                f"at {motion.times_s[i]:.4g} s; let the player move less, or inwards"
            )
        for microphone in scene.microphones:
            near_P = np.linalg.norm(path_P3 - microphone.position_m, axis=1) < NEAREST_M
            if near_P.any():
                raise ArgumentError(
                    f"motions[{n}]: player {player.name!r} runs into microphone {microphone.name!r} "
                    f"at {motion.times_s[np.argmax(near_P)]:.4g} s; leave at least 1 cm between them"
                )
    return tuple(motions)


def stations(
    motion: Motion, start_s: float, length: int, sample_rate: int
) -> Iterator[tuple[NDArray[np.float64], int, NDArray[np.float64]]]:
    """Yield the stations of the path that a player takes during some samples, and how much each counts when.

    Parameters
    ----------
    motion : Motion
        Of the player.
    start_s : float
        Time of the first sample.
    length : int
        Number of samples.
    sample_rate : int
        In Hz.

    Yields
    ------
    offset_m : ndarray of shape (3,)
        From the seat, in metres.
    first : int
        The first sample at which the station counts.
    weight_L : ndarray of shape (samples,)
        Its weights from that sample on; all together they sum to one at every sample.
    """
    from scipy.interpolate import CubicSpline

    stop_s = start_s + (length - 1) / sample_rate
    inside = (motion.times_s > start_s) & (motion.times_s < stop_s)
    times_P = np.unique(np.concatenate([[start_s], motion.times_s[inside], [stop_s]]))
    path_P3 = motion.at(times_P)
    for first_p, last_p in _straight_stretches(path_P3):
        # Neighbours fade into each other at the point they share; the path's own ends lie outside, without a fade.
        begin_s = times_P[first_p] if first_p > 0 else start_s - FADE_S
        end_s = times_P[last_p] if last_p + 1 < len(times_P) else stop_s + FADE_S
        first = max(0, math.floor((begin_s - FADE_S / 2 - start_s) * sample_rate))
        stop = min(length, math.ceil((end_s + FADE_S / 2 - start_s) * sample_rate) + 1)
        t_L = start_s + np.arange(first, stop) / sample_rate
        share_L = _risen(t_L, begin_s) - _risen(t_L, end_s)
        middle, line, along_P = _line(path_P3[first_p : last_p + 1])
        low, high = along_P.min(), along_P.max()
        if high - low < STRAIGHT_M / 10:
            yield middle, first, share_L
            continue
        grid_G = np.linspace(low, high, max(4, math.ceil((high - low) / SPACING_M) + 1))
        along_L = np.interp(t_L, times_P[first_p : last_p + 1], along_P)
        for at, unit_G in zip(grid_G, np.eye(len(grid_G))):
            yield middle + at * line, first, CubicSpline(grid_G, unit_G)(along_L) * share_L


def _risen(t_L: NDArray[np.float64], at_s: float) -> NDArray[np.float64]:
    """A ramp from 0 to 1 around a time."""
    return np.clip((t_L - at_s) / FADE_S + 0.5, 0.0, 1.0)


def _straight_stretches(path_P3: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last point of the straight stretches of a path, each as long as can be; neighbours share a point."""
    stretches, first = [], 0
    while True:
        last = min(first + 1, len(path_P3) - 1)
        while last + 1 < len(path_P3):
            middle, line, along_P = _line(path_P3[first : last + 2])
            if np.abs(path_P3[first : last + 2] - middle - np.outer(along_P, line)).max() > STRAIGHT_M:
                break
            last += 1
        stretches.append((first, last))
        if last + 1 >= len(path_P3):
            return stretches
        first = last


def _line(path_P3: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The line nearest to some points: a point of it, its direction, and how far along it each of them is."""
    middle = path_P3.mean(axis=0)
    centred_P3 = path_P3 - middle
    line = np.linalg.eigh(centred_P3.T @ centred_P3)[1][:, -1]
    return middle, line, centred_P3 @ line
