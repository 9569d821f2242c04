"""Every failure is the one error object, names the field, and hurts nobody else."""

import httpx
import openai
import pytest

from baleen.server import Limits

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "1"}


@pytest.fixture(scope="module")
def shared(tokenizer):
    """An application without a socket: most errors need none."""
    from starlette.testclient import TestClient

    from baleen.server import ScriptedEngine, ServedModel, create_app

    engine = ScriptedEngine(tokenizer, ["= 46</think>46<｜end▁of▁sentence｜>"])
    app = create_app(engine, tokenizer, ServedModel("tiny", 200))
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def error_of(response: httpx.Response) -> dict:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "gpt-9"}, 400, "model"),
        ({"model": 3}, 422, "model"),
        ({"messages": []}, 422, "messages"),
        ({"messages": [USER] * 513}, 422, "messages"),
        ({"messages": [{"role": "user"}]}, 422, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, 422, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 422, "messages[0].content"),
        ({"messages": [{"role": "developer", "content": "x"}]}, 422, "messages[0]"),
        ({"messages": [USER, {"role": "assistant", "content": "x"}]}, 400, "messages"),
        ({"messages": [USER, RESULT]}, 400, "messages[1]"),
        ({"messages": [USER, {"role": "tool", "content": "1"}]}, 422, "messages[1].tool_call_id"),
        ({"temperature": 2.1}, 422, "temperature"),
        ({"temperature": "hot"}, 422, "temperature"),
        ({"top_p": 0}, 422, "top_p"),
        ({"max_tokens": 0}, 422, "max_tokens"),
        ({"max_tokens": 2**63}, 422, "max_tokens"),
        ({"n": 17}, 422, "n"),
        ({"n": True}, 422, "n"),
        ({"n": -1}, 422, "n"),
        ({"stop": ["x"] * 17}, 422, "stop"),
        ({"stop": ["y" * 257]}, 422, "stop[0]"),
        ({"stop": ""}, 422, "stop[0]"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 422, "tools[0]"),
        ({"tools": [{"type": "web_search"}]}, 422, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * 65}, 422, "tools"),
        ({"tool_choice": "required"}, 422, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, 422, "response_format.type"),
        ({"thinking": {"type": "maybe"}}, 422, "thinking.type"),
        ({"functions": [{"name": "f"}]}, 422, None),
        ({"logprobs": True}, 400, "logprobs"),
        ({"top_logprobs": 3}, 400, "top_logprobs"),
        ({"model": "deepseek-chat", "top_logprobs": 5}, 400, "top_logprobs"),
        ({"model": "deepseek-chat", "logprobs": True, "top_logprobs": 21}, 422, "top_logprobs"),
        ({"frequency_penalty": 2.1}, 422, "frequency_penalty"),
        ({"presence_penalty": "1"}, 422, "presence_penalty"),
        ({"repetition_penalty": 0}, 422, "repetition_penalty"),
        ({"min_p": 1.5}, 422, "min_p"),
        ({"top_k": -2}, 422, "top_k"),
        ({"top_k": 3.5}, 422, "top_k"),
        ({"logit_bias": {"5": 101}}, 422, "logit_bias[5]"),
        ({"logit_bias": {"5": True}}, 422, "logit_bias[5]"),
        ({"logit_bias": {"five": 1}}, 422, "logit_bias"),
        ({"logit_bias": {"-5": 1}}, 422, "logit_bias"),
        ({"logit_bias": [5]}, 422, "logit_bias"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"messages": [{"role": "user", "content": "x" * 500}]}, 400, "messages"),
    ],
)
def test_a_bad_field_is_named(shared, fields, status, param):
    response = shared.post("/v1/chat/completions", json={"model": "tiny", "messages": [USER], **fields})
    assert response.status_code == status, response.text
    error = error_of(response)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert "Traceback" not in error["message"] and "0x" not in error["message"]


def test_missing_reasoning_content_in_a_tool_chain(shared):
    """DeepSeek's words for it; an empty string counts as given, and a new user message ends the duty."""
    assistant = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    chain = [{"role": "system", "content": "s"}, USER, assistant, RESULT]
    response = shared.post("/v1/chat/completions", json={"model": "tiny", "messages": chain})
    assert response.status_code == 400
    assert error_of(response) == {
        "message": "Missing `reasoning_content` field in the assistant message at message index 2. For more "
        "information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_request_error",
    }
    for messages, model in (
        ([*chain[:2], {**assistant, "reasoning_content": ""}, RESULT], "tiny"),
        ([*chain, USER], "tiny"),
        (chain, "deepseek-chat"),
    ):
        response = shared.post("/v1/chat/completions", json={"model": model, "messages": messages})
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "results",
    [[], [RESULT, RESULT], [{**RESULT, "tool_call_id": "c2"}], [USER]],
    ids=["none", "twice", "other id", "user instead"],
)
def test_every_call_needs_its_result(shared, results):
    assistant = {"role": "assistant", "content": "", "reasoning_content": "r", "tool_calls": [CALL]}
    messages = [USER, assistant, *results]
    response = shared.post("/v1/chat/completions", json={"model": "tiny", "messages": messages})
    assert response.status_code == 400
    error_of(response)


def test_an_encoding_error_names_the_clients_message(shared):
    """The index is that of the request, although tools put a system message in front."""
    bad = {**CALL, "function": {"name": "f", "arguments": "not json"}}
    assistant = {"role": "assistant", "content": "", "reasoning_content": "r", "tool_calls": [bad]}
    tools = [{"type": "function", "function": {"name": "f"}}]
    request = {"model": "tiny", "messages": [USER, assistant, RESULT], "tools": tools}
    response = shared.post("/v1/chat/completions", json=request)
    assert response.status_code == 400
    assert error_of(response)["param"] == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[" * 100_000,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" + b"1," * 10_001 + b"1]",
        b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b'"text"',
    ],
)
def test_a_body_that_is_no_request(shared, body):
    headers = {"content-type": "application/json"}
    response = shared.post("/v1/chat/completions", content=body, headers=headers)
    assert response.status_code in (400, 422)
    error_of(response)


def test_lone_surrogates_are_refused_politely(shared):
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800"}]}'
    response = shared.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    error_of(response)
    body = b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}'
    response = shared.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    error_of(response)


def test_paths_methods_and_content_types(shared):
    assert shared.get("/nothing").status_code == 404
    error_of(shared.get("/nothing"))
    assert shared.get("/v1/chat/completions").status_code == 405
    error_of(shared.get("/v1/chat/completions"))
    response = shared.post("/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 422
    error_of(response)


def test_a_large_body_is_refused(serve):
    server = serve(limits=Limits(body_bytes=1000))
    with server.http as http:
        response = http.post("/v1/chat/completions", json={"x": "y" * 2000})
        assert response.status_code == 413
        error_of(response)

        def chunks():
            for _ in range(20):
                yield b" " * 100

        headers = {"content-type": "application/json"}
        assert http.post("/v1/chat/completions", content=chunks(), headers=headers).status_code == 413


def test_the_openai_client_raises_its_own_errors(serve):
    server = serve()
    with pytest.raises(openai.BadRequestError, match="Model Not Exist"):
        server.chat(model="nope")
    with pytest.raises(openai.UnprocessableEntityError, match="temperature"):
        server.chat(temperature=9)


class _Broken:
    """An engine that fails in the middle of an answer."""

    def __init__(self, scripted, healthy):
        self.scripted, self.healthy = scripted, healthy

    def is_healthy(self):
        return self.healthy

    def check_request(self, prompt_ids, params):
        pass

    async def stream(self, prompt_ids, params):
        async for output in self.scripted.stream(prompt_ids, params):
            yield output
            raise RuntimeError("secret /path/0x7f")


@pytest.mark.parametrize(("healthy", "status"), [(True, 500), (False, 503)])
def test_an_engine_failure_is_an_error_without_details(serve, healthy, status):
    server = serve()
    server.app.state.service.engine = _Broken(server.engine, healthy)
    response = server.post()
    assert response.status_code == status
    assert "secret" not in error_of(response)["message"]
    # A stream has sent its status already: the error is an event, which the client raises.
    with pytest.raises(openai.APIError) as caught:
        list(server.chat(stream=True))
    assert "secret" not in str(caught.value)
    with server.http as http:
        assert http.get("/health").status_code == (200 if healthy else 503)
    assert server.app.state.service.admission.in_flight == 0
