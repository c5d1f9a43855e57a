"""Neural networks as estimators: at their own sample rate, and with errors that say what to do.

Each adapter is a few lines and imports its framework when it is called.  Architectures, weights and training do not
live here; `mnmf.simulate.training_pairs` makes data to train with.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, EstimatorError, check_count, check_rng
from mnmf.estimators._folder import resampled, stamp
from mnmf.priors._estimates import Estimator

Array = NDArray[Any]
Channels = Callable[[Array, int], Array]  # from audio (L, M) and a sample rate to one source for each mic, (L, M)

DEMUCS_STEMS = ("drums", "bass", "other", "vocals", "guitar", "piano")  # of all models that Demucs comes with
REASON_LENGTH = 200  # characters of a framework's message that are shown


@dataclass(frozen=True, eq=False)
class _Known:
    """An estimator that knows what its result depends on apart from the audio, for `cached`; "" if it does not."""

    estimate: Callable[[Array, int], Any]
    identify: Callable[[], str]

    @property
    def identity(self) -> str:
        return self.identify()

    def __call__(self, audio_LM: Array, sample_rate: int) -> Any:
        return self.estimate(audio_LM, sample_rate)


def equivariant(channels: Channels, n_permutations: int, *, rng: np.random.Generator | int = 0) -> Channels:
    """Average an estimator over several orders of the microphones (Pandey et al. 2026).

    The microphones are given to the estimator in another order each time, and what it returns is put back into the
    given order.  The order of microphones has no meaning in a room, so the errors that a network makes because of it
    average out.  The more orders, the less the result depends on the given one.

    Parameters
    ----------
    channels : callable
        Takes audio (L, M) and a sample rate and returns one source for each microphone, (L, M), with any L.
    n_permutations : int
        Number of orders, the given one among them; all orders if there are no more.
    rng : numpy.random.Generator or int
        Draws the other orders, all different.

    Returns
    -------
    callable
        Takes what `channels` takes, and returns float32 (L, M).  It uses the same orders each time it is called.

    Raises
    ------
    ArgumentError
        `n_permutations` is not positive; or, when called, `channels` returned another shape.

    Examples
    --------
    >>> def loud_first(audio_LM, sample_rate):  # an estimator for which it matters which microphone is the first
    ...     return audio_LM * [2.0, 1.0]
    >>> equivariant(loud_first, n_permutations=2)(np.ones((1, 2)), 8000).tolist()
    [[1.5, 1.5]]
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
                    f"an estimator to average must return one source for each microphone, (L, {audio_LM.shape[1]}), "
                    f"got {y_LM.shape}"
                )
            undone_LM = y_LM[:, np.argsort(order)].astype(np.float64)
            total_LM = undone_LM if total_LM is None else total_LM + undone_LM
        assert total_LM is not None
        return (total_LM / len(orders)).astype(np.float32)

    def identify() -> str:
        inner = getattr(channels, "identity", "")
        return json.dumps(["equivariant", inner, n_permutations, int(seed)]) if inner else ""

    return _Known(averaged, identify)


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
        A file written by ``torch.jit.save``.  The network takes the microphones, float32 (1, M, L), and returns one
        source for each of them, also (1, M, L).
    sample_rate : int
        Sample rate at which the network works, in Hz.
    device : str
        The torch device that it runs on.

    Returns
    -------
    callable
        Takes audio (L, M) and a sample rate and returns one source for each microphone, (L, M).

    Raises
    ------
    EstimatorError
        torch is not installed, there is no such file or device, or the file is not TorchScript; or, when called, the
        network fails or returns another shape.

    Examples
    --------
    >>> from mnmf.estimators import torchscript
    >>> network = torchscript("network.pt", sample_rate=44100)  # doctest: +SKIP
    >>> estimates_LM = network(audio_LM, 48000)  # doctest: +SKIP
    """
    torch = _imported("torch", "torch")
    _check_file(path)
    _check_device(torch, device)
    try:
        network = torch.jit.load(os.fspath(path), map_location=device).eval()
    except Exception as error:
        raise EstimatorError(
            f"{path}: not a TorchScript file; save it with torch.jit.save(torch.jit.script(network), ...) "
            f"({_reason(error)})"
        ) from error

    def run(batch: Array) -> Any:
        with torch.inference_mode():
            y = network(torch.from_numpy(batch).to(device))
            return y.float().cpu().numpy() if isinstance(y, torch.Tensor) else y

    return _channels(run, path, sample_rate, ["torchscript", device])


def onnx(path: str | os.PathLike[str], *, sample_rate: int = 44100) -> Channels:
    """Return an ONNX network as an estimator, which runs on the CPU.

    Parameters
    ----------
    path : path
        A file as ``torch.onnx.export`` writes it; weights may be in a file next to it.  Shapes as for `torchscript`.
    sample_rate : int
        Sample rate at which the network works, in Hz.

    Returns
    -------
    callable
        Takes audio (L, M) and a sample rate and returns one source for each microphone, (L, M).

    Raises
    ------
    EstimatorError
        onnxruntime is not installed, there is no such file, or it is not an ONNX network with one input; or, when
        called, the network fails or returns another shape.

    Examples
    --------
    >>> from mnmf.estimators import onnx
    >>> network = onnx("network.onnx", sample_rate=44100)  # doctest: +SKIP
    >>> estimates_LM = network(audio_LM, 48000)  # doctest: +SKIP
    """
    runtime = _imported("onnxruntime", "onnxruntime")
    _check_file(path)
    try:
        network = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EstimatorError(
            f"{path}: not an ONNX file that can be run; write it with torch.onnx.export ({_reason(error)})"
        ) from error
    names = [entry.name for entry in network.get_inputs()]
    if len(names) != 1:
        raise EstimatorError(f"{path}: the network takes {len(names)} inputs; it must take one, (1, mics, samples)")
    return _channels(lambda batch: network.run(None, {names[0]: batch})[0], path, sample_rate, ["onnx"])


def demucs(model: Any, stems: Mapping[str, str], spots: Mapping[str, int], *, device: str = "cpu") -> Estimator:
    """Return a Demucs model as an estimator, which estimates each source from its own spot.

    Parameters
    ----------
    model : str or torch module
        The name of a pretrained model for ``demucs.pretrained.get_model``, which downloads the weights if Demucs does
        not have them yet; or a model with the attributes ``sources``, ``samplerate`` and ``audio_channels`` of Demucs.
    stems : mapping of str to str
        For each source the output of the model that is taken for it, which Demucs calls a stem, as in
        ``{"cello": "bass"}``.
    spots : mapping of str to int
        The microphone of each source, counted from 0.
    device : str
        The torch device that it runs on.

    Returns
    -------
    Estimator
        Returns a mapping from the sources in `stems` to float32 (L,).

    Raises
    ------
    ArgumentError
        The model has no such stem, or a source has no microphone.
    EstimatorError
        Demucs or torch is not installed, there is no such model or device, or the weights cannot be downloaded; or,
        when called, the model fails.

    Examples
    --------
    >>> estimator = demucs("htdemucs", {"cello": "bass"}, {"cello": 1})  # doctest: +SKIP
    >>> demucs("htdemucs", {"cello": "celli"}, {"cello": 1})
    Traceback (most recent call last):
    mnmf.errors.ArgumentError: 'cello': the model has the stems drums, bass, other, vocals, guitar, piano, not 'celli'
    """
    if not stems:
        raise ArgumentError('stems is empty; say which of the model\'s stems each source is, as in {"cello": "bass"}')
    for source in stems:
        if source not in spots:
            raise ArgumentError(f"{source!r} has no microphone in spots")
        check_count(f"spots[{source!r}]", spots[source], 0)
    if isinstance(model, str) and not model.startswith("hf://"):
        _check_stems(stems, DEMUCS_STEMS)  # before anything is downloaded
    torch = _imported("torch", "demucs")
    apply_model = _imported("demucs.apply", "demucs").apply_model
    _check_device(torch, device)
    network = _demucs_model(model) if isinstance(model, str) else model
    _check_stems(stems, network.sources)

    def separated(audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        found = {}
        for source, stem in stems.items():
            if spots[source] >= audio_LM.shape[1]:
                raise ArgumentError(
                    f"spots: {source!r} is at microphone {spots[source]}, counted from 0; there are {audio_LM.shape[1]}"
                )
            x_L1 = resampled(audio_LM[:, [spots[source]]], sample_rate, network.samplerate)
            level = float(np.std(x_L1)) or 1.0  # Demucs was trained on music with a standard deviation of 1
            batch = torch.from_numpy(np.repeat(x_L1.T[None] / level, network.audio_channels, axis=1))
            try:
                with torch.inference_mode():
                    # No random shifts, so that the same take always gives the same result.
                    y_SCL = apply_model(network, batch, device=device, shifts=0)[0]
            except Exception as error:
                raise EstimatorError(f"Demucs failed on {source!r}: {_reason(error)}") from error
            y_L1 = y_SCL[network.sources.index(stem)].mean(0).cpu().numpy()[:, None] * level
            found[source] = resampled(y_L1, network.samplerate, sample_rate)[:, 0]
        return found

    def identify() -> str:
        facts = [str(getattr(network, name, None)) for name in ("sources", "samplerate", "segment", "weights")]
        own = {source: int(spots[source]) for source in stems}
        return json.dumps(["demucs", type(network).__name__, facts, _digest(network), device, dict(stems), own])

    return _Known(separated, identify)


def _check_stems(stems: Mapping[str, str], known: Any) -> None:
    for source, stem in stems.items():
        if stem not in known:
            raise ArgumentError(f"{source!r}: the model has the stems {', '.join(known)}, not {stem!r}")


def _demucs_model(name: str) -> Any:
    get_model = _imported("demucs.pretrained", "demucs").get_model
    try:
        return get_model(name)
    except (Exception, SystemExit) as error:  # Demucs ends the program in some cases
        raise EstimatorError(
            f"Demucs cannot load the model {name!r} ({_reason(error)}); give a model that it has, such as htdemucs, "
            "and be online the first time, when its weights are downloaded"
        ) from error


def _digest(network: Any) -> str:
    """Return a hash of the weights of a network."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()


def _channels(run: Callable[[Array], Any], path: str | os.PathLike[str], own_rate: int, kind: list[str]) -> Channels:
    """Make an estimator of `run`, a network that takes and returns (1, M, L) at its own sample rate."""
    check_count("sample_rate", own_rate)

    def channels(audio_LM: Array, sample_rate: int) -> Array:
        x_LM = resampled(audio_LM.astype(np.float32), sample_rate, own_rate)
        n_mics = audio_LM.shape[1]
        try:
            y = run(np.ascontiguousarray(x_LM.T[None]))
        except Exception as error:
            raise EstimatorError(
                f"{path}: the network failed on {len(x_LM)} samples of {n_mics} mics: {_reason(error)}; "
                "was it made for as many mics?"
            ) from error
        if not isinstance(y, np.ndarray) or y.ndim != 3 or y.shape[:2] != (1, n_mics):
            raise EstimatorError(
                f"{path}: the network returned {y.shape if isinstance(y, np.ndarray) else f'a {type(y).__name__}'}; "
                f"it must return one source for each microphone, (1, {n_mics}, L)"
            )
        return resampled(np.ascontiguousarray(y[0].T), own_rate, sample_rate)[: len(audio_LM)]

    # The files as they are now, when they are loaded; ONNX may keep its weights in another file of a similar name.
    siblings = sorted(Path(path).absolute().parent.iterdir())
    files = [stamp(other) for other in siblings if other.name.startswith(Path(path).stem)]
    return _Known(channels, lambda: json.dumps([*kind, own_rate, files]))


def _check_file(path: str | os.PathLike[str]) -> None:
    if not Path(path).is_file():
        raise EstimatorError(f"{path}: no such file; give the file of a network")


def _check_device(torch: Any, device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise EstimatorError(
            f"device {device!r} cannot be used ({_reason(error)}); give another, such as cpu"
        ) from error


def _reason(error: BaseException) -> str:
    """Return the last line of an error, which in those of torch says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:REASON_LENGTH].rstrip(".")


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise EstimatorError(f"this needs {package}, which is not installed: pip install {package}") from error
