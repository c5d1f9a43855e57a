"""The ``mnmf`` command, also as ``python -m mnmf``."""

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C at any time, even while modules load, ends with status 130 and no traceback."""
    try:
        from mnmf.cli import run

        status = run()
    except KeyboardInterrupt:
        sys.stderr.write("mnmf: interrupted; nothing was written\n")
        sys.stderr.flush()
        # A worker may still be inside a kernel; waiting for it would keep the user waiting.
        os._exit(130)
    sys.exit(status)


if __name__ == "__main__":
    main()
