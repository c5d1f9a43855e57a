"""The notebooks of examples/: small, without outputs, and they run."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
RUN = """
import sys, nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
client = NotebookClient(book, timeout=400, kernel_name="python3", resources={"metadata": {"path": sys.argv[2]}})
nbformat.write(client.execute(), sys.argv[2] + "/executed.ipynb")
"""

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are not part of this distribution")


def cells_of(path, kind="code"):
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def test_there_is_one_for_engineers_and_one_for_researchers():
    assert [path.stem for path in NOTEBOOKS] == ["engineer", "researcher"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs_and_tell_what_they_do(path):
    assert path.stat().st_size < 20_000
    for cell in cells_of(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        ast.parse("".join(cell["source"]))
        assert max(len(line) for line in "".join(cell["source"]).splitlines()) <= 120
    assert len(cells_of(path, "markdown")) >= len(cells_of(path))
    for link in re.findall(r"\]\(([^)#]+)\)", "".join("".join(cell["source"]) for cell in cells_of(path, "markdown"))):
        assert (EXAMPLES / link).exists(), link


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return what running a notebook printed, and how many pictures and sounds it shows."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")

    def run(name):
        folder = tmp_path_factory.mktemp(name)
        # The kernel finds the package that is tested here, and shows pictures as a browser would.
        environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
        environment["PYTHONPATH"] = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-c", RUN, str(EXAMPLES / f"{name}.ipynb"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-4000:]
        outputs = [output for cell in cells_of(folder / "executed.ipynb") for output in cell["outputs"]]
        printed = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stdout")
        warned = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stderr")
        assert warned == ""
        shown = [output.get("data", {}) for output in outputs]
        sounds = sum("<audio" in "".join(data.get("text/html", "")) for data in shown)
        return printed, sum("image/png" in data for data in shown), sounds

    return run


@pytest.mark.notebook
def test_the_engineers_take_separates_and_nulls(executed):
    printed, pictures, sounds = executed("engineer")
    assert "viola: mic 3" in printed
    (null_db,) = re.findall(r"take minus all parts: (-?\d+) dB", printed)
    assert int(null_db) < -100
    assert (pictures, sounds) == (2, 3)


@pytest.mark.notebook
def test_the_researchers_comparison_comes_out_as_it_says(executed):
    printed, pictures, _ = executed("researcher")
    rows = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in printed.splitlines()[1:]}
    assert rows["fixH"][-1] > rows["updtH"][-1] > rows["blind"][-1]
    assert rows["fixH"][-1] > 5
    assert all(len(values) == 5 for values in rows.values())
    assert pictures == 5
