"""FastMNMF2.

K. Sekiguchi, Y. Bando, A. A. Nugraha, K. Yoshii and T. Kawahara, "Fast multichannel nonnegative matrix factorization
with directivity-aware jointly-diagonalizable spatial covariance matrices for blind source separation", IEEE/ACM
Transactions on Audio, Speech, and Language Processing 28, 2020.  Equation numbers are those of the paper "CLASS-net +
FastMNMF2", 8 to 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import check_array
from mnmf.kernels import fastmnmf2 as kernels
from mnmf.kernels._threads import by_rows, share_out
from mnmf.kernels.wiener import diagonal_images
from mnmf.models._missing import check_missing, spread, whole_frames
from mnmf.models._model import Callback, Model, Updates, to_sum_1
from mnmf.models._pull import Pull
from mnmf.models._start import check_demixing, check_orientation, power_sums, sizes_and_spots
from mnmf.models.fullrank import FullRankMNMF, wiener_images
from mnmf.priors import Prior
from mnmf.priors._spot import demixing_start, weight_start
from mnmf.spots import Spots

__all__ = ["FastMNMF2"]

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]

FLOOR = 1e-10  # of the mean power of the mixture: lower bound of the modelled power
SINGULAR = 1e6  # condition number of a demixing matrix
AROUND = 15  # updates of the activations of frames in which microphones are missing


class FastMNMF2(Model):
    """Multichannel NMF whose spatial covariances are diagonal after one demixing matrix per frequency.

    The mixture is Gaussian with covariance ``Σ_n λ_nft Q_f⁻¹ diag(g_n) Q_f⁻ᴴ`` (eq. 8 and 10), where ``λ_n = W_n H_n``
    (eq. 9).  W, H and G follow square-root multiplicative rules (eq. 13 to 15), Q iterative projection (eq. 16); any of
    them may be held by the prior.  Row n of Q belongs to source n.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.  More is not better: the cost keeps falling while the separation gets
        worse, because it rewards whatever explains the mixture and not what belongs to one player.
    n_sources : int, optional
        Number of sources N; by default the prior's, else that of the microphones.

    Attributes
    ----------
    W_ : float (N, F, K)
        Bases; float32 for complex64 data, else float64.
    H_ : float (N, K, T)
        Activations.
    G_ : float (N, M)
        Spatial weights; rows sum to 1.
    Q_ : complex128 (F, M, M)
        Joint diagonaliser; row m is q_mᴴ.
    cost_ : float64 (iterations,)
        ``Σ_ftm (x̃/y + log y) − T Σ_f log |det Q_f|²`` after each iteration, for the mixture scaled to mean power 1.
    gains_ : float64 (M,)
        By which factor the gain of each microphone differs from that of the prior's Q, if that is pulled; else ones.
    spots_ : Spots or None
        The microphones of each source, the reference spot first.

    Notes
    -----
    The prior may give W, H, G and Q, hold any of them, and pull Q towards its value; then the likelihood is no longer
    all that is maximised, and `cost_`, which is the likelihood's, may rise at times.  What it does not give is drawn:
    W and H uniform around the mean power; Q starts from the identity, its rows in the order of the spots, and G from
    the spots.

    With no prior at all, ``FastMNMF2().fit(X_FTM)``, the sources have nothing but their spots to start from, random
    bases follow all of them alike, and on close microphones the result is worse than the raw spots.  Start from
    `priors.spot`, which takes the bases from what each spot hears best.

    More sources than microphones run from a prior whose W is held, or without spots from one with a G of its own, such
    as `priors.circular` and `priors.random`; then `spots_` is None and `images` gives the result.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import FastMNMF2, priors
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((9, 20, 3)) + 1j * rng.standard_normal((9, 20, 3))
    >>> model = FastMNMF2(n_components=4, n_iterations=5).fit(X_FTM, priors.spot(X_FTM, (2, 0), n_components=4))
    >>> model
    FastMNMF2(n_components=4, n_iterations=5)
    >>> model.separate(X_FTM).shape, model.images(X_FTM).shape
    ((9, 20, 2), (9, 20, 3, 2))
    >>> bool(np.all(np.diff(FastMNMF2(4, 5).fit(X_FTM, priors.circular(X_FTM, 2, 4)).cost_) < 0))
    True
    """

    learns: ClassVar[dict[str, str]] = {"W": "NFK", "H": "NKT", "G": "NM", "Q": "FMM"}
    also: ClassVar[dict[str, str]] = {"gains": "M"}

    W_: Array
    H_: Array
    G_: Array
    Q_: Array
    gains_: Array

    def __init__(self, n_components: int = 32, n_iterations: int = 30, n_sources: int | None = None) -> None:
        self.n_components = n_components
        self.n_iterations = n_iterations
        self.n_sources = n_sources

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        missing_TM: Array | None = None,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> FastMNMF2:
        """Learn what the prior leaves open.

        With `missing_TM` the frames in which no microphone is missing teach everything, unless there are too few of
        them.  Then the activations of the others are fitted to the microphones that are left, by the log-determinant
        full-rank model that this one is (`as_full_rank`): where rows of x are missing, no Q makes the rest diagonal.

        Parameters
        ----------
        X_FTM, prior, rng, callback
            As for `Model.fit`.
        missing_TM : bool or float, shape (T, M), optional
            Microphones that are missing in a frame; of numbers, those that are not 0, and the less the better if frames
            that lack something have to teach as well.

        Returns
        -------
        This model.
        """
        if missing_TM is not None:
            missing_TM = check_array("missing_TM", missing_TM, (None, None), "(T, M)", nonnegative=True)
        frames = None if missing_TM is None else whole_frames(missing_TM)
        if frames is None:
            return self._fit(self._begun(X_FTM, prior, rng), callback)
        X_FTM = self._check_data(X_FTM)
        T = X_FTM.shape[1]
        missing = check_missing(missing_TM, T, X_FTM.shape[2])
        part = prior or Prior()
        if part.H is not None:
            part = part | Prior(H=np.ascontiguousarray(part.H[:, :, frames]))
        self._fit(self._begun(np.ascontiguousarray(X_FTM[:, frames]), part, rng), callback)
        assert missing is not None
        self.H_ = spread(self.H_, frames, T)
        rest = np.flatnonzero(missing.any(axis=1))
        known = self.as_full_rank()
        known = (known | Prior(H=np.ascontiguousarray(self.H_[:, :, rest]))).hold("W", "R")
        around = FullRankMNMF(1, AROUND, divergence="log-det").fit(X_FTM[:, rest], known, missing_TM=missing[rest])
        self.H_[:, :, rest] = around.H_
        return self

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
            Microphones that are missing in a frame.  There the images are what they would have heard as far as the
            others tell, and do not sum to the mixture.
        """
        X_FTM = self._checked(X_FTM)
        missing_TM = check_missing(missing_TM, *X_FTM.shape[1:])
        return self._at_mics(X_FTM, source, mics, H=self._activity(X_FTM, H), missing_TM=missing_TM)

    def as_full_rank(self) -> Prior:
        """Return this model as a prior of ``FullRankMNMF(divergence="log-det")``, for which it means the same.

        ``R_n = Q⁻¹ diag(g_n) Q⁻ᴴ``, scaled to 1 at the reference spot of each source, without spots to a mean of 1
        over the microphones, and W by as much the other way.

        Returns
        -------
        Prior
            With `W`, `H`, `R`, complex128 (N, F, M, M), and `spots`.

        Examples
        --------
        >>> import numpy as np
        >>> from mnmf import FastMNMF2
        >>> X_FTM = np.random.default_rng(0).standard_normal((5, 8, 2)) + 0j
        >>> FastMNMF2(3, 2).fit(X_FTM).as_full_rank().R.shape
        (2, 5, 2, 2)
        """
        self._check_fitted()
        mixing_FMM = by_rows(np.linalg.inv, self.Q_)
        R_NFMM = np.empty((len(self.G_), *mixing_FMM.shape), np.complex128)
        W_NFK = np.array(self.W_, np.float64)
        for n, g_M in enumerate(self.G_):
            R_NFMM[n] = (mixing_FMM * g_M.astype(np.float64)) @ np.conj(mixing_FMM.swapaxes(1, 2))
            if self.spots_ is None:
                level_F = np.einsum("fmm->f", R_NFMM[n]).real / len(g_M)
            else:
                own = Spots(self.spots_).references[n]
                level_F = R_NFMM[n, :, own, own].real
            level_F = np.maximum(level_F, np.finfo(float).tiny)
            R_NFMM[n] /= level_F[:, None, None]
            W_NFK[n] *= level_F[:, None]
        return Prior(W=W_NFK, H=self.H_, R=R_NFMM, spots=self.spots_)

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> Updates:
        X_FTM = np.ascontiguousarray(X_FTM)  # each layout would be compiled for
        check_orientation(prior, X_FTM)
        F, T, M = X_FTM.shape
        N, K, spots = sizes_and_spots(prior, X_FTM.shape, self.n_sources, self.n_components, "WHGQ", pullable="Q")
        power = sum(power_sums(X_FTM).tolist()) / X_FTM.size or 1.0
        # Without spots the rows of Q belong to the microphones.
        rows = spots if spots is not None else Spots(range(M))
        W = rng.uniform(0.5, 1.5, (N, F, K)) if prior.W is None else np.asarray(prior.W) / power
        H = rng.uniform(0.5, 1.5, (N, K, T)) / K if prior.H is None else prior.H
        Q = check_demixing("prior.Q", demixing_start(rows, F, M) if prior.Q is None else prior.Q, F, M)
        if prior.G is None:
            G = weight_start(rows.rows(M), M)
        else:
            G = check_array("prior.G", prior.G, (N, M), "(N, M)", nonnegative=True)
        return _Updates(X_FTM, power, prior, W, H, G, Q, spots, rows)

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        image_FTI = diagonal_images(
            np.ascontiguousarray(X_FTM),  # each layout would be compiled for, also below
            self.W_,
            given["H"],
            np.ascontiguousarray(self.G_),
            np.ascontiguousarray(self.Q_),
            by_rows(np.linalg.inv, self.Q_),
            np.array(sources, np.int64),
            np.array(mics, np.int64),
        )
        missing_TM = given.get("missing_TM")
        if missing_TM is not None:
            rest, full = np.flatnonzero(missing_TM.any(axis=1)), self.as_full_rank()
            H_NKT = np.array(given["H"][:, :, rest], np.float64, order="C")
            assert full.W is not None
            assert full.R is not None
            image_FTI[:, rest] = wiener_images(X_FTM[:, rest], full.W, H_NKT, full.R, sources, mics, missing_TM[rest])
        return np.asarray(image_FTI)

    def _reorder(self, order: Sequence[int]) -> None:
        super()._reorder(order)
        N, M = self.G_.shape
        # The first rows of Q belong to the sources, and a column of G to each row.
        rows = [*order, *range(N, M)] if N <= M else list(range(M))
        self.G_, self.Q_ = self.G_[:, rows], self.Q_[:, rows]


class _Updates(Updates):
    """The fit, for a mixture of mean power 1: W is kept in units of `power`."""

    def __init__(
        self,
        X_FTM: Array,
        power: float,
        prior: Prior,
        W_NFK: Array,
        H_NKT: Array,
        G_NM: Array,
        Q_FMM: Array,
        spots: Spots | None,
        rows: Spots,
    ) -> None:
        self.kind: Any = np.float32 if X_FTM.dtype == np.complex64 else np.float64
        self.data = X_FTM, self.kind(power**-0.5)
        self.power, self.floor, self.held = self.kind(power), self.kind(FLOOR), prior.held
        self.W: Array
        self.H: Array
        self.G: Array
        self.W, self.H, self.G = (np.array(value, self.kind, order="C") for value in (W_NFK, H_NKT, G_NM))  # copies
        self.Q = Q_FMM
        self.spots, self.rows = spots, rows
        # Scaling there and back would change the last bits of what is held.
        self.held_W = np.array(prior.W, self.kind) if "W" in self.held else None
        own = np.array(rows.order(X_FTM.shape[2]))
        self.pull = Pull(Q_FMM, own, X_FTM.shape[1]) if "Q" in prior.pulled else None

    def step(self) -> float:
        cost, over, under = self._pass(self.Q, update=True)
        if self.pull is not None:
            self.pull.learn()
        if "H" not in self.held:
            self.H = _rescaled(self.H, over, under)
        if "G" not in self.held:
            parameters = self.W, self.H, self.G, self.Q
            self.G = _rescaled(self.G, *kernels.weight_pass(*self.data, *parameters, self.floor))
        _normalise(self.W, self.H, self.G, self.Q, self.held)
        return cost

    def state(self) -> tuple[float, dict[str, Any]]:
        Q = self.Q
        if "Q" not in self.held:
            # Identical microphones leave nothing to demix; rounding would be all that such rows let through.
            singular = by_rows(np.linalg.cond, Q) > SINGULAR
            if singular.any():
                Q = Q.copy()
                Q[singular] = demixing_start(self.rows, *Q.shape[:2])[singular]
        cost, _, _ = self._pass(Q, update=False)
        W = self.W * self.power if self.held_W is None else self.held_W
        gains_M = np.ones(Q.shape[1]) if self.pull is None else self.pull.gains_M
        return cost, {"W": W, "H": self.H, "G": self.G, "Q": Q, "gains": gains_M}

    def replace(self, values: dict[str, Array]) -> None:
        if "W" in values:
            self.W = values["W"] / self.power
            if self.held_W is not None:
                self.held_W = values["W"]
        if "Q" in values:
            self.Q = check_demixing("Q_", values["Q"], *self.Q.shape[:2])
        self.H, self.G = values.get("H", self.H), values.get("G", self.G)

    def _pass(self, Q_FMM: Array, update: bool) -> tuple[float, Array, Array]:
        """Return the cost and what H is multiplied by; update W and Q in place, if asked and where they are free."""
        determinants = by_rows(lambda Q: np.linalg.slogdet(Q)[1], Q_FMM)
        cost, over, under = kernels.frequency_pass(
            *self.data,
            self.W,
            self.H,
            self.G,
            Q_FMM,
            self.floor,
            update and "W" not in self.held,
            update and "Q" not in self.held,
            update and "H" not in self.held,
            None if self.pull is None else self.pull.arrays,
        )
        return float(cost - 2 * self.data[0].shape[1] * np.sum(determinants)), over, under


def _rescaled(value: Array, over: Array, under: Array) -> Array:
    """Return ``value · sqrt(over / under)``."""
    ratio = np.sqrt(over / np.where(under > 0, under, 1))
    return np.asarray(value * np.where(under > 0, ratio, 1).astype(value.dtype))


def _normalise(W_NFK: Floats, H_NKT: Floats, G_NM: Floats, Q_FMM: NDArray[np.complex128], held: frozenset[str]) -> None:
    """Bring tr(QQᴴ) to M, rows of G and columns of W to sum 1, in place; no cost changes and nothing held is touched.

    The scale of Q_f can only move into W_f; that of G and W into W or H.
    """
    scale_F, scale_N = None, None
    if not held & {"Q", "W"}:
        scale_F = by_rows(_to_trace_m, Q_FMM).astype(W_NFK.dtype)
    if "G" not in held and not {"W", "H"} <= held:
        scale_N = np.maximum(G_NM.sum(axis=1), np.finfo(G_NM.dtype).tiny)
        G_NM /= scale_N[:, None]

    def scale(n: int) -> None:
        if scale_F is not None:
            W_NFK[n] /= scale_F[:, None]
        if scale_N is not None:
            (W_NFK if "H" in held else H_NKT)[n] *= scale_N[n]
        if not held & {"W", "H"}:
            to_sum_1(W_NFK[n], H_NKT[n])

    share_out(scale, len(W_NFK))


def _to_trace_m(Q_FMM: NDArray[np.complex128]) -> Array:
    """Scale matrices to tr(QQᴴ) = M, in place, and return by what their squares were divided, (F,)."""
    scale_F = np.einsum("fij,fij->f", Q_FMM, Q_FMM.conj()).real / Q_FMM.shape[1]
    Q_FMM /= np.sqrt(scale_F)[:, None, None]
    return np.asarray(scale_F)
