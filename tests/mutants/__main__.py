"""Run the mutants: ``python -m tests.mutants [--json FILE] [WORD...]``; with words only those in files named so.

Prints a line for each, and at the end those that survived and the score, the part that was killed.
"""

import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent.parent
LIMIT = 300  # seconds; who takes longer hangs, which is noticed
KILLED = (1, 2)  # what pytest ends with where a test fails, and where tests cannot be read


def main(words: list[str]) -> int:
    path = None
    if words[:1] == ["--json"]:
        path, words = Path(words[1]), words[2:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.file for word in words)]
    if stale := [
        mutant for mutant in chosen if (ROOT / "mnmf" / mutant.file).read_text("utf-8").count(mutant.old) != 1
    ]:
        for mutant in stale:
            print(f"{mutant.file} does not have once: {mutant.old!r}")
        return 2
    # Always in the same place: that is what compiled kernels are kept by.
    tree = Path(tempfile.gettempdir()) / f"mnmf-mutants-{os.getuid()}"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(0o700)
    for name in ("mnmf", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", tree)
    _import_what_takes_long()
    survivors = []
    passed: set[tuple[str, bool]] = set()
    try:
        for number, mutant in enumerate(chosen, 1):
            if (how := (mutant.tests, mutant.compiled)) not in passed and _status_of(mutant, tree) != 0:
                raise SystemExit(f"pytest {mutant.tests}: fails without any mutant; run it to see why")
            passed.add(how)
            began = time.monotonic()
            killed = tried(mutant, tree)
            survivors += [] if killed else [mutant]
            change = f"{mutant.old.strip()!r} -> {mutant.new.strip()!r}"
            took = f"{time.monotonic() - began:6.1f} s"
            print(f"{number:3} {took} {'killed  ' if killed else 'SURVIVED'} {mutant.file}: {change}"[:160], flush=True)
    finally:
        shutil.rmtree(tree)
    killed = len(chosen) - len(survivors)
    print(f"{killed} of {len(chosen)} mutants killed: {killed / max(len(chosen), 1):.1%}")
    if path is not None:
        left = [mutant._asdict() for mutant in survivors]
        path.write_text(json.dumps({"mutants": len(chosen), "killed": killed, "survivors": left}, indent=1) + "\n")
    return bool(survivors)


def tried(mutant: Mutant, tree: Path) -> bool:
    """Return whether the tests notice a mutant; a mistake in the list is an error."""
    source = tree / "mnmf" / mutant.file
    text = source.read_text("utf-8")
    stamp = source.stat()
    source.write_text(text.replace(mutant.old, mutant.new), "utf-8")
    try:
        status = _status_of(mutant, tree)
    finally:
        source.write_text(text, "utf-8")
        os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    if status not in (0, *KILLED):
        raise SystemExit(f"pytest {mutant.tests}: ended with {status}; correct tests/mutants")
    return status in KILLED


def _status_of(mutant: Mutant, tree: Path) -> int:
    """Run the tests in a process that has begun already, so that what takes long to import is there."""
    child = os.fork()
    if child == 0:
        _test(mutant, tree)
    deadline = time.monotonic() + LIMIT
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return KILLED[0]
        time.sleep(0.02)


def _test(mutant: Mutant, tree: Path) -> None:
    import numba
    import pytest

    os.setsid()
    numba.config.DISABLE_JIT = not mutant.compiled
    sys.dont_write_bytecode = True
    os.environ["PYTHONPATH"] = str(tree)
    sys.path[:] = [str(tree), *(each for each in sys.path if Path(each or ".").resolve() != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mnmf", "tests")]:
        del sys.modules[name]
    os.chdir(tree)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    words = [f"tests/{word}" if word.endswith(".py") else word for word in shlex.split(mutant.tests)]
    status = 3
    try:
        status = pytest.main(["-x", "-q", "--numprocesses=0", "-p", "no:cacheprovider", *words])
    finally:
        os._exit(int(status))


def _import_what_takes_long() -> None:
    for name in ("numba", "pytest", "scipy.fft", "scipy.optimize", "scipy.signal", "soundfile"):
        import_module(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
