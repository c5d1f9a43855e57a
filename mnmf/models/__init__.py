"""The separation methods, one file a method, and what they have in common.

A model's constructor takes hyper-parameters only and stores them unchanged.

``fit(X_FTM, prior=None, *, rng=0, callback=None)`` learns from a spectrogram and returns the model.  It starts afresh
each time and never changes its inputs.  What is known beforehand comes in the `prior`: starting values and the names
of those to hold fixed.  What was learned is in attributes with a trailing underscore (``W_``, ``H_``, ``R_``, ...,
``spots_``); ``cost_`` has one number an iteration.  ``n_sources=None`` means the prior's number, else that of the
microphones.  `rng` is a seed or a ``numpy.random.Generator``; the same one gives the same bytes.  ``callback(done,
cost)`` is called after each iteration and ends the fit by returning true.

``separate(X_FTM)`` gives each source at its own spot, (F, T, N): the spots are the prior's, else source i is at
microphone i.  ``images(X_FTM, source, mics=None)`` gives one source at the microphones, (F, T, M); at each microphone
the images of all sources sum to the mixture.  Both take the spectrogram that was fitted, or another of its shape.

``save(path)`` and ``load(path)`` use ``.npz`` without pickle.

A model fitted without knowing the spots has its sources in no order; `assign_spots` finds whose is whose.
`match_gains` undoes what preamplifiers were changed by between the solos and the take; `changed_gains` says by how
much.

There is no base class: the methods share these words and `_iterate`, and differ in everything else.
"""

from mnmf.models._assign import assign_spots
from mnmf.models._gains import changed_gains, match_gains
from mnmf.models.fastmnmf2 import FastMNMF2
from mnmf.models.fullrank import FullRankMNMF
from mnmf.models.kamir import KAMIR
from mnmf.models.ntf import NTFPanning
from mnmf.models.timedomain import TimeDomain

__all__ = [
    "KAMIR",
    "FastMNMF2",
    "FullRankMNMF",
    "NTFPanning",
    "TimeDomain",
    "assign_spots",
    "changed_gains",
    "match_gains",
]
