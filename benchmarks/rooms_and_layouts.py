"""How much rooms, seating plans and the distance of the spots matter: the scenes of a network for the same task.

    python benchmarks/rooms_and_layouts.py [--data DIR] [--quick] [--jobs N]

After R. Pandey, J. Garcia-Martinez, P. Cabañas-Molero, D. Diaz-Guerra, R. Falcón Pérez, T. Virtanen, J. J.
Carabias-Orti and P. Vera-Candeas, "Learning input-channel permutation equivariance for multi-channel source separation:
reducing bleeding in small music ensembles", 2026: their rooms R1 to R6, layouts L1 to L6, and cardioid spots 20 to
50 cm from the players.  Four players sit where theirs are five.  Each scene has an excerpt of one piece, in turn from
the embedded quartet and DIR (`mnmf.datasets`), L6 one without strings if there is any; R6/L5 has several.

Gains are given as theirs are, of the median over frames of 1 s of the plain ratio of signal to error, and of SDR.
Writes benchmarks/results/rooms_and_layouts.json.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import Case, simulated
from _datasets import pieces, quartet, work
from _figures import FINE, NEITHER, WIDTH, WITH_SOLOS, WITHOUT, apart, headline, label, markdown, points, save, subplots
from _measure import median_snr, scorer, separate
from _runner import Cell, Result, arguments, mean_and_margin, run
from scipy.signal import resample_poly

from mnmf import METHODS, simulate
from mnmf.datasets import Piece
from mnmf.simulate import LAYOUTS, ROOMS, Room

N = 4
SECONDS, SOLO_SECONDS = 10.0, 8.0
STARTS = (5.0, 22.0)  # of the excerpts of a piece
NEAR = 25
DISTANCES = (20, 25, 30, 40, 50)
HOME = ("R6", "L5")  # where they have a curve
EXCERPTS = 5  # there
CURVES = (HOME, ("R6", "L6"), ("R5", "L4"), ("R1", "L1"))
QUICK = ((HOME, NEAR), (HOME, 50), (("R6", "L6"), NEAR))
STRINGS = ("violin", "viola", "cello", "double bass")
FAST = (("fastmnmf2", None), ("fastmnmf2", "solo"))
SLOW = (("mnmf-is", None), ("mnmf-is", "solo"))

# Pandey et al. 2026, Tables III and IV: SDR at the spots, and what the best of their four networks adds, in dB.
Theirs = tuple[float, float]
THEIR_SCENES: dict[tuple[str, str, int], Theirs] = {
    ("R1", "L2", 25): (16.1, 7.2),
    ("R6", "L2", 25): (16.1, 6.4),
    ("R6", "L5", 20): (19.1, 4.7),
    ("R6", "L5", 25): (17.0, 5.3),
    ("R6", "L5", 30): (15.2, 5.5),
    ("R6", "L5", 40): (12.7, 4.9),
    ("R6", "L5", 50): (10.9, 4.2),
    ("R6", "L6", 25): (19.0, 5.7),
}
THEIR_PLAYERS: dict[str, Theirs] = {
    "violin1": (16.9, 8.4),
    "violin2": (15.7, 7.6),
    "viola": (17.6, 6.0),
    "cello": (16.2, 3.1),
    "bass": (18.8, 1.2),
}


@cache
def excerpts(data: Path | None) -> dict[str, Piece]:
    """Return the excerpts by name: one of every piece, then another one of every piece in the folder."""
    found = {"quartet": quartet()}
    for start in STARTS if data else ():
        cut = pieces(data, players=N, seconds=SECONDS, offset=start, solo_seconds=SOLO_SECONDS, borrow_solos=True)
        found |= {f"{piece.name} at {start:g} s": piece for piece in cut}
    return found


def of_strings(piece: Piece) -> bool:
    return all(name.startswith(STRINGS) for name in piece.names)


def grid(data: Path | None, quick: bool) -> list[Cell]:
    found = excerpts(data)
    strings = [name for name, piece in found.items() if of_strings(piece)]
    others = [name for name in found if name not in strings] or strings

    def cell(scene: tuple[str, str], distance_cm: int, piece: str) -> Cell:
        slow = quick or scene == HOME or (scene[0] == HOME[0] and distance_cm == NEAR)
        return {
            "room": scene[0],
            "layout": scene[1],
            "distance_cm": distance_cm,
            "piece": piece,
            "slow": slow,
            "seed": 0,
        }

    if quick:
        embedded, *own = found
        played = (embedded, own[0] if own else embedded, embedded)
        return [cell(scene, distance_cm, piece) for (scene, distance_cm), piece in zip(QUICK, played, strict=True)]
    cells = []
    for distance_cm in DISTANCES:
        for index, scene in enumerate((room, layout) for room in ROOMS for layout in LAYOUTS):
            if distance_cm != NEAR and scene not in CURVES:
                continue
            # No scene has all its layouts, or all its rooms, from one piece.
            fit = others if scene[1] == "L6" else strings
            played = strings[:EXCERPTS] if scene == HOME else [fit[(index + index // len(LAYOUTS)) % len(fit)]]
            cells += [cell(scene, distance_cm, piece) for piece in played]
    return cells


def simulate_take(data: Path | None, quick: bool, cell: Cell) -> Case:
    piece = excerpts(data)[cell["piece"]]
    names, rate = piece.names[:N], piece.sample_rate
    scene = simulate.orchestral_scene(cell["room"], cell["layout"], names, cell["distance_cm"] / 100)
    assert piece.solos_LN is not None
    stems_LN = piece.stems_LN[: round(SECONDS * rate), :N]
    solos_LN = piece.solos_LN[: round(SOLO_SECONDS * rate), :N]
    if quick:
        scene = replace(scene, room=Room(scene.room.size_m, 0.5))
        rate //= 4
        stems_LN, solos_LN = (resample_poly(x_LN, 1, 4)[: 2 * rate] for x_LN in (stems_LN, solos_LN))
    return simulated(cell["piece"], scene, stems_LN, list(solos_LN.T), rate, kinds=["solo"])


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the level of every source at its spot, by their metric, and what each method gains."""
    case = simulate_take(data, quick, cell)
    gains = scorer(case)
    result: Result = {"players": list(case.names)}
    result["spot_snr"] = np.round(median_snr(case, case.mixture_LM[:, list(case.spots)]), 3)
    for method, told in (*FAST, *(SLOW if cell["slow"] else ())):
        found = gains(separate(case, METHODS[method], told, cell["seed"]))
        result[key(method, told)] = {figure: np.round(values, 3) for figure, values in found.items()}
    return result


def key(method: str, told: str | None) -> str:
    return method + (", solos" if told else "")


# The tables: margins are over the pieces, of each the mean over its excerpts


def gains_at(
    cells: Sequence[dict[str, Any]], room: str, layout: str, distance_cm: int, name: str, figure: str = "delta_snr"
) -> list[float]:
    """Return the mean figure over the players of every piece played in a scene."""
    results = in_scene(cells, room, layout, distance_cm)
    if name == "spot_snr":
        return of_pieces([(piece, float(np.mean(result[name]))) for piece, result in results])
    return of_pieces([(piece, float(np.mean(result[name][figure]))) for piece, result in results if name in result])


def in_scene(
    cells: Sequence[dict[str, Any]], room: str, layout: str, distance_cm: int
) -> list[tuple[str, dict[str, Any]]]:
    """Return the excerpts of a scene and their results."""
    wanted = {"room": room, "layout": layout, "distance_cm": distance_cm}
    return [(each["cell"]["piece"], each["result"]) for each in cells if wanted.items() <= each["cell"].items()]


def of_pieces(figures: Sequence[tuple[str, float]]) -> list[float]:
    """Return the mean of each piece over its excerpts, which are not independent."""
    found: dict[str, list[float]] = {}
    for excerpt, figure in figures:
        found.setdefault(work(excerpt), []).append(figure)
    return [float(np.mean(of_one)) for of_one in found.values()]


def signed(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean, margin = mean_and_margin(values)
    return f"{mean:+.1f}" + (f" ± {margin:.1f}" if len(values) > 1 else "")


SHOWN = tuple(key(*each) for each in (*FAST, *SLOW))


def summarise(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of every scene the means and margins, with 95 % confidence, over its pieces."""
    rows = []
    for scene in dict.fromkeys(tuple(each["cell"][k] for k in ("room", "layout", "distance_cm")) for each in cells):
        row: dict[str, Any] = dict(zip(("room", "layout", "distance_cm"), scene))
        for name in ("spot_snr", *SHOWN):
            for figure in ("delta_snr", "delta_sdr") if name != "spot_snr" else ("",):
                values = gains_at(cells, *scene, name, figure)
                if values:
                    mean, margin = mean_and_margin(values)
                    row[f"{name} {figure}".strip()] = [round(mean, 3), round(margin, 3) if len(values) > 1 else None]
        rows.append(row)
    return rows


def grid_table(document: dict[str, Any]) -> str:
    """Gains by their metric at 25 cm, rooms by layouts: without solos / with solos."""
    cells = document["cells"]
    layouts = [layout for layout in LAYOUTS if any(each["cell"]["layout"] == layout for each in cells)]
    lines = [f"| | {' | '.join(layouts)} |", "|---" * (len(layouts) + 1) + "|"]
    gains: dict[str, list[float]] = {SHOWN[0]: [], SHOWN[1]: []}
    for room in ROOMS:
        found = [[gains_at(cells, room, layout, NEAR, name) for name in SHOWN[:2]] for layout in layouts]
        if not any(values for both in found for values in both):
            continue
        lines.append(
            f"| {room} | " + " | ".join(" / ".join(f"{np.mean(v):+.1f}" for v in both if v) for both in found) + " |"
        )
        for both in found:
            for name, values in zip(SHOWN[:2], both):
                gains[name] += [float(np.mean(values))] if values else []
    without, told = gains[SHOWN[0]], gains[SHOWN[1]]
    helped = sum(a > b for a, b in zip(told, without))
    players = [
        value
        for each in cells
        if each["cell"]["distance_cm"] == NEAR
        for value in each["result"][SHOWN[1]]["delta_snr"]
    ]
    lines += [
        "",
        f"Without solos the gain is {min(without):+.1f} to {max(without):+.1f} dB, with solos {min(told):+.1f} to "
        f"{max(told):+.1f}; solos helped in {helped} of {len(told)} scenes. With solos "
        f"{sum(value < 0 for value in players)} of {len(players)} players in all takes ended below their raw spots.",
    ]
    return "\n".join(lines)


def distance_table(document: dict[str, Any]) -> str:
    """Gains by distance beside theirs: by their metric, in brackets in SDR."""
    cells = document["cells"]
    lines = [
        f"| scene | spots, cm | at the spots | {' | '.join(f'`{n}`{c}{k}' for n, c, k in map(split, SHOWN))} | "
        "at theirs | their best network |",
        "|---" * (len(SHOWN) + 5) + "|",
    ]
    for scene in scenes(document):
        room, layout, distance_cm = scene
        if (room, layout) not in CURVES and scene not in THEIR_SCENES:
            continue
        gains = []
        for name in SHOWN:
            snr, sdr = (gains_at(cells, *scene, name, figure) for figure in ("delta_snr", "delta_sdr"))
            gains.append(f"{signed(snr)} ({np.mean(sdr):+.1f})" if snr else "")
        theirs = "{:.1f} | {:+.1f}".format(*THEIR_SCENES[scene]) if scene in THEIR_SCENES else " | "
        spot = float(np.mean(gains_at(cells, *scene, "spot_snr")))
        lines.append(f"| {room}/{layout} | {distance_cm} | {spot:.1f} | {' | '.join(gains)} | {theirs} |")
    return "\n".join([*lines, "", distance_in_words(document)])


def split(name: str) -> tuple[str, str, str]:
    return name.partition(",")


def scenes(document: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Return the scenes in the order of rooms, layouts and distances."""
    cells = [each["cell"] for each in document["cells"]]
    return sorted({(cell["room"], cell["layout"], cell["distance_cm"]) for cell in cells})


def distance_in_words(document: dict[str, Any]) -> str:
    cells = document["cells"]
    common = [scene for scene in scenes(document) if scene in THEIR_SCENES]
    parts = []
    for name in SHOWN:
        gaps = {}
        for scene in common:
            gains = gains_at(cells, *scene, name)
            if gains:
                gaps[scene] = float(np.mean(gains)) - THEIR_SCENES[scene][1]
        method, comma, told = split(name)
        parts.append(f"`{method}`{comma}{told} on {sum(gap > 0 for gap in gaps.values())} of {len(gaps)}")
    spots = [abs(float(np.mean(gains_at(cells, *scene, "spot_snr"))) - THEIR_SCENES[scene][0]) for scene in common]
    return (
        f"More than their best network in the same scene (with strings, theirs has a bass in it, ours has not) gain "
        f"{'; '.join(parts)}. The spots themselves differ from theirs by at most {max(spots):.1f} dB: the music is "
        f"another, and a chair is empty."
    )


def players_table(document: dict[str, Any]) -> str:
    """Gains of each player in R6/L5 at 25 cm, beside theirs."""
    measured = {name: gains_of_players(document, name) for name in SHOWN}
    spots = gains_of_players(document, "spot_snr")
    lines = [
        f"| player | at the spot | {' | '.join(f'`{n}`{c}{k}' for n, c, k in map(split, SHOWN))} | "
        "at theirs | their best network |",
        "|---" * (len(SHOWN) + 4) + "|",
    ]
    for player in dict.fromkeys([*spots, *THEIR_PLAYERS]):
        spot = f"{np.mean(spots[player]):.1f}" if player in spots else ""
        gains = [signed(measured[name].get(player, [])) for name in SHOWN]
        theirs = "{:.1f} | {:+.1f}".format(*THEIR_PLAYERS[player]) if player in THEIR_PLAYERS else " | "
        lines.append(f"| {player} | {spot} | {' | '.join(gains)} | {theirs} |")
    return "\n".join([*lines, "", players_in_words(document)])


def gains_of_players(document: dict[str, Any], name: str) -> dict[str, list[float]]:
    """Return of each player at home the gain, or the level at the spot, of every piece."""
    found: dict[str, list[tuple[str, float]]] = {}
    for piece, result in in_scene(document["cells"], *HOME, NEAR):
        figures = result[name] if name == "spot_snr" else result.get(name, {}).get("delta_snr", ())
        for player, figure in zip(result["players"], figures):
            found.setdefault(player, []).append((piece, figure))
    return {player: of_pieces(figures) for player, figures in found.items()}


def shared(document: dict[str, Any], name: str) -> tuple[list[float], float]:
    """Return the gain of every piece at home over the players that theirs have, too, and what theirs gain there."""
    ours, theirs = [], []
    for piece, result in in_scene(document["cells"], *HOME, NEAR):
        gains = zip(result["players"], result.get(name, {}).get("delta_snr", ()))
        common = [(gain, THEIR_PLAYERS[player][1]) for player, gain in gains if player in THEIR_PLAYERS]
        if common:
            means = np.mean(common, axis=0)
            ours.append((piece, float(means[0])))
            theirs.append((piece, float(means[1])))
    return of_pieces(ours), float(np.mean(of_pieces(theirs))) if theirs else np.nan


def players_in_words(document: dict[str, Any]) -> str:
    """Set ours against theirs with the players that both have."""
    lines = [f"- {said}." for name in SHOWN if (said := against_theirs(document, name))]
    if not lines:
        return "No player is in both."
    return "\n".join(["Mean over the players that both have, and with whom the difference is significant:", "", *lines])


def against_theirs(document: dict[str, Any], name: str) -> str:
    """Say how far one of ours is from theirs with the players that both have; nothing if none is in both."""
    gains, theirs = shared(document, name)
    if not gains:
        return ""
    method, comma, told = split(name)
    places: dict[str, list[str]] = {"ahead": [], "behind": [], "no significant difference": []}
    for player, found in gains_of_players(document, name).items():
        if player in THEIR_PLAYERS:
            mean, margin = mean_and_margin([gain - THEIR_PLAYERS[player][1] for gain in found])
            clear = abs(mean) > margin
            places["no significant difference" if not clear else "ahead" if mean > 0 else "behind"].append(player)
    said = "; ".join(f"{place} with {', '.join(players)}" for place, players in places.items() if players)
    return (
        f"`{method}`{comma}{told}: {signed(gains)} dB over {len(gains)} pieces, theirs {theirs:+.1f}, which is "
        f"{beyond(gains, theirs)}; {said}"
    )


def beyond(gains: Sequence[float], theirs: float) -> str:
    mean, margin = mean_and_margin(gains)
    return "beyond the margin" if abs(mean - theirs) > margin else "within the margin"


def near_gains(document: dict[str, Any], name: str) -> np.ndarray:
    """Return the mean gain in every room and layout at 25 cm, (rooms, layouts), NaN in those not measured."""
    found = [[gains_at(document["cells"], room, layout, NEAR, name) for layout in LAYOUTS] for room in ROOMS]
    return np.array([[np.mean(values) if values else np.nan for values in row] for row in found])


def title(document: dict[str, Any]) -> str:
    """Say whether rooms or layouts make the greater difference, and where solos help."""
    gains = [near_gains(document, name) for name in SHOWN[:2]]
    wider = [np.ptp(np.nanmean(each, axis=0)) > np.ptp(np.nanmean(each, axis=1)) for each in gains]
    if all(wider):
        said = "The layout of the players matters more than the room"
    elif any(wider):
        said = "Whether the room or the layout of the players matters more depends on the solos"
    else:
        said = "The room matters more than the layout of the players"
    without, told = gains
    helped, count = int(np.sum(told > without)), int(np.sum(~np.isnan(told)))
    return f"{said}; solos help in {'all' if helped == count else f'{helped} of'} {count} scenes"


def picture(document: dict[str, Any]) -> str:
    return markdown(title(document), "rooms_and_layouts")


def draw(document: dict[str, Any]) -> None:
    """Draw the gains in all rooms and layouts at one distance, and at home at all distances."""
    figure, (left, right) = subplots(1, 2, size=(WIDTH, 4.0), sharey=True, width_ratios=(1, 1.15))
    draw_layouts(document, left)
    draw_distances(document, right)
    left.set_ylabel("gain of the ratio of signal to error\nover the raw spot, dB (median of frames of 1 s)")
    left.set_ylim(min(0, left.get_ylim()[0]), left.get_ylim()[1] + 2)  # above, a label has room
    headline(figure, title(document))
    save(figure, "rooms_and_layouts", dpi=FINE)


def draw_layouts(document: dict[str, Any], axis: Any) -> None:
    """Draw a dot for each room, and a dash for the mean over the rooms, the best layout first."""
    gains = {name: near_gains(document, name) for name in SHOWN[:2]}
    order = np.argsort(-np.nanmean(gains[SHOWN[1]], axis=0), kind="stable")
    styles = ((SHOWN[0], WITHOUT, -0.17, "without\nsolos"), (SHOWN[1], WITH_SOLOS, 0.17, "with\nsolos"))
    for name, colour, shift, words in styles:
        for column, layout in enumerate(order):
            values = gains[name][:, layout]
            axis.plot([column + shift] * len(values), values, "o", markersize=3.5, color=colour, alpha=0.6)
            axis.plot(column + shift, np.nanmean(values), "_", markersize=12, markeredgewidth=2, color=colour)
        first = gains[name][:, order[0]]
        place, by = (np.nanmax(first), (0, 6)) if shift > 0 else (np.nanmin(first), (0, -6))
        label(axis, words, (shift, place), by, color=colour)
    axis.set_xticks(range(len(order)), [list(LAYOUTS)[layout] for layout in order])
    axis.grid(visible=False, axis="x")
    axis.set_xlim(-0.8, len(order) - 0.4)
    axis.set_xlabel("layout (dash: mean over the rooms)")
    axis.set_title(f"{split(SHOWN[0])[0]}, spots at {NEAR} cm; a dot a room", loc="left", fontsize=9)


def draw_distances(document: dict[str, Any], axis: Any) -> None:
    """Draw the gains at home by distance; intervals for the faster method alone, those of the other are as wide."""
    ends, colours = {}, {}
    for name in SHOWN:
        there = [distance for distance in DISTANCES if gains_at(document["cells"], *HOME, distance, name)]
        if not there:
            continue
        figures = [mean_and_margin(gains_at(document["cells"], *HOME, distance, name)) for distance in there]
        means, margins = np.nan_to_num(np.transpose(figures))
        colours[name] = WITH_SOLOS if split(name)[2] else WITHOUT
        if name in SHOWN[:2]:
            shifted = np.add(there, 0.3 if split(name)[2] else -0.3)
            points(axis, shifted, means, margins, color=colours[name])
        else:
            axis.plot(there, means, "--", color=colours[name])
        ends[name] = float(means[-1])
    for name, place in zip(ends, apart(list(ends.values()), 0.9)):
        label(axis, name, (DISTANCES[-1], place), (8, 0), color=colours[name])
    theirs = [THEIR_SCENES[(*HOME, distance)][1] for distance in DISTANCES]
    axis.plot(DISTANCES, theirs, "x-", markersize=5, color=NEITHER)
    label(
        axis, "best network of Pandey et al. 2026,\na bass among the players", (34, min(theirs)), (0, -6), color=NEITHER
    )
    axis.set_xlim(right=DISTANCES[-1] + 17)
    axis.set_xticks(DISTANCES)
    axis.set_xlabel("from player to spot, cm")
    axis.set_title("room R6, layout L5; lines: 95 % over the pieces", loc="left", fontsize=9)


def main() -> None:
    options = arguments(__doc__, data="folder of pieces")
    document = run(
        "rooms_and_layouts",
        grid(options.data, options.quick),
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
        summarise=summarise,
    )
    for part in (grid_table, distance_table, players_table):
        print(part(document), end="\n\n")
    if not options.quick:
        draw(document)


if __name__ == "__main__":
    main()
