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
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import (
    ArgumentError,
    NotFittedError,
    check_array,
    check_choice,
    check_count,
    check_rng,
    check_spectrogram,
)
from mnmf.kernels import fullrank as kernels
from mnmf.kernels import logdet, one_blas_thread
from mnmf.kernels.matmul import matmul
from mnmf.models._iterate import Callback, iterate
from mnmf.models._saved import USUAL, load_arrays, save_arrays
from mnmf.models._start import chosen_mics, sizes_and_spots
from mnmf.priors import Prior
from mnmf.wiener import spot_mask

__all__ = ["FullRankMNMF"]

Array = NDArray[Any]

DIVERGENCES = ("euclidean", "log-det")

# What the log-det model expects where it expects nothing, and in directions from which no source comes: this part of
# the mean power at the frequency, and of that at all.
FLOOR, FLOOR_OF_ALL = 1e-7, 1e-12

BLOCK = 256  # frames reconstructed at once, so that no array holds every source at every frame


class FullRankMNMF:
    """Full-rank multichannel NMF under the squared Euclidean distance or the log-determinant divergence.

    The observed covariance ``X_ft`` is modelled as ``Σ_n λ_nft R_nf`` with ``λ_n = W_n H_n`` (eq. 4).  Any of W, H and
    R may be held by the prior: with R from solo passages and both R and W held this is the 2023 paper's fixH, with W
    held its updtH, and with W held and no R given its blind variant.

    The Euclidean distance is that paper's: ``X_ft = x̃x̃ᴴ`` has magnitudes on its diagonal (eq. 3), λ is a magnitude, and
    each microphone's mixture is shared by magnitudes (eq. 9).

    Under the log-determinant divergence ``X_ft = xxᴴ`` and λ are powers, and the model is that of Gaussian sources,
    to whose covariances a small multiple of the identity is added, constant over time, as a floor.  Each source is
    reconstructed by the multichannel Wiener filter.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.
    n_sources : int, optional
        Number of sources N.
    divergence : {"euclidean", "log-det"}
        What is minimised.

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
        scaled to mean power 1.  It never rises.
    spots_ : tuple of tuples of int
        The microphones of each source, the reference spot first.
    """

    def __init__(
        self,
        n_components: int = 64,
        n_iterations: int = 50,
        n_sources: int | None = None,
        divergence: str = "euclidean",
    ) -> None:
        self.n_components = n_components
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.divergence = divergence

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> FullRankMNMF:
        """Learn what the prior leaves open.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            Spectrogram of the mixture.
        prior : Prior, optional
            Starting values among W, H and R, and which of them to hold.
        rng : numpy.random.Generator or int
            Draws what the prior does not give: W and H uniform with mean 1, R random and positive definite.  Under
            the log-determinant divergence H, or else W, is scaled to the power of the mixture.
        callback : callable, optional
            Called with the number of iterations done and the cost, under the log-determinant divergence that before
            the last one; ends the fit by returning true.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together; or more sources than microphones and no W held to tell them apart; or an
            unknown divergence.
        """
        check_choice("divergence", self.divergence, DIVERGENCES)
        X_FTM = check_spectrogram(X_FTM)
        check_count("n_iterations", self.n_iterations)
        prior = prior or Prior()
        W, H, R, spots = self._start(X_FTM, prior, check_rng(rng))
        fit = self._fit_log_det if self.divergence == "log-det" else self._fit_euclidean
        self.W_, self.H_, self.R_, self.cost_ = fit(X_FTM, W, H, R, prior, callback)
        self.spots_ = spots
        return self

    def _fit_euclidean(
        self, X_FTM: Array, W: Array, H: Array, R: Array, prior: Prior, callback: Callback | None
    ) -> tuple[Array, Array, Array, Array]:
        """Return W, H, R and the costs."""
        held = prior.held
        X_FTM = kernels.rooted(X_FTM)
        observed = float(np.sum(np.sum(np.abs(X_FTM) ** 2, axis=2, dtype=np.float64) ** 2))
        problem = kernels.activation_problem(X_FTM, W, R)

        def step() -> float:
            nonlocal W, H, R, problem
            if "H" not in held:
                H, cost = kernels.update_h(H, *problem)
            if "W" not in held:
                W, cost = kernels.update_w(X_FTM, W, H, R)
            if "R" not in held:
                R, cost = kernels.update_r(X_FTM, W, H, R)
            if not {"W", "R"} <= held:
                problem = kernels.activation_problem(X_FTM, W, R)
            if held >= {"W", "H", "R"}:
                cost = kernels.activation_cost(H, *problem)
            return observed + cost

        costs = iterate(step, self.n_iterations, callback)
        return W, H, R, costs

    def _fit_log_det(
        self, X_FTM: Array, W: Array, H: Array, R: Array, prior: Prior, callback: Callback | None
    ) -> tuple[Array, Array, Array, Array]:
        """Return W, H, R and the costs."""
        held = prior.held
        X_FTM = np.ascontiguousarray(X_FTM)  # each layout would be compiled for
        power_F = np.array([np.mean(np.square(np.abs(X_TM), dtype=np.float64)) for X_TM in X_FTM])
        power = float(power_F.mean()) or 1.0
        floor_F = _floors(power_F)
        if prior.W is None or prior.H is None:
            expected = float(_expected_powers(W, H, R).mean()) or 1.0
            (W if prior.H is not None else H)[:] *= power / expected
        R_FNMM = np.ascontiguousarray(np.swapaxes(R, 0, 1))
        shift = X_FTM.size * np.log(power)

        def swept(update: bool) -> tuple[float, Array, Array]:
            cost, over, under = logdet.sweep(
                X_FTM,
                W,
                H,
                R_FNMM,
                floor_F,
                update and "W" not in held,
                update and "R" not in held,
                update and "H" not in held,
            )
            return cost - shift, over, under

        def step() -> float:
            cost, over, under = swept(update=True)
            if "H" not in held:
                H[:] *= np.sqrt(over / np.where(under > 0, under, 1.0), where=under > 0, out=np.ones_like(H))
            _normalise(W, H, R_FNMM, held)
            return cost

        costs = iterate(step, self.n_iterations, callback)
        with one_blas_thread():
            last, _, _ = swept(update=False)
        return W, H, np.ascontiguousarray(np.swapaxes(R_FNMM, 0, 1)), np.append(costs[1:], last)

    def separate(self, X_FTM: Array) -> Array:
        """Return each source at its own spot, by the share the model gives it there (eq. 9).

        Under the log-determinant divergence by the multichannel Wiener filter.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another of its shape, such as one not yet brought to equal loudness.

        Returns
        -------
        S_FTN : complex, shape (F, T, N), of the dtype of `X_FTM`
        """
        X_FTM = self._fitted(X_FTM)
        if self.divergence == "log-det":
            return self._filtered(X_FTM, range(len(self.W_)), self.spots_.references)
        S_FTN = np.empty((*X_FTM.shape[:2], len(self.W_)), X_FTM.dtype)
        for n, mics in enumerate(self.spots_):
            S_FTN[..., n] = self.images(X_FTM, n, mics[:1])[..., 0]
        return S_FTN

    def images(self, X_FTM: Array, source: int, mics: Sequence[int] | None = None) -> Array:
        """Return one source at the microphones `mics` (all by default), (F, T, M); all sources sum to the mixture.

        At each microphone the source gets its share of what the model expects there, with the mixture's phase; under
        the log-determinant divergence what the multichannel Wiener filter expects, ``λ_n R_n X̂⁻¹ x``.
        """
        X_FTM = self._fitted(X_FTM)
        N, F, T = len(self.W_), *X_FTM.shape[:2]
        chosen = chosen_mics(source, mics, N, X_FTM.shape[2])
        if self.divergence == "log-det":
            return self._filtered(X_FTM, [source] * len(chosen), chosen)
        image_FTM = np.empty((F, T, len(chosen)), X_FTM.dtype)
        with one_blas_thread():
            for first in range(0, T, BLOCK):
                block = slice(first, min(first + BLOCK, T))
                H_NKB = np.ascontiguousarray(self.H_[:, :, block])
                P_NFB = np.stack([matmul(self.W_[n], H_NKB[n]) for n in range(N)])
                for i, m in enumerate(chosen):
                    level_NF = self.R_[:, :, m, m].real
                    mask_FB = spot_mask(P_NFB * level_NF[..., None], source)
                    image_FTM[:, block, i] = mask_FB * X_FTM[:, block, m]
        return image_FTM

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hyper-parameters and what was learned to an ``.npz`` file."""
        if not hasattr(self, "W_"):
            raise NotFittedError("this FullRankMNMF is not fitted yet; call fit first")
        save_arrays(path, self, "WHR", (*USUAL, "divergence"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FullRankMNMF:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        return load_arrays(path, cls, "WHR", (*USUAL, "divergence"))

    def _filtered(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int]) -> Array:
        """Return the image of ``sources[i]`` at ``mics[i]`` by the multichannel Wiener filter, (F, T, I)."""
        with one_blas_thread():
            image_FTI = logdet.images(
                np.ascontiguousarray(X_FTM),
                self.W_,
                self.H_,
                np.ascontiguousarray(np.swapaxes(self.R_, 0, 1)),
                _floors(_expected_powers(self.W_, self.H_, self.R_)),
                np.array(sources, np.int64),
                np.array(mics, np.int64),
            )
        for i, m in enumerate(mics):
            if not X_FTM[..., m].any():
                image_FTI[..., i] = 0  # what a dead microphone would have heard is nobody's stem
        return image_FTI

    def _start(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return the checked starting values W, H, R, and the spots."""
        F, T, M = X_FTM.shape
        N, K, spots = sizes_and_spots(prior, X_FTM, self.n_sources, self.n_components, "WHR")
        W = rng.uniform(0.5, 1.5, (N, F, K)) if prior.W is None else prior.W
        H = rng.uniform(0.5, 1.5, (N, K, T)) if prior.H is None else prior.H
        if prior.R is not None:
            R = check_array("prior.R", prior.R, (N, F, M, M), "(N, F, M, M)")
            if np.abs(R - np.conj(np.swapaxes(R, -1, -2))).max() > 1e-6 * np.abs(R).max():
                raise ArgumentError("prior.R must be Hermitian in its last two axes")
            if np.linalg.eigvalsh(R).min() < -1e-6 * np.abs(R).max():
                raise ArgumentError("prior.R must be positive semidefinite; one of its eigenvalues is negative")
        else:
            root = rng.standard_normal((2, N, F, M, M)) / np.sqrt(2 * M)
            root = root[0] + 1j * root[1]
            R = root @ np.conj(np.swapaxes(root, -1, -2))

        def own(value: Array, dtype: type) -> Array:
            return np.array(value, dtype, order="C")  # a copy: the prior is never changed

        return own(W, np.float64), own(H, np.float64), own(R, np.complex128), spots

    def _fitted(self, X_FTM: Array) -> Array:
        if not hasattr(self, "W_"):
            raise NotFittedError("this FullRankMNMF is not fitted yet; call fit first")
        X_FTM = check_spectrogram(X_FTM)
        wanted = (self.W_.shape[1], self.H_.shape[2], self.R_.shape[2])
        if X_FTM.shape != wanted:
            raise ArgumentError(f"X_FTM must have the shape that was fitted, {wanted}, got {X_FTM.shape}")
        return X_FTM


def _expected_powers(W_NFK: Array, H_NKT: Array, R_NFMM: Array) -> Array:
    """Return what the model expects at each frequency, (F,), the mean over frames and microphones."""
    level_NF = np.einsum("nfii->nf", R_NFMM).real / R_NFMM.shape[2]
    return np.asarray(np.einsum("nfk,nk,nf->f", W_NFK, H_NKT.mean(axis=2), level_NF))


def _floors(power_F: Array) -> Array:
    """Return the floor of the log-det model at each frequency, given the mean power there."""
    return np.asarray(FLOOR * power_F + FLOOR_OF_ALL * (float(power_F.mean()) or 1.0))


def _normalise(W_NFK: Array, H_NKT: Array, R_FNMM: Array, held: frozenset[str]) -> None:
    """Bring tr(R) to M and the columns of W to sum 1, in place; no cost changes and nothing held is touched."""
    if not held & {"W", "R"}:
        level_FN = np.einsum("fnii->fn", R_FNMM).real / R_FNMM.shape[2]
        level_FN[level_FN == 0] = 1
        R_FNMM /= level_FN[..., None, None]
        W_NFK *= level_FN.T[..., None]
    if not held & {"W", "H"}:
        scale_NK = W_NFK.sum(axis=1)
        scale_NK[scale_NK == 0] = 1
        W_NFK /= scale_NK[:, None, :]
        H_NKT *= scale_NK[:, :, None]
