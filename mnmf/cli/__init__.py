"""The commands, one file each.  The only package that prints, and the only one that knows of terminals and exit codes.

`run` is what ``mnmf`` and ``python -m mnmf`` call.  What needs numba or pyroomacoustics is imported by the command that
uses it, so that ``--help`` and mistakes are quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from errno import EDQUOT, EIO, ENOSPC

import click

from mnmf._version import __version__
from mnmf.cli import (
    check,
    cite,
    demo,
    export,
    init,
    inspect,
    learn,
    methods,
    mushra,
    notes,
    plan,
    report,
    score,
    separate,
)
from mnmf.cli._terminal import REFUSED, fail, unforeseen
from mnmf.errors import MnmfError
from mnmf.folders import SeveralTakes

__all__ = ["run"]


COMPLETE = "_MNMF_COMPLETE"  # set by a shell that asks how a command may go on, and by who sets that up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mnmf")
def group() -> None:
    """Separate musicians who played together in one room, from their close microphones."""


for _module in (separate, inspect, init, learn, plan, score, check, report, export, demo, methods, cite, mushra, notes):
    group.add_command(_module.command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or 2 after one line on stderr that says what to change.

    An error that nobody has foreseen is one line, too, and status 70; MNMF_TRACEBACK=1 in the environment shows more.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if os.environ.get(COMPLETE):
        return _completed(words)
    try:
        # Not group.main, which prints on its own when interrupted.
        with group.make_context("mnmf", words) as context:
            group.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return REFUSED
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        command = "mnmf" if where is None else where.command_path
        return fail(f"{error.format_message().rstrip('.')} (see {command} --help)")
    except click.exceptions.Exit as request:
        return request.exit_code
    except SeveralTakes as error:
        return fail(str(error).replace("mnmf separate ", f"mnmf {words[0]} "))
    except MnmfError as error:
        return fail(str(error))
    except OSError as error:
        # An error of a disk that names no file is one of the standard output.
        place = error.filename or ("the output cannot be written" if error.errno in (ENOSPC, EDQUOT, EIO) else "")
        return fail(f"{place}: {error.strerror}" if place else str(error))
    except MemoryError:
        return fail("not enough memory for this take; cut it into shorter ones or use fewer --components")
    except Exception as error:
        return unforeseen(error)
    return 0


def _completed(words: Sequence[str]) -> int:
    """Answer a shell that asks how a command may go on."""
    try:
        group.main(words, prog_name="mnmf", complete_var=COMPLETE)
    except SystemExit as done:
        return int(done.code or 0)
