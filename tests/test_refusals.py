"""What stands between a slip of the user and a wrong result or a traceback."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from mnmf import METHODS, FastMNMF2, FullRankMNMF, Method, NoteDictionary, Session, Take, priors, separate
from mnmf.errors import ArgumentError, MnmfError, SessionError, check_spectrogram
from mnmf.methods import find_method
from mnmf.whose import find_spots

RATE = 8000


def test_hum_does_not_decide_which_microphone_is_left_over(rng):
    """Two of three players have solos; the third mic is loud in the take, and the first one hums."""
    mixing_MN = np.array([[1, 0.2, 0.1], [0.2, 1, 0.1], [0.2, 0.2, 1]])
    hum_LM = 20 * np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE)[:, None] * [1, 0, 0]
    take_LM = rng.standard_normal((RATE, 3)) @ mixing_MN.T + hum_LM
    solos = {name: [rng.standard_normal((RATE, 1)) * mixing_MN[:, n] + hum_LM] for n, name in enumerate("ab")}
    with pytest.raises(SessionError, match="nobody's spot: mic 3;"):
        find_spots("ab", "123", solos=solos, sample_rate=RATE, take=lambda: take_LM, given={})


def test_a_source_alone_on_its_mic_has_no_margin_to_speak_of(tmp_path, rng):
    sf.write(tmp_path / "take.wav", rng.uniform(-0.5, 0.5, (2 * RATE, 1)), RATE)
    (tmp_path / "solos.txt").write_text("0\t1\tviola\n")
    session = Session.open(tmp_path / "take.wav", solos=tmp_path / "solos.txt")
    assert session.describe_spot(0) == "mic 1 (take)"


@pytest.mark.parametrize("start", [priors.circular, priors.random])
@pytest.mark.parametrize("divergence", ["euclidean", "log-det"])
def test_three_sources_on_two_mics_in_full_rank(rng, start, divergence):
    X_FTM = rng.standard_normal((6, 15, 2)) + 1j * rng.standard_normal((6, 15, 2))
    prior = start(X_FTM, 3, 4)
    model = FullRankMNMF(4, 3, divergence=divergence).fit(X_FTM, prior)
    assert model.spots_ is None
    np.testing.assert_allclose(model.images(X_FTM).sum(axis=-1), X_FTM, atol=1e-6)
    # The start is that of G and Q, not another random one.
    assert model.R_.tobytes() == FullRankMNMF(4, 3, divergence=divergence).fit(X_FTM, prior, rng=5).R_.tobytes()


@pytest.mark.parametrize("shape", [(4, 16385, 57), (8, 16385, 111), (4, 1025, 434)])
def test_mics_first_is_refused_however_few_the_frames(shape):
    with pytest.raises(ArgumentError, match="transpose"):
        check_spectrogram(np.broadcast_to(np.zeros(1, complex), shape))
    check_spectrogram(np.zeros((5, 9, 3), complex))


def test_a_recipe_as_a_value_is_followed_as_its_name_is(rng):
    recipe = METHODS["ntf-panning"]
    assert find_method(recipe, dictionary=True) is find_method("ntf-panning", dictionary=True)
    assert find_method(recipe, dictionary=True).name == "ntf-panning-notes"
    assert find_method(recipe) is recipe
    assert "takes a dictionary" in replace(recipe, name="mine").needs
    take = Take(rng.standard_normal((RATE, 2)), RATE, sources=("violin", "cello"))
    with pytest.raises(ArgumentError, match="mnmf has no use for a dictionary; .*ntf-panning"):
        separate(take, dictionary=NoteDictionary.embedded())


@pytest.mark.parametrize(
    "setting",
    [
        {"solos": "needed!"},
        {"n_mics": "source"},
        {"iterations": -1},
        {"components": -1},
        {"window": -1.0},
        {"lowest": -1},
    ],
)
def test_a_recipe_with_a_wrong_setting_is_refused_when_it_is_made(setting):
    with pytest.raises(ArgumentError, match=next(iter(setting))):
        replace(METHODS["kamir"], **setting)
    assert isinstance(replace(METHODS["kamir"], iterations=1), Method)


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        (lambda x_LM: separate("take.wav"), "'take.wav' is a file: open it with Session.open"),
        (lambda x_LM: separate(x_LM, RATE, estimator="demucs"), "estimator must be a function"),
        (lambda x_LM: FastMNMF2().fit(x_LM[:9, None] + 0j, "spot"), "prior must be a Prior, got str"),
        (lambda x_LM: priors.spot(x_LM[:9, None] + 0j, (0, 1), leak=-1.0), "leak must be a number from 0 to 1"),
        (lambda x_LM: Take.of(x_LM, 0, solos={"a": (0, 1)}), "sample_rate must be a number"),
    ],
)
def test_slips_get_one_line(rng, slip, message):
    with pytest.raises(MnmfError, match=message):
        slip(rng.standard_normal((2000, 2)))
