"""A picture of the bases of an instrument, frequency over pitch; it and `mnmf.plot` need matplotlib."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mnmf.errors import ArgumentError
from mnmf.notes._dictionary import LONG, NoteDictionary
from mnmf.notes._instruments import pitch_name

__all__ = ["SUFFIXES", "draw"]

SUFFIXES = (".png", ".pdf", ".svg")
RANGE_DB = 70.0  # below the strongest partial of each note
LOW, HIGH = 27.5, 14080.0  # Hz: A0, and nine octaves above
ROWS = 60  # of the picture for each octave
BLACK = frozenset({1, 3, 6, 8, 10})  # semitones above C that have black keys
INK, PAPER = "#e8e6e3", "#14121a"


def draw(dictionary: NoteDictionary, instrument: str, path: str | os.PathLike[str]) -> None:
    """Draw every note of an instrument as the column above its key on a keyboard.

    Parameters
    ----------
    dictionary : NoteDictionary
    instrument : str
        Any word that `NoteDictionary.find` understands.
    path : path
        The file to write; its name must end in one of `SUFFIXES`.

    Raises
    ------
    ArgumentError
        matplotlib is missing, or the instrument is unknown.
    """
    suffix = Path(path).suffix.lower()
    own = dictionary.find(instrument)
    try:
        matplotlib: Any = import_module("matplotlib")
        figures: Any = import_module("matplotlib.figure")
        patches: Any = import_module("matplotlib.patches")
    except ImportError as error:
        raise ArgumentError("drawing needs matplotlib, which is not installed; pip install 'mnmf[plot]'") from error

    pitches = dictionary.pitches(own)
    level_RC, keys = _picture(dictionary, own, pitches)
    edge_R = LOW * 2 ** (np.arange(len(level_RC) + 1) / ROWS)
    edge_C = np.append(keys, keys[-1] + 1) - 0.5
    width = float(np.clip(3.2 + 0.135 * len(keys), 7.0, 15.0))
    figure = figures.Figure(figsize=(width, 6.4), facecolor=PAPER, dpi=160)
    left, right = 0.8 / width, 1 - 1.05 / width
    axes = figure.add_axes((left, 0.165, right - left, 0.715), facecolor=PAPER)
    mesh = axes.pcolormesh(
        edge_C, edge_R, level_RC, cmap="magma", vmin=-RANGE_DB, vmax=0, shading="flat", rasterized=True
    )
    axes.set_yscale("log")
    axes.set_ylim(max(LOW, 0.5 * 440 * 2 ** ((keys[0] - 69) / 12)), HIGH)
    ticks = [30, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
    ticks = [tick for tick in ticks if tick >= axes.get_ylim()[0]]
    axes.set_yticks(ticks, [f"{tick // 1000} kHz" if tick >= 1000 else f"{tick} Hz" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(edge_C[0], edge_C[-1])
    axes.set_xticks([])
    axes.tick_params(axis="y", colors=INK, labelsize=9, length=3)
    # A dotted line where the fundamentals are in equal temperament.
    axes.plot(keys, 440 * 2 ** ((keys - 69) / 12), color="white", lw=0.7, ls=(0, (1, 3)), alpha=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)

    keyboard = figure.add_axes((left, 0.085, right - left, 0.07))
    _keyboard(keyboard, patches, keys, set(pitches))
    scale = figure.add_axes((right + 0.22 / width, 0.165, 0.13 / width, 0.715))
    bar = figure.colorbar(mesh, cax=scale)
    bar.outline.set_visible(False)
    bar.set_ticks([0, -20, -40, -60], labels=["0 dB", "−20", "−40", "−60"])
    scale.tick_params(colors=INK, labelsize=9, length=3)

    figure.text(left, 0.955, own, color=INK, size=16, weight="bold", va="center", parse_math=False)
    words = f"{len(pitches)} notes, {pitch_name(min(pitches))} to {pitch_name(max(pitches))}, {dictionary.source(own)}"
    figure.text(left, 0.913, words, color=INK, size=9.5, va="center", alpha=0.75, parse_math=False)
    # Without a date, so that the same dictionary always gives the same bytes.
    date = {".png": {"Software": "mnmf"}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}[suffix]
    with matplotlib.rc_context({"svg.hashsalt": "mnmf"}):
        figure.savefig(path, facecolor=PAPER, metadata=date)


def _picture(dictionary: NoteDictionary, own: str, pitches: tuple[int, ...]) -> tuple[Any, Any]:
    """Return levels in dB relative to each note's strongest partial, one column for each key, NaN if it has no note."""
    rate = 48000
    window = 2 * round(LONG * rate / 2)
    P_FK = dictionary.bases(own, window, rate, exponent=2.0)
    edge_R = LOW * 2 ** (np.arange(round(ROWS * np.log2(HIGH / LOW)) + 1) / ROWS)
    first_R = np.round(edge_R[:-1] * window / rate).astype(int)
    stop_R = np.maximum(np.round(edge_R[1:] * window / rate).astype(int), first_R + 1)
    keys = np.arange(min(pitches), max(pitches) + 1)
    level_RC = np.full((len(first_R), len(keys)), np.nan)
    peak_K = np.maximum(P_FK.max(axis=0), 1e-300)
    for pitch in sorted(set(pitches)):
        columns = [k for k, other in enumerate(pitches) if other == pitch]  # several for a group of instruments
        P_F = (P_FK[:, columns] / peak_K[columns]).max(axis=1)
        strongest_R = np.array([P_F[first:stop].max() for first, stop in zip(first_R, stop_R)])
        level_RC[:, pitch - keys[0]] = 10 * np.log10(np.maximum(strongest_R, 1e-30))
    return level_RC, keys


def _keyboard(axes: Any, patches: Any, keys: Any, present: set[int]) -> None:
    """Draw a key under every column, and label the Cs."""
    for key in keys.tolist():
        alpha = 1.0 if key in present else 0.25
        axes.add_patch(patches.Rectangle((key - 0.47, 0.0), 0.94, 1.0, color="#d9d5cf", lw=0, alpha=alpha))
        if key % 12 in BLACK:
            axes.add_patch(patches.Rectangle((key - 0.47, 0.36), 0.94, 0.64, color="#2b2833", lw=0))
        if key % 12 == 0 or (key == keys[0] and key % 12 not in (10, 11)):
            axes.text(key, -0.2, pitch_name(key), color=INK, size=9, ha="center", va="top")
    axes.set_xlim(keys[0] - 0.5, keys[-1] + 0.5)
    axes.set_ylim(0, 1)
    axes.axis("off")
