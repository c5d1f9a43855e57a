"""The `Prior`: starting values for a model, and which of them stay as they are or near."""

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
        Activations.
    G : float, shape (N, M), optional
        Spatial weights of FastMNMF2.
    Q : complex, shape (F, M, M), optional
        Joint diagonaliser, rows are demixing filters.
    R : complex, shape (N, F, M, M), optional
        Spatial covariances, Hermitian positive semidefinite.
    spots : sequence of int or of sequences of int, optional
        For each source the microphone(s) that are its own, counted from 0, the reference spot first.
    held : set of str
        Names among W, H, G, Q, R that a model must not change.
    pulled : set of str
        Names that a model may change, but pulls towards the values given here; FastMNMF2 knows how to for Q.

    Notes
    -----
    ``a | b`` joins two priors.  Where both give a value the right one wins, and brings its own word on whether the
    value is held or pulled; what only one of them gives, holds or pulls is kept.

    Raises
    ------
    ArgumentError
        `held` or `pulled` names something else, or a name is in both, or `spots` is not made of microphone numbers.
    """

    W: Array | None = None
    H: Array | None = None
    G: Array | None = None
    Q: Array | None = None
    R: Array | None = None
    spots: Any = None  # Spots or None; the constructor takes any sequence that makes them
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
        """Return this prior with the values called `names` free to be updated, but pulled towards these."""
        return replace(self, held=self.held - _names(names), pulled=self.pulled | _names(names))

    def release(self, *names: str) -> Prior:
        """Return this prior with the values called `names` free to be updated."""
        return replace(self, held=self.held - _names(names), pulled=self.pulled - _names(names))

    @property
    def n_sources(self) -> int | None:
        """Number of sources N this prior speaks of, None if it does not say."""
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
