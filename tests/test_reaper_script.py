"""The script for REAPER in plain Lua: what it runs, what it understands, and what it lays where."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "reaper" / "mnmf_separate.lua"
CHECKS = Path(__file__).parent / "reaper_script.lua"
LUA = next(filter(None, map(shutil.which, ("lua5.4", "lua5.3", "lua"))), None)

pytestmark = [
    pytest.mark.skipif(LUA is None, reason="needs lua, such as Debian's package lua5.4"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="the examples are not part of this distribution"),
    pytest.mark.skipif(os.name == "nt", reason="runs commands by /bin/sh"),
]


def lua(*arguments):
    return subprocess.run([LUA, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def stand_in(folder):
    """Write a command that does as mnmf does, and the arguments it got into a file."""
    sources = [
        {"name": name, "file": f"{name}.wav", "residual": f"{name}.residual.wav", "mics": [n + 1], "dial_db": None}
        for n, name in enumerate(("vl", "va"))
    ]
    manifest = json.dumps({"sources": sources, "sample_rate": 100, "samples": 1000}, indent=2)
    program = folder / "mnmf"
    program.write_text(
        "#!/bin/sh\n"
        f"printf '%s\\n' \"$@\" > '{folder}/arguments'\n"
        f"mkdir '{folder}/out'\n"
        f"cat > '{folder}/out/manifest.json' <<'END'\n{manifest}\nEND\n"
        'echo \'{"event": "progress", "stage": "fit", "part": 0.5, "whole": 0.5}\'\n'
    )
    program.chmod(0o755)


def test_the_script_for_reaper(tmp_path):
    stand_in(tmp_path)
    ran = lua(CHECKS, SCRIPT, tmp_path)
    assert (ran.stdout, ran.returncode) == ("all good\n", 0), ran.stderr
    files = [f"{tmp_path}/{name}'s.wav" for name in ("vl", "va")]
    wanted = ["separate", "--residual", "--sources", "vl,va", "--json", "--out", f"{tmp_path}/out", "--", *files]
    assert (tmp_path / "arguments").read_text().splitlines() == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arguments", "mnmf", "out"]  # log and script are gone


def test_a_shell_reads_back_every_word(tmp_path):
    hostile = ["it's", '"; touch x; "', "$(touch x)", "`touch x`", "a\\", "-n", "*", "äö 🎻", "", "%s", "!", "#", "~"]
    names = ", ".join(f"[====[{word}]====]" for word in hostile)
    log = f"{tmp_path}/it's a log"
    program = tmp_path / "my program"
    program.write_text("#!/bin/sh\nprintf '<%s>\\n' \"$@\"\nexit 3\n")
    program.chmod(0o755)
    text = lua(
        "-e",
        f"local M = dofile([====[{SCRIPT}]====]) "
        f"io.write((M.script({{[====[{program}]====], {names}}}, [====[{log}]====])))",
    ).stdout
    subprocess.run(["/bin/sh"], input=text, text=True, cwd=tmp_path, check=True, timeout=60)
    *said, last = Path(log).read_text().split("\n\n")
    assert said == ["\n".join(f"<{word}>" for word in hostile)]
    assert json.loads(last) == {"event": "exit", "status": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it's a log", "my program"]


def test_options_of_the_script_are_those_of_the_command():
    from mnmf.cli.separate import command

    known = {name for option in command.params for name in option.opts}
    assert {"--json", "--out", "--solos", "--solo-take", "--residual"} <= known
