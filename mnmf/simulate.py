"""Rooms, seats and microphones, and what the microphones hear: mixtures with known answers.

A `Scene` is a room with players and microphones in it.  `render` turns one dry stem a player into the image of every
player at every microphone; their sum is the mixture, and the image of player n at its own spot is what a separation
should give back.  `solo_take` and `clap_take` make the recording in which the players sound one after another.  The
scenes of published experiments are `hall_scene`, `orchestral_scene` and `studio_scene`; `chamber_scene` is the demo's.

Image sources come from pyroomacoustics, which is imported only when responses are computed.  Walls reflect all
frequencies alike, with the absorption that Sabine's formula gives for the wanted RT60; air absorbs nothing; players
are point sources that radiate alike in all directions.  There is no ray tracing and no random part, so that a scene
always gives the same responses.  A flat hall is less diffuse than Sabine assumes: its measured decay is slower than
its nominal RT60 (about 1.5 s instead of 1 s in `hall_scene`), as in every simulation made by this recipe.

Axes: `L` samples, `M` microphones, `N` players.  Points are (x, y, z) in metres from a floor corner, z upwards.
This module knows nothing of spectrograms, models or scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnmf.errors import ArgumentError, check_array, check_choice, check_count, check_rng
from mnmf.markers import Passage

__all__ = [
    "LAYOUTS",
    "LEAD",
    "PATTERNS",
    "REFERENCE_M",
    "ROOMS",
    "SEAT_ANGLES_DEG",
    "Layout",
    "Microphone",
    "Player",
    "Room",
    "Scene",
    "add_noise",
    "chamber_scene",
    "clap_take",
    "claps",
    "close_spots",
    "hall_scene",
    "impulse_responses",
    "orchestral_scene",
    "render",
    "solo_take",
    "studio_scene",
    "training_pairs",
]

Point = tuple[float, float, float]

PATTERNS: dict[str, float] = {
    "omni": 1.0,
    "subcardioid": 0.7,
    "cardioid": 0.5,
    "supercardioid": 0.37,
    "hypercardioid": 0.25,
    "figure-of-eight": 0.0,
}
"""Directivity patterns: the p of the gain ``p + (1 - p) cos(angle)``, where the angle is that to the aim."""

REFERENCE_M = 0.25
"""A stem is what an omni this far from the player hears of it without walls, in metres: there the gain is 1."""

LEAD = 40
"""Samples before the instant of emission in an impulse response: half a fractional-delay filter."""

SPEED_OF_SOUND = 343.0
MAX_ORDER = 100  # reflections; 1.4 million image sources, about 1 GB
SCATTER_BIN_S, SCATTER_SEGMENT_S, SCATTER_CHANCE = 2.0, 3.0, 0.8
PLAYER_HEIGHT_M = 1.2  # a seated player's instrument


def _point(name: str, value: Any) -> Point:
    try:
        point = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        point = ()
    if len(point) != 3 or not all(math.isfinite(v) for v in point):
        raise ArgumentError(f"{name} must be three numbers x, y, z in metres, got {value!r}")
    return point


def _metres(size_m: Point) -> str:
    return " x ".join(f"{v:g}" for v in size_m) + " m"


@dataclass(frozen=True)
class Room:
    """A rectangular room.

    Parameters
    ----------
    size_m : tuple of 3 floats
        Length (x), width (y) and height (z) in metres.
    rt60_s : float
        Reverberation time in seconds; 0 is a room without echo.

    Raises
    ------
    ArgumentError
        A size is not positive, or Sabine's formula has no walls for this RT60.
    """

    size_m: Point
    rt60_s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_m", _point("size_m", self.size_m))
        if min(self.size_m) <= 0:
            raise ArgumentError(f"size_m must be three positive lengths in metres, got {self.size_m}")
        if not 0 <= self.rt60_s < math.inf:
            raise ArgumentError(f"rt60_s must be 0 or more seconds, got {self.rt60_s!r}")
        if self.absorption > 1:
            raise ArgumentError(
                f"rt60_s={self.rt60_s:g} is too short for a room of {_metres(self.size_m)}; "
                f"take 0 for no echo at all, or at least {math.ceil(100 * self.rt60_s * self.absorption) / 100:g}"
            )

    @property
    def volume_m3(self) -> float:
        """Volume in cubic metres."""
        return math.prod(self.size_m)

    @property
    def absorption(self) -> float:
        """Share of the energy that a wall absorbs, by Sabine's formula: ``24 ln(10) V / (c S RT60)``."""
        if self.rt60_s == 0:
            return 1.0
        x, y, z = self.size_m
        surface = 2 * (x * y + y * z + z * x)
        return 24 * math.log(10) * self.volume_m3 / (SPEED_OF_SOUND * surface * self.rt60_s)


@dataclass(frozen=True)
class Player:
    """One player, a point that radiates alike in all directions.

    Parameters
    ----------
    name : str
    position_m : tuple of 3 floats
    """

    name: str
    position_m: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "position_m", _point(f"position_m of player {self.name!r}", self.position_m))


@dataclass(frozen=True)
class Microphone:
    """One microphone.

    Parameters
    ----------
    name : str
    position_m : tuple of 3 floats
    pattern : str
        One of `PATTERNS`.
    aim_m : tuple of 3 floats, optional
        The point it is aimed at; an omni needs none.

    Raises
    ------
    ArgumentError
        Unknown pattern, or one that needs an aim and has none.
    """

    name: str
    position_m: Point
    pattern: str = "omni"
    aim_m: Point | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "position_m", _point(f"position_m of microphone {self.name!r}", self.position_m))
        check_choice(f"pattern of microphone {self.name!r}", self.pattern, list(PATTERNS))
        if self.aim_m is not None:
            object.__setattr__(self, "aim_m", _point(f"aim_m of microphone {self.name!r}", self.aim_m))
        if self.pattern != "omni" and (self.aim_m is None or math.dist(self.aim_m, self.position_m) < 1e-6):
            raise ArgumentError(
                f"microphone {self.name!r} is a {self.pattern} and needs aim_m, the point it is aimed at, "
                "away from its own position"
            )


@dataclass(frozen=True)
class Scene:
    """Players and microphones in a room.

    Parameters
    ----------
    room : Room
    players : sequence of Player
        In the order of the stems.
    microphones : sequence of Microphone
        In the order of the channels.
    spots : sequence of int
        ``spots[n]`` is the index of the microphone that is player n's spot.

    Raises
    ------
    ArgumentError
        Somebody is outside the room, a name comes twice, a microphone is in a player's place, or `spots` does not name
        one microphone a player.
    """

    room: Room
    players: tuple[Player, ...]
    microphones: tuple[Microphone, ...]
    spots: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in ("players", "microphones", "spots"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if not self.players or not self.microphones:
            raise ArgumentError("a scene needs at least one player and one microphone")
        for field, things in (("players", self.players), ("microphones", self.microphones)):
            _check_unique(field, [thing.name for thing in things])
            for thing in things:
                if not all(0 < at < size for at, size in zip(thing.position_m, self.room.size_m)):
                    raise ArgumentError(
                        f"{field}: {thing.name!r} at {thing.position_m} is outside the room of "
                        f"{_metres(self.room.size_m)}; move it, or take a larger room"
                    )
        for player in self.players:
            for microphone in self.microphones:
                if math.dist(player.position_m, microphone.position_m) < 0.01:
                    raise ArgumentError(
                        f"microphone {microphone.name!r} is in the place of player {player.name!r}; "
                        "leave at least 1 cm between them"
                    )
        if len(self.spots) != len(self.players):
            raise ArgumentError(
                f"spots must name one microphone a player: {len(self.players)} players, got {len(self.spots)} spots"
            )
        for spot in self.spots:
            if check_count("spots", spot, 0) >= len(self.microphones):
                raise ArgumentError(
                    f"spots must be indices of microphones, 0 to {len(self.microphones) - 1}, got {spot}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the players."""
        return tuple(player.name for player in self.players)


@dataclass(frozen=True)
class Layout:
    """Who sits where on a half circle: `radius_m`, and the instrument at each angle of `SEAT_ANGLES_DEG`."""

    radius_m: float
    instruments: tuple[str, ...]


SEAT_ANGLES_DEG = (-90, -45, 0, 45, 90)
"""Azimuth of the five seats: negative to the left of somebody who looks at the ensemble."""

ROOMS: dict[str, Room] = {
    "R1": Room((36.0, 12.0, 14.0), 1.6),
    "R2": Room((30.0, 13.9, 13.0), 1.2),
    "R3": Room((17.0, 13.0, 10.0), 1.0),
    "R4": Room((21.5, 20.0, 9.2), 1.2),
    "R5": Room((20.0, 16.0, 10.0), 1.3),
    "R6": Room((22.0, 19.5, 12.0), 1.6),
}
"""Orchestral spaces of Pandey et al. 2026, Table I."""

LAYOUTS: dict[str, Layout] = {
    "L1": Layout(1.5, ("violin1", "violin2", "viola", "cello", "bass")),
    "L2": Layout(1.6, ("bass", "violin1", "violin2", "viola", "cello")),
    "L3": Layout(1.7, ("cello", "bass", "violin1", "violin2", "viola")),
    "L4": Layout(1.8, ("viola", "cello", "bass", "violin1", "violin2")),
    "L5": Layout(2.0, ("violin2", "viola", "bass", "cello", "violin1")),
    "L6": Layout(2.0, ("inst1", "inst2", "inst3", "inst4", "inst5")),
}
"""Seating plans of Pandey et al. 2026, Table II."""


# Scenes


def close_spots(
    players: Sequence[Player],
    distance_m: float = 0.25,
    pattern: str = "cardioid",
    towards: Sequence[float] | None = None,
) -> tuple[Microphone, ...]:
    """One spot a player, aimed at the player and named after it.

    Parameters
    ----------
    players : sequence of Player
    distance_m : float
        From the player to its microphone.
    pattern : str
        One of `PATTERNS`.
    towards : sequence of 3 floats, optional
        Each microphone stands between its player and this point, so that its back is turned to what lies there.  The
        middle of the players if left out.

    Raises
    ------
    ArgumentError
        `distance_m` is not positive, the pattern is unknown, or a player is where `towards` is.
    """
    if not 0 < distance_m < math.inf:
        raise ArgumentError(f"distance_m must be a positive number of metres, got {distance_m!r}")
    if towards is None:
        middle = np.mean([player.position_m for player in players], axis=0)
    else:
        middle = np.array(_point("towards", towards))
    spots = []
    for player in players:
        seat = np.array(player.position_m)
        step = middle - seat
        length = float(np.linalg.norm(step))
        if length < 1e-6:
            raise ArgumentError(f"towards must be away from player {player.name!r}; give another point")
        spots.append(Microphone(player.name, _tuple(seat + step * distance_m / length), pattern, player.position_m))
    return tuple(spots)


def hall_scene(players: int | Sequence[str] = 4, distance_m: float = 0.5, pattern: str = "omni") -> Scene:
    """The simulated hall of Cabañas-Molero et al. 2023, section 4.1.

    From the paper: 22 x 16 x 5 m, RT60 1 s, omnidirectional spots, neighbours 2 m apart, four players.  The rest is
    ours: they sit on a half circle around a point at 33 % of the length and 50 % of the width, 1.2 m above the floor,
    and the spots stand `distance_m` in front of them.

    Parameters
    ----------
    players : int or sequence of str
        How many, or their names in the order of the stems.
    distance_m : float
        From player to spot.
    pattern : str
        One of `PATTERNS`.
    """
    return _half_circle(Room((22.0, 16.0, 5.0), 1.0), _names(players), 2.0, distance_m, pattern)


def chamber_scene(
    players: int | Sequence[str] = ("violin1", "violin2", "viola", "cello"),
    distance_m: float = 0.4,
    pattern: str = "omni",
) -> Scene:
    """A rehearsal room with much bleed, quick to simulate: the scene of the demo.

    12 x 9 x 4.5 m, RT60 0.6 s; neighbours sit 1.8 m apart on a half circle, with omni spots 40 cm in front of them.
    With the embedded quartet each spot hears each of the others 9 to 13 dB below its own player, and all of them
    together 5 to 6 dB below.

    Parameters
    ----------
    players : int or sequence of str
        How many, or their names in the order of the stems.
    distance_m : float
        From player to spot.
    pattern : str
        One of `PATTERNS`.
    """
    return _half_circle(Room((12.0, 9.0, 4.5), 0.6), _names(players), 1.8, distance_m, pattern)


def orchestral_scene(
    room: str = "R6",
    layout: str = "L5",
    players: int | Sequence[str] = ("violin1", "violin2", "viola", "cello", "bass"),
    distance_m: float = 0.25,
    pattern: str = "cardioid",
) -> Scene:
    """A room and a seating plan of Pandey et al. 2026, Tables I and II.

    The players sit on a half circle around a point at 33 % of the length and 50 % of the width of the room; seen from
    there azimuth 0 runs along the length towards the far wall, and negative angles are to the left.  Each spot stands
    between its player and that point.  The height, 1.2 m, is ours.

    Parameters
    ----------
    room : str
        A key of `ROOMS`.
    layout : str
        A key of `LAYOUTS`.
    players : int or sequence of str
        How many (five at most), or their names in the order of the stems, whatever their seats.  Five players: those
        that the layout names (``violin1``, ``Violin 1`` and ``violin-1`` are one) take their seats there, the others
        the seats left over, from -90 degrees on.  Fewer players: they fill the seats from -90 degrees on without a gap,
        first those that the layout names, in its order, then the others.  So a quartet always leaves the seat at +90
        degrees empty.
    distance_m : float
        From player to spot.
    pattern : str
        One of `PATTERNS`.

    Raises
    ------
    ArgumentError
        Unknown room, layout or pattern, or more than five players.
    """
    place = ROOMS[check_choice("room", room, list(ROOMS))]
    plan = LAYOUTS[check_choice("layout", layout, list(LAYOUTS))]
    names = _names(players)
    if len(names) > len(SEAT_ANGLES_DEG):
        raise ArgumentError(f"players: layout {layout} has {len(SEAT_ANGLES_DEG)} seats, got {len(names)} players")
    centre = _reference_point(place)
    angles = _seats(names, plan)
    seated = tuple(Player(name, _seat(centre, plan.radius_m, angles[name])) for name in names)
    return Scene(place, seated, close_spots(seated, distance_m, pattern, centre), tuple(range(len(names))))


def studio_scene() -> Scene:
    """The studio of the CLASS-net + FastMNMF2 paper, section 3.2: piano, saxophone and violin, seven microphones.

    Positions are those of its Tables 1 and 2, relative to the foot of the ambience microphone; where the text differs
    (an equilateral triangle, spots 50 to 60 cm from the sources) the tables win.  Microphones 1 to 3 are cardioids in
    one place: the centre aimed at the piano, left and right turned by 60 degrees; then the ambience cardioid, here
    aimed level at the ensemble, and three figure-of-eight spots aimed at their sources.  RT60 is 0.5 s.  Of the walls
    only the volume is given, 108.9 m3: 8.25 x 4.4 x 3 m are ours, with the ambience 1 m from the back wall and the
    ensemble in the middle of the width.
    """
    room = Room((8.25, 4.4, 3.0), 0.5)
    foot = np.array([1.0, 2.2, 0.0])

    def at(x: float, y: float, z: float) -> Point:
        return _tuple(foot + np.array([x, y, z]))

    piano, saxophone, violin = at(6.0, 0.0, 0.6), at(4.5, 1.0, 0.6), at(4.5, -1.0, 0.6)
    triple = at(3.0, 0.0, 1.5)
    left, right = (_tuple(np.array(triple) + _turn(np.subtract(piano, triple), turn)) for turn in (60.0, -60.0))
    microphones = (
        Microphone("left", triple, "cardioid", left),
        Microphone("centre", triple, "cardioid", piano),
        Microphone("right", triple, "cardioid", right),
        Microphone("ambience", at(0.0, 0.0, 1.8), "cardioid", at(4.5, 0.0, 1.8)),
        Microphone("piano", at(6.0, 0.0, 1.9), "figure-of-eight", piano),
        Microphone("saxophone", at(4.5, 0.5, 1.7), "figure-of-eight", saxophone),
        Microphone("violin", at(4.5, -0.5, 1.7), "figure-of-eight", violin),
    )
    players = (Player("piano", piano), Player("saxophone", saxophone), Player("violin", violin))
    return Scene(room, players, microphones, (4, 5, 6))


# What the microphones hear


def impulse_responses(scene: Scene, sample_rate: int) -> NDArray[np.float64]:
    """Impulse responses from every player to every microphone, by the image method.

    Every reflection that arrives within the room's RT60 is there; then the response is cut, with a fade of 10 ms, when
    it has fallen by 60 dB nominally (by some 45 dB in a flat hall).  Reflections of more than `MAX_ORDER` walls are
    left out, which ends the responses of small, live rooms earlier.

    Parameters
    ----------
    scene : Scene
    sample_rate : int
        In Hz.

    Returns
    -------
    h_LMN : ndarray of float64, shape (taps, mics, players)
        Index `LEAD` is the instant of emission: the fractional-delay filters of the image method reach half their
        length to either side, so the samples before it are needed, though physically nothing sounds there.  The
        direct sound comes ``LEAD + sample_rate * distance / 343`` samples in, with a gain of ``REFERENCE_M / distance``
        for an omni.

    Raises
    ------
    ArgumentError
        The room is so small and live that the image method cannot follow its decay for 30 dB.
    """
    sample_rate = check_count("sample_rate", sample_rate, 1000)
    order, duration_s = _extent(scene)
    n_taps = LEAD + math.ceil(duration_s * sample_rate) + LEAD
    h_LMN = np.zeros((n_taps, len(scene.microphones), len(scene.players)))
    with _pinned_pyroomacoustics() as pra:
        shoebox = pra.ShoeBox(
            scene.room.size_m, fs=sample_rate, materials=pra.Material(scene.room.absorption), max_order=order
        )
        for player in scene.players:
            shoebox.add_source(player.position_m)
        shoebox.add_microphone_array(
            np.array([microphone.position_m for microphone in scene.microphones]).T,
            directivity=[_directivity(pra, microphone) for microphone in scene.microphones],
        )
        shoebox.compute_rir()
    for m in range(len(scene.microphones)):
        for n in range(len(scene.players)):
            response = shoebox.rir[m][n][:n_taps]
            h_LMN[: len(response), m, n] = response
    h_LMN *= REFERENCE_M
    if order > 0:
        fade = round(0.01 * sample_rate)
        h_LMN[-fade:] *= (0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / (fade + 1)))[:, None, None]
    return h_LMN


def render(scene: Scene, stems_LN: ArrayLike, sample_rate: int) -> NDArray[np.float64]:
    """The image of every player at every microphone; ``images_LMN.sum(axis=-1)`` is the mixture.

    Sound takes its time to the microphones, the reverberation after the last sample is cut off, and levels are
    relative to a microphone at `REFERENCE_M`: no channel is normalised.

    Parameters
    ----------
    scene : Scene
    stems_LN : array_like of real numbers, shape (samples, players)
        Dry stems in the order of ``scene.players``.
    sample_rate : int
        In Hz.

    Returns
    -------
    images_LMN : ndarray of float64, shape (samples, mics, players)
        ``images_LMN[:, scene.spots[n], n]`` is player n at its own spot.

    Raises
    ------
    ArgumentError
        The stems do not match the players, or are not finite; or see `impulse_responses`.
    """
    n_players = len(scene.players)
    stems = check_array("stems_LN", stems_LN, (None, n_players), "(samples, players)").astype(np.float64)
    if len(stems) == 0:
        raise ArgumentError("stems_LN has no samples")
    h_LMN = impulse_responses(scene, sample_rate)
    images_LMN = np.empty((len(stems), len(scene.microphones), n_players))
    for n in range(n_players):
        images_LMN[:, :, n] = _convolve(stems[:, n], h_LMN[:, :, n])[: len(stems)]
    return images_LMN


def solo_take(
    scene: Scene, solos: Sequence[ArrayLike], sample_rate: int, gap_s: float | None = None
) -> tuple[NDArray[np.float64], tuple[Passage, ...]]:
    """The players play alone, one after another, each at its seat.

    Parameters
    ----------
    scene : Scene
    solos : sequence of array_like of real numbers, each of shape (samples,)
        One dry solo a player, in the order of ``scene.players``; the lengths may differ.
    sample_rate : int
        In Hz.
    gap_s : float, optional
        Seconds between the end of one solo and the beginning of the next; they belong to the passage before, which
        carries on into its reverberation.  By default as long as the responses are, so that nothing rings into the next
        passage; with a shorter gap it does.

    Returns
    -------
    x_LM : ndarray of float64, shape (samples, mics)
    passages : tuple of Passage
        When each player is alone.

    Raises
    ------
    ArgumentError
        The solos do not match the players, or a value cannot be used; or see `impulse_responses`.
    """
    if len(solos) != len(scene.players):
        raise ArgumentError(f"solos must be one a player: {len(scene.players)} players, got {len(solos)} solos")
    dry = [check_array(f"solos[{n}]", solo, (None,), "(samples,)").astype(np.float64) for n, solo in enumerate(solos)]
    for n, solo in enumerate(dry):
        if len(solo) == 0:
            raise ArgumentError(f"solos[{n}] has no samples; {scene.names[n]!r} needs a few seconds alone")
    if gap_s is not None and not 0 <= gap_s < math.inf:
        raise ArgumentError(f"gap_s must be 0 or more seconds, got {gap_s!r}")
    h_LMN = impulse_responses(scene, sample_rate)
    gap = len(h_LMN) if gap_s is None else round(gap_s * sample_rate)
    stops = np.cumsum([len(solo) + gap for solo in dry])
    x_LM = np.zeros((int(stops[-1]), len(scene.microphones)))
    passages = []
    for n, solo in enumerate(dry):
        start, stop = int(stops[n]) - len(solo) - gap, int(stops[n])
        image = _convolve(solo, h_LMN[:, :, n])[: len(x_LM) - start]
        x_LM[start : start + len(image)] += image
        passages.append(Passage(scene.names[n], start / sample_rate, stop / sample_rate))
    return x_LM, tuple(passages)


def claps(
    n: int = 3, sample_rate: int = 44100, rng: int | np.random.Generator = 0, spacing_s: float = 0.5
) -> NDArray[np.float64]:
    """Dry synthetic hand claps: bursts of noise, band-passed around 1.5 kHz, that die away within some 30 ms.

    Parameters
    ----------
    n : int
        How many.
    sample_rate : int
        In Hz.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.
    spacing_s : float
        Seconds from one clap to the next; the last one takes as long.

    Returns
    -------
    ndarray of float64, shape (samples,)
        Each clap peaks at 0.5.
    """
    from scipy.signal import butter, sosfilt

    n = check_count("n", n)
    sample_rate = check_count("sample_rate", sample_rate, 1000)
    if not 0.05 <= spacing_s < math.inf:
        raise ArgumentError(f"spacing_s must be at least 0.05 seconds, got {spacing_s!r}")
    generator = check_rng(rng)
    spacing = round(spacing_s * sample_rate)
    length = round(0.05 * sample_rate)
    # First order: the skirts reach down to the lowest notes, where a spatial filter needs energy too.
    band = butter(1, [400.0, min(6000.0, 0.4 * sample_rate)], "bandpass", fs=sample_rate, output="sos")
    decay = np.exp(-np.arange(length) / (0.004 * sample_rate))
    y = np.zeros(n * spacing)
    for i in range(n):
        burst = sosfilt(band, generator.standard_normal(length)) * decay
        y[i * spacing : i * spacing + length] = 0.5 * burst / np.max(np.abs(burst))
    return y


def clap_take(
    scene: Scene, sample_rate: int, rng: int | np.random.Generator = 0, n: int = 3, gap_s: float | None = None
) -> tuple[NDArray[np.float64], tuple[Passage, ...]]:
    """`solo_take` with `n` hand claps at each player's seat, no two alike.

    Solo passages of Cabañas-Molero et al. 2023, section 4.1 (three claps).

    Parameters
    ----------
    scene : Scene
    sample_rate : int
        In Hz.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.
    n : int
        Claps a player.
    gap_s : float, optional
        As in `solo_take`.

    Returns
    -------
    x_LM : ndarray of float64, shape (samples, mics)
    passages : tuple of Passage
        When each player is alone.
    """
    generator = check_rng(rng)
    return solo_take(scene, [claps(n, sample_rate, generator) for _ in scene.players], sample_rate, gap_s)


def add_noise(x_LM: ArrayLike, level_db: float, rng: int | np.random.Generator = 0) -> NDArray[np.float64]:
    """A copy of a recording with white Gaussian noise in every channel, independent and equally loud.

    Parameters
    ----------
    x_LM : array_like of real numbers, shape (samples, mics)
    level_db : float
        RMS level of the noise in dB relative to 1.0 (full scale), the same in every take.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.

    Returns
    -------
    ndarray of float64, shape (samples, mics)
    """
    x = check_array("x_LM", x_LM, (None, None), "(samples, mics)").astype(np.float64)
    if not math.isfinite(level_db):
        raise ArgumentError(f"level_db must be a finite number of dB, got {level_db!r}")
    return x + 10 ** (level_db / 20) * check_rng(rng).standard_normal(x.shape)


# Examples to train networks with


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
    """Endless mixtures in rooms, and what each microphone would hear of its own player alone.

    For each one a scene is drawn, an instrument for every seat, no two alike while there are enough, and a recording
    of each.  Microphones and targets are then put in the same random order, so that a network cannot learn what the
    order means (Pandey et al. 2026).  Scattering is that of section 3.3.2 of "CLASS-net + FastMNMF2": from bin to
    bin of 2 s each player enters with a chance of 80 %, somewhere in the bin, with at most 3 s from anywhere of their
    recordings, of which the rests have been cut out before.

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
        Whether to scatter; else each player plays an excerpt in one piece, rests and all.
    permute : bool
        Whether to shuffle the microphones.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from; the same seed gives the same examples.

    Yields
    ------
    mixture_LM : ndarray of float32, shape (samples, mics)
        With its peak at 0.5; silence now and then, when all are scattered away.
    target_LM : ndarray of float32, shape (samples, mics)
        At the same gain; silence for a microphone that is nobody's spot.

    Raises
    ------
    ArgumentError
        No stems or no scenes, a recording without sound, or a number out of range; or see `impulse_responses`.
    """
    sample_rate = check_count("sample_rate", sample_rate, 1000)
    if not 0.1 <= seconds < math.inf:
        raise ArgumentError(f"seconds must be at least 0.1, got {seconds!r}")
    if not stems or not scenes:
        raise ArgumentError("training pairs need recordings of one instrument at least, and a scene")
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
            image_LM = _convolve(dry_L, responses[which][:, :, n])[:length]
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


# Helpers


def _extent(scene: Scene) -> tuple[int, float]:
    """How many reflections to follow, and the seconds up to which none is then missing."""
    far = max(math.dist(p.position_m, m.position_m) for p in scene.players for m in scene.microphones)
    direct_s = far / SPEED_OF_SOUND
    if scene.room.rt60_s == 0:
        return 0, direct_s
    # An image (i, j, k) rooms away is at least |i|-1, |j|-1, |k|-1 rooms from any point of this room, so by
    # Cauchy-Schwarz order |i|+|j|+|k| is needed only for paths longer than (order - 3) / |(1/x, 1/y, 1/z)|.
    density = SPEED_OF_SOUND * math.hypot(*(1 / size for size in scene.room.size_m))
    wanted_s = max(scene.room.rt60_s, direct_s)
    order = min(math.ceil(density * wanted_s) + 3, MAX_ORDER)
    complete_s = min(wanted_s, (order - 3) / density)
    if complete_s < 0.5 * scene.room.rt60_s:
        raise ArgumentError(
            f"rt60_s={scene.room.rt60_s:g} in a room of {_metres(scene.room.size_m)} has more echoes than the image "
            f"method can follow; take a larger room, or at most {math.floor(20 * complete_s) / 10:g} s"
        )
    return order, complete_s


@contextmanager
def _pinned_pyroomacoustics() -> Iterator[Any]:
    """pyroomacoustics with its global settings pinned, and restored afterwards."""
    import pyroomacoustics as pra

    # One thread: responses are sums in single precision, and their last bits depend on how they are split.
    # No high-pass: it rings before the direct sound, and older versions have none.
    pinned = {"c": SPEED_OF_SOUND, "frac_delay_length": 2 * LEAD + 1, "num_threads": 1, "rir_hpf_enable": False}
    before = {}
    for key in pinned:
        with suppress(NameError):  # a setting that this version does not have
            before[key] = pra.constants.get(key)
    try:
        for key, value in pinned.items():
            pra.constants.set(key, value)
        yield pra
    finally:
        for key, value in before.items():
            pra.constants.set(key, value)


def _directivity(pra: Any, microphone: Microphone) -> Any:
    if microphone.aim_m is None or microphone.pattern == "omni":
        return None
    aim = np.subtract(microphone.aim_m, microphone.position_m)
    return pra.directivities.CardioidFamily(aim, p=PATTERNS[microphone.pattern])


def _convolve(dry_L: NDArray[np.float64], h_LM: NDArray[np.float64]) -> NDArray[np.float64]:
    """One dry signal at every microphone, from the instant of its emission to the end of its reverberation."""
    from scipy.signal import oaconvolve

    wet_LM: NDArray[np.float64] = oaconvolve(dry_L[:, None], h_LM, axes=0)[LEAD:]
    return wet_LM


def _half_circle(room: Room, names: tuple[str, ...], apart_m: float, distance_m: float, pattern: str) -> Scene:
    """Players on a half circle around the reference point, neighbours `apart_m` apart."""
    centre = _reference_point(room)
    step_deg = 180 / max(len(names) - 1, 1)
    radius_m = apart_m / (2 * math.sin(math.radians(step_deg) / 2))
    angles = [-90 + step_deg * n for n in range(len(names))] if len(names) > 1 else [0.0]
    players = tuple(Player(name, _seat(centre, radius_m, angle)) for name, angle in zip(names, angles))
    return Scene(room, players, close_spots(players, distance_m, pattern, centre), tuple(range(len(names))))


def _reference_point(room: Room) -> Point:
    return 0.33 * room.size_m[0], 0.5 * room.size_m[1], PLAYER_HEIGHT_M


def _seat(centre: Point, radius_m: float, azimuth_deg: float) -> Point:
    azimuth = math.radians(azimuth_deg)
    return centre[0] + radius_m * math.cos(azimuth), centre[1] - radius_m * math.sin(azimuth), centre[2]


def _seats(names: tuple[str, ...], layout: Layout) -> dict[str, int]:
    """The azimuth of each player, by the rule that `orchestral_scene` states."""
    keys = {"".join(filter(str.isalnum, name.lower())): name for name in reversed(names)}
    table = [keys.get(instrument) for instrument in layout.instruments]
    others = iter([name for name in names if name not in table])
    if len(names) == len(table):
        order = [name if name is not None else next(others) for name in table]
    else:
        order = [name for name in table if name is not None] + list(others)
    return dict(zip(order, SEAT_ANGLES_DEG))


def _turn(direction: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """`direction` turned about the vertical, counterclockwise seen from above."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ direction


def _names(players: int | Sequence[str]) -> tuple[str, ...]:
    if isinstance(players, str):
        raise ArgumentError(f"players must be a number or several names, got the text {players!r}")
    if isinstance(players, int | np.integer):
        return tuple(f"player{n + 1}" for n in range(check_count("players", players)))
    names = tuple(players)
    if not names:
        raise ArgumentError("players must be at least one name")
    _check_unique("players", names)
    return names


def _check_unique(field: str, names: Sequence[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"{field} need names that are texts and not empty, got {name!r}")
        if list(names).count(name) > 1:
            raise ArgumentError(f"{field}: the name {name!r} comes twice; give each its own")


def _tuple(point: NDArray[np.float64]) -> Point:
    x, y, z = (float(v) for v in point)
    return x, y, z
