"""The page of a folder of stems: what stands on it and what it holds, without a browser."""

import base64
import io
import json
import os
import re
import tracemalloc
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile as sf

from mnmf import audio, cli
from mnmf.audio import Recording
from mnmf.diagnostics import Diagnostics, record_of
from mnmf.errors import ArgumentError, AudioFileError, OutputError, SessionError
from mnmf.report import _bleed as bleed
from mnmf.report import write_report
from mnmf.report._clips import plan_clips
from mnmf.report._measures import measure
from mnmf.report._page import LARGEST
from mnmf.report._pictures import png, rows_of, spectrogram
from mnmf.report._places import buried, excerpts, muted
from mnmf.report._sounds import Sounds

RATE = 8000
HOSTILE = "<img src=x onerror=alert(1)>"


def room(names=("violin", "cello"), seconds=12.0, rate=RATE, bleed_db=-10.0, seed=0):
    """Return players, (samples, N), as notes of noise, and what their microphones hear, one each."""
    rng = np.random.default_rng(seed)
    n_samples, N = round(seconds * rate), len(names)
    notes = np.repeat(rng.uniform(0.2, 1.0, (n_samples // (rate // 4) + 1, N)), rate // 4, axis=0)[:n_samples]
    players_LN = 0.1 * rng.standard_normal((n_samples, N)) * notes
    mixing = np.full((N, N), 10 ** (bleed_db / 20))
    np.fill_diagonal(mixing, 1.0)
    return players_LN, players_LN @ mixing


def folder_of(place, names=("violin", "cello"), *, residual=False, reduction=None, first=0, late=0, facts=None, **how):
    """Write a take, a file a microphone, its perfect stems, and their manifest."""
    players_LN, x_LM = room(names, **how)
    rate = how.get("rate", RATE)
    place.mkdir(parents=True, exist_ok=True)
    files = [place / f"mic{m + 1}.wav" for m in range(len(names))]
    for m, file in enumerate(files):
        audio.write(file, x_LM[late if m == 0 else 0 :, m], rate, "PCM_24")
    starts = [late, *[0] * (len(names) - 1)]
    take = Recording.open(files, starts=starts if late else None)
    part = take.part(first, take.n_samples) if first else take
    heard_LM = part.read(dtype=np.float64)
    out, sources = place / "stems", []
    out.mkdir()
    for n, name in enumerate(names):
        y_L = players_LN[late + first :, n]
        if isinstance(reduction, float):
            y_L = y_L + 10 ** (-reduction / 20) * (heard_LM[:, n] - y_L)
        rest = f"stem{n}.residual.wav" if residual else None
        audio.write_stem(
            out / f"stem{n}.wav", y_L, part, n, take_L=heard_LM[:, n], residual=None if rest is None else out / rest
        )
        sources.append(
            {"name": name, "file": f"stem{n}.wav", "residual": rest, "mics": [n + 1], "reduction_db": reduction}
        )
    known = {
        "sources": sources,
        "take": [os.path.relpath(file, out) for file in files],
        "sample_rate": rate,
        "first_sample": first,
        "samples": part.n_samples,
        "starts": list(take.starts),
        "method": "mnmf",
        "citation": "Somebody 2026",
    }
    (out / "manifest.json").write_text(json.dumps({**known, **(facts or {})}))
    return out


def with_a_buried_place(place, start, stop, seconds=12.0):
    """Do the same, with a stretch in which the others are far louder at the first microphone."""
    out = folder_of(place, seconds=seconds)
    players_LN, x_LM = room(seconds=seconds)
    loud = slice(round(start * RATE), round(stop * RATE))
    x_LM[loud, 0] += 20 * (x_LM - players_LN)[loud, 0]
    audio.write(place / "mic1.wav", 0.3 * x_LM[:, 0], RATE, "PCM_24")
    audio.write(out / "stem0.wav", 0.3 * players_LN[:, 0], RATE, "PCM_24")
    return out


DIAGNOSTICS = {
    "version": 1,
    "costs": [[0.0, 12.0, [100.0, 50.0, 20.0, 10.0, 9.0, 8.5]]],
    "bands_hz": [0.0, 360.0, 720.0],
    "solo_seconds": {"violin": [None, 3.5, 0.0], "cello": [0.0, 0.0, 0.0]},
    "warnings": ["mic 2 is <b>practically</b> silent"],
    "command": ["mnmf", "separate", "my take.wav"],
}


class Page(HTMLParser):
    """What a browser would make of a page: its tags, its text, and the contents of its scripts."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.scripts, self._script = [], [], {}, None
        self.html = path.read_text("utf-8")
        self.feed(self.html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self._script = dict(attributes).get("id", tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._script = None

    def handle_data(self, data):
        if self._script is None:
            self.words.append(data)
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    @property
    def facts(self):
        return json.loads(self.scripts["facts"])

    def clip(self, number):
        return sf.read(io.BytesIO(base64.b64decode(self.scripts[f"clip-{number}"])))


def test_a_page_says_first_what_came_out_and_then_lets_listen(tmp_path):
    page = Page(write_report(folder_of(tmp_path / "a")))
    assert page.text.index("2 players, each in a file of their own") < page.text.index("Press Play")
    assert "From 12 seconds of music mnmf made 2 stems" in page.text
    assert "were 10 dB below that player" in page.text
    assert "You hear the whole take." in page.text
    assert page.text.index("Press Play") < page.text.index("The session")


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    page = Page(write_report(folder_of(tmp_path / "a", facts={"diagnostics": DIAGNOSTICS})))
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "poster", "action"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:", "#")), (tag, value)
    assert "url(" not in page.scripts["style"]
    assert "default-src 'none'" in page.html


def test_a_clip_holds_what_the_microphone_heard_and_the_stem(tmp_path):
    out = folder_of(tmp_path / "a")
    page = Page(write_report(out))
    clip_LC, rate = page.clip(1)
    x_L, y_L = sf.read(tmp_path / "a" / "mic2.wav")[0], sf.read(out / "stem1.wav")[0]
    assert rate == RATE
    assert len(clip_LC) == len(x_L)
    scale = 0.98 / np.abs(np.stack([x_L, y_L])).max()
    np.testing.assert_allclose(clip_LC, scale * np.stack([x_L, y_L], axis=1), atol=2e-5)
    xx, ss, xs = page.facts["players"][1]["powers"]
    assert xx > ss
    assert xs == pytest.approx(ss, rel=0.05)  # of what is independent


def test_names_and_warnings_stay_text(tmp_path, monkeypatch):
    monkeypatch.setattr("mnmf.manifest.check_file_names", lambda *names: None)  # no such name can be that of a file
    names = (HOSTILE, "</script><script>alert(2)</script>", "\u202egnp.exe'\"&")
    facts = {"diagnostics": DIAGNOSTICS | {"solo_seconds": {}}, "method": "<m>", "citation": HOSTILE}
    page = Page(write_report(folder_of(tmp_path / "a", names, facts=facts)))
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"m", "iframe", "object"}
    assert all(attributes.get("src", "data:").startswith("data:") for tag, attributes in page.tags if tag == "img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert HOSTILE in page.text
    assert "<b>practically</b>" in page.text
    assert "\u202e" not in page.html
    assert [player["option"] for player in page.facts["players"]] == list(names)


def test_the_bleed_is_that_of_the_mixing(tmp_path):
    players_LN, x_LM = room(("a", "b", "c"), seconds=30, bleed_db=-14.0)
    stems_LN = players_LN + 0.05 * players_LN[:, [1, 2, 0]]
    pieces = [(x_LM[a:b], stems_LN[a:b]) for a, b in bleed.pieces_of(len(x_LM), RATE)]
    found = bleed.bleed_of(pieces, 3, RATE)
    level = np.square(players_LN).sum(axis=0)
    true_NN = -14 + 10 * np.log10(level[None, :] / level[:, None])
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(found.before_NN[off], true_NN[off], atol=2.0)
    left = 20 * np.log10(0.05) + 10 * np.log10(level[[1, 2, 0]] / level)
    np.testing.assert_allclose(found.after_NN[[0, 1, 2], [1, 2, 0]], left, atol=2.5)
    assert np.all(np.isnan(np.diag(found.before_NN)))
    alone = bleed.bleed_of([(players_LN, players_LN)], 3, RATE)
    assert np.all(~(alone.after_NN[off] > -25))


def test_what_was_lost_is_noticed(tmp_path):
    players_LN, x_LM = room(seconds=20)
    kept = np.array([0.5, 1.0])
    found = bleed.bleed_of([(x_LM, kept * players_LN)], 2, RATE)
    assert found.lost_N[0] == pytest.approx(0, abs=1.5)  # as much as is in the stem
    assert found.lost_N[1] < -20


def test_silence_has_no_levels(tmp_path):
    silent_LN = np.zeros((RATE * 4, 2))
    found = bleed.bleed_of([(silent_LN, silent_LN)], 2, RATE)
    assert np.isnan(found.before_NN).all()
    assert not np.isfinite(found.lost_N).any()
    assert np.isnan(bleed.bleed_of([], 2, RATE).before_NN).all()


def test_outlines_and_powers_do_not_depend_on_the_blocks(monkeypatch):
    x_LN = np.random.default_rng(0).standard_normal((70_001, 2)).astype(np.float32)

    def read(start, stop):
        return x_LN[start:stop], 0.5 * x_LN[start:stop]

    whole = measure(read, len(x_LN), 2, RATE)
    monkeypatch.setattr("mnmf.report._measures.AT_ONCE", 4000)
    parts = measure(read, len(x_LN), 2, RATE)
    for name in ("spots_TN", "stems_TN", "rests_TN", "spot_edges_NC", "stem_edges_NC"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-5)
    column_L = np.arange(len(x_LN)) * 600 // len(x_LN)
    naive = [(x_LN[column_L == c, 1].min(), x_LN[column_L == c, 1].max()) for c in range(600)]
    np.testing.assert_array_equal(parts.spot_edges_NC[1], naive)


def test_a_player_who_rests_has_an_excerpt_of_their_own():
    stems_TN = np.zeros((1000, 3), np.float32)
    stems_TN[100:400, :2] = stems_TN[800:950, 2] = 1.0
    none = np.zeros((3, 1, 2), np.float32)
    from mnmf.report._measures import Levels

    first, second, third = excerpts(Levels(0.1, stems_TN, stems_TN, stems_TN, none, none), 10.0, 100.0)
    assert first == second
    assert 10 <= first[0] < first[1] <= 40
    assert 80 <= third[0] < third[1] <= 95


def test_buried_and_muted_places_are_found(tmp_path):
    out = folder_of(tmp_path / "a")
    sounds = Sounds.open(out)
    levels = measure(sounds.read, sounds.n_samples, 2, RATE)
    assert buried(levels, 0) == []
    assert muted(levels, 0) == []
    levels.rests_TN[40:60, 0] = 30 * levels.stems_TN[40:60, 0]
    levels.spots_TN[80:100, 1] = 0
    (place,) = buried(levels, 0)
    assert (place.start, place.stop) == (4.0, 6.0)
    (place,) = muted(levels, 1)
    assert (place.start, place.stop) == (8.0, 10.0)


def test_what_the_model_guessed_is_said_with_times(tmp_path):
    page = Page(write_report(with_a_buried_place(tmp_path / "a", 3.0, 5.0)))
    assert "violin : here the others are up to" in page.text
    (button,) = [attributes for tag, attributes in page.tags if "data-go" in attributes]
    assert float(button["data-at"]) == pytest.approx(3.0, abs=0.2)
    assert button["aria-label"].startswith("Listen to violin from 0:0")
    assert len(page.facts["players"]) == 2
    later = Page(write_report(with_a_buried_place(tmp_path / "b", 2.0, 5.0, seconds=40.0)))
    assert not any("data-go" in attributes for _, attributes in later.tags)
    *_, extra = later.facts["players"]
    assert (extra["name"], extra["extra"], extra["number"]) == ("violin", True, 2)
    assert (extra["start"], extra["seconds"]) == pytest.approx((1.0, 5.0), abs=0.3)


def test_what_the_manifest_knows_is_shown(tmp_path):
    solos = {"solos": [[0.0, 2.5]], "margin_db": 9.25}
    out = folder_of(tmp_path / "a")
    record = json.loads((out / "manifest.json").read_text())
    record["sources"][0] |= solos
    record["diagnostics"] = DIAGNOSTICS
    (out / "manifest.json").write_text(json.dumps(record))
    page = Page(write_report(out))
    for text in ("mic 2 is <b>practically</b> silent", "held", "3.5 s", "ignored", "no solo", "360 Hz to 720 Hz"):
        assert text in page.text
    assert "When a fifth of its 6 steps was left, 0.5% of the whole improvement was still to come" in page.text
    assert "2.5 s 9.2 dB removed" in page.text
    assert page.facts["base"] == ["mnmf", "separate", "my take.wav"]


def test_a_manifest_without_diagnostics_or_with_later_ones_will_do(tmp_path):
    for n, facts in enumerate(({}, {"diagnostics": {"version": 2, "costs": "other"}})):
        page = Page(write_report(folder_of(tmp_path / str(n), facts=facts)))
        assert "How far the solos were trusted" not in page.text
        assert "Did it have enough time?" not in page.text
        assert page.facts["base"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"version": 1, "costs": [[0, 1]]},
        {"version": 1, "costs": [[0, 1, [True]]]},
        {"version": 1, "costs": [[0, 1, ["5"]]]},
        {"version": 1, "warnings": [3]},
        {"version": 1, "solo_seconds": []},
        {"version": 1, "bands_hz": [0], "solo_seconds": {"violin": [1, 2]}},
        {"version": 1, "command": "mnmf"},
    ],
)
def test_wrong_diagnostics_are_refused(tmp_path, wrong):
    with pytest.raises(ArgumentError):
        Diagnostics.of({"diagnostics": wrong})
    with pytest.raises(SessionError, match=r"manifest\.json: not a manifest of mnmf separate"):
        write_report(folder_of(tmp_path / "a", facts={"diagnostics": wrong}))


def test_diagnostics_are_read_as_they_were_written():
    from mnmf import separate

    done = separate(np.random.default_rng(0).standard_normal((4000, 2)), RATE, method="kamir", iterations=3)
    record = json.loads(json.dumps({"diagnostics": record_of(done, ["a", "b"], ["mnmf"])}))
    found = Diagnostics.of(record)
    assert found.warnings == ("a", "b")
    ((start, stop, costs),) = found.costs
    assert (start, stop) == (0.0, 0.5)
    np.testing.assert_allclose(costs, done.model.cost_, rtol=1e-5)


@pytest.mark.parametrize("reduction", [6.0, 20.0])
def test_bleed_that_was_left_is_taken_out_again(tmp_path, reduction):
    whole, part = Sounds.open(folder_of(tmp_path / "a")), Sounds.open(folder_of(tmp_path / "b", reduction=reduction))
    for a, b in zip(whole.read(0, 40_000), part.read(0, 40_000)):
        np.testing.assert_allclose(a, b, atol=1e-6)
    page = Page(write_report(tmp_path / "b" / "stems"))
    assert [player["dial"] for player in page.facts["players"]] == [reduction, reduction]
    assert f"turned down by {reduction:g} dB" in page.text


def test_bleed_that_cannot_be_told_stays(tmp_path):
    for n, reduction in enumerate((0.0, {"cello": 6.0})):
        out = folder_of(tmp_path / str(n), ("violin", "viola"), reduction=reduction)
        page = Page(write_report(out))
        assert [player["parted"] for player in page.facts["players"]] == [False, False]
        dials = [attributes for tag, attributes in page.tags if attributes.get("class") == "turn"]
        assert all("disabled" in attributes for attributes in dials)


def test_residuals_stand_in_for_a_take_that_is_gone(tmp_path):
    out = folder_of(tmp_path / "a", residual=True)
    before = Sounds.open(out).read(0, 1000)
    for file in (tmp_path / "a").glob("mic*.wav"):
        file.unlink()
    after = Sounds.open(out)
    assert after.take is None
    for a, b in zip(before, after.read(0, 1000)):
        np.testing.assert_allclose(a, b, atol=1e-7)
    assert write_report(out).exists()


def test_a_take_that_is_gone_is_named(tmp_path):
    out = folder_of(tmp_path / "a")
    (tmp_path / "a" / "mic2.wav").unlink()
    with pytest.raises(AudioFileError, match=r"mic2\.wav.*a report also needs the take"):
        write_report(out)
    assert not (out / "report.html").exists()


def test_files_that_are_not_those_of_the_manifest_are_refused(tmp_path):
    out = folder_of(tmp_path / "a")
    audio.write(out / "stem1.wav", np.zeros(100), RATE)
    with pytest.raises(SessionError, match=r"stem1\.wav is not what its manifest is of"):
        write_report(out)
    record = json.loads((out / "manifest.json").read_text())
    for wrong in ({"samples": None}, {"sample_rate": 0}, {"take": []}, {"take": [3]}, {"samples": 10**9}):
        (out / "manifest.json").write_text(json.dumps(record | wrong))
        with pytest.raises(SessionError):
            write_report(out)


def test_a_part_of_a_take_and_files_that_begin_late_lie_in_place(tmp_path):
    for n, how in enumerate(({"first": 16_000}, {"late": 500})):
        players_LN, _ = room()
        sounds = Sounds.open(folder_of(tmp_path / str(n), **how))
        begin = sum(how.values())
        _, stems_LN = sounds.read(1000, 2000)
        np.testing.assert_allclose(stems_LN, players_LN[begin + 1000 : begin + 2000], atol=1e-6)
        page = Page(write_report(sounds.folder))
        assert page.facts["players"][0]["start"] == how.get("first", 0) / RATE


def test_stems_of_several_channels_are_heard_by_their_first(tmp_path):
    out = folder_of(tmp_path / "a", ("violin", "cello"))
    record = json.loads((out / "manifest.json").read_text())
    y_L, rate = sf.read(out / "stem0.wav")
    audio.write(out / "stem0.wav", np.stack([y_L, 0.1 * y_L], axis=1), rate, "PCM_24")
    record["sources"][0]["mics"] = [1, 2]
    (out / "manifest.json").write_text(json.dumps(record))
    np.testing.assert_allclose(Sounds.open(out).read(0, 500)[1][:, 0], y_L[:500], atol=1e-7)
    assert "The player has 2 microphones; you hear the first." in Page(write_report(out)).text


def test_scores_stand_there_if_the_truth_is_given(tmp_path):
    out = folder_of(tmp_path / "a", seconds=3.0)
    players_LN, _ = room(seconds=3.0)
    audio.write(tmp_path / "truth.wav", players_LN, RATE, "PCM_24")
    page = Page(write_report(out, reference=[tmp_path / "truth.wav"]))
    assert "Scores against the true recordings" in page.text
    assert re.search(r"the stems are \d+\.\d dB better than the microphones", page.text)
    assert "Scores" not in Page(write_report(out)).text


def test_many_players_fit_into_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr("mnmf.report._page.LARGEST", 1_500_000)
    names = [f"player {n}" for n in range(27)]
    path = write_report(folder_of(tmp_path / "a", names, seconds=2.0))
    assert path.stat().st_size <= 1_500_000
    page = Page(path)
    assert len(page.facts["players"]) == 24
    assert "3 of the players can be seen but not heard here; mnmf report --only" in page.text
    few = Page(write_report(tmp_path / "a" / "stems", only=["player 26", "player 3"]))
    assert [player["name"] for player in few.facts["players"]] == ["player 3", "player 26"]
    with pytest.raises(ArgumentError, match="no stem of 'player'"):
        write_report(tmp_path / "a" / "stems", only=["player"])


@pytest.mark.slow
def test_as_many_players_as_a_page_has_fit_into_it_with_the_longest_names(tmp_path):
    names = ["&" * 197 + f"{n:03d}" for n in range(70)]  # each & takes five letters of HTML
    path = write_report(folder_of(tmp_path / "a", names, seconds=0.5))
    without_sound = path.stat().st_size - sum(len(text) for name, text in Page(path).scripts.items() if "clip" in name)
    assert without_sound < 0.7 * LARGEST


def test_a_page_keeps_to_its_size_whatever_the_manifest_says(tmp_path):
    names, long = ("violin", "cello"), "x" * 1000  # no text of a manifest is longer
    plain = write_report(folder_of(tmp_path / "a", names, seconds=1.0)).stat().st_size
    loud = DIAGNOSTICS | {
        "costs": [[0.0, 1.0, [1e6 / (i + 1) for i in range(2000)]]] * 100,
        "bands_hz": [float(hz) for hz in range(2000)],
        "solo_seconds": {name: [1.5] * 2000 for name in names},
        "warnings": [f"warning {i}" for i in range(3000)],
        "command": ["mnmf", "separate", *[long] * 400],
    }
    out = folder_of(
        tmp_path / "b", names, seconds=1.0, facts={"diagnostics": loud, "method": long, "citation": [long] * 400}
    )
    record = json.loads((out / "manifest.json").read_text())
    record["sources"][0] |= {"mic_names": [long], "clipped_samples": long}
    (out / "manifest.json").write_text(json.dumps(record))
    path = write_report(out)
    assert path.stat().st_size < plain + 400_000
    page = Page(path)
    assert "warning 49" in page.text
    assert "warning 50" not in page.text
    assert "there are 2950 more warnings in manifest.json" in page.text
    assert page.facts["base"] == []
    assert "x" * 301 not in page.html


def test_a_page_that_no_excerpt_is_short_enough_for_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mnmf.report._page.LARGEST", 60_000)
    out = folder_of(tmp_path / "a", seconds=1.0)
    assert cli.run(["report", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "a page of these 2 players takes" in said
    assert "0.06 MB at most are wanted; name fewer of them by --only" in said
    assert not (out / "report.html").exists()


@pytest.mark.parametrize(("n", "rate"), [(1, 44100), (4, 192000), (8, 48000), (60, 96000), (2, 8000), (1, 1000)])
def test_clips_are_planned_within_bounds(n, rate):
    seconds, by = plan_clips(n, rate)
    assert 4 <= seconds <= 18
    assert by >= rate / 48000


def test_memory_does_not_grow_with_the_take(tmp_path, monkeypatch):
    monkeypatch.setattr("mnmf.report._measures.AT_ONCE", 1 << 16)
    monkeypatch.setattr("mnmf.report._bleed.MOST_PIECES", 1)
    monkeypatch.setattr("mnmf.report._clips.LONGEST", 4.0)
    peaks = []
    for seconds in (20, 20, 160):  # the first one imports
        out = folder_of(tmp_path / f"{len(peaks)}", seconds=seconds)
        tracemalloc.start()
        write_report(out)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1] + 100_000


def test_a_spectrogram_shows_a_tone_where_it_is():
    t_L = np.arange(2 * RATE) / RATE
    x_L = np.sin(2 * np.pi * 500 * t_L) * (t_L > 1)
    levels_RC, loudest = spectrogram(x_L, RATE, None, 100, 80)
    assert levels_RC.max() == 0
    upper = rows_of(RATE, 100)
    row = int(levels_RC[:, 60].argmax())
    assert upper[row + 2] <= 500 <= upper[max(row - 1, 0)]
    assert levels_RC[row, 10] < -60
    quieter_RC, _ = spectrogram(0.1 * x_L, RATE, loudest, 100, 80)
    np.testing.assert_allclose(quieter_RC[row, 60], levels_RC[row, 60] - 20, atol=1e-6)


@pytest.mark.parametrize("n_samples", [1, 50, 1000])
def test_the_shortest_sounds_have_spectrograms(n_samples):
    levels_RC, _ = spectrogram(np.ones(n_samples), RATE, None, 20, 30)
    assert levels_RC.shape == (20, 30)
    assert np.isfinite(levels_RC).all()


def test_a_picture_is_a_png_of_its_size():
    data = base64.b64decode(png(np.linspace(-90, 0, 12).reshape(3, 4)))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (4, 3)


def test_the_command_makes_a_page_and_replaces_none_unasked(tmp_path, capsys):
    out = folder_of(tmp_path / "a", seconds=2.0)
    assert cli.run(["report", str(out)]) == 0
    assert "report.html in a browser" in capsys.readouterr().out
    assert cli.run(["report", str(out)]) == 2
    assert "exists already; add --overwrite" in capsys.readouterr().err
    assert cli.run(["report", str(out), "--overwrite", "--only", "cello"]) == 0
    assert cli.run(["report", str(out), "--out", str(tmp_path / "page.txt")]) == 2
    assert cli.run(["report", str(tmp_path)]) == 2
    assert "manifest.json" in capsys.readouterr().err
    (out / "report.html").unlink()
    (out / "report.html").symlink_to(out / "stem0.wav")
    with pytest.raises(OutputError, match="is the input"):
        write_report(out)
    assert sf.info(out / "stem0.wav").frames == 2 * RATE


def test_a_separation_reports_itself(tmp_path, capsys):
    _, x_LM = room(seconds=2.0)
    audio.write(tmp_path / "take.wav", x_LM, RATE, "PCM_24")
    out = tmp_path / "stems"
    words = ["separate", str(tmp_path / "take.wav"), "--out", str(out), "--method", "kamir", "--iterations", "3"]
    assert cli.run([*words, "--report", "--reduction", "1=12", "-q"]) == 0
    page = Page(out / "report.html")
    assert page.facts["base"] == ["mnmf", *words]
    assert [player["dial"] for player in page.facts["players"]] == [12, None]
    assert "steps was left" in page.text
    capsys.readouterr()
    assert cli.run([*words, "--report"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert cli.run([*words, "--overwrite"]) == 0
    assert "still there from an earlier run: report.html" in capsys.readouterr().err
