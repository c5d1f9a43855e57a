"""From a session to its stems, where the command line does not show it."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from mnmf import Session
from mnmf.separate import METHODS, calibration, separate, solo_spectrogram
from tests.test_cli import RATE, ensemble

METHOD = "fastmnmf2"
SIZES = {"components": 4, "iterations": 4}
RUMBLE = 8.0  # Hz


@pytest.fixture
def session(tmp_path):
    """A session of three players whose mics rumble, each in its own way, next to an offset."""
    take, solos, _ = ensemble(seconds=3)
    time_L = np.arange(len(take)) / RATE
    for m, level in enumerate((0.3, 0.02, 0.1)):
        take[:, m] += level * np.sin(2 * np.pi * RUMBLE * time_L + m) + 0.01 * m
    sf.write(tmp_path / "take.wav", take, RATE, "FLOAT")
    sf.write(tmp_path / "solos.wav", solos, RATE, "FLOAT")
    (tmp_path / "solos.txt").write_text("".join(f"{3 * n}\t{3 * n + 3}\t{name}\n" for n, name in enumerate("abc")))
    return Session.open(
        tmp_path / "take.wav", solos=tmp_path / "solos.txt", solo_take=tmp_path / "solos.wav", sources=["c", "a", "b"]
    )


def parts(session, stft):
    """Return the take's spectrogram as `separate` sees it, the gains and the offsets."""
    x_LM = session.take.read(dtype=session.take.exact_dtype)
    offset_M = x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)
    gains_M, _ = calibration(x_LM - offset_M)
    return stft.analyse((x_LM - offset_M) * gains_M), gains_M, offset_M, x_LM


@pytest.mark.parametrize("window", [None, 0.72])  # 20 Hz on a bin, and between two
def test_below_the_lowest_frequency_each_stem_is_its_spot(session, window):
    result = separate(session, METHOD, window=window, **SIZES)
    X_FTM, gains_M, offset_M, x_LM = parts(session, result.stft)
    first = np.searchsorted(np.arange(len(X_FTM)) * RATE / result.stft.window_length, METHODS[METHOD].lowest)
    assert 10 < first == len(X_FTM) - len(result.model.Q_)
    spots = [spot.mics[0] for spot in session.spots]
    assert spots == [2, 0, 1]
    S_FTN = np.concatenate([X_FTM[:first, :, spots], result.model.separate(X_FTM[first:])])
    stems_LN = result.stft.synthesise(S_FTN, len(x_LM)) / gains_M[spots] + offset_M[spots]
    assert stems_LN.tobytes() == result.stems_LN.tobytes()


def test_a_prior_sees_take_and_solos_of_the_same_frequencies(session, monkeypatch):
    seen = []

    def prior(evidence, n_components, rng):
        seen.append(evidence)
        return METHODS[METHOD].prior(evidence, n_components, rng)

    monkeypatch.setitem(METHODS, "spied", replace(METHODS[METHOD], prior=prior))
    result = separate(session, "spied", **SIZES)
    X_FTM, gains_M, _, _ = parts(session, result.stft)
    solo_FTM, _ = solo_spectrogram(session, result.stft, gains_M)
    n_frequencies = len(result.model.Q_)
    np.testing.assert_array_equal(seen[0].X_FTM, X_FTM[-n_frequencies:])
    np.testing.assert_array_equal(seen[0].solo[0], solo_FTM[-n_frequencies:])


def rumble(x_LM):
    """Return the complex amplitudes at the rumble's frequency."""
    window_L = np.hanning(len(x_LM))[:, None]
    return np.sum(window_L * x_LM * np.exp(-2j * np.pi * RUMBLE * np.arange(len(x_LM)) / RATE)[:, None], axis=0)


def test_rumble_stays_with_its_spot_because_nothing_is_separated_below_20_hz(session, monkeypatch):
    x_LM = session.take.read()
    spots = [spot.mics[0] for spot in session.spots]
    own = rumble(x_LM)[spots]
    kept = rumble(separate(session, METHOD, **SIZES).stems_LN)
    np.testing.assert_allclose(kept, own, rtol=0.05)
    monkeypatch.setitem(METHODS, METHOD, replace(METHODS[METHOD], lowest=0.0))
    changed = separate(session, METHOD, **SIZES)
    assert len(changed.model.Q_) == changed.stft.n_frequencies
    assert np.abs(rumble(changed.stems_LN) / own - 1).max() > 0.3


@pytest.mark.parametrize(
    ("method", "finder", "blind"),
    [
        ("fastmnmf2", "match_gains", lambda X_FTM, prior: prior),
        ("mnmf-is", "changed_gains", lambda X_FTM, prior: np.ones(3)),
    ],
)
def test_gains_changed_after_the_solos_change_the_stems_little(session, tmp_path, monkeypatch, method, finder, blind):
    solos, rate = sf.read(tmp_path / "solos.wav")
    sf.write(tmp_path / "quieter.wav", solos * [1.4, 0.7, 1.0], rate, "FLOAT")
    changed = Session.open(
        tmp_path / "take.wav",
        solos=tmp_path / "solos.txt",
        solo_take=tmp_path / "quieter.wav",
        sources=["c", "a", "b"],
    )
    stems_LN = separate(session, method).stems_LN

    def difference():
        return np.sum((separate(changed, method).stems_LN - stems_LN) ** 2) / np.sum(stems_LN**2)

    matched = difference()
    monkeypatch.setattr(f"mnmf.methods.{finder}", blind)
    assert matched < 0.5 * difference()
