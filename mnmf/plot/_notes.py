"""Bases with the names of their notes, and when they sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_RATE, ArgumentError, NotFittedError, check_number, check_numeric
from mnmf.models import FullRankMNMF, Model
from mnmf.notes import NoteDictionary
from mnmf.notes._instruments import pitch_name
from mnmf.plot._axes import SPECTRA, hertz, label, new_axes, scale, title
from mnmf.separation import Separation
from mnmf.stft import STFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["activations", "bases", "pitch_of"]

Array = NDArray[Any]

RANGE = 50.0  # dB below the strongest bin of a basis, or the loudest moment of all
LOWEST, HIGHEST = 24, 103  # MIDI numbers among which a pitch is looked for: C1 to G7
PARTIALS = 8
FADING = 0.8  # weight of each partial, relative to the one below it
PITCHED = 0.35  # of the amplitude of a basis lies in the partials of its note; below that it has no pitch
WINDOW, RATE = 16384, 44100  # through which a dictionary is drawn
LABELLED = 40  # bases whose notes all have room for a name


class Source(NamedTuple):
    """What is drawn of one source: names, arrays of a model, and what their axes mean."""

    name: str
    W_FK: Array | None
    H_KT: Array | None
    exponent: float
    frequencies: Array | None
    times: Array | None


def bases(
    what: Separation | Model | NoteDictionary | Array,
    source: int | str = 0,
    *,
    sample_rate: float | None = None,
    frequencies: Array | None = None,
    exponent: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the bases of a source, the lowest note first, with the names of their notes.

    The note of a basis is the one whose partials have most of it; a basis without a pitch, such as noise or several
    notes at once, stands on the right and has no name.  The notes of a dictionary are known.

    Parameters
    ----------
    what : Separation, model, NoteDictionary, or float of shape (frequencies, bases)
        Where the bases come from.
    source : int or str
        Of a separation by number from 0 or by name, of a model by number, of a dictionary the instrument.
    sample_rate : float, optional
        In hertz; needed with models and arrays, whose bins are then taken to reach from 0 to half of it.
    frequencies : float, shape (frequencies,), optional
        Of each bin in hertz, instead of `sample_rate`.
    exponent : float, optional
        Of the magnitudes that bases are of: 2 for powers, 1 for magnitudes.  A model knows its own; 2 for arrays.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ArgumentError
        matplotlib is missing, there is no such source, or it has no bases of frequencies.
    NotFittedError
        The model has not been fitted.

    Examples
    --------
    >>> from mnmf import NoteDictionary, plot
    >>> axes = plot.bases(NoteDictionary.embedded(), "viola")
    >>> axes.get_title()
    'viola: 44 notes, each a stack of partials'
    >>> axes.get_xticklabels()[0].get_text(), axes.get_ylabel()
    ('C3', 'frequency in Hz')
    """
    if isinstance(what, NoteDictionary):
        own = what.find(str(source))
        pitches: list[int | None] = [*what.pitches(own)]
        drawn = Source(own, what.bases(own, WINDOW, RATE), None, 1.0, STFT(WINDOW).frequencies(RATE), None)
        words = f"{label(own)}: {len(pitches)} notes, each a stack of partials"
    else:
        drawn = _source_of(what, source, "W", sample_rate, frequencies, exponent)
        pitches = _pitches(drawn)
        pitched = sum(pitch is not None for pitch in pitches)
        words = f"{label(drawn.name)}: {len(pitches)} bases, {pitched} of them notes"
    W_FK, frequency_F = _spectra(drawn)
    order = _order(pitches)
    level_FK = (20 / drawn.exponent) * np.log10(np.maximum(W_FK / np.maximum(W_FK.max(axis=0), 1e-300), 1e-15))
    (axes,) = new_axes(ax, (float(np.clip(3 + 0.16 * len(order), 6.4, 14.0)), 4.6))
    kept = frequency_F > 0
    step = np.median(np.diff(frequency_F)) if len(frequency_F) > 1 else 1.0
    edge_F = np.append(frequency_F[kept] - step / 2, frequency_F[-1] + step / 2)
    mesh = axes.pcolormesh(
        np.arange(len(order) + 1) - 0.5,
        edge_F,
        level_FK[kept][:, order],
        cmap=SPECTRA,
        vmin=-RANGE,
        vmax=0,
        rasterized=True,
    )
    hertz(axes, max(float(edge_F[0]), 30.0), min(float(edge_F[-1]), 16000.0))
    _name_notes(axes, [pitches[k] for k in order], "x")
    axes.set_xlabel("note of the basis")
    scale([axes], mesh, "dB below the strongest bin of each")
    title(axes, words)
    return axes


def activations(
    what: Separation | Model | Array,
    source: int | str = 0,
    *,
    times: Array | None = None,
    sample_rate: float | None = None,
    exponent: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw when each basis of a source sounds, and how loud, the lowest note at the bottom.

    Parameters
    ----------
    what : Separation, model, or float of shape (bases, frames)
        Where the activations come from.  Those of a long take are of its first segment.
    source : int or str
        Of a separation by number from 0 or by name, of a model by number.
    times : float, shape (frames,), optional
        The middle of each frame in seconds, for models and arrays; frames are counted if not given.
    sample_rate : float, optional
        In hertz, for a model: its bases are then named and sorted by their notes, as `bases` does.
    exponent : float, optional
        As of `bases`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ArgumentError
        matplotlib is missing, or there is no such source.
    NotFittedError
        The model has not been fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import plot
    >>> axes = plot.activations(np.eye(3), times=[0.5, 1.0, 1.5])
    >>> axes.get_xlabel(), axes.get_title()
    ('time in s', 'source 1: 3 bases, and when each sounds')
    """
    drawn = _source_of(what, source, "H", sample_rate, None, exponent)
    H_KT: Array = np.asarray(drawn.H_KT)
    time_T = drawn.times if times is None else check_numeric("times", times).astype(np.float64)
    seconds = time_T is not None
    if time_T is None:
        time_T = np.arange(H_KT.shape[1], dtype=np.float64)
    if time_T.shape != (H_KT.shape[1],):
        raise ArgumentError(f"times must have one number for each of {H_KT.shape[1]} frames, got shape {time_T.shape}")
    pitches = _pitches(drawn) if drawn.W_FK is not None and drawn.frequencies is not None else None
    order = list(range(len(H_KT))) if pitches is None else _order(pitches)
    if drawn.W_FK is not None:  # what a basis sounds like counts as well
        H_KT = H_KT * drawn.W_FK.sum(axis=0)[:, None]
    level_KT = (20 / drawn.exponent) * np.log10(np.maximum(H_KT / max(float(H_KT.max()), 1e-300), 1e-15))
    step = float(np.median(np.diff(time_T))) if len(time_T) > 1 else 1.0
    (axes,) = new_axes(ax, (7.2, float(np.clip(2 + 0.11 * len(order), 3.2, 8.0))))
    mesh = axes.pcolormesh(
        np.append(time_T - step / 2, time_T[-1] + step / 2),
        np.arange(len(order) + 1) - 0.5,
        level_KT[order],
        cmap=SPECTRA,
        vmin=-RANGE,
        vmax=0,
        rasterized=True,
    )
    if pitches is not None:
        _name_notes(axes, [pitches[k] for k in order], "y")
    axes.set_xlabel("time in s" if seconds else "frame")
    axes.set_ylabel("basis" if pitches is None else "note of the basis")
    scale([axes], mesh, "dB below the loudest moment")
    title(axes, f"{label(drawn.name)}: {len(order)} bases, and when each sounds")
    return axes


def _source_of(
    what: Any,
    source: int | str,
    letter: str,
    sample_rate: float | None,
    frequencies: Any,
    exponent: float | None,
) -> Source:
    """Return what is known of a source: of arrays what their axes mean is what was given."""
    if frequencies is not None:
        frequencies = check_numeric("frequencies", frequencies).astype(np.float64)
    if exponent is not None:
        check_number("exponent", exponent, 0.1, 10.0)
    if isinstance(what, Separation):
        found = _of_separation(what, source, exponent)
    elif isinstance(what, Model):
        found = _of_model(what, source, exponent)._replace(frequencies=frequencies)
    else:
        array = check_numeric("what", what)
        if array.ndim != 2 or not array.size or np.iscomplexobj(array) or not (array >= 0).all():
            raise ArgumentError(f"{letter} must be non-negative and have two axes, got shape {array.shape}")
        W_FK, H_KT = (array.astype(np.float64) if letter == each else None for each in "WH")
        found = Source("source 1", W_FK, H_KT, exponent or 2.0, frequencies, None)
    if found.W_FK is not None and found.frequencies is None and sample_rate is not None:
        check_number("sample_rate", sample_rate, 1000.0, MOST_RATE, " Hz")
        found = found._replace(frequencies=np.linspace(0, sample_rate / 2, len(found.W_FK)))
    if found.frequencies is not None and found.W_FK is not None and len(found.frequencies) != len(found.W_FK):
        raise ArgumentError(
            f"{found.name}: has bases of {len(found.W_FK)} bands, not of the {len(found.frequencies)} frequencies"
        )
    return found


def _of_separation(separation: Separation, source: int | str, exponent: float | None) -> Source:
    take, analysis = separation.take, separation.analysis
    n = take.source(source)
    found = _of_model(separation.model, n, exponent)._replace(name=take.sources[n])
    if not isinstance(analysis, STFT):
        raise ArgumentError(f"{separation.method.name} has no frequencies; draw the bases of another method")
    n_samples = separation.parts[0].stop if separation.parts else take.n_samples
    first = separation.levels.first(analysis)  # below it nothing was separated
    return found._replace(
        frequencies=analysis.frequencies(take.sample_rate)[first:], times=analysis.times(take.sample_rate, n_samples)
    )


def _of_model(model: Model, source: int | str, exponent: float | None) -> Source:
    W_NFK, H_NKT = getattr(model, "W_", None), getattr(model, "H_", None)
    if "W" not in model.learns:
        raise ArgumentError(f"{type(model).__name__} has no bases; draw those of another model")
    if W_NFK is None or H_NKT is None:
        raise NotFittedError(f"{type(model).__name__} has not been fitted; call fit before its bases are drawn")
    if not isinstance(source, int | np.integer) or not 0 <= source < len(W_NFK):
        raise ArgumentError(f"source must be a number from 0 to {len(W_NFK) - 1}, got {source!r}")
    if exponent is None:
        euclidean = isinstance(model, FullRankMNMF) and model.divergence == "euclidean"
        exponent = 1.0 if euclidean else float(getattr(model, "exponent", 2.0))
    W_FK, H_KT = (np.asarray(array[source], np.float64) for array in (W_NFK, H_NKT))
    return Source(f"source {source + 1}", W_FK, H_KT, exponent, None, None)


def _pitches(drawn: Source) -> list[int | None]:
    """Return the MIDI number of each basis, None for those without a pitch."""
    W_FK, frequency_F = _spectra(drawn)
    return [pitch_of(amplitude_F, frequency_F) for amplitude_F in (W_FK ** (1 / drawn.exponent)).T]


def _spectra(drawn: Source) -> tuple[Array, Array]:
    if drawn.W_FK is None or drawn.frequencies is None:
        raise ArgumentError("bases of a model or an array need sample_rate, or the frequencies of their bins")
    return drawn.W_FK, drawn.frequencies


def pitch_of(amplitude_F: Array, frequency_F: Array) -> int | None:
    """Return the MIDI number of the note whose partials have most of a spectrum; None if no note has enough.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.plot._notes import pitch_of
    >>> frequency_F = np.arange(4097) * 44100 / 8192
    >>> amplitude_F = np.zeros(4097)
    >>> amplitude_F[np.round(np.arange(1, 9) * 440 * 8192 / 44100).astype(int)] = 1 / np.arange(1, 9)
    >>> pitch_of(amplitude_F, frequency_F)
    69
    """
    step = frequency_F[1] - frequency_F[0] if len(frequency_F) > 1 else 1.0
    whole, best = float(amplitude_F.sum()), (0.0, 0.0, LOWEST)
    if not whole > 0:
        return None
    for pitch in range(LOWEST, HIGHEST + 1):
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        score = inside = 0.0
        if f0 < 2 * step:
            continue  # its partials cannot be told apart
        for h in range(1, PARTIALS + 1):
            reach = max(h * f0 * (2 ** (1 / 24) - 1), step) if h == 1 else max(0.015 * h * f0, step)
            first, stop = np.searchsorted(frequency_F, (h * f0 - reach, h * f0 + reach))
            if first == len(frequency_F):
                break
            partial_F = amplitude_F[first:stop]
            if partial_F.size:
                score += FADING ** (h - 1) * float(partial_F.max())
                inside += float(partial_F.sum())
        best = max(best, (score, inside, pitch))
    return best[2] if best[1] >= PITCHED * whole else None


def _order(pitches: Sequence[int | None]) -> list[int]:
    return sorted(range(len(pitches)), key=lambda k: (pitches[k] is None, pitches[k] or 0))


def _name_notes(axes: Axes, pitches: Sequence[int | None], along: str) -> None:
    every = -(-len(pitches) // LABELLED)
    places = [*range(0, len(pitches), every)]
    names = ["–" if (pitch := pitches[k]) is None else pitch_name(pitch) for k in places]
    if along == "x":
        axes.set_xticks(places, names, rotation=90 if len(names) > 12 else 0, fontsize="small")
    else:
        axes.set_yticks(places, names, fontsize="x-small" if len(names) > 20 else "small")
    axes.tick_params(axis="x" if along == "x" else "y", length=0)
