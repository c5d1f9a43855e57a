"""What every model has in common: the loop around its updates, images from its filter, parameters, saving.

`Model` is the base of all models and `Updates` that of one fit under way.  What is updated, and by which equations,
lives in the file of each method; what all of them check of a prior in `_start`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import (
    ArgumentError,
    NotFittedError,
    check_array,
    check_count,
    check_rng,
    check_shape,
    check_spectrogram,
)
from mnmf.kernels import one_blas_thread
from mnmf.models._saved import NONNEGATIVE, load_arrays, save_arrays
from mnmf.priors import Prior
from mnmf.spots import Spots, listed

__all__ = ["Callback", "Model", "Updates", "to_sum_1"]

Array = NDArray[Any]
Callback = Callable[[int, float], Any]


class Updates:
    """One fit under way: what is learned, in the units in which it is updated, and the updates.

    A model returns one from ``_begin``.  A class of one's own needs `step` and `state`, and `replace` for those who
    change what is learned between two updates.

    Attributes
    ----------
    spots : Spots or None
        The microphones of each source.
    finished : bool
        Set by `step` when more updates would be of no use.
    n_mics : int
        Set by the model.

    Examples
    --------
    >>> from mnmf.models import Updates
    >>> class Constant(Updates):  # learns nothing; `Model` shows one that does
    ...     def step(self):
    ...         return 0.0
    ...     def state(self):
    ...         return None, {}
    >>> Constant().step()
    0.0
    """

    spots: Spots | None = None
    finished: bool = False
    n_mics: int = 0

    def step(self) -> float:
        """Update everything once; return the cost, either after this update or, if `state` gives that, before it."""
        raise NotImplementedError

    def state(self) -> tuple[float | None, dict[str, Any]]:
        """Return the cost as it is now, None if `step` has said so, and what is learned, by name."""
        raise NotImplementedError

    def replace(self, values: dict[str, Array]) -> None:
        """Go on from these arrays of what is learned, and from `spots`; shapes and types are those of `state`."""
        raise NotImplementedError


class Model:
    """Base of all models: what a fit is, and what can be asked of a fitted model.

    A model of one's own is a subclass with a constructor that stores its hyper-parameters under their names, among
    them `n_iterations`; with `learns`; with ``_begin(X_FTM, prior, rng)``, which checks what it is given and returns
    `Updates`; and with ``_images(X_FTM, sources, mics, H=...)``, the image of ``sources[i]`` at ``mics[i]``,
    (F, T, I), for activations H.

    Attributes
    ----------
    learns : dict
        What a fit learns and the caller may change between two updates: the letter of each array, which is the
        attribute's name without its underscore, and its axes, such as ``{"W": "NFK", "H": "NKT"}``.
    also : dict
        What else is saved, if it is there, and its axes: no axes for a single value.
    cost_ : float64 (iterations,)
        The cost after each iteration.
    spots_ : Spots or None
        The microphones of each source, the reference spot first; None if the sources have none.

    Examples
    --------
    A model that gives each point to the spots in proportion to their power there, and learns nothing but that:

    >>> import numpy as np
    >>> from mnmf.models import Model, Updates
    >>> from mnmf.spots import Spots
    >>> class Dominance(Model):
    ...     learns = {"P": "NFT"}
    ...     def __init__(self, n_iterations=1, exponent=2.0):
    ...         self.n_iterations = n_iterations
    ...         self.exponent = exponent
    ...     def _begin(self, X_FTM, prior, rng):
    ...         return Powers(X_FTM, self.exponent)
    ...     def _images(self, X_FTM, sources, mics, H):
    ...         share_NFT = H / H.sum(axis=0)
    ...         return np.stack([share_NFT[n] * X_FTM[..., m] for n, m in zip(sources, mics)], axis=-1)
    >>> class Powers(Updates):
    ...     def __init__(self, X_FTM, exponent):
    ...         self.spots = Spots(range(X_FTM.shape[2]))
    ...         self.P_NFT = np.moveaxis(np.abs(X_FTM) ** exponent, 2, 0)
    ...     def step(self):
    ...         return 0.0
    ...     def state(self):
    ...         return None, {"P": self.P_NFT}
    >>> X_FTM = np.random.default_rng(0).standard_normal((5, 6, 2)) + 1j
    >>> model = Dominance(exponent=1.0).fit(X_FTM)
    >>> model
    Dominance(exponent=1.0)
    >>> model.separate(X_FTM).shape, np.allclose(model.images(X_FTM).sum(axis=-1), X_FTM)
    ((5, 6, 2), True)
    """

    learns: ClassVar[dict[str, str]] = {}
    also: ClassVar[dict[str, str]] = {}

    n_iterations: int
    cost_: NDArray[np.float64]
    spots_: Spots | None

    @property
    def skips_missing(self) -> bool:
        """Whether it is better told where microphones are missing, by `missing_TM` of `fit` and `images`, than not."""
        return False

    # Parameters

    def __repr__(self) -> str:
        defaults = _parameters(type(self))
        changed = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if repr(value) != repr(defaults[name].default)
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyper-parameters by name, as scikit-learn does; no model has others inside, so `deep` is moot."""
        return {name: getattr(self, name) for name in _parameters(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Set hyper-parameters and return the model.

        Raises
        ------
        ArgumentError
            There is no such parameter.
        """
        known = _parameters(type(self))
        if unknown := sorted(params.keys() - known.keys()):
            raise ArgumentError(f"{type(self).__name__} has no parameter {unknown[0]!r}; it has {', '.join(known)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    # Fitting

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> Self:
        """Learn what the prior leaves open.

        Parameters
        ----------
        X_FTM : complex64 or complex128, shape (F, T, M)
            Spectrogram of the mixture.
        prior : Prior, optional
            Starting values, and which of them to hold or to pull.
        rng : numpy.random.Generator or int
            Draws what the prior does not give; the same one gives the same bytes.
        callback : callable, optional
            Called with the number of iterations done and the cost after it, or, where that would take as long as an
            update, the cost before it; ends the fit by returning true.

        Returns
        -------
        This model.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together, a hyper-parameter out of range, or a prior from which the sources cannot
            be told apart.
        """
        return self._fit(self._begun(X_FTM, prior, rng), callback)

    def iterate(
        self, X_FTM: Array, prior: Prior | None = None, *, rng: np.random.Generator | int | None = 0
    ) -> Iterator[Self]:
        """Fit, and yield the model after every update.

        What is learned and the costs so far are in the attributes then, as after `fit`.  What the caller changes in
        them, in place or by assignment, is what the next update starts from; so one rule can be changed, or added,
        without another copy of the loop.  Left as it is, the last state is that of `fit`, to the bit.  The loop may
        be left at any time: the model is a fitted one.

        Parameters
        ----------
        X_FTM, prior, rng
            As for `fit`.

        Yields
        ------
        This model, as often as it has iterations.

        Raises
        ------
        ArgumentError
            As `fit`; and if what was changed has another shape, or is negative or not finite where it must not be.

        Examples
        --------
        Let no source vanish from any row of Q:

        >>> import numpy as np
        >>> from mnmf import FastMNMF2, priors
        >>> rng = np.random.default_rng(0)
        >>> X_FTM = rng.standard_normal((9, 20, 2)) + 1j * rng.standard_normal((9, 20, 2))
        >>> prior = priors.spot(X_FTM, (0, 1), n_components=3)
        >>> for model in FastMNMF2(3, 10).iterate(X_FTM, prior):
        ...     model.G_ = np.maximum(model.G_, 0.01)
        ...     model.G_ /= model.G_.sum(1, keepdims=True)
        >>> len(model.cost_), bool(model.G_.min() > 0.009)
        (10, True)
        """
        return self._iterate(self._begun(X_FTM, prior, rng))

    def _begun(self, X_FTM: Array, prior: Prior | None, rng: np.random.Generator | int | None, **given: Any) -> Updates:
        check_count("n_iterations", self.n_iterations)
        if not (prior is None or isinstance(prior, Prior)):
            raise ArgumentError(f"prior must be a Prior, got {type(prior).__name__}; make one with mnmf.priors")
        X_FTM = self._check_data(X_FTM)
        updates = self._begin(X_FTM, prior or Prior(), check_rng(rng), **given)
        updates.n_mics = X_FTM.shape[2]
        return updates

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> Updates:
        """Return a fit that has not taken its first step."""
        raise NotImplementedError

    def _fit(self, updates: Updates, callback: Callback | None) -> Self:
        if not (callback is None or callable(callback)):
            raise ArgumentError(f"callback must be a function of a number and a cost, got {callback!r:.80}")
        costs: list[float] = []
        for done in range(1, self.n_iterations + 1):
            with one_blas_thread():
                costs.append(updates.step())
            stop = callback is not None and bool(callback(done, costs[-1]))
            if stop or updates.finished:
                break
        with one_blas_thread():
            last, learned = updates.state()
        if last is not None:
            costs = [*costs[1:], last]
        for name, value in learned.items():
            setattr(self, f"{name}_", value)
        self.cost_, self.spots_ = np.array(costs), updates.spots
        return self

    def _iterate(self, updates: Updates) -> Iterator[Self]:
        costs: list[float] = []
        learned: dict[str, Any] = {}
        self.spots_ = updates.spots
        for _ in range(self.n_iterations):
            changed = self._changed(learned)
            moved = self.spots_ != updates.spots
            if moved and self.spots_ is not None:
                self.spots_ = Spots(self.spots_).check(updates.n_mics, self._n_sources())
            updates.spots = self.spots_
            with one_blas_thread():
                if changed or moved:
                    updates.replace(changed)
                cost = updates.step()
                last, learned = updates.state()
            if last is None:
                costs.append(cost)
            else:
                if costs and not changed:
                    costs[-1] = cost  # the same cost, summed in another order; `fit` reports this one
                costs.append(last)
            for name, value in learned.items():  # copies, so that a change in place is seen
                setattr(self, f"{name}_", value.copy() if isinstance(value, np.ndarray) else value)
            self.cost_ = np.array(costs)
            yield self
            if updates.finished:
                break

    def _changed(self, learned: dict[str, Any]) -> dict[str, Array]:
        """Return what the caller has changed since `learned` was put into the attributes."""
        changed = {}
        for name, axes in self.learns.items():
            if name in learned and not np.array_equal(getattr(self, f"{name}_"), learned[name]):
                value = check_array(
                    f"{name}_",
                    getattr(self, f"{name}_"),
                    learned[name].shape,
                    _spelled(axes),
                    nonnegative=name in NONNEGATIVE,
                )
                changed[name] = np.array(value, learned[name].dtype, order="C")
        return changed

    # Results

    def separate(self, X_FTM: Array, H: Array | None = None) -> Array:
        """Return each source at its own spot: its image there.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another one of the same frequencies and microphones.
        H : float, optional
            As for `images`.

        Returns
        -------
        S_FTN : complex, shape (F, T, N), of the dtype of `X_FTM`

        Raises
        ------
        ArgumentError
            As `images`; or the model has no spots.
        """
        X_FTM = self._checked(X_FTM)
        return self._at_spots(X_FTM, H=self._activity(X_FTM, H))

    def images(
        self,
        X_FTM: Array,
        source: int | None = None,
        mics: int | Sequence[int] | None = None,
        *,
        H: Array | None = None,
    ) -> Array:
        """Return one source, or every source, at the microphones; the images of all sources sum to the mixture.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another one of the same frequencies and microphones.
        source : int, optional
            Which source; all of them by default.
        mics : int or sequence of int, optional
            Which microphones; all of them by default.
        H : float, shape (N, K, T), optional
            Activations, as `activations` gives them; by default those that were fitted or, if there are as many frames
            as were not fitted, those of `activations`.

        Returns
        -------
        complex, shape (F, T, len(mics)) for one source, (F, T, len(mics), N) for all, of the dtype of `X_FTM`

        Raises
        ------
        ArgumentError
            The spectrogram has other frequencies or microphones than the one fitted, there is no such source or
            microphone, or `H` does not fit.
        """
        X_FTM = self._checked(X_FTM)
        return self._at_mics(X_FTM, source, mics, H=self._activity(X_FTM, H))

    def activations(self, X_FTM: Array, n_iterations: int = 20) -> Array:
        """Fit the activations to a spectrogram of any number of frames, everything else held.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            A spectrogram of the same frequencies and microphones as the one fitted.
        n_iterations : int
            Updates, starting from the mean of the fitted activations over their frames.

        Returns
        -------
        H_NKT : float, shape (N, K, T)

        Raises
        ------
        ArgumentError
            The spectrogram has other frequencies or microphones, or the model has no activations.
        """
        X_FTM = self._checked(X_FTM)
        check_count("n_iterations", n_iterations)
        if self._over_time() is None:
            raise ArgumentError(
                f"{type(self).__name__} has no activations to fit; its images take any number of frames"
            )
        return self._fitted_activations(X_FTM, n_iterations)

    def _fitted_activations(self, X_FTM: Array, n_iterations: int) -> Array:
        values = {name: getattr(self, f"{name}_") for name in self.learns}
        if "H" not in values:
            raise ArgumentError(
                f"{type(self).__name__} cannot fit activations to other frames; give as many as were fitted"
            )
        values["H"] = np.repeat(values["H"].mean(axis=2, keepdims=True), X_FTM.shape[1], axis=2)
        prior = Prior(**values, spots=self.spots_).hold(*(name for name in values if name != "H"))
        model = type(self)(**self.get_params()).set_params(n_iterations=n_iterations, n_sources=None)
        return np.asarray(getattr(model.fit(X_FTM, prior), "H_"))  # noqa: B009

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        """Return the image of ``sources[i]`` at ``mics[i]``, (F, T, I)."""
        raise NotImplementedError

    def _at_spots(self, X_FTM: Array, **given: Any) -> Array:
        if self.spots_ is None:
            raise ArgumentError(
                f"this {type(self).__name__} was fitted without spots, so no source has one of its own; "
                "take images(X_FTM), each source at each microphone"
            )
        with one_blas_thread():
            return self._images(X_FTM, range(self._n_sources()), Spots(self.spots_).references, **given)

    def _at_mics(self, X_FTM: Array, source: int | None, mics: int | Sequence[int] | None, **given: Any) -> Array:
        N, M = self._n_sources(), X_FTM.shape[2]
        if source is not None and not (_whole(source) and 0 <= source < N):
            raise ArgumentError(f"source must be from 0 to {N - 1}, got {source!r:.80}")
        several = [mics] if isinstance(mics, int | np.integer) else mics
        chosen = list(range(M)) if mics is None else listed(several)
        if chosen is None or not all(_whole(m) and 0 <= m < M for m in chosen):
            raise ArgumentError(f"mics must be from 0 to {M - 1}, got {mics!r:.80}")
        sources = range(N) if source is None else [source]
        pairs = [(n, m) for m in chosen for n in sources]
        with one_blas_thread():
            image_FTI = self._images(X_FTM, [n for n, _ in pairs], [m for _, m in pairs], **given)
        return image_FTI.reshape(*X_FTM.shape[:2], len(chosen), N) if source is None else image_FTI

    def _activity(self, X_FTM: Array, H: Array | None) -> Array | None:
        """Return what changes from frame to frame: `H` once checked, else as fitted, else fitted to this."""
        name = self._over_time()
        if name is None:
            if H is not None:
                raise ArgumentError(f"{type(self).__name__} has no activations; leave H out")
            return None
        fitted = getattr(self, f"{name}_")
        if H is None and X_FTM.shape[1] == fitted.shape[-1]:
            return np.asarray(fitted)
        if H is None:
            H = self._fitted_activations(X_FTM, 20)
        wanted = (*fitted.shape[:-1], X_FTM.shape[1])
        value = check_array("H", H, wanted, _spelled(self.learns[name]), nonnegative=True)
        return np.ascontiguousarray(value, fitted.dtype)

    def _over_time(self) -> str | None:
        """Return the name of what was learned for each frame."""
        return next((name for name, axes in self.learns.items() if "T" in axes), None)

    def _length(self, axis: str) -> int | None:
        """Return the length of an axis of what was learned, None if nothing has it."""
        for name, axes in self.learns.items():
            if axis in axes:
                return int(getattr(self, f"{name}_").shape[axes.index(axis)])
        return None

    def _n_sources(self) -> int:
        return self._length("N") or 1

    def _n_frequencies(self) -> int | None:
        """Return the number of frequencies that was fitted, None if any will do."""
        return self._length("F")

    # Checks

    def _check_fitted(self) -> None:
        if not all(hasattr(self, f"{name}_") for name in self.learns):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")

    def _check_data(self, X_FTM: Any) -> Array:
        return check_spectrogram(X_FTM)

    def _checked(self, X_FTM: Any) -> Array:
        """Return data that a fitted model can filter."""
        self._check_fitted()
        X_FTM = self._check_data(X_FTM)
        return check_shape("X_FTM", X_FTM, (self._n_frequencies(), None, self._length("M")), "(F, T, M)")

    # Order of the sources

    def _reorder(self, order: Sequence[int]) -> None:
        """Put the sources into another order."""
        for name, axes in (self.learns | self.also).items():
            if "N" in axes and hasattr(self, f"{name}_"):
                value = getattr(self, f"{name}_")
                setattr(self, f"{name}_", np.ascontiguousarray(np.take(value, order, axis=axes.index("N"))))

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hyper-parameters and what was learned to an ``.npz`` file, without pickle.

        Raises
        ------
        NotFittedError
            There is nothing to save yet.
        ArgumentError
            A hyper-parameter is neither a number nor text.
        OutputError
            The file cannot be written.
        """
        self._check_fitted()
        save_arrays(path, self, (*self.learns, *self.also))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file cannot be read, or holds something else.
        """
        return load_arrays(path, cls, cls.learns, cls.also)


def to_sum_1(W_FK: Array, H_KT: Array) -> None:
    """Bring the columns of W to sum 1, but for zeros, and leave W H as it is; in place.

    Examples
    --------
    >>> W_FK, H_KT = np.array([[3.0, 0.0], [1.0, 0.0]]), np.ones((2, 1))
    >>> to_sum_1(W_FK, H_KT)
    >>> W_FK.tolist(), H_KT.ravel().tolist()
    ([[0.75, 0.0], [0.25, 0.0]], [4.0, 1.0])
    """
    scale_K = W_FK.sum(axis=0)
    scale_K[scale_K == 0] = 1
    W_FK /= scale_K
    H_KT *= scale_K[:, None]


def _whole(number: Any) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(kind).parameters)


def _spelled(axes: str) -> str:
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
