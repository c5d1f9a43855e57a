"""What README and docs say is what was measured, and its commands are those that are run."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "readme.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not part of this distribution")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("readme_figures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_is_the_measured_one(script):
    for name in script.PAGES:
        page = (ROOT / name).read_text("utf-8")
        assert script.BLOCK.search(page), name
        assert script.fill(page) == page, f"{name} is stale; run python benchmarks/readme.py"


def test_no_decibels_or_seconds_are_typed_by_hand(script):
    for name in script.PAGES:
        typed = script.BLOCK.sub("", (ROOT / name).read_text("utf-8"))
        assert not re.search(r"\d\.\d+ ?(dB|s|ms|MB)\b", typed), name


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
