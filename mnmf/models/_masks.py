"""Images by masks: the filter of the models that share out each microphone's own mixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.wiener import spot_mask

__all__ = ["masked_images"]

Array = NDArray[Any]

BLOCK = 256  # frames at once, so that no array holds every source at every frame


def masked_images(
    X_FTM: Array,
    sources: Sequence[int],
    mics: Sequence[int],
    powers: Callable[[slice], Array],
    at_mic: Callable[[Array, int], Array],
    spread: Callable[[Array], Array] = lambda mask_FB: mask_FB,
) -> Array:
    """Return the share of ``sources[i]`` in microphone ``mics[i]``, (F, T, I).

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
    sources, mics : sequences of int, of equal length
    powers : callable
        Returns for a slice of the frames what the model expects of each source, (N, F, B).
    at_mic : callable
        Returns from that what it expects at one microphone, (N, F, B).
    spread : callable
        Takes a mask to the frequencies of `X_FTM`, if it is of others.
    """
    F, T, _ = X_FTM.shape
    image_FTI = np.empty((F, T, len(sources)), X_FTM.dtype)
    for first in range(0, T, BLOCK):
        block = slice(first, min(first + BLOCK, T))
        P_NFB = powers(block)
        for m in dict.fromkeys(mics):
            V_NFB = at_mic(P_NFB, m)
            for i in (i for i, mic in enumerate(mics) if mic == m):
                image_FTI[:, block, i] = spread(spot_mask(V_NFB, sources[i])) * X_FTM[:, block, m]
    return image_FTI
