"""Files of others as they should not be: pipes, devices, bombs, numbers without end, and headers that lie."""

import io
import json
import os
import struct
import threading
import time
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile as sf

from mnmf import FastMNMF2, NoteDictionary, Session, manifest, markers
from mnmf.audio import Recording
from mnmf.datasets._excerpts import header_of
from mnmf.errors import ArgumentError, AudioFileError, MarkerError, MnmfError, SessionError
from mnmf.estimators._folder import EstimateFolder, read_at
from mnmf.files import TOML_BYTES, hushed, read_arrays, read_json, read_table, read_toml, whole
from mnmf.manifest import read_stems
from mnmf.notes._library import Note, find_notes, read_note

QUICKLY = 2.0  # seconds; what is linear takes some hundredths of one


def refused(call, *words):
    """Call, and expect one short line soon, with these words in it."""
    began = time.perf_counter()
    with pytest.raises(MnmfError) as caught:
        call()
    assert time.perf_counter() - began < QUICKLY
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    for word in words:
        assert word in message, message


def all_readers(path):
    return (
        lambda: markers.read(path),
        lambda: Session.from_toml(path),
        lambda: read_json(path, SessionError, "repair it"),
        lambda: read_table(path, ArgumentError, "repair it"),
        lambda: read_arrays(path, ArgumentError, "repair it", what="no arrays"),
        lambda: NoteDictionary.load(path),
        lambda: FastMNMF2.load(path),
        lambda: Recording.open(path),
        lambda: read_at(path, 8000),
        lambda: read_note(Note(path, "violin", 69)),
    )


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket", "nothing", "loop"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "socket":
        import socket

        here = os.open(".", os.O_RDONLY)
        os.chdir(tmp_path)  # because the name of a socket must be short
        with socket.socket(socket.AF_UNIX) as place:
            place.bind("odd")
        os.fchdir(here)
        os.close(here)
    for read in all_readers(path):
        refused(read, str(path))
    assert header_of(path, problems := []) is None
    assert problems


def test_a_path_that_no_file_can_have_is_refused():
    for read in all_readers("a\0b"):
        refused(read)


def test_a_pipe_in_a_folder_of_notes_is_refused(tmp_path):
    os.mkfifo(tmp_path / "violin.wav")
    refused(lambda: list(find_notes(tmp_path)), "violin.wav", "pipe")


def test_text_that_grows_while_it_is_read_is_read_no_further(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("0\t1\tviolin\n")
    with path.open("r+b") as file:
        file.truncate(10_000_001)
    refused(lambda: markers.read(path), "10 MB")


@pytest.mark.parametrize(
    "line",
    ["\t" * 20_000, " " * 200_000, "1" * 200_000, "1" + " " * 200_000, "0\t1" * 60_000, "0:0:0:0" + " " * 200_000],
    ids=["tabs", "spaces", "digits", "a digit and spaces", "numbers", "a clock and spaces"],
)
def test_lines_are_read_in_linear_time(tmp_path, line):
    path = tmp_path / "labels.txt"
    path.write_text("0\t1\tviolin\n" + line + "x\n")
    refused(lambda: markers.read(path), "labels.txt, line 2")


@pytest.mark.parametrize("line", ["1" * 400 + "\t2\ta", "0\t1e" + "9" * 400 + "\ta", "9" * 5000 + ":0:0:0\ta"])
def test_numbers_in_labels_have_a_length(tmp_path, line):
    path = tmp_path / "labels.txt"
    path.write_text(line + "\n")
    refused(lambda: markers.read(path), "labels.txt, line 1")


def test_labels_have_a_length(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("0\t1\t" + "a" * 9_000_000 + "\n")
    refused(lambda: markers.read(path), "line 1", "1000 characters")


BAD_JSON = {
    "not UTF-8": b"\xff\xfe{",
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "nested a little too deeply": b"[" * 40 + b"]" * 40,
    "a number of 5000 digits": b"1" * 5000,
    "a number of 100 digits": b"1" * 100,
    "an enormous float": b"1e999",
    "NaN": b"[NaN]",
    "infinity": b"[-Infinity]",
    "binary": b'{"a": "\x00"}',
    "cut short": b'{"a": ',
    "empty": b"",
}


@pytest.mark.parametrize("content", BAD_JSON.values(), ids=BAD_JSON)
def test_json_is_bounded(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    refused(lambda: read_json(path, SessionError, "repair it"), str(path), "not valid JSON", "repair it")


BAD_TOML = {
    "nested": "a = " + "[" * 50_000,
    "nested tables": "a = " + "{a = " * 30_000,
    "a key of many dots": ".".join(["a"] * 50_000) + " = 1",
    "a heading of many dots": "[" + " . ".join(["a"] * 30_000) + "]",
    "a quoted key of many dots": ".".join(['"a b"'] * 20_000) + " = 1",
    "a key of many dots after a string": 'take = """\n"""\n' + ".".join(["a"] * 20_000) + " = 1",
    "a number of 5000 digits": "a = " + "1" * 5000,
    "a number of 100 digits": "a = " + "1" * 100,
    "infinity": "a = inf",
    "too large": "# " + "x" * TOML_BYTES,
    "binary": "a = 1\0",
}


@pytest.mark.parametrize("content", BAD_TOML.values(), ids=BAD_TOML)
def test_toml_is_bounded(tmp_path, content):
    path = tmp_path / "session.toml"
    path.write_text(content)
    refused(lambda: read_toml(path, SessionError, "repair it"), str(path), "not valid TOML", "repair it")
    refused(lambda: Session.from_toml(path), str(path), "not valid TOML")


def test_toml_with_many_dots_that_are_no_keys_is_read(tmp_path):
    path = tmp_path / "session.toml"
    path.write_text(
        'take = ["' + '.", "'.join(["1.2.3.4.5"] * 99) + '"] # 1.2.3.4.5.6.7.8.9.10.11\n[spots]\n"a.b.c" = 1\n'
    )
    assert len(read_toml(path, SessionError, "repair it")["take"]) == 99


def test_tables_are_bounded(tmp_path):
    path = tmp_path / "index.csv"
    for content, words in (
        (",".join("abc" * 300_000) + "\n1" * 300_000, "100 columns"),
        ("file\n" + "a" * 200_000, "field larger than field limit"),
        ("file\n\0", "binary"),
        ("x" * 10_000_001, "10 MB"),
    ):
        path.write_text(content)
        refused(lambda: read_table(path, ArgumentError, "repair it"), str(path), words)
    path.write_text(" File ,PITCH\nviolin.wav\n\n a.wav , A4,more\n")
    assert read_table(path, ArgumentError, "") == [
        {"file": "violin.wav", "pitch": ""},
        {"file": "a.wav", "pitch": "A4"},
    ]


# Manifests


def source(**changes):
    return {"name": "violin", "file": "violin.wav", "mics": [1], **changes}


ODD_MANIFESTS = {
    "a list": [],
    "a number": 3,
    "no sources": {},
    "empty": {"sources": []},
    "sources are a number": {"sources": 3},
    "sources are text": {"sources": "violin"},
    "a source is text": {"sources": ["violin"]},
    "a source is a list": {"sources": [[]]},
    "no file": {"sources": [{"name": "violin", "mics": [1]}]},
    "mic 0": {"sources": [source(mics=[0])]},
    "mic -7": {"sources": [source(mics=[-7])]},
    "mic infinity": {"sources": [source(mics=[float("inf")])]},
    "mic NaN": {"sources": [source(mics=[float("nan")])]},
    "mic 1.5": {"sources": [source(mics=[1.5])]},
    "mic true": {"sources": [source(mics=[True])]},
    "mic 10**30": {"sources": [source(mics=[10**30])]},
    "mic 2000": {"sources": [source(mics=[2000])]},
    "no mics": {"sources": [source(mics=[])]},
    "mics are a number": {"sources": [source(mics=1)]},
    "mics are text": {"sources": [source(mics="1")]},
    "name is a number": {"sources": [source(name=3)]},
    "file is a list": {"sources": [source(file=["a"])]},
    "file elsewhere": {"sources": [source(file="../../etc/passwd")]},
    "absolute file": {"sources": [source(file="/etc/passwd")]},
    "file with a NUL": {"sources": [source(file="a\0.wav")]},
    "name that steers a terminal": {"sources": [source(name="\x1b[2J")]},
    "two of one name": {"sources": [source(), source()]},
}


@pytest.mark.parametrize("record", ODD_MANIFESTS.values(), ids=ODD_MANIFESTS)
def test_odd_manifests_are_refused(tmp_path, record):
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    refused(lambda: read_stems(tmp_path), "manifest.json")


def test_manifests_as_they_are_written_are_read(tmp_path):
    (tmp_path / "manifest.json").write_text(
        json.dumps({"sources": [source(name="Flöte 1", mics=[2, 1])], "more": 1e-3})
    )
    assert [(stem.name, stem.mics) for stem in read_stems(tmp_path)] == [("Flöte 1", (2, 1))]


# Arrays


def archive(path, entries, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in entries.items():
            file.writestr(name, data)


def npy(shape, dtype="<f8", data=b"", version=b"\x01\x00"):
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header + data


ODD_ARRAYS = {
    "a bomb": {"a.npy": npy((1 << 22,), data=bytes(1 << 25))},
    "more than is there": {"a.npy": npy((1 << 40,), data=bytes(800))},
    "a negative length": {"a.npy": npy((-8, -8), data=bytes(512))},
    "less than is there": {"a.npy": npy((2,), data=bytes(800))},
    "objects": {"a.npy": npy((1,), "|O", bytes(8))},
    "records": {"a.npy": npy((1,), [("a", "<f8")], bytes(8))},
    "dates": {"a.npy": npy((1,), "<M8[s]", bytes(8))},
    "no array": {"a.npy": b"no"},
    "an unknown version": {"a.npy": npy((1,), data=bytes(8), version=b"\x09\x00")},
    "an endless header": {"a.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"(" * 70_000},
    "too many": {f"{n}.npy": b"" for n in range(2001)},
}


@pytest.mark.parametrize("entries", ODD_ARRAYS.values(), ids=ODD_ARRAYS)
def test_arrays_are_bounded_by_what_their_headers_say(tmp_path, monkeypatch, entries):
    monkeypatch.setattr("mnmf.files.ROOM", 1 << 24)
    path = tmp_path / "arrays.npz"
    archive(path, entries)
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        refused(lambda: read_arrays(path, ArgumentError, "repair it", what="no arrays"), str(path), "no arrays")
        for load in (FastMNMF2.load, NoteDictionary.load):
            refused(lambda: load(path), str(path))  # noqa: B023
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_archives_are_packed_in_a_usual_way(tmp_path):
    path = tmp_path / "arrays.npz"
    archive(path, {"a.npy": npy((1,), data=bytes(8))}, zipfile.ZIP_LZMA)
    refused(lambda: read_arrays(path, ArgumentError, "repair it", what="no arrays"), "unusual")
    archive(path, {"a.npy": npy((1,), data=bytes(8)), "a": npy((1,), data=bytes(8))})
    refused(lambda: read_arrays(path, ArgumentError, "repair it", what="no arrays"), "same name")


def test_arrays_of_any_other_size_are_read(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, a=np.arange(6.0).reshape(2, 3), b=np.array("text"), c=np.array(1j), d=np.zeros((0, 3)))
    read = read_arrays(path, ArgumentError, "", what="")
    assert read["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (str(read["b"]), read["c"].item(), read["d"].shape) == ("text", 1j, (0, 3))
    assert read_arrays(path, ArgumentError, "", what="", wanted="a".__eq__).keys() == {"a"}


# Models


@pytest.fixture(scope="module")
def saved():
    rng = np.random.default_rng(0)
    X_FTM = rng.standard_normal((5, 9, 2)) + 1j * rng.standard_normal((5, 9, 2))
    model = FastMNMF2(3, 2).fit(X_FTM)
    file = io.BytesIO()
    learned = {name: getattr(model, f"{name}_") for name in "WHGQ"}
    np.savez(
        file,
        model="FastMNMF2",
        n_components=3,
        n_iterations=2,
        n_sources=-1,
        cost=model.cost_,
        spots=np.array([0, 1]),
        spots_per_source=np.array([1, 1]),
        **learned,
    )
    file.seek(0)
    return dict(np.load(file))


ODD_MODELS = {
    "another number of bases": lambda a: {"W": a["W"][..., :2]},
    "another number of frequencies": lambda a: {"Q": a["Q"][:4]},
    "no frames": lambda a: {"H": a["H"][..., :0]},
    "a lower rank": lambda a: {"G": a["G"][0]},
    "whole numbers": lambda a: {"W": a["W"].astype(int)},
    "a real Q": lambda a: {"Q": a["Q"].real},
    "complex bases": lambda a: {"W": a["W"] + 0j},
    "NaN": lambda a: {"H": a["H"] * np.nan},
    "negative": lambda a: {"H": -a["H"]},
    "a microphone that is not there": lambda a: {"spots": np.array([0, 2])},
    "spots that are no numbers": lambda a: {"spots": np.array(["a", "b"])},
    "spots of three sources": lambda a: {"spots_per_source": np.array([1, 1, 1])},
    "a source without a spot": lambda a: {"spots_per_source": np.array([2, 0])},
    "negative counts": lambda a: {"spots_per_source": np.array([3, -1])},
    "a cost of two dimensions": lambda a: {"cost": a["cost"][None]},
    "a cost in words": lambda a: {"cost": np.array(["a"])},
    "components in words": lambda a: {"n_components": np.array("three")},
    "fractions of components": lambda a: {"n_components": np.array(3.5)},
    "several numbers of iterations": lambda a: {"n_iterations": np.array([2, 3])},
    "gains of another shape": lambda a: {"gains": np.ones(5)},
}


@pytest.mark.parametrize("change", ODD_MODELS.values(), ids=ODD_MODELS)
def test_models_are_checked_when_they_are_loaded(tmp_path, saved, change):
    path = tmp_path / "model.npz"
    np.savez(path, **saved)
    assert FastMNMF2.load(path).spots_ == ((0,), (1,))
    np.savez(path, **{**saved, **change(saved)})
    refused(lambda: FastMNMF2.load(path), str(path), "damaged FastMNMF2", "save it anew")


# Audio


def wav(rate=8000, channels=1, bits=16, samples=100, data=None):
    data = bytes(samples * channels * bits // 8) if data is None else data
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8 % 2**32, channels * bits // 8, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + (struct.pack("<I", len(data)) + data)
    )


@pytest.mark.parametrize("rate", [20_000_000, 1_000_001, 2**31 - 1, 0])
def test_headers_with_rates_that_cannot_be_are_refused(tmp_path, rate):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(rate))
    for read in all_readers(path)[-3:]:
        refused(read, str(path))
    problems = []
    header_of(path, problems)
    assert problems


def test_headers_with_more_samples_than_bytes_can_hold_are_refused(tmp_path):
    path = tmp_path / "a.flac"
    sf.write(path, np.zeros(100), 8000)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the highest bits of the number of samples: 36 bits at the end of byte 21
    data[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert Recording.open(path).n_samples == 100  # its frames know better
    data[-1] ^= 1  # of the checksum of its only frame
    path.write_bytes(data)
    refused(lambda: Recording.open(path), str(path), "samples")


def test_takes_of_more_than_a_thousand_mics_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(channels=1024, samples=2))
    assert Recording.open(path).n_mics == 1024
    other = tmp_path / "b.wav"
    other.write_bytes(wav(channels=1, samples=2))
    refused(lambda: Recording.open([path, other]), "1025 channels")
    refused(lambda: Recording.open([path] * 1025), "1025 files")


@pytest.mark.parametrize("value", [1e25, -1e25, 3e38, np.inf, np.nan])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_sound_are_named_with_file_mic_and_time(tmp_path, value, subtype):
    x_LM = np.zeros((8000, 2))
    x_LM[4000, 1] = value
    path = tmp_path / "take.wav"
    sf.write(path, x_LM, 8000, subtype)
    refused(Recording.open(path).read, str(path), "mic 2", "0.500000 s")
    refused(Session.open(path).take, str(path), "mic 2", "0.500000 s")
    refused(lambda: read_at(path, 8000), str(path))
    refused(lambda: read_note(Note(path, "violin", 69)), str(path))
    refused(lambda: list(find_notes(tmp_path, instrument="violin")), str(path))


def test_takes_too_faint_to_be_sound_are_named(tmp_path):
    path = tmp_path / "take.wav"
    sf.write(path, np.full((800, 2), 1e-40), 8000, "FLOAT")
    refused(Session.open(path).take, str(path), "1e-40 of full scale")


# Writing


def write_half(path, error):
    with whole(path) as place:
        place.write_text("half")
        raise error


def test_a_file_is_there_when_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt())
    refused(lambda: write_half(path, OSError(28, "No space left on device")), "a.txt cannot be written: No space left")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]
    refused(lambda: write_half(tmp_path / "no" / "b.txt", None), "b.txt cannot be written: No such file")
    with whole(path) as place:
        place.write_text("new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "new")]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/null")
    else:
        path.mkdir()
    before = os.stat(path).st_mode
    refused(lambda: write_half(path, ValueError()), str(path), "cannot be written", "device")
    refused(lambda: NoteDictionary.embedded().save(path), str(path), "cannot be written")
    refused(lambda: markers.write_audacity(path, [markers.Passage("a", 0.0, 1.0)]), str(path), "cannot be written")
    assert os.stat(path).st_mode == before
    assert list(tmp_path.iterdir()) == [path]


def test_readers_do_not_wait_for_a_file_that_turns_into_a_pipe(tmp_path, monkeypatch):
    path = tmp_path / "labels.txt"
    os.mkfifo(path)
    monkeypatch.setattr("mnmf.files.check_regular", lambda path: 0)  # as it was a moment ago
    done = []

    def read():
        with pytest.raises(MarkerError):
            markers.read(path)
        done.append(True)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert done


def test_audio_errors_are_those_of_audio(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x" * 99)
    with pytest.raises(AudioFileError, match="cannot be read as audio"):
        read_at(tmp_path / "a.wav", 8000)


def test_what_libmpg123_says_of_a_file_reaches_nobody(tmp_path, capfd):
    path = tmp_path / "labels.txt"
    path.write_text("0\t1\tviolin\n1\t2\tviola\n2\t3\tcello\n", "utf-16")  # begins as an MP3 file may
    for read in (lambda: Session.open(path), lambda: read_at(path, 8000)):
        with pytest.raises(AudioFileError, match=r"cannot be read as audio: it is text in UTF-16;"):
            read()
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_files_that_are_read_at_a_time_give_the_terminal_back(tmp_path, capfd):
    for name in ("a.mp3", "b.mp3"):
        (tmp_path / name).write_bytes(b"ID3")
    first, second = (hushed(tmp_path / name) for name in ("a.mp3", "b.mp3"))
    for each in (first, second):
        each.__enter__()
    first.__exit__(None, None, None)
    os.write(2, b"nobody hears this\n")
    second.__exit__(None, None, None)
    os.write(2, b"and this is heard\n")
    assert capfd.readouterr().err == "and this is heard\n"


def test_a_file_that_the_system_makes_up_is_not_waited_for(tmp_path, monkeypatch):
    class Waiting(io.BytesIO):
        """A file without anything to read yet, opened so that nobody waits."""

        def read(self, size=-1):
            return None

    @contextmanager
    def regular(*_):
        yield Waiting(), 0

    for module in ("files", "markers._wave"):
        monkeypatch.setattr(f"mnmf.{module}.regular", regular)
    with pytest.raises(MarkerError, match="empty|no marker|holds no"):
        markers.read(tmp_path / "labels.txt")


def test_manifests_name_files_whose_names_are_in_no_encoding(tmp_path):
    record = {"sources": [], "take": [os.fsdecode(b"Fl\xf6te.wav"), "Fl\u00f6te.wav"]}
    manifest.write(tmp_path / "manifest.json", record)
    assert manifest.read(tmp_path) == record


def test_folders_as_large_as_a_disk_are_not_searched_to_their_end(tmp_path, monkeypatch):
    monkeypatch.setattr("mnmf.files.MOST_OTHERS", 20)
    (tmp_path / "below").mkdir()
    for number in range(17):
        (tmp_path / "below" / f"{number}.txt").touch()
        (tmp_path / "below" / f"violin_A{number % 5 + 1}_{number}.wav").touch()  # as many as there are
    (tmp_path / "below" / "again").symlink_to(tmp_path)
    (tmp_path / "below" / "folder.wav").mkdir()
    with pytest.raises(ArgumentError, match="no file is called viola"):
        EstimateFolder(tmp_path, ["viola"])
    (tmp_path / "one more").touch()
    for search in (lambda: EstimateFolder(tmp_path, ["viola"]), lambda: list(find_notes(tmp_path))):
        refused(search, str(tmp_path), "more than 20 other files", "give the folder")
