"""Programs of others, each run as a process of its own: it is given WAV files and leaves WAV files.

A command, in which these are replaced:

``{in}``
    A folder with what each player's spot heard in the take, ``1.wav``, ``2.wav`` and so on: mono, 32-bit float.
``{solos}``
    Perhaps: a folder with what the same spots heard while each player played alone, under the same names, and
    ``solos.txt``, Audacity labels of each player's passages: start, end and the number of the player's file.
``{out}``
    An empty folder, where the program leaves one mono file for each player, under the same names.

It is run without a shell.  Rates are those of the take: a program that wants another one converts in a script of one's
own, which is also the place for ``octave``, for its path and for what it needs to be set.
"""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _cases import Case

TIMEOUT = 3600.0  # seconds
LAST = 200  # characters of what a program that failed said last
PLACES = ("{in}", "{out}", "{solos}")


class ExternalError(Exception):
    """The program failed, or did not leave what it should."""


@dataclass(frozen=True)
class External:
    """Another program by its name, and the words of its command."""

    name: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "External":
        """Read ``NAME=COMMAND``."""
        name, _, command = text.partition("=")
        words = tuple(shlex.split(command))
        if not name or not words or not all(any(place in word for word in words) for place in PLACES[:2]):
            raise ValueError(f"expected NAME=COMMAND with {{in}} and {{out}}, got {text!r}")
        return cls(name, words)

    @property
    def lacks(self) -> str | None:
        """What of the command is not on this machine, if anything."""
        if shutil.which(self.words[0]) is None:
            return self.words[0]
        values = [word.partition("=")[2] if word.startswith("-") and "=" in word else word for word in self.words]
        paths = [word for word in values if "/" in word and not any(place in word for place in PLACES)]
        return next((path for path in paths if not Path(path).exists()), None)

    def stems(self, case: Case) -> np.ndarray:
        """Return what the program makes of a case, (L, N), at the level of the case.

        Raises
        ------
        ExternalError
            It fails, takes longer than `TIMEOUT`, or leaves anything but a finite mono file of the same rate for each
            player.
        """
        spots_LN = case.mixture_LM[:, list(case.spots)]
        with tempfile.TemporaryDirectory(prefix="external-") as scratch:
            folders = {place: Path(scratch, place.strip("{}")) for place in PLACES}
            for folder in folders.values():
                folder.mkdir()
            write(folders["{in}"], spots_LN / case.peak, case.sample_rate)
            if any("{solos}" in word for word in self.words):
                x_LM, seconds = case.solos["solo"]
                write(folders["{solos}"], x_LM[:, list(case.spots)] / case.peak, case.sample_rate)
                labels = [f"{start:.6f}\t{end:.6f}\t{n + 1}\n" for n, (start, end) in enumerate(seconds)]
                (folders["{solos}"] / "solos.txt").write_text("".join(labels))
            self._run({place: str(folder) for place, folder in folders.items()})
            return case.peak * self._read(folders["{out}"], spots_LN.shape, case.sample_rate)

    def _run(self, folders: dict[str, str]) -> None:
        words = list(self.words)
        for place, folder in folders.items():
            words = [word.replace(place, folder) for word in words]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            process = subprocess.Popen(words, start_new_session=True, **pipes)
        except OSError as error:
            raise ExternalError(f"it cannot be run: {error.strerror}") from error
        try:
            told, complained = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
            process.communicate()
            raise ExternalError(f"it took longer than {TIMEOUT:.0f} s") from error
        if process.returncode:
            said = (complained or told).decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(said) if line.strip()), "nothing")
            raise ExternalError(f"exit status {process.returncode}; it said: {last[:LAST]}")

    def _read(self, folder: Path, shape: tuple[int, int], sample_rate: int) -> np.ndarray:
        """Read the stems; one that is longer or shorter than the take is cut, or goes on in silence."""
        stems_LN = np.zeros(shape)
        for n in range(shape[1]):
            name = f"{n + 1}.wav"
            if not (folder / name).is_file():
                there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
                raise ExternalError(f"it left no {name} in {{out}}, but {there}")
            try:
                x_LM, rate = soundfile.read(folder / name, always_2d=True)
            except (soundfile.LibsndfileError, OSError) as error:
                raise ExternalError(f"{name} cannot be read: {error}") from error
            if rate != sample_rate or x_LM.shape[1] != 1 or not np.isfinite(x_LM).all():
                raise ExternalError(f"{name} is not finite, mono and at {sample_rate} Hz")
            length = min(len(x_LM), shape[0])
            stems_LN[:length, n] = x_LM[:length, 0]
        return stems_LN


def write(folder: Path, x_LN: np.ndarray, sample_rate: int) -> None:
    for n, x_L in enumerate(x_LN.T):
        soundfile.write(folder / f"{n + 1}.wav", x_L.astype(np.float32), sample_rate, "FLOAT")
