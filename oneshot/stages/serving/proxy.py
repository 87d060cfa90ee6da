"""What stands in front of the back end: key, served name, three routes and `/health`. Generates nothing itself.

Everything that is not listed here is 404, so routes of the back end that load or drop models are out of reach.
starlette and httpx2 (the client that huggingface_hub and openai bring) are imported when an application is made.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oneshot.stages.serving import fields as serve_fields
from oneshot.stages.serving.answers import Front, error, events, failure, renamed
from oneshot.stages.watching.live_server import NAMES

if TYPE_CHECKING:
    import httpx2
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

ROUTES = {"/v1/chat/completions": "chat", "/v1/completions": "text"}
"""What is forwarded, and the kind of request it takes."""
MOST_BYTES = 8 << 20
"""Of a request's body."""
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Refused(Exception):
    """A request that is not forwarded."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        """`code` and `param` as OpenAI's errors have them."""
        super().__init__(message)
        self.status, self.body = status, error(message, status, code, param)


def application(front: Front, client: httpx2.AsyncClient) -> Starlette:
    """The ASGI application; `client` reaches the back end and is closed by whoever made it."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def models(request: Request) -> Response:
        _check(front, request)
        one = {"id": front.name, "object": "model", "created": front.since, "owned_by": "oneshot"}
        return JSONResponse({"object": "list", "data": [one]}, headers=NO_STORE)

    async def health(request: Request) -> Response:
        alive = await _alive(front, client)
        told = {"status": "ok" if alive else "unavailable"}
        return JSONResponse(told, status_code=200 if alive else 503, headers=NO_STORE)

    async def refuse(request: Request, raised: Exception) -> Response:
        assert isinstance(raised, Refused)
        return JSONResponse(raised.body, status_code=raised.status, headers=NO_STORE)

    async def unknown(request: Request, raised: Exception) -> Response:
        assert isinstance(raised, HTTPException)
        try:
            _check(front, request)
        except Refused as first:
            return await refuse(request, first)
        told = error(f"{raised.detail}: this server has {', '.join(['/v1/models', *ROUTES])}", raised.status_code)
        return JSONResponse(told, status_code=raised.status_code, headers=NO_STORE)

    def forward(kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def route(request: Request) -> Response:
            _check(front, request)
            return await _forwarded(front, client, request, await _body(front, request, kind))

        return route

    found = Starlette(
        routes=[
            Route("/v1/models", models, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
            *(Route(path, forward(kind), methods=["POST"]) for path, kind in ROUTES.items()),
        ],
        exception_handlers={Refused: refuse, HTTPException: unknown},
    )
    found.router.redirect_slashes = False
    return found


def _check(front: Front, request: Request) -> None:
    """Raise `Refused` 401 without the key, 403 where no key is needed and the request names another host.

    Without a key the second keeps web pages out that point a name of their own at 127.0.0.1.
    """
    if not front.key:
        host = request.headers.get("host", "").strip().lower()
        bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if bare not in (*NAMES, front.host):
            raise Refused(403, "without --api-key this server answers under 127.0.0.1 and localhost only")
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), front.key.encode()):
        raise Refused(401, "the API key is missing or wrong", "invalid_api_key")


async def _body(front: Front, request: Request, kind: str) -> dict[str, Any]:
    """The body that the back end gets. Raises `Refused`: 400, 404 for another model, 413, 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body has to be application/json")  # what a web page may send unasked is not
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > MOST_BYTES:
            raise Refused(413, f"the body is longer than {MOST_BYTES} bytes")
    try:
        body = json.loads(bytes(raw))
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "the body is no JSON object")
    asked = body.get("model")
    if not isinstance(asked, str):
        raise Refused(400, f"'model' is missing; this server has {front.name!r}", param="model")
    if asked != front.name:
        raise Refused(404, f"there is no such model here; this server has {front.name!r}", "model_not_found", "model")
    if front.strict:
        if why := serve_fields.refused(body, kind):
            raise Refused(400, why, "unsupported_value")
        body = serve_fields.kept(body)
    return {**body, "model": front.pinned}


async def _forwarded(front: Front, client: httpx2.AsyncClient, request: Request, body: dict[str, Any]) -> Response:
    """The back end's answer, under the served name."""
    import httpx2
    from starlette.responses import JSONResponse, StreamingResponse

    asked = client.build_request("POST", front.backend + request.url.path, json=body, headers=dict(front.headers))
    try:
        answer = await client.send(asked, stream=True)
        if answer.status_code == 200 and "text/event-stream" in answer.headers.get("content-type", ""):
            return StreamingResponse(events(front, answer), media_type="text/event-stream", headers=NO_STORE)
        try:
            raw = await answer.aread()
        finally:
            await answer.aclose()
    except httpx2.HTTPError:
        raise Refused(502, "the back end did not answer; look at the output of oneshot serve") from None
    except asyncio.CancelledError:  # only a stop cancels a request; else the client would be told of a failure
        raise Refused(503, "the server is being stopped") from None
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        told = None
    if answer.status_code == 200 and isinstance(told, dict):
        return JSONResponse(renamed(front, told), headers=NO_STORE)
    status = answer.status_code if answer.status_code >= 400 else 502
    return JSONResponse(failure(front, told, status), status_code=status, headers=NO_STORE)


async def _alive(front: Front, client: httpx2.AsyncClient) -> bool:
    """Whether the back end says that it is well."""
    import httpx2

    try:
        answer = await client.get(front.backend + "/health", headers=dict(front.headers), timeout=5.0)
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200


async def serve_until_cancelled(front: Front, client: httpx2.AsyncClient, sock: socket.socket, finish: int) -> None:
    """Serve on a socket; when cancelled, answers have `finish` seconds to be finished."""
    import uvicorn

    class Server(uvicorn.Server):
        """Signals are handled by the caller."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        application(front, client),
        access_log=False,
        lifespan="off",
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=finish,
        ws="none",
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
