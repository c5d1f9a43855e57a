"""The command around its work: what it prints of others' strings, unforeseen errors, and how it ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile as sf

import mnmf
from mnmf import cli
from mnmf.cli import _options, _terminal
from mnmf.cli.score import score_table
from mnmf.errors import SessionError
from mnmf.methods import DEFAULT_METHOD, METHODS
from tests.processes import started

CLI = Path(cli.__file__).parent
RATE = 8000
# Clears the screen, turns the direction of a line, ends it, hides, and colours.
ODD = "\x1b[2J\u202egnp.\u2066x\u2069\r\n\x9b31m\u200f\u2028\x00"


def clean(text):
    return all(c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs") for c in text)


# What is printed


def test_only_one_module_prints():
    for path in sorted(CLI.rglob("*.py")):
        if path.name != "_terminal.py":
            text = path.read_text("utf-8")
            for word in ("click.echo(", ".add_row(", " print(", "sys.stdout", "sys.stderr"):
                allowed = path.name == "__init__.py" and word == "click.echo("  # the help of click, which is our own
                assert allowed or word not in text, f"{path.name}: {word}"


@pytest.mark.parametrize("printer", ["say", "warn", "fail", "say_json", "unforeseen"])
def test_all_that_is_printed_is_clean(capsys, printer, monkeypatch):
    monkeypatch.setenv("MNMF_TRACEBACK", "1")
    value = {"say": ODD, "warn": ODD, "fail": ODD, "say_json": {ODD: [ODD, "Flöte"]}, "unforeseen": ValueError(ODD)}
    getattr(_terminal, printer)(value[printer])
    printed = capsys.readouterr()
    assert clean(printed.out + printed.err)
    if printer == "say_json":
        assert json.loads(printed.out) == {ODD: [ODD, "Flöte"]}
        assert "Flöte" in printed.out
    elif printer == "warn":
        assert printed.err.count("\n") == 1


def test_tables_are_clean_and_read_no_markup(capsys):
    result = {"sources": [], "mean": {"output": dict.fromkeys(("sdr", "sir", "sar", "snr"), 1.0)}}
    result["sources"].append({"name": f"[red]{ODD}[/red]", **result["mean"]})
    _terminal.show(score_table(result))
    printed = capsys.readouterr().out
    assert clean(printed)
    assert "[red]" in printed


def test_names_of_files_are_clean(tmp_path, capsys):
    folder = tmp_path / "\u202e\x1b[2J"
    folder.mkdir()
    path = folder / "\x9btake\u2066.wav"
    path.write_bytes(b"no audio")
    os.symlink(path, folder / os.fsdecode(b"not utf-8 \xff.wav"))
    for name in (*folder.iterdir(), folder / "missing\r.wav"):
        for arguments in (
            ["separate", str(name)],
            ["score", str(name), "--reference", "x"],
            ["notes", "list", str(name)],
        ):
            more = ["--out", str(tmp_path / "out")] if arguments[0] == "separate" else []
            assert cli.run([*arguments, *more]) == 2
            printed = capsys.readouterr()
            assert clean(printed.out + printed.err)
            assert printed.err.count("\n") == 1


def test_labels_are_clean(tmp_path, capsys):
    x_LM = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2))
    sf.write(tmp_path / "take.wav", x_LM, RATE)
    (tmp_path / "labels.txt").write_text("0\t0.3\ta\u202e\n0.4\t0.7\tb\u2066\n", "utf-8")
    words = ["separate", f"{tmp_path}/take.wav", "--solos", f"{tmp_path}/labels.txt", "--out", f"{tmp_path}/out"]
    assert cli.run(words) == 2
    assert clean(capsys.readouterr().err)
    assert cli.run([*words, "--sources", "a,c", "--dictionary", "\x1b[2J"]) == 2  # so that the labels are left out
    printed = capsys.readouterr()
    assert clean(printed.out + printed.err)
    assert r"ignored labels: a\u202e, b\u2066" in printed.out


def test_not_all_of_many_ignored_labels_are_named(tmp_path, capsys):
    sf.write(tmp_path / "take.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2)), RATE)
    (tmp_path / "labels.txt").write_text("".join(f"0\t0.3\tlabel {n}\n" for n in range(50)), "utf-8")
    words = ["separate", f"{tmp_path}/take.wav", "--solos", f"{tmp_path}/labels.txt", "--out", f"{tmp_path}/out"]
    assert cli.run([*words, "--sources", "a,b", "--method", "linear"]) == 2
    said = capsys.readouterr().out
    assert "label 19, and 30 more\n" in said
    assert "label 20" not in said


def test_names_in_options_are_the_same_composed_or_not(tmp_path, capsys):
    sf.write(tmp_path / "take.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 4, 2)), RATE)
    words = ["separate", f"{tmp_path}/take.wav", "--out", f"{tmp_path}/out", "--sources", "Fl\u00f6te,b"]
    for option in ("--only", "--reduction", "--spot"):
        value = "Flo\u0308te" + {"--only": "", "--reduction": "=6", "--spot": "=1"}[option]
        assert cli.run([*words, option, value, "--method", "none"]) == 2
        assert "got 'none'" in capsys.readouterr().err


def test_lines_have_a_length(capsys):
    _terminal.fail("x" * 10**6)
    assert len(capsys.readouterr().err) < 2100


def test_tables_are_whole_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    row = {part: dict.fromkeys(("sdr", "sir", "sar", "snr"), -123.4) for part in ("output", "input", "delta")}
    result = {"sources": [{"name": "a very long name of an instrument", **row}], "mean": row}
    _terminal.show(score_table(result))
    assert capsys.readouterr().out.count("-123.4 → -123.4") == 8
    monkeypatch.setattr(_terminal.Console, "is_terminal", True)
    _terminal.show(score_table(result))
    assert capsys.readouterr().out.count("-123.4 → -123.4") == 8


def test_methods_are_one_line_each(capsys):
    assert cli.run(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(METHODS)
    assert max(map(len, lines)) < 80
    assert not any(str(year) in line for line in lines for year in range(2000, 2030))
    assert cli.run(["methods", "--citations"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line, method in zip(lines[1:], METHODS.values()):
        assert method.citation in line
        assert method.needs in line


# What the help says


def test_the_help_is_in_groups_and_has_examples(capsys):
    assert cli.run(["separate", "--help"]) == 0
    said = capsys.readouterr().out
    titles = [line[:-1] for line in said.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Examples", *_options.GROUPS, "Other"]
    assert said.count("  mnmf separate live/T03_*.WAV") == 2
    assert said.rpartition("Other:")[2].split() == ["-h,", "--help", "Show", "this", "message", "and", "exit."]
    assert "[default: stems]" in said
    assert f"{DEFAULT_METHOD} if not given" in " ".join(said.split())
    for name in ("plan", "learn"):
        assert cli.run([name, "--help"]) == 0
        assert "Who is where:" in capsys.readouterr().out


def test_the_examples_of_the_help_are_commands():
    for example in cli.separate.command.examples:
        words = shlex.split(example.partition("  ")[0])
        assert words[:2] == ["mnmf", "separate"]
        assert cli.separate.command.make_context("separate", words[2:]).params["take"] == ("live/T03_*.WAV",)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["separate", "--magic"], "(see mnmf separate --help)"),
        (["separate"], "(see mnmf separate --help)"),
        (["separate", "x.wav", "--seed", "many"], "(see mnmf separate --help)"),
        (["notes", "show"], "(see mnmf notes show --help)"),
        (["notes", "build", "x"], "(see mnmf notes build --help)"),
        (["sing"], "(see mnmf --help)"),
    ],
)
def test_errors_of_usage_say_whose_help_to_see(words, hint, capsys):
    assert cli.run(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(f" {hint}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "mnfm"], "method must be one of mnmf, fastmnmf2, .*; got 'mnfm' .did you mean 'mnmf'"),
        (["--window", "0"], "the window must be a number from 0.001 to 60 s"),
        (["--iterations", "0"], "iterations must be a whole number of at least 1"),
        (["--components", "-2"], "components must be a whole number of at least 1"),
        (["--seed", "-1"], "seed must be a whole number of at least 0"),
        (["--segment", "0"], "segment must be a number"),
        (["--method", "kamir", "--segment", "60"], "kamir fits a take in one piece"),
        (["--method", "kamir", "--components", "2"], "kamir has no components"),
        (["--memory", "much"], "must be like 4G"),
    ],
)
@pytest.mark.parametrize("command", ["separate", "plan", "learn"])
def test_a_wrong_method_or_number_is_refused_before_anything_is_read(command, words, message, capsys):
    out = ["--out", "x.npz"] if command == "learn" else []
    assert cli.run([command, "nothing.wav", *words, *out]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert "nothing.wav" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preview", "2-1"], "--preview wants"),
        (["--reduction", "a=-1"], "--reduction wants dB"),
        (["--trust", "2", "--estimates", "x"], "--trust must be a number from 0 to 1"),
        (["--trust", "1"], "--trust weighs"),
        (["--estimate-timeout", "1"], "--estimate-timeout limits"),
        (["--preview", "1-2", "--resume"], "leave --preview out"),
        (["--spot", "violin"], "--spot wants NAME=MIC"),
    ],
)
def test_options_are_compared_before_anything_is_read(words, message, capsys):
    assert cli.run(["separate", "nothing.wav", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "nothing.wav" not in said


def test_shells_can_complete_commands():
    def asked(**environment):
        words = [sys.executable, "-m", "mnmf"]
        return subprocess.run(
            words, env={**os.environ, **environment}, capture_output=True, text=True, check=True
        ).stdout

    assert "_MNMF_COMPLETE=bash_complete" in asked(_MNMF_COMPLETE="bash_source")

    def completed(line):
        cursor = str(len(line.split(" ")) - 1)
        said = asked(_MNMF_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=cursor)
        return [answer.partition(",")[2] for answer in said.splitlines()]

    assert completed("mnmf se") == ["separate"]
    assert "--solo-take" in completed("mnmf separate --so")
    assert completed("mnmf separate --method mnmf-is-f") == ["mnmf-is-fixh"]
    assert asked(_MNMF_COMPLETE="bash_complete", COMP_WORDS="mnmf separate x", COMP_CWORD="2") == "file,x\n"


# What is scored


@pytest.fixture
def scored(tmp_path, rng):
    """A folder of three stems that separated nothing below 20 Hz, their references, and the take."""
    truth_LN = 0.1 * rng.standard_normal((2 * RATE, 3))
    rumble_LN = 0.3 * np.sin(2 * np.pi * 5 * np.arange(2 * RATE) / RATE)[:, None] * [1, 1, 1]
    take_LN = truth_LN + 0.3 * np.roll(truth_LN, 1, axis=1)
    stems_LN = truth_LN + 0.05 * np.roll(truth_LN, 1, axis=1)
    (tmp_path / "stems").mkdir()

    def write(lowest=20.0, stems_LN=stems_LN + rumble_LN):
        sources = [{"name": name, "file": f"{name}.wav", "mics": [n + 1]} for n, name in enumerate("abc")]
        for n, source in enumerate(sources):
            sf.write(tmp_path / "stems" / source["file"], stems_LN[:, n], RATE, "FLOAT")
        record = {"sources": sources} if lowest is None else {"sources": sources, "lowest_hz": lowest}
        (tmp_path / "stems" / "manifest.json").write_text(json.dumps(record))
        words = ["score", f"{tmp_path}/stems", "--reference", f"{tmp_path}/truth.wav"]
        return [*words, "--mixture", f"{tmp_path}/take.wav"], stems_LN

    sf.write(tmp_path / "truth.wav", truth_LN, RATE, "FLOAT")
    sf.write(tmp_path / "take.wav", take_LN + rumble_LN, RATE, "FLOAT")
    return write


def test_stems_are_scored_where_they_were_separated(scored, capsys):
    words, _ = scored()
    assert cli.run(words) == 0
    assert capsys.readouterr().out.endswith("\ncompared above 20 Hz, where they were separated\n")
    assert cli.run([*words, "--json"]) == 0
    above = json.loads(capsys.readouterr().out)
    assert above["above_hz"] == 20.0
    for lowest in (None, 0):
        words, _ = scored(lowest=lowest)
        assert cli.run([*words, "--json"]) == 0
        everything = json.loads(capsys.readouterr().out)
        assert everything["above_hz"] == 0.0
        assert cli.run(words) == 0
        assert "compared" not in capsys.readouterr().out
    # Rumble that belongs to nobody would hide what was gained.
    assert everything["mean"]["output"]["snr"] < 0
    assert above["mean"]["output"]["snr"] == pytest.approx(26, abs=1)
    assert above["mean"]["delta"]["snr"] == pytest.approx(15.6, abs=1)


@pytest.mark.parametrize("lowest", [-1, 1e6, "20", True, [20]])
def test_a_lowest_frequency_that_is_none_is_refused(scored, capsys, lowest):
    words, _ = scored(lowest=lowest)
    assert cli.run(words) == 2
    assert "not a manifest of mnmf separate: lowest_hz is" in capsys.readouterr().err


def test_a_silent_stem_betters_no_mean_unsaid(scored, capsys):
    words, stems_LN = scored()
    assert cli.run([*words, "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert (before["scored"], before["silent"]) == (3, [])
    scored(stems_LN=stems_LN * [1, 0, 1])
    assert cli.run(words) == 0
    said = capsys.readouterr()
    assert "\nmean of 2 of 3 " in said.out
    assert said.err == "mnmf: b: the stem is silent, which has no SDR, so the mean is that of the others\n"
    assert cli.run([*words, "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert (after["scored"], after["silent"]) == (2, ["b"])
    # Silence has an SNR of 0 dB, more than many a spot, so that it does not count either.
    assert after["sources"][1]["output"]["snr"] == pytest.approx(0, abs=1e-6)
    for name in ("sdr", "sir", "sar", "snr"):
        own = [after["sources"][n]["output"][name] for n in (0, 2)]
        assert after["mean"]["output"][name] == pytest.approx(sum(own) / 2)


# What it makes of odd files


ODD_SOURCE = '{"sources": [{"name": "a", "file": "\\u0000", "mics": [0]}]}'
ODD_MANIFESTS = ("[]", ODD_SOURCE, "[" * 10**5, "\x00", '{"sources": [[]]}')


@pytest.mark.parametrize("text", ODD_MANIFESTS, ids=["list", "NUL", "nested", "binary", "no source"])
def test_an_odd_manifest_where_the_stems_go_is_no_obstacle(tmp_path, capsys, text):
    sf.write(tmp_path / "take.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 4, 2)), RATE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text(text)
    words = ["separate", f"{tmp_path}/take.wav", "--out", f"{tmp_path}/out", "--method", "time-domain"]
    assert cli.run(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert cli.run([*words, "--overwrite", "--iterations", "1"]) == 0
    assert capsys.readouterr().err == ""
    assert len(json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["sources"]) == 2
    assert cli.run(["score", f"{tmp_path}/out", "--reference", f"{tmp_path}/take.wav", "--json"]) == 0


# Errors that nobody has foreseen


@pytest.fixture
def broken(monkeypatch):
    """Let `mnmf methods` fail with an error of one's choice."""

    def breaking(error):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(cli.methods.command, "callback", fail)

    return breaking


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("division by zero"), RecursionError(), KeyError("x\n\x1b[2J"), np.linalg.LinAlgError("SVD")],
    ids=lambda error: type(error).__name__,
)
def test_an_unforeseen_error_is_one_line_that_says_how_to_report_it(broken, capsys, monkeypatch, error):
    broken(error)
    monkeypatch.delenv("MNMF_TRACEBACK", raising=False)
    assert cli.run(["methods"]) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"mnmf: this is a fault of mnmf: {type(error).__name__}")
    assert "MNMF_TRACEBACK=1" in said
    monkeypatch.setenv("MNMF_TRACEBACK", "1")
    assert cli.run(["methods"]) == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert clean(said)


def test_foreseen_errors_are_not_called_faults(broken, capsys):
    for error, words in (
        (SessionError("take.wav: is no take"), "mnmf: take.wav: is no take\n"),
        (FileNotFoundError(2, "No such file or directory", "take.wav"), "mnmf: take.wav: No such file or directory\n"),
        (OSError(28, "No space left on device"), "mnmf: the output cannot be written: No space left on device\n"),
        (OSError("odd"), "mnmf: odd\n"),
        (MemoryError(), "mnmf: not enough memory"),
        (click.UsageError("no such option"), "mnmf: no such option (see mnmf methods --help)\n"),
    ):
        broken(error)
        assert cli.run(["methods"]) == 2
        assert capsys.readouterr().err.startswith(words)


# How it ends

BLOCKED = """
import os, signal, sys, time
from mnmf import __main__, cli
from mnmf.output import OutputFolder

def run():
    with OutputFolder(sys.argv[1], ["a"]) as folder:
        folder.path("a").write_text("half")
        print("there", flush=True)
        try:
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # another one, while this is being cleared away
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

cli.run = run
__main__.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_several_signals_leave_nothing(tmp_path, name):
    process = started([sys.executable, "-c", BLOCKED, str(tmp_path / "out")])
    assert process.stdout.readline() == "there\n"
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + getattr(signal, name), "mnmf: interrupted; nothing was written\n")
    assert not list(tmp_path.iterdir())


PUBLISHED = """
import os, signal, sys
from mnmf import __main__, cli
from mnmf.output import OutputFolder

def run():
    with OutputFolder(sys.argv[1], ["a"]) as folder:
        folder.path("a").write_text("whole")
        folder.publish()
        os.kill(os.getpid(), signal.SIGINT)

cli.run = run
__main__.main()
"""


def test_what_was_written_before_a_signal_is_not_denied(tmp_path):
    process = started([sys.executable, "-c", PUBLISHED, str(tmp_path / "out")])
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "mnmf: interrupted; all was written\n")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("a", "whole")]


def test_output_that_cannot_be_written_is_named():
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "mnmf", "--version"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
    assert mnmf.__version__ not in done.stderr


def test_no_command_is_cut_short_in_the_list(capsys):
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2]
    assert "separate" in listed
    assert "..." not in listed
