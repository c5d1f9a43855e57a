"""Programs that read audio and write stems: what they are told, how they end, and what is told of them."""

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
from mnmf.estimators._folder import audio_files, read_stem, stamp, stems_in

Array = NDArray[Any]
PathLike = str | os.PathLike[str]

TIMEOUT = 3600.0  # seconds
LAST_LINES = 5  # of what a command said when it failed
LAST_BYTES = 2**16  # in which these are looked for
LINE_LENGTH = 200
WAV_BYTES = 2**32 - 2**12  # a WAV file counts its bytes in 32 bits, those of its header among them

# What a name or query may say to a command: whatever else runs it, this is code nowhere.
_PLAIN = re.compile(r"[\w .,'’-]*")
# Programs that run what their words say; options whose next word is code, or that have it joined to them; words after
# which everything is code.
_RUNS = re.compile(
    r"(.*[/\\])?(env|exec|nice|ionice|nohup|setsid|sudo|doas|time|timeout|stdbuf|xargs|parallel|watch|ssh|uvx?|pipx|"
    r"poetry|conda|mamba|docker|podman|apptainer|([bcdkz]|ba|da|tc)?sh|fish|(python|pypy)[\d.]*|perl|ruby|node|deno|bun|"
    r"php|lua|julia|rscript|r|tclsh|[gm]?awk|sed|matlab|octave|ipython)(\.exe)?",
    re.IGNORECASE,
)
_SCRIPT = re.compile(r"[^=]*\.[A-Za-z]\w*|[^=]*[/\\][^=]*")
_NAMES_WHAT_RUNS = re.compile(r"-m|-\w*[ce]")  # in the next word
_THEN_CODE = re.compile(r"-[0-9SIEBOaeilnopux]{0,5}[ceEr]|--?(eval|exec\w*)|--command")
_JOINED_CODE = re.compile(r"-[ceE](\{|.*[\s;()$|&<>\"'`])|--?(eval|exec\w*|command)=", re.DOTALL)
_ALL_CODE = re.compile(r"/[ck]|eval|-command", re.IGNORECASE)
_POWERSHELL = re.compile(r"(.*[/\\])?(powershell|pwsh)(\.exe)?", re.IGNORECASE)

_LOCK = threading.Lock()
_CALLS: dict[Path, subprocess.Popen[bytes] | None] = {}  # the folders of all calls under way, and what runs for them


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
    command : str or sequence of str and paths
        On Windows a backslash in a str is one.
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
        The command is empty or lacks ``{in}`` or ``{out}``; ``{source}`` or ``{query}`` stands where a program or code
        for a shell or an interpreter is expected; or a name or query that goes into it begins with a dash, which the
        program would take for an option, or has other characters than letters, digits, spaces and ``. , - '``.
    """

    def __init__(
        self,
        command: str | Sequence[PathLike],
        sources: Sequence[str],
        spots: Sequence[int],
        queries: Sequence[str] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        try:
            words = _split(command, os.name == "nt") if isinstance(command, str) else command
            self.words = tuple(os.fspath(word) for word in words)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"the prior's command cannot be read: {error}") from error
        for needed in ("{in}", "{out}"):
            if not any(needed in word for word in self.words[1:]):
                raise ArgumentError(f"the prior's command needs {needed} among its words; got {shlex.join(self.words)}")
        self.sources, self.spots = tuple(sources), tuple(spots)
        self.queries = self.sources if queries is None else tuple(queries)
        self.timeout = check_number("timeout", timeout, 0.0, math.inf, " s")
        if not len(self.sources) == len(self.spots) == len(self.queries):
            raise ArgumentError("the prior's command needs as many spots and queries as there are sources")
        self.each = any(_told(word) for word in self.words)
        _refuse_code(self.words)
        for told, names in (("{source}", self.sources), ("{query}", self.queries)):
            for name in names if any(told in word for word in self.words) else ():
                if name.startswith("-"):
                    raise ArgumentError(f"{name!r} would be an option of the prior's command; call it something else")
                if not _PLAIN.fullmatch(name):
                    raise ArgumentError(
                        f"{name!r} goes into the prior's command as {told}, where it may have letters, digits, spaces "
                        "and . , - ' but nothing that could be code; call it something else"
                    )

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Run the command, and return the stems that it wrote.

        Raises
        ------
        EstimatorError
            It cannot be run, fails, takes too long, or writes no stem; or the take is too long for a WAV file.
        """
        n_samples, n_mics = audio_LM.shape
        if 4 * n_samples * (1 if self.each else n_mics) > WAV_BYTES:
            raise EstimatorError(
                f"the prior's command would get a WAV file of more than 4 GiB ({n_samples} samples, {n_mics} mics); "
                "cut the take into shorter ones"
            )
        with _scratch() as folder:
            return self._each(folder, audio_LM, sample_rate) if self.each else self._all(folder, audio_LM, sample_rate)

    @property
    def identity(self) -> str:
        """What its result depends on, for `cached`: the words, the names, the program and the files among the words."""
        files = []
        for path in (shutil.which(self.words[0]), *self.words, *(word.partition("=")[2] for word in self.words)):
            with suppress(OSError, ValueError):
                files += [stamp(path)] if path else []
        return json.dumps(["command", self.words, self.sources, self.spots, self.queries, files])

    def _all(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        take, out = folder / "take.wav", folder / "stems"
        _write(take, audio_LM, sample_rate)
        out.mkdir()
        said = self._run(folder, {"{in}": str(take), "{out}": str(out)})
        found = stems_in(out, self.sources)
        if not found:
            names = ", ".join(sorted(path.name for path in audio_files(out))[:8]) or "nothing"
            raise EstimatorError(
                f"the prior's command wrote {names}; expected stems called {', '.join(self.sources)}, as in "
                f"{self.sources[0]}.wav; {said}"
            )
        return {source: read_stem(path, sample_rate) for source, path in found.items()}

    def _each(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        stems = {}
        for n, (source, spot, query) in enumerate(zip(self.sources, self.spots, self.queries)):
            # Numbered, for a source may be called anything, and files may not.
            spot_file, out = folder / f"{n + 1}-in.wav", folder / f"{n + 1}-out.wav"
            _write(spot_file, audio_LM[:, spot], sample_rate)
            said = self._run(folder, {"{in}": str(spot_file), "{out}": str(out), "{source}": source, "{query}": query})
            if not out.is_file():
                raise EstimatorError(
                    f"the prior's command wrote no file for {source!r}; it should write to {{out}}; {said}"
                )
            stems[source] = read_stem(out, sample_rate)
        return stems

    def _run(self, folder: Path, values: Mapping[str, str]) -> str:
        """Run the command once, and return its last words."""
        words = [_filled(word, values) for word in self.words]
        shown = shlex.join(self.words)
        with tempfile.TemporaryFile() as said:
            try:
                with _LOCK:
                    if folder not in _CALLS:
                        raise EstimatorError("the prior's command was stopped")
                    process = _CALLS[folder] = _start(words, said)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise EstimatorError(f"the prior's command cannot be run: {words[0]}: {reason}") from error
            try:
                status: int | None = process.wait(self.timeout or None)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(process)
                with _LOCK:
                    if folder in _CALLS:
                        _CALLS[folder] = None
            last = _last_words(said)
            if status is None:
                raise EstimatorError(
                    f"the prior's command took longer than {self.timeout:g} s and was stopped: {shown}; {last}"
                )
            if status:
                raise EstimatorError(f"the prior's command failed ({_why(status)}): {shown}; {last}")
            return last


def stop_commands() -> None:
    """End all commands that are running, and remove their files: Ctrl-C reaches neither."""
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
    """Make a folder for one call, which `stop_commands` knows of."""
    with tempfile.TemporaryDirectory(prefix="mnmf-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with _LOCK:
            _CALLS[folder] = None
        try:
            yield folder
        finally:
            with _LOCK:
                _CALLS.pop(folder, None)


def _split(command: str, windows: bool) -> list[str]:
    """Return the words of a command as a shell would; on Windows a backslash is a part of a path."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    if windows:
        lexer.escape = ""
    return list(lexer)


def _told(word: str) -> bool:
    return "{source}" in word or "{query}" in word


def _refuse_code(words: Sequence[str]) -> None:
    """Refuse what would let a name or a query, which a session file may bring along, say what is run."""
    batch = words[0].lower().endswith((".bat", ".cmd"))  # Windows runs these by a shell
    first = _what_runs(words)
    for n, word in enumerate(words):
        if _told(word) and (n <= first or batch or _is_code(words[:n], word)):
            raise ArgumentError(
                f"the prior's command would run what a session says: {word!r} is a program, or code for one that runs "
                "code; let {source} and {query} be words of a program's own, as in my-tool --text {query} {in} {out}"
            )


def _what_runs(words: Sequence[str]) -> int:
    """Return which word says what is run in the end: the first one, or that which it is told to run."""
    if not _RUNS.fullmatch(words[0]):
        return 0
    for n, word in enumerate(words[1:], 1):
        if _told(word) or _RUNS.fullmatch(word) or word.startswith("-"):
            continue
        # After an option a word may be its value, though there is a program of that name: a user of sudo, say.
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
    """Put values into a word, all at once: what one value says is not looked at again."""
    return re.sub(r"\{(in|out|source|query)\}", lambda found: values.get(found[0], found[0]), word)


def _write(path: Path, audio: Array, sample_rate: int) -> None:
    try:
        soundfile.write(path, audio, sample_rate, subtype="FLOAT")
    except (soundfile.LibsndfileError, OSError) as error:
        raise EstimatorError(
            f"{path}: cannot be written for the prior's command ({error}); TMPDIR may name another place"
        ) from error


def _start(words: Sequence[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own, so that what it starts can be ended with it."""
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command, and what it started, which may outlive it."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _why(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _last_words(said: IO[bytes]) -> str:
    """Return the last lines of what a command said; bars of progress are lines that end with a carriage return."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(size - LAST_BYTES, 0))
    text = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*\x07?)", "", said.read().decode(errors="replace"))
    lines = ["".join(filter(str.isprintable, line)).strip() for line in re.split(r"[\r\n]", text)]
    last = " | ".join([line[:LINE_LENGTH] for line in lines if line][-LAST_LINES:])
    return f"it said: {last}" if last else "it said nothing"
