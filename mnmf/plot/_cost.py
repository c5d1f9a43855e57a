"""The cost of one fit or several, by iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, NotFittedError, check_numeric
from mnmf.models import Model
from mnmf.plot._axes import COLOURS, DASHES, label, new_axes, title
from mnmf.separation import Separation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cost"]

Array = NDArray[Any]
Fit = Separation | Model | Array


def cost(fits: Fit | Mapping[str, Fit], *, relative: bool = False, ax: Axes | None = None) -> Axes:
    """Draw how the cost changed from iteration to iteration.

    Costs of different models or divergences are in different units: a lower one does not mean a better separation, and
    one that keeps falling does not mean that the separation gets better.

    Parameters
    ----------
    fits : Separation, model, or float of shape (iterations,); or mapping of names to them
        What was fitted, or its costs.
    relative : bool
        Whether every cost is drawn from 1, after its first iteration, to 0, after its last one, so that fits in
        different units can be compared.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ArgumentError
        matplotlib is missing, or there are no costs.
    NotFittedError
        A model has not been fitted.

    Examples
    --------
    >>> from mnmf import plot
    >>> axes = plot.cost([3.0, 2.0, 1.5])
    >>> axes.lines[0].get_ydata().tolist(), axes.get_title()
    ([3.0, 2.0, 1.5], 'The cost falls in all 2 steps')
    """
    several: Mapping[str, Any] = fits if isinstance(fits, Mapping) else {"": fits}
    curves = {name: _curve(name, fit) for name, fit in several.items()}
    if not curves:
        raise ArgumentError("fits must have at least one fit")
    if relative:
        curves = {name: _relative(cost_I) for name, cost_I in curves.items()}
    (axes,) = new_axes(ax)
    for number, (name, cost_I) in enumerate(curves.items()):
        style = {"color": COLOURS[number % len(COLOURS)], "ls": DASHES[number % len(DASHES)]}
        marker = "o" if len(cost_I) == 1 else None
        axes.plot(np.arange(1, len(cost_I) + 1), cost_I, marker=marker, label=label(name), **style)
    axes.set_xlabel("iteration")
    axes.set_ylabel("part of the fall still to come" if relative else "cost, in the unit of the model")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    if isinstance(fits, Mapping):
        for text in axes.legend().get_texts():
            text.set_parse_math(False)
    title(axes, _told(list(curves.values()), relative))
    return axes


def _curve(name: str, fit: Any) -> Array:
    model = fit.model if isinstance(fit, Separation) else fit
    if isinstance(model, Model):
        if not hasattr(model, "cost_"):
            raise NotFittedError(f"{type(model).__name__} has not been fitted; call fit before its cost is drawn")
        model = model.cost_
    cost_I = check_numeric(f"the cost of {name}" if name else "fits", model)
    if cost_I.ndim != 1 or not cost_I.size:
        raise ArgumentError(f"a cost must be one number an iteration, got shape {cost_I.shape}; a model may have none")
    return cost_I.astype(np.float64)


def _relative(cost_I: Array) -> Array:
    fall = cost_I[0] - cost_I[-1]
    return (cost_I - cost_I[-1]) / fall if fall else np.zeros_like(cost_I)


def _told(curves: list[Array], relative: bool) -> str:
    if relative:
        return "How far each fit still had to fall"
    if len(curves) > 1:
        return "A lower cost is a better fit, not a better separation"
    steps_I = np.diff(curves[0])
    rises = int((steps_I > 0).sum())
    if not steps_I.size:
        return "The cost after the only iteration"
    return (
        f"The cost falls in all {len(steps_I)} steps"
        if not rises
        else f"The cost rises in {rises} of {len(steps_I)} steps"
    )
