"""The headline of a figure must follow from the results, and be what the docs say beside it."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
NAMES = ("initialisations", "interference", "neural_prior", "robustness", "rooms_and_layouts")

pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason="the benchmarks are not part of this distribution")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def document(name):
    return json.loads((BENCHMARKS / "results" / f"{name}.json").read_text("utf-8"))


def where_starts_win(found):
    for each in found["cells"]:
        if each["cell"]["start"] == "truth: Q":
            each["result"]["delta_sdr"][-1] = [30.0, 30.0, 30.0]


def a_hall_is_no_obstacle(found):
    found["summary"]["hall"]["time-domain, solos"]["delta_sdr"] = [5.0, 1.0]


def estimates_harm(found):
    for each in found["cells"]:
        if each["cell"]["sdr"] == 0:
            each["result"]["delta_sdr"] = [-1.0] * len(each["result"]["delta_sdr"])


def solos_harm_moved_players(found):
    for row in found["summary"]:
        if row["axis"] == "moved":
            row["solos_add"] = [-1.0, 0.5]


def solos_harm_in_a_scene(found):
    each = next(each for each in found["cells"] if each["cell"]["room"] == "R1" and each["cell"]["distance_cm"] == 25)
    each["result"]["fastmnmf2, solos"]["delta_snr"] = [0.0] * 4


CHANGES = (where_starts_win, a_hall_is_no_obstacle, estimates_harm, solos_harm_moved_players, solos_harm_in_a_scene)


@pytest.mark.parametrize(
    ("name", "change", "gone"),
    [
        (name, change, gone)
        for name, change, gone in zip(NAMES, CHANGES, ("are do not", "nothing", "help", "Nothing", "all 36"))
    ],
)
def test_a_headline_changes_with_the_results(load, name, change, gone):
    script, found = load(name), document(name)
    assert gone in script.title(found)
    change(found)
    assert gone not in script.title(found)


@pytest.mark.parametrize("name", NAMES)
def test_who_cannot_see_the_figure_reads_its_headline(load, name):
    (page,) = (
        ROOT / "docs" / page for page in ("neural.md", "results.md") if (page == "neural.md") == ("neural" in name)
    )
    assert f"![{load(name).title(document(name))}](images/{name}.png)" in page.read_text("utf-8")


def test_a_figure_is_the_same_each_time(load, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    figures, script, found = load("_figures"), load("interference"), document("interference")
    written = []
    for folder in ("a", "b"):
        monkeypatch.setattr(figures, "IMAGES", tmp_path / folder)
        script.draw(found)
        written.append((tmp_path / folder / "interference.png").read_bytes())
    assert written[0] == written[1]


def test_robustness_is_drawn_for_whatever_method_was_measured(load, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(load("_figures"), "IMAGES", tmp_path)
    script = load("robustness")
    found = json.loads(json.dumps(document("robustness")).replace('"mnmf, ', '"mnmf-is, '))
    solos_harm_moved_players(found)
    # As in a run without an axis of gains.
    found["summary"] = [row for row in found["summary"] if row["axis"] not in ("gain", "gains")]
    assert script.draw(found).stat().st_size > 0
    assert "Of 11 things" in script.title(found)


def test_labels_are_moved_apart(load):
    apart = load("_figures").apart
    assert apart([11.6, 11.2, 13.0], 0.9) == pytest.approx([12.1, 11.2, 13.0])
    assert apart([1.0, 1.0, 1.0], 1.0) == [1.0, 2.0, 3.0]
