"""Runs `oneshot` in processes that can be killed and take no seconds to start: imports once, forks for each command.

A line of standard input is a JSON object: `argv` and `die_at` (die by SIGKILL before this call of `tests.dying.CALLS`;
0: never). Answers are lines `started PID` and `ended STATUS` (negative: the signal).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import torch
import transformers  # noqa: F401 so that no child has to

from oneshot.cli.main import main
from oneshot.stages import demo  # noqa: F401 all of the program
from tests.dying import dying


def child(asked: dict[str, Any]) -> int:
    """The command, with its output thrown away but for what it says on an error."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if asked["die_at"]:
        dying(asked["die_at"])
    return main(asked["argv"])


def serve() -> None:
    """Answer every line of standard input."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(child(asked))
        print(f"started {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    serve()
