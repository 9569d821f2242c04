"""Reading a JSON body without trusting its shape: depth, size and numbers are bounded before validation."""

import json
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Receive, Scope

from baleen.server.errors import ApiError
from baleen.server.limits import Limits


def parse_json(data: bytes) -> Any:
    """The value in `data`. Raises ApiError (400) for what is no JSON, too deep, too large or not finite."""
    try:
        value = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise ApiError(400, f"The request body is not valid JSON: {reason}") from None
    _check_shape(value)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ApiError(
            422, "The request body holds a lone surrogate; send whole Unicode characters."
        ) from None
    return value


class CheckedJsonRoute(APIRoute):
    """A route whose body is read by `parse_json`."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            return await handle(_CheckedRequest(request.scope, request.receive))

        return checked


class _CheckedRequest(Request):
    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)

    async def json(self) -> Any:
        return parse_json(await self.body())


def _finite(text: str) -> float:
    number = float(text)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def _too_deep() -> ApiError:
    return ApiError(400, f"The request body is nested deeper than {Limits.JSON_DEPTH} levels; flatten it.")


def _check_shape(value: Any) -> None:
    items = 0
    level = [value]
    for _ in range(Limits.JSON_DEPTH + 1):
        inner: list[Any] = []
        for entry in level:
            if isinstance(entry, dict):
                inner.extend(entry.values())
            elif isinstance(entry, list):
                inner.extend(entry)
        items += len(inner)
        if items > Limits.JSON_ITEMS:
            raise ApiError(400, f"The request body holds more than {Limits.JSON_ITEMS} values; send fewer.")
        if not inner:
            return
        level = inner
    raise _too_deep()
