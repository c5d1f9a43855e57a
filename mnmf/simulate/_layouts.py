"""Who sits where: the rooms and seating plans of published experiments, spot microphones, and ready-made scenes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_choice, check_count, check_number
from mnmf.simulate._scene import (
    FARTHEST_M,
    Microphone,
    Player,
    Point,
    Room,
    Scene,
    check_point,
    check_unique,
)
from mnmf.spots import MOST_SPOTS, listed

PLAYER_HEIGHT_M = 1.2  # a seated player's instrument


@dataclass(frozen=True)
class Layout:
    """A seating plan on a half circle.

    Parameters
    ----------
    radius_m : float
        Radius of the half circle in metres.
    instruments : tuple of 5 str
        The instrument at each angle of `SEAT_ANGLES_DEG`.

    Examples
    --------
    >>> from mnmf import simulate
    >>> dict(zip(simulate.SEAT_ANGLES_DEG, simulate.LAYOUTS["L5"].instruments))
    {-90: 'violin2', -45: 'viola', 0: 'bass', 45: 'cello', 90: 'violin1'}
    """

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


def close_spots(
    players: Sequence[Player],
    distance_m: float = 0.25,
    pattern: str = "cardioid",
    towards: Sequence[float] | None = None,
) -> tuple[Microphone, ...]:
    """Place one spot microphone in front of each player, aimed at the player and with the player's name.

    Parameters
    ----------
    players : sequence of Player
        Who is to have a spot.
    distance_m : float
        From the player to its microphone, in metres.
    pattern : str
        Directivity of the microphones, a key of `mnmf.directivity.PATTERNS`.
    towards : sequence of 3 floats, optional
        Each microphone stands between its player and this point, so that its back is turned to what lies there.  The
        middle of the players if not given.

    Returns
    -------
    tuple of Microphone
        In the order of the players.

    Raises
    ------
    ArgumentError
        `distance_m` is not positive, the pattern is unknown, or a player is where `towards` is.

    Examples
    --------
    >>> from mnmf import simulate
    >>> players = simulate.Player("flute", (2.0, 1.5, 1.2)), simulate.Player("harp", (4.0, 1.5, 1.2))
    >>> flute, harp = simulate.close_spots(players, distance_m=0.5)
    >>> flute.position_m
    (2.5, 1.5, 1.2)
    """
    if check_number("distance_m", distance_m, 0.0, FARTHEST_M, " m") == 0:
        raise ArgumentError(f"distance_m must be a positive number of metres, got {distance_m!r}")
    players = tuple(listed(players) or ())
    if not players or not all(isinstance(player, Player) for player in players):
        raise ArgumentError("players must be one Player or more, such as those of a Scene")
    if towards is None:
        middle = np.mean([player.position_m for player in players], axis=0)
    else:
        middle = np.array(check_point("towards", towards))
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
    """Return the simulated hall of Cabañas-Molero et al. 2023, section 4.1.

    From the paper: 22 x 16 x 5 m, RT60 1 s, omnidirectional spots, neighbours 2 m apart, four players.  The paper does
    not say the rest: here they sit on a half circle around a point at 33 % of the length and 50 % of the width, 1.2 m
    above the floor, and the spots stand `distance_m` in front of them.

    Parameters
    ----------
    players : int or sequence of str
        How many, or their names in the order of the stems.
    distance_m : float
        From player to spot, in metres.
    pattern : str
        Directivity of the spots, a key of `mnmf.directivity.PATTERNS`.

    Returns
    -------
    Scene
        Spot n is microphone n.

    Raises
    ------
    ArgumentError
        The players do not fit into the hall or are not named as they must be, or an argument is out of range.

    Examples
    --------
    >>> from mnmf import simulate
    >>> scene = simulate.hall_scene(["oboe", "clarinet", "bassoon"])
    >>> scene.names
    ('oboe', 'clarinet', 'bassoon')
    >>> scene.room
    Room(size_m=(22.0, 16.0, 5.0), rt60_s=1.0)
    """
    return _half_circle(Room((22.0, 16.0, 5.0), 1.0), _names(players), 2.0, distance_m, pattern)


def chamber_scene(
    players: int | Sequence[str] = ("violin1", "violin2", "viola", "cello"),
    distance_m: float = 0.4,
    pattern: str = "omni",
) -> Scene:
    """Return a rehearsal room with much bleed, quick to simulate: the scene of the demo.

    12 x 9 x 4.5 m, RT60 0.6 s; neighbours sit 1.8 m apart on a half circle, with omni spots 40 cm in front of them.
    With the embedded quartet each spot hears each of the others 9 to 13 dB below its own player, and all of them
    together 5 to 6 dB below.

    Parameters
    ----------
    players : int or sequence of str
        How many, or their names in the order of the stems.
    distance_m : float
        From player to spot, in metres.
    pattern : str
        Directivity of the spots, a key of `mnmf.directivity.PATTERNS`.

    Returns
    -------
    Scene
        Spot n is microphone n.

    Raises
    ------
    ArgumentError
        As `hall_scene`.

    Examples
    --------
    >>> from mnmf import simulate
    >>> scene = simulate.chamber_scene()
    >>> scene.names
    ('violin1', 'violin2', 'viola', 'cello')
    >>> scene.spots
    (0, 1, 2, 3)
    """
    return _half_circle(Room((12.0, 9.0, 4.5), 0.6), _names(players), 1.8, distance_m, pattern)


def orchestral_scene(
    room: str = "R6",
    layout: str = "L5",
    players: int | Sequence[str] = ("violin1", "violin2", "viola", "cello", "bass"),
    distance_m: float = 0.25,
    pattern: str = "cardioid",
) -> Scene:
    """Return a room and a seating plan of Pandey et al. 2026, Tables I and II.

    The players sit on a half circle around a point at 33 % of the length and 50 % of the width of the room; seen from
    there azimuth 0 runs along the length towards the far wall, and negative angles are to the left.  Each spot stands
    between its player and that point.  The paper does not say the height; here it is 1.2 m.

    Parameters
    ----------
    room : str
        A key of `ROOMS`.
    layout : str
        A key of `LAYOUTS`.
    players : int or sequence of str
        How many (five at most), or their names in the order of the stems, whatever their seats.  Five players: those
        that the layout names (``violin1``, ``Violin 1`` and ``violin-1`` are the same) take their seats there, the
        others the remaining seats, from -90 degrees on.  Fewer players: they fill the seats from -90 degrees on without
        a gap, first those that the layout names, in its order, then the others.  So a quartet always leaves the seat at
        +90 degrees empty.
    distance_m : float
        From player to spot, in metres.
    pattern : str
        Directivity of the spots, a key of `mnmf.directivity.PATTERNS`.

    Returns
    -------
    Scene
        Spot n is microphone n.

    Raises
    ------
    ArgumentError
        The room, layout or pattern is unknown, or there are more than five players.

    Examples
    --------
    >>> from mnmf import simulate
    >>> scene = simulate.orchestral_scene("R3", "L1", ["violin1", "viola", "cello"])
    >>> scene.room == simulate.ROOMS["R3"]
    True
    >>> scene.microphones[0].pattern
    'cardioid'
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
    """Return the studio of "CLASS-net + FastMNMF2", section 3.2: piano, saxophone and violin, seven microphones.

    Positions are those of its Tables 1 and 2, relative to the foot of the ambience microphone; where the text differs
    (an equilateral triangle, spots 50 to 60 cm from the sources) the tables win.  Microphones 1 to 3 are cardioids in
    one place: the centre aimed at the piano, left and right turned by 60 degrees; then the ambience cardioid, here
    aimed level at the ensemble, and three figure-of-eight spots aimed at their sources.  RT60 is 0.5 s.  Of the walls
    the paper gives only the volume, 108.9 m3; here they are 8.25 x 4.4 x 3 m, with the ambience 1 m from the back wall
    and the ensemble in the middle of the width.

    Returns
    -------
    Scene
        Three players; their spots are the last three of the microphones.

    Examples
    --------
    >>> from mnmf import simulate
    >>> scene = simulate.studio_scene()
    >>> [(player, scene.microphones[spot].pattern) for player, spot in zip(scene.names, scene.spots)]
    [('piano', 'figure-of-eight'), ('saxophone', 'figure-of-eight'), ('violin', 'figure-of-eight')]
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
        return tuple(f"player{n + 1}" for n in range(check_count("players", players, 1, MOST_SPOTS)))
    names = tuple(listed(players) or ())
    if not names or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"players must be at least one name, got {players!r:.80}")
    check_unique("players", names)
    return names


def _tuple(point: NDArray[np.float64]) -> Point:
    x, y, z = (float(v) for v in point)
    return x, y, z
