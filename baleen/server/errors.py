"""Failures as every dialect reports them: a status, a message, and the request field at fault.

Status codes follow DeepSeek's list: 400 the request makes no sense, 401 no valid API key, 422 a field has a value
that is not allowed, 429 too many requests, 500 a fault of the server, 503 the engine does not answer.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

logger = logging.getLogger(__name__)

# The text of an unexpected exception may contain addresses, paths or prompts, so it goes to the log only.
INTERNAL_ERROR = "Internal server error; the server's log has the details."
_UNION_TAGS = frozenset({"system", "user", "assistant", "tool"})  # the union of messages is tagged by role


class ErrorFormat(Protocol):
    """How a dialect writes an error: the JSON object for a status, a message and the field at fault, if any."""

    def __call__(self, status: int, message: str, param: str | None = None) -> dict[str, Any]: ...


class ApiError(HTTPException):
    """A failure with its HTTP status. FastAPI lets an HTTPException pass wherever it is raised."""

    def __init__(
        self, status: int, message: str, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Describe a failure.

        Args:
            status: HTTP status code.
            message: What is wrong and what the client can do about it.
            param: Path of the request field at fault, for example `messages[0].content`.
            headers: Extra response headers.
        """
        super().__init__(status, message, headers)
        self.param = param


def error_response(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    # ASCII escapes, because a message may quote input that has no UTF-8 form.
    return Response(json.dumps(body), status, headers, media_type="application/json")


def install_error_handlers(app: FastAPI, error_format: ErrorFormat) -> None:
    """Make `app` report every failure in one format, unknown paths and crashes included."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        param = error.param if isinstance(error, ApiError) else None
        body = error_format(error.status_code, error.detail, param)
        return error_response(error.status_code, body, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        param = field_path(first["loc"][1:])
        return error_response(422, error_format(422, _validation_message(param, first), param or None))

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> Response:
        return error_response(500, error_format(500, INTERNAL_ERROR))


def field_path(location: Sequence[int | str]) -> str:
    """Turn `("messages", 0, "user", "content")` into `messages[0].content`: a union's tag is not in the request."""
    path = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part in _UNION_TAGS and position and isinstance(location[position - 1], int)):
            path += f".{part}" if path else part
    return path


def _validation_message(param: str, error: dict[str, Any]) -> str:
    given = error.get("input")
    shown = ""
    is_short_text = isinstance(given, str) and len(given) <= 80
    is_scalar = isinstance(given, int | float | bool | None) and error["type"] != "missing"
    if is_short_text or is_scalar:
        shown = f" (got {given!r})"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{param or 'request body'}: {reason}{shown}"
