"""Long takes that are never in memory as a whole, and runs that go on where another one was stopped."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest
from scipy.signal import resample_poly

from mnmf import Session, audio, cli, data, separate
from mnmf.cli import _run
from mnmf.errors import OutputError, SessionError
from mnmf.methods import find_method
from mnmf.rows import Rows, blocks, column
from mnmf.segments import add_faded, faded_rows, segments_of
from mnmf.separation import Separation, separate_to
from mnmf.separation._story import _holds
from mnmf.take import Levels, Take
from mnmf.unfinished import UNFINISHED, Unfinished
from tests.processes import started
from tests.test_survey import heard, responses

RATE = 2000
SIZES = {"components": 2, "iterations": 2, "window": 0.3, "segment": 3.0}
OPTIONS = [f"--{name}={value}" for name, value in SIZES.items()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A take of 9 s in 16 bits."""
    stems_LN = resample_poly(data.quartet().stems_LN, RATE, 44100, axis=0)[: 9 * RATE]
    x_LM = heard(responses(0), stems_LN).sum(axis=2)
    path = tmp_path_factory.mktemp("take") / "take.wav"
    audio.write(path, 0.9 * x_LM / np.abs(x_LM).max(), RATE, "PCM_16")
    return path


@pytest.fixture(scope="module")
def whole(recorded):
    return separate(Session.open(recorded), **SIZES)


class Stopped(Exception):
    pass


class Stopping(dict):
    """A store whose owner is killed before it keeps one more than so many arrays."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def __setitem__(self, name, array):
        if self.left == 0:
            raise Stopped
        self.left -= 1
        super().__setitem__(name, np.array(array))


def test_rows_are_made_when_they_are_asked_for():
    x_LM = np.random.default_rng(0).standard_normal((50, 3))
    asked = []

    def make(start, stop, columns):
        asked.append((start, stop, columns))
        return x_LM[start:stop][:, columns]

    rows = Rows(x_LM.shape, float, make)
    assert (rows.shape, rows.ndim, rows.size, len(rows)) == ((50, 3), 2, 150, 50)
    np.testing.assert_array_equal(rows[3:5], x_LM[3:5])
    np.testing.assert_array_equal(rows[-4:, 1], x_LM[-4:, 1])
    np.testing.assert_array_equal(rows[:, [2, 0]], x_LM[:, [2, 0]])
    np.testing.assert_array_equal(rows[9:9], x_LM[9:9])
    np.testing.assert_array_equal(column(rows, 2)[7:9], x_LM[7:9, 2])
    assert asked == [(3, 5, [0, 1, 2]), (46, 50, [1]), (0, 50, [2, 0]), (9, 9, [0, 1, 2]), (7, 9, [2])]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks(rows, 7)]), x_LM)
    np.testing.assert_array_equal(np.asarray(rows, np.float32), x_LM.astype(np.float32))
    for wrong in (np.s_[::2], np.s_[:, 0, 0]):
        with pytest.raises(IndexError):
            rows[wrong]


def test_some_microphones_of_several_files_are_read(tmp_path):
    x_LM = np.round(np.random.default_rng(0).uniform(-0.5, 0.5, (500, 4)) * 2**15) / 2**15
    audio.write(tmp_path / "a.wav", x_LM[:, :1], 8000, "PCM_16")
    audio.write(tmp_path / "b.wav", x_LM[:, 1:], 8000, "PCM_16")
    recording = audio.Recording.open([tmp_path / "a.wav", tmp_path / "b.wav"])
    for mics in ([0], [3, 0], [2, 2], [1, 2, 3], [3, 2, 1, 0]):
        np.testing.assert_array_equal(recording.read(10, 90, mics=mics), x_LM[10:90, mics])
    os.remove(tmp_path / "b.wav")
    np.testing.assert_array_equal(recording.rows()[5:20, 0], x_LM[5:20, 0])


def test_levels_and_mutes_do_not_depend_on_how_a_take_is_read(monkeypatch):
    x_LM = np.random.default_rng(0).standard_normal((4000, 3)).astype(np.float32)
    x_LM[500:1200, 0] = x_LM[990:1010, 1] = 0.25
    x_LM[2000:2600] = x_LM[3700:, 2] = 0.0
    take = Take(x_LM, 1000)
    assert take.muted == (((500, 1200),), (), ((3700, 4000),))
    levels = Levels.of(take)
    heard_L = np.concatenate([x_LM[:500, 0], x_LM[1200:, 0]]).astype(float)
    np.testing.assert_allclose(levels.offset_M[0], heard_L.mean(), rtol=1e-5)
    np.testing.assert_allclose(levels.gains_M[0] / levels.gains_M[1], x_LM[:, 1].std() / heard_L.std(), rtol=1e-5)
    monkeypatch.setattr(blocks, "__defaults__", (311,))
    again = Take(Rows(x_LM.shape, x_LM.dtype, lambda start, stop, columns: x_LM[start:stop][:, columns]), 1000)
    assert again.muted == take.muted
    for name in ("offset_M", "gains_M"):
        assert getattr(Levels.of(again), name).tobytes() == getattr(levels, name).tobytes()


def test_faded_rows_are_those_of_the_whole():
    spans = segments_of(3000, 700, 50)
    parts = [np.random.default_rng(k).standard_normal((2, stop - start)) for k, (start, stop) in enumerate(spans)]
    total_LI = np.zeros((3000, 2))
    for k, part in enumerate(parts):
        add_faded(total_LI, part.T, spans, k)
    for start, stop in ((0, 3000), (0, 10), (700, 800), (2990, 3000), (5, 5)):
        rows = faded_rows(parts.__getitem__, spans, start, stop, [1])
        np.testing.assert_array_equal(rows, total_LI[start:stop, 1:])


def test_neither_take_nor_stems_are_ever_in_memory_as_a_whole(recorded, whole, monkeypatch):
    most = 0
    made = Rows.__getitem__

    def watched(self, key):
        nonlocal most
        rows = made(self, key)
        most = max(most, len(rows))
        return rows

    monkeypatch.setattr(Rows, "__getitem__", watched)
    monkeypatch.setattr(blocks, "__defaults__", (RATE,))
    stems = separate_to({}, Session.open(recorded), **SIZES)
    assert 0 < most < 6 * RATE  # a segment and what it shares
    monkeypatch.undo()
    assert not isinstance(stems, Separation)
    assert stems.stems_LN[:].tobytes() == whole.stems_LN.tobytes()
    assert stems.parameters == whole.parameters
    for reduction in (0.0, 10.0, np.inf):
        np.testing.assert_array_equal(stems.reduced("1", reduction)[:], whole.reduced("1", reduction))


@pytest.mark.parametrize("segment", [20.0, np.inf])
def test_a_short_take_is_separated_in_one_piece(recorded, segment):
    store = {}
    stems = separate_to(store, Session.open(recorded), **SIZES | {"segment": segment})
    assert isinstance(stems, Separation)
    assert isinstance(stems.take.x_LM, np.ndarray)
    assert not store


@pytest.mark.parametrize("left", [1, 2, 5])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(recorded, whole, left):
    store = Stopping(left)
    try:
        separate_to(store, Session.open(recorded), **SIZES)
    except Stopped:
        assert len(store) <= left
    kept = set(store)
    store.left = -1
    seen = set(store)
    stems = separate_to(store, Session.open(recorded), **SIZES)
    assert {name for name in kept if name.startswith("segment")} <= set(store)
    assert "room" in seen or left < 4
    assert stems.stems_LN[:].tobytes() == whole.stems_LN.tobytes()


def command(recorded, out, *more):
    return ["separate", str(recorded), f"--out={out}", *OPTIONS, *more]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".wav"}


def test_what_is_kept_in_another_shape_is_made_again():
    store = {"right": np.zeros((2, 5)), "short": np.zeros((2, 4)), "text": np.full((2, 5), "x"), "none": np.zeros(())}
    assert [_holds(store, name, (2, 5)) for name in (*store, "missing")] == [True, False, False, False, False]


@pytest.mark.parametrize("segment", ["an hour", -1.0, [3.0], True, 0.0, {}])
def test_what_could_not_be_asked_for_was_not_chosen(tmp_path, monkeypatch, segment):
    left, recipe = Unfinished(tmp_path), find_method("mnmf")
    kept = {"segment": 30.0, "window": None}
    monkeypatch.setattr(left, "begin", lambda facts, own: kept)
    assert _run._chosen(left, {}, {}, recipe) == kept
    kept["segment"] = segment
    with pytest.raises(SessionError, match=r"cannot be gone on with: segment .*; leave --resume out"):
        _run._chosen(left, {}, {}, recipe)


def test_killed_and_resumed_the_command_writes_the_same_files(recorded, whole, tmp_path, capsys):
    assert cli.run(command(recorded, tmp_path / "one", "--residual")) == 0
    assert not list((tmp_path / "one").glob(".*"))
    out = tmp_path / "other"
    process = started([sys.executable, "-m", "mnmf", *command(recorded, out, "--residual")])
    while process.poll() is None and not list(out.glob(f"{UNFINISHED}*/*.npy")):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(out.glob(f"{UNFINISHED}*/*.npy"))
    assert cli.run(command(recorded, out, "--residual", "--seed=1", "--resume")) == 2
    assert "had another seed" in capsys.readouterr().err
    assert cli.run(command(recorded, out, "--residual", "--resume")) == 0
    assert files(out) == files(tmp_path / "one")
    assert not list(out.glob(".*"))
    assert cli.run(["check", str(out)]) == 0


def test_what_is_kept_is_told_and_the_next_run_removes_it(recorded, tmp_path, capsys, monkeypatch):
    from mnmf import manifest

    def full(*_):
        raise OutputError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write_stems", full)
        assert cli.run(command(recorded, tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "with --resume goes on from there" in said
    left = list((tmp_path / "out").iterdir())
    assert [path.name.startswith(UNFINISHED) for path in left] == [True]
    assert json.loads((left[0] / "run.json").read_text())["facts"]["method"] == "mnmf"
    assert cli.run(command(recorded, tmp_path / "out", "--segment=inf")) == 0
    assert "an unfinished run is kept there" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob(".*"))


def test_resume_without_anything_to_go_on_from_is_refused(recorded, tmp_path, capsys):
    assert cli.run(command(recorded, tmp_path / "out", "--resume")) == 2
    assert "no unfinished run to go on with; leave --resume out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_kept_is_a_mapping(tmp_path):
    with Unfinished(tmp_path) as unfinished:
        unfinished.begin({"seed": 0})
        assert not list(tmp_path.iterdir())
        unfinished["a b"] = np.arange(3)
        unfinished["c"] = np.eye(2)
        assert list(unfinished) == ["a b", "c"]
        assert "c" in unfinished
        del unfinished["c"]
        assert "c" not in unfinished
        for wrong in (lambda: unfinished["c"], lambda: unfinished.__delitem__("c")):
            with pytest.raises(KeyError):
                wrong()
        with Unfinished(tmp_path) as other:  # whose owner lives
            other.begin({"seed": 0})
            other["x"] = np.zeros(1)
            assert list(unfinished) == ["a b"]
            with pytest.raises(SessionError, match="still going on"):
                Unfinished(tmp_path, resume=True).begin({"seed": 0})
            other.done()
        assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(unfinished["a b"], np.arange(3))
    (tmp_path / next(tmp_path.iterdir()) / "a b.npy").write_bytes(b"damaged")
    with Unfinished(tmp_path, resume=True) as again:
        again.begin({"seed": 0})
        with pytest.raises(SessionError, match="cannot be read again"):
            again["a b"]
        again.done()
    assert not list(tmp_path.iterdir())
    with Unfinished(tmp_path) as ended:
        ended.begin({})
    with pytest.raises(OutputError, match="the run is over"):
        ended["late"] = np.zeros(1)


def kept_by(tmp_path, facts, chosen=None):
    with Unfinished(tmp_path) as unfinished:
        assert unfinished.begin(facts, chosen) == (chosen or {})
        unfinished["room"] = np.eye(2)


def test_what_is_left_stays_until_there_is_something_new_to_keep(tmp_path):
    kept_by(tmp_path, {"seed": 0})
    (left,) = tmp_path.iterdir()
    with Unfinished(tmp_path) as refused:
        refused.begin({"seed": 0})
        assert refused.is_left
    assert list(tmp_path.iterdir()) == [left]
    with Unfinished(tmp_path) as other:
        other.begin({"seed": 1})
        other["room"] = np.eye(3)
        assert not other.is_left
    assert left not in list(tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 1
    with Unfinished(tmp_path) as short:
        short.begin({"seed": 2})
        short.done()
    assert not list(tmp_path.iterdir())


def test_what_a_run_has_chosen_holds_for_the_next(tmp_path):
    kept_by(tmp_path, {"seed": 0}, {"segment": 30.0})
    with Unfinished(tmp_path, resume=True) as again:
        assert again.begin({"seed": 0}, {"segment": 60.0}) == {"segment": 30.0}
        with Unfinished(tmp_path, resume=True) as third, pytest.raises(SessionError, match="still going on"):
            third.begin({"seed": 0})


def test_a_folder_that_says_nothing_of_itself_counts_as_none(tmp_path):
    kept_by(tmp_path, {"seed": 0})
    next(tmp_path.glob("*/run.json")).write_text("{")
    with pytest.raises(SessionError, match="no unfinished run to go on with"):
        Unfinished(tmp_path, resume=True).begin({"seed": 0})


@pytest.mark.parametrize("option", ["--iterations=-1", "--method=kamir"])
def test_a_refused_run_removes_nothing(recorded, tmp_path, option):
    (tmp_path / "out").mkdir()
    kept_by(tmp_path / "out", {"seed": 0})
    assert cli.run(command(recorded, tmp_path / "out", option)) == 2
    assert len(list((tmp_path / "out").glob(f"{UNFINISHED}*"))) == 1


def test_files_in_another_order_are_another_run(recorded, tmp_path, capsys, monkeypatch):
    from mnmf import manifest

    x_LM = audio.Recording.open(recorded).read()
    names = [f"{name}{m}.wav" for name in ("take", "solo") for m in range(4)]
    for k, name in enumerate(names):
        audio.write(tmp_path / name, np.roll(x_LM[:, k % 4], 50 * (k // 4)), RATE)
    (tmp_path / "solos.txt").write_text("".join(f"{n}\t{n + 1}\tp{n}\n" for n in range(4)))
    spots = [f"--spot=p{n}={n + 1}" for n in range(4)]

    def words(solo_names, *more):
        takes = [str(tmp_path / name) for name in names[:4]]
        solos = [f"--solo-take={tmp_path / name}" for name in solo_names]
        marked = [f"--solos={tmp_path / 'solos.txt'}", f"--out={tmp_path / 'out'}"]
        return ["separate", *takes, *solos, *marked, *spots, *OPTIONS, "--method=fastmnmf2", *more]

    def full(*_):
        raise OutputError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write_stems", full)
        assert cli.run(words(names[4:])) == 2
    assert cli.run(words([names[5], names[4], *names[6:]], "--resume")) == 2
    assert "had another solo take" in capsys.readouterr().err
    assert cli.run(words(names[4:], "--resume")) == 0


def test_interrupted_after_everything_is_in_place_nothing_is_kept(recorded, tmp_path, capsys, monkeypatch):
    from mnmf.output import OutputFolder

    publish = OutputFolder.publish

    def interrupted(self):
        publish(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(OutputFolder, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cli.run(command(recorded, tmp_path / "out"))
    assert "goes on from there" not in capsys.readouterr().err
    assert not list((tmp_path / "out").glob(".*"))
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_program_may_estimate_otherwise_the_next_time(recorded, tmp_path, capsys):
    assert cli.run(command(recorded, tmp_path / "out", "--resume", "--estimate-command=tool {in} {out}")) == 2
    assert "leave one of them out" in capsys.readouterr().err


RECORD = {"facts": {"seed": 0}, "chosen": {"segment": 60.0}}
ODD_RECORDS = {
    "nested": lambda path: path.write_text("[" * 100_000),
    "long number": lambda path: path.write_text(json.dumps(RECORD).replace("60.0", "9" * 5000)),
    "pipe": lambda path: os.mkfifo(path),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": os.mkdir,
    "other names": lambda path: path.write_text(json.dumps({**RECORD, "chosen": {"taste": 1}})),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("make", ODD_RECORDS.values(), ids=ODD_RECORDS)
def test_what_no_run_has_said_of_itself_is_nothing_to_go_on_with(tmp_path, make):
    left = tmp_path / f"{UNFINISHED}0"
    left.mkdir()
    make(left / "run.json")
    os.utime(left, (0, 0))
    with Unfinished(tmp_path) as unfinished:
        assert unfinished.begin(*RECORD.values()) == RECORD["chosen"]
        assert unfinished.is_left == (make is ODD_RECORDS["other names"])
    with Unfinished(tmp_path, resume=True) as unfinished, pytest.raises(SessionError, match="no unfinished run"):
        unfinished.begin(*RECORD.values())
