"""What the training responses look like, step by step: reflection words, repeated tails, boxes. One pass, streamed.

Rollout files are large (every token and its log-probability), so each is read once, one at a time, and of a long run
only so many, evenly spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.errors import OneshotError
from oneshot.measure.reflection import Seen, by_word, count, per_1000
from oneshot.measure.run_facts import WRONG_FORM, RunFacts, section
from oneshot.measure.statistics import wilson
from oneshot.measure.tails import repeated_tail
from oneshot.rewards.extract import boxed_answer

MOST_RESPONSES = 10_000
"""Training responses that are read, about."""
MOST_STEPS = 200
"""Steps whose responses are read, at most."""
_GUESS = 32
"""Responses a step where the configuration does not say."""


@dataclass(frozen=True, kw_only=True)
class StepText:
    """The responses of one training step."""

    step: int
    responses: int
    tokens: int
    seen: tuple[Seen, ...]
    """Reflection words of each response."""
    repeated: int
    """Responses that end in a repeated tail (`tails.repeated_tail`)."""
    boxed: int
    """Responses with a complete box that holds something, right or wrong."""

    def reflection(self) -> dict[str, Any]:
        """Share of responses with a word, Wilson's interval over the step's samples, occurrences per 1,000 tokens."""
        with_words = sum(each.any for each in self.seen)
        found = wilson(with_words, self.responses)
        return {
            "step": self.step,
            "responses": self.responses,
            "with_words": with_words,
            "share": found.estimate,
            "ci_low": found.low,
            "ci_high": found.high,
            "per_1000_tokens": per_1000(sum(sum(each.counts) for each in self.seen), self.tokens),
        }


def chosen_steps(steps: Sequence[int], responses: int) -> list[int]:
    """The steps to read, of `responses` each: all, or so many that the limits hold, the first and the last too."""
    most = max(2, min(MOST_STEPS, MOST_RESPONSES // max(1, responses)))
    if len(steps) <= most:
        return list(steps)
    return sorted({steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)})


def read_training(facts: RunFacts, words: Sequence[str]) -> tuple[list[StepText], list[str]]:
    """(what the steps that were read hold, sentences about what was not)."""
    try:
        recorded = facts.run.rollout_steps()
    except WRONG_FORM as error:
        return [], [f"The training responses could not be listed ({error!r})."]
    if not recorded:
        return [], ["No training responses are recorded, so their words, boxes and repetitions were not counted."]
    rollout = section(facts.config, "rollout")
    each = int(rollout.get("groups") or 0) * int(rollout.get("group_size") or 0) or _GUESS
    chosen = chosen_steps(recorded, each)
    missing: list[str] = []
    if len(chosen) < len(recorded):
        missing.append(
            f"Of the training responses those of {len(chosen)} of {len(recorded)} steps were read, evenly spread."
        )
    return list(_steps(facts, chosen, words, missing)), missing


def _steps(facts: RunFacts, steps: Sequence[int], words: Sequence[str], missing: list[str]) -> Iterator[StepText]:
    for step in steps:
        try:
            found = _read(step, facts.run.rollouts(step), words)
        except OneshotError as error:
            missing.append(f"The training responses of step {step} could not be read: {error.message}")
        except WRONG_FORM as error:
            missing.append(f"The training responses of step {step} are of another form ({error!r}).")
        else:
            if found.responses:
                yield found


def _read(step: int, rows: Sequence[dict[str, Any]], words: Sequence[str]) -> StepText:
    texts = [str(row["text"]) for row in rows]
    return StepText(
        step=step,
        responses=len(rows),
        tokens=sum(len(row["tokens"]) for row in rows),
        seen=tuple(count(text, words) for text in texts),
        repeated=sum(map(repeated_tail, texts)),
        boxed=sum(bool((boxed_answer(text) or "").strip()) for text in texts),
    )


def words_of(steps: Sequence[StepText], words: Sequence[str]) -> dict[str, dict[str, int]]:
    """`by_word` over all steps that were read."""
    return by_word([each for step in steps for each in step.seen], words)
