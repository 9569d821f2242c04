"""The benchmark of drafts: prompts of every answer, what a perfect and a useless drafter come to, equal output."""

import random

import pytest
import torch

from baleen.chat import Tokenizer
from baleen.config import EngineConfig, ModelConfig
from baleen.engine import Engine
from baleen.environments import demonstrate, sample_task
from baleen.model import Transformer
from benchmarks.speculative import TASKS, compare, prompts, told


@pytest.mark.parametrize("family", TASKS)
def test_every_answer_of_a_solution_has_its_prompt(tokenizer: Tokenizer, family: str) -> None:
    task = sample_task(family, TASKS[family][0], random.Random(0), "heldout")
    answers = [message for message in demonstrate(task, "full") if message["role"] == "assistant"]
    found = prompts(tokenizer, family, 1)
    assert len(found) == len(answers) and (family in ("sum", "program")) == (len(answers) == 1)
    assert all(task.question in tokenizer.decode(prompt) for prompt in found)
    assert all(a == b[: len(a)] for a, b in zip(found, found[1:], strict=False)), "each grows from the last"


def test_drafts_are_counted_and_both_ways_agree(tokenizer: Tokenizer, kernels: None) -> None:
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0))
    engines = {
        drafts: Engine(model, EngineConfig(speculative=drafts, max_num_seqs=1)) for drafts in (False, True)
    }
    row = compare(engines, prompts(tokenizer, "sum", 3), 1.0, rounds=2)
    assert row["equal"] and row["drafted"] > 50
    assert 0 <= row["accepted_low"] <= row["accepted"] <= row["accepted_high"] < 0.5  # weights are random
    assert row["least"] <= row["times_as_fast"] <= row["most"]
    assert "equal to the bit" in told({"family": "sum", "temperature": 1.0, "batch": 1, **row})
