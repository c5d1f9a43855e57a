"""The site, in a real browser: who uses a keyboard, a screen reader or a phone can read all of it.

It is built without a network; $MNMF_SITE names a folder of one that is built already.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import browsers
from tests.browsers import SIZES, grave_faults

ROOT = Path(__file__).parent.parent
# The first, code, players, wide tables, and what comes from docstrings.
PAGES = ("index", "start/researcher", "listen", "results", "api/made/mnmf.daw")
FILES = ("engineer.ipynb", "researcher.ipynb", "solo_prior_separation.py", "render_note_library.py")

pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the pages are not part of this distribution")


@pytest.mark.parametrize("said", ["true", "1"])
def test_what_nobody_would_see_skipped_fails(monkeypatch, said):
    monkeypatch.setenv("CI", said)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(pytest.fail.Exception, match="there is no chromium"):
        browsers.chromium()
    with pytest.raises(pytest.fail.Exception, match="no_such is not installed; see the extra `site`"):
        browsers.needed("no_such", "site")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        browsers.chromium()


@pytest.mark.parametrize(
    ("work", "status"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("socket.create_connection(('127.0.0.1', 9))", 1),
        ("try: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass", 1),
    ],
)
def test_who_asks_the_network_is_found_out(tmp_path, work, status):
    (tmp_path / "asks.py").write_text(f"import socket\n{work}\n")
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.offline", "asks"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == status
    assert ("socket." in done.stderr) == (status == 1)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; its sounds, which take a separation, are left out."""
    if there := os.environ.get("MNMF_SITE"):
        return Path(there)
    browsers.needed("sphinx", "site")
    browsers.needed("furo", "site")
    target = tmp_path_factory.mktemp("site")
    (target / "sounds").mkdir()
    (target / "sounds" / "done").touch()
    command = ["-m", "tests.offline", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html", "docs"]
    done = subprocess.run([sys.executable, *command, target], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def opened(browser, site):
    """A function that opens a page."""
    with browsers.watched(browser) as opens:
        yield lambda name, size="desk", scheme="light": opens((site / f"{name}.html").as_uri(), size, scheme, "file:")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_grave_fault(opened, name, size, scheme):
    page = opened(name, size, scheme)
    page.wait_for_timeout(100)  # sizes are looked at after the first frame
    assert grave_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


@pytest.mark.browser
def test_a_wide_table_is_scrolled_by_keys_and_the_page_stays(opened):
    page = opened("results", "phone")
    wide = page.locator(".table-wrapper[tabindex='0']").first
    assert wide.get_attribute("aria-label").startswith("Table: ")
    wide.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert wide.evaluate("each => each.scrollLeft") > 0
    assert page.url.endswith("/results.html")
    assert opened("index").locator("pre[tabindex]").count() == 0  # what is not scrolled is not in the way


@pytest.mark.browser
def test_the_pages_are_found_by_keys_on_a_phone(opened):
    page = opened("index", "phone")
    button = page.get_by_role("button", name="Pages of this site")
    button.focus()
    assert button.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    page.wait_for_timeout(600)
    assert page.locator(".sidebar-drawer").bounding_box()["x"] >= 0


@pytest.mark.browser
@pytest.mark.parametrize("name", FILES)
def test_examples_can_be_had_from_the_site(site, name):
    there = list(site.rglob(name))
    assert [path.read_bytes() for path in there] == [(ROOT / "examples" / name).read_bytes()]
    (place,) = (path.relative_to(site).as_posix() for path in there)
    pages = {path.stem for path in site.rglob("*.html") if place in path.read_text("utf-8")}
    assert pages - {"index"}, "no page but the first leads to it"
