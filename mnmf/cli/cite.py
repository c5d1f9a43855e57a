"""``mnmf cite``: where methods were published, in BibTeX."""

from __future__ import annotations

import click

from mnmf.cli._terminal import say

__all__ = ["command"]


@click.command("cite", short_help="Print BibTeX of the methods' papers.")
@click.argument("method", nargs=-1)
def command(method: tuple[str, ...]) -> None:
    """Print BibTeX for the paper of a METHOD, or of several, and for mnmf itself.

    `mnmf methods` lists the methods. Without a METHOD it prints the papers of all of them.
    """
    from mnmf.methods import METHODS, SOFTWARE, find_method, paper_of

    chosen = [find_method(name) for name in dict.fromkeys(method)] or list(METHODS.values())
    papers = [paper_of(each.citation) for each in chosen]
    entries = dict.fromkeys(paper.bibtex() for paper in (*papers, SOFTWARE) if paper is not None)
    for line in "\n\n".join(entries).splitlines():
        say(line)
