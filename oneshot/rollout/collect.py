"""Problems to scored groups: render, sample, verify; and again, where asked for, until the groups' rewards differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from oneshot.errors import DataError
from oneshot.types import Engine, Group, Problem, Sampling, Verdict, Verifier

Render = Callable[[Problem], tuple[int, ...]]

FAILED = ("error", "timeout", "memory")
"""Statuses with which a user's function gives no reward at all."""


def graded(verify: Verifier, response: str, reference: str, where: str) -> Verdict:
    """The verdict on one response, with the seconds it took.

    A grader of ours that fails counts as wrong. One with a true `fatal` (a user's function) ends the work instead:
    learning from a reward that failed would be learning from garbage.

    Raises:
        DataError: E305 when a `fatal` grader failed, naming the function and `where`.
    """
    start = time.perf_counter()
    verdict = verify(response, reference)
    if verdict.status in FAILED and getattr(verify, "fatal", False):
        said = verdict.message or f"{verify.name} gave no score"
        raise DataError(
            f"the reward failed at {where} (status {verdict.status}): {said}",
            code="E305",
            tries=(f"oneshot check {verify.name}",),
        )
    return replace(verdict, seconds=time.perf_counter() - start)


def collect(
    engine: Engine,
    problems: Sequence[Problem],
    render: Render,
    verify: Verifier,
    sampling: Sampling,
    step: int,
    *,
    group_size: int,
    version: int = 0,
    first: int = 0,
    at: str = "",
    check: Callable[[], None] = lambda: None,
) -> list[Group]:
    """One group of `group_size` scored responses per problem *occurrence*; group ids count occurrences.

    The reward sees the response text only. Response `s` of group `g` draws from stream
    (step, first + g · group_size + s). `at` is what an error says instead of the step; `check` is called before each
    verdict and may raise.

    Raises:
        DataError: E305 as in `graded`, with step, group and sample.
    """
    prompts = [render(p) for p in problems]
    requests = [prompt for prompt in prompts for _ in range(group_size)]
    streams = [(step, first + i) for i in range(len(requests))]
    completions = engine.generate(requests, sampling, streams)
    scored = []
    for i, completion in enumerate(completions):
        check()
        group, sample = divmod(i, group_size)
        where = f"{at or f'step {step}'}, group {group}, sample {sample}"
        scored.append(completion.scored(graded(verify, completion.text, problems[group].answer, where)))
    return [
        Group(
            id=g,
            problem=problem,
            prompt_tokens=prompts[g],
            completions=tuple(scored[g * group_size : (g + 1) * group_size]),
            policy_version=version,
        )
        for g, problem in enumerate(problems)
    ]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What one step sampled."""

    groups: list[Group]
    """One a problem occurrence: what is learned from."""
    dropped: list[Group] = field(default_factory=list)
    """Groups with equal rewards that were sampled again, in the order drawn."""
    rounds: int = 1

    @property
    def everything(self) -> list[Group]:
        """All samples. Rates are counted over them: the kept groups are chosen for having both right and wrong."""
        return [*self.groups, *self.dropped]

    def metrics(self) -> dict[str, float]:
        """Rounds, groups dropped, groups that were kept though their rewards are equal, and all responses."""
        return {
            "rollout/rounds": float(self.rounds),
            "rollout/dropped_groups": float(len(self.dropped)),
            "rollout/equal_groups": float(sum(map(equal_rewards, self.groups))),
            "rollout/responses": float(sum(len(group.completions) for group in self.everything)),
        }


def equal_rewards(group: Group) -> bool:
    """All its responses earned the same, so that none is better than another."""
    return len({completion.reward for completion in group.completions}) == 1


def until_they_differ(sample: Callable[..., list[Group]], problems: Sequence[Problem], *, most: int) -> Drawn:
    """DAPO's dynamic sampling (Yu et al. 2025, arXiv:2503.14476): groups with equal rewards are dropped and redrawn.

    A round samples one group for each occurrence that has none with differing rewards yet, and the first such group is
    kept. After `most` rounds an occurrence keeps its last group whatever its rewards are, so a step always has as many
    groups. Departure from the paper, which goes on to other prompts: the same problem is sampled again, because with
    one example there is no other. With `most` 1 this is plain sampling.

    Args:
        sample: `collect` with all but the problems and `first` given.
        problems: of the step, one an occurrence.
        most: rounds, the first included.
    """
    kept: dict[int, Group] = {}
    dropped: list[Group] = []
    waiting, used, rounds = list(range(len(problems))), 0, 0
    while waiting and rounds < most:
        dropped += [kept[place] for place in waiting if rounds]
        drawn = sample([problems[place] for place in waiting], first=used)
        used += sum(len(group.completions) for group in drawn)
        kept |= {place: replace(group, id=place) for place, group in zip(waiting, drawn, strict=True)}
        waiting, rounds = [place for place in waiting if equal_rewards(kept[place])], rounds + 1
    return Drawn(groups=[kept[place] for place in range(len(problems))], dropped=dropped, rounds=rounds)
