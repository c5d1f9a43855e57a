"""What an inspection of its files means for a session: who is set aside, and what brings all to one clock.

`mnmf.faults` knows arrays; here are the files that they come from, and the recording of the solos if it is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mnmf import faults
from mnmf.align import Alignment
from mnmf.audio import Recording

__all__ = ["Inspected", "inspect_files"]


def inspect_files(recording: Recording, progress: Callable[[float], Any] | None = None) -> faults.Inspection:
    """Look for what is wrong with the files of a take.

    Parameters
    ----------
    recording : Recording
    progress : callable, optional
        Called with the part of it that is done, 0 to 1.

    Raises
    ------
    AudioFileError
        A file cannot be read.
    """
    starts = dict(zip(recording.paths, recording.starts)) if recording.starts else {}
    return faults.inspect(
        recording.rows(),
        recording.sample_rate,
        mic_names=recording.mic_names,
        starts=[starts.get(mic.path, 0) for mic in recording.mics],
        progress=progress,
    )


@dataclass(frozen=True, eq=False)
class Inspected:
    """What was found in a take, and in the recording of its solos.

    Attributes
    ----------
    take, solos : Inspection
        The same one where the solos are passages of the take.
    """

    take: faults.Inspection
    solos: faults.Inspection

    @classmethod
    def of(
        cls, recording: Recording, solo_recording: Recording, progress: Callable[[float], Any] | None = None
    ) -> Inspected:
        """Look at the files of both."""
        take = inspect_files(recording, progress)
        return cls(take, take if solo_recording is recording else inspect_files(solo_recording))

    def faulty(self, own: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the microphones to be set aside, and those of them at which solos may be heard all the same.

        Those in `own` are somebody's spot, and are neither.
        """
        aside = self.take.aside(own)
        dead = {found.mic for found in self.take.of(*faults.NOTHING)}
        dead_alone = {found.mic for found in self.solos.of(*faults.NOTHING)}
        return aside, tuple(m for m in aside if m in dead and m not in dead_alone)

    def alignment(self, of_solos: bool = False) -> Alignment:
        """Return what brings the microphones of the take, or of the solos, to one clock and polarity."""
        return (self.solos if of_solos else self.take).alignment()
