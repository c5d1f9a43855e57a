"""Kernel additive modelling for interference reduction (KAMIR).

T. Prätzlich, R. M. Bittner, A. Liutkus and M. Müller, "Kernel additive modeling for interference reduction in
multi-channel music recordings", IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP),
2015; with random projections after D. Di Carlo, A. Liutkus and K. Déguernel, "Interference reduction on full-length
live recordings", ICASSP, 2018.
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
    check_number,
    check_rng,
    check_spectrogram,
)
from mnmf.kernels import kamir as kernels
from mnmf.models._iterate import Callback, iterate
from mnmf.models._saved import load_arrays, save_arrays
from mnmf.models._start import chosen_mics, sizes_and_spots
from mnmf.priors import Prior
from mnmf.spots import Spots
from mnmf.wiener import spot_mask

__all__ = ["KAMIR", "KERNELS"]

Array = NDArray[Any]

KERNELS = ("none", "time", "frequency", "cross")
FLOOR = 1e-10  # of the mean power: far below what anyone hears
BLOCK = 256  # frames reconstructed at once, so that no second array holds every source at every frame

PARAMETERS = ("n_iterations", "n_sources", "exponent", "kernel", "kernel_size", "bleed", "least", "n_projections")


class KAMIR:
    """Kernel additive modelling for interference reduction.

    What source n adds to microphone m is ``g_nfm p_nft``: what it plays, free at every point, times how much of that
    reaches the microphone.  The masks ``g_nfm p_nft / Σ_r g_rfm p_rft`` give the images.  Each iteration takes p from
    the images at a source's own spots, smooths it with a median over its neighbours (the kernel, which says what
    neighbours have in common), and updates g under the Itakura-Saito divergence.

    Parameters
    ----------
    n_iterations : int
        Updates of P, and of G where it is not held.
    n_sources : int, optional
        Number of sources N; at most that of the microphones.
    exponent : float
        The model is of magnitudes to this power: 2 for powers, which are what add up if sources are Gaussian, down to
        1 for heavier tails.
    kernel : {"time", "frequency", "cross", "none"}
        Neighbours over which P is the median: the same frequency (steady tones), the same frame (percussion), both,
        or none.
    kernel_size : int
        Points in the kernel, in each direction of a cross; odd.
    bleed : float
        Where G starts, outside the own spots, if the prior says nothing: a share of the power.
    least : float
        The minimal bleed: no entry of G gets below it.
    n_projections : int, optional
        Learn G from this many sums over randomly chosen frames rather than from every frame (Di Carlo et al. 2018); all
        frames if there are no more than that.

    Attributes
    ----------
    P_ : float32 or float64 as the spectrogram, (N, F, T)
        Magnitude to the power `exponent` of each source at its reference spot.
    G_ : float64 (N, F, M)
        The interference gains λ of the paper, in the same unit, 1 at the reference spot.
    cost_ : float64 (iterations,)
        Itakura-Saito distance of the microphones, or of their projections, from the model after each iteration.  The
        update of G never raises it; that of P takes P from the masks and may.
    spots_ : tuple of tuples of int
        The microphones of each source, the reference spot first.
    """

    def __init__(
        self,
        n_iterations: int = 10,
        n_sources: int | None = None,
        *,
        exponent: float = 1.5,
        kernel: str = "time",
        kernel_size: int = 3,
        bleed: float = 0.1,
        least: float = 1e-4,
        n_projections: int | None = None,
    ) -> None:
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.exponent = exponent
        self.kernel = kernel
        self.kernel_size = kernel_size
        self.bleed = bleed
        self.least = least
        self.n_projections = n_projections

    def fit(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> KAMIR:
        """Learn what each source plays and, where the prior does not hold it, how it reaches the microphones.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            Spectrogram of the mixture.
        prior : Prior, optional
            Its `R`, as `priors.solo_covariances` gives it, or else its `G`, as `priors.solo_panning` or
            `priors.spot_panning` does, starts G: the magnitudes on the diagonal of R, or G, relative to the own spot
            and to the power `exponent`.  Holding the one that is used holds G.  An entry below `least` is raised to it.
        rng : numpy.random.Generator or int
            Draws the random projections; nothing else is random.
        callback : callable, optional
            Called with the number of iterations done and the cost; ends the fit by returning true.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together; two sources with the same reference spot, which their masks there could not
            tell apart; or a hyper-parameter out of range.
        """
        X_FTM = check_spectrogram(X_FTM)
        bins, frames = self._checked_kernel()
        generator = check_rng(rng)
        prior = prior or Prior()
        N, _, spots = sizes_and_spots(prior, X_FTM, self.n_sources, 1, "GR")
        spots.check(X_FTM.shape[2], apart="this model needs one for each source")
        F, T, M = X_FTM.shape
        references = spots.references
        G_NFM = self._start(prior, spots, (N, F, M))
        held = ("G" if prior.R is None else "R") in prior.held
        free_NM = np.ones((N, M), np.bool_)
        free_NM[range(N), references] = False
        own_NM = np.zeros((N, M))
        for n, mics in enumerate(spots):
            own_NM[n, list(set(mics))] = 1 / len(set(mics))

        V_MFT = kernels.powers(X_FTM, float(self.exponent))
        floor = FLOOR * float(np.mean(V_MFT, dtype=np.float64)) + float(np.finfo(V_MFT.dtype).tiny)
        P_NFT = np.stack([V_MFT[m] for m in references])
        Q = T if self.n_projections is None else min(self.n_projections, T)
        group_T = generator.permutation(T) % Q
        seen_MFQ = V_MFT if Q == T else kernels.project(V_MFT, group_T, Q)

        def step() -> float:
            nonlocal P_NFT, G_NFM
            P_NFT = kernels.source_powers(V_MFT, P_NFT, G_NFM, own_NM, float(self.exponent), floor)
            if len(bins) > 1:
                P_NFT = kernels.median(P_NFT, bins, frames)
            played_NFQ = P_NFT if Q == T else kernels.project(P_NFT, group_T, Q)
            if not held:
                G_NFM = kernels.update_gains(seen_MFQ, played_NFQ, G_NFM, free_NM, floor, float(self.least))
            return float(np.sum(kernels.distances(seen_MFQ, played_NFQ, G_NFM, floor)))

        self.cost_ = iterate(step, self.n_iterations, callback)
        self.P_, self.G_, self.spots_ = P_NFT, G_NFM, spots
        return self

    def separate(self, X_FTM: Array) -> Array:
        """Return each source at its own spot, by its mask there.

        Parameters
        ----------
        X_FTM : complex, shape (F, T, M)
            The spectrogram that was fitted, or another of its shape, such as one not yet brought to equal loudness.

        Returns
        -------
        S_FTN : complex, shape (F, T, N), of the dtype of `X_FTM`
        """
        X_FTM = self._fitted(X_FTM)
        S_FTN = np.empty((*X_FTM.shape[:2], len(self.P_)), X_FTM.dtype)
        for n, mics in enumerate(self.spots_):
            S_FTN[..., n] = self.images(X_FTM, n, mics[:1])[..., 0]
        return S_FTN

    def images(self, X_FTM: Array, source: int, mics: Sequence[int] | None = None) -> Array:
        """Return one source at the microphones `mics` (all by default), (F, T, M); all sources sum to the mixture.

        At each microphone the source gets its share of what the model expects there, with the mixture's phase.

        Raises
        ------
        ArgumentError
            The spectrogram has another shape than the one fitted, or there is no such source or microphone.
        """
        X_FTM = self._fitted(X_FTM)
        N, F, T = self.P_.shape
        chosen = chosen_mics(source, mics, N, self.G_.shape[2])
        image_FTM = np.empty((F, T, len(chosen)), X_FTM.dtype)
        for first in range(0, T, BLOCK):
            block = slice(first, min(first + BLOCK, T))
            for i, m in enumerate(chosen):
                mask_FB = spot_mask(self.P_[:, :, block] * self.G_[:, :, m, None], source)
                image_FTM[:, block, i] = mask_FB * X_FTM[:, block, m]
        return image_FTM

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hyper-parameters and what was learned to an ``.npz`` file."""
        if not hasattr(self, "P_"):
            raise NotFittedError("this KAMIR is not fitted yet; call fit first")
        save_arrays(path, self, "PG", PARAMETERS)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> KAMIR:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        return load_arrays(path, cls, "PG", PARAMETERS)

    def _checked_kernel(self) -> tuple[Array, Array]:
        """Check the hyper-parameters; return how many bins and frames away the neighbours of a point are."""
        check_count("n_iterations", self.n_iterations)
        check_number("exponent", self.exponent, 0.1, 2.0)
        check_choice("kernel", self.kernel, KERNELS)
        check_count("kernel_size", self.kernel_size)
        if self.kernel_size % 2 == 0:
            raise ArgumentError(f"kernel_size must be odd, so that a point is in the middle; got {self.kernel_size}")
        check_number("bleed", self.bleed, 0.0, 1.0)
        check_number("least", self.least, 1e-12, 1.0)
        if self.n_projections is not None:
            check_count("n_projections", self.n_projections)
        reach = [d for d in range(-(self.kernel_size // 2), self.kernel_size // 2 + 1) if d]
        along = [(0, d) for d in reach if self.kernel in ("time", "cross")]
        across = [(d, 0) for d in reach if self.kernel in ("frequency", "cross")]
        offsets = np.array([(0, 0), *along, *across], np.int64)
        return np.ascontiguousarray(offsets[:, 0]), np.ascontiguousarray(offsets[:, 1])

    def _start(self, prior: Prior, spots: Spots, shape: tuple[int, int, int]) -> Array:
        """Return G (N, F, M), 1 at the reference spots."""
        N, F, M = shape
        references = spots.references
        if prior.R is not None:
            R = check_array("prior.R", prior.R, (N, F, M, M), "(N, F, M, M)")
            level_NFM = np.array(np.diagonal(R, axis1=2, axis2=3).real, np.float64)
            if level_NFM.min() < 0:
                raise ArgumentError("prior.R must be positive semidefinite; its diagonal has a negative entry")
        elif prior.G is not None:
            G_NM = check_array("prior.G", prior.G, (N, M), "(N, M)", nonnegative=True)
            level_NFM = np.repeat(np.asarray(G_NM, np.float64)[:, None], F, axis=1)
        else:
            G_NFM = np.full(shape, max(float(self.bleed), float(self.least)))
            for n, mics in enumerate(spots):
                G_NFM[n][:, list(mics)] = 1.0
            return G_NFM
        own_NF = level_NFM[range(N), :, references]
        if own_NF.min() <= 0:
            name = "R" if prior.R is not None else "G"
            raise ArgumentError(f"prior.{name} must be positive at every source's own spot")
        G_NFM = np.maximum((level_NFM / own_NF[:, :, None]) ** float(self.exponent), float(self.least))
        G_NFM[range(N), :, references] = 1.0
        return G_NFM

    def _fitted(self, X_FTM: Array) -> Array:
        if not hasattr(self, "P_"):
            raise NotFittedError("this KAMIR is not fitted yet; call fit first")
        X_FTM = check_spectrogram(X_FTM)
        wanted = (*self.P_.shape[1:], self.G_.shape[2])
        if X_FTM.shape != wanted:
            raise ArgumentError(f"X_FTM must have the shape that was fitted, {wanted}, got {X_FTM.shape}")
        return X_FTM
