"""Chromium for the tests that look at pages, driven by playwright; or a word that it is not there."""

import os
import shutil
from contextlib import contextmanager
from importlib import import_module

import pytest

ARGUMENTS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
GRAVE = ("serious", "critical")


def chromium():
    """Return where it is, as $CHROMIUM or $PATH says."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    return found or missing("there is no chromium; install it, or name it in $CHROMIUM")


def needed(module, extra):
    """Return a module that an extra has."""
    try:
        return import_module(module)
    except ImportError:
        missing(f"{module} is not installed; see the extra `{extra}`")


def missing(what):
    """Skip a test for want of a tool; under $CI, where nobody reads what was skipped, fail."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(what)
    pytest.skip(what)


def running():
    """Yield a browser without a window."""
    path = chromium()
    with needed("playwright.sync_api", "browser").sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def watched(browser):
    """Give a function that opens an address; at the end nothing may have been asked of others or have gone wrong."""
    pages, wrong = [], []

    def opened(address, size, scheme, own):  # what begins as `own` may be asked for
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(("data:", own)) or wrong.append(asked.url[:80]))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert wrong == []


def grave_faults(page):
    """Return what axe-core finds on a page that would keep people out: rule and elements of each."""
    axe = needed("axe_playwright_python.sync_playwright", "browser")
    # Style sheets are not loaded once more for axe: a page from a file may not do that.
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found if each["impact"] in GRAVE]
