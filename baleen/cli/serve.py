"""`baleen serve MODEL`: the OpenAI-style HTTP API of `baleen.server` on this machine."""

import json
import logging
import os
import signal
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import tyro

from baleen.cli.loading import ComputeOptions
from baleen.cli.options import with_model_positional
from baleen.config import UsageError, UserError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from baleen.server import Limits

API_KEY_VARIABLE = "BALEEN_API_KEY"


@dataclass(frozen=True)
class ServeOptions(ComputeOptions):
    """Serve a model over HTTP: chat completions as DeepSeek's and OpenAI's clients know them, and a page."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """Model folder (config.json, safetensors, tokenizer.json) or the folder of a finished run."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine only with an API key."""

    port: int = 8000
    """Port to listen on; 0 takes a free one and prints it."""

    api_key: str | None = None
    """Key that clients must send. Better set BALEEN_API_KEY: other users can read a command line."""

    served_name: Annotated[str | None, tyro.conf.arg(aliases=["--served-model-name"])] = None
    """Model name in the API; the folder's name if not given."""

    thinking: bool = True
    """Whether the served name thinks when a request does not say."""

    max_running: Annotated[int, tyro.conf.arg(aliases=["--max-num-seqs"])] = 16
    """Answers made at once."""

    max_queued: int = 64
    """Answers that may wait behind them; more get status 429."""

    max_model_len: int | None = None
    """Longest prompt plus answer, in tokens; the model's own context if not given."""

    request_seconds: float = 600.0
    """Longest time one request may take."""

    drain_seconds: float = 30.0
    """How long running requests may go on after the first Ctrl-C or SIGTERM; the second ends them."""

    show_limits: bool = False
    """Print all request limits as JSON and exit."""


def main(argv: Sequence[str]) -> int:
    """Run the command. Returns 0 after an orderly end, 1 after a forced one. Raises UserError, OSError."""
    options = tyro.cli(ServeOptions, args=with_model_positional(argv), prog="baleen serve")
    from baleen.server import Limits

    _check(options)
    limits = Limits(
        max_running=options.max_running,
        max_queued=options.max_queued,
        request_seconds=options.request_seconds,
    )
    if options.show_limits:
        print(json.dumps(limits.describe(), indent=2))
        return 0
    if options.model is None:
        raise UsageError("MODEL is missing; give a model folder or a run folder: baleen serve runs/NAME")
    api_key = options.api_key if options.api_key is not None else os.environ.get(API_KEY_VARIABLE)
    if not api_key and not _is_loopback(options.host):
        raise UsageError(
            f"--host {options.host} can be reached from other machines; set {API_KEY_VARIABLE} so "
            "that only those who know the key are served, or listen on 127.0.0.1"
        )
    # Before the model is loaded: a port in use is known in a moment, a model takes a while.
    with _bind(options.host, options.port) as listener:
        app = _application(options, limits, api_key or None)
        return _run(app, listener, options)


def _check(options: ServeOptions) -> None:
    for name in ("max_running", "request_seconds", "drain_seconds", "threads"):
        if getattr(options, name) <= 0:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be above 0")
    if options.max_queued < 0:
        raise UsageError(f"--max-queued is {options.max_queued}; it must be 0 or more")
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port is {options.port}; it must be from 0 to 65535")


def _is_loopback(host: str) -> bool:
    from baleen.server.auth import is_loopback_name

    return is_loopback_name(host)


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: until the model is loaded connections are refused."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise UserError(f"--host {host} is not an address of this machine: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UserError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another port with --port "
            "(0 takes a free one), or stop the program that uses this one"
        ) from error
    return listener


def _application(options: ServeOptions, limits: "Limits", api_key: str | None) -> "FastAPI":
    from baleen.cli.loading import load, page_prices
    from baleen.engine import AsyncEngine
    from baleen.environments.toy.world import SYSTEM_MESSAGE
    from baleen.server import EngineAdapter, ServedModel, create_app

    assert options.model is not None
    loaded = load(options.model, options.max_running, options.max_model_len, options)
    model = ServedModel(
        options.served_name or loaded.name, loaded.max_model_len, "thinking" if options.thinking else "chat"
    )
    return create_app(
        EngineAdapter(AsyncEngine(loaded.engine, in_thread=True)),
        loaded.tokenizer,
        model,
        limits,
        api_key=api_key,
        prices=page_prices(),
        page_tools=tuple(SYSTEM_MESSAGE["tools"]),
    )


def _run(app: "FastAPI", listener: socket.socket, options: ServeOptions) -> int:
    import uvicorn

    from baleen.server import Limits

    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host

    class Server(uvicorn.Server):
        """Says when it is ready; the second signal of any kind ends it; a drained end is exit code 0."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(f"baleen: ready at http://{shown}:{port} (API under /v1, Ctrl-C stops)", flush=True)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            # uvicorn's own raises the signal again at the end, which would look like a crash to a supervisor.
            before = {s: signal.signal(s, self.handle_exit) for s in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = uvicorn.Config(
        app,
        http="h11",  # the parser that bounds the size of headers
        h11_max_incomplete_event_size=Limits.HEADER_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, round(options.drain_seconds)),
    )
    server = Server(config)
    server.run(sockets=[listener])
    return 1 if server.force_exit else 0
