"""How loud every source is at every microphone: what a model has learned, and what a separation finds in the take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, NotFittedError, check_numeric
from mnmf.faults import Inspection
from mnmf.models import FastMNMF2, Model
from mnmf.plot._axes import heat_map, label, names_of, new_axes, title
from mnmf.separation import Separation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bleed", "spatial_weights"]

Array = NDArray[Any]


def bleed(
    what: Separation | Inspection | Array,
    *,
    sources: Sequence[str] | None = None,
    mics: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the bleed matrix: how loud each microphone hears every source, relative to its own player.

    Parameters
    ----------
    what : Separation, Inspection, or float of shape (sources, mics)
        A separation, whose sources are heard at all microphones over the whole take; what `mnmf.faults.inspect` finds
        without one, where the players are called as their microphones; or levels in dB, NaN where one is not known.
    sources, mics : sequence of str, optional
        Names, for levels; numbered from 1 if not given.
    ax : Axes, optional

    Returns
    -------
    Axes
        A row for each source and a column for each microphone.  At microphones that are nobody's, levels are relative
        to the loudest source.

    Raises
    ------
    ArgumentError
        matplotlib is missing, or the array has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import plot
    >>> axes = plot.bleed(np.array([[0.0, -9.5], [-12.0, 0.0]]), sources=["violin", "cello"], mics=["vl", "vc"])
    >>> axes.get_title()
    'Most bleed: violin at vc, −9.5 dB'
    >>> [text.get_text() for text in axes.texts]
    ['0.0', '−9.5', '−12.0', '0.0']
    """
    if isinstance(what, Separation):
        take = what.take
        level_NM, sources, mics = _heard(what), take.sources, take.mic_names
        own = {(n, m) for n, spots in enumerate(take.spots) for m in spots}
    else:
        if isinstance(what, Inspection):
            known = [m for m, level_M in enumerate(what.bleed_MM) if not np.isnan(level_M).all()]
            sources = mics = [what.mic_names[m] for m in known]
            what = what.bleed_MM.T[np.ix_(known, known)]
        level_NM = _matrix("what", what)
        own = {(n, m) for n, m in np.ndindex(*level_NM.shape) if level_NM[n, m] >= 0}
    rows, columns = (
        names_of(given, count, name) for given, count, name in zip((sources, mics), level_NM.shape, ("source", "mic"))
    )
    (axes,) = new_axes(ax, (1.6 + 0.9 * len(columns), 1.4 + 0.55 * len(rows)))
    heat_map(axes, level_NM, rows, columns, "dB relative to the mic's own player")
    axes.set_xlabel("heard by the microphone")
    axes.set_ylabel("source")
    title(axes, _most(level_NM, own, rows, columns))
    return axes


def _heard(separation: Separation) -> Array:
    """Return the level of every source at every microphone in dB, relative to the microphone's own."""
    take = separation.take
    power_NM = np.array(
        [np.square(separation.image(n).astype(np.float64)).mean(axis=0) for n in range(len(take.sources))]
    )
    reference_M = power_NM.max(axis=0)
    for m in range(len(take.mic_names)):
        if owners := [n for n, spots in enumerate(take.spots) if m in spots]:
            reference_M[m] = power_NM[owners, m].max()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10 * np.log10(power_NM / reference_M))


def _most(level_NM: Array, own: set[tuple[int, int]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Return what is most of the bleed, in words."""
    others = {place: level_NM[place] for place in np.ndindex(*level_NM.shape) if place not in own}
    others = {place: level for place, level in others.items() if np.isfinite(level)}
    if not others:
        return "No bleed: each microphone hears its own player"
    n, m = max(others, key=lambda place: others[place])
    level = f"{others[n, m] + 0.0:.1f}".replace("-", "−")
    return f"Most bleed: {rows[n]} at {columns[m]}, {level} dB"


def spatial_weights(
    what: Separation | Model | Array,
    *,
    sources: Sequence[str] | None = None,
    mics: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a model shares every source out among the microphones.

    Parameters
    ----------
    what : Separation, model, or float of shape (sources, mics)
        A fitted model with spatial weights G, levels G by frequency, covariances R or transfer functions A; or weights
        G in power.  G of FastMNMF2 has a column for each row of Q, whose rows, but for those that belong to nobody,
        are in the order of the sources.  Of what depends on frequency the mean over frequencies is drawn, each of them
        weighing the same.
    sources, mics : sequence of str, optional
        Names; those of a separation, else numbered from 1.
    ax : Axes, optional

    Returns
    -------
    Axes
        A row for each source; levels are relative to the loudest of the row.

    Raises
    ------
    ArgumentError
        matplotlib is missing, or the array or the model has no such weights.
    NotFittedError
        The model has not been fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import plot
    >>> axes = plot.spatial_weights(np.array([[1.0, 0.1], [0.01, 1.0]]), sources=["violin", "cello"])
    >>> [text.get_text() for text in axes.texts]
    ['0.0', '−10.0', '−20.0', '0.0']
    """
    model, outputs = what, False
    if isinstance(what, Separation):
        model, sources, mics = what.model, sources or what.take.sources, mics or what.take.mic_names
    if isinstance(model, Model):
        outputs = isinstance(model, FastMNMF2)
        power_NM = _weights(model)
        if isinstance(what, Separation) and not outputs:  # models see all microphones equally loud
            power_NM = power_NM / np.square(what.levels.gains_M)
    else:
        power_NM = _matrix("what", model)
        if not (power_NM >= 0).all():
            raise ArgumentError("weights must be numbers that are not negative; bleed draws levels in dB")
    with np.errstate(divide="ignore", invalid="ignore"):
        level_NM = 10 * np.log10(power_NM / power_NM.max(axis=1, keepdims=True))
    rows = names_of(sources, level_NM.shape[0], "source")
    columns = names_of(None if outputs else mics, level_NM.shape[1], "row" if outputs else "mic")
    (axes,) = new_axes(ax, (1.6 + 0.9 * len(columns), 1.4 + 0.55 * len(rows)))
    heat_map(axes, level_NM, rows, columns, "dB relative to the loudest of the row")
    axes.set_xlabel("row of Q, an output of the demixing" if outputs else "microphone")
    axes.set_ylabel("source")
    title(axes, _least_apart(level_NM, rows, columns, "in" if outputs else "at"))
    return axes


def _least_apart(level_NM: Array, rows: Sequence[str], columns: Sequence[str], where: str) -> str:
    """Return which source comes nearest to being as loud at a second microphone, in words."""
    if level_NM.shape[1] < 2:
        return "One microphone hears all sources"
    second_N = np.sort(np.where(np.isfinite(level_NM), level_NM, -np.inf), axis=1)[:, -2]
    n = int(second_N.argmax())
    if not np.isfinite(second_N[n]):
        return "Every source is at one place only"
    m = int(np.argsort(np.where(np.isfinite(level_NM[n]), level_NM[n], -np.inf), kind="stable")[-2])
    level = f"{level_NM[n, m] + 0.0:.1f}".replace("-", "−")
    return f"Least told apart: {rows[n]}, {level} dB {where} {columns[m]}"


def _weights(model: Model) -> Array:
    """Return the power of each source at each microphone as a model has it, (N, M)."""
    exponent = float(getattr(model, "exponent", 2.0))
    if not any(hasattr(model, name) for name in ("G_", "R_", "A_")):
        raise NotFittedError(f"{label(repr(model))} has no spatial weights; call fit before they are drawn")
    if hasattr(model, "R_"):
        own_NFM = np.einsum("nfmm->nfm", model.R_).real
        whole_NF1 = own_NFM.sum(axis=2, keepdims=True)
        return np.asarray(np.divide(own_NFM, whole_NF1, out=np.zeros_like(own_NFM), where=whole_NF1 > 0).mean(axis=1))
    if hasattr(model, "G_"):
        G = np.asarray(model.G_, np.float64) ** (2 / exponent)
        return G.mean(axis=1) if G.ndim == 3 else G
    A = np.square(np.abs(np.asarray(getattr(model, "A_"))))  # noqa: B009
    return np.asarray(A.mean(axis=0).T if A.ndim == 3 else A.T)


def _matrix(name: str, value: Any) -> Array:
    array = check_numeric(name, value)
    if array.ndim != 2 or not array.size or np.iscomplexobj(array):
        raise ArgumentError(f"{name} must be real numbers of shape (sources, mics), got shape {array.shape}")
    return array.astype(np.float64)
