"""That programs of others are given what `_external` promises, and that what they leave is read."""

import stat
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
RATE = 8000

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution")

# Leaves what each spot heard less half of the other's, and on request the number of labels as its stems.
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import soundfile
source, out, *solos = map(Path, sys.argv[1:])
heard = {name: soundfile.read(source / name) for name in ("1.wav", "2.wav")}
assert sorted(path.name for path in source.iterdir()) == sorted(heard)
for name, other in (("1.wav", "2.wav"), ("2.wav", "1.wav")):
    x, rate = heard[name]
    y = x - 0.5 * heard[other][0]
    if solos:
        labels = (solos[0] / "solos.txt").read_text().splitlines()
        start, end, player = labels[int(name[0]) - 1].split("\\t")
        alone, _ = soundfile.read(solos[0] / name)
        assert player == name[0]
        y = alone[round(float(start) * rate) : round(float(end) * rate)]
    soundfile.write(out / name, y, rate, "FLOAT")
"""


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])


@pytest.fixture
def case():
    from _cases import Case

    rng = np.random.default_rng(0)
    truth_LN = rng.standard_normal((RATE, 2))
    solo_LM = rng.standard_normal((RATE, 3))
    solos = {"solo": (solo_LM, [(0.0, 0.5), (0.5, 1.0)])}
    mixture_LM = truth_LN @ np.array([[0.3, 1.0, 0.5], [1.0, 0.3, 0.5]])
    return Case("noise", RATE, mixture_LM, truth_LN, (1, 0), ("violin", "viola"), solos)


@pytest.fixture
def program(tmp_path):
    """Write a program of this text, and return the command that runs it."""

    def written(text, name="rival.py"):
        (tmp_path / name).write_text(text)
        return f"{sys.executable} {tmp_path / name}"

    return written


def made(command):
    from _external import External

    return External.parse(f"rival={command}")


def test_a_program_is_given_the_spots_and_its_stems_are_read(case, program):
    stems_LN = made(f"{program(PROGRAM)} {{in}} {{out}}").stems(case)
    spots_LN = case.mixture_LM[:, [1, 0]]
    np.testing.assert_allclose(stems_LN, spots_LN - 0.5 * spots_LN[:, ::-1], atol=1e-5)


def test_a_program_that_asks_for_them_is_given_the_solos(case, program):
    stems_LN = made(f"{program(PROGRAM)} {{in}} {{out}} {{solos}}").stems(case)
    alone_LM = case.solos["solo"][0]
    expected_LN = np.zeros((RATE, 2))  # shorter than the take: silence follows
    expected_LN[: RATE // 2] = np.stack([alone_LM[: RATE // 2, 1], alone_LM[RATE // 2 :, 0]], axis=1)
    np.testing.assert_allclose(stems_LN, expected_LN, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit('no licence')", "exit status 1; it said: no licence"),
        ("import sys; open(sys.argv[2] + '/1-out.wav', 'w')", "it left no 1.wav in {out}, but 1-out.wav"),
        (PROGRAM.replace(", rate, ", ", 2 * rate, "), "not finite, mono and at 8000 Hz"),
        (PROGRAM.replace("out / name, y", "out / name, np.stack([y, y], axis=1)"), "not finite, mono"),
    ],
)
def test_what_went_wrong_is_said(case, program, text, said):
    from _external import ExternalError

    with pytest.raises(ExternalError) as raised:
        made(f"{program(text)} {{in}} {{out}}").stems(case)
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["rival", "=run {in} {out}", "rival=run {in}", "rival="])
def test_a_command_without_its_folders_is_refused(text):
    from _external import External

    with pytest.raises(ValueError, match="expected NAME=COMMAND"):
        External.parse(text)


def test_what_is_not_there_is_left_out_with_a_line(program, tmp_path, capsys):
    import peers

    here = made(f"{program(PROGRAM)} {{in}} {{out}}")
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    commands = ["no-such-program {in} {out}", f"{sys.executable} {tmp_path}/none.py {{in}} {{out}}"]
    commands += [f"{script} {{in}} {{out}}"]  # not yet executable
    assert peers.runnable([here, *(made(command) for command in commands)]) == [here]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("there is no ")[1] for line in lines] == [
        "no-such-program",
        f"{tmp_path}/none.py",
        str(script),
    ]
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert made(commands[2]).lacks is None


def test_a_program_is_measured_beside_the_others(case, program, monkeypatch):
    import peers

    monkeypatch.setattr(peers, "prepared", lambda *_: case)
    rivals = [made(f"{program(PROGRAM)} {{in}} {{out}}"), made(f"{program('1 / 0', 'broken.py')} {{in}} {{out}}")]
    document = {"cells": [], "runs": [{"jobs": 1, "threads": 1}], "seeds": [0]}
    for name, rival in zip(("rival", "broken"), rivals):
        named = type(rival)(name, rival.words)
        cells = [cell for cell in peers.grid(True, externals=[named]) if cell["method"] == name]
        assert [cell["take"] for cell in cells] == [peers.GAINS, "quartet, chamber"]
        document["cells"] += [{"cell": cell, "result": peers.measure(cell, externals=[named])} for cell in cells]
    ours = {"delta_sdr": [1.0], "delta_sir": [1.0], "sar": [1.0], "iterations": 10, "seconds": 1.0}
    for take in (peers.GAINS, "quartet, chamber"):
        cell = {"take": take, "method": "mnmf", "window": peers.SHORT, "seed": 0}
        document["cells"].append({"cell": cell, "result": ours})
    gains = {each["cell"]["method"]: each["result"]["delta_sdr"] for each in document["cells"]}
    assert (np.array(gains["rival"]) > 2).all()
    np.testing.assert_array_equal(gains["broken"], 0)
    assert "| rival |" in peers.table(document)
    assert "ahead of `mnmf` by SDR: rival" in peers.words(document)
    assert "broken (exit status 1; it said: ZeroDivisionError" in peers.words(document)
