"""Reconstructions that only a benchmark makes."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mnmf import FastMNMF2
from mnmf.spots import Spots

FOLDER = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not part of this distribution")

N, F, T = 2, 3, 5
SPOTS = Spots([0, 1])


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(FOLDER))
    try:
        import solo_priors
    finally:
        sys.path.pop(0)
    return solo_priors


def test_the_filter_of_a_model_of_magnitudes_inverts_what_it_knows_exactly(script, rng):
    S_FTN = rng.standard_normal((F, T, N)) + 1j * rng.standard_normal((F, T, N))
    A_FMN = rng.standard_normal((F, N, N)) + 1j * rng.standard_normal((F, N, N))
    rooted_FMN = A_FMN / np.sqrt(np.abs(A_FMN))
    model = SimpleNamespace(
        W_=np.abs(S_FTN).transpose(2, 0, 1),
        H_=np.stack([np.eye(T)] * N),
        R_=np.einsum("fin,fjn->nfij", rooted_FMN, rooted_FMN.conj()),
        spots_=SPOTS,
    )
    images_FTN = np.einsum("fnn,ftn->ftn", A_FMN, S_FTN)
    found_FTN = script.filtered(model, np.einsum("fmn,ftn->ftm", A_FMN, S_FTN))
    assert np.abs(found_FTN - images_FTN).max() < 1e-3 * np.abs(images_FTN).max()


def test_the_mask_is_the_share_of_the_covariances_that_the_model_has_there(script, rng):
    X_FTM = rng.standard_normal((F, T, N)) + 1j * rng.standard_normal((F, T, N))
    model = FastMNMF2(2, 1)
    model.W_, model.H_ = rng.uniform(0.1, 1, (N, F, 2)), rng.uniform(0.1, 1, (N, 2, T))
    model.G_, model.spots_ = rng.uniform(0.1, 1, (N, N)), SPOTS
    model.Q_ = rng.standard_normal((F, N, N)) + 1j * rng.standard_normal((F, N, N))
    prior = model.as_full_rank()
    power_NFTM = np.einsum("nfk,nkt,nfmm->nftm", prior.W, prior.H, prior.R).real
    for n in range(N):
        wanted_FT = X_FTM[..., n] * power_NFTM[n, ..., n] / power_NFTM[..., n].sum(axis=0)
        np.testing.assert_allclose(script.masked(model, X_FTM)[..., n], wanted_FT, rtol=1e-6)


def test_the_quartet_and_its_piece_count_as_one(script):
    gains = {"quartet": 1.0, script.work("quartet"): 3.0, "another": 8.0}
    cells = [
        {"cell": script.cell("hall", take, 4, "mnmf-fixh", "solo", 0), "result": {"mask": {"delta_sdr": [gain]}}}
        for take, gain in gains.items()
    ]
    assert list(script.by_work({"cells": cells}, "hall", 4, ("mnmf-fixh", "solo")).values()) == [2.0, 8.0]
    assert script.work("another at 22 s") == "another"
