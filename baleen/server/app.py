"""The application: every route, and what stands before and around them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from baleen import __version__
from baleen.chat import Tokenizer
from baleen.server.auth import AuthMiddleware
from baleen.server.engine_adapter import ServingEngine
from baleen.server.errors import ApiError, install_error_handlers
from baleen.server.limits import Limits
from baleen.server.metrics import CONTENT_TYPE, Metrics
from baleen.server.openai import chat_router, error_body, models_router
from baleen.server.openai.responses import ErrorBody
from baleen.server.served_model import ServedModel
from baleen.server.service import ChatService

_PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars per million tokens, for the page's cost line: whose prices, and of which day."""

    name: str
    date: str
    input: float
    cached: float
    output: float


def create_app(
    engine: ServingEngine,
    tokenizer: Tokenizer,
    model: ServedModel,
    limits: Limits | None = None,
    api_key: str | None = None,
    prices: Prices | None = None,
    page_tools: tuple[dict[str, Any], ...] = (),
) -> FastAPI:
    """The server for one engine.

    api_key: when given, everything but health and the page's own files wants it; when not, only requests that
        name localhost are answered.
    page_tools: tool specifications the page can offer the model.
    """
    limits = limits or Limits()
    metrics = Metrics(model.name)
    service = ChatService(engine, tokenizer, model, limits, metrics)
    app = FastAPI(
        title="Baleen",
        version=__version__,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.service = service
    app.add_middleware(
        AuthMiddleware,
        api_key=api_key,
        body_bytes=limits.body_bytes,
        error_format=error_body,
        on_error=metrics.failed,
    )
    install_error_handlers(app, error_body)
    app.include_router(chat_router(service))
    app.include_router(models_router(model))
    _add_operations(app, service)
    _add_page(app, model, prices, page_tools)
    return app


def _add_operations(app: FastAPI, service: ChatService) -> None:
    @app.get("/health", responses={503: {"model": ErrorBody}})
    async def health() -> dict[str, str]:
        """200 while the engine makes progress or has nothing to do, 503 when it died or hangs."""
        if not service.engine.is_healthy():
            raise ApiError(503, "The engine does not answer.")
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus text format."""
        service.metrics.running.set(service.admission.running)
        service.metrics.waiting.set(service.admission.waiting)
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)


def _add_page(
    app: FastAPI, model: ServedModel, prices: Prices | None, page_tools: tuple[dict[str, Any], ...]
) -> None:
    setup = {
        "model": model.name,
        "thinking": model.default_mode == "thinking",
        "prices": asdict(prices) if prices else None,
        "tools": list(page_tools),
    }

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html")

    @app.get("/setup.json", include_in_schema=False)
    async def page_setup() -> dict[str, Any]:
        return setup

    app.mount("/page", StaticFiles(directory=_PAGE), name="page")
