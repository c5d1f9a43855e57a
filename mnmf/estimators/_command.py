"""Programs that read audio and write stems: what they are told, how they end, and what is told of them."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import soundfile
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, EstimatorError, check_number
from mnmf.estimators._folder import _audio_files, _stems_in, read_stem

Array = NDArray[Any]

LAST_LINES = 5  # of what a command said when it failed
TIMEOUT = 3600.0  # seconds
_RUNNING: set[subprocess.Popen[bytes]] = set()


class Command:
    """Any program that reads audio and writes stems.

    The words of the command are what a shell would make of it, but there is no shell: nothing is expanded, piped or
    run besides, whatever the names of sources and files are.  In every word these are replaced:

    ``{in}``
        A WAV file (32-bit float) of the take, one channel a microphone.
    ``{out}``
        A folder to write the stems to, called as the sources are; they may be in folders below it.
    ``{source}``, ``{query}``
        If one of them is there, the command runs once a source: ``{in}`` is then what its own spot heard, ``{out}``
        the file to write, and these are its name, and what to ask for (its instrument, as a rule).

    Parameters
    ----------
    command : str or sequence of str
    sources : sequence of str
    spots : sequence of int
        The own microphone of each source, counted from 0.
    queries : sequence of str, optional
        What to ask for of each source; their names if not given.
    timeout : float
        Seconds after which a run is stopped, with whatever it started; 0 for never.

    Raises
    ------
    ArgumentError
        The command is empty or lacks ``{in}`` or ``{out}``; or a name or query begins with a dash, which the program
        would take for an option.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        sources: Sequence[str],
        spots: Sequence[int],
        queries: Sequence[str] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        try:
            self.words = tuple(shlex.split(command) if isinstance(command, str) else command)
        except ValueError as error:
            raise ArgumentError(f"the prior's command cannot be read: {error}") from error
        for needed in ("{in}", "{out}"):
            if not any(needed in word for word in self.words[1:]):
                raise ArgumentError(f"the prior's command needs {needed} among its words; got {shlex.join(self.words)}")
        self.sources, self.spots = tuple(sources), tuple(spots)
        self.queries = self.sources if queries is None else tuple(queries)
        self.timeout = check_number("timeout", timeout, 0.0, math.inf, " s")
        if not len(self.sources) == len(self.spots) == len(self.queries):
            raise ArgumentError("the prior's command needs as many spots and queries as there are sources")
        self.each = any("{source}" in word or "{query}" in word for word in self.words)
        for name in (*self.sources, *self.queries) if self.each else ():
            if name.startswith("-") or "\0" in name:
                raise ArgumentError(f"{name!r} would be an option of the prior's command; call it something else")

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Run the command, and return the stems that it wrote.

        Raises
        ------
        EstimatorError
            It cannot be run, fails, takes too long, or writes no stem.
        """
        with tempfile.TemporaryDirectory(prefix="mnmf-") as scratch:
            folder = Path(scratch)
            return self._each(folder, audio_LM, sample_rate) if self.each else self._all(folder, audio_LM, sample_rate)

    @property
    def identity(self) -> str:
        """What its result depends on, beside the audio: the words, the names, and the files among the words."""
        files = []
        for word in self.words:
            with suppress(OSError, ValueError):
                status = Path(word).stat()
                files.append((word, status.st_size, status.st_mtime_ns))
        return json.dumps([self.words, self.sources, self.spots, self.queries, files])

    def _all(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        take, out = folder / "take.wav", folder / "stems"
        soundfile.write(take, audio_LM, sample_rate, subtype="FLOAT")
        out.mkdir()
        self._run({"{in}": str(take), "{out}": str(out)})
        found = _stems_in(out, self.sources)
        if not found:
            names = ", ".join(sorted(path.name for path in _audio_files(out))[:8]) or "nothing"
            raise EstimatorError(
                f"the prior's command wrote {names}; expected stems called {', '.join(self.sources)}, as in "
                f"{self.sources[0]}.wav"
            )
        return {source: read_stem(path, sample_rate) for source, path in found.items()}

    def _each(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        stems = {}
        for n, (source, spot, query) in enumerate(zip(self.sources, self.spots, self.queries)):
            # Numbered, for a source may be called anything, and files may not.
            spot_file, out = folder / f"{n + 1}-in.wav", folder / f"{n + 1}-out.wav"
            soundfile.write(spot_file, audio_LM[:, spot], sample_rate, subtype="FLOAT")
            self._run({"{in}": str(spot_file), "{out}": str(out), "{source}": source, "{query}": query})
            if not out.is_file():
                raise EstimatorError(f"the prior's command wrote no file for {source!r}; it should write to {{out}}")
            stems[source] = read_stem(out, sample_rate)
        return stems

    def _run(self, values: Mapping[str, str]) -> None:
        words = [_filled(word, values) for word in self.words]
        shown = shlex.join(self.words)
        with tempfile.TemporaryFile() as said:
            try:
                # A group of its own, so that what it started ends with it.
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
                )
            except OSError as error:
                raise EstimatorError(f"the prior's command cannot be run: {words[0]}: {error.strerror}") from error
            _RUNNING.add(process)
            try:
                status = process.wait(self.timeout or None)
            except subprocess.TimeoutExpired:
                raise EstimatorError(
                    f"the prior's command took longer than {self.timeout:g} s and was stopped: {shown}"
                ) from None
            finally:
                _end(process)
                _RUNNING.discard(process)
            if status:
                said.seek(0)
                lines = said.read().decode(errors="replace").split("\n")
                last = " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:])
                raise EstimatorError(
                    f"the prior's command failed ({_why(status)}): {shown}: {last or 'it said nothing'}"
                )


def _filled(word: str, values: Mapping[str, str]) -> str:
    """Put values into a word, all at once: what one value says is not looked at again."""
    return re.sub(r"\{(in|out|source|query)\}", lambda found: values.get(found[0], found[0]), word)


def stop_commands() -> None:
    """End all commands that are running: they are in groups of their own, which Ctrl-C does not reach."""
    for process in list(_RUNNING):
        _end(process)


def _why(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is still running of a command, and what it started."""
    if process.poll() is None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, 9)
            else:
                process.kill()
        process.wait()
