"""The methods by their names: recipes, which are values.

A `Method` is a model, the prior that it starts from and its settings; a variant is another prior.  It says itself what
it needs and refuses what it cannot use, so nobody else has to know one method from another.  `mnmf.separate` runs them.

===============  ======================================================================
file             what lives there
===============  ======================================================================
`_evidence`      `Evidence`, what a prior may learn from
`_method`        `Method`, what a recipe is, and how one is found by its name
`_starts`        what the methods start from, functions that make a prior of the evidence
`_trusting`      what the default method starts from
`_recipes`       the recipes
`_papers`        where the methods were published, and BibTeX of it
`_missing`       `fill_in`, `predicted`: what muted microphones would have heard
===============  ======================================================================

Models and priors do not live here, nor does what is done with a method.
"""

from mnmf.methods._evidence import Evidence
from mnmf.methods._method import METHODS, Method, find_method
from mnmf.methods._method import Known as Known
from mnmf.methods._missing import fill_in, missing_of, predicted
from mnmf.methods._papers import PAPERS, SOFTWARE, Paper, latex, paper_of
from mnmf.methods._recipes import DEFAULT_METHOD

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "PAPERS",
    "SOFTWARE",
    "Evidence",
    "Method",
    "Paper",
    "fill_in",
    "find_method",
    "latex",
    "missing_of",
    "paper_of",
    "predicted",
]
