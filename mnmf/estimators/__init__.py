"""Ways to estimates of the sources that are not ours: folders of stems, commands, networks.

Each is a `priors.Estimator`, a callable, for `mnmf.separate` to start from.  Nothing here imports a neural framework
before it is called, and none is needed by anything else.
"""

from mnmf.estimators._cache import cache_folder, cached
from mnmf.estimators._command import TIMEOUT, Command, stop_commands
from mnmf.estimators._folder import StemFolder
from mnmf.estimators._networks import Channels, demucs, equivariant, onnx, torchscript

__all__ = [
    "TIMEOUT",
    "Channels",
    "Command",
    "StemFolder",
    "cache_folder",
    "cached",
    "demucs",
    "equivariant",
    "onnx",
    "stop_commands",
    "torchscript",
]
