"""That methods run in the benchmark as they do for users."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution")


@pytest.mark.parametrize(("quick", "given"), [(False, {None}), (True, {2})])
def test_the_number_of_iterations_is_left_to_the_method(monkeypatch, quick, given):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    import _measure
    import methods
    from _cases import Case

    noise_LN = np.random.default_rng(0).standard_normal((16000, 2))
    passages = {kind: (noise_LN, [(0.0, 0.5), (0.5, 1.0)]) for kind in ("solo", "clap")}
    case = Case("noise", 16000, noise_LN, noise_LN, (0, 1), ("violin", "viola"), passages)
    seen = {}

    def separate(session, method, *, seed, iterations, dictionary):
        seen[dictionary is not None] = iterations
        return SimpleNamespace(stems_LN=noise_LN, seconds={"fit": 0.0})

    monkeypatch.setattr(methods, "case_named", lambda *_: case)
    monkeypatch.setattr(methods, "separate", separate)
    monkeypatch.setattr(_measure, "QUICK_ITERATIONS", 2)
    methods.measure({"case": "noise", "method": "ntf-panning", "seed": 0}, quick=quick)
    assert set(seen) == {False, True}
    assert set(seen.values()) == given
