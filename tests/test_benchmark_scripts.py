"""Every benchmark says what it takes, and offers a quick run, without measuring anything."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("[a-z]*.py"))

pytestmark = pytest.mark.skipif(not SCRIPTS, reason="the benchmarks are not part of this distribution")


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_names_a_quick_run(name, monkeypatch, capsys):
    modules = dict(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(BENCHMARKS / name), run_name="__main__")
    finally:
        for own in [found for found, module in sys.modules.items() if _is_a_benchmark(module)]:
            if own not in modules:
                del sys.modules[own]
    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out.partition("options:")[2]


def _is_a_benchmark(module):
    return Path(getattr(module, "__file__", None) or "/").parent == BENCHMARKS
