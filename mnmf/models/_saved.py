"""Fitted models as ``.npz`` files, without pickle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar, cast
from zipfile import BadZipFile

import numpy as np

from mnmf.errors import ArgumentError
from mnmf.priors._prior import as_spots

__all__ = ["load_arrays", "save_arrays"]

Model = TypeVar("Model")


def save_arrays(path: str | os.PathLike[str], model: Any, names: str, options: Sequence[str] = ()) -> None:
    """Write a model's hyper-parameters, its own `options` too, its arrays called `names`, its cost and its spots."""
    chosen: dict[str, Any] = {name: getattr(model, name) for name in options}
    chosen = {name: np.nan if value is None else value for name, value in chosen.items()}
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            model=type(model).__name__,
            n_components=model.n_components,
            n_iterations=model.n_iterations,
            n_sources=-1 if model.n_sources is None else model.n_sources,
            cost=model.cost_,
            spots=np.concatenate([np.array(mics, np.int64) for mics in model.spots_]),
            spots_per_source=np.array([len(mics) for mics in model.spots_]),
            **{name: getattr(model, f"{name}_") for name in names},
            **chosen,
        )


def load_arrays(path: str | os.PathLike[str], kind: type[Model], names: str, options: Sequence[str] = ()) -> Model:
    """Return the model of class `kind` that `save_arrays` wrote.

    Raises
    ------
    ArgumentError
        The file holds something else.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            saved = dict(arrays)
    except (ValueError, TypeError, OSError, EOFError, BadZipFile) as error:
        raise ArgumentError(f"{path} cannot be read as a saved model: {error}") from error
    needed = {"n_components", "n_iterations", "n_sources", "cost", "spots", "spots_per_source", *names, *options}
    if str(saved.get("model")) != kind.__name__ or not saved.keys() >= needed:
        raise ArgumentError(f"{path} does not hold a {kind.__name__}; give a file that save wrote")
    n_sources = int(saved["n_sources"])
    model: Any = kind(int(saved["n_components"]), int(saved["n_iterations"]), None if n_sources < 0 else n_sources)  # type: ignore[call-arg]
    for name in names:
        setattr(model, f"{name}_", saved[name])
    for name in options:
        value = saved[name].item()
        setattr(model, name, None if value != value else value)
    model.cost_ = saved["cost"]
    ends = np.cumsum(saved["spots_per_source"])[:-1]
    model.spots_ = as_spots([mics.tolist() for mics in np.split(saved["spots"], ends)])
    return cast(Model, model)
