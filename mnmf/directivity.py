"""Directivity of microphones: the first-order patterns by name.

The gain of a first-order microphone is ``p + (1 - p) cos(angle)``, where the angle is that between the sound and the
direction in which the microphone points.  One number p, the share of the omnidirectional part, describes a pattern.
Whoever computes gains (`mnmf.priors.geometry`) or simulates microphones (`mnmf.simulate`) takes p from here; where
microphones stand, and what they hear, does not live here.

Examples
--------
From behind, at 180 degrees, a supercardioid is 12 dB less sensitive than in front, and a cardioid deaf:

>>> from math import log10
>>> from mnmf.directivity import PATTERNS
>>> p = PATTERNS["supercardioid"]
>>> round(20 * log10(abs(p - (1 - p))))
-12
>>> p = PATTERNS["cardioid"]
>>> p - (1 - p)
0.0
"""

from __future__ import annotations

__all__ = ["PATTERNS"]

PATTERNS: dict[str, float] = {
    "omni": 1.0,
    "subcardioid": 0.7,
    "cardioid": 0.5,
    "supercardioid": 0.37,
    "hypercardioid": 0.25,
    "figure-of-eight": 0.0,
}
"""The omnidirectional share p of each pattern, from 0 to 1."""
