"""That methods run in the benchmarks as they do for users."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnmf import METHODS, Method, Session, audio, markers, separate
from mnmf.markers import Passage

FOLDER = Path(__file__).parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution"),
]

RATE = 16000
NAMES = ("violin", "viola")
FAST = {"window": 0.064, "components": 4, "iterations": 2}


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])


@pytest.fixture
def case(rng):
    from _cases import Case

    mixing_MN = np.array([[0.3, 1.0], [1.0, 0.2], [0.5, 0.5]])
    truth_LN = rng.standard_normal((RATE, 2)) * [3.0, 1.0]
    solos = {}
    for kind, seconds in {"solo": [(0.1, 0.5), (0.5, 1.0)], "clap": [(0.0, 0.4), (0.4, 0.9)]}.items():
        alone_LM = np.concatenate([rng.standard_normal((RATE // 2, 1)) * mixing_MN[:, n] for n in range(2)])
        solos[kind] = (alone_LM + 0.01, seconds)
    return Case("noise", RATE, truth_LN @ mixing_MN.T + 0.5, truth_LN, (1, 0), NAMES, solos)


@pytest.mark.parametrize(("method", "kind"), [("fastmnmf2", None), ("fastmnmf2", "clap"), ("mnmf-fixh", "solo")])
def test_a_case_gives_the_stems_that_its_files_would(case, tmp_path, method, kind):
    peak = max(np.abs(x_LM).max() for x_LM in (case.mixture_LM, *(x_LM for x_LM, _ in case.solos.values())))
    audio.write(tmp_path / "take.wav", case.mixture_LM / peak, RATE, "FLOAT")
    solos = {}
    if kind:
        solo_LM, seconds = case.solos[kind]
        audio.write(tmp_path / "solos.wav", solo_LM / peak, RATE, "FLOAT")
        markers.write_audacity(
            tmp_path / "solos.txt", [Passage(name, *span) for name, span in zip(NAMES, seconds, strict=True)]
        )
        solos = {"solos": tmp_path / "solos.txt", "solo_take": tmp_path / "solos.wav"}
    spots = dict(zip(NAMES, (2, 1), strict=True))
    session = Session.open(tmp_path / "take.wav", sources=NAMES, spots=spots, ambient=[3], **solos)
    recipe = replace(METHODS[method], **FAST)
    done = separate(case.take(kind), method=recipe)
    np.testing.assert_array_equal(done.stems_LN, separate(session, method=recipe).stems_LN)
    assert done.stems_LN.dtype == np.float32
    import _measure

    stems_LN = _measure.separate(case, recipe, kind)
    np.testing.assert_allclose(stems_LN / peak, done.stems_LN, rtol=1e-6)


def test_every_method_is_given_all_that_it_takes(case):
    import methods

    takes = {kind: case.take(kind) for kind in (None, *case.solos)}
    given = {method: [way[0] for way in methods.ways(method, takes)] for method in METHODS}
    assert given["fastmnmf2"] == ["solos", "claps", "nothing"]
    assert given["fastmnmf2-blind"] == ["nothing"]
    assert given["ilrma"] == []  # there are more microphones than sources
    assert given["mnmf-fixh"] == given["ntf-panning-notes"] == ["solos", "claps, dictionary"]
    assert given["mnmf-blind"] == ["solos", "dictionary"]
    assert given["ntf-panning"] == ["solos", "claps", "claps, dictionary"]
    only_solos = {kind: takes[kind] for kind in (None, "solo")}
    assert [way[0] for way in methods.ways("kamir", only_solos)] == ["solos", "nothing"]


def test_a_model_may_see_the_microphones_as_loud_as_they_were_recorded(case):
    import _measure

    seen = []

    class Listener:
        def fit(self, X_FTM, prior, **_):
            seen.append((X_FTM, prior))

        def images(self, X_FTM, source, mics):
            return X_FTM[..., mics]

    def prior(evidence, n_components, rng):
        return evidence

    listens = Method(
        name="", summary="", citation="", model=lambda *_: Listener(), prior=prior, iterations=1, window=0.064,
        solos="useful",
    )  # fmt: skip
    take = case.take("solo")
    done = separate(take, method=_measure.as_recorded(listens, take))
    X_FTM, evidence = seen[0]
    expected_FTM = done.analysis.analyse(take.x_LM - take.x_LM.mean(axis=0))
    np.testing.assert_allclose(X_FTM, expected_FTM, atol=1e-4)
    np.testing.assert_array_equal(evidence.X_FTM, X_FTM)
    solo_FTM, _ = done.levels.solos(take, done.analysis)
    np.testing.assert_allclose(evidence.solo[0] * done.levels.gains_M, solo_FTM, rtol=1e-5)
    np.testing.assert_allclose(done.stems_LN, take.x_LM[:, [1, 0]], atol=1e-5)
