"""Sampling fields, from the request to the engine and back: what reaches the engine, and what a real one answers."""

import math

import numpy as np
import pytest
from starlette.testclient import TestClient

from baleen.config import ModelConfig
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine import AsyncEngine, Engine
from baleen.model import Transformer
from baleen.server import EngineAdapter, ServedModel, create_app

USER = [{"role": "user", "content": "Add 12+34."}]
EXTRAS = {"min_p": 0.25, "top_k": 7, "repetition_penalty": 1.25, "cache_salt": "alice"}
PENALTIES = {"presence_penalty": 1.5, "frequency_penalty": -0.5}


@pytest.fixture(scope="module")
def engine(tokenizer):
    import torch

    config = ModelConfig.preset(
        "tiny", vocab_size=tokenizer.vocab_size + 5
    )  # padded, as the released model's is
    model = Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()
    return Engine(model, EngineConfig(), tokenizer.eos_token_id)


@pytest.fixture(scope="module")
def client(engine, tokenizer):
    app = create_app(
        EngineAdapter(AsyncEngine(engine, in_thread=True)), tokenizer, ServedModel("tiny", 300, "chat")
    )
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def ask(client, **fields):
    request = {"model": "tiny", "messages": USER, "max_tokens": 12, "seed": 5, **fields}
    response = client.post("/v1/chat/completions", json=request)
    assert response.status_code == 200, response.text
    return response.json()["choices"]


def sampled(client, **fields) -> list[dict]:
    """Entries of the answer's logprobs, the end token left out."""
    return ask(client, logprobs=True, **fields)[0]["logprobs"]["content"]


def test_fields_reach_the_engine_and_absent_ones_are_its_defaults(serve):
    server = serve("46<｜end▁of▁sentence｜>")
    server.chat(model="deepseek-chat", max_tokens=9, temperature=0.5, top_p=0.75, seed=3)
    server.chat(
        model="deepseek-chat",
        max_tokens=9,
        logit_bias={"5": -100, "17": 2},
        logprobs=True,
        top_logprobs=4,
        extra_body=EXTRAS,
        **PENALTIES,
    )
    server.chat(model="deepseek-chat", max_tokens=9, logprobs=True, extra_body={"top_k": -1})
    plain, full, listed = server.engine.params
    assert plain == SamplingParams(
        max_tokens=9, temperature=0.5, top_p=0.75, seed=3, record_sampling_mask=False
    )
    assert full == SamplingParams(
        max_tokens=9,
        logit_bias={5: -100, 17: 2},
        logprobs=4,
        record_sampling_mask=False,
        **EXTRAS,
        **PENALTIES,
    )
    assert listed == SamplingParams(max_tokens=9, logprobs=0, record_sampling_mask=False)


def test_thinking_ignores_deepseeks_penalties_without_error(serve):
    server = serve()
    server.chat(model="deepseek-reasoner", logit_bias={"5": 1}, extra_body=EXTRAS, **PENALTIES)
    (params,) = server.engine.params
    assert (params.presence_penalty, params.frequency_penalty) == (0, 0)
    assert params.logit_bias == {5: 1}
    assert {name: getattr(params, name) for name in EXTRAS} == EXTRAS


@pytest.mark.parametrize("top_logprobs", [0, 3, 20])
def test_logprobs_have_openais_shape_and_are_the_engines(client, engine, tokenizer, top_logprobs):
    entries = sampled(client, top_logprobs=top_logprobs, top_p=0.5)
    from baleen.chat import encode_pieces

    prompt = tokenizer.encode_pieces(encode_pieces(USER, "chat"))
    params = SamplingParams(max_tokens=12, top_p=0.5, seed=5, logprobs=top_logprobs)
    result = engine.generate([prompt], params)[0]
    assert len(entries) == len(result.token_ids) - (result.finish_reason == "stop") > 0
    for entry, token, known in zip(entries, result.token_ids, result.top_logprobs, strict=False):
        data = tokenizer.token_bytes(token)
        assert set(entry) == {"token", "logprob", "bytes", "top_logprobs"}
        assert entry["bytes"] == list(data) and entry["token"] == data.decode("utf-8", "replace")
        assert entry["logprob"] == pytest.approx(known[token], abs=1e-4)
        assert len(entry["top_logprobs"]) == top_logprobs
        values = [top["logprob"] for top in entry["top_logprobs"]]
        assert values == pytest.approx(list(known.values())[:top_logprobs], abs=1e-4)
        assert values == sorted(values, reverse=True)
        names = [top["bytes"] for top in entry["top_logprobs"]]
        assert names == [list(tokenizer.token_bytes(i)) for i in list(known)[:top_logprobs]]
        assert all(set(top) == {"token", "logprob", "bytes"} for top in entry["top_logprobs"])


def test_a_streams_logprobs_join_to_those_of_the_whole(serve):
    server = serve("46🐋 and more<｜end▁of▁sentence｜>", tokens_per_step=3)
    fields = {"model": "deepseek-chat", "logprobs": True, "top_logprobs": 2}
    whole = server.chat(**fields).choices[0].logprobs.content
    chunks = list(server.chat(**fields, stream=True))
    streamed = [t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert streamed == whole
    assert [len(t.top_logprobs) for t in whole] == [2] * len(whole)
    assert whole[0].top_logprobs[0].token == whole[0].token
    assert [t.logprob for t in whole[0].top_logprobs] == [-0.5, -1.5]


def test_a_bias_forces_and_bans(client, tokenizer):
    token = tokenizer.encode_text("=")[0]
    assert ask(client, logit_bias={str(token): 100})[0]["message"]["content"] == "=" * 12
    likeliest = sampled(client, temperature=0, top_logprobs=1)[0]
    ids = [i for i in range(tokenizer.vocab_size) if list(tokenizer.token_bytes(i)) == likeliest["bytes"]]
    entries = sampled(client, temperature=0, top_logprobs=20, logit_bias={str(i): -100 for i in ids})
    assert all(t["bytes"] != likeliest["bytes"] for entry in entries for t in entry["top_logprobs"])


def test_penalties_end_a_repetition(client, tokenizer):
    forced = {"temperature": 0, "logit_bias": {str(tokenizer.encode_text("=")[0]): 12}}
    plain = [entry["token"] for entry in sampled(client, **forced)]
    penalised = [entry["token"] for entry in sampled(client, **forced, frequency_penalty=2)]
    assert plain == ["="] * 12
    assert penalised != plain and penalised[0] == "="


def test_choices_differ_and_the_seed_repeats_them(client):
    once, again = (
        [choice["message"]["content"] for choice in ask(client, n=4, temperature=1.5)] for _ in range(2)
    )
    assert once == again
    assert len(set(once)) == 4
    alone = ask(client, temperature=1.5, seed=7)[0]["message"]["content"]
    assert once[2] == alone


@pytest.mark.parametrize("stream", [True, False])
def test_a_token_that_the_model_does_not_have_is_refused_before_the_stream(client, tokenizer, stream):
    size = tokenizer.vocab_size + 5
    everything = {str(i): -100 for i in range(size)}
    for bias, words in (({str(size): 1}, f"logit_bias has token id {size}"), (everything, "for all")):
        request = {"model": "tiny", "messages": USER, "stream": stream, "logit_bias": bias}
        response = client.post("/v1/chat/completions", json=request)
        assert response.status_code == 400
        assert words in response.json()["error"]["message"]
    assert client.app.state.service.admission.in_flight == 0


def test_min_p_and_top_k_leave_the_likeliest(client):
    for cut in ({"min_p": 1}, {"top_k": 1}, {"min_p": 1, "top_k": 2**70}):
        entries = sampled(client, temperature=2, top_logprobs=1, **cut)
        assert all(entry["token"] == entry["top_logprobs"][0]["token"] for entry in entries)
        # the listed distribution is the one before the cut, or every token would be certain
        assert np.mean([math.exp(entry["logprob"]) for entry in entries]) < 0.9
