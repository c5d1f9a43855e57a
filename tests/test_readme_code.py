"""The Python of README, CONTRIBUTING and of the first page for researchers runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from mnmf import METHODS, data, markers, separate
from mnmf.markers import Passage

ROOT = Path(__file__).parent.parent
RATE = 4000

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the pages are not part of this distribution")


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """A folder such as `mnmf demo` leaves, but with short files: four players, each heard by all mics."""
    quartet = data.quartet()
    step = round(quartet.sample_rate / RATE)
    mixing_MN = 0.2 + 0.8 * np.eye(4)
    solos_LM = np.concatenate([quartet.solos_LN[: 2 * RATE * step : step, [n]] * mixing_MN[:, n] for n in range(4)])
    folder = tmp_path / "demo"
    folder.mkdir()
    sf.write(folder / "mixture.flac", quartet.stems_LN[: 2 * RATE * step : step] @ mixing_MN.T, RATE)
    sf.write(folder / "solos.flac", solos_LM, RATE)
    passages = [Passage(name, 2.0 * n, 2.0 * n + 2.0) for n, name in enumerate(quartet.names)]
    markers.write_audacity(folder / "solos.txt", passages)
    monkeypatch.chdir(tmp_path)
    return folder


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


def test_the_readme_opens_with_three_lines_that_separate(demo):
    first, *_ = blocks("README.md")
    assert len([line for line in first.splitlines() if line]) == 3
    known = {}
    exec(first, known)
    assert known["stems_LN"].shape == (2 * RATE, 4)


@pytest.mark.slow
def test_the_layers_that_researchers_are_shown_are_the_whole(demo):
    known = {}
    window = METHODS["fastmnmf2"].analysis(RATE).window_length  # what 32768 samples are at 44.1 kHz
    for block in blocks("docs/start/researcher.md"):
        if "reference.flac" not in block:
            exec(block.replace("window_length=32768, hop=8192", f"window_length={window}, hop={window // 4}"), known)
    images_LMN = np.stack([known["separation"].image(n) for n in range(4)], axis=2)
    whole_LM = images_LMN.sum(axis=2) + known["separation"].residual_LM
    np.testing.assert_allclose(whole_LM, known["x_LM"], atol=1e-6)
    assert known["viola_L"].tobytes() == images_LMN[:, 0, 2].tobytes()
    whole = separate(known["session"], method="fastmnmf2")
    assert known["viola_LM"][:, 2].tobytes() == whole.stems_LN[:, 2].tobytes()


def test_the_recipe_that_contributors_are_shown_runs(capsys):
    (block,) = blocks("CONTRIBUTING.md")
    exec(block, {})
    assert capsys.readouterr().out == "(8000, 2)\n"
