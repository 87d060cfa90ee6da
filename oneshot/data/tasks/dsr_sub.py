"""DSR-sub: the 1,209 problems the paper chooses its examples from. Fit for choosing a prompt, not for a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oneshot.data.rows import RawRow
from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import GREEDY, TASKS, Hub, Task
from oneshot.types import Problem

SUFFIX = r" Let's think step by step and output the final answer within \boxed{}."
"""Stands at the end of every row of the paper's files, after one space; in training it is `data.suffix`."""
_read = Reading()


def problems(rows: Sequence[RawRow], source: str) -> list[Problem]:
    """Without the suffix, so that the paper's file and a clean one ask the same."""
    return [replace(p, prompt=p.prompt.removesuffix(SUFFIX)) for p in _read(rows, source)]


@TASKS.register("dsr_sub")
def dsr_sub() -> Task:
    """A training pool: row 265 has no reference and one reference is cut off inside a brace, so two never match."""
    return Task(
        name="dsr_sub",
        title="DSR-sub",
        protocol=GREEDY,
        problems=problems,
        hub=Hub(
            name="ypwang61/One-Shot-RLVR-Datasets",
            split="dsr_sub",
            columns={"prompt": "prompt", "answer": "reward_model.ground_truth", "id": "extra_info.index"},
            seen="id and split: public training scripts, which call the rows verl's format; no revision was seen",
        ),
        file="dsr_sub",
        count=1209,
        digest="d273ca4cafa0c63fb33abb307d21c39a5094fcdfaf6cdfaa5ac1bb3d78fd2994",
        note="The pool the training example is chosen from: a development set, not a test set.",
    )
