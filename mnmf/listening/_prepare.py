"""From folders of stems and true sources to a folder that webMUSHRA plays: all of it or nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from mnmf import audio
from mnmf._version import __version__
from mnmf.errors import ArgumentError, OutputError, SessionError, check_count, check_number, check_rng
from mnmf.files import check_path
from mnmf.listening._anchors import ANCHORS, anchor
from mnmf.listening._excerpts import loudest
from mnmf.listening._sources import Condition, Heard, conditions_of, gathered
from mnmf.listening._webmushra import RESOURCES, configuration, yaml
from mnmf.loudness import BLOCK, integrated, true_peak
from mnmf.output import OutputFolder

__all__ = ["KEY", "Options", "Prepared", "Trial", "prepare"]

Array = NDArray[Any]
AnyPath = str | os.PathLike[str]

KEY = "key.json"
RATES = (44100, 48000)  # Hz
LONGEST = 12.0  # seconds of an excerpt: the recommendation asks for about ten, webMUSHRA for no more than these
SHORTEST = 1.0
MOST_TRIALS = 200
FADE = 0.01  # seconds at both ends of an excerpt, so that a loop does not click
PEAK = 10 ** (-1 / 20)  # no true peak is higher
FAR = 20.0  # LU by which a condition may be quieter than its reference without a word
SILENCE = -70.0  # LUFS


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a listening test is to be like.

    Parameters
    ----------
    excerpts : sequence of (start, stop)
        Which stretches of the take are heard, in seconds; where each player is loudest if there are none.
    length : float
        Of the excerpts that are chosen, in seconds, from 1 to 12.
    count : int
        How many are chosen for each source.
    only : sequence of str
        The sources that are heard; all if it is empty.
    sample_rate : int, optional
        44100 or 48000; that of the take if it is one of them, else 48000.
    bits : int
        16 or 24.
    loudness : float
        Of every excerpt, in LUFS.
    name : str
        Of the test, in letters, digits, - and _.
    seed : int
        Decides the names of the files.

    Examples
    --------
    >>> from mnmf.listening import Options
    >>> Options(length=20.0)
    Traceback (most recent call last):
    mnmf.errors.ArgumentError: length must be a number from 1 to 12 s, got 20.0
    """

    excerpts: Sequence[tuple[float, float]] = ()
    length: float = 8.0
    count: int = 1
    only: Sequence[str] = ()
    sample_rate: int | None = None
    bits: int = 24
    loudness: float = -23.0
    name: str = "mnmf"
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("length", self.length, SHORTEST, LONGEST, " s")
        check_count("count", self.count)
        check_number("loudness", self.loudness, -50.0, -10.0, " LUFS")
        if self.sample_rate not in (None, *RATES):
            raise ArgumentError(f"sample_rate must be 44100 or 48000 Hz, got {self.sample_rate!r}")
        if self.bits not in (16, 24):
            raise ArgumentError(f"bits must be 16 or 24, got {self.bits!r}")
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", self.name):
            raise ArgumentError(f"name must be of letters, digits, - and _, at most 60, got {self.name!r:.80}")
        for start, stop in self.excerpts:
            if not SHORTEST <= stop - start <= LONGEST or start < 0:
                raise ArgumentError(
                    f"an excerpt must last from {SHORTEST:g} to {LONGEST:g} s, got {start:g} to {stop:g} s"
                )


@dataclass(frozen=True)
class Trial:
    """One page of a test: a source in one excerpt.

    Attributes
    ----------
    id, source : str
    start, stop : int
        In samples of the take.
    files : dict of str to str
        By 'reference', 'anchor35', 'anchor70' and the keys of the conditions.

    Examples
    --------
    >>> from mnmf.listening import Trial
    >>> Trial("trial01", "viola", 0, 48000, {"reference": "5f0c.wav"}).source
    'viola'
    """

    id: str
    source: str
    start: int
    stop: int
    files: Mapping[str, str]


@dataclass(frozen=True)
class Prepared:
    """What `prepare` has written.

    Attributes
    ----------
    configuration : Path
        The YAML file that webMUSHRA reads.
    conditions : tuple of Condition
    trials : tuple of Trial
    common_gain : float
        By which all was turned down so that nothing clips, in dB; 0 where nothing would.
    remarks : tuple of str
        What an experimenter should know, in one line each.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mnmf.listening import Prepared
    >>> Prepared(Path("listening", "configs", "mnmf.yaml"), (), (), 0.0, ()).configuration.name
    'mnmf.yaml'
    """

    configuration: Path
    conditions: tuple[Condition, ...]
    trials: tuple[Trial, ...]
    common_gain: float
    remarks: tuple[str, ...]


def prepare(
    stems: Sequence[AnyPath],
    reference: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    options: Options | None = None,
    *,
    mixture: Sequence[AnyPath] = (),
    progress: Callable[[float], Any] | None = None,
) -> Prepared:
    """Write a MUSHRA listening test for webMUSHRA: sounds, configuration, and the key to its conditions.

    Every trial has one source in one excerpt.  It is heard as its true sound, which is the open reference and once more
    hidden among the conditions; as the stem of every method; through the two anchors, low-passed at 3.5 and 7 kHz; and,
    given the take, as its spot heard it.  All are brought to the same integrated loudness (ITU-R BS.1770); one gain for
    the whole test then keeps all peaks below -1 dBTP.

    Parameters
    ----------
    stems : sequence of paths
        Folders that ``mnmf separate`` wrote, one a method.
    reference : path or sequence of paths
        The true sources at their spots: a folder of files that are called as the sources, or channels of one file or
        of several in the order of sources of the first manifest.
    out : path
        A folder that does not exist.
    options : Options, optional
    mixture : sequence of paths
        The take, in the order of its mics.
    progress : callable, optional
        Called with the part that is done, 0 to 1.

    Returns
    -------
    Prepared

    Raises
    ------
    OutputError
        `out` exists, or cannot be written.
    MnmfError
        The files do not fit together, or a source is silent in an excerpt.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mnmf import audio
    >>> from mnmf.listening import prepare
    >>> x_L = np.random.default_rng(0).uniform(-0.1, 0.1, 48000)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for folder, level in (("true", 1.0), ("stems", 0.5)):
    ...         Path(place, folder).mkdir()
    ...         clipped = audio.write(Path(place, folder, "viola.wav"), level * x_L, 48000)
    ...     made = {"method": "ilrma", "sources": [{"name": "viola", "file": "viola.wav", "mics": [1]}]}
    ...     characters = Path(place, "stems", "manifest.json").write_text(json.dumps(made))
    ...     prepared = prepare([Path(place, "stems")], Path(place, "true"), Path(place, "test"))
    >>> sorted(prepared.trials[0].files)
    ['C1', 'anchor35', 'anchor70', 'reference']
    """
    options, target = options or Options(), check_path(out, "the folder of the test")
    if os.path.lexists(target):
        raise OutputError(f"{target} exists already; choose another --out")
    folders = [check_path(folder, "a folder of stems") for folder in stems]
    if not folders:
        raise ArgumentError("stems must have at least one folder")
    references = [reference] if isinstance(reference, str | os.PathLike) else list(reference)
    conditions = conditions_of(folders, bool(mixture))
    heard = gathered(folders, [Path(path) for path in references], [Path(path) for path in mixture], options.only)
    trials = _trials(heard, conditions, options)
    test = _Test(heard, conditions, trials, options)
    for source in {} if options.excerpts else heard:
        found = sum(trial.source == source for trial in trials)
        if found < options.count:
            test.remarks.append(
                f"{source}: only {found} of {options.count} excerpts found room; choose a shorter --length"
            )
    test.align(progress or (lambda part: None))
    names = [f"{RESOURCES}/{file}" for trial in trials for file in trial.files.values()]
    configured = f"configs/{options.name}.yaml"
    with OutputFolder(target, [*names, configured, KEY]) as place:
        for number, (trial, sounds) in enumerate(test.sounds()):
            for key, x_LC in sounds.items():
                audio.write(
                    place.path(f"{RESOURCES}/{trial.files[key]}"), x_LC, test.sample_rate, f"PCM_{options.bits}"
                )
            (progress or (lambda part: None))(0.5 + 0.5 * (number + 1) / len(trials))
        pages = configuration(
            options.name, trials[0].files["reference"], [(each.id, each.source, each.files) for each in trials]
        )
        place.path(configured).write_text(yaml(pages) + "\n", encoding="utf-8")
        text = json.dumps(test.key(), indent=2, ensure_ascii=False) + "\n"
        place.path(KEY).write_text(text, encoding="utf-8", errors="backslashreplace")  # of paths that are not UTF-8
        place.publish()
    return Prepared(target / configured, tuple(conditions), tuple(trials), test.common_gain, tuple(test.remarks))


def _trials(
    heard: Mapping[str, tuple[Heard, list[Heard]]], conditions: Sequence[Condition], options: Options
) -> list[Trial]:
    """Return the trials, with names of files that say nothing."""
    rng = check_rng(options.seed)
    keys = ("reference", *ANCHORS, *(condition.key for condition in conditions))
    trials: list[Trial] = []
    for source, (true, _) in heard.items():
        rate, n_samples, _ = true.like
        if options.excerpts:
            spans = [(round(start * rate), round(stop * rate)) for start, stop in options.excerpts]
            if late := next((stop for _, stop in spans if stop > n_samples), None):
                raise SessionError(
                    f"{true.path}: lasts {n_samples / rate:.1f} s, and an excerpt ends at {late / rate:.1f} s; "
                    "choose another --excerpt"
                )
        else:
            spans = loudest(true.rows(), rate, options.length, options.count)
        if not spans:
            raise SessionError(f"{true.path}: {source} is silent in its reference; leave it out with --only")
        for start, stop in spans:
            files = {key: f"{options.name}/{rng.bytes(8).hex()}.wav" for key in keys}
            trials.append(Trial(f"trial{len(trials) + 1:02}", source, start, stop, files))
    if len(trials) > MOST_TRIALS:
        raise SessionError(f"{len(trials)} trials are more than {MOST_TRIALS}; choose fewer --excerpts or --only some")
    return trials


class _Test:
    """A test under way: what is heard in it, and by how much each sound is turned up."""

    def __init__(
        self,
        heard: Mapping[str, tuple[Heard, list[Heard]]],
        conditions: Sequence[Condition],
        trials: Sequence[Trial],
        options: Options,
    ) -> None:
        self.heard, self.conditions, self.trials, self.options = heard, conditions, trials, options
        rate = next(iter(heard.values()))[0].like[0]
        self.sample_rate = options.sample_rate or (rate if rate in RATES else RATES[-1])
        self.remarks: list[str] = []
        self.common_gain = 0.0
        self._gains: dict[str, dict[str, float]] = {}
        self._loudness: dict[str, dict[str, float]] = {}

    def align(self, tell: Callable[[float], Any]) -> None:
        """Measure all sounds, and find the gain of each and the one that all share."""
        highest = 0.0
        for number, trial in enumerate(self.trials):
            sounds = self._resampled(trial)
            measured = {key: integrated(x_LC, self.sample_rate) for key, x_LC in sounds.items()}
            true, where = measured["reference"], self._where(trial)
            if true <= SILENCE:
                raise SessionError(
                    f"{self.heard[trial.source][0].path}: {trial.source} is silent {where}; choose another --excerpt, "
                    "or leave it out with --only"
                )
            gains = {}
            for key, own in measured.items():
                silent = own <= SILENCE
                gains[key] = 0.0 if silent else self.options.loudness - own
                if own < true - FAR:
                    heard_as = "is silent" if silent else f"is {true - own:.0f} LU quieter than the reference"
                    self.remarks.append(f"{trial.source} {where}: {self._called(key)} {heard_as}")
            self._gains[trial.id], self._loudness[trial.id] = gains, measured
            peaks = (true_peak(x_LC, self.sample_rate) * 10 ** (gains[key] / 20) for key, x_LC in sounds.items())
            highest = max(highest, *peaks)
            tell(0.5 * (number + 1) / len(self.trials))
        if highest > PEAK:
            self.common_gain = float(20 * np.log10(PEAK / highest))

    def sounds(self) -> Iterator[tuple[Trial, dict[str, Array]]]:
        """Yield the sounds of each trial as they are written, of 16 bits with dither."""
        rng = check_rng(self.options.seed)
        for trial in self.trials:
            sounds = self._resampled(trial)
            for key, x_LC in sounds.items():
                x_LC *= 10 ** ((self._gains[trial.id][key] + self.common_gain) / 20)
                if self.options.bits == 16:
                    x_LC += (rng.random(x_LC.shape) - rng.random(x_LC.shape)) / 2**15  # triangular, one step wide
            yield trial, sounds

    def key(self) -> dict[str, Any]:
        """Return what an experimenter needs to read the results."""
        options, rate = self.options, next(iter(self.heard.values()))[0].like[0]
        return {
            "mnmf": __version__,
            "test": options.name,
            "conditions": {each.key: {"method": each.method, "folder": each.folder} for each in self.conditions},
            "anchors_hz": ANCHORS,
            "loudness_lufs": options.loudness,
            "common_gain_db": round(self.common_gain, 3),
            "sample_rate": self.sample_rate,
            "bits": options.bits,
            "seed": options.seed,
            "trials": [
                {
                    "id": trial.id,
                    "source": trial.source,
                    "seconds": [round(trial.start / rate, 3), round(trial.stop / rate, 3)],
                    "sounds": {
                        key: {
                            "file": file,
                            "loudness_before_lufs": _rounded(self._loudness[trial.id][key]),
                            "gain_db": round(self._gains[trial.id][key] + self.common_gain, 3),
                        }
                        for key, file in trial.files.items()
                    },
                }
                for trial in self.trials
            ],
        }

    def _resampled(self, trial: Trial) -> dict[str, Array]:
        """Return the excerpt of a trial under every condition, at the rate of the test, (L, C) each."""
        true, others = self.heard[trial.source]
        read = {"reference": true, **{each.key: heard for each, heard in zip(self.conditions, others)}}
        sounds = {key: self._excerpt(heard, trial) for key, heard in read.items()}
        for key, cutoff in ANCHORS.items():
            sounds[key] = anchor(sounds["reference"], cutoff, self.sample_rate)
        n_samples = len(sounds["reference"])
        fade_L = np.minimum(1.0, (np.arange(n_samples) + 0.5) / (FADE * self.sample_rate))
        window_L = np.sin(np.pi / 2 * np.minimum(fade_L, fade_L[::-1])) ** 2
        return {key: x_LC * window_L[:, None] for key, x_LC in sounds.items()}

    def _excerpt(self, heard: Heard, trial: Trial) -> Array:
        x_LC, rate = heard.read(trial.start, trial.stop), heard.recording.sample_rate
        if len(x_LC) < BLOCK * rate:
            raise SessionError(f"{heard.path}: lasts {len(x_LC) / rate:.2f} s, and loudness needs at least {BLOCK} s")
        if rate == self.sample_rate:
            return x_LC
        common = int(np.gcd(rate, self.sample_rate))
        return np.asarray(scipy.signal.resample_poly(x_LC, self.sample_rate // common, rate // common, axis=0))

    def _where(self, trial: Trial) -> str:
        rate = self.heard[trial.source][0].like[0]
        return f"from {trial.start / rate:.1f} to {trial.stop / rate:.1f} s"

    def _called(self, key: str) -> str:
        return next((f"{each.method} {each.folder}".strip() for each in self.conditions if each.key == key), key)


def _rounded(loudness: float) -> float | None:
    return round(loudness, 2) if np.isfinite(loudness) else None
