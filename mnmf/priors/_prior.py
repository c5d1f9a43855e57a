"""The `Prior`: starting values for a model, and which of them it holds or pulls towards their start."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from numpy.typing import NDArray

from mnmf.errors import ArgumentError
from mnmf.spots import Spots

__all__ = ["Prior"]

Array = NDArray[Any]

VALUES = ("W", "H", "G", "Q", "R")


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
        for value in (self.W, self.H, self.G, self.R, self.spots):
            if value is not None:
                return len(value)
        return None


def _names(names: Any) -> frozenset[str]:
    chosen = frozenset({names} if isinstance(names, str) else names)
    unknown = sorted(chosen - set(VALUES))
    if unknown:
        raise ArgumentError(f"a prior can hold {', '.join(VALUES)}; it has no {unknown[0]!r}")
    return chosen
