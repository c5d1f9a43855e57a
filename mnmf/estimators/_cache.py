"""Results of estimators, remembered in files, so that a second run on the same take need not wait for them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from mnmf._version import __version__
from mnmf.errors import ArgumentError
from mnmf.files import PARTIAL, read_arrays, whole
from mnmf.priors._estimates import Estimator, Mask

Array = NDArray[Any]

CACHE_BYTES = 2 * 10**9
# Results, and unfinished ones of killed runs.
_OURS = re.compile(rf"[0-9a-f]{{64}}\.npz|\.[0-9a-f]{{64}}\.npz\.[0-9.]+|{re.escape(PARTIAL)}[0-9a-f]{{16}}")


def cached(estimator: Estimator, identity: str = "", folder: str | os.PathLike[str] | None = None) -> Estimator:
    """Remember what an estimator returned for a take, by the content of the take.

    Parameters
    ----------
    estimator : Estimator
        Those of `mnmf.estimators` know what their results depend on and have it as their ``identity``.
    identity : str
        Distinguishes the estimator from others, and from itself with other settings or weights.  Needed if the
        estimator has no ``identity`` of its own.
    folder : path, optional
        `cache_folder` if not given.  When all results together exceed 2 GB, the oldest are deleted; files that are not
        results are never touched.

    Returns
    -------
    Estimator
        Calls `estimator` for a take that it has not seen before, and else returns the same result bit by bit.

    Raises
    ------
    ArgumentError
        The estimator has no identity, and none is given.

    Examples
    --------
    >>> import tempfile
    >>> def network(audio_LM, sample_rate):
    ...     print("called")
    ...     return {"violin": audio_LM[:, 0]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     remembered = cached(network, "my network, version 3", folder)
    ...     for _ in range(2):
    ...         estimates = remembered(np.zeros((100, 2), np.float32), 8000)
    called
    """
    if not (identity or getattr(estimator, "identity", "")):
        raise ArgumentError(
            "identity is needed to remember this estimator: name the network, its weights and its settings, as in "
            'cached(network, "my network, version 3")'
        )
    place = cache_folder() if folder is None else Path(folder)
    chosen = folder is not None or bool(os.environ.get("MNMF_CACHE"))

    def remembered(audio_LM: Array, sample_rate: int) -> Any:
        if not (chosen or _ours(place)):
            return estimator(audio_LM, sample_rate)
        # Asked for each time, because files may have changed.
        known = [__version__, getattr(estimator, "identity", ""), identity]
        known += [str(sample_rate), str(audio_LM.shape), str(audio_LM.dtype)]
        digest = hashlib.sha256(json.dumps(known).encode())
        digest.update(np.ascontiguousarray(audio_LM).tobytes())
        path = place / f"{digest.hexdigest()}.npz"
        with suppress(Exception):  # whatever is wrong with a file, the estimator can be called again
            kept = _unpacked(path)
            os.utime(path)  # so that it does not count as old
            return kept
        found = estimator(audio_LM, sample_rate)
        if isinstance(found, Mapping):
            found = {source: value for source, value in found.items() if value is not None}
        with suppress(OSError, ValueError, TypeError):  # a full disk must not lose the result
            _store(path, found)
        return found

    return remembered


def cache_folder() -> Path:
    """Return the folder of `cached`: the one that MNMF_CACHE names, or mnmf among the user's caches, for no one else.

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, {"MNMF_CACHE": "results"}):
    ...     str(cache_folder())
    'results'
    """
    if own := os.environ.get("MNMF_CACHE"):
        return Path(own)
    folder = Path(platformdirs.user_cache_dir("mnmf", appauthor=False))
    if folder.is_absolute():
        return folder
    # Without a home; other users can write to this place, so that `_ours` decides whether it is used.
    return Path(tempfile.gettempdir()) / f"mnmf-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


def _ours(folder: Path) -> bool:
    """Return whether nobody else can have put anything into this folder, or there is none yet."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


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
        return  # not an estimate; what uses it will raise the error
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(0o700, exist_ok=True)  # what others recorded is nobody else's business
    with whole(path) as place, place.open("wb") as file:
        np.savez(file, kinds=np.array(json.dumps(kinds)), allow_pickle=False, **arrays)
    ours = [other for other in path.parent.iterdir() if _OURS.fullmatch(other.name) and other.is_file()]
    kept = sorted(ours, key=lambda other: other.stat().st_mtime, reverse=True)
    sizes = np.cumsum([other.stat().st_size for other in kept])
    for other, size in zip(kept[1:], sizes[1:]):
        if size > CACHE_BYTES:
            other.unlink(missing_ok=True)


def _unpacked(path: Path) -> dict[str, Array | Mask] | Array:
    arrays = read_arrays(path, ArgumentError, "delete it", what="is no result")
    kinds = json.loads(str(arrays["kinds"]))
    if not kinds:
        return np.asarray(arrays["a0"])
    return {
        source: Mask(arrays[f"a{n}"], window, hop) if kind == "mask" else arrays[f"a{n}"]
        for n, (kind, source, window, hop) in enumerate(kinds)
    }
