"""What an estimator returned for a take, remembered in files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf._version import __version__
from mnmf.errors import ArgumentError
from mnmf.priors._estimates import Estimator, Mask

Array = NDArray[Any]

CACHE_BYTES = 2 * 10**9
_OURS = re.compile(r"[0-9a-f]{64}\.npz|\.[0-9a-f]{64}\.npz\.[0-9.]+")  # results, and what a killed run left of one


def cached(estimator: Estimator, identity: str = "", folder: str | os.PathLike[str] | None = None) -> Estimator:
    """Remember what an estimator returned for a take, by the content of the take.

    Parameters
    ----------
    estimator : Estimator
        Those of `mnmf.estimators` know what their results depend on, and say so by their ``identity``.
    identity : str
        What tells the estimator from others and from itself with other settings or weights; needed if it does not know
        itself.
    folder : path, optional
        `cache_folder` if not given.  The oldest results go once all together are larger than 2 GB; other files stay.

    Returns
    -------
    Estimator
        Returns what is remembered, bit by bit the same.

    Raises
    ------
    ArgumentError
        The estimator has no identity, and none is given.
    """
    if not (identity or getattr(estimator, "identity", "")):
        raise ArgumentError(
            "identity is needed to remember this estimator: name the network, its weights and its settings, as in "
            'cached(guess, "my network, version 3")'
        )
    place = cache_folder() if folder is None else Path(folder)

    def remembered(audio_LM: Array, sample_rate: int) -> Any:
        # Asked each time, for files may have changed.
        known = [__version__, getattr(estimator, "identity", ""), identity]
        known += [str(sample_rate), str(audio_LM.shape), str(audio_LM.dtype)]
        digest = hashlib.sha256(json.dumps(known).encode())
        digest.update(np.ascontiguousarray(audio_LM).tobytes())
        path = place / f"{digest.hexdigest()}.npz"
        with suppress(Exception):  # whatever is wrong with a file, the estimator can be asked again
            kept = _unpacked(path)
            os.utime(path)  # used lately
            return kept
        found = estimator(audio_LM, sample_rate)
        if isinstance(found, Mapping):
            found = {source: value for source, value in found.items() if value is not None}
        with suppress(OSError, ValueError, TypeError):  # a full disk is no reason to lose the result
            _store(path, found)
        return found

    return remembered


def cache_folder() -> Path:
    """Return where results are remembered: the folder MNMF_CACHE, or mnmf in the user's folder for such things."""
    if own := os.environ.get("MNMF_CACHE"):
        return Path(own)
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home())
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mnmf"


def _store(path: Path, found: Mapping[str, Array | Mask] | Array) -> None:
    arrays: dict[str, Array] = {}
    kinds: list[tuple[str, str, int, int]] = []
    if isinstance(found, Mapping):
        for n, (source, value) in enumerate(found.items()):
            mask = isinstance(value, Mask)
            arrays[f"a{n}"] = value.values_FT if isinstance(value, Mask) else np.asarray(value)
            frame = (int(value.window_length), int(value.hop)) if isinstance(value, Mask) else (0, 0)
            kinds.append(("mask" if mask else "sound", source, *frame))
    else:
        arrays["a0"] = np.asarray(found)
    if not arrays or any(array.dtype.hasobject for array in arrays.values()):
        return  # no guess at all; whoever uses it will say so
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with scratch.open("wb") as file:
            np.savez(file, kinds=np.array(json.dumps(kinds)), allow_pickle=False, **arrays)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    ours = [other for other in path.parent.iterdir() if _OURS.fullmatch(other.name) and other.is_file()]
    kept = sorted(ours, key=lambda other: other.stat().st_mtime, reverse=True)
    sizes = np.cumsum([other.stat().st_size for other in kept])
    for other, size in zip(kept[1:], sizes[1:]):
        if size > CACHE_BYTES:
            other.unlink(missing_ok=True)


def _unpacked(path: Path) -> dict[str, Array | Mask] | Array:
    # Opened here, for of a damaged file numpy would leave it open.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        kinds = json.loads(str(file["kinds"]))
        if not kinds:
            return np.asarray(file["a0"])
        return {
            source: Mask(file[f"a{n}"], window, hop) if kind == "mask" else file[f"a{n}"]
            for n, (kind, source, window, hop) in enumerate(kinds)
        }
