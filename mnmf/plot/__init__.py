"""Pictures of takes, stems and models, for those who want to see what a separation does.

Each function draws one picture on Axes of matplotlib and returns them: on ``ax`` if it is given, else on a new figure.
It takes arrays, or what the library has made: a `Separation`, a fitted model, a `NoteDictionary`.  Titles say what to
see, axes have units, and colours can be told apart by all who see.

================  =====================================================================
`_spectrograms`   a spot before and after, with one scale
`_notes`          bases with the names of their notes, and when they sound
`_mixing`         how loud every source is at every microphone
`_cost`           the cost of one fit or several
`_axes`           new axes, names that are safe to draw, heat maps
================  =====================================================================

matplotlib is needed only here and by ``mnmf notes show``, and only when something is drawn: ``pip install
'mnmf[plot]'``.
"""

from mnmf.plot._cost import cost
from mnmf.plot._mixing import bleed, spatial_weights
from mnmf.plot._notes import activations, bases
from mnmf.plot._spectrograms import spectrogram_pair

__all__ = ["activations", "bases", "bleed", "cost", "spatial_weights", "spectrogram_pair"]
