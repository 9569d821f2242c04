"""The core of the server, asked without HTTP: any dialect could stand in front of it."""

import copy
from typing import Any

import pytest

from baleen.chat import Tokenizer
from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.server import Limits, ScriptedEngine, ServedModel
from baleen.server.errors import ApiError
from baleen.server.metrics import Metrics
from baleen.server.request import GenerationRequest
from baleen.server.service import ChatService, Generation

from .conftest import run

REASONING = "hm " * 40
ANSWER = f"{REASONING}</think>46<｜end▁of▁sentence｜>"
USER = {"role": "user", "content": "Add 12+34."}
TOOL = {"type": "function", "function": {"name": "f"}}


def service(tokenizer: Tokenizer, *completions: str, max_model_len: int = 4096) -> ChatService:
    engine = ScriptedEngine(tokenizer, completions or (ANSWER,), tokens_per_step=2)
    return ChatService(engine, tokenizer, ServedModel("tiny", max_model_len), Limits(), Metrics("tiny"))


def asked(*messages: dict[str, Any], **fields: Any) -> GenerationRequest:
    sampling = fields.pop("sampling", SamplingParams())
    return GenerationRequest(messages or (USER,), fields.pop("thinking_mode", "thinking"), sampling, **fields)


async def answer(service: ChatService, request: GenerationRequest) -> Generation:
    generation = await service.admit(request)
    try:
        async for _ in generation.deltas():
            pass
    finally:
        generation.close()
    return generation


def call(*ids: str) -> dict[str, Any]:
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "reasoning_content": "r", "content": "", "tool_calls": calls}


def result(identity: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": f"result {identity}"}


def test_a_request_becomes_a_message_and_counts(tokenizer: Tokenizer) -> None:
    core = service(tokenizer)
    done = run(answer(core, asked()))
    assert done.choices[0].message.message() == {
        "role": "assistant",
        "reasoning_content": REASONING,
        "content": "46",
    }
    counts = done.usage
    assert counts.prompt == len(core.engine.prompts[0]) == 2 * counts.cached + counts.prompt % 2
    assert counts.completion == counts.reasoning + 2 + len(tokenizer.encode_text("46"))
    assert core.admission.in_flight == 0


def test_each_choice_has_its_seed_and_the_room_that_is_left(tokenizer: Tokenizer) -> None:
    core = service(tokenizer, max_model_len=60)
    sampling = SamplingParams(max_tokens=1000, temperature=0.5, seed=2**63 - 1)
    run(answer(core, asked(sampling=sampling, n=3)))
    room = 60 - len(core.engine.prompts[0])
    assert core.engine.params == [
        SamplingParams(max_tokens=room, temperature=0.5, seed=seed, record_sampling_mask=False)
        for seed in (2**63 - 1, 0, 1)
    ]
    run(answer(core, asked(n=2)))
    assert [params.seed for params in core.engine.params[3:]] == [None, None]


def test_logprobs_are_bytes_and_leave_the_end_token_out(tokenizer: Tokenizer) -> None:
    core = service(tokenizer, "46🐋<｜end▁of▁sentence｜>")
    sampling = SamplingParams(logprobs=2)
    (choice,) = run(answer(core, asked(sampling=sampling, thinking_mode="chat"))).choices
    assert b"".join(entry.token for entry in choice.logprobs).decode() == "46🐋"
    assert all(entry.logprob == -0.5 for entry in choice.logprobs)
    assert all([value for _, value in entry.top] == [-0.5, -1.5] for entry in choice.logprobs)
    assert run(answer(core, asked(thinking_mode="chat"))).choices[0].logprobs is None


def test_tools_and_results_are_put_where_the_format_wants_them_and_the_request_stays(
    tokenizer: Tokenizer,
) -> None:
    core = service(tokenizer)
    messages = (USER, call("a", "b"), result("b"), result("a"))
    request = asked(*messages, tools=(TOOL,))
    before = copy.deepcopy(request)
    run(answer(core, request))
    prompt = tokenizer.decode(core.engine.prompts[0])
    assert prompt.startswith("<｜begin▁of▁sentence｜>\n\n## Tools\n")
    assert "<result>result a</result>\n<result>result b</result>" in prompt
    system = {"role": "system", "content": "Be exact."}
    run(answer(core, asked(system, USER, tools=(TOOL,))))
    assert tokenizer.decode(core.engine.prompts[1]).startswith(
        "<｜begin▁of▁sentence｜>Be exact.\n\n## Tools\n"
    )
    assert request == before and system == {"role": "system", "content": "Be exact."}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ((USER, {"role": "assistant", "content": "x", "reasoning_content": "r"}), "messages"),
        ((USER, result("a")), "messages[1]"),
        ((USER, call("a", "a"), result("a"), result("a")), "messages[1].tool_calls"),
        ((USER, call("a"), result("b")), "messages[1].tool_calls"),
        ((USER, call("a"), USER), "messages[1].tool_calls"),
        (({"role": "user", "content": "x" * 500},), "messages"),
    ],
)
def test_a_conversation_without_a_prompt_is_refused(
    tokenizer: Tokenizer, messages: tuple[dict[str, Any], ...], param: str
) -> None:
    core = service(tokenizer, max_model_len=200)
    with pytest.raises(ApiError) as caught:
        run(core.admit(asked(*messages)))
    assert (caught.value.status_code, caught.value.param) == (400, param)
    assert core.admission.in_flight == 0


def test_what_the_engine_cannot_run_is_refused_before_it_starts(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = service(tokenizer)

    def refuse(prompt_ids: list[int], params: SamplingParams) -> None:
        raise UserError("no such token")

    monkeypatch.setattr(core.engine, "check_request", refuse)
    with pytest.raises(ApiError, match="no such token"):
        run(core.admit(asked()))
    assert core.admission.in_flight == 0


def test_the_names_of_the_model() -> None:
    model = ServedModel("deepseek-chat", 100, "thinking")
    assert model.names == ["deepseek-chat", "deepseek-reasoner"]
    assert model.mode_of("deepseek-chat") == "thinking", "the server's own name comes first"
    with pytest.raises(ApiError, match="Model Not Exist: 'gpt'; this server has deepseek-chat, deepseek-r"):
        model.mode_of("gpt")
