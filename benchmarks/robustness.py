"""What goes wrong, one thing at a time, and from where on solos no longer help.

    python benchmarks/robustness.py [--data DIR] [--quick] [--jobs N]

Every axis of `AXES` changes one thing by and by, all else being as in the take without a flaw: four players in a
rehearsal room (RT60 0.6 s, `simulate.chamber_scene`), each with an omni 40 cm in front, who sit where they sat when
they played their solos.  A seed draws the take: an excerpt, the seat of every player, and up to 10 cm by which each
seat and its microphone lie elsewhere; and what an axis leaves open, such as the microphone that is late.  DIR holds
pieces as `mnmf.datasets` finds them, which take turns, the embedded quartet last; where there are no solos, other
passages of the stems serve, and a solo that is shorter than wanted is played again.  Without DIR there is the quartet
alone, and solos are as long as its own.  More players than a piece has come from the next one; the quartet meets itself
at another place.

What the command would refuse or warn of, such as two players at one spot or markers in silence, is beside the point
here: everything is given to the method as it is.  With gains that change, or with a microphone that is late or flipped,
the truth does so too: each player is wanted as its own spot recorded it.  A method without solos is measured once a
seed on axes that only solos can suffer from.  A method that stands and falls with solos takes a window of at most half
of one.

The last two axes are the window of the default method, in a large room with close cardioids and in a hall with omnis.
Writes benchmarks/results/robustness.json and docs/images/robustness.png.
"""

import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import Case, simulated
from _datasets import long_enough, pieces, quartet
from _figures import FINE, NEITHER, WIDTH, WITH_SOLOS, WITHOUT, headline, label, markdown, note, points, save, subplots
from _measure import scorer, separate
from _runner import Cell, Result, arguments, mean_and_margin, run
from scipy.signal import resample_poly

from mnmf import METHODS, simulate
from mnmf.datasets import Piece
from mnmf.datasets._pieces import numbered
from mnmf.methods import DEFAULT_METHOD

SEEDS = range(3)
SIZE: dict[str, Any] = {"players": 4, "seconds": 8, "solo_seconds": 8}
QUICK_SIZE: dict[str, Any] = {"players": 2, "seconds": 1.5, "solo_seconds": 1.2, "iterations": 8}
BORROWED: dict[str, Any] = {"seconds": 12, "offset": 5.0, "solo_seconds": 20}  # of a piece without solos
LONGEST_EMBEDDED = 6  # seconds of solos that the quartet has
DISTANCE_CM = 40
JITTER_M = 0.1
DRAWS = 5  # of an excerpt, for one in which nobody rests
# Late by so much, and out of tune by 3 cents: what tells two players in unison from one.
UNISON_LATE_S, UNISON_DETUNED = 0.015, 2 ** (3 / 1200)
GATE_S, CLOSED = 0.1, 0.1  # of gates: how long they stay as they are, and the part of the time that they are closed
# On half circles around the chamber's reference point, from the middle outwards: metres, degrees.
SEATS = [(1.8, angle) for angle in (-30, 30, -90, 90)] + [(3.6, 180 / 7 * k - 90) for k in (3, 4, 2, 5, 1, 6, 0, 7)]

SOLOS, NO_SOLOS = f"{DEFAULT_METHOD}, solos", f"{DEFAULT_METHOD}, no solos"
CONTENDERS = {
    SOLOS: (DEFAULT_METHOD, "solo"),
    NO_SOLOS: (DEFAULT_METHOD, None),
    "fastmnmf2, solos": ("fastmnmf2", "solo"),
    "linear, solos": ("linear", "solo"),
    "pairwise, solos": ("pairwise", "solo"),
    "mnmf-fixh, solos": ("mnmf-fixh", "solo"),
    "kamir, solos": ("kamir", "solo"),
}
BESIDE = ("fastmnmf2, solos", "linear, solos", "pairwise, solos")
OF_PLAYERS = ("mnmf-fixh, solos", "kamir, solos")  # on that axis only
FLAWLESS = "none"
MANY = 12  # players: too many for those


@dataclass(frozen=True)
class Axis:
    """One thing that changes, and what `values` it takes beside the `unchanged` one.

    Without solos its figures are those of the axis `without`, itself if not given.  `values` of the same number as the
    take without a flaw has are left out.
    """

    label: str
    values: tuple[Any, ...]
    unchanged: Any
    without: str = ""


BOTH = ", solos as well"
GATED = "gates"
OWN = "own"  # the window that the method chooses
WINDOWS = (0.19, 0.37, 0.74, 1.49, 2.97, OWN)
AXES = {
    "noise": Axis("noise of the microphones, dB re the peak of the take", (-60, -40, -20), "none"),
    "markers": Axis("solo passages marked too early or late, s", (0.5, 1, 2, 4, "swap"), 0, FLAWLESS),
    "delay": Axis("one microphone late in the take, ms", (5, 20, 50), 0),
    "delay" + BOTH: Axis("one microphone late in take and solos, ms", (20, 50), 0, "delay"),
    "gain": Axis("gain of one microphone changed since the solos, ± dB", (6, 12), 0, FLAWLESS),
    "gains": Axis("gains of all microphones changed since the solos, ± dB", (3, 6, 9, 12), 0, FLAWLESS),
    "polarity": Axis("polarity of one microphone flipped", ("take", "both"), "no"),
    "muted": Axis("one microphone muted for part of the take, %; or all gated, 10 % closed", (25, GATED), 0),
    "length": Axis("solo of each player, s", (1, 2, 3, 5, 20), "solo_seconds", FLAWLESS),
    "moved": Axis("players moved since the solos, cm", (2, 5, 10, 20, 30), 0, FLAWLESS),
    "unison": Axis("two players in unison, % of the take", (50, 100), 0),
    "distance": Axis("from player to microphone, cm", (10, 20, 60, 100), DISTANCE_CM),
    "players": Axis("players", (2, 6, 12), "players"),
    "window, close": Axis("window, s; cardioids at 25 cm, R6/L5", WINDOWS, None),
    "window, hall": Axis("window, s; omnis at 50 cm, hall", WINDOWS, None),
}
INNER = ("length", "distance", "players")  # the take without a flaw has a value between theirs
BEFORE_RECORDING = ("length", "moved", "unison", "distance", "players")
QUICK_AXES = ("markers", "delay", "players", "window, hall")
QUICK = {"markers": ("swap",), "delay": (20,), "players": (3,)}


def grid(quick: bool, data: Path | None) -> list[Cell]:
    """Return the cells, those of one take after another."""
    size = dict(QUICK_SIZE if quick else SIZE)
    if not data:
        size["solo_seconds"] = min(size["solo_seconds"], LONGEST_EMBEDDED)
    else:
        long_enough(data, choices(data)[:-1], size["seconds"])
    cells = []
    for seed in SEEDS[:1] if quick else SEEDS:

        def add(axis: str, value: Any, methods: tuple[str, ...], seed: int = seed) -> None:
            cells.extend({"axis": axis, "value": value, **size, "seed": seed, "method": m} for m in methods)

        add(FLAWLESS, 0, tuple(CONTENDERS))
        for name, axis in AXES.items():
            if quick and name not in QUICK_AXES:
                continue
            values = QUICK.get(name, axis.values[2:3] or axis.values[:1]) if quick else axis.values
            for value in values:
                if value == size.get(name) or (name == "length" and not data and value > LONGEST_EMBEDDED):
                    continue
                methods: tuple[str, ...] = (SOLOS,)
                methods += (NO_SOLOS,) if source(name, value, NO_SOLOS) == (name, value) else ()
                methods += () if name.startswith("window") or (quick and name != "players") else BESIDE
                add(name, value, methods + (OF_PLAYERS if name == "players" and value < MANY else ()))
    return cells


def source(axis: str, value: Any, method: str) -> tuple[str, Any]:
    """Return the axis and the value at which a method was measured for these: without solos not all make a change."""
    if not method.endswith("no solos"):
        return axis, value
    if axis == "polarity":
        return axis, "take"
    without = AXES[axis].without or axis
    return (FLAWLESS, 0) if without == FLAWLESS else (without, value)


# --- the takes


@cache
def choices(data: Path | None) -> list[Piece]:
    """Return the pieces that take turns."""
    embedded = quartet()
    if data is None:
        return [embedded]
    borrowed = pieces(data, **BORROWED, borrow_solos=True)
    found = [piece if piece.has_solos else cut for piece, cut in zip(pieces(data), borrowed, strict=True)]
    return [*(at_rate(piece, embedded.sample_rate) for piece in found), embedded]


def at_rate(piece: Piece, rate: int) -> Piece:
    if piece.sample_rate == rate:
        return piece
    common = math.gcd(rate, piece.sample_rate)

    @cache
    def read() -> tuple[np.ndarray, np.ndarray]:
        stems_LN, solos_LN = (resample_poly(x, rate // common, piece.sample_rate // common) for x in piece.read())
        return stems_LN, solos_LN

    return replace(piece, sample_rate=rate, read=read)


def ensemble(
    data: Path | None, seed: int, count: int, seconds: float
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return names, places in the score, stems (L, N) and solos of those who sit on seats 0, 1, 2 …"""
    rng = np.random.default_rng((seed, 0))
    names: list[str] = []
    stems: list[np.ndarray] = []
    solos: list[np.ndarray] = []
    turn = seed
    while len(names) < count:
        piece = choices(data)[turn % len(choices(data))]
        stems_LN, solos_LN = excerpt(piece, seconds, rng), piece.solos_LN
        assert solos_LN is not None
        for n in sorted(rng.permutation(len(piece.names))[: count - len(names)]):
            names.append(piece.names[n].rstrip("0123456789"))
            stems.append(stems_LN[:, n])
            solos.append(solos_LN[:, n])
        turn += 1
    order = rng.permutation(count)
    unique = numbered([names[n] for n in order])
    return unique, order, np.stack([stems[n] for n in order], axis=1), [solos[n] for n in order]


def excerpt(piece: Piece, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return that of a few random excerpts in which the player that rests most plays most."""
    stems_LN = piece.stems_LN
    length = round(seconds * piece.sample_rate)
    starts = rng.integers(0, len(stems_LN) - length + 1, DRAWS)
    level_N = np.std(stems_LN, axis=0)
    weakest = [np.min(np.std(stems_LN[start : start + length], axis=0) / level_N) for start in starts]
    start = starts[int(np.argmax(weakest))]
    return stems_LN[start : start + length]


def chamber(names: tuple[str, ...], distance_m: float) -> simulate.Scene:
    """Return `simulate.chamber_scene` with its seats in the order of `SEATS`."""
    like = simulate.chamber_scene()
    centre = (0.33 * like.room.size_m[0], 0.5 * like.room.size_m[1], like.players[0].position_m[2])
    seated = []
    for name, (radius, degrees) in zip(names, SEATS):
        angle = math.radians(degrees)
        seat = (centre[0] + radius * math.cos(angle), centre[1] - radius * math.sin(angle), centre[2])
        seated.append(simulate.Player(name, seat))
    spots = simulate.close_spots(seated, distance_m, "omni", centre)
    return simulate.Scene(like.room, tuple(seated), spots, tuple(range(len(names))))


def shaken(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """Return a scene in which each player sits a little elsewhere, and the microphone goes along."""
    count = len(scene.players)
    steps = JITTER_M * np.sqrt(rng.random(count))[:, None] * directions(count, rng)
    microphones = []
    for microphone, step in zip(scene.microphones, steps):
        aim = None if microphone.aim_m is None else plus(microphone.aim_m, step)
        microphones.append(replace(microphone, position_m=plus(microphone.position_m, step), aim_m=aim))
    return replace(scene, players=stepped(scene.players, steps), microphones=tuple(microphones))


def moved(scene: simulate.Scene, distance_m: float, rng: np.random.Generator) -> simulate.Scene:
    """Return a scene whose players, and they only, are so far from where they were."""
    return replace(scene, players=stepped(scene.players, distance_m * directions(len(scene.players), rng)))


def stepped(seated: tuple[simulate.Player, ...], steps: np.ndarray) -> tuple[simulate.Player, ...]:
    return tuple(replace(player, position_m=plus(player.position_m, step)) for player, step in zip(seated, steps))


def plus(point: tuple[float, float, float], step: np.ndarray) -> tuple[float, float, float]:
    x, y, z = np.add(point, step).tolist()
    return x, y, z


def directions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random horizontal unit vectors, (count, 3)."""
    angles = rng.uniform(0, 2 * math.pi, count)
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], axis=1)


def in_unison(stems_LN: np.ndarray, pair: tuple[int, int], share: float, sample_rate: int) -> np.ndarray:
    """Return stems in which the second of a pair plays what the first does, for the first `share` of the time."""
    from scipy.ndimage import map_coordinates

    first, second = pair
    length = len(stems_LN)
    when = (np.arange(length) - UNISON_LATE_S * sample_rate) * UNISON_DETUNED
    together = map_coordinates(stems_LN[:, first], [when], order=3)
    together *= np.std(stems_LN[:, second]) / np.std(stems_LN[:, first])
    fade = round(0.05 * sample_rate)
    mix = np.clip((share * (length + fade) - np.arange(length)) / fade, 0, 1)
    unison_LN = stems_LN.copy()
    unison_LN[:, second] = mix * together + (1 - mix) * stems_LN[:, second]
    return unison_LN


@lru_cache(2)  # the flawless take comes back after others
def taken(data: Path | None, axis: str, value: Any, seed: int, seconds: float, count: int, solo_seconds: float) -> Case:
    """Return a take, its loudest sample at full scale, with what an axis changes before it is recorded."""
    names, score, stems_LN, solos = ensemble(data, seed, count, seconds)
    rate = quartet().sample_rate
    if axis == "unison":
        first, second = np.argsort(score)[:2]
        stems_LN = in_unison(stems_LN, (int(first), int(second)), value / 100, rate)
    if axis == "window, close":
        scene = simulate.orchestral_scene("R6", "L5", [f"seat {n + 1}" for n in range(count)])
    elif axis == "window, hall":
        scene = simulate.hall_scene(names)
    else:
        scene = chamber(names, (value if axis == "distance" else DISTANCE_CM) / 100)
    rng = np.random.default_rng((seed, 1))
    scene = shaken(scene, rng)
    before = moved(scene, value / 100, rng) if axis == "moved" else scene
    dry = [np.resize(solo, round(solo_seconds * rate)) for solo in solos]
    case = simulated(axis, scene, stems_LN, dry, rate, kinds=("solo",), solo_scene=before)
    peak = np.abs(case.mixture_LM).max()
    solo_LM, passages = case.solos["solo"]
    return replace(
        case,
        names=names,
        mixture_LM=case.mixture_LM / peak,
        truth_LN=case.truth_LN / peak,
        solos={"solo": (solo_LM / peak, passages)},
    )


def chosen(seed: int, n_mics: int) -> tuple[np.random.Generator, int]:
    """Return what draws the rest, and the microphone that suffers where one does."""
    rng = np.random.default_rng((seed, 2))
    return rng, int(rng.integers(n_mics))


def changed(case: Case, axis: str, value: Any, seed: int) -> Case:
    """Return a take with what an axis changes in the recordings; microphone n must be the spot of source n."""
    n_mics = case.mixture_LM.shape[1]
    rng, m = chosen(seed, n_mics)
    signs = rng.choice([-1, 1], n_mics)
    mixture_LM, truth_LN = case.mixture_LM.copy(), case.truth_LN.copy()
    solo_LM, passages = case.solos["solo"]
    solo_LM, passages = solo_LM.copy(), list(passages)
    if axis == "noise":
        mixture_LM = simulate.add_noise(mixture_LM, value, rng)
        solo_LM = simulate.add_noise(solo_LM, value, rng)
    elif axis == "markers" and value == "swap":
        other = (m + int(rng.integers(1, n_mics))) % n_mics
        passages[m], passages[other] = passages[other], passages[m]
    elif axis == "markers":  # the recording goes round, so that no passage ends outside it
        solo_LM = np.roll(solo_LM, signs[m] * round(value * case.sample_rate), axis=0)
    elif axis.startswith("delay"):
        late = round(value / 1000 * case.sample_rate)
        for x_LM in (mixture_LM, truth_LN, *([solo_LM] if axis.endswith(BOTH) else [])):
            x_LM[:, m] = np.concatenate([np.zeros(late), x_LM[: len(x_LM) - late, m]])
    elif axis in ("gain", "gains"):
        gains_M = 10 ** (signs * value / 20)
        if axis == "gain":
            gains_M[np.arange(n_mics) != m] = 1.0
        mixture_LM *= gains_M
        truth_LN *= gains_M
    elif axis == "polarity":
        for x_LM in (mixture_LM, truth_LN, *([solo_LM] if value == "both" else [])):
            x_LM[:, m] *= -1
    elif axis == "muted":
        closed_LM = gates(truth_LN, case.sample_rate) if value == GATED else stretch(truth_LN, m, value / 100)
        mixture_LM[closed_LM] = truth_LN[closed_LM] = 0
    return replace(case, mixture_LM=mixture_LM, truth_LN=truth_LN, solos={"solo": (solo_LM, passages)})


def stretch(truth_LN: np.ndarray, m: int, share: float) -> np.ndarray:
    """Return where a microphone is muted, (L, M): the middle of the take."""
    L, M = truth_LN.shape
    middle_L = np.abs(np.arange(L) + 0.5 - L / 2) < share * L / 2
    return middle_L[:, None] & (np.arange(M) == m)


def gates(truth_LN: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return where gates are closed, (L, M): where each player is softest, in blocks of `GATE_S`."""
    length = round(GATE_S * sample_rate)
    starts = np.arange(0, len(truth_LN), length)
    energy_BM = np.add.reduceat(truth_LN**2, starts)
    closed_BM = energy_BM <= np.quantile(energy_BM, CLOSED, axis=0)
    return np.repeat(closed_BM, length, axis=0)[: len(truth_LN)]


def measure(cell: Cell, data: Path | None = None) -> Result:
    """Return the gains over the raw spots, one a source, and who the sources are."""
    axis, value, seed = cell["axis"], cell["value"], cell["seed"]
    count = value if axis == "players" else cell["players"]
    solo_seconds = value if axis == "length" else cell["solo_seconds"]
    windows = axis.startswith("window")
    scene = (axis, 0 if windows else value) if windows or axis in BEFORE_RECORDING else (FLAWLESS, 0)
    case = changed(taken(data, *scene, seed, cell["seconds"], count, solo_seconds), axis, value, seed)
    name, kind = CONTENDERS[cell["method"]]
    recipe = METHODS[name]
    window = value if windows and value != OWN else None
    if recipe.solos == "needed":
        window = min(recipe.window, solo_seconds / 2)
    if "iterations" in cell:
        recipe = replace(recipe, iterations=min(recipe.iterations, cell["iterations"]))
    gains = scorer(case)(separate(case, recipe, kind, seed, window=window))
    return {**{key: np.round(values, 3) for key, values in gains.items()}, "names": case.names}


# --- what came out


class Found:
    """The gains in SDR at every value of every axis, mean over the sources, one a seed."""

    def __init__(self, cells: list[dict[str, Any]]) -> None:
        self.flawless = cells[0]["cell"]
        self.gains: dict[tuple[str, Any, str], list[float]] = {}
        for each in cells:
            key = tuple(each["cell"][name] for name in ("axis", "value", "method"))
            self.gains.setdefault(key, []).append(float(np.mean(each["result"]["delta_sdr"])))

    def unchanged(self, axis: str) -> Any:
        sizes = {"players": "players", "length": "solo_seconds"}
        return self.flawless[sizes[axis]] if axis in sizes else AXES[axis].unchanged

    def values(self, axis: str) -> list[Any]:
        """Return the values of an axis in order, that of the take without a flaw among them."""
        measured = list(dict.fromkeys(value for name, value, _ in self.gains if name == axis))
        unchanged = self.unchanged(axis)
        if unchanged is None:
            return measured
        return sorted([unchanged, *measured]) if axis in INNER else [unchanged, *measured]

    def of(self, axis: str, value: Any, method: str) -> list[float]:
        """Return the gains of a method, none if it was not measured there."""
        place = (FLAWLESS, 0) if value == self.unchanged(axis) else source(axis, value, method)
        return self.gains.get((*place, method), [])

    def difference(self, axis: str, value: Any, method: str, other: str) -> list[float]:
        gains, others = self.of(axis, value, method), self.of(axis, value, other)
        return [a - b for a, b in zip(gains, others, strict=True)] if gains and others else []


def summarise(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the gain in SDR at every value of every axis, and what solos add, with its margin."""
    found = Found(cells)
    rows = []
    for axis in AXES:
        for value in found.values(axis):
            gains = {method: found.of(axis, value, method) for method in CONTENDERS}
            rows.append(
                {
                    "axis": axis,
                    "value": value,
                    "flawless": value == found.unchanged(axis),
                    "delta_sdr": {method: rounded(each) for method, each in gains.items() if each},
                    "solos_add": rounded(found.difference(axis, value, SOLOS, NO_SOLOS)),
                }
            )
    return rows


def rounded(values: list[float]) -> list[float | None] | None:
    """Return mean and margin, which a single seed has not."""
    if not values:
        return None
    mean, margin = mean_and_margin(values)
    return [round(mean, 3), None if math.isnan(margin) else round(margin, 3)]


def table(document: dict[str, Any]) -> str:
    """Gains at every value of every axis but the windows."""
    axes = [axis for axis in AXES if not axis.startswith("window")]
    return gains_table(document, axes, [method for method in measured(document) if method not in OF_PLAYERS])


def players_table(document: dict[str, Any]) -> str:
    """Gains of more methods with fewer and more players."""
    return gains_table(document, ["players"], measured(document))


def windows_table(document: dict[str, Any]) -> str:
    """Gains with shorter and longer windows."""
    return gains_table(document, ["window, close", "window, hall"], measured(document)[:2])


def measured(document: dict[str, Any]) -> list[str]:
    """Return the methods that were run; the first two are the one of interest, with solos and without."""
    return list(document["summary"][0]["delta_sdr"])


def gains_table(document: dict[str, Any], axes: list[str], methods: list[str]) -> str:
    lines = [f"| | {' | '.join(methods)} | solos add |", "|---" * (len(methods) + 2) + "|"]
    for axis in axes:
        rows = of_axis(document, axis)
        if rows and len(axes) > 1:
            lines.append(f"| **{AXES[axis].label}** |{' |' * (len(methods) + 1)}")
        for row in rows:
            cells = [shown(row["delta_sdr"].get(method)) for method in methods]
            lines.append(f"| {row['value']} | {' | '.join(cells)} | {shown(row['solos_add'])} |")
    return "\n".join(lines)


def of_axis(document: dict[str, Any], axis: str) -> list[dict[str, Any]]:
    return [row for row in document["summary"] if row["axis"] == axis]


def shown(figure: list[float | None] | None) -> str:
    if figure is None:
        return ""
    mean, margin = figure
    return f"{mean:+.1f}" + ("" if margin is None else f" ± {margin:.1f}")


def sign(figure: list[Any] | None) -> int:
    """Return 1 or -1 if the seeds tell, with 95 % confidence, that a difference is above or below 0; else 0."""
    if figure is None or figure[1] is None or abs(figure[0]) <= figure[1]:
        return 0
    return 1 if figure[0] > 0 else -1


def verdicts(document: dict[str, Any]) -> str:
    """Say of every axis where solos help, where they harm, and where the difference is not significant."""
    lines = []
    for axis, described in AXES.items():
        parts = []
        for wanted, words in ((1, "help at"), (-1, "harm at"), (0, "no significant difference at")):
            rows = [row for row in of_axis(document, axis) if row["solos_add"] and sign(row["solos_add"]) == wanted]
            if rows:
                parts.append(f"{words} " + ", ".join(f"{row['value']} ({shown(row['solos_add'])})" for row in rows))
        if parts:
            lines.append(f"- {described.label}: {'; '.join(parts)}.")
    return "\n".join(lines)


def others(document: dict[str, Any]) -> str:
    """Say how often another method is the better one, both with solos."""
    solos, _, *rest = measured(document)
    found = Found(document["cells"])
    rows = document["summary"]
    places = {FLAWLESS if row["flawless"] else (row["axis"], row["value"]): row for row in rows}.values()
    lines = []
    for method in rest:
        if method in OF_PLAYERS:
            continue
        differences = [found.difference(row["axis"], row["value"], method, solos) for row in places]
        figures = [rounded(each) for each in differences if each]
        better, worse = (sum(sign(figure) == wanted for figure in figures) for wanted in (1, -1))
        least, most = (each(figures, key=lambda figure: figure[0]) for each in (min, max))
        lines.append(
            f"- Of {len(figures)} conditions in which both were measured with solos, {plain(method)} gains more than "
            f"{plain(solos)} in {better} and less in {worse}; in {len(figures) - better - worse} there is no "
            f"significant difference. The difference is between {shown(least)} and {shown(most)} dB."
        )
    return "\n".join(lines)


def plain(method: str) -> str:
    """Return the name of a method without what it is given."""
    return f"`{method.partition(',')[0]}`"


def muted(document: dict[str, Any]) -> str:
    """Say by how much a muted microphone, or gates, change the gain of its player and of the others."""
    keys = "axis", "value", "method", "seed"
    found = {tuple(each["cell"][key] for key in keys): each["result"]["delta_sdr"] for each in document["cells"]}
    lines = []
    for value, words in ((25, "One microphone muted for a quarter of the take"), (GATED, "All gated")):
        for method in (SOLOS, NO_SOLOS):
            changes: dict[bool, list[float]] = {True: [], False: []}
            for seed in document["seeds"]:
                change_N = np.subtract(found["muted", value, method, seed], found[FLAWLESS, 0, method, seed])
                own_N = np.arange(len(change_N)) == chosen(seed, len(change_N))[1]
                if value == GATED:
                    own_N[:] = True
                for whose, part in changes.items():
                    part.extend([float(np.mean(change_N[own_N == whose]))] if whose in own_N else [])
            told = f"{shown(rounded(changes[True]))} dB where it is open"
            if changes[False]:
                told = f"its player {told}, the others {shown(rounded(changes[False]))} dB"
            lines.append(f"- {words}, {method}: {told}.")
    return "\n".join(lines)


def windows(document: dict[str, Any]) -> str:
    """Say which window gains most, and by how much more than that of the method."""
    lines = []
    for axis in ("window, close", "window, hall"):
        for method in measured(document)[:2]:
            found = Found(document["cells"])
            values = found.values(axis)
            if not values:
                continue
            best = max(values, key=lambda value: np.mean(found.of(axis, value, method)))
            place = "close cardioids" if axis == "window, close" else "omnis in the hall"
            recipe = METHODS[method.partition(",")[0]]
            own = OWN if OWN in values else min(values, key=lambda value: abs(value - recipe.window))
            chosen = "what the method chooses" if own == OWN else f"the method's {own} s"
            said = f"- {place}, {method}: {chosen if best == OWN else f'{best} s'} gains most"
            if best != own:
                a, b = found.of(axis, best, method), found.of(axis, own, method)
                figure = rounded([x - y for x, y in zip(a, b, strict=True)])
                told = "" if sign(figure) else ", which is not significant"
                same = a == b
                said += f", which is {chosen}" if same else f", {shown(figure)} dB compared with {chosen}{told}"
            elif best != OWN:
                said += ", the method's own"
            lines.append(said + ".")
    return "\n".join(lines)


@dataclass(frozen=True)
class Panel:
    """A panel of the picture, of one axis or two, and what it is called in the heading if solos harm there."""

    title: str
    unit: str
    cause: str
    second: str = ""  # an axis, dashed
    labels: tuple[str, str] = ("", "")  # of the first and the second, where there are two


PANELS = {
    "noise": Panel("noise of the microphones", "dB re the peak of the take", "noise"),
    "markers": Panel("solos marked wrongly", "s too early or late; swap: of two players", "wrong markers"),
    "delay": Panel(
        "one microphone late", "ms", "late microphones", "delay" + BOTH, ("in the take only", "in the solos, too")
    ),
    "gain": Panel("gains changed since the solos", "± dB", "changed gains", "gains", ("of one mic", "of all")),
    "polarity": Panel("polarity of one mic flipped", "flipped in", "a flipped polarity"),
    "length": Panel("length of the solos", "s a player", "short solos"),
    "moved": Panel("players moved since solos", "cm", "moved players"),
    "unison": Panel("two players in unison", "% of the take", "players in unison"),
    "distance": Panel("from player to microphone", "cm", "distant microphones"),
    "players": Panel("number of players", "players", "the number of players"),
    "window, close": Panel("window, close cardioids", "s", "the window"),
    "window, hall": Panel("window, omnis in a hall", "s", "the window"),
}
NAMED = {"no": "nowhere", "take": "take only", "both": "both"}
LOWEST_DB = -12  # of the picture: how far down the worst goes is in the table


def title(document: dict[str, Any]) -> str:
    """Say what makes solos harmful."""
    causes = list(dict.fromkeys(PANELS[name].cause for name in by_harm(document) if "harm" in verdict(document, name)))
    if not causes:
        return "Nothing that was tried makes solos harmful"
    listed = " and ".join(filter(None, (", ".join(causes[:-1]), causes[-1])))
    return f"Of {len(by_harm(document))} things that change, only these make solos harmful: {listed}"


def picture(document: dict[str, Any]) -> str:
    return markdown(title(document), "robustness")


def rows_of(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the rows of a panel in which solos can be judged."""
    axes = (name, PANELS[name].second)
    return [row for axis in axes for row in of_axis(document, axis) if row["solos_add"]]


def by_harm(document: dict[str, Any]) -> list[str]:
    """Return the panels that were measured, first that in which solos add least."""
    least = {name: min(row["solos_add"][0] for row in rows) for name in PANELS if (rows := rows_of(document, name))}
    return sorted(least, key=least.__getitem__)


def verdict(document: dict[str, Any], name: str) -> str:
    """Say in a few words where solos harm, or else where they do not help."""
    rows = rows_of(document, name)
    for wanted, words in ((-1, "solos harm:"), (0, "no clear help:")):
        found = [str(NAMED.get(row["value"], row["value"])) for row in rows if sign(row["solos_add"]) == wanted]
        if found:
            return f"{words} {', '.join(dict.fromkeys(found))}"
    return "solos help throughout"


def draw(document: dict[str, Any]) -> Path:
    """Draw a panel an axis: gain over the raw spots against what changes, with solos and without."""
    names = by_harm(document)
    figure, axes = subplots(-(-len(names) // 3), 3, size=(WIDTH, 8.6), sharey="row")
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for name, axis in zip(names, axes.flat):
        draw_panel(document, name, axis)
    for axis in axes[:, 0]:
        axis.set_ylim(max(min(0, axis.get_ylim()[0]), LOWEST_DB), max(each.get_ylim()[1] for each in axes[:, 0]))
        axis.set_ylabel("gain in SDR, dB")
    label_methods(document, names[0], axes.flat[0])
    headline(figure, title(document))
    note(
        figure,
        f"{measured(document)[0].partition(',')[0]}; vertical lines: 95 % confidence. The panels are in the order of "
        "the least that solos add.\n“Harm” and “help”: where the difference seed by seed is significant.",
    )
    return save(figure, "robustness", dpi=FINE)


def label_methods(document: dict[str, Any], name: str, axis: Any) -> None:
    """Write at the lines of a panel what they are, outside of the two, where they are furthest apart."""
    methods = measured(document)[:2]
    both = [row for row in of_axis(document, name) if set(methods) <= set(row["delta_sdr"])]
    means = [[row["delta_sdr"][method][0] for method in methods] for row in both]
    apart = max(range(len(both)), key=lambda index: abs(means[index][0] - means[index][1]))
    for mean, colour, words in zip(means[apart], (WITH_SOLOS, WITHOUT), ("with solos", "without solos")):
        place = values_of(document, name).index(both[apart]["value"]) + 0.15, mean
        label(axis, words, place, (0, 4 if mean == max(means[apart]) else -13), color=colour, ha="left")


def label_both(panel: Panel, drawn: list[tuple[Any, Any, Any]], axis: Any) -> None:
    """Write at two lines with solos what they are: above the end of the upper one, below the bend of the lower one."""
    if len(drawn) < 2:
        return
    upper = max(range(2), key=lambda which: drawn[which][1][-1])
    for which, (places, means, margins) in enumerate(drawn):
        if which == upper:
            place, by = (places[-1], means[-1] + (margins[-1] or 0.0)), (0, 2)
        else:
            place, by = (places[-2], means[-2]), (-5, -9)
        label(axis, panel.labels[which], place, by, color=WITH_SOLOS, ha="right")


def draw_panel(document: dict[str, Any], name: str, axis: Any) -> None:
    panel, (solos, no_solos) = PANELS[name], measured(document)[:2]
    values = max((values_of(document, each) for each in (name, panel.second)), key=len)
    axis.axhline(0.0, color="black", linewidth=0.8)
    drawn: list[tuple[Any, Any, Any]] = []
    # Without solos the second axis is as the first.
    for each, method, shift, style in (
        (name, no_solos, 0.06, {"fmt": "o-", "color": WITHOUT}),
        (name, solos, -0.06, {"fmt": "o-", "color": WITH_SOLOS}),
        (panel.second, solos, 0.0, {"fmt": "o--", "color": WITH_SOLOS}),
    ):
        rows = [row for row in of_axis(document, each) if method in row["delta_sdr"]]
        if not rows:
            continue
        means, margins = zip(*(row["delta_sdr"][method] for row in rows))
        places = [values.index(row["value"]) + shift for row in rows]
        points(axis, places, means, [margin or 0.0 for margin in margins], markersize=3, **style)
        if method == solos and panel.second:
            drawn.append((places, means, margins))
    label_both(panel, drawn, axis)
    axis.set_xticks(range(len(values)), [str(NAMED.get(value, value)) for value in values])
    axis.set_xlim(-0.4, len(values) - 0.6)
    axis.set_xlabel(panel.unit, fontsize=8)
    said = verdict(document, name)
    colour = WITHOUT if "harm" in said else WITH_SOLOS if "throughout" in said else NEITHER
    axis.set_title(panel.title, loc="left", fontsize=8.5, pad=16)
    label(axis, said, (0, 1), (0, 4), color=colour, ha="left", xycoords="axes fraction")


def values_of(document: dict[str, Any], axis: str) -> list[Any]:
    return [row["value"] for row in of_axis(document, axis)]


def main() -> None:
    options = arguments(__doc__, data="folder of pieces")
    document = run(
        "robustness",
        grid(options.quick, options.data),
        partial(measure, data=options.data),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    for part in (table, players_table, windows_table, verdicts, others, *([] if options.quick else [muted]), windows):
        print(f"\n{part(document)}")
    if not options.quick:
        draw(document)


if __name__ == "__main__":
    main()
