"""How the house is built: imports go down, functions are short, no module is hidden, public names have examples."""

import ast
import doctest
import inspect
import subprocess
import typing
from importlib import import_module
from pathlib import Path

import pytest

import mnmf

ROOT = Path(__file__).parent.parent
AT_THE_ROOT = {
    *(".ci", ".gitignore", "benchmarks", "docs", "examples", "mnmf", "tests"),
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "pyproject.toml"),
}
PACKAGE = Path(mnmf.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# From the ground up.  A module imports from its own floor and from those below.
FLOORS = (
    ("errors", "_version", "rows"),
    ("files",),
    ("kernels", "directivity", "data"),
    ("spots", "stft", "metrics", "wiener", "segments", "loudness"),
    ("priors",),
    ("notes",),
    ("models",),
    ("methods",),
    ("output", "markers", "folders", "audio", "whose", "simulate", "datasets", "estimators"),
    ("take", "plan", "pairs", "align"),
    ("faults",),
    ("survey",),
    ("room",),
    ("separation",),
    ("inspected",),
    ("session",),
    ("manifest", "diagnostics", "draft"),
    ("score", "check", "unfinished", "daw", "listening", "plot"),
    ("report",),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# What stands beside the story, so that files never reach a model.
ARRAYS_ONLY = (
    "kernels",
    "models",
    "priors",
    "methods",
    "take",
    "plan",
    "pairs",
    "align",
    "faults",
    "survey",
    "room",
    "segments",
    "separation",
    "whose",
)
FILES_KNOW = (
    "audio",
    "check",
    "daw",
    "diagnostics",
    "draft",
    "folders",
    "listening",
    "manifest",
    "markers",
    "output",
    "report",
    "score",
    "session",
    "unfinished",
)
LONGEST = 60
SHORT_FUNCTIONS = (
    "cli",
    "daw",
    "diagnostics",
    "draft",
    "folders",
    "listening",
    "manifest",
    "markers",
    "plot",
    "report",
    "score",
    "separation",
    "session",
    "take",
    "whose",
)

PUBLIC = (
    "mnmf.align",
    "mnmf.audio",
    "mnmf.data",
    "mnmf.datasets",
    "mnmf.daw",
    "mnmf.diagnostics",
    "mnmf.directivity",
    "mnmf.estimators",
    "mnmf.folders",
    "mnmf.faults",
    "mnmf.listening",
    "mnmf.loudness",
    "mnmf.markers",
    "mnmf.methods",
    "mnmf.metrics",
    "mnmf.models",
    "mnmf.notes",
    "mnmf.pairs",
    "mnmf.plan",
    "mnmf.plot",
    "mnmf.priors",
    "mnmf.report",
    "mnmf.room",
    "mnmf.rows",
    "mnmf.simulate",
    "mnmf.stft",
    "mnmf.survey",
    "mnmf.take",
    "mnmf.wiener",
)


def room(path):
    """Return the first part of a module's name below the package: what a floor is made of."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Yield the rooms that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mnmf":
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            yield from names
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mnmf."))


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != PACKAGE or p.name != "__init__.py"], ids=str)
def test_imports_go_down(path):
    own = room(path)
    for other in imported(path):
        assert FLOOR[other] <= FLOOR[own], f"{path.name} imports {other}"
        if own in ARRAYS_ONLY:
            assert other not in FILES_KNOW, f"{path.name} imports {other}, which knows files"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in SHORT_FUNCTIONS], ids=str)
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < LONGEST, f"{path.name}: {node.name}"


def test_no_function_hides_its_module():
    for path in FILES:
        if path.name == "__init__.py":
            continue
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parent = import_module(".".join(("mnmf", *parts[:-1])))
        hidden = getattr(parent, parts[-1], None)
        assert hidden is None or inspect.ismodule(hidden), f"{'.'.join(parts)} is hidden by {hidden!r}"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_nothing_is_kept_that_a_command_left_behind():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    kept = listed.rstrip("\0").split("\0")
    assert {path.split("/")[0] for path in kept} == AT_THE_ROOT
    assert not [path for path in kept if path.endswith((".wav", ".quick.json", ".pyc"))]


def public_names():
    for name in mnmf.__all__:
        if not inspect.ismodule(getattr(mnmf, name)) and callable(getattr(mnmf, name)):
            yield "mnmf", name
    for module in PUBLIC:
        for name in import_module(module).__all__:
            if callable(getattr(import_module(module), name)):
                yield module, name


@pytest.mark.parametrize(("module", "name"), sorted({(m, n) for m, n in public_names()}))
def test_public_names_have_examples_that_run(module, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thing = getattr(import_module(module), name)
    if (
        getattr(thing, "_is_protocol", False)
        or typing.is_typeddict(thing)
        or (inspect.isclass(thing) and issubclass(thing, Exception))
    ):
        return
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return  # an alias of a type
    tests = [test for test in doctest.DocTestFinder().find(thing, name) if test.examples]
    assert any(test.name == name for test in tests), f"{module}.{name} has no example"
    for test in tests:
        failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test)
        assert failed == 0, test.name


@pytest.mark.slow
def test_mypy_finds_the_types_of_a_users_script(tmp_path):
    api = pytest.importorskip("mypy.api")
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from mnmf import FastMNMF2, Prior, Take, separate\n"
        "x_LM = np.zeros((8000, 2), np.float32)\n"
        "take = Take(x_LM, 8000, spots=(0, 1), sources=('violin', 'cello'))\n"
        "result = separate(take, method='fastmnmf2', seed=3)\n"
        "same = separate(x_LM, 8000, solos={'violin': (0.0, 1.0)}, ambient=[1])\n"
        "reveal_type(result.stems_LN)\n"
        "model = FastMNMF2(n_components=8).fit(x_LM, Prior(spots=(0, 1)))\n"
        "reveal_type(model)\n"
        "separate(take, methods='fastmnmf2')\n"
        "from mnmf import Seperation\n"
    )
    out, _, _ = api.run([str(script), "--no-incremental", "--follow-imports=silent", "--ignore-missing-imports"])
    assert 'Revealed type is "numpy.ndarray[' in out
    assert 'Revealed type is "mnmf.models.fastmnmf2.FastMNMF2"' in out
    assert 'Unexpected keyword argument "methods"' in out
    assert '"Separation"?' in out
    assert out.count("error:") == 2, out
