"""How a long run talks: one bar for everything, lines now and then where there is no terminal, or events."""

import json

import numpy as np
import pytest

from mnmf import audio, cli, kernels
from mnmf.cli import _terminal
from mnmf.cli._terminal import Whole, progress, say, talking, warn
from mnmf.kernels import _cache

RATE = 2000
SIZES = ["--components=2", "--iterations=2", "--window=0.2"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    rng = np.random.default_rng(0)
    x_LM = rng.standard_normal((9 * RATE, 2)) @ [[1.0, 0.2], [0.3, 1.0]]
    path = tmp_path_factory.mktemp("take") / "take.wav"
    audio.write(path, 0.2 * x_LM, RATE)
    return path


@pytest.mark.parametrize("stages", [_terminal.IN_SEGMENTS, _terminal.IN_ONE_PIECE])
def test_the_whole_goes_from_nothing_to_everything_and_never_back(stages):
    whole = Whole()
    told = [whole.done(stage, part) for stage in stages for part in (0.0, 0.5, 0.4, 1.0)]
    assert told[0] == 0.0
    assert told[-1] == pytest.approx(1.0)
    assert sorted(told) == told


def test_lines_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(_terminal, "PLAIN", 30.0)
    with progress("read", " (compiling)") as tell:
        tell("read", 1.0)
        tell("fit", 0.5)
    assert capsys.readouterr().err == ""  # not yet
    monkeypatch.setattr(_terminal, "PLAIN", 0.0)
    with progress("read", " (compiling)") as tell:
        tell("learn", 0.5)
    said = capsys.readouterr().err
    assert said.startswith("mnmf: learning the room (compiling): 28% done, about ")
    assert said.endswith(" left\n")
    with progress("read") as tell:
        tell("read", 0.5)
    assert capsys.readouterr().err == "mnmf: reading: 1% done\n"
    with talking(quiet=True), progress("read") as tell:
        tell("learn", 0.5)
    assert capsys.readouterr().err == ""


def test_quiet_is_quiet_but_for_what_is_wrong(capsys):
    with talking(quiet=True):
        say("stems in out")
        warn("mic 3 is silent")
    assert capsys.readouterr() == ("", "mnmf: mic 3 is silent\n")
    say("again")
    assert capsys.readouterr().out == "again\n"


def test_a_quiet_run(recorded, tmp_path, capsys):
    assert cli.run(["separate", str(recorded), f"--out={tmp_path / 'out'}", "-q", *SIZES]) == 0
    assert capsys.readouterr() == ("", "")


def test_events_are_lines_of_json(recorded, tmp_path, capsys):
    words = ["separate", str(recorded), f"--out={tmp_path / 'out'}", "--json", "--segment=3", *SIZES]
    assert cli.run(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    steps = [event for event in events if event["event"] == "progress"]
    assert list(dict.fromkeys(step["stage"] for step in steps)) == ["read", "survey", "learn", "fit", "write"]
    whole = [step["whole"] for step in steps]
    assert whole == sorted(whole)
    assert 0.0 <= whole[0] < 0.1
    assert events[0] == {"event": "said", "text": "1: mic 1"}
    assert events[-1] == {"event": "said", "text": f"stems in {tmp_path / 'out'}"}


def test_a_refusal_is_an_event_too(recorded, tmp_path, capsys):
    assert cli.run(["separate", str(recorded), f"--out={tmp_path / 'out'}", "--json", "--segment=nan", *SIZES]) == 2
    out, err = capsys.readouterr()
    last = json.loads(out.splitlines()[-1])
    assert last["event"] == "error"
    assert last["text"].startswith("segment must be a number")
    assert err == f"mnmf: {last['text']}\n"


def test_a_warning_is_an_event_too(capsys):
    with talking(events=True):
        warn("mic \u202e3 is silent")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"event": "warning", "text": r"mic \u202e3 is silent"}
    assert err == "mnmf: mic \\u202e3 is silent\n"


def test_the_first_run_is_known_by_the_folder_of_kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(_cache, "_folder", lambda: tmp_path)
    assert kernels.nothing_compiled()
    (tmp_path / "logdet.nbc").touch()
    assert not kernels.nothing_compiled()
    monkeypatch.setattr(_cache, "_folder", lambda: None)  # without the JIT
    assert not kernels.nothing_compiled()
