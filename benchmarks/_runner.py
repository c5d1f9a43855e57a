"""Runs long grids: cells in parallel processes, kept as they finish, so that an interruption costs little.

A benchmark is a list of cells, each a plain description such as ``{"case": "hall", "method": "kamir", "seed": 3}``, and
a function of one cell that returns the figures measured.  What is random in a cell depends on the cell only, so
the figures do not depend on how many run at a time; but seconds do, which is why the numbers of jobs and threads are
recorded.

    def measure(cell): ...                    # at the top of a module: the processes import it

    if __name__ == "__main__":                # the processes import the script, too
        options = arguments(__doc__)
        run("name", cells, measure, jobs=options.jobs, quick=options.quick)
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import mnmf

Cell = dict[str, Any]
Result = dict[str, Any]

FOLDER = Path(__file__).parent
PACKAGE = Path(mnmf.__file__).parent
THREADS = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


def parser(doc: str | None, data: str = "folder of cases") -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have; for those that have more."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=_folder, metavar="DIR", help=data)
    made.add_argument("--quick", action="store_true", help="a few cells only; the results do not replace the full ones")
    made.add_argument("--jobs", type=_count, metavar="N", help="cells at a time; as many as there are cores")
    return made


def arguments(doc: str | None, data: str = "folder of cases") -> argparse.Namespace:
    """Read --data DIR, --quick and --jobs N from the command line."""
    return parser(doc, data).parse_args()


def run(
    name: str,
    cells: Iterable[Cell],
    measure: Callable[[Cell], Result],
    *,
    jobs: int | None = None,
    quick: bool = False,
    inputs: Iterable[Path] = (),
    summarise: Callable[[list[dict[str, Any]]], Any] | None = None,
    folder: Path = FOLDER,
) -> dict[str, Any]:
    """Measure every cell and write ``results/NAME.json``; what was measured before an interruption is not repeated.

    Parameters
    ----------
    name : str
        Of the result; a quick run writes ``NAME.quick.json`` instead, which git ignores.
    cells : iterable of dict
        No two alike, of what JSON can hold; an entry ``seed`` is listed in the result.
    measure : callable
        Makes the figures of a cell, a dict of numbers, lists and texts; arrays become lists.  Not finite is refused:
        None says that there is no number.  A function at the top of a module, or a `functools.partial` of one.
    jobs : int, optional
        Cells at a time, as many as there are cores if not given; each may use its share of the cores.
    quick : bool
        Whether this is a trial.
    inputs : iterable of Path
        Files or folders that the figures depend on beside the cells: once they change, nothing is reused.
    summarise : callable, optional
        Makes what else is to be written, as ``"summary"``, of the finished cells, ``{"cell": ..., "result": ...}``.
    folder : Path
        Holds ``results`` and, for the time being, ``.unfinished``.

    Returns
    -------
    dict
        What was written: "environment", "seconds" (from start to end; of an interrupted run, to the last cell that it
        finished), "runs" (jobs and threads, more than one pair if they changed in between), "seeds", "data" (the names
        of `inputs`, without where they lie), "cells" in their order and, if asked for, "summary".

    Raises
    ------
    ValueError
        Two cells are the same, or a cell is not plain.
    SystemExit
        With 1 if a cell failed, when all others are done; with 130 if interrupted.  Nothing is written then.
    """
    from _environment import environment

    started, start = time.time(), time.monotonic()
    path = result_path(name, quick, folder)
    stem = path.stem
    todo, inputs = list(cells), list(inputs)
    jobs = max(1, min(cores() if jobs is None else jobs, len(todo)))
    threads = max(1, cores() // jobs)
    keys = _keys(todo, fingerprint(measure, inputs))
    unfinished = folder / ".unfinished" / f"{stem}.jsonl"
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    done = {key: line for key, line in _kept(unfinished).items() if key in keys}
    if done:
        _say(f"{name}: {len(done)} of {len(todo)} cells are there from before")

    failed = []
    try:
        with (
            _Progress(name, len(todo), len(done)) as progress,
            unfinished.open("ab") as file,
            closing(_measured(todo, keys, done, measure, jobs, threads)) as measured,
        ):
            _end_line(file, unfinished)
            for index, result, error in measured:
                if error is not None:
                    failed.append(index)
                    progress.fail(f"{shown(todo[index])} failed:\n{error}")
                    continue
                line = {
                    "key": keys[index],
                    "result": result,
                    "jobs": jobs,
                    "threads": threads,
                    "started": started,
                    "seconds": time.monotonic() - start,
                }
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                done[keys[index]] = line
                progress.advance()
    except KeyboardInterrupt:
        _say(f"{name}: interrupted; {len(done)} of {len(todo)} cells are kept: run it again to go on from there")
        raise SystemExit(INTERRUPTED) from None
    if failed:
        _say(f"{name}: {len(failed)} of {len(todo)} cells failed and nothing is written; the others are kept:")
        for index in failed:
            _say(f"    {shown(todo[index])}")
        raise SystemExit(1)

    lines = [done[key] for key in keys]
    document: dict[str, Any] = {
        "environment": environment(threads),
        "seconds": round(time.monotonic() - start + _earlier(lines, started), 1),
        "runs": [{"jobs": j, "threads": t} for j, t in sorted({(line["jobs"], line["threads"]) for line in lines})],
        "seeds": sorted({cell["seed"] for cell in todo if "seed" in cell}),
        "data": [path.resolve().name for path in inputs],
        "cells": [{"cell": cell, "result": line["result"]} for cell, line in zip(todo, lines)],
    }
    if summarise is not None:
        document["summary"] = _plain(summarise(document["cells"]))
    _write(path, document)
    unfinished.unlink()  # the folder stays: another benchmark may be about to write there
    _say(f"wrote {path}")
    return document


def result_path(name: str, quick: bool = False, folder: Path = FOLDER) -> Path:
    """Return where a result is written: a quick one beside the full one, where git ignores it."""
    return folder / "results" / (f"{name}.quick.json" if quick else f"{name}.json")


def mean_and_margin(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the mean, and how far the confidence interval reaches to either side (Student's t).

    `values` must be independent, one a seed, so take the mean of the sources first; to compare two methods, give the
    differences seed by seed.  A single value has no interval: the margin is NaN.
    """
    from scipy.special import stdtrit

    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, float(stdtrit(n - 1, (1 + level) / 2)) * math.sqrt(variance / n)


def grouped(cells: Iterable[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], list[Result]]:
    """Return the results of finished cells by these entries of their cells, each group in the order of the cells."""
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for each in cells:
        groups.setdefault(tuple(each["cell"].get(name) for name in names), []).append(each["result"])
    return groups


def shown(cell: Cell) -> str:
    """Return a cell in a line of words."""
    return ", ".join(f"{name} {value}" for name, value in cell.items())


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# What makes a kept cell worth keeping


def fingerprint(measure: Callable[..., Any], inputs: Iterable[Path] = ()) -> str:
    """Return a digest of all that figures depend on but the cell: the package, the libraries, the script, the inputs.

    Of the script's folder count the script, the scripts that it imports, and what scripts share, ``_*.py``.
    """
    from _environment import versions

    digest = hashlib.sha256(json.dumps(versions()).encode())
    while isinstance(measure, partial):
        measure = measure.func
    digest.update(measure.__qualname__.encode())
    script = Path(inspect.getfile(measure))
    for root, paths in (
        (PACKAGE, _files(PACKAGE)),
        (FOLDER, sorted(FOLDER.glob("_*.py"))),
        (script.parent, _scripts(script)),
        *((path.parent, _files(path)) for path in inputs),
    ):
        for path in paths:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found, seen = [], set()
    for folder, below, names in os.walk(path, followlinks=True):
        below[:] = sorted(name for name in below if name != "__pycache__")
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            below.clear()
            continue
        seen.add(real)
        found += [file for name in names if (file := Path(folder, name)).is_file()]
    return sorted(found)


def _scripts(script: Path) -> list[Path]:
    """Return a script and those beside it that it imports, directly or not."""
    found = [script]
    for each in found:
        for node in ast.walk(ast.parse(each.read_bytes())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            beside = [script.parent / f"{name.partition('.')[0]}.py" for name in names]
            found += [path for path in dict.fromkeys(beside) if path.is_file() and path not in found]
    return sorted(found)


def _earlier(lines: Iterable[dict[str, Any]], started: float) -> float:
    """Return the seconds that earlier, interrupted runs took until their last cell."""
    last: dict[float, float] = {}
    for line in lines:
        if line["started"] != started:
            last[line["started"]] = max(last.get(line["started"], 0.0), line["seconds"])
    return sum(last.values())


def _keys(cells: list[Cell], context: str) -> list[str]:
    keys = []
    for cell in cells:
        try:
            text = json.dumps(cell, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"a cell must hold nothing but numbers, texts, lists and dicts, got {cell!r}") from error
        keys.append(hashlib.sha256(f"{context} {text}".encode()).hexdigest())
    if len(set(keys)) < len(keys):
        twice = next(cell for key, cell in zip(keys, cells) if keys.count(key) > 1)
        raise ValueError(f"this cell comes twice: {shown(twice)}")
    return keys


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    """Read what earlier runs kept; a line that was cut short by a crash is none."""
    lines = {}
    if path.exists():
        for text in path.read_bytes().splitlines():
            with suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                lines[line["key"]] = line
    return lines


def _end_line(file: Any, path: Path) -> None:
    """Start a new line where the last one was cut short."""
    with path.open("rb") as written:
        if written.seek(0, os.SEEK_END):
            written.seek(-1, os.SEEK_END)
            if written.read(1) != b"\n":
                file.write(b"\n")


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write a result at once or not at all, one line a cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for key, value in document.items():
        if key == "cells":
            lines = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in value)
            parts.append(f" {json.dumps(key)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write("{\n" + ",\n".join(parts) + "\n}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Return what JSON makes of it, arrays as lists; it must be finite."""

    def listed(other: Any) -> Any:
        if hasattr(other, "tolist"):
            return other.tolist()
        raise TypeError(f"{type(other).__name__} cannot be kept as JSON")

    return json.loads(json.dumps(value, default=listed, allow_nan=False))


# The processes
#
# Not concurrent.futures: it cannot tell which cell a process died of, and then gives up all the others.


class _Worker:
    """A process that measures one cell after another."""

    def __init__(self, measure: Callable[[Cell], Result]) -> None:
        context = multiprocessing.get_context("spawn")  # threads of numba and BLAS do not survive a fork
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, measure), daemon=True)
        # Ctrl-C reaches every process of a terminal; only this one is to act on it, and from the first moment.
        with _ignoring_interrupts():
            self.process.start()
        theirs.close()
        self.started = False
        self.index: int | None = None

    def give(self, index: int, cell: Cell) -> None:
        self.index = index
        with suppress(OSError):  # it has died; its end of the pipe will say so
            self.connection.send(cell)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self.process.close()
        self.connection.close()


def _measured(
    cells: list[Cell],
    keys: list[str],
    done: dict[str, Any],
    measure: Callable[[Cell], Result],
    jobs: int,
    threads: int,
) -> Generator[tuple[int, Result | None, str | None], None, None]:
    """Yield the index of each cell that was not done, as they finish, and its result or what went wrong."""
    waiting = deque(index for index, key in enumerate(keys) if key not in done)
    workers: list[_Worker] = []

    def employ(worker: _Worker) -> None:
        if waiting:
            index = waiting.popleft()
            worker.give(index, cells[index])
        else:
            workers.remove(worker)
            worker.stop()

    try:
        with _environ({variable: str(threads) for variable in THREADS}):
            for _ in range(min(jobs, len(waiting))):
                workers.append(_Worker(measure))
            while workers:
                for connection in wait([worker.connection for worker in workers]):
                    worker = next(worker for worker in workers if worker.connection is connection)
                    try:
                        message = worker.connection.recv()
                    except (EOFError, OSError):
                        worker.process.join()
                        code = worker.process.exitcode
                        workers.remove(worker)
                        worker.stop()
                        if not worker.started or worker.index is None:
                            raise SystemExit(f"a process for the cells could not start (exit status {code})") from None
                        yield worker.index, None, f"its process {_end(code)}"
                        if waiting:
                            workers.append(_Worker(measure))
                        continue
                    if worker.started and worker.index is not None:
                        result, error = message
                        yield worker.index, result, error
                    worker.started = True
                    employ(worker)
    finally:
        for worker in workers:
            worker.stop()


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -9 else "")
    return f"ended with exit status {code}"


def _work(connection: Connection, measure: Callable[[Cell], Result]) -> None:
    """Measure what comes through the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send("ready")
    while True:
        try:
            cell = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_outcome(measure, cell))


def _outcome(measure: Callable[[Cell], Result], cell: Cell) -> tuple[Result | None, str | None]:
    try:
        result = measure(cell)
        if not isinstance(result, dict):
            raise TypeError(f"measure must return a dict, got a {type(result).__name__}")
        try:
            return _plain(result), None
        except ValueError as error:
            raise ValueError("a figure is not finite; None says that there is no number") from error
    except (Exception, SystemExit):
        return None, traceback.format_exc()


def _end_with_parent() -> None:
    """Leave no process computing for a run that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _environ(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for the processes started within: libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C, as processes started within then do from their beginning."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# What is seen of it


class _Progress:
    """A bar on the standard error, and what failed above it."""

    def __init__(self, name: str, total: int, completed: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
            console=Console(stderr=True),
            speed_estimate_period=3600,  # cells take long
        )
        self.task = self.bar.add_task(name, total=total, completed=completed)

    def __enter__(self) -> _Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def advance(self) -> None:
        self.bar.advance(self.task)

    def fail(self, text: str) -> None:
        self.bar.console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)
        self.bar.advance(self.task)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)
