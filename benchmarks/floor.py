"""Is anything worse than the raw spot, in any passage?  People who speak in turns, a drum kit, players who rest.

    python benchmarks/floor.py [--data DIR] [--quick] [--jobs N]

Three lavaliers on people who speak in turns, one of whom is silent throughout, with noise of the microphones at -80 dB
and without any; a drum kit with four close microphones; the embedded quartet, whose second violin rests from the middle
on, in a chamber and close-miked in a large room.  Speech and drums are synthesised (`_synthesised`).  With `--data DIR`
also its cases, as in methods.py.  Each with the solos of all who play and without any, by the default method with its
floor and without.

A passage is one second of one octave band (125 Hz to 16 kHz) in which a player's own image at its spot holds sound: no
more than 40 dB below its loudest second in this band, in a band no more than 60 dB below its loudest one.  Its harm is
the error of the stem over the error of the raw spot in dB.  An error 80 dB below the sound counts as that much.

Writes benchmarks/results/floor.json.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _cases import QUARTET_SCENES, Case, duet_case, named_cases, responses
from _measure import hurried, separate
from _runner import Cell, Result, grouped, parser, run
from _synthesised import DRUMS, drum_alone, drums, speech, turns

from mnmf import METHODS, STFT, data, metrics, simulate

BANDS = tuple(1000.0 * 2.0**k for k in range(-3, 5))  # centres, hertz
HOLDS_DB, BAND_DB, NOTHING_DB = 40.0, 60.0, 80.0
WORSE_DB = 0.5
NOISE_DB = -80.0
VOICES = ((110.0, 0.95), (200.0, 1.15))  # pitch in hertz and height of those who speak
SECONDS, ALONE_SECONDS, RATE = 20.0, 8.0, 44100
FLOORS = {"mnmf": True, "mnmf, no floor": False}


# --- the takes


def played(
    name: str, scene: simulate.Scene, dry_LN: np.ndarray, solos: list[np.ndarray], rate: int, noise_db: float | None
) -> Case:
    """Render players, some of whom may have no solo (an empty array)."""
    h_LMN = responses(scene, rate)
    images_LMN = simulate.render(scene, dry_LN, rate, h_LMN=h_LMN)
    alone = [solo if len(solo) else np.zeros(rate) for solo in solos]
    solo_LM, passages = simulate.solo_take(scene, alone, rate, h_LMN=h_LMN)
    mixture_LM, rng = images_LMN.sum(axis=2), np.random.default_rng(0)
    if noise_db is not None:
        mixture_LM, solo_LM = (simulate.add_noise(x_LM, noise_db, rng) for x_LM in (mixture_LM, solo_LM))
    spans = [(p.start, p.stop if len(solo) else p.start) for p, solo in zip(passages, solos)]
    truth_LN = images_LMN[:, scene.spots, range(len(scene.spots))]
    return Case(name, rate, mixture_LM, truth_LN, scene.spots, scene.names, {"solo": (solo_LM, spans)})


def podcast(noise_db: float | None) -> Case:
    """Two people who speak in turns and one who listens, at a table in a small room, lavaliers below their chins."""
    rng = np.random.default_rng(1)
    said_LN = turns(SECONDS, RATE, VOICES, rng)
    solos = [speech(ALONE_SECONDS, RATE, *voice, rng) for voice in VOICES]
    mouths = {"host": (2.3, 2.5, 1.2), "guest": (3.5, 3.1, 1.2), "listener": (3.5, 1.9, 1.2)}
    people = tuple(simulate.Player(name, at) for name, at in mouths.items())
    middle = np.mean(list(mouths.values()), axis=0)
    worn = []
    for name, at in mouths.items():
        x, y, _ = np.array(at) + 0.08 * (middle - at) / np.linalg.norm(middle - at)
        worn.append(simulate.Microphone(name, (float(x), float(y), at[2] - 0.2)))
    scene = simulate.Scene(simulate.Room((6.0, 5.0, 2.8), 0.4), people, tuple(worn), (0, 1, 2))
    dry_LN = np.column_stack([said_LN, np.zeros(len(said_LN))])
    return played("podcast", scene, dry_LN, [*solos, np.zeros(0)], RATE, noise_db)


def drum_kit() -> Case:
    """Four drums, each with a cardioid at 6 cm, in a dry room."""
    rng = np.random.default_rng(2)
    seats = {"kick": (3.0, 2.5, 0.4), "snare": (3.35, 2.15, 0.75), "hat": (3.7, 2.3, 0.95), "tom": (2.85, 2.2, 0.85)}
    kit = tuple(simulate.Player(name, seats[name]) for name in DRUMS)
    spots = simulate.close_spots(kit, 0.06, towards=(3.2, 2.2, 1.6))
    scene = simulate.Scene(simulate.Room((6.5, 5.0, 3.0), 0.35), kit, spots, (0, 1, 2, 3))
    solos = [drum_alone(name, ALONE_SECONDS, RATE, rng) for name in DRUMS]
    return played("drums", scene, drums(SECONDS, RATE, rng), solos, RATE, NOISE_DB)


def resting(room: str) -> Case:
    """The quartet, whose second violin rests from the middle on."""
    quartet = data.quartet()
    dry_LN = quartet.stems_LN.copy()
    middle, fade = len(dry_LN) // 2, quartet.sample_rate // 20
    dry_LN[middle : middle + fade, 1] *= np.linspace(1, 0, fade)
    dry_LN[middle + fade :, 1] = 0.0
    scene = QUARTET_SCENES[room](quartet.names)
    return played(room, scene, dry_LN, list(quartet.solos_LN.T), quartet.sample_rate, NOISE_DB)


TAKES: dict[str, Callable[[], Case]] = {
    "podcast": partial(podcast, NOISE_DB),
    "podcast, no noise": partial(podcast, None),
    "drums": drum_kit,
    "rests, chamber": partial(resting, "quartet, chamber"),
    "rests, R6/L5": partial(resting, "quartet, R6/L5"),
}


@lru_cache(1)  # the cells of a take follow one another
def case_of(take: str, folder: Path | None, quick: bool) -> Case:
    if quick:
        return duet_case()
    return (TAKES | named_cases(folder))[take]()


# --- what is measured


def powers(x_LN: np.ndarray, rate: int) -> np.ndarray:
    """Return the energy of each second in each octave band, (N, bands, seconds)."""
    stft = STFT(round(rate / 22) * 4, round(rate / 22), "hann")
    power_FTN = np.abs(stft.analyse(np.asarray(x_LN, np.float64))) ** 2
    hertz_F, second_T = stft.frequencies(rate), stft.times(rate, len(x_LN))
    seconds = max(int(len(x_LN) / rate), 1)
    found = np.zeros((x_LN.shape[1], len(BANDS), seconds))
    for b, centre in enumerate(BANDS):
        power_TN = power_FTN[(hertz_F >= centre / np.sqrt(2)) & (hertz_F < centre * np.sqrt(2))].sum(axis=0)
        for s in range(seconds):
            found[:, b, s] = power_TN[(second_T >= s) & (second_T < s + 1)].sum(axis=0)
    return found


def passages(case: Case, y_LN: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the harm of every passage in dB, which of them hold sound, and the error of the stem below the sound."""
    spots_LN = case.mixture_LM[:, list(case.spots)]
    kinds = case.truth_LN, spots_LN - case.truth_LN, y_LN - case.truth_LN
    own_NBS, raw_NBS, stem_NBS = (powers(x_LN, case.sample_rate) for x_LN in kinds)
    loudest_NB1 = own_NBS.max(axis=2, keepdims=True)
    holds_NBS = own_NBS > 10 ** (-HOLDS_DB / 10) * loudest_NB1
    holds_NBS &= loudest_NB1 > 10 ** (-BAND_DB / 10) * loudest_NB1.max(axis=1, keepdims=True)
    nothing_NBS = np.maximum(10 ** (-NOTHING_DB / 10) * own_NBS, 1e-300)
    raw_NBS, stem_NBS = np.maximum(raw_NBS, nothing_NBS), np.maximum(stem_NBS, nothing_NBS)
    return 10 * np.log10(stem_NBS / raw_NBS), holds_NBS, 10 * np.log10(stem_NBS / np.maximum(own_NBS, 1e-300))


def rests(case: Case, y_LN: np.ndarray) -> list[float]:
    """Return the level of the stems over that of the spots in dB, of all seconds in which their players rest."""
    found = []
    for n, spot in enumerate(case.spots):
        energies = []
        for x_L in (case.truth_LN[:, n], case.mixture_LM[:, spot], y_LN[:, n]):
            whole_L = x_L[: len(x_L) // case.sample_rate * case.sample_rate]
            energies.append(np.sum(whole_L.reshape(-1, case.sample_rate) ** 2, axis=1))
        own_S, raw_S, stem_S = energies
        rests_S = own_S <= 1e-6 * max(own_S.max(), 1e-300)
        if rests_S.any():
            found.append(10 * np.log10(max(stem_S[rests_S].sum(), 1e-300) / raw_S[rests_S].sum()))
    return found


def measure(cell: Cell, folder: Path | None = None, quick: bool = False) -> Result:
    """Return the harm and the gains of one take, one seed."""
    case = case_of(cell["take"], folder, quick)
    recipe = replace(hurried(METHODS["mnmf"], quick), floor=FLOORS[cell["method"]])
    y_LN = separate(case, recipe, "solo" if cell["given"] == "solos" else None, cell["seed"])
    harm_NBS, holds_NBS, error_NBS = passages(case, y_LN)
    plays_N = case.truth_LN.any(axis=0)
    truth_LN, spots_LN = case.truth_LN[:, plays_N], case.mixture_LM[:, list(case.spots)][:, plays_N]
    after, before = (metrics.bss_eval(truth_LN, x_LN).sdr for x_LN in (y_LN[:, plays_N], spots_LN))
    harm_P, error_P = harm_NBS[holds_NBS], error_NBS[holds_NBS]
    worse_P = harm_P > WORSE_DB
    return {
        "delta_sdr": np.round(after - before, 3),
        "passages": len(harm_P),
        "worse": int(worse_P.sum()),
        "worst": round(float(harm_P.max()), 2),
        "percent": round(float(np.quantile(harm_P, 0.99)), 2),
        "loudest_error": round(float(error_P[worse_P].max()), 1) if worse_P.any() else None,
        "worse_of_bands": (np.sum(holds_NBS & (harm_NBS > WORSE_DB), axis=(0, 2))).tolist(),
        "rests": np.round(rests(case, y_LN), 1),
    }


def grid(folder: Path | None, quick: bool) -> list[Cell]:
    takes = ["duet, chamber"] if quick else [*TAKES, *(name for name in named_cases(folder) if folder)]
    return [
        {"take": take, "given": given, "method": method, "seed": 0}
        for take in takes
        for given in ("solos", "nothing")
        for method in FLOORS
    ]


# --- the table of the page


def table(document: dict[str, Any]) -> str:
    """Passages worse than the raw spot, the worst and the 1 % worst of them, gains, and what remains in rests."""
    heads = "take", "given", "method", "worse", "worst", "1 % worst", "gain", "in rests"
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for (take, given, method), found in grouped(document["cells"], "take", "given", "method").items():
        each = found[0]
        gains, quiet = np.array(each["delta_sdr"]), each["rests"]
        cells = (
            take,
            given,
            method,
            f"{each['worse']} of {each['passages']}",
            f"{each['worst']:+.1f}",
            f"{each['percent']:+.1f}",
            f"{gains.mean():+.1f} ({gains.min():+.1f})",
            f"{max(quiet):.0f}" if quiet else "",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = parser(__doc__).parse_args()
    document = run(
        "floor",
        grid(options.data, options.quick),
        partial(measure, folder=options.data, quick=options.quick),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    print(table(document))


if __name__ == "__main__":
    main()
