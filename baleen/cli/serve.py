"""`baleen serve MODEL`: serve a model over HTTP."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from baleen.cli.loading import ComputeOptions
from baleen.cli.options import require_at_least, require_positive, with_model_positional
from baleen.config import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from baleen.server import Limits

API_KEY_VARIABLE = "BALEEN_API_KEY"


@dataclass(frozen=True)
class ServeOptions(ComputeOptions):
    """Serve a model over HTTP: chat completions for DeepSeek's and OpenAI's clients, and a web page to chat on."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """Model folder (config.json, safetensors, tokenizer.json) or the folder of a finished run."""

    host: str = "127.0.0.1"
    """Address to listen on. One that other machines can reach needs an API key."""

    port: int = 8000
    """Port to listen on; 0 takes a free one and prints it."""

    api_key: str | None = None
    """Key that clients must send. Prefer setting BALEEN_API_KEY: other users can read the command line."""

    served_name: Annotated[str | None, tyro.conf.arg(aliases=["--served-model-name"])] = None
    """Model name in the API; the folder's name if not given."""

    thinking: bool = True
    """Whether the model thinks when a request does not say."""

    max_running: Annotated[int, tyro.conf.arg(aliases=["--max-num-seqs"])] = 16
    """Answers generated at the same time."""

    max_queued: int = 64
    """Answers that may wait for their turn; further requests get status 429."""

    max_model_len: int | None = None
    """Longest prompt plus answer, in tokens; the model's own context if not given."""

    request_seconds: float = 600.0
    """Longest time one request may take."""

    drain_seconds: float = 30.0
    """How long running requests may go on after the first Ctrl-C or SIGTERM; a second one ends them."""

    show_limits: bool = False
    """Print all request limits as JSON and exit."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen serve`. Returns 0 after an orderly end, 1 after a forced one. Raises UserError, OSError."""
    options = tyro.cli(ServeOptions, args=with_model_positional(argv), prog="baleen serve")
    _check(options)
    from baleen.server import Limits

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
    from baleen.server.auth import is_loopback_name
    from baleen.server.http_server import bind, serve_app

    if not api_key and not is_loopback_name(options.host):
        raise UsageError(
            f"--host {options.host} can be reached from other machines; set {API_KEY_VARIABLE} so "
            "that only those who know the key are served, or listen on 127.0.0.1"
        )
    # Before the model is loaded: a port in use is noticed in a moment, a model takes a while.
    with bind(options.host, options.port) as listener:
        app = _application(options, options.model, limits, api_key or None)
        return 0 if serve_app(app, listener, options.drain_seconds, _tell_ready) else 1


def _check(options: ServeOptions) -> None:
    require_positive(options, "max_running", "request_seconds", "drain_seconds", "threads")
    require_at_least(0, options, "max_queued")
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port is {options.port}; it must be from 0 to 65535")


def _application(options: ServeOptions, folder: Path, limits: "Limits", api_key: str | None) -> "FastAPI":
    from baleen.cli.loading import load
    from baleen.cost.prices import price
    from baleen.engine import AsyncEngine
    from baleen.environments.toy.world import SYSTEM_MESSAGE
    from baleen.server import EngineAdapter, Prices, ServedModel, create_app

    loaded = load(folder, options.max_running, options.max_model_len, options)
    mode = "thinking" if options.thinking else "chat"
    hosted = price()
    return create_app(
        EngineAdapter(AsyncEngine(loaded.engine, in_thread=True)),
        loaded.tokenizer,
        ServedModel(options.served_name or loaded.name, loaded.max_model_len, mode),
        limits,
        api_key=api_key,
        prices=Prices(hosted.model, str(hosted.as_of), hosted.input, hosted.cached, hosted.output),
        page_tools=tuple(SYSTEM_MESSAGE["tools"]),
    )


def _tell_ready(url: str) -> None:
    print(f"baleen: ready at {url} (API under /v1, Ctrl-C stops)", flush=True)
