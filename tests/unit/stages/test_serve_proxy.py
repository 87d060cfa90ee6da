"""The proxy in front of a back end that is made up: who may ask, what is forwarded, how answers come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("starlette")

from oneshot.stages.serving.answers import Front  # noqa: E402
from oneshot.stages.serving.proxy import MOST_BYTES, application  # noqa: E402

CHAT = {"model": "mine", "messages": [{"role": "user", "content": "2 + 3?"}]}
ANSWER = {"id": "1", "model": "/tmp/x@main", "choices": [{"message": {"content": "5"}}]}
Reply = Callable[[Any], Any]


def front(**changed: Any) -> Front:
    options: dict[str, Any] = {"backend": "http://127.0.0.1:1", "name": "mine", "pinned": "/tmp/x", "since": 7}
    return Front(**(options | changed))


def asked(
    method: str, path: str, *, reply: Reply | None = None, of: Front | None = None, host: str = "127.0.0.1:8000",
    **options: Any,
) -> tuple[Any, list[Any]]:  # fmt: skip
    """(the proxy's answer, the requests that reached the back end)."""
    came: list[Any] = []

    async def respond(request: Any) -> Any:
        came.append(request)
        return (reply or (lambda _: httpx2.Response(200, json=ANSWER)))(request)

    async def run() -> Any:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond)) as back:
            transport = httpx2.ASGITransport(application(of or front(), back))
            async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **options)

    return asyncio.run(run()), came


def code(*words: Any, **options: Any) -> tuple[int, str, int]:
    """(status, the error's type, requests that reached the back end)."""
    answer, came = asked(*words, **options)
    return answer.status_code, answer.json()["error"]["type"], len(came)


def test_the_models_are_answered_here() -> None:
    answer, came = asked("GET", "/v1/models")
    assert answer.json() == {
        "object": "list", "data": [{"id": "mine", "object": "model", "created": 7, "owned_by": "oneshot"}]
    }  # fmt: skip
    assert came == []


def test_an_answer_comes_under_the_served_name() -> None:
    answer, (request,) = asked("POST", "/v1/chat/completions", json={**CHAT, "temperature": 0, "user": "me", "n": 1})
    assert answer.status_code == 200
    assert answer.json() == {**ANSWER, "model": "mine"}
    assert str(request.url) == "http://127.0.0.1:1/v1/chat/completions"
    assert json.loads(request.content) == {"model": "/tmp/x", "messages": CHAT["messages"], "temperature": 0}
    assert "authorization" not in request.headers


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "k"}])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/reset"])
def test_nobody_asks_without_the_key(header: Mapping[str, str], path: str) -> None:
    answer, came = asked("POST", path, of=front(key="k"), headers=header, json=CHAT)
    if path != "/v1/models":
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    else:
        assert answer.status_code in (401, 405)
    assert came == []


def test_the_key_stays_here_and_the_back_ends_own_is_sent() -> None:
    with_key = front(key="k", headers={"Authorization": "Bearer inner"})
    answer, (request,) = asked(
        "POST", "/v1/chat/completions", of=with_key, headers={"Authorization": "Bearer k"}, json=CHAT, host="any.name"
    )
    assert answer.status_code == 200
    assert request.headers["authorization"] == "Bearer inner"


def test_without_a_key_only_names_of_this_machine() -> None:
    assert code("GET", "/v1/models", host="evil.example") == (403, "permission_error", 0)
    assert asked("GET", "/v1/models", host="localhost:1")[0].status_code == 200
    assert asked("GET", "/v1/models", host="127.0.0.2", of=front(host="127.0.0.2"))[0].status_code == 200


PATHS = (
    "/reset", "/load_model", "/v1/responses", "/v1/systemone", "/v1/audio/transcriptions", "/docs", "/openapi.json",
    "/", "/v1/models/", "/v1/chat/completions/", "//v1/models", "/V1/models", "/v1/chat/completions/../../../reset",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_everything_else_is_404(path: str, method: str) -> None:
    assert code(method, path, json=CHAT) == (404, "not_found_error", 0)


def test_what_is_refused_does_not_reach_the_back_end() -> None:
    def post(body: Any = None, path: str = "/v1/chat/completions", **options: Any) -> tuple[int, str, int]:
        return code("POST", path, **({"json": body} if body is not None else {}), **options)

    bad = (400, "invalid_request_error", 0)
    assert post({**CHAT, "model": "other"}) == (404, "not_found_error", 0)
    assert post({"messages": CHAT["messages"]}) == bad
    assert post([CHAT]) == bad
    assert post(content=b"{", headers={"Content-Type": "application/json"}) == bad
    assert post(content=b"[" * 100_000, headers={"Content-Type": "application/json"}) == bad
    assert post(content=json.dumps(CHAT), headers={"Content-Type": "text/plain"})[0] == 415
    long = b" " * (MOST_BYTES + 1)
    assert post(content=long, headers={"Content-Type": "application/json"})[0] == 413
    assert post({**CHAT, "n": 2}) == bad
    assert post({**CHAT, "generation_config": "{}"}) == bad
    assert post({"model": "mine", "prompt": ["a", "b"]}, path="/v1/completions") == bad


def test_a_back_end_that_does_what_it_is_asked_gets_every_field() -> None:
    _, (request,) = asked("POST", "/v1/chat/completions", of=front(strict=False), json={**CHAT, "n": 2})
    assert json.loads(request.content) == {**CHAT, "n": 2, "model": "/tmp/x"}


class Pieces(httpx2.AsyncByteStream):  # type: ignore[misc, name-defined]
    """A body that comes in these pieces, and may break off."""

    def __init__(self, *pieces: bytes, breaks: bool = False) -> None:
        self.pieces, self.breaks = pieces, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.breaks:
            raise httpx2.ReadError("gone")


def streamed(*pieces: bytes, breaks: bool = False) -> list[str]:
    """What a client gets of such a stream."""
    head = {"content-type": "text/event-stream; charset=utf-8"}
    answer, _ = asked(
        "POST", "/v1/chat/completions", json={**CHAT, "stream": True},
        reply=lambda _: httpx2.Response(200, headers=head, stream=Pieces(*pieces, breaks=breaks)),
    )  # fmt: skip
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [line.removeprefix("data: ") for line in answer.content.decode().split("\n\n") if line]


def test_a_stream_is_passed_on_however_it_is_cut() -> None:
    whole = 'data: {"model": "/tmp/x@main", "text": "a\u2028b\\n"}\n\ndata: {"model": "/tmp/x@main"}\n\n'.encode()
    for size in (1, 7, len(whole)):
        *found, end = streamed(*(whole[i : i + size] for i in range(0, len(whole), size)))
        assert [json.loads(each) for each in found] == [{"model": "mine", "text": "a\u2028b\n"}, {"model": "mine"}]
        assert end == "[DONE]"
    assert streamed(b"data: [DONE]\n\n") == ["[DONE]"]


def test_errors_inside_a_stream_are_errors_to_the_client() -> None:
    broken, end = streamed(b'data: {"error": "it said "no""}\n\n')
    assert json.loads(broken)["error"]["type"] == "server_error"
    assert end == "[DONE]"
    told, _ = streamed(b'data: {"error": "no /tmp/x"}\n\n')
    assert json.loads(told)["error"]["message"] == "no mine"
    first, last, _ = streamed(b'data: {"model": "a"}\n\n', breaks=True)
    assert json.loads(first) == {"model": "mine"}
    assert "broke off" in json.loads(last)["error"]["message"]


def test_errors_of_the_back_end_are_written_as_openai_does() -> None:
    def failed(reply: Reply) -> tuple[int, str]:
        answer, _ = asked("POST", "/v1/chat/completions", json=CHAT, reply=reply)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        return answer.status_code, answer.json()["error"]["message"]

    assert failed(lambda _: httpx2.Response(422, json={"detail": "bad at /tmp/x"})) == (422, "bad at mine")
    assert failed(lambda _: httpx2.Response(400, json={"error": {"message": "no"}})) == (400, "no")
    assert failed(lambda _: httpx2.Response(500, text="Internal Server Error"))[0] == 500
    assert failed(lambda _: httpx2.Response(200, text="<html>"))[0] == 502
    assert failed(lambda _: httpx2.Response(307, headers={"Location": "http://elsewhere"}))[0] == 502

    def gone(_: Any) -> Any:
        raise httpx2.ConnectError("refused")

    assert failed(gone)[0] == 502


def test_a_request_that_a_stop_cuts_off_is_503() -> None:
    def cancelled(_: Any) -> Any:
        raise asyncio.CancelledError

    assert code("POST", "/v1/chat/completions", json=CHAT, reply=cancelled)[:2] == (503, "server_error")


def test_health_is_the_back_ends_and_needs_no_key() -> None:
    assert asked("GET", "/health", of=front(key="k"))[0].json() == {"status": "ok"}
    answer, _ = asked("GET", "/health", reply=lambda _: httpx2.Response(503))
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
