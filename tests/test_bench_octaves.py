"""Gains by octave."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution")

RATE = 8000


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(FOLDER))
    try:
        import octaves
    finally:
        sys.path.pop(0)
    return octaves


def tone(frequency, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)


def test_each_octave_has_a_gain_of_its_own(script):
    """Bleed that a stem has 20 dB lower at 250 Hz, and 6 dB higher at 2 kHz; the second source has nothing up there."""
    truth_LN = np.stack([tone(260) + tone(2100), tone(270)], axis=1)
    spots_LN = truth_LN + np.stack([tone(240, 0.1) + tone(1900, 0.1), tone(240, 0.1)], axis=1)
    stems_LN = truth_LN + np.stack([tone(240, 0.01) + tone(1900, 0.2), tone(240, 0.1)], axis=1)
    first, second = script.gains(truth_LN, stems_LN, spots_LN, RATE)
    assert len(first) == 5  # 125 Hz to 2 kHz
    assert first[1] == pytest.approx(20, abs=0.1)
    assert first[4] == pytest.approx(-6.02, abs=0.1)
    assert second[1] == pytest.approx(0, abs=0.1)
    assert second[4] is None


def test_without_bleed_there_is_nothing_to_gain(script):
    truth_LN = np.stack([tone(260), tone(270)], axis=1)
    spots_LN = truth_LN + np.stack([tone(240, 0.1), tone(240, 0.0)], axis=1)
    first, second = script.gains(truth_LN, truth_LN + 0.5 * (spots_LN - truth_LN), spots_LN, RATE)
    assert first[1] == pytest.approx(6.02, abs=0.1)
    assert set(second) == {None}


def test_a_take_at_a_lower_rate_has_as_many_columns(script):
    rows = [{"take": "one", "method": "mnmf", "mean": [1.0, 2.0], "worst": [0.0, 1.0]}]
    rows.append({"take": "other", "method": "mnmf", "mean": [1.0], "worst": [0.0]})
    lines = script.table({"summary": rows}).splitlines()
    assert len({line.count("|") for line in lines}) == 1


def test_the_summary_is_the_mean_over_seeds_and_tells_the_worst_source(script):
    gains = [[[1.0, None, None], [2.0, 5.0, None]], [[3.0, None, None], [4.0, 7.0, None]]]
    cells = [
        {"cell": {"take": "duet", "method": "mnmf", "seed": seed}, "result": {"gain": gain}}
        for seed, gain in enumerate(gains)
    ]
    (row,) = script.summary(cells)
    assert row["mean"] == [2.5, 6.0, None]
    assert row["worst"] == [2.0, 6.0, None]
    assert "| duet | mnmf | +2.5 / +2.0 | +6.0 / +6.0 |  |" in script.table({"summary": script.summary(cells)})
