"""The runner of the benchmarks, with toy cells: what is promised of parallel, interrupted, failing and stale runs."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.processes import restored_signals

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BENCHMARKS / "_runner.py").exists(), reason="the benchmarks are not part of this distribution"
    ),
]

TOY = '''
import os, random, signal, sys, time
from pathlib import Path
import _runner

HERE = Path(__file__).parent
if __name__ == "__mp_main__":
    (HERE / "early").write_text(str(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))


def once(name):
    """Whether this has not happened before."""
    try:
        (HERE / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def draw(cell):
    """Figures of a cell, which finish in another order than they are begun."""
    assert cell["case"] != "wrong"
    with open(HERE / "log", "a") as log:
        log.write(f"{cell['seed']}\\n")
    time.sleep(0.03 * (3 - cell["seed"] % 3) if cell["case"] == "slow" else 0)
    rng = random.Random(f"{cell['case']} {cell['seed']}")
    return {"gain": [rng.random() for _ in range(3)]}


def meet(cell):
    """Wait for the other one."""
    (HERE / cell["case"]).touch()
    for _ in range(1000):
        if (HERE / cell["other"]).exists():
            return {"met": True}
        time.sleep(0.01)
    return {"met": False}


def threads(cell):
    return {name: os.environ[name] for name in _runner.THREADS}


def fail(cell):
    if cell["seed"] == 1 and once("failed"):
        raise RuntimeError("no strings attached")
    if cell["seed"] == 2 and once("died"):
        os._exit(3)
    return draw(cell)


def kill(cell):
    if cell["seed"] == 2 and once("killed"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return draw(cell)


def hang(cell):
    if cell["seed"] == 2 and once("hung"):
        (HERE / "late").write_text(str(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))
        (HERE / "pid").write_text(str(os.getpid()))
        time.sleep(60)
    return draw(cell)


def returned(cell):
    return {"nan": {"gain": float("nan")}, "list": [1], "object": {"gain": object()}}[cell["case"]]


def arrays(cell):
    import numpy as np

    return {"gain": np.arange(3) / 2, "worst": np.float32(0.5), "none": None}


CELLS = [{"case": case, "seed": seed} for case in ("slow", "fast") for seed in range(3)]

if __name__ == "__main__":
    _runner.run("toy", CELLS, globals()[sys.argv[1]], jobs=1, folder=HERE)
'''


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_runner")


@pytest.fixture
def toy(runner, tmp_path, monkeypatch):
    """A benchmark of six cells, anew in each test."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toy", raising=False)
    yield importlib.import_module("toy")
    sys.modules.pop("toy", None)


def log(folder):
    return sorted((folder / "log").read_text().split())


def started(folder, what):
    """Start the toy as from a terminal, in which it and its processes are one group."""
    # What is installed must be found there as it is here, for kept cells to be worth keeping.
    paths = os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(folder / "toy.py"), what],
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=restored_signals,
    )


def test_any_number_of_jobs_gives_the_same_figures_in_the_same_order(runner, toy, tmp_path):
    one = runner.run("one", toy.CELLS, toy.draw, jobs=1, folder=tmp_path)
    three = runner.run("three", toy.CELLS, toy.draw, jobs=3, folder=tmp_path)
    assert one["cells"] == three["cells"]
    assert [each["cell"] for each in one["cells"]] == toy.CELLS
    assert [each["result"] for each in one["cells"]] == [toy.draw(cell) for cell in toy.CELLS]
    assert one["seeds"] == [0, 1, 2]
    assert json.loads((tmp_path / "results" / "three.json").read_text()) == three
    assert {"python", "numpy", "pyroomacoustics", "mnmf", "cpu", "date"} <= set(three["environment"])
    assert three["environment"]["threads"] == three["runs"][0]["threads"]
    assert 0 < three["seconds"] < 60
    assert not list((tmp_path / ".unfinished").iterdir())  # the folder stays for other benchmarks


def test_cells_run_at_the_same_time_on_their_share_of_the_cores(runner, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "cores", lambda: 7)
    cells = [{"case": "a", "other": "b"}, {"case": "b", "other": "a"}]
    met = runner.run("meet", cells, toy.meet, jobs=2, folder=tmp_path)
    assert [each["result"]["met"] for each in met["cells"]] == [True, True]
    assert met["runs"] == [{"jobs": 2, "threads": 3}]
    before = dict(os.environ)
    limited = runner.run("threads", cells[:1], toy.threads, jobs=5, folder=tmp_path)
    assert limited["cells"][0]["result"] == dict.fromkeys(runner.THREADS, "7")  # one cell, so one job
    assert dict(os.environ) == before


def test_jobs_and_threads_do_not_change_the_figures_of_a_real_take(runner, tmp_path):
    robustness = importlib.import_module("robustness")
    cell = {"axis": "none", "value": 0, "players": 2, "seconds": 0.5, "solo_seconds": 0.5, "iterations": 2}
    cells = [cell | {"method": robustness.NO_SOLOS, "seed": seed} for seed in range(2)]
    two = runner.run("two", cells, robustness.measure, jobs=2, folder=tmp_path)
    assert two["runs"] == [{"jobs": 2, "threads": max(1, runner.cores() // 2)}]
    here = runner._plain(robustness.measure(cells[0]))  # in one process with all cores
    assert here == two["cells"][0]["result"] != two["cells"][1]["result"]


def test_a_killed_run_is_resumed(runner, toy, tmp_path, capsys):
    with started(tmp_path, "kill") as process:
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert log(tmp_path) == ["0", "1"]
    assert not (tmp_path / "results").exists()
    (unfinished,) = (tmp_path / ".unfinished").iterdir()
    with unfinished.open("a") as file:
        file.write('{"key": "cut sho')
    with pytest.raises(SystemExit):  # what follows a line that was cut short is kept, too
        runner.run("toy", [*toy.CELLS, {"case": "wrong", "seed": 3}], toy.kill, jobs=1, folder=tmp_path)
    assert log(tmp_path) == sorted("001122")
    document = runner.run("toy", toy.CELLS, toy.kill, jobs=2, folder=tmp_path)
    assert log(tmp_path) == sorted("001122")
    assert "6 of 6 cells are there from before" in capsys.readouterr().err
    assert [each["result"] for each in document["cells"]] == [toy.draw(cell) for cell in toy.CELLS]


def test_a_failing_cell_is_named_and_takes_no_other_with_it(runner, toy, tmp_path, capsys):
    cells = toy.CELLS[:3]
    results = tmp_path / "results" / "toy.json"
    results.parent.mkdir()
    results.write_text("earlier")
    with pytest.raises(SystemExit) as exit_:
        runner.run("toy", cells, toy.fail, jobs=1, folder=tmp_path)
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert "case slow, seed 1 failed:\nTraceback" in said
    assert "RuntimeError: no strings attached" in said
    assert "case slow, seed 2 failed:\nits process ended with exit status 3" in said
    assert "2 of 3 cells failed" in said
    assert results.read_text() == "earlier"
    assert log(tmp_path) == ["0"]
    runner.run("toy", cells, toy.fail, jobs=1, folder=tmp_path)
    assert log(tmp_path) == ["0", "1", "2"]
    assert len(json.loads(results.read_text())["cells"]) == 3


def test_what_cannot_be_written_fails_in_its_cell(runner, toy, tmp_path, capsys):
    with pytest.raises(SystemExit):
        runner.run("toy", [{"case": case} for case in ("nan", "list", "object")], toy.returned, jobs=1, folder=tmp_path)
    said = capsys.readouterr().err
    assert "a figure is not finite" in said
    assert "must return a dict, got a list" in said
    assert "object cannot be kept" in said
    assert "3 of 3 cells failed" in said


def test_the_data_are_named_without_their_place(runner, toy, tmp_path):
    data = tmp_path / "pieces"
    data.mkdir()
    document = runner.run("toy", toy.CELLS[:1], toy.draw, jobs=1, inputs=(path for path in [data]), folder=tmp_path)
    assert document["data"] == ["pieces"]
    assert str(tmp_path) not in (tmp_path / "results" / "toy.json").read_text()


def test_arrays_become_lists(runner, toy, tmp_path):
    document = runner.run("toy", [{"case": "x"}], toy.arrays, folder=tmp_path, summarise=lambda cells: np.arange(2))
    assert document["cells"][0]["result"] == {"gain": [0, 0.5, 1], "worst": 0.5, "none": None}
    assert document["summary"] == [0, 1]


def test_cells_of_other_code_or_data_are_not_reused(runner, toy, tmp_path, monkeypatch):
    package, data = tmp_path / "package", tmp_path / "data"
    for folder in (package, data):
        folder.mkdir()
        (folder / "file").write_text("before")
    monkeypatch.setattr(runner, "PACKAGE", package)

    def print_of():
        return runner.fingerprint(toy.draw, [data])

    seen = {print_of()}
    for path in (package / "file", data / "file", tmp_path / "toy.py"):
        kept = path.read_text()
        path.write_text(kept + "\n")
        assert print_of() not in seen
        path.write_text(kept)
        assert print_of() in seen
    (package / "file").rename(package / "renamed")
    assert print_of() not in seen


def test_cells_are_not_reused_when_what_the_script_imports_or_links_to_has_changed(runner, toy, tmp_path, monkeypatch):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere" / "piece"
    for folder in (data, elsewhere):
        folder.mkdir(parents=True)
    (data / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(data)  # ends all the same
    (tmp_path / "toy.py").write_text("from second import play\n" + TOY)
    (tmp_path / "second.py").write_text("import third, numpy\n")
    changing = [tmp_path / "second.py", tmp_path / "third.py", elsewhere / "1_violin.flac"]
    for path in changing[1:]:
        path.touch()
    (tmp_path / "other.py").touch()
    before = runner.fingerprint(toy.draw, [data])
    for path in changing:
        kept = path.read_text()
        path.write_text(kept + "\n")
        assert runner.fingerprint(toy.draw, [data]) != before, path.name
        path.write_text(kept)
    (tmp_path / "other.py").write_text("\n")
    (data / "__pycache__").mkdir()
    (data / "__pycache__" / "kernels.sha256").touch()  # comes with the first import
    assert runner.fingerprint(toy.draw, [data]) == before
    environment = importlib.import_module("_environment")
    monkeypatch.setattr(environment, "LIBRARIES", (*environment.LIBRARIES, "pytest", "there-is-no-such-library"))
    assert runner.fingerprint(toy.draw, [data]) != before


def test_seconds_are_those_of_all_starts(runner, toy, tmp_path):
    cells = [{"case": "slow", "seed": seed} for seed in range(3)]
    with pytest.raises(SystemExit):
        runner.run("toy", cells, toy.fail, jobs=1, folder=tmp_path)
    (unfinished,) = (tmp_path / ".unfinished").iterdir()
    line = json.loads(unfinished.read_text())
    assert 0 < line["seconds"] < 60
    unfinished.write_text(json.dumps(line | {"seconds": 1000.0}) + "\n")
    assert 1000 < runner.run("toy", cells, toy.fail, jobs=1, folder=tmp_path)["seconds"] < 1060


def test_a_stale_cell_is_measured_again(runner, toy, tmp_path):
    cells = toy.CELLS[:3]
    with pytest.raises(SystemExit):
        runner.run("toy", cells, toy.fail, jobs=1, folder=tmp_path)
    assert log(tmp_path) == ["0"]
    (tmp_path / "toy.py").write_text(TOY + "\n# edited\n")
    runner.run("toy", cells, toy.fail, jobs=1, folder=tmp_path)
    assert log(tmp_path) == ["0", "0", "1", "2"]


def test_ctrl_c_ends_cleanly_and_keeps_what_is_done(runner, toy, tmp_path):
    with started(tmp_path, "hang") as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "interrupted; 2 of 6 cells are kept" in said
    assert "Traceback" not in said
    # The processes leave Ctrl-C to the first one, from when they load the script on.
    assert [(tmp_path / when).read_text() for when in ("early", "late")] == ["True", "True"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not (tmp_path / "results").exists()
    runner.run("toy", toy.CELLS, toy.hang, jobs=1, folder=tmp_path)
    assert log(tmp_path) == sorted("001122")


def test_a_quick_run_leaves_the_full_results_alone(runner, toy, tmp_path):
    runner.run("toy", toy.CELLS[:2], toy.draw, jobs=1, folder=tmp_path)
    full = (tmp_path / "results" / "toy.json").read_bytes()
    runner.run("toy", toy.CELLS[:1], toy.draw, quick=True, folder=tmp_path)
    assert (tmp_path / "results" / "toy.json").read_bytes() == full
    assert len(json.loads((tmp_path / "results" / "toy.quick.json").read_text())["cells"]) == 1


def test_cells_that_cannot_be_told_apart_are_refused(runner, toy, tmp_path):
    with pytest.raises(ValueError, match="comes twice: case a, seed 1"):
        runner.run("toy", [{"case": "a", "seed": 1}] * 2, toy.draw, folder=tmp_path)
    with pytest.raises(ValueError, match="nothing but numbers"):
        runner.run("toy", [{"case": Path("a")}], toy.draw, folder=tmp_path)


def test_the_margin_is_that_of_students_t(runner):
    values = [1.0, 2.5, 2.0, 4.0, 3.0]
    mean, margin = runner.mean_and_margin(values)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    np.testing.assert_allclose([mean - margin, mean + margin], [low, high], rtol=1e-12)
    assert runner.mean_and_margin(values, 0.99)[1] > margin
    mean, margin = runner.mean_and_margin([2.0])
    assert mean == 2.0
    assert np.isnan(margin)


def test_results_are_grouped_by_entries_of_their_cells(runner):
    cells = [{"cell": {"case": c, "seed": s}, "result": {"x": (c, s)}} for c in "ab" for s in (0, 1)]
    groups = runner.grouped(cells, "case")
    assert groups == {("a",): [{"x": ("a", 0)}, {"x": ("a", 1)}], ("b",): [{"x": ("b", 0)}, {"x": ("b", 1)}]}


def test_options(runner, tmp_path, capsys):
    parser = runner.parser("What it does.")
    options = parser.parse_args(["--data", str(tmp_path), "--quick", "--jobs", "3"])
    assert (options.data, options.quick, options.jobs) == (tmp_path, True, 3)
    for wrong in (["--jobs", "0"], ["--data", str(tmp_path / "none")]):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)
    assert "there is no folder" in capsys.readouterr().err
