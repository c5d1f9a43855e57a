"""Being stopped at any moment, and places that vanish, fill up or cannot be written: nothing half-written stays."""

import errno
import os
import shutil
import sys
from contextlib import suppress

import pytest

from mnmf import files, manifest, output
from mnmf.errors import OutputError
from mnmf.files import whole
from mnmf.output import OutputFolder


def state(path):
    """Return every file with its content, and every folder."""
    entries = sorted(path.rglob("*"))
    return {str(entry.relative_to(path)): entry.read_text() if entry.is_file() else None for entry in entries}


def interrupted_at(number, modules, work):
    """Run `work` and raise KeyboardInterrupt before the line with this number, of those run in `modules`.

    Return whether there were so many lines.
    """
    lines = 0
    names = {module.__file__ for module in modules}

    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code.co_filename not in names:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        # As the command does when it ends.
        files.abandon()
        output.abandon()
    return False


def at_every_line(prepare, modules, work, folder):
    """Interrupt `work` at every line, each time after `prepare` in a new folder, and return all states it left."""
    left = []
    for number in range(1, 2000):
        place = folder / str(number)
        place.mkdir()
        prepare(place)
        stopped = interrupted_at(number, modules, lambda: work(place))  # noqa: B023
        left.append(state(place))
        if not stopped:
            return left
    raise AssertionError("the work has no end")


def test_results_that_are_interrupted_at_any_line_are_all_there_or_not_at_all(tmp_path):
    def prepare(place):
        (place / "out").mkdir()
        (place / "out" / "a").write_text("old a")

    def work(place):
        with OutputFolder(place / "out", ["a", "stems/b"], overwrite=True) as folder:
            folder.path("a").write_text("new a")
            folder.path("stems/b").write_text("new b")
            folder.publish()

    old = {"out": None, "out/a": "old a"}
    new = {"out": None, "out/a": "new a", "out/stems": None, "out/stems/b": "new b"}
    left = at_every_line(prepare, [output], work, tmp_path)
    assert len(left) > 100
    assert all(one in (old, new) for one in left), [one for one in left if one not in (old, new)][:1]
    assert old in left
    assert left[-1] == new


def test_putting_things_back_may_be_interrupted_at_any_line(tmp_path):
    def prepare(place):
        (place / "out").mkdir()
        (place / "out" / "a").write_text("old a")
        (place / "out" / "stems").write_text("a file, so that nothing can be put into it")

    def work(place):
        with suppress(OutputError), OutputFolder(place / "out", ["a", "stems/b"], overwrite=True) as folder:
            folder.path("a").write_text("new a")
            folder.path("stems/b").write_text("new b")
            folder.publish()

    (tmp_path / "old").mkdir()
    prepare(tmp_path / "old")
    left = at_every_line(prepare, [output], work, tmp_path)
    old = state(tmp_path / "old")
    assert all(one == old for one in left), [(n, one) for n, one in enumerate(left, 1) if one != old][:2]


def test_folders_that_did_not_exist_go_when_their_making_is_interrupted(tmp_path):
    def work(place):
        with OutputFolder(place / "one" / "two", ["a"]) as folder:
            folder.path("a").write_text("new")

    left = at_every_line(lambda place: None, [output], work, tmp_path)
    assert all(one == {} for one in left), [one for one in left if one][:1]


def test_a_file_that_is_interrupted_at_any_line_is_old_or_new(tmp_path):
    def work(place):
        with whole(place / "a") as part:
            part.write_text("new")

    left = at_every_line(lambda place: (place / "a").write_text("old"), [files], work, tmp_path)
    assert all(one in ({"a": "old"}, {"a": "new"}) for one in left), left
    assert left[0] == {"a": "old"}
    assert left[-1] == {"a": "new"}


def refused(work, *words):
    with pytest.raises(OutputError) as caught:
        work()
    message = str(caught.value)
    assert "\n" not in message
    assert "partial" not in message
    for word in words:
        assert str(word) in message, message


def test_a_folder_that_vanishes_is_named(tmp_path):

    def work(then):
        with OutputFolder(tmp_path / "out", ["manifest.json"]) as folder:
            shutil.rmtree(tmp_path / "out")
            then(folder)

    out = tmp_path / "out"
    refused(lambda: work(OutputFolder.publish), out, "removed meanwhile")
    refused(
        lambda: work(lambda folder: manifest.write(folder.path("manifest.json"), {})), out / "manifest.json", "No such"
    )
    refused(lambda: work(lambda folder: folder.path("manifest.json").write_text("")), out / "manifest.json", "No such")
    assert state(tmp_path) == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_full_or_broken_disk_is_named(tmp_path, number):
    out = tmp_path / "out"

    def work(error):
        with OutputFolder(out, ["a"]) as folder:
            folder.path("a").write_text("half")
            error.filename = error.filename and str(folder.path("a"))
            raise error

    refused(lambda: work(OSError(number, os.strerror(number), "here")), out / "a", os.strerror(number))
    refused(lambda: work(OSError(number, os.strerror(number))), out, os.strerror(number))
    assert state(tmp_path) == {}


def test_an_error_that_has_nothing_to_do_with_the_folder_stays_what_it_is(tmp_path):
    def work(error):
        with OutputFolder(tmp_path / "out", ["a"]):
            raise error

    for error in (
        FileNotFoundError(2, "No such file or directory", "take.wav"),
        BrokenPipeError(errno.EPIPE, "Broken"),
    ):
        with pytest.raises(type(error)) as caught:
            work(error)
        assert caught.value is error
    assert state(tmp_path) == {}
