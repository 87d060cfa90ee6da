"""`oneshot serve RUN|MODEL`: an OpenAI-compatible endpoint, by a back end that people already run.

The model is served by `vllm serve` or `transformers serve` on a port of this machine alone; clients talk to the proxy
in front of it (`serve_proxy`). At the start the back end answers one prompt, compared with the project's own sampler.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from oneshot.config.request import Request
from oneshot.errors import MachineError, Stopped, UsageError
from oneshot.report.text import visible
from oneshot.stages.serving import backend as backends
from oneshot.stages.serving.options import Options, by_hand, listening, read, settled, taken
from oneshot.stages.serving.target import find
from oneshot.stages.signals import INTERRUPTED, handled_by

if TYPE_CHECKING:
    import httpx2

    from oneshot.stages.serving.answers import Front
    from oneshot.stages.serving.model import Served

FINISH = 1
"""Seconds that answers have to be finished after a stop signal."""


def main(request: Request) -> int:
    """Serve until somebody ends it; prints the address once it answers.

    Raises:
        UsageError: E103 a flag or a port that cannot be used, E104 or E106 no such model or run, E105 an open address
            without a key, or `--offline`.
        MachineError: E204 a package is missing; E304 the back end ended. Else as `serve_model.prepare`.
        DataError: E304 the model cannot be used.
        Stopped: at the end, with 130 after Ctrl-C and 0 after SIGTERM.
    """
    if request.offline:
        raise UsageError(
            "a server listens on a socket, and --offline opens none (the back end itself opens no connection).",
            code="E105",
            tries=(f"oneshot serve {request.positional[0]}",),
        )
    target = find(request)
    options = read(request, target)
    kind = backends.chosen()
    if request.verb_flags.get("print"):
        print("\n".join(by_hand(target, options, kind)))
        return 0

    def say(text: str) -> None:
        if not request.quiet:
            print(visible(text), file=sys.stderr, flush=True)

    with _stops(), listening(options, request) as sock, tempfile.TemporaryDirectory(prefix="oneshot-serve-") as room:
        from oneshot.model.policy import set_threads
        from oneshot.stages.serving.model import prepare

        set_threads(request.config.model.threads)
        say(f"loading {target.source} ...")
        served = prepare(target, Path(room), dtype=settled(options.dtype), say=say)
        came = asyncio.run(_serve(served, options, kind, sock, request, say))
    raise Stopped("the server and its back end are stopped.", exit_code=INTERRUPTED if came == signal.SIGINT else 0)


@contextmanager
def _stops() -> Iterator[None]:
    """SIGTERM ends what is going on as Ctrl-C does, so that folders and processes are cleared away."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped("stopped before the server was up.", exit_code=INTERRUPTED if number == signal.SIGINT else 0)

    with handled_by(stop):
        yield


async def _serve(
    served: Served, options: Options, kind: str, sock: socket.socket, request: Request, say: Callable[[str], None]
) -> int:
    """Start the back end and the proxy, and end both; the signal that came."""
    import httpx2

    came: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def note(number: int) -> None:
        if not came.done():
            came.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, note, number)
    port = backends.free_port()
    back = backends.backend(kind, str(served.folder), served.dtype, port=port, name=options.name)
    if threads := request.config.model.threads:
        back = replace(back, env={**back.env, "OMP_NUM_THREADS": str(threads)})
    running = backends.Running(back, served.folder.parent, verbose=request.verbose)
    say(f"back end: {shlex.join(back.command)}")
    # A connection for each request: one that is kept may be closed by the back end just when it is used again.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    timeout = httpx2.Timeout(None, connect=10.0)
    async with httpx2.AsyncClient(trust_env=False, timeout=timeout, limits=limits) as client:
        try:
            await running.start()
            work = asyncio.create_task(_work(running, client, served, options, sock, request, say))
            ended = asyncio.create_task(running.ended())
            waited: set[asyncio.Future[Any]] = {came, work, ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not came.done():  # a request that fails may be the first that is heard of the back end's end
                await asyncio.wait([ended], timeout=1.0)
            failed = ended.done() and not came.done()
            for task in (work, ended):
                task.cancel()
            await asyncio.wait([work, ended])
            if failed:
                raise ended.result()
            return came.result() if came.done() else work.result()
        finally:
            await running.stop()


async def _work(
    running: backends.Running,
    client: httpx2.AsyncClient,
    served: Served,
    options: Options,
    sock: socket.socket,
    request: Request,
    say: Callable[[str], None],
) -> NoReturn:
    """Wait for the back end, ask it the golden prompt, then serve until this is cancelled."""
    from oneshot.stages.serving.check import check
    from oneshot.stages.serving.proxy import serve_until_cancelled

    await running.ready(client, say)
    same, said = await check(running.backend, client, served.golden)
    say(f"checked: {said}" if same else f"warning: NOT THE SAME ANSWER: {said}")
    try:
        sock.listen(2048)
    except OSError as error:  # bound by another process too, which was faster
        raise taken(options, request, error) from error
    told = announced(running.backend, served, options, sock.getsockname()[1], (same, said))
    say(f"model: {options.name}   key: {'needed' if options.key else 'none'}   Ctrl-C ends it")
    print(json.dumps(told) if request.json else told["url"], flush=True)
    await serve_until_cancelled(_front(running.backend, options), client, sock, FINISH)
    raise MachineError("the proxy ended.", code="E304")


def announced(
    back: backends.Backend, served: Served, options: Options, port: int, checked: tuple[bool, str]
) -> dict[str, Any]:
    """What `--json` prints once the server answers."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    return {
        "schema": "oneshot.serve/1",
        "url": f"http://{host}:{port}/v1",
        "model": options.name,
        "backend": back.kind,
        "command": list(back.command),
        "dtype": served.dtype,
        "checked": {"prompt": served.golden.id, "same": checked[0], "said": checked[1]},
    }


def _front(back: backends.Backend, options: Options) -> Front:
    from oneshot.stages.serving.answers import Front

    return Front(
        backend=back.url,
        name=options.name,
        pinned=back.model,
        key=options.key,
        strict=back.kind != backends.VLLM,
        host=options.host,
        headers=back.headers,
    )
