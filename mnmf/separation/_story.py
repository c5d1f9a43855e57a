"""The way from a take to its stems, in one piece or a segment at a time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, SessionError
from mnmf.methods import Evidence, Method, fill_in, missing_of, predicted
from mnmf.models import pool_for, silent_sources
from mnmf.notes import NoteDictionary
from mnmf.priors import Estimator, Prior, estimate
from mnmf.rows import Rows
from mnmf.segments import SEGMENT, SHARED, add_faded, chosen, faded_rows, segments_of
from mnmf.separation._result import Part, Separation, Stems, sound_of
from mnmf.stft import STFT, Analysis
from mnmf.survey import BANDS, Survey
from mnmf.take import Levels, Take

__all__ = ["Clock", "Progress", "Span", "Story", "never_playing", "spans_of"]

Array = NDArray[Any]
Progress = Callable[[str, float], Any]
Store = MutableMapping[str, Array]

HEARD = 1e-3  # of the power of a spot in its loudest segment: with less, a segment does not tell who never plays
ROOM = "room"  # in a store: the covariances that segments taught; and while they do, what they have taught so far
EVERY, ENOUGH = 3, 100  # one of so many frames of a segment teaches the room, as they overlap; but so many in all
FEW = 8  # frames that tell whether a prior holds the room
FILLINGS = 2  # by the model, of what muted microphones would have heard

Seed = int | tuple[int, int]  # of a take, of one of its segments
Span = tuple[int, int]  # samples, from start to stop (exclusive)


class _Seen(NamedTuple):
    """What a model sees of a take, what it does not, and what it starts from."""

    low_FTM: Array
    X_FTM: Array
    missing_TM: Array | None
    prior: Prior


def never_playing(take: Take, levels: Levels, analysis: Analysis, spans: Sequence[Span]) -> list[int]:
    """Return the sources that never play, as frames without muted mics tell; none of them where spots are shared.

    A segment does not count where it is too short to tell, nor for spots that hear next to nothing in it.
    """
    if take.spots.shared or not isinstance(analysis, STFT):
        return []
    frequencies = analysis.frequencies(take.sample_rate)[levels.first(analysis) :]
    power_KN = _spot_powers(take, levels, spans)
    told_KN = power_KN >= HEARD * power_KN.max(axis=0)
    silent_KN = np.zeros_like(told_KN)
    for k, (start, stop) in enumerate(spans):
        part = levels.part(start, stop)
        _, X_FTM = part.into(take.x_LM[start:stop], analysis)
        muted_TM = part.muted_part(analysis, stop - start)
        if muted_TM is not None:
            X_FTM = X_FTM[:, ~muted_TM.any(axis=1)]
        silent = silent_sources(X_FTM, take.spots, 1 / levels.gains_M, frequencies)
        told_KN[k] &= silent is not None
        silent_KN[k, silent or []] = True
        if not np.all((silent_KN | ~told_KN)[: k + 1], axis=0).any():
            return []  # all play
    return np.flatnonzero(told_KN.any(axis=0) & np.all(silent_KN | ~told_KN, axis=0)).tolist()


def _spot_powers(take: Take, levels: Levels, spans: Sequence[Span]) -> Array:
    """Return the power of every source's own spot in every segment, (K, N), at equal loudness."""
    own = take.spots.references
    spots_KN = [np.var(take.x_LM[slice(*span), own], axis=0, dtype=np.float64) for span in spans]
    return np.asarray(np.array(spots_KN) * np.square(levels.gains_M[own], dtype=np.float64))


def spans_of(take: Take, recipe: Method, segment: float | None, analysis: Analysis) -> list[Span]:
    """Return the segments in which a take is fitted, one where it is short or the method has none."""
    if not recipe.segments or take.spots.shared or not isinstance(analysis, STFT) or segment == np.inf:
        return [(0, take.n_samples)]
    length = round(min(SEGMENT if segment is None else segment, take.duration) * take.sample_rate)
    return segments_of(take.n_samples, max(length, SHARED * analysis.window_length), analysis.window_length)


@dataclass
class Story:
    """The way from a take to a fitted model and its stems, for one method and its numbers."""

    take: Take
    recipe: Method
    levels: Levels
    analysis: Analysis
    sizes: tuple[int, int]  # components and iterations
    in_room: int  # iterations where the room is known
    notes: tuple[NoteDictionary, list[str]] | None  # and which of its instruments each source is
    clock: Clock
    silent: list[int]  # the sources that never play
    found: Survey | None  # about the solos of the others
    trust: float  # in estimates
    estimates_LN: Array | None = None
    not_estimated: tuple[str, ...] = ()
    room: Prior | None = None  # what is known of the room, R or Q
    room_frames: Array | None = None  # how many frames of the take it is worth; it is held if None
    settled: bool = True  # whether nobody has moved since
    of_many: bool = False  # whether it is a segment of several
    remarks: tuple[str, ...] = ()
    bleed: tuple[tuple[int, int], ...] = ()  # of which sources it is kept how further microphones heard them

    @cached_property
    def playing(self) -> Take:
        """The take without the sources that never play."""
        return self.take.without(self.silent)

    @property
    def knows_room(self) -> bool:
        """Whether what describes the room is known and held."""
        return self.room is not None and self.room_frames is None

    @property
    def _frequencies(self) -> Array:
        """Those that the model sees, in hertz."""
        return self.analysis.frequencies(self.take.sample_rate)[self.levels.first(self.analysis) :]

    def estimate(self, estimator: Estimator) -> None:
        """Find an estimate of each source at its own spot, (L, N), and the sources that have none."""
        self.clock.start("estimate")
        x_LM = self.levels.centred(self.take.x_LM)
        known = x_LM, self.take.sample_rate, self.take.sources, self.take.spots
        self.estimates_LN, self.not_estimated = estimate(estimator, *known)

    def run(self, seed: int, spans: Sequence[Span]) -> Separation:
        """Learn the prior, fit the model, and take each source's image at its own spot; in `spans` of samples."""
        parts: list[Part] = []
        costs: dict[Span, Array] = {}
        if len(spans) == 1:
            model, stems_LN = self._in_one_piece(seed)
            costs[spans[0]] = _costs(model)
        else:
            self._settle(spans, seed, {})
            stems_LN = np.zeros((self.take.n_samples, len(self.take.spots)), self.take.x_LM.dtype)
            for k, part, stems_SN in self._in_segments(spans, seed, range(len(spans))):
                parts.append(part)
                costs[spans[k]] = _costs(part.model)
                _shared(parts[0].model, part.model)
                add_faded(stems_LN, stems_SN, spans, k)
            model = parts[0].model
        self.clock.stop()
        how = self._outcome(self._parameters(seed, model), len(parts), costs)
        return Separation(stems_LN=stems_LN, model=model, analysis=self.analysis, parts=tuple(parts), **how)

    def run_to(self, store: Store, seed: int, spans: Sequence[Span]) -> Stems:
        """Do the same, and keep what is done in a store; go on from what is there already."""
        names = [f"segment {k + 1}" for k in range(len(spans))]
        heard = Counter(m for _, m in self.bleed)
        whole = [
            {name: len(self.take.spots)} | {_at_mic(name, m): count for m, count in heard.items()} for name in names
        ]
        missing = [
            k
            for (k, parts), (start, stop) in zip(enumerate(whole), spans)
            if not all(_holds(store, part, (rows, stop - start)) for part, rows in parts.items())
        ]
        costs: dict[Span, Array] = {}

        def keep(k: int, mic: int, image_IS: Array) -> None:
            store[_at_mic(names[k], mic)] = image_IS

        if len(spans) == 1 and missing:
            model, stems_LN = self._in_one_piece(seed, partial(keep, 0))
            store[names[0]], costs[spans[0]] = np.ascontiguousarray(stems_LN.T), _costs(model)
            del model, stems_LN  # for memory
            missing = []
        if missing:
            self._settle(spans, seed, store)
        for k, part, stems_SN in self._in_segments(spans, seed, missing, keep):
            store[names[k]] = np.ascontiguousarray(stems_SN.T)  # the last thing kept of it: now it is finished
            costs[spans[k]] = _costs(part.model)
            del part, stems_SN  # before the next one is fitted, for memory
        self.clock.stop()
        L, kind = self.take.n_samples, self.take.x_LM.dtype

        def faded(start: int, stop: int, columns: list[int]) -> Array:
            return faded_rows(lambda k: store[names[k]], spans, start, stop, columns)

        def bled(start: int, stop: int, columns: list[int]) -> Array:
            bled_SI = np.empty((stop - start, len(columns)), kind)
            for i, column in enumerate(columns):
                n, m = self.bleed[column]
                row = [own for own, mic in self.bleed if mic == m].index(n)
                kept = partial(_kept, store, names, m)
                bled_SI[:, [i]] = faded_rows(kept, spans, start, stop, [row])
            return bled_SI

        how = self._outcome(self._parameters(seed, None), len(spans) if len(spans) > 1 else 0, costs)
        if self.bleed:
            how |= {"bleed": self.bleed, "bleed_LI": Rows((L, len(self.bleed)), kind, bled)}
        return Stems(stems_LN=Rows((L, len(self.take.spots)), kind, faded), **how)

    def _outcome(self, parameters: dict[str, Any], segments: int, costs: dict[Span, Array]) -> dict[str, Any]:
        """Return what is told of every run."""
        worth_NB = None if self.found is None else self.found.seconds(BANDS[:-1])
        if segments:
            parameters["segments"] = segments
            if "iterations" in parameters:
                parameters["iterations"] = self.in_room
        remarks = self.remarks + (() if self.found is None else self.found.remarks)
        remarks += tuple(
            f"{self.take.sources[n]}: never plays, as its spot hears only what the other spots predict; its stem is "
            "silent"
            for n in self.silent
        )
        return {
            "take": self.take,
            "method": self.recipe,
            "levels": self.levels,
            "parameters": parameters,
            "seconds": self.clock.seconds,
            "not_estimated": self.not_estimated,
            "remarks": remarks,
            "costs": tuple((*span, cost_I) for span, cost_I in costs.items()),
            "solo_seconds": {} if worth_NB is None else dict(zip(self.playing.sources, map(tuple, worth_NB.tolist()))),
        }

    def _in_one_piece(self, seed: Seed, keep: Callable[[int, Array], None] | None = None) -> tuple[Any, Array]:
        """Return the model and the stems; let `keep` have the bleed that is asked for, (I, L) of a microphone."""
        rng = np.random.default_rng(seed)
        seen = self._see(rng, seed)
        if self.knows_room and not (seen.prior.held or seen.prior.anchor):
            raise ArgumentError(f"{self.recipe.name}: with segments its prior must hold Evidence.room")
        model = self._all_sources(self._fit(seen, rng))
        self.clock.start("reconstruct")
        take, own, wanted = self.take, self.take.spots.references, len(self.take.spots) + len(self.bleed)
        done = 0

        def image(n: int, m: int) -> Array:  # one at a time, for memory
            nonlocal done
            how = self.levels, self.analysis, take.n_samples
            sound_L = sound_of(model, seen.X_FTM, seen.low_FTM, n, [m], *how)[:, 0]
            done += 1
            self.clock.tell(done / wanted)
            return sound_L

        stems_LN = np.empty((take.n_samples, len(own)), take.x_LM.dtype)
        for n, m in enumerate(own):
            stems_LN[:, n] = image(n, m)
        for m in dict.fromkeys(m for _, m in self.bleed) if keep is not None else ():
            assert keep is not None
            keep(m, np.stack([image(n, m) for n, mic in self.bleed if mic == m]))
        return model, stems_LN

    def _in_segments(
        self,
        spans: Sequence[Span],
        seed: int,
        which: Sequence[int],
        keep: Callable[[int, int, Array], None] | None = None,
    ) -> Iterator[tuple[int, Part, Array]]:
        """Yield some segments: which one, the model, and the stems; let `keep` have their bleed.

        What describes the room was learned from several of all segments, what describes the music is learned in each.
        """
        self.clock.start("fit")
        for k in which:
            self.clock.tell(k / len(spans))
            story = self._segment(spans[k], len(spans))
            model, stems_SN = story._in_one_piece((seed, k), keep and partial(keep, k))
            done = k, Part(*spans[k], model, story.levels), stems_SN
            del model, story, stems_SN  # for memory
            yield done
            del done

    def _settle(self, spans: Sequence[Span], seed: int, store: Store) -> None:
        """Learn the room if it is not known, for the segments that follow."""
        self.settled = self.knows_room or (self.found is not None and self.found.holds)
        self.room, self.room_frames = self.learn_room(spans, seed, store), None

    def learn_room(self, spans: Sequence[Span], seed: int, store: Store) -> Prior:
        """Return how those who play reach the microphones: from what is held, else from several segments."""
        if self.knows_room:
            assert self.room is not None
            return self.room
        some = chosen(_spot_powers(self.playing, self.levels, spans))
        so_far = [f"{ROOM} from {done + 1} of {len(some)}" for done in range(len(some))]
        known = max((done for done, name in enumerate(so_far) if name in store), default=-1)
        total = 0.0 if known < 0 else np.array(store[so_far[known]])
        pooled = pool_for(self.recipe.model(*self.sizes), self.playing.spots, total)
        if ROOM in store:
            return self._as_room(pooled.teaches, np.array(store[ROOM]))
        self.clock.start("learn")
        held = self._held_room(spans[some[0]], seed, pooled.teaches) if known < 0 else None
        if held is not None:
            store[ROOM] = held
            return self._as_room(pooled.teaches, held)
        for done, k in enumerate(some):
            self.clock.tell(done / len(some))
            if done <= known:
                continue
            story, rng = self._segment(spans[k], len(spans)), np.random.default_rng((seed, k))
            seen = story._see(rng, (seed, k), few=len(some) > 1)
            whole = 1.0 if seen.missing_TM is None else float(np.mean(~seen.missing_TM.any(axis=1)))
            pooled.add(story._fit(seen, rng), whole)
            del seen, story  # for memory
            store[so_far[done]] = pooled.total
            if done:
                del store[so_far[done - 1]]
        store[ROOM] = pooled.mean()
        del store[so_far[-1]]
        return self._as_room(pooled.teaches, np.array(store[ROOM]))

    def _held_room(self, span: Span, seed: int, letter: str) -> Array | None:
        """Return what solos teach of the room if it is held; a few frames are enough to tell."""
        if self.found is None or not self.found.holds:
            return None
        prior = self._segment(span)._see(np.random.default_rng(seed), (seed, 0), most=FEW).prior
        return np.asarray(getattr(prior, letter)) if letter in prior.held else None

    def _as_room(self, letter: str, value: Array) -> Prior:
        spots = self.playing.spots
        return Prior(R=value, spots=spots) if letter == "R" else Prior(Q=value, spots=spots)

    def _segment(self, span: Span, of: int = 1) -> Story:
        """Return the story of a part of the take, one of so many."""
        return replace(
            self,
            of_many=of > 1,
            take=self.take.part(*span),
            levels=self.levels.part(*span),
            clock=Clock(None),
            estimates_LN=None if self.estimates_LN is None else self.estimates_LN[slice(*span)],
        )

    def _see(self, rng: np.random.Generator, seed: Seed, few: bool = False, most: int | None = None) -> _Seen:
        """Return what a model sees and what it starts from, of `few` of the frames or at `most` so many."""
        self.clock.start("prepare")
        low_FTM, evidence = self._hear(seed)
        if few or most is not None:
            n_frames = evidence.X_FTM.shape[1]
            every = min(max(n_frames // ENOUGH, 1), EVERY) if few else 1
            evidence = evidence.at(np.arange(0, n_frames, every)[:most])
        prior = self.recipe.prior(evidence, self.sizes[0], rng)
        return _Seen(low_FTM, evidence.X_FTM, evidence.missing_TM, prior)

    def _hear(self, seed: Seed) -> tuple[Array, Evidence]:
        """Return what lies below the lowest frequency, and the evidence, filled in where microphones are muted."""
        shorter = self._shorter()
        if shorter is not None:
            story = replace(self, analysis=shorter, clock=Clock(None))
            story._hear(seed)
            self.levels = story.levels
        low_FTM, X_FTM = self.levels.into(self.take.x_LM, self.analysis)
        evidence = self._evidence(X_FTM)
        muted_TM = self.levels.muted_part(self.analysis, self.take.n_samples)
        if muted_TM is None or not isinstance(self.analysis, STFT):
            return low_FTM, evidence
        if shorter is not None:
            return low_FTM, replace(evidence, missing_TM=self.levels.lost(self.analysis, self.take.n_samples))
        return low_FTM, self._fill(low_FTM, evidence, muted_TM, seed)

    def _shorter(self) -> STFT | None:
        """Return the method's own analysis if its windows are shorter, for filling in where microphones are muted.

        Fewer of its frames are muted, and what is true in them counts in full.  A room is known for one window only.
        """
        if self.room is not None or not any(self.levels.muted) or not isinstance(self.analysis, STFT):
            return None
        own = self.recipe.analysis(self.take.sample_rate)
        return own if isinstance(own, STFT) and own.window_length < self.analysis.window_length else None

    def _fit(self, seen: _Seen, rng: np.random.Generator) -> Any:
        """Return the model of those who play."""
        self.clock.start("fit")
        sizes = (self.sizes[0], self.in_room) if self.knows_room else self.sizes

        def fitted(done: int, _: float) -> None:
            self.clock.tell(done / max(sizes[1], 1))

        known = seen.X_FTM, self.playing.spots, seen.prior, sizes
        return self.recipe.fit(*known, rng=rng, callback=fitted, muted_TM=seen.missing_TM, jointly=self.of_many)

    def _all_sources(self, model: Any) -> Any:
        """Return the model of those who play with those who never do, and with the floor of the method."""
        if self.recipe.floor and not self.take.spots.shared:
            model = model.with_silent(self.silent, self.take.spots).leave_alone(self._frequencies)
        return model

    def _fill(self, low_FTM: Array, evidence: Evidence, muted_TM: Array, seed: Seed) -> Evidence:
        """Let `levels` fill in what muted microphones would have heard; return the evidence with it.

        FastMNMF2 fills them in at first; then the method's own model does, if it can, each time from what the last
        filling makes of the take.  Windows that a mute covers in part see what was filled in, and the longer they are
        the more of them do.  FastMNMF2 is not good enough to learn from, so at first they count as missing altogether.
        """
        heard_FTM = fill_in(evidence, muted_TM, np.random.default_rng(seed))
        evidence = replace(evidence, X_FTM=self._filled(low_FTM, heard_FTM))
        lost_TM = self.levels.lost(self.analysis, self.take.n_samples)
        if not muted_TM.any() or not getattr(self.recipe.model(*self.sizes), "skips_missing", False):
            return replace(evidence, missing_TM=lost_TM)
        for missing_TM in (missing_of(muted_TM), *[lost_TM] * (FILLINGS - 1)):
            rng, evidence = np.random.default_rng(seed), replace(evidence, missing_TM=missing_TM)
            X_FTM, prior = evidence.X_FTM, self.recipe.prior(evidence, self.sizes[0], rng)
            model = self.recipe.fit(X_FTM, self.playing.spots, prior, self.sizes, rng=rng, muted_TM=missing_TM)
            del prior
            X_FTM = predicted(model, X_FTM, muted_TM)
            del model  # for memory
            evidence = replace(evidence, X_FTM=self._filled(low_FTM, X_FTM))
        return replace(evidence, missing_TM=lost_TM)

    def _filled(self, low_FTM: Array, heard_FTM: Array | None) -> Array:
        if heard_FTM is not None:
            self.levels = self.levels.filled(np.concatenate([low_FTM, heard_FTM]), self.analysis, self.take.n_samples)
        return self.levels.into(self.take.x_LM, self.analysis)[1]

    def _evidence(self, X_FTM: Array) -> Evidence:
        take, levels, analysis = self.playing, self.levels, self.analysis

        def notes(exponent: float) -> Prior:
            assert self.notes is not None
            assert isinstance(analysis, STFT)
            dictionary, named = self.notes
            instruments = [name for n, name in enumerate(named) if n not in self.silent]
            first = levels.first(analysis)
            return dictionary.prior(instruments, analysis.window_length, take.sample_rate, take.spots, exponent, first)

        self._check_solos()
        known = take
        if self.found is not None and isinstance(analysis, STFT):
            known = self.found.lasting(analysis.window_length)
        useful = self.recipe.hears_solos and (self.room is None or any(levels.muted))
        solo = levels.solos(known, analysis) if useful else None
        E_FTN = None
        if self.estimates_LN is not None:
            E_FTN = levels.estimates(take, np.delete(self.estimates_LN, self.silent, axis=1), analysis)
        heard = X_FTM, take.spots, solo, notes if self.notes else None, E_FTN, self.trust
        evidence = Evidence(*heard, room=self.room, room_frames=self.room_frames, room_settled=self.settled)
        evidence = replace(evidence, of_many=self.of_many)
        if not isinstance(analysis, STFT):
            return evidence
        evidence = replace(evidence, frequencies=self._frequencies)
        if self.found is None:
            return evidence
        worth_NF = self.found.seconds(evidence.frequencies) * take.sample_rate / analysis.hop
        return replace(evidence, solo_frames=worth_NF, solos_hold=self.found.holds)

    def _check_solos(self) -> None:
        """Refuse solos that never fill a window, where the method stands and falls with them."""
        if self.recipe.solos != "needed" or not isinstance(self.analysis, STFT):
            return
        length, rate = self.analysis.window_length, self.take.sample_rate
        for source, passages in zip(self.take.sources, self.take.solos):
            longest = max(map(len, passages), default=length)
            if longest < length:
                raise SessionError(
                    f"{source}: the longest solo lasts {longest / rate:.2f} s, less than the window of "
                    f"{length / rate:.2f} s; give a shorter window or a longer solo"
                )

    def _parameters(self, seed: int, model: Any) -> dict[str, Any]:
        parameters: dict[str, Any] = {"seed": seed}
        if isinstance(self.analysis, STFT):
            parameters |= {"window_samples": self.analysis.window_length, "hop_samples": self.analysis.hop}
        if self.recipe.components:
            parameters["components"] = self.sizes[0]
        if self.recipe.iterations:
            parameters["iterations"] = self.in_room if self.knows_room else self.sizes[1]
        if self.notes is not None:
            dictionary, instruments = self.notes
            parameters |= {"components": model.W_.shape[2], "dictionary": dictionary.name, "instruments": instruments}
        if self.estimates_LN is not None:
            parameters["trust"] = self.trust
        return parameters


def _costs(model: Any) -> Array:
    """Return the cost after each iteration; a model of somebody else's may have none."""
    return np.asarray(getattr(model, "cost_", ()), np.float64)


def _at_mic(segment: str, mic: int) -> str:
    return f"{segment} at mic {mic + 1}"


def _holds(store: Store, name: str, shape: tuple[int, int]) -> bool:
    """Return whether a store has sound of this shape; whatever else it has there is made anew."""
    return name in store and store[name].shape == shape and store[name].dtype.kind == "f"


def _kept(store: Store, names: Sequence[str], mic: int, k: int) -> Array:
    """Return what is kept of a microphone and segment, (I, samples)."""
    return store[_at_mic(names[k], mic)]


def _shared(first: Any, other: Any) -> None:
    """Let two models have one array of what describes the room, where it is the same, for memory."""
    for name in ("R_", "Q_"):
        if hasattr(first, name) and np.array_equal(getattr(first, name), getattr(other, name)):
            setattr(other, name, getattr(first, name))


class Clock:
    """Times the stages and passes on how far each has come."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage = ""
        self._since = 0.0

    def start(self, stage: str) -> None:
        self.stop()
        self._stage, self._since = stage, time.perf_counter()
        self.tell(0.0)

    def tell(self, done: float) -> None:
        if self._progress is not None and self._stage:
            self._progress(self._stage, done)

    def stop(self) -> None:
        if self._stage:
            self.tell(1.0)
            self.seconds[self._stage] = time.perf_counter() - self._since
        self._stage = ""
