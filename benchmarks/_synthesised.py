"""Sounds that are neither recorded nor sampled: people who speak in turns, and a drum kit.  The same at every call."""

from collections.abc import Sequence

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

# First three formants of vowels in hertz, for a voice of medium height.
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (300, 870, 2240), (570, 840, 2410))
WIDTHS = (80, 110, 170)  # of the formants, hertz
HISSES = ((2500, 5500), (4500, 9000), (1500, 4000))  # bands of unvoiced sounds, hertz


def speech(seconds: float, sample_rate: int, pitch_hz: float, height: float, rng: np.random.Generator) -> np.ndarray:
    """Return words of one to four syllables, voiced and unvoiced, and short pauses between them; RMS about 0.05.

    `height` multiplies all formants: less than 1 is a long throat.
    """
    x_L = np.zeros(round(seconds * sample_rate))
    at = 0.0
    while at < seconds - 0.3:
        pitch = pitch_hz * rng.uniform(0.9, 1.25)
        for _ in range(rng.integers(1, 5)):
            for sound_L in _syllable(sample_rate, pitch, height, rng):
                first = round(at * sample_rate)
                part_L = sound_L[: max(len(x_L) - first, 0)]
                x_L[first : first + len(part_L)] += part_L
                at += 0.9 * len(sound_L) / sample_rate
            pitch *= rng.uniform(0.9, 1.05)
        at += rng.uniform(0.05, 0.35)
    return 0.05 * x_L / max(float(np.sqrt(np.mean(x_L**2))), 1e-9)


def _syllable(rate: int, pitch_hz: float, height: float, rng: np.random.Generator) -> list[np.ndarray]:
    sounds = []
    if rng.random() < 0.6:
        low, high = HISSES[rng.integers(len(HISSES))]
        noise_L = rng.standard_normal(round(rng.uniform(0.04, 0.12) * rate))
        band = butter(2, [low * height, min(high * height, 0.45 * rate)], "bandpass", fs=rate, output="sos")
        sounds.append(0.15 * sosfilt(band, noise_L) * _swell(len(noise_L)))
    length = round(rng.uniform(0.1, 0.25) * rate)
    glide = np.linspace(1.0, rng.uniform(0.85, 1.1), length) * (1 + 0.01 * np.cumsum(rng.standard_normal(length)) / 300)
    phase_L = np.cumsum(pitch_hz * glide / rate)
    pulses_L = np.diff(np.floor(phase_L), prepend=0.0) + 0.002 * rng.standard_normal(length)
    voice_L = lfilter([1.0], [1.0, -0.97], pulses_L)  # the slope of a throat
    for centre, width in zip(VOWELS[rng.integers(len(VOWELS))], WIDTHS):
        radius = np.exp(-np.pi * width / rate)
        turn = 2 * np.cos(2 * np.pi * centre * height / rate) * radius
        voice_L = lfilter([1 - turn + radius**2], [1.0, -turn, radius**2], voice_L)
    voice_L = np.diff(voice_L, prepend=0.0)  # radiation
    sounds.append(voice_L / max(np.abs(voice_L).max(), 1e-9) * _swell(length) * rng.uniform(0.6, 1.0))
    return sounds


def _swell(length: int) -> np.ndarray:
    return np.minimum(1.0, 4 * np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2)


def turns(
    seconds: float, sample_rate: int, voices: Sequence[tuple[float, float]], rng: np.random.Generator
) -> np.ndarray:
    """Return people of this pitch in hertz and height who speak one after another, 2 to 4 s each, (L, N).

    Every now and then the next one begins half a second too early.
    """
    x_LN = np.zeros((round(seconds * sample_rate), len(voices)))
    at, n = 0.3, 0
    while at < seconds - 1:
        length = min(rng.uniform(2.0, 4.0), seconds - at)
        first = round(at * sample_rate)
        said_L = speech(length, sample_rate, *voices[n], rng)[: len(x_LN) - first]
        x_LN[first : first + len(said_L), n] += said_L
        at += length + (-0.5 if rng.random() < 0.3 else rng.uniform(0.1, 0.4))
        n = (n + 1) % len(voices)
    return x_LN


DRUMS = ("kick", "snare", "hat", "tom")
STEP_S = 0.15  # a sixteenth at 100 beats a minute
BAR = {"kick": (0, 6, 8), "snare": (4, 12), "hat": tuple(range(0, 16, 2)), "tom": ()}
FILL = {"kick": (0, 8), "snare": (4, 7), "hat": (0, 2, 4, 6), "tom": (8, 10, 11, 12, 13, 14, 15)}


def drums(seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return a kit that plays a beat with a fill in every second bar, (L, 4), in the order of `DRUMS`."""
    x_LN = np.zeros((round(seconds * sample_rate), len(DRUMS)))
    for step in range(int(seconds / STEP_S)):
        bar = FILL if step // 16 % 2 else BAR
        for n, name in enumerate(DRUMS):
            if step % 16 in bar[name]:
                _add_hit(x_LN[:, n], name, step * STEP_S + rng.normal(0, 0.004) + 0.02, sample_rate, rng)
    return x_LN


def drum_alone(name: str, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return one drum, a stroke every half second."""
    x_L = np.zeros(round(seconds * sample_rate))
    for at in np.arange(0.02, seconds, 0.5):
        _add_hit(x_L, name, at, sample_rate, rng)
    return x_L


def _add_hit(x_L: np.ndarray, name: str, at: float, rate: int, rng: np.random.Generator) -> None:
    first = max(round(at * rate), 0)
    hit_L = rng.uniform(0.6, 1.0) * _hit(name, rate, rng)
    part_L = hit_L[: max(len(x_L) - first, 0)]
    x_L[first : first + len(part_L)] += part_L


def _hit(name: str, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return one stroke: a skin whose pitch falls, and noise."""
    skin_hz, falls, rings_s, noise, band, hiss_s = {
        "kick": (50.0, 1.5, 0.18, 0.1, (1000, 6000), 0.01),
        "snare": (185.0, 0.2, 0.09, 0.5, (800, 12000), 0.11),
        "hat": (0.0, 0.0, 0.05, 0.35, (6000, 16000), 0.06),
        "tom": (110.0, 0.4, 0.25, 0.08, (500, 5000), 0.03),
    }[name]
    t_L = np.arange(round(1.2 * rate)) / rate
    pitch_L = skin_hz * rng.uniform(0.99, 1.01) * (1 + falls * np.exp(-t_L / 0.03))
    skin_L = np.sin(2 * np.pi * np.cumsum(pitch_L) / rate) * np.exp(-t_L / rings_s) * bool(skin_hz)
    skin_L += 0.3 * np.sin(2 * np.pi * 1.59 * np.cumsum(pitch_L) / rate) * np.exp(-t_L / rings_s * 2)
    sos = butter(2, [band[0], min(band[1], 0.45 * rate)], "bandpass", fs=rate, output="sos")
    noise_L = sosfilt(sos, rng.standard_normal(len(t_L))) * np.exp(-t_L / hiss_s)
    return np.asarray((skin_L + 2 * noise * noise_L) * np.minimum(1.0, t_L / 0.001) * np.minimum(1, (1.2 - t_L) / 0.1))
