"""Names and lengths: which files make a take, and what their names say."""

import json
import shlex
from fnmatch import fnmatch, fnmatchcase
from pathlib import Path

import pytest

from mnmf import folders
from mnmf.errors import SessionError
from mnmf.folders import (
    Sound,
    audio_in,
    check_whole,
    choice,
    chosen,
    distinct,
    is_room,
    matches,
    name_mics,
    takes,
    tracked,
)


def sounds(*names, length=100, channels=1, folder="live"):
    return [Sound(Path(folder, name), length, 10, channels) for name in names]


# Names


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["T03_05_Vln1", "T03_06_Vln2"], ["Vln1", "Vln2"]),
        (["01-Quartet-Vln 1", "02-Quartet-Vln 2", "03-Quartet-Va"], ["Vln 1", "Vln 2", "Va"]),
        (["Vln 1_03", "Vln 2_03", "Vla_03"], ["Vln 1", "Vln 2", "Vla"]),
        (["ZOOM0001_Tr1", "ZOOM0001_Tr2"], ["ZOOM0001_Tr1", "ZOOM0001_Tr2"]),  # tracks alone name nobody
        (["T03_Tr1_Vc", "T03_Tr2_Cb"], ["Vc", "Cb"]),
        (["T03_05_Vln1", "T03_11_Main L", "T03_12_Tr12"], ["Vln1", "Main L", "Tr12"]),  # one that nobody has named
        (["T03_Main L", "T03_Main R"], ["Main L", "Main R"]),
        (["Main_L", "Main_R"], ["Main_L", "Main_R"]),
        (["spot0", "spot1"], ["spot0", "spot1"]),
        (["T03_1", "T03_2"], ["T03_1", "T03_2"]),
        (["a_Vln", "b_Vln"], ["a", "b"]),
        (["Vln (close)_T03", "Vln (far)_T03"], ["(close)", "(far)"]),
        (["T03_Vln", "T03_vln"], ["T03_Vln", "T03_vln"]),  # would be one file
        (["T03_05_Vln1"], ["T03_05_Vln1"]),
        ([], []),
        (["", "_", "..."], ["", "_", "..."]),
        (["take", "take"], ["take", "take"]),
    ],
)
def test_names_say_what_tells_them_apart(names, told):
    assert distinct(names) == told


def test_mics_are_named_by_files_channels_and_tracks():
    paths = [Path("T03_05_Vln1.WAV"), Path("T03_06_Main.WAV")]
    assert name_mics(paths, [1, 2]) == ["Vln1", "Main:1", "Main:2"]
    assert name_mics(paths[:1], [3]) == ["1", "2", "3"]
    same = [Path("a", "Vln.wav"), Path("b", "Vln.wav")]
    assert name_mics(same, [1, 1]) == ["a Vln", "b Vln"]
    same = [Path("a", "1", "Vln.wav"), Path("b", "1", "Vln.wav")]
    assert name_mics(same, [1, 1]) == [str(path) for path in same]
    assert tracked(["1", "2"], [" Vln 1 ", "Vc"]) == ["Vln 1", "Vc"]
    for nothing in (None, "", "Tr2", "Track 12", "7", "a/b", "a\x1b[2J", "x" * 101):
        assert tracked(["1", "2"], ["Vln", nothing]) == ["Vln", "2"]
    assert tracked(["1", "2"], ["Vln", "vln"]) == ["1", "2"]
    assert tracked(["1", "2", "3", "4"], ["Anna", "anna", "Ben", "1"]) == ["1", "2", "Ben", "4"]


@pytest.mark.parametrize(
    "name",
    [
        "Main L",
        "MainR",
        "Main:1",
        "main",
        "Room 2",
        "HALL",
        "Amb_far",
        "ORTF",
        "Spare1",
        "Mix",
        "LR:1",
        "Tr_LR:2",
        "TrL",
    ],
)
def test_rooms_by_their_names(name):
    assert is_room(name)


@pytest.mark.parametrize(
    "name",
    [
        "Vln 1",
        "Main Vocal",
        "L",
        "1",
        "Far",
        "Overhead L",
        "Romain",
        "Roomba",
        "",
        "Maine",
        "Tr1",
        "Piano LR",
        "Tr_Lr2",
    ],
)
def test_what_is_no_room_by_its_name(name):
    assert not is_room(name)


# Takes


def labels(found):
    return [(take.name, len(take.sounds), take.pattern) for take in found]


def test_takes_by_the_number_in_their_names():
    files = [*sounds("T01_1_a.WAV", "T01_2_b.WAV", length=50), *sounds("T03_1_a.WAV", "T03_2_b.WAV", length=900)]
    assert labels(takes(files)) == [("T01", 2, "T01_*"), ("T03", 2, "T03_*")]
    # A file of a wrong length is still of its take, so that the refusal of that names it.
    odd = [*files[:3], *sounds("T03_2_b.WAV", length=899)]
    assert labels(takes(odd)) == [("T01", 2, "T01_*"), ("T03", 2, "T03_*")]
    # Of one length they are two takes if their files are called alike.
    alike = sounds("T01_a.WAV", "T01_b.WAV", "T02_a.WAV", "T02_b.WAV")
    assert labels(takes(alike)) == [("T01", 2, "T01_*"), ("T02", 2, "T02_*")]
    assert len(takes(sounds("T01_kick.WAV", "T02_snare.WAV", "T02_bass.WAV"))) == 1
    assert len(takes(sounds("T1.wav", "T2.wav"))) == 1  # two tenors
    assert len(takes(sounds("T1.wav", "T2.wav", channels=8))) == 2
    assert len(takes(sounds("Vln1_close.wav", "Vln1_far.wav", "Vln2_close.wav", "Vln2_far.wav"))) == 1


def test_takes_by_their_lengths():
    ends = [*sounds("Vln 1_02.wav", "Vc_02.wav", length=50), *sounds("Vln 1_11.wav", "Vc_11.wav", length=900)]
    assert labels(takes(ends)) == [("02", 2, "*_02.*"), ("11", 2, "*_11.*")]
    poly = [*sounds("soundcheck.wav", length=50, channels=4), *sounds("concert.wav", length=900, channels=4)]
    assert labels(takes(poly)) == [("concert", 1, "concert.wav"), ("soundcheck", 1, "soundcheck.wav")]
    zoom = [*sounds("ZOOM0001_Tr1.WAV", "ZOOM0001_Tr2.WAV"), *sounds("ZOOM0002_Tr1.WAV", "ZOOM0002_Tr2.WAV", length=9)]
    assert labels(takes(zoom)) == [("ZOOM0001", 2, "ZOOM0001_*"), ("ZOOM0002", 2, "ZOOM0002_*")]
    nothing = [*sounds("vl.wav", "va.wav"), *sounds("oboe.wav", "horn.wav", length=9)]
    assert labels(takes(nothing)) == [("oboe and 1 more", 2, ""), ("vl and 1 more", 2, "")]
    # A single mono file of another length is no take: it is cut short, and refused as such.
    assert len(takes([*sounds("vl.wav", "va.wav"), *sounds("vc.wav", length=99)])) == 1
    assert takes([]) == []


def test_patterns_match_their_take_and_nothing_else():
    files = [*sounds("T1_a.WAV", "T1_b.WAV"), *sounds("T10_a.WAV", "T10_b.WAV", length=7)]
    others = {"T1_notes.txt", "T10.pdf"}
    names = {sound.path.name for sound in files} | others
    for take in takes(files, others):
        assert {name for name in names if fnmatch(name, take.pattern)} == {path.name for path in take.paths}
    assert [take.pattern for take in takes(files, others)] == ["T1_*.WAV", "T10_*"]


def test_the_choice_is_asked_for_in_one_line():
    files = [*sounds("T01_a.WAV", "T01_b.WAV", length=420), *sounds("T03_a.WAV", "T03_b.WAV", length=7300)]
    said = str(choice(takes(files), Path("live")))
    assert said == "live: takes here: T01 (0:42), T03 (12:10); say which: mnmf separate live/T03_*"
    assert '"my live/T03_*"' in str(choice(takes(files), Path("my live")))
    assert "[[]1]/T03_*" in str(choice(takes(files), Path("[1]")))
    many = [sound for n in range(40) for sound in sounds(f"T{n}_a.WAV", f"T{n}_b.WAV", length=n + 1)]
    assert "T7 (0:01) and 32 more; say which: mnmf separate live/T39_*" in str(choice(takes(many), Path("live")))
    alike = takes(sounds("T1_a.WAV", "T1_b.WAV", "T2_a.WAV", "T2_b.WAV"))
    assert "live/T1_*, or live/* if all are one take" in str(choice(alike, Path("live")))


def test_many_files_are_grouped_all_the_same():
    """As a hostile folder may have them: each of another length, with many words."""
    files = [Sound(Path("_".join("abcdefgh" * 8) + f"_{n}.wav"), n + 1, 10, 2) for n in range(folders.MOST_FILES)]
    assert len(takes(files)) == folders.MOST_FILES
    assert len(distinct([sound.path.stem for sound in files])) == folders.MOST_FILES


def test_parts_of_a_recording_are_named():
    def said(*parts, channels=1):
        given = [Sound(Path("live", name), length, 10, channels, start) for name, length, start in parts]
        try:
            check_whole(given)
        except SessionError as error:
            return str(error)
        return ""

    assert "T.WAV goes on in T-01.WAV" in said(("T.WAV", 90, 5), ("T-01.WAV", 90, 95), ("T-02.WAV", 20, 185))
    assert "sox T_0001.WAV T_0002.WAV joined.w64" in said(("T_0001.WAV", 90, 5), ("T_0002.WAV", 90, 96))
    assert "sox 'my T.WAV' 'my T-01.WAV'" in said(("my T.WAV", 90, 5), ("my T-01.WAV", 9, 95))
    large = folders._takes.LARGE
    assert "goes on" in said(("a_01.WAV", large, None), ("a_02.WAV", large, None), ("a_03.WAV", 9, None))
    assert "goes on" in said(("a_01.WAV", large // 8 + 1, 0), ("a_02.WAV", 9, 0), channels=8)
    assert said(("T.WAV", 90, 5), ("T-01.WAV", 90, 5)) == ""  # two mics
    assert said(("T.WAV", 90, 5), ("T-01.WAV", 90, 500)) == ""  # two takes
    assert said(("T.WAV", 90, 5), ("T-02.WAV", 90, 95)) == ""  # a part is missing, or it is none
    assert said(("a_01.WAV", large, None), ("a_02.WAV", large, None)) == ""  # two mics for long
    assert said(("a_01.WAV", 90, None), ("a_02.WAV", 9, None)) == ""
    assert said(("a_01.WAV", 90, 0), ("a_03.WAV", 90, 90), ("a_02.flac", 9, 90)) == ""


# Disks


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_what_is_no_audio_is_left_out(tmp_path):
    touch(tmp_path, "a10.wav", "A2.WAV", "._a2.wav", ".hidden.flac", "notes.txt", "mix.mp3", "b.flac", "sub/c.wav")
    (tmp_path / "folder.wav").mkdir()
    assert [path.name for path in audio_in(tmp_path)] == ["A2.WAV", "a10.wav", "b.flac"]


def test_stems_in_the_same_folder_are_no_mics(tmp_path):
    touch(tmp_path, "vl.wav", "violin.wav", "violin.residual.wav", "nobody.mic1.wav")
    record = {
        "sources": [{"file": "violin.wav", "residual": "violin.residual.wav"}],
        "nobody": [{"file": "nobody.mic1.wav"}],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    assert [path.name for path in audio_in(tmp_path)] == ["vl.wav"]
    (tmp_path / "manifest.json").write_text("{")
    assert len(audio_in(tmp_path)) == 1  # their names tell


def test_stems_beside_their_originals_are_no_mics(tmp_path):
    touch(tmp_path, "vl1.wav", "main.wav", "violin.wav", "violin.residual.wav", "notes.txt")
    every = sorted(path for path in tmp_path.iterdir() if path.suffix == ".wav")

    def left(given):
        return [path.name for path in chosen(given, measured)]

    assert left([tmp_path]) == left([tmp_path / "*"]) == left(every) == ["main.wav", "vl1.wav"]  # by the name
    assert left([tmp_path / "violin.wav", tmp_path / "vl1.wav"]) == ["violin.wav", "vl1.wav"]  # who asks for it has it
    assert left([tmp_path / "violin*"]) == ["violin.residual.wav", "violin.wav"]
    (tmp_path / "violin.residual.wav").unlink()
    every.pop(1)
    assert left([tmp_path]) == ["main.wav", "violin.wav", "vl1.wav"]
    for take in (["vl1.wav", "main.wav"], ["../" + tmp_path.name + "/vl1.wav"]):
        facts = {"sources": [{"name": "violin", "file": "violin.wav"}], "take": take}
        (tmp_path / "manifest.json").write_text(json.dumps(facts))
        assert left([tmp_path]) == left([tmp_path / "*.wav"]) == left(every) == ["main.wav", "vl1.wav"]
        assert left([tmp_path / "violin.wav"]) == left([tmp_path / "vio*"]) == ["violin.wav"]
    for take in (7, [7], ["\0"], {}, None):
        (tmp_path / "manifest.json").write_text(json.dumps(facts | {"take": take}))
        assert left([tmp_path / "*.wav"]) == ["main.wav", "violin.wav", "vl1.wav"]
    touch(tmp_path, "nobody.mic1.wav", "violin.mic1.wav")
    (tmp_path / "manifest.json").unlink()
    assert left([tmp_path]) == ["main.wav", "violin.wav", "vl1.wav"]


def test_patterns_are_those_of_a_shell(tmp_path, monkeypatch):
    touch(
        tmp_path, "[1] live/T1_10.WAV", "[1] live/T1_2.WAV", "[1] live/._T1_2.WAV", "[1] live/T2_1.WAV", "two/T1_3.WAV"
    )
    monkeypatch.chdir(tmp_path)

    def names(pattern):
        return [path.as_posix() for path in matches(Path(pattern))]

    assert names("[1] live/T1_*") == ["[1] live/T1_2.WAV", "[1] live/T1_10.WAV"]
    assert names("[1] live/t1_*.wav") == ["[1] live/T1_2.WAV", "[1] live/T1_10.WAV"]
    assert names("[1] live/T[2-9]_?.WAV") == ["[1] live/T2_1.WAV"]
    assert names("*/T1_*") == ["[1] live/T1_2.WAV", "[1] live/T1_10.WAV", "two/T1_3.WAV"]
    assert names("**/T1_3*") == ["two/T1_3.WAV"]  # one folder, not all below
    assert names(str(tmp_path / "two" / "*")) == [(tmp_path / "two" / "T1_3.WAV").as_posix()]
    assert names("none/*") == names("X*") == names("two/T1_3.WAV/*") == []


def test_what_is_looked_at_is_bounded(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{n}.wav" for n in range(12)))
    monkeypatch.setattr(folders._disk, "MOST_ENTRIES", 10)
    with pytest.raises(SessionError, match="holds more than 10 files"):
        audio_in(tmp_path)
    with pytest.raises(SessionError, match="holds more than 10 files"):
        matches(tmp_path / "*")
    assert folders.texts_in(tmp_path) == []
    monkeypatch.setattr(folders._disk, "MOST_ENTRIES", 100)
    monkeypatch.setattr(folders._disk, "MOST_FILES", 10)
    with pytest.raises(SessionError, match="more than 10 audio files"):
        audio_in(tmp_path)
    touch(tmp_path, *(f"{n}/x.wav" for n in range(9)))
    monkeypatch.setattr(folders._disk, "MOST_ENTRIES", 25)
    with pytest.raises(SessionError, match="among more than 25 files"):
        matches(tmp_path / "*" / "*")


def measured(path):
    return Sound(path, 100 if "T1" in path.name else 200, 10)


def test_what_is_chosen(tmp_path):
    touch(tmp_path, "T1_2_b.WAV", "T1_10_a.WAV", "T3_2_b.WAV", "T3_10_a.WAV", "T3_sheet.pdf", "T1.txt")

    def names(*given, leaving=()):
        found = chosen([tmp_path / each for each in given], measured, [tmp_path / each for each in leaving])
        return [path.name for path in found]

    assert names("T3_*") == ["T3_2_b.WAV", "T3_10_a.WAV"]
    assert names("T3_10_a.WAV", "T3_2_b.WAV", "T3_sheet.pdf") == ["T3_10_a.WAV", "T3_2_b.WAV"]  # as a shell gives them
    assert names("T3_sheet.pdf") == ["T3_sheet.pdf"]  # to be refused by who reads it
    assert names("", leaving=["T1_2_b.WAV", "T1_10_a.WAV"]) == ["T3_2_b.WAV", "T3_10_a.WAV"]
    with pytest.raises(folders.SeveralTakes, match=r"takes here: T1 \(0:10\), T3 \(0:20\); say which: .*T3_\*\.WAV$"):
        names("")
    with pytest.raises(SessionError, match="matches nothing"):
        names("T4_*")
    with pytest.raises(SessionError, match="matches no audio"):
        names("*.txt")
    with pytest.raises(SessionError, match="only the solo take"):
        names("", leaving=[path.name for path in tmp_path.iterdir()])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SessionError, match="empty: holds no audio; give"):
        names("empty")


def test_a_folder_without_a_take_says_what_is_there(tmp_path):
    def said(folder):
        with pytest.raises(SessionError) as refusal:
            chosen([folder], lambda path: Sound(path, 10, 1))
        return str(refusal.value)

    (tmp_path / "day 1").mkdir()
    (tmp_path / "day 2").mkdir()
    assert "holds no audio; give" in said(tmp_path)
    (tmp_path / "day 1" / "Vln.wav").touch()
    assert "holds no audio, but its folders do: day 1; give" in said(tmp_path)
    (tmp_path / "day 2" / "Vln.wav").touch()
    (tmp_path / "day 2" / "manifest.json").write_text('{"sources": [{"file": "Vln.wav"}]}')
    assert "day 2: holds only stems of an earlier run; give" in said(tmp_path / "day 2")


def test_what_is_proposed_can_be_pasted_into_a_shell():
    for folder in ("live", "our gig", "Bob's", 'a "b" $HOME', "takes [1]"):
        for always in (False, True):
            (word,) = shlex.split(folders.quoted(Path(folder), "T03_*", always))
            assert matches_text(word, Path(folder, "T03_Vln.WAV"))
    assert folders.quoted(Path("live"), "T03_*") == "live/T03_*"
    two = [*sounds("T01_a.WAV", "T01_b.WAV", length=9), *sounds("T03_a.WAV", "T03_b.WAV", length=90)]
    asked = str(choice(takes(two), Path("our gig"), "--solo-take {}"))
    assert asked.endswith('say which: --solo-take "our gig/T03_*"')


def matches_text(pattern, path):
    """Return whether a pattern means a path."""
    return fnmatchcase(str(path), pattern)
