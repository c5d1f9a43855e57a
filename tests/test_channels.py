"""Sources with several spots: stems of as many channels, in files, manifests, sums, scores and projects."""

import json
import os
import struct
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from mnmf import Session, audio, cli, manifest, separate
from mnmf.align import Alignment
from mnmf.audio import Recording
from mnmf.check import check_stems
from mnmf.cli.plan import _further_spots
from mnmf.daw import read_project
from mnmf.errors import ArgumentError, SessionError
from mnmf.score import score_stems
from mnmf.separation import as_recorded, separate_to
from tests import containers as by_hand
from tests.containers import chunks_of, fmt, raw, scaled, sound
from tests.test_audio import refused
from tests.test_containers import AFTER, BEFORE, EVERY, KINDS
from tests.test_together import NOON, bext, music, spans, write, xml

RATE = 8000
QUICK = ["--method", "linear", "--window", "0.1"]


def stem_of(take, mics, folder, x_LM=None):
    """The bytes of the stem of some microphones as they are."""
    x_LM = take.read(dtype=np.float64) if x_LM is None else x_LM
    stem = folder / "stem"
    assert audio.write_stem(stem, x_LM[:, list(mics)], take, mics) == 0
    return stem.read_bytes()


# Files


@pytest.mark.parametrize(("kind", "depth"), EVERY)
def test_channels_that_are_not_changed_are_the_same_file(tmp_path, kind, depth):
    values, make, path = sound(depth, 25, 3), KINDS[kind][0], tmp_path / "take"
    path.write_bytes(make(depth, values, 48000, BEFORE, AFTER))
    assert stem_of(Recording.open(path), (0, 1, 2), tmp_path) == path.read_bytes()
    path.write_bytes(make(depth, values[:24], 48000, BEFORE, AFTER))  # a number that needs no padding
    some = make(depth, values[:24, [2, 0]], 48000, BEFORE, AFTER)
    assert stem_of(Recording.open(path), (2, 0), tmp_path) == some


def test_a_stem_of_mono_files_is_like_the_first(tmp_path):
    values = sound("PCM_24", 30, 2)
    chunks = [[bext(NOON), xml({"NAME": name}, reference=NOON)] for name in ("left", "right")]
    files = [write(tmp_path / f"{m}.wav", values[:, m : m + 1], *chunks[m]) for m in range(2)]
    take = Recording.open(files)
    assert stem_of(take, (1, 0), tmp_path) == by_hand.riff(
        raw(values[:, [1, 0]], "PCM_24"), fmt("PCM_24", 2, RATE), chunks[1]
    )


def test_flac_keeps_its_blocks(tmp_path):
    values = sound("PCM_24", 5000, 2)
    tags = struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    path = tmp_path / "take.flac"
    path.write_bytes(by_hand.flac(values, "PCM_24", RATE, [(4, tags)]))
    stem_of(take := Recording.open(path), (0, 1), tmp_path)
    np.testing.assert_array_equal(sf.read(tmp_path / "stem")[0], scaled(values, "PCM_24"))
    blocks = [by_hand.flac_blocks(each.read_bytes())[1] for each in (tmp_path / "stem", path)]
    assert blocks[0] == blocks[1] == [(4, tags)]
    assert take.is_whole_file((0, 1))


def test_who_speaks_where_stays_with_the_channels_of_the_file(tmp_path):
    values = sound("PCM_24", 20, 2)
    path = tmp_path / "take.wav"
    path.write_bytes(by_hand.riff(raw(values, "PCM_24"), fmt("PCM_24", 2, 48000, True, mask=3)))
    take = Recording.open(path)
    for mics, mask in (((0, 1), 3), ((1, 0), 0)):
        described = dict(chunks_of(stem_of(take, mics, tmp_path)))[b"fmt "]
        assert described == fmt("PCM_24", 2, 48000, True, mask=mask)


def test_the_format_is_one_that_holds_all(tmp_path):
    values = sound("PCM_16", 40, 1)
    write(tmp_path / "a.wav", values, subtype="PCM_16")
    write(tmp_path / "b.wav", fine := sound("PCM_24", 40, 1))
    take = Recording.open([tmp_path / "a.wav", tmp_path / "b.wav"])
    x_LM, stem, rest = take.read(dtype=np.float64), tmp_path / "stem.wav", tmp_path / "rest.wav"
    audio.write_stem(stem, 0.3 * x_LM, take, (0, 1), take_L=x_LM, residual=rest)
    assert sf.info(stem).subtype == sf.info(rest).subtype == "PCM_24"
    np.testing.assert_array_equal(sf.read(stem)[0] + sf.read(rest)[0], x_LM)
    np.testing.assert_array_equal(x_LM[:, 1], scaled(fine, "PCM_24")[:, 0])
    assert take.pattern((0, 1)) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (2, 1)])
def test_a_stem_of_files_that_begin_at_different_times_has_what_any_of_them_has(tmp_path, order):
    values = music(n_mics=3)
    ends = [(4000, 20_000), (800, 19_000), (5000, 20_000)]
    files = spans(tmp_path, ends, [NOON + start for start, _ in ends], values)
    take = Recording.open(files)
    x_LM, stem, rest = take.read(dtype=np.float64)[:, list(order)], tmp_path / "stem.wav", tmp_path / "rest.wav"
    audio.write_stem(stem, 0.5 * x_LM, take, order, take_L=x_LM, residual=rest)
    got, left = (Recording.open(path).read(dtype=np.float64) for path in (stem, rest))
    assert len(got) == 20_000 - 800
    assert dict(chunks_of(stem.read_bytes()))[b"bext"] == bext(NOON + 800)[1]
    for i, m in enumerate(order):
        start, stop = ends[m]
        whole_L = np.zeros(19_200)
        whole_L[start - 800 : stop - 800] = scaled(values[start:stop, m : m + 1], "PCM_24")[:, 0]
        np.testing.assert_array_equal(got[:, i] + left[:, i], whole_L)
        np.testing.assert_array_equal(got[:4200, i], whole_L[:4200])  # before the take
        np.testing.assert_allclose(got[4280:18_120, i], 0.5 * whole_L[4280:18_120], rtol=0, atol=2**-23)
        if m == 1:  # it ends with the take, and so without passing over
            np.testing.assert_allclose(got[18_120:18_200, i], 0.5 * whole_L[18_120:18_200], rtol=0, atol=2**-23)
        if m == 2:  # and this one begins with it
            np.testing.assert_allclose(got[4200:4280, i], 0.5 * whole_L[4200:4280], rtol=0, atol=2**-23)
    audio.write_stem(stem, x_LM[100:300], take.part(100, 300), order)
    np.testing.assert_array_equal(Recording.open(stem).read(dtype=np.float64), x_LM[100:300])
    assert dict(chunks_of(stem.read_bytes()))[b"bext"] == bext(NOON + 5100)[1]


def test_mics_that_are_none_are_refused(tmp_path):
    take = Recording.open(write(tmp_path / "take.wav", music(100, 2)))
    stem = tmp_path / "stem.wav"
    refused(ArgumentError, lambda: audio.write_stem(stem, np.zeros((100, 2)), take, (0, 0)), "each once")
    refused(ArgumentError, lambda: audio.write_stem(stem, np.zeros((100, 2)), take, (0, 2)), "between 0 and 1, got 2")
    refused(ArgumentError, lambda: audio.write_stem(stem, np.zeros((100, 0)), take, ()), "each once")
    refused(ArgumentError, lambda: audio.write_stem(stem, np.zeros(100), take, (0, 1)), "(samples, mics) = (100, 2)")


# The command


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A take of a violin, a stereo piano, and a cello with two microphones; each is alone for a while."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("take")
    own = rng.standard_normal((20_000, 3)) * (1 << 18)
    for m in range(3):
        own[2000 + 4000 * m : 6000 + 4000 * m, [n for n in range(3) if n != m]] = 0
    gains = [[1.0, 0.2, 0.1], [0.3, 1.0, 0.2], [0.2, 0.8, 0.3], [0.1, 0.2, 1.0], [0.2, 0.1, 0.9]]
    heard = np.rint(own @ np.transpose(gains)).astype(int)
    files = {"vn": [0], "piano": [1, 2], "vc1": [3], "vc2": [4]}
    for name, mics in files.items():
        write(folder / f"{name}.wav", heard[:, mics], bext(NOON), xml({"NAME": name}) if len(mics) == 1 else AFTER[1])
    labels = [f"{(1000 + 4000 * m) / RATE}\t{(5000 + 4000 * m) / RATE}\t{n}" for m, n in enumerate(("a", "b", "c"))]
    (folder / "labels.txt").write_text("\n".join(labels))
    spots = ["--spot=a=vn", "--spot=b=piano", "--spot=c=vc1", "--spot=c=vc2"]
    return [*(str(folder / f"{name}.wav") for name in files), "--solos", str(folder / "labels.txt"), *spots]


@pytest.fixture(scope="module")
def done(recorded, tmp_path_factory):
    """Its stems, with residuals and projects."""
    out = tmp_path_factory.mktemp("run") / "out"
    options = ["--residual", "--reaper", "--dawproject", "--reduction=c=20"]
    assert cli.run(["separate", *recorded, "--out", str(out), *QUICK, *options]) == 0
    return out


def opened(recorded):
    folder = os.path.dirname(recorded[0])
    spots = {"a": "vn", "b": "piano", "c": ["vc1", "vc2"]}
    return Session.open(recorded[:4], solos=f"{folder}/labels.txt", spots=spots)


def test_a_stem_has_a_channel_for_each_spot(recorded, done):
    separation = separate(opened(recorded), method="linear", window=0.1)
    for name, mics in (("a", [0]), ("b", [1, 2]), ("c", [3, 4])):
        stem = sf.read(done / f"{name}.wav", always_2d=True)[0]
        np.testing.assert_allclose(stem, separation.image(name, mics), atol=2**-23)
        assert sf.info(done / f"{name}.residual.wav").channels == len(mics)
    chunks = [chunks_of((path / name).read_bytes()) for path, name in ((done, "b.wav"), (done.parent, recorded[1]))]
    assert [each for each in chunks[0] if each[0] != b"data"] == [each for each in chunks[1] if each[0] != b"data"]
    record = json.loads((done / "manifest.json").read_text())
    assert [(each["mics"], each["channels"]) for each in record["sources"]] == [([1], 1), ([2, 3], 2), ([4, 5], 2)]


def test_check_knows_every_channel(recorded, done, tmp_path):
    found = check_stems(done)
    assert all(each.good for each in found)
    sums = [each.about for each in found if "sum to the take, sample for sample" in each.said]
    assert sums == ["a", "b at mic 2", "b at mic 3", "c at mic 4", "c at mic 5"]
    record = json.loads((done / "manifest.json").read_text())
    files = [path for path in done.iterdir() if path.suffix == ".wav"]
    record["take"] = recorded[:4]
    record["sha256"] = {}
    for path in files:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    wrong, _ = sf.read(tmp_path / "b.wav")
    wrong[123, 1] += 0.1
    sf.write(tmp_path / "b.wav", wrong, RATE, "PCM_24")
    assert [each.about for each in check_stems(tmp_path) if not each.good] == ["b.wav", "b at mic 3"]
    sf.write(tmp_path / "b.wav", wrong[:, 0], RATE, "PCM_24")
    bad = [each for each in check_stems(tmp_path) if not each.good]
    assert [each.about for each in bad] == ["b.wav", "b at mic 2", "b at mic 3"]
    assert "have other channels" in bad[1].said


def test_what_every_mic_heard_leaves_out_the_own_spots(recorded, tmp_path):
    out = tmp_path / "out"
    assert cli.run(["separate", *recorded, "--out", str(out), *QUICK, "--all-mics", "--residual"]) == 0
    assert {path.name for path in out.glob("b*")} == {"b.wav", "b.residual.wav", *(f"b.mic{m}.wav" for m in (1, 4, 5))}
    found = check_stems(out)
    assert [each for each in found if not each.good] == []
    assert sum("all sources and the rest sum" in each.said for each in found) == 5


def test_bleed_by_whose_it_is_only_and_a_stretch(recorded, done, tmp_path):
    take = ", ".join(f'"{path}"' for path in recorded[:4])
    spots = '[spots]\na = "vn"\nb = "piano"\nc = ["vc1", "vc2"]'
    (tmp_path / "session.toml").write_text(
        f'take = [{take}]\nsolos = "{recorded[5]}"\n{spots}\n[reduction.b]\na = 6\nc = 0'
    )
    out = tmp_path / "out"
    assert cli.run(["separate", str(tmp_path / "session.toml"), "--out", str(out), *QUICK, "--only=b"]) == 0
    separation = separate(opened(recorded), method="linear", window=0.1)
    parts = [separation.image(name, [1, 2]) for name in "abc"]
    wanted = parts[1] + 10 ** (-6 / 20) * parts[0] + parts[2]
    np.testing.assert_allclose(sf.read(out / "b.wav")[0], wanted, atol=2**-20)
    np.testing.assert_allclose(separation.reduced("b", {"a": 6.0, "c": 0.0}, 2), wanted[:, 1], atol=2**-20)
    mixed_L = parts[1][:, 1] + 10 ** (-6 / 20) * (separation.take.x_LM[:, 2] - parts[1][:, 1])
    np.testing.assert_allclose(separation.reduced("b", 6.0, 2), mixed_L, atol=1e-6)
    refused(ArgumentError, lambda: separation.reduced("b", 6.0, 3), "no spot of b")
    preview = ["--preview=0.5-1", "--method=fastmnmf2", "--iterations=1", "--components=2", "--only=b"]
    assert cli.run(["separate", *recorded, "--out", str(out), "--overwrite", *preview, "--residual"]) == 0
    assert sf.info(out / "b.wav").frames == RATE // 2
    assert dict(chunks_of((out / "b.wav").read_bytes()))[b"bext"] == bext(NOON + RATE // 2)[1]
    assert [each for each in check_stems(out) if not each.good] == []


def test_every_spot_of_an_aligned_take_lies_where_it_was(recorded):
    take = opened(recorded).take()
    alignment = Alignment((0, 0, 300, 0, 0), (0.0,) * 5, (1, 1, -1, 1, 1))
    aligned = replace(take, x_LM=alignment.applied(take.x_LM)[:])
    done = separate_to({}, aligned, bleed=[(1, 2), (0, 2)], method="linear", window=0.1)
    back, late_L = as_recorded(done, take, alignment), take.x_LM[:, 2]
    np.testing.assert_array_equal(back.heard(1, 2)[:300], late_L[:300])  # the others had not begun
    assert not back.heard(0, 2)[:300].any()
    np.testing.assert_allclose(back.heard(1, 2)[1000:], -done.heard(1, 2)[700:-300], atol=1e-6)
    np.testing.assert_array_equal(back.heard(1, 1)[:], done.heard(1, 1)[:])


def test_a_stopped_run_of_segments_goes_on(recorded, tmp_path, monkeypatch):
    out = [tmp_path / "whole", tmp_path / "stopped"]
    how = ["--method=fastmnmf2", "--iterations=1", "--components=2", "--window=0.1", "--segment=1", "--memory=2G"]
    assert cli.run(["separate", *recorded, "--out", str(out[0]), *how]) == 0

    def full(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write_stems", full)
        assert cli.run(["separate", *recorded, "--out", str(out[1]), *how]) != 0
    assert cli.run(["separate", *recorded, "--out", str(out[1]), *how, "--resume"]) == 0
    for name in "abc":
        assert (out[0] / f"{name}.wav").read_bytes() == (out[1] / f"{name}.wav").read_bytes()


def test_flac_has_room_for_eight_spots(tmp_path, capsys):
    for m in range(9):
        audio.write(tmp_path / f"m{m}.flac", music(400, 1, m)[:, 0] / 2**23, RATE)
    files = [str(tmp_path / f"m{m}.flac") for m in range(9)]
    spots = [f"--spot=all=m{m}" for m in range(9)]
    assert cli.run(["separate", *files, *spots, "--out", str(tmp_path / "out")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "all has 9 mics, and so its stem as many channels, but FLAC holds at most 8" in said


# Manifests and scores


def test_a_manifest_without_channels_is_of_the_first_spot(tmp_path):
    entry = {"name": "b", "file": "b.wav", "mics": [2, 3]}
    for more, channels in (({}, 1), ({"channels": 2}, 2)):
        (tmp_path / "manifest.json").write_text(json.dumps({"sources": [entry | more]}))
        (stem,) = manifest.read_stems(tmp_path)
        assert (stem.channels, stem.heard_at) == (channels, (2, 3)[:channels])
    for odd in (0, 3, True, "2", None, 1.0):
        (tmp_path / "manifest.json").write_text(json.dumps({"sources": [entry | {"channels": odd}]}))
        with pytest.raises(SessionError, match="the channels of 'b' are not from 1 to the number of its mics"):
            manifest.read_stems(tmp_path)


@pytest.fixture
def scored(tmp_path):
    """Stems of a source with two spots and one with one, the truth and the take."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4000, 3)) * 0.1
    noise = rng.standard_normal((4000, 3)) * 0.01 * [1.0, 10.0, 1.0]
    audio.write(tmp_path / "b.wav", (truth + noise)[:, :2], RATE)
    audio.write(tmp_path / "a.wav", (truth + noise)[:, 2], RATE)
    audio.write(tmp_path / "take.wav", truth[:, [1, 2, 0]] + 0.05, RATE)
    audio.write(tmp_path / "truth.wav", truth, RATE)
    audio.write(tmp_path / "first.wav", truth[:, [0, 2]], RATE)
    sources = [{"name": "b", "file": "b.wav", "mics": [3, 1], "channels": 2}]
    sources.append({"name": "a", "file": "a.wav", "mics": [2]})
    (tmp_path / "manifest.json").write_text(json.dumps({"sources": sources}))
    return tmp_path


def test_scores_are_of_every_spot_or_of_the_first(scored):
    first = score_stems(scored, [scored / "first.wav"], [scored / "take.wav"])
    every = score_stems(scored, [scored / "truth.wav"], [scored / "take.wav"])
    assert first["mistaken"] == every["mistaken"] == []
    assert first["sources"][1] == every["sources"][1]
    one, both = (result["sources"][0]["output"] for result in (first, every))
    assert one["snr"] == pytest.approx(20, abs=1)
    assert both["snr"] == pytest.approx(10, abs=1)  # of 20 and 0
    assert every["sources"][0]["input"]["snr"] == pytest.approx(20 * np.log10(0.1 / 0.05), abs=0.5)
    with pytest.raises(SessionError, match="has 1 channels, the stems need 2 or 3: one channel per source of the mani"):
        score_stems(scored, [scored / "a.wav"])
    sf.write(scored / "a.wav", np.zeros((4000, 2)), RATE)
    with pytest.raises(SessionError, match="the stems have 4 channels, 3 by the manifest"):
        score_stems(scored, [scored / "truth.wav"])


# Projects


def shown(project):
    """Name, file, channel, number of channels, gain and whether it is muted, of every track."""
    items = [(track.name, track.item) for track in project.tracks]
    return [(name, os.path.basename(i.file), i.channel, i.n_channels, round(i.gain, 3), i.muted) for name, i in items]


def test_a_stereo_stem_lies_under_its_stereo_original(done):
    assert shown(read_project(done)) == [
        ("a", "vn.wav", None, 1, 1.0, False),
        ("a stem", "a.wav", None, 1, 1.0, True),
        ("a residual", "a.residual.wav", None, 1, 1.0, True),
        ("b", "piano.wav", None, 2, 1.0, False),
        ("b stem", "b.wav", None, 2, 1.0, True),
        ("b residual", "b.residual.wav", None, 2, 1.0, True),
        ("c 1", "vc1.wav", None, 1, 1.0, False),
        ("c 1 stem", "c.wav", 0, 2, 1.0, True),
        ("c 1 residual", "c.residual.wav", 0, 2, 0.1, True),
        ("c 2", "vc2.wav", None, 1, 1.0, False),
        ("c 2 stem", "c.wav", 1, 2, 1.0, True),
        ("c 2 residual", "c.residual.wav", 1, 2, 0.1, True),
    ]
    assert shown(read_project(done, channels=False))[3:] == [
        ("piano", "piano.wav", None, 2, 1.0, False),
        ("b stem", "b.wav", None, 2, 1.0, True),
        ("b residual", "b.residual.wav", None, 2, 1.0, True),
        ("c 1", "vc1.wav", None, 1, 1.0, False),
        ("c 2", "vc2.wav", None, 1, 1.0, False),
        ("c stem", "c.wav", None, 2, 1.0, True),
        ("c residual", "c.residual.wav", None, 2, 0.1, True),
    ]
    modes = [line.split()[1] for line in (done / "stems.RPP").read_text().splitlines() if "CHANMODE" in line]
    assert modes == ["0"] * 7 + ["3", "3", "0", "4", "4"]


def test_the_dial_without_a_residual(done, tmp_path):
    record = json.loads((done / "manifest.json").read_text())
    for source in record["sources"]:
        source |= {"residual": None}
    record["take"] = [str((done / path).resolve()) for path in record["take"]]
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes((done / f"{name}.wav").read_bytes())
    project = read_project(tmp_path, {"b": 20.0, "c": 20.0})
    assert project.remarks == ()
    assert shown(project)[2:] == [
        ("b", "piano.wav", None, 2, 1.0, False),
        ("b stem", "b.wav", None, 2, 0.9, True),
        ("b spot", "piano.wav", None, 2, 0.1, True),
        ("c 1", "vc1.wav", None, 1, 1.0, False),
        ("c 1 stem", "c.wav", 0, 2, 0.9, True),
        ("c 1 spot", "vc1.wav", None, 1, 0.1, True),
        ("c 2", "vc2.wav", None, 1, 1.0, False),
        ("c 2 stem", "c.wav", 1, 2, 0.9, True),
        ("c 2 spot", "vc2.wav", None, 1, 0.1, True),
    ]
    project = read_project(tmp_path, {"b": 20.0, "c": 20.0}, channels=False)
    assert ("b spot", "piano.wav", None, 2, 0.1, True) in shown(project)
    assert [remark[:35] for remark in project.remarks] == ["c: its mics are not in one file, so"]
    sf.write(tmp_path / "b.wav", np.zeros(20_000), RATE)
    with pytest.raises(SessionError, match=r"b\.wav is not what its manifest is of"):
        read_project(tmp_path)


def test_a_plan_counts_the_further_spots(recorded, tmp_path):
    take = Recording.open(recorded[:4])
    assert _further_spots(take, 3, {"c": ["vc1", "vc2"]}) == 2
    assert _further_spots(take, 4, {}) == 1  # of the piano
    assert _further_spots(take, 5, {}) == 0
