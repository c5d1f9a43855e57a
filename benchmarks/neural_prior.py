"""What estimates of the sources are worth to start from, by how good they are.

    python benchmarks/neural_prior.py [--data DIR] [--quick] [--jobs N]

In the place of a network stands the truth, spoilt to a given ratio of signal to error, so that its quality is known.
The error is half the other players, by random gains that change with time and frequency, as of a network that lets
others through, and half the player's own spectrum with random phases, as of one that garbles (`degraded`).  Estimates
go to `fastmnmf2` as those of `mnmf separate --estimates` do.  Takes are the embedded
quartet in a chamber, and with DIR its ready takes, and two pieces in the hall of Cabañas-Molero et al. 2023.  A seed
draws the errors, and the random starts.  Writes benchmarks/results/neural_prior.json and docs/images/neural_prior.png.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import Case, folder_cases, simulated
from _datasets import free, nothing_found, pieces, quartet, take_folders
from _figures import COLOURS, FINE, NEITHER, WIDTH, WITHOUT, headline, label, markdown, points, save, subplots
from _measure import scorer, separate
from _runner import Cell, Result, arguments, mean_and_margin, run

from mnmf import METHODS, STFT, FastMNMF2, Method, Prior, priors, simulate
from mnmf.datasets import Piece, recognise
from mnmf.methods import Evidence

SECONDS, SOLO_SECONDS, PLAYERS = 10, 8, 4
QUALITIES = (0, 3, 6, 9, 12)
SEEDS = range(5)
ERRORS = ("leaks", "artefacts", "both")
BLOB = (16, 8)  # frequencies and frames over which the gains of a leak hardly change
METHOD = "fastmnmf2"
DEFAULT, HELPED = "default", "default, estimates"  # of the method, in the results
READY, PLAYED = "ready", "simulated"
PLACES = {READY: "recorded players", PLAYED: "simulated pieces"}


# --- the ways to start: what is made of the estimates, to be compared with what the library makes of them


def believed_blindly(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """As the library, but without judging how good the estimates are."""
    X_FTM, spots = evidence.X_FTM, evidence.spots
    shares_NFT = priors.estimate_shares(X_FTM, evidence.estimates, spots)
    return priors.spot(X_FTM, spots, None, n_components, shares_NFT=shares_NFT, trust=1.0, rng=rng)


def spectra_themselves(evidence: Evidence, n_components: int, rng: np.random.Generator, exponent: float = 2.0) -> Prior:
    """W and H factorise the powers of the estimates themselves, not their share of the spots."""
    spots = evidence.spots
    shown_FTM = np.zeros_like(evidence.X_FTM)
    shown_FTM[..., spots.references] = np.abs(evidence.estimates) ** (exponent / 2)
    whole_NFT = np.ones((len(spots), *shown_FTM.shape[:2]), np.float32)
    return priors.spot(shown_FTM, spots, None, n_components, shares_NFT=whole_NFT, trust=1.0, rng=rng)


def at_any_level(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """The same of a tool that brings every stem to another level, up to 20 dB off."""
    levels_N = 10 ** rng.uniform(-1, 1, len(evidence.spots))
    return spectra_themselves(replace(evidence, estimates=evidence.estimates * levels_N), n_components, rng)


# The same with magnitudes where the model wants powers.
magnitudes_for_powers = partial(spectra_themselves, exponent=1.0)


@dataclass(frozen=True)
class InTwoHalves:
    """FastMNMF2 that holds the values called `waiting` in the first half of its iterations; then all are free."""

    n_components: int
    n_iterations: int
    waiting: tuple[str, ...]

    def fit(self, X_FTM: np.ndarray, prior: Prior, **options: Any) -> FastMNMF2:
        half = FastMNMF2(self.n_components, self.n_iterations // 2)
        half.fit(X_FTM, prior.hold(*self.waiting), **options)
        found = Prior(G=half.G_, Q=half.Q_).pull("Q") if "W" in self.waiting else Prior(W=half.W_, H=half.H_)
        return half.fit(X_FTM, prior | found, **options)


# How a method is changed.
STARTS: dict[str, Callable[[Method], Method]] = {
    HELPED: lambda recipe: recipe,
    "believed blindly": partial(replace, prior=believed_blindly),
    "their spectra themselves": partial(replace, prior=spectra_themselves),
    "their spectra, levels lost": partial(replace, prior=at_any_level),
    "magnitudes for powers": partial(replace, prior=magnitudes_for_powers),
    "space first, W and H held": partial(replace, model=partial(InTwoHalves, waiting=("W", "H"))),
    "spectra first, Q and G held": partial(replace, model=partial(InTwoHalves, waiting=("Q", "G"))),
}


def grid(quick: bool, data: Path | None = None) -> list[Cell]:
    """Return the cells, those of one take after another."""
    seeds, qualities = (SEEDS, QUALITIES) if not quick else (SEEDS[:1], QUALITIES[2:3])
    cells: list[Cell] = []

    def add(kind: str, take: str, seed: int, start: str, method: str = "fastmnmf2", **more: Any) -> None:
        cell = {"kind": kind, "take": take, "method": method, "start": start, "sdr": None, "errors": "both"}
        cells.append({**cell, "solos": False, "seed": seed, **more})

    for take in list(ready(data))[: 1 if quick else None]:
        for seed in seeds:
            add(READY, take, seed, DEFAULT)
            for sdr in qualities:
                add(READY, take, seed, HELPED, sdr=sdr)
        if quick:
            continue
        for seed in SEEDS[:2]:
            for errors in ERRORS[:2]:
                add(READY, take, seed, HELPED, sdr=6, errors=errors)
            for start in list(STARTS)[1:]:
                add(READY, take, seed, start, sdr=6)
        add(READY, take, 0, DEFAULT, solos=True)
        add(READY, take, 0, HELPED, solos=True, sdr=6)
        add(READY, take, 0, DEFAULT, "mnmf-is")
        add(READY, take, 0, HELPED, "mnmf-is", sdr=6)
    for take in players(data)[: 1 if quick else None]:
        for seed in seeds:
            add(PLAYED, take, seed, DEFAULT)
            for sdr in qualities:
                add(PLAYED, take, seed, HELPED, sdr=sdr)
        if quick:
            for start in list(STARTS)[1:]:
                add(PLAYED, take, 0, start, sdr=6)
            add(PLAYED, take, 0, HELPED, sdr=6, errors="leaks")
            add(PLAYED, take, 0, HELPED, "mnmf-is", sdr=6, solos=True)
    return [{**cell, "quick": True} for cell in cells] if quick else cells


# --- the takes


@cache
def ready(data: Path | None) -> dict[str, Case]:
    if not data or not take_folders(data):
        return {}
    return {case.name: case for case in folder_cases(data)}


def players(data: Path | None) -> list[str]:
    """Return the names of some pieces of four players: the embedded quartet, and two of a folder."""
    if not data or not recognise(data):
        if data and not ready(data):
            nothing_found(data)
        return [quartet().name]
    found = cut_out(data)
    free(data, [piece.name for piece in found], [quartet().name])
    return [quartet().name, *(piece.name for piece in found[:: max(1, len(found) // 2)][:2])]


@cache
def cut_out(data: Path) -> list[Piece]:
    return pieces(data, players=PLAYERS, seconds=SECONDS, solo_seconds=SOLO_SECONDS, borrow_solos=True)


@cache
def played(data: Path | None, name: str, quick: bool) -> Case:
    """Return a piece in the hall; the embedded quartet in the chamber."""
    if name == quartet().name:
        piece, scene_of = quartet(), simulate.chamber_scene
    else:
        assert data is not None
        (piece,) = (each for each in cut_out(data) if each.name == name)
        scene_of = simulate.hall_scene
    count = 2 if quick else PLAYERS
    length, alone = (round(s * piece.sample_rate) for s in ((2, 2) if quick else (SECONDS, SOLO_SECONDS)))
    solos = [solo_L[:alone] for solo_L in piece.solos_LN.T[:count]]
    scene = scene_of(piece.names[:count])
    return simulated(name, scene, piece.stems_LN[:length, :count], solos, piece.sample_rate, kinds=["solo"])


def degraded(truth_LN: np.ndarray, sdr_db: float, errors: str, rng: np.random.Generator) -> np.ndarray:
    """Return the truth with errors of a level that leaves this ratio of signal to error."""
    stft = STFT(2048, 1024)
    others_LN = truth_LN.sum(axis=1, keepdims=True) - truth_LN
    spoilt_LN = np.empty_like(truth_LN)
    for n in range(truth_LN.shape[1]):
        parts = []
        if errors != "artefacts":
            S_FT = stft.analyse(others_LN[:, [n]])[..., 0]
            parts.append(S_FT * np.exp(blobs(S_FT.shape, rng)))
        if errors != "leaks":
            S_FT = stft.analyse(truth_LN[:, [n]])[..., 0]
            parts.append(S_FT * np.exp(2j * np.pi * rng.random(S_FT.shape)))
        error_L = np.zeros(len(truth_LN))
        for S_FT in parts:
            part_L = stft.synthesise(S_FT[..., None], len(truth_LN))[:, 0]
            error_L += part_L / (np.std(part_L) or 1.0)
        level = np.std(truth_LN[:, n]) * 10 ** (-sdr_db / 20)
        spoilt_LN[:, n] = truth_LN[:, n] + error_L * level / (np.std(error_L) or 1.0)
    return spoilt_LN


def blobs(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return noise that changes slowly with frequency and time, standard deviation about 1 where it does not."""
    from scipy.ndimage import zoom

    coarse = rng.standard_normal([-(-size // step) + 1 for size, step in zip(shape, BLOB)])
    return zoom(coarse, BLOB, order=1)[: shape[0], : shape[1]]


def measure(cell: Cell, data: Path | None = None) -> Result:
    """Return the gains of the stems over the raw spots, one a source, and those of the estimates."""
    quick = "quick" in cell
    case = ready(data)[cell["take"]] if cell["kind"] == READY else played(data, cell["take"], quick)
    recipe = METHODS[cell["method"]]
    if quick:
        recipe = replace(recipe, window=8192 / 44100, components=8, iterations=3)
    gains = scorer(case)
    result: Result = {}
    options: dict[str, Any] = {}
    if cell["sdr"] is not None:
        wanted = degraded(case.truth_LN, cell["sdr"], cell["errors"], np.random.default_rng((cell["seed"], 1)))
        result["of_estimate"] = np.round(gains(wanted)["delta_sdr"], 3)
        estimates = dict(zip(case.names, wanted.T / case.peak))
        recipe = STARTS[cell["start"]](recipe)
        options["estimator"] = lambda x_LM, rate: estimates
    found = gains(separate(case, recipe, "solo" if cell["solos"] else None, cell["seed"], **options))
    return result | {key: np.round(values, 3) for key, values in found.items()}


# --- what came out


def gained(cells: list[dict[str, Any]], key: str = "delta_sdr", **wanted: Any) -> list[float]:
    """Return the mean gain over takes and sources, one a seed, of the cells with these entries."""
    seeds: dict[int, list[float]] = {}
    for each in cells:
        if all(each["cell"][name] == value for name, value in wanted.items()):
            seeds.setdefault(each["cell"]["seed"], []).append(float(np.mean(each["result"][key])))
    return [float(np.mean(values)) for _, values in sorted(seeds.items())]


def seeds_of(cells: list[dict[str, Any]], **wanted: Any) -> set[int]:
    """Return the seeds of the cells with these entries."""
    return {
        each["cell"]["seed"] for each in cells if all(each["cell"][name] == value for name, value in wanted.items())
    }


def shown(values: list[float]) -> str:
    mean, margin = mean_and_margin(values)
    return f"{mean:+.2f}" + (f" ± {margin:.2f}" if len(values) > 1 else "")


PLAIN = {"method": "fastmnmf2", "errors": "both", "solos": False}


def table(document: dict[str, Any]) -> str:
    """Gains by the quality of the estimates: of the estimates, of the method, and of the method with them."""
    cells = document["cells"]
    whats = ("estimates", f"`{METHOD}`", f"`{METHOD}` from estimates")
    kinds = [kind for kind in (READY, PLAYED) if gained(cells, kind=kind, start=DEFAULT, **PLAIN)]
    heads = [f"{PLACES[kind]}: {what}" for kind in kinds for what in whats]
    lines = [f"| estimates of | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for sdr in QUALITIES:
        row = []
        for kind in kinds:
            known = {"kind": kind, "start": HELPED, "sdr": sdr, **PLAIN}
            if not gained(cells, **known):
                break
            row += [
                shown(gained(cells, "of_estimate", **known)),
                shown(gained(cells, kind=kind, start=DEFAULT, **PLAIN)),
            ]
            row += [shown(gained(cells, **known))]
        if row:
            lines.append(f"| {sdr} dB | {' | '.join(row)} |")
    return "\n".join(lines)


def words(document: dict[str, Any]) -> str:
    """Say where estimates help, and whether they ever harm, by the means over takes and seeds."""
    cells = document["cells"]
    sentences = []
    for kind, place in PLACES.items():
        alone = gained(cells, kind=kind, start=DEFAULT, **PLAIN)
        more = {}
        for sdr in QUALITIES:
            known = {"kind": kind, "start": HELPED, "sdr": sdr, **PLAIN}
            if values := gained(cells, **known):
                better = max(np.mean(alone), np.mean(gained(cells, "of_estimate", **known)))
                more[sdr] = float(np.mean(values) - better)
        if more:
            least = min(more, key=lambda sdr: more[sdr])
            helped = [f"{sdr}" for sdr, gain in more.items() if gain > 0]
            sentences.append(
                f"On the {place} the start from estimates ends above both these and `{METHOD}` without them for "
                f"estimates of {', '.join(helped) or 'no'} dB; the least difference to the better of the two is "
                f"{more[least]:+.2f} dB, at {least} dB."
            )
    return " ".join(sentences)


def starts(document: dict[str, Any]) -> str:
    """What different things made of the same estimates, beside what they make without them, with the same seeds."""
    cells = document["cells"]
    kind = READY if any(each["cell"]["kind"] == READY for each in cells) else PLAYED
    takes = list(dict.fromkeys(each["cell"]["take"] for each in cells if each["cell"]["kind"] == kind))
    heads = [f"start, estimates of 6 dB, {PLACES[kind]}", "ΔSDR", "over that without", *takes]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    compared: list[tuple[str, str, dict[str, Any]]] = [(start, start, {}) for start in STARTS]
    compared += [(f"{HELPED}, all errors {errors}", HELPED, {"errors": errors}) for errors in ERRORS[:2]]
    compared += [(f"{HELPED}, solos", HELPED, {"solos": True})]
    compared += [("`mnmf-is`, estimates", HELPED, {"method": "mnmf-is"})]
    # Not all were run with every seed, and what is compared must have been run with the same.
    seeds = {
        name: seeds_of(cells, kind=kind, start=start, sdr=6, **{**PLAIN, **other}) for name, start, other in compared
    }
    shared = set.intersection(*(found for name, found in seeds.items() if name in STARTS and found))
    everything = cells
    for name, start, other in compared:
        cells = [each for each in everything if each["cell"]["seed"] in (seeds[name] & shared or seeds[name])]
        known = {"kind": kind, "start": start, "sdr": 6, **PLAIN, **other}
        without = {"kind": kind, "start": DEFAULT, **PLAIN, **other, "errors": "both"}
        after, before = gained(cells, **known), gained(cells, **without)
        if after and before:
            more = [np.mean(gained(cells, take=t, **known)) - np.mean(gained(cells, take=t, **without)) for t in takes]
            figures = [np.mean(after), np.mean(after) - np.mean(before), *more]
            said = name.replace(DEFAULT, f"`{METHOD}`", 1)
            lines.append(f"| {said} | {' | '.join(f'{figure:+.2f}' for figure in figures)} |")
    return "\n".join(lines)


def kinds_of(cells: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of takes that were measured."""
    return [kind for kind in PLACES if gained(cells, kind=kind, start=DEFAULT, **PLAIN)]


def added(cells: list[dict[str, Any]], kind: str, sdr: float) -> list[float]:
    """Return by how much estimates change the gain, one a seed."""
    helped = gained(cells, kind=kind, start=HELPED, sdr=sdr, **PLAIN)
    return [a - b for a, b in zip(helped, gained(cells, kind=kind, start=DEFAULT, **PLAIN))]


def title(document: dict[str, Any]) -> str:
    """Say what the worst estimates are worth."""
    cells = document["cells"]
    more = {kind: mean_and_margin(added(cells, kind, QUALITIES[0])) for kind in kinds_of(cells)}
    figures = ", ".join(f"{mean:+.1f} dB on {PLACES[kind]}" for kind, (mean, _) in more.items())
    if all(mean > margin for mean, margin in more.values()):
        return f"Even estimates as poor as {QUALITIES[0]} dB help {METHOD}: {figures}"
    return f"Estimates of {QUALITIES[0]} dB change what {METHOD} gains: {figures}"


def picture(document: dict[str, Any]) -> str:
    return markdown(title(document), "neural_prior")


def draw(document: dict[str, Any]) -> None:
    """Draw what is gained with and without estimates, and by the estimates themselves, by how good they are."""
    cells = document["cells"]
    kinds = kinds_of(cells)
    figure, axes = subplots(1, len(kinds), size=(WIDTH, 3.6), squeeze=False, sharey=True)
    for axis, kind in zip(axes[0], kinds):
        known = {"kind": kind, "start": HELPED, **PLAIN}
        tried = [sdr for sdr in QUALITIES if gained(cells, sdr=sdr, **known)]
        alone = float(np.mean(gained(cells, kind=kind, start=DEFAULT, **PLAIN)))
        more = [float(np.mean(added(cells, kind, sdr))) for sdr in tried]
        middle = float(np.mean(tried))
        axis.axhline(0, color="black", linewidth=0.8)
        axis.axhline(alone, color=WITHOUT)
        label(axis, f"{METHOD} without estimates", (middle, alone), (0, -6), color=WITHOUT)
        for key, colour in (("delta_sdr", COLOURS[0]), ("of_estimate", NEITHER)):
            found = [mean_and_margin(gained(cells, key, sdr=sdr, **known)) for sdr in tried]
            points(axis, tried, *zip(*found), color=colour)
            if key == "delta_sdr":
                said = f"from estimates, {more[0]:+.1f} to {more[-1]:+.1f} dB"
                label(axis, said, (middle, max(mean for mean, _ in found)), (0, 6), color=colour)
            else:
                mean, _ = found[len(tried) // 2]
                label(axis, "the estimates\nthemselves", (middle, mean), (8, -10), color=colour, va="top")
        axis.set_xticks(tried)
        axis.set_xlabel("signal to error of the estimates, dB")
        axis.set_title(PLACES[kind], fontsize=9, loc="left")
    axes[0, 0].set_ylim(top=axes[0, 0].get_ylim()[1] + 3)  # above, a label has room
    axes[0, 0].set_ylabel("gain in SDR over the raw spot, dB")
    headline(figure, title(document))
    save(figure, "neural_prior", dpi=FINE)


def main() -> None:
    options = arguments(__doc__, data="folder of ready takes and pieces")
    document = run(
        "neural_prior",
        grid(options.quick, options.data),
        partial(measure, data=options.data),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    print(table(document), words(document), starts(document), sep="\n\n")
    if not options.quick:
        draw(document)


if __name__ == "__main__":
    main()
