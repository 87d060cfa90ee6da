"""Choosing the example: two rounds, and a rate from samples that had no part in the choice."""

from __future__ import annotations

import pytest

from oneshot.errors import DataError
from oneshot.stages.probing.probe import Probed, choose, closest_to_half
from tests.unit.stages.parts import ScriptedEngine, prober, problems


def counts(found: list[Probed]) -> list[tuple[int, int]]:
    return [(p.successes, p.samples) for p in found]


def test_two_rounds_and_fresh_samples_worked_by_hand() -> None:
    """Round one leaves p2 (4/8) ahead of p1 (5/8); over both rounds p1 has 15/32 and p2 6/32; fresh: 9 of 32."""
    script = {(0, 0): 0, (0, 1): 5, (0, 2): 4, (1, 1): 10, (1, 2): 2, (2, 1): 9}
    engine = ScriptedEngine(lambda round, i: script[round, i])
    chosen, counted = choose(prober(engine), problems(3), finalists=2)
    assert chosen.problem.id == "p1"
    assert (chosen.successes, chosen.samples, chosen.rate) == (9, 32, 0.28125)
    assert [p.problem.id for p in counted] == ["p0", "p1", "p2"]
    assert counts(counted) == [(0, 8), (15, 32), (6, 32)]
    assert [round for round, _ in engine.asked] == [0, 1, 2]
    first, second, fresh = (asked for _, asked in engine.asked)
    assert sorted(first) == [0] * 8 + [1] * 8 + [2] * 8
    assert sorted(second) == [1] * 24 + [2] * 24
    assert fresh == [1] * 32


def test_the_rate_shown_has_no_part_in_the_choice() -> None:
    """All candidates are equally good; the luckiest wins, and its fresh rate is shown, not its lucky one."""
    engine = ScriptedEngine(lambda round, i: {0: 4 if i == 5 else 1, 1: 12 if i == 5 else 3, 2: 4}[round])
    chosen, counted = choose(prober(engine), problems(24))
    assert (chosen.problem.id, chosen.rate) == ("p5", 4 / 32)
    assert counted[5].rate == 16 / 32
    assert sum(p.samples == 32 for p in counted) == 8  # the finalists


def test_a_tie_goes_to_the_earlier_candidate() -> None:
    chosen, _ = choose(prober(ScriptedEngine(lambda round, i: {0: 4, 1: 12, 2: 16}[round])), problems(5))
    assert chosen.problem.id == "p0"
    # 3 of 8 and 5 of 8 are as far from one half.
    sides = ScriptedEngine(lambda round, i: {0: (5, 3)[i], 1: (15, 9)[i], 2: 16}[round])
    assert choose(prober(sides), problems(2))[0].problem.id == "p0"


def test_one_never_solved_is_taken_last_of_all() -> None:
    """0 of 8 and 8 of 8 carry no signal alike, but only the latter can be reinforced."""
    always = ScriptedEngine(lambda round, i: 0 if i == 0 else 99)
    chosen, _ = choose(prober(always), problems(2))
    assert (chosen.problem.id, chosen.rate) == ("p1", 1.0)
    assert closest_to_half(Probed(problem=problems(1)[0], successes=0, samples=8)) > 0.5


def test_one_success_in_the_second_round_is_enough() -> None:
    engine = ScriptedEngine(lambda round, i: int(round == 1 and i == 1))
    assert choose(prober(engine), problems(3))[0].problem.id == "p1"


def test_nothing_solved_ends_in_e306_without_further_samples() -> None:
    engine = ScriptedEngine(lambda round, i: 0)
    with pytest.raises(DataError, match="none of 3 candidates in 8 tries") as caught:
        choose(prober(engine), problems(3))
    assert (caught.value.code, caught.value.exit_code) == ("E306", 4)
    assert caught.value.tries
    assert [round for round, _ in engine.asked] == [0, 1]


def test_a_row_of_selection_jsonl() -> None:
    shown = Probed(problem=problems(1)[0], successes=2, samples=8).as_dict()
    assert shown["mean_accuracy"] == 0.25
    assert (shown["id"], shown["problem"], shown["answer"]) == ("p0", "question 0", "7")
    assert (shown["successes"], shown["samples"]) == (2, 8)
    assert round(shown["ci_low"], 4) == 0.0715  # Wilson by hand: (.25 + z²/16 ± z √(.1875/8 + z²/256)) / (1 + z²/8)
    assert round(shown["ci_high"], 4) == 0.5907
