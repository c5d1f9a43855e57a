"""Full-rank multichannel NMF, Euclidean and log-determinant.

P. Cabañas-Molero, J. Carabias-Orti, A. J. Muñoz-Montoro and P. Vera-Candeas, "Pre-trained spatial priors on
multichannel NMF for music source separation", Forum Acusticum 2023, eq. 3 to 6 and 9; after H. Sawada, H. Kameoka,
S. Araki and N. Ueda, "Multichannel extensions of non-negative matrix factorization with complex-valued data", IEEE
Transactions on Audio, Speech, and Language Processing 21(5), 2013.

The log-determinant divergence, which is Itakura and Saito's where there is one microphone, is section III-D of the
latter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_choice, check_shape
from mnmf.kernels import fullrank as kernels
from mnmf.kernels import logdet
from mnmf.kernels._threads import by_rows, share_out
from mnmf.kernels.logdet_joint import sweep_jointly
from mnmf.kernels.matmul import matmul
from mnmf.models._masks import masked_images
from mnmf.models._missing import check_missing
from mnmf.models._model import Callback, Model, Updates, to_sum_1
from mnmf.models._presence import edges_of, presence
from mnmf.models._start import check_covariances, check_orientation, power_sums, sizes_and_spots
from mnmf.priors import Anchor, Prior
from mnmf.spots import Spots

__all__ = ["FullRankMNMF"]

Array = NDArray[Any]

DIVERGENCES = ("euclidean", "log-det")

# What the log-det model expects where it expects nothing, and in directions from which no source comes: this part of
# the mean power at the frequency, and of that over all frequencies.
FLOOR, FLOOR_OF_ALL = 1e-7, 1e-12

MOST_BANDS = 4  # of frequencies that have bases of their own


class FullRankMNMF(Model):
    """Full-rank multichannel NMF under the squared Euclidean distance or the log-determinant divergence.

    The observed covariance ``X_ft`` is modelled as ``Σ_n λ_nft R_nf`` with ``λ_n = W_n H_n`` (eq. 4).  Any of W, H and
    R may be held by the prior: with R from solo passages and both R and W held this is the 2023 paper's fixH, with W
    held its updtH, and with W held and no R given its blind variant.

    The Euclidean distance is that paper's: ``X_ft = x̃x̃ᴴ`` has magnitudes on its diagonal (eq. 3), λ is a magnitude, and
    each microphone's mixture is shared by magnitudes (eq. 9).

    Under the log-determinant divergence ``X_ft = xxᴴ`` and λ are powers, and the model is that of Gaussian sources,
    to whose covariances a small multiple of the identity is added, constant over time, as a floor.  Each source is
    reconstructed by the multichannel Wiener filter, ``λ_n R_n X̂⁻¹ x``.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.
    n_sources : int, optional
        Number of sources N; by default the prior's, else that of the microphones.
    divergence : {"euclidean", "log-det"}
        What is minimised.
    jointly : bool
        Whether R, W and H are updated from one evaluation of the model, under the log-determinant divergence: a quicker
        update than one that takes them in turn, and a little smaller a step.

    Attributes
    ----------
    W_ : float64 (N, F, K)
        Bases.
    H_ : float64 (N, K, T)
        Activations.
    R_ : complex128 (N, F, M, M)
        Spatial covariances, Hermitian positive semidefinite.
    cost_ : float64 (iterations,)
        After each iteration ``Σ_ft ‖X_ft − X̂_ft‖²``, with ``X̂_ft = Σ_n λ_nft R_nf``; under the log-determinant
        divergence the negative log-likelihood ``Σ_ft (xᴴ X̂⁻¹ x + log det X̂)``, without constants, for the mixture
        scaled to mean power 1.  It never rises, unless the prior has an anchor: then the likelihood is not all that is
        maximised.
    spots_ : Spots or None
        The microphones of each source, the reference spot first; None where an R of their own is all that tells more
        sources than microphones apart.
    presence_, edges_ : float64 (N, B, T), int64 (B + 1,)
        After `leave_alone`: which part of each source's power counts in images, and the bins where bands begin.

    Notes
    -----
    The prior may give W, H and R and hold any of them.  What it does not give is drawn: W and H uniform with mean 1, R
    random and positive definite.  Under the log-determinant divergence H, or else W, is scaled to the power of the
    mixture.  An `anchor` in the prior, which only this divergence can use, draws the covariances towards its own.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import FullRankMNMF, Prior
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((9, 20, 3)) + 1j * rng.standard_normal((9, 20, 3))
    >>> model = FullRankMNMF(4, 5, divergence="log-det").fit(X_FTM, Prior(spots=(2, 0)))
    >>> model
    FullRankMNMF(n_components=4, n_iterations=5, divergence='log-det')
    >>> model.R_.shape, model.separate(X_FTM).shape
    ((2, 9, 3, 3), (9, 20, 2))
    >>> np.allclose(model.images(X_FTM).sum(axis=-1), X_FTM)
    True
    """

    learns: ClassVar[dict[str, str]] = {"W": "NFK", "H": "NKT", "R": "NFMM"}
    also: ClassVar[dict[str, str]] = {"presence": "NBT", "edges": "E"}

    W_: Array
    H_: Array
    R_: Array
    presence_: Array
    edges_: Array

    def __init__(
        self,
        n_components: int = 64,
        n_iterations: int = 50,
        n_sources: int | None = None,
        divergence: str = "euclidean",
        jointly: bool = False,
    ) -> None:
        self.n_components = n_components
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.divergence = divergence
        self.jointly = jointly

    @property
    def skips_missing(self) -> bool:
        """Whether it is better told where microphones are missing: under the log-determinant divergence."""
        return self.divergence == "log-det"

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        missing_TM: Array | None = None,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> FullRankMNMF:
        """Learn what the prior leaves open.

        Parameters
        ----------
        X_FTM, prior, rng, callback
            As for `Model.fit`.
        missing_TM : bool, shape (T, M), optional
            Microphones that are missing in a frame, under the log-determinant divergence only: what `X_FTM` holds there
            is no evidence.

        Returns
        -------
        This model.

        Raises
        ------
        ArgumentError
            As `Model.fit`; or something is missing and the divergence is Euclidean.
        """
        return self._fit(self._begun(X_FTM, prior, rng, missing_TM=missing_TM), callback)

    def iterate(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        missing_TM: Array | None = None,
        rng: np.random.Generator | int | None = 0,
    ) -> Iterator[FullRankMNMF]:
        """Fit, and yield the model after every update, as `Model.iterate` says.

        Parameters
        ----------
        X_FTM, prior, missing_TM, rng
            As for `fit`.
        """
        return self._iterate(self._begun(X_FTM, prior, rng, missing_TM=missing_TM))

    def images(
        self,
        X_FTM: Array,
        source: int | None = None,
        mics: int | Sequence[int] | None = None,
        *,
        H: Array | None = None,
        missing_TM: Array | None = None,
    ) -> Array:
        """Return one source, or every source, at the microphones, as `Model.images` does.

        Parameters
        ----------
        X_FTM, source, mics, H
            As for `Model.images`.
        missing_TM : bool, shape (T, M), optional
            As for `fit`.  At a microphone that is missing the images are what it would have heard as far as the others
            tell, and do not sum to the mixture.

        Raises
        ------
        ArgumentError
            As `Model.images`; or something is missing and the divergence is Euclidean.
        """
        X_FTM = self._checked(X_FTM)
        missing_TM = self._missing(missing_TM, X_FTM)
        return self._at_mics(X_FTM, source, mics, H=self._activity(X_FTM, H), missing_TM=missing_TM)

    def leave_alone(self, frequencies: Array) -> FullRankMNMF:
        """Let each source count, in every octave band, only in frames in which it is heard at its own spot.

        Images are then those of the sources that play: where one plays alone its image is what the microphones hear.
        Sets `presence_` and `edges_`, which the next fit forgets.  Images from other activations than those fitted, or
        of other frames, do without.

        Parameters
        ----------
        frequencies : float, shape (F,)
            In hertz, in rising order.

        Returns
        -------
        This model.

        Raises
        ------
        ArgumentError
            The divergence is Euclidean, the model has no spots, or `frequencies` are of another number.
        """
        self._check_fitted()
        if self.divergence != "log-det" or self.spots_ is None:
            raise ArgumentError('leave_alone needs divergence="log-det", and sources that have spots')
        self.edges_ = edges_of(check_shape("frequencies", frequencies, (self.W_.shape[1],), "(F,)"))
        self.presence_ = presence(self.W_, self.H_, self.R_, self.spots_, self.edges_)
        return self

    def with_silent(self, silent: Sequence[int], spots: Spots) -> FullRankMNMF:
        """Put sources that never play in between those that were fitted.

        Parameters
        ----------
        silent : sequence of int
            Which of all sources they are.
        spots : Spots
            Of all sources.

        Returns
        -------
        This model, with powers of 0 for them.
        """
        self._check_fitted()
        for n in sorted(silent):
            self.W_ = np.insert(self.W_, n, 0.0, axis=0)
            self.H_ = np.insert(self.H_, n, 0.0, axis=0)
            own_M = np.arange(self.R_.shape[2]) == spots.references[n]
            self.R_ = np.insert(self.R_, n, np.diag(own_M), axis=0)
        self.spots_ = spots
        return self

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file cannot be read, or holds something else.
        """
        model = super().load(path)
        given = getattr(model, "presence_", None), getattr(model, "edges_", None)
        if any(array is not None for array in given) and not _fit_together(*given, model.W_.shape[1]):
            raise ArgumentError(f"{path} holds a damaged FullRankMNMF (presence does not fit the rest); save it anew")
        return model

    def _parts(self, H_NKT: Array) -> list[tuple[slice, Array]] | None:
        """Return the activations that count in each band; None if all do, or the frames are not those fitted."""
        if H_NKT is not self.H_ or getattr(self, "presence_", None) is None:
            return None
        bands = [slice(first, last) for first, last in pairwise(self.edges_.tolist())]
        return [(band, H_NKT * self.presence_[:, b, None]) for b, band in enumerate(bands)]

    def _missing(self, missing_TM: Array | None, X_FTM: Array) -> Array | None:
        missing_TM = check_missing(missing_TM, *X_FTM.shape[1:])
        if missing_TM is not None and self.divergence != "log-det":
            raise ArgumentError('missing_TM needs divergence="log-det"; the Euclidean distance cannot leave mics out')
        return missing_TM

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator, missing_TM: Array | None = None) -> Updates:
        check_choice("divergence", self.divergence, DIVERGENCES)
        if self.jointly and self.divergence != "log-det":
            raise ArgumentError('jointly needs divergence="log-det"; leave it out')
        for name in self.also:  # of an earlier fit
            self.__dict__.pop(f"{name}_", None)
        missing_TM = self._missing(missing_TM, X_FTM)
        check_orientation(prior, X_FTM)
        prior = _with_covariances(prior)
        F, T, M = X_FTM.shape
        logdet_model = self.divergence == "log-det"
        known = replace(prior, anchor=None) if logdet_model else prior
        n_sources = self.n_sources if self.n_sources is not None else prior.n_sources
        N, K, spots = sizes_and_spots(known, X_FTM.shape, n_sources, self.n_components, "WHR")
        W = rng.uniform(0.5, 1.5, (N, F, K)) if prior.W is None else prior.W
        H = rng.uniform(0.5, 1.5, (N, K, T)) if prior.H is None else prior.H
        if prior.R is not None:
            R = check_covariances("prior.R", prior.R, (N, F, M))
        else:
            root = rng.standard_normal((2, N, F, M, M)) / np.sqrt(2 * M)
            root = root[0] + 1j * root[1]
            R = root @ np.conj(np.swapaxes(root, -1, -2))
        W, H = (np.array(value, np.float64, order="C") for value in (W, H))  # copies: the prior is never changed
        R = np.asarray(R, np.complex128)
        if logdet_model:
            return _LogDet(X_FTM, prior, W, H, R, spots, missing_TM, self.jointly)
        return _Euclidean(X_FTM, prior, W, H, R, spots)

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        H_NKT = given["H"]
        if self.divergence != "log-det":

            def powers(block: slice) -> Array:
                H_NKB = np.ascontiguousarray(H_NKT[:, :, block])
                return np.stack([matmul(W_FK, H_KB) for W_FK, H_KB in zip(self.W_, H_NKB)])

            def at_mic(P_NFB: Array, m: int) -> Array:
                return np.asarray(P_NFB * self.R_[:, :, m, m].real[..., None])

            return masked_images(X_FTM, sources, mics, powers, at_mic)
        parts = self._parts(H_NKT)
        image_FTI = wiener_images(X_FTM, self.W_, H_NKT, self.R_, sources, mics, given.get("missing_TM"), parts)
        for i, m in enumerate(mics):
            if not X_FTM[..., m].any():
                image_FTI[..., i] = 0  # a silent microphone has no images
        return image_FTI


class _Euclidean(Updates):
    """The fit under the squared Euclidean distance."""

    def __init__(self, X_FTM: Array, prior: Prior, W: Array, H: Array, R: Array, spots: Spots | None) -> None:
        self.X = np.ascontiguousarray(kernels.rooted(X_FTM))  # each layout would be compiled for
        self.held, self.spots = prior.held, spots
        self.W, self.H, self.R = W, H, np.array(R, order="C")  # a copy, too
        self.observed = float(np.sum(np.sum(np.abs(self.X) ** 2, axis=2, dtype=np.float64) ** 2))
        self.problem: tuple[Array, Array] | None = None  # of H, good for as long as W and R stay

    def step(self) -> float:
        if self.problem is None and ("H" not in self.held or self.held >= {"W", "H", "R"}):
            self.problem = kernels.activation_problem(self.X, self.W, self.R)
        cost = 0.0
        if "H" not in self.held and self.problem is not None:
            self.H, cost = kernels.update_h(self.H, *self.problem)
        if "W" not in self.held:
            self.W, cost = kernels.update_w(self.X, self.W, self.H, self.R)
        if "R" not in self.held:
            self.R, cost = kernels.update_r(self.X, self.W, self.H, self.R)
        if self.held >= {"W", "H", "R"} and self.problem is not None:
            cost = kernels.activation_cost(self.H, *self.problem)
        if not self.held >= {"W", "R"}:
            self.problem = None
        return self.observed + cost

    def state(self) -> tuple[None, dict[str, Any]]:
        return None, {"W": self.W, "H": self.H, "R": self.R}

    def replace(self, values: dict[str, Array]) -> None:
        self.W, self.H = values.get("W", self.W), values.get("H", self.H)
        if "R" in values:
            self.R = check_covariances("R_", values["R"], self.R.shape[:3])
        self.problem = None


class _LogDet(Updates):
    """The fit under the log-determinant divergence; `R` has frequencies before sources."""

    def __init__(
        self,
        X_FTM: Array,
        prior: Prior,
        W: Array,
        H: Array,
        R: Array,
        spots: Spots | None,
        missing_TM: Array | None,
        jointly: bool,
    ) -> None:
        self.kernel = sweep_jointly if jointly else logdet.sweep
        self.X = np.ascontiguousarray(X_FTM)  # each layout would be compiled for
        self.held, self.spots, self.missing_TM = prior.held, spots, missing_TM
        n_heard = X_FTM[0].size if missing_TM is None else int(np.sum(~missing_TM))
        power_F = power_sums(self.X, ... if missing_TM is None else ~missing_TM) / max(n_heard, 1)
        power = float(power_F.mean()) or 1.0
        self.floor_F = log_det_floors(power_F)
        if prior.W is None or prior.H is None:
            expected = float(_expected_powers(W, H, R).mean()) or 1.0
            (W if prior.H is not None else H)[:] *= power / expected
        self.W, self.H, self.R = W, H, np.array(np.swapaxes(R, 0, 1), order="C")  # a copy, too
        self.bands = _bands_of(W)
        self.anchor_FNMM, self.weight_FN = self._anchors(prior.anchor)
        self.shift = n_heard * len(X_FTM) * np.log(power)

    def step(self) -> float:
        cost, over, under = self._sweep(update=True)
        if "H" not in self.held:
            self.H *= np.sqrt(over / np.where(under > 0, under, 1.0), where=under > 0, out=np.ones_like(self.H))
        _normalise(self.W, self.H, self.R, self.held)
        return cost

    def state(self) -> tuple[float, dict[str, Any]]:
        cost, _, _ = self._sweep(update=False)
        return cost, {"W": self.W, "H": self.H, "R": np.ascontiguousarray(np.swapaxes(self.R, 0, 1))}

    def replace(self, values: dict[str, Array]) -> None:
        self.W, self.H = values.get("W", self.W), values.get("H", self.H)
        self.bands = _bands_of(self.W)
        if "R" in values:
            F, N, M, _ = self.R.shape
            self.R = np.ascontiguousarray(np.swapaxes(check_covariances("R_", values["R"], (N, F, M)), 0, 1))

    def _anchors(self, anchor: Anchor | None) -> tuple[Array | None, Array | None]:
        """Return what R is drawn towards, and how strongly, once R is of the same trace; R starts where it is held."""
        if anchor is None:
            return None, None
        F, N, M, _ = self.R.shape
        weight_NF = check_shape("prior.anchor.weight", anchor.weight, (N, F), "(N, F)")
        if not np.all(weight_NF >= 0):
            raise ArgumentError("prior.anchor.weight must be 0 or more, frames")
        anchor_NFMM = check_covariances("prior.anchor.R", anchor.R, (N, F, M))
        anchor_FNMM = np.array(np.swapaxes(anchor_NFMM, 0, 1), np.complex128, order="C")
        weight_FN = np.array(weight_NF.T, np.float64, order="C")
        _normalise(self.W, self.H, self.R, self.held)
        level_FN = np.einsum("fnii->fn", anchor_FNMM).real / M
        anchor_FNMM /= np.where(level_FN > 0, level_FN, 1.0)[..., None, None]
        weight_FN[level_FN <= 0] = 0.0
        held_FN = np.isinf(weight_FN)
        self.R[held_FN] = anchor_FNMM[held_FN]
        return anchor_FNMM, weight_FN

    def _sweep(self, update: bool) -> tuple[float, Array, Array]:
        """Return the cost and what H is multiplied by; update W and R in place, if asked and where they are free."""
        learns_r = "R" not in self.held and not (self.weight_FN is not None and np.isinf(self.weight_FN).all())
        updates = update and "W" not in self.held, update and learns_r, update and "H" not in self.held
        total, over_NKT, under_NKT = 0.0, np.zeros_like(self.H), np.zeros_like(self.H)
        for band, bases in self.bands:
            part_NFK = self.W[:, band, bases]
            W_NFK = np.empty(part_NFK.shape)
            _copy(part_NFK, W_NFK)
            cost, over_NBT, under_NBT = self.kernel(
                self.X[band],
                W_NFK,
                np.ascontiguousarray(self.H[:, bases]),
                self.R[band],
                self.floor_F[band],
                *updates,
                self.missing_TM,
                None if self.anchor_FNMM is None else self.anchor_FNMM[band],
                None if self.weight_FN is None else self.weight_FN[band],
            )
            if updates[0]:
                _copy(W_NFK, part_NFK)
            over_NKT[:, bases] += over_NBT
            under_NKT[:, bases] += under_NBT
            total += cost
        return float(total - self.shift), over_NKT, under_NKT


def _with_covariances(prior: Prior) -> Prior:
    """Return a prior with the covariances that its G and Q describe, if it gives those instead: the blind starts do."""
    if prior.R is not None or prior.G is None or prior.Q is None or {"G", "Q"} & (prior.held | prior.pulled):
        return prior
    mixing_FMM = np.linalg.inv(prior.Q)
    R_NFMM = np.einsum("fij,nj,fkj->nfik", mixing_FMM, prior.G, mixing_FMM.conj(), optimize=True)
    return prior | Prior(R=R_NFMM)


def wiener_images(
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    R_NFMM: Array,
    sources: Sequence[int],
    mics: Sequence[int],
    missing_TM: Array | None,
    parts: Sequence[tuple[slice, Array]] | None = None,
) -> Array:
    """Return the log-det model's image of ``sources[i]`` at ``mics[i]``, (F, T, I); see `kernels.logdet.images`.

    With `parts`, bands of frequencies have activations of their own.
    """
    floor_F = log_det_floors(_expected_powers(W_NFK, H_NKT, R_NFMM))

    def images(band: slice, part_NKT: Array) -> Array:
        return logdet.images(
            np.ascontiguousarray(X_FTM[band]),
            np.ascontiguousarray(W_NFK[:, band]),
            np.ascontiguousarray(part_NKT),
            np.ascontiguousarray(np.swapaxes(R_NFMM[:, band], 0, 1)),
            floor_F[band],
            np.array(sources, np.int64),
            np.array(mics, np.int64),
            missing_TM,
        )

    if parts is None:
        return images(slice(None), H_NKT)
    image_FTI = np.zeros((*X_FTM.shape[:2], len(sources)), X_FTM.dtype)
    for band, part_NKT in parts:
        image_FTI[band] = images(band, part_NKT)
    return image_FTI


def _fit_together(presence_NBT: Array | None, edges: Array | None, n_bins: int) -> bool:
    """Whether edges divide all bins into the bands of presence, which is between 0 and 1."""
    if presence_NBT is None or edges is None or edges.dtype.kind != "i" or len(edges) < 2:
        return False
    all_bins = edges[0] == 0 and edges[-1] == n_bins and np.all(np.diff(edges) > 0)
    part = presence_NBT.dtype.kind == "f" and np.all((presence_NBT >= 0) & (presence_NBT <= 1))
    return bool(all_bins and part and presence_NBT.shape[1] == len(edges) - 1)


def _expected_powers(W_NFK: Array, H_NKT: Array, R_NFMM: Array) -> Array:
    """Return what the model expects at each frequency, (F,), the mean over frames and microphones."""
    level_NF = np.einsum("nfii->nf", R_NFMM).real / R_NFMM.shape[2]
    return np.asarray(np.einsum("nfk,nk,nf->f", W_NFK, H_NKT.mean(axis=2), level_NF))


def _bands_of(W_NFK: Array) -> list[tuple[slice, slice]]:
    """Return bands of frequencies, with the bases that are not zero there: zeros stay zero, and need not be multiplied.

    One band with all bases unless each basis belongs to one of a few bands.
    """
    F, K = W_NFK.shape[1:]
    there_FK = np.any(W_NFK != 0, axis=0)
    first_K, last_K = there_FK.argmax(axis=0), F - there_FK[::-1].argmax(axis=0)
    edges = sorted({0, F, *first_K.tolist(), *last_K.tolist()})
    if len(edges) > MOST_BANDS + 1:
        return [(slice(0, F), slice(0, K))]
    bands = []
    for first, last in pairwise(edges):
        there = np.flatnonzero(there_FK[first:last].any(axis=0))
        bands.append((slice(first, last), slice(there[0], there[-1] + 1) if len(there) else slice(0, K)))
    return bands


def log_det_floors(power_F: Array) -> Array:
    """Return the floor of the log-det model at each frequency, given the mean power there."""
    return np.asarray(FLOOR * power_F + FLOOR_OF_ALL * (float(power_F.mean()) or 1.0))


def _normalise(W_NFK: Array, H_NKT: Array, R_FNMM: Array, held: frozenset[str]) -> None:
    """Bring tr(R) to M and the columns of W to sum 1, in place; no cost changes and nothing held is touched."""
    level_FN = None
    if not held & {"W", "R"}:
        level_FN = by_rows(_to_trace_m, R_FNMM)

    def scale(n: int) -> None:
        if level_FN is not None:
            W_NFK[n] *= level_FN[:, n, None]
        if not held & {"W", "H"}:
            to_sum_1(W_NFK[n], H_NKT[n])

    share_out(scale, len(W_NFK))


def _copy(from_NFK: Array, to_NFK: Array) -> None:
    def copy(n: int) -> None:
        to_NFK[n] = from_NFK[n]

    share_out(copy, len(to_NFK))


def _to_trace_m(R_FNMM: Array) -> Array:
    """Scale covariances to the trace M, in place, and return by what they were divided, (F, N)."""
    level_FN = np.einsum("fnii->fn", R_FNMM).real / R_FNMM.shape[2]
    level_FN[level_FN == 0] = 1
    R_FNMM /= level_FN[..., None, None]
    return np.asarray(level_FN)
