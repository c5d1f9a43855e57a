"""Stems of files made by hand: the same container, depth, rate and chunks, byte for byte, whatever the header says."""

import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mnmf import audio
from mnmf.audio import Recording
from mnmf.errors import OutputError
from tests import containers as by_hand
from tests.containers import chunks_of, fmt, raw, scaled, sound
from tests.test_audio import refused

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

DEPTHS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
SIGNED = ("PCM_S8", *DEPTHS[1:])
BEFORE = ((b"bext", b"b" * 602 + b"A=PCM"), (b"iXML", b"<BWFXML/>"), (b"JUNK", bytes(28)))
AFTER = ((b"LIST", b"adtl" + by_hand.chunk(b"labl", b"\1\0\0\0solo\0")), (b"odd ", b"\xff\0\x01"), (b"none", b""))


def wav_file(subtype, values, rate, before, after, magic=b"RIFF", extensible=False):
    big = magic == b"RIFX"
    described = fmt(subtype, values.shape[1], rate, extensible, ">" if big else "<")
    return by_hand.riff(raw(values, subtype, big), described, before, after, magic)


def w64_file(subtype, values, rate, before, after):
    data = raw(values, subtype)
    if len(data) % 8:  # then the sound is last
        before, after = (*before, *after), ()
    return by_hand.w64(data, fmt(subtype, values.shape[1], rate), before, after, pad=False)


def aiff_file(subtype, values, rate, before, after, packing=None):
    data = raw(values, subtype, packing != b"sowt")
    return by_hand.aiff(data, subtype, values.shape[1], rate, before, after, packing)


def caf_file(subtype, values, rate, before, after, little=False):
    data = raw(values, subtype, not little)
    return by_hand.caf(data, subtype, values.shape[1], rate, before, after, little)


def au_file(subtype, values, rate, before, after, little=False):
    note = b"".join(content for _, content in (*before, *after))
    return by_hand.au(raw(values, subtype, not little), subtype, values.shape[1], rate, note, little)


def with_options(make, **options):
    return lambda *args: make(*args, **options)


KINDS = {
    "wav": (wav_file, DEPTHS),
    "wav extensible": (with_options(wav_file, extensible=True), DEPTHS),
    "rifx": (with_options(wav_file, magic=b"RIFX"), DEPTHS),
    "rf64": (with_options(wav_file, magic=b"RF64"), DEPTHS),
    "w64": (w64_file, DEPTHS),
    "aiff": (aiff_file, ("PCM_S8", "PCM_16", "PCM_24", "PCM_32")),
    "aifc": (with_options(aiff_file, packing=b"NONE"), ("PCM_16", "PCM_24")),
    "aifc sowt": (with_options(aiff_file, packing=b"sowt"), ("PCM_16",)),
    "aifc fl32": (with_options(aiff_file, packing=b"fl32"), ("FLOAT",)),
    "aifc fl64": (with_options(aiff_file, packing=b"fl64"), ("DOUBLE",)),
    "caf": (caf_file, SIGNED),
    "caf little": (with_options(caf_file, little=True), SIGNED[1:]),
    "au": (au_file, SIGNED),
    "au little": (with_options(au_file, little=True), SIGNED[1:]),
}
EVERY = [(kind, depth) for kind, (_, depths) in KINDS.items() for depth in depths]
RATES = (8000, 11025, 44100, 48000, 96000, 192000)


def written_back(data, suffix="", mic=0):
    """The stem of a microphone as it is, of a file that holds these bytes; and the take."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"take{suffix}")
        path.write_bytes(data)
        take = Recording.open(path)
        x_LM = take.read(dtype=np.float64)
        stem = Path(folder, "stem")
        assert audio.write_stem(stem, x_LM[:, mic], take, mic) == 0
        assert sorted(each.name for each in Path(folder).iterdir()) == sorted(["stem", path.name])
        return stem.read_bytes(), x_LM, take


@pytest.mark.parametrize(("kind", "depth"), EVERY)
@pytest.mark.parametrize("n_samples", [30, 31])
def test_what_is_not_changed_is_the_same_file(kind, depth, n_samples):
    rate = RATES[EVERY.index((kind, depth)) % len(RATES)]
    values = sound(depth, n_samples)
    data = KINDS[kind][0](depth, values, rate, BEFORE, AFTER)
    stem, x_LM, take = written_back(data)
    assert take.sample_rate == rate
    np.testing.assert_array_equal(x_LM, scaled(values, depth))
    assert take.remarks == ()
    assert stem == data


@pytest.mark.parametrize(("kind", "depth"), EVERY)
def test_a_channel_of_three_has_the_chunks_of_all(kind, depth):
    values = sound(depth, 25, 3)
    make = KINDS[kind][0]
    stem, x_LM, _ = written_back(make(depth, values, 48000, BEFORE, AFTER), mic=1)
    np.testing.assert_array_equal(x_LM, scaled(values, depth))
    assert stem == make(depth, values[:, 1:2], 48000, BEFORE, AFTER)


names = st.binary(min_size=4, max_size=4).map(lambda name: bytes(0x21 + byte % 0x5D for byte in name))
other_chunks = st.lists(st.tuples(names, st.binary(max_size=9)), max_size=4)


@hypothesis.settings(max_examples=60, deadline=None, database=None, derandomize=True)
@hypothesis.given(
    kind=st.sampled_from(EVERY),
    before=other_chunks,
    after=other_chunks,
    n=st.integers(1, 9),
    channels=st.integers(1, 3),
)
def test_any_chunks_are_kept(kind, before, after, n, channels):
    values = sound(kind[1], n, channels)
    make = KINDS[kind[0]][0]
    stem, x_LM, _ = written_back(make(kind[1], values, 44100, before, after))
    np.testing.assert_array_equal(x_LM, scaled(values, kind[1]))
    assert stem == make(kind[1], values[:, :1], 44100, before, after)


def test_a_fact_counts_the_samples_and_what_is_true_of_the_sound_only_is_left_out():
    values = sound("FLOAT", 20, 2)
    fact, peak = struct.pack("<I", 20), struct.pack("<IIfIfI", 1, 7, 0.5, 3, 0.5, 4)
    before = [(b"fact", fact), (b"PEAK", peak), (b"levl", bytes(8)), (b"MD5 ", bytes(16)), (b"bext", bytes(602))]
    data = by_hand.riff(raw(values, "FLOAT"), fmt("FLOAT", 2, 48000), (None, *before), [(b"md5 ", b"0" * 32)])
    stem, _, _take = written_back(data)
    assert [name for name, _ in chunks_of(stem)] == [b"fmt ", b"fact", b"bext", b"data"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "take.wav")
        path.write_bytes(data)
        audio.write_stem(Path(folder, "part.wav"), np.zeros(5), Recording.open(path).part(2, 7), 0)
        assert dict(chunks_of(Path(folder, "part.wav").read_bytes()))[b"fact"] == struct.pack("<I", 5)


def test_who_speaks_where_is_left_open_in_a_stem_of_one_channel_of_several():
    values = sound("PCM_24", 20, 2)
    data = by_hand.riff(raw(values, "PCM_24"), fmt("PCM_24", 2, 48000, True, mask=3))
    described = dict(chunks_of(written_back(data)[0]))[b"fmt "]
    assert described == fmt("PCM_24", 1, 48000, True, mask=0)
    mono = by_hand.riff(raw(values[:, :1], "PCM_24"), fmt("PCM_24", 1, 48000, True, mask=4))
    assert written_back(mono)[0] == mono
    apple = by_hand.caf(raw(values, "PCM_24", True), "PCM_24", 2, 48000, [(b"chan", bytes(12)), (b"info", b"\0" * 4)])
    assert [name for name, _ in chunks_of(written_back(apple)[0])] == [b"desc", b"info", b"data"]


def test_valid_bits_and_a_long_description_stay():
    values = sound("PCM_32", 20) & ~0xFF
    for described in (fmt("PCM_32", 1, 48000, True, valid=24), fmt("PCM_32", 1, 48000) + bytes(842)):
        data = by_hand.riff(raw(values, "PCM_32"), described)
        assert written_back(data)[0] == data


# Headers that are wrong


def good(depth="PCM_24", n=41, **options):
    """A mono file, and its parts."""
    data, described = raw(sound(depth, n), depth), fmt(depth, 1, 8000)
    return by_hand.riff(data, described, **options), data, described


def damaged():
    """Name, bytes as a recorder left them, the file as it should be, and words of what is said of it."""
    whole, data, described = good()
    long, lost = by_hand.riff(data, described, magic=b"RF64"), "does not state how long it is"
    head = by_hand.chunk(b"fmt ", described)

    def wav(size, data_size, magic=b"RIFF", extra=b""):
        return magic + struct.pack("<I", size) + b"WAVE" + extra + head + b"data" + struct.pack("<I", data_size) + data

    def ds64(*sizes):
        return by_hand.chunk(b"ds64", struct.pack("<QQQI", *sizes, 0))

    yield "no sizes", wav(0, 0), whole, [lost]
    yield "no size of the sound", wav(len(whole) - 9, 0), whole, [lost]
    yield "size of an empty file", wav(36, 0), whole, [lost]
    yield "no size of the file", wav(0, len(data)), whole, []
    yield "a stream", wav(0xFFFFFFFF, 0xFFFFFFFF), whole, []
    yield "a stream of sox", wav(0x7FFFF024, 0x7FFFF000), whole, []
    yield "a stream of arecord", wav(0x80000024, 0x80000000), whole, []
    yield "no pad at the end", wav(len(whole) - 9, len(data)), whole, []
    yield "a wrong size of the file", wav(77, len(data)) + b"\0", whole, []
    yield "RF64 without sizes", wav(0xFFFFFFFF, 0xFFFFFFFF, b"RF64", ds64(0, 0, 0)), long, [lost]
    yield "RF64 as a stream", wav(0xFFFFFFFF, 0xFFFFFFFF, b"RF64", ds64(2**64 - 1, 2**64 - 1, 0)), long, []
    yield "RF64 with a short size", wav(0xFFFFFFFF, len(data), b"RF64", ds64(0, 0, 0)), long, []
    yield "RF64 without its sizes", wav(0xFFFFFFFF, 0xFFFFFFFF, b"RF64"), long, [lost]
    yield "BW64", by_hand.riff(data, described, magic=b"BW64"), long, ["stems of BW64 files are RF64"]
    yield "RIFX without sizes", *rifx_without_sizes(), [lost]
    yield "a tag before it", b"ID3\3\0\0\0\0\1\0" + bytes(128) + whole, whole, []
    yield "a tag after it", whole + b"TAG" + bytes(125), whole, []
    yield "a tag with a title after it", whole + b"TAG" + b"Title".ljust(125), whole, []
    yield "zeros after it", whole + bytes(9999), whole, []
    yield "zeros for a second after it", whole + bytes(24000), whole, ["1.000 s more is left out"]
    yield "not whole samples", by_hand.riff(data + b"\1\2", described), whole, []
    yield (
        "cut short",
        by_hand.riff(data + bytes(300), described)[: 44 + len(data)],
        whole,
        ["cut short: 0.005 s of 0.018"],
    )
    yield "cut within a sample", by_hand.riff(data + bytes(300), described)[: 46 + len(data)], whole, ["is cut short"]
    wide = by_hand.w64(data, described, pad=False)
    for name, size, words in (("no sizes", 0, [lost]), ("size of none", 24, [lost]), ("a stream", 2**64 - 1, [])):
        yield f"W64, {name}", by_hand.w64(data, described, data_size=size, pad=False), wide, words
    yield "W64, padded", by_hand.w64(data, described), wide, []
    after = by_hand.w64(data, described, after=[(b"bext", bytes(602))])
    yield (
        "W64, padded before a chunk",
        after,
        by_hand.w64(data, described, [(None, b""), (b"bext", bytes(602))], pad=False),
        [],
    )
    yield "W64, cut short", by_hand.w64(data + bytes(99), described)[: 104 + len(data)], wide, ["is cut short"]


def rifx_without_sizes():
    data, described = raw(sound("PCM_24", 41), "PCM_24", True), fmt("PCM_24", 1, 8000, order=">")
    whole = by_hand.riff(data, described, magic=b"RIFX")
    return b"RIFX" + bytes(4) + whole[8:40] + bytes(4) + whole[44:-1], whole


def damaged_others():
    data, lost = raw(sound("PCM_24", 41), "PCM_24", True), "does not state how long it is"
    kind = ("PCM_24", 1, 8000)
    yield "AIFF without sizes", by_hand.aiff(data, *kind, data_size=0, count=0), by_hand.aiff(data, *kind), [lost]
    yield "AIFF, an empty one", by_hand.aiff(data, *kind, data_size=8, count=0), by_hand.aiff(data, *kind), [lost]
    yield "AIFF as a stream", by_hand.aiff(data, *kind, data_size=2**32 - 1, count=0), by_hand.aiff(data, *kind), []
    cut = by_hand.aiff(data + bytes(300), *kind)[: 54 + len(data)]
    yield "AIFF cut short", cut, by_hand.aiff(data, *kind), ["is cut short"]
    yield "CAF without sizes", by_hand.caf(data, *kind, data_size=0), by_hand.caf(data, *kind), [lost]
    yield "CAF, an empty one", by_hand.caf(data, *kind, data_size=4), by_hand.caf(data, *kind), [lost]
    yield "CAF as a stream", by_hand.caf(data, *kind, data_size=-1), by_hand.caf(data, *kind), []
    cut = by_hand.caf(data + bytes(300), *kind)[: 68 + len(data)]
    yield "CAF cut short", cut, by_hand.caf(data, *kind), ["is cut short"]
    yield "AU without sizes", by_hand.au(data, *kind, data_size=0), by_hand.au(data, *kind), [lost]
    yield "AU as a stream", by_hand.au(data, *kind, data_size=2**32 - 1), by_hand.au(data, *kind), []
    cut = by_hand.au(data + bytes(300), *kind)[: 24 + len(data)]
    yield "AU cut short", cut, by_hand.au(data, *kind), ["is cut short"]


DAMAGED = {name: case for name, *case in (*damaged(), *damaged_others())}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_there_is_read_and_the_stem_is_sound(name):
    data, whole, words = DAMAGED[name]
    stem, x_LM, take = written_back(data)
    np.testing.assert_array_equal(x_LM, scaled(sound("PCM_24", 41), "PCM_24"))
    assert stem == whole
    assert len(take.remarks) == len(words)
    for remark, word in zip(take.remarks, words):
        assert word in remark
        assert "\n" not in remark


@pytest.mark.parametrize("name", [b"bext", b"iXML", b"LIST", b"odd "])
@pytest.mark.parametrize("size", [1, 11, 601, 603])
def test_chunks_after_sound_or_chunks_that_are_not_padded_are_found(name, size):
    content = bytes(range(1, 256)) * 3
    chunks = [(b"odd1", b"1"), (name, content[:size]), (b"last", b"end")]
    whole, data, described = good(before=chunks, after=chunks)
    bare = [by_hand.chunk(*each, pad=False) for each in chunks]
    parts = [by_hand.chunk(b"fmt ", described), *bare, by_hand.chunk(b"data", data, pad=False), *bare]
    body = b"WAVE" + b"".join(parts[1:4] + parts[:1] + parts[4:])
    stem, x_LM, _take = written_back(b"RIFF" + struct.pack("<I", len(body)) + body)
    np.testing.assert_array_equal(x_LM, scaled(sound("PCM_24", 41), "PCM_24"))
    assert stem == whole


def test_cues_turn_no_bytes_of_rifx_around():
    """libsndfile takes the sound for little-endian once it has seen them."""
    values = sound("PCM_16", 41)
    cue = struct.pack(">I", 1) + struct.pack(">II4sIII", 1, 8, b"data", 0, 0, 8)
    described = fmt("PCM_16", 1, 8000, order=">")
    data = by_hand.riff(raw(values, "PCM_16", True), described, after=[(b"cue ", cue)], magic=b"RIFX")
    stem, x_LM, _ = written_back(data)
    np.testing.assert_array_equal(x_LM, scaled(values, "PCM_16"))
    assert stem == data


def test_an_empty_file_with_chunks_is_empty(tmp_path):
    path = tmp_path / "take.wav"
    path.write_bytes(by_hand.riff(b"", fmt("PCM_16", 1, 8000), after=AFTER))
    refused(OSError, lambda: Recording.open(path), "holds no samples")


def test_a_size_that_wrapped_at_4_gb_is_unwrapped(monkeypatch):
    monkeypatch.setattr("mnmf.audio._walk.WRAP", 64)
    for after in ((), AFTER):
        whole, data, _ = good(n=40, after=after)
        assert len(data) == 120
        at = whole.index(b"data") + 4
        stem, _, take = written_back(whole[:at] + struct.pack("<I", 120 - 64) + whole[at + 4 :])
        assert stem == whole
        assert take.n_samples == 40


def test_above_4_gb_wav_becomes_rf64(tmp_path, monkeypatch):
    values = sound("PCM_24", 41, 2)
    path, stem = tmp_path / "take.wav", tmp_path / "stem.wav"
    path.write_bytes(by_hand.riff(raw(values, "PCM_24"), fmt("PCM_24", 2, 8000), BEFORE, AFTER))
    take = Recording.open(path)
    one = raw(values[:, :1], "PCM_24"), fmt("PCM_24", 1, 8000), BEFORE, AFTER
    small, large = by_hand.riff(*one), by_hand.riff(*one, magic=b"RF64")
    for limit, expected in ((len(small) - 8, small), (len(small) - 9, large)):
        monkeypatch.setattr("mnmf.audio._riff.LARGEST", limit)
        audio.write_stem(stem, take.read()[:, 0], take, 0)
        assert stem.read_bytes() == expected
    monkeypatch.setattr("mnmf.audio._riff.LARGEST", 5000)
    audio.write(tmp_path / "plain.wav", np.zeros(301), 8000)
    audio.write(tmp_path / "long.wav", np.zeros(302), 8000)
    assert (tmp_path / "plain.wav").read_bytes()[:4] == b"RIFF"
    assert (tmp_path / "long.wav").read_bytes()[:4] == b"RF64"


def test_above_4_gb_there_is_no_aiff_nor_rifx(tmp_path, monkeypatch):
    data = sound("PCM_16", 40, 2)
    (tmp_path / "a.aif").write_bytes(by_hand.aiff(raw(data, "PCM_16", True), "PCM_16", 2, 8000))
    described = fmt("PCM_16", 2, 8000, order=">")
    (tmp_path / "b.wav").write_bytes(by_hand.riff(raw(data, "PCM_16", True), described, magic=b"RIFX"))
    monkeypatch.setattr("mnmf.audio._riff.LARGEST", 99)
    monkeypatch.setattr("mnmf.audio._others.LARGEST", 99)
    for name in ("a.aif", "b.wav"):
        take = Recording.open(tmp_path / name)
        stem = tmp_path / "stem"
        refused(OutputError, lambda: audio.write_stem(stem, np.zeros(40), take, 0), "stem", "4 GB", "RF64")  # noqa: B023
        assert not stem.exists()


# Chunks that are large, cut or rubbish


def test_a_chunk_of_megabytes_is_kept_and_a_larger_one_named(monkeypatch):
    whole, _data, _described = good(before=[(b"axml", b"<ebuCoreMain>" * 300_000)], after=[(b"bext", bytes(602))])
    stem, _, take = written_back(whole)
    assert stem == whole
    assert take.remarks == ()
    monkeypatch.setattr("mnmf.audio._layout.LARGEST_CHUNK", 1_000_000)
    stem, _, take = written_back(whole)
    assert stem == good(after=[(b"bext", bytes(602))])[0]
    assert "chunk 'axml' of 4 MB is too large for the stems" in take.remarks[0]
    monkeypatch.setattr("mnmf.audio._layout.LARGEST_CHUNK", 10_000_000)
    monkeypatch.setattr("mnmf.audio._layout.LARGEST_CHUNKS", 3_900_100)
    assert written_back(whole)[0] == good(before=[(b"axml", b"<ebuCoreMain>" * 300_000)])[0]


def test_a_chunk_that_is_cut_off_is_left_out_and_named():
    whole, _, _ = good(after=[(b"iXML", b"<BWFXML/>"), (b"bext", bytes(602))])
    stem, _, take = written_back(whole[:-100])
    assert stem == good(after=[(b"iXML", b"<BWFXML/>")])[0]
    assert "its last chunk, 'bext', is cut off" in take.remarks[0]


def test_a_multitude_of_chunks_takes_no_more_time_than_it_may(tmp_path):
    many = b"".join(by_hand.chunk(b"odd%d" % (n % 10), b"1", pad=n % 2 == 0) for n in range(30_000))
    whole, _data, _described = good()
    path = tmp_path / "take.wav"
    path.write_bytes(whole + many)
    take = Recording.open(path)
    audio.write_stem(tmp_path / "stem.wav", take.read()[:, 0], take, 0)
    assert 9000 < len(chunks_of((tmp_path / "stem.wav").read_bytes())) <= 10_001
    assert "more than 10000 chunks" in take.remarks[0]
