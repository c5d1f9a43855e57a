"""What the benchmarks make of folders of one's own: the right ones are measured, the wrong ones are not passed over."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mnmf

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RATE = 100  # Hz, so that seconds are few samples
OF_PIECES = (
    "initialisations",
    "interference",
    "neural_prior",
    "pieces",
    "robustness",
    "rooms_and_layouts",
    "solo_priors",
)
OF_TAKES = ("neural_prior", "peers", "solo_priors")
STRINGS = ("1_violin", "2_violin", "3_viola", "4_cello")

pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason="the benchmarks are not part of this distribution")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def write(path, seconds, channels=1, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise_LM = np.random.default_rng(len(path.name)).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, noise_LM, rate, subtype="PCM_24")


def plant_piece(folder, players=STRINGS, seconds=40.0, rate=RATE):
    for player in players:
        write(folder / "stems" / f"{player}.wav", seconds, rate=rate)


def plant_take(folder, sources=4, rate=RATE):
    write(folder / "mix.flac", 12.0, sources, rate)
    write(folder / "reference.flac", 12.0, sources, rate)
    write(folder / "solo.flac", sources, sources, rate)
    labels = [f"{n}.0\t{n + 1}.0\tplayer{n + 1}\n" for n in range(sources)]
    (folder / "solo.txt").write_text("".join(labels))


def complaint(function, **options):
    with pytest.raises(SystemExit) as caught:
        function(**options)
    return str(caught.value)


def shown(cells):
    return {value for cell in cells for value in cell.values() if isinstance(value, str)}


@pytest.mark.parametrize("name", sorted({*OF_PIECES, *OF_TAKES}))
def test_folder_of_something_else_is_refused(load, tmp_path, name):
    (tmp_path / "IMG_1.jpg").touch()
    message = complaint(load(name).grid, quick=False, data=tmp_path)
    assert "expected" in message
    assert "found IMG_1.jpg" in message
    assert ("mix.flac" in message) == (name in OF_TAKES)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", sorted({*OF_PIECES, *OF_TAKES}))
def test_folder_of_pieces_only(load, tmp_path, name, quick):
    plant_piece(tmp_path / "mine")
    script = load(name)
    if name not in OF_PIECES:
        message = complaint(script.grid, quick=quick, data=tmp_path)
        assert "mix.flac" in message
        assert "found mine/" in message
        return
    cells = script.grid(quick=quick, data=tmp_path)
    if name in ("pieces", "rooms_and_layouts", "solo_priors"):  # whose cells name the piece
        assert any(word.startswith("mine") for word in shown(cells))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", sorted({*OF_PIECES, *OF_TAKES}))
def test_folder_of_takes_only(load, tmp_path, name, quick):
    plant_take(tmp_path / "mine")
    script = load(name)
    if name not in OF_TAKES:
        message = complaint(script.grid, quick=quick, data=tmp_path)
        assert "ready takes" in message
        assert "found mine/" in message
        return
    assert "mine" in shown(script.grid(quick=quick, data=tmp_path))


@pytest.mark.parametrize("name", ["initialisations", "interference", "rooms_and_layouts", "solo_priors"])
def test_pieces_with_too_few_players_are_refused(load, tmp_path, name):
    plant_piece(tmp_path / "duo", STRINGS[1:3])
    message = complaint(load(name).grid, quick=False, data=tmp_path)
    assert "has 4 players" in message or "3 different instruments" in message


@pytest.mark.parametrize(("name", "seconds"), [("interference", 4.0), ("robustness", 7.0)])
def test_pieces_shorter_than_the_excerpt_are_named(load, tmp_path, name, seconds):
    plant_piece(tmp_path / "long")
    plant_piece(tmp_path / "scrap", seconds=seconds)
    message = complaint(load(name).grid, quick=False, data=tmp_path)
    assert "1 of 2 pieces" in message
    assert f"scrap: {seconds} s" in message


def test_pieces_without_solos_and_at_other_rates_take_turns(load, tmp_path):
    plant_piece(tmp_path / "mine", rate=300)
    own, embedded = load("robustness").choices(tmp_path)
    assert (own.name, own.sample_rate, embedded.name) == ("mine", embedded.sample_rate, "quartet")
    assert own.stems_LN.shape == (12 * own.sample_rate, 4)
    assert own.solos_LN.shape == (20 * own.sample_rate, 4)


def test_ready_takes_keep_all_their_microphones(load, tmp_path, monkeypatch):
    plant_take(tmp_path / "quintet", sources=5)
    script = load("solo_priors")
    cells = [cell for cell in script.grid(quick=True, data=tmp_path) if cell["take"] == "quintet"]
    assert {cell["mics"] for cell in cells} == {5}
    heard = []

    def separate(take, **_):
        heard.append((len(take.mic_names), take.spots))
        raise InterruptedError

    monkeypatch.setattr(script, "separate", separate)
    with pytest.raises(InterruptedError):
        script.measure(cells[0], tmp_path, quick=True)
    assert heard == [(5, ((0,), (1,), (2,), (3,), (4,)))]
    cell = next(cell for cell in cells if (cell["method"], cell["told"]) == ("ntf-panning", "solo"))
    document = {"cells": [{"cell": cell, "result": {"mask": {"delta_sdr": [1.0, 2.0]}}}]}
    assert script.by_take(document, script.READY, script.N, ("ntf-panning", "solo")) == {"quintet": 1.5}


def test_takes_and_pieces_of_one_name_do_not_replace_each_other(load, tmp_path):
    for folder in ("monday/hall", "tuesday/hall"):
        plant_take(tmp_path / folder)
    found = [case.name for case in load("_cases").folder_cases(tmp_path)]
    assert found == ["monday/hall", "tuesday/hall"] == list(load("solo_priors").ready(tmp_path))
    assert set(found) < set(load("_cases").named_cases(tmp_path))
    plant_piece(tmp_path / "quartet")
    assert "rename" in complaint(load("solo_priors").grid, quick=False, data=tmp_path)
    plant_take(tmp_path / "quartet, hall")
    assert "rename" in complaint(load("peers").grid, quick=False, data=tmp_path)
    assert "rename" in complaint(load("_cases").named_cases, folder=tmp_path)


def test_iterations_alone_can_be_timed_in_a_clean_checkout(load, tmp_path, monkeypatch):
    speed = load("speed")
    for name in ("side_by_side", "log_det_side_by_side", "ntf_side_by_side", "growth"):
        monkeypatch.setattr(speed, name, lambda *_, **__: {})
    path = tmp_path / "speed.quick.json"
    monkeypatch.setattr(speed, "result_path", lambda *_: path)
    monkeypatch.setattr(sys, "argv", ["speed.py", "--quick", "--iterations"])
    speed.main()
    path.write_text(json.dumps({"methods": 1} | json.loads(path.read_text())))
    speed.main()  # the rest stays
    assert set(json.loads(path.read_text())) == {"methods", "iterations"}


@pytest.fixture
def case(tmp_path):
    plant_take(tmp_path / "cases/hall", sources=2)
    return tmp_path / "cases/hall"


def test_cases(load, case, tmp_path):
    for folder in (tmp_path, case.parent, case):
        (found,) = load("_cases").folder_cases(folder)
        assert (found.name, found.sample_rate, found.names, found.spots) == (
            "hall",
            RATE,
            ("player1", "player2"),
            (0, 1),
        )
        assert found.mixture_LM.shape == found.truth_LN.shape == (12 * RATE, 2)
        assert found.solos["solo"][1] == [(0.0, 1.0), (1.0, 2.0)]


@pytest.mark.parametrize("name", ["reference.flac", "solo.txt", "solo.flac"])
def test_incomplete_case_is_named(load, case, tmp_path, name):
    (case / name).unlink()
    message = complaint(load("_cases").folder_cases, folder=tmp_path)
    assert "hall lacks" in message
    assert name in message


@pytest.mark.parametrize("name", ["mix.flac", "solo.txt"])
def test_broken_case_is_named(load, case, tmp_path, name):
    (case / name).write_text("404: not found")
    message = complaint(lambda: list(load("_cases").folder_cases(tmp_path)))
    assert "hall" in message


def test_folder_without_cases(load, tmp_path):
    plant_piece(tmp_path / "q1")
    message = complaint(load("_cases").folder_cases, folder=tmp_path)
    assert "expected folders with mix.flac" in message
    assert "found q1/" in message
    assert "no such folder" in complaint(load("_cases").folder_cases, folder=tmp_path / "none")


def test_the_quartet_is_a_piece(load):
    piece, embedded = load("_datasets").quartet(), mnmf.data.quartet()
    assert piece.names == embedded.names
    np.testing.assert_array_equal(piece.stems_LN, embedded.stems_LN)
    np.testing.assert_array_equal(piece.solos_LN, embedded.solos_LN)


def test_takes_of_pieces_with_few_players(load, tmp_path):
    for name, players in (("01", STRINGS[:2]), ("12", STRINGS[:3]), ("44", (*STRINGS, "5_bass"))):
        plant_piece(tmp_path / name, players)
    found = load("_datasets").pieces(tmp_path)
    takes = load("pieces").takes(found, quick=False)
    assert [(take.room, take.n_players) for take in takes] == [
        *(("hall", 2), ("R6/L5", 2), ("hall", 3), ("R6/L5", 3), ("hall", 4), ("R6/L5", 4)),
        *(("R3/L4", 2), ("R3/L4", 3)),
    ]
    assert [take.n_players for take in load("pieces").takes(found[1:], quick=False)][-1] == 6


def test_ready_takes_are_pointed_out_where_pieces_are_wanted(load, tmp_path):
    plant_take(tmp_path / "mine")
    assert "benchmarks/methods.py" in complaint(load("_datasets").pieces, folder=tmp_path)
