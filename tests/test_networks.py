"""Networks as estimators, where their frameworks are installed: the true code path, with networks made here."""

from urllib.error import URLError

import numpy as np
import pytest

from mnmf import estimators, simulate
from mnmf.errors import ArgumentError, EstimatorError
from mnmf.estimators import cached, demucs, equivariant, torchscript

RATE = 8000
BLOCK = 64

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch: its own affair


class Shares(torch.nn.Module):
    """A share of every microphone in every block of samples, from the levels of all microphones."""

    def __init__(self, n_mics: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(n_mics, 16), torch.nn.ReLU(), torch.nn.Linear(16, n_mics))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = x[..., : x.shape[-1] // 64 * 64].unflatten(-1, (-1, 64))
        level = torch.log(frames.square().mean(-1) + 1e-6)
        share = torch.sigmoid(self.layers(level.transpose(1, 2))).transpose(1, 2)
        return (frames * share.unsqueeze(-1)).flatten(-2)


@pytest.fixture(scope="module")
def scene():
    room = simulate.chamber_scene(2)
    return simulate.Scene(simulate.Room(room.room.size_m, 0.0), room.players, room.microphones, room.spots)


@pytest.fixture(scope="module")
def stems():
    rng = np.random.default_rng(0)
    return {name: [rng.standard_normal(RATE)] for name in ("flute", "cello")}


@pytest.fixture(scope="module")
def trained(scene, stems):
    """A network that has learned in simulated rooms to turn down a microphone while another one is louder."""
    torch.manual_seed(0)
    network = Shares(2)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    pairs = simulate.training_pairs(stems, RATE, [scene], seconds=2.0, rng=0)
    for _ in range(200):
        x, y = (torch.from_numpy(a[: len(a) // BLOCK * BLOCK].T[None].copy()) for a in next(pairs))
        if not y.any():  # everybody rests
            continue
        optimiser.zero_grad()
        loss = (network(x) - y).square().mean() / y.square().mean()
        loss.backward()
        optimiser.step()
    return network


@pytest.fixture(scope="module")
def path(trained, tmp_path_factory):
    file = tmp_path_factory.mktemp("network") / "shares.pt"
    torch.jit.script(trained).save(str(file))
    return file


def test_a_network_trained_in_simulated_rooms_turns_bleed_down(path, scene, stems):
    network = torchscript(path, sample_rate=RATE)
    pairs = simulate.training_pairs(stems, RATE, [scene], seconds=2.0, rng=1)
    before = after = 0.0
    for _ in range(5):
        x, y = next(pairs)
        estimate = network(x, RATE)
        n = len(estimate)
        before += np.sum((x[:n] - y[:n]) ** 2)
        after += np.sum((estimate - y[:n]) ** 2)
    assert after < 0.7 * before


def test_orders_are_averaged(path, rng):
    x = rng.standard_normal((RATE, 2)).astype(np.float32)
    both = equivariant(torchscript(path, sample_rate=RATE), 2)
    np.testing.assert_allclose(both(x[:, ::-1], RATE), both(x, RATE)[:, ::-1], atol=1e-6)


def test_networks_of_another_rate(path, rng):
    x = rng.standard_normal((2 * RATE, 2)).astype(np.float32)
    assert abs(len(torchscript(path, sample_rate=RATE)(x, 2 * RATE)) - len(x)) <= 2 * BLOCK


def test_networks_that_return_something_else(tmp_path):
    class Sum(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(1)

    torch.jit.script(Sum()).save(str(tmp_path / "sum.pt"))
    with pytest.raises(EstimatorError, match=r"one source for each microphone, \(1, 2, L\)"):
        torchscript(tmp_path / "sum.pt", sample_rate=RATE)(np.zeros((100, 2), np.float32), RATE)


def test_files_that_are_no_networks(path, trained, tmp_path):
    with pytest.raises(EstimatorError, match=r"none\.pt: no such file"):
        torchscript(tmp_path / "none.pt")
    torch.save(trained.state_dict(), tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("text")
    for name in ("state.pt", "text.pt"):
        with pytest.raises(
            EstimatorError, match=rf"{name}: not a TorchScript file; save it with torch\.jit\.save"
        ) as e:
            torchscript(tmp_path / name)
        assert "\n" not in str(e.value)
    with pytest.raises(EstimatorError, match="device 'toaster' cannot be used"):
        torchscript(path, device="toaster")


def test_networks_for_other_numbers_of_mics(path):
    with pytest.raises(EstimatorError, match=r"shares\.pt: the network failed on 128 samples of 3 mics: .*shapes") as e:
        torchscript(path, sample_rate=RATE)(np.zeros((128, 3), np.float32), RATE)
    assert "\n" not in str(e.value)


def test_networks_that_return_several_things(tmp_path):
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    torch.jit.script(Two()).save(str(tmp_path / "two.pt"))
    with pytest.raises(EstimatorError, match="returned a tuple; it must return one source for each microphone"):
        torchscript(tmp_path / "two.pt", sample_rate=RATE)(np.zeros((100, 2), np.float32), RATE)


def test_networks_know_themselves(path, tmp_path):
    def identity(file, rate=RATE, orders=2, rng=0):
        return equivariant(torchscript(file, sample_rate=rate), orders, rng=rng).identity

    file = tmp_path / "network.pt"
    file.write_bytes(path.read_bytes())
    seen = {identity(file), identity(file, rate=2 * RATE), identity(file, orders=3), identity(file, rng=1)}
    file.touch()
    seen.add(identity(file))
    (tmp_path / "network.pt.data").touch()
    seen.add(identity(file))
    assert len(seen) == 6
    assert identity(file) in seen
    x = np.ones((128, 2), np.float32)
    memory = cached(torchscript(file, sample_rate=RATE), folder=tmp_path / "memory")
    np.testing.assert_array_equal(memory(x, RATE), memory(x, RATE))
    assert len(list((tmp_path / "memory").iterdir())) == 1


def test_files_that_are_no_onnx(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(EstimatorError, match=r"none\.onnx: no such file"):
        estimators.onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(EstimatorError, match=r"text\.onnx: not an ONNX file"):
        estimators.onnx(tmp_path / "text.onnx")


def test_onnx(path, trained, tmp_path, rng):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    file = tmp_path / "network.onnx"
    x = rng.standard_normal((RATE // BLOCK * BLOCK, 2)).astype(np.float32)
    torch.onnx.export(trained, (torch.from_numpy(x.T[None].copy()),), str(file), dynamo=False, opset_version=17)
    found = estimators.onnx(file, sample_rate=RATE)(x, RATE)
    np.testing.assert_allclose(found, torchscript(path, sample_rate=RATE)(x, RATE), atol=1e-5)
    with pytest.raises(EstimatorError, match=r"network\.onnx: the network failed on .* of 3 mics"):
        estimators.onnx(file, sample_rate=RATE)(np.zeros((len(x), 3), np.float32), RATE)


def test_demucs_with_random_weights(rng):
    htdemucs = pytest.importorskip("demucs.htdemucs", reason="demucs is not installed")
    torch.manual_seed(0)
    network = htdemucs.HTDemucs(["bass", "vocals"], channels=8, t_layers=1, depth=2, segment=1.0, samplerate=RATE)
    network.eval()
    x = rng.standard_normal((2 * RATE, 3)).astype(np.float32)
    estimate = demucs(network, {"cello": "bass", "singer": "vocals"}, {"cello": 2, "singer": 0})
    found = estimate(x, RATE)
    assert set(found) == {"cello", "singer"}
    for stem in found.values():
        assert stem.shape == (2 * RATE,)
        assert np.all(np.isfinite(stem))
    other = x.copy()
    other[:, 1] = 0  # nobody's spot
    np.testing.assert_allclose(estimate(other, RATE)["cello"], found["cello"], atol=1e-5)
    assert abs(len(estimate(x, 2 * RATE)["cello"]) - 2 * RATE) <= 1
    with pytest.raises(ArgumentError, match="'drums'"):
        demucs(network, {"cello": "drums"}, {"cello": 0})
    with pytest.raises(ArgumentError, match="no microphone"):
        demucs(network, {"cello": "bass"}, {})
    with pytest.raises(ArgumentError, match="'cello' is at microphone 3"):
        demucs(network, {"cello": "bass"}, {"cello": 3})(x, RATE)
    seen = {demucs(network, {"cello": stem}, {"cello": spot}).identity for stem in network.sources for spot in (0, 1)}
    with torch.no_grad():
        next(network.parameters()).mul_(2.0)
    seen.add(demucs(network, {"cello": "bass"}, {"cello": 0}).identity)
    assert len(seen) == 5


@pytest.mark.parametrize(
    "error", [URLError("no route to host"), RuntimeError("Could not find a pre-trained model"), SystemExit(1)]
)
def test_demucs_models_that_cannot_be_had(monkeypatch, error):
    pretrained = pytest.importorskip("demucs.pretrained", reason="demucs is not installed")

    def get_model(name):
        raise error

    monkeypatch.setattr(pretrained, "get_model", get_model)
    with pytest.raises(EstimatorError, match="cannot load the model 'htdemucs_tf'"):
        demucs("htdemucs_tf", {"cello": "bass"}, {"cello": 0})
