"""Stems of a part of a file: markers and time stamps are moved with it, what is outside is gone."""

import struct

import numpy as np
import pytest

from mnmf import audio
from mnmf.audio import Recording
from tests import containers as by_hand
from tests.containers import chunk, chunks_of, fmt, raw, sound

START, STOP = 100, 300
LABELS = {1: "before", 2: "at its first sample", 3: "at its last sample", 4: "just after", 5: "far after"}
PLACES = {1: 99, 2: 100, 3: 299, 4: 300, 5: 900}
LEFT = (2, 3)


def part_of(tmp_path, data, start=START, stop=STOP):
    """The bytes of a stem of a part of a file."""
    path = tmp_path / "take"
    path.write_bytes(data)
    take = Recording.open(path).part(start, stop)
    audio.write_stem(tmp_path / "stem", take.read(dtype=np.float64)[:, 0], take, 0)
    return (tmp_path / "stem").read_bytes()


def wav(before=(), after=(), order="<"):
    magic, values = b"RIFX" if order == ">" else b"RIFF", sound("PCM_16", 1000)
    return by_hand.riff(
        raw(values, "PCM_16", order == ">"), fmt("PCM_16", 1, 8000, order=order), before, after, magic=magic
    )


def cues(places, order="<", shift=0):
    head = struct.pack(order + "I", len(places))
    return head + b"".join(
        struct.pack(order + "II4sIII", number, place - shift, b"data", 0, 0, place - shift)
        for number, place in places.items()
    )


def labels(numbers, order="<", lengths=None):
    inner = [chunk(b"labl", struct.pack(order + "I", n) + LABELS[n].encode() + b"\0", order) for n in numbers]
    inner += [chunk(b"note", struct.pack(order + "I", n) + b"hm\0", order) for n in numbers]
    for n in numbers:
        length = 500 if lengths is None else lengths[n]
        inner.append(chunk(b"ltxt", struct.pack(order + "II4s4H", n, length, b"rgn ", 0, 0, 0, 0), order))
    return b"adtl" + b"".join(inner)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("labels_first", [False, True])
def test_cues_and_their_labels(tmp_path, order, labels_first):
    chunks = [(b"cue ", cues(PLACES, order)), (b"LIST", labels(PLACES, order)), (b"plst", plays(PLACES, order))]
    chunks = chunks[::-1] if labels_first else chunks
    found = dict(chunks_of(part_of(tmp_path, wav(after=chunks, order=order))))
    assert found[b"cue "] == cues({n: PLACES[n] for n in LEFT}, order, START)
    assert found[b"LIST"] == labels(LEFT, order, {2: 200, 3: 1})
    assert found[b"plst"] == plays(LEFT, order)


def plays(numbers, order):
    return struct.pack(order + "I", len(numbers)) + b"".join(struct.pack(order + "3I", n, 50, 1) for n in numbers)


def test_cues_that_are_all_outside_are_gone_with_their_labels(tmp_path):
    outside = {n: PLACES[n] for n in (1, 4, 5)}
    info = (b"LIST", b"INFO" + chunk(b"INAM", b"Take 3\0"))
    after = [(b"cue ", cues(outside)), (b"LIST", labels(outside)), info, (b"plst", plays(outside, "<"))]
    found = chunks_of(part_of(tmp_path, wav(after=after)))
    assert [name for name, _ in found] == [b"fmt ", b"data", b"LIST"]
    assert found[-1] == info


@pytest.mark.parametrize("order", ["<", ">"])
def test_loops_of_a_sampler(tmp_path, order):
    def smpl(*loops):
        packed = b"".join(struct.pack(order + "6I", n, 0, *ends, 0, 0) for n, ends in enumerate(loops))
        return struct.pack(order + "9I", *range(7), len(loops), 4) + packed + b"more"

    found = dict(
        chunks_of(part_of(tmp_path, wav(after=[(b"smpl", smpl((100, 299), (99, 200), (200, 300)))], order=order)))
    )
    assert found[b"smpl"] == smpl((0, 199))


def test_the_time_stamp_and_its_copies_in_xml(tmp_path):
    def bext(reference):
        return bytes(338) + struct.pack("<Q", reference) + bytes(256)

    def xml(high, low):
        return (
            b"<BWFXML><SPEED><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>%d</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>\r\n"
            b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>%d</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED><BEXT>"
            b"<BWF_TIME_REFERENCE_LOW>%d</BWF_TIME_REFERENCE_LOW><BWF_TIME_REFERENCE_HIGH>%d</BWF_TIME_REFERENCE_HIGH>"
            b"</BEXT></BWFXML>" % (high, low, low, high)
        )

    reference = (1 << 32) - 50
    found = dict(chunks_of(part_of(tmp_path, wav([(b"bext", bext(reference)), (b"iXML", xml(0, reference))]))))
    assert found[b"bext"] == bext(reference + 100)
    assert found[b"iXML"] == xml(1, 50)


def test_what_no_part_can_have_and_what_names_no_place(tmp_path):
    other = [(b"inst", bytes(7)), (b"acid", bytes(24)), (b"axml", b"<a/>"), (b"chna", bytes(4)), (b"odd ", b"123")]
    found = chunks_of(part_of(tmp_path, wav(after=[*other, (b"r64m", bytes(320))])))
    assert found[2:] == other


RUBBISH = np.random.default_rng(0).integers(0, 256, 393_160, dtype="u1").tobytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"LIST", b"adtl" + RUBBISH),  # as Zoom's recorders leave it
        (b"LIST", bytes(393_164)),
        (b"LIST", b"adtl"[:3]),
        (b"LIST", b"adtlabl"),
        (b"cue ", RUBBISH[:999]),
        (b"cue ", struct.pack("<I", 0xFFFFFFFF)),
        (b"cue ", b"1"),
        (b"smpl", RUBBISH[:36]),
        (b"smpl", struct.pack("<9I", *range(7), 0xFFFFFFFF, 4)),
        (b"smpl", b"12"),
        (b"plst", struct.pack("<I", 3)),
        (b"bext", bytes(345)),
        (b"iXML", b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"),
        (b"iXML", RUBBISH),
    ],
)
def test_what_is_not_as_its_format_says_stays_as_it_is(tmp_path, name, content):
    found = dict(chunks_of(part_of(tmp_path, wav([(name, content)], [(b"last", b"ok")]))))
    assert found[name] == content
    assert found[b"last"] == b"ok"


# AIFF


def marks(places, shift=0):
    names = {1: b"one", 2: b"two2", 3: b"", 4: b"four", 5: b"five"}
    packed = [
        struct.pack(">hIB", n, place - shift, len(names[n])) + names[n] + b"\0" * ((len(names[n]) + 1) % 2)
        for n, place in places.items()
    ]
    return struct.pack(">H", len(places)) + b"".join(packed)


def comments(*marks):
    texts = [struct.pack(">IhH", 9, mark, 5) + b"words\0" for mark in marks]
    return struct.pack(">H", len(marks)) + b"".join(texts)


def instrument(*loops):
    return bytes(range(8)) + b"".join(struct.pack(">3h", *loop) for loop in loops)


def test_marks_of_aiff(tmp_path):
    after = [
        (b"MARK", marks(PLACES)),
        (b"COMT", comments(0, 1, 2, 5)),
        (b"INST", instrument((1, 2, 3), (1, 3, 4))),
        (b"NAME", b"Take 3"),
    ]
    data = by_hand.aiff(raw(sound("PCM_16", 1000), "PCM_16", True), "PCM_16", 1, 8000, after=after)
    found = dict(chunks_of(part_of(tmp_path, data)))
    assert found[b"MARK"] == marks({n: PLACES[n] for n in LEFT}, START)
    assert found[b"COMT"] == comments(0, 0, 2, 0)
    assert found[b"INST"] == instrument((1, 2, 3), (0, 0, 0))
    assert found[b"NAME"] == b"Take 3"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"MARK", b"\xff\xff" + RUBBISH[:50]),
        (b"MARK", b"\0"),
        (b"MARK", struct.pack(">HhIB", 1, 1, 150, 200)),
        (b"COMT", b"\0\5rubbish"),
        (b"INST", b"short"),
    ],
)
def test_odd_chunks_of_aiff_stay_as_they_are(tmp_path, name, content):
    data = by_hand.aiff(raw(sound("PCM_16", 1000), "PCM_16", True), "PCM_16", 1, 8000, after=[(name, content)])
    assert dict(chunks_of(part_of(tmp_path, data)))[name] == content


# Core Audio Format


def caf_mark(n, place):
    return struct.pack(">Id", 7, place) + struct.pack(">I", n) + bytes(8) + struct.pack(">I", 0)


def caf_marks(places, shift=0):
    return struct.pack(">II", 3, len(places)) + b"".join(caf_mark(n, place - shift) for n, place in places.items())


def regions(*each, shift=0):
    packed = [
        struct.pack(">III", n, 1, len(places)) + b"".join(caf_mark(n, place - shift) for place in places)
        for n, places in enumerate(each)
    ]
    return struct.pack(">II", 3, len(each)) + b"".join(packed)


def caf(*after):
    return by_hand.caf(raw(sound("PCM_16", 1000), "PCM_16", True), "PCM_16", 1, 8000, after=after)


def test_marks_and_regions_of_core_audio(tmp_path):
    inside, outside = (100, 299), (150, 300)
    data = caf((b"mark", caf_marks(PLACES)), (b"regn", regions(inside, outside)), (b"info", bytes(4)))
    found = dict(chunks_of(part_of(tmp_path, data)))
    assert found[b"mark"] == caf_marks({n: PLACES[n] for n in LEFT}, START)
    assert found[b"regn"] == regions(inside, shift=START)
    assert found[b"info"] == bytes(4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"mark", struct.pack(">II", 3, 0xFFFFFFFF) + RUBBISH[:99]),
        (b"mark", b"123"),
        (b"regn", struct.pack(">II", 3, 0xFFFFFFFF) + RUBBISH[:99]),
        (b"regn", struct.pack(">5I", 3, 1, 0, 0, 0xFFFFFFFF)),
    ],
)
def test_odd_chunks_of_core_audio_stay_as_they_are(tmp_path, name, content):
    assert dict(chunks_of(part_of(tmp_path, caf((name, content)))))[name] == content


def test_places_in_wave64(tmp_path):
    marker = bytes.fromhex("5662f7ab2d39d21186c700c04f8edb8a")
    bext = bytes(338) + struct.pack("<Q", 1000) + bytes(256)
    before = [(b"bext", bext), (b"cue ", cues(PLACES)), (marker, bytes(16))]
    data = by_hand.w64(raw(sound("PCM_16", 1000), "PCM_16"), fmt("PCM_16", 1, 8000), before)
    found = dict(chunks_of(part_of(tmp_path, data)))
    assert found[b"bext"] == bext.replace(struct.pack("<Q", 1000), struct.pack("<Q", 1100))
    assert found[b"cue "] == cues({n: PLACES[n] for n in LEFT}, shift=START)
    assert list(found) == [b"bext", b"cue ", b"fmt ", b"data"]
