"""One error object for every failure, as DeepSeek's and OpenAI's: message, type, param, code.

Status codes follow DeepSeek's list: 400 the request makes no sense, 401 no valid key, 422 a field has a value
that is not allowed, 429 too many requests, 500 our fault, 503 the engine does not answer.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

logger = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "overloaded_error"}
_UNION_TAGS = frozenset({"system", "user", "assistant", "tool"})


class ApiError(HTTPException):
    """A failure with its HTTP status. An HTTPException: FastAPI lets it pass wherever it is raised."""

    def __init__(
        self, status: int, message: str, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers)
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        return error_body(self.status_code, self.detail, self.param)


def error_body(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": kind}}


def error_response(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    # ASCII escapes: a message may quote input that has no UTF-8 form.
    return Response(json.dumps(body), status, headers, media_type="application/json")


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every failure with the error object, unknown paths and crashes included."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        body = error.body if isinstance(error, ApiError) else error_body(error.status_code, str(error.detail))
        return error_response(error.status_code, body, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        param = field_path(first["loc"][1:])
        return error_response(422, error_body(422, _validation_message(param, first), param or None))

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> Response:
        # The text of an unforeseen exception may hold addresses, paths or prompts: it goes to the log only.
        return error_response(
            500, error_body(500, "Internal server error; the server's log has the details.")
        )


def field_path(location: Sequence[int | str]) -> str:
    """`("messages", 0, "user", "content")` to `messages[0].content`: a union's tag is not in the request."""
    path = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part in _UNION_TAGS and position and isinstance(location[position - 1], int)):
            path += f".{part}" if path else part
    return path


def _validation_message(param: str, error: dict[str, Any]) -> str:
    given = error.get("input")
    shown = (
        f" (got {given!r})"
        if isinstance(given, int | float | bool | None) and error["type"] != "missing"
        else ""
    )
    if isinstance(given, str) and len(given) <= 80:
        shown = f" (got {given!r})"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{param or 'request body'}: {reason}{shown}"
