"""An evaluation that is killed, stopped or refused: nothing sampled is lost, nothing unlike is mixed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.tasks.task import Protocol
from oneshot.errors import MachineError, Stopped, UsageError
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from oneshot.stages.signals import Abandoned, StopRequest
from tests.unit.stages.evaluating import ScriptedEngine, asked_for, boxed, folder, samples_of, sums, with_engine
from tests.unit.stages.setups import tiny_setup
from tests.unit.store.samples import full_disk

SAMPLED = Protocol(samples=3, temperature=0.6, max_new_tokens=8)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return tiny_setup(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("call", [1, 2, 3])
def test_killed_in_the_middle_it_ends_as_if_it_had_not_been(setup: Setup, tmp_path: Path, call: int) -> None:
    def kill(now: int) -> None:
        if now == call:
            raise KeyboardInterrupt

    asked, whole, killed = asked_for(sums(60), SAMPLED), folder(tmp_path / "whole"), folder(tmp_path / "killed")
    straight = ScriptedEngine(boxed)
    rows = measure_task(with_engine(setup, straight), asked, whole, "base")
    assert straight.calls == 3
    first, second = ScriptedEngine(boxed, on_call=kill), ScriptedEngine(boxed)
    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, first), asked, killed, "base")
    assert killed.evals() == []
    assert measure_task(with_engine(setup, second), asked, killed, "base") == rows
    assert first.asked + second.asked == straight.asked
    assert samples_of(killed, asked) == samples_of(whole, asked)
    assert killed.read_eval("sums", "base")[0]["protocol"]["reused"] == len(first.asked)


def test_with_the_native_sampler_a_killed_evaluation_is_the_same_to_the_bit(setup: Setup, tmp_path: Path) -> None:
    asked, whole, killed = asked_for(sums(30), SAMPLED), folder(tmp_path / "whole"), folder(tmp_path / "killed")
    engine = NativeEngine(setup.policy, batch=16)
    own, generate, calls = replace(setup, eval_engine=engine), engine.generate, [0]
    measure_task(own, asked, whole, "base")

    def once(*given: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return generate(*given, **options)

    engine.generate = once  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        measure_task(own, asked, killed, "base")
    measure_task(own, asked, killed, "base")
    assert calls[0] == 3
    assert samples_of(killed, asked) == samples_of(whole, asked)


def test_a_torn_batch_is_drawn_again(setup: Setup, tmp_path: Path) -> None:
    asked, whole, torn = asked_for(sums(60), SAMPLED), folder(tmp_path / "whole"), folder(tmp_path / "torn")
    measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, whole, "base")

    def kill(now: int) -> None:
        if now == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, ScriptedEngine(boxed, on_call=kill)), asked, torn, "base")
    path = torn.partial_path("sums", "base")
    path.write_bytes(path.read_bytes()[:-9])
    engine = ScriptedEngine(boxed)
    measure_task(with_engine(setup, engine), asked, torn, "base")
    assert len(engine.asked) == 180 - 64
    assert samples_of(torn, asked) == samples_of(whole, asked)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stop_signal_keeps_whole_batches(setup: Setup, tmp_path: Path, sent: int, code: int) -> None:
    def stop(now: int) -> None:
        if now == 2:
            os.kill(os.getpid(), sent)

    asked, store = asked_for(sums(60), SAMPLED), folder(tmp_path / "e")
    engine = ScriptedEngine(boxed, on_call=stop)
    check, handlers = engine.check, [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Stopped) as caught:
        measure_task(with_engine(setup, engine), asked, store, "base")
    assert caught.value.exit_code == code
    done = 64 if sent == signal.SIGTERM else 128  # Ctrl-C lets the batch finish
    assert f"keeps {done} responses" in caught.value.message
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert engine.check is check
    again = ScriptedEngine(boxed)
    assert len(measure_task(with_engine(setup, again), asked, store, "base")) == 180
    assert len(again.asked) == 180 - done


def test_the_stop_request_of_a_training_run_is_its_own(setup: Setup, tmp_path: Path) -> None:
    stop = StopRequest()

    def ask(now: int) -> None:
        if now == 2:
            stop.signal = int(signal.SIGINT)

    asked, store = asked_for(sums(60), SAMPLED), folder(tmp_path / "e")
    with pytest.raises(Abandoned):
        measure_task(with_engine(setup, ScriptedEngine(boxed, on_call=ask)), asked, store, "base", stop=stop)
    again = ScriptedEngine(boxed)
    measure_task(with_engine(setup, again), asked, store, "base", stop=StopRequest())
    assert len(again.asked) == 180 - 128


def test_a_full_disk_keeps_the_batches_before(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, store = asked_for(sums(60), SAMPLED), folder(tmp_path / "e")

    def fill(now: int) -> None:
        if now == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, ScriptedEngine(boxed, on_call=fill)), asked, store, "base")
    before = store.partial_path("sums", "base").read_bytes()
    with full_disk(monkeypatch), pytest.raises(MachineError) as caught:
        measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    assert caught.value.code == "E202"
    assert store.partial_path("sums", "base").read_bytes() == before


def test_samples_of_another_protocol_are_refused(setup: Setup, tmp_path: Path) -> None:
    def kill(now: int) -> None:
        raise KeyboardInterrupt

    asked, store = asked_for(sums(3), SAMPLED), folder(tmp_path / "e")
    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, ScriptedEngine(boxed, on_call=kill)), asked, store, "base")
    other = replace(setup, config=replace(setup.config, seed=7))
    with pytest.raises(UsageError, match="another evaluation: seed was 0 and is now 7") as caught:
        measure_task(other, asked, store, "base")
    assert (caught.value.code, caught.value.tries[-1].startswith("mv ")) == ("E107", True)
    measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    with pytest.raises(UsageError, match="seed was 0 and is now 7"):  # a finished one is not taken for another either
        measure_task(other, asked, store, "base")


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path) -> None:
    own = tiny_setup(tmp_path / "model")
    asked, store = asked_for(sums(3)), folder(tmp_path / "e")
    measure_task(own, asked, store, "base")
    next(iter(own.policy.model.parameters())).data += 1e-3
    with pytest.raises(UsageError, match="weights was") as caught:
        measure_task(own, asked, store, "base")
    assert caught.value.code == "E107"
