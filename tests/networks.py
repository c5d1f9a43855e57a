"""What the page about networks asks for: torch and Demucs where they are installed, else as little as mnmf calls.

Either way nothing is trained and nothing is downloaded: the network in the file returns half of each microphone, and
models of Demucs have random weights, or return a quarter of what they are given as every stem.
"""

import sys
from contextlib import nullcontext
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np

STEMS = ["drums", "bass", "other", "vocals"]  # of the models of Demucs
RATE = 8000


def provide(monkeypatch, file):
    """Put torch and Demucs where `import` finds them, with models that come from nowhere, and a network into a file."""
    if find_spec("torch") and find_spec("demucs"):
        _real(monkeypatch, file)
    else:
        _stand_in(monkeypatch, file)


def _real(monkeypatch, file):
    import torch
    from demucs import pretrained
    from demucs.htdemucs import HTDemucs

    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x

    torch.manual_seed(0)
    torch.jit.script(Half()).save(str(file))
    small = HTDemucs(STEMS, channels=8, t_layers=1, depth=2, segment=1.0, samplerate=RATE).eval()
    monkeypatch.setattr(pretrained, "get_model", lambda name: {"htdemucs_ft": small}[name])


class Tensor(np.ndarray):
    """An array that answers to what a tensor is asked."""

    def to(self, device):
        assert device == "cpu"
        return self

    def detach(self):
        return self

    def cpu(self):
        return self

    def float(self):
        return self.astype(np.float32)

    def double(self):
        return self.astype(np.float64)

    def numpy(self):
        return np.asarray(self)


def _stand_in(monkeypatch, file):
    def loaded(path, map_location):
        assert (path, map_location) == (str(file.name), "cpu")
        return SimpleNamespace(eval=lambda: lambda batch: 0.5 * batch)

    def apply_model(network, batch, *, device, shifts):
        assert (batch.ndim, batch.shape[1], device, shifts) == (3, network.audio_channels, "cpu", 0)
        return np.stack([0.25 * batch] * len(network.sources), axis=1).view(Tensor)

    model = SimpleNamespace(sources=STEMS, samplerate=RATE, audio_channels=2, state_dict=dict)
    torch = SimpleNamespace(
        jit=SimpleNamespace(load=loaded),
        Tensor=Tensor,
        from_numpy=lambda x: x.view(Tensor),
        empty=lambda size, device: np.empty(size),
        inference_mode=nullcontext,
    )
    parts = {"torch": torch, "demucs": SimpleNamespace(), "demucs.apply": SimpleNamespace(apply_model=apply_model)}
    parts["demucs.pretrained"] = SimpleNamespace(get_model=lambda name: {"htdemucs_ft": model}[name])
    for name, part in parts.items():
        module = ModuleType(name)
        module.__dict__.update(vars(part))
        monkeypatch.setitem(sys.modules, name, module)
    file.write_bytes(b"a network")
