"""The pages of the documentation and their blocks of code, as Markdown understands them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
# The site has the first four as pages of its own; what Sphinx makes of docstrings is none.
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES += [page for page in sorted(ROOT.glob("docs/**/*.md")) if page.parent != ROOT / "docs" / "api" / "made"]
INDENTED = "indented"  # the kind of a block without fences


@dataclass(frozen=True)
class Block:
    """A block of code: on which page and line it begins, the language that its fence names, and what it says."""

    page: str
    line: int
    kind: str
    text: str


def found(text, page="page.md"):
    """Return the blocks of a page's text."""
    tokens = [each for each in MarkdownIt().parse(text) if each.type in ("fence", "code_block")]
    kinds = [each.info.strip() if each.type == "fence" else INDENTED for each in tokens]
    return [Block(page, each.map[0] + 1, kind, each.content) for each, kind in zip(tokens, kinds)]


@cache
def every_block():
    """Return the blocks of all pages that this distribution has."""
    there = [page for page in PAGES if page.exists()]
    return [block for page in there for block in found(page.read_text("utf-8"), page.relative_to(ROOT).as_posix())]


def blocks(kind):
    """Return the texts of the blocks of a kind, by page."""
    by_page = {}
    for block in every_block():
        if block.kind == kind:
            by_page.setdefault(block.page, []).append(block.text)
    return by_page
