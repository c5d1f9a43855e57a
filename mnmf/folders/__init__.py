"""Folders as recorders leave them: which files a pattern means, which of them make a take, and what their names say.

`mnmf.session` opens what is chosen here.

========  ==============================================================================================
`_names`  what the names of files and tracks say: how microphones are called, which are nobody's spot
`_takes`  names and lengths of files to takes, and how to say which of several is meant
`_disk`   which files a pattern or a folder means; the only one that looks at a disk
========  ==============================================================================================
"""

from mnmf.folders._disk import MOST_FILES, SESSION, audio_in, chosen, is_pattern, matches, texts_in
from mnmf.folders._names import distinct, is_room, name_mics, natural, tracked
from mnmf.folders._takes import SEPARATE, SeveralTakes, Sound, TakeFiles, check_whole, choice, clock, quoted, takes

__all__ = [
    "MOST_FILES",
    "SEPARATE",
    "SESSION",
    "SeveralTakes",
    "Sound",
    "TakeFiles",
    "audio_in",
    "check_whole",
    "choice",
    "chosen",
    "clock",
    "distinct",
    "is_pattern",
    "is_room",
    "matches",
    "name_mics",
    "natural",
    "quoted",
    "takes",
    "texts_in",
    "tracked",
]
