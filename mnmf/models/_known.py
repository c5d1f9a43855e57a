"""For models that learn nothing from the mixture: a prior that says everything, and a fit without updates."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mnmf.errors import ArgumentError
from mnmf.models._model import Updates
from mnmf.models._start import check_covariances, check_names, check_orientation, own_spots, source_count
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["Known", "known_covariances"]

Array = NDArray[Any]


def known_covariances(prior: Prior, X_FTM: Array, n_sources: int | None) -> tuple[Array, Spots]:
    """Return the prior's covariances (N, F, M, M) and the spots, no two sources with the same reference.

    Raises
    ------
    ArgumentError
        There are none, or shapes, sizes and spots do not fit together.
    """
    check_orientation(prior, X_FTM)
    F, _, M = X_FTM.shape
    N = source_count(prior, n_sources, M)
    check_names(prior, "R")
    spots = own_spots(prior, N, M, "this model needs one for each source")
    if prior.R is None:
        raise ArgumentError(
            "this model learns nothing from the mixture: give a prior with R, such as priors.solo_covariances"
        )
    return check_covariances("prior.R", prior.R, (N, F, M)), spots


class Known(Updates):
    """A fit that has all it needs before it starts: one array, by its name."""

    def __init__(self, name: str, value: Array, spots: Spots) -> None:
        self.values, self.spots = {name: value}, spots

    def step(self) -> float:
        return 0.0

    def state(self) -> tuple[None, dict[str, Any]]:
        return None, self.values

    def replace(self, values: dict[str, Array]) -> None:
        self.values = self.values | values
