"""What a folder holds: the pieces in it, checked by their headers, whose audio is read when it is asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnmf.datasets._excerpts import HOP, Cut, header_of, read_excerpt
from mnmf.datasets._folders import DEPTH, check_folder, contents, entries, listed, name_of, walk
from mnmf.datasets._readers import DATASETS, Parts, parts_of
from mnmf.errors import SessionError, check_count, check_number


@dataclass(frozen=True)
class Piece:
    """Stems that play together and, where there are any, a solo of each player.

    `pieces` makes them.  The audio is read when it is first asked for; that of the last four pieces is kept, so handle
    the pieces of a large dataset one after another.  Each player is mono: of stereo files, the mean of both channels.

    Parameters
    ----------
    name : str
        Of the piece; unique among those found together.
    dataset : str
        A key of `DATASETS`.
    sample_rate : int
        In Hz.
    names : tuple of str
        The players, in the order of the stems; unique ("violin1", "violin2").
    read : callable
        Returns the stems and the solos (or None), as `stems_LN` and `solos_LN` give them.
    seconds : float
        Length of the stems; infinite if unknown.
    has_solos : bool
        Whether there are solos.

    Examples
    --------
    Pieces can also be made from arrays:

    >>> import numpy as np
    >>> from mnmf import datasets
    >>> stems_LN, solos_LN = np.zeros((2, 16000, 2))
    >>> piece = datasets.Piece("duo", "own", 8000, ("flute", "harp"), lambda: (stems_LN, solos_LN))
    >>> piece.stems_LN.shape
    (16000, 2)
    """

    name: str
    dataset: str
    sample_rate: int
    names: tuple[str, ...]
    read: Callable[[], tuple[NDArray[np.float64], NDArray[np.float64] | None]] = field(repr=False)
    seconds: float = np.inf
    has_solos: bool = True

    @property
    def stems_LN(self) -> NDArray[np.float64]:
        """The stems, of shape (samples, players), read-only if they come from files.

        Raises
        ------
        AudioFileError
            A file is damaged.
        SessionError
            The excerpt leaves no room for solos that are to be borrowed from the stems.
        """
        return self.read()[0]

    @property
    def solos_LN(self) -> NDArray[np.float64] | None:
        """A solo of each player, of shape (samples, players), or None; errors are those of `stems_LN`."""
        return self.read()[1]


def pieces(
    folder: str | os.PathLike[str],
    *,
    players: int = 1,
    seconds: float | None = None,
    offset: float | None = 0.0,
    solo_seconds: float | None = None,
    borrow_solos: bool = False,
) -> list[Piece]:
    """Find the pieces in a folder; only the headers of their files are read at once.

    Parameters
    ----------
    folder : path
        Of a dataset (see `recognise`), or of several.
    players : int
        Leave out pieces with fewer players.
    seconds : float, optional
        Length of the excerpt; a shorter piece is taken as far as it goes.  The whole piece if not given.
    offset : float or None
        Where the excerpt begins, in seconds; earlier if the piece would end within the excerpt.  None: where all play
        most, judged by the weakest stem, each relative to its own loudest passage of that length.
    solo_seconds : float, optional
        Length of the solos.
    borrow_solos : bool
        Where a piece has no solos, use the loudest passage of each stem outside the excerpt as one.

    Returns
    -------
    list of Piece
        In the order of their folders.  Where two folders have the same name, pieces are named by their paths.

    Raises
    ------
    SessionError
        There is no such folder or no piece in it, a piece is incomplete or unreadable, or none has so many players.
    ArgumentError
        A number is out of range.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio, datasets
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     piece = Path(folder, "Dataset", "01_Jupiter_vn_vc")
    ...     piece.mkdir(parents=True)
    ...     for name in ("AuSep_1_vn_01_Jupiter.wav", "AuSep_2_vc_01_Jupiter.wav"):
    ...         clipped = audio.write(piece / name, rng.uniform(-0.5, 0.5, 16000), 8000)
    ...     (found,) = datasets.pieces(folder, seconds=1.5)
    ...     shape = found.stems_LN.shape
    >>> found.name, found.dataset, found.names
    ('01_Jupiter_vn_vc', 'URMP', ('violin', 'cello'))
    >>> shape
    (12000, 2)
    """
    check_count("players", players)
    for name, value, least in (("seconds", seconds, HOP), ("solo_seconds", solo_seconds, HOP), ("offset", offset, 0)):
        if value is not None:
            check_number(name, value, least, np.inf, " s")
    root = Path(folder).expanduser()
    check_folder(root)
    found = [(path, *recognised) for path, recognised in walk(root, parts_of)]
    if not found:
        raise SessionError(_nothing_in(root))
    cut = Cut(seconds, offset, solo_seconds, borrow_solos)
    namesakes = Counter(path.name for path, _, _ in found)
    opened: list[Piece] = []
    problems: list[str] = []
    for path, dataset, parts in found:
        name = name_of(path) if namesakes[path.name] == 1 else path.relative_to(root).as_posix()
        piece = _open(name, dataset, path, parts, cut)
        if isinstance(piece, Piece):
            opened.append(piece)
        else:
            problems.append(piece)
    if problems:
        raise SessionError(
            f"{root}: {len(problems)} of {len(found)} pieces cannot be used; complete or move them: "
            f"{listed(problems, '; ')}"
        )
    enough = [piece for piece in opened if len(piece.names) >= players]
    if not enough:
        most = max(len(piece.names) for piece in opened)
        raise SessionError(f"{root}: none of {len(opened)} pieces has {players} players; the most are {most}")
    return enough


def recognise(folder: str | os.PathLike[str]) -> dict[Path, str]:
    """Return the folders that hold a piece, complete or not, and the dataset of each; only names are looked at.

    What each reader expects in the folder of a piece:

    - URMP: ``AuSep_<number>_<code>_<piece>.wav`` for each player; the codes (vn, va, vc, …) also end the folder's name.
    - Bach10 v1.1: ``<piece>-<instrument>.wav`` for violin, clarinet, saxophone and bassoon.
    - EnsembleSet: one folder for each microphone with one file for each player.  "Close" is read if it is there, else
      "Tree", "Mix_1", "Mix_2" and so on; mixtures are left out.
    - MUSDB18-HQ: ``bass.wav``, ``drums.wav``, ``other.wav`` and ``vocals.wav``.
    - One's own: ``stems/<number>_<instrument>.flac`` for each player and, perhaps, the same names in ``solos``; a
      ``meta.json`` may list the files that there must be (``{"parts": [{"stem": "stems/1_violin.flac"}]}``).

    Parameters
    ----------
    folder : path
        Of a piece, a dataset or several datasets.

    Returns
    -------
    dict of Path to str
        The dataset, a key of `DATASETS`, of each piece's folder; empty if there is none.

    Raises
    ------
    SessionError
        There is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mnmf import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stems = Path(folder, "my song", "stems")
    ...     stems.mkdir(parents=True)
    ...     (stems / "1_violin.flac").touch()
    ...     for path, dataset in datasets.recognise(folder).items():
    ...         print(path.name, "is", dataset)
    my song is own
    """
    root = Path(folder).expanduser()
    check_folder(root)
    return {path: dataset for path, (dataset, _) in walk(root, parts_of)}


def numbered(instruments: Sequence[str]) -> tuple[str, ...]:
    """Return names that tell players of the same instrument apart: violin1, violin2."""
    count, seen = Counter(instruments), Counter[str]()
    names = []
    for instrument in instruments:
        seen[instrument] += 1
        names.append(f"{instrument}{seen[instrument]}" if count[instrument] > 1 else instrument)
    return tuple(names)


def _open(name: str, dataset: str, folder: Path, parts: Parts, cut: Cut) -> Piece | str:
    """Return a piece, or what is wrong with it."""
    problems = list(parts.problems)
    stems = tuple(stem for _, stem in parts.stems)
    headers = {file: header_of(file, problems) for file in (*stems, *parts.solos)}
    rates = {header.samplerate for header in headers.values() if header}
    if len(rates) > 1:
        problems.append(f"its files have different sample rates: {', '.join(f'{rate} Hz' for rate in sorted(rates))}")
    if problems:
        return f"{dataset} piece {name}: {' and '.join(problems)}"
    names = numbered([instrument for instrument, _ in parts.stems])
    length = min(headers[stem].duration for stem in stems)
    length = length if cut.seconds is None else min(length, cut.seconds)
    read = partial(read_excerpt, folder, stems, parts.solos, cut)
    return Piece(name, dataset, rates.pop(), names, read, length, cut.borrow_solos or bool(parts.solos))


def _nothing_in(root: Path) -> str:
    """Say what is in a folder without pieces, what was expected and, if it shows, what to do."""
    names = [path.name for folder in (root, *entries(root)) for path in entries(folder)]
    hint = ""
    if any(name.endswith(".stem.mp4") for name in names):
        hint = "; .stem.mp4 is MUSDB18, of which only the HQ version (.wav) can be read"
    elif any(name.endswith((".zip", ".tar", ".gz", ".7z", ".rar")) for name in names):
        hint = "; unpack the archives first"
    expected = ", ".join(f"{example} ({dataset})" for dataset, example in DATASETS.items())
    return (
        f"{root}: no pieces in it or up to {DEPTH} folders below, found {contents(root)}{hint}; "
        f"expected files such as {expected}"
    )
