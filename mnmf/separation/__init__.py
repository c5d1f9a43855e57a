"""The whole story, from a take to its stems: where everything else meets.  No equations, no files, no printing."""

from mnmf.separation._result import Part, Separation, Stems, check_reduction
from mnmf.separation._separate import Holder, Options, learn, separate, separate_to

__all__ = ["Holder", "Options", "Part", "Separation", "Stems", "check_reduction", "learn", "separate", "separate_to"]
