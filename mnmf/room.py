"""What one recording teaches of a room, for other takes in it: how each player reaches each microphone.

A `Room` is learned from a sound check or a whole concert (`mnmf.learn`), kept in a file, and held where later takes are
separated.  `compare` looks whether it still fits: gains that were changed are undone, and who has moved is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import priors
from mnmf.errors import ArgumentError, SessionError, check_array
from mnmf.files import check_path, read_arrays, whole
from mnmf.kernels import one_blas_thread
from mnmf.methods import find_method
from mnmf.models import FastMNMF2, changed_gains, held_out_misfit
from mnmf.priors import Prior
from mnmf.spots import Spots
from mnmf.stft import LONGEST, STFT
from mnmf.survey import COMPONENTS, IGNORED, ITERATIONS, KEPT, LOUDER, Survey, chosen_bins, in_bands
from mnmf.take import Levels, Take

__all__ = ["Fit", "Room", "compare"]

Array = NDArray[Any]

ENOUGH = 24  # frames, or a take does not tell who has moved
FEWEST = 8  # frames, or it does not tell of gains either
OF_OTHER_ROWS = 0.01  # of its own row: what a row of Q lets through of the other sources, roughly
ROUNDS = 2  # of finding changed gains: in few frames the first finds only a part of them
TOO_SHORT = "the take is too short to tell whether what was learned of the room still fits; it is used as it is"
WHAT, REMEDY = "is no room of mnmf learn", "give a file that mnmf learn wrote"
TEXTS, NUMBERS = ("method", "sources", "mic_names", "files", "sha256"), ("sample_rate", "window_length", "hop")
KNOWN = {*TEXTS, *NUMBERS, "spots", "R", "Q"}
MOST_RATE = 10**6  # hertz
ROUNDING = 1e-9  # of the trace
TRACES = 1e-100, 1e100  # between these sizes are those of sound


@dataclass(frozen=True, eq=False, kw_only=True)
class Room:
    """How each source reaches each microphone at every frequency, for microphones at the gains of the recording.

    Make one with `mnmf.learn` or `load`.

    Attributes
    ----------
    method : str
        The method that it was learned by, and is for.
    sources : tuple of str
        Who was heard.
    spots : Spots
        Whose microphone is whose.
    mic_names : tuple of str
    sample_rate : int
        In hertz.
    window_length, hop : int
        Of the analysis, in samples.
    R : complex128, shape (N, F, M, M), or None
        Spatial covariances, from the method's lowest frequency on.
    Q : complex128, shape (F, M, M), or None
        Or, of methods that have these, demixing matrices, their rows in the order of the spots.
    sha256 : mapping of file to digest
        The recordings.
    of_this_take : bool
        Whether it was learned from the take that it is used for: then whoever was not heard does not play.  Not saved.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Take, learn, separate
    >>> rng = np.random.default_rng(0)
    >>> check, concert = (Take(rng.standard_normal((8000, 2)), 1000) for _ in range(2))
    >>> room = learn(check, window=0.1, components=2, iterations=2)
    >>> room
    Room(2 sources at 2 mics, learned by mnmf at 1000 Hz)
    >>> separate(concert, room=room, components=2, iterations=2).stems_LN.shape
    (8000, 2)
    """

    method: str
    sources: tuple[str, ...]
    spots: Spots
    mic_names: tuple[str, ...]
    sample_rate: int
    window_length: int
    hop: int
    R: Array | None = None
    Q: Array | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    of_this_take: bool = False

    @classmethod
    def of(cls, learned: Prior, take: Take, levels: Levels, analysis: STFT, method: str) -> Room:
        """Return the room that a take has taught, as a prior at equal loudness."""
        files = _turned_up(learned, 1 / levels.gains_M.astype(np.float64), take.spots)
        return cls(
            method=method,
            sources=tuple(take.sources),
            spots=take.spots,
            mic_names=tuple(take.mic_names),
            sample_rate=take.sample_rate,
            window_length=analysis.window_length,
            hop=analysis.hop,
            R=files.R,
            Q=files.Q,
        )

    @property
    def analysis(self) -> STFT:
        """The one that it was learned with."""
        return STFT(self.window_length, self.hop)

    def check(self, method: str, sample_rate: int, mic_names: tuple[str, ...]) -> None:
        """Refuse what this room is not for.

        Raises
        ------
        ArgumentError
            It is of another method.
        SessionError
            The take has another rate, or other microphones.
        """
        if method != self.method:
            raise ArgumentError(
                f"the room was learned by {self.method}, not by {method}; take that method, or learn anew"
            )
        if sample_rate != self.sample_rate:
            raise SessionError(
                f"the room was learned at {self.sample_rate} Hz, but the take has {sample_rate} Hz; learn one from a "
                "recording at that rate"
            )
        if len(mic_names) != len(self.mic_names):
            raise SessionError(
                f"the room was learned from {len(self.mic_names)} mics, but the take has {len(mic_names)}; give the "
                "same mics in the same order"
            )
        if mic_names != self.mic_names and sorted(mic_names) == sorted(self.mic_names):
            raise SessionError(
                f"the mics of the take stand in another order than those of the room: {', '.join(self.mic_names)}"
            )

    def absent(self, take: Take) -> list[int]:
        """Return the sources of its own take that were not heard, by number from 0."""
        own = self.spots.references
        return [n for n, mics in enumerate(take.spots) if mics[0] not in own] if self.of_this_take else []

    def prior(self, take: Take, levels: Levels) -> Prior:
        """Return what is known of the sources of a take, as a prior at equal loudness.

        Raises
        ------
        SessionError
            A source was not heard where the room was learned.
        """
        own = self.spots.references
        for name, mics in zip(take.sources, take.spots):
            if mics[0] not in own:
                raise SessionError(
                    f"{name}: nobody was heard at mic {take.mic_names[mics[0]]} where the room was learned; learn it "
                    "from a recording in which everybody plays"
                )
        gains_M = levels.gains_M.astype(np.float64)
        if self.R is not None:
            R_NFMM = self.R[[own.index(mics[0]) for mics in take.spots]]
            R_NFMM = np.asarray(_turned_up(Prior(R=R_NFMM), gains_M, take.spots).R)
            scale_NF = np.einsum("nfmm->nf", R_NFMM).real / R_NFMM.shape[2]
            return Prior(R=R_NFMM / np.where(scale_NF > 0, scale_NF, 1.0)[..., None, None], spots=take.spots)
        assert self.Q is not None
        rows = self.spots.order(len(gains_M))
        Q_FMM = self.Q[:, [rows.index(m) for m in take.spots.order(len(gains_M))]]
        return replace(_turned_up(Prior(Q=Q_FMM), gains_M, take.spots), spots=take.spots)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as an ``.npz`` file.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        learned = {"R": self.R} if self.R is not None else {"Q": self.Q}
        texts = {
            "method": self.method,
            "sources": np.array(self.sources),
            "mic_names": np.array(self.mic_names),
            "files": np.array(list(self.sha256), str),
            "sha256": np.array(list(self.sha256.values()), str),
        }
        spots = np.array([[n, m] for n, mics in enumerate(self.spots) for m in mics], np.int64)
        with whole(path) as place, place.open("wb") as file:
            np.savez(file, **texts, **{name: getattr(self, name) for name in NUMBERS}, spots=spots, **learned)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Room:
        """Read one that `save` wrote.

        Raises
        ------
        ArgumentError
            The file cannot be read, or holds something else.
        """
        place = check_path(path)
        saved = read_arrays(place, ArgumentError, REMEDY, what=WHAT, wanted=KNOWN.__contains__)
        if not saved.keys() >= {*TEXTS, *NUMBERS, "spots"} or ("R" in saved) == ("Q" in saved):
            raise ArgumentError(f"{path} {WHAT}; {REMEDY}")
        try:
            return _read(saved)
        except Exception as error:  # numpy raises various errors on malformed arrays
            raise ArgumentError(f"{path} holds a damaged room; learn it anew") from error

    def __repr__(self) -> str:
        seats = f"{len(self.sources)} sources at {len(self.mic_names)} mics"
        return f"Room({seats}, learned by {self.method} at {self.sample_rate} Hz)"


def _read(saved: Mapping[str, Array]) -> Room:
    sample_rate, window_length, hop = (int(saved[name].item()) for name in NUMBERS)
    sources, mic_names = (tuple(str(text) for text in saved[name].tolist()) for name in ("sources", "mic_names"))
    recipe = find_method(str(saved["method"].item()))
    if not (0 < sample_rate <= MOST_RATE and 0 < window_length <= LONGEST * sample_rate):
        raise ValueError("a size is out of range")
    if not recipe.segments or hop != window_length // recipe.hops_per_window:
        raise ValueError("no analysis of the method")
    stft = STFT(window_length, hop)
    n_frequencies = stft.n_frequencies - int(np.searchsorted(stft.frequencies(sample_rate), recipe.lowest))
    mics: list[list[int]] = [[] for _ in sources]
    for n, m in check_array("spots", saved["spots"], (None, 2), "(…, 2)").tolist():
        if not 0 <= n < len(mics):
            raise ValueError("a spot of nobody")
        mics[n].append(m)
    N, M = len(sources), len(mic_names)
    files, digests = ([str(text) for text in saved[name].tolist()] for name in ("files", "sha256"))
    return Room(
        method=recipe.name,
        sources=sources,
        spots=Spots(mics).check(M, N, apart="a room tells them apart"),
        mic_names=mic_names,
        sample_rate=sample_rate,
        window_length=window_length,
        hop=hop,
        R=_covariances(saved["R"], (N, n_frequencies, M, M)) if "R" in saved else None,
        Q=_demixing(saved["Q"], (n_frequencies, M, M)) if "Q" in saved else None,
        sha256=dict(zip(files, digests, strict=True)),
    )


def _covariances(value: Array, shape: tuple[int, int, int, int]) -> Array:
    R_NFMM = check_array("R", value, shape, "(N, F, M, M)")
    trace_NF = np.einsum("nfmm->nf", R_NFMM).real
    if R_NFMM.dtype != np.complex128 or not np.all((trace_NF > TRACES[0]) & (trace_NF < TRACES[1])):
        raise ValueError("no covariances")
    unit_NFMM = R_NFMM / trace_NF[..., None, None]
    if np.abs(unit_NFMM - np.conj(unit_NFMM.swapaxes(-1, -2))).max() > ROUNDING:
        raise ValueError("covariances are Hermitian")
    if np.linalg.eigvalsh(unit_NFMM).min() < -ROUNDING:
        raise ValueError("covariances have no negative eigenvalues")
    return R_NFMM


def _demixing(value: Array, shape: tuple[int, int, int]) -> Array:
    Q_FMM = check_array("Q", value, shape, "(F, M, M)")
    sizes_F = np.linalg.norm(Q_FMM, axis=(1, 2))
    if Q_FMM.dtype != np.complex128 or not np.all((sizes_F > TRACES[0]) & (sizes_F < TRACES[1])):
        raise ValueError("no demixing matrices")
    if not np.all(np.linalg.slogdet(Q_FMM)[1] > -np.inf):
        raise ValueError("demixing matrices can be inverted")
    return Q_FMM


@dataclass(frozen=True, eq=False)
class Fit:
    """How a room fits a take.

    Attributes
    ----------
    prior : Prior
        What is known of the room, at the gains of the take.
    frames : float, shape (N, F), or None
        How many frames of the take each source's part of it is worth; None if covariances are to be held.
    remarks : tuple of str
        What has changed, each in one line.

    Examples
    --------
    >>> from mnmf import Prior
    >>> from mnmf.room import Fit
    >>> Fit(Prior(), None, ()).frames is None  # everything holds
    True
    """

    prior: Prior
    frames: Array | None
    remarks: tuple[str, ...]


def compare(known: Prior, take: Take, levels: Levels, analysis: STFT) -> Fit:
    """Find out how far what is known of a room still holds in a take, as `mnmf.survey.survey` does with solos.

    Parameters
    ----------
    known : Prior
        With R or Q, at equal loudness (`Room.prior`).
    take : Take
    levels : Levels
    analysis : STFT
        Of `known`.

    Returns
    -------
    Fit

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Levels, Prior, STFT, Take
    >>> from mnmf.room import compare
    >>> take = Take(np.random.default_rng(0).standard_normal((4000, 2)), 8000)
    >>> known = Prior(Q=np.tile(np.eye(2), (129, 1, 1)), spots=(0, 1))
    >>> compare(known, take, Levels.of(take), STFT(256, 64)).remarks  # nothing has changed
    ()
    """
    first, rate = levels.first(analysis), take.sample_rate
    chosen, X_FTM = chosen_bins(take, levels, analysis)
    n_frames = X_FTM.shape[1]
    if len(chosen) == 0 or n_frames < FEWEST:
        return Fit(known, None, (TOO_SHORT,))
    Q_FMM = _both(known, chosen - first)[1]
    with one_blas_thread():
        gains_M = np.ones(X_FTM.shape[2])
        for _ in range(ROUNDS):
            gains_M *= changed_gains(X_FTM, _turned_up(Prior(Q=Q_FMM, spots=take.spots), gains_M, take.spots))
        start_Q = _turned_up(Prior(Q=Q_FMM), gains_M, take.spots).Q
        start = priors.spot(X_FTM, take.spots, start_Q, COMPONENTS)
        model = FastMNMF2(COMPONENTS, ITERATIONS).fit(X_FTM, start)
        gains_M = gains_M * model.gains_
        matched, fitted = _turned_up(known, gains_M, take.spots), model.as_full_rank()
        if n_frames < ENOUGH:
            return Fit(matched, None, (*_turned(take, gains_M), TOO_SHORT))
        block = min(max(2, round(1.1 * rate / analysis.hop)), n_frames // 2)
        misfit_NF = held_out_misfit(X_FTM, fitted, _both(matched, chosen - first)[0], block)
        if known.R is None:  # no demixing matrix describes a reverberant room, not even that of the take
            misfit_NF -= held_out_misfit(X_FTM, fitted, np.asarray(fitted.R), block)
    loud_NF = np.sqrt(np.einsum("nfk,nkt->nf", model.W_, model.H_))
    misfit_NB = in_bands(misfit_NF, loud_NF, analysis.frequencies(rate)[chosen])
    remarks = (*_turned(take, gains_M), *_moved(take, misfit_NB, known.R is not None))
    found = Survey(take, misfit_NB, analysis.hop / rate)
    frames = None
    if known.R is None or not found.holds:  # Q has so few numbers that a take gains by learning it further
        frames = found.seconds(analysis.frequencies(rate)[first:]) * rate / analysis.hop
    return Fit(matched, frames, remarks)


def _turned_up(known: Prior, gains_M: Array, spots: Spots) -> Prior:
    """Return R and Q for microphones turned up by so much; a row of Q counts at its own spot, before and after."""
    R = None if known.R is None else np.asarray(known.R * gains_M[:, None] * gains_M, np.complex128)
    Q = known.Q
    if Q is not None:
        Q = np.asarray(Q / gains_M * gains_M[spots.order(len(gains_M))][:, None], np.complex128)
    return replace(known, R=R, Q=Q)


def _turned(take: Take, gains_M: Array) -> Iterator[str]:
    """Yield a remark for each microphone whose gain was changed by much, most of them not being so."""
    level_M = 20 * np.log10(gains_M)
    level_M -= np.sort(level_M)[(len(level_M) - 1) // 2]
    for name, level in zip(take.mic_names, level_M):
        if abs(level) >= LOUDER:
            yield f"mic {name}: since the room was learned its gain changed by {level:+.1f} dB; undone"


def _moved(take: Take, misfit_NB: Array, full_rank: bool) -> Iterator[str]:
    """Yield a remark for each player whom the room fits badly; set a misfit that is too large to infinity, in place."""
    share = len(take.mic_names) / 4
    for name, misfit_B in zip(take.sources, misfit_NB):
        if misfit_B[1:3].mean() >= IGNORED * share:
            misfit_B[:] = np.inf
            outcome = "ignored" if full_rank else "what was learned of the room is not used"
            yield f"{name}: the room does not fit the take, as if the player had moved far since; {outcome}"
        elif misfit_B[1:4].mean() >= KEPT * share:
            outcome = "it counts little" if full_rank else "it is learned further"
            yield f"{name}: the room fits the take badly, as if player or mic had moved since; {outcome}"


def _both(known: Prior, bins: Array) -> tuple[Array, Array]:
    """Return R and Q at some frequencies; the one that is not known is made of the other."""
    assert known.spots is not None
    if known.R is not None:
        part = Prior(R=np.ascontiguousarray(known.R[:, bins]), spots=known.spots)
        return np.asarray(part.R), np.asarray(priors.unmixing(part).Q)
    assert known.Q is not None
    Q_FMM = np.ascontiguousarray(known.Q[bins])
    mixing_FMM = np.linalg.inv(Q_FMM)
    rows = known.spots.rows(Q_FMM.shape[1])
    R_NFMM = np.empty((len(rows), *mixing_FMM.shape), np.complex128)
    for n, own in enumerate(rows):
        g_M = np.full(Q_FMM.shape[1], OF_OTHER_ROWS)
        g_M[own] = 1.0
        R_NFMM[n] = (mixing_FMM * g_M) @ np.conj(mixing_FMM.swapaxes(1, 2))
    return R_NFMM, Q_FMM
