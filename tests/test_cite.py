"""BibTeX of the methods: complete, and what LaTeX reads."""

import re
import unicodedata
from pathlib import Path

import pytest
import yaml

from mnmf.cli import run
from mnmf.methods import METHODS, PAPERS, SOFTWARE, Paper, latex, paper_of

ACCENTS = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "~": "\u0303", "^": "\u0302", "v": "\u030c", "c": "\u0327"}
CITATIONS = Path(__file__).parent.parent / "CITATION.cff"


def read_by_latex(text):
    """What LaTeX would print: accents joined to their letters, escapes and braces undone."""
    text = re.sub(
        r"\{\\(['`\"~^]|[vc](?=\{))\{?(\\i|\\j|\w)\}?\}",
        lambda m: unicodedata.normalize("NFC", m[2].strip("\\") + ACCENTS[m[1]]),
        text,
    )
    text = re.sub(r"(?<!\\)[{}]", "", text)
    assert not re.search(r"(?<!\\)[&%$#_~^]", text), text
    return re.sub(r"\\([&%$#_{}])", r"\1", text).replace("--", "–")


def entries(text):
    """The entries of a BibTeX file by their keys, each a dict of its fields."""
    found = {}
    for kind, key, body in re.findall(r"@(\w+)\{([\w-]+),\n(.*?)\n\}", text, re.DOTALL):
        found[key] = {"kind": kind, **dict(re.findall(r"^  (\w+) *= \{(.*)\},$", body, re.MULTILINE))}
        assert body.count("{") == body.count("}")
        assert len(found[key]) == 1 + body.count("\n") + 1, key
    return found


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_paper(name, capsys):
    assert run(["cite", name]) == 0
    printed = capsys.readouterr().out
    assert printed.isascii()
    own = paper_of(METHODS[name].citation)
    found = entries(printed)
    assert list(found) == [own.key, "mnmf"]
    fields = found[own.key]
    assert read_by_latex(fields["author"]) == " and ".join(own.authors)
    assert read_by_latex(fields["title"]) == own.title
    assert fields["year"] == str(own.year)
    assert fields["kind"] == own.kind
    assert {"article": "journal", "inproceedings": "booktitle", "misc": "howpublished"}[own.kind] in fields
    assert METHODS[name].citation.startswith(own.authors[0].split(",")[0])


def test_without_a_method_all_papers_are_printed_once(capsys):
    assert run(["cite"]) == 0
    keys = re.findall(r"^@\w+\{(\w+),$", capsys.readouterr().out, re.MULTILINE)
    assert sorted(keys) == sorted({paper.key for paper in PAPERS.values()} | {"mnmf"})


def test_two_methods_of_one_paper_share_an_entry(capsys):
    assert run(["cite", "mnmf-fixh", "mnmf-updth", "ilrma", "mnmf-fixh"]) == 0
    assert list(entries(capsys.readouterr().out)) == ["cabanas2023", "kitamura2016", "mnmf"]


def test_an_unknown_method_is_refused_with_those_there_are(capsys):
    assert run(["cite", "mnmf-fix"]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert all(name in error for name in METHODS)
    assert "did you mean 'mnmf-fixh'?" in error


def test_one_source_says_where_methods_were_published():
    assert {method.citation for method in METHODS.values()} == set(PAPERS)


@pytest.mark.skipif(not CITATIONS.exists(), reason="CITATION.cff is not part of this distribution")
def test_the_citations_of_the_project_are_the_same():
    known = yaml.safe_load(CITATIONS.read_text("utf-8"))
    assert known["title"] == SOFTWARE.title
    references = {each["title"].casefold(): each for each in known["references"]}
    for paper in PAPERS.values():
        reference = references[paper.title.casefold()]
        assert reference["year"] == paper.year
        families = [each["family-names"] for each in reference["authors"]]
        assert families == [name.split(",")[0].removeprefix("Rajesh ") for name in paper.authors]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Cabañas-Molero", r"Caba{\~n}as-Molero"),
        ("Rodríguez", r"Rodr{\'{\i}}guez"),
        ("Müller & Søn", r"M{\"u}ller \& S{\o}n"),
        (
            "100 % of a_b #1 {x} $ ~ ^ \\",
            r"100 \% of a\_b \#1 \{x\} \$ \textasciitilde{} \textasciicircum{} \textbackslash{}",
        ),
        ("Čapek, Françoise", r"{\v{C}}apek, Fran{\c{c}}oise"),
        ("pages 1–2", "pages 1--2"),
        ("Mu\u0301ller", r"M{\'u}ller"),  # decomposed
    ],
)
def test_latex_is_escaped(text, written):
    assert latex(text) == written


def test_capitals_within_a_title_are_kept_and_names_of_one_part_stay_whole():
    paper = Paper(
        key="x", kind="misc", authors=("The X & Y group",), title="A Wiener filter for NMF, in Kiel", year=2000,
        keep=("Wiener",),
    )  # fmt: skip
    found = entries(paper.bibtex())["x"]
    assert found["title"] == "A {Wiener} filter for {NMF,} in Kiel"
    assert found["author"] == r"{The X \& Y group}"
    assert paper.citation == "The X & Y group 2000, A Wiener filter for NMF, in Kiel"
