"""Who is late, whose clock runs off, and whose polarity is flipped: from the bleed between microphones.

Where one player is much louder at the own microphone i than the others are at theirs, every other microphone j hears
this player after i does, by the way there.  That delay is ``d_ij = tau_ij + o_j - o_i`` if i and j are late by o_i and
o_j.  In a room the ways from i to j and from j to i are equal up to geometry, so half of ``d_ij - d_ji`` is
``o_j - o_i``.  What changes in d_ij over the take is the drift of clocks, ``p_j - p_i``, and how player i moves towards
the own microphone, which all j see alike; so p comes from the columns of the matrix of changes.

Three steps: a coarse one for hundreds of milliseconds, by the cross-correlation of long windows; the drift; and what
is left of the delays, with the polarity, when both are taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.sparse.csgraph import connected_components

from mnmf.faults._excerpts import Excerpts, windows
from mnmf.pairs import CLEAR, Edge, agreement, per_mic, waves

__all__ = ["SURE", "Clocks", "Heard", "clocks_of", "heard_in"]

Array = NDArray[Any]

# The coarse step
LATEST = 2.0  # seconds
LONG = 6.0  # seconds of a window
ABOVE = 12.0  # times the noise: how high a peak of the correlation must be
APART = 0.05  # seconds: a peak that is further away is another one
FAR = 0.04  # seconds: less is left to the next steps
FEW = 4  # excerpts, from the first to the last
TURNS = 10  # until all pairs agree as far as they can

# Spectra
WINDOW = 0.18  # seconds
LOWEST, HIGHEST = 200.0, 4500.0  # hertz
LOUDER = 4.0  # times as loud as any other microphone, all at equal loudness: the own player alone is heard
AUDIBLE = 0.05  # of the mean
LOUD = 0.5  # of the mean, as the own player of a microphone is, but not reverberation
SMOOTH = 9  # bins over which the loudness of a microphone is smoothed
FEWEST = 24  # windows
OF_MEDIAN = 0.4  # of the usual number of such points: a microphone with fewer has no player
NOTHING = 1e-6  # seconds
NEIGHBOURS = 12  # microphones that each is compared with, at most

# Drift
BLOCK = 4.0  # seconds in which nothing drifts far, at least
BLOCKS = (4, 12)
BETWEEN = 0.03  # seconds by which neighbouring blocks may differ
ROUNDS = 6  # at most, and until nothing changes by more than
SETTLED = 0.3e-6
GRID_PPM = np.arange(-300.0, 301.0, 10.0)  # what is tried at first,
GRID_HIGHEST = 1500.0  # up to this frequency in hertz,
GRID_SECONDS = 0.5  # by pieces of time so short that nothing drifts within them
LEAN = 0.02  # how much the rows, in which players move, count compared with the columns
NOISE_PPM = 0.05
SWAY = 1.5e-5  # seconds by which players who move make a clock seem to run off over the take

# Delays
WAY = 0.06  # seconds from a player to another one's microphone, and what the coarse step leaves
THERE_AND_BACK = 0.001  # seconds by which others' players are further away than the own ones, both ways together
AGREE = 0.6  # of the clear pairs of a microphone agree on its delay within its error
CLEARLY = 0.25  # height of a peak, 0 to 1, from which on two microphones are in one room
SURE = 0.25  # of a delay: with a larger error pairs do not tell it
REFLECTED = 0.002  # seconds by which a pair is wrong that takes a reflection for the direct sound

# What the coarse step found alone
ROUGHLY = 0.1  # seconds: less is not named
SAME = 0.001  # seconds by which a way may differ in both halves of the take


@dataclass(frozen=True, eq=False)
class Heard:
    """What the microphones hear, as far as it tells one player from another.

    Attributes
    ----------
    X_FTM : complex64
        Spectra at some frequencies.
    frequencies : float, shape (F,)
        In hertz.
    seconds_T : float
        The middle of each window, in the take.
    block_T : int
        To which block of time it belongs.
    excerpt_T : int
        To which excerpt.
    own_FT : int16
        The microphone whose player is heard alone, or -1.
    player_M : bool
        Which microphones have a player of their own.
    rate : float
        Of the excerpts, in hertz.
    """

    X_FTM: Array
    frequencies: Array
    seconds_T: Array
    block_T: Array
    excerpt_T: Array
    own_FT: Array
    player_M: Array
    rate: float

    def points(self, mic: int) -> Array:
        """Return the conjugate of a microphone where its player is alone, else 0, (F, T)."""
        return np.where(self.own_FT == mic, self.X_FTM[..., mic].conj(), np.complex64(0))


@dataclass(frozen=True, eq=False)
class Clocks:
    """By how much each microphone is late.

    Attributes
    ----------
    late_M : float, shape (M,)
        Seconds in the middle of the take, compared with most microphones.
    drift_M : float, shape (M,)
        By how many seconds a second it gets later.
    sign_M : int, shape (M,)
        -1 where the polarity is flipped.
    error_M, drift_error_M : float, shape (M,)
        Standard errors, as far as pairs disagree; infinite where nothing tells.
    paired_M : bool, shape (M,)
        Whether a microphone's delay was seen in both directions, so that the way of the sound does not count.
    rough_M : float, shape (M,)
        Seconds by which those are about late of whom only long windows tell; 0 where they do not.
    tells : bool
        Whether there was enough to tell anything.
    """

    late_M: Array
    drift_M: Array
    sign_M: Array
    error_M: Array
    drift_error_M: Array
    paired_M: Array
    rough_M: Array
    tells: bool = True

    @classmethod
    def none(cls, n_mics: int) -> Clocks:
        """Return what is known where nothing tells."""
        zero_M, unknown_M = np.zeros(n_mics), np.full(n_mics, np.inf)
        return cls(zero_M, zero_M, np.ones(n_mics, int), unknown_M, unknown_M, np.zeros(n_mics, bool), zero_M, False)


def clocks_of(excerpts: Excerpts) -> tuple[Clocks, Heard | None]:
    """Find out who is late, whose clock runs off and who is flipped; all microphones must hear something of the room.

    Returns
    -------
    clocks : Clocks
    heard : Heard or None
        What the microphones hear with delays and drift undone; None if that is too little to tell anything.
    """
    M = excerpts.n_mics
    if M < 2:
        return Clocks.none(M), heard_in(excerpts)
    begun_M, begun_drift_M = _coarse(excerpts)
    late_EM = begun_M + begun_drift_M * np.array(excerpts.starts)[:, None]
    heard = heard_in(_aligned(excerpts, late_EM))
    if heard is None:
        return Clocks.none(M), None
    # Whole samples were taken off each excerpt; take off the rest of the line, so that what is left is smooth.
    shifted_TM = (np.round(late_EM * excerpts.rate) / excerpts.rate)[_excerpts_at(excerpts, heard)]
    _undo(heard, begun_M + begun_drift_M * heard.seconds_T[:, None] - shifted_TM)
    middle = excerpts.duration / 2
    drift_M, drift_error_M = _drifts(heard, middle)
    late_M, sign_M, error_M, paired_M, alone_M = _delays(heard, begun_M + begun_drift_M * middle)
    late_M = late_M + begun_M + begun_drift_M * middle
    unsure_M = (begun_drift_M == 0) & (alone_M | ~(error_M < SURE * np.abs(late_M)))
    rough_M = _rough(heard, np.where(unsure_M, begun_M, 0.0), begun_M)
    drift_M = drift_M + begun_drift_M
    together = np.flatnonzero(~alone_M)
    for each_M, unknown_M in ((late_M, error_M), (drift_M, drift_error_M)):
        each_M -= np.sort(each_M[together])[(len(together) - 1) // 2] if len(together) else 0.0
        each_M[alone_M], unknown_M[alone_M] = 0.0, np.inf
    return Clocks(late_M, drift_M, sign_M, error_M, drift_error_M, paired_M, rough_M, len(together) > 1), heard


def _excerpts_at(excerpts: Excerpts, heard: Heard) -> Array:
    """Return of which excerpt each window is."""
    return np.asarray(np.searchsorted(np.array(excerpts.starts), heard.seconds_T, side="right") - 1)


# --- the coarse step


def _coarse(excerpts: Excerpts) -> tuple[Array, Array]:
    """Return by how many seconds microphones are late at the beginning, and how that grows, if some are far off."""
    E = len(excerpts.parts)
    some = sorted({round(k * (E - 1) / (FEW - 1)) for k in range(FEW)})
    late_EM = np.array([_late_in(excerpts.parts[e], excerpts.rate) for e in some])
    starts_E = np.array(excerpts.starts)[some]
    slope_M = np.zeros(excerpts.n_mics)
    if np.abs(late_EM).max() < FAR:
        return slope_M, slope_M
    if len(some) > 2:
        apart_EE = starts_E[:, None] - starts_E
        first, second = np.nonzero(apart_EE > 0)
        slope_M = np.median((late_EM[first] - late_EM[second]) / apart_EE[first, second][:, None], axis=0)
    # What does not leave the reach of the next steps within the take is no drift, but players who take turns.
    slope_M[np.abs(slope_M) * excerpts.duration < FAR] = 0.0
    begun_M = np.median(late_EM - slope_M * starts_E[:, None], axis=0)
    begun_M[(np.abs(begun_M) < FAR) & (slope_M == 0)] = 0.0
    return begun_M, slope_M


def _late_in(y_LM: Array, rate: float) -> Array:
    """Return by how many seconds each microphone is late in an excerpt, up to the ways of the sound."""
    L, M = y_LM.shape
    length = min(round(LONG * rate), L)
    reach = min(round(LATEST * rate), length // 3)
    n = next_fast_len(length + reach, real=True)  # so that nothing comes round within reach
    f = np.arange(n // 2 + 1) * rate / n
    some_F = np.flatnonzero((f >= LOWEST / 2) & (f <= min(HIGHEST, 0.45 * rate)))
    starts = range(0, L - length + 1, max(length // 2, 1))
    taper = np.hanning(length + 1)[:-1].astype(np.float32)[:, None]
    spectra = [rfft(y_LM[start : start + length] * taper, n, axis=0)[some_F].T for start in starts]
    edges = []
    for a, b in _neighbours(M):
        cross_F = np.zeros(n // 2 + 1, np.complex64)
        for X_MF in spectra:
            product_F = X_MF[b] * X_MF[a].conj()
            root_F = np.sqrt(np.maximum(np.abs(product_F), 1e-20))
            cross_F[some_F] += product_F / (root_F * np.sqrt(root_F))  # to the power of 0.75: not quite white
        clarity, later = _clearest(irfft(cross_F, n), reach, round(APART * rate))
        edges.append(Edge(a, b, clarity, later, 1))
    return np.asarray(_shifts(edges, M, round(FAR * rate)) / rate)


def _shifts(edges: Sequence[Edge], n_mics: int, near: int) -> Array:
    """Return the delays of microphones, in samples, with which most pairs agree, each as it is clear.

    Where the same is played at two places, one after the other, some pairs say so very clearly; but what these hear of
    the others is not late.
    """
    clear = [edge for edge in edges if edge.clarity >= CLEAR]
    about: list[list[tuple[int, int, float]]] = [[] for _ in range(n_mics)]
    for edge in clear:
        about[edge.b].append((edge.a, edge.later, edge.clarity))
        about[edge.a].append((edge.b, -edge.later, edge.clarity))
    best_M, most = np.zeros(n_mics, int), -1.0
    for late_M in (np.zeros(n_mics, int), per_mic(edges, n_mics, 0.0)[0]):
        for _ in range(TURNS):
            before_M = late_M.copy()
            for m in range(n_mics):
                tried = [int(late_M[m]), *(int(late_M[other]) + later for other, later, _ in about[m])]
                score = [
                    sum(clarity for k, later, clarity in about[m] if abs(each - late_M[k] - later) < near)
                    for each in tried
                ]
                late_M[m] = tried[int(np.argmax(score))]
            if np.array_equal(late_M, before_M):
                break
        agreed = sum(edge.clarity for edge in clear if abs(late_M[edge.b] - late_M[edge.a] - edge.later) < near)
        if agreed > most:
            best_M, most = late_M.copy(), agreed
    return best_M - int(np.sort(best_M)[(n_mics - 1) // 2])


def _neighbours(n_mics: int) -> list[tuple[int, int]]:
    """Return which pairs are compared: all of a few microphones, and of many each with some others."""
    pairs = [(a, b) for a in range(n_mics) for b in range(a + 1, n_mics)]
    if n_mics <= NEIGHBOURS + 4:
        return pairs
    steps = np.unique(np.geomspace(1, n_mics // 2, NEIGHBOURS // 2).round().astype(int))
    return sorted({(min(a, b), max(a, b)) for a in range(n_mics) for b in ((a + steps) % n_mics).tolist()})


def _clearest(correlation_L: Array, reach: int, apart: int) -> tuple[float, int]:
    """Return how clear the highest peak is, 0 to 1, and how many samples later that is."""
    size_L = np.abs(
        np.concatenate([correlation_L[-reach:] if reach else correlation_L[:0], correlation_L[: reach + 1]])
    )
    peak = int(size_L.argmax())
    height = float(size_L[peak])
    if height < ABOVE * 1.48 * np.median(size_L) or height <= 0:
        return 0.0, 0
    rest = np.concatenate([size_L[: max(peak - apart, 0)], size_L[peak + apart + 1 :]])
    return 1.0 - float(rest.max(initial=0.0)) / height, peak - reach


def _aligned(excerpts: Excerpts, late_EM: Array) -> Excerpts:
    """Return excerpts in which each microphone is earlier by so many seconds, to the sample."""
    parts = []
    for part, late_M in zip(excerpts.parts, late_EM):
        moved = np.zeros_like(part)
        for m, late in enumerate(np.round(late_M * excerpts.rate).astype(int).tolist()):
            if abs(late) < len(part):
                moved[max(-late, 0) : len(part) - max(late, 0), m] = part[max(late, 0) : len(part) + min(late, 0), m]
        parts.append(moved)
    return replace(excerpts, parts=tuple(parts))


# --- spectra


def heard_in(excerpts: Excerpts) -> Heard | None:
    """Return what the microphones hear, or None if there is too little."""
    rate = excerpts.rate
    length = 2 ** round(np.log2(WINDOW * rate))
    hop = length // 2
    f = np.arange(length // 2 + 1) * rate / length
    bins = np.flatnonzero((f >= LOWEST) & (f <= min(HIGHEST, 0.45 * rate)))
    counts = [max((len(part) - length) // hop + 1, 0) for part in excerpts.parts]
    if sum(counts) < FEWEST or len(bins) < FEWEST:
        return None
    X_FTM = np.empty((len(bins), sum(counts), excerpts.n_mics), np.complex64)
    for part, stop, count in zip(excerpts.parts, np.cumsum(counts).tolist(), counts):
        X_FTM[:, stop - count : stop] = windows(part, length, hop, bins).transpose(1, 0, 2)
    seconds = [start + (np.arange(count) * hop + length / 2) / rate for start, count in zip(excerpts.starts, counts)]
    seconds_T, excerpt_T = np.concatenate(seconds), np.repeat(np.arange(len(counts)), counts)
    block_T = excerpt_T
    if len(counts) == 1:
        blocks = int(min(excerpts.seconds // BLOCK, BLOCKS[1]))
        blocks = blocks if blocks >= BLOCKS[0] or excerpts.seconds < 2 * BLOCK else max(blocks, 3)
        block_T = np.arange(counts[0]) * max(blocks, 1) // counts[0]
    sounds_T = np.any(X_FTM != 0, axis=0).all(axis=1)  # no microphone is muted
    if FEWEST <= sounds_T.sum() < len(sounds_T):
        X_FTM = X_FTM[:, sounds_T]
        seconds_T, block_T, excerpt_T = (each[sounds_T] for each in (seconds_T, block_T, excerpt_T))
    block_T, excerpt_T = (np.unique(each, return_inverse=True)[1] for each in (block_T, excerpt_T))
    return Heard(X_FTM, f[bins], seconds_T, block_T, excerpt_T, *_own(X_FTM), rate)


def _own(X_FTM: Array) -> tuple[Array, Array]:
    """Return at each point the microphone that is clearly the loudest, all brought to equal loudness, or -1.

    And which microphones are so as often as others while they are loud: those have a player of their own.
    """
    P_FTM = X_FTM.real**2 + X_FTM.imag**2
    mean_FM = P_FTM.mean(axis=1)
    kernel = np.ones(SMOOTH) / SMOOTH
    smooth_FM = np.stack([np.convolve(mean_F, kernel, "same") for mean_F in mean_FM.T], axis=1)
    P_FTM /= np.maximum(smooth_FM, np.finfo(np.float32).tiny * 1e6)[:, None]
    own_FT = P_FTM.argmax(axis=2)
    best_FT = np.take_along_axis(P_FTM, own_FT[..., None], axis=2)[..., 0]
    np.put_along_axis(P_FTM, own_FT[..., None], 0.0, axis=2)
    clear_FT = (best_FT > AUDIBLE) & (best_FT > LOUDER * P_FTM.max(axis=2))
    count_M = np.bincount(own_FT[clear_FT & (best_FT > LOUD)], minlength=X_FTM.shape[2])
    usual = np.median(count_M[count_M > 0]) if count_M.any() else np.inf
    return np.where(clear_FT, own_FT, -1).astype(np.int16), count_M > OF_MEDIAN * usual


def _undo(heard: Heard, late_TM: Array) -> None:
    """Take off, in place, by how many seconds microphones are late."""
    for m in np.flatnonzero(np.abs(late_TM).max(axis=0) > NOTHING).tolist():
        phase_FT = 2 * np.pi * heard.frequencies[:, None] * late_TM[:, m]
        heard.X_FTM[..., m] *= np.exp(1j * phase_FT).astype(np.complex64)


def _cross(heard: Heard, mic: int, edges: Sequence[int]) -> Array:
    """Return cross-spectra of all microphones with one where its player is alone, (B, F, J), by blocks of windows."""
    points_FT = heard.points(mic)
    F, _, M = heard.X_FTM.shape
    cross_BFJ = np.empty((len(edges) - 1, F, M), np.complex64)
    for b, (start, stop) in enumerate(pairwise(edges)):
        cross_BFJ[b] = np.matmul(points_FT[:, None, start:stop], heard.X_FTM[:, start:stop])[:, 0]
    return cross_BFJ


def _edges(part_T: Array) -> list[int]:
    """Return where the parts of windows begin, and the end of the last one."""
    return [0, *(np.flatnonzero(np.diff(part_T)) + 1).tolist(), len(part_T)]


def _partners(cross_FJ: Array, loud_J: Array, i: int) -> list[int]:
    """Return the microphones that hear the player of one most coherently."""
    size_J = np.abs(cross_FJ).sum(axis=0) / loud_J
    size_J[i] = -1.0
    order = np.argsort(-size_J, kind="stable")[: min(NEIGHBOURS, len(size_J) - 1)]
    return [int(j) for j in order]


def _loudness(heard: Heard) -> Array:
    """Return how loud the microphones are, so that those are not preferred."""
    some_FTM = heard.X_FTM[:, :: max(heard.X_FTM.shape[1] // 200, 1)]
    return np.asarray(np.sqrt(np.square(np.abs(some_FTM)).mean(axis=(0, 1))) + 1e-30)


# --- drift


def _drifts(heard: Heard, middle: float) -> tuple[Array, Array]:
    """Return the drift of each microphone, and its error; undo it in place, about the middle of the take."""
    M = heard.X_FTM.shape[2]
    B = int(heard.block_T.max()) + 1
    if B < 3:
        return np.zeros(M), np.full(M, np.inf)
    before = _together(heard)
    begun = _grid(heard)
    if not begun:
        return np.zeros(M), np.full(M, np.inf)
    total_M, error_M = _columns(begun, M)
    total_M[np.abs(total_M) < 1e-6 * (GRID_PPM[1] - GRID_PPM[0]) / 2] = 0.0
    _undo(heard, total_M * (heard.seconds_T - middle)[:, None])
    seconds_B = np.array([heard.seconds_T[heard.block_T == b].mean() for b in range(B)])
    for turn in range(ROUNDS):
        step_M, error_M = _columns(_slopes(heard, seconds_B, BETWEEN if turn == 0 else BETWEEN / 10), M)
        total_M += step_M
        _undo(heard, step_M * (heard.seconds_T - middle)[:, None])
        if turn > 0 and np.abs(step_M).max() < SETTLED:
            break
    error_M = np.hypot(error_M, SWAY / (heard.seconds_T[-1] - heard.seconds_T[0]))
    if _together(heard) < before:  # it does not fit better than no drift at all
        _undo(heard, -total_M * (heard.seconds_T - middle)[:, None])
        return np.zeros(M), np.full(M, np.inf)
    return total_M, error_M


def _together(heard: Heard) -> float:
    """Return how well the cross-spectra of all times add up."""
    whole = [0, heard.X_FTM.shape[1]]
    return sum(float(np.abs(_cross(heard, i, whole)).sum()) for i in np.flatnonzero(heard.player_M).tolist())


def _grid(heard: Heard) -> list[tuple[int, int, float, float]]:
    """Return for pairs (i, j) by how much d_ij grows, of a few values: at which cross-spectra add up best.

    They are summed within each excerpt, so that nothing depends on the time between them.
    """
    low = heard.frequencies < GRID_HIGHEST
    few = replace(heard, X_FTM=heard.X_FTM[low], frequencies=heard.frequencies[low], own_FT=heard.own_FT[low])
    excerpts = _edges(few.excerpt_T)
    first_T = np.repeat(few.seconds_T[excerpts[:-1]], np.diff(excerpts))
    piece_T = ((few.seconds_T - first_T) // GRID_SECONDS).astype(int)
    edges = _edges(few.excerpt_T * (piece_T.max() + 1) + piece_T)
    away_P = np.array([(few.seconds_T - first_T)[a:b].mean() for a, b in pairwise(edges)])
    turn_FPG = np.exp(2e-6j * np.pi * few.frequencies[:, None, None] * away_P[:, None] * GRID_PPM).astype(np.complex64)
    spans = [(edges.index(a), edges.index(b)) for a, b in pairwise(excerpts)]
    loud_J, found = _loudness(few), []
    for i in np.flatnonzero(heard.player_M).tolist():
        cross_PFJ = _cross(few, i, edges)
        partners = _partners(np.abs(cross_PFJ).sum(axis=0), loud_J, i)
        cross_FJP = np.ascontiguousarray(cross_PFJ[:, :, partners].transpose(1, 2, 0))
        added_JG = sum(np.sqrt(np.abs(np.matmul(cross_FJP[..., a:b], turn_FPG[:, a:b]))).sum(axis=0) for a, b in spans)
        for j, added_G in zip(partners, np.asarray(added_JG)):
            best = int(np.clip(added_G.argmax(), 1, len(GRID_PPM) - 2))
            below, at, above = added_G[best - 1 : best + 2].tolist()
            bent = np.clip(0.5 * (below - above) / min(below - 2 * at + above, -1e-12), -1, 1)
            found.append((i, j, 1e-6 * (GRID_PPM[best] + bent * (GRID_PPM[1] - GRID_PPM[0])), 5e-6))
    return found


def _slopes(heard: Heard, seconds_B: Array, reach: float) -> list[tuple[int, int, float, float]]:
    """Return for pairs (i, j) by how much d_ij grows, in seconds a second, and the error of that."""
    edges, loud_J = _edges(heard.block_T), _loudness(heard)
    away_B = seconds_B - seconds_B.mean()
    step = 0.25 / heard.rate
    lags = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    coarse_LF, fine = waves(heard.frequencies, lags), np.arange(-6, 7) * step / 4
    fine_LF = waves(heard.frequencies, fine)
    found = []
    for i in np.flatnonzero(heard.player_M).tolist():
        cross_BFJ = _cross(heard, i, edges)
        for j in _partners(np.abs(cross_BFJ).sum(axis=0), loud_J, i):
            later_B = _later(cross_BFJ[:, :, j], heard.frequencies, lags, coarse_LF, fine, fine_LF)
            first, second = np.nonzero(np.tri(len(later_B), k=-1))
            slope = float(np.median((later_B[first] - later_B[second]) / (seconds_B[first] - seconds_B[second])))
            rest_B = later_B - later_B.mean() - slope * away_B
            spread = 1.48 * np.median(np.abs(rest_B - np.median(rest_B))) + 1e-6
            found.append((i, j, slope, float(spread / np.sqrt(np.sum(away_B**2)))))
    return found


def _later(cross_BF: Array, f: Array, lags: Array, coarse_LF: Array, fine: Array, fine_LF: Array) -> Array:
    """Return by how many seconds each block is later than their mean, from the changes of a cross-spectrum."""
    U_BF = cross_BF / np.maximum(np.sqrt(np.abs(cross_BF)), 1e-30)
    later_B = np.zeros(len(U_BF))
    so_far_F = U_BF[0].astype(np.complex128)
    for b in range(1, len(U_BF)):  # each with those before it, from which it can have drifted little
        agreed_L = agreement(U_BF[b] * so_far_F.conj(), coarse_LF)
        later_B[b] = lags[agreed_L.argmax()]
        so_far_F += U_BF[b] * np.exp(2j * np.pi * f * later_B[b])
    for _ in range(3):
        moved_BF = U_BF * np.exp(2j * np.pi * f * later_B[:, None])
        agreed_BL = agreement(moved_BF * (moved_BF.sum(axis=0) - moved_BF).conj(), fine_LF)
        peak_B = np.clip(agreed_BL.argmax(axis=1), 1, len(fine) - 2)
        below, at, above = (np.take_along_axis(agreed_BL, peak_B[:, None] + k, axis=1)[:, 0] for k in (-1, 0, 1))
        bend = np.minimum(below - 2 * at + above, -1e-9)
        later_B += fine[peak_B] + np.clip(0.5 * (below - above) / bend, -1, 1) * (fine[1] - fine[0])
        later_B -= later_B.mean()
    return later_B


def _columns(slopes: list[tuple[int, int, float, float]], n_mics: int) -> tuple[Array, Array]:
    """Return the drift of each microphone and its error: what the columns of slopes have in common.

    ``slope_ij = p_j + u_i``: u_i is -p_i if player i sits still, and as this is not sure it counts little.  Pairs that
    disagree with the others count less and less (iteratively reweighted least squares).
    """
    rows = np.zeros((len(slopes) + n_mics + 1, 2 * n_mics))
    values = np.zeros(len(rows))
    for k, (i, j, slope, _) in enumerate(slopes):
        rows[k, j] = rows[k, n_mics + i] = 1.0
        values[k] = slope * 1e6
    for m in range(n_mics):
        rows[len(slopes) + m, [m, n_mics + m]] = 1.0
    rows[-1, :n_mics] = 1e-3
    sure = np.array([1 / ((1e6 * error) ** 2 + NOISE_PPM**2) for *_, error in slopes])
    sure /= sure.max()
    weight = sure.copy()
    for _ in range(30):
        root = np.sqrt(np.concatenate([weight, np.full(n_mics, LEAN * np.median(weight)), [1.0]]))
        solved = np.linalg.lstsq(rows * root[:, None], values * root, rcond=None)[0]
        rest = np.abs(rows[: len(slopes)] @ solved - values[: len(slopes)])
        weight = sure / np.maximum(1, rest / max(np.median(rest), 0.4 * NOISE_PPM)) ** 2
    drift_M = solved[:n_mics] - np.sort(solved[:n_mics])[(n_mics - 1) // 2]
    error_M = np.full(n_mics, np.inf)
    for m in range(n_mics):
        own = np.array([m in (i, j) for i, j, *_ in slopes])
        if own.any():
            deviation = np.sum(weight[own] * rest[own] ** 2) / np.sum(weight[own])
            error_M[m] = np.sqrt((deviation + NOISE_PPM**2) / max(np.sum(weight[own]) / weight[own].max() / 2, 1))
    return drift_M * 1e-6, error_M * 1e-6


# --- delays


def _delays(heard: Heard, before_M: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return by how many seconds each microphone is late, its sign, the error, whether it was seen in both directions.

    And which microphones hear nothing clearly of the room that most others are in.  By how much the microphones are
    late beside that was taken off `before`.
    """
    M = heard.X_FTM.shape[2]
    step, loud_J, whole = 0.5 / heard.rate, _loudness(heard), [0, heard.X_FTM.shape[1]]
    lags = np.arange(-round(WAY / step), round(WAY / step) + 1) * step
    waves_LF = waves(heard.frequencies, lags)
    way: dict[tuple[int, int], tuple[float, int, float]] = {}
    for i in np.flatnonzero(heard.player_M).tolist():
        cross_FJ = _cross(heard, i, whole)[0]
        for j in _partners(cross_FJ, loud_J, i):
            agreed_L = agreement(cross_FJ[:, j], waves_LF)
            peak = int(np.abs(agreed_L).argmax())
            way[i, j] = float(lags[peak]), 1 if agreed_L[peak] > 0 else -1, float(abs(agreed_L[peak]))
    edges = [Edge(i, j, height, 0, sign) for (i, j), (_, sign, height) in way.items()]
    sign_M = per_mic(edges, M, 0.0)[1]
    halves = []
    for i, j in way:
        there, back = way[i, j], way.get((j, i))
        # There and back takes time, however late the two are.  If not, both hear the same player, as a main pair does
        # that is taken to have one; or one of the two is a reflection.
        if i < j and back is not None and there[0] + back[0] > THERE_AND_BACK:
            halves.append((i, j, (there[0] - back[0]) / 2, min(there[2], back[2])))
    late_M, error_M, paired_M = _consensus(halves, M)
    for m in np.flatnonzero(~paired_M).tolist():
        # Only how others reach it is known: the shortest way is the least that it is late.
        ways = [(later + late_M[i], height) for (i, j), (later, _, height) in way.items() if j == m and paired_M[i]]
        highest = max((height for _, height in ways), default=0.0)
        likely = [later for later, height in ways if height >= 0.5 * highest]
        # Who is early hears all players early.
        if highest >= CLEARLY and (min(likely) + before_M[m] > 0 or max(likely) + before_M[m] < 0):
            late_M[m], error_M[m] = min(likely), WAY
    alone_M = _alone([(i, j) for (i, j), (_, _, height) in way.items() if height >= CLEARLY], M)
    sign_M[alone_M] = 1
    return late_M, sign_M, error_M, paired_M, alone_M


def _rough(heard: Heard, later_M: Array, begun_M: Array) -> Array:
    """Return by how many seconds microphones are about late where pairs are not clear, of what the coarse step found.

    Music that is repeated at another microphone is heard in one direction only, and what is the same at both needs no
    way there and back; so ways must be there in both directions, and the same at all times.
    """
    found_M = np.zeros(len(begun_M))
    for m in np.flatnonzero((np.abs(later_M) >= ROUGHLY) & heard.player_M).tolist():
        others = np.flatnonzero((np.abs(begun_M - later_M[m]) >= ROUGHLY) & heard.player_M).tolist()
        sure = sum(_there_and_back(heard, m, other) for other in others[:NEIGHBOURS])
        if sure >= min(2, len(begun_M) - 1):  # of two that are apart a third one tells who is late
            found_M[m] = later_M[m]
    return found_M


def _there_and_back(heard: Heard, i: int, j: int) -> bool:
    """Return whether two microphones hear each other's players, at all times alike."""
    step, T = 0.5 / heard.rate, heard.X_FTM.shape[1]
    lags = np.arange(-round(WAY / step), round(WAY / step) + 1) * step
    waves_LF, both = waves(heard.frequencies, lags), 0.0
    for own, other in ((i, j), (j, i)):
        cross_BF = _cross(heard, own, [0, T // 2, T])[:, :, other]
        first, second = lags[np.abs(agreement(cross_BF, waves_LF)).argmax(axis=1)].tolist()
        if abs(first - second) > SAME:
            return False
        both += (first + second) / 2
    return THERE_AND_BACK < both < WAY


def _alone(clear: list[tuple[int, int]], n_mics: int) -> Array:
    """Return which microphones are not among the most that are connected by clear pairs."""
    joined = np.zeros((n_mics, n_mics))
    for i, j in clear:
        joined[i, j] = joined[j, i] = 1.0
    _, group_M = connected_components(joined, directed=False)
    sizes = np.bincount(group_M)
    return np.asarray((group_M != sizes.argmax()) | (sizes.max() < 2))


def _consensus(halves: list[tuple[int, int, float, float]], n_mics: int) -> tuple[Array, Array, Array]:
    """Return the delays on which most pairs agree, their errors, and which microphones have any pair."""
    late_M, error_M, paired_M = np.zeros(n_mics), np.full(n_mics, np.inf), np.zeros(n_mics, bool)
    if not halves:
        return late_M, error_M, paired_M
    rows = np.zeros((len(halves) + 1, n_mics))
    values = np.zeros(len(rows))
    for k, (i, j, later, _) in enumerate(halves):
        rows[k, j], rows[k, i], values[k] = 1.0, -1.0, later
        paired_M[[i, j]] = True
    rows[-1] = 1e-3
    sure = np.array([height**2 for *_, height in halves])
    weight = sure.copy()
    for _ in range(50):
        root = np.sqrt(np.append(weight, 1.0))
        late_M = np.linalg.lstsq(rows * root[:, None], values * root, rcond=None)[0]
        rest = np.abs(rows[:-1] @ late_M - values[:-1])
        weight = sure / np.maximum(rest, 5e-5)
    for m in np.flatnonzero(paired_M).tolist():
        error_M[m] = _error(halves, rest, m, n_mics)
    late_M[paired_M] -= np.sort(late_M[paired_M])[(paired_M.sum() - 1) // 2]
    late_M[~paired_M] = 0.0
    return late_M, error_M, paired_M


def _error(halves: list[tuple[int, int, float, float]], rest: Array, m: int, n_mics: int) -> float:
    """Return by how much the pairs of a microphone disagree about its delay; infinite where that rests on too little.

    Most of them count, each as it is clear, and at least two.  They confirm each other as far as those that they are
    with agree without this microphone, by the best pairs that connect them.
    """
    own = sorted((k for k, half in enumerate(halves) if m in half[:2]), key=lambda k: float(rest[k]))
    sure = np.cumsum([halves[k][3] ** 2 for k in own])
    least = min(2, n_mics - 1)
    most = max(int(np.searchsorted(sure, AGREE * sure[-1])) + 1, least)
    if len(own) < least or max(halves[k][3] for k in own[:most]) < CLEARLY:
        return np.inf
    error = float(rest[own[most - 1]]) + 5e-5
    others = [i if j == m else j for i, j, *_ in (halves[k] for k in own[:most])]
    group_M = np.arange(n_mics)
    for k in np.argsort(rest, kind="stable").tolist():
        i, j = halves[k][:2]
        if m not in (i, j):
            group_M[group_M == group_M[i]] = group_M[j]
        if len(set(group_M[others].tolist())) < len(others):
            return error + min(float(rest[k]), REFLECTED)
    return error + REFLECTED
