"""How the back end's answers reach a client: under the served name, and errors as the OpenAI interface writes them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the proxy knows."""

    backend: str
    """Where the back end listens: `http://127.0.0.1:41234`."""
    name: str
    """The model, to clients."""
    pinned: str
    """The model, to the back end."""
    key: str = ""
    """Without one everybody who reaches the port may ask, under a name of this machine only."""
    strict: bool = True
    """The back end leaves fields aside: see `serve_fields`."""
    host: str = "127.0.0.1"
    """Where the proxy listens."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent to the back end."""
    since: int = field(default_factory=lambda: int(time.time()))


def error(message: str, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """An error as the OpenAI interface writes it."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def failure(front: Front, told: Any, status: int) -> dict[str, Any]:
    """The back end's error as OpenAI writes it, without the place of the model."""
    said = told.get("error", told.get("detail", "")) if isinstance(told, dict) else ""
    said = said.get("message", "") if isinstance(said, dict) else said
    text = str(said or "the back end failed on this request; look at the output of oneshot serve")
    return error(text.replace(front.pinned, front.name), status)


def renamed(front: Front, told: dict[str, Any]) -> dict[str, Any]:
    """An answer, or a piece of one, under the served name."""
    return {**told, "model": front.name} if "model" in told else told


async def events(front: Front, answer: httpx2.Response) -> AsyncIterator[bytes]:
    """The stream line by line, each piece under the served name; ended by [DONE] as clients expect it.

    Split at line feeds alone: JSON writes those as escapes, and may hold every other line separator as it is.
    """
    import httpx2

    rest, done = b"", False
    try:
        async for piece in answer.aiter_bytes():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                    done = done or data == b"[DONE]"
                    yield _event(front, data)
    except httpx2.HTTPError:
        yield _data(error("the back end broke off; look at the output of oneshot serve", 502))
    finally:
        await answer.aclose()  # tells the back end that nobody listens any more
    if not done:
        yield DONE


def _event(front: Front, data: bytes) -> bytes:
    if data == b"[DONE]":
        return DONE
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):  # transformers puts an error's text between quotes as it is
        return _data(failure(front, None, 500))
    if not isinstance(told, dict) or "error" in told:
        return _data(failure(front, told, 500))
    return _data(renamed(front, told))


def _data(told: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(told).encode() + b"\n\n"
