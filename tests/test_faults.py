"""What is wrong with a take: each fault is planted alone, must be found, and nothing else."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.signal import fftconvolve, resample, resample_poly

from mnmf import Take, data, faults
from mnmf.align import Alignment
from mnmf.errors import ArgumentError
from mnmf.faults import _clocks
from mnmf.rows import Rows
from mnmf.take import loudness

RATE = 11025
SECONDS = 12
FIRST = RATE  # of the excerpt, so that there is something before it
PLACES = np.array([[0.0, 0.0], [1.8, 0.6], [3.4, 0.0], [4.6, 1.5]])  # of players, metres
MICS = PLACES + np.array([[0.3, 0.2], [0.1, 0.4], [-0.2, 0.3], [-0.4, 0.1]])


@cache
def room():
    """Impulse responses (L, M, N): direct sound and a decaying tail."""
    rng = np.random.default_rng(5)
    tail_L = np.exp(-np.arange(1500) / 300)[:, None, None]
    h_LMN = 0.02 * tail_L * rng.standard_normal((1500, 4, 4))
    for m in range(4):
        for n in range(4):
            metres = np.linalg.norm(MICS[m] - PLACES[n])
            h_LMN[round(metres / 343 * RATE), m, n] += 0.4 / metres
    return h_LMN


@cache
def images():
    """The quartet at every microphone, (L, M, N), with a second before and after; the loudest sample is 0.9."""
    stems_LN = resample_poly(data.quartet().stems_LN, 1, 4, axis=0)[: (SECONDS + 1) * RATE]
    stems_LN = np.concatenate([stems_LN, stems_LN[:RATE]])
    heard = [fftconvolve(stems_LN[:, [n]], room()[:, :, n], axes=0)[: len(stems_LN)] for n in range(4)]
    images_LMN = np.stack(heard, axis=2)
    return images_LMN * (0.9 / np.abs(images_LMN.sum(axis=2)).max())


def whole():
    return images().sum(axis=2)


@pytest.fixture
def x_LM():
    return whole()[FIRST : FIRST + SECONDS * RATE].copy()


def late(x_L, samples):
    return x_L[FIRST - samples : FIRST - samples + SECONDS * RATE]


def hum(n_samples, mains=50.0, level=0.05):
    seconds_L = np.arange(n_samples) / RATE
    lines = sum(np.sin(2 * np.pi * k * mains * seconds_L + k) / k for k in (1, 2, 3, 5, 7))
    return level * lines + 1e-4 * np.random.default_rng(0).standard_normal(n_samples)


def found_in(x_LM, **options):
    """Return the findings that are more than a note."""
    return [each for each in faults.inspect(x_LM, RATE, **options).findings if each.grade != "note"]


def the_only(x_LM, kind, mic, **options):
    (finding,) = found_in(x_LM, **options)
    assert (finding.kind, finding.mic) == (kind, mic)
    return finding


def test_nothing_is_found_where_nothing_is_wrong(x_LM):
    inspection = faults.inspect(x_LM, RATE, mic_names=["a", "b", "c", "d"])
    assert inspection.findings == ()
    assert inspection.live == (0, 1, 2, 3)
    assert inspection.solos == ()
    assert not inspection.alignment()
    assert inspection.aside() == ()
    np.testing.assert_allclose(inspection.scan.rms_M, x_LM.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(inspection.scan.peak_M, np.abs(x_LM).max(axis=0))


def test_a_take_that_is_read_when_asked_for_gives_the_same(x_LM):
    x_LM[:, 2] *= -1
    rows = Rows(x_LM.shape, x_LM.dtype, lambda start, stop, columns: x_LM[start:stop, columns])
    first, second = (json.dumps(faults.inspect(each, RATE).as_dict()) for each in (x_LM, rows))
    assert first == second
    assert json.loads(first)["findings"][0]["kind"] == "polarity"


# A microphone by itself


@pytest.mark.parametrize(
    ("kind", "sound"),
    [
        ("silent", 0.0),
        ("silent", 0.25),  # an offset is no sound
        ("silent", 1e-6 * np.random.default_rng(0).standard_normal(SECONDS * RATE)),
        ("noise only", 3e-3 * np.random.default_rng(0).standard_normal(SECONDS * RATE)),
        ("hum only", hum(SECONDS * RATE)),
        ("hum only", hum(SECONDS * RATE, 60.02, 0.01)),
    ],
    ids=str,
)
def test_who_hears_nothing(x_LM, kind, sound):
    x_LM[:, 1] = sound
    assert the_only(x_LM, kind, 1).grade == "handled"
    inspection = faults.inspect(x_LM, RATE)
    assert inspection.aside() == (1,)
    assert inspection.aside(own=[1]) == ()
    assert inspection.live == (0, 2, 3)


def test_hum_beside_music_is_only_noted(x_LM):
    x_LM[:, 1] += hum(len(x_LM), 50.0, 0.02)
    assert found_in(x_LM) == []
    (note,) = faults.inspect(x_LM, RATE).findings
    assert (note.kind, note.mic, note.values["hz"]) == ("hum", 1, 50.0)


def test_an_offset_is_only_noted(x_LM):
    x_LM[:, 3] -= 0.2
    (note,) = faults.inspect(x_LM, RATE).findings
    assert (note.kind, note.mic, note.grade) == ("offset", 3, "note")
    assert note.values["offset"] == pytest.approx(x_LM[:, 3].mean(), abs=1e-4)


@pytest.mark.parametrize("gain", [1.0, 0.61])
def test_flat_tops_are_found_below_full_scale_too(x_LM, gain):
    level = np.quantile(np.abs(x_LM[:, 2]), 0.99)
    clipped_L = np.clip(x_LM[:, 2], -level, level)
    x_LM[:, 2] = np.round(gain * clipped_L * 2**23) / 2**23
    finding = the_only(x_LM, "clipped", 2)
    assert finding.values["level_db"] == pytest.approx(20 * np.log10(gain * level), abs=0.01)
    # Only runs of three samples and more are told from chance.
    flat = np.abs(clipped_L) == level
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]]))))[::2]
    assert finding.values["samples"] == pytest.approx(runs[runs >= 3].sum(), rel=0.02)


def test_a_quiet_recording_of_16_bits_is_not_clipped():
    """Samples around the top of a slow wave are equal, too, but the next ones are one step away."""
    seconds_L = np.arange(5 * RATE) / RATE
    x_LM = np.round(np.stack([40 * np.sin(2 * np.pi * f * seconds_L) for f in (40.0, 55.0)], axis=1)) / 2**15
    assert all(each is None for each in faults.inspect(x_LM, RATE).scan.clipped)


def test_mutes_are_those_of_the_take(x_LM):
    x_LM[3 * RATE : 6 * RATE, 1] = 0.0
    x_LM[7 * RATE : 8 * RATE] = 0.0  # a rest of all
    inspection = faults.inspect(x_LM, RATE)
    assert inspection.scan.muted == Take(x_LM, RATE).muted
    (finding,) = inspection.of("muted")
    assert (finding.mic, finding.values["part"]) == (1, pytest.approx(3 / SECONDS, abs=0.01))
    assert str(finding) == "mic 2 is silent from 3.0 to 6.0 s; taken as missing there"
    assert loudness(inspection.scan.rms_M)[1] == ()


# Microphones that are others again


@pytest.mark.parametrize("gain", [10 ** (-12 / 20), -0.5, 2.0])
def test_a_copy_is_found_at_any_gain(x_LM, gain):
    copied = np.round(gain * x_LM[:, 1] * 2**15) / 2**15
    finding = the_only(np.column_stack([x_LM, copied]), "copy", 4 if gain < 1 else 1)
    assert finding.others == ((1,) if gain < 1 else (4,))
    assert abs(finding.values["gain_db"]) == pytest.approx(abs(20 * np.log10(abs(gain))), abs=0.01)
    assert ("flipped" in finding.text) == (gain < 0)


def test_of_copies_the_one_that_is_not_clipped_counts(x_LM):
    safe = 0.25 * x_LM[:, 0]
    x_LM[:, 0] = np.clip(x_LM[:, 0], -0.4, 0.4)
    inspection = faults.inspect(np.column_stack([x_LM, safe]), RATE)
    assert [(each.kind, each.mic) for each in inspection.findings] == [("clipped", 0), ("copy", 0)]
    assert inspection.aside() == (0,)
    assert inspection.aside(own=[0]) == (4,)
    assert inspection.aside(own=[0, 4]) == ()


def test_a_mix_of_the_others_is_found_and_not_its_parts(x_LM):
    mixed = x_LM @ [0.3, 0.2, 0.0, 0.4]
    finding = the_only(np.column_stack([mixed, x_LM]), "mix", 0)
    assert finding.others == (1, 2, 4)
    assert finding.values["gain_db_5"] == pytest.approx(20 * np.log10(0.4), abs=0.1)


# Between microphones


def test_a_flipped_microphone(x_LM):
    x_LM[:, 3] *= -1
    assert the_only(x_LM, "polarity", 3).grade == "warning"
    assert faults.inspect(x_LM, RATE).alignment().sign_M == (1, 1, 1, -1)


@pytest.mark.parametrize(("ms", "grade"), [(3, "warning"), (-4, "warning"), (50, "warning"), (500, "ruin")])
def test_a_late_microphone(x_LM, ms, grade):
    samples = round(ms / 1000 * RATE)
    x_LM[:, 2] = late(whole()[:, 2], samples)
    finding = the_only(x_LM, "late", 2)
    assert finding.grade == grade
    assert finding.values["start_s"] == pytest.approx(samples / RATE, abs=5e-4)
    assert abs(faults.inspect(x_LM, RATE).alignment().late_M[2] - samples) < 6
    assert ("sits" in finding.text) == (abs(ms) < 6)


@pytest.mark.parametrize("ppm", [25, -60])
def test_a_clock_that_runs_off(x_LM, ppm):
    more = round(len(whole()) * ppm * 1e-6)
    ppm = more / len(whole()) * 1e6
    x_LM[:, 0] = resample(whole()[:, 0], len(whole()) + more)[FIRST : FIRST + len(x_LM)]
    finding = the_only(x_LM, "drift", 0)
    assert finding.values["ppm"] == pytest.approx(ppm, abs=2.5)
    assert finding.values["end_s"] - finding.values["start_s"] == pytest.approx(ppm * 1e-6 * SECONDS, abs=3e-5)


def test_who_is_in_another_room_is_not_late(x_LM):
    """Two rooms that hear nothing of each other, in which the same is played at other times."""
    other_LM = np.roll(x_LM, 4 * RATE, axis=0)[:, :2] * [1.0, 0.7]
    inspection = faults.inspect(np.column_stack([x_LM, other_LM]), RATE)
    assert not inspection.of("late", "drift", "polarity")


def test_a_main_pair_is_late_by_its_distance_and_not_at_fault(x_LM):
    main_L = np.zeros(len(whole()))
    for n in range(4):
        dry = images()[:, n, n]
        main_L += 0.3 * np.roll(dry, round((3.0 + 0.3 * n) / 343 * RATE))
    both = np.column_stack([x_LM, late(main_L, 0)])
    assert found_in(both) == []
    far = np.column_stack([x_LM, late(main_L, round(0.3 * RATE))])
    assert the_only(far, "late", 4).grade == "ruin"


def delays_of(later_M, related_M, own_M):
    """Return the delays of mics that hear one noise with delays in seconds, or if not related one of their own."""
    rng = np.random.default_rng(4)
    f, T, M = np.arange(200.0, 4000.0, 20.0), 60, len(later_M)
    alone_MFT = rng.standard_normal((M + 1, len(f), T)) + 1j * rng.standard_normal((M + 1, len(f), T))
    X_FTM = np.stack([alone_MFT[0 if related_M[m] else m + 1] for m in range(M)], axis=2)
    X_FTM = (X_FTM * np.exp(-2j * np.pi * f[:, None, None] * np.array(later_M))).astype(np.complex64)
    own_FT = np.broadcast_to(rng.choice(own_M, T), (len(f), T)).astype(np.int16)
    seconds_T, zero_T = np.arange(T) * 0.1, np.zeros(T, int)
    heard = _clocks.Heard(X_FTM, f, seconds_T, zero_T, zero_T, own_FT, np.isin(np.arange(M), own_M), 11025.0)
    return _clocks._delays(heard, np.zeros(M))


def test_two_microphones_at_one_player_are_no_pair():
    """What is heard later in one and earlier in the other is one player between them, and nobody is late."""
    *_, error_M, paired_M, _ = delays_of([0.0, 0.004], [True, True], [0, 1])
    assert not paired_M.any()
    assert np.isinf(error_M).all()


def test_who_hears_no_player_clearly_has_no_delay():
    _, _, error_M, paired_M, _ = delays_of([0.0, 0.0, 0.0], [True, True, False], [0, 1])
    assert not paired_M[2]
    assert np.isinf(error_M[2])


def test_three_that_disagree_are_all_unsure():
    halves = [(0, 1, 0.0004, 0.5), (0, 2, 0.0023, 0.5), (1, 2, 0.0, 0.5)]
    late_M, error_M, _ = _clocks._consensus(halves, 3)
    assert error_M.min() > 1e-3
    late_M, error_M, _ = _clocks._consensus([*halves[:2], (1, 2, 0.0019, 0.5)], 3)
    assert error_M.max() < 1e-3
    np.testing.assert_allclose(late_M, [-0.0004, 0.0, 0.0019], atol=1e-4)


def test_one_pair_may_take_a_reflection_for_the_direct_sound():
    """So what nothing confirms is not named if it is no more than a few times as late as that."""
    _, error_M, _ = _clocks._consensus([(0, 1, 0.0035, 0.5)], 2)
    assert (error_M > _clocks.SURE * 0.0035).all()
    assert (error_M < _clocks.SURE * 0.05).all()
    _, error_M, _ = _clocks._consensus([(0, 1, 0.003, 0.5), (1, 2, -0.005, 0.5)], 3)
    assert (error_M > _clocks.SURE * 0.003).all()
    _, error_M, _ = _clocks._consensus([(0, 1, 0.003, 0.5), (1, 2, -0.003, 0.5), (0, 2, 0.0, 0.5)], 3)
    assert (error_M < _clocks.SURE * 0.003).all()


def test_weak_pairs_confirm_a_clear_one():
    """Of six pairs two take a reflection for the direct sound."""
    halves = [(0, 3, 0.0, 0.65), (0, 2, 0.0, 0.41), (0, 1, 0.003, 0.24), (1, 2, -0.003, 0.8), (1, 3, -0.0017, 0.32)]
    late_M, error_M, _ = _clocks._consensus([*halves, (2, 3, 0.0, 0.71)], 4)
    np.testing.assert_allclose(late_M, [0.0, 0.003, 0.0, 0.0], atol=1e-4)
    assert error_M[1] < _clocks.SURE * 0.003
    # Without the weak one a single pair says so, against another one.
    _, error_M, _ = _clocks._consensus([*halves[:2], *halves[3:], (2, 3, 0.0, 0.71)], 4)
    assert error_M[1] > _clocks.SURE * 0.003
    weak = [(i, j, later, 0.2) for i, j, later, _ in halves]
    assert np.isinf(_clocks._consensus(weak, 4)[1]).all()


def heard_over(ways, n_mics):
    """Return what mics hear of players who play in turn, over ways (i, j) in seconds, softly in noise."""
    rng = np.random.default_rng(3)
    f, T = np.arange(200.0, 4000.0, 5.0), 40 * n_mics

    def noise(*shape):
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    X_FTM, own_T = noise(len(f), T, n_mics), rng.permutation(np.arange(T) % n_mics)
    for i in range(n_mics):
        alone_FT = 5 * noise(len(f), np.sum(own_T == i))
        X_FTM[:, own_T == i, i] += alone_FT
        for j in range(n_mics):
            if (i, j) in ways:
                X_FTM[:, own_T == i, j] += 0.02 * alone_FT * np.exp(-2j * np.pi * f[:, None] * ways[i, j])
    own_FT = np.broadcast_to(own_T, (len(f), T)).astype(np.int16)
    zero_T, every_M = np.zeros(T, int), np.ones(n_mics, bool)
    return _clocks.Heard(X_FTM.astype(np.complex64), f, np.arange(T) * 0.1, zero_T, zero_T, own_FT, every_M, 11025.0)


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        ({(0, 1): 0.009, (1, 0): 0.004}, True),
        ({(0, 1): 0.030, (1, 0): -0.015}, True),  # the coarse step was off
        ({(0, 1): 0.009}, False),  # music that is repeated
        ({(0, 1): 0.0, (1, 0): 0.0}, False),  # the same at both
    ],
)
def test_who_is_roughly_late_is_heard_in_both_directions(ways, told):
    rough_M = _clocks._rough(heard_over(ways, 2), np.array([0.0, 0.5]), np.array([0.0, 0.5]))
    assert rough_M.tolist() == [0.0, 0.5 if told else 0.0]


def test_of_three_one_pair_does_not_tell_who_is_roughly_late():
    ways = {(0, 2): 0.009, (2, 0): 0.004}
    late_M = np.array([0.0, 0.0, -0.4])
    assert _clocks._rough(heard_over(ways, 3), late_M, late_M).tolist() == [0.0, 0.0, 0.0]
    ways |= {(1, 2): 0.007, (2, 1): 0.007}
    assert _clocks._rough(heard_over(ways, 3), late_M, late_M).tolist() == [0.0, 0.0, -0.4]


def test_what_is_roughly_late_is_said_so(x_LM, monkeypatch):
    rough = replace(_clocks.Clocks.none(4), rough_M=np.array([0.0, 0.0, 0.52, 0.0]))
    monkeypatch.setattr("mnmf.faults._inspect.clocks_of", lambda _: (rough, None))
    finding = the_only(x_LM, "late", 2)
    assert (str(finding), finding.grade) == ("mic 3 is about 0.5 s late; move its file, or say --align", "ruin")
    assert faults.inspect(x_LM, RATE).alignment().late_M == (0, 0, round(0.52 * RATE), 0)


def test_a_wrong_time_stamp_explains_a_delay(x_LM):
    starts = [1000, 1000, 1000 + round(0.3 * RATE), 1000]
    assert found_in(x_LM, starts=starts) == []
    x_LM[:, 2] = late(whole()[:, 2], round(0.3 * RATE))
    assert "as if its time stamp were wrong" in the_only(x_LM, "late", 2, starts=starts).text
    assert "time stamp" not in the_only(x_LM, "late", 2).text


def test_the_bleed_is_that_of_the_images(x_LM):
    bleed_MM = faults.inspect(x_LM, RATE).bleed_MM
    level_MN = 10 * np.log10(np.mean(images()[FIRST : FIRST + len(x_LM)] ** 2, axis=0))
    true_MM = level_MN - np.diagonal(level_MN)[:, None]
    assert np.all(np.diagonal(bleed_MM) == 0)
    assert np.sqrt(np.mean((bleed_MM - true_MM) ** 2)) < 3.5


def test_solo_passages_are_proposed(x_LM):
    solos_LN = resample_poly(data.quartet().solos_LN, 1, 4, axis=0)[: 5 * RATE]
    alone = [fftconvolve(solos_LN[:, [n]], room()[:, :, n], axes=0)[: len(solos_LN)] for n in (2, 0)]
    solos = faults.inspect(np.concatenate([*(0.5 * each for each in alone), x_LM]), RATE).solos
    for m, span in ((2, (0, 5)), (0, (5, 10))):
        lasting = sum(min(stop, span[1]) - max(start, span[0]) for own, start, stop in solos if own == m)
        assert lasting > 3.0
    # Nearly all that is proposed lies within them.
    assert sum(stop - start for *_, start, stop in solos if start >= 10) < 0.2 * sum(b - a for _, a, b in solos)


def test_no_solos_are_proposed_where_nobody_rests(x_LM):
    """The quietest moments are loud then, and no sign that the others rest."""
    rng = np.random.default_rng(0)
    assert faults.inspect(x_LM + 0.1 * rng.standard_normal(x_LM.shape), RATE).solos == ()


# Nothing breaks it


@pytest.mark.parametrize("n_samples", [1, 2, 30, 1000, 9000, 40000])
@pytest.mark.parametrize("n_mics", [1, 2, 5])
def test_short_and_silent_takes(n_samples, n_mics):
    rng = np.random.default_rng(0)
    for scale in (0.1, 1e-9, 0.0):
        inspection = faults.inspect(scale * rng.standard_normal((n_samples, n_mics)), RATE)
        json.dumps(inspection.as_dict(), allow_nan=False)
        assert bool(inspection.of("silent")) == (scale == 0 or n_samples == 1)
        assert inspection.aside() == ()


def test_sizes_must_fit(x_LM):
    with pytest.raises(ArgumentError, match="mic_names must have one entry for each of 4 microphones, got 1"):
        faults.inspect(x_LM, RATE, mic_names=["a"])
    with pytest.raises(ArgumentError, match="starts must have one entry"):
        faults.inspect(x_LM, RATE, starts=[1])


# Correcting it


def test_aligning_and_undoing_is_exact_without_a_drift(x_LM):
    alignment = Alignment((0, 100, -70, 0), (0.0,) * 4, (1, 1, -1, -1))
    aligned_LM = alignment.applied(x_LM)[:]
    np.testing.assert_array_equal(aligned_LM[: len(x_LM) - 100, 1], x_LM[100:, 1])
    np.testing.assert_array_equal(alignment.applied(x_LM)[500:900, [3, 2]], aligned_LM[500:900, [3, 2]])
    for m in range(4):
        start, stop = alignment.known(m, len(x_LM))
        np.testing.assert_array_equal(alignment.undone(aligned_LM[:, m], m)[start:stop], x_LM[start:stop, m])
        assert not alignment.undone(aligned_LM[:, m], m)[:start].any()
        assert not alignment.undone(aligned_LM[:, m], m)[stop:].any()


def test_a_drift_is_undone_to_far_below_the_music():
    rng = np.random.default_rng(0)
    hertz, phases = rng.uniform(50.0, 0.4 * RATE, 30), rng.uniform(0, 6, 30)

    def heard_at(samples_L):
        return np.sin(2 * np.pi * np.outer(samples_L / RATE, hertz) + phases).sum(axis=1)

    at_L, late_by, drift = np.arange(40000), 137, 35e-6
    true_L, drifting_L = heard_at(at_L), -heard_at((at_L - late_by) / (1 + drift))
    alignment = Alignment((late_by,), (drift,), (-1,))
    aligned_LM = alignment.applied(drifting_L[:, None])
    inner = slice(1000, 39000)
    for found_L, wanted_L in ((aligned_LM[:, 0], true_L), (alignment.undone(true_L, 0)[:], drifting_L)):
        error_L = found_L[inner] - wanted_L[inner]
        assert 10 * np.log10(np.mean(error_L**2) / np.mean(wanted_L[inner] ** 2)) < -70
    np.testing.assert_array_equal(aligned_LM[20000:30000, 0], aligned_LM[:, 0][20000:30000])
    assert alignment.known(0, 40000) == (137, 40000)


def test_what_was_found_aligns_a_take(x_LM):
    true_LM = x_LM.copy()
    x_LM[:, 1] = -late(whole()[:, 1], 40)
    x_LM[:, 3] = late(whole()[:, 3], round(0.2 * RATE))
    aligned_LM = faults.inspect(x_LM, RATE).alignment().applied(x_LM)[:]
    assert found_in(aligned_LM[: -RATE // 2]) == []
    for m in (1, 3):  # to less than a millisecond: spots do not stand alike before their players
        shifts = [np.corrcoef(np.roll(aligned_LM[:-5000, m], k), true_LM[:-5000, m])[0, 1] for k in range(-9, 10)]
        assert max(shifts) > 0.99
