"""What is known about the musicians before a model is fitted, one file a kind of knowledge.

A method's variants differ in what they are told and what they may change, not in their equations.  So a variant is a
`Prior`: optional starting values and the names of those held fixed.  Each function here turns one kind of knowledge
(solo passages, what each spot hears best) into a prior; ``|`` joins them, the right one winning, and ``hold`` fixes
them.  Priors are plain data: models read them and never change them.
"""

from mnmf.priors._prior import Prior
from mnmf.priors.solo import solo, solo_bases, solo_covariances
from mnmf.priors.spot import spot

__all__ = ["Prior", "solo", "solo_bases", "solo_covariances", "spot"]
