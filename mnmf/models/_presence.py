"""Who plays when: what is so weak at its own spot that only an error of the model can make it heard is left out.

A fit gives every source some power at all times, a part of what the others play.  Taken from their spots it does more
harm than the bleed of somebody who rests.  A source k is worth taking from the spot of another one, n, while its own
spot hears more of k than is misjudged there of n.  How much that is the take tells only where k rests; it is between a
tenth and a hundredth of the power, so this is where sources fade out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._threads import share_out
from mnmf.spots import Spots

__all__ = ["edges_of", "presence", "silent_sources"]

Array = NDArray[Any]

OCTAVES = 88.4 * 2.0 ** np.arange(9)  # edges of the octave bands from 125 Hz on, hertz
ABSENT, PRESENT = -20.0, -10.0  # dB at the own spot compared with all others: below, a source rests; above, it counts
PREDICTED = -12.0  # dB: what a spot hears beyond the others, up to which its player never plays
CANCELLING = 3.0  # dB: what a prediction adds up, relative to what it predicts, up to which it is bleed
FAINT = -30.0  # dB below the loudest band of a spot: such a band does not tell
LOOKED_AT = 100  # frequencies of each band, at most: enough to tell whether somebody never plays
FRAMES = 10  # a source, at least, to tell whether somebody never plays
LOADING = 1e-6


def edges_of(frequencies: Array) -> Array:
    """Return the first bin of every octave band and the number of all bins, without bands that are empty.

    Examples
    --------
    >>> edges_of(np.arange(0, 800, 50.0)).tolist()
    [0, 2, 4, 8, 15, 16]
    """
    bins = [0, *np.searchsorted(frequencies, OCTAVES).tolist(), len(frequencies)]
    return np.unique(bins).astype(np.int64)


def presence(W_NFK: Array, H_NKT: Array, R_NFMM: Array, spots: Sequence[Any], edges: Array) -> Array:
    """Return which part of each source's power counts, by band and frame: 1 where it plays, 0 where it rests.

    With ρ the level of a source at its own spot over that of all others there, in dB, it is ((ρ + 20) / 10)² between
    -20 and -10 dB.  At every moment the source with the highest ρ counts in full.

    Parameters
    ----------
    W_NFK, H_NKT, R_NFMM : float, float and complex
        Of a fitted model.
    spots : Spots
    edges : int, shape (B + 1,)
        As `edges_of` gives them.

    Returns
    -------
    float64, shape (N, B, T)

    Examples
    --------
    Two sources that take turns; the first one never quite ends, as far as the model knows:

    >>> H_NKT = np.array([[[1.0, 0.005]], [[0.0, 1.0]]])
    >>> R_NFMM = np.tile(np.diag([1.0, 0.1]), (2, 4, 1, 1)) + 0j
    >>> R_NFMM[1] = np.diag([0.1, 1.0])
    >>> presence(np.ones((2, 4, 1)), H_NKT, R_NFMM, [0, 1], np.array([0, 4])).round(2).tolist()
    [[[1.0, 0.49]], [[0.0, 1.0]]]
    """
    own = Spots(spots).references
    level_NFN = R_NFMM[:, :, own, own].real
    tiny = np.finfo(np.float64).tiny
    rho_NBT = np.empty((len(own), len(edges) - 1, H_NKT.shape[2]))
    weight_NNBK = np.empty((len(own), len(own), len(edges) - 1, W_NFK.shape[2]))

    def weigh(index: int) -> None:
        n, k, b = np.unravel_index(index, weight_NNBK.shape[:3])  # one source and band at a time, for memory
        band = slice(edges[b], edges[b + 1])
        weighted_FK = W_NFK[k, band] * level_NFN[k, band, n, None]
        weight_NNBK[n, k, b] = np.add.reduceat(weighted_FK, [0], axis=0)[0]

    share_out(weigh, weight_NNBK[..., 0].size)
    for n in range(len(own)):
        heard_NBT = weight_NNBK[n] @ H_NKT
        others_BT = np.delete(heard_NBT, n, axis=0).sum(axis=0)
        rho_NBT[n] = 10 * (np.log10(np.maximum(heard_NBT[n], tiny)) - np.log10(np.maximum(others_BT, tiny)))
    part_NBT = np.square(np.clip((rho_NBT - ABSENT) / (PRESENT - ABSENT), 0.0, 1.0))
    np.put_along_axis(part_NBT, rho_NBT.argmax(axis=0)[None], 1.0, axis=0)
    return part_NBT


def silent_sources(X_FTM: Array, spots: Sequence[Any], loudness_M: Array, frequencies: Array) -> list[int] | None:
    """Return the sources that never play: in every band their spots hear only what the others' spots predict.

    One filter a frequency predicts a spot from those of the others, each frame by a filter learned from all other
    frames.  Of several that can be predicted the quietest is left out first, and then no longer predicts the rest:
    where one person speaks alone each microphone predicts the others.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
    spots : Spots
    loudness_M : float, shape (M,)
        How loud the microphones were recorded.
    frequencies : float, shape (F,)
        In hertz.

    Returns
    -------
    list of int, or None
        None where the take is too short to tell.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((40, 60, 3)) + 1j * rng.standard_normal((40, 60, 3))
    >>> X_FTM[..., 1] = 0.2 * X_FTM[..., 0] - 0.1j * X_FTM[..., 2]
    >>> silent_sources(X_FTM, [0, 1, 2], np.array([1.0, 0.2, 1.0]), np.arange(40) * 100.0)
    [1]
    """
    own, present, silent = Spots(spots).references, list(range(len(spots))), []
    if X_FTM.shape[1] < FRAMES * len(own):
        return None
    edges = edges_of(frequencies)
    some = np.concatenate([np.arange(a, b, -(-(b - a) // LOOKED_AT)) for a, b in pairwise(edges.tolist())])
    X_FTM, edges = X_FTM[some], edges_of(np.asarray(frequencies)[some])
    for n in sorted(present, key=lambda n: float(loudness_M[own[n]])):
        others = [own[k] for k in present if k != n]
        if others and _predicted(X_FTM, own[n], others, edges):
            present.remove(n)
            silent.append(n)
    return sorted(silent)


def _predicted(X_FTM: Array, mic: int, others: Sequence[int], edges: Array) -> bool:
    """Return whether other microphones predict one in every band in which it hears something, as bleed of theirs.

    Where bleed is dry and few play at a frequency, a spot can be predicted from what others hear of its player, too.
    Such filters amplify that bleed, and cancel what else those microphones hear, so that they add up far more than they
    predict.
    """
    error_F, added_F, power_F = (np.empty(len(X_FTM)) for _ in range(3))
    for f, X_TM in enumerate(X_FTM):
        x_T, A_TO = X_TM[:, mic].astype(np.complex128), X_TM[:, others].astype(np.complex128)
        gram_OO = A_TO.conj().T @ A_TO
        gram_OO += (LOADING * gram_OO.trace().real / len(others) + np.finfo(np.float64).tiny) * np.eye(len(others))
        solved_OT = np.linalg.solve(gram_OO, A_TO.conj().T)
        leverage_T = np.einsum("to,ot->t", A_TO, solved_OT).real
        filter_O = solved_OT @ x_T
        error_T = (x_T - A_TO @ filter_O) / np.maximum(1 - leverage_T, 0.05)
        error_F[f], power_F[f] = np.sum(np.abs(error_T) ** 2), np.sum(np.abs(x_T) ** 2)
        added_F[f] = np.sum(np.abs(A_TO * filter_O) ** 2)
    error_B, added_B, power_B = (np.add.reduceat(each_F, edges[:-1]) for each_F in (error_F, added_F, power_F))
    hears_B = power_B > 10 ** (FAINT / 10) * power_B.max()
    bleed_B = (error_B < 10 ** (PREDICTED / 10) * power_B) & (added_B < 10 ** (CANCELLING / 10) * power_B)
    return bool(hears_B.any() and np.all(bleed_B[hears_B]))
