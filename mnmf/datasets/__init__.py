"""Multitrack datasets as they lie on disk: the dry stems of a piece, to simulate and to measure with.

`pieces` finds the pieces in a folder by what the folder holds, up to two levels down, so it takes the folder of a
dataset, the one above it, or one that holds several datasets.

============  ==================================  ========================================================
dataset       source                              one piece
============  ==================================  ========================================================
URMP          Li et al. 2019                      ``01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav``
Bach10 v1.1   Duan and Pardo 2011                 ``01-AchGottundHerr/01-AchGottundHerr-violin.wav``
EnsembleSet   Sarkar et al. 2022                  ``MiseroPargoletto/Close/Violin_1.flac``
MUSDB18-HQ    Rafii et al. 2019                   ``train/A Classic Education - NightOwl/vocals.wav``
own           one's own folders                   ``piece/stems/1_violin.flac``, ``piece/solos/1_violin.flac``
============  ==================================  ========================================================

Wherever a file is .wav in this table, .flac will do, and the other way round.  Nothing is downloaded.  Rooms to render
the stems in are in `mnmf.simulate`, the quartet that comes with the library in `mnmf.data`, and takes of real
microphones are opened by `mnmf.session`.
"""

from mnmf.datasets._pieces import Piece, pieces, recognise
from mnmf.datasets._readers import DATASETS

__all__ = ["DATASETS", "Piece", "pieces", "recognise"]
