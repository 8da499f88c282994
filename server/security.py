"""Who is let in, and the headers that keep browsers from being used against the service."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import RefusalError, UnauthorizedError
from .keys import KeyRing
from .problems import problem_of, problem_response

# What an orchestrator, a load balancer or a person who has no key yet has to see.
OPEN_PATHS = frozenset(
    {"/", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/openapi.json"}
)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Middleware that adds security headers where an answer has not set its own.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_secured)


class KeyCheck:
    """Middleware that lets in only who has a key, and not more often than the key allows.

    The key is sent as ``Authorization: Bearer …`` or ``X-API-Key: …``.

    Args:
        app: what answers.
        keys: the keys.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            try:
                await self._admit(scope)
            except RefusalError as error:
                problem = problem_of(error)
                assert problem is not None, "every refusal can be told"
                await problem_response(problem, scope["path"])(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        secret = _secret(Headers(scope=scope))
        key = self.keys.find(secret)
        if key is None and secret:
            raise UnauthorizedError("this key is not known.")
        if key is None:
            raise UnauthorizedError("a key is needed, as in Authorization: Bearer nbdt_….")
        scope.setdefault("state", {}).update(key=key.name, admin=key.admin)
        await self.keys.count(key)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith("/page/")


def _secret(headers: Headers) -> str:
    scheme, _, secret = headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else headers.get("X-API-Key", "")
