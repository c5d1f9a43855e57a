"""Pictures: what is on the axes, and that the words on them are true.  Nothing is compared with pixels."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnmf import STFT, FastMNMF2, FullRankMNMF, Linear, MnmfError, NoteDictionary, NTFPanning
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.plot._notes import pitch_of
from mnmf.plot._spectrograms import COLUMNS
from mnmf.rows import Rows
from mnmf.separation import separate
from mnmf.take import Take

pytest.importorskip("matplotlib").use("agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from mnmf import faults, plot  # noqa: E402

RATE = 8000
PAGE = Path(__file__).parent.parent / "docs" / "plots.md"


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def tone(frequency, seconds=1.0, partials=1):
    t_L = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * h * frequency * t_L) / h for h in range(1, partials + 1))


def drawn(axes):
    """Return the values of the only mesh on axes, (rows, columns)."""
    (mesh,) = axes.collections
    return np.asarray(mesh.get_array())


def drawn_map(axes):
    return np.asarray(axes.images[0].get_array())


@pytest.fixture(scope="module")
def separation():
    """Two players whose separation by transfer functions compiles nothing: each is ten times as loud at its spot."""
    rng = np.random.default_rng(0)
    x_LN = rng.standard_normal((RATE, 2)) * (1.0, 0.5)
    mixing_MN = np.array([[1.0, 0.1], [0.1, 1.0]])
    solo_LM = np.concatenate([rng.standard_normal((RATE, 1)) * mixing_MN[:, n] for n in range(2)])
    take = Take.of(
        x_LN @ mixing_MN.T,
        RATE,
        solos={"violin": (0.0, 1.0), "$cello^": (1.0, 2.0)},
        solo_LM=solo_LM,
        mic_names=["vl", "vc"],
    )
    return separate(take, method="linear", window=0.1)


def ticks(axes, along):
    return [text.get_text() for text in getattr(axes, f"get_{along}ticklabels")()]


# Spectrograms


def test_a_pair_has_one_scale_and_a_tone_where_it_belongs():
    left, right = plot.spectrogram_pair(tone(1000), 0.01 * tone(1000), RATE)
    edges = [axes.get_ylim() for axes in (left, right)]
    assert edges[0] == edges[1]
    assert left.get_yscale() == "log"
    before_RC, after_RC = drawn(left), drawn(right)
    np.testing.assert_allclose(before_RC.max(), 0.0, atol=1e-9)
    np.testing.assert_allclose(after_RC.max(), -40.0, atol=0.01)  # it shares the scale of the left one
    edge_R = left.collections[0].get_coordinates()[:, 0, 1]
    row = before_RC[:, before_RC.shape[1] // 2].argmax()
    assert edge_R[row] <= 1000 <= edge_R[row + 1]
    assert (left.get_xlabel(), left.get_ylabel()) == ("time in s", "frequency in Hz")


def test_a_pair_of_a_separation_is_its_spot_and_its_stem(separation):
    left, right = plot.spectrogram_pair(separation, source="$cello^")
    same = plot.spectrogram_pair(separation.take.x_LM[:, 1], separation.stems_LN[:, 1], RATE)
    np.testing.assert_array_equal(drawn(left), drawn(same[0]))
    np.testing.assert_array_equal(drawn(right), drawn(same[1]))
    assert left.get_title() == "$cello^'s microphone hears everybody"
    left.figure.canvas.draw()  # a name is no formula


def test_a_sound_that_begins_late_is_dark_until_then():
    x_L = np.concatenate([np.zeros(RATE), tone(500)])
    level_RC = drawn(plot.spectrogram_pair(x_L, x_L, RATE)[0])
    T = level_RC.shape[1]
    assert level_RC[:, : T // 2 - 3].max() < -60
    assert level_RC[:, T // 2 + 3 : -3].max(axis=0).min() > -1


def test_a_long_take_is_read_in_pieces_and_has_few_columns():
    longest = 0

    def make(start, stop):
        nonlocal longest
        longest = max(longest, stop - start)
        return np.sin(0.3 * np.arange(start, stop))

    rows = Rows((200 * RATE,), np.float64, make)
    left, _ = plot.spectrogram_pair(rows, rows, RATE)
    assert drawn(left).shape[1] <= COLUMNS
    assert longest < RATE
    assert 200 <= left.collections[0].get_coordinates()[0, -1, 0] < 200.1


# Bases and activations


@pytest.mark.parametrize("pitch", [36, 48, 57, 69, 81, 96])
@pytest.mark.parametrize("window", [4096, 16384])
def test_the_note_of_a_stack_of_partials_is_found(pitch, window):
    if pitch == 36 and window == 4096:
        pytest.skip("its partials are one bin")
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    x_L = sum(np.sin(2 * np.pi * h * f0 * np.arange(44100) / 44100) / h for h in range(1, 13) if h * f0 < 20000)
    amplitude_F = np.abs(STFT(window).analyse(x_L[:, None])[:, 4, 0])
    assert pitch_of(amplitude_F, STFT(window).frequencies(44100)) == pitch


def test_noise_and_silence_have_no_note():
    rng = np.random.default_rng(0)
    assert pitch_of(rng.uniform(0.5, 1.0, 4097), np.arange(4097) * 44100 / 8192) is None
    assert pitch_of(np.zeros(4097), np.arange(4097) * 44100 / 8192) is None


def harmonic_bases(pitches, n_frequencies=2049, rate=44100):
    W_FK = np.full((n_frequencies, len(pitches)), 1e-6)
    for k, pitch in enumerate(pitches):
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        bins = np.round(np.arange(1, 9) * f0 * 2 * (n_frequencies - 1) / rate).astype(int)
        W_FK[bins, k] = 1.0 / np.arange(1, 9) ** 2
    return W_FK


def test_bases_stand_in_the_order_of_their_notes():
    W_FK = harmonic_bases([76, 60, 69])
    axes = plot.bases(W_FK, sample_rate=44100)
    assert ticks(axes, "x") == ["C4", "A4", "E5"]
    assert axes.get_title() == "source 1: 3 bases, 3 of them notes"
    level_FK = drawn(axes)
    np.testing.assert_allclose(level_FK.max(axis=0), 0.0, atol=1e-9)
    expected_FK = 10 * np.log10(W_FK[1:, [1, 2, 0]])
    np.testing.assert_allclose(level_FK, expected_FK, atol=1e-6)  # powers, without the bin at 0 Hz
    np.testing.assert_allclose(drawn(plot.bases(W_FK, sample_rate=44100, exponent=1.0)), 2 * expected_FK, atol=1e-6)


def test_the_notes_of_a_dictionary_are_its_own():
    axes = plot.bases(NoteDictionary.embedded(), "vc")
    assert ticks(axes, "x")[0] == "C2"
    assert axes.get_title().startswith("cello: ")
    assert drawn(axes).shape[1] == len(NoteDictionary.embedded().pitches("cello"))


def fitted(kind, W_NFK, H_NKT, **more):
    """A model as if it had been fitted."""
    model = kind()
    model.W_, model.H_ = W_NFK, H_NKT
    for name, value in more.items():
        setattr(model, name, value)
    return model


def test_activations_are_sorted_and_named_as_the_bases():
    W_FK, H_KT = harmonic_bases([76, 60]), np.array([[1.0, 0.1, 1e-9], [0.01, 1.0, 1.0]])
    model = fitted(FastMNMF2, np.stack([W_FK, W_FK]), np.stack([H_KT, 2 * H_KT]))
    axes = plot.activations(model, 1, sample_rate=44100, times=[0.0, 0.5, 1.0])
    assert ticks(axes, "y") == ["C4", "E5"]
    np.testing.assert_allclose(drawn(axes)[:, 0], [-20.0, 0.0], atol=1e-3)
    assert axes.get_xlim() == (-0.25, 1.25)
    assert axes.get_xlabel() == "time in s"
    frames = plot.activations(model, 0)
    assert (frames.get_xlabel(), frames.get_ylabel()) == ("frame", "basis")


def test_magnitudes_and_powers_are_told_apart_by_the_model():
    W_FK, H_KT = harmonic_bases([60, 69]), np.array([[1.0, 0.1], [1.0, 1.0]])
    for kind, factor in ((FastMNMF2, 10), (NTFPanning, 20), (FullRankMNMF, 20)):
        axes = plot.activations(fitted(kind, W_FK[None], H_KT[None]), sample_rate=44100)
        np.testing.assert_allclose(drawn(axes)[0, 1], -factor, atol=0.01)


def test_bases_of_a_separation_know_their_frequencies_and_times(separation):
    levels = replace(separation.levels, lowest=300.0)  # below it nothing was separated
    analysis = separation.analysis
    frequency_F = analysis.frequencies(RATE)[levels.first(analysis) :]
    W_FK = np.full((len(frequency_F), 2), 1e-9)
    W_FK[[np.abs(frequency_F - h * 392).argmin() for h in range(1, 9)], 0] = 1.0
    W_FK[[np.abs(frequency_F - h * 523).argmin() for h in range(1, 6)], 1] = 1.0
    H_KT = np.ones((2, analysis.n_frames(RATE)))
    model = fitted(FastMNMF2, np.stack([W_FK, W_FK]), np.stack([H_KT, H_KT]))
    made = replace(separation, model=model, levels=levels)
    axes = plot.bases(made, "violin")
    assert ticks(axes, "x") == ["G4", "C5"]
    assert axes.get_title() == "violin: 2 bases, 2 of them notes"
    low, high = axes.collections[0].get_coordinates()[[0, -1], 0, 1]
    step = frequency_F[1] - frequency_F[0]
    np.testing.assert_allclose([low, high], [frequency_F[0] - step / 2, 4000 + step / 2])
    axes = plot.activations(made, 1)
    assert ticks(axes, "y") == ["G4", "C5"]
    hop = analysis.hop / RATE
    np.testing.assert_allclose(axes.get_xlim(), analysis.times(RATE, RATE)[[0, -1]] + (-hop / 2, hop / 2))


# Mixing


def test_bleed_of_a_separation_is_relative_to_each_microphones_player(separation):
    axes = plot.bleed(separation)
    power_NM = np.stack([np.square(separation.image(n)).mean(axis=0) for n in range(2)])
    level_NM = 10 * np.log10(power_NM / power_NM.diagonal())
    np.testing.assert_allclose(drawn_map(axes), np.maximum(level_NM, -40), atol=1e-6)
    np.testing.assert_allclose(level_NM[0, 1], -14.0, atol=0.5)  # a tenth of a player twice as loud
    assert axes.get_title() == f"Most bleed: violin at vc, {level_NM[0, 1]:.1f} dB".replace("-", "−")
    assert [text.get_text() for text in axes.texts][1] == f"{level_NM[0, 1]:.1f}".replace("-", "−")
    assert (ticks(axes, "y"), ticks(axes, "x")) == (["violin", "$cello^"], ["vl", "vc"])
    axes.figure.canvas.draw()


def test_bleed_may_be_that_of_an_inspection():
    silent = faults.inspect(0.1 * np.random.default_rng(0).standard_normal((RATE, 3)) * [1.0, 1.0, 0.0], RATE)
    # In the mic of each row the player of each column; the third one is not known.
    found = replace(silent, bleed_MM=np.array([[0.0, -5.0, np.nan], [-8.0, 0.0, np.nan], [np.nan] * 3]))
    axes = plot.bleed(found)
    assert [text.get_text() for text in axes.texts] == ["0.0", "−8.0", "−5.0", "0.0"]  # the player of each row
    assert axes.get_title() == "Most bleed: source 2 at mic 1, −5.0 dB"


def test_a_source_that_is_not_heard_has_no_number():
    axes = plot.bleed(np.array([[0.0, -np.inf], [-7.04, 0.0]]))
    assert [text.get_text() for text in axes.texts] == ["0.0", "–", "−7.0", "0.0"]
    assert axes.get_title() == "Most bleed: source 2 at mic 1, −7.0 dB"
    assert plot.bleed(np.array([[0.0, -np.inf]])).get_title() == "No bleed: each microphone hears its own player"


def test_weights_are_those_of_the_model(separation):
    R_NFMM = np.zeros((2, 3, 2, 2), complex)
    R_NFMM[0, :, 0, 0], R_NFMM[0, :, 1, 1], R_NFMM[1, :, 1, 1] = 0.8, 0.2, 1.0
    scaled_NFMM = R_NFMM * np.array([1.0, 100.0, 1e4])[:, None, None]  # each frequency weighs the same
    covariances = plot.spatial_weights(fitted(FullRankMNMF, None, None, R_=scaled_NFMM))
    assert [text.get_text() for text in covariances.texts] == ["0.0", "−6.0", "–", "0.0"]
    assert covariances.get_title() == "Least told apart: source 1, −6.0 dB at mic 2"
    G_NM = np.array([[0.9, 0.1], [0.1, 0.9]])
    panning = plot.spatial_weights(fitted(NTFPanning, None, None, G_=G_NM))  # magnitudes
    assert panning.texts[1].get_text() == "−19.1"
    outputs = plot.spatial_weights(fitted(FastMNMF2, None, None, G_=G_NM))
    assert outputs.texts[1].get_text() == "−9.5"
    assert ticks(outputs, "x") == ["row 1", "row 2"]  # no microphones
    np.testing.assert_allclose(drawn_map(plot.spatial_weights(separation))[0, 1], -20.0, atol=0.5)  # a tenth
    assert isinstance(separation.model, Linear)


# Cost


def test_costs_are_drawn_as_they_are():
    axes = plot.cost({"held": [4.0, 2.0, 3.0], "$free": [8.0, 6.0]})
    assert [line.get_ydata().tolist() for line in axes.lines] == [[4.0, 2.0, 3.0], [8.0, 6.0]]
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["held", "$free"]
    assert len({line.get_linestyle() for line in axes.lines}) == 2  # in grey, too, they are told apart
    axes.figure.canvas.draw()
    assert plot.cost([4.0, 2.0, 3.0]).get_title() == "The cost rises in 1 of 2 steps"
    relative = plot.cost({"a": [4.0, 3.0, 2.0], "b": [-1.0, -1.0]}, relative=True)
    assert [line.get_ydata().tolist() for line in relative.lines] == [[1.0, 0.5, 0.0], [0.0, 0.0]]


def test_the_cost_of_a_fit():
    model = fitted(FastMNMF2, None, None, cost_=np.array([2.0, 1.5]))
    assert plot.cost(model).lines[0].get_ydata().tolist() == [2.0, 1.5]


# The page


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not part of this distribution")
def test_every_block_of_the_page_runs(separation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bins = len(separation.analysis.frequencies(RATE)[separation.levels.first(separation.analysis) :])
    W_FK, H_KT = np.ones((bins, 2)), np.ones((2, separation.analysis.n_frames(RATE)))
    model = fitted(NTFPanning, np.stack([W_FK, W_FK]), np.stack([H_KT, H_KT]), G_=np.eye(2))
    known = {"separation": replace(separation, model=model)}
    text = PAGE.read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, known)
    assert Path("violin.png").stat().st_size > 1000
    for name in plot.__all__:
        assert f"plot.{name}(" in text, f"docs/plots.md does not tell of {name}"
    for image in re.findall(r"\]\((images/.*?)\)", text):
        assert (PAGE.parent / image).exists(), image


# All of them

CALLS = {
    "spectrogram_pair": lambda **more: plot.spectrogram_pair(tone(300), tone(300), RATE, **more),
    "bases": lambda **more: plot.bases(harmonic_bases([60]), sample_rate=44100, **more),
    "activations": lambda **more: plot.activations(np.eye(2), **more),
    "bleed": lambda **more: plot.bleed(np.eye(2) - 1, **more),
    "spatial_weights": lambda **more: plot.spatial_weights(np.eye(2), **more),
    "cost": lambda **more: plot.cost([2.0, 1.0], **more),
}


def test_every_picture_is_called_here():
    assert set(CALLS) == set(plot.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_given_axes_are_drawn_on_and_returned(name):
    axes = Figure().subplots(1, 2)  # a figure without pyplot is one of its own
    wanted = axes if name == "spectrogram_pair" else axes[0]
    returned = CALLS[name](ax=wanted)
    if name == "spectrogram_pair":
        assert list(returned) == list(axes)
        with pytest.raises(ArgumentError, match="ax must be 2 Axes of matplotlib"):
            CALLS[name](ax=axes[0])
    else:
        assert returned is axes[0]
        assert not axes[1].has_data()
    assert plt.get_fignums() == []
    with pytest.raises(ArgumentError, match="ax must be"):
        CALLS[name](ax=3)


@pytest.mark.parametrize("name", CALLS)
def test_every_picture_has_a_title_and_words_on_its_axes(name):
    returned = CALLS[name]()
    axes = returned[0] if isinstance(returned, tuple) else returned
    assert axes.get_title()
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    if name != "cost":
        assert axes.figure.axes[-1].get_ylabel().startswith("dB ")


@pytest.mark.parametrize("name", CALLS)
def test_without_matplotlib_one_line_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ArgumentError, match=r"plots need matplotlib.*pip install 'mnmf\[plot\]'"):
        CALLS[name]()


def test_matplotlib_is_imported_by_the_first_picture_only():
    told = "print('matplotlib' in sys.modules); "
    script = "import sys, mnmf.plot; " + told + "mnmf.plot.cost([1.0]); " + told
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.spectrogram_pair(np.ones(100)), "needs before, after and sample_rate"),
        (lambda: plot.spectrogram_pair(np.ones(100), np.ones(99), RATE), "equally long, got 100 and 99"),
        (lambda: plot.spectrogram_pair(np.ones((9, 2)), np.ones((9, 2)), RATE), "one microphone"),
        (lambda: plot.bases(np.ones((5, 2))), "need sample_rate, or the frequencies"),
        (lambda: plot.bases(-np.ones((5, 2)), sample_rate=RATE), "must be non-negative"),
        (lambda: plot.bases(np.ones((5, 2)), frequencies=[1, 2]), "bases of 5 bands, not of the 2 frequencies"),
        (lambda: plot.bases(Linear(), sample_rate=RATE), "Linear has no bases"),
        (lambda: plot.bases(NoteDictionary.embedded(), "kazoo"), "kazoo"),
        (lambda: plot.activations(np.eye(3), times=[1.0]), "one number for each of 3 frames"),
        (lambda: plot.bleed(np.ones(3)), r"\(sources, mics\)"),
        (lambda: plot.bleed(np.eye(2), sources=["a"]), "there are 2 sources, got 1 names"),
        (lambda: plot.spatial_weights(-np.eye(2)), "not negative"),
        (lambda: plot.cost([[1.0]]), "one number an iteration"),
        (lambda: plot.cost({}), "at least one fit"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(call, message):
    with pytest.raises(MnmfError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw", [plot.bases, plot.activations, plot.spatial_weights, plot.cost])
def test_a_model_that_was_not_fitted_is_refused(draw):
    with pytest.raises(NotFittedError, match="fit"):
        draw(FastMNMF2())
