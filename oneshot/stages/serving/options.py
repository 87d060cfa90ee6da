"""The flags of `oneshot serve`, the port it takes, and the commands that do the same by hand."""

from __future__ import annotations

import ipaddress
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.stages.serving import backend as backends
from oneshot.stages.serving.target import Target

HOST, PORT = "127.0.0.1", 8000
DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The flags, checked."""

    host: str
    port: int
    key: str
    name: str
    """The model's name to clients."""
    dtype: str
    """Of the weights; `auto` is settled by `settled`."""


def read(request: Request, target: Target) -> Options:
    """The flags. `UsageError` E103, E105."""
    flags = request.verb_flags
    port = str(flags.get("port", PORT))
    if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise UsageError(f"--port {port}: a port is a whole number from 0 to 65535.", code="E103")
    host, key = str(flags.get("host", HOST)), str(flags.get("api_key", ""))
    name = str(flags.get("served_name", target.name))
    for flag, text in (("--api-key", key), ("--served-name", name)):
        if text != text.strip() or not text.isprintable() or not (text or flag == "--api-key"):
            raise UsageError(f"{flag} {text!r} is empty, or has characters that a header cannot hold.", code="E103")
    if not key.isascii() or ("api_key" in flags and not key):
        raise UsageError("--api-key has to be a text of ASCII characters.", code="E103")
    if not loopback(host) and not key:
        raise UsageError(
            f"--host {host} can be reached by other machines, and without --api-key anybody there could use the model.",
            code="E105",
            tries=(
                f"oneshot serve {shlex.quote(target.word)} --host {host} --api-key A_LONG_RANDOM_TEXT",
                f"oneshot serve {shlex.quote(target.word)}   (this machine only)",
            ),
            kept="Nothing was started.",
        )
    asked = request.config.model.dtype
    if asked not in DTYPES:
        raise UsageError(f"model.dtype {asked!r} is not {', '.join(DTYPES)}.", code="E103")
    dtype = asked if asked != "auto" else target.dtype
    return Options(host=host, port=int(port), key=key, name=name, dtype=dtype)


def settled(dtype: str) -> str:
    """`auto`, of a model without a run, is bfloat16 on a GPU and float32 elsewhere."""
    if dtype != "auto":
        return dtype
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


def loopback(host: str) -> bool:
    """Whether an address is this machine's alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def by_hand(target: Target, options: Options, kind: str) -> list[str]:
    """The commands that serve the same model without the proxy: no key, all routes of the back end."""
    lines, folder = [], target.source
    if target.trained:
        folder = "./served"
        lines.append(shlex.join(["oneshot", "export", target.word, "--to", "hf", "--out", folder]))
    back = backends.backend(kind, folder, settled(options.dtype), port=options.port or PORT, name=options.name)
    return [*lines, shlex.join(back.command)]


@contextmanager
def listening(options: Options, request: Request) -> Iterator[socket.socket]:
    """The port, taken before anything is loaded. `UsageError` E103 where it cannot be."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((options.host, options.port))
        except OSError as error:
            raise taken(options, request, error) from error
        yield sock


def taken(options: Options, request: Request, error: OSError) -> UsageError:
    """What is said of a port that cannot be had."""
    return UsageError(
        f"port {options.port} of {options.host} cannot be used: {error.strerror or error}.",
        code="E103",
        tries=(f"oneshot serve {shlex.quote(request.positional[0])} --port 0   (any free one)",),
    )
