"""A server on a loopback port, in a thread, whose engine answers from a script."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from baleen.chat import Tokenizer, train_tokenizer
from baleen.server import Limits, ScriptedEngine, ServedModel, create_app

TEXTS = ["Add 12+34. the answer is 46", "Compute 47*83+256.", "calculate expression lookup key "] * 20


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(TEXTS, 400, Path(tmp_path_factory.mktemp("tokenizer")))


@dataclass
class LiveServer:
    """What a test needs of a running server."""

    url: str
    engine: ScriptedEngine
    tokenizer: Tokenizer
    app: Any

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", timeout=20, max_retries=0)

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def chat(self, **fields: Any) -> Any:
        request = {"model": "tiny", "messages": [{"role": "user", "content": "Add 12+34."}], **fields}
        return self.client.chat.completions.create(**request)

    def post(self, **fields: Any) -> httpx.Response:
        request = {"model": "tiny", "messages": [{"role": "user", "content": "Add 12+34."}], **fields}
        with self.http as http:
            return http.post("/v1/chat/completions", json=request)

    def last_prompt(self) -> str:
        return self.tokenizer.decode(self.engine.prompts[-1])


@pytest.fixture
def serve(tokenizer: Tokenizer) -> Iterator[Callable[..., LiveServer]]:
    """`serve(*completions, ...)` starts a server; all are stopped at the end of the test."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(
        *completions: str,
        limits: Limits | None = None,
        max_model_len: int = 4096,
        app_options: dict[str, Any] | None = None,
        **engine_options: Any,
    ) -> LiveServer:
        engine = ScriptedEngine(
            tokenizer, completions or ("= 46</think>46<｜end▁of▁sentence｜>",), **engine_options
        )
        app = create_app(engine, tokenizer, ServedModel("tiny", max_model_len), limits, **app_options or {})
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http="h11", log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        running.append((server, thread))
        return LiveServer(f"http://127.0.0.1:{listener.getsockname()[1]}", engine, tokenizer, app)

    yield start
    for server, thread in running:
        server.should_exit = server.force_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))
