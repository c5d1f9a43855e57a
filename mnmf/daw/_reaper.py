"""Projects of REAPER: lines of words in nested ``<`` and ``>``, UTF-8.

A word with spaces stands in double quotes, single quotes or backticks, and ends with the next one of its own; there is
no other way to escape anything.  What REAPER is not told here, it takes from its defaults.
"""

from __future__ import annotations

from collections.abc import Iterator

from mnmf.daw._project import Item, Project

CHANNELS = 128  # of a file; REAPER cannot choose a later one
QUOTES = "\"'`"
VERSION = "6.0"  # whose projects these are like; a newer number makes older versions of REAPER warn


def unfit(path: str) -> str | None:
    """Return why a project cannot name a file, or None."""
    if any(c in path for c in "\r\n\0"):
        return "a project of REAPER cannot name a file whose path has a line break"
    if all(quote in path for quote in QUOTES):
        return "a project of REAPER cannot name a file whose path has all of \" ' `"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its path is not in Unicode"
    return None


def text(project: Project) -> str:
    """Return what the file of a project holds."""
    lines = [
        f'<REAPER_PROJECT 0.1 "{VERSION}" 0',
        "  RIPPLE 0",
        "  PANLAW 1",  # a mono item at the level of its file
        "  TIMELOCKMODE 0",  # items keep their time when somebody changes the tempo
        f"  SAMPLERATE {project.sample_rate} 1 0",
        "  TEMPO 120 4 4",
    ]
    for track in project.tracks:
        lines += ["  <TRACK", f"    NAME {_quoted(track.name)}", "    VOLPAN 1 0 -1 -1 1", "    NCHAN 2"]
        lines += [f"    {line}" for line in _item(track.item, project.sample_rate)]
        lines.append("  >")
    return "\n".join([*lines, ">", ""])


def _item(item: Item, rate: int) -> Iterator[str]:
    yield "<ITEM"
    yield f"  POSITION {_number(item.position / rate)}"
    yield "  SNAPOFFS 0"
    yield f"  LENGTH {_number(item.n_samples / rate)}"
    yield "  LOOP 0"
    yield "  ALLTAKES 0"
    yield "  FADEIN 1 0 0 1 0 0 0"  # none, so that two items sum to the take from their first sample on
    yield "  FADEOUT 1 0 0 1 0 0 0"
    yield f"  MUTE {int(item.muted)} 0"
    yield "  SEL 0"
    yield f"  NAME {_quoted(item.name)}"
    yield f"  VOLPAN {_number(item.gain)} 0 1 -1"  # the first is the item's own volume
    yield f"  SOFFS {_number(item.offset / rate)}"
    yield "  PLAYRATE 1 1 0 -1 0 0.0025"
    yield f"  CHANMODE {_channel_mode(item.channel)}"
    yield f"  <SOURCE {'FLAC' if item.format == 'FLAC' else 'WAVE'}"  # the second reads AIFF and the like, too
    yield f"    FILE {_quoted_path(item.file)}"
    yield "  >"
    yield ">"


def _channel_mode(channel: int | None) -> int:
    """Return the number of a channel mode: 0 plays all, from 3 and from 131 on there are single ones."""
    if channel is None:
        return 0
    return channel + 3 if channel < 64 else channel + 67


def _number(value: float) -> str:
    """Return a number to more places than a sample of an hour needs, without an exponent."""
    return f"{value:.14f}".rstrip("0").rstrip(".")


def _quoted_path(path: str) -> str:
    quote = next(quote for quote in QUOTES if quote not in path)
    return f"{quote}{path}{quote}"


def _quoted(name: str) -> str:
    """Return a name that is only shown: what does not print is a space, and REAPER's own way out is the last quote."""
    plain = "".join(c if c.isprintable() else " " for c in name)
    if all(quote in plain for quote in QUOTES):
        plain = plain.replace("`", "'")
    return _quoted_path(plain)
