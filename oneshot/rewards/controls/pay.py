"""What a control arm pays instead of the real reward: pure functions of a step's graded groups. Loads no torch.

`verdict` of a response always stays the true one, so accuracies and the history stay true: only `reward` changes.
Random numbers are keyed by (run seed, step, group, sample), so a resumed run is the same run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from oneshot.rewards.answers.compare import same
from oneshot.types import Completion, Group, Verdict

Pay = Callable[[int, Sequence[Group]], list[Group]]
"""(step, groups as graded) -> the same groups with other rewards; group ids are unique within the step."""
Score = Callable[[str, str], float]
"""(response, label) -> what the run's grader pays for it."""

STREAM = 7
"""Last word of the key of a control arm's random numbers: the sampler's keys are shorter, so none is used twice."""
COMPARED = 16
"""Most frequent kinds of answer that another one is compared with; one beyond them stands for its own text."""


def identity(step: int, groups: Sequence[Group]) -> list[Group]:
    """The rewards as graded."""
    return list(groups)


def keyed(seed: int, step: int, group: int, sample: int) -> float:
    """A number in [0, 1) that nothing but these four decides."""
    sequence = np.random.SeedSequence([seed, step, group, sample, STREAM])
    return float(np.random.Generator(np.random.Philox(sequence)).random())


def repaid(group: Group, rewards: Iterable[float]) -> Group:
    """The group with other rewards and the same verdicts."""
    paid = (replace(c, reward=float(r)) for c, r in zip(group.completions, rewards, strict=True))
    return replace(group, completions=tuple(paid))


def each(reward: Callable[[Group, Completion], float]) -> Pay:
    """Pays each response by itself."""
    return lambda step, groups: [repaid(g, [reward(g, c) for c in g.completions]) for g in groups]


def shuffled(seed: int, *, across: bool = False) -> Pay:
    """The rewards of a group, permuted among its responses: sorted by a keyed number of each.

    `across`: permuted among all responses to a problem in the step, for a credit that compares a response with more
    than its own group. There a group's luck would stay with its responses: 1/8 of what is learned, in groups of 8.
    """

    def permuted(step: int, groups: Sequence[Group]) -> list[Group]:
        keys = [keyed(seed, step, group.id, sample) for group in groups for sample in range(len(group.completions))]
        rewards = [c.reward for group in groups for c in group.completions]
        moved = iter([rewards[i] for i in sorted(range(len(keys)), key=keys.__getitem__)])
        return [repaid(group, [next(moved) for _ in group.completions]) for group in groups]

    def paid(step: int, groups: Sequence[Group]) -> list[Group]:
        together: dict[str | int, list[Group]] = {}
        for group in groups:
            together.setdefault(group.problem.id if across else group.id, []).append(group)
        found = {group.id: group for each in together.values() for group in permuted(step, each)}
        return [found[group.id] for group in groups]

    return paid


def coin(seed: int) -> Pay:
    """Bernoulli(.5), independent of everything."""

    def tossed(step: int, group: Group) -> list[float]:
        return [float(keyed(seed, step, group.id, sample) < 0.5) for sample in range(len(group.completions))]

    return lambda step, groups: [repaid(group, tossed(step, group)) for group in groups]


def against(labels: Mapping[str, str], score: Score) -> Pay:
    """What the grader pays against another label, by problem id; nothing where a problem has none."""

    def paid(group: Group, completion: Completion) -> float:
        wanted = labels.get(group.problem.id, "")
        return score(completion.text, wanted) if wanted else 0.0

    return each(paid)


def form(rule: Callable[[Completion], bool]) -> Pay:
    """1 for the form, whatever the answer."""
    return each(lambda group, completion: float(rule(completion)))


def right_only(step: int, groups: Sequence[Group]) -> list[Group]:
    """1 for a right response, 0 for another: what is imitated weighs the same, whatever score it had."""
    return each(lambda group, completion: float(completion.verdict is not None and completion.verdict.correct))(
        step, groups
    )


def majority(step: int, groups: Sequence[Group]) -> list[Group]:
    """1 for the answer given most often to a problem in all its groups; where two are, or there is none, nobody."""
    said: dict[str, list[str]] = {}
    for group in groups:
        said.setdefault(group.problem.id, []).extend(filter(None, map(_answer, group.completions)))
    kinds = {problem: alike(texts) for problem, texts in said.items()}
    chosen = {problem: _most(Counter(kinds[problem][text] for text in texts)) for problem, texts in said.items()}

    def paid(group: Group, completion: Completion) -> float:
        wanted, text = chosen[group.problem.id], _answer(completion)
        return float(wanted != "" and text != "" and kinds[group.problem.id][text] == wanted)

    return each(paid)(step, groups)


def _most(counted: Counter[str]) -> str:
    """The most frequent one; "" where there is none, or two."""
    first = counted.most_common(2)
    return "" if not first or (len(first) == 2 and first[0][1] == first[1][1]) else first[0][0]


def _answer(completion: Completion) -> str:
    """The answer that the grader found; "" where it found none."""
    found = completion.verdict.extracted if completion.verdict is not None else None
    return (found or "").strip()


def alike(texts: Iterable[str]) -> dict[str, str]:
    """Each distinct answer -> the one that stands for it: of those that mean the same, the most frequent text."""
    heads: list[str] = []
    found: dict[str, str] = {}
    for text, _ in Counter(texts).most_common():
        found[text] = next((head for head in heads[:COMPARED] if same(text, head).equal), text)
        if found[text] == text:
            heads.append(text)
    return found


def wrong_answers(groups: Sequence[Group], usable: Callable[[str], bool]) -> dict[str, str]:
    """Problem id -> the most frequent wrong answer of its samples (the earlier of two), where there is one.

    Answers that could not be compared with the reference are left out, and those that no response could match
    (`usable`).
    """
    said: dict[str, list[str]] = {}
    for group in groups:
        texts = [_answer(c) for c in group.completions if c.verdict is not None and _is_wrong(c.verdict)]
        said.setdefault(group.problem.id, []).extend(filter(None, texts))
    found = {}
    for problem, texts in said.items():
        kinds = alike(texts)
        ordered = Counter(kinds[text] for text in texts).most_common()
        if wanted := next((text for text, _ in ordered if usable(text)), ""):
            found[problem] = wanted
    return found


def _is_wrong(verdict: Verdict) -> bool:
    return not verdict.correct and verdict.status == "ok"


def unguessable(problem: str, answer: str) -> str:
    """A whole number of seven digits that follows from the problem's id and is not its answer.

    The paper's is 9292725 (Table 5).
    """
    for attempt in count():
        digest = hashlib.sha256(f"{problem}\0{attempt}".encode()).digest()
        number = str(1_000_000 + int.from_bytes(digest[:8], "big") % 9_000_000)
        if not same(number, answer).equal:
            return number
    raise AssertionError("unreachable")
