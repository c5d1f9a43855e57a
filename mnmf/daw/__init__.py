"""Back into the workstation: a project with each stem muted under its original, made from a finished manifest.

`read_project` turns a folder of stems into tracks and items, which are plain values; only `_reaper` and `_dawproject`
know how a workstation writes them down.  Nothing here reads or changes a sample: a reduction of the bleed becomes the
gains of items, which can be turned afterwards.
"""

from mnmf.daw._files import FORMATS, check_project, write_project
from mnmf.daw._project import Item, Project, Track, dial, read_project

__all__ = ["FORMATS", "Item", "Project", "Track", "check_project", "dial", "read_project", "write_project"]
