"""Numbers out of bounds: what public functions make of zero, NaN, infinity and the unthinkably large."""

import inspect
import math
import warnings

import numpy as np
import pytest

import mnmf
from mnmf import STFT, Prior, Session, audio, priors, simulate
from mnmf.errors import (
    FAINTEST,
    LOUDEST,
    ArgumentError,
    MnmfError,
    check_audio,
    check_choice,
    check_count,
    check_number,
)
from mnmf.models import KAMIR, FastMNMF2, FullRankMNMF, Linear, NTFPanning, Pairwise, TimeDomain
from mnmf.stft import window_samples
from mnmf.take import Take

ODD = (0, -1, 10**30, 10**5000, math.nan, math.inf, -math.inf, True, "3", b"3", 1e-300, 1e300, 2.5, 1j, [1], None)
SPOTS = (0, 1)


@pytest.fixture(scope="module")
def known():
    """Arguments that the functions below can be called with, by name."""
    rng = np.random.default_rng(0)
    X_FTM = rng.standard_normal((9, 40, 2)) + 1j * rng.standard_normal((9, 40, 2))
    covariances = priors.solo_covariances(X_FTM, [[slice(0, 20)], [slice(20, 40)]], SPOTS)
    return {
        "X_FTM": X_FTM,
        "x_LM": rng.standard_normal((400, 2)),
        "E_FTN": X_FTM,
        "spots": SPOTS,
        "passages": [[slice(0, 20)], [slice(20, 40)]],
        "n_sources": 2,
        "n_components": 2,
        "n_iterations": 2,
        "V_NFT": np.abs(np.moveaxis(X_FTM, 2, 0)),
        "W_NFK": rng.uniform(0.1, 1.0, (2, 9, 3)),
        "learned": covariances,
        "covariances": covariances,
        "mics_M3": [[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]],
        "players_N3": [[0.0, 0.5, 0.0], [3.0, 0.5, 0.0]],
        "sample_rate": 8000,
        "window_length": 16,
        "frequencies_F": [100.0, 200.0],
    }


PRIORS = (
    "activations",
    "circular",
    "estimate_covariances",
    "estimate_shares",
    "geometry",
    "likely_covariances",
    "random",
    "solo",
    "solo_bases",
    "solo_covariances",
    "speed_of_sound",
    "spot",
    "spot_activations",
    "spot_panning",
    "steering",
    "unmixing",
)
MODELS = (KAMIR, FastMNMF2, FullRankMNMF, Linear, NTFPanning, Pairwise, TimeDomain)
NUMBERS = ("int", "float", "int | None", "float | None", "float | Array", "np.random.Generator | int")


def numeric(call):
    """Return the names of the parameters that are numbers."""
    return [name for name, p in inspect.signature(call).parameters.items() if str(p.annotation) in NUMBERS]


def refused_or_finite(call, what):
    """Call, and say what went wrong if that neither worked, silently and finitely, nor was refused in one line."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = call()
        except ArgumentError as error:
            return [] if "\n" not in str(error) and len(str(error)) < 400 else [f"{what}: {error}"]
        except Exception as error:
            return [f"{what}: {type(error).__name__}: {error}"]
    values = vars(result).values() if hasattr(result, "__dict__") else [result]
    arrays = [value for value in values if isinstance(value, np.ndarray) and value.dtype.kind in "fc"]
    wrong = [f"{what}: not finite"] if not all(np.isfinite(array).all() for array in arrays) else []
    return wrong + [f"{what}: {warning.message}" for warning in heard]


def shown(value):
    return "10**5000" if value == 10**5000 else repr(value)


def bound(call, known):
    names = inspect.signature(call).parameters.items()
    return {name: known[name] for name, p in names if name in known and p.default is inspect.Parameter.empty}


@pytest.mark.parametrize("name", PRIORS)
def test_priors_refuse_odd_numbers_or_cope(known, name):
    call = getattr(priors, name)
    wrong = refused_or_finite(lambda: call(**bound(call, known)), "nothing odd")
    call(**bound(call, known))  # which works, so that a refusal is that of the number
    for parameter in numeric(call):
        for value in ODD:
            given = {**bound(call, known), parameter: value}
            if "n_iterations" in inspect.signature(call).parameters:
                given.setdefault("n_iterations", 2)
            wrong += refused_or_finite(lambda: call(**given), f"{parameter}={shown(value)}")  # noqa: B023
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_models_refuse_odd_numbers_or_cope(known, kind):
    wrong = []
    X_FTM = known["X_FTM"] if kind is not TimeDomain else known["x_LM"][None] + 0j
    prior = known["covariances"] if kind in (Linear, Pairwise) else None
    kind(n_iterations=1).fit(X_FTM, prior)  # which works, so that a refusal is that of the number
    for parameter in numeric(kind):
        for value in ODD:
            given = {"n_iterations": 2, parameter: value}
            wrong += refused_or_finite(lambda: kind(**given).fit(X_FTM, prior), f"{parameter}={shown(value)}")  # noqa: B023
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["sample_rate", "window", "components", "iterations", "seed", "trust"])
def test_separate_refuses_odd_numbers_or_copes(known, name):
    wrong = []
    for value in ODD:
        given = {"sample_rate": 8000, "components": 2, "iterations": 2, "method": "fastmnmf2", name: value}
        wrong += refused_or_finite(lambda: mnmf.separate(known["x_LM"], **given).stems_LN, f"{name}={shown(value)}")  # noqa: B023
    assert not wrong, "\n".join(wrong)


def test_checks_spell_no_number_that_python_would_not():
    for value in (10**5000, -(10**5000), "x" * 5000, [0] * 5000):
        for check in (
            lambda value: check_count("n", value),
            lambda value: check_number("n", value, 0.0, 1.0),
            lambda value: check_choice("n", value, ("a", "b")),
        ):
            with pytest.raises(ArgumentError) as caught:
                check(value)
            assert len(str(caught.value)) < 200
    with pytest.raises(ArgumentError, match="at most 5, got 6"):
        check_count("n", 6, 1, 5)


@pytest.mark.parametrize("length", [0, 3, 10**30, 1 << 40])
def test_windows_are_no_longer_than_a_minute_at_the_highest_rate(length):
    with pytest.raises(ArgumentError, match="window_length must be"):
        STFT(length)


@pytest.mark.parametrize("rate", [0, 20_000_000, math.nan, 10**5000, -8000], ids=shown)
def test_rates_that_no_recording_has_are_refused(rate):
    for call in (
        lambda: Take(np.ones((10, 2)), rate),
        lambda: Take.of(np.ones((10, 2)), rate),
        lambda: STFT(64).frequencies(rate) if rate else check_count("sample_rate", rate),
        lambda: window_samples(0.1, rate) if rate else check_count("sample_rate", rate),
    ):
        with pytest.raises(ArgumentError, match="sample_rate must be"):
            call()


def test_sound_is_neither_enormous_nor_far_below_what_can_be_told_apart():
    assert check_audio(np.full((4, 2), LOUDEST)).max() == LOUDEST
    for value in (1.1 * LOUDEST, -1e25):
        with pytest.raises(ArgumentError, match=r"holds values beyond 1e\+10"):
            check_audio(np.full((4, 2), value))
    for value in (0.9 * FAINTEST, -1e-40, 5e-324):
        with pytest.raises(ArgumentError, match="which is no sound"):
            Take(np.full((4, 2), value), 8000)
    assert Take(np.zeros((4, 2)), 8000).n_samples == 4  # silence is sound


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("scale_M", [(1e9, 1e9), (1e-11, 1e-11), (1, 1e-12), (1, 1e-40), (1e9, 1e-12), (0, 0), (1, 0)])
def test_takes_of_any_loudness_are_separated_without_a_warning(known, kind, scale_M):
    x_LM = (np.tile(known["x_LM"], (10, 1)) * scale_M).astype(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method, more in (("fastmnmf2", {"components": 2}), ("kamir", {})):
            stems_LN = mnmf.separate(x_LM, 8000, method=method, window=0.05, iterations=2, **more).stems_LN
            assert np.isfinite(stems_LN).all(), method
            assert np.abs(stems_LN).max() <= 10 * np.abs(x_LM).max(), method


@pytest.mark.parametrize("odd", [True, 1, 1.5, None, b"model.npz", ["a"]])
def test_only_paths_are_paths(known, odd, capfd):
    model = Pairwise().fit(known["X_FTM"], known["covariances"])
    for call in (
        lambda: Pairwise.load(odd),
        lambda: model.save(odd),
        lambda: mnmf.NoteDictionary.load(odd),
        lambda: mnmf.NoteDictionary.embedded().save(odd),
        lambda: mnmf.markers.read(odd),
        lambda: mnmf.markers.write_audacity(odd, []),
        lambda: mnmf.Session.from_toml(odd),
        lambda: mnmf.audio.Recording.open([odd]),
        lambda: mnmf.audio.write(odd, np.zeros((4, 1)), 8000),
    ):
        with pytest.raises(MnmfError, match="path of a file"):
            call()
    print("stdout is still open")  # noqa: T201
    assert capfd.readouterr().out == "stdout is still open\n"


ODDITIES = (0, -1, 10**30, math.nan, math.inf, "x", "", True, None, [], [1, [2]], np.zeros(()), np.full((3, 4), np.nan))
ODDITIES += (np.array(["a"]), np.array([object()]), np.zeros((2, 2), complex), range(10**9), object(), {1, 2})


def test_odd_values_of_the_api_are_named_in_one_line(rng):
    X_FTM = rng.standard_normal((5, 20, 2)) + 1j * rng.standard_normal((5, 20, 2))
    passages, spots = [slice(0, 8), slice(10, 18)], [0, 1]
    model = FastMNMF2(n_iterations=1).fit(X_FTM, priors.spot(X_FTM, spots, n_components=2, n_iterations=1))
    covariances = priors.solo_covariances(X_FTM, passages, spots)
    sound = {"a": np.ones(99), "b": np.ones(99)}
    places = {"mics_M3": np.eye(3)[:2], "players_N3": np.eye(3)[:2] + 1, "sample_rate": 8000, "window_length": 16}
    scene = simulate.hall_scene(2)
    calls = (
        lambda odd: priors.spot(odd, spots),
        lambda odd: priors.solo_covariances(X_FTM, odd, spots),
        lambda odd: priors.solo_covariances(X_FTM, [odd, odd], spots),
        lambda odd: priors.spot_panning(X_FTM, odd),
        lambda odd: priors.spot_panning(X_FTM, [0, odd]),
        lambda odd: priors.random(X_FTM, 2, 2, rng=odd),
        lambda odd: priors.spot(X_FTM, spots, None, 2, n_iterations=1, trust=odd),
        lambda odd: priors.unmixing(odd),
        lambda odd: priors.unmixing(covariances, ridge=odd),
        lambda odd: priors.geometry(**places | {"mics_M3": odd}),
        lambda odd: priors.geometry(**places, patterns=odd),
        lambda odd: priors.geometry(**places, patterns="cardioid", aims_M3=odd),
        lambda odd: priors.estimate(odd, np.ones((99, 2)), 8000, ["a", "b"], spots),
        lambda odd: priors.estimate(lambda *_: odd, np.ones((99, 2)), 8000, ["a", "b"], spots),
        lambda odd: priors.estimate(lambda *_: sound, np.ones((99, 2)), 8000, odd, spots),
        lambda odd: FastMNMF2(n_iterations=1).fit(X_FTM, Prior(Q=odd)),
        lambda odd: FastMNMF2(n_iterations=1).fit(X_FTM, Prior(R=odd)),
        lambda odd: FastMNMF2(n_iterations=1).fit(X_FTM, priors.random(X_FTM, 2, 2), missing_TM=odd),
        lambda odd: FastMNMF2(n_iterations=1).fit(X_FTM, priors.random(X_FTM, 2, 2), callback=odd),
        lambda odd: model.images(X_FTM, odd),
        lambda odd: model.images(X_FTM, 0, mics=odd),
        lambda odd: Prior(W=np.ones((2, 5, 1))).hold(odd),
        lambda odd: simulate.Room((5, 4, 3), odd),
        lambda odd: simulate.Room((5, 4, 3), 5e-324),
        lambda odd: simulate.Scene(scene.room, odd, scene.microphones, scene.spots),
        lambda odd: simulate.close_spots(scene.players, odd),
        lambda odd: simulate.close_spots(odd),
        lambda odd: simulate.hall_scene(odd),
        lambda odd: simulate.sway(scene, odd),
        lambda odd: simulate.claps(odd),
        lambda odd: simulate.claps(1, odd),
        lambda odd: simulate.claps(1, 8000, spacing_s=odd),
        lambda odd: simulate.add_noise(np.zeros((9, 1)), odd),
    )
    for number, call in enumerate(calls):
        for odd in ODDITIES:
            said = ""
            try:
                call(odd)
            except MnmfError as error:
                said = str(error)
            except BaseException as error:
                raise AssertionError(f"call {number} with {odd!r:.40}") from error
            assert "\n" not in said, (number, odd)


def test_odd_arguments_of_a_session_are_named_in_one_line(tmp_path, rng):
    audio.write(tmp_path / "take.wav", 0.1 * rng.standard_normal((800, 2)), 8000)
    names = (
        "solos",
        "solo_take",
        "sources",
        "spots",
        "ambient",
        "instruments",
        "queries",
        "reduction",
        "inspect",
        "align",
    )
    for name in names:
        for odd in (*ODDITIES, {"1": object()}, {1: 1}, [None], b"x"):
            said = ""
            try:
                Session.open(tmp_path / "take.wav", **{name: odd})
            except MnmfError as error:
                said = str(error)
            except BaseException as error:
                raise AssertionError(f"{name} with {odd!r:.40}") from error
            assert "\n" not in said, (name, odd)
    for odd in ODDITIES:
        with pytest.raises(MnmfError):
            Session.open(odd)


def test_arguments_of_a_session_are_those_that_it_takes(tmp_path, rng):
    audio.write(tmp_path / "take.wav", 0.1 * rng.standard_normal((800, 3)), 8000)
    given = {"sources": ("a", "b"), "spots": {"a": 2, "b": ["1"]}, "ambient": [3], "instruments": ["viola", "cello"]}
    session = Session.open(tmp_path / "take.wav", solo_take=[], inspect=None, align=False, **given)
    assert (session.spots.references, session.ambient, session.instruments) == ([1, 0], (2,), ("viola", "cello"))
    with pytest.raises(ArgumentError, match="spots must be a table of names and microphones, got"):
        Session.open(tmp_path / "take.wav", spots=["a"])
