"""Audio files bit for bit."""

import errno
import hashlib
import os
import struct
import subprocess
import sys
import time
import wave

import numpy as np
import pytest
import soundfile as sf

from mnmf import audio
from mnmf.audio import Recording
from mnmf.errors import ArgumentError, AudioFileError, OutputError

RATE = 48000
BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FORMATS = [
    (container, subtype, endian)
    for container, subtypes in {
        "WAV": ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"],
        "WAVEX": ["PCM_24", "FLOAT"],
        "RF64": ["PCM_24", "FLOAT"],
        "W64": ["PCM_24", "FLOAT"],
        "AIFF": ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"],
        "FLAC": ["PCM_S8", "PCM_16", "PCM_24"],
        "CAF": ["PCM_24", "FLOAT"],
        "AU": ["PCM_16"],
    }.items()
    for subtype in subtypes
    for endian in ["FILE"]
] + [("WAV", "PCM_24", "BIG"), ("WAV", "FLOAT", "BIG"), ("AIFF", "PCM_16", "LITTLE"), ("CAF", "PCM_24", "LITTLE")]


def samples(subtype, n_samples=1001, n_channels=2, seed=0):
    """Every kind of value a file can hold, its extremes included, as soundfile takes them."""
    rng = np.random.default_rng(seed)
    if subtype in BITS:
        bits = BITS[subtype]
        values = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (n_samples, n_channels))
        values[:3] = [[-(2 ** (bits - 1))], [2 ** (bits - 1) - 1], [0]]
        return (values << (32 - bits)).astype(np.int32)
    values = rng.standard_normal((n_samples, n_channels)).astype("f4" if subtype == "FLOAT" else "f8")
    values[:3] = [[-4.0], [1e-30], [0.0]]
    return values


def make(path, data=None, rate=RATE, subtype="PCM_24", container="WAV", endian="FILE", **tags):
    data = samples(subtype) if data is None else data
    with sf.SoundFile(path, "w", rate, data.shape[1], subtype, endian, container) as file:
        for key, value in tags.items():
            setattr(file, key, value)
        file.write(data)
    return path


def refused(error, call, *words):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message, message


# Opening


def test_a_polyphonic_file_is_a_take(tmp_path):
    path = make(tmp_path / "take.wav", samples("PCM_24", n_channels=3))
    for given in (path, str(path), [path], (str(path),)):
        take = Recording.open(given)
        assert take.paths == (path,)
        assert (take.sample_rate, take.n_samples, take.n_mics) == (RATE, 1001, 3)
        assert take.mic_names == ("1", "2", "3")
        assert take.duration == pytest.approx(1001 / RATE)
        mic = take.mics[2]
        assert (mic.path, mic.channel, mic.format, mic.subtype, mic.suffix) == (path, 2, "WAV", "PCM_24", ".wav")


def test_mics_are_named_after_their_files(tmp_path):
    (tmp_path / "b").mkdir()
    mono, stereo = samples("PCM_16", n_channels=1), samples("PCM_16")
    violin = make(tmp_path / "violin.wav", mono)
    flac = make(tmp_path / "violin.flac", mono, subtype="PCM_16", container="FLAC")
    other = make(tmp_path / "b" / "violin.wav", mono)
    pair = make(tmp_path / "pair.wav", stereo)
    assert Recording.open(violin).mic_names == ("violin",)
    assert Recording.open([violin, pair]).mic_names == ("violin", "pair:1", "pair:2")
    assert Recording.open([violin, flac]).mic_names == ("violin.wav", "violin.flac")
    assert Recording.open([violin, other]).mic_names == (f"{tmp_path.name} violin", "b violin")
    take = Recording.open([pair, violin])
    assert [(mic.path, mic.channel) for mic in take.mics] == [(pair, 0), (pair, 1), (violin, 0)]
    assert [mic.subtype for mic in Recording.open([pair, flac]).mics] == ["PCM_24", "PCM_24", "PCM_16"]


def test_the_file_that_departs_from_the_others_is_named(tmp_path):
    a, b, c = (make(tmp_path / f"{name}.wav") for name in "abc")
    slow = make(tmp_path / "slow.wav", rate=44100)
    short = make(tmp_path / "short.wav", samples("PCM_24", 900))
    refused(AudioFileError, lambda: Recording.open([a, slow, b, c]), "slow.wav has 44100 Hz, but", "48000", "convert")
    refused(AudioFileError, lambda: Recording.open([slow, a, b]), "slow.wav has 44100 Hz, but")
    refused(AudioFileError, lambda: Recording.open([short, a, b]), "short.wav has 900", "1001", "same start and end")


def test_files_that_are_no_take_are_refused(tmp_path):
    good = make(tmp_path / "good.wav")
    refused(AudioFileError, lambda: Recording.open([]), "at least one")
    refused(
        AudioFileError,
        lambda: Recording.open([good, tmp_path / "missing.wav"]),
        "missing.wav",
        "No such file",
        "check the path",
    )
    refused(AudioFileError, lambda: Recording.open(tmp_path), tmp_path, "not a file")
    for impossible in ("x" * 300, "nul\0"):
        refused(AudioFileError, lambda name=impossible: Recording.open(tmp_path / name), tmp_path)
    (tmp_path / "zero.wav").touch()
    refused(AudioFileError, lambda: Recording.open(tmp_path / "zero.wav"), "zero.wav", "empty")
    (tmp_path / "notes.wav").write_text("this is no audio at all, whatever its name says")
    refused(AudioFileError, lambda: Recording.open(tmp_path / "notes.wav"), "notes.wav", "WAV or FLAC")
    (tmp_path / "take.raw").write_bytes(bytes(1000))
    refused(AudioFileError, lambda: Recording.open(tmp_path / "take.raw"), "take.raw", "WAV or FLAC")
    make(tmp_path / "header.wav", samples("PCM_24", 3)[:0])
    refused(AudioFileError, lambda: Recording.open(tmp_path / "header.wav"), "header.wav", "no samples")


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = make(tmp_path / "take.wav")

    def deny(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.open", deny)
    refused(AudioFileError, lambda: Recording.open(path), "take.wav", "Permission denied")


def test_the_same_file_twice_is_refused_under_any_name(tmp_path):
    a = make(tmp_path / "a.wav")
    (tmp_path / "soft.wav").symlink_to(a)
    os.link(a, tmp_path / "hard.wav")
    for again in (a, tmp_path / ".." / tmp_path.name / "a.wav", tmp_path / "soft.wav", tmp_path / "hard.wav"):
        refused(AudioFileError, lambda again=again: Recording.open([a, again]), again, "give each file once")


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM")],
)
def test_lossy_files_are_refused_as_takes_but_not_as_references(tmp_path, container, subtype):
    path = tmp_path / "take.bin"
    sf.write(path, np.zeros((4800, 2)), RATE, subtype, format=container)
    refused(AudioFileError, lambda: Recording.open(path), "take.bin", subtype, "convert it to WAV or FLAC first")
    reference = Recording.open(path, lossless=False)
    assert reference.read().shape == (reference.n_samples, 2)


def test_opening_reads_no_samples(tmp_path, monkeypatch):
    path = make(tmp_path / "take.wav")
    monkeypatch.setattr(sf.SoundFile, "read", None)
    assert Recording.open(path).n_samples == 1001


# Reading


@pytest.mark.parametrize(("container", "subtype", "endian"), FORMATS)
def test_integers_are_scaled_exactly(tmp_path, container, subtype, endian):
    data = samples(subtype)
    take = Recording.open(make(tmp_path / "take.x", data, subtype=subtype, container=container, endian=endian))
    exact = data / 2.0**31 if subtype in BITS else data
    x_LM = take.read(dtype=np.float64)
    assert x_LM.dtype == np.float64
    np.testing.assert_array_equal(x_LM, exact)
    assert take.read().dtype == np.float32
    np.testing.assert_array_equal(take.read(), exact.astype(np.float32))
    if subtype in BITS:
        assert x_LM.min() == -1.0
        assert x_LM.max() == 1 - 2.0 ** (1 - BITS[subtype])


def test_reading_spans_files_and_blocks(tmp_path, monkeypatch):
    data = [samples("PCM_24", n_channels=count, seed=count) for count in (1, 3, 2)]
    take = Recording.open([make(tmp_path / f"{i}.wav", x) for i, x in enumerate(data)])
    whole = np.concatenate(data, axis=1) / 2.0**31
    monkeypatch.setattr("mnmf.audio._recording.BLOCK", 100)
    np.testing.assert_array_equal(take.read(dtype="float64"), whole)
    np.testing.assert_array_equal(take.read(17, 460), whole[17:460].astype(np.float32))
    np.testing.assert_array_equal(take.read(1000), whole[1000:].astype(np.float32))


def test_ranges_outside_the_take_are_refused(tmp_path):
    take = Recording.open(make(tmp_path / "take.wav"))
    for start, stop in ((-1, 5), (0, 1002), (5, 5), (7, 5), (1001, None)):
        refused(ArgumentError, lambda start=start, stop=stop: take.read(start, stop), "1001 samples")
    refused(ArgumentError, lambda: take.read(dtype=np.int16), "float32")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_found(tmp_path, monkeypatch, bad):
    monkeypatch.setattr("mnmf.audio._recording.BLOCK", 200)
    data = samples("FLOAT", 48000)
    data[24000, 1] = bad
    first, second = make(tmp_path / "a.wav", samples("FLOAT", 48000)), make(tmp_path / "b.wav", data, subtype="FLOAT")
    take = Recording.open([first, second])
    refused(AudioFileError, take.read, "b.wav", "mic b:2", "0.500000 s")
    refused(AudioFileError, lambda: take.read(23990, 24010), "0.500000 s")
    assert take.read(0, 24000).shape == (24000, 4)


def test_files_that_change_or_break_off_are_refused(tmp_path):
    path = make(tmp_path / "take.wav")
    take = Recording.open(path)
    make(path, samples("PCM_24", 500))
    refused(AudioFileError, take.read, "take.wav", "changed")
    path.unlink()
    refused(AudioFileError, take.read, "take.wav", "cannot be read")
    refused(AudioFileError, take.sha256, "take.wav")
    flac = make(tmp_path / "take.flac", samples("PCM_16", 50000), subtype="PCM_16", container="FLAC")
    content = bytearray(flac.read_bytes())
    content[90_000:91_000] = bytes(1000)
    flac.write_bytes(content)
    refused(AudioFileError, lambda: Recording.open(flac).read(), "take.flac", "export it again")


def test_digests_are_those_of_the_files(tmp_path):
    paths = [make(tmp_path / "a.wav"), make(tmp_path / "b.wav", samples("PCM_24", seed=1))]
    expected = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert Recording.open(paths).sha256() == expected


# Stems


@pytest.mark.parametrize(("container", "subtype", "endian"), FORMATS)
@pytest.mark.parametrize("n_samples", [1, 1000, 1001])
def test_an_unmodified_mic_is_written_back_bit_for_bit(tmp_path, monkeypatch, container, subtype, endian, n_samples):
    monkeypatch.setattr("mnmf.audio._recording.BLOCK", 300)
    data = samples(subtype, max(3, n_samples))[:n_samples]
    path = make(tmp_path / "take.x", data, 96000, subtype, container, endian)
    take = Recording.open(path)
    exact_in_float32 = subtype not in ("PCM_32", "DOUBLE")
    for dtype in [np.float64] + [np.float32] * exact_in_float32:
        stem = tmp_path / "stem.y"
        assert audio.write_stem(stem, take.read(dtype=dtype)[:, 1], take, 1) == 0
        with sf.SoundFile(stem) as file, sf.SoundFile(path) as original:
            for what in ("format", "subtype", "endian", "samplerate", "frames"):
                assert getattr(file, what) == getattr(original, what)
            assert file.channels == 1
            np.testing.assert_array_equal(file.read(dtype=data.dtype.name), data[:, 1])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["stem.y", "take.x"]


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("FLAC", "PCM_16")])
def test_samples_are_rounded_to_even_and_clipped(tmp_path, container, subtype):
    top = 2 ** (BITS[subtype] - 1)
    wanted = np.array(
        [0.5, 1.5, 2.5, -0.5, -1.5, 0.4, 0.6, top - 1, top - 0.6, top, 3 * top, -top, -top - 0.5, -2 * top]
    )
    expected = [0, 2, 2, 0, -2, 0, 1, top - 1, top - 1, top - 1, top - 1, -top, -top, -top]
    n_samples = len(wanted)
    take = Recording.open(make(tmp_path / "take", samples(subtype, n_samples), RATE, subtype, container))
    assert audio.write_stem(tmp_path / "stem", wanted / top, take, 0) == 3
    got, _ = sf.read(tmp_path / "stem", dtype="int32")
    np.testing.assert_array_equal(got >> (32 - BITS[subtype]), expected)


def test_float_stems_are_not_clipped(tmp_path):
    take = Recording.open(make(tmp_path / "take.wav", subtype="FLOAT"))
    x_L = np.linspace(-9, 9, 1001)
    assert audio.write_stem(tmp_path / "stem.wav", x_L, take, 0) == 0
    np.testing.assert_array_equal(sf.read(tmp_path / "stem.wav", dtype="float32")[0], x_L.astype(np.float32))


def test_two_runs_give_the_same_bytes(tmp_path):
    takes = {
        f"{container}-{subtype}": Recording.open(
            make(tmp_path / f"{container}-{subtype}", subtype=subtype, container=container)
        )
        for container, subtype, endian in FORMATS
        if endian == "FILE"
    }
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        for name, take in takes.items():
            audio.write_stem(folder / name, take.read()[:, 0], take, 0)
        audio.write(folder / "float.wav", takes["WAV-FLOAT"].read(), RATE, "FLOAT")
        if folder is folders[0]:
            time.sleep(1.1)  # libsndfile notes the second
    for name in [*takes, "float.wav"]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    assert b"PEAK" in (folders[0] / "float.wav").read_bytes()[:200]


def bext_of(content):
    return (b"Session 12".ljust(256, b"\0") + content).ljust(602, b"\0")


def add_bext(path, chunk_content, at_end):
    """Add the chunk as field recorders do (first) or as editors do (last)."""
    data = path.read_bytes()
    order = ">" if data[:4] == b"RIFX" else "<"
    chunk = b"bext" + struct.pack(order + "I", len(chunk_content)) + chunk_content + b"\0" * (len(chunk_content) % 2)
    data = data + chunk if at_end else data[:12] + chunk + data[12:]
    path.write_bytes(data[:4] + struct.pack(order + "I", len(data) - 8) + data[8:])


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("content", [bext_of(b"recorder"), bext_of(b"x") + b"A=PCM,F=48000\r\n"], ids=["even", "odd"])
@pytest.mark.parametrize(
    ("container", "subtype", "endian"),
    [("WAV", "PCM_24", "FILE"), ("WAV", "FLOAT", "FILE"), ("WAVEX", "PCM_16", "FILE"), ("WAV", "PCM_24", "BIG")],
)
def test_the_broadcast_wave_chunk_is_carried_over(tmp_path, monkeypatch, at_end, content, container, subtype, endian):
    monkeypatch.setattr("mnmf.audio._recording.BLOCK", 700)
    data = samples(subtype)
    path = make(tmp_path / "take.wav", data, RATE, subtype, container, endian)
    add_bext(path, content, at_end)
    take = Recording.open(path)
    audio.write_stem(tmp_path / "stem.wav", take.read()[:, 1], take, 1)
    np.testing.assert_array_equal(sf.read(tmp_path / "stem.wav", dtype=data.dtype.name)[0], data[:, 1])
    stem = (tmp_path / "stem.wav").read_bytes()
    order = "big" if endian == "BIG" else "little"
    assert int.from_bytes(stem[4:8], order) == len(stem) - 8
    chunks = riff_chunks(stem, order)
    assert chunks[b"bext"] == content
    assert list(chunks)[-1 if at_end else 0] == b"bext"
    if endian == "FILE" and subtype != "FLOAT" and container == "WAV":
        with wave.open(str(tmp_path / "stem.wav")) as other_reader:
            assert other_reader.getnframes() == 1001


def riff_chunks(data, order, at=12):
    chunks = {}
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], order)
        chunks[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    return chunks


def test_the_broadcast_wave_chunk_survives_in_rf64(tmp_path):
    content = bext_of(b"recorder")
    path = make(tmp_path / "take.wav", samples("PCM_24", 1000), container="RF64")
    data = path.read_bytes()
    chunk = b"bext" + struct.pack("<I", len(content)) + content
    size = struct.pack("<Q", struct.unpack("<Q", data[20:28])[0] + len(chunk))
    path.write_bytes(data[:20] + size + data[28:] + chunk)
    take = Recording.open(path)
    audio.write_stem(tmp_path / "stem.wav", take.read()[:, 0], take, 0)
    stem = (tmp_path / "stem.wav").read_bytes()
    assert stem[-len(chunk) :] == chunk
    assert struct.unpack("<Q", stem[20:28])[0] == len(stem) - 8
    np.testing.assert_array_equal(sf.read(tmp_path / "stem.wav", dtype="int32")[0], samples("PCM_24", 1000)[:, 0])


def test_a_damaged_broadcast_wave_chunk_does_no_harm(tmp_path):
    path = make(tmp_path / "take.wav")
    data = path.read_bytes()
    path.write_bytes(data + b"bext" + struct.pack("<I", 100_000) + b"cut off")
    take = Recording.open(path)
    audio.write_stem(tmp_path / "stem.wav", take.read()[:, 0], take, 0)
    assert b"bext" not in (tmp_path / "stem.wav").read_bytes()


@pytest.mark.parametrize("container", ["FLAC", "WAV", "AIFF", "CAF"])
def test_text_tags_are_carried_over(tmp_path, container):
    tags = {"title": "Adagio", "artist": "Quartett für vier", "software": "Recorder 3"}
    take = Recording.open(make(tmp_path / "take", container=container, **tags))
    audio.write_stem(tmp_path / "stem", take.read()[:, 0], take, 0)
    with sf.SoundFile(tmp_path / "stem") as file, sf.SoundFile(tmp_path / "take") as original:
        got, given = file.copy_metadata(), original.copy_metadata()
    assert got == given
    assert got["artist"] == "Quartett für vier"
    assert got["software"].startswith("Recorder 3")


def test_stems_of_the_wrong_shape_or_kind_are_refused(tmp_path):
    take = Recording.open(make(tmp_path / "take.wav"))
    stem = tmp_path / "stem.wav"
    good = np.zeros(1001)
    for x_L in (np.zeros(1000), np.zeros((1001, 1)), good.astype(complex), good.astype(int), np.full(1001, np.nan)):
        with pytest.raises(ArgumentError):
            audio.write_stem(stem, x_L, take, 0)
    for mic in (-1, 2):
        refused(ArgumentError, lambda mic=mic: audio.write_stem(stem, good, take, mic), "mic")
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]


def test_a_stem_never_replaces_the_take(tmp_path):
    path = make(tmp_path / "take.wav")
    before = path.read_bytes()
    take = Recording.open(path)
    (tmp_path / "soft.wav").symlink_to(path)
    os.link(path, tmp_path / "hard.wav")
    for name in ("take.wav", "soft.wav", "hard.wav"):
        refused(
            OutputError, lambda name=name: audio.write_stem(tmp_path / name, np.zeros(1001), take, 0), name, "--out"
        )
    assert path.read_bytes() == before


def test_a_stem_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    take = Recording.open(make(tmp_path / "take.wav"))
    x_L = take.read()[:, 0]
    refused(OutputError, lambda: audio.write_stem(tmp_path / "no" / "a.wav", x_L, take, 0), "a.wav", "No such", "--out")
    stem = tmp_path / "stem.wav"
    stem.write_text("older result")

    def short(self, data):
        raise AssertionError

    flac = Recording.open(make(tmp_path / "take.flac", container="FLAC"))
    with monkeypatch.context() as patch:
        patch.setattr(sf.SoundFile, "write", short)
        refused(OutputError, lambda: audio.write_stem(stem, x_L, flac, 0), "stem.wav", "not all samples", "free space")

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("mnmf.audio._writing.packed", interrupt)
    monkeypatch.setattr(sf.SoundFile, "write", interrupt)
    for like in (take, flac):
        with pytest.raises(KeyboardInterrupt):
            audio.write_stem(stem, x_L, like, 0)
    assert stem.read_text() == "older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stem.wav", "take.flac", "take.wav"]


FULL_DISK = """
import resource, signal, sys
import numpy as np
from mnmf import audio
from mnmf.errors import OutputError

take = audio.Recording.open(sys.argv[1])
x_L = take.read()[:, 0]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    audio.write_stem(sys.argv[2], x_L, take, 0)
except OutputError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize(
    ("container", "subtype", "with_bext", "limit"),
    [("WAV", "PCM_24", False, 100_000), ("FLAC", "PCM_16", False, 100_000), ("WAV", "PCM_24", True, 300_100)],
)
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path, container, subtype, with_bext, limit):
    path = make(tmp_path / "take", samples(subtype, 100_000), subtype=subtype, container=container)
    if with_bext:
        add_bext(path, bext_of(b"recorder"), at_end=False)
    stem = tmp_path / "stem"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path, stem, str(limit)], capture_output=True, text=True, check=True
    )
    assert str(stem) in done.stdout
    assert "free space or choose another --out" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["take"]


# Plain files


def test_flac_has_at_most_eight_channels(tmp_path):
    x_LM = np.zeros((10, 9))
    assert audio.write(tmp_path / "take.flac", x_LM[:, :8], 8000) == 0
    refused(ArgumentError, lambda: audio.write(tmp_path / "more.flac", x_LM, 8000), "more.flac", "8 channels, not 9")
    assert not (tmp_path / "more.flac").exists()


@pytest.mark.parametrize("suffix", [".wav", ".WAV", ".flac", ".aiff", ".aif", ".caf", ".w64", ".rf64"])
def test_plain_files_are_written_in_the_container_of_their_extension(tmp_path, suffix):
    data = samples("PCM_24", n_channels=3)
    path = tmp_path / f"mix{suffix}"
    assert audio.write(path, data / 2.0**31, 44100) == 0
    take = Recording.open(path)
    assert (take.sample_rate, take.n_mics, take.mics[0].subtype) == (44100, 3, "PCM_24")
    np.testing.assert_array_equal(take.read(dtype=np.float64), data / 2.0**31)


def test_plain_files_may_be_mono_and_not_contiguous(tmp_path):
    x_LM = np.asfortranarray(np.random.default_rng(0).uniform(-1, 1, (500, 4)).astype(np.float32))
    audio.write(tmp_path / "mono.wav", x_LM[::2, 1], RATE, "FLOAT")
    np.testing.assert_array_equal(Recording.open(tmp_path / "mono.wav").read()[:, 0], x_LM[::2, 1])
    audio.write(tmp_path / "mix.wav", x_LM, RATE, "FLOAT")
    np.testing.assert_array_equal(Recording.open(tmp_path / "mix.wav").read(), x_LM)


def test_plain_files_that_cannot_exist_are_refused(tmp_path):
    x_LM = np.zeros((10, 2))
    refused(ArgumentError, lambda: audio.write(tmp_path / "mix.mp3", x_LM, RATE), "mix.mp3", ".wav")
    refused(ArgumentError, lambda: audio.write(tmp_path / "mix.flac", x_LM, RATE, "FLOAT"), "FLOAT", "FLAC")
    refused(ArgumentError, lambda: audio.write(tmp_path / "mix.wav", x_LM, RATE, "ULAW"), "ULAW")
    refused(ArgumentError, lambda: audio.write(tmp_path / "mix.wav", x_LM[:0], RATE), "(0, 2)")
    refused(OutputError, lambda: audio.write(tmp_path / "mix.flac", x_LM, 999_999), "mix.flac")
    for rate in (5_000_000, 0, -1, 10**30, 8000.0, True):
        refused(ArgumentError, lambda: audio.write(tmp_path / "mix.flac", x_LM, rate), "mix.flac", "sample rate")  # noqa: B023
    assert not list(tmp_path.iterdir())
