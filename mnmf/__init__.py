"""mnmf: separate musicians who played together in one room, from their close microphones, with spatial NMF.

The public names are imported when first used, so that ``import mnmf`` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnmf._version import __version__

if TYPE_CHECKING:
    from mnmf import (
        audio,
        data,
        datasets,
        directivity,
        estimators,
        listening,
        loudness,
        markers,
        metrics,
        models,
        notes,
        plot,
        priors,
        session,
        simulate,
        stft,
        wiener,
    )
    from mnmf.errors import MnmfError
    from mnmf.methods import METHODS, Method
    from mnmf.models import KAMIR, FastMNMF2, FullRankMNMF, Linear, NTFPanning, Pairwise, TimeDomain
    from mnmf.notes import NoteDictionary
    from mnmf.priors import Prior
    from mnmf.room import Room
    from mnmf.separation import Separation, learn, separate
    from mnmf.session import Session
    from mnmf.stft import STFT
    from mnmf.take import Levels, Take

__all__ = [
    "KAMIR",
    "METHODS",
    "STFT",
    "FastMNMF2",
    "FullRankMNMF",
    "Levels",
    "Linear",
    "Method",
    "MnmfError",
    "NTFPanning",
    "NoteDictionary",
    "Pairwise",
    "Prior",
    "Room",
    "Separation",
    "Session",
    "Take",
    "TimeDomain",
    "__version__",
    "audio",
    "data",
    "datasets",
    "directivity",
    "estimators",
    "learn",
    "listening",
    "loudness",
    "markers",
    "metrics",
    "models",
    "notes",
    "plot",
    "priors",
    "separate",
    "session",
    "simulate",
    "stft",
    "wiener",
]

_HOME = {
    "FastMNMF2": "mnmf.models",
    "FullRankMNMF": "mnmf.models",
    "KAMIR": "mnmf.models",
    "METHODS": "mnmf.methods",
    "Levels": "mnmf.take",
    "Linear": "mnmf.models",
    "Method": "mnmf.methods",
    "MnmfError": "mnmf.errors",
    "NTFPanning": "mnmf.models",
    "NoteDictionary": "mnmf.notes",
    "Pairwise": "mnmf.models",
    "Prior": "mnmf.priors",
    "Room": "mnmf.room",
    "STFT": "mnmf.stft",
    "Separation": "mnmf.separation",
    "Session": "mnmf.session",
    "Take": "mnmf.take",
    "TimeDomain": "mnmf.models",
    "learn": "mnmf.separation",
    "separate": "mnmf.separation",
}


if not TYPE_CHECKING:  # else mypy would find any name here

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(import_module(_HOME[name]), name)
        if name in __all__:
            return import_module(f"mnmf.{name}")
        raise AttributeError(f"module 'mnmf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
