"""What is only ever a part of kernels is not compiled by itself, and nothing else changes by that."""

import numpy as np
import pytest

from mnmf.kernels import _compile
from mnmf.kernels._blocks import FAST, Rooms


def kernel_of_a_part():
    """Return a kernel and the function that is a part of it."""

    @_compile.inner(fastmath=FAST)
    def dot(a, b):
        if len(a) != len(b):
            raise ValueError("two lengths")
        total = 0.0
        for i in range(len(a)):
            total += a[i] * b[i]
        return total

    @_compile.inner
    def scaled(a, b, scale):
        return dot(a, b) / scale

    def compute(a, b, scale):
        return scaled(a, b, scale)

    # Without a place on disk: the source of this kernel would be this file.
    return _compile.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(compute), dot


def test_a_part_is_not_assembled_and_the_kernel_computes_the_same(rng, monkeypatch):
    a, b = rng.standard_normal((2, 1001))
    kernel, part = kernel_of_a_part()
    result = kernel(a, b, 3.0)
    assert result == pytest.approx(a @ b / 3.0)
    assert [type(each.library).__name__ == "_Part" for each in part.overloads.values()] == [_compile.KNOWN]

    monkeypatch.setattr(_compile, "KNOWN", False)  # as with a release of numba of which nothing is known
    kernel, part = kernel_of_a_part()
    assert kernel(a, b, 3.0).hex() == result.hex()
    assert not any(type(each.library).__name__ == "_Part" for each in part.overloads.values())


def test_an_error_in_a_part_is_raised_and_a_division_by_zero_is_not(rng):
    kernel, _ = kernel_of_a_part()
    with pytest.raises(ValueError, match="two lengths"):
        kernel(np.ones(2), np.ones(3), 1.0)
    assert kernel(np.ones(2), np.ones(2), 0.0) == np.inf


def test_python_runs_the_source_of_a_part(rng):
    _, part = kernel_of_a_part()
    assert part([1, 2], (3.0, 4.0)) == 11.0  # lists and tuples, for which nothing is compiled
    assert not part.signatures


def test_nobody_is_given_a_room_that_another_is_in():
    rooms = Rooms(lambda: (np.zeros(1),))
    with rooms.one() as first, rooms.one() as second:
        assert first[0] is not second[0]
    with rooms.one() as third:
        assert third[0] in (first[0], second[0])
