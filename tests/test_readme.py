"""What README and docs say is what was measured, and its commands are those that are run."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from mnmf import METHODS

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "readme.py"

# Signed decimals, and whole numbers of what is measured, too.
TYPED = re.compile(r"(?<![\w.])[+±−-]\d+\.\d+|\d ?(dB|ms|MB)\b|\d\.\d+ ?s\b")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
KEYS = re.compile(r"omni22|R6L5|R5L4d40|\w+_(?:op|bwv|k)\d+\w*")  # of takes and pieces
# What was set or is given, not measured.
CONDITIONS = (
    "windows of 46 ms",
    "windows of 64 ms",
    "bleed about 10 dB below the own sound",
    "−40 dB of |x|^α",
    "6 dB per octave",
    "0.37 to 1.49 s",
    "0.74 s",  # windows
    "1.49 s",
    "2.97 s",
    "more than 2 ms",
    "Less than 2 ms",
    "microphones at -60 dB",
    "at most ±0.1",  # limits of Recommendation ITU-R BS.1534-3
    "at least 25 dB",
    "50 dB less at",
    "over 10 ms",
)
DOCS = [page for page in ROOT.glob("docs/**/*.md") if page.parent != ROOT / "docs" / "api" / "made"]

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
        assert script.fill(page) == page, f"{name} is stale; run python benchmarks/readme.py"


def test_no_decibels_or_seconds_are_typed_by_hand(script):
    for page in (ROOT / "README.md", *DOCS):
        assert typed(script.BLOCK.sub("", page.read_text("utf-8"))) == [], page.name


def test_takes_have_names_in_sentences_and_keys_in_tables_only():
    for page in (ROOT / "README.md", *DOCS):
        lines = CODE.sub("", page.read_text("utf-8")).splitlines()
        assert [line for line in lines if KEYS.search(line) and not line.startswith("|")] == [], page.name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 100


@pytest.mark.parametrize("claim", ["gains 12 dB", "it gains\n+8.3", "by −0.5 ± 0.2", "in 1.5 s", "takes 300 MB"])
def test_what_is_typed_by_hand_is_found(claim):
    assert typed(f"With γ1 = 0.1 {claim}, in windows of 64 ms of `x = -1.5`.")


def test_a_package_index_shows_no_path_of_ours():
    page = (ROOT / "README.md").read_text("utf-8")
    assert "](docs/files.md)" in page
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for change in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(change["pattern"], change["replacement"], page)
    assert re.findall(r"\]\((?!https?://)[^)]*\)", CODE.sub("", page)) == []
    assert "[Audacity labels](https://manual.audacityteam.org" in page
    assert "how to add a method." in page


def typed(text):
    text = " ".join(CODE.sub("", text).split())
    for condition in CONDITIONS:
        text = text.replace(condition, "")
    return [text[max(0, found.start() - 20) : found.end()] for found in TYPED.finditer(text)]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_documented(method):
    pages = (ROOT / "docs" / "methods").glob("*.md")
    said = re.compile(rf"`{re.escape(method)}`|--method {re.escape(method)}\s")
    assert any(said.search(page.read_text("utf-8")) for page in pages if page.name != "index.md")


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", *DOCS]:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(#[^)]*)?\)", page.read_text("utf-8")):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name}: {target}"
            if anchor and found.suffix == ".md":
                assert anchor[1:] in anchors(found), f"{page.name}: {target}{anchor}"


def anchors(page):
    """The headings of a page as GitHub names them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
