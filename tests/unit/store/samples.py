"""Small things to record."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from oneshot.types import Completion, EvalRow, Group, Problem, Verdict

NASTY = "\x1b[31m</script>\u2028\ud800 $x$\r\n\N{SNOWMAN}"


def make(root: Path, slug: str = "pi1") -> RunFolder:
    return RunFolder.create(root, slug, {"seed": 0, "model": {"name": "m"}}, ["oneshot", "demo"])


def groups(reward: float = 1.0) -> list[Group]:
    problem = Problem(id="p", prompt=NASTY, answer="7", category="add", meta={"kind": "add", "operands": [2, 5]})
    verdict = Verdict(correct=True, extracted="7", method="number", seconds=0.25)
    full = Completion(
        tokens=(5, 6), logprobs=(-0.1, -2.0 / 3), text=NASTY, finished=True, reward=reward, verdict=verdict
    )
    bare = Completion(tokens=(), logprobs=(), text="", finished=False)
    return [
        Group(id=number, problem=problem, prompt_tokens=(1, 2, 3), completions=(full, bare), policy_version=4)
        for number in (0, 1)
    ]


def eval_row(key: str, correct: bool = True) -> EvalRow:
    return EvalRow(
        id=key,
        category="add",
        prompt=NASTY,
        answer="7",
        response=NASTY,
        extracted=None,
        correct=correct,
        status="ok",
        cut=False,
        tokens=3,
        meta={"rungs": ["own"], "boxed": False},
    )


@contextmanager
def full_disk(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forcing bytes to disk fails as it does on a full one."""

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with patch.context() as context:
        context.setattr(os, "fsync", fail)
        yield


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
