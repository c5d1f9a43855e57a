"""How an iteration of FastMNMF2 and of the log-determinant model grows with each size and with threads, in turn."""

from collections.abc import Callable

import _logdet_iterations
import numpy as np
from _figures import save, subplots
from _iterations import mixture, our_iteration, seconds_of
from numba import get_num_threads, set_num_threads

Sizes = dict[str, int]
# By model the sizes of which all but one stay: the log-determinant one is slower, and can be no less than double.
BASES: dict[str, Sizes] = {
    "fastmnmf2": {"F": 1025, "T": 650, "M": 4, "N": 4, "K": 16},
    "mnmf-is": {"F": 257, "T": 325, "M": 4, "N": 4, "K": 8},
}
FACTORS = {"F": (0.5, 1, 2, 4), "T": (0.5, 1, 2, 4), "M": (0.5, 1, 1.5, 2), "N": (0.5, 1, 1.5, 2), "K": (0.5, 1, 2, 4)}
AXES = {
    "F": "frequencies F",
    "T": "frames T",
    "M": "microphones M",
    "N": "sources N",
    "K": "bases a source K",
    "threads": "threads",
}


def iteration_of(model: str, sizes: Sizes, rng: np.random.Generator) -> Callable[[], None]:
    F, T, M, N, K = sizes.values()
    if model == "fastmnmf2":
        return our_iteration(mixture(F, T, M, np.complex64, rng), K, rng, N)
    X_FTM = mixture(F, T, M, np.complex128, rng)
    return _logdet_iterations.our_iteration(X_FTM, *_logdet_iterations.starting_values(X_FTM, K, rng, N))


def growth(repetitions: int, quick: bool = False) -> list[dict]:
    """Return the milliseconds of an iteration, the least of some, on all threads unless these are what grows."""
    rng = np.random.default_rng(0)
    available = get_num_threads()
    records = []

    def measure(model: str, axis: str, sizes: Sizes, threads: int) -> None:
        iteration = iteration_of(model, sizes, rng)
        set_num_threads(threads)
        iteration()  # compiles
        milliseconds = 1e3 * min(seconds_of(iteration) for _ in range(3 * repetitions))
        set_num_threads(available)
        records.append({"model": model, "axis": axis, **sizes, "threads": threads, "ms": round(milliseconds, 2)})
        print(", ".join(f"{key} {value}" for key, value in records[-1].items()), flush=True)

    for model, base in BASES.items():
        if quick:
            base = base | {"F": 33, "T": 64}
        for axis, factors in FACTORS.items():
            for factor in factors[:2] if quick else factors:
                measure(model, axis, base | {axis: round(factor * base[axis])}, available)
        for threads in range(1, available + 1):
            measure(model, "threads", base, threads)
    return records


def line(records: list[dict], model: str, axis: str) -> tuple[list[int], list[float]]:
    """Return the values of what grows and the milliseconds."""
    found = sorted((r[axis], r["ms"]) for r in records if (r["model"], r["axis"]) == (model, axis))
    values, milliseconds = zip(*found)
    return list(values), list(milliseconds)


def draw(records: list[dict]) -> None:
    """Draw what `growth` measured."""
    figure, axes = subplots(2, 3, size=(8, 4.6))
    for panel, (axis, label) in zip(axes.flat, AXES.items()):
        highest = 0.0
        for model in BASES:
            values, milliseconds = line(records, model, axis)
            highest = max(highest, *milliseconds)
            panel.plot(values, milliseconds, "o-", markersize=4, label=model)
        panel.set(xlabel=label, xlim=(0, None), ylim=(0, 1.08 * highest))
        panel.set_xticks(values if axis in ("M", "N", "threads") else panel.get_xticks()[:-1])
    for row in axes:
        row[0].set_ylabel("one iteration (ms)")
    axes[0, 0].legend()
    save(figure, "speed")
