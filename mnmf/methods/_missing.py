"""What muted microphones would have heard, before a model that cannot do without them sees the take."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnmf.methods._evidence import Array, Evidence
from mnmf.methods._starts import FIRST_UPDATES, spot_prior
from mnmf.models import FastMNMF2
from mnmf.models._missing import spread, whole_frames
from mnmf.priors import Prior

FIRST_COMPONENTS = 24
MOST = 0.5  # of a frame, as for `Levels.lost`


def fill_in(evidence: Evidence, muted_TM: Array, rng: np.random.Generator) -> Array | None:
    """Return what muted microphones would have heard, as far as the others tell, in the frames in which they are muted.

    FastMNMF2 learns from the frames in which no microphone is muted, or, where there are too few, least is muted.

    Parameters
    ----------
    evidence : Evidence
    muted_TM : float, shape (T, M)
        How much of each frame is muted, 0 to 1.
    rng : numpy.random.Generator

    Returns
    -------
    X_FTM : as that of `evidence`
        None if two sources share a spot and nothing tells them apart.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.methods import Evidence, fill_in
    >>> X_FTM = np.random.default_rng(0).standard_normal((5, 40, 2)) + 0j
    >>> muted_TM = np.zeros((40, 2))
    >>> muted_TM[7:9, 1] = 1.0
    >>> filled_FTM = fill_in(Evidence(X_FTM, spots=(0, 1)), muted_TM, np.random.default_rng(0))
    >>> np.unique(np.nonzero(filled_FTM != X_FTM)[1]).tolist()
    [7, 8]
    """
    frames = whole_frames(muted_TM)
    if frames is None:
        return evidence.X_FTM
    if evidence.spots.shared and evidence.notes is None and not (evidence.solo and all(evidence.solo[1])):
        return None
    T = len(muted_TM)
    prior = spot_prior(evidence.at(frames), FIRST_COMPONENTS, rng)
    if prior.H is not None:
        prior = prior | Prior(H=spread(prior.H, frames, T))
    missing_TM = missing_of(muted_TM)
    model = FastMNMF2(FIRST_COMPONENTS, FIRST_UPDATES).fit(evidence.X_FTM, prior, missing_TM=missing_TM, rng=rng)
    return predicted(model, evidence.X_FTM.copy(), muted_TM)


def missing_of(muted_TM: Array) -> Array:
    """Return which microphones count as missing in a frame that is muted in part, bool (T, M).

    All of them, unless more than half of the microphones would be missing: then those that are muted for most of it.

    Parameters
    ----------
    muted_TM : float, shape (T, M)
        How much of each frame is muted, 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.methods import missing_of
    >>> missing_of(np.array([[0.0, 0.2, 0.0], [0.1, 0.2, 0.9]])).tolist()
    [[False, True, False], [False, False, True]]
    """
    any_TM = muted_TM > 0
    crowded_T = any_TM.sum(axis=1) > muted_TM.shape[1] // 2
    return np.where(crowded_T[:, None], muted_TM > MOST, any_TM)


def predicted(model: Any, X_FTM: Array, muted_TM: Array) -> Array:
    """Write what a model predicts of each microphone where it is muted, from the others.

    Of the others those that `missing_of` names do not count.

    Parameters
    ----------
    model : FullRankMNMF or FastMNMF2
        Fitted to `X_FTM`.
    X_FTM : complex, shape (F, T, M)
        Changed in place.
    muted_TM : float, shape (T, M)
        How much of each frame is muted, 0 to 1.

    Returns
    -------
    X_FTM

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import FastMNMF2
    >>> from mnmf.methods import predicted
    >>> X_FTM = np.random.default_rng(0).standard_normal((5, 40, 2)) + 0j
    >>> muted_TM = np.zeros((40, 2))
    >>> muted_TM[7:9, 1] = 1.0
    >>> heard_FTM = predicted(FastMNMF2(3, 2).fit(X_FTM), X_FTM.copy(), muted_TM)
    >>> np.argwhere((heard_FTM != X_FTM).any(axis=0)).tolist()
    [[7, 1], [8, 1]]
    """
    missing_TM = missing_of(muted_TM)
    for m in np.flatnonzero(muted_TM.any(axis=0)).tolist():  # one at a time, for memory
        rest = np.flatnonzero(muted_TM[:, m])
        missing_RM = missing_TM[rest]
        missing_RM[:, m] = True
        H_NKR = np.ascontiguousarray(model.H_[:, :, rest])
        images_FRIN = model.images(X_FTM[:, rest], mics=[m], H=H_NKR, missing_TM=missing_RM)
        X_FTM[:, rest, m] = images_FRIN.sum(axis=-1)[..., 0]
    return X_FTM
