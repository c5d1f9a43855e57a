"""Which source is whose: sources that were fitted without knowing the spots, put into the order of the spots."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError
from mnmf.models._model import Model
from mnmf.spots import Spots

__all__ = ["assign_spots"]

Array = NDArray[Any]
Fitted = TypeVar("Fitted", bound=Model)


def assign_spots(model: Fitted, X_FTM: Array, spots: Sequence[int | Sequence[int]]) -> Fitted:
    """Give each spot the source that brings most of its energy.

    The energy of every source's image at every reference spot, relative to all the energy there, is summed over the
    pairs; of all ways to pair sources and spots the one with the largest sum is taken (Hungarian method).

    Parameters
    ----------
    model : Model
        A fitted model, such as one started from `priors.circular`, of no more sources than microphones.
    X_FTM : complex, shape (F, T, M)
        The spectrogram it was fitted to.
    spots : sequence of int, or of sequences of int
        As many as the model has sources: the microphone(s) of each, counted from 0, the reference spot first.

    Returns
    -------
    The same model, copied, its sources in the order of `spots` and `spots` its ``spots_``; the rows of Q that go with
    them are in that order too.  No image of any source changes.

    Raises
    ------
    ArgumentError
        Not as many spots as sources, or one that is not among the microphones or shared by two.
    NotFittedError
        The model is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import FastMNMF2, priors
    >>> from mnmf.models import assign_spots
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((9, 20, 2)) + 1j * rng.standard_normal((9, 20, 2))
    >>> blind = FastMNMF2(3, 5).fit(X_FTM, priors.circular(X_FTM, 2, 3))
    >>> assign_spots(blind, X_FTM, (1, 0)).spots_
    Spots((1,), (0,))
    """
    from scipy.optimize import linear_sum_assignment

    X_FTM = model._checked(X_FTM)
    N, M = model._n_sources(), X_FTM.shape[2]
    if N > M:
        raise ArgumentError(f"{N} sources on {M} microphones cannot each have a spot; take model.images(X_FTM)")
    all_spots = Spots(spots).check(M, N, apart="so their energy there does not tell them apart")
    own = all_spots.references
    total_N = np.array([_energy(X_FTM[..., m]) for m in own])
    share_NN = np.empty((N, N))
    for n in range(N):
        images = model.images(X_FTM, n, own)
        share_NN[n] = [_energy(images[..., i]) for i in range(N)]
    share_NN /= np.where(total_N > 0, total_N, 1.0)
    sources, places = linear_sum_assignment(share_NN, maximize=True)
    order = [int(n) for n in sources[np.argsort(places)]]

    ordered = copy(model)
    ordered.spots_ = all_spots
    ordered._reorder(order)
    return ordered


def _energy(image_FT: Array) -> float:
    return float(np.sum(np.square(np.abs(image_FT), dtype=np.float64)))
