"""Kernel additive modelling for interference reduction (KAMIR).

T. Prätzlich, R. M. Bittner, A. Liutkus and M. Müller, "Kernel additive modeling for interference reduction in
multi-channel music recordings", IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP),
2015; with random projections after D. Di Carlo, A. Liutkus and K. Déguernel, "Interference reduction on full-length
live recordings", ICASSP, 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_choice, check_count, check_number
from mnmf.kernels import kamir as kernels
from mnmf.models._masks import masked_images
from mnmf.models._model import Model, Updates
from mnmf.models._start import check_names, check_orientation, own_spots, source_count
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["KAMIR", "KERNELS"]

Array = NDArray[Any]

KERNELS = ("none", "time", "frequency", "cross")
FLOOR = 1e-10  # of the mean power: far below what anyone hears
APART = "this model needs one for each source"


class KAMIR(Model):
    """Kernel additive modelling for interference reduction.

    What source n adds to microphone m is ``g_nfm p_nft``: what it plays, free at every point, times how much of that
    reaches the microphone.  The masks ``g_nfm p_nft / Σ_r g_rfm p_rft`` give the images, with the mixture's phase.
    Each iteration takes p from the images at a source's own spots, smooths it with a median over its neighbours (the
    kernel, which says what neighbours have in common), and updates g under the Itakura-Saito divergence.

    Parameters
    ----------
    n_iterations : int
        Updates of P, and of G where it is not held.
    n_sources : int, optional
        Number of sources N, by default the prior's, else that of the microphones; at most that.
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
    spots_ : Spots
        The microphones of each source, the reference spot first; no two sources share that one, or their masks there
        could not tell them apart.

    Notes
    -----
    The prior's `R`, as `priors.solo_covariances` gives it, or else its `G`, as `priors.solo_panning` or
    `priors.spot_panning` does, starts G: the magnitudes on the diagonal of R, or G, relative to the own spot and to the
    power `exponent`.  Holding the one that is used holds G.  An entry below `least` is raised to it.  Only the
    projections are random.

    There are no bases, so what `activations` gives, and `images` and `separate` take as `H`, is P.  It starts from the
    power at each source's reference spot, as in a fit.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import KAMIR, priors
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((9, 20, 3)) + 1j * rng.standard_normal((9, 20, 3))
    >>> model = KAMIR(5, kernel="cross").fit(X_FTM, priors.spot_panning(X_FTM, (2, 0)))
    >>> model
    KAMIR(n_iterations=5, kernel='cross')
    >>> model.separate(X_FTM).shape, np.allclose(model.images(X_FTM).sum(axis=-1), X_FTM)
    ((9, 20, 2), True)
    """

    learns: ClassVar[dict[str, str]] = {"P": "NFT", "G": "NFM"}

    P_: Array
    G_: Array
    spots_: Spots

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

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator) -> Updates:
        bins, frames = self._checked_kernel()
        check_orientation(prior, X_FTM)
        F, _, M = X_FTM.shape
        N = source_count(prior, self.n_sources, M)
        check_names(prior, "GR")
        spots = own_spots(prior, N, M, APART)
        G_NFM = self._start(prior, spots, (N, F, M))
        held = ("G" if prior.R is None else "R") in prior.held
        return _Updates(self, X_FTM, G_NFM, spots, held, bins, frames, rng)

    def _fitted_activations(self, X_FTM: Array, n_iterations: int) -> Array:
        bins, frames = self._checked_kernel()
        updates = _Updates(self, X_FTM, self.G_, self.spots_, True, bins, frames, np.random.default_rng(0))
        for _ in range(n_iterations):
            updates.play()
        return updates.P

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        P_NFT = given["H"]
        return masked_images(
            X_FTM, sources, mics, lambda block: P_NFT[:, :, block], lambda P_NFB, m: P_NFB * self.G_[:, :, m, None]
        )

    def _checked_kernel(self) -> tuple[Array, Array]:
        """Check the hyper-parameters; return how many bins and frames away the neighbours of a point are."""
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


class _Updates(Updates):
    """The fit, or with G held that of P alone."""

    def __init__(
        self,
        model: KAMIR,
        X_FTM: Array,
        G_NFM: Array,
        spots: Spots,
        held: bool,
        bins: Array,
        frames: Array,
        rng: np.random.Generator,
    ) -> None:
        self.exponent, self.least = float(model.exponent), float(model.least)
        self.G, self.held = G_NFM, held
        self.bins, self.frames = bins, frames
        self.V_MFT = kernels.powers(X_FTM, self.exponent)
        self.floor = FLOOR * float(np.mean(self.V_MFT, dtype=np.float64)) + float(np.finfo(self.V_MFT.dtype).tiny)
        self.P = np.stack([self.V_MFT[m] for m in spots.references])
        T = X_FTM.shape[1]
        self.n_groups = T if model.n_projections is None else min(model.n_projections, T)
        self.group_T = rng.permutation(T) % self.n_groups
        self.seen_MFQ = self._projected(self.V_MFT)
        self.spots: Spots = spots
        self._take_spots()

    def step(self) -> float:
        self.play()
        played_NFQ = self._projected(self.P)
        if not self.held:
            self.G = kernels.update_gains(self.seen_MFQ, played_NFQ, self.G, self.free_NM, self.floor, self.least)
        return float(np.sum(kernels.distances(self.seen_MFQ, played_NFQ, self.G, self.floor)))

    def play(self) -> None:
        """Update P."""
        self.P = kernels.source_powers(self.V_MFT, self.P, self.G, self.own_NM, self.exponent, self.floor)
        if len(self.bins) > 1:
            self.P = kernels.median(self.P, self.bins, self.frames)

    def state(self) -> tuple[None, dict[str, Any]]:
        return None, {"P": self.P, "G": self.G}

    def replace(self, values: dict[str, Array]) -> None:
        self.P, self.G = values.get("P", self.P), values.get("G", self.G)
        self._take_spots()
        own_NF = self.G[range(len(self.G)), :, self.spots.references]
        if own_NF.min() <= 0:
            raise ArgumentError("G_ must be positive at every source's own spot")
        self.G = self.G / own_NF[..., None]
        self.P = self.P * own_NF[..., None].astype(self.P.dtype)

    def _take_spots(self) -> None:
        """Set which gains are free, and how much each microphone counts for P of each source."""
        N, _, M = self.G.shape
        self.spots.check(M, N, apart=APART)
        self.free_NM = np.ones((N, M), np.bool_)
        self.free_NM[range(N), self.spots.references] = False
        self.own_NM = np.zeros((N, M))
        for n, mics in enumerate(self.spots):
            self.own_NM[n, list(set(mics))] = 1 / len(set(mics))

    def _projected(self, A_AFT: Array) -> Array:
        """Return the sums over the frames of each group, or what there is if every frame is its own."""
        if self.n_groups == len(self.group_T):
            return A_AFT
        return kernels.project(A_AFT, self.group_T, self.n_groups)
