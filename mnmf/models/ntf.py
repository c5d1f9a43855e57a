"""NTF panning: non-negative tensor factorisation in which a source has one gain at each microphone.

J. Carabias-Orti, M. Cobos, P. Vera-Candeas and F. J. Rodríguez-Serrano, "Nonnegative signal factorization with learnt
instrument models for sound source separation in close-microphone recordings", EURASIP Journal on Advances in Signal
Processing, 2013; the powers of the steps after C. Févotte and J. Idier, "Algorithms for nonnegative matrix
factorization with the β-divergence", Neural Computation 23(9), 2011.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import (
    ArgumentError,
    NotFittedError,
    check_array,
    check_count,
    check_number,
    check_rng,
    check_spectrogram,
)
from mnmf.kernels import ntf as kernels
from mnmf.kernels import one_blas_thread
from mnmf.kernels.matmul import matmul
from mnmf.models._bands import bands
from mnmf.models._iterate import Callback, iterate
from mnmf.models._saved import USUAL, load_arrays, save_arrays
from mnmf.models._start import chosen_mics, sizes_and_spots
from mnmf.priors import Prior
from mnmf.wiener import spot_mask

__all__ = ["NTFPanning"]

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]

FLOOR = 1e-10  # of the mean power of the mixture, as a power: what the model expects where it expects nothing
BLOCK = 256  # frames reconstructed at once, so that no array holds every source at every frame
OPTIONS = ("beta", "exponent", "bands_per_octave")


class NTFPanning:
    """Magnitudes at the microphones as a non-negative tensor, one gain for each source and microphone.

    ``|x_ftm|^p ≈ Σ_n g_nm λ_nft`` with ``λ_n = W_n H_n`` under the β-divergence; the gains are the same at all
    frequencies, the panning.  W, H and G follow multiplicative rules; any of them may be held by the prior: with G
    from `priors.solo_panning`, held, this is the paper's method with known panning.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.
    n_sources : int, optional
        Number of sources N.
    beta : float
        Of the divergence, 0 to 4: 2 is Euclidean, 1 Kullback-Leibler, 0 Itakura-Saito.
    exponent : float
        The data are magnitudes to this power p: 1 for magnitudes, 2 for powers.  With 2 and β = 0 this is FastMNMF2
        with Q held at the identity.
    bands_per_octave : int, optional
        Pools frequencies into bands of this part of an octave before anything is learned; 48 is the paper's quarter
        semitone.  A band holds at least one frequency, so the low ones stay as they are.  The frequencies of `fit`
        are taken to begin at 0 Hz.

    Attributes
    ----------
    W_ : float (N, B, K)
        Bases, of the B = F frequencies, or of the bands; float32 for complex64 data, else float64.
    H_ : float (N, K, T)
        Activations.
    G_ : float (N, M)
        Panning; rows sum to 1 unless held.
    cost_ : float64 (iterations,)
        The β-divergence after each iteration, of data scaled to a mean power of 1.
    spots_ : tuple of tuples of int
        The microphones of each source, the reference spot first.
    """

    def __init__(
        self,
        n_components: int = 64,
        n_iterations: int = 50,
        n_sources: int | None = None,
        beta: float = 1.5,
        exponent: float = 1.0,
        bands_per_octave: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.beta = beta
        self.exponent = exponent
        self.bands_per_octave = bands_per_octave

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> NTFPanning:
        """Learn what the prior leaves open.

        Parameters
        ----------
        X_FTM : complex64 or complex128, shape (F, T, M)
            Spectrogram of the mixture.
        prior : Prior, optional
            Starting values among W, H and G, and which of them to hold.  W may be of frequencies, which are then
            pooled like the data, or of bands.
        rng : numpy.random.Generator or int
            Draws what the prior does not give: W and H uniform, G uniform, its rows summing to 1.
        callback : callable, optional
            Called with the number of iterations done and the cost before the last one; ends the fit by returning true.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together, a number out of range; or more sources than microphones and no W held to
            tell them apart.
        """
        X_FTM = check_spectrogram(X_FTM)
        check_count("n_iterations", self.n_iterations)
        beta = check_number("beta", self.beta, 0.0, 4.0)
        exponent = check_number("exponent", self.exponent, 0.25, 4.0)
        edges = self._edges(len(X_FTM))
        prior = prior or Prior()
        if edges is not None and prior.W is not None and np.shape(prior.W)[1:2] == (len(X_FTM),):
            W = check_array("prior.W", prior.W, (None, len(X_FTM), None), "(N, F, K)", nonnegative=True)
            prior = replace(prior, W=_pooled(W.astype(np.float64) ** (2 / exponent), edges, 1) ** (exponent / 2))
        V_MBT, level = _magnitudes(X_FTM, exponent, edges)
        W, H, G, spots = self._start(V_MBT, prior, level, check_rng(rng))
        held = prior.held
        floor = FLOOR ** (exponent / 2)
        H_NTK = np.ascontiguousarray(H.swapaxes(1, 2))
        constant = kernels.constant_of(V_MBT, beta, floor)

        def step() -> float:
            nonlocal W, H_NTK, G
            costs = []  # the first one is that of the whole state before this step
            if "W" not in held:
                W, cost = kernels.update_w(V_MBT, W, H_NTK, G, beta, floor)
                costs.append(cost)
            if "H" not in held:
                H_NTK, cost = kernels.update_h(V_MBT, W, H_NTK, G, beta, floor, not costs)
                costs.append(cost)
            if "G" not in held:
                G, cost = kernels.update_g(V_MBT, W, H_NTK, G, beta, floor, not costs)
                costs.append(cost)
            if not costs:
                costs.append(kernels.cost(V_MBT, W, H_NTK, G, beta, floor))
            _normalise(W, H_NTK, G, held)
            return constant + costs[0]

        costs = iterate(step, self.n_iterations, callback)
        with one_blas_thread():
            last = constant + kernels.cost(V_MBT, W, H_NTK, G, beta, floor)
        self.cost_ = np.append(costs[1:], last)
        # Scaling there and back would change the last bits of what is held.
        self.W_ = np.array(prior.W, W.dtype) if "W" in held else W * W.dtype.type(level)
        self.H_ = np.ascontiguousarray(H_NTK.swapaxes(1, 2))
        self.G_, self.spots_ = G, spots
        return self

    def separate(self, X_FTM: Array) -> Array:
        """Return each source at its own spot, by its share of the power the model expects there.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another of its shape.

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

        The mask is ``(g_nm λ_nft)^(2/p) / Σ_r (g_rm λ_rft)^(2/p)``: the Wiener filter of the modelled powers.
        """
        X_FTM = self._fitted(X_FTM)
        N, F, T = len(self.W_), *X_FTM.shape[:2]
        chosen = chosen_mics(source, mics, N, X_FTM.shape[2])
        edges = self._edges(F)
        image_FTM = np.empty((F, T, len(chosen)), X_FTM.dtype)
        with one_blas_thread():
            for first in range(0, T, BLOCK):
                block = slice(first, min(first + BLOCK, T))
                V_NFB = np.stack([matmul(W, np.ascontiguousarray(H[:, block])) for W, H in zip(self.W_, self.H_)])
                if self.exponent != 2:
                    V_NFB = np.square(V_NFB) if self.exponent == 1 else V_NFB ** (2 / self.exponent)
                for i, m in enumerate(chosen):
                    share_N = self.G_[:, m] ** (2 / self.exponent)
                    mask_FB = spot_mask(V_NFB * share_N[:, None, None], source)
                    if edges is not None:
                        mask_FB = np.repeat(mask_FB, np.diff(edges), axis=0)
                    image_FTM[:, block, i] = mask_FB * X_FTM[:, block, m]
        return image_FTM

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hyper-parameters and what was learned to an ``.npz`` file."""
        if not hasattr(self, "G_"):
            raise NotFittedError("this NTFPanning is not fitted yet; call fit first")
        save_arrays(path, self, "WHG", USUAL + OPTIONS)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NTFPanning:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        return load_arrays(path, cls, "WHG", USUAL + OPTIONS)

    def _edges(self, n_frequencies: int) -> Array | None:
        if self.bands_per_octave is None:
            return None
        return bands(n_frequencies, check_count("bands_per_octave", self.bands_per_octave), 1)

    def _start(self, V_MBT: Array, prior: Prior, level: float, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return the checked starting values W, H and G, in units of the scaled data, and the spots."""
        M, B, T = V_MBT.shape
        like_BTM = np.broadcast_to(np.zeros(1), (B, T, M))
        N, K, spots = sizes_and_spots(prior, like_BTM, self.n_sources, self.n_components, "WHG")
        kind = V_MBT.dtype.type

        def own(value: Array) -> Array:
            return np.array(value, kind, order="C")  # a copy: the prior is never changed

        W = own(rng.uniform(0.5, 1.5, (N, B, K)) if prior.W is None else np.asarray(prior.W) / level)
        H = own(rng.uniform(0.5, 1.5, (N, K, T)) / K if prior.H is None else prior.H)
        if prior.G is None:
            G = rng.uniform(0.5, 1.5, (N, M))
            G /= G.sum(axis=1, keepdims=True)
        else:
            G = check_array("prior.G", prior.G, (N, M), "(N, M)", nonnegative=True)
        return W, H, own(G), spots

    def _fitted(self, X_FTM: Array) -> Array:
        if not hasattr(self, "G_"):
            raise NotFittedError("this NTFPanning is not fitted yet; call fit first")
        X_FTM = check_spectrogram(X_FTM)
        wanted = (self.W_.shape[1], self.H_.shape[2], self.G_.shape[1])
        edges = self._edges(len(X_FTM))
        n_bands = len(X_FTM) if edges is None else len(edges) - 1
        if (n_bands, *X_FTM.shape[1:]) != wanted:
            raise ArgumentError(f"X_FTM must have the shape that was fitted, {wanted}, got {X_FTM.shape}")
        return X_FTM


def _magnitudes(X_FTM: Array, exponent: float, edges: Array | None) -> tuple[Array, float]:
    """Return |x|^p of the bands at mean power 1, microphone by microphone, and by what it was divided.

    The magnitude of a band is the root of its power.
    """
    F, T, M = X_FTM.shape
    kind: Any = np.float32 if X_FTM.dtype == np.complex64 else np.float64
    B = F if edges is None else len(edges) - 1
    V_MBT = np.empty((M, B, T), kind)
    for m in range(M):
        power_FT = np.abs(X_FTM[..., m]) ** 2
        V_MBT[m] = power_FT if edges is None else _pooled(power_FT, edges, 0)
    power = float(np.mean(V_MBT, dtype=np.float64)) or 1.0
    V_MBT /= kind(power)
    if exponent != 2:
        V_MBT = np.sqrt(V_MBT, out=V_MBT) if exponent == 1 else V_MBT ** kind(exponent / 2)
    return V_MBT, power ** (exponent / 2)


def _pooled(values: Array, edges: Array, axis: int) -> Array:
    """Return the sums over the frequencies of each band."""
    return np.asarray(np.add.reduceat(values, edges[:-1], axis=axis))


def _normalise(W_NBK: Floats, H_NTK: Floats, G_NM: Floats, held: frozenset[str]) -> None:
    """Bring rows of G and columns of W to sum 1, in place; the cost does not change and nothing held is touched."""
    if "G" not in held and not {"W", "H"} <= held:
        scale_N = G_NM.sum(axis=1)
        scale_N[scale_N == 0] = 1
        G_NM /= scale_N[:, None]
        if "H" in held:
            W_NBK *= scale_N[:, None, None]
        else:
            H_NTK *= scale_N[:, None, None]
    if not held & {"W", "H"}:
        scale_NK = W_NBK.sum(axis=1)
        scale_NK[scale_NK == 0] = 1
        W_NBK /= scale_NK[:, None, :]
        H_NTK *= scale_NK[:, None, :]
