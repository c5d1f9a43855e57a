"""What every model can do, as a type; `mnmf.models` says it in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnmf.priors import Prior

__all__ = ["Model"]

Array = NDArray[Any]


class Model(Protocol):
    """A model of the spectrogram."""

    spots_: Any

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        rng: np.random.Generator | int | None = 0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Any:
        """Learn what the prior leaves open."""

    def images(self, X_FTM: Array, source: int, mics: Sequence[int] | None = None) -> Array:
        """Return one source at the microphones."""
