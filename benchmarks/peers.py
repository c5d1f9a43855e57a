"""What other libraries make of the same takes: pyroomacoustics, ssspy and scikit-learn beside mnmf.

    python benchmarks/peers.py [--data DIR] [--external NAME=COMMAND ...] [--quick] [--jobs N]

All hear the same excerpts at 16 kHz.  Every method that has windows is run with several of `WINDOWS`, and its best one
by mean gain in SDR is what counts for it, beside its gain at `COMMON`, like with like, and at `PUBLISHED`, the window
of the paper "CLASS-net + FastMNMF2".  Ours are run from `SHORT` on.  The others, and those of ours that are blind as
they are (`BLIND`), do better at short windows than at long ones, so the quicker of them are run with shorter ones, too,
and those that take longest leave out `LONG`, at which their mean gain in rooms was below zero.

The others know nothing of whose output is whose.  So their outputs are projected onto every spot and dealt out to the
players as raises the SDR most, by the truth.  The very slow ones run with few iterations, at few windows, or on few
takes; `PEERS` says so.  Each is started once, with one seed.  The mixture of plain gains has no room, as in Rajesh R,
"Interference Reduction in Music Source Separation for Live Recordings", 2023, who compares with ICA there.

`--external` adds a program that is no library of Python, such as one for Octave: `_external.py` says what it is given
and what it must leave.  It is told the spots, and the solos if it wants them, and chooses its window itself, so its
stems count as they are.

    --external 'MIRA=/home/me/mira/run.sh {in} {out}'
    --external 'semi-automaticDemixing=octave-cli --path /home/me/demixing /home/me/demix.m {in} {solos} {out}'

DIR holds ready takes as `_cases.folder_cases` reads them; without it there is the embedded quartet only.  Libraries
and programs that are not installed are left out.  Writes benchmarks/results/peers.json and docs/images/peers.png;
seconds are of a thread each if as many cells run at a time as there are cores, and comparable only within a run.
"""

import argparse
import hashlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _cases import Case, folder_cases, simulated, successive
from _datasets import free, quartet
from _external import External, ExternalError
from _figures import COLOURS, save, subplots
from _measure import scorer, separate
from _runner import Cell, Result, grouped, mean_and_margin, parser, run
from scipy.optimize import linear_sum_assignment
from scipy.signal import resample_poly

from mnmf import METHODS, STFT, metrics, simulate
from mnmf.stft import window_samples
from mnmf.take import Levels

RATE = 16000
SECONDS, QUICK_SECONDS = 6.0, 1.5
SOLO_SECONDS = 6.0
WARM_SECONDS = 1.5
LENGTHS = *(length / 44100 for length in (256, 512, 1024, 2048)), 1024 / 16000, 8192 / 44100, 32768 / 44100
WINDOWS = {f"{1000 * seconds:.0f} ms": seconds for seconds in LENGTHS}
SHORT, PUBLISHED, COMMON, LONG = tuple(WINDOWS)[3:]
OUR_WINDOWS, BLIND_WINDOWS = (SHORT, COMMON, LONG), tuple(WINDOWS)[:6]
GAINS = "plain gains"
SCENES = {"quartet, chamber": simulate.chamber_scene, "quartet, hall": simulate.hall_scene}
BASES = 8
BLEED = 0.1  # off the diagonal of the plain gains, as in the seminar

Unmix = Callable[[np.ndarray, float, int, int], np.ndarray]


# The others.  Each takes a recording (L, M), a window in seconds, iterations and a seed, and returns the image of each
# output at each microphone, (L, N, M).


def pra_fastmnmf2(x_LM: np.ndarray, window: float, iterations: int, seed: int) -> np.ndarray:
    from pyroomacoustics.bss import fastmnmf2

    stft, X_FTM = analysed(x_LM, window)
    np.random.seed(seed)  # noqa: NPY002 (it draws from there)
    X_TFM = np.ascontiguousarray(X_FTM.swapaxes(0, 1))
    Y_MTFN = fastmnmf2(X_TFM, X_TFM.shape[2], iterations, BASES, mic_index="all")
    return synthesised(stft, np.transpose(Y_MTFN, (2, 1, 3, 0)), len(x_LM))


def pra_demixing(name: str, x_LM: np.ndarray, window: float, iterations: int, seed: int) -> np.ndarray:
    from pyroomacoustics import bss

    stft, X_FTM = analysed(x_LM, window)
    np.random.seed(seed)  # noqa: NPY002
    X_TFM = np.ascontiguousarray(X_FTM.swapaxes(0, 1))
    Y_TFN = getattr(bss, name)(X_TFM, n_iter=iterations, proj_back=False)
    return projected(stft, X_FTM, Y_TFN.swapaxes(0, 1), len(x_LM))


def ssspy_mnmf(name: str, x_LM: np.ndarray, window: float, iterations: int, seed: int) -> np.ndarray:
    from ssspy.bss import mnmf

    stft, X_FTM = analysed(x_LM, window)
    X_MFT = np.ascontiguousarray(np.moveaxis(X_FTM, 2, 0))
    rng = np.random.default_rng(seed)
    model = getattr(mnmf, name)(n_basis=BASES, n_sources=len(X_MFT), record_loss=False, rng=rng)
    model(X_MFT, n_iter=iterations)
    images = []
    for m in range(len(X_MFT)):
        model.reference_id = m
        images.append(np.moveaxis(model.separate(X_MFT), 0, 2))
    return synthesised(stft, np.stack(images, axis=3), len(x_LM))


def ssspy_ilrma(x_LM: np.ndarray, window: float, iterations: int, seed: int) -> np.ndarray:
    from ssspy.bss.ilrma import GaussILRMA

    stft, X_FTM = analysed(x_LM, window)
    model = GaussILRMA(n_basis=BASES, record_loss=False, rng=np.random.default_rng(seed))
    Y_NFT = model(np.ascontiguousarray(np.moveaxis(X_FTM, 2, 0)), n_iter=iterations)
    return projected(stft, X_FTM, np.moveaxis(Y_NFT, 0, 2), len(x_LM))


def fastica(x_LM: np.ndarray, window: float, iterations: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import FastICA

    ica = FastICA(whiten="unit-variance", max_iter=iterations, random_state=seed)
    y_LN = ica.fit_transform(x_LM)
    return y_LN[:, :, None] * ica.mixing_.T


def analysed(x_LM: np.ndarray, window: float) -> tuple[STFT, np.ndarray]:
    length = window_samples(window, RATE)
    stft = STFT(length, length // 4)
    return stft, stft.analyse(x_LM.astype(float))


def synthesised(stft: STFT, Y_FTNM: np.ndarray, samples: int) -> np.ndarray:
    F, T, *sizes = Y_FTNM.shape
    return stft.synthesise(Y_FTNM.reshape(F, T, -1), samples).reshape(samples, *sizes)


def projected(stft: STFT, X_FTM: np.ndarray, Y_FTN: np.ndarray, samples: int) -> np.ndarray:
    """Scale each output at each frequency to what of it is in each microphone."""
    power_FN = np.maximum(np.sum(np.abs(Y_FTN) ** 2, axis=1), np.finfo(float).tiny)
    gains_FNM = np.einsum("ftn,ftm->fnm", Y_FTN.conj(), X_FTM) / power_FN[..., None]
    return synthesised(stft, Y_FTN[..., None] * gains_FNM[:, None], samples)


def matched(truth_LN: np.ndarray, images_LJN: np.ndarray) -> np.ndarray:
    """Return the outputs (L, N) in the order that has the largest SDR, each at the spot of its player."""
    N = truth_LN.shape[1]
    sdr_JN = np.empty((N, N))
    for shift in range(N):
        outputs = (np.arange(N) + shift) % N
        sdr_JN[outputs, range(N)] = metrics.bss_eval(truth_LN, images_LJN[:, outputs, range(N)]).sdr
    outputs, players = linear_sum_assignment(np.nan_to_num(sdr_JN, nan=-1e3, posinf=1e3, neginf=-1e3), maximize=True)
    return images_LJN[:, outputs[np.argsort(players)], range(N)]


@dataclass(frozen=True)
class Peer:
    """Another library's method: `windows` by which it is run, none for waveforms, and `takes`, all if not given."""

    package: str
    unmix: Unmix
    iterations: int
    windows: tuple[str, ...]
    takes: tuple[str, ...] | None = None


PEERS = {
    "pyroomacoustics FastMNMF2": Peer("pyroomacoustics", pra_fastmnmf2, 50, BLIND_WINDOWS),
    "pyroomacoustics ILRMA": Peer("pyroomacoustics", partial(pra_demixing, "ilrma"), 100, BLIND_WINDOWS),
    "pyroomacoustics AuxIVA": Peer("pyroomacoustics", partial(pra_demixing, "auxiva"), 50, tuple(WINDOWS)),
    "ssspy FastMNMF": Peer("ssspy", partial(ssspy_mnmf, "FastGaussMNMF"), 30, (SHORT, PUBLISHED, COMMON)),
    "ssspy MNMF": Peer("ssspy", partial(ssspy_mnmf, "GaussMNMF"), 8, (SHORT,), (GAINS, *SCENES)),
    "ssspy ILRMA": Peer("ssspy", ssspy_ilrma, 50, BLIND_WINDOWS[1:]),
    "scikit-learn FastICA": Peer("sklearn", fastica, 200, ()),
}
LIBRARIES = tuple(dict.fromkeys(name.split()[0] for name in PEERS))
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
# Of ours the method and the kind of solos it is given.
OURS = {
    "mnmf": ("mnmf", None),
    "mnmf, solos": ("mnmf", "solo"),
    "fastmnmf2": ("fastmnmf2", None),
    "fastmnmf2, solos": ("fastmnmf2", "solo"),
    "fastmnmf2-blind": ("fastmnmf2-blind", None),
    "ilrma": ("ilrma", None),
    "mnmf-is": ("mnmf-is", None),
    "mnmf-is, solos": ("mnmf-is", "solo"),
    "ntf-panning, solos": ("ntf-panning", "solo"),
    "kamir, solos": ("kamir", "solo"),
    "linear, solos": ("linear", "solo"),
    "pairwise, solos": ("pairwise", "solo"),
    "time-domain": ("time-domain", None),
    "time-domain, solos": ("time-domain", "solo"),
}
BLIND = ("fastmnmf2-blind", "ilrma")
FIRST = tuple(OURS)[:2]
QUICK_OURS = (*FIRST, "fastmnmf2", "fastmnmf2-blind", "linear, solos", "time-domain")


def installed() -> tuple[list[str], list[str]]:
    """Return the peers that can be run, and the packages that lack."""
    there = {peer.package: importlib.util.find_spec(peer.package) is not None for peer in PEERS.values()}
    return [name for name, peer in PEERS.items() if there[peer.package]], [name for name in there if not there[name]]


def grid(quick: bool, data: Path | None = None, externals: Sequence[External] = ()) -> list[Cell]:
    cells = []
    embedded, own = [GAINS, *SCENES], list(folder_takes(data))
    for take in [*embedded[:2], *own[:1]] if quick else [*embedded, *own]:
        for method in (*(QUICK_OURS if quick else OURS), *installed()[0]):
            chosen = windows(method, quick)
            if quick and take == GAINS and None not in chosen and method not in FIRST:
                continue
            if method in OURS or PEERS[method].takes is None or take in PEERS[method].takes:
                cells += [{"take": take, "method": method, "window": window, "seed": 0} for window in chosen]
        for external in externals:
            command = hashlib.sha256(repr(external.words).encode()).hexdigest()[:8]  # another one is run anew
            cells.append({"take": take, "method": external.name, "window": None, "seed": 0, "command": command})
    return cells


def windows(method: str, quick: bool) -> tuple[str | None, ...]:
    if method in OURS:
        on_waveforms = not METHODS[OURS[method][0]].window
        chosen = () if on_waveforms else BLIND_WINDOWS if method in BLIND else OUR_WINDOWS
    else:
        chosen = PEERS[method].windows
    return (chosen[:1] if quick else chosen) or (None,)


@cache
def folder_takes(data: Path | None) -> dict[str, Case]:
    """Read the ready takes with a spot for each player and nothing else, as those that demix need."""
    if data is None:
        return {}
    cases = list(folder_cases(data))
    found = [case for case in cases if "solo" in case.solos and case.mixture_LM.shape[1] == len(case.spots)]
    if not found:
        raise SystemExit(f"{data}: none of {len(cases)} takes has solos, and no microphones but the spots")
    free(data, [case.name for case in found], [GAINS, *SCENES])
    return {case.name: case for case in found}


@lru_cache(1)  # the cells of a take follow one another
def prepared(data: Path | None, take: str, seconds: float) -> Case:
    """Return the first seconds of a take and its solos at the rate of this benchmark."""
    found = folder_takes(data).get(take)
    if found is not None:
        samples = round(seconds * found.sample_rate)
        return replace(
            found,
            sample_rate=RATE,
            mixture_LM=resampled(found.mixture_LM[:samples], found.sample_rate),
            truth_LN=resampled(found.truth_LN[:samples], found.sample_rate),
            solos={kind: (resampled(x_LM, found.sample_rate), times) for kind, (x_LM, times) in found.solos.items()},
        )
    piece = quartet()
    stems_LN = resampled(piece.stems_LN[: round(seconds * piece.sample_rate)], piece.sample_rate)
    solos_LN = resampled(piece.solos_LN[: round(SOLO_SECONDS * piece.sample_rate)], piece.sample_rate)
    if take in SCENES:
        return simulated(take, SCENES[take](piece.names), stems_LN, list(solos_LN.T), RATE, kinds=("solo",))
    players = len(piece.names)
    mixing_MN = np.where(np.eye(players, dtype=bool), 1.0, BLEED)
    solos = {"solo": successive(solos_LN[:, None] * mixing_MN, RATE)}
    return Case(take, RATE, stems_LN @ mixing_MN.T, stems_LN, tuple(range(players)), piece.names, solos)


def resampled(x_LN: np.ndarray, rate: int) -> np.ndarray:
    common = int(np.gcd(rate, RATE))
    return resample_poly(x_LN, RATE // common, rate // common, axis=0)


def measure(cell: Cell, data: Path | None = None, quick: bool = False, externals: Sequence[External] = ()) -> Result:
    """Return the gains over the raw spots, one a player, and the seconds it took."""
    case = prepared(data, cell["take"], QUICK_SECONDS if quick else SECONDS)
    method, window = cell["method"], WINDOWS.get(cell["window"], 0.0)
    about: dict[str, str] = {}
    if method in OURS:
        if not quick:
            warm(method)
        start = time.perf_counter()
        y_LN = by_ours(case, method, window, cell["seed"])
        seconds = time.perf_counter() - start
        iterations = METHODS[OURS[method][0]].iterations
    elif method not in PEERS:
        external = next(each for each in externals if each.name == method)
        iterations = None
        start = time.perf_counter()
        try:
            y_LN = external.stems(case)
        except ExternalError as error:  # it counts as if it had left the spots alone
            about["failed"] = str(error)
            y_LN = case.mixture_LM[:, list(case.spots)]
        seconds = time.perf_counter() - start
    else:
        peer = PEERS[method]
        iterations = 1 if quick and peer.windows else peer.iterations
        about = {"version": version(DISTRIBUTIONS.get(peer.package, peer.package))}
        own, take = list(case.spots), case.take()
        x_LM = Levels.of(take).centred(take.x_LM).astype(float)
        start = time.perf_counter()
        try:
            images_LJM = peer.unmix(x_LM, window, iterations, cell["seed"])
            if not np.isfinite(images_LJM).all():
                raise np.linalg.LinAlgError("Not finite")
            y_LN = matched(case.truth_LN, case.peak * images_LJM[:, :, own])
        except np.linalg.LinAlgError as error:  # it counts as if it had left the spots alone
            about["failed"] = str(error)
            y_LN = case.mixture_LM[:, own]
        seconds = time.perf_counter() - start
    gains = scorer(case)(y_LN)
    return {
        **{key: np.round(gains[key], 3) for key in ("delta_sdr", "delta_sir", "sar")},
        "iterations": iterations,
        "seconds": round(seconds, 3),
        **about,
    }


def by_ours(case: Case, method: str, window: float, seed: int) -> np.ndarray:
    name, kind = OURS[method]
    return separate(case, METHODS[name], kind, seed, window=window or None)


@cache
def warm(method: str) -> None:
    """Compile whatever one of our methods needs, for its first take is not to pay for that."""
    window = WINDOWS[SHORT] if METHODS[OURS[method][0]].window else 0.0
    by_ours(prepared.__wrapped__(None, GAINS, WARM_SECONDS), method, window, 0)


# Figures

ROOMS = "rooms"  # beside GAINS


def best(document: dict[str, Any], method: str, of: str, window: str | None = None) -> dict[str, Any] | None:
    """Return the figures of a method over the takes in rooms or the one without, at a window or its best; None: none.

    Best is the largest mean gain in SDR.
    """
    choices: dict[str | None, list[tuple[str, Result]]] = {}
    for each in document["cells"]:
        cell = each["cell"]
        if cell["method"] == method and (cell["take"] == GAINS) == (of == GAINS):
            choices.setdefault(cell["window"], []).append((cell["take"], each["result"]))
    if window is not None:
        choices = {name: found for name, found in choices.items() if name in (window, None)}
    made = []
    for name, found in choices.items():
        gains = {take: float(np.mean(result["delta_sdr"])) for take, result in found}
        figures = {
            key: mean_and_margin([float(np.mean(result[key])) for _, result in found])
            for key in ("delta_sdr", "delta_sir", "sar")
        }
        # The median: the first take of a process pays for imports.
        figures["seconds"] = float(np.median([result["seconds"] for _, result in found]))
        made.append({"window": name, "gains": gains, "iterations": found[0][1]["iterations"], **figures})
    return max(made, key=lambda row: row["delta_sdr"][0], default=None)


def methods(document: dict[str, Any]) -> list[str]:
    measured = grouped(document["cells"], "method")
    known = [method for method in (*OURS, *PEERS) if (method,) in measured]
    return known + [method for (method,) in measured if method not in known]


def first(document: dict[str, Any]) -> tuple[str, str]:
    """Return the method of ours that the others are compared with, without and with solos."""
    there = [method for method in methods(document) if method in OURS]
    return there[0], f"{there[0]}, solos"


def shown(figure: tuple[float, float], sign: str = "+") -> str:
    mean, margin = figure
    return f"{mean:{sign}.1f}" + (f" ± {margin:.1f}" if np.isfinite(margin) else "")


def table(document: dict[str, Any]) -> str:
    """Gains of every method in rooms, at the same windows and at its best, and without a room."""
    used = {each["cell"]["window"] for each in document["cells"]}
    alike = [window for window in (PUBLISHED, COMMON) if window in used]
    heads = (
        "method",
        *(f"ΔSDR in rooms, {window}" for window in alike),
        "ΔSDR in rooms, its best window",
        "ΔSIR",
        "SAR",
        "takes",
        f"ΔSDR, {GAINS}",
        "iterations",
        "s a take",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for method in methods(document):
        rooms, plain = best(document, method, ROOMS), best(document, method, GAINS)
        common = [best(document, method, ROOMS, window) for window in alike]
        cells = [method, *(shown(found["delta_sdr"]) if found else "" for found in common)]
        if rooms:
            window = f" ({rooms['window']})" if rooms["window"] else ""
            cells += [f"{shown(rooms['delta_sdr'])}{window}", shown(rooms["delta_sir"]), shown(rooms["sar"], "")]
            cells += [str(len(rooms["gains"]))]
        else:
            cells += [""] * 4
        window = f" ({plain['window']})" if plain and plain["window"] else ""
        cells += [f"{shown(plain['delta_sdr'])}{window}" if plain else ""]
        told = rooms or plain
        iterations = told["iterations"]
        cells += ["" if iterations is None else str(iterations), f"{told['seconds']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def extremes(document: dict[str, Any]) -> str:
    """Whose best window is the shortest or the longest that it was run with, so that others may be better still."""
    tried: dict[str, set[str]] = {}
    for each in document["cells"]:
        if each["cell"]["window"] is not None:
            tried.setdefault(each["cell"]["method"], set()).add(each["cell"]["window"])
    lines = []
    for of, heading in ((ROOMS, "In rooms"), (GAINS, "In plain gains")):
        where: dict[str, list[str]] = {"the shortest": [], "the longest": [], "the only one": [], "between": []}
        for method, names in tried.items():
            found = best(document, method, of)
            if found is None:
                continue
            ordered = sorted(names, key=lambda name: WINDOWS[name])
            ends = {ordered[-1]: "the longest", ordered[0]: "the shortest"} if len(ordered) > 1 else {}
            place = ends.get(found["window"], "between" if ends else "the only one")
            others = ", ".join(name.removesuffix(" ms") for name in ordered if name != found["window"])
            where[place].append(f"{method} ({found['window']}{f'; also run: {others}' if others else ''})")
        told = "; ".join(f"{place} for {', '.join(names)}" for place, names in where.items() if names)
        lines.append(f"- {heading} the best of the windows that a method was run with is {told or 'not measured'}.")
    lines.append("- Where that is the shortest or the longest, windows that were not tried may be better still.")
    return "\n".join(lines)


def conditions(document: dict[str, Any]) -> str:
    """How many cells ran at a time and on how many threads, and the seeds."""
    runs = [
        f"{each['jobs']} at a time with {each['threads']} thread{'s' if each['threads'] > 1 else ''} each"
        for each in document["runs"]
    ]
    mixed = ", so that seconds compare only roughly" if len(runs) > 1 else ""
    seeds = len(document["seeds"])
    started = "What starts at random was started once, with one seed" if seeds == 1 else f"Seeds: {seeds}"
    return f"Takes ran {', others '.join(runs)}{mixed}. {started}."


def words(document: dict[str, Any]) -> str:
    """Where others beat ours, how much longer they take, and under what conditions."""
    by_method = grouped(document["cells"], "method").items()
    there = [method for method in methods(document) if method not in OURS]
    lines = []
    default, default_solos = first(document)
    for own in (default, default_solos):
        for of in (ROOMS, GAINS):
            ours = best(document, own, of)
            if ours is None:
                continue
            figures = {method: best(document, method, of) for method in there}
            rivals = {method: figure for method, figure in figures.items() if figure}
            ahead = []
            for method, found in rivals.items():
                takes = sum(found["gains"][take] > ours["gains"][take] for take in found["gains"])
                if takes:
                    mean = np.mean([found["gains"][take] - ours["gains"][take] for take in found["gains"]])
                    ahead.append(
                        f"{method} ({mean:+.1f} dB on average, ahead on {takes} of {len(found['gains'])} takes)"
                    )
            where = "In rooms" if of == ROOMS else "Without a room, in plain gains,"
            beaten = "; ".join(ahead) if ahead else "none of the others on any take"
            lines.append(f"- {where} ahead of `{own}` by SDR: {beaten}.")
    plain = {method: best(document, method, GAINS) for method in methods(document)}
    most = max(
        (method for method in plain if plain[method]), key=lambda name: plain[name]["delta_sdr"][0], default=None
    )
    if most:
        lines.append(f"- In plain gains {most} gains most, {plain[most]['delta_sdr'][0]:+.1f} dB.")
    fast = best(document, default, ROOMS) or best(document, default, GAINS)
    slow = {method: best(document, method, ROOMS) or best(document, method, GAINS) for method in there}
    times = ", ".join(f"{method} {found['seconds'] / fast['seconds']:.2g}" for method, found in slow.items())
    lines.append(f"- Seconds a take as multiples of `{default}`'s, each at its best window: {times}.")
    lines += [extremes(document), f"- {conditions(document)}"]
    failed = [
        f"{method} ({result['failed']})" for (method,), found in by_method for result in found if "failed" in result
    ]
    if failed:
        lines.append(f"- Ended in an error, which counts as no gain: {', '.join(dict.fromkeys(failed))}.")
    packages = {name.split()[0]: result["version"] for (name,), (result, *_) in by_method if "version" in result}
    lines.append(f"- Versions: {', '.join(f'{name} {number}' for name, number in packages.items())}.")
    missing = [package for package in LIBRARIES if package not in packages]
    if missing:
        lines.append(f"- Left out, as they were not installed: {', '.join(missing)}.")
    return "\n".join(lines)


def draw(document: dict[str, Any]) -> None:
    rows = [(method, best(document, method, ROOMS), best(document, method, GAINS)) for method in methods(document)]
    figure, axes = subplots(1, 2, size=(8.6, 4.4), sharey=True)
    for axis, which, title in zip(axes, (1, 2), ("in rooms, mean over the takes", "plain gains, no room")):
        for place, row in enumerate(rows):
            found = row[which]
            if found is not None:
                mean, margin = found["delta_sdr"]
                colour = COLOURS[0] if row[0] in OURS else COLOURS[1]
                error = margin if np.isfinite(margin) else None
                axis.barh(place, mean, color=colour, xerr=error, error_kw={"linewidth": 0.8})
        axis.axvline(0, color="#888888", linewidth=0.8)
        axis.set_xlabel("gain in SDR over the raw spots, dB")
        axis.set_title(title, loc="left")
    axes[0].set_yticks(range(len(rows)), [method for method, *_ in rows])
    axes[0].invert_yaxis()
    for colour, label in zip(COLOURS, ("mnmf", "others")):
        axes[1].barh(0, 0, color=colour, label=label)
    axes[1].legend(loc="lower right")
    save(figure, "peers")


def named(text: str) -> External:
    """Read what a user gave as --external."""
    try:
        found = External.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if found.name in (*OURS, *PEERS):
        raise argparse.ArgumentTypeError(f"{found.name!r} is a name already; choose another")
    return found


def runnable(externals: Sequence[External]) -> list[External]:
    """Return the programs that can be run, and say in a line each what the others lack."""
    for each in externals:
        if each.lacks:
            print(f"left out: {each.name}, for there is no {each.lacks}")
    return [each for each in externals if not each.lacks]


def main() -> None:
    known = parser(__doc__, data="folder of takes")
    known.add_argument("--external", type=named, action="append", default=[], metavar="NAME=COMMAND")
    options = known.parse_args()
    missing = installed()[1]
    if missing:
        print(f"left out, as they are not installed: {', '.join(missing)}")
    if len({each.name for each in options.external}) < len(options.external):
        known.error("--external: two programs have the same name; choose another")
    externals = runnable(options.external)
    measured = run(
        "peers",
        grid(options.quick, options.data, externals),
        partial(measure, data=options.data, quick=options.quick, externals=externals),
        jobs=options.jobs,
        quick=options.quick,
        inputs=[options.data] if options.data else [],
    )
    print(table(measured))
    print(words(measured))
    if not options.quick:
        draw(measured)


if __name__ == "__main__":
    main()
