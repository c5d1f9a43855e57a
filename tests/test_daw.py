"""Projects of workstations: read back as the workstation does, played, and held against the take."""

import json
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile as sf

from mnmf import audio, cli, daw
from mnmf.audio import Recording
from mnmf.daw import Item, Project, Track, check_project, dial, read_project, write_project
from mnmf.errors import ArgumentError, AudioFileError, OutputError, SessionError
from tests.test_audio import add_bext

RATE = 8000
LENGTH = 4000
NAMES = ("violin", "viola")
HOSTILE = ("it's `here`", "a&b 'c' {x}", "]] ä 🎻", "TRACK", "%s;#!")


def stems_folder(
    place,
    names=NAMES,
    *,
    poly=False,
    residual=False,
    baked=None,
    recorded=None,
    first=0,
    stamps=None,
    suffix="wav",
    mic="mic",
):
    """Write a take of a microphone a name and one more, made-up stems of samples from `first` on, and the manifest."""
    rng = np.random.default_rng(0)
    x_LM = rng.uniform(-0.4, 0.4, (LENGTH, len(names) + 1))
    place.mkdir(exist_ok=True)
    if poly:
        files = [place / f"take.{suffix}"]
        audio.write(files[0], x_LM, RATE)
    else:
        files = [place / f"{mic}{m + 1}.{suffix}" for m in range(x_LM.shape[1])]
        for m, file in enumerate(files):
            audio.write(file, x_LM[:, m], RATE)
    for file, stamp in zip(files, stamps or ()):
        if stamp is not None:
            add_bext(file, bytes(338) + stamp.to_bytes(8, "little") + bytes(256), at_end=False)
    take = Recording.open(files)
    part = take.part(first, take.n_samples - first // 2) if first else take
    out = place / "out"
    out.mkdir()
    heard_LM = part.read(dtype=np.float64)
    sources = []
    for n, name in enumerate(names):
        y_L = 0.5 * heard_LM[:, n] + rng.uniform(-0.05, 0.05, len(heard_LM))
        if baked is not None:
            y_L += 10 ** (-baked / 20) * (heard_LM[:, n] - y_L)
        stem, rest = f"{name}.{suffix}", f"{name}.residual.{suffix}" if residual else None
        audio.write_stem(out / stem, y_L, part, n, take_L=heard_LM[:, n], residual=None if rest is None else out / rest)
        entry = {"name": name, "file": stem, "residual": rest, "mics": [n + 1], "reduction_db": baked}
        sources.append(entry | {"dial_db": recorded})
    facts = {"sources": sources, "take": [os.path.relpath(file, out) for file in files], "sample_rate": RATE}
    (out / "manifest.json").write_text(json.dumps(facts | {"first_sample": first, "samples": part.n_samples}))
    return out


# A reader of REAPER's files, by its rules: a word that begins with a quote ends with the next such quote.


def words(line):
    found = []
    while line := line.strip(" \t"):
        if line[0] in "\"'`":
            end = line.index(line[0], 1)
            found.append(line[1:end])
            line = line[end + 1 :]
            assert not line or line[0] == " ", f"rubbish after a quote: {line}"
        else:
            word, _, line = line.partition(" ")
            found.append(word)
    return found


def parsed(text):
    """Return chunks as (words of the head, lines as words, chunks within); every line must belong to one."""
    root = ([], [], [])
    stack = [root]
    for line in text.split("\n")[:-1]:
        assert "\r" not in line
        plain = line.strip()
        if plain == ">":
            stack.pop()
        elif plain.startswith("<"):
            chunk = (words(plain[1:]), [], [])
            stack[-1][2].append(chunk)
            stack.append(chunk)
        else:
            assert len(stack) > 1, "a line outside of everything"
            stack[-1][1].append(words(plain))
        assert stack, "a chunk is closed that was not open"
    assert stack == [root]
    (project,) = root[2]
    return project


def value(chunk, name):
    (line,) = [line for line in chunk[1] if line[0] == name]
    return line[1:]


def reaper_items(path):
    """Return name of the track, item, and file of each track."""
    project = parsed(path.read_text("utf-8"))
    assert project[0] == ["REAPER_PROJECT", "0.1", "6.0", "0"]
    assert value(project, "SAMPLERATE")[:2] == [str(RATE), "1"]
    found = []
    for track in project[2]:
        assert track[0] == ["TRACK"]
        (item,) = track[2]
        (source,) = item[2]
        assert (item[0], source[0][0]) == (["ITEM"], "SOURCE")
        assert value(item, "LOOP") == ["0"]
        assert value(item, "FADEIN")[1] == value(item, "FADEOUT")[1] == "0"
        assert value(item, "VOLPAN")[1:] == ["0", "1", "-1"]
        (file,) = value(source, "FILE")
        found.append((value(track, "NAME")[0], item, file))
    return found


def played(path, names):
    """Return what a project of REAPER plays of the tracks `names`, whether they are muted or not."""
    total_L = np.zeros(3 * LENGTH)
    for name, item, file in reaper_items(path):
        if name in names:
            x_LC = sf.read(path.parent / file, always_2d=True)[0]
            mode = int(value(item, "CHANMODE")[0])
            assert (mode == 0) == (x_LC.shape[1] == 1)
            x_L = x_LC[:, max(mode - 3, 0)]
            position, length, offset = (
                round(float(value(item, key)[0]) * RATE) for key in ("POSITION", "LENGTH", "SOFFS")
            )
            total_L[position : position + length] += float(value(item, "VOLPAN")[0]) * x_L[offset : offset + length]
    return total_L


def muted(path):
    return [(name, value(item, "MUTE") == ["1", "0"]) for name, item, _ in reaper_items(path)]


def exported(out, *options):
    assert cli.run(["export", str(out), "--reaper", "--overwrite", *options]) == 0
    return out / "stems.RPP"


# What plays


@pytest.mark.parametrize("poly", [False, True])
def test_a_project_plays_the_take_and_has_each_stem_muted_under_its_original(tmp_path, poly):
    out = stems_folder(tmp_path, poly=poly)
    path = exported(out)
    assert muted(path) == [
        ("violin", False),
        ("violin stem", True),
        ("viola", False),
        ("viola stem", True),
        ("mic 3" if poly else "mic3", False),
    ]
    files = [file for *_, file in reaper_items(path)]
    assert files[1::2] == ["violin.wav", "viola.wav"]
    assert files[::2] == (["../take.wav"] * 3 if poly else [f"../mic{m}.wav" for m in (1, 2, 3)])
    x_LM = Recording.open(tmp_path / "take.wav" if poly else sorted(tmp_path.glob("mic*.wav"))).read(dtype=np.float64)
    np.testing.assert_array_equal(played(path, ["viola"])[:LENGTH], x_LM[:, 1])
    np.testing.assert_array_equal(played(path, ["viola stem"])[:LENGTH], sf.read(out / "viola.wav")[0])


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("baked", [None, 3.0])
@pytest.mark.parametrize("first", [0, 300])
@pytest.mark.parametrize("poly", [False, True])
def test_at_a_reduction_the_two_muted_items_sum_to_what_it_says(tmp_path, residual, baked, first, poly):
    """The spot with its bleed r decibels lower, as `mnmf separate --reduction` writes it."""
    out = stems_folder(tmp_path, residual=residual, baked=baked, first=first, poly=poly)
    reduction = 2.0 if baked else 10.0
    path = exported(out, "--reduction", str(reduction))
    rest = "viola residual" if residual else "viola spot"
    assert [name for name, _ in muted(path)][3:6] == ["viola", "viola stem", rest]
    assert [held for _, held in muted(path)][3:6] == [False, True, True]
    x_L = played(path, ["viola"])
    inside = slice(first, LENGTH - first // 2)
    stem_L = played(path, ["viola stem"]) / (1.0 if residual else 1.0 - dial(reduction, baked))
    np.testing.assert_allclose(stem_L[inside], sf.read(out / "viola.wav")[0], atol=1e-12)
    # The stem without any bleed, from the file in which it may be turned down already.
    held = 0.0 if baked is None else 10 ** (-baked / 20)
    y_L = (stem_L - held * x_L)[inside] / (1.0 - held)
    wanted_L = y_L + 10 ** (-reduction / 20) * (x_L[inside] - y_L)
    total_L = played(path, ["viola stem", rest])
    np.testing.assert_allclose(total_L[inside], wanted_L, atol=1e-9)
    assert not total_L[: inside.start].any()
    assert not total_L[inside.stop :].any()


def test_the_recipe_of_two_faders(tmp_path):
    out = stems_folder(tmp_path)
    items = reaper_items(exported(out, "--reduction", "10", "--reduction", "viola=6"))
    levels = {name: 20 * np.log10(float(value(item, "VOLPAN")[0])) for name, item, _ in items}
    for name, r in (("violin", 10.0), ("viola", 6.0)):
        assert levels[name] == 0.0
        assert levels[f"{name} spot"] == pytest.approx(-r, abs=1e-9)
        assert levels[f"{name} stem"] == pytest.approx(20 * np.log10(1 - 10 ** (-r / 20)), abs=1e-9)


def test_with_a_residual_the_dial_is_its_volume_and_without_one_they_sum_to_the_take(tmp_path):
    out = stems_folder(tmp_path, residual=True)
    x_L = sf.read(tmp_path / "mic1.wav")[0]
    np.testing.assert_array_equal(played(exported(out), ["violin stem", "violin residual"])[:LENGTH], x_L)
    gains = [float(value(item, "VOLPAN")[0]) for _, item, _ in reaper_items(exported(out, "--reduction=violin=10"))]
    assert gains == pytest.approx([1, 1, 10**-0.5, 1, 1, 1, 1], abs=1e-12)


def test_what_separate_was_told_is_the_dial_unless_another_is_given(tmp_path):
    out = stems_folder(tmp_path, recorded=20)
    assert [name for name, _ in muted(exported(out, "--reduction=viola=inf"))] == [
        *("violin", "violin stem", "violin spot", "viola", "viola stem", "mic3")
    ]
    levels = [float(value(item, "VOLPAN")[0]) for _, item, _ in reaper_items(exported(out))]
    assert levels == pytest.approx([1, 0.9, 0.1, 1, 0.9, 0.1, 1])


def test_the_dial():
    assert dial(0.0) == 1.0
    assert dial(np.inf) == dial(np.inf, 3.0) == dial(3.0, 3.0) == dial(0.0, 0.0) == 0.0
    assert dial(0.0, 3.0) == 1.0
    with pytest.raises(ArgumentError, match="bleed is 3 dB down in the file"):
        dial(4.0, 3.0)


# Where it plays


@pytest.mark.parametrize(
    ("stamps", "starts"),
    [
        (None, [0, 0, 0]),
        ([5000, 5000, 5000], [0, 0, 0]),
        ([80_300, 80_000, 80_040], [300, 0, 40]),
        ([80_300, None, 80_000], [0, 0, 0]),  # then the take is read as if all began at once
        ([1 << 63, 80_000, 80_001], [0, 0, 0]),  # no time of a day
    ],
)
def test_items_lie_where_the_time_stamps_of_the_files_say(tmp_path, stamps, starts):
    out = stems_folder(tmp_path, stamps=stamps, first=100)
    items = {name: item for name, item, _ in reaper_items(exported(out))}
    for name, start in zip((*NAMES, "mic3"), starts):
        assert float(value(items[name], "POSITION")[0]) * RATE == pytest.approx(start)
        assert float(value(items[name], "LENGTH")[0]) * RATE == pytest.approx(LENGTH)
    for name in NAMES:
        assert float(value(items[f"{name} stem"], "POSITION")[0]) * RATE == pytest.approx(max(starts) + 100)
        assert float(value(items[f"{name} stem"], "LENGTH")[0]) * RATE == pytest.approx(LENGTH - 150 - max(starts))


def test_whole_stems_lie_where_their_own_files_do(tmp_path):
    out = stems_folder(tmp_path, stamps=[80_300, 80_000, 80_040])
    items = {name: item for name, item, _ in reaper_items(exported(out, "--reduction", "10"))}
    for name, start in zip(NAMES, (300, 0)):
        for kind in ("", " stem", " spot"):
            assert float(value(items[name + kind], "POSITION")[0]) * RATE == pytest.approx(start)
            assert float(value(items[name + kind], "LENGTH")[0]) * RATE == pytest.approx(LENGTH)


def test_a_spot_of_two_sources_plays_once(tmp_path):
    out = stems_folder(tmp_path)
    record = json.loads((out / "manifest.json").read_text())
    record["sources"][1]["mics"] = [1]
    (out / "manifest.json").write_text(json.dumps(record))
    tracks = [(track.name, track.item.muted) for track in read_project(out).tracks]
    assert tracks == [
        *(("violin, viola", False), ("violin stem", True), ("viola stem", True), ("mic2", False), ("mic3", False))
    ]


def test_sources_of_one_spot_stand_together(tmp_path):
    out = stems_folder(tmp_path, ("a", "b", "c"))
    record = json.loads((out / "manifest.json").read_text())
    record["sources"][2]["mics"] = [1, 3]
    (out / "manifest.json").write_text(json.dumps(record))
    names = [track.name for track in read_project(out).tracks]
    assert names == ["a, c", "a stem", "c stem", "b", "b stem", "mic3", "mic4"]


@pytest.mark.parametrize(("channel", "mode"), [(None, 0), (0, 3), (1, 4), (63, 66), (64, 131), (127, 194)])
def test_a_channel_of_a_file_is_chosen_by_its_mode(tmp_path, channel, mode):
    item = Item("x", "x.wav", Path("x.wav"), 0, 0, 1, 1, channel=channel)
    write_project(tmp_path / "stems.RPP", Project("x", RATE, (Track("x", item),)), "reaper")
    assert f"CHANMODE {mode}\n" in (tmp_path / "stems.RPP").read_text()


@pytest.mark.parametrize(("suffix", "source"), [("wav", "WAVE"), ("flac", "FLAC"), ("aiff", "WAVE")])
def test_the_kind_of_a_source_is_that_of_its_file(tmp_path, suffix, source):
    out = stems_folder(tmp_path, suffix=suffix)
    assert {item[2][0][0][1] for _, item, _ in reaper_items(exported(out))} == {source}


# Names


@pytest.mark.parametrize("poly", [False, True])
def test_hostile_names_are_read_back_as_they_are(tmp_path, poly):
    place = tmp_path / "a \"b\" & 'c' <d>"
    mic = '> <ITEM "x" & \'y'
    out = stems_folder(place, HOSTILE, poly=poly, residual=True, mic=mic)
    path = exported(out, "--dawproject", "--reduction", "10")
    names = [f"{name}{kind}" for name in HOSTILE for kind in ("", " stem", " residual")]
    assert [name for name, *_ in reaper_items(path)][:-1] == names
    for _, _, file in reaper_items(path):
        assert (out / file).is_file()
    root = dawproject(out)
    tracks = [track.get("name") for track in root.find("Structure")]
    wanted = [name for name in names if not poly or name not in HOSTILE]
    nobody = read_project(out).tracks[-1].name  # what differs in the names of the files
    assert poly or f"{mic}{len(HOSTILE) + 1}".endswith(nobody)
    assert tracks == [*(["take"] if poly else []), *wanted, *([] if poly else [nobody]), "Master"]
    for file in root.iter("File"):
        assert (out / file.get("path")).is_file()


def test_names_that_are_only_shown_are_cleaned():
    odd = "a\r\nb\x00\u2028\u202ec\ud800\"'`<"
    item = Item(odd, "x.wav", Path("x.wav"), 0, 0, 1, 1)
    project = Project(odd, RATE, (Track(odd, item),))
    from mnmf.daw import _dawproject, _reaper

    text = _reaper.text(project)
    text.encode()
    (track,) = parsed(text)[2]
    assert value(track, "NAME") == value(track[2][0], "NAME") == ["a  b   c \"''<"]
    for element in (_dawproject._project(project, {}), _dawproject._metadata(project)):
        assert "a  b   c \"'`<" in {*ET.fromstring(ET.tostring(element)).itertext(), *_names(element)}


def _names(element):
    return [each.get("name") for each in element.iter()]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("a\nb.wav", "reaper", "line break"),
        ("a\"'`b.wav", "reaper", "all of"),
        ("a\udc80.wav", "reaper", "not in Unicode"),
        ("a\x01b.wav", "dawproject", "XML"),
        ("a\udc80.wav", "dawproject", "XML"),
    ],
)
def test_files_that_a_project_cannot_name_are_refused_before_and_after(tmp_path, name, kind, said):
    audio.write(tmp_path / "take.wav", np.zeros(9), RATE)
    take = Recording.open(tmp_path / "take.wav")
    check_project(kind, take, ["violin.wav"], tmp_path / "out")
    with pytest.raises(ArgumentError, match=said):
        check_project(kind, take, [name], tmp_path / "out")
    with pytest.raises(ArgumentError, match=said):
        check_project(kind, replace(take, paths=(tmp_path / name,)), [], tmp_path / "out")
    item = Item("x", name, tmp_path / name, 0, 0, 9, 9)
    with pytest.raises(ArgumentError, match=f"(?s){said}.*leave --{kind} out"):
        write_project(tmp_path / "project", Project("x", RATE, (Track("x", item),)), kind)
    assert not (tmp_path / "project").exists()


def test_formats_that_are_not_there_are_refused(tmp_path):
    audio.write(tmp_path / "take.wav", np.zeros(9), RATE)
    with pytest.raises(ArgumentError, match="format must be one of reaper, dawproject"):
        check_project("cubase", Recording.open(tmp_path / "take.wav"), [], tmp_path)


def test_more_channels_than_reaper_can_choose_from_are_refused(tmp_path):
    audio.write(tmp_path / "take.wav", np.zeros((9, 129)), RATE)
    take = Recording.open(tmp_path / "take.wav")
    with pytest.raises(ArgumentError, match="more than 128 channels"):
        check_project("reaper", take, [], tmp_path)
    check_project("dawproject", take, [], tmp_path)


def test_a_path_that_leads_nowhere_is_absolute(tmp_path):
    """Beside a link to a folder, '..' is not where the link is."""
    out = stems_folder(tmp_path / "session")
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    os.replace(out, tmp_path / "elsewhere" / "deep" / "out")
    (tmp_path / "session" / "out").symlink_to(tmp_path / "elsewhere" / "deep" / "out")
    take = Recording.open(sorted((tmp_path / "session").glob("mic*.wav")))
    files = [track.item.file for track in read_project(out, take=take).tracks]
    assert files[0] == (tmp_path / "session" / "mic1.wav").as_posix()
    assert files[1] == "violin.wav"


# The format DAWproject, as its documentation has it: what an element may have, what it must have, and what is in it.

REAL, TEXT, BOOL, ID, REF = (
    re.compile(p) for p in (r"-?\d+(\.\d+)?", r"(?s).*", "true|false", "[A-Za-z_][\\w.-]*", "[A-Za-z_][\\w.-]*")
)
WHOLE, NAMED = re.compile(r"\d+"), {"name": TEXT, "color": TEXT, "comment": TEXT}
REFERABLE = {**NAMED, "id": ID}
TIMELINE = {**REFERABLE, "timeUnit": re.compile("beats|seconds"), "track": REF}
PARAMETER = {**REFERABLE, "parameterID": WHOLE}
NUMBER = {**PARAMETER, "unit": re.compile("linear|bpm"), "min": REAL, "max": REAL, "value": REAL}
CLIP_TIMES = ("time", "duration", "playStart", "playStop", "loopStart", "loopEnd", "fadeInTime", "fadeOutTime")
ELEMENTS = {  # attributes, those that must be there, children in their order, those that must be there
    "Project": ({"version": TEXT}, {"version"}, "Application Transport Structure Arrangement Scenes", {"Application"}),
    "Application": ({"name": TEXT, "version": TEXT}, {"name", "version"}, "", set()),
    "Transport": ({}, set(), "Tempo TimeSignature", set()),
    "Tempo": (NUMBER, {"unit"}, "", set()),
    "TimeSignature": ({**PARAMETER, "numerator": WHOLE, "denominator": WHOLE}, {"numerator", "denominator"}, "", set()),
    "Structure": ({}, set(), "Track*", set()),
    "Track": (
        {**REFERABLE, "contentType": re.compile("audio"), "loaded": BOOL},
        set(),
        "Channel Track*",
        set(),
    ),
    "Channel": (
        {**REFERABLE, "audioChannels": WHOLE, "destination": REF, "role": re.compile("regular|master"), "solo": BOOL},
        set(),
        "Devices Mute Pan Sends Volume",
        set(),
    ),
    "Mute": ({**PARAMETER, "value": BOOL}, set(), "", set()),
    "Volume": (NUMBER, {"unit"}, "", set()),
    "Arrangement": (REFERABLE, set(), "Lanes Markers", set()),
    "Lanes": (TIMELINE, set(), "Lanes* Clips*", set()),
    "Clips": (TIMELINE, set(), "Clip*", set()),
    "Clip": (
        {**NAMED, **dict.fromkeys(CLIP_TIMES, REAL), "contentTimeUnit": TIMELINE["timeUnit"], "enable": BOOL},
        {"time", "duration"},
        "Audio",
        {"Audio"},
    ),
    "Audio": (
        {**TIMELINE, "duration": REAL, "channels": WHOLE, "sampleRate": WHOLE, "algorithm": TEXT},
        {"duration", "channels", "sampleRate"},
        "File",
        {"File"},
    ),
    "File": ({"path": TEXT, "external": BOOL}, {"path"}, "", set()),
}


def check_element(element):
    attributes, needed, order, within = ELEMENTS[element.tag]
    for name, text in element.attrib.items():
        assert name in attributes, f"{element.tag} has no {name}"
        assert attributes[name].fullmatch(text), f"{element.tag} {name}={text!r}"
    assert needed <= element.attrib.keys(), element.tag
    tags = [child.tag for child in element]
    assert within <= set(tags), element.tag
    pattern = "".join(f"({word[:-1]} )*" if word.endswith("*") else f"({word} )?" for word in order.split())
    assert re.fullmatch(pattern, "".join(f"{tag} " for tag in tags)), f"{element.tag}: {tags}"
    assert not (element.text or "").strip()
    for child in element:
        check_element(child)


def dawproject(out):
    """Return the document of a project, if it is as it must be."""
    with zipfile.ZipFile(out / "stems.dawproject") as archive:
        assert archive.testzip() is None
        assert {"project.xml", "metadata.xml"} <= set(archive.namelist())
        root = ET.fromstring(archive.read("project.xml"))
        meta = ET.fromstring(archive.read("metadata.xml"))
        names = set(archive.namelist())
    assert (meta.tag, [child.tag for child in meta]) == ("MetaData", ["Title"])
    assert root.tag == "Project"
    check_element(root)
    ids = [element.get("id") for element in root.iter() if element.get("id") is not None]
    assert len(set(ids)) == len(ids)
    known = {tag: {element.get("id") for element in root.iter(tag)} for tag in ("Track", "Channel")}
    for element in root.iter():
        assert element.get("track") is None or element.get("track") in known["Track"]
        assert element.get("destination") is None or element.get("destination") in known["Channel"]
    for file in root.iter("File"):
        if file.get("external") == "true":
            assert (out / file.get("path")).is_file()
        else:
            assert file.get("path") in names
    return root


def clips_of(root):
    """Return by the name of its track whether it is muted, how loud it is, its clip and its file."""
    found = {}
    for track in root.find("Structure"):
        for lane in root.find("Arrangement/Lanes"):
            if lane.get("track") == track.get("id"):
                (clip,) = lane.iter("Clip")
                silent = track.find("Channel/Mute").get("value") == "true"
                gain = float(track.find("Channel/Volume").get("value"))
                found[track.get("name")] = silent, gain, clip, clip.find("Audio/File").get("path")
    return found


def test_a_dawproject_has_the_same_tracks(tmp_path):
    out = stems_folder(tmp_path, first=300, stamps=[None, 80_000, 80_400])
    path = exported(out, "--dawproject", "--reduction", "10")
    found = clips_of(dawproject(out))
    items = reaper_items(path)
    assert list(found) == [name for name, *_ in items]
    for name, item, file in items:
        silent, gain, clip, path = found[name]
        assert (silent, path) == (value(item, "MUTE")[0] == "1", file)
        assert gain == float(value(item, "VOLPAN")[0])
        for key, other in (("time", "POSITION"), ("duration", "LENGTH"), ("playStart", "SOFFS")):
            assert clip.get(key) == value(item, other)[0]
        whole = sf.info(out / path)
        audio_of = clip.find("Audio")
        assert float(audio_of.get("duration")) * RATE == pytest.approx(whole.frames)
        assert (audio_of.get("channels"), audio_of.get("sampleRate")) == ("1", str(RATE))


def test_a_dawproject_plays_whole_files(tmp_path, capsys):
    out = stems_folder(tmp_path, poly=True)
    assert cli.run(["export", str(out), "--dawproject", "--reduction", "10"]) == 0
    assert "violin: no single channel of take.wav can be played" in capsys.readouterr().err
    found = clips_of(dawproject(out))
    levels = {name: (silent, gain) for name, (silent, gain, *_) in found.items()}
    assert levels == {"take": (False, 1.0), "violin stem": (True, 1.0), "viola stem": (True, 1.0)}
    assert found["take"][2].find("Audio").get("channels") == "3"
    with pytest.raises(ArgumentError, match="channels=False"):
        write_project(tmp_path / "x", read_project(out), "dawproject")


def test_a_dawproject_of_whole_files_has_the_dial_of_residuals(tmp_path):
    out = stems_folder(tmp_path, poly=True, residual=True)
    assert cli.run(["export", str(out), "--dawproject", "--reduction", "20"]) == 0
    found = clips_of(dawproject(out))
    assert [gain for _, gain, *_ in found.values()] == pytest.approx([1, 1, 0.1, 1, 0.1])
    assert [silent for silent, *_ in found.values()] == [False, True, True, True, True]


def test_a_dawproject_can_hold_its_files_and_is_the_same_each_time(tmp_path):
    names = (*HOSTILE, "mic1")  # as a file of the take is called
    out = stems_folder(tmp_path, names)
    contents = []
    for _ in range(2):
        assert cli.run(["export", str(out), "--dawproject", "--embed", "--overwrite"]) == 0
        contents.append((out / "stems.dawproject").read_bytes())
    assert contents[0] == contents[1]
    found = clips_of(dawproject(out))
    with zipfile.ZipFile(out / "stems.dawproject") as archive:
        assert all(entry.external_attr >> 16 == 0o644 for entry in archive.infolist())
        for name in names:
            assert archive.read(found[f"{name} stem"][3]) == (out / f"{name}.wav").read_bytes()
        assert archive.read(found[HOSTILE[0]][3]) == (tmp_path / "mic1.wav").read_bytes()


# What others read


def test_a_reader_of_others_finds_the_same(tmp_path):
    rpp = pytest.importorskip("rpp")
    out = stems_folder(tmp_path, HOSTILE[:3])
    path = exported(out, "--reduction", "10")
    project = rpp.loads(path.read_text("utf-8"))
    assert project.tag == "REAPER_PROJECT"
    tracks = project.findall("TRACK")
    assert [track.find("NAME")[1] for track in tracks] == [name for name, *_ in reaper_items(path)]
    for track, (_, item, file) in zip(tracks, reaper_items(path)):
        assert track.find("ITEM/SOURCE/FILE") == ["FILE", file]
        assert track.find("ITEM/VOLPAN")[1:] == value(item, "VOLPAN")
        assert track.find("ITEM/MUTE")[1:] == value(item, "MUTE")


# The command


def test_export_writes_nothing_over_what_is_there(tmp_path, capsys):
    out = stems_folder(tmp_path)
    (out / "stems.RPP").write_text("my mix")
    assert cli.run(["export", str(out), "--dawproject", "--reaper"]) == 2
    assert "stems.RPP exists already; add --overwrite" in capsys.readouterr().err
    assert (out / "stems.RPP").read_text() == "my mix"
    assert not (out / "stems.dawproject").exists()
    exported(out)


def test_export_writes_both_or_none(tmp_path, monkeypatch):
    out = stems_folder(tmp_path)
    (out / "stems.RPP").write_text("my mix")
    before = sorted(out.iterdir())
    write = daw._files._dawproject.write

    def full(target, project, embed):
        write(target, project, embed)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(daw._files._dawproject, "write", full)
    assert cli.run(["export", str(out), "--dawproject", "--reaper", "--overwrite"]) == 2
    assert (out / "stems.RPP").read_text() == "my mix"
    assert sorted(out.iterdir()) == before
    with pytest.raises(OutputError, match=r"stems\.dawproject cannot be written: No space left"):
        write_project(out / "stems.dawproject", read_project(out), "dawproject")


def test_export_never_replaces_an_input(tmp_path, capsys):
    out = stems_folder(tmp_path)
    os.replace(tmp_path / "mic1.wav", out / "stems.RPP")
    record = json.loads((out / "manifest.json").read_text())
    record["take"][0] = "stems.RPP"
    (out / "manifest.json").write_text(json.dumps(record))
    before = (out / "stems.RPP").read_bytes()
    assert cli.run(["export", str(out), "--reaper", "--overwrite"]) == 2
    assert "is the input" in capsys.readouterr().err
    assert (out / "stems.RPP").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give --reaper or --dawproject"),
        (["--reaper", "--embed"], "give --dawproject, too"),
        (["--reaper", "--reduction=oboe=3"], "'oboe', which is not among the sources: violin, viola"),
        (["--reaper", "--reduction=-3"], "wants dB of 0 or more"),
        (["--reaper", "--reduction=nan"], "wants dB of 0 or more"),
        (["--reaper", "--reduction=12"], "violin: bleed is 6 dB down in the file"),
    ],
)
def test_export_refuses_in_one_line(tmp_path, capsys, options, said):
    out = stems_folder(tmp_path, baked=6.0)
    assert cli.run(["export", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda record: record.update(take=[]), SessionError, "does not say where"),
        (lambda record: record.update(take="mic1.wav"), SessionError, "does not say where"),
        (lambda record: record.update(samples=None), SessionError, "does not say where"),
        (lambda record: record.update(samples=True), SessionError, "does not say where"),
        (lambda record: record.update(first_sample=-1), SessionError, "does not say where"),
        (lambda record: record.update(first_sample=10), SessionError, "is not the take"),
        (lambda record: record.update(sample_rate=44100), SessionError, "is not the take"),
        (lambda record: record["sources"][0].update(mics=[4]), SessionError, "is not the take"),
        (lambda record: record.update(samples=LENGTH - 1), SessionError, "violin.wav is not what"),
        (lambda record: record["sources"][0].update(file="cello.wav"), AudioFileError, "cello.wav cannot be opened"),
        (lambda record: record["sources"][0].update(reduction_db="3"), SessionError, "not numbers"),
        (lambda record: record["sources"][0].update(reduction_db={"viola": -1}), SessionError, "not numbers"),
        (lambda record: record["sources"][0].update(dial_db=True), SessionError, "not numbers"),
        (lambda record: record["sources"][0].update(dial_db=2, reduction_db=1), ArgumentError, "violin: bleed is 1 dB"),
        (
            lambda record: record["sources"][0].update(dial_db=2, reduction_db={"viola": 1}),
            ArgumentError,
            "by whose it is",
        ),
        (lambda record: record["take"].pop(), None, ""),
        (lambda record: record["sources"][0].update(reduction_db={"viola": 1}), None, ""),
    ],
)
def test_manifests_that_do_not_fit_are_refused(tmp_path, change, kind, said):
    out = stems_folder(tmp_path)
    record = json.loads((out / "manifest.json").read_text())
    change(record)
    (out / "manifest.json").write_text(json.dumps(record))
    if kind is None:
        read_project(out)
        return
    with pytest.raises(kind, match=said) as caught:
        read_project(out)
    assert "\n" not in str(caught.value)


def test_a_reduction_of_a_stranger_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="'oboe': there is no such stem, only viola, violin"):
        read_project(stems_folder(tmp_path), {"oboe": 3.0})
    with pytest.raises(ArgumentError, match="cannot hold them"):
        write_project(tmp_path / "x", Project("x", RATE, ()), "reaper", embed=True)


# Beside a separation


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("take")
    x_LM = 0.2 * np.random.default_rng(0).standard_normal((9 * 2000, 2)) @ [[1.0, 0.2], [0.3, 1.0]]
    for m, name in enumerate(NAMES):
        audio.write(folder / f"{name}.wav", x_LM[:, m], 2000)
    return [str(folder / f"{name}.wav") for name in NAMES]


SIZES = ["--method=fastmnmf2", "--components=2", "--iterations=2", "--window=0.3"]


@pytest.mark.slow
def test_separate_writes_the_projects_that_export_does(recorded, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["separate", *recorded, "--out", str(out), *SIZES]
    assert cli.run(command) == 0
    whole = {path.name: path.read_bytes() for path in out.glob("*.wav")}
    options = ["--reduction", "10", "--overwrite"]
    assert cli.run([*command, *options, "--reaper", "--dawproject"]) == 0
    said = capsys.readouterr().out
    assert f"stems in {out}, and stems.RPP and stems.dawproject" in said
    assert "reductions are gains of the project; in the stems bleed is removed" in said
    assert {path.name: path.read_bytes() for path in out.glob("*.wav")} == whole  # the stems know nothing of the dial
    sources = json.loads((out / "manifest.json").read_text())["sources"]
    assert [(source["reduction_db"], source["dial_db"]) for source in sources] == [(None, 10)] * 2
    made = {name: (out / name).read_bytes() for name in ("stems.RPP", "stems.dawproject")}
    gains = [track.item.gain for track in read_project(out).tracks]
    assert gains == pytest.approx([1, 1 - 10**-0.5, 10**-0.5] * 2)
    assert cli.run(["export", str(out), "--reaper", "--dawproject", "--overwrite"]) == 0
    assert {name: (out / name).read_bytes() for name in made} == made
    capsys.readouterr()
    assert cli.run([*command, *options]) == 0  # now the stems know, and the projects are of others
    assert "still there from an earlier run: stems.RPP, stems.dawproject" in capsys.readouterr().err
    assert (out / "violin.wav").read_bytes() != whole["violin.wav"]
    assert cli.run(["check", str(out)]) == 0


@pytest.mark.slow
def test_a_preview_lies_where_it_was_taken_from(recorded, tmp_path):
    out = tmp_path / "out"
    command = ["separate", *recorded, "--out", str(out), "--preview=2-3.5", "--residual", "--reaper", *SIZES]
    assert cli.run(command) == 0
    items = {track.name: track.item for track in read_project(out).tracks}
    assert (items["violin"].position, items["violin"].n_samples) == (0, 18_000)
    assert (items["violin stem"].position, items["violin stem"].n_samples) == (4000, 3000)
    assert cli.run(["export", str(out), "--reaper"]) == 2
    before = (out / "stems.RPP").read_bytes()
    assert cli.run(["export", str(out), "--reaper", "--overwrite"]) == 0
    assert (out / "stems.RPP").read_bytes() == before


@pytest.mark.slow
def test_without_its_project_nothing_of_a_separation_appears(recorded, tmp_path, monkeypatch, capsys):
    def full(*known, **more):
        raise OutputError("stems.RPP cannot be written: No space left on device; free space")

    monkeypatch.setattr(daw, "write_project", full)
    assert cli.run(["separate", *recorded, "--out", str(tmp_path / "out"), "--reaper", *SIZES]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_separate_refuses_what_no_project_can_name_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mnmf.cli.separate.separate_into", None)
    audio.write(tmp_path / "a\"'`b.wav", np.full((2000, 2), 0.1), 2000)
    command = ["separate", str(tmp_path / "a\"'`b.wav"), "--out", str(tmp_path / "out"), "--reaper"]
    assert cli.run(command) == 2
    assert "rename it or leave --reaper out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
