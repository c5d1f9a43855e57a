"""What a scene is made of: a room, the players and the microphones in it, and the checks that they fit together.

Where players usually sit is in `_layouts`, what the microphones hear in `_rendering`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnmf.directivity import PATTERNS
from mnmf.errors import ArgumentError, check_choice, check_count, check_number
from mnmf.spots import listed

Point = tuple[float, float, float]

SPEED_OF_SOUND = 343.0  # m/s

FARTHEST_M = 1e4  # of anything from anything in a scene
NEAREST_M = 0.01  # that a microphone may be to a player


def check_point(name: str, value: Any) -> Point:
    """Return `value` as a point of three finite coordinates, else raise `ArgumentError`."""
    try:
        point = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        point = ()
    if len(point) != 3 or not all(math.isfinite(v) for v in point):
        raise ArgumentError(f"{name} must be three numbers x, y, z in metres, got {value!r}")
    return point


def metres(size_m: Point) -> str:
    """Return the size of a room for a message."""
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
        A size is not positive, or the RT60 is so short that, by Sabine's formula, the walls would have to absorb more
        than everything.

    Examples
    --------
    >>> from mnmf import simulate
    >>> room = simulate.Room((6.0, 5.0, 3.0), 0.4)
    >>> room.volume_m3
    90.0
    >>> round(room.absorption, 2)
    0.29
    """

    size_m: Point
    rt60_s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_m", check_point("size_m", self.size_m))
        if min(self.size_m) <= 0:
            raise ArgumentError(f"size_m must be three positive lengths in metres, got {self.size_m}")
        object.__setattr__(self, "rt60_s", check_number("rt60_s", self.rt60_s, 0.0, 1000.0, " s"))
        if 0 < self.rt60_s < 1e-6:
            raise ArgumentError(f"rt60_s must be 0, for no echo at all, or tenths of a second, got {self.rt60_s!r}")
        if self.absorption > 1:
            raise ArgumentError(
                f"rt60_s={self.rt60_s:g} is too short for a room of {metres(self.size_m)}; "
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
    """One player: a point that radiates equally in all directions.

    Parameters
    ----------
    name : str
        Not empty, and different for every player of a scene.
    position_m : tuple of 3 floats
        Of the instrument: x, y, z in metres from a floor corner of the room.

    Raises
    ------
    ArgumentError
        The position is not three finite numbers.

    Examples
    --------
    >>> from mnmf import simulate
    >>> simulate.Player("viola", (2, 3, 1.2))
    Player(name='viola', position_m=(2.0, 3.0, 1.2))
    """

    name: str
    position_m: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "position_m", check_point(f"position_m of player {self.name!r}", self.position_m))


@dataclass(frozen=True)
class Microphone:
    """One microphone.

    Parameters
    ----------
    name : str
        Not empty, and different for every microphone of a scene.
    position_m : tuple of 3 floats
        x, y, z in metres from a floor corner of the room.
    pattern : str
        Its directivity, a key of `mnmf.directivity.PATTERNS`.
    aim_m : tuple of 3 floats, optional
        The point it is aimed at; an omni needs none.

    Raises
    ------
    ArgumentError
        The pattern is unknown, or is directional and has no aim.

    Examples
    --------
    >>> from mnmf import simulate
    >>> simulate.Microphone("pair left", (1.0, 2.0, 2.5), "cardioid", aim_m=(3.0, 2.5, 1.2)).pattern
    'cardioid'
    """

    name: str
    position_m: Point
    pattern: str = "omni"
    aim_m: Point | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "position_m", check_point(f"position_m of microphone {self.name!r}", self.position_m))
        check_choice(f"pattern of microphone {self.name!r}", self.pattern, list(PATTERNS))
        if self.aim_m is not None:
            object.__setattr__(self, "aim_m", check_point(f"aim_m of microphone {self.name!r}", self.aim_m))
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
        Where they are.
    players : sequence of Player
        In the order of the stems.
    microphones : sequence of Microphone
        In the order of the channels.
    spots : sequence of int
        ``spots[n]`` is the index of the microphone that is player n's spot.

    Raises
    ------
    ArgumentError
        A player or microphone is outside the room, two have the same name, a microphone is less than 1 cm from a
        player, or `spots` does not name one microphone for each player.

    Examples
    --------
    A duo with one spot each and a distant microphone:

    >>> from mnmf import simulate
    >>> players = simulate.Player("flute", (2.0, 1.5, 1.2)), simulate.Player("harp", (4.0, 1.5, 1.0))
    >>> ambience = simulate.Microphone("ambience", (3.0, 4.0, 2.0))
    >>> scene = simulate.Scene(
    ...     simulate.Room((6.0, 5.0, 3.0), 0.4), players, (*simulate.close_spots(players, 0.3), ambience), spots=(0, 1)
    ... )
    >>> scene.names
    ('flute', 'harp')
    """

    room: Room
    players: tuple[Player, ...]
    microphones: tuple[Microphone, ...]
    spots: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in ("players", "microphones", "spots"):
            given = listed(getattr(self, field))
            if given is None:
                raise ArgumentError(f"{field} must be a sequence, got {getattr(self, field)!r:.80}")
            object.__setattr__(self, field, tuple(given))
        if not isinstance(self.room, Room):
            raise ArgumentError(f"room must be a Room, got {self.room!r:.80}")
        for field, kind in (("players", Player), ("microphones", Microphone)):
            if not all(isinstance(thing, kind) for thing in getattr(self, field)):
                raise ArgumentError(f"{field} must each be a {kind.__name__}")
        if not self.players or not self.microphones:
            raise ArgumentError("a scene needs at least one player and one microphone")
        for field, things in (("players", self.players), ("microphones", self.microphones)):
            check_unique(field, [thing.name for thing in things])
            for thing in things:
                if not all(0 < at < size for at, size in zip(thing.position_m, self.room.size_m)):
                    raise ArgumentError(
                        f"{field}: {thing.name!r} at {thing.position_m} is outside the room of "
                        f"{metres(self.room.size_m)}; move it, or take a larger room"
                    )
        for player in self.players:
            for microphone in self.microphones:
                if math.dist(player.position_m, microphone.position_m) < NEAREST_M:
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


def check_unique(field: str, names: Sequence[str]) -> None:
    """Raise `ArgumentError` unless all names are non-empty texts and no two are the same."""
    for name in names:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"{field} need names that are texts and not empty, got {name!r}")
        if list(names).count(name) > 1:
            raise ArgumentError(f"{field}: the name {name!r} comes twice; give each its own")
