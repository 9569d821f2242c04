"""Held-out losses: what the rows add is the whole."""

import numpy as np
import pytest
import torch

from baleen.config import ModelConfig
from baleen.data.packing import Packed
from baleen.model import Transformer
from baleen.train.heldout import heldout_loss, heldout_losses


@pytest.mark.parametrize("sparse", [False, True])
def test_the_rows_add_up_to_the_mean_over_all_tokens(sparse):
    config = ModelConfig.preset("tiny", vocab_size=300, num_nextn_predict_layers=0)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0))
    ids = np.random.default_rng(0).integers(0, 300, (3, 90))
    mask = np.ones((3, 90), bool)
    mask[1, 10:] = False  # a row with few targets counts less
    rows = Packed(ids, np.zeros((3, 90), np.int64), mask)
    losses = heldout_losses(model, rows, sparse)
    targets = mask[:, 1:].sum(1)
    for i, loss in enumerate(losses):
        alone = Packed(ids[i : i + 1], rows.segments[i : i + 1], mask[i : i + 1])
        assert loss * targets.sum() == pytest.approx(
            heldout_loss(model, alone, sparse) * targets[i], rel=1e-5
        )
    assert sum(losses) == heldout_loss(model, rows, sparse) == pytest.approx(5.7, abs=0.5)
