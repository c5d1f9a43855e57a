"""What is known about the musicians before a model is fitted; one file for each kind of knowledge.

The variants of a method share its equations.  They differ in what they start from and in what they may change.  So a
variant is a `Prior`: optional starting values, and the names of those that the model holds fixed or pulls towards their
starting values.  Each function here turns one kind of knowledge into a prior.  ``a | b`` joins two priors, with the
values of b where both have one, and ``hold``, ``pull`` and ``release`` say what a model may change.  Priors are plain
data: models read them and never change them.

Functions that return a prior:

======================  ==============  ==========================================================
function                gives           from
======================  ==============  ==========================================================
`solo`                  Q               solo passages
`solo_covariances`      R               solo passages
`likely_covariances`    R               solo passages, every frame alike
`unmixing`              Q               covariances
`room_covariances`      R               covariances of a fit, without what no room would do
`solo_bases`            W               solo passages
`solo_panning`          G               solo passages
`solo_mixing`           G               solo passages
`geometry`              Q               coordinates of microphones and players
`spot`                  W, H, G, Q      what each spot hears best
`spot_panning`          G               the moments at which a spot hears hardly anyone else
`spot_activations`      H, G, Q         what each spot hears best, and given bases W
`activations`           H               the spectrum of each source alone, and given bases W
`estimate_covariances`  R               estimates of the sources, by a network or another tool
`circular`, `random`    W, H, G, Q      nothing: the blind starts of the literature
`NoteDictionary.prior`  W               isolated notes of the instruments (`mnmf.notes`)
`Prior` itself          any             arrays of one's own
======================  ==============  ==========================================================

Functions and types that help to make one:

======================  ==================================================================================
`Anchor`                covariances that a full-rank model is drawn towards, and how strongly
`Estimator`             what a callable that estimates the sources of a take must accept and return
`Mask`                  an estimate as a mask of what a spot heard
`estimate`              calls an estimator; one waveform for each source
`bleed_sharpness`       how sharply `spot` should tell sources apart, from the bleed in the spots
`estimate_shares`       from estimates, which part of what each spot heard belongs to its own player
`estimate_trust`        how much more reliable the estimates are than the spots
`steering`              how direct sound reaches the microphones, from coordinates
`speed_of_sound`        in air of a given temperature
======================  ==================================================================================

Models, and the dictionaries of notes themselves, do not live here.
"""

from mnmf.priors._activations import activations, spot_activations
from mnmf.priors._blind import circular, random
from mnmf.priors._estimates import (
    Estimator,
    Mask,
    bleed_sharpness,
    estimate,
    estimate_covariances,
    estimate_shares,
    estimate_trust,
)
from mnmf.priors._geometry import geometry, speed_of_sound, steering
from mnmf.priors._prior import Anchor, Prior
from mnmf.priors._solo import (
    likely_covariances,
    solo,
    solo_bases,
    solo_covariances,
    solo_mixing,
    solo_panning,
    unmixing,
)
from mnmf.priors._spot import spot, spot_panning
from mnmf.priors._transfer import room_covariances

__all__ = [
    "Anchor",
    "Estimator",
    "Mask",
    "Prior",
    "activations",
    "bleed_sharpness",
    "circular",
    "estimate",
    "estimate_covariances",
    "estimate_shares",
    "estimate_trust",
    "geometry",
    "likely_covariances",
    "random",
    "room_covariances",
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
    "unmixing",
]
