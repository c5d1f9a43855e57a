"""Write the measured figures into README and docs, from benchmarks/results.

    python benchmarks/readme.py [--quick]

Text between ``<!-- figures: NAME -->`` and ``<!-- end -->`` is made from the results by the function NAME below, or,
for NAME = ``script.function``, by that function of that script from the script's own result.  Nothing there is typed by
hand, and a test compares the pages with the results.
"""

import argparse
import importlib
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "docs/results.md",
    "docs/experiments.md",
    "docs/neural.md",
    "docs/inspect.md",
    *(f"docs/guide/{path.name}" for path in sorted(ROOT.glob("docs/guide/*.md"))),
    *(f"docs/start/{path.name}" for path in sorted(ROOT.glob("docs/start/*.md"))),
    *(f"docs/methods/{path.name}" for path in ROOT.glob("docs/methods/*.md")),
)
BLOCK = re.compile(r"(<!-- figures: ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def results(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def mean(values: list) -> float:
    """Mean of a list of lists, one a seed, of one number a source."""
    flat = [value for row in values for value in row]
    return sum(flat) / len(flat)


def nested(script: str, *names: str) -> dict:
    """The results of a script's cells, by these entries of the cells, one within another."""
    found: dict = {}
    for each in results(script)["cells"]:
        *path, last = (each["cell"][name] for name in names)
        group = found
        for key in path:
            group = group.setdefault(key, {})
        group[last] = each["result"]
    return found


def methods() -> str:
    """Gains of every method with the most it can be given, and of the best ones with less."""
    return gains_of(lambda method, given: given == most_given(method) or method in ("mnmf", "fastmnmf2", "mnmf-is"))


def all_methods() -> str:
    """Gains of every method with everything it can be given."""
    return gains_of(lambda method, given: True)


def notes_methods() -> str:
    """Gains of the methods that take a dictionary, compared with their gains from solos."""
    takers = {method for method in methods_measured() if any("dictionary" in given for given in given_to(method))}
    return gains_of(lambda method, given: method in takers)


def ntf_methods() -> str:
    return gains_of(lambda method, given: method.startswith("ntf"))


def kamir_methods() -> str:
    return gains_of(lambda method, given: method == "kamir")


def logdet_methods() -> str:
    return gains_of(lambda method, given: method.startswith("mnmf-is"))


def timedomain_methods() -> str:
    return gains_of(lambda method, given: method == "time-domain")


def interference() -> str:
    """Gain, error of the interference matrix and seconds a take, with their margins over the seeds."""
    table = results("interference")["summary"]
    lines = [f"| | {' | '.join(table)} | s a take |", "|---" * (len(table) + 2) + "|"]
    for method in next(iter(table.values())):
        rows = [row[method] for row in table.values()]
        cells = [
            "{:+.1f} ± {:.1f} (".format(*row["delta_sdr"]) + "{:.3f} ± {:.3f})".format(*row["error"]) for row in rows
        ]
        seconds = sum(row["seconds"][0] for row in rows) / len(rows)
        lines.append(f"| {method} | {' | '.join(cells)} | {seconds:.1f} |")
    return "\n".join(lines)


def methods_cases() -> dict:
    return nested("methods", "case", "method")


def methods_measured() -> list[str]:
    return list(next(iter(methods_cases().values())))


def given_to(method: str) -> list[str]:
    """What a method was given in any case, the most first."""
    rows = [figures[method] for figures in methods_cases().values()]
    return list(dict.fromkeys(given for row in rows for given in row))


def most_given(method: str) -> str:
    return given_to(method)[0]


def gains_of(wanted: Callable[[str, str], bool]) -> str:
    """A table of gains in SDR (in SNR), a row for every method and what it was given."""
    cases = methods_cases()
    lines = [f"| method | given | {' | '.join(cases)} |", "|---" * (len(cases) + 2) + "|"]
    for method in methods_measured():
        for given in given_to(method):
            if not wanted(method, given):
                continue
            cells = []
            for figures in cases.values():
                found = figures[method].get(given)
                cells.append(f"{mean([found['delta_sdr']]):+.1f} ({mean([found['delta_snr']]):+.1f})" if found else "")
            lines.append(f"| `{method}` | {given} | {' | '.join(cells)} |")
    return "\n".join(lines)


def faders() -> str:
    """Where original and stem stand for the bleed to be lower by some decibels."""
    lines = ["| bleed lower by | original | stem |", "|---|---|---|"]
    for down in (6, 10, 15, 20):
        lines.append(f"| {down} | -{down} | {20 * math.log10(1 - 10 ** (-down / 20)):.1f} |")
    return "\n".join(lines)


def speed() -> str:
    """What the whole command costs, and the metrics compared with mir_eval."""
    measured, scores = results("speed"), results("metrics_speed")
    lines = ["| | seconds of work | first time, compiling | peak memory |", "|---|---|---|---|"]
    for method, figures in measured["methods"].items():
        lines.append(
            f"| `{method}`, {measured['take_seconds']} s of 4 mics at 44.1 kHz | {figures['work_seconds']:.1f} | "
            f"{figures['first_command_seconds']:.0f} | {figures['peak_memory_mb']:.0f} MB |"
        )
    for mics, figures in measured["minutes"].items():
        lines.append(
            f"| `{figures.get('method', 'fastmnmf2')}`, a minute of {mics} mics, the whole command | "
            f"{figures['command_seconds']:.0f} | | "
            f"{figures['peak_memory_mb']:.0f} MB |"
        )
    costs = [
        f"{row['seconds']} s {'with' if row['solos'] else 'without'} solos: {row['cpu_seconds']['mnmf']:.1f} s, "
        f"{row['ratio']:.2f} times `mnmf-is`"
        for row in measured.get("cost", ())
    ]
    if costs:
        lines += ["", f"CPU time of the default method, `mnmf`, 4 mics, the whole command: {'; '.join(costs)}."]
    without, permuted = scores["without_permutation"], scores["with_permutation"]
    lines += [
        "",
        f"BSS_eval of 4 sources × 15 s takes {without['mnmf_seconds']:.2f} s, {without['times_faster']:.0f} times less "
        f"than mir_eval ({permuted['times_faster']:.0f} times with permutations), with the same scores to "
        f"{max(without['max_difference_db'], permuted['max_difference_db']):.0e} dB. `import mnmf` takes "
        f"{1000 * measured['import_seconds']:.0f} ms.",
    ]
    return "\n".join(lines)


def updates() -> str:
    """One update of the other models compared with numpy's and ssspy's."""
    measured = results("speed")["iterations"]
    rows = [
        (
            "log-det, W, H and R",
            row,
            {"numpy": row["times_faster_than_numpy"], "ssspy": row.get("times_faster_than_ssspy")},
        )
        for row in measured["log_det"]
    ]
    names = {"ntf": "NTF, W, H and G", "nmf": "NMF, W and H"}
    rows += [(f"{names[row['update']]}, β = {row['beta']:g}", row, row["times_faster"]) for row in measured["ntf"]]
    lines = ["| update | F × T, M = N, K | precision, threads | ms | times faster than |", "|---|---|---|---|---|"]
    for name, row, rivals in rows:
        precision = "double" if row["dtype"] in ("complex128", "float64") else "single"
        others = ", ".join(f"{rival} {times:.3g}" for rival, times in rivals.items() if times)
        size = f"{row['F']} × {row['T']}, {row['M'] if row.get('update') != 'nmf' else 1}, {row['K']}"
        lines.append(f"| {name} | {size} | {precision}, {row['threads']} | {row['mnmf_ms']:.0f} | {others} |")
    return "\n".join(lines)


def family() -> str:
    """What choices in the other methods are worth."""
    cases = nested("family_ablation", "case", "heading", "idea")
    lines = [f"| idea | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|"]
    for heading, ideas in next(iter(cases.values())).items():
        lines.append(f"| **{heading}** |{' |' * len(cases)}")
        base = next(iter(ideas))
        for idea in ideas:
            cells = []
            for figures in cases.values():
                found = figures[heading]
                cells.append(gained(found[idea], None if idea == base else found[base]))
            lines.append(f"| {idea} | {' | '.join(cells)} |")
    return "\n".join(lines)


def gained(found: dict, base: dict | None) -> str:
    """Mean gain in SDR (in SNR), over that of `base` if that is given."""
    sdr, snr = (mean([found[key]]) - (mean([base[key]]) if base else 0.0) for key in ("delta_sdr", "delta_snr"))
    return f"{sdr:+.1f} ({snr:+.1f})"


def ablation() -> str:
    """What each choice in fixH is worth."""
    measured = results("fixh_ablation")["summary"]
    lines = [f"| idea | {' | '.join(measured['cases'])} |", "|---" * (len(measured["cases"]) + 1) + "|"]
    base = measured["delta_sdr"]["as it is"]
    for idea, row in measured["delta_sdr"].items():
        cells = [f"{value:.2f}" if row is base else f"{value - was:+.2f}" for value, was in zip(row, base)]
        lines.append(f"| {idea} | {' | '.join(cells)} |")
    return "\n".join(lines)


def fastmnmf2_with_solos() -> str:
    """What each choice in `fastmnmf2` is worth with solos."""
    return fastmnmf2_ablation("with solos")


def fastmnmf2_without_solos() -> str:
    """The same without."""
    return fastmnmf2_ablation("without solos")


def fastmnmf2_ablation(heading: str) -> str:
    cases = {name: given[heading] for name, given in nested("fastmnmf2_ablation", "case", "told", "idea").items()}
    lines = [f"| idea | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|"]
    ideas = list(next(iter(cases.values())))
    for idea in ideas:
        cells = []
        for figures in cases.values():
            cells.append(gained(figures[idea], None if idea == ideas[0] else figures[ideas[0]]))
        lines.append(f"| {idea} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pieces() -> str:
    """The default method compared with the others on several pieces: gains in SDR, and of its worst source."""
    takes: dict[tuple[str, str], dict] = {}  # in the order of the cells
    for each in results("pieces")["cells"]:
        cell = each["cell"]
        takes.setdefault((cell["piece"], f"{cell['room']}, {cell['players']}"), {})[cell["contender"]] = each["result"]
    columns = list(next(iter(takes.values())))
    default = columns[0]
    heads = [f"{name} (worst source)" if name == default else name for name in columns]
    lines = [f"| piece | room, players | {' | '.join(heads)} |", "|---" * (len(columns) + 2) + "|"]
    for (piece, seats), figures in takes.items():
        cells = [f"{mean([found['delta_sdr']]):+.1f}" for found in figures.values()]
        cells[0] += f" ({min(figures[default]['delta_sdr']):+.1f})"
        lines.append(f"| {piece} | {seats} | {' | '.join(cells)} |")
    means = [[mean([take[name]["delta_sdr"]]) for take in takes.values()] for name in columns]
    lines.append(f"| **mean of the takes** | | {' | '.join(f'{mean([gains]):+.1f}' for gains in means)} |")
    return "\n".join([*lines, "", pieces_in_words(list(takes.values()), columns)])


def pieces_in_words(takes: list[dict], columns: list[str]) -> str:
    """Say what gains most on how many takes, what solos add, and how many sources end below their raw spots."""
    means = [{name: mean([take[name]["delta_sdr"]]) for name in columns} for take in takes]
    most = Counter(max(gains, key=lambda name: gains[name]) for gains in means)
    default, without = columns[:2]
    helped = sum(gains[default] > gains[without] for gains in means)
    below = {name: sum(value < 0 for take in takes for value in take[name]["delta_sdr"]) for name in columns}
    sources = sum(len(take[default]["delta_sdr"]) for take in takes)
    some = ", ".join(f"{name}: {count}" for name, count in below.items() if count)
    return (
        f"The largest gain is that of {', '.join(f'`{name}` on {count}' for name, count in most.most_common())} of "
        f"{len(takes)} takes; `{default}` gains more with solos than without on {helped}. Sources that ended below "
        f"their raw spots in SDR, of {sources}: {some or 'none with any method'}"
        f"{', none with the others' if some else ''}."
    )


POLARITY = {
    "take": "the polarity of one microphone flipped since the solos",
    "both": "the polarity of one microphone flipped in take and solos",
}


def misplaced(value: object) -> str:
    """How markers are wrong: by seconds, or those of two players exchanged."""
    return f"{value:g} s early or late" if isinstance(value, (int, float)) else "two players exchanged"


def harmful(axis: str, label: str, values: list) -> str:
    """Say in words where solos do harm."""
    every = " or ".join(f"{value:g}" for value in values if isinstance(value, (int, float)))
    if axis == "markers":
        exchanged = "those of two players exchanged" if "swap" in values else ""
        return "markers " + ", or ".join(filter(None, (every and f"{every} s early or late", exchanged)))
    if axis == "gains":
        return f"gains of all microphones changed by {every} dB, up or down, since the solos"
    if axis == "polarity":
        return " or ".join(POLARITY[value] for value in values)
    if axis == "moved":
        return f"players moved by {every} cm since the solos"
    return f"{label}: {', '.join(map(str, values))}"


def in_short() -> str:
    """Sum up the results, for and against."""
    hall, rooms, peers, wrong, started = (
        script(name) for name in ("solo_priors", "rooms_and_layouts", "peers", "robustness", "initialisations")
    )
    measured = {each.__name__: results(each.__name__) for each in (hall, rooms, peers, wrong, started)}

    def of_hall(*given: str | None) -> float:
        gains = hall.by_work(measured["solo_priors"], hall.HALL, hall.N, given)
        return sum(gains.values()) / len(gains)

    plainly, solos = peers.first(measured["peers"])
    published = max(hall.THEIRS["simulated"].values())[0]
    near = [rooms.shared(measured["rooms_and_layouts"], rooms.key(*each)) for each in rooms.FAST]
    (without, network), (with_solos, _) = ((rooms.signed(gains), theirs) for gains, theirs in near)
    found = {method: peers.best(measured["peers"], method, peers.ROOMS) for method in peers.methods(measured["peers"])}
    # Some ran on few takes: the gap is that on the takes of both.
    pairs = {
        method: [(gain, found[plainly]["gains"][take]) for take, gain in figures["gains"].items()]
        for method, figures in found.items()
        if method not in peers.OURS and figures
    }
    rival = max(pairs, key=lambda method: mean([[theirs - ours for theirs, ours in pairs[method]]]))
    theirs, ours = (mean([gains]) for gains in zip(*pairs[rival]))
    plain = {method: peers.best(measured["peers"], method, peers.GAINS) for method in peers.methods(measured["peers"])}
    gains = {method: figures["delta_sdr"][0] for method, figures in plain.items() if figures}
    like = {method: solos if method.endswith(", solos") else plainly for method in gains}
    ahead = [f"{method} ({gains[method]:+.1f} dB)" for method, own in like.items() if gains[method] > gains[own]]
    libraries = sum(method not in peers.OURS and gains[method] > gains[own] for method, own in like.items())
    harm: dict[str, list] = {}
    for row in measured["robustness"]["summary"]:
        if row["axis"] in wrong.AXES and wrong.sign(row["solos_add"]) < 0:
            harm.setdefault(row["axis"], []).append(row["value"])
    harmed = "; ".join(harmful(axis, wrong.AXES[axis].label, values) for axis, values in harm.items())
    starts = measured["initialisations"]["summary"]["published"]
    guided = {start: starts[start]["delta_sdr"][-1][0] for start in (*started.GUIDED, started.OUR_SPOTS)}
    first = max(guided, key=lambda start: guided[start])
    shipped = {start: row["delta_sdr"][-1] for start, row in measured["initialisations"]["summary"]["ours"].items()}
    ahead_there = max(started.GUIDED, key=lambda start: shipped[start][0])
    with_marks = wrong.measured(measured["robustness"])[0]
    marked = wrong.of_axis(measured["robustness"], "markers")
    worst = min(marked, key=lambda row: row["delta_sdr"][with_marks][0])
    kept = next(row for row in marked if not row["value"])
    quicker = [
        f"{method} ({found[method]['seconds']:.1f} s a take)"
        for method in pairs
        if found[method]["seconds"] < found[plainly]["seconds"]
    ]
    networks = [rooms.against_theirs(measured["rooms_and_layouts"], rooms.key(*each)) for each in rooms.FAST]
    lines = [
        unseen(results("default_method")),
        f"- In the hall of Cabañas-Molero et al. 2023, given claps, `fastmnmf2` gains "
        f"{of_hall('fastmnmf2', 'clap'):+.1f} dB and `mnmf-is` {of_hall('mnmf-is', 'clap'):+.1f}; the best method of "
        f"that paper gains {published:+.1f} on its own music.",
        f"- In the sixth room and the fifth seating plan of Pandey et al. 2026, by their measure, `fastmnmf2` gains "
        f"{without} dB, and {with_solos} with solos; the best of their networks gains {network:+.1f} with the same "
        "instruments, on other music, of recorded players.",
        f"- Of the libraries we ran, {rival} comes nearest in rooms: it gains {theirs:+.1f} dB on "
        f"{len(pairs[rival])} takes, where `{plainly}` without solos gains {ours:+.1f}.",
        "- **Where it loses, or does not win clearly.** Compared with the best of the networks of Pandey et al. in "
        f"that scene, over the players that both have: {'. '.join(networks)}. Margins there are over the pieces.",
        f"- In the studio of “CLASS-net + FastMNMF2” `fastmnmf2`, as shipped, gains "
        f"{started.written(shipped[started.OUR_SPOTS])} dB from the spots; the best guided start at the same "
        f"settings, “{ahead_there}”, gains {started.written(shipped[ahead_there])} dB.",
        f"- Without a room, in plain gains, these gain more than `{plainly}` given the same "
        f"({gains[plainly]:+.1f} dB, with solos {gains[solos]:+.1f}): "
        f"{', '.join(ahead) or 'none'}. {libraries or 'None'} of them is of another library.",
        f"- Solos do harm to {wrong.plain(with_marks)}, with 95 % confidence, in these cases: "
        f"{harmed or 'none that was tried'}. With the worst of the wrong markers of solo passages "
        f"({misplaced(worst['value'])}) it gains {wrong.shown(worst['delta_sdr'][with_marks])} dB, with right ones "
        f"{wrong.shown(kept['delta_sdr'][with_marks])}.",
        f"- Faster than `{plainly}` ({found[plainly]['seconds']:.1f} s a take), each at its best window: "
        f"{', '.join(quicker) or 'none'}.",
        f"- In the studio of “CLASS-net + FastMNMF2”, at the settings of that paper, “{first}” ends highest in the "
        f"mean of the guided starts and our start from the spots ({guided[first]:+.1f} dB; ours "
        f"{guided[started.OUR_SPOTS]:+.1f}).",
    ]
    return "\n".join(lines)


def unseen(document: dict) -> str:
    """Say what the default method gains on takes on which nothing was chosen."""
    gains: dict[tuple[bool, str], list[float]] = {}
    for row in document["summary"]:
        if row["part"] == "unseen":
            gains.setdefault((row["take"].endswith("swaying"), row["method"]), []).append(row["delta_sdr"])
    found = {key: f"{mean([values]):+.1f}" for key, values in gains.items()}
    own, baseline = "mnmf", next(method for _, method in gains if method.startswith("linear"))
    told = [
        f"{found[sway, f'{own}, solos']} dB with solos and {found[sway, own]} without where players {words} (`linear`, "
        f"given the same solos, {found[sway, baseline]})"
        for sway, words in ((False, "sit still"), (True, "sway"))
    ]
    return f"- On takes on which nothing was chosen the default, `{own}`, gains {', and '.join(told)}."


def fill(page: str) -> str:
    """Return the text of a page with every block of figures made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{block(found[2])}\n{found[3]}", page)


def block(name: str) -> str:
    """Return what stands in a block of figures."""
    of, _, function = name.rpartition(".")
    return getattr(script(of), function)(results(of)) if of else globals()[function]()


def script(name: str) -> ModuleType:
    """Return a benchmark as a module."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="write nothing, only say what is stale")
    quick = parser.parse_args().quick
    stale = []
    for name in PAGES:
        page = (ROOT / name).read_text("utf-8")
        filled = fill(page)
        if filled != page:
            stale.append(name)
            if not quick:
                (ROOT / name).write_text(filled, "utf-8")
    print(f"{'stale' if quick else 'wrote'}: {', '.join(stale) or 'none'}")
    return 1 if quick and stale else 0


if __name__ == "__main__":
    sys.exit(main())
