"""What separating a take gives: stems, and of a take in memory every source at every microphone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_number
from mnmf.methods import Method
from mnmf.models import Model
from mnmf.rows import Rows, column
from mnmf.segments import add_faded
from mnmf.stft import Analysis
from mnmf.take import Levels, Take

__all__ = ["Part", "Separation", "Stems", "check_reduction", "sound_of"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Part:
    """A segment of a take, its samples `start` to `stop` (exclusive), with the model fitted to it.

    Attributes
    ----------
    start, stop : int
    model : one of `mnmf.models`
    levels : Levels
    """

    start: int
    stop: int
    model: Any
    levels: Levels


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Stems:
    """The stems of a take, and how they were made.

    Attributes
    ----------
    take : Take
        What was separated.
    stems_LN : float32 or float64 as the take, shape (samples, sources)
        Each source at its own spot, at the level of the take; `mnmf.rows.Rows` if they were kept elsewhere than in
        memory.
    method : Method
        The recipe.
    levels : Levels
        What was taken off the take before.
    parameters : dict
        Everything that, with the take, decides the result.
    seconds : dict
        How long each stage took.
    not_estimated : tuple of str
        Sources of which the estimator, if there was one, gave no estimate.
    remarks : tuple of str
        What was found about the solos, left out, undone or ignored, each in one line.
    bleed : tuple of (source, mic)
        Of which sources it is kept how further microphones heard them, all by numbers from 0.
    bleed_LI : array or Rows, shape (samples, I), or None
        That, in the same order.
    costs : tuple of (start, stop, array)
        The cost after each iteration, of samples `start` to `stop` (exclusive): one entry for each segment that was
        fitted.
    solo_seconds : dict of source to tuple of float
        How many seconds of the take the solo of a source counted for, in the bands of `mnmf.survey.BANDS`; empty where
        solos were not compared with the take.
    """

    take: Take
    stems_LN: Array | Rows
    method: Method
    levels: Levels
    parameters: dict[str, Any]
    seconds: dict[str, float]
    not_estimated: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    bleed: tuple[tuple[int, int], ...] = ()
    bleed_LI: Array | Rows | None = None
    costs: tuple[tuple[int, int, Array], ...] = ()
    solo_seconds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def heard(self, source: int | str, mic: int | str) -> Array | Rows:
        """Return one source as one microphone heard it, at the level of the take.

        Parameters
        ----------
        source, mic : int or str
            By number from 0, or by name.

        Returns
        -------
        float, shape (samples,), as the stems in memory or not

        Raises
        ------
        ArgumentError
            It was not asked for when the take was separated.
        """
        n, m = self.take.source(source), self.take.mic(mic)
        heard: Array | Rows
        if m == self.take.spots.references[n]:
            heard = column(self.stems_LN, n)
        elif self.bleed_LI is not None and (n, m) in self.bleed:
            heard = column(self.bleed_LI, self.bleed.index((n, m)))
        else:
            raise ArgumentError(
                f"{self.take.sources[n]} at mic {self.take.mic_names[m]} was not kept; ask for it with separate_to(…, "
                "bleed=…)"
            )
        return heard

    def reduced(
        self, source: int | str, reduction: float | Mapping[str, float], mic: int | str | None = None
    ) -> Array | Rows:
        """Return the spot of a source with its bleed turned down, at the level of the take.

        Parameters
        ----------
        source : int or str
            Its number from 0, or its name.
        reduction : float, or mapping of source to float
            In dB: 0 is what the spot heard, infinity the stem.  By the names of other sources each is turned down by
            its own, and nothing else of the bleed is left.
        mic : int or str, optional
            Which of its spots if it has several; the first if not given.

        Returns
        -------
        float, shape (samples,), as the stems in memory or not

        Raises
        ------
        ArgumentError
            There is no such source, a reduction is negative or no number, the microphone is none of its spots, or the
            bleed of a source is not known there (`heard`).
        """
        n = self.take.source(source)
        m = self.take.spots.references[n] if mic is None else self.take.mic(mic)
        if m not in self.take.spots[n]:
            raise ArgumentError(f"mic {self.take.mic_names[m]} is no spot of {self.take.sources[n]}; name one that is")
        if isinstance(reduction, Mapping):
            return self._mixed(n, m, reduction)
        left = 10 ** (-check_reduction("reduction", reduction) / 20)
        stem_L: Any = self.heard(n, m)
        spot_L: Any = column(self.take.x_LM, m)

        def mixed(start: int, stop: int) -> Array:
            stem = stem_L[start:stop]
            spot = spot_L[start:stop]
            return np.array(spot if left == 1 else stem + stem.dtype.type(left) * (spot - stem))

        if left == 0:
            return stem_L if isinstance(stem_L, Rows) else np.array(stem_L)
        L = self.take.n_samples
        return Rows((L,), stem_L.dtype, mixed) if isinstance(stem_L, Rows) else mixed(0, L)

    def _mixed(self, source: int, mic: int, reduction: Mapping[str, float]) -> Array | Rows:
        """Return a stem with some of the others' bleed left in it."""
        stem_L: Any = self.heard(source, mic)
        kept: list[tuple[float, Any]] = []
        for name, value in reduction.items():
            left = 10 ** (-check_reduction(f"reduction of {name}", value) / 20)
            if self.take.source(name) == source:
                raise ArgumentError(f"{name} is no bleed in its own stem; leave it out of its reductions")
            if left:
                kept.append((left, self.heard(name, mic)))

        def mixed(start: int, stop: int) -> Array:
            y_L = np.array(stem_L[start:stop])
            for left, bleed_L in kept:
                y_L += y_L.dtype.type(left) * bleed_L[start:stop]
            return y_L

        L = self.take.n_samples
        return Rows((L,), stem_L.dtype, mixed) if isinstance(stem_L, Rows) else mixed(0, L)

    def __repr__(self) -> str:
        seconds = sum(self.seconds.values())
        return f"{type(self).__name__}({', '.join(self.take.sources)} by {self.method.name} in {seconds:.1f} s)"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Separation(Stems):
    """What `separate` returns: the stems, and every source at every microphone on demand.

    Attributes
    ----------
    take, stems_LN, method, levels, parameters, seconds, not_estimated, remarks
        As of `Stems`.
    model : one of `mnmf.models`
        The fitted model, of the frequencies of `analysis` from the method's lowest on; of a take that was fitted in
        segments, that of the first one.
    analysis : STFT or Waveform
        The analysis it was fitted to.
    parts : tuple of Part
        Of a take that was fitted in segments, these; of any other, none.
    within : (Separation, sequence of int), or None
        Where microphones were set aside, the result of the others, and which those are; model and parts are of them.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import separate
    >>> x_LM = np.random.default_rng(0).standard_normal((4000, 2))
    >>> separation = separate(x_LM, 8000, sources=["violin", "cello"], method="kamir", iterations=2)
    >>> separation.image("cello").shape  # at both microphones
    (4000, 2)
    >>> at_violin_L = separation.image("violin", 0) + separation.image("cello", 0) + separation.residual_LM[:, 0]
    >>> np.allclose(at_violin_L, x_LM[:, 0])
    True
    """

    stems_LN: Array
    model: Model
    analysis: Analysis
    parts: tuple[Part, ...] = ()
    within: tuple[Separation, tuple[int, ...]] | None = None

    def heard(self, source: int | str, mic: int | str) -> Array:
        """Return one source as one microphone heard it, as `image` does."""
        n, m = self.take.source(source), self.take.mic(mic)
        return np.asarray(self.stems_LN[:, n]) if m == self.take.spots.references[n] else self.image(n, m)

    def reduced(self, source: int | str, reduction: float | Mapping[str, float], mic: int | str | None = None) -> Array:
        """Return the spot of a source with its bleed turned down, as `Stems.reduced`."""
        return np.asarray(super().reduced(source, reduction, mic))

    def image(self, source: int | str, mics: int | str | Sequence[int | str] | None = None) -> Array:
        """Return one source as some microphones heard it, at the level of the take.

        At its own spot this is its stem.  At every microphone the images of all sources and `residual_LM` sum to the
        take.  The take is analysed anew at each call, so that no spectrogram is kept: ask for all microphones at once.

        Parameters
        ----------
        source : int or str
            Its number from 0, or its name.
        mics : int, str or a sequence of them, optional
            Microphones by number from 0 or by name; all of them if not given.

        Returns
        -------
        float, shape (samples, mics), or (samples,) for a single microphone that is not in a sequence
        """
        single = isinstance(mics, int | str | np.integer)
        several: Any = range(len(self.take.mic_names)) if mics is None else [mics] if single else mics
        chosen = [self.take.mic(m) for m in several]
        image_LI = self._images(self.take.source(source), chosen)
        return image_LI[:, 0] if single else image_LI

    @cached_property
    def residual_LM(self) -> Array:
        """What belongs to nobody, (samples, mics): the take less the images of all sources.

        Offset and rumble of microphones that are nobody's spot, and what the model does not explain.
        """
        mics = range(len(self.take.mic_names))
        residual_LM: Array = np.array(self.take.x_LM, np.float64)
        for n in range(len(self.take.sources)):  # one at a time, for memory
            residual_LM -= self._images(n, mics)
        return np.asarray(residual_LM, self.take.x_LM.dtype)

    def _images(self, source: int, mics: Sequence[int]) -> Array:
        if self.within is not None:
            inner, seen = self.within
            image_LI = np.zeros((self.take.n_samples, len(mics)), self.take.x_LM.dtype)
            places = [i for i, m in enumerate(mics) if m in seen]
            if places:
                image_LI[:, places] = inner._images(source, [seen.index(mics[i]) for i in places])
            return image_LI
        if not self.parts:
            return self._part_images(Part(0, self.take.n_samples, self.model, self.levels), source, mics)
        image_LI = np.zeros((self.take.n_samples, len(mics)), self.take.x_LM.dtype)
        spans = [(part.start, part.stop) for part in self.parts]
        for k, part in enumerate(self.parts):
            add_faded(image_LI, self._part_images(part, source, mics), spans, k)
        return image_LI

    def _part_images(self, part: Part, source: int, mics: Sequence[int]) -> Array:
        levels, n_samples = part.levels, part.stop - part.start
        low_FTM, X_FTM = levels.into(self.take.x_LM[part.start : part.stop], self.analysis)
        return sound_of(part.model, X_FTM, low_FTM, source, mics, levels, self.analysis, n_samples)


def check_reduction(name: str, value: Any) -> float:
    """Return by how many dB bleed is turned down, from 0 to infinity, or raise `ArgumentError`."""
    return np.inf if value == np.inf else check_number(name, value, 0.0, np.inf, " dB")


def sound_of(
    model: Any,
    X_FTM: Array,
    low_FTM: Array,
    source: int,
    mics: Sequence[int],
    levels: Levels,
    analysis: Analysis,
    n_samples: int,
) -> Array:
    """Return the sound of a source at some microphones, (L, I), at the level of the take.

    Where a microphone is muted it comes from the others, if the model can do without.  A window reaches far beyond the
    end of a mute, and what was filled in is good enough for that: so everywhere else it comes from all microphones.
    """

    def sound(**missing: Array) -> Array:
        image_FTI = np.asarray(model.images(X_FTM, source, list(mics), **missing))
        return levels.back(image_FTI, low_FTM, source, mics, analysis, n_samples)

    x_LI = sound()
    lost_TM = levels.lost(analysis, n_samples)
    if lost_TM is None or not lost_TM.any() or not getattr(model, "skips_missing", False):
        return x_LI
    closed_L1 = levels.closed(n_samples)[:, None]
    x_LI += closed_L1 * (sound(missing_TM=lost_TM) - x_LI)
    return x_LI
