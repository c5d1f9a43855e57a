"""From a take to its stems, where the command line does not show it."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from mnmf import METHODS, Session, Take, learn, priors, separate
from mnmf.errors import ArgumentError, MnmfError
from mnmf.methods import Evidence
from mnmf.separation import separate_to
from mnmf.take import Levels
from tests.test_cli import RATE, ensemble

pytestmark = pytest.mark.slow

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
        stems_LN = separate(session, method=recipe, components=8).stems_LN
        return np.sum((separate(changed, method=recipe, components=8).stems_LN - stems_LN) ** 2) / np.sum(stems_LN**2)

    recipe = METHODS[method]
    assert difference(recipe) < 0.5 * difference(replace(METHODS["fastmnmf2"], prior=unmatched))


# --- arrays, and every source at every microphone


@pytest.fixture
def five(rng):
    """Three players on five mics: two of them share the first player's room, one is ambient; offsets and rumble."""
    take, _, _ = ensemble(seconds=2, extra_mics=2)
    time_L = np.arange(len(take)) / RATE
    take += 0.02 * np.sin(2 * np.pi * RUMBLE * time_L)[:, None] + 0.01 * np.arange(5)
    return Take(take.astype(np.float32), RATE, [(0, 3), (1,), (2,)], ("violin", "viola", "cello"))


@pytest.mark.parametrize("method", ["fastmnmf2", "mnmf-is", "kamir", "time-domain", "fastmnmf2-blind"])
def test_images_and_residual_are_the_take_at_every_mic(five, method):
    sizes = SIZES if METHODS[method].components else {"iterations": 4}
    result = separate(five, method=method, **sizes)
    images_LMN = np.stack([result.image(name) for name in five.sources], axis=2)
    assert images_LMN.shape == (five.n_samples, 5, 3)
    whole_LM = images_LMN.astype(np.float64).sum(axis=2) + result.residual_LM
    np.testing.assert_allclose(whole_LM, five.x_LM, atol=1e-6)
    for n, own in enumerate(five.spots.references):
        assert result.image(n, [own])[:, 0].tobytes() == result.stems_LN[:, n].tobytes()
        assert result.image(n, own).tobytes() == result.stems_LN[:, n].tobytes()


def test_offset_and_rumble_of_nobody_s_mic_stay_in_the_residual(five):
    result = separate(five, method=METHOD, **SIZES)
    residual = rumble(result.residual_LM)
    np.testing.assert_allclose(residual[4], rumble(five.x_LM)[4], rtol=0.05)
    assert np.abs(residual[:4]).max() < 0.02 * np.abs(residual[4])
    assert result.residual_LM.mean(axis=0)[4] == pytest.approx(0.04, abs=1e-3)
    assert np.abs(result.residual_LM[:, :4]).max() < 1e-5  # at spots everything belongs to somebody
    at_further_spot = result.image("violin", 3)
    assert at_further_spot.mean() == pytest.approx(five.x_LM[:, 3].mean(), abs=1e-3)


def test_mics_by_name_and_number(five):
    result = separate(five, method="kamir", iterations=2)
    assert result.image("viola", ["5", 1]).tobytes() == result.image(1, (4, 1)).tobytes()
    with pytest.raises(ArgumentError, match="mics must be from 0 to 4"):
        result.image(0, 5)
    assert "violin, viola, cello by kamir" in repr(result)


def test_an_array_a_take_and_a_session_give_the_same_bytes(session):
    stems_LN = separate(session, method=METHOD, **SIZES).stems_LN
    take = session.take()
    assert separate(take, method=METHOD, **SIZES).stems_LN.tobytes() == stems_LN.tobytes()
    solo_LM = session.solo_recording.read()
    solos = {name: (3.0 * n, 3.0 * n + 3.0) for n, name in enumerate("abc")}
    options = {"solos": solos, "solo_LM": solo_LM, "sources": ["c", "a", "b"]}
    again = separate(session.recording.read(), RATE, **options, method=METHOD, **SIZES)
    assert again.take.spots == session.spots
    assert again.stems_LN.tobytes() == stems_LN.tobytes()


def test_the_layers_below_give_the_same_bytes(session):
    """Take, levels, analysis, prior, model, images, levels: what separate does, step by step."""
    take, recipe = session.take(), METHODS[METHOD]
    levels, stft = Levels.of(take, recipe.lowest), recipe.analysis(take.sample_rate)
    low_FTM, X_FTM = levels.into(take.x_LM, stft)
    evidence = Evidence(X_FTM, take.spots, levels.solos(take, stft))
    rng = np.random.default_rng(0)
    model = recipe.model(4, 4).fit(X_FTM, recipe.prior(evidence, 4, rng), rng=rng)
    own = take.spots[0][0]
    stem_LI = levels.back(model.images(X_FTM, 0, [own]), low_FTM, 0, [own], stft, take.n_samples)
    assert stem_LI[:, 0].tobytes() == separate(session, method=METHOD, **SIZES).stems_LN[:, 0].tobytes()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "an array needs its sample rate"),
        (("fastmnmf2",), {}, "an array needs its sample rate"),
        ((RATE,), {"method": "none"}, "method must be one of mnmf, fastmnmf2, "),
        ((RATE,), {"seed": -1}, "seed must be a whole number"),
        ((RATE,), {"trust": 2}, "trust must be a number from 0 to 1"),
        ((RATE,), {"window": 1e9}, "the window must be"),
        ((RATE,), {"components": 0}, "components must be a whole number"),
        ((RATE,), {"components": 3, "method": "kamir"}, "kamir has no components"),
        ((RATE,), {"window": 0.1, "method": "time-domain"}, "works on waveforms and has no window"),
        ((RATE,), {"method": "mnmf-fixh"}, "mnmf-fixh needs a solo of every source; '1' has none"),
        ((RATE,), {"method": "mnmf-blind"}, "or a --dictionary of their notes; '1' has none"),
        ((RATE,), {"method": "ilrma", "ambient": [2]}, "ilrma needs as many mics as sources, but there are 3 mics"),
    ],
)
def test_what_separate_refuses(rng, arguments, options, message):
    with pytest.raises(MnmfError, match=message):
        separate(rng.standard_normal((2000, 3)), *arguments, **options)


def test_words_that_separate_does_not_know(rng, five):
    with pytest.raises(TypeError, match="unexpected keyword argument 'metod'"):
        separate(rng.standard_normal((2000, 3)), RATE, metod="kamir")
    for known in ({"sample_rate": RATE}, {"sources": "abc"}):
        with pytest.raises(ArgumentError, match="is for arrays"):
            separate(five, **known)


def test_mics_that_hear_nothing_are_set_aside(five):
    """Everything is as if they were not there; only who is nobody's spot is left out."""
    dead = 1e-7 * np.random.default_rng(0).standard_normal((five.n_samples, 2))
    more_LM = np.column_stack([five.x_LM, dead]).astype(five.x_LM.dtype)
    solos = [[np.column_stack([x, 0 * x[:, :2]]) for x in passages] for passages in five.solos]
    names = (*five.mic_names, "6", "7")
    take = replace(five, x_LM=more_LM, solos=solos, mic_names=names)
    plain = separate(five, method=METHOD, **SIZES)
    result = separate(take, method=METHOD, **SIZES)
    assert np.array_equal(result.stems_LN, plain.stems_LN)
    assert not np.any(result.image(0)[:, -2:])
    assert np.array_equal(result.residual_LM[:, -2:], more_LM[:, -2:])
    assert result.take.aside == (5, 6)
    said = [f"mic {m} is practically silent in the take; set aside" for m in (6, 7)]
    assert list(result.remarks[:2]) == said
    assert result.remarks[2:] == plain.remarks
    spots = replace(take, spots=[*list(take.spots)[:-1], 6])
    assert separate(spots, method=METHOD, **SIZES).take.aside == (5,)


def test_a_room_learned_beside_a_dead_mic_knows_the_others(five):
    more_LM = np.column_stack([five.x_LM, 0 * five.x_LM[:, 0]])
    beside = Take(more_LM, five.sample_rate, five.spots, five.sources)
    room = learn(beside, method=METHOD, **SIZES)
    plain = Take(five.x_LM, five.sample_rate, five.spots, five.sources)
    assert np.array_equal(room.Q, learn(plain, method=METHOD, **SIZES).Q)
    loud = replace(beside, x_LM=np.column_stack([five.x_LM, five.x_LM[:, 0]]))  # its cable was found
    known = [separate(take, method=METHOD, room=room, **SIZES).stems_LN for take in (plain, beside, loud)]
    assert np.array_equal(known[0], known[1])
    assert np.array_equal(known[0], known[2])


def test_players_who_share_a_mic_are_told_apart_by_more_than_their_notes():
    """The solos also tell how each reaches the other microphone; methods that hear notes alone leave far more."""
    take_LM, solos_LM, truth_LN = ensemble(seconds=3)
    length = len(take_LM)
    alone = [solos_LM[n * length : (n + 1) * length] for n in range(3)]
    spots = (0, 1, 1)
    truth_LN = truth_LN * [np.std(x[:, m]) / np.std(x[:, n]) for n, (x, m) in enumerate(zip(alone, spots))]
    solos = [[x[:, :2].astype(np.float32)] for x in alone]
    take = Take(take_LM[:, :2].astype(np.float32), RATE, spots, ("violin", "viola", "cello"), solos=solos)

    def left(**how):
        """Return the error of each stem, relative to the player."""
        stems_LN = separate(take, window=0.1, **how).stems_LN
        return np.sum((stems_LN - truth_LN) ** 2, axis=0) / np.sum(truth_LN**2, axis=0)

    assert np.all(left() < 0.2 * left(method="fastmnmf2"))
    assert np.all(left() < 0.1)


def test_a_player_whose_mic_is_dead_shares_another(rng):
    """The others lose no more by it than by the mic that is not there; the player has a silent stem."""
    take_LM, solos_LM, truth_LN = ensemble(seconds=3)
    length, names = len(take_LM), ("violin", "viola", "cello")
    take_LM, solos_LM = (x_LM.astype(np.float32) for x_LM in (take_LM, solos_LM))
    for x_LM in (take_LM, solos_LM):
        x_LM[:, 2] = 1e-7 * rng.standard_normal(len(x_LM))
    solos = [[solos_LM[n * length : (n + 1) * length]] for n in range(3)]
    take = Take(take_LM, RATE, (0, 1, 2), names, solos=solos)
    result = separate(take, window=0.1)
    own = np.sum(solos[2][0][:, :2] ** 2, axis=0).argmax()
    there = Take(take_LM[:, :2], RATE, (0, 1, own), names, solos=[[x_LM[:, :2]] for (x_LM,) in solos])
    np.testing.assert_allclose(result.stems_LN[:, :2], separate(there, window=0.1).stems_LN[:, :2], atol=1e-5)
    assert np.all(np.sum((result.stems_LN - truth_LN) ** 2, axis=0)[:2] < 0.1 * np.sum(truth_LN**2, axis=0)[:2])
    assert not result.stems_LN[:, 2].any()
    assert not result.image(2, 2).any()
    np.testing.assert_array_equal(result.residual_LM[:, 2], take_LM[:, 2])
    assert result.image(2, own).any()
    assert "mic 3 is practically silent in the take; set aside, and its player told" in result.remarks[0]
    store = {}
    kept = separate_to(store, take, window=0.1, bleed=[(2, int(own)), (1, 2)])
    np.testing.assert_allclose(kept.stems_LN[:], result.stems_LN, atol=1e-6)
    np.testing.assert_allclose(kept.heard(2, int(own))[:], result.image(2, int(own)), atol=1e-6)
    for without in (replace(take, solos=[*solos[:2], []]), replace(take, solos=())):  # then nothing tells them apart
        assert separate(without, window=0.1, iterations=1).take.aside == ()
