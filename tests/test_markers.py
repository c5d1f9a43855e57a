"""Marker files as engineers export and edit them, and as they break."""

import math
import random
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from mnmf import markers
from mnmf.errors import MarkerError, OutputError
from mnmf.markers import Passage


@pytest.fixture
def write(tmp_path):
    def write(content, name="solos.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path, *words, duration=None):
    with pytest.raises(MarkerError) as caught:
        markers.read(path, duration)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message, message
    return message


PAGE = Path(__file__).parent.parent / "docs" / "markers.md"
PLAIN = (Passage("violin", 1.5, 4.0), Passage("cello", 5.0, 8.25))


@pytest.mark.parametrize(
    "content",
    [
        "1.5\t4.0\tviolin\n5.0\t8.25\tcello\n",
        "1,500000\t4,000000\tviolin\n5,000000\t8,250000\tcello",
        "1.5\t4.0\tviolin\r\n5.0\t8.25\tcello\r\n",
        "1.5\t4.0\tviolin\r5.0\t8.25\tcello\r",
        "\ufeff1.5\t4.0\tviolin\n5.0\t8.25\tcello\n",
        "\n1.5\t4.0\tviolin\n\n  \n5.0\t8.25\tcello\n\n",
        "1.5\t4.0\tviolin\n\\\t100.0\t2000.0\n5.0\t8.25\tcello\n\\\t-1.0\t-1.0\n",
        "1.5\t4.0\t violin \n5.0\t8.25\tcello\n",
        "5.0\t8.25\tcello\n1.5\t4.0\tviolin\n",
        "1.5\t4.0\tviolin\n5.0\t8.25\tcello\n".encode("utf-16"),
        b"\xfe\xff" + "1.5\t4.0\tviolin\n5.0\t8.25\tcello\n".encode("utf-16-be"),
    ],
    ids=["plain", "comma", "crlf", "cr", "bom", "blank", "spectral", "spaces", "unsorted", "utf16", "utf16be"],
)
def test_audacity_labels_are_read(write, content):
    assert markers.read(write(content)) == PLAIN
    assert markers.read(write(content), 8.25) == PLAIN


def test_labels_outside_ascii_are_read_in_utf8_and_latin1(write):
    expected = (Passage("Flöte", 0.0, 1.0),)
    assert markers.read(write("0\t1\tFlöte\n")) == expected
    assert markers.read(write("0\t1\tFlöte\n".encode("latin-1"))) == expected


def test_marks_last_until_the_next_one_or_silence_or_the_end(write):
    path = write("00:00:01:500\tVN\n00:00:04:0\tVC\n0:01:02:5\tSILENCE\n01:00:00:25\tVA\n")
    expected = (Passage("VN", 1.5, 4.0), Passage("VC", 4.0, 62.005), Passage("VA", 3600.025, math.inf))
    assert markers.read(path) == expected
    assert markers.read(path, 4000.0) == (*expected[:2], Passage("VA", 3600.025, 4000.0))
    assert markers.resolve(expected, 4000.0)[2].stop == 4000.0


def test_silence_at_the_end_closes_the_last_segment_and_may_repeat(write):
    path = write("0:0:0:0\tsilence\n0:0:1:0\tA\n0:0:2:0\tSILENCE\n0:0:3:0\tSILENCE\n")
    assert markers.read(path, 9.0) == (Passage("A", 1.0, 2.0),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["no markers"]),
        ("\n \n", ["no markers"]),
        ("2.0\t2.0\tviolin\n", ["line 1", "violin", "drag it to a region"]),
        ("1\t2\tviolin\n4\t3\tcello\n", ["line 2", "cello", "before it starts"]),
        ("-1\t3\tcello\n", ["line 1", "-1"]),
        ("1\t1e999\tcello\n", ["line 1"]),
        ("1\t2\tviolin\n\n3\t4\t\n", ["line 3", "empty"]),
        ("1\t2\tviolin\n3\t4\n", ["line 2", "empty"]),
        ("1\t2\tviolin\n3\tfour\tcello\n", ["line 2", "four", "start<TAB>stop<TAB>label"]),
        ("name\tstart\n1\t2\tviolin\n", ["line 1", "name"]),
        ("1 2 violin\n", ["line 1", "Audacity", "tabs"]),
        ("MThd stuff", ["line 1", "known"]),
        ("1_0\t2_0\tviolin\n", ["known"]),
        ("0:0:2:0\tA\n0:0:1:0\tB\n", ["line 2", "1.000 s", "sort"]),
        ("0:0:2:0\tA\n0:0:2:0\tB\n", ["line 2", "sort"]),
        ("0:0:2:0\tA\n0:61:1:0\tB\n", ["line 2", "hh:mm:ss:ms"]),
        ("0:0:2:0\tA\n0:1:1:1234\tB\n", ["line 2", "hh:mm:ss:ms"]),
        ("0:0:2:0\tA\n0:1:1:1\t \n", ["line 2", "empty"]),
        ("0:0:2:0\tSILENCE\n", ["no passage"]),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", ["binary"]),
        (b"\xff\xd8\xff\xe0\x00\x10", ["binary"]),
        (b"\xff\xfe\x31\x00\x09", ["binary"]),
    ],
)
def test_unusable_files_are_refused_with_file_and_line(write, content, words):
    refused(write(content), *words)


def test_missing_files_and_folders_are_refused(tmp_path):
    refused(tmp_path / "missing.txt", "No such file")
    refused(tmp_path, "directory")


def test_a_large_file_is_refused_without_reading_it(write):
    path = write(b"0\t1\tviolin\n")
    with path.open("r+b") as file:
        file.truncate(3_000_000_000)
    refused(path, "3000 MB", "audio")


def test_markers_past_the_end_are_refused_and_a_millisecond_is_cut(write):
    path = write("1\t10.0009\tviolin\n")
    assert markers.read(path, 10.0) == (Passage("violin", 1.0, 10.0),)
    refused(path, "violin", "10.001 s", "9.990 s", duration=9.99)
    refused(write("0:0:9:0\tA\n"), "'A'", "9.000 s", "8.500 s", duration=8.5)
    refused(write("0:0:9:0\tA\n"), "'A'", "end of the take", "--solo-take", duration=9.0)


def test_solos_of_two_sources_must_not_overlap(write):
    for duration in (None, 20.0):
        refused(write("1\t5\tviolin\n4\t8\tcello\n"), "violin", "cello", "5.000 s", "4.000 s", duration=duration)
    refused(write("0\t10\tviolin\n1\t2\tviolin\n5\t6\tcello\n"), "violin", "cello")
    refused(write("0\t10\tviolin\n5\t6\tcello\n7\t8\tviola\n"), "violin", "cello")
    refused(write("4\t5\tcello\n0\t10\tviolin\n"), "violin", "cello")


def test_solos_may_touch(write):
    assert len(markers.read(write("1\t4.0009\tviolin\n4\t8\tcello\n8\t9\tviolin\n"))) == 3


def test_overlapping_solos_of_one_source_are_joined(write):
    path = write("1\t5\tviolin\n4\t8\tviolin\n6\t7\tviolin\n9\t10\tcello\n8\t8.5\tviolin\n")
    assert markers.read(path) == (Passage("violin", 1, 8), Passage("violin", 8, 8.5), Passage("cello", 9, 10))


def test_an_open_passage_overlaps_what_follows():
    with pytest.raises(MarkerError, match=re.escape("session.toml: solos 'a' (1.000 s to the end)")):
        markers.check([Passage("a", 1.0, math.inf), Passage("b", 2.0, 3.0)], None, "session.toml")
    assert markers.check([], 10.0, "session.toml") == ()


def test_written_labels_are_read_back(tmp_path):
    path = tmp_path / "solos.txt"
    passages = (Passage("Flöte 1", 0.0, 1.25), Passage("cello", 3600.000001, 3601.5))
    markers.write_audacity(path, passages)
    assert markers.read(path) == passages
    assert path.read_bytes().startswith(b"0.000000\t1.250000\tFl")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("passage", [Passage("a", 0.0, math.inf), Passage("a\tb", 0.0, 1.0), Passage(" ", 0.0, 1.0)])
def test_labels_that_could_not_be_read_back_are_not_written(tmp_path, passage):
    with pytest.raises(MarkerError, match=r"solos\.txt"):
        markers.write_audacity(tmp_path / "solos.txt", [passage])
    assert not list(tmp_path.iterdir())


def test_labels_that_cannot_be_written_leave_nothing(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        markers.write_audacity(tmp_path / "nowhere" / "solos.txt", PLAIN)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        markers.write_audacity(tmp_path / "folder", PLAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


# Every format

PROJECT = """\
<REAPER_PROJECT 0.1 "7.0/linux64" 1700000000
  <NOTES 0 2
    |MARKER 9 0 "no marker" 1
  >
  MARKER 1 1.5 violin 1 0 1 R {C8D5E1E8-8D40} 0
  MARKER 1 4 "" 1
  MARKER 1 4.5 "a point of the same number" 0 0 1 B {3856C760} 0
  MARKER 2 5 'cello' 9 33489152 1 R {FA832776} 0 3
  <TRACK {AAAA}
    NAME MARKER
    MARKER 3 1 "inside a track" 1
  >
  MARKER 2 8.25 "" 1 0 1 R {FA832776} 0 3
>
"""
PRO_TOOLS = """\
SESSION NAME:\tQuartet
SAMPLE RATE:\t96000.000000
BIT DEPTH:\t24-bit
SESSION START TIMECODE:\t01:00:00:00
TIMECODE FORMAT:\t25 Frame


O N L I N E  F I L E S  I N  S E S S I O N

Filename \tLocation
take.wav \tDisk:Audio Files:


M A R K E R S  L I S T I N G
#   \tLOCATION     \tTIME REFERENCE    \tUNITS    \tNAME           \tTRACK NAME   \tTRACK TYPE   \tCOMMENTS
4   \t01:00:08:06  \t792000            \tSamples  \tSilence        \tMarkers      \tRuler        \t
1   \t01:00:01:12  \t144000            \tSamples  \tviolin         \tMarkers      \tRuler        \ta comment
of two lines\twith\t96000\tSamples\ttabs\tin\tit
3   \t01:00:05:00  \t480000            \tSamples  \tcello          \tMarkers      \tRuler        \t
2   \t01:00:04:00  \t384000            \tSamples  \tSILENCE        \tMarkers      \tRuler        \t
"""
AUDITION = "Name\tStart\tDuration\tTime Format\tType\tDescription\n"
SAMPLES = {
    "Audacity labels (start<TAB>stop<TAB>label)": [
        "00:00:01.500\t00:00:04.000\tviolin\n0:05\t0:08,25\tcello\n",
        "0:00:01:500\t0:00:04:000\tviolin\n0:00:05:000\t0:00:08:250\tcello\n",
        "١.٥\t４．０\tviolin\n۵٫۰\t८.२५\tcello\n",
        "# solos of take 3\n1.5\t4\tviolin\n; the cellist\n// was late\n5\t8.25\tcello\n",
        "Solos of the second take\nAnfang\tEnde\tName\n1.5\t4\tviolin\n5\t8.25\tcello\n",
        "1.500000000\t4.000000000\tviolin\n5.000000000\t8.250000000\tcello\n",
    ],
    "REAPER CSV": [
        "#,Name,Start,End,Length\nR1,violin,0:01.500,0:04.000,0:02.500\nR2,cello,0:05.000,0:08.250,0:03.250\n",
        "#,Name,Start,End,Length,Color\nM1,take 3,0:00.000,,,\nR1,violin,1.500,4.000,2.500,FF0000\n"
        'R2,"cello",5.000,8.250,3.250,\n',
        "#;Name;Start;End\nR1;violin;00:00:01,500;00:00:04,000\nR2;cello;00:00:05,000;00:00:08,250\n;;;\n",
    ],
    "REAPER project (.RPP)": [PROJECT, PROJECT.replace("\n", "\r\n")],
    "Pro Tools session text": [PRO_TOOLS, PRO_TOOLS.replace("\n", "\r"), PRO_TOOLS[PRO_TOOLS.index("SAMPLE") :]],
    "Audition CSV": [
        f"{AUDITION}violin\t0:01.500\t0:02.500\tdecimal\tCue\t\ncello\t0:00:05.000\t0:03.250\tdecimal\tCue\tlow\n",
        f"{AUDITION}Marker 01\t0:01.000\t0:00.000\tdecimal\tCue\t\nviolin\t0:01.500\t0:02.500\tdecimal\tCue\n"
        "cello\t0:05.000\t0:03.250\tdecimal\tSubclip\t\n",
    ],
    "Sonic Visualiser CSV": [
        '1.500000000,2.500000000,"violin"\n5.000000000,3.250000000,"cello"\n',
        "1.500000000,0,2.500000000,violin\n5.000000000,1,3.250000000,cello\n",
        "1.500000000\t440.1\t2.500000000\t0.8\tviolin\n5.000000000\t220\t3.250000000\t1\tcello\n",
        "1.500000000\t2.500000000\tviolin\n5.000000000\t3.250000000\tcello\n",
    ],
    "LosslessCut CSV (start,stop,name)": [
        "1.5,4,violin\n5,8.25,cello\n",
        '00:00:01.500,00:00:04.000,violin\n00:00:05.000,00:00:08.250,"cello"\n',
        "1,5;4,0;violin\n5,0;8,25;cello\n",
        "1.500000000,4,violin\n5,8.25,cello\n",
    ],
    "iZotope RX markers": [
        "Marker file version: 1\nTime format: Time\nviolin\t00:00:01.500\t00:00:04.000\ncough\t00:00:04.500\n"
        "cello\t00:00:05.000\t00:00:08.250\n"
    ],
    "tables with a heading (start, end or duration, name)": [
        "start,end,label\n1.5,4,violin\n5,8.25,cello\n",
        "Label\tBegin\tDuration [s]\nviolin\t0:01.5\t2.5\n\ncello\t0:05\t3.25\n",
        "TIME,VALUE,DURATION,LABEL\n1.500000000,0,2.500000000,violin\n5.000000000,0,3.250000000,cello\n",
        "# by hand\nTitle;From;To;Notes\nviolin;1,5;4,0;\n# he coughs\ncello;5,0;8,25;again\n",
        "Marker Name\tDescription\tIn\tOut\tDuration\nviolin\t\t1.5\t4\t\ncello\t\t5\t8.25\t\n",
    ],
    "marks (hh:mm:ss:ms<TAB>NAME)": [
        "0:00:01:500\tviolin\n0:00:04:000\tSilence\n0:00:05:000\tcello\n0:00:08:250\tsilence\n",
        "0:00:01:500 violin\n0:00:04:000  SILENCE \n0:00:05:000 cello\n0:00:08:250 SILENCE\n",
        "00:01:500 violin\n00:04:0 SILENCE\n00:05:0 cello\n00:08:250 SILENCE\n",
        "0:01.5 violin\n0:00:04.0 SILENCE\n0:05 cello\n0:08,25 SILENCE\n",
        "Solos:\n# of the sound check\n٠:٠٠:٠١:٥٠٠ violin\n0:00:04:0 silence\n0:00:05:0 cello\n0:00:08:250 silence\n",
    ],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name, contents in SAMPLES.items() for content in contents]
)
def test_every_format_is_known_by_its_content_and_read(write, name, content):
    lines = [(number, line) for number, line in enumerate(re.split("\r\n|\r|\n", content), 1) if line.strip()]
    assert next(form.name for form in markers.FORMATS if form.fits(lines)) == name
    assert markers.read(write(content), 10.0) == PLAIN
    assert markers.read(write(content.encode("utf-16"))) == PLAIN
    assert markers.read(write(content), 10.0, ["cello"]) == PLAIN[1:]


def test_every_format_has_a_sample():
    assert SAMPLES.keys() == {form.name for form in markers.FORMATS}


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not part of this distribution")
def test_every_format_is_documented():
    rows = {
        row.split("|")[1].strip().replace("`", "") for row in PAGE.read_text("utf-8").splitlines() if row[:1] == "|"
    }
    named = {name.split(" (start")[0].split(" (hh")[0] for name in (*SAMPLES, markers.IN_WAVE)}
    assert rows == {"format", "---"} | named


def test_marks_of_pro_tools_last_to_the_end(write):
    path = write(PRO_TOOLS.replace("Silence", "viola  "))
    assert markers.read(path)[2] == Passage("viola", 8.25, math.inf)
    assert markers.read(path, 10.0)[2] == Passage("viola", 8.25, 10.0)


def test_markers_of_pro_tools_that_are_tied_to_bars_need_a_location_in_minutes(write):
    tied = PRO_TOOLS.replace("01:00:05:00  \t480000            \tSamples", "{}\t19200000\tTicks  ")
    assert markers.read(write(tied.format("0:05.000"))) == PLAIN
    for location in ("3|1|000", "01:00:05:00"):
        refused(write(tied.format(location)), "line 19", "Pro Tools", "bars", "Min:Secs")
    assert markers.read(write(tied.format("3|1|000")), sources=["violin"]) == PLAIN[:1]


def test_projects_are_read_as_another_reader_does(write):
    rpp = pytest.importorskip("rpp")
    rng = random.Random(0)
    for _ in range(20):
        project = rpp.Element("REAPER_PROJECT", ["0.1", "7.0", "1"], [["RIPPLE", "0"], rpp.Element("NOTES", ["0"], [])])
        for n in range(rng.randrange(1, 8)):
            at, name = 10.0 * n + rng.random(), f"player{rng.choice((' ', ''))}{rng.choice(chr(34) + chr(39))}{n}"
            flags, more = rng.choice((1, 9, 1, 0)), ["0", "1", "R", "{C8D5E1E8}"]
            project.append(["MARKER", str(n), repr(at), name, str(flags), *more])
            if flags & 1:
                project.append(["MARKER", str(n), repr(at + 1 + rng.random()), "", str(flags), *more[: 4 * (n % 2)]])
        project.append(["MARKER", "99", "90", "last", "1"])
        project.append(["MARKER", "99", "95", "", "1"])
        text = rpp.dumps(project)
        found = [row for row in rpp.loads(text) if isinstance(row, list) and row[0] == "MARKER" and int(row[4]) & 1]
        regions = zip(found[::2], found[1::2])
        assert markers.read(write(text)) == tuple(Passage(a[3], float(a[2]), float(b[2])) for a, b in regions)


# WAV files


def chunk(name, content):
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def cue(*marks):
    return chunk(b"cue ", struct.pack("<I", len(marks)) + b"".join(struct.pack("<II4sIII", *m) for m in marks))


def point(identity, at):
    return identity, at, b"data", 0, 0, at


def label(identity, name):
    return chunk(b"labl", struct.pack("<I", identity) + name + b"\0")


def length(identity, samples, name=b""):
    return chunk(b"ltxt", struct.pack("<II4s8x", identity, samples, b"rgn ") + name)


def adtl(*items):
    return chunk(b"LIST", b"adtl" + b"".join(items))


@pytest.fixture
def wave(tmp_path):
    def wave(*chunks, container="WAV", before=b""):
        path = tmp_path / "take.wav"
        sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2)), 1000, "PCM_16", format=container)
        data = path.read_bytes()
        path.write_bytes(data[:12] + before + data[12:] + b"".join(chunks))
        return path

    return wave


REGIONS = (Passage("violin", 1.5, 4.0), Passage("cello", 5.0, 7.25))
CUES = cue(point(7, 5000), point(3, 1500), point(9, 500))
NAMES = (label(3, b"violin"), label(7, b"cello"), label(9, b"take 3"))
LENGTHS = (length(3, 2500), length(7, 2250))


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_regions_in_a_wav_file_are_read_and_its_points_are_not(wave, container):
    path = wave(chunk(b"junk", b"odd"), CUES, adtl(*NAMES, *LENGTHS), container=container)
    found = markers.read_all(path, 8.0)
    assert found.passages == REGIONS
    assert found.ignored == ("take 3 (a point at 0.500 s)",)
    assert sf.info(path).frames == 8000  # it is still a take


def test_markers_before_the_sound_and_names_in_lengths_are_read(wave):
    assert markers.read(wave(before=CUES + adtl(*NAMES, *LENGTHS))) == REGIONS
    named = adtl(length(3, 2500, "Flo\u0308te".encode()), length(7, 2250, b"Fl\xf6te 2"))
    assert [p.source for p in markers.read(wave(CUES, named))] == ["Fl\xf6te", "Fl\xf6te 2"]


def test_loops_give_cue_points_their_lengths(wave):
    loops = b"".join(
        struct.pack("<IIIIII", n, 0, at, at + samples - 1, 0, 0)
        for n, at, samples in ((3, 1500, 2500), (7, 5000, 2250))
    )
    smpl = chunk(b"smpl", bytes(28) + struct.pack("<II", 2, 0) + loops)
    assert markers.read(wave(CUES, adtl(*NAMES), smpl)) == REGIONS


def test_a_wav_file_with_points_only_has_marks(wave):
    path = wave(
        cue(point(1, 5000), point(2, 1500), point(3, 4000)),
        adtl(label(1, b"cello"), label(2, b"violin"), label(3, b"Silence")),
    )
    assert markers.read(path, 8.0) == (PLAIN[0], Passage("cello", 5.0, 8.0))


@pytest.mark.parametrize(
    "chunks",
    [(), (cue(),), (adtl(*NAMES),), (CUES[:20],), (chunk(b"LIST", b"INFO" + label(3, b"violin")),)],
    ids=["none", "no cue", "names only", "cut", "no list of theirs"],
)
def test_a_wav_file_without_markers_is_refused(wave, chunks):
    refused(wave(*chunks), "binary", "export")


def test_damaged_and_foreign_lists_are_left_out(wave):
    more = (adtl(chunk(b"ltxt", struct.pack("<I", 3))), chunk(b"LIST", b"INFO" + label(3, b"oboe") + length(3, 100)))
    assert markers.read(wave(CUES, adtl(*NAMES, *LENGTHS), *more)) == REGIONS


def test_a_cue_point_may_state_its_position_only(wave):
    points = [(n, at, b"data", 0, 0, 0) for n, at in ((3, 1500), (7, 5000))]
    assert markers.read(wave(cue(*points), adtl(*NAMES, *LENGTHS))) == REGIONS


def test_chunks_of_markers_have_a_size(wave):
    path = wave(chunk(b"fmt ", b""), b"cue " + struct.pack("<II", 12_000_000, 500_000))
    with path.open("r+b") as file:
        file.truncate(13_000_000)
    refused(path, "binary")


def test_cue_points_need_names(wave):
    refused(wave(cue(point(4, 100))), "cue 4", "empty")


def test_a_header_without_a_rate_is_refused(wave):
    path = wave(CUES, adtl(*NAMES))
    data = bytearray(path.read_bytes())
    data[24:28] = bytes(4)
    path.write_bytes(data)
    refused(path, "binary")


# What is known and cannot be used


REAPER = "#,Name,Start,End,Length\nR1,violin,{},{},0\n"
FOREIGN = {
    "bars": (REAPER.format("1.1.00", "2.1.00"), ["line 2", "REAPER", "bars", "minutes:seconds"]),
    "frames": (REAPER.format("00:00:01:00", "00:00:03:00"), ["line 2", "REAPER", "frame rate", "minutes:seconds"]),
    "dropped frames": (REAPER.format("00:00:01;00", "00:00:03;00"), ["line 2", "REAPER", "frame rate"]),
    "samples": (REAPER.format("48000", "96000"), ["line 2", "REAPER", "samples", "minutes:seconds"]),
    "REAPER points": ("#,Name,Start\nM1,violin,0:01.0\n", ["line 2", "violin", "point", "region"]),
    "no ends": ("Name,Start\nviolin,1.0\n", ["line 1", "no ends", "marker format"]),
    "Audition in frames": (
        f"{AUDITION}violin\t0:00:01:12\t0:00:02:00\t25 fps\tCue\t\n",
        ["line 2", "Audition", "Decimal"],
    ),
    "Audition points": (f"{AUDITION}violin\t0:01.0\t0:00.000\tdecimal\tCue\t\n", ["line 2", "violin", "point"]),
    "Premiere": ("Marker Name\tIn\tOut\nviolin\t00;00;01;00\t00;00;02;00\n", ["line 2", "frame rate", "seconds"]),
    "a short row": ("#,Name,Start,End\nR1\n", ["line 2", "REAPER"]),
    "Pro Tools without markers": (PRO_TOOLS[: PRO_TOOLS.index("M A R K")], ["line 1", "Pro Tools", "Include Markers"]),
    "a pasted listing": ("Solos\n" + PRO_TOOLS[PRO_TOOLS.index("M A R") :], ["line 4", "Pro Tools", "SAMPLE RATE"]),
    "a row without a start": ("Name,End,Start\nviolin,3\n", ["line 2", "table"]),
    "a row with an odd end": ("Name,Start,End\nviolin,1,3:4:5:6\n", ["line 2", "frame rate"]),
    "a project with odd flags": ("<REAPER_PROJECT 0.1\n  MARKER 1 2 violin x\n>\n", ["line 2", "violin", "point"]),
    "a label without times": ("1.0\t2.0\tviolin\ncello\n", ["line 2", "cannot read 'cello'", "<TAB>"]),
    "clocks with dashes": ("0:01.0 - 0:03.0 violin\n", ["line 1", "known"]),
    "times with spaces": ("1.0 2.0\n", ["line 1", "spaces", "tabs"]),
    "Pro Tools without rate": (PRO_TOOLS[PRO_TOOLS.index("M A R") :], ["line 3", "Pro Tools", "SAMPLE RATE"]),
    "Pro Tools without columns": ("SESSION NAME:\ta\nM A R K E R S  L I S T I N G\n", ["line 2", "Pro Tools"]),
    "Pro Tools without any": (
        "SESSION NAME:\ta\nM A R K E R S  L I S T I N G\n#\tLOCATION\tTIME REFERENCE\tUNITS\tNAME\n",
        ["no passage"],
    ),
    "a project without markers": ("<REAPER_PROJECT 0.1\n>\n", ["no passage"]),
    "a project of points": ("<REAPER_PROJECT 0.1\n  MARKER 1 2 violin 0\n>\n", ["line 2", "violin", "point"]),
    "a region without end": ("<REAPER_PROJECT 0.1\n  MARKER 1 2 violin 1\n>\n", ["line 2", "violin", "point"]),
    "a project with an odd time": ("<REAPER_PROJECT 0.1\n  MARKER 1 x violin 1\n>\n", ["line 2", "REAPER", "'x'"]),
    "RX in samples": (
        "Marker file version: 1\nTime format: Samples\nviolin\t48000\t96000\n",
        ["line 2", "RX", "Samples"],
    ),
    "RX with odd times": (
        "Marker file version: 1\nTime format: Time\nviolin\tx\t2\n",
        ["line 3", "'x'", "hh:mm:ss.mmm"],
    ),
    "RX without times": ("Marker file version: 1\nTime format: Time\nviolin\n", ["line 3", "RX"]),
    "Sonic Visualiser points": ('1.000000000,"violin"\n', ["line 1", "violin", "point"]),
    "Sonic Visualiser and more": ('1.000000000,2.000000000,"violin"\nviola\n', ["line 2", "Sonic Visualiser"]),
    "LosslessCut with odd times": ("1.0,2.0,violin\n1.0,1.2.3,cello\n", ["line 2", "bars", "seconds"]),
    "LosslessCut and more": ("1.0,2.0,violin\ncello\n", ["line 2", "start,stop,name"]),
    "labels with frames": ("00:00:01:12\t00:00:03:05\tviolin\n", ["line 1", "frame rate", "Audacity", "seconds"]),
    "labels with spaces": ("1.0 3.0 violin\n", ["line 1", "spaces", "tabs", "marker format"]),
    "clocks with spaces": ("0:01.0 0:03.0 violin\n", ["line 1", "spaces", "tabs"]),
    "marks with seconds last": ("0:00:01 violin\n0:01:30 cello\n", ["line 1", "hh:mm:ss:ms"]),
    "SubRip": ("1\n00:00:01,000 --> 00:00:03,000\nviolin\n", ["line 2", "SubRip", "marker format"]),
    "WebVTT": ("WEBVTT\n\n00:01.000 --> 00:03.000\nviolin\n", ["line 1", "WebVTT", "marker format"]),
    "RTF": ("{\\rtf1 1.0\\tab 3.0\\tab violin}", ["line 1", "RTF", "plain text"]),
    "XML": ('<?xml version="1.0"?>\n<project/>\n', ["line 1", "XML", "marker format"]),
    "JSON": ('{"cutSegments": []}\n', ["line 1", "JSON", "marker format"]),
    "a cue sheet": ('FILE "a.wav" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n', ["line 3", "cue sheet"]),
    "prose": ("The violin is alone at first.\n", ["line 1", "known", *(name for name in SAMPLES)]),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_cannot_be_used_is_refused_with_what_to_do(write, name):
    content, words = FOREIGN[name]
    refused(write(content), *words)


def test_there_are_bounds(write):
    refused(write("0\t1\ta\n" * 100_001), "more than 100000")
    refused(write("\n" * 500_000 + "0\t1\ta\n"), "more than 500000 lines")


# What counts


TAKE = """\
-1\t9\ttake 3
1\t3\tviolin
2.5\t2.52\tcough
6\t5\tnoise
x\t7\t?
4\t8\tcello
8\t40\tapplause
9\t9\t
5\t6\t
"""


def test_labels_of_nobody_stop_nothing(write):
    found = markers.read_all(write(TAKE), 10.0, ["violin", "cello", "viola"])
    assert found.passages == (Passage("violin", 1, 3), Passage("cello", 4, 8))
    assert found.ignored == ("take 3", "cough", "noise", "?", "applause", "no name")
    assert markers.read_all(write(TAKE), 10.0, ["oboe"]).passages == ()
    refused(write(TAKE), "line 4", "'noise' stops", duration=10.0)


def test_points_are_ignored_unless_their_source_has_no_other_solo(write):
    path = write("0\t0\tstart\n1\t3\tviolin\n2\t2\tviolin\n5\t5\tcello\n")
    found = markers.read_all(path)
    assert found.passages == (Passage("violin", 1, 3),)
    assert found.ignored == ("start (a point at 0.000 s)", "violin (a point at 2.000 s)", "cello (a point at 5.000 s)")
    assert markers.read_all(path, sources=["violin"]).ignored == ("start", "violin (a point at 2.000 s)", "cello")
    with pytest.raises(MarkerError, match=r"line 4: label 'cello' is a point at 5\.000 s, .* drag it to a region"):
        markers.read(path, sources=["violin", "cello"])


def test_labels_outside_the_take_are_ignored_unless_their_source_has_no_other_solo(write):
    path = write("1\t3\tviolin\n4\t11\tviolin\n12\t13\tviolin\n-5\t-4\tviolin\n14\t15\tcello\n")
    with pytest.raises(MarkerError, match=r"line 5: 'cello' at 15\.000 s lies past the end"):
        markers.read(path, 10.0)
    found = markers.read_all(path, 10.0, ["violin"])
    assert found.passages == (Passage("violin", 1, 3),)
    assert found.ignored == (
        "violin (11.000 s, past the end of the take)",
        "violin (13.000 s, past the end of the take)",
        "violin (-5.000 s, before the beginning of the take)",
        "cello",
    )


def test_slips_of_the_mouse_are_ignored_unless_their_source_has_no_other_solo(write):
    path = write("1\t3\tviolin\n5\t5.01\tviolin\n6\t6.05\tcello\n6.05\t6.09\tcello\n")
    with pytest.raises(MarkerError, match=r"'cello' \(6\.000 s to 6\.050 s\) lasts less than"):
        markers.read(path)
    found = markers.read_all(path, sources=["violin"])
    assert found.passages == (Passage("violin", 1, 3),)
    assert found.ignored == ("cello", "violin (0.010 s long)")


def test_a_label_that_begins_a_little_before_the_take_is_cut(write):
    assert markers.read(write("-0.013605\t3\tviolin\n")) == (Passage("violin", 0.0, 3.0),)
    refused(write("-0.2\t-0.1\tviolin\n"), "line 1", "before the beginning")


def test_who_overlaps_can_be_left_out(write):
    path = write("0\t10\teverybody\n1\t3\tviolin\n")
    refused(path, "everybody", "violin", "overlap", "--sources")
    assert markers.read(path, sources=["violin"]) == (Passage("violin", 1, 3),)


def test_names_are_composed_and_compared_so(write):
    path = write("1\t3\tFlo\u0308te\n3\t5\tFl\u00f6te\u200b \n5\t6\t\ufeffa\u00a0\n")
    assert [p.source for p in markers.read(path)] == ["Fl\u00f6te", "Fl\u00f6te", "a"]
    for name in ("Flo\u0308te", "Fl\u00f6te"):
        assert [p.source for p in markers.read(path, sources=[name])] == ["Fl\u00f6te", "Fl\u00f6te"]


def test_a_segment_of_losslesscut_without_an_end_lasts_to_the_end_only_if_it_is_the_last(write):
    found = markers.read_all(write(",3,violin\n4,,pause\n5,,cello\n"), 9.0)
    assert found.passages == (Passage("violin", 0.0, 3.0), Passage("cello", 5.0, 9.0))
    assert found.ignored == ("pause (a point at 4.000 s)",)


def test_a_mark_may_have_a_number_for_a_name(write):
    expected = (Passage("1", 1.0, 2.0), Passage("2", 2.0, 4.0))
    assert markers.read(write("0:00:01:000\t1\n0:00:02:000\t2\n"), 4.0) == expected
    assert markers.read(write("0:00:01:000 1\n0:00:02:000 2\n"), 4.0) == expected


def test_messages_have_a_length(write):
    assert len(refused(write(f"1\t1\t{'ab' * 400}\n"), "point")) < 400
    found = markers.read_all(write(f"1\t3\tviolin\n3\t4\t{'ab' * 3000}\n"), sources=["violin"])
    assert [len(name) for name in found.ignored] == [40]


def test_capitals_matter_only_where_two_names_would_be_meant(write):
    path = write("1\t3\tViola\n3\t5\tCELLO\n")
    assert [p.source for p in markers.read(path, sources=["viola", "Cello"])] == ["viola", "Cello"]
    assert [p.source for p in markers.read(path, sources=["viola", "vIola", "CELLO"])] == ["CELLO"]
    path = write("1\t3\tViola\n3\t5\tviola\n")
    found = markers.read_all(path, sources=["viola"])
    assert (found.passages, found.ignored) == ((Passage("viola", 3, 5),), ("Viola",))
    assert [p.source for p in markers.read(path)] == ["Viola", "viola"]
