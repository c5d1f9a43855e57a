"""Fitted models as ``.npz`` files, without pickle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from mnmf.errors import ArgumentError
from mnmf.spots import Spots

__all__ = ["USUAL", "load_arrays", "save_arrays"]

Model = TypeVar("Model")

# Hyper-parameters that most models have.
USUAL = ("n_components", "n_iterations", "n_sources")


def save_arrays(
    path: str | os.PathLike[str], model: Any, names: Iterable[str], parameters: Sequence[str] = USUAL
) -> None:
    """Write the hyper-parameters of a model, its arrays called `names`, its cost and its spots; None becomes -1."""
    values = {name: getattr(model, name) for name in parameters}
    numbers: dict[str, Any] = {name: -1 if value is None else value for name, value in values.items()}
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            model=type(model).__name__,
            **numbers,
            cost=model.cost_,
            spots=np.concatenate([np.array(mics, np.int64) for mics in model.spots_]),
            spots_per_source=np.array([len(mics) for mics in model.spots_]),
            **{name: getattr(model, f"{name}_") for name in names},
        )


def load_arrays(
    path: str | os.PathLike[str], kind: type[Model], names: Iterable[str], parameters: Sequence[str] = USUAL
) -> Model:
    """Return the model of class `kind` that `save_arrays` wrote.

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
    needed = {*parameters, "cost", "spots", "spots_per_source", *names}
    if str(saved.get("model")) != kind.__name__ or not saved.keys() >= needed:
        raise ArgumentError(f"{path} does not hold a {kind.__name__}; give a file that save wrote")
    try:
        values = {name: saved[name].item() for name in parameters}
        model: Any = kind(**{name: None if value == -1 else value for name, value in values.items()})
        for name in names:
            setattr(model, f"{name}_", saved[name])
        model.cost_ = saved["cost"]
        ends = np.cumsum(saved["spots_per_source"])[:-1]
        model.spots_ = Spots([mics.tolist() for mics in np.split(saved["spots"], ends)])
    except Exception as error:  # whatever numpy makes of arrays of other kinds and shapes
        raise ArgumentError(f"{path} holds a damaged {kind.__name__}; save it anew") from error
    return cast(Model, model)
