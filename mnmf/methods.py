"""The methods by their names: what each starts from, its defaults, its citation, and what it needs to be told.

A method is a model and the prior that it starts from; a variant is another prior.  `mnmf.separate` runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import priors
from mnmf.errors import SessionError
from mnmf.models import KAMIR, FastMNMF2, FullRankMNMF, NTFPanning, TimeDomain, changed_gains, match_gains
from mnmf.priors import Prior

__all__ = ["DEFAULT_METHOD", "METHODS", "Evidence", "Method"]

Array = NDArray[Any]

CABANAS_2023 = "Cabañas-Molero et al. 2023, Pre-trained spatial priors on multichannel NMF"
SAWADA_2013 = "Sawada et al. 2013, Multichannel extensions of NMF with complex-valued data"
SEKIGUCHI_2020 = "Sekiguchi et al. 2020, Fast multichannel NMF with directivity-aware covariances"
CARABIAS_2013 = "Carabias-Orti et al. 2013, Nonnegative signal factorization with learnt instrument models"
PRAETZLICH_2015 = "Prätzlich et al. 2015, Kernel additive modeling for interference reduction"
RAJESH_2023 = "Rajesh R 2023, Interference reduction in music source separation for live recordings"


@dataclass(frozen=True)
class Evidence:
    """What the priors may learn from: the take, whose spot is whose, and the solos if there are any.

    A source without a solo has no passages among theirs.  `notes` gives bases of the notes that each source can play,
    of spectra to the power it is called with.  `estimates` are spectrograms of guesses of the sources at their own
    spots, (F, T, N), and `trust` says how far they count beside what the spots hear.
    A method that works on waveforms gets them as spectrograms of one frequency and a frame a sample.
    """

    X_FTM: Array
    spots: list[tuple[int, ...]]
    solo: tuple[Array, list[list[slice]]] | None
    notes: Callable[[float], Prior] | None = None
    estimates: Array | None = None
    trust: float = 1.0

    def start(self, Q: Array | None, n_components: int, rng: np.random.Generator, **options: Any) -> Prior:
        """Return the prior of what each spot hears best, or of what estimates say is each player's own of it."""
        known = self._shares() | options
        return priors.spot(self.X_FTM, self.spots, Q, n_components, **known, rng=rng)

    def with_activations(self, bases: Prior, exponent: float) -> Prior:
        """Return bases with the activations that estimates tell, if there are any."""
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


@dataclass(frozen=True)
class Method:
    """A separation method by its name: its citation, what it needs, its defaults, and the prior that makes it.

    `window` is in seconds.  `prior` makes of the evidence, the number of components and a generator what the model
    starts from; `model` makes the model itself of the numbers of components and iterations.  Below `lowest`, in Hz,
    nothing is separated.  Where `bases` are told, they come from a dictionary of notes if one is given, else from the
    solos.  A method that is `assigned` starts without regard to spots, and to solos but for its bases; which of the
    fitted sources belongs to which spot is found by their energy there.  A method of the `waveform` has no window, one
    of 0 `components` none; one of `estimates` can start from guesses of the sources.  If the method is another one as
    soon as there is a dictionary, that is `with_notes`.
    """

    summary: str
    citation: str
    model: Callable[[int, int], Any]
    prior: StartFrom
    needs_solos: bool
    window: float
    hops_per_window: int
    components: int
    iterations: int
    bases: bool = False
    assigned: bool = False
    lowest: float = 0.0
    waveform: bool = False
    estimates: bool = False
    with_notes: Method | None = None

    @property
    def takes_notes(self) -> bool:
        """Whether a dictionary of notes is of use."""
        return self.bases or self.with_notes is not None

    @property
    def solos_help(self) -> bool:
        """Whether solos are of use that are not needed."""
        return not (self.needs_solos or self.bases or self.assigned)

    @property
    def needs(self) -> str:
        """What a session must have, in words."""
        if self.bases:
            return f"a solo of every source, or {'claps and ' if self.needs_solos else ''}a dictionary"
        if self.needs_solos:
            return "a solo or claps of every source" + ("; takes a dictionary" if self.takes_notes else "")
        return "a spot for every source" + ("; solos or claps help" if self.solos_help else "")


FIRST_UPDATES = 30  # of FastMNMF2, as its own method has
OF_SOLOS = 0.9  # of the covariances that the full-rank model starts from, where there are solos


def _shared_mics(evidence: Evidence) -> bool:
    return len({mics[0] for mics in evidence.spots}) < len(evidence.spots)


def _spot_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what each spot hears best, demixed as the solos teach; bases from solos where a spot is shared."""
    if _shared_mics(evidence):
        if evidence.solo is None or not all(evidence.solo[1]):
            raise SessionError("two sources share a mic; only a solo of every source can tell them apart: give --solos")
        return evidence.bases(n_components, rng, exponent=2.0).hold("W")
    Q = None
    if evidence.solo is not None:
        Q = match_gains(evidence.X_FTM, priors.solo(*evidence.solo, evidence.spots)).Q
    return evidence.start(Q, n_components, rng)


def _full_rank_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what FastMNMF2 makes of the take, its covariances mixed with those of the solos.

    Those of the solos are the better ones where nobody has moved since, and little of the others is enough for the
    updates to find back where somebody has.
    """
    solo, spots = evidence.solo, evidence.spots
    if _shared_mics(evidence):
        held = _spot_prior(evidence, n_components, rng)
        return FastMNMF2(n_components, FIRST_UPDATES).fit(evidence.X_FTM, held, rng=rng).as_full_rank().hold("W")
    Q, gains_M = None, np.ones(evidence.X_FTM.shape[2])
    if solo is not None:
        gains_M = changed_gains(evidence.X_FTM, priors.solo(*solo, spots))
        Q = priors.solo(solo[0] * gains_M.astype(solo[0].real.dtype), solo[1], spots).Q
    start = evidence.start(Q, n_components, rng)
    model = FastMNMF2(n_components, FIRST_UPDATES).fit(evidence.X_FTM, start, rng=rng)
    prior = model.as_full_rank()
    if solo is None:
        return prior
    gains_M = (gains_M * model.gains_).astype(solo[0].real.dtype)
    learned = priors.solo_covariances(solo[0] * gains_M, solo[1], spots, exponent=2.0)
    R_NFMM, learned_NFMM = np.array(prior.R), np.array(learned.R)
    for n, passages in enumerate(solo[1]):
        if passages:
            R_NFMM[n] = (1 - OF_SOLOS) * R_NFMM[n] + OF_SOLOS * learned_NFMM[n]
    return prior | Prior(R=R_NFMM)


def _panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the panning of the solos; start from what each spot hears best, or from bases where a spot is shared."""
    if evidence.solo is None:
        raise SessionError("this method needs a solo of every source; label them with --solos")
    panning = priors.solo_panning(*evidence.solo, evidence.spots).hold("G")
    if evidence.notes is not None or _shared_mics(evidence):
        return panning | evidence.bases(n_components, rng).hold("W")
    return panning | evidence.start(None, n_components, rng, exponent=1.0, beta=1.0)


def _blind_panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the bases; refuse what leaves sources of like bases with no order afterwards."""
    _refuse_shared_mics(evidence)
    return evidence.bases(n_components, rng).hold("W")


def _gains_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold how the solos reach the mics; without them start from where each spot hears hardly anyone else."""
    _refuse_shared_mics(evidence)
    guess = priors.spot_panning(evidence.X_FTM, evidence.spots)
    if evidence.solo is None:
        return guess
    learned = priors.solo_covariances(*evidence.solo, evidence.spots)
    R_NFMM, G_NM = np.array(learned.R), np.array(guess.G)
    for n, passages in enumerate(evidence.solo[1]):
        if not passages:  # nothing is known of this one's bleed, which does not mean that it has none
            R_NFMM[n] = np.diag(G_NM[n])
    return (learned | Prior(R=R_NFMM)).hold("R")


def _mixing_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the gains by which the solos are mixed into the mics, if there are any."""
    _refuse_shared_mics(evidence)
    if evidence.solo is None:
        return Prior(spots=tuple(evidence.spots))
    return priors.solo_mixing(*evidence.solo, evidence.spots).hold("G")


def _refuse_shared_mics(evidence: Evidence) -> None:
    if _shared_mics(evidence):
        raise SessionError("two sources share a mic, and this method needs one for each; take another method")


def _circular_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start as published; refuse what leaves the sources with no order afterwards."""
    if _shared_mics(evidence):
        raise SessionError("two sources share a mic, which a blind start cannot tell apart; take another method")
    return priors.circular(evidence.X_FTM, len(evidence.spots), n_components, rng=rng)


def _solo_prior(*held: str, covariances: bool = True, exponent: float = 1.0, diffuse: float = 1.0) -> StartFrom:
    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        bases = evidence.with_activations(evidence.bases(n_components, rng, exponent), exponent)
        if not covariances:
            return bases.hold(*held)
        if evidence.solo is None:
            raise SessionError("this method needs a solo of every source; label them with --solos")
        learned = priors.solo_covariances(*evidence.solo, evidence.spots, exponent=exponent, diffuse=diffuse)
        return (learned | bases).hold(*held)

    return prior


def _fullrank(summary: str, prior: StartFrom, needs_solos: bool = True) -> Method:
    return Method(
        summary, CABANAS_2023, FullRankMNMF, prior, needs_solos, 2048 / 44100, 2, 64, 50, bases=True, estimates=True
    )


def _log_det(summary: str, *held: str, covariances: bool = True) -> Method:
    model = partial(FullRankMNMF, divergence="log-det")
    prior = _solo_prior(*held, covariances=covariances, exponent=2.0, diffuse=0.1)
    return Method(summary, SAWADA_2013, model, prior, covariances, 8192 / 44100, 4, 64, 25, bases=True, estimates=True)


METHODS = {
    "fastmnmf2": Method(
        "FastMNMF2 from what each spot hears best, and the solos if there are any",
        SEKIGUCHI_2020,
        FastMNMF2,
        _spot_prior,
        needs_solos=False,
        window=32768 / 44100,
        hops_per_window=4,
        components=24,
        iterations=30,
        lowest=20.0,
        estimates=True,
    ),
    "fastmnmf2-blind": Method(
        "FastMNMF2 as published, from a circular start, its outputs given to the spots by energy; ignores solos",
        SEKIGUCHI_2020,
        FastMNMF2,
        _circular_prior,
        needs_solos=False,
        window=4096 / 44100,
        hops_per_window=4,
        components=16,
        iterations=100,
        assigned=True,
    ),
    "mnmf-fixh": _fullrank("full-rank MNMF, covariances from the solos, held", _solo_prior("R", "W")),
    "mnmf-updth": _fullrank("full-rank MNMF, covariances from the solos, updated", _solo_prior("W")),
    "mnmf-blind": _fullrank(
        "full-rank MNMF, covariances from a random start", _solo_prior("W", covariances=False), needs_solos=False
    ),
    "mnmf-is": Method(
        "log-det full-rank MNMF from what FastMNMF2 makes of the take, and from the solos if there are any",
        SAWADA_2013,
        partial(FullRankMNMF, divergence="log-det"),
        _full_rank_prior,
        needs_solos=False,
        window=32768 / 44100,
        hops_per_window=4,
        components=24,
        iterations=10,
        lowest=20.0,
        estimates=True,
    ),
    "mnmf-is-fixh": _log_det("log-det full-rank MNMF, covariances from the solos, held", "R", "W"),
    "mnmf-is-updth": _log_det("log-det full-rank MNMF, covariances from the solos, updated", "W"),
    "mnmf-is-blind": _log_det("log-det full-rank MNMF, covariances from a random start", "W", covariances=False),
    "ntf-panning": Method(
        "NTF of magnitudes, panning from the solos, held; bases from what each spot hears best",
        CARABIAS_2013,
        lambda n_components, n_iterations: NTFPanning(n_components, n_iterations, beta=1.0),
        _panning_prior,
        needs_solos=True,
        window=16384 / 44100,
        hops_per_window=4,
        components=24,
        iterations=5,
        estimates=True,
        with_notes=Method(
            "NTF of magnitudes, panning from the solos and bases from the dictionary, both held",
            CARABIAS_2013,
            NTFPanning,
            _panning_prior,
            needs_solos=True,
            window=4096 / 44100,
            hops_per_window=4,
            components=24,
            iterations=50,
        ),
    ),
    "ntf-panning-blind": Method(
        "NTF of magnitudes, panning from a random start, its outputs given to the spots by energy",
        CARABIAS_2013,
        NTFPanning,
        _blind_panning_prior,
        needs_solos=False,
        window=2048 / 44100,
        hops_per_window=2,
        components=64,
        iterations=50,
        bases=True,
        assigned=True,
    ),
    "kamir": Method(
        "kernel additive modelling: gains from the solos if there are any, else learned; a median over time",
        PRAETZLICH_2015,
        lambda _, n_iterations: KAMIR(n_iterations),
        _gains_prior,
        needs_solos=False,
        window=32768 / 44100,
        hops_per_window=4,
        components=0,
        iterations=10,
        lowest=20.0,
    ),
    "time-domain": Method(
        "instantaneous unmixing by plain gains, from the solos if there are any; no match for rooms and distances",
        RAJESH_2023,
        lambda _, n_iterations: TimeDomain(n_iterations),
        _mixing_prior,
        needs_solos=False,
        window=0.0,
        hops_per_window=0,
        components=0,
        iterations=200,
        waveform=True,
    ),
}
DEFAULT_METHOD = "fastmnmf2"
