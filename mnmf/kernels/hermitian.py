"""Small Hermitian matrices: one per frequency, handled in stacks of shape (..., M, M)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest_psd"]


def nearest_psd(R: NDArray[Any]) -> NDArray[Any]:
    """Return the positive semidefinite Hermitian matrix nearest to each of `R` in the Frobenius norm.

    The Hermitian part, its negative eigenvalues set to zero (Sawada et al. 2013, section III-C).
    """
    values, vectors = np.linalg.eigh((R + np.conj(np.swapaxes(R, -1, -2))) / 2)
    clipped = (vectors * np.maximum(values, 0.0)[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2))
    # The product is Hermitian but for rounding; later sums of |R|² rely on it exactly.
    return np.asarray((clipped + np.conj(np.swapaxes(clipped, -1, -2))) / 2)
