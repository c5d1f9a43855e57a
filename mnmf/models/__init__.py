"""The separation methods, one file a method, and what they have in common.

A model's constructor takes hyper-parameters only and stores them unchanged; `repr` shows those that are not the usual
ones, and ``get_params`` and ``set_params`` are those of scikit-learn, whose ``clone`` works.

``fit(X_FTM, prior=None, *, rng=0, callback=None)`` learns from a spectrogram and returns the model.  It starts afresh
each time and never changes its inputs.  What is known beforehand comes in the `prior`: starting values and the names
of those to hold fixed.  What was learned is in attributes with a trailing underscore (``W_``, ``H_``, ``R_``, ...,
``spots_``); ``cost_`` has one number an iteration.  ``n_sources=None`` means the prior's number, else that of the
microphones.  `rng` is a seed or a ``numpy.random.Generator``; the same one gives the same bytes.  ``callback(done,
cost)`` is called after each iteration and ends the fit by returning true.

``iterate(X_FTM, prior=None, *, rng=0)`` is the same fit as a generator, which yields the model after every update: what
the caller changes in the attributes is what the next update starts from.

``images(X_FTM, source=None, mics=None, *, H=None)`` gives one source at the microphones, (F, T, M), or all of them,
(F, T, M, N).  At each microphone the images of all sources sum to the mixture (but for `TimeDomain`, which leaves over
what it cannot explain).  ``separate(X_FTM, H=None)`` gives each source's image at its own spot, (F, T, N): the spots
are the prior's, else source i is at microphone i.  Sources that outnumber the microphones and have no bases of their
own have no spots either: then ``spots_`` is None and only `images` will do.  All take the spectrogram that was fitted
or another one of its frequencies and microphones, of any number of frames: the activations are then `H`, or those that
``activations(X_FTM, n_iterations=20)`` fits with everything else held.

``save(path)`` and ``load(path)`` use ``.npz`` without pickle.

A model fitted without knowing the spots has its sources in no order; `assign_spots` finds whose is whose.
`match_gains` undoes what preamplifiers were changed by between the solos and the take; `changed_gains` says by how
much.

All of this is written once, in `Model`, of which every method is a direct subclass; what differs is what a model
learns, its updates (`Updates`) and its filter.  The docstring of `Model` shows what a model of one's own needs.
"""

from mnmf.models._assign import assign_spots
from mnmf.models._gains import changed_gains, match_gains
from mnmf.models._held_out import held_out_misfit
from mnmf.models._model import Model, Updates
from mnmf.models._pool import PooledCovariances, PooledDemixing, pool_for
from mnmf.models._presence import presence, silent_sources
from mnmf.models.fastmnmf2 import FastMNMF2
from mnmf.models.fullrank import FullRankMNMF
from mnmf.models.kamir import KAMIR
from mnmf.models.linear import Linear
from mnmf.models.ntf import NTFPanning
from mnmf.models.pairwise import Pairwise
from mnmf.models.timedomain import TimeDomain

__all__ = [
    "KAMIR",
    "FastMNMF2",
    "FullRankMNMF",
    "Linear",
    "Model",
    "NTFPanning",
    "Pairwise",
    "PooledCovariances",
    "PooledDemixing",
    "TimeDomain",
    "Updates",
    "assign_spots",
    "changed_gains",
    "held_out_misfit",
    "match_gains",
    "pool_for",
    "presence",
    "silent_sources",
]
