"""How well the bleed between microphones is found, and what that gains: in plain mixtures of gains, and in rooms.

    python benchmarks/interference.py [--data DIR] [--quick] [--jobs N]

After Rajesh R, "Interference Reduction in Music Source Separation for Live Recordings", 2023, who compares the true
interference matrix Λ with the one found, SDR and time: on instantaneous mixtures, with his Λ (1 on the diagonal, 0.1
off it) and with random ones, and on convolutive ones, here in a hall.  Every seed takes another excerpt of the music,
deals the players out to other seats and, if Λ is random, draws another.  DIR holds pieces as in pieces.py, which take
turns; without it the embedded quartet is the only one.

The true Λ of a room has the level of each player's image at each microphone relative to that at its own spot.  Of a
method it has what the model expects there: Λ itself of the time-domain optimisation, the gains of KAMIR and the
covariances of FastMNMF2 over all frequencies, each weighted by what the player plays.  Writes
benchmarks/results/interference.json and docs/images/interference.png; seconds are comparable only if it ran with
--jobs 1.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import IMAGES, Case, simulated, successive
from _datasets import long_enough, quartet
from _datasets import pieces as read_pieces
from _figures import FINE, WIDTH, WITH_SOLOS, WITHOUT, headline, label, markdown, note, save, subplots
from _measure import AsRecorded, as_recorded, scorer, stems_of
from _runner import Cell, Result, arguments, grouped, mean_and_margin, run

from mnmf import KAMIR, METHODS, FastMNMF2, Method, Prior, Separation, TimeDomain, priors, separate, simulate
from mnmf.datasets import Piece
from mnmf.methods import Evidence

N = 4
SECONDS = 5.0
SEEDS = range(5)
PUBLISHED = np.where(np.eye(N, dtype=bool), 1.0, 0.1)
# "Time taken in seconds for 100 test tracks", average, Rajesh R 2023.
THEIR_SECONDS = {"KAMIR": 660.4, "CAEs": 2.4, "t-UNet": 2.19}
WARM_SECONDS = 1.5
SCENES: dict[str, Callable[[int], simulate.Scene]] = {"hall": simulate.hall_scene}
MIXTURES = ("Λ of 0.1", "random Λ", *SCENES)


def with_gamma1(gamma1: float) -> Method:
    return replace(METHODS["time-domain"], model=lambda _, n_iterations: TimeDomain(n_iterations, gamma1=gamma1))


def solo_levels(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    assert evidence.solo is not None
    return priors.solo_panning(*evidence.solo, evidence.spots).hold("G")


AS_RECORDED = "time-domain, γ1 = 0.1, as recorded"
# Of each the method by which it is separated and the kind of solos it is given.
CONTENDERS = {
    "time-domain, γ1 = 0": (with_gamma1(0.0), None),
    "time-domain, γ1 = 0.05": (with_gamma1(0.05), None),
    "time-domain, γ1 = 0.1": (with_gamma1(0.1), None),
    # γ1 = 0.1 is the truth only for microphones at the levels they have, if it is at all.
    AS_RECORDED: (with_gamma1(0.1), None),
    "time-domain, solos": (METHODS["time-domain"], "solo"),
    "time-domain, levels of solos": (replace(METHODS["time-domain"], prior=solo_levels), "solo"),
    "kamir": (METHODS["kamir"], None),
    "kamir, solos": (METHODS["kamir"], "solo"),
    "fastmnmf2": (METHODS["fastmnmf2"], None),
    "fastmnmf2, solos": (METHODS["fastmnmf2"], "solo"),
}


def grid(quick: bool, data: Path | None = None) -> list[Cell]:
    choices = pieces(data)
    mixtures, seeds = (MIXTURES[:1], SEEDS[:1]) if quick else (MIXTURES, SEEDS)
    return [
        {"mixture": mixture, "piece": choices[seed % len(choices)].name, "seed": seed, "method": method}
        for mixture in mixtures
        for seed in seeds
        for method in CONTENDERS
    ]


@cache
def pieces(data: Path | None) -> list[Piece]:
    if data is None:
        return [quartet()]
    found = read_pieces(data, players=N, seconds=12.0, offset=5.0, solo_seconds=10.0, borrow_solos=True)
    return long_enough(data, found, SECONDS)


@lru_cache(1)  # the cells of one mixture follow each other
def mixed(data: Path | None, mixture: str, name: str, seed: int) -> tuple[Case, np.ndarray]:
    """Return a take and its true Λ (M, N)."""
    (piece,) = (piece for piece in pieces(data) if piece.name == name)
    rng = np.random.default_rng((MIXTURES.index(mixture), seed))
    rate = piece.sample_rate
    samples = round(SECONDS * rate)
    first = int(rng.integers(len(piece.stems_LN) - samples + 1))
    players = rng.permutation(piece.stems_LN.shape[1])[:N]
    stems_LN = piece.stems_LN[first : first + samples, players]
    solos_LN = piece.solos_LN[:, players]
    names = tuple(f"player{n + 1}" for n in range(N))
    if mixture in SCENES:
        case = simulated(mixture, SCENES[mixture](N), stems_LN, list(solos_LN.T), rate, kinds=("solo", IMAGES))
        images_LMN = np.stack(np.split(case.solos[IMAGES][0], N), axis=2)
        case = replace(case, names=names, solos={"solo": case.solos["solo"]})
    else:
        mixing_MN = PUBLISHED.copy()
        if mixture == "random Λ":
            mixing_MN[~np.eye(N, dtype=bool)] = rng.uniform(0.0, 0.5, N * (N - 1))
        images_LMN = stems_LN[:, None] * mixing_MN
        case = of_gains(mixture, rate, images_LMN, solos_LN[:, None] * mixing_MN, names)
    level_MN = np.sqrt(np.sum(images_LMN**2, axis=0))
    return case, level_MN / level_MN[case.spots, range(N)]


def of_gains(name: str, rate: int, images_LMN: np.ndarray, alone_LMN: np.ndarray, names: tuple[str, ...]) -> Case:
    """Return a take in which source n is at its spot, microphone n, what it is in `images_LMN`; and its solos."""
    spots = tuple(range(N))
    truth_LN = images_LMN[:, spots, spots]
    return Case(name, rate, images_LMN.sum(axis=2), truth_LN, spots, names, {"solo": successive(alone_LMN, rate)})


@lru_cache(1)
def scored(data: Path | None, mixture: str, name: str, seed: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    return scorer(mixed(data, mixture, name, seed)[0])


def measure(cell: Cell, data: Path | None = None, timed: bool = True) -> Result:
    """Return the gains over the raw spots, one a source, the error of Λ, the Λ found and the seconds it took."""
    take = cell["mixture"], cell["piece"], cell["seed"]
    case, truth_MN = mixed(data, *take)
    if timed:
        warm(cell["method"], case.sample_rate)
    done = separated(case, cell["method"], cell["seed"])
    found_MN = interference(done.model, done.levels.gains_M, case.spots)
    gains = scored(data, *take)(stems_of(case, done))
    error = float(np.linalg.norm(found_MN - truth_MN))
    return {
        **{key: np.round(values, 3) for key, values in gains.items()},
        "error": round(error, 5),
        # 1 is no better than to take it that nothing bleeds.
        "relative_error": round(error / float(np.linalg.norm(truth_MN - identity(case))), 5),
        "found": np.round(found_MN, 4),
        "truth": np.round(truth_MN, 4),
        "seconds": round(sum(done.seconds.values()), 3),
    }


def separated(case: Case, name: str, seed: int = 0) -> Separation:
    recipe, kind = CONTENDERS[name]
    take = case.take(kind)
    return separate(take, method=as_recorded(recipe, take) if name == AS_RECORDED else recipe, seed=seed)


@cache
def warm(name: str, rate: int) -> None:
    """Compile whatever a method needs, for its first take is not to pay for that."""
    noise_LN = np.random.default_rng(0).standard_normal((round(WARM_SECONDS * rate), N))
    images_LMN = noise_LN[:, None] * PUBLISHED
    separated(of_gains("noise", rate, images_LMN, images_LMN, tuple(f"player{n + 1}" for n in range(N))), name)


def identity(case: Case) -> np.ndarray:
    """Return the Λ (M, N) of a take without bleed."""
    return np.eye(case.mixture_LM.shape[1])[:, list(case.spots)]


def interference(model: Any, gains_M: np.ndarray, spots: tuple[int, ...]) -> np.ndarray:
    """Return Λ (M, N) as a fitted model has it, between microphones without the gains with which it saw them."""
    if isinstance(model, AsRecorded):
        model, gains_M = model.model, np.ones_like(gains_M)
    level_MN = np.sqrt(powers(model)) / gains_M[:, None]
    return level_MN / level_MN[list(spots), range(N)]


def powers(model: Any) -> np.ndarray:
    """Return the power that a model expects of each source at each microphone, (M, N), in proportion."""
    if isinstance(model, TimeDomain):
        return model.A_**2
    if isinstance(model, KAMIR):
        to_power = 2 / model.exponent
        played_NF = np.sum(model.P_.astype(float) ** to_power, axis=2)
        return np.einsum("nf,nfm->mn", played_NF, model.G_**to_power)
    assert isinstance(model, FastMNMF2)
    played_NF = np.einsum("nfk,nk->nf", model.W_.astype(float), model.H_.sum(axis=2, dtype=float))
    reach_FMM = np.abs(np.linalg.inv(model.Q_)) ** 2
    return np.einsum("nf,fmi,ni->mn", played_NF, reach_FMM, model.G_)


def summarise(cells: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return of every figure its mean over the seeds and the margin of that, with 95 % confidence."""
    table: dict[str, dict[str, Any]] = {}
    for (mixture, method), results in grouped(cells, "mixture", "method").items():
        row: dict[str, Any] = {"worst_delta_sdr": min(min(result["delta_sdr"]) for result in results)}
        for key in ("delta_sdr", "delta_sir", "sar", "delta_snr", "error", "relative_error", "seconds"):
            mean, margin = mean_and_margin([float(np.mean(result[key])) for result in results])
            row[key] = [round(mean, 4), round(margin, 4) if len(results) > 1 else None]
        table.setdefault(mixture, {})[method] = row
    return table


def show(table: dict[str, dict[str, dict[str, Any]]]) -> None:
    def both(figure: list[float | None], digits: int) -> str:
        mean, margin = figure
        return f"{mean:.{digits}f}" + ("" if margin is None else f" ± {margin:.{digits}f}")

    print("mean over seeds ± 95 % confidence; error of Λ: Frobenius, and relative to that of the identity")
    print(f"{'mixture':10} {'method':34} {'ΔSDR, dB':>13} {'worst':>6} {'error of Λ':>15} {'relative':>8} {'s':>7}")
    for mixture, methods in table.items():
        for method, row in methods.items():
            gain, error, relative = both(row["delta_sdr"], 2), both(row["error"], 3), row["relative_error"][0]
            figures = f"{gain:>13} {row['worst_delta_sdr']:6.1f} {error:>15} {relative:8.3f} {row['seconds'][0]:7.2f}"
            print(f"{mixture:10} {method:34} {figures}")


def words(document: dict[str, Any]) -> str:
    """Say of each mixture what gains most, what finds Λ best, and what ends below the raw spots."""
    cells = grouped(document["cells"], "mixture", "method")
    lines = []
    for mixture, methods in document["summary"].items():
        gains, errors = (
            {method: [float(np.mean(result[key])) for result in cells[mixture, method]] for method in methods}
            for key in ("delta_sdr", "error")
        )
        nearness = {method: [-error for error in found] for method, found in errors.items()}
        lost = [
            f"`{method}` ({mean:+.1f} ± {margin:.1f} dB)"
            for method, (mean, margin) in ((method, mean_and_margin(found)) for method, found in gains.items())
            if mean + margin < 0
        ]
        lines.append(
            f"- {mixture}: most is gained by {first(gains)}; nearest to the true matrix comes {first(nearness)}; "
            f"clearly below the raw spots {'end ' + ', '.join(lost) if lost else 'ends none'}."
        )
    return "\n".join(lines)


def beside_theirs(document: dict[str, Any]) -> str:
    """Set the seconds that KAMIR takes here beside those of the seminar."""
    cells = grouped(document["cells"], "method")
    ours = ", ".join(
        f"`{method}` {np.mean([result['seconds'] for result in cells[method,]]):.1f} s"
        for method in ("kamir", "kamir, solos")
    )
    theirs = ", ".join(f"{method} {seconds:g}" for method, seconds in THEIR_SECONDS.items())
    return (
        f'Rajesh R 2023, "Interference Reduction in Music Source Separation for Live Recordings", gives as the average '
        f"of the seconds for 100 test tracks: {theirs}. Here {ours} for a take of {SECONDS:g} s. How long those tracks "
        "are and on what machine is not said, so the two do not compare."
    )


def first(figures: dict[str, list[float]]) -> str:
    """Name the method with the largest mean over the seeds, and those not significantly different from it."""
    best = max(figures, key=lambda method: sum(figures[method]))
    others = []
    for method, found in figures.items():
        mean, margin = mean_and_margin([a - b for a, b in zip(figures[best], found)])
        if method != best and not mean > margin:
            others.append(f"`{method}`")
    return f"`{best}`" + (f" (no significant difference from {' and '.join(others)})" if others else "")


SHOWN_AS = {
    "Λ of 0.1": "instantaneous mixture:\nall bleed at gain 0.1",
    "random Λ": "instantaneous mixture:\nrandom gains, 0 to 0.5",
}
SHOWN_AS |= {"hall": "reverberant room:\na hall"}
NOTE = (
    "γ1: the least bleed allowed. As recorded: the microphones are not brought to one loudness first.\n"
    "Levels of solos: the gains are held as the solos give them. Lines: 95 % confidence."
)


def title(document: dict[str, Any]) -> str:
    """Say what the time-domain optimisation gains with solos, in instantaneous mixtures and in rooms."""
    gains = {mixture: methods["time-domain, solos"]["delta_sdr"] for mixture, methods in document["summary"].items()}
    least = min(mean for mixture, (mean, _) in gains.items() if mixture not in SCENES)
    rooms = [(mean, margin or 0.0) for mixture, (mean, margin) in gains.items() if mixture in SCENES]
    lost = all(mean <= margin for mean, margin in rooms)
    most = max(mean for mean, _ in rooms)
    there = "nothing" if lost else f"up to {most:.1f} dB"
    return (
        f"With solos the time-domain optimisation gains at least {math.floor(least)} dB in instantaneous "
        f"mixtures, and {there} in a hall"
    )


def picture(document: dict[str, Any]) -> str:
    return markdown(title(document), "interference")


def draw(document: dict[str, Any]) -> None:
    """Draw what each method gains in each mixture."""
    table = document["summary"]
    figure, axes = subplots(1, len(table), size=(WIDTH, 4.4), sharex=True, sharey=True)
    names = list(CONTENDERS)
    for axis, (mixture, methods) in zip(axes, table.items()):
        for row, name in enumerate(names):
            colour = WITH_SOLOS if CONTENDERS[name][1] else WITHOUT
            mean, margin = methods[name]["delta_sdr"]
            axis.errorbar(mean, row, xerr=margin or 0.0, fmt="o", color=colour, markersize=5, elinewidth=0.8)
            said = f"{round(mean, 1) + 0.0:+.1f}".replace("-", "−")
            label(axis, said, (mean + (margin or 0.0), row), (6, 0), color=colour)
            if name.partition(",")[0] != names[row - 1].partition(",")[0] and row:
                axis.axhline(row - 0.5, color="#bbbbbb", linewidth=0.8)
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_title(SHOWN_AS.get(mixture, mixture), loc="left", fontsize=9)
        axis.set_xlabel("gain in SDR, dB")
        axis.grid(visible=False, axis="y")
        axis.tick_params(axis="y", length=0)
    axes[0].set_xlim(-6, 88)
    axes[0].set_xticks(range(0, 61, 20))
    axes[0].set_yticks(range(len(names)), names, fontsize=8)
    for tick, name in zip(axes[0].get_yticklabels(), names):
        tick.set_color(WITH_SOLOS if CONTENDERS[name][1] else WITHOUT)
    axes[0].invert_yaxis()
    note(figure, NOTE)
    headline(figure, title(document))
    save(figure, "interference", dpi=FINE)


def main() -> None:
    options = arguments(__doc__, data="folder of pieces")
    measured = run(
        "interference",
        grid(options.quick, options.data),
        partial(measure, data=options.data, timed=not options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    show(measured["summary"])
    print(words(measured))
    if not options.quick:
        draw(measured)


if __name__ == "__main__":
    main()
