"""selection.json says what the model itself recorded, on contexts longer than index_topk."""

import random

import numpy as np
import pytest
import torch

from baleen.chat import Tokenizer, train_tokenizer
from baleen.config import EngineConfig, ModelConfig, SamplingParams
from baleen.engine import Engine
from baleen.model import Record, Transformer
from baleen.ops import topk_positions
from baleen.report.selection import LayerSelection, read_selection
from baleen.stages.selection import selection, selection_of

TOPK = 16


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(
        ["def read(self):\n    return self.x\n"] * 50, 400, tmp_path_factory.mktemp("tokenizer")
    )


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    config = ModelConfig.preset("tiny", index_topk=TOPK, vocab_size=tokenizer.vocab_size)
    return Transformer(config).initialize(torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def ids(model: Transformer) -> list[int]:
    return random.Random(0).choices(range(model.config.vocab_size), k=90)  # over 4 x TOPK: the gathering path


def layers_of(model: Transformer, ids: list[int]) -> list[LayerSelection]:
    entry = {"title": "t", "tokens": ["x"] * len(ids)} | selection_of(model, ids)
    found = read_selection({"index_topk": TOPK, "documents": [entry]})
    assert found is not None
    return list(found.documents[0].layers)


def test_positions_are_those_that_the_engine_records(model: Transformer, ids: list[int]) -> None:
    config = EngineConfig(record_selection=True, max_num_batched_tokens=32)  # in chunks, through block tables
    (done,) = Engine(model, config, eos_token_id=-1).generate(
        [ids], SamplingParams(max_tokens=1, temperature=0)
    )
    assert done.selected is not None
    for layer, found in enumerate(layers_of(model, ids)):
        for query, read in enumerate(done.selected[: len(ids), layer]):
            assert np.flatnonzero(found.selected[query]).tolist() == sorted(read[read >= 0].tolist())


@torch.no_grad()
def test_scores_and_mass_are_what_the_indexer_learns_from(model: Transformer, ids: list[int]) -> None:
    entry = selection_of(model, ids)
    shown = entry["shown"]
    for layer, found in zip(entry["layers"], layers_of(model, ids), strict=True):
        best = torch.tensor(layer["scores"]).topk(TOPK).values[-1]
        chosen = found.selected[shown, : shown + 1]
        assert (np.array(layer["scores"])[chosen] >= float(best) - 1e-3).all() and chosen.sum() == TOPK
        assert np.allclose(found.mass.sum(1), 1.0, atol=0.15)  # each rounded to 1/255
        assert not np.triu(found.mass, 1).any()
    # the first layer's mass and scores, against the training path: dense attention's record of its recall
    record = Record(index_kl=True)
    dense = Transformer(model.config.replace(sparse_attention=False))
    dense.load_state_dict(model.state_dict())
    token_ids = torch.tensor([ids])
    dense.hidden_states(token_ids, None, record)
    x = dense.model.layers[0].input_layernorm(dense.model.embed_tokens(token_ids))
    cos, sin = dense._rope(torch.arange(len(ids)).unsqueeze(0))
    scores, mass = dense.model.layers[0].self_attn.observe(x, cos, sin)
    causal = torch.ones(len(ids), len(ids), dtype=torch.bool).tril().unsqueeze(0)
    positions, valid = topk_positions(scores, causal, TOPK)
    recall = mass.gather(-1, positions).masked_fill(~valid, 0.0).sum(-1).mean()
    assert float(recall) == pytest.approx(float(record.index_recalls[0]), abs=1e-6)


def test_both_documents_are_longer_than_index_topk(model: Transformer, tokenizer: Tokenizer) -> None:
    text = tokenizer.encode_text("def read(self):\n    return self.x\n" * 20)
    made = selection(model, tokenizer, text, seed=0)
    real, task = made["documents"]
    assert len(real["tokens"]) == 3 * TOPK and len(task["tokens"]) > 100
    assert "".join(real["tokens"]).startswith("def read(self)") and "lookup" in "".join(task["tokens"])
    assert all(entry["shown"] in entry["queries"] for entry in (real, task))
    assert selection(model, tokenizer, text[:TOPK], seed=0)["documents"] == [task]


def test_a_query_is_shown_with_its_marks() -> None:
    selected = np.tril(np.ones((4, 4), bool))
    selected[3, 1] = False
    mass = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.1, 0.2, 0.7, 0], [0.0, 0.4, 0.01, 0.59]])
    layer = LayerSelection(selected, mass, 0.9, [])
    assert layer.marks(3) == "657b" and layer.marks(0) == "b"
    assert layer.recall_of(3) == pytest.approx(0.6)
    assert layer.further_back(2) == pytest.approx(2 / 6)  # 0 by query 2, 0 by query 3, of 3 + 3
