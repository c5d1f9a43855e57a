"""Dictionaries of notes: the spectrum of every note that an instrument plays, as bases for a model.

`NoteDictionary` is learned from a library of isolated notes, or comes embedded, and gives a prior of W for any window
and sample rate.  How files of notes are named, what instruments are called and the picture of a dictionary live beside
it; the models that use the bases do not.
"""

from mnmf.notes._dictionary import NoteDictionary

__all__ = ["NoteDictionary"]
