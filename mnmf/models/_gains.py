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

ENOUGH = 1024  # frequencies tell a gain to a small part of a decibel
COMPONENTS = 16
ITERATIONS = 15


def changed_gains(X_FTM: Array, prior: Prior) -> Array:
    """Return by which factor the gain of each microphone has changed since the solos, float64 (M,).

    A short fit of a part of the frequencies learns it (`FastMNMF2.gains_`).

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram of the take.
    prior : Prior
        With `Q`, learned from solos, row n for source n, and `spots`.

    Raises
    ------
    ArgumentError
        `prior` has no Q or no spots.
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
    """
    gains_M = changed_gains(X_FTM, prior)
    if prior.Q is None or prior.spots is None:
        return prior
    Q_FMM = np.asarray(prior.Q / gains_M, np.complex128)
    own = prior.spots.references
    Q_FMM[:, : len(own)] *= gains_M[own][:, None]  # the own spot stays the unit
    return replace(prior, Q=Q_FMM)
