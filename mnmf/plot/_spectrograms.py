"""Spectrograms: a spot before and after, with one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from mnmf.errors import MOST_RATE, ArgumentError, check_number, check_numeric
from mnmf.plot._axes import SPECTRA, hertz, label, new_axes, scale, title
from mnmf.rows import Rows, column
from mnmf.separation import Stems

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["spectrogram_pair"]

Array = NDArray[Any]

WINDOW = 0.09  # seconds, in which notes a semitone apart are two from about C5 on, and attacks still are sharp
COLUMNS = 800  # of a picture, at most
PER_OCTAVE = 24  # rows
LOWEST, HIGHEST = 40.0, 16000.0  # Hz
QUIETEST = 1e-12  # of full scale, in power


def spectrogram_pair(
    before: Stems | Array | Rows,
    after: Array | Rows | None = None,
    sample_rate: float | None = None,
    *,
    source: int | str = 0,
    range_db: float = 70.0,
    titles: tuple[str, str] | None = None,
    ax: Sequence[Axes] | None = None,
) -> tuple[Axes, Axes]:
    """Draw two spectrograms side by side with one scale: what a microphone heard, and what is left of it.

    Frequencies are in logarithmic steps.  However long the sound is, the picture has at most 800 columns, each the mean
    power of the frames it covers.

    Parameters
    ----------
    before : Separation, Stems, or float of shape (samples,)
        A separation, whose `source` is drawn at its spot before and after; or the sound before.
    after : float, shape (samples,)
        The sound after, as long as `before`; not given with a separation.
    sample_rate : float
        In hertz; not given with a separation.
    source : int or str
        Of a separation, by number from 0 or by name.
    range_db : float
        What is quieter than the loudest point of both by more than this has the darkest colour.
    titles : (str, str), optional
    ax : sequence of two Axes, optional

    Returns
    -------
    tuple of two Axes

    Raises
    ------
    ArgumentError
        matplotlib is missing, or the sounds do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import plot
    >>> rng = np.random.default_rng(0)
    >>> left, right = plot.spectrogram_pair(rng.standard_normal(8000), rng.standard_normal(8000), 8000)
    >>> left.get_xlabel(), left.get_ylabel(), left.collections[0].get_clim() == right.collections[0].get_clim()
    ('time in s', 'frequency in Hz', True)
    """
    if isinstance(before, Stems):
        if after is not None or sample_rate is not None:
            raise ArgumentError("after and sample_rate belong to a separation; leave them out")
        take, n = before.take, before.take.source(source)
        sounds = column(take.x_LM, take.spots.references[n]), column(before.stems_LN, n)
        rate = float(take.sample_rate)
        name = label(take.sources[n])
        words = f"{name}'s microphone hears everybody", f"{name}'s stem: what has gone is bleed"
    else:
        if after is None or sample_rate is None:
            raise ArgumentError("spectrogram_pair needs before, after and sample_rate, or a separation")
        sounds = _sound("before", before), _sound("after", after)
        if len(sounds[0]) != len(sounds[1]):
            raise ArgumentError(
                f"before and after must be equally long, got {len(sounds[0])} and {len(sounds[1])} samples"
            )
        rate = check_number("sample_rate", sample_rate, 1000.0, MOST_RATE, " Hz")
        words = "before", "after: what is darker has gone"
    check_number("range_db", range_db, 1.0, 200.0, " dB")
    pair = new_axes(ax, (10.5, 4.0), 2)
    pictures = [_levels(x_L, rate) for x_L in sounds]
    loudest = max(float(level_RC.max()) for level_RC, _, _ in pictures)
    for axes, (level_RC, edge_R, edge_C), text in zip(pair, pictures, titles or words):
        drawn = axes.pcolormesh(
            edge_C, edge_R, level_RC - loudest, cmap=SPECTRA, vmin=-range_db, vmax=0, rasterized=True
        )
        hertz(axes, float(edge_R[0]), float(edge_R[-1]))
        axes.set_xlabel("time in s")
        title(axes, text)
    pair[1].set_ylabel("")
    scale(pair, drawn, "dB below the loudest point of both")
    return pair[0], pair[1]


def _sound(name: str, x_L: Any) -> Any:
    if not isinstance(x_L, Rows):
        x_L = check_numeric(name, x_L)
    if x_L.ndim != 1 or not len(x_L):
        raise ArgumentError(f"{name} must be the sound of one microphone, of shape (samples,), got shape {x_L.shape}")
    return x_L


def _levels(x_L: Any, rate: float) -> tuple[Array, Array, Array]:
    """Return levels in dB by frequency and time, and the edges of rows in Hz and of columns in seconds."""
    window = max(2 * round(WINDOW * rate / 2), 2)
    hop = window // 4
    n_frames = max(1, -(-len(x_L) // hop))
    per_column = -(-n_frames // COLUMNS)
    highest = min(HIGHEST, rate / 2)
    edge_R = LOWEST * 2 ** (np.arange(max(1, int(PER_OCTAVE * np.log2(highest / LOWEST))) + 1) / PER_OCTAVE)
    first_R = np.round(edge_R[:-1] * window / rate).astype(int)
    stop_R = np.maximum(np.round(edge_R[1:] * window / rate).astype(int), first_R + 1)
    shape_L = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2
    shape_L /= shape_L.sum() / 2  # a sine at full scale has a level of 0 dB
    n_columns = -(-n_frames // per_column)
    level_RC = np.empty((len(first_R), n_columns))
    for c in range(n_columns):
        first = c * per_column
        count = min(per_column, n_frames - first)
        start = first * hop - window // 2  # the first frame has its middle at the first sample
        span_L = np.zeros((count - 1) * hop + window)
        begin, end = max(start, 0), min(start + len(span_L), len(x_L))
        span_L[begin - start : end - start] = x_L[begin:end]
        frames_CL = np.lib.stride_tricks.sliding_window_view(span_L, window)[::hop] * shape_L
        power_F = np.square(np.abs(scipy.fft.rfft(frames_CL, axis=1))).mean(axis=0)
        level_RC[:, c] = [power_F[a:b].max() for a, b in zip(first_R, stop_R)]
    edge_C = np.minimum((np.arange(n_columns + 1) * per_column - 0.5) * hop / rate, len(x_L) / rate + hop / rate)
    return 10 * np.log10(np.maximum(level_RC, QUIETEST)), edge_R, np.maximum(edge_C, 0.0)
