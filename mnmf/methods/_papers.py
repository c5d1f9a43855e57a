"""Where the methods were published, and how that is written in BibTeX; the one place where either stands."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from mnmf._version import __version__

__all__ = ["PAPERS", "SOFTWARE", "Paper", "latex", "paper_of"]

TASL = "IEEE Transactions on Audio, Speech, and Language Processing"
TASLP = "IEEE/ACM Transactions on Audio, Speech, and Language Processing"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "β": r"$\beta$",
    "ß": r"{\ss}",
    "ø": r"{\o}",
    "ł": r"{\l}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
# Accents as LaTeX writes them, by the character that Unicode combines with a letter.
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0308": '"',
    "\u030a": "r",
    "\u030c": "v",
    "\u0327": "c",
}


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A publication.

    Parameters
    ----------
    key : str
        By which LaTeX cites it.
    kind : {"article", "inproceedings", "misc"}
        The type of its BibTeX entry.
    authors : tuple of str
        'Family, Given', or a name that is not to be taken apart, without a comma.
    title : str
    short : str
        The title as `Method.citation` has it, which is shorter; `title` if empty.
    year : int
    fields : dict of str to str
        What else BibTeX is given, in its words: journal, volume, pages, ….
    keep : tuple of str
        Words of the title that keep their capital in any style, besides those with a capital inside.

    Examples
    --------
    >>> from mnmf.methods import METHODS, paper_of
    >>> paper_of(METHODS["ilrma"].citation).citation
    'Kitamura et al. 2016, Determined blind source separation unifying IVA and NMF'
    """

    key: str
    kind: Literal["article", "inproceedings", "misc"]
    authors: tuple[str, ...]
    title: str
    year: int
    short: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()

    @property
    def citation(self) -> str:
        """In one line: who, when, what."""
        families = [name.split(",")[0] for name in self.authors]
        who = f"{families[0]} et al." if len(families) > 2 else " and ".join(families)
        return f"{who} {self.year}, {self.short or self.title}"

    def bibtex(self) -> str:
        """Return the BibTeX entry, in ASCII."""
        # Braces keep a name of one part whole.
        names = [latex(name) if "," in name else f"{{{latex(name)}}}" for name in self.authors]
        given = {"author": " and ".join(names), "title": self._title()}
        given |= {name: text if name == "doi" else latex(text) for name, text in self.fields.items()}
        given["year"] = str(self.year)
        width = max(map(len, given))
        lines = [f"  {name:{width}} = {{{value}}}," for name, value in given.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])

    def _title(self) -> str:
        """Return the title with braces around what must keep its capitals."""
        words = re.split(r"([\s-]+)", self.title)
        return "".join(
            f"{{{latex(word)}}}" if re.search(r".[A-Z]", word) or word.strip(".,:") in self.keep else latex(word)
            for word in words
        )


def latex(text: str) -> str:
    r"""Return text as LaTeX writes it in ASCII: accents as commands, and no character that steers it.

    Examples
    --------
    >>> from mnmf.methods import latex
    >>> print(latex("Prätzlich & Muñoz, 5 %"))
    Pr{\"a}tzlich \& Mu{\~n}oz, 5 \%
    """
    written: list[str] = []
    for letter in unicodedata.normalize("NFC", text):
        base, *marks = list(unicodedata.normalize("NFD", letter))
        if marks and all(mark in _ACCENTS for mark in marks):
            inner = {"i": r"\i", "j": r"\j"}.get(base, base)
            for mark in marks:
                accent = _ACCENTS[mark]
                inner = f"\\{accent}{{{inner}}}" if accent.isalpha() or len(inner) > 1 else f"\\{accent}{inner}"
            written.append(f"{{{inner}}}")
        else:
            written.append(_SPECIAL.get(letter, letter))
    return "".join(written)


def paper_of(citation: str) -> Paper | None:
    """Return the paper that `Method.citation` means; None for a method of one's own.

    Examples
    --------
    >>> from mnmf.methods import paper_of
    >>> paper_of("Doe 2030, A method of my own") is None
    True
    """
    return PAPERS.get(citation)


def _papers(*papers: Paper) -> dict[str, Paper]:
    return {paper.citation: paper for paper in papers}


CABANAS_2023 = Paper(
    key="cabanas2023",
    kind="inproceedings",
    authors=("Cabañas-Molero, Pablo", "Carabias-Orti, Julio", "Muñoz-Montoro, Antonio J.", "Vera-Candeas, Pedro"),
    title="Pre-trained spatial priors on multichannel NMF for music source separation",
    short="Pre-trained spatial priors on multichannel NMF",
    year=2023,
    fields={"booktitle": "Forum Acusticum"},
)
SAWADA_2013 = Paper(
    key="sawada2013",
    kind="article",
    authors=("Sawada, Hiroshi", "Kameoka, Hirokazu", "Araki, Shoko", "Ueda, Naonori"),
    title="Multichannel extensions of non-negative matrix factorization with complex-valued data",
    short="Multichannel extensions of NMF with complex-valued data",
    year=2013,
    fields={
        "journal": TASL,
        "volume": "21",
        "number": "5",
        "pages": "971–982",
        "doi": "10.1109/TASL.2013.2239990",
    },
)
SEKIGUCHI_2020 = Paper(
    key="sekiguchi2020",
    kind="article",
    authors=(
        "Sekiguchi, Kouhei",
        "Bando, Yoshiaki",
        "Nugraha, Aditya Arie",
        "Yoshii, Kazuyoshi",
        "Kawahara, Tatsuya",
    ),
    title="Fast multichannel nonnegative matrix factorization with directivity-aware jointly-diagonalizable spatial "
    "covariance matrices for blind source separation",
    short="Fast multichannel NMF with directivity-aware covariances",
    year=2020,
    fields={"journal": TASLP, "volume": "28", "pages": "2610–2625"},
)
KITAMURA_2016 = Paper(
    key="kitamura2016",
    kind="article",
    authors=(
        "Kitamura, Daichi",
        "Ono, Nobutaka",
        "Sawada, Hiroshi",
        "Kameoka, Hirokazu",
        "Saruwatari, Hiroshi",
    ),
    title="Determined blind source separation unifying independent vector analysis and nonnegative matrix "
    "factorization",
    short="Determined blind source separation unifying IVA and NMF",
    year=2016,
    fields={
        "journal": TASLP,
        "volume": "24",
        "number": "9",
        "pages": "1626–1641",
        "doi": "10.1109/TASLP.2016.2577880",
    },
)
CARABIAS_2013 = Paper(
    key="carabias2013",
    kind="article",
    authors=("Carabias-Orti, Julio J.", "Cobos, Máximo", "Vera-Candeas, Pedro", "Rodríguez-Serrano, Francisco J."),
    title="Nonnegative signal factorization with learnt instrument models for sound source separation in "
    "close-microphone recordings",
    short="Nonnegative signal factorization with learnt instrument models",
    year=2013,
    fields={
        "journal": "EURASIP Journal on Advances in Signal Processing",
        "volume": "2013",
        "number": "184",
        "doi": "10.1186/1687-6180-2013-184",
    },
)
PRAETZLICH_2015 = Paper(
    key="praetzlich2015",
    kind="inproceedings",
    authors=("Prätzlich, Thomas", "Bittner, Rachel M.", "Liutkus, Antoine", "Müller, Meinard"),
    title="Kernel additive modeling for interference reduction in multi-channel music recordings",
    short="Kernel additive modeling for interference reduction",
    year=2015,
    fields={"booktitle": "ICASSP"},
)
MARKOVICH_2009 = Paper(
    key="markovich2009",
    kind="article",
    authors=("Markovich, Shmulik", "Gannot, Sharon", "Cohen, Israel"),
    title="Multichannel eigenspace beamforming in a reverberant noisy environment with multiple interfering speech "
    "signals",
    short="Multichannel eigenspace beamforming in a reverberant noisy environment",
    year=2009,
    fields={
        "journal": TASL,
        "volume": "17",
        "number": "6",
        "pages": "1071–1086",
        "doi": "10.1109/TASL.2009.2016395",
    },
)
KOKKINIS_2012 = Paper(
    key="kokkinis2012",
    kind="article",
    authors=("Kokkinis, Elias K.", "Reiss, Joshua D.", "Mourjopoulos, John"),
    title="A Wiener filter approach to microphone leakage reduction in close-microphone applications",
    short="A Wiener filter approach to microphone leakage reduction",
    year=2012,
    fields={"journal": TASL, "volume": "20", "number": "3", "pages": "767–779"},
    keep=("Wiener",),
)
RAJESH_2023 = Paper(
    key="rajesh2023",
    kind="misc",
    authors=("Rajesh R",),
    title="Interference reduction in music source separation for live recordings",
    year=2023,
    fields={"howpublished": "Open seminar, Indian Institute of Technology Mandi"},
)
PAPERS = _papers(
    CABANAS_2023,
    SAWADA_2013,
    SEKIGUCHI_2020,
    KITAMURA_2016,
    CARABIAS_2013,
    PRAETZLICH_2015,
    MARKOVICH_2009,
    KOKKINIS_2012,
    RAJESH_2023,
)
SOFTWARE = Paper(
    key="mnmf",
    kind="misc",
    authors=("The mnmf authors",),
    title="mnmf: spatial non-negative matrix factorisation for musicians recorded together",
    year=2026,
    fields={"note": f"Version {__version__}"},
    keep=("mnmf",),
)
