"""What a prior may learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import priors
from mnmf.errors import SessionError
from mnmf.priors import Prior
from mnmf.spots import Spots

Array = NDArray[Any]


@dataclass(frozen=True)
class Evidence:
    """What a prior may learn from: the take, whose spot is whose, and the solos if there are any.

    Attributes
    ----------
    X_FTM : complex, shape (F, T, M)
        The take at equal loudness, from the lowest frequency that the method separates on.  A method that works on
        waveforms gets one frequency, and a frame a sample.
    spots : Spots
        Whose microphone is whose.
    solo : (complex (F, T', M), slices of frames by source) or None
        The solo passages one after another; a source without a solo has no slices.
    notes : callable or None
        Gives the prior of bases of the notes that each source can play, for spectra to the power it is called with.
    estimates : complex, shape (F, T, N), or None
        Spectrograms of estimates of the sources at their own spots.
    trust : float
        How far the estimates count compared with what the spots hear.
    solo_frames : float, shape (N, F), or None
        How many frames of the take the covariance of each solo is worth (`mnmf.survey.Survey.seconds`), maybe infinity.
    solos_hold : bool
        Whether every source has a solo and nothing has changed since.
    frequencies : float, shape (F,), or None
        In hertz.
    room : Prior or None
        What more of the recording than this has taught of the room, or another one: R, or Q.
    room_frames : float, shape (N, F), or None
        How many frames of the take each covariance of the room is worth; None if they are to be held.
    room_settled : bool
        Whether nobody has moved since the room was as it is known to be.  Where it was learned from the take itself
        somebody may have, in the middle of it, and it should not be held altogether.
    missing_TM : bool, shape (T, M), or None
        Where `X_FTM` is only what a microphone may have heard.
    of_many : bool
        Whether this is one segment of several, of which the mean is taken of what they teach of the room.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import METHODS
    >>> from mnmf.methods import Evidence
    >>> evidence = Evidence(np.ones((5, 8, 2), complex), spots=(0, 1))
    >>> METHODS["fastmnmf2"].prior(evidence, 3, np.random.default_rng(0)).W.shape
    (2, 5, 3)
    """

    X_FTM: Array
    spots: Any  # Spots; the constructor takes any sequence that makes them
    solo: tuple[Array, list[list[slice]]] | None = None
    notes: Callable[[float], Prior] | None = None
    estimates: Array | None = None
    trust: float = 1.0
    solo_frames: Array | None = None
    solos_hold: bool = False
    frequencies: Array | None = None
    room: Prior | None = None
    room_frames: Array | None = None
    room_settled: bool = True
    missing_TM: Array | None = None
    of_many: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "spots", Spots(self.spots))

    @property
    def knows_room(self) -> bool:
        """Whether what describes the room is known and to be held."""
        return self.room is not None and self.room_frames is None

    @property
    def room_helps(self) -> bool:
        """Whether what is known of the room can be started from: one source that it does not fit would mislead all."""
        return self.room is not None and (self.room_frames is None or bool(np.all(self.room_frames > 0)))

    def at(self, frames: Array) -> Evidence:
        """Return the same of some frames of the take only."""
        estimates = None if self.estimates is None else np.take(self.estimates, frames, axis=1)
        missing_TM = None if self.missing_TM is None else self.missing_TM[frames]
        X_FTM = np.take(self.X_FTM, frames, axis=1)  # in order of the frames, which indexing is not
        return replace(self, X_FTM=X_FTM, estimates=estimates, missing_TM=missing_TM)

    def bands(self, *edges: float) -> list[Evidence]:
        """Return the evidence of each band of frequencies between edges in hertz, without bands that are empty."""
        if self.frequencies is None:
            return [self]
        bins = [0, *np.searchsorted(self.frequencies, edges).tolist(), len(self.frequencies)]
        return [self._band(slice(first, last)) for first, last in pairwise(bins) if last > first]

    def _band(self, band: slice) -> Evidence:
        def cut(array: Array | None, axis: int = 0) -> Any:
            return None if array is None else np.ascontiguousarray(array[(slice(None),) * axis + (band,)])

        return replace(
            self,
            X_FTM=cut(self.X_FTM),
            solo=self.solo and (cut(self.solo[0]), self.solo[1]),
            estimates=cut(self.estimates),
            solo_frames=cut(self.solo_frames, 1),
            frequencies=cut(self.frequencies),
            room_frames=cut(self.room_frames, 1),
            room=self.room and replace(self.room, R=cut(self.room.R, 1), Q=cut(self.room.Q)),
        )

    def start(self, Q: Array | None, n_components: int, rng: np.random.Generator, **options: Any) -> Prior:
        """Return the prior of what each spot hears best, or of the part of it that estimates ascribe to its player."""
        known = self._shares() | options
        return priors.spot(self.X_FTM, self.spots, Q, n_components, **known, rng=rng)

    def with_activations(self, bases: Prior, exponent: float) -> Prior:
        """Return bases with the activations that estimates give, if there are any."""
        known = self._shares()
        if not known or bases.W is None:
            return bases
        start = priors.spot_activations(self.X_FTM, self.spots, bases.W, exponent=exponent, **known)
        return bases | Prior(H=start.H)

    def _shares(self) -> dict[str, Any]:
        if self.estimates is None or not self.trust:
            return {}
        known = self.X_FTM, self.estimates, self.spots
        return {"shares_NFT": priors.estimate_shares(*known), "trust": self.trust * priors.estimate_trust(*known)}

    def bases(self, n_components: int, rng: np.random.Generator, exponent: float = 1.0) -> Prior:
        """Return the prior of W: from the dictionary of notes if there is one, else from the solos."""
        if self.notes is not None:
            return self.notes(exponent)
        if self.solo is None or not all(self.solo[1]):
            raise SessionError("this method needs a solo of every source, or a --dictionary of their notes")
        return priors.solo_bases(*self.solo, self.spots, n_components, exponent=exponent, rng=rng)


StartFrom = Callable[[Evidence, int, np.random.Generator], Prior]
