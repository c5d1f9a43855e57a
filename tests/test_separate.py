"""From a session to its stems, where the command line does not show it."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from mnmf import METHODS, Session, priors, separate
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
    """Return the take's spectrogram at equal loudness, the gains and the offsets, by other means than Levels."""
    x_LM = session.recording.read(dtype=session.recording.exact_dtype)
    offset_M = x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)
    rms_M = np.std(x_LM - offset_M, axis=0, dtype=np.float64)
    gains_M = (np.exp(np.mean(np.log(rms_M))) / rms_M).astype(np.float32)
    return stft.analyse((x_LM - offset_M) * gains_M), gains_M, offset_M, x_LM


@pytest.mark.parametrize("window", [None, 0.72])  # 20 Hz on a bin, and between two
def test_below_the_lowest_frequency_each_stem_is_its_spot(session, window):
    result = separate(session, method=METHOD, window=window, **SIZES)
    X_FTM, gains_M, offset_M, x_LM = parts(session, result.analysis)
    first = np.searchsorted(np.arange(len(X_FTM)) * RATE / result.analysis.window_length, METHODS[METHOD].lowest)
    assert 10 < first == len(X_FTM) - len(result.model.Q_)
    spots = session.spots.references
    assert spots == [2, 0, 1]
    S_FTN = np.concatenate([X_FTM[:first, :, spots], result.model.separate(X_FTM[first:])])
    stems_LN = result.analysis.synthesise(S_FTN, len(x_LM)) / gains_M[spots] + offset_M[spots]
    assert stems_LN.tobytes() == result.stems_LN.tobytes()


def test_a_prior_sees_take_and_solos_of_the_same_frequencies(session):
    seen = []

    def prior(evidence, n_components, rng):
        seen.append(evidence)
        return METHODS[METHOD].prior(evidence, n_components, rng)

    result = separate(session, method=replace(METHODS[METHOD], prior=prior), **SIZES)
    X_FTM, gains_M, _, _ = parts(session, result.analysis)
    pieces = []
    for source in session.sources:
        (x_LM,) = session.solos(source)
        x_LM = (x_LM - x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype)) * gains_M
        pieces.append(result.analysis.analyse(x_LM)[:, result.analysis.frames(0, len(x_LM), len(x_LM))])
    solo_FTM = np.concatenate(pieces, axis=1)
    n_frequencies = len(result.model.Q_)
    np.testing.assert_array_equal(seen[0].X_FTM, X_FTM[-n_frequencies:])
    np.testing.assert_array_equal(seen[0].solo[0], solo_FTM[-n_frequencies:])


def rumble(x_LM):
    """Return the complex amplitudes at the rumble's frequency."""
    window_L = np.hanning(len(x_LM))[:, None]
    return np.sum(window_L * x_LM * np.exp(-2j * np.pi * RUMBLE * np.arange(len(x_LM)) / RATE)[:, None], axis=0)


def test_rumble_stays_with_its_spot_because_nothing_is_separated_below_20_hz(session):
    x_LM = session.recording.read()
    spots = session.spots.references
    own = rumble(x_LM)[spots]
    kept = rumble(separate(session, method=METHOD, **SIZES).stems_LN)
    np.testing.assert_allclose(kept, own, rtol=0.05)
    changed = separate(session, method=replace(METHODS[METHOD], lowest=0.0), **SIZES)
    assert len(changed.model.Q_) == changed.analysis.n_frequencies
    assert np.abs(rumble(changed.stems_LN) / own - 1).max() > 0.3


def unmatched(evidence, n_components, rng):
    """Start as the default does, but take the solos to be recorded at the gains of the take."""
    return evidence.start(priors.solo(*evidence.solo, evidence.spots).Q, n_components, rng)


@pytest.mark.parametrize("method", ["fastmnmf2", "mnmf-is"])
def test_gains_changed_after_the_solos_change_the_stems_little(session, tmp_path, method):
    solos, rate = sf.read(tmp_path / "solos.wav")
    sf.write(tmp_path / "quieter.wav", solos * [1.4, 0.7, 1.0], rate, "FLOAT")
    changed = Session.open(
        tmp_path / "take.wav",
        solos=tmp_path / "solos.txt",
        solo_take=tmp_path / "quieter.wav",
        sources=["c", "a", "b"],
    )

    def difference(recipe):
        stems_LN = separate(session, method=recipe).stems_LN
        return np.sum((separate(changed, method=recipe).stems_LN - stems_LN) ** 2) / np.sum(stems_LN**2)

    recipe = METHODS[method]
    assert difference(recipe) < 0.5 * difference(replace(METHODS["fastmnmf2"], prior=unmatched))
