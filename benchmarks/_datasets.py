"""Which pieces a benchmark plays: the embedded quartet, and those that `mnmf.datasets` reads in a folder.

What the library refuses ends a benchmark here, with one clear message.  Takes that are ready mixtures with known truth
are read by `_cases.folder_cases`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mnmf import data, datasets
from mnmf.datasets import Piece
from mnmf.datasets._folders import SHOWN, listed, walk
from mnmf.errors import SessionError

EMBEDDED, EMBEDDED_WORK = "quartet", "q2_mozart_k458_iii"  # the embedded quartet is an excerpt of that piece
TAKE = "take/mix.flac, reference.flac, solo.flac, solo.txt"


def quartet() -> Piece:
    """The embedded quartet, all of it."""
    embedded = data.quartet()
    audio = embedded.stems_LN, embedded.solos_LN
    return Piece(EMBEDDED, "embedded", embedded.sample_rate, tuple(embedded.names), lambda: audio)


def work(name: str) -> str:
    """Return which piece an excerpt, "NAME at 5 s", is of: margins are over pieces, as two of one are much alike."""
    name = name.partition(" at ")[0]
    return EMBEDDED_WORK if name == EMBEDDED else name


def pieces(folder: Path | str, **wanted: Any) -> list[Piece]:
    """Return `mnmf.datasets.pieces`, or end the benchmark saying why there are none."""
    try:
        return datasets.pieces(folder, **wanted)
    except SessionError as error:
        ready = take_folders(Path(folder))
        hint = "; mix.flac and reference.flac are ready takes, which benchmarks/methods.py reads" if ready else ""
        raise SystemExit(f"{error}{hint}") from error


def nothing_found(folder: Path) -> NoReturn:
    """End a benchmark that plays pieces as well as ready takes, for there is neither in the folder."""
    try:
        datasets.pieces(folder)
    except SessionError as error:
        raise SystemExit(f"{error}, or ready takes: {TAKE}") from error
    raise AssertionError(f"{folder} holds pieces")


def long_enough(folder: Path, found: Sequence[Piece], seconds: float) -> list[Piece]:
    """Return the pieces, none of which may be too short."""
    short = [f"{piece.name}: {piece.seconds:.1f} s" for piece in found if piece.seconds < seconds]
    if short:
        wanted = f"shorter than the excerpt of {seconds:g} s"
        complain(f"{folder}: {len(short)} of {len(found)} pieces are {wanted}; move them", short)
    return list(found)


def free(folder: Path, names: Iterable[str], embedded: Iterable[str]) -> None:
    """Refuse names that embedded pieces have: one would replace the other."""
    twice = sorted(set(names) & set(embedded))
    if twice:
        raise SystemExit(f"{folder}: {listed(twice)} is the name of an embedded piece; rename the folder")


def take_folders(folder: Path) -> list[Path]:
    """Return the folders of takes with known truth, which lie as deep as pieces may."""
    return [path for path, _ in walk(folder, lambda each: (each / "mix.flac").exists() or None)]


def complain(message: str, problems: Sequence[str]) -> NoReturn:
    rest = len(problems) - SHOWN
    raise SystemExit("\n  ".join([message, *problems[:SHOWN], *([f"and {rest} more"] if rest > 0 else [])]))
