"""What solo passages and claps are worth to each method, by which reconstruction, and what a main pair adds.

    python benchmarks/solo_priors.py [--data DIR] [--quick] [--jobs N]

After P. Cabañas-Molero, J. Carabias-Orti, A. J. Muñoz-Montoro and P. Vera-Candeas, "Pre-trained spatial priors on
multichannel NMF for music source separation", Forum Acusticum 2023: their simulated hall (22 x 16 x 5 m, RT60 1 s, omni
spots, neighbours 2 m apart), solos of three hand claps, or of scales as in their studio.  The first four players of
every piece in DIR (`mnmf.datasets`) and of the embedded quartet play there; ready takes in DIR (`_cases.folder_cases`)
are separated as they are.

Each fitted model gives its stems twice: by the share that it expects of a player at the own spot (their eq. 9), and by
the multichannel Wiener filter, where it knows of phases.  In the hall there is also a main pair, two cardioids before
the ensemble, which is left out unless a cell asks for six microphones.  Writes benchmarks/results/solo_priors.json.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import KINDS, Case, folder_cases, simulated
from _datasets import free, nothing_found, pieces, quartet, take_folders, work
from _figures import COLOURS, save, subplots
from _measure import scorer, stems_of
from _runner import Cell, Result, arguments, grouped, mean_and_margin, run
from scipy.signal import resample_poly

from mnmf import METHODS, FastMNMF2, FullRankMNMF, Method, NTFPanning, Prior, Separation, priors, separate, simulate
from mnmf.datasets import Piece, recognise
from mnmf.methods import Evidence
from mnmf.simulate import Microphone, Room, Scene
from mnmf.take import Levels
from mnmf.wiener import spot_mask

N = 4
START, SECONDS = 5.0, 10.0
SOLO_SECONDS = 8.0
SEEDS = 2  # in the hall, of what has a figure in the paper to be compared with; those methods start at random
HALL, READY = "hall", "ready"
PAIR_M = 3.5  # from the middle of the ensemble to the main pair
HELD = "ntf-panning, bases held"  # as in the paper, whose bases are a dictionary's
# What each is told of; bases come from the solos of scales even where the rest comes from claps.
TOLD: dict[str, tuple[str | None, ...]] = {
    "mnmf-fixh": KINDS,
    "mnmf-updth": KINDS,
    "mnmf-blind": ("solo",),
    "fastmnmf2-blind": (None,),
    "ntf-panning": KINDS,
    HELD: KINDS,
    "fastmnmf2": (None, *KINDS),
    "mnmf-is": (None, *KINDS),
}
RECIPES = {method: METHODS["ntf-panning-notes" if method == HELD else method] for method in TOLD}
WITH_PAIR = tuple((method, told) for method in ("fastmnmf2", "mnmf-is") for told in (None, "solo"))
WORDS = {None: "nothing", "solo": "solos", "clap": "claps"}
GAINS = ("delta_sdr", "delta_sir", "sar", "delta_snr")

# Cabañas-Molero et al. 2023, Tables 1 and 2: ΔSDR, ΔSIR, SAR in dB.
THEIRS: dict[str, dict[str, tuple[float, float, float]]] = {
    "real": {
        "mnmf-fixh": (4.90, 7.19, 13.31),
        "mnmf-updth": (1.92, 7.10, 8.16),
        "mnmf-blind": (-0.26, 4.98, 5.91),
        "fastmnmf2-blind": (2.29, 5.12, 10.50),
        HELD: (4.36, 6.83, 12.97),
    },
    "simulated": {
        "mnmf-fixh": (7.32, 8.80, 10.26),
        "mnmf-updth": (4.02, 6.04, 6.34),
        "mnmf-blind": (2.84, 4.72, 4.85),
        "fastmnmf2-blind": (3.78, 7.12, 6.69),
        HELD: (5.68, 7.61, 8.91),
    },
}
# Whom to compare with whom there: their simulated solos are claps.
AS_THEIRS = {method: "clap" if "clap" in TOLD[method] else TOLD[method][0] for method in THEIRS["simulated"]}


def grid(data: Path | None, quick: bool) -> list[Cell]:
    kinds: dict[tuple[str, str], set[str | None]] = {(HALL, name): {None, *KINDS} for name in players(data)}
    kinds |= {(READY, name): {None, *case.solos} for name, case in ready(data).items()}
    if quick:  # the quartet, and a piece and a take of DIR if there are any
        chosen = [*[(HALL, name) for name in players(data)][:2], *[(READY, name) for name in ready(data)][:1]]
        kinds = {place: kinds[place] for place in chosen}
    cells = []
    for (room, take), there in kinds.items():
        for method, tellings in TOLD.items():
            for told in tellings:
                # Bases are those of the scales.
                if told not in there or (told == "clap" and RECIPES[method].bases and "solo" not in there):
                    continue
                seeds = SEEDS if room == HALL and told == AS_THEIRS.get(method, "") and not quick else 1
                mics = N if room == HALL else ready(data)[take].mixture_LM.shape[1]
                cells += [cell(room, take, mics, method, told, seed) for seed in range(seeds)]
        if room == HALL:
            cells += [cell(room, take, N + 2, method, told, 0) for method, told in WITH_PAIR]
    return cells


def cell(room: str, take: str, mics: int, method: str, told: str | None, seed: int) -> Cell:
    return {"room": room, "take": take, "mics": mics, "method": method, "told": told, "seed": seed}


@cache
def players(data: Path | None) -> dict[str, Piece]:
    found = [quartet()]
    if data and recognise(data):
        cut_out = pieces(data, players=N, seconds=SECONDS, offset=START, solo_seconds=SOLO_SECONDS, borrow_solos=True)
        free(data, [piece.name for piece in cut_out], [found[0].name])
        found += cut_out
    elif data and not ready(data):
        nothing_found(data)
    return {piece.name: piece for piece in found}


@cache
def ready(data: Path | None) -> dict[str, Case]:
    if not data or not take_folders(data):
        return {}
    return {case.name: cut(case) for case in folder_cases(data)}


def cut(case: Case) -> Case:
    length = round(SECONDS * case.sample_rate)
    return replace(case, mixture_LM=case.mixture_LM[:length], truth_LN=case.truth_LN[:length])


def hurried(case: Case) -> Case:
    rate = case.sample_rate // 4
    mixture_LM, truth_LN = (resample_poly(x_LN, 1, 4)[: 2 * rate] for x_LN in (case.mixture_LM, case.truth_LN))
    solos = {kind: (resample_poly(x_LM, 1, 4), passages) for kind, (x_LM, passages) in case.solos.items()}
    return replace(case, sample_rate=rate, mixture_LM=mixture_LM, truth_LN=truth_LN, solos=solos)


def stage(quick: bool) -> Scene:
    """Return the hall with a main pair, two cardioids half a metre apart that look at the outermost players."""
    scene = simulate.chamber_scene(N) if quick else simulate.hall_scene(N)
    seats = [player.position_m for player in scene.players]
    x, y, _ = np.mean(seats, axis=0)
    pair = [
        Microphone(name, (x - (2.0 if quick else PAIR_M), y + side, 2.5), "cardioid", seat)
        for name, side, seat in (("left", 0.25, seats[0]), ("right", -0.25, seats[-1]))
    ]
    room = Room(scene.room.size_m, 0.4) if quick else scene.room
    return replace(scene, room=room, microphones=(*scene.microphones, *pair))


@lru_cache(1)  # the cells of one take follow each other
def everything(data: Path | None, quick: bool, room: str, take: str) -> Case:
    """Return a take with all its microphones."""
    if room == READY:
        return hurried(ready(data)[take]) if quick else ready(data)[take]
    piece = players(data)[take]
    stems_LN, solos_LN, rate = piece.stems_LN[:, :N], piece.solos_LN, piece.sample_rate
    assert solos_LN is not None
    stems_LN, solos_LN = stems_LN[: round(SECONDS * rate)], solos_LN[: round(SOLO_SECONDS * rate), :N]
    if quick:
        rate //= 4
        stems_LN, solos_LN = (resample_poly(x_LN, 1, 4)[: 2 * rate] for x_LN in (stems_LN, solos_LN))
    # Players without names, for the responses of one hall to serve all pieces.
    return simulated(take, stage(quick), stems_LN, list(solos_LN.T), rate)


def heard(case: Case, mics: int) -> Case:
    """Return a take as the first of its microphones heard it."""
    solos = {kind: (x_LM[:, :mics], passages) for kind, (x_LM, passages) in case.solos.items()}
    return replace(case, mixture_LM=case.mixture_LM[:, :mics], solos=solos)


@lru_cache(1)
def scored(data: Path | None, quick: bool, room: str, take: str) -> Any:
    return scorer(everything(data, quick, room, take))


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains over the raw spots, one a source, by the mask and, where there is one, by the filter."""
    place = data, quick, cell["room"], cell["take"]
    case, gains = heard(everything(*place), cell["mics"]), scored(*place)
    recipe = recipe_for(case, cell["method"], cell["told"])
    recipe = replace(recipe, iterations=2) if quick else recipe
    done = separate(case.take(cell["told"]), method=recipe, seed=cell["seed"])
    found: Result = {}
    for way, model in reconstructions(done.model).items():
        gained = gains(stems_of(case, reconstructed(done, model)))
        found[way] = {key: np.round(values, 3) for key, values in gained.items()}
    return found


def recipe_for(case: Case, method: str, kind: str | None) -> Method:
    """Return a method that learns bases on the solos even where it is given claps."""
    recipe = RECIPES[method]
    if not recipe.bases or kind != "clap":
        return recipe
    take = case.take("solo")
    solo = Levels.of(take, recipe.lowest).solos(take, recipe.analysis(case.sample_rate))

    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        def bases(exponent: float) -> Prior:
            return priors.solo_bases(*solo, evidence.spots, n_components, exponent=exponent, rng=rng)

        return recipe.prior(replace(evidence, notes=bases), n_components, rng)

    return replace(recipe, prior=prior)


def reconstructed(done: Separation, model: Any) -> Separation:
    """Return a separation whose stems another model makes."""
    other = replace(done, model=model)
    stems = [other.image(n, own) for n, own in enumerate(done.take.spots.references)]
    return replace(other, stems_LN=np.stack(stems, axis=1))


class Stems:
    """Stands in for a fitted model where stems are made of it in another way, by `separate`, at the spots only."""

    def __init__(self, separate: Callable[[np.ndarray], np.ndarray]) -> None:
        self.separate = separate
        self.stems_FTN: np.ndarray | None = None

    def images(self, X_FTM: np.ndarray, source: int, mics: Sequence[int]) -> np.ndarray:
        if self.stems_FTN is None:  # of all sources at once
            self.stems_FTN = self.separate(X_FTM)
        return self.stems_FTN[..., [source]]


def reconstructions(model: Any) -> dict[str, Any]:
    if isinstance(model, NTFPanning):
        return {"mask": model}
    if isinstance(model, FullRankMNMF) and model.divergence == "euclidean":
        return {"mask": model, "filter": Stems(partial(filtered, model))}
    return {"mask": Stems(partial(masked, model)), "filter": model}


def masked(model: FastMNMF2 | FullRankMNMF, X_FTM: np.ndarray) -> np.ndarray:
    """Return each source at its spot by its share of the power that the model expects there."""
    power_NFT = np.einsum("nfk,nkt->nft", model.W_, model.H_, optimize=True)
    if isinstance(model, FastMNMF2):
        level_NFM = np.einsum("fmi,ni->nfm", np.abs(np.linalg.inv(model.Q_)) ** 2, model.G_)
    else:
        level_NFM = np.einsum("nfmm->nfm", model.R_).real
    S_FTN = np.empty((*X_FTM.shape[:2], len(power_NFT)), X_FTM.dtype)
    for n, (m, *_) in enumerate(model.spots_):
        S_FTN[..., n] = spot_mask(power_NFT * level_NFM[:, :, m, None], n) * X_FTM[..., m]
    return S_FTN


def filtered(model: FullRankMNMF, X_FTM: np.ndarray) -> np.ndarray:
    """Return each source at its spot by the multichannel Wiener filter, of a model of magnitudes.

    Its covariances have magnitudes on the diagonal and their geometric means beside it; the filter's have powers: each
    entry times its magnitude, and the activations squared.
    """
    R_NFMM = model.R_ * np.abs(model.R_)
    values, vectors = np.linalg.eigh(R_NFMM)
    R_NFMM = (vectors * np.maximum(values, 0)[..., None, :]) @ np.conj(vectors.swapaxes(-1, -2))
    power_NFT = np.einsum("nfk,nkt->nft", model.W_, model.H_, optimize=True) ** 2
    S_FTN = np.empty((*X_FTM.shape[:2], len(power_NFT)), X_FTM.dtype)
    for f, X_TM in enumerate(X_FTM):
        expected_TMM = np.einsum("nt,nij->tij", power_NFT[:, f], R_NFMM[:, f], optimize=True)
        level = np.einsum("tii->t", expected_TMM).real / X_TM.shape[1]
        expected_TMM += (1e-7 * level.mean() + 1e-6 * level + 1e-30)[:, None, None] * np.eye(X_TM.shape[1])
        white_TM = np.linalg.solve(expected_TMM, X_TM[..., None])[..., 0]
        for n, (m, *_) in enumerate(model.spots_):
            S_FTN[f, :, n] = power_NFT[n, f] * (white_TM @ R_NFMM[n, f, m])
    return S_FTN


# The tables: of each piece the mean over its takes and their seeds, and the margins are over the pieces


Told = tuple[str, str | None]


def by_take(
    document: dict[str, Any], room: str, mics: int, told: Told, way: str | None = None, figure: str = "delta_sdr"
) -> dict[str, float]:
    """Return the mean figure over sources and seeds of every take, by the method's own way or another."""
    found = {}
    for (where, take, heard_by, *each), results in grouped(
        document["cells"], "room", "take", "mics", "method", "told"
    ).items():
        ways = [way or own_way(told[0])]
        # Ready takes have as many microphones as they have.
        if (where, tuple(each)) == (room, told) and (heard_by == mics or room == READY) and ways[0] in results[0]:
            found[take] = float(np.mean([np.mean(result[ways[0]][figure]) for result in results]))
    return found


def by_work(*which: Any, **options: Any) -> dict[str, float]:
    """Return what `by_take` does, but of every piece: the embedded quartet is an excerpt of another one."""
    found: dict[str, list[float]] = {}
    for take, figure in by_take(*which, **options).items():
        found.setdefault(work(take), []).append(figure)
    return {piece: float(np.mean(figures)) for piece, figures in found.items()}


def summarise(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of every figure its mean over the pieces in the hall and the margin of that, with 95 % confidence."""
    rows = []
    for mics, told in [(N, told) for told in tellings()] + [(N + 2, told) for told in WITH_PAIR]:
        for way in ("mask", "filter"):
            found = {
                figure: list(by_work({"cells": cells}, HALL, mics, told, way, figure).values()) for figure in GAINS
            }
            if not found["sar"]:
                continue
            row: dict[str, Any] = {"mics": mics, "method": told[0], "told": told[1], "by": way}
            for figure, values in found.items():
                mean, margin = mean_and_margin(values)
                row[figure] = [round(mean, 3), round(margin, 3) if len(values) > 1 else None]
            rows.append(row)
    return rows


def own_way(method: str) -> str:
    """Say which way the library takes."""
    return "filter" if method.startswith("fastmnmf2") or method == "mnmf-is" else "mask"


def tellings() -> list[Told]:
    return [(method, kind) for method, kinds in TOLD.items() for kind in kinds]


def signed(values: Sequence[float]) -> str:
    mean, margin = mean_and_margin(values)
    return f"{mean:+.1f}" + (f" ± {margin:.1f}" if len(values) > 1 else "")


def shown_as(method: str) -> str:
    name, comma, rest = method.partition(",")
    return f"`{name}`{comma}{rest}"


def table(document: dict[str, Any]) -> str:
    """Gains in the simulated hall compared with those of the paper."""
    lines = [
        "| method | given | ΔSDR | ΔSIR | SAR | ΔSNR | theirs, simulated | theirs, studio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for told in tellings():
        method, kind = told
        figures = [list(by_work(document, HALL, N, told, figure=figure).values()) for figure in GAINS]
        sdr, sir, sar, snr = figures
        simulated_ = kind == AS_THEIRS.get(method, "")
        real = method in THEIRS["real"] and kind == ("solo" if "solo" in TOLD[method] else None)
        theirs = [
            "{:+.1f} ({:+.1f}, {:.1f})".format(*THEIRS[room][method]) if there else ""
            for room, there in (("simulated", simulated_), ("real", real))
        ]
        lines.append(
            f"| {shown_as(method)} | {WORDS[kind]} | {signed(sdr)} | {np.mean(sir):+.1f} | {np.mean(sar):.1f} | "
            f"{np.mean(snr):+.1f} | {' | '.join(theirs)} |"
        )
    return "\n".join([*lines, "", table_in_words(document)])


def table_in_words(document: dict[str, Any]) -> str:
    ours = {method: by_work(document, HALL, N, (method, kind)) for method, kind in AS_THEIRS.items()}
    means = {method: float(np.mean(list(found.values()))) for method, found in ours.items()}
    orders = [
        sorted(gains, key=lambda method: -gains[method])
        for gains in ({method: figures[0] for method, figures in THEIRS["simulated"].items()}, means)
    ]
    order, here = (", ".join(map(shown_as, each)) for each in orders)
    gaps = {method: means[method] - THEIRS["simulated"][method][0] for method in means}
    least, *_, most = (
        f"{gap:+.1f} ({shown_as(method)})" for method, gap in sorted(gaps.items(), key=lambda each: each[1])
    )
    return (
        f"In brackets ΔSIR and SAR. From most to least gained, the paper's order on simulated mixtures is {order}; "
        f"here it is {'the same' if order == here else here}. What its five methods gain here less what they gain "
        f"there goes from {least} to {most} dB. {' '.join(leading(document, kind) for kind in KINDS)}"
    )


def leading(document: dict[str, Any], kind: str) -> str:
    """Say which method gains most of those given the same, and by how much more than the paper's own method."""
    gains = {method: by_work(document, HALL, N, (method, kind)) for method, kinds in TOLD.items() if kind in kinds}
    best = max(gains, key=lambda method: np.mean(list(gains[method].values())))
    ahead = [gain - gains["mnmf-fixh"][piece] for piece, gain in gains[best].items()]
    return (
        f"Given {WORDS[kind]}, {shown_as(best)} gains most, {signed(ahead)} dB over the paper's own method, "
        f"`mnmf-fixh`, given the same, and is ahead of it on {sum(gap > 0 for gap in ahead)} of {len(ahead)} pieces."
    )


def reconstruction(document: dict[str, Any]) -> str:
    """What the two ways to make stems of one fitted model gain."""
    lines = [
        "| method | given | share at the own spot | multichannel filter | filter less share | filter ahead |",
        "|---|---|---|---|---|---|",
    ]
    behind = []
    for told in tellings():
        both = [by_work(document, HALL, N, told, way) for way in ("mask", "filter")]
        if not both[1]:
            continue
        snr = [np.mean(list(by_work(document, HALL, N, told, way, "delta_snr").values())) for way in ("mask", "filter")]
        gaps = [both[1][take] - both[0][take] for take in both[0]]
        if np.mean(gaps) < 0:
            behind.append(named(told))
        cells = [f"{np.mean(list(found.values())):+.1f} ({more:+.1f})" for found, more in zip(both, snr)]
        ahead = f"{sum(gap > 0 for gap in gaps)} of {len(gaps)}"
        lines.append(f"| {shown_as(told[0])} | {WORDS[told[1]]} | {' | '.join(cells)} | {signed(gaps)} | {ahead} |")
    worse = f"loses in the mean where the model is {'; '.join(behind)}" if behind else "loses in the mean nowhere"
    return "\n".join([*lines, "", f"The filter {worse}."])


def named(told: Told) -> str:
    return f"{shown_as(told[0])} given {WORDS[told[1]]}"


def main_pair(document: dict[str, Any]) -> str:
    """What a main pair adds to the four spots."""
    lines = ["| method | given | four spots | with a main pair | gained | better |", "|---|---|---|---|---|---|"]
    better_off, worse_off = [], []
    for told in WITH_PAIR:
        without, beside = (by_work(document, HALL, mics, told) for mics in (N, N + 2))
        snr = [np.mean(list(by_work(document, HALL, mics, told, None, "delta_snr").values())) for mics in (N, N + 2)]
        gaps = [beside[take] - without[take] for take in beside]
        cells = [f"{np.mean(list(found.values())):+.1f} ({more:+.1f})" for found, more in zip((without, beside), snr)]
        (better_off if np.mean(gaps) > 0 else worse_off).append(named(told))
        better = f"{sum(gap > 0 for gap in gaps)} of {len(gaps)}"
        lines.append(f"| {shown_as(told[0])} | {WORDS[told[1]]} | {' | '.join(cells)} | {signed(gaps)} | {better} |")
    verdict = (
        "The pair helps in the mean, whatever else is given."
        if not worse_off
        else (
            f"In the mean the pair does not help {'; '.join(worse_off)}."
            if better_off
            else "In the mean it never helps."
        )
    )
    return "\n".join([*lines, "", verdict])


def takes(document: dict[str, Any]) -> str:
    """Gains in SDR (in SNR), take by take."""
    columns = {
        "default": ("fastmnmf2", "solo"),
        "default, claps": ("fastmnmf2", "clap"),
        "default, no solos": ("fastmnmf2", None),
        "fixH": ("mnmf-fixh", "solo"),
        "fixH, claps": ("mnmf-fixh", "clap"),
        "updtH": ("mnmf-updth", "solo"),
        "blind": ("mnmf-blind", "solo"),
    }
    lines = [f"| take | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for room, take in dict.fromkeys((each["cell"]["room"], each["cell"]["take"]) for each in document["cells"]):
        figures = [
            [by_take(document, room, N, told, None, figure).get(take) for figure in ("delta_sdr", "delta_snr")]
            for told in columns.values()
        ]
        cells = ["" if sdr is None else f"{sdr:+.1f} ({snr:+.1f})" for sdr, snr in figures]
        lines.append(f"| {take}{', hall' if room == HALL else ''} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", takes_in_words(document)])


def takes_in_words(document: dict[str, Any]) -> str:
    said = []
    for room, where in ((HALL, "pieces in the hall"), (READY, "ready takes")):
        fixh, updth, blind = (
            by_work(document, room, N, (method, "solo")) for method in ("mnmf-fixh", "mnmf-updth", "mnmf-blind")
        )
        if not fixh:
            continue
        first = sum(fixh[piece] > updth[piece] for piece in fixh)
        second = sum(updth[piece] > blind[piece] for piece in fixh)
        below = ", ".join(
            f"{name} on {sum(gain < 0 for gain in gains.values())}"
            for name, gains in (("fixH", fixh), ("updtH", updth), ("blind", blind))
        )
        said.append(
            f"Of {len(fixh)} {where} fixH beats updtH on {first} and updtH beats blind on {second}; in the mean over "
            f"the players, below the raw spot end: {below}."
        )
    return f"{' '.join(said)} In the paper fixH beats updtH, and updtH blind."


def draw(document: dict[str, Any]) -> None:
    told = tellings()
    figure, axis = subplots(size=(7.5, 5.0))
    for row, each in enumerate(told):
        for way, colour in (("mask", COLOURS[1]), ("filter", COLOURS[0])):
            gains = list(by_take(document, HALL, N, each, way).values())
            if gains:
                axis.plot(gains, [row] * len(gains), "o", markersize=3, color=colour, alpha=0.4)
                mean = np.mean(list(by_work(document, HALL, N, each, way).values()))
                axis.plot(mean, row, "D", markersize=7, color=colour)
        if each[1] == AS_THEIRS.get(each[0], ""):
            axis.plot(THEIRS["simulated"][each[0]][0], row, "x", markersize=8, markeredgewidth=2, color=COLOURS[6])
    for marker, colour, label in (
        ("D", COLOURS[1], "share at the own spot"),
        ("D", COLOURS[0], "multichannel Wiener filter"),
        ("x", COLOURS[6], "as published in 2023"),
    ):
        axis.plot([], [], marker, color=colour, label=label)
    axis.axvline(0, color=COLOURS[7], linewidth=1)
    axis.set_yticks(range(len(told)), [f"{method}: {WORDS[kind]}" for method, kind in told])
    axis.invert_yaxis()
    axis.set_xlabel("gain in SDR over the raw spot, dB (dots: takes, diamonds: means of pieces)")
    figure.legend(loc="outside upper center", ncols=3)
    save(figure, "solo_priors")


def main() -> None:
    options = arguments(__doc__, data="folder of pieces, of takes, or of both")
    document = run(
        "solo_priors",
        grid(options.data, options.quick),
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    for part in (table, reconstruction, main_pair, takes):
        print(part(document), end="\n\n")
    if not options.quick:
        draw(document)


if __name__ == "__main__":
    main()
