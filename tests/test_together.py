"""Files of one take that begin at different times: one clock, what all have, and stems as long as their files."""

import json
import struct

import numpy as np
import pytest

from mnmf import audio, cli
from mnmf.audio import Recording
from mnmf.check import check_stems
from mnmf.errors import ArgumentError, AudioFileError
from tests import containers as by_hand
from tests.containers import chunks_of, fmt, raw, sound
from tests.test_audio import refused

RATE = 8000
QUICK = ("--method", "linear", "--window", "0.1")


def bext(reference):
    return (b"bext", bytes(338) + struct.pack("<Q", reference) + bytes(256))


def xml(*tracks, reference=None):
    """iXML with tracks, each a dict of its tags, and a time stamp."""
    text = "<?xml version='1.0'?><BWFXML><TRACK_LIST>"
    for track in tracks:
        text += "<TRACK>" + "".join(f"<{tag}>{value}</{tag}>" for tag, value in track.items()) + "</TRACK>"
    text += "</TRACK_LIST>"
    if reference is not None:
        for half, word in (("HI", reference >> 32), ("LO", reference & 0xFFFFFFFF)):
            text += f"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_{half}>{word}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_{half}>"
    return (b"iXML", (text + "</BWFXML>\0").encode())


def write(path, values, *chunks, subtype="PCM_24"):
    path.write_bytes(by_hand.riff(raw(values, subtype), fmt(subtype, values.shape[1], RATE), chunks))
    return path


def music(n_samples=20_000, n_mics=3, seed=0):
    """Integers of 24 bits in which something is heard."""
    rng = np.random.default_rng(seed)
    return rng.integers(-(1 << 21), 1 << 21, (n_samples, n_mics))


def spans(tmp_path, ends, references, values=None):
    """Files of one scene: of each, from which sample to which it has been recorded, and its time stamp."""
    values = music() if values is None else values
    names = ("violin", "viola", "cello")
    return [
        write(tmp_path / f"{name}.wav", values[start:stop, m : m + 1], *([] if stamp is None else [bext(stamp)]))
        for m, (name, (start, stop), stamp) in enumerate(zip(names, ends, references))
    ]


NOON = 12 * 3600 * RATE


def test_the_take_is_what_all_files_have(tmp_path):
    ends = [(0, 20_000), (4000, 20_000), (800, 19_000)]
    files = spans(tmp_path, ends, [NOON + start for start, _ in ends])
    take = Recording.open(files)
    assert (take.n_samples, take.starts) == (15_000, (0, 4000, 800))
    np.testing.assert_array_equal(take.read(dtype="float64") * 2**23, music()[4000:19_000])
    np.testing.assert_array_equal(take.read(7, 9, "float64", [2]) * 2**23, music()[4007:4009, 2:])
    np.testing.assert_array_equal(take.part(10, 20).read(1, 3, "float64") * 2**23, music()[4011:4013])
    assert [mic.time_reference for mic in take.mics] == [NOON, NOON + 4000, NOON + 800]
    (remark,) = take.remarks
    assert remark.startswith("time stamps differ: viola starts 0.500 s later, cello starts 0.100 s later")
    assert "cello ends 0.125 s sooner; the 1.875 s that all have are separated" in remark


def test_files_of_one_length_are_aligned_as_well(tmp_path):
    files = spans(tmp_path, [(0, 12_000), (4000, 16_000)], [5, 4005])
    take = Recording.open(files)
    assert take.n_samples == 8000
    np.testing.assert_array_equal(take.read(dtype="float64") * 2**23, music()[4000:12_000, :2])


def test_midnight_may_come_between(tmp_path):
    midnight = 24 * 3600 * RATE
    files = spans(tmp_path, [(0, 12_000), (4000, 16_000)], [midnight - 1000, 3000])
    assert Recording.open(files).starts == (0, 4000)
    files = spans(tmp_path, [(4000, 16_000), (0, 12_000)], [3000, midnight - 1000])
    assert Recording.open(files).starts == (4000, 0)


def test_files_that_begin_and_end_together_are_not_spoken_of(tmp_path):
    for references in ((NOON,) * 3, (None,) * 3, (None, NOON, None)):
        take = Recording.open(spans(tmp_path, [(0, 9000)] * 3, references))
        assert (take.starts, take.remarks, take.n_samples) == ((0, 0, 0), (), 9000)


def test_equal_time_stamps_say_why_lengths_differ(tmp_path):
    ends = [(0, 9000), (0, 8000), (0, 8500)]
    take = Recording.open(spans(tmp_path, ends, (NOON,) * 3))
    assert (take.starts, take.n_samples) == ((0, 0, 0), 8000)
    assert "lengths differ: viola ends 0.125 s sooner, cello ends 0.062 s sooner" in take.remarks[0]
    for references in ((None,) * 3, (0,) * 3, (NOON, None, NOON)):
        files = spans(tmp_path, ends, references)
        refused(AudioFileError, lambda: Recording.open(files), "same start and end")  # noqa: B023


def test_time_stamps_that_cannot_be_true_are_named_and_not_followed(tmp_path):
    ends = [(0, 9000)] * 3
    take = Recording.open(spans(tmp_path, ends, (NOON, NOON + 3600 * RATE, NOON)))
    assert take.starts == (0, 0, 0)
    assert "time stamps differ by 3600.000 s, by which the files have nothing in common; all" in take.remarks[0]
    take = Recording.open(spans(tmp_path, ends, (NOON, NOON + 100, None)))
    assert take.starts == (0, 0, 0)
    assert "some files have none; all files are taken to begin at once" in take.remarks[0]
    files = spans(tmp_path, [(0, 9000), (0, 8000), (0, 9000)], (NOON, NOON + 3600 * RATE, NOON))
    refused(AudioFileError, lambda: Recording.open(files), "viola", "same start and end", "nothing in common")


def test_starts_can_be_given(tmp_path):
    files = spans(tmp_path, [(0, 12_000), (4000, 16_000), (0, 9000)], (NOON, None, 7))
    take = Recording.open(files, starts=[1000, 5000, 1000])
    assert (take.starts, take.n_samples) == ((0, 4000, 0), 5000)
    np.testing.assert_array_equal(take.read(dtype="float64") * 2**23, music()[4000:9000])
    assert "files are aligned as was said: viola starts 0.500 s later" in take.remarks[0]
    assert Recording.open(files[:2], starts=[0, 0]).remarks == ()
    refused(AudioFileError, lambda: Recording.open(files, starts=[0, 0, 12_000]), "nothing in common")
    for starts in ([0, 0], [0, 0, 0.5], [0, 0, 1 << 60]):
        refused(ArgumentError, lambda: Recording.open(files, starts=starts), "starts")  # noqa: B023


def test_a_file_that_lost_its_end_may_be_shorter(tmp_path):
    files = spans(tmp_path, [(0, 9000)] * 3, (None,) * 3)
    with files[1].open("r+b") as file:
        file.truncate(44 + 3 * 8000)
    take = Recording.open(files)
    assert take.n_samples == 8000
    assert "viola.wav is cut short: 1.000 s of 1.125 s are there" in take.remarks[0]
    assert "violin ends" not in take.remarks[1]
    assert "lengths differ: viola ends 0.125 s sooner; the 1.000 s that all have" in take.remarks[1]
    write(files[2], music(8990)[:, :1])  # that one is whole
    refused(AudioFileError, lambda: Recording.open(files), "same start and end")


def test_many_files_are_not_all_named(tmp_path):
    values = music(9000, 1)
    files = [write(tmp_path / f"mic{n}.wav", values[n:], bext(NOON + n)) for n in range(20)]
    remark = Recording.open(files).remarks[0]
    assert "mic5 starts" in remark
    assert "mic6 starts" not in remark
    assert "and 14 more" in remark


# Stems


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_a_stem_is_as_long_as_its_own_file(tmp_path, subtype):
    values = music() if subtype == "PCM_24" else sound("FLOAT", 20_000, 3)
    ends = [(0, 20_000), (4000, 20_000), (800, 19_000)]
    files = []
    for m, (start, stop) in enumerate(ends):
        files.append(write(tmp_path / f"{m}.wav", values[start:stop, m : m + 1], bext(NOON + start), subtype=subtype))
    take = Recording.open(files)
    stem, rest = tmp_path / "stem.wav", tmp_path / "rest.wav"
    for m, (start, stop) in enumerate(ends):
        x_L = take.read(dtype=np.float64)[:, m]
        audio.write_stem(stem, x_L, take, m)
        assert stem.read_bytes() == files[m].read_bytes()
        assert audio.write_stem(stem, 0.5 * x_L, take, m, take_L=x_L, residual=rest) == 0
        whole, got, left = (Recording.open(path).read(dtype=np.float64)[:, 0] for path in (files[m], stem, rest))
        assert len(got) == stop - start
        np.testing.assert_allclose(got + left, whole, rtol=0, atol=0 if subtype == "PCM_24" else 1e-6)
        before, after = 4000 - start, stop - 19_000
        outside = np.r_[:before, len(whole) - after : len(whole)]
        np.testing.assert_array_equal(got[outside], whole[outside])
        np.testing.assert_array_equal(left[outside], 0)
        fade = round(0.01 * RATE)
        inside = slice(before + fade if before else 0, len(whole) - (after + fade if after else 0))
        np.testing.assert_allclose(got[inside], 0.5 * whole[inside], rtol=0, atol=2**-23)
        if before:  # from the original to what was separated, and no step
            share = got[before : before + fade] / whole[before : before + fade]
            np.testing.assert_allclose(share, 1 - 0.5 * np.arange(1, fade + 1) / (fade + 1), atol=1e-3)
        if after:
            share = got[-after - fade : -after] / whole[-after - fade : -after]
            np.testing.assert_allclose(share, 0.5 + 0.5 * np.arange(1, fade + 1) / (fade + 1), atol=1e-3)


def test_what_another_mic_heard_is_silent_where_there_is_no_take(tmp_path):
    files = spans(tmp_path, [(0, 20_000), (4000, 20_000)], [NOON, NOON + 4000])
    take = Recording.open(files)
    bleed = tmp_path / "bleed.wav"
    audio.write_stem(bleed, np.full(16_000, 0.25), take, 0, beyond="nothing")
    got = Recording.open(bleed).read()[:, 0]
    assert len(got) == 20_000
    assert not got[:4000].any()
    np.testing.assert_allclose(got[4000:4080], 0.25 * np.arange(1, 81) / 81, atol=1e-6)
    assert (got[4080:] == 0.25).all()
    whole = Recording.open(files[0]).read(dtype="float64")[:, 0]
    rest = audio.rest_of(take.read(dtype="float64")[:, 0], [bleed], take, 0)
    np.testing.assert_array_equal(rest[:] + Recording.open(bleed).read(dtype="float64")[:, 0], whole)
    left = tmp_path / "rest.wav"
    audio.write_stem(left, rest, take, 0)  # as long as the file
    np.testing.assert_array_equal(Recording.open(left).read(dtype="float64")[:, 0], rest[:])
    refused(ArgumentError, lambda: audio.write_stem(bleed, np.zeros(16_001), take, 0), "(16000,)")
    refused(ArgumentError, lambda: audio.write_stem(bleed, rest, take, 0, take_L=np.zeros(16_000)), "as long as x_L")
    refused(ArgumentError, lambda: audio.write_stem(bleed, rest, take, 0, beyond="noise"), "beyond")


def test_a_part_has_nothing_beyond(tmp_path):
    files = spans(tmp_path, [(0, 20_000), (4000, 20_000)], [NOON, NOON + 4000])
    part = Recording.open(files).part(100, 300)
    for m in range(2):
        audio.write_stem(tmp_path / "stem.wav", part.read()[:, m], part, m)
        np.testing.assert_array_equal(Recording.open(tmp_path / "stem.wav").read(), part.read()[:, m : m + 1])
        found = dict(chunks_of((tmp_path / "stem.wav").read_bytes()))
        assert found[b"bext"] == bext(NOON + 4100)[1]


# The command


def scene(tmp_path, **options):
    """Three files of a scene in which each player is alone for a while; and their markers."""
    rng = np.random.default_rng(3)
    own = rng.standard_normal((20_000, 3)) * (1 << 19)
    for m in range(3):
        own[2000 + 4000 * m : 6000 + 4000 * m, [n for n in range(3) if n != m]] = 0
    heard = np.rint(own @ (np.eye(3) + 0.2)).astype(int)
    ends = [(0, 20_000), (1000, 20_000), (400, 19_600)]
    files = spans(tmp_path, ends, [NOON + start for start, _ in ends], heard)
    labels = [f"{(1000 + 4000 * m) / RATE}\t{(5000 + 4000 * m) / RATE}\t{n}" for m, n in enumerate(("a", "b", "c"))]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    return files


@pytest.mark.parametrize("options", [["--residual"], ["--all-mics"], ["--residual", "--preview", "0.5-1.5"]])
def test_stems_and_residuals_sum_to_files_that_begin_at_different_times(tmp_path, capsys, options):
    files = scene(tmp_path)
    out = tmp_path / "out"
    method = ["--method", "fastmnmf2", "--iterations", "1"] if "--preview" in options else [*QUICK, "--solos"]
    method += [str(tmp_path / "labels.txt")] if method[-1] == "--solos" else []
    status = cli.run(["separate", *map(str, files), "--out", str(out), *method, *options])
    said = capsys.readouterr().err
    assert status == 0, said
    assert "time stamps differ: viola starts 0.125 s later, cello starts 0.050 s later" in said
    found = check_stems(out)
    assert all(each.good for each in found), [each for each in found if not each.good]
    assert sum("sum to the take" in each.said for each in found) == 3
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["starts"] == [0, 1000, 400]
    assert manifest["samples"] == (8000 if "--preview" in options else 18_600)
    lengths = [Recording.open(out / source["file"]).n_samples for source in manifest["sources"]]
    assert lengths == ([8000] * 3 if "--preview" in options else [20_000, 19_000, 19_200])


def test_a_file_that_is_cut_is_named_by_the_commands(tmp_path, capsys):
    files = spans(tmp_path, [(0, 9000)] * 3, (None,) * 3)
    with files[1].open("r+b") as file:
        file.truncate(44 + 3 * 8000)
    assert cli.run(["plan", *map(str, files)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert "viola.wav is cut short: 1.000 s of 1.125 s are there" in said[0]
    assert "lengths differ" in said[1]


# What recorders write


@pytest.mark.parametrize(
    ("tracks", "names"),
    [
        ([{"CHANNEL_INDEX": 1, "NAME": "vl"}, {"CHANNEL_INDEX": 2, "NAME": "va"}], ("vl", "va")),
        ([{"CHANNEL_INDEX": 2, "NAME": "va"}, {"CHANNEL_INDEX": 1, "NAME": "vl"}], ("vl", "va")),
        (
            [
                {"CHANNEL_INDEX": 5, "INTERLEAVE_INDEX": 2, "NAME": "va"},
                {"CHANNEL_INDEX": 3, "INTERLEAVE_INDEX": 1, "NAME": "Tom &amp; Jane"},
            ],
            ("Tom & Jane", "va"),
        ),
        ([{"CHANNEL_INDEX": 2, "NAME": " spaced\n out "}], (None, "spaced out")),
        ([{"CHANNEL_INDEX": 1, "NAME": ""}, {"CHANNEL_INDEX": "x", "NAME": "va"}], (None, None)),
        ([{"CHANNEL_INDEX": 1, "NAME": "x" * 999}], ("x" * 200, None)),
        ([], (None, None)),
    ],
)
def test_tracks_have_the_names_that_the_recorder_gave_them(tmp_path, tracks, names):
    take = Recording.open(write(tmp_path / "take.wav", music(100, 2), xml(*tracks)))
    assert tuple(mic.track for mic in take.mics) == names


def test_the_only_track_of_a_mono_file_is_its_own_whatever_its_number(tmp_path):
    track = {"CHANNEL_INDEX": 7, "INTERLEAVE_INDEX": 7, "NAME": "oboe"}
    assert Recording.open(write(tmp_path / "take.wav", music(100, 1), xml(track))).mics[0].track == "oboe"


def test_a_mono_file_taken_from_one_of_several_tracks_has_none_of_their_names(tmp_path):
    tracks = xml({"INTERLEAVE_INDEX": 1, "NAME": "oboe"}, {"INTERLEAVE_INDEX": 2, "NAME": "horn"})
    take = Recording.open(write(tmp_path / "take.wav", music(100, 2), tracks))
    assert [mic.track for mic in take.mics] == ["oboe", "horn"]
    audio.write_stem(tmp_path / "stem.wav", take.read()[:, 1], take, 1)
    assert dict(chunks_of((tmp_path / "stem.wav").read_bytes()))[b"iXML"] == tracks[1]
    assert Recording.open(tmp_path / "stem.wav").mics[0].track is None


def test_xml_may_be_in_utf_16_or_no_xml_at_all(tmp_path):
    name, content = xml({"CHANNEL_INDEX": 1, "NAME": "flûte"})
    wide = content.decode().encode("utf-16")
    take = Recording.open(write(tmp_path / "take.wav", music(100, 2), (name, wide)))
    assert take.mics[0].track == "flûte"
    for rubbish in (b"<TRACK>" * 100_000, b"<TRACK><NAME>" * 9, b"\xff" * 99, b"\xff\xfe\0", bytes(2_000_000)):
        take = Recording.open(write(tmp_path / "take.wav", music(100, 2), (name, rubbish)))
        assert [mic.track for mic in take.mics] == [None, None]


def test_the_time_stamp_is_that_of_broadcast_wave_or_else_of_xml(tmp_path):
    def reference(*chunks):
        return Recording.open(write(tmp_path / "take.wav", music(100, 1), *chunks)).mics[0].time_reference

    assert reference() is None
    assert reference(bext(NOON)) == NOON
    assert reference(xml(reference=(1 << 32) + 5)) == (1 << 32) + 5
    assert reference(xml(reference=7), bext(0)) == 0
    assert reference((b"bext", bytes(300)), xml(reference=7)) == 7
    assert reference(bext((1 << 64) - 1)) is None
    wide = by_hand.w64(raw(music(100, 1), "PCM_24"), fmt("PCM_24", 1, RATE), [bext(NOON)])
    (tmp_path / "take.w64").write_bytes(wide)
    assert Recording.open(tmp_path / "take.w64").mics[0].time_reference == NOON


def test_another_reader_finds_what_the_take_had(tmp_path):
    wavinfo = pytest.importorskip("wavinfo")
    text = (b"Quartet, take 3".ljust(256, b"\0") + b"recorder".ljust(32, b"\0")).ljust(338, b"\0")
    chunks = [
        (b"bext", text + struct.pack("<QH", NOON, 1) + bytes(254) + b"A=PCM\r\n"),
        xml({"CHANNEL_INDEX": 1, "NAME": "vl"}),
    ]
    info = (b"LIST", b"INFO" + by_hand.chunk(b"INAM", b"Adagio\0") + by_hand.chunk(b"IART", b"Quartet"))
    cue = (b"cue ", struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 50, b"data", 0, 0, 50))
    label = (b"LIST", b"adtl" + by_hand.chunk(b"labl", struct.pack("<I", 1) + b"solo\0"))
    data = by_hand.riff(raw(music(101, 2), "PCM_24"), fmt("PCM_24", 2, RATE), chunks, [info, cue, label])
    (tmp_path / "take.wav").write_bytes(data)
    take = Recording.open(tmp_path / "take.wav")
    audio.write_stem(tmp_path / "stem.wav", take.read()[:, 1], take, 1)
    stem, original = (wavinfo.WavInfoReader(str(tmp_path / name)) for name in ("stem.wav", "take.wav"))
    assert (stem.fmt.channel_count, stem.fmt.bits_per_sample, stem.data.frame_count) == (1, 24, 101)
    assert stem.bext.to_dict() == original.bext.to_dict()
    assert stem.bext.time_reference == NOON
    assert stem.bext.description == "Quartet, take 3"
    assert stem.ixml.to_dict() == original.ixml.to_dict()
    assert stem.info.to_dict() == original.info.to_dict()
    assert (stem.info.title, stem.info.artist) == ("Adagio", "Quartet")
    assert stem.cues.to_dict() == original.cues.to_dict()
    assert [each.text for each in stem.cues.labels] == ["solo"]
