"""An agent against Baleen's own server: prompts of a chain only grow, on ids, though only messages travel."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
import uvicorn

from baleen.agent import ChatPlayer, Endpoint, Limits, StopReason, Trajectory, play
from baleen.agent.runner import Attempt, play_many
from baleen.chat import Tokenizer, encode_messages
from baleen.chat.preamble import split_controls
from baleen.config import EngineConfig, ModelConfig
from baleen.engine import AsyncEngine, Engine
from baleen.environments import FAMILIES, Task, environment_for, sample_task, scripted_solution
from baleen.model import Transformer
from baleen.server import EngineAdapter, ScriptedEngine, ServedModel, create_app

LIMITS = Limits(8, 4000)


@contextmanager
def serving(engine: Any, tokenizer: Tokenizer, mode: Any = "thinking", length: int = 8192) -> Iterator[str]:
    app = create_app(engine, tokenizer, ServedModel("m", length, mode))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http="h11", log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


def completions(task: Task) -> list[str]:
    """What a model would sample to solve the task, control tokens included."""
    texts = []
    messages = [*task.messages, *scripted_solution(task)]
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            texts.append(encode_messages([message], "thinking", messages[:place], drop_thinking=False))
    return texts


@pytest.mark.parametrize("family", ["lookup", "calculator"])
def test_prompts_of_a_chain_extend_each_other_on_ids(tokenizer: Tokenizer, family: str) -> None:
    task = sample_task(family, 3, random.Random(5), "train")
    texts = completions(task)
    engine = ScriptedEngine(tokenizer, texts, tokens_per_step=1000)
    with serving(engine, tokenizer) as url:
        done = asyncio.run(play(ChatPlayer(Endpoint(url, "m")), environment_for(task), LIMITS))
    assert (done.stop_reason, done.reward) == (StopReason.FINISHED, 1.0) and done.steps == len(texts) > 2
    assert len(engine.prompts) == len(texts)
    for (before, after), text in zip(pairwise(engine.prompts), texts, strict=False):
        known = before + tokenizer.encode_pieces(split_controls(text))
        assert after[: len(known)] == known and len(after) > len(known)
    # The thinking of the demonstration went to the server and back.
    assert done.messages[len(task.messages) :] == _without_ids(done, task)
    assert done.turns[-1].completion.usage.prompt_tokens == len(engine.prompts[-1])


def _without_ids(done: Trajectory, task: Task) -> tuple[Any, ...]:
    """The demonstration with the ids that the server gave to calls."""
    wanted = []
    for has, wants in zip(done.messages[len(task.messages) :], scripted_solution(task), strict=True):
        entry = dict(wants)
        if "tool_calls" in has:
            ids = [call["id"] for call in has["tool_calls"]]
            entry["tool_calls"] = [c | {"id": i} for c, i in zip(entry["tool_calls"], ids, strict=True)]
        if "tool_call_id" in has:
            entry["tool_call_id"] = has["tool_call_id"]
        wanted.append(entry)
    return tuple(wanted)


def test_a_malformed_completion_of_the_server_is_a_parse_error(tokenizer: Tokenizer) -> None:
    task = sample_task("calculator", 2, random.Random(5), "train")
    engine = ScriptedEngine(tokenizer, ["hm</think>a</think>b<｜end▁of▁sentence｜>"])
    with serving(engine, tokenizer) as url:
        done = asyncio.run(play(ChatPlayer(Endpoint(url, "m")), environment_for(task), LIMITS))
    assert (done.stop_reason, done.reward) == (StopReason.PARSE_ERROR, 0.0)


def test_a_conversation_that_outgrows_the_server_is_out_of_tokens(tokenizer: Tokenizer) -> None:
    task = sample_task("lookup", 3, random.Random(5), "train")
    engine = ScriptedEngine(tokenizer, completions(task), tokens_per_step=1000)
    with serving(engine, tokenizer) as url:
        asyncio.run(play(ChatPlayer(Endpoint(url, "m")), environment_for(task), LIMITS))
    length = len(engine.prompts[1]) + 1
    engine = ScriptedEngine(tokenizer, completions(task), tokens_per_step=1000)
    with serving(engine, tokenizer, length=length) as url:
        done = asyncio.run(play(ChatPlayer(Endpoint(url, "m")), environment_for(task), LIMITS))
    assert (done.stop_reason, done.reward) == (StopReason.MAX_TOKENS, 0.0) and done.steps >= 2


@pytest.mark.parametrize("mode", ["chat", "thinking"])
def test_every_family_against_a_tiny_random_model(tokenizer: Tokenizer, mode: str) -> None:
    config = ModelConfig.preset("tiny").model_copy(update={"vocab_size": tokenizer.vocab_size})
    model = Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()
    engine = Engine(model, EngineConfig(max_num_seqs=8, max_model_len=3000), tokenizer.eos_token_id)
    rng = random.Random(3)
    tasks = [sample_task(family, FAMILIES[family].difficulties[0], rng, "train") for family in FAMILIES]
    heard = []
    with serving(EngineAdapter(AsyncEngine(engine, in_thread=True)), tokenizer, mode, 3000) as url:
        player = ChatPlayer(Endpoint(url, "m", retries=0), max_tokens=24, seed=1)
        attempts = [Attempt(task, 0) for task in tasks]
        asyncio.run(play_many(attempts, lambda _: player, environment_for, LIMITS, 4, heard.append))
    assert sorted(e.trajectory.task_id for e in heard) == sorted(task.id for task in tasks)
    for episode in heard:
        done = episode.trajectory
        assert not done.stop_reason.is_failure_of_infrastructure, done.error
        assert 0 < done.completion_tokens <= 24 * done.steps and done.usage.prompt_tokens > 0
