"""Ways to estimates of the sources that are not ours: folders of stems, commands, networks.

Each is a `priors.Estimator`, a callable, for `mnmf.separate` to start from.  Nothing here imports a neural framework
before it is called, and none is needed by anything else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mnmf.errors import ArgumentError, AudioFileError, EstimatorError, check_count, check_number, check_rng
from mnmf.priors.stems import Estimator, Mask

__all__ = [
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

Array = NDArray[Any]
Channels = Callable[[Array, int], Array]  # audio (L, M) and a sample rate to one source a microphone, (L, M)

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
LAST_LINES = 5  # of what a command said when it failed
TIMEOUT = 3600.0  # seconds
CACHE_BYTES = 2 * 10**9
_RUNNING: set[subprocess.Popen[bytes]] = set()


class StemFolder:
    """Stems that any tool left in a folder: one audio file a source, called as the source is.

    Parameters
    ----------
    folder : path
    sources : sequence of str
        Names to look for, in any case of letters, in the folder or below it; other files do not matter.

    Raises
    ------
    ArgumentError
        No such folder, none of the sources is in it, or one of them twice.
    """

    def __init__(self, folder: str | os.PathLike[str], sources: Sequence[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ArgumentError(f"{self.folder}: no such folder; the prior's stems should be in it")
        self.files = _stems_in(self.folder, sources)
        if not self.files:
            names = sorted(path.name for path in _audio_files(self.folder))
            raise ArgumentError(
                f"{self.folder}: no stem is called {' or '.join(sources)}; found {', '.join(names[:8]) or 'no audio'}"
            )

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Return the stems that were found, at this rate."""
        return {source: read_stem(path, sample_rate) for source, path in self.files.items()}


def read_stem(path: Path, sample_rate: int) -> Array:
    """Return an audio file at another rate, (L, channels).

    Raises
    ------
    AudioFileError
        The file cannot be read.
    """
    try:
        x_LM, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(f"{path}: cannot be read ({error})") from error
    return resampled(x_LM, rate, sample_rate)


def resampled(x_LM: Array, rate: int, wanted: int) -> Array:
    """Return audio at another sample rate, of the same kind of floats."""
    if rate == wanted or len(x_LM) == 0:
        return x_LM
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return np.asarray(resample_poly(x_LM, wanted // common, rate // common, axis=0).astype(x_LM.dtype))


class Command:
    """Any program that reads audio and writes stems.

    The words of the command are what a shell would make of it, but there is no shell: nothing is expanded, piped or
    run besides, whatever the names of sources and files are.  In every word these are replaced:

    ``{in}``
        A WAV file (32-bit float) of the take, one channel a microphone.
    ``{out}``
        A folder to write the stems to, called as the sources are; they may be in folders below it.
    ``{source}``, ``{query}``
        If one of them is there, the command runs once a source: ``{in}`` is then what its own spot heard, ``{out}``
        the file to write, and these are its name, and what to ask for (its instrument, as a rule).

    Parameters
    ----------
    command : str or sequence of str
    sources : sequence of str
    spots : sequence of int
        The own microphone of each source, counted from 0.
    queries : sequence of str, optional
        What to ask for of each source; their names if not given.
    timeout : float
        Seconds after which a run is stopped, with whatever it started; 0 for never.

    Raises
    ------
    ArgumentError
        The command is empty or lacks ``{in}`` or ``{out}``; or a name or query begins with a dash, which the program
        would take for an option.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        sources: Sequence[str],
        spots: Sequence[int],
        queries: Sequence[str] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        try:
            self.words = tuple(shlex.split(command) if isinstance(command, str) else command)
        except ValueError as error:
            raise ArgumentError(f"the prior's command cannot be read: {error}") from error
        for needed in ("{in}", "{out}"):
            if not any(needed in word for word in self.words[1:]):
                raise ArgumentError(f"the prior's command needs {needed} among its words; got {shlex.join(self.words)}")
        self.sources, self.spots = tuple(sources), tuple(spots)
        self.queries = self.sources if queries is None else tuple(queries)
        self.timeout = check_number("timeout", timeout, 0.0, math.inf, " s")
        if not len(self.sources) == len(self.spots) == len(self.queries):
            raise ArgumentError("the prior's command needs as many spots and queries as there are sources")
        self.each = any("{source}" in word or "{query}" in word for word in self.words)
        for name in (*self.sources, *self.queries) if self.each else ():
            if name.startswith("-") or "\0" in name:
                raise ArgumentError(f"{name!r} would be an option of the prior's command; call it something else")

    def __call__(self, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        """Run the command, and return the stems that it wrote.

        Raises
        ------
        EstimatorError
            It cannot be run, fails, takes too long, or writes no stem.
        """
        with tempfile.TemporaryDirectory(prefix="mnmf-") as scratch:
            folder = Path(scratch)
            return self._each(folder, audio_LM, sample_rate) if self.each else self._all(folder, audio_LM, sample_rate)

    @property
    def identity(self) -> str:
        """What its result depends on, beside the audio: the words, the names, and the files among the words."""
        files = []
        for word in self.words:
            with suppress(OSError, ValueError):
                status = Path(word).stat()
                files.append((word, status.st_size, status.st_mtime_ns))
        return json.dumps([self.words, self.sources, self.spots, self.queries, files])

    def _all(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        take, out = folder / "take.wav", folder / "stems"
        soundfile.write(take, audio_LM, sample_rate, subtype="FLOAT")
        out.mkdir()
        self._run({"{in}": str(take), "{out}": str(out)})
        found = _stems_in(out, self.sources)
        if not found:
            names = ", ".join(sorted(path.name for path in _audio_files(out))[:8]) or "nothing"
            raise EstimatorError(
                f"the prior's command wrote {names}; expected stems called {', '.join(self.sources)}, as in "
                f"{self.sources[0]}.wav"
            )
        return {source: read_stem(path, sample_rate) for source, path in found.items()}

    def _each(self, folder: Path, audio_LM: Array, sample_rate: int) -> dict[str, Array]:
        stems = {}
        for n, (source, spot, query) in enumerate(zip(self.sources, self.spots, self.queries)):
            # Numbered, for a source may be called anything, and files may not.
            spot_file, out = folder / f"{n + 1}-in.wav", folder / f"{n + 1}-out.wav"
            soundfile.write(spot_file, audio_LM[:, spot], sample_rate, subtype="FLOAT")
            self._run({"{in}": str(spot_file), "{out}": str(out), "{source}": source, "{query}": query})
            if not out.is_file():
                raise EstimatorError(f"the prior's command wrote no file for {source!r}; it should write to {{out}}")
            stems[source] = read_stem(out, sample_rate)
        return stems

    def _run(self, values: Mapping[str, str]) -> None:
        words = [_filled(word, values) for word in self.words]
        shown = shlex.join(self.words)
        with tempfile.TemporaryFile() as said:
            try:
                # A group of its own, so that what it started ends with it.
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
                )
            except OSError as error:
                raise EstimatorError(f"the prior's command cannot be run: {words[0]}: {error.strerror}") from error
            _RUNNING.add(process)
            try:
                status = process.wait(self.timeout or None)
            except subprocess.TimeoutExpired:
                raise EstimatorError(
                    f"the prior's command took longer than {self.timeout:g} s and was stopped: {shown}"
                ) from None
            finally:
                _end(process)
                _RUNNING.discard(process)
            if status:
                said.seek(0)
                lines = said.read().decode(errors="replace").split("\n")
                last = " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:])
                raise EstimatorError(
                    f"the prior's command failed ({_why(status)}): {shown}: {last or 'it said nothing'}"
                )


def _filled(word: str, values: Mapping[str, str]) -> str:
    """Put values into a word, all at once: what one value says is not looked at again."""
    return re.sub(r"\{(in|out|source|query)\}", lambda found: values.get(found[0], found[0]), word)


def stop_commands() -> None:
    """End all commands that are running: they are in groups of their own, which Ctrl-C does not reach."""
    for process in list(_RUNNING):
        _end(process)


def _why(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is still running of a command, and what it started."""
    if process.poll() is None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, 9)
            else:
                process.kill()
        process.wait()


def _audio_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _stems_in(folder: Path, sources: Sequence[str]) -> dict[str, Path]:
    """Find the file of each source: in the folder itself before folders below, its own letters before others."""
    files = _audio_files(folder)
    found = {}
    for source in sources:
        for wanted in (source, source.casefold()):
            alike = [path for path in files if (path.stem if wanted is source else path.stem.casefold()) == wanted]
            if alike:
                depth = min(len(path.parts) for path in alike)
                alike = [path for path in alike if len(path.parts) == depth]
                if len(alike) > 1:
                    raise ArgumentError(
                        f"{folder}: {alike[0].relative_to(folder)} and {alike[1].relative_to(folder)} could both be "
                        f"{source!r}; keep one of them"
                    )
                found[source] = alike[0]
                break
    return found


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


def cached(estimator: Estimator, identity: str, folder: str | os.PathLike[str] | None = None) -> Estimator:
    """Remember what an estimator returned for a take, by the content of the take.

    Parameters
    ----------
    estimator : Estimator
    identity : str
        What tells it from others and from itself with other settings.
    folder : path, optional
        `cache_folder` if not given.  The oldest results go once all together are larger than 2 GB.

    Returns
    -------
    Estimator
        Returns what is remembered, bit by bit the same.
    """
    place = cache_folder() if folder is None else Path(folder)

    def remembered(audio_LM: Array, sample_rate: int) -> Any:
        digest = hashlib.sha256(f"{identity}\n{sample_rate} {audio_LM.shape} {audio_LM.dtype}\n".encode())
        digest.update(np.ascontiguousarray(audio_LM).tobytes())
        path = place / f"{digest.hexdigest()}.npz"
        with suppress(OSError, ValueError, KeyError):
            kept = _unpacked(path)
            os.utime(path)  # used lately
            return kept
        found = estimator(audio_LM, sample_rate)
        with suppress(OSError):  # a full disk is no reason to lose the result
            _store(path, found)
        return found

    return remembered


def cache_folder() -> Path:
    """Return where results are remembered: the folder MNMF_CACHE, or mnmf in the user's folder for such things."""
    if own := os.environ.get("MNMF_CACHE"):
        return Path(own)
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home())
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mnmf"


def _store(path: Path, found: Mapping[str, Array | Mask] | Array) -> None:
    arrays: dict[str, Array] = {}
    kinds: list[tuple[str, str, int, int]] = []
    if isinstance(found, Mapping):
        for n, (source, value) in enumerate(found.items()):
            mask = isinstance(value, Mask)
            arrays[f"a{n}"] = value.values_FT if isinstance(value, Mask) else np.asarray(value)
            frame = (value.window_length, value.hop) if isinstance(value, Mask) else (0, 0)
            kinds.append(("mask" if mask else "sound", source, *frame))
    else:
        arrays["a0"] = np.asarray(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            np.savez(file, kinds=np.array(json.dumps(kinds)), allow_pickle=False, **arrays)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    kept = sorted(path.parent.glob("*.npz"), key=lambda other: other.stat().st_mtime, reverse=True)
    sizes = np.cumsum([other.stat().st_size for other in kept])
    for other, size in zip(kept[1:], sizes[1:]):
        if size > CACHE_BYTES:
            other.unlink(missing_ok=True)


def _unpacked(path: Path) -> dict[str, Array | Mask] | Array:
    with np.load(path, allow_pickle=False) as file:
        kinds = json.loads(str(file["kinds"]))
        if not kinds:
            return np.asarray(file["a0"])
        return {
            source: Mask(file[f"a{n}"], window, hop) if kind == "mask" else file[f"a{n}"]
            for n, (kind, source, window, hop) in enumerate(kinds)
        }


# Networks.  Each a few lines: whatever else they need is theirs to know.


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
