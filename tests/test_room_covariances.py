"""Covariances without what no room would make of a source."""

import numpy as np
import pytest

from mnmf import priors
from mnmf.errors import ArgumentError
from mnmf.priors import _transfer
from mnmf.priors._transfer import OWN

WINDOW = 0.25
FREQUENCIES = np.arange(8, 1600) / WINDOW  # to 6.4 kHz
F, M = len(FREQUENCIES), 3
SPOTS = (0, 2)


def transfers(rng, direction=1, own=0):
    """Return relative transfer functions, (F, M), that begin after a few milliseconds and die away."""
    rate = 2 * 1600 / WINDOW
    lags = np.arange(round(0.08 * rate)) / rate
    x_LM = rng.standard_normal((len(lags), M)) * 10 ** (-2 * lags / 0.08)[:, None]
    x_LM[lags < 0.003] = 0
    x_LM *= 0.3 / np.sqrt(np.sum(x_LM**2, axis=0))
    r_FM = np.exp(direction * -2j * np.pi * FREQUENCIES[:, None] * lags) @ x_LM
    r_FM[:, own] = 1
    return r_FM


def outer(r_FM):
    return r_FM[:, :, None] * r_FM[:, None].conj()


def made(R_FMM, own=0, **options):
    return priors.room_covariances(R_FMM[None], [own], FREQUENCIES, **options).R[0]


def relative(R_FMM, own=0):
    return R_FMM[:, :, own] / R_FMM[:, own, own].real[:, None]


def away(first, second):
    """Return the power of a difference of transfer functions to the other microphones, but at the ends."""
    return np.mean(np.abs(first - second)[20:-20, 1:] ** 2)


def test_what_comes_later_stays(rng):
    r_FM = transfers(rng)
    assert away(relative(made(outer(r_FM))), r_FM) < 0.01 * away(r_FM, 0)


def test_of_what_comes_before_as_well_as_after_little_stays(rng):
    later_FM, sooner_FM = transfers(rng), 0.5 * transfers(rng, -1)
    sooner_FM[:, 0] = 0
    left_FM = relative(made(outer(later_FM + sooner_FM)))
    assert away(left_FM, later_FM) < 0.5 * away(sooner_FM, 0)


def test_a_spot_that_hears_later_than_all_others_loses_nothing(rng):
    """A late recorder turns time around."""
    r_FM = transfers(rng, -1)
    assert away(relative(made(outer(r_FM))), r_FM) < 0.01 * away(r_FM, 0)


def test_what_is_not_known_is_filled_in_from_around(rng):
    r_FM = transfers(rng)
    fitted_FM = r_FM.copy()
    gaps = rng.random(F) < 0.4
    fitted_FM[gaps, 1:] = 2.0 * (rng.standard_normal((gaps.sum(), 2)) + 1j * rng.standard_normal((gaps.sum(), 2)))
    plain_FM = relative(made(outer(fitted_FM)))
    filled_FM = relative(made(outer(fitted_FM), known_NF=np.where(gaps, 0.0, 1.0)[None]))
    assert away(filled_FM, r_FM) < 0.3 * away(r_FM, 0)
    assert away(plain_FM, r_FM) > 3 * away(filled_FM, r_FM)


def test_high_frequencies_have_no_more_incoherent_power_than_rings_on(rng):
    """Low ones keep theirs as far as they are known."""
    r_FM = transfers(rng)
    rest_MM = np.diag([0.0, 4.0, 4.0]) + 0j
    rest_MM[1, 2] = rest_MM[2, 1] = 3.0
    high = FREQUENCIES >= 2000
    R_FMM = made(outer(r_FM) + rest_MM)
    rest_FMM = R_FMM - outer(relative(R_FMM))
    np.testing.assert_allclose(rest_FMM[~high], np.tile(rest_MM, (np.sum(~high), 1, 1)), atol=1e-9)
    power_FM = np.einsum("fmm->fm", R_FMM).real
    assert np.all(rest_FMM[high][:, 1, 2] < 0.1)
    rings_F = (power_FM - np.abs(relative(R_FMM)) ** 2)[high, 1]
    assert np.all((rings_F > 0) & (rings_F < 0.1))
    unknown_FMM = made(outer(r_FM) + rest_MM, known_NF=np.zeros((1, F)))
    assert np.einsum("fmm->fm", unknown_FMM).real[:, 1:].max() < 1
    assert np.abs(made(outer(r_FM) + rest_MM, diagonal_above=4000.0)[~high] - R_FMM[~high]).max() < 1e-9


def test_the_longer_it_rings_the_more_is_incoherent(rng):
    def incoherent(window):
        frequencies = np.arange(1, 500) / window
        r_FM = np.stack([np.ones(499), 0.5 * np.exp(-2j * np.pi * frequencies * 0.02)], axis=1)
        R_FMM = priors.room_covariances(outer(r_FM)[None], [0], frequencies, diagonal_above=0.0).R[0]
        return np.median(R_FMM[:, 1, 1].real - np.abs(R_FMM[:, 1, 0]) ** 2) / 0.25

    for window in (0.1, 0.2, 0.4):
        part = 0.02 / window
        coherence = (1 - part) * np.cos(np.pi * part) + np.sin(np.pi * part) / np.pi
        assert incoherent(window) == pytest.approx(1.5 * (1 / coherence**2 - 1), rel=0.05)


def test_levels_at_the_spots_stay_and_sources_do_not_touch(rng):
    R_NFMM = np.stack([outer(transfers(rng, own=own)) for own in SPOTS])
    R_NFMM *= rng.random((2, F))[..., None, None]
    both = priors.room_covariances(R_NFMM, SPOTS, FREQUENCIES)
    assert both.spots.references == [0, 2]
    for n, own in enumerate(SPOTS):
        ratio_F = both.R[n, :, own, own].real / R_NFMM[n, :, own, own].real
        assert np.all((ratio_F > 1 - 1e-9) & (ratio_F < 1 + OWN + 1e-9))
        np.testing.assert_allclose(made(R_NFMM[n], own), both.R[n])
    np.testing.assert_allclose(both.R, np.conj(np.swapaxes(both.R, -1, -2)))
    assert np.linalg.eigvalsh(both.R).min() > -1e-12


def test_what_comes_at_once_stays_from_either_side():
    r_F = 0.3 * np.cos(2 * np.pi * FREQUENCIES * 0.001)
    got_FM = relative(made(outer(np.stack([np.ones(F), r_F], axis=1))))
    assert np.abs(got_FM[80:-80, 1] - r_F[80:-80]).max() < 0.03


def test_each_lag_meets_its_opposite(rng):
    in_time = _transfer._InTime(FREQUENCIES)
    power_L = rng.random(in_time.L)
    power_L += np.roll(power_L[::-1], 1)
    kept_L = in_time._kept(power_L[:, None])[:, 0]
    lags_L = np.abs(np.fft.fftfreq(in_time.L))
    inner = (lags_L < 0.35) & ~in_time.at_once_L
    np.testing.assert_allclose(kept_L[inner], 1 - _transfer.OF_OTHERS)
    assert np.all(kept_L[in_time.at_once_L] == 1)


def test_incoherent_power_is_that_around():
    """Where a comb lets nothing through its neighbours do."""
    comb_F = 0.2 * (np.exp(-2j * np.pi * FREQUENCIES * 0.010) + np.exp(-2j * np.pi * FREQUENCIES * 0.014))
    R_FMM = made(outer(np.stack([np.ones(F), comb_F], axis=1)))
    rest_F = R_FMM[:, 1, 1].real - np.abs(R_FMM[:, 1, 0]) ** 2
    rest_F = rest_F[(FREQUENCIES > 2800) & (FREQUENCIES < 5000)]
    assert rest_F.min() > 0.5 * rest_F.max()


def test_the_own_spot_gains_a_hundredth_where_the_rest_is_diagonal(rng):
    own_F = made(outer(transfers(rng)))[:, 0, 0].real
    high = FREQUENCIES >= 2000
    np.testing.assert_allclose(own_F[high], 1.01)
    np.testing.assert_allclose(own_F[~high], 1.0)


def test_frequencies_that_do_not_begin_at_zero_have_the_same_lags():
    frequencies = 3000.0 + 4.0 * np.arange(800)
    r_F = 0.3j * np.exp(-2j * np.pi * (frequencies - 3000) * 0.010)
    R_FMM = priors.room_covariances(outer(np.stack([np.ones(800), r_F], axis=1))[None], [0], frequencies).R[0]
    assert np.abs(R_FMM[0, 1, 0].imag) > 0.08


def test_many_frequencies_are_done_in_parts(rng, monkeypatch):
    R_FMM = 7 * outer(transfers(rng))
    whole_FMM = made(R_FMM)
    monkeypatch.setattr(_transfer, "AT_A_TIME", 100)
    np.testing.assert_array_equal(made(R_FMM), whole_FMM)
    np.testing.assert_allclose(whole_FMM[-1, 0, 0], 7.07)


def test_a_spot_that_hears_next_to_nothing_is_finite():
    R_FMM = np.tile(np.array([[1e-300, 0.5], [0.5, 1.0]], complex), (50, 1, 1))
    assert np.all(np.isfinite(priors.room_covariances(R_FMM[None], [0], 10.0 * np.arange(1, 51)).R))


def test_silence_is_finite():
    nothing = priors.room_covariances(np.zeros((1, 2, 2, 2)), [0], [100.0, 110.0]).R
    assert np.all(np.isfinite(nothing))
    assert np.abs(nothing).max() < 1e-300


@pytest.mark.parametrize(
    ("frequencies", "known", "message"),
    [
        ([100.0], None, "two or more"),
        ([100.0, 100.0], None, "ascending"),
        ([100.0, 110.0], [[0.5, 1.5]], "between 0 and 1"),
        ([100.0, 110.0], [[-0.5, 0.5]], "known_NF must not be negative"),
        ([100.0, 200.0, 50.0], None, "as far from each other"),
        ([100.0, 200.0, 210.0], None, "as far from each other"),
        ([100.0, 110.0, 120.0], None, "frequencies"),
    ],
)
def test_bad_input_is_named(frequencies, known, message):
    size = 2 if message == "frequencies" else len(frequencies)
    with pytest.raises(ArgumentError, match=message):
        priors.room_covariances(np.ones((1, size, 2, 2)), [0], frequencies, known)
