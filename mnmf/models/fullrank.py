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
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, NotFittedError, check_array, check_count, check_rng, check_spectrogram
from mnmf.kernels import fullrank as kernels
from mnmf.kernels import one_blas_thread
from mnmf.kernels.matmul import matmul
from mnmf.models._iterate import Callback, iterate
from mnmf.priors import Prior
from mnmf.priors._prior import as_spots
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
        # The cost is quadratic in the scale of X, and squares of squares of 16-bit integers are still exact in float64.
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
        if not 0 <= source < N:
            raise ArgumentError(f"source must be from 0 to {N - 1}, got {source}")
        M = X_FTM.shape[2]
        chosen = range(M) if mics is None else list(mics)
        if not all(0 <= m < M for m in chosen):
            raise ArgumentError(f"mics must be from 0 to {M - 1}, got {list(chosen)}")
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
        with open(path, "wb") as file:
            np.savez_compressed(
                file,
                model="FullRankMNMF",
                n_components=self.n_components,
                n_iterations=self.n_iterations,
                n_sources=-1 if self.n_sources is None else self.n_sources,
                W=self.W_,
                H=self.H_,
                R=self.R_,
                cost=self.cost_,
                spots=np.concatenate([np.array(mics, np.int64) for mics in self.spots_]),
                spots_per_source=np.array([len(mics) for mics in self.spots_]),
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FullRankMNMF:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                saved = dict(arrays)
        except (ValueError, TypeError, OSError, EOFError, BadZipFile) as error:
            raise ArgumentError(f"{path} cannot be read as a saved model: {error}") from error
        missing = {"n_components", "n_iterations", "n_sources", "W", "H", "R", "cost", "spots", "spots_per_source"}
        if str(saved.get("model")) != "FullRankMNMF" or not saved.keys() >= missing:
            raise ArgumentError(f"{path} does not hold a FullRankMNMF; give a file that save wrote")
        n_sources = int(saved["n_sources"])
        model = cls(int(saved["n_components"]), int(saved["n_iterations"]), None if n_sources < 0 else n_sources)
        model.W_, model.H_, model.R_, model.cost_ = saved["W"], saved["H"], saved["R"], saved["cost"]
        ends = np.cumsum(saved["spots_per_source"])[:-1]
        model.spots_ = as_spots([mics.tolist() for mics in np.split(saved["spots"], ends)])
        return model

    def _start(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return the checked starting values: W, H, R, spots and the names held."""
        F, T, M = X_FTM.shape
        N = self.n_sources if self.n_sources is not None else (prior.n_sources or M)
        check_count("n_sources", N)
        for name in sorted(prior.held & {"W", "H", "R"}):
            if getattr(prior, name) is None:
                raise ArgumentError(f"the prior holds {name} but gives none; give a value or release it")
        K = self.n_components
        if prior.W is not None:
            W = check_array("prior.W", prior.W, (N, F, None), "(N, F, K)", nonnegative=True)
            K = W.shape[2]
        elif prior.H is not None:
            K = check_array("prior.H", prior.H, (N, None, T), "(N, K, T)").shape[1]
        check_count("n_components", K)

        if prior.W is None:
            W = rng.uniform(0.5, 1.5, (N, F, K))
        if prior.H is not None:
            H = check_array("prior.H", prior.H, (N, K, T), "(N, K, T)", nonnegative=True)
        else:
            H = rng.uniform(0.5, 1.5, (N, K, T))
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

        if N > M and not (prior.W is not None and "W" in prior.held):
            raise ArgumentError(
                f"{N} sources on {M} microphones need bases that tell them apart: give a prior with W, and hold it"
            )
        spots = prior.spots if prior.spots is not None else as_spots(range(min(N, M)))
        if len(spots) != N:
            raise ArgumentError(f"{N} sources need {N} spots, got {len(spots)}; name them in the prior's spots")
        if max(max(mics) for mics in spots) >= M:
            raise ArgumentError(f"spots name microphone {max(map(max, spots))}, but there are only {M}, from 0 on")

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
