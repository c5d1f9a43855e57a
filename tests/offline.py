"""Runs a module as a command, and fails if it asked for anything of the network: `python -m tests.offline sphinx …`.

What is asked for is refused, and counts even where the module takes the refusal well.
"""

import runpy
import sys

ASKING = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")

asked = []


def refuse(event, arguments):
    """Note and refuse what leaves the machine; a socket of Unix has a path and no host."""
    if event in ASKING and not (event == "socket.connect" and isinstance(arguments[1], str | bytes)):
        asked.append(f"{event} {arguments}")
        raise OSError(f"no network is to be used: {asked[-1]}")


def main():
    sys.addaudithook(refuse)
    sys.argv = sys.argv[1:]
    status = 0
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
    if asked:
        sys.stderr.write("\n".join([*asked, ""]))
    sys.exit(status or bool(asked))


if __name__ == "__main__":
    main()
