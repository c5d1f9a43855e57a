"""Time-domain optimisation for interference reduction: an instantaneous mixing matrix, no spectrogram.

Rajesh R, "Interference Reduction in Music Source Separation for Live Recordings", open seminar, guide P. Rajan, Indian
Institute of Technology Mandi, 2023, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_audio, check_number, check_numeric
from mnmf.kernels import one_blas_thread
from mnmf.kernels import timedomain as kernels
from mnmf.models._model import Callback, Model, Updates
from mnmf.models._start import check_names, own_spots, source_count
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["TimeDomain"]

Array = NDArray[Any]

SILENT = 1e-3  # of the median microphone's level
BLOCK = 65536  # samples demixed at once


class TimeDomain(Model):
    """Instantaneous unmixing of the waveforms by alternating least squares.

    The microphones are modelled as ``X = ΛS`` and the main mix as ``m = bᵀS``, with Λ (here `A_`) a matrix of plain
    gains: no delays, no reverberation.  Each iteration minimises ``‖X − ΛS‖² + ‖m − bᵀS‖²`` over Λ, projects Λ,
    then minimises over S and over b.

    The data are waveforms in the form of a spectrogram of a single frequency, (1, L, M), real or complex with an
    imaginary part of zero: ``x_LM[None]``.  Results are complex, of the precision of the data, and have an imaginary
    part of zero as well.

    Λ is not identifiable from the microphones alone: ``Λ = I, S = X`` costs nothing, and so does every other
    invertible Λ.  Where the iteration ends is decided by `gamma1`.  Only solo passages (`priors.solo_panning`, held)
    say what Λ is.

    Parameters
    ----------
    n_iterations : int
        Most iterations.
    n_sources : int, optional
        Number of sources N, by default the prior's, else that of the microphones; at most that.
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
    with_mix_ : bool
        Whether a main mix was given.
    cost_ : float64 (iterations,)
        The cost relative to ``‖X‖² + ‖m‖²`` after each iteration.  The projection may raise it; the three steps cannot,
        but for what η has to do with it.
    spots_ : Spots
        The microphones of each source, the reference spot first.

    Notes
    -----
    The prior's `G`, as `priors.solo_panning` gives it, is where Λᵀ starts, or stays if it is held; without it Λ starts
    from the identity.  Two sources may have one reference spot only where G is held.  Nothing is random.

    The source n is ``S = (ΛᵀΛ + bbᵀ)⁻¹(bm + ΛᵀX)`` at its own spot, and ``Λ_mn S_n`` at microphone m.  Where Λ cannot
    explain the microphones, the images do not sum to them: what is left over belongs to nobody.

    A microphone 60 dB below the median one is silent: it takes no part, and a source with its reference spot there is
    what that microphone hears.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import Prior, TimeDomain
    >>> A_MN = np.array([[1, 0.2], [0.3, 1]])
    >>> s_LN = np.random.default_rng(0).laplace(size=(1000, 2))
    >>> x_LM = s_LN @ A_MN.T
    >>> model = TimeDomain(50).fit(x_LM[None], Prior(G=A_MN.T).hold("G"))
    >>> model
    TimeDomain(n_iterations=50)
    >>> np.allclose(model.separate(x_LM[None])[0], s_LN, atol=1e-3)
    True
    >>> model.images(x_LM[None], source=1).shape
    (1, 1000, 2)
    """

    learns: ClassVar[dict[str, str]] = {"A": "MN", "b": "N"}
    also: ClassVar[dict[str, str]] = {"with_mix": ""}

    A_: Array
    b_: Array
    with_mix_: bool
    spots_: Spots

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
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        m_L: Array | None = None,
        rng: np.random.Generator | int | None = 0,
        callback: Callback | None = None,
    ) -> TimeDomain:
        """Learn how the sources reach the microphones and the mix.

        Parameters
        ----------
        X_FTM : float or complex, shape (1, L, M)
            The recording, microphones about equally loud.
        prior : Prior, optional
            Where Λᵀ starts (`G`), and the spots.
        m_L : float, shape (L,), optional
            The main mix; the sum of the microphones if there is none.
        rng : numpy.random.Generator or int
            Checked, but nothing here is random.
        callback : callable, optional
            Called with the number of iterations done and the cost; ends the fit by returning true.

        Returns
        -------
        This model.

        Raises
        ------
        ArgumentError
            No waveforms, or shapes that do not fit together; more sources than microphones; two sources with one
            reference spot and no held G; or a hyper-parameter out of range.
        """
        return self._fit(self._begun(X_FTM, prior, rng, m_L=m_L), callback)

    def iterate(
        self,
        X_FTM: Array,
        prior: Prior | None = None,
        *,
        m_L: Array | None = None,
        rng: np.random.Generator | int | None = 0,
    ) -> Iterator[TimeDomain]:
        """Fit, and yield the model after every update, as `Model.iterate` says.

        Where the caller changes `A_` or `b_`, the sources are estimated anew from them before the next update.

        Parameters
        ----------
        X_FTM, prior, m_L, rng
            As for `fit`.
        """
        return self._iterate(self._begun(X_FTM, prior, rng, m_L=m_L))

    def separate(self, X_FTM: Array, H: Array | None = None, *, m_L: Array | None = None) -> Array:
        """Return each source at its own spot.

        Parameters
        ----------
        X_FTM : float or complex, shape (1, L, M)
            The recording that was fitted, or another one of the same microphones at the same gains, of any length.
        H : None
            There are no activations.
        m_L : float, shape (L,), optional
            The main mix, if one was given to `fit`.

        Returns
        -------
        S_FTN : complex, shape (1, L, N), of the precision of `X_FTM`

        Raises
        ------
        ArgumentError
            The recording has other microphones, or the mix was given to only one of `fit` and this.
        """
        X_FTM = self._checked(X_FTM)
        self._activity(X_FTM, H)
        return self._at_spots(X_FTM, m_L=self._mix(X_FTM, m_L))

    def images(
        self,
        X_FTM: Array,
        source: int | None = None,
        mics: int | Sequence[int] | None = None,
        *,
        H: Array | None = None,
        m_L: Array | None = None,
    ) -> Array:
        """Return one source, or every source, at the microphones; they sum to the mixture as far as Λ explains it.

        Parameters
        ----------
        X_FTM, H, m_L
            As for `separate`.
        source : int, optional
            Which source; all of them by default.
        mics : sequence of int, optional
            Which microphones; all of them by default.

        Returns
        -------
        complex, shape (1, L, len(mics)) for one source, (1, L, len(mics), N) for all, of the precision of `X_FTM`

        Raises
        ------
        ArgumentError
            As `separate`; or there is no such source or microphone.
        """
        X_FTM = self._checked(X_FTM)
        self._activity(X_FTM, H)
        return self._at_mics(X_FTM, source, mics, m_L=self._mix(X_FTM, m_L))

    def _begin(self, X_FTM: Array, prior: Prior, rng: np.random.Generator, m_L: Array | None = None) -> Updates:
        low = check_number("gamma1", self.gamma1, 0.0, 1.0)
        check_number("gamma2", self.gamma2, low, 1.0)
        check_number("eta", self.eta, 0.0, 1.0)
        check_number("epsilon", self.epsilon, 0.0, np.inf)
        x_LM = X_FTM[0].real
        L, M = x_LM.shape
        N = source_count(prior, self.n_sources, M)
        check_names(prior, "G")
        held = "G" in prior.held
        spots = own_spots(prior, N, M, "" if held else "only a G that is held can tell them apart")
        if m_L is not None:
            m_L = check_array("m_L", m_L, (L,), "(L,)")
        A_MN = self._start(prior, np.array(spots.references), M)
        with one_blas_thread():
            X, m = kernels.compressed(x_LM, m_L)
        return _Updates(self, X, m, A_MN, spots, held, prior.G is not None, m_L is not None)

    def _images(self, X_FTM: Array, sources: Sequence[int], mics: Sequence[int], **given: Any) -> Array:
        m_L = given["m_L"]
        M = len(self.A_)
        # What S is of [X; m]: the same formula, with the identity in their place.
        demixing = kernels.update_sources(np.eye(M, M + 1), np.eye(M + 1)[M], self.A_, self.b_)
        image_FTI = np.empty((1, X_FTM.shape[1], len(sources)), np.result_type(X_FTM.dtype, np.complex64))
        for first in range(0, X_FTM.shape[1], BLOCK):
            block = slice(first, first + BLOCK)
            x_LM = np.ascontiguousarray(X_FTM[0, block].real)
            mix_L = x_LM.sum(axis=1, dtype=np.float64) if m_L is None else m_L[block]
            s_LN = np.column_stack([x_LM.astype(np.float64), mix_L]) @ demixing.T
            for i, (n, mic) in enumerate(zip(sources, mics)):
                image_FTI[0, block, i] = self.A_[mic, n] * s_LN[:, n]
        return image_FTI

    def _check_data(self, X_FTM: Any) -> Array:
        array = check_numeric("X_FTM", X_FTM)
        if array.ndim != 3 or len(array) != 1:
            hint = "; x_LM[None] is that" if array.ndim == 2 else ""
            raise ArgumentError(
                f"X_FTM must be waveforms of shape (1, samples, mics), got {array.dtype} of shape {array.shape}{hint}"
            )
        if np.iscomplexobj(array) and array.imag.any():
            raise ArgumentError("X_FTM must be waveforms: real, or complex with an imaginary part of zero")
        checked = check_audio(array[0].real, "X_FTM[0]")
        return array if np.issubdtype(array.dtype, np.inexact) else checked[None]

    def _mix(self, X_FTM: Array, m_L: Array | None) -> Array | None:
        if self.with_mix_ != (m_L is not None):
            raise ArgumentError("m_L must be given to fit and to separate, or to neither")
        return None if m_L is None else check_array("m_L", m_L, (X_FTM.shape[1],), "(L,)")

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


class _Updates(Updates):
    """Algorithm 1, on the microphones and sources that sound.  X and m have the products of the recording and mix."""

    def __init__(
        self,
        model: TimeDomain,
        X: Array,
        m: Array,
        A_MN: Array,
        spots: Spots,
        held: bool,
        known: bool,
        with_mix: bool,
    ) -> None:
        self.low, self.high = float(model.gamma1), float(model.gamma2)
        self.eta, self.epsilon = float(model.eta), model.epsilon
        self.held, self.with_mix = held, with_mix
        self.all_X, self.m = X, m
        level_M = np.sqrt(np.sum(X**2, axis=1))
        self.live_M = level_M > SILENT * np.median(level_M)
        self.spots: Spots = spots
        self._take(A_MN, np.ones(len(spots)), known)
        self.whole = float(np.sum(self.X**2) + np.sum(m**2)) or 1.0

    def _take(self, A_MN: Array, b_N: Array, known: bool) -> None:
        """Start from mixing weights; the sources are what their spots hear, or follow from the weights if `known`."""
        own_N, live_M = np.array(self.spots.references), self.live_M
        self.live_N = live_M[own_N]
        silent_N = ~self.live_N
        A_MN[~live_M] = 0.0
        A_MN[:, silent_N] = 0.0
        A_MN[own_N[silent_N], silent_N] = 1.0
        b_N[silent_N] = 0.0
        self.A_MN, self.b_N = A_MN, b_N
        rows = np.cumsum(live_M) - 1
        self.X, self.own = self.all_X[live_M], rows[own_N[self.live_N]]
        self.A, self.b = A_MN[np.ix_(live_M, self.live_N)], b_N[self.live_N]
        self.S = kernels.update_sources(self.X, self.m, self.A, self.b) if known else self.X[self.own]

    def step(self) -> float:
        if not len(self.own):
            self.finished = True
            return 0.0
        if not self.held:
            A = kernels.update_mixing(self.X, self.S, self._ridge())
            self.A = kernels.project(A, self.own, self.low, self.high)
        self.S = kernels.update_sources(self.X, self.m, self.A, self.b)
        self.b = kernels.update_mix(self.m, self.S, self._ridge())
        relative = kernels.cost(self.X, self.m, self.A, self.S, self.b) / self.whole
        self.finished = relative < self.epsilon
        return relative

    def state(self) -> tuple[None, dict[str, Any]]:
        scale = self.A[self.own, range(len(self.own))]
        A_MN, b_N = self.A_MN.copy(), self.b_N.copy()
        A_MN[np.ix_(self.live_M, self.live_N)] = self.A / scale
        b_N[self.live_N] = self.b / scale
        return None, {"A": A_MN, "b": b_N, "with_mix": self.with_mix}

    def replace(self, values: dict[str, Array]) -> None:
        _, now = self.state()
        self._take(values.get("A", now["A"]), values.get("b", now["b"]), known=True)

    def _ridge(self) -> float:
        return self.eta * float(np.sum(self.S**2)) / max(len(self.S), 1)
