"""What the microphones of a scene hear: impulse responses, images of the players, takes of solos and claps, noise.

How moving players are rendered is explained in `_motion`.

Image sources come from pyroomacoustics, which is imported only when responses are computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnmf.directivity import PATTERNS
from mnmf.errors import MOST_RATE, ArgumentError, check_array, check_count, check_number, check_rng
from mnmf.markers import Passage
from mnmf.simulate._motion import Motion, check_motions, stations
from mnmf.simulate._scene import SPEED_OF_SOUND, Microphone, Player, Scene, metres

MOST_CLAPS, LONGEST_SPACING = 1000, 60.0  # seconds
REFERENCE_M = 0.25
"""Distance in metres at which the gain is 1: a stem is what an omni this far from the player hears without walls."""

LEAD = 40
"""Samples before the instant of emission in an impulse response: half a fractional-delay filter."""

MAX_ORDER = 100  # reflections; 1.4 million image sources, about 1 GB


def impulse_responses(scene: Scene, sample_rate: int) -> NDArray[np.float64]:
    """Return the impulse responses from every player to every microphone, by the image method.

    Every reflection that arrives within the room's RT60 is included; then the response is cut, with a fade of 10 ms,
    when it has fallen by 60 dB nominally (by some 45 dB in a flat hall).  Reflections off more than 100 walls are left
    out, which ends the responses of small, live rooms earlier.

    Parameters
    ----------
    scene : Scene
        Players and microphones in a room.
    sample_rate : int
        In Hz, at least 1000.

    Returns
    -------
    h_LMN : ndarray of float64, shape (taps, mics, players)
        Index `LEAD` is the instant of emission: the fractional-delay filters of the image method reach half their
        length to either side, so the samples before it are needed, though physically nothing sounds there.  The
        direct sound comes ``LEAD + sample_rate * distance / 343`` samples in, with a gain of ``REFERENCE_M / distance``
        for an omni.

    Raises
    ------
    ArgumentError
        The room is so small and reverberant that the image method cannot follow its decay for 30 dB, or `sample_rate`
        is out of range.

    Examples
    --------
    In a room without echo only the direct sound remains, 3.43 m or 10 ms away:

    >>> import numpy as np
    >>> from mnmf import simulate
    >>> player = simulate.Player("flute", (5.0, 5.0, 5.0))
    >>> microphone = simulate.Microphone("spot", (8.43, 5.0, 5.0))
    >>> scene = simulate.Scene(simulate.Room((10.0, 10.0, 10.0), 0.0), [player], [microphone], spots=[0])
    >>> h_LMN = simulate.impulse_responses(scene, 8000)
    >>> h_LMN.shape
    (160, 1, 1)
    >>> int(np.argmax(h_LMN[:, 0, 0])) - simulate.LEAD
    80
    """
    sample_rate = check_count("sample_rate", sample_rate, 1000)
    order, duration_s = _extent(scene)
    n_taps = LEAD + math.ceil(duration_s * sample_rate) + LEAD
    h_LMN = np.zeros((n_taps, len(scene.microphones), len(scene.players)))
    with _pinned_pyroomacoustics() as pra:
        shoebox = pra.ShoeBox(
            scene.room.size_m, fs=sample_rate, materials=pra.Material(scene.room.absorption), max_order=order
        )
        for player in scene.players:
            shoebox.add_source(player.position_m)
        shoebox.add_microphone_array(
            np.array([microphone.position_m for microphone in scene.microphones]).T,
            directivity=[_directivity(pra, microphone) for microphone in scene.microphones],
        )
        shoebox.compute_rir()
    for m in range(len(scene.microphones)):
        for n in range(len(scene.players)):
            response = shoebox.rir[m][n][:n_taps]
            h_LMN[: len(response), m, n] = response
    h_LMN *= REFERENCE_M
    if order > 0:
        fade = round(0.01 * sample_rate)
        h_LMN[-fade:] *= (0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / (fade + 1)))[:, None, None]
    return h_LMN


def render(
    scene: Scene,
    stems_LN: ArrayLike,
    sample_rate: int,
    *,
    h_LMN: ArrayLike | None = None,
    motions: Sequence[Motion | None] | None = None,
) -> NDArray[np.float64]:
    """Return the image of every player at every microphone; ``images_LMN.sum(axis=-1)`` is the mixture.

    Sound takes its time to the microphones, the reverberation after the last sample is cut off, and levels are
    relative to a microphone at `REFERENCE_M`: no channel is normalised.

    Parameters
    ----------
    scene : Scene
        Players and microphones in a room.
    stems_LN : array_like of real numbers, shape (samples, players)
        Dry stems in the order of ``scene.players``.
    sample_rate : int
        In Hz.
    h_LMN : array_like, shape (taps, mics, players), optional
        What `impulse_responses` returns for this scene and rate.  Simulating them takes most of the time, so compute
        them once to render several takes in one scene.
    motions : sequence of Motion or None, optional
        How each player moves, in the order of ``scene.players``; None sits still, and by default all do.  A moving
        player takes responses at places at most 1 cm apart along the way, so a sway of 3 cm the time of seven players.
        `h_LMN` serves only those who sit still.  Between the places responses are interpolated; the error is largest
        where a player moves straight towards a microphone, and there, for the direct sound, 0.4 % at 4 kHz, 2 % at
        6 kHz, 7 % at 8 kHz and 16 % at 10 kHz.

    Returns
    -------
    images_LMN : ndarray of float64, shape (samples, mics, players)
        ``images_LMN[:, scene.spots[n], n]`` is player n at its own spot.

    Raises
    ------
    ArgumentError
        The stems or motions do not match the players, stems are not finite, or a player would leave the room or run
        into a microphone; or see `impulse_responses`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import simulate
    >>> players = simulate.Player("flute", (2.0, 1.5, 1.2)), simulate.Player("harp", (4.0, 1.5, 1.2))
    >>> room = simulate.Room((6.0, 5.0, 3.0), 0.2)
    >>> scene = simulate.Scene(room, players, simulate.close_spots(players), spots=(0, 1))
    >>> stems_LN = np.random.default_rng(0).standard_normal((4000, 2))
    >>> images_LMN = simulate.render(scene, stems_LN, 8000)
    >>> images_LMN.shape
    (4000, 2, 2)
    >>> x_LM = images_LMN.sum(axis=-1)  # what the microphones hear
    >>> truth_LN = images_LMN[:, scene.spots, [0, 1]]  # what a separation should find

    The same with players who sway, and with noise in the microphones:

    >>> swaying_LMN = simulate.render(scene, stems_LN, 8000, motions=simulate.sway(scene, 0.5, rng=1))
    >>> y_LM = simulate.add_noise(swaying_LMN.sum(axis=-1), level_db=-60.0)
    """
    n_players = len(scene.players)
    stems = check_array("stems_LN", stems_LN, (None, n_players), "(samples, players)").astype(np.float64)
    if len(stems) == 0:
        raise ArgumentError("stems_LN has no samples")
    moves = check_motions(scene, motions)
    h_LMN = _responses(scene, sample_rate, h_LMN)
    images_LMN = np.empty((len(stems), len(scene.microphones), n_players))
    for n, motion in enumerate(moves):
        if motion is None:
            images_LMN[:, :, n] = convolve(stems[:, n], h_LMN[:, :, n])[: len(stems)]
        else:
            images_LMN[:, :, n] = _moving_image(scene, n, motion, stems[:, n], sample_rate, len(stems))
    return images_LMN


def solo_take(
    scene: Scene,
    solos: Sequence[ArrayLike],
    sample_rate: int,
    gap_s: float | None = None,
    *,
    h_LMN: ArrayLike | None = None,
    motions: Sequence[Motion | None] | None = None,
) -> tuple[NDArray[np.float64], tuple[Passage, ...]]:
    """Return a recording in which the players play alone, one after another, each at or about its seat.

    Parameters
    ----------
    scene : Scene
        Players and microphones in a room.
    solos : sequence of array_like of real numbers, each of shape (samples,)
        One dry solo for each player, in the order of ``scene.players``; the lengths may differ.
    sample_rate : int
        In Hz.
    gap_s : float, optional
        Seconds between the end of one solo and the beginning of the next.  The gap belongs to the passage before it,
        which lasts into its reverberation.  By default it is as long as the responses, so that nothing rings into the
        next passage; with a shorter gap something does.
    h_LMN : array_like, shape (taps, mics, players), optional
        What `impulse_responses` returns for this scene and rate, if you have it already.
    motions : sequence of Motion or None, optional
        How each player moves, in seconds from the beginning of this recording; see `render`.

    Returns
    -------
    x_LM : ndarray of float64, shape (samples, mics)
        The recording.
    passages : tuple of Passage
        When each player is alone, in seconds.

    Raises
    ------
    ArgumentError
        The solos or motions do not match the players, or a value cannot be used; or see `render`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import simulate
    >>> players = simulate.Player("flute", (2.0, 1.5, 1.2)), simulate.Player("harp", (4.0, 1.5, 1.2))
    >>> room = simulate.Room((6.0, 5.0, 3.0), 0.2)
    >>> scene = simulate.Scene(room, players, simulate.close_spots(players), spots=(0, 1))
    >>> solos = np.random.default_rng(0).standard_normal((2, 4000))
    >>> x_LM, passages = simulate.solo_take(scene, solos, 8000, gap_s=0.25)
    >>> x_LM.shape
    (12000, 2)
    >>> passages
    (Passage(source='flute', start=0.0, stop=0.75), Passage(source='harp', start=0.75, stop=1.5))
    """
    if len(solos) != len(scene.players):
        raise ArgumentError(f"solos must be one a player: {len(scene.players)} players, got {len(solos)} solos")
    dry = [check_array(f"solos[{n}]", solo, (None,), "(samples,)").astype(np.float64) for n, solo in enumerate(solos)]
    for n, solo in enumerate(dry):
        if len(solo) == 0:
            raise ArgumentError(f"solos[{n}] has no samples; {scene.names[n]!r} needs a few seconds alone")
    if gap_s is not None and not 0 <= gap_s < math.inf:
        raise ArgumentError(f"gap_s must be 0 or more seconds, got {gap_s!r}")
    moves = check_motions(scene, motions)
    h_LMN = _responses(scene, sample_rate, h_LMN)
    gap = len(h_LMN) if gap_s is None else round(gap_s * sample_rate)
    stops = np.cumsum([len(solo) + gap for solo in dry])
    x_LM = np.zeros((int(stops[-1]), len(scene.microphones)))
    passages = []
    for n, solo in enumerate(dry):
        start, stop = int(stops[n]) - len(solo) - gap, int(stops[n])
        motion, length = moves[n], len(x_LM) - start
        if motion is None:
            image = convolve(solo, h_LMN[:, :, n])[:length]
        else:
            image = _moving_image(scene, n, motion, solo, sample_rate, length, start / sample_rate)
        x_LM[start : start + len(image)] += image
        passages.append(Passage(scene.names[n], start / sample_rate, stop / sample_rate))
    return x_LM, tuple(passages)


def claps(
    n: int = 3, sample_rate: int = 44100, rng: int | np.random.Generator = 0, spacing_s: float = 0.5
) -> NDArray[np.float64]:
    """Return dry synthetic hand claps: bursts of noise, band-passed around 1.5 kHz, that die away within some 30 ms.

    Parameters
    ----------
    n : int
        How many.
    sample_rate : int
        In Hz.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.
    spacing_s : float
        Seconds from one clap to the next, and from the last one to the end.

    Returns
    -------
    ndarray of float64, shape (samples,)
        Each clap peaks at 0.5.

    Raises
    ------
    ArgumentError
        A number is out of range.

    Examples
    --------
    >>> from mnmf import simulate
    >>> simulate.claps(2, 8000, spacing_s=0.25).shape
    (4000,)
    """
    from scipy.signal import butter, sosfilt

    n = check_count("n", n, 1, MOST_CLAPS)
    sample_rate = check_count("sample_rate", sample_rate, 1000, MOST_RATE)
    spacing_s = check_number("spacing_s", spacing_s, 0.05, LONGEST_SPACING, " s")
    generator = check_rng(rng)
    spacing = round(spacing_s * sample_rate)
    length = round(0.05 * sample_rate)
    # First order: the skirts reach down to the lowest notes, where a spatial filter needs energy too.
    band = butter(1, [400.0, min(6000.0, 0.4 * sample_rate)], "bandpass", fs=sample_rate, output="sos")
    decay = np.exp(-np.arange(length) / (0.004 * sample_rate))
    y = np.zeros(n * spacing)
    for i in range(n):
        burst = sosfilt(band, generator.standard_normal(length)) * decay
        y[i * spacing : i * spacing + length] = 0.5 * burst / np.max(np.abs(burst))
    return y


def clap_take(
    scene: Scene,
    sample_rate: int,
    rng: int | np.random.Generator = 0,
    n: int = 3,
    gap_s: float | None = None,
    *,
    h_LMN: ArrayLike | None = None,
    motions: Sequence[Motion | None] | None = None,
) -> tuple[NDArray[np.float64], tuple[Passage, ...]]:
    """Return a `solo_take` with `n` hand claps at each player's seat, no two alike.

    These are the solo passages of Cabañas-Molero et al. 2023, section 4.1 (three claps each).

    Parameters
    ----------
    scene : Scene
        Players and microphones in a room.
    sample_rate : int
        In Hz.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.
    n : int
        Claps by each player.
    gap_s, h_LMN, motions
        As in `solo_take`.

    Returns
    -------
    x_LM : ndarray of float64, shape (samples, mics)
        The recording.
    passages : tuple of Passage
        When each player is alone, in seconds.

    Raises
    ------
    ArgumentError
        A value cannot be used; or see `impulse_responses`.

    Examples
    --------
    >>> from mnmf import simulate
    >>> players = simulate.Player("flute", (2.0, 1.5, 1.2)), simulate.Player("harp", (4.0, 1.5, 1.2))
    >>> room = simulate.Room((6.0, 5.0, 3.0), 0.2)
    >>> scene = simulate.Scene(room, players, simulate.close_spots(players), spots=(0, 1))
    >>> x_LM, passages = simulate.clap_take(scene, 8000, n=1, gap_s=0.25)
    >>> [passage.source for passage in passages]
    ['flute', 'harp']
    """
    generator = check_rng(rng)
    solos = [claps(n, sample_rate, generator) for _ in scene.players]
    return solo_take(scene, solos, sample_rate, gap_s, h_LMN=h_LMN, motions=motions)


def add_noise(x_LM: ArrayLike, level_db: float, rng: int | np.random.Generator = 0) -> NDArray[np.float64]:
    """Return a copy of a recording with white Gaussian noise in every channel, independent and equally loud.

    Parameters
    ----------
    x_LM : array_like of real numbers, shape (samples, mics)
        The recording; left as it is.
    level_db : float
        RMS level of the noise in dB relative to 1.0 (full scale), however loud the recording is.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.

    Returns
    -------
    ndarray of float64, shape (samples, mics)
        The noisy recording.

    Raises
    ------
    ArgumentError
        `x_LM` is not an array of finite numbers of two dimensions, or `level_db` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from mnmf import simulate
    >>> noise_LM = simulate.add_noise(np.zeros((8000, 2)), level_db=-60.0)
    >>> print((20 * np.log10(noise_LM.std(axis=0))).round())
    [-60. -60.]
    """
    x = check_array("x_LM", x_LM, (None, None), "(samples, mics)").astype(np.float64)
    if np.iscomplexobj(x_LM):
        raise ArgumentError("x_LM must be real sound, got complex numbers")
    level_db = check_number("level_db", level_db, -1000.0, 1000.0, " dB")
    return x + 10 ** (level_db / 20) * check_rng(rng).standard_normal(x.shape)


def _responses(scene: Scene, sample_rate: int, h_LMN: ArrayLike | None) -> NDArray[np.float64]:
    """Return the responses that were given, checked, or else simulate them."""
    if h_LMN is None:
        return impulse_responses(scene, sample_rate)
    check_count("sample_rate", sample_rate, 1000)
    shape = (None, len(scene.microphones), len(scene.players))
    responses = check_array("h_LMN", h_LMN, shape, "(taps, mics, players)")
    if len(responses) <= LEAD:
        raise ArgumentError(f"h_LMN must be what impulse_responses returns, got only {len(responses)} taps")
    return responses


def _moving_image(
    scene: Scene,
    n: int,
    motion: Motion,
    dry_L: NDArray[np.float64],
    sample_rate: int,
    length: int,
    start_s: float = 0.0,
) -> NDArray[np.float64]:
    """Return `length` samples of the image of a player who moves, one station at a time to save memory."""
    player = scene.players[n]
    image_LM = np.zeros((length, len(scene.microphones)))
    for offset_m, first, weight_L in stations(motion, start_s, len(dry_L), sample_rate):
        heard_L = weight_L * dry_L[first : first + len(weight_L)]
        if not heard_L.any():
            continue
        x, y, z = np.add(player.position_m, offset_m)
        alone = Scene(scene.room, (Player(player.name, (x, y, z)),), scene.microphones, scene.spots[n : n + 1])
        part_LM = convolve(heard_L, impulse_responses(alone, sample_rate)[:, :, 0])[: length - first]
        image_LM[first : first + len(part_LM)] += part_LM
    return image_LM


def _extent(scene: Scene) -> tuple[int, float]:
    """Return how many reflections to follow, and the seconds up to which none is then missing."""
    far = max(math.dist(p.position_m, m.position_m) for p in scene.players for m in scene.microphones)
    direct_s = far / SPEED_OF_SOUND
    if scene.room.rt60_s == 0:
        return 0, direct_s
    # An image (i, j, k) rooms away is at least |i|-1, |j|-1, |k|-1 rooms from any point of this room, so by
    # Cauchy-Schwarz order |i|+|j|+|k| is needed only for paths longer than (order - 3) / |(1/x, 1/y, 1/z)|.
    density = SPEED_OF_SOUND * math.hypot(*(1 / size for size in scene.room.size_m))
    wanted_s = max(scene.room.rt60_s, direct_s)
    order = min(math.ceil(density * wanted_s) + 3, MAX_ORDER)
    complete_s = min(wanted_s, (order - 3) / density)
    if complete_s < 0.5 * scene.room.rt60_s:
        raise ArgumentError(
            f"rt60_s={scene.room.rt60_s:g} in a room of {metres(scene.room.size_m)} has more echoes than the image "
            f"method can follow; take a larger room, or at most {math.floor(20 * complete_s) / 10:g} s"
        )
    return order, complete_s


@contextmanager
def _pinned_pyroomacoustics() -> Iterator[Any]:
    """Give pyroomacoustics with its global settings pinned, and restore them afterwards."""
    import pyroomacoustics as pra

    # One thread: responses are sums in single precision, and their last bits depend on how they are split.
    # No high-pass: it rings before the direct sound, and older versions have none.
    pinned = {"c": SPEED_OF_SOUND, "frac_delay_length": 2 * LEAD + 1, "num_threads": 1, "rir_hpf_enable": False}
    before = {}
    for key in pinned:
        with suppress(NameError):  # a setting that this version does not have
            before[key] = pra.constants.get(key)
    try:
        for key, value in pinned.items():
            pra.constants.set(key, value)
        yield pra
    finally:
        for key, value in before.items():
            pra.constants.set(key, value)


def _directivity(pra: Any, microphone: Microphone) -> Any:
    if microphone.aim_m is None or microphone.pattern == "omni":
        return None
    aim = np.subtract(microphone.aim_m, microphone.position_m)
    return pra.directivities.CardioidFamily(aim, p=PATTERNS[microphone.pattern])


def convolve(dry_L: NDArray[np.float64], h_LM: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one dry signal at every microphone, from the instant of its emission to the end of its reverberation."""
    from scipy.signal import oaconvolve

    wet_LM: NDArray[np.float64] = oaconvolve(dry_L[:, None], h_LM, axes=0)[LEAD:]
    return wet_LM
