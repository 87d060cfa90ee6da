"""One process at a time measures an evaluation; a lock that a dead process left is taken over, and that is said."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from oneshot._store.alone import NAME, alone
from oneshot.errors import UsageError

HOLD = """
import sys, time
from pathlib import Path
from oneshot._store.alone import alone
with alone(Path(sys.argv[1]), "is being measured", print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    folder, said = tmp_path / "a" / "b", list[str]()
    with alone(folder, "is being measured", said.append):
        held = json.loads((folder / NAME).read_text("utf-8"))
        assert (held["pid"], held["host"]) == (os.getpid(), socket.gethostname())
        with pytest.raises(UsageError) as caught, alone(folder, "is being measured", said.append):
            pass
        assert json.loads((folder / NAME).read_text("utf-8")) == held
    assert caught.value.code == "E104"
    assert f"{folder} is being measured by process {os.getpid()} since 20" in caught.value.message
    assert caught.value.tries[0] == f"ps -p {os.getpid()}"
    assert not (folder / NAME).exists()
    with alone(folder, "is being measured", said.append):
        pass
    assert said == []


def test_it_is_let_go_whatever_ends_the_work(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), alone(tmp_path, "is being measured", print):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path, root: Path) -> None:
    said = list[str]()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"by process {other.pid} since"), alone(tmp_path, "is here", said.append):
            pass
        other.kill()
        other.wait(30)
    assert (tmp_path / NAME).is_file(), "nobody tidied up"
    with alone(tmp_path, "is here", said.append):
        assert json.loads((tmp_path / NAME).read_text("utf-8"))["pid"] == os.getpid()
    assert said == [f"{tmp_path}: process {other.pid} ended before its work did; its work goes on here"]


def test_a_process_elsewhere_is_named_with_its_machine(tmp_path: Path) -> None:
    with alone(tmp_path, "is being measured", print):
        (tmp_path / NAME).write_text(json.dumps({"pid": 7, "host": "node3", "since": "then"}), "utf-8")
        with (
            pytest.raises(UsageError, match="by process 7 on node3 since then") as caught,
            alone(tmp_path, "is", print),
        ):
            pass
    assert not any(line.startswith("ps ") for line in caught.value.tries)


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}"])
def test_a_lock_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text, "utf-8")
    said = list[str]()
    with alone(tmp_path, "is being measured", said.append):
        (tmp_path / NAME).write_text(text, "utf-8")
        with pytest.raises(UsageError, match="by another process"), alone(tmp_path, "is being measured", said.append):
            pass
    assert said == []


def test_where_no_folder_can_be_made_the_work_itself_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = []
    with alone(tmp_path / "file" / "e", "is being measured", print):
        done.append(1)
    assert done == [1]
