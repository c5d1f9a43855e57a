"""Microphone gains that were changed between the solos and the take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_spectrogram
from mnmf.models.fastmnmf2 import FastMNMF2
from mnmf.priors import Prior, spot

__all__ = ["changed_gains", "match_gains"]

Array = NDArray[Any]

ENOUGH = 1024  # frequencies: they give a gain to a small fraction of a decibel
COMPONENTS = 16
ITERATIONS = 15


def changed_gains(X_FTM: Array, prior: Prior) -> Array:
    """Return by which factor the gain of each microphone has changed since the solos.

    A short fit of some of the frequencies learns it (`FastMNMF2.gains_`).

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the take.
    prior : Prior
        With `Q`, learned from solos, row n for source n, and `spots`.

    Returns
    -------
    gains_M : float64, shape (M,)
        Up to one factor for all, which no take shows.

    Raises
    ------
    ArgumentError
        `prior` has no Q or no spots.

    Examples
    --------
    Two players, each recorded alone before the second microphone was turned up:

    >>> import numpy as np
    >>> from mnmf import priors
    >>> from mnmf.models import changed_gains
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((2, 40, 200, 2)) * rng.gamma(0.3, size=(2, 1, 200, 2))
    >>> A_MN = np.array([[1, 0.3], [0.3, 1]])
    >>> solos_FTM = np.concatenate([noise[0][..., [n]] * A_MN[:, n] for n in (0, 1)], axis=1) + 0j
    >>> prior = priors.solo(solos_FTM, [slice(0, 200), slice(200, 400)], (0, 1))
    >>> gains_M = changed_gains(noise[1] @ A_MN.T * [1, 1.5] + 0j, prior)
    >>> bool(abs(gains_M[1] / gains_M[0] - 1.5) < 0.1)
    True
    """
    X_FTM = check_spectrogram(X_FTM)
    if prior.Q is None or prior.spots is None:
        raise ArgumentError("prior must have Q and spots; make it with priors.solo or priors.geometry")
    some = slice(None, None, -(-len(X_FTM) // ENOUGH))
    part_FTM = np.ascontiguousarray(X_FTM[some])
    start = spot(part_FTM, prior.spots, prior.Q[some], COMPONENTS)
    return FastMNMF2(COMPONENTS, ITERATIONS).fit(part_FTM, start).gains_


def match_gains(X_FTM: Array, prior: Prior) -> Prior:
    """Return a prior with Q as it would be, had the solos been recorded at the gains of the take.

    Parameters
    ----------
    X_FTM, prior
        As for `changed_gains`.

    Returns
    -------
    Prior

    Raises
    ------
    ArgumentError
        As `changed_gains`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Prior
    >>> from mnmf.models import match_gains
    >>> X_FTM = np.random.default_rng(0).standard_normal((9, 30, 2)) + 0j
    >>> Q_FMM = np.tile([[1, -0.3], [-0.3, 1]], (9, 1, 1))
    >>> match_gains(X_FTM, Prior(Q=Q_FMM, spots=(0, 1))).Q.shape
    (9, 2, 2)
    """
    gains_M = changed_gains(X_FTM, prior)
    if prior.Q is None or prior.spots is None:
        return prior
    Q_FMM = np.asarray(prior.Q / gains_M, np.complex128)
    own = prior.spots.references
    Q_FMM[:, : len(own)] *= gains_M[own][:, None]  # a source is measured at its own spot, before and after
    return replace(prior, Q=Q_FMM)
