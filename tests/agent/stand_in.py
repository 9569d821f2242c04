"""A stand-in for an OpenAI-compatible server on a loopback port: it does what its script says, well or badly."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}


@dataclass
class Answer:
    """One HTTP answer. body: an object is sent as JSON, a string as it is. seconds: how long it takes."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def says(
    content: str | None = "hello", finish: str | None = "stop", usage: Any = USAGE, **message: Any
) -> Answer:
    """An answer of a well-behaved server; further fields go into the message."""
    said = {"role": "assistant", "content": content, **message}
    return Answer({"choices": [{"index": 0, "message": said, "finish_reason": finish}], "usage": usage})


def calls(*named: tuple[str, str], content: str = "", **message: Any) -> Answer:
    """An answer with tool calls: (name, arguments as text)."""
    made = [
        {"id": f"id{k}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for k, (name, arguments) in enumerate(named)
    ]
    return says(content, "tool_calls", tool_calls=made, **message)


def fails(status: int, message: str = "no", pause_ms: int = 1, **error: Any) -> Answer:
    """An error as DeepSeek and OpenAI write it; `pause_ms` is how long to wait before the next try."""
    return Answer({"error": {"message": message, **error}}, status, {"retry-after-ms": str(pause_ms)})


Script = Callable[[dict[str, Any]], Answer]


@dataclass
class StandIn:
    """url: with /v1. requests: the bodies of all requests so far. most_at_once: requests in flight."""

    url: str
    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0


def in_turn(answers: Sequence[Answer]) -> Script:
    """The k-th answer for the k-th request, the last one from then on."""
    lock, count = threading.Lock(), 0

    def script(request: dict[str, Any]) -> Answer:
        nonlocal count
        with lock:
            count += 1
            return answers[min(count, len(answers)) - 1]

    return script


@contextmanager
def stand_in(script: Script | Sequence[Answer]) -> Iterator[StandIn]:
    """A running server."""
    lock, flying = threading.Lock(), 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal flying
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                flying += 1
                server.most_at_once = max(server.most_at_once, flying)
                server.requests.append(request)
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = server.script(request)
            time.sleep(answer.seconds)
            with lock:
                flying -= 1
            is_text = isinstance(answer.body, str)
            data = (answer.body if is_text else json.dumps(answer.body)).encode()
            try:
                self.send_response(answer.status)
                self.send_header("content-type", "text/html" if is_text else "application/json")
                self.send_header("content-length", str(len(data)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a client that lost its patience

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = StandIn(
        f"http://127.0.0.1:{http.server_port}/v1", script if callable(script) else in_turn(script)
    )
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
