"""What the pipeline writes for the report: decode times, and what the indexer selects."""

import pytest
import torch

from baleen.bench import decode_cost as module
from baleen.bench.decode_cost import decode_cost
from baleen.config import ModelConfig
from baleen.model import Transformer


@pytest.fixture
def model() -> Transformer:
    config = ModelConfig.preset("tiny", index_topk=8, vocab_size=64)
    return Transformer(config).initialize(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernels", [True, False])
def test_times_of_both_paths(model: Transformer, kernels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if kernels and not module.can_prepack():
        pytest.skip("needs a C++ compiler")
    monkeypatch.setattr(module, "can_prepack", lambda: kernels)
    monkeypatch.setattr(module, "ROUNDS", 2)
    cost = decode_cost(model)
    assert cost["positions"] == [4, 8, 16, 32, 64, 128, 256, 512, 1024] and cost["kernels"] == kernels
    assert set(cost["ms"]) == ({"dense", "dsa", "given"} if kernels else {"dense", "dsa"})
    for parts in cost["ms"].values():
        for step, attention in zip(parts["step"], parts["attention"], strict=True):
            assert len(step) == len(attention) == 2
            assert all(0 < a < s for a, s in zip(attention, step, strict=True))
    hooks = [m._forward_hooks or m._forward_pre_hooks for m in model.modules()]
    assert not any(hooks), "a hook was left on the model"
