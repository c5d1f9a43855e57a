"""A fuzzer: small files of every kind that mnmf reads, each changed at random, and what its readers make of them.

Every case is decided by its kind and number, so that a failure can be repeated: ``python -m tests.fuzz --show KIND
NUMBER`` writes the file and shows what happens.  A reader must return or raise one `MnmfError` of one line, without a
warning, within `SECONDS` and `BYTES`.
"""

from __future__ import annotations

import io
import json
import random
import signal
import string
import struct
import tempfile
import time
import tomllib
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf

from mnmf import FastMNMF2, NoteDictionary, Session, markers
from mnmf.audio import Recording, write_stem
from mnmf.datasets._readers import read_own
from mnmf.daw import FORMATS, read_project, write_project
from mnmf.errors import ArgumentError, MnmfError
from mnmf.estimators._folder import read_at
from mnmf.files import check_path, read_arrays, read_table
from mnmf.manifest import read_stems
from mnmf.notes._library import Note, find_notes, read_note
from mnmf.report import write_report
from mnmf.spots import Spots
from tests import containers

SECONDS = 5.0
BYTES = 1_000_000_000
LINE = 5000  # characters of a message, in which odd ones of a name are spelled out
RATE = 8000

POWERS = (7, 8, 15, 16, 24, 31, 32, 53, 63, 64, 1000)
NUMBERS = (0, -1, 2, 7, 0.5, 1e-300, 1e25, 1e300, *(2**power for power in POWERS), *(2**power - 1 for power in POWERS))
WORDS = (
    *("", "\t", "\n", "\r", "\0", " ", "\x1b[2J", "\u202e", "\u2028", "\ufeff", "\ud7ff", "ä", "🎻", '"""', "\\u0000"),
    *[
        "..",
        "/",
        "../",
        "CON",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "1e-999",
        "-0",
        "0x10",
        "1_0",
        "null",
        "true",
        "[]",
        "{}",
        "~",
        "'",
        "\\",
        "=",
        ".",
        ",",
        ":",
        "#",
        "[[",
        "]]",
    ],
    *("9" * 400, "9" * 5000, "[" * 50, "{" * 50, "a." * 50, "\t" * 500, " " * 500, "a" * 2000, "SILENCE", "{in}", "%s"),
)


@dataclass
class Tally:
    """What became of the cases of one kind."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Kind:
    """One kind of file: its name, what a good one holds, what changes it, and what reads it."""

    file: str
    good: Callable[[], bytes]
    change: Callable[[bytes, random.Random], bytes]
    readers: tuple[Callable[[Path], object], ...]


# Changes


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes: set, flip, drop, repeat, move, insert, or put a number where there may be one."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        # Mostly near the beginning, where headers are.
        at = min(int(len(content) * rng.random() ** rng.choice((1, 3))), max(len(content) - 1, 0))
        length = rng.choice((1, 2, 4, 8, 16, 100))
        what = rng.randrange(8)
        if what == 0 and content:
            content[at] = rng.randrange(256)
        elif what == 1 and content:
            content[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            del content[at : at + length]
        elif what == 3:
            content[at:at] = content[at : at + length] * rng.choice((1, 2, 50))
        elif what == 4:
            content[at:at] = rng.randbytes(length)
        elif what == 5:
            width = rng.choice((1, 2, 4, 8))
            number = int(rng.choice(NUMBERS)) % (1 << (8 * width))
            content[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif what == 6:
            del content[at:]
        else:
            other = rng.randrange(len(content) + 1)
            content[at : at + length] = content[other : other + length]
    return bytes(content)


def changed_text(data: bytes, rng: random.Random) -> bytes:
    """Change some characters, words and lines of a text; now and then its bytes or its encoding."""
    if rng.random() < 0.15:
        return changed_bytes(data, rng)
    text = data.decode("utf-8")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        what = rng.randrange(6)
        lines = text.splitlines(keepends=True)
        if what == 0:
            text = text[:at] + rng.choice(WORDS) + text[at:]
        elif what == 1:
            text = text[:at] + str(rng.choice(NUMBERS)) + text[at + rng.randrange(8) :]
        elif what == 2:
            text = text[:at] + text[at + rng.choice((1, 3, 20)) :]
        elif what == 3 and lines:
            text = "".join(lines + [rng.choice(lines)] * rng.choice((1, 2, 60)))
        elif what == 4 and lines:
            rng.shuffle(lines)
            text = "".join(lines)
        else:
            text = text[:at] + rng.choice(string.printable) + text[at + 1 :]
    return text.encode(rng.choice(("utf-8",) * 8 + ("utf-16", "latin-1")), "replace")


def changed_tree(value: object, rng: random.Random) -> object:
    """Change one value somewhere in lists and tables."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {other: inner for other, inner in value.items() if other != key}
        return {**value, key: changed_tree(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value[:place] + value[place:] * rng.choice((0, 2, 50))
        return [*value[:place], changed_tree(value[place], rng), *value[place + 1 :]]
    odd = (None, True, False, [], {}, [[]], [value], {"a": value}, float("nan"), float("inf"), -float("inf"))
    return rng.choice((*odd, *NUMBERS, *WORDS))


def changed_json(data: bytes, rng: random.Random) -> bytes:
    """Change a value of JSON, or its text."""
    if rng.random() < 0.4:
        return changed_text(data, rng)
    return json.dumps(changed_tree(json.loads(data), rng)).encode()


def changed_toml(data: bytes, rng: random.Random) -> bytes:
    """Change a value of TOML, or its text."""
    if rng.random() < 0.4:
        return changed_text(data, rng)
    table = changed_tree(tomllib.loads(data.decode()), rng)
    lines = [f"{json.dumps(key)} = {spelled(value)}" for key, value in table.items()] if isinstance(table, dict) else []
    return "\n".join(lines).encode("utf-8", "replace")


def spelled(value: object) -> str:
    """Return a value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {spelled(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def changed_arrays(data: bytes, rng: random.Random) -> bytes:
    """Change an array of an archive, or the archive itself."""
    if rng.random() < 0.5:
        return changed_bytes(data, rng)
    with np.load(io.BytesIO(data)) as archive:
        arrays = dict(archive)
    name = rng.choice(list(arrays))
    value = arrays[name]
    what = rng.randrange(8)
    if what == 0:
        del arrays[name]
    elif what == 1:
        arrays[name] = arrays[rng.choice(list(arrays))]
    elif what == 2:
        arrays[name] = value.reshape(-1)[: rng.randrange(value.size + 1)]
    elif what == 3:
        arrays[name] = np.stack([value] * rng.choice((1, 2, 3)), axis=rng.randrange(value.ndim + 1))
    elif what == 4:
        arrays[name] = np.swapaxes(value, 0, -1) if value.ndim else value[None]
    elif what == 5:
        with suppress(ValueError, OverflowError), warnings.catch_warnings(action="ignore"):
            arrays[name] = value.astype(rng.choice(("i1", "u8", "f2", "f4", ">f8", "c8", "U3", "S2", "?")))
    elif what == 6:
        arrays[name] = np.array(rng.choice((2**31, 2**63 - 1, 0, -1, *WORDS, np.nan, np.inf, -np.inf, True)))
    elif value.dtype.kind in "fc" and value.size:
        flat = value.copy().reshape(-1)
        flat[rng.randrange(flat.size)] = rng.choice((np.nan, np.inf, -np.inf, -1.0, 1e25, 1e-310))
        arrays[name] = flat.reshape(value.shape)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


# Good files


@cache
def audio(container: str, subtype: str, n_mics: int = 2) -> bytes:
    """Return a fifth of a second of some microphones."""
    file = io.BytesIO()
    sf.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 5, n_mics)), RATE, subtype, format=container)
    return file.getvalue()


@cache
def with_chunks(container: str) -> bytes:
    """Return a short file of two microphones with chunks of every kind that is looked into."""
    values = containers.sound("PCM_16", 300, 2)
    little, big = containers.raw(values, "PCM_16"), containers.raw(values, "PCM_16", True)
    described = containers.fmt("PCM_16", 2, RATE)
    xml = b"<BWFXML><TRACK><CHANNEL_INDEX>1</CHANNEL_INDEX><NAME>vl</NAME></TRACK>" + b"".join(
        b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_%b>77</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_%b>" % (half, half)
        for half in (b"HI", b"LO")
    )
    cue = struct.pack("<I", 2) + struct.pack("<II4sIIIII4sIII", 1, 9, b"data", 0, 0, 9, 2, 150, b"data", 0, 0, 150)
    label = containers.chunk(b"ltxt", struct.pack("<II", 2, 90) + bytes(12)) + containers.chunk(b"labl", b"\1\0\0\0a\0")
    smpl = struct.pack("<9I6I", *range(7), 1, 0, 0, 0, 120, 160, 0, 0)
    before = [(b"bext", bytes(338) + struct.pack("<Q", 99) + bytes(262)), (b"iXML", xml)]
    after = [(b"LIST", b"adtl" + label), (b"cue ", cue), (b"smpl", smpl), (b"plst", struct.pack("<4I", 1, 2, 9, 1))]
    if container == "W64":
        return containers.w64(little, described, [*before, *after])
    if container == "AIFF":
        mark = struct.pack(">HhIB", 2, 1, 9, 1) + b"a" + struct.pack(">hIB", 2, 150, 1) + b"b"
        chunks = [(b"MARK", mark), (b"COMT", struct.pack(">HIhH", 1, 0, 1, 2) + b"hm"), (b"INST", bytes(20))]
        return containers.aiff(big, "PCM_16", 2, RATE, [(b"NAME", b"x")], chunks, b"NONE")
    if container == "CAF":
        mark = struct.pack(">Id", 0, 150.0) + bytes(16)
        chunks = [(b"mark", struct.pack(">II", 0, 1) + mark), (b"regn", struct.pack(">5I", 0, 1, 1, 0, 1) + mark)]
        return containers.caf(big, "PCM_16", 2, RATE, [(b"info", bytes(4))], chunks)
    if container == "AU":
        return containers.au(big, "PCM_16", 2, RATE, b"a note, 12 b")
    if container == "FLAC":
        parts = [b"RIFF\0\0\0\0WAVE", *(containers.chunk(*each) for each in before)]
        parts += [containers.chunk(b"fmt ", described), b"data\0\0\0\0", *(containers.chunk(*each) for each in after)]
        return containers.flac(values, "PCM_16", RATE, [(4, bytes(8)), *((2, b"riff" + part) for part in parts)])
    return containers.riff(little, described, before, after, container.encode())


CONTAINERS = ("RIFF", "RIFF", "RF64", "BW64", "W64", "AIFF", "CAF", "AU", "FLAC")


def changed_container(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes of a file with chunks, of any container."""
    return changed_bytes(with_chunks(rng.choice(CONTAINERS)), rng)


@cache
def model() -> bytes:
    """Return a saved model of 3 frequencies, 4 frames and 2 microphones."""
    rng = np.random.default_rng(0)
    fitted = FastMNMF2(2, 1)  # by hand, so that no kernel need be compiled
    fitted.W_, fitted.H_, fitted.G_ = (rng.uniform(0.1, 1.0, shape) for shape in ((2, 3, 2), (2, 2, 4), (2, 2)))
    fitted.Q_ = rng.standard_normal((3, 2, 2)) + 1j * rng.standard_normal((3, 2, 2))
    fitted.cost_, fitted.gains_, fitted.spots_ = np.array([1.5]), np.ones(2), Spots((0, 1))
    return saved(fitted.save)


@cache
def dictionary() -> bytes:
    """Return a dictionary with one instrument of the embedded one."""
    orchestra = NoteDictionary.embedded()
    return saved(NoteDictionary("small", {"harp": orchestra._notes[orchestra.instruments[0]]}).save)


@cache
def cues() -> bytes:
    """Return a WAV file with two regions and a point in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)

    marks = ((1, 0, b"violin", 800), (2, 800, b"viola", 800), (3, 1200, b"cough", 0))
    points = b"".join(struct.pack("<II4sIII", n, at, b"data", 0, 0, at) for n, at, _, _ in marks)
    texts = [chunk(b"labl", struct.pack("<I", n) + name + b"\0") for n, _, name, _ in marks]
    lengths = [chunk(b"ltxt", struct.pack("<II4s8x", n, length, b"rgn ")) for n, _, _, length in marks if length]
    more = chunk(b"cue ", struct.pack("<I", len(marks)) + points) + chunk(b"LIST", b"adtl" + b"".join(texts + lengths))
    sound = audio("WAV", "PCM_16") + more
    return sound[:4] + (len(sound) - 8).to_bytes(4, "little") + sound[8:]


def saved(save: Callable[[Path], object]) -> bytes:
    """Return the bytes of the file that `save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved.npz"
        save(path)
        return path.read_bytes()


LABELS = b"0.000000\t0.100000\tviolin\n0.1\t0.2\tviola\n\\\t100.0\t2000.0\n"
MARKS = b"0:00:00:0\tVIOLIN\n0:00:00:100\tVIOLA\n00:00:00:200\tSILENCE\n"
REGIONS = b"""\
#,Name,Start,End,Length
R1,violin,0:00.000,0:00.100,0:00.100
R2,viola,0:00.100,0:00.200,0:00.100
M1,end,0:00.200,,
"""
PROJECT = b"""\
<REAPER_PROJECT 0.1 "7.0/linux64" 1700000000
  <NOTES 0 2
    |MARKER 9 0 "a note" 1
  >
  MARKER 1 0 "violin" 1 0 1 R {C8D5E1E8} 0
  MARKER 1 0.1 "" 1
  MARKER 2 0.1 'viola' 1 0 1 R
  MARKER 2 0.2 "" 1
  MARKER 3 0.15 cough 0
>
"""
PRO_TOOLS = b"""\
SESSION NAME:\tQuartet
SAMPLE RATE:\t8000.000000
SESSION START TIMECODE:\t01:00:00:00


M A R K E R S  L I S T I N G
#   \tLOCATION     \tTIME REFERENCE    \tUNITS    \tNAME      \tCOMMENTS
1   \t01:00:00:00  \t0                 \tSamples  \tviolin    \t
3   \t01:00:00:05  \t1600              \tSamples  \tSILENCE   \t
2   \t01:00:00:02  \t800               \tSamples  \tviola     \t
"""
CUES = b"""\
Name\tStart\tDuration\tTime Format\tType\tDescription
violin\t0:00.000\t0:00.100\tdecimal\tCue\t
viola\t0:00.100\t0:00.100\tdecimal\tCue\tsecond desk
"""
ANNOTATION = b'0.000000000,0.100000000,"violin"\n0.100000000,0.100000000,"viola"\n'
SEGMENTS = b'0,0.1,violin\n0.1,0.2,"viola, low"\n'
RX = b"Marker file version: 1\nTime format: Time\nviolin\t00:00:00.000\t00:00:00.100\nviola\t00:00:00.1\t00:00:00.2\n"
TABLE = b"file,instrument,pitch,start,stop,dynamics,style\na.wav,violin,A4,0,0.1,mf,NO\na.wav,violin,70,0.1,,f,NO\n"
META = b'{"title": "a piece", "parts": [{"stem": "stems/1_violin.flac", "solo": "solos/1_violin.flac"}]}'
MANIFEST = json.dumps(
    {
        "mnmf": "1",
        "sources": [
            {"name": name, "file": f"{name}.wav", "mics": [n + 1], "margin_db": 12.5, "solos": [[0.0, 1.5]]}
            | {"residual": None, "reduction_db": (None, {"violin": 6})[n], "dial_db": (10.5, None)[n]}
            for n, name in enumerate(("violin", "viola"))
        ],
        "take": ["take.wav"],
        "sample_rate": RATE,
        "first_sample": 0,
        "samples": RATE // 5,
        "seconds": {"fit": 1.25},
        "diagnostics": {
            "version": 1,
            "costs": [[0.0, 0.2, [3.5, 2.5, 2.25]]],
            "bands_hz": [0.0, 360.0],
            "solo_seconds": {"violin": [None, 2.5], "viola": [0.0, 0.0]},
            "warnings": ["mic 2 is practically silent"],
            "command": ["mnmf", "separate", "take.wav"],
        },
    }
).encode()
SESSION = b"""\
take = "take.wav"
solos = "labels.txt"
sources = ["violin", "viola"]
ambient = []

[spots]
violin = 1
viola = ["2"]

[instruments]
viola = "double bass"

[queries]
viola = "the sound of a viola, close"
"""


# Readers


def take(path: Path) -> object:
    """Read a file as a take, as estimates, and as notes."""
    return Session.open(path).take()


def notes(path: Path) -> object:
    """Read a file as one note, and as successive notes."""
    return read_note(Note(path, "violin", 69)), list(find_notes(path.parent, instrument="violin", lowest=60))


def session(path: Path) -> object:
    """Read a session beside a take and labels."""
    (path.parent / "take.wav").write_bytes(audio("WAV", "PCM_16"))
    (path.parent / "labels.txt").write_bytes(LABELS)
    return Session.from_toml(path)


def project(path: Path) -> object:
    """Lay out the stems of a manifest, and write projects of them."""
    for name, n_mics in (("take", 2), ("violin", 1), ("viola", 1)):
        (path.parent / f"{name}.wav").write_bytes(audio("WAV", "PCM_16", n_mics))
    for kind in FORMATS:
        write_project(path.parent / "project", read_project(path.parent, channels=kind == "reaper"), kind)
    return path


def entries(path: Path) -> object:
    """Read what a manifest says of its stems."""
    return read_stems(path.parent)


def report(path: Path) -> object:
    """Make a page of the stems of a manifest."""
    for name, n_mics in (("take", 2), ("violin", 1), ("viola", 1)):
        (path.parent / f"{name}.wav").write_bytes(audio("WAV", "PCM_16", n_mics))
    return write_report(path.parent)


def table(path: Path) -> object:
    """Read a table of notes."""
    (path.parent / "a.wav").write_bytes(audio("WAV", "PCM_16"))
    return read_table(path, ArgumentError, "repair it"), list(find_notes(path.parent, index=path))


def meta(path: Path) -> object:
    """Read the description of a piece."""
    for folder in ("stems", "solos"):
        (path.parent / folder).mkdir(exist_ok=True)
        (path.parent / folder / "1_violin.flac").touch()
    parts = read_own(path.parent)
    if parts is not None and parts.problems:
        raise ArgumentError(" and ".join(parts.problems))  # as who reads pieces does
    return parts


def stems(path: Path) -> object:
    """Read a file, and write stems of all of it and of a part, which are read again and must be the same sound."""
    whole = Recording.open(path)
    stem = path.parent / "stem"
    for recording in (whole, whole.part(whole.n_samples // 3, whole.n_samples // 3 * 2 + 1)):
        for m in {0, recording.n_mics - 1}:
            x_L = recording.read(dtype=np.float64, mics=[m])[:, 0]
            write_stem(stem, x_L, recording, m)
            again = Recording.open(stem)
            assert (again.sample_rate, again.mics[0].subtype) == (recording.sample_rate, recording.mics[0].subtype)
            np.testing.assert_array_equal(again.read(dtype=np.float64)[:, 0], x_L)
    return [mic.track for mic in whole.mics]


def header(path: Path) -> object:
    """Read a file without stems of it."""
    return Recording.open(path, lossless=False).read()


def arrays(path: Path) -> object:
    """Read all arrays."""
    return read_arrays(check_path(path), ArgumentError, "repair it", what="no arrays")


SOUND = (take, header, lambda path: read_at(path, 2 * RATE), notes)
LABEL = (lambda path: markers.read(path), lambda path: markers.read(path, 0.2))
KINDS = {
    "WAV, 16 bits": Kind("a.wav", lambda: audio("WAV", "PCM_16"), changed_bytes, SOUND),
    "WAV, float": Kind("a.wav", lambda: audio("WAV", "FLOAT"), changed_bytes, SOUND),
    "FLAC": Kind("a.flac", lambda: audio("FLAC", "PCM_16"), changed_bytes, SOUND),
    "chunks": Kind("a.x", lambda: with_chunks("RIFF"), changed_container, (stems,)),
    "Audacity labels": Kind("labels.txt", lambda: LABELS, changed_text, LABEL),
    "marks": Kind("marks.txt", lambda: MARKS, changed_text, LABEL),
    "REAPER CSV": Kind("regions.csv", lambda: REGIONS, changed_text, LABEL),
    "REAPER project": Kind("take.rpp", lambda: PROJECT, changed_text, LABEL),
    "Pro Tools text": Kind("session.txt", lambda: PRO_TOOLS, changed_text, LABEL),
    "Audition CSV": Kind("cues.csv", lambda: CUES, changed_text, LABEL),
    "Sonic Visualiser": Kind("layer.csv", lambda: ANNOTATION, changed_text, LABEL),
    "LosslessCut CSV": Kind("segments.csv", lambda: SEGMENTS, changed_text, LABEL),
    "iZotope RX": Kind("markers.txt", lambda: RX, changed_text, LABEL),
    "WAV, cue points": Kind("cues.wav", cues, changed_bytes, LABEL),
    "session": Kind("session.toml", lambda: SESSION, changed_toml, (session,)),
    "manifest": Kind("manifest.json", lambda: MANIFEST, changed_json, (entries, project, report)),
    "piece": Kind("meta.json", lambda: META, changed_json, (meta,)),
    "table of notes": Kind("index.csv", lambda: TABLE, changed_text, (table,)),
    "model": Kind("model.npz", model, changed_arrays, (FastMNMF2.load, arrays)),
    "dictionary": Kind("notes.npz", dictionary, changed_arrays, (NoteDictionary.load,)),
}


# Running


class TooSlow(BaseException):
    """A case took longer than it may; no reader catches this."""


@contextmanager
def limits():
    """Let this process take at most `BYTES` more memory than it has, where the system can be told so."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _too_slow(number, frame):
    raise TooSlow


def case(kind: str, number: int) -> bytes:
    """Return the content of one case."""
    return KINDS[kind].change(KINDS[kind].good(), random.Random(f"{kind} {number}"))


def problem(read: Callable[[Path], object], path: Path) -> str | None:
    """Read a file, and return what is wrong with how that went; "" if it was refused, None if it was read."""
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(path)
    except MnmfError as error:
        line = str(error)
        spelled_out = ascii(line)  # as a terminal sees it
        return "" if line and len(spelled_out) < LINE else f"its message is {spelled_out[:200]}"
    except TooSlow:
        return f"took more than {SECONDS:g} s"
    except MemoryError:
        return f"took more than {BYTES / 1e9:g} GB"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None


def fuzz(kind: str, cases: range, folder: Path) -> Tally:
    """Run cases of a kind, each with every reader."""
    tally, path = Tally(), folder / KINDS[kind].file
    path.write_bytes(KINDS[kind].good())
    for read in KINDS[kind].readers:
        if (wrong := problem(read, path)) is not None:
            tally.failures.append(f"{kind}: what is not changed is not read: {wrong}")
    with limits():
        for number in cases:
            path.write_bytes(case(kind, number))
            began = time.perf_counter()
            results = [problem(read, path) for read in KINDS[kind].readers]
            tally.slowest = max(tally.slowest, time.perf_counter() - began)
            tally.failures += [f"{kind} {number}: {wrong}" for wrong in results if wrong]
            tally.refused += "" in results
            tally.read += all(result is None for result in results)
    return tally
