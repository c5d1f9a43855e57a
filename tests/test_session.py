"""Sessions: a stem under the wrong name is the worst error there is."""

import re
import struct
import tomllib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from mnmf import Session
from mnmf.audio import Recording
from mnmf.errors import AudioFileError, MarkerError, MnmfError, SessionError
from mnmf.session import KEYS, Seats, session_keys
from mnmf.spots import Spots
from mnmf.whose import find_mics, find_spots, match_spots
from tests.test_together import bext, music, write

RATE = 8000
BLEED = 10 ** (-10 / 20)


def noise(rng, seconds):
    """Notes of noise that swell and fade, as music does."""
    time_L = np.arange(round(seconds * RATE)) / RATE
    return rng.standard_normal(len(time_L)) * 0.1 * np.exp(-6 * (3 * time_L % 1))


@pytest.fixture
def room(tmp_path, rng):
    """Return a writer of a take and a solo take: seat n is nearest to mic n, unless `order` moves the mics about."""

    def write(names=("violin", "viola", "cello"), order=None, gains=None, loudness=None, extra=0, quiet=()):
        N = len(names)
        M = N + extra
        mixing_MN = np.full((M, N), BLEED) * rng.uniform(0.9, 1.1, (M, N))
        mixing_MN[range(N), range(N)] = 1.0
        mixing_MN *= np.ones(N) if loudness is None else np.asarray(loudness)
        order = range(M) if order is None else order
        gains = np.ones(M) if gains is None else np.asarray(gains)

        def mics(s_LN):
            return ((s_LN @ mixing_MN.T) * gains)[:, list(order)]

        take = mics(np.stack([noise(rng, 2.0) for _ in names], axis=1))
        solo = np.zeros((N * RATE, N))
        for n, name in enumerate(names):
            if name not in quiet:
                solo[n * RATE : (n + 1) * RATE, n] = noise(rng, 1.0)
        scale = 0.9 / max(np.abs(take).max(), np.abs(mics(solo)).max())
        sf.write(tmp_path / "take.wav", take * scale, RATE, "FLOAT")
        sf.write(tmp_path / "solo.wav", mics(solo) * scale, RATE, "FLOAT")
        labels = "".join(f"{n}.0\t{n + 1}.0\t{name}\n" for n, name in enumerate(names))
        (tmp_path / "solo.txt").write_text(labels)
        return {"take": tmp_path / "take.wav", "solos": tmp_path / "solo.txt", "solo_take": tmp_path / "solo.wav"}

    return write


def mics_of(session):
    return list(session.spots)


def test_spots_are_found_by_the_solos(room):
    session = Session.open(**room(order=[2, 0, 1]))
    assert session.sources == ("violin", "viola", "cello")
    assert mics_of(session) == [(1,), (2,), (0,)]
    assert all(margin > 5 for margin in session.margins_db)
    assert "mic 2, where its solo is" in session.describe_spot(0)


@pytest.mark.parametrize("seed", range(5))
def test_neither_gains_nor_loud_players_move_a_spot(room, seed):
    rng = np.random.default_rng(seed)
    gains = 10 ** (rng.uniform(-12, 12, 3) / 20)
    loudness = 10 ** (rng.uniform(-15, 15, 3) / 20)
    session = Session.open(**room(gains=gains, loudness=loudness))
    assert mics_of(session) == [(0,), (1,), (2,)]


def test_hum_on_one_mic_moves_no_spot(room):
    files = room()
    x, _ = sf.read(files["solo_take"])
    x[:, 0] += 0.3 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE) + 0.2
    sf.write(files["solo_take"], x, RATE, "FLOAT")
    assert mics_of(Session.open(**files)) == [(0,), (1,), (2,)]


def test_sources_can_be_named_and_ordered(room):
    session = Session.open(**room(), sources=["cello", "violin", "viola"])
    assert session.sources == ("cello", "violin", "viola")
    assert mics_of(session) == [(2,), (0,), (1,)]


def test_labels_that_are_no_source_are_set_aside_and_remembered(room):
    session = Session.open(**room(), sources=["violin", "cello"], ambient=[2])
    assert session.sources == ("violin", "cello")
    assert session.ignored == ("viola",)
    assert {passage.source for passage in session.passages} == {"violin", "cello"}


def test_points_and_labels_past_the_end_are_set_aside_and_remembered(room):
    files = room()
    with files["solos"].open("a") as file:
        file.write("0.0\t0.0\ttake 3\n2.5\t4.0\tcello\n")
    session = Session.open(**files)
    assert session.sources == ("violin", "viola", "cello")
    assert session.ignored == ("take 3 (a point at 0.000 s)", "cello (4.000 s, past the end of the take)")
    with files["solos"].open("a") as file:
        file.write("0.0\t3.0\teverybody\n0.0\t4.0\toboe\n")
    asked = Session.open(**files, sources=["violin", "viola", "cello"])
    assert asked.passages == session.passages
    assert asked.ignored == ("take 3", "cello (4.000 s, past the end of the take)", "everybody", "oboe")
    assert Session.outline(**files, sources=["violin"])[1:] == (1, True)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_the_same_composed_or_not(room, form):
    def written(name):
        return unicodedata.normalize(form, name)

    flute, oboe = "Fl\u00f6te", "Ob\u00f6e"
    files = room(names=(flute, oboe))
    more = {
        "sources": [written(oboe), written(flute)],
        "spots": {written(flute): 1},
        "queries": {written(oboe): "an oboe"},
        "reduction": {written(flute): {written(oboe): 6.0}},
    }
    session = Session.open(**files, **more)
    assert session.sources == (oboe, flute)
    assert mics_of(session) == [(1,), (0,)]
    assert session.without_solo() == session.ignored == ()
    assert session.queries == ("an oboe", flute)
    assert session.reduction == {flute: {oboe: 6.0}}
    assert session.instruments == (oboe, flute)


def test_mics_are_found_by_their_names_composed_or_not(tmp_path, rng):
    for name in ("Flo\u0308te", "cello"):
        sf.write(tmp_path / f"{name}.wav", noise(rng, 0.5), RATE, "FLOAT")
    takes = [tmp_path / "Flo\u0308te.wav", tmp_path / "cello.wav"]
    session = Session.open(takes, sources=["a", "b"], spots={"b": "Fl\u00f6te"})
    assert mics_of(session) == [(1,), (0,)]
    assert Session.open(takes).sources == ("Fl\u00f6te", "cello")
    assert Session.open(takes, ambient=["Fl\u00f6te"]).sources == ("cello",)


def test_the_solo_take_may_hold_the_markers_itself(room, tmp_path):
    files = room()
    given = Session.open(**files)
    names = ("violin", "viola", "cello")
    with files["solo_take"].open("ab") as file:
        points = b"".join(struct.pack("<II4sIII", n, n * RATE, b"data", 0, 0, n * RATE) for n in range(3))
        labels = b"".join(b"labl" + struct.pack("<II8s", 12, n, name.encode()) for n, name in enumerate(names))
        file.write(b"cue " + struct.pack("<II", 4 + len(points), 3) + points)
        file.write(b"LIST" + struct.pack("<I", 4 + len(labels)) + b"adtl" + labels)
    session = Session.open(**{**files, "solos": files["solo_take"]})
    assert session.passages == given.passages
    assert session.spots == given.spots


def test_a_given_spot_wins(room):
    files = room()
    session = Session.open(**files, spots={"violin": "3", "cello": 1})
    assert mics_of(session) == [(2,), (1,), (0,)]
    assert session.margins_db[0] is None
    assert session.margins_db[1] > 5


def test_two_sources_on_one_mic_are_refused_until_told(room):
    files = room()
    with pytest.raises(SessionError, match="mic 3 was given to 'violin', but hears the solo of 'cello' loudest"):
        Session.open(**files, spots={"violin": "3"})
    told = Session.open(**files, spots={"violin": "3", "cello": "3"}, ambient=["1"])
    assert mics_of(told) == [(2,), (1,), (2,)]


def test_two_identical_spots_are_refused_until_told(room):
    files = room()
    for path in (files["take"], files["solo_take"]):
        x, _ = sf.read(path)
        x[:, 1] = x[:, 0]
        sf.write(path, x, RATE, "FLOAT")
    with pytest.raises(SessionError, match="the solo of 'violin' is as loud at mic 1 and mic 2"):
        Session.open(**files)
    assert mics_of(Session.open(**files, spots={"violin": 1, "viola": 2})) == [(0,), (1,), (2,)]


def test_mics_left_over_are_refused_until_ambient(room):
    files = room(extra=2)
    with pytest.raises(SessionError, match="nobody's spot: mic 4, mic 5; .* mark it with --ambient"):
        Session.open(**files)
    session = Session.open(**files, ambient=["4", 5])
    assert mics_of(session) == [(0,), (1,), (2,)]
    assert session.ambient == (3, 4)


def test_a_source_can_have_several_spots(room):
    session = Session.open(**room(extra=1), spots={"violin": ["1", "4"]})
    assert mics_of(session) == [(0, 3), (1,), (2,)]
    assert "mic 1 and mic 4" in session.describe_spot(0)


def test_a_mic_is_not_both_ambient_and_a_spot(room):
    with pytest.raises(SessionError, match="mic 1 is marked --ambient and somebody's --spot"):
        Session.open(**room(), spots={"violin": 1}, ambient=[1])


def test_unknown_sources_and_mics_are_refused(room):
    files = room()
    with pytest.raises(SessionError, match="--spot names 'oboe', which is not among the sources: violin, viola, cello"):
        Session.open(**files, spots={"oboe": 1})
    for mic in ("4", 0, "vl1", "-1", "#9"):
        with pytest.raises(SessionError, match="there is no mic"):
            Session.open(**files, spots={"violin": mic})
    with pytest.raises(SessionError, match="there is no mic 'room'"):
        Session.open(**files, ambient=["room"])


def test_a_source_without_a_solo_is_refused_until_its_spot_is_told(room):
    files = room()
    with pytest.raises(SessionError, match="'oboe' has no solo passage; label one, or say --spot oboe=MIC"):
        Session.open(**files, sources=["violin", "viola", "oboe"])
    session = Session.open(**files, sources=["violin", "viola", "oboe"], spots={"oboe": 3})
    assert session.without_solo() == ("oboe",)


def test_a_silent_solo_is_refused(room):
    files = room(quiet=["viola"])
    with pytest.raises(SessionError, match="the solo of 'viola' is silent, or"):
        Session.open(**files)
    with pytest.raises(SessionError, match="the solo of 'viola' is silent at mic 2"):
        Session.open(**files, spots={"viola": 2})


def test_without_solos_sources_follow_the_mics(room):
    files = room(extra=1)
    session = Session.open(files["take"], sources=["a", "b", "c"], ambient=[2])
    assert mics_of(session) == [(0,), (2,), (3,)]
    assert session.solo_recording is session.recording
    with pytest.raises(SessionError, match="5 sources without a spot, 4 mics left"):
        Session.open(files["take"], sources=list("abcde"))
    with pytest.raises(SessionError, match="nobody's spot: mic 4"):
        Session.open(files["take"], sources=list("abc"))


def test_one_file_a_mic_names_the_mics(room, tmp_path):
    files = room()
    paths = []
    for kind in ("take", "solo"):
        x, _ = sf.read(tmp_path / f"{kind}.wav")
        for m, name in enumerate(("vl", "va", "2")):
            (tmp_path / kind).mkdir(exist_ok=True)
            sf.write(tmp_path / kind / f"{name}.wav", x[:, m], RATE, "FLOAT")
        paths.append([tmp_path / kind / f"{name}.wav" for name in ("vl", "va", "2")])
    session = Session.open(paths[0], solos=files["solos"], solo_take=paths[1], spots={"violin": "vl"})
    assert mics_of(session) == [(0,), (1,), (2,)]
    assert "mic 3 (2), where" in session.describe_spot(2)
    with pytest.raises(SessionError, match="mic '2' is channel 2 and also the name of another; write #2"):
        Session.open(paths[0], solos=files["solos"], solo_take=paths[1], spots={"violin": "2"})
    swapped = Session.open(
        paths[0], solos=files["solos"], solo_take=paths[1], spots={"violin": "#2", "viola": 1, "cello": 3}
    )
    assert mics_of(swapped) == [(1,), (0,), (2,)]


def test_solo_take_must_fit_the_take(room, tmp_path):
    files = room()
    x, _ = sf.read(files["solo_take"])
    sf.write(tmp_path / "two.wav", x[:, :2], RATE)
    sf.write(tmp_path / "fast.wav", x, RATE * 2)
    with pytest.raises(SessionError, match="two.wav: the solo take has 2 mics, the take has 3"):
        Session.open(**{**files, "solo_take": tmp_path / "two.wav"})
    with pytest.raises(SessionError, match="fast.wav: the solo take runs at 16000 Hz, the take at 8000 Hz"):
        Session.open(**{**files, "solo_take": tmp_path / "fast.wav"})
    with pytest.raises(AudioFileError, match="none.wav cannot be opened"):
        Session.open(**{**files, "solo_take": tmp_path / "none.wav"})


def test_markers_refer_to_the_take_without_a_solo_take(room):
    files = room()
    with pytest.raises(MarkerError, match="'cello' at 3.000 s lies past the end of the take"):
        Session.open(files["take"], solos=files["solos"])


def test_solos_are_read_as_marked(room, tmp_path):
    files = room()
    files["solos"].write_text("0.5\t0.75\tviolin\n1\t2\tviola\n2\t3\tcello\n0\t0.25\tviolin\n")
    session = Session.open(**files)
    x, _ = sf.read(files["solo_take"], dtype="float32")
    first, second = session.solos("violin")
    np.testing.assert_array_equal(first, x[:2000])
    np.testing.assert_array_equal(second, x[4000:6000])


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a\x07b", "CON"])
def test_unsafe_names_are_refused(room, name):
    with pytest.raises(SessionError):
        Session.open(**room(), sources=["violin", "viola", name], spots={name: 3})
    with pytest.raises(SessionError, match="would be one file"):
        Session.open(**room(), sources=["violin", "viola", "Viola"])


def test_session_file(room, tmp_path):
    room(extra=1)
    (tmp_path / "session.toml").write_text(
        'take = "take.wav"\nsolos = "solo.txt"\nsolo-take = ["solo.wav"]\nambient = [4]\n[spots]\nviolin = 1\n'
    )
    session = Session.from_toml(tmp_path / "session.toml")
    assert mics_of(session) == [(0,), (1,), (2,)]
    assert session.ambient == (3,)
    override = Session.from_toml(tmp_path / "session.toml", ambient=[], spots={"violin": [1, 4]})
    assert mics_of(override) == [(0, 3), (1,), (2,)]


def test_instruments_are_the_names_until_told(room, tmp_path):
    files = room()
    assert Session.open(**files).instruments == Session.open(**files).sources
    told = Session.open(**files, instruments=["flute", "oboe", "horn"])
    assert told.instruments == ("flute", "oboe", "horn")
    with pytest.raises(SessionError, match="--instruments names 2, but there are 3 sources: violin, viola"):
        Session.open(**files, instruments=["flute", "oboe"])
    (tmp_path / "session.toml").write_text(
        'take = "take.wav"\nsolos = "solo.txt"\nsolo-take = "solo.wav"\n[instruments]\nviola = "horn"\n'
    )
    assert Session.from_toml(tmp_path / "session.toml").instruments[:2] == ("violin", "horn")


def test_queries_are_the_instruments_until_told(room, tmp_path):
    room()
    (tmp_path / "session.toml").write_text(
        'take = "take.wav"\nsolos = "solo.txt"\nsolo-take = "solo.wav"\n'
        '[instruments]\nviola = "horn"\n[queries]\ncello = "a cello, bowed"\n'
    )
    assert Session.from_toml(tmp_path / "session.toml").queries == ("violin", "horn", "a cello, bowed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("take = 3", "'take' must be a file name or a list"),
        ("solos = 'x'", "'take' is missing"),
        ("take = 'take.wav'\nspot = 1", "unknown key 'spot' \\(did you mean 'spots'\\?\\); a session has ambient"),
        ("take = 'take.wav'\nsolo_take = 1", r"unknown key 'solo_take' \(did you mean 'solo-take'\?\); a session has"),
        ("take = 'take.wav'\nxyzzy = 1", "unknown key 'xyzzy'; a session has"),
        ("take = 'take.wav'\nambient = [true]", "'ambient' must be a list of names or channels"),
        ("take = 'take.wav'\nambient = 3", "'ambient' must be a list of names or channels"),
        ("take = 'take.wav'\n[spots]\nviolin = true", "'spots' must be a table of source = mic"),
        ("take = 'take.wav'\n[spots]\nviolin = 1.5", "'spots.violin' must be a list of names or channels"),
        ("take = 'take.wav'\n[reduction]\n1 = true", "'reduction' must be a table of source = dB"),
        ("take = 'take.wav'\n[queries]\n1 = 2", "'queries' must be a table of source = text"),
        ("take = 'take.wav'\n[instruments]\n3o = 'cello'", "'3o', which is not among the sources: 1, 2, 3"),
        ("take = ", "not valid TOML"),
        ("take = 'take.wav'\nsources = ['a', 1]", "'sources' must be a list of names"),
        ("take = 'take.wav'\nspots = [1]", "'spots' must be a table"),
        ("take = 'take.wav'\nsources = 'a'", "'sources' must be a list"),
        ("take = 'take.wav'\nsolos = ['a', 'b']", "'solos' must be one marker file"),
        ("take = 'take.wav'\ninstruments = ['violin']", "'instruments' must be a table of source = instrument"),
        ("take = 'take.wav'\n[instruments]\ncello = 'cello'", "'cello', which is not among the sources"),
        ("take = 'take.wav'\n[queries]\ncello = 'cello'", "queries name 'cello', which is not among the sources"),
        ("take = 'take.wav'\nqueries = ['cello']", "'queries' must be a table of source = text"),
        ("take = 'nothing.wav'", "nothing.wav cannot be opened"),
        ("take = 'take.wav'\nsources = ['../x', 'b', 'c']", "cannot be a file name"),
    ],
)
def test_bad_session_files_name_the_culprit(room, tmp_path, text, message):
    room()
    path = tmp_path / "session.toml"
    path.write_text(text)
    with pytest.raises(MnmfError, match=message):
        Session.from_toml(path)
    with pytest.raises(SessionError, match="cannot be read"):
        Session.from_toml(tmp_path / "none.toml")


def test_every_key_of_a_session_file_is_documented():
    page = Path(__file__).parent.parent / "docs" / "session.md"
    if not page.exists():
        pytest.skip("the pages are not part of this distribution")
    table = re.findall(r"^\| `\[?([\w-]+)\]?` \|", page.read_text("utf-8"), re.MULTILINE)
    assert sorted(table) == sorted(KEYS)
    (block,) = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert session_keys(page, tomllib.loads(block))["ambient"] == ["main"]


def test_match_spots_with_one_source_or_mic():
    order, margins = match_spots(np.array([[2.0]]))
    assert (order[0, 0], margins[0]) == (0, np.inf)
    order, margins = match_spots(np.array([[1.0, 100.0]]))
    assert list(order[0]) == [1, 0]
    assert margins[0] == pytest.approx(20)
    order, margins = match_spots(np.array([[1.0, 0.0], [0.1, 0.0]]))
    assert list(order[:, 0]) == [0, 0]
    assert list(margins) == [np.inf, np.inf]


@pytest.mark.parametrize("noise_db", [-60, -80])
def test_a_label_where_nobody_plays_is_refused_whatever_the_gains(room, rng, noise_db):
    files = room(quiet=["viola"], extra=0)
    gains = 10 ** (np.array([-10, 10, 5]) / 20)
    for path in (files["take"], files["solo_take"]):
        x, _ = sf.read(path)
        x += 10 ** (noise_db / 20) * rng.standard_normal(x.shape)
        sf.write(path, x * gains / 10, RATE, "FLOAT")
    with pytest.raises(
        SessionError, match="the solo of 'viola' is silent, or no louder than what its mics hear anyway"
    ):
        Session.open(**files)
    assert mics_of(Session.open(**files, spots={"viola": 2})) == [(0,), (1,), (2,)]


def test_a_dead_mic_is_nobodys_spot(room, rng):
    files = room()
    for path in (files["take"], files["solo_take"]):
        x, _ = sf.read(path)
        x[:, 1] = 1e-3 * rng.standard_normal(len(x))
        sf.write(path, x, RATE, "FLOAT")
    with pytest.raises(SessionError):
        Session.open(**files)


# What a microphone may be called

MIC_NAMES = ("Vln1", "Vln2", "Cello close", "T1_Vc", "Main:1", "Main:2", "7-8", "Room A", "room b", "10", "Main X")


@pytest.mark.parametrize(
    ("said", "mics"),
    [
        ("Vln2", (1,)),
        (2, (1,)),
        ("#2", (1,)),
        ("1-3", (0, 1, 2)),
        ("#1 – #3", (0, 1, 2)),
        ("7-8", (6,)),  # a name goes before a span
        ("Main", (4, 5)),
        ("Main:2", (5,)),
        ("main", (4, 5)),
        ("Main*", (4, 5, 10)),
        ("main?1", (4,)),
        ("[RV]oom *", (7,)),
        ("room *", (8,)),
        ("ROOM *", (7, 8)),
        ("Vc", (3,)),
        ("close", (2,)),
        ("CLOSE", (2,)),
        ("_Vc", (3,)),
        ("x", (10,)),
        ("T03_01_Vln1.WAV", (0,)),
        (["Vc", 1, "1-2"], (3, 0, 1)),
        ([], ()),
    ],
)
def test_what_a_mic_may_be_called(said, mics):
    assert find_mics(said, MIC_NAMES, files={"T03_01_Vln1.WAV": (0,)}) == mics


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("c", "there is no mic 'c'"),  # an ending begins where a word does
        ("lose", "there is no mic 'lose'"),
        ("Vln3", r"there is no mic 'Vln3' \(did you mean 'Vln[12]'\?\); channels go from 1 to 11"),
        ("12", "there is no mic '12'"),
        ("#12", "there is no mic '#12'"),
        ("3-12", "there are no mics 3-12; channels go from 1 to 11"),
        ("3-1", "there are no mics 3-1"),
        ("0-2", "there are no mics 0-2"),
        ("", "there is no mic ''"),
        ("*z*", "there is no mic"),
        (-1, "there is no mic"),
    ],
)
def test_what_no_mic_is_called(said, message):
    with pytest.raises(SessionError, match=message):
        find_mics(said, MIC_NAMES)


def test_an_ending_that_several_mics_have_is_refused():
    with pytest.raises(SessionError, match="mic 'close' could be Cello close or Vln close; give more of the name"):
        find_mics("close", ("Vln close", "Cello close"))


# Stereo files


def test_a_range_of_mics_is_one_players(room):
    take = room(extra=1)["take"]
    session = Session.open(take, sources=["alto", "tenor"], spots={"alto": "1-2", "tenor": "3-4"})
    assert mics_of(session) == [(0, 1), (2, 3)]


@pytest.fixture
def stereo(room, tmp_path):
    """The take of `room` as files: a violin, a stereo piano, and a cello; and what a main pair hears."""
    files = room(names=("violin", "piano", "cello"))
    paths = {}
    for kind in ("take", "solo"):
        (tmp_path / kind).mkdir()
        x, _ = sf.read(tmp_path / f"{kind}.wav")
        piano = x[:, [1, 1]] * [1.0, 0.7] + 1e-4 * x[:, [0, 2]]
        for name, y in (("Vn", x[:, 0]), ("Piano", piano), ("Vc", x[:, 2]), ("Main", x[:, [0, 2]] + x[:, [1, 1]])):
            sf.write(tmp_path / kind / f"{name}.wav", y, RATE, "FLOAT")
        paths[kind] = [tmp_path / kind / f"{name}.wav" for name in ("Vn", "Piano", "Vc")]
    return {"take": paths["take"], "solos": files["solos"], "solo_take": paths["solo"]}


def test_a_stereo_file_is_one_sources_spot(stereo):
    session = Session.open(stereo["take"])
    assert session.sources == ("Vn", "Piano", "Vc")
    assert mics_of(session) == [(0,), (1, 2), (3,)]
    assert mics_of(Session.open(stereo["take"], sources=["a", "b", "c"])) == [(0,), (1, 2), (3,)]
    assert mics_of(Session.open(stereo["take"], sources=list("abcd"))) == [(0,), (1,), (2,), (3,)]
    told = Session.open(stereo["take"], spots={"keys": "Piano"})
    assert (told.sources, mics_of(told)) == (("Vn", "keys", "Vc"), [(0,), (1, 2), (3,)])
    # Where all files are stereo, they may hold what is no pair.
    both = [stereo["take"][1], stereo["take"][1].with_name("Main.wav")]
    assert Session.open(both, ambient=[]).sources == ("Piano.1", "Piano.2", "Main.1", "Main.2")


def test_solos_find_stereo_spots(stereo):
    session = Session.open(**stereo)
    assert (session.sources, mics_of(session)) == (("violin", "piano", "cello"), [(0,), (1, 2), (3,)])
    assert session.margins_db[1] > 5
    assert "mic 2 (Piano:1) and mic 3 (Piano:2), where its solo is" in session.describe_spot(1)
    # A channel that would be left goes with the other one.
    x = [sf.read(path)[0] for path in stereo["solo_take"]]
    farther_L = x[1][:, 1] + 0.3 * (x[0] + x[2])
    sf.write(stereo["solo_take"][1], np.stack([x[1][:, 0], farther_L], axis=1), RATE, "FLOAT")
    assert mics_of(Session.open(**stereo)) == [(0,), (1, 2), (3,)]
    told = Session.open(stereo["take"], sources=["a", "b", "c"], spots={"b": "Piano:2"})
    assert mics_of(told) == [(0,), (2, 1), (3,)]
    told = Session.open(stereo["take"], sources=list("abcd"), spots={"b": "Piano:2"})
    assert mics_of(told) == [(0,), (2,), (1,), (3,)]


def test_a_stereo_main_pair_is_nobodys_spot(stereo):
    files = {key: [*paths, paths[0].with_name("Main.wav")] for key, paths in stereo.items() if key != "solos"}
    session = Session.open(**files, solos=stereo["solos"])
    assert mics_of(session) == [(0,), (1, 2), (3,)]
    assert session.ambient == session.by_name == (4, 5)
    assert Session.open(**files, solos=stereo["solos"], ambient=["Main"]).by_name == ()
    recording, count, complete = Session.outline(files["take"])
    assert (recording.n_mics, count, complete) == (6, 3, False)
    assert Session.outline(**files, solos=stereo["solos"], ambient=["Main"])[1:] == (3, True)
    with pytest.raises(SessionError, match="nobody's spot: .*mark it with --ambient 5-6"):
        Session.open(**files, solos=stereo["solos"], ambient=[])


@pytest.mark.parametrize(
    ("mic", "source"), [("Aux", "Aux-"), ("con.1", "con-.1"), ("Vln. .", "Vln"), ("x" * 201, "x" * 200)]
)
def test_sources_called_as_their_mics_are_names_of_files_everywhere(tmp_path, mic, source):
    for name in (mic, "Va"):
        sf.write(tmp_path / f"{name}.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 800), RATE)
    assert Session.open([tmp_path / f"{mic}.wav", tmp_path / "Va.wav"]).sources == (source, "Va")


def test_the_main_pair_of_a_recorder_is_nobodys_spot(tmp_path):
    for name, channels in (("LR", 2), ("Tr1", 1), ("Tr2", 1)):
        sf.write(tmp_path / f"ZOOM0001_{name}.WAV", np.full((800, channels), 0.1), RATE, format="WAV")
    session = Session.open(tmp_path)
    assert (session.sources, session.ambient) == (("Tr1", "Tr2"), (0, 1))


def test_a_recording_that_was_split_is_refused_before_it_is_taken_for_mics(tmp_path):
    files = [
        write(tmp_path / f"{mic}{part}.WAV", music(length, 1), bext(start))
        for part, length, start in (("", 8000, 100), ("-01", 8000, 8100))
        for mic in ("Vln", "Vc")
    ]
    for take in (tmp_path, files, tmp_path / "*.WAV"):
        with pytest.raises(SessionError, match=r"V\w+\.WAV goes on in V\w+-01\.WAV, as .* by sox V\w+\.WAV V"):
            Session.open(take)
    assert Session.open(files[:2]).sources == ("Vln", "Vc")


def test_a_part_lies_within_the_take(room):
    session = Session.open(**room())
    assert session.part(0.5, 2.0).duration == 1.5
    for start, stop in ((-0.1, 1.0), (1.0, 2.1), (1.0, 1.0), (2.0, 3.0)):
        with pytest.raises(SessionError, match="is no part of the take, which lasts 2.0 s"):
            session.part(start, stop)


def test_further_mics_of_a_spot_that_is_given_are_nobody_elses(rng):
    """They would balance the solos of the others: the second one is heard alike by two microphones."""
    sound_LN, mixing_MN = rng.standard_normal((RATE, 2)), np.array([[1.0, 0.2], [0.3, 1.0], [0.2, 1.0]])
    solos = {name: [sound_LN[:, [n]] * mixing_MN[:, n]] for n, name in enumerate("ab")}
    known = {"sample_rate": RATE, "take": lambda: sound_LN @ mixing_MN.T}
    assert find_spots("ab", "123", solos=solos, given={"a": (0, 1)}, **known).spots == Spots(((0, 1), (2,)))


def test_names_of_files_that_two_of_them_have_mean_neither(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        sf.write(tmp_path / folder / "main.wav", np.full((80, 2), 0.1), RATE)
    seats = Seats.of(Recording.open([tmp_path / "a" / "main.wav", tmp_path / "b" / "main.wav"]))
    assert seats.mics("a main") == (0, 1)
    for name in ("main", "main.wav"):
        with pytest.raises(SessionError):
            seats.mics(name)
