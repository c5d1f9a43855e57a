"""From pairs of microphones to single ones: who is late, flipped or louder, as the others agree on it.

How two microphones differ is seen between them; which of the two is at fault only a third one tells.  What all have in
common does not count, so most microphones have nothing wrong with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

__all__ = ["CLEAR", "Edge", "Waves", "agreement", "per_mic", "waves"]

Array = NDArray[Any]
Waves = Array  # complex64, (lags, frequencies)

CLEAR = 0.3  # height of a peak between 0 and 1 from which on it is believed
OF_ALL = 0.8  # of the frequencies: the weight that this part of them does not exceed is the largest one


class Edge(NamedTuple):
    """How microphone `b` differs from `a`: clear as its peak is high, 0 to 1.

    Attributes
    ----------
    a, b : int
    clarity : float
    later : int
        In samples.
    sign : int
        -1 where the polarity is flipped, else 1.
    louder : float
        In dB.

    Examples
    --------
    >>> Edge(0, 1, 0.9, 220, -1, 3.0).later
    220
    """

    a: int
    b: int
    clarity: float
    later: int
    sign: int
    louder: float = 0.0


def waves(frequencies: Array, lags: Array) -> Waves:
    """Return what `agreement` compares with, for frequencies in hertz and lags in seconds.

    Examples
    --------
    >>> waves(np.array([100.0, 200.0]), np.array([0.0, 0.005])).shape
    (2, 2)
    """
    turns_LF = np.outer(lags, frequencies)
    angle_LF = (2 * np.pi * (turns_LF - np.rint(turns_LF))).astype(np.float32)  # which is quicker
    waves_LF = np.empty(angle_LF.shape, np.complex64)
    np.cos(angle_LF, out=waves_LF.real)
    np.sin(angle_LF, out=waves_LF.imag)
    return waves_LF


def agreement(cross_F: Array, waves_LF: Waves) -> Array:
    """Return how far all frequencies agree on a delay, between -1 and 1, for every lag of `waves`.

    The phase of a cross-spectrum is that of the delay; the delay on which all frequencies agree is the peak of its
    Fourier transform, negative where the polarity is flipped.  Loud frequencies count more, but no few of them decide.

    Parameters
    ----------
    cross_F : complex, shape (..., F)
        Of a microphone with the conjugate of another one.
    waves_LF : complex64, shape (L, F)

    Returns
    -------
    float32, shape (..., L)

    Examples
    --------
    >>> f, lags = np.arange(0, 4000, 10.0), np.arange(-40, 41) / 8000
    >>> late_F = -np.exp(-2j * np.pi * f * 7 / 8000)  # by 7 samples, and flipped
    >>> agreed_L = agreement(late_F, waves(f, lags))
    >>> peak = np.abs(agreed_L).argmax()
    >>> round(float(lags[peak] * 8000)), round(float(agreed_L[peak]), 2)
    (7, -1.0)
    """
    size_F = np.abs(cross_F)
    root_F = np.sqrt(size_F)
    weight_F = np.minimum(root_F, np.quantile(root_F, OF_ALL, axis=-1, keepdims=True))
    tiny = np.finfo(size_F.dtype).tiny
    total = np.maximum(weight_F.sum(axis=-1, keepdims=True), tiny)
    unit_F = cross_F / np.maximum(size_F, tiny) * weight_F / total
    return np.asarray((unit_F.astype(np.complex64) @ waves_LF.T).real)


def per_mic(edges: Sequence[Edge], n_mics: int, least: float) -> tuple[Array, Array, Array]:
    """Return delay in samples, sign and level in dB of each microphone, from those of pairs.

    Delays and signs spread over the clearest pairs that connect all microphones; levels, which are biased alike in both
    directions, by least squares.  What all microphones have in common does not count, so most of them have not changed.

    Parameters
    ----------
    edges : sequence of Edge
    n_mics : int
    least : float
        Samples; a delay of a pair that is shorter counts as none.

    Returns
    -------
    delay_M, sign_M : int, shape (M,)
    level_M : float, shape (M,)

    Examples
    --------
    >>> edges = [Edge(0, 1, 0.9, 0, 1), Edge(0, 2, 0.8, 220, -1), Edge(2, 1, 0.7, -220, -1)]
    >>> delay_M, sign_M, _ = per_mic(edges, 3, least=20)
    >>> delay_M.tolist(), sign_M.tolist()
    ([0, 0, 220], [1, 1, -1])
    """
    cost_MM = np.zeros((n_mics, n_mics))
    between = {}
    for a, b, clarity, later, sign, _ in edges:
        if clarity >= CLEAR and (cost_MM[a, b] == 0 or 1.01 - clarity < cost_MM[a, b]):
            cost_MM[a, b] = cost_MM[b, a] = 1.01 - clarity
            between[a, b], between[b, a] = (later, sign), (-later, sign)
    delay_M, sign_M = np.zeros(n_mics, int), np.ones(n_mics, int)
    tree = minimum_spanning_tree(np.triu(cost_MM))
    tree = tree + tree.T
    seen: set[int] = set()
    for root in range(n_mics):
        if root in seen:
            continue
        order, before = breadth_first_order(tree, root)
        for m in order[1:]:
            later, sign = between[int(before[m]), int(m)]
            delay_M[m] = delay_M[before[m]] + (later if abs(later) >= least else 0)
            sign_M[m] = sign_M[before[m]] * sign
        group = [int(m) for m in order]
        delay_M[group] -= int(np.sort(delay_M[group])[(len(group) - 1) // 2])
        if sign_M[group].sum() < 0:
            sign_M[group] *= -1
        seen |= set(group)
    level_M = np.zeros(n_mics)
    if edges:
        rows = np.zeros((len(edges), n_mics))
        for i, edge in enumerate(edges):
            rows[i, edge.b], rows[i, edge.a] = 1.0, -1.0
        weight = np.array([max(edge.clarity, 0.05) for edge in edges])
        louder = np.array([edge.louder for edge in edges])
        bias = float(np.median(louder))
        level_M = np.linalg.lstsq(rows * weight[:, None], (louder - bias) * weight, rcond=None)[0]
        level_M -= np.median(level_M)
    return delay_M, sign_M, level_M
