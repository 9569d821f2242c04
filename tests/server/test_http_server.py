"""Serving over HTTP: a port in use is refused in words; the first signal drains, the second one ends."""

import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress

import pytest

from baleen.config import UserError
from baleen.server.http_server import bind

PROGRAM = """
import asyncio, sys
from fastapi import FastAPI
from baleen.server.http_server import bind, serve_app

app = FastAPI()

@app.get("/")
async def answer(seconds: float = 0.0):
    print("asked", flush=True)
    await asyncio.sleep(seconds)
    return "well"

with bind("127.0.0.1", 0) as listener:
    sys.exit(0 if serve_app(app, listener, 30.0, lambda url: print(url, flush=True)) else 1)
"""


def ask(url: str, answers: list[bytes]) -> None:
    with suppress(OSError), urllib.request.urlopen(url, timeout=30) as response:
        answers.append(response.read())


@pytest.mark.parametrize(
    ("signals", "seconds", "code", "answers"), [(1, 1.0, 0, [b'"well"']), (2, 20.0, 1, [])]
)
def test_the_end_of_a_server(signals: int, seconds: float, code: int, answers: list[bytes]) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        got: list[bytes] = []
        client = threading.Thread(target=ask, args=(f"{url}/?seconds={seconds}", got))
        client.start()
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        if signals == 2:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.send_signal(signal.SIGINT)
        assert process.wait(15) == code
        client.join()
        assert got == answers
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_and_an_address_of_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}: .*--port"):
            bind("127.0.0.1", port)
    with pytest.raises(UserError, match="--host 192.0.2.1"):
        bind("192.0.2.1:", 0)
