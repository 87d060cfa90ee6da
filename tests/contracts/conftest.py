"""A wheel of this tree, and a Python that cannot open a socket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

# Python runs a sitecustomize module at start. This one notes every socket asked for in a file, whoever catches the
# error, and refuses it.
NO_SOCKETS = """
import os, socket
class Refused(socket.socket):
    def __init__(self, *args, **kwargs):
        with open(os.environ["SOCKET_LOG"], "a") as log:
            log.write(f"socket{args}\\n")
        raise ConnectionError("this Python opens no sockets")
def refused(*args, **kwargs):
    Refused(*args)
socket.socket = Refused
socket.create_connection = socket.socketpair = socket.getaddrinfo = socket.gethostbyname = refused
"""

Run = subprocess.CompletedProcess[str]


@pytest.fixture
def without_sockets(tmp_path: Path, root: Path) -> Callable[[Sequence[str]], tuple[Run, str]]:
    """Runs `python *arguments` in an empty folder without sockets; gives the run and the log of sockets asked for."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_SOCKETS, "utf-8")
    (tmp_path / "work").mkdir()
    log = tmp_path / "sockets.log"

    def run(arguments: Sequence[str]) -> tuple[Run, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ONESHOT_"))}
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), str(root)])
        environment |= {"SOCKET_LOG": str(log), "ONESHOT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path / "work", env=environment, capture_output=True, text=True)
        return done, log.read_text("utf-8") if log.exists() else ""

    return run
