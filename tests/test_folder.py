"""The folder of a recorder, and the one command that separates what is in it."""

import json
import shlex
import shutil
import struct

import numpy as np
import pytest
import soundfile as sf

from mnmf import Session, cli
from mnmf.draft import draft, marker_files
from mnmf.errors import AudioFileError, MnmfError, SessionError

RATE = 8000
PLAYERS = ("Vln1", "Vln2", "Vla", "Vc", "Cb", "Fl")
MICS = (*PLAYERS, "Main L", "Main R", "Hall L", "Hall R", "Spare1", "Spare2")
ALONE = 1.0  # seconds of a solo, and as long a rest
QUICK = ["--method", "pairwise"]  # no stem matters here


def bwf(path, x_L, start):
    """Write a mono file of 24 bits with a Broadcast Wave chunk, as recorders do."""
    sf.write(path, x_L, RATE, "PCM_24")
    data = path.read_bytes()
    bext = struct.pack("<256s32s32s10s8sQH", path.stem.encode(), b"R", b"", b"2026-11-26", b"21:12:00", start, 1)
    bext = bext.ljust(602, b"\0")
    body = b"WAVE" + struct.pack("<4sI", b"bext", len(bext)) + bext + data[12:]
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def heard(played_LN, rng):
    """Return what the twelve mics hear of the players: their own spots most, the dead ones nothing but noise."""
    mixing_MN = rng.uniform(0.2, 0.3, (len(MICS), len(PLAYERS)))
    mixing_MN[range(6), range(6)] = 1.0
    mixing_MN[10:] = 0.0
    noise_LM = 1e-6 * rng.standard_normal((len(played_LN), len(MICS)))
    return 0.1 * played_LN @ mixing_MN.T + noise_LM


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with a false start (T01), a warm-up (T02) with its markers, and a take (T03), of twelve mics each."""
    rng = np.random.default_rng(5)
    place = tmp_path_factory.mktemp("recorded")
    solos_LN = np.zeros((round(12 * ALONE * RATE), 6))
    for n in range(6):
        at = round(2 * n * ALONE * RATE)
        solos_LN[at : at + round(ALONE * RATE), n] = rng.standard_normal(round(ALONE * RATE))
    takes = {"T01": rng.standard_normal((RATE // 2, 6)), "T02": solos_LN, "T03": rng.standard_normal((2 * RATE, 6))}
    for number, (take, played_LN) in enumerate(takes.items()):
        x_LM = heard(played_LN, np.random.default_rng(7))
        for m, mic in enumerate(MICS):
            bwf(place / f"{take}_{m + 1:02}_{mic}.WAV", x_LM[:, m], number * 10**6)
            (place / f"._{take}_{m + 1:02}_{mic}.WAV").write_bytes(b"a resource fork")
    labels = "".join(f"{2 * n * ALONE}\t{(2 * n + 1) * ALONE}\t{name}\n" for n, name in enumerate(PLAYERS))
    (place / "T02.txt").write_text(labels)
    (place / "sheet.pdf").write_bytes(b"%PDF")
    (place / "readme.txt").write_text("the microphones are as last year")
    return place


@pytest.fixture
def folder(recorded, tmp_path, monkeypatch):
    """A copy of it, in the current folder."""
    shutil.copytree(recorded, tmp_path / "live")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "live"


def ran(command, *more):
    """Run a command as a shell without patterns of its own would, and return its status."""
    return cli.run([*shlex.split(command)[1:], *more])


# The promise


def test_one_short_command_separates_the_folder(folder, capsys):
    """By the default method it is the same command without what makes this test quick.

    Once cue points name the solos, --solos can go, and --ambient once dead mics are found by what they hear.
    """
    for path in folder.glob("T01_*"):
        path.unlink()
    command = "mnmf separate live --solo-take 'live/T02_*' --solos live/T02.txt --ambient 7-12"
    assert len(command) < 80
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert ran(command, *QUICK) == 0
    said = capsys.readouterr().out
    for n, player in enumerate(PLAYERS):
        assert f"{player}: mic {n + 1} ({player}), where its solo is" in said
    assert sorted(path.name for path in (folder.parent / "stems").glob("*.WAV")) == sorted(f"{p}.WAV" for p in PLAYERS)
    record = json.loads((folder.parent / "stems" / "manifest.json").read_text("utf-8"))
    assert record["take"] == [f"../live/T03_{m + 1:02}_{mic}.WAV" for m, mic in enumerate(MICS)]
    assert record["ambient_mics"] == [7, 8, 9, 10, 11, 12]
    stem = (folder.parent / "stems" / "Cb.WAV").read_bytes()
    original = before[folder / "T03_05_Cb.WAV"]
    assert len(stem) == len(original)
    at = stem.index(b"bext")
    assert stem[at : at + 610] == original[original.index(b"bext") :][:610]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_names_say_who_is_nobody_where_that_fits(folder, capsys):
    assert ran("mnmf separate live/T03_* --solo-take live/T02_* --solos live/T02.txt", *QUICK) == 0
    ambient = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ambient: "))
    assert "mic 7 (Main L), mic 8 (Main R), mic 9 (Hall L)" in ambient
    assert ambient.endswith("nobody's spot, as their names say; if one is, --spot NAME=MIC")
    session = Session.open(folder / "T03_*")
    assert session.sources == PLAYERS
    assert session.ambient == session.by_name == (6, 7, 8, 9, 10, 11)
    owned = Session.open(folder / "T03_*", spots={"guest": "Spare2"})
    assert owned.sources == (*PLAYERS, "guest")
    assert owned.spots[-1] == (11,)
    assert Session.open(folder / "T03_*", ambient=[]).ambient == ()
    # With as many sources as mics they are all somebody's.
    assert Session.open(folder / "T03_*", sources=[f"p{m}" for m in range(12)]).ambient == ()


def test_what_a_shell_expands_is_the_same(folder, capsys):
    listed = sorted(str(path) for path in folder.glob("T03_*"))
    assert Session.open(listed).mic_names == Session.open(folder / "T03_*").mic_names == MICS
    # A shell that expands what follows --solo-take leaves one file with the option and the others with the take.
    warm_up = sorted(str(path) for path in folder.glob("T02_*"))
    assert cli.run(["separate", *listed, "--solo-take", *warm_up, "--solos", "live/T02.txt"]) == 2
    said = capsys.readouterr().err
    assert "live: takes here: T02 (0:12), T03 (0:02); say which: " in said
    assert "a pattern after --solo-take has to be in quotes" in said


def test_several_takes_are_asked_about_in_one_line(folder, capsys):
    wanted = "mnmf: live: takes here: T01 (0:00), T02 (0:12), T03 (0:02); say which: mnmf {} live/T02_*\n"
    for command in ("separate", "plan", "learn --out x.npz"):
        assert ran(f"mnmf {command} live") == 2
        assert capsys.readouterr().err == wanted.format(command.split()[0])
    assert ran("mnmf separate live/T03_* --solo-take live") == 2
    assert "say which: --solo-take 'live/T02_*'\n" in capsys.readouterr().err
    assert ran("mnmf separate live --solo-take live/T02_* --solos live/T02.txt") == 2
    assert "takes here: T01 (0:00), T03 (0:02); say which: mnmf separate live/T03_*\n" in capsys.readouterr().err
    for path in folder.glob("T01_*"):
        path.unlink()
    assert Session.open(folder, solo_take=folder / "T02_*", solos=folder / "T02.txt").sources == PLAYERS


def test_what_lies_beside_a_take_is_pointed_out(folder, capsys):
    assert ran("mnmf separate live/T03_*", "--method", "time-domain", "--iterations", "1") == 0
    said = capsys.readouterr().out
    assert "markers lie there: --solos live/T02.txt --solo-take 'live/T02_*' would make use of them\n" in said
    (folder / "T02.txt").rename(folder / "labels.txt")  # of what nobody knows
    assert ran("mnmf separate live/T03_*", "--method", "time-domain", "--iterations", "1", "--overwrite") == 0
    assert "markers lie there: --solos live/labels.txt would make use of them\n" in capsys.readouterr().out
    (folder / "session.toml").write_text("take = 3")
    assert ran("mnmf separate live/T03_*", "--method", "time-domain", "--iterations", "1", "--overwrite") == 0
    said = capsys.readouterr().out
    assert "live/session.toml is not used; give it in place of the files if it should be\n" in said
    assert "markers" not in said


def cued(path, labels):
    """Put cue points with names and lengths, in seconds, into a WAV file."""
    data, points, texts = path.read_bytes(), b"", b"adtl"
    for n, (start, stop, name) in enumerate(labels, 1):
        first, last = (round(seconds * RATE) for seconds in (start, stop))
        points += struct.pack("<II4sIII", n, first, b"data", 0, 0, first)
        name = struct.pack("<I", n) + name.encode() + b"\0"
        texts += struct.pack("<4sI", b"labl", len(name)) + name + bytes(len(name) % 2)
        texts += struct.pack("<4sIIIIHHHH", b"ltxt", 20, n, last - first, 0, 0, 0, 0, 0)
    points = struct.pack("<I", len(labels)) + points
    chunks = b"".join(struct.pack("<4sI", name, len(c)) + c for name, c in ((b"cue ", points), (b"LIST", texts)))
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8 + len(chunks)) + data[8:] + chunks)


def test_cue_points_in_a_solo_take_are_found(folder, capsys):
    (folder / "T02.txt").unlink()
    labels = [(2 * n * ALONE, (2 * n + 1) * ALONE, name) for n, name in enumerate(PLAYERS)]
    for path in folder.glob("T03*"):
        cued(path, [(0.5, 1.0, "Marker 1")])  # as recorders number them
    for path in folder.glob("T02*"):
        cued(path, labels)
    assert ran("mnmf separate live/T03_*", "--method", "time-domain", "--iterations", "1") == 0
    said = capsys.readouterr().out
    assert "lie there: --solos live/T02_01_Vln1.WAV --solo-take 'live/T02_*' would make use of them\n" in said
    made = draft("live/T03_*", folder / "session.toml")
    assert made.problem == ""
    assert made.session.markers == folder / "T02_01_Vln1.WAV"
    assert made.session.solo_recording.paths[0].name == "T02_01_Vln1.WAV"
    assert made.session.sources == PLAYERS
    for path in folder.glob("T02*"):
        path.unlink()
    assert list(marker_files(folder)) == []
    assert draft("live/T03_*", folder / "session.toml").session.markers is None


@pytest.mark.parametrize(("names", "found"), [(("Vln1", "Vla"), True), (("good one", "again"), False)])
def test_cue_points_in_the_take_itself_are_solos_if_they_are_called_as_mics(folder, names, found):
    for path in folder.glob("T0[12]*"):
        path.unlink()
    cued(folder / "T03_01_Vln1.WAV", [(0.2, 0.6, names[0]), (1.0, 1.5, names[1])])
    made = draft("live", folder / "session.toml")
    assert ("T03_01_Vln1.WAV" in made.text.partition("solos = ")[2].partition("\n")[0]) == found
    assert made.text.count("# solos =") == (not found)


def test_a_broken_file_of_a_take_is_named(folder):
    sf.write(folder / "T03_04_Vc.WAV", np.zeros(RATE), RATE)
    with pytest.raises(AudioFileError, match="T03_04_Vc.WAV has 8000 samples"):
        Session.open(folder / "T03_*")
    (folder / "T03_04_Vc.WAV").write_bytes(b"")
    with pytest.raises(AudioFileError, match="T03_04_Vc.WAV is empty"):
        Session.open(folder)


# The solo take has the mics of the take, whatever their order


def test_solo_takes_are_matched_by_names(folder):
    take, warm_up = sorted(folder.glob("T03_*")), sorted(folder.glob("T02_*"))
    known = {"solos": folder / "T02.txt", "ambient": ["7-12"]}
    session = Session.open(take, solo_take=warm_up[::-1], **known)
    assert session.solo_recording.paths == tuple(warm_up)
    assert [mics for (mics,) in session.spots] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(SessionError, match=r"the solo take has 11 mics \(no Vc\), the take has 12"):
        Session.open(take, solo_take=[path for path in warm_up if "_Vc" not in path.name], **known)
    bwf(folder / "T02_04_Cello.WAV", sf.read(warm_up[3])[0], 0)
    other = [*warm_up[:3], folder / "T02_04_Cello.WAV", *warm_up[4:]]
    # What is called otherwise is taken for that of its place.
    assert Session.open(take, solo_take=other, **known).spots == session.spots
    with pytest.raises(SessionError, match="Vln1 is mic 12 of the solo take and mic 1 of the take"):
        Session.open(take, solo_take=other[::-1], **known)


# Session files


def test_a_session_file_is_written_and_works_as_it_is(folder, capsys):
    assert ran("mnmf init live/T03_*") == 0
    said = capsys.readouterr()
    assert "live/session.toml is written; look at it, then: mnmf separate live/session.toml\n" in said.out
    text = (folder / "session.toml").read_text("utf-8")
    silent = "mic 11 (Spare1) is practically silent (-120 dB); it is set aside; look at its cable"
    assert f"mnmf: {silent}" in said.err
    assert f"\n# {silent}" in text
    assert "\n# In the recording of the solos mic 12 (Spare2) is practically silent" in text
    assert '"T03_05_Cb.WAV",  # 5: Cb\n' in text
    assert 'solos = "T02.txt"\n' in text
    assert 'ambient = ["Main L", "Main R", "Hall L", "Hall R", "Spare1", "Spare2"]\n' in text
    assert '# Vln1 = "Vln1"\n' in text
    session = Session.from_toml(folder / "session.toml")
    assert session.sources == PLAYERS
    assert session.solo_recording.paths == tuple(sorted(folder.glob("T02_*")))
    assert ran("mnmf separate live/session.toml", *QUICK) == 0
    for again in ("live/T03_*", "live"):
        assert ran(f"mnmf init {again}") == 2
        assert "session.toml is there already; correct that one" in capsys.readouterr().err
    assert (folder / "session.toml").read_text("utf-8") == text


def test_a_session_file_of_the_whole_folder(folder, capsys):
    assert ran("mnmf init live") == 2
    assert capsys.readouterr().err == (
        "mnmf: live: takes here: T01 (0:00), T03 (0:02); say which: mnmf init live/T03_*\n"
    )
    assert not (folder / "session.toml").exists()
    for path in folder.glob("T01_*"):
        path.unlink()
    assert ran("mnmf init live --out other.toml") == 0
    assert '"live/T03_01_Vln1.WAV",  # 1: Vln1\n' in (folder.parent / "other.toml").read_text("utf-8")
    assert Session.from_toml(folder.parent / "other.toml").markers.name == "T02.txt"


def test_a_session_file_without_solos_says_whose_mics_are_whose(folder):
    for path in (folder / "T02.txt", *folder.glob("T0[12]_*")):
        path.unlink()
    assert ran("mnmf init live") == 0
    text = (folder / "session.toml").read_text("utf-8")
    assert '\nVln1 = "Vln1"\n' in text
    assert '\n# Vc = "cello"\n' in text  # an instrument
    (folder / "session.toml").write_text(text.replace('Vc = "Vc"', '"Anna\'s cello" = "Vc"'))
    assert Session.from_toml(folder / "session.toml").sources == (*PLAYERS[:3], "Anna's cello", *PLAYERS[4:])


def relabel(folder, names):
    lines = (folder / "T02.txt").read_text().splitlines()
    text = "".join(f"{line.rpartition(chr(9))[0]}\t{name}\n" for line, name in zip(lines, names) if name)
    (folder / "T02.txt").write_text(text)


def test_labels_are_matched_with_mics_by_what_they_mean(folder):
    relabel(folder, ["violin 1", "violin 2", "viola", "cello", "", "flute"])  # the bass has no solo
    assert ran("mnmf init live/T03_*") == 0
    session = Session.from_toml(folder / "session.toml")
    assert session.sources == ("violin 1", "violin 2", "viola", "cello", "flute", "Cb")
    assert [mics for (mics,) in session.spots] == [0, 1, 2, 3, 5, 4]
    assert '# "violin 2" = "Vln2"\n' in (folder / "session.toml").read_text("utf-8")


def test_labels_that_no_mic_is_called_after_are_found_by_their_solos(folder):
    relabel(folder, ["Anna", "", "Cem", "Dora", "Emil", "Fee"])
    assert ran("mnmf init live/T03_*") == 0
    text = (folder / "session.toml").read_text("utf-8")
    assert "# Nobody's spots, by their names and since none of the solos is loudest there.\n" in text
    session = Session.from_toml(folder / "session.toml")
    assert session.sources == ("Anna", "Cem", "Dora", "Emil", "Fee")
    assert [mics for (mics,) in session.spots] == [0, 2, 3, 4, 5]
    assert session.ambient == (1, 6, 7, 8, 9, 10, 11)


def test_solos_that_do_not_tell_leave_it_to_the_names(folder):
    bwf(folder / "T02_04_Vc.WAV", sf.read(folder / "T02_05_Cb.WAV")[0], 0)  # the same sound at two mics
    assert ran("mnmf init live/T03_*") == 0
    session = Session.from_toml(folder / "session.toml")
    assert [mics for (mics,) in session.spots] == [0, 1, 2, 3, 4, 5]
    assert '\nVc = "Vc"\n' in (folder / "session.toml").read_text("utf-8")


def test_what_has_to_be_corrected_is_said(folder, capsys):
    relabel(folder, ["Anna", "Ben", "Cem", "Dora", "Emil", "Fee"])
    bwf(folder / "T02_04_Vc.WAV", sf.read(folder / "T02_05_Cb.WAV")[0], 0)
    assert ran("mnmf init live/T03_*") == 0
    assert "mnmf: it has to be corrected first: the solo of 'Dora' is as loud at" in capsys.readouterr().err
    with pytest.raises(MnmfError, match="as loud at"):
        Session.from_toml(folder / "session.toml")


def test_odd_names_survive_a_session_file(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    names = ['a "quoted" one.wav', "b#\\slash.wav", "c [1] = 'x'.wav", "d\u2028\x7f.wav", "e 🎻\U000e0001.wav"]
    for name in names:
        sf.write(tmp_path / name, rng.uniform(-0.5, 0.5, 800), RATE)
    sf.write(tmp_path / "Piano.wav", rng.uniform(-0.5, 0.5, (800, 2)), RATE)
    assert cli.run(["init", "."]) == 0
    text = (tmp_path / "session.toml").read_text("utf-8")
    assert '\nPiano = "Piano"\n' in text
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_patterns_in_a_session_file(folder):
    (folder / "session.toml").write_text(
        'take = "T03_*.WAV"\nsolos = "T02.txt"\nsolo-take = ["T02_0*", "T02_1*"]\nambient = ["Main*", "9-12"]\n'
        '[spots]\nVc = "T03_04_Vc"\n'
    )
    session = Session.from_toml(folder / "session.toml")
    assert session.sources == PLAYERS
    assert session.spots[3] == (3,)
    assert session.recording.paths[0] == folder / "T03_01_Vln1.WAV"
    (folder / "session.toml").write_text('take = "T04_*.WAV"\n')
    with pytest.raises(SessionError, match="T04_.*: matches nothing"):
        Session.from_toml(folder / "session.toml")


def test_mics_of_the_same_names_are_told_by_their_folders(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    for card in ("card A", "card B"):
        (tmp_path / card).mkdir()
        for m in (1, 2):
            sf.write(tmp_path / card / f"TRACK{m}.WAV", rng.uniform(-0.5, 0.5, 800), RATE)
    names = ("card A TRACK1", "card A TRACK2", "card B TRACK1", "card B TRACK2")
    assert Session.open("card*/*").sources == names
    assert cli.run(["init", "card*/*", "--out", "card A/all.toml"]) == 0
    assert Session.from_toml("card A/all.toml").sources == names


def test_sources_called_as_their_mics_can_be_files(tmp_path, rng):
    for name in ('Anna "close"', "Bob?", "Bob|"):
        sf.write(tmp_path / f"{name}.wav", rng.uniform(-0.5, 0.5, 800), RATE)
    (tmp_path / "Bob|.wav").rename(tmp_path / "Cem.wav")
    assert Session.open(tmp_path).sources == ("Anna -close-", "Bob-", "Cem")
    (tmp_path / "Cem.wav").rename(tmp_path / "Bob|.wav")
    with pytest.raises(SessionError, match="rename it in the markers, in --sources, or by --spot"):
        Session.open(tmp_path)  # two would be Bob-


def test_patterns_match_from_a_word_on(folder):
    session = Session.open(folder / "T03_*", ambient=["Main*", "[HS]*"])
    assert session.ambient == (6, 7, 8, 9, 10, 11)
    for path in folder.glob("T03_*"):  # the names of microphones begin with numbers now
        path.rename(path.with_name(path.name.replace("Spare2", "").replace("_Spare1", "")))
    session = Session.open(folder / "T03_*", ambient=["Main*", "Hall ?", 11, 12])
    assert session.mic_names[6] == "T03_07_Main L"
    assert session.ambient == (6, 7, 8, 9, 10, 11)
    with pytest.raises(SessionError, match="no mic 'ain"):
        Session.open(folder / "T03_*", ambient=["ain*"])


def test_a_session_file_stands_alone(folder, capsys):
    assert ran("mnmf init live/T03_*") == 0
    assert ran("mnmf separate live/session.toml live/T03_01_Vln1.WAV", *QUICK) == 2
    assert "live/session.toml: a session file names the take itself" in capsys.readouterr().err
    (folder / "session.toml").write_text("take = [")
    assert ran("mnmf separate live/session.toml", *QUICK) == 2
    assert "correct it, or give another session file" in capsys.readouterr().err
