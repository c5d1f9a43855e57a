"""Files of every kind, changed at random: each is read or refused in one line, soon and within little memory."""

import signal

import pytest

from tests import fuzz

IN_THE_SUITE, ALL = 200, 5000

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system cannot stop a slow case")


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_files_that_are_changed_at_random(tmp_path, kind):
    tally = fuzz.fuzz(kind, range(IN_THE_SUITE), tmp_path)
    assert not tally.failures, "\n".join(tally.failures[:10])
    assert tally.refused > IN_THE_SUITE / 10, "the changes are too small"
    assert tally.read > 0, "the changes are too large"
    assert tally.slowest < len(fuzz.KINDS[kind].readers) * fuzz.SECONDS


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_many_more_of_them(tmp_path, kind):
    tally = fuzz.fuzz(kind, range(IN_THE_SUITE, ALL), tmp_path)
    assert not tally.failures, "\n".join(tally.failures[:10])


def test_a_case_is_the_same_each_time():
    for kind in fuzz.KINDS:
        assert fuzz.case(kind, 7) == fuzz.case(kind, 7)
        assert fuzz.case(kind, 7) != fuzz.case(kind, 8)


def test_the_fuzzer_finds_what_it_looks_for(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.1)

    def endless(path):
        while True:
            pass

    def hungry(path):
        return bytearray(2 * fuzz.BYTES)

    def lines(path):
        raise fuzz.ArgumentError("x" * 10**4)

    with fuzz.limits():
        assert "took more than 0.1 s" in fuzz.problem(endless, tmp_path)
        assert "took more than 1 GB" in fuzz.problem(hungry, tmp_path)
    assert "its message" in fuzz.problem(lines, tmp_path)
    assert "ZeroDivisionError" in fuzz.problem(lambda path: 1 / 0, tmp_path)
    assert "RuntimeWarning" in fuzz.problem(lambda path: fuzz.np.float64(1) / fuzz.np.float64(0), tmp_path)
    assert fuzz.problem(lambda path: 1, tmp_path) is None
