"""Projects in the open exchange format DAWproject 1.0: a ZIP archive of ``project.xml`` and ``metadata.xml``.

Clips have no level of their own, and no mute that all programs know, so each has a track, which has both.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from xml.etree import ElementTree as ET

from mnmf._version import __version__
from mnmf.daw._project import Item, Project, Track
from mnmf.errors import AudioFileError
from mnmf.files import regular

CHANNELS = 1024  # of a file: whole files are played, whatever they have
LOUDEST = 2.0  # where the fader of a track ends, as a factor
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def unfit(path: str) -> str | None:
    """Return why a project cannot name a file, or None."""
    if _NO_XML.search(path):
        return "XML cannot hold a path with control characters or one that is not in Unicode"
    return None


def write(target: Path, project: Project, embed: bool) -> None:
    """Write the archive, with the files of all items in it if `embed`."""
    paths = {track.item.path: track.item.file for track in project.tracks}
    inside = {path: f"audio/{n}/{PurePosixPath(file).name}" for n, (path, file) in enumerate(paths.items(), 1)}
    with zipfile.ZipFile(target, "w") as archive:
        _add_xml(archive, "metadata.xml", _metadata(project))
        _add_xml(archive, "project.xml", _project(project, inside if embed else {}))
        for path, name in inside.items() if embed else ():
            with regular(path, AudioFileError, "put it back") as (file, _):
                _add_file(archive, name, file)


def _add_xml(archive: zipfile.ZipFile, name: str, root: ET.Element) -> None:
    ET.indent(root)
    entry = _entry(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def _add_file(archive: zipfile.ZipFile, name: str, file: BinaryIO) -> None:
    with archive.open(_entry(name), "w", force_zip64=True) as entry:
        shutil.copyfileobj(file, entry, 1 << 20)


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an entry without a time, so that the same project gives the same bytes."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16  # else it could not be read once it is unpacked
    return entry


def _metadata(project: Project) -> ET.Element:
    root = ET.Element("MetaData")
    ET.SubElement(root, "Title").text = _shown(project.title)
    return root


def _project(project: Project, inside: dict[Path, str]) -> ET.Element:
    """Return the document: transport, then the tracks, then what plays on each and when, in seconds."""
    root = ET.Element("Project", version="1.0")
    ET.SubElement(root, "Application", name="mnmf", version=__version__)
    transport = ET.SubElement(root, "Transport")
    ET.SubElement(transport, "Tempo", id="tempo", unit="bpm", min="20", max="666", value="120", name="Tempo")
    ET.SubElement(transport, "TimeSignature", id="signature", numerator="4", denominator="4")
    structure = ET.SubElement(root, "Structure")
    arrangement = ET.SubElement(root, "Arrangement", id="arrangement")
    lanes = ET.SubElement(arrangement, "Lanes", id="lanes", timeUnit="seconds")
    for n, track in enumerate(project.tracks, 1):
        _add_track(structure, track, n)
        _add_clip(lanes, track.item, project.sample_rate, n, inside)
    master = ET.SubElement(structure, "Track", id="master-track", name="Master", contentType="audio", loaded="true")
    channel = ET.SubElement(master, "Channel", id="master", role="master", audioChannels="2", solo="false")
    _add_volume(channel, 1.0, "master-volume")
    return root


def _add_track(structure: ET.Element, track: Track, n: int) -> None:
    known = {"id": f"track-{n}", "name": _shown(track.name), "contentType": "audio", "loaded": "true"}
    element = ET.SubElement(structure, "Track", known)
    known = {"id": f"channel-{n}", "role": "regular", "destination": "master", "solo": "false"}
    channel = ET.SubElement(element, "Channel", known, audioChannels=str(track.item.n_channels))
    ET.SubElement(channel, "Mute", id=f"mute-{n}", value=str(track.item.muted).lower(), name="Mute")
    _add_volume(channel, track.item.gain, f"volume-{n}")


def _add_volume(channel: ET.Element, gain: float, name: str) -> None:
    known = {"id": name, "unit": "linear", "min": "0", "max": _number(LOUDEST), "value": _number(gain)}
    ET.SubElement(channel, "Volume", known, name="Volume")


def _add_clip(lanes: ET.Element, item: Item, rate: int, n: int, inside: dict[Path, str]) -> None:
    lane = ET.SubElement(lanes, "Lanes", id=f"lane-{n}", track=f"track-{n}")
    clips = ET.SubElement(lane, "Clips", id=f"clips-{n}")
    known = {
        "name": _shown(item.name),
        "time": _number(item.position / rate),
        "duration": _number(item.n_samples / rate),
        "contentTimeUnit": "seconds",
        "playStart": _number(item.offset / rate),
    }
    clip = ET.SubElement(clips, "Clip", known)
    known = {"id": f"audio-{n}", "channels": str(item.n_channels), "sampleRate": str(rate)}
    audio = ET.SubElement(clip, "Audio", known, duration=_number(item.n_in_file / rate))
    if item.path in inside:
        ET.SubElement(audio, "File", path=inside[item.path], external="false")
    else:
        ET.SubElement(audio, "File", path=item.file, external="true")


def _number(value: float) -> str:
    return f"{value:.14f}".rstrip("0").rstrip(".")


def _shown(name: str) -> str:
    """Return a name that is only shown, as XML can hold it."""
    return "".join(c if c.isprintable() else " " for c in name)
