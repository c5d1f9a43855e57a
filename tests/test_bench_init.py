"""What the comparisons of starts and of libraries rest on: the order of outputs, and an estimate of a known SDR."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution")


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])


def test_outputs_are_matched_with_the_players_at_their_spots():
    import peers

    rng = np.random.default_rng(0)
    truth_LN = rng.standard_normal((4000, 3))
    order = [2, 0, 1]  # output j is player order[j], and another image of it at every other spot
    images_LJN = truth_LN[:, order, None] * rng.uniform(0.1, 0.5, (3, 3))
    for j, n in enumerate(order):
        images_LJN[:, j, n] = truth_LN[:, n] + 0.1 * truth_LN[:, (n + 1) % 3]
    expected_LN = truth_LN + 0.1 * np.roll(truth_LN, -1, axis=1)
    np.testing.assert_allclose(peers.matched(truth_LN, images_LJN), expected_LN)


def test_outputs_are_projected_onto_every_microphone():
    import peers

    y_LN = np.random.default_rng(0).standard_normal((8000, 1))
    stft, Y_FTN = peers.analysed(y_LN, 0.032)
    images_LNM = peers.projected(stft, Y_FTN * [1.0, -2.0], 3j * Y_FTN, len(y_LN))
    np.testing.assert_allclose(images_LNM[:, 0], y_LN * [1.0, -2.0], atol=1e-9)


@pytest.mark.parametrize("sdr_db", [0.0, 6.0])
def test_a_degraded_estimate_has_the_sdr_asked_for(sdr_db):
    import initialisations

    rng = np.random.default_rng(0)
    S_NFT = rng.standard_normal((3, 20, 30)) + 1j * rng.standard_normal((3, 20, 30))
    error_NFT = initialisations.degraded(S_NFT, sdr_db, rng) - S_NFT
    found_N = 10 * np.log10(np.sum(np.abs(S_NFT) ** 2, axis=(1, 2)) / np.sum(np.abs(error_NFT) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(found_N, sdr_db, atol=1e-9)
