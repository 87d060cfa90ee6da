"""A probe that ranks by the answers: equally many samples of each problem, and what is shown is fresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.measure.selection import ANSWERS
from tests.unit.stages.probes import Engine, pool, probe, values

RATES = [1.0, 0.0, 0.7, 0.5, 0.2, 0.6, 0.05, 0.8]


@pytest.mark.parametrize("name", ["answer-entropy", "distinct-answers"])
def test_every_problem_is_sampled_as_often_and_the_widest_answers_come_first(tmp_path: Path, name: str) -> None:
    found = probe(Engine(RATES), tmp_path / "r.jsonl", 8, samples=20, top=3, by=name)
    assert {f.samples for f in found.ranked} == {20}
    assert (found.samples, found.fresh, found.decided) == (160, 96, None)
    of = [ANSWERS[name](f.answers, 20) for f in found.ranked]
    assert of == sorted(of, reverse=True)
    assert found.ranked[-1].index == 0, "it gives one answer"
    for one in found.ranked:
        tied = [i for i, value in enumerate(of, start=1) if value == pytest.approx(of[one.rank - 1])]
        assert (one.tie_first, one.tie_last) == (tied[0], tied[-1])
    assert [bool(f.fresh_answers) for f in found.ranked] == [True] * 3 + [False] * 5
    assert all(sum(f.fresh_answers.values()) == 32 for f in found.ranked[:3])
    assert all(f.fresh_answers["7"] == f.fresh_successes for f in found.ranked[:3])


def test_what_no_response_can_match_is_not_sampled_and_comes_last(tmp_path: Path) -> None:
    found = probe(Engine(RATES), tmp_path / "r.jsonl", problems=pool(8, p4=""), samples=4, top=2, by="answer-entropy")
    assert (found.ranked[-1].index, found.ranked[-1].samples, found.samples) == (4, 0, 28)


def test_it_goes_on_with_the_samples_of_another_probe_and_after_a_kill(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    straight = probe(Engine(RATES), tmp_path / "whole.jsonl", 8, samples=6, by="answer-entropy")
    earlier = probe(Engine(RATES), record, 8, samples=6)
    engine = Engine(RATES)
    again = probe(engine, record, 8, samples=6, by="answer-entropy")
    assert values(again) == values(straight)
    assert 0 < again.reused <= earlier.samples + earlier.fresh
    assert len(engine.asked) == again.samples + again.fresh - again.reused
