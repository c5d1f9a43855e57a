"""FastMNMF2.

K. Sekiguchi, Y. Bando, A. A. Nugraha, K. Yoshii and T. Kawahara, "Fast multichannel nonnegative matrix factorization
with directivity-aware jointly-diagonalizable spatial covariance matrices for blind source separation", IEEE/ACM
Transactions on Audio, Speech, and Language Processing 28, 2020.  Equation numbers are those of the paper "CLASS-net +
FastMNMF2", 8 to 16.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, NotFittedError, check_array, check_count, check_rng, check_spectrogram
from mnmf.kernels import fastmnmf2 as kernels
from mnmf.kernels import one_blas_thread
from mnmf.kernels.wiener import diagonal_images
from mnmf.models._iterate import Callback, iterate
from mnmf.models._pull import Pull
from mnmf.models._saved import load_arrays, save_arrays
from mnmf.models._start import chosen_mics, sizes_and_spots
from mnmf.priors import Prior
from mnmf.priors._spot import demixing_start, weight_start

__all__ = ["FastMNMF2"]

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]

FLOOR = 1e-10  # of the mean power of the mixture: what the model expects where it expects nothing
SINGULAR = 1e6  # condition number of a demixing matrix


class FastMNMF2:
    """Multichannel NMF whose spatial covariances are diagonal after one demixing matrix per frequency.

    The mixture is Gaussian with covariance ``Σ_n λ_nft Q_f⁻¹ diag(g_n) Q_f⁻ᴴ`` (eq. 8 and 10), where ``λ_n = W_n H_n``
    (eq. 9).  W, H and G follow square-root multiplicative rules (eq. 13 to 15), Q iterative projection (eq. 16); any of
    them may be held by the prior.  Row n of Q belongs to source n.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.  More is not better: the likelihood and the separation part ways.
    n_sources : int, optional
        Number of sources N.

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
    spots_ : tuple of tuples of int
        The microphones of each source, the reference spot first.
    """

    def __init__(self, n_components: int = 32, n_iterations: int = 30, n_sources: int | None = None) -> None:
        self.n_components = n_components
        self.n_iterations = n_iterations
        self.n_sources = n_sources

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> FastMNMF2:
        """Learn what the prior leaves open.

        Parameters
        ----------
        X_FTM : complex64 or complex128, shape (F, T, M)
            Spectrogram of the mixture.
        prior : Prior, optional
            Starting values among W, H, G and Q, and which of them to hold.  Q may be pulled towards its prior; then
            the likelihood is no longer all that is raised, and `cost_`, which is the likelihood's, may rise at times.
        rng : numpy.random.Generator or int
            Draws W and H, uniform around the mean power, where the prior does not give them.
        callback : callable, optional
            Called with the number of iterations done and the cost before the last one; ends the fit by returning true.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together; or more sources than microphones and no W held to tell them apart.
        """
        X_FTM = np.ascontiguousarray(check_spectrogram(X_FTM))  # each layout would be compiled for
        check_count("n_iterations", self.n_iterations)
        power = _mean_power(X_FTM) or 1.0
        prior = prior or Prior()
        W, H, G, Q, spots = self._start(X_FTM, prior, power, check_rng(rng))
        held = prior.held
        own = np.array(spots.order(X_FTM.shape[2]))
        pull = Pull(Q, own, X_FTM.shape[1]) if "Q" in prior.pulled else None
        kind = W.dtype.type
        data = X_FTM, kind(power**-0.5)
        floor = kind(FLOOR)

        def cost_now(update: bool) -> tuple[float, Array, Array]:
            determinants = np.linalg.slogdet(Q)[1]
            cost, over, under = kernels.frequency_pass(
                *data,
                W,
                H,
                G,
                Q,
                floor,
                update and "W" not in held,
                update and "Q" not in held,
                update and "H" not in held,
                None if pull is None else pull.arrays,
            )
            return float(cost - 2 * X_FTM.shape[1] * np.sum(determinants)), over, under

        def step() -> float:
            nonlocal H, G
            cost, over, under = cost_now(update=True)
            if pull is not None:
                pull.learn()
            if "H" not in held:
                H = _rescaled(H, over, under)
            if "G" not in held:
                G = _rescaled(G, *kernels.weight_pass(*data, W, H, G, Q, floor))
            _normalise(W, H, G, Q, held)
            return cost

        costs = iterate(step, self.n_iterations, callback)
        if "Q" not in held:
            # Identical microphones leave nothing to demix; rounding would be all that such rows let through.
            singular = np.linalg.cond(Q) > SINGULAR
            Q[singular] = demixing_start(spots, len(Q), len(own))[singular]
        with one_blas_thread():
            last, _, _ = cost_now(update=False)
        self.cost_ = np.append(costs[1:], last)
        # Scaling there and back would change the last bits of what is held.
        self.W_ = np.array(prior.W, W.dtype) if "W" in held else W * kind(power)
        self.H_, self.G_, self.Q_, self.spots_ = H, G, Q, spots
        self.gains_ = np.ones(X_FTM.shape[2]) if pull is None else pull.gains_M
        return self

    def separate(self, X_FTM: Array) -> Array:
        """Return each source at its own spot by the multichannel Wiener filter.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another of its shape.

        Returns
        -------
        S_FTN : complex, shape (F, T, N), of the dtype of `X_FTM`
        """
        return self._images(X_FTM, range(len(self._fitted())), self.spots_.references)

    def images(self, X_FTM: Array, source: int, mics: Sequence[int] | None = None) -> Array:
        """Return one source at the microphones `mics` (all by default), (F, T, M); all sources sum to the mixture."""
        N, M = self._fitted().shape
        chosen = chosen_mics(source, mics, N, M)
        return self._images(X_FTM, [source] * len(chosen), chosen)

    def as_full_rank(self) -> Prior:
        """Return this model as a prior of ``FullRankMNMF(divergence="log-det")``, for which it means the same.

        ``R_n = Q⁻¹ diag(g_n) Q⁻ᴴ``, scaled to 1 at the reference spot of each source, and W by as much the other way.

        Returns
        -------
        Prior
            With `W`, `H`, `R`, complex128 (N, F, M, M), and `spots`.
        """
        G_NM = self._fitted()
        mixing_FMM = np.linalg.inv(self.Q_)
        R_NFMM = np.empty((len(G_NM), *mixing_FMM.shape), np.complex128)
        W_NFK = np.array(self.W_, np.float64)
        for n, (own, *_) in enumerate(self.spots_):
            R_NFMM[n] = (mixing_FMM * G_NM[n].astype(np.float64)) @ np.conj(mixing_FMM.swapaxes(1, 2))
            level_F = np.maximum(R_NFMM[n, :, own, own].real, np.finfo(float).tiny)
            R_NFMM[n] /= level_F[:, None, None]
            W_NFK[n] *= level_F[:, None]
        return Prior(W=W_NFK, H=self.H_, R=R_NFMM, spots=self.spots_)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hyper-parameters and what was learned to an ``.npz`` file."""
        self._fitted()
        save_arrays(path, self, "WHGQ")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FastMNMF2:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        return load_arrays(path, cls, "WHGQ")

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int]) -> Array:
        X_FTM = np.ascontiguousarray(check_spectrogram(X_FTM))  # each layout would be compiled for
        wanted = (self.W_.shape[1], self.H_.shape[2], self.G_.shape[1])
        if X_FTM.shape != wanted:
            raise ArgumentError(f"X_FTM must have the shape that was fitted, {wanted}, got {X_FTM.shape}")
        with one_blas_thread():
            return np.asarray(
                diagonal_images(
                    X_FTM,
                    self.W_,
                    self.H_,
                    self.G_,
                    self.Q_,
                    np.linalg.inv(self.Q_),
                    np.array(sources, np.int64),
                    np.array(mics, np.int64),
                )
            )

    def _fitted(self) -> Array:
        if not hasattr(self, "G_"):
            raise NotFittedError("this FastMNMF2 is not fitted yet; call fit first")
        return np.asarray(self.G_)

    def _start(self, X_FTM: Array, prior: Prior, power: float, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return the checked starting values W, H, G, Q, in units of the mixture at mean power 1, and the spots."""
        F, T, M = X_FTM.shape
        N, K, spots = sizes_and_spots(prior, X_FTM, self.n_sources, self.n_components, "WHGQ", pullable="Q")
        kind = np.float32 if X_FTM.dtype == np.complex64 else np.float64

        def own(value: Array) -> Array:
            return np.array(value, kind, order="C")  # a copy: the prior is never changed

        W = own(rng.uniform(0.5, 1.5, (N, F, K)) if prior.W is None else np.asarray(prior.W) / power)
        H = own(rng.uniform(0.5, 1.5, (N, K, T)) / K if prior.H is None else prior.H)
        Q = demixing_start(spots, F, M) if prior.Q is None else check_array("prior.Q", prior.Q, (F, M, M), "(F, M, M)")
        Q = np.array(Q, np.complex128, order="C")
        if not np.all(np.linalg.slogdet(Q)[1] > -np.inf):
            raise ArgumentError("prior.Q must be invertible at every frequency")
        if prior.G is None:
            G = weight_start(spots.rows(M), M)
        else:
            G = check_array("prior.G", prior.G, (N, M), "(N, M)", nonnegative=True)
        return W, H, own(G), Q, spots


def _mean_power(X_FTM: Array) -> float:
    """Return the mean of |x|², one frequency at a time: the squares of them all would be the largest array there is."""
    return sum(float(np.sum(np.square(np.abs(X_TM), dtype=np.float64))) for X_TM in X_FTM) / X_FTM.size


def _rescaled(value: Array, over: Array, under: Array) -> Array:
    """Return ``value · sqrt(over / under)``."""
    ratio = np.sqrt(over / np.where(under > 0, under, 1))
    return np.asarray(value * np.where(under > 0, ratio, 1).astype(value.dtype))


def _normalise(W_NFK: Floats, H_NKT: Floats, G_NM: Floats, Q_FMM: NDArray[np.complex128], held: frozenset[str]) -> None:
    """Bring tr(QQᴴ) to M, rows of G and columns of W to sum 1, in place; no cost changes and nothing held is touched.

    The scale of Q_f can only move into W_f; that of G and W into W or H.
    """
    if not held & {"Q", "W"}:
        scale_F = np.einsum("fij,fij->f", Q_FMM, Q_FMM.conj()).real / Q_FMM.shape[1]
        Q_FMM /= np.sqrt(scale_F)[:, None, None]
        W_NFK /= scale_F[:, None].astype(W_NFK.dtype)
    if "G" not in held and not {"W", "H"} <= held:
        scale_N = np.maximum(G_NM.sum(axis=1), np.finfo(G_NM.dtype).tiny)
        G_NM /= scale_N[:, None]
        if "H" in held:
            W_NFK *= scale_N[:, None, None]
        else:
            H_NKT *= scale_N[:, None, None]
    if not held & {"W", "H"}:
        scale_NK = W_NFK.sum(axis=1)
        scale_NK[scale_NK == 0] = 1
        W_NFK /= scale_NK[:, None, :]
        H_NKT *= scale_NK[:, :, None]
