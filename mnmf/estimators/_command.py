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

# What a name or query may contain: whichever shell or interpreter it ends up in, none of this is code.
_PLAIN = re.compile(r"[\w .,'’-]*")
# Programs that run what their arguments say; options whose next argument is code, or that are followed by code in the
# same argument; arguments after which everything is code.
_RUNS = re.compile(
    r"(.*[/\\])?(env|exec|nice|ionice|nohup|setsid|sudo|doas|time|timeout|stdbuf|xargs|parallel|watch|ssh|uvx?|pipx|"
    r"poetry|conda|mamba|docker|podman|apptainer|([bcdkz]|ba|da|tc)?sh|fish|(python|pypy)[\d.]*|perl|ruby|node|deno|bun|"
    r"php|lua|julia|rscript|r|tclsh|[gm]?awk|sed|matlab|octave|ipython)(\.exe)?",
    re.IGNORECASE,
)
_SCRIPT = re.compile(r"[^=]*\.[A-Za-z]\w*|[^=]*[/\\][^=]*")
_NAMES_WHAT_RUNS = re.compile(r"-m|-\w*[ce]")  # in the next argument
_THEN_CODE = re.compile(r"-[0-9SIEBOaeilnopux]{0,5}[ceEr]|--?(eval|exec\w*)|--command")
_JOINED_CODE = re.compile(r"-[ceE](\{|.*[\s;()$|&<>\"'`])|--?(eval|exec\w*|command)=", re.DOTALL)
_ALL_CODE = re.compile(r"/[ck]|eval|-command", re.IGNORECASE)
_POWERSHELL = re.compile(r"(.*[/\\])?(powershell|pwsh)(\.exe)?", re.IGNORECASE)

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
        The name of a source, and what to ask a network for (usually the instrument).  If a word has one of them, the
        command is run once for each source; ``{in}`` is then what its own spot heard, and ``{out}`` the file to write.

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
        The command is empty or lacks ``{in}`` or ``{out}``; ``{source}`` or ``{query}`` is where a program is expected,
        or code for a shell or an interpreter; or a name or query that would go into the command begins with a dash,
        which a program takes for an option, or has other characters than letters, digits, spaces and ``. , - '``.

    Examples
    --------
    A program that copies each spot, run once for each source because ``{source}`` is among its words:

    >>> import sys
    >>> import numpy as np
    >>> copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    >>> command = Command([sys.executable, "-c", copy, "{in}", "{out}", "{source}"], ["violin", "cello"], [0, 1])
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
        self.each = any(_has_name(word) for word in self.words)
        _refuse_code(self.words)
        for place, names in (("{source}", self.sources), ("{query}", self.queries)):
            for name in names if any(place in word for word in self.words) else ():
                if name.startswith("-"):
                    raise ArgumentError(f"{name!r} would be an option of the estimate command; call it something else")
                if not _PLAIN.fullmatch(name):
                    raise ArgumentError(
                        f"{name!r} goes into the estimate command as {place}, where it may have letters, digits, "
                        "spaces and . , - ' but nothing that could be code; call it something else"
                    )

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
                    process = _CALLS[folder] = _start(words, output)
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


def _has_name(word: str) -> bool:
    """Whether the name of a source, or a query, goes into this word."""
    return "{source}" in word or "{query}" in word


def _refuse_code(words: Sequence[str]) -> None:
    """Refuse a command in which a name or query, which may come with a session file, would decide what is run."""
    batch = words[0].lower().endswith((".bat", ".cmd"))  # Windows runs these with a shell
    first = _what_runs(words)
    for n, word in enumerate(words):
        if _has_name(word) and (n <= first or batch or _is_code(words[:n], word)):
            raise ArgumentError(
                f"the estimate command would run what a session says: {word!r} is a program, or code for one that runs "
                "code; use {source} and {query} as arguments of a program, as in my-tool --text {query} {in} {out}"
            )


def _what_runs(words: Sequence[str]) -> int:
    """Return the number of the word that decides what is run: 0, or that of the program or script which word 0 runs."""
    if not _RUNS.fullmatch(words[0]):
        return 0
    for n, word in enumerate(words[1:], 1):
        if _has_name(word) or _RUNS.fullmatch(word) or word.startswith("-"):
            continue
        # A word after an option may be its value even if a program has that name, such as the user in sudo -u.
        program = not words[n - 1].startswith("-") and shutil.which(word)
        if _NAMES_WHAT_RUNS.fullmatch(words[n - 1]) or _SCRIPT.fullmatch(word) or program:
            return n
    return len(words)


def _is_code(before: Sequence[str], word: str) -> bool:
    if _THEN_CODE.fullmatch(before[-1]) or _JOINED_CODE.match(word):
        return True
    if any(_POWERSHELL.fullmatch(other) for other in before):
        return not any(other.lower() in ("-f", "-file") for other in before)
    return any(_ALL_CODE.fullmatch(other) for other in before)


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


def _start(words: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that whatever it starts can be ended with it."""
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
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
