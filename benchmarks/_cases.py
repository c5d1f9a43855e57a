"""Takes with known truth: the embedded quartet in simulated rooms, and folders of one's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from mnmf import data, markers, simulate


@dataclass
class Case:
    """A take, the images of its sources at their spots, and passages in which each was alone."""

    name: str
    sample_rate: int
    mixture_LM: np.ndarray
    truth_LN: np.ndarray
    spots: tuple[int, ...]
    names: tuple[str, ...]
    solos: dict[str, tuple[np.ndarray, list[tuple[float, float]]]]  # 'solo', 'clap': audio, seconds per source


def quartet_cases(quick: bool = False) -> Iterator[Case]:
    """The embedded quartet: in a chamber, in the hall of the 2023 paper, and close-miked in a large room."""
    quartet = data.quartet()
    scenes = {
        "quartet, chamber": simulate.chamber_scene(quartet.names),
        "quartet, hall": simulate.hall_scene(quartet.names),
        "quartet, R6/L5": simulate.orchestral_scene("R6", "L5", quartet.names),
    }
    rate = quartet.sample_rate
    for name, scene in list(scenes.items())[: 1 if quick else None]:
        images_LMN = simulate.render(scene, quartet.stems_LN, rate)
        solos = {
            "solo": simulate.solo_take(scene, list(quartet.solos_LN.T), rate),
            "clap": simulate.clap_take(scene, rate),
        }
        yield Case(
            name,
            rate,
            images_LMN.sum(axis=2),
            images_LMN[:, scene.spots, range(len(scene.spots))],
            scene.spots,
            tuple(quartet.names),
            {kind: (x_LM, [(p.start, p.stop) for p in passages]) for kind, (x_LM, passages) in solos.items()},
        )


def folder_cases(folder: Path) -> Iterator[Case]:
    """Read each sub-folder that holds mix.flac, reference.flac, solo.flac and solo.txt (and maybe clap.*).

    Channel i of the mix is source i's spot, channel i of the reference its true image there, label i its name.
    """
    found = sorted(path.parent for path in folder.glob("*/mix.flac"))
    if not found:
        raise SystemExit(f"{folder}: expected sub-folders with mix.flac, reference.flac, solo.flac and solo.txt")
    for path in found:
        mixture_LM, rate = soundfile.read(path / "mix.flac")
        truth_LN, _ = soundfile.read(path / "reference.flac")
        solos = {}
        for kind in ("solo", "clap"):
            if (path / f"{kind}.flac").exists():
                x_LM, _ = soundfile.read(path / f"{kind}.flac")
                passages = markers.read(path / f"{kind}.txt", duration=len(x_LM) / rate)
                solos[kind] = (x_LM, [(p.start, p.stop) for p in passages])
                names = tuple(p.source for p in passages)
        yield Case(path.name, rate, mixture_LM, truth_LN, tuple(range(truth_LN.shape[1])), names, solos)
