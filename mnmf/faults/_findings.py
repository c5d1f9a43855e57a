"""What an inspection says: each finding in one line, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.align import Alignment
from mnmf.faults._alike import Hum
from mnmf.faults._clocks import Clocks
from mnmf.faults._scan import Clipped, Scan

__all__ = ["GRADES", "KINDS", "Finding", "Inspection", "decibels"]

Array = NDArray[Any]

GRADES = ("note", "handled", "warning", "ruin")
KINDS = {
    "silent": "hears nothing",
    "hum only": "hears nothing but hum",
    "noise only": "hears nothing but its own noise",
    "muted": "is silent for a while",
    "clipped": "has flat tops",
    "offset": "has a constant offset",
    "hum": "has hum beside its sound",
    "copy": "is another microphone again, at a constant gain",
    "mix": "is a sum of others",
    "polarity": "is flipped against the others",
    "late": "is late, or early, against the others",
    "drift": "runs on a clock of its own",
}
NOTHING = ("silent", "hum only", "noise only")
NO_SPOT = (*NOTHING, "copy", "mix")


def decibels(value: float) -> float:
    """Return an amplitude in dB of full scale, no less than -200."""
    return 20 * float(np.log10(max(value, 1e-10)))


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    mic : int
        The microphone, from 0 on.
    text, remedy : str
        What is wrong, and what to do; a line without a full stop each.
    grade : str
        "note": nothing is to be done; "handled": ``mnmf separate`` deals with it; "warning": it may cost quality, or
        is not sure; "ruin": it would ruin the result, so that ``mnmf separate`` refuses it.
    others : tuple of int
        Further microphones: that of which it is a copy, or those that are mixed.
    values : mapping of str to float
        Figures: dB, seconds, samples, ppm, as their names say.

    Examples
    --------
    >>> Finding("silent", 2, "mic 3 is silent", "look at its cable", "handled").grade
    'handled'
    """

    kind: str
    mic: int
    text: str
    remedy: str = ""
    grade: str = "warning"
    others: tuple[int, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


@dataclass(frozen=True, eq=False)
class Inspection:
    """What `inspect` finds in a take.

    Attributes
    ----------
    mic_names : tuple of str
    findings : tuple of Finding
    scan : Scan
        Levels, peaks, clipping and mutes of every microphone.
    hums : sequence of Hum or None
    live : tuple of int
        The microphones that hear something of their own: neither dead nor copies or mixes.
    clocks : Clocks
        Delays, drift and polarity of those.
    bleed_MM : float, shape (M, M)
        In row j and column i, how loud the player of microphone i is at microphone j, in dB of j's own player; NaN
        where that is not known.
    solos : tuple of (microphone, start, stop)
        Where the player of a microphone seems to play alone, in seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import faults
    >>> x_LM = 0.1 * np.random.default_rng(0).standard_normal((8000, 2)) * [1.0, 0.0]
    >>> inspection = faults.inspect(x_LM, 8000, mic_names=["violin", "cello"])
    >>> inspection.aside(), [found.kind for found in inspection.findings]
    ((1,), ['silent'])
    >>> inspection.as_dict()["mics"][0]["level_db"]
    -20.01
    """

    mic_names: tuple[str, ...]
    findings: tuple[Finding, ...]
    scan: Scan
    hums: Sequence[Hum | None]
    live: tuple[int, ...]
    clocks: Clocks
    bleed_MM: Array
    solos: tuple[tuple[int, float, float], ...]

    def of(self, *kinds: str) -> tuple[Finding, ...]:
        """Return the findings of some kinds."""
        return tuple(found for found in self.findings if found.kind in kinds)

    def aside(self, own: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the microphones that no source should be looked for at: dead ones, copies and mixes.

        Those in `own`, which are somebody's spot, are not among them; of two copies it is the other one then.
        """
        aside = {found.mic for found in self.of(*NO_SPOT)}
        for found in self.of("copy"):
            if found.mic in own and found.others[0] not in own:
                aside.add(found.others[0])
        aside -= set(own)
        return tuple(sorted(aside)) if len(aside) < len(self.mic_names) else ()

    def alignment(self) -> Alignment:
        """Return what brings all microphones to one clock and polarity."""
        M, L = len(self.mic_names), self.scan.n_samples
        late, drift, sign = [0] * M, [0.0] * M, [1] * M
        for found in self.of("late", "drift", "polarity"):
            if found.kind == "polarity":
                sign[found.mic] = -1
                continue
            if found.kind == "drift":
                drift[found.mic] = found.values["ppm"] * 1e-6
            late[found.mic] = round(found.values["start_s"] * self.scan.sample_rate)
        keep = [abs(each) < L for each in late]
        return Alignment(tuple(each if kept else 0 for each, kept in zip(late, keep)), tuple(drift), tuple(sign))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON; microphones are counted from 1, as on the command line."""
        scan = self.scan
        mics = []
        place = {m: k for k, m in enumerate(self.live)}
        for m, name in enumerate(self.mic_names):
            clipped, hum, k = scan.clipped[m], self.hums[m], place.get(m)
            mics.append(
                {
                    "mic": m + 1,
                    "name": name,
                    "level_db": round(decibels(scan.rms_M[m]), 2),
                    "peak_db": round(decibels(scan.peak_M[m]), 2),
                    "offset": round(float(scan.offset_M[m]), 7),
                    "clipped": None if clipped is None else _clipped(clipped, scan.sample_rate),
                    "hum": None if hum is None else {"hz": hum.mains, "level_db": round(decibels(hum.level), 2)},
                    "muted_s": [[start / scan.sample_rate, stop / scan.sample_rate] for start, stop in scan.muted[m]],
                    "late_ms": _or_none(None if k is None else 1e3 * self.clocks.late_M[k], 3),
                    "drift_ppm": _or_none(None if k is None else 1e6 * self.clocks.drift_M[k], 3),
                }
            )
        return {
            "sample_rate": scan.sample_rate,
            "seconds": scan.n_samples / scan.sample_rate,
            "mics": mics,
            "findings": [
                {
                    "kind": found.kind,
                    "mic": found.mic + 1,
                    "others": [m + 1 for m in found.others],
                    "grade": found.grade,
                    "text": found.text,
                    "remedy": found.remedy,
                    **{name: round(float(value), 9) for name, value in found.values.items()},
                }
                for found in self.findings
            ],
            "bleed_db": [[_or_none(value, 1) for value in row] for row in self.bleed_MM.tolist()],
            "solos": [{"mic": m + 1, "start": start, "stop": stop} for m, start, stop in self.solos],
        }


def _clipped(clipped: Clipped, sample_rate: int) -> dict[str, Any]:
    return {
        "level_db": round(decibels(clipped.level), 2),
        "runs": clipped.runs,
        "samples": clipped.samples,
        "first_s": clipped.first / sample_rate,
    }


def _or_none(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
