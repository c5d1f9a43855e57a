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
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import OutputError, SessionError
from mnmf.files import reason
from mnmf.output import LOCKS, is_abandoned, lock_folder

__all__ = ["UNFINISHED", "Unfinished"]

Array = NDArray[Any]

UNFINISHED = ".mnmf-unfinished-"
_FACTS = "run.json"
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
        Go on from what a run of the same facts has left.  If not, everything that dead runs left is removed.

    Raises
    ------
    SessionError
        There is nothing to go on from.
    OutputError
        An array cannot be written, or read again.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Unfinished(folder) as unfinished:
    ...         unfinished.begin({"seed": 0})
    ...         unfinished["room"] = np.eye(2)
    ...     with Unfinished(folder, resume=True) as unfinished:
    ...         unfinished.begin({"seed": 0})
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
        self._folder: Path | None = None
        self._lock: int | None = None
        self._done = self._closed = False

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Say what decides the result, as JSON can hold it; look for what another run has left."""
        self._facts = json.loads(json.dumps(facts))
        left = [folder for folder in sorted(self.directory.glob(f"{UNFINISHED}*")) if _is_dead(folder)]
        if not self._resume:
            for folder in left:
                shutil.rmtree(folder, ignore_errors=True)
            return
        differing: list[str] = []
        for folder in left:
            differing = self._differences(folder)
            if not differing:
                self._folder, self._lock = folder, lock_folder(folder)
                return
        if differing:
            raise SessionError(
                f"{self.directory}: the unfinished run there had another {', another '.join(differing)}; give the same "
                "as then, or leave --resume out to start afresh"
            )
        raise SessionError(f"{self.directory}: there is no unfinished run to go on with; leave --resume out")

    def done(self) -> None:
        """Say that what is kept is no longer needed."""
        self._done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._folder is not None and (self._done or not self):
            shutil.rmtree(self._folder, ignore_errors=True)

    def __getitem__(self, name: str) -> Array:
        """Return an array; its values are read when they are asked for."""
        path = self._path(name)
        if path is None or not path.is_file():
            raise KeyError(name)
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be read again: {reason(error)}; leave --resume out") from error

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
        folder = self.directory / f"{UNFINISHED}{secrets.token_hex(8)}"
        folder.mkdir(0o700)
        self._folder, self._lock = folder, lock_folder(folder)
        (folder / _FACTS).write_text(json.dumps(self._facts, indent=2), encoding="utf-8")

    def _differences(self, folder: Path) -> list[str]:
        """Return the names of the facts in which the run that left a folder differs from this one."""
        try:
            former = json.loads((folder / _FACTS).read_text("utf-8"))
        except (OSError, ValueError):
            former = {}
        return [name for name in self._facts if former.get(name) != self._facts[name]]


def _is_dead(folder: Path) -> bool:
    """Return whether nobody uses a folder any more; where there are no locks nobody can tell, and it counts as dead."""
    return folder.is_dir() and not folder.is_symlink() and (is_abandoned(folder) or not LOCKS)
