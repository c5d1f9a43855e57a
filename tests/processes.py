"""Programs that tests start: signals have their effect on them, and none is left when a test ends."""

import os
import signal
import subprocess
from contextlib import suppress

_STARTED = []


def restored_signals():
    """Let signals end a program, whatever those who started the tests, such as nohup or a shell's &, switched off.

    To be given as `preexec_fn`.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def started(words, **options):
    """Start a program as `subprocess.Popen` does; `end_all` ends it if the test has not."""
    options.setdefault("preexec_fn", restored_signals)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    _STARTED.append(process)
    return process


def end(number):
    """End the process of that number, if it is still there."""
    with suppress(OSError, ValueError):
        os.kill(int(number), signal.SIGKILL)


def end_all():
    """End what was started and has not ended, so that no later test meets it."""
    while _STARTED:
        process = _STARTED.pop()
        if process.poll() is None:
            process.kill()
        process.communicate()
