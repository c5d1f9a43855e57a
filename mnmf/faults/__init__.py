"""What is wrong with a take before it is separated: arrays in, findings out.

`inspect` walks once through a take of any length, and looks closely at some excerpts of it.  Each microphone by itself:
level, clipping, offset, hum, and whether it hears anything.  Microphones together: copies and mixes, and from the bleed
between them who is late, drifts or is flipped, who is heard how loudly where, and where somebody seems to play alone.

Nothing is corrected here; `mnmf.align` does that, and `mnmf.session` knows what it means for spots.
"""

from mnmf.faults._findings import GRADES, KINDS, NOTHING, Finding, Inspection
from mnmf.faults._inspect import inspect

__all__ = ["GRADES", "KINDS", "NOTHING", "Finding", "Inspection", "inspect"]
