"""Every source at every microphone, and bleed turned down by whose it is."""

import json

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import resample_poly

from mnmf import Session, Take, audio, cli, data, separate
from mnmf.check import check_stems
from mnmf.errors import ArgumentError, SessionError
from mnmf.separation import separate_to
from tests.test_survey import heard, responses

RATE = 2000
SIZES = {"components": 2, "iterations": 2, "window": 0.3}
OPTIONS = [f"--{name}={value}" for name, value in SIZES.items()]
NAMES = ("vl1", "vl2", "va", "vc")


@pytest.fixture(scope="module")
def x_LM():
    """Four spots and a microphone for all."""
    stems_LN = resample_poly(data.quartet().stems_LN, RATE, 44100, axis=0)[: 9 * RATE]
    x_LM = heard(responses(0), stems_LN).sum(axis=2)
    x_LM = np.column_stack([x_LM, x_LM @ [0.4, 0.3, 0.3, 0.2]])
    return 0.9 * x_LM / np.abs(x_LM).max()


@pytest.fixture(scope="module")
def recordings(x_LM, tmp_path_factory):
    """The files of the take in two formats."""
    files = {}
    for subtype in ("PCM_16", "FLOAT"):
        folder = tmp_path_factory.mktemp(subtype)
        for m, name in enumerate((*NAMES, "main")):
            audio.write(folder / f"{name}.wav", x_LM[:, m], RATE, subtype)
        files[subtype] = [str(folder / f"{name}.wav") for name in (*NAMES, "main")]
    return files


@pytest.fixture
def recorded(recordings):
    return recordings["PCM_16"]


@pytest.mark.parametrize(("subtype", "segment"), [("PCM_16", "3"), ("FLOAT", "inf")])
def test_all_sources_at_a_microphone_and_what_is_left_sum_to_the_take(recordings, tmp_path, subtype, segment):
    out, recorded = tmp_path / "out", recordings[subtype]
    # The fifth microphone is a sum of the others, which would be set aside.
    command = ["separate", *recorded, "--ambient=5", "--unchecked", "--out", str(out), "--segment", segment, *OPTIONS]
    assert cli.run([*command, "--all-mics", "--residual"]) == 0
    session = Session.open(recorded, ambient=[5])
    parts = separate(session, segment=float(segment), **SIZES)
    for m, path in enumerate(recorded):
        files = [f"{name}.wav" if n == m else f"{name}.mic{m + 1}.wav" for n, name in enumerate(NAMES)]
        images = [sf.read(out / file)[0] for file in files]
        total_L = sum(images) + sf.read(out / f"nobody.mic{m + 1}.wav")[0]
        np.testing.assert_allclose(total_L, sf.read(path)[0], atol=1e-6)
        np.testing.assert_allclose(images[1], parts.image("vl2", m), atol=2**-15)
    record = json.loads((out / "manifest.json").read_text())
    assert [entry["file"] for entry in record["sources"][2]["bleed"]] == [f"va.mic{m}.wav" for m in (1, 2, 4, 5)]
    assert len(record["nobody"]) == 5
    assert all(finding.good for finding in check_stems(out))
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    wrong = sf.read(out / "va.mic5.wav")[0]
    wrong[1234] += 0.1
    sf.write(out / "va.mic5.wav", wrong, RATE, subtype=sf.info(out / "va.mic5.wav").subtype)
    bad = [(finding.about, finding.said) for finding in check_stems(out) if not finding.good]
    assert [about for about, _ in bad] == ["va.mic5.wav", "mic 5"]
    assert "do not sum to the take, first at 0.617 s" in bad[1][1]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_sums_hold_at_full_scale_too(x_LM, tmp_path, subtype):
    """Stems are clipped, and rumble that belongs to nobody does not fit its file."""
    rng, rumble_L = np.random.default_rng(0), 3 * np.sin(2 * np.pi * 9 * np.arange(len(x_LM)) / RATE)
    loud_LM = np.column_stack([20 * x_LM[:, :4], rumble_L + 0.05 * x_LM[:, 4] + 0.01 * rng.standard_normal(len(x_LM))])
    audio.write(tmp_path / "take.wav", np.clip(loud_LM, -1, 1), RATE, subtype)
    out = tmp_path / "out"
    command = ["separate", str(tmp_path / "take.wav"), "--ambient=5", "--out", str(out), "--all-mics", "--residual"]
    assert cli.run([*command, *OPTIONS]) == 0
    assert [finding for finding in check_stems(out) if not finding.good] == []
    assert not [path for path in out.iterdir() if path.name.startswith("louder")]


def test_what_is_left_over_of_an_earlier_run_is_named(recorded, tmp_path, capfd):
    command = ["separate", *recorded[:2], "--out", str(tmp_path / "out"), *OPTIONS]
    assert cli.run([*command, "--all-mics"]) == 0
    assert cli.run([*command, "--overwrite"]) == 0
    said = capfd.readouterr().err
    assert "vl1.mic2.wav" in said
    assert "nobody.mic1.wav" in said


def test_a_store_of_a_run_without_bleed_is_completed(x_LM):
    take = Take(x_LM[: 6 * RATE].astype(np.float32), RATE, spots=(0, 1, 2, 3), sources=NAMES)
    store = {}
    separate_to(store, take, segment=3.0, **SIZES)
    stems = separate_to(store, take, segment=3.0, bleed=[(0, 4)], **SIZES)
    np.testing.assert_allclose(stems.heard(0, 4)[:], separate(take, segment=3.0, **SIZES).image(0, 4), atol=1e-6)


def test_only_some_sources_have_no_rest(recorded, tmp_path):
    out = tmp_path / "out"
    assert cli.run(["separate", *recorded, "--ambient=5", "--out", str(out), "--all-mics", "--only=va", *OPTIONS]) == 0
    assert {path.name for path in out.glob("*.wav")} == {"va.wav", *(f"va.mic{m}.wav" for m in (1, 2, 4, 5))}
    assert all(finding.good for finding in check_stems(out))


def test_a_source_called_nobody_is_refused(recorded, tmp_path, capfd):
    names = ["--sources=nobody,vl2,va,vc", "--ambient=5"]
    assert cli.run(["separate", *recorded, *names, "--out", str(tmp_path / "out"), "--all-mics", *OPTIONS]) == 2
    assert "nobody.mic" in capfd.readouterr().err


def test_all_mics_and_reduction_do_not_go_together(recorded, tmp_path, capfd):
    command = ["separate", *recorded, "--ambient=5", "--out", str(tmp_path / "out"), "--all-mics", "--reduction=10"]
    assert cli.run(command) == 2
    assert "leave --reduction out" in capfd.readouterr().err


def test_what_was_kept_is_heard_and_nothing_else(x_LM):
    take = Take(x_LM.astype(np.float32), RATE, spots=(0, 1, 2, 3), sources=NAMES)
    whole = separate(take, **SIZES)
    store = {}
    stems = separate_to(store, take, bleed=[("va", 4), (3, 2), (0, 4)], **SIZES)
    for source, mic in (("va", 4), (3, 2), ("vl1", 4)):
        np.testing.assert_allclose(stems.heard(source, mic)[:], whole.image(source, mic), atol=1e-6)
    np.testing.assert_array_equal(stems.heard("va", 2)[:], whole.stems_LN[:, 2])
    with pytest.raises(ArgumentError, match="vl1 at mic 4 was not kept"):
        stems.heard("vl1", 3)
    assert sorted(store) == ["segment 1", "segment 1 at mic 3", "segment 1 at mic 5"]


def test_a_session_file_turns_down_each_by_its_own(recorded, tmp_path):
    table = "[reduction]\nvl1 = 6\n[reduction.va]\nvc = 20\nvl2 = 0\n"
    lines = f"take = {json.dumps(recorded)}\nambient = [5]\nsources = {json.dumps(NAMES)}\n"
    (tmp_path / "session.toml").write_text(lines + table)
    out = tmp_path / "out"
    command = ["separate", str(tmp_path / "session.toml"), "--unchecked", "--out", str(out), "--reduction=vl2=3"]
    command += ["--residual"]
    assert cli.run([*command, *OPTIONS]) == 0
    parts = separate(Session.open(recorded, ambient=[5], sources=NAMES), **SIZES)
    wanted = parts.stems_LN[:, 2] + 0.1 * parts.image("vc", 2) + parts.image("vl2", 2)
    np.testing.assert_allclose(sf.read(out / "va.wav")[0], wanted, atol=2**-15)
    for name, decibels in (("vl1", 6), ("vl2", 3)):
        np.testing.assert_allclose(sf.read(out / f"{name}.wav")[0], parts.reduced(name, decibels), atol=2**-15)
    np.testing.assert_allclose(sf.read(out / "vc.wav")[0], parts.stems_LN[:, 3], atol=2**-15)
    record = json.loads((out / "manifest.json").read_text())
    assert [entry["reduction_db"] for entry in record["sources"]] == [6, 3, {"vc": 20, "vl2": 0}, None]
    assert all(finding.good for finding in check_stems(out))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("reduction = 6", "'reduction' must be a table of source = dB"),
        ("[reduction]\nvl9 = 6", "reduction names 'vl9', which is not among the sources"),
        ("[reduction]\nvl1 = -6", "reduction of vl1 must be dB of 0 or more"),
        ("[reduction]\nvl1 = 'a'", "'reduction' must be a table of source = dB"),
        ("[reduction.vl1]\nvl9 = 6", "reduction of vl1 names 'vl9'"),
        ("[reduction.vl1]\nvl1 = 6", "vl1 is no bleed in its own stem"),
        ("[reduction.vl1]\nva = true", "reduction of va in vl1 must be dB of 0 or more"),
    ],
)
def test_reductions_of_a_session_file_that_are_refused(recorded, tmp_path, table, said):
    lines = f"take = {json.dumps(recorded)}\nambient = [5]\nsources = {json.dumps(NAMES)}\n"
    (tmp_path / "session.toml").write_text(f"{lines}{table}\n")
    with pytest.raises(SessionError, match=said):
        Session.from_toml(tmp_path / "session.toml")


def test_reductions_that_stems_refuse(x_LM):
    stems = separate(Take(x_LM[:RATE].astype(np.float32), RATE, spots=(0, 1, 2, 3), sources=NAMES), **SIZES)
    for reduction in ({"va": 3}, {"vc": -1}, {"nobody": 3}):
        with pytest.raises(ArgumentError):
            stems.reduced("va", reduction)


@pytest.mark.parametrize(
    "bleed",
    [{}, [{"mic": 0, "file": "a.wav"}], [{"mic": True, "file": "a.wav"}], [{"mic": 1, "file": 5}], [{"file": "a.wav"}]],
)
def test_manifests_with_odd_bleed_are_refused(recorded, tmp_path, bleed):
    out = tmp_path / "out"
    assert cli.run(["separate", *recorded[:2], "--out", str(out), "--all-mics", *OPTIONS]) == 0
    manifest = out / "manifest.json"
    record = json.loads(manifest.read_text())
    for changed in (record | {"nobody": bleed}, record | {"sources": [record["sources"][0] | {"bleed": bleed}]}):
        manifest.write_text(json.dumps(changed))
        with pytest.raises(SessionError, match="not a manifest of mnmf separate"):
            check_stems(out)
