"""Render every note of an orchestra with a General MIDI soundfont, and learn the embedded note dictionary from it.

    apt-get install fluidsynth fluid-soundfont-gm
    python examples/render_note_library.py FOLDER [--soundfont FILE] [--out FILE]

FOLDER gets one WAV file an instrument and loudness, and `notes.csv`, which says where each note is: the third of the
layouts that `NoteDictionary.build` and `mnmf notes build FOLDER --index FOLDER/notes.csv` read.  The dictionary goes to
`mnmf/data/notes/orchestra.npz` unless --out says otherwise.  Rerun with the same soundfont it has the same bytes.
"""

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

RATE = 44100
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
EMBEDDED = Path(__file__).parent.parent / "mnmf" / "data" / "notes" / "orchestra.npz"

# Program of General MIDI, counted from 0, and the lowest and highest note, middle C = 60: what orchestral players
# reach, not all that the soundfont would play.
INSTRUMENTS = {
    "violin": (40, 55, 100),
    "viola": (41, 48, 91),
    "cello": (42, 36, 81),
    "double bass": (43, 28, 57),
    "flute": (73, 59, 98),
    "oboe": (68, 58, 91),
    "clarinet": (71, 50, 94),
    "bassoon": (70, 34, 76),
    "alto saxophone": (65, 49, 81),
    "tenor saxophone": (66, 44, 76),
    "horn": (60, 34, 77),
    "trumpet": (56, 52, 84),
    "trombone": (57, 34, 74),
    "tuba": (58, 26, 65),
    "piano": (0, 21, 108),
    "harp": (46, 24, 103),
    "timpani": (47, 36, 60),
    "choir": (52, 40, 84),
}
SILENT = {("violin", 94)}  # FluidR3 has no sample for it
VELOCITIES = {"p": 50, "mf": 80, "f": 112}
SOUNDING, PAUSE = 1.6, 0.9  # seconds of each note, and until the next; tails of harp and piano end in the pause
TICKS = 480  # of a quarter note, which lasts half a second: MIDI's own default


def midi_file(program: int, notes: list[tuple[float, float, int]], velocity: int) -> bytes:
    """Return a Standard MIDI File of one track: `notes` are start and stop in seconds and pitch, none overlapping."""
    track = bytes([0, 0xC0, program])
    now = 0
    for start, stop, pitch in notes:
        for when, event in ((start, (0x90, pitch, velocity)), (stop, (0x80, pitch, 0))):
            tick = round(when * 2 * TICKS)
            track += _variable_length(tick - now) + bytes(event)
            now = tick
    track += _variable_length(round(PAUSE * 2 * TICKS)) + bytes([0xFF, 0x2F, 0])
    header = b"MThd" + b"".join(n.to_bytes(size, "big") for n, size in ((6, 4), (0, 2), (1, 2), (TICKS, 2)))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _variable_length(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def render(soundfont: Path, midi: bytes, out: Path) -> None:
    """Play `midi` into the file `out`, without reverb and chorus."""
    with tempfile.TemporaryDirectory() as folder:
        score = Path(folder) / "notes.mid"
        score.write_bytes(midi)
        # 24 bits: fluidsynth dithers 16-bit files.
        sound = ["-r", str(RATE), "-R", "0", "-C", "0", "-g", "0.6", "-T", "wav", "-O", "s24", "-F", str(out)]
        subprocess.run(["fluidsynth", "-n", "-i", "-q", *sound, str(soundfont), str(score)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT)
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    rows = []
    for name, (program, lowest, highest) in INSTRUMENTS.items():
        step = SOUNDING + PAUSE
        pitches = [pitch for pitch in range(lowest, highest + 1) if (name, pitch) not in SILENT]
        notes = [(i * step, i * step + SOUNDING, pitch) for i, pitch in enumerate(pitches)]
        for dynamics, velocity in VELOCITIES.items():
            file = f"{name.replace(' ', '-')}_{dynamics}.wav"
            render(arguments.soundfont, midi_file(program, notes, velocity), arguments.folder / file)
            for start, stop, pitch in notes:
                rows.append((file, name, pitch, f"{start:.3f}", f"{stop:.3f}", dynamics))
        print(f"{name}: {len(notes)} notes", flush=True)
    index = arguments.folder / "notes.csv"
    with index.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "instrument", "pitch", "start", "stop", "dynamics"))
        writer.writerows(rows)

    from mnmf import NoteDictionary

    dictionary = NoteDictionary.build(arguments.folder, index=index, name="orchestra", source=arguments.soundfont.stem)
    dictionary.save(arguments.out)
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
