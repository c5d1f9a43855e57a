"""A prior from coordinates: where the microphones stand, where the musicians sit, and where each microphone points.

Coordinates describe only the direct sound, so this prior helps where direct sound dominates: with close microphones and
in dry rooms.  Reflections, and the simulation of rooms, do not live here.  Equation numbers are those of "CLASS-net +
FastMNMF2".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnmf.directivity import PATTERNS
from mnmf.errors import ArgumentError, check_array, check_choice, check_count, check_number, check_numeric
from mnmf.priors._prior import Prior
from mnmf.priors._solo import demixing
from mnmf.spots import Spots, listed

__all__ = ["geometry", "speed_of_sound", "steering"]

Array = NDArray[Any]

CLOSEST_M = 0.01  # metres; a microphone and a player nearer to each other count as at the same place
DEAF = 1e-3  # relative to the front: a microphone this insensitive towards its own player is refused as its spot

# U.S. Standard Atmosphere, 1976
HEAT_RATIO = 1.4
GAS_CONSTANT = 8.31432  # J/(mol K)
MOLAR_MASS = 0.0289644  # kg/mol
ICE_POINT = 273.15  # K


def geometry(
    mics_M3: ArrayLike,
    players_N3: ArrayLike,
    sample_rate: float,
    window_length: int,
    *,
    spots: Sequence[int | Sequence[int]] | None = None,
    patterns: str | float | Sequence[str | float] = "omni",
    aims_M3: Sequence[Any] | Array | None = None,
    gains_M: ArrayLike | None = None,
    temperature: float = 20.0,
    ridge: float = 1e-3,
) -> Prior:
    """Compute demixing matrices from coordinates: the inverse of how direct sound reaches the microphones.

    `steering` gives a column of A_f for each player, scaled to 1 at its own spot; ``Q = (AᴴA + ridge·I)⁻¹ Aᴴ``,
    completed if there are more microphones than players (eq. 12).  To start a model, combine it with what the spots
    hear: ``priors.spot(X_FTM, prior.spots, prior.Q)``.

    Parameters
    ----------
    mics_M3 : float, shape (M, 3)
        Positions x, y, z of the microphones in metres, in the order of the channels.
    players_N3 : float, shape (N, 3)
        Positions of the instruments in metres, at most as many as microphones.
    sample_rate : float
        In Hz.
    window_length : int
        Samples in an analysis window, an even number, as for `STFT`.
    spots : sequence of int, or of sequences of int, optional
        For each player its own microphone(s), counted from 0, the reference spot first; by default the one that hears
        its direct sound loudest.
    patterns : str, float, or a sequence of them
        Directivity of the microphones, one for all or one each: a name in `mnmf.directivity.PATTERNS`, or the number p
        from 0 (figure of eight) over 0.5 (cardioid) to 1 (omni) of the gain ``p + (1 − p) cos(angle)``.
    aims_M3 : float, shape (M, 3), or a sequence of points, optional
        The point each microphone is aimed at, in metres; it does not matter for an omni, which may have None.
    gains_M : float, shape (M,), optional
        Factors by which the recorded channels were multiplied, for example to make them equally loud.
    temperature : float
        Temperature of the air in °C.
    ridge : float
        Keeps Q bounded where two players reach the microphones alike, as at low frequencies.

    Returns
    -------
    Prior
        With `Q`, complex128 (F, M, M), row n for player n, and `spots`.

    Raises
    ------
    ArgumentError
        An array has the wrong shape, a number is out of range, a microphone and a player are at the same place, a
        pattern is unknown or lacks its aim, a player sits where its own spot is deaf, or two players share a spot.

    Examples
    --------
    >>> mics_M3, players_N3 = [[0, 0, 1], [2, 0, 1]], [[0, 0.3, 1], [2, 0.3, 1]]
    >>> prior = geometry(mics_M3, players_N3, sample_rate=16000, window_length=8, ridge=0.0)
    >>> prior.spots
    Spots((0,), (1,))
    >>> A_FMN = steering(mics_M3, players_N3, [0, 2000, 4000, 6000, 8000])
    >>> np.abs(prior.Q @ A_FMN / np.diagonal(A_FMN, axis1=1, axis2=2)[:, None])[1].round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    gains_MN, distances_MN = _direct(mics_M3, players_N3, patterns, aims_M3)
    M, N = distances_MN.shape
    sample_rate = check_number("sample_rate", sample_rate, 1.0, 1e9)
    if check_count("window_length", window_length, 2) % 2:
        raise ArgumentError(f"window_length must be even, got {window_length}")
    check_number("ridge", ridge, 0.0, math.inf)
    speed = speed_of_sound(temperature)
    if N > M:
        raise ArgumentError(f"{N} players and {M} microphones have no demixing matrix; give more microphones")
    channels_M = np.ones(M) if gains_M is None else check_array("gains_M", gains_M, (M,), "(M,)", nonnegative=True)
    if not channels_M.all():
        raise ArgumentError(f"gains_M must be positive, got 0 for microphone {int(np.argmin(channels_M))}")
    all_spots = _spots(spots, np.abs(gains_MN) / distances_MN)
    own = all_spots.references
    for n, m in enumerate(own):
        if abs(gains_MN[m, n]) < DEAF:
            raise ArgumentError(f"player {n} sits where its own spot, microphone {m}, is deaf; turn it or name another")
    frequencies_F = np.arange(window_length // 2 + 1) * (sample_rate / window_length)
    A_FMN = _waves(gains_MN * channels_M[:, None], distances_MN, frequencies_F, speed)
    A_FMN /= A_FMN[:, own, range(N)][:, None]
    return Prior(Q=demixing(A_FMN, ridge, all_spots), spots=all_spots)


def steering(
    mics_M3: ArrayLike,
    players_N3: ArrayLike,
    frequencies_F: ArrayLike,
    *,
    patterns: str | float | Sequence[str | float] = "omni",
    aims_M3: Sequence[Any] | Array | None = None,
    temperature: float = 20.0,
) -> Array:
    """Return how each player's direct sound reaches each microphone.

    Spherical waves: ``a_fmn = gain · exp(−2πi f d/c) / d`` for a distance of d metres and the speed of sound c.  The
    gain is that of the microphone's pattern in the player's direction; behind a figure of eight it is negative.

    Parameters
    ----------
    mics_M3, players_N3, patterns, aims_M3, temperature
        As for `geometry`.
    frequencies_F : float, shape (F,)
        In Hz.

    Returns
    -------
    complex128, shape (F, M, N)
        Relative to an omni at 1 m.

    Raises
    ------
    ArgumentError
        An array has the wrong shape, a number is out of range, a microphone and a player are at the same place, or a
        pattern is unknown or lacks its aim.

    Examples
    --------
    >>> steering([[0, 0, 0], [3, 0, 0]], [[1, 0, 0]], [0.0]).real.round(2).tolist()  # at distances of 1 m and 2 m
    [[[1.0], [0.5]]]
    """
    gains_MN, distances_MN = _direct(mics_M3, players_N3, patterns, aims_M3)
    frequencies = check_array("frequencies_F", frequencies_F, (None,), "(F,)", nonnegative=True)
    return _waves(gains_MN, distances_MN, frequencies, speed_of_sound(temperature))


def speed_of_sound(temperature: float = 20.0) -> float:
    """Return the speed of sound in dry air in m/s, ``sqrt(γ R T / M₀)`` (U.S. Standard Atmosphere, 1976, eq. 50).

    Parameters
    ----------
    temperature : float
        In °C, −80 to 60.  Humidity is left out; at room temperature it adds at most 0.4 %.

    Raises
    ------
    ArgumentError
        The temperature is out of range, for example because it is in kelvin.

    Examples
    --------
    >>> round(speed_of_sound(20.0), 1)
    343.2
    """
    kelvin = check_number("temperature", temperature, -80.0, 60.0, " °C") + ICE_POINT
    return math.sqrt(HEAT_RATIO * GAS_CONSTANT * kelvin / MOLAR_MASS)


def _direct(mics_M3: Any, players_N3: Any, patterns: Any, aims_M3: Any) -> tuple[Array, Array]:
    """Return the gain of each microphone towards each player and their distance in metres, both (M, N)."""
    mics = check_array("mics_M3", _floats("mics_M3", mics_M3), (None, 3), "(M, 3)")
    players = check_array("players_N3", _floats("players_N3", players_N3), (None, 3), "(N, 3)")
    if not len(mics) or not len(players):
        raise ArgumentError("mics_M3 and players_N3 must name at least one microphone and one player")
    towards_MN3 = players[None] - mics[:, None]
    distances_MN = np.linalg.norm(towards_MN3, axis=-1)
    for m, n in np.argwhere(distances_MN < CLOSEST_M):
        raise ArgumentError(
            f"microphone {m} and player {n} are in the same place, {players[n].tolist()}; "
            "leave at least 1 cm between them"
        )
    p_M = _shares(patterns, len(mics))
    directions_M3 = _directions(mics, p_M, aims_M3)
    cosines_MN = np.einsum("mx,mnx->mn", directions_M3, towards_MN3 / distances_MN[..., None])
    return p_M[:, None] + (1.0 - p_M[:, None]) * cosines_MN, distances_MN


def _waves(gains_MN: Array, distances_MN: Array, frequencies_F: Array, speed: float) -> Array:
    phase_FMN = np.multiply.outer(-2j * np.pi / speed * frequencies_F, distances_MN)
    return np.asarray(gains_MN / distances_MN * np.exp(phase_FMN))


def _shares(patterns: Any, n_mics: int) -> Array:
    """Return p of each microphone: which part of its pattern is omnidirectional."""
    one_for_all = isinstance(patterns, str | int | float | np.number)
    chosen = [patterns] * n_mics if one_for_all else listed(patterns)
    if chosen is None:
        raise ArgumentError(f"patterns must be one for all microphones or one each, got {patterns!r:.80}")
    if len(chosen) != n_mics:
        raise ArgumentError(f"patterns must be one for all microphones or one each: {n_mics}, got {len(chosen)}")
    p_M = np.empty(n_mics)
    for m, pattern in enumerate(chosen):
        name = "patterns" if one_for_all else f"patterns[{m}]"
        if isinstance(pattern, str):
            p_M[m] = PATTERNS[check_choice(name, pattern, tuple(PATTERNS))]
        else:
            p_M[m] = check_number(name, pattern, 0.0, 1.0)
    return p_M


def _directions(mics: Array, p_M: Array, aims: Any) -> Array:
    """Return the unit vectors along which the microphones point, 0 for an omni."""
    points = [None] * len(mics) if aims is None else listed(aims)
    if points is None:
        raise ArgumentError(f"aims_M3 must be one point a microphone, got {aims!r:.80}")
    if len(points) != len(mics):
        raise ArgumentError(f"aims_M3 must be one point a microphone: {len(mics)}, got {len(points)}")
    directions_M3 = np.zeros((len(mics), 3))
    for m, point in enumerate(points):
        if p_M[m] == 1.0:
            continue
        if point is None:
            raise ArgumentError(f"microphone {m} is directional; give aims_M3, the point each microphone is aimed at")
        name = f"aims_M3[{m}]"
        step = check_array(name, _floats(name, point), (3,), "(3,)") - mics[m]
        length = float(np.linalg.norm(step))
        if length < 1e-6:
            raise ArgumentError(f"{name} must be away from microphone {m} itself")
        directions_M3[m] = step / length
    return directions_M3


def _spots(spots: Sequence[int | Sequence[int]] | None, level_MN: Array) -> Spots:
    M, N = level_MN.shape
    found = Spots(np.argmax(level_MN, axis=0).tolist() if spots is None else spots)
    return found.check(M, N, apart="name one for each player in spots")


def _floats(name: str, value: Any) -> Array:
    try:
        found = check_numeric(name, value)
    except ArgumentError as error:
        raise ArgumentError(f"{name} must be coordinates in metres, got {value!r:.80}") from error
    if np.iscomplexobj(found):
        raise ArgumentError(f"{name} must be coordinates in metres, not complex")
    return np.asarray(found, np.float64)
