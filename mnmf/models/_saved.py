"""Fitted models as ``.npz`` files, without pickle."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import numpy as np

from mnmf.errors import ArgumentError
from mnmf.spots import Spots

__all__ = ["load_arrays", "save_arrays"]

Kind = TypeVar("Kind")

NONE = -1  # an array holds no None


def save_arrays(path: str | os.PathLike[str], model: Any, names: Iterable[str]) -> None:
    """Write the hyper-parameters of a model, its arrays called `names`, its cost and its spots.

    Raises
    ------
    ArgumentError
        A hyper-parameter is neither a number nor text.
    """
    given = model.get_params()
    parameters: dict[str, Any] = {name: np.asarray(NONE if value is None else value) for name, value in given.items()}
    for name, value in parameters.items():
        if value.ndim or value.dtype == object:
            raise ArgumentError(f"{name} must be a number or text to be saved, got {given[name]!r}")
    learned: dict[str, Any] = {name: getattr(model, f"{name}_") for name in names if hasattr(model, f"{name}_")}
    spots = () if model.spots_ is None else Spots(model.spots_)
    with open(path, "wb") as file:
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
    path: str | os.PathLike[str], kind: type[Kind], names: tuple[str, ...], also: tuple[str, ...] = ()
) -> Kind:
    """Return the model of class `kind` that `save_arrays` wrote; what is called `also` need not be there.

    Raises
    ------
    ArgumentError
        The file cannot be read, or holds something else.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            saved = dict(arrays)
    except Exception as error:  # zipfile, zlib, tokenize and numpy each have their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ArgumentError(f"{path} cannot be read as a saved model: {reason}") from error
    defaults = cast(Any, kind)().get_params()
    needed = {*defaults, "cost", "spots", "spots_per_source", *names}
    if str(saved.get("model")) != kind.__name__ or not saved.keys() >= needed:
        raise ArgumentError(f"{path} does not hold a {kind.__name__}; give a file that save wrote")
    try:
        values = {name: saved[name].item() for name in defaults}
        model: Any = kind(
            **{name: None if value == NONE and defaults[name] is None else value for name, value in values.items()}
        )
        for name in (*names, *(name for name in also if name in saved)):
            value = saved[name]
            setattr(model, f"{name}_", value if value.ndim else value.item())
        model.cost_ = saved["cost"]
        ends = np.cumsum(saved["spots_per_source"])[:-1]
        spots = [mics.tolist() for mics in np.split(saved["spots"], ends)] if len(saved["spots_per_source"]) else None
        model.spots_ = None if spots is None else Spots(spots)
    except Exception as error:  # numpy raises various errors on malformed arrays
        raise ArgumentError(f"{path} holds a damaged {kind.__name__}; save it anew") from error
    return cast(Kind, model)
