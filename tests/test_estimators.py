"""Folders, commands and networks as estimators, and what the command line makes of them."""

import io
import json
import os
import re
import shlex
import sys
import tempfile
import threading
import time
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mnmf
from mnmf import cli, estimators
from mnmf.errors import ArgumentError, AudioFileError, EstimatorError
from mnmf.estimators import Command, EstimateFolder, _cache, _command, _networks, cached, equivariant
from mnmf.priors import Mask

pytestmark = pytest.mark.slow

RATE = 8000
NAMES = ("flute", "cello")
PYTHON = shlex.quote(sys.executable)
PAGE = Path(__file__).parent.parent / "docs" / "neural.md"

HALVES = """
import sys, pathlib, soundfile
x, rate = soundfile.read(sys.argv[1], always_2d=True)
for n, name in enumerate(("flute", "cello")):
    soundfile.write(pathlib.Path(sys.argv[2]) / f"{name}.wav", x[:, n] / 2, rate, subtype="FLOAT")
"""


@pytest.fixture
def take(rng):
    return rng.uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / f"script{len(list(tmp_path.glob('script*')))}.py"
        path.write_text(text)
        return f"{PYTHON} {shlex.quote(str(path))}"

    return write


# --- folders


def test_a_folder_of_files_of_any_format_rate_and_case(tmp_path, take):
    (tmp_path / "below").mkdir()
    soundfile.write(tmp_path / "below" / "Flute.flac", take[:, 0], RATE)
    soundfile.write(tmp_path / "cello.wav", np.repeat(take[:, :1], 2, axis=1), RATE // 2)
    soundfile.write(tmp_path / "below" / "cello.wav", take[:, 1], RATE)
    found = EstimateFolder(tmp_path, NAMES)(take, RATE)
    np.testing.assert_allclose(found["flute"][:, 0], take[:, 0], atol=1e-4)
    assert found["cello"].shape == (2 * len(take), 2)


def test_folders_that_do_not_help(tmp_path, take):
    with pytest.raises(ArgumentError, match="no such folder"):
        EstimateFolder(tmp_path / "none", NAMES)
    with pytest.raises(ArgumentError, match="no file is called flute or cello; found no audio"):
        EstimateFolder(tmp_path, NAMES)
    soundfile.write(tmp_path / "vocals.wav", take, RATE)
    with pytest.raises(ArgumentError, match=r"found vocals\.wav"):
        EstimateFolder(tmp_path, NAMES)
    soundfile.write(tmp_path / "flute.wav", take, RATE)
    soundfile.write(tmp_path / "flute.flac", take, RATE)
    with pytest.raises(ArgumentError, match=r"flute\.flac and flute\.wav could both be 'flute'"):
        EstimateFolder(tmp_path, NAMES)
    (tmp_path / "flute.flac").unlink()
    (tmp_path / "flute.wav").write_bytes(b"no audio")
    with pytest.raises(AudioFileError, match=r"flute\.wav: cannot be read"):
        EstimateFolder(tmp_path, NAMES)(take, RATE)


def test_names_are_found_however_their_letters_are_composed(tmp_path, take):
    soundfile.write(tmp_path / "Flo\u0308te.wav", take[:, 0], RATE)  # as macOS writes it
    soundfile.write(tmp_path / "C\u00e9sar.wav", take[:, 1], RATE)
    found = EstimateFolder(tmp_path, ("Fl\u00f6te", "ce\u0301sar"))
    assert {source: path.name for source, path in found.files.items()} == {
        "Fl\u00f6te": "Flo\u0308te.wav",
        "ce\u0301sar": "C\u00e9sar.wav",
    }


# --- commands


def test_a_command_for_all_sources(script, take):
    found = Command(f"{script(HALVES)} {{in}} {{out}}", NAMES, (0, 1))(take, RATE)
    np.testing.assert_allclose(found["flute"][:, 0], take[:, 0] / 2, atol=1e-7)
    np.testing.assert_allclose(found["cello"][:, 0], take[:, 1] / 2, atol=1e-7)


def test_a_command_for_each_source_hears_its_own_spot(script, take, tmp_path):
    text = f"""
import sys, json, soundfile
x, rate = soundfile.read(sys.argv[1])
soundfile.write(sys.argv[2], x / 4, rate, subtype="FLOAT")
open({str(tmp_path / "asked")!r}, "a").write(json.dumps(sys.argv[3:]) + "\\n")
"""
    command = f"{script(text)} {{in}} {{out}} --query={{query}} --name '{{source}} {{in'"
    found = Command(command, NAMES, ((1, 0), 0), ("a flute", "the sound of 'rm -rf', close"))(take, RATE)
    np.testing.assert_allclose(found["flute"], take[:, [1]] / 4, atol=1e-7)
    np.testing.assert_allclose(found["cello"], take[:, [0]] / 4, atol=1e-7)
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == [
        ["--query=a flute", "--name", "flute {in"],
        ["--query=the sound of 'rm -rf', close", "--name", "cello {in"],
    ]


@pytest.mark.parametrize("name", ["violin, close", "viola d'amore", "Flöte 2", "..", "the sound of a cello."])
def test_names_and_queries_are_words_and_nothing_else(script, take, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text = """
import sys, soundfile
assert len(sys.argv) == 7, sys.argv
x, rate = soundfile.read(sys.argv[1])
soundfile.write(sys.argv[2], x, rate)
"""
    before = sorted(tmp_path.iterdir())
    words = f"{script(text)} {{in}} {{out}} --source {{source}} --text {{query}}"
    command = Command(words, (name, "b"), (0, 1), (name, name))
    assert set(command(take, RATE)) == {name, "b"}
    assert [path.name for path in tmp_path.iterdir() if path not in before] == ["script0.py"]


def test_names_that_would_be_options_are_refused():
    with pytest.raises(ArgumentError, match="'--evil' would be an option"):
        Command("tool {in} {out} --source {source}", ("--evil",), (0,))
    with pytest.raises(ArgumentError, match="'-x' would be an option"):
        Command("tool {in} {out} --query {query}", ("a",), (0,), ("-x",))
    Command("tool {in} {out}", ("--fine",), (0,))  # it is not among the words


@pytest.mark.parametrize(
    "name", ["a; b", "$(a)", "`a`", "a\nb", "a\tb", "{out}", '"', "a\\b", "%A%", "a|b", "a&b", "\0", "*"]
)
def test_names_and_queries_that_could_be_code_are_refused(name):
    with pytest.raises(ArgumentError, match="nothing that could be code"):
        Command("tool {in} {out} --source {source}", (name,), (0,))
    with pytest.raises(ArgumentError, match="nothing that could be code"):
        Command("tool {in} {out} --query {query}", ("a",), (0,), (name,))
    with pytest.raises(ArgumentError, match="nothing that could be code"):  # it is in the environment
        Command("tool {in} {out} --query {query}", (name,), (0,), ("a",))
    Command("tool {in} {out}", (name,), (0,))  # it goes nowhere


@pytest.mark.parametrize(
    "command",
    [
        "{query} {in} {out}",
        "env A=1 {query} {in} {out}",
        "nice -n 10 {query} {in} {out}",
        "timeout 10 {query} {in} {out}",
        "sudo -u cat {query} {in} {out}",
        "python -u {query} {in} {out}",
        "python -m {query} {in} {out}",
        "bash -x {query} {in} {out}",
        "bash -fc 'cp {in} {out}; echo {query}'",
        "sh -c -- 'cp {in} {out}; echo {query}'",
        "perl -we 'print \"{query}\"' {in} {out}",
        "matlab -batch \"sep('{in}','{out}','{query}')\"",
        "awk 'BEGIN{print \"{query}\"}' {in} {out}",
        "env -S 'tool {query}' {in} {out}",
        "tools/{source} {in} {out}",
        "tool.bat {in} {out} {query}",
        "env {query} {in} {out}",
        "/usr/bin/python3.12 {source} {in} {out}",
        "sh -c 'cp {in} {out}; echo {query}'",
        "bash -euxc 'tool {in} {out} {query}'",
        "nice bash -lc 'tool {in} {out} {query}'",
        "sh -c {query} {in} {out}",
        "python -Sc 'run({query!r})' {in} {out} {query}".replace("{query!r}", '"{query}"'),
        "python '-cprint(\"{source}\")' {in} {out}",
        "perl -ne 'print \"{query}\"' {in} {out}",
        "perl '-eprint \"{query}\"' {in} {out}",
        "node --eval 'f(\"{query}\")' {in} {out}",
        "node '--eval=f(\"{query}\")' {in} {out}",
        "cmd.exe /C tool {in} {out} {query}",
        "powershell -Command tool {in} {out} {query}",
        "pwsh.exe -NoProfile -c tool {in} {out} {query}",
        "eval tool {in} {out} {query}",
        # No list of programs knows these, so there is none.
        "tool {in} {out} {query}",
        "xargs -a {in} {query} {out}",
        "flock {in} {query} {out}",
        "strace -o {out} {query} {in}",
        "systemd-run {query} {in} {out}",
        "find {in} {out} -exec {query} +",
        "tar -cf {out} {in} --to-command={query}",
        "rsync -e {query} {in} {out}",
        "emacs --eval {query} {in} {out}",
        "gdb -ex {query} {in} {out}",
        "java -cp . {query} {in} {out}",
        "npx {query} {in} {out}",
        "busybox {query} {in} {out}",
        "/lib64/ld-linux-x86-64.so.2 {query} {in} {out}",
        "make -f {in} SHELL={query} {out}",
        "env LD_PRELOAD={query} tool {in} {out}",
        "tool --config={query} {in} {out}",
        "tool --text-command {query} {in} {out}",
        "tool -q {query} {in} {out}",
        "tool --text= {query} {in} {out}",
        "tool --text -- {query} {in} {out}",
        "--text={query} {in} {out}",
    ],
)
def test_what_a_session_says_is_never_code(command):
    with pytest.raises(ArgumentError, match="could run what a session says"):
        Command(command, NAMES, (0, 1))


@pytest.mark.parametrize(
    "command",
    [
        f"python {__file__} -c conf.yaml --text {{query}} {{in}} {{out}}",
        "python -m package --text {query} {in} {out}",
        f"nice -n 10 python {__file__} --instrument {{query}} {{in}} {{out}}",
        "tool --text={query} --name {source} {in} {out}",
        "tool --text-prompt={query} --source_name {source} {in} {out}",
        "tool '--text=the sound of a {query}; nothing else (please)' {in} {out}",
        'sh -c \'tool "$1" "$2" --text "$3"\' - {in} {out} --text {query}',
        'sh -c \'tool "$1" "$2" "$MNMF_QUERY"\' - {in} {out}',
        "sh -c 'cp {in} {out}'",
        "powershell -File tool.ps1 {in} {out} --text {query}",
    ],
)
def test_what_a_session_says_may_be_a_word(command):
    Command(command, NAMES, (0, 1))


def test_the_environment_says_whose_turn_it_is(script, take, monkeypatch):
    monkeypatch.setenv("MNMF_SOURCE", "an older one")
    text = """
import os, sys, soundfile
x, rate = soundfile.read(sys.argv[1], always_2d=True)
assert x.shape[1] == 1
soundfile.write(sys.argv[2], x * len(os.environ["MNMF_SOURCE"] + os.environ["MNMF_QUERY"]) / 20, rate, subtype="FLOAT")
"""
    words = [*shlex.split(script(text)), "{in}", "{out}", "# MNMF_QUERY"]
    found = Command(words, ("a", "bcd"), (0, 1), ("the a", "it"))(take, RATE)
    np.testing.assert_allclose(found["a"], take[:, :1] * 6 / 20, atol=1e-7)
    np.testing.assert_allclose(found["bcd"], take[:, 1:] * 5 / 20, atol=1e-7)


@pytest.mark.parametrize("name", ["-x", "a; b", "x" * 501, "a\u202eb"])
def test_the_environment_holds_no_code_either(name):
    for names in ((name, "a"), ("a", name)):
        with pytest.raises(ArgumentError, match="an option|nothing that could be code"):
            Command("sh -c 'tool $MNMF_SOURCE' {in} {out}", names[:1], (0,), names[1:])


def test_words_of_a_command(tmp_path):
    text = r"""tool "{in}" '{out}' --text="a b" c\ d"""
    assert _command._split(text, False) == ["tool", "{in}", "{out}", "--text=a b", "c d"]
    text = r""""C:\Program Files\tool.exe" C:\new\x.py {in} {out} --text='a b'"""
    assert _command._split(text, True) == [r"C:\Program Files\tool.exe", r"C:\new\x.py", "{in}", "{out}", "--text=a b"]
    assert Command([tmp_path / "tool", "{in}", "{out}"], NAMES, (0, 1)).words[0] == str(tmp_path / "tool")
    with pytest.raises(ArgumentError, match="cannot be read"):
        Command(["tool", "{in}", "{out}", 3], NAMES, (0, 1))


def test_commands_that_cannot_work():
    for command, message in (
        ("", "needs {in}"),
        ("tool {in}", "needs {out}"),
        ("{in} {out}", "needs {in}"),
        ("tool 'open {in} {out}", "cannot be read"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Command(command, NAMES, (0, 1))
    with pytest.raises(ArgumentError, match="as many spots and queries"):
        Command("tool {in} {out}", NAMES, (0,))
    with pytest.raises(ArgumentError, match="timeout"):
        Command("tool {in} {out}", NAMES, (0, 1), timeout=-1)


def test_failures_say_what_the_program_said(script, take):
    text = "import sys\nfor n in range(9): print('line', n)\nsys.stderr.write('out of luck\\n'); sys.exit(3)"
    with pytest.raises(
        EstimatorError, match=r"exit status 3.*line 5 \| line 6 \| line 7 \| line 8 \| out of luck"
    ) as e:
        Command(f"{script(text)} {{in}} {{out}}", NAMES, (0, 1))(take, RATE)
    assert "line 4" not in str(e.value)
    with pytest.raises(EstimatorError, match="cannot be run: no-such-program-here"):
        Command("no-such-program-here {in} {out}", NAMES, (0, 1))(take, RATE)
    says = f"{PYTHON} -c 'print(\"no model\")' {{in}} {{out}}"
    with pytest.raises(EstimatorError, match="wrote nothing; expected files called flute, cello.*; it said: no model"):
        Command(says, NAMES, (0, 1))(take, RATE)
    with pytest.raises(EstimatorError, match="wrote no file for 'flute'.*; it said: no model"):
        Command(f"{says} --source {{source}}", NAMES, (0, 1))(take, RATE)
    with pytest.raises(EstimatorError, match="wrote nothing.*; it said nothing"):
        Command(f"{PYTHON} -c pass {{in}} {{out}}", NAMES, (0, 1))(take, RATE)


def test_last_words_are_few():
    with tempfile.TemporaryFile() as said:
        said.write(b"early\n" + b"x" * 2**20 + b"\n" + b"".join(b" %d%%\r" % n for n in range(101)) + b"\nkilled\n")
        assert _command._last_lines(said) == "it said: 97% | 98% | 99% | 100% | killed"
        said.write(b"y" * 2**20)
        assert _command._last_lines(said) == "it said: " + "y" * 200


def test_a_command_that_takes_too_long_is_stopped_with_what_it_started(script, take, tmp_path):
    child = f"import time, pathlib; time.sleep(1.2); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(EstimatorError, match=r"longer than 0\.5 s.*; it said nothing"):
        Command(f"{script(text)} {{in}} {{out}}", NAMES, (0, 1), timeout=0.5)(take, RATE)
    time.sleep(1.4)
    assert not (tmp_path / "late").exists()


def test_what_a_command_says_before_it_is_stopped(script, take, monkeypatch):
    begin = _command._start

    def start(words, said, environment):
        process = begin(words, said, environment)
        while os.fstat(said.fileno()).st_size == 0 and process.poll() is None:
            time.sleep(0.01)
        return process

    monkeypatch.setattr(_command, "_start", start)
    text = "import time; print('loading the model', flush=True); time.sleep(60)"
    with pytest.raises(EstimatorError, match=r"longer than 0\.1 s.*; it said: loading the model"):
        Command(f"{script(text)} {{in}} {{out}}", NAMES, (0, 1), timeout=0.1)(take, RATE)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no groups of processes")
def test_what_a_command_started_ends_with_it(script, take, tmp_path):
    text = f"""
import subprocess, sys, pathlib
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
pathlib.Path({str(tmp_path / "child")!r}).write_text(str(child.pid))
{HALVES}"""
    Command(f"{script(text)} {{in}} {{out}}", NAMES, (0, 1))(take, RATE)
    assert gone(int((tmp_path / "child").read_text()))


def gone(pid):
    """Whether a process has ended; what nobody waited for yet still has its number."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    os.kill(pid, 9)
    return False


def test_takes_that_no_wav_file_holds(monkeypatch):
    monkeypatch.setattr(_command, "_write", None)  # which would write gigabytes
    long = np.broadcast_to(np.float32(0), (2**29, 2))  # no memory
    with pytest.raises(EstimatorError, match=r"more than 4 GiB \(536870912 samples, 2 mics\)"):
        Command("tool {in} {out}", NAMES, (0, 1))(long, RATE)
    with pytest.raises(EstimatorError, match="more than 4 GiB"):
        Command("tool {in} {out} --source {source}", NAMES, (0, 1))(np.broadcast_to(np.float32(0), (2**30, 2)), RATE)


def test_the_identity_of_a_command_is_its_files(tmp_path, monkeypatch):
    program, weights, script = (tmp_path / name for name in ("tool", "weights.pt", "infer.py"))
    for file in (program, weights, script):
        file.write_text("1")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    command = Command(f"tool {{in}} {{out}} --weights={weights} {script}", NAMES, (0, 1))
    seen = [command.identity]
    for file in (program, weights, script):
        file.write_text("22")
        seen.append(command.identity)
    assert len(set(seen)) == 4
    assert command.identity == seen[-1]


# --- remembering


def test_results_are_remembered_by_content(take, tmp_path):
    calls = []

    def estimator(audio, rate):
        calls.append(rate)
        return {"flute": audio[:, 0], "cello": Mask(np.full((3, 4), 0.5), 512, 256)}

    first = cached(estimator, "one", tmp_path)(take, RATE)
    again = cached(estimator, "one", tmp_path)(take.copy(), RATE)
    assert len(calls) == 1
    np.testing.assert_array_equal(again["flute"], first["flute"])
    assert (again["cello"].window_length, again["cello"].hop) == (512, 256)
    np.testing.assert_array_equal(again["cello"].values_FT, first["cello"].values_FT)
    cached(estimator, "two", tmp_path)(take, RATE)
    cached(estimator, "one", tmp_path)(take, RATE + 1)
    cached(estimator, "one", tmp_path)(take * np.float32(0.5), RATE)
    assert len(calls) == 4
    matrix = cached(lambda audio, rate: np.eye(2), "three", tmp_path)
    np.testing.assert_array_equal(matrix(take, RATE), np.eye(2))
    np.testing.assert_array_equal(matrix(take, RATE), np.eye(2))


DAMAGE = {
    "empty": lambda good: b"",
    "no archive": lambda good: b"damaged",
    "cut short": lambda good: good[: len(good) // 2],
    "almost whole": lambda good: good[:-10],
    "another archive": lambda good: archive(other=np.zeros(3)),
    "one array": lambda good: array(np.zeros(3)),
    "a bit of the sound": lambda good: good[:1000] + bytes([good[1000] ^ 1]) + good[1001:],
    "kinds of another make": lambda good: archive(kinds=np.array('[["sound"]]'), a0=np.zeros(3)),
}


def archive(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def array(x):
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_results_are_not_there(take, tmp_path, damage):
    calls = []

    def estimator(audio, rate):
        calls.append(rate)
        return {"flute": audio[:, 0]}

    memory = cached(estimator, "one", tmp_path)
    memory(take, RATE)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_array_equal(memory(take, RATE)["flute"], take[:, 0])
    assert len(calls) == 2
    np.testing.assert_array_equal(memory(take, RATE)["flute"], take[:, 0])
    assert len(calls) == 2  # it was written again


def test_sources_without_an_estimate_stay_without_one(take, tmp_path):
    calls = []

    def estimator(audio, rate):
        calls.append(rate)
        return {"flute": audio[:, 0], "cello": None}

    memory = cached(estimator, "one", tmp_path)
    assert [list(memory(take, RATE)) for _ in range(2)] == [["flute"], ["flute"]]
    assert len(calls) == 1
    assert cached(lambda audio, rate: None, "two", tmp_path)(take, RATE) is None
    assert cached(lambda audio, rate: {"flute": None}, "three", tmp_path)(take, RATE) == {}
    assert len(list(tmp_path.iterdir())) == 1


def test_estimators_that_do_not_know_themselves_need_a_name(take, tmp_path):
    with pytest.raises(ArgumentError, match="identity is needed"):
        cached(lambda audio, rate: audio)
    with pytest.raises(ArgumentError, match="identity is needed"):
        cached(equivariant(favours_the_first, 2))
    soundfile.write(tmp_path / "flute.wav", take[:, 0], RATE)
    memory = cached(EstimateFolder(tmp_path, NAMES), folder=tmp_path)
    first = memory(take, RATE)["flute"]
    soundfile.write(tmp_path / "flute.wav", take[:, 0] / 2, RATE)
    assert not np.allclose(memory(take, RATE)["flute"], first)


def test_files_of_others_stay(take, tmp_path, monkeypatch):
    monkeypatch.setattr(_cache, "CACHE_BYTES", 0)
    others = ["weights.npz", "0" * 63 + ".npz", "A" * 64 + ".npz", "0" * 64 + ".npy", ".hidden.npz", "0" * 64]
    ours = ["0" * 64 + ".npz", f".{'0' * 64}.npz.12.34"]
    for name in others + ours:
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / ("1" * 64 + ".npz")).mkdir()
    cached(lambda audio, rate: {"a": audio}, "one", tmp_path)(take, RATE)
    left = {path.name for path in tmp_path.iterdir()}
    assert left.issuperset(others)
    assert left.isdisjoint(ours)
    assert len(left) == len(others) + 2


def test_the_oldest_results_go(take, tmp_path, monkeypatch):
    monkeypatch.setattr(_cache, "CACHE_BYTES", 2.5 * take.nbytes)
    for n in range(4):
        cached(lambda audio, rate: {"a": audio}, str(n), tmp_path)(take, RATE)
        time.sleep(0.02)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MNMF_CACHE", str(tmp_path))
    assert estimators.cache_folder() == tmp_path


# --- orders of the microphones


def favours_the_first(audio_LM, rate):
    return audio_LM * np.array([2.0] + [1.0] * (audio_LM.shape[1] - 1)) + audio_LM.sum(axis=1, keepdims=True)


def test_the_mean_over_all_orders_does_not_depend_on_the_order(take):
    x = np.concatenate([take, take[::-1] ** 2], axis=1)[:, :3]
    whole = equivariant(favours_the_first, 6)
    expected = x * (1 + 1 / 3) + x.sum(axis=1, keepdims=True)
    for order in permutations(range(3)):
        np.testing.assert_allclose(whole(x[:, order], RATE), expected[:, order], atol=1e-5)
    some = equivariant(favours_the_first, 2)(x, RATE)
    assert not np.allclose(some, expected, atol=1e-3)
    np.testing.assert_array_equal(some, equivariant(favours_the_first, 2)(x, RATE))
    np.testing.assert_allclose(equivariant(favours_the_first, 1)(x, RATE), favours_the_first(x, RATE), atol=1e-6)


def test_orders_need_one_source_for_each_microphone(take):
    with pytest.raises(ArgumentError, match="one source for each microphone"):
        equivariant(lambda audio, rate: audio[:, :1], 2)(take, RATE)
    with pytest.raises(ArgumentError, match="n_permutations"):
        equivariant(favours_the_first, 0)


# --- networks


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    for module in ("torch", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EstimatorError, match="pip install torch"):
        estimators.torchscript(tmp_path / "network.pt")
    with pytest.raises(EstimatorError, match="pip install onnxruntime"):
        estimators.onnx(tmp_path / "network.onnx")
    with pytest.raises(EstimatorError, match="pip install demucs"):
        estimators.demucs("htdemucs", {"cello": "bass"}, {"cello": 0})


def test_what_is_wrong_with_arguments_is_said_before_demucs_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for stems, spots, message in (
        ({}, {}, "stems is empty"),
        ({"cello": "bass"}, {"violin": 0}, "'cello' has no microphone in spots"),
        ({"cello": "bass"}, {"cello": -1}, "spots"),
        ({"cello": "celli"}, {"cello": 0}, "'cello': the model has the stems drums, .* not 'celli'"),
    ):
        with pytest.raises(ArgumentError, match=message):
            estimators.demucs("htdemucs", stems, spots)


# --- the page


@pytest.mark.skipif(not PAGE.exists(), reason="the docs are not part of this distribution")
def test_the_examples_of_the_page_run(take, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "take.wav", np.repeat(take, 2, axis=0), RATE, subtype="FLOAT")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNMF_CACHE", str(tmp_path / "cache"))
    made = []

    def fake_demucs(model, given, spots):
        made.append((model, set(given), spots))
        assert set(given.values()) <= set(_networks.DEMUCS_STEMS)
        return _networks._Known(lambda audio, rate: {name: audio[:, m] for name, m in spots.items()}, lambda: model)

    monkeypatch.setattr(estimators, "demucs", fake_demucs)
    monkeypatch.setattr(estimators, "torchscript", lambda path, sample_rate: lambda audio, rate: audio)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    there = {}
    separations = [block for block in blocks if "separate(" in block]
    for block in separations:
        exec(block.replace("separate(session", "separate(session, iterations=1, components=1"), there)
        assert there.pop("stems_LN").shape == (2 * RATE, 2)
    assert len(separations) == 3
    assert made == [("htdemucs_ft", {"violin", "cello"}, {"violin": 0, "cello": 1})]
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "session.toml").write_text(toml)
    session = mnmf.Session.from_toml(tmp_path / "session.toml")
    assert session.queries == ("the sound of a violin, close", "cello")
    for command in re.findall(r"--estimate-command '(.*?)'", PAGE.read_text("utf-8")):
        Command(command, session.sources, (0, 1), session.queries)


# --- the command line


@pytest.fixture
def session(tmp_path, take):
    """Two spots with some bleed, and what each would hear of its player alone."""
    clean = np.repeat(take, 2, axis=0) * np.hanning(2 * len(take))[:, None].astype(np.float32)
    clean[:, 1] = np.sin(np.arange(len(clean)) / 9) / 3
    mixture = clean @ np.array([[1.0, 0.3], [0.3, 1.0]]) * 0.5
    soundfile.write(tmp_path / "take.wav", mixture, RATE, subtype="FLOAT")
    (tmp_path / "network").mkdir()
    for n, name in enumerate(NAMES):
        soundfile.write(tmp_path / "network" / f"{name}.wav", clean[:, n], RATE, subtype="FLOAT")
    return tmp_path


def separate(folder, *options, capsys=None):
    words = ["separate", str(folder / "take.wav"), "--sources", "flute,cello", "--iterations", "2", "--components", "3"]
    status = cli.run([*words, "--out", str(folder / "stems"), *options])
    return status, capsys.readouterr().err if capsys else ""


def stems(folder):
    return np.stack([soundfile.read(folder / "stems" / f"{name}.wav")[0] for name in NAMES], axis=1)


def test_estimates_change_the_stems_and_are_recorded(session, capsys):
    assert separate(session) == (0, "")
    plain = stems(session)
    assert separate(session, "--estimates", str(session / "network"), "--overwrite")[0] == 0
    helped = stems(session)
    assert not np.allclose(helped, plain, atol=1e-4)
    manifest = json.loads((session / "stems" / "manifest.json").read_text())
    assert manifest["parameters"]["trust"] == 1.0
    assert "network" in manifest["parameters"]["estimates"]
    assert "../network/flute.wav" in manifest["sha256"]
    options = ["--estimates", str(session / "network"), "--trust", "0", "--overwrite"]
    assert separate(session, *options)[0] == 0
    np.testing.assert_array_equal(stems(session), plain)


def test_the_former_names_of_the_options_still_work(session, capsys):
    """And the help leaves them out."""
    folder = str(session / "network")
    assert separate(session, "--estimates", folder, "--trust", "0.5")[0] == 0
    helped = stems(session)
    assert separate(session, "--prior-stems", folder, "--prior-weight", "0.5", "--overwrite")[0] == 0
    np.testing.assert_array_equal(stems(session), helped)
    status, said = separate(session, "--prior-stems", folder, "--prior-timeout", "5", capsys=capsys)
    assert (status, "--estimate-timeout limits --estimate-command" in said) == (2, True)
    assert cli.run(["separate", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "--estimates DIR" in printed
    assert "--prior" not in printed


def test_estimate_command(session, capsys, script, monkeypatch):
    monkeypatch.setenv("MNMF_CACHE", str(session / "cache"))
    options = ["--estimate-command", f"{script(HALVES)} {{in}} {{out}}", "--overwrite"]
    assert separate(session, *options)[0] == 0
    first = stems(session)
    assert len(list((session / "cache").iterdir())) == 1
    with monkeypatch.context() as unplugged:
        unplugged.setattr(_command, "_start", None)
        assert separate(session, *options)[0] == 0
    np.testing.assert_array_equal(stems(session), first)
    capsys.readouterr()
    status, said = separate(
        session, "--estimate-command", f"{PYTHON} -c 1/0 {{in}} {{out}}", "--overwrite", capsys=capsys
    )
    assert status == 2
    assert "ZeroDivisionError" in said
    assert len(said.splitlines()) == 1
    np.testing.assert_array_equal(stems(session), first)  # nothing is lost


HOSTILE = [
    "; touch PWNED",
    "$(touch PWNED)",
    "`touch PWNED`",
    "| touch PWNED",
    '"; touch PWNED; "',
    "'; touch PWNED; '",
    "violin\ntouch PWNED\n",
    "{out}",
    "{in} {source}",
    "../PWNED",
    "*",
    "%PATH% ${HOME} ~ \\",
]

ECHO = """
import json, sys, soundfile
x, rate = soundfile.read(sys.argv[1])
soundfile.write(sys.argv[2], x / 2, rate, subtype="FLOAT")
with open("asked", "a") as file:
    file.write(json.dumps(sys.argv[3:]) + "\\n")
"""


def separate_session(folder, toml, command):
    (folder / "session.toml").write_text(toml, encoding="utf-8")
    words = ["separate", str(folder / "session.toml"), "--iterations", "1", "--components", "1", "--window", "0.016"]
    return cli.run([*words, "--out", str(folder / "stems"), "--estimate-command", command])


def test_what_a_session_file_says_reaches_the_command_as_one_word(session, script, monkeypatch):
    monkeypatch.setenv("MNMF_CACHE", str(session / "cache"))
    monkeypatch.chdir(session)
    name, query = "viola d'amore", "the sound of a viola, close"
    toml = f'take = "take.wav"\nsources = ["{name}", "cello"]\n[queries]\n"{name}" = "{query}"\n'
    assert separate_session(session, toml, f"{script(ECHO)} {{in}} {{out}} --text {{query}} --name={{source}}") == 0
    asked = [json.loads(line) for line in (session / "asked").read_text().splitlines()]
    assert asked == [["--text", query, f"--name={name}"], ["--text", "cello", "--name=cello"]]


@pytest.mark.parametrize("query", HOSTILE)
def test_what_could_be_code_in_a_session_file_is_refused(session, script, monkeypatch, capsys, query):
    monkeypatch.chdir(session)
    tool = script(ECHO)
    before = {path.name for path in session.iterdir()}
    # A string of JSON is one of TOML, too.
    toml = f"take = 'take.wav'\nsources = ['flute', 'cello']\n[queries]\nflute = {json.dumps(query)}"
    assert separate_session(session, toml, f"{tool} {{in}} {{out}} --text {{query}} --name={{source}}") == 2
    assert "nothing that could be code" in capsys.readouterr().err
    assert {path.name for path in session.iterdir()} - before == {"session.toml"}
    assert not list(session.parent.rglob("PWNED"))


@pytest.mark.parametrize(
    ("source", "query", "message"),
    [
        ("flute", "--weights=PWNED", "'--weights=PWNED' would be an option"),
        ("-rf", "flute", "'-rf' would be an option"),
        ("../PWNED", "flute", "cannot be a file name"),
        ("a\nb", "flute", "cannot be a file name"),
    ],
)
def test_what_a_session_file_must_not_say(session, script, monkeypatch, capsys, source, query, message):
    monkeypatch.chdir(session)
    tool = script(ECHO)
    before = sorted(session.rglob("*"))
    toml = f"take = 'take.wav'\nsources = [{json.dumps(source)}, 'cello']\n[queries]\n{json.dumps(source)} = "
    assert (
        separate_session(
            session, toml + json.dumps(query), f"{tool} {{in}} {{out}} --source {{source}} --text {{query}}"
        )
        == 2
    )
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert [path.name for path in sorted(session.rglob("*")) if path not in before] == ["session.toml"]


@pytest.mark.parametrize("command", ["sh -c 'cp {in} {out}; echo {query}'", "{query} {in} {out}"])
def test_a_session_file_never_says_what_is_run(session, monkeypatch, capsys, command):
    monkeypatch.chdir(session)
    toml = "take = 'take.wav'\nsources = ['flute', 'cello']\n[queries]\nflute = 'violin; touch PWNED'\n"
    assert separate_session(session, toml, command) == 2
    assert "could run what a session says" in capsys.readouterr().err
    assert not list(session.rglob("PWNED"))


def test_estimates_that_are_refused(session, capsys):
    folder = str(session / "network")
    for options, message in (
        (["--estimates", folder, "--estimate-command", "x {in} {out}"], "give one of them"),
        (["--trust", "0.5"], "give one of them"),
        (["--estimate-timeout", "5"], "--estimate-timeout"),
        (["--estimates", folder, "--trust", "2"], "--trust must be"),
        (["--estimates", ""], "needs the folder"),
        (["--estimates", folder, "--method", "fastmnmf2-blind"], "fastmnmf2-blind has no use for estimates"),
        (["--estimates", str(session / "nowhere")], "no such folder"),
    ):
        status, said = separate(session, *options, capsys=capsys)
        assert status == 2, options
        assert message in said
        assert not (session / "stems").exists()


def test_estimates_are_never_overwritten(session, capsys):
    (session / "network").rename(session / "stems")
    before = stems(session)
    status, said = separate(session, "--estimates", str(session / "stems"), "--overwrite", capsys=capsys)
    assert status == 2
    assert "stems" in said
    np.testing.assert_array_equal(stems(session), before)


def test_a_missing_stem_is_named(session, capsys):
    (session / "network" / "cello.wav").unlink()
    status, said = separate(session, "--estimates", str(session / "network"), capsys=capsys)
    assert status == 0
    assert "no estimate of cello" in said


def test_estimates_of_sources_that_share_a_mic_are_refused(session, capsys):
    (session / "solos.txt").write_text("0\t0.5\tflute\n1\t1.5\tcello\n")
    words = [
        "separate",
        str(session / "take.wav"),
        "--out",
        str(session / "stems"),
        "--solos",
        str(session / "solos.txt"),
    ]
    words += ["--spot", "flute=1", "--spot", "cello=1", "--ambient", "2", "--estimates", str(session / "network")]
    assert cli.run(words) == 2
    assert "share a mic" in capsys.readouterr().err


def test_commands_can_be_stopped(script, take, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    text = f"import pathlib, time; pathlib.Path({str(tmp_path / 'there')!r}).touch(); time.sleep(60)"
    command = Command(f"{script(text)} {{in}} {{out}}", NAMES, (0, 1))
    failed = []

    def work():
        try:
            command(take, RATE)
        except EstimatorError as error:
            failed.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not (tmp_path / "there").exists() and thread.is_alive():
        time.sleep(0.01)
    assert [path.name for path in (tmp_path / "scratch").glob("mnmf-*/*.wav")] == ["take.wav"]
    estimators.stop_commands()
    assert not list((tmp_path / "scratch").glob("mnmf-*"))
    thread.join(10)
    assert "signal 9" in failed[0]


def test_no_command_begins_once_they_were_stopped(take, monkeypatch):
    write = _command._write

    def write_and_stop(*args):
        write(*args)
        estimators.stop_commands()

    monkeypatch.setattr(_command, "_write", write_and_stop)
    with pytest.raises(EstimatorError, match="was stopped"):
        Command(f"{PYTHON} -c pass {{in}} {{out}} --source {{source}}", NAMES, (0, 1))(take, RATE)
