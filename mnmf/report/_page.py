"""The page: what was measured, in words that an engineer understands, and the template that it goes into."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf import manifest
from mnmf._version import __version__
from mnmf.errors import ArgumentError, OutputError
from mnmf.files import check_path, whole
from mnmf.output import same_file
from mnmf.report import _pictures
from mnmf.report._bleed import Bleed, bleed_of, pieces_of
from mnmf.report._clips import MOST, Clip, clip, plan_clips
from mnmf.report._measures import Levels, measure
from mnmf.report._places import Place, buried, excerpts, muted
from mnmf.report._sounds import REPORT, Sounds, Voice

__all__ = ["write_report"]

Array = NDArray[Any]

LARGEST = 15_000_000  # bytes of the page
TRIES = 4  # to keep to that
LONGEST_TEXT, LONGEST_COMMAND = 300, 10_000  # letters of what a manifest says
MOST_WARNINGS, MOST_BANDS, MOST_MICS = 50, 32, 8  # that are shown; a run has fewer bands
CURVES, POINTS = 60, 300  # of the cost
PICTURES = 2_400_000  # bytes of all spectrograms, before they are packed
ROWS, COLUMNS = (96, 160), (120, 480)  # of a spectrogram: fewest and most
MOST_PLAYERS = 64  # of a page
SOME = 8  # files of a take that are named
MORE = 6  # cards of places that no excerpt has
AROUND, LONGEST_CHECK = 1.0, 8.0  # seconds
OPEN = 8  # players that are not folded, if there are no more
LOST = -15.0  # dB: more of a player in what was taken out is worth a remark
NOTHING = -30.0  # dB of what was taken out below the stem: less is next to nothing
REMOVED = "removed"


def write_report(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    reference: Sequence[str | os.PathLike[str]] = (),
    only: Sequence[str] = (),
) -> Path:
    """Write a page that shows and plays what a separation did: one HTML file that needs nothing else.

    Parameters
    ----------
    folder : path
        With stems and their manifest, as ``mnmf separate`` writes it.
    target : path, optional
        The page; ``report.html`` in that folder if not given.  An older one is replaced.
    reference : sequence of paths, optional
        The true images, as of `mnmf.score.score_stems`: then the page has a table of scores.
    only : sequence of str
        The sources that it is about; all if it is empty.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    MnmfError
        The folder has no manifest, a file is missing or is another one, or the page cannot be written, or would be
        larger than 15 MB however short its excerpts are.

    Examples
    --------
    >>> import json, tempfile
    >>> from mnmf import audio
    >>> from mnmf.report import write_report
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name, level in (("take", 0.5), ("violin", 0.4)):
    ...         _ = audio.write(Path(place, f"{name}.wav"), level * rng.uniform(-1, 1, 8000), 8000)
    ...     sources = [{"name": "violin", "file": "violin.wav", "mics": [1]}]
    ...     facts = {"sources": sources, "take": ["take.wav"], "sample_rate": 8000, "samples": 8000}
    ...     _ = Path(place, "manifest.json").write_text(json.dumps(facts))
    ...     write_report(place).name
    'report.html'
    """
    folder = check_path(folder, "folder")
    page = folder / REPORT if target is None else check_path(target, "target")
    sounds = Sounds.open(folder)
    read = [path for voice in sounds.voices for path in voice.file.paths]
    read += [] if sounds.take is None else sounds.take.paths
    if clash := same_file(page, [*read, *map(Path, reference)]):
        raise OutputError(f"{page} is the input {clash}; choose another place")
    chosen = _chosen(sounds, only)
    scores = _scores(sounds, reference)
    text = _Facts(sounds.only(chosen[:MOST_PLAYERS]), len(chosen), scores).page()
    with whole(page) as place:
        place.write_text(text, encoding="utf-8")
    return page


def _chosen(sounds: Sounds, only: Sequence[str]) -> list[int]:
    names = [voice.name for voice in sounds.voices]
    for name in only:
        if name not in names:
            raise ArgumentError(f"there is no stem of {name!r}, only {', '.join(names)}")
    return [n for n, name in enumerate(names) if not only or name in only]


def _scores(sounds: Sounds, reference: Sequence[Any]) -> dict[str, Any] | None:
    if not reference:
        return None
    from mnmf.score import score_stems

    whole_take = sounds.take is not None and sounds.first == 0 and not any(voice.lead for voice in sounds.voices)
    take = sounds.take.paths if sounds.take is not None and whole_take else ()
    return score_stems(sounds.folder, list(reference), list(take))


class _Facts:
    """Everything that the template asks for."""

    def __init__(self, sounds: Sounds, wanted: int, scores: dict[str, Any] | None) -> None:
        self.sounds, self.wanted, self.scores = sounds, wanted, scores
        self.count = len(sounds.voices)
        self.rate, self.n_samples = sounds.sample_rate, sounds.n_samples
        self.duration = self.n_samples / self.rate
        self.levels: Levels = measure(sounds.read, self.n_samples, self.count, self.rate)
        pieces = (sounds.read(*piece) for piece in pieces_of(self.n_samples, self.rate))
        self.bleed: Bleed = bleed_of(pieces, self.count, self.rate)

    def page(self) -> str:
        """Return the page, its clips so short that it is small enough."""
        shorter = 1.0
        for _ in range(TRIES):
            text, heard = self._page(shorter)
            size = len(text.encode())
            if size <= LARGEST:
                break
            shorter *= max(0.95 * (LARGEST - size + heard) / max(heard, 1), 0.02)
        if size > LARGEST:
            raise OutputError(
                f"a page of these {self.count} players takes {size / 1e6:.1f} MB, and {LARGEST / 1e6:g} MB at most are "
                "wanted; name fewer of them by --only"
            )
        return text

    def _page(self, shorter: float) -> tuple[str, int]:
        """Return the page, and how much of it is sound."""
        seconds, by = plan_clips(self.count, self.rate)
        seconds *= shorter
        spans = excerpts(self.levels, seconds, self.duration)
        players = [self._card(n, n, spans[n], by, heard=n < MOST) for n in range(self.count)]
        checks = list(self._checks(spans))
        cards = [*players, *self._more(checks, by, shorter)]
        heard = [card for card in cards if card["clip"] is not None]
        text = _render(
            **self._words(checks, spans),
            players=players,
            checks=checks,
            matrices=self._matrices(),
            trust=self._trust(),
            fit=self._fit(),
            scores=None if self.scores is None else _score_table(self.scores, self.sounds),
            rows=self._session(),
            clips=[(card["number"], card["clip"].data) for card in heard],
            facts={
                "base": _command(self.sounds.diagnostics.command),
                "players": [self._for_script(card) for card in heard],
            },
        )
        return text, sum(len(card["clip"].data) for card in heard)

    def _more(self, checks: list[dict[str, Any]], by: int, shorter: float) -> list[dict[str, Any]]:
        """Give the checks of places that no player has in its excerpt a player of their own, and return those."""
        more: list[dict[str, Any]] = []
        for check in checks:
            n, place = check.get("unheard") or (MOST, None)
            if place is None or n >= MOST or len(more) == MORE:
                continue
            start = max(place.start - AROUND, 0.0)
            stop = min(place.stop + AROUND, start + max(LONGEST_CHECK * shorter, 1.0), self.duration)
            more.append(self._card(self.count + len(more), n, (start, stop), by, heard=True))
            check["card"] = more[-1]
        return more

    def _samples(self, n: int, span: tuple[float, float]) -> tuple[Array, Array]:
        start = min(round(span[0] * self.rate), self.n_samples - 1)
        stop = max(min(round(span[1] * self.rate), self.n_samples), start + 1)
        spot_LN, stem_LN = self.sounds.read(start, stop, n)
        return spot_LN[:, 0], stem_LN[:, 0]

    def _words(self, checks: list[dict[str, Any]], spans: list[tuple[float, float]]) -> dict[str, Any]:
        """Return the first sentences and the plain facts."""
        count, names = self.wanted, [voice.name for voice in self.sounds.voices]
        some = names if count <= 6 else [*names[:5], f"{count - 5} more"]
        before, after = (level[np.isfinite(level)] for level in (self.bleed.before_N, self._after_N))
        common = len(set(spans)) == 1
        return {
            "title": self._title(),
            "count": count,
            "names": some,
            "lasting": _lasting(self.duration),
            "before": _below(float(np.median(before))) if len(before) else None,
            "after": _below(float(np.median(after))) if len(after) else None,
            "to_check": len(checks),
            "unheard": max(min(count, MOST_PLAYERS) - MOST, 0),
            "left_out": max(count - MOST_PLAYERS, 0),
            "common": common,
            "whole": common and spans[0] == (0.0, self.duration),
            "version": __version__,
            "range": round(_pictures.RANGE),
            "colours": _pictures.scale_of_colours(),
        }

    @property
    def _after_N(self) -> Array:
        """The level of all others in each stem, or what it is at most where it cannot be told."""
        return np.fmax(self.bleed.after_N, self.bleed.least_after_N)

    def _title(self) -> str:
        take = [self.sounds.folder.absolute() / name for name in self.sounds.record["take"]]
        if len(take) == 1:
            return _brief(take[0].stem)
        return _brief(os.path.basename(os.path.dirname(os.path.normpath(take[0]))) or "a take")

    def _card(self, number: int, n: int, span: tuple[float, float], by: int, heard: bool) -> dict[str, Any]:
        """Return all that stands on the card of a player, for one stretch of the take."""
        spot_L, stem_L = self._samples(n, span)
        voice, before, after = self.sounds.voices[n], self.bleed.before_N[n], self._after_N[n]
        edges = self.levels.spot_edges_NC[n], self.levels.stem_edges_NC[n]
        peak = max(float(np.abs(each).max()) for each in edges)
        C = len(edges[0])
        return {
            "number": number,
            "source": n,
            "extra": number >= self.count,
            "clip": clip(spot_L, stem_L, self.rate, by) if heard else None,
            "name": voice.name,
            "mic": _mic(voice),
            "file": voice.stem.file,
            "before": _below(before),
            "after": _below(after),
            "silent": not np.any(self.levels.stems_TN[:, n] > 0),
            "several": len(voice.stem.mics),
            "open": number < self.count and (self.count <= OPEN or number == 0),
            "start": span[0],
            "stop": span[1],
            "from": self._at(span[0]),
            "to": self._at(span[1]),
            "seconds": span[1] - span[0],
            "pictures": self._pictures(spot_L, stem_L),
            "ticks": _pictures.ticks(self.rate),
            "outlines": [_pictures.outline(each, peak) for each in edges],
            "columns": C,
            "partial": span[1] - span[0] < 0.99 * self.duration,
            "mark": (span[0] / self.duration * C, max(span[1] - span[0], 0.0) / self.duration * C),
            "dial": self._dial(voice),
            "left": voice.left,
            "parted": voice.parted,
        }

    def _pictures(self, spot_L: Array, stem_L: Array) -> list[tuple[str, str]]:
        each = PICTURES / (2 * self.count)
        rows = int(np.clip(math.sqrt(each / 3), *ROWS))
        columns = int(np.clip(each / rows, *COLUMNS))
        before_RC, loudest = _pictures.spectrogram(spot_L, self.rate, None, rows, columns)
        after_RC, _ = _pictures.spectrogram(stem_L, self.rate, loudest, rows, columns)
        return [("before", _pictures.png(before_RC)), ("after", _pictures.png(after_RC))]

    def _dial(self, voice: Voice) -> float | None:
        """Return by how many dB bleed is turned down in the file; None where it is removed."""
        reduction = voice.stem.reduction
        return float(reduction) if isinstance(reduction, int | float) else None

    def _for_script(self, card: dict[str, Any]) -> dict[str, Any]:
        made: Clip = card["clip"]
        return {
            "number": card["number"],
            "extra": card["extra"],
            "name": _shown(card["name"]),
            "start": self._second(card["start"]),
            "seconds": made.seconds,
            "powers": [made.microphone, made.stem, made.both],
            "peak": made.peak,
            "dial": card["dial"],
            "option": card["name"],
            "parted": card["parted"],
        }

    def _second(self, second: float) -> float:
        """Return a second of the stretch that was separated as one of the take."""
        return round(second + self.sounds.first / self.rate, 3)

    def _at(self, second: float) -> str:
        return _clock(self._second(second))

    def _checks(self, spans: list[tuple[float, float]]) -> Iterator[dict[str, Any]]:
        """Yield what an engineer should listen to, and where."""
        warnings = self.sounds.diagnostics.warnings
        for text in warnings[:MOST_WARNINGS]:
            yield {"text": text, "places": []}
        if (more := len(warnings) - MOST_WARNINGS) > 0:
            yield {"text": f"there are {more} more warnings in {manifest.MANIFEST}.", "places": []}
        for n, voice in enumerate(self.sounds.voices):
            name = voice.name
            if not np.any(self.levels.stems_TN[:, n] > 0):
                yield {"name": name, "text": "its stem is silent.", "places": []}
                continue
            if places := buried(self.levels, n):
                most = max(place.value for place in places)
                text = (
                    f"here the others are up to {most:.0f} dB louder at its microphone than the player, so the model "
                    "has to guess most of the stem. Listen whether it still sounds like the instrument; if not, turn "
                    "the dial towards the take."
                )
                yield {"name": name, "text": text, **self._places(n, places, spans[n])}
            if places := muted(self.levels, n):
                text = "its microphone is silent here; what the stem has comes from the other microphones, if anything."
                yield {"name": name, "text": text, **self._places(n, places, spans[n])}
            if self.bleed.lost_N[n] > LOST:
                text = (
                    f"part of its own sound seems to be in what was taken out, {_below(self.bleed.lost_N[n])} below "
                    "the stem. Press 3 and listen for it there."
                )
                yield {"name": name, "text": text, **self._places(n, [Place(*spans[n], 0.0)], spans[n])}
            power = self.levels.rests_TN[:, n].mean(), self.levels.stems_TN[:, n].mean()
            if voice.parted and power[0] < 10 ** (NOTHING / 10) * power[1]:
                yield {"name": name, "text": "next to nothing was taken out of its microphone.", "places": []}

    def _places(self, n: int, places: list[Place], span: tuple[float, float]) -> dict[str, Any]:
        """Return places, with where the player has to go for those that it can play; if it can none, the worst."""
        inside = [n < MOST and span[0] <= place.start < span[1] for place in places]
        shown = [
            {
                "from": self._at(place.start),
                "to": self._at(place.stop),
                "player": n if known else None,
                "at": round(place.start - span[0], 3),
                "until": round(min(place.stop, span[1]) - span[0], 3),
            }
            for place, known in sorted(zip(places, inside), key=lambda each: each[0].start)
        ]
        return {"places": shown, "unheard": None if any(inside) else (n, places[0])}

    def _matrices(self) -> list[dict[str, Any]]:
        """Return the heat maps before and after."""
        names = [voice.name for voice in self.sounds.voices]
        pairs = (
            ("Before: in the microphones", "microphone", self.bleed.before_NN, self.bleed.least_before_NN),
            ("After: in the stems", "stem", self.bleed.after_NN, self.bleed.least_after_NN),
        )
        found = []
        for title, what, level_NN, least_NN in pairs:
            rows = []
            for i, name in enumerate(names):
                cells = [None if i == j else _cell(level_NN[i, j], least_NN[i, j]) for j in range(len(names))]
                rows.append((name, cells))
            found.append({"title": title, "what": what, "names": names, "rows": rows})
        return found if len(names) > 1 else []

    def _trust(self) -> dict[str, Any] | None:
        """Return how far solos were trusted, as a table."""
        known = self.sounds.diagnostics
        if not known.solo_seconds or not 1 <= len(known.bands_hz) <= MOST_BANDS:
            return None
        bands = []
        for low, high in zip(known.bands_hz, [*known.bands_hz[1:], math.inf]):
            below, above = (f"{hz:g} Hz" if hz < 1000 else f"{hz / 1000:.3g} kHz" for hz in (low, high))
            bands.append(
                f"below {above}" if low <= 0 else f"above {below}" if math.isinf(high) else f"{below} to {above}"
            )
        rows = []
        for voice in self.sounds.voices:
            seconds = known.solo_seconds.get(voice.name)
            given = bool(voice.facts.get("solos"))
            if seconds is None:
                rows.append((voice.name, [("does not play", "none")] * len(bands)))
            elif not given:
                rows.append((voice.name, [("no solo", "none")] * len(bands)))
            else:
                rows.append((voice.name, [_trusted(each) for each in seconds]))
        kinds = {kind for _, cells in rows for _, kind in cells}
        return {"bands": bands, "rows": rows, "kinds": kinds}

    def _fit(self) -> dict[str, Any] | None:
        """Return the curves of the cost: how much of all that was gained was still to come."""
        curves, late = [], []
        for _, _, costs in self.sounds.diagnostics.costs:
            gained = costs[0] - costs[-1] if len(costs) > 2 else 0.0
            if not (math.isfinite(gained) and gained > 0):
                continue
            left = [float(np.clip((cost - costs[-1]) / gained, 0, 1.2)) for cost in costs]
            late.append(left[-1 - max(len(costs) // 5, 1)])
            curves.append(_pictures.line(_thinned(left), 300, 100))
        if not curves:
            return None
        iterations = max(len(costs) for _, _, costs in self.sounds.diagnostics.costs)
        still = f"{max(late):.1%}"
        return {"curves": curves[:CURVES], "segments": len(curves), "iterations": iterations, "late": still}

    def _session(self) -> dict[str, Any]:
        record, rate = self.sounds.record, self.rate
        seconds = record.get("seconds")
        worked = sum(value for value in seconds.values() if _is_number(value)) if isinstance(seconds, dict) else None
        first, more = self.sounds.first / rate, " …" if len(record["take"]) > SOME else ""
        plain = [
            ("Take", ", ".join(_brief(Path(name).name) for name in record["take"][:SOME]) + more),
            ("Length", _lasting(self.duration) + (f", from {_clock(first)} of the take" if first else "")),
            ("Sample rate", f"{rate / 1000:g} kHz"),
            ("Method", f"{_brief(record.get('method'))}: {_brief(record.get('citation'))}"),
        ]
        if worked is not None:
            plain.append(("Time it took", f"{worked:.0f} seconds of computing"))
        players = []
        for voice in self.sounds.voices:
            solos, margin, clipped = (voice.facts.get(key) for key in ("solos", "margin_db", "clipped_samples"))
            spans = [each for each in solos if _is_span(each)] if isinstance(solos, list) else []
            players.append(
                {
                    "name": voice.name,
                    "file": voice.stem.file,
                    "mic": _mic(voice),
                    "solos": f"{sum(stop - start for start, stop in spans):.1f} s" if spans else "none",
                    "margin": f"{margin:.1f} dB" if _is_number(margin) else "–",
                    "reduction": _reduction(voice),
                    "clipped": f"{clipped:.0f}" if _is_number(clipped) else 0,
                }
            )
        return {"plain": plain, "players": players}


def _render(facts: Mapping[str, Any], **words: Any) -> str:
    """Return the page."""
    from markupsafe import Markup

    template, style, script = _parts()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    shown = json.dumps(facts, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    page: str = template.render(
        **words, style=Markup(style), script=Markup(script), script_sha256=digest, facts=Markup(shown)
    )
    return page


@cache
def _parts() -> tuple[Any, str, str]:
    """Return the template of the page, its style and its script."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    page, style, script = (
        (files("mnmf.report") / "page" / f"report.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    )
    return environment.from_string(page), style, script


def _brief(text: Any) -> str:
    """Return what a manifest says as text for a page that keeps to its size, whatever stands there."""
    text = str(text)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _command(words: Sequence[str]) -> list[str]:
    """Return the words of a command, or none, as if it were unknown, if it is too long for a page."""
    return list(words) if sum(map(len, words)) + len(words) <= LONGEST_COMMAND else []


def _thinned(values: list[float]) -> list[float]:
    """Return a curve with no more points than can be seen, its first and its last among them."""
    kept = np.linspace(0, len(values) - 1, min(len(values), POINTS)).round().astype(int)
    return [values[i] for i in kept]


def _shown(text: str) -> str:
    """Return text in which nothing is invisible: control and bidirectional characters are spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds, or hours."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def _lasting(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds" if seconds >= 10 else f"{seconds:.1f} seconds"
    return f"{seconds / 60:.0f} minutes"


def _below(level: float) -> str | None:
    """Return how far something is below something else."""
    if not math.isfinite(level):
        return None
    return f"{abs(level):.0f} dB {'below' if level <= 0 else 'above'}"


def _cell(level: float, least: float) -> tuple[str, str | None, str | None] | None:
    """Return the text and the colours of a cell of a heat map; no colours where nothing can be told."""
    if math.isnan(level) or math.isnan(least):
        return None
    text = f"{max(level, least):.0f}".replace("-", "−")
    return (text, *_pictures.heat(level)) if level > least else (f"≤ {text}", None, None)


def _trusted(seconds: float) -> tuple[str, str]:
    if math.isinf(seconds):
        return "held", "held"
    return ("ignored", "ignored") if seconds <= 0 else (f"{seconds:.1f} s", "some")


def _mic(voice: Voice) -> str:
    names = voice.facts.get("mic_names")
    known = isinstance(names, list) and len(names) == len(voice.stem.mics)
    found = []
    for m, name in zip(voice.stem.mics[:MOST_MICS], names if known and isinstance(names, list) else voice.stem.mics):
        found.append(f"{m}" if str(name) == str(m) else f"{m} ({_brief(name)})")
    more = len(voice.stem.mics) - MOST_MICS
    return " and ".join([*found, f"{more} more"] if more > 0 else found)


def _reduction(voice: Voice) -> str:
    reduction = voice.stem.reduction
    if isinstance(reduction, Mapping):
        return _brief(", ".join(f"{name} by {value:g} dB" for name, value in reduction.items() if value is not None))
    return REMOVED if reduction is None else f"turned down by {reduction:g} dB"


def _score_table(scores: Mapping[str, Any], sounds: Sounds) -> dict[str, Any]:
    """Return the scores as cells of text."""
    with_input = "input" in scores["mean"]
    shown = {voice.name for voice in sounds.voices}
    rows = [*(row for row in scores["sources"] if row["name"] in shown), {"name": "mean", **scores["mean"]}]
    made = []
    for row in rows:
        cells = []
        for name in ("sdr", "sir", "sar", "snr"):
            before = _decibels(row["input"][name]) if with_input else None
            gain = _decibels(row["delta"][name], "+") if with_input and name != "sar" else None
            cells.append((before, _decibels(row["output"][name]), gain))
        made.append((row["name"], cells))
    mean = scores["mean"]["delta"]["sdr"] if with_input else math.nan
    return {"rows": made, "gain": _decibels(mean) if math.isfinite(mean) else None, "above": f"{scores['above_hz']:g}"}


def _decibels(value: float, sign: str = "-") -> str:
    text = f"{value:{sign}.1f}" if math.isfinite(value) else "–" if math.isnan(value) else "∞"
    return text.replace("-", "−")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
