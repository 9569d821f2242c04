"""Serving an application over HTTP: a socket bound before the model is loaded, and an orderly end on a signal."""

import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from baleen.config.errors import UserError
from baleen.server.limits import Limits

_KEEP_ALIVE_SECONDS = 30


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: connections are refused until the application is served on it.

    Args:
        host: an address or name of this machine.
        port: 0 for a free one.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
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


def serve_app(
    app: FastAPI, listener: socket.socket, drain_seconds: float, on_ready: Callable[[str], None]
) -> bool:
    """Serve `app` until Ctrl-C or SIGTERM.

    Args:
        app: what to serve.
        listener: of `bind`.
        drain_seconds: how long running requests may go on after the first signal. The second signal ends them.
        on_ready: called with the server's URL once it answers.

    Returns:
        Whether the end was orderly, rather than forced by a second signal.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = uvicorn.Config(
        app,
        http="h11",  # the parser that bounds the size of headers
        h11_max_incomplete_event_size=Limits.HEADER_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
    )
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    server = _Server(config, lambda: on_ready(url))
    server.run(sockets=[listener])
    return not server.force_exit


class _Server(uvicorn.Server):
    """Tells when it is ready. The second signal of any kind ends it at once."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn's own version raises the signal again at the end, which would look like a crash to a supervisor.
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
