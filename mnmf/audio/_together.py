"""Files of one take on one clock: where each begins, and what they all have.

Recorders that are started one after another write time stamps that differ.  The take is then what all files have; the
line that says so names who is late, and a stem is still as long as its own file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mnmf.audio._sound import Sound
from mnmf.errors import ArgumentError, AudioFileError, check_count

__all__ = ["Together", "check_alike", "together"]

DAY = 86_400  # seconds after which time stamps begin anew
_NAMED = 6  # files that a line names


class Together(NamedTuple):
    """At which sample of a common clock each file begins, the first one at 0; and in a line what is to be known."""

    starts: tuple[int, ...]
    remark: str | None = None


def check_alike(paths: Sequence[Path], values: Sequence[int], show: Callable[[int], str], remedy: str) -> None:
    """Refuse values that differ, naming the first file that differs from the majority."""
    usual = Counter(values).most_common(1)[0][0]
    for path, value in zip(paths, values):
        if value != usual:
            other = paths[values.index(usual)]
            raise AudioFileError(f"{path} has {show(value)}, but {other} has {show(usual)}; {remedy}")


def together(sounds: Sequence[Sound], stamps: Sequence[int | None], starts: Sequence[int] | None = None) -> Together:
    """Return where each file begins: as given, else as the time stamps say, else all at once.

    Raises
    ------
    AudioFileError
        There is nothing that all files have; or their lengths differ, and nothing says why.
    ArgumentError
        `starts` are not one for each file.
    """
    rate, lengths = sounds[0].samplerate, [sound.frames for sound in sounds]
    if starts is not None:
        found = _given(starts, len(sounds))
        if _common(found, lengths) < 1:
            raise AudioFileError(f"{sounds[0].path} and the others have nothing in common at these starts")
        differ = any(found) or len(set(lengths)) > 1
        return Together(found, _described(sounds, found, "files are aligned as was said") if differ else None)
    at_once = (0,) * len(sounds)
    found, doubt = _stamped(stamps, rate, lengths)
    if doubt is None and any(found):
        return Together(found, _described(sounds, found, "time stamps differ"))
    # All begin at once.
    if len(set(lengths)) > 1 and not (doubt is None and found and any(stamps)) and not _cut(sounds):
        remedy = "export all files of a take with the same start and end"
        if doubt is not None:
            remedy += f" ({doubt})"
        paths = [sound.path for sound in sounds]
        check_alike(paths, lengths, lambda frames: f"{frames} samples ({frames / rate:.3f} s)", remedy)
    ends = _described(sounds, at_once, "lengths differ") if len(set(lengths)) > 1 else None
    if doubt is not None:
        return Together(at_once, f"{doubt}; all files are taken to begin at once")
    return Together(at_once, ends)


def _given(starts: Sequence[int], count: int) -> tuple[int, ...]:
    if len(starts) != count:
        raise ArgumentError(f"starts must be one sample for each of {count} files, got {len(starts)}")
    checked = [check_count("starts", start, -(1 << 48), 1 << 48) for start in starts]
    return tuple(start - min(checked) for start in checked)


def _common(starts: Sequence[int], lengths: Sequence[int]) -> int:
    """Return how many samples all files have."""
    return min(start + length for start, length in zip(starts, lengths)) - max(starts)


def _stamped(stamps: Sequence[int | None], rate: int, lengths: Sequence[int]) -> tuple[tuple[int, ...], str | None]:
    """Return where files begin by their time stamps, none if there are none, and what speaks against it."""
    known = [stamp for stamp in stamps if stamp is not None]
    if not known or len(stamps) == 1:
        return (), None
    if len(known) < len(stamps):
        return (), "time stamps differ, and some files have none" if len(set(known)) > 1 else None
    if max(known) - min(known) > DAY * rate // 2 and max(known) < DAY * rate:  # midnight came between them
        known = [stamp + DAY * rate * (stamp < DAY * rate // 2) for stamp in known]
    starts = tuple(stamp - min(known) for stamp in known)
    if _common(starts, lengths) < min(rate, (min(lengths) + 1) // 2):
        apart = max(starts) / rate
        return starts, f"time stamps differ by {apart:.3f} s, by which the files have nothing in common"
    return starts, None


def _cut(sounds: Sequence[Sound]) -> bool:
    """Return whether the files are of one length but for those whose end is missing."""
    whole = {sound.frames for sound in sounds if not sound.is_short}
    return len(whole) <= 1 and (not whole or max(sound.frames for sound in sounds) in whole)


def _described(sounds: Sequence[Sound], starts: Sequence[int], what: str) -> str:
    """Return in a line which files begin later or go on longer, and what the take is."""
    rate, names = sounds[0].samplerate, _names(sounds)
    ends = [start + sound.frames for start, sound in zip(starts, sounds)]
    said = [f"{name} starts {start / rate:.3f} s later" for name, start in zip(names, starts) if start]
    if len(set(ends)) > 1:
        last = max(ends)
        said += [f"{name} ends {(last - end) / rate:.3f} s sooner" for name, end in zip(names, ends) if end < last]
    if len(said) > _NAMED:
        said = [*said[: _NAMED - 1], f"and {len(said) - _NAMED + 1} more"]
    common = _common(starts, [sound.frames for sound in sounds])
    return f"{what}: {', '.join(said)}; the {common / rate:.3f} s that all have are separated, the rest stays as it is"


def _names(sounds: Sequence[Sound]) -> list[str]:
    stems = [sound.path.stem for sound in sounds]
    return stems if len(set(stems)) == len(stems) else [str(sound.path) for sound in sounds]
