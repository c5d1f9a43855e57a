"""Multitrack datasets in the folders that users have, as tiny trees of the same shape."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mnmf
from mnmf import datasets
from mnmf.datasets._pieces import numbered
from mnmf.datasets._readers import BACH10, URMP
from mnmf.errors import ArgumentError, AudioFileError, SessionError

RATE = 100  # Hz, so that seconds are few samples
SAMPLES = 600


@pytest.fixture
def plant(tmp_path, rng):
    """Return a function that writes noise to a file below the folder of the test, and returns it."""

    def write(name, samples=SAMPLES, channels=1, rate=RATE):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = rng.uniform(-0.5, 0.5, (samples, channels))
        soundfile.write(path, audio, rate, subtype="PCM_24")
        return soundfile.read(path, always_2d=True)[0]

    return write


def plant_urmp(plant, folder="Dataset/01_Jupiter_vn_vc"):
    title = "_".join(folder.split("/")[-1].split("_")[:2])
    plant(f"{folder}/AuMix_{title}.wav")
    codes = folder.split("_")[2:]
    return np.hstack([plant(f"{folder}/AuSep_{k}_{code}_{title}.wav") for k, code in enumerate(codes, 1)])


def plant_bach10(plant, title="01-AchGottundHerr"):
    plant(f"Bach10_v1.1/{title}/{title}.wav")
    kinds = ("violin", "clarinet", "saxphone", "bassoon")
    return np.hstack([plant(f"Bach10_v1.1/{title}/{title}-{kind}.wav") for kind in kinds])


def plant_ensembleset(plant, song="MiseroPargoletto"):
    for mic in ("Amb", "Mix_1"):
        for name in ("Violin_1", "Violin_2", "Bass", "mix"):
            plant(f"BBCSO_Ensembles/{song}/{mic}/{name}.flac", channels=2)
    close = [
        plant(f"BBCSO_Ensembles/{song}/Close/{name}.flac", channels=2) for name in ("Bass", "Violin_1", "Violin_2")
    ]
    return np.stack([x_LM.mean(axis=1) for x_LM in close], axis=1)


def plant_musdb(plant, track="train/A Classic Education - NightOwl"):
    names = ("bass", "drums", "other", "vocals")
    stems = {name: plant(f"{track}/{name}.wav", channels=2) for name in (*names, "mixture")}
    return np.stack([stems[name].mean(axis=1) for name in names], axis=1)


def plant_own(plant, piece="q1"):
    players = ("1_violin", "2_violin", "3_viola")
    stems = np.hstack([plant(f"{piece}/stems/{player}.flac") for player in players])
    return stems, np.hstack([plant(f"{piece}/solos/{player}.flac", 400) for player in players])


def complaint(function, *arguments, error=SessionError):
    with pytest.raises(error) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_urmp(plant, tmp_path):
    stems_LN = plant_urmp(plant)
    plant_urmp(plant, "Dataset/42_Arioso_vn_vn_va_vc_db")
    (tmp_path / "Supplementary_Files").mkdir()
    duet, quintet = datasets.pieces(tmp_path)
    assert (duet.name, duet.dataset, duet.sample_rate) == ("01_Jupiter_vn_vc", "URMP", RATE)
    assert duet.names == ("violin", "cello")
    assert quintet.names == ("violin1", "violin2", "viola", "cello", "double bass")
    np.testing.assert_array_equal(duet.stems_LN, stems_LN)
    assert duet.solos_LN is None


def test_every_code_of_urmp_is_an_instrument_of_the_dictionary():
    notes = mnmf.NoteDictionary.embedded()
    codes = ["vn", "va", "vc", "db", "fl", "ob", "cl", "sax", "bn", "tpt", "hn", "tbn", "tba"]
    assert list(URMP) == codes
    for word in (*URMP.values(), *BACH10.values()):
        found = [notes.find(name) for name in numbered([word, word])]
        assert found == [notes.find(word)] * 2
        assert word in found[0]


def test_bach10(plant, tmp_path):
    stems_LN = plant_bach10(plant)
    (piece,) = datasets.pieces(tmp_path)
    assert (piece.name, piece.dataset) == ("01-AchGottundHerr", "Bach10")
    assert piece.names == ("violin", "clarinet", "saxophone", "bassoon")
    np.testing.assert_array_equal(piece.stems_LN, stems_LN)


def test_ensembleset_is_read_from_its_close_mics(plant, tmp_path):
    stems_LN = plant_ensembleset(plant)
    (piece,) = datasets.pieces(tmp_path / "BBCSO_Ensembles")
    assert (piece.name, piece.dataset) == ("MiseroPargoletto", "EnsembleSet")
    assert piece.names == ("double bass", "violin1", "violin2")
    np.testing.assert_array_equal(piece.stems_LN, stems_LN)


def test_ensembleset_with_one_mic_and_without_mixtures_among_the_players(plant, tmp_path):
    for name in ("Cello", "Violin_1", "mix_anitrasdance"):
        plant(f"EnsembleSet/anitrasdance/Mix_1/{name}.flac", channels=2)
    (piece,) = datasets.pieces(tmp_path)
    assert piece.names == ("cello", "violin")


def test_musdb_is_mixed_down(plant, tmp_path):
    stems_LN = plant_musdb(plant)
    plant_musdb(plant, "test/Al James - Schoolboy Facination")
    pieces = datasets.pieces(tmp_path)
    assert [piece.name for piece in pieces] == ["Al James - Schoolboy Facination", "A Classic Education - NightOwl"]
    assert {piece.dataset for piece in pieces} == {"MUSDB18-HQ"}
    assert pieces[1].names == ("bass", "drums", "other", "vocals")
    np.testing.assert_array_equal(pieces[1].stems_LN, stems_LN)


def test_own_pieces(plant, tmp_path):
    stems_LN, solos_LN = plant_own(plant)
    (tmp_path / "q1" / "meta.json").write_text('{"parts": [{"stem": "stems/1_violin.flac"}]}')
    for folder in (tmp_path / "q1", tmp_path, str(tmp_path)):
        (piece,) = datasets.pieces(folder)
        assert (piece.name, piece.dataset) == ("q1", "own")
        assert piece.names == ("violin1", "violin2", "viola")
        np.testing.assert_array_equal(piece.stems_LN, stems_LN)
        np.testing.assert_array_equal(piece.solos_LN, solos_LN)


def test_folder_of_several_datasets(plant, tmp_path):
    plant_urmp(plant, "URMP/01_Jupiter_vn_vc")
    plant_bach10(plant)
    plant_ensembleset(plant)
    plant_musdb(plant)
    plant_own(plant)
    assert sorted(piece.dataset for piece in datasets.pieces(tmp_path)) == sorted(datasets.DATASETS)
    assert sorted(datasets.recognise(tmp_path).values()) == sorted(datasets.DATASETS)


@pytest.mark.parametrize("dataset", datasets.DATASETS)
def test_recognised_by_the_file_of_the_table(tmp_path, dataset):
    path = tmp_path / datasets.DATASETS[dataset]
    path.parent.mkdir(parents=True)
    for name in (path, path.with_name("mixture.wav")):  # a single file of MUSDB18's names could be anything
        name.touch()
    assert list(datasets.recognise(tmp_path).values()) == [dataset]
    assert complaint(datasets.recognise, tmp_path / "none") == f"{tmp_path / 'none'}: no such folder; check the path"


def test_pieces_with_fewer_players_are_left_out(plant, tmp_path):
    plant_urmp(plant)
    plant_own(plant)
    assert [piece.name for piece in datasets.pieces(tmp_path, players=3)] == ["q1"]
    assert len(datasets.pieces(tmp_path, players=2)) == 2
    message = complaint(lambda: datasets.pieces(tmp_path, players=4))
    assert "none of 2 pieces has 4 players; the most are 3" in message


def test_hidden_files_are_no_stems(plant, tmp_path):
    plant_own(plant)
    (tmp_path / "q1" / "stems" / "._1_violin.flac").write_bytes(b"from a Mac")
    assert len(datasets.pieces(tmp_path)[0].names) == 3


def test_pieces_of_one_name_are_told_apart(plant, tmp_path):
    plant_musdb(plant, "train/song")
    plant_musdb(plant, "test/song")
    assert [piece.name for piece in datasets.pieces(tmp_path)] == ["test/song", "train/song"]


@pytest.mark.parametrize(("seconds", "offset", "first"), [(2.0, 1.5, 150), (2.0, 5.0, 400), (9.0, 1.0, 0)])
def test_excerpt(plant, tmp_path, seconds, offset, first):
    stems_LN, solos_LN = plant_own(plant)
    (piece,) = datasets.pieces(tmp_path, seconds=seconds, offset=offset, solo_seconds=1.5)
    np.testing.assert_array_equal(piece.stems_LN, stems_LN[first:][: round(seconds * RATE)])
    np.testing.assert_array_equal(piece.solos_LN, solos_LN[:150])


def test_excerpt_where_all_play_and_not_where_most_are_loudest(plant, tmp_path):
    plant_own(plant)
    falling_L = np.repeat([0.5, 0.25, 0.0], SAMPLES // 3)
    for path, audio in zip(sorted((tmp_path / "q1/stems").iterdir()), (falling_L, falling_L, falling_L[::-1])):
        soundfile.write(path, audio, RATE, subtype="PCM_24")
    (piece,) = datasets.pieces(tmp_path, seconds=2.0, offset=None)
    np.testing.assert_array_equal(piece.stems_LN, np.full((200, 3), 0.25))


def test_excerpt_of_silence(tmp_path):
    (tmp_path / "q/stems").mkdir(parents=True)
    for name in ("1_violin", "2_viola"):
        soundfile.write(tmp_path / f"q/stems/{name}.wav", np.zeros(SAMPLES), RATE)
    (piece,) = datasets.pieces(tmp_path, seconds=2.0, offset=None, borrow_solos=True)
    assert piece.stems_LN.shape == (200, 2)
    assert not piece.solos_LN.any()


def test_borrowed_solos_are_the_loudest_of_what_is_not_in_the_excerpt(plant, tmp_path):
    stems_LN = plant_bach10(plant)
    for k, path in enumerate(sorted(tmp_path.glob("*/*/*-*-*.wav"))):
        audio, _ = soundfile.read(path)
        audio[350 + 50 * k : 450 + 50 * k] *= 1.9
        soundfile.write(path, audio, RATE, subtype="PCM_24")
    options = {"seconds": 3.0, "offset": 0.0, "solo_seconds": 1.0}
    (piece,) = datasets.pieces(tmp_path, **options, borrow_solos=True)
    order = [k for _, k in sorted(zip(("violin", "clarinet", "saxphone", "bassoon"), range(4)))]
    for place, k in enumerate(order):
        np.testing.assert_allclose(piece.solos_LN[:, k], 1.9 * stems_LN[350 + 50 * place :, k][:100], atol=1e-6)
    assert datasets.pieces(tmp_path, **options)[0].solos_LN is None


def test_too_short_to_borrow_solos_from(plant, tmp_path):
    plant_bach10(plant)
    (piece,) = datasets.pieces(tmp_path, seconds=5.5, borrow_solos=True)
    message = complaint(lambda: piece.stems_LN)
    assert "01-AchGottundHerr" in message
    assert "shorter" in message


def test_own_solos_are_not_replaced(plant, tmp_path):
    _, solos_LN = plant_own(plant)
    (piece,) = datasets.pieces(tmp_path, borrow_solos=True)
    np.testing.assert_array_equal(piece.solos_LN, solos_LN)


def test_shortest_stem_ends_the_piece(plant, tmp_path):
    plant_urmp(plant)
    cello_LM = plant("Dataset/01_Jupiter_vn_vc/AuSep_2_vc_01_Jupiter.wav", 555)
    (piece,) = datasets.pieces(tmp_path)
    assert piece.stems_LN.shape == (555, 2)
    np.testing.assert_array_equal(piece.stems_LN[:, 1:], cello_LM)


def test_audio_is_read_when_asked_for_and_cannot_be_changed(plant, tmp_path, monkeypatch):
    plant_own(plant)
    with monkeypatch.context() as patch:
        patch.setattr(soundfile, "read", None)
        patch.setattr(soundfile, "blocks", None)
        pieces = datasets.pieces(tmp_path, offset=None)
    with pytest.raises(ValueError, match="read-only"):
        pieces[0].stems_LN[:] = 0


def test_wrong_folder_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holidays").mkdir()
    (tmp_path / "notes.txt").touch()
    message = complaint(datasets.pieces, tmp_path)
    for words in (str(tmp_path), *datasets.DATASETS, "AuSep_", "-violin.wav", "Close/", "vocals.wav", "stems/"):
        assert words in message
    assert "found holidays/; notes.txt" in message


def test_empty_folder(tmp_path):
    assert "found nothing" in complaint(datasets.pieces, tmp_path)


def test_long_lists_are_cut(tmp_path):
    for k in range(12):
        (tmp_path / f"{k}.txt").touch()
    assert "found 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 7 more" in complaint(datasets.pieces, tmp_path)


def test_no_folder(tmp_path):
    assert "no such folder" in complaint(datasets.pieces, tmp_path / "none")
    (tmp_path / "urmp.zip").touch()
    assert "unpack it" in complaint(datasets.pieces, tmp_path / "urmp.zip")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("URMP.zip", "unpack"), ("train/a.stem.mp4", "only the HQ version")],
)
def test_hints(tmp_path, name, hint):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert hint in complaint(datasets.pieces, tmp_path)


STEMS = {  # of each dataset: the tree, a piece in it, a file of that piece
    "URMP": (plant_urmp, "Dataset/01_Jupiter_vn_vc", "AuSep_2_vc_01_Jupiter.wav"),
    "Bach10": (plant_bach10, "Bach10_v1.1/01-AchGottundHerr", "01-AchGottundHerr-saxphone.wav"),
    "EnsembleSet": (plant_ensembleset, "BBCSO_Ensembles/MiseroPargoletto", "Close/Violin_2.flac"),
    "MUSDB18-HQ": (plant_musdb, "train/A Classic Education - NightOwl", "vocals.wav"),
    "own": (plant_own, "q1", "solos/3_viola.flac"),
}


@pytest.mark.parametrize("dataset", STEMS)
def test_missing_stem_is_named(plant, tmp_path, dataset):
    build, piece, name = STEMS[dataset]
    build(plant)
    (tmp_path / piece / name).unlink()
    message = complaint(datasets.pieces, tmp_path)
    assert "1 of 1" in message
    assert f"{dataset} piece {Path(piece).name}: lacks {name}" in message


@pytest.mark.parametrize("dataset", STEMS)
@pytest.mark.parametrize("broken", ["text", "empty", "rate"])
def test_broken_stem_is_named(plant, tmp_path, dataset, broken):
    build, piece, name = STEMS[dataset]
    build(plant)
    if broken == "text":
        (tmp_path / piece / name).write_text("404: not found")
    elif broken == "empty":
        soundfile.write(tmp_path / piece / name, np.zeros(0), RATE, format="WAV")  # libsndfile looks into the file
    else:
        plant(f"{piece}/{name}", rate=2 * RATE)
    message = complaint(datasets.pieces, tmp_path)
    assert f"{dataset} piece {Path(piece).name}: " in message
    assert ("100 Hz, 200 Hz" if broken == "rate" else Path(name).name) in message


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("01_Jupiter_vn_vc/AuMix_01_Jupiter.wav", "AuSep_1_vn_01_Jupiter.wav, AuSep_2_vc_01_Jupiter.wav"),
        ("01-AchGottundHerr/01-AchGottundHerr.wav", "01-AchGottundHerr-violin.wav"),
        ("q1/stems/notes.txt", "stems/*.flac"),
    ],
)
def test_piece_without_any_stem(plant, tmp_path, name, lacking):
    if name.endswith(".wav"):
        plant(name)
    else:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert lacking in complaint(datasets.pieces, tmp_path)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (json.dumps({"parts": [{"stem": "stems/4_cello.flac"}]}), "lacks stems/4_cello.flac"),
        ("{", "meta.json cannot be read"),
        ("[]", "meta.json cannot be read"),
    ],
)
def test_meta_that_does_not_fit(plant, tmp_path, meta, words):
    plant_own(plant)
    (tmp_path / "q1" / "meta.json").write_text(meta)
    assert words in complaint(datasets.pieces, tmp_path)


def test_all_incomplete_pieces_are_counted(plant, tmp_path):
    for k in range(1, 9):
        plant_urmp(plant, f"{k:02}_Piece_vn_vc")
    for k in range(2, 9):
        (tmp_path / f"{k:02}_Piece_vn_vc" / f"AuSep_1_vn_{k:02}_Piece.wav").unlink()
    message = complaint(datasets.pieces, tmp_path)
    assert "7 of 8 pieces" in message
    assert "02_Piece_vn_vc" in message
    assert "and 2 more" in message
    assert "01_Piece_vn_vc" not in message


def test_stem_that_breaks_off_is_named_when_it_is_read(plant, tmp_path):
    plant_own(plant)
    path = tmp_path / "q1/stems/2_violin.flac"
    path.write_bytes(path.read_bytes()[:-600])
    (piece,) = datasets.pieces(tmp_path)
    message = complaint(lambda: piece.stems_LN, error=AudioFileError)
    assert "q1" in message
    assert "2_violin.flac" in message


def test_stem_that_is_not_finite_is_named_when_it_is_read(plant, tmp_path):
    plant_musdb(plant)
    soundfile.write(next(tmp_path.glob("*/*/vocals.wav")), np.full(SAMPLES, np.nan), RATE, subtype="FLOAT")
    (piece,) = datasets.pieces(tmp_path)
    assert "NightOwl: vocals.wav is damaged" in complaint(lambda: piece.stems_LN, error=AudioFileError)


@pytest.mark.parametrize("options", [{"players": 0}, {"seconds": 0.0}, {"offset": -1.0}, {"solo_seconds": np.nan}])
def test_bad_options(plant, tmp_path, options):
    plant_own(plant)
    with pytest.raises(ArgumentError, match=next(iter(options))):
        datasets.pieces(tmp_path, **options)
