"""Names of instruments and pitches as people write them: in labels, in file names and in the codes of RWC.

Which notes an instrument has in a dictionary does not live here.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from mnmf.errors import ArgumentError

__all__ = ["LOWEST", "RWC_CODES", "find_instrument", "known_instrument", "name_problem", "parse_pitch", "pitch_name"]

LONGEST = 100  # characters of the name of an instrument

# Other words for an instrument, apart from its own name, plurals and numbers.
ALIASES: dict[str, tuple[str, ...]] = {
    "violin": ("vln", "vn", "vlns", "vio", "violine", "violino", "violini", "violon", "fiddle", "geige"),
    "viola": ("vla", "va", "violas", "bratsche", "viole", "alto violin"),
    "cello": ("vc", "vcl", "vlc", "celli", "violoncello", "violoncelli", "violoncelle"),
    "double bass": (
        "db",
        "cb",
        "kb",
        "bass",
        "contrabass",
        "contrabasso",
        "contrebasse",
        "kontrabass",
        "upright bass",
        "string bass",
        "acoustic bass",
        "basses",
    ),
    "flute": ("fl", "flauto", "flauti", "floete", "flote", "querflote"),
    "oboe": ("ob", "oboi", "hautbois"),
    "clarinet": ("cl", "clar", "clarinetto", "clarinette", "klarinette"),
    "bassoon": ("bsn", "bn", "fg", "fag", "fagott", "fagotto", "fagotti", "basson"),
    "alto saxophone": ("alto sax", "asax", "as", "alt saxophon", "alto saxofon", "saxophone alto"),
    "tenor saxophone": ("tenor sax", "tsax", "ts", "tenor saxophon", "saxophone tenor"),
    "soprano saxophone": ("soprano sax", "ssax", "sopran saxophon"),
    "baritone saxophone": ("baritone sax", "bari sax", "bsax"),
    "horn": ("hn", "hrn", "french horn", "corno", "corni", "waldhorn"),
    "trumpet": ("tpt", "tp", "trp", "tromba", "trombe", "trompete", "trompette", "cornet", "flugelhorn"),
    "trombone": ("tbn", "trb", "tb", "trbn", "posaune", "tromboni"),
    "tuba": ("tba",),
    "piano": ("pno", "pf", "pianoforte", "klavier", "flugel", "grand piano"),
    "harp": ("hp", "harfe", "arpa", "harpe"),
    "timpani": ("timp", "pauke", "pauken", "kettledrum", "timbales"),
    "choir": ("chorus", "chor", "coro", "choir aahs"),
    "soprano": ("sopran", "soprano voice"),
    "alto": ("alt", "alto voice"),
    "tenor": ("tenor voice",),
    "baritone": ("baritone voice", "bariton"),
    "bass voice": ("bass singer",),
    "piccolo": ("picc", "piccolo flute"),
    "english horn": ("cor anglais", "eh", "englischhorn"),
    "bass clarinet": ("bcl", "bassklarinette"),
    "contrabassoon": ("contra bassoon", "cbsn", "kontrafagott", "double bassoon"),
    "alto flute": (),
    "pan flute": (),
    "electric bass": ("bass guitar", "e bass", "ebass"),
    "bass drum": ("gran cassa",),
    "electric piano": ("e piano", "rhodes"),
    "classical guitar": ("classic guitar", "nylon guitar"),
    "acoustic guitar": ("steel guitar",),
    "electric guitar": ("e guitar",),
    "organ": ("pipe organ",),
    "harpsichord": ("cembalo",),
    "recorder": (),
    "harmonica": (),
    "accordion": (),
    "glockenspiel": (),
    "marimba": (),
}

# Words for more than one instrument, which stand for the notes of all of them.
VOICES = ("soprano", "alto", "tenor", "baritone", "bass voice", "choir")
GROUPS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("saxophone", "sax", "saxes", "saxofon", "saxophon"),
        ("soprano saxophone", "alto saxophone", "tenor saxophone", "baritone saxophone"),
    ),
    **dict.fromkeys(("voice", "vocal", "vox", "singer", "vocalist"), VOICES),
}
# If a dictionary has no soloist for a voice, its choir stands in; "alto" and "tenor" may also mean a saxophone.
STAND_INS = {"soprano": ("choir",), "baritone": ("choir",), "bass voice": ("choir",)}
BETWEEN = {"alto": ("alto saxophone", "choir"), "tenor": ("tenor saxophone", "choir")}

# The two letters for the instrument in a file name of RWC (RWC-MDB-I-2001).  BS also stands for bass voice, if the
# number before it is that of a voice.
RWC_CODES = {
    "PF": "piano",
    "EP": "electric piano",
    "HC": "harpsichord",
    "GL": "glockenspiel",
    "MB": "marimba",
    "OR": "organ",
    "AC": "accordion",
    "HM": "harmonica",
    "CG": "classical guitar",
    "AG": "acoustic guitar",
    "EG": "electric guitar",
    "EB": "electric bass",
    "VN": "violin",
    "VL": "viola",
    "VC": "cello",
    "CB": "double bass",
    "HP": "harp",
    "TR": "trumpet",
    "TB": "trombone",
    "TU": "tuba",
    "HR": "horn",
    "SS": "soprano saxophone",
    "AS": "alto saxophone",
    "TS": "tenor saxophone",
    "BS": "baritone saxophone",
    "OB": "oboe",
    "EH": "english horn",
    "FG": "bassoon",
    "CL": "clarinet",
    "PC": "piccolo",
    "FL": "flute",
    "RC": "recorder",
    "SP": "soprano",
    "AL": "alto",
    "TN": "tenor",
    "BT": "baritone",
}

# The lowest note of an instrument, with which a file of successive notes begins if nothing else is said.
LOWEST = {
    "piano": 21,
    "electric piano": 28,
    "harpsichord": 29,
    "violin": 55,
    "viola": 48,
    "cello": 36,
    "double bass": 28,
    "trumpet": 52,
    "trombone": 40,
    "tuba": 29,
    "horn": 41,
    "soprano saxophone": 56,
    "alto saxophone": 49,
    "tenor saxophone": 44,
    "baritone saxophone": 36,
    "oboe": 58,
    "english horn": 52,
    "bassoon": 34,
    "clarinet": 50,
    "piccolo": 74,
    "flute": 60,
    "classical guitar": 40,
    "acoustic guitar": 40,
    "electric guitar": 40,
    "electric bass": 28,
}

STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
PITCH = re.compile(r"([A-Ga-g])(#|♯|b|♭|s)?(-?\d)")


def parse_pitch(text: str) -> int:
    """Return the MIDI number of ``"A4"``, ``"Bb3"``, ``"c#5"`` or ``"69"``; A4 is 69.

    Raises
    ------
    ArgumentError
        The text is not a pitch, or it is outside the range of MIDI, 0 to 127.
    """
    word = text.strip()
    number = -1
    if match := PITCH.fullmatch(word):
        letter, accidental, octave = match.groups()
        number = STEPS[letter.lower()] + 12 * (int(octave) + 1)
        number += 0 if accidental is None else -1 if accidental in "b♭" else 1
    elif re.fullmatch(r"\d{1,3}", word):
        number = int(word)
    if not 0 <= number <= 127:
        raise ArgumentError(f"{text!r} is no pitch; write one like A4, Bb3 or F#5, or a MIDI number from 0 to 127")
    return number


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI number: ``"C♯4"`` for 61."""
    return NAMES[pitch % 12] + str(pitch // 12 - 1)


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, lower case, without accents, digits and punctuation."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return tuple(re.findall(r"[^\W\d_]+", plain.casefold()))


def name_problem(name: str) -> str:
    """Return why `name` cannot be the name of an instrument, as in "has no letters"; an empty string if it can."""
    if len(name) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if not name.isprintable():
        return "has control characters"
    if re.search(r"\s\+\s", name):
        return "joins two with a plus"
    return "" if words_of(name) else "has no letters"


def known_instrument(name: str) -> str | None:
    """Return the usual name of the instrument that `name` means, None if it means none or more than one."""
    found = _matches(name, _vocabulary(tuple(ALIASES)))
    meant = {instrument for choice in found for instrument in choice}
    return meant.pop() if len(meant) == 1 else None


def find_instrument(name: str, instruments: Sequence[str]) -> tuple[str, ...]:
    """Return those of `instruments` that a user's word for an instrument means: one, or all of a group.

    Raises
    ------
    ArgumentError
        The word means none of them, or could mean several; the message lists them.
    """
    if name in instruments:
        return (name,)
    alike = [own for own in instruments if words_of(name) and words_of(own) == words_of(name)]
    # Numbers are not words: "kazoo 1" and "kazoo 2" have the same ones, so the whole name is compared as well.
    exact = [own for own in alike if own == " ".join(name.casefold().split())] or alike
    if len(exact) > 1:
        raise ArgumentError(f"{name!r} could be {_list(exact, 'or')}; say which")
    if exact:
        return (exact[0],)
    every = tuple(dict.fromkeys((*instruments, *ALIASES)))
    found = _matches(name, _vocabulary(every))
    if not found:
        word = "".join(words_of(name))
        begun = {own for own in instruments if len(word) >= 3 and "".join(words_of(own)).startswith(word)}
        found = {(own,) for own in begun}
    if len(found) > 1:
        # For example "violin and viola": which of the two is meant cannot be known.
        named = sorted({own for choice in found for own in choice if own in instruments})
        if len(named) > 1:
            raise ArgumentError(f"{name!r} could be {_list(named, 'or')}; say which")
        if not named:
            raise ArgumentError(_unknown(name, instruments))
        return tuple(named)
    (choice,) = found or {()}
    present = tuple(own for own in choice if own in instruments)
    if not present and len(choice) == 1:
        if choice[0] in BETWEEN:
            present = tuple(own for own in BETWEEN[choice[0]] if own in instruments)
            if len(present) > 1:
                raise ArgumentError(f"{name!r} could be {_list(present, 'or')}; say which")
        elif choice[0] in STAND_INS:
            present = tuple(own for own in STAND_INS[choice[0]] if own in instruments)
    if not present:
        raise ArgumentError(_unknown(name, instruments))
    return present


def _unknown(name: str, instruments: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.casefold(), instruments, 1)
    hint = f"did you mean {near[0]}? If" if near else "if"
    return (
        f"no notes of {name!r} here; {hint} that is a player's name, say with --instruments what is played: one of "
        f"{', '.join(instruments)}"
    )


def _list(names: Sequence[str], joint: str) -> str:
    return f" {joint} ".join([", ".join(names[:-1]), names[-1]])


def _vocabulary(instruments: Sequence[str]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the instruments that each phrase means; a phrase is a tuple of words."""
    meaning: dict[tuple[str, ...], tuple[str, ...]] = {}
    for phrase, group in GROUPS.items():
        meaning[words_of(phrase)] = group
    for instrument in instruments:
        for phrase in (instrument, *ALIASES.get(instrument, ())):
            if words := words_of(phrase):
                meaning[words] = (instrument,)
    return meaning


def _matches(name: str, meaning: dict[tuple[str, ...], tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Return what the phrases in `name` mean; a phrase that is part of a longer one does not count."""
    words = words_of(name)
    spans: dict[tuple[int, int], tuple[str, ...]] = {}
    for first in range(len(words)):
        for last in range(len(words), first, -1):
            for phrase in _singulars(words[first:last]):
                if phrase in meaning:
                    spans[first, last] = meaning[phrase]
                    break
    longest = {
        span: choice
        for span, choice in spans.items()
        if not any(other != span and other[0] <= span[0] and span[1] <= other[1] for other in spans)
    }
    if not longest:
        joined = "".join(words)
        return {choice for phrase, choice in meaning.items() if joined and joined == "".join(phrase)}
    return set(longest.values())


def _singulars(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    last = words[-1]
    endings = [last] + [last[: -len(end)] for end in ("s", "es") if last.endswith(end) and len(last) > len(end) + 1]
    return [(*words[:-1], ending) for ending in endings]
