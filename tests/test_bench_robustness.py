"""What the robustness benchmark does to a take must be what it says, and nothing else."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
BENCHMARKS = str(FOLDER)

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution")


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, BENCHMARKS)
    try:
        import robustness
    finally:
        sys.path.remove(BENCHMARKS)
    return robustness


@pytest.fixture
def case(script):
    rng = np.random.default_rng(0)
    truth_LN = rng.standard_normal((4000, 3))
    solo = rng.standard_normal((3000, 3)), [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    mixture_LM = truth_LN + 0.1 * rng.standard_normal((4000, 3))
    return script.Case("noise", 1000, mixture_LM, truth_LN, (0, 1, 2), ("a", "b", "c"), {"solo": solo})


def parts(case):
    solo_LM, passages = case.solos["solo"]
    return case.mixture_LM, case.truth_LN, solo_LM, passages


def differ(case, other):
    return [int((a != b).any(axis=0).sum()) for a, b in zip(parts(case)[:3], parts(other)[:3])]


@pytest.mark.parametrize(
    ("axis", "value", "microphones"),
    [
        ("none", 0, [0, 0, 0]),
        ("noise", -40, [3, 0, 3]),
        ("markers", 1, [0, 0, 3]),
        ("markers", "swap", [0, 0, 0]),
        ("delay", 20, [1, 1, 0]),
        ("delay, solos as well", 20, [1, 1, 1]),
        ("gain", 6, [1, 1, 0]),
        ("gains", 6, [3, 3, 0]),
        ("polarity", "take", [1, 1, 0]),
        ("polarity", "both", [1, 1, 1]),
        ("muted", 25, [1, 1, 0]),
        ("muted", "gates", [3, 3, 0]),
    ],
)
def test_changes_only_what_it_says(script, case, axis, value, microphones):
    before = [part.copy() for part in parts(case)[:3]]
    other = script.changed(case, axis, value, seed=1)
    assert differ(case, other) == microphones
    assert all(np.array_equal(a, b) for a, b in zip(before, parts(case)[:3]))
    assert (sorted(parts(other)[3]), parts(other)[3] != parts(case)[3]) == (parts(case)[3], value == "swap")


def test_late_microphone_and_its_truth_move_together(script, case):
    late = script.changed(case, "delay", 20, seed=1)
    m = int(np.flatnonzero((late.truth_LN != case.truth_LN).any(axis=0))[0])
    np.testing.assert_array_equal(late.mixture_LM[20:, m], case.mixture_LM[:-20, m])
    np.testing.assert_array_equal(late.truth_LN[20:, m], case.truth_LN[:-20, m])


def test_muted_microphones_hear_nothing(script, case):
    for value, n_open in ((25, 3000), ("gates", 3600)):
        mixture_LM, truth_LN, _, _ = parts(script.changed(case, "muted", value, seed=1))
        muted = (mixture_LM != case.mixture_LM).any(axis=0)
        assert np.count_nonzero(mixture_LM[:, muted], axis=0).tolist() == [n_open] * muted.sum()
        np.testing.assert_array_equal(mixture_LM == 0, truth_LN == 0)


def test_marked_too_early_or_late(script, case):
    starts = {seed: parts(script.changed(case, "markers", 1, seed))[2][0] for seed in range(8)}
    solo_LM = parts(case)[2]
    assert {int(np.flatnonzero((solo_LM == start).all(axis=1))[0]) for start in starts.values()} == {1000, 2000}


def test_unison(script):
    rate = 8000
    t = np.arange(2 * rate) / rate
    stems_LN = np.stack([np.sin(2 * np.pi * 200 * t), 0.5 * np.sin(2 * np.pi * 330 * t)], axis=1)
    half_LN = script.in_unison(stems_LN, (0, 1), 0.5, rate)
    np.testing.assert_array_equal(half_LN[:, 0], stems_LN[:, 0])
    spectra = [np.abs(np.fft.rfft(part)) for part in np.split(half_LN[:, 1], 2)]
    assert [int(np.argmax(spectrum)) for spectrum in spectra] == [200, 330]
    assert np.std(half_LN[: rate // 2, 1]) == pytest.approx(np.std(stems_LN[:, 1]), rel=0.05)


def test_twelve_seats_are_apart_and_shaken_with_their_microphones(script):
    scene = script.chamber(tuple(f"p{n}" for n in range(12)), 0.4)
    seats = np.array([player.position_m for player in scene.players])
    distances = np.linalg.norm(seats[:, None] - seats, axis=2)[~np.eye(12, dtype=bool)]
    assert distances.min() > 1.5
    like = script.simulate.chamber_scene()
    expected = sorted(np.round(player.position_m, 6).tolist() for player in like.players)
    assert sorted(np.round(seats[:4], 6).tolist()) == expected
    other = script.shaken(scene, np.random.default_rng(0))
    steps = np.array([player.position_m for player in other.players]) - seats
    mics = [np.subtract(b.position_m, a.position_m) for a, b in zip(scene.microphones, other.microphones)]
    np.testing.assert_allclose(mics, steps, atol=1e-12)
    assert 0 < np.linalg.norm(steps, axis=1).max() <= script.JITTER_M


def test_figures_without_solos_stand_in_where_nothing_changes(script, monkeypatch):
    monkeypatch.setattr(script, "choices", lambda data: [script.quartet(), script.quartet()])
    assert script.source("moved", 10, script.NO_SOLOS) == (script.FLAWLESS, 0)
    assert script.source("moved", 10, script.SOLOS) == ("moved", 10)
    assert script.source("delay, solos as well", 20, script.NO_SOLOS) == ("delay", 20)
    assert script.source("polarity", "both", script.NO_SOLOS) == ("polarity", "take")
    for cells in (script.grid(False, Path()), script.grid(False, None), script.grid(True, None)):
        there = {(cell["axis"], cell["value"], cell["method"]) for cell in cells}
        for axis, value, _ in there - {(script.FLAWLESS, 0, method) for method in script.CONTENDERS}:
            assert (*script.source(axis, value, script.NO_SOLOS), script.NO_SOLOS) in there
