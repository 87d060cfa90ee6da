"""What the training responses look like, step by step: reflection words, repeated tails, boxes. One pass, streamed.

Rollout files are large (every token and its log-probability), so each is read once and a response at a time, of a long
run only so many of them, evenly spread, and of very large steps only every so many responses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.errors import OneshotError
from oneshot.measure.reflection import count, per_1000
from oneshot.measure.run_facts import WRONG_FORM, RunFacts, responses_of
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
    """The responses of one training step that were read; counts alone, so that any number of them fits."""

    step: int
    responses: int
    tokens: int
    with_words: int
    """Responses with a reflection word."""
    holding: tuple[int, ...]
    """Of each word, the responses that hold it."""
    counts: tuple[int, ...]
    """Of each word, its occurrences."""
    repeated: int
    """Responses that end in a repeated tail (`tails.repeated_tail`)."""
    boxed: int
    """Responses with a complete box that holds something, right or wrong."""

    def reflection(self) -> dict[str, Any]:
        """Share of responses with a word, Wilson's interval over the step's samples, occurrences per 1,000 tokens."""
        found = wilson(self.with_words, self.responses)
        return {
            "step": self.step,
            "responses": self.responses,
            "with_words": self.with_words,
            "share": found.estimate,
            "ci_low": found.low,
            "ci_high": found.high,
            "per_1000_tokens": per_1000(sum(self.counts), self.tokens),
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
    each = responses_of({}, facts.config) or _GUESS
    chosen = chosen_steps(recorded, each)
    every = max(1, each * len(chosen) // MOST_RESPONSES)
    missing: list[str] = []
    if len(chosen) < len(recorded) or every > 1:
        one_in = f", and of each one response in {every}" if every > 1 else ""
        steps = f"those of {len(chosen)} of {len(recorded)} steps were read, evenly spread{one_in}"
        missing.append(f"Of the training responses {steps}.")
    return list(_steps(facts, chosen, every, words, missing)), missing


def _steps(
    facts: RunFacts, steps: Sequence[int], every: int, words: Sequence[str], missing: list[str]
) -> Iterator[StepText]:
    for step in steps:
        try:
            found = _read(step, facts.run.each_rollout(step, every), words)
        except OneshotError as error:
            missing.append(f"The training responses of step {step} could not be read: {error.message}")
        except WRONG_FORM as error:
            missing.append(f"The training responses of step {step} are of another form ({error!r}).")
        else:
            if found.responses:
                yield found


def _read(step: int, rows: Iterable[Mapping[str, Any]], words: Sequence[str]) -> StepText:
    responses = tokens = with_words = repeated = boxed = 0
    holding, counts = [0] * len(words), [0] * len(words)
    for row in rows:
        text = str(row["text"])
        seen = count(text, words)
        responses += 1
        tokens += len(row["tokens"])
        with_words += seen.any
        for place, occurs in enumerate(seen.counts):
            holding[place] += occurs > 0
            counts[place] += occurs
        repeated += repeated_tail(text)
        boxed += bool((boxed_answer(text) or "").strip())
    return StepText(
        step=step,
        responses=responses,
        tokens=tokens,
        with_words=with_words,
        holding=tuple(holding),
        counts=tuple(counts),
        repeated=repeated,
        boxed=boxed,
    )


def words_of(steps: Sequence[StepText], words: Sequence[str]) -> dict[str, dict[str, int]]:
    """Word -> the responses that hold it, and how often it occurs, over all steps that were read."""
    return {
        word: {
            "responses": sum(step.holding[place] for step in steps),
            "count": sum(step.counts[place] for step in steps),
        }
        for place, word in enumerate(words)
    }
