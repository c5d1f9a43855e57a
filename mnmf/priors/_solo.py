"""Priors from solo passages: the few seconds in which each musician plays alone.

They show how the sound of a player reaches every microphone and what the instrument sounds like.  `solo_covariances`
serves full-rank models, `solo` models that demix, `solo_panning` and `solo_mixing` models that know one level for each
microphone; `solo_bases` learns the spectra (Cabañas-Molero et al. 2023, section 3.1).

Which frames are a solo is not decided here: the passages are given, as the slices of frames that `STFT.frames` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_COMPONENTS, ArgumentError, check_count, check_number, check_rng, check_spectrogram
from mnmf.kernels._threads import by_rows
from mnmf.kernels.fullrank import rooted
from mnmf.kernels.scm import quadratic_forms, weighted_covariances
from mnmf.priors._nmf import nmf
from mnmf.priors._prior import Prior
from mnmf.priors._spot import demixing_start, relative_to_spot
from mnmf.spots import Spots

__all__ = [
    "Passages",
    "demixing",
    "likely_covariances",
    "solo",
    "solo_bases",
    "solo_covariances",
    "solo_mixing",
    "solo_panning",
    "unmixing",
]

Array = NDArray[Any]
Passages = Sequence[slice | Sequence[slice]]

SINGULAR = 1e6  # condition number from which on a demixing matrix is not used
MOST_RIDGE = 1e6
UNHEARD = 1e-3  # of what all microphones hear together: if its own spot hears less of a player, its solo is not used
FAINT = 1e-7  # of the loudest frame: softer ones show only noise
LEAST = 1e-4  # of the mean of its eigenvalues, added to a covariance: few frames do not show all directions
TINY = np.finfo(float).tiny
SILENT = 1e-12  # of the strongest frequency: with less energy than this a solo shows nothing about a frequency


def solo_covariances(
    X_FTM: Array,
    passages: Passages,
    spots: Sequence[int | Sequence[int]],
    *,
    exponent: float = 1.0,
    diffuse: float = 1.0,
) -> Prior:
    """Learn the spatial covariance of each source from its solo passages.

    The fixed point of eq. 8 of Cabañas-Molero et al. 2023 has a closed form: ``R_s = Σ_t a_t X_t / Σ_t a_t²``, with a
    the magnitude at the source's own spot and X the observed covariance of eq. 3.  The result is Hermitian and positive
    semidefinite, and 1 at the own spot.  Silence and reverberant tails have little weight in it, so a passage may
    include them.

    With an `exponent` of 2 the covariance is that of the log-determinant divergence: ``X = xxᴴ``, and a is the power at
    the own spot.  R is the least-squares fit of ``a_t R`` to X_t in both cases.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram in which the sources play alone one after another.
    passages : sequence of slices, or of sequences of slices
        For each source the frames in which it plays alone, or an empty sequence if it never does.  The covariance of
        such a source is that of a source which only its own spot hears.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    exponent : float
        The power of magnitudes that the covariances belong to: 1 for the Euclidean full-rank model, whose X has
        magnitudes on its diagonal, 2 for the log-determinant one.
    diffuse : float
        Fraction, 0 to 1, of all eigenvalues but the largest that is kept.  Less than 1 assumes that the source
        reaches the microphones in a more constant way than its solo shows.

    Returns
    -------
    Prior
        With `R`, complex128 (N, F, M, M), and `spots`.  At a frequency without energy in the solo, R is 1 at the own
        spot and 0 elsewhere.

    Raises
    ------
    ArgumentError
        A passage has no frame, a microphone does not exist, the exponent is neither 1 nor 2, or `diffuse` is not
        between 0 and 1.

    Examples
    --------
    One source, heard by microphone 1 at half the level of microphone 0 and in antiphase:

    >>> X_FTM = np.array([[[1.0, -0.5], [2.0, -1.0], [0.0, 0.0]]]) + 0j
    >>> solo_covariances(X_FTM, [slice(0, 3)], spots=[0], exponent=2).R[0, 0].real.round(2).tolist()
    [[1.0, -0.5], [-0.5, 0.25]]
    """
    X_FTM = check_spectrogram(X_FTM)
    check_number("exponent", exponent, 0.0, 2.0)
    if exponent not in (1, 2):
        raise ArgumentError(f"exponent must be 1 or 2, got {exponent!r}")
    check_number("diffuse", diffuse, 0.0, 1.0)
    solos, all_spots = _checked(X_FTM, passages, spots)
    F, _, M = X_FTM.shape
    R_NFMM = np.empty((len(solos), F, M, M), np.complex128)
    for n, own in enumerate(all_spots.references):
        R_NFMM[n] = _covariance(X_FTM, solos[n], own, exponent)
    if diffuse < 1:
        a_NFM = _principal(R_NFMM)
        R_NFMM = diffuse * R_NFMM + (1 - diffuse) * a_NFM[..., :, None] * a_NFM[..., None, :].conj()
    return Prior(R=R_NFMM, spots=all_spots)


def likely_covariances(
    X_FTM: Array, passages: Passages, spots: Sequence[int | Sequence[int]], *, n_rounds: int = 2
) -> Prior:
    """Learn the spatial covariance of each source from its solo passages, by maximum likelihood.

    A solo is Gaussian with covariance ``v_ft R_f``, whose power v changes from frame to frame as it likes.  Then
    ``v_ft = xᴴ R⁻¹ x / M`` and ``R = mean_t x xᴴ / v_ft`` (Tyler's estimator), in turn.  Every frame counts alike, loud
    or soft, so reverberation that follows a note has its place in R.  `solo_covariances` fits the loudest frames.

    Parameters
    ----------
    X_FTM, passages, spots
        As for `solo_covariances`.  What the passages hold beside the solo, such as somebody else or noise, counts as
        much as the solo.
    n_rounds : int
        Of the two steps, after a first one with R the identity.

    Returns
    -------
    Prior
        With `R`, complex128 (N, F, M, M), 1 at the own spot, and `spots`.  A source without a passage, and a frequency
        without energy, have 1 at the own spot and 0 elsewhere.

    Raises
    ------
    ArgumentError
        A passage has no frame, a microphone does not exist, or `n_rounds` is out of range.

    Examples
    --------
    One source, whose direct sound two microphones hear in antiphase, and some diffuse sound:

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((3, 1, 400, 1)) + 1j * rng.standard_normal((3, 1, 400, 1))
    >>> X_FTM = noise[0] * [1, -1] + 0.5 * np.concatenate(list(noise[1:]), axis=-1)
    >>> likely_covariances(X_FTM, [slice(0, 400)], spots=[0]).R[0, 0].real.round(1).tolist()
    [[1.0, -0.7], [-0.7, 0.9]]
    """
    X_FTM = check_spectrogram(X_FTM)
    check_count("n_rounds", n_rounds, 0)
    solos, all_spots = _checked(X_FTM, passages, spots)
    F, _, M = X_FTM.shape
    R_NFMM = np.zeros((len(solos), F, M, M), np.complex128)
    for n, own in enumerate(all_spots.references):
        R_NFMM[n, :, own, own] = 1.0
        if solos[n]:
            x_FTM = np.ascontiguousarray(np.concatenate([X_FTM[:, frames] for frames in solos[n]], axis=1))
            R_NFMM[n] = _likely_covariance(x_FTM, own, R_NFMM[n], n_rounds)
    return Prior(R=R_NFMM, spots=all_spots)


def _likely_covariance(x_FTM: Array, own: int, unheard_FMM: Array, n_rounds: int) -> Array:
    M = x_FTM.shape[2]
    power_FT = by_rows(lambda x: np.sum(np.square(np.abs(x), dtype=np.float64), axis=2), x_FTM)
    sounds_FT = power_FT > FAINT * power_FT.max(axis=1, keepdims=True)
    heard_F = sounds_FT.any(axis=1) & (power_FT.max(axis=1) > TINY / FAINT)
    R_FMM = np.tile(np.eye(M, dtype=np.complex128), (len(x_FTM), 1, 1))
    for _ in range(n_rounds + 1):
        v_FT = quadratic_forms(x_FTM, by_rows(np.linalg.inv, R_FMM)) / M
        R_FMM = weighted_covariances(x_FTM, np.where(sounds_FT, 1 / np.maximum(v_FT, TINY), 0.0))
        level_F = np.einsum("fmm->f", R_FMM).real / M
        level_F[~heard_F] = 1.0
        R_FMM = R_FMM / level_F[:, None, None] + LEAST * np.eye(M)
    level_F = R_FMM[:, own, own].real
    return np.where(heard_F[:, None, None], R_FMM / level_F[:, None, None], unheard_FMM)


def solo(X_FTM: Array, passages: Passages, spots: Sequence[int | Sequence[int]], *, ridge: float = 1e-3) -> Prior:
    """Learn demixing matrices from solo passages.

    At each frequency the covariance of a solo, ``Σ_t |x_s|² x xᴴ / Σ_t |x_s|⁴`` with s the own spot, has the relative
    transfer function of the source as its principal eigenvector, scaled to 1 at the own spot.  With these as the
    columns of A, ``Q = (AᴴA + ridge·I)⁻¹ Aᴴ``.  If there are more microphones than sources, rows that span the null
    space of Aᴴ complete Q (eq. 12 of "CLASS-net + FastMNMF2").

    Parameters
    ----------
    X_FTM, passages, spots
        As for `solo_covariances`, with at most as many sources as microphones.
    ridge : float
        Keeps Q bounded where two players reach the microphones alike.

    Returns
    -------
    Prior
        With `Q`, complex128 (F, M, M), row n for source n, which is pulled, and `spots`.

    Raises
    ------
    ArgumentError
        As `solo_covariances`, or there are more sources than microphones.

    Examples
    --------
    Two sources play alone in turn, each heard at half its level by the other's microphone:

    >>> turns_FTN = np.array([[[1.0, 0.0], [0.0, 1.0]]]) + 0j
    >>> X_FTM = turns_FTN @ [[1.0, 0.5], [0.5, 1.0]]
    >>> prior = solo(X_FTM, [slice(0, 1), slice(1, 2)], spots=[0, 1], ridge=0.0)
    >>> np.abs(X_FTM @ prior.Q[0].T).round(2).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    X_FTM = check_spectrogram(X_FTM)
    check_number("ridge", ridge, 0.0, MOST_RIDGE)
    solos, all_spots = _checked(X_FTM, passages, spots)
    N, M = len(solos), X_FTM.shape[2]
    if N > M:
        raise ArgumentError(
            f"{N} sources on {M} microphones have no demixing matrix; use bases from their solos instead"
        )
    R_NFMM = np.array([_covariance(X_FTM, solos[n], own, 2.0) for n, own in enumerate(all_spots.references)])
    return Prior(Q=demixing(_direct(R_NFMM, all_spots), ridge, all_spots), spots=all_spots).pull("Q")


def unmixing(learned: Prior, *, ridge: float = 1e-3) -> Prior:
    """Return demixing matrices for covariances that are known, as `solo` learns them from the solos themselves.

    Parameters
    ----------
    learned : Prior
        With `R` and `spots`.
    ridge : float
        As for `solo`.

    Returns
    -------
    Prior
        With `Q`, complex128 (F, M, M), pulled, and `spots`.

    Raises
    ------
    ArgumentError
        `learned` lacks R or spots, or there are more sources than microphones.

    Examples
    --------
    >>> R_NFMM = np.array([[[[1.0, 0.5], [0.5, 0.25]]], [[[0.25, 0.5], [0.5, 1.0]]]])
    >>> unmixing(Prior(R=R_NFMM, spots=[0, 1]), ridge=0.0).Q.real.round(2).tolist()
    [[[1.33, -0.67], [-0.67, 1.33]]]
    """
    check_number("ridge", ridge, 0.0, MOST_RIDGE)
    if not isinstance(learned, Prior):
        raise ArgumentError(f"learned must be a Prior, got {type(learned).__name__}; make one with mnmf.priors")
    if learned.R is None or learned.spots is None:
        raise ArgumentError("the prior needs R and spots; make it with priors.likely_covariances")
    R_NFMM = np.asarray(learned.R, np.complex128)
    if len(R_NFMM) > R_NFMM.shape[-1]:
        raise ArgumentError(f"{len(R_NFMM)} sources on {R_NFMM.shape[-1]} microphones have no demixing matrix")
    return Prior(Q=demixing(_direct(R_NFMM, learned.spots), ridge, learned.spots), spots=learned.spots).pull("Q")


def _direct(R_NFMM: Array, spots: Spots) -> Array:
    """Return the principal eigenvectors, 1 at the own spots, (F, M, N)."""
    N, F, M, _ = R_NFMM.shape
    A_FMN = np.empty((F, M, N), np.complex128)
    for n, own in enumerate(spots.references):
        a_FM = by_rows(lambda R: np.linalg.eigh(R)[1][..., -1], R_NFMM[n])
        reference_F = a_FM[:, own]
        # A spot that hardly hears its own player, whom it should hear best, shows that something else was recorded.
        usable_F = np.abs(reference_F) > UNHEARD
        A_FMN[:, :, n] = np.where(
            usable_F[:, None], a_FM / np.where(usable_F, reference_F, 1.0)[:, None], np.eye(M)[own][None]
        )
    return A_FMN


def _covariance(X_FTM: Array, passages: Sequence[slice], own: int, exponent: float) -> Array:
    """Return ``Σ_t a_t X_t / Σ_t a_t²`` of one solo, complex128 (F, M, M), as in `solo_covariances`."""
    F, _, M = X_FTM.shape
    weighted_FMM = np.zeros((F, M, M), np.complex128)
    energy_F = np.zeros(F)
    for frames in passages:
        solo_FTM = np.ascontiguousarray(X_FTM[:, frames])
        a_FT = np.abs(solo_FTM[..., own]).astype(np.float64) ** exponent
        weighted_FMM += weighted_covariances(rooted(solo_FTM) if exponent == 1 else solo_FTM, a_FT)
        energy_F += np.sum(a_FT**2, axis=1)
    floor = SILENT * energy_F.max() + TINY
    weighted_FMM[:, own, own] += floor
    return np.asarray(weighted_FMM / (energy_F + floor)[:, None, None])


def demixing(A_FMN: Array, ridge: float, spots: Spots) -> Array:
    """Return Q (F, M, M): its first N rows undo the mixing `A_FMN`, the others span the null space of Aᴴ.

    Of all orthonormal bases of that space the one nearest to the remaining microphones is taken, in `Spots.order`.  So
    each such row is its microphone without the direct sound of the sources, and is so at all frequencies: this matters
    because the weights G are the same at all of them.  At frequencies where Q would be singular, because two players
    reach the microphones alike, each row is its microphone.
    """
    F, M, N = A_FMN.shape
    adjoint_FNM = np.conj(np.swapaxes(A_FMN, 1, 2))
    Q_FMM = np.empty((F, M, M), np.complex128)
    Q_FMM[:, :N] = np.linalg.solve(adjoint_FNM @ A_FMN + ridge * np.eye(N), adjoint_FNM)
    if M > N:
        null_FMU = np.linalg.svd(A_FMN)[0][:, :, N:]
        # Orthogonal Procrustes: the rotation of the basis that brings it nearest to the unit vectors of the mics.
        left_FUU, _, right_FUU = np.linalg.svd(np.conj(null_FMU[:, spots.order(M)[N:]].swapaxes(1, 2)))
        Q_FMM[:, N:] = np.conj(np.swapaxes(null_FMU @ (left_FUU @ right_FUU), 1, 2))
    singular_F = by_rows(np.linalg.cond, Q_FMM) > SINGULAR
    Q_FMM[singular_F] = demixing_start(spots, F, M)[singular_F]
    return Q_FMM


def solo_bases(
    X_FTM: Array,
    passages: Passages,
    spots: Sequence[int | Sequence[int]],
    n_components: int = 64,
    *,
    n_iterations: int = 100,
    exponent: float = 1.0,
    rng: np.random.Generator | int = 0,
) -> Prior:
    """Learn bases of each source from what its own spot hears in its solo passages.

    Single-channel NMF of the magnitudes under the Kullback-Leibler divergence (β = 1).  They replace a dictionary of
    notes if there is none, but contain only the notes that were played.

    Parameters
    ----------
    X_FTM, passages, spots
        As for `solo_covariances`, but every source needs a passage.
    n_components : int
        Bases per source, K.
    n_iterations : int
        Updates of the factorisation.
    exponent : float
        W are bases of magnitudes to this power: 1 for the Euclidean full-rank model, 2 for FastMNMF2.
    rng : numpy.random.Generator or int
        Draws the start of the factorisation.

    Returns
    -------
    Prior
        With `W`, float64 (N, F, K), columns summing to 1, and `spots`.

    Raises
    ------
    ArgumentError
        As `solo_covariances`, or a number is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((5, 8, 2)) + 1j * rng.standard_normal((5, 8, 2))
    >>> prior = solo_bases(X_FTM, [slice(0, 4), slice(4, 8)], spots=[0, 1], n_components=3)
    >>> prior.W.shape, prior.W.sum(axis=1).round(2).tolist()
    ((2, 5, 3), [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    """
    X_FTM = check_spectrogram(X_FTM)
    solos, all_spots = _checked(X_FTM, passages, spots)
    for n, slices in enumerate(solos):
        if not slices:
            raise ArgumentError(f"passages: source {n} has no frame to learn bases from")
    check_count("n_components", n_components, 1, MOST_COMPONENTS)
    check_count("n_iterations", n_iterations)
    check_number("exponent", exponent, 0.0, 4.0)
    generator = check_rng(rng)
    W_NFK = np.empty((len(solos), len(X_FTM), n_components))
    for n, own in enumerate(all_spots.references):
        V_FT = np.concatenate([np.abs(X_FTM[:, frames, own]) for frames in solos[n]], axis=1)
        W_NFK[n], _ = nmf(V_FT**exponent, n_components, beta=1.0, n_iterations=n_iterations, rng=generator)
    return Prior(W=W_NFK, spots=all_spots)


def solo_panning(X_FTM: Array, passages: Passages, spots: Sequence[int | Sequence[int]]) -> Prior:
    """Learn how loud each source is at each microphone from its solo passages.

    ``G_nm = sqrt(E_nm / E_ns)``, with E the energy of the solo of n at microphone m and s its own spot: panning in
    magnitudes, one number for all frequencies (J. Carabias-Orti, M. Cobos, P. Vera-Candeas and F. J.
    Rodríguez-Serrano, "Nonnegative signal factorization with learnt instrument models for sound source separation in
    close-microphone recordings", EURASIP Journal on Advances in Signal Processing, 2013).

    Parameters
    ----------
    X_FTM, passages, spots
        As for `solo_covariances`.

    Returns
    -------
    Prior
        With `G`, float64 (N, M), 1 at a source's own spot, and `spots`.  A solo without any energy at its own spot
        gives 1 there and 0 elsewhere.

    Raises
    ------
    ArgumentError
        A passage has no frame, or a microphone does not exist.

    Examples
    --------
    >>> X_FTM = np.array([[[1.0, -0.5], [2.0, -1.0]]]) + 0j
    >>> solo_panning(X_FTM, [slice(0, 2)], spots=[0]).G.round(2).tolist()
    [[1.0, 0.5]]
    """

    def energies(x_FTM: Array, own: int) -> Array:
        return np.asarray(np.sum(np.square(np.abs(x_FTM), dtype=np.float64), axis=(0, 1)))

    relative_NM, all_spots = _relative_levels(X_FTM, passages, spots, energies)
    return Prior(G=np.sqrt(relative_NM), spots=all_spots)


def solo_mixing(X_FTM: Array, passages: Passages, spots: Sequence[int | Sequence[int]]) -> Prior:
    """Learn the gain with which each source is mixed into every microphone from its solo passages.

    ``G_nm = Re Σ x_m x̄_s / Σ |x_s|²``, with s the own spot of n, and 0 where that is negative.  It is the least-squares
    gain, the Λ step of Rajesh R 2023 (see `models.TimeDomain`), if the source is what its own spot hears.  For an
    instantaneous mixture it equals `solo_panning`.  Where a source arrives late or reverberates it is smaller, because
    only what is in phase with the own spot can be subtracted from a waveform.

    Parameters
    ----------
    X_FTM, passages, spots
        As for `solo_covariances`.

    Returns
    -------
    Prior
        With `G`, float64 (N, M), 1 at a source's own spot, and `spots`.  A solo without any energy at its own spot
        gives 1 there and 0 elsewhere.

    Raises
    ------
    ArgumentError
        A passage has no frame, or a microphone does not exist.

    Examples
    --------
    >>> X_FTM = np.array([[[1.0, -0.5, 0.5], [2.0, -1.0, 1.0]]]) + 0j
    >>> solo_mixing(X_FTM, [slice(0, 2)], spots=[0]).G.round(2).tolist()  # microphone 1 is in antiphase
    [[1.0, 0.0, 0.5]]
    """

    def products(x_FTM: Array, own: int) -> Array:
        return np.asarray(np.sum((x_FTM * np.conj(x_FTM[..., [own]])).real, axis=(0, 1), dtype=np.float64))

    relative_NM, all_spots = _relative_levels(X_FTM, passages, spots, products)
    return Prior(G=np.maximum(relative_NM, 0.0), spots=all_spots)


def _principal(R_NFMM: Array) -> Array:
    """Return the principal eigenvector of each covariance, times the root of its eigenvalue, (N, F, M)."""
    values, vectors = np.linalg.eigh(R_NFMM)
    return np.asarray(vectors[..., -1] * np.sqrt(np.maximum(values[..., -1:], 0.0)))


def _relative_levels(
    X_FTM: Array, passages: Passages, spots: Sequence[Any], levels: Callable[[Array, int], Array]
) -> tuple[Array, Spots]:
    """Return `levels` (M,) of every solo, summed over its passages and relative to its own spot, (N, M)."""
    X_FTM = check_spectrogram(X_FTM)
    solos, all_spots = _checked(X_FTM, passages, spots)
    level_NM = np.zeros((len(solos), X_FTM.shape[2]))
    for n, own in enumerate(all_spots.references):
        for frames in solos[n]:
            level_NM[n] += levels(X_FTM[:, frames], own)
    return relative_to_spot(level_NM, all_spots), all_spots


def _checked(X_FTM: Array, passages: Passages, spots: Sequence[Any]) -> tuple[list[list[slice]], Spots]:
    all_spots = Spots(spots).check(X_FTM.shape[2])
    if not isinstance(passages, Sequence):
        raise ArgumentError(f"passages must be a list of slices of frames by source, got {passages!r:.80}")
    if len(passages) != len(all_spots):
        raise ArgumentError(f"passages and spots must name the same sources, got {len(passages)} and {len(all_spots)}")
    return [list(_slices(n, passage, X_FTM.shape[1])) for n, passage in enumerate(passages)], all_spots


def _slices(source: int, passage: slice | Sequence[slice], n_frames: int) -> Iterator[slice]:
    pieces = passage if isinstance(passage, Sequence) else [passage]
    if not all(isinstance(piece, slice) for piece in pieces):
        raise ArgumentError(
            f"passages: source {source} must be slices of frames, as STFT.frames gives; got {passage!r:.80}"
        )
    if pieces and not any(len(range(*piece.indices(n_frames))) for piece in pieces):
        raise ArgumentError(f"passages: source {source} has no frame within the {n_frames} of the spectrogram")
    for piece in pieces:
        if len(range(*piece.indices(n_frames))):
            yield piece
