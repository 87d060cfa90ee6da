"""Responses are kept as they are finished, within a batch too; a stop loses the unfinished ones at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot._store.evaluations import SAMPLE, PartialEval
from oneshot.data.tasks.task import Protocol
from oneshot.errors import MachineError
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals import work as eval_work
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.evals.work import batch_of
from oneshot.stages.setup import Setup
from oneshot.stages.signals import Abandoned, StopRequest
from oneshot.types import Completion, Sampling
from tests.unit.stages.evaluating import ScriptedEngine, asked_for, boxed, folder, samples_of, sums, with_engine
from tests.unit.stages.setups import tiny_setup
from tests.unit.store.samples import full_disk

SAMPLED = Protocol(samples=3, temperature=0.6, max_new_tokens=8)
BATCH = 64
"""Four waves of 16 rows."""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    own = tiny_setup(tmp_path_factory.mktemp("model"))
    own = replace(own, eval_engine=NativeEngine(own.policy, batch=16))
    assert batch_of(own, 8) == BATCH
    return own


class Late(StopRequest):
    """Gives the work up before the n-th token."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Abandoned


class Moves:
    """Remembers how a progress moved."""

    def __init__(self) -> None:
        self.pieces: list[int] = []

    def begin(self, title: str, total: int, known: int) -> None:
        self.pieces.append(known)

    def advance(self, pieces: int) -> None:
        self.pieces.append(pieces)

    def end(self) -> None:
        """Nothing."""


def kept(path: Path) -> int:
    """Responses in a partial record."""
    return sum(line.count("false]") + line.count("true]") for line in path.read_text("utf-8").splitlines()[1:])


def test_stopped_within_a_batch_it_keeps_what_is_finished(setup: Setup, tmp_path: Path) -> None:
    asked, whole, stopped = asked_for(sums(30), SAMPLED), folder(tmp_path / "whole"), folder(tmp_path / "stopped")
    measure_task(setup, asked, whole, "base")
    with pytest.raises(Abandoned):
        measure_task(setup, asked, stopped, "base", stop=Late(20))
    before = kept(stopped.partial_path("sums", "base"))
    assert 0 < before < BATCH, "the batch was not finished"
    moves = Moves()
    measure_task(setup, asked, stopped, "base", progress=moves)
    assert moves.pieces[0] == before
    assert sum(moves.pieces) == 90
    assert stopped.read_eval("sums", "base")[0]["protocol"]["reused"] == before
    assert samples_of(stopped, asked) == samples_of(whole, asked)


@pytest.mark.parametrize("within", [0.0, 1e9])
def test_progress_moves_within_a_batch_with_every_write(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, within: float
) -> None:
    written, append = list[int](), PartialEval.append

    def appended(partial: PartialEval, phase: str, rows: Sequence[Any]) -> None:
        written.append(len(rows))
        append(partial, phase, rows)

    monkeypatch.setattr(PartialEval, "append", appended)
    monkeypatch.setattr(eval_work, "WITHIN", within)
    moves = Moves()
    measure_task(setup, asked_for(sums(30), SAMPLED), folder(tmp_path / "e"), "base", progress=moves)
    assert moves.pieces == [0, *written]
    assert written == ([1] * 90 if not within else [BATCH, 90 - BATCH])


def test_a_torn_line_of_a_batch_costs_its_own_responses_only(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_work, "WITHIN", 0.0)
    asked, whole, torn = asked_for(sums(30), SAMPLED), folder(tmp_path / "whole"), folder(tmp_path / "torn")
    measure_task(setup, asked, whole, "base")
    with pytest.raises(Abandoned):
        measure_task(setup, asked, torn, "base", stop=Late(30))
    path = torn.partial_path("sums", "base")
    before = kept(path)
    path.write_bytes(path.read_bytes()[:-9])
    measure_task(setup, asked, torn, "base")
    assert torn.read_eval("sums", "base")[0]["protocol"]["reused"] == before - 1 > 0
    assert samples_of(torn, asked) == samples_of(whole, asked)


class TellingEngine(ScriptedEngine):
    """Tells each response by itself, and then looks whether it is to stop, as before a token."""

    def __init__(self, script: Callable[[int, int], str], seen: Callable[[], None] = lambda: None) -> None:
        super().__init__(script)
        self.seen = seen
        self.finished: Callable[[int, Completion], None] = lambda place, made: None

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        made = super().generate(prompts, sampling, streams)
        for place in reversed(range(len(made))):
            self.finished(place, made[place])
            self.check()
            self.seen()
        return made


def test_a_finished_response_does_not_wait_long_for_others(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, store, counts = asked_for(sums(5), SAMPLED), folder(tmp_path / "e"), list[int]()
    path = store.partial_path("sums", "base")
    monkeypatch.setattr(eval_work, "WITHIN", 0.0)
    engine = TellingEngine(boxed, lambda: counts.append(kept(path)))
    rows = measure_task(with_engine(setup, engine), asked, store, "base")
    assert counts == list(range(1, 16))
    assert [(r.id, r.sample, r.response) for r in rows[:2]] == [("p0", 0, boxed(0, 0)), ("p0", 1, boxed(0, 1))]


def test_what_ends_a_batch_in_any_way_leaves_what_is_finished(setup: Setup, tmp_path: Path) -> None:
    asked, store, left = asked_for(sums(5), SAMPLED), folder(tmp_path / "e"), [3]

    def interrupt() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    engine = TellingEngine(boxed, interrupt)
    told = engine.finished
    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, engine), asked, store, "base")
    assert engine.finished is told
    assert kept(store.partial_path("sums", "base")) == 3


def test_a_disk_that_fills_within_a_batch_keeps_what_was_written(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, store = asked_for(sums(20), SAMPLED), folder(tmp_path / "e")
    calls, append = [0], PartialEval.append

    def appended(partial: PartialEval, phase: str, rows: Sequence[Any]) -> None:
        calls[0] += 1
        if calls[0] < 3:
            return append(partial, phase, rows)
        with full_disk(monkeypatch):
            return append(partial, phase, rows)

    monkeypatch.setattr(PartialEval, "append", appended)
    monkeypatch.setattr(eval_work, "WITHIN", 0.0)
    with pytest.raises(MachineError) as caught:
        measure_task(with_engine(setup, TellingEngine(boxed)), asked, store, "base")
    assert caught.value.code == "E202"
    found = store.partial("sums", "base", _head(store.partial_path("sums", "base")))
    assert calls[0] == 3
    assert len(found.get(SAMPLE)) == 2


def _head(path: Path) -> dict[str, Any]:
    import json

    head: dict[str, Any] = json.loads(path.read_text("utf-8").splitlines()[0])["protocol"]
    return head
