"""What every request passes before a route sees it: host check, API key, body size. Adds the security headers."""

import hashlib
import hmac
from collections.abc import Callable
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from baleen.server.errors import ApiError, ErrorFormat, error_response

# Health is for load balancers, and the page asks for the key itself. Everything else needs it, unknown paths too.
_PUBLIC = frozenset({"/", "/health", "/page"})
_PUBLIC_FOLDER = "/page/"

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class AuthMiddleware:
    """ASGI middleware that refuses requests without the API key, and bodies that are too large.

    Without a key, it answers only requests addressed to a loopback name. This way no web page can reach a server on
    the user's machine through a host name that points there (DNS rebinding).
    """

    def __init__(
        self,
        app: ASGIApp,
        api_key: str | None,
        body_bytes: int,
        error_format: ErrorFormat,
        on_error: Callable[[int], None],
    ) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            api_key: The key that clients must send, None for no key.
            body_bytes: Largest request body.
            error_format: How refusals are written.
            on_error: Called with the status of every response of 400 or above.
        """
        self._app = app
        self._body_bytes = body_bytes
        self._error_format = error_format
        self._on_error = on_error
        self._digest = _digest(api_key) if api_key is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    self._on_error(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope) or self._too_large(scope)
        if refusal is not None:
            status, text = refusal
            headers = {"www-authenticate": "Bearer"} if status == 401 else None
            response = error_response(status, self._error_format(status, text), headers)
            await response(scope, receive, send_with_headers)
            return
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes:  # a chunked body announces no length
                raise ApiError(413, f"The request body is larger than {self._body_bytes} bytes; send less.")
            return message

        await self._app(scope, limited_receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if self._digest is None:
            if not is_loopback_name(headers.get("host", "")):
                return 403, "This server has no API key and answers to localhost only; ask for 127.0.0.1."
            return None
        if _is_public(scope):
            return None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(key.strip()), self._digest):
            return None
        return 401, "Authentication Fails: send the server's API key as `Authorization: Bearer KEY`."

    def _too_large(self, scope: Scope) -> tuple[int, str] | None:
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > self._body_bytes:
            return 413, f"The request body has {length} bytes, the limit is {self._body_bytes}; send less."
        return None


def is_loopback_name(host: str) -> bool:
    """Whether a Host header (port or not) names this machine's loopback interface."""
    name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_public(scope: Scope) -> bool:
    path = scope["path"]
    reads = scope["method"] in ("GET", "HEAD")
    return reads and (path in _PUBLIC or (path.startswith(_PUBLIC_FOLDER) and ".." not in path))


def _digest(key: str) -> bytes:
    # Digests have one length, so comparing them tells nothing about the key's.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
