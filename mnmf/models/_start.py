"""What every model checks: sizes and spots of a prior before it starts, the source and microphones of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mnmf.errors import ArgumentError, check_array, check_count
from mnmf.priors import Prior
from mnmf.spots import Spots

__all__ = ["chosen_mics", "sizes_and_spots"]


def sizes_and_spots(
    prior: Prior, X_FTM: NDArray[Any], n_sources: int | None, n_components: int, names: str, pullable: str = ""
) -> tuple[int, int, Spots]:
    """Return N, K and the spots, once W and H of the prior have been checked and what it holds is there.

    Parameters
    ----------
    prior : Prior
    X_FTM : complex, shape (F, T, M)
    n_sources, n_components
        The model's; the prior's count first.
    names : str
        The letters the model knows, such as ``"WHR"``.
    pullable : str
        Those that it can pull towards the prior.

    Raises
    ------
    ArgumentError
        A shape differs, a held value is missing, a spot does not exist, or there are more sources than microphones and
        no bases are held to tell them apart.
    """
    F, T, M = X_FTM.shape
    N = check_count("n_sources", n_sources if n_sources is not None else (prior.n_sources or M))
    for verb, chosen in (("hold", prior.held), ("pull", prior.pulled)):
        unknown = sorted(chosen - set(names))
        if unknown:
            raise ArgumentError(f"this model has no {unknown[0]} to {verb}; it has {', '.join(names)}")
    stubborn = sorted(prior.pulled - set(pullable))
    if stubborn:
        raise ArgumentError(f"this model cannot pull {stubborn[0]}; hold or release it")
    for name in names:
        if name in prior.held | prior.pulled and getattr(prior, name) is None:
            verb = "holds" if name in prior.held else "pulls"
            raise ArgumentError(f"the prior {verb} {name} but gives none; give a value or release it")
    K = n_components
    if prior.W is not None:
        K = check_array("prior.W", prior.W, (N, F, None), "(N, F, K)", nonnegative=True).shape[2]
    elif prior.H is not None:
        K = check_array("prior.H", prior.H, (N, None, T), "(N, K, T)", nonnegative=True).shape[1]
    check_count("n_components", K)
    if prior.H is not None:
        check_array("prior.H", prior.H, (N, K, T), "(N, K, T)", nonnegative=True)
    if N > M and not (prior.W is not None and "W" in prior.held):
        raise ArgumentError(
            f"{N} sources on {M} microphones need bases that tell them apart: give a prior with W, and hold it"
        )
    spots = prior.spots if prior.spots is not None else Spots(range(min(N, M)))
    return N, K, spots.check(M, N)


def chosen_mics(source: int, mics: Sequence[int] | None, n_sources: int, n_mics: int) -> list[int]:
    """Return `mics`, all of them for None, if they and `source` exist, else raise `ArgumentError`."""
    if not 0 <= source < n_sources:
        raise ArgumentError(f"source must be from 0 to {n_sources - 1}, got {source}")
    chosen = list(range(n_mics) if mics is None else mics)
    if not all(0 <= m < n_mics for m in chosen):
        raise ArgumentError(f"mics must be from 0 to {n_mics - 1}, got {chosen}")
    return chosen
