"""Problems to scored groups, with a scripted engine."""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.rollout.collect import collect
from oneshot.types import Completion, Problem, Sampling, Verdict

ADD = Problem(id="add", prompt="2 + 2", answer="4")
MUL = Problem(id="mul", prompt="2 × 3", answer="6")


class Scripted:
    """Answers the sample number; notes what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[tuple[int, ...]] = []
        self.streams: list[tuple[int, int]] = []

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        self.prompts, self.streams = [tuple(p) for p in prompts], list(streams)
        return [
            Completion(tokens=(number,), logprobs=(-0.5,), text=str(number), finished=True) for _, number in streams
        ]


def render(problem: Problem) -> tuple[int, ...]:
    return (1, 2) if problem is ADD else (3,)


class Equal:
    """Correct when the text is the reference; notes what it saw."""

    name = "equal"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, response: str, reference: str) -> Verdict:
        self.seen.append((response, reference))
        return Verdict(correct=response == reference, extracted=response, method="exact")


def test_groups_streams_and_rewards() -> None:
    engine, verify = Scripted(), Equal()
    groups = collect(engine, [ADD, MUL, ADD], render, verify, Sampling(), 9, group_size=3, version=5)
    assert engine.prompts == [(1, 2)] * 3 + [(3,)] * 3 + [(1, 2)] * 3
    assert engine.streams == [(9, number) for number in range(9)]
    # One group an occurrence: the two of ADD are two groups with ids of their own.
    assert [(g.id, g.problem.id, g.prompt_tokens, g.policy_version) for g in groups] == [
        (0, "add", (1, 2), 5),
        (1, "mul", (3,), 5),
        (2, "add", (1, 2), 5),
    ]
    assert [[c.text for c in g.completions] for g in groups] == [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"]]
    assert [[c.reward for c in g.completions] for g in groups] == [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert verify.seen == [(str(n), "6" if 3 <= n < 6 else "4") for n in range(9)]


def test_the_reward_is_one_where_the_verdict_is_correct() -> None:
    (group,) = collect(Scripted(), [ADD], render, Equal(), Sampling(), 0, group_size=8)
    assert [c.reward for c in group.completions] == [0, 0, 0, 0, 1, 0, 0, 0]
    assert [c.verdict.correct for c in group.completions if c.verdict] == [c.reward == 1 for c in group.completions]
