"""Priors from solo passages: the few seconds in which each musician plays alone.

They show how a player reaches every microphone (`solo_covariances`) and what the instrument sounds like
(`solo_bases`).  Cabañas-Molero et al. 2023, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_count, check_rng, check_spectrogram
from mnmf.kernels.fullrank import rooted
from mnmf.kernels.scm import weighted_covariances
from mnmf.priors._nmf import nmf
from mnmf.priors._prior import Prior, Spots, as_spots

__all__ = ["Passages", "solo_bases", "solo_covariances"]

Array = NDArray[Any]
Passages = Sequence[slice | Sequence[slice]]

SILENT = 1e-12  # of the strongest frequency: below this a solo says nothing about a frequency


def solo_covariances(X_FTM: Array, passages: Passages, spots: Sequence[int | Sequence[int]]) -> Prior:
    """Learn the spatial covariance of each source from its solo passages.

    The fixed point of eq. 8 in closed form: ``R_s = Σ_t a_t X_t / Σ_t a_t²``, with a the magnitude at the source's own
    spot and X the observed covariance of eq. 3.  It is Hermitian and positive semidefinite as it stands, and 1 at the
    own spot.  Silence and reverberant tails carry little weight in it, so a passage may well include them.

    Parameters
    ----------
    X_FTM : complex, shape (F, T, M)
        Spectrogram in which the sources play alone one after another.
    passages : sequence of slices, or of sequences of slices
        For each source the frames in which it plays alone.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.

    Returns
    -------
    Prior
        With `R`, complex128 (N, F, M, M), and `spots`.  Where a solo has no energy at a frequency, R is 1 at the own
        spot and 0 elsewhere.

    Raises
    ------
    ArgumentError
        A passage is empty, or a spot is not among the microphones.
    """
    X_FTM = check_spectrogram(X_FTM)
    solos, all_spots = _checked(X_FTM, passages, spots)
    F, _, M = X_FTM.shape
    R_NFMM = np.empty((len(solos), F, M, M), np.complex128)
    for n, slices in enumerate(solos):
        own = all_spots[n][0]
        weighted_FMM = np.zeros((F, M, M), np.complex128)
        energy_F = np.zeros(F)
        for frames in slices:
            solo_FTM = np.ascontiguousarray(X_FTM[:, frames])
            a_FT = np.abs(solo_FTM[..., own]).astype(np.float64)
            weighted_FMM += weighted_covariances(rooted(solo_FTM), a_FT)
            energy_F += np.sum(a_FT**2, axis=1)
        floor = SILENT * energy_F.max() + np.finfo(float).tiny
        weighted_FMM[:, own, own] += floor
        R_NFMM[n] = weighted_FMM / (energy_F + floor)[:, None, None]
    return Prior(R=R_NFMM, spots=all_spots)


def solo_bases(
    X_FTM: Array,
    passages: Passages,
    spots: Sequence[int | Sequence[int]],
    n_components: int = 64,
    *,
    n_iterations: int = 100,
    rng: np.random.Generator | int = 0,
) -> Prior:
    """Learn bases of each source from what its own spot hears in its solo passages.

    Single-channel NMF of the magnitudes under the Kullback-Leibler divergence (β = 1).  They take the place of a
    dictionary of notes where there is none; they know only the notes that were played.

    Parameters
    ----------
    X_FTM, passages, spots
        As for `solo_covariances`.
    n_components : int
        Bases per source, K.
    n_iterations : int
        Updates of the factorisation.
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
    """
    X_FTM = check_spectrogram(X_FTM)
    solos, all_spots = _checked(X_FTM, passages, spots)
    check_count("n_components", n_components)
    check_count("n_iterations", n_iterations)
    generator = check_rng(rng)
    W_NFK = np.empty((len(solos), len(X_FTM), n_components))
    for n, slices in enumerate(solos):
        V_FT = np.concatenate([np.abs(X_FTM[:, frames, all_spots[n][0]]) for frames in slices], axis=1)
        W_NFK[n], _ = nmf(V_FT, n_components, beta=1.0, n_iterations=n_iterations, rng=generator)
    return Prior(W=W_NFK, spots=all_spots)


def _checked(X_FTM: Array, passages: Passages, spots: Sequence[Any]) -> tuple[list[list[slice]], Spots]:
    all_spots = as_spots(spots)
    if len(passages) != len(all_spots):
        raise ArgumentError(f"passages and spots must name the same sources, got {len(passages)} and {len(all_spots)}")
    for n, mics in enumerate(all_spots):
        if max(mics) >= X_FTM.shape[2]:
            raise ArgumentError(f"spots: source {n} has microphone {max(mics)}, but there are {X_FTM.shape[2]}, from 0")
    return [list(_slices(n, passage, X_FTM.shape[1])) for n, passage in enumerate(passages)], all_spots


def _slices(source: int, passage: slice | Sequence[slice], n_frames: int) -> Iterator[slice]:
    pieces = [passage] if isinstance(passage, slice) else list(passage)
    if not any(len(range(*piece.indices(n_frames))) for piece in pieces):
        raise ArgumentError(f"passages: source {source} has no frame within the {n_frames} of the spectrogram")
    for piece in pieces:
        if len(range(*piece.indices(n_frames))):
            yield piece
