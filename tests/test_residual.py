"""Bleed turned down instead of removed, what is left of each spot, and `mnmf check`, which proves that they sum."""

import json
import os

import numpy as np
import pytest
import soundfile as sf

from mnmf import Take, audio, cli, separate
from mnmf.check import check_stems
from mnmf.errors import ArgumentError, SessionError
from tests.test_cli import NAMES, ensemble, write_session

RATE = 8000
QUICK = ["--components", "3", "--iterations", "2", "--method", "fastmnmf2"]
BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def whole(path, bits):
    """Return the samples of a file as the integers that it holds."""
    with sf.SoundFile(path) as file:
        return np.round(file.read(dtype="float64") * 2.0 ** (bits - 1)).astype(np.int64)


def extremes(dtype=np.float64):
    """Return a take at full scale and a stem that is as wrong as can be, both with a bit of everything."""
    rng = np.random.default_rng(0)
    take_L = np.concatenate([np.repeat([1.0, -1.0, 0.0], 3), rng.uniform(-1, 1, 3000)])
    stem_L = np.concatenate([np.tile([1.0, -1.0, 0.0], 3), rng.uniform(-2, 2, 3000)])
    return take_L.astype(dtype), stem_L.astype(dtype)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_U8"), ("wav", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_24"), ("wav", "PCM_32")],
)
def test_stem_and_residual_sum_to_integers_of_any_size(tmp_path, suffix, subtype):
    take_L, stem_L = extremes()
    audio.write(tmp_path / f"take.{suffix}", take_L, RATE, subtype) if subtype != "PCM_U8" else sf.write(
        tmp_path / "take.wav", take_L, RATE, subtype
    )
    take = audio.Recording.open(tmp_path / f"take.{suffix}")
    heard_L = take.read(dtype=take.exact_dtype)[:, 0]
    names = [tmp_path / f"{name}.{suffix}" for name in ("stem", "rest")]
    clipped = audio.write_stem(names[0], stem_L, take, 0, take_L=heard_L, residual=names[1])
    stem, rest, original = (whole(path, BITS[subtype]) for path in (*names, tmp_path / f"take.{suffix}"))
    np.testing.assert_array_equal(stem + rest, original)
    wanted = np.rint(stem_L * 2.0 ** (BITS[subtype] - 1)).astype(np.int64)
    assert clipped == np.count_nonzero(stem != wanted) > 100
    inside = np.abs(wanted) + np.abs(original) < 2 ** (BITS[subtype] - 1)
    np.testing.assert_array_equal(stem[inside], wanted[inside])


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_stem_and_residual_sum_to_floats(tmp_path, subtype):
    dtype = np.float32 if subtype == "FLOAT" else np.float64
    take_L, stem_L = extremes(dtype)
    sf.write(tmp_path / "take.wav", take_L, RATE, subtype)
    take = audio.Recording.open(tmp_path / "take.wav")
    names = [tmp_path / "stem.wav", tmp_path / "rest.wav"]
    assert audio.write_stem(names[0], stem_L, take, 0, take_L=take_L, residual=names[1]) == 0
    stem, rest = (sf.read(path, dtype=dtype)[0] for path in names)
    np.testing.assert_array_equal(stem, stem_L)
    ulp_L = np.spacing(np.abs([stem, rest, take_L]).max(axis=0))
    assert np.all(np.abs(stem.astype(np.float64) + rest - take_L) <= ulp_L)


def test_the_stem_is_the_same_with_and_without_residual(tmp_path):
    take_L, stem_L = extremes(np.float32)
    audio.write(tmp_path / "take.wav", take_L, RATE, "PCM_24")
    take = audio.Recording.open(tmp_path / "take.wav")
    heard_L = take.read()[:, 0]
    audio.write_stem(tmp_path / "a.wav", stem_L, take, 0, take_L=heard_L)
    audio.write_stem(tmp_path / "b.wav", stem_L, take, 0, take_L=heard_L, residual=tmp_path / "rest.wav")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_residuals_that_are_refused(tmp_path):
    audio.write(tmp_path / "take.wav", np.zeros(100), RATE)
    take = audio.Recording.open(tmp_path / "take.wav")
    with pytest.raises(ArgumentError, match="needs take_L"):
        audio.write_stem(tmp_path / "a.wav", np.zeros(100), take, 0, residual=tmp_path / "b.wav")
    with pytest.raises(ArgumentError, match="take_L must have shape"):
        audio.write_stem(tmp_path / "a.wav", np.zeros(100), take, 0, take_L=np.zeros(99))
    with pytest.raises(ArgumentError, match="NaN"):
        audio.write_stem(tmp_path / "a.wav", np.full(100, np.nan), take, 0, take_L=np.zeros(100))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take.wav"]


@pytest.fixture(scope="module")
def done():
    take, solos, truth = ensemble(seconds=3)
    length = len(take)
    alone = [[solos[n * length : (n + 1) * length].astype(np.float32)] for n in range(len(NAMES))]
    return separate(Take(take.astype(np.float32), RATE, sources=NAMES, solos=alone)), truth


def test_reduction_turns_the_bleed_down_by_what_it_says(done):
    separation, truth_LN = done
    for n, name in enumerate(NAMES):
        bleed_L = separation.take.x_LM[:, n] - truth_LN[:, n]
        for reduction in (3.0, 6.0, 10.0):
            left_L = separation.reduced(name, reduction) - truth_LN[:, n]
            assert abs(10 * np.log10(np.sum(bleed_L**2) / np.sum(left_L**2)) - reduction) < 0.5


def test_reduction_goes_from_the_spot_to_the_stem(done):
    separation, _ = done
    np.testing.assert_array_equal(separation.reduced(0, np.inf), separation.stems_LN[:, 0])
    np.testing.assert_array_equal(separation.reduced(0, 0), separation.take.x_LM[:, 0])
    separation.reduced(0, np.inf)[:] = 1.0
    assert separation.stems_LN[:, 0].max() < 1.0
    with pytest.raises(ArgumentError, match="reduction must be a number of at least 0 dB"):
        separation.reduced(0, -1.0)
    with pytest.raises(ArgumentError, match="there is no source"):
        separation.reduced("oboe", 3.0)


@pytest.fixture
def folder(tmp_path):
    """A folder that was written with residuals, its manifest, and the arguments."""
    arguments = [*write_session(tmp_path), *QUICK]
    assert cli.run(["separate", *arguments, "--residual", "--reduction", "12", "--reduction", "viola=inf"]) == 0
    return tmp_path / "out"


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_the_manifest_says_what_was_written(folder, capsys):
    sources = manifest_of(folder)["sources"]
    assert [source["reduction_db"] for source in sources] == [12, None, 12]
    assert [source["residual"] for source in sources] == [f"{name}.residual.wav" for name in NAMES]
    assert cli.run(["check", str(folder)]) == 0
    assert capsys.readouterr().out.count("stem and residual sum to the take, sample for sample") == 3
    assert all(each.good for each in check_stems(folder))
    stem, rest, take = (whole(folder / name, 24) for name in ("viola.wav", "viola.residual.wav", "../take.wav"))
    np.testing.assert_array_equal(stem + rest, take[:, 1])


def failing(folder):
    return {each.about: each.said for each in check_stems(folder) if not each.good}


def test_check_finds_what_was_changed(folder, capsys):
    (folder / "violin.wav").unlink()
    x, _ = sf.read(folder / "viola.residual.wav")
    sf.write(folder / "viola.residual.wav", x + 2.0**-20 * (np.arange(len(x)) == 4000), RATE, "PCM_24")
    with (folder.parent / "solos.txt").open("a") as file:
        file.write("\n")
    found = failing(folder)
    assert found.keys() == {"violin.wav", "violin", "viola.residual.wav", "viola", "../solos.txt"}
    assert "cannot be read: No such file" in found["violin.wav"]
    assert found["viola"] == "stem and residual do not sum to the take, first at 0.500 s"
    assert cli.run(["check", str(folder)]) == 2
    said = capsys.readouterr()
    assert "BAD" in said.out
    assert "5 of 12 checks failed" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.pop("sha256"), "does not say what was read"),
        (lambda record: record.update(take=[1]), "does not say what was read"),
        (lambda record: record["sources"][0].update(sha256=3), "not a manifest"),
        (lambda record: record["sources"][0].update(residual="../x.wav"), "not a manifest"),
        (lambda record: record.update(sources=None), "not a manifest"),
    ],
)
def test_manifests_that_check_refuses(folder, change, said):
    record = manifest_of(folder)
    change(record)
    (folder / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(SessionError, match=said):
        check_stems(folder)


def test_check_of_an_odd_mic_of_a_shorter_take_and_without_digests(folder):
    record = manifest_of(folder)
    record["sources"][0]["mics"] = [9]
    record["sources"][1].pop("sha256")
    (folder / "manifest.json").write_text(json.dumps(record))
    found = failing(folder)
    assert "not as long as the take" in found["violin"]
    assert found["viola.wav"] == "the manifest has no digest of it"
    (folder.parent / "take.wav").unlink()
    assert "cannot be opened" in failing(folder)["take"]


def test_residuals_of_an_earlier_run_are_pointed_out(folder, capsys):
    capsys.readouterr()
    arguments = ["separate", f"{folder}/../take.wav", "--sources", ",".join(NAMES), "--out", str(folder), *QUICK]
    assert cli.run([*arguments, "--overwrite"]) == 0
    assert "still there from an earlier run: violin.residual.wav" in capsys.readouterr().err
    assert all(each.good for each in check_stems(folder))


@pytest.mark.parametrize("option", ["-3", "loud", "nan", "=3", "violin=", "oboe=3"])
def test_reductions_that_are_refused(tmp_path, capsys, option):
    assert cli.run(["separate", *write_session(tmp_path), f"--reduction={option}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_take_that_is_written_to_meanwhile_is_refused(tmp_path, capsys, monkeypatch):
    from mnmf.separation import _separate as separation

    arguments = write_session(tmp_path)
    read = separation.survey

    def disturbed(*known):
        with (tmp_path / "take.wav").open("ab") as file:
            file.write(b"more")
        return read(*known)

    monkeypatch.setattr(separation, "survey", disturbed)
    assert cli.run(["separate", *arguments, "--components", "2", "--iterations", "1"]) == 2
    assert "take.wav has changed while it was read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_check_does_not_wait_for_a_pipe(folder):
    (folder / "violin.wav").unlink()
    os.mkfifo(folder / "violin.wav")
    assert "violin.wav" in failing(folder)


def test_the_longest_names_have_residuals_too(tmp_path):
    arguments = [*write_session(tmp_path), *QUICK]
    (tmp_path / "solos.txt").write_text((tmp_path / "solos.txt").read_text().replace("violin", 200 * "v"))
    assert cli.run(["separate", *arguments, "--residual"]) == 0
    assert all(each.good for each in check_stems(tmp_path / "out"))
