"""What a recipe is: a model, the prior that it starts from, its settings and what it needs; and recipes by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from mnmf.errors import MOST_COMPONENTS, ArgumentError, SessionError, check_choice, check_count, check_number
from mnmf.methods._evidence import Array, StartFrom
from mnmf.models import assign_spots
from mnmf.priors import Prior
from mnmf.spots import Spots
from mnmf.stft import LONGEST, STFT, Analysis, Waveform, window_samples

FEW_WINDOWS = 2  # in a solo: enough for a longer window
FRAMES = 10  # of a long take for each of the M² numbers of a covariance: enough to learn it in a longer window


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
        The one that it takes where everybody has a solo, all hold, players do not take turns, and solos and take are at
        least twice as long; twice that where they are four times as long.  For this `mnmf.survey` looks at them.  And
        the one for a long take that is fitted in segments, whose room many frames teach.  0 for none.
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
        of the images (`FullRankMNMF.leave_alone`).  Only for that model under the log-determinant divergence.  The
        method's own `window` decides who never plays, whichever one is asked for.
    segments : bool
        Whether a long take is fitted a segment at a time, by covariances or demixing matrices that several of them
        teach; its `prior` must then hold those of `Evidence.room`, or be drawn to them.  With other models than that
        one and `FastMNMF2` a take is fitted in one piece all the same.
    iterations_in_room : int
        Updates of the model where `Evidence.room` is known; `iterations` if 0.
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
    segments: bool = False
    iterations_in_room: int = 0
    shared: bool = True
    n_mics: Literal["any", "sources"] = "any"
    with_dictionary: str | None = None

    def __post_init__(self) -> None:
        check_choice("solos", self.solos, ("needed", "useful", "unused"))
        check_choice("n_mics", self.n_mics, ("any", "sources"))
        check_count("iterations", self.iterations, 0)
        check_count("iterations_in_room", self.iterations_in_room, 0)
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
        if components is not None:
            check_count("components", components, 1, MOST_COMPONENTS)
        n_components = self.components if components is None else components
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

    def fitting_window(self, longer: bool, shortest: float) -> float:
        """Return the window in seconds, for solos and a take that last `shortest` seconds or more.

        The longer a window is compared with the reverberation, the better one covariance a frequency describes a
        source; and the fewer frames there are to learn it from.  A longer one than the method's own is taken only where
        `longer` says that it pays (`mnmf.survey.Survey.long_windows`).
        """
        windows = (2 * self.longer_window, self.longer_window) if longer else ()
        return next((window for window in windows if shortest >= FEW_WINDOWS * window), self.window)

    def learning_window(self, seconds: float, n_mics: int) -> float:
        """Return the window in seconds, for a room that so many seconds of a long take teach, by what they hold.

        What bounds the window is that every frequency has a covariance of its own to learn, of M² numbers.
        """
        wanted = FRAMES * n_mics**2 * self.longer_window / self.hops_per_window
        return self.longer_window if self.longer_window and seconds >= wanted else self.window

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
        jointly: bool = False,
    ) -> Any:
        """Return the model of these sizes (`sizes`) fitted from a prior, its sources in the order of the spots.

        Models that can (`Model.skips_missing`) take what is muted as missing, and update `jointly` if asked.
        """
        model = self.model(*sizes)
        if jointly and getattr(model, "divergence", None) == "log-det":
            model.jointly = True
        missing = {"missing_TM": muted_TM} if muted_TM is not None and getattr(model, "skips_missing", False) else {}
        model = model.fit(X_FTM, prior, rng=rng, callback=callback, **missing)
        return assign_spots(model, X_FTM, spots) if self.assigned else model


METHODS: dict[str, Method] = {}  # by their names; `_recipes` fills it


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
