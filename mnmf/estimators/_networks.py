"""Networks.  Each a few lines: whatever else they need is theirs to know."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, EstimatorError, check_count, check_rng
from mnmf.estimators._folder import resampled
from mnmf.priors.stems import Estimator

Array = NDArray[Any]
Channels = Callable[[Array, int], Array]  # audio (L, M) and a sample rate to one source a microphone, (L, M)


def equivariant(channels: Channels, n_permutations: int, *, rng: np.random.Generator | int = 0) -> Channels:
    """Average an estimator over orders of the microphones, undone on what it returns (Pandey et al. 2026).

    Which microphone is the first one means nothing in a room; a network for which it does anyway errs less on average.
    The more orders, the nearer the average is to one that does not depend on the order at all.

    Parameters
    ----------
    channels : callable
        Takes audio (L, M) and a sample rate and returns, at any length, one source a microphone, (L, M).
    n_permutations : int
        How many orders, the given one among them; all of them if there are no more.
    rng : numpy.random.Generator or int
        Draws the others, no two alike.

    Returns
    -------
    callable
        As `channels`.  It draws the same orders each time it is called.

    Raises
    ------
    ArgumentError
        Not a positive number; or, when called, `channels` returned something else.
    """
    check_count("n_permutations", n_permutations)
    seed = check_rng(rng).integers(2**63)

    def averaged(audio_LM: Array, sample_rate: int) -> Array:
        total_LM: Array | None = None
        orders = _orders(audio_LM.shape[1], n_permutations, np.random.default_rng(seed))
        for order in orders:
            y_LM = np.asarray(channels(np.ascontiguousarray(audio_LM[:, order]), sample_rate))
            if y_LM.ndim != 2 or y_LM.shape[1] != audio_LM.shape[1]:
                raise ArgumentError(
                    f"an estimator to average must return one source a microphone, (L, {audio_LM.shape[1]}), got "
                    f"{y_LM.shape}"
                )
            undone_LM = y_LM[:, np.argsort(order)].astype(np.float64)
            total_LM = undone_LM if total_LM is None else total_LM + undone_LM
        assert total_LM is not None
        return (total_LM / len(orders)).astype(np.float32)

    return averaged


def _orders(n_mics: int, count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if count >= math.factorial(min(n_mics, 12)):
        return list(permutations(range(n_mics)))
    orders = {tuple(range(n_mics)): None}
    while len(orders) < count:
        orders[tuple(int(m) for m in rng.permutation(n_mics))] = None
    return list(orders)


def torchscript(path: str | os.PathLike[str], *, sample_rate: int = 44100, device: str = "cpu") -> Channels:
    """Return a TorchScript network as an estimator.

    Parameters
    ----------
    path : path
        Of a file of ``torch.jit.save`` whose forward takes float32 (1, M, L), the microphones, and returns as much, one
        source a microphone.
    sample_rate : int
        At which it works, in Hz.
    device : str
        Where it runs.
    """
    torch = _imported("torch", "torch")
    network = torch.jit.load(os.fspath(path), map_location=device).eval()

    def run(batch: Array) -> Array:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(batch).to(device)).cpu().numpy())

    return _channels(run, sample_rate)


def onnx(path: str | os.PathLike[str], *, sample_rate: int = 44100) -> Channels:
    """Return an ONNX network as an estimator; shapes and parameters as for `torchscript`."""
    runtime = _imported("onnxruntime", "onnxruntime")
    network = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (entry, *_) = network.get_inputs()
    return _channels(lambda batch: np.asarray(network.run(None, {entry.name: batch})[0]), sample_rate)


def demucs(model: Any, stems: Mapping[str, str], spots: Mapping[str, int], *, device: str = "cpu") -> Estimator:
    """Return a Demucs model as an estimator: each source from its own spot.

    Parameters
    ----------
    model : str or torch module
        A pretrained model's name for ``demucs.pretrained.get_model``, which looks for its weights where Demucs keeps
        them and downloads them if they are not there; or a model with ``sources``, ``samplerate`` and
        ``audio_channels`` as Demucs' have.
    stems : mapping of str to str
        Which of the model's stems each source is, as in ``{"cello": "bass"}``.
    spots : mapping of str to int
        The microphone of each source, counted from 0.
    device : str
        Where it runs.

    Raises
    ------
    ArgumentError
        The model has no such stem, or a source no microphone.
    EstimatorError
        Demucs or torch is not installed.
    """
    torch = _imported("torch", "demucs")
    apply_model = _imported("demucs.apply", "demucs").apply_model
    network = _imported("demucs.pretrained", "demucs").get_model(model) if isinstance(model, str) else model
    for source, stem in stems.items():
        if stem not in network.sources:
            raise ArgumentError(f"{source!r}: the model has the stems {', '.join(network.sources)}, not {stem!r}")
        if source not in spots:
            raise ArgumentError(f"{source!r} has no microphone in spots")

    def separated(audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        found = {}
        for source, stem in stems.items():
            x_L1 = resampled(audio_LM[:, [spots[source]]], sample_rate, network.samplerate)
            level = float(np.std(x_L1)) or 1.0  # Demucs was trained on music of this level
            batch = torch.from_numpy(np.repeat(x_L1.T[None] / level, network.audio_channels, axis=1))
            with torch.inference_mode():
                # No random shifts: the same take must give the same stems.
                y_SCL = apply_model(network, batch, device=device, shifts=0)[0]
            y_L1 = y_SCL[network.sources.index(stem)].mean(0).cpu().numpy()[:, None] * level
            found[source] = resampled(y_L1, network.samplerate, sample_rate)[:, 0]
        return found

    return separated


def _channels(run: Callable[[Array], Array], own_rate: int) -> Channels:
    """Wrap what takes and returns (1, M, L) at its own rate."""
    check_count("sample_rate", own_rate)

    def channels(audio_LM: Array, sample_rate: int) -> Array:
        x_LM = resampled(audio_LM.astype(np.float32), sample_rate, own_rate)
        y = run(np.ascontiguousarray(x_LM.T[None]))
        if y.ndim != 3 or y.shape[:2] != (1, audio_LM.shape[1]):
            raise EstimatorError(
                f"the network returned {y.shape}; it must return one source a microphone, (1, {audio_LM.shape[1]}, L)"
            )
        return resampled(np.ascontiguousarray(y[0].T), own_rate, sample_rate)[: len(audio_LM)]

    return channels


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise EstimatorError(f"this needs {package}, which is not installed: pip install {package}") from error
