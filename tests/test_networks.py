"""Networks as estimators, where their frameworks are installed: the true code path, with networks made here."""

import numpy as np
import pytest

from mnmf import estimators, simulate
from mnmf.errors import ArgumentError, EstimatorError
from mnmf.estimators import demucs, equivariant, torchscript

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
    """A network that has learned on our rooms to turn down a microphone while another one is louder."""
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


def test_a_network_trained_on_our_rooms_turns_bleed_down(path, scene, stems):
    network = torchscript(path, sample_rate=RATE)
    pairs = simulate.training_pairs(stems, RATE, [scene], seconds=2.0, rng=1)
    before = after = 0.0
    for _ in range(5):
        x, y = next(pairs)
        guess = network(x, RATE)
        n = len(guess)
        before += np.sum((x[:n] - y[:n]) ** 2)
        after += np.sum((guess - y[:n]) ** 2)
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
    with pytest.raises(EstimatorError, match=r"one source a microphone, \(1, 2, L\)"):
        torchscript(tmp_path / "sum.pt", sample_rate=RATE)(np.zeros((100, 2), np.float32), RATE)


def test_onnx(path, trained, tmp_path, rng):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    file = tmp_path / "network.onnx"
    x = rng.standard_normal((RATE // BLOCK * BLOCK, 2)).astype(np.float32)
    torch.onnx.export(trained, (torch.from_numpy(x.T[None].copy()),), str(file), dynamo=False, opset_version=17)
    found = estimators.onnx(file, sample_rate=RATE)(x, RATE)
    np.testing.assert_allclose(found, torchscript(path, sample_rate=RATE)(x, RATE), atol=1e-5)


def test_demucs_with_random_weights(rng):
    htdemucs = pytest.importorskip("demucs.htdemucs", reason="demucs is not installed")
    torch.manual_seed(0)
    network = htdemucs.HTDemucs(["bass", "vocals"], channels=8, t_layers=1, depth=2, segment=1.0, samplerate=RATE)
    network.eval()
    x = rng.standard_normal((2 * RATE, 3)).astype(np.float32)
    guess = demucs(network, {"cello": "bass", "singer": "vocals"}, {"cello": 2, "singer": 0})
    found = guess(x, RATE)
    assert set(found) == {"cello", "singer"}
    for stem in found.values():
        assert stem.shape == (2 * RATE,)
        assert np.all(np.isfinite(stem))
    other = x.copy()
    other[:, 1] = 0  # nobody's spot
    np.testing.assert_allclose(guess(other, RATE)["cello"], found["cello"], atol=1e-5)
    assert abs(len(guess(x, 2 * RATE)["cello"]) - 2 * RATE) <= 1
    with pytest.raises(ArgumentError, match="'drums'"):
        demucs(network, {"cello": "drums"}, {"cello": 0})
    with pytest.raises(ArgumentError, match="no microphone"):
        demucs(network, {"cello": "bass"}, {})
