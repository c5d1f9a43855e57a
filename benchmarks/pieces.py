"""The default method beside the others on several pieces, in several rooms, with two to eight players.

    python benchmarks/pieces.py [--data DIR] [--quick] [--contenders A,B]

DIR holds one folder a piece with stems/*.flac, which play together, and solos/*.flac of the same names; or it is a copy
of URMP, Bach10, EnsembleSet or MUSDB18-HQ (`_datasets.py`), where the loudest other 10 s of each stem are its solo.
Without it the embedded quartet is the only piece.  Excerpts of 12 s are simulated in the rooms of Cabañas-Molero et al.
2023 ("hall") and Pandey et al. 2026 ("R6/L5", "R3/L4"); six players and more come from two pieces at once.  One seed.
Writes benchmarks/results/pieces.json, anew after each take; `--contenders` measures only those again.
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from _cases import Case
from _cases import simulated as _simulated
from _datasets import Piece, quartet
from _datasets import pieces as read_pieces
from _environment import environment
from _measure import scorer, separate

from mnmf import simulate
from mnmf.separate import METHODS

PATH = Path(__file__).parent / "results" / "pieces.json"
START, SECONDS = 5.0, 12.0
SOLO_SECONDS = 10.0
CONTENDERS = {
    "fastmnmf2": ("fastmnmf2", "solo"),
    "fastmnmf2, no solos": ("fastmnmf2", None),
    "ntf-panning": ("ntf-panning", "solo"),
    "kamir": ("kamir", "solo"),
    "mnmf-fixh": ("mnmf-fixh", "solo"),
    "mnmf-is-updth": ("mnmf-is-updth", "solo"),
    "fastmnmf2-blind": ("fastmnmf2-blind", None),
}


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
        return [Take("hall", (pieces[0],), 2)]
    wanted = [Take(room, (piece,), min(4, len(piece.names))) for piece in pieces for room in ("hall", "R6/L5")]
    for room, piece in zip(("hall", "R3/L4"), pieces):
        wanted += [Take(room, (piece,), n_players) for n_players in (2, 3) if n_players <= len(piece.names)]
    first, last = pieces[0], pieces[-1]
    if len(pieces) > 1 and first.sample_rate == last.sample_rate:
        fewest = min(len(first.names), len(last.names))
        wanted += [Take("hall", (first, last), 2 * each) for each in (3, 4) if each <= fewest]
    return list(dict.fromkeys(wanted))  # of a duet some would be there twice


def simulated(take: Take) -> Case:
    """Render the players of a take, and each of them alone."""
    each = take.n_players // len(take.pieces)
    length = min(len(piece.stems_LN) for piece in take.pieces)
    stems_LN = np.concatenate([piece.stems_LN[:length, :each] for piece in take.pieces], axis=1)
    solos = [solo_L for piece in take.pieces for solo_L in piece.solos_LN[:, :each].T]
    if take.room == "hall":
        scene = simulate.hall_scene(take.n_players)
    else:
        scene = simulate.orchestral_scene(*take.room.split("/"), players=take.n_players)
    return _simulated(take.name, scene, stems_LN, solos, take.pieces[0].sample_rate, kinds=["solo"])


def measure(case: Case, contenders: Iterable[str]) -> dict[str, dict[str, list[float]]]:
    """Return the gains of some contenders, one number a source."""
    gains = scorer(case)
    figures = {}
    for name in contenders:
        method, kind = CONTENDERS[name]
        found = gains(separate(case, METHODS[method], kind))
        figures[name] = {key: np.round(found[key], 3).tolist() for key in ("delta_sdr", "delta_snr")}
    return figures


def shown(figures: dict[str, list[float]]) -> str:
    """Mean gain in SDR and in SNR, and the least gain in SDR of a source."""
    sdr, snr = figures["delta_sdr"], figures["delta_snr"]
    return f"{np.mean(sdr):+6.1f} {np.mean(snr):+6.1f} {min(sdr):+6.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of pieces, or of a dataset")
    parser.add_argument("--quick", action="store_true", help="one piece, one room, two players")
    parser.add_argument("--contenders", metavar="A,B", help="only these; the others' figures stay")
    arguments = parser.parse_args()
    chosen = arguments.contenders.split(",") if arguments.contenders else list(CONTENDERS)
    earlier: dict = {}
    if arguments.contenders:
        for done in json.loads(PATH.read_text("utf-8"))["takes"]:
            earlier[done["piece"], done["room"], done["players"]] = done["figures"]
    pieces = [quartet()]
    if arguments.data:
        pieces = read_pieces(
            arguments.data, seconds=SECONDS, offset=START, solo_seconds=SOLO_SECONDS, borrow_solos=True
        )
    result: dict = {"environment": environment(), "seeds": 1, "takes": []}
    PATH.parent.mkdir(exist_ok=True)
    simulate.impulse_responses = cache(simulate.impulse_responses)  # every scene is played in more than once
    print("ΔSDR, ΔSNR, ΔSDR of the worst source, dB")
    print(f"{'piece, room, players':48} " + " ".join(f"{name:>20}" for name in CONTENDERS))
    for take in takes(pieces, arguments.quick):
        start = time.perf_counter()
        found = earlier.get((take.name, take.room, take.n_players), {}) | measure(simulated(take), chosen)
        figures = {name: found[name] for name in CONTENDERS if name in found}
        result["takes"].append(
            {"piece": take.name, "room": take.room, "players": take.n_players, "seconds": SECONDS, "figures": figures}
        )
        PATH.write_text(json.dumps(result, indent=1) + "\n")
        cells = " ".join(shown(found) for found in figures.values())
        name = f"{take.name}, {take.room}, {take.n_players}"
        print(f"{name:48} {cells}  ({time.perf_counter() - start:.0f} s)", flush=True)
    print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
