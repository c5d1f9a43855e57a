"""How far the solos still hold in the take: what has changed since can often be undone, and the rest is measured.

Solos tell how each player reaches the microphones, if nothing has changed between solo and take.  Markers may be off or
name the wrong player, a cable may be flipped, a preamplifier turned or a recorder late, and players move.  `survey`
looks at a part of the frequencies of both: it leaves out what is no solo of its player, undoes what happened to a whole
microphone, and says of each player, band by band, how much worse the solo predicts the take than the take itself does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mnmf import priors
from mnmf.kernels import one_blas_thread
from mnmf.models import FastMNMF2, held_out_misfit, presence
from mnmf.pairs import Edge, agreement, per_mic, waves
from mnmf.rows import blocks
from mnmf.stft import STFT, window_samples
from mnmf.take import Levels, Take

__all__ = ["TURNS", "Survey", "play_together", "survey"]

Array = NDArray[Any]

WINDOW = 32768 / 44100  # seconds, or less where solos are short
SHORTEST = 4096 / 44100
IN_A_SOLO = 3  # windows at least, so that some frames lie wholly within it
LOWEST, HIGHEST, FREQUENCIES = 100.0, 4000.0, 800  # what is looked at: enough to tell, few to be quick
LONGEST = 90.0  # seconds of the take
COMPONENTS, ITERATIONS = 16, 20
BANDS = (0.0, 360.0, 720.0, 1440.0, 2880.0, np.inf)  # hertz
MIDWAY = 3.0  # times the misfit of one half of a take in the other: the player moved between them
FEWEST = 20  # frames of half a take, or only the whole is looked at; and frequencies
A_MIC = 5  # frames of half a take for each microphone, likewise: covariances of more microphones take more to learn
EXCHANGED = 6.0  # dB a player: two solos are exchanged if each is so much louder at the other's spot
QUIET = 1e-4  # of the loudest frame of a solo: less is silence
BLOCK = 0.05  # seconds, in which the energy of a passage is measured
ARRIVES = 0.0005  # seconds from a clap to its own spot, at least: a passage may begin with it
SILENT, LOUD = 1e-5, 1e-2  # of the energy of the loudest block
CLAPS = 0.25  # of the blocks of a passage: fewer loud ones between silences are claps or single strokes
CLAPS_COUNT = 4  # times their length: a window that holds them all hears all that they tell
OTHERS = 0.1  # of a solo: worth a remark if more of it is somebody else's
CLEARLY = 0.2  # of how far its own player explains a frame better than noise does, at the clearest frames of a solo
RINGS_ON = 4  # frames after which a note or a clap that rings on is left out, at the latest
AS_WELL = 0.5  # nats a frame and 4 microphones: a solo with what rings on may predict so much worse than without
LATEST = 0.1  # seconds by which a microphone may be late
EARLIEST = 0.002  # seconds: less may be a player who moved
LOUDER = 3.5  # dB of a change of gain that is worth a remark
FOREIGN = 9.0  # dB by which the levels of a solo may differ from those in the take before it is ignored
IGNORED = 3.5  # nats a frame and 4 microphones, below 1.4 kHz: a solo that predicts so much worse only misleads
KEPT = 0.8  # nats a frame and 4 microphones: a player whose solo predicts so much worse has moved
HOLDS = 0.25  # the mean of all players, up to which nobody seems even to sway
TURNS = 0.3  # of `Survey.together`: with less, long windows would span several turns
LEAST = 0.05  # nats a frame: the misfit of a solo that could not hold better
TWELFTH = 12.0  # of the frames that a misfit allows, as `Survey.seconds` says


@dataclass(frozen=True, eq=False)
class Survey:
    """What `survey` found.

    Attributes
    ----------
    take : Take
        The take with solos as they would sound now: what is no solo is left out, what has changed since is undone.
    misfit_NB : float, shape (N, 5)
        By how many nats a frame the solo of each source predicts the take worse than the take itself does, in the bands
        of `BANDS`; infinite without a solo.
    hop : float
        Seconds between frames.
    remarks : tuple of str
        What was left out, undone or ignored, each in one line.
    ringing : sequences of float arrays, (samples, M), by source
        The solos with what rings on, which the take's leave out, where they fit about as well; or nothing.
    together : float
        How many of the sources are heard at their own spots at a time: 0 for one of them, 1 for all; NaN where no solo
        told anything (`play_together` finds it out).

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take
    >>> from mnmf.survey import Survey
    >>> found = Survey(Take(np.ones((800, 2)), 8000), np.full((2, 5), np.inf), 0.1)
    >>> found.holds, found.seconds([100.0, 500.0]).tolist()
    (False, [[0.0, 0.0], [0.0, 0.0]])
    >>> Survey(found.take, np.array([[0.1] * 5, [np.inf] * 5]), 0.1).seconds([100.0]).tolist()
    [[inf], [0.0]]
    """

    take: Take
    misfit_NB: Array
    hop: float
    remarks: tuple[str, ...] = ()
    ringing: Sequence[Sequence[Array]] = ()
    together: float = np.nan

    @property
    def holds(self) -> bool:
        """Whether every source has a solo and none has moved since, or sways."""
        return bool(np.isfinite(self.misfit_NB[:, 1]).all()) and self._known_hold

    @property
    def _known_hold(self) -> bool:
        """Whether no source with a solo has moved since, or sways."""
        known_N = np.isfinite(self.misfit_NB[:, 1])
        misfit_N = self.misfit_NB[known_N, 1:4].mean(axis=1) * 4 / len(self.take.mic_names)
        return bool(known_N.any() and misfit_N.max() < KEPT and misfit_N.mean() < HOLDS)

    @property
    def long_windows(self) -> bool:
        """Whether long windows pay: every source has a solo that holds, and they do not take turns."""
        return self.holds and self.together >= TURNS

    @property
    def shortest(self) -> float:
        """The longest passage of each source, and of these the shortest, in seconds; 0 if a source has none.

        Claps count four times: windows may reach into the silence around them, and one that holds them all will do.
        """
        longest = [max(map(self._length, (*clear, *ringing)), default=0) for clear, ringing in self._both()]
        return min(longest, default=0) / self.take.sample_rate

    def lasting(self, n_samples: int) -> Take:
        """Return the take with solos for windows of so many samples.

        Passages that are shorter are left out where a source has longer ones.  What rings on is left in where else no
        passage would have two windows.  Claps that have not two windows either go on in silence for half a window
        at both ends.
        """
        solos = []
        for clear, ringing in self._both():
            passages = clear if max(map(self._length, clear), default=0) >= 2 * n_samples else ringing or clear
            least = min(n_samples, max(map(len, passages), default=0))
            wanted = [x_LM for x_LM in passages if len(x_LM) >= least]
            half = [n_samples // 2 if len(x_LM) < 2 * n_samples <= self._length(x_LM) else 0 for x_LM in wanted]
            solos.append([np.pad(_centred(x_LM), ((pad, pad), (0, 0))) for x_LM, pad in zip(wanted, half)])
        return self.take.with_solos(solos)

    def _length(self, x_LM: Array) -> int:
        """Return how many samples a passage counts as having."""
        return len(x_LM) * (CLAPS_COUNT if _are_claps(x_LM, self.take.sample_rate) else 1)

    def _both(self) -> Iterator[tuple[Sequence[Array], Sequence[Array]]]:
        nothing: list[Sequence[Array]] = [()] * len(self.take.solos)
        return zip(self.take.solos, self.ringing or nothing)

    def seconds(self, frequencies: Any) -> Array:
        """Return how many seconds of the take the covariance of each solo is worth, (N, F), at frequencies in hertz.

        A prior of weight w lets a covariance, which has M² numbers, go about ``M² / 2w`` nats a frame from its centre.
        So where the take shows a misfit d the weight is ``M² / 2d`` frames.  A twelfth of that is taken, chosen
        on development takes; that neighbouring frames overlap accounts for a part of it.  Where all the solos
        that there are hold, each is worth any number of frames.
        """
        n_mics = len(self.take.mic_names)
        band_F = np.searchsorted(BANDS, np.asarray(frequencies), side="right") - 1
        misfit_NF = self.misfit_NB[:, band_F]
        if self._known_hold:
            return np.where(np.isfinite(misfit_NF), np.inf, 0.0)
        return np.asarray(n_mics**2 / (2 * TWELFTH * misfit_NF) * self.hop)


def _centred(x_LM: Array) -> Array:
    return np.asarray(x_LM - x_LM.mean(axis=0))


def _are_claps(x_LM: Array, sample_rate: float) -> bool:
    """Return whether a passage holds claps, or single strokes: it is loud for a small part of it, between silences."""
    energy_L = np.sum(np.square(_centred(x_LM), dtype=np.float64), axis=1)
    length = max(round(BLOCK * sample_rate), 1)
    energy_B = np.add.reduceat(energy_L, np.arange(0, len(x_LM), length))
    before = energy_L[: max(round(ARRIVES * sample_rate), 1)].mean() * length
    most = energy_B.max()
    return bool(max(before, energy_B[-1]) <= SILENT * most and 0 < np.mean(energy_B > LOUD * most) < CLAPS)


def survey(take: Take, levels: Levels, silent: Sequence[int] = ()) -> Survey:
    """Find out how far the solos of a take still hold in it.

    Parameters
    ----------
    take : Take
    levels : Levels
        Those of the take.
    silent : sequence of int
        Sources that never play, by number from 0.

    Returns
    -------
    Survey
        Of the take without those.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take
    >>> from mnmf.survey import survey
    >>> from mnmf.take import Levels
    >>> take = Take(np.random.default_rng(0).standard_normal((4000, 2)), 8000)
    >>> survey(take, Levels.of(take)).holds  # there are no solos
    False
    """
    remarks: list[str] = []
    tells = any(take.solos) and not take.spots.shared and any(np.any(block) for _, block in blocks(take.x_LM))
    if tells:
        take = take.with_solos(_named(take, levels, remarks))
    take = take.without(silent)
    unknown = Survey(take, np.full((len(take.sources), len(BANDS) - 1), np.inf), 1.0, tuple(remarks))
    view = _View.of(take, levels) if tells and any(take.solos) else None
    if view is None:
        return unknown
    with one_blas_thread():
        view = _without_others(view, remarks).shortened()
        blind = view.fitted(None, view.X_FTM)
        view = _undone(view, blind, remarks)
        view = _without_foreign(view, blind, remarks)
        misfit_NB, gains_M, as_well_N = _misfits(view, remarks)
    gains_M = gains_M.astype(take.x_LM.dtype)
    solos, ringing = (
        [[x_LM * gains_M for x_LM in passages] for passages in each] for each in (view.take.solos, view.ringing)
    )
    remarks += _moved(take, misfit_NB)
    for n in np.flatnonzero(np.isinf(misfit_NB[:, 1])):
        solos[n] = []
    for n in np.flatnonzero(np.isinf(misfit_NB[:, 1]) | ~as_well_N):
        ringing[n] = []
    hop = view.stft.hop / take.sample_rate
    return Survey(take.with_solos(solos), misfit_NB, hop, tuple(remarks), ringing, _together(view, blind))


def play_together(take: Take, levels: Levels) -> float:
    """Return how many of the sources are heard at their own spots at a time, as `Survey.together`; NaN if unknown.

    Parameters
    ----------
    take : Take
    levels : Levels
        Those of the take.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take
    >>> from mnmf.survey import play_together
    >>> from mnmf.take import Levels
    >>> take = Take(np.random.default_rng(0).standard_normal((40000, 2)), 8000)
    >>> play_together(take, Levels.of(take)) > 0.9
    True
    """
    length = window_samples(min(WINDOW, take.duration), take.sample_rate)
    view = _View.of(take, levels, STFT(length, max(length // 4, 1)))
    if view is None:
        return np.nan
    with one_blas_thread():
        return _together(view, view.fitted(None, view.X_FTM))


def chosen_bins(take: Take, levels: Levels, stft: STFT) -> tuple[Array, Array]:
    """Return the bins of an analysis that are looked at, none if there are too few, and the take there, (F, T, M).

    Of a long take the middle is looked at, and of muted ones the frames in which every microphone hears something.
    """
    rate = take.sample_rate
    bins = stft.frequencies(rate)
    known = np.flatnonzero((bins >= LOWEST) & (bins < min(HIGHEST, 0.45 * rate)))
    if len(known) < FEWEST:
        return np.zeros(0, np.int64), np.zeros((0, 0, len(take.mic_names)), np.complex64)
    chosen = np.sort(np.random.default_rng(0).permutation(known)[:FREQUENCIES])
    start, stop = 0, take.n_samples
    if take.duration > LONGEST:
        start = round((take.duration - LONGEST) / 2 * rate)
        stop = start + round(LONGEST * rate)
    x_LM = levels.part(start, stop).centred(take.x_LM[start:stop]) * levels.gains_M
    X_FTM = np.ascontiguousarray(stft.analyse(x_LM)[chosen])
    sounds_T = np.any(X_FTM != 0, axis=0).all(axis=1)  # frames in which no microphone is muted
    if sounds_T.sum() >= 8:
        X_FTM = np.ascontiguousarray(X_FTM[:, sounds_T])
    return chosen, X_FTM


@dataclass(frozen=True, eq=False)
class _View:
    """Take and solos at the frequencies that are looked at."""

    take: Take
    levels: Levels
    stft: STFT
    chosen: Array  # the bins
    X_FTM: Array
    ringing: Sequence[list[Array]] = ()  # the solos with what rings on

    @classmethod
    def of(cls, take: Take, levels: Levels, stft: STFT | None = None) -> _View | None:
        stft = stft or _analysis(take)
        if stft is None:
            return None
        chosen, X_FTM = chosen_bins(take, levels, stft)
        if len(chosen) == 0:
            return None
        return cls(take, levels, stft, chosen, X_FTM)

    def shortened(self) -> _View:
        """Return the same in shorter windows, if those are too long for what is left of the solos."""
        again = None if _analysis(self.take) in (None, self.stft) else _View.of(self.take, self.levels)
        return self if again is None else replace(again, ringing=self.ringing)

    @property
    def frequencies(self) -> Array:
        return np.asarray(self.stft.frequencies(self.take.sample_rate)[self.chosen])

    def passage(self, x_LM: Array) -> Array:
        """Return the frames wholly within a passage."""
        x_LM = _centred(x_LM) * self.levels.gains_M
        return self.stft.analyse(x_LM)[self.chosen][:, self.stft.frames(0, len(x_LM), len(x_LM))]

    @cached_property
    def alone(self) -> list[Array]:
        """The solo of each source, (F, T', M)."""
        none_FTM = self.X_FTM[:, :0]
        return [np.concatenate([none_FTM, *map(self.passage, passages)], axis=1) for passages in self.take.solos]

    def learned(self, likely: bool, gains_M: Array | float = 1.0) -> tuple[Array, list[list[slice]], Any]:
        """Return all solos one after another, their frames, and the prior of covariances or of Q that they teach."""
        alone = self.alone
        ends = np.cumsum([x_FTM.shape[1] for x_FTM in alone])
        frames = [[slice(end - x.shape[1], end)] if x.shape[1] else [] for x, end in zip(alone, ends)]
        X_FTM = np.ascontiguousarray(np.concatenate(alone, axis=1) * np.asarray(gains_M, np.float32))
        learn = priors.likely_covariances if likely else priors.solo
        return X_FTM, frames, learn(X_FTM, frames, self.take.spots)

    def fitted(self, Q: Array | None, X_FTM: Array) -> FastMNMF2:
        start = priors.spot(X_FTM, self.take.spots, Q, COMPONENTS)
        return FastMNMF2(COMPONENTS, ITERATIONS).fit(X_FTM, start)


def _analysis(take: Take) -> STFT | None:
    lengths = [sum(map(len, passages)) for passages in take.solos if passages]
    rate = take.sample_rate
    window = min([WINDOW, take.duration, *(length / rate / IN_A_SOLO for length in lengths)])
    if window < SHORTEST or not lengths:
        return None
    length = window_samples(window, rate)
    return STFT(length, max(length // 4, 1))


def _together(view: _View, fitted: FastMNMF2) -> float:
    """Return `Survey.together`."""
    if len(view.take.spots) == 1:
        return 1.0
    R_NFMM, all_bins = np.asarray(fitted.as_full_rank().R), np.array([0, len(view.X_FTM)])
    present_NT = presence(fitted.W_, fitted.H_, R_NFMM, view.take.spots, all_bins)[:, 0]
    return float((present_NT.sum(axis=0).mean() - 1) / (len(present_NT) - 1))


def _named(take: Take, levels: Levels, remarks: list[str]) -> list[list[Array]]:
    """Return the solos, each given to the source at whose spot it is the loudest.

    Sums over a permutation do not change with the gains of the microphones.
    """
    solos = [list(passages) for passages in take.solos]
    known = [n for n, passages in enumerate(solos) if passages]
    own = [take.spots.references[n] for n in known]
    energy_NM = np.array([sum(np.sum(np.square(x, dtype=np.float64), axis=0) for x in solos[n])[own] for n in known])
    level_NM = 10 * np.log10(np.maximum(energy_NM, 1e-300))
    _, best = linear_sum_assignment(-level_NM)
    changed = [i for i, k in enumerate(best) if i != k]
    gained = sum(level_NM[i, best[i]] - level_NM[i, i] for i in changed)
    if not changed or gained < EXCHANGED * len(changed):
        return solos
    for i in changed:
        solos[known[best[i]]] = list(take.solos[known[i]])
    names = ", ".join(take.sources[known[i]] for i in changed)
    remarks.append(f"{names}: their solos are exchanged; each is taken for that of the player whose spot hears it best")
    return solos


def _without_others(view: _View, remarks: list[str]) -> _View:
    """Leave out the frames of each solo in which somebody else plays, or nobody."""
    take = view.take
    alone = view.alone
    ours, others = _own_frames(alone, take.spots.references)
    solos: list[list[Array]] = []
    ringing: list[list[Array]] = []
    for n, passages in enumerate(take.solos):
        solos.append([])
        ringing.append([])
        first = 0
        for x_LM in passages:
            frames = view.stft.frames(0, len(x_LM), len(x_LM))
            part = slice(first, first + len(range(*frames.indices(10**9))))
            solos[n] += _cut(x_LM, ours[n][part], frames.start, view.stft)
            ringing[n] += _cut(x_LM, _ringing_on(ours[n][part], others[n][part]), frames.start, view.stft)
            first = part.stop
        if first and others[n].sum() > OTHERS * first:
            share = 100 * others[n].mean()
            remarks.append(f"{take.sources[n]}: somebody else plays in {share:.0f} % of the solo; left out")
    return replace(view, take=take.with_solos(solos), ringing=ringing)


def _ringing_on(ours_T: Array, others_T: Array) -> Array:
    """Return the frames of a player, and those after them in which nothing is heard but, maybe, what rings on."""
    ringing_T = np.array(ours_T)
    since = RINGS_ON
    for t in range(len(ours_T)):
        since = 0 if ours_T[t] else since + 1
        ringing_T[t] |= since <= RINGS_ON and not others_T[t]
    return ringing_T


def _cut(x_LM: Array, ours_T: Array, first: int, stft: STFT) -> Iterator[Array]:
    """Yield the parts of a passage whose frames belong to its player."""
    if ours_T.all():
        yield x_LM
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ours_T, [False]]).astype(int)))
    for start, stop in zip(edges[::2], edges[1::2]):
        begin, _ = stft.span(first + start)
        _, end = stft.span(first + stop - 1)
        yield x_LM[max(begin, 0) : end]


def _own_frames(alone: Sequence[Array], own: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Return, for each solo, in which of its frames its own player is heard clearly, and in which somebody else is.

    It starts from loud frames in which the own spot hears most of what all hear.  Noise reaches all alike.
    """
    kept: list[Array] = []
    for x_FTM, m in zip(alone, own):
        energy_TM = np.sum(np.abs(x_FTM) ** 2, axis=0)
        level_T = energy_TM.sum(axis=1)
        share_T = energy_TM[:, m] / np.maximum(level_T, 1e-300)
        sounds_T = _sounds(x_FTM)
        most = np.quantile(share_T[sounds_T], 0.75) if sounds_T.any() else 1.0
        clear_T = sounds_T & (share_T >= 0.7 * most)
        kept.append(clear_T & (level_T >= np.median(level_T[clear_T])) if clear_T.any() else clear_T)
    others = [np.zeros(len(ours_T), bool) for ours_T in kept]
    noise_FMM = np.tile(np.eye(alone[0].shape[2]), (len(alone[0]), 1, 1))
    for _ in range(3):
        known = [n for n, ours_T in enumerate(kept) if ours_T.any()]
        R_NFMM = {n: _likely(alone[n][:, kept[n]], own[n]) for n in known}
        again = []
        for n, x_FTM in enumerate(alone):
            if n not in R_NFMM:
                again.append(kept[n])
                continue
            likely_NT = np.array([_log_likelihood(x_FTM, R_NFMM[k]) for k in known])
            noise_T = _log_likelihood(x_FTM, noise_FMM)
            best_T = likely_NT.argmax(axis=0)
            clearer_T = likely_NT[known.index(n)] - noise_T
            sounds_T = _sounds(x_FTM)
            others[n] = sounds_T & (best_T != known.index(n)) & (likely_NT.max(axis=0) > noise_T)
            clear_T = clearer_T >= CLEARLY * np.quantile(clearer_T[kept[n]], 0.75)
            again.append(sounds_T & (best_T == known.index(n)) & clear_T)
        if all(map(np.array_equal, kept, again)):
            break
        kept = again
    return kept, others


def _likely(x_FTM: Array, own: int) -> Array:
    return np.asarray(np.asarray(priors.likely_covariances(x_FTM, [slice(None)], [own]).R)[0])


def _sounds(x_FTM: Array) -> Array:
    energy_T = np.sum(np.abs(x_FTM) ** 2, axis=(0, 2))
    return np.asarray(energy_T > QUIET * energy_T.max(initial=0.0))


def _log_likelihood(x_FTM: Array, R_FMM: Array) -> Array:
    """Return that of a source of covariance R and any powers, (T,), the mean over frequencies, up to a constant."""
    M = x_FTM.shape[2]
    Z_FMM = np.linalg.inv(R_FMM)
    v_FT = np.einsum("fti,fij,ftj->ft", x_FTM.conj(), Z_FMM, x_FTM, optimize=True).real
    log_det_F = np.linalg.slogdet(R_FMM)[1]
    return np.asarray(-(M * np.log(np.maximum(v_FT, 1e-300)) + log_det_F[:, None]).mean(axis=0))


def _undone(view: _View, blind: FastMNMF2, remarks: list[str]) -> _View:
    """Undo what happened to whole microphones since the solos: polarity, delay and gain."""
    take, rate = view.take, view.take.sample_rate
    taken_NFMM = np.asarray(blind.as_full_rank().R)
    _, frames, learned = view.learned(likely=True)
    loud_NF = _loudness(view, blind)
    edges = _edges(taken_NFMM, learned.R, loud_NF, frames, take.spots.references, view.frequencies, rate)
    M = len(take.mic_names)
    delay_M, sign_M, level_M = per_mic(edges, M, EARLIEST * rate)
    for m in range(M):
        said = []
        if sign_M[m] < 0:
            said.append("its polarity was flipped")
        if delay_M[m]:
            said.append(f"it is {abs(delay_M[m]) / rate * 1000:.1f} ms {'later' if delay_M[m] > 0 else 'earlier'}")
        if abs(level_M[m]) >= LOUDER:
            said.append(f"its gain changed by {level_M[m]:+.1f} dB")
        if said:
            remarks.append(f"mic {take.mic_names[m]}: since the solos {' and '.join(said)}; undone")
    level_M[np.abs(level_M) < LOUDER] = 0.0  # smaller changes are learned with the misfit
    scale_M = (sign_M * 10 ** (level_M / 20)).astype(take.x_LM.dtype)
    solos, ringing = (
        [[_shifted(x_LM * scale_M, delay_M) for x_LM in passages] for passages in each]
        for each in (take.solos, view.ringing)
    )
    return replace(view, take=take.with_solos(solos), ringing=ringing)


def _shifted(x_LM: Array, delay_M: Array) -> Array:
    """Return a passage with each microphone delayed by so many samples, without the ends that not all have."""
    first, last = int(delay_M.max()), len(x_LM) + int(delay_M.min())
    if last - first < len(x_LM) // 2:
        return x_LM
    return np.stack([x_LM[first - d : last - d, m] for m, d in enumerate(delay_M.tolist())], axis=1)


def _loudness(view: _View, fitted: FastMNMF2) -> Array:
    """Return the amplitude of each source at each frequency, (N, F), the geometric mean of solo and take.

    Where it plays nothing its covariances tell of noise, of windows and of others.
    """
    solo_NF = np.array(
        [
            np.square(np.abs(x_FTM[..., m])).mean(axis=1) if x_FTM.shape[1] else np.zeros(len(x_FTM))
            for x_FTM, m in zip(view.alone, view.take.spots.references)
        ]
    )
    return np.asarray((solo_NF * np.einsum("nfk,nkt->nf", fitted.W_, fitted.H_)) ** 0.25)


def _middle(values: Array, weights: Array) -> float:
    """Return the weighted median."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)]) if total[-1] > 0 else float(np.median(values))


def _edges(
    taken_NFMM: Array,
    alone_NFMM: Array,
    loud_NF: Array,
    frames: list[list[slice]],
    own: Sequence[int],
    f: Array,
    rate: float,
) -> list[Edge]:
    """Compare how each source reaches each microphone, relative to its own spot, in the take and in its solo."""
    lags = np.arange(-round(LATEST * rate), round(LATEST * rate) + 1)
    waves_LF = waves(f, lags / rate)
    edges: list[Edge] = []
    for n, s in enumerate(own):
        for m in range(taken_NFMM.shape[-1]) if frames[n] else ():
            if m == s:
                continue
            agreed_L = agreement(taken_NFMM[n, :, m, s] * alone_NFMM[n, :, m, s].conj(), waves_LF)
            peak = int(np.abs(agreed_L).argmax())
            levels = [np.log(np.maximum(R[n, :, m, m].real, 1e-12)) for R in (taken_NFMM, alone_NFMM)]
            louder = 10 / np.log(10) * _middle(levels[0] - levels[1], loud_NF[n])
            height = float(agreed_L[peak])
            edges.append(Edge(s, m, abs(height), int(lags[peak]), 1 if height > 0 else -1, louder))
    return edges


def _without_foreign(view: _View, blind: FastMNMF2, remarks: list[str]) -> _View:
    """Ignore a solo whose levels at the microphones are not those of its player in the take."""
    take = view.take
    taken_NFMM = np.asarray(blind.as_full_rank().R)
    _, frames, learned = view.learned(likely=True)
    loud_NF = _loudness(view, blind)
    solos = [list(passages) for passages in take.solos]
    for n, s in enumerate(take.spots.references):
        if not frames[n]:
            if solos[n]:
                remarks.append(f"{take.sources[n]}: nothing in the marked passages is a solo of this player; ignored")
            solos[n] = []
            continue
        levels = [np.log(np.maximum(np.einsum("fmm->fm", R[n]).real, 1e-12)) for R in (taken_NFMM, learned.R)]
        others = [m for m in range(len(take.mic_names)) if m != s]
        apart = [10 / np.log(10) * _middle((levels[0] - levels[1])[:, m], loud_NF[n]) for m in others]
        if others and np.sqrt(np.mean(np.square(apart))) > FOREIGN:
            remarks.append(f"{take.sources[n]}: the solo does not fit the take; ignored")
            solos[n] = []
    return replace(view, take=take.with_solos(solos))


def _misfits(view: _View, remarks: list[str]) -> tuple[Array, Array, Array]:
    """Return `Survey.misfit_NB`, by which factor the gain of each microphone has changed since the solos, and which
    solos fit as well with what rings on.

    One covariance for a take in which somebody shifts a chair fits no better than that of the solo.  So each half is
    fitted by itself, too, and counts where it says clearly that a player moved.
    """
    if not any(view.take.solos):
        N = len(view.take.sources)
        return np.full((N, len(BANDS) - 1), np.inf), np.ones(len(view.take.mic_names)), np.zeros(N, bool)
    half = view.X_FTM.shape[1] // 2
    ringing = replace(view, take=view.take.with_solos(view.ringing))
    misfit_NB, ringing_NB, gains_M = _misfit(view, ringing, view.X_FTM)
    known_N = np.isfinite(misfit_NB[:, 1])
    as_well_N = known_N.copy()
    worse_N = (ringing_NB[known_N] - misfit_NB[known_N])[:, 1:4].mean(axis=1) * 4 / len(gains_M)
    as_well_N[known_N] = worse_N < AS_WELL
    if half < max(FEWEST, A_MIC * len(gains_M)):
        return misfit_NB, gains_M, as_well_N
    halves = [np.ascontiguousarray(part) for part in (view.X_FTM[:, :half], view.X_FTM[:, half:])]
    misfit_PNB = np.array([_misfit(view, ringing, part_FTM)[0] for part_FTM in halves])
    misfit_PN = misfit_PNB[:, :, 1:4].mean(axis=2)
    worse_N, better_N = misfit_PN.max(axis=0), misfit_PN.min(axis=0)
    bad_N = np.isfinite(worse_N) & (worse_N >= KEPT * len(gains_M) / 4)
    misfit_NB[bad_N] = np.maximum(misfit_NB, misfit_PNB.max(axis=0))[bad_N]
    midway_N = bad_N & (better_N * MIDWAY < worse_N)
    if midway_N.any():  # the others cannot be told from who is in two places, either
        misfit_NB[:] = np.inf
        names = ", ".join(view.take.sources[n] for n in np.flatnonzero(midway_N).tolist())
        remarks.append(f"{names}: moved during the take, it seems; no solo is used")
    return misfit_NB, gains_M, as_well_N


def _misfit(view: _View, ringing: _View, X_FTM: Array) -> tuple[Array, Array, Array]:
    """Return what a part of the take shows: misfits without and with what rings on, and the gains of `_misfits`."""
    _, frames, learned = view.learned(likely=False)
    model = view.fitted(learned.Q, X_FTM)
    block = max(2, round(1.1 / (view.stft.hop / view.take.sample_rate)))
    block = min(block, max(X_FTM.shape[1] // 2, 1))  # or there would be no frames left out
    fitted, loud_NF = model.as_full_rank(), _loudness(view, model)

    def misfit(solos: _View) -> Array:
        _, _, likely = solos.learned(likely=True, gains_M=model.gains_)
        misfit_NF = held_out_misfit(X_FTM, fitted, np.asarray(likely.R), block)
        return in_bands(misfit_NF, loud_NF, view.frequencies)

    misfit_NB = misfit(view)
    lengths = [[sum(map(len, passages)) for passages in each.take.solos] for each in (view, ringing)]
    ringing_NB = misfit_NB if lengths[0] == lengths[1] else misfit(ringing)
    unknown = [not known for known in frames]
    misfit_NB[unknown] = np.inf
    ringing_NB[unknown] = np.inf
    return misfit_NB, ringing_NB, model.gains_


def in_bands(misfit_NF: Array, loud_NF: Array, frequencies: Array) -> Array:
    """Return the medians of the bands, frequencies counting as they are loud.

    They are at least `LEAST`, and never less than at lower frequencies.
    """
    misfit_NB = np.full((len(misfit_NF), len(BANDS) - 1), LEAST)
    for b, (low, high) in enumerate(pairwise(BANDS)):
        inside_F = (frequencies >= low) & (frequencies < high)
        if inside_F.any():
            middle_N = [_middle(*each) for each in zip(misfit_NF[:, inside_F], loud_NF[:, inside_F])]
            misfit_NB[:, b] = np.maximum(middle_N, LEAST)
    # A few frequencies tell little at the ends.
    misfit_NB[:, 0], misfit_NB[:, -1] = misfit_NB[:, 1], misfit_NB[:, -2]
    return np.asarray(np.maximum.accumulate(misfit_NB, axis=1))


def _moved(take: Take, misfit_NB: Array) -> Iterator[str]:
    """Yield a remark for each player whose solo fits badly; set a misfit that is too large to infinity, in place."""
    share = len(take.mic_names) / 4
    for name, misfit_B in zip(take.sources, misfit_NB):
        if not np.isfinite(misfit_B[1]):
            continue
        if misfit_B[1:3].mean() >= IGNORED * share:
            misfit_B[:] = np.inf
            yield f"{name}: the solo does not fit the take, as if the player had moved far since; ignored"
        elif misfit_B[1:4].mean() >= KEPT * share:
            yield f"{name}: the solo fits the take badly, as if the player had moved since; it counts little"
