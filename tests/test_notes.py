"""The note dictionary: learned from each layout of a library, seen through any window, found by any name."""

import csv
import io
import os
import subprocess
import sys
import zipfile
from importlib.resources import files

import numba
import numpy as np
import pytest
import soundfile as sf

from mnmf import STFT, FullRankMNMF, NoteDictionary, Prior, cli
from mnmf.cli.notes import notes_table
from mnmf.errors import ArgumentError, AudioFileError
from mnmf.notes._dictionary import FLOOR, Spectra
from mnmf.notes._instruments import parse_pitch, pitch_name
from mnmf.notes._library import sounding
from mnmf.priors._nmf import nmf
from tests.reference.nmf import update_h

RATE = 22050
CHROMATIC = (57, 58, 59)


def hertz(pitch):
    return 440.0 * 2 ** ((pitch - 69) / 12)


def tone(pitch, rate=RATE, seconds=1.0, slope=1.0, level=0.1):
    """Return a note whose partials fall as 1/k^slope, up to 8 kHz, and which dies away a little."""
    time_L = np.arange(round(seconds * rate)) / rate
    partials = [k for k in range(1, 40) if k * hertz(pitch) < min(8000.0, 0.45 * rate)]
    phases = np.random.default_rng(pitch).uniform(0, 2 * np.pi, len(partials))
    waves = [np.sin(2 * np.pi * k * hertz(pitch) * time_L + phase) / k**slope for k, phase in zip(partials, phases)]
    ramp_L = np.minimum(1.0, np.minimum(time_L, time_L[::-1]) / 0.02)
    return level * np.sum(waves, axis=0) * np.exp(-time_L) * ramp_L


def write(path, x, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, x, rate, "PCM_24")
    return path


def successive(pitches, rate=RATE, **how):
    silence = np.zeros(round(0.4 * rate))
    return np.concatenate([part for pitch in pitches for part in (silence, tone(pitch, rate, **how))] + [silence])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A violin and a clarinet, a file a note, each by one of the ways to say so."""
    folder = tmp_path_factory.mktemp("library")
    for pitch, name in zip(CHROMATIC, ("A3", "A#3", "B3")):
        write(folder / f"violin_{name}.wav", tone(pitch))
        write(folder / "Clarinet" / f"mf-{pitch:03}.flac", tone(pitch, slope=2.0))
    return folder


@pytest.fixture(scope="module")
def learned(library):
    return NoteDictionary.build(library)


def same(a, b, instrument, tolerance=1e-9):
    np.testing.assert_allclose(a.bases(instrument, 2048, RATE), b.bases(instrument, 2048, RATE), atol=tolerance)


# The recipe


@pytest.mark.slow
def test_a_note_is_what_one_component_makes_of_all_its_recordings(tmp_path):
    """Against plain loops, where the cells are the bins: β = 1.5, and so many iterations that more change nothing."""
    rate, length = 11025, 8192

    def low(harmonics, seconds):
        time_L = np.arange(round(seconds * rate)) / rate
        ramp_L = np.minimum(1.0, np.minimum(time_L, time_L[::-1]) / 0.02)
        return 0.1 * ramp_L * sum(np.sin(2 * np.pi * k * hertz(45) * time_L + k) for k in harmonics)

    # Recordings without a partial in common, and most of one kind: the few take several iterations to be heard.
    pieces = []
    for take, (harmonics, seconds) in enumerate((((1,), 2.0), ((1,), 2.0), ((2, 3, 4, 5), 0.3))):
        x_L = sf.read(write(tmp_path / f"violin_{take}_A2.wav", low(harmonics, seconds), rate))[0]
        piece_FT = np.abs(STFT(length, length // 4).analyse(x_L[:, None])[..., 0])
        pieces.append(piece_FT / np.sqrt(np.mean(piece_FT**2)))
    V_FT = np.concatenate(pieces, axis=1)[1:500]  # the first cell is half a bin
    W_FK, H_KT = np.ones((len(V_FT), 1)), np.ones((1, V_FT.shape[1]))
    for _ in range(50):
        H_KT = update_h(V_FT, W_FK, H_KT, 1.5)
        W_FK = update_h(V_FT.T, H_KT.T, W_FK.T, 1.5).T
    expected_F = 20 * np.log10(W_FK[:, 0] / W_FK.max())

    NoteDictionary.build(tmp_path).save(tmp_path / "a.npz")
    learned_F = (np.load(tmp_path / "a.npz")["levels_0"][0, 1:500] - 255.0) / 2
    heard_F = expected_F > -40
    assert np.sum(heard_F) > 40
    np.testing.assert_allclose(learned_F[heard_F], expected_F[heard_F], atol=0.3)  # rounded to half a decibel


# Windows and rates


@pytest.mark.parametrize(
    ("rate", "window"),
    [(44100, 1024), (44100, 2048), (44100, 4096), (44100, 16384), (48000, 4096), (16000, 1024), (96000, 8192)],
)
def test_as_if_learned_through_the_window(tmp_path, rate, window):
    pitches = (45, 60, 76)
    for pitch in pitches:
        write(tmp_path / f"violin_{pitch}.wav", tone(pitch, 44100), 44100)
    W_FK = NoteDictionary.build(tmp_path).bases("violin", window, rate)
    assert W_FK.shape == (window // 2 + 1, 3)
    np.testing.assert_allclose(W_FK.sum(axis=0), 1.0)
    for k, pitch in enumerate(pitches):
        V_FT = np.abs(STFT(window).analyse(tone(pitch, rate)[:, None])[..., 0])
        direct_F = nmf(V_FT, 1, beta=1.5, n_iterations=50, rng=np.random.default_rng(0))[0][:, 0]
        likeness = direct_F @ W_FK[:, k] / np.linalg.norm(direct_F) / np.linalg.norm(W_FK[:, k])
        assert likeness > 0.99
        assert np.argmax(W_FK[:, k]) == np.argmax(direct_F)


def test_a_longer_window_than_that_learned_through_is_interpolated(learned):
    W_FK = learned.bases("violin", 65536, RATE, exponent=2.0)
    bins = np.argmax(W_FK, axis=0) * RATE / 65536
    np.testing.assert_allclose(bins, [hertz(pitch) for pitch in CHROMATIC], atol=0.7)


def test_above_the_highest_frequency_there_is_next_to_nothing(learned):
    P_FK = learned.bases("violin", 4096, 96000, exponent=2.0)
    above = P_FK[round(1.1 * RATE / 2 / 96000 * 4096) :]
    assert np.all(above > 0)
    np.testing.assert_allclose(above, np.broadcast_to(FLOOR * P_FK.max(axis=0), above.shape))


def test_exponent_tuning_and_brightness(learned):
    W_FK = learned.bases("violin", 2048, RATE)
    P_FK = learned.bases("violin", 2048, RATE, exponent=2.0)
    np.testing.assert_allclose(P_FK, W_FK**2 / np.sum(W_FK**2, axis=0))

    sharp_FK = learned.bases("violin", 32768, RATE, tuning=452.0)
    bins = np.argmax(sharp_FK, axis=0) * RATE / 32768
    np.testing.assert_allclose(bins, [hertz(pitch) * 452 / 440 for pitch in CHROMATIC], atol=0.7)

    both_FK = learned.bases("violin", 2048, RATE, brightness=(-6.0, 0.0))
    assert both_FK.shape[1] == 6
    np.testing.assert_array_equal(both_FK[:, 3:], W_FK)
    one, two = (round(k * hertz(57) * 2048 / RATE) for k in (2, 4))
    darker = 20 * np.log10(both_FK[two, 0] / both_FK[one, 0] * both_FK[one, 3] / both_FK[two, 3])
    assert darker == pytest.approx(-6.0, abs=0.3)


# Layouts


def test_a_file_a_note_a_long_file_and_a_table_teach_the_same(library, learned, tmp_path):
    assert learned.instruments == ("clarinet", "violin")
    assert learned.pitches("violin") == learned.pitches("clarinet") == CHROMATIC
    assert learned.name == library.name

    # The faint ends of a note count as silence in a long file, so the results differ a little.
    write(tmp_path / "long" / "011VNNOF.wav", successive(CHROMATIC))
    long = NoteDictionary.build(tmp_path / "long", lowest=57)
    assert long.instruments == ("violin",)
    assert long.pitches("violin") == CHROMATIC
    same(long, learned, "violin", 2e-3)

    take = tmp_path / "take"
    write(take / "everything.wav", np.concatenate([tone(pitch) for pitch in CHROMATIC]))
    table = tmp_path / "index.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("File", "Instrument", "Pitch", "Start", "Stop"),
                *[("everything.wav", "Solo Violin", pitch, n, n + 1) for n, pitch in enumerate(("57", "Bb3", "b3"))],
            ]
        )
    tabled = NoteDictionary.build(take, index=table)
    assert tabled.instruments == ("violin",)
    same(tabled, learned, "violin", 1e-5)


@pytest.mark.parametrize(
    ("name", "instrument", "pitches"),
    [
        ("Violin/ff-C#4.flac", "violin", (61,)),
        ("Vlc_pp_Bb2.wav", "cello", (46,)),
        ("kazoo/069.wav", "kazoo", (69,)),
        ("Violin.arco.mf.sulG.G3.stereo.aiff", "violin", (55,)),
        ("my horn/note-2-f4.wav", "horn", (65,)),
        ("011PFNOF.WAV", "piano", (21, 22)),
        ("261ASNOM.wav", "alto saxophone", (49, 50)),
        ("491BSA1F.wav", "bass voice", None),
        ("Flute.mf.B3B4.wav", "flute", (59, 60)),
        ("strings/viola long.wav", "viola", (48, 49)),
    ],
)
def test_what_a_name_says(tmp_path, name, instrument, pitches):
    path = write(tmp_path / name, successive((60, 61)))
    if pitches is None:
        with pytest.raises(ArgumentError, match="say which is the first with --lowest") as refusal:
            NoteDictionary.build(tmp_path)
        assert str(path) in str(refusal.value)
        return
    dictionary = NoteDictionary.build(tmp_path)
    assert dictionary.instruments == (instrument,)
    assert dictionary.pitches(instrument) == pitches


def test_notes_of_a_long_file_are_separated_by_silence(tmp_path):
    path = write(tmp_path / "notes.wav", successive((60, 72, 80), seconds=0.5))
    spans = sounding(path)
    np.testing.assert_allclose(spans, [(0.4, 0.9), (1.3, 1.8), (2.2, 2.7)], atol=0.03)
    assert sounding(write(tmp_path / "silence.wav", np.zeros(RATE))) == []
    assert sounding(write(tmp_path / "short.wav", np.zeros(5))) == []


def test_recordings_of_a_note_count_alike_whatever_their_level(tmp_path):
    for folder, levels in (("loud", (0.1, 0.1)), ("faint", (0.1, 0.001))):
        write(tmp_path / folder / "violin_f_A3.wav", tone(57, slope=0.5, level=levels[0]))
        write(tmp_path / folder / "violin_p_A3.wav", tone(57, slope=2.0, level=levels[1]))
    loud, faint = (NoteDictionary.build(tmp_path / folder) for folder in ("loud", "faint"))
    same(loud, faint, "violin", 1e-3)
    bright = NoteDictionary.build(tmp_path / "loud", dynamics={"f"})
    dark = NoteDictionary.build(tmp_path / "loud", dynamics={"P"})
    eighth = round(8 * hertz(57) * 2048 / RATE)
    levels = [d.bases("violin", 2048, RATE)[eighth, 0] for d in (dark, loud, bright)]
    assert levels == sorted(levels)
    assert levels[0] < 0.7 * levels[2]


def test_styles_and_dynamics_of_rwc(tmp_path):
    write(tmp_path / "151VNNOF.wav", successive((55,)))
    write(tmp_path / "151VNPIF.wav", successive((55, 56)))
    assert NoteDictionary.build(tmp_path).pitches("violin") == (55, 56)
    assert NoteDictionary.build(tmp_path, styles={"no"}).pitches("violin") == (55,)
    with pytest.raises(ArgumentError, match="no notes of the dynamics and styles"):
        NoteDictionary.build(tmp_path, dynamics={"P"})


def test_refusals_name_the_file(tmp_path):
    def refused(error, words, **how):
        with pytest.raises(error) as refusal:
            NoteDictionary.build(tmp_path, **how)
        assert all(word in str(refusal.value) for word in words), refusal.value
        assert "\n" not in str(refusal.value)

    with pytest.raises(ArgumentError, match=r"nowhere: is no folder"):
        NoteDictionary.build(tmp_path / "nowhere")
    refused(ArgumentError, ["no audio files", str(tmp_path)])
    path = tmp_path / "violin_A3.wav"
    path.write_bytes(b"not audio")
    refused(AudioFileError, [str(path), "cannot be read as audio"])
    write(path, np.zeros(RATE))
    refused(ArgumentError, [str(path), "silent", "A3"])
    sf.write(path, np.full(RATE, np.nan), RATE, "FLOAT")
    refused(AudioFileError, [str(path), "NaN"])
    path.unlink()
    path = write(tmp_path / "kazoo.wav", successive((60,)))
    refused(ArgumentError, [str(path), "kazoo", "--lowest"])
    refused(ArgumentError, [str(path), "beyond MIDI"], lowest=128)
    for name, instrument in {
        "!!!": "has no letters",
        "a + b": "plus",
        "a\x1bb": "control",
        "a" * 101: "longer",
    }.items():
        refused(ArgumentError, [repr(name[:40]), instrument], instrument=name)
    refused(ArgumentError, ["name", "printable"], name="a\nb", instrument="kazoo", lowest=60)
    refused(ArgumentError, ["source", "printable"], source="a" * 1001, instrument="kazoo", lowest=60)
    table = tmp_path / "index.csv"
    refused(ArgumentError, [str(table), "cannot be read"], index=table)
    for text, words in {
        "": ["no rows"],
        "file,instrument\nkazoo.wav,kazoo": ["line 2", "no pitch"],
        "file,pitch\nkazoo.wav,60": ["line 2", "no instrument"],
        "file,instrument,pitch\nkazoo.wav,kazoo,H4": ["line 2", "'H4' is no pitch"],
        "file,instrument,pitch\nother.wav,kazoo,60": ["line 2", "other.wav"],
        "file,instrument,pitch,start,stop\nkazoo.wav,kazoo,60,1,0.5": ["line 2", "stop must come after"],
        "file,instrument,pitch,start,stop\nkazoo.wav,kazoo,60,0,inf": ["line 2", "finite"],
        "file,instrument,pitch,start,stop\nkazoo.wav,kazoo,60,nan,1": ["line 2", "finite"],
        "file,instrument,pitch\nkazoo.wav,!!!,60": ["line 2", "'!!!' has no letters"],
        "file,instrument,pitch\nkazoo.wav,a + b,60": ["line 2", "'a + b' joins two"],
        "file,instrument,pitch\nkazoo\0.wav,kazoo,60": ["binary"],
        "file,instrument,pitch,start\nkazoo.wav,kazoo,60,x": ["line 2", "numbers of seconds"],
    }.items():
        table.write_text(text)
        refused(ArgumentError, [str(table), *words], index=table)
    table.write_text("file,instrument,pitch,start\nkazoo.wav,kazoo,60,100")
    refused(ArgumentError, [str(path), "100 s"], index=table)
    refused(ArgumentError, ["--lowest", "--index"], index=table, lowest=60)
    table.write_text("file,instrument,pitch,start\nkazoo.wav,kazoo,60,1e308")
    refused(ArgumentError, [str(path), "1e+308 s"], index=table)
    table.write_text("file,instrument,pitch,stop\nkazoo.wav,kazoo,60,1e308")
    assert NoteDictionary.build(tmp_path, index=table).instruments == ("kazoo",)


@pytest.mark.parametrize("name", ["violin_Z4.wav", "violin_999.wav", "Violin/one.wav"])
def test_one_note_without_a_pitch_is_not_taken_for_the_lowest(tmp_path, name):
    path = write(tmp_path / name, tone(69))
    with pytest.raises(ArgumentError, match="only one note sounds in it; name it like violin_A4.wav") as refusal:
        NoteDictionary.build(tmp_path)
    assert str(path) in str(refusal.value)
    assert NoteDictionary.build(tmp_path, lowest=69).pitches("violin") == (69,)


def test_a_pitch_that_is_none_names_its_file(tmp_path):
    path = write(tmp_path / "violin_A9.wav", tone(69))
    with pytest.raises(ArgumentError) as refusal:
        NoteDictionary.build(tmp_path)
    assert str(path) in str(refusal.value)
    assert "'A9' is no pitch" in str(refusal.value)


def test_a_first_note_that_no_file_asks_for_is_refused(library):
    with pytest.raises(ArgumentError, match="--lowest says nothing"):
        NoteDictionary.build(library, lowest=57)


def test_pitches_in_words():
    assert [parse_pitch(word) for word in ("A4", "c-1", "Bb3", "F#5", "e♭2", "Cs4", "69", " G9 ")] == [
        69, 0, 58, 78, 39, 61, 69, 127
    ]  # fmt: skip
    assert [parse_pitch(pitch_name(pitch)) for pitch in range(12, 128)] == list(range(12, 128))
    for word in ("H4", "", "G#9", "128", "A", "A44", "-1"):
        with pytest.raises(ArgumentError, match="is no pitch"):
            parse_pitch(word)


# Saving and joining


def test_saved_and_loaded(learned, tmp_path):
    learned.save(tmp_path / "a.npz")
    loaded = NoteDictionary.load(tmp_path / "a.npz")
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (loaded.name, loaded.instruments) == (learned.name, learned.instruments)
    assert loaded.source("violin") == learned.source("violin")
    np.testing.assert_array_equal(loaded.bases("violin", 2048, RATE), learned.bases("violin", 2048, RATE))

    for content in (b"", b"not a zip", (tmp_path / "a.npz").read_bytes()[:300]):
        (tmp_path / "c.npz").write_bytes(content)
        with pytest.raises(ArgumentError, match=r"c\.npz: is no note dictionary"):
            NoteDictionary.load(tmp_path / "c.npz")
    np.savez(tmp_path / "c.npz", format="another")
    with pytest.raises(ArgumentError, match=r"c\.npz: is no note dictionary of this version"):
        NoteDictionary.load(tmp_path / "c.npz")
    arrays = dict(np.load(tmp_path / "a.npz")) | {"levels_0": np.zeros((2, 2), np.uint8)}
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(ArgumentError, match=r"c\.npz: is a damaged"):
        NoteDictionary.load(tmp_path / "c.npz")
    with pytest.raises(ArgumentError, match=r"missing\.npz: cannot be read"):
        NoteDictionary.load(tmp_path / "missing.npz")


def spoiled(path):
    """Return the bytes of `path` with damage of many kinds."""
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    changes = [(directory + 8, 1), (directory + 10, 99), (directory + 10, 12), (directory + 10, 14)]  # locked, packed
    places = np.random.default_rng(0).integers(0, len(whole), 60).tolist()
    changes += [(place, value) for place in (*range(0, 200, 7), *places) for value in (0, 255)]
    damaged = [whole[:place] + bytes([value]) + whole[place + 1 :] for place, value in changes]
    # A header is read as Python: one that has no end, one that is too deep, and one of more memory than there is.
    for header in (
        b"{'shape': (",
        b"(" * 9000,
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (9%b,)}" % (b"9" * 12),
    ):
        text = header.ljust(117) + b"\n"
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("format.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
        damaged.append(buffer.getvalue())
    return damaged


def test_damaged_files_give_one_line(learned, tmp_path):
    learned.save(tmp_path / "a.npz")
    X_FTM = np.random.default_rng(0).standard_normal((9, 8, 2)) + 1j
    FullRankMNMF(n_components=2, n_iterations=1).fit(X_FTM).save(tmp_path / "model.npz")
    out = tmp_path / "b.npz"
    for path, load in ((tmp_path / "a.npz", NoteDictionary.load), (tmp_path / "model.npz", FullRankMNMF.load)):
        refusals = []
        for content in spoiled(path):
            out.write_bytes(content)
            try:
                load(out)
            except ArgumentError as error:
                refusals.append(error)
        assert all(str(error).startswith(str(out)) and "\n" not in str(error) for error in refusals)
        causes = {type(error.__cause__).__name__ for error in refusals}
        assert causes >= {"error", "_Unfit", "RuntimeError", "BadZipFile"}
    for damage in ({"n_components": np.zeros(2)}, {"spots": np.array("a")}, {"spots_per_source": np.zeros(3)}):
        np.savez(out, **(dict(np.load(tmp_path / "model.npz")) | damage))
        with pytest.raises(ArgumentError, match=r"b\.npz holds a damaged FullRankMNMF"):
            FullRankMNMF.load(out)


@pytest.mark.parametrize(
    "damage",
    [
        {"pitches_0": np.zeros(0, np.uint8), "levels_0": np.zeros((0, 3488), np.uint8)},
        {"pitches_0": np.array([57, 58, 128], np.uint8)},
        {"pitches_0": np.array([-1, 58, 59])},
        {"pitches_0": np.array([57, 59, 58], np.uint8)},
        {"pitches_0": np.array([57.0, 58.0, 59.0])},
        {"instruments": np.array(["a\x1b[2J", "violin"])},
        {"instruments": np.array(["a" * 101, "violin"])},
        {"instruments": np.array(["!!!", "violin"])},
        {"instruments": np.array(["a + b", "violin"])},
        {"instruments": np.array(["violin", "violin"])},
        {"instruments": np.array(["violin"])},
        {"instruments": np.array([b"oboe", b"violin"])},
        {"instruments": np.array([], np.str_), "sources": np.array([], np.str_)},
        {"sources": np.array(["\x1b[2J", "me"])},
        {"name": np.array("a" * 1001)},
        {"name": np.array(["a", "b"])},
    ],
)
def test_files_of_what_a_dictionary_cannot_be_are_damaged(learned, tmp_path, damage):
    learned.save(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **(dict(np.load(tmp_path / "a.npz")) | damage))
    with pytest.raises(ArgumentError, match=r"b\.npz: is a damaged note dictionary"):
        NoteDictionary.load(tmp_path / "b.npz")


def test_a_name_that_cannot_be_loaded_is_not_saved(learned, tmp_path):
    named = learned | learned
    named.name = "a\nb"
    with pytest.raises(ArgumentError, match="name must have at most 1000 printable characters"):
        named.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_two_runs_and_any_number_of_threads_teach_the_same(library, learned, tmp_path):
    before = numba.get_num_threads()
    learned.save(tmp_path / "many.npz")
    numba.set_num_threads(1)
    try:
        NoteDictionary.build(library).save(tmp_path / "one.npz")
    finally:
        numba.set_num_threads(before)
    assert (tmp_path / "many.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()


def test_of_two_the_right_one_wins(learned, tmp_path):
    write(tmp_path / "own" / "violin_C4.wav", tone(60))
    own = NoteDictionary.build(tmp_path / "own", name="mine")
    joined = NoteDictionary.embedded() | own
    assert joined.instruments == NoteDictionary.embedded().instruments
    assert joined.pitches("violin") == (60,)
    assert joined.pitches("viola") == NoteDictionary.embedded().pitches("viola")
    assert (joined.source("violin"), joined.source("viola")) == ("mine", "FluidR3_GM")
    assert (own | learned).pitches("violin") == CHROMATIC
    assert own.pitches("violin") == (60,)
    with pytest.raises(TypeError):
        own | {}


# Names


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("violin", "violin"),
        ("Violin 1", "violin"),
        ("vln_II", "violin"),
        ("2nd Violins", "violin"),
        ("Celli", "cello"),
        ("Bb clarinet", "clarinet"),
        ("clari", "clarinet"),
        ("double-bass", "double bass"),
        ("Contrabass", "double bass"),
        ("FRENCH HORNS", "horn"),
        ("AltoSax2", "alto saxophone"),
        ("altosax", "alto saxophone"),
        ("sax", "alto saxophone + tenor saxophone"),
        ("Saxophones", "alto saxophone + tenor saxophone"),
        ("alto saxophone + tenor saxophone", "alto saxophone + tenor saxophone"),
        ("Soprano", "choir"),
        ("voices", "choir"),
        ("Flöte", "flute"),
    ],
)
def test_what_people_call_an_instrument(word, found):
    assert NoteDictionary.embedded().find(word) == found


@pytest.mark.parametrize(
    ("word", "listed"),
    [
        ("kazoo", "say with --instruments what is played: one of violin, viola, cello"),
        ("English horn", "one of violin"),
        ("bass clarinet", "did you mean clarinet"),
        ("alto", "alto saxophone or choir"),
        ("violin and viola", "viola or violin"),
        ("", "one of violin"),
        ("12", "one of violin"),
    ],
)
def test_unknown_and_ambiguous_names_list_what_there_is(word, listed):
    with pytest.raises(ArgumentError, match=listed) as refusal:
        NoteDictionary.embedded().find(word)
    assert repr(word) in str(refusal.value)


def test_names_of_ones_own(tmp_path):
    write(tmp_path / "My Kazoo 2" / "A3.wav", tone(57))
    dictionary = NoteDictionary.build(tmp_path)
    assert dictionary.instruments == ("my kazoo",)
    assert dictionary.find("MY-KAZOO") == "my kazoo"
    with pytest.raises(ArgumentError, match="one of my kazoo"):
        dictionary.find("violin")


def test_names_that_differ_in_numbers_only(tmp_path):
    write(tmp_path / "a.wav", tone(57))
    table = tmp_path / "t.csv"
    table.write_text("file,instrument,pitch\na.wav,Kazoo 1,57\na.wav,Kazoo 2,58\n")
    dictionary = NoteDictionary.build(tmp_path, index=table)
    assert dictionary.pitches("kazoo 1") == (57,)
    assert dictionary.pitches("KAZOO 2") == (58,)
    with pytest.raises(ArgumentError, match="could be kazoo 1 or kazoo 2"):
        dictionary.find("kazoo")


def test_a_folder_with_a_name_that_cannot_be_shown(tmp_path):
    write(tmp_path / "a\x1bb" / "violin_A3.wav", tone(57))
    dictionary = NoteDictionary.build(tmp_path / "a\x1bb")
    assert dictionary.name == dictionary.source("violin") == "a?b"


# Priors


def test_instruments_with_fewer_notes_are_padded_with_silence(learned, tmp_path):
    write(tmp_path / "horn_C4.wav", tone(60))
    both = learned | NoteDictionary.build(tmp_path)
    prior = both.prior(["Horn", "Violin 1", "violin 2"], 1024, RATE, [2, 0, (1, 3)], first_bin=3)
    assert prior.spots == ((2,), (0,), (1, 3))
    assert prior.held == frozenset()
    assert prior.W.shape == (3, 510, 6)
    assert prior.W.dtype == np.float64
    assert np.all(prior.W[0, :, 2:] == 0)
    np.testing.assert_array_equal(prior.W[1], prior.W[2])
    np.testing.assert_array_equal(prior.W[1], both.bases("violin", 1024, RATE, brightness=(-6, 0))[3:])
    plain = both.prior(["horn", "violin"], 1024, RATE, [0, 1], brightness=(0,))
    assert plain.W.shape == (2, 513, 3)


def test_refusals_of_numbers(learned):
    for words, how in {
        "window_length": {"window_length": 1},
        "sample_rate": {"sample_rate": 0},
        "exponent": {"exponent": 0},
        "tuning": {"tuning": 100},
        "brightness is empty": {"brightness": ()},
        "brightness must be": {"brightness": (99,)},
    }.items():
        with pytest.raises(ArgumentError, match=words):
            learned.bases("violin", **({"window_length": 64, "sample_rate": RATE} | how))
    with pytest.raises(ArgumentError, match="first_bin must be below"):
        learned.prior(["violin"], 64, RATE, [0], first_bin=33)
    with pytest.raises(ArgumentError, match="the same sources"):
        learned.prior(["violin"], 64, RATE, [0, 1])
    with pytest.raises(ArgumentError, match="the same sources"):
        learned.prior("violin", 64, RATE, [0, 1, 2, 3, 4, 5])


def test_a_model_takes_players_apart_by_their_notes(learned):
    """Two players of different pitch on one microphone each, R known: bases of notes must do the rest."""
    stft = STFT(2048)
    sources_LN = np.stack([tone(57, seconds=1.5), tone(59, seconds=1.5, slope=2.0)], axis=1)
    mixing_MN = np.array([[1.0, 0.7], [0.7, 1.0]])
    X_FTM = stft.analyse(sources_LN @ mixing_MN.T)
    R_NFMM = np.einsum("mn,rn->nmr", mixing_MN, mixing_MN)[:, None].repeat(1025, axis=1)
    prior = (learned.prior(["violin", "clarinet"], 2048, RATE, [0, 1]) | Prior(R=R_NFMM)).hold("W", "R")
    for x_FTM, silent in ((X_FTM, False), (0 * X_FTM, True)):
        model = FullRankMNMF(n_iterations=50).fit(x_FTM, prior)
        assert np.all(np.diff(model.cost_) <= 1e-9 * abs(model.cost_[0]))
        y_LN = stft.synthesise(model.separate(x_FTM), len(sources_LN))
        if silent:
            assert not y_LN.any()
        else:
            for n in range(2):
                error = np.sum((y_LN[:, n] - sources_LN[:, n]) ** 2) / np.sum(sources_LN[:, n] ** 2)
                assert 10 * np.log10(error) < -9  # -3 at the microphone


# The embedded dictionary


def test_embedded_orchestra():
    orchestra = NoteDictionary.embedded()
    assert orchestra.name == "orchestra"
    assert NoteDictionary.embedded() is orchestra
    assert {"violin", "viola", "cello", "double bass", "flute", "oboe", "clarinet", "bassoon", "horn"} < set(
        orchestra.instruments
    )
    for own in orchestra.instruments:
        pitches = np.array(orchestra.pitches(own))
        assert np.all(np.diff(pitches) >= 1)
        assert np.sum(np.diff(pitches) > 1) <= 1
        if own == "timpani":
            continue
        # The strongest bin is a partial of the note.
        W_FK = orchestra.bases(own, 32768, 44100)
        f_K = np.argmax(W_FK, axis=0) * 44100 / 32768
        ratio_K = f_K / hertz(pitches)
        partial_K = np.maximum(np.round(ratio_K), 1)
        assert np.all(np.abs(1200 * np.log2(ratio_K / partial_K)) < 60), own
        assert partial_K.max() <= 20


def test_embedded_files_are_small_and_say_what_they_are():
    folder = files("mnmf.data") / "notes"
    contents = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
    assert sorted(contents) == ["README.md", "orchestra.npz"]
    assert sum(map(len, contents.values())) <= 4_000_000
    readme = contents["README.md"].decode()
    for words in ("FluidR3", "MIT", "render_note_library.py", "Frank Wen", "Permission is hereby granted"):
        assert words in readme


def test_the_dictionary_is_imported_when_it_is_used():
    code = (
        "import sys, mnmf, mnmf.priors; print('mnmf.notes' in sys.modules); "
        "print(mnmf.NoteDictionary is mnmf.notes.NoteDictionary); "
        "print(mnmf.notes._dictionary._embedded.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "0"]


def test_looking_at_the_dictionary_compiles_nothing():
    code = (
        "import sys; from mnmf import NoteDictionary; NoteDictionary.embedded().bases('violin', 2048, 44100); "
        "from numba.core.dispatcher import Dispatcher; import gc; "
        "print(sum(len(d.overloads) for d in gc.get_objects() if isinstance(d, Dispatcher)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


# Commands


def test_build_list_and_show(library, tmp_path, capsys):
    out = tmp_path / "deep" / "mine.npz"
    assert cli.run(["notes", "build", str(library), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "clarinet" in said.out
    assert "A3  – B3" in said.out
    assert said.err == ""
    assert [path.name for path in out.parent.iterdir()] == ["mine.npz"]
    bytes_before = out.read_bytes()
    assert cli.run(["notes", "build", str(library), "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert cli.run(["notes", "build", str(library), "--out", str(out), "--instrument", "Kazoo", "--overwrite"]) == 0
    assert out.read_bytes() != bytes_before
    assert NoteDictionary.load(out).instruments == ("kazoo",)
    capsys.readouterr()
    assert cli.run(["notes", "list", str(out)]) == 0
    assert "kazoo" in capsys.readouterr().out
    assert cli.run(["notes", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(own in listed for own in NoteDictionary.embedded().instruments)
    pytest.importorskip("matplotlib")
    picture = tmp_path / "kazoo.png"
    assert cli.run(["notes", "show", "kazoo", "--dictionary", str(out), "--out", str(picture)]) == 0
    image = picture.read_bytes()
    assert image.startswith(b"\x89PNG")
    assert cli.run(["notes", "show", "kazoo", "--dictionary", str(out), "--out", str(picture)]) == 2
    assert cli.run(["notes", "show", "kazoo", "--dictionary", str(out), "--out", str(picture), "--overwrite"]) == 0
    assert picture.read_bytes() == image


def test_build_options_reach_the_library(tmp_path, capsys):
    write(tmp_path / "a" / "thing_ff.wav", successive((60, 61)))
    write(tmp_path / "a" / "thing_pp.wav", successive((60, 61, 62)))
    build = ["notes", "build", str(tmp_path / "a"), "--out", str(tmp_path / "a.npz"), "--overwrite"]
    assert cli.run([*build, "--lowest", "C4", "--dynamics", "FF"]) == 0
    assert NoteDictionary.load(tmp_path / "a.npz").pitches("thing") == (60, 61)
    table = tmp_path / "t.csv"
    table.write_text("file,instrument,pitch,style\nthing_ff.wav,horn,C5,NO\nthing_ff.wav,horn,D5,PI\n")
    assert cli.run([*build, "--index", str(table), "--style", "no"]) == 0
    assert NoteDictionary.load(tmp_path / "a.npz").pitches("horn") == (72,)
    capsys.readouterr()


def test_no_recording_of_the_library_is_replaced(tmp_path, capsys):
    folder = tmp_path / "lib"
    recording = write(folder / "violin_A4.wav", tone(69))
    elsewhere = write(tmp_path / "other.wav", tone(70))
    table = tmp_path / "t.csv"
    table.write_text("file,instrument,pitch\n../other.wav,violin,70\n")
    os.link(recording, folder / "recording.npz")
    os.link(elsewhere, folder / "elsewhere.npz")
    os.link(table, folder / "table.npz")
    before = {path: path.read_bytes() for path in (recording, elsewhere, table)}
    for name, words, more in (
        ("violin_A4.wav", "must end in .npz", []),
        ("new", "must end in .npz", []),
        ("recording.npz", "is the input", []),
        ("elsewhere.npz", "is the input", ["--index", str(table)]),
        ("table.npz", "is the input", ["--index", str(table)]),
    ):
        assert cli.run(["notes", "build", str(folder), "--out", str(folder / name), "--overwrite", *more]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert {path: path.read_bytes() for path in before} == before
    # An earlier dictionary may lie among them.
    for _ in range(2):
        assert cli.run(["notes", "build", str(folder), "--out", str(folder / "mine.npz"), "--overwrite"]) == 0


def test_dictionaries_by_name_and_by_file(learned, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learned.save(tmp_path / "mine.npz")
    learned.save(tmp_path / "a=b.npz")
    listed = {}
    for words in ("", "orchestra", "mine.npz", "own=mine.npz", "a=b.npz"):
        assert cli.run(["notes", "list", *words.split()]) == 0
        listed[words] = capsys.readouterr().out
    assert "timpani" in listed["orchestra"]
    assert listed["orchestra"] == listed[""]
    assert "clarinet" in listed["mine.npz"]
    assert "timpani" not in listed["mine.npz"]
    assert listed["own=mine.npz"] == listed["a=b.npz"] == listed["mine.npz"]
    for words in ("jazz", "own=none.npz", "own=", "=mine.npz"):
        assert cli.run(["notes", "list", words]) == 2
        assert "cannot be read" in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    pictures = []
    for words in ("orchestra", "mine.npz", "own=mine.npz"):
        assert cli.run(["notes", "show", "violin", "--dictionary", words, "--out", "x.png", "--overwrite"]) == 0
        pictures.append((tmp_path / "x.png").read_bytes())
    assert pictures[0] != pictures[1] == pictures[2]


def test_a_list_sends_nothing_to_the_terminal_but_text(capsys):
    notes = {"a\x1b[2Jb": Spectra((57,), np.zeros((1, 3488), np.uint8), "c\x07d")}
    dictionary = NoteDictionary("x", notes)
    table = notes_table(dictionary)
    assert [str(cell) for column in (0, 3) for cell in table.columns[column].cells] == ["a\\x1b[2Jb", "c\\x07d"]


def test_names_are_drawn_as_they_are(tmp_path):
    pytest.importorskip("matplotlib")
    from mnmf.notes._drawing import draw

    write(tmp_path / "A3.wav", tone(57))
    draw(NoteDictionary.build(tmp_path, instrument="$x^$", source="$y_$"), "$x^$", tmp_path / "x.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "{}/none", "--out", "{}/x.npz"], "is no folder"),
        (["build", "{}", "--out", "{}/x.npz"], "no audio files"),
        (["build", "{}", "--out", "{}/x.npz", "--lowest", "H3"], "is no pitch"),
        (["build", "{}", "--out", ""], "names no file"),
        (["build", "{}", "--out", "{}/t.csv", "--index", "{}/t.csv", "--overwrite"], "must end in .npz"),
        (["build", "{}", "--out", "{}/x.npz", "--index", "{}/t.csv"], "has no rows"),
        (["build", "{}", "--out", "{}/x.npz", "--index", "{}/none.csv"], "none.csv: cannot be read"),
        (["list", "{}/t.csv"], "is no note dictionary"),
        (["show", "kazoo", "--out", "{}/x.png"], "no notes of 'kazoo'"),
        (["show", "violin", "--out", "{}/x.jpeg"], "x.jpeg' must end in .png or .pdf or .svg"),
    ],
)
def test_refused_commands_leave_nothing(tmp_path, capsys, arguments, words):
    (tmp_path / "t.csv").write_text("file,instrument,pitch\n")
    assert cli.run(["notes", *[argument.format(tmp_path) for argument in arguments]]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "file,instrument,pitch\n"


def test_without_matplotlib_one_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.run(["notes", "show", "violin", "--out", str(tmp_path / "x.png")]) == 2
    assert "pip install 'mnmf[plot]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
