"""Demixing from coordinates: against simulated rooms, and what is refused."""

import math

import numpy as np
import pytest

from mnmf import STFT, FastMNMF2, Prior, priors, simulate
from mnmf.errors import ArgumentError
from mnmf.simulate import LEAD, REFERENCE_M, Microphone, Player, Room, Scene

RATE, WINDOW = 16000, 1024
PLAYERS = ((3.0, 3.0, 1.2), (5.0, 3.5, 1.2))
MICS = ((3.2, 3.3, 1.2), (5.2, 3.1, 1.3), (4.0, 2.0, 1.8))
AIMS = ((3.0, 3.0, 1.0), (5.0, 3.5, 1.2), (4.5, 3.0, 1.0))
# Simulated sound travels at 343 m/s.
AIR = 343.0**2 * 0.0289644 / (1.4 * 8.31432) - 273.15


def scene(patterns, spots=(0, 1)):
    """An echoless room."""
    mics = [Microphone(str(m), at, patterns[m], AIMS[m]) for m, at in enumerate(MICS)]
    players = [Player(str(n), at) for n, at in enumerate(PLAYERS)]
    return Scene(Room((9.0, 7.0, 4.0), 0.0), tuple(players), tuple(mics), spots)


def geometry(**changes):
    arguments = {"mics_M3": MICS, "players_N3": PLAYERS, "sample_rate": RATE, "window_length": WINDOW}
    return priors.geometry(**{**arguments, **changes})


def test_speed_of_sound():
    assert priors.speed_of_sound() == pytest.approx(343.2, abs=0.05)
    assert priors.speed_of_sound(0.0) == pytest.approx(331.3, abs=0.05)
    assert priors.speed_of_sound(AIR) == pytest.approx(343.0)


@pytest.mark.parametrize(
    "patterns",
    [
        ("omni", "omni", "omni"),
        ("cardioid", "hypercardioid", "omni"),
        ("figure-of-eight", "subcardioid", "supercardioid"),
    ],
)
def test_steering_is_the_direct_path_of_an_echoless_room(patterns):
    h_LMN = simulate.impulse_responses(scene(patterns), RATE)
    size = 2 * len(h_LMN)
    frequencies = np.arange(size // 2 + 1) * RATE / size
    measured = np.fft.rfft(h_LMN, size, axis=0) * np.exp(2j * np.pi * frequencies * LEAD / RATE)[:, None, None]
    A = priors.steering(MICS, PLAYERS, frequencies, patterns=patterns, aims_M3=AIMS, temperature=AIR)
    band = frequencies < 0.4 * RATE  # above it the simulation's fractional delays fade out
    np.testing.assert_allclose(measured[band], REFERENCE_M * A[band], atol=0.01 * REFERENCE_M * np.abs(A).max())


def test_it_separates_an_echoless_room(rng):
    patterns = ("cardioid", "figure-of-eight", "omni")
    dry = rng.standard_normal((2 * RATE, 2))
    images = simulate.render(scene(patterns), dry, RATE)
    stft = STFT(4096, 1024)
    prior = geometry(window_length=4096, patterns=patterns, aims_M3=AIMS, temperature=AIR)
    assert prior.spots == ((0,), (1,))
    band = slice(50, 1600)  # players as far apart as the wave is long, and below the simulation's limit
    own = [stft.analyse(images[..., n])[band] for n in range(2)]
    for n in range(2):
        demixed = own[n] @ prior.Q[band].swapaxes(1, 2)
        energy = np.sum(np.abs(demixed) ** 2, axis=(0, 1))
        assert energy[n] == pytest.approx(np.sum(np.abs(own[n][..., n]) ** 2), rel=0.02)
        assert energy[1 - n] < 0.02 * np.sum(np.abs(own[n][..., 1 - n]) ** 2)  # 17 dB less bleed
        assert energy[2] < 0.02 * np.sum(np.abs(own[n][..., 2]) ** 2)  # the null space hears neither


def test_q_undoes_the_steering():
    prior = geometry(ridge=0.0)
    A = priors.steering(MICS, PLAYERS, np.arange(WINDOW // 2 + 1) * RATE / WINDOW)
    A /= A[:, [0, 1], [0, 1]][:, None]
    np.testing.assert_allclose(prior.Q @ A, np.tile(np.eye(3)[:, :2], (len(A), 1, 1)), atol=1e-9)
    rest = prior.Q[:, 2]
    np.testing.assert_allclose(np.linalg.norm(rest, axis=1), 1)
    assert prior.Q.shape == (WINDOW // 2 + 1, 3, 3)


def test_rows_that_complete_it_stay_with_their_mic_at_all_frequencies():
    mics = (*MICS, (3.5, 5.0, 1.5), (6.0, 5.0, 2.0))
    rest = geometry(mics_M3=mics).Q[:, 2:]
    np.testing.assert_allclose(rest @ rest.conj().swapaxes(1, 2), np.tile(np.eye(3), (len(rest), 1, 1)), atol=1e-9)
    assert np.all(np.argmax(np.abs(rest), axis=2) == [2, 3, 4])
    assert np.abs(np.angle(np.einsum("fmm->fm", rest[:, :, 2:]))).max() < 1e-6


def test_gains_of_the_channels_are_undone():
    gains = np.array([1.0, 4.0])
    plain, scaled = (geometry(mics_M3=MICS[:2], ridge=0.0, gains_M=g).Q for g in (None, gains))
    np.testing.assert_allclose(scaled * gains / gains[:, None], plain, atol=1e-9)


def test_it_joins_other_priors(rng):
    stft = STFT(WINDOW, WINDOW // 2)
    images = simulate.render(scene(("omni",) * 3), rng.standard_normal((RATE // 2, 2)), RATE)
    X = stft.analyse(images.sum(axis=2))
    prior = geometry(temperature=AIR)
    start = priors.spot(X, prior.spots, n_components=3) | prior
    assert start.Q is prior.Q
    model = FastMNMF2(3, 2).fit(X, start.hold("Q"))
    np.testing.assert_array_equal(model.Q_, prior.Q)
    assert model.spots_ == prior.spots
    assert np.isfinite((Prior(G=np.ones((2, 3))) | prior).Q).all()


def test_spots_by_default_hear_their_player_loudest():
    assert geometry(players_N3=PLAYERS[::-1]).spots == ((1,), (0,))
    assert geometry(spots=(2, (1, 0))).spots == ((2,), (1, 0))
    # A figure of eight that is deaf towards the nearest player.
    aims = ((3.2, 3.3, 3.0), None, None)
    assert geometry(patterns=("figure-of-eight", "omni", "omni"), aims_M3=aims, players_N3=PLAYERS[:1]).spots == ((2,),)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 2 * RATE},
        {"temperature": 0.0},
        {"ridge": 0.1},
        {"gains_M": (1.0, 2.0, 1.0)},
        {"spots": (1, 0)},
        {"patterns": "cardioid", "aims_M3": AIMS},
        {"patterns": (1.0, 0.8, 0), "aims_M3": AIMS},
    ],
)
def test_every_option_changes_q(change):
    assert not np.allclose(geometry(**change).Q, geometry().Q)


def test_names_are_numbers():
    named = geometry(patterns=("omni", "cardioid", "figure-of-eight"), aims_M3=AIMS).Q
    np.testing.assert_array_equal(geometry(patterns=(1, 0.5, 0.0), aims_M3=(None, *AIMS[1:])).Q, named)
    np.testing.assert_array_equal(geometry(patterns=1.0).Q, geometry(patterns="omni").Q)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mics_M3": np.zeros((3, 2))}, r"mics_M3 must have shape \(M, 3\)"),
        ({"mics_M3": np.zeros((0, 3))}, "at least one microphone and one player"),
        ({"players_N3": "here"}, "players_N3 must be coordinates in metres"),
        ({"players_N3": [[1, 2, np.nan]]}, "players_N3 holds NaN"),
        ({"players_N3": [MICS[1]]}, "microphone 1 and player 0 are in the same place"),
        ({"players_N3": (*PLAYERS, (1, 1, 1), (2, 2, 2))}, "4 players and 3 microphones have no demixing"),
        ({"players_N3": (PLAYERS[0], (3.0, 3.0, 1.3))}, "two sources share a microphone"),
        ({"spots": (0,)}, "2 sources need 2 spots, got 1"),
        ({"spots": (0, 3)}, "spots name microphone 3, but there are only 3"),
        ({"spots": (2, 2)}, "two sources share a microphone"),
        ({"patterns": "lobar"}, "patterns must be one of omni, "),
        ({"patterns": ("omni", "omni", "lobar")}, r"patterns\[2\] must be one of omni, "),
        ({"patterns": ("omni", "omni")}, "one for all microphones or one each: 3, got 2"),
        ({"patterns": 1.5}, "patterns must be a number from 0 to 1, got 1.5"),
        ({"patterns": "cardioid"}, "microphone 0 is directional; give aims_M3"),
        ({"patterns": "cardioid", "aims_M3": AIMS[:2]}, "one point a microphone: 3, got 2"),
        ({"patterns": "cardioid", "aims_M3": MICS}, r"aims_M3\[0\] must be away from microphone 0"),
        ({"patterns": "cardioid", "aims_M3": (1, 2, 3)}, r"aims_M3\[0\] must have shape"),
        (
            {"patterns": (0.0, 1, 1), "aims_M3": ((3.2, 3.3, 3.0), None, None), "spots": (0, 1)},
            "player 0 sits where its own spot, microphone 0, is deaf",
        ),
        ({"sample_rate": 0}, "sample_rate must be a number"),
        ({"window_length": 1023}, "window_length must be even"),
        ({"gains_M": (1, 2)}, "gains_M must have shape"),
        ({"gains_M": (1, 0, 1)}, "gains_M must be positive, got 0 for microphone 1"),
        ({"temperature": 293.15}, "temperature must be a number from -80 to 60 °C, got 293.15"),
        ({"temperature": math.nan}, "temperature must be a number"),
        ({"ridge": -1.0}, "ridge must be a number of at least 0"),
    ],
)
def test_what_it_refuses(changes, message):
    with pytest.raises(ArgumentError, match=message) as error:
        geometry(**changes)
    assert "\n" not in str(error.value)
