"""Marker files as engineers export and edit them, and as they break."""

import math
import re

import pytest

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
        ("1 2 violin\n", ["line 1", "Audacity", "hh:mm:ss:ms"]),
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
    refused(write("0:0:9:0\tA\n"), "'A'", "end of the take", duration=9.0)


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
