"""Memory that runs out: smaller micro-batches once, then a clear stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from oneshot.errors import MachineError
from oneshot.record import RunFolder
from oneshot.stages.resources.room import Room, out_of_memory, sampling
from oneshot.train.learner import Learner
from tests.parts import grpo, learner_of, tiny_policy

CPU = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "x", {}, [])


@pytest.fixture
def learner() -> Learner:
    return learner_of(tiny_policy(), grpo())


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def room(run: RunFolder, learner: Learner, said: list[str]) -> Room:
    return Room(run, learner, 256, said.append)


@pytest.mark.parametrize(
    ("error", "is_"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError(CPU), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_running_out(error: Exception, is_: bool) -> None:
    assert out_of_memory(error) is is_


def fits(limit: int, asked: list[int]) -> Callable[[int], str]:
    def attempt(micro_tokens: int) -> str:
        asked.append(micro_tokens)
        if micro_tokens > limit:
            raise RuntimeError(CPU)
        return "learned"

    return attempt


def test_smaller_micro_batches_are_tried_once_and_stay(room: Room, run: RunFolder, said: list[str]) -> None:
    asked: list[int] = []
    assert room.learn(7, fits(100, asked)) == "learned"
    assert room.learn(8, fits(100, asked)) == "learned"
    assert asked == [256, 64, 64]
    (event,) = run.events()
    assert (event["kind"], event["step"], event["micro_tokens"]) == ("memory", 7, 64)
    assert said == [
        "warning: memory ran out in step 7; again, and from now on, with micro-batches of 64 tokens (equal up to "
        "rounding)"
    ]


def test_then_it_is_a_clear_stop(room: Room, run: RunFolder) -> None:
    asked: list[int] = []
    with pytest.raises(MachineError, match="in step 3, also with micro-batches of 64 tokens") as caught:
        room.learn(3, fits(10, asked))
    assert asked == [256, 64]
    assert (caught.value.code, caught.value.exit_code) == ("E201", 3)
    assert caught.value.tries[0] == f"oneshot train --resume {run.path} --optim.micro-tokens 16"


def test_with_the_weights_touched_nothing_is_tried_again(room: Room, learner: Learner) -> None:
    asked: list[int] = []
    learner.intact = False
    with pytest.raises(MachineError, match="while the optimiser made step 3") as caught:
        room.learn(3, fits(100, asked))
    assert (asked, caught.value.code) == ([256], "E201")


def test_other_errors_stay_what_they_are(room: Room, run: RunFolder) -> None:
    def wrong(micro_tokens: int) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        room.learn(0, wrong)
    with pytest.raises(RuntimeError, match="shapes"), sampling(run, 0):
        wrong(1)
    assert run.events() == []


def test_running_out_while_sampling(run: RunFolder) -> None:
    with pytest.raises(MachineError, match="responses of step 4 were sampled") as caught, sampling(run, 4):
        raise MemoryError
    assert caught.value.code == "E201"
    assert "--rollout.batch 16" in caught.value.tries[0]
