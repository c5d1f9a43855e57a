"""FLAC files: their metadata, and how much sound is in those that are cut short or do not say."""

import struct

import numpy as np
import pytest

from mnmf import audio
from mnmf.audio import Recording, _flac
from tests import containers as by_hand
from tests.containers import chunk, flac_blocks, fmt, scaled, sound
from tests.test_audio import refused
from tests.test_containers import written_back

APPLICATION, SEEK_TABLE, COMMENTS, CUES, PICTURE, PADDING = 2, 3, 4, 5, 6, 1
TAGS = (COMMENTS, struct.pack("<I", 4) + b"mine" + struct.pack("<II", 1, 9) + b"TITLE=one")
OTHERS = ((APPLICATION, b"abcd anything"), TAGS, (PICTURE, bytes(99)), (CUES, bytes(396)), (PADDING, bytes(33)))


def made(path, n_samples=12_000, channels=1, blocks=(), subtype="PCM_16", **options):
    values = sound(subtype, n_samples, channels)
    path.write_bytes(by_hand.flac(values, subtype, 48000, blocks, **options))
    return scaled(values, subtype)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_metadata_is_kept(subtype):
    data = by_hand.flac(sound(subtype, 9000), subtype, 96000, OTHERS)
    stem, x_LM, _ = written_back(data)
    assert stem == data
    np.testing.assert_array_equal(x_LM, scaled(sound(subtype, 9000), subtype))
    several = sound(subtype, 9000, 3)
    stem, x_LM, _ = written_back(by_hand.flac(several, subtype, 96000, OTHERS), mic=2)
    assert stem == by_hand.flac(several[:, 2:], subtype, 96000, OTHERS)
    np.testing.assert_array_equal(x_LM, scaled(several, subtype))


def test_a_table_to_seek_by_is_not_kept():
    table = (SEEK_TABLE, struct.pack(">QQH", 0, 0, 4096))
    stem, _, _ = written_back(by_hand.flac(sound("PCM_16", 9000), "PCM_16", 48000, [table, *OTHERS]))
    assert stem == by_hand.flac(sound("PCM_16", 9000), "PCM_16", 48000, OTHERS)
    bare = by_hand.flac(sound("PCM_16", 9000), "PCM_16", 48000)
    assert written_back(by_hand.flac(sound("PCM_16", 9000), "PCM_16", 48000, [table]))[0] == bare


def test_a_stream_that_states_no_length_is_read_to_its_end(tmp_path):
    x_LM = made(tmp_path / "take.flac", channels=2, blocks=OTHERS, total=0)
    take = Recording.open(tmp_path / "take.flac")
    assert (take.n_samples, take.remarks) == (12_000, ())
    np.testing.assert_array_equal(take.read(dtype="float64"), x_LM)
    np.testing.assert_array_equal(take.read(7000, 7100, "float64"), x_LM[7000:7100])
    audio.write_stem(tmp_path / "stem.flac", take.read()[:, 1], take, 1)
    assert int.from_bytes(flac_blocks((tmp_path / "stem.flac").read_bytes())[0][10:18], "big") % (1 << 36) == 12_000


@pytest.mark.parametrize("part", [0.4, 0.5, 0.66, 0.9, 0.999])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_what_is_whole_of_a_file_that_is_cut_short_is_read(tmp_path, part, subtype):
    path = tmp_path / "take.flac"
    table = (SEEK_TABLE, struct.pack(">QQH", 40_960, 1 << 20, 4096))
    x_LM = made(path, 50_000, 2, [table, *OTHERS], subtype)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * part))
    take = Recording.open(path)
    there = take.n_samples
    assert 50_000 * part - 2 * 4096 < there <= 50_000 * part
    assert f"cut short: {there / 48000:.3f} s of 1.042 s are there" in take.remarks[0]
    np.testing.assert_array_equal(take.read(dtype="float64"), x_LM[:there])
    np.testing.assert_array_equal(take.read(there - 100, there, "float64"), x_LM[there - 100 : there])


def test_bytes_after_the_last_frame_are_no_loss(tmp_path):
    for after in (b"TAG" + bytes(125), bytes(9999), b"\xff\xf8" * 99):
        x_LM = made(tmp_path / "take.flac")
        with (tmp_path / "take.flac").open("ab") as file:
            file.write(after)
        take = Recording.open(tmp_path / "take.flac")
        assert (take.n_samples, take.remarks) == (12_000, ())
        np.testing.assert_array_equal(take.read(dtype="float64"), x_LM)


def test_one_frame_that_is_cut_is_no_sound(tmp_path):
    made(tmp_path / "take.flac", 2000)
    with (tmp_path / "take.flac").open("r+b") as file:
        file.truncate(1000)
    refused(OSError, lambda: Recording.open(tmp_path / "take.flac").read(), "take.flac", "export it again")


def test_checksums_are_those_of_flac():
    assert _flac._crc(b"123456789", 8) == 0xF4
    assert _flac._crc(b"123456789", 16) == 0xFEE8


# The chunks of a WAV file, as `flac --keep-foreign-metadata` keeps them

WAV_CHUNKS = ((b"bext", bytes(338) + struct.pack("<Q", 480_000) + bytes(257)), (b"iXML", b"<BWFXML/>"))


AFTER = ((b"LIST", b"adtl"), (b"cue ", bytes(4)))


def foreign(n_samples, channels, before=WAV_CHUNKS, after=AFTER):
    """Blocks with the chunks of a WAV file of 24 bits."""
    described = fmt("PCM_24", channels, 48000)
    size = 3 * channels * n_samples
    parts = [*(chunk(*each) for each in before), chunk(b"fmt ", described), b"data" + struct.pack("<I", size)]
    parts += [chunk(*each) for each in after]
    total = 4 + sum(map(len, parts)) + size + size % 2
    return [(APPLICATION, b"riff" + part) for part in (b"RIFF" + struct.pack("<I", total) + b"WAVE", *parts)]


@pytest.mark.parametrize("channels", [1, 2])
def test_chunks_of_a_wav_file_are_those_of_the_stem(channels):
    values = sound("PCM_24", 5001, channels)
    data = by_hand.flac(values, "PCM_24", 48000, [TAGS, *foreign(5001, channels)])
    stem, _, take = written_back(data)
    assert take.mics[0].time_reference == 480_000
    assert stem == by_hand.flac(values[:, :1], "PCM_24", 48000, [TAGS, *foreign(5001, 1)])


def test_chunks_of_a_wav_file_are_those_of_a_part(tmp_path):
    values = sound("PCM_24", 5001, 2)
    (tmp_path / "take.flac").write_bytes(
        by_hand.flac(values, "PCM_24", 48000, [TAGS, (CUES, bytes(396)), *foreign(5001, 2)])
    )
    take = Recording.open(tmp_path / "take.flac").part(1000, 1501)
    audio.write_stem(tmp_path / "stem.flac", take.read()[:, 0], take, 0)
    later = (WAV_CHUNKS[0][0], bytes(338) + struct.pack("<Q", 481_000) + bytes(257))
    expected = [TAGS, *foreign(501, 1, (later, WAV_CHUNKS[1]), ())]
    assert (tmp_path / "stem.flac").read_bytes() == by_hand.flac(values[1000:1501, :1], "PCM_24", 48000, expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda blocks: blocks[1:],
        lambda blocks: [*blocks[:1], (APPLICATION, b"riffbext\xff\xff\0\0short"), *blocks[1:]],
        lambda blocks: [each for each in blocks if each[1][4:8] != b"fmt "],
        lambda blocks: [each for each in blocks if each[1][4:8] != b"data"],
        lambda blocks: [
            (kind, content.replace(b"fmt \x10\0\0\0\1\0\1", b"fmt \x10\0\0\0\1\0\7")) for kind, content in blocks
        ],
        lambda blocks: [(kind, b"w64 " + content[4:]) for kind, content in blocks],
    ],
)
def test_chunks_that_make_no_wav_file_are_left_out(spoil):
    values = sound("PCM_24", 900, 2)
    stem, _, _ = written_back(by_hand.flac(values, "PCM_24", 48000, [TAGS, *spoil(foreign(900, 2))]))
    kept = flac_blocks(stem)[1]
    assert kept in ([TAGS], [TAGS, *foreign(900, 1)])
    assert kept == [TAGS] or spoil(foreign(900, 2)) == foreign(900, 2)
