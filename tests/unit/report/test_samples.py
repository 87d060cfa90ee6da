from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oneshot.record import RunFolder
from oneshot.report import samples
from oneshot.report.gather import gather
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


def test_long_pairs_are_those_cut_or_in_the_longest_tenth(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    rows = [replace(eval_row(str(i), True, "b"), tokens=i + 1) for i in range(20)]
    run.write_eval("t", "base", {}, rows)
    run.write_eval("t", "checkpoint-2", {}, [replace(row, cut=row.id == "3") for row in rows])
    found = samples.pairs(gather(run))
    assert [pair.base.id for pair in found if pair.long] == ["3", "19"]  # 40 lengths: index 36 is 19, above it 20 alone


def test_flips_link_to_the_responses_that_are_shown(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    run.write_eval("t", "base", {}, [eval_row(str(i), i == 9, "b") for i in range(10)])
    run.write_eval("t", "checkpoint-2", {}, [eval_row(str(i), i in (2, 5), "b") for i in range(10)])
    facts = gather(run)
    shown = [pair for pair in samples.pairs(facts) if pair.base.id in "59"]
    gained, lost = samples.flipped(facts, shown)
    assert (gained.name, gained.count, list(gained.listed)) == ("gained", 2, [("5", 0), ("2", None)])
    assert (lost.name, lost.count, list(lost.listed)) == ("lost", 1, [("9", 1)])
