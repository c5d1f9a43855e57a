"""The ``mnmf`` command, also as ``python -m mnmf``."""

import io
import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C at any time, even while modules load, ends with status 130 and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter shows a question mark; the stems do not depend on it.
            stream.reconfigure(errors="replace")
    try:
        from mnmf.cli import run

        status = run()
    except KeyboardInterrupt:
        sys.stderr.write("mnmf: interrupted; nothing was written\n")
        sys.stderr.flush()
        # A worker may still be inside a kernel; waiting for it would keep the user waiting.
        os._exit(130)
    # LLVM now and then aborts when the interpreter takes it down, and a finished run must not end in a crash.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
