"""Rooms, seats, microphones and what they hear; at 8 kHz and in small or echoless rooms, to be quick."""

import math
import subprocess
import sys
from itertools import islice, pairwise

import numpy as np
import pytest

from mnmf import simulate
from mnmf.errors import ArgumentError, MnmfError
from mnmf.simulate import (
    LAYOUTS,
    LEAD,
    REFERENCE_M,
    ROOMS,
    SEAT_ANGLES_DEG,
    Microphone,
    Player,
    Room,
    Scene,
    _rendering,
)

pytestmark = pytest.mark.slow

FS = 8000
SMALL = Room((5.0, 4.0, 3.0), 0.2)
FREE = Room((40.0, 40.0, 40.0), 0.0)
QUARTET = ("violin1", "violin2", "viola", "cello")
QUINTET = (*QUARTET, "bass")


def trio(room=SMALL):
    players = (Player("a", (1.0, 1.0, 1.2)), Player("b", (2.5, 3.0, 1.2)), Player("c", (4.0, 1.0, 1.2)))
    ambience = Microphone("room", (2.5, 0.3, 2.0))
    spots = simulate.close_spots(players, 0.3)
    return Scene(room, players, (ambience, *spots), (1, 2, 3))


def heard(pattern, angle_deg, distance_m=3.0, elevation_deg=0.0):
    """The impulse response of an echoless room whose player is off the axis of the microphone by an angle."""
    at = np.array([20.0, 20.0, 20.0])
    a, e = math.radians(angle_deg), math.radians(elevation_deg)
    seat = at + distance_m * np.array([math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e)])
    microphone = Microphone("m", tuple(at), pattern, tuple(at + np.array([1.0, 0.0, 0.0])))
    scene = Scene(FREE, (Player("p", tuple(seat)),), (microphone,), (0,))
    return simulate.impulse_responses(scene, FS)[:, 0, 0]


@pytest.fixture(scope="module")
def stems_LN():
    return np.random.default_rng(1).standard_normal((FS // 2, 3))


@pytest.fixture(scope="module")
def images_LMN(stems_LN):
    return simulate.render(trio(), stems_LN, FS)


# Rendering


def test_images_have_the_length_of_the_stems_and_every_mic_and_player(images_LMN, stems_LN):
    assert images_LMN.shape == (len(stems_LN), 4, 3)
    assert images_LMN.dtype == np.float64


def test_images_are_the_stems_convolved_with_the_responses(images_LMN, stems_LN):
    h_LMN = simulate.impulse_responses(trio(), FS)
    for m, n in ((0, 0), (1, 2), (3, 1)):
        expected = np.convolve(stems_LN[:, n], h_LMN[:, m, n])[LEAD : LEAD + len(stems_LN)]
        np.testing.assert_allclose(images_LMN[:, m, n], expected, atol=1e-10)


def test_responses_at_hand_are_used_and_not_simulated_again(images_LMN, stems_LN):
    scene, solos = trio(), list(stems_LN.T)
    h_LMN = simulate.impulse_responses(scene, FS)
    assert simulate.render(scene, stems_LN, FS, h_LMN=h_LMN).tobytes() == images_LMN.tobytes()
    np.testing.assert_array_equal(simulate.render(scene, stems_LN, FS, h_LMN=2 * h_LMN), 2 * images_LMN)
    solo_LM, passages = simulate.solo_take(scene, solos, FS)
    given_LM, given = simulate.solo_take(scene, solos, FS, h_LMN=2 * h_LMN)
    np.testing.assert_array_equal(given_LM, 2 * solo_LM)
    assert given == passages
    clap_LM, _ = simulate.clap_take(scene, FS, n=1)
    np.testing.assert_array_equal(simulate.clap_take(scene, FS, n=1, h_LMN=2 * h_LMN)[0], 2 * clap_LM)


def test_each_stem_alone_gives_its_image(images_LMN, stems_LN):
    alone = simulate.render(trio(), stems_LN * [0, 1, 0], FS)
    np.testing.assert_array_equal(alone[:, :, 1], images_LMN[:, :, 1])
    assert not alone[:, :, [0, 2]].any()


def test_every_spot_hears_its_own_player_loudest(images_LMN):
    power_MN = np.mean(images_LMN**2, axis=0)
    for n, spot in enumerate(trio().spots):
        assert np.argmax(power_MN[spot]) == n
        assert power_MN[spot, n] > 4 * np.delete(power_MN[spot], n).max()


def test_rendering_twice_gives_the_same_bytes_and_keeps_the_stems(images_LMN, stems_LN):
    before = stems_LN.copy()
    assert simulate.render(trio(), stems_LN, FS).tobytes() == images_LMN.tobytes()
    assert stems_LN.tobytes() == before.tobytes()


def test_settings_of_pyroomacoustics_neither_matter_nor_change(images_LMN, stems_LN):
    import pyroomacoustics as pra

    before = {key: pra.constants.get(key) for key in ("num_threads", "c", "frac_delay_length")}
    try:
        for key, value in {"num_threads": 3, "c": 300.0, "frac_delay_length": 41}.items():
            pra.constants.set(key, value)
        assert simulate.render(trio(), stems_LN, FS).tobytes() == images_LMN.tobytes()
        assert (pra.constants.get("num_threads"), pra.constants.get("c")) == (3, 300.0)
    finally:
        for key, value in before.items():
            pra.constants.set(key, value)


def test_silence_stays_silence():
    assert not simulate.render(trio(), np.zeros((100, 3)), FS).any()


def test_the_direct_sound_has_its_physical_delay_and_gain():
    samples = 25
    distance = samples * 343.0 / FS
    h = heard("omni", 0.0, distance)
    assert np.argmax(h) == LEAD + samples
    assert h[LEAD + samples] == pytest.approx(REFERENCE_M / distance, rel=0.01)
    impulse = np.zeros((100, 1))
    impulse[10] = 1.0
    scene = Scene(FREE, (Player("p", (20.0, 20.0, 20.0)),), (Microphone("m", (20.0 + distance, 20.0, 20.0)),), (0,))
    assert np.argmax(simulate.render(scene, impulse, FS)[:, 0, 0]) == 10 + samples


def test_reverberation_time_of_a_small_room():
    room = Room((6.0, 5.0, 4.0), 0.4)
    scene = Scene(room, (Player("p", (1.3, 1.7, 1.2)),), (Microphone("m", (4.1, 3.2, 1.9)),), (0,))
    h = simulate.impulse_responses(scene, FS)[:, 0, 0]
    decay_db = 10 * np.log10(np.cumsum(h[::-1] ** 2)[::-1] / np.sum(h**2))
    t20 = 3 * (np.argmax(decay_db < -25) - np.argmax(decay_db < -5)) / FS
    assert t20 == pytest.approx(0.4, rel=0.35)
    assert decay_db[-round(0.02 * FS)] < -40
    assert len(h) == pytest.approx(0.4 * FS + 2 * LEAD, abs=1)


def test_no_reflection_within_the_response_is_missing(monkeypatch):
    h = simulate.impulse_responses(trio(), FS)
    order, duration_s = _rendering._extent(trio())
    monkeypatch.setattr(_rendering, "_extent", lambda scene: (order + 10, duration_s))
    np.testing.assert_allclose(simulate.impulse_responses(trio(), FS), h, atol=1e-6 * np.abs(h).max())


# Microphones


@pytest.mark.parametrize(("pattern", "p"), list(simulate.PATTERNS.items()))
@pytest.mark.parametrize("angle_deg", [0, 45, 90, 135, 180])
def test_gain_follows_the_pattern(pattern, p, angle_deg):
    expected = p + (1 - p) * math.cos(math.radians(angle_deg))
    measured = heard(pattern, angle_deg) @ heard("omni", angle_deg) / np.sum(heard("omni", angle_deg) ** 2)
    assert measured == pytest.approx(expected, abs=1e-3)


def test_cardioid_is_deaf_behind():
    assert np.abs(heard("cardioid", 180)).max() < 1e-4 * np.abs(heard("cardioid", 0)).max()


def test_figure_of_eight_is_deaf_in_its_plane_and_inverts_behind():
    front = heard("figure-of-eight", 0)
    np.testing.assert_allclose(heard("figure-of-eight", 180), -front, atol=1e-4 * np.abs(front).max())
    for elevation in (0, 30, 90):
        side = heard("figure-of-eight", 90, elevation_deg=elevation)
        assert np.abs(side).max() < 1e-4 * np.abs(front).max()


def test_spots_stand_at_their_distance_aimed_at_their_player_from_the_side_asked_for():
    players = trio().players
    for player, spot in zip(players, simulate.close_spots(players, 0.4, "supercardioid", towards=(2.0, 2.0, 2.5))):
        assert spot.name == player.name
        assert spot.pattern == "supercardioid"
        assert spot.aim_m == player.position_m
        assert math.dist(spot.position_m, player.position_m) == pytest.approx(0.4)
        step, way = np.subtract(spot.position_m, player.position_m), np.subtract((2.0, 2.0, 2.5), player.position_m)
        assert step @ way == pytest.approx(0.4 * np.linalg.norm(way))


# Scenes of the papers


def all_scenes():
    yield simulate.studio_scene()
    for n in range(1, 9):
        yield simulate.chamber_scene(n)
        yield simulate.hall_scene(n)
    for room in ROOMS:
        for layout in LAYOUTS:
            for n in range(1, 6):
                yield simulate.orchestral_scene(room, layout, n)


def test_every_preset_has_one_spot_a_player_nearest_to_that_player():
    for scene in all_scenes():  # being inside the room is checked by Scene
        assert len(set(scene.spots)) == len(scene.players)
        for player, spot in zip(scene.players, scene.spots):
            distances = [math.dist(player.position_m, other.position_m) for other in scene.microphones]
            assert distances[spot] == min(distances)


def test_hall_of_the_2023_paper():
    scene = simulate.hall_scene(4)
    assert scene.room == Room((22.0, 16.0, 5.0), 1.0)
    assert {microphone.pattern for microphone in scene.microphones} == {"omni"}
    at = [player.position_m for player in scene.players]
    assert [math.dist(a, b) for a, b in pairwise(at)] == pytest.approx([2.0, 2.0, 2.0])


def test_rooms_have_their_length_first_and_the_tables_values():
    assert all(room.size_m[0] == max(room.size_m) for room in ROOMS.values())
    assert ROOMS["R6"] == Room((22.0, 19.5, 12.0), 1.6)
    assert [plan.radius_m for plan in LAYOUTS.values()] == [1.5, 1.6, 1.7, 1.8, 2.0, 2.0]
    for name in ("L1", "L2", "L3", "L4", "L5"):
        assert sorted(LAYOUTS[name].instruments) == sorted(QUINTET)


def seats(scene, radius_m):
    """The azimuth of every player, in degrees, and a check of the radius around the reference point."""
    x, y, _ = scene.room.size_m
    found = {}
    for player in scene.players:
        step = np.subtract(player.position_m[:2], (0.33 * x, 0.5 * y))
        assert np.linalg.norm(step) == pytest.approx(radius_m)
        found[player.name] = round(math.degrees(math.atan2(-step[1], step[0])))
    return found


@pytest.mark.parametrize("layout", ["L1", "L2", "L3", "L4", "L5"])
def test_a_quintet_sits_as_the_table_says(layout):
    scene = simulate.orchestral_scene("R3", layout, QUINTET)
    plan = LAYOUTS[layout]
    assert scene.names == QUINTET
    assert seats(scene, plan.radius_m) == dict(zip(plan.instruments, SEAT_ANGLES_DEG))
    for player, spot in zip(scene.players, scene.spots):
        assert scene.microphones[spot].pattern == "cardioid"
        assert math.dist(player.position_m, scene.microphones[spot].position_m) == pytest.approx(0.25)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_quartet_leaves_the_seat_at_90_degrees_empty(layout):
    found = seats(simulate.orchestral_scene("R6", layout, QUARTET), LAYOUTS[layout].radius_m)
    assert sorted(found.values()) == [-90, -45, 0, 45]
    order = [name for name in LAYOUTS[layout].instruments if name in QUARTET] or list(QUARTET)
    assert sorted(found, key=found.__getitem__) == order


def test_players_unknown_to_the_table_take_the_seats_left_over():
    quintet = simulate.orchestral_scene("R6", "L5", ("oboe", "Violin 1", "horn", "cello", "VIOLA"))
    assert seats(quintet, 2.0) == {"oboe": -90, "VIOLA": -45, "horn": 0, "cello": 45, "Violin 1": 90}
    quartet = simulate.orchestral_scene("R6", "L5", ("oboe", "cello", "horn", "viola"))
    assert seats(quartet, 2.0) == {"viola": -90, "cello": -45, "oboe": 0, "horn": 45}
    others = simulate.orchestral_scene("R6", "L6", ("flute", "oboe", "clarinet", "horn", "bassoon"))
    assert list(seats(others, 2.0).values()) == list(SEAT_ANGLES_DEG)


def test_studio_has_the_volume_and_the_coordinates_of_the_tables():
    scene = simulate.studio_scene()
    assert scene.room.volume_m3 == pytest.approx(108.9)
    assert scene.room.rt60_s == 0.5
    foot = np.array([*scene.microphones[3].position_m[:2], 0.0])
    microphones = [np.subtract(microphone.position_m, foot) for microphone in scene.microphones]
    triple = (3.0, 0.0, 1.5)
    np.testing.assert_allclose(
        microphones, [triple, triple, triple, (0, 0, 1.8), (6, 0, 1.9), (4.5, 0.5, 1.7), (4.5, -0.5, 1.7)], atol=1e-12
    )
    players = [np.subtract(player.position_m, foot) for player in scene.players]
    np.testing.assert_allclose(players, [(6, 0, 0.6), (4.5, 1, 0.6), (4.5, -1, 0.6)], atol=1e-12)
    patterns = [microphone.pattern for microphone in scene.microphones]
    assert patterns == ["cardioid"] * 4 + ["figure-of-eight"] * 3
    assert scene.microphones[1].aim_m == scene.players[0].position_m
    aims = [np.subtract(microphone.aim_m, microphone.position_m)[:2] for microphone in scene.microphones[:3]]
    assert [math.degrees(math.atan2(y, x)) for x, y in aims] == pytest.approx([60, 0, -60])
    for player, spot in zip(scene.players, scene.spots):
        assert scene.microphones[spot].aim_m == player.position_m


# Solo passages, claps, noise


def test_solo_passages_follow_one_another_and_ring_out():
    scene = trio()
    rng = np.random.default_rng(2)
    solos = [rng.standard_normal(length) for length in (800, 1200, 400)]
    x_LM, passages = simulate.solo_take(scene, solos, FS)
    assert [p.source for p in passages] == ["a", "b", "c"]
    assert passages[0].start == 0
    assert passages[-1].stop * FS == pytest.approx(len(x_LM))
    for n, (start_s, stop_s) in enumerate((p.start, p.stop) for p in passages):
        start, stop = round(start_s * FS), round(stop_s * FS)
        if n > 0:
            assert start_s == passages[n - 1].stop
        stems = np.zeros((stop - start, 3))
        stems[: len(solos[n]), n] = solos[n]
        np.testing.assert_allclose(x_LM[start:stop], simulate.render(scene, stems, FS)[:, :, n], atol=1e-10)


def test_a_gap_of_ones_own_is_kept_and_the_tail_rings_into_the_next_passage():
    scene = trio()
    solos = [np.random.default_rng(3).standard_normal(800), np.zeros(800), np.zeros(800)]
    x_LM, passages = simulate.solo_take(scene, solos, FS, gap_s=0.05)
    assert [(round(p.start * FS), round(p.stop * FS)) for p in passages] == [(0, 1200), (1200, 2400), (2400, 3600)]
    assert x_LM.shape == (3600, 4)
    assert x_LM[1200:1300].any()


def test_claps_are_seeded_bursts():
    y = simulate.claps(3, FS, rng=5)
    assert y.shape == (3 * FS // 2,)
    assert y.tobytes() == simulate.claps(3, FS, rng=5).tobytes()
    assert y.tobytes() == simulate.claps(3, FS, rng=np.random.default_rng(5)).tobytes()
    assert not np.array_equal(y, simulate.claps(3, FS, rng=6))
    clap = y.reshape(3, -1)
    np.testing.assert_allclose(np.abs(clap).max(axis=1), 0.5)
    assert not np.array_equal(clap[0], clap[1])
    assert np.sum(clap[:, : round(0.03 * FS)] ** 2) > 0.99 * np.sum(clap**2)


def test_clap_take_is_a_solo_take_of_different_claps():
    x_LM, passages = simulate.clap_take(trio(), FS, rng=7, n=2, gap_s=0.2)
    again, _ = simulate.clap_take(trio(), FS, rng=7, n=2, gap_s=0.2)
    other, _ = simulate.clap_take(trio(), FS, rng=8, n=2, gap_s=0.2)
    assert x_LM.tobytes() == again.tobytes()
    assert not np.array_equal(x_LM, other)
    assert [(p.source, round(p.stop - p.start, 6)) for p in passages] == [("a", 1.2), ("b", 1.2), ("c", 1.2)]
    spot_a, spot_b = x_LM[: FS // 2, 1], x_LM[round(1.2 * FS) : round(1.7 * FS), 2]
    assert not np.allclose(spot_a / np.abs(spot_a).max(), spot_b / np.abs(spot_b).max(), atol=0.1)


def test_noise_is_seeded_has_its_level_and_leaves_the_input_alone():
    x_LM = np.zeros((FS, 2))
    noisy = simulate.add_noise(x_LM, -60.0, rng=1)
    assert not x_LM.any()
    np.testing.assert_allclose(20 * np.log10(np.std(noisy, axis=0)), -60, atol=0.2)
    assert abs(np.corrcoef(noisy.T)[0, 1]) < 0.05
    assert noisy.tobytes() == simulate.add_noise(x_LM, -60.0, rng=1).tobytes()
    assert not np.array_equal(noisy, simulate.add_noise(x_LM, -60.0, rng=2))
    np.testing.assert_allclose(simulate.add_noise(x_LM + 1, -60.0, rng=1), noisy + 1)


# Errors


def scene_with(**changes):
    parts = {"room": SMALL, "players": trio().players, "microphones": trio().microphones, "spots": (1, 2, 3)}
    return Scene(**(parts | changes))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Room((5, 4), 0.3), "size_m must be three numbers"),
        (lambda: Room((5, 4, 0), 0.3), "size_m must be three positive"),
        (lambda: Room((5, 4, 3), -1), "rt60_s must be"),
        (lambda: Room((5, 4, 3), math.nan), "rt60_s must be"),
        (lambda: Room((5, 4, 3), 0.05), r"rt60_s=0.05 is too short .* at least 0\.\d"),
        (lambda: Microphone("m", (1, 1, 1), "hyper"), "pattern of microphone 'm' must be one of omni"),
        (lambda: Microphone("m", (1, 1, 1), "cardioid"), "'m' is a cardioid and needs aim_m"),
        (lambda: Microphone("m", (1, 1, 1), "cardioid", (1, 1, 1)), "'m' is a cardioid and needs aim_m"),
        (lambda: Microphone("m", "here"), "position_m of microphone 'm' must be three numbers"),
        (lambda: Player("p", (1, 1, math.inf)), "position_m of player 'p' must be three numbers"),
        (lambda: scene_with(players=(Player("far", (9, 1, 1)),), spots=(0,)), "players: 'far' at .* outside the room"),
        (
            lambda: scene_with(microphones=(Microphone("up", (1, 1, 3)),) * 1),
            "microphones: 'up' at .* outside the room",
        ),
        (lambda: scene_with(players=()), "at least one player"),
        (lambda: scene_with(players=trio().players[:1] * 3), "the name 'a' comes twice"),
        (
            lambda: scene_with(microphones=(Microphone("m", (1, 1, 1.2)),), spots=(0, 0, 0)),
            "in the place of player 'a'",
        ),
        (lambda: scene_with(spots=(1, 2)), "3 players, got 2 spots"),
        (lambda: scene_with(spots=(1, 2, 4)), "0 to 3, got 4"),
        (lambda: scene_with(spots=(1, 2, -1)), "spots must be a whole number"),
        (lambda: simulate.close_spots(trio().players, 0.0), "distance_m must be a positive"),
        (lambda: simulate.close_spots(trio().players[:1]), "towards must be away from player 'a'"),
        (lambda: simulate.orchestral_scene("R7"), "room must be one of R1"),
        (lambda: simulate.orchestral_scene(layout="L0"), "layout must be one of L1"),
        (lambda: simulate.orchestral_scene(players=6), "5 seats, got 6 players"),
        (lambda: simulate.hall_scene("violin"), "players must be a number or several names"),
        (lambda: simulate.hall_scene(()), "players must be at least one name"),
        (lambda: simulate.hall_scene(40), "outside the room"),
        (lambda: simulate.chamber_scene(("a", "a")), "the name 'a' comes twice"),
        (lambda: simulate.render(trio(), np.zeros((10, 2)), FS), r"stems_LN must have shape \(samples, players\)"),
        (lambda: simulate.render(trio(), np.zeros((0, 3)), FS), "stems_LN has no samples"),
        (lambda: simulate.render(trio(), np.full((9, 3), np.nan), FS), "stems_LN holds NaN"),
        (lambda: simulate.render(trio(), np.zeros((9, 3)), 44.1), "sample_rate must be a whole number"),
        (
            lambda: simulate.render(trio(), np.zeros((9, 3)), FS, h_LMN=np.zeros((99, 3, 3))),
            r"h_LMN must have shape \(taps, mics, players\) = \(any, 4, 3\)",
        ),
        (
            lambda: simulate.render(trio(), np.zeros((9, 3)), FS, h_LMN=np.zeros((LEAD, 4, 3))),
            "h_LMN must be what impulse_responses returns",
        ),
        (lambda: simulate.impulse_responses(trio(Room((5, 4, 3), 4.0)), FS), "more echoes than .* at most"),
        (lambda: simulate.solo_take(trio(), [np.zeros(9)] * 2, FS), "3 players, got 2 solos"),
        (lambda: simulate.solo_take(trio(), [np.zeros((9, 2))] * 3, FS), r"solos\[0\] must have shape"),
        (lambda: simulate.solo_take(trio(), [np.zeros(9), np.zeros(0), np.zeros(9)], FS), r"solos\[1\] .* 'b' needs"),
        (lambda: simulate.solo_take(trio(), [np.zeros(9)] * 3, FS, gap_s=-1), "gap_s must be 0 or more"),
        (lambda: simulate.claps(0, FS), "n must be a whole number of at least 1"),
        (lambda: simulate.claps(3, FS, spacing_s=0.0), "spacing_s must be"),
        (lambda: simulate.add_noise(np.zeros(9), -60.0), "x_LM must have shape"),
        (lambda: simulate.add_noise(np.zeros((9, 1)), math.inf), "level_db must be"),
    ],
)
def test_errors_name_the_argument_in_one_line(make, words):
    with pytest.raises(ArgumentError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MnmfError)


@pytest.mark.parametrize(
    ("imported", "heavy"),
    [
        ("mnmf.simulate, mnmf.data", ("pyroomacoustics", "soundfile", "scipy.signal", "numba")),
        ("mnmf.priors", ("mnmf.simulate", "pyroomacoustics")),
    ],
)
def test_importing_loads_no_simulator(imported, heavy):
    code = f"import sys, {imported}; print([m for m in sys.modules if m in {heavy}])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# --- training pairs


@pytest.fixture(scope="module")
def pair_scene():
    scene = simulate.chamber_scene(3)
    room = simulate.Room(scene.room.size_m, 0.0)
    extra = simulate.Microphone("room", (6.0, 4.5, 3.0))
    return simulate.Scene(room, scene.players, (*scene.microphones, extra), scene.spots)


@pytest.fixture(scope="module")
def dry():
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((4, 24000))
    noise[:, 4000:12000] = 0
    return {"flute": [noise[0], noise[1]], "viola": [noise[2]], "cello": [noise[3]]}


def pairs(dry, scene, count=6, **options):
    return list(islice(simulate.training_pairs(dry, 8000, [scene], seconds=4.0, **options), count))


def test_training_pairs_are_endless_seeded_and_of_one_level(dry, pair_scene):
    found = pairs(dry, pair_scene, rng=1)
    for (x, y), (again, target) in zip(found, pairs(dry, pair_scene, rng=1)):
        assert x.shape == y.shape == (32000, 4)
        assert x.dtype == y.dtype == np.float32
        assert np.abs(x).max() == pytest.approx(0.5, abs=1e-6) or not x.any()
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, target)
    assert not np.array_equal(found[0][0], found[1][0])
    assert not np.array_equal(found[0][0], pairs(dry, pair_scene, 1, rng=2)[0][0])


def test_mixtures_and_targets_are_permuted_alike(dry, pair_scene):
    silent_at = set()
    for x, y in pairs(dry, pair_scene, 12, scatter=False):
        (ambient,) = np.flatnonzero(~y.any(axis=0))
        silent_at.add(ambient)
        for m in set(range(4)) - {ambient}:
            # In a room without walls the own player is most of what a spot hears; of another's it is little.
            alike = [abs(np.corrcoef(x[:, i], y[:, m])[0, 1]) for i in range(4) if i != ambient]
            assert np.argmax(alike) == sorted(set(range(4)) - {ambient}).index(m)
    assert len(silent_at) > 2
    plain = pairs(dry, pair_scene, permute=False)
    assert all(not y[:, 3].any() for _, y in plain)


def test_scattering_leaves_rests_and_cuts_those_of_the_recordings(dry, pair_scene):
    tone = {"a": [np.concatenate([np.ones(8000), np.zeros(16000)])]}
    alone = simulate.Scene(pair_scene.room, pair_scene.players[:1], pair_scene.microphones[:1], (0,))
    heard = [float(np.mean(np.abs(y[:, 0]) > 0.1)) for _, y in pairs(tone, alone, 40)]
    whole = [float(np.mean(np.abs(y[:, 0]) > 0.1)) for _, y in pairs(tone, alone, 40, scatter=False)]
    assert 0.05 < np.mean(heard) < 0.8
    assert max(whole) < 0.4  # the recording's own rest


def test_training_pairs_need_sound(dry, pair_scene):
    for stems, scenes, message in (
        ({}, [pair_scene], "need recordings"),
        (dry, [], "and a scene"),
        ({"flute": [np.zeros(100)]}, [pair_scene], r"stems\['flute'\] has no recording, or one without sound"),
        ({"flute": []}, [pair_scene], "has no recording"),
        ({"flute": [np.full(9, np.nan)]}, [pair_scene], "NaN"),
    ):
        with pytest.raises(ArgumentError, match=message):
            simulate.training_pairs(stems, 8000, scenes)
    with pytest.raises(ArgumentError, match="seconds"):
        simulate.training_pairs(dry, 8000, [pair_scene], seconds=0)
    with pytest.raises(ArgumentError, match="rng must be"):
        simulate.training_pairs(dry, 8000, [pair_scene], rng=-1)
