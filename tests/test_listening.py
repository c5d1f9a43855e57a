"""Listening tests: what webMUSHRA is given, and that nothing but the separation can be heard in it."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import yaml

from mnmf import audio, loudness
from mnmf.cli import run
from mnmf.errors import ArgumentError, MnmfError, OutputError, SessionError
from mnmf.listening import Options, loudest, low_pass, prepare
from mnmf.listening._webmushra import yaml as written_as_yaml

RATE = 44100


def players(seconds=4.0, rate=RATE, seed=0):
    """Two players, noise in a band each; the first one is loudest in the third second, the second in the first."""
    rng = np.random.default_rng(seed)
    L = round(seconds * rate)
    swell_LN = np.full((L, 2), 0.02)
    swell_LN[2 * rate : 3 * rate, 0] = swell_LN[:rate, 1] = 0.1
    return rng.standard_normal((L, 2)) * swell_LN


def write_stems(folder, x_LN, method, names=("violin", "cello"), rate=RATE):
    folder.mkdir(parents=True)
    sources = []
    for n, name in enumerate(names):
        audio.write(folder / f"{name}.wav", x_LN[:, n], rate)
        sources.append({"name": name, "file": f"{name}.wav", "mics": [n + 1]})
    (folder / "manifest.json").write_text(json.dumps({"method": method, "sources": sources}), "utf-8")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The true players, stems of two methods that are softer and have bleed, and the take."""
    monkeypatch.chdir(tmp_path)
    true_LN = players()
    mixture_LM = true_LN @ np.array([[1.0, 0.4], [0.4, 1.0]])
    write_stems(tmp_path / "good", 0.5 * (true_LN + 0.1 * mixture_LM), "mnmf")
    write_stems(tmp_path / "bad", 0.2 * mixture_LM, "ilrma")
    (tmp_path / "true").mkdir()
    for n, name in enumerate(("violin", "cello")):
        audio.write(tmp_path / "true" / f"{name}.flac", true_LN[:, n], RATE)
    audio.write(tmp_path / "true.wav", true_LN, RATE)
    audio.write(tmp_path / "take.wav", mixture_LM, RATE)
    return tmp_path


SHORT = Options(length=1.0)


def trials_of(out, name="mnmf"):
    pages = yaml.safe_load((Path(out) / "configs" / f"{name}.yaml").read_text("utf-8"))["pages"]
    (shuffled,) = (page for page in pages if isinstance(page, list))
    assert shuffled[0] == "random"
    return shuffled[1:]


def sounds_of(out, trial):
    """Return the sounds of a trial by the key of their condition, each (L, C), all at one rate."""
    files = {"reference": trial["reference"], **trial["stimuli"]}
    read = {key: soundfile.read(Path(out) / file, always_2d=True) for key, file in files.items()}
    (rate,) = {rate for _, rate in read.values()}
    return {key: x_LC for key, (x_LC, _) in read.items()}, rate


# What the anchors do


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("cutoff", [3500.0, 7000.0])
def test_anchors_are_filtered_as_the_recommendation_says(cutoff, rate):
    h_L = low_pass(cutoff, rate)
    np.testing.assert_array_equal(h_L, h_L[::-1])  # linear phase
    frequency_F = np.linspace(0, rate / 2, 8001)
    level_F = 20 * np.log10(np.maximum(np.abs(scipy.signal.freqz(h_L, worN=frequency_F, fs=rate)[1]), 1e-9))
    assert np.abs(level_F[frequency_F <= cutoff]).max() <= 0.1
    assert level_F[frequency_F >= cutoff * 4 / 3.5].max() <= -25
    assert level_F[frequency_F >= cutoff * 4.5 / 3.5].max() <= -50


def test_a_filter_needs_room():
    with pytest.raises(ArgumentError, match="needs more than 16000 Hz"):
        low_pass(7000, 16000)


# Where excerpts are


def test_the_loudest_excerpts_do_not_overlap_and_come_in_order():
    x_LC = np.zeros((10 * 8000, 1))
    rng = np.random.default_rng(0)
    for second, level in ((1, 0.1), (4, 0.3), (8, 0.2)):
        x_LC[second * 8000 : (second + 1) * 8000] = level * rng.standard_normal((8000, 1))
    assert loudest(x_LC, 8000, 1.0) == [(32000, 40000)]
    assert loudest(x_LC, 8000, 1.0, 2) == [(32000, 40000), (64000, 72000)]
    found = loudest(x_LC, 8000, 1.5, 3)
    assert len(found) == 3
    assert all(stop - start == 12000 for start, stop in found)
    assert all(after[0] >= before[1] for before, after in pairwise(found))
    assert loudest(x_LC, 8000, 60.0, 2) == [(0, 80000)]
    assert loudest(0 * x_LC, 8000, 1.0) == []
    assert loudest(x_LC[-8000:], 8000, 0.5) == []


# What is written


def test_a_test_has_all_that_is_compared_and_the_hidden_reference(folders):
    prepared = prepare(["good", "bad"], "true", "test", SHORT, mixture=["take.wav"])
    assert [(each.key, each.method) for each in prepared.conditions] == [
        ("C1", "mnmf"),
        ("C2", "ilrma"),
        ("C3", "unprocessed spot"),
    ]
    trials = trials_of("test")
    assert [(trial["id"], trial["name"]) for trial in trials] == [("trial01", "violin"), ("trial02", "cello")]
    for trial in trials:
        assert list(trial["stimuli"]) == ["anchor35", "anchor70", "C1", "C2", "C3"]  # webMUSHRA adds the reference
        assert trial["type"] == "mushra"
        assert trial["randomize"] is trial["strict"] is True
        assert trial["showConditionNames"] is trial["createAnchor35"] is trial["createAnchor70"] is False
    pages = yaml.safe_load(prepared.configuration.read_text("utf-8"))["pages"]
    assert [page["type"] for page in pages if isinstance(page, dict)] == ["generic", "volume", "finish"]
    named = {file for trial in trials for file in (trial["reference"], *trial["stimuli"].values())}
    assert pages[1]["stimulus"] in named
    written = {path.relative_to("test").as_posix() for path in Path("test").rglob("*") if path.is_file()}
    assert written == named | {"configs/mnmf.yaml", "key.json"}


def test_names_of_files_and_pages_tell_no_condition(folders):
    prepare(["good", "bad"], "true", "test", SHORT, mixture=["take.wav"])
    paths = [path for path in Path("test", "configs").rglob("*") if path.is_file()]
    text = "\n".join([*(str(path) for path in paths), Path("test", "configs", "mnmf.yaml").read_text()])
    for word in ("good/", "bad/", "ilrma", "unprocessed", "take.wav"):
        assert word not in text
    assert len({path.stat().st_size for path in paths if path.suffix == ".wav"}) == 1
    assert all(len(path.stem) == 16 and int(path.stem, 16) for path in paths if path.suffix == ".wav")
    other = prepare(["good", "bad"], "true", "other", Options(length=1.0, seed=1))
    assert not {*other.trials[0].files.values()} & {
        path.relative_to("test/configs/resources").as_posix() for path in paths[1:]
    }


def test_the_key_says_what_is_what(folders):
    prepare(["good", "bad"], "true", "test", SHORT, mixture=["take.wav"])
    key = json.loads(Path("test", "key.json").read_text("utf-8"))
    assert key["conditions"]["C2"] == {"method": "ilrma", "folder": "bad"}
    first = key["trials"][0]
    assert (first["id"], first["source"], first["seconds"]) == ("trial01", "violin", [2.0, 3.0])  # where it is loudest
    assert key["trials"][1]["seconds"] == [0.0, 1.0]
    trial = trials_of("test")[0]
    assert {f"configs/resources/{each['file']}" for each in first["sounds"].values()} == {
        trial["reference"],
        *trial["stimuli"].values(),
    }


@pytest.mark.parametrize("target", [-23.0, -30.0])
def test_all_are_equally_loud_and_aligned(folders, target):
    prepare(["good", "bad"], "true", "test", Options(length=1.0, loudness=target), mixture=["take.wav"])
    true_LN = players()
    for trial, n, start in zip(trials_of("test"), (0, 1), (2 * RATE, 0)):
        sounds, rate = sounds_of("test", trial)
        assert rate == RATE  # that of the take
        for key, x_LC in sounds.items():
            assert x_LC.shape == (RATE, 1)
            assert loudness.integrated(x_LC, rate) == pytest.approx(target, abs=0.05), key
        middle = slice(RATE // 4, 3 * RATE // 4)
        true_L = true_LN[start : start + RATE, n][middle]
        # The reference and the good stem are the player; the anchor is in step with it.
        for key, least in (("reference", 0.99999), ("C1", 0.98), ("anchor70", 0.5), ("anchor35", 0.35)):
            assert np.corrcoef(sounds[key][middle, 0], true_L)[0, 1] > least, key


def test_anchors_are_the_reference_without_its_highs(folders):
    prepare(["good"], "true", "test", SHORT)
    sounds, rate = sounds_of("test", trials_of("test")[0])
    for key, cutoff in (("anchor35", 3500), ("anchor70", 7000)):
        power_F = np.abs(np.fft.rfft(sounds[key][:, 0])) ** 2
        frequency_F = np.fft.rfftfreq(len(sounds[key]), 1 / rate)
        assert power_F[frequency_F > 1.3 * cutoff].max() < 1e-4 * power_F[frequency_F < cutoff].max()
        assert (
            power_F[(frequency_F > 0.9 * cutoff) & (frequency_F < cutoff)].mean()
            > 0.5 * power_F[frequency_F < cutoff].mean()
        )


def test_one_gain_for_all_keeps_peaks_below_full_scale(folders):
    x_LN = np.full((4 * RATE, 2), 0.0)
    x_LN[:: RATE // 50] = 0.9  # clicks: soft to the ear, high peaks
    for n, name in enumerate(("violin", "cello")):
        audio.write(Path("true") / f"{name}.flac", x_LN[:, n], RATE)
    prepared = prepare(["good", "bad"], "true", "test", SHORT)
    assert prepared.common_gain < -1
    loud = {}
    for trial in trials_of("test"):
        sounds, rate = sounds_of("test", trial)
        assert max(abs(x_LC).max() for x_LC in sounds.values()) <= 10 ** (-1 / 20)
        loud |= {(trial["id"], key): loudness.integrated(x_LC, rate) for key, x_LC in sounds.items()}
    np.testing.assert_allclose(list(loud.values()), -23 + prepared.common_gain, atol=0.05)
    assert max(loud.values()) < -23.9


@pytest.mark.parametrize(("rate", "bits", "subtype"), [(44100, 16, "PCM_16"), (48000, 24, "PCM_24")])
def test_rate_and_bits_are_as_asked(folders, rate, bits, subtype):
    prepare(["good"], "true", "test", Options(length=1.0, sample_rate=rate, bits=bits, excerpts=[(0.5, 1.7)]))
    for path in Path("test").rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.subtype, info.frames, info.format) == (rate, subtype, round(1.2 * rate), "WAV")
    sounds, _ = sounds_of("test", trials_of("test")[0])
    assert loudness.integrated(sounds["C1"], rate) == pytest.approx(-23, abs=0.05)


def test_a_take_at_96_khz_becomes_48_khz(tmp_path):
    x_LN = scipy.signal.resample_poly(players(1.5), 96000, 44100)
    write_stems(tmp_path / "a", x_LN, "mnmf", rate=96000)
    prepare([tmp_path / "a"], tmp_path / "a", tmp_path / "test", SHORT)  # stems may be references of others
    sounds, rate = sounds_of(tmp_path / "test", trials_of(tmp_path / "test")[0])
    assert (rate, len(sounds["reference"])) == (48000, 48000)
    np.testing.assert_allclose(sounds["reference"], sounds["C1"], atol=1e-6)


def test_references_may_be_channels_as_for_scores(folders):
    prepare(["good"], "true", "a", SHORT)
    prepare(["good"], "true.wav", "b", SHORT)
    prepare(["good"], ["true/violin.flac", "true/cello.flac"], "c", Options(length=1.0, only=["cello"]))
    a, b, c = (sounds_of(out, trials_of(out)[-1])[0]["reference"] for out in "abc")
    np.testing.assert_allclose(b, a, atol=1e-6)
    np.testing.assert_allclose(c, a, atol=1e-6)
    assert len(trials_of("c")) == 1


def test_stems_of_two_channels_stay_so(tmp_path):
    x_LN = players()
    write_stems(tmp_path / "a", x_LN, "mnmf", ["violin"])
    audio.write(tmp_path / "a" / "violin.wav", x_LN, RATE)
    (tmp_path / "a" / "manifest.json").write_text(
        json.dumps({"method": "mnmf", "sources": [{"name": "violin", "file": "violin.wav", "mics": [2, 1]}]})
    )
    audio.write(tmp_path / "take.wav", x_LN, RATE)
    prepare([tmp_path / "a"], tmp_path / "a", tmp_path / "test", SHORT, mixture=[tmp_path / "take.wav"])
    sounds, _ = sounds_of(tmp_path / "test", trials_of(tmp_path / "test")[0])
    assert {x_LC.shape for x_LC in sounds.values()} == {(RATE, 2)}
    np.testing.assert_allclose(sounds["C2"], sounds["C1"][:, ::-1], atol=1e-5)


def test_the_same_command_gives_the_same_bytes(folders):
    for out in ("a", "b"):
        prepare(["good", "bad"], "true", out, Options(length=1.0, bits=16))
    files = sorted(path.relative_to("a") for path in Path("a").rglob("*") if path.is_file())
    assert all(Path("a", file).read_bytes() == Path("b", file).read_bytes() for file in files)


def test_a_silent_stem_is_left_silent_and_named(folders):
    audio.write(Path("bad", "violin.wav"), np.zeros(4 * RATE), RATE)
    audio.write(Path("bad", "cello.wav"), 1e-2 * players()[:, 1], RATE)
    prepared = prepare(["good", "bad"], "true", "test", SHORT)
    assert prepared.remarks == (
        "violin from 2.0 to 3.0 s: ilrma bad is silent",
        "cello from 0.0 to 1.0 s: ilrma bad is 40 LU quieter than the reference",
    )
    sounds, _ = sounds_of("test", trials_of("test")[0])
    assert not sounds["C2"].any()


def test_fewer_excerpts_than_asked_for_are_named(folders):
    prepared = prepare(["good"], "true", "test", Options(length=1.0, count=3, only=["violin"]))
    spans = [(trial.start, trial.stop) for trial in prepared.trials]
    assert all(after[0] >= before[1] for before, after in pairwise(spans))
    assert len(spans) == 3
    assert prepared.remarks == ()
    prepared = prepare(["good"], "true", "other", Options(length=3.0, count=2, only=["violin"]))
    assert prepared.remarks == ("violin: only 1 of 2 excerpts found room; choose a shorter --length",)


def test_names_of_sources_are_text_to_the_browser(tmp_path):
    names = ("<img src=x onerror=alert(1)>é".replace("<", "‹").replace(">", "›"), "a & b'c")
    write_stems(tmp_path / "a", players(1.5), "mnmf", names)
    prepare([tmp_path / "a"], tmp_path / "a", tmp_path / "test", SHORT)
    text = (tmp_path / "test" / "configs" / "mnmf.yaml").read_text("utf-8")
    assert text.isascii()
    assert trials_of(tmp_path / "test")[1]["name"] == "a &amp; b&#x27;c"
    assert trials_of(tmp_path / "test")[0]["name"].startswith("&#8249;img")
    # A name with < cannot be a file, but would be text as well.
    from mnmf.listening._webmushra import configuration

    pages = configuration("t", "r.wav", [("trial01", "<b>", {"reference": "r.wav"})])["pages"]
    assert pages[2][1]["name"] == "&lt;b&gt;"


def test_yaml_means_what_was_written():
    value = {"a": 'x: "y" # z\n', "b": [1, True, {"c": 0.5, "d": ["random", {"e": "f"}]}], "g": -3}
    assert yaml.safe_load(written_as_yaml(value)) == value


# What is refused


def test_a_folder_that_exists_is_never_written_to(folders):
    Path("test").mkdir()
    with pytest.raises(OutputError, match="test exists already; choose another --out"):
        prepare(["good"], "true", "test", SHORT)
    assert list(Path("test").iterdir()) == []


def test_nothing_is_left_of_a_test_that_failed(folders, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device", str(arguments[0]))

    monkeypatch.setattr("mnmf.listening._prepare.audio.write", full)
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(["good"], "true", "test", SHORT)
    assert not Path("test").exists()


def spoilt(name, **entries):
    """Change the manifest of a folder."""
    path = Path(name, "manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


VIOLIN = {"name": "violin", "file": "violin.wav", "mics": [1]}


def shorter():
    audio.write(Path("bad", "cello.wav"), players()[:-5, 1], RATE)


def silent():
    audio.write(Path("true", "violin.flac"), np.zeros(4 * RATE), RATE)


@pytest.mark.parametrize(
    ("spoil", "more", "message"),
    [
        (lambda: None, {"stems": ["good", "good"]}, "good: is given twice"),
        (lambda: None, {"stems": ["true"]}, "manifest.json"),
        (lambda: Path("loop").symlink_to("loop"), {"stems": ["loop"]}, "loop"),
        (lambda: None, {"stems": []}, "at least one folder"),
        (lambda: spoilt("bad", method=3), {}, "names no method"),
        (lambda: spoilt("bad", sources=[VIOLIN]), {}, "bad: has no stem of cello"),
        (shorter, {}, r"cello.wav: has 176395 samples of 1 channel at 44100 Hz, but the reference of cello has 176400"),
        (silent, {}, "violin is silent in its reference"),
        (lambda: Path("true", "cello.flac").unlink(), {}, "true: no audio file is called cello"),
        (lambda: Path("true", "cello.aiff").touch(), {}, "true: two files are called cello"),
        (lambda: None, {"reference": "take.flac"}, "take.flac"),
        (lambda: None, {"reference": "true/cello.flac"}, "has 1 channels, the stems need 2"),
        (lambda: None, {"mixture": ["true/cello.flac"]}, "has 1 mics, and the stem of cello is of mic 2"),
        (lambda: None, {"only": ["celo"]}, r"has no source 'celo' \(did you mean 'cello'\?\)"),
        (lambda: None, {"excerpts": [(3.0, 4.5)]}, "lasts 4.0 s, and an excerpt ends at 4.5 s"),
        (lambda: None, {"excerpts": [(0.0, 13.0)]}, "from 1 to 12 s"),
        (lambda: None, {"length": 13.0}, "length must be"),
        (lambda: None, {"bits": 8}, "bits must be 16 or 24"),
        (lambda: None, {"sample_rate": 32000}, "44100 or 48000"),
        (lambda: None, {"name": "../x"}, "letters, digits"),
        (lambda: None, {"count": 0}, "count"),
        (lambda: None, {"loudness": 3.0}, "loudness"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line_and_leaves_nothing(folders, spoil, more, message):
    spoil()
    given = {name: more.pop(name) for name in ("stems", "reference", "mixture") if name in more}
    with pytest.raises(MnmfError, match=message) as caught:
        prepare(
            given.get("stems", ["good", "bad"]),
            given.get("reference", "true"),
            "test",
            Options(**{"length": 1.0, **more}),
            mixture=given.get("mixture", ()),
        )
    assert "\n" not in str(caught.value)
    assert not Path("test").exists()


def test_a_source_that_rests_in_an_excerpt_is_refused(folders):
    x_L = players()[:, 0]
    x_L[RATE : 3 * RATE] = 0
    audio.write(Path("true", "violin.flac"), x_L, RATE)
    with pytest.raises(SessionError, match=r"violin is silent from 1.5 to 2.5 s; choose another --excerpt"):
        prepare(["good"], "true", "test", Options(excerpts=[(1.5, 2.5)]))


def test_more_conditions_than_a_mushra_test_has_are_refused(folders):
    names = []
    for number in range(11):
        write_stems(folders / f"m{number}", players(0.5), "mnmf")
        names.append(f"m{number}")
    with pytest.raises(SessionError, match="11 conditions and two anchors are more than the 12"):
        prepare(names, "true", "test", SHORT)


# The command


def test_the_command_prepares_a_test_and_says_how_to_run_it(folders, capsys):
    words = ["mushra", "good", "bad", "--reference", "true", "--mixture", "take.wav", "--out", "test"]
    assert run([*words, "--excerpt", "0:01-0:02.5", "--only", "cello", "--name", "quartet", "--bits", "16"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == ["C1: mnmf, good", "C2: ilrma, bad", "C3: unprocessed spot"]
    assert printed[3] == f"1 trial of 6 sounds, {Path('test/configs/quartet.yaml')}"
    assert "?config=quartet.yaml" in printed[4]
    (trial,) = trials_of("test", "quartet")
    sounds, rate = sounds_of("test", trial)
    assert len(sounds["reference"]) == round(1.5 * rate)
    assert run(words) == 2
    assert capsys.readouterr().err == "mnmf: test exists already; choose another --out\n"


def test_an_excerpt_must_be_two_times(folders, capsys):
    assert run(["mushra", "good", "--reference", "true", "--excerpt", "soon"]) == 2
    assert capsys.readouterr().err.startswith("mnmf: --excerpt wants FROM-TO, as in --excerpt 1:20-1:50")
