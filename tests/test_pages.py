"""The commands and the Python of the pages run as they stand there, on short takes with the pages' own names."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import resample_poly

from mnmf import STFT, FastMNMF2, TimeDomain, cli, data, markers, priors, separate
from mnmf.markers import Passage
from mnmf.models import assign_spots

ROOT = Path(__file__).parent.parent
RATE = 8000
SECONDS, ALONE = 3, 2
INSTALLED = ("python3 -m venv", "pip install", "python benchmarks/", "mnmf demo")  # .ci/run does that
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
LABELS = {"labels.txt": STRINGS, "hits.txt": ("kick", "snare", "hat", "tom")}
REGION = '<REAPER_PROJECT 0.1 "7.0" 1\n  MARKER 1 0.5 violin 1\n  MARKER 1 2.5 "" 1\n>\n'
FIRST = "docs/start/engineer.md"
NETWORKS = ("demucs(", "torchscript(", "training_pairs(")  # which need one

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the pages are not part of this distribution"),
]


def blocks(kind):
    """The blocks of a kind, by page."""
    found = {}
    for page in [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/*/*.md"))]:
        those = re.findall(rf"```{kind}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        if those:
            found[page.relative_to(ROOT).as_posix()] = those
    return found


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
        sf.write(path, quartet[:, columns], RATE, "PCM_24", format="WAV")

    for folder, names in FOLDERS.items():
        for m, name in enumerate(names):
            write(tmp_path / folder / name, [m if m < 6 else m - 2])
    for m, name in enumerate(("host", "guest", "caller")):
        write(tmp_path / f"{name}.wav", [m])
    for name, columns in {"take": range(4), "warmup": range(4), "duo": (0, 3)}.items():
        write(tmp_path / f"{name}.wav", list(columns))
    for file, names in LABELS.items():
        passages = [Passage(name, ALONE * n + 0.1, ALONE * (n + 1) - 0.1) for n, name in enumerate(names)]
        markers.write_audacity(tmp_path / file, passages)
    monkeypatch.chdir(tmp_path)
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
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/neural.md").read_text("utf-8"), re.DOTALL)
    (desk / "session.toml").write_text(toml)


@pytest.mark.parametrize("page", sorted(set(blocks("sh")) - {FIRST}))
def test_commands(page, desk, monkeypatch, capsys):
    if page == "docs/neural.md":
        two_and_their_estimates(desk)
        for folder in (desk, Path(sys.executable).parent):
            monkeypatch.setenv("PATH", str(folder), prepend=":")
    if page == "docs/listening.md":
        assert cli.run(["demo", "--out", "demo", "--method", "linear"]) == 0
    for line in "".join(blocks("sh")[page]).splitlines():
        if line.startswith(INSTALLED):
            continue
        words = shlex.split(line, comments=True)
        assert words[0] == "mnmf", line
        out = Path(words[words.index("--out") + 1] if "--out" in words else "stems")
        if words[1] == "separate" and "--overwrite" not in words and out.exists():
            shutil.rmtree(out)  # the page shows one or the other, here and below
        made = ["stems/stems.RPP", "stems/stems.dawproject", "stems/report.html"]
        for file in [*made, *(["labels.txt"] if "--propose" in words else [])]:
            Path(file).unlink(missing_ok=True)
        assert cli.run(words[1:]) == 0, f"{line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("main", [True, False])
def test_the_first_page_leads_from_a_folder_to_a_session(desk, main, capsys):
    if not main:
        for path in [*desk.glob("live/*_Main_*"), *desk.glob("warmup/*_Main_*")]:
            path.unlink()
    for line in "".join(blocks("sh")[FIRST]).splitlines():
        if not line.startswith("mnmf"):
            continue
        status = cli.run(shlex.split(line)[1:])
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


@pytest.mark.parametrize("page", sorted(set(blocks("python")) - {"docs/plots.md"}))  # test_plot.py runs that
def test_python(page, desk, quartet):
    known = known_to(page, desk, quartet)
    ran = 0
    for block in blocks("python")[page]:
        if not any(network in block for network in NETWORKS):
            exec(block, known)
            ran += 1
    assert ran, "nothing of the page was run"


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
    elif page.endswith("markers.md"):
        (desk / "session.rpp").write_text(REGION)
    return known
