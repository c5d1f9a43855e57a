"""Dictionaries of notes: the spectrum of every note that an instrument plays, as bases for a model.

A `NoteDictionary` is learned from a library of isolated notes, or is the one that comes with mnmf, and gives a prior of
W for any window and sample rate.  The private modules of this package read libraries of notes (`_library`), understand
names of instruments and pitches (`_instruments`) and draw a dictionary (`_drawing`).  The models that use the bases do
not live here.
"""

from mnmf.notes._dictionary import NoteDictionary

__all__ = ["NoteDictionary"]
