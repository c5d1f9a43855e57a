"""Takes with known truth: the embedded quartet in simulated rooms, and folders of one's own."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import soundfile
from _datasets import complain, free, take_folders

from mnmf import Take, data, markers, simulate
from mnmf.datasets._folders import DEPTH, contents
from mnmf.errors import MarkerError


@dataclass(frozen=True)
class Case:
    """A take, the images of its sources at their spots, and passages in which each was alone.

    `solos` has, by kind ("solo", "clap"), a recording by the same microphones and for each source the seconds of its
    passage there, which is empty if the source has none.
    """

    name: str
    sample_rate: int
    mixture_LM: np.ndarray
    truth_LN: np.ndarray
    spots: tuple[int, ...]
    names: tuple[str, ...]
    solos: dict[str, tuple[np.ndarray, list[tuple[float, float]]]]

    @cached_property
    def peak(self) -> float:
        """The largest sample of all recordings, by which a take of it is divided."""
        return float(max(np.abs(x_LM).max() for x_LM in (self.mixture_LM, *(x_LM for x_LM, _ in self.solos.values()))))

    def take(self, kind: str | None = None) -> Take:
        """Return what `mnmf.separate` takes, with the passages of one kind if it is given.

        It is what float files of the recordings hold, whose largest sample is at full scale.
        """
        solos: list[list[np.ndarray]] = []
        if kind is not None:
            x_LM, seconds = self.solos[kind]
            spans = [slice(round(start * self.sample_rate), round(stop * self.sample_rate)) for start, stop in seconds]
            solos = [[self._at_full_scale(x_LM[span])] if span.stop > span.start else [] for span in spans]
        return Take(self._at_full_scale(self.mixture_LM), self.sample_rate, self.spots, self.names, solos=solos)

    def _at_full_scale(self, x_LM: np.ndarray) -> np.ndarray:
        return (x_LM / self.peak).astype(np.float32)


KINDS = ("solo", "clap")
IMAGES = "images"


def simulated(
    name: str,
    scene: simulate.Scene,
    stems_LN: np.ndarray,
    solos: Sequence[np.ndarray],
    sample_rate: int,
    *,
    kinds: Sequence[str] = KINDS,
    solo_scene: simulate.Scene | None = None,
    rng: int | np.random.Generator = 0,
) -> Case:
    """Render players in a room, and each of them alone: playing (`kinds` "solo") or clapping ("clap").

    The kind "images" is the truth: each player alone plays what it plays in the take, a second of silence around it.
    `solo_scene` is where they were when alone, if elsewhere; `rng` draws the claps.
    """
    alone = scene if solo_scene is None else solo_scene
    images_LMN = simulate.render(scene, stems_LN, sample_rate, h_LMN=responses(scene, sample_rate))
    h_LMN = responses(alone, sample_rate)
    takes = {
        "solo": lambda: simulate.solo_take(alone, list(solos), sample_rate, h_LMN=h_LMN),
        "clap": lambda: simulate.clap_take(alone, sample_rate, rng, h_LMN=h_LMN),
    }
    found = {kind: takes[kind]() for kind in kinds if kind in takes}
    seconds = {kind: (x_LM, [(p.start, p.stop) for p in passages]) for kind, (x_LM, passages) in found.items()}
    if IMAGES in kinds:
        silence = (sample_rate, sample_rate)  # for every sample to be in as many windows as any other
        seconds[IMAGES] = successive(np.pad(images_LMN, (silence, (0, 0), (0, 0))), sample_rate)
    return Case(
        name,
        sample_rate,
        images_LMN.sum(axis=2),
        images_LMN[:, scene.spots, range(len(scene.spots))],
        scene.spots,
        scene.names,
        seconds,
    )


def successive(images_LMN: np.ndarray, sample_rate: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Return the images of all players one after another, and the seconds of each."""
    length = len(images_LMN) / sample_rate
    spans = [(n * length, (n + 1) * length) for n in range(images_LMN.shape[2])]
    return np.concatenate(list(np.moveaxis(images_LMN, 2, 0))), spans


@lru_cache(8)
def responses(scene: simulate.Scene, sample_rate: int) -> np.ndarray:
    """Return the impulse responses of a scene; those of the last few are kept, as they take seconds to simulate."""
    return simulate.impulse_responses(scene, sample_rate)


def named_cases(folder: Path | None, quick: bool = False) -> dict[str, Callable[[], Case]]:
    """The embedded quartet in its rooms and the takes of a folder by name, each made when called for.

    Quick: two of the quartet for a few seconds, and one take of the folder.
    """
    made: dict[str, Callable[[], Case]]
    made = {"duet, chamber": duet_case} if quick else {name: partial(_quartet_case, name) for name in QUARTET_SCENES}
    if folder:
        paths = _takes(folder)
        free(folder, paths, made)
        made |= {name: partial(_read_case, paths[name], name) for name in list(paths)[: 1 if quick else None]}
    return made


@lru_cache(1)  # the cells of a take follow one another
def case_named(name: str, folder: Path | None, quick: bool = False) -> Case:
    return named_cases(folder, quick)[name]()


# In a chamber, in the hall of the 2023 paper, and close-miked in a large room.
QUARTET_SCENES: dict[str, Callable[[Sequence[str]], simulate.Scene]] = {
    "quartet, chamber": simulate.chamber_scene,
    "quartet, hall": simulate.hall_scene,
    "quartet, R6/L5": lambda names: simulate.orchestral_scene("R6", "L5", names),
}


def _quartet_case(name: str) -> Case:
    quartet = data.quartet()
    scene = QUARTET_SCENES[name](quartet.names)
    return simulated(name, scene, quartet.stems_LN, list(quartet.solos_LN.T), quartet.sample_rate)


def over_and_over(minutes: float, n_mics: int) -> tuple[np.ndarray, int]:
    """Return the embedded quartet in the chamber again and again, (L, M), and its rate; beyond four microphones it is
    there several times, a second apart.
    """
    embedded = data.quartet()
    rate = embedded.sample_rate
    played_LM = simulate.render(simulate.chamber_scene(embedded.names), embedded.stems_LN, rate).sum(axis=2)
    played_LM = np.hstack([np.roll(played_LM, shift * rate, axis=0) for shift in range(-(-n_mics // 4))])[:, :n_mics]
    return np.resize(played_LM / np.abs(played_LM).max(), (round(60 * minutes * rate), n_mics)), rate


def duet_case() -> Case:
    """A few seconds of the quartet's first two players in a chamber, for a trial of what a benchmark does."""
    quartet = data.quartet()
    rate, players = quartet.sample_rate, 2
    stems_LN = quartet.stems_LN[5 * rate : 7 * rate, :players]
    solos_LN = quartet.solos_LN[: 3 * rate // 2, :players]
    return simulated("duet, chamber", simulate.chamber_scene(quartet.names[:players]), stems_LN, list(solos_LN.T), rate)


def folder_cases(folder: Path) -> Iterator[Case]:
    """Read each folder that holds mix.flac, reference.flac, solo.flac and solo.txt (and maybe clap.*).

    Channel i of the mix is source i's spot, channel i of the reference its true image there, label i its name.  The
    folders lie in the one given or up to two below; whether they are complete is looked at before any is read.  Takes
    of the same name are told apart by where they lie.
    """
    return (_read_case(path, name) for name, path in _takes(folder).items())


def _takes(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise SystemExit(f"{folder}: no such folder")
    found = take_folders(folder)
    if not found:
        raise SystemExit(
            f"{folder}: expected folders with mix.flac, reference.flac, solo.flac and solo.txt in it or up to {DEPTH} "
            f"folders below, found {contents(folder)}"
        )
    lacking = {path: _lacking(path) for path in found}
    problems = [f"{path.name} lacks {', '.join(names)}" for path, names in lacking.items() if names]
    if problems:
        complain(f"{folder}: {len(problems)} of {len(found)} takes are incomplete; complete or move them", problems)
    alike = Counter(path.name for path in found)
    return {path.name if alike[path.name] == 1 else path.relative_to(folder).as_posix(): path for path in found}


def _lacking(folder: Path) -> list[str]:
    kinds = [kind for kind in ("solo", "clap") if (folder / f"{kind}.flac").exists()]
    wanted = ["reference.flac", *(f"{kind}.txt" for kind in kinds)] + ([] if kinds else ["solo.flac", "solo.txt"])
    return [name for name in wanted if not (folder / name).exists()]


def _read_case(folder: Path, name: str) -> Case:
    try:
        mixture_LM, rate = soundfile.read(folder / "mix.flac", always_2d=True)
        truth_LN, _ = soundfile.read(folder / "reference.flac", always_2d=True)
        solos = {}
        for kind in ("solo", "clap"):
            if (folder / f"{kind}.flac").exists():
                x_LM, _ = soundfile.read(folder / f"{kind}.flac", always_2d=True)
                passages = markers.read(folder / f"{kind}.txt", duration=len(x_LM) / rate)
                solos[kind] = (x_LM, [(p.start, p.stop) for p in passages])
                names = tuple(p.source for p in passages)
    except (soundfile.LibsndfileError, OSError, MarkerError) as error:
        raise SystemExit(f"{folder}: cannot be read: {error}") from error
    return Case(name, rate, mixture_LM, truth_LN, tuple(range(truth_LN.shape[1])), names, solos)
