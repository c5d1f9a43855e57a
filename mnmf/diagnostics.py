"""What a run found out about itself, beside its stems: costs, trust in solos, warnings; writer and reader of that.

It is a part of ``manifest.json``, with a version of its own.  Manifests without it, or with a later version, are read
as if nothing had been found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnmf.errors import ArgumentError
from mnmf.separation import Stems
from mnmf.survey import BANDS

__all__ = ["KEY", "Diagnostics", "record_of"]

KEY, VERSION = "diagnostics", 1  # in a manifest
MOST = 100_000  # entries of a list
DIGITS = 6  # of a cost


@dataclass(frozen=True)
class Diagnostics:
    """What a manifest says of how a separation went.

    Attributes
    ----------
    costs : tuple of (start, stop, costs)
        Of each segment its first and last second, and the cost after each iteration.  Segments that an earlier run had
        finished, which was then resumed, are not there.
    bands_hz : tuple of float
        Where the bands begin in which solos were compared with the take, the last of which has no end.
    solo_seconds : dict of source to tuple of float
        How many seconds of the take the solo of a source counted for in each band: infinity where it was held, 0 where
        there is none or it was ignored.  Empty where solos were not compared with the take.
    warnings : tuple of str
        What the user was warned of.
    command : tuple of str
        The command without what says how bleed is turned down; empty if unknown.

    Examples
    --------
    >>> from mnmf.diagnostics import Diagnostics
    >>> known = {"version": 1, "costs": [[0.0, 9.0, [3.5, 2.5]]], "warnings": ["mic 3 is practically silent"]}
    >>> Diagnostics.of({"diagnostics": known}).costs
    ((0.0, 9.0, (3.5, 2.5)),)
    >>> Diagnostics.of({}).warnings
    ()
    """

    costs: tuple[tuple[float, float, tuple[float, ...]], ...] = ()
    bands_hz: tuple[float, ...] = ()
    solo_seconds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Diagnostics:
        """Return what a manifest says.

        Raises
        ------
        ArgumentError
            A value is not as `record_of` writes it.
        """
        record = manifest.get(KEY, {})
        if not isinstance(record, dict):
            raise ArgumentError(f"{KEY} is no table")
        if record.get("version") != VERSION:
            return cls()
        bands = _numbers("bands_hz", record.get("bands_hz", []))
        solos = record.get("solo_seconds", {})
        if not isinstance(solos, dict) or len(solos) > MOST:
            raise ArgumentError("solo_seconds is no table")
        worth = {name: _numbers("solo_seconds", each, math.inf) for name, each in solos.items()}
        if any(len(each) != len(bands) for each in worth.values()):
            raise ArgumentError("solo_seconds has not one number for each band")
        return cls(
            tuple(map(_segment, _listed("costs", record.get("costs", [])))),
            bands,
            worth,
            _texts("warnings", record.get("warnings", [])),
            _texts("command", record.get("command", [])),
        )


def record_of(stems: Stems, warnings: Sequence[str] = (), command: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a manifest keeps, under `KEY`, of how a separation went; JSON has no infinity, which is null.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import separate
    >>> from mnmf.diagnostics import record_of
    >>> x_LM = np.random.default_rng(0).standard_normal((4000, 2))
    >>> record = record_of(separate(x_LM, 8000, method="kamir", iterations=2))
    >>> [(start, stop, len(costs)) for start, stop, costs in record["costs"]]
    [(0.0, 0.5, 2)]
    """
    rate = stems.take.sample_rate
    return {
        "version": VERSION,
        "costs": [
            [start / rate, stop / rate, [float(f"{cost:.{DIGITS}g}") for cost in costs if math.isfinite(cost)]]
            for start, stop, costs in stems.costs
        ],
        "bands_hz": list(BANDS[:-1]),
        "solo_seconds": {
            name: [round(each, 3) if math.isfinite(each) else None for each in seconds]
            for name, seconds in stems.solo_seconds.items()
        },
        "warnings": list(warnings),
        "command": list(command),
    }


def _segment(value: Any) -> tuple[float, float, tuple[float, ...]]:
    """Return first and last second of a segment, and its costs."""
    if not isinstance(value, list) or len(value) != 3:
        raise ArgumentError("costs has not two times and a list for each segment")
    start, stop = _numbers("costs", value[:2])
    return start, stop, _numbers("costs", value[2])


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST:
        raise ArgumentError(f"{name} is no list, or a very long one")
    return value


def _numbers(name: str, values: Any, null: float | None = None) -> tuple[float, ...]:
    """Return a list of finite numbers, in which null may stand for another one."""
    found: list[Any] = [null if each is None else each for each in _listed(name, values)]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in found):
        raise ArgumentError(f"{name} holds something else than numbers")
    return tuple(float(each) for each in found)


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in _listed(name, values)):
        raise ArgumentError(f"{name} holds something else than text")
    return tuple(values)
