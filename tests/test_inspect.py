"""What is looked for before every run: what it prints, who is set aside, what is refused, and what aligning gives."""

import json
import re

import numpy as np
import pytest
import soundfile as sf

from mnmf import Session, audio, cli, faults, markers
from mnmf.check import check_stems
from mnmf.errors import SessionError
from tests.test_faults import FIRST, RATE, SECONDS, hum, late, whole

NAMES = ("vl1", "vl2", "va", "vc")
QUICK = ["--method", "kamir", "--iterations", "2"]


@pytest.fixture
def x_LM():
    return whole()[FIRST : FIRST + SECONDS * RATE].copy()


def write(folder, x_LM, names=NAMES, subtype="PCM_24"):
    """Write one file a microphone and return their paths."""
    for name, x_L in zip(names, x_LM.T):
        audio.write(folder / f"{name}.wav", x_L, RATE, subtype)
    return [str(folder / f"{name}.wav") for name in names]


def run(capsys, *words):
    """Return the exit status and what was printed, without colours."""
    status = cli.run([str(word) for word in words])
    return status, *capsys.readouterr()


# mnmf inspect


def test_a_clean_take(tmp_path, x_LM, capsys):
    status, out, err = run(capsys, "inspect", *write(tmp_path, x_LM))
    assert (status, err) == (0, "")
    assert "nothing is wrong, as far as can be told" in out
    assert "12.0 s of 4 mics at 11025 Hz" in out
    assert [line.split()[:2] for line in out.splitlines()[2:6]] == [[str(m + 1), name] for m, name in enumerate(NAMES)]
    assert "bleed: in the mic of each row the player of each column" in out


def test_every_line_names_the_mic_and_what_to_do(tmp_path, x_LM, capsys):
    x_LM[:, 1] = 0.0
    x_LM[:, 2] = -x_LM[:, 2]
    files = write(tmp_path, np.column_stack([x_LM, 0.25 * x_LM[:, 0]]), (*NAMES, "safe"))
    status, out, _ = run(capsys, "inspect", *files)
    assert status == 0
    assert "mic 2 (vl2) is silent; it is set aside; look at its cable, its preamplifier and its track\n" in out
    assert "mic 5 (safe) is a copy of mic 1 (vl1) at -12.0 dB; it is set aside\n" in out
    assert "mic 3 (va) is flipped against the others; turn its polarity, or say --align\n" in out
    status, out, err = run(capsys, "inspect", *files, "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert [(each["kind"], each["mic"]) for each in found["findings"]] == [("silent", 2), ("copy", 5), ("polarity", 3)]
    assert [each["name"] for each in found["mics"]] == [*NAMES, "safe"]
    assert found["mics"][1]["late_ms"] is None
    assert found["bleed_db"][0][1] is None


def test_proposed_labels_are_read_again_and_replace_nothing(tmp_path, x_LM, capsys):
    x_LM[: 5 * RATE] = x_LM[: 5 * RATE, [2]] * [0.1, 0.1, 1.0, 0.1]
    files, labels = write(tmp_path, x_LM), tmp_path / "labels.txt"
    status, out, err = run(capsys, "inspect", *files, "--propose", labels)
    assert (status, err) == (0, "")
    assert f"1 passages in {labels}" in out
    (passage,) = markers.read(labels, duration=SECONDS)
    assert passage.source == "va"
    assert passage.start < 1
    assert 4 < passage.stop < 5.5
    status, _, err = run(capsys, "inspect", *files, "--propose", labels)
    assert status == 2
    assert "labels.txt exists already; name another file, or add --overwrite" in err
    assert run(capsys, "inspect", *files, "--propose", labels, "--overwrite")[0] == 0
    status, _, err = run(capsys, "inspect", *files, "--propose", tmp_path / "labels.wav")
    assert (status, "--propose" in err) == (2, True)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, x_LM, capsys):
    files = write(tmp_path, x_LM)
    audio.write(tmp_path / "vc.wav", x_LM[:-1, 3], RATE)
    status, out, err = run(capsys, "inspect", *files)
    assert (status, out) == (2, "")
    assert err.startswith(f"mnmf: {tmp_path}/vc.wav has")
    assert err.count("\n") == 1


# Before a run


def test_who_hears_nothing_gets_no_stem_and_moves_nobody(tmp_path, x_LM, capsys):
    x_LM[:, 1] = hum(len(x_LM))
    files = write(tmp_path, x_LM)
    status, out, err = run(capsys, "separate", *files, *QUICK, "--out", tmp_path / "out", "--all-mics", "--residual")
    assert status == 0
    assert "mic 2 (vl2) hears nothing but hum of 50 Hz" in err
    assert err.count("\n") == 1
    assert "vc: mic 4 (vc)" in out
    assert not (tmp_path / "out" / "vl2.wav").exists()
    assert all(each.good for each in check_stems(str(tmp_path / "out")))
    record = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert record["mics_set_aside"] == [2]
    # It is as if that microphone had never been there.
    others = [files[0], *files[2:]]
    assert run(capsys, "separate", *others, *QUICK, "--out", tmp_path / "others", "--all-mics")[0] == 0
    for name, other in (("vl1", "vl1"), ("va", "va"), ("vc", "vc"), ("va.mic4", "va.mic3"), ("vl1.mic3", "vl1.mic2")):
        assert (tmp_path / "out" / f"{name}.wav").read_bytes() == (tmp_path / "others" / f"{other}.wav").read_bytes()
    assert not sf.read(tmp_path / "out" / "va.mic2.wav")[0].any()


def test_names_in_order_are_not_shifted_by_a_dead_mic(tmp_path, x_LM, capsys):
    x_LM[:, 1] = 0.0
    files = write(tmp_path, x_LM)
    told = Session.open(files, sources=["a", "b", "c", "d"], inspect=True)
    assert (told.spots.references, told.aside) == ([0, 1, 2, 3], ())
    assert Session.open(files, sources=["a", "b", "c"], inspect=True).spots.references == [0, 2, 3]
    assert Session.open(files, spots={"vl2": 2}, sources=["vl1", "vl2"], ambient=[3, 4], inspect=True).aside == ()
    command = ["separate", *files, "--sources", "a,b,c,d", *QUICK, "--out", tmp_path / "out"]
    status, _, err = run(capsys, *command)
    assert (status, "mic 2 (vl2) is silent; it is the spot of b all the same" in err) == (0, True)
    assert not sf.read(tmp_path / "out" / "b.wav")[0].any()


def test_solos_elsewhere_say_whose_the_silent_mic_is(tmp_path, x_LM):
    """It was dead in the take only: its player has a spot, and a silent stem."""
    (tmp_path / "solos").mkdir()
    turns_LM = np.concatenate([x_LM[: 2 * RATE, [n]] * np.where(np.arange(4) == n, 1.0, 0.1) for n in range(4)])
    solos = write(tmp_path / "solos", turns_LM)
    (tmp_path / "labels.txt").write_text("".join(f"{2 * n}\t{2 * n + 2}\t{name}\n" for n, name in enumerate(NAMES)))
    x_LM[:, 1] = 0.0
    files = write(tmp_path, x_LM)
    session = Session.open(files, solos=tmp_path / "labels.txt", solo_take=solos, inspect=True)
    assert (session.spots.references, session.aside) == ([0, 1, 2, 3], ())
    # Without that solo the microphone is nobody's, and nobody has to say so.
    session = Session.open(
        files, solos=tmp_path / "labels.txt", solo_take=solos, sources=["vl1", "va", "vc"], inspect=True
    )
    assert (session.spots.references, session.aside) == ([0, 2, 3], (1,))
    with pytest.raises(SessionError, match="nobody.s spot"):
        Session.open(files, solos=tmp_path / "labels.txt", solo_take=solos, sources=["vl1", "va", "vc"])


def test_what_would_ruin_the_result_is_refused_with_the_remedy(tmp_path, x_LM, capsys):
    x_LM[:, 2] = late(whole()[:, 2], RATE // 2)
    command = ["separate", *write(tmp_path, x_LM), *QUICK, "--out", tmp_path / "out"]
    status, _, err = run(capsys, *command)
    assert status == 2
    assert err == (
        "mnmf: mic 3 (va) is 500.0 ms late; move its file, or say --align, or say --unchecked to separate it as it is\n"
    )
    assert not (tmp_path / "out").exists()
    assert run(capsys, *command, "--unchecked")[0] == 0
    status, _, err = run(capsys, *command, "--unchecked", "--align")
    assert (status, "--align corrects what is found" in err) == (2, True)


@pytest.mark.parametrize("all_mics", [False, True])
def test_aligned_stems_lie_under_their_originals(tmp_path, x_LM, capsys, all_mics):
    clean = write(tmp_path, x_LM)
    assert run(capsys, "separate", *clean, *QUICK, "--out", tmp_path / "clean")[0] == 0
    samples = RATE // 5
    x_LM[:, 2] = -late(whole()[:, 2], samples)
    (tmp_path / "late").mkdir()
    files = write(tmp_path / "late", x_LM)
    command = ["separate", *files, *QUICK, "--align", "--residual", "--out", tmp_path / "out"]
    status, _, err = run(capsys, *command, *(["--all-mics"] if all_mics else []))
    assert status == 0
    assert "mic 3 (va) is 200.0 ms late; corrected, and undone in the stems" in err
    assert "mic 3 (va) is flipped against the others; corrected, and undone in the stems" in err
    assert all(each.good for each in check_stems(str(tmp_path / "out")))
    stem_L, true_L = (sf.read(tmp_path / folder / "va.wav")[0] for folder in ("out", "clean"))
    np.testing.assert_allclose(stem_L[: samples - 1], x_LM[: samples - 1, 2], atol=2**-22)  # nobody else had begun
    start = samples + RATE // 2
    error_L = -stem_L[start:] - true_L[start - samples : len(true_L) - samples]
    assert np.mean(error_L**2) < 0.02 * np.mean(true_L**2)
    record = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert abs(record["alignment"]["late_M"][2] - samples) < 6


def test_alignment_reaches_solos_and_takes_that_are_read_in_parts(tmp_path, x_LM):
    x_LM[:, 2] = late(whole()[:, 2], RATE // 5)
    (tmp_path / "labels.txt").write_text("2.0\t4.0\tva\n")
    files = write(tmp_path, x_LM, subtype="FLOAT")
    session = Session.open(
        files, solos=tmp_path / "labels.txt", sources=NAMES, spots=dict(zip(NAMES, NAMES)), align=True
    )
    take = session.take()
    shift = session.alignment().late_M[2]
    np.testing.assert_array_equal(take.x_LM[:RATE, 2], x_LM[shift : shift + RATE, 2].astype(np.float32))
    np.testing.assert_array_equal(session.take(whole=False).x_LM[:], take.x_LM)
    np.testing.assert_array_equal(take.solos[2][0], take.x_LM[2 * RATE : 4 * RATE])
    with pytest.raises(SessionError, match="aligned over the whole take"):
        session.part(1.0, 2.0)
    assert Session.open(files, inspect=True).alignment() is None


# mnmf init


def same(first, second):
    """Whether two sessions separate the same microphones as the same sources."""
    return all(getattr(first, name) == getattr(second, name) for name in ("sources", "aside", "mic_names")) and (
        first.spots.references == second.spots.references
    )


def test_a_session_file_says_what_was_found_and_sets_it_aside(tmp_path, x_LM, capsys):
    x_LM[:, 1] = 0.0
    x_LM[:, 2] *= -1
    write(tmp_path, np.column_stack([x_LM, 0.25 * x_LM[:, 0]]), (*NAMES, "safe"))
    status, out, err = run(capsys, "init", tmp_path)
    text = (tmp_path / "session.toml").read_text("utf-8")
    assert status == 0
    assert "vl2: mic" not in out
    for line in ("mic 5 (vl2) is silent; it is set aside", "mic 1 (safe) is a copy of mic 4 (vl1) at -12.0 dB"):
        assert f"mnmf: {line}" in err
        assert f"\n# {line}" in text
    assert "\n# mic 2 (va) is flipped against the others; turn its polarity, or say --align\n" in text
    assert text.index("is flipped") < text.index("\ntake = [")
    assert '# Nobody\'s spots, for what was found in them.\nambient = ["safe", "vl2"]\n' in text
    assert '[spots]\n# A name of your choice = its mic.\nva = "va"\nvc = "vc"\nvl1 = "vl1"\n\n' in text
    written, bare = Session.from_toml(tmp_path / "session.toml", inspect=True), Session.open(tmp_path, inspect=True)
    assert same(written, bare)
    assert (bare.sources, bare.aside) == (("va", "vc", "vl1"), (0, 4))
    assert run(capsys, "init", tmp_path, "--unchecked", "--out", tmp_path / "all.toml")[::2] == (0, "")
    assert Session.from_toml(tmp_path / "all.toml").sources == ("safe", "va", "vc", "vl1", "vl2")
    assert "flipped" not in (tmp_path / "all.toml").read_text("utf-8")


def test_a_session_file_proposes_the_solos_that_a_take_holds(tmp_path, x_LM, capsys):
    x_LM[: 5 * RATE] = x_LM[: 5 * RATE, [2]] * [0.1, 0.1, 1.0, 0.1]
    write(tmp_path, x_LM)
    assert run(capsys, "init", tmp_path)[0] == 0
    text = (tmp_path / "session.toml").read_text("utf-8")
    assert re.search(r"\n# Somebody seems to play alone here; .*\n# va from 0.\d to [45].\d s\n", text)
    assert "\nsolos" not in text  # somebody has to listen first
    (tmp_path / "labels.txt").write_text("0.5\t4.0\tva\n")
    assert run(capsys, "init", tmp_path, "--out", tmp_path / "marked.toml")[0] == 0
    assert "play alone" not in (tmp_path / "marked.toml").read_text("utf-8")


def test_a_session_file_leaves_who_was_dead_in_the_take_only_to_its_solo(tmp_path, x_LM, capsys):
    (tmp_path / "solos").mkdir()
    turns_LM = np.concatenate([x_LM[: 2 * RATE, [n]] * np.where(np.arange(4) == n, 1.0, 0.1) for n in range(4)])
    solos = write(tmp_path / "solos", turns_LM)
    labels = tmp_path / "solos" / "labels.txt"
    labels.write_text("".join(f"{2 * n}\t{2 * n + 2}\t{name}\n" for n, name in enumerate("abcd")))
    x_LM[:, 1] = 0.0
    given = {"solos": labels, "solo_take": solos}
    files = write(tmp_path, x_LM)
    words = ["--solos", labels, *(word for each in solos for word in ("--solo-take", each))]
    status, _, err = run(capsys, "init", *files, *words, "--out", tmp_path / "session.toml")
    assert (status, "corrected first" in err) == (0, False)
    written = Session.from_toml(tmp_path / "session.toml", inspect=True)
    assert same(written, Session.open(files, **given, inspect=True))
    assert (written.sources, written.spots.references, written.aside) == (tuple("abcd"), [0, 1, 2, 3], ())


def test_findings_of_all_kinds_have_a_name():
    assert set(faults.GRADES) == {"note", "handled", "warning", "ruin"}
    assert set(faults.NOTHING) < set(faults.KINDS)
