"""The `Prior`: starting values for a model, and which of them it holds or pulls towards their start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError
from mnmf.spots import Spots

__all__ = ["Anchor", "Prior"]

Array = NDArray[Any]

VALUES = ("W", "H", "G", "Q", "R")


@dataclass(frozen=True, eq=False)
class Anchor:
    """Spatial covariances that a full-rank model is drawn towards, and how strongly: source by source, in each band.

    Its prior of a covariance R is the inverse Wishart distribution: a source with an anchor S of weight w adds
    ``w (log det R + tr(R⁻¹ S))`` to the negative log-likelihood, as would w frames in which it was alone and as loud as
    its model expects.

    Parameters
    ----------
    R : complex, shape (N, F, M, M)
        Hermitian, positive semidefinite; only their shape counts, not their scale.
    weight : float, shape (N, F)
        In frames: 0 leaves a covariance to the take, infinity holds it at its anchor.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import FullRankMNMF, Prior
    >>> from mnmf.priors import Anchor
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((3, 20, 2)) + 1j * rng.standard_normal((3, 20, 2))
    >>> R_NFMM = np.tile(np.array([[[2, 1], [1, 2]], [[2, -1], [-1, 2]]], complex)[:, None], (1, 3, 1, 1))
    >>> held = Anchor(R_NFMM, np.full((2, 3), np.inf))
    >>> model = FullRankMNMF(4, 5, divergence="log-det").fit(X_FTM, Prior(anchor=held))
    >>> model.R_[0, 0].real.round(6).tolist()  # of trace M
    [[1.0, 0.5], [0.5, 1.0]]
    """

    R: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known before a model is fitted; every part may be missing.

    Parameters
    ----------
    W : float, shape (N, F, K), optional
        Bases of the sources.
    H : float, shape (N, K, T), optional
        Activations of the bases.
    G : float, shape (N, M), optional
        Spatial weights of the sources: one number for each microphone or, in FastMNMF2, for each row of Q.
    Q : complex, shape (F, M, M), optional
        Joint diagonaliser; its rows are demixing filters.
    R : complex, shape (N, F, M, M), optional
        Spatial covariances, Hermitian positive semidefinite.
    anchor : Anchor, optional
        Spatial covariances that R is drawn towards, each with a strength of its own.  Only the full-rank model with the
        log-determinant divergence can.
    spots : sequence of int or of sequences of int, optional
        For each source its own microphone(s), counted from 0, the reference spot first.
    held : set of str
        Names among W, H, G, Q, R that a model must not change.
    pulled : set of str
        Names that a model may change, but pulls towards the values given here.  Only FastMNMF2 can, and only for Q.

    Raises
    ------
    ArgumentError
        `held` or `pulled` contains another name, or a name is in both, or `spots` is not made of microphone numbers.

    Notes
    -----
    ``a | b`` joins two priors.  Where both have a value, the result has that of b and holds or pulls it only if b does.
    Everything that only one of them gives, holds or pulls is kept.

    Examples
    --------
    >>> import numpy as np
    >>> bases = Prior(W=np.ones((2, 5, 3)), spots=[0, 1]).hold("W")
    >>> bases.n_sources, sorted(bases.held)
    (2, ['W'])
    >>> joined = bases | Prior(Q=np.tile(np.eye(2), (5, 1, 1))).pull("Q")
    >>> sorted(joined.held), sorted(joined.pulled), joined.spots
    (['W'], ['Q'], Spots((0,), (1,)))
    >>> sorted((joined | Prior(W=np.zeros((2, 5, 3)))).held)  # b's W, which b does not hold
    []
    """

    W: Array | None = None
    H: Array | None = None
    G: Array | None = None
    Q: Array | None = None
    R: Array | None = None
    anchor: Anchor | None = None
    spots: Any = None  # Spots or None; typed loosely because the constructor also takes what Spots can be made of
    held: frozenset[str] = field(default_factory=frozenset)
    pulled: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        object.__setattr__(self, "held", _names(self.held))
        object.__setattr__(self, "pulled", _names(self.pulled))
        if both := sorted(self.held & self.pulled):
            raise ArgumentError(f"a prior cannot both hold and pull {both[0]}")
        if self.spots is not None:
            object.__setattr__(self, "spots", Spots(self.spots))

    def __or__(self, other: Prior) -> Prior:
        if not isinstance(other, Prior):
            return NotImplemented
        given = {f.name: getattr(other, f.name) for f in fields(self) if f.name not in ("held", "pulled")}
        given = {name: value for name, value in given.items() if value is not None}
        held = (self.held - given.keys() - other.pulled) | other.held
        pulled = (self.pulled - given.keys() - other.held) | other.pulled
        return replace(self, **given, held=held, pulled=pulled)

    def hold(self, *names: str) -> Prior:
        """Return this prior with the values called `names` held fixed as well."""
        return replace(self, held=self.held | _names(names), pulled=self.pulled - _names(names))

    def pull(self, *names: str) -> Prior:
        """Return this prior with the values called `names` free to change, but pulled towards those given here."""
        return replace(self, held=self.held - _names(names), pulled=self.pulled | _names(names))

    def release(self, *names: str) -> Prior:
        """Return this prior with the values called `names` free to change, neither held nor pulled."""
        return replace(self, held=self.held - _names(names), pulled=self.pulled - _names(names))

    @property
    def n_sources(self) -> int | None:
        """Number of sources N, None if no part of this prior says it."""
        anchored = None if self.anchor is None else self.anchor.R
        for value in (self.W, self.H, self.G, self.R, anchored, self.spots):
            if value is not None:
                if not isinstance(value, Sequence) and (not isinstance(value, np.ndarray) or value.ndim == 0):
                    raise ArgumentError(f"a prior holds arrays and spots, got {value!r:.80}")
                return len(value)
        return None


def _names(names: Any) -> frozenset[str]:
    given = [names] if isinstance(names, str) or not isinstance(names, Iterable) else list(names)
    chosen = frozenset(map(str, given))
    unknown = sorted(chosen - set(VALUES))
    if unknown:
        raise ArgumentError(f"a prior can hold {', '.join(VALUES)}; it has no {unknown[0]!r}")
    return chosen
