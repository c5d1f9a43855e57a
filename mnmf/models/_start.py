"""What models check of a prior before they start: names, sizes, spots and spatial starting values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_COMPONENTS, ArgumentError, check_array, check_count, check_numeric, check_shape
from mnmf.kernels._threads import by_rows, in_blocks
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = [
    "check_covariances",
    "check_demixing",
    "check_names",
    "check_orientation",
    "own_spots",
    "power_sums",
    "sizes_and_spots",
    "source_count",
]

Array = NDArray[Any]


def check_names(prior: Prior, names: str, pullable: str = "") -> None:
    """Refuse a prior that holds or pulls what a model lacks, cannot pull, or is not given.

    Parameters
    ----------
    prior : Prior
    names : str
        The letters the model knows, such as ``"WHR"``.
    pullable : str
        Those that it can pull towards the prior.
    """
    if prior.anchor is not None:
        raise ArgumentError("this model cannot be drawn towards an anchor; FullRankMNMF(divergence='log-det') can")
    for verb, chosen in (("hold", prior.held), ("pull", prior.pulled)):
        if unknown := sorted(chosen - set(names)):
            raise ArgumentError(f"this model has no {unknown[0]} to {verb}; it has {', '.join(names)}")
    if stubborn := sorted(prior.pulled - set(pullable)):
        raise ArgumentError(f"this model cannot pull {stubborn[0]}; hold or release it")
    for name in names:
        if name in prior.held | prior.pulled and getattr(prior, name) is None:
            verb = "holds" if name in prior.held else "pulls"
            raise ArgumentError(f"the prior {verb} {name} but gives none; give a value or release it")


def source_count(prior: Prior, n_sources: int | None, n_mics: int) -> int:
    """Return the number of sources: the model's, else the prior's, else that of the microphones."""
    return check_count("n_sources", n_sources if n_sources is not None else (prior.n_sources or n_mics))


def own_spots(prior: Prior, n_sources: int, n_mics: int, apart: str) -> Spots:
    """Return the spots for a model in which each source needs its own: the prior's, else source i at microphone i.

    `apart` is as for `Spots.check`.
    """
    if n_sources > n_mics:
        raise ArgumentError(f"{n_sources} sources on {n_mics} microphones cannot be unmixed; each needs a microphone")
    spots = prior.spots if prior.spots is not None else Spots(range(n_sources))
    return spots.check(n_mics, n_sources, apart=apart)


def sizes_and_spots(
    prior: Prior,
    shape: Sequence[int],
    n_sources: int | None,
    n_components: int,
    names: str,
    pullable: str = "",
) -> tuple[int, int, Spots | None]:
    """Return N, K and the spots of a model with bases, once W and H have been checked and what is held is there.

    More sources than microphones have spots only where bases that stay tell them apart.  Without spots they need a
    spatial start of their own, from which each goes where it fits; the spots are None then.

    Parameters
    ----------
    prior : Prior
    shape : (F, T, M)
        That of the data.
    n_sources, n_components
        The model's; the prior's count first.
    names, pullable
        As for `check_names`.

    Raises
    ------
    ArgumentError
        A shape differs, a held value is missing, a spot does not exist, or nothing tells the sources apart.
    """
    F, T, M = shape
    N = source_count(prior, n_sources, M)
    check_names(prior, names, pullable)
    K = n_components
    if prior.W is not None:
        K = check_array("prior.W", prior.W, (N, F, None), "(N, F, K)", nonnegative=True).shape[2]
    elif prior.H is not None:
        K = check_array("prior.H", prior.H, (N, None, T), "(N, K, T)", nonnegative=True).shape[1]
    check_count("n_components", K, 1, MOST_COMPONENTS)
    if prior.H is not None:
        check_array("prior.H", prior.H, (N, K, T), "(N, K, T)", nonnegative=True)
    if N > M and prior.spots is None and any(getattr(prior, name) is not None for name in "GR" if name in names):
        return N, K, None
    told_apart = (prior.W is not None and "W" in prior.held | prior.pulled) or ("R" in names and "R" in prior.held)
    if N > M and not told_apart:
        raise ArgumentError(
            f"{N} sources on {M} microphones need bases that tell them apart: give a prior with W, and hold it"
        )
    spots = prior.spots if prior.spots is not None else Spots(range(min(N, M)))
    return N, K, spots.check(M, N)


def check_orientation(prior: Prior, X_FTM: Array) -> None:
    """Refuse a spectrogram of axes (T, F, M) or (M, F, T), where the prior says how many F or M are."""
    W, G, Q, R = (
        () if value is None else check_numeric(f"{name} of the prior", value).shape
        for name, value in (("W", prior.W), ("G", prior.G), ("Q", prior.Q), ("R", prior.R))
    )
    frequencies = {shape[axis] for shape, axis in ((W, 1), (Q, 0), (R, 1)) if len(shape) > axis}
    mics = {shape[-1] for shape in (G, Q, R) if shape}
    F, M = (sizes.pop() if len(sizes) == 1 else None for sizes in (frequencies, mics))
    first, second, last = X_FTM.shape
    if second == F != first:  # where the prior does not say how many microphones, the shorter axis is theirs
        check_shape("X_FTM", X_FTM, (F, None, min(first, last) if M is None else M), "(F, T, M)")
    elif F is None and first == M != last:
        check_shape("X_FTM", X_FTM, (second, None, M), "(F, T, M)")


def check_demixing(name: str, Q_FMM: Any, n_frequencies: int, n_mics: int) -> Array:
    """Return demixing matrices, complex128 and contiguous, a copy, if they can be inverted."""
    Q = check_array(name, Q_FMM, (n_frequencies, n_mics, n_mics), "(F, M, M)")
    Q = np.array(Q, np.complex128, order="C")
    if not np.all(by_rows(lambda Q: np.linalg.slogdet(Q)[1], Q) > -np.inf):
        raise ArgumentError(f"{name} must be invertible at every frequency")
    return Q


def check_covariances(name: str, R_NFMM: Any, shape: tuple[int, int, int]) -> Array:
    """Return spatial covariances of N sources, F frequencies and M microphones if they are positive semidefinite."""
    N, F, M = shape
    R = check_array(name, R_NFMM, (N, F, M, M), "(N, F, M, M)")

    def measured(block: slice) -> tuple[float, float, float]:
        part = R[:, block]
        skew = np.abs(part - np.conj(np.swapaxes(part, -1, -2))).max()
        return float(np.abs(part).max()), float(skew), -float(np.linalg.eigvalsh(part).min())

    largest, skew, negative = np.max(in_blocks(measured, np.swapaxes(R, 0, 1)), axis=0)
    if skew > 1e-6 * largest:
        raise ArgumentError(f"{name} must be Hermitian in its last two axes")
    if negative > 1e-6 * largest:
        raise ArgumentError(f"{name} must be positive semidefinite; one of its eigenvalues is negative")
    return R


def power_sums(X_FTM: Array, heard_TM: Any = ...) -> Array:
    """Return the sum of |x|² at each frequency, float64 (F,), of all points or of those that are `heard_TM`."""

    def sums(X_BTM: Array) -> Array:
        heard_BP = np.ascontiguousarray(X_BTM[:, heard_TM]).reshape(len(X_BTM), -1)
        return np.asarray(np.sum(np.square(np.abs(heard_BP), dtype=np.float64), axis=1))

    return by_rows(sums, X_FTM)
