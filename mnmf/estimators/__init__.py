"""Estimates of the sources from outside: from a folder of audio files, from another program, from a neural network.

Each is a `priors.Estimator`, a callable that a separation can start from.  No neural framework is imported before it is
used, and nothing else in mnmf needs one.  What a separation takes from estimates does not live here but in
`mnmf.priors`.

==============================================  ===========================================================
`EstimateFolder`                                a folder with one audio file for each source
`Command`, `stop_commands`                      any program that reads audio and writes audio
`demucs`, `torchscript`, `onnx`, `equivariant`  networks, and the average of one over orders of microphones
`cached`, `cache_folder`                        remembers what an estimator returned
`Channels`                                      the type of estimators with one source for each microphone
`TIMEOUT`                                       seconds that a `Command` may take by default
==============================================  ===========================================================
"""

from mnmf.estimators._cache import cache_folder, cached
from mnmf.estimators._command import TIMEOUT, Command, stop_commands
from mnmf.estimators._folder import EstimateFolder
from mnmf.estimators._networks import Channels, demucs, equivariant, onnx, torchscript

__all__ = [
    "TIMEOUT",
    "Channels",
    "Command",
    "EstimateFolder",
    "cache_folder",
    "cached",
    "demucs",
    "equivariant",
    "onnx",
    "stop_commands",
    "torchscript",
]
