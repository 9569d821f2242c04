"""Losses by hand numbers, and which parameters each of them reaches."""

import math

import pytest
import torch

from baleen.config import ModelConfig
from baleen.config.stages import IndexWarmupStage
from baleen.model import Transformer
from baleen.ops import index_kl
from baleen.train import Workers
from baleen.train.losses import Batch, LossWeights, Totals, supervised_loss
from baleen.train.supervised import trainable_names

ONE = Totals(targets=1, tokens=1, mtp_tokens=1, rows=1)


@pytest.fixture
def model() -> Transformer:
    config = ModelConfig.preset("tiny", vocab_size=300, sparse_attention=True, index_topk=8)
    return Transformer(config).initialize(torch.Generator().manual_seed(0))


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    token_ids = torch.randint(3, 300, (4, 40), generator=generator)
    segments = torch.arange(40).div(20, rounding_mode="floor").repeat(4, 1)
    segments[3, 30:] = -1
    return Batch(token_ids, segments, torch.rand(4, 40, generator=generator) < 0.7)


def gradients(model: Transformer, batch: Batch, weights: LossWeights) -> dict[str, torch.Tensor | None]:
    loss, _, _ = supervised_loss(model, batch, weights, batch.totals())
    names, params = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, params, allow_unused=True), strict=True))


def touched(grads: dict[str, torch.Tensor | None]) -> set[str]:
    return {name for name, grad in grads.items() if grad is not None and bool(grad.abs().max() > 0)}


def test_the_indexers_learn_from_their_own_loss_alone(model, batch):
    of_tokens = touched(gradients(model, batch, LossWeights(lm=1.0)))
    of_indexers = touched(gradients(model, batch, LossWeights(lm=0.0, index_kl=1.0)))
    assert of_tokens and of_indexers
    assert not any(".indexer." in name for name in of_tokens)
    assert all(".indexer." in name for name in of_indexers)


def test_the_multi_token_loss_reaches_its_layer_and_the_model_below(model, batch):
    mtp = f"model.layers.{model.config.num_hidden_layers}."
    without, with_ = (touched(gradients(model, batch, LossWeights(lm=1.0, mtp=w))) for w in (0.0, 0.3))
    assert not any(name.startswith(mtp) for name in without)
    assert any(name.startswith(mtp) for name in with_)


@pytest.mark.parametrize(
    "weights", [LossWeights(lm=1.0, mtp=0.3), LossWeights(lm=0.0, mtp=1.0, index_kl=1.0)]
)
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(model, batch, weights):
    """Whatever the split: here the parts differ in rows, in targets and in padding."""
    batch = Batch(batch.token_ids, batch.segments.clone(), batch.loss_mask)
    batch.segments[1:, 8:] = -1
    whole = gradients(model, batch, weights)
    params = [param for _, param in model.named_parameters()]

    def loss_of(part: slice):
        return supervised_loss(model, batch.rows(part), weights, batch.totals())[:2]

    Workers(2).gradients(loss_of, [slice(0, 1), slice(1, 4)], params)
    for name, param in model.named_parameters():
        expected = whole[name]
        if expected is not None:
            assert torch.allclose(param.grad, expected, atol=1e-5, rtol=1e-4), name


def test_the_warm_up_trains_the_indexer_of_the_mtp_layer_too(model, batch):
    stage = IndexWarmupStage(steps=1, batch_size=1, seq_len=8)
    of_mtp = f"model.layers.{model.config.num_hidden_layers}.self_attn.indexer."
    reached = touched(gradients(model, batch, LossWeights(lm=0.0, mtp=1.0, index_kl=1.0)))
    assert reached == trainable_names(model, stage)
    assert any(name.startswith(of_mtp) for name in reached)
    without = trainable_names(model, stage.model_copy(update={"mtp_loss_weight": 0.0}))
    assert without == {name for name in reached if not name.startswith(of_mtp)}


def test_no_target_crosses_a_document_or_padding(batch):
    ones = Batch(batch.token_ids, batch.segments, torch.ones_like(batch.loss_mask))
    for ahead in (1, 2):
        targets = ones.targets(ahead)
        assert targets.shape == (4, 40 - ahead)
        assert targets[0].sum() == 2 * (20 - ahead)
        assert not targets[0, 20 - ahead : 20].any()


def test_neighbors_in_a_row_do_not_change_a_document(model, batch):
    together, _, _ = supervised_loss(model, batch.rows(slice(0, 1)), LossWeights(lm=1.0), ONE)
    halves = [
        Batch(batch.token_ids[:1, part], batch.segments[:1, part], batch.loss_mask[:1, part])
        for part in (slice(0, 20), slice(20, 40))
    ]
    apart = sum(supervised_loss(model, half, LossWeights(lm=1.0), ONE)[0] for half in halves)
    assert together.item() == pytest.approx(apart.item(), rel=1e-5)


def test_index_kl_by_hand():
    # two heads over three positions, of which the query sees two: p = (0.6 + 0.2, 0.4 + 0.8) / 2 = (0.4, 0.6)
    probs = torch.tensor([[[[0.6, 0.4, 0.0]], [[0.2, 0.8, 0.0]]]])
    scores = torch.tensor([[[0.0, math.log(3.0), 99.0]]])  # softmax over the visible: (0.25, 0.75)
    keep = torch.tensor([[[True, True, False]]])
    expected = 0.4 * math.log(0.4 / 0.25) + 0.6 * math.log(0.6 / 0.75)
    assert index_kl(probs, scores, keep).item() == pytest.approx(expected, rel=1e-5)


def test_balance_loss_is_one_when_even_and_grows_with_imbalance(model):
    """sum_i f_i P_i with f_i = E/k x share of the choices; 8 experts, 2 chosen."""
    moe = model.model.layers[1].mlp
    spread = torch.arange(8).view(4, 2)
    even = moe._balance_loss(torch.full((4, 8), 0.5), spread, 1, None)
    assert even.item() == pytest.approx(1.0)
    favourite = torch.full((4, 8), 0.1)
    favourite[:, :2] = 0.8
    chosen = torch.tensor([[0, 1]] * 4)
    expected = 2 * (8 / 2) * 0.8 / (2 * 0.8 + 6 * 0.1)
    assert moe._balance_loss(favourite, chosen, 1, None).item() == pytest.approx(expected)
    counted = torch.tensor([[True, True, False, False]])
    favourite[2:], chosen[2:] = 0.5, spread[2:]  # padding counts for nothing
    assert moe._balance_loss(favourite, chosen, 1, counted).item() == pytest.approx(expected)
