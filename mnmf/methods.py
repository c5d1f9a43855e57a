"""The methods by their names: recipes, which are values.

A `Method` is a model, the prior that it starts from and its settings; a variant is another prior.  It says itself what
it needs and refuses what it cannot use, so nobody else has to know one method from another.  `mnmf.separate` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mnmf import priors
from mnmf.errors import ArgumentError, SessionError, check_choice, check_count, check_number
from mnmf.kernels.scm import weighted_covariances
from mnmf.models import (
    KAMIR,
    FastMNMF2,
    FullRankMNMF,
    Linear,
    NTFPanning,
    Pairwise,
    TimeDomain,
    assign_spots,
    changed_gains,
    match_gains,
)
from mnmf.models._missing import spread, whole_frames
from mnmf.priors import Anchor, Prior
from mnmf.spots import Spots
from mnmf.stft import LONGEST, STFT, Analysis, Waveform, window_samples

__all__ = ["DEFAULT_METHOD", "METHODS", "Evidence", "Method", "fill_in", "find_method"]

Array = NDArray[Any]

CABANAS_2023 = "Cabañas-Molero et al. 2023, Pre-trained spatial priors on multichannel NMF"
SAWADA_2013 = "Sawada et al. 2013, Multichannel extensions of NMF with complex-valued data"
SEKIGUCHI_2020 = "Sekiguchi et al. 2020, Fast multichannel NMF with directivity-aware covariances"
KITAMURA_2016 = "Kitamura et al. 2016, Determined blind source separation unifying IVA and NMF"
CARABIAS_2013 = "Carabias-Orti et al. 2013, Nonnegative signal factorization with learnt instrument models"
PRAETZLICH_2015 = "Prätzlich et al. 2015, Kernel additive modeling for interference reduction"
MARKOVICH_2009 = "Markovich et al. 2009, Multichannel eigenspace beamforming in a reverberant noisy environment"
KOKKINIS_2012 = "Kokkinis et al. 2012, A Wiener filter approach to microphone leakage reduction"
RAJESH_2023 = "Rajesh R 2023, Interference reduction in music source separation for live recordings"


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "spots", Spots(self.spots))

    def at(self, frames: Array) -> Evidence:
        """Return the same of some frames of the take only."""
        estimates = None if self.estimates is None else np.ascontiguousarray(self.estimates[:, frames])
        return replace(self, X_FTM=np.ascontiguousarray(self.X_FTM[:, frames]), estimates=estimates)

    def without(self, silent: Sequence[int]) -> Evidence:
        """Return the evidence of the sources that play; the microphones of the others are nobody's."""
        if not silent:
            return self
        kept = [n for n in range(len(self.spots)) if n not in silent]
        return replace(
            self,
            spots=Spots([self.spots[n] for n in kept]),
            solo=self.solo and (self.solo[0], [self.solo[1][n] for n in kept]),
            estimates=None if self.estimates is None else np.ascontiguousarray(self.estimates[:, :, kept]),
            solo_frames=None if self.solo_frames is None else self.solo_frames[kept],
        )

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


class Known(Protocol):
    """What `Method.check` asks of a take or a session."""

    @property
    def sources(self) -> Sequence[str]:
        """Names of the sources."""

    @property
    def spots(self) -> Spots:
        """Whose microphone is whose."""

    @property
    def mic_names(self) -> Sequence[str]:
        """Names of the microphones."""

    def without_solo(self) -> Sequence[str]:
        """Return the sources that have no solo."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A separation method: a model, what it starts from, its settings, and what it needs.

    Parameters
    ----------
    name, summary, citation : str
        What it is called, what it is, and where it was published.
    model : callable
        Makes the unfitted model from the numbers of components and of iterations.
    prior : callable
        Makes the prior from an `Evidence`, the number of components and a generator.
    iterations : int
        Updates of the model; 0 for a model that has none.
    components : int
        Bases per source; 0 for a model that has none.
    window : float
        Analysis window in seconds; 0 for a method that works on waveforms.
    longer_window : float
        The one that it takes where solos hold and are long enough, twice as long where they are very long; for this
        `mnmf.survey` looks at them.  0 for none.
    hops_per_window : int
        Frames that begin within one window.
    lowest : float
        Below this frequency, in hertz, nothing is separated.
    solos : {"needed", "useful", "unused"}
        What solos of the sources are to it, apart from bases.
    bases : bool
        Whether its bases must be given: by a dictionary of notes, or else by solos.
    estimates : bool
        Whether it can start from estimates of the sources.
    assigned : bool
        Whether it starts without regard to the spots, so that the fitted sources are given to the spots by their
        energy there.
    floor : bool
        Whether it leaves alone what is good: sources that never play are left out of the fit, and those that rest out
        of the images (`FullRankMNMF.leave_alone`).
    shared : bool
        Whether two sources may share a reference spot.
    n_mics : {"any", "sources"}
        "sources" if it needs exactly as many microphones as sources.
    with_dictionary : str, optional
        The method that takes its place when there is a dictionary of notes.

    Raises
    ------
    ArgumentError
        A setting is out of range or unknown.

    Examples
    --------
    >>> from mnmf import METHODS
    >>> METHODS["mnmf-fixh"].needs
    'a solo of every source, or claps and a dictionary'
    """

    name: str
    summary: str
    citation: str
    model: Callable[[int, int], Any]
    prior: StartFrom
    iterations: int
    components: int = 0
    window: float = 0.0
    longer_window: float = 0.0
    hops_per_window: int = 4
    lowest: float = 0.0
    solos: Literal["needed", "useful", "unused"] = "unused"
    bases: bool = False
    estimates: bool = False
    assigned: bool = False
    floor: bool = False
    shared: bool = True
    n_mics: Literal["any", "sources"] = "any"
    with_dictionary: str | None = None

    def __post_init__(self) -> None:
        check_choice("solos", self.solos, ("needed", "useful", "unused"))
        check_choice("n_mics", self.n_mics, ("any", "sources"))
        check_count("iterations", self.iterations, 0)
        check_count("components", self.components, 0)
        check_count("hops_per_window", self.hops_per_window)
        check_number("window", self.window, 0.0, LONGEST, " s")
        check_number("longer_window", self.longer_window, 0.0, LONGEST, " s")
        check_number("lowest", self.lowest, 0.0, np.inf, " Hz")

    @property
    def takes_dictionary(self) -> bool:
        """Whether a dictionary of notes is of use to it, or to the method that then takes its place."""
        return self.bases or self.with_dictionary is not None

    @property
    def needs(self) -> str:
        """What a take must have, in words."""
        needed = self.solos == "needed"
        if self.bases:
            return f"a solo of every source, or {'claps and ' if needed else ''}a dictionary"
        if needed:
            notes = "; takes a dictionary" if self.takes_dictionary else ""
            return f"a solo or claps of every source{notes}"
        mics = "as many mics as sources" if self.n_mics == "sources" else "a spot for every source"
        return mics + ("; solos or claps help" if self.solos == "useful" else "")

    @property
    def hears_solos(self) -> bool:
        """Whether solos make any difference to it."""
        return self.bases or self.solos != "unused"

    def check(self, known: Known, *, dictionary: bool = False, estimates: bool = False) -> None:
        """Refuse what this method cannot work on, and what it has no use for.

        Parameters
        ----------
        known : Take or Session
        dictionary, estimates : bool
            Whether there is a dictionary of notes, and whether there are estimates of the sources.

        Raises
        ------
        ArgumentError
            The method has no use for a dictionary or for estimates.
        SessionError
            It needs solos or microphones that are not there, or two sources share a microphone where it cannot tell
            them apart.
        """
        if dictionary and not self.bases:
            raise ArgumentError(
                f"{self.name} has no use for a dictionary; methods that have: {_those('takes_dictionary')}"
            )
        if estimates and not self.estimates:
            plain = [name for name, other in METHODS.items() if other.with_dictionary == self.name]
            if plain and dictionary:
                raise ArgumentError(
                    f"with a dictionary {plain[0]} has no use for estimates of the sources; leave one of them out"
                )
            raise ArgumentError(
                f"{self.name} has no use for estimates of the sources; methods that have: {_those('estimates')}"
            )
        if estimates and known.spots.shared:
            raise SessionError("two sources share a mic, where estimates cannot tell them apart; leave them out")
        needed = self.solos == "needed"
        if known.without_solo() and (needed or (self.bases and not dictionary)):
            instead = "" if needed else ", or a --dictionary of their notes"
            raise SessionError(
                f"{self.name} needs a solo of every source{instead}; {known.without_solo()[0]!r} has none: "
                "label one with --solos"
            )
        if known.spots.shared and not self.shared:
            raise SessionError(f"two sources share a mic, but {self.name} needs one for each; use {_those('shared')}")
        if known.spots.shared and self.solos == "useful" and known.without_solo():
            raise SessionError("two sources share a mic; only a solo of every source can tell them apart: give --solos")
        if self.n_mics == "sources" and len(known.mic_names) != len(known.sources):
            raise SessionError(
                f"{self.name} needs as many mics as sources, but there are {len(known.mic_names)} mics and "
                f"{len(known.sources)} sources; leave other mics out of the take, or take another method"
            )

    def advice(self, known: Known) -> str | None:
        """Return what would make a take that `check` lets pass better for this method, if anything."""
        missing = known.without_solo()
        if self.solos == "useful" and missing and len(missing) < len(known.sources):
            return f"no solo of {', '.join(missing)}: one of every source would help more"
        return None

    def sizes(self, components: int | None, iterations: int | None, *, dictionary: bool = False) -> tuple[int, int]:
        """Return the numbers of components and of iterations, where not given this method's own.

        Raises
        ------
        ArgumentError
            A number is out of range; or components or iterations are given to a method that has none, or components
            to one whose components are the notes of a dictionary.
        """
        if dictionary and components is not None:
            raise ArgumentError("the notes of a dictionary are the components; give one of the two, not both")
        n_components = self.components if components is None else check_count("components", components)
        n_iterations = self.iterations if iterations is None else check_count("iterations", iterations)
        if components is not None and not self.components:
            raise ArgumentError(f"{self.name} has no components; leave them out")
        if iterations is not None and not self.iterations:
            raise ArgumentError(f"{self.name} has no iterations; leave them out")
        return n_components, n_iterations

    def analysis(self, sample_rate: float, window: float | None = None) -> Analysis:
        """Return the analysis at a sample rate in hertz, by a window in seconds if not this method's own.

        Raises
        ------
        ArgumentError
            The window is out of range, or given to a method that works on waveforms.
        """
        if self.window == 0:
            if window is not None:
                raise ArgumentError(f"{self.name} works on waveforms and has no window; leave it out")
            return Waveform()
        length = window_samples(self.window if window is None else window, sample_rate)
        return STFT(length, length // self.hops_per_window)

    def fitting_window(self, solos_hold: bool, shortest_solo: float) -> float:
        """Return the window in seconds for solos that hold or not, each with a passage of at least so many seconds."""
        if not solos_hold or shortest_solo < FEW_WINDOWS * self.longer_window:
            return self.window
        twice = 2 * self.longer_window
        return twice if shortest_solo >= MANY_WINDOWS * twice else self.longer_window

    def fit(
        self,
        X_FTM: Array,
        spots: Spots,
        prior: Prior,
        sizes: tuple[int, int],
        *,
        rng: np.random.Generator,
        callback: Callable[[int, float], Any] | None = None,
        muted_TM: Array | None = None,
    ) -> Any:
        """Return the model of these sizes (`sizes`) fitted from a prior, its sources in the order of the spots.

        Models that can (`Model.skips_missing`) take what is muted as missing.
        """
        model = self.model(*sizes)
        missing = {"missing_TM": muted_TM} if muted_TM is not None and getattr(model, "skips_missing", False) else {}
        model = model.fit(X_FTM, prior, rng=rng, callback=callback, **missing)
        return assign_spots(model, X_FTM, spots) if self.assigned else model


def fill_in(evidence: Evidence, muted_TM: Array, rng: np.random.Generator) -> Array | None:
    """Return what muted microphones would have heard, as far as the others tell, in the frames in which they are muted.

    FastMNMF2 learns from the frames in which no microphone is muted, or, where there are too few, least is muted.

    Parameters
    ----------
    evidence : Evidence
    muted_TM : float, shape (T, M)
        How much of each frame is muted, 0 to 1.
    rng : numpy.random.Generator

    Returns
    -------
    X_FTM : as that of `evidence`
        None if two sources share a spot and nothing tells them apart.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf.methods import Evidence, fill_in
    >>> X_FTM = np.random.default_rng(0).standard_normal((5, 40, 2)) + 0j
    >>> muted_TM = np.zeros((40, 2))
    >>> muted_TM[7:9, 1] = 1.0
    >>> filled_FTM = fill_in(Evidence(X_FTM, spots=(0, 1)), muted_TM, np.random.default_rng(0))
    >>> np.unique(np.nonzero(filled_FTM != X_FTM)[1]).tolist()
    [7, 8]
    """
    frames = whole_frames(muted_TM)
    if frames is None:
        return evidence.X_FTM
    if evidence.spots.shared and evidence.notes is None and not (evidence.solo and all(evidence.solo[1])):
        return None
    T = len(muted_TM)
    prior = _spot_prior(evidence.at(frames), FIRST_COMPONENTS, rng)
    if prior.H is not None:
        prior = prior | Prior(H=spread(prior.H, frames, T))
    model = FastMNMF2(FIRST_COMPONENTS, FIRST_UPDATES).fit(evidence.X_FTM, prior, missing_TM=muted_TM, rng=rng)
    X_FTM = evidence.X_FTM.copy()
    rest = np.flatnonzero(muted_TM.any(axis=1))
    muted_RM = muted_TM[rest] > 0
    H_NKR = np.ascontiguousarray(model.H_[:, :, rest])
    for m in np.flatnonzero(muted_RM.any(axis=0)):  # one at a time, for memory
        heard_FR = model.images(X_FTM[:, rest], mics=[int(m)], H=H_NKR, missing_TM=muted_RM).sum(axis=-1)[..., 0]
        X_FTM[:, rest[muted_RM[:, m]], m] = heard_FR[:, muted_RM[:, m]]
    return X_FTM


def find_method(method: str | Method, *, dictionary: bool = False) -> Method:
    """Return the method of that name; with a dictionary of notes, the one that takes its place if there is one.

    Raises
    ------
    ArgumentError
        There is none of that name.

    Examples
    --------
    >>> from mnmf.methods import find_method
    >>> find_method("ntf-panning", dictionary=True).name
    'ntf-panning-notes'
    """
    if not isinstance(method, Method):
        check_choice("method", method, tuple(METHODS))
        method = METHODS[method]
    return METHODS[method.with_dictionary] if dictionary and method.with_dictionary is not None else method


def _those(feature: str) -> str:
    return ", ".join(name for name, method in METHODS.items() if getattr(method, feature))


FIRST_COMPONENTS = 24  # where it is asked what a muted microphone would have heard
FEW_WINDOWS, MANY_WINDOWS = 2, 6  # in a solo: enough for a longer window, and for one twice as long
FIRST_UPDATES = 30  # of FastMNMF2, as its own method has
OF_SOLOS = 0.9  # of the covariances that the full-rank model starts from, where there are solos


def _spot_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what each spot hears best, demixed as the solos teach; bases from solos where a spot is shared."""
    if evidence.spots.shared:
        return evidence.bases(n_components, rng, exponent=2.0).hold("W")
    Q = None
    if evidence.solo is not None:
        Q = match_gains(evidence.X_FTM, priors.solo(*evidence.solo, evidence.spots)).Q
    return evidence.start(Q, n_components, rng)


def _full_rank_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what FastMNMF2 makes of the take, its covariances mixed with those of the solos.

    The solos' covariances are better if nobody has moved; a small share of the fitted ones lets the updates recover if
    somebody has.
    """
    solo, spots = evidence.solo, evidence.spots
    if spots.shared:
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


SPLIT = 5500.0  # hertz: bases are learned below and above apart
HELD_UPDATES = 10  # of W and H, before the model's own, where the covariances of the solos are held
PULLED_TO_SOLOS = 0.03  # of the frames of a take: with this weight a solo's covariance and the fitted one start halfway


def _trusting_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the covariances of solos that hold; draw those of others to them, as far as they do; or start without.

    The bases of lower and higher frequencies have activations of their own: most frequencies lie above those where most
    of the music is, and count alike.
    """
    if evidence.spots.shared:
        return _full_rank_prior(evidence, n_components, rng)
    sharpness = priors.bleed_sharpness(evidence.X_FTM, evidence.spots)
    band_prior = _held_prior if evidence.solos_hold else _drawn_prior
    return _joined([band_prior(band, n_components, sharpness, rng) for band in evidence.bands(SPLIT)])


def _drawn_prior(evidence: Evidence, n_components: int, sharpness: float, rng: np.random.Generator) -> Prior:
    """Start from what FastMNMF2 makes of the take; draw the covariances to those of the solos as far as they hold."""
    X_FTM, solo, spots = evidence.X_FTM, evidence.solo, evidence.spots
    Q = None if solo is None else match_gains(X_FTM, priors.solo(*solo, spots)).Q
    start = evidence.start(Q, n_components, rng, sharpness=1.0 if solo else sharpness)
    model = FastMNMF2(n_components, FIRST_UPDATES).fit(X_FTM, start, rng=rng)
    prior = model.as_full_rank()
    weight_NF = evidence.solo_frames
    if solo is None or weight_NF is None:
        return prior
    gains_M = model.gains_.astype(solo[0].real.dtype)
    alone_NFMM = np.asarray(priors.likely_covariances(solo[0] * gains_M, solo[1], spots).R)
    fitted_NFMM = np.asarray(prior.R)
    part_NF11 = (weight_NF / (weight_NF + PULLED_TO_SOLOS * X_FTM.shape[1]))[..., None, None]
    start_NFMM = part_NF11 * _of_trace_1(alone_NFMM) + (1 - part_NF11) * _of_trace_1(fitted_NFMM)
    start_NFMM *= np.einsum("nfmm->nf", fitted_NFMM).real[..., None, None]
    return prior | Prior(R=start_NFMM, anchor=Anchor(alone_NFMM, weight_NF))


def _held_prior(evidence: Evidence, n_components: int, sharpness: float, rng: np.random.Generator) -> Prior:
    """Hold the covariances of the solos; start W and H from what filters made of them let through."""
    assert evidence.solo is not None  # or nothing would hold
    solo_FTM, passages = evidence.solo
    learned = priors.likely_covariances(solo_FTM, passages, evidence.spots)
    start = evidence.start(priors.unmixing(learned).Q, n_components, rng)
    held = Prior(W=start.W, H=start.H, R=learned.R, spots=evidence.spots).hold("R")
    model = FullRankMNMF(n_components, HELD_UPDATES, divergence="log-det").fit(evidence.X_FTM, held, rng=rng)
    return held | Prior(W=model.W_, H=model.H_)


def _joined(bands: Sequence[Prior]) -> Prior:
    """Return one prior of the full-rank model for all frequencies; each band keeps bases of its own."""
    if len(bands) == 1:
        return bands[0]
    W_BNFK, R_BNFMM = [np.asarray(band.W) for band in bands], [np.asarray(band.R) for band in bands]
    sizes, K = [W_NFK.shape[1] for W_NFK in W_BNFK], W_BNFK[0].shape[2]
    W_NFK = np.zeros((len(W_BNFK[0]), sum(sizes), K * len(bands)))
    for b, (first, part_NFK) in enumerate(zip(np.cumsum([0, *sizes]), W_BNFK)):
        W_NFK[:, first : first + part_NFK.shape[1], b * K : (b + 1) * K] = part_NFK
    anchors = [band.anchor for band in bands if band.anchor is not None]
    anchor = None
    if len(anchors) == len(bands):
        weights = np.concatenate([each.weight for each in anchors], axis=1)
        anchor = Anchor(np.concatenate([each.R for each in anchors], axis=1), weights)
    H_NKT, R_NFMM = np.concatenate([np.asarray(band.H) for band in bands], axis=1), np.concatenate(R_BNFMM, axis=1)
    return replace(bands[0], W=W_NFK, H=H_NKT, R=R_NFMM, anchor=anchor)


def _of_trace_1(R_NFMM: Array) -> Array:
    trace_NF = np.einsum("nfmm->nf", R_NFMM).real
    return np.asarray(R_NFMM / np.maximum(trace_NF, np.finfo(float).tiny)[..., None, None])


def _panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the panning of the solos; start from what each spot hears best, or hold bases where a spot is shared."""
    if evidence.spots.shared:
        return _held_panning_prior(evidence, n_components, rng)
    return _solo_panning(evidence) | evidence.start(None, n_components, rng, exponent=1.0, beta=1.0)


def _held_panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the panning of the solos, and the bases."""
    return _solo_panning(evidence) | evidence.bases(n_components, rng).hold("W")


def _solo_panning(evidence: Evidence) -> Prior:
    if evidence.solo is None:
        raise SessionError("this method needs a solo of every source; label them with --solos")
    return priors.solo_panning(*evidence.solo, evidence.spots).hold("G")


def _blind_panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the bases; which source belongs to which spot shows in the fit."""
    return evidence.bases(n_components, rng).hold("W")


def _gains_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold how the solos reach the mics; without them start from where each spot hears hardly anyone else."""
    heard = priors.spot_panning(evidence.X_FTM, evidence.spots)
    if evidence.solo is None:
        return heard
    learned = priors.solo_covariances(*evidence.solo, evidence.spots)
    R_NFMM, G_NM = np.array(learned.R), np.array(heard.G)
    for n, passages in enumerate(evidence.solo[1]):
        if not passages:  # nothing is known of this one's bleed, which does not mean that it has none
            R_NFMM[n] = np.diag(G_NM[n])
    return (learned | Prior(R=R_NFMM)).hold("R")


def _heard_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Give the covariances of the solos, in which loud frames count more, as they have less of anything else."""
    if evidence.solo is None:
        raise SessionError("this method needs a solo of every source; label them with --solos")
    X_FTM, passages = evidence.solo
    F, _, M = X_FTM.shape
    R_NFMM = np.zeros((len(passages), F, M, M), np.complex128)
    for n, own in enumerate(evidence.spots.references):
        for frames in passages[n]:
            alone_FTM = np.ascontiguousarray(X_FTM[:, frames])
            R_NFMM[n] += weighted_covariances(alone_FTM, np.ones(alone_FTM.shape[:2]))
        energy_F = R_NFMM[n, :, own, own].real
        silent_F = energy_F <= np.finfo(np.float64).tiny
        R_NFMM[n, silent_F] = np.diag(np.arange(M) == own)
        R_NFMM[n] /= np.where(silent_F, 1.0, energy_F)[:, None, None]
    return Prior(R=R_NFMM, spots=evidence.spots)


def _mixing_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the gains by which the solos are mixed into the mics, if there are any."""
    if evidence.solo is None:
        return Prior(spots=evidence.spots)
    return priors.solo_mixing(*evidence.solo, evidence.spots).hold("G")


def _circular_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start as published, from nothing that is known of the players."""
    return priors.circular(evidence.X_FTM, len(evidence.spots), n_components, rng=rng)


def _ilrma_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold G at the identity: then every row of Q is one source, and FastMNMF2 is ILRMA."""
    return _circular_prior(evidence, n_components, rng) | Prior(G=np.eye(len(evidence.spots))).hold("G")


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


def _fullrank(name: str, summary: str, prior: StartFrom, solos: Literal["needed", "unused"] = "needed") -> Method:
    return Method(
        name=name,
        summary=summary,
        citation=CABANAS_2023,
        model=FullRankMNMF,
        prior=prior,
        window=2048 / 44100,
        hops_per_window=2,
        components=64,
        iterations=50,
        solos=solos,
        bases=True,
        estimates=True,
    )


def _log_det(name: str, summary: str, *held: str, solos: Literal["needed", "unused"] = "needed") -> Method:
    return Method(
        name=name,
        summary=summary,
        citation=SAWADA_2013,
        model=partial(FullRankMNMF, divergence="log-det"),
        prior=_solo_prior(*held, covariances=solos == "needed", exponent=2.0, diffuse=0.1),
        window=8192 / 44100,
        components=64,
        iterations=25,
        solos=solos,
        bases=True,
        estimates=True,
    )


_RECIPES = (
    Method(
        name="mnmf",
        summary="full-rank MNMF that finds out how far the solos hold, if there are any, and what each spot hears best",
        citation=SAWADA_2013,
        model=partial(FullRankMNMF, divergence="log-det"),
        prior=_trusting_prior,
        window=32768 / 44100,
        longer_window=65536 / 44100,
        components=24,
        iterations=10,
        lowest=20.0,
        solos="useful",
        estimates=True,
        floor=True,
    ),
    Method(
        name="fastmnmf2",
        summary="FastMNMF2 from what each spot hears best, and the solos if there are any",
        citation=SEKIGUCHI_2020,
        model=FastMNMF2,
        prior=_spot_prior,
        window=32768 / 44100,
        components=24,
        iterations=30,
        lowest=20.0,
        solos="useful",
        estimates=True,
    ),
    Method(
        name="fastmnmf2-blind",
        summary="FastMNMF2 as published, from a circular start, its outputs assigned to spots by energy; ignores solos",
        citation=SEKIGUCHI_2020,
        model=FastMNMF2,
        prior=_circular_prior,
        window=4096 / 44100,
        components=16,
        iterations=100,
        assigned=True,
        shared=False,
    ),
    Method(
        name="ilrma",
        summary="ILRMA: one demixing filter a source, its outputs assigned to spots by energy; ignores solos",
        citation=KITAMURA_2016,
        model=FastMNMF2,
        prior=_ilrma_prior,
        window=4096 / 44100,
        components=4,
        iterations=100,
        assigned=True,
        n_mics="sources",
        shared=False,
    ),
    _fullrank("mnmf-fixh", "full-rank MNMF, covariances from the solos, held", _solo_prior("R", "W")),
    _fullrank("mnmf-updth", "full-rank MNMF, covariances from the solos, updated", _solo_prior("W")),
    _fullrank(
        "mnmf-blind",
        "full-rank MNMF, covariances from a random start",
        _solo_prior("W", covariances=False),
        solos="unused",
    ),
    Method(
        name="mnmf-is",
        summary="log-det full-rank MNMF from what FastMNMF2 makes of the take, and from the solos if there are any",
        citation=SAWADA_2013,
        model=partial(FullRankMNMF, divergence="log-det"),
        prior=_full_rank_prior,
        window=32768 / 44100,
        components=24,
        iterations=10,
        lowest=20.0,
        solos="useful",
        estimates=True,
    ),
    _log_det("mnmf-is-fixh", "log-det full-rank MNMF, covariances from the solos, held", "R", "W"),
    _log_det("mnmf-is-updth", "log-det full-rank MNMF, covariances from the solos, updated", "W"),
    _log_det("mnmf-is-blind", "log-det full-rank MNMF, covariances from a random start", "W", solos="unused"),
    Method(
        name="ntf-panning",
        summary="NTF of magnitudes, panning from the solos, held; bases from what each spot hears best",
        citation=CARABIAS_2013,
        model=lambda n_components, n_iterations: NTFPanning(n_components, n_iterations, beta=1.0),
        prior=_panning_prior,
        window=16384 / 44100,
        components=24,
        iterations=5,
        solos="needed",
        estimates=True,
        with_dictionary="ntf-panning-notes",
    ),
    Method(
        name="ntf-panning-notes",
        summary="NTF of magnitudes, panning from the solos and bases from a dictionary or the solos, both held",
        citation=CARABIAS_2013,
        model=NTFPanning,
        prior=_held_panning_prior,
        window=4096 / 44100,
        components=64,
        iterations=50,
        solos="needed",
        bases=True,
    ),
    Method(
        name="ntf-panning-blind",
        summary="NTF of magnitudes, panning from a random start, its outputs assigned to spots by energy",
        citation=CARABIAS_2013,
        model=NTFPanning,
        prior=_blind_panning_prior,
        window=2048 / 44100,
        hops_per_window=2,
        components=64,
        iterations=50,
        bases=True,
        assigned=True,
        shared=False,
    ),
    Method(
        name="kamir",
        summary="kernel additive modelling: gains from the solos if there are any, else learned; a median over time",
        citation=PRAETZLICH_2015,
        model=lambda _, n_iterations: KAMIR(n_iterations),
        prior=_gains_prior,
        window=32768 / 44100,
        iterations=10,
        lowest=20.0,
        solos="useful",
        shared=False,
    ),
    Method(
        name="linear",
        summary="transfer functions of the solos and their pseudo-inverse; learns nothing from the take",
        citation=MARKOVICH_2009,
        model=lambda *_: Linear(),
        prior=_heard_prior,
        window=65536 / 44100,
        iterations=0,
        lowest=20.0,
        solos="needed",
        shared=False,
    ),
    Method(
        name="pairwise",
        summary="powers of the other spots subtracted at the levels of the solos; learns nothing from the take",
        citation=KOKKINIS_2012,
        model=lambda *_: Pairwise(),
        prior=_heard_prior,
        window=32768 / 44100,
        iterations=0,
        lowest=20.0,
        solos="needed",
        shared=False,
    ),
    Method(
        name="time-domain",
        summary="instantaneous unmixing by plain gains, from the solos if there are any; not for rooms and distances",
        citation=RAJESH_2023,
        model=lambda _, n_iterations: TimeDomain(n_iterations),
        prior=_mixing_prior,
        iterations=200,
        solos="useful",
        shared=False,
    ),
)
METHODS = {method.name: method for method in _RECIPES}
DEFAULT_METHOD = "mnmf"
