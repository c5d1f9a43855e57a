"""The blocks of the pages are run or read as they stand there, on short takes with the pages' own names.

What is not has its reason below; a block without either fails.
"""

import csv
import json
import re
import shlex
import shutil
import sys
import tomllib
from glob import glob
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile as sf
from scipy.signal import resample_poly

from mnmf import STFT, FastMNMF2, NoteDictionary, Session, TimeDomain, cli, data, markers, priors, separate
from mnmf.audio import Recording
from mnmf.markers import Passage
from mnmf.models import assign_spots
from mnmf.session import KEYS
from tests import containers, networks
from tests.pages import INDENTED, PAGES, ROOT, blocks, every_block, found
from tests.test_notes import successive, tone
from tests.test_together import bext

RATE = 8000
SECONDS, ALONE = 3, 2
CI = ROOT / ".ci" / "run"
# Commands that are not run here, and the line of .ci/run that does the same.
IN_CI = {
    "pip install . && mnmf demo --out demo": "readme 'pip install . && mnmf demo --out demo'",
    "pip install -e '.[test]' && pytest": """readme "pip install -e '.[test]' && pytest\"""",
    "python3 -m venv mnmf-env && . mnmf-env/bin/activate": "python3 -m venv mnmf-env && . mnmf-env/bin/activate",
    "mnmf demo --out demo": "readme 'pip install . && mnmf demo --out demo'",
    "pip install .": "readme 'pip install . && mnmf demo --out demo'",
    "pip install -e '.[test]'": """readme "pip install -e '.[test]' && pytest\"""",
    "pytest": """readme "pip install -e '.[test]' && pytest\"""",
    "pytest -m browser": "pytest -n 0 -m browser",
    "pytest -m notebook": "pytest -m notebook",
    "ruff check . && ruff format --check . && mypy": "ruff check .\nruff format --check .\nmypy",
    **dict.fromkeys(
        (
            "pip install -e '.[site]' && sphinx-build docs build/site",
            "pip install -e '.[site]' && sphinx-build -W -b html docs build/site",
        ),
        "pip install -q -e '.[site]'\npython -m tests.offline sphinx -q -E -W --keep-going -b html docs",
    ),
    "pip install -e '.[bench]'": "pip install -q -e '.[bench]'",
    "python benchmarks/NAME.py [--data DIR] [--quick] [--jobs N]": 'python "$1" --quick',
    "python benchmarks/NAME.py [--data DIR] [--quick]": 'python "$1" --quick',
}
# Commands that nothing runs as they stand, and why.
NOT_RUN = {
    'pytest -m "not slow"': "some of what pytest runs",
    "pytest -m fuzz": "takes hours; pytest runs the same with fewer files",
    "python -m tests.mutants": "takes hours",
    "pytest --cov=mnmf --cov-branch && NUMBA_DISABLE_JIT=1 pytest -m kernel --cov=mnmf --cov-branch --cov-append": (
        "counts what the other runs reach"
    ),
    ".ci/run": "this is it",
}
# Python that other tests run, as it says something of what comes out.
PYTHON = {"README.md": "test_readme_code.py", "CONTRIBUTING.md": "test_readme_code.py", "docs/plots.md": "test_plot.py"}
# Kinds that are for Sphinx, which makes the site in .ci/run with warnings as errors.
SITE = ("{toctree}", "{eval-rst}", "{raw} html", "{sounds}")
# What is to be read by people: how many such blocks a page has, and of what.
TEXT = {
    "benchmarks/README.md": (1, "the files of a take"),
    "docs/files.md": (1, "a message"),
    "docs/methods/fastmnmf2.md": (3, "equations"),
    "docs/methods/fullrank.md": (1, "an equation"),
    "docs/methods/ilrma.md": (3, "equations"),
    "docs/methods/kamir.md": (1, "an equation"),
    "docs/methods/linear.md": (1, "an equation"),
    "docs/methods/logdet.md": (2, "equations"),
    "docs/methods/notes.md": (2, "an equation, and a table that is read below"),
    "docs/methods/ntf.md": (1, "an equation"),
}
STRINGS = ("violin1", "violin2", "viola", "cello")
# The files that a page names: which players are in them, and "Main" for a pair in front of all.
FOLDERS = {
    "live": (
        "T01_violin1.WAV",
        "T01_violin2.WAV",
        "T01_viola.WAV",
        "T01_cello.WAV",
        "T01_Main_L.WAV",
        "T01_Main_R.WAV",
    ),
    "warmup": (
        "T00_violin1.WAV",
        "T00_violin2.WAV",
        "T00_viola.WAV",
        "T00_cello.WAV",
        "T00_Main_L.WAV",
        "T00_Main_R.WAV",
    ),
    "kit": ("kick.wav", "snare.wav", "hat.wav", "tom.wav", "OH_L.wav", "OH_R.wav", "Room_L.wav", "Room_R.wav"),
    "choir": ("s.wav", "a.wav", "t.wav", "b.wav", "Main_L.wav", "Main_R.wav"),
    ".": ("vl1.wav", "vl2.wav", "va.wav", "vc.wav"),
}
LEFT = ("T03_05_Vln1.WAV", "T03_06_Vln2.WAV", "T03_07_Vla.WAV", "T03_08_Vlc.WAV")  # by the recorder of the README
LABELS = {"labels.txt": STRINGS, "solos.txt": STRINGS, "hits.txt": ("kick", "snare", "hat", "tom")}
REGION = '<REAPER_PROJECT 0.1 "7.0" 1\n  MARKER 1 0.5 violin 1\n  MARKER 1 2.5 "" 1\n>\n'
FIRST = "docs/start/engineer.md"

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the pages are not part of this distribution"),
]


@pytest.fixture(scope="module")
def quartet():
    """Each player alone, one after another, and then all: what four microphones hear, and a pair in front of them."""
    whole = data.quartet()
    common = np.gcd(RATE, whole.sample_rate)
    up, down = RATE // common, whole.sample_rate // common
    stems_LN, solos_LN = (resample_poly(x, up, down, axis=0) for x in (whole.stems_LN, whole.solos_LN))
    rng = np.random.default_rng(0)
    delays_MN, levels_MN = rng.integers(3, 40, (6, 4)), rng.uniform(0.2, 0.4, (6, 4))
    delays_MN[range(4), range(4)], levels_MN[range(4), range(4)] = 0, 1.0

    def heard(dry_LN):
        x_LM = np.zeros((len(dry_LN), 6))
        for m, n in np.ndindex(6, 4):
            x_LM[:, m] += levels_MN[m, n] * np.roll(dry_LN[:, n], delays_MN[m, n])
        return x_LM

    alone = [heard(solos_LN[: ALONE * RATE] * (np.arange(4) == n)) for n in range(4)]
    x_LM = np.concatenate([*alone, heard(stems_LN[3 * RATE : (3 + SECONDS) * RATE])])
    x_LM += 1e-4 * rng.standard_normal(x_LM.shape)
    return 0.5 * x_LM / np.abs(x_LM).max()


@pytest.fixture
def desk(tmp_path, monkeypatch, quartet):
    """A folder with every file that the pages name."""

    def write(path, columns):
        path.parent.mkdir(exist_ok=True)
        sf.write(path, quartet[:, columns], RATE, "PCM_24", format=path.suffix[1:].upper())

    for folder, names in FOLDERS.items():
        for m, name in enumerate(names):
            write(tmp_path / folder / name, [m if m < 6 else m - 2])
    for m, name in enumerate(("host", "guest", "caller")):
        write(tmp_path / f"{name}.wav", [m])
    four = dict.fromkeys(("take.wav", "warmup.wav", "take.flac", "solos.flac"), range(4))
    for name, columns in (four | {"duo.wav": (0, 3)}).items():
        write(tmp_path / name, list(columns))
    for file, names in LABELS.items():
        passages = [Passage(name, ALONE * n + 0.1, ALONE * (n + 1) - 0.1) for n, name in enumerate(names)]
        markers.write_audacity(tmp_path / file, passages)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNMF_CACHE", str(tmp_path / "cache"))
    return tmp_path


def two_and_their_estimates(desk):
    """What the page about networks needs: two microphones, estimates, and two programs that write some."""
    shutil.copy(desk / "duo.wav", desk / "take.wav")
    (desk / "estimates").mkdir()
    for name in "12":
        shutil.copy(desk / "vl1.wav", desk / "estimates" / f"{name}.wav")
    head, copy = f"#!{sys.executable}\nimport shutil, sys\n", f"shutil.copy({str(desk / 'vl1.wav')!r}, "
    (desk / "my-tool").write_text(f"{head}for name in '12':\n    {copy}sys.argv[2] + f'/{{name}}.wav')\n")
    (desk / "my-tool").chmod(0o755)
    (desk / "infer.py").write_text(
        f"{head}assert sys.argv[1::2] == ['--text', '--input', '--output']\n{copy}sys.argv[6])\n"
    )
    (toml,) = blocks("toml")["docs/neural.md"]
    (desk / "session.toml").write_text(toml)


def commands(page):
    """The commands of a page, without comments."""
    lines = "".join(blocks("sh")[page]).splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s+)#.*", "", line).strip())]


def as_a_shell_has_them(command):
    """The words of a command: patterns without quotes stand for the files there are."""
    raw = shlex.split(command, posix=False)
    return [word for each in raw for word in sorted(glob(each)) or [each.strip("'\"")]]


@pytest.mark.parametrize("page", sorted(set(blocks("sh")) - {FIRST}))
def test_commands(page, desk, monkeypatch, capsys):
    if page == "docs/neural.md":
        two_and_their_estimates(desk)
        for folder in (desk, Path(sys.executable).parent):
            monkeypatch.setenv("PATH", str(folder), prepend=":")
    if page == "docs/listening.md":
        assert cli.run(["demo", "--out", "demo", "--method", "linear"]) == 0
    if page.endswith("notes.md"):
        (desk / "RWC" / "violin").mkdir(parents=True)
        sf.write(desk / "RWC" / "violin" / "151VNNOF.wav", successive((55, 56, 57)), 22050)
    if page == "README.md":
        for old, new in zip(sorted((desk / "live").iterdir()), (*LEFT, "T03_1.txt", "T02_09_Vln1.WAV")):
            old.rename(desk / "live" / new)
    written = []
    for command in commands(page):
        if command in IN_CI or command in NOT_RUN:
            continue
        words = as_a_shell_has_them(command)
        assert words[0] == "mnmf", command
        out = Path(words[words.index("--out") + 1] if "--out" in words else "stems")
        if words[1] == "separate" and "--overwrite" not in words and out.exists():
            shutil.rmtree(out)  # the page shows one or the other, here and below
        made = ["stems/stems.RPP", "stems/stems.dawproject", "stems/report.html"]
        for file in [*made, *(["labels.txt"] if "--propose" in words else [])]:
            Path(file).unlink(missing_ok=True)
        assert cli.run(words[1:]) == 0, f"{command}\n{capsys.readouterr().err}"
        written.append({path.name for path in out.glob("*")} if words[1] == "separate" else set())
    if page == "README.md":
        assert {"Vln1.WAV", "Vln2.WAV", "Vla.WAV", "Vlc.WAV"} <= written[0]
    if page.endswith("report.md"):
        facts = re.search(r'id="facts">(.*?)</script>', Path("demo/report.html").read_text("utf-8"))[1]
        assert len(json.loads(facts)["players"]) == 4


@pytest.mark.parametrize("main", [True, False])
def test_the_first_page_leads_from_a_folder_to_a_session(desk, main, capsys):
    if not main:
        for path in [*desk.glob("live/*_Main_*"), *desk.glob("warmup/*_Main_*")]:
            path.unlink()
    for line in commands(FIRST):
        if line in IN_CI:
            continue
        status = cli.run(as_a_shell_has_them(line)[1:])
        said = capsys.readouterr()
        if main or "--ambient" not in line:
            assert status == 0, said.err
            assert ("ambient: " in said.out + said.err) == (main and line.startswith("mnmf separate live")), line
        else:  # as the page says: a line, and nothing is lost
            assert status != 0
            assert said.err.count("\n") == 1
            assert "Main*" in said.err
            assert (desk / "stems").exists()
    stems = {path.stem for path in (desk / "stems").glob("*.WAV")}
    assert stems == set(STRINGS)
    project = (desk / "stems" / "stems.RPP").read_text("utf-8")
    assert all(name in project for name in STRINGS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, where it is: its own affair
@pytest.mark.parametrize("page", sorted(set(blocks("python")) - set(PYTHON)))
def test_python(page, desk, quartet, monkeypatch):
    if page == "docs/neural.md":
        networks.provide(monkeypatch, desk / "network.pt")
    known = known_to(page, desk, quartet)
    for block in blocks("python")[page]:
        exec(block, known)


def known_to(page, desk, quartet):
    """What a page has introduced in words before its Python."""
    known = {"separate": separate, "np": np, "priors": priors}
    known |= {"spots": (0, 1, 2, 3), "x_LM": quartet[:, :4], "passages": [[slice(n, n + 8)] for n in range(4)]}
    if page.endswith("daw.md"):
        command = "separate take.wav --sources violin,violin2,viola,cello --spot violin=1 --method linear --solos"
        shutil.copy(desk / "labels.txt", desk / "others.txt")
        text = (desk / "labels.txt").read_text("utf-8")
        (desk / "others.txt").write_text(text.replace("violin1", "violin"), "utf-8")
        assert cli.run([*shlex.split(command), "others.txt"]) == 0
    elif page.endswith("ilrma.md"):
        known |= {"X_FTM": STFT(512, 128).analyse(quartet[: 2 * RATE, :4]), "n_mics": 4, "n_components": 2}
        known |= {"FastMNMF2": FastMNMF2, "assign_spots": assign_spots}
    elif page.endswith(("notes.md", "timedomain.md")):
        known |= dict.fromkeys(("X_claps_FTM", "X_solo_FTM"), STFT(2048).analyse(quartet[:, :4])) | {
            "TimeDomain": TimeDomain
        }
    elif page.endswith("researcher.md"):
        assert cli.run(["demo", "--out", "demo", "--method", "linear"]) == 0
    elif page.endswith("neural.md"):
        two_and_their_estimates(desk)
        known |= {"violin_L": quartet[:, 0], "cello_L": quartet[:, 3]}
    elif page.endswith("markers.md"):
        (desk / "session.rpp").write_text(REGION)
    return known


@pytest.mark.parametrize("page", blocks("toml"))
def test_session_files(page, tmp_path, quartet):
    for n, text in enumerate(blocks("toml")[page]):
        file = tmp_path / str(n) / "session.toml"
        file.parent.mkdir()
        file.write_text(text, "utf-8")
        table = tomllib.loads(text)
        for key in {"take", "solo-take"} & set(table):
            several = isinstance(table[key], list)
            for m, name in enumerate(table[key] if several else [table[key]]):
                (file.parent / name).parent.mkdir(exist_ok=True)
                sf.write(file.parent / name, quartet[:, [m] if several else range(len(table["sources"]))], RATE)
        passages = [Passage(name, ALONE * n + 0.1, ALONE * (n + 1) - 0.1) for n, name in enumerate(STRINGS)]
        markers.write_audacity(file.parent / table.get("solos", "labels.txt"), passages)
        session = Session.from_toml(file)
        assert {*table.get("spots", {}), *table.get("queries", {}), *table.get("reduction", {})} <= {*session.sources}
        assert session.sources == tuple(table.get("sources", STRINGS))


def test_every_key_of_a_session_file_is_explained():
    text = (ROOT / "docs/session.md").read_text("utf-8").partition("| key |")[2]
    assert sorted(re.findall(r"^\| `\[?([\w-]+)\]?` \|", text, re.MULTILINE)) == sorted(KEYS)


def test_the_table_of_notes(tmp_path, monkeypatch):
    text = blocks("text")["docs/methods/notes.md"][1]
    monkeypatch.chdir(tmp_path)
    rows = list(csv.DictReader(text.splitlines()))
    x_L = np.zeros(6 * 22050)
    for row, pitch in zip(rows, (48, 49)):
        start = round(float(row["start"]) * 22050)
        note_L = tone(pitch, 22050, float(row["stop"]) - float(row["start"]))
        x_L[start : start + len(note_L)] = note_L
    Path("library").mkdir()
    sf.write(f"library/{rows[0]['file']}", x_L, 22050)
    Path("notes.csv").write_text(text)
    assert cli.run(["notes", "build", "library", "--index", "notes.csv", "--out", "viola.npz"]) == 0
    assert NoteDictionary.load("viola.npz").pitches("viola") == (48, 49)


def test_the_message_on_time_stamps(tmp_path):
    (text,) = blocks("text")["docs/files.md"]
    for name, late in (("violin", 0), ("viola", RATE // 2)):
        values = containers.sound("PCM_16", 60 * RATE - late)
        head, body = containers.fmt("PCM_16", 1, RATE), containers.raw(values, "PCM_16")
        (tmp_path / f"{name}.wav").write_bytes(containers.riff(body, head, [bext(late)]))
    take = Recording.open([tmp_path / "violin.wav", tmp_path / "viola.wav"])
    assert text.splitlines() == [f"mnmf: {remark}" for remark in take.remarks]


# Nothing is left out unnoticed


def fault(block):
    """What keeps a block from being run or read, or None."""
    if block.kind == INDENTED:
        return "is indented; put it between fences with its language"
    if block.kind not in ("sh", "python", "toml", "text", *SITE):
        return f"is of a kind that nothing runs or reads: {block.kind!r}"
    if block.kind == "text" and re.search(r"^\W*(mnmf|pip|python3?|pytest|import|from)\s", block.text, re.MULTILINE):
        return "is code; say in which language"
    return None


def test_every_block_is_run_or_read():
    assert [f"{each.page}:{each.line} {fault(each)}" for each in every_block() if fault(each)] == []
    assert {page: len(texts) for page, texts in blocks("text").items()} == {page: n for page, (n, _) in TEXT.items()}
    for page, test in PYTHON.items():
        assert page in blocks("python")
        assert Path(page).name in (ROOT / "tests" / test).read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("So:\n\n    mnmf separate take.wav\n", "is indented"),
        ("- so:\n\n      x = 1\n", "is indented"),
        ("```\nmnmf separate take.wav\n```\n", "of a kind that nothing runs or reads: ''"),
        ("```bash\nmnmf separate take.wav\n```\n", "'bash'"),
        ("~~~text\n$ mnmf separate take.wav\n~~~\n", "is code"),
    ],
)
def test_blocks_that_nothing_runs_are_found(text, said):
    (block,) = found(text)
    assert said in fault(block)


@pytest.mark.skipif(not CI.exists(), reason="CI is not part of this distribution")
def test_commands_that_are_not_run_here_are_run_in_ci():
    script = "\n".join(line for line in CI.read_text("utf-8").splitlines() if not line.lstrip().startswith("#"))
    for command, line in IN_CI.items():
        assert line in script, f"{command}: .ci/run has no {line}"
    shown = {command for page in blocks("sh") for command in commands(page)} | set(installed())
    assert (IN_CI.keys() | NOT_RUN.keys()) - shown == set(), "these stand on no page"
    assert set(installed()) <= IN_CI.keys()
    for example in re.findall(r"`(examples/\w+\.py)`", (ROOT / "README.md").read_text("utf-8")):
        assert f"\npython {example}\n" in script


def installed():
    """The commands in sentences of the README that install something."""
    return re.findall(r"`(pip install [^`]+)`", (ROOT / "README.md").read_text("utf-8"))


def test_commands_in_sentences_have_the_options_that_they_name():
    for page in PAGES:
        for said in re.findall(r"(?<!`)`(mnmf [a-z][^`]*)`", page.read_text("utf-8")):
            command, words = cli.group, said.split()[1:]
            while words and isinstance(command, click.Group):
                name = re.match("[a-z]*", words.pop(0))[0]  # the first of several
                command = command.get_command(click.Context(command), name)
                assert command is not None, f"{page.name}: {said}"
            known = {option for each in command.params for option in each.opts}
            assert set(re.findall(r"--[a-z-]+", said)) <= known, f"{page.name}: {said}"
