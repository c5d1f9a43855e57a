"""The loop around every model's updates: cost, callback, stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels import one_blas_thread

__all__ = ["Callback", "iterate"]

Callback = Callable[[int, float], Any]


def iterate(step: Callable[[], float], n_iterations: int, callback: Callback | None) -> NDArray[np.float64]:
    """Call `step`, which updates a model and returns its cost, up to `n_iterations` times; return the costs.

    `callback`, if given, gets the number of iterations done and the cost; a true answer ends the loop.
    """
    costs = []
    with one_blas_thread():
        for done in range(1, n_iterations + 1):
            costs.append(step())
            if callback is not None and callback(done, costs[-1]):
                break
    return np.array(costs)
