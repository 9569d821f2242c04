"""Disconnects, overload, time limits: a slot that was taken is given back."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from baleen.server import Limits

from .conftest import wait_until

LONG = "word " * 400
REQUEST = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


def open_and_leave(server, stream: bool) -> None:
    """Send a request on a bare socket, see its answer begin (if it streams), and close."""
    body = json.dumps({**REQUEST, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: server.engine.running > 0)
        if stream:
            assert connection.recv(100)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_leaves_frees_its_slot(serve, stream):
    server = serve(LONG, seconds_per_step=0.02)
    started = time.monotonic()
    open_and_leave(server, stream)
    wait_until(lambda: server.engine.running == 0, seconds=1.5)
    assert server.engine.aborted == 1
    wait_until(lambda: server.app.state.service.admission.in_flight == 0, seconds=1)
    assert time.monotonic() - started < 5  # the whole answer would have taken far longer


def test_others_are_not_disturbed_by_those_who_leave(serve):
    text = "".join(f"{i} " for i in range(60))
    server = serve(text + "</think>done<｜end▁of▁sentence｜>", seconds_per_step=0.003)
    with ThreadPoolExecutor(8) as pool:
        staying = [pool.submit(server.chat, stream=False) for _ in range(4)]
        leaving = [pool.submit(open_and_leave, server, True) for _ in range(4)]
        answers = [job.result(20).choices[0].message for job in staying]
        for job in leaving:
            job.result(20)
    assert {(a.reasoning_content, a.content) for a in answers} == {(text, "done")}
    wait_until(lambda: server.app.state.service.admission.in_flight == 0)


def test_a_full_queue_answers_429_with_retry_after(serve):
    server = serve(
        LONG, seconds_per_step=0.02, limits=Limits(max_running=1, max_queued=1, retry_after_seconds=7)
    )
    streams = [server.chat(stream=True) for _ in range(2)]
    with pytest.raises(openai.RateLimitError) as caught:
        server.chat()
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.body["type"] == "rate_limit_error"
    with server.http as http:
        assert http.get("/health").status_code == 200
        text = http.get("/metrics").text
    assert 'baleen:num_requests_running{model_name="tiny"} 1.0' in text
    assert 'baleen:num_requests_waiting{model_name="tiny"} 1.0' in text
    for stream in streams:
        stream.close()
    wait_until(lambda: server.app.state.service.admission.in_flight == 0)


def test_choices_are_charged_before_they_run(serve):
    server = serve(limits=Limits(max_running=2, max_queued=1))
    server.app.state.service.admission.enter(1)
    with pytest.raises(openai.RateLimitError):
        server.chat(n=3)
    server.app.state.service.admission.leave(1)
    assert server.engine.prompts == []
    assert len(server.chat(n=3).choices) == 3


def test_more_choices_than_the_server_ever_makes_are_no_matter_of_waiting(serve):
    server = serve(limits=Limits(max_running=2, max_queued=1))
    with pytest.raises(openai.BadRequestError, match="n=4: this server makes 3 answers at most"):
        server.chat(n=4)
    assert server.app.state.service.admission.in_flight == 0


def test_a_request_that_takes_too_long_is_stopped(serve):
    server = serve(LONG, seconds_per_step=0.02, limits=Limits(request_seconds=0.2))
    with pytest.raises(openai.InternalServerError, match="took longer than 0.2 s") as caught:
        server.chat()
    assert caught.value.status_code == 503
    wait_until(lambda: server.engine.running == 0)


def test_a_silent_stream_sends_comments(serve):
    server = serve(
        "</think>x<｜end▁of▁sentence｜>", seconds_per_step=0.3, limits=Limits(keep_alive_seconds=0.1)
    )
    with (
        server.http as http,
        http.stream("POST", "/v1/chat/completions", json={**REQUEST, "stream": True}) as r,
    ):
        lines = list(r.iter_lines())
    assert ": keep-alive" in lines
    assert lines[-2] == "data: [DONE]"
    assert r.headers["content-type"].startswith("text/event-stream")


def test_a_refused_request_gives_its_place_back(serve):
    server = serve(max_model_len=50)
    with pytest.raises(openai.BadRequestError, match="maximum context length is 50 tokens"):
        server.chat(messages=[{"role": "user", "content": "x" * 500}])
    assert server.app.state.service.admission.in_flight == 0


def test_health_answers_while_answers_are_made(serve):
    server = serve(LONG, seconds_per_step=0.005)
    stop = threading.Event()
    with ThreadPoolExecutor(6) as pool:

        def consume():
            for _ in server.chat(stream=True):
                if stop.is_set():
                    return

        jobs = [pool.submit(consume) for _ in range(6)]
        wait_until(lambda: server.engine.running == 6)
        with server.http as http:
            times = []
            for _ in range(20):
                started = time.monotonic()
                assert http.get("/health").json() == {"status": "ok"}
                times.append(time.monotonic() - started)
        stop.set()
        for job in jobs:
            job.result(10)
    assert sorted(times)[10] < 0.2
