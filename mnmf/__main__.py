"""The ``mnmf`` command, also as ``python -m mnmf``."""

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def main() -> None:
    """Run the command line; Ctrl-C at any time, even while modules load, ends with status 130 and no traceback.

    So does a signal to end, such as when the terminal closes: with 128 and its number.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What nohup and the like have switched off stays off.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter shows a question mark; the stems do not depend on it.
            stream.reconfigure(errors="replace")
    try:
        from mnmf.cli import run

        status = run()
    except KeyboardInterrupt as interrupt:
        with suppress(OSError):  # the terminal may be gone
            sys.stderr.write("mnmf: interrupted; nothing was written\n")
            sys.stderr.flush()
        # A worker may still be inside a kernel; waiting for it would keep the user waiting.
        os._exit(128 + (interrupt.args[0] if interrupt.args else signal.SIGINT))
    # LLVM now and then aborts when the interpreter takes it down, and a finished run must not end in a crash.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    main()
