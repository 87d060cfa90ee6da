"""Commands that need no network open no socket: run in a Python that refuses and records every one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Runner = Callable[[list[str]], Any]  # the fixture of conftest.py

RECIPE = "paper/qwen2.5-math-1.5b-pi1"


def test_the_guard_refuses_and_records_even_what_is_caught(without_sockets: Runner) -> None:
    for line in (
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 80)",
        "urllib.request.urlopen('http://127.0.0.1:9')",
    ):
        done, sockets = without_sockets(["-c", f"import socket, urllib.request\ntry: {line}\nexcept OSError: pass"])
        assert (done.returncode, done.stderr) == (0, "")
        assert sockets
        sockets_before = sockets.count("\n")
        _, sockets = without_sockets(["-c", "import socket"])
        assert sockets.count("\n") == sockets_before  # looking at the module is no socket


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [
        pytest.param(["--help"], "demo", id="help"),
        pytest.param(["train", "--help"], "--rollout.group-size", id="help of train"),
        pytest.param(["recipes", "list"], RECIPE, id="recipes"),
        pytest.param(["recipes", "list", "--offline"], RECIPE, id="recipes offline"),
    ],
)
def test_a_table_opens_no_socket(without_sockets: Runner, arguments: list[str], shows: str) -> None:
    done, sockets = without_sockets(["-m", "oneshot", *arguments])
    assert done.returncode == 0, done.stderr
    assert shows in done.stdout
    assert sockets == ""


@pytest.mark.parametrize("json_flag", [[], ["--json"]], ids=["text", "json"])
def test_a_dry_run_of_the_papers_recipe_opens_no_socket(without_sockets: Runner, json_flag: list[str]) -> None:
    done, sockets = without_sockets(["-m", "oneshot", "train", "--dry-run", "--offline", "-c", RECIPE, *json_flag])
    assert done.returncode == 0, done.stderr
    assert sockets == ""
    if json_flag:
        assert "schema" in json.loads(done.stdout)
    else:
        assert "Qwen/Qwen2.5-Math-1.5B" in done.stdout + done.stderr
