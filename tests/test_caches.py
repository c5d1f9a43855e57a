"""Folders in which something is kept between runs: whose they are, and what happens without a home."""

import os
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mnmf.estimators import _cache, _command, cache_folder, cached, stop_commands
from mnmf.kernels import _cache as kernels

X_LM = np.zeros((10, 2), np.float32)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the modes of folders are those of Unix")


@pytest.fixture
def calls():
    return []


@pytest.fixture
def estimator(calls):
    def estimate(audio_LM, sample_rate):
        calls.append(sample_rate)
        return {"violin": audio_LM[:, 0]}

    return estimate


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_cache_is_for_no_one_else(tmp_path, monkeypatch, estimator, calls):
    monkeypatch.delenv("MNMF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "mnmf" or "Caches" in str(cache_folder())
    place = tmp_path / "mine"
    monkeypatch.setattr(_cache, "cache_folder", lambda: place)
    before = os.umask(0)
    try:
        for _ in range(2):
            cached(estimator, "one")(X_LM, 8000)
    finally:
        os.umask(before)
    assert calls == [8000]
    assert mode(place) == 0o700
    assert [path.suffix for path in place.iterdir()] == [".npz"]


def test_what_others_could_have_written_is_not_believed(tmp_path, monkeypatch, estimator, calls):
    monkeypatch.delenv("MNMF_CACHE", raising=False)
    place = tmp_path / "open"
    monkeypatch.setattr(_cache, "cache_folder", lambda: place)
    cached(estimator, "one")(X_LM, 8000)
    place.chmod(0o777)
    cached(estimator, "one")(X_LM, 8000)
    assert calls == [8000, 8000]
    cached(estimator, "one", place)(X_LM, 8000)  # but one may choose such a place oneself
    assert calls == [8000, 8000]
    place.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    cached(estimator, "one")(X_LM, 8000)
    assert calls == [8000] * 3


def test_without_a_home_nothing_is_written_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MNMF_CACHE", raising=False)
    monkeypatch.setattr(_cache.platformdirs, "user_cache_dir", lambda *args, **more: "~/.cache/mnmf")
    assert cache_folder() == Path(tempfile.gettempdir()) / f"mnmf-{os.getuid()}"


def test_a_cache_that_cannot_be_made_loses_no_result(tmp_path, estimator):
    (tmp_path / "file").write_text("")
    assert cached(estimator, "one", tmp_path / "file" / "cache")(X_LM, 8000).keys() == {"violin"}


def test_a_result_that_is_interrupted_leaves_nothing(tmp_path, estimator, monkeypatch):
    def half(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(_cache.np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        cached(estimator, "one", tmp_path)(X_LM, 8000)
    assert not list(tmp_path.iterdir())


def test_there_is_no_scratch_that_stopping_does_not_know(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make = tempfile.mkdtemp

    def made(**options):
        assert _command._LOCK.locked()  # or it could be made while commands are being stopped
        return make(**options)

    monkeypatch.setattr(tempfile, "mkdtemp", made)
    with _command._scratch() as folder:
        assert mode(folder) == 0o700
        (folder / "take.wav").write_text("")
        stop_commands()
        assert not folder.exists()
    with _command._scratch() as folder:
        (folder / "take.wav").write_text("")
    assert not list(tmp_path.iterdir())


def test_compiled_kernels_are_taken_from_no_folder_of_others(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *args: False)  # neither the package nor the home
    expected = tmp_path / f"mnmf-kernels-{os.getuid()}"

    def chosen():
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        kernels._choose_folder()
        return Path(os.environ["NUMBA_CACHE_DIR"])

    assert chosen() == expected
    assert mode(expected) == 0o700
    expected.chmod(0o755)
    assert chosen() == expected
    assert mode(expected) == 0o700
    expected.chmod(0o777)
    other = chosen()
    assert other.parent == tmp_path
    assert other != expected
    assert mode(other) == 0o700
    expected.rmdir()
    expected.symlink_to(tmp_path)
    assert chosen() != expected
