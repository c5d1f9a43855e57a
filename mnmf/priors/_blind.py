"""Priors without any knowledge of the musicians: the starts of the literature, to compare with.

With neither of them is it known which fitted source belongs to which spot: `mnmf.models.assign_spots` finds out after
the fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_COMPONENTS, check_count, check_number, check_rng, check_spectrogram
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
    """Start FastMNMF2 blindly, with each microphone given to a source in turn (Sekiguchi et al. 2020).

    Q is the identity.  ``g_nm`` is 1 where ``m mod N = n`` and `leak` elsewhere, then scaled so that rows sum to 1.  W
    and H are random, uniform, and scaled so that the power of the model is on average that of the mixture.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the mixture.
    n_sources : int
        Number of sources N.  If there are more than microphones, the surplus ones start with the same G at all of them;
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
        With `W`, float64 (N, F, K), `H`, float64 (N, K, T), `G`, float64 (N, M), and `Q`, complex128 (F, M, M), but no
        spots.

    Raises
    ------
    ArgumentError
        `X_FTM` is not a spectrogram, or a number is out of range.

    Examples
    --------
    >>> X_FTM = np.ones((5, 8, 3), complex)
    >>> prior = circular(X_FTM, n_sources=2, n_components=4)
    >>> prior.W.shape, prior.H.shape, prior.spots
    ((2, 5, 4), (2, 4, 8), None)
    >>> prior.G.round(2).tolist()
    [[0.5, 0.0, 0.5], [0.01, 0.98, 0.01]]
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
    """Start FastMNMF2 at random: as `circular`, but with a random G, uniform, whose rows sum to 1.

    Parameters
    ----------
    X_FTM, n_sources, n_components
        As for `circular`.
    rng : numpy.random.Generator or int
        Draws W, then H, then G.

    Returns
    -------
    Prior
        As of `circular`.

    Raises
    ------
    ArgumentError
        `X_FTM` is not a spectrogram, or a number is out of range.

    Examples
    --------
    >>> X_FTM = np.ones((5, 8, 3), complex)
    >>> prior = random(X_FTM, n_sources=2, n_components=4, rng=1)
    >>> prior.G.shape, prior.G.sum(axis=1).round(2).tolist()
    ((2, 3), [1.0, 1.0])
    """
    X_FTM = check_spectrogram(X_FTM)
    N, M = check_count("n_sources", n_sources), X_FTM.shape[2]
    generator = check_rng(rng)
    W_NFK, H_NKT = _random_powers(X_FTM, N, n_components, generator)
    G_NM = 1.0 - generator.random((N, M))  # above 0, because multiplicative updates never raise a zero
    return Prior(W=W_NFK, H=H_NKT, G=G_NM / G_NM.sum(axis=1, keepdims=True), Q=_identity(X_FTM))


def _random_powers(X_FTM: Array, n_sources: int, n_components: int, rng: Any) -> tuple[Array, Array]:
    """Return uniform W and H, scaled so that ``W @ H`` of all sources sums to the mean power of the mixture.

    Unscaled, the mean of an entry of ``W @ H`` is K/4.
    """
    F, T, M = X_FTM.shape
    K = check_count("n_components", n_components, 1, MOST_COMPONENTS)
    generator = check_rng(rng)
    power = float(np.mean(np.square(np.abs(X_FTM), dtype=np.float64))) or 1.0
    W_NFK = (1.0 - generator.random((n_sources, F, K))) * (4 * M * power / (n_sources * K))
    return W_NFK, 1.0 - generator.random((n_sources, K, T))


def _identity(X_FTM: Array) -> Array:
    F, _, M = X_FTM.shape
    return np.tile(np.eye(M, dtype=np.complex128), (F, 1, 1))
