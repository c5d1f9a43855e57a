"""The page of a report in a real browser: Chromium without a window, driven by playwright.

``pip install -e '.[browser]'`` and Debian's ``chromium`` are needed; ``pytest -m browser`` runs them.
"""

import base64
import json

import numpy as np
import pytest

from mnmf.report import write_report
from tests.browsers import SIZES, grave_faults, watched
from tests.test_report import DIAGNOSTICS, HOSTILE, RATE, folder_of, room, with_a_buried_place

pytestmark = pytest.mark.browser
SECONDS = 2  # of what is compared sample by sample
MIXED = """
async ([number, mode, decibels, matched, length, rate]) => {
  const known = JSON.parse(document.getElementById("facts").textContent).players[number];
  const where = new OfflineAudioContext(1, length, rate);
  const buffer = await mnmf.decoded(where, number);
  const nodes = mnmf.build(where, buffer, mnmf.gains(known, mode, decibels, matched));
  nodes.source.start();
  const heard = (await where.startRendering()).getChannelData(0);
  const all = [heard, buffer.getChannelData(0), buffer.getChannelData(1)].map((x) => x.slice(0, length));
  return all.map((x) => btoa([...new Uint8Array(x.buffer)].map((byte) => String.fromCharCode(byte)).join("")));
}
"""


def mixed(page, number, mode, decibels, matched=False, seconds=SECONDS):
    """Return what the page plays, and both channels of its clip, rendered by the page's own graph."""
    made = page.evaluate(MIXED, [number, mode, decibels, matched, round(seconds * RATE), RATE])
    return [np.frombuffer(base64.b64decode(each), np.float32).astype(float) for each in made]


def until(page, expression):
    """Wait until something is true; the page itself may not evaluate text, as its policy forbids that."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {expression}")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Pages by name: of a plain take, of one with all there can be on a page, and of one with bleed left in a file."""
    place = tmp_path_factory.mktemp("reports")
    full = folder_of(
        place / "full", ("violin", "first 'cello", "bass"), facts={"diagnostics": DIAGNOSTICS}, seconds=20.0
    )
    record = json.loads((full / "manifest.json").read_text())
    record["sources"][0] |= {"solos": [[0.0, 2.5]], "margin_db": 9.25, "mic_names": [HOSTILE]}
    (full / "manifest.json").write_text(json.dumps(record))
    return {
        "plain": write_report(folder_of(place / "plain")),
        "full": write_report(full, reference=[truth(place, 3)]),
        "left": write_report(folder_of(place / "left", reduction=12.0)),
    }


def truth(place, count):
    import soundfile

    path = place / "truth.wav"
    soundfile.write(path, room(tuple("abc"[:count]), seconds=20.0)[0], RATE, subtype="PCM_24")
    return path


@pytest.fixture
def opened(browser, reports):
    """A function that opens a page, which asks for nothing but itself."""
    with watched(browser) as opens:

        def opened(name="plain", size="desk", scheme="light", path=None):
            address = (path or reports[name]).as_uri()
            return opens(address, size, scheme, address)

        yield opened


def at(page, number=0):
    return page.evaluate("number => mnmf.players.get(number).position", number)


def now(page):
    return page.evaluate("performance.now() / 1000")


def test_a_page_opens_without_a_word(opened):
    for name in ("plain", "full", "left"):
        page = opened(name)
        assert page.locator("h1").inner_text().endswith("each in a file of their own")
        assert page.evaluate(
            "document.images.length > 3 && [...document.images].every((image) => image.naturalWidth > 50)"
        )


def test_the_switch_keeps_its_position_while_it_plays(opened):
    page = opened()
    page.get_by_role("button", name="Play violin").click()
    until(page, "mnmf.players.get(0).position > 0.3")
    source = page.evaluate_handle("mnmf.players.get(0).nodes.source")
    places = [(now(page), at(page))]
    for mode in ("stem", "residual", "original"):
        page.locator(f"#player-0 input[value={mode}]").check()
        page.wait_for_timeout(150)
        places.append((now(page), at(page)))
    assert page.evaluate("source => mnmf.players.get(0).nodes.source === source", source)  # it was not started anew
    passed = np.diff(places, axis=0)
    assert np.all(passed[:, 1] > 0.1)
    np.testing.assert_allclose(passed[:, 1], passed[:, 0], atol=0.15)


def test_the_keys_do_the_same(opened):
    page = opened()
    page.keyboard.press("Space")
    until(page, "mnmf.players.get(0).position > 0.1")
    for key, mode in (("2", "stem"), ("3", "residual"), ("1", "original")):
        page.keyboard.press(key)
        assert page.evaluate("mnmf.players.get(0).mode") == mode
        assert page.evaluate("mnmf.players.get(0).begun !== null")
    page.keyboard.press("Space")
    assert page.evaluate("mnmf.players.get(0).begun === null")
    stopped = at(page)
    assert stopped > 0.1
    page.locator("#keys").uncheck()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("3")
    assert page.evaluate("mnmf.players.get(0).mode") == "original"
    page.locator("#player-1 .play").focus()
    page.keyboard.press("3")
    assert page.evaluate("[0, 1].map((n) => mnmf.players.get(n).mode)") == ["original", "residual"]
    assert at(page) == stopped


def test_one_player_plays_at_a_time_and_goes_on_where_it_was(opened):
    page = opened()
    page.locator("#player-0 .play").click()
    until(page, "mnmf.players.get(0).position > 0.3")
    page.locator("#player-1 .play").click()
    until(page, "mnmf.players.get(1).position > 0.1")
    assert page.evaluate("mnmf.players.get(0).begun === null")
    rested = at(page)
    page.locator("#player-0 .play").click()
    until(page, "mnmf.players.get(0).begun !== null")
    assert rested <= at(page) < rested + 1


def test_a_region_loops(opened):
    page = opened()
    plot = page.locator("#player-0 [data-plot]").first
    box = plot.bounding_box()
    across = [box["x"] + box["width"] * part for part in (0.5, 0.55)]
    page.mouse.move(across[0], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(across[1], box["y"] + 20)
    page.mouse.up()
    low, high = page.evaluate("mnmf.players.get(0).loop")
    assert (low, high) == pytest.approx((6.0, 6.6), abs=0.1)
    page.locator("#player-0 .play").click()
    until(page, "mnmf.players.get(0).begun !== null")
    page.wait_for_timeout(1500)
    assert page.evaluate("mnmf.players.get(0).begun !== null")
    assert low <= at(page) <= high
    assert page.evaluate("const s = mnmf.players.get(0).nodes.source; [s.loop, s.loopStart, s.loopEnd]") == [
        True,
        low,
        high,
    ]


def test_every_control_is_reached_by_tab_and_shows_it(opened):
    page = opened()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const at = document.activeElement, shown = at.closest("label")?.querySelector("span") ?? at;
              const outline = [at, shown].some((each) => parseFloat(getComputedStyle(each).outlineWidth) >= 2);
              return [at.className || at.id || at.tagName, outline];
            }"""
        )
        assert seen[1], seen
        reached.add(seen[0])
    assert {"skip", "matched", "keys", "play", "turn", "at", "loops", "low", "high", "copy"} <= reached
    page.locator("#player-0-dial").focus()
    page.keyboard.press("Home")
    assert page.locator("#player-0-told").inner_text() == "as recorded"
    page.keyboard.press("ArrowRight")
    assert page.locator("#player-0-told").inner_text() == "1 dB down"
    assert page.locator("#player-0-dial").get_attribute("aria-valuetext") == "1 dB down"


@pytest.mark.parametrize("decibels", [0, 3, 10, 40, 41])
def test_the_dial_turns_bleed_down_by_what_it_says(opened, decibels):
    page = opened()
    heard_L, x_L, s_L = mixed(page, 0, "stem", decibels, False)
    g = 0.0 if decibels == 41 else 10 ** (-decibels / 20)
    rest_L = x_L - s_L
    left = np.dot(heard_L - s_L, rest_L) / np.dot(rest_L, rest_L)
    assert left == pytest.approx(g, abs=1e-4)
    np.testing.assert_allclose(heard_L, s_L + g * rest_L, atol=1e-5)


def test_the_dial_is_that_of_the_reduction(opened):
    """What the page plays is what `--reduction` writes, of the same samples."""
    from mnmf import STFT, Take
    from mnmf.methods import METHODS
    from mnmf.separation import Stems
    from mnmf.take import Levels

    page = opened()
    heard_L, x_L, s_L = mixed(page, 0, "stem", 7, False)
    take = Take(x_L[:, None], RATE, sources=["violin"])
    stems = Stems(
        take=take,
        stems_LN=s_L[:, None],
        method=METHODS["mnmf"],
        levels=Levels.of(take),
        parameters={"analysis": STFT(512, 128)},
        seconds={},
    )
    np.testing.assert_allclose(heard_L, stems.reduced("violin", 7.0), atol=1e-5)


def test_original_and_residual_are_what_they_say(opened):
    page = opened()
    for mode, (gx, gs) in {"original": (1, 0), "residual": (1, -1)}.items():
        heard_L, x_L, s_L = mixed(page, 1, mode, 20, False)
        np.testing.assert_allclose(heard_L, gx * x_L + gs * s_L, atol=1e-5)


def test_all_are_equally_loud_if_that_is_wanted(opened):
    page = opened()
    wanted = [("original", 41), ("stem", 41), ("stem", 6), ("residual", 41)]
    heard = {matched: [mixed(page, 0, *each, matched, seconds=12)[0] for each in wanted] for matched in (True, False)}
    levels = {key: [10 * np.log10(np.mean(np.square(x_L))) for x_L in each] for key, each in heard.items()}
    assert np.ptp(levels[True]) < 1.0
    assert np.ptp(levels[False]) > 5.0
    assert all(np.abs(x_L).max() <= 1 for x_L in heard[True])


def test_the_dial_shows_the_command_that_renders_it(opened):
    page = opened("full")
    commands = page.locator("#command")
    assert commands.inner_text() == "mnmf separate 'my take.wav' --overwrite"
    page.locator("#player-0-dial").fill("10")
    shown = page.locator("#player-0 .command").inner_text()
    assert shown == "mnmf separate 'my take.wav' --reduction violin=10 --overwrite"
    assert page.evaluate("mnmf.players.get(0).mode") == "stem"  # or one would not hear it
    page.locator("#player-1-dial").fill("0")
    said = "mnmf separate 'my take.wav' --reduction violin=10 --reduction 'first '\\''cello=0' --overwrite"
    assert commands.inner_text() == said
    page = opened("left")
    assert page.locator("#player-0-told").inner_text() == "12 dB down"
    page.locator("#player-0-dial").fill("41")
    assert page.locator("#player-0 .command").inner_text() == "mnmf separate … --reduction violin=inf --overwrite"


def test_a_hostile_name_stays_text(opened, tmp_path, monkeypatch):
    monkeypatch.setattr("mnmf.manifest.check_file_names", lambda *names: None)  # no such name can be that of a file
    names = (HOSTILE, "</script><script>alert(2)</script>", "a' onmouseover='alert(3)")
    loud = DIAGNOSTICS | {"warnings": [HOSTILE], "solo_seconds": {}, "command": ["mnmf", HOSTILE]}
    path = write_report(folder_of(tmp_path / "a", names, facts={"diagnostics": loud, "method": HOSTILE}))
    page = opened(path=path)
    page.wait_for_timeout(200)
    assert page.locator("h3").first.inner_text() == HOSTILE
    assert page.locator("img[src='x'], [onerror], [onmouseover]").count() == 0
    page.locator("#player-0-dial").fill("10")
    assert f"--reduction '{HOSTILE}=10'" in page.locator("#player-0 .command").inner_text()
    page.locator("#player-0 .play").click()
    until(page, "mnmf.players.get(0).position > 0.1")
    assert page.locator("#player-0 .play").get_attribute("aria-label") == f"Pause {HOSTILE}"


def test_a_place_to_check_is_played(opened, tmp_path):
    page = opened(path=write_report(with_a_buried_place(tmp_path / "a", 4.0, 6.0)))
    page.get_by_role("button", name="Listen to violin from").click()
    until(page, "mnmf.players.get(0).begun !== null")
    assert 3.8 <= at(page) <= 6.2
    assert page.evaluate("mnmf.players.get(0).mode") == "stem"
    assert page.evaluate("mnmf.players.get(0).loop[0]") == pytest.approx(4.0, abs=0.2)


def test_a_place_that_no_excerpt_has_can_be_played_where_it_is_named(opened, tmp_path):
    page = opened(path=write_report(with_a_buried_place(tmp_path / "a", 2.0, 5.0, seconds=40.0)))
    page.locator("#check summary").click()
    page.locator("#player-2 .play").click()
    until(page, "mnmf.players.get(2).position > 0.1")
    assert page.evaluate("mnmf.players.get(2).known.start") == pytest.approx(1.0, abs=0.2)
    page.locator("#player-2-dial").fill("6")
    assert "--reduction violin=6" in page.locator("#player-2 .command").inner_text()
    assert "--reduction" not in page.locator("#command").inner_text()  # which is of the dials above


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["full", "left"])
def test_axe_finds_no_grave_fault(opened, name, size, scheme):
    assert grave_faults(opened(name, size, scheme)) == []


@pytest.mark.parametrize("size", SIZES)
def test_a_page_is_no_wider_than_its_window(opened, size):
    page = opened("full", size)
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
