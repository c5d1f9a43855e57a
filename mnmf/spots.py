"""Which microphones belong to which source: the value type `Spots` and every check of it.

Sources are numbered in the order of the results and microphones in the order of the channels, both from 0.  The names
of sources and microphones do not live here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Self

import numpy as np

from mnmf.errors import ArgumentError

__all__ = ["Spots"]

MOST_SPOTS = 4096  # more than a take has mics


def listed(value: Any) -> list[Any] | None:
    """Return what is in a sequence; None if it is none, or has more than any take has microphones."""
    try:
        found = list(islice(value, MOST_SPOTS + 1))
    except TypeError:
        return None
    return found if len(found) <= MOST_SPOTS else None


class Spots(tuple[tuple[int, ...], ...]):
    """For each source its own microphone(s), counted from 0, the reference spot first.

    It is a tuple of tuples and compares equal to one.

    Parameters
    ----------
    spots : iterable of int, or of sequences of int
        A bare number is a source with a single microphone.

    Raises
    ------
    ArgumentError
        A source has no microphone, or one that is not a whole number of at least 0.

    Examples
    --------
    >>> spots = Spots([2, (0, 1)])  # the second source has two microphones
    >>> spots
    Spots((2,), (0, 1))
    >>> spots.references
    [2, 0]
    >>> spots.shared
    False
    """

    __slots__ = ()

    def __new__(cls, spots: Iterable[int | Sequence[int]]) -> Self:
        """Check `spots` and bring them to one form."""
        checked = []
        given = listed(spots)
        if given is None:
            raise ArgumentError(f"spots must be a sequence of microphones by source, got {spots!r:.80}")
        for n, spot in enumerate(given):
            mics = [spot] if isinstance(spot, int | np.integer) else listed(spot)
            if not mics or not all(isinstance(m, int | np.integer) and m >= 0 for m in mics):
                raise ArgumentError(
                    f"spots: source {n} needs one microphone number or several, from 0 on, got {spot!r:.80}"
                )
            checked.append(tuple(int(m) for m in mics))
        return super().__new__(cls, checked)

    def __repr__(self) -> str:
        return f"Spots({', '.join(map(str, self))})"

    @property
    def references(self) -> list[int]:
        """The reference spot of each source: the microphone at which its stem is taken."""
        return [mics[0] for mics in self]

    @property
    def shared(self) -> bool:
        """Whether two sources have the same reference spot."""
        return len(set(self.references)) < len(self)

    def check(self, n_mics: int, n_sources: int | None = None, *, apart: str = "") -> Self:
        """Return these spots if they fit the sizes of a problem.

        Parameters
        ----------
        n_mics : int
            Number of microphones.
        n_sources : int, optional
            Number of sources; any number if not given.
        apart : str
            If given, every source must have a reference spot of its own; the text ends the message, and says why or
            what to do instead.

        Returns
        -------
        Spots
            The object itself, so that calls can be chained.

        Raises
        ------
        ArgumentError
            The number of sources differs, a microphone does not exist, or two sources share one although they must not.

        Examples
        --------
        >>> Spots([0, 2]).check(n_mics=3, n_sources=2).references
        [0, 2]
        >>> Spots([0, 3]).check(n_mics=3)
        Traceback (most recent call last):
        mnmf.errors.ArgumentError: spots name microphone 3, but there are only 3, from 0 on
        """
        if not self:
            raise ArgumentError("spots are empty; name a microphone for each source")
        if n_sources is not None and len(self) != n_sources:
            raise ArgumentError(f"{n_sources} sources need {n_sources} spots, got {len(self)}; name one for each")
        highest = max((m for mics in self for m in mics), default=-1)
        if highest >= n_mics:
            raise ArgumentError(f"spots name microphone {highest}, but there are only {n_mics}, from 0 on")
        if apart and self.shared:
            raise ArgumentError(f"spots: two sources share a microphone; {apart}")
        return self

    def order(self, n_mics: int) -> list[int]:
        """Return all microphones, the reference spots first in the order of the sources.

        This is the order of the rows of a demixing matrix.  A microphone that two sources share appears once.

        Examples
        --------
        >>> Spots([2, (0, 1)]).order(n_mics=4)
        [2, 0, 1, 3]
        """
        first = list(dict.fromkeys(self.references))
        return first + [m for m in range(n_mics) if m not in first]

    def rows(self, n_mics: int) -> list[list[int]]:
        """Return for each source the positions of its microphones in `order`.

        Examples
        --------
        >>> Spots([2, (0, 3)]).rows(n_mics=4)
        [[0], [1, 3]]
        """
        order = self.order(n_mics)
        return [[order.index(m) for m in mics] for mics in self]
