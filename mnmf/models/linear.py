"""Linear unmixing: how the solos reach the microphones, and the pseudo-inverse of that.

The relative transfer function of a player as the principal eigenvector of the covariance of a passage in which nobody
else sounds: S. Markovich, S. Gannot and I. Cohen, "Multichannel eigenspace beamforming in a reverberant noisy
environment with multiple interfering speech signals", IEEE Transactions on Audio, Speech, and Language Processing
17(6), 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import check_number
from mnmf.models._known import Known, known_covariances
from mnmf.models._model import Model, Updates
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["Linear"]

Array = NDArray[Any]

UNHEARD = 1e-3  # of what all microphones hear together: if its own spot hears less of a player, its solo is not used


class Linear(Model):
    """Linear unmixing by the pseudo-inverse of known transfer functions.

    At each frequency the microphones are ``x = A s``, with a column of A for each source, 1 at its own spot, and s what
    the sources are at their own spots.  A is the principal eigenvector of each source's covariance, and the filter

        W = (AᴴA + ridge · diag(AᴴA))⁻¹ Aᴴ

    gives ``s = W x``.  Nothing is learned from the mixture: this is the plainest use of solos, against which other
    methods are to be measured.

    Parameters
    ----------
    n_iterations : int
        Nothing is iterated; more than one changes nothing.
    n_sources : int, optional
        Number of sources N, by default the prior's; at most that of the microphones.
    ridge : float
        Keeps W bounded where two sources reach the microphones alike, relative to the energy of each column of A.

    Attributes
    ----------
    A_ : complex128 (F, M, N)
        How each source reaches the microphones, 1 at its own spot.
    cost_ : float64 (iterations,)
        Zeros: there is no cost.
    spots_ : Spots
        The microphones of each source, the reference spot first; no two sources share that one.

    Raises
    ------
    ArgumentError
        When fitted: the prior has no R, or the ridge is not from 1e-12 to 1.

    Notes
    -----
    The prior's `R` gives A, as `priors.solo_covariances` does or a covariance of one's own.  Where less than a
    thousandth of the eigenvector is at the own spot, the solo shows something else than its player, and A is 1 there
    and 0 elsewhere.

    The image of source n at microphone m is ``a_mn s_n``.  What A does not explain, ``x − A s``, stays with the sources
    whose spot the microphone is, and is shared equally where it is nobody's; so the images sum to the mixture, and a
    stem is its spot less the bleed that is predicted there.  As many microphones as sources leave nothing over but what
    the ridge does.  With more of them most of what is left over at a spot is its own player's, because no player's
    sound is quite the same combination of microphones all the time.

    Examples
    --------
    Two sources, each heard at half its level by the other's microphone:

    >>> import numpy as np
    >>> from mnmf import Prior
    >>> from mnmf.models import Linear
    >>> rng = np.random.default_rng(0)
    >>> A_MN = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> S_FTN = rng.standard_normal((5, 8, 2)) + 1j * rng.standard_normal((5, 8, 2))
    >>> R_NFMM = np.repeat(np.einsum("mn,kn->nmk", A_MN, A_MN)[:, None], 5, axis=1)
    >>> model = Linear(ridge=1e-9).fit(S_FTN @ A_MN.T, Prior(R=R_NFMM))
    >>> np.allclose(model.separate(S_FTN @ A_MN.T), S_FTN)
    True
    """

    learns: ClassVar[dict[str, str]] = {"A": "FMN"}

    A_: Array
    spots_: Spots

    def __init__(self, n_iterations: int = 1, n_sources: int | None = None, *, ridge: float = 1e-3) -> None:
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.ridge = ridge

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> Updates:
        check_number("ridge", self.ridge, 1e-12, 1.0)
        R_NFMM, spots = known_covariances(prior, X_FTM, self.n_sources)
        return Known("A", _transfer_functions(R_NFMM, spots), spots)

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        F, T, M = X_FTM.shape
        adjoint_FNM = np.conj(np.swapaxes(self.A_, 1, 2))
        gram_FNN = adjoint_FNM @ self.A_
        W_FNM = np.linalg.solve(gram_FNN * (1 + float(self.ridge) * np.eye(len(self.spots_))), adjoint_FNM)
        keeps_NM = _keepers(self.spots_, M)
        image_FTI = np.empty((F, T, len(sources)), X_FTM.dtype)
        for i, (n, m) in enumerate(zip(sources, mics)):
            # The filter of the image: what is explained, and the share in what is not.
            filter_FM = self.A_[:, m, [n]] * W_FNM[:, n]
            if keeps_NM[n, m]:
                filter_FM += keeps_NM[n, m] * (np.eye(M)[m] - (self.A_[:, [m]] @ W_FNM)[:, 0])
            image_FTI[..., i] = np.matmul(X_FTM, filter_FM.astype(X_FTM.dtype)[..., None])[..., 0]
        return image_FTI


def _transfer_functions(R_NFMM: Array, spots: Spots) -> Array:
    """Return the principal eigenvectors, 1 at the own spots, complex128 (F, M, N)."""
    N, F, M = R_NFMM.shape[:3]
    A_FMN = np.empty((F, M, N), np.complex128)
    for n, own in enumerate(spots.references):
        a_FM = np.linalg.eigh(R_NFMM[n])[1][..., -1]
        a_FM[np.abs(a_FM[:, own]) <= UNHEARD] = np.eye(M)[own]
        A_FMN[:, :, n] = a_FM / a_FM[:, [own]]
    return A_FMN


def _keepers(spots: Spots, n_mics: int) -> Array:
    """Return which part each source keeps of what is unexplained at each microphone, (N, M); columns sum to 1."""
    keeps_NM = np.zeros((len(spots), n_mics))
    for n, mics in enumerate(spots):
        keeps_NM[n, list(mics)] = 1.0
    for n, own in enumerate(spots.references):  # a reference spot counts more than a further one
        keeps_NM[:, own] = 0.0
        keeps_NM[n, own] = 1.0
    keeps_NM[:, keeps_NM.sum(axis=0) == 0] = 1.0
    return np.asarray(keeps_NM / keeps_NM.sum(axis=0))
