"""The built-in task: seeded arithmetic of eight kinds in eight wordings each, answers classed by operation.

The generator knows operands and operation, so an answer can be classed as `right`, another operation's result, an
operand, or something else: the table before/after then shows whether a model learned to calculate or to prefer one
operation (design: docs/design.md). Train, dev and test are disjoint by construction: a hash of (task seed, kind, set of
operands) puts each operand set into exactly one split, and two wordings of each kind occur only in test.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oneshot.data.tasks.wordings import NAMES, PLACES, SHARED, THINGS, WORDINGS
from oneshot.types import Problem

SPLITS = {"train": (0,), "dev": (1,), "test": (2, 3)}
"""Which residues modulo 4 of the operand hash belong to which split: a quarter, a quarter, a half."""

Operands = tuple[int, ...]

SMALL = tuple(range(2, 13))
TIMES = (*SMALL, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100)
"""Factors whose products a small model knows: what is learned should be which operation, not the product."""


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its operation and the operand sets it may use."""

    name: str
    operation: str
    result: Callable[[Operands], int]
    operands: Callable[[], Iterator[Operands]]


def _pairs(
    first: Sequence[int], second: Sequence[int], keep: Callable[[int, int], bool] = lambda a, b: True
) -> list[Operands]:
    return [(a, b) for a, b in itertools.product(first, second) if keep(a, b)]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("add_bare", "a+b", lambda o: o[0] + o[1], lambda: iter(_pairs(range(2, 17), range(2, 17)))),
        Kind("sub_bare", "a-b", lambda o: o[0] - o[1], lambda: iter(_pairs(range(6, 31), range(2, 29), _less))),
        Kind("mul_bare", "axb", lambda o: o[0] * o[1], lambda: iter(_pairs(SMALL, TIMES))),
        Kind("add_word", "a+b", lambda o: o[0] + o[1], lambda: iter(_pairs(range(2, 17), range(2, 17)))),
        Kind("sub_word", "a-b", lambda o: o[0] - o[1], lambda: iter(_pairs(range(6, 31), range(2, 29), _less))),
        Kind("mul_word", "axb", lambda o: o[0] * o[1], lambda: iter(_pairs(SMALL, TIMES))),
        Kind(
            "div_word",
            "a/b",
            lambda o: o[0] // o[1],
            lambda: ((q * b, b) for q, b in _pairs(SMALL, SMALL)),
        ),
        Kind(
            "two_step",
            "axb+c",
            lambda o: o[0] * o[1] + o[2],
            lambda: iter((a, b, c) for (a, b), c in itertools.product(_pairs(range(2, 7), range(2, 7)), range(2, 13))),
        ),
    )
}


def _less(a: int, b: int) -> bool:
    return a - b >= 2


def split_of(kind: str, operands: Operands, task_seed: int) -> str:
    """The one split an operand set belongs to; the order of the operands does not matter."""
    key = f"{task_seed}|{kind}|{','.join(map(str, sorted(operands)))}"
    residue = hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % 4
    return next(name for name, residues in SPLITS.items() if residue in residues)


def make(kind: str, operands: Operands, wording: int, names: random.Random, split: str) -> Problem:
    """One problem. `names` draws the people and things; they carry no information about the answer."""
    name, other = names.sample(NAMES, 2)
    slots = dict(zip("abc", operands, strict=False))
    text = WORDINGS[kind][wording].format(
        **slots, name=name, other=other, thing=names.choice(THINGS), place=names.choice(PLACES)
    )
    answer = str(KINDS[kind].result(operands))
    digest = hashlib.blake2b(text.encode(), digest_size=3).hexdigest()
    meta = {"kind": kind, "wording": wording, "split": split, "operation": KINDS[kind].operation}
    return Problem(
        id=f"{kind}-{'-'.join(map(str, operands))}-w{wording}-{digest}",
        prompt=text,
        answer=answer,
        category=kind,
        meta={**meta, "operands": list(operands), "rungs": []},
    )


def problems(
    split: str, kind: str, count: int, *, task_seed: int, wordings: tuple[int, ...], avoid_answer: str = ""
) -> list[Problem]:
    """`count` problems of one kind and split, wordings in turn, operand sets distinct while there are enough.

    Args:
        split: train, dev or test.
        kind: a key of `KINDS`.
        count: how many.
        task_seed: the task's seed; it also decides which operand sets belong to which split.
        wordings: indices into `WORDINGS[kind]`; the last two may only be used in test.
        avoid_answer: problems with this answer are left out (the training example's answer, in test).
    """
    assert split == "test" or max(wordings) < SHARED, "the last wordings occur only in test"
    draw = random.Random(f"{task_seed}|{split}|{kind}|{wordings}")
    pool = [o for o in KINDS[kind].operands() if split_of(kind, o, task_seed) == split]
    pool = [o for o in pool if str(KINDS[kind].result(o)) != avoid_answer]
    draw.shuffle(pool)
    turns = itertools.islice(itertools.cycle(pool), count)
    return [make(kind, o, wordings[i % len(wordings)], draw, split) for i, o in enumerate(turns)]


def candidates(task_seed: int, kind: str, count: int) -> list[Problem]:
    """Candidates for the one training example, from the train split.

    Only problems whose answer no other single operation on their operands gives: a reward then says which was done.
    """
    pool = problems("train", kind, 4 * count, task_seed=task_seed, wordings=tuple(range(SHARED)))
    return [p for p in pool if not _ambiguous(p)][:count]


def _ambiguous(problem: Problem) -> bool:
    operands = tuple(int(o) for o in problem.meta["operands"])
    answer = Fraction(problem.answer)
    own = problem.meta["operation"]
    others = [value for name, values in _results(operands).items() if name != own for value in values]
    return answer in others or answer in operands


def dev_set(task_seed: int, own_kind: str, *, own: int = 16, other: int = 4) -> list[Problem]:
    """Held-out problems for curves and tuning: `own` of the example's kind and `other` of each other kind."""
    shared = tuple(range(SHARED))
    rows = []
    for kind in KINDS:
        count = own if kind == own_kind else other
        rows += [
            _rung(p, "own_kind" if kind == own_kind else "other_kinds")
            for p in problems("dev", kind, count, task_seed=task_seed, wordings=shared)
        ]
    return rows


def test_set(
    task_seed: int, example: Problem, *, own: int = 120, other: int = 15, paraphrases: int = 14
) -> list[Problem]:
    """The ladder of generalisation from one example; read once, after training.

    Rungs (a problem may stand on several): `paraphrase` the example's own numbers in other wordings (its answer is
    the example's by definition; everywhere else no answer equals it) · `same_wording` new numbers in the example's
    wording · `new_wording` wordings that occur only in test · `own_kind` the two former and more, half in test-only
    wordings · `other_kinds`.
    """
    kind, wording = str(example.meta["kind"]), int(example.meta["wording"])
    new = tuple(range(SHARED, len(WORDINGS[kind])))
    rest = tuple(w for w in range(SHARED) if w != wording)
    shared = tuple(itertools.chain.from_iterable((wording, r) for r in rest))
    half = own // 2
    own_rows = problems("test", kind, own, task_seed=task_seed, wordings=(0,), avoid_answer=example.answer)
    draw = random.Random(f"{task_seed}|ladder|{kind}")
    rows: list[Problem] = []
    for i, row in enumerate(own_rows):
        use = new[i % len(new)] if i < half else shared[i % len(shared)]
        made = _rung(_unlike(rows, kind, tuple(row.meta["operands"]), use, draw), "own_kind")
        made = _rung(made, "new_wording") if use in new else made
        rows.append(_rung(made, "same_wording") if use == wording else made)
    told: list[Problem] = []
    for use in itertools.islice(itertools.cycle(rest + new), paraphrases):
        told.append(_rung(_unlike(told, kind, tuple(example.meta["operands"]), use, draw), "paraphrase"))
    # Wordings without names are soon used up, and the same problem twice would count twice.
    rows += {problem.id: problem for problem in told}.values()
    every = tuple(range(len(WORDINGS[kind])))
    for name in KINDS:
        if name != kind:
            others = problems("test", name, other, task_seed=task_seed, wordings=every, avoid_answer=example.answer)
            rows += [_rung(p, "other_kinds") for p in others]
    return rows


def _unlike(others: Sequence[Problem], kind: str, operands: Operands, wording: int, draw: random.Random) -> Problem:
    """A test problem whose id no other one has, if drawing other names can achieve that."""
    taken = {problem.id for problem in others}
    made = make(kind, operands, wording, draw, "test")
    for _ in range(50):
        if made.id not in taken:
            break
        made = make(kind, operands, wording, draw, "test")
    return made


def _rung(problem: Problem, rung: str) -> Problem:
    meta = {**problem.meta, "rungs": [*problem.meta["rungs"], rung]}
    return Problem(id=problem.id, prompt=problem.prompt, answer=problem.answer, category=problem.category, meta=meta)


def answer_class(meta: Mapping[str, Any], answer: Fraction | None) -> str:
    """Which operation an answer is the result of: right, a+b, a-b, axb, a/b, operand, other or none.

    `right` comes first, so a wrong operation that happens to give the reference counts as right. Two-operand results
    are tried on every ordered pair of the problem's operands.
    """
    if answer is None:
        return "none"
    operands = tuple(int(o) for o in meta["operands"])
    if answer == KINDS[str(meta["kind"])].result(operands):
        return "right"
    for name, values in _results(operands).items():
        if answer in values:
            return name
    return "operand" if answer in operands else "other"


def _results(operands: Operands) -> dict[str, set[Fraction]]:
    """What each single operation gives on any ordered pair of the operands."""
    pairs = list(itertools.permutations(operands, 2))
    return {
        "a+b": {Fraction(x + y) for x, y in pairs},
        "a-b": {Fraction(x - y) for x, y in pairs},
        "axb": {Fraction(x * y) for x, y in pairs},
        "a/b": {Fraction(x, y) for x, y in pairs},
    }
