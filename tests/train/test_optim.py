"""Muon's orthogonalization, the schedule, and the state that travels through a checkpoint."""

import pytest
import torch

from baleen.config import ModelConfig
from baleen.config.stages import IndexWarmupStage, SupervisedStage
from baleen.model import Transformer
from baleen.train.optim import Optimizers, orthogonalize, schedule
from baleen.train.supervised import trainable_names, update_routing_bias


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8), (3, 16, 24)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.min() > 0.5 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    overlap = (orthogonalize(matrices) * (u @ v)).sum() / (u @ v).square().sum()
    assert 0.7 < overlap < 1.2  # the singular vectors are kept


def test_the_schedule_rises_then_falls_to_its_floor():
    shares = [schedule(step, 100) for step in range(100)]
    assert shares[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert all(a >= b for a, b in zip(shares[3:], shares[4:], strict=False))
    assert shares[-1] == pytest.approx(0.05, abs=0.002)


def test_the_schedule_holds_as_long_as_it_is_told():
    shares = [schedule(step, 100, hold=0.6) for step in range(100)]
    assert shares[2:61] == [1.0] * 59
    assert all(a > b for a, b in zip(shares[60:], shares[61:], strict=False))
    assert shares[-1] == pytest.approx(0.05, abs=0.002)


def tiny() -> Transformer:
    return Transformer(ModelConfig.preset("tiny", vocab_size=300)).initialize(
        torch.Generator().manual_seed(0)
    )


def test_the_warm_up_trains_the_indexers_and_nothing_else():
    model = tiny()
    warm_up = trainable_names(model, IndexWarmupStage(steps=1, batch_size=1, seq_len=2, mtp_loss_weight=0.0))
    assert warm_up and all(".indexer." in name for name in warm_up)
    mtp = f"model.layers.{model.config.num_hidden_layers}."
    without = trainable_names(model, SupervisedStage(steps=1, batch_size=1, seq_len=2))
    assert not any(name.startswith(mtp) for name in without | warm_up)
    assert (
        trainable_names(model, SupervisedStage(steps=1, batch_size=1, seq_len=2, mtp_loss_weight=0.3))
        > without
    )


@pytest.mark.parametrize("muon_lr", [0.01, 0.0])
def test_state_taken_back_continues_as_if_never_stopped(muon_lr):
    def steps(model, optimizers, first, last):
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            for param in optimizers.params:
                param.grad = torch.randn(param.shape, generator=generator)
            optimizers.step(step)

    def fresh():
        model = tiny()
        return model, Optimizers(model, {name for name, _ in model.named_parameters()}, muon_lr, 0.001, 6)

    whole, optimizers = fresh()
    steps(whole, optimizers, 0, 6)
    first, before = fresh()
    steps(first, before, 0, 3)
    second, after = fresh()
    second.load_state_dict(first.state_dict())
    after.load_tensors(before.tensors())
    steps(second, after, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_the_bias_of_a_busy_expert_falls_and_of_an_idle_one_rises():
    model = tiny()
    load = torch.full((2, 8), 0.125)
    load[0, 3], load[0, 5] = 0.2, 0.05
    update_routing_bias(model, load, 0.01)
    biases = [layer.mlp.gate.e_score_correction_bias for layer in model.model.layers[1:3]]
    assert biases[0].tolist() == pytest.approx([0, 0, 0, -0.01, 0, 0.01, 0, 0])
    assert biases[1].tolist() == [0.0] * 8
