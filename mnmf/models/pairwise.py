"""Pairwise subtraction of powers: from each spot, what the others bleed into it by the levels of the solos.

The Wiener gain from the powers of the other spots: E. K. Kokkinis, J. D. Reiss and J. Mourjopoulos, "A Wiener filter
approach to microphone leakage reduction in close-microphone applications", IEEE Transactions on Audio, Speech, and
Language Processing 20(3), 2012.  Powers subtracted, a floor and an exponent: M. Berouti, R. Schwartz and J. Makhoul,
"Enhancement of speech corrupted by acoustic noise", IEEE International Conference on Acoustics, Speech and Signal
Processing (ICASSP), 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_number
from mnmf.models._known import Known, known_covariances
from mnmf.models._masks import masked_images
from mnmf.models._model import Model, Updates
from mnmf.priors import Prior
from mnmf.spots import Spots
from mnmf.wiener import spot_mask

__all__ = ["Pairwise"]

Array = NDArray[Any]


class Pairwise(Model):
    """Subtraction of the other spots' power, at the levels with which their players reach this one.

    What is left of the power at the own spot s of source n is::

        left_nft = max(1 − Σ_{r≠n} g_rfs |x_r|² / |x_s|², floor),

    with x_r what the own spot of r hears, to the power `exponent` is the gain of that spot.  The phase stays that of
    the spot.  Devices and plug-ins that remove bleed work like this; nothing is learned from the mixture.

    Parameters
    ----------
    n_iterations : int
        Nothing is iterated; more than one changes nothing.
    n_sources : int, optional
        Number of sources N, by default the prior's; at most that of the microphones.
    exponent : float
        Of the gain: 1 for the Wiener gain, 0.5 for the gain that leaves just the power that is left.
    floor : float
        The least that is left of the power, 0 to 1.

    Attributes
    ----------
    G_ : float64 (N, F, M)
        Power with which each source reaches the microphones, 1 at its own spot.
    cost_ : float64 (iterations,)
        Zeros: there is no cost.
    spots_ : Spots
        The microphones of each source, the reference spot first; no two sources share that one.

    Raises
    ------
    ArgumentError
        When fitted: the prior has no R, R is zero at an own spot, or a number is out of range.

    Notes
    -----
    G is the diagonal of the prior's `R`, as `priors.solo_covariances` gives it with an exponent of 2, relative to the
    own spot.

    What a spot's gain takes away belongs to the other sources, in proportion to ``g_rfm left_rft |x_r|²``; microphones
    that are nobody's reference spot are shared out among all sources by the same.  So the images of all sources sum to
    the mixture at every microphone.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Prior
    >>> from mnmf.models import Pairwise
    >>> R_NFMM = np.array([[np.diag([1.0, 0.25])], [np.diag([0.25, 1.0])]])
    >>> X_FTM = np.array([[[4.0, 2.0], [1.0, 2.0]]]) + 0j  # first one source plays, then the other
    >>> Pairwise().fit(X_FTM, Prior(R=R_NFMM)).separate(X_FTM).real.round(2).tolist()
    [[[3.75, 0.0], [0.0, 1.88]]]
    """

    learns: ClassVar[dict[str, str]] = {"G": "NFM"}

    G_: Array
    spots_: Spots

    def __init__(
        self,
        n_iterations: int = 1,
        n_sources: int | None = None,
        *,
        exponent: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.exponent = exponent
        self.floor = floor

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> Updates:
        check_number("exponent", self.exponent, 0.1, 2.0)
        check_number("floor", self.floor, 0.0, 1.0)
        R_NFMM, spots = known_covariances(prior, X_FTM, self.n_sources)
        level_NFM = np.diagonal(R_NFMM, axis1=2, axis2=3).real.clip(0.0)
        own_NF = level_NFM[range(len(spots)), :, spots.references]
        if own_NF.min() <= 0:
            raise ArgumentError("prior.R must be positive at every source's own spot")
        return Known("G", level_NFM / own_NF[..., None], spots)

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        own = self.spots_.references
        G_NFM = self.G_.astype(X_FTM.real.dtype)
        tiny = np.finfo(G_NFM.dtype).tiny

        def shares(block: slice) -> Array:
            """Return what is left of the power at each own spot, as a share and as a power, (2, N, F, B)."""
            V_NFB = np.stack([np.abs(X_FTM[:, block, m]) ** 2 for m in own])
            left_NFB = np.empty_like(V_NFB)
            for n, m in enumerate(own):
                bleed_FB = sum(G_NFM[r, :, m, None] * V_NFB[r] for r in range(len(own)) if r != n)
                left_NFB[n] = np.maximum(1 - bleed_FB / np.maximum(V_NFB[n], tiny), self.floor)
            return np.asarray([left_NFB, left_NFB * V_NFB])

        def masks(shares_2NFB: Array, m: int) -> Array:
            """Return the mask of each source at one microphone, (N, F, B), but for a factor if it is nobody's."""
            left_NFB = shares_2NFB[0]
            power_NFB: Array = G_NFM[:, :, m, None] * shares_2NFB[1]
            if m not in own:
                return power_NFB
            owner = own.index(m)
            gain_FB = left_NFB[owner] ** float(self.exponent)
            others = [n for n in range(len(own)) if n != owner]
            mask_NFB = np.empty_like(power_NFB)
            mask_NFB[owner] = gain_FB
            for i, n in enumerate(others):
                mask_NFB[n] = (1 - gain_FB) * spot_mask(power_NFB[others], i)
            return mask_NFB

        return masked_images(X_FTM, sources, mics, shares, masks)
