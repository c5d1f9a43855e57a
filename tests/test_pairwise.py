"""Pairwise subtraction of powers, compared with loops."""

import numpy as np
import pytest

from mnmf import Pairwise, Prior
from mnmf.errors import ArgumentError

SPOTS = (2, 0)


@pytest.fixture
def R_NFMM(rng):
    root = rng.standard_normal((2, 7, 4, 4)) + 1j * rng.standard_normal((2, 7, 4, 4))
    return root @ root.conj().swapaxes(-1, -2)


@pytest.fixture
def X_FTM(rng):
    return rng.standard_normal((7, 300, 4)) + 1j * rng.standard_normal((7, 300, 4))


def naive_image(x_M, g_NM, n, m, exponent, floor):
    """Return the image of source n at microphone m at one point."""
    power = [abs(x_M[s]) ** 2 for s in SPOTS]
    left = []
    for i, s in enumerate(SPOTS):
        bleed = sum(g_NM[r][s] * power[r] for r in range(2) if r != i)
        left.append(max(1 - bleed / power[i], floor))
    weight = [g_NM[r][m] * left[r] * power[r] for r in range(2)]
    if m not in SPOTS:
        return x_M[m] * (weight[n] / sum(weight) if sum(weight) else 0.5)
    gain = left[SPOTS.index(m)] ** exponent
    return x_M[m] * (gain if m == SPOTS[n] else 1 - gain)  # of two sources the other one has all the rest


@pytest.mark.parametrize(("exponent", "floor"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.1), (2.0, 0.01)])
def test_images_are_those_of_loops(X_FTM, R_NFMM, exponent, floor):
    R_NFMM = R_NFMM * [0.2, 1, 0.2, 1] if exponent == 0.5 else R_NFMM
    R_NFMM = (R_NFMM + R_NFMM.conj().swapaxes(-1, -2)) / 2 + np.eye(4)
    model = Pairwise(exponent=exponent, floor=floor).fit(X_FTM, Prior(R=R_NFMM, spots=SPOTS))
    level_NFM = np.einsum("nfmm->nfm", R_NFMM).real
    g_NFM = level_NFM / np.stack([level_NFM[0, :, 2], level_NFM[1, :, 0]])[..., None]
    np.testing.assert_allclose(model.G_, g_NFM, rtol=1e-12)
    images = model.images(X_FTM)
    for f in range(7):
        for t in (0, 5, 255, 256, 299):
            for m in range(4):
                for n in range(2):
                    wanted = naive_image(X_FTM[f, t], g_NFM[:, f], n, m, exponent, floor)
                    assert images[f, t, m, n] == pytest.approx(wanted, abs=1e-9)
    np.testing.assert_allclose(images.sum(axis=-1), X_FTM, atol=1e-12)


def test_three_sources_share_what_a_gain_takes_away(rng):
    X = rng.standard_normal((5, 9, 3)) + 1j * rng.standard_normal((5, 9, 3))
    level = rng.uniform(0.05, 0.2, (3, 5, 3))
    level[range(3), :, range(3)] = 1.0
    model = Pairwise().fit(X, Prior(R=level[..., None] * np.eye(3)))
    images = model.images(X)
    np.testing.assert_allclose(images.sum(axis=-1), X, atol=1e-12)
    V = np.abs(X) ** 2
    left = np.stack(
        [
            np.maximum(1 - sum(level[r, :, n, None] * V[..., r] for r in range(3) if r != n) / V[..., n], 0)
            for n in range(3)
        ]
    )
    first, second = (level[n, :, 0, None] * left[n] * V[..., n] for n in (1, 2))
    some = (first > 0) & (second > 0) & (left[0] < 1)
    assert some.sum() > 5
    np.testing.assert_allclose((images[:, :, 0, 1] * second)[some], (images[:, :, 0, 2] * first)[some], rtol=1e-9)


def test_a_lone_source_keeps_everything(X_FTM, R_NFMM):
    model = Pairwise().fit(X_FTM, Prior(R=R_NFMM[:1], spots=[1]))
    np.testing.assert_allclose(model.images(X_FTM)[..., 0], X_FTM)


def test_silence_and_single_precision(X_FTM, R_NFMM):
    X = (1e-20 * X_FTM).astype(np.complex64)  # whose powers are below the smallest number
    X[3] = 0
    model = Pairwise().fit(X, Prior(R=R_NFMM, spots=SPOTS))
    images = model.images(X)
    assert images.dtype == np.complex64
    np.testing.assert_allclose(images.sum(axis=-1), X, atol=1e-26)
    loud = Pairwise().fit(X_FTM, Prior(R=R_NFMM, spots=SPOTS))
    np.testing.assert_allclose(loud.images(X_FTM.astype(np.complex64)), loud.images(X_FTM), atol=1e-4)
    np.testing.assert_allclose(loud.images(X_FTM[:, 7:9]), loud.images(X_FTM)[:, 7:9])


@pytest.mark.parametrize(
    ("options", "level", "message"),
    [
        ({"exponent": 0.0}, 1.0, "exponent must be a number from 0.1 to 2"),
        ({"floor": -0.1}, 1.0, "floor must be a number from 0 to 1"),
        ({}, 0.0, "prior.R must be positive at every source's own spot"),
    ],
)
def test_what_a_fit_refuses(X_FTM, R_NFMM, options, level, message):
    with pytest.raises(ArgumentError, match=message):
        Pairwise(**options).fit(X_FTM, Prior(R=level * R_NFMM, spots=SPOTS))
