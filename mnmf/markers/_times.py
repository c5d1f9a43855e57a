"""Times as programs and people write them, to seconds; and why a text is none."""

from __future__ import annotations

import math
import re
import unicodedata

__all__ = ["TIME", "ascii_digits", "looks_like_time", "seconds", "why_no_time"]

_LONGEST = 60  # characters of a time; each regular expression is tried on no more
_DECIMALS = r"[0-9]{1,15}(?:[.,][0-9]{0,30})?"
_SECONDS = re.compile(rf"([+-]?)({_DECIMALS}(?:[eE][+-]?[0-9]{{1,3}})?)")
_CLOCK = re.compile(r"([+-]?)(?:([0-9]{1,6}):)?([0-9]{1,6}):([0-5]?[0-9](?:[.,][0-9]{0,30})?)")
_MILLISECONDS = re.compile(r"([+-]?)([0-9]{1,6}):([0-5]?[0-9]):([0-5]?[0-9]):([0-9]{3})")  # no video has such frames
_ALIKE = re.compile(r"[+-]?[0-9][0-9:;.,]*(?:[eE][+-]?[0-9]+)?")
_FRAMES = re.compile(r"[+-]?[0-9]+[:;][0-9]+[:;][0-9]+[:;][0-9]+|[0-9:]+;[0-9]+")
_BARS = re.compile(r"-?[0-9]+(?:\.[0-9]+){2,3}|-?[0-9]+ *\|[ 0-9|]+")
_SIGNS = str.maketrans({"−": "-", "٫": ".", "．": ".", "，": ",", "：": ":", "；": ";"})
TIME = "seconds, m:ss.mmm or h:mm:ss.mmm"


def ascii_digits(text: str) -> str:
    """Return a text with the decimal digits of every script, and signs of numbers, in ASCII.

    Examples
    --------
    >>> ascii_digits("١٫٥")
    '1.5'
    """
    if text.isascii():
        return text
    return re.sub(r"\d", lambda found: str(unicodedata.decimal(found[0])), text.translate(_SIGNS))


def _plain(text: str) -> str:
    text = text.strip()
    return ascii_digits(text) if len(text) <= _LONGEST else ""


def seconds(text: str) -> float | None:
    """Return the seconds of ``61.5``, ``1:01.5``, ``0:01:01,5`` or, in milliseconds, ``0:01:01:500``; None if no time.

    Examples
    --------
    >>> seconds("1:01.5"), seconds("0:01:01:500"), seconds("1.1.00")
    (61.5, 61.5, None)
    """
    text = _plain(text)
    if found := _SECONDS.fullmatch(text):
        sign, number = found.groups()
        at = float(number.replace(",", "."))
    elif found := _CLOCK.fullmatch(text):
        sign, hours, minutes, rest = found.groups()
        if hours is not None and int(minutes) > 59:
            return None
        at = int(hours or 0) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))
    elif found := _MILLISECONDS.fullmatch(text):
        sign = found[1]
        hour, minute, second, thousandth = map(int, found.groups()[1:])
        at = hour * 3600 + minute * 60 + second + thousandth / 1000
    else:
        return None
    return None if math.isinf(at) else -at if sign == "-" else at


def looks_like_time(text: str) -> bool:
    """Return whether a text is a time or meant to be one.

    Examples
    --------
    >>> looks_like_time("1.1.00"), looks_like_time("take 3")
    (True, False)
    """
    return _ALIKE.fullmatch(_plain(text)) is not None


def why_no_time(text: str) -> str:
    """Return what a text is that is no time in seconds, for a message.

    Examples
    --------
    >>> why_no_time("1.1.00"), why_no_time("01:00:00:12")
    ("'1.1.00' is in bars and beats", "'01:00:00:12' has frames, and the frame rate is unknown")
    """
    plain = _plain(text)
    shown = f"{text.strip()[:40]!a}"
    if _BARS.fullmatch(plain):
        return f"{shown} is in bars and beats"
    if _FRAMES.fullmatch(plain):
        return f"{shown} has frames, and the frame rate is unknown"
    return f"{shown} is no time in {TIME}"
