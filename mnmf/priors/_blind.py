"""Priors that know nothing of the musicians: the starts of the literature, to compare with.

Neither says which source is whose: `mnmf.models.assign_spots` finds out after the fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import check_count, check_number, check_rng, check_spectrogram
from mnmf.priors._prior import Prior

__all__ = ["circular", "random"]

Array = NDArray[Any]


def circular(
    X_FTM: Array,
    n_sources: int,
    n_components: int = 16,
    *,
    leak: float = 1e-2,
    rng: np.random.Generator | int | None = 0,
) -> Prior:
    """Start FastMNMF2 blindly, the sources dealt out to the microphones in turn (Sekiguchi et al. 2020).

    Q is the identity; ``g_nm`` is 1 where ``m mod N = n`` and `leak` elsewhere, rows then summing to 1; W and H are
    random, uniform, scaled so that the model expects the mean power of the mixture.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture.
    n_sources : int
        Number of sources N.  If there are more than microphones, each of those beyond M starts alike at all of them;
        the fitted model then has no spots, only images at the microphones.
    n_components : int
        Bases per source, K.
    leak : float
        G outside a source's own microphones.
    rng : numpy.random.Generator or int
        Draws W, then H.

    Returns
    -------
    Prior
        With `W`, `H`, `G` and `Q`, and no spots.

    Raises
    ------
    ArgumentError
        No spectrogram, or a number out of range.
    """
    X_FTM = check_spectrogram(X_FTM)
    N, M = check_count("n_sources", n_sources), X_FTM.shape[2]
    check_number("leak", leak, 0.0, 1.0)
    G_NM = np.where(np.arange(M) % N == np.arange(N)[:, None], 1.0, float(leak))
    if N > M and leak == 0.0:
        G_NM[M:] = 1.0
    W_NFK, H_NKT = _random_powers(X_FTM, N, n_components, rng)
    return Prior(W=W_NFK, H=H_NKT, G=G_NM / G_NM.sum(axis=1, keepdims=True), Q=_identity(X_FTM))


def random(X_FTM: Array, n_sources: int, n_components: int = 16, *, rng: np.random.Generator | int | None = 0) -> Prior:
    """Start FastMNMF2 from nothing at all: as `circular`, but G is random as well, uniform, rows summing to 1.

    Parameters
    ----------
    X_FTM, n_sources, n_components
        As for `circular`.
    rng : numpy.random.Generator or int
        Draws W, then H, then G.

    Returns
    -------
    Prior
        With `W`, `H`, `G` and `Q`, and no spots.

    Raises
    ------
    ArgumentError
        No spectrogram, or a number out of range.
    """
    X_FTM = check_spectrogram(X_FTM)
    N, M = check_count("n_sources", n_sources), X_FTM.shape[2]
    generator = check_rng(rng)
    W_NFK, H_NKT = _random_powers(X_FTM, N, n_components, generator)
    G_NM = 1.0 - generator.random((N, M))  # never 0, which no update would leave
    return Prior(W=W_NFK, H=H_NKT, G=G_NM / G_NM.sum(axis=1, keepdims=True), Q=_identity(X_FTM))


def _random_powers(X_FTM: Array, n_sources: int, n_components: int, rng: Any) -> tuple[Array, Array]:
    """Return W and H whose products sum to the power of the mixture: the mean of one is K/4 before it is scaled."""
    F, T, M = X_FTM.shape
    K = check_count("n_components", n_components)
    generator = check_rng(rng)
    power = float(np.mean(np.square(np.abs(X_FTM), dtype=np.float64))) or 1.0
    W_NFK = (1.0 - generator.random((n_sources, F, K))) * (4 * M * power / (n_sources * K))
    return W_NFK, 1.0 - generator.random((n_sources, K, T))


def _identity(X_FTM: Array) -> Array:
    F, _, M = X_FTM.shape
    return np.tile(np.eye(M, dtype=np.complex128), (F, 1, 1))
