"""What is known about the musicians before a model is fitted, one file a kind of knowledge.

A method's variants differ in what they are told and what they may change, not in their equations.  So a variant is a
`Prior`: optional starting values and the names of those held fixed, or pulled towards where they start.  Each function
here turns one kind of knowledge into a prior; ``|`` joins them, the right one winning, and ``hold``, ``pull`` and
``release`` say what a model may change.  Priors are plain data: models read them and never change them.

=====================  ==============  ==========================================
function               gives           from
=====================  ==============  ==========================================
`solo`                 Q               solo passages
`solo_covariances`     R               solo passages
`solo_bases`           W               solo passages
`solo_panning`         G               solo passages
`solo_mixing`          G               solo passages
`geometry`             Q               coordinates of mics and players
`spot`                 W, H, G, Q      what each spot hears best
`spot_panning`         G               where a spot hears hardly anyone else
`spot_activations`     H, G, Q         the same, with bases W that are given
`activations`          H               an estimate of each source, and bases W
`estimate_covariances`     R               estimates of the sources, by a network or another tool
`circular`, `random`   W, H, G, Q      nothing: the blind starts of the literature
`notes.NoteDictionary` W               isolated notes of the instruments
`Prior` itself         any             arrays of one's own
=====================  ==============  ==========================================
"""

from mnmf.priors._activations import activations, spot_activations
from mnmf.priors._blind import circular, random
from mnmf.priors._estimates import Estimator, Mask, estimate, estimate_covariances, estimate_shares, estimate_trust
from mnmf.priors._geometry import geometry, speed_of_sound, steering
from mnmf.priors._prior import Prior
from mnmf.priors._solo import solo, solo_bases, solo_covariances, solo_mixing, solo_panning
from mnmf.priors._spot import spot, spot_panning

__all__ = [
    "Estimator",
    "Mask",
    "Prior",
    "activations",
    "circular",
    "estimate",
    "estimate_covariances",
    "estimate_shares",
    "estimate_trust",
    "geometry",
    "random",
    "solo",
    "solo_bases",
    "solo_covariances",
    "solo_mixing",
    "solo_panning",
    "speed_of_sound",
    "spot",
    "spot_activations",
    "spot_panning",
    "steering",
]
