"""NTF panning: non-negative tensor factorisation in which a source has one gain at each microphone.

J. Carabias-Orti, M. Cobos, P. Vera-Candeas and F. J. Rodríguez-Serrano, "Nonnegative signal factorization with learnt
instrument models for sound source separation in close-microphone recordings", EURASIP Journal on Advances in Signal
Processing, 2013; the powers of the steps after C. Févotte and J. Idier, "Algorithms for nonnegative matrix
factorization with the β-divergence", Neural Computation 23(9), 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_count, check_number
from mnmf.kernels import ntf as kernels
from mnmf.kernels.matmul import matmul
from mnmf.models._bands import bands
from mnmf.models._masks import masked_images
from mnmf.models._model import Model, Updates
from mnmf.models._start import check_orientation, sizes_and_spots
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["NTFPanning"]

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]

FLOOR = 1e-10  # of the mean power of the mixture, as a power: lower bound of the modelled power


class NTFPanning(Model):
    """Magnitudes at the microphones as a non-negative tensor, one gain for each source and microphone.

    ``|x_ftm|^p ≈ Σ_n g_nm λ_nft`` with ``λ_n = W_n H_n`` under the β-divergence; the gains are the same at all
    frequencies, the panning.  W, H and G follow multiplicative rules; any of them may be held by the prior: with G
    from `priors.solo_panning`, held, this is the paper's method with known panning.  Images are those of the Wiener
    filter of the modelled powers, the mask ``(g_nm λ_nft)^(2/p) / Σ_r (g_rm λ_rft)^(2/p)``.

    Parameters
    ----------
    n_components : int
        Bases per source, K; the prior's W or H decides if it has one.
    n_iterations : int
        Updates of every block that is not held.
    n_sources : int, optional
        Number of sources N; by default the prior's, else that of the microphones.
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
    spots_ : Spots or None
        The microphones of each source, the reference spot first; None where a G of their own is all that tells more
        sources than microphones apart.

    Notes
    -----
    The prior may give W, H and G and hold any of them.  W may be of frequencies, which are then pooled like the data,
    or of bands.  What it does not give is drawn: W and H uniform, G uniform with rows summing to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import NTFPanning, Prior
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((9, 20, 2)) + 1j * rng.standard_normal((9, 20, 2))
    >>> panning = Prior(G=[[1, 0.3], [0.2, 1]]).hold("G")
    >>> model = NTFPanning(4, 5, beta=1.0).fit(X_FTM, panning)
    >>> model
    NTFPanning(n_components=4, n_iterations=5, beta=1.0)
    >>> model.G_.tolist(), model.separate(X_FTM).shape
    ([[1.0, 0.3], [0.2, 1.0]], (9, 20, 2))
    """

    learns: ClassVar[dict[str, str]] = {"W": "NBK", "H": "NKT", "G": "NM"}

    W_: Array
    H_: Array
    G_: Array

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

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> Updates:
        beta = check_number("beta", self.beta, 0.0, 4.0)
        exponent = check_number("exponent", self.exponent, 0.25, 4.0)
        edges = self._edges(len(X_FTM))
        if edges is None:
            check_orientation(prior, X_FTM)
        elif prior.W is not None and np.shape(prior.W)[1:2] == (len(X_FTM),):
            W = check_array("prior.W", prior.W, (None, len(X_FTM), None), "(N, F, K)", nonnegative=True)
            prior = replace(prior, W=_pooled(W.astype(np.float64) ** (2 / exponent), edges, 1) ** (exponent / 2))
        V_MBT, level = _magnitudes(X_FTM, exponent, edges)
        M, B, T = V_MBT.shape
        N, K, spots = sizes_and_spots(prior, (B, T, M), self.n_sources, self.n_components, "WHG")
        W = rng.uniform(0.5, 1.5, (N, B, K)) if prior.W is None else np.asarray(prior.W) / level
        H = rng.uniform(0.5, 1.5, (N, K, T)) / K if prior.H is None else prior.H
        if prior.G is None:
            G = rng.uniform(0.5, 1.5, (N, M))
            G /= G.sum(axis=1, keepdims=True)
        else:
            G = check_array("prior.G", prior.G, (N, M), "(N, M)", nonnegative=True)
        return _Updates(V_MBT, level, prior, W, H, G, spots, beta, FLOOR ** (exponent / 2))

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        H_NKT, edges = given["H"], self._edges(len(X_FTM))

        def powers(block: slice) -> Array:
            V_NFB: Array = np.stack([matmul(W, np.ascontiguousarray(H[:, block])) for W, H in zip(self.W_, H_NKT)])
            if self.exponent == 2:
                return V_NFB
            return np.asarray(np.square(V_NFB) if self.exponent == 1 else V_NFB ** (2 / self.exponent))

        def at_mic(V_NFB: Array, m: int) -> Array:
            share_N = self.G_[:, m] ** (2 / self.exponent)
            return np.asarray(V_NFB * share_N[:, None, None])

        if edges is None:
            return masked_images(X_FTM, sources, mics, powers, at_mic)
        widths = np.diff(edges)
        return masked_images(X_FTM, sources, mics, powers, at_mic, lambda mask_BT: np.repeat(mask_BT, widths, axis=0))

    def _edges(self, n_frequencies: int) -> Array | None:
        if self.bands_per_octave is None:
            return None
        return bands(n_frequencies, check_count("bands_per_octave", self.bands_per_octave), 1)

    def _n_frequencies(self) -> int | None:
        return self._length("B") if self.bands_per_octave is None else None

    def _checked(self, X_FTM: Any) -> Array:
        data_FTM = super()._checked(X_FTM)
        edges = self._edges(len(data_FTM))
        if edges is not None and len(edges) - 1 != self._length("B"):
            raise ArgumentError(
                f"X_FTM must have the frequencies of the {self._length('B')} bands fitted, got {len(data_FTM)}"
            )
        return data_FTM


class _Updates(Updates):
    """The fit, for data of mean power 1: W is kept in units of `level`, and H has frames before bases."""

    def __init__(
        self,
        V_MBT: Array,
        level: float,
        prior: Prior,
        W_NBK: Array,
        H_NKT: Array,
        G_NM: Array,
        spots: Spots | None,
        beta: float,
        floor: float,
    ) -> None:
        kind = V_MBT.dtype.type
        self.V, self.level, self.beta, self.floor = V_MBT, kind(level), beta, floor
        self.held, self.spots = prior.held, spots
        W, H, G = (np.array(value, kind, order="C") for value in (W_NBK, H_NKT, G_NM))  # copies
        self.W, self.H_NTK, self.G = W, np.ascontiguousarray(H.swapaxes(1, 2)), G
        # Scaling there and back would change the last bits of what is held.
        self.held_W = np.array(prior.W, kind) if "W" in self.held else None
        self.constant = kernels.constant_of(V_MBT, beta, floor)

    def step(self) -> float:
        costs = []  # the first one is that of the whole state before this step
        if "W" not in self.held:
            self.W, cost = kernels.update_w(self.V, self.W, self.H_NTK, self.G, self.beta, self.floor)
            costs.append(cost)
        if "H" not in self.held:
            self.H_NTK, cost = kernels.update_h(self.V, self.W, self.H_NTK, self.G, self.beta, self.floor, not costs)
            costs.append(cost)
        if "G" not in self.held:
            self.G, cost = kernels.update_g(self.V, self.W, self.H_NTK, self.G, self.beta, self.floor, not costs)
            costs.append(cost)
        if not costs:
            costs.append(self._cost())
        _normalise(self.W, self.H_NTK, self.G, self.held)
        return self.constant + costs[0]

    def state(self) -> tuple[float, dict[str, Any]]:
        W = self.W * self.level if self.held_W is None else self.held_W
        H = np.ascontiguousarray(self.H_NTK.swapaxes(1, 2))
        return self.constant + self._cost(), {"W": W, "H": H, "G": self.G}

    def replace(self, values: dict[str, Array]) -> None:
        if "W" in values:
            self.W = values["W"] / self.level
            if self.held_W is not None:
                self.held_W = values["W"]
        if "H" in values:
            self.H_NTK = np.ascontiguousarray(values["H"].swapaxes(1, 2))
        self.G = values.get("G", self.G)

    def _cost(self) -> float:
        return kernels.cost(self.V, self.W, self.H_NTK, self.G, self.beta, self.floor)


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
