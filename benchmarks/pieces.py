"""The default method beside the others on several pieces, in several rooms, with two to eight players.

    python benchmarks/pieces.py [--data DIR] [--quick] [--jobs N]

DIR holds one folder a piece with stems/*.flac, which play together, and solos/*.flac of the same names; or it is a copy
of URMP, Bach10, EnsembleSet or MUSDB18-HQ (`mnmf.datasets`), where the loudest other 10 s of each stem are its solo.
Without it the embedded quartet is the only piece.  Excerpts of 12 s are simulated in the rooms of Cabañas-Molero et al.
2023 ("hall") and Pandey et al. 2026 ("R6/L5", "R3/L4"); six players and more come from two pieces at once.  One seed.
Writes benchmarks/results/pieces.json.
"""

from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np
from _cases import Case
from _cases import simulated as _simulated
from _datasets import pieces as read_pieces
from _datasets import quartet
from _measure import hurried, scorer, separate
from _runner import Cell, Result, arguments, grouped, run

from mnmf import METHODS, simulate
from mnmf.datasets import Piece

START, SECONDS, QUICK_SECONDS = 5.0, 12.0, 2.0
SOLO_SECONDS = 10.0
CONTENDERS = {
    "mnmf": ("mnmf", "solo"),
    "mnmf, no solos": ("mnmf", None),
    "fastmnmf2": ("fastmnmf2", "solo"),
    "fastmnmf2, no solos": ("fastmnmf2", None),
    "mnmf-is": ("mnmf-is", "solo"),
    "mnmf-is, no solos": ("mnmf-is", None),
    "linear": ("linear", "solo"),
    "pairwise": ("pairwise", "solo"),
    "ntf-panning": ("ntf-panning", "solo"),
    "kamir": ("kamir", "solo"),
    "mnmf-fixh": ("mnmf-fixh", "solo"),
    "mnmf-is-updth": ("mnmf-is-updth", "solo"),
    "fastmnmf2-blind": ("fastmnmf2-blind", None),
}
ROOMS = {"hall": simulate.hall_scene, "chamber": simulate.chamber_scene}


@dataclass(frozen=True)
class Take:
    """Who plays where: the first players of each piece."""

    room: str
    pieces: tuple[Piece, ...]
    n_players: int

    @property
    def name(self) -> str:
        return " + ".join(piece.name for piece in self.pieces)


def takes(pieces: list[Piece], quick: bool) -> list[Take]:
    """All pieces with up to four players in two rooms, then other rooms and numbers of players with some of them."""
    if quick:
        return [Take("chamber", (pieces[0],), 2)]
    wanted = [Take(room, (piece,), min(4, len(piece.names))) for piece in pieces for room in ("hall", "R6/L5")]
    for room, piece in zip(("hall", "R3/L4"), pieces):
        wanted += [Take(room, (piece,), n_players) for n_players in (2, 3) if n_players <= len(piece.names)]
    first, last = pieces[0], pieces[-1]
    if len(pieces) > 1 and first.sample_rate == last.sample_rate:
        fewest = min(len(first.names), len(last.names))
        wanted += [Take("hall", (first, last), 2 * each) for each in (3, 4) if each <= fewest]
    return list(dict.fromkeys(wanted))  # of a duet some would be there twice


def simulated(take: Take, seconds: float) -> Case:
    """Render the players of a take, and each of them alone."""
    each = take.n_players // len(take.pieces)
    rate = take.pieces[0].sample_rate
    length = min(round(seconds * rate), *(len(piece.stems_LN) for piece in take.pieces))
    alone = round(min(seconds, SOLO_SECONDS) * rate)
    stems_LN = np.concatenate([piece.stems_LN[:length, :each] for piece in take.pieces], axis=1)
    solos = [solo_L for piece in take.pieces for solo_L in piece.solos_LN[:alone, :each].T]
    if take.room in ROOMS:
        scene = ROOMS[take.room](take.n_players)
    else:
        scene = simulate.orchestral_scene(*take.room.split("/"), players=take.n_players)
    return _simulated(take.name, scene, stems_LN, solos, rate, kinds=["solo"])


@cache
def wanted(data: Path | None, quick: bool) -> dict[tuple[str, str, int], Take]:
    pieces = [quartet()]
    if data:
        pieces = read_pieces(data, seconds=SECONDS, offset=START, solo_seconds=SOLO_SECONDS, borrow_solos=True)
    return {(take.name, take.room, take.n_players): take for take in takes(pieces, quick)}


@lru_cache(1)  # the cells of a take follow one another
def case_of(name: str, room: str, players: int, seconds: float, data: Path | None, quick: bool) -> Case:
    return simulated(wanted(data, quick)[name, room, players], seconds)


def measure(cell: Cell, data: Path | None = None, quick: bool = False) -> Result:
    """Return the gains of one contender, one number a source."""
    case = case_of(cell["piece"], cell["room"], cell["players"], cell["seconds"], data, quick)
    method, kind = CONTENDERS[cell["contender"]]
    found = scorer(case)(separate(case, hurried(METHODS[method], quick), kind, cell["seed"]))
    return {key: np.round(found[key], 3) for key in ("delta_sdr", "delta_snr")}


def grid(data: Path | None, quick: bool) -> list[Cell]:
    return [
        {
            "piece": piece,
            "room": room,
            "players": players,
            "seconds": QUICK_SECONDS if quick else SECONDS,
            "contender": contender,
            "seed": 0,
        }
        for piece, room, players in wanted(data, quick)
        for contender in CONTENDERS
    ]


def shown(figures: Result) -> str:
    """Mean gain in SDR and in SNR, and the least gain in SDR of a source."""
    sdr, snr = figures["delta_sdr"], figures["delta_snr"]
    return f"{np.mean(sdr):+6.1f} {np.mean(snr):+6.1f} {min(sdr):+6.1f}"


def main() -> None:
    options = arguments(__doc__, data="folder of pieces, or of a dataset")
    measured = run(
        "pieces",
        grid(options.data, options.quick),
        partial(measure, data=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    print("ΔSDR, ΔSNR, ΔSDR of the worst source, dB")
    for (piece, room, players, contender), (found,) in grouped(
        measured["cells"], "piece", "room", "players", "contender"
    ).items():
        print(f"{f'{piece}, {room}, {players}':48} {contender:20} {shown(found)}")


if __name__ == "__main__":
    main()
