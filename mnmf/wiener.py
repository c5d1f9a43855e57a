"""Wiener reconstruction: the posterior mean of each source, given the variances a model has learned.

One function, one equation.  The models say what the variances are; the multichannel filters are in `mnmf.kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["spot_mask"]

Array = NDArray[Any]

TINY = 1e-30


def spot_mask(V_NFT: Array, source: int) -> Array:
    """Return a source's share of the model at one microphone (Cabañas-Molero et al. 2023, eq. 9).

    Parameters
    ----------
    V_NFT : float, shape (N, F, T)
        What the model expects of each source at this microphone; for full-rank MNMF ``[R_nf]_mm λ_nft``.
    source : int
        The source n.

    Returns
    -------
    mask : float, shape (F, T)
        ``V_n / Σ_r V_r``, between 0 and 1.  The masks of all sources sum to 1 everywhere; where the model expects
        nothing of any source, each gets the same share.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import wiener
    >>> V_NFT = np.array([[[3.0, 0.0]], [[1.0, 0.0]]])  # two sources, one frequency, two frames
    >>> print(wiener.spot_mask(V_NFT, 0))
    [[0.75 0.5 ]]
    """
    floor = TINY / len(V_NFT)
    return np.asarray((V_NFT[source] + floor) / (V_NFT.sum(axis=0) + TINY))
