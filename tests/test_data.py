"""The embedded quartet."""

from importlib.resources import files

import numpy as np
import pytest

from mnmf import data


@pytest.fixture(scope="module")
def quartet():
    return data.quartet()


def test_shapes_names_and_rate(quartet):
    assert quartet.names == ("violin1", "violin2", "viola", "cello")
    assert quartet.sample_rate == 44100
    assert quartet.stems_LN.dtype == quartet.solos_LN.dtype == np.float64
    assert quartet.stems_LN.shape[1] == quartet.solos_LN.shape[1] == 4
    assert 12 <= len(quartet.stems_LN) / quartet.sample_rate <= 15
    assert 5 <= len(quartet.solos_LN) / quartet.sample_rate <= 8


def test_about_equal_loudness_without_clipping(quartet):
    for audio in (quartet.stems_LN, quartet.solos_LN):
        level_db = 20 * np.log10(np.sqrt(np.mean(audio**2, axis=0)))
        assert np.ptp(level_db) < 2
        assert np.abs(audio).max() < 0.9


def test_all_four_play_most_of_the_time(quartet):
    step = quartet.sample_rate // 5
    L = len(quartet.stems_LN) // step * step
    power_TN = np.mean(quartet.stems_LN[:L].reshape(-1, step, 4) ** 2, axis=1)
    assert np.mean(np.all(power_TN > 1e-4, axis=1)) > 0.85


def test_cuts_are_faded(quartet):
    for audio in (quartet.stems_LN, quartet.solos_LN):
        assert np.abs(audio[[0, -1]]).max() < 1e-3


def test_stems_and_solos_are_different_music_of_different_players(quartet):
    for audio in (quartet.stems_LN, quartet.solos_LN):
        assert np.abs(np.corrcoef(audio.T) - np.eye(4)).max() < 0.2


def test_each_call_gives_fresh_arrays(quartet):
    other = data.quartet()
    other.stems_LN[:] = 0
    np.testing.assert_array_equal(data.quartet().stems_LN, quartet.stems_LN)


def test_size_and_provenance():
    folder = files("mnmf.data") / "quartet"
    contents = {entry.name: len(entry.read_bytes()) for entry in folder.iterdir()}
    assert sum(contents.values()) <= 4_000_000
    assert sorted(contents) == sorted(
        ["README.md"] + [f"{name}{kind}.flac" for name in data.quartet().names for kind in ("", "_solo")]
    )
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for words in ("K. 458", "music21", "MuseScore General", "MIT"):
        assert words in readme
