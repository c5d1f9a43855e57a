"""Loudness as ITU-R BS.1770 defines it, by the values of the recommendation and of EBU Tech 3341."""

import numpy as np
import pytest
import scipy.signal

from mnmf import loudness
from mnmf.errors import ArgumentError

RATES = (44100, 48000, 96000)


def sine(frequency, rate, seconds, level_db=0.0, channels=1):
    t_L = np.arange(round(seconds * rate)) / rate
    return np.repeat(10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * t_L)[:, None], channels, axis=1)


def test_the_filter_at_48_khz_is_that_of_the_tables():
    expected = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(loudness.k_weighting(48000), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rate", [32000, 44100, 96000, 192000])
def test_the_filter_at_other_rates_has_the_same_response(rate):
    frequency_F = np.geomspace(10, min(rate / 8, 12000), 200)
    responses = [
        20 * np.log10(np.abs(scipy.signal.sosfreqz(loudness.k_weighting(fs), frequency_F, fs=fs)[1]))
        for fs in (48000, rate)
    ]
    np.testing.assert_allclose(responses[1], responses[0], atol=0.25)
    np.testing.assert_allclose(responses[1][frequency_F < 1500], responses[0][frequency_F < 1500], atol=0.03)


@pytest.mark.parametrize("rate", RATES)
def test_a_sine_of_997_hz_at_full_scale_has_minus_3_01(rate):
    assert loudness.integrated(sine(997, rate, 3), rate) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_ebu_1_and_2_a_stereo_sine_has_its_level(rate, level):
    assert loudness.integrated(sine(1000, rate, 4, level, 2), rate) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize(
    "parts",
    [
        [(-36, 10), (-23, 60), (-36, 10)],  # EBU 3: the relative gate
        [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)],  # EBU 4: and the absolute one
        [(-26, 20), (-20, 20.1), (-26, 20)],  # EBU 5: no gate
    ],
)
def test_ebu_3_to_5_gates_leave_pauses_out(parts):
    # At a low rate for speed: the response at 1 kHz is nearly the same.
    rate = 16000
    x_LC = np.concatenate([sine(1000, rate, seconds, level, 2) for level, seconds in parts])
    assert loudness.integrated(x_LC, rate) == pytest.approx(-23.0, abs=0.1)


def test_silence_has_no_loudness():
    assert loudness.integrated(np.zeros(48000), 48000) == -np.inf
    assert loudness.integrated(sine(1000, 48000, 1, -75), 48000) == -np.inf
    assert loudness.integrated(sine(1000, 48000, 1, -65), 48000) > -70


def test_the_peak_between_samples_is_found():
    x_LC = sine(12000, 48000, 0.1)
    shifted = np.sin(2 * np.pi * 12000 * np.arange(4800) / 48000 + np.pi / 4) * np.hanning(4800)
    assert abs(shifted).max() < 0.71
    assert loudness.true_peak(shifted, 48000) == pytest.approx(1.0, abs=0.01)
    assert loudness.true_peak(x_LC, 48000) >= abs(x_LC).max()
    assert loudness.true_peak(np.array([0.5, -2.0]), 400000) == 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loudness.integrated(np.zeros(100), 48000), "at least 0.4 s of sound, got 0.002 s"),
        (lambda: loudness.integrated(np.full(48000, np.nan), 48000), "finite"),
        (lambda: loudness.integrated(np.zeros((2, 2, 2)), 48000), r"\(samples, channels\)"),
        (lambda: loudness.k_weighting(1000), "from 8000"),
    ],
)
def test_what_has_no_loudness_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_a_sound_is_not_changed():
    x_L = np.random.default_rng(0).standard_normal(48000)
    before = x_L.tobytes()
    loudness.integrated(x_L, 48000)
    loudness.true_peak(x_L, 48000)
    assert x_L.tobytes() == before
