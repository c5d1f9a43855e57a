"""Full-rank multichannel NMF, Euclidean.

P. Cabañas-Molero, J. Carabias-Orti, A. J. Muñoz-Montoro and P. Vera-Candeas, "Pre-trained spatial priors on
multichannel NMF for music source separation", Forum Acusticum 2023, eq. 3 to 6 and 9; after H. Sawada, H. Kameoka,
S. Araki and N. Ueda, "Multichannel extensions of non-negative matrix factorization with complex-valued data", IEEE
Transactions on Audio, Speech, and Language Processing 21(5), 2013.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, NotFittedError, check_array, check_count, check_rng, check_spectrogram
from mnmf.kernels import fullrank as kernels
from mnmf.kernels import one_blas_thread
from mnmf.kernels.matmul import matmul
from mnmf.models._iterate import Callback, iterate
from mnmf.models._saved import load_arrays, save_arrays
from mnmf.models._start import chosen_mics, sizes_and_spots
from mnmf.priors import Prior
from mnmf.wiener import spot_mask

__all__ = ["FullRankMNMF"]

Array = NDArray[Any]

BLOCK = 256  # frames reconstructed at once, so that no array holds every source at every frame


class FullRankMNMF:
    """Full-rank multichannel NMF under the squared Euclidean distance.

    The observed covariance ``X_ft = x̃x̃ᴴ``, magnitudes on its diagonal (eq. 3), is modelled as ``Σ_n λ_nft R_nf`` with
    ``λ_n = W_n H_n`` (eq. 4).  Any of W, H and R may be held by the prior: with R from solo passages and both R and W
    held this is the paper's fixH, with W held its updtH, and with W held and no R given its blind variant.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.
    n_sources : int, optional
        Number of sources N.

    Attributes
    ----------
    W_ : float64 (N, F, K)
        Bases.
    H_ : float64 (N, K, T)
        Activations.
    R_ : complex128 (N, F, M, M)
        Spatial covariances, Hermitian positive semidefinite.
    cost_ : float64 (iterations,)
        ``Σ_ft ‖X_ft − Σ_n λ_nft R_nf‖²`` after each iteration; it never rises.
    spots_ : tuple of tuples of int
        The microphones of each source, the reference spot first.
    """

    def __init__(self, n_components: int = 64, n_iterations: int = 50, n_sources: int | None = None) -> None:
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
    ) -> FullRankMNMF:
        """Learn what the prior leaves open.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            Spectrogram of the mixture.
        prior : Prior, optional
            Starting values among W, H and R, and which of them to hold.
        rng : numpy.random.Generator or int
            Draws what the prior does not give: W and H uniform with mean 1, R random and positive definite.
        callback : callable, optional
            Called with the number of iterations done and the cost; ends the fit by returning true.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together; or more sources than microphones and no W held to tell them apart.
        """
        X_FTM = check_spectrogram(X_FTM)
        check_count("n_iterations", self.n_iterations)
        W, H, R, spots, held = self._start(X_FTM, prior or Prior(), check_rng(rng))
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

        self.cost_ = iterate(step, self.n_iterations, callback)
        self.W_, self.H_, self.R_, self.spots_ = W, H, R, spots
        return self

    def separate(self, X_FTM: Array) -> Array:
        """Return each source at its own spot, by the share the model gives it there (eq. 9).

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another of its shape, such as one not yet brought to equal loudness.

        Returns
        -------
        S_FTN : complex, shape (F, T, N), of the dtype of `X_FTM`
        """
        X_FTM = self._fitted(X_FTM)
        S_FTN = np.empty((*X_FTM.shape[:2], len(self.W_)), X_FTM.dtype)
        for n, mics in enumerate(self.spots_):
            S_FTN[..., n] = self.images(X_FTM, n, mics[:1])[..., 0]
        return S_FTN

    def images(self, X_FTM: Array, source: int, mics: Sequence[int] | None = None) -> Array:
        """Return one source at the microphones `mics` (all by default), (F, T, M); all sources sum to the mixture.

        At each microphone the source gets its share of what the model expects there, with the mixture's phase.
        """
        X_FTM = self._fitted(X_FTM)
        N, F, T = len(self.W_), *X_FTM.shape[:2]
        chosen = chosen_mics(source, mics, N, X_FTM.shape[2])
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
        save_arrays(path, self, "WHR")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FullRankMNMF:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        return load_arrays(path, cls, "WHR")

    def _start(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return the checked starting values: W, H, R, spots and the names held."""
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

        return own(W, np.float64), own(H, np.float64), own(R, np.complex128), spots, prior.held

    def _fitted(self, X_FTM: Array) -> Array:
        if not hasattr(self, "W_"):
            raise NotFittedError("this FullRankMNMF is not fitted yet; call fit first")
        X_FTM = check_spectrogram(X_FTM)
        wanted = (self.W_.shape[1], self.H_.shape[2], self.R_.shape[2])
        if X_FTM.shape != wanted:
            raise ArgumentError(f"X_FTM must have the shape that was fitted, {wanted}, got {X_FTM.shape}")
        return X_FTM
