"""The command around its work: what it prints of others' strings, unforeseen errors, and how it ends."""

import json
import os
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
from mnmf.cli import _terminal
from mnmf.cli.score import score_table
from mnmf.errors import SessionError
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
    assert cli.run([*words, "--sources", "a,c", "--method", "\x1b[2J"]) == 2  # so that the labels are left out
    printed = capsys.readouterr()
    assert clean(printed.out + printed.err)
    assert r"ignored labels: a\u202e, b\u2066" in printed.out


def test_not_all_of_many_ignored_labels_are_named(tmp_path, capsys):
    sf.write(tmp_path / "take.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2)), RATE)
    (tmp_path / "labels.txt").write_text("".join(f"0\t0.3\tlabel {n}\n" for n in range(50)), "utf-8")
    words = ["separate", f"{tmp_path}/take.wav", "--solos", f"{tmp_path}/labels.txt", "--out", f"{tmp_path}/out"]
    assert cli.run([*words, "--sources", "a,b", "--method", "none"]) == 2
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
        (click.UsageError("no such option"), "mnmf: no such option (see mnmf --help)\n"),
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
