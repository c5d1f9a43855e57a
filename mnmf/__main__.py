"""The ``mnmf`` command, also as ``python -m mnmf``."""

import io
import os
import signal
import sys
import warnings
from contextlib import suppress
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> None:
    """Run the command line; Ctrl-C at any time, even while modules load, ends with status 130 and no traceback.

    So does a signal to end, such as when the terminal closes: with 128 and its number.
    """
    for number in SIGNALS:
        # What nohup and the like have switched off stays off.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries, which mean nothing to who runs a command
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter shows a question mark; the stems do not depend on it.
            stream.reconfigure(errors="replace")
    try:
        from mnmf.cli import run

        status = run()
    except KeyboardInterrupt as interrupt:
        written = (
            "all was written" if getattr(sys.modules.get("mnmf.output"), "PUBLISHED", ()) else "nothing was written"
        )
        with suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"mnmf: interrupted; {written}\n")
            sys.stderr.flush()
        if (terminal := sys.modules.get("mnmf.cli._terminal")) is not None:
            terminal.stop()  # once more, for what a thread has begun since
        # A worker may still be inside a kernel; waiting for it would keep the user waiting.
        os._exit(128 + (interrupt.args[0] if interrupt.args else signal.SIGINT))
    # LLVM now and then aborts when the interpreter takes it down, and a finished run must not end in a crash.
    os._exit(_flushed(status))


def _flushed(status: int) -> int:
    """Write what is still to be written, and return the exit status: another one if it cannot be."""
    try:
        sys.stdout.flush()
    except OSError as error:
        status = status or 2
        with suppress(OSError):
            sys.stderr.write(f"mnmf: standard output cannot be written: {error.strerror}\n")
    with suppress(OSError):
        sys.stderr.flush()
    return status


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the run, and let nothing interrupt what it leaves behind from being cleared away."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    main()
