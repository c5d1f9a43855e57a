"""A take in memory, and what is taken off it before a model sees it and given back afterwards.

`Take` holds the sound of every microphone and what is known about it: who played, whose microphone is whose, and what
each player sounds like alone.  `Levels` holds what is no property of the music: constant offsets, the settings of the
preamplifiers, and what lies below the lowest frequency a method separates.  Files live in `mnmf.session`, spectrograms
in `mnmf.stft`; nothing here learns anything.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from mnmf import whose
from mnmf.errors import (
    FAINTEST,
    MOST_RATE,
    ArgumentError,
    SessionError,
    check_audio,
    check_count,
    check_number,
    peak,
)
from mnmf.rows import Rows, blocks
from mnmf.spots import Spots
from mnmf.stft import Analysis

__all__ = ["Levels", "Still", "Take", "TakeOptions", "faintness", "loudness", "muted", "shortest_mute"]

Array = NDArray[Any]
Span = tuple[float, float]
Stretches = tuple[tuple[tuple[int, int], ...], ...]


class TakeOptions(TypedDict, total=False):
    """What `Take.of` may be given with a recording; `mnmf.separate` passes it on."""

    solos: Mapping[str, Span | Sequence[Span]] | None
    solo_LM: Array | None
    sources: Sequence[str] | None
    spots: Mapping[str, int | str | Sequence[int | str]] | Sequence[int | Sequence[int]]
    ambient: Sequence[int | str]
    mic_names: Sequence[str]
    instruments: Sequence[str]
    aside: Sequence[int | str]


SILENT = 1e-3  # of the median microphone's RMS
MUTED = 0.05  # seconds of exactly equal samples that are no sound
MISSING = 0.05  # of a window: with more of it muted, a frame is no evidence of what its microphone hears
LOST = 0.5  # of a window: with more of it muted, players are separated by the other microphones alone
FADE = 0.02  # seconds in which that begins and ends, within a muted stretch


@dataclass(frozen=True, eq=False)
class Take:
    """What the microphones recorded, and what is known about it.

    `Take.of` finds spots and cuts solo passages out of a recording; the constructor takes them as they are.

    Parameters
    ----------
    x_LM : float, shape (samples, mics), or `mnmf.rows.Rows`
        The recording.  float32 is enough for 24 bits and needs half the memory of float64.  Rows that are read when
        they are asked for, as of a `Session`, must be finite.
    sample_rate : int
        In hertz.
    spots : Spots, or sequence of int or of sequences of int, optional
        For each source its own microphone(s), counted from 0, the reference spot first; every microphone in turn if
        not given.  A microphone that nobody has here is ambient.
    sources : sequence of str, optional
        Names, in the order of the spots and of every result; those of the reference spots if not given.
    mic_names : sequence of str, optional
        '1', '2', … if not given.
    solos : sequence of sequences of arrays (L, M), optional
        For each source the sound of every passage in which it plays alone, at all microphones.
    instruments : sequence of str, optional
        What each source plays, for a dictionary of notes; the names of the sources if not given.
    aside : sequence of int, optional
        Microphones that no model is to see, counted from 0: those that hear nothing, copies, and mixes of others.  They
        are nobody's spot, and nobody is heard there.

    Raises
    ------
    ArgumentError
        Arrays, names and spots that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take
    >>> x_LM = np.random.default_rng(0).standard_normal((8000, 3)).astype(np.float32)
    >>> take = Take(x_LM, 8000, spots=(0, 2), sources=("violin", "cello"))
    >>> take
    Take(1.000 s of 3 mics at 8000 Hz: violin at mic 1, cello at mic 3)
    >>> take.part(0, 4000).duration
    0.5
    """

    x_LM: Any  # an array, or rows that are read when they are asked for
    sample_rate: int
    # Spots, tuples and strings once the take is made; the constructor takes any sequences that make them.
    spots: Any = ()
    sources: Sequence[str] = ()
    mic_names: Sequence[str] = ()
    solos: Sequence[Sequence[Array]] = ()
    instruments: Sequence[str] = ()
    aside: Sequence[int] = ()

    def __post_init__(self) -> None:
        x_LM = self.x_LM if isinstance(self.x_LM, Rows) else check_audio(self.x_LM)
        if loudest := faintness(x_LM):
            raise ArgumentError(f"x_LM nowhere exceeds {loudest:.1g}, which is no sound; scale it to a full scale of 1")
        check_number("sample_rate", self.sample_rate, 1.0, MOST_RATE, " Hz")
        M = x_LM.shape[1]
        mics = tuple(map(str, self.mic_names)) or tuple(str(m + 1) for m in range(M))
        _check_length("mic_names", mics, M, "microphones")
        spots = Spots(range(M) if self.spots is None or self.spots == () else self.spots).check(M)
        sources = tuple(map(str, self.sources)) or tuple(mics[m] for m in spots.references)
        _check_length("sources", sources, len(spots), "spots")
        solos = _checked_solos(self.solos, len(spots), M)
        if len(self.instruments):
            _check_length("instruments", self.instruments, len(spots), "sources")
        if len(set(sources)) < len(sources):
            raise ArgumentError(f"sources: two have the same name; got {', '.join(sources)}")
        for m in self.aside:
            if any(m in own for own in spots):
                raise ArgumentError(f"aside: microphone {m} is somebody's spot; leave it out of one of them")
        checked: dict[str, Any] = {"x_LM": x_LM, "spots": spots, "sources": sources, "mic_names": mics, "solos": solos}
        checked["instruments"] = tuple(self.instruments) or sources
        checked["aside"] = tuple(dict.fromkeys(_numbered(m, mics) for m in self.aside))
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        x_LM: Array,
        sample_rate: int,
        *,
        solos: Mapping[str, Span | Sequence[Span]] | None = None,
        solo_LM: Array | None = None,
        sources: Sequence[str] | None = None,
        spots: Mapping[str, int | str | Sequence[int | str]] | Sequence[int | Sequence[int]] = (),
        ambient: Sequence[int | str] = (),
        mic_names: Sequence[str] = (),
        instruments: Sequence[str] = (),
        aside: Sequence[int | str] = (),
    ) -> Take:
        """Make a take from arrays, and find out whose microphone is whose.

        Parameters
        ----------
        x_LM, sample_rate, sources, mic_names, instruments
            As for the class.  Without `sources` they are those of `solos`, else those of the microphones.
        solos : mapping of source to (start, stop), or to several of them, optional
            Where each source plays alone, in seconds of `solo_LM`, or of the take if that is not given.
        solo_LM : float, shape (samples, mics), optional
            The recording in which they do, by the same microphones.
        spots : mapping of source to microphone(s), or sequence in the order of the sources, optional
            Microphones by number from 0, or by name.  The others are found: by the solos, else by order.
        ambient : microphones, optional
            Those that are nobody's spot, by number from 0 or by name as well.
        aside : microphones, optional
            Those that no model is to see, such as `mnmf.faults.Inspection.aside` finds them, likewise.

        Raises
        ------
        ArgumentError, SessionError
            Arrays and names that do not fit together; a source without a spot of its own, or a microphone left over.

        Examples
        --------
        >>> import numpy as np
        >>> from mnmf import Take
        >>> rng = np.random.default_rng(0)
        >>> mixing_MN = np.array([[0.2, 1.0], [1.0, 0.1]])
        >>> take = Take.of(
        ...     rng.standard_normal((8000, 2)) @ mixing_MN.T,
        ...     8000,
        ...     solos={"violin": (0.0, 1.0), "cello": (1.0, 2.0)},
        ...     solo_LM=np.repeat(np.eye(2), 8000, axis=0) * rng.standard_normal((16000, 1)) @ mixing_MN.T,
        ... )
        >>> take.spots
        Spots((1,), (0,))
        """
        x_LM = check_audio(x_LM)
        check_number("sample_rate", sample_rate, 1.0, MOST_RATE, " Hz")
        mics = tuple(map(str, mic_names)) or tuple(str(m + 1) for m in range(x_LM.shape[1]))
        left_out = tuple(dict.fromkeys(_numbered(mic, mics) for mic in aside))
        nobodys = tuple(dict.fromkeys((*(_numbered(mic, mics) for mic in ambient), *left_out)))
        free = [m for m in range(len(mics)) if m not in nobodys]
        names = list(sources or solos or [mics[m] for m in free])
        given = _given(spots, names, mics)
        alone = _cut(solos, names, _solo_recording(solo_LM, x_LM, solos), sample_rate)
        found = whose.find_spots(
            names,
            mics,
            solos={name: pieces for name, pieces in alone.items() if pieces},
            sample_rate=sample_rate,
            take=lambda: x_LM,
            given=given,
            ambient=nobodys,
        )
        solo_pieces = [alone[name] for name in names]
        return cls(x_LM, sample_rate, found.spots, names, mics, solo_pieces, instruments, left_out)

    @property
    def n_samples(self) -> int:
        """Length L in samples."""
        return len(self.x_LM)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate

    @cached_property
    def muted(self) -> Stretches:
        """For each microphone the stretches in which it was muted, as samples from start to stop (exclusive).

        Muted, punched in or gated: all samples are exactly equal for 50 ms or more, while another microphone hears
        something.  A rest of all of them is music, and a microphone that is silent throughout has none.
        """
        return _muted(self.x_LM, self.sample_rate)

    def part(self, start: int, stop: int) -> Take:
        """Return samples `start` to `stop` (exclusive) of the take, with all that is known about it.

        The solos stay whole: how a player reaches the microphones is known for every part.
        """
        check_count("start", start, 0)
        check_count("stop", stop, 0)
        if not start < stop <= self.n_samples:
            raise ArgumentError(f"samples {start} to {stop} lie outside the take, which has {self.n_samples} samples")
        part = self._but(x_LM=self.x_LM[start:stop])
        part.__dict__.pop("muted", None)  # of the whole take
        return part

    def with_solos(self, solos: Sequence[Sequence[Array]]) -> Take:
        """Return the take with other solos, passages (samples, M) by source; the take itself is not checked again.

        Raises
        ------
        ArgumentError
            They are not of these sources or microphones, or hold NaN.
        """
        return self._but(solos=_checked_solos(solos, len(self.spots), self.x_LM.shape[1]))

    def without(self, sources: Sequence[int | str]) -> Take:
        """Return the take without some sources, by number from 0 or by name; their microphones are then nobody's.

        Raises
        ------
        ArgumentError
            There is no such source, or none is left.
        """
        left_out = {self.source(source) for source in sources}
        kept = [n for n in range(len(self.sources)) if n not in left_out]
        if not kept:
            raise ArgumentError("without: a take needs a source; leave one")
        return self._but(
            spots=Spots([self.spots[n] for n in kept]),
            sources=tuple(self.sources[n] for n in kept),
            solos=self.solos and tuple(self.solos[n] for n in kept),
            instruments=tuple(self.instruments[n] for n in kept),
        )

    def _but(self, **parts: Any) -> Take:
        """Return the same with other parts, which must be as the constructor would make them."""
        other = copy.copy(self)
        for name, value in parts.items():
            object.__setattr__(other, name, value)
        return other

    @property
    def seen(self) -> tuple[int, ...]:
        """The microphones that a model sees: all that are not set aside."""
        return tuple(m for m in range(len(self.mic_names)) if m not in self.aside)

    @property
    def deaf(self) -> tuple[int, ...]:
        """The sources whose own microphones are all set aside."""
        return tuple(n for n, mics in enumerate(self.spots) if all(m in self.aside for m in mics))

    def setting_aside(self, mics: Sequence[int]) -> Take:
        """Return the take with more microphones set aside, also those that are somebody's: they are then deaf."""
        return self._but(aside=tuple(dict.fromkeys((*self.aside, *mics))))

    def of_seen(self) -> Take:
        """Return the take of those microphones only; itself if none is set aside.

        A source that has lost its own shares the microphone that hears its solo best, or any if it has no solo.
        """
        if not self.aside:
            return self
        seen = list(self.seen)
        own = [[m for m in mics if m in seen] for mics in self.spots]
        for n in self.deaf:
            passages = self.solos[n] if self.solos else ()
            energies = [np.square(x_LM, dtype=np.float64).sum(axis=0) for x_LM in passages]
            energy_M = np.sum([np.zeros(len(self.mic_names)), *energies], axis=0)
            own[n] = [seen[int(np.argmax(energy_M[seen]))]]
        part = self._but(
            x_LM=self.x_LM.of_columns(seen) if isinstance(self.x_LM, Rows) else self.x_LM[:, seen],
            spots=Spots([[seen.index(m) for m in mics] for mics in own]),
            mic_names=tuple(self.mic_names[m] for m in seen),
            solos=tuple(tuple(x_LM[:, seen] for x_LM in passages) for passages in self.solos),
            aside=(),
        )
        part.__dict__.pop("muted", None)  # of all of them
        return part

    def without_solo(self) -> tuple[str, ...]:
        """Return the sources that have no solo passage."""
        return tuple(name for n, name in enumerate(self.sources) if not self.solos or not self.solos[n])

    def mic(self, mic: int | str) -> int:
        """Return the microphone of that number from 0, or of that name."""
        return _numbered(mic, self.mic_names)

    def source(self, source: int | str) -> int:
        """Return the source of that number from 0, or of that name."""
        if isinstance(source, str):
            if source not in self.sources:
                raise ArgumentError(f"there is no source {source!r}, only {', '.join(self.sources)}")
            return int(self.sources.index(source))
        if not 0 <= source < len(self.sources):
            raise ArgumentError(f"source must be from 0 to {len(self.sources) - 1}, or a name; got {source}")
        return int(source)

    def __repr__(self) -> str:
        seats = ", ".join(f"{name} at mic {m + 1}" for name, m in zip(self.sources, self.spots.references))
        return f"Take({self.duration:.3f} s of {len(self.mic_names)} mics at {self.sample_rate} Hz: {seats})"


@dataclass(frozen=True, eq=False)
class Levels:
    """What is taken off a take before a model sees it, and given back to what comes out.

    A preamplifier's setting is no property of the room, so every microphone is brought to the same loudness, the RMS
    about the mean.  A constant offset is no sound, and rumble below the lowest frequency is made by no player; either
    would draw the model's attention.  Both belong to nobody: they return with the own source of the microphone that
    heard them, and at any other microphone they stay in the residual, so that at every microphone the images of all
    sources and the residual sum to the take.  Where two sources share a microphone the first one keeps them.

    Where a microphone is muted it hears nothing: neither loudness nor offset are measured there, and no source has a
    sound there.  A model sees what it would have heard, once that is known (`filled`), or else silence.

    Attributes
    ----------
    offset_M : float, shape (M,)
        The mean of each microphone, of the dtype of the take.
    gains_M : float32, shape (M,)
        What brings each microphone to equal loudness.
    silent_mics : tuple of int
        Those more than 60 dB below the median one.  They keep their level, or their noise would be brought to the
        level of music.
    owner_M : int, shape (M,)
        The source that keeps what belongs to nobody at each microphone; -1 for none.
    sample_rate : int
        In hertz.
    lowest : float
        Below this frequency in hertz nothing is separated.
    muted : tuple of tuples of (start, stop)
        `Take.muted`.
    heard : tuple of tuples of float arrays (stop - start,)
        What a model sees in these stretches, at equal loudness; empty if it sees silence there.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take
    >>> from mnmf.take import Levels
    >>> x_LM = np.random.default_rng(0).standard_normal((4000, 2)) * [1.0, 0.1] + 0.5
    >>> levels = Levels.of(Take(x_LM, 8000))
    >>> loudness_M = np.std(levels.centred(x_LM) * levels.gains_M, axis=0)
    >>> np.allclose(loudness_M[0], loudness_M[1])
    True
    """

    offset_M: Array
    gains_M: Array
    silent_mics: tuple[int, ...]
    owner_M: Array
    sample_rate: int
    lowest: float = 0.0
    muted: Stretches = ()
    heard: tuple[tuple[Array, ...], ...] = ()

    @classmethod
    def of(cls, take: Take, lowest: float = 0.0) -> Levels:
        """Measure a take; `lowest`, in hertz, is where a method begins to separate."""
        offset_M, rms_M = _moments(take.x_LM, take.muted)
        gains_M, silent_mics = loudness(rms_M)
        owner_M = np.full(len(gains_M), -1)
        for n in reversed(range(len(take.spots))):
            owner_M[list(take.spots[n])] = n
        for n in reversed(range(len(take.spots))):  # a reference spot counts more than a further one
            owner_M[take.spots[n][0]] = n
        return cls(offset_M, gains_M, silent_mics, owner_M, take.sample_rate, lowest, take.muted)

    def part(self, start: int, stop: int) -> Levels:
        """Return the levels of samples `start` to `stop` (exclusive) of the take: those of the whole."""
        cut = tuple(
            tuple((max(a, start) - start, min(b, stop) - start) for a, b in spans if a < stop and b > start)
            for spans in self.muted
        )
        return replace(self, muted=cut, heard=())

    def first(self, analysis: Analysis) -> int:
        """Return the first bin of an analysis that is separated."""
        first = int(np.searchsorted(analysis.frequencies(self.sample_rate), self.lowest))
        return min(first, analysis.n_frequencies - 1)

    def centred(self, x_LM: Array) -> Array:
        """Return the take without its offset, at its own loudness."""
        centred_LM = np.asarray(x_LM - self.offset_M)
        self._silence(centred_LM, range(len(self.offset_M)))
        return centred_LM

    def muted_part(self, analysis: Analysis, n_samples: int, ignored: float = MISSING) -> Array | None:
        """Return how much of each frame is muted, 0 to 1, (T, M): of the energy of its window; None if nothing is.

        So little that it is no more than `ignored` is given as 0.
        """
        if not any(self.muted):
            return None
        none_T = np.zeros_like(analysis.covered(0, 0, n_samples))
        parts = [sum((analysis.covered(*span, n_samples) for span in spans), none_T) for spans in self.muted]
        part_TM = np.stack(parts, axis=1)
        return np.where(part_TM > ignored, part_TM, 0.0)

    def filled(self, X_FTM: Array, analysis: Analysis, n_samples: int) -> Levels:
        """Return these levels with the stretches in which microphones are muted as they are in a spectrogram."""
        heard = []
        for m, spans in enumerate(self.muted):
            x_L = analysis.synthesise(X_FTM[..., [m]], n_samples)[:, 0] if spans else None
            heard.append(tuple(x_L[start:stop].copy() for start, stop in spans) if x_L is not None else ())
        return replace(self, heard=tuple(heard))

    def lost(self, analysis: Analysis, n_samples: int) -> Array | None:
        """Return where more of a frame is muted than not, bool (T, M); None if nothing is muted."""
        part_TM = self.muted_part(analysis, n_samples, LOST)
        return None if part_TM is None else part_TM > 0

    def closed(self, n_samples: int) -> Array:
        """Return 1 where any microphone is muted and 0 where none is, faded within the ends of the stretches, (L,)."""
        part_L = np.zeros(n_samples, self.offset_M.dtype)
        length = max(round(FADE * self.sample_rate), 1)
        for start, stop in (span for spans in self.muted for span in spans):
            sample_S = np.arange(1, stop - start + 1, dtype=part_L.dtype)
            ramp_S = np.minimum(np.minimum(sample_S, sample_S[::-1]) / length, 1)
            part_L[start:stop] = np.maximum(part_L[start:stop], ramp_S)
        return part_L

    def _silence(self, x_LI: Array, mics: Sequence[int]) -> None:
        """Write zeros where microphones are muted, in place."""
        for i, m in enumerate(mics):
            for start, stop in self.muted[m] if self.muted else ():
                x_LI[start:stop, i] = 0.0

    def into(self, x_LM: Array, analysis: Analysis) -> tuple[Array, Array]:
        """Return of the take what lies below the lowest frequency, and what a model sees, (F, T, M) both."""
        x_LM = self.centred(x_LM) * self.gains_M
        for m, pieces in enumerate(self.heard):
            for (start, stop), x_S in zip(self.muted[m], pieces):
                x_LM[start:stop, m] = x_S
        X_FTM = analysis.analyse(x_LM)
        first = self.first(analysis)
        return X_FTM[:first], X_FTM[first:]

    def solos(self, take: Take, analysis: Analysis) -> tuple[Array, list[list[slice]]] | None:
        """Return the solo passages one after another as a model sees them, and the frames of each source.

        They are at the gains of the take, each without its own offset.  None if there are no solos.
        """
        pieces: list[Array] = []
        frames: list[list[slice]] = []
        first = 0
        for passages in take.solos:
            frames.append([])
            for x_LM in passages:
                X_FTM = analysis.analyse((x_LM - _offset(x_LM)) * self.gains_M)
                # Only frames wholly within the passage: those at its ends would see the cut.
                pieces.append(X_FTM[:, analysis.frames(0, len(x_LM), len(x_LM))])
                frames[-1].append(slice(first, first + pieces[-1].shape[1]))
                first += pieces[-1].shape[1]
        if not pieces:
            return None
        return np.concatenate(pieces, axis=1)[self.first(analysis) :], frames

    def estimates(self, take: Take, y_LN: Array, analysis: Analysis) -> Array:
        """Return estimates of the sources at their own spots, (L, N), as a model sees them, (F, T, N)."""
        gains_N = self.gains_M[take.spots.references]
        return analysis.analyse(y_LN.astype(take.x_LM.dtype) * gains_N)[self.first(analysis) :]

    def back(
        self,
        image_FTI: Array,
        low_FTM: Array,
        source: int,
        mics: Sequence[int],
        analysis: Analysis,
        n_samples: int,
    ) -> Array:
        """Return the sound of a source at some microphones, at the level of the take.

        Parameters
        ----------
        image_FTI : complex, shape (F, T, I)
            The image of the source at I microphones, as the model gives it.
        low_FTM : complex, shape (F', T, M)
            What `into` kept from the model.
        source : int
        mics : sequence of int
            The I microphones.
        analysis : Analysis
            The one that `into` was given.
        n_samples : int
            Length of the take.

        Returns
        -------
        x_LI : float, shape (samples, I)
        """
        chosen = list(mics)
        own_I = self.owner_M[chosen] == source
        low_FTI = np.where(own_I, low_FTM[..., chosen], low_FTM.dtype.type(0))
        x_LI = analysis.synthesise(np.concatenate([low_FTI, image_FTI]), n_samples)
        x_LI /= self.gains_M[chosen]
        x_LI += np.where(own_I, self.offset_M[chosen], self.offset_M.dtype.type(0))
        self._silence(x_LI, chosen)
        return x_LI


def _checked_solos(solos: Any, n_sources: int, n_mics: int) -> tuple[tuple[Array, ...], ...]:
    checked = tuple(tuple(check_audio(alone, "solos") for alone in passages) for passages in solos)
    if checked:
        _check_length("solos", checked, n_sources, "sources")
    if any(alone.shape[1] != n_mics for passages in checked for alone in passages):
        raise ArgumentError(
            f"solos must be of the {n_mics} microphones of the take; pass arrays of shape (L, {n_mics})"
        )
    return checked


def _check_length(name: str, value: Sequence[Any], wanted: int, of_what: str) -> None:
    if len(value) != wanted:
        raise ArgumentError(f"{name} must have one entry for each of {wanted} {of_what}, got {len(value)}")


def faintness(x_LM: Array | Rows) -> float:
    """Return the largest absolute value of a take if that is too faint to be sound, else 0; 0 for plain silence.

    Examples
    --------
    >>> faintness(np.full((8, 2), 1e-20)), faintness(np.full((8, 2), 1e-3))
    (1e-20, 0.0)
    """
    loudest = 0.0
    for _, block in blocks(x_LM):
        loudest = max(loudest, peak(block))
        if loudest >= FAINTEST:
            return 0.0
    return loudest


def _offset(x_LM: Array) -> Array:
    return np.asarray(x_LM.mean(axis=0, dtype=np.float64).astype(x_LM.dtype))


def _moments(x_LM: Array | Rows, muted: Stretches) -> tuple[Array, Array]:
    """Return the mean of each microphone, of the dtype of the take, and its RMS about that; where it is not muted."""
    muted_M = np.array([sum(stop - start for start, stop in spans) for spans in muted])
    count_M = len(x_LM) - muted_M
    mean_M = _total(x_LM, muted, lambda x_BM: x_BM.astype(np.float64)) / count_M
    offset_M = mean_M.astype(x_LM.dtype)
    rest_M = _total(x_LM, muted, lambda x_BM: (x_BM - offset_M).astype(np.float64)) / count_M  # what rounding left
    square_M = _total(x_LM, muted, lambda x_BM: ((x_BM - offset_M) - rest_M) ** 2) / count_M
    return offset_M, np.sqrt(square_M)


def _total(x_LM: Array | Rows, muted: Stretches, of: Callable[[Array], Array]) -> Array:
    """Return the sum over samples of a function of them, for each microphone where it is not muted, (M,).

    Row by row, so that it does not depend on the blocks.
    """
    total_M = np.zeros(x_LM.shape[1])
    for first, block in blocks(x_LM):
        values = np.ascontiguousarray(of(block))  # whose layout decides the order of the sum
        for m, spans in enumerate(muted):
            for start, stop in spans:
                if start < first + len(block) and stop > first:
                    values[max(start - first, 0) : stop - first, m] = 0.0
        total_M = np.sum(np.concatenate([total_M[None], values]), axis=0)
    return total_M


def _muted(x_LM: Array | Rows, sample_rate: float) -> Stretches:
    """Return the stretches of `Take.muted`."""
    still = Still(x_LM.shape[1], shortest_mute(sample_rate))
    for _, block in blocks(x_LM):
        still.see(block.T)
    return muted(still.stretches(), len(x_LM))


class Still:
    """Finds stretches of exactly equal samples in a take that is shown to it a block at a time.

    Parameters
    ----------
    n_mics : int
    shortest : int
        Samples of a stretch, at least 2.

    Examples
    --------
    >>> still = Still(1, 3)
    >>> for block in ([0.0, 1.0, 1.0], [1.0, 1.0, 2.0]):
    ...     still.see(np.array([block]))
    >>> still.stretches()
    [[(1, 5)]]
    """

    def __init__(self, n_mics: int, shortest: int) -> None:
        self._shortest = shortest
        self._seen = 0
        self._began = [0] * n_mics
        self._found: list[list[tuple[int, int]]] = [[] for _ in range(n_mics)]
        self._last_M1: Array | None = None

    def see(self, block_MB: Array) -> None:
        """Look at the next samples of all microphones, (M, B)."""
        last_M1 = block_MB[:, :1] if self._last_M1 is None else self._last_M1
        for m, x_B in enumerate(block_MB):
            changes_B = np.empty(len(x_B), bool)
            changes_B[0] = x_B[0] != last_M1[m, 0]
            np.not_equal(x_B[1:], x_B[:-1], out=changes_B[1:])
            if not changes_B.any():
                continue
            edges = [int(changes_B.argmax()), len(x_B) - 1 - int(changes_B[::-1].argmax())]
            self._keep(m, self._began[m], self._seen + edges[0])
            if len(x_B) - np.count_nonzero(changes_B) >= self._shortest - 1:  # else no stretch fits between
                inner = self._seen + np.flatnonzero(changes_B)
                for i in np.flatnonzero(np.diff(inner) >= self._shortest):
                    self._keep(m, int(inner[i]), int(inner[i + 1]))
            self._began[m] = self._seen + edges[1]
        self._last_M1 = np.array(block_MB[:, -1:])
        self._seen += block_MB.shape[1]

    def _keep(self, mic: int, start: int, stop: int) -> None:
        if stop - start >= self._shortest:
            self._found[mic].append((start, stop))

    def stretches(self) -> list[list[tuple[int, int]]]:
        """Return those of each microphone in what was seen, from start to stop (exclusive)."""
        ends = [[(began, self._seen)] if self._seen - began >= self._shortest else [] for began in self._began]
        return [found + end for found, end in zip(self._found, ends)]


def shortest_mute(sample_rate: float) -> int:
    """Return how many equal samples are no sound.

    Examples
    --------
    >>> shortest_mute(44100)
    2205
    """
    return max(round(MUTED * sample_rate), 2)


def muted(still: Sequence[Sequence[tuple[int, int]]], n_samples: int) -> Stretches:
    """Return the stretches of `Take.muted`, of those in which each microphone is still (`Still.stretches`).

    Examples
    --------
    >>> muted([[(0, 100)], [(50, 300)], [(0, 400)]], 400)  # the last one is silent throughout
    (((0, 50),), ((100, 300),), ())
    """
    M = len(still)
    live = [m for m in range(M) if list(still[m]) != [(0, n_samples)]]
    if not any(still[m] for m in live):
        return ((),) * M
    resting = list(still[live[0]])  # where all of them rest, nothing is missing
    for m in live[1:]:
        resting = _in_both(resting, still[m])
    return tuple(tuple(_without(still[m], resting)) if m in live else () for m in range(M))


def _in_both(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what two lists of spans have in common; the spans of each are in order and apart."""
    common, i, k = [], 0, 0
    while i < len(some) and k < len(others):
        start, stop = max(some[i][0], others[k][0]), min(some[i][1], others[k][1])
        if start < stop:
            common.append((start, stop))
        if some[i][1] < others[k][1]:
            i += 1
        else:
            k += 1
    return common


def _without(spans: Sequence[tuple[int, int]], holes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what is left of spans without holes, each of which lies within a span; both are in order."""
    k = 0
    for start, stop in spans:
        while k < len(holes) and holes[k][1] <= stop:
            if start < holes[k][0]:
                yield start, holes[k][0]
            start, k = holes[k][1], k + 1
        if start < stop:
            yield start, stop


def loudness(rms_M: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the gains, float32 (M,), that bring microphones of this RMS to one loudness, and the silent ones.

    Examples
    --------
    >>> gains_M, silent = loudness(np.array([0.1, 0.2, 1e-6]))
    >>> silent
    (2,)
    """
    loud_M = rms_M > SILENT * np.median(rms_M)
    if not loud_M.any():
        loud_M = rms_M > 0
    target = np.exp(np.mean(np.log(rms_M[loud_M]))) if loud_M.any() else 1.0
    gains_M = np.where(loud_M, target / np.where(loud_M, rms_M, 1.0), 1.0).astype(np.float32)
    return gains_M, tuple(int(m) for m in np.flatnonzero(~loud_M))


def _numbered(mic: int | str, mic_names: Sequence[str]) -> int:
    """Return the microphone of that number from 0, or of that name."""
    if isinstance(mic, str):
        if mic not in mic_names:
            raise SessionError(f"there is no mic {mic!r}; names are: {', '.join(mic_names)}")
        return list(mic_names).index(mic)
    if not 0 <= mic < len(mic_names):
        raise ArgumentError(f"mics must be from 0 to {len(mic_names) - 1}, or names; got {mic}")
    return int(mic)


def _given(spots: Any, names: Sequence[str], mic_names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the spots that are given, by source."""
    if not isinstance(spots, Mapping):
        if len(spots) not in (0, len(names)):
            raise ArgumentError(f"spots must have one entry for each of {len(names)} sources, got {len(spots)}")
        spots = dict(zip(names, spots))
    for name in spots:
        if name not in names:
            raise ArgumentError(f"spots name {name!r}, which is not among the sources: {', '.join(names)}")
    several: dict[str, Any] = {
        name: [mics] if isinstance(mics, int | np.integer | str) else mics for name, mics in spots.items()
    }
    return {name: tuple(_numbered(mic, mic_names) for mic in mics) for name, mics in several.items()}


def _solo_recording(solo_LM: Array | None, x_LM: Array, solos: Any) -> Array:
    """Return the recording that the solos are in."""
    if solo_LM is None:
        return x_LM
    if solos is None:
        raise ArgumentError("solo_LM needs solos: say where in it each source plays alone")
    solo_LM = check_audio(solo_LM, "solo_LM")
    if solo_LM.shape[1] != x_LM.shape[1]:
        raise ArgumentError(f"solo_LM must have the {x_LM.shape[1]} microphones of the take, got {solo_LM.shape[1]}")
    return solo_LM


def _cut(solos: Any, names: Sequence[str], x_LM: Array, sample_rate: float) -> dict[str, list[Array]]:
    """Return the solo passages of each source, cut out of a recording."""
    passages: dict[str, list[Array]] = {name: [] for name in names}
    if not isinstance(solos or {}, Mapping):
        raise ArgumentError("solos must map each source to (start, stop) in seconds, or to several of them")
    for name, spans in (solos or {}).items():
        if name not in passages:
            raise ArgumentError(f"solos name {name!r}, which is not among the sources: {', '.join(names)}")
        try:
            spans_P2 = np.asarray(spans, np.float64).reshape(-1, 2)
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"solos: {name!r} needs (start, stop) in seconds, or several of them") from error
        for start, stop in spans_P2.tolist():
            first, last = (round(seconds * sample_rate) if np.isfinite(seconds) else -1 for seconds in (start, stop))
            if not 0 <= first < last <= len(x_LM):
                raise ArgumentError(
                    f"solos: {name!r} plays alone from {start:g} to {stop:g} s, but the recording lasts "
                    f"{len(x_LM) / sample_rate:.3f} s"
                )
            passages[name].append(x_LM[first:last])
    return passages
