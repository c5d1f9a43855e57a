"""Analysis and synthesis."""

import numpy as np
import pytest

from mnmf.errors import ArgumentError
from mnmf.stft import STFT, WINDOWS, window_samples

CASES = [(2048, 1024), (2048, 512), (64, 64), (64, 48), (30, 7), (10, 3), (2, 1), (128, 100)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("length", "hop"), CASES)
@pytest.mark.parametrize("n_samples", [1, 5, 63, 64, 1000, 40001])
def test_synthesis_undoes_analysis(rng, window, length, hop, n_samples):
    if n_samples > 2000 * hop:
        n_samples = 2000 * hop + 1
    stft = STFT(length, hop, window)
    x_LM = rng.standard_normal((n_samples, 2))
    X_FTM = stft.analyse(x_LM)
    assert X_FTM.shape == (stft.n_frequencies, stft.n_frames(n_samples), 2)
    assert X_FTM.flags.c_contiguous
    np.testing.assert_allclose(stft.synthesise(X_FTM, n_samples), x_LM, atol=1e-9)


def test_single_precision_stays_single(rng):
    stft = STFT(512)
    x_LM = rng.standard_normal((3000, 1)).astype(np.float32)
    X_FTM = stft.analyse(x_LM)
    back = stft.synthesise(X_FTM, 3000)
    assert (X_FTM.dtype, back.dtype) == (np.complex64, np.float32)
    np.testing.assert_allclose(back, x_LM, atol=1e-6)


def test_frames_are_windowed_transforms(rng):
    stft = STFT(8, 4)
    x_LM = rng.standard_normal((40, 1))
    window = np.sin(np.pi * (np.arange(8) + 0.5) / 8)
    X_FTM = stft.analyse(x_LM)
    for t in range(1, 9):
        piece = x_LM[4 * t - 4 : 4 * t + 4, 0]
        np.testing.assert_allclose(X_FTM[:, t, 0], np.fft.rfft(window * piece), atol=1e-12)


def test_one_channel_of_many_is_synthesised_alone(rng):
    stft = STFT(64, 16)
    X_FTM = stft.analyse(rng.standard_normal((500, 3)))
    together = stft.synthesise(X_FTM, 500)
    np.testing.assert_array_equal(stft.synthesise(X_FTM[..., 1], 500), together[:, 1])


def test_many_blocks_are_one(rng):
    stft = STFT(16, 8)
    x_LM = rng.standard_normal((8 * 700, 1))
    tail = stft.analyse(x_LM[8 * 300 :])
    np.testing.assert_allclose(stft.analyse(x_LM)[:, 301:, 0], tail[:, 1:, 0], atol=1e-12)


@pytest.mark.parametrize("hop", [64, 32, 10])
def test_frames_of_a_passage_see_nothing_else(rng, hop):
    stft = STFT(64, hop)
    x_LM = rng.standard_normal((1000, 1))
    inside = stft.frames(200, 600, 1000)
    other = x_LM.copy()
    other[:200] += 1
    other[600:] += 1
    np.testing.assert_array_equal(stft.analyse(x_LM)[:, inside], stft.analyse(other)[:, inside])
    wider = slice(inside.start - 1, inside.stop + 1)
    changed = np.any(stft.analyse(x_LM)[:, wider] != stft.analyse(other)[:, wider], axis=(0, 2))
    assert changed[0]
    assert changed[-1]


def test_a_passage_shorter_than_a_window_still_has_a_frame():
    stft = STFT(64, 32)
    for start, stop in [(0, 1), (500, 510), (990, 1000), (0, 40), (999, 1000)]:
        frames = stft.frames(start, stop, 1000)
        assert 0 <= frames.start < frames.stop <= stft.n_frames(1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_length": 7}, "must be even"),
        ({"window_length": 0}, "window_length must be a whole number"),
        ({"window_length": 8, "hop": 9}, "hop must be at most"),
        ({"window_length": 8, "hop": -1}, "hop must be a whole number"),
        ({"window": "boxcar"}, "window must be one of half-sine, hann"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        STFT(**options)


def test_bad_arrays_are_refused():
    stft = STFT(8)
    with pytest.raises(ArgumentError, match=r"shape \(samples, mics\)"):
        stft.analyse(np.zeros(5))
    with pytest.raises(ArgumentError, match="NaN"):
        stft.analyse(np.full((5, 1), np.nan))
    with pytest.raises(ArgumentError, match="5 frequencies and 26 frames to give 100 samples"):
        stft.synthesise(np.zeros((5, 3), complex), 100)


def test_window_lengths_follow_the_rate():
    assert window_samples(2048 / 44100, 44100) == 2048
    for rate in (8000, 44100, 48000, 96000, 192000):
        length = window_samples(0.37, rate)
        assert length % 4 == 0
        assert abs(length / rate - 0.37) < 0.01
        for factor in (2, 3, 5):
            while length % factor == 0:
                length //= factor
        assert length == 1
    with pytest.raises(ArgumentError, match="from 0.001 to 60 s"):
        window_samples(0, 44100)
