"""An endpoint: what goes over the wire, odd answers as values, retries with an end, dollars with a cap."""

import json
import sys
import threading
from typing import Any

import pytest

from baleen.agent import BudgetSpent, CostMeter, Endpoint, ModelFailure, Reply, TokenPrice
from baleen.chat import Message
from baleen.config import UserError
from tests.agent.stand_in import Answer, StandIn, calls, fails, says, stand_in

QUESTION: list[Message] = [{"role": "user", "content": "6*7?"}]
TOOL = {"type": "function", "function": {"name": "calculate", "parameters": {"type": "object"}}}


def ask(*answers: Answer, messages: list[Message] | None = None, **options: Any) -> tuple[Reply, StandIn]:
    with stand_in(answers) as server:
        reply = Endpoint(server.url, "m", **options).complete(messages or QUESTION)
    return reply, server


def test_an_answer_with_its_tokens_and_dollars() -> None:
    reply, server = ask(says("42"), pricing=TokenPrice(1.0, 0.1, 2.0), max_tokens=55)
    assert reply.message == {"role": "assistant", "content": "42"} and reply.finish_reason == "stop"
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (100, 60, 20)
    assert reply.dollars == pytest.approx((40 * 1.0 + 60 * 0.1 + 20 * 2.0) / 1e6)
    assert server.requests == [{"model": "m", "messages": QUESTION, "max_tokens": 55}]


def test_deepseeks_names_of_usage_and_reasoning() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_cache_hit_tokens": 4,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    reply, _ = ask(says("42", usage=usage, reasoning_content="six times seven"))
    assert reply.message["reasoning_content"] == "six times seven"
    assert (reply.cached_tokens, reply.reasoning_tokens) == (4, 3)
    assert ask(says("42", reasoning="hm"))[0].message["reasoning_content"] == "hm"


def test_thinking_goes_back_with_its_calls_until_the_next_question() -> None:
    def call(call_id: str) -> dict[str, Any]:
        return {"id": call_id, "type": "function", "function": {"name": "calculate", "arguments": "{}"}}

    work: list[Message] = [
        {"role": "system", "content": "", "tools": [TOOL]},
        *QUESTION,
        {"role": "assistant", "content": "", "reasoning_content": "t1", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "content": "42"},
        {"role": "tool", "content": "43"},
    ]
    _, server = ask(says(), messages=work)
    (sent,) = server.requests
    assert [m["role"] for m in sent["messages"]] == ["user", "assistant", "tool", "tool"]
    assert sent["tools"] == [TOOL] and sent["messages"][1]["reasoning_content"] == "t1"
    assert [m["tool_call_id"] for m in sent["messages"][2:]] == ["a", "b"]
    later = [*work, {"role": "assistant", "content": "42", "reasoning_content": "t2"}, *QUESTION]
    _, server = ask(says(), messages=later)
    assert "reasoning_content" not in json.dumps(server.requests)


def test_arguments_that_are_no_object_are_quoted_on_the_way_back() -> None:
    first, _ = ask(calls(("calculate", "{6*7"), ("calculate", "")))
    made = first.message["tool_calls"]
    assert first.finish_reason == "tool_calls"
    assert [call["function"]["arguments"] for call in made] == ["{6*7", "{}"]
    results: list[Message] = [{"role": "tool", "content": "error", "tool_call_id": c["id"]} for c in made]
    _, server = ask(says(), messages=[*QUESTION, first.message, *results])
    back = server.requests[0]["messages"][1]["tool_calls"]
    assert json.loads(back[0]["function"]["arguments"]) == {"malformed_arguments": "{6*7"}


def test_missing_and_doubled_ids_are_mended() -> None:
    entries = [
        {"type": "function", "id": i, "function": {"name": "f", "arguments": "{}"}} for i in (None, "x", "x")
    ]
    reply, _ = ask(says("", "stop", tool_calls=entries))
    assert reply.finish_reason == "tool_calls"
    assert [call["id"] for call in reply.message["tool_calls"]] == ["call_0", "x", "call_2"]


@pytest.mark.parametrize(
    ("answer", "finish", "content"),
    [
        (says("cut", "length"), "length", "cut"),
        (says(None, "content_filter"), "content_filter", ""),
        (says(None, refusal="I will not"), "content_filter", "I will not"),
        (says("", tool_calls=[{"id": "a", "type": "function", "function": {"name": None}}]), "malformed", ""),
        (says("", tool_calls=[{"id": "a", "type": "custom", "custom": {"name": "x"}}]), "malformed", ""),
        (says("cut", "model_length"), "length", "cut"),
        (fails(400, "This model's maximum context length is 4096 tokens"), "length", ""),
        (fails(400, "the request is too large", type="exceed_context_size_error", n_ctx=4096), "length", ""),
        (fails(400, "request (5000 tokens) exceeds the available context size (4096 tokens)"), "length", ""),
        (fails(400, "The input token count (9) exceeds the maximum number of tokens allowed"), "length", ""),
        (says([{"type": "text", "text": "in parts"}]), "stop", "in parts"),
        (says("odd", None), "stop", "odd"),
    ],
)
def test_odd_answers_are_values(answer: Answer, finish: str, content: str) -> None:
    reply, _ = ask(answer)
    assert (reply.finish_reason, reply.message["content"]) == (finish, content)


@pytest.mark.parametrize(
    ("answer", "says_what"),
    [
        (Answer({"choices": [], "usage": None}), "without a choice"),
        (Answer({"error": "overloaded"}), "without a choice"),
        (Answer("<html>Bad gateway</html>"), "without a choice"),
        (Answer({"choices": [{"index": 0, "message": None}]}), "without a choice"),
        (fails(400, "no such field"), "status 400: .*no such field"),
    ],
)
def test_no_answer_is_a_failure_of_the_model(answer: Answer, says_what: str) -> None:
    with pytest.raises(ModelFailure, match=says_what):
        ask(answer, retries=0)


@pytest.mark.parametrize("finish", ["insufficient_system_resource", "abort", "error"])
def test_an_answer_that_the_server_broke_off_is_none(finish: str) -> None:
    meter = CostMeter()
    broken = says("half of it", finish, tool_calls=None)
    with pytest.raises(ModelFailure, match=f"broke off its answer .*{finish}"):
        ask(broken, retries=0, pricing=TokenPrice(0, 0, 100), meter=meter)
    assert meter.spent == pytest.approx(0.002), "its tokens were paid for"
    reply, server = ask(broken, says("all of it"), retries=1)
    assert reply.message["content"] == "all of it" and len(server.requests) == 2


def test_half_characters_are_replaced_on_both_ways() -> None:
    half: list[Message] = [{"role": "user", "content": "x\ud83d"}]
    answer = calls(("f\udc80", '{"a": 1}'), content="\ud800", reasoning_content="\udfff")
    reply, server = ask(answer, messages=half)
    assert server.requests[0]["messages"][0]["content"] == "x\ufffd"
    assert (reply.message["content"], reply.message["reasoning_content"]) == ("\ufffd", "\ufffd")
    assert reply.message["tool_calls"][0]["function"]["name"] == "f\ufffd"


def test_a_busy_or_failing_server_is_asked_again() -> None:
    reply, server = ask(fails(500), fails(429), fails(503), says("at last"))
    assert reply.message["content"] == "at last" and len(server.requests) == 4


def test_retries_have_an_end() -> None:
    with stand_in([fails(500, "oh dear")]) as server:
        with pytest.raises(ModelFailure, match="status 500: .*oh dear"):
            Endpoint(server.url, "m", retries=2).complete(QUESTION)
        assert len(server.requests) == 3


def test_a_silent_server_and_one_that_is_not_there() -> None:
    with stand_in([Answer({}, seconds=1.0)]) as server, pytest.raises(ModelFailure, match="in time"):
        Endpoint(server.url, "m", timeout=0.1, retries=0).complete(QUESTION)
    with pytest.raises(ModelFailure, match="cannot be reached"):
        Endpoint(server.url, "m", retries=0).complete(QUESTION)


@pytest.mark.parametrize(
    ("answer", "says_what"),
    [
        (fails(401, "Incorrect API key sk-secret"), "refused the API key"),
        (fails(404, "no model m"), "--model"),
        (fails(400, "Model Not Exist"), "knows no model 'm' .*status 400: Model Not Exist.*--model"),
        (fails(400, "Invalid model name passed in model=m. Call `/v1/models`"), "knows no model"),
        (fails(400, "m is not a valid model ID"), "knows no model"),
        (fails(400, "The model `m` does not exist or you do not have access to it."), "knows no model"),
        (fails(400, "model 'm' not found"), "knows no model"),
        (fails(403, "no access", code="model_not_found"), "knows no model"),
        (fails(503, "No available channel", code="model_not_found"), "knows no model"),
        (fails(402, "Insufficient Balance"), "no money left"),
        (fails(429, "quota", code="insufficient_quota"), "no money left"),
    ],
)
def test_what_every_call_would_meet_is_the_users_to_mend(answer: Answer, says_what: str) -> None:
    with pytest.raises(UserError, match=says_what):
        ask(answer, retries=0)


def test_the_key_is_sent_and_never_shown() -> None:
    with stand_in([fails(400, "bad request of sk-secret")]) as server:
        with pytest.raises(ModelFailure) as failure:
            Endpoint(server.url, "m", "sk-secret", retries=0).complete(QUESTION)
        assert server.headers[0]["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(failure.value)


def test_a_call_that_could_not_be_paid_is_not_made() -> None:
    meter = CostMeter(0.01)
    with stand_in([says()]) as server:
        # A call costs 20 * 100 $ / 1e6 = 0.002 $ and might cost 50 * 100 $ / 1e6 = 0.005 $.
        model = Endpoint(server.url, "m", pricing=TokenPrice(0, 0, 100), meter=meter, max_tokens=50)
        done = 0
        with pytest.raises(BudgetSpent, match="--max-cost 0.01 .*0.0060 are spent"):
            while True:
                model.complete(QUESTION)
                done += 1
    assert done == len(server.requests) == 3 and meter.spent == pytest.approx(0.006) and meter.refused


def test_calls_under_way_count_against_the_budget() -> None:
    meter = CostMeter(0.01)
    with stand_in([Answer(says().body, seconds=0.2)]) as server:
        model = Endpoint(server.url, "m", pricing=TokenPrice(0, 0, 100), meter=meter, max_tokens=50)
        refused = []

        def call() -> None:
            try:
                model.complete(QUESTION)
            except BudgetSpent as spent:
                refused.append(spent)

        threads = [threading.Thread(target=call) for _ in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert len(server.requests) == 2 and len(refused) == 4 and meter.spent == pytest.approx(0.004)


def test_failed_calls_cost_nothing_and_answers_without_usage_their_highest_price() -> None:
    meter = CostMeter(1.0)
    with stand_in([fails(400), says(usage=None)]) as server:
        model = Endpoint(
            server.url, "m", pricing=TokenPrice(0, 0, 100), meter=meter, max_tokens=50, retries=0
        )
        with pytest.raises(ModelFailure):
            model.complete(QUESTION)
        assert meter.spent == 0
        assert model.complete(QUESTION).dollars == pytest.approx(0.005) == meter.spent
    assert str(meter) == "2 calls of a model, 0.0050 of 1 dollars"


def test_a_missing_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"pip install -e '.+\[agents\]'"):
        Endpoint("http://127.0.0.1:1/v1", "m")


def test_an_address_that_is_none() -> None:
    with pytest.raises(UserError, match="--base-url"):
        Endpoint("127.0.0.1:8000", "m")
