"""Links that leave the folder of the pages: to a page that includes the file, to the file, or to nothing but words.

GitHub shows the same files, where `../CONTRIBUTING.md` is a place; on the site it is not. Notebooks, scripts and other
files are put onto the site, to be downloaded there.
"""

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
CODE = re.compile(r"(```.*?```)", re.DOTALL)
INCLUDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "benchmarks/README.md": "benchmarks.md",
}
STANDS_FOR = {page: name for name, page in INCLUDED.items() if page != "index.md"}


def mended(text: str, page: Path, docs: Path) -> str:
    """Return a page's text with links that hold on the site.

    Parameters
    ----------
    text : str
    page : Path
        Where the text stands in the repository, which its links are relative to.
    docs : Path
        The folder of the pages.
    """
    included = {docs.parent / name: docs / target for name, target in INCLUDED.items()}
    shown = included.get(page, page)

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        path = Path(os.path.normpath(page.parent / target))
        path = included.get(path, path)
        if path.is_dir() and (path / "index.md").exists():
            path = path / "index.md"
        if docs not in path.parents and (path.suffix == ".md" or not path.is_file()):
            return words
        there = Path(os.path.relpath(path, shown.parent)).as_posix()
        return f"[{words}]({there}{anchor if path.suffix == '.md' else ''})"

    parts = CODE.split(text)
    return "".join(part if i % 2 else LINK.sub(link, part) for i, part in enumerate(parts))


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Mend a page before it is parsed; put the file in its place that the page stands for."""
    docs = Path(app.srcdir)
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    stands_for = STANDS_FOR.get(page.name) if page.parent == docs else None
    if stands_for is not None:
        original = docs.parent / stands_for
        app.env.note_dependency(str(original))
        source[0] = mended(original.read_text("utf-8"), original, docs)
    else:
        source[0] = mended(source[0], page, docs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
