"""The whole story, from a take to its stems: where everything else meets.  No equations, no files, no printing."""

from mnmf.separation._result import Part, Separation, Stems, check_reduction
from mnmf.separation._separate import Holder, Options, learn, separate, separate_to
from mnmf.separation._separate import check_asked as check_asked
from mnmf.separation._whole import as_recorded

__all__ = [
    "Holder",
    "Options",
    "Part",
    "Separation",
    "Stems",
    "as_recorded",
    "check_reduction",
    "learn",
    "separate",
    "separate_to",
]
