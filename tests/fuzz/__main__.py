"""Fuzz every reader, and print a table: ``python -m tests.fuzz [--cases N]``."""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz import KINDS, case, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every reader, and print a table.")
    parser.add_argument("--cases", type=int, default=5000, metavar="N", help="of each kind (default: %(default)s)")
    parser.add_argument("--show", nargs=2, metavar=("KIND", "NUMBER"), help="one case only, and what is made of it")
    asked = parser.parse_args()
    if asked.show:
        if asked.show[0] not in KINDS:
            parser.error(f"KIND is one of {', '.join(map(repr, KINDS))}")
        return one(asked.show[0], int(asked.show[1]))
    cases = asked.cases
    failures = []
    print(f"{'kind':<18}{'cases':>7}{'read':>7}{'refused':>9}{'failed':>8}{'slowest, ms':>13}{'all, s':>8}")
    for kind in KINDS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz(kind, range(cases), Path(folder))
        failures += tally.failures
        print(
            f"{kind:<18}{cases:>7}{tally.read:>7}{tally.refused:>9}{len(tally.failures):>8}"
            f"{1000 * tally.slowest:>13.0f}{time.perf_counter() - began:>8.1f}",
            flush=True,
        )
    for failure in failures:
        print(ascii(failure)[1:-1])
    return bool(failures)


def one(kind: str, number: int) -> int:
    """Show one case: the file, which stays, and what each reader makes of it."""
    path = Path(tempfile.mkdtemp()) / KINDS[kind].file
    path.write_bytes(case(kind, number))
    print(path)
    for read in KINDS[kind].readers:
        try:
            print(ascii(read(path))[:1000])
        except Exception:
            traceback.print_exc(file=sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
