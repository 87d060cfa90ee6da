"""What goes over the sockets between a caller, its nursery and its workers.

Messages between caller and worker are JSON behind their length, never pickle: a worker runs foreign code, and reading
its answer must not run any. NaN and infinities pass.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

MAX_MESSAGE = 16 << 20
"""Bytes of one message; a longer one is refused on both sides."""
MEMORY_EXIT = 87
"""Exit status of a worker that had too little memory left to say so."""
ORDER = struct.Struct("!q")
"""To the nursery: 0 with a socket attached (fork a worker), or the pid of a worker to end. Back: a pid or -errno; or
the exit status of the worker that was ended (minus a signal)."""
_LENGTH = struct.Struct("!I")


def pack(message: Any) -> bytes:
    """`message` as it goes over the socket. Raises TypeError, ValueError or RecursionError where it is no JSON."""
    body = json.dumps(message).encode("ascii")
    if len(body) > MAX_MESSAGE:
        raise ValueError(f"it has {len(body):,} bytes as JSON, at most {MAX_MESSAGE:,} are passed on")
    return _LENGTH.pack(len(body)) + body


def receive(link: socket.socket, until: float | None = None) -> Any:
    """The next message. Raises EOFError, TimeoutError (monotonic clock past `until`), ValueError, RecursionError."""
    (size,) = _LENGTH.unpack(exactly(link, _LENGTH.size, until))
    if size > MAX_MESSAGE:
        raise ValueError(f"a message of {size:,} bytes, at most {MAX_MESSAGE:,} are read")
    return json.loads(exactly(link, size, until))


def exactly(link: socket.socket, count: int, until: float | None = None) -> bytes:
    """`count` bytes of the socket; raises EOFError and TimeoutError."""
    data = bytearray()
    while len(data) < count:
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline is over")
            link.settimeout(left)
        part = link.recv(min(count - len(data), 1 << 20))
        if not part:
            raise EOFError("the other side has closed")
        data += part
    return bytes(data)
