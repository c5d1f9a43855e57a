"""A take in memory: what it accepts, what it refuses, and what is taken off it and given back."""

import numpy as np
import pytest

from mnmf import METHODS, STFT, Take, separate, whose
from mnmf.errors import ArgumentError, SessionError
from mnmf.stft import Waveform
from mnmf.take import Levels

RATE = 8000


@pytest.fixture
def x_LM(rng):
    """Two seconds of three microphones, each with its own level, offset and rumble."""
    time_L = np.arange(2 * RATE) / RATE
    rumble = np.sin(2 * np.pi * 7 * time_L)[:, None] * [0.3, 0.1, 0.2]
    return (rng.standard_normal((2 * RATE, 3)) * [1.0, 0.2, 0.05] + rumble + [0.1, -0.2, 0.03]).astype(np.float32)


def test_a_take_of_an_array_gives_every_mic_a_source(x_LM):
    take = Take(x_LM, RATE)
    assert take.sources == take.mic_names == take.instruments == ("1", "2", "3")
    assert take.spots == ((0,), (1,), (2,))
    assert (take.n_samples, take.duration) == (2 * RATE, 2.0)
    assert take.without_solo() == take.sources
    assert repr(take) == "Take(2.000 s of 3 mics at 8000 Hz: 1 at mic 1, 2 at mic 2, 3 at mic 3)"


def test_spots_are_found_from_solos_in_the_take_or_in_another_recording(rng, x_LM):
    mixing_MN = np.array([[0.1, 1.0], [1.0, 0.2], [0.3, 0.25]])
    played_LN = rng.standard_normal((2 * RATE, 2)) * (np.arange(2 * RATE)[:, None] // RATE == [0, 1])
    solos = {"viola": (0.0, 1.0), "cello": [(1.0, 1.4), (1.5, 2.0)]}
    solo_LM = played_LN @ mixing_MN.T
    other = Take.of(x_LM, RATE, solos=solos, solo_LM=solo_LM, ambient=[2])
    same = Take.of(solo_LM, RATE, solos=solos, ambient=["3"])
    for take in (other, same):
        assert take.sources == ("viola", "cello")
        assert take.spots == ((1,), (0,))
        assert [len(passages) for passages in take.solos] == [1, 2]
        np.testing.assert_array_equal(take.solos[1][1], solo_LM[12000:])
    ordered = Take.of(x_LM, RATE, solos=solos, solo_LM=solo_LM, ambient=[2], sources=["cello", "viola"])
    assert ordered.spots == ((0,), (1,))
    given = Take.of(x_LM, RATE, sources=["a", "b"], spots={"a": [1, "3"], "b": 0})
    assert given.spots == ((1, 2), (0,))


@pytest.mark.parametrize(
    ("known", "error", "message"),
    [
        ({"solos": {"a": (1.0, 3.0)}}, ArgumentError, "'a' plays alone from 1 to 3 s, but the recording lasts 2.000 s"),
        ({"solos": {"a": (0.5, 0.5)}}, ArgumentError, "'a' plays alone from 0.5"),
        (
            {"solos": {"a": (0, 1)}, "sources": ["b"]},
            ArgumentError,
            "solos name 'a', which is not among",
        ),
        ({"solos": [(0, 1)]}, ArgumentError, "solos must map each source"),
        ({"solos": {"a": (0, 1, 2)}}, ArgumentError, "'a' needs .start, stop. in seconds"),
        ({"solos": {"a": None}}, ArgumentError, "'a' needs"),
        ({"solos": {"a": (0, float("nan"))}}, ArgumentError, "'a' plays alone from 0 to nan s"),
        ({"solos": {"a": (0, 1)}, "solo_LM": np.ones((RATE, 2))}, ArgumentError, "must have the 3 microphones"),
        ({"solo_LM": np.ones((RATE, 3))}, ArgumentError, "solo_LM needs solos"),
        ({"spots": {"9": 0}}, ArgumentError, "spots name '9', which is not among"),
        ({"spots": [0, 1]}, ArgumentError, "spots must have one entry for each of 3 sources, got 2"),
        ({"spots": [0, 1, 3]}, ArgumentError, "mics must be from 0 to 2, or names; got 3"),
        ({"ambient": ["main"]}, SessionError, "there is no mic 'main'; names are: 1, 2, 3"),
        ({"sources": ["a", "b"]}, SessionError, "nobody's spot: mic 3"),
        ({"solos": {"a": (0, 1)}, "solo_LM": np.ones((RATE, 3))}, SessionError, "nobody's spot"),
    ],
)
def test_what_does_not_fit_is_refused(x_LM, known, error, message):
    with pytest.raises(error, match=message):
        Take.of(x_LM, RATE, **known)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"spots": 3}, "spots must be a sequence"),
        ({"spots": [1.0]}, "source 0 needs one microphone number"),
        ({"spots": (0, 3)}, "spots name microphone 3, but there are only 3"),
        ({"sources": ["a"]}, "sources must have one entry for each of 3 spots, got 1"),
        ({"sources": ["a", "b", "a"]}, "two have the same name"),
        ({"mic_names": ["a"]}, "mic_names must have one entry for each of 3 microphones, got 1"),
        ({"solos": [[]]}, "solos must have one entry for each of 3 sources, got 1"),
        ({"solos": [[np.ones((9, 2))], [], []]}, "solos must be of the 3 microphones"),
        ({"instruments": ["a"]}, "instruments must have one entry"),
        ({"sample_rate": 0}, "sample_rate must be a number"),
        ({"x_LM": np.ones(9)}, "x_LM must be audio"),
    ],
)
def test_a_take_that_contradicts_itself_is_refused(x_LM, known, message):
    with pytest.raises(ArgumentError, match=message):
        Take(**({"x_LM": x_LM, "sample_rate": RATE} | known))


def test_a_part_keeps_what_is_known(x_LM):
    take = Take(x_LM, RATE, (2, 0), ("a", "b"), solos=[[x_LM[:100]], []])
    part = take.part(100, 900)
    np.testing.assert_array_equal(part.x_LM, x_LM[100:900])
    assert (part.spots, part.sources) == (take.spots, take.sources)
    assert part.solos[0][0] is take.solos[0][0]
    for start, stop in ((6, 5), (5, 5), (0, 2 * RATE + 1)):
        with pytest.raises(ArgumentError, match=f"samples {start} to {stop} lie outside the take"):
            take.part(start, stop)
    for start, stop, name in ((-1, 5, "start"), (0, 0.5, "stop")):
        with pytest.raises(ArgumentError, match=f"{name} must be a whole number of at least 0"):
            take.part(start, stop)


def test_sources_and_mics_go_by_number_and_name(x_LM):
    take = Take(x_LM, RATE, (2, 0), ("a", "b"), ("left", "middle", "right"))
    assert [take.source("b"), take.source(0)] == [1, 0]
    assert [take.mic("right"), take.mic(1)] == [2, 1]
    with pytest.raises(ArgumentError, match="there is no source 'c', only a, b"):
        take.source("c")
    with pytest.raises(ArgumentError, match="source must be from 0 to 1, or a name; got 2"):
        take.source(2)


@pytest.mark.parametrize("analysis", [STFT(1024, 256), Waveform()])
def test_what_levels_take_off_they_give_back(x_LM, analysis):
    """If one source is all there is in the model, its images at its own mics are the take."""
    take = Take(x_LM, RATE, [(1, 0, 2)], ["all"])
    levels = Levels.of(take, lowest=0.0 if isinstance(analysis, Waveform) else 20.0)
    low_FTM, X_FTM = levels.into(x_LM, analysis)
    assert len(low_FTM) == (0 if isinstance(analysis, Waveform) else 3)
    assert np.abs(X_FTM.mean()) < 0.05
    power_M = np.mean(np.abs(np.concatenate([low_FTM, X_FTM])) ** 2, axis=(0, 1))
    np.testing.assert_allclose(power_M, power_M[0], rtol=0.2)  # equally loud, but for the ends
    back_LM = levels.back(X_FTM, low_FTM, 0, [0, 1, 2], analysis, len(x_LM))
    assert back_LM.dtype == np.float32
    np.testing.assert_allclose(back_LM, x_LM, atol=2e-6)


def test_what_belongs_to_nobody_goes_to_the_owner_of_the_mic_only(x_LM):
    """The first of two that share a mic keeps it, and a reference spot counts more than a further one."""
    take = Take(x_LM, RATE, [(0, 1), (1,), (0,)], "abc")
    levels = Levels.of(take, 20.0)
    assert levels.owner_M.tolist() == [0, 1, -1]
    low_FTM, X_FTM = levels.into(x_LM, STFT(1024, 256))
    nothing = np.zeros_like(X_FTM)

    def kept(source):
        return np.abs(levels.back(nothing, low_FTM, source, [0, 1, 2], STFT(1024, 256), len(x_LM))).max(axis=0)

    assert (kept(0) > 0.01).tolist() == [True, False, False]
    assert (kept(1) > 0.01).tolist() == [False, True, False]
    assert kept(2).max() == 0.0


def test_silent_mics_keep_their_level(x_LM):
    levels = Levels.of(Take(x_LM * [1, 1, 1e-5], RATE))
    assert levels.silent_mics == (2,)
    assert levels.gains_M[2] == 1.0
    assert Levels.of(Take(np.zeros((100, 2)), RATE)).silent_mics == (0, 1)


def test_solos_are_brought_to_the_gains_of_the_take_without_their_own_offset(x_LM):
    alone = [[x_LM[:3000] + 5.0, x_LM[4000:6000]], [], [x_LM[7000:9000]]]
    take = Take(x_LM, RATE, solos=alone)
    stft = STFT(512, 128)
    levels = Levels.of(take)
    X_FTM, frames = levels.solos(take, stft)
    assert [len(slices) for slices in frames] == [2, 0, 1]
    assert frames[0][1].start == frames[0][0].stop
    first_LM = x_LM[:3000] - x_LM[:3000].mean(axis=0)
    wanted = stft.analyse(first_LM * levels.gains_M)[:, stft.frames(0, 3000, 3000)]
    np.testing.assert_allclose(X_FTM[:, frames[0][0]], wanted, atol=1e-3)
    assert Levels.of(Take(x_LM, RATE)).solos(Take(x_LM, RATE), stft) is None


@pytest.mark.parametrize("method", ["kamir", "ilrma"])
def test_float64_stays_float64_and_inputs_are_not_changed(x_LM, method):
    wide_LM = x_LM.astype(np.float64)
    before = wide_LM.tobytes()
    assert METHODS[method].name == method
    wide = separate(wide_LM, RATE, method=method, iterations=2)
    assert wide.stems_LN.dtype == np.float64
    assert separate(x_LM, RATE, method=method, iterations=2).stems_LN.dtype == np.float32
    assert wide_LM.tobytes() == before
    integers = np.round(x_LM * 1000).astype(np.int16)
    assert separate(integers, RATE, method=method, iterations=2).stems_LN.dtype == np.float64


@pytest.fixture
def bursts(rng):
    """Return a maker of two players in turn, in bursts, the second mic `apart_db` below the first for the first one."""

    def make(apart_db, noise=0.0):
        apart = 10 ** (-apart_db / 20)
        x_LM = rng.standard_normal((4 * RATE, 1)) * (np.arange(4 * RATE)[:, None] // 2000 % 2)
        solo_LM = x_LM * np.repeat([[1.0, apart], [apart, 1.0]], 2 * RATE, axis=0)
        return solo_LM + noise * rng.standard_normal(solo_LM.shape), {"violin": (0.0, 2.0), "viola": (2.0, 4.0)}

    return make


@pytest.mark.parametrize(("apart_db", "enough"), [(0.3, False), (0.9, False), (1.1, True), (3.0, True)])
def test_a_solo_must_be_a_decibel_louder_at_one_mic_than_at_any_other(bursts, apart_db, enough):
    solo_LM, solos = bursts(apart_db)
    if enough:
        assert Take.of(solo_LM, RATE, solos=solos).spots == ((0,), (1,))
    else:
        with pytest.raises(SessionError, match=f"as loud at mic 1 and mic 2 .{apart_db} dB apart"):
            Take.of(solo_LM, RATE, solos=solos)


def test_what_a_mic_hears_anyway_is_no_energy_of_a_solo(bursts):
    clean_LM, solos = bursts(3.0)
    noisy_LM, _ = clean_LM + np.array([1.5, 0.2]) * np.random.default_rng(1).standard_normal(clean_LM.shape), None
    found = []
    for x_LM in (clean_LM, noisy_LM):
        parts = {name: [x_LM[round(start * RATE) : round(stop * RATE)]] for name, (start, stop) in solos.items()}
        energies = whose._solo_energies(list(solos), parts, round(whose.FLOOR_FRAME * RATE))
        found.append((energies.above_NM, energies.energy_NM))
    (clean_NM, _), (above_NM, energy_NM) = found
    np.testing.assert_allclose(above_NM[:, 1], clean_NM[:, 1], rtol=0.1)
    # Noise louder than the solo at the first mic: what is left is less than half of all that it hears.
    assert (above_NM[:, 0] < 0.5 * energy_NM[:, 0]).all()


def test_solos_are_learned_from_frames_that_see_no_cut(rng):
    """At the ends of a passage the window reaches beyond it; those frames would show a click that nobody played."""
    x_LM = np.cos(2 * np.pi * 1000 / RATE * np.arange(2 * RATE))[:, None] * [1.0, 0.5]
    take = Take.of(x_LM, RATE, solos={"violin": (0.5, 1.0)}, spots={"violin": 0}, ambient=[1])
    analysis = STFT(512, 128)
    alone_FTM, frames = Levels.of(take).solos(take, analysis)
    assert frames == [[slice(0, 1 + (RATE // 2 - 512) // 128)]]
    assert alone_FTM.shape[1] == frames[0][0].stop
    power_FT = np.abs(alone_FTM[..., 0]) ** 2
    far_F = np.abs(analysis.frequencies(RATE) - 1000) > 500
    assert (power_FT[far_F].max(axis=0) < 1e-5 * power_FT.max(axis=0)).all()


def test_solos_are_at_the_gains_of_the_take(rng):
    """A model sees take and solos at one loudness a mic, that of the take, however its preamplifiers were set."""
    x_LM = rng.standard_normal((2 * RATE, 2))
    solo_LM = rng.standard_normal((RATE, 2)) * [1.0, 0.25]
    analysis, seen = STFT(512, 128), []
    for gains_M in ([1.0, 1.0], [8.0, 0.125]):
        take = Take(x_LM * gains_M, RATE, solos=[[solo_LM * gains_M], []])
        levels = Levels.of(take)
        seen.append(levels.solos(take, analysis)[0])
        expected = analysis.analyse((solo_LM * gains_M - (solo_LM * gains_M).mean(axis=0)) * levels.gains_M)
        np.testing.assert_allclose(seen[-1], expected[:, analysis.frames(0, RATE, RATE)], rtol=1e-6, atol=1e-9)
    ratio = np.linalg.norm(seen[0], axis=(0, 1)) / np.linalg.norm(seen[1], axis=(0, 1))
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-3)


def test_a_take_with_other_solos_or_fewer_sources(x_LM):
    take = Take(x_LM, RATE, (0, 1), sources=["a", "b"], instruments=["oboe", "horn"], solos=[[x_LM[:50]], []])
    other = take.with_solos([[], [x_LM[:70]]])
    assert [len(passages) for passages in other.solos] == [0, 1]
    assert len(take.solos[0]) == 1
    assert other.x_LM is take.x_LM
    with pytest.raises(ArgumentError, match="solos"):
        take.with_solos([[x_LM[:50, :1]], []])
    with pytest.raises(ArgumentError, match="one entry for each of 2 sources"):
        take.with_solos([[]])
    for left_out in ("a", 0):
        fewer = take.without([left_out])
        assert (fewer.sources, fewer.instruments, fewer.spots.references) == (("b",), ("horn",), [1])
        assert fewer.solos == ((),)
    assert take.without([]).sources == ("a", "b")
    for wrong in (["c"], [2], [-1], ["a", "b"]):
        with pytest.raises(ArgumentError):
            take.without(wrong)
