"""Result folders as users, full disks and Ctrl-C treat them, and names that are safe as files."""

import errno
import os
import subprocess
import sys

import pytest

from mnmf import audio, output
from mnmf.audio import Recording
from mnmf.errors import ArgumentError, OutputError, SessionError
from mnmf.files import PARTIAL
from mnmf.output import OutputFolder
from tests.test_audio import make, refused

# Folders of results


def fill(folder, **contents):
    for name, content in contents.items():
        folder.path(name).write_text(content)


def tree(path):
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


def test_results_appear_together_at_the_end(tmp_path):
    out = tmp_path / "new" / "out"
    with OutputFolder(out, ["stems/violin.wav", "cello.wav", "manifest.json"]) as folder:
        folder.path("stems/violin.wav").write_text("violin")
        folder.path("cello.wav").write_text("cello")
        folder.path("manifest.json").write_text("{}")
        assert all(entry.startswith(".mnmf-partial-") for entry in tree(out))
        folder.publish()
    assert tree(out) == ["cello.wav", "manifest.json", "stems", "stems/violin.wav"]
    assert (out / "stems" / "violin.wav").read_text() == "violin"


def test_files_are_published_in_the_order_declared(tmp_path, monkeypatch):
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(b.name), replace(a, b)))
    with OutputFolder(tmp_path, ["b", "a", "manifest.json"]) as folder:
        fill(folder, b="1", a="2", **{"manifest.json": "3"})
        folder.publish()
    assert order == ["b", "a", "manifest.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, None])
@pytest.mark.parametrize("existing", [False, True])
def test_whatever_stops_the_work_leaves_nothing(tmp_path, error, existing):
    out = tmp_path / "a" / "b"
    if existing:
        out.mkdir(parents=True)
        (out / "mine.txt").write_text("mine")
    before = tree(tmp_path)

    def work():
        with OutputFolder(out, ["x", "stems/y"]) as folder:
            fill(folder, x="half")
            if error:
                raise error

    if error:
        with pytest.raises(error):
            work()
    else:
        work()
    assert tree(tmp_path) == before


def test_an_interrupt_while_entering_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(output.secrets, "token_hex", interrupt)
    with pytest.raises(KeyboardInterrupt), OutputFolder(tmp_path / "out", ["x"]):
        pass
    assert not tree(tmp_path)


def test_a_thread_still_writing_does_not_keep_the_folder(tmp_path, monkeypatch):
    rmtree, calls = output.shutil.rmtree, []

    def late_block(path, **kwargs):
        rmtree(path, **kwargs)
        calls.append(path)
        if len(calls) < 4:
            path.mkdir()
            (path / "block").write_text("written meanwhile")

    monkeypatch.setattr(output.shutil, "rmtree", late_block)
    with pytest.raises(KeyboardInterrupt), OutputFolder(tmp_path / "out", ["x"]):
        raise KeyboardInterrupt
    assert len(calls) == 4
    assert not tree(tmp_path)


def test_existing_files_are_kept_without_overwrite_and_until_published_with_it(tmp_path):
    (tmp_path / "b").write_text("old")
    refused(OutputError, OutputFolder(tmp_path, ["a", "b"]).__enter__, tmp_path / "b", "--overwrite")
    assert tree(tmp_path) == ["b"]
    with OutputFolder(tmp_path, ["a", "b"], overwrite=True) as folder:
        fill(folder, a="new", b="new")
        assert (tmp_path / "b").read_text() == "old"
    assert (tmp_path / "b").read_text() == "old"
    with OutputFolder(tmp_path, ["a", "b"], overwrite=True) as folder:
        fill(folder, a="new", b="new")
        folder.publish()
    assert tree(tmp_path) == ["a", "b"]
    assert (tmp_path / "b").read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    with OutputFolder(tmp_path, ["a", "b"]) as folder:
        fill(folder, a="new", b="new")
        (tmp_path / "b").write_text("somebody else's")
        refused(OutputError, folder.publish, tmp_path / "b", "meanwhile")
    assert tree(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "somebody else's"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", [0, 1, 2, 3, 4])
def test_publishing_that_fails_half_way_is_undone(tmp_path, monkeypatch, error, failing):
    (tmp_path / "a").write_text("old a")
    (tmp_path / "c").write_text("old c")
    replace, calls = os.replace, []

    def fail(source, target):
        calls.append(target)
        if len(calls) == failing + 1:
            raise error
        replace(source, target)

    def work():
        with OutputFolder(tmp_path, ["a", "stems/b", "c"], overwrite=True) as folder:
            fill(folder, a="new", c="new", **{"stems/b": "new"})
            monkeypatch.setattr(os, "replace", fail)
            folder.publish()

    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        work()
    if isinstance(error, OSError):
        assert "No space left" in str(caught.value)
        assert "nothing was changed" in str(caught.value)
    assert tree(tmp_path) == ["a", "c"]
    assert (tmp_path / "a").read_text() == "old a"
    assert (tmp_path / "c").read_text() == "old c"


def test_old_files_that_cannot_be_put_back_are_kept_and_named(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    replace, calls = os.replace, []

    def fail(source, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    with OutputFolder(tmp_path, ["a"], overwrite=True) as folder:
        fill(folder, a="new")
        monkeypatch.setattr(os, "replace", fail)
        refused(OutputError, folder.publish, "former files are in", ".mnmf-partial-")
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_text() == "old"]
    assert len(kept) == 1


def test_inputs_are_never_replaced(tmp_path):
    take = tmp_path / "violin.wav"
    take.write_text("take")
    out = tmp_path / "out"
    out.mkdir()
    (out / "soft.wav").symlink_to(take)
    os.link(take, out / "hard.wav")
    for directory, name in ((tmp_path, "violin.wav"), (out, "soft.wav"), (out, "hard.wav"), (out, "../violin.wav")):
        if name.startswith(".."):
            refused(ArgumentError, lambda: OutputFolder(out, ["../violin.wav"]), "../violin.wav")
            continue
        for overwrite in (False, True):
            folder = OutputFolder(directory, ["other", name], inputs=[str(take)], overwrite=overwrite)
            refused(OutputError, folder.__enter__, name, "input", "another --out")
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path)
    refused(OutputError, OutputFolder(linked, ["violin.wav"], [take], overwrite=True).__enter__, "input")
    assert take.read_text() == "take"


def test_overwriting_a_link_to_something_else_replaces_the_link(tmp_path):
    (tmp_path / "precious").write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").symlink_to(tmp_path / "precious")
    (out / "dangling").symlink_to(tmp_path / "nowhere")
    refused(OutputError, OutputFolder(out, ["dangling"]).__enter__, "dangling", "--overwrite")
    with OutputFolder(out, ["a", "dangling"], overwrite=True) as folder:
        fill(folder, a="new", dangling="new")
        folder.publish()
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    assert (out / "a").read_text() == "new"


def test_places_that_are_no_folders_are_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    refused(OutputError, OutputFolder(tmp_path / "file", ["a"]).__enter__, "file", "not a folder")
    refused(OutputError, OutputFolder(tmp_path / "file" / "sub", ["a"]).__enter__, "cannot be written")
    refused(OutputError, OutputFolder(tmp_path / ("x" * 300), ["a"]).__enter__, "name too long")
    (tmp_path / "out" / "a").mkdir(parents=True)
    refused(OutputError, OutputFolder(tmp_path / "out", ["a"], overwrite=True).__enter__, "is a folder")

    def deny(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", "x")

    monkeypatch.setattr(output.secrets, "token_hex", deny)
    refused(OutputError, OutputFolder(tmp_path / "new", ["a"]).__enter__, "new", "Permission denied", "another --out")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    for out in (tmp_path, tmp_path / "new"):
        refused(OutputError, OutputFolder(out, ["a"]).__enter__, out, "Permission denied")
    tmp_path.chmod(0o700)


def test_only_declared_files_are_written_and_all_of_them(tmp_path):
    with OutputFolder(tmp_path / "out", ["a", "b"]) as folder:
        refused(ArgumentError, lambda: folder.path("c"), "'c'", "declared")
        fill(folder, a="new")
        refused(OutputError, folder.publish, "b", "not written")
    refused(ArgumentError, lambda: folder.path("a"), "with statement")
    refused(ArgumentError, folder.publish, "with statement")
    assert not tree(tmp_path)
    for names in (["a", "A"], ["../a"], ["/a"], [""], ["x/../../a"]):
        with pytest.raises(ArgumentError):
            OutputFolder(tmp_path, names)


def test_stems_are_written_through_the_folder(tmp_path):
    path = make(tmp_path / "take.wav")
    take = Recording.open(path)
    with OutputFolder(tmp_path / "out", ["violin.wav"], take.paths) as folder:
        audio.write_stem(folder.path("violin.wav"), take.read()[:, 0], take, 0)
        folder.publish()
    assert tree(tmp_path / "out") == ["violin.wav"]
    assert (tmp_path / "out" / "violin.wav").stat().st_mode == path.stat().st_mode


# Names


@pytest.mark.parametrize(
    "name", ["violin", "Violine 1", "Flöte", "cor anglais (solo)", "二胡", "a.b", "Connie", "COM10", "-"]
)
def test_ordinary_names_are_accepted(name):
    assert output.check_file_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *[
            "",
            " ",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a\\b",
            "a:b",
            "a*",
            "a?",
            'a"',
            "<a",
            "a>",
            "a|b",
            "a\nb",
            "a\0",
            "a\x7f",
        ],
        *[
            "a\u200bb",
            "a\ud800",
            "\u202egpj",
            " a",
            "a ",
            "a.",
            "a\u00a0",
            "CON",
            "nul",
            "Aux.x",
            "com1",
            "LPT9.wav",
            "com¹",
        ],
        *["x" * 201, "ü" * 101],
    ],
)
def test_names_that_some_system_cannot_store_are_refused(name):
    refused(
        SessionError, lambda: output.check_file_name(name), ascii(name), "rename it in the markers, in --sources, or by"
    )


def test_long_names_count_in_bytes():
    assert output.check_file_name("ü" * 100)


@pytest.mark.parametrize("pair", [("a", "a"), ("Violin", "violin"), ("Flöte", "Flo\u0308te"), ("STRASSE", "straße")])
def test_names_that_would_be_one_file_are_refused(pair):
    refused(SessionError, lambda: output.check_file_names(["cello", *pair]), "one file", "rename")


def test_distinct_names_are_returned_in_order():
    assert output.check_file_names(["b", "a"]) == ("b", "a")


OLD, NEW = "old", "new"
KILLED = """
import os, sys, time
from pathlib import Path
from mnmf.output import OutputFolder

count, moves = int(sys.argv[2]), [0]
replace = os.replace

def killing(source, target):
    if moves[0] == count:
        os.kill(os.getpid(), 9)
    moves[0] += 1
    time.sleep(0.02)  # more than the tick of the clock that files are stamped by
    replace(source, target)

os.replace = killing
with OutputFolder(sys.argv[1], ["a", "b", "manifest.json"], overwrite=True) as folder:
    for name in folder.filenames:
        folder.path(name).write_text("new")
    folder.publish()
    if count == 6:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("count", range(8))
def test_killed_while_publishing_no_manifest_vouches_for_a_mixture(tmp_path, count, monkeypatch):
    names = ["a", "b", "manifest.json"]
    for name in names:
        (tmp_path / name).write_text(OLD)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(count)]).returncode
    assert (killed != 0) == (count < 7)
    there = {name: (tmp_path / name).read_text() for name in names if (tmp_path / name).exists()}
    if "manifest.json" in there:
        assert there == dict.fromkeys(names, there["manifest.json"])
    else:
        assert 0 < count < 6
    assert any(path.name.startswith(PARTIAL) for path in tmp_path.iterdir()) == (count < 7)
    put_back, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (put_back.append(os.path.basename(paths[1])), replace(*paths)))
    with pytest.raises(RuntimeError), OutputFolder(tmp_path, names, overwrite=True):
        raise RuntimeError  # the next run fails, and must not take the former files with it
    monkeypatch.undo()
    assert put_back[-1:] == (["manifest.json"] if 0 < count < 6 else [])
    kept = OLD if count < 6 else NEW
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, kept)
    with OutputFolder(tmp_path, names, overwrite=True) as folder:
        for name in names:
            folder.path(name).write_text(NEW)
        folder.publish()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, NEW)


def test_the_staging_folder_of_somebody_who_lives_stays(tmp_path):
    with OutputFolder(tmp_path, ["a"]) as one:
        one.path("a").write_text(OLD)
        (staging,) = tmp_path.glob(f"{PARTIAL}*")
        assert staging.stat().st_mode & 0o777 == 0o700
        with OutputFolder(tmp_path, ["b"]) as other:
            other.path("b").write_text(NEW)
            other.publish()
        one.publish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_only_an_old_staging_folder_without_a_lock_is_removed(tmp_path):
    young, old, file = (tmp_path / f"{PARTIAL}{name}" for name in ("young", "old", "file"))
    young.mkdir()
    old.mkdir()
    file.write_text("of somebody")
    os.utime(old, (0, 0))
    with OutputFolder(tmp_path, ["a"]):
        assert young.exists()
        assert not old.exists()
    assert file.exists()


def test_what_somebody_else_published_meanwhile_stays(tmp_path, monkeypatch):
    with OutputFolder(tmp_path, ["a", "manifest.json"]) as one:
        for name in one.filenames:
            one.path(name).write_text("one")
        replace = os.replace

        def meanwhile(source, target):
            monkeypatch.setattr(os, "replace", replace)
            with OutputFolder(tmp_path, ["b", "manifest.json"]) as other:
                for name in other.filenames:
                    other.path(name).write_text("other")
                other.publish()
            replace(source, target)

        monkeypatch.setattr(os, "replace", meanwhile)
        refused(OutputError, one.publish, "meanwhile")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "other", "manifest.json": "other"}


def test_a_staging_folder_whose_former_files_cannot_be_put_back_stays(tmp_path, monkeypatch):
    staging = tmp_path / f"{PARTIAL}x"
    (staging / "old").mkdir(parents=True)
    (staging / "old" / "a").write_text(OLD)
    (staging / "new").mkdir()
    (staging / "new" / "a").write_text(NEW)
    (staging / "lock").write_text("locked")
    replace = os.replace

    def failing(source, target):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", failing)
    with OutputFolder(tmp_path, ["b"]):
        pass
    assert (staging / "old" / "a").read_text() == OLD
    monkeypatch.setattr(os, "replace", replace)
    with OutputFolder(tmp_path, ["b"]):
        pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": OLD}


def test_scratch_goes_with_the_folder(tmp_path):
    with OutputFolder(tmp_path, ["stem.wav"]) as folder:
        (folder.scratch() / "kept.npy").touch()
        assert folder.scratch().is_dir()
        folder.path("stem.wav").touch()
        folder.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["stem.wav"]
