"""What FastMNMF2 makes of a trio in a studio from blind, guided and true starts, and how long a head start lasts.

    python benchmarks/initialisations.py [--data DIR] [--quick] [--jobs N]

After "CLASS-net + FastMNMF2", who recorded piano, saxophone and violin with seven microphones and found, by ear and
without ground truth, that no guided start beat the blind one.  Here their studio is simulated, with three players of
different instruments in the places of theirs, so that the truth is known.  Settings are theirs ("published": windows of
1024 samples at 16 kHz, 8 bases a source, 100 iterations) and those of `mnmf.METHODS` ("ours").  In the place of their
neural network stands the truth, made worse until it has the SDR that `ESTIMATE_DB` says.  Every seed takes another
piece, another excerpt of it and other seats.

DIR holds pieces as `mnmf.datasets` reads them; without it there is the embedded quartet only.  Writes
benchmarks/results/initialisations.json and docs/images/initialisations.png.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import IMAGES, Case, simulated
from _datasets import pieces, quartet
from _figures import COLOURS, FINE, NEITHER, WIDTH, headline, label, markdown, note, save, subplots
from _measure import scorer, separate
from _runner import Cell, Result, arguments, grouped, mean_and_margin, run
from scipy.signal import resample_poly

from mnmf import METHODS, Method, Prior, priors, simulate
from mnmf.datasets import Piece
from mnmf.methods import Evidence
from mnmf.priors._nmf import nmf
from mnmf.priors._spot import demixing_start
from mnmf.spots import Spots
from mnmf.take import Levels

RATE = 16000
SECONDS = 8.0
QUICK_SECONDS, QUICK_WINDOW = 2.0, 0.128
SEEDS = range(5)
PLAYERS = 3
LEAK = 0.05  # their g: the weight of a source outside its own channels
ESTIMATE_DB = 6.0
SETTINGS = {
    "published": replace(
        METHODS["fastmnmf2"], window=1024 / RATE, hops_per_window=4, components=8, iterations=100, lowest=0.0
    ),
    "ours": METHODS["fastmnmf2"],
}
CHECKPOINTS = {"published": (0, 10, 30, 60, 100), "ours": (0, 10, 30)}
QUICK_CHECKPOINTS = {"published": (0, 4), "ours": (0, 2)}


@dataclass(frozen=True)
class Known:
    """A take as the starts see it: what is recorded, what is known, and, for some, the truth.

    The estimates among the evidence are the truth, and so are the solos of starts from the truth: what each player
    plays in the take.
    """

    evidence: Evidence
    components: int
    rng: np.random.Generator
    window_length: int
    gains_M: np.ndarray

    @property
    def X_FTM(self) -> np.ndarray:
        return self.evidence.X_FTM

    @property
    def spots(self) -> Spots:
        return self.evidence.spots

    @property
    def S_NFT(self) -> np.ndarray:
        """Each player at its own spot."""
        assert self.evidence.estimates is not None
        return np.moveaxis(self.evidence.estimates, 2, 0)

    def blind(self) -> Prior:
        """Random W and H; Q the identity, and G deals the sources out to the microphones in turn."""
        return priors.circular(self.X_FTM, PLAYERS, self.components, leak=LEAK, rng=self.rng)

    def at(self, Q_FMM: np.ndarray | None = None) -> Prior:
        """Q, by default one channel a microphone, the spots first, and G that gives row n to player n."""
        F, _, M = self.X_FTM.shape
        G_NM = np.full((PLAYERS, M), LEAK)
        np.fill_diagonal(G_NM, 1.0)
        return Prior(Q=demixing_start(self.spots, F, M) if Q_FMM is None else Q_FMM, G=G_NM, spots=self.spots)

    def geometry(self) -> Prior:
        scene = simulate.studio_scene()
        found = priors.geometry(
            [mic.position_m for mic in scene.microphones],
            [player.position_m for player in scene.players],
            RATE,
            self.window_length,
            spots=self.spots,
            patterns=[mic.pattern for mic in scene.microphones],
            aims_M3=[mic.aim_m for mic in scene.microphones],
            gains_M=self.gains_M,
        )
        return self.at(found.Q[-len(self.X_FTM) :])

    def dictionary(self, W_of: Prior) -> Prior:
        """Bases from solos, of the level of those in `W_of`."""
        W_NFK = self.evidence.bases(self.components, self.rng, 2.0).W
        return Prior(W=W_NFK * (W_of.W.mean() / W_NFK.mean()), spots=self.spots)

    def activations(self, prior: Prior) -> Prior:
        """Activations of the prior's bases, from an estimate of each player alone (their eq. 11)."""
        estimate_NFT = degraded(self.S_NFT, ESTIMATE_DB, self.rng)
        return prior | priors.activations(np.abs(estimate_NFT) ** 2, prior.W)

    def true_mixing(self) -> Prior:
        assert self.evidence.solo is not None
        return self.at(priors.solo(*self.evidence.solo, self.spots).Q)

    def true_powers(self) -> Prior:
        powers = (np.abs(S_FT) ** 2 for S_FT in self.S_NFT)
        found = [nmf(V_FT, self.components, beta=0.5, n_iterations=100, rng=self.rng) for V_FT in powers]
        return Prior(W=np.stack([W_FK for W_FK, _ in found]), H=np.stack([H_KT for _, H_KT in found]))


def degraded(S_NFT: np.ndarray, sdr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Spoil each source to an SDR: half of the error is what the others play, half its own spectrogram as noise."""
    spoilt = np.empty_like(S_NFT)
    for n, S_FT in enumerate(S_NFT):
        noise_FT = S_FT * (rng.standard_normal(S_FT.shape) + 1j * rng.standard_normal(S_FT.shape))
        halves = (np.delete(S_NFT, n, axis=0).sum(axis=0), noise_FT)
        error_FT = sum(half / max(float(np.linalg.norm(half)), np.finfo(float).tiny) for half in halves)
        spoilt[n] = S_FT + error_FT * (np.linalg.norm(S_FT) / np.linalg.norm(error_FT) * 10 ** (-sdr_db / 20))
    return spoilt


def dictionary_start(known: Known, *, own: bool, held: bool, estimate: bool, geometry: bool = False) -> Prior:
    start = known.blind()
    known_W = known.dictionary(start)
    if estimate:
        known_W = known.activations(known_W)
    if held:
        known_W = known_W.hold("W")
    return start | known_W | (known.geometry() if geometry else known.at() if own else Prior())


BLIND = "blind, circular"
TRUTH = "truth: W, H and Q"
OUR_SPOTS, OUR_SOLOS = "our start from the spots", "our start from solos"
STARTS: dict[str, Callable[[Known], Prior]] = {
    BLIND: lambda known: known.blind(),
    "blind, random": lambda known: priors.random(known.X_FTM, PLAYERS, known.components, rng=known.rng),
    "Q of the geometry": lambda known: known.blind() | known.geometry(),
    "H of an estimate": partial(dictionary_start, own=False, held=False, estimate=True),
    "H of an estimate, G of the spots": partial(dictionary_start, own=True, held=False, estimate=True),
    "W of solos, held": partial(dictionary_start, own=False, held=True, estimate=False),
    "W of solos, held, G of the spots": partial(dictionary_start, own=True, held=True, estimate=False),
    "Q, H and W": partial(dictionary_start, own=True, held=False, estimate=True, geometry=True),
    "Q, H and W, held": partial(dictionary_start, own=True, held=True, estimate=True, geometry=True),
    OUR_SPOTS: lambda known: priors.spot(known.X_FTM, known.spots, None, known.components, rng=known.rng),
    OUR_SOLOS: lambda known: METHODS["fastmnmf2"].prior(
        replace(known.evidence, estimates=None), known.components, known.rng
    ),
    "truth: Q": lambda known: known.blind() | known.true_mixing(),
    "truth: W and H": lambda known: known.true_powers() | known.at(),
    TRUTH: lambda known: known.true_powers() | known.true_mixing(),
}
# Where G says nothing of the spots, or the wrong thing, energy says whose output is whose.
ASSIGNED = (BLIND, "blind, random", "H of an estimate", "W of solos, held")
SINGLE = ("Q of the geometry", "H of an estimate", "W of solos, held")  # as in the paper: one of the three each
GUIDED = tuple(name for name in STARTS if not name.startswith(("blind", "truth", "our")))
SLOWER = {"mnmf-is": None, "mnmf-is, solos": "solo"}


def grid(quick: bool, data: Path | None = None) -> list[Cell]:
    trios(data, QUICK_SECONDS if quick else SECONDS, 0.0)  # says what it cannot use
    return [
        {"seed": seed, "settings": settings, "start": start}
        for seed in (SEEDS[:1] if quick else SEEDS)
        for settings in SETTINGS
        for start in (*STARTS, *(SLOWER if settings == "ours" else ()))
    ]


@cache
def trios(data: Path | None, seconds: float, offset: float) -> list[tuple[Piece, list[list[int]]]]:
    """Pieces and, of each, the players of every instrument; pieces of at least three, more of them first."""
    found = [quartet()]
    if data:
        found = pieces(data, seconds=seconds, offset=offset, solo_seconds=seconds, borrow_solos=True)
    playing = []
    for piece in found:
        alike: dict[str, list[int]] = {}
        for n, name in enumerate(piece.names):
            alike.setdefault(name.rstrip("0123456789"), []).append(n)
        if len(alike) >= PLAYERS:
            playing.append((piece, list(alike.values())))
    if not playing:
        raise SystemExit(f"{data}: no piece has {PLAYERS} different instruments")
    return sorted(playing, key=lambda each: -len(each[1]))


@lru_cache(1)  # the cells of a seed follow one another
def trio(data: Path | None, seed: int, seconds: float) -> Case:
    """Return a take of the studio."""
    rng = np.random.default_rng(seed)
    offset = round(float(rng.uniform(0.0, 30.0 if data else 5.0)), 1)
    choices = trios(data, seconds, offset)
    piece, alike = choices[seed % len(choices)]
    chosen = [int(rng.choice(alike[i])) for i in rng.permutation(len(alike))[:PLAYERS]]
    # The folder's pieces are cut already.
    first = round(offset * piece.sample_rate) if piece.dataset == "embedded" else 0
    last = first + round(seconds * piece.sample_rate)
    stems_LN = resampled(piece.stems_LN[first:last, chosen], piece.sample_rate)
    solos_LN = resampled(piece.solos_LN[: round(seconds * piece.sample_rate), chosen], piece.sample_rate)
    names = tuple(piece.names[n] for n in chosen)
    name = f"{piece.name}: {', '.join(names)}"
    case = simulated(name, simulate.studio_scene(), stems_LN, list(solos_LN.T), RATE, kinds=("solo", IMAGES))
    return replace(case, names=names)


def resampled(x_LN: np.ndarray, rate: int) -> np.ndarray:
    common = int(np.gcd(rate, RATE))
    return resample_poly(x_LN, RATE // common, rate // common, axis=0)


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains over the raw figures of eight, one a player, after some numbers of iterations."""
    case = trio(data, cell["seed"], QUICK_SECONDS if quick else SECONDS)
    gains = scorer(case)
    if cell["start"] in SLOWER:
        recipe = METHODS["mnmf-is"]
        if quick:
            recipe = replace(recipe, iterations=2, window=QUICK_WINDOW)
        stems = {recipe.iterations: separate(case, recipe, SLOWER[cell["start"]], cell["seed"])}
    else:
        recipe = SETTINGS[cell["settings"]]
        if quick:
            recipe = replace(recipe, window=min(recipe.window, QUICK_WINDOW))
        checkpoints = (QUICK_CHECKPOINTS if quick else CHECKPOINTS)[cell["settings"]]
        stems = {done: fit(case, recipe, cell["start"], done, cell["seed"]) for done in checkpoints}
    scores = {done: gains(y_LN) for done, y_LN in stems.items()}
    *_, last = scores.values()
    return {
        "take": case.name,
        "iterations": list(scores),
        "delta_sdr": np.round([score["delta_sdr"] for score in scores.values()], 3),
        "delta_sir": np.round(last["delta_sir"], 3),
        "sar": np.round(last["sar"], 3),
    }


def fit(case: Case, recipe: Method, start: str, iterations: int, seed: int) -> np.ndarray:
    """Return the stems after some iterations; after none, of the start itself."""
    kind = IMAGES if start.startswith("truth") else "solo"
    window_length, gains_M = recipe.analysis(RATE).window_length, Levels.of(case.take()).gains_M

    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        begun = STARTS[start](Known(evidence, n_components, rng, window_length, gains_M))
        return begun if iterations else begun.hold("W", "H", "G", "Q")

    recipe = replace(recipe, prior=prior, assigned=start in ASSIGNED, iterations=max(1, iterations))
    truth = dict(zip(case.names, case.truth_LN.T / case.peak))
    return separate(case, recipe, kind, seed, estimator=lambda x_LM, rate: truth)


def summarise(cells: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return of every start the mean over the seeds after each number of iterations, and its margin with 95 %."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for (settings, start), results in grouped(cells, "settings", "start").items():
        rows = zip(*(np.mean(result["delta_sdr"], axis=1) for result in results))
        figures = [both(list(map(float, row))) for row in rows]
        sir, sar = (both([float(np.mean(result[key])) for result in results]) for key in ("delta_sir", "sar"))
        row = {"iterations": results[0]["iterations"], "delta_sdr": figures, "delta_sir": sir, "sar": sar}
        table.setdefault(settings, {})[start] = row
    return table


def both(values: list[float]) -> list[float | None]:
    mean, margin = mean_and_margin(values)
    return [round(mean, 4), round(margin, 4) if len(values) > 1 else None]


def written(figure: list[float | None], sign: str = "+") -> str:
    mean, margin = figure
    return f"{mean:{sign}.1f}" + ("" if margin is None else f" ± {margin:.1f}")


def table(document: dict[str, Any]) -> str:
    """Gains of every start, before the first update and after the last, at both settings."""
    measured = document["summary"]
    heads = []
    for settings, starts in measured.items():
        # `SLOWER` have other numbers of iterations than the starts.
        others = any(start in SLOWER for start in starts)
        heads += [
            f"{settings}: at the start",
            "in the end" if others else f"after {starts[BLIND]['iterations'][-1]} iterations",
        ]
    lines = [f"| start | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for start in (*STARTS, *SLOWER):
        cells = []
        for starts in measured.values():
            found = starts.get(start, {}).get("delta_sdr", [])
            cells += [written(found[0]) if len(found) > 1 else "", written(found[-1]) if found else ""]
        lines.append(f"| {start} | {' | '.join(cells)} |")
    return "\n".join(lines)


def course(document: dict[str, Any]) -> str:
    """Gains of every start at the published settings after some numbers of iterations."""
    starts = document["summary"]["published"]
    counts = starts[BLIND]["iterations"]
    lines = [f"| start | {' | '.join(map(str, counts))} |", "|---" * (len(counts) + 1) + "|"]
    for start, row in starts.items():
        lines.append(f"| {start} | {' | '.join(written(figure) for figure in row['delta_sdr'])} |")
    return "\n".join(lines)


def differences(
    document: dict[str, Any], settings: str, start: str, other: str, at: int = -1, other_at: int | None = None
) -> list[float]:
    """Return by how much a start is ahead of another after their `at`-th numbers of iterations, one a seed."""
    groups = grouped(document["cells"], "settings", "start")
    pairs = zip(groups[settings, start], groups[settings, other])
    against = at if other_at is None else other_at
    return [float(np.mean(a["delta_sdr"][at]) - np.mean(b["delta_sdr"][against])) for a, b in pairs]


def sign(values: list[float]) -> int:
    """Return 1 or -1 if the seeds tell, with 95 % confidence, that a difference is above or below 0; else 0."""
    mean, margin = mean_and_margin(values)
    return 0 if not abs(mean) > margin else 1 if mean > 0 else -1


def told(values: list[float], above: str, below: str) -> str:
    """Write a difference and what it says."""
    unclear = f"no significant difference, {sum(value > 0 for value in values)} of {len(values)} above 0"
    return f"{written(both(values))} dB ({(unclear, above, below)[sign(values)]})"


def words(document: dict[str, Any]) -> str:
    """Whether guided starts help, and how long a true start stays ahead."""
    measured = document["summary"]
    lines = []
    for settings, starts in measured.items():
        lines.append(f"- Settings “{settings}”, in the end, against the circular blind start:")
        beyond = {start: differences(document, settings, start, BLIND) for start in (*GUIDED, OUR_SPOTS, OUR_SOLOS)}
        singles = (f"“{start}” {told(beyond[start], 'above', 'below')}" for start in SINGLE)
        lines.append(f"    - The three that the paper tried: {'; '.join(singles)}.")
        for heading, wanted in (("above", 1), ("below", -1), ("without a significant difference", 0)):
            found = {
                start: values for start, values in beyond.items() if start not in SINGLE and sign(values) == wanted
            }
            if found:
                shown = "; ".join(f"“{start}” {written(both(values))}" for start, values in found.items())
                lines.append(f"    - Others {heading}: {shown} dB.")
        counts = starts[TRUTH]["iterations"]
        changed = differences(document, settings, TRUTH, TRUTH, -1, 0)
        leads = [differences(document, settings, TRUTH, BLIND, at) for at in range(len(counts))]
        lost = next((n for n, lead in zip(counts, leads) if sign(lead) < 1), None)
        kept = "stays ahead of it all the time" if lost is None else f"is no longer clearly ahead of it after {lost}"
        lines.append(
            f"    - The {counts[-1]} updates change what is gained from the truth itself (“{TRUTH}”), "
            f"{written(starts[TRUTH]['delta_sdr'][0])} dB, by {told(changed, 'more', 'less')}. Its lead over the blind "
            f"start is {written(both(leads[0]))} dB at first, {written(both(leads[-1]))} dB in the end; it {kept}."
        )
    for start in SINGLE[1:]:
        gained = differences(document, "published", f"{start}, G of the spots", start)
        lines.append(f"- To start G at the spots, too, changes “{start}” by {told(gained, 'more', 'less')}.")
    lines.append(
        f"- Every guided start with an H has it from the truth spoilt to {ESTIMATE_DB:g} dB, the one level "
        "tried here; [what estimates are worth](neural.md#what-estimates-are-worth) from worse to better ones is "
        "measured elsewhere."
    )
    theirs, ours = (measured[settings][OUR_SPOTS]["delta_sdr"][-1][0] for settings in SETTINGS)
    best = max(measured["published"], key=lambda start: measured["published"][start]["delta_sdr"][-1][0])
    lines.append(
        f"- At the published settings “{best}” ends highest in the mean. Our start from the spots gains {theirs:+.1f} "
        f"dB at the published settings and {ours:+.1f} dB at ours."
    )
    return "\n".join(lines)


# What starts say: of all that say what is played, some also say where.
WHERE = ("Q of the geometry", "truth: Q")
WHAT = tuple(start for start in STARTS if start not in WHERE and not start.startswith("blind"))
GROUPS = (
    ("say nothing", NEITHER, (BLIND, "blind, random")),
    ("say where the players are", COLOURS[1], WHERE),
    ("say what they play", COLOURS[0], WHAT),
)


def title(document: dict[str, Any]) -> str:
    """Say which starts end above the blind one."""
    ahead = {
        start: [sign(differences(document, settings, start, BLIND)) == 1 for settings in document["summary"]]
        for start in (*WHAT, *WHERE)
    }
    if all(all(ahead[start]) for start in WHAT) and not any(any(ahead[start]) for start in WHERE):
        return (
            "Starts that say what is played end clearly above the blind one; those that only say where the players are "
            "do not"
        )
    what, where = (sum(all(ahead[start]) for start in starts) for starts in (WHAT, WHERE))
    return (
        f"{what} of {len(WHAT)} starts that say what is played end clearly above the blind one, and {where} of "
        f"{len(WHERE)} that only say where the players are"
    )


def picture(document: dict[str, Any]) -> str:
    return markdown(title(document), "initialisations")


def draw(document: dict[str, Any]) -> None:
    """Draw what every start gains before the first update and after the last."""
    measured = document["summary"]
    rows: list[tuple[str, Any, str]] = []
    for words, colour, starts in GROUPS:
        ranked = sorted(starts, key=lambda start: measured["published"][start]["delta_sdr"][-1][0])
        rows += [(words, colour, ""), *((start, colour, start) for start in ranked)]
    figure, axes = subplots(1, len(measured), size=(WIDTH, 5.4), sharex=True, sharey=True)
    for axis, (settings, starts) in zip(axes, measured.items()):
        for row, (_, colour, start) in enumerate(rows):
            if not start:
                continue
            (before, _), *_, (after, margin) = starts[start]["delta_sdr"]
            axis.plot([before, after], [row, row], color=colour, linewidth=2, alpha=0.35)
            axis.plot(before, row, "o", color="white", markeredgecolor=colour, markersize=5)
            axis.errorbar(after, row, xerr=margin or 0.0, fmt="o", color=colour, markersize=5, elinewidth=0.8)
            if start == WHERE[-1] and settings == "ours":
                label(axis, "before", (before, row), (7, 0), color=colour)
                label(axis, "after", (after, row), (0, -5), color=colour)
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_xlabel("gain in SDR over the raw spots, dB")
        updates = starts[BLIND]["iterations"][-1]
        whose = "settings of the paper" if settings == "published" else "settings of fastmnmf2"
        axis.set_title(f"{whose}, {updates} updates", loc="left", fontsize=9)
        axis.grid(visible=False, axis="y")
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(rows)), [words for words, _, _ in rows], fontsize=8)
    for tick, (_, colour, start) in zip(axes[0].get_yticklabels(), rows):
        tick.set(color=colour, fontweight="normal" if start else "bold")
    axes[0].set_ylim(len(rows) - 0.5, -0.7)
    note(
        figure,
        "W: bases, H: activations, Q: demixing, G: spatial weights. Our starts: those of fastmnmf2.\n"
        "Hollow: before the first update; filled: after the last, with 95 % confidence.",
    )
    headline(figure, title(document))
    save(figure, "initialisations", dpi=FINE)


def main() -> None:
    options = arguments(__doc__, data="folder of pieces")
    measured = run(
        "initialisations",
        grid(options.quick, options.data),
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    print(table(measured))
    print(course(measured))
    print(words(measured))
    if not options.quick:
        draw(measured)


if __name__ == "__main__":
    main()
