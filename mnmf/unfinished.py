"""What a long run has finished so far, in a hidden folder beside its results, so that another run can go on from there.

A folder belongs to a run as long as that lives, by a lock; the next one that begins in the same place goes on from what
a dead one left, or removes it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import OutputError, SessionError
from mnmf.files import read_text, reason
from mnmf.output import is_abandoned, lock_folder, take_over

__all__ = ["UNFINISHED", "Unfinished"]

Array = NDArray[Any]

UNFINISHED = ".mnmf-unfinished-"
_RUN, _FACTS, _CHOSEN = "run.json", "facts", "chosen"
_SUFFIX = ".npy"
_PARTIAL = ".part"


class Unfinished(MutableMapping[str, Array]):
    """A mapping of names to arrays, which a run keeps for another one in case that it does not come to its end.

    Use it in a ``with`` statement.  Its folder is made for the first array; it goes with the block if the run has said
    that it is `done`, or has kept nothing, else it stays.  Every array is a file, which is there as a whole or not at
    all.

    Parameters
    ----------
    directory : path
        Where the results will be.
    resume : bool
        Go on from what a run of the same facts has left.  If not, everything that dead runs left is removed once there
        is something new to keep, or the run is done.

    Raises
    ------
    SessionError
        There is nothing to go on from, or an array cannot be read again.
    OutputError
        An array cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Unfinished(folder) as unfinished:
    ...         _ = unfinished.begin({"seed": 0})
    ...         unfinished["room"] = np.eye(2)
    ...     with Unfinished(folder, resume=True) as unfinished:
    ...         _ = unfinished.begin({"seed": 0})
    ...         print(list(unfinished))
    ...         unfinished.done()
    ...     list(Path(folder).iterdir())
    ['room']
    []
    """

    def __init__(self, directory: str | os.PathLike[str], resume: bool = False) -> None:
        self.directory = Path(directory)
        self._resume = resume
        self._facts: dict[str, Any] = {}
        self._chosen: dict[str, Any] = {}
        self._folder: Path | None = None
        self._lock: int | None = None
        self._done = self._closed = False

    def begin(self, facts: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Say what decides the result, as JSON can hold it; look for what another run has left.

        Parameters
        ----------
        facts : mapping
            What was asked for: a run of other facts is not gone on with.
        chosen : mapping, optional
            What this run would choose by itself, such as by the memory that is free.

        Returns
        -------
        dict
            What is chosen: what the run has chosen that this one goes on with, else `chosen`.
        """
        self._facts, self._chosen = json.loads(json.dumps([dict(facts), dict(chosen or {})]))
        if not self._resume:
            return self._chosen
        differing: list[str] = []
        lives = False
        for folder in self._others():
            lock = take_over(folder)
            record = _record(folder)
            if lock is not None and record is not None and record[_CHOSEN].keys() == self._chosen.keys():
                differing = [name for name in self._facts if record[_FACTS].get(name) != self._facts[name]]
                if not differing:
                    self._folder, self._lock, self._chosen = folder, lock, record[_CHOSEN]
                    return self._chosen
            lives |= lock is None
            _release(lock)
        if differing:
            raise SessionError(
                f"{self.directory}: the unfinished run there had another {', another '.join(differing)}; give the same "
                "as then, or leave --resume out to start afresh"
            )
        if lives:
            raise SessionError(f"{self.directory}: the unfinished run there is still going on; wait for it")
        raise SessionError(f"{self.directory}: there is no unfinished run to go on with; leave --resume out")

    @property
    def is_left(self) -> bool:
        """Whether there is something that a dead run has left, and this one does not go on with."""
        return any(_record(folder) is not None and is_abandoned(folder) for folder in self._others())

    def done(self) -> None:
        """Say that what is kept is no longer needed."""
        self._done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        if self._folder is not None and (self._done or not self):
            shutil.rmtree(self._folder, ignore_errors=True)
        _release(self._lock)
        self._lock = None
        if self._done:
            self._clear()

    def __getitem__(self, name: str) -> Array:
        """Return an array; its values are read when they are asked for."""
        path = self._path(name)
        if path is None or not path.is_file():
            raise KeyError(name)
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:
            raise SessionError(f"{path} cannot be read again: {reason(error)}; leave --resume out") from error

    def __setitem__(self, name: str, array: Array) -> None:
        try:
            self._make()
            path = self._path(name)
            assert path is not None
            partial = path.with_suffix(_PARTIAL)
            with partial.open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError as error:
            what = f"{self.directory}: what is finished cannot be kept there: {reason(error)}"
            raise OutputError(f"{what}; free space, or choose another --out") from error

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        path = self._path(name)
        assert path is not None
        path.unlink()

    def __contains__(self, name: object) -> bool:
        path = self._path(str(name))
        return path is not None and path.is_file()

    def __iter__(self) -> Iterator[str]:
        return iter([] if self._folder is None else sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}")))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / (name + _SUFFIX)

    def _make(self) -> None:
        if self._closed:
            raise OSError("the run is over")  # its thread is not
        if self._folder is not None:
            return
        self._clear()
        folder = self.directory / f"{UNFINISHED}{secrets.token_hex(8)}"
        folder.mkdir(0o700)
        self._folder, self._lock = folder, lock_folder(folder)
        partial = folder / (_RUN + _PARTIAL)
        partial.write_text(json.dumps({_FACTS: self._facts, _CHOSEN: self._chosen}, indent=2), encoding="utf-8")
        os.replace(partial, folder / _RUN)

    def _others(self) -> list[Path]:
        """Return the folders of other runs."""
        found = sorted(self.directory.glob(f"{UNFINISHED}*"))
        return [folder for folder in found if folder.is_dir() and not folder.is_symlink() and folder != self._folder]

    def _clear(self) -> None:
        """Remove what dead runs have left."""
        for folder in self._others():
            lock = take_over(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                _release(lock)


def _record(folder: Path) -> dict[str, dict[str, Any]] | None:
    """Return what a run has said of itself; None if it did not come to that."""
    try:
        record = json.loads(read_text(folder / _RUN, SessionError))
        return {name: dict(record[name]) for name in (_FACTS, _CHOSEN)}
    except (SessionError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _release(lock: int | None) -> None:
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
