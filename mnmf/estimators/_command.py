"""Programs that estimate sources: what they are given, how they are ended, and what is reported if they fail.

Reading what they wrote, and remembering it for the next run, does not live here.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import soundfile
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, EstimatorError, check_number
from mnmf.estimators._folder import audio_files, files_of, read_at, stamp
from mnmf.spots import Spots

Array = NDArray[Any]
PathLike = str | os.PathLike[str]

TIMEOUT = 3600.0  # seconds
LAST_LINES = 5  # of the output of a command, shown when it fails
LAST_BYTES = 2**16  # of the output, in which these lines are looked for
LINE_LENGTH = 200  # characters of each that are shown
WAV_BYTES = 2**32 - 2**12  # a WAV file counts its bytes, including those of its header, in 32 bits

# The one rule for names and queries, which may come with somebody else's session.  What they may hold: nothing that any
# shell or interpreter takes for code, and no dash in front.  Where they may stand: in the value of an option that is
# called after them, as in ``--text {query}`` or ``--source-name={source}``.  A program refuses an option that it does
# not know; and should it take the value for code, there is nothing in it that does anything.
_PLAIN = re.compile(r"(?!-)[\w .,'’-]{0,500}")
_NOUN = "caption|description|instrument|label|name|part|prompt|query|sound|source|stem|target|text|track|voice"
_OPTION = re.compile(rf"--(?:{_NOUN})(?:[-_](?:{_NOUN}))*")
# And what the environment of the program says in any case, for code that reads it there.
_VARIABLES = {"{source}": "MNMF_SOURCE", "{query}": "MNMF_QUERY"}

_LOCK = threading.Lock()
_CALLS: dict[Path, subprocess.Popen[bytes] | None] = {}  # the folder of each call under way, and its process


class Command:
    """Any program that reads audio and writes an estimate of each source.

    The command is split into words as a shell would do it, but it is run without a shell: nothing is expanded or
    piped, and no name of a source or file can start anything else.  In every word these are replaced:

    ``{in}``
        A WAV file (32-bit float) of the take, with one channel for each microphone.
    ``{out}``
        A folder to write the estimates to, one file for each source and with its name, also in sub-folders.
    ``{source}``, ``{query}``
        The name of a source, and what to ask a network for (usually the instrument), in the value of an option that is
        called after them, such as ``--text {query}`` or ``--source-name={source}``.  Then the command is run once for
        each source; ``{in}`` is what its own spot heard, and ``{out}`` the file to write.

    For programs with other options, the environment of such a run has both in MNMF_SOURCE and MNMF_QUERY.  A command
    that mentions one of these is run once for each source, too, as in ``sh -c 'my-tool "$1" "$2" "$MNMF_QUERY"' -
    {in} {out}``.

    Parameters
    ----------
    command : str or sequence of str and paths
        On Windows a backslash in a str is part of a path; elsewhere it escapes the next character.
    sources : sequence of str
        Names of the sources.
    spots : sequence of int, or of sequences of int
        For each source its own microphone(s), counted from 0, the reference spot first.
    queries : sequence of str, optional
        What to ask for, for each source; the names of the sources if not given.
    timeout : float
        Seconds after which a run is stopped, together with whatever it started; 0 for no limit.

    Raises
    ------
    ArgumentError
        The command is empty or lacks ``{in}`` or ``{out}``; ``{source}`` or ``{query}`` stands elsewhere than in such a
        value; or a name or query that would go to the program begins with a dash, which a program takes for an option,
        or has other characters than letters, digits, spaces and ``. , - '``.

    Examples
    --------
    A program that copies each spot, run once for each source because ``{source}`` is among its words:

    >>> import sys
    >>> import numpy as np
    >>> copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    >>> words = [sys.executable, "-c", copy, "{in}", "{out}", "--source={source}"]
    >>> command = Command(words, ["violin", "cello"], [0, 1])
    >>> estimates = command(np.zeros((100, 2), np.float32), 8000)
    >>> {source: y_LC.shape for source, y_LC in estimates.items()}
    {'violin': (100, 1), 'cello': (100, 1)}
    """

    def __init__(
        self,
        command: str | Sequence[PathLike],
        sources: Sequence[str],
        spots: Sequence[int | Sequence[int]],
        queries: Sequence[str] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        try:
            words = _split(command, os.name == "nt") if isinstance(command, str) else command
            self.words = tuple(os.fspath(word) for word in words)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"the estimate command cannot be read: {error}") from error
        for needed in ("{in}", "{out}"):
            if not any(needed in word for word in self.words[1:]):
                raise ArgumentError(
                    f"the estimate command needs {needed} among its words; got {shlex.join(self.words)}"
                )
        self.sources, self.spots = tuple(sources), tuple(Spots(spots).references)
        self.queries = self.sources if queries is None else tuple(queries)
        self.timeout = check_number("timeout", timeout, 0.0, math.inf, " s")
        if not len(self.sources) == len(self.spots) == len(self.queries):
            raise ArgumentError("the estimate command needs as many spots and queries as there are sources")
        _refuse_places(self.words)
        slots = (*_VARIABLES, *_VARIABLES.values())
        self.each = any(slot in word for word in self.words for slot in slots)
        for name in (*self.sources, *self.queries) if self.each else ():
            _check_plain(name)

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Run the command, and return the estimates that it wrote, (L, channels), at this sample rate.

        Raises
        ------
        EstimatorError
            It cannot be run, fails, takes too long, or writes no estimate; or the take is too long for a WAV file.
        """
        n_samples, n_mics = audio_LM.shape
        if 4 * n_samples * (1 if self.each else n_mics) > WAV_BYTES:
            raise EstimatorError(
                f"the estimate command would need a WAV file of more than 4 GiB ({n_samples} samples, {n_mics} mics); "
                "cut the take into shorter ones"
            )
        with _scratch() as folder:
            return self._each(folder, audio_LM, sample_rate) if self.each else self._all(folder, audio_LM, sample_rate)

    @property
    def identity(self) -> str:
        """What the result depends on, for `cached`: the words and names, the program, and the files among the words."""
        files = []
        for path in (shutil.which(self.words[0]), *self.words, *(word.partition("=")[2] for word in self.words)):
            with suppress(OSError, ValueError):
                files += [stamp(path)] if path else []
        return json.dumps(["command", self.words, self.sources, self.spots, self.queries, files])

    def _all(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        take, out = folder / "take.wav", folder / "estimates"
        _write(take, audio_LM, sample_rate)
        out.mkdir()
        output = self._run(folder, {"{in}": str(take), "{out}": str(out)})
        found = files_of(out, self.sources)
        if not found:
            names = ", ".join(sorted(path.name for path in audio_files(out))[:8]) or "nothing"
            raise EstimatorError(
                f"the estimate command wrote {names}; expected files called {', '.join(self.sources)}, as in "
                f"{self.sources[0]}.wav; {output}"
            )
        return {source: read_at(path, sample_rate) for source, path in found.items()}

    def _each(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        estimates = {}
        for n, (source, spot, query) in enumerate(zip(self.sources, self.spots, self.queries)):
            # Numbered, because not every name of a source can be the name of a file.
            spot_file, out = folder / f"{n + 1}-in.wav", folder / f"{n + 1}-out.wav"
            _write(spot_file, audio_LM[:, spot], sample_rate)
            values = {"{in}": str(spot_file), "{out}": str(out), "{source}": source, "{query}": query}
            output = self._run(folder, values)
            if not out.is_file():
                raise EstimatorError(
                    f"the estimate command wrote no file for {source!r}; it should write to {{out}}; {output}"
                )
            estimates[source] = read_at(out, sample_rate)
        return estimates

    def _run(self, folder: Path, values: Mapping[str, str]) -> str:
        """Run the command once, and return the last lines of its output."""
        words = [_filled(word, values) for word in self.words]
        shown = shlex.join(self.words)
        with tempfile.TemporaryFile() as output:
            try:
                with _LOCK:
                    if folder not in _CALLS:
                        raise EstimatorError("the estimate command was stopped")
                    process = _CALLS[folder] = _start(words, output, _environment(values))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise EstimatorError(f"the estimate command cannot be run: {words[0]}: {reason}") from error
            try:
                status: int | None = process.wait(self.timeout or None)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(process)
                with _LOCK:
                    if folder in _CALLS:
                        _CALLS[folder] = None
            last = _last_lines(output)
            if status is None:
                raise EstimatorError(
                    f"the estimate command took longer than {self.timeout:g} s (--estimate-timeout) and was stopped: "
                    f"{shown}; {last}"
                )
            if status:
                raise EstimatorError(f"the estimate command failed ({_why(status)}): {shown}; {last}")
            return last


def stop_commands() -> None:
    """End all commands that are running, and remove their files.

    A program that is interrupted, for example by Ctrl-C, calls this: the commands are in process groups of their own,
    which the interrupt does not reach.

    Examples
    --------
    >>> stop_commands()  # nothing is running
    """
    with _LOCK:
        calls = dict(_CALLS)
        _CALLS.clear()
        for process in calls.values():
            if process is not None:
                _end(process)
    deadline = time.monotonic() + 1.0
    for folder in calls:
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)  # its thread may still be writing there


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a folder for one call, which `stop_commands` would remove."""
    with _LOCK:  # so that there is no folder that `stop_commands` does not know
        folder = Path(tempfile.mkdtemp(prefix="mnmf-"))
        _CALLS[folder] = None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with _LOCK:
            _CALLS.pop(folder, None)


def _split(command: str, windows: bool) -> list[str]:
    """Return the words of a command as a shell would; on Windows a backslash is part of a path."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    if windows:
        lexer.escape = ""
    return list(lexer)


def _refuse_places(words: Sequence[str]) -> None:
    """Refuse a command in which a name or query stands anywhere but in the value of an option called after it."""
    for n, word in enumerate(words):
        if not any(place in word for place in _VARIABLES):
            continue
        option, equals, _ = word.partition("=")
        joined = bool(equals) and _OPTION.fullmatch(option)
        if n == 0 or not (joined or _OPTION.fullmatch(words[n - 1])):
            raise ArgumentError(
                f"the estimate command could run what a session says: {word!r}; {{source}} and {{query}} may be the "
                "value of an option called after them, as in my-tool --text {query} {in} {out}, and MNMF_SOURCE and "
                "MNMF_QUERY in its environment say the same"
            )


def _check_plain(name: str) -> None:
    if name.startswith("-"):
        raise ArgumentError(f"{name[:80]!r} would be an option of the estimate command; call it something else")
    if not _PLAIN.fullmatch(name):
        raise ArgumentError(
            f"{name[:80]!r} goes to the estimate command, and so may have letters, digits, spaces and . , - ' but "
            "nothing that could be code; call it something else"
        )


def _filled(word: str, values: Mapping[str, str]) -> str:
    """Put values into a word, all at once, so that a value which contains ``{out}`` is not replaced again."""
    return re.sub(r"\{(in|out|source|query)\}", lambda found: values.get(found[0], found[0]), word)


def _write(path: Path, audio: Array, sample_rate: int) -> None:
    try:
        soundfile.write(path, audio, sample_rate, subtype="FLOAT")
    except (soundfile.LibsndfileError, OSError) as error:
        raise EstimatorError(
            f"{path}: cannot be written for the estimate command ({error}); set TMPDIR to another folder"
        ) from error


def _environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: ours, and for one source its name and query."""
    return os.environ | {name: values[place] for place, name in _VARIABLES.items() if place in values}


def _start(words: Sequence[str], output: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that whatever it starts can be ended with it."""
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and whatever it started, which may still run after the command has ended."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _why(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _last_lines(output: IO[bytes]) -> str:
    """Return the last lines of the output of a command; those of a progress bar end with a carriage return."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(size - LAST_BYTES, 0))
    text = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*\x07?)", "", output.read().decode(errors="replace"))
    lines = ["".join(filter(str.isprintable, line)).strip() for line in re.split(r"[\r\n]", text)]
    last = " | ".join([line[:LINE_LENGTH] for line in lines if line][-LAST_LINES:])
    return f"it said: {last}" if last else "it said nothing"
