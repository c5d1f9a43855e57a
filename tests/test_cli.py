"""The command line as its users meet it: what it writes, what it prints, and what it refuses."""

import hashlib
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from mnmf import NoteDictionary, cli, data, simulate
from mnmf.methods import METHODS
from tests.processes import end, restored_signals, started

pytestmark = pytest.mark.slow

RATE = 8000
NAMES = ("violin", "viola", "cello")
SMALL = ["--components", "4", "--iterations", "4"]
QUICK = ["--method", "fastmnmf2", *SMALL]
ANY = ["--method", "pairwise"]  # the quickest, where no stem matters
# One of each model and start; every method by itself is in test_separate_then_score.
ONE_OF_EACH = ("fastmnmf2", "fastmnmf2-blind", "mnmf-fixh", "mnmf-is", "ntf-panning", "kamir", "time-domain")


# What is said of solos as short as those here.
SHORT = (
    "mnmf: short solos (violin 1.5 s, viola 1.5 s, cello 1.5 s): under 3 s of playing shows few frequencies and can do "
    "more harm than good; label more (claps may be as short)\n"
)


def quick(method):
    """Return the options of a method that make it fast."""
    return ["--method", method, *(SMALL[:2] if METHODS[method].components else []), *_iterations(method, SMALL[3])]


def _iterations(method, number):
    return ["--iterations", number] if METHODS[method].iterations else []


def ensemble(seconds=1.5, seed=0, extra_mics=0):
    """Return a take, its solos and the true images: three players, each a third above the next, bleed at -10 dB."""
    rng = np.random.default_rng(seed)
    time_L = np.arange(round(seconds * RATE)) / RATE

    def play(n, melody_seed):
        notes = np.random.default_rng(melody_seed).integers(0, 5, 6)
        pitch = 220 * (n + 1) * 2 ** (np.repeat(notes, -(-len(time_L) // 6))[: len(time_L)] / 6)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        fading = np.exp(-3 * (6 * np.arange(len(time_L)) / len(time_L) % 1))
        return sum(np.sin(k * phase) / k for k in range(1, 4)) * 0.1 * fading

    N, M = len(NAMES), len(NAMES) + extra_mics
    mixing_MN = np.full((M, N), 10 ** (-10 / 20)) * rng.uniform(0.8, 1.2, (M, N))
    mixing_MN[range(N), range(N)] = 1.0
    stems_LN = np.stack([play(n, 10 + n) for n in range(N)], axis=1)
    solos_LM = np.concatenate([play(n, 20 + n)[:, None] * mixing_MN[:, n] for n in range(N)])
    return stems_LN @ mixing_MN.T, solos_LM, stems_LN * mixing_MN[range(N), range(N)]


@pytest.fixture
def files(tmp_path):
    """Write a session as files and return the arguments that separate it."""
    return write_session(tmp_path)


def write_session(folder, container="wav", subtype="PCM_24", **options):
    take, solos, truth = ensemble(**options)
    length = len(take) / RATE
    sf.write(folder / f"take.{container}", take, RATE, subtype)
    sf.write(folder / f"solos.{container}", solos, RATE, subtype)
    sf.write(folder / "truth.wav", truth, RATE, "FLOAT")
    labels = "".join(f"{n * length}\t{(n + 1) * length}\t{name}\n" for n, name in enumerate(NAMES))
    (folder / "solos.txt").write_text(labels)
    return [
        f"{folder}/take.{container}",
        "--solos",
        f"{folder}/solos.txt",
        "--solo-take",
        f"{folder}/solos.{container}",
        "--out",
        f"{folder}/out",
    ]


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def read_manifest(folder):
    return json.loads((Path(folder) / "manifest.json").read_text("utf-8"))


# What it does


def test_solos_of_some_sources_only_help_but_less(files, tmp_path, capsys):
    labels = (tmp_path / "solos.txt").read_text().splitlines(keepends=True)
    told = ["--sources", "violin,viola,cello", "--spot", "cello=3", "--spot", "viola=2", "--spot", "violin=1"]
    told += ["--components", "8", "--iterations", "6"]
    level = {}
    for missing in ("", "cello", "viola cello violin"):
        (tmp_path / "solos.txt").write_text("".join(line for line in labels if line.split()[-1] not in missing.split()))
        solos = [] if missing.count(" ") else files[1:5]
        assert cli.run(["separate", files[0], *solos, *told, "--out", f"{tmp_path}/out", "--overwrite"]) == 0
        warned = capsys.readouterr().err
        assert ("no solo of cello" in warned) == (missing == "cello")
        stems = [sf.read(tmp_path / "out" / f"{name}.wav")[0] for name in NAMES]
        truth, _ = sf.read(tmp_path / "truth.wav")
        level[missing] = np.sum((np.stack(stems, axis=1) - truth) ** 2)
    assert level[""] < level["cello"] < level["viola cello violin"]


def test_bases_from_a_dictionary_take_the_place_of_solos(files, tmp_path, capsys):
    told = ["--spot", "violin=1", "--method", "mnmf-blind", "--iterations", "2", "--sources", "violin,viola,cello"]
    run = ["separate", files[0], "--out", f"{tmp_path}/out", "--overwrite", *told]
    assert cli.run(run) == 2
    assert "a solo of every source, or a --dictionary of their notes; 'violin' has none" in capsys.readouterr().err
    assert cli.run([*run, "--dictionary", "orchestra"]) == 0
    record = read_manifest(tmp_path / "out")["parameters"]
    assert record["dictionary"] == "orchestra"
    assert record["instruments"] == ["violin", "viola", "cello"]
    first = (tmp_path / "out" / "viola.wav").read_bytes()
    assert cli.run([*run, "--instruments", "flute,double bass,horn"]) == 0
    record = read_manifest(tmp_path / "out")["parameters"]
    assert record["dictionary"] == "orchestra"
    assert record["instruments"] == ["flute", "double bass", "horn"]
    assert (tmp_path / "out" / "viola.wav").read_bytes() != first

    NoteDictionary.embedded().save(tmp_path / "mine.npz")
    assert cli.run([*run, "--dictionary", "orchestra", "--dictionary", f"mine={tmp_path}/mine.npz"]) == 0
    record = read_manifest(tmp_path / "out")
    assert record["parameters"]["dictionary"] == "orchestra + mine"
    assert (tmp_path / "out" / "viola.wav").read_bytes() == first
    assert record["sha256"]["../mine.npz"] == hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()


def test_a_dictionary_is_never_overwritten(files, tmp_path, capsys):
    own = tmp_path / "out" / "manifest.json"  # an odd name for one, and a file that the stems would bring
    own.parent.mkdir()
    NoteDictionary.embedded().save(own)
    before = own.read_bytes()
    told = ["--method", "mnmf-fixh", "--dictionary", f"mine={own}", "--overwrite"]
    assert cli.run(["separate", *files, *told]) == 2
    assert "manifest.json" in capsys.readouterr().err
    assert own.read_bytes() == before


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["--method", "kamir", "--components", "3"], "kamir has no components"),
        (["--method", "time-domain", "--window", "0.1"], "time-domain works on waveforms and has no window"),
        (["--method", "linear", "--iterations", "3"], "linear has no iterations"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(files, tmp_path, capsys, told, message):
    assert cli.run(["separate", *files, *told]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            ["--method", "mnmf-blind", "--dictionary", "jazz"],
            "no embedded dictionary 'jazz', only orchestra",
        ),
        (["--method", "mnmf-blind", "--dictionary", "jazz="], "--dictionary wants NAME or NAME=FILE"),
        (["--method", "mnmf-blind", "--dictionary", "jazz=none.npz"], "none.npz: cannot be read"),
        (["--method", "mnmf-blind", "--instruments", "violin,viola"], "--instruments names 2, but there are 3 sources"),
        (["--method", "mnmf-blind", "--instruments", "violin,viola,kazoo"], "kazoo"),
        (["--method", "mnmf-blind", "--dictionary", "orchestra", "--components", "3"], "one of the two, not both"),
        (
            ["--method", "fastmnmf2-blind", "--dictionary", "orchestra"],
            "has no use for a dictionary",
        ),
    ],
)
def test_a_dictionary_that_cannot_help_is_refused(files, tmp_path, capsys, told, message):
    assert cli.run(["separate", *files, *told]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", METHODS)
def test_separate_then_score(files, tmp_path, capsys, method):
    measured = method in ("fastmnmf2", "mnmf-fixh")
    sized = ["--components", "12"] if METHODS[method].components else []
    iterated = _iterations(method, "20" if measured else "3")
    assert cli.run(["separate", *files, "--method", method, *sized, *iterated]) == 0
    printed = capsys.readouterr()
    assert "violin: mic 1, where its solo is" in printed.out
    assert f"3 sources by {method} in" in printed.out
    assert f"stems in {tmp_path}/out" in printed.out
    assert printed.err == ("" if METHODS[method].longer_window else SHORT)
    assert sorted(os.listdir(tmp_path / "out")) == ["cello.wav", "manifest.json", "viola.wav", "violin.wav"]

    arguments = ["score", f"{tmp_path}/out", "--reference", f"{tmp_path}/truth.wav"]
    assert cli.run([*arguments, "--mixture", f"{tmp_path}/take.wav", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in result["sources"]] == list(NAMES)
    row = result["sources"][0]
    assert row["delta"]["sdr"] == pytest.approx(row["output"]["sdr"] - row["input"]["sdr"])
    assert result["mean"]["delta"]["sdr"] == pytest.approx(np.mean([r["delta"]["sdr"] for r in result["sources"]]))
    if measured:
        assert result["mean"]["delta"]["sdr"] > 5
    assert cli.run([*arguments, "--mixture", f"{tmp_path}/take.wav"]) == 0
    table = capsys.readouterr().out
    assert "ΔSDR" in table
    assert "mean" in table
    assert cli.run(arguments) == 0
    assert "Δ" not in capsys.readouterr().out


def test_manifest_tells_how_the_stems_were_made(files, tmp_path):
    assert cli.run(["separate", *files, *SMALL, "--seed", "3", "--method", "mnmf-updth"]) == 0
    record = read_manifest(tmp_path / "out")
    assert record["method"] == "mnmf-updth"
    assert record["parameters"]["seed"] == 3
    assert record["parameters"]["components"] == 4
    assert record["parameters"]["window_samples"] == 360  # about 46 ms at 8 kHz, a length that transforms fast
    assert [source["mics"] for source in record["sources"]] == [[1], [2], [3]]
    assert record["sources"][1]["solos"] == [[1.5, 3.0]]
    for path, digest in record["sha256"].items():
        assert hashlib.sha256((tmp_path / "out" / path).read_bytes()).hexdigest() == digest
    assert record["take"] == ["../take.wav"]
    assert len(record["sha256"]) == 3
    assert record["peak_memory_mb"] > 1
    assert set(record["seconds"]) == {"read", "prepare", "fit", "reconstruct"}


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "PCM_32"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("flac", "PCM_16"),
        ("flac", "PCM_24"),
    ],
)
def test_stems_have_the_format_of_the_take(tmp_path, container, subtype):
    arguments = write_session(tmp_path, container, subtype)
    assert cli.run(["separate", *arguments, *ANY]) == 0
    take, _ = sf.read(tmp_path / f"take.{container}")
    for n, name in enumerate(NAMES):
        stem = sf.info(tmp_path / "out" / f"{name}.{container}")
        assert (stem.samplerate, stem.channels, stem.frames) == (RATE, 1, len(take))
        assert (stem.format, stem.subtype) == (container.upper(), subtype)
        x, _ = sf.read(tmp_path / "out" / f"{name}.{container}")
        assert 0.3 < np.std(x) / np.std(take[:, n]) < 1.1  # the level of the take


def test_one_file_a_mic_gives_what_one_polyphonic_file_gives(files, tmp_path):
    assert cli.run(["separate", *files, *ANY]) == 0
    paths = {}
    for kind in ("take", "solos"):
        x, _ = sf.read(tmp_path / f"{kind}.wav")
        (tmp_path / kind).mkdir()
        paths[kind] = [str(tmp_path / kind / f"spot{m}.wav") for m in range(3)]
        for m in range(3):
            sf.write(paths[kind][m], x[:, m], RATE, "PCM_24")
    solo_takes = [part for path in paths["solos"] for part in ("--solo-take", path)]
    arguments = ["--solos", f"{tmp_path}/solos.txt", *solo_takes, "--out", f"{tmp_path}/split"]
    assert cli.run(["separate", *paths["take"], *arguments, *ANY]) == 0
    for name in NAMES:
        a, b = (tmp_path / folder / f"{name}.wav" for folder in ("out", "split"))
        np.testing.assert_array_equal(sf.read(a)[0], sf.read(b)[0])
    assert read_manifest(tmp_path / "split")["sources"][0]["mic_names"] == ["spot0"]


def test_a_session_file_says_the_same(files, tmp_path):
    assert cli.run(["separate", *files, *ANY]) == 0
    text = 'take = "take.wav"\nsolos = "solos.txt"\nsolo-take = "solos.wav"\n'
    (tmp_path / "session.toml").write_text(text)
    assert cli.run(["separate", f"{tmp_path}/session.toml", "--out", f"{tmp_path}/toml", *ANY]) == 0
    for name in NAMES:
        assert (tmp_path / "out" / f"{name}.wav").read_bytes() == (tmp_path / "toml" / f"{name}.wav").read_bytes()


def test_two_runs_and_any_number_of_threads_give_the_same_bytes(files, tmp_path):
    found = []
    for threads in ("1", "2", "2"):
        environment = {**os.environ, "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-m", "mnmf", "separate", *files, "--method", "mnmf-updth", "--overwrite"]
        subprocess.run([*command, "--iterations", "4"], env=environment, check=True, stdout=subprocess.DEVNULL)
        found.append({name: digest for name, digest in digests(tmp_path / "out").items() if name != "manifest.json"})
    assert found[0] == found[1] == found[2]


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    """Return the stems of `write_session` by `QUICK`."""
    folder = tmp_path_factory.mktemp("quick")
    assert cli.run(["separate", *write_session(folder), *QUICK]) == 0
    return digests(folder / "out")


@pytest.mark.parametrize(
    "option",
    [["--seed", "1"], ["--iterations", "9"], ["--components", "7"], ["--window", "0.1"], ["--method", "mnmf-updth"]],
)
def test_every_option_changes_the_stems(files, tmp_path, stems, option):
    assert cli.run(["separate", *files, *QUICK, *option]) == 0
    after = digests(tmp_path / "out")
    assert all(stems[f"{name}.wav"] != after[f"{name}.wav"] for name in NAMES)


def test_names_spots_and_ambient_mics_can_be_told(tmp_path, capsys):
    arguments = write_session(tmp_path, extra_mics=1)
    told = ["--sources", "cello,violin,viola", "--spot", "cello=3", "--ambient", "4"]
    assert cli.run(["separate", *arguments, *ANY, *told]) == 0
    printed = capsys.readouterr().out
    assert "cello: mic 3\n" in printed
    assert "ambient: mic 4\n" in printed
    record = read_manifest(tmp_path / "out")
    assert [(source["name"], source["mics"]) for source in record["sources"]] == [
        ("cello", [3]),
        ("violin", [1]),
        ("viola", [2]),
    ]
    assert record["ambient_mics"] == [4]


def test_more_sources_than_mics(tmp_path, capsys):
    arguments = write_session(tmp_path)
    for name in ("take", "solos"):
        x, _ = sf.read(tmp_path / f"{name}.wav")
        sf.write(tmp_path / f"{name}.wav", x[:, :2], RATE, "PCM_24")
    assert cli.run(["separate", *arguments, *QUICK]) == 2
    assert "say --spot" in capsys.readouterr().err
    assert cli.run(["separate", *arguments, *QUICK, "--spot", "viola=2", "--spot", "cello=2"]) == 0
    x, _ = sf.read(tmp_path / "out" / "cello.wav")
    assert np.isfinite(x).all()
    assert x.any()


@pytest.mark.parametrize("seconds", [0.01, 0.002])
def test_a_take_shorter_than_a_window(tmp_path, seconds):
    arguments = write_session(tmp_path)
    x, _ = sf.read(tmp_path / "take.wav")
    x = x[: round(seconds * RATE)]
    sf.write(tmp_path / "take.wav", x, RATE, "FLOAT")
    for method in ONE_OF_EACH:
        assert cli.run(["separate", *arguments, *quick(method), "--overwrite"]) == 0
        stem, _ = sf.read(tmp_path / "out" / "viola.wav")
        assert len(stem) == len(x)
        assert np.isfinite(stem).all()


def test_a_silent_spot_gives_a_silent_stem(tmp_path):
    arguments = write_session(tmp_path)
    x, _ = sf.read(tmp_path / "take.wav")
    x[:, 1] = 0
    sf.write(tmp_path / "take.wav", x, RATE, "PCM_24")
    for method in ONE_OF_EACH:
        assert cli.run(["separate", *arguments, *quick(method), "--overwrite"]) == 0
        assert not sf.read(tmp_path / "out" / "viola.wav")[0].any()
        assert sf.read(tmp_path / "out" / "cello.wav")[0].any()


def test_a_silent_take_gives_silent_stems(tmp_path):
    arguments = write_session(tmp_path)
    sf.write(tmp_path / "take.wav", np.zeros((3000, 3)), RATE, "PCM_24")
    assert cli.run(["separate", *arguments, *SMALL]) == 0
    assert not sf.read(tmp_path / "out" / "violin.wav")[0].any()


def test_two_identical_spots_work_when_told(tmp_path, capsys):
    arguments = write_session(tmp_path)
    for name in ("take", "solos"):
        x, _ = sf.read(tmp_path / f"{name}.wav")
        x[:, 1] = x[:, 0]
        sf.write(tmp_path / f"{name}.wav", x, RATE, "PCM_24")
    assert cli.run(["separate", *arguments]) == 2
    assert "(mic 2 set aside, as `mnmf inspect` says why)" in capsys.readouterr().err
    assert cli.run(["separate", *arguments, "--unchecked"]) == 2
    assert "as loud at mic 1 and mic 2" in capsys.readouterr().err
    for method in ONE_OF_EACH:
        told = ["--spot", "violin=1", "--spot", "viola=2", "--overwrite"]
        assert cli.run(["separate", *arguments, *quick(method), *told]) == 0
        assert np.isfinite(sf.read(tmp_path / "out" / "viola.wav")[0]).all()


def test_solos_may_carry_on_into_their_tail(tmp_path, capsys):
    arguments, options = write_session(tmp_path), ["--components", "8", "--iterations", "5"]

    def mean_gain():
        capsys.readouterr()
        truth = ["--reference", f"{tmp_path}/truth.wav", "--mixture", f"{tmp_path}/take.wav"]
        assert cli.run(["score", f"{tmp_path}/out", *truth, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["mean"]["delta"]["sdr"]

    assert cli.run(["separate", *arguments, *options]) == 0
    without_tails = mean_gain()
    assert without_tails > 5
    x, _ = sf.read(tmp_path / "solos.wav")
    tail = np.exp(-np.arange(RATE) / 500)[:, None] * np.random.default_rng(0).standard_normal((RATE, 3)) * 0.01
    pieces = [part for piece in np.split(x, 3) for part in (piece, tail)]
    sf.write(tmp_path / "solos.wav", np.concatenate(pieces), RATE, "PCM_24")
    (tmp_path / "solos.txt").write_text("0\t2.5\tviolin\n2.5\t5\tviola\n5\t7.5\tcello\n")
    assert cli.run(["separate", *arguments, *options, "--overwrite"]) == 0
    assert abs(mean_gain() - without_tails) < 1


def test_methods_are_listed(capsys):
    assert cli.run(["methods"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in METHODS)
    assert "(default)" in printed


def test_a_blind_start_takes_its_spots_from_the_session_and_nothing_from_the_solos(files, tmp_path):
    blind = ["--method", "fastmnmf2-blind"]
    assert cli.run(["separate", *files, *blind, *SMALL]) == 0
    with_solos = digests(tmp_path / "out")
    assert read_manifest(tmp_path / "out")["parameters"]["window_samples"] == 512  # 64 ms at 8 kHz
    take = [f"{tmp_path}/take.wav", "--sources", ",".join(NAMES), "--out", f"{tmp_path}/bare"]
    assert cli.run(["separate", *take, *blind, *SMALL]) == 0
    without = digests(tmp_path / "bare")
    assert all(with_solos[f"{name}.wav"] == without[f"{name}.wav"] for name in NAMES)
    assert METHODS["fastmnmf2-blind"].solos == "unused"
    assert "solo" not in METHODS["fastmnmf2-blind"].needs


def test_stems_of_a_blind_start_follow_the_spots_whatever_their_order(tmp_path):
    arguments = write_session(tmp_path, extra_mics=1)
    told = ["--sources", "cello,violin,viola", "--ambient", "4", "--method", "fastmnmf2-blind"]
    assert cli.run(["separate", *arguments, *told, "--components", "6", "--iterations", "60"]) == 0
    truth, _ = sf.read(tmp_path / "truth.wav")
    for name in NAMES:
        stem, _ = sf.read(tmp_path / "out" / f"{name}.wav")
        likeness = [abs(np.dot(stem, truth[:, n])) / np.linalg.norm(truth[:, n]) for n in range(3)]
        assert NAMES[int(np.argmax(likeness))] == name


def test_a_blind_start_needs_a_mic_for_every_source(files, tmp_path, capsys):
    told = ["--spot", "violin=1", "--spot", "viola=1", "--spot", "cello=2", "--ambient", "3"]
    assert cli.run(["separate", *files, *told, "--method", "fastmnmf2-blind"]) == 2
    assert "two sources share a mic, but fastmnmf2-blind needs one for each" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_and_version(capsys):
    for arguments in (["--help"], ["separate", "--help"], ["--version"]):
        assert cli.run(arguments) == 0
    assert cli.run([]) == 2


@pytest.fixture
def short_demo(monkeypatch):
    """Let the demo play for four seconds in a room without an echo; return its scene."""
    echoless = simulate.Room(size_m=(12.0, 9.0, 4.5), rt60_s=0.0)
    scene = simulate.chamber_scene()
    dry = simulate.Scene(echoless, scene.players, scene.microphones, scene.spots)
    quartet = data.quartet()
    length = 4 * quartet.sample_rate
    short = replace(quartet, stems_LN=quartet.stems_LN[:length], solos_LN=quartet.solos_LN[:length])
    monkeypatch.setattr(simulate, "chamber_scene", lambda names: dry)
    monkeypatch.setattr(data, "quartet", lambda: short)
    return dry


def test_demo(tmp_path, short_demo, capsys):
    out = tmp_path / "demo"
    assert cli.run(["demo", "--out", str(out), *QUICK]) == 0
    command = json.loads((out / "stems" / "manifest.json").read_text())["diagnostics"]["command"]
    assert command[:3] == ["mnmf", "separate", str(out / "mixture.flac")]
    assert command[-2:] == ["--out", str(out / "stems")]  # not those of somebody's own
    printed = capsys.readouterr().out
    mean = next(line for line in printed.splitlines() if line.startswith("mean"))
    assert float(mean.split("+")[1].split()[0]) > 3  # mean gain in SDR
    expected = {"mixture.flac", "reference.flac", "solos.flac", "solos.txt", "stems/manifest.json"}
    assert expected | {f"stems/{name}.flac" for name in short_demo.names} == set(digests(out))
    assert cli.run(["demo", "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_demo_with_a_bad_option_leaves_nothing(tmp_path, short_demo, capsys):
    assert cli.run(["demo", "--out", f"{tmp_path}/demo", "--components", "0"]) == 2
    assert "components must be a whole number" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_stems_of_an_earlier_run_are_pointed_out(files, tmp_path, capsys):
    assert cli.run(["separate", *files, *ANY]) == 0
    text = (tmp_path / "solos.txt").read_text().replace("viola", "Bratsche")
    (tmp_path / "solos.txt").write_text(text)
    capsys.readouterr()
    assert cli.run(["separate", *files, *ANY, "--overwrite"]) == 0
    still_there = "mnmf: still there from an earlier run: viola.wav\n"
    assert capsys.readouterr().err == SHORT.replace("viola", "Bratsche") + still_there


def test_a_practically_silent_mic_disturbs_nobody_and_is_pointed_out(tmp_path, capsys):
    arguments = write_session(tmp_path, subtype="FLOAT")
    x, _ = sf.read(tmp_path / "take.wav")
    gains = []
    for faint in (False, True):
        if faint:
            x[:, 1] = 1e-6 * np.random.default_rng(0).standard_normal(len(x))
        sf.write(tmp_path / "take.wav", x, RATE, "FLOAT")
        assert cli.run(["separate", *arguments, "--components", "8", "--iterations", "6", "--overwrite"]) == 0
        assert ("mic 2 is practically silent" in capsys.readouterr().err) == faint
        score = [
            "score",
            f"{tmp_path}/out",
            "--reference",
            f"{tmp_path}/truth.wav",
            "--mixture",
            f"{tmp_path}/take.wav",
        ]
        assert cli.run([*score, "--json"]) == 0
        gains.append([row["delta"]["sdr"] for row in json.loads(capsys.readouterr().out)["sources"]])
    # Nothing tells the viola apart any more, but the others lose no more than that.
    assert gains[1][0] > 0
    assert gains[1][2] > 0


def test_an_offset_stays_with_its_spot_and_disturbs_nobody(tmp_path):
    arguments = write_session(tmp_path, subtype="FLOAT")
    stems = []
    for offset in (0.0, 0.3):
        for name in ("take", "solos"):
            x, _ = sf.read(tmp_path / f"{name}.wav")
            x[:, 1] += offset
            sf.write(tmp_path / f"{name}.wav", x, RATE, "FLOAT")
        assert cli.run(["separate", *arguments, *QUICK, "--overwrite"]) == 0
        stems.append([sf.read(tmp_path / "out" / f"{name}.wav")[0] for name in NAMES])
    np.testing.assert_allclose(stems[1], stems[0] + np.array([[0.0], [0.3], [0.0]]), atol=2e-3)


def test_score_of_a_silent_stem_has_no_nan(files, tmp_path, capsys):
    assert cli.run(["separate", *files, *ANY]) == 0
    x, _ = sf.read(tmp_path / "out" / "viola.wav")
    sf.write(tmp_path / "out" / "viola.wav", np.zeros_like(x), RATE, "PCM_24")
    arguments = [
        "score",
        f"{tmp_path}/out",
        "--reference",
        f"{tmp_path}/truth.wav",
        "--mixture",
        f"{tmp_path}/take.wav",
    ]
    capsys.readouterr()
    assert cli.run(arguments) == 0
    assert "nan" not in capsys.readouterr().out
    assert cli.run([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sources"][1]["delta"]["sdr"] is None
    mean = result["mean"]
    assert mean["delta"]["sdr"] == pytest.approx(mean["output"]["sdr"] - mean["input"]["sdr"])


def test_output_survives_a_terminal_that_cannot_show_it(files, tmp_path):
    text = (tmp_path / "solos.txt").read_text().replace("viola", "Brätsche ♪")
    (tmp_path / "solos.txt").write_text(text, "utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "mnmf", "separate", *files, *ANY]
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert (tmp_path / "out" / "Brätsche ♪.wav").exists()


# What it refuses


def shorten(path):
    x, rate = sf.read(path)
    sf.write(path, x[:-1, 0], rate)


def spoil(path):
    x, rate = sf.read(path)
    x[500, 1] = np.nan
    sf.write(path, x, rate, "FLOAT")


REFUSALS = {
    "missing file": (lambda d: None, ["{d}/no.wav", "--out", "{d}/out"], "no.wav cannot be opened"),
    "empty file": (lambda d: (d / "take.wav").write_bytes(b""), None, "take.wav is empty"),
    "no audio": (lambda d: (d / "take.wav").write_bytes(b"x" * 99), None, "take.wav cannot be read as audio"),
    "NaN": (lambda d: spoil(d / "take.wav"), None, "take.wav: mic 2 holds a NaN or infinite sample at 0.0625"),
    "other rate": (
        lambda d: sf.write(d / "b.wav", np.zeros(12000), 9000),
        ["{d}/take.wav", "{d}/b.wav", "--out", "{d}/out"],
        "b.wav has 9000 Hz",
    ),
    "other length": (
        lambda d: sf.write(d / "b.wav", np.zeros(99), RATE),
        ["{d}/take.wav", "{d}/b.wav", "--out", "{d}/out"],
        "b.wav has 99 samples",
    ),
    "late marker": (lambda d: (d / "solos.txt").write_text("0\t99\tviolin\n"), None, "lies past the end of the take"),
    "overlap": (lambda d: (d / "solos.txt").write_text("0\t2\tviolin\n1\t3\tviola\n"), None, "overlap"),
    "marker format": (lambda d: (d / "solos.txt").write_text("hello\n"), None, "solos.txt, line 1"),
    "no markers": (lambda d: (d / "solos.txt").unlink(), None, "solos.txt"),
    "no solo": (
        None,
        ["{d}/take.wav", "--method", "mnmf-fixh", "--out", "{d}/out"],
        "needs a solo of every source; '1' has none",
    ),
    "missing solo": (None, [..., "--sources", "violin,viola,oboe"], "'oboe' has no solo passage"),
    "unknown source": (None, [..., "--spot", "oboe=1"], "--spot names 'oboe'"),
    "unknown mic": (None, [..., "--spot", "violin=9"], "there is no mic '9'"),
    "malformed spot": (None, [..., "--spot", "violin"], "--spot wants NAME=MIC"),
    "left-over mic": (None, [..., "--sources", "violin,viola"], "nobody's spot: mic 3"),
    "path in a name": (None, [..., "--sources", "violin,viola,../x"], "cannot be a file name"),
    "slash in a name": (None, [..., "--sources", "violin,viola,a/b"], "cannot be a file name"),
    "empty name": (None, [..., "--sources", "violin,viola,"], "is empty"),
    "duplicate name": (None, [..., "--sources", "violin,viola,violin"], "would be one file"),
    "control character": (None, [..., "--sources", "violin,viola,a\x1b[2Jb"], "control character"),
    "unknown method": (
        None,
        [..., "--method", "magic"],
        "method must be one of mnmf, fastmnmf2, fastmnmf2-blind, ilrma, mnmf-fixh",
    ),
    "bad number": (None, [..., "--iterations", "0"], "iterations must be a whole number of at least 1"),
    "no number": (None, [..., "--iterations", "many"], "'many' is not a valid integer"),
    "bad window": (None, [..., "--window", "-1"], "from 0.001 to 60 s"),
    "bad seed": (None, [..., "--seed", "-1"], "seed must be"),
    "unknown option": (None, [..., "--magic"], "No such option"),
    "no take": (None, ["--out", "{d}/out"], "Missing argument"),
    "existing stems": (lambda d: [(d / "out").mkdir(), (d / "out" / "viola.wav").write_text("")], None, "--overwrite"),
    "out is a file": (lambda d: (d / "out").write_text(""), None, "is a file, not a folder"),
    "over an input": (
        lambda d: (d / "take.wav").rename(d / "viola.wav"),
        ["{d}/viola.wav", "--solos", "{d}/solos.txt", "--solo-take", "{d}/solos.wav", "--out", "{d}", "--overwrite"],
        "viola.wav is the input",
    ),
    "no sources": (
        None,
        ["{d}/take.wav", "--ambient", "1", "--ambient", "2", "--ambient", "3", "--out", "{d}/out"],
        "no sources",
    ),
    "short label": (lambda d: (d / "solos.txt").write_text("0\t0.01\tviolin\n"), None, "lasts less than 0.1 s"),
    "endless window": (None, [..., "--window", "1e300"], "from 0.001 to 60 s"),
    "empty out": (None, ["{d}/take.wav", "--out", ""], "--out is empty"),
    "session file": (
        lambda d: (d / "s.toml").write_text("take = 'take.wav'\nspott = 1"),
        ["{d}/s.toml", "--out", "{d}/out"],
        "unknown key 'spott'",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_are_one_line_and_touch_nothing(files, tmp_path, capsys, case):
    prepare, arguments, message = REFUSALS[case]
    if prepare is not None:
        prepare(tmp_path)
    if arguments is None:
        arguments = files
    elif arguments[0] is ...:
        arguments = [*files, *arguments[1:]]
    before = digests(tmp_path)
    assert cli.run(["separate", *(argument.format(d=tmp_path) for argument in arguments)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("mnmf: ")
    assert printed.err.count("\n") == 1
    assert "\x1b" not in printed.err
    assert digests(tmp_path) == before
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    assert (tmp_path / "out").exists() == (case in ("existing stems", "out is a file"))


SCORE_REFUSALS = {
    "no folder": (["{d}/no", "--reference", "{d}/truth.wav"], "no/manifest.json: cannot be read"),
    "few channels": (["{d}/out", "--reference", "{d}/mono.wav"], "mono.wav: has 1 channels, the stems need 3"),
    "other length": (["{d}/out", "--reference", "{d}/short.wav"], "short.wav: 100 samples at 8000 Hz"),
    "small mixture": (["{d}/out", "--reference", "{d}/truth.wav", "--mixture", "{d}/mono.wav"], "mono.wav: has 1"),
    "no reference": (["{d}/out"], "Missing option '--reference'"),
}


def test_score_refusals(files, tmp_path, capsys):
    assert cli.run(["separate", *files, *ANY]) == 0
    truth, _ = sf.read(tmp_path / "truth.wav")
    sf.write(tmp_path / "mono.wav", truth[:, 0], RATE)
    sf.write(tmp_path / "short.wav", truth[:100], RATE)
    capsys.readouterr()
    for arguments, message in SCORE_REFUSALS.values():
        assert cli.run(["score", *(argument.format(d=tmp_path) for argument in arguments)]) == 2
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.err.count("\n") == 1
    (tmp_path / "out" / "manifest.json").write_text('{"sources": 3}')
    assert cli.run(["score", f"{tmp_path}/out", "--reference", f"{tmp_path}/truth.wav"]) == 2
    assert "not a manifest of mnmf separate" in capsys.readouterr().err


def test_references_in_the_wrong_order_are_noticed(files, tmp_path, capsys):
    assert cli.run(["separate", *files, *ANY]) == 0
    truth, _ = sf.read(tmp_path / "truth.wav")
    sf.write(tmp_path / "swapped.wav", truth[:, [1, 0, 2]], RATE, "FLOAT")
    capsys.readouterr()
    assert cli.run(["score", f"{tmp_path}/out", "--reference", f"{tmp_path}/swapped.wav"]) == 0
    assert "the stem 'viola' is more like the reference of 'violin'; check their order" in capsys.readouterr().err
    assert cli.run(["score", f"{tmp_path}/out", "--reference", f"{tmp_path}/truth.wav"]) == 0
    assert capsys.readouterr().err == ""


def test_repeated_references_count_as_channels(files, tmp_path, capsys):
    assert cli.run(["separate", *files, *ANY]) == 0
    truth, _ = sf.read(tmp_path / "truth.wav")
    singles = []
    for n in range(3):
        sf.write(tmp_path / f"truth{n}.wav", truth[:, n], RATE, "FLOAT")
        singles += ["--reference", f"{tmp_path}/truth{n}.wav"]
    capsys.readouterr()
    results = []
    for reference in (["--reference", f"{tmp_path}/truth.wav"], singles):
        assert cli.run(["score", f"{tmp_path}/out", *reference, "--json"]) == 0
        results.append(capsys.readouterr().out)
    assert results[0] == results[1]


# What stops it


def start(files, *options, **popen):
    return started([sys.executable, "-m", "mnmf", "separate", *files, *options], **popen)


def test_ctrl_c_leaves_nothing(files, tmp_path):
    before = digests(tmp_path)
    process = start(files, "--iterations", "10000000")
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "mnmf: interrupted; nothing was written"  # where it is slow, progress comes first
    assert digests(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_end_the_prior_s_command_too(files, tmp_path, name):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "tool.py").write_text(
        "import os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[3]).write_text(str(os.getpid()))\n"
        "os.rename(sys.argv[3], sys.argv[4])\n"
        "time.sleep(300)\n"
    )
    pid = tmp_path / "pid"
    words = [sys.executable, str(tmp_path / "tool.py"), "{in}", "{out}", str(tmp_path / "unfinished"), str(pid)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch"), "MNMF_CACHE": str(tmp_path / "cache")}
    process = start(files, "--estimate-command", shlex.join(words), env=environment)
    while not pid.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    try:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + getattr(signal, name)
        assert err.splitlines()[-1] == "mnmf: interrupted; nothing was written"
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
    finally:
        end(pid.read_text())
    assert not list((tmp_path / "scratch").glob("mnmf-*"))
    assert not (tmp_path / "out").exists()


def test_what_nohup_switches_off_stays_off(files, tmp_path):
    def ignore():
        restored_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start(files, "--iterations", "10000000", preexec_fn=ignore)
    while not (tmp_path / "out").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


def test_ctrl_c_keeps_the_stems_of_an_earlier_run(files, tmp_path):
    assert cli.run(["separate", *files, *ANY]) == 0
    before = digests(tmp_path)
    process = start(files, "--iterations", "10000000", "--overwrite")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".mnmf-partial-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert digests(tmp_path) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cello.wav",
        "manifest.json",
        "viola.wav",
        "violin.wav",
    ]


def test_a_full_disk_leaves_nothing(files, tmp_path):
    before = digests(tmp_path)

    def limit():
        restored_signals()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}  # the kernels' cache would be cut short as well
    options = ["--method", "time-domain", "--iterations", "1"]
    process = start(files, *options, preexec_fn=limit, env=environment)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"{tmp_path}/out/violin.wav cannot be written: " in err
    assert err.count("\n") == 1
    assert digests(tmp_path) == before
    assert not (tmp_path / "out").exists()
