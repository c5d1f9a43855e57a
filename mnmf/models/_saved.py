"""Fitted models as ``.npz`` files, without pickle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError
from mnmf.files import check_path, read_arrays, whole
from mnmf.spots import Spots

__all__ = ["NONNEGATIVE", "load_arrays", "save_arrays"]

Array = NDArray[Any]
Kind = TypeVar("Kind")

NONE = -1  # an array holds no None
NONNEGATIVE = "WHGP"
LATER = {"jointly"}  # parameters that files of earlier versions lack; they are at their defaults then


def save_arrays(path: str | os.PathLike[str], model: Any, names: Iterable[str]) -> None:
    """Write the hyper-parameters of a model, its arrays called `names`, its cost and its spots.

    Raises
    ------
    ArgumentError
        A hyper-parameter is neither a number nor text.
    OutputError
        The file cannot be written.
    """
    given = model.get_params()
    parameters: dict[str, Any] = {name: np.asarray(NONE if value is None else value) for name, value in given.items()}
    for name, value in parameters.items():
        if value.ndim or value.dtype == object:
            raise ArgumentError(f"{name} must be a number or text to be saved, got {given[name]!r}")
    learned: dict[str, Any] = {name: getattr(model, f"{name}_") for name in names if hasattr(model, f"{name}_")}
    spots = () if model.spots_ is None else Spots(model.spots_)
    with whole(path) as place, place.open("wb") as file:
        np.savez_compressed(
            file,
            model=type(model).__name__,
            **parameters,
            cost=model.cost_,
            spots=np.array([m for mics in spots for m in mics], np.int64),
            spots_per_source=np.array([len(mics) for mics in spots], np.int64),
            **learned,
        )


def load_arrays(
    path: str | os.PathLike[str], kind: type[Kind], learns: Mapping[str, str], also: Mapping[str, str]
) -> Kind:
    """Return the model of class `kind` that `save_arrays` wrote; what is called `also` need not be there.

    Shapes must fit together, as the axes in `learns` say, and values be of the kind that each array has.

    Raises
    ------
    ArgumentError
        The file cannot be read, or holds something else.
    """
    place = check_path(path)
    defaults = cast(Any, kind)().get_params()
    needed = {*defaults, "model", "cost", "spots", "spots_per_source", *learns} - LATER
    known = needed | set(also) | LATER
    what = "cannot be read as a saved model"
    saved = read_arrays(place, ArgumentError, "give a file that save wrote", what=what, wanted=known.__contains__)
    if str(saved.get("model")) != kind.__name__ or not saved.keys() >= needed:
        raise ArgumentError(f"{path} does not hold a {kind.__name__}; give a file that save wrote")
    try:
        given = {name: _parameter(saved[name], default) for name, default in defaults.items() if name in saved}
        model: Any = kind(**given)
        sizes = _sizes(saved, learns)
        for name in learns:
            setattr(model, f"{name}_", _checked(name, learns[name], saved[name]))
        for name in also:
            if name in saved:
                setattr(model, f"{name}_", _further(name, also[name], saved[name], sizes))
        model.cost_, model.spots_ = _cost(saved["cost"]), _spots(saved, sizes)
    except Exception as error:  # numpy raises various errors on malformed arrays
        why = f" ({error})" if isinstance(error, _DamagedError) else ""
        raise ArgumentError(f"{path} holds a damaged {kind.__name__}{why}; save it anew") from error
    return cast(Kind, model)


class _DamagedError(ValueError):
    """What is wrong with a saved model, in a few words."""


def _parameter(saved: Array, default: Any) -> Any:
    """Return a hyper-parameter if it is of the type of its default."""
    value = saved.item()
    if default is None:
        return None if not isinstance(value, str) and value == NONE else value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(default, bool | int | float | str) and type(value) is not type(default):
        raise _DamagedError(f"a parameter is no {type(default).__name__}")
    return value


def _sizes(saved: Mapping[str, Array], learns: Mapping[str, str]) -> dict[str, int]:
    """Return the length of each axis, the same in all arrays."""
    sizes: dict[str, int] = {}
    for name, axes in learns.items():
        shape = saved[name].shape
        if len(shape) != len(axes) or 0 in shape:
            raise _DamagedError(f"{name} has the shape {shape}")
        for axis, length in zip(axes, shape):
            if sizes.setdefault(axis, length) != length:
                raise _DamagedError(f"axis {axis} of {name} has length {length}, not {sizes[axis]}")
    return sizes


def _checked(name: str, axes: str, value: Array) -> Array:
    """Return what a model has learned if it is of the type that it has in every model, and finite."""
    kinds = "c" if name in "QR" or (name == "A" and "F" in axes) else "f" if name in NONNEGATIVE else "fc"
    if value.dtype.kind not in kinds or value.dtype.itemsize > 16:
        raise _DamagedError(f"{name} is of type {value.dtype}")
    if not np.all(np.isfinite(value)) or (name in NONNEGATIVE and np.any(value < 0)):
        raise _DamagedError(f"{name} holds negative, NaN or infinite values")
    return np.array(value, value.dtype.newbyteorder("="), order="C")


def _further(name: str, axes: str, value: Array, sizes: Mapping[str, int]) -> Any:
    """Return what need not be there, of the axes that are told; those that no other array has may be of any length."""
    if not axes:
        return value.item()
    fits = value.ndim == len(axes) and all(sizes.get(axis, n) == n for axis, n in zip(axes, value.shape))
    if not fits or value.dtype.kind not in "fi" or not np.all(np.isfinite(value)):
        raise _DamagedError(f"{name} does not fit the others")
    return value


def _cost(value: Array) -> Array:
    if value.ndim != 1 or value.dtype.kind != "f":
        raise _DamagedError("the cost is no series of numbers")
    return value


def _spots(saved: Mapping[str, Array], sizes: Mapping[str, int]) -> Spots | None:
    mics, counts = saved["spots"], saved["spots_per_source"]
    if any(value.ndim != 1 or value.dtype.kind not in "iu" for value in (mics, counts)):
        raise _DamagedError("the spots are no whole numbers")
    if not len(counts):
        return None
    if counts.min() < 1 or int(counts.sum()) != len(mics):
        raise _DamagedError("the spots do not fit the sources")
    spots = Spots([part.tolist() for part in np.split(mics, np.cumsum(counts)[:-1])])
    return spots.check(sizes.get("M", len(mics) + int(mics.max())), sizes.get("N"))
