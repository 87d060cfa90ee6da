"""Probing a pool: what is sampled and kept, going on after a kill, and rates that had no part in the choice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot.errors import Stopped
from oneshot.stages.probing.probing import probe_pool, prober_of, protocol_of, record_beside
from oneshot.stages.probing.record import CHOOSE, FRESH, ProbeRecord
from oneshot.stages.probing.sampler import BATCH, EVERY, STEPS, Sampler
from oneshot.types import Problem
from tests.unit.stages.probes import RIGHT, Engine, pool, probe, prober, rates_of, values
from tests.unit.stages.setups import tiny_setup


def test_a_whole_probe(tmp_path: Path) -> None:
    engine, rates, said = Engine(rates_of(60)), rates_of(60), list[str]()
    found = probe(engine, tmp_path / "picks.probe.jsonl", note=said.append)
    assert [f.rank for f in found.ranked] == list(range(1, 61))
    assert sorted(f.index for f in found.ranked) == list(range(60))
    assert found.samples == sum(f.samples for f in found.ranked) <= 16 * 60
    assert found.fresh == 4 * 32
    assert (found.reused, found.decided, found.warnings) == (0, False, ())
    assert len(engine.asked) == found.samples + found.fresh
    picks = found.ranked[:4]
    assert all(abs(rates[f.index] - 0.5) < 0.2 for f in picks)
    assert min(f.samples for f in picks) > 3 * min(f.samples for f in found.ranked)
    assert all(f.fresh_samples == (32 if f.rank <= 4 else 0) for f in found.ranked)
    assert all(sum(f.answers.values()) == f.samples for f in found.ranked)
    assert picks[0].answers[RIGHT] == picks[0].successes
    assert set(picks[0].answers) <= {RIGHT, "10", "11", "12"}
    assert said[0].startswith("probe: 60 problems, at most 960 samples for the 4 nearest to a pass rate of 0.5")
    assert "fresh ones rate them" in said[-1]


def test_every_sample_has_a_stream_of_its_own(tmp_path: Path) -> None:
    engine = Engine(rates_of(60))
    found = probe(engine, tmp_path / "r.jsonl")
    assert len(set(engine.asked)) == len(engine.asked)
    chose = {(step - STEPS[CHOOSE], s) for step, s in engine.asked if step < STEPS[FRESH]}
    fresh = {(step - STEPS[FRESH], s) for step, s in engine.asked if step >= STEPS[FRESH]}
    assert chose == {(f.index, s) for f in found.ranked for s in range(f.samples)}
    assert fresh == {(f.index, s) for f in found.ranked[:4] for s in range(32)}


def test_the_rate_shown_has_no_part_in_the_choice(tmp_path: Path) -> None:
    """All rates are .25: the picks look better than they are, their fresh rates do not (means of 10 picks)."""
    found = probe(Engine([0.25] * 60), tmp_path / "r.jsonl", top=10, fresh=200)
    picks = found.ranked[:10]
    assert np.mean([f.successes / f.samples for f in picks]) > 0.3
    assert np.mean([f.rate for f in picks]) == pytest.approx(0.25, abs=0.03)
    assert picks[0].rate == picks[0].fresh_successes / 200
    low, high = picks[0].interval
    assert low < picks[0].rate < high < picks[0].rate + 0.08
    other = found.ranked[-1]
    assert other.rate == other.successes / other.samples
    assert other.fresh_samples == 0


@pytest.mark.parametrize("call", [1, 2, 3, 5, 7])
def test_killed_in_the_middle_it_ends_as_if_it_had_not_been(tmp_path: Path, call: int) -> None:
    def kill(now: int) -> None:
        if now == call:
            raise KeyboardInterrupt

    whole = Engine(rates_of(400))
    straight = probe(whole, tmp_path / "whole.jsonl", 400, samples=4)
    assert whole.calls > 7
    first, second = Engine(rates_of(400), kill), Engine(rates_of(400))
    with pytest.raises(KeyboardInterrupt):
        probe(first, tmp_path / "killed.jsonl", 400, samples=4)
    resumed = probe(second, tmp_path / "killed.jsonl", 400, samples=4)
    assert values(resumed) == values(straight)
    assert first.asked + second.asked == whole.asked
    assert resumed.reused == len(first.asked)
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_torn_batch_is_drawn_again(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    straight = probe(Engine(rates_of(60)), record)
    whole = record.read_bytes()
    record.write_bytes(whole[: whole.rstrip().rfind(b"\n") + 40])
    resumed = probe(Engine(rates_of(60)), record)
    assert values(resumed) == values(straight)
    assert record.read_bytes() == whole
    record.write_bytes(whole[:30])  # killed while its head was written
    assert values(probe(Engine(rates_of(60)), record)) == values(straight)
    assert record.read_bytes() == whole


def test_a_finished_probe_is_only_read(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    straight, idle = probe(Engine(rates_of(60)), record), Engine([])
    again = probe(idle, record)
    assert values(again) == values(straight)
    assert idle.calls == 0
    assert again.reused == again.samples + again.fresh


def test_a_larger_budget_and_another_number_of_picks_use_what_is_there(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    small = probe(Engine(rates_of(60)), record, samples=6)
    before = {json.loads(line)["phase"] for line in record.read_text().splitlines()[1:]}
    assert before == {CHOOSE, FRESH}
    engine = Engine(rates_of(60))
    large = probe(engine, record, samples=24, top=7)
    alone = probe(Engine(rates_of(60)), tmp_path / "alone.jsonl", samples=24, top=7)
    assert values(large) == values(alone)
    assert 0 < large.reused <= small.samples + small.fresh
    assert len(engine.asked) == large.samples + large.fresh - large.reused


@pytest.mark.parametrize(("number", "code", "lost"), [(signal.SIGTERM, 75, True), (signal.SIGINT, 130, False)])
def test_a_stop_signal_keeps_what_was_sampled(tmp_path: Path, number: int, code: int, lost: bool) -> None:
    """SIGTERM gives the running batch up; Ctrl-C lets it end."""

    def stop(call: int) -> None:
        if call == 2:
            os.kill(os.getpid(), number)

    record = tmp_path / "r.jsonl"
    engine, before = Engine(rates_of(400), stop), signal.getsignal(number)
    check = engine.check
    with pytest.raises(Stopped, match=f"keeps {BATCH if lost else 2 * BATCH} samples") as caught:
        probe(engine, record, 400, samples=4)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) == before
    assert engine.check is check
    resumed = probe(Engine(rates_of(400)), record, 400, samples=4)
    assert values(resumed) == values(probe(Engine(rates_of(400)), tmp_path / "whole.jsonl", 400, samples=4))


def test_progress_tells_the_speed_of_what_is_drawn_and_no_more_often_than_asked(tmp_path: Path) -> None:
    """Batches of 4 at 6 s each: a line after the 2nd and the 4th; 1.5 s a sample, 24 and 16 of 32 left."""
    now, said = [0.0], list[str]()

    def pass_time(call: int) -> None:
        now[0] += 6.0

    engine, problems = Engine([0.5] * 2, pass_time), pool(2)
    assert EVERY == 10
    with Sampler(
        prober(engine), problems, [(0,), (1,)], ProbeRecord.open(tmp_path / "r.jsonl", {}), said.append,
        total=32, batch=4, clock=lambda: now[0],
    ) as sampler:  # fmt: skip
        sampler.draw(CHOOSE, {0: range(8)})
        sampler.decided(1)
        sampler.draw(CHOOSE, {1: range(8)})
    assert said == [
        "probe: 8 of at most 32 samples, 2 problems open, at most 0:36 left",
        "probe: 16 of at most 32 samples, 1 problems open, at most 0:24 left",
    ]
    with Sampler(
        prober(engine), problems, [(0,), (1,)], ProbeRecord.open(tmp_path / "r.jsonl", {}), said.append,
        total=32, batch=4, clock=lambda: now[0],
    ) as again:  # fmt: skip
        again.draw(CHOOSE, {0: range(16)})
    assert again.reused == 8
    assert said[2] == "probe: 16 of at most 32 samples, 2 problems open, at most 0:24 left"


def test_the_record_lies_beside_the_output() -> None:
    assert record_beside(Path("a/picks.jsonl")) == Path("a/picks.probe.jsonl")
    assert record_beside(Path("picks")) == Path("picks.probe.jsonl")


def test_with_the_native_sampler_a_killed_probe_is_the_same_to_the_bit(tmp_path: Path) -> None:
    setup = tiny_setup(tmp_path / "model")
    problems = [Problem(id=f"p{i}", prompt=f"What is {i} + 1?", answer=str(i + 1)) for i in range(90)]
    given: dict[str, Any] = {"top": 3, "samples": 4, "fresh": 8, "protocol": protocol_of(setup), "allow_unsolved": True}
    straight = probe_pool(prober_of(setup), problems, record=tmp_path / "whole.jsonl", **given)
    generate, calls = setup.engine.generate, [0]

    def once(*asked: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return generate(*asked, **options)

    setup.engine.generate = once  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        probe_pool(prober_of(setup), problems, record=tmp_path / "killed.jsonl", **given)
    resumed = probe_pool(prober_of(setup), problems, record=tmp_path / "killed.jsonl", **given)
    assert values(resumed) == values(straight)
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert straight.samples > 200


def test_the_protocol_notices_other_weights_in_the_same_folder(tmp_path: Path) -> None:
    setup = tiny_setup(tmp_path / "model")
    before = protocol_of(setup)
    assert before == protocol_of(tiny_setup(tmp_path / "model"))
    assert before["dtype"] == "float32"
    next(iter(setup.policy.model.parameters())).data += 1e-3
    after = protocol_of(setup)
    assert {key for key in before if before[key] != after[key]} == {"weights"}
