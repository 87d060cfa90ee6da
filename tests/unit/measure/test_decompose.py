from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.decompose import (
    CLASSES,
    STATES,
    answer_class,
    decomposition,
    finished,
    found,
    operation_decomposition,
    operation_table,
    outcome,
    outcome_states,
    shapley_product,
    share,
    transitions,
)
from oneshot.measure.scores import answered
from oneshot.types import EvalRow


def row(kind: str, key: str = "p", category: str = "add") -> EvalRow:
    """A response of one kind: right, right-cut, slip (other), wrong-op (axb), operand, cut, cut-wrong or none."""
    extracted = None if kind in ("cut", "none") else "7"
    stated = {"slip": "other", "wrong-op": "axb", "operand": "operand", "cut-wrong": "axb"}.get(kind, "none")
    correct = kind.startswith("right")
    return EvalRow(
        id=key,
        category=category,
        prompt=f"{key}: 2 + 5?",
        answer="7",
        response="...",
        extracted=extracted,
        correct=correct,
        status="ok" if extracted else "no_answer",
        cut=kind in ("cut", "cut-wrong", "right-cut"),
        tokens=9,
        meta={"operation": "a+b", "answer_class": "right" if correct else stated},
    )


KINDS = ("right", "right-cut", "slip", "wrong-op", "operand", "cut", "cut-wrong", "none")


def rows(*kinds: str) -> list[EvalRow]:
    return [row(kind, key=str(i)) for i, kind in enumerate(kinds)]


PAIRS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)), min_size=1, max_size=40)


def test_outcomes_of_every_kind() -> None:
    states = ("right", "right", "wrong", "wrong", "wrong", "cut", "cut", "none")
    assert tuple(outcome(row(kind)) for kind in KINDS) == states
    assert outcome_states(rows(*KINDS)) == {"cut": 2, "none": 1, "wrong": 3, "right": 2}


def test_transitions_count_pairs() -> None:
    table = transitions(rows("cut", "cut", "none", "right"), rows("right", "slip", "right", "cut"))
    assert table["cut"] == {"cut": 0, "none": 0, "wrong": 1, "right": 1}
    assert table["none"]["right"] == 1
    assert table["right"]["cut"] == 1
    assert sum(sum(after.values()) for after in table.values()) == 4


@given(PAIRS)
def test_transition_margins_are_the_outcome_states(pairs: list[tuple[str, str]]) -> None:
    base, trained = rows(*(before for before, _ in pairs)), rows(*(after for _, after in pairs))
    table = transitions(base, trained)
    assert {state: sum(table[state].values()) for state in STATES} == outcome_states(base)
    assert {state: sum(table[before][state] for before in STATES) for state in STATES} == outcome_states(trained)


def test_found_times_right_by_hand() -> None:
    # base: found 2 of 4, right 1 of 2; trained: found 4 of 4, right 3 of 4.
    result = decomposition(rows("right", "slip", "none", "cut"), rows("right", "right", "right", "slip"))
    f, a = result.parts["found"], result.parts["right_given_found"]
    assert (f.base, f.trained, a.base, a.trained) == (0.5, 1.0, 0.5, 0.75)
    assert f.effect == pytest.approx(0.625 * 0.5)
    assert a.effect == pytest.approx(0.75 * 0.25)
    assert result.change == pytest.approx(0.5)


def test_operation_decomposition_by_hand() -> None:
    # base: 8 rows, finished 4, right operation 2 of 4, right 1 of 2. trained: 8 of 8, 6 of 8, 6 of 6.
    base = rows("right", "slip", "wrong-op", "operand", "cut", "cut-wrong", "none", "none")
    trained = rows("right", "right", "right", "right-cut", "right", "right", "wrong-op", "operand")
    parts = operation_decomposition(base, trained).parts
    assert [(part.base, part.trained) for part in parts.values()] == [(0.5, 1.0), (0.5, 0.75), (0.5, 1.0)]
    # finishing: .5 (.5*.5/3 + .75*1/3 + (.5*1 + .75*.5)/6) = .5 * .479167
    assert parts["finishing"].effect == pytest.approx(0.2395833)
    # operation: .25 (.5*.5/3 + 1*1/3 + (.5*1 + 1*.5)/6) = .25 * .583333
    assert parts["operation"].effect == pytest.approx(0.1458333)
    assert parts["arithmetic"].effect == pytest.approx(0.2395833)
    assert sum(part.effect for part in parts.values()) == pytest.approx(6 / 8 - 1 / 8)


@pytest.mark.parametrize("decompose", [decomposition, operation_decomposition])
@given(pairs=PAIRS)
def test_effects_sum_to_the_change_and_flip_with_the_models(decompose, pairs: list[tuple[str, str]]) -> None:  # type: ignore[no-untyped-def]
    base, trained = rows(*(before for before, _ in pairs)), rows(*(after for _, after in pairs))
    there, back = decompose(base, trained), decompose(trained, base)
    assert sum(part.effect for part in there.parts.values()) == pytest.approx(there.change, abs=1e-12)
    assert there.change == pytest.approx(there.trained - there.base, abs=1e-12)
    assert there.base == pytest.approx(share(base, lambda item: item.correct).estimate)
    for name, part in there.parts.items():
        assert part.effect == pytest.approx(-back.parts[name].effect, abs=1e-12)


def test_a_model_that_never_finishes_owes_the_whole_gain_to_finishing() -> None:
    result = operation_decomposition(rows("cut", "none"), rows("right", "slip"))
    assert result.parts["finishing"].effect == pytest.approx(0.5)
    assert result.parts["arithmetic"].effect == 0
    assert result.as_dict()["descriptive"] is True
    assert set(json.loads(json.dumps(result.as_dict()))["parts"]) == {"finishing", "operation", "arithmetic"}


def test_nothing_found_twice_changes_nothing() -> None:
    result = decomposition(rows("cut"), rows("none"))
    assert (result.change, result.parts["right_given_found"].effect) == (0, 0)


def test_shapley_of_two_is_the_mean_of_the_other() -> None:
    assert shapley_product([0.2, 0.5], [0.6, 0.1]) == pytest.approx([0.4 * 0.3, -0.4 * 0.4])


def test_operation_table_shows_a_preferred_operation() -> None:
    base = [row("wrong-op", "1"), row("right", "2"), row("none", "3", "mul")]
    trained = [row("right", "1"), row("right", "2"), row("operand", "3", "mul")]
    table = operation_table(base, trained, own="add")
    assert table["own"] == table["categories"]["add"]
    assert table["own"]["base"] | {"axb": 1, "right": 1} == table["own"]["base"]
    assert table["own"]["trained"]["right"] == 2
    assert table["categories"]["mul"]["trained"]["operand"] == 1
    for counts in table["all"].values():
        assert list(counts) == list(CLASSES) and sum(counts.values()) == 3


def test_answers_of_tasks_without_classes_are_other_or_none() -> None:
    base = [replace(row("slip", "1"), meta={}), replace(row("none", "2"), meta={})]
    counts = operation_table(base, base)["all"]["base"]
    assert (counts["other"], counts["none"], counts["right"]) == (1, 1, 0)


def test_a_users_score_was_found() -> None:
    """A user's function that gives a score and no extracted answer: found here as in the summary."""
    scored = [replace(each, meta={"score": 0.0}) for each in rows("none", "cut")]
    assert [found(each) for each in scored] == [answered(each) for each in scored] == [True, True]
    assert [finished(each) for each in scored] == [True, False]
    assert [outcome(each) for each in scored] == ["wrong", "cut"]
    assert answer_class(scored[0]) == "other"
    right = [replace(each, extracted=None, meta={"score": 1.0}) for each in rows("right", "right")]
    assert decomposition(scored, right).parts["found"].effect == 0
    assert transitions(scored, right)["wrong"]["right"] == 1


def test_share_of_answers_found() -> None:
    interval = share(rows("right", "slip", "none", "cut"), found)
    assert (interval.estimate, interval.n) == (0.5, 4)
