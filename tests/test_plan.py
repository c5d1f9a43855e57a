"""What a separation will need is foreseen from headers, and a limit of memory is kept or refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import resample_poly

from mnmf import METHODS, Session, audio, cli, data
from mnmf.cli import _run
from mnmf.cli.plan import _roughly
from mnmf.errors import ArgumentError
from mnmf.plan import YARDSTICK, Size, foreseen_seconds, memory_of, plan, plan_within
from mnmf.separation import separate_to
from tests.test_survey import heard, responses

HOUR = 3600 * 44100
DEFAULT = METHODS["mnmf"]
RATE = 2000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A take of 40 s in 16 bits."""
    stems_LN = resample_poly(data.quartet().stems_LN, RATE, 44100, axis=0)
    x_LM = heard(responses(0), np.concatenate([stems_LN] * 4)[: 40 * RATE]).sum(axis=2)
    path = tmp_path_factory.mktemp("take") / "take.wav"
    audio.write(path, 0.9 * x_LM / np.abs(x_LM).max(), RATE, "PCM_16")
    return path


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    """A machine that nothing else uses."""
    monkeypatch.setattr("mnmf.plan._yardstick", lambda: YARDSTICK)


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4e9), ("4 gb", 4e9), ("0.5T", 5e11), ("300M", 3e8), ("7k", 7e3), ("12", 12)]
)
def test_sizes_of_memory(text, size):
    assert memory_of(text) == size


@pytest.mark.parametrize("text", ["", "G", "-4G", "0", "0.0M", "4X", "4GG", "four", "1e9", "4 G B"])
def test_what_is_no_size(text):
    with pytest.raises(ArgumentError, match="must be like 4G or 800M"):
        memory_of(text)


def test_memory_does_not_grow_with_the_take_but_with_its_microphones_and_windows():
    short, long = (plan(DEFAULT, Size(k * HOUR, 44100, 4, 4)) for k in (1, 4))
    assert (len(short.spans), len(long.spans)) == (60, 240)
    assert long.memory == pytest.approx(short.memory, rel=1e-3)
    assert short.disk > 4 * 4 * HOUR
    assert long.disk == pytest.approx(4 * short.disk, rel=0.2)
    more = plan(DEFAULT, Size(HOUR, 44100, 8, 8))
    assert more.of_covariances == 8 * short.of_covariances
    assert plan(DEFAULT, Size(HOUR, 44100, 4, 4, solos=True)).window == 2 * DEFAULT.longer_window
    assert plan(DEFAULT, Size(HOUR, 44100, 4, 4), window=0.3).memory < short.memory
    assert plan(DEFAULT, Size(HOUR, 44100, 4, 4), components=48).memory > short.memory
    whole = plan(DEFAULT, Size(HOUR, 44100, 4, 4), segment=np.inf)
    assert (len(whole.spans), whole.disk) == (1, 0.0)
    assert whole.memory > 20 * short.memory
    assert plan(METHODS["kamir"], Size(HOUR, 44100, 4, 4)) is None
    quick = plan(METHODS["fastmnmf2"], Size(HOUR, 44100, 4, 4))
    assert quick.memory < short.memory
    assert quick.of_covariances == plan(METHODS["fastmnmf2"], Size(HOUR, 44100, 4, 2)).of_covariances
    assert foreseen_seconds(quick, 30) < 1.5 * foreseen_seconds(short, 10)


def test_what_else_needs_memory_is_counted():
    size = Size(HOUR, 44100, 4, 4)
    plain = plan(DEFAULT, size)
    double, shared, estimated = (
        plan(DEFAULT, replace(size, **{name: True})) for name in ("double", "shared", "estimated")
    )
    assert plain.memory < double.memory < 2 * plain.memory
    assert double.disk > 1.9 * plain.disk
    assert len(shared.spans) == 1
    assert estimated.memory > plain.memory + 4 * 8 * HOUR


@pytest.mark.parametrize("wrong", [{"segment": np.nan}, {"segment": 0.0}, {"window": 0.0}, {"components": 0}])
def test_plans_that_are_refused(wrong):
    with pytest.raises(ArgumentError):
        plan(DEFAULT, Size(HOUR, 44100, 4, 4), **wrong)


def test_windows_and_segments_are_shortened_until_they_fit_unless_they_are_given():
    size = Size(HOUR, 44100, 4, 4)
    first = plan(DEFAULT, size)
    assert plan_within(DEFAULT, size, first.memory) == first
    own = plan_within(DEFAULT, size, 0.999 * first.memory)
    assert own == plan(DEFAULT, size, window=DEFAULT.window)
    assert (own.window, own.segment) == (DEFAULT.window, 60.0)
    shorter = plan_within(DEFAULT, size, 0.85 * own.memory)
    assert 15 <= shorter.segment < 60
    assert shorter.memory <= 0.85 * own.memory
    assert shorter.window == DEFAULT.window
    with pytest.raises(ArgumentError, match=r"--memory: mnmf needs about \d+\.\dG for 4 mics, more than \d\.\dG"):
        plan_within(DEFAULT, size, 0.85 * own.memory, segment=60.0)
    long = DEFAULT.longer_window
    assert plan_within(DEFAULT, size, 0.95 * first.memory, window=long).segment < 60


def test_windows_are_longer_where_a_long_take_teaches_enough():
    assert plan(DEFAULT, Size(HOUR, 44100, 4, 4)).window == DEFAULT.longer_window
    for few in (Size(80 * 44100, 44100, 4, 4), Size(HOUR, 44100, 24, 24), Size(HOUR, 44100, 4, 5, shared=True)):
        assert plan(DEFAULT, few).window == DEFAULT.window
    assert plan(DEFAULT, Size(HOUR, 44100, 4, 4), segment=np.inf).window == DEFAULT.window
    assert plan(METHODS["fastmnmf2"], Size(HOUR, 44100, 4, 4)).window == METHODS["fastmnmf2"].window
    at_once = 10 * 16 * DEFAULT.longer_window / 4
    assert DEFAULT.learning_window(at_once + 0.1, 4) > DEFAULT.learning_window(at_once - 0.1, 4)


@pytest.mark.parametrize(("n_mics", "most"), [(24, 4e9), (64, 4e9), (12, 1.5e9), (12, 1e9)])
def test_what_would_fit_does(n_mics, most):
    size = Size(HOUR, 44100, n_mics, n_mics)
    with pytest.raises(ArgumentError, match=r"for spatial covariances") as refused:
        plan_within(DEFAULT, size, most)
    options = re.search(r"--window (\S+) --segment (\S+) would do", str(refused.value))
    if str(refused.value).endswith("--method fastmnmf2 would do"):
        assert plan_within(METHODS["fastmnmf2"], size, most).memory <= most
    elif options is None:
        assert str(refused.value).endswith("separate fewer mics at a time")
        assert plan(DEFAULT, size, window=DEFAULT.window / 4, segment=15.0).memory > most
    else:
        assert plan_within(DEFAULT, size, most, window=float(options[1]), segment=float(options[2]))


def test_longer_takes_and_more_microphones_take_longer():
    seconds = [
        foreseen_seconds(plan(DEFAULT, Size(length, 44100, n_mics, n_mics)), 10)
        for length, n_mics in ((HOUR // 30, 4), (HOUR, 4), (HOUR, 12))
    ]
    assert seconds[0] * 5 < seconds[1]
    assert seconds[1] * 5 < seconds[2]


def test_the_plan_of_a_take_reads_no_sound(recorded, capsys, monkeypatch):
    monkeypatch.setattr(audio.Recording, "read", None)
    assert cli.run(["plan", str(recorded), "--segment", "5"]) == 0
    said = capsys.readouterr().out
    assert "0.7 minutes of 4 mics at 2000 Hz\n4 sources, without a solo of each" in said
    assert re.search(r"segments +8\b", said)
    assert re.search(r"memory +0\.\d GB", said)
    assert cli.run(["plan", str(recorded), "--sources", "a,b,c", "--ambient", "4", "--method", "kamir"]) == 0
    assert "3 sources" in capsys.readouterr().out
    assert cli.run(["plan", str(recorded), "--memory", "1M"]) == 2
    assert re.search(r"more than 1M; give at least --memory \d00M", capsys.readouterr().err)


def test_looking_for_faults_counts_as_well(recorded, tmp_path, capsys):
    command = ["separate", str(recorded), f"--out={tmp_path}/out", "--memory=300M", "--method=kamir", "--iterations=1"]
    assert cli.run(command) == 2
    assert "--memory 300M: looking for faults takes about 384M with 4 mics; " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_plan_counts_what_all_mics_heard(recorded, monkeypatch):
    sizes = []
    monkeypatch.setattr("mnmf.plan.plan", lambda method, size, **given: sizes.append(size))
    assert cli.run(["plan", str(recorded), "--ambient", "4", "--all-mics"]) == 0
    assert sizes[0].n_bleed == 3 * 3


def test_a_plan_is_shown_although_too_little_is_free(recorded, capsys, monkeypatch):
    import psutil

    class Free:
        available = 2e8

    monkeypatch.setattr(psutil, "virtual_memory", Free)
    assert cli.run(["plan", str(recorded)]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"memory +0\.\d GB", out)
    limit = "mnmf: half of the free memory is the limit"
    assert re.match(rf"{limit}: mnmf needs about \d+M for 4 mics, more than 100M;", err)
    assert cli.run(["separate", str(recorded), "--out=nowhere"]) == 2


def test_the_plan_of_a_session_file(recorded, tmp_path, capsys):
    (tmp_path / "solos.txt").write_text("0\t5\tviolin\n6\t9\tcello\n")
    file = tmp_path / "session.toml"
    file.write_text(f'take = "{recorded.as_posix()}"\nsolos = "solos.txt"\nambient = [3, 4]\n')
    assert cli.run(["plan", str(file)]) == 0
    assert "2 sources, with a solo of each" in capsys.readouterr().out
    assert cli.run(["plan", str(file), "--sources", "violin,cello,viola", "--ambient", "4"]) == 0
    assert "3 sources, without a solo of each" in capsys.readouterr().out


def test_a_limit_shortens_the_segments_or_refuses(recorded, tmp_path, capsys, monkeypatch):
    sizes = ["--components=2", "--iterations=1", "--window=0.3", "--unchecked"]
    recording = Session.open(recorded)
    needed = plan(DEFAULT, _run.size_of(recording), window=0.3, components=2, segment=20.0).memory
    asked = {}

    def watched(store, take, **options):
        asked.update(options)
        return separate_to(store, take, **options | {"segment": 20.0})

    monkeypatch.setattr("mnmf.separation.separate_to", watched)
    monkeypatch.setattr("mnmf.manifest.peak_memory_mb", lambda: needed / 1e6 + 1)
    limit = f"{needed / 1e6:.3f}M"
    assert cli.run(["separate", str(recorded), f"--out={tmp_path}/a", f"--memory={limit}", *sizes]) == 0
    said = capsys.readouterr().err
    assert "segments of 25 s instead of 60, to need no more than" in said  # halves, as those of 20 s
    assert asked["segment"] == 25.0
    assert "more than was foreseen" in said
    monkeypatch.setattr("mnmf.manifest.peak_memory_mb", lambda: needed / 1e6 - 1)
    assert cli.run(["separate", str(recorded), f"--out={tmp_path}/c", f"--memory={limit}", *sizes]) == 0
    assert "foreseen" not in capsys.readouterr().err
    assert cli.run(["separate", str(recorded), f"--out={tmp_path}/b", "--memory=100M", *sizes]) == 2
    assert cli.run(["separate", str(recorded), f"--out={tmp_path}/b", "--memory=4G", "--method=kamir"]) == 2
    assert "what kamir needs is not known; leave it out" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_half_of_what_is_free_is_the_limit_if_none_is_given(recorded, monkeypatch, capsys):
    import psutil

    size, options = Size(HOUR, 44100, 4, 4), {"segment": None, "window": None, "components": None}
    most = plan(DEFAULT, size).memory

    class Free:
        available = 2 * most + 2

    monkeypatch.setattr(psutil, "virtual_memory", Free)
    assert _run.within_memory(size, DEFAULT, {}, options) == most + 1
    assert options["segment"] is None
    assert options["window"] is None
    Free.available = 2 * most - 2
    _run.within_memory(size, DEFAULT, {}, options)
    assert options["segment"] is None
    assert options["window"] == DEFAULT.window
    assert "windows of 0.74 s instead of 1.49, to need no more than" in capsys.readouterr().err
    Free.available = 1.8 * plan(DEFAULT, size, window=DEFAULT.window).memory
    _run.within_memory(size, DEFAULT, {}, options)
    assert 15.0 <= options["segment"] < 60.0
    assert _run.within_memory(size, METHODS["kamir"], {}, options) is None


def test_only_some_stems_are_written(recorded, tmp_path, capsys):
    sizes = ["--components=2", "--iterations=1", "--window=0.3"]
    names = ["--sources=a,b,c,d"]
    out = tmp_path / "out"
    assert cli.run(["separate", str(recorded), f"--out={out}", "--only=d,b", "--residual", *names, *sizes]) == 0
    assert "2 sources by mnmf" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["b.wav", "b.residual.wav", "d.wav", "d.residual.wav", "manifest.json"]
    )
    assert cli.run(["check", str(out)]) == 0
    assert cli.run(["separate", str(recorded), f"--out={tmp_path}/all", *names, *sizes]) == 0
    assert (out / "d.wav").read_bytes() == (tmp_path / "all" / "d.wav").read_bytes()
    assert cli.run(["separate", str(recorded), f"--out={tmp_path}/x", "--only=oboe", *names, *sizes]) == 2
    assert "--only names 'oboe', which is not among the sources: a, b, c, d" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.9, "less than a minute"), (1.0, "1 minute"), (1.4, "1 minute"), (1.6, "2 minutes")]
)
def test_one_minute_is_no_minutes(minutes, said):
    assert _roughly(minutes) == said


def test_a_take_in_one_piece_has_more_bases_than_a_segment():
    def of_bases(seconds):
        size = Size(seconds * 44100, 44100, 4, 4)
        few, many = (plan(METHODS["mnmf"], size, window=0.74, components=k).memory for k in (24, 48))
        return many - few

    assert 2 * of_bases(180) < of_bases(60) < 2.5 * of_bases(180)


def test_a_take_in_one_piece_has_more_covariances_than_a_segment():
    """Those to which they are drawn."""
    sizes = [Size(seconds * 44100, 44100, 8, 8) for seconds in (60, 180)]
    whole, segments = (plan(METHODS["mnmf"], size, window=0.74).of_covariances for size in sizes)
    assert whole - segments == pytest.approx(16 * 0.74 * 44100 / 2 * 8**3, rel=0.02)  # bytes, bins, players and mics
