from __future__ import annotations

from oneshot.report import samples
from tests.unit.report.runs import eval_row


def pair(key: str, flip: str, category: str = "b") -> samples.Pair:
    before, after = {"gained": (False, True), "lost": (True, False), "wrong": (False, False), "right": (True, True)}[
        flip
    ]
    assert samples.flip_of(before, after) == flip
    base, trained = eval_row(key, before, category), eval_row(key, after, category)
    return samples.Pair(flip=flip, own=category == "own", base=base, trained=trained)


def test_choice_of_responses_by_hand() -> None:
    found = (
        [pair(f"g{i}", "gained") for i in range(9)] + [pair("l0", "lost")] + [pair(f"r{i}", "right") for i in range(2)]
    )
    chosen = [p.base.id for p in samples.choose(found, 8)]
    assert chosen == ["g0", "g1", "g2", "g3", "g4", "l0", "r0", "r1"]
    mixed = [pair("a1", "lost", "a"), pair("a2", "lost", "a"), pair("b1", "lost", "b"), pair("o1", "lost", "own")]
    assert [p.base.id for p in samples.choose(mixed, 3)] == ["o1", "a1", "b1"]
    assert samples.choose([], 24) == []


def test_training_responses_are_spread_over_the_step() -> None:
    rows = [{"sample": i} for i in range(32)]
    assert [row["sample"] for row in samples.training_samples(rows, 6)] == [0, 5, 10, 16, 21, 26]
    assert samples.training_samples(rows[:3], 6) == rows[:3]
