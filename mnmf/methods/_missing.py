"""What muted microphones would have heard, before a model that cannot do without them sees the take."""

from __future__ import annotations

import numpy as np

from mnmf.methods._evidence import Array, Evidence
from mnmf.methods._starts import FIRST_UPDATES, spot_prior
from mnmf.models import FastMNMF2
from mnmf.models._missing import spread, whole_frames
from mnmf.priors import Prior

FIRST_COMPONENTS = 24


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
    model = FastMNMF2(FIRST_COMPONENTS, FIRST_UPDATES).fit(evidence.X_FTM, prior, missing_TM=muted_TM, rng=rng)
    X_FTM = evidence.X_FTM.copy()
    rest = np.flatnonzero(muted_TM.any(axis=1))
    muted_RM = muted_TM[rest] > 0
    H_NKR = np.ascontiguousarray(model.H_[:, :, rest])
    for m in np.flatnonzero(muted_RM.any(axis=0)):  # one at a time, for memory
        heard_FR = model.images(X_FTM[:, rest], mics=[int(m)], H=H_NKR, missing_TM=muted_RM).sum(axis=-1)[..., 0]
        X_FTM[:, rest[muted_RM[:, m]], m] = heard_FR[:, muted_RM[:, m]]
    return X_FTM
