"""What one recording teaches of a room, for other takes: learned, kept in a file, compared, and held."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import resample_poly

from mnmf import STFT, Levels, Prior, Room, Session, Take, audio, cli, data, learn, separate
from mnmf.errors import ArgumentError, SessionError
from mnmf.room import _turned, compare
from mnmf.spots import Spots
from mnmf.unfinished import UNFINISHED, Unfinished
from tests.test_audio import add_bext, bext_of
from tests.test_survey import heard, responses

RATE = 5513
NAMES = ("violin 1", "violin 2", "viola", "cello")
SIZES = {"components": 4, "iterations": 6}
WINDOW = 0.37
SECONDS = 20
METHODS = ("mnmf", "fastmnmf2")


@pytest.fixture(scope="module")
def dry():
    return resample_poly(data.quartet().stems_LN, 1, 8, axis=0)[: SECONDS * RATE]


def take_of(images_LMN, **changes):
    known = {"x_LM": images_LMN.sum(axis=2).astype(np.float32), "sources": NAMES} | changes
    return Take(sample_rate=RATE, **known)


@pytest.fixture(scope="module")
def images(dry):
    """Of the last 8 s, each source at each microphone."""
    return heard(responses(0), dry)[-8 * RATE :]


@pytest.fixture(scope="module")
def rooms(dry):
    """Learned from the first 12 s."""
    check = take_of(heard(responses(0), dry)[: 12 * RATE])
    return {method: learn(check, method=method, window=WINDOW, **SIZES) for method in METHODS}


@pytest.fixture(scope="module")
def known(rooms, images):
    """The take separated by what was learned before."""
    return {method: separate(take_of(images), method=method, room=rooms[method], **SIZES) for method in METHODS}


def error(stems_LN, images):
    truth_LN = np.stack([images[:, n, n] for n in range(images.shape[2])], axis=1)
    return np.sum((stems_LN - truth_LN) ** 2) / np.sum(truth_LN**2)


@pytest.mark.parametrize("method", METHODS)
def test_a_room_makes_another_take_better(known, images, method):
    alone = separate(take_of(images), method=method, window=WINDOW, **SIZES)
    assert not known[method].remarks
    assert error(known[method].stems_LN, images) < 0.7 * error(alone.stems_LN, images)


def test_gains_and_loudness_of_the_take_do_not_matter(rooms, known, images):
    """A gain is named, as it does matter where the room is not brought to it."""
    method, plain = "fastmnmf2", known["fastmnmf2"]
    gains_M = np.array([1.0, 4.0, 1.0, 1.0])
    turned = separate(take_of(images * gains_M[:, None]), method=method, room=rooms[method], **SIZES)
    assert [remark[:45] for remark in turned.remarks] == ["mic 2: since the room was learned its gain ch"]
    assert "+12" in turned.remarks[0] or "+11.9" in turned.remarks[0]
    assert error(turned.stems_LN / gains_M, images) < 1.1 * error(plain.stems_LN, images)


def moved(dry, part):
    """The cello has moved: `part` of how it reaches the microphones is another."""
    h_LMN = responses(0)
    h_LMN[:, :, 3] = part * responses(6)[:, :, 3] + (1 - part) * h_LMN[:, :, 3]
    return heard(h_LMN, dry)[-8 * RATE :]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("part", "said", "worth"), [(0.3, ("counts little", "learned further"), 0.7), (1.0, ("ignored", "not used"), 1.05)]
)
def test_who_has_moved_is_named_and_the_room_counts_less(rooms, dry, method, part, said, worth):
    images = moved(dry, part)
    known = separate(take_of(images), method=method, room=rooms[method], **SIZES)
    assert any(remark.startswith("cello") and remark.endswith(said) for remark in known.remarks)
    alone = separate(take_of(images), method=method, window=WINDOW, **SIZES)
    assert error(known.stems_LN, images) < worth * error(alone.stems_LN, images)


def test_a_long_take_learns_from_a_room_that_does_not_hold(rooms, dry):
    h_LMN = responses(0)
    h_LMN[:, :, 3] = responses(6)[:, :, 3]
    take = take_of(heard(h_LMN, dry)[-10 * RATE :])
    done = separate(take, room=rooms["mnmf"], segment=6.0, **SIZES)
    assert len(done.parts) == 2
    assert not np.array_equal(done.parts[1].model.R_, done.model.R_)  # each drawn to what all taught
    assert "learn" in done.seconds
    same = take_of(heard(responses(0), dry)[-10 * RATE :])
    assert "learn" not in separate(same, room=rooms["mnmf"], segment=6.0, **SIZES).seconds


@pytest.mark.parametrize(("method", "letter"), [("mnmf", "R"), ("fastmnmf2", "Q")])
def test_who_plays_is_found_by_the_spots(rooms, images, method, letter):
    """Neither names nor the order of the sources matter, nor whether all of them are asked for."""
    order, take = [2, 0, 3, 1], take_of(images[:RATE])
    other = take_of(images[:RATE], sources=("c", "a", "d", "b"), spots=Spots(order))
    levels = Levels.of(take, 20.0)
    plain, again = (np.asarray(getattr(rooms[method].prior(each, levels), letter)) for each in (take, other))
    np.testing.assert_allclose(again, plain[order] if letter == "R" else plain[:, order])
    some = replace(take, spots=Spots((3, 0)), sources=("d", "a"), solos=((), ()), instruments=("d", "a"))
    few = np.asarray(getattr(rooms[method].prior(some, levels), letter))
    np.testing.assert_allclose(few, plain[[3, 0]] if letter == "R" else plain[:, [3, 0, 1, 2]])


@pytest.mark.parametrize("method", METHODS)
def test_a_room_is_kept_in_a_file(rooms, method, tmp_path):
    room = replace(rooms[method], sha256={"check.wav": "ab" * 32})
    room.save(tmp_path / "room.npz")
    again = Room.load(tmp_path / "room.npz")
    for name in ("method", "sources", "spots", "mic_names", "sample_rate", "window_length", "hop", "sha256"):
        assert getattr(again, name) == getattr(room, name)
    letter = "R" if method == "mnmf" else "Q"
    np.testing.assert_array_equal(getattr(again, letter), getattr(room, letter))


def spoiled(**changes):
    def spoil(saved):
        return {name: value for name, value in (saved | changes).items() if value is not None}

    return spoil


def altered(change):
    return lambda saved: saved | {"R": change(saved["R"])}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoiled(R=None), "is no room of mnmf learn"),
        (spoiled(method=None), "is no room of mnmf learn"),
        (spoiled(Q=np.eye(4)[None]), "is no room of mnmf learn"),
        (spoiled(R=np.ones((4, 9, 4))), "damaged"),
        (altered(lambda R: R[:, 1:]), "damaged"),
        (altered(lambda R: R.astype(np.complex64)), "damaged"),
        (altered(lambda R: R * np.nan), "damaged"),
        (altered(lambda R: R * 1e300), "damaged"),
        (altered(lambda R: R * 0), "damaged"),
        (altered(lambda R: -R), "damaged"),
        (altered(np.triu), "damaged"),
        (altered(lambda R: R - 0.5 * np.eye(4) * np.trace(R, axis1=2, axis2=3)[..., None, None] / 4), "damaged"),
        (spoiled(method=np.array("kamir")), "damaged"),
        (spoiled(method=np.array("none")), "damaged"),
        (spoiled(hop=np.array(1)), "damaged"),
        (spoiled(sample_rate=np.array(0)), "damaged"),
        (spoiled(sample_rate=np.array(10**9)), "damaged"),
        (spoiled(window_length=np.array(10**9)), "damaged"),
        (spoiled(hop=np.array([1, 2])), "damaged"),
        (spoiled(spots=np.array([[0, 7]])), "damaged"),
        (spoiled(spots=np.array([[9, 0]])), "damaged"),
        (spoiled(spots=np.array([[-4, 0], [1, 1], [2, 2], [3, 3]])), "damaged"),
        (spoiled(spots=np.array([[0, 0], [1, 0], [2, 2], [3, 3]])), "damaged"),
        (spoiled(files=np.array(["a"])), "damaged"),
    ],
)
def test_damaged_rooms_are_refused(rooms, tmp_path, spoil, said):
    rooms["mnmf"].save(tmp_path / "room.npz")
    with np.load(tmp_path / "room.npz") as saved:
        np.savez(tmp_path / "spoiled.npz", **spoil(dict(saved)))
    with pytest.raises(ArgumentError, match=said):
        Room.load(tmp_path / "spoiled.npz")


def test_singular_demixing_is_refused(rooms, tmp_path):
    replace(rooms["fastmnmf2"], Q=np.ones_like(rooms["fastmnmf2"].Q)).save(tmp_path / "room.npz")
    with pytest.raises(ArgumentError, match="damaged"):
        Room.load(tmp_path / "room.npz")


def test_what_a_room_is_not_for(rooms, images):
    room, take = rooms["mnmf"], take_of(images[:RATE])
    five = np.concatenate([take.x_LM, take.x_LM[:, :1]], axis=1)
    swapped = replace(take, mic_names=("2", "1", "3", "4"))
    for known, given, kind, said in (
        (room, {"method": "fastmnmf2"}, ArgumentError, "was learned by mnmf, not by fastmnmf2"),
        (
            room,
            {"method": "kamir"},
            ArgumentError,
            "kamir cannot use what a room teaches; methods that can: mnmf,",
        ),
        (room, {"window": 0.5}, ArgumentError, "a room has its own window"),
        ("room.npz", {}, ArgumentError, "room must be what mnmf.learn returns"),
    ):
        with pytest.raises(kind, match=said):
            separate(take, room=known, **given)
    for other, said in (
        (replace(take, sample_rate=8000), "was learned at 5513 Hz, but the take has 8000 Hz"),
        (Take(five, RATE), "learned from 4 mics, but the take has 5"),
        (swapped, "stand in another order than those of the room: 1, 2, 3, 4"),
        (replace(take, spots=Spots((0, 0, 2, 3))), "two sources share a mic"),
    ):
        with pytest.raises(SessionError, match=said):
            separate(other, room=room)
    three = replace(room, sources=NAMES[:3], spots=Spots((0, 1, 2)), R=room.R[:3])
    with pytest.raises(SessionError, match="cello: nobody was heard at mic 4"):
        separate(take, room=three)


def test_what_cannot_be_learned_from(images):
    take = take_of(images[:RATE])
    with pytest.raises(ArgumentError, match="linear cannot use what a room teaches"):
        learn(take, method="linear")
    with pytest.raises(SessionError, match="two sources share a mic"):
        learn(replace(take, spots=Spots((0, 0, 2, 3))))


def test_a_short_take_is_not_compared():
    take = Take(np.random.default_rng(0).standard_normal((200, 2)), 8000)
    known = Prior(Q=np.tile(np.array([[1, 5], [5, 1.0]]), (129, 1, 1)), spots=(0, 1))
    fit = compare(known, take, Levels.of(take), STFT(256, 64))
    assert (fit.prior, fit.frames) == (known, None)
    assert "too short to tell" in fit.remarks[0]


@pytest.mark.parametrize("method", METHODS)
def test_gains_are_undone_in_takes_that_are_too_short_for_more(rooms, images, method):
    short = images[: round(1.5 * RATE)]
    gains_M = np.array([1.0, 4.0, 1.0, 1.0])
    plain = separate(take_of(short), method=method, room=rooms[method], **SIZES)
    turned = separate(take_of(short * gains_M[:, None]), method=method, room=rooms[method], **SIZES)
    assert "too short to tell" in plain.remarks[-1]
    assert re.match(r"mic 2: since the room was learned its gain changed by \+1[12]\.\d dB", turned.remarks[0])
    assert error(turned.stems_LN / gains_M, short) < 1.1 * error(plain.stems_LN, short)


def test_of_two_microphones_the_louder_one_was_turned_up():
    take = Take(np.zeros((8, 2)), 8000)
    assert [remark[:5] for remark in _turned(take, np.array([0.5, 2.0]))] == ["mic 2"]


@pytest.fixture(scope="module")
def files(dry, tmp_path_factory):
    """A sound check, and a concert of 8 s in 16 bits that knows when it was recorded."""
    folder = tmp_path_factory.mktemp("session")
    x_LM = heard(responses(0), dry).sum(axis=2)
    x_LM *= 0.5 / np.abs(x_LM).max()
    audio.write(folder / "check.wav", x_LM[: 12 * RATE], RATE)
    audio.write(folder / "concert.wav", x_LM[-8 * RATE :], RATE, "PCM_16")
    add_bext(folder / "concert.wav", bext_of(b"recorder"), at_end=False)
    return folder


TUNED = ["--components=2", "--iterations=2"]


def test_learn_and_separate_as_commands(files, tmp_path, capfd):
    model, out = str(tmp_path / "room.npz"), tmp_path / "out"
    check, concert = str(files / "check.wav"), str(files / "concert.wav")
    assert cli.run(["learn", check, "--out", model, "--method=fastmnmf2", "--window=0.37", *TUNED]) == 0
    assert "4 sources at 4 mics" in capfd.readouterr().out
    assert [file.split("/")[-1] for file in Room.load(model).sha256] == ["check.wav"]
    assert cli.run(["separate", concert, "--model", model, "--out", str(out), *TUNED]) == 0
    record = json.loads((out / "manifest.json").read_text())
    assert record["method"] == "fastmnmf2"
    assert any(name.endswith("room.npz") for name in record["sha256"])
    assert cli.run(["learn", check, "--out", model]) == 2
    assert "exists already" in capfd.readouterr().err
    assert cli.run(["learn", check, "--out", str(tmp_path / "room.wav")]) == 2
    assert "must end in .npz" in capfd.readouterr().err


def test_a_preview_is_a_part_of_the_take(files, tmp_path, capfd):
    concert, out = str(files / "concert.wav"), tmp_path / "out"
    command = ["separate", concert, "--out", str(out), "--preview", "0:02.5-0:05", "--window=0.37", *TUNED]
    assert cli.run([*command, "--residual"]) == 0
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    stem = audio.Recording.open(out / "1.wav")
    assert stem.n_samples == round(5 * RATE) - round(2.5 * RATE)
    chunk = (out / "1.wav").read_bytes()
    at = chunk.index(b"bext") + 8
    before = int.from_bytes(bext_of(b"recorder")[338:346], "little")
    assert int.from_bytes(chunk[at + 338 : at + 346], "little") == before + round(2.5 * RATE)
    assert cli.run(["check", str(out)]) == 0
    assert "sum to the take" in capfd.readouterr().out
    known = learn(Session.open(concert), window=WINDOW, components=2, iterations=2)
    stems_LN = separate(Session.open(concert).part(2.5, 5.0), room=known, components=2, iterations=2).stems_LN
    np.testing.assert_allclose(stem.read()[:, 0], stems_LN[:, 0], atol=2**-15)


@pytest.mark.parametrize(
    ("stretch", "said"),
    [
        ("1:20", "--preview wants FROM-TO"),
        ("20-10", "ends after it begins"),
        ("a-b", "--preview wants FROM-TO"),
        ("1:00-2:00", "is no part of the take, which lasts 8.0 s"),
    ],
)
def test_previews_that_are_refused(files, tmp_path, capfd, stretch, said):
    assert cli.run(["separate", str(files / "concert.wav"), "--out", str(tmp_path / "out"), "--preview", stretch]) == 2
    assert said in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_preview_leaves_an_unfinished_run_alone(files, tmp_path, capfd):
    out = tmp_path / "out"
    out.mkdir()
    with Unfinished(out) as kept:
        kept.begin({"seed": 0})
        kept["segment 1"] = np.zeros(3)
    command = ["separate", str(files / "concert.wav"), "--out", str(out), "--preview", "0-2", "--window=0.37", *TUNED]
    assert cli.run(command) == 0
    assert len(list(out.glob(f"{UNFINISHED}*"))) == 1
    with Unfinished(out, resume=True) as kept:
        kept.begin({"seed": 0})
        assert list(kept) == ["segment 1"]


def test_a_preview_of_a_take_in_which_somebody_never_plays(tmp_path, capfd):
    rate = 2000
    stems_LN = resample_poly(data.quartet().stems_LN, rate, 44100, axis=0) * [1, 1, 1, 0]
    x_LM = heard(responses(0), stems_LN).sum(axis=2)
    x_LM = 0.5 * x_LM / np.abs(x_LM).max() + 1e-5 * np.random.default_rng(0).standard_normal(x_LM.shape)
    audio.write(tmp_path / "take.wav", x_LM, rate)
    out = tmp_path / "out"
    command = ["separate", str(tmp_path / "take.wav"), "--out", str(out), "--preview=2-6", "--window=0.3", *TUNED]
    assert cli.run(command) == 0
    assert "4: never plays" in capfd.readouterr().err
    assert np.abs(sf.read(out / "4.wav")[0]).max() < 0.01 * np.abs(sf.read(out / "1.wav")[0]).max()


def test_rooms_of_microphones_that_are_copies_of_others(files, tmp_path):
    """Their covariances have eigenvalues of zero, and rounding must not make them negative."""
    x_LM, _ = sf.read(files / "concert.wav")
    take = Take(np.column_stack([x_LM, x_LM.sum(axis=1), x_LM[:, 0]]).astype(np.float32), RATE, spots=(0, 1, 2, 3))
    room = learn(take, window=WINDOW, components=2, iterations=2)
    room.save(tmp_path / "room.npz")
    part = take.part(2 * RATE, 5 * RATE)
    stems_LN = separate(part, room=Room.load(tmp_path / "room.npz"), components=2, iterations=2).stems_LN
    assert np.isfinite(stems_LN).all()


def test_a_preview_keeps_nothing_to_resume(files, tmp_path, capfd):
    command = ["separate", str(files / "concert.wav"), "--out", str(tmp_path / "out"), "--preview=1-2", "--resume"]
    assert cli.run(command) == 2
    assert "leave --preview out" in capfd.readouterr().err
