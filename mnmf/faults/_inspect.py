"""From a take to what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import MOST_RATE, ArgumentError, check_audio, check_number
from mnmf.faults._alike import Hum, Mix, copies, hums, mixes, unrelated
from mnmf.faults._clocks import SURE, Clocks, clocks_of
from mnmf.faults._excerpts import Excerpts, excerpts_of
from mnmf.faults._findings import Finding, Inspection, decibels
from mnmf.faults._players import bleed_of, solos_of
from mnmf.faults._scan import Scan, scan
from mnmf.kernels import one_blas_thread
from mnmf.rows import Rows
from mnmf.take import loudness
from mnmf.whose import describe

__all__ = ["inspect"]

Array = NDArray[Any]

SHORTEST = 3.0  # seconds, to tell who is late, and who is heard where
ALIKE = 0.5  # seconds, to tell what is alike, or hum
OFFSET = 0.01  # of full scale: less is nothing to speak of
HUM_DB = -40.0  # of the level of a microphone, likewise
LATE = 0.002  # seconds; less may be where somebody sits
FAR = 0.04  # seconds: further away no main pair stands
RUINS = 0.1  # seconds: then windows of the take no longer hold the same sound
DRIFTS = 1e-4  # seconds over the take: players sway by as much
DRIFTS_PPM = 0.3
SURELY = 5.0  # times its error
SPEED = 343.0  # m/s
STAMPED = 0.02  # seconds by which a delay may differ from what a time stamp says


def inspect(
    x_LM: Array | Rows,
    sample_rate: int,
    *,
    mic_names: Sequence[str] = (),
    starts: Sequence[int] = (),
    progress: Callable[[float], Any] | None = None,
) -> Inspection:
    """Look for what is wrong with a take, in one walk through it and some excerpts.

    Parameters
    ----------
    x_LM : float, shape (samples, mics), or `mnmf.rows.Rows`
        The recording; rows that are read when they are asked for must be finite.
    sample_rate : int
        In hertz.
    mic_names : sequence of str, optional
        '1', '2', … if not given.
    starts : sequence of int, optional
        At which sample of a common clock each microphone's file begins, by its time stamp, if they were put in their
        places by that: one that is late by as much has a wrong time stamp.
    progress : callable, optional
        Called with the part of it that is done, 0 to 1.

    Returns
    -------
    Inspection

    Raises
    ------
    ArgumentError
        Arrays and names that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import faults
    >>> x_LM = np.random.default_rng(0).standard_normal((16000, 3)) * [0.1, 0.1, 0.0]
    >>> x_LM[:, 1] = 0.25 * x_LM[:, 0]
    >>> for finding in faults.inspect(x_LM, 8000).findings:
    ...     print(finding.text)
    mic 3 is silent
    mic 2 is a copy of mic 1 at -12.0 dB
    """
    if not isinstance(x_LM, Rows):
        x_LM = check_audio(x_LM)
    check_number("sample_rate", sample_rate, 1.0, MOST_RATE, " Hz")
    M = x_LM.shape[1]
    names = tuple(map(str, mic_names)) or tuple(str(m + 1) for m in range(M))
    for what, given in (("mic_names", names), ("starts", starts or names)):
        if len(given) != M:
            raise ArgumentError(f"{what} must have one entry for each of {M} microphones, got {len(given)}")
    with one_blas_thread():
        return _inspected(x_LM, sample_rate, names, list(starts) or [0] * M, progress or _nobody)


def _nobody(part: float) -> None:
    """Tell nobody how far it is."""


def _inspected(
    x_LM: Any, rate: int, names: tuple[str, ...], starts: list[int], tell: Callable[[float], Any]
) -> Inspection:
    M = len(names)
    seen = scan(x_LM, rate, lambda part: tell(0.7 * part))
    excerpts = excerpts_of(x_LM, rate)
    tell(0.8)
    hum = hums(excerpts) if excerpts.seconds >= ALIKE else [None] * M
    nothing = _hearing_nothing(seen, excerpts, hum)
    sounding = [m for m in range(M) if m not in nothing]
    copied, mixed = _alike(seen, excerpts, sounding)
    live = [m for m in sounding if m not in copied and m not in mixed]
    clocks, heard, bleed_MM, solos = Clocks.none(len(live)), None, np.full((M, M), np.nan), []
    if live and excerpts.seconds >= SHORTEST:
        clocks, heard = clocks_of(excerpts.of(live))
    if heard is not None:
        ratio_IFJ, bleed = bleed_of(heard)
        bleed_MM[np.ix_(live, live)] = bleed
        solos = solos_of(seen, heard, ratio_IFJ, live)
    tell(1.0)
    said = _Said(names, seen, live, clocks, starts)
    findings = (
        *said.dead(nothing, hum),
        *said.each(hum, nothing),
        *said.alike(copied, mixed),
        *said.polarity(),
        *said.clocks_(),
    )
    return Inspection(names, findings, seen, hum, tuple(live), clocks, bleed_MM, tuple(solos))


def _hearing_nothing(seen: Scan, excerpts: Excerpts, hum: Sequence[Hum | None]) -> dict[int, str]:
    """Return what each microphone is that hears nothing; none of them where nothing sounds at all."""
    silent = loudness(seen.rms_M)[1]
    nothing = dict.fromkeys(silent, "silent")
    sounding = [m for m in range(len(hum)) if m not in nothing]
    noise = []
    if sounding and excerpts.seconds >= ALIKE:
        noise = [sounding[k] for k in unrelated(excerpts.of(sounding), [hum[m] for m in sounding])]
    for m in sounding:
        each = hum[m]
        if each is not None and (each.only or m in noise):
            nothing[m] = "hum only"
        elif m in noise:
            nothing[m] = "noise only"
    return nothing if any(m not in nothing for m in range(len(hum))) else dict.fromkeys(silent, "silent")


def _alike(seen: Scan, excerpts: Excerpts, sounding: list[int]) -> tuple[dict[int, tuple[int, float]], dict[int, Mix]]:
    """Return of which microphone each copy is one, at what gain, and which microphones are mixes of others.

    Of those that are alike the one counts that is clipped least, then the loudest.
    """
    if excerpts.seconds < ALIKE or not sounding:
        return {}, {}
    some = excerpts.of(sounding)
    gains = {(sounding[a], sounding[b]): gain for (a, b), gain in copies(some).items()}
    clipped = {m: 0 if (flat := seen.clipped[m]) is None else flat.samples for m in sounding}
    order = sorted(sounding, key=lambda m: (clipped[m], -seen.rms_M[m], m))
    found: dict[int, tuple[int, float]] = {}
    for k, m in enumerate(order):
        for other in order[k + 1 :] if m not in found else ():
            pair = (m, other) if m < other else (other, m)
            if pair in gains and other not in found:
                found[other] = m, gains[pair] if pair[0] == m else 1 / gains[pair]
    rest = [m for m in sounding if m not in found]
    sums = mixes(excerpts.of(rest))
    named = {rest[m]: Mix(tuple(rest[k] for k in mix.mics), mix.gains) for m, mix in sums.items()}
    return found, named


class _Said:
    """Findings in words."""

    def __init__(self, names: tuple[str, ...], seen: Scan, live: list[int], clocks: Clocks, starts: list[int]) -> None:
        self.names, self.seen, self.live, self.clocks = names, seen, live, clocks
        self.rate, self.duration = seen.sample_rate, seen.n_samples / seen.sample_rate
        usual = Counter(starts).most_common(1)[0][0]
        self.begins = [(start - usual) / self.rate for start in starts]  # seconds later than most

    def mic(self, m: int) -> str:
        return describe(m, self.names)

    def dead(self, nothing: Mapping[int, str], hum: Sequence[Hum | None]) -> Iterator[Finding]:
        """Say which microphones hear nothing."""
        remedy = "it is set aside; look at its cable, its preamplifier and its track"
        for m, kind in sorted(nothing.items()):
            level = decibels(self.seen.rms_M[m])
            values = {"level_db": level}
            each = hum[m]
            if kind == "silent":
                text = "is silent" if self.seen.rms_M[m] == 0 else f"is practically silent ({level:.0f} dB)"
            elif kind == "hum only" and each is not None:
                text = f"hears nothing but hum of {each.mains:.0f} Hz ({level:.0f} dB)"
                values["hz"] = each.mains
            else:
                text = f"hears nothing but its own noise ({level:.0f} dB)"
            yield Finding(kind, m, f"{self.mic(m)} {text}", remedy, "handled", (), values)

    def each(self, hum: Sequence[Hum | None], nothing: Mapping[int, str]) -> Iterator[Finding]:
        """Say what is wrong with a microphone by itself."""
        for m, (clipped, spans) in enumerate(zip(self.seen.clipped, self.seen.muted)):
            if spans:
                yield self._muted(m, spans)
            if m in nothing:
                continue
            if clipped is not None:
                level, first = decibels(clipped.level), clipped.first / self.rate
                yield Finding(
                    "clipped",
                    m,
                    f"{self.mic(m)} is clipped at {level:.1f} dB: {clipped.samples} samples in {clipped.runs} flat "
                    f"tops, from {first:.1f} s on",
                    "take its safety copy if there is one, or have it declipped",
                    "warning",
                    (),
                    {"level_db": level, "samples": clipped.samples, "runs": clipped.runs, "first_s": first},
                )
            offset = float(self.seen.offset_M[m])
            if abs(offset) > max(OFFSET, 0.1 * float(self.seen.rms_M[m])):
                text = f"{self.mic(m)} has an offset of {100 * offset:.1f} % of full scale"
                yield Finding("offset", m, text, "it stays with its own stem", "note", (), {"offset": offset})
            each = hum[m]
            if each is not None and decibels(each.level) > decibels(self.seen.rms_M[m]) + HUM_DB:
                level = decibels(each.level)
                text = f"{self.mic(m)} has hum of {each.mains:.0f} Hz at {level:.0f} dB"
                yield Finding("hum", m, text, "it stays in its stem", "note", (), {"hz": each.mains, "level_db": level})

    def _muted(self, m: int, spans: Sequence[tuple[int, int]]) -> Finding:
        part = sum(stop - start for start, stop in spans) / self.seen.n_samples
        if len(spans) == 1:
            start, stop = (sample / self.rate for sample in spans[0])
            text = f"{self.mic(m)} is silent from {start:.1f} to {stop:.1f} s"
        else:
            text = f"{self.mic(m)} is silent in {len(spans)} stretches, {part:.0%} of the take"
        values = {"part": part, "start_s": spans[0][0] / self.rate, "stop_s": spans[-1][1] / self.rate}
        return Finding("muted", m, text, "taken as missing there", "handled", (), values)

    def alike(self, copied: Mapping[int, tuple[int, float]], mixed: Mapping[int, Mix]) -> Iterator[Finding]:
        """Say which microphones are others again."""
        for m, (other, gain) in sorted(copied.items()):
            level = decibels(abs(gain))
            at = f" at {level:+.1f} dB" if abs(level) >= 0.05 else ""
            flipped = ", flipped" if gain < 0 else ""
            text = f"{self.mic(m)} is a copy of {self.mic(other)}{at}{flipped}"
            yield Finding("copy", m, text, "it is set aside", "handled", (other,), {"gain_db": level})
        for m, mix in sorted(mixed.items()):
            text = f"{self.mic(m)} is a mix of {', '.join(map(self.mic, mix.mics))}"
            values = {f"gain_db_{k + 1}": decibels(gain) for k, gain in zip(mix.mics, mix.gains)}
            yield Finding("mix", m, text, "it is set aside", "handled", mix.mics, values)

    def polarity(self) -> Iterator[Finding]:
        """Say which microphones are flipped."""
        for k, m in enumerate(self.live):
            if self.clocks.sign_M[k] < 0:
                against = "the others" if len(self.live) > 2 else self.mic(self.live[1 - k])
                text = f"{self.mic(m)} is flipped against {against}"
                yield Finding("polarity", m, text, "turn its polarity, or say --align", "warning")

    def clocks_(self) -> Iterator[Finding]:
        """Say which microphones are late, or drift."""
        for k, m in enumerate(self.live):
            late, drift = float(self.clocks.late_M[k]), float(self.clocks.drift_M[k])
            spread = abs(drift) * self.duration
            drifts = spread >= DRIFTS and abs(drift) >= max(
                1e-6 * DRIFTS_PPM, SURELY * float(self.clocks.drift_error_M[k])
            )
            begun = late - (drift * self.duration / 2 if drifts else 0.0)
            ended = late + (drift * self.duration / 2 if drifts else 0.0)
            if drifts:
                yield self._drift(m, begun, ended, drift)
            at_least = min(abs(begun), abs(ended)) if begun * ended > 0 else 0.0
            paired = bool(self.clocks.paired_M[k])
            if paired and at_least >= LATE and self.clocks.error_M[k] <= SURE * at_least:
                yield self._late(m, begun, ended, late)
            elif not paired and np.isfinite(self.clocks.error_M[k]) and not -LATE < late < FAR:
                yield self._far(m, begun, ended, late)
            elif rough := float(self.clocks.rough_M[k]):
                yield self._roughly(m, rough)

    def _values(self, begun: float, ended: float) -> dict[str, float]:
        return {"start_s": begun, "end_s": ended, "samples": round(begun * self.rate)}

    def _drift(self, m: int, begun: float, ended: float, drift: float) -> Finding:
        text = (
            f"{self.mic(m)} drifts by {1e6 * drift:+.1f} ppm: {_lateness(begun)} at the start, {_lateness(ended)} at "
            "the end"
        )
        values = self._values(begun, ended) | {"ppm": 1e6 * drift}
        grade = "ruin" if abs(ended - begun) >= RUINS else "warning"
        return Finding("drift", m, text, "say --align, and give the recorders one clock", grade, (), values)

    def _late(self, m: int, begun: float, ended: float, late: float) -> Finding:
        text = f"{self.mic(m)} is {_lateness(begun)}"
        if abs(ended - begun) >= DRIFTS:
            text += " at the start"
        if abs(late) < 3 * LATE:
            text += f" (or its player sits {abs(late) * SPEED:.1f} m further off)"
        if self.begins[m] and abs(self.begins[m] - late) < STAMPED:
            text += ", as if its time stamp were wrong"
        grade = "ruin" if min(abs(begun), abs(ended)) >= RUINS else "warning"
        return Finding("late", m, text, "move its file, or say --align", grade, (), self._values(begun, ended))

    def _roughly(self, m: int, late: float) -> Finding:
        text = f"{self.mic(m)} is about {abs(late):.1f} s {'late' if late > 0 else 'early'}"
        return Finding("late", m, text, "move its file, or say --align", "ruin", (), self._values(late, late))

    def _far(self, m: int, begun: float, ended: float, late: float) -> Finding:
        if late < 0:
            text = f"{self.mic(m)} hears the players {-1e3 * late:.1f} ms before their own mics do, so it is early"
        else:
            text = (
                f"{self.mic(m)} hears the players {1e3 * late:.0f} ms after their own mics: {late * SPEED:.0f} m away"
            )
            text += ", or late"
        grade = "ruin" if abs(late) >= 2 * RUINS else "warning"
        return Finding("late", m, text, "move its file, or say --align", grade, (), self._values(begun, ended))


def _lateness(seconds: float) -> str:
    return f"{abs(1e3 * seconds):.1f} ms {'late' if seconds >= 0 else 'early'}"
