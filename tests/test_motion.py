"""Players who sway and shift their chairs; at 8 kHz and in small or echoless rooms, to be quick."""

import math

import numpy as np
import pytest

from mnmf import simulate
from mnmf.errors import ArgumentError
from mnmf.simulate import LEAD, REFERENCE_M, Microphone, Motion, Player, Room, Scene
from mnmf.simulate._motion import stations

FS = 8000
STEP = (0.12, -0.05, 0.0)


def duo(room, seat=(1.0, 1.0, 1.2)):
    """Players a and b, whose spots stay where they are when a sits elsewhere."""
    players = Player("a", seat), Player("b", (3.0, 3.0, 1.2))
    return Scene(room, players, (Microphone("a", (1.3, 1.3, 1.2)), Microphone("b", (2.7, 2.8, 1.2))), (0, 1))


LIVE, DRY = duo(Room((5.0, 4.0, 3.0), 0.2)), duo(Room((5.0, 4.0, 3.0), 0.0))


@pytest.fixture(scope="module")
def stems_LN():
    return np.random.default_rng(1).standard_normal((FS, 2))


@pytest.fixture(scope="module")
def still_LMN(stems_LN):
    return simulate.render(LIVE, stems_LN, FS)


def reach(motion):
    return np.linalg.norm(motion.offsets_m, axis=1)


# Motions


def test_a_motion_goes_straight_from_point_to_point_and_rests_before_and_after():
    motion = Motion([1.0, 2.0, 4.0], [[0, 0, 0], [0.1, 0, 0], [0.1, 0.2, 0]])
    np.testing.assert_allclose(motion.at([0.0, 1.5, 3.0, 9.0]), [[0, 0, 0], [0.05, 0, 0], [0.1, 0.1, 0], [0.1, 0.2, 0]])
    with pytest.raises(ValueError, match="read-only"):
        motion.offsets_m[0, 0] = 1.0


def test_players_sway_to_their_extent_along_lines_near_the_horizontal():
    for motion in simulate.sway(DRY, 30.0, 0.04, rng=1):
        assert reach(motion).max() == pytest.approx(0.04)
        assert 0.25 * 0.04 < math.sqrt(np.mean(reach(motion) ** 2)) < 0.6 * 0.04
        np.testing.assert_allclose(motion.offsets_m.mean(axis=0), 0, atol=1e-12)
        assert motion.times_s[0] == 0
        assert motion.times_s[-1] == pytest.approx(30.0)
        spread = np.linalg.svd(motion.offsets_m, compute_uv=False)
        assert spread[1] < 1e-9 * spread[0]
        assert np.abs(motion.offsets_m[:, 2]).max() <= 0.04 * math.sin(math.radians(15))


def test_a_sway_is_slow():
    for motion in simulate.sway(DRY, 60.0, rng=2):
        along = motion.offsets_m[:, 0] * np.hanning(len(motion.times_s))
        power = np.abs(np.fft.rfft(along)) ** 2
        frequencies = np.fft.rfftfreq(len(along), motion.times_s[1])
        assert power[frequencies > 0.6].sum() < 1e-4 * power.sum()
        assert power[frequencies > 0.1].sum() > 0.3 * power.sum()


def test_players_sway_each_on_their_own_and_by_the_seed():
    first, again, other = (simulate.sway(simulate.hall_scene(4), 60.0, rng=seed) for seed in (3, 3, 4))
    for a, b, c in zip(first, again, other):
        np.testing.assert_array_equal(a.offsets_m, b.offsets_m)
        assert not np.allclose(a.offsets_m, c.offsets_m, atol=1e-3)
    along = [motion.offsets_m @ np.linalg.svd(motion.offsets_m)[2][0] for motion in first]
    lines = [np.linalg.svd(motion.offsets_m)[2][0] for motion in first]
    for i in range(4):
        for j in range(i):
            assert abs(np.corrcoef(along[i], along[j])[0, 1]) < 0.6
            assert abs(lines[i] @ lines[j]) < 0.9999


def test_a_short_sway_is_the_beginning_of_one_at_the_usual_pace():
    short, usual = simulate.sway(DRY, 2.0, rng=5), simulate.sway(DRY, 10.0, rng=5)
    for a, b in zip(short, usual):
        assert a.times_s[-1] == pytest.approx(2.0)
        np.testing.assert_array_equal(a.offsets_m, b.offsets_m[: len(a.times_s)])


def test_a_chair_is_shifted_once_and_smoothly_on_top_of_the_sway():
    nobody, moved = simulate.shift(DRY, "b", 3.0, STEP, lasts_s=2.0)
    assert nobody is None
    np.testing.assert_allclose(
        moved.at([0.0, 3.0, 4.0, 5.0, 99.0]), np.outer([0, 0, 0.5, 1, 1], STEP), rtol=0, atol=1e-12
    )
    speed = np.linalg.norm(np.diff(moved.at(np.arange(3.0, 5.0, 0.05)), axis=0), axis=1)
    assert speed[0] < 0.1 * speed.max()
    swaying = simulate.sway(DRY, 8.0)
    kept, both = simulate.shift(DRY, "b", 3.0, STEP, lasts_s=2.0, motions=swaying)
    assert kept is swaying[0]
    t = np.arange(0.0, 9.0, 0.01)
    np.testing.assert_allclose(both.at(t), swaying[1].at(t) + moved.at(t), atol=1e-12)


# Stations


@pytest.mark.parametrize("start_s", [0.0, 2.4])
def test_stations_lie_close_along_the_way_and_their_weights_follow_the_player(start_s):
    curve = np.arange(0.0, 6.0, 0.05)
    circle = Motion(curve, 0.03 * np.stack([np.cos(curve), np.sin(curve), 0 * curve], axis=1))
    swaying = simulate.sway(DRY, 6.0)
    for motion in (circle, swaying[0], simulate.shift(DRY, "a", 3.0, STEP, motions=swaying)[0]):
        length = 4 * FS
        total_L, middle_L3, places = np.zeros(length), np.zeros((length, 3)), []
        for offset_m, first, weight_L in stations(motion, start_s, length, FS):
            total_L[first : first + len(weight_L)] += weight_L
            middle_L3[first : first + len(weight_L)] += weight_L[:, None] * offset_m
            places.append(offset_m)
        np.testing.assert_allclose(total_L, 1, atol=1e-12)
        true_L3 = motion.at(start_s + np.arange(length) / FS)
        assert np.abs(middle_L3 - true_L3).max() < 0.002
        nearest = np.linalg.norm(true_L3[:, None] - np.array(places), axis=2).min(axis=1)
        assert nearest.max() < 0.007


def test_a_sway_of_three_centimetres_needs_seven_stations_and_a_rest_one():
    assert len(list(stations(simulate.sway(DRY, 30.0, 0.03)[0], 0.0, 30 * FS, FS))) == 7
    assert len(list(stations(simulate.shift(DRY, "a", 3.0, STEP)[0], 0.0, 2 * FS, FS))) == 1


# Rendering


def test_without_motion_nothing_changes(stems_LN, still_LMN):
    assert simulate.render(LIVE, stems_LN, FS, motions=None).tobytes() == still_LMN.tobytes()
    assert simulate.render(LIVE, stems_LN, FS, motions=[None, None]).tobytes() == still_LMN.tobytes()
    resting = simulate.render(LIVE, stems_LN, FS, motions=simulate.sway(LIVE, 1.0, 0.0))
    np.testing.assert_allclose(resting, still_LMN, atol=1e-12)


def test_only_the_players_who_move_sound_different(stems_LN, still_LMN):
    before = stems_LN.copy()
    motions = (None, simulate.sway(LIVE, 1.0, 0.03)[1])
    moving_LMN = simulate.render(LIVE, stems_LN, FS, motions=motions)
    np.testing.assert_array_equal(moving_LMN[:, :, 0], still_LMN[:, :, 0])
    error = np.sum((moving_LMN - still_LMN)[:, :, 1] ** 2) / np.sum(still_LMN[:, :, 1] ** 2)
    assert 1e-3 < error < 2
    assert simulate.render(LIVE, stems_LN, FS, motions=motions).tobytes() == moving_LMN.tobytes()
    assert stems_LN.tobytes() == before.tobytes()
    assert not simulate.render(LIVE, 0 * stems_LN, FS, motions=motions).any()


def test_after_a_shift_the_player_sounds_from_the_new_seat(stems_LN, still_LMN):
    motions = simulate.shift(LIVE, "a", 0.3, STEP, lasts_s=0.2)
    moved_LMN = simulate.render(LIVE, stems_LN, FS, motions=motions)
    there = duo(LIVE.room, tuple(np.add(LIVE.players[0].position_m, STEP)))
    there_LMN = simulate.render(there, stems_LN, FS)
    early, late = slice(0, round(0.3 * FS) - LEAD), slice(round(0.75 * FS), None)
    np.testing.assert_allclose(moved_LMN[early], still_LMN[early], atol=1e-9)
    np.testing.assert_allclose(moved_LMN[late], there_LMN[late], atol=1e-9)
    scale = np.abs(still_LMN[:, 0, 0]).max()
    assert np.abs(moved_LMN - there_LMN)[early, 0, 0].max() > 0.1 * scale
    assert np.abs(moved_LMN - still_LMN)[late, 0, 0].max() > 0.1 * scale


@pytest.mark.parametrize("frequency", [500.0, 3000.0])
def test_delay_and_level_glide_with_the_distance(frequency):
    microphone = np.array([20.5, 20.0, 20.0])
    room = Room((40.0, 40.0, 40.0), 0.0)
    scene = Scene(room, (Player("p", (20.0, 20.0, 20.0)),), (Microphone("m", tuple(microphone)),), (0,))
    t = np.arange(0, 2, 0.05)
    towards = Motion(t, np.outer(0.03 * np.cos(2 * np.pi * 0.5 * t), [1.0, 0.0, 0.0]))
    arrival_L = np.arange(2 * FS) / FS
    tone_L = np.sin(2 * np.pi * frequency * arrival_L)
    image_L = simulate.render(scene, tone_L[:, None], FS, motions=[towards])[:, 0, 0]
    emission_L = arrival_L
    for _ in range(10):  # what arrives left as long before as the way takes from where the player was then
        distance_L = np.linalg.norm(microphone - scene.players[0].position_m - towards.at(emission_L), axis=1)
        emission_L = arrival_L - distance_L / 343.0
    expected_L = REFERENCE_M / distance_L * np.sin(2 * np.pi * frequency * emission_L)
    inner = slice(200, -200)
    error = np.sqrt(np.mean((image_L - expected_L)[inner] ** 2) / np.mean(expected_L[inner] ** 2))
    assert error < 0.005


def test_solos_are_played_from_where_the_players_are_by_then(stems_LN):
    solos = [stems_LN[:2000, 0], stems_LN[:2000, 1]]
    motions = simulate.shift(LIVE, "b", 0.0, STEP, lasts_s=0.4)  # while a plays
    x_LM, passages = simulate.solo_take(LIVE, solos, FS, 0.25, motions=motions)
    assert [(p.start, p.stop) for p in passages] == [(0.0, 0.5), (0.5, 1.0)]
    players = LIVE.players[0], Player("b", tuple(np.add(LIVE.players[1].position_m, STEP)))
    there = Scene(LIVE.room, players, LIVE.microphones, LIVE.spots)
    expected_LM, _ = simulate.solo_take(there, solos, FS, 0.25)
    np.testing.assert_allclose(x_LM, expected_LM, atol=1e-9)
    assert not np.allclose(x_LM, simulate.solo_take(LIVE, solos, FS, 0.25)[0], atol=1e-3)


def test_claps_too_are_heard_from_a_moving_player():
    motions = simulate.shift(LIVE, "b", 0.0, STEP, lasts_s=0.4)
    still, moving = (simulate.clap_take(LIVE, FS, n=1, motions=m)[0] for m in (None, motions))
    np.testing.assert_array_equal(moving[: FS // 2], still[: FS // 2])
    assert np.abs(moving - still).max() > 0.1 * np.abs(still).max()


# Errors


def rendered(motions):
    return simulate.render(DRY, np.zeros((FS, 2)), FS, motions=motions)


AWAY = Motion([0.0, 1.5], [[0, 0, 0], [-1.2, 0, 0]])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Motion([], np.zeros((0, 3))), "times_s must be one or more times that increase"),
        (lambda: Motion([1.0, 1.0], np.zeros((2, 3))), "times_s must be one or more times that increase"),
        (lambda: Motion([0.0, 1.0], np.zeros((3, 3))), r"offsets_m must have shape \(points, 3\) = \(2, 3\)"),
        (lambda: Motion([0.0], [[0, math.nan, 0]]), "offsets_m holds NaN"),
        (lambda: simulate.sway(DRY, 0.0), "seconds must be a number"),
        (lambda: simulate.sway(DRY, 5.0, -0.01), "extent_m must be a number"),
        (lambda: simulate.sway(DRY, 5.0, rng=-1), "rng must be"),
        (lambda: simulate.shift(DRY, "c", 1.0, STEP), "player must be one of a, b; got 'c'"),
        (lambda: simulate.shift(DRY, "a", -1.0, STEP), "at_s must be a number"),
        (lambda: simulate.shift(DRY, "a", 1.0, STEP, lasts_s=0.0), "lasts_s must be a number"),
        (lambda: simulate.shift(DRY, "a", 1.0, 0.2), "by_m must be three numbers"),
        (lambda: simulate.shift(DRY, "a", 1.0, (0, 4, 0)), r"motions\[0\]: player 'a' is outside the room of 5 x 4 x"),
        (lambda: rendered([None, AWAY, None]), "2 players, got 3 motions"),
        (lambda: rendered(AWAY), "2 players, got a single Motion"),
        (lambda: rendered([None, STEP]), r"motions\[1\] must be a Motion or None, got tuple"),
        (lambda: rendered([AWAY, None]), r"motions\[0\]: player 'a' is outside the room .* at 1.5 s"),
        (
            lambda: rendered([Motion([0.0, 0.5, 1.0], [[0, 0, 0], [0.3, 0.295, 0], [0.6, 0.6, 0]]), None]),
            r"motions\[0\]: player 'a' runs into microphone 'a' at 0.5 s",
        ),
        (lambda: simulate.solo_take(DRY, [np.zeros(9)] * 2, FS, motions=[None]), "2 players, got 1 motions"),
    ],
)
def test_errors_name_the_argument_in_one_line(make, words):
    with pytest.raises(ArgumentError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
