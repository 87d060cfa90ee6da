"""The built-in task: disjoint splits, right answers, classes of wrong ones, and the ladder of its test."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest

from oneshot.data.tasks import builtin
from oneshot.data.tasks.wordings import SHARED, WORDINGS
from oneshot.types import Problem

KINDS = tuple(WORDINGS)
SEEDS = (0, 1, 7, 100, 12345)
C_FIRST = (2, 7)  # wordings of two_step in which the summand is named before the factors


def example(seed: int, kind: str) -> Problem:
    return builtin.candidates(seed, kind, 24)[0]


def operand_sets(problems: Sequence[Problem]) -> set[tuple[str, frozenset[tuple[int, int]]]]:
    """(kind, operands in any order) of each problem."""
    return {(p.meta["kind"], frozenset(Counter(p.meta["operands"]).items())) for p in problems}


def on(problems: Sequence[Problem], rung: str) -> list[Problem]:
    return [p for p in problems if rung in p.meta["rungs"]]


def solved(problem: Problem) -> int:
    """The answer worked out from the sentence alone."""
    kind = problem.meta["kind"]
    numbers = [int(n) for n in re.findall(r"\d+", problem.prompt)]
    if kind == "two_step":
        summand = 0 if problem.meta["wording"] in C_FIRST else 2
        first, second = (n for i, n in enumerate(numbers) if i != summand)
        return first * second + numbers[summand]
    small, large = sorted(numbers)
    if kind.startswith("div"):
        assert large % small == 0
        return large // small
    return {"add": small + large, "sub": large - small, "mul": small * large}[kind[:3]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_operands_are_in_two_splits(kind: str, seed: int) -> None:
    train = operand_sets(builtin.problems("train", kind, 500, task_seed=seed, wordings=(0,)))
    dev = operand_sets(builtin.dev_set(seed, kind, own=500, other=500))
    ladder = builtin.test_set(seed, example(seed, kind))
    test = operand_sets([p for p in ladder if "paraphrase" not in p.meta["rungs"]])
    assert operand_sets([example(seed, kind)]) <= train
    assert not train & dev
    assert not train & test
    assert not dev & test


def test_every_operand_set_has_its_split_and_order_does_not_matter() -> None:
    for kind in KINDS:
        for operands in builtin.KINDS[kind].operands():
            split = builtin.split_of(kind, operands, 3)
            assert split in builtin.SPLITS
            assert split == builtin.split_of(kind, operands[::-1], 3)


def test_another_task_seed_deals_the_operands_anew() -> None:
    pairs = list(builtin.KINDS["mul_word"].operands())
    here, there = ([builtin.split_of("mul_word", o, seed) for o in pairs] for seed in (0, 1))
    assert sum(a != b for a, b in zip(here, there, strict=True)) / len(pairs) > 0.2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_ladder_of_the_test_set(kind: str, seed: int) -> None:
    chosen = example(seed, kind)
    rows = builtin.test_set(seed, chosen)
    own, new = on(rows, "own_kind"), on(rows, "new_wording")
    assert max(Counter(p.id for p in rows).values()) == 1
    assert len({p.prompt for p in rows}) == len(rows)
    assert {p.meta["split"] for p in rows} == {"test"}
    # Own kind: at least 120, half of them in wordings that occur only here.
    assert len(own) >= 120
    assert 2 * len(new) == len(own)
    assert all(p in own and p.meta["wording"] >= SHARED for p in new)
    assert all(p.meta["wording"] < SHARED for p in own if p not in new)
    # Same wording: new numbers in the example's own words.
    same = on(rows, "same_wording")
    assert len(same) >= 15
    assert all(p in own and p.meta["wording"] == chosen.meta["wording"] for p in same)
    # Paraphrase: the example's numbers in other words.
    told = on(rows, "paraphrase")
    assert len(told) >= 7
    assert {tuple(p.meta["operands"]) for p in told} == {tuple(chosen.meta["operands"])}
    assert chosen.meta["wording"] not in {p.meta["wording"] for p in told}
    # Every other kind, and nothing else.
    others = Counter(p.category for p in on(rows, "other_kinds"))
    assert set(others) == set(KINDS) - {kind}
    assert min(others.values()) >= 15
    assert len(rows) == len(own) + len(told) + others.total()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_test_answer_is_the_examples_but_on_the_paraphrase_rung(kind: str, seed: int) -> None:
    chosen = example(seed, kind)
    for problem in builtin.test_set(seed, chosen):
        assert (problem.answer == chosen.answer) == (problem.meta["rungs"] == ["paraphrase"]), problem


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_right(kind: str) -> None:
    rows = [*builtin.candidates(0, kind, 24), *builtin.dev_set(0, kind), *builtin.test_set(0, example(0, kind))]
    for problem in rows:
        assert problem.answer == str(solved(problem)), problem.prompt
        assert int(problem.answer) > 0


def test_dev_and_candidates_use_no_wording_of_the_test() -> None:
    for kind in KINDS:
        rows = [*builtin.candidates(5, kind, 24), *builtin.dev_set(5, kind)]
        assert {p.meta["wording"] for p in rows} == set(range(SHARED))
    with pytest.raises(AssertionError):
        builtin.problems("dev", "add_bare", 1, task_seed=0, wordings=(SHARED,))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_only_one_operation_gives_a_candidates_answer(kind: str, seed: int) -> None:
    rows = builtin.candidates(seed, kind, 24)
    assert len(rows) == 24
    assert len({p.id for p in rows}) == 24
    for problem in rows:
        operands, answer = problem.meta["operands"], Fraction(problem.answer)
        pairs = [(Fraction(x), Fraction(y)) for i, x in enumerate(operands) for j, y in enumerate(operands) if i != j]
        values = {"a+b": [x + y for x, y in pairs], "a-b": [x - y for x, y in pairs]}
        values |= {"axb": [x * y for x, y in pairs], "a/b": [x / y for x, y in pairs]}
        giving = [name for name, results in values.items() if answer in results]
        assert giving == ([] if kind == "two_step" else [problem.meta["operation"]])
        assert answer not in operands


CLASSES = [  # operands 12 and 4
    (Fraction(16), "a+b"),
    (Fraction(8), "a-b"),
    (Fraction(-8), "a-b"),
    (Fraction(48), "axb"),
    (Fraction(3), "a/b"),
    (Fraction(1, 3), "a/b"),
    (Fraction(12), "operand"),
    (Fraction(4), "operand"),
    (Fraction(7), "other"),
    (Fraction(161, 10), "other"),
    (None, "none"),
]
OWN = {"add_word": 16, "sub_bare": 8, "mul_word": 48, "div_word": 3}


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(("answer", "named"), CLASSES)
def test_the_class_of_an_answer(kind: str, answer: Fraction | None, named: str) -> None:
    meta = {"kind": kind, "operands": [12, 4]}
    assert builtin.answer_class(meta, answer) == ("right" if answer == OWN[kind] else named)


def test_right_wins_where_two_operations_give_the_reference() -> None:
    assert builtin.answer_class({"kind": "mul_word", "operands": [2, 2]}, Fraction(4)) == "right"  # 2 + 2 too
    assert builtin.answer_class({"kind": "sub_word", "operands": [8, 4]}, Fraction(4)) == "right"  # an operand too
    assert builtin.answer_class({"kind": "two_step", "operands": [3, 5, 4]}, Fraction(19)) == "right"
    assert builtin.answer_class({"kind": "two_step", "operands": [3, 5, 4]}, Fraction(15)) == "axb"
    assert builtin.answer_class({"kind": "two_step", "operands": [3, 5, 4]}, Fraction(9)) == "a+b"


def test_the_same_in_every_process() -> None:
    code = (
        "from oneshot.data.tasks import builtin as b\n"
        "rows = [*b.dev_set(0, 'mul_word'), *b.test_set(0, b.candidates(0, 'mul_word', 24)[0])]\n"
        "import sys; assert 'torch' not in sys.modules\n"
        "print(repr(rows), end='')"
    )
    told = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
        told.append(hashlib.sha256(done.stdout).hexdigest())
    own = [*builtin.dev_set(0, "mul_word"), *builtin.test_set(0, example(0, "mul_word"))]
    assert told == [hashlib.sha256(repr(own).encode()).hexdigest()] * 2
