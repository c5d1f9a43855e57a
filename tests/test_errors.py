"""The checks of arrays: what they refuse, and what they must let pass."""

import numpy as np
import pytest

from mnmf import STFT, TimeDomain
from mnmf.errors import ArgumentError, check_array, check_audio, check_numeric, check_shape, check_spectrogram


@pytest.mark.parametrize("shape", [(1, 65), (2, 48000), (60, 1000), (64, 1024)])
def test_audio_with_the_channels_first_is_to_be_transposed(shape):
    with pytest.raises(ArgumentError, match=r"x_LM must be audio of shape \(samples, mics\).* transpose it: x_LM.T"):
        check_audio(np.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (10, 2), (1, 64), (64, 1023), (65, 4000), (48000, 2)])
def test_short_audio_and_many_mics_pass(shape):
    assert check_audio(np.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(4, 1025, 300), (2, 33, 65), (60, 2049, 1000)])
def test_spectrograms_with_the_mics_first_are_to_be_transposed(shape):
    with pytest.raises(ArgumentError, match=r"if it is \(mics, frequencies, frames\), transpose it: np.transpose"):
        check_spectrogram(np.zeros(shape, complex))


@pytest.mark.parametrize(
    "shape", [(1, 5, 2), (3, 1, 2), (7, 11, 3), (1000, 3, 4), (1, 48000, 80), (2, 3, 64), (8, 9, 100)]
)
def test_small_and_cut_spectrograms_pass(shape):
    assert check_spectrogram(np.zeros(shape, complex)).shape == shape


@pytest.mark.parametrize(
    ("got", "wanted", "order"),
    [
        ((7, 2, 4), (2, 7, None), (1, 0, 2)),
        ((4, 2, 7), (2, 7, 4), (1, 2, 0)),
        ((7, 2, 3, 3), (2, 7, 3, 3), (1, 0, 2, 3)),  # the fewest axes move
        ((3, 2), (2, 3), (1, 0)),
    ],
)
def test_the_order_that_is_named_mends_the_array(got, wanted, order):
    array = np.zeros(got)
    with pytest.raises(ArgumentError) as caught:
        check_shape("prior.W", array, wanted, "axes")
    assert str(caught.value).endswith(f"; transpose it: np.transpose(prior.W, {order})")
    check_array("prior.W", np.transpose(array, order), wanted, "axes")


@pytest.mark.parametrize(("got", "wanted"), [((7, 2), (2, 7, None)), ((2, 6, 4), (2, 7, None)), ((4,), (3,))])
def test_where_no_order_helps_none_is_named(got, wanted):
    with pytest.raises(ArgumentError) as caught:
        check_shape("W", np.zeros(got), wanted, "axes")
    assert "transpose" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        [[0.0, 1.0], [0.5]],
        [["a", "b"]],
        [["0.5", "1"]],
        np.array([["a", "b"]]),
        np.array([[object(), 1.0]]),
        [[None, 1.0]],
        [np.zeros(3), np.zeros(4)],
        np.zeros((2, 2), "M8[s]"),
        "sound.wav",
        None,
        {"x": 1},
        [[10**400, 1.0]],
    ],
)
def test_what_is_no_array_of_numbers_is_refused_in_a_line(value):
    for check in (
        lambda: check_audio(value),
        lambda: check_spectrogram(value),
        lambda: check_array("G", value, (1, 2), "(N, M)"),
        lambda: STFT(16, 4).analyse(value),
        lambda: TimeDomain().fit(value),
    ):
        with pytest.raises(ArgumentError) as caught:
            check()
        assert "must be an array of numbers" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


def test_objects_that_are_numbers_pass():
    assert check_numeric("x", np.array([[1, 0.5]], object)).dtype == np.float64
    assert check_numeric("x", np.array([[1j, 0.5]], object)).dtype == np.complex128
    array = np.zeros((2, 2), ">f4")
    assert check_numeric("x", array) is array
