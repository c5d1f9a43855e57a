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
    """Write the hyper-parameters of a model, also those of its own, `options`, its arrays, `names`, cost and spots."""
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
            **{name: getattr(model, name) for name in options},
        )


def load_arrays(path: str | os.PathLike[str], kind: type[Model], names: str, options: Sequence[str] = ()) -> Model:
    """Return the model of class `kind` that `save_arrays` wrote; options that a file does not know have defaults.

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
    needed = {"n_components", "n_iterations", "n_sources", "cost", "spots", "spots_per_source", *names}
    if str(saved.get("model")) != kind.__name__ or not saved.keys() >= needed:
        raise ArgumentError(f"{path} does not hold a {kind.__name__}; give a file that save wrote")
    n_sources = int(saved["n_sources"])
    model: Any = kind(int(saved["n_components"]), int(saved["n_iterations"]), None if n_sources < 0 else n_sources)  # type: ignore[call-arg]
    for name in names:
        setattr(model, f"{name}_", saved[name])
    for name in saved.keys() & set(options):
        setattr(model, name, saved[name].item())
    model.cost_ = saved["cost"]
    ends = np.cumsum(saved["spots_per_source"])[:-1]
    model.spots_ = as_spots([mics.tolist() for mics in np.split(saved["spots"], ends)])
    return cast(Model, model)
