"""Files to arrays and back: takes are opened and read here, and stems written.

A stem drops into a session under its original, so it keeps that microphone's rate, container, sample format, chunks and
time stamp, and the same samples give the same bytes on every run.  `mnmf.session` knows which microphone belongs to
whom, `mnmf.output` makes folders of results.  Nothing here scales or resamples the sound.

=====================  ================================================================================================
`_recording`           a take: its files as one recording, read from any sample to any other
`_stems`               stems and what is left of a microphone, sample for sample
`_writing`             samples to files, which appear when they are complete
`_together`            files on one clock: which begins later, and what all have
`_sound`               one file as libsndfile reads it, its header mended where need be
`_kept`, `_moved`      the chunks that a stem carries on, and what becomes of places in a part of a file
`_stamps`              time references and the names of tracks
`_walk`, `_layout`     from chunk to chunk through a file, and what lies where in it
`_riff`, `_others`,    the containers: WAV, RF64, BW64 and Wave64; AIFF, Core Audio Format and AU; FLAC
`_flac`
`_formats`             sample formats
=====================  ================================================================================================
"""

from mnmf.audio._recording import Mic, Recording
from mnmf.audio._stems import Portion, beyond_full_scale, rest_of, write_stem
from mnmf.audio._writing import MOST_OF_FLAC, write

__all__ = ["MOST_OF_FLAC", "Mic", "Portion", "Recording", "beyond_full_scale", "rest_of", "write", "write_stem"]
