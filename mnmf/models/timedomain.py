"""Time-domain optimisation for interference reduction: an instantaneous mixing matrix, no spectrogram.

Rajesh R, "Interference Reduction in Music Source Separation for Live Recordings", open seminar, guide P. Rajan, Indian
Institute of Technology Mandi, 2023, Algorithm 1.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import (
    ArgumentError,
    NotFittedError,
    check_array,
    check_audio,
    check_count,
    check_number,
    check_rng,
)
from mnmf.kernels import one_blas_thread
from mnmf.kernels import timedomain as kernels
from mnmf.models._iterate import Callback, iterate
from mnmf.models._saved import load_arrays, save_arrays
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["TimeDomain"]

Array = NDArray[Any]

SILENT = 1e-3  # of the median microphone's level
BLOCK = 65536  # samples demixed at once

PARAMETERS = ("n_iterations", "n_sources", "gamma1", "gamma2", "eta", "epsilon")


class TimeDomain:
    """Instantaneous unmixing of the waveforms by alternating least squares.

    The microphones are modelled as ``X = ΛS`` and the main mix as ``m = bᵀS``, with Λ (here `A_`) a matrix of plain
    gains: no delays, no reverberation.  Each iteration minimises ``‖X − ΛS‖² + ‖m − bᵀS‖²`` over Λ, projects Λ,
    then minimises over S and over b.

    Λ is not identifiable from the microphones alone: ``Λ = I, S = X`` costs nothing, and so does every other
    invertible Λ.  Where the iteration ends is decided by `gamma1`.  Only solo passages (`priors.solo_panning`, held)
    say what Λ is.

    Parameters
    ----------
    n_iterations : int
        Most iterations.
    n_sources : int, optional
        Number of sources N; at most that of the microphones.
    gamma1, gamma2 : float
        The least and the most that a spot is taken to hear of another player, before the columns of Λ are scaled to 1
        at the own spot; ``0 <= gamma1 <= gamma2 <= 1``.
    eta : float
        Regularisation of Λ and b, η, relative to the mean energy of the sources.
    epsilon : float
        Stop when the cost is below this.

    Attributes
    ----------
    A_ : float64 (M, N)
        The mixing matrix Λ, 1 at each source's own spot.
    b_ : float64 (N,)
        What of each source is in the main mix.
    cost_ : float64 (iterations,)
        The cost relative to ``‖X‖² + ‖m‖²`` after each iteration.  The projection may raise it; the three steps cannot,
        but for what η has to do with it.
    spots_ : tuple of tuples of int
        The microphones of each source, the reference spot first.
    """

    def __init__(
        self,
        n_iterations: int = 200,
        n_sources: int | None = None,
        *,
        gamma1: float = 0.05,
        gamma2: float = 0.5,
        eta: float = 1e-9,
        epsilon: float = 1e-12,
    ) -> None:
        self.n_iterations = n_iterations
        self.n_sources = n_sources
        self.gamma1 = gamma1
        self.gamma2 = gamma2
        self.eta = eta
        self.epsilon = epsilon

    def fit(
        self,
        x_LM: Array,
        prior: Prior | None = None,
        *,
        m_L: Array | None = None,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> TimeDomain:
        """Learn how the sources reach the microphones and the mix.

        A microphone 60 dB below the median one is silent: it takes no part, and a source with its reference spot there
        is what that microphone hears.

        Parameters
        ----------
        x_LM : float, shape (L, M)
            The recording, microphones about equally loud.
        prior : Prior, optional
            Its `G`, as `priors.solo_panning` gives it, is where Λᵀ starts, or stays if it is held; without it Λ
            starts from the identity.
        m_L : float, shape (L,), optional
            The main mix; the sum of the microphones if there is none.
        rng : numpy.random.Generator or int
            Checked, but nothing here is random.
        callback : callable, optional
            Called with the number of iterations done and the cost; ends the fit by returning true.

        Raises
        ------
        ArgumentError
            Shapes that do not fit together; more sources than microphones; two sources with one reference spot and no
            held G; or a hyper-parameter out of range.
        """
        x_LM = check_audio(x_LM)
        self._check_parameters()
        check_rng(rng)
        prior = prior or Prior()
        N, spots = self._sources(prior, x_LM.shape[1])
        held = "G" in prior.held
        own_N = np.array(spots.references)
        if m_L is not None:
            m_L = check_array("m_L", m_L, (len(x_LM),), "(L,)")
        A_MN, b_N = self._start(prior, own_N, x_LM.shape[1]), np.ones(N)

        with one_blas_thread():
            X, m = kernels.compressed(x_LM, m_L)
        level_M = np.sqrt(np.sum(X**2, axis=1))
        live_M = level_M > SILENT * np.median(level_M)
        live_N = live_M[own_N]
        silent_N = ~live_N
        A_MN[~live_M] = 0.0
        A_MN[:, silent_N] = 0.0
        A_MN[own_N[silent_N], silent_N] = 1.0
        b_N[silent_N] = 0.0

        # Algorithm 1, on the microphones and sources that sound.
        rows = np.cumsum(live_M) - 1
        X, own = X[live_M], rows[own_N[live_N]]
        A, b, S = A_MN[np.ix_(live_M, live_N)], b_N[live_N], X[own]
        if prior.G is not None:
            S = kernels.update_sources(X, m, A, b)
        whole = float(np.sum(X**2) + np.sum(m**2)) or 1.0
        finished = False

        def ridge() -> float:
            return float(self.eta) * float(np.sum(S**2)) / max(len(S), 1)

        def step() -> float:
            nonlocal A, b, S, finished
            if not len(own):
                finished = True
                return 0.0
            if not held:
                A = kernels.project(kernels.update_mixing(X, S, ridge()), own, float(self.gamma1), float(self.gamma2))
            S = kernels.update_sources(X, m, A, b)
            b = kernels.update_mix(m, S, ridge())
            relative = kernels.cost(X, m, A, S, b) / whole
            finished = relative < self.epsilon
            return relative

        def told(done: int, value: float) -> bool:
            wish = callback is not None and bool(callback(done, value))
            return wish or finished

        self.cost_ = iterate(step, self.n_iterations, told)
        scale = A[own, range(len(own))]
        A_MN[np.ix_(live_M, live_N)] = A / scale
        b_N[live_N] = b / scale
        self.A_, self.b_, self.spots_ = A_MN, b_N, spots
        self.with_mix_ = m_L is not None
        return self

    def separate(self, x_LM: Array, *, m_L: Array | None = None) -> Array:
        """Return each source at its own spot: ``S = (ΛᵀΛ + bbᵀ)⁻¹(bm + ΛᵀX)``.

        Parameters
        ----------
        x_LM : float, shape (L, M)
            The recording that was fitted, or another of the same microphones at the same gains.
        m_L : float, shape (L,), optional
            The main mix, if one was given to `fit`.

        Returns
        -------
        s_LN : float, shape (L, N), of the dtype of `x_LM`
        """
        if not hasattr(self, "A_"):
            raise NotFittedError("this TimeDomain is not fitted yet; call fit first")
        x_LM = check_audio(x_LM)
        M, N = self.A_.shape
        if x_LM.shape[1] != M:
            raise ArgumentError(f"x_LM must have the {M} microphones that were fitted, got {x_LM.shape[1]}")
        if self.with_mix_ != (m_L is not None):
            raise ArgumentError("m_L must be given to fit and to separate, or to neither")
        if m_L is not None:
            m_L = check_array("m_L", m_L, (len(x_LM),), "(L,)")
        # What S is of [X; m]: the same formula, with the identity in their place.
        demixing = kernels.update_sources(np.eye(M, M + 1), np.eye(M + 1)[M], self.A_, self.b_)
        s_LN = np.empty((len(x_LM), N), x_LM.dtype)
        with one_blas_thread():
            for first in range(0, len(x_LM), BLOCK):
                block = slice(first, first + BLOCK)
                mix_L = x_LM[block].sum(axis=1, dtype=np.float64) if m_L is None else m_L[block]
                s_LN[block] = np.column_stack([x_LM[block].astype(np.float64), mix_L]) @ demixing.T
        return s_LN

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hyper-parameters and what was learned to an ``.npz`` file."""
        if not hasattr(self, "A_"):
            raise NotFittedError("this TimeDomain is not fitted yet; call fit first")
        save_arrays(path, self, ("A", "b", "with_mix"), PARAMETERS)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TimeDomain:
        """Return the model that `save` wrote.

        Raises
        ------
        ArgumentError
            The file holds something else.
        """
        model = load_arrays(path, cls, ("A", "b", "with_mix"), PARAMETERS)
        model.with_mix_ = bool(model.with_mix_)
        return model

    def _check_parameters(self) -> None:
        check_count("n_iterations", self.n_iterations)
        low = check_number("gamma1", self.gamma1, 0.0, 1.0)
        check_number("gamma2", self.gamma2, low, 1.0)
        check_number("eta", self.eta, 0.0, 1.0)
        check_number("epsilon", self.epsilon, 0.0, np.inf)

    def _sources(self, prior: Prior, n_mics: int) -> tuple[int, Spots]:
        N = check_count("n_sources", self.n_sources if self.n_sources is not None else (prior.n_sources or n_mics))
        for verb, chosen in (("hold", prior.held), ("pull", prior.pulled)):
            if other := sorted(chosen - {"G"}):
                raise ArgumentError(f"this model has no {other[0]} to {verb}; it has G")
        if prior.pulled:
            raise ArgumentError("this model cannot pull G; hold or release it")
        if "G" in prior.held and prior.G is None:
            raise ArgumentError("the prior holds G but gives none; give a value or release it")
        if n_mics < N:
            raise ArgumentError(f"{N} sources on {n_mics} microphones cannot be unmixed; each needs a microphone")
        spots = prior.spots if prior.spots is not None else Spots(range(N))
        apart = "" if "G" in prior.held else "only a G that is held can tell them apart"
        return N, spots.check(n_mics, N, apart=apart)

    def _start(self, prior: Prior, own_N: Array, n_mics: int) -> Array:
        """Return Λ (M, N), 1 at the own spots."""
        N = len(own_N)
        if prior.G is None:
            A_MN = np.zeros((n_mics, N))
            A_MN[own_N, range(N)] = 1.0
            return A_MN
        G_NM = check_array("prior.G", prior.G, (N, n_mics), "(N, M)", nonnegative=True).astype(np.float64)
        own = G_NM[range(N), own_N]
        if own.min() <= 0:
            raise ArgumentError("prior.G must be positive at every source's own spot")
        return np.array((G_NM / own[:, None]).T)
